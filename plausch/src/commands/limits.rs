//! The bounds of the commands beside the server, each with its reason.

use std::time::Duration;

/// One question to the running server. It answers from memory; who waits longer asks somebody who hangs.
pub(crate) const ASK: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes: the worst case in memory. Metrics of a full server are some 60 kB.
pub(crate) const ASK_BYTES: u64 = 4 * 1024 * 1024;

/// A name that is looked up. Resolvers try again after five seconds; a start waits in the worst case as long as this.
pub(crate) const NAME_LOOKUP: Duration = Duration::from_secs(4);

/// Files of a folder that `plausch migrate` looks at. A town has some thousand accounts; 300 bytes each, one folder at a time.
pub(crate) const ENTRIES: usize = 20_000;

/// Largest `.env` file that is read. Upstream's with all comments is 20 kB; worst case in memory: this twice.
pub(crate) const ENV_FILE: u64 = 1024 * 1024;

/// Bytes of a line with a new password. Who logs in with it may send 1,023; more was meant to be something else.
pub(crate) const PASSWORD_BYTES: u64 = 4096;
