//! Every bound of a link: default, reason, worst-case memory. One link holds at most about 70 MiB, in practice
//! some kilobytes; a process has one to three links.

use std::time::Duration;

use jitsi_xmpp::xml::XmlLimits;

/// Most stanzas waiting to be sent. Reason: a focus that invites 500 participants at once queues a few thousand.
pub const OUTGOING_STANZAS: usize = 8_192;

/// Most bytes waiting to be sent; a single larger stanza is refused. Reason: 500 offers of 30 kB.
pub const OUTGOING_BYTES: usize = 16 * 1024 * 1024;

/// Most events handed to the link's user and not yet taken. Reason: few, as order among them is fixed; what waits
/// behind them in the inbox comes by weight.
pub const EVENTS: usize = 64;

/// Most stanzas in the inbox: as many that the link's user needs, then reading from the server pauses; and as many
/// others, of which one sender may hold no more than is still free. Reason: a room of 1,000 that comes at once; a focus
/// handles so many in a tenth of a second.
pub const INBOX_STANZAS: usize = 4_096;

/// Most bytes of either kind. Reason: as for what is to be sent.
pub const INBOX_BYTES: usize = 16 * 1024 * 1024;

/// So many needed stanzas are taken before one of the others has its turn: neither kind starves.
pub const INBOX_STREAK: usize = 16;

/// Most stanzas sent and not yet acknowledged; then sending pauses until the server acknowledges.
pub const UNACKED_STANZAS: usize = 4_096;

/// Most bytes sent and not yet acknowledged; then sending pauses as well.
pub const UNACKED_BYTES: usize = 16 * 1024 * 1024;

/// An acknowledgement is asked for after so many stanzas. Reason: one in 20 costs nothing and keeps the queue short.
pub const ACK_EVERY: usize = 20;

/// One received stanza. Reason: upstream allows service accounts 10 MiB; a presence of a room is far below 1 MiB.
pub const RECEIVED: XmlLimits =
    XmlLimits { max_bytes: 2 * 1024 * 1024, max_depth: 64, max_elements: 50_000, max_attrs: 64 };

/// The same where stanzas are only told apart: how deep one is nested costs nothing there, and must not end the connection, since what
/// somebody puts into a presence comes here as it is. Not a bound: [`RECEIVED`] has them.
pub const SPLIT: XmlLimits = XmlLimits { max_depth: usize::MAX, ..RECEIVED };

/// One read from the socket; a burst of presences needs few of them. One buffer per link. Not a bound: the splitter has its
/// own.
pub const READ_CHUNK: usize = 16 * 1024;

/// Stanzas are gathered up to this size before one write, so that a burst costs few system calls. One buffer per link.
/// Not a bound: what is behind it waits in the queue, which has two.
pub const WRITE_CHUNK: usize = 64 * 1024;

/// From the first TCP packet to the bound session. Reason: a server that is starting answers within seconds; then the next attempt.
pub const HANDSHAKE: Duration = Duration::from_secs(30);

/// Between keep-alive pings; one that is not followed by any byte until the next is due ends the connection.
pub const PING_EVERY: Duration = Duration::from_secs(30);

/// Shortest wait before the next attempt, as upstream's focus and bridge.
pub const BACKOFF_MIN: Duration = Duration::from_secs(1);

/// Wait before the first attempt after a session, and up to twice that. Reason: what broke may have been the connection alone, and a
/// server may keep the session of a bridge for a second only.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(100);

/// Longest wait before the next attempt: meetings wait for this link.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// The same while there is a session to be resumed. Reason: servers wait 15 seconds for it, and with it go the rooms that it is in.
pub const BACKOFF_RESUMABLE: Duration = Duration::from_secs(2);

/// How long [`crate::Link::close`] waits. Reason: a goodbye needs one round trip; shutting down has 5 s in all.
pub const CLOSE_WAIT: Duration = Duration::from_secs(2);
