//! Values that must not reach a log: room names, display names, JIDs, addresses, tokens.

use std::fmt;

/// Wraps a personal value so that `Debug` and `Display` never show it.
///
/// Use [`Sensitive::reveal`] where the value really has to leave (a stanza, a socket), never in a log line.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Every call is a place where personal data leaves the type's protection.
    pub const fn reveal(&self) -> &T {
        &self.0
    }

    /// The value itself, consuming the wrapper.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Sensitive<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹redacted›")
    }
}

impl<T> fmt::Display for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("‹redacted›")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_display_shows_the_value() {
        let s = Sensitive::new("Anna");
        assert!(!format!("{s:?} {s}").contains("Anna"));
        assert_eq!(*s.reveal(), "Anna");
    }
}
