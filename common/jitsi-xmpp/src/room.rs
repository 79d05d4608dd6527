//! Addresses of meetings: a JID as somebody wrote it in, the one address of the room out (xmpp-server §4.13).
//!
//! A town's room is `room@muc.<tenant>.<domain>` for everybody outside. Inside the XMPP server it is stored as
//! `[tenant]room@muc.<domain>`; that spelling is never read from outside, or one room would have two addresses.

use std::fmt::{self, Write as _};

use unicode_normalization::UnicodeNormalization as _;

use crate::jid::{BareJid, Jid, JidError};
use crate::limits::{MAX_JID_PART_BYTES, MAX_TENANT_CHARS};
use crate::prepare;

/// Why an address is not a meeting's. Blame: the peer. Consequence: the request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// Another domain.
    #[error("not a conference room's domain")]
    Elsewhere,
    /// No room's name.
    #[error("no room")]
    NoRoom,
    /// A name in brackets: how rooms of tenants are stored.
    #[error("a room's name cannot begin with a bracket")]
    StoredSpelling,
    /// A label that is no tenant's name.
    #[error("not a tenant's name")]
    Tenant,
    /// Not an address; or none that can be stored or shown, because it gets too long.
    #[error(transparent)]
    Jid(#[from] JidError),
}

/// A town's name: one label of a domain, prepared.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Box<str>);

impl Tenant {
    /// Checks a label of a domain.
    ///
    /// Letters and digits of any script, and the ASCII signs that may stand unescaped in a path and in an address.
    pub fn new(label: &str) -> Result<Self, RoomError> {
        let mut text = String::with_capacity(label.len());
        prepare::domain(label, &mut text)?;
        let allowed = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || SIGNS.contains(c);
        if label.ends_with('.') || text.chars().count() > MAX_TENANT_CHARS || !text.chars().all(allowed) {
            return Err(RoomError::Tenant);
        }
        Ok(Self(text.into()))
    }

    /// Checks the first segment of a page's path, decoded. compat: clients turn dots into underscores
    /// (test: names_of_tenants).
    pub fn from_path(segment: &str) -> Result<Self, RoomError> {
        Self::new(&segment.replace('.', "_"))
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The one address of a meeting.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomAddress {
    tenant: Option<Tenant>,
    room: Box<str>,
}

impl RoomAddress {
    /// The room with this node.
    pub fn new(tenant: Option<Tenant>, node: &str) -> Result<Self, RoomError> {
        let mut room = String::with_capacity(node.len());
        prepare::node(node, &mut room)?;
        if is_stored_spelling(&room) {
            return Err(RoomError::StoredSpelling);
        }
        // Nothing comes in that could not be kept.
        let stored = tenant.as_ref().map_or(0, |t| t.0.len() + "[]".len()) + room.len();
        if stored > MAX_JID_PART_BYTES {
            return Err(JidError::TooLong.into());
        }
        Ok(Self { tenant, room: room.into() })
    }

    /// The room that the web app enters for what stands behind the tenant in a page's path, decoded (client §1.1): one
    /// spelling, without the signs that separate parts of URLs, percent-encoded.
    pub fn from_path(tenant: Option<Tenant>, name: &str) -> Result<Self, RoomError> {
        let mut node = String::with_capacity(name.len());
        let kept = name.nfkc().flat_map(char::to_lowercase).filter(|c| !REMOVED.contains(*c));
        for c in kept {
            if c.is_ascii_alphanumeric() || "-_.~".contains(c) {
                node.push(c);
            } else {
                for b in c.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(node, "%{b:02x}");
                }
            }
        }
        if node.is_empty() { Err(RoomError::NoRoom) } else { Self::new(tenant, &node) }
    }

    /// Whose room it is, with tenants.
    pub const fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }

    /// The room's name: a prepared node.
    pub const fn room(&self) -> &str {
        &self.room
    }
}

/// Personal: names of rooms and towns reach no log.
macro_rules! redacted_debug {
    ($($t:ty),*) => {$(
        impl fmt::Debug for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!("‹", stringify!($t), "›"))
            }
        }
    )*};
}
redacted_debug!(Tenant, RoomAddress);

/// Where the meetings of one installation are.
#[derive(Debug, Clone, Copy)]
pub struct RoomDomains<'a> {
    domain: &'a str,
    muc: &'a str,
    tenants: bool,
}

impl<'a> RoomDomains<'a> {
    /// `muc` is `<prefix>.<domain>`; both prepared. Without `tenants` there is only that one domain.
    pub const fn new(domain: &'a str, muc: &'a str, tenants: bool) -> Self {
        Self { domain, muc, tenants }
    }

    /// The domain of those rooms that are no tenant's.
    pub const fn muc(&self) -> &'a str {
        self.muc
    }

    /// The label in `<prefix>.<label>.<domain>`, where a tenant stands.
    pub fn label<'d>(&self, domain: &'d str) -> Option<&'d str> {
        if !self.tenants {
            return None;
        }
        let prefix = self.muc.strip_suffix(self.domain)?.strip_suffix('.')?;
        let label =
            domain.strip_prefix(prefix)?.strip_prefix('.')?.strip_suffix(self.domain)?.strip_suffix('.')?;
        (!label.is_empty() && !label.contains('.')).then_some(label)
    }

    /// Whether meetings live in this prepared domain.
    pub fn contains(&self, domain: &str) -> bool {
        domain == self.muc || self.label(domain).is_some_and(|l| Tenant::new(l).is_ok())
    }

    /// The room at `jid`, as it is written outside.
    pub fn read(&self, jid: &Jid) -> Result<RoomAddress, RoomError> {
        let tenant = if jid.domain() == self.muc {
            None
        } else {
            Some(Tenant::new(self.label(jid.domain()).ok_or(RoomError::Elsewhere)?)?)
        };
        let room = jid.node().ok_or(RoomError::NoRoom)?;
        RoomAddress::new(tenant, room)
    }

    /// The address as everybody outside writes it.
    pub fn shown(&self, room: &RoomAddress) -> Result<BareJid, RoomError> {
        let Some(tenant) = &room.tenant else { return Ok(BareJid::from_parts(&room.room, self.muc)?) };
        let prefix = self.muc.strip_suffix(self.domain).ok_or(RoomError::Elsewhere)?;
        Ok(BareJid::from_parts(&room.room, &format!("{prefix}{}.{}", tenant.as_str(), self.domain))?)
    }

    /// The key under which the XMPP server keeps the room.
    pub fn stored(&self, room: &RoomAddress) -> Result<BareJid, RoomError> {
        // Not prepared: names that are read from right to left cannot stand behind others in an address.
        let jid = match &room.tenant {
            None => BareJid::from_prepared(&room.room, self.muc),
            Some(tenant) => BareJid::from_prepared(&format!("[{}]{}", tenant.as_str(), room.room), self.muc),
        };
        Ok(jid?)
    }

    /// The room with this key.
    pub fn from_stored(&self, key: &BareJid) -> Result<RoomAddress, RoomError> {
        if key.domain() != self.muc {
            return Err(RoomError::Elsewhere);
        }
        let node = key.node().ok_or(RoomError::NoRoom)?;
        let (tenant, room) = match node.strip_prefix('[').and_then(|n| n.split_once(']')) {
            Some((tenant, room)) if self.tenants => (Some(Tenant::new(tenant)?), room),
            _ => (None, node),
        };
        if room.is_empty() || is_stored_spelling(room) {
            return Err(RoomError::StoredSpelling);
        }
        Ok(RoomAddress { tenant, room: room.into() })
    }
}

/// Whether a node is spelled as rooms of tenants are stored. The web app removes brackets from names.
pub fn is_stored_spelling(node: &str) -> bool {
    node.starts_with('[')
}

/// RFC 3986: unreserved characters and sub-delimiters, without `.`, which clients turn into `_`, and without `&` and `'`,
/// which upstream's web server refuses.
const SIGNS: &str = "-_~!$()*+,;=";

/// What the web app removes from names of rooms.
const REMOVED: &str = ":?#[]@!$&'()*+,;=></\"";

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMS: RoomDomains<'_> = RoomDomains::new("meet.jitsi", "muc.meet.jitsi", true);

    fn read(jid: &str) -> Result<RoomAddress, RoomError> {
        ROOMS.read(&jid.parse()?)
    }

    #[test]
    fn a_tenants_room_goes_in_and_comes_back() {
        for (written, stored) in [
            ("R2@muc.Stadt_X.meet.jitsi", "[stadt_x]r2@muc.meet.jitsi"),
            ("r2@muc.meet.jitsi", "r2@muc.meet.jitsi"),
            ("a%20b@muc.köln~+.meet.jitsi", "[köln~+]a%20b@muc.meet.jitsi"),
            ("עברית@muc.القاهرة.meet.jitsi", "[القاهرة]עברית@muc.meet.jitsi"),
        ] {
            let room = read(written).unwrap();
            assert_eq!(ROOMS.stored(&room).unwrap().as_str(), stored);
            assert_eq!(ROOMS.shown(&room).unwrap().as_str(), written.to_lowercase());
            assert_eq!(ROOMS.from_stored(&ROOMS.stored(&room).unwrap()), Ok(room));
        }
    }

    #[test]
    fn the_stored_spelling_is_no_address() {
        for jid in [
            "[town]room@muc.meet.jitsi",
            "[]x@muc.meet.jitsi",
            "[x@muc.meet.jitsi",
            "[a]b@muc.town.meet.jitsi",
        ] {
            assert_eq!(read(jid), Err(RoomError::StoredSpelling), "{jid}");
        }
        assert_eq!(read("［town］room@muc.meet.jitsi"), Err(RoomError::StoredSpelling));
    }

    #[test]
    fn a_tenant_is_one_label_between_prefix_and_domain() {
        for elsewhere in
            ["muc.a.b.meet.jitsi", "internal-muc.meet.jitsi", "evil.example", "muc.meet.jitsi.evil"]
        {
            assert_eq!(read(&format!("r@{elsewhere}")), Err(RoomError::Elsewhere), "{elsewhere}");
            assert!(!ROOMS.contains(elsewhere), "{elsewhere}");
        }
        assert_eq!(read("r@muc..meet.jitsi"), Err(JidError::EmptyDomain.into()));
        assert!(!ROOMS.contains("muc..meet.jitsi"));
        assert_eq!(read("muc.meet.jitsi"), Err(RoomError::NoRoom));
        let without = RoomDomains::new("meet.jitsi", "muc.meet.jitsi", false);
        assert_eq!(without.read(&"r@muc.town.meet.jitsi".parse().unwrap()), Err(RoomError::Elsewhere));
    }

    #[test]
    fn names_of_tenants() {
        for good in ["stadt-a", "köln", "a_b", "a~b!c$d(e)f*g+h,i;j=k", "東京", "1"] {
            assert_eq!(Tenant::new(good).map(|t| t.as_str().to_owned()), Ok(good.to_owned()));
        }
        assert_eq!(Tenant::from_path("Stadt.A").map(|t| t.as_str().to_owned()), Ok("stadt_a".into()));
        for bad in [
            "", ".", "a.b", "a.", "a%b", "a@b", "a b", "a[b", "a]", "a\\b", "a'b", "a&b", "a:b", "a`b", "🏠",
            "\u{200b}",
        ] {
            assert!(Tenant::new(bad).is_err(), "{bad}");
        }
        assert!(Tenant::new(&"ü".repeat(MAX_TENANT_CHARS)).is_ok());
        assert!(Tenant::new(&"ü".repeat(MAX_TENANT_CHARS + 1)).is_err());
    }

    #[test]
    fn an_address_that_does_not_fit_once_stored_is_refused() {
        let room = |n: usize| format!("{}@muc.town.meet.jitsi", "r".repeat(n));
        assert!(read(&room(1023 - "[town]".len())).is_ok());
        assert_eq!(read(&room(1024 - "[town]".len())), Err(RoomError::Jid(JidError::TooLong)));
    }

    #[test]
    fn debug_does_not_show_the_room() {
        assert!(!format!("{:?}", read("anna@muc.town.meet.jitsi").unwrap()).contains(['a', 't']));
    }
}
