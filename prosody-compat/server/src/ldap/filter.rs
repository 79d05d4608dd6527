//! A filter as an admin writes it (RFC 4515) in; a tree, and for each person who logs in the bytes that a search has for it, out.
//!
//! What a person says is put into values of the tree, never into text: no name can change what is asked.

use super::ber::Writer;

/// A filter with places for who logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// Tag, attribute and value: equal, at least, at most, about.
    Compare(u8, Vec<u8>, Value),
    /// How the value begins, what is in it, how it ends.
    Substrings(Vec<u8>, Option<Value>, Vec<Value>, Option<Value>),
    Present(Vec<u8>),
    /// Attribute, rule, whether names of the entry count, value.
    Extensible(Option<Vec<u8>>, Option<Vec<u8>>, bool, Value),
}

/// A value: bytes, and places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    User,
    Domain,
}

/// Who logs in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who<'a> {
    pub(super) user: &'a str,
    pub(super) domain: &'a str,
}

/// Why a filter is none. Blame: the admin. Consequence: no start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Not as RFC 4515 has it.
    #[error("the filter is not understood; it is written as `uid=%u` or `(&(uid=%u)(objectClass=person))`")]
    Syntax,
    /// A place that means nothing here.
    #[error("the filter has a place that is none of %u, %U, %d, %r and %%")]
    Place,
    /// It finds the same for everybody.
    #[error("the filter has no %u, so that every name would be the same person")]
    Everybody,
    /// Longer, or deeper, than any in use.
    #[error("the filter is longer than 2000 bytes, or nested deeper than 16")]
    TooLarge,
}

impl Filter {
    /// Reads one that finds a person; the outer brackets may be missing.
    pub(super) fn parse(text: &str) -> Result<Self, FilterError> {
        let filter = Self::of_an_entry(text)?;
        filter.names_somebody().then_some(filter).ok_or(FilterError::Everybody)
    }

    /// Reads one about an entry that is found already.
    pub(super) fn of_an_entry(text: &str) -> Result<Self, FilterError> {
        if text.len() > BYTES {
            return Err(FilterError::TooLarge);
        }
        let text = text.trim();
        let wrapped = if text.starts_with('(') { text.to_owned() } else { format!("({text})") };
        let (filter, rest) = filter(&wrapped, 0)?;
        if !rest.is_empty() {
            return Err(FilterError::Syntax);
        }
        Ok(filter)
    }

    /// Whether this attribute has exactly this value.
    pub(super) fn equal(attribute: &str, value: &[u8]) -> Self {
        Self::Compare(EQUAL, attribute.as_bytes().to_vec(), Value(vec![Part::Bytes(value.to_vec())]))
    }

    /// Whether one of these holds.
    pub(super) const fn any(all: Vec<Self>) -> Self {
        Self::Or(all)
    }

    /// Whether each way through it asks for the person. A part that is negated, or one of several ways, does not.
    fn names_somebody(&self) -> bool {
        match self {
            Self::And(all) => all.iter().any(Self::names_somebody),
            Self::Or(all) => !all.is_empty() && all.iter().all(Self::names_somebody),
            Self::Compare(EQUAL, _, value) | Self::Extensible(.., value) => value.has_user(),
            // Such as `mail=%u@*`.
            Self::Substrings(_, first, _, last) => [first, last].into_iter().flatten().any(Value::has_user),
            Self::Not(_) | Self::Compare(..) | Self::Present(_) => false,
        }
    }

    /// As a search asks it.
    pub(super) fn write(&self, who: Who<'_>, out: &mut Writer) {
        let list = |tag: u8, all: &[Self], out: &mut Writer| {
            out.inner(tag, |inner| all.iter().for_each(|f| f.write(who, inner)));
        };
        match self {
            Self::And(all) => list(0xa0, all, out),
            Self::Or(all) => list(0xa1, all, out),
            Self::Not(one) => list(0xa2, std::slice::from_ref(&**one), out),
            Self::Compare(tag, attribute, value) => {
                out.inner(*tag, |inner| {
                    inner.bytes(0x04, attribute).bytes(0x04, &value.of(who));
                });
            }
            Self::Substrings(attribute, first, middle, last) => {
                out.inner(0xa4, |inner| {
                    inner.bytes(0x04, attribute).inner(0x30, |parts| {
                        first.iter().for_each(|v| {
                            parts.bytes(0x80, &v.of(who));
                        });
                        middle.iter().for_each(|v| {
                            parts.bytes(0x81, &v.of(who));
                        });
                        last.iter().for_each(|v| {
                            parts.bytes(0x82, &v.of(who));
                        });
                    });
                });
            }
            Self::Present(attribute) => {
                out.bytes(0x87, attribute);
            }
            Self::Extensible(attribute, rule, names, value) => {
                out.inner(0xa9, |inner| {
                    rule.iter().for_each(|r| {
                        inner.bytes(0x81, r);
                    });
                    attribute.iter().for_each(|a| {
                        inner.bytes(0x82, a);
                    });
                    inner.bytes(0x83, &value.of(who));
                    if *names {
                        inner.bytes(0x84, &[0xff]);
                    }
                });
            }
        }
    }
}

impl Value {
    fn of(&self, who: Who<'_>) -> Vec<u8> {
        let part = |part: &Part| match part {
            Part::Bytes(bytes) => bytes.clone(),
            Part::User => who.user.as_bytes().to_vec(),
            Part::Domain => who.domain.as_bytes().to_vec(),
        };
        self.0.iter().flat_map(part).collect()
    }

    fn has_user(&self) -> bool {
        self.0.contains(&Part::User)
    }

    /// `%xx` are places, `\xx` bytes.
    fn parse(text: &str) -> Result<Self, FilterError> {
        let (mut parts, mut bytes, mut rest) = (Vec::new(), Vec::new(), text.bytes());
        let digit =
            |b: Option<u8>| char::from(b.unwrap_or_default()).to_digit(16).and_then(|d| u8::try_from(d).ok());
        while let Some(b) = rest.next() {
            match b {
                b'%' => {
                    let place = match rest.next() {
                        // compat: what saslauthd puts in, of which a name without a domain has these
                        // (test: compat_places_of_saslauthd).
                        Some(b'u' | b'U') => Part::User,
                        Some(b'd' | b'r') => Part::Domain,
                        Some(b'%') => {
                            bytes.push(b'%');
                            continue;
                        }
                        _ => return Err(FilterError::Place),
                    };
                    parts.push(Part::Bytes(std::mem::take(&mut bytes)));
                    parts.push(place);
                }
                b'\\' => {
                    let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                        return Err(FilterError::Syntax);
                    };
                    bytes.push(high << 4 | low);
                }
                b'(' | b')' | b'*' | 0 => return Err(FilterError::Syntax),
                other => bytes.push(other),
            }
        }
        parts.push(Part::Bytes(bytes));
        Ok(Self(parts))
    }
}

/// One in brackets, and what is behind it.
fn filter(text: &str, depth: usize) -> Result<(Filter, &str), FilterError> {
    if depth > DEPTH {
        return Err(FilterError::TooLarge);
    }
    let inner = text.trim_start().strip_prefix('(').ok_or(FilterError::Syntax)?;
    let several = |rest: &'_ str| -> Result<(Vec<Filter>, usize), FilterError> {
        let (mut all, mut left) = (Vec::new(), rest);
        while left.trim_start().starts_with('(') {
            let (one, behind) = filter(left, depth + 1)?;
            all.push(one);
            left = behind;
        }
        Ok((all, rest.len() - left.len()))
    };
    let (found, left) = match inner.trim_start().split_at_checked(1).ok_or(FilterError::Syntax)? {
        ("&", rest) => several(rest).map(|(all, n)| (Filter::And(all), rest.get(n..)))?,
        ("|", rest) => several(rest).map(|(all, n)| (Filter::Or(all), rest.get(n..)))?,
        ("!", rest) => {
            let (one, behind) = filter(rest, depth + 1)?;
            (Filter::Not(Box::new(one)), Some(behind))
        }
        _ => {
            let end = inner.find(')').ok_or(FilterError::Syntax)?;
            (item(inner.get(..end).unwrap_or_default())?, inner.get(end..))
        }
    };
    let left = left.and_then(|l| l.trim_start().strip_prefix(')')).ok_or(FilterError::Syntax)?;
    Ok((found, left))
}

/// `uid=anna` and its kin.
fn item(text: &str) -> Result<Filter, FilterError> {
    let (left, value) = text.split_once('=').ok_or(FilterError::Syntax)?;
    let attribute = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.;_".contains(c);
        let text = text.trim();
        (!text.is_empty() && text.chars().all(plain))
            .then(|| text.as_bytes().to_vec())
            .ok_or(FilterError::Syntax)
    };
    if let Some(left) = left.strip_suffix(':') {
        // `attribute:dn:rule:=value`, of which all but the value may be missing.
        let mut parts = left.split(':');
        let first = parts.next().unwrap_or_default();
        let mut names = false;
        let mut rule = None;
        for part in parts {
            if part.eq_ignore_ascii_case("dn") && !names && rule.is_none() {
                names = true;
            } else if rule.is_none() {
                rule = Some(attribute(part)?);
            } else {
                return Err(FilterError::Syntax);
            }
        }
        let of = if first.trim().is_empty() { None } else { Some(attribute(first)?) };
        if of.is_none() && rule.is_none() {
            return Err(FilterError::Syntax);
        }
        return Ok(Filter::Extensible(of, rule, names, Value::parse(value)?));
    }
    for (sign, tag) in [('>', 0xa5), ('<', 0xa6), ('~', 0xa8)] {
        if let Some(left) = left.strip_suffix(sign) {
            return Ok(Filter::Compare(tag, attribute(left)?, Value::parse(value)?));
        }
    }
    let attribute = attribute(left)?;
    if value == "*" {
        return Ok(Filter::Present(attribute));
    }
    let Some((first, rest)) = value.split_once('*') else {
        return Ok(Filter::Compare(EQUAL, attribute, Value::parse(value)?));
    };
    let part = |text: &str| (!text.is_empty()).then(|| Value::parse(text)).transpose();
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let middle = middle.split('*').filter_map(|m| part(m).transpose()).collect::<Result<_, _>>()?;
    Ok(Filter::Substrings(attribute, part(first)?, middle, part(last)?))
}

const EQUAL: u8 = 0xa3;
/// Bytes of a filter. Reason: those of Active Directory with groups have some 300.
const BYTES: usize = 2_000;
/// Brackets in each other. Reason: those in use have four.
const DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, user: &str) -> Vec<u8> {
        let mut out = Writer::default();
        Filter::parse(text).unwrap().write(Who { user, domain: "town.example" }, &mut out);
        out.done()
    }

    /// As `ldapsearch` writes them.
    #[test]
    fn filters_are_written_as_ldap_has_them() {
        assert_eq!(written("uid=%u", "anna"), b"\xa3\x0b\x04\x03uid\x04\x04anna");
        assert_eq!(
            written("(&(uid=%u)(!(a=1)))", "b"),
            b"\xa0\x14\xa3\x08\x04\x03uid\x04\x01b\xa2\x08\xa3\x06\x04\x01a\x04\x011"
        );
        assert_eq!(
            written("(|(uid=%u)(mail=%u@%d))", "b"),
            b"\xa1\x22\xa3\x08\x04\x03uid\x04\x01b\xa3\x16\x04\x04mail\x04\x0eb@town.example"
        );
        assert_eq!(
            written("(&(uid=%u)(objectClass=*))", "b"),
            b"\xa0\x17\xa3\x08\x04\x03uid\x04\x01b\x87\x0bobjectClass"
        );
        assert_eq!(
            written("(&(uid=%u)(cn=a*b*c))", "b"),
            b"\xa0\x1b\xa3\x08\x04\x03uid\x04\x01b\xa4\x0f\x04\x02cn\x30\x09\x80\x01a\x81\x01b\x82\x01c"
        );
        let of_a_group = written("(&(uid=%u)(memberOf:1.2.840.113556.1.4.1941:=cn=x))", "b");
        let rule = b"\xa9\x29\x81\x17" as &[u8];
        assert!(of_a_group.windows(rule.len()).any(|w| w == rule), "{of_a_group:02x?}");
    }

    #[test]
    fn a_name_never_changes_what_is_asked() {
        let plain = written("(&(uid=%u)(a=1))", "x");
        for name in ["*", ")(uid=*", "\\2a", "%u", "a\0b"] {
            let odd = written("(&(uid=%u)(a=1))", name);
            assert_eq!(odd.len(), plain.len() + name.len() - 1, "{name}");
            assert!(odd.windows(name.len()).any(|w| w == name.as_bytes()), "{name}: a value as it is");
        }
    }

    #[test]
    fn compat_places_of_saslauthd() {
        assert_eq!(written("uid=%U", "b"), written("uid=%u", "b"));
        assert_eq!(written("(&(uid=%u)(o=%r))", "b"), written("(&(uid=%u)(o=%d))", "b"));
        assert_eq!(
            written("(&(uid=%u)(o=%%))", "b"),
            b"\xa0\x12\xa3\x08\x04\x03uid\x04\x01b\xa3\x06\x04\x01o\x04\x01%"
        );
        assert_eq!(Filter::parse("uid=%x"), Err(FilterError::Place));
    }

    #[test]
    fn what_is_no_filter_or_finds_everybody_stops_the_start() {
        for odd in [
            "",
            "uid",
            "(uid=%u",
            "(uid=%u))",
            "(&(uid=%u)x)",
            "(=%u)",
            "uid=%u\\zz",
            "((uid=%u))",
            "(u id=%u)",
        ] {
            assert_eq!(Filter::parse(odd), Err(FilterError::Syntax), "{odd}");
        }
        for all in
            ["objectClass=person", "(|(uid=%u)(uid=*))", "(!(uid=%u))", "(uid=*)", "(&)", "(|)", "uid>=%u"]
        {
            assert_eq!(Filter::parse(all), Err(FilterError::Everybody), "{all}");
        }
        let deep = |n: usize| format!("{}(uid=%u){}", "(&".repeat(n), ")".repeat(n));
        assert!(Filter::parse(&deep(DEPTH)).is_ok());
        assert_eq!(Filter::parse(&deep(DEPTH + 1)), Err(FilterError::TooLarge));
        let long = |n: usize| format!("(&(uid=%u)(a={}))", "x".repeat(n - 15));
        assert!(Filter::parse(&long(BYTES)).is_ok());
        assert_eq!(Filter::parse(&long(BYTES + 1)), Err(FilterError::TooLarge));
    }
}
