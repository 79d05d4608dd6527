//! Who only watches a conference (focus §3.11): whether a newcomer does in; the answer with the visitor node, the room from where it
//! watches, and how many do, out.
//!
//! Viewers are members that are invited like others, and nothing else: they do not keep a conference alive, send nothing and have no
//! say.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::{BareJid, Element, ns};
use serde_json::Value;

use super::{Conference, NICK};
use crate::disco;
use crate::limits;
use crate::request::{JoinOutcome, Requester};
use crate::turn::Turn;

/// What a conference knows of those who watch.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    pub(super) room: Option<Room>,
    /// Who is told to watch as soon as one can.
    waiting: Vec<Requester>,
    /// Since when those are on their way who were told so and are not there yet.
    expected: VecDeque<Instant>,
    /// When the number may be told again.
    pub(super) tell_at: Option<Instant>,
    pub(super) told: (usize, String),
    codecs: Codecs,
    /// Once somebody has watched, the number is told, also when it is none.
    pub(super) used: bool,
    pub(super) policy: Policy,
}

/// Which codecs viewers can show: by name, how many list it and the sum of its places in their lists (focus §3.12).
#[derive(Debug, Default)]
struct Codecs {
    viewers: usize,
    by_name: BTreeMap<String, (usize, usize)>,
}

impl Codecs {
    fn add(&mut self, list: &[String]) {
        self.viewers += 1;
        for (place, name) in list.iter().enumerate() {
            let (count, sum) = self.by_name.entry(name.clone()).or_default();
            (*count, *sum) = (*count + 1, *sum + place);
        }
    }

    fn remove(&mut self, list: &[String]) {
        self.viewers = self.viewers.saturating_sub(1);
        for (place, name) in list.iter().enumerate() {
            let Some((count, sum)) = self.by_name.get_mut(name) else { continue };
            (*count, *sum) = (count.saturating_sub(1), sum.saturating_sub(place));
            if *count == 0 {
                self.by_name.remove(name);
            }
        }
    }

    /// Those that all can show, best first.
    fn of_all(&self) -> String {
        let all = self.by_name.iter().filter(|(_, (count, _))| *count == self.viewers);
        let mut all: Vec<(usize, &str)> = all.map(|(name, (_, sum))| (*sum, name.as_str())).collect();
        all.sort_unstable();
        all.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(",")
    }
}

/// What the room's metadata says about it.
#[derive(Debug, Default)]
pub(super) struct Policy {
    pub(super) lobby: bool,
    pub(super) forbidden: bool,
    pub(super) live: bool,
    pub(super) soft_limit: Option<usize>,
}

/// The room from where they watch.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) jid: BareJid,
    /// Given up when we are not in by then; `None`: we are in.
    pub(super) until: Option<Instant>,
}

impl Audience {
    /// Those who wait are taken out.
    pub(super) fn take_waiting(&mut self) -> Vec<Requester> {
        std::mem::take(&mut self.waiting)
    }

    /// A viewer that a successor has read.
    pub(super) fn counted_again(&mut self, codecs: &[String]) {
        self.codecs.add(codecs);
    }
}

impl Conference {
    /// Whether this room is the one from where people watch.
    pub(crate) fn is_watched_from(&self, room: &str) -> bool {
        self.audience.room.as_ref().is_some_and(|r| r.jid.as_str() == room)
    }

    /// How many watch.
    pub(crate) const fn viewer_count(&self) -> usize {
        self.numbers.viewers
    }

    /// The room has been joined: the newcomer is told to come in, or to watch.
    pub(crate) fn welcome(&mut self, turn: &mut Turn<'_>, requester: Requester) {
        if !self.is_to_watch(turn, &requester) {
            return requester.answer(turn, JoinOutcome::Ready);
        }
        let now = turn.now;
        // As many as there are places.
        self.audience.expected.push_back(now);
        match &self.audience.room {
            Some(Room { until: None, .. }) => requester.answer(turn, JoinOutcome::Watch),
            _ if self.audience.waiting.len() >= limits::WAITING_REQUESTS => {
                requester.answer(turn, JoinOutcome::TryAgain);
            }
            Some(_) => self.audience.waiting.push(requester),
            None => {
                self.audience.waiting.push(requester);
                self.open_audience(turn);
            }
        }
    }

    /// Once somebody watches, everybody does who comes (focus §3.11).
    fn is_to_watch(&mut self, turn: &Turn<'_>, requester: &Requester) -> bool {
        let Some(visitors) = turn.config.visitors.as_ref().filter(|_| turn.visitors.is_some()) else {
            return false;
        };
        let Some(asked) = requester.wishes().watch else { return false };
        let p = &self.audience.policy;
        if p.lobby || p.forbidden || self.breakout_of.is_some() {
            return false;
        }
        let late = |at: &Instant| turn.now.duration_since(*at) > limits::VIEWER_JOIN;
        while self.audience.expected.front().is_some_and(late) {
            self.audience.expected.pop_front();
        }
        let most = self.audience.policy.soft_limit.unwrap_or(visitors.max_participants);
        let people = self.member_count();
        // Places are those of a node; beyond, one comes in as long as the room takes it.
        let full = self.viewer_count() + self.audience.expected.len() >= visitors.max_viewers;
        !full && (asked || self.audience.room.is_some() || people >= most)
    }

    /// Whether somebody who asks to watch has to wait until the meeting is shown.
    pub(crate) fn is_not_live(&self, turn: &Turn<'_>, requester: &Requester) -> bool {
        let enabled = turn.config.visitors.as_ref().is_some_and(|v| v.only_live);
        enabled && requester.wishes().watch == Some(true) && !self.audience.policy.live
    }

    fn open_audience(&mut self, turn: &mut Turn<'_>) {
        let room = turn.config.visitors.as_ref().and_then(|v| v.room_of(&turn.config.domain, &self.room));
        let Some(jid) = room else { return self.audience_failed(turn) };
        self.audience.room = Some(Room { jid, until: Some(turn.now + limits::IQ_TIMEOUT) });
        if let Some(presence) = self.presence_in_audience() {
            turn.send(presence.with_child(Element::new("x", ns::MUC)).with_child(disco::caps()));
        }
    }

    fn presence_in_audience(&self) -> Option<Element> {
        let me = self.audience.room.as_ref()?.jid.with_resource(NICK).ok()?;
        Some(Element::new("presence", ns::CLIENT).with_attr("to", me.as_str()))
    }

    /// Our own presence in the room from where people watch.
    pub(super) fn own_presence_in_audience(&mut self, turn: &mut Turn<'_>, kind: Option<&str>) {
        match (kind, &mut self.audience.room) {
            (None, Some(room)) if room.until.is_some() => {
                room.until = None;
                self.tell_component(turn, "connect-vnode");
                for requester in std::mem::take(&mut self.audience.waiting) {
                    requester.answer(turn, JoinOutcome::Watch);
                }
                self.presence.renew();
            }
            (Some("error"), Some(Room { until: Some(_), .. })) => self.audience_failed(turn),
            (Some("unavailable"), Some(_)) => self.close_audience(turn),
            _ => {}
        }
    }

    /// It cannot be watched: who waits comes in.
    fn audience_failed(&mut self, turn: &mut Turn<'_>) {
        self.audience.room = None;
        self.audience.expected.clear();
        tracing::warn!(conference = self.id.0, "the room for viewers cannot be joined");
        for requester in std::mem::take(&mut self.audience.waiting) {
            requester.answer(turn, JoinOutcome::Ready);
        }
    }

    fn tell_component(&self, turn: &mut Turn<'_>, what: &'static str) {
        let (Some(component), Some(visitors)) = (turn.visitors, &turn.config.visitors) else {
            return;
        };
        let vnode = Element::inherit(what).with_attr("vnode", visitors.vnode.as_str());
        let payload = Element::new("visitors", ns::VISITORS).with_attr("room", self.room.as_str());
        turn.tell("get", component, payload.with_child(vnode));
    }

    /// Nobody watches any more.
    fn close_audience(&mut self, turn: &mut Turn<'_>) {
        self.tell_component(turn, "disconnect-vnode");
        let viewers: Vec<EndpointId> =
            self.members.values().filter(|m| m.watches).map(|m| m.id.clone()).collect();
        for id in viewers {
            self.end_session(turn, &id);
            self.remove_member(turn, &id);
        }
        self.audience.room = None;
        self.audience.expected.clear();
        for requester in std::mem::take(&mut self.audience.waiting) {
            requester.answer(turn, JoinOutcome::TryAgain);
        }
    }

    /// The conference ends.
    pub(super) fn leave_audience(&mut self, turn: &mut Turn<'_>) {
        for requester in std::mem::take(&mut self.audience.waiting) {
            requester.answer(turn, JoinOutcome::TryAgain);
        }
        if self.audience.room.is_none() {
            return;
        }
        self.tell_component(turn, "disconnect-vnode");
        if let Some(presence) = self.presence_in_audience() {
            turn.send(presence.with_attr("type", "unavailable"));
        }
        self.audience.room = None;
    }

    /// A viewer is there whom we have sent.
    pub(super) fn viewer_came(&mut self, codecs: &[String]) {
        self.audience.expected.pop_front();
        self.audience.used = true;
        self.audience.codecs.add(codecs);
    }

    /// It is gone.
    pub(super) fn viewer_left(&mut self, codecs: &[String]) {
        self.audience.codecs.remove(codecs);
    }

    /// How many watch goes to everybody, so it is told at intervals.
    pub(super) fn count_viewers(&mut self, turn: &Turn<'_>) {
        let Some(visitors) = &turn.config.visitors else { return };
        self.presence.properties.insert("visitors-enabled", "true".into());
        if !self.audience.used {
            return;
        }
        let now = (self.viewer_count(), self.audience.codecs.of_all());
        let known = self.presence.properties.contains_key("visitor-count");
        if known && now == self.audience.told {
            self.audience.tell_at = None;
            return;
        }
        let at =
            *self.audience.tell_at.get_or_insert(if known { turn.now + visitors.interval } else { turn.now });
        if at <= turn.now {
            self.audience.tell_at = None;
            self.presence.properties.insert("visitor-count", now.0.to_string());
            match now.1.as_str() {
                "" => self.presence.properties.remove("visitor-codecs"),
                codecs => self.presence.properties.insert("visitor-codecs", codecs.to_owned()),
            };
            self.audience.told = now;
        }
    }

    /// The same presence as in the meeting.
    pub(super) fn show_to_audience(&self, turn: &mut Turn<'_>, presence: &Element) {
        if let Some(Room { jid, until: None }) = &self.audience.room
            && let Ok(me) = jid.with_resource(NICK)
        {
            let mut presence = presence.clone();
            presence.set_attr("to", me.as_str());
            turn.send(presence);
        }
    }

    pub(super) fn audience_deadline(&self) -> Option<Instant> {
        let join = self.audience.room.as_ref().and_then(|r| r.until);
        [join, self.audience.tell_at].into_iter().flatten().min()
    }

    pub(super) fn audience_due(&mut self, turn: &mut Turn<'_>) {
        let until = self.audience.room.as_ref().and_then(|r| r.until);
        if until.is_some_and(|t| t <= turn.now) {
            self.audience_failed(turn);
        }
    }

    /// What the metadata says about viewers (focus §3.10).
    pub(crate) fn audience_policy(&mut self, metadata: &Value) {
        let flag = |name: &str| metadata.get(name).and_then(Value::as_bool);
        let p = &mut self.audience.policy;
        p.lobby = flag("lobbyEnabled").unwrap_or(false);
        if let Some(enabled) = flag("visitorsEnabled") {
            p.forbidden = !enabled;
        }
        p.live = metadata.get("visitors").and_then(|v| v.get("live")).and_then(Value::as_bool) == Some(true);
        let limit = metadata.get("participantsSoftLimit").and_then(Value::as_u64).filter(|n| *n > 0);
        p.soft_limit = limit.map(|n| usize::try_from(n).unwrap_or(usize::MAX)).or(p.soft_limit);
    }

    /// Whether nobody is there but those who watch.
    pub(crate) fn is_deserted(&self) -> bool {
        self.deserted && self.is_without_people()
    }

    pub(super) fn is_without_people(&self) -> bool {
        self.members.values().all(|m| m.watches)
    }
}
