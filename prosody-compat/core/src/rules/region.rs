//! Part of upstream's `muc_meeting_id`: the region that the proxy knows is added to a join that has none.

use jitsi_xmpp::{Element, ns};

use crate::world::{Sender, World};

pub(super) fn inject(world: &World, sender: &Sender, presence: &mut Element, joining: bool) {
    if !joining || sender.admin || presence.child_named(NAME).is_some() {
        return;
    }
    if let Some(region) = world.sessions.get(sender.id).and_then(|s| s.query.region.as_deref()) {
        presence.push(Element::new(NAME, ns::CLIENT).with_text(region));
    }
}

const NAME: &str = "jitsi_participant_region";
