//! Message deletion: clients delete on anybody's word, so the server checks who may (client §4.10). The
//! author or a moderator.

use std::collections::{HashMap, VecDeque};

use jitsi_xmpp::{BareJid, Condition, Element, StanzaError};

use crate::muc::room::Room;
use crate::world::{Sender, World};

const NS: &str = "urn:xmpp:message-retract:1";

/// Who wrote the last messages, by message id.
#[derive(Default)]
pub(crate) struct Authors {
    order: VecDeque<String>,
    by_id: HashMap<String, BareJid>,
}

impl Authors {
    /// Remembers an author. The first one to use an id keeps it.
    pub(crate) fn remember(&mut self, id: &str, author: &BareJid, most: usize) {
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

pub(super) fn check(
    _: &World,
    room: &mut Room,
    sender: &Sender,
    e: &mut Element,
) -> Result<bool, StanzaError> {
    let Some(retract) = e.child("retract", NS) else { return Ok(true) };
    let moderator = room.occupant_of(sender.id).is_some_and(|o| o.role.is_moderator());
    let author = retract.attr("id").and_then(|id| room.authors.by_id.get(id));
    if moderator || author == Some(&sender.bare) {
        return Ok(true);
    }
    Err(StanzaError::new(Condition::Forbidden))
}

/// Longer ids are not remembered; clients use UUIDs.
const MAX_ID_BYTES: usize = 128;
