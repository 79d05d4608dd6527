//! Upstream's `muc_displayname` (xmpp-server §4.20): whose name is fixed shows the one that its token says; where names are not
//! for everybody, only moderators see who the others are.
//!
//! Names in messages are taken away (`strip`) and kept for latecomers (`muc/message`) whether it is named or not.

use jitsi_xmpp::{Element, ns};

use crate::module::Module;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "displayname",
    named: &["muc_displayname"],
    presence: Some(presence),
    mask: Some(mask),
    ..Module::NONE
};

fn presence(world: &World, sender: &Sender, presence: &mut Element, _: bool) {
    if !world.may(sender.id, "name-readonly", false) {
        return;
    }
    let token = sender.identity.token.as_deref();
    let name = token.and_then(|t| t.user.as_ref()?.name()).filter(|name| !name.is_empty());
    let Some(nick) = presence.child("nick", ns::NICK) else { return };
    if name.as_deref() == Some(nick.text().as_str()) {
        return;
    }
    presence.retain_children(|c| !c.is("nick", ns::NICK));
    if let Some(name) = name {
        presence.push(Element::new("nick", ns::NICK).with_text(name.into_owned()));
    }
}

/// What others do not see: name, address and who a token says that it is.
fn mask(presence: &mut Element) {
    presence.retain_children(|c| !c.is("nick", ns::NICK) && !matches!(c.name(), "email" | "stats-id"));
    for identity in presence.children_mut().filter(|c| c.name() == "identity") {
        for user in identity.children_mut().filter(|c| c.name() == "user") {
            user.retain_children(|c| !matches!(c.name(), "name" | "email"));
        }
    }
}
