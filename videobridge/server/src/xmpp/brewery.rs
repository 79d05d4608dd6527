//! The bridge as an occupant of its breweries: link events, stats and colibri answers in; stanzas to send and colibri
//! requests out. No I/O of its own.
//!
//! A brewery is a MUC where bridges publish their load and where the focus finds them (bridge §1.2).

use std::collections::{HashMap, VecDeque};

use budget::Shares;
use jitsi_xmpp::bridge_stats::BridgeStats;
use jitsi_xmpp::colibri2::{ConferenceModified, ConferenceModify, Endpoint, Relay};
use jitsi_xmpp::xml::Element;
use jitsi_xmpp::{BareJid, Condition, FullJid, Jid, StanzaError, health, iq, ns};

use crate::control::Failure;
use crate::limits;

/// What the shell has to do.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send this stanza, or drop it when the link is full.
    Send(Element),
    /// Send this stanza for certain: the focus waits for it. Call [`Brewery::handle_answered`] when it is sent.
    Answer(Element),
    /// Have a shard do this and call [`Brewery::handle_colibri_answer`] with the same number. `from` asks.
    Colibri { number: u64, modify: Box<ConferenceModify>, from: String },
}

/// Why a stanza of somebody else was refused; the name is the counter's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counters {
    /// IQs from outside of our breweries.
    pub(crate) forbidden: u64,
    /// Colibri requests that could not be read.
    pub(crate) malformed: u64,
    /// IQs nobody here understands.
    pub(crate) unknown: u64,
    /// Colibri requests refused because too many are under way.
    pub(crate) overloaded: u64,
}

/// Our occupants in all breweries and the requests under way.
#[derive(Debug)]
pub(crate) struct Brewery {
    rooms: Vec<Room>,
    version: String,
    healthy: Result<(), String>,
    stats: BridgeStats,
    /// Whether there has been a connection yet.
    up: bool,
    /// Whether it is gone at the moment: nothing but answers is sent then, as it would only pile up.
    paused: bool,
    next: u64,
    under_way: HashMap<u64, Element>,
    /// How many requests each occupant has under way, answers that are not sent yet included.
    shares: Shares<String>,
    outputs: VecDeque<Output>,
    counters: Counters,
}

/// One brewery.
#[derive(Debug, Clone)]
struct Room {
    /// We in it.
    occupant: FullJid,
    /// The room has confirmed that we are in; until then every presence is an attempt to join.
    joined: bool,
}

impl Brewery {
    /// An occupant called `nick` of each room; `nick` must be unique per bridge.
    pub(crate) fn new(rooms: &[BareJid], nick: &str, version: &str) -> Self {
        Self {
            rooms: rooms
                .iter()
                .filter_map(|r| r.with_resource(nick).ok())
                .map(|occupant| Room { occupant, joined: false })
                .collect(),
            version: version.to_owned(),
            healthy: Ok(()),
            stats: BridgeStats::default(),
            up: false,
            paused: false,
            next: 0,
            under_way: HashMap::new(),
            shares: shares(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// The connection is usable. A resumed one is still in its rooms.
    pub(crate) fn handle_up(&mut self, resumed: bool) {
        self.paused = false;
        if resumed && self.up {
            return;
        }
        self.up = true;
        self.under_way.clear();
        self.shares = shares();
        for room in &mut self.rooms {
            room.joined = false;
        }
        self.publish();
    }

    /// The connection is gone; it may come back resumed, with nothing lost.
    pub(crate) fn handle_down(&mut self) {
        self.paused = true;
    }

    /// How many breweries we are in.
    pub(crate) fn joined(&self) -> usize {
        self.rooms.iter().filter(|r| r.joined).count()
    }

    /// New stats: published in every brewery. One we are not in yet, or not any more, is tried again.
    pub(crate) fn handle_stats(&mut self, stats: BridgeStats, healthy: Result<(), String>) {
        self.stats = stats;
        self.healthy = healthy;
        if self.up && !self.paused {
            self.publish();
        }
    }

    /// A stanza arrived.
    pub(crate) fn handle_stanza(&mut self, stanza: &Element) {
        match stanza.name() {
            "presence" => self.handle_presence(stanza),
            "iq" if matches!(stanza.attr("type"), Some("get" | "set")) => self.handle_request(stanza),
            _ => {}
        }
    }

    /// What became of a colibri request. A request of an earlier connection is forgotten.
    pub(crate) fn handle_colibri_answer(
        &mut self,
        number: u64,
        result: Result<&ConferenceModified, &StanzaError>,
    ) {
        let Some(request) = self.under_way.remove(&number) else { return };
        let reply = match result {
            Ok(modified) => iq::result(&request, Some(modified.to_element())),
            Err(error) => iq::error(&request, error),
        };
        self.outputs.push_back(Output::Answer(reply));
    }

    /// An answer is on its way.
    pub(crate) fn handle_answered(&mut self, answer: &Element) {
        if let Some(to) = answer.attr("to") {
            self.shares.give_back(&to.to_owned(), 1);
        }
    }

    /// A conference is gone because of a fault here, or does not reach another bridge. Whoever asked for it is told that it, or the way
    /// there, has expired; a stock focus
    /// does not understand this, says so, and finds out with its next request.
    pub(crate) fn handle_failure(&mut self, failure: Failure) {
        let Failure { meeting, relay, endpoints, asked_by } = failure;
        if !self.up || self.paused {
            return;
        }
        let Ok(to) = asked_by.parse::<Jid>() else { return };
        // Others are told by the connection that they use.
        if !self.rooms.iter().any(|room| room.occupant.to_bare() == to.to_bare()) {
            return;
        }
        self.next += 1;
        let mut expired = ConferenceModify::new(meeting);
        match relay {
            Some(relay) => {
                let mut relay = Relay::new(relay);
                relay.expire = true;
                expired.relays.push(relay);
            }
            None if endpoints.is_empty() => expired.expire = true,
            None => {
                let gone = |id| Endpoint { expire: true, ..Endpoint::new(id) };
                expired.endpoints = endpoints.into_iter().map(gone).collect();
            }
        }
        let id = format!("failed-{}", self.next);
        self.outputs.push_back(Output::Answer(iq::request("set", &to, &id, expired.to_element())));
    }

    /// The next thing to do.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Refusals so far.
    pub(crate) fn counters(&self) -> Counters {
        self.counters
    }

    fn send(&mut self, stanza: Element) {
        self.outputs.push_back(Output::Send(stanza));
    }

    /// To every room the whole presence: extensions are always re-sent completely.
    fn publish(&mut self) {
        for room in &self.rooms {
            let mut presence = Element::new("presence", ns::CLIENT)
                .with_attr("to", room.occupant.as_str())
                .with_child(self.stats.to_element());
            if !room.joined {
                presence.push(Element::new("x", ns::MUC));
            }
            self.outputs.push_back(Output::Send(presence));
        }
    }

    fn handle_presence(&mut self, presence: &Element) {
        let Some(from) = presence.attr("from") else { return };
        let Some(room) = self.rooms.iter_mut().find(|r| r.occupant.as_str() == from) else { return };
        match presence.attr("type") {
            None => {
                room.joined = true;
                let created = presence.child("x", ns::MUC_USER).is_some_and(|x| {
                    x.children_of("status", ns::MUC_USER).any(|s| s.attr("code") == Some("201"))
                });
                if created {
                    let form = owner_form(&room.occupant.to_bare());
                    self.send(form);
                }
            }
            // Thrown out, or the room is gone, or refused: the next stats try again, no sooner.
            Some("unavailable") => room.joined = false,
            Some("error") => {
                room.joined = false;
                let condition = StanzaError::from_stanza(presence).map(|e| e.condition.as_str());
                tracing::warn!(condition, "a brewery refused this bridge; is its name used twice?");
            }
            Some(_) => {}
        }
    }

    fn handle_request(&mut self, request: &Element) {
        let from: Option<Jid> = request.attr("from").and_then(|f| f.parse().ok());
        let ours =
            from.as_ref().is_some_and(|f| self.rooms.iter().any(|r| r.occupant.to_bare() == f.to_bare()));
        if let Some(colibri) = ConferenceModify::from_iq(request) {
            if !ours {
                return self.refuse_outsider(request);
            }
            return match colibri {
                Err(error) => {
                    self.counters.malformed += 1;
                    self.send(iq::error(request, &error.to_stanza_error()));
                }
                Ok(modify) => {
                    let from = request.attr("from").unwrap_or_default().to_owned();
                    if self.shares.take(from.clone(), 1).is_err() {
                        self.counters.overloaded += 1;
                        return self
                            .send(iq::error(request, &StanzaError::new(Condition::ResourceConstraint)));
                    }
                    self.next += 1;
                    self.under_way.insert(self.next, request.clone());
                    let modify = Box::new(modify);
                    self.outputs.push_back(Output::Colibri { number: self.next, modify, from });
                }
            };
        }
        if health::is_request(request) {
            if !ours {
                return self.refuse_outsider(request);
            }
            let reply = match &self.healthy {
                Ok(()) => iq::result(request, None),
                Err(why) => iq::error(
                    request,
                    &StanzaError::new(Condition::InternalServerError).with_text(why.clone()),
                ),
            };
            return self.send(reply);
        }
        let answer = match request.first_child() {
            Some(c) if c.is("query", ns::VERSION) => Some(version(&self.version)),
            Some(c) if c.is("query", ns::DISCO_INFO) => Some(features(c.attr("node"))),
            Some(c) if c.is("ping", ns::PING) => None,
            _ => {
                self.counters.unknown += 1;
                return self.send(iq::error(request, &StanzaError::new(Condition::ServiceUnavailable)));
            }
        };
        self.send(iq::result(request, answer));
    }

    fn refuse_outsider(&mut self, request: &Element) {
        self.counters.forbidden += 1;
        self.send(iq::error(request, &StanzaError::new(Condition::Forbidden)));
    }
}

fn shares() -> Shares<String> {
    Shares::new(limits::COLIBRI_UNDER_WAY_EACH, limits::COLIBRI_UNDER_WAY)
}

fn owner_form(room: &BareJid) -> Element {
    let field = |var: &'static str, value: &str| {
        Element::inherit("field")
            .with_attr("var", var)
            .with_child(Element::inherit("value").with_text(value.to_owned()))
    };
    let form = Element::new("x", ns::DATA_FORMS)
        .with_attr("type", "submit")
        .with_child(field("FORM_TYPE", "http://jabber.org/protocol/muc#roomconfig"))
        .with_child(field("muc#roomconfig_whois", "anyone"));
    let query = Element::new("query", ns::MUC_OWNER).with_child(form);
    iq::request("set", room.as_jid(), "brewery-form", query)
}

fn version(version: &str) -> Element {
    // compat: dashboards and the focus know the bridge by this name (test: compat_the_bridge_calls_itself_jvb).
    Element::new("query", ns::VERSION)
        .with_child(Element::inherit("name").with_text("JVB"))
        .with_child(Element::inherit("version").with_text(version.to_owned()))
        .with_child(Element::inherit("os").with_text("Linux"))
}

fn features(node: Option<&str>) -> Element {
    let mut query = Element::new("query", ns::DISCO_INFO).with_opt_attr("node", node);
    for var in [ns::HEALTHCHECK, ns::JINGLE_DTLS, ns::JINGLE_ICE_UDP, ns::VERSION] {
        query.push(Element::inherit("feature").with_attr("var", var));
    }
    query
}

#[cfg(test)]
mod tests {
    use jitsi_xmpp::ids::{EndpointId, MeetingId};

    use super::*;

    const ROOM: &str = "jvbbrewery@internal-muc.meet.jitsi";

    fn joined() -> Brewery {
        let mut b = Brewery::new(&[ROOM.parse().unwrap()], "jvb-1", "2.3.1");
        b.handle_up(false);
        b
    }

    fn sent(b: &mut Brewery) -> Vec<Element> {
        std::iter::from_fn(|| b.poll_output())
            .filter_map(|o| match o {
                Output::Send(e) | Output::Answer(e) => Some(e),
                Output::Colibri { .. } => None,
            })
            .collect()
    }

    fn colibri(from: &str) -> Element {
        let modify = ConferenceModify { create: true, ..ConferenceModify::new(MeetingId::new("m")) };
        Element::new("iq", ns::CLIENT)
            .with_attr("type", "get")
            .with_attr("id", "1")
            .with_attr("from", from)
            .with_attr("to", format!("{ROOM}/jvb-1"))
            .with_child(modify.to_element())
    }

    #[test]
    fn joins_with_the_marker_and_updates_without_it() {
        let mut b = joined();
        let join = sent(&mut b);
        assert_eq!(join.len(), 1);
        assert!(join[0].child("x", ns::MUC).is_some());
        b.handle_stats(BridgeStats::default(), Ok(()));
        assert!(sent(&mut b)[0].child("x", ns::MUC).is_some(), "not confirmed yet: tried again");
        b.handle_stanza(&own_presence(None));
        assert_eq!(b.joined(), 1);
        b.handle_stats(BridgeStats(vec![("stress_level".into(), "0.1".into())]), Ok(()));
        let update = sent(&mut b);
        assert!(update[0].child("x", ns::MUC).is_none());
        assert!(update[0].child("stats", ns::COLIBRI).is_some());
    }

    #[test]
    fn compat_the_bridge_calls_itself_jvb() {
        let mut b = joined();
        sent(&mut b);
        let asked = Element::new("iq", ns::CLIENT)
            .with_attr("type", "get")
            .with_attr("id", "v1")
            .with_attr("from", format!("{ROOM}/focus"))
            .with_child(Element::new("query", ns::VERSION));
        b.handle_stanza(&asked);
        let answer = sent(&mut b);
        let query = answer[0].child("query", ns::VERSION).unwrap();
        let text = |name| query.child(name, ns::VERSION).map(Element::text);
        assert_eq!((text("name"), text("version")), (Some("JVB".to_owned()), Some("2.3.1".to_owned())));
    }

    #[test]
    fn a_resumed_connection_joins_nothing_again() {
        let mut b = joined();
        sent(&mut b);
        b.handle_up(true);
        assert!(sent(&mut b).is_empty());
    }

    #[test]
    fn a_colibri_request_from_an_occupant_is_passed_on_and_answered_once() {
        let mut b = joined();
        sent(&mut b);
        b.handle_stanza(&colibri(&format!("{ROOM}/focus")));
        let Some(Output::Colibri { number, modify, from }) = b.poll_output() else { panic!("not passed on") };
        assert!(modify.create && from == format!("{ROOM}/focus"));
        b.handle_colibri_answer(number, Ok(&ConferenceModified::default()));
        let reply = sent(&mut b);
        assert_eq!(reply[0].attr("type"), Some("result"));
        assert_eq!(reply[0].attr("to"), Some(format!("{ROOM}/focus").as_str()));
        b.handle_colibri_answer(number, Ok(&ConferenceModified::default()));
        assert!(sent(&mut b).is_empty());
    }

    #[test]
    fn an_outsider_is_forbidden() {
        let mut b = joined();
        sent(&mut b);
        b.handle_stanza(&colibri("evil@meet.jitsi/x"));
        let reply = sent(&mut b);
        assert_eq!(StanzaError::from_stanza(&reply[0]).unwrap().condition, Condition::Forbidden);
        assert_eq!(b.counters().forbidden, 1);
    }

    #[test]
    fn requests_under_way_are_bounded() {
        let mut b = joined();
        sent(&mut b);
        let mut ask = |nick: &str| {
            b.handle_stanza(&colibri(&format!("{ROOM}/{nick}")));
            let refused = sent(&mut b).first().and_then(StanzaError::from_stanza).map(|e| e.condition);
            assert!(refused.is_none_or(|condition| condition == Condition::ResourceConstraint));
            refused.is_none()
        };
        assert!((0..limits::COLIBRI_UNDER_WAY_EACH).all(|_| ask("focus")), "at the limit of one");
        assert!(!ask("focus"), "one beyond");
        let left = limits::COLIBRI_UNDER_WAY - limits::COLIBRI_UNDER_WAY_EACH;
        assert!((0..left).all(|_| ask("focus2")), "at the limit of all");
        assert!(!ask("focus3"), "one beyond");
        // An answer counts until it is sent.
        b.handle_colibri_answer(1, Ok(&ConferenceModified::default()));
        let answer = sent(&mut b).remove(0);
        b.handle_stanza(&colibri(&format!("{ROOM}/focus")));
        assert_eq!(sent(&mut b)[0].attr("type"), Some("error"));
        b.handle_answered(&answer);
        b.handle_stanza(&colibri(&format!("{ROOM}/focus")));
        assert!(sent(&mut b).is_empty());
    }

    fn failure(relay: Option<&str>, endpoints: &[&str], asked_by: &str) -> Failure {
        Failure {
            meeting: MeetingId::new("m"),
            relay: relay.map(str::to_owned),
            endpoints: endpoints.iter().copied().map(EndpointId::new).collect(),
            asked_by: asked_by.to_owned(),
        }
    }

    #[test]
    fn a_failed_conference_is_told_to_whoever_asked_for_it() {
        let mut b = joined();
        sent(&mut b);
        b.handle_failure(failure(None, &[], &format!("{ROOM}/focus")));
        let told = sent(&mut b).remove(0);
        assert_eq!(told.attr("to"), Some(format!("{ROOM}/focus").as_str()));
        let expired = ConferenceModify::from_iq(&told).unwrap().unwrap();
        assert!(expired.expire && expired.meeting_id.as_str() == "m");
        b.handle_failure(failure(Some("jvb2"), &[], &format!("{ROOM}/focus")));
        let lost = ConferenceModify::from_iq(&sent(&mut b).remove(0)).unwrap().unwrap();
        assert!(
            !lost.expire && lost.relays.len() == 1 && lost.relays[0].expire && lost.relays[0].id == "jvb2"
        );
        b.handle_failure(failure(None, &["abcd0001"], &format!("{ROOM}/focus")));
        let some = ConferenceModify::from_iq(&sent(&mut b).remove(0)).unwrap().unwrap();
        assert!(!some.expire && some.endpoints.len() == 1 && some.endpoints[0].expire);
        assert_eq!(some.endpoints[0].id.as_str(), "abcd0001");
        // What a stock focus says to that changes nothing.
        b.handle_stanza(&iq::error(&told, &StanzaError::new(Condition::FeatureNotImplemented)));
        b.handle_failure(failure(None, &[], "bridges@elsewhere.example/focus"));
        assert!(sent(&mut b).is_empty(), "who asked by another connection is told by that");
        b.handle_down();
        b.handle_failure(failure(None, &[], &format!("{ROOM}/focus")));
        assert!(sent(&mut b).is_empty());
    }

    #[test]
    fn unhealthy_is_told_with_its_reason() {
        let mut b = joined();
        b.handle_stats(BridgeStats::default(), Err("no socket".into()));
        sent(&mut b);
        let iq = Element::new("iq", ns::CLIENT)
            .with_attr("type", "get")
            .with_attr("id", "h")
            .with_attr("from", format!("{ROOM}/focus"))
            .with_child(health::request());
        b.handle_stanza(&iq);
        let e = StanzaError::from_stanza(&sent(&mut b)[0]).unwrap();
        assert_eq!((e.condition, e.text.as_deref()), (Condition::InternalServerError, Some("no socket")));
    }

    #[test]
    fn thrown_out_or_refused_it_joins_again_with_the_next_stats() {
        for kind in ["unavailable", "error"] {
            let mut b = joined();
            b.handle_stanza(&own_presence(None));
            sent(&mut b);
            b.handle_stanza(&own_presence(Some(kind)));
            assert_eq!(
                (b.joined(), sent(&mut b).len()),
                (0, 0),
                "not at once: no loop with a room that refuses"
            );
            b.handle_stats(BridgeStats::default(), Ok(()));
            assert!(sent(&mut b)[0].child("x", ns::MUC).is_some());
        }
    }

    #[test]
    fn a_room_we_created_is_configured() {
        let mut b = joined();
        sent(&mut b);
        let status = Element::inherit("status").with_attr("code", "201");
        b.handle_stanza(&own_presence(None).with_child(Element::new("x", ns::MUC_USER).with_child(status)));
        let form = sent(&mut b);
        assert_eq!((form[0].name(), form[0].attr("to")), ("iq", Some(ROOM)));
        assert!(form[0].child("query", ns::MUC_OWNER).is_some());
    }

    fn own_presence(kind: Option<&str>) -> Element {
        Element::new("presence", ns::CLIENT)
            .with_opt_attr("type", kind)
            .with_attr("from", format!("{ROOM}/jvb-1"))
    }
}
