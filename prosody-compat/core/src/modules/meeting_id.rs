//! Upstream's `muc_meeting_id` (xmpp-server §4.14): a meeting has an id that the focus may set, health-check rooms
//! are the focus' own, and nobody enters a meeting before the focus is in it.

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, Jid, StanzaError, ns};

use super::admission::CREATION_IS_RESTRICTED;
use crate::module::{Attempt, Module, Reason, Verdict};
use crate::room::{FOCUS_NICK, HEALTH_CHECK_PREFIX, Room, form};
use crate::world::{Effect, Sender, World};

pub(super) static MODULE: Module = Module {
    name: "meeting_id",
    named: &[UPSTREAM],
    created: Some(created),
    join: Some(join),
    joined: Some(joined),
    change: Some(change),
    config: Some(config),
    form: Some(|room, form| form.push(field(room))),
    disco: Some(|room, form| form.push(field(room))),
    ..Module::NONE
};

/// Before tokens are looked at. compat: nobody is told more of such a room
/// (test: compat_health_check_rooms_are_the_focus_own_before_tokens_are_looked_at).
pub(super) static HEALTH: Module = Module {
    name: "health checks",
    named: &[UPSTREAM],
    create: Some(create),
    join: Some(|room, _, attempt| {
        if room.is_health_check() && &*attempt.nick != FOCUS_NICK {
            return Verdict::refuse(unavailable());
        }
        Verdict::Pass
    }),
    ..Module::NONE
};

const UPSTREAM: &str = "muc_meeting_id";

/// compat: clients ask the focus again after this answer (test: compat_only_roles_create_rooms).
static FOCUS: Reason = Reason {
    name: "focus",
    refusal: || StanzaError::new(Condition::NotAllowed).with_text(CREATION_IS_RESTRICTED),
    freed: None,
};

#[derive(Default)]
struct Meeting {
    id: String,
    focus_was_in: bool,
}

fn create(_: &World, room: &BareJid, attempt: &Attempt) -> Verdict {
    let health_check = room.node().is_some_and(|n| n.starts_with(HEALTH_CHECK_PREFIX));
    if health_check && &*attempt.nick != FOCUS_NICK { Verdict::refuse(unavailable()) } else { Verdict::Pass }
}

fn created(room: &mut Room, world: &mut World) {
    if room.slots.get::<Meeting>().is_none() {
        room.slots.put(Meeting { id: world.entropy.uuid(), focus_was_in: false });
    }
}

/// Whoever watches a meeting is in that meeting.
pub(super) fn share(meeting: &Room, audience: &mut Room) {
    if let Some(m) = meeting.slots.get::<Meeting>() {
        audience.slots.put(Meeting { id: m.id.clone(), focus_was_in: false });
    }
}

fn join(room: &mut Room, _: &mut World, attempt: &mut Attempt) -> Verdict {
    if room.is_health_check() || &*attempt.nick == FOCUS_NICK {
        return Verdict::Pass;
    }
    if room.slots.get::<Meeting>().is_some_and(|m| m.focus_was_in) {
        return Verdict::Pass;
    }
    Verdict::Hold(&FOCUS)
}

fn joined(room: &mut Room, world: &mut World, sender: &Sender, nick: &str) {
    if nick == FOCUS_NICK && sender.identity.admin {
        room.slots.entry::<Meeting>().focus_was_in = true;
        world.effects.push_back(Effect::Release { room: room.jid.clone(), reason: FOCUS.name });
    }
}

/// compat: nobody changes what the focus is, by its nick or by its address, whatever stands beside that (test:
/// compat_the_focus_is_nobodys_to_change).
fn change(_: &Room, world: &World, sender: &Sender, query: &Element) -> Result<(), StanzaError> {
    let focus = |jid: &str| jid.parse::<Jid>().is_ok_and(|jid| jid.to_bare() == world.config.focus);
    let its = |item: &Element| item.attr("nick") == Some(FOCUS_NICK) || item.attr("jid").is_some_and(focus);
    if !sender.identity.admin && query.children_of("item", ns::MUC_ADMIN).any(its) {
        return Err(StanzaError::new(Condition::NotAllowed).with_type(ErrorType::Cancel));
    }
    Ok(())
}

fn config(room: &mut Room, sender: &Sender, var: &str, value: &str) -> Option<bool> {
    if var != MEETING_ID {
        return None;
    }
    let meeting = room.slots.entry::<Meeting>();
    let changes = sender.identity.admin
        && !value.is_empty()
        && value.len() <= MAX_MEETING_ID_BYTES
        && meeting.id != value;
    if changes {
        value.clone_into(&mut meeting.id);
    }
    Some(changes)
}

/// The meeting's id. Empty: it has none.
pub(super) fn of(room: &Room) -> &str {
    room.slots.get::<Meeting>().map_or("", |m| &m.id)
}

fn field(room: &Room) -> Element {
    form::field("text-single", MEETING_ID, of(room))
}

fn unavailable() -> StanzaError {
    StanzaError::new(Condition::ServiceUnavailable).with_type(ErrorType::Cancel)
}

const MEETING_ID: &str = "muc#roominfo_meetingId";
/// The focus' ids are UUIDs.
const MAX_MEETING_ID_BYTES: usize = 128;
