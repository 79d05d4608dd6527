//! Lua patterns (Lua 5.4's reference manual, 6.4.1), as tokens name rooms with them: a text and a pattern in; what `string.match`
//! returns first out.
//!
//! Bytes, as in Lua; classes are those of ASCII. All of the language is here: classes, sets, `* + - ?`, anchors, captures, `%b`, `%f`,
//! back references. A pattern backtracks, so that the time grows with the text's length to the power of its repetitions; a match
//! therefore has so many steps ([`limits::PATTERN_STEPS`](crate::limits::PATTERN_STEPS)) and ends as [`PatternError::TooComplex`].

use crate::limits::{PATTERN_CAPTURES, PATTERN_DEPTH, PATTERN_STEPS};

/// Why a pattern was not tried to the end. Blame: the token's issuer. Consequence: the room is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Lua would raise an error.
    #[error("not a Lua pattern")]
    Invalid,
    /// It would take too long.
    #[error("a Lua pattern that takes too long")]
    TooComplex,
}

/// The first capture of the first match, or without captures all of that; `None` when nothing matches.
pub fn first_match(text: &[u8], pattern: &[u8]) -> Result<Option<Vec<u8>>, PatternError> {
    first_match_within(text, pattern, PATTERN_STEPS).0
}

/// The same with another bound, and the steps that are left.
fn first_match_within(
    text: &[u8],
    pattern: &[u8],
    steps: u32,
) -> (Result<Option<Vec<u8>>, PatternError>, u32) {
    let (anchored, from) = (pattern.first() == Some(&b'^'), usize::from(pattern.first() == Some(&b'^')));
    let mut state = Match { text, pattern, captures: Vec::new(), steps, depth: PATTERN_DEPTH };
    for start in 0..=text.len() {
        state.captures.clear();
        match state.at(start, from) {
            Ok(Some(end)) => return (state.first(start, end).map(Some), state.steps),
            Ok(None) if anchored => break,
            Ok(None) => {}
            Err(error) => return (Err(error), state.steps),
        }
    }
    (Ok(None), state.steps)
}

struct Match<'a> {
    text: &'a [u8],
    pattern: &'a [u8],
    captures: Vec<Capture>,
    steps: u32,
    depth: u32,
}

/// Where one begins, and how far it goes.
#[derive(Debug, Clone, Copy)]
struct Capture {
    start: usize,
    length: Length,
}

#[derive(Debug, Clone, Copy)]
enum Length {
    Open,
    /// `()`: the place itself.
    Position,
    Bytes(usize),
}

/// Where a match ends.
type End = Result<Option<usize>, PatternError>;

impl Match<'_> {
    /// Matches the pattern from `p` on at `s`.
    fn at(&mut self, s: usize, p: usize) -> End {
        self.depth = self.depth.checked_sub(1).ok_or(PatternError::Invalid)?;
        let end = self.here(s, p);
        self.depth += 1;
        end
    }

    fn here(&mut self, mut s: usize, mut p: usize) -> End {
        loop {
            self.step()?;
            let Some(&first) = self.pattern.get(p) else { return Ok(Some(s)) };
            match (first, self.pattern.get(p + 1)) {
                (b'(', Some(b')')) => return self.open(s, p + 2, Length::Position),
                (b'(', _) => return self.open(s, p + 1, Length::Open),
                (b')', _) => return self.close(s, p + 1),
                (b'$', None) => return Ok((s == self.text.len()).then_some(s)),
                (b'%', Some(b'b')) => match self.balanced(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (b'%', Some(b'f')) => {
                    let set = p + 2;
                    if self.pattern.get(set) != Some(&b'[') {
                        return Err(PatternError::Invalid);
                    }
                    let behind = self.class_end(set)?;
                    let previous = s.checked_sub(1).and_then(|at| self.text.get(at)).copied().unwrap_or(0);
                    let next = self.text.get(s).copied().unwrap_or(0);
                    if self.in_set(previous, set, behind) || !self.in_set(next, set, behind) {
                        return Ok(None);
                    }
                    p = behind;
                }
                (b'%', Some(digit @ b'0'..=b'9')) => match self.back_reference(s, *digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let behind = self.class_end(p)?;
                    match self.pattern.get(behind) {
                        Some(b'?') => {
                            if self.single(s, p, behind)?
                                && let Some(end) = self.at(s + 1, behind + 1)?
                            {
                                return Ok(Some(end));
                            }
                            p = behind + 1;
                        }
                        Some(b'+') if !self.single(s, p, behind)? => return Ok(None),
                        Some(b'+') => return self.most(s, p, behind, 1),
                        Some(b'*') => return self.most(s, p, behind, 0),
                        Some(b'-') => return self.fewest(s, p, behind),
                        _ if self.single(s, p, behind)? => (s, p) = (s + 1, behind),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    /// As many as possible, `least` or more.
    fn most(&mut self, s: usize, p: usize, behind: usize, least: usize) -> End {
        let mut count = 0;
        while self.single(s + count, p, behind)? {
            count += 1;
        }
        loop {
            if let Some(end) = self.at(s + count, behind + 1)? {
                return Ok(Some(end));
            }
            if count <= least {
                return Ok(None);
            }
            count -= 1;
        }
    }

    /// As few as possible.
    fn fewest(&mut self, mut s: usize, p: usize, behind: usize) -> End {
        loop {
            if let Some(end) = self.at(s, behind + 1)? {
                return Ok(Some(end));
            }
            if !self.single(s, p, behind)? {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open(&mut self, s: usize, p: usize, length: Length) -> End {
        if self.captures.len() >= PATTERN_CAPTURES {
            return Err(PatternError::Invalid);
        }
        self.captures.push(Capture { start: s, length });
        let end = self.at(s, p)?;
        if end.is_none() {
            self.captures.pop();
        }
        Ok(end)
    }

    fn close(&mut self, s: usize, p: usize) -> End {
        let open = self.captures.iter().rposition(|c| matches!(c.length, Length::Open));
        let Some(open) = open else { return Err(PatternError::Invalid) };
        self.set_length(open, |start| Length::Bytes(s.saturating_sub(start)));
        let end = self.at(s, p)?;
        if end.is_none() {
            self.set_length(open, |_| Length::Open);
        }
        Ok(end)
    }

    fn set_length(&mut self, at: usize, length: impl FnOnce(usize) -> Length) {
        if let Some(capture) = self.captures.get_mut(at) {
            capture.length = length(capture.start);
        }
    }

    /// `%bxy`.
    fn balanced(&mut self, s: usize, p: usize) -> End {
        let (Some(&open), Some(&close)) = (self.pattern.get(p), self.pattern.get(p + 1)) else {
            return Err(PatternError::Invalid);
        };
        if self.text.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut depth = 1_usize;
        for at in s + 1..self.text.len() {
            self.step()?;
            let Some(&b) = self.text.get(at) else { break };
            if b == close {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some(at + 1));
                }
            } else if b == open {
                depth += 1;
            }
        }
        Ok(None)
    }

    /// `%1` to `%9`.
    fn back_reference(&mut self, s: usize, digit: u8) -> End {
        let index = usize::from(digit).checked_sub(usize::from(b'1')).ok_or(PatternError::Invalid)?;
        let capture = self.captures.get(index).ok_or(PatternError::Invalid)?;
        let length = match capture.length {
            Length::Open => return Err(PatternError::Invalid),
            // Lua takes the place's mark for a length that nothing has.
            Length::Position => return Ok(None),
            Length::Bytes(length) => length,
        };
        let said = self.text.get(capture.start..capture.start + length).unwrap_or_default();
        let here = self.text.get(s..).unwrap_or_default();
        let end = here.starts_with(said).then_some(s + length);
        self.steps(length)?;
        Ok(end)
    }

    /// Behind the single character class at `p`.
    fn class_end(&mut self, p: usize) -> Result<usize, PatternError> {
        match self.pattern.get(p) {
            Some(b'%') if p + 1 < self.pattern.len() => Ok(p + 2),
            Some(b'%') | None => Err(PatternError::Invalid),
            Some(b'[') => {
                let mut at = p + 1;
                if self.pattern.get(at) == Some(&b'^') {
                    at += 1;
                }
                // The first sign of a set is one of its members, `]` as well.
                loop {
                    self.step()?;
                    at += match self.pattern.get(at) {
                        None => return Err(PatternError::Invalid),
                        Some(b'%') => 2,
                        Some(_) => 1,
                    };
                    match self.pattern.get(at) {
                        None => return Err(PatternError::Invalid),
                        Some(b']') => return Ok(at + 1),
                        Some(_) => {}
                    }
                }
            }
            Some(_) => Ok(p + 1),
        }
    }

    /// Whether the byte at `s` is in the class from `p` to `behind`.
    fn single(&mut self, s: usize, p: usize, behind: usize) -> Result<bool, PatternError> {
        self.steps(1 + (behind - p) / SET_BYTES_PER_STEP)?;
        let (Some(&byte), Some(&first)) = (self.text.get(s), self.pattern.get(p)) else { return Ok(false) };
        Ok(match first {
            b'.' => true,
            b'%' => self.pattern.get(p + 1).is_some_and(|class| in_class(byte, *class)),
            b'[' => self.in_set(byte, p, behind),
            literal => literal == byte,
        })
    }

    /// Whether a byte is in the set from `p` (its `[`) to `behind` (behind its `]`).
    fn in_set(&self, byte: u8, p: usize, behind: usize) -> bool {
        let inside = self.pattern.get(p + 1..behind - 1).unwrap_or_default();
        let (wanted, mut rest) = match inside {
            [b'^', rest @ ..] => (false, rest),
            _ => (true, inside),
        };
        loop {
            let found;
            (found, rest) = match rest {
                [] => return !wanted,
                [b'%', class, rest @ ..] => (in_class(byte, *class), rest),
                [low, b'-', high, rest @ ..] => ((*low..=*high).contains(&byte), rest),
                [literal, rest @ ..] => (*literal == byte, rest),
            };
            if found {
                return wanted;
            }
        }
    }

    /// What is returned.
    fn first(&self, start: usize, end: usize) -> Result<Vec<u8>, PatternError> {
        // All of them are looked at, as in Lua.
        if self.captures.iter().any(|c| matches!(c.length, Length::Open)) {
            return Err(PatternError::Invalid);
        }
        let bytes = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default().to_vec();
        Ok(match self.captures.first() {
            None => bytes(start, end),
            Some(Capture { start, length: Length::Bytes(length) }) => bytes(*start, start + length),
            // A place, counted from one, which Lua turns into text where it needs one.
            Some(Capture { start, .. }) => (start + 1).to_string().into_bytes(),
        })
    }

    fn step(&mut self) -> Result<(), PatternError> {
        self.steps(1)
    }

    fn steps(&mut self, n: usize) -> Result<(), PatternError> {
        let left = u32::try_from(n).ok().and_then(|n| self.steps.checked_sub(n));
        self.steps = left.unwrap_or(0);
        left.map(|_| ()).ok_or(PatternError::TooComplex)
    }
}

/// A long set is looked through for each byte.
const SET_BYTES_PER_STEP: usize = 4;

/// `%a` and its like; a capital letter is the opposite, anything else itself.
fn in_class(byte: u8, class: u8) -> bool {
    let found = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        // The vertical tab as well.
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        b'z' => byte == 0,
        _ => return class == byte,
    };
    found != class.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Lua says.
    enum Lua {
        Found(&'static [u8]),
        None,
        Invalid,
    }
    use Lua::{Found, Invalid, None};

    fn matched(text: &str, pattern: &str) -> Result<Option<String>, PatternError> {
        let found = first_match(text.as_bytes(), pattern.as_bytes())?;
        Ok(found.map(|bytes| String::from_utf8(bytes).unwrap()))
    }

    #[test]
    fn patterns_match_as_in_lua() {
        for (text, pattern, lua) in LUA_5_4 {
            let expected = match lua {
                Found(bytes) => Ok(Some(bytes.to_vec())),
                None => Ok(Option::None),
                Invalid => Err(PatternError::Invalid),
            };
            let (shown, pattern_shown) = (text.escape_ascii(), pattern.escape_ascii());
            assert_eq!(first_match(text, pattern), expected, "{shown} {pattern_shown}");
        }
    }

    #[test]
    fn a_match_is_nested_as_deep_as_in_lua_and_no_deeper() {
        let text = "a".repeat(300);
        let nested = |n: u32| "a?".repeat(n as usize);
        assert_eq!(matched(&text, &nested(PATTERN_DEPTH - 1)), Ok(Some("a".repeat(199))));
        assert_eq!(matched(&text, &nested(PATTERN_DEPTH)), Err(PatternError::Invalid));
    }

    #[test]
    fn there_are_as_many_captures_as_in_lua_and_no_more() {
        assert_eq!(matched("x", &"()".repeat(PATTERN_CAPTURES)), Ok(Some("1".to_owned())));
        assert_eq!(matched("x", &"()".repeat(PATTERN_CAPTURES + 1)), Err(PatternError::Invalid));
    }

    #[test]
    fn a_match_takes_so_many_steps_and_not_one_more() {
        let steps = |steps| first_match_within(b"room", b"^r.*m$", steps);
        let (found, left) = steps(PATTERN_STEPS);
        assert_eq!(found, Ok(Some(b"room".to_vec())));
        let needed = PATTERN_STEPS - left;
        assert!(needed < 20, "{needed}");
        assert_eq!(steps(needed), (Ok(Some(b"room".to_vec())), 0));
        assert_eq!(steps(needed - 1), (Err(PatternError::TooComplex), 0));
    }

    #[test]
    fn what_takes_lua_for_ever_ends() {
        let text = "a".repeat(1_000);
        for pattern in [
            ".-.-.-.-.-.-.-b".to_owned(),
            "a*a*a*a*a*a*b".to_owned(),
            "(a*)(a*)(a*)%1%2%3b".to_owned(),
            format!("[{}]*b", "x".repeat(4_000) + "a"),
            "%b()".repeat(500) + &".*".repeat(90),
            format!("{}b", "a?".repeat(150)),
        ] {
            let ended = matched(&text, &pattern);
            assert!(matches!(ended, Err(_) | Ok(Option::None)), "{pattern}");
        }
        assert_eq!(matched(&"a".repeat(128), ".*.*.*b"), Err(PatternError::TooComplex));
        assert_eq!(
            matched(&"a".repeat(128), "^.*.*b"),
            Ok(Option::None),
            "what upstream takes and is quick is taken"
        );
    }

    /// Made with Lua 5.4.
    #[rustfmt::skip]
    const LUA_5_4: &[(&[u8], &[u8], Lua)] = &[
        (b"room1", b"room1", Found(b"room1")),
        (b"room1", b"room", Found(b"room")),
        (b"room", b"room1", None),
        (b"", b"", Found(b"")),
        (b"abc", b"", Found(b"")),
        (b"", b"a", None),
        (b"abc", b"^", Found(b"")),
        (b"abc", b"$", Found(b"")),
        (b"abc", b"^$", None),
        (b"", b"^$", Found(b"")),
        (b"class-12", b"^class%-%d+$", Found(b"class-12")),
        (b"class-12", b"class-%d+", None),
        (b"class-12x", b"^class%-%d+", Found(b"class-12")),
        (b"class-", b"^class%-%d+$", None),
        (b"class-12", b"^class%-(%d+)$", Found(b"12")),
        (b"a.b", b"a.b", Found(b"a.b")),
        (b"axb", b"a%.b", None),
        (b"a.b", b"a%.b", Found(b"a.b")),
        (b"a-b", b"a-b", Found(b"b")),
        (b"aab", b"a-b", Found(b"aab")),
        (b"b", b"a-b", Found(b"b")),
        (b"aaa", b"a*", Found(b"aaa")),
        (b"aaa", b"a-", Found(b"")),
        (b"aaa", b"^a-$", Found(b"aaa")),
        (b"aaab", b"a*b", Found(b"aaab")),
        (b"b", b"a*b", Found(b"b")),
        (b"b", b"a+b", None),
        (b"ab", b"a?b", Found(b"ab")),
        (b"b", b"a?b", Found(b"b")),
        (b"aab", b"^a?b", None),
        (b"abc", b"(a)(b)", Found(b"a")),
        (b"abc", b"(b)(c)", Found(b"b")),
        (b"abc", b"()b", Found(b"2")),
        (b"abc", b"b()", Found(b"3")),
        (b"abc", b"a()", Found(b"2")),
        (b"abc", b"(a(b)c)", Found(b"abc")),
        (b"abc", b"(a*(.)%w(%s*))", Found(b"abc")),
        (b"abc", b"((", Invalid),
        (b"abc", b"(invalid", None),
        (b"abc", b"invalid)", None),
        (b"abc", b")", Invalid),
        (b"abc", b"a)", Invalid),
        (b"abc", b"()", Found(b"1")),
        (b"abc", b"(a", Invalid),
        (b"xyz", b"(a", None),
        (b"abc", b"[a-c]+", Found(b"abc")),
        (b"abc", b"[^b]+", Found(b"a")),
        (b"abc", b"[^a]+", Found(b"bc")),
        (b"a]c", b"[]]", Found(b"]")),
        (b"a]c", b"[^]]+", Found(b"a")),
        (b"abc", b"[]", Invalid),
        (b"abc", b"[^]", Invalid),
        (b"abc", b"[a", Invalid),
        (b"abc", b"[a-", Invalid),
        (b"a-c", b"[a-]+", Found(b"a-")),
        (b"a-c", b"[-a]+", Found(b"a-")),
        (b"a^c", b"[c^]+", Found(b"^c")),
        (b"a%c", b"[%%]", Found(b"%")),
        (b"a]c", b"[%]]", Found(b"]")),
        (b"a]c", b"[a%]c]+", Found(b"a]c")),
        (b"abc", b"[a%", Invalid),
        (b"a-z", b"[a%-z]+", Found(b"a-z")),
        (b"m", b"[a%-z]+", None),
        (b"5", b"[%a-z]", None),
        (b"-", b"[%a-z]", Found(b"-")),
        (b"abc", b"[%w]+", Found(b"abc")),
        (b"a b", b"[%s]", Found(b" ")),
        (b"a_b", b"[%w_]+", Found(b"a_b")),
        (b"abz", b"[%d-z]+", Found(b"z")),
        (b"abc", b"%", Invalid),
        (b"abc", b"a%", Invalid),
        (b"a%c", b"%%", Found(b"%")),
        (b"abc", b"%z", None),
        (b"a\x00c", b"%z", Found(b"\x00")),
        (b"abc", b"%q", None),
        (b"aqc", b"%q", Found(b"q")),
        (b"abc", b"%\xc3\xa9", None),
        (b"aB1 _", b"%a+", Found(b"aB")),
        (b"aB1 _", b"%A+", Found(b"1 _")),
        (b"aB1", b"%l", Found(b"a")),
        (b"aB1", b"%u", Found(b"B")),
        (b"aB1", b"%U+", Found(b"a")),
        (b"aB1", b"%d", Found(b"1")),
        (b"aB1", b"%D+", Found(b"aB")),
        (b"a\x09b", b"%s", Found(b"\x09")),
        (b"a\x0bb", b"%s", Found(b"\x0b")),
        (b"a\x0cb", b"%s", Found(b"\x0c")),
        (b"aB1", b"%x+", Found(b"aB1")),
        (b"xyz", b"%x", None),
        (b"a!b", b"%p", Found(b"!")),
        (b"a!b", b"%P+", Found(b"a")),
        (b"a\x01b", b"%c", Found(b"\x01")),
        (b"a\x7fb", b"%c", Found(b"\x7f")),
        (b"a b", b"%g+", Found(b"a")),
        (b" ", b"%g", None),
        (b"a\xc3\xa9", b"%a+", Found(b"a")),
        (b"a\xc3\xa9", b"[^%w]+", Found(b"\xc3\xa9")),
        (b"\xc3\xa9", b"..", Found(b"\xc3\xa9")),
        (b"\xc3\xa9", b".", Found(b"\xc3")),
        (b"_", b"%w", None),
        (b"_", b"%p", Found(b"_")),
        (b"~", b"%p", Found(b"~")),
        (b"(a(b)c)", b"%b()", Found(b"(a(b)c)")),
        (b"((a)", b"%b()", Found(b"(a)")),
        (b"x(a)", b"%b()", Found(b"(a)")),
        (b"aXbXc", b"%bXX", Found(b"XbX")),
        (b"abc", b"%b", Invalid),
        (b"abc", b"%b(", Invalid),
        (b"(abc", b"%b()", None),
        (b"<<a>>b>", b"%b<>", Found(b"<<a>>")),
        (b"THE (quick) fox", b"%f[%a]%a+", Found(b"THE")),
        (b"THE (quick) fox", b"%f[%a]%a+%f[%A]", Found(b"THE")),
        (b"abc", b"%f[%z]", Found(b"")),
        (b"abc", b"%f[%Z]", Found(b"")),
        (b"abc", b"%f[^%w]", Found(b"")),
        (b"abc", b"%fa", Invalid),
        (b"abc", b"%f", Invalid),
        (b"abc", b"%f[", Invalid),
        (b"abc", b"b%f[%W]", None),
        (b"abc", b"c%f[%W]", Found(b"c")),
        (b"abc", b"%f[\x00]", Found(b"")),
        (b"abab", b"(ab)%1", Found(b"ab")),
        (b"abac", b"(ab)%1", None),
        (b"abc", b"%1", Invalid),
        (b"abc", b"(a)%2", Invalid),
        (b"abc", b"(a%1)", Invalid),
        (b"abc", b"()%1", None),
        (b"abc", b"%0", Invalid),
        (b"aa", b"(a)%1", Found(b"a")),
        (b"\"x\" y", b"([\"'])(.-)%1", Found(b"\"")),
        (b"xx", b"(.)(%1)", Found(b"x")),
        (b"hello world", b"o w", Found(b"o w")),
        (b"hello", b"l+", Found(b"ll")),
        (b"hello", b"l-", Found(b"")),
        (b"hello", b"^l", None),
        (b"hello", b"h.-o", Found(b"hello")),
        (b"hello", b"h.*l", Found(b"hell")),
        (b"hello", b"(h)(e)(l)(l)(o)", Found(b"h")),
        (b"hello", b"lo$", Found(b"lo")),
        (b"hello", b"^hello$", Found(b"hello")),
        (b"hello$", b"hello%$", Found(b"hello$")),
        (b"hello$", b"o$$", Found(b"o$")),
        (b"a$b", b"a$b", Found(b"a$b")),
        (b"a^b", b"a^b", Found(b"a^b")),
        (b"^a", b"^^a", Found(b"^a")),
        (b"*a", b"*a", Found(b"*a")),
        (b"a**", b"a**", Found(b"a*")),
        (b"a*", b"a**$", Found(b"a*")),
        (b"+", b"+", Found(b"+")),
        (b"?a", b"?a", Found(b"?a")),
        (b"-", b"-", Found(b"-")),
        (b"--", b"^-+$", Found(b"--")),
        (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b"(((((((((((((((((((((((((((((((())))))))))))))))))))))))))))))))", Found(b"")),
        (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b"()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()", Found(b"1")),
        (b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b"()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()()", Invalid),
        (b"vesper", b"vesper", Found(b"vesper")),
        (b"vesper-2026", b"^vesper%-20%d%d$", Found(b"vesper-2026")),
        (b"vesper-2126", b"^vesper%-20%d%d$", None),
        (b"team_a", b"^team_[abc]$", Found(b"team_a")),
        (b"team_d", b"^team_[abc]$", None),
        (b"x-abc-y", b"%-(.-)%-", Found(b"abc")),
        (b"2026-11-29", b"^(%d%d%d%d)%-(%d%d)%-(%d%d)$", Found(b"2026")),
    ];
}
