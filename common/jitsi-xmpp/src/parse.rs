//! Reading typed words out of elements: an element in, a checked type or the reason why not out.

use std::str::FromStr;

use crate::limits::MAX_ID_BYTES;
use crate::stanza_error::{Condition, StanzaError};
use crate::xml::Element;

/// Why an element or a JSON document is not the word it claims to be. Blame: the peer. Consequence: the request is
/// answered with `bad-request` and this text, which names elements and attributes but never their values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParseError {
    /// Another element than the caller handed in.
    #[error("not a {0} element")]
    Unexpected(&'static str),
    /// A required attribute, child or member is missing.
    #[error("Missing '{what}' in {element}")]
    Missing {
        /// Where.
        element: &'static str,
        /// Which attribute, child or member.
        what: &'static str,
    },
    /// An attribute, child or member has a value that is not allowed.
    #[error("Invalid '{what}' in {element}")]
    Invalid {
        /// Where.
        element: &'static str,
        /// Which attribute, child or member.
        what: &'static str,
    },
    /// A JSON text that is not JSON, or not an object.
    #[error("not a JSON object")]
    Json,
    /// More than the limit allows.
    #[error("too large")]
    TooLarge,
}

impl ParseError {
    /// The counter's label.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unexpected(_) => "unexpected",
            Self::Missing { .. } => "missing",
            Self::Invalid { .. } => "invalid",
            Self::Json => "json",
            Self::TooLarge => "too_large",
        }
    }

    /// The stanza error that answers the request.
    pub fn to_stanza_error(&self) -> StanzaError {
        StanzaError::new(Condition::BadRequest).with_text(self.to_string())
    }
}

/// Errors if `e` is not `name` in `ns`.
pub(crate) fn expect(e: &Element, name: &'static str, ns: &str) -> Result<(), ParseError> {
    if e.is(name, ns) { Ok(()) } else { Err(ParseError::Unexpected(name)) }
}

/// A required attribute's text.
pub(crate) fn required<'a>(
    e: &'a Element,
    element: &'static str,
    what: &'static str,
) -> Result<&'a str, ParseError> {
    e.attr(what).ok_or(ParseError::Missing { element, what })
}

/// An optional attribute, parsed.
pub(crate) fn optional<T: FromStr>(
    e: &Element,
    element: &'static str,
    what: &'static str,
) -> Result<Option<T>, ParseError> {
    e.attr(what).map(|v| v.trim().parse()).transpose().map_err(|_| ParseError::Invalid { element, what })
}

/// A required attribute, parsed.
pub(crate) fn number<T: FromStr>(
    e: &Element,
    element: &'static str,
    what: &'static str,
) -> Result<T, ParseError> {
    optional(e, element, what)?.ok_or(ParseError::Missing { element, what })
}

/// An optional boolean attribute; `true`/`1` and `false`/`0` as XML Schema has it, any case.
pub(crate) fn boolean(
    e: &Element,
    element: &'static str,
    what: &'static str,
) -> Result<Option<bool>, ParseError> {
    e.attr(what).map(|v| boolean_word(v).ok_or(ParseError::Invalid { element, what })).transpose()
}

/// A boolean word.
pub(crate) fn boolean_word(v: &str) -> Option<bool> {
    match v.trim() {
        "1" => Some(true),
        "0" => Some(false),
        v if v.eq_ignore_ascii_case("true") => Some(true),
        v if v.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// An optional attribute out of a closed set of words.
pub(crate) fn word<T>(
    e: &Element,
    element: &'static str,
    what: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ParseError> {
    e.attr(what).map(|v| parse(v).ok_or(ParseError::Invalid { element, what })).transpose()
}

/// An id that is neither empty nor longer than [`MAX_ID_BYTES`].
pub(crate) fn short<'a>(
    v: &'a str,
    element: &'static str,
    what: &'static str,
) -> Result<&'a str, ParseError> {
    if v.is_empty() || v.len() > MAX_ID_BYTES { Err(ParseError::Invalid { element, what }) } else { Ok(v) }
}
