//! The bounds of what an admin types, each with its reason and its worst case.

/// Bytes of one line, as JSON. The longest there is names a room and an account, of 3 kB each.
pub(super) const WORDS_BYTES: usize = 16 * 1024;
