//! The bounds of the relay, each with default, reason and worst-case memory.

use std::time::Duration;

use budget::Rate;

/// Relays at a time. A town has some hundred people whose network blocks UDP. Each is a socket and, with all its permissions and
/// channels, 2 kB here: 8 MB. The shell lowers it to an eighth of the files that may be open.
pub const ALLOCATIONS: usize = 4_096;

/// The same for one address (one /64 of IPv6), fewer when more than half of all are taken. 200 tablets behind one address have
/// two each, for the bridge and for a moment of a second connection, and some of them two networks.
pub const ALLOCATIONS_PER_ADDRESS: usize = 1_024;

/// The same for one user name, which is one person in one meeting. Browsers ask once for each network of the machine, each
/// connection and each way (UDP, TLS): twelve are seen, and again as many while a connection is made anew.
pub const ALLOCATIONS_PER_USER: usize = 32;

/// Addresses of peers that one relay may be reached from; 40 bytes each. A bridge has up to 16 addresses of the machine.
pub const PERMISSIONS: usize = 24;

/// Channels of one relay; 56 bytes each. One for each candidate of the bridge or of the other person that is tried.
pub const CHANNELS: usize = 32;

/// Bytes per second of one relay in each direction: 64 Mbit/s, which is a gallery of 25 in high definition.
pub const RELAY_BYTES: u32 = 8_000_000;

/// Bytes at once of one relay in each direction: a quarter of a second of that.
pub const RELAY_BURST: u32 = 2_000_000;

/// Requests of somebody who has no relay yet, Binding included, of one address: 200 tablets that join at once ask four times
/// each, and everything again when a datagram was lost. After that 200 a second: what somebody gets who is named as the
/// sender by another is 12 kB/s.
pub const STRANGERS: Rate = Rate::per_second(4_000, 200);

/// The same of all addresses together: 5,000 a second are some 2 % of a core.
pub const STRANGERS_TOTAL: Rate = Rate::per_second(20_000, 5_000);

/// Addresses that are told apart for this; 80 bytes each, 0.7 MB.
pub const STRANGERS_KEPT: usize = 8_192;

/// Requests on one relay: each costs a hash. Browsers send one for each candidate at the start, then a few per minute.
pub const REQUESTS: Rate = Rate::per_second(200, 20);

/// Time until a relay ends that nobody refreshes, unless the client asks for another (RFC 8656 §7.2).
/// Not a bound: [`LIFETIME_MAX`] is.
pub const LIFETIME: Duration = Duration::from_secs(600);

/// The longest that a client may ask for (RFC 8656 §7.2): a relay of somebody who is gone holds a place for so long.
pub const LIFETIME_MAX: Duration = Duration::from_secs(3_600);

/// The longest life of a relay, whatever its client asks: as long as credentials are valid by default, and longer than any meeting.
pub const LIFETIME_TOTAL: Duration = Duration::from_secs(86_400);

/// Life of a permission. Not a bound: [`PERMISSIONS`] is; RFC 8656 §9 fixes it.
pub const PERMISSION: Duration = Duration::from_secs(300);

/// Life of a channel. Not a bound: [`CHANNELS`] is; RFC 8656 §12 fixes it.
pub const CHANNEL: Duration = Duration::from_secs(600);

/// Life of a nonce (RFC 8489 §9.2 leaves it open): a stolen one is of no use without the password.
pub const NONCE: Duration = Duration::from_secs(3_600);

/// Bytes of a user name. Ours have 19; other services that know the secret write a name behind the colon. One per relay.
pub const USERNAME: usize = 128;

/// Bytes of one message on a stream. Browsers send datagrams of at most 1,500 bytes through; a longer one ends the stream.
pub const MESSAGE: usize = 4_096;

/// By how much an answer to somebody who has not proved who it is may be longer than the question: an answer with what is
/// needed to prove it has 60 bytes, the shortest question 20. With the headers of IP and UDP that is less than double.
pub const LONGER: usize = 40;
