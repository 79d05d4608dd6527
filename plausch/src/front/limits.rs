//! The front's bounds, each with its reason and its worst case.

use std::time::Duration;

use budget::Rate;

/// Open connections. Each costs about 20 kB while it waits: 330 MB in the worst case. More are accepted when one ends.
pub(crate) const CONNECTIONS: usize = 16_384;

/// The same from one address (one /64 of IPv6). Two hundred tablets behind one NAT have some seven each. Web servers in
/// front that are trusted have no share: they speak for many, who have shares of what they ask for.
pub(crate) const CONNECTIONS_PER_ADDRESS: usize = 2_048;

/// One write to a client that does not read. Then its connection ends.
pub(crate) const WRITE_STALL: Duration = Duration::from_secs(60);

/// What the process may have open. Asked for once; the soft limit is raised to the hard one at the start.
pub(crate) fn open_files() -> usize {
    use nix::sys::resource::{Resource, getrlimit};
    let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(soft).unwrap_or(usize::MAX)
}

/// Raises what the process may have open as far as it may without rights. Shells give 1,024, which is one class.
pub(crate) fn raise_open_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // Without it, fewer people find room; that is no reason not to start.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Time for a client to send a request's head. Slower ones hold a connection for nothing. Also the longest pause
/// between two requests.
pub(crate) const REQUEST_HEAD: Duration = Duration::from_secs(15);

/// Bytes of one request head and of hyper's read buffer. Long tokens in query strings are about 4 kB.
pub(crate) const REQUEST_HEAD_BYTES: usize = 32 * 1024;

/// Connections with HTTP/2. Each costs 180 kB at most besides its streams (what was sent and not read, buffers, tables): 740 MB in the
/// worst case. Beyond, clients get HTTP/1.1.
pub(crate) const H2_CONNECTIONS: usize = 4_096;

/// The same from one address: 92 MB. Two hundred tablets behind one NAT have one or two each.
pub(crate) const H2_CONNECTIONS_PER_ADDRESS: usize = 512;

/// Requests and WebSockets of all HTTP/2 connections at once, and of one address: as many as connections, because in HTTP/1.1 each has
/// one. Each costs a head, a piece of the answer and 4 kB: 600 MB in the worst case, 74 MB of one address. Who has all
/// waits.
pub(crate) const H2_STREAMS: usize = CONNECTIONS;
/// See [`H2_STREAMS`].
pub(crate) const H2_STREAMS_PER_ADDRESS: usize = CONNECTIONS_PER_ADDRESS;

/// The same of one connection. Clients take 100 for granted before they are told (RFC 9113 §6.5.2 advises no fewer); the app asks for some
/// fifty files at once and has two WebSockets.
pub(crate) const H2_STREAMS_PER_CONNECTION: u32 = 100;

/// Bytes of requests that wait because their address has all its streams: the worst case in memory.
pub(crate) const H2_WAITING: usize = 64 * 1024 * 1024;

/// The same of one address. Two hundred tablets that open the app at the same moment ask for 10,000 files, in 1 kB each.
pub(crate) const H2_WAITING_PER_ADDRESS: usize = 16 * 1024 * 1024;

/// Bytes of one request's head over HTTP/2, as they count there. Long tokens in query strings are about 4 kB.
pub(crate) const H2_HEAD_BYTES: u32 = 16 * 1024;

/// Bytes that a client may send in one stream before they are read. The largest stanza goes through it in eight round trips.
pub(crate) const H2_STREAM_WINDOW: u32 = 32 * 1024;

/// The same of a whole connection, so that a WebSocket that waits does not hold up three others: what a client can make us
/// keep unread.
pub(crate) const H2_CONNECTION_WINDOW: u32 = 128 * 1024;

/// Bytes of one stream that wait to be written. What hyper has for HTTP/1.1 is more.
pub(crate) const H2_SEND_BYTES: usize = 16 * 1024;

/// Frames of one connection that do nothing for anybody: PING, SETTINGS, PRIORITY, empty DATA, CONTINUATION, unknown ones. Browsers
/// send some ten in the beginning, and Firefox one PRIORITY per request. They cost no memory.
pub(crate) const H2_IDLE_FRAMES: Rate = Rate::per_second(500, 50);

/// Requests of one connection that are taken back. Who leaves a page while it loads takes all back at once.
pub(crate) const H2_RESETS: Rate = Rate::per_second(200, 20);

/// Words of one connection that more may be sent, beyond those that have a reason ([`H2_SENT_PER_UPDATE`]).
pub(crate) const H2_UPDATES: Rate = Rate::per_second(2_000, 100);

/// After so many bytes a client may say so. Go's says so twice after 4 kB.
pub(crate) const H2_SENT_PER_UPDATE: usize = 1024;

/// How often it is looked whether the certificate's files have changed. Not a bound: renewals come weeks before the end.
pub(crate) const CERTIFICATE_LOOK: Duration = Duration::from_secs(5);

/// How often it is said that a certificate is over soon. Not a bound: once a day is read, and more is noise.
pub(crate) const CERTIFICATE_WARNING: Duration = Duration::from_secs(24 * 3600);

/// A file in which directives are looked for. The stock pages are below 100 kB; larger scripts go out as they are.
pub(crate) const SSI_DOCUMENT: u64 = 1024 * 1024;

/// What one page may become with everything it includes; one page is built at a time per blocking thread.
pub(crate) const SSI_OUTPUT: usize = 4 * 1024 * 1024;

/// Includes inside includes. The stock page has one level; a page that includes itself ends here.
pub(crate) const SSI_DEPTH: usize = 8;

/// Includes of one page in all; stock pages have 8. Bounds what a page that includes itself costs.
pub(crate) const SSI_INCLUDES: usize = 64;

/// Variables that one page may set, and the length of one.
pub(crate) const SSI_VARIABLES: usize = 64;
/// See [`SSI_VARIABLES`].
pub(crate) const SSI_VALUE: usize = 8 * 1024;

/// The smallest file that is compressed; below, the head of the answer weighs more. Upstream's figure. Not a bound: small
/// files go out as they are.
pub(crate) const COMPRESS_FROM: u64 = 860;

/// The largest. The app's largest script has 6 MB; one file is compressed at a time, so this is read into memory once.
pub(crate) const COMPRESS_FILE: u64 = 16 * 1024 * 1024;

/// What is kept of compressed files, in all. The app of today comes to 4 MB. What does not fit goes out as it is: nothing is
/// pushed out, so that nobody makes us compress the same again and again.
pub(crate) const COMPRESSED_KEPT: usize = 32 * 1024 * 1024;
