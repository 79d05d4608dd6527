//! The bounds of the relay's thread and of clients that come by streams, each with its reason.

use std::time::Duration;

/// Datagrams of one socket before the next one has its turn: a flood at one relay does not hold the others up.
pub(crate) const BATCH: usize = 64;

/// Bytes of the largest datagram that is relayed; longer ones are dropped. Media stays below 1,500. One buffer.
pub(crate) const DATAGRAM: usize = 4_096;

/// Addresses of the machine that clients can send to, with a socket each. A machine with containers has some dozens.
pub(crate) const LISTENERS: usize = 64;

/// Wish for the buffers of the sockets that clients send to: a burst of all relays at once. The system may give less.
/// Not a bound: the system's own is.
pub(crate) const SOCKET_BUFFER: usize = 4 * 1024 * 1024;

/// How long a stream may be there without a relay. A browser has one within two round trips.
pub(crate) const STREAM_IDLE: Duration = Duration::from_secs(30);

/// Bytes of one stream that wait for the relay's thread; then it is not read any more.
pub(crate) const STREAM_IN: usize = 64 * 1024;

/// The same of all streams: the worst case in memory.
pub(crate) const STREAMS_IN: usize = 16 * 1024 * 1024;

/// Bytes that wait to be written to one stream; what comes then is dropped, as a router drops it. Half a second of video: more
/// would only be late.
pub(crate) const STREAM_OUT: usize = 512 * 1024;

/// The same of all streams: the worst case in memory.
pub(crate) const STREAMS_OUT: usize = 64 * 1024 * 1024;

/// Bytes that are put together for one write to a stream: one TLS record. One buffer of each stream.
pub(crate) const WRITE: usize = 16 * 1024;

/// How often the thread looks for streams without a relay, the time and the bridge's addresses.
/// Not a bound: how often something is looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(2);
