//! Ranks of XEP-0045: words in, ordered values and what follows from them out.

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
