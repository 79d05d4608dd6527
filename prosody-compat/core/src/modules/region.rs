//! Part of upstream's `muc_meeting_id`: the region that the proxy knows is added to a join that has none.

use jitsi_xmpp::{Element, ns};

use crate::module::Module;
use crate::world::{Sender, World};

pub(super) static MODULE: Module =
    Module { name: "region", named: &["muc_meeting_id"], presence: Some(inject), ..Module::NONE };

fn inject(_: &World, sender: &Sender, presence: &mut Element, joining: bool) {
    let identity = &sender.identity;
    if !joining || identity.admin || presence.child_named(NAME).is_some() {
        return;
    }
    if let Some(region) = identity.region.as_deref() {
        presence.push(Element::new(NAME, ns::CLIENT).with_text(region));
    }
}

const NAME: &str = "jitsi_participant_region";
