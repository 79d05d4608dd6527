//! Addresses: text in, checked and prepared JIDs out (RFC 7622, in the dialect that Jitsi needs).

use std::fmt;
use std::str::FromStr;

use crate::limits::MAX_JID_PART_BYTES;
use crate::prepare;

/// Why a text is not a JID. Blame: the peer. Consequence: the stanza is answered with `jid-malformed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JidError {
    /// No domain part.
    #[error("empty domain")]
    EmptyDomain,
    /// `@` with nothing before it.
    #[error("empty node")]
    EmptyNode,
    /// `/` with nothing after it.
    #[error("empty resource")]
    EmptyResource,
    /// A character that this part may not contain.
    #[error("forbidden character")]
    ForbiddenCharacter,
    /// A part is longer than 1,023 bytes (RFC 7622 §3.1).
    #[error("part longer than 1023 bytes")]
    TooLong,
    /// A full or bare JID was required and the other kind was given.
    #[error("wrong kind of JID")]
    WrongKind,
}

/// Any JID: `[node@]domain[/resource]`, prepared: two spellings of one address are equal.
///
/// compat: domain labels with `_` are accepted, because tenant hosts contain them
/// (test: compat_underscore_in_domain_is_accepted).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Jid {
    text: Box<str>,
    node_end: u16,
    domain_end: u16,
}

impl Jid {
    /// Builds a JID from its parts and prepares them.
    pub fn new(node: Option<&str>, domain: &str, resource: Option<&str>) -> Result<Self, JidError> {
        let bytes = node.map_or(0, |n| n.len() + 1) + domain.len() + resource.map_or(0, |r| r.len() + 1);
        let mut text = String::with_capacity(bytes);
        if let Some(n) = node {
            prepare::node(n, &mut text)?;
            text.push('@');
        }
        let node_end = text.len();
        prepare::domain(domain, &mut text)?;
        let domain_end = text.len();
        Self::with_ends(text, node_end, domain_end, resource)
    }

    /// From a node and a domain that are prepared, or only used as a key. The resource is prepared.
    pub(crate) fn from_prepared(
        node: Option<&str>,
        domain: &str,
        resource: Option<&str>,
    ) -> Result<Self, JidError> {
        let bytes = node.map_or(0, |n| n.len() + 1) + domain.len() + resource.map_or(0, |r| r.len() + 1);
        let mut text = String::with_capacity(bytes);
        if let Some(n) = node {
            text.push_str(n);
            text.push('@');
        }
        let node_end = text.len();
        text.push_str(domain);
        let domain_end = text.len();
        if node_end > MAX_JID_PART_BYTES + 1 || domain_end - node_end > MAX_JID_PART_BYTES {
            return Err(JidError::TooLong);
        }
        Self::with_ends(text, node_end, domain_end, resource)
    }

    fn with_ends(
        mut text: String,
        node_end: usize,
        domain_end: usize,
        resource: Option<&str>,
    ) -> Result<Self, JidError> {
        if let Some(r) = resource {
            text.push('/');
            prepare::resource(r, &mut text)?;
        }
        let (Ok(node_end), Ok(domain_end)) = (u16::try_from(node_end), u16::try_from(domain_end)) else {
            return Err(JidError::TooLong);
        };
        Ok(Self { text: text.into(), node_end, domain_end })
    }

    /// The part before `@`, if any.
    pub fn node(&self) -> Option<&str> {
        self.text.get(..usize::from(self.node_end).checked_sub(1)?)
    }

    /// The domain part; never empty.
    pub fn domain(&self) -> &str {
        self.text.get(self.node_end.into()..self.domain_end.into()).unwrap_or_default()
    }

    /// The part after the first `/`, if any.
    pub fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.domain_end) + 1..)
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text form without the resource.
    pub fn bare_str(&self) -> &str {
        self.text.get(..self.domain_end.into()).unwrap_or_default()
    }

    /// The same address without its resource.
    pub fn to_bare(&self) -> BareJid {
        BareJid(Self { text: self.bare_str().into(), node_end: self.node_end, domain_end: self.domain_end })
    }

    /// The same address, if it has a resource.
    pub fn to_full(&self) -> Option<FullJid> {
        self.resource().is_some().then(|| FullJid(self.clone()))
    }
}

impl FromStr for Jid {
    type Err = JidError;

    fn from_str(s: &str) -> Result<Self, JidError> {
        let (address, resource) = match s.split_once('/') {
            Some((a, r)) => (a, Some(r)),
            None => (s, None),
        };
        match address.split_once('@') {
            Some((n, d)) => Self::new(Some(n), d, resource),
            None => Self::new(None, address, resource),
        }
    }
}

/// A JID without resource: a room, an account, a component.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BareJid(Jid);

/// A JID with resource: a session or an occupant.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FullJid(Jid);

impl BareJid {
    /// `node@domain` from checked parts.
    pub fn from_parts(node: &str, domain: &str) -> Result<Self, JidError> {
        Jid::new(Some(node), domain, None).map(Self)
    }

    /// The same address with a resource.
    pub fn with_resource(&self, resource: &str) -> Result<FullJid, JidError> {
        Jid::from_prepared(self.0.node(), self.0.domain(), Some(resource)).map(FullJid)
    }

    /// From a prepared node and domain, or what is only used as a key.
    pub(crate) fn from_prepared(node: &str, domain: &str) -> Result<Self, JidError> {
        Jid::from_prepared(Some(node), domain, None).map(Self)
    }

    /// As a [`Jid`].
    pub fn as_jid(&self) -> &Jid {
        &self.0
    }

    /// As a [`Jid`].
    pub fn into_jid(self) -> Jid {
        self.0
    }

    /// The part before `@`, if any.
    pub fn node(&self) -> Option<&str> {
        self.0.node()
    }

    /// The domain part.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FullJid {
    /// As a [`Jid`].
    pub fn as_jid(&self) -> &Jid {
        &self.0
    }

    /// As a [`Jid`].
    pub fn into_jid(self) -> Jid {
        self.0
    }

    /// The part before `@`, if any.
    pub fn node(&self) -> Option<&str> {
        self.0.node()
    }

    /// The domain part.
    pub fn domain(&self) -> &str {
        self.0.domain()
    }

    /// The resource: for an occupant, the nick.
    pub fn resource(&self) -> &str {
        self.0.resource().unwrap_or_default()
    }

    /// The address without resource.
    pub fn to_bare(&self) -> BareJid {
        self.0.to_bare()
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for BareJid {
    type Err = JidError;

    fn from_str(s: &str) -> Result<Self, JidError> {
        let jid: Jid = s.parse()?;
        if jid.resource().is_some() { Err(JidError::WrongKind) } else { Ok(Self(jid)) }
    }
}

impl FromStr for FullJid {
    type Err = JidError;

    fn from_str(s: &str) -> Result<Self, JidError> {
        let jid: Jid = s.parse()?;
        if jid.resource().is_some() { Ok(Self(jid)) } else { Err(JidError::WrongKind) }
    }
}

impl From<BareJid> for Jid {
    fn from(j: BareJid) -> Self {
        j.0
    }
}

impl From<FullJid> for Jid {
    fn from(j: FullJid) -> Self {
        j.0
    }
}

/// A JID is personal: its text is written by `as_str()` where a stanza needs it, never by `Debug`.
macro_rules! redacted_debug {
    ($($t:ty),*) => {$(
        impl fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("‹jid›")
            }
        }
    )*};
}
redacted_debug!(Jid, BareJid, FullJid);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_lower_cases_node_and_domain_only() {
        let j: Jid = "Rathaus@MUC.meet.Jitsi/A@b/c".parse().unwrap();
        assert_eq!((j.node(), j.domain(), j.resource()), (Some("rathaus"), "muc.meet.jitsi", Some("A@b/c")));
        assert_eq!(j.to_bare().as_str(), "rathaus@muc.meet.jitsi");
    }

    #[test]
    fn domain_only_has_no_node() {
        let j: Jid = "focus.meet.jitsi".parse().unwrap();
        assert_eq!((j.node(), j.domain(), j.resource()), (None, "focus.meet.jitsi", None));
        let j: Jid = "focus.meet.jitsi/a@b/c".parse().unwrap();
        assert_eq!((j.node(), j.resource()), (None, Some("a@b/c")));
    }

    #[test]
    fn refuses_what_is_no_jid() {
        for bad in ["", "@d", "a@", "a@b@c", "a b@c", "a@b/", "a<@b"] {
            assert!(bad.parse::<Jid>().is_err(), "{bad}");
        }
        assert!("a@b".parse::<FullJid>().is_err());
        assert!("a@b/c".parse::<BareJid>().is_err());
    }

    #[test]
    fn compat_underscore_in_domain_is_accepted() {
        assert!("r@muc.stadt_x.meet.jitsi".parse::<Jid>().is_ok());
    }

    #[test]
    fn two_spellings_of_one_address_are_equal() {
        let (a, b): (Jid, Jid) =
            ("Cafe\u{301}@MEET.example./x".parse().unwrap(), "café@meet.example/x".parse().unwrap());
        assert_eq!(a, b);
        assert!("\u{feff}@meet.example".parse::<Jid>().is_err());
    }

    #[test]
    fn a_part_of_1023_bytes_is_the_limit() {
        assert!(Jid::new(Some(&"a".repeat(1023)), "b", None).is_ok());
        assert_eq!(Jid::new(Some(&"a".repeat(1024)), "b", None), Err(JidError::TooLong));
    }

    #[test]
    fn debug_does_not_show_the_address() {
        assert!(!format!("{:?}", "anna@b/c".parse::<FullJid>().unwrap()).contains("anna"));
    }
}
