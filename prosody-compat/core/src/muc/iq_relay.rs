//! IQs between occupants (xmpp-server §3.6): a request or an answer to `room/nick` in; the same to that occupant's
//! session out, as from the sender's occupant. All Jingle signalling runs through here.
//!
//! The id stays as it is. Who asked whom is remembered by the asker (`asked.rs`): only who was asked answers, and once.

use jitsi_xmpp::{Condition, Element, StanzaError, ns};

use super::turn::Turn;
use crate::counters::Counter;
use crate::limits::MAX_ASKED_BY_ROLES;
use crate::module::Relay;
use crate::outbox::Outgoing;
use crate::stanza::{not_in, payload};
use crate::world::Sender;

pub(super) fn handle(t: &mut Turn<'_>, sender: &Sender, nick: &str, mut e: Element) {
    let Some(own) = t.room.occupant_of(sender.id).map(|o| o.nick.clone()) else {
        let error = t.modules.iter().find_map(|m| m.stranger?(&e)).unwrap_or_else(not_in);
        t.world.refuse(sender, &e, &error, Some(t.room.shown()));
        return;
    };
    // XEP-0410: the room itself says that one is still in.
    if *own == *nick && payload(&e).is_some_and(|(kind, p)| kind == "get" && p.is("ping", ns::PING)) {
        t.world.answer(sender, &e, None);
        return;
    }
    if matches!(e.attr("type"), Some("result" | "error")) {
        return answer(t, sender, &own, nick, e);
    }
    let Some(target) = t.room.occupant(nick).and_then(|o| o.primary()).map(|s| s.id) else {
        let error = StanzaError::new(Condition::ItemNotFound).with_text("Recipient not in room");
        t.world.refuse(sender, &e, &error, Some(t.room.shown()));
        return;
    };
    t.world.reaches(sender, target);
    for (name, rule) in t.modules.iter().filter_map(|m| Some((m.name, m.iq?))) {
        let said = rule(t.room, t.world, sender, &mut e);
        t.world.counters.relay(name, &said);
        match said {
            Ok(Relay::Pass) => {}
            Ok(Relay::Drop) => return,
            Err(error) => return t.world.refuse(sender, &e, &error, Some(t.room.shown())),
        }
    }
    let most = if sender.identity.admin { MAX_ASKED_BY_ROLES } else { t.world.config.limits.max_asked };
    if let (Some(asker), Some(id)) = (t.world.sessions.get_mut(sender.id), e.attr("id")) {
        asker.asked.ask(target, id, most);
    }
    e.set_attr("from", t.room.occupant_jid(&own));
    t.world.deliver(target, &Outgoing::new(e));
}

/// An answer is relayed to the session that asked its sender, once; upstream drops all others without a word, too.
fn answer(t: &mut Turn<'_>, sender: &Sender, own: &str, nick: &str, mut e: Element) {
    let askers: Vec<_> =
        t.room.occupant(nick).map(|o| o.sessions.iter().map(|s| s.id).collect()).unwrap_or_default();
    let id = e.attr("id").unwrap_or_default().to_owned();
    let asker = askers.into_iter().find(|asker| {
        t.world.sessions.get_mut(*asker).is_some_and(|session| session.asked.answer(sender.id, &id))
    });
    let Some(asker) = asker else { return t.world.counters.add(Counter::RuleDropped) };
    for rule in t.modules.iter().filter_map(|m| m.iq) {
        if !matches!(rule(t.room, t.world, sender, &mut e), Ok(Relay::Pass)) {
            return t.world.counters.add(Counter::RuleDropped);
        }
    }
    e.set_attr("from", t.room.occupant_jid(own));
    t.world.deliver(asker, &Outgoing::new(e));
}
