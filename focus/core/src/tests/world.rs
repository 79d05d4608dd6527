//! The scripted rest of the world: what the focus sends comes in as bytes, what server, bridges and clients answer
//! goes back, until everything is still.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use jitsi_xmpp::colibri2::{
    Colibri2Error, ConferenceModified, ConferenceModify, Endpoint, ErrorReason, MediaSource, Relay, Sctp,
    SctpRole, Transport,
};
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::{MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{
    Action, Candidate, CandidateType, Fingerprint, IceUdpTransport, Jingle, Setup, Source, WebSocket,
};
use jitsi_xmpp::xml::parse;
use jitsi_xmpp::{Condition, Element, Sensitive, StanzaError, iq, ns};

use jitsi_xmpp::conference_request::HttpAnswer;

use crate::config::Strategy;
use crate::{Config, Focus, HttpRequestId, Network, Output, Stats};

pub(super) const ROOM: &str = "demo@muc.meet.jitsi";
pub(super) const AUDIENCE: &str = "demo@muc.v0.meet.jitsi";
pub(super) const ME: &str = "focus@auth.meet.jitsi/focus";
pub(super) const MEETING: &str = "11111111-2222-4333-8444-555555555555";
const BREWERY: &str = "jvbbrewery@internal-muc.meet.jitsi";

/// How a scripted bridge answers Colibri2.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mood {
    Works,
    Silent,
    /// Does what it is told to make, too slowly to answer, and never gets to what it is told to end.
    Cold,
    Refuses(Condition, Option<ErrorReason>),
    /// A result without a transport.
    Empty,
    /// Does what it is told, and its answers wait for [`World::release`].
    Late,
}

/// What a scripted bridge does when it is to restart ICE.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum IceRestart {
    /// New credentials each time, counted.
    Restarts(u32),
    /// It was not connected yet.
    NotNeeded,
    /// It cannot: no transport in the answer.
    Refuses,
    /// It does not even answer with a result.
    Errs,
}

#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) mood: Mood,
    pub(super) healthy: bool,
    /// Endpoints by meeting id.
    pub(super) conferences: BTreeMap<String, BTreeSet<String>>,
    pub(super) requests: Vec<ConferenceModify>,
    pub(super) ice_restart: IceRestart,
    /// Meetings of its cold time.
    stuck: BTreeSet<String>,
    /// What it does with requests about relays.
    pub(super) relay_mood: Mood,
    /// By the other's relay id.
    pub(super) relays: BTreeMap<String, RelaySide>,
    pub(super) held: Vec<Element>,
    /// What it says of itself beside the usual.
    pub(super) says: BTreeMap<&'static str, String>,
}

/// What a bridge knows of another.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct RelaySide {
    pub(super) begins: bool,
    /// The other's user name fragment and DTLS role.
    pub(super) remote: Option<(String, Setup)>,
    /// SSRCs by endpoint.
    pub(super) endpoints: BTreeMap<String, BTreeSet<u32>>,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) nick: String,
    room: &'static str,
    features: Vec<&'static str>,
    answers_disco: bool,
    pub(super) accepts: bool,
    /// Jingle and mute requests of the focus, in order.
    pub(super) received: Vec<Element>,
    pub(super) sid: String,
    pub(super) bridge_session: String,
    /// Sources of the next `session-accept`, as inner XML of a content.
    pub(super) sources: String,
}

pub(super) const OLD: &[&str] = &[
    "urn:xmpp:jingle:1",
    "urn:xmpp:jingle:apps:rtp:audio",
    "urn:xmpp:jingle:apps:rtp:video",
    "urn:xmpp:jingle:transports:dtls-sctp:1",
    "urn:ietf:rfc:4588",
    "http://jitsi.org/tcc",
];

pub(super) const NEW: &[&str] = &[
    "urn:xmpp:jingle:1",
    "urn:xmpp:jingle:apps:rtp:audio",
    "urn:xmpp:jingle:apps:rtp:video",
    "urn:xmpp:jingle:transports:dtls-sctp:1",
    "urn:ietf:rfc:4588",
    "http://jitsi.org/tcc",
    "http://jitsi.org/source-name",
    "http://jitsi.org/json-encoded-sources",
    "http://jitsi.org/ssrc-rewriting-1",
];

pub(super) struct World {
    pub(super) focus: Focus,
    config: Config,
    pub(super) now: Instant,
    inbox: VecDeque<Element>,
    pub(super) bridges: BTreeMap<String, Bridge>,
    /// Clients in the room, by nick.
    pub(super) clients: BTreeMap<String, Client>,
    owners: BTreeSet<String>,
    /// Rooms the focus is in, with its last presence.
    pub(super) focus_in: HashMap<String, Element>,
    /// Replies by id.
    pub(super) replies: HashMap<String, Element>,
    pub(super) http: HashMap<u64, HttpAnswer>,
    /// Everything the focus sent, as bytes.
    pub(super) sent: Vec<String>,
    /// What the server answers to a join instead of a self-presence.
    pub(super) join_error: Option<StanzaError>,
    /// The server swallows joins.
    pub(super) deaf: bool,
    /// One that the server has not loaded.
    pub(super) missing_component: Option<&'static str>,
    /// The server gives nobody the rights of an owner.
    pub(super) grants_nothing: bool,
    /// Nobody forges the server's own words.
    pub(super) strict: bool,
    pub(super) form_fields: Vec<(&'static str, String)>,
    /// Endpoints asked for twice. Only a bridge that was away and came back sees that.
    pub(super) duplicates: usize,
    next_id: u64,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Config::for_domain("meet.jitsi").unwrap())
    }

    pub(super) fn with(config: Config) -> Self {
        let mut w = Self {
            focus: Focus::new(config.clone(), Box::new(SeededEntropy::new(7))),
            config,
            now: Instant::now(),
            inbox: VecDeque::new(),
            bridges: BTreeMap::new(),
            clients: BTreeMap::new(),
            owners: BTreeSet::new(),
            focus_in: HashMap::new(),
            replies: HashMap::new(),
            http: HashMap::new(),
            sent: Vec::new(),
            join_error: None,
            deaf: false,
            missing_component: None,
            grants_nothing: false,
            strict: true,
            form_fields: vec![("muc#roominfo_meetingId", MEETING.into())],
            duplicates: 0,
            next_id: 0,
        };
        w.link_up(false);
        w
    }

    /// A link, one bridge and a running conference.
    pub(super) fn meeting() -> Self {
        let mut w = Self::new();
        w.add_bridge("jvb1");
        let id = w.conference_request(ROOM);
        assert!(w.replies[&id].to_xml().contains("ready=\"true\""), "{}", w.replies[&id].to_xml());
        w
    }

    /// A/V moderation closes a medium for all; `by` somebody, if that is said.
    pub(super) fn moderate(&mut self, medium: &str, by: Option<&str>) {
        let actor = by.map(|nick| format!(",\"actor\":\"{ROOM}/{nick}\"")).unwrap_or_default();
        self.receive(&format!(
            "<message from='avmoderation.meet.jitsi' to='{ME}'><json-message xmlns='http://jitsi.org/jitmeet'>\
             {{\"type\":\"av_moderation\",\"room\":\"{ROOM}\",\"enabled\":true,\"mediaType\":\"{medium}\"{actor}}}</json-message></message>"
        ));
    }

    /// Two people in a meeting that is split: each on a bridge of its own, and the bridges linked, though relays are not switched on.
    pub(super) fn on_two_bridges() -> Self {
        let mut config = Config::for_domain("meet.jitsi").unwrap();
        config.bridges.strategy = Strategy::Split;
        let mut w = Self::with(config);
        w.add_relay("jvb1");
        w.add_relay("jvb2");
        w.conference_request(ROOM);
        w.join("anna0001", NEW);
        w.join("ben00002", NEW);
        w
    }

    pub(super) fn link_up(&mut self, resumed: bool) {
        self.focus.handle_link_up(self.now, ME.parse().unwrap(), resumed);
        self.pump();
    }

    /// The focus stops, and another one goes on.
    pub(super) fn hand_over(&mut self) {
        self.focus.prepare_handover(self.now);
        self.pump();
        let left = self.focus.hand_over(self.now).unwrap();
        self.take_over(&left);
    }

    /// Another focus begins with what one has left, and its link is resumed.
    pub(super) fn take_over(&mut self, left: &[u8]) {
        let entropy = Box::new(SeededEntropy::new(8));
        self.focus = Focus::take_over(self.now, self.config.clone(), entropy, left).unwrap();
        self.link_up(true);
    }

    pub(super) fn stats(&self) -> Stats {
        self.focus.stats()
    }

    // ---- bridges

    pub(super) fn add_bridge(&mut self, nick: &str) {
        self.add_bridge_that_says(nick, &[]);
    }

    /// One that can be linked with others.
    pub(super) fn add_relay(&mut self, nick: &str) {
        self.add_bridge_that_says(nick, &[("relay_id", nick)]);
    }

    pub(super) fn add_bridge_that_says(&mut self, nick: &str, says: &[(&'static str, &str)]) {
        let bridge = Bridge {
            mood: Mood::Works,
            healthy: true,
            conferences: BTreeMap::new(),
            requests: Vec::new(),
            ice_restart: IceRestart::Restarts(0),
            stuck: BTreeSet::new(),
            relay_mood: Mood::Works,
            relays: BTreeMap::new(),
            held: Vec::new(),
            says: BTreeMap::new(),
        };
        self.bridges.insert(nick.into(), bridge);
        self.bridge_says(nick, says);
    }

    pub(super) fn bridge_says(&mut self, nick: &str, says: &[(&'static str, &str)]) {
        let bridge = self.bridges.get_mut(nick).unwrap();
        bridge.says.extend(says.iter().map(|(name, value)| (*name, (*value).to_owned())));
        self.bridge_presence(nick);
    }

    /// A late bridge answers what it was asked so far.
    pub(super) fn release(&mut self, nick: &str) {
        let held = std::mem::take(&mut self.bridges.get_mut(nick).unwrap().held);
        self.inbox.extend(held);
        self.pump();
    }

    pub(super) fn bridge_presence(&mut self, nick: &str) {
        let healthy = self.bridges[nick].healthy;
        let said = self.bridges[nick].says.iter();
        let said: String = said.map(|(n, v)| format!("<stat name='{n}' value='{v}'/>")).collect();
        self.receive(&format!(
            "<presence from='{BREWERY}/{nick}' to='{ME}'><stats xmlns='http://jitsi.org/protocol/colibri'>\
             <stat name='stress_level' value='0.1'/><stat name='drain' value='false'/>\
             <stat name='region' value='eu'/><stat name='version' value='2.3'/>\
             <stat name='healthy' value='{healthy}'/>{said}</stats></presence>"
        ));
    }

    pub(super) fn remove_bridge(&mut self, nick: &str) {
        self.bridges.remove(nick);
        self.receive(&format!("<presence type='unavailable' from='{BREWERY}/{nick}' to='{ME}'/>"));
    }

    pub(super) fn endpoints(&self, bridge: &str) -> Vec<String> {
        self.bridges[bridge].conferences.values().flatten().cloned().collect()
    }

    fn bridge_answers(&mut self, nick: &str, request: &Element) -> Option<Element> {
        let bridge = self.bridges.get_mut(nick)?;
        if request.child("healthcheck", ns::HEALTHCHECK).is_some() {
            return (bridge.mood != Mood::Silent).then(|| iq::result(request, None));
        }
        assert_eq!(request.attr("type"), Some("get"), "compat: bridges are asked by get");
        let modify = ConferenceModify::from_iq(request).unwrap().unwrap();
        bridge.requests.push(modify.clone());
        let error = |condition, reason: Option<Colibri2Error>| {
            let e = StanzaError::new(condition);
            Some(iq::error(request, &reason.map_or_else(|| e.clone(), |r| r.add_to(e.clone()))))
        };
        match &bridge.mood {
            Mood::Silent => return None,
            Mood::Cold => {
                let meeting = modify.meeting_id.as_str().to_owned();
                if modify.create && bridge.stuck.insert(meeting.clone()) {
                    bridge.conferences.insert(meeting, BTreeSet::new());
                }
                return None;
            }
            Mood::Refuses(c, reason) => return error(*c, reason.map(Colibri2Error::new)),
            Mood::Empty => {
                return Some(iq::result(request, Some(ConferenceModified::default().to_element())));
            }
            Mood::Works | Mood::Late => {}
        }
        if modify.relays.iter().any(|r| !r.expire) {
            match &bridge.relay_mood {
                Mood::Silent => return None,
                Mood::Refuses(c, reason) => return error(*c, reason.map(Colibri2Error::new)),
                Mood::Empty => {
                    return Some(iq::result(request, Some(ConferenceModified::default().to_element())));
                }
                Mood::Works | Mood::Cold | Mood::Late => {}
            }
        }
        let late = bridge.mood == Mood::Late
            || bridge.relay_mood == Mood::Late && modify.relays.iter().any(|r| !r.expire);
        let meeting = modify.meeting_id.as_str().to_owned();
        if modify.create {
            if bridge.conferences.contains_key(&meeting) {
                let e = Colibri2Error::new(ErrorReason::ConferenceAlreadyExists);
                return error(Condition::Conflict, Some(e));
            }
            bridge.conferences.insert(meeting.clone(), BTreeSet::new());
        }
        let Some(endpoints) = bridge.conferences.get_mut(&meeting) else {
            return error(Condition::ItemNotFound, Some(Colibri2Error::new(ErrorReason::ConferenceNotFound)));
        };
        let mut modified = ConferenceModified::default();
        for e in &modify.endpoints {
            let id = e.id.as_str().to_owned();
            let mut answer = Endpoint::new(e.id.clone());
            if e.create {
                let elsewhere = bridge.relays.values().any(|r| r.endpoints.contains_key(&id));
                if elsewhere || !endpoints.insert(id) {
                    self.duplicates += 1;
                    return error(Condition::Conflict, None);
                }
                assert!(e.has_capability("source-names"));
                answer.transport = Some(bridge_transport(e));
                modified.sources = Some(feedback());
            } else if e.expire {
                endpoints.remove(&id);
            } else if e.transport.as_ref().is_some_and(|t| t.ice_restart) {
                let mut transport = bridge_transport(e);
                match &mut bridge.ice_restart {
                    IceRestart::Restarts(n) => {
                        *n += 1;
                        let ice = transport.ice.as_mut().unwrap();
                        (ice.ice_generation, ice.ufrag) = (Some(*n), Some(format!("uf{n}")));
                        answer.transport = Some(transport);
                    }
                    IceRestart::NotNeeded => answer.transport = Some(transport),
                    IceRestart::Refuses => {}
                    IceRestart::Errs => return error(Condition::InternalServerError, None),
                }
            } else if !endpoints.contains(&id) {
                return error(Condition::ItemNotFound, Some(Colibri2Error::unknown_endpoint(e.id.clone())));
            }
            modified.endpoints.push(answer);
        }
        for r in &modify.relays {
            match relay(&mut bridge.relays, endpoints, nick, r) {
                Ok(answer) => modified.relays.push(answer),
                Err(condition) => return error(condition, None),
            }
        }
        if bridge.stuck.contains(&meeting) {
        } else if modify.expire || (!modify.create && endpoints.is_empty() && bridge.relays.is_empty()) {
            bridge.conferences.remove(&meeting);
            bridge.relays.clear();
        }
        let answer = iq::result(request, Some(modified.to_element()));
        if late {
            bridge.held.push(answer);
            return None;
        }
        Some(answer)
    }

    // ---- clients

    pub(super) fn join(&mut self, nick: &str, features: &[&'static str]) {
        self.enter(nick, features, true);
    }

    pub(super) fn join_without_disco(&mut self, nick: &str) {
        self.enter(nick, &[], false);
    }

    /// Somebody comes into another room.
    pub(super) fn join_at(
        &mut self,
        room: &'static str,
        nick: &str,
        features: &[&'static str],
        sources: &str,
    ) {
        self.enter_at(room, nick, features, true, sources.to_owned());
    }

    fn enter(&mut self, nick: &str, features: &[&'static str], answers_disco: bool) {
        let sources = camera(nick, 1000 * (self.clients.len() as u32 + 1));
        self.enter_at(ROOM, nick, features, answers_disco, sources);
    }

    fn enter_at(
        &mut self,
        room: &'static str,
        nick: &str,
        features: &[&'static str],
        answers_disco: bool,
        sources: String,
    ) {
        let client = Client {
            nick: nick.into(),
            room,
            features: features.to_vec(),
            answers_disco,
            accepts: true,
            received: Vec::new(),
            sid: String::new(),
            bridge_session: String::new(),
            sources,
        };
        self.clients.insert(nick.into(), client);
        self.presence(nick, "");
    }

    /// Somebody watches.
    pub(super) fn watch(&mut self, nick: &str) {
        self.watch_with(nick, "");
    }

    pub(super) fn watch_with(&mut self, nick: &str, said: &str) {
        let client = Client {
            nick: nick.into(),
            room: AUDIENCE,
            features: NEW.to_vec(),
            answers_disco: true,
            accepts: true,
            received: Vec::new(),
            sid: String::new(),
            bridge_session: String::new(),
            sources: String::new(),
        };
        self.clients.insert(nick.into(), client);
        self.receive(&format!(
            "<presence from='{AUDIENCE}/{nick}' to='{ME}'>\
             <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://jitsi.org/jitsi-meet' ver='{nick}'/>{said}\
             <x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='visitor' jid='{nick}-0@v0.meet.jitsi/r1'/></x></presence>"
        ));
    }

    pub(super) fn stop_watching(&mut self, nick: &str) {
        self.clients.remove(nick);
        self.receive(&format!("<presence type='unavailable' from='{AUDIENCE}/{nick}' to='{ME}'/>"));
    }

    pub(super) fn presence(&mut self, nick: &str, extra: &str) {
        let room = self.clients.get(nick).map_or(ROOM, |c| c.room);
        let affiliation = if self.owners.contains(nick) { "owner" } else { "none" };
        let role = if self.owners.contains(nick) { "moderator" } else { "participant" };
        self.receive(&format!(
            "<presence from='{room}/{nick}' to='{ME}'>\
             <c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='https://jitsi.org/jitsi-meet' ver='{nick}'/>\
             <stats-id>Anna-x7Q</stats-id>{extra}\
             <x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='{affiliation}' role='{role}' jid='{nick}-0@meet.jitsi/r1'/></x></presence>"
        ));
    }

    pub(super) fn leave(&mut self, nick: &str) {
        let room = self.clients.remove(nick).map_or(ROOM, |c| c.room);
        self.owners.remove(nick);
        self.receive(&format!(
            "<presence type='unavailable' from='{room}/{nick}' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='none' jid='{nick}-0@meet.jitsi/r1'/></x></presence>"
        ));
    }

    /// Somebody comes in with a browser, as clients do: the request for the room first.
    pub(super) fn come_in_with(&mut self, nick: &str, browser: &str) {
        self.next_id += 1;
        self.receive(&format!(
            "<iq type='set' id='b{}' from='focus.meet.jitsi/{nick}-0@meet.jitsi/r1' to='{ME}'>\
             <conference xmlns='http://jitsi.org/protocol/focus' room='{ROOM}' machine-uid='{browser}'/></iq>",
            self.next_id
        ));
        self.join(nick, NEW);
    }

    /// A moderator throws somebody out.
    pub(super) fn kick(&mut self, nick: &str) {
        self.clients.remove(nick);
        self.owners.remove(nick);
        self.receive(&format!(
            "<presence type='unavailable' from='{ROOM}/{nick}' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='none' role='none' jid='{nick}-0@meet.jitsi/r1'/><status code='307'/></x></presence>"
        ));
    }

    /// A moderator makes somebody another one.
    pub(super) fn promote(&mut self, nick: &str) {
        self.owners.insert(nick.to_owned());
        self.presence(nick, "");
    }

    /// Sends a request as `nick` and returns the reply.
    pub(super) fn request(&mut self, nick: &str, payload: &str) -> Element {
        self.next_id += 1;
        let id = format!("t{}", self.next_id);
        let room = self.clients.get(nick).map_or(ROOM, |c| c.room);
        self.receive(&format!("<iq type='set' id='{id}' from='{room}/{nick}' to='{ME}'>{payload}</iq>"));
        self.replies.remove(&id).expect("every request gets a reply")
    }

    pub(super) fn jingle(&mut self, nick: &str, action: &str, inner: &str) -> Element {
        let sid = self.clients[nick].sid.clone();
        self.request(
            nick,
            &format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{sid}'>{inner}</jingle>"),
        )
    }

    pub(super) fn restart(&mut self, nick: &str) -> Element {
        let session = self.clients[nick].bridge_session.clone();
        self.jingle(
            nick,
            "session-terminate",
            &format!(
                "<reason><connectivity-error/></reason>\
                 <bridge-session xmlns='http://jitsi.org/protocol/focus' id='{session}' restart='true'/>"
            ),
        )
    }

    pub(super) fn restart_ice(&mut self, nick: &str) -> Element {
        let session = self.clients[nick].bridge_session.clone();
        self.jingle(
            nick,
            "session-info",
            &format!(
                "<bridge-session xmlns='http://jitsi.org/protocol/focus' id='{session}' ice-restart='true'/>"
            ),
        )
    }

    /// Actions of the Jingle requests that `nick` received since last asked.
    pub(super) fn actions(&mut self, nick: &str) -> Vec<String> {
        let received = std::mem::take(&mut self.clients.get_mut(nick).unwrap().received);
        received.iter().filter_map(|j| j.attr("action").map(str::to_owned)).collect()
    }

    pub(super) fn forget(&mut self) {
        for c in self.clients.values_mut() {
            c.received.clear();
        }
        for b in self.bridges.values_mut() {
            b.requests.clear();
        }
        self.sent.clear();
    }

    fn client_answers(&mut self, nick: &str, request: &Element) {
        let Some(client) = self.clients.get_mut(nick) else { return };
        let payload = request.first_child().unwrap();
        if payload.ns() == ns::DISCO_INFO {
            if client.answers_disco {
                let features =
                    client.features.iter().map(|f| Element::inherit("feature").with_attr("var", *f));
                let query = Element::new("query", ns::DISCO_INFO).with_children(features);
                self.inbox.push_back(iq::result(request, Some(query)));
            }
            return;
        }
        client.received.push(payload.clone());
        if payload.name() == "mute" {
            return;
        }
        self.inbox.push_back(iq::result(request, None));
        let jingle = Jingle::from_element(payload).unwrap();
        if jingle.action == Action::SessionInitiate {
            client.sid = jingle.sid.as_str().to_owned();
            client.bridge_session = jingle.bridge_session.unwrap().id.unwrap();
            if client.accepts {
                let accept = client.accept();
                self.inbox.push_back(accept);
            }
        }
    }

    // ---- server

    pub(super) fn conference_request(&mut self, room: &str) -> String {
        self.next_id += 1;
        let id = format!("c{}", self.next_id);
        self.receive(&format!(
            "<iq type='set' id='{id}' from='focus.meet.jitsi/u1@meet.jitsi/r1' to='{ME}'>\
             <conference xmlns='http://jitsi.org/protocol/focus' room='{room}' machine-uid='4f'>\
             <property name='rtcstatsEnabled' value='false'/></conference></iq>"
        ));
        id
    }

    pub(super) fn http_request(&mut self, id: u64, body: &str) {
        self.http_request_from("192.0.2.7", id, body);
    }

    pub(super) fn http_request_from(&mut self, from: &str, id: u64, body: &str) {
        let from = Network::of(from.parse().unwrap());
        self.focus.handle_http_request(self.now, HttpRequestId(id), from, body.as_bytes());
        self.pump();
    }

    /// A stanza arrives at the focus.
    pub(super) fn receive(&mut self, xml: &str) {
        let stanza = jitsi_xmpp::xml::parse_with(xml.as_bytes(), ns::CLIENT, &Default::default()).expect(xml);
        self.inbox.push_back(stanza);
        self.pump();
    }

    /// Time passes.
    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        for _ in 0..100_000 {
            match self.focus.poll_timeout() {
                Some(at) if at <= end => {
                    self.now = self.now.max(at);
                    self.focus.handle_timeout(self.now);
                    self.pump();
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("the focus never comes to rest");
    }

    pub(super) fn seconds(&mut self, s: u64) {
        // Bridges publish every five seconds.
        for _ in 0..s / 5 {
            self.advance(Duration::from_secs(5));
            for nick in self.bridges.keys().cloned().collect::<Vec<_>>() {
                self.bridge_presence(&nick);
            }
        }
        self.advance(Duration::from_secs(s % 5));
    }

    /// Lets everybody answer until nothing is left to say.
    pub(super) fn pump(&mut self) {
        loop {
            while let Some(output) = self.focus.poll_output() {
                match output {
                    Output::Send(stanza) => {
                        let xml = stanza.to_xml();
                        let stanza = parse(xml.as_bytes()).expect("well-formed");
                        self.sent.push(xml);
                        self.deliver(&stanza);
                    }
                    Output::HttpReply { request, reply } => {
                        assert!(self.http.insert(request.0, reply).is_none(), "answered twice");
                    }
                }
            }
            if self.focus.poll_timeout().is_some_and(|at| at <= self.now) {
                self.focus.handle_timeout(self.now);
                continue;
            }
            let Some(mut stanza) = self.inbox.pop_front() else { return };
            stanza.set_attr("to", ME);
            self.focus.handle_stanza(self.now, &stanza);
        }
    }

    fn deliver(&mut self, stanza: &Element) {
        let to = stanza.attr("to").unwrap_or_default().to_owned();
        let (bare, resource) = to.split_once('/').unwrap_or((to.as_str(), ""));
        let kind = stanza.attr("type");
        match (stanza.name(), kind) {
            ("presence", None) if resource == "focus" => self.focus_presence(&to, bare, stanza),
            ("presence", Some("unavailable")) => {
                self.focus_in.remove(bare);
            }
            ("presence", _) => {}
            ("iq", Some("result" | "error")) => {
                let id = stanza.attr("id").unwrap().to_owned();
                assert!(self.replies.insert(id, stanza.clone()).is_none(), "answered twice");
            }
            ("iq", _) if bare == BREWERY && !resource.is_empty() => {
                let answer = self.bridge_answers(resource, stanza);
                self.inbox.extend(answer);
            }
            ("iq", _) if !resource.is_empty() => self.client_answers(resource, stanza),
            ("iq", _) => self.server_answers(bare, stanza),
            _ => panic!("unexpected stanza {}", stanza.to_xml()),
        }
    }

    fn focus_presence(&mut self, to: &str, bare: &str, presence: &Element) {
        let joining = presence.child("x", ns::MUC).is_some();
        // A forged presence makes the focus believe things that the real server knows better.
        assert!(
            !self.strict || joining != self.focus_in.contains_key(bare),
            "the join marker stands on joins only"
        );
        if joining && (self.deaf || self.join_error.is_some()) && bare != BREWERY {
            if let Some(e) = &self.join_error {
                let error = Element::new("presence", ns::CLIENT)
                    .with_attr("type", "error")
                    .with_attr("from", to)
                    .with_child(e.to_element());
                self.inbox.push_back(error);
            }
            return;
        }
        self.focus_in.insert(bare.to_owned(), presence.clone());
        if joining {
            let item =
                Element::inherit("item").with_attr("affiliation", "owner").with_attr("role", "moderator");
            let x = Element::new("x", ns::MUC_USER)
                .with_child(item)
                .with_child(Element::inherit("status").with_attr("code", "110"));
            self.inbox.push_back(Element::new("presence", ns::CLIENT).with_attr("from", to).with_child(x));
        }
    }

    fn server_answers(&mut self, to: &str, request: &Element) {
        let payload = request.first_child().unwrap();
        let answer = match (request.attr("type"), payload.ns()) {
            (Some("get"), ns::MUC_OWNER) => {
                let fields = self.form_fields.iter().map(|(var, value)| {
                    Element::inherit("field")
                        .with_attr("var", *var)
                        .with_child(Element::inherit("value").with_text(value))
                });
                let form = Element::new("x", ns::DATA_FORMS).with_attr("type", "form").with_children(fields);
                Some(Element::new("query", ns::MUC_OWNER).with_child(form))
            }
            (Some("get"), ns::DISCO_INFO) => {
                let all = [
                    ("room_metadata", "metadata.meet.jitsi"),
                    ("av_moderation", "avmoderation.meet.jitsi"),
                    ("breakout_rooms", "breakout.meet.jitsi"),
                    ("visitors", "visitors.meet.jitsi"),
                ];
                let loaded = all.into_iter().filter(|(kind, _)| self.missing_component != Some(kind));
                let identities = loaded.map(|(kind, name)| {
                    Element::inherit("identity")
                        .with_attr("category", "component")
                        .with_attr("type", kind)
                        .with_attr("name", name)
                });
                Some(Element::new("query", ns::DISCO_INFO).with_children(identities))
            }
            (Some("set"), ns::MUC_OWNER) | (Some("get"), ns::VISITORS) => None,
            (Some("set"), ns::MUC_ADMIN) if self.grants_nothing => {
                self.inbox.push_back(iq::error(request, &StanzaError::new(Condition::NotAllowed)));
                return;
            }
            (Some("set"), ns::MUC_ADMIN) => {
                let jid = payload.first_child().unwrap().attr("jid").unwrap();
                let nick = jid.split('-').next().unwrap().to_owned();
                self.owners.insert(nick.clone());
                self.inbox.push_back(iq::result(request, None));
                return self.presence_later(to, &nick);
            }
            _ => panic!("unexpected request to {to}: {}", request.to_xml()),
        };
        self.inbox.push_back(iq::result(request, answer));
    }

    fn presence_later(&mut self, room: &str, nick: &str) {
        let xml = format!(
            "<presence xmlns='jabber:client' from='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <item affiliation='owner' role='moderator' jid='{nick}-0@meet.jitsi/r1'/></x></presence>"
        );
        self.inbox.push_back(parse(xml.as_bytes()).unwrap());
    }

    pub(super) fn is_owner(&self, nick: &str) -> bool {
        self.owners.contains(nick)
    }

    /// After everybody has left: nothing is kept anywhere.
    pub(super) fn assert_empty(&mut self) {
        self.seconds(20);
        let s = self.stats();
        assert_eq!(self.duplicates, 0);
        assert_eq!((s.conferences, s.participants, s.pending_requests), (0, 0, 0));
        assert!(!self.focus_in.contains_key(ROOM), "the focus is still in the room");
        assert!(!self.focus_in.contains_key(AUDIENCE), "the focus still lets people watch");
        for (nick, b) in &self.bridges {
            assert!(b.conferences.is_empty(), "{nick} still has a conference");
        }
    }

    /// Every bridge of the conference knows every other one, and who is on it with what.
    pub(super) fn assert_linked(&self) {
        assert_eq!(self.duplicates, 0, "somebody was twice on a bridge");
        let with: Vec<&String> =
            self.bridges.iter().filter(|(_, b)| !b.conferences.is_empty()).map(|(nick, _)| nick).collect();
        for one in &with {
            let relays = &self.bridges[*one].relays;
            let others: Vec<&String> = with.iter().copied().filter(|o| o != one).collect();
            assert_eq!(relays.keys().collect::<Vec<_>>(), others, "relays of {one}");
            for other in others {
                let (here, there) = (&relays[other], &self.bridges[other].relays[*one]);
                assert_ne!(here.begins, there.begins, "{one} and {other}: one of them begins");
                let role = if here.begins { Setup::Active } else { Setup::Passive };
                assert_eq!(here.remote, Some((format!("{other}-{one}"), role)), "{one} knows {other}");
                let there: BTreeMap<String, BTreeSet<u32>> = self
                    .endpoints(other)
                    .into_iter()
                    .filter(|id| self.clients.get(id).is_none_or(|c| c.room == ROOM))
                    .map(|id| (id.clone(), self.sources_of(&id)))
                    .collect();
                assert_eq!(here.endpoints, there, "who {one} knows on {other}");
            }
        }
    }

    /// The bridges of those who meet are all linked with each other; each other one has one link more, and all are one. Each bridge knows
    /// everybody who meets once, from the neighbour behind whom they are.
    pub(super) fn assert_tree(&self) {
        assert_eq!(self.duplicates, 0, "somebody was twice on a bridge");
        let Some(conference) = self.focus.rooms.values().next() else { return };
        let viewers: BTreeMap<String, bool> =
            conference.sessions.iter().map(|s| (s.bridge.resource().to_owned(), s.viewers)).collect();
        let links = |nick: &String| self.bridges[nick].relays.keys();
        let edges: usize = viewers.keys().map(|nick| links(nick).count()).sum::<usize>() / 2;
        let core: Vec<&String> = viewers.iter().filter(|(_, v)| !**v).map(|(nick, _)| nick).collect();
        let tree = (viewers.len() - core.len()).saturating_sub(usize::from(core.is_empty()));
        assert_eq!(edges, core.len() * core.len().saturating_sub(1) / 2 + tree, "{viewers:?}");
        for (n, one) in core.iter().enumerate() {
            assert!(core[n + 1..].iter().all(|other| self.bridges[*one].relays.contains_key(*other)));
        }
        for one in viewers.keys() {
            // From here, and over which neighbour.
            let mut over: BTreeMap<String, String> = links(one).map(|n| (n.clone(), n.clone())).collect();
            let mut next: VecDeque<String> = over.keys().cloned().collect();
            while let Some(at) = next.pop_front() {
                for n in links(&at).filter(|n| *n != one) {
                    if !over.contains_key(n) {
                        over.insert(n.clone(), over[&at].clone());
                        next.push_back(n.clone());
                    }
                }
            }
            assert_eq!(over.len() + 1, viewers.len(), "all reach each other: {one}");
            for (other, side) in &self.bridges[one].relays {
                assert_ne!(side.begins, self.bridges[other].relays[one].begins);
                let role = if side.begins { Setup::Active } else { Setup::Passive };
                assert_eq!(side.remote, Some((format!("{other}-{one}"), role)), "{one} knows {other}");
                let behind = over.iter().filter(|(_, n)| *n == other).flat_map(|(b, _)| self.endpoints(b));
                let meet = behind.filter(|id| self.clients.get(id).is_none_or(|c| c.room == ROOM));
                let known: BTreeMap<String, BTreeSet<u32>> =
                    meet.map(|id| (id.clone(), self.sources_of(&id))).collect();
                assert_eq!(side.endpoints, known, "whom {one} knows behind {other}");
            }
        }
    }

    /// SSRCs of somebody, as the focus knows them.
    fn sources_of(&self, id: &str) -> BTreeSet<u32> {
        let conference = self.focus.rooms.values().next().unwrap();
        let set = conference.sources.of(&jitsi_xmpp::ids::EndpointId::new(id));
        set.sources.iter().map(|s| s.ssrc.0).collect()
    }
}

impl Client {
    pub(super) fn accept(&self) -> Element {
        let xml = format!(
            "<iq xmlns='jabber:client' type='set' id='accept-{0}-{1}' from='{3}/{0}'>\
             <jingle xmlns='urn:xmpp:jingle:1' action='session-accept' sid='{1}'>\
             {2}<content creator='responder' name='data'>{TRANSPORT}</content></jingle></iq>",
            self.nick, self.sid, self.sources, self.room
        );
        parse(xml.as_bytes()).unwrap()
    }
}

const TRANSPORT: &str = "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='cu' pwd='cp'>\
    <fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='active'>11:22</fingerprint></transport>";

/// A microphone and a simulcast camera with names, first SSRC `base`.
pub(super) fn camera(nick: &str, base: u32) -> String {
    let source = |ssrc: u32| {
        format!(
            "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{ssrc}' name='{nick}-v0' videoType='camera'>\
             <parameter name='msid' value='{nick}-video-0-1 t1'/></source>"
        )
    };
    let group = |kind: &str, ssrcs: &[u32]| {
        let inner: String = ssrcs.iter().map(|s| format!("<source ssrc='{s}'/>")).collect();
        format!("<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='{kind}'>{inner}</ssrc-group>")
    };
    let video: String = (base..base + 6).map(source).collect();
    format!(
        "<content name='audio'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>\
         <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{}' name='{nick}-a0'>\
         <parameter name='msid' value='{nick}-audio-0-1 t0'/></source></description>{TRANSPORT}</content>\
         <content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>{video}{}{}{}{}\
         <initial-last-n xmlns='jitsi:colibri2' value='5'/></description>{TRANSPORT}</content>",
        base + 100,
        group("SIM", &[base, base + 1, base + 2]),
        group("FID", &[base, base + 3]),
        group("FID", &[base + 1, base + 4]),
        group("FID", &[base + 2, base + 5]),
    )
}

/// The same of a client of 2021: no names, no simulcast.
pub(super) fn old_camera(nick: &str, base: u32) -> String {
    let msid = |kind: &str| format!("<parameter name='msid' value='{nick}-{kind}-1 t'/>");
    format!(
        "<content name='audio'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>\
         <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{0}'>{3}</source></description>{TRANSPORT}</content>\
         <content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
         <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{1}'>{4}</source>\
         <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{2}'>{4}</source>\
         <ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='FID'><source ssrc='{1}'/><source ssrc='{2}'/></ssrc-group>\
         </description>{TRANSPORT}</content>",
        base,
        base + 1,
        base + 2,
        msid("audio"),
        msid("video"),
    )
}

/// What a stock bridge does with a relay.
fn relay(
    relays: &mut BTreeMap<String, RelaySide>,
    local: &BTreeSet<String>,
    nick: &str,
    r: &Relay,
) -> Result<Relay, Condition> {
    let mut answer = Relay::new(r.id.clone());
    if r.expire {
        relays.remove(&r.id);
        answer.expire = true;
        return Ok(answer);
    }
    if r.create {
        let transport = r.transport.as_ref().ok_or(Condition::BadRequest)?;
        if relays.contains_key(&r.id) {
            return Err(Condition::Conflict);
        }
        relays.insert(r.id.clone(), RelaySide { begins: transport.ice_controlling, ..RelaySide::default() });
        let opposite = transport.sctp.and_then(|s| s.role).map(|role| match role {
            SctpRole::Client => SctpRole::Server,
            SctpRole::Server => SctpRole::Client,
        });
        answer.transport = Some(Transport {
            ice: Some(ice(&format!("{nick}-{}", r.id))),
            sctp: transport.sctp.map(|_| Sctp { port: Some(5000), role: opposite }),
            ..Transport::default()
        });
    }
    let side = relays.get_mut(&r.id).ok_or(Condition::BadRequest)?;
    if let Some(ice) = r.transport.as_ref().and_then(|t| t.ice.as_ref()) {
        side.remote = Some((ice.ufrag.clone().unwrap(), ice.fingerprints[0].setup.unwrap()));
    }
    for e in &r.endpoints {
        let id = e.id.as_str().to_owned();
        assert!(!local.contains(&id), "{id} is on {nick} itself");
        let ssrcs = e.sources.iter().flatten().flat_map(|m| m.sources.iter().map(|s| s.ssrc.0)).collect();
        if e.expire {
            side.endpoints.remove(&id);
        } else if e.create || side.endpoints.contains_key(&id) {
            assert!(!e.create || e.has_capability("source-names"));
            side.endpoints.insert(id, ssrcs);
        }
    }
    Ok(answer)
}

fn bridge_transport(e: &Endpoint) -> Transport {
    let wants_sctp = e.transport.as_ref().is_some_and(|t| t.sctp.is_some());
    Transport {
        ice: Some(ice("uf")),
        sctp: wants_sctp.then_some(Sctp { port: Some(5000), role: Some(SctpRole::Server) }),
        ..Transport::default()
    }
}

fn ice(ufrag: &str) -> IceUdpTransport {
    IceUdpTransport {
        ufrag: Some(ufrag.into()),
        pwd: Some(Sensitive::new("pw".into())),
        rtcp_mux: true,
        fingerprints: vec![Fingerprint {
            hash: "sha-256".into(),
            value: "AA:BB".into(),
            setup: Some(Setup::Actpass),
            required: None,
            cryptex: false,
        }],
        candidates: vec![Candidate {
            component: 1,
            foundation: "1".into(),
            generation: 0,
            id: "c1".into(),
            ip: Sensitive::new("192.0.2.10".into()),
            network: Some(0),
            port: 10000,
            priority: 2_130_706_431,
            protocol: "udp".into(),
            kind: CandidateType::Host,
            rel_addr: None,
            rel_port: None,
            tcptype: None,
        }],
        web_sockets: vec![WebSocket::new("wss://meet.example/colibri-ws/jvb1/x?pwd=pw")],
        ..IceUdpTransport::default()
    }
}

fn feedback() -> Vec<MediaSource> {
    [(MediaType::Audio, "jvb-a0", 3001), (MediaType::Video, "jvb-v0", 3002)]
        .into_iter()
        .map(|(kind, name, ssrc)| {
            let mut source = Source::new(Ssrc(ssrc));
            source.name = Some(SourceName::new(name));
            let mut media = MediaSource::new(kind, SourceName::new(name));
            media.sources.push(source);
            media
        })
        .collect()
}
