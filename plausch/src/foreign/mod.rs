//! Text of other programs' configuration in; what stands in it, as data and never executed, out.
//!
//! Readers of their own, because what there is for HOCON follows includes (also over the network), and what there is for Lua runs it.

pub(crate) mod custom;
pub mod hocon;
pub(crate) mod keys;
pub mod limits;
pub mod lua;
pub mod nginx;
pub(crate) mod prosody;

use std::fmt;

/// Why a text is none of its kind. What stands there is not repeated: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Odd {}

/// What a character of the text is at, and how far it has been read.
struct Cursor<'a> {
    rest: std::str::Chars<'a>,
    line: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.trim_start_matches('\u{feff}').chars(), line: 1 }
    }

    fn peek(&self) -> Option<char> {
        self.rest.clone().next()
    }

    fn begins(&self, with: &str) -> bool {
        self.rest.as_str().starts_with(with)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.next();
        if c == Some('\n') {
            self.line += 1;
        }
        c
    }

    /// Takes this text, if it comes next.
    fn take(&mut self, text: &str) -> bool {
        let there = self.begins(text);
        if there {
            text.chars().for_each(|_| {
                self.next();
            });
        }
        there
    }

    fn take_while(&mut self, like: impl Fn(char) -> bool) -> &'a str {
        let start = self.rest.as_str();
        while self.peek().is_some_and(&like) {
            self.next();
        }
        start.get(..start.len() - self.rest.as_str().len()).unwrap_or_default()
    }

    fn odd<T>(&self, what: &'static str) -> Result<T, Odd> {
        Err(Odd { line: self.line, what })
    }
}
