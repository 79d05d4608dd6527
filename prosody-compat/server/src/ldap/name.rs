//! The name of an entry as an admin writes it, with places for who logs in, in; that person's entry out.
//!
//! What a person says is escaped (RFC 4514 §2.4): no name can lead to somebody else's entry.

use super::filter::{FilterError, Who};

/// A name with places: `uid=%u,ou=people,dc=town`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    User,
    Domain,
}

impl Name {
    /// Reads one. It has the places of a filter.
    pub(super) fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > BYTES {
            return Err(FilterError::TooLarge);
        }
        let (mut parts, mut own, mut rest) = (Vec::new(), String::new(), text.trim().chars());
        while let Some(c) = rest.next() {
            let place = match (c, c == '%') {
                (_, true) => match rest.next() {
                    Some('u' | 'U') => Part::User,
                    Some('d' | 'r') => Part::Domain,
                    Some('%') => {
                        own.push('%');
                        continue;
                    }
                    _ => return Err(FilterError::Place),
                },
                ('\0', _) => return Err(FilterError::Syntax),
                (c, _) => {
                    own.push(c);
                    continue;
                }
            };
            parts.push(Part::Text(std::mem::take(&mut own)));
            parts.push(place);
        }
        parts.push(Part::Text(own));
        if parts.contains(&Part::User) { Ok(Self(parts)) } else { Err(FilterError::Everybody) }
    }

    /// Whose it is.
    pub(super) fn of(&self, who: Who<'_>) -> String {
        self.0.iter().fold(String::new(), |mut name, part| {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::User => escape(who.user, &mut name),
                Part::Domain => escape(who.domain, &mut name),
            }
            name
        })
    }
}

/// Everything that could mean something, at any place.
fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' | '#' | ' ' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii_control() => out.push_str(&format!("\\{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
}

/// Bytes of one, as of a filter.
const BYTES: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(template: &str, user: &str) -> String {
        Name::parse(template).unwrap().of(Who { user, domain: "town.example" })
    }

    #[test]
    fn who_logs_in_stands_where_the_admin_has_a_place_for_it() {
        assert_eq!(of("uid=%u,ou=people,dc=town", "anna"), "uid=anna,ou=people,dc=town");
        assert_eq!(of("%U@%d", "anna"), "anna@town.example");
        assert_eq!(
            of("cn=%u (100%%),o=Caf\u{e9}\\, Town", "\u{e4}nna"),
            "cn=\u{e4}nna (100%),o=Caf\u{e9}\\, Town"
        );
    }

    #[test]
    fn nobody_s_name_leads_to_another_entry() {
        assert_eq!(of("uid=%u,dc=town", "anna,ou=chiefs"), "uid=anna\\,ou\\=chiefs,dc=town");
        assert_eq!(of("uid=%u,dc=town", "#1+a=b\\\" ;<>"), "uid=\\#1\\+a\\=b\\\\\\\"\\ \\;\\<\\>,dc=town");
        assert_eq!(of("uid=%u,dc=town", "a\0b"), "uid=a\\00b,dc=town");
    }

    #[test]
    fn a_name_that_is_everybody_s_or_none_is_refused() {
        for (text, error) in [
            ("uid=anna,dc=town", FilterError::Everybody),
            ("uid=%x,dc=town", FilterError::Place),
            ("uid=%u%", FilterError::Place),
            ("uid=%u\0", FilterError::Syntax),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text}");
        }
        assert!(Name::parse(&format!("%u{}", "x".repeat(BYTES - 2))).is_ok());
        assert_eq!(Name::parse(&format!("%u{}", "x".repeat(BYTES - 1))), Err(FilterError::TooLarge));
    }
}
