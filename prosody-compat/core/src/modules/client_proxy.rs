//! `focus.<domain>`: conference requests of clients in; relayed to whichever session of the focus is there, and the
//! answers back (xmpp-server §4.7). Without a focus the client is told to ask again.

use std::collections::VecDeque;

use jitsi_xmpp::{Condition, Element, Jid, StanzaError, iq, ns};

use super::login_affiliation;
use crate::counters::Counter;
use crate::module::{Component, Module};
use crate::outbox::Outgoing;
use crate::session::{Session, SessionId};
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["client_proxy"],
    component: Some(Component { identity: None, in_breakouts: false }),
    stanza: Some(stanza),
    session_ended: Some(session_ended),
    ..Module::NONE
};

/// Its domain is where clients ask.
pub(super) const NAME: &str = "client_proxy";

/// A conference request that the focus has not answered yet: what an answer needs.
struct Waiting {
    from: SessionId,
    id: Box<str>,
    room: Option<Box<str>>,
}

impl Waiting {
    fn new(from: SessionId, request: &Element) -> Self {
        let room = request.first_child().and_then(|c| c.attr("room"));
        // A longer one is no address; then the answer needs none either.
        let room = room.filter(|r| r.len() <= MAX_ROOM_BYTES).map(Box::from);
        Self { from, id: request.attr("id").unwrap_or_default().into(), room }
    }
}

/// Conference requests under way, so that none stays without an answer when the focus goes away: clients wait for
/// ever (client §3.1).
#[derive(Default)]
struct Requests {
    waiting: VecDeque<Waiting>,
}

impl Requests {
    /// Most requests remembered; the oldest is told to ask again. At most 4 KiB each, about 200 bytes.
    const MAX: usize = 2_000;
    /// Of one session; the next is told to ask again. Reason: a client has one under way.
    const EACH: usize = 10;
}

fn stanza(world: &mut World, sender: &Sender, to: &Jid, e: Element) -> Option<Element> {
    let from_focus = sender.bare == world.config.focus;
    match (e.name(), e.attr("type")) {
        ("iq", Some("result" | "error")) if from_focus => answer(world, to, e),
        ("iq", Some("result" | "error")) | ("presence", _) => {}
        ("iq", _) if !from_focus => {
            if e.first_child().is_some_and(|p| matches!(p.ns(), ns::DISCO_INFO | ns::DISCO_ITEMS)) {
                return Some(e);
            }
            ask(world, sender, e);
        }
        _ => world.refuse(sender, &e, &StanzaError::new(Condition::FeatureNotImplemented), None),
    }
    None
}

/// The focus' session that answers now: the newest with a transport.
fn focus_session(world: &World) -> Option<SessionId> {
    let sessions = world.sessions.of_account(world.config.focus.as_str());
    sessions.filter(|(_, s)| s.available != Some(false) && s.conn.is_some()).map(|(id, _)| id).max()
}

/// A request on its way to the focus.
pub(super) fn ask(world: &mut World, sender: &Sender, mut e: Element) {
    let Some(focus) = focus_session(world) else {
        world.counters.add(Counter::FocusAbsent);
        not_ready(world, sender, &e);
        return;
    };
    if is_conference(&e) {
        let waiting = &mut world.slots.entry::<Requests>().waiting;
        if waiting.iter().filter(|w| w.from == sender.id).count() >= Requests::EACH {
            not_ready(world, sender, &e);
            return;
        }
        waiting.push_back(Waiting::new(sender.id, &e));
        if waiting.len() > Requests::MAX
            && let Some(oldest) = waiting.pop_front()
        {
            ask_again(world, &oldest);
        }
    }
    login_affiliation::mark(sender, &mut e);
    e.set_attr("from", format!("{}/{}", world.hosts.proxy(), sender.jid.as_str()));
    world.deliver(focus, &Outgoing::new(e));
}

fn answer(world: &mut World, to: &Jid, mut e: Element) {
    let Some(target) = to.resource().and_then(|r| world.sessions.by_jid(r)) else { return };
    let requests = &mut world.slots.entry::<Requests>().waiting;
    match requests.iter().position(|w| w.from == target && Some(&*w.id) == e.attr("id")) {
        Some(at) => drop(requests.remove(at)),
        // Answered already, with the advice to ask again: the focus was away in between.
        None if e.first_child().is_some_and(|c| c.is("conference", ns::FOCUS)) => return,
        None => {}
    }
    e.set_attr("from", &*world.hosts.proxy());
    world.deliver(target, &Outgoing::new(e));
}

/// If it was the focus', everybody who waits for it is told to ask again.
fn session_ended(world: &mut World, id: SessionId, session: &Session) {
    let Some(requests) = world.slots.get_mut::<Requests>() else { return };
    requests.waiting.retain(|w| w.from != id);
    if session.bare != world.config.focus || focus_session(world).is_some() {
        return;
    }
    for w in std::mem::take(&mut world.slots.entry::<Requests>().waiting) {
        ask_again(world, &w);
    }
}

fn ask_again(world: &mut World, w: &Waiting) {
    if let Some(sender) = world.sender(w.from) {
        world.counters.add(Counter::FocusAbsent);
        let to = world.hosts.proxy();
        let request = Element::new("iq", ns::CLIENT)
            .with_attr("to", &*to)
            .with_attr("from", sender.jid.as_str())
            .with_attr("id", &*w.id);
        not_ready_for(world, &sender, &request, w.room.as_deref());
    }
}

/// compat: an error would be final for the client; `ready="false"` makes it ask again after 1, 2, 4 … s (test:
/// compat_without_a_focus_a_client_asks_again).
pub(super) fn not_ready(world: &mut World, sender: &Sender, e: &Element) {
    if !is_conference(e) {
        world.refuse(sender, e, &StanzaError::new(Condition::ServiceUnavailable), None);
        return;
    }
    not_ready_for(world, sender, e, e.first_child().and_then(|c| c.attr("room")));
}

fn not_ready_for(world: &mut World, sender: &Sender, e: &Element, room: Option<&str>) {
    let conference = Element::new("conference", ns::FOCUS)
        .with_attr("ready", "false")
        .with_opt_attr("room", room)
        .with_attr("focusjid", world.config.focus.as_str());
    world.send(sender.id, iq::result(e, Some(conference)));
}

fn is_conference(e: &Element) -> bool {
    e.attr("type") == Some("set") && e.first_child().is_some_and(|c| c.is("conference", ns::FOCUS))
}

/// Node and domain of an address, each as long as may be.
const MAX_ROOM_BYTES: usize = 2 * 1023 + 1;
