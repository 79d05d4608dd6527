//! Upstream's `visitors_component` (xmpp-server §11): in a meeting that is watched, viewers who raise a hand come in when a moderator
//! says so, or at once where they may; moderators send people among the viewers; the focus says that nobody watches any more.
//!
//! Who comes in logs in anew, under a name that is told to it alone and that nobody else gets. What happens among the viewers is
//! `audience.rs`.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use jitsi_xmpp::{Condition, Element, ErrorType, Jid, StanzaError, iq, ns};
use serde_json::{Value, json};

use super::{metadata, push};
use crate::limits::visitors as limits;
use crate::module::{Affiliated, Attempt, Component, Module, Relay, Verdict};
use crate::outbox::Outgoing;
use crate::room::rank::Affiliation;
use crate::room::{FOCUS_NICK, Room, form};
use crate::session::SessionId;
use crate::tenants;
use crate::world::{Effect, Sender, World};

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &["visitors_component"],
    component: Some(Component { identity: Some("visitors"), in_breakouts: false }),
    stanza: Some(stanza),
    join: Some(join),
    joined: Some(joined),
    last: Some(said),
    affiliated: Some(affiliated),
    form: Some(|_, form| form.push(field())),
    disco: Some(|_, form| form.push(field())),
    ..Module::NONE
};

const NAME: &str = "visitors";

/// Clients offer what they find here (upstream's `always_visitors_enabled`).
fn field() -> Element {
    form::field("boolean", "muc#roominfo_visitorsEnabled", "1")
}

/// What a meeting knows of who watches it.
#[derive(Default)]
struct Hands {
    /// Viewers who want to come in, by address.
    up: BTreeMap<Box<str>, Hand>,
    /// Names under which somebody may come in.
    allowed: HashSet<Box<str>>,
}

/// A viewer's hand.
#[derive(Clone)]
pub(super) struct Hand {
    pub(super) session: SessionId,
    pub(super) jid: Box<str>,
    pub(super) name: Option<Box<str>>,
}

/// Names that were promised to viewers and until when they are kept for them.
#[derive(Default)]
struct Promised(BTreeMap<Box<str>, Instant>);

/// Whether this name is given to who asks for it at its login: it was told to one viewer, a moment ago, and that is not back yet.
pub(crate) fn redeem(world: &World, name: &str, domain: &str) -> bool {
    let promised = world.slots.get::<Promised>().and_then(|p| p.0.get(name));
    promised.is_some_and(|until| *until > world.now)
        && world.config.domain() == domain
        && world.sessions.of_account(&format!("{name}@{domain}")).next().is_none()
}

/// `connect-vnode` and `disconnect-vnode`, from roles. The room is filled when it is made, so that the first has nothing to do.
fn stanza(world: &mut World, sender: &Sender, _: &Jid, e: Element) -> Option<Element> {
    let Some(visitors) = e.child("visitors", ns::VISITORS).filter(|_| e.name() == "iq") else {
        return Some(e);
    };
    if !matches!(e.attr("type"), Some("get" | "set")) {
        return None;
    }
    if !sender.identity.admin {
        world.refuse(sender, &e, &StanzaError::new(Condition::Forbidden), None);
        return None;
    }
    let room = visitors.attr("room").and_then(|room| room.parse::<Jid>().ok());
    let room = room.and_then(|jid| tenants::stored(&world.config, jid).ok()).map(|jid| jid.to_bare());
    if let (Some(room), true) = (room, visitors.child_named("disconnect-vnode").is_some()) {
        world.elsewhere(&room, |meeting, world| {
            if let Some(audience) = &meeting.audience {
                let room = audience.jid.clone();
                world.effects.push_back(Effect::Destroy { room, reason: "Conference ended." });
            }
        });
    }
    world.send(sender.id, iq::result(&e, None));
    None
}

/// Whoever raises a hand comes in.
fn is_open(room: &Room) -> bool {
    room.policy.viewers_come_in
        || metadata::get(room, NAME).is_some_and(|v| v.get("autoPromote") == Some(&Value::Bool(true)))
}

/// In a meeting that is watched, newcomers watch, unless somebody let them in.
fn join(room: &mut Room, world: &mut World, attempt: &mut Attempt) -> Verdict {
    let sender = &attempt.sender;
    if room.audience.is_none() || sender.identity.admin || sender.identity.unseen.is_some() {
        return Verdict::Pass;
    }
    let node = sender.bare.node().unwrap_or_default();
    if room.slots.get::<Hands>().is_some_and(|h| h.allowed.contains(node)) {
        // It was in the room, one way or the other.
        if attempt.password.is_none() {
            attempt.password = room.config.password.as_ref().map(|p| p.reveal().clone());
        }
        let mut of_visitors = metadata::get(room, NAME).unwrap_or_else(|| json!({}));
        if !of_visitors.get("promoted").is_some_and(Value::is_object) {
            push::add(&mut of_visitors, "promoted", json!({}));
        }
        if let Some(promoted) = of_visitors.get_mut("promoted") {
            push::add(promoted, &attempt.nick, true);
        }
        // Moderators may have filled it to its bound; nothing depends on it.
        let _ = metadata::set(room, world, None, NAME, of_visitors);
        return Verdict::Pass;
    }
    // Who will own it as soon as it is in has been let in already.
    let moderates = sender.identity.moderates == Some(true);
    if moderates || is_open(room) || room.affiliation(&world.config, &sender.bare) > Affiliation::None {
        return Verdict::Pass;
    }
    // compat: clients tell it by the element (test: compat_nobody_passes_by_the_audience_unless_let_in).
    let error = StanzaError::new(Condition::NotAllowed)
        .with_text("Visitor needs to be allowed by a moderator")
        .with_extra(Element::new("promotion-not-allowed", ns::VISITORS));
    Verdict::refuse(error)
}

/// A viewer raises its hand, or lowers it, or goes.
pub(super) fn hand(room: &mut Room, world: &mut World, hand: Hand, up: bool) {
    if up && is_open(room) {
        return answer(room, world, &hand, true);
    }
    let hands = room.slots.entry::<Hands>();
    if !up {
        if hands.up.remove(&hand.jid).is_none() {
            return;
        }
    } else if hands.up.len() < limits::HANDS {
        hands.up.insert(hand.jid.clone(), hand.clone());
    } else {
        return;
    }
    let told = request(room, &hand, up);
    push::to_moderators(room, world, &world.component(room.host, NAME), &told);
}

fn request(room: &Room, hand: &Hand, up: bool) -> Value {
    json!({
        "type": NAME, "room": room.shown(), "action": "promotion-request",
        "nick": hand.name, "from": hand.jid, "on": up,
    })
}

/// A viewer comes in, or does not.
fn answer(room: &mut Room, world: &mut World, hand: &Hand, mut allow: bool) {
    let Some(shown) = room.audience.as_ref().map(|a| a.shown.clone()) else { return };
    let username = world.entropy.uuid();
    if allow {
        let now = world.now;
        let promised = &mut world.slots.entry::<Promised>().0;
        if promised.len() >= limits::PROMISED {
            promised.retain(|_, until| *until > now);
        }
        let allowed = &mut room.slots.entry::<Hands>().allowed;
        allow = promised.len() < limits::PROMISED && allowed.len() < limits::ALLOWED;
        if allow {
            promised.insert(username.as_str().into(), now + limits::PROMISE);
            allowed.insert(username.as_str().into());
        }
    }
    let focus = room.occupant(FOCUS_NICK).map(|o| o.bare.as_str().to_owned());
    let response = Element::new("promotion-response", ns::VISITORS)
        .with_attr("jid", &*hand.jid)
        .with_attr("username", username)
        .with_attr("allow", if allow { "true" } else { "false" });
    let visitors = Element::new("visitors", ns::VISITORS)
        .with_attr("room", shown.as_str())
        .with_opt_attr("focusjid", focus)
        .with_child(response);
    let iq = Element::new("iq", ns::CLIENT)
        .with_attr("type", "set")
        .with_attr("id", world.entropy.hex(12))
        .with_attr("from", shown)
        .with_child(visitors);
    world.send(hand.session, iq);
}

/// A moderator's word about viewers, which is for the server.
fn said(room: &mut Room, world: &mut World, by: &Sender, e: &mut Element) -> Result<Relay, StanzaError> {
    if e.attr("type") != Some("groupchat") || e.child_named("body").is_some() {
        return Ok(Relay::Pass);
    }
    let Some(json) = e.child("json-message", ns::JITMEET).map(Element::text) else { return Ok(Relay::Pass) };
    let Some(json) = jitsi_xmpp::json::parse(&json).filter(|j| j.get("type") == Some(&Value::from(NAME)))
    else {
        return Ok(Relay::Pass);
    };
    let Some(own) = room.occupant_of(by.id).filter(|o| o.role.is_moderator()) else {
        return Err(StanzaError::new(Condition::Forbidden));
    };
    match json.get("action").and_then(Value::as_str) {
        Some("promotion-response") => {
            let allow = json.get("approved") == Some(&Value::Bool(true));
            let one = json.get("id").into_iter();
            let several = json.get("ids").and_then(Value::as_array).into_iter().flatten();
            let ids: Vec<&str> = one.chain(several).filter_map(Value::as_str).collect();
            for id in ids {
                let Some(hand) = room.slots.entry::<Hands>().up.remove(id) else { continue };
                answer(room, world, &hand, allow);
                // The other moderators need not decide any more.
                let told = request(room, &hand, false);
                push::to_moderators(room, world, &world.component(room.host, NAME), &told);
            }
        }
        Some("demote-request") => {
            let text = |key| json.get(key).and_then(Value::as_str);
            if text("actor") != Some(&*own.nick) {
                return Err(StanzaError::new(Condition::BadRequest).with_type(ErrorType::Cancel));
            }
            let (actor, target) = (own.nick.clone(), text("id").unwrap_or_default().to_owned());
            demote(room, world, &actor, &target, &json);
        }
        _ => {}
    }
    Ok(Relay::Drop)
}

/// Somebody is sent among the viewers: its client goes by itself, and the other moderators know.
fn demote(room: &Room, world: &mut World, actor: &str, target: &str, json: &Value) {
    let from = world.component(room.host, NAME);
    let json = Element::new("json-message", ns::JITMEET).with_text(json.to_string());
    let message = Element::new("message", ns::CLIENT).with_attr("type", "chat").with_attr("from", &*from);
    let message = Outgoing::new(message.with_child(json));
    let told = room.occupants().filter(|o| {
        !world.config.admins.contains(&o.bare)
            && (*o.nick == *target || (o.role.is_moderator() && *o.nick != *actor))
    });
    let told: Vec<SessionId> = told.flat_map(|o| o.sessions.iter().map(|s| s.id)).collect();
    told.into_iter().for_each(|id| world.deliver(id, &message));
}

/// A new moderator learns who wants to come in.
fn joined(room: &mut Room, world: &mut World, sender: &Sender, nick: &str) {
    if !sender.identity.admin && room.occupant(nick).is_some_and(|o| o.role.is_moderator()) {
        tell_all(room, world, &[sender.id]);
    }
}

fn affiliated(room: &mut Room, world: &mut World, set: &Affiliated<'_>) {
    let rises = set.before.role() < set.affiliation.role() && set.affiliation.role().is_moderator();
    if rises && !world.is_admin(set.account) {
        let theirs = room.occupants().filter(|o| o.bare == *set.account);
        let sessions: Vec<SessionId> = theirs.flat_map(|o| o.sessions.iter().map(|s| s.id)).collect();
        tell_all(room, world, &sessions);
    }
}

fn tell_all(room: &Room, world: &mut World, sessions: &[SessionId]) {
    let Some(hands) = room.slots.get::<Hands>().filter(|h| !h.up.is_empty()) else { return };
    let from = world.component(room.host, NAME);
    for hand in hands.up.values() {
        let message = push::message(&from, &request(room, hand, true));
        sessions.iter().for_each(|id| world.deliver(*id, &message));
    }
}

/// Nobody watches any more: there is nobody to answer, and everybody comes in by the door again.
pub(crate) fn over(meeting: &mut Room) {
    if let Some(hands) = meeting.slots.get_mut::<Hands>() {
        *hands = Hands::default();
    }
}
