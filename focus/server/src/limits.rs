//! Bounds of the focus' shell.

use std::time::Duration;

/// HTTP requests and questions that wait for the engine. Reason: a class clicks at once; about 1 KiB each.
pub const COMMANDS: usize = 256;
/// Bytes of an HTTP request body. Reason: real ones have 300.
pub const BODY: usize = 16 * 1024;
/// A conference request is answered after at most this; the engine's own deadlines are shorter.
pub const REPLY: Duration = Duration::from_secs(60);
/// A question about figures is answered after at most this; otherwise the engine hangs.
pub const STATS: Duration = Duration::from_secs(5);
