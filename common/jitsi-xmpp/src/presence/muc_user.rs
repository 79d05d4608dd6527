//! `x` of muc#user and the items it shares with muc#admin (XEP-0045): elements in and out.

use crate::parse::{ParseError, expect};
use crate::words::words;
use crate::xml::Element;
use crate::{Jid, ns};

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

/// `x` of muc#user. Belongs at the end of a presence (client §0.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MucUser {
    /// Normally one.
    pub items: Vec<Item>,
    /// Status codes in order.
    pub statuses: Vec<u16>,
    /// The room is gone.
    pub destroy: Option<Destroy>,
}

impl Item {
    /// Reads `item` of muc#user or muc#admin. Unknown words and malformed JIDs count as absent.
    pub fn from_element(e: &Element) -> Self {
        let actor = e.child_named("actor");
        Self {
            affiliation: e.attr("affiliation").and_then(Affiliation::parse),
            role: e.attr("role").and_then(Role::parse),
            jid: e.attr("jid").and_then(|j| j.parse().ok()),
            nick: e.attr("nick").map(str::to_owned),
            actor_nick: actor.and_then(|a| a.attr("nick")).map(str::to_owned),
            actor_jid: actor.and_then(|a| a.attr("jid")).and_then(|j| j.parse().ok()),
            reason: e.child_named("reason").map(Element::text),
        }
    }

    /// Writes it; takes the parent's namespace.
    pub fn to_element(&self) -> Element {
        let mut e = Element::inherit("item")
            .with_opt_attr("affiliation", self.affiliation.map(Affiliation::as_str))
            .with_opt_attr("role", self.role.map(Role::as_str))
            .with_opt_attr("jid", self.jid.as_ref().map(Jid::as_str))
            .with_opt_attr("nick", self.nick.as_deref());
        if self.actor_nick.is_some() || self.actor_jid.is_some() {
            e.push(
                Element::inherit("actor")
                    .with_opt_attr("nick", self.actor_nick.as_deref())
                    .with_opt_attr("jid", self.actor_jid.as_ref().map(Jid::as_str)),
            );
        }
        if let Some(r) = &self.reason {
            e.push(Element::inherit("reason").with_text(r));
        }
        e
    }

    /// The items of a muc#admin query.
    pub fn from_admin_query(query: &Element) -> Vec<Self> {
        query.children_of("item", ns::MUC_ADMIN).map(Self::from_element).collect()
    }
}

impl MucUser {
    /// One item and status codes.
    pub fn new(item: Item, statuses: impl IntoIterator<Item = u16>) -> Self {
        Self { items: vec![item], statuses: statuses.into_iter().collect(), destroy: None }
    }

    /// The first item.
    pub fn item(&self) -> Option<&Item> {
        self.items.first()
    }

    /// Whether a status code is among them.
    pub fn has_status(&self, code: u16) -> bool {
        self.statuses.contains(&code)
    }

    /// Reads the muc#user `x` of a presence or message, if it has one.
    pub fn from_stanza(stanza: &Element) -> Option<Self> {
        Self::from_element(stanza.child("x", ns::MUC_USER)?).ok()
    }

    /// Reads `x`.
    pub fn from_element(e: &Element) -> Result<Self, ParseError> {
        expect(e, "x", ns::MUC_USER)?;
        let mut x = Self::default();
        for c in e.children() {
            match c.name() {
                "item" => x.items.push(Item::from_element(c)),
                "status" => x.statuses.extend(c.attr("code").and_then(|s| s.parse::<u16>().ok())),
                "destroy" => {
                    x.destroy = Some(Destroy {
                        jid: c.attr("jid").and_then(|j| j.parse().ok()),
                        reason: c.child_named("reason").map(Element::text),
                    });
                }
                _ => {}
            }
        }
        Ok(x)
    }

    /// Writes `x` with its literal namespace.
    pub fn to_element(&self) -> Element {
        let mut e = Element::new("x", ns::MUC_USER).with_children(self.items.iter().map(Item::to_element));
        if let Some(d) = &self.destroy {
            let mut destroy =
                Element::inherit("destroy").with_opt_attr("jid", d.jid.as_ref().map(Jid::as_str));
            if let Some(r) = &d.reason {
                destroy.push(Element::inherit("reason").with_text(r));
            }
            e.push(destroy);
        }
        e.with_children(
            self.statuses.iter().map(|s| Element::inherit("status").with_attr("code", s.to_string())),
        )
    }
}
