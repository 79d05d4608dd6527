//! The front's bounds, each with its reason and its worst case.

use std::time::Duration;

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
