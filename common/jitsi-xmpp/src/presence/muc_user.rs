//! `x` of muc#user and the items it shares with muc#admin (XEP-0045): elements in and out.

use crate::Jid;
use crate::words::words;

words! {
    /// Long-lived standing in a room.
    #[allow(missing_docs)]
    Affiliation {
        Admin = "admin",
        Member = "member",
        None = "none",
        Outcast = "outcast",
        Owner = "owner",
    }
}

words! {
    /// Standing during one stay.
    #[allow(missing_docs)]
    Role {
        Moderator = "moderator",
        None = "none",
        Participant = "participant",
        Visitor = "visitor",
    }
}

/// `item`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Item {
    /// Affiliation.
    pub affiliation: Option<Affiliation>,
    /// Role.
    pub role: Option<Role>,
    /// The real JID: full in presences (clients rely on it).
    pub jid: Option<Jid>,
    /// The nick.
    pub nick: Option<String>,
    /// Who did it.
    pub actor_nick: Option<String>,
    /// Who did it.
    pub actor_jid: Option<Jid>,
    /// Why.
    pub reason: Option<String>,
}

/// `destroy`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Destroy {
    /// Where to go instead.
    pub jid: Option<Jid>,
    /// Why.
    pub reason: Option<String>,
}

/// `x` of muc#user. Belongs at the end of a presence (client-protocol §0.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MucUser {
    /// Normally one.
    pub items: Vec<Item>,
    /// Status codes in order.
    pub statuses: Vec<u16>,
    /// The room is gone.
    pub destroy: Option<Destroy>,
}
