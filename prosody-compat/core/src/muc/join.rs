//! A join presence in; the room created if allowed, the rules asked in order, and then everything a newcomer and the
//! others get, in upstream's order (xmpp-server §3.3), out.

use bytes::Bytes;
use jitsi_xmpp::{BareJid, Condition, Element, StanzaError, ns};

use super::presence::{self, Change};
use super::turn::{Muc, Turn};
use super::{audience, breakout};
use crate::counters::{Counter, Did};
use crate::identity::HostId;
use crate::kept::Share;
use crate::limits::{OPENED_ROOM_BYTES, pace};
use crate::module::{Attempt, Verdict};
use crate::outbox::Outgoing;
use crate::room::history::Wanted;
use crate::room::rank::Affiliation;
use crate::room::said::{Said, display_name};
use crate::room::waiting::Turns;
use crate::room::{FOCUS_NICK, Occupant, OccupantSession, Room, waiting};
use crate::stanza::NOT_IN;
use crate::world::{Sender, World};

/// Available presence of somebody who is not in the room.
pub(super) fn presence(
    muc: &mut Muc<'_>,
    sender: &Sender,
    host: HostId,
    room_jid: &BareJid,
    nick: &str,
    e: Element,
    bytes: usize,
) {
    let Some(x) = e.child("x", ns::MUC) else {
        let error = StanzaError::new(Condition::ItemNotFound);
        let pretended = muc.pretended(sender, host, room_jid);
        let (error, by) = match muc.rooms.get(room_jid).or(pretended.as_ref()) {
            Some(room) => (error.with_text(NOT_IN), room.shown()),
            None => (error, room_jid.domain()),
        };
        muc.world.refuse(sender, &e, &error, Some(by));
        return;
    };
    let password = x.child_named("password").map(Element::text);
    let share = match muc.world.keeps(sender, bytes) {
        Ok(share) => share,
        Err(too_much) => {
            muc.world.counters.add(Counter::JoinsRefused);
            muc.world.refuse(sender, &e, &too_much.into(), Some(room_jid.domain()));
            return;
        }
    };
    let turns = Turns::default();
    let mut attempt =
        Attempt { sender: sender.clone(), nick: nick.into(), presence: e, password, share, turns };
    let created = muc.rooms.get(room_jid).is_none();
    if created && !create(muc, host, room_jid, &attempt) {
        return;
    }
    if breakout::refuses(muc, room_jid, &attempt) {
        return muc.sweep(room_jid);
    }
    if let Some(mut t) = muc.turn(room_jid) {
        attempt.turns = waiting::supersede(t.room, t.world, sender.id);
        try_join(&mut t, attempt, created);
    }
    muc.sweep(room_jid);
}

/// What a room counts for the address of who opened it. Held as long as it is there, not looked at.
struct Opened(#[expect(dead_code, reason = "given back by being dropped")] Share);

/// Makes the room, if the rules let this one make it.
fn create(muc: &mut Muc<'_>, host: HostId, room_jid: &BareJid, attempt: &Attempt) -> bool {
    let Some(def) = muc.hosts.rooms(host) else { return false };
    // Parts of a meeting that is there come into being as long as it is.
    if !muc.hosts.is_current(host) && muc.world.breakouts.meeting_of(room_jid).is_none() {
        let error = StanzaError::new(Condition::NotAllowed);
        muc.world.counters.add(Counter::JoinsRefused);
        muc.world.refuse(&attempt.sender, &attempt.presence, &error, Some(room_jid.domain()));
        return false;
    }
    let rules = def.modules.iter().filter_map(|m| Some((m.name, m.create?)));
    let mut verdicts = rules.map(|(name, rule)| (name, rule(muc.world, room_jid, attempt)));
    let verdict = verdicts.find(|(_, v)| !matches!(v, Verdict::Pass));
    drop(verdicts);
    if let Some((name, Verdict::Refuse { error, .. })) = verdict {
        muc.world.counters.module(name, Did::Refused);
        muc.world.counters.add(Counter::JoinsRefused);
        muc.world.refuse(&attempt.sender, &attempt.presence, &error, Some(room_jid.domain()));
        return false;
    }
    // Where anybody opens rooms, strangers could fill the server with empty ones.
    let opened = match muc.world.keeps(&attempt.sender, OPENED_ROOM_BYTES) {
        Ok(share) => (!attempt.sender.identity.admin).then_some(Opened(share)),
        Err(too_much) => {
            muc.world.counters.add(Counter::JoinsRefused);
            muc.world.refuse(&attempt.sender, &attempt.presence, &too_much.into(), Some(room_jid.domain()));
            return false;
        }
    };
    let policy = def.policy_of(&muc.world.config, room_jid).clone();
    if let Some(meetings) = &def.watches {
        return audience::open(muc, host, room_jid, meetings, policy, attempt);
    }
    let mut room = breakout::make(muc, room_jid)
        .unwrap_or_else(|| Room::new(&muc.world.config, room_jid.clone(), host, policy));
    if let Some(opened) = opened {
        room.slots.put(opened);
    }
    room.affiliate(&attempt.sender.bare, Affiliation::Owner, muc.world.config.limits.max_affiliations);
    muc.rooms.insert(muc.world, room);
    muc.created(room_jid);
    breakout::made(muc, room_jid);
    true
}

/// What they waited for is here: everybody who still is connected asks again, in order.
pub(super) fn release(muc: &mut Muc<'_>, room_jid: &BareJid, reason: &str) {
    let Some(t) = muc.turn(room_jid) else { return };
    for attempt in waiting::take(t.room, t.world, reason) {
        let refused = breakout::refuses(muc, room_jid, &attempt);
        let Some(mut t) = muc.turn(room_jid) else { return };
        if refused {
            waiting::refused(t.room, t.world, attempt);
        } else {
            try_join(&mut t, attempt, false);
        }
    }
    muc.sweep(room_jid);
}

/// Asks the rules and admits, holds or refuses.
fn try_join(t: &mut Turn<'_>, mut attempt: Attempt, created: bool) {
    for (name, rule) in t.modules.iter().filter_map(|m| Some((m.name, m.join?))) {
        match rule(t.room, t.world, &mut attempt) {
            Verdict::Pass => {}
            Verdict::Hold(reason) => {
                t.world.counters.module(name, Did::Held);
                return waiting::hold(t.room, t.world, attempt, reason);
            }
            Verdict::Answer(answer) => {
                t.world.counters.module(name, Did::Refused);
                t.world.counters.add(Counter::JoinsRefused);
                t.world.counters.add(Counter::StanzaErrors);
                t.world.send(attempt.sender.id, *answer);
                return waiting::refused(t.room, t.world, attempt);
            }
            Verdict::Refuse { error, by_host } => {
                t.world.counters.module(name, Did::Refused);
                t.world.counters.add(Counter::JoinsRefused);
                let by = if by_host { t.room.jid.domain() } else { t.room.shown() };
                t.world.refuse(&attempt.sender, &attempt.presence, &error, Some(by));
                return waiting::refused(t.room, t.world, attempt);
            }
        }
    }
    admit(t, attempt, created);
}

fn admit(t: &mut Turn<'_>, attempt: Attempt, created: bool) {
    let Attempt { sender, nick, presence: said, share, .. } = attempt;
    t.world.reaches_all(&mut t.room.pace, &sender, pace::JOIN);
    let wanted = Wanted::read(said.child("x", ns::MUC), t.world.clock.unix(t.world.now));
    let cleaned = presence::clean(t, &sender, said, true);
    let (said, name) = (Said::new(&cleaned), display_name(&cleaned));
    show_others(t, &sender, &nick);
    for m in t.modules {
        if let Some(welcome) = m.welcome {
            welcome(t.room, t.world, &sender);
        }
    }
    let session = OccupantSession { id: sender.id, jid: sender.jid.clone() };
    if t.room.occupant(&nick).is_some() {
        t.room.add_session(&nick, session);
        if let Some(o) = t.room.occupant_mut(&nick) {
            (o.said, o.share, o.name) = (said, share, name);
        }
    } else {
        let role = t.room.role_of(&t.world.config, &sender.bare);
        // What newcomers see of it is made below, before there can be one.
        let seen = Outgoing::presence(Bytes::new());
        let (nick, bare, sessions) = (nick.clone(), sender.bare.clone(), vec![session]);
        t.room.insert(Occupant { nick, bare, role, sessions, name, said, share, seen, masked: None });
    }
    if let Some(s) = t.world.sessions.get_mut(sender.id) {
        s.rooms.push((t.room.jid.clone(), nick.clone()));
    }
    let mut own_codes = if created { vec![201] } else { Vec::new() };
    own_codes.push(100);
    presence::announce(t, &nick, &Change { own_codes, ..Change::default() });
    for m in t.modules {
        if let Some(joined) = m.joined {
            joined(t.room, t.world, &sender, &nick);
        }
    }
    replay(t.room, t.world, &sender, wanted);
    presence::relayed(t, &nick, &cleaned);
}

/// A join of somebody who already is in: the client lost track, it gets everything again.
pub(super) fn again(t: &mut Turn<'_>, sender: &Sender, nick: &str, e: Element, bytes: usize) {
    let wanted = Wanted::read(e.child("x", ns::MUC), t.world.clock.unix(t.world.now));
    show_others(t, sender, nick);
    presence::update(t, sender, nick, e, bytes);
    replay(t.room, t.world, sender, wanted);
}

fn show_others(t: &mut Turn<'_>, to: &Sender, nick: &str) {
    let moderator = t.room.role_of(&t.world.config, &to.bare).is_moderator();
    if t.room.watches().is_some() && !moderator {
        // Nobody else who watches.
        if let Some(focus) = t.room.occupant(FOCUS_NICK) {
            t.world.deliver(to.id, &focus.seen);
        }
        for presence in t.room.on_stage() {
            t.world.deliver(to.id, presence);
        }
        return;
    }
    for o in t.room.occupants().filter(|o| *o.nick != *nick) {
        if t.room.shows(&t.world.config, &to.bare, &o.bare) {
            t.world.deliver(to.id, o.seen_by(moderator));
        }
    }
}

/// History, then the subject, which ends the join (XEP-0045 §7.2.15). compat: in a lobby there is neither (test:
/// compat_who_knocks_sees_itself_and_moderators_see_it).
fn replay(room: &Room, world: &mut World, sender: &Sender, wanted: Wanted) {
    if room.is_lobby() {
        return;
    }
    for message in room.history.replay(world.now, wanted) {
        world.deliver(sender.id, &message);
    }
    match &room.subject {
        Some(subject) => world.deliver(sender.id, &subject.replayed),
        None => {
            let none = Element::new("message", ns::CLIENT)
                .with_attr("type", "groupchat")
                .with_attr("from", room.shown())
                .with_child(Element::inherit("subject"));
            world.send(sender.id, none);
        }
    }
}
