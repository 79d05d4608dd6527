//! What happens between a meeting and its breakout rooms (xmpp-server §4.4): moderators' commands, people who come and go, and
//! effects that `modules/breakout_rooms.rs` left in; rooms that come and go, and who is where, out.

use std::collections::HashSet;

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, Jid, StanzaError, ns};
use serde_json::{Map, Value, json};

use super::leave;
use super::message;
use super::turn::Muc;
use crate::counters::Counter;
use crate::limits::breakouts;
use crate::module::Attempt;
use crate::modules::breakout_rooms::{NAME, changed};
use crate::outbox::Outgoing;
use crate::policy::Policy;
use crate::room::Room;
use crate::room::beside::Kind;
use crate::room::breakouts::Part;
use crate::session::SessionId;
use crate::tenants;
use crate::timers::Timer;
use crate::world::{Breakout, Sender};

/// A message to the domain of breakout rooms.
pub(super) fn command(muc: &mut Muc<'_>, sender: &Sender, domain: &str, e: &Element) {
    if e.attr("type") == Some("error") {
        return;
    }
    if let Err(error) = obey(muc, sender, domain, e) {
        muc.world.refuse(sender, e, &error, None);
    }
}

/// compat: what is not understood or not allowed does not exist (test: compat_moderators_alone_open_breakout_rooms).
fn nothing_here() -> StanzaError {
    StanzaError::new(Condition::ServiceUnavailable)
}

fn obey(muc: &mut Muc<'_>, sender: &Sender, domain: &str, e: &Element) -> Result<(), StanzaError> {
    let said = e.child_named(NAME).ok_or_else(nothing_here)?;
    let (meeting, moderates) = place(muc, sender, domain).ok_or_else(nothing_here)?;
    let room =
        || said.attr("breakoutRoomJid").and_then(|r| r.parse::<BareJid>().ok()).ok_or_else(nothing_here);
    if !moderates {
        return Err(nothing_here());
    }
    let t = muc.turn(&meeting).ok_or_else(nothing_here)?;
    t.world.reaches_all(&mut t.room.pace, sender, 1);
    let name = said.attr("subject").ok_or_else(nothing_here);
    match said.attr("type") {
        Some("features/breakout-rooms/add") => add(muc, sender, &meeting, domain, name?)?,
        Some("features/breakout-rooms/remove") => remove(muc, &meeting, &room()?)?,
        Some("features/breakout-rooms/rename") => rename(muc, sender, &meeting, &room()?, name?)?,
        Some(MOVE) => return send_over(muc, sender, &meeting, domain, said),
        _ => return Err(nothing_here()),
    }
    changed(muc.world, &meeting);
    Ok(())
}

/// The meeting that the sender is in and means, or in a part of which it is, and whether it moderates there.
fn place(muc: &Muc<'_>, sender: &Sender, domain: &str) -> Option<(BareJid, bool)> {
    let session = muc.world.sessions.get(sender.id)?;
    let in_these = session.rooms.iter().filter_map(|(jid, _)| {
        let room = muc.rooms.get(jid)?;
        let ours = match &room.kind {
            Kind::BreakoutOf { .. } => jid.domain() == domain,
            Kind::Meeting => muc.hosts.rooms(room.host)?.breakouts.as_deref() == Some(domain),
            Kind::LobbyOf(_) | Kind::AudienceOf(_) => false,
        };
        ours.then(|| (room.meeting().clone(), room.is_moderator(sender.id)))
    });
    let in_these: Vec<_> = in_these.collect();
    let meant = tenants::meant(&muc.world.config, &sender.identity);
    let first = in_these.first().map(|(meeting, _)| meeting);
    let one = in_these.iter().all(|(meeting, _)| Some(meeting) == first);
    let meeting =
        if one { first? } else { in_these.iter().map(|(m, _)| m).find(|m| Some(*m) == meant.as_ref())? };
    let moderates = in_these.iter().any(|(m, moderates)| m == meeting && *moderates);
    Some((meeting.clone(), moderates))
}

fn part(muc: &mut Muc<'_>, sender: &Sender, name: &str) -> Result<Part, StanzaError> {
    if name.len() > breakouts::NAME_BYTES {
        return Err(StanzaError::new(Condition::PolicyViolation).with_type(ErrorType::Modify));
    }
    let share = muc.world.keeps(sender, PLACE_BYTES + name.len())?;
    Ok(Part { name: name.into(), _share: share })
}

fn add(
    muc: &mut Muc<'_>,
    sender: &Sender,
    meeting: &BareJid,
    domain: &str,
    name: &str,
) -> Result<(), StanzaError> {
    if muc.world.breakouts.of(meeting).is_some_and(|parts| parts.len() >= breakouts::PER_MEETING) {
        return Err(StanzaError::new(Condition::ResourceConstraint).with_type(ErrorType::Wait));
    }
    let part = part(muc, sender, name)?;
    let id = muc.world.entropy.uuid();
    let room = BareJid::from_parts(&id, domain).map_err(|_| nothing_here())?;
    muc.world.breakouts.add(meeting, room, part);
    Ok(())
}

/// Those who are in go back to the meeting.
fn remove(muc: &mut Muc<'_>, meeting: &BareJid, room: &BareJid) -> Result<(), StanzaError> {
    if !muc.world.breakouts.remove(meeting, room) {
        return Err(nothing_here());
    }
    let back = muc.rooms.get(meeting).map(|m| m.shown().to_owned());
    let why = Element::inherit("reason").with_text("Breakout room removed.");
    leave::destroy(muc, room, Element::inherit("destroy").with_opt_attr("jid", back).with_child(why));
    Ok(())
}

fn rename(
    muc: &mut Muc<'_>,
    sender: &Sender,
    meeting: &BareJid,
    room: &BareJid,
    name: &str,
) -> Result<(), StanzaError> {
    if !muc.world.breakouts.of(meeting).is_some_and(|parts| parts.has(room)) {
        return Err(nothing_here());
    }
    let part = part(muc, sender, name)?;
    if let Some(old) = muc.world.breakouts.of_mut(meeting).and_then(|parts| parts.room_mut(room)) {
        *old = part;
    }
    if let Some(t) = muc.turn(room) {
        message::subject_by_room(t.room, t.world, name);
    }
    Ok(())
}

/// Somebody is asked to go into another room. Only somebody of this meeting is, whatever address is named.
fn send_over(
    muc: &mut Muc<'_>,
    sender: &Sender,
    meeting: &BareJid,
    domain: &str,
    said: &Element,
) -> Result<(), StanzaError> {
    let target = said.attr("roomJid").ok_or_else(nothing_here)?;
    let main = muc.rooms.get(meeting).ok_or_else(nothing_here)?;
    let parts = muc.world.breakouts.of(meeting).ok_or_else(nothing_here)?;
    let is_part = target.parse::<BareJid>().is_ok_and(|room| parts.has(&room));
    if !is_part && target != main.shown() {
        return Err(nothing_here());
    }
    let whom = said.attr("participantJid").and_then(|j| j.parse::<Jid>().ok()).ok_or_else(nothing_here)?;
    let found = rooms(muc, meeting).find_map(|room| {
        let nick = whom.resource().filter(|_| whom.bare_str() == room.shown());
        let by_nick = nick.and_then(|nick| room.occupant(nick)?.primary()).map(|s| s.id);
        let by_jid = || muc.world.sessions.by_jid(whom.as_str()).filter(|id| room.occupant_of(*id).is_some());
        by_nick.or_else(by_jid)
    });
    let found = found.ok_or_else(nothing_here)?;
    let told = json!({ "type": NAME, "event": MOVE, "roomJid": target });
    muc.world.reaches(sender, found);
    muc.world.deliver(found, &push(domain, &told));
    Ok(())
}

/// The meeting itself and those of its breakout rooms that are there.
fn rooms<'a>(muc: &'a Muc<'_>, meeting: &'a BareJid) -> impl Iterator<Item = &'a Room> {
    let parts =
        muc.world.breakouts.of(meeting).into_iter().flat_map(|parts| parts.rooms().map(|(jid, _)| jid));
    std::iter::once(meeting).chain(parts).filter_map(|jid| muc.rooms.get(jid))
}

fn push(domain: &str, json: &Value) -> Outgoing {
    let json = Element::new("json-message", ns::JITMEET).with_text(json.to_string());
    Outgoing::new(Element::new("message", ns::CLIENT).with_attr("from", domain).with_child(json))
}

/// Whether somebody who wants to come into a meeting or a part of it may not, because of where else it is.
pub(super) fn refusal(muc: &Muc<'_>, room: &BareJid, attempt: &Attempt) -> Option<StanzaError> {
    let (id, bare) = (attempt.sender.id, &attempt.sender.bare);
    let of = muc.world.breakouts.meeting_of(room);
    let meeting = of.unwrap_or(room);
    let parts = muc.world.breakouts.of(meeting).filter(|_| !attempt.sender.identity.admin)?;
    let error = |condition| Some(StanzaError::new(condition).with_type(ErrorType::Cancel));
    if muc.rooms.get(meeting).is_none() {
        return error(Condition::ServiceUnavailable);
    }
    // compat: a nick waits for whoever is on the way (test: compat_a_nick_is_kept_for_who_goes_from_room_to_room).
    let others = |id: SessionId| muc.world.sessions.get(id).is_some_and(|s| s.bare != *bare);
    if parts.keeping(&attempt.nick).any(others) {
        return error(Condition::Conflict);
    }
    let elsewhere = || rooms(muc, meeting).filter(|r| r.jid != *room);
    if elsewhere().filter_map(|r| r.occupant(&attempt.nick)).any(|o| o.bare != *bare) {
        return error(Condition::Conflict);
    }
    // compat: then the client goes to the meeting (test: compat_only_people_of_the_meeting_come_into_its_breakout_rooms).
    if of.is_some() && !parts.is_switching(id) && !elsewhere().any(|r| r.occupant_of(id).is_some()) {
        return error(Condition::NotAllowed);
    }
    None
}

/// Refuses what must not be, and says whether it did.
pub(super) fn refuses(muc: &mut Muc<'_>, room: &BareJid, attempt: &Attempt) -> bool {
    let Some(error) = refusal(muc, room, attempt) else { return false };
    let by = muc.rooms.get(room).map(|r| r.shown().to_owned());
    muc.world.counters.add(Counter::JoinsRefused);
    muc.world.refuse(&attempt.sender, &attempt.presence, &error, by.as_deref());
    true
}

/// The room that the focus makes of one that was opened. `None`: it is none.
pub(super) fn make(muc: &Muc<'_>, jid: &BareJid) -> Option<Room> {
    let meeting = muc.rooms.get(muc.world.breakouts.meeting_of(jid)?)?;
    let config = &muc.world.config;
    Some(Room::breakout_of(config, meeting, jid.clone(), muc.hosts.of(config, jid.domain())?))
}

/// It is there: it has the name that it was given.
pub(super) fn made(muc: &mut Muc<'_>, jid: &BareJid) {
    let meeting = muc.world.breakouts.meeting_of(jid).cloned();
    let parts = meeting.and_then(|meeting| muc.world.breakouts.of_mut(&meeting));
    let Some(name) = parts.and_then(|parts| parts.room_mut(jid)).map(|part| part.name.clone()) else {
        return;
    };
    if let Some(t) = muc.turn(jid) {
        message::subject_by_room(t.room, t.world, &name);
    }
}

/// Their doors are as that of their meeting.
pub(super) fn follow(muc: &mut Muc<'_>, meeting: &BareJid) {
    let all: Vec<BareJid> = rooms(muc, meeting).skip(1).map(|room| room.jid.clone()).collect();
    for jid in all {
        let Some(main) = muc.rooms.get(meeting) else { return };
        let (members_only, lobby) = (main.config.members_only, main.lobby.clone());
        if let Some(room) = muc.rooms.get_mut(&jid) {
            room.follow(members_only, lobby);
        }
    }
}

/// A meeting is over, and so are its parts, for the same reason.
pub(super) fn end(muc: &mut Muc<'_>, meeting: &BareJid, reason: Option<&Element>) {
    muc.world.timers.cancel(Timer::Aside(meeting.clone(), NAME));
    for jid in muc.world.breakouts.end(meeting) {
        let mut destroy = Element::inherit("destroy");
        destroy.push(
            reason.cloned().unwrap_or_else(|| Element::inherit("reason").with_text("Breakout room removed.")),
        );
        leave::destroy(muc, &jid, destroy);
    }
}

/// What rules left to be done.
pub(super) fn carry_out(muc: &mut Muc<'_>, meeting: &BareJid, what: Breakout) {
    match what {
        Breakout::Tell => tell(muc, meeting),
        Breakout::Left | Breakout::Over if !is_deserted(muc, meeting) => {}
        // Those who wait to come in may still do so.
        Breakout::Over if rooms(muc, meeting).all(|room| room.held.is_empty()) => {
            let why = Element::inherit("reason").with_text("All occupants left.");
            leave::destroy(muc, meeting, Element::inherit("destroy").with_child(why));
        }
        Breakout::Left | Breakout::Over => {
            let at = muc.world.now + breakouts::DESERTED;
            muc.world.timers.set_by(at, Timer::Aside(meeting.clone(), NAME));
        }
    }
}

/// Whether nobody but roles is anywhere.
fn is_deserted(muc: &Muc<'_>, meeting: &BareJid) -> bool {
    muc.world.breakouts.of(meeting).is_some()
        && rooms(muc, meeting).all(|room| room.occupants().all(|o| muc.world.is_admin(&o.bare)))
}

/// Tells everybody who is where.
fn tell(muc: &mut Muc<'_>, meeting: &BareJid) {
    let Some(main) = muc.rooms.get(meeting) else { return };
    let Some(domain) = muc.hosts.rooms(main.host).and_then(|def| def.breakouts.as_deref()) else { return };
    let sees_names = |moderates: bool, policy: &Policy| moderates || !policy.hide_names;
    let for_moderators = push(domain, &list(muc, main, true));
    let masked = main.policy.hide_names.then(|| push(domain, &list(muc, main, false)));
    let mut told = HashSet::new();
    let mut readers = Vec::new();
    for room in rooms(muc, meeting) {
        for o in room.occupants().filter(|o| !muc.world.is_admin(&o.bare)) {
            let all = sees_names(o.role.is_moderator(), &main.policy);
            readers.extend(o.sessions.iter().filter(|s| told.insert(s.id)).map(|s| (s.id, all)));
        }
    }
    if let Some(parts) = muc.world.breakouts.of_mut(meeting) {
        parts.people = readers.len();
    }
    for (id, all) in readers {
        muc.world.deliver(id, masked.as_ref().filter(|_| !all).unwrap_or(&for_moderators));
    }
}

fn list(muc: &Muc<'_>, main: &Room, names: bool) -> Value {
    let parts = muc.world.breakouts.of(&main.jid);
    let mut rooms = Map::new();
    let id = main.shown().split_once('@').map_or("", |(node, _)| node);
    let mut shown = json!({
        "id": id, "jid": main.shown(), "isMainRoom": true, "participants": participants(muc, main, names),
    });
    if let (Some(subject), Some(shown)) = (&main.subject, shown.as_object_mut()) {
        shown.insert("name".to_owned(), Value::from(&**subject.text.reveal()));
    }
    rooms.insert(id.to_owned(), shown);
    for (jid, part) in parts.into_iter().flat_map(|parts| parts.rooms()) {
        let people = muc.rooms.get(jid).map_or_else(Map::new, |room| participants(muc, room, names));
        let id = jid.node().unwrap_or_default();
        let shown = json!({ "id": id, "jid": jid.as_str(), "name": &*part.name, "participants": people });
        rooms.insert(id.to_owned(), shown);
    }
    let counter = parts.map_or(0, |parts| parts.counter);
    json!({
        "type": NAME, "event": "features/breakout-rooms/update", "roomCounter": counter, "rooms": rooms,
    })
}

fn participants(muc: &Muc<'_>, room: &Room, names: bool) -> Map<String, Value> {
    let people = room.occupants().filter(|o| !muc.world.is_admin(&o.bare));
    people
        .filter_map(|o| {
            let mut shown = json!({ "jid": o.primary()?.jid.as_str(), "role": o.role.as_str() });
            if let (Some(name), Some(shown)) = (o.display_name().filter(|_| names), shown.as_object_mut()) {
                shown.insert("displayName".to_owned(), name.into());
            }
            Some((room.occupant_jid(&o.nick), shown))
        })
        .collect()
}

/// What clients call the request to go into another room, and being asked to.
/// What a room takes beyond its name.
const PLACE_BYTES: usize = 200;

const MOVE: &str = "features/breakout-rooms/move-to-room";
