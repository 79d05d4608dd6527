//! IQs between occupants (xmpp-server §3.6): a request or an answer to `room/nick` in; the same to that occupant's
//! session out, as from the sender's occupant. All Jingle signalling runs through here.
//!
//! The id stays as it is: the answer is addressed to the asker's occupant, so nothing has to be remembered.

use jitsi_xmpp::{Condition, Element, ErrorType, StanzaError, ns};

use super::room::Room;
use crate::outbox::Outgoing;
use crate::router::payload;
use crate::world::{Sender, World};

pub(super) fn handle(room: &Room, world: &mut World, sender: &Sender, nick: &str, mut e: Element) {
    let Some(own) = room.occupant_of(sender.id) else {
        let error = StanzaError::new(Condition::NotAcceptable)
            .with_type(ErrorType::Cancel)
            .with_text("You are not currently connected to this chat");
        world.refuse(sender, &e, &error, Some(room.shown()));
        return;
    };
    // XEP-0410: the room itself says that one is still in.
    if *own.nick == *nick && payload(&e).is_some_and(|(kind, p)| kind == "get" && p.is("ping", ns::PING)) {
        world.answer(sender, &e, None);
        return;
    }
    let Some(target) = room.occupant(nick).and_then(|o| o.primary()) else {
        let error = StanzaError::new(Condition::ItemNotFound).with_text("Recipient not in room");
        world.refuse(sender, &e, &error, Some(room.shown()));
        return;
    };
    e.set_attr("from", room.occupant_jid(&own.nick));
    world.deliver(target.id, &Outgoing::new(e));
}
