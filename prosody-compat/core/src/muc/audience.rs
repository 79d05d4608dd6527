//! What happens between a meeting and the room from where it is watched (xmpp-server §11): what those who meet say and show in, the
//! same as from the other room out; what those who watch say in, and that as the meeting hears it out.

use std::sync::Arc;

use jitsi_xmpp::{BareJid, Condition, Element, ErrorType, StanzaError, ns};

use super::message::{delay, last_word};
use super::presence;
use super::turn::{Muc, Turn};
use crate::counters::Counter;
use crate::identity::HostId;
use crate::kept::Kept;
use crate::module::{Attempt, MessageHook, Relay};
use crate::modules::{self, visitors};
use crate::outbox::Outgoing;
use crate::policy::Policy;
use crate::room::audience::Audience;
use crate::room::{FOCUS_NICK, Occupant, Room, Subject};
use crate::rooms::Rooms;
use crate::stanza::not_in;
use crate::world::{Effect, Sender, World};

/// Makes the room, with all that the meeting is.
pub(super) fn open(
    muc: &mut Muc<'_>,
    host: HostId,
    jid: &BareJid,
    meetings: &str,
    policy: Arc<Policy>,
    attempt: &Attempt,
) -> bool {
    let meeting = jid.node().and_then(|node| BareJid::from_parts(node, meetings).ok());
    let Some(t) = meeting.and_then(|meeting| muc.turn(&meeting)) else {
        muc.world.counters.add(Counter::JoinsRefused);
        let error = StanzaError::new(Condition::ItemNotFound);
        muc.world.refuse(&attempt.sender, &attempt.presence, &error, Some(jid.domain()));
        return false;
    };
    let mut room = Room::audience_of(&t.world.config, t.room, jid.clone(), host, policy);
    let shown = room.shown().to_owned();
    for o in t.room.occupants().filter(|o| !t.world.is_admin(&o.bare)) {
        let seen = presence::seen_as(&t, o, &format!("{shown}/{}", o.nick));
        room.put_on_stage(o.nick.clone(), seen);
    }
    let meeting = t.room.shown().to_owned();
    room.history = t.room.history.seen_as(|message| readdress(message, &meeting, &shown));
    room.subject = t.room.subject.as_ref().and_then(|s| s.replayed.read()).and_then(|mut subject| {
        readdress(&mut subject, &meeting, &shown).then_some(subject).map(Subject::new)
    });
    modules::share(t.room, &mut room);
    t.room.audience = Some(Box::new(Audience { jid: jid.clone(), shown }));
    muc.rooms.insert(muc.world, room);
    muc.created(jid);
    true
}

/// A message of one room as one of the other; `false`: it is of neither.
fn readdress(message: &mut Element, from: &str, to: &str) -> bool {
    let Some(rest) = message.attr("from").and_then(|f| f.strip_prefix(from)) else { return false };
    if !rest.is_empty() && !rest.starts_with('/') {
        return false;
    }
    let address = format!("{to}{rest}");
    message.set_attr("from", address);
    true
}

/// A room is gone: one that was watched takes the other with it.
pub(super) fn over(rooms: &mut Rooms, world: &mut World, room: &Room) {
    if let Some(audience) = &room.audience {
        world.effects.push_back(Effect::Destroy { room: audience.jid.clone(), reason: ENDED });
    }
    if let Some(meeting) = room.watches().and_then(|meeting| rooms.get_mut(meeting)) {
        meeting.audience = None;
        visitors::over(meeting);
    }
}

/// Somebody who meets looks otherwise.
pub(super) fn show(t: &mut Turn<'_>, nick: &str) {
    let (Some(audience), Some(o)) = (&t.room.audience, t.room.occupant(nick)) else { return };
    if t.world.is_admin(&o.bare) {
        return;
    }
    let (nick, jid) = (o.nick.clone(), audience.jid.clone());
    let seen = presence::seen_as(t, o, &format!("{}/{nick}", audience.shown));
    t.world.elsewhere(&jid, move |audience, world| audience.show(world, nick, seen));
}

/// Somebody who met is gone.
pub(super) fn hide(room: &Room, world: &mut World, gone: &Occupant) {
    let Some(audience) = &room.audience else { return };
    let nick = gone.nick.clone();
    let told = presence::gone_from(gone, &format!("{}/{nick}", audience.shown));
    world.elsewhere(&audience.jid, move |audience, world| audience.hide(world, &nick, &told));
}

/// Something was said to all who meet.
pub(super) fn repeat(room: &Room, world: &mut World, nick: &str, e: &Element) {
    let Some(audience) = &room.audience else { return };
    let mut e = e.clone();
    e.set_attr("from", format!("{}/{nick}", audience.shown));
    let told = Outgoing::new(e);
    world.elsewhere(&audience.jid, move |audience, world| audience.broadcast(world, &told));
}

/// It is kept for latecomers: also for those of the audience.
pub(super) fn keep(room: &Room, world: &mut World, by: &Sender, nick: &str, kept: &Element) {
    let Some(audience) = &room.audience else { return };
    let (mut kept, author) = (kept.clone(), by.bare.clone());
    kept.set_attr("from", format!("{}/{nick}", audience.shown));
    world.elsewhere(&audience.jid, move |audience, world| {
        let most = (&world.config.limits).into();
        audience.history.keep(world.now, Some(&author), kept, most, |_| Ok(Kept::ours()));
    });
}

/// The meeting has another subject.
pub(super) fn subject(room: &Room, world: &mut World, live: &Element, replayed: &Element) {
    let Some(audience) = &room.audience else { return };
    let (mut live, mut replayed) = (live.clone(), replayed.clone());
    for e in [&mut live, &mut replayed] {
        readdress(e, room.shown(), &audience.shown);
    }
    world.elsewhere(&audience.jid, move |audience, world| {
        audience.broadcast(world, &Outgoing::new(live));
        audience.subject = Some(Subject::new(replayed));
    });
}

/// Owners may have changed what the audience has to know.
pub(super) fn settings(room: &Room, world: &mut World) {
    let Some(audience) = &room.audience else { return };
    let password = room.config.password.clone();
    world.elsewhere(&audience.jid, move |audience, _| audience.config.password = password);
}

/// Somebody in the audience says something to all. Those who meet hear it first, and their rules decide.
pub(super) fn said(t: &mut Turn<'_>, by: &Sender, said: Element) -> Result<(), StanzaError> {
    let audience = t.room.jid.clone();
    t.world.effects.push_back(Effect::Heard { audience, by: by.clone(), said: Box::new(said) });
    Ok(())
}

/// What a viewer may say: words, and what is about words. Clients believe what comes from a room's own address, and there the rest
/// would come from.
fn words(said: &Element) -> Option<Element> {
    let mut e = said.clone();
    e.retain_children(|c| {
        matches!(c.name(), "body" | "reactions" | "reply" | "fallback" | "thread")
            || c.is("store", ns::HINTS)
            || c.is("replace", "urn:xmpp:message-correct:0")
    });
    (e.child_named("body").is_some() || e.child_named("reactions").is_some()).then_some(e)
}

/// Who says it, as the server knows it. compat: both elements, for older clients and newer ones (test:
/// compat_what_a_viewer_says_is_heard_by_all_and_kept).
fn sign(e: &mut Element, name: Option<&str>) {
    let name = name.filter(|n| !n.is_empty()).unwrap_or("anonymous");
    e.push(Element::new("nick", ns::NICK).with_text(name));
    e.push(Element::new("display-name", ns::DISPLAY_NAME).with_attr("source", "visitor").with_text(name));
}

/// Who speaks: its nick, its name and the meeting.
fn speaker(muc: &Muc<'_>, audience: &BareJid, by: &Sender) -> Option<(String, Option<String>, BareJid)> {
    let room = muc.rooms.get(audience)?;
    let own = room.occupant_of(by.id)?;
    Some((room.occupant_jid(&own.nick), own.display_name(), room.watches()?.clone()))
}

/// What the meeting's rules say about it.
fn asked(
    t: &mut Turn<'_>,
    by: &Sender,
    e: &mut Element,
    rules: impl Iterator<Item = MessageHook>,
) -> Result<Relay, StanzaError> {
    for rule in rules {
        if rule(t.room, t.world, by, e)? == Relay::Drop {
            t.world.counters.add(Counter::RuleDropped);
            return Ok(Relay::Drop);
        }
    }
    last_word(t, by, e)
}

/// Everybody hears somebody in the audience.
pub(super) fn heard(muc: &mut Muc<'_>, audience: &BareJid, by: &Sender, said: Element) {
    let Some((from, name, meeting)) = speaker(muc, audience, by) else { return };
    let Some(mut e) = words(&said) else { return muc.world.counters.add(Counter::RuleDropped) };
    let Some(mut t) = muc.turn(&meeting) else { return };
    t.world.reaches_all(&mut t.room.pace, by, 1);
    let rules: Vec<_> = t.modules.iter().filter_map(|m| m.message).collect();
    match asked(&mut t, by, &mut e, rules.into_iter()) {
        Ok(Relay::Pass) => {}
        Ok(Relay::Drop) => return,
        Err(error) => return muc.world.refuse(by, &said, &error, Some(meeting.as_str())),
    }
    e.remove_attr("to");
    sign(&mut e, name.as_deref());
    e.set_attr("from", t.room.shown().to_owned());
    tell(t.room, t.world, by, e.clone());
    if let Some(t) = muc.turn(audience) {
        e.set_attr("from", from);
        tell(t.room, t.world, by, e);
    }
}

fn tell(room: &mut Room, world: &mut World, by: &Sender, e: Element) {
    let lasts = e.child_named("body").is_some() || e.child("store", ns::HINTS).is_some();
    if lasts && e.child("no-store", ns::HINTS).is_none() {
        let kept = e.clone().with_child(delay(room, world));
        let most = (&world.config.limits).into();
        room.history.keep(world.now, Some(&by.bare), kept, most, |bytes| world.keeps(by, bytes));
    }
    room.broadcast(world, &Outgoing::new(e));
}

/// To one occupant of the audience's room, or one who is seen from there. `None`: as in each room.
pub(super) fn private(
    t: &mut Turn<'_>,
    by: &Sender,
    nick: &str,
    e: &Element,
) -> Option<Result<(), StanzaError>> {
    if e.attr("type") == Some("groupchat") || by.identity.admin {
        return None;
    }
    let meeting = t.room.watches()?.clone();
    if t.room.occupant_of(by.id).is_none() {
        return Some(answer(t, by, &meeting, nick, e));
    }
    if t.room.shows_on_stage(nick) {
        let (audience, nick) = (t.room.jid.clone(), nick.into());
        let said = Box::new(e.clone());
        t.world.effects.push_back(Effect::Whispered { audience, by: by.clone(), nick, said });
        return Some(Ok(()));
    }
    if nick == FOCUS_NICK || t.room.occupant(nick).is_none() {
        return None;
    }
    // compat: upstream's text (test: compat_viewers_do_not_write_to_each_other).
    let text = "Private messaging between visitors is disabled on visitor nodes";
    Some(Err(StanzaError::new(Condition::Forbidden).with_type(ErrorType::Auth).with_text(text)))
}

/// Somebody who meets writes to one who watches, under the address from which that wrote.
fn answer(
    t: &mut Turn<'_>,
    by: &Sender,
    meeting: &BareJid,
    nick: &str,
    e: &Element,
) -> Result<(), StanzaError> {
    let rooms = t.world.sessions.get(by.id).map(|s| s.rooms.as_slice()).unwrap_or_default();
    let own = rooms.iter().find(|(room, _)| room == meeting).map(|(_, nick)| nick.clone());
    let own = own.ok_or_else(not_in)?;
    let Some(target) = t.room.occupant(nick) else {
        return Err(StanzaError::new(Condition::ItemNotFound).with_text("Recipient not in room"));
    };
    let targets: Vec<_> = target.sessions.iter().map(|s| s.id).collect();
    if let Some(target) = targets.last() {
        t.world.reaches(by, *target);
    }
    let mut e = e.clone();
    let rules: Vec<_> = t.modules.iter().filter_map(|m| m.private).collect();
    if asked(t, by, &mut e, rules.into_iter())? == Relay::Drop {
        return Ok(());
    }
    e.set_attr("from", t.room.occupant_jid(&own));
    e.push(Element::new("x", ns::MUC_USER));
    let out = Outgoing::new(e);
    targets.into_iter().for_each(|id| t.world.deliver(id, &out));
    Ok(())
}

/// Somebody in the audience writes to one who meets. compat: it comes from the room itself, and says from whom beside it (test:
/// compat_a_viewer_writes_to_one_who_meets_and_is_answered).
pub(super) fn whispered(muc: &mut Muc<'_>, audience: &BareJid, by: &Sender, nick: &str, said: Element) {
    let Some((from, name, meeting)) = speaker(muc, audience, by) else { return };
    let Some(mut e) = words(&said) else { return muc.world.counters.add(Counter::RuleDropped) };
    let Some(mut t) = muc.turn(&meeting) else { return };
    let targets: Vec<_> =
        t.room.occupant(nick).map(|o| o.sessions.iter().map(|s| s.id).collect()).unwrap_or_default();
    if let Some(target) = targets.last() {
        t.world.reaches(by, *target);
    }
    let rules: Vec<_> = t.modules.iter().filter_map(|m| m.private).collect();
    match asked(&mut t, by, &mut e, rules.into_iter()) {
        Ok(Relay::Pass) => {}
        Ok(Relay::Drop) => return,
        Err(error) => return muc.world.refuse(by, &said, &error, Some(meeting.as_str())),
    }
    sign(&mut e, name.as_deref());
    let of = Element::inherit("address").with_attr("type", "ofrom").with_attr("jid", from);
    e.push(Element::new("addresses", ADDRESS).with_child(of));
    e.set_attr("from", t.room.shown().to_owned());
    e.push(Element::new("x", ns::MUC_USER));
    let out = Outgoing::new(e);
    targets.into_iter().for_each(|id| t.world.deliver(id, &out));
}

/// compat: clients show it (test: compat_the_audience_ends_with_its_meeting).
const ENDED: &str = "Conference ended.";
/// XEP-0033.
const ADDRESS: &str = "http://jabber.org/protocol/address";
