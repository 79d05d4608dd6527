//! Who moderates, as an admin writes it, in; where to look for an answer, and with which filter, for each person out.
//!
//! Either a group that names its members, or something that each member's own entry says.

use super::filter::{Filter, FilterError, Who};
use super::message::Scope;

/// Those who moderate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Group {
    /// Whom the entry of this name names.
    Named(String),
    /// Whose own entry passes this.
    Passing(Filter),
}

/// Why nobody knows who they are. Blame: the admin. Consequence: the server does not start, so that nobody moderates, or does not, by
/// mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// A filter that is none.
    #[error("{0}")]
    Filter(#[from] FilterError),
    /// Neither.
    #[error(
        "moderators are named by their group's entry, as `cn=chairs,ou=groups,dc=town`, or by a filter in brackets that one's own entry passes, as `(memberOf=cn=chairs,ou=groups,dc=town)`"
    )]
    Name,
    /// Nobody looks.
    #[error("moderators are looked for, which nobody does with `fastbind`: use `bind`")]
    Fastbind,
}

impl Group {
    /// Reads what is written.
    pub(super) fn parse(text: &str) -> Result<Self, GroupError> {
        let text = text.trim();
        if text.starts_with('(') {
            return Ok(Self::Passing(Filter::of_an_entry(text)?));
        }
        if text.len() > BYTES || !is_name(text) {
            return Err(GroupError::Name);
        }
        Ok(Self::Named(text.to_owned()))
    }

    /// Where one looks about the person whose entry is `dn`: it is one of them if an entry is found there.
    pub(super) fn question<'a>(&'a self, dn: &'a [u8], who: Who<'_>) -> ((&'a [u8], Scope), Filter) {
        match self {
            Self::Named(group) => {
                // Of `groupOfNames` and Active Directory, `groupOfUniqueNames`, `posixGroup`.
                let ways = [("member", dn), ("uniqueMember", dn), ("memberUid", who.user.as_bytes())];
                let ways = ways.map(|(attribute, value)| Filter::equal(attribute, value));
                ((group.as_bytes(), Scope::Entry), Filter::any(ways.into()))
            }
            Self::Passing(filter) => ((dn, Scope::Entry), filter.clone()),
        }
    }
}

/// Whether it is the name of an entry (RFC 4514). One whose values have a sign `=` that is not escaped is a filter without brackets.
fn is_name(text: &str) -> bool {
    let mut parts = vec![String::new()];
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, parts.last_mut()) {
            // What is escaped is no sign.
            ('\\', Some(part)) if rest.next().is_some() => part.push('x'),
            ('\\' | '"' | ';' | '<' | '>' | '(' | ')' | '*' | '\0', _) => return false,
            (',' | '+', _) => parts.push(String::new()),
            (c, Some(part)) => part.push(c),
            (_, None) => return false,
        }
    }
    parts.iter().all(|part| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        part.split_once('=').is_some_and(|(attribute, value)| {
            let (attribute, value) = (attribute.trim(), value.trim());
            !attribute.is_empty() && attribute.chars().all(plain) && !value.is_empty() && !value.contains('=')
        })
    })
}

/// Bytes of one, as of a filter.
const BYTES: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ldap::ber::Writer;

    #[test]
    fn a_group_is_named_or_one_s_entry_says_it_and_nothing_else_is_understood() {
        for name in
            ["cn=chairs,dc=town", " CN=Gro\u{df}e Runde , OU=x+cn=y,DC=town", "cn=a\\,b,dc=x", "2.5.4.3=a"]
        {
            assert_eq!(Group::parse(name), Ok(Group::Named(name.trim().to_owned())));
        }
        assert!(matches!(Group::parse("(memberOf=cn=chairs,dc=town)"), Ok(Group::Passing(_))));
        for odd in [
            "",
            "chairs",
            "memberOf=cn=chairs,dc=town",
            "cn=",
            "cn=a,",
            "=a",
            "cn=*",
            "cn=a\\",
            "ldap://x/cn=a",
            "cn=a(b)",
            "chairs@town.example=x",
        ] {
            assert_eq!(Group::parse(odd), Err(GroupError::Name), "{odd}");
        }
        assert_eq!(Group::parse("(memberOf=%x)"), Err(FilterError::Place.into()));
        assert_eq!(Group::parse("(memberOf=a"), Err(FilterError::Syntax.into()));
        assert!(Group::parse(&format!("cn={}", "x".repeat(BYTES - 3))).is_ok());
        assert_eq!(Group::parse(&format!("cn={}", "x".repeat(BYTES - 2))), Err(GroupError::Name));
    }

    #[test]
    fn an_entry_s_name_is_a_value_of_what_is_asked() {
        let who = Who { user: "anna", domain: "" };
        let group = Group::parse("cn=chairs,dc=town").unwrap();
        let (at, filter) = group.question(b"uid=a)(b*,dc=town", who);
        assert_eq!(at, (&b"cn=chairs,dc=town"[..], Scope::Entry));
        let mut out = Writer::default();
        filter.write(who, &mut out);
        let bytes = out.done();
        assert_eq!(bytes[0], 0xa1);
        for part in [&b"\x04\x06member\x04\x11uid=a)(b*,dc=town"[..], b"\x04\x09memberUid\x04\x04anna"] {
            assert!(bytes.windows(part.len()).any(|w| w == part));
        }
        let own = Group::parse("(title=chair)").unwrap();
        assert_eq!(own.question(b"uid=anna", who).0, (&b"uid=anna"[..], Scope::Entry));
    }
}
