//! The bounds of an upgrade with two processes, each with its reason.

use std::time::Duration;

/// Processes that go on with meetings of before, behind each other. Each is another hop for its people's packets and some tens of
/// megabytes; who upgrades more often in the length of one meeting can wait.
pub(super) const BEFORE: u8 = 4;

/// How long a new process may take until it could serve. It reads its configuration and opens sockets, and may ask a name server.
pub(super) const READY: Duration = Duration::from_secs(30);

/// How long it may take from then until it serves: it has nothing left to do, and nobody is let in meanwhile.
pub(super) const SERVING: Duration = Duration::from_secs(5);

/// How long a process waits for what the one before has to say first.
pub(super) const HELLO: Duration = Duration::from_secs(5);

/// Bytes of names in one message of rooms: with the longest name behind, it fits into one of the line's.
pub(super) const ROOMS_BYTES: usize = 8 * 1024;

/// Rooms of the processes before. As many as four XMPP servers have; some 100 bytes each.
pub(super) const ROOMS: usize = 4 * 10_000;

/// How often it is looked which rooms are left. Not a bound: a breakout room is asked for by its people no sooner than they are told of
/// it.
pub(super) const LOOK: Duration = Duration::from_millis(200);

/// How often people who are in no room are looked for; the second time, they are sent to the successor. Not a bound: who joins is in a
/// room within a second or two.
pub(super) const IDLE: Duration = Duration::from_secs(5);

/// Body of a request for a conference that is looked into. As much as the focus takes.
pub(super) const REQUEST_BYTES: usize = 16 * 1024;

/// Requests and WebSockets that the process before serves for its successor; each has been counted there, by its address. Two
/// descriptors each.
pub(super) const VISITS: usize = 20_000;

/// How long rooms may take to be there that were asked for just before nobody is let in any more.
pub(super) const SETTLE: Duration = Duration::from_secs(1);
