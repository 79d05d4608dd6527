//! Message deletion: clients delete on anybody's word, so the server checks who may (client §4.10). The
//! author or a moderator. In private messages as well.

use std::collections::{HashMap, VecDeque};

use jitsi_xmpp::{BareJid, Condition, Element, StanzaError, ns};

use crate::module::{Module, Relay};
use crate::room::Room;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "retract",
    named: &["muc_meeting_id"],
    message: Some(check),
    private: Some(check),
    ..Module::NONE
};

const NS: &str = "urn:xmpp:message-retract:1";

/// Who wrote the last messages, by message id.
#[derive(Default)]
struct Authors {
    order: VecDeque<String>,
    by_id: HashMap<String, BareJid>,
}

impl Authors {
    /// Remembers an author. The first one to use an id keeps it.
    fn remember(&mut self, id: &str, author: &BareJid, most: usize) {
        if self.by_id.contains_key(id) || id.len() > MAX_ID_BYTES {
            return;
        }
        if self.order.len() >= most
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_id.remove(&oldest);
        }
        self.order.push_back(id.to_owned());
        self.by_id.insert(id.to_owned(), author.clone());
    }
}

/// Last of the rules for messages: what comes here is relayed, and remembered if it is kept for latecomers.
fn check(room: &mut Room, world: &World, sender: &Sender, e: &mut Element) -> Result<Relay, StanzaError> {
    if let Some(retract) = e.child("retract", NS)
        && !room.is_moderator(sender.id)
    {
        let authors = room.slots.get::<Authors>();
        let author = retract.attr("id").and_then(|id| authors?.by_id.get(id));
        if author != Some(&sender.bare) {
            return Err(StanzaError::new(Condition::Forbidden));
        }
    }
    if (e.child_named("body").is_some() || e.child("store", ns::HINTS).is_some())
        && let Some(id) = e.attr("id")
    {
        let most = world.config.limits.max_retractable;
        room.slots.entry::<Authors>().remember(id, &sender.bare, most);
    }
    Ok(Relay::Pass)
}

/// Longer ids are not remembered; clients use UUIDs.
const MAX_ID_BYTES: usize = 128;
