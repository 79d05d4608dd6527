//! Preparing the parts of an address and passwords: a text as somebody typed it in, its one spelling out (RFC 7622,
//! RFC 8265).
//!
//! Almost every address is ASCII, where preparing is one look at each byte. The rest goes through PRECIS: decision 0003.

use std::borrow::Cow;

use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCaseMapped};

use crate::jid::JidError;
use crate::limits::MAX_JID_PART_BYTES;

/// Appends a node: lower-case, without what RFC 7622 §3.3.1 forbids.
pub(crate) fn node(part: &str, out: &mut String) -> Result<(), JidError> {
    bounded(part, JidError::EmptyNode)?;
    let forbidden = |text: &str| text.bytes().any(forbidden_in_node);
    if part.is_ascii() {
        if forbidden(part) {
            return Err(JidError::ForbiddenCharacter);
        }
        push_lower(part, out);
        return Ok(());
    }
    let prepared = stable::<UsernameCaseMapped>(part)?;
    // Full-width signs have become ASCII.
    if forbidden(&prepared) {
        return Err(JidError::ForbiddenCharacter);
    }
    bounded(&prepared, JidError::EmptyNode)?;
    out.push_str(&prepared);
    Ok(())
}

/// Appends a domain: lower-case, without a dot at its end. Labels that are not ASCII are prepared one by one, by the
/// rules of node names, which are those of international domain names (RFC 7622 §3.2, RFC 5895).
///
/// compat: ASCII labels are not held to letters, digits and hyphens: tenants contain other signs
/// (test: compat_underscore_in_domain_is_accepted).
pub(crate) fn domain(part: &str, out: &mut String) -> Result<(), JidError> {
    let part = part.strip_suffix('.').unwrap_or(part);
    bounded(part, JidError::EmptyDomain)?;
    if part.is_ascii() {
        let mut before = b'.';
        for byte in part.bytes() {
            if forbidden_in_domain(byte) {
                return Err(JidError::ForbiddenCharacter);
            }
            if byte == b'.' && before == b'.' {
                return Err(JidError::EmptyDomain);
            }
            before = byte;
        }
        if before == b'.' {
            return Err(JidError::EmptyDomain);
        }
        push_lower(part, out);
        return Ok(());
    }
    let start = out.len();
    for (i, label) in part.split(is_dot).enumerate() {
        if i > 0 {
            out.push('.');
        }
        if label.is_ascii() {
            push_lower(label, out);
        } else {
            out.push_str(&stable::<UsernameCaseMapped>(label)?);
        }
        if label.is_empty() {
            return Err(JidError::EmptyDomain);
        }
    }
    let prepared = out.get(start..).unwrap_or_default();
    bounded(prepared, JidError::EmptyDomain)?;
    if prepared.bytes().any(forbidden_in_domain) {
        return Err(JidError::ForbiddenCharacter);
    }
    Ok(())
}

/// Appends a resource: case stays.
pub(crate) fn resource(part: &str, out: &mut String) -> Result<(), JidError> {
    bounded(part, JidError::EmptyResource)?;
    if part.is_ascii() {
        if part.bytes().any(|b| b.is_ascii_control()) {
            return Err(JidError::ForbiddenCharacter);
        }
        out.push_str(part);
        return Ok(());
    }
    let prepared = stable::<OpaqueString>(part)?;
    bounded(&prepared, JidError::EmptyResource)?;
    out.push_str(&prepared);
    Ok(())
}

/// A password as SASL compares it: one form for letters that can be written in several (RFC 8265 §4, which replaces
/// SASLprep). `None`: nobody can have this password.
pub fn password(text: &str) -> Option<Cow<'_, str>> {
    if text.is_empty() || text.len() > MAX_JID_PART_BYTES || text.bytes().any(|b| b.is_ascii_control()) {
        return None;
    }
    if text.is_ascii() { Some(text.into()) } else { stable::<OpaqueString>(text).ok() }
}

/// What preparing again does not change. The profiles are not idempotent for every text; a text that is spelled
/// otherwise the second time would be two addresses.
fn stable<P: PrecisFastInvocation>(part: &str) -> Result<Cow<'_, str>, JidError> {
    let once = P::enforce(part).map_err(|_| JidError::ForbiddenCharacter)?;
    let same = P::enforce(once.as_ref()).is_ok_and(|twice| twice == once);
    if same { Ok(once) } else { Err(JidError::ForbiddenCharacter) }
}

fn bounded(part: &str, empty: JidError) -> Result<(), JidError> {
    match part.len() {
        0 => Err(empty),
        n if n > MAX_JID_PART_BYTES => Err(JidError::TooLong),
        _ => Ok(()),
    }
}

fn push_lower(ascii: &str, out: &mut String) {
    let start = out.len();
    out.push_str(ascii);
    if let Some(new) = out.get_mut(start..) {
        new.make_ascii_lowercase();
    }
}

/// RFC 5895 §2.3: what people type for a dot between labels.
const fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}')
}

/// What no node may contain (RFC 7622 §3.3.1). Bytes of longer characters are none of these: PRECIS looks at those.
const fn forbidden_in_node(byte: u8) -> bool {
    byte == b':' || forbidden_in_domain(byte)
}

const fn forbidden_in_domain(byte: u8) -> bool {
    matches!(byte, 0..=0x20 | 0x7f | b'"' | b'&' | b'\'' | b'/' | b'<' | b'>' | b'@')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(
        part: impl Fn(&str, &mut String) -> Result<(), JidError>,
        text: &str,
    ) -> Result<String, JidError> {
        let mut out = String::new();
        part(text, &mut out).map(|()| out)
    }

    #[test]
    fn one_letter_written_in_two_ways_is_one_name() {
        for (a, b) in [("caf\u{e9}", "cafe\u{301}"), ("BÜRGER", "bürger"), ("Ａb１", "ab1"), ("Å", "å")]
        {
            assert_eq!(prepared(node, a), prepared(node, b), "{a} {b}");
            assert_eq!(prepared(domain, a), prepared(domain, b), "{a} {b}");
        }
        assert_eq!(prepared(resource, "Jose\u{301}"), Ok("Jos\u{e9}".into()));
        assert_eq!(prepared(resource, "a\u{a0}b"), Ok("a b".into()));
        assert_eq!(password("pa\u{301}ss\u{2003}").as_deref(), Some("p\u{e1}ss "));
    }

    #[test]
    fn what_cannot_be_seen_is_no_name() {
        for bad in ["\u{feff}", "a\u{200b}b", "a\u{ad}b", "\u{2060}", "a\u{202e}b", "\u{ffff}", "a\u{85}"] {
            assert!(prepared(node, bad).is_err(), "{bad:?}");
            assert!(prepared(domain, bad).is_err(), "{bad:?}");
            assert!(prepared(resource, bad).is_err(), "{bad:?}");
            assert!(password(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn signs_that_turn_into_forbidden_ones_are_forbidden() {
        for bad in ["a＠b", "a／b", "a＜b", "a：b", "a\u{3000}b"] {
            assert_eq!(prepared(node, bad), Err(JidError::ForbiddenCharacter), "{bad}");
        }
        assert_eq!(prepared(domain, "a＠b"), Err(JidError::ForbiddenCharacter));
        assert_eq!(prepared(domain, "ü。example."), Ok("ü.example".into()));
        assert_eq!(prepared(domain, "ü。。example"), Err(JidError::EmptyDomain));
    }

    /// `..` was the domain `.`, and that none when it was read again.
    #[test]
    fn a_domain_without_all_its_labels_is_refused() {
        assert_eq!(prepared(domain, "a.example."), Ok("a.example".into()));
        for bad in ["..", ".", ".a", "a..b", "a.."] {
            assert_eq!(prepared(domain, bad), Err(JidError::EmptyDomain), "{bad}");
        }
    }

    #[test]
    fn a_part_that_grows_beyond_its_limit_is_refused() {
        // U+0149 and the like are forbidden; letters that grow in lower case are not: Ⱥ (2 bytes) becomes ⱥ (3 bytes).
        let fits = "Ⱥ".repeat(MAX_JID_PART_BYTES / 3);
        assert_eq!(prepared(node, &fits).map(|t| t.len()), Ok(MAX_JID_PART_BYTES));
        assert_eq!(prepared(node, &format!("{fits}a")), Err(JidError::TooLong));
    }

    /// Every code point alone, first and last: preparing twice is preparing once, and the fast way agrees with PRECIS.
    #[test]
    fn preparing_again_changes_nothing() {
        for c in (0..=0x0010_ffff).filter_map(char::from_u32) {
            for text in [c.to_string(), format!("{c}b"), format!("a{c}")] {
                for part in [node, domain, resource] {
                    if let Ok(once) = prepared(part, &text) {
                        assert_eq!(prepared(part, &once).as_ref(), Ok(&once), "{:04x}", u32::from(c));
                    }
                }
                if c.is_ascii() && !"\"&'/:<>@".contains(c) {
                    let precis = UsernameCaseMapped::enforce(text.as_str()).map(Cow::into_owned);
                    assert_eq!(prepared(node, &text).ok(), precis.ok(), "{text:?}");
                    let precis = OpaqueString::enforce(text.as_str()).map(Cow::into_owned);
                    assert_eq!(prepared(resource, &text).ok(), precis.ok(), "{text:?}");
                }
            }
        }
    }
}
