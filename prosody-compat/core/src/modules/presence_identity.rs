//! Upstream's `presence_identity` (xmpp-server §4.29): what a token says of a person is added to its presence. What a client says of
//! itself there is removed before, always (`strip`).

use jitsi_xmpp::{Element, ns};

use crate::module::Module;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "presence_identity",
    named: &["presence_identity"],
    presence: Some(presence),
    ..Module::NONE
};

fn presence(_: &World, sender: &Sender, presence: &mut Element, _: bool) {
    let Some(token) = sender.identity.token.as_deref() else { return };
    let Some(user) = &token.user else { return };
    let mut person = Element::inherit("user");
    for (name, value) in user.members() {
        person.push(Element::inherit(name.to_owned()).with_text(value));
    }
    let mut identity = Element::new("identity", ns::CLIENT).with_child(person);
    if let Some(group) = &token.group {
        identity.push(Element::inherit("group").with_text(group.reveal().as_str()));
    }
    presence.push(identity);
}
