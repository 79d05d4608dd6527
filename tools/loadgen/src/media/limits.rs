//! Every bound of the media load: what it limits and why this value.

use std::time::Duration;

/// Participants of one run: each has a socket, and a process may have 1,024 files open unless the limit is raised.
pub const PARTICIPANTS: usize = 4_000;

/// Seconds of one measuring window.
pub const WINDOW_SECONDS: f64 = 600.0;

/// Packets offered per second, in total.
pub const RATE: f64 = 2_000_000.0;

/// A whole run, whatever it does; then it ends with an error.
pub const RUN: Duration = Duration::from_secs(30 * 60);

/// One request to the bridge.
pub const REQUEST: Duration = Duration::from_secs(4);

/// All requests that let endpoints go; the last one may begin then.
pub const FAREWELL: Duration = Duration::from_secs(10);

/// One of them. A bridge that does not answer it is not asked again.
pub const LAST_REQUEST: Duration = Duration::from_millis(1_500);

/// From the last request to everybody's open data channel. At 20 % loss some handshakes need ten seconds.
pub const CONNECT: Duration = Duration::from_secs(30);

/// Without any datagram from the bridge for this long it counts as dead.
pub const SILENCE: Duration = Duration::from_secs(3);

/// Bytes of an answer to a request.
pub const ANSWER: u64 = 4 << 20;

/// Streams one participant keeps books about; the packets of others are counted only. 50 slots for audio and video
/// each, and retransmissions of the latter.
pub const STREAMS: usize = 256;

/// Missing packets of one stream that are asked for again.
pub const MISSING: usize = 128;

/// Requests for one missing packet.
pub const NACKS: u8 = 10;

/// Packets of one encoding that can be sent again: about a second.
pub const HISTORY: usize = 512;

/// Packets not yet reported in transport-wide feedback.
pub const ARRIVALS: usize = 1_024;

/// Texts of the data channel not yet read by their participant.
pub const TEXTS: usize = 256;

/// Requests to the bridge at the same time.
pub const WORKERS: usize = 8;

/// How far behind its schedule a sender may fall before it leaves packets out.
pub const BEHIND: Duration = Duration::from_millis(200);

/// Cameras that a browser watches: as many as it shows at once.
pub const WATCHED: usize = 25;

/// Looks at the queue towards a browser between two questions: five minutes, 240 KiB.
pub const LOOKS: usize = 30_000;
