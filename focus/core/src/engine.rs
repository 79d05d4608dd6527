//! What all conferences share: the link's state, requests under way, bridges, components; and the way of a stanza
//! to whom it concerns.

use std::collections::VecDeque;
use std::time::Instant;

use jitsi_xmpp::ids::MeetingId;
use jitsi_xmpp::iq::{self, Answer, IqTracker};
use jitsi_xmpp::{BareJid, Condition, Element, Entropy, FullJid, Jid, StanzaError, health, ns};
use serde_json::Value;

use crate::bridges::{Brewery, BridgeEvent};
use crate::colibri::expire_request;
use crate::conference::{Conference, Leave, NICK};
use crate::config::Config;
use crate::features::CapsCache;
use crate::request::HEALTH_PREFIX;
use crate::stats::{Counters, Stats};
use crate::turn::{Turn, Verdict, Waiting};
use crate::{Focus, HttpReply, HttpRequestId, Output, disco, limits};

/// See the module.
pub(crate) struct Engine {
    pub(crate) config: Config,
    entropy: Box<dyn Entropy>,
    jid: Option<FullJid>,
    /// Since when the link is down, while conferences wait for a resumption.
    down_since: Option<Instant>,
    brewery: Brewery,
    brewery_join_at: Option<Instant>,
    brewery_joined: bool,
    discover_at: Option<Instant>,
    components: Components,
    caps: CapsCache,
    iqs: IqTracker<Waiting>,
    pub(crate) counters: Counters,
    pub(crate) out: VecDeque<Output>,
    refused: Vec<Waiting>,
    /// Conferences that ended while the link was away: their bridges are told when they are back.
    orphans: Vec<(FullJid, MeetingId)>,
}

/// Addresses of the server's components, from its disco#info.
#[derive(Debug, Default)]
struct Components {
    room_metadata: Option<Jid>,
    av_moderation: Option<Jid>,
    breakout_rooms: Option<String>,
}

impl Engine {
    pub(crate) fn new(config: Config, mut entropy: Box<dyn Entropy>) -> Self {
        let iqs = IqTracker::new(format!("f{}-", entropy.hex(4)));
        Self {
            config,
            entropy,
            jid: None,
            down_since: None,
            brewery: Brewery::default(),
            brewery_join_at: None,
            brewery_joined: false,
            discover_at: None,
            components: Components::default(),
            caps: CapsCache::default(),
            iqs,
            counters: Counters::default(),
            out: VecDeque::new(),
            refused: Vec::new(),
            orphans: Vec::new(),
        }
    }

    /// Our address while the link is up.
    pub(crate) fn me(&self) -> Option<&FullJid> {
        self.jid.as_ref().filter(|_| self.down_since.is_none())
    }

    /// `None` before the link was ever up.
    pub(crate) fn turn(&mut self, now: Instant) -> Option<Turn<'_>> {
        Some(Turn {
            now,
            config: &self.config,
            me: self.jid.as_ref()?,
            brewery: &mut self.brewery,
            caps: &mut self.caps,
            entropy: self.entropy.as_mut(),
            counters: &mut self.counters,
            iqs: &mut self.iqs,
            out: &mut self.out,
            refused: &mut self.refused,
        })
    }

    pub(crate) fn reply_http(&mut self, request: HttpRequestId, reply: HttpReply) {
        self.out.push_back(Output::HttpReply { request, reply });
    }

    pub(crate) fn link_up(&mut self, now: Instant, jid: FullJid, resumed: bool) {
        self.down_since = None;
        self.jid = Some(jid);
        if resumed {
            return;
        }
        // Replies of the old session will not come; conferences that waited for them are gone.
        self.iqs = IqTracker::new(format!("f{}-", self.entropy.hex(4)));
        self.refused.clear();
        self.brewery.clear();
        self.brewery_joined = false;
        self.components = Components::default();
        self.discover(now);
        self.join_brewery();
    }

    pub(crate) fn link_down(&mut self, now: Instant) {
        if self.jid.is_some() && self.down_since.is_none() {
            self.counters.xmpp_disconnects += 1;
            self.down_since = Some(now);
        }
    }

    /// Whether the time for a resumption is over, told once.
    pub(crate) fn link_expired(&mut self, now: Instant) -> bool {
        let expired = self.jid.is_some() && self.down_since.is_some_and(|t| now >= t + limits::RECONNECT);
        if expired {
            self.jid = None;
            self.brewery.clear();
            self.iqs.drain();
            (self.brewery_join_at, self.discover_at) = (None, None);
        }
        expired
    }

    fn discover(&mut self, now: Instant) {
        self.discover_at = Some(now + limits::DISCOVERY_RETRY);
        let Ok(domain) = self.config.domain.parse::<Jid>() else { return };
        if let Some(mut turn) = self.turn(now) {
            turn.ask("get", &domain, Element::new("query", ns::DISCO_INFO), Waiting::Discovery);
        }
    }

    fn join_brewery(&mut self) {
        self.brewery_join_at = None;
        let Ok(me) = self.config.brewery.with_resource(NICK) else { return };
        self.out.push_back(Output::Send(
            Element::new("presence", ns::CLIENT)
                .with_attr("to", me.as_str())
                .with_child(Element::new("x", ns::MUC))
                .with_child(disco::caps()),
        ));
    }

    /// Whether this can be a conference's room.
    pub(crate) fn is_room(&self, room: &BareJid) -> bool {
        let domain = room.domain();
        let ours = domain.eq_ignore_ascii_case(&self.config.muc_domain)
            || self.components.breakout_rooms.as_deref() == Some(domain);
        ours && !room.node().is_some_and(|n| n.starts_with(HEALTH_PREFIX))
    }

    fn discovered(&mut self, answer: &Answer) {
        let Answer::Result(iq) = answer else { return };
        let Some(query) = iq.child("query", ns::DISCO_INFO) else { return };
        for identity in query.children().filter(|c| c.name() == "identity").take(limits::FEATURES) {
            let (Some("component"), Some(name)) = (identity.attr("category"), identity.attr("name")) else {
                continue;
            };
            match identity.attr("type") {
                Some("room_metadata") => self.components.room_metadata = name.parse().ok(),
                Some("av_moderation") => self.components.av_moderation = name.parse().ok(),
                Some("breakout_rooms") => self.components.breakout_rooms = Some(name.to_owned()),
                _ => {}
            }
        }
        if self.components.room_metadata.is_some() {
            self.discover_at = None;
        }
    }

    /// A presence from the brewery.
    fn brewery_presence(&mut self, now: Instant, from: &Jid, presence: &Element) -> Option<BridgeEvent> {
        let occupant = from.to_full()?;
        let kind = presence.attr("type");
        if occupant.resource() == NICK {
            match kind {
                None if !self.brewery_joined => self.brewery_is_joined(now, presence),
                Some("error" | "unavailable") => {
                    self.brewery_joined = false;
                    self.brewery_join_at = Some(now + limits::BREWERY_RETRY);
                }
                _ => {}
            }
            return None;
        }
        match kind {
            None => {
                let stats = Brewery::stats_of(presence)?;
                let event = self.brewery.handle_stats(now, &occupant, stats);
                self.tell_orphans(now, &occupant);
                event
            }
            Some("unavailable") => self.brewery.handle_left(&occupant),
            Some(_) => None,
        }
    }

    fn brewery_is_joined(&mut self, now: Instant, presence: &Element) {
        self.brewery_joined = true;
        self.brewery_join_at = None;
        let created = presence
            .child("x", ns::MUC_USER)
            .is_some_and(|x| x.children().any(|s| s.name() == "status" && s.attr("code") == Some("201")));
        if created {
            // A new room is locked until its owner submits a form (XEP-0045 §10.1.2).
            let to = self.config.brewery.as_jid().clone();
            let form = Element::new("x", ns::DATA_FORMS).with_attr("type", "submit");
            let query = Element::new("query", ns::MUC_OWNER).with_child(form);
            if let Some(mut turn) = self.turn(now) {
                turn.ask("set", &to, query, Waiting::Nobody);
            }
        }
    }

    fn tell_orphans(&mut self, now: Instant, bridge: &FullJid) {
        let (told, kept) = std::mem::take(&mut self.orphans).into_iter().partition(|(b, _)| b == bridge);
        self.orphans = kept;
        let told: Vec<(FullJid, MeetingId)> = told;
        if let Some(mut turn) = self.turn(now) {
            for (bridge, meeting) in told {
                turn.ask("get", bridge.as_jid(), expire_request(&meeting), Waiting::Nobody);
            }
        }
    }

    fn orphan(&mut self, conference: &Conference) {
        if let Some(bridge) = &conference.bridge
            && self.orphans.len() < limits::ORPHANS
        {
            self.orphans.push((bridge.bridge.clone(), conference.meeting.clone()));
        }
    }

    /// Deadlines that no conference owns.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Vec<BridgeEvent> {
        if self.me().is_none() {
            return Vec::new();
        }
        if self.brewery_join_at.is_some_and(|t| t <= now) {
            self.join_brewery();
        }
        if self.discover_at.is_some_and(|t| t <= now) {
            self.discover(now);
        }
        let events = self.brewery.handle_timeout(now);
        for bridge in self.brewery.take_probes(now) {
            if let Some(mut turn) = self.turn(now) {
                turn.ask("get", bridge.as_jid(), health::request(), Waiting::Probe(bridge.clone()));
            }
        }
        events
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let down = self.jid.as_ref().and(self.down_since).map(|t| t + limits::RECONNECT);
        let iqs = self.iqs.poll_timeout();
        if self.me().is_none() {
            return [down, iqs].into_iter().flatten().min();
        }
        [down, iqs, self.brewery_join_at, self.discover_at, self.brewery.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn stats(&self) -> Stats {
        let bridges = || self.brewery.bridges();
        let mut versions: Vec<_> = bridges().filter_map(|b| b.version.as_deref()).collect();
        versions.sort_unstable();
        versions.dedup();
        Stats {
            connected: self.me().is_some(),
            bridge_count: bridges().count(),
            operational_bridge_count: bridges().filter(|b| b.operational()).count(),
            in_shutdown_bridge_count: bridges().filter(|b| b.graceful_shutdown || b.shutting_down).count(),
            bridge_version_count: versions.len(),
            lost_bridges: self.brewery.lost,
            pending_requests: self.iqs.len(),
            counters: self.counters.clone(),
            ..Stats::default()
        }
    }
}

impl Focus {
    /// Sends a stanza to whom it concerns.
    pub(crate) fn route(&mut self, now: Instant, stanza: &Element) {
        if self.engine.me().is_none() || stanza.ns() != ns::CLIENT {
            return;
        }
        let from = stanza.attr("from").and_then(|f| f.parse::<Jid>().ok());
        match stanza.name() {
            "iq" => self.route_iq(now, from.as_ref(), stanza),
            "presence" => self.route_presence(now, from.as_ref(), stanza),
            "message" => self.route_message(now, from.as_ref(), stanza),
            _ => self.engine.counters.stanzas_ignored += 1,
        }
    }

    fn route_iq(&mut self, now: Instant, from: Option<&Jid>, iq: &Element) {
        match iq.attr("type") {
            Some("result" | "error") => {
                if let Some((waiting, answer)) = self.engine.iqs.take(iq) {
                    self.answered(now, waiting, &answer);
                }
            }
            Some(kind @ ("get" | "set")) => {
                // The reply goes out before anything the request sets in motion.
                let place = self.engine.out.len();
                let reply = match self.request(now, from, kind, iq) {
                    Verdict::Result(payload) => iq::result(iq, payload),
                    Verdict::Error(e) => iq::error(iq, &e),
                    Verdict::Later => return,
                };
                self.engine.out.insert(place.min(self.engine.out.len()), Output::Send(reply));
            }
            _ => self.engine.counters.stanzas_ignored += 1,
        }
    }

    fn request(&mut self, now: Instant, from: Option<&Jid>, kind: &str, iq: &Element) -> Verdict {
        let Some(payload) = iq.first_child() else { return StanzaError::new(Condition::BadRequest).into() };
        match (kind, payload.name(), payload.ns()) {
            ("get", "query", ns::DISCO_INFO) => Verdict::Result(Some(disco::info(payload.attr("node")))),
            ("get", "ping", ns::PING) => Verdict::Result(None),
            ("get", "query", ns::VERSION) => Verdict::Result(Some(self.version())),
            // Roster pushes are only ever acknowledged.
            ("set", "query", ns::ROSTER) => Verdict::Result(None),
            ("set", "conference", ns::FOCUS) => self.conference_iq(now, iq, payload),
            ("set", "jingle" | "mute", _) => {
                let (Some(from), Some(room)) = (from, from.map(Jid::to_bare)) else {
                    return StanzaError::new(Condition::BadRequest).into();
                };
                self.with_room(now, &room, |c, turn| c.handle_request(turn, from, payload))
                    .unwrap_or_else(|| StanzaError::new(Condition::ItemNotFound).into())
            }
            // No recorder and no gateway is registered.
            ("set", "jibri", ns::JIBRI) | ("set", "dial", ns::RAYO) => {
                StanzaError::new(Condition::ServiceUnavailable).into()
            }
            _ => {
                self.engine.counters.iqs_unknown += 1;
                StanzaError::new(Condition::FeatureNotImplemented).into()
            }
        }
    }

    fn version(&self) -> Element {
        let text = |name: &'static str, text: &str| Element::inherit(name).with_text(text);
        Element::new("query", ns::VERSION)
            .with_child(text("name", "Plausch focus"))
            .with_child(text("version", &self.engine.config.version))
    }

    fn route_presence(&mut self, now: Instant, from: Option<&Jid>, presence: &Element) {
        let Some(from) = from else { return };
        if from.bare_str() == self.engine.config.brewery.as_str() {
            let event = self.engine.brewery_presence(now, from, presence);
            self.bridge_events(now, event.into_iter().collect());
        } else if presence.attr("type") == Some("subscribe") {
            // The proxy learns our resource from roster presence only; nobody else may (§1.4).
            let proxy = self.engine.config.client_proxy.as_deref() == Some(from.domain());
            for kind in if proxy { &["subscribed", "subscribe"][..] } else { &["unsubscribed"][..] } {
                self.engine.out.push_back(Output::Send(
                    Element::new("presence", ns::CLIENT)
                        .with_attr("to", from.bare_str())
                        .with_attr("type", *kind),
                ));
            }
        } else {
            self.with_room(now, &from.to_bare(), |c, turn| c.handle_presence(turn, from, presence));
        }
    }

    /// Only the discovered components are listened to (§3.10, §11.1).
    fn route_message(&mut self, now: Instant, from: Option<&Jid>, message: &Element) {
        let Some(e) = message.child("json-message", ns::JITMEET) else { return };
        let components = &self.engine.components;
        let metadata = from.is_some() && from == components.room_metadata.as_ref();
        let moderation = from.is_some() && from == components.av_moderation.as_ref();
        if !metadata && !moderation {
            self.engine.counters.stanzas_ignored += 1;
            return;
        }
        let Ok(json) = serde_json::from_str::<Value>(&e.text()) else { return };
        let room = e.attr("room").or_else(|| json.get("room").and_then(Value::as_str));
        let Some(room) = room.and_then(|r| r.parse::<BareJid>().ok()) else { return };
        match json.get("type").and_then(Value::as_str) {
            Some("room_metadata") if metadata => {
                if let Some(data) = json.get("metadata") {
                    self.with_room(now, &room, |c, turn| c.handle_metadata(turn, data));
                }
            }
            Some("av_moderation") if moderation => {
                self.with_room(now, &room, |c, turn| c.handle_av_moderation(turn, &json));
            }
            _ => {}
        }
    }

    fn answered(&mut self, now: Instant, waiting: Waiting, answer: &Answer) {
        match waiting {
            Waiting::Nobody => {}
            Waiting::Discovery => self.engine.discovered(answer),
            Waiting::Probe(bridge) => {
                let ok = matches!(answer, Answer::Result(_));
                let event = self.engine.brewery.probed(now, &bridge, ok);
                self.bridge_events(now, event.into_iter().collect());
            }
            Waiting::Conference { id, room, what } => {
                self.with_room(now, &room, |c, turn| {
                    if c.id == id {
                        c.handle_answer(turn, what, answer);
                    }
                });
            }
        }
    }

    pub(crate) fn requests_expired(&mut self, now: Instant) {
        while let Some(waiting) = self.engine.iqs.take_expired(now) {
            self.answered(now, waiting, &Answer::Timeout);
        }
    }

    pub(crate) fn bridge_events(&mut self, now: Instant, events: Vec<BridgeEvent>) {
        for event in events {
            let rooms: Vec<BareJid> = self.rooms.keys().cloned().collect();
            for room in rooms {
                self.with_room(now, &room, |c, turn| match &event {
                    BridgeEvent::Usable => c.bridge_usable(now),
                    BridgeEvent::Lost(bridge) => {
                        if c.bridge.as_ref().is_some_and(|b| b.bridge == *bridge) {
                            // A bridge that says it is sick is told; one that left cannot be.
                            let expire = turn.brewery.bridge(bridge).is_some();
                            c.lose_bridge(turn, expire);
                        }
                    }
                });
            }
        }
    }

    /// Lets a conference handle something, settles it, and forgets it when it is over.
    pub(crate) fn with_room<R>(
        &mut self,
        now: Instant,
        room: &BareJid,
        handle: impl FnOnce(&mut Conference, &mut Turn<'_>) -> R,
    ) -> Option<R> {
        let conference = self.rooms.get_mut(room)?;
        let mut turn = self.engine.turn(now)?;
        let result = handle(conference, &mut turn);
        conference.settle(&mut turn);
        Some(result)
    }

    /// What follows every input: requests that found no place, rooms that are over.
    pub(crate) fn after(&mut self, now: Instant) {
        for waiting in std::mem::take(&mut self.engine.refused) {
            self.answered(now, waiting, &Answer::Timeout);
        }
        self.end_deserted(now);
    }

    /// A main room is kept while one of its breakout rooms lives; ending one may so end the other.
    fn end_deserted(&mut self, now: Instant) {
        loop {
            self.rooms.retain(|_, c| c.phase != crate::conference::Phase::Ended);
            let mains: Vec<BareJid> = self.rooms.values().filter_map(|c| c.breakout_of.clone()).collect();
            let over = |c: &&Conference| c.deserted && c.members.is_empty() && !mains.contains(&c.room);
            let rooms: Vec<BareJid> = self.rooms.values().filter(over).map(|c| c.room.clone()).collect();
            if rooms.is_empty() {
                return;
            }
            for room in rooms {
                self.with_room(now, &room, |c, turn| c.end(turn, Leave::Politely));
            }
        }
    }

    pub(crate) fn end_all(&mut self, now: Instant, how: Leave) {
        for (_, mut conference) in std::mem::take(&mut self.rooms) {
            if how == Leave::Silently {
                self.engine.orphan(&conference);
            }
            match self.engine.turn(now) {
                Some(mut turn) => conference.end(&mut turn, how),
                // The link's time is over: HTTP requests are answered, nobody else can be.
                None => {
                    for requester in std::mem::take(&mut conference.waiting) {
                        if let crate::request::Requester::Http { request, room } = requester {
                            self.engine.reply_http(request, HttpReply::not_ready(&room));
                        }
                    }
                }
            }
        }
    }
}
