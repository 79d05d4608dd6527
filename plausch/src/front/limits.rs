//! The front's bounds, each with its reason and its worst case.

use std::time::Duration;

/// Open connections. Each costs about 20 kB while it waits: 330 MB in the worst case. More are accepted when one ends.
pub(crate) const CONNECTIONS: usize = 16_384;

/// Time for a client to send a request's head. Slower ones hold a connection for nothing.
pub(crate) const REQUEST_HEAD: Duration = Duration::from_secs(15);

/// Bytes of one request head and of hyper's read buffer. Long tokens in query strings are about 4 kB.
pub(crate) const REQUEST_HEAD_BYTES: usize = 32 * 1024;

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
