//! The bounds of reading what other programs' admins wrote, each with its reason.

/// Largest file of foreign configuration that is read, in bytes. Upstream's with all comments are 20 kB. Worst case in memory: some
/// twenty times this, while one file is taken apart.
pub const FILE: usize = 256 * 1024;

/// Objects within objects, or tables within tables. Upstream's are six deep; readers call themselves once for each.
pub const DEPTH: usize = 32;

/// Values of one file: 100 bytes each at worst beside their text, 1 MB.
pub const VALUES: usize = 10_000;

/// Files of Prosody's in one folder. Beyond that nobody knows what is in force, so a start ends; 100 bytes each.
pub const FILES: usize = 100;

/// Steps that putting together values from other values (`${a}`) may take in one file: time, since the result is held to [`FILE`].
pub const STEPS: usize = 100_000;
