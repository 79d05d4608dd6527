//! IQs between occupants (xmpp-server §3.6): a request or an answer to `room/nick` in; the same to that occupant's
//! session out, as from the sender's occupant. All Jingle signalling runs through here.
//!
//! The id stays as it is: the answer is addressed to the asker's occupant, so nothing has to be remembered.

use jitsi_xmpp::{Condition, Element, StanzaError, ns};

use super::turn::Turn;
use crate::counters::Counter;
use crate::module::Relay;
use crate::outbox::Outgoing;
use crate::stanza::{not_in, payload};
use crate::world::Sender;

pub(super) fn handle(t: &mut Turn<'_>, sender: &Sender, nick: &str, mut e: Element) {
    let Some(own) = t.room.occupant_of(sender.id).map(|o| o.nick.clone()) else {
        t.world.refuse(sender, &e, &not_in(), Some(t.room.shown()));
        return;
    };
    // XEP-0410: the room itself says that one is still in.
    if *own == *nick && payload(&e).is_some_and(|(kind, p)| kind == "get" && p.is("ping", ns::PING)) {
        t.world.answer(sender, &e, None);
        return;
    }
    let Some(target) = t.room.occupant(nick).and_then(|o| o.primary()).map(|s| s.id) else {
        let error = StanzaError::new(Condition::ItemNotFound).with_text("Recipient not in room");
        t.world.refuse(sender, &e, &error, Some(t.room.shown()));
        return;
    };
    for rule in t.modules.iter().filter_map(|m| m.iq) {
        match rule(t.room, t.world, sender, &mut e) {
            Ok(Relay::Pass) => {}
            Ok(Relay::Drop) => return t.world.counters.add(Counter::RuleDropped),
            Err(error) => return t.world.refuse(sender, &e, &error, Some(t.room.shown())),
        }
    }
    e.set_attr("from", t.room.occupant_jid(&own));
    t.world.deliver(target, &Outgoing::new(e));
}
