//! The community's `frozen_nick` (xmpp-server §4.37): whoever has a token with a name is called so, whatever its client says.

use jitsi_xmpp::{Element, ns};

use crate::module::Module;
use crate::world::{Sender, World};

pub(super) static MODULE: Module =
    Module { name: "frozen_nick", named: &["frozen_nick"], presence: Some(presence), ..Module::NONE };

fn presence(_: &World, sender: &Sender, presence: &mut Element, _: bool) {
    let token = sender.identity.token.as_deref();
    let Some(name) = token.and_then(|t| t.user.as_ref()?.name()).filter(|name| !name.is_empty()) else {
        return;
    };
    presence.retain_children(|c| c.name() != "nick");
    presence.push(Element::new("nick", ns::NICK).with_text(name.into_owned()));
}
