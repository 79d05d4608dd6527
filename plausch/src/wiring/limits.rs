//! The bounds of what the process does to find its own addresses, each with its reason.

use std::time::Duration;

/// Addresses that may be named for media: a socket on each media thread. A server has a handful of lines; more are a wildcard's job.
pub(crate) const MEDIA_ADDRESSES: usize = 16;

/// STUN servers that may be named. One is enough; more only help while the others do not answer, and each is asked in turn.
pub(crate) const STUN_SERVERS: usize = 4;

/// How long one is waited for after each of three questions (RFC 8489 §6.2.1 begins with half a second): who needs longer than
/// these 3.5 s in all counts as gone.
pub(super) const STUN_WAITS: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// Datagrams that are looked at for one question; a server that sends more says nothing.
pub(super) const STUN_DATAGRAMS: usize = 16;

/// How often they are asked. Not a bound: a router that dials in again once a night has a new address for this long before it is told.
pub(super) const STUN_EVERY: Duration = Duration::from_secs(300);

/// How often the public name is looked up, where that counts. Not a bound: as short as dynamic names live.
pub(super) const NAME_EVERY: Duration = Duration::from_secs(60);
