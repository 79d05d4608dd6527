//! One conference: presences, requests and replies of one room in, everything the room's members and its bridge
//! must be told out.
//!
//! Handlers only change state; [`Conference::settle`] then brings the world in line with it: elects an owner,
//! invites who is due, tells receivers about sources, publishes the focus' presence. So a failure anywhere needs
//! no repair of its own: it changes the state back, and the next `settle` tries again. `settle` looks only at members
//! that something happened to, so a stanza costs the same in a room of two and in one of five hundred.

mod audience;
mod browsers;
mod dialing;
mod handover;
mod invite;
mod leave;
pub(crate) mod member;
mod order;
pub(crate) mod recording;
mod state;
mod timeouts;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Instant;

use jitsi_xmpp::ids::{EndpointId, MeetingId};
use jitsi_xmpp::{BareJid, Condition, Element, FullJid, Jid, StanzaError, ns};

pub(crate) use browsers::Away;
pub(crate) use state::{Leave, Phase, PublishedPresence};

use crate::budgets::Asker;
use crate::colibri::{SessionNumber, Sessions};
use crate::iqs::Answer;
use crate::limits;
use crate::moderation::{AvModeration, StartMuted};
use crate::request::{Requester, RoomProperties};
use crate::sources::SourceMap;
use crate::turn::{ConferenceId, Turn, Verdict, Waiting};
use audience::Audience;
use browsers::Browsers;
use dialing::Dial;
use member::{Lookup, Media, Member, Rank};
use order::Numbers;
use recording::Recording;

/// What a conference waits for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wait {
    ConfigForm,
    ConfigSubmit,
    Features { member: EndpointId, seq: u64 },
    Grant { member: EndpointId, again: bool },
    Allocation { member: EndpointId, attempt: u64 },
    Update { session: String, member: Option<(EndpointId, u64)> },
    Expired { bridge: FullJid, meeting: MeetingId },
    Relay { of: SessionNumber, about: SessionNumber, number: u64 },
    Offer { member: EndpointId, sid: String },
    Recorder { session: String, recorder: FullJid },
    Gateway { number: u64 },
}

/// See the module.
pub(crate) struct Conference {
    pub(crate) id: ConferenceId,
    pub(crate) room: BareJid,
    pub(crate) phase: Phase,
    pub(crate) meeting: MeetingId,
    /// Bridges that know the meeting by its id, or may still do: they were told to end it and have not confirmed.
    pub(crate) meeting_on: BTreeSet<FullJid>,
    pub(crate) breakout_of: Option<BareJid>,
    /// Properties of the request that created it.
    pub(crate) properties: RoomProperties,
    /// Who is answered when the room has been joined.
    pub(crate) waiting: Vec<Requester>,
    /// Who opened it, as long as there are not two who meet: it counts as that asker's.
    pub(crate) opened_by: Option<Asker>,
    /// Whether its main room has been told of it.
    pub(crate) breakout_noted: bool,
    pub(crate) members: HashMap<EndpointId, Member>,
    /// Members in the order in which they came, by [`Member::seq`].
    order: BTreeMap<u64, EndpointId>,
    /// Members that something happened to since the last [`Conference::settle`].
    dirty: BTreeSet<u64>,
    numbers: Numbers,
    /// Whether there were enough members for media when last looked.
    was_enough: bool,
    /// Its deadline in the table.
    armed: Option<Instant>,
    /// The next input makes it panic.
    #[cfg(test)]
    trap: bool,
    pub(crate) sources: SourceMap,
    /// The version of bridges that it was bound to when it began.
    pinned: Option<String>,
    /// The bridges that carry it.
    pub(crate) sessions: Sessions,
    /// Who only watches.
    pub(crate) audience: Audience,
    pub(crate) recording: Option<Recording>,
    /// Wishes that wait for a gateway.
    pub(crate) dials: BTreeMap<u64, Dial>,
    next_dial: u64,
    pub(crate) start_muted: StartMuted,
    pub(crate) moderation: AvModeration,
    /// The member to whom ownership was given.
    pub(crate) owner: Option<EndpointId>,
    /// Whose right waits for it to come back.
    pub(crate) away: Option<Away>,
    /// Who has asked for the room and is not in it yet.
    browsers: Browsers,
    /// Those who were made owners because they have logged in.
    pub(crate) hosts: BTreeSet<EndpointId>,
    /// The shared document's name, when it is not the room's.
    pub(crate) pad: Option<String>,
    pub(crate) presence: PublishedPresence,
    pub(crate) start_timer: Option<Instant>,
    pub(crate) single_timer: Option<Instant>,
    /// Another focus was seen under our nick.
    beside: bool,
    /// Since the last [`Conference::settle`].
    somebody_joined: bool,
    /// The same.
    somebody_left: bool,
    /// Nobody is left; the engine decides whether a breakout room keeps it.
    pub(crate) deserted: bool,
    next_seq: u64,
}

impl Conference {
    /// The member behind an occupant JID of this room.
    pub(crate) fn member_at(&self, occupant: &Jid) -> Option<&Member> {
        let member = self.members.get(occupant.resource()?)?;
        (member.occupant.as_jid().bare_str() == occupant.bare_str()).then_some(member)
    }

    pub(crate) fn waits(&self, what: Wait) -> Waiting {
        Waiting::Conference { id: self.id, room: self.room.clone(), what }
    }

    /// A presence from the room or one of its occupants.
    pub(crate) fn handle_presence(&mut self, turn: &mut Turn<'_>, from: &Jid, presence: &Element) {
        let kind = presence.attr("type");
        let watches = self.is_watched_from(from.bare_str());
        if watches && (from.resource() == Some(NICK) || (from.resource().is_none() && kind == Some("error")))
        {
            return self.own_presence_in_audience(turn, kind);
        }
        if !watches && from.bare_str() != self.room.as_str() {
            // Of a room that was left.
            return;
        }
        // A refused join comes from our nick, from some servers from the room itself.
        if from.resource() == Some(NICK) || (from.resource().is_none() && kind == Some("error")) {
            self.handle_own_presence(turn, kind, presence);
            return;
        }
        let Some(occupant) = from.to_full() else { return };
        match kind {
            None => self.member_presence(turn, occupant, presence),
            Some("unavailable") => {
                let id = EndpointId::new(occupant.resource());
                if self.members.get(&id).is_some_and(|m| m.occupant == occupant) {
                    self.member_left(turn, &id, presence);
                }
            }
            Some(_) => turn.counters.stanzas_ignored += 1,
        }
    }

    fn member_presence(&mut self, turn: &mut Turn<'_>, occupant: FullJid, presence: &Element) {
        let id = EndpointId::new(occupant.resource());
        let watches = occupant.as_jid().bare_str() != self.room.as_str();
        if watches && Member::rank_of(presence) != Some(Rank::Visitor) {
            // Those who meet, as they are seen from there.
            return;
        }
        if self.members.get(&id).is_some_and(|m| m.watches != watches) {
            if watches {
                turn.counters.stanzas_ignored += 1;
                return;
            }
            // Nobody keeps another out by taking its name among the viewers.
            self.end_session(turn, &id);
            self.remove_member(turn, &id);
        }
        self.expel_predecessor(turn, &id, presence);
        let is_new = !self.members.contains_key(&id);
        if is_new {
            let most = if watches { limits::VIEWERS_PER_CONFERENCE } else { limits::MEMBERS_PER_CONFERENCE };
            let count = if watches { self.viewer_count() } else { self.members.len() - self.viewer_count() };
            if count >= most {
                turn.counters.stanzas_ignored += 1;
                return;
            }
            self.next_seq += 1;
            self.order.insert(self.next_seq, id.clone());
            self.members.insert(id.clone(), Member::new(id.clone(), occupant, self.next_seq));
        }
        let real = if is_new { Member::real_of(presence) } else { None };
        let browser = real.and_then(|real| self.browsers.take(&real));
        let Some(m) = self.member_mut(&id) else { return };
        let was_visitor = !is_new && !m.counts();
        m.watches = watches;
        m.read(presence, &turn.config.trusted_domains);
        if is_new {
            m.browser = browser;
            if let Lookup::Asking { caps, .. } = &mut m.features {
                *caps = Member::caps_of(presence);
            }
            if watches {
                m.codecs = Member::codecs_of(presence);
                let codecs = m.codecs.clone();
                self.viewer_came(&codecs);
            } else {
                self.deserted = false;
                self.start_timer = None;
            }
        }
        // compat: a visitor that becomes a participant is invited like one that joins
        // (test: compat_a_visitor_who_becomes_a_participant_is_invited).
        if (is_new || was_visitor && !watches) && self.members.get(&id).is_some_and(Member::is_served) {
            self.member_joined(turn, &id);
        }
    }

    /// A nick has changed hands without a word: whoever had it is gone, and nothing of theirs is the newcomer's.
    fn expel_predecessor(&mut self, turn: &mut Turn<'_>, id: &EndpointId, presence: &Element) {
        let old = self.members.get(id).and_then(|m| m.real.as_ref());
        let another = |new: Jid| old.is_some_and(|old| old.bare_str() != new.bare_str());
        if Member::real_of(presence).is_some_and(another) {
            turn.counters.nicks_taken += 1;
            tracing::warn!(conference = self.id.0, "another person under the same nick");
            self.member_left(turn, id, &Element::new("presence", ns::CLIENT));
        }
    }

    /// The reply to one of this conference's requests, or its absence.
    pub(crate) fn handle_answer(&mut self, turn: &mut Turn<'_>, what: Wait, answer: &Answer) {
        if *answer == Answer::Timeout {
            turn.counters.iq_timeouts += 1;
        }
        match what {
            Wait::ConfigForm => self.config_form(turn, answer),
            Wait::ConfigSubmit => self.config_submitted(turn, answer),
            Wait::Features { member, seq } => self.features_answer(turn, &member, seq, answer),
            Wait::Grant { member, again } => self.grant_answer(turn, &member, again, answer),
            Wait::Allocation { member, attempt } => self.allocation_answer(turn, &member, attempt, answer),
            Wait::Update { session, member } => self.update_answer(turn, &session, member, answer),
            Wait::Expired { bridge, meeting } => self.expired_answer(&bridge, &meeting, answer),
            Wait::Relay { of, about, number } => self.relay_answer(turn, of, about, number, answer),
            Wait::Offer { member, sid } => self.offer_answer(turn, &member, &sid, answer),
            Wait::Recorder { session, recorder } => {
                self.recorder_answer(turn, &session, &recorder, answer);
            }
            Wait::Gateway { number } => self.gateway_answer(turn, number, answer),
        }
    }

    /// A request from an occupant of the room.
    pub(crate) fn handle_request(&mut self, turn: &mut Turn<'_>, from: &Jid, payload: &Element) -> Verdict {
        match (payload.name(), payload.ns()) {
            ("jingle", ns::JINGLE) => self.handle_jingle(turn, from, payload),
            ("mute", ns::MUTE_AUDIO | ns::MUTE_VIDEO | ns::MUTE_DESKTOP) => {
                self.handle_mute(turn, from, payload)
            }
            _ => StanzaError::new(Condition::FeatureNotImplemented).into(),
        }
    }

    /// Brings everything in line with the state. See the module.
    pub(crate) fn settle(&mut self, turn: &mut Turn<'_>) {
        #[cfg(test)]
        assert!(!std::mem::take(&mut self.trap), "sprung by a test");
        // Also of a room in which nobody is left but those in breakout rooms.
        self.away = self.away.filter(|away| away.until > turn.now);
        if self.phase == Phase::Running {
            self.count_dirty();
            self.elect_owner(turn);
            self.look_at_number(turn);
            for id in self.dirty_members() {
                self.own_by_login(turn, &id);
                self.ask_features_again(turn, &id);
                self.invite_if_due(turn, &id);
                self.restart_ice_if_due(turn, &id);
                self.tell_bridge_if_due(turn, &id);
                self.flush_sources(turn, &id);
            }
            self.tell_relays_if_due(turn);
            self.count_dirty();
            self.watch_single_participant(turn);
            self.count_dirty();
            self.count_viewers(turn);
            self.publish(turn);
        }
        (self.somebody_joined, self.somebody_left) = (false, false);
        self.arm(turn);
    }

    /// Members whose media is on bridge session `session`.
    pub(crate) fn on_bridge_session(&self, session: &str) -> Vec<EndpointId> {
        let on = |id: &&EndpointId| self.members.get(*id).and_then(Member::bridge_session) == Some(session);
        self.order.values().filter(on).cloned().collect()
    }

    /// Bridges are usable again: who found none tries at once.
    pub(crate) fn bridge_usable(&mut self, now: Instant) {
        for m in self.members.values_mut() {
            if matches!(m.media, Media::NoBridge(_)) {
                m.set_media(Media::NoBridge(now));
                self.dirty.insert(m.seq);
            }
        }
    }
}

/// Nick of the focus in every room. The server's rules and the clients know it by this name.
pub(crate) const NICK: &str = "focus";

/// What a conference is told when it is created.
pub(crate) struct NewConference {
    pub(crate) id: ConferenceId,
    pub(crate) room: BareJid,
    pub(crate) properties: RoomProperties,
    /// Who asked for it.
    pub(crate) opened_by: Asker,
    /// See [`Pins`](crate::pins::Pins).
    pub(crate) pinned: Option<String>,
}

impl Conference {
    /// Creates the conference; it joins its room with [`Conference::join`].
    pub(crate) fn new(turn: &mut Turn<'_>, new: NewConference) -> Self {
        Self {
            id: new.id,
            room: new.room,
            phase: Phase::joining(turn.now),
            meeting: MeetingId::new(turn.entropy.uuid()),
            meeting_on: BTreeSet::new(),
            breakout_of: None,
            properties: new.properties,
            waiting: Vec::new(),
            opened_by: Some(new.opened_by),
            breakout_noted: false,
            members: HashMap::new(),
            order: BTreeMap::new(),
            dirty: BTreeSet::new(),
            numbers: Numbers::default(),
            was_enough: false,
            armed: None,
            #[cfg(test)]
            trap: false,
            sources: SourceMap::default(),
            pinned: new.pinned,
            sessions: Sessions::default(),
            audience: Audience::default(),
            recording: None,
            dials: BTreeMap::new(),
            next_dial: 0,
            start_muted: StartMuted::default(),
            moderation: AvModeration::default(),
            owner: None,
            away: None,
            browsers: Browsers::default(),
            hosts: BTreeSet::new(),
            pad: turn.config.random_pad_names.then(|| turn.entropy.hex(16)),
            presence: PublishedPresence::default(),
            start_timer: Some(turn.now + turn.config.conference_start),
            single_timer: None,
            beside: false,
            somebody_joined: false,
            somebody_left: false,
            deserted: false,
            next_seq: 0,
        }
    }
}

/// Property names and values as one `conference-properties` element carries them.
pub(crate) type Properties = BTreeMap<&'static str, String>;

#[cfg(test)]
impl Conference {
    pub(crate) fn spring_a_trap(&mut self) {
        self.trap = true;
    }
}
