//! Ranks of XEP-0045: words in, ordered values and what follows from them out; and who has which in a meeting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jitsi_xmpp::BareJid;

/// Long-lived right of an account in a room (XEP-0045 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Affiliation {
    Outcast,
    None,
    Member,
    Admin,
    Owner,
}

impl Affiliation {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Outcast => "outcast",
            Self::None => "none",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub(crate) fn parse(s: &str) -> Option<Self> {
        [Self::Outcast, Self::None, Self::Member, Self::Admin, Self::Owner]
            .into_iter()
            .find(|a| a.as_str() == s)
    }

    /// The role that comes with it.
    pub(crate) const fn role(self) -> Role {
        match self {
            Self::Owner | Self::Admin => Role::Moderator,
            Self::Member | Self::None => Role::Participant,
            Self::Outcast => Role::None,
        }
    }
}

/// Who has which affiliation. A meeting shares it with the rooms beside it: what is changed in one counts in all at once.
#[derive(Clone, Default)]
pub(crate) struct Affiliations(Arc<Mutex<HashMap<BareJid, Affiliation>>>);

impl Affiliations {
    fn all(&self) -> MutexGuard<'_, HashMap<BareJid, Affiliation>> {
        // An operation on the map leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn of(&self, bare: &BareJid) -> Affiliation {
        self.all().get(bare).copied().unwrap_or(Affiliation::None)
    }

    /// Sets one; `false` if no more can be kept.
    pub(crate) fn set(&self, bare: &BareJid, affiliation: Affiliation, most: usize) -> bool {
        let mut all = self.all();
        if affiliation == Affiliation::None {
            all.remove(bare);
            return true;
        }
        if all.len() >= most && !all.contains_key(bare) {
            return false;
        }
        all.insert(bare.clone(), affiliation);
        true
    }

    /// Accounts to which this one was given.
    pub(crate) fn with(&self, affiliation: Affiliation) -> Vec<BareJid> {
        self.all().iter().filter(|(_, a)| **a == affiliation).map(|(bare, _)| bare.clone()).collect()
    }

    /// Whether somebody but this one was made an owner.
    pub(crate) fn has_owner_besides(&self, bare: &BareJid) -> bool {
        self.all().iter().any(|(other, a)| *a == Affiliation::Owner && other != bare)
    }
}

/// Right of an occupant while it is there (XEP-0045 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    None,
    Visitor,
    Participant,
    Moderator,
}

impl Role {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Participant => "participant",
            Self::Moderator => "moderator",
        }
    }

    pub(crate) fn parse(s: &str) -> Option<Self> {
        [Self::None, Self::Visitor, Self::Participant, Self::Moderator].into_iter().find(|r| r.as_str() == s)
    }

    pub(crate) const fn is_moderator(self) -> bool {
        matches!(self, Self::Moderator)
    }
}
