//! The bounds of asking for certificates, each with its reason and its worst case.

use std::time::Duration;

/// Names of one certificate. Let's Encrypt's own bound; each costs one proof and some 200 bytes while it is under way.
pub(crate) const NAMES: usize = 100;

/// Bytes of one answer of the directory: the worst case in memory, as one request is under way at a time. A chain of four
/// certificates has 8 kB.
pub(crate) const ANSWER_BYTES: usize = 256 * 1024;

/// For one request to the directory and its answer. A busy one takes seconds.
pub(crate) const REQUEST: Duration = Duration::from_secs(30);

/// For one certificate from the first request to the last. Proofs are looked at within a minute; a directory that always says "not
/// yet" ends here.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(5 * 60);

/// Certificates of one chain. Real ones have two to four; each may be as large as an answer.
pub(crate) const CHAIN: usize = 10;

/// Bytes of one file of ours that is read back. Nothing that is written there is larger than an answer of the directory and a key.
pub(crate) const FILE_BYTES: u64 = 512 * 1024;

/// Characters of what the directory says that are logged. It is somebody else's text, and one line has to do.
pub(crate) const REASON: usize = 300;

/// The longest wait that a directory may ask for with `Retry-After`. Let's Encrypt's longest is a week, and one question a day
/// costs nobody anything; what is asked for by mistake or malice costs a day.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Between two certificates, at least. Only a directory whose certificates last seconds comes near it.
pub(crate) const BETWEEN: Duration = Duration::from_secs(10);

/// After a start, an order that failed before is not repeated sooner than this after it began, so that a process that is started over and
/// over asks thirty times an hour at most; then the directory refuses, and that is kept in full.
pub(crate) const AFTER_START: Duration = Duration::from_secs(2 * 60);

/// Bytes written to see whether a certificate could be. Not a bound: as much as key and chain have.
pub(crate) const PROBE: usize = 8 * 1024;

/// The longest sleep. Not a bound: a clock that was set, or a machine that slept, is noticed after it.
pub(crate) const LOOK: Duration = Duration::from_secs(3600);

/// How long what could not be written waits for the next try. Not a bound: the certificate is in use already.
pub(crate) const WRITE_AGAIN: Duration = Duration::from_secs(60);
