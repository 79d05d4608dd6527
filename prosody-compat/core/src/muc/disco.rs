//! `disco#info` of a room (xmpp-server §3.8): features and a form that clients read.

use jitsi_xmpp::{Condition, Element, StanzaError, ns};

use super::turn::Turn;
use crate::room::form::field;
use crate::world::Sender;

pub(super) fn handle(t: &mut Turn<'_>, sender: &Sender, e: &Element) {
    let (room, world) = (&*t.room, &mut *t.world);
    if t.modules.iter().filter_map(|m| m.look).any(|look| !look(room, sender)) {
        world.refuse(sender, e, &StanzaError::new(Condition::Forbidden), Some(room.shown()));
        return;
    }
    let c = &room.config;
    let mut query = Element::new("query", ns::DISCO_INFO);
    query.push(Element::inherit("identity").with_attr("category", "conference").with_attr("type", "text"));
    let features = [
        ns::MUC,
        "http://jabber.org/protocol/muc#stable_id",
        "http://jabber.org/protocol/muc#self-ping-optimization",
        // As everywhere where only roles make rooms.
        "muc_hidden",
        "muc_temporary",
        if c.members_only { "muc_membersonly" } else { "muc_open" },
        "muc_unmoderated",
        if c.password.is_some() { "muc_passwordprotected" } else { "muc_unsecured" },
        "muc_nonanonymous",
    ];
    for var in features {
        query.push(Element::inherit("feature").with_attr("var", var));
    }
    for var in t.modules.iter().flat_map(|m| m.features) {
        query.push(Element::inherit("feature").with_attr("var", *var));
    }
    let flag = |on: bool| if on { "1" } else { "0" };
    let invites = flag(!c.members_only || c.members_invite);
    let mut form = Element::new("x", ns::DATA_FORMS)
        .with_attr("type", "result")
        .with_child(field("hidden", "FORM_TYPE", "http://jabber.org/protocol/muc#roominfo"))
        .with_child(field("text-single", "muc#roominfo_description", c.description.reveal()))
        .with_child(field("text-single", "muc#roominfo_occupants", &room.len().to_string()))
        .with_child(field("boolean", "muc#roomconfig_changesubject", flag(c.anybody_changes_subject)))
        .with_child(field("boolean", "muc#roomconfig_allowinvites", invites))
        .with_child(field("text-single", "muc#roomconfig_roomname", c.name.reveal()));
    for m in t.modules {
        if let Some(disco) = m.disco {
            disco(room, &mut form);
        }
    }
    query.push(form);
    world.answer(sender, e, Some(query));
}
