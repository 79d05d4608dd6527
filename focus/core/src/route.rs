//! The way of a stanza: from the link to the room, bridge or component it concerns, and a reply for every request.

use std::time::Instant;

use jitsi_xmpp::colibri2::ConferenceModify;
use jitsi_xmpp::iq;
use jitsi_xmpp::{BareJid, Condition, Element, FullJid, Jid, StanzaError, ns};
use serde_json::Value;

use crate::bridges::BridgeEvent;
use crate::conference::Conference;
use crate::engine::ServiceEvent;
use crate::iqs::Answer;
use crate::turn::{Verdict, Waiting};
use crate::{Focus, Output, disco, limits};

impl Focus {
    /// Sends a stanza to whom it concerns.
    pub(crate) fn route(&mut self, now: Instant, stanza: &Element) {
        if self.engine.me().is_none() || stanza.ns() != ns::CLIENT {
            return;
        }
        let from = stanza.attr("from").and_then(|f| f.parse::<Jid>().ok());
        self.heard_bridge(now, from.as_ref(), stanza.attr("type"));
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
                if let Some((waiting, answer)) = self.engine.iqs.take(&mut self.engine.timers, iq) {
                    self.answered(now, waiting, &answer);
                } else if from.is_some_and(|f| f.bare_str() == self.engine.config.brewery.as_str())
                    && iq.attr("id").is_some_and(|id| self.engine.iqs.is_past(id))
                {
                    self.engine.counters.answers_late += 1;
                    tracing::warn!("a bridge answers late, or twice");
                }
            }
            Some("get" | "set") if iq.attr("id").is_some_and(|id| id.len() > limits::REQUEST_ID) => {
                self.engine.counters.requests_unanswerable += 1;
            }
            Some(kind @ ("get" | "set")) => {
                // The reply goes out before anything the request sets in motion.
                let place = self.engine.out.len();
                let bugs = self.engine.counters.panics;
                let verdict = self.contained(|focus| focus.request(now, from, kind, iq));
                let reply = match verdict.filter(|_| self.engine.counters.panics == bugs) {
                    None => {
                        // What was said before the bug is not true any more: whoever was let in would wait for us in vain.
                        self.take_back(place, |o| matches!(o, Output::Send(said) if answers(said, iq)));
                        iq::error(iq, &StanzaError::new(Condition::InternalServerError))
                    }
                    Some(Verdict::Result(payload)) => iq::result(iq, payload),
                    Some(Verdict::Error(e)) => iq::error(iq, &e),
                    Some(Verdict::Later) => return,
                };
                self.engine.out.insert(place.min(self.engine.out.len()), Output::Send(reply));
            }
            _ => self.engine.counters.stanzas_ignored += 1,
        }
    }

    /// Takes out again what was put out from `place` on.
    pub(crate) fn take_back(&mut self, place: usize, what: impl Fn(&Output) -> bool) {
        let mut at = 0;
        self.engine.out.retain(|o| {
            at += 1;
            at <= place || !what(o)
        });
    }

    fn request(&mut self, now: Instant, from: Option<&Jid>, kind: &str, iq: &Element) -> Verdict {
        let Some(payload) = iq.first_child() else { return StanzaError::new(Condition::BadRequest).into() };
        if from.is_some_and(|from| !self.budgets.may_request(now, from)) {
            self.engine.counters.iqs_rate_limited += 1;
            return StanzaError::new(Condition::ResourceConstraint).into();
        }
        match (kind, payload.name(), payload.ns()) {
            ("get", "query", ns::DISCO_INFO) => Verdict::Result(Some(disco::info(payload.attr("node")))),
            ("get", "ping", ns::PING) => Verdict::Result(None),
            ("get", "query", ns::VERSION) => Verdict::Result(Some(self.version())),
            // Roster pushes are only ever acknowledged.
            ("set", "query", ns::ROSTER) => Verdict::Result(None),
            ("set", "conference", ns::FOCUS) => self.conference_iq(now, iq, payload),
            ("set", "logout", ns::FOCUS) => {
                match self.engine.logins.end(payload.attr("session-id").unwrap_or_default()) {
                    Ok(()) => Verdict::Result(Some(Element::new("logout", ns::FOCUS))),
                    Err(refused) => refused.error().into(),
                }
            }
            ("set", "jingle" | "mute", _) => {
                let (Some(from), Some(room)) = (from, from.map(Jid::to_bare)) else {
                    return StanzaError::new(Condition::BadRequest).into();
                };
                self.with_room(now, &room, |c, turn| c.handle_request(turn, from, payload))
                    .unwrap_or_else(|| StanzaError::new(Condition::ItemNotFound).into())
            }
            ("set", "conference-modify", ns::COLIBRI2) => self.bridge_gave_up(now, from, payload),
            ("set", "jibri", ns::JIBRI) => self.recording_iq(now, from, iq, payload),
            ("set", "dial", ns::RAYO) => {
                let Some(from) = from else { return StanzaError::new(Condition::BadRequest).into() };
                if from.resource().is_none() {
                    return StanzaError::new(Condition::BadRequest).into();
                }
                self.with_room(now, &from.to_bare(), |c, turn| c.handle_dial(turn, from, iq))
                    .unwrap_or_else(|| StanzaError::new(Condition::ItemNotFound).into())
            }
            _ => {
                self.engine.counters.iqs_unknown += 1;
                StanzaError::new(Condition::FeatureNotImplemented).into()
            }
        }
    }

    /// What a moderator wants, or what a recorder says of its work.
    fn recording_iq(&mut self, now: Instant, from: Option<&Jid>, iq: &Element, payload: &Element) -> Verdict {
        let unknown = || Verdict::from(StanzaError::new(Condition::ItemNotFound));
        let Some(from) = from else { return unknown() };
        let brewery = self.engine.config.recorders.as_ref();
        if brewery.is_none_or(|room| room.as_str() != from.bare_str()) {
            let wish = self.with_room(now, &from.to_bare(), |c, turn| c.handle_recording(turn, from, iq));
            return wish.unwrap_or_else(unknown);
        }
        let Some(recorder) = from.to_full() else { return unknown() };
        self.recorded_by(&recorder)
            .and_then(|room| self.with_room(now, &room, |c, turn| c.handle_recorder(turn, from, payload)))
            .unwrap_or_else(unknown)
    }

    /// What this recorder works for.
    fn recorded_by(&self, recorder: &FullJid) -> Option<BareJid> {
        self.rooms.values().find(|c| c.is_recorded_by(recorder)).map(|c| c.room.clone())
    }

    /// Our bridges say so when a conference failed there, or the part of it that some are in, or when they do not reach another bridge of it any more: whoever was on it is invited again at once, and not only when
    /// the next request finds that it is gone.
    fn bridge_gave_up(&mut self, now: Instant, from: Option<&Jid>, payload: &Element) -> Verdict {
        let Ok(gone) = ConferenceModify::from_element(payload) else {
            return StanzaError::new(Condition::BadRequest).into();
        };
        if from.is_none_or(|f| f.bare_str() != self.engine.config.brewery.as_str()) {
            return StanzaError::new(Condition::ItemNotFound).into();
        }
        let relay = gone.relays.iter().find(|r| r.expire).map(|r| r.id.clone());
        let lost: Vec<_> = gone.endpoints.iter().filter(|e| e.expire).map(|e| e.id.clone()).collect();
        if !gone.expire && relay.is_none() && lost.is_empty() {
            return StanzaError::new(Condition::FeatureNotImplemented).into();
        }
        let theirs = |c: &Conference| {
            let mut all = c.sessions.iter();
            let of = all.find(|s| {
                s.meeting == gone.meeting_id && from.is_some_and(|f| f.as_str() == s.bridge.as_str())
            });
            of.map(|s| (c.room.clone(), s.number))
        };
        let found = self.rooms.values().find_map(theirs);
        let done = found.and_then(|(room, s)| {
            self.with_room(now, &room, |c, turn| match &relay {
                _ if gone.expire => c.lose_session(turn, s, true),
                Some(relay) => c.relay_lost(turn, s, relay),
                None => c.lose_some(turn, s, &lost),
            })
        });
        match done {
            Some(()) => Verdict::Result(None),
            None => StanzaError::new(Condition::ItemNotFound).into(),
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
        if self.engine.is_brewery(from.bare_str()) {
            match self.engine.brewery_presence(now, from, presence) {
                Some(ServiceEvent::Bridge(event)) => self.bridge_events(now, vec![event]),
                Some(ServiceEvent::RecorderFree) => {
                    for room in self.engine.recorders.waiting() {
                        // A room that is not there any more is not waited for.
                        let has = self.with_room(now, &room, |c, turn| c.recorder_free(turn));
                        match has {
                            Some(true) => {}
                            Some(false) => break,
                            None => self.engine.recorders.waits_no_more(&room),
                        }
                    }
                }
                Some(ServiceEvent::RecorderLeft(recorder)) => {
                    if let Some(room) = self.recorded_by(&recorder) {
                        self.with_room(now, &room, |c, turn| c.recorder_left(turn, &recorder));
                    }
                }
                None => {}
            }
        } else if presence.attr("type") == Some("subscribe") {
            // The proxy learns our resource from roster presence only; nobody else may (focus §1.4).
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

    /// Only the discovered components are listened to (focus §3.10, §11.1).
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

    pub(crate) fn answered(&mut self, now: Instant, waiting: Waiting, answer: &Answer) {
        match waiting {
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

    pub(crate) fn bridge_events(&mut self, now: Instant, events: Vec<BridgeEvent>) {
        for event in events {
            if event == BridgeEvent::Drains || event == BridgeEvent::Usable {
                self.empty_soon(now);
            }
            let concerned = |c: &&Conference| match &event {
                BridgeEvent::Usable => c.presence.bridge_not_available,
                BridgeEvent::Lost(bridge) => c.sessions.on(bridge).is_some(),
                BridgeEvent::Drains => false,
            };
            let rooms: Vec<BareJid> = self.rooms.values().filter(concerned).map(|c| c.room.clone()).collect();
            for room in rooms {
                self.with_room(now, &room, |c, turn| match &event {
                    BridgeEvent::Usable => c.bridge_usable(now),
                    BridgeEvent::Drains => {}
                    BridgeEvent::Lost(bridge) => {
                        // A bridge that says it is sick is told; one that left cannot be.
                        let expire = turn.brewery.bridge(bridge).is_some();
                        if let Some(lost) = c.sessions.on(bridge).map(|s| s.number) {
                            c.lose_session(turn, lost, expire);
                        }
                    }
                });
            }
        }
    }
}

/// Whether this is an answer to that request.
fn answers(said: &Element, iq: &Element) -> bool {
    said.name() == "iq"
        && matches!(said.attr("type"), Some("result" | "error"))
        && (said.attr("id"), said.attr("to")) == (iq.attr("id"), iq.attr("from"))
}
