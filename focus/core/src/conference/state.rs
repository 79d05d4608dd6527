//! The life of a conference: joining its room (presence, form, submit, metadata), running, ended; and the
//! presence that the focus shows in it (focus §3.1 to §3.3, §3.9).

use std::time::Instant;

use jitsi_xmpp::ids::MeetingId;
use jitsi_xmpp::{BareJid, Condition, Element, FullJid, StanzaError, ns};

use super::member::Lookup;
use super::recording::RecordingStatus;
use super::{Conference, NICK, Properties, Wait};
use crate::disco;
use crate::iqs::Answer;
use crate::limits;
use crate::request::JoinOutcome;
use crate::turn::Turn;

/// Where a conference stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// On the way into the room, at most until the deadline.
    Joining { step: Step, until: Instant },
    /// In the room.
    Running,
    /// Over; the engine forgets it.
    Ended,
}

/// What the join waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Presence,
    Form,
    Submit { presets: bool },
    Metadata,
}

impl Phase {
    pub(crate) fn joining(now: Instant) -> Self {
        Self::Joining { step: Step::Presence, until: now + limits::IQ_TIMEOUT }
    }
}

/// What a presence says that may change.
type Said = (Properties, bool, Option<RecordingStatus>);

/// The focus' presence in the room: what was sent last and what it should say.
#[derive(Debug, Default)]
pub(crate) struct PublishedPresence {
    pub(crate) properties: Properties,
    pub(crate) bridge_not_available: bool,
    pub(crate) recording: Option<RecordingStatus>,
    sent: Option<Said>,
}

impl PublishedPresence {
    /// What a focus before this one has said, so that it is not said again.
    pub(super) fn said(
        properties: Properties,
        bridge_not_available: bool,
        recording: Option<RecordingStatus>,
    ) -> Self {
        let sent = Some((properties.clone(), bridge_not_available, recording.clone()));
        Self { properties, bridge_not_available, recording, sent }
    }

    /// Says it again: somebody has not heard it.
    pub(super) fn renew(&mut self) {
        self.sent = None;
    }
}

impl Conference {
    fn occupant(&self) -> Option<FullJid> {
        self.room.with_resource(NICK).ok()
    }

    pub(crate) fn join(&self, turn: &mut Turn<'_>) {
        let Some(me) = self.occupant() else { return };
        turn.send(
            Element::new("presence", ns::CLIENT)
                .with_attr("to", me.as_str())
                .with_child(Element::new("x", ns::MUC))
                .with_child(disco::caps()),
        );
    }

    pub(super) fn handle_own_presence(
        &mut self,
        turn: &mut Turn<'_>,
        kind: Option<&str>,
        presence: &Element,
    ) {
        match kind {
            Some("error") => {
                let error = StanzaError::from_stanza(presence)
                    .unwrap_or_else(|| StanzaError::new(Condition::UndefinedCondition));
                if matches!(self.phase, Phase::Joining { .. }) {
                    self.join_failed(turn, Some(error));
                }
            }
            // Kicked, or the room was destroyed: the clients know already.
            Some("unavailable") => self.end(turn, Leave::AlreadyOut),
            Some(_) => {}
            None => self.own_presence(turn, presence),
        }
    }

    fn own_presence(&mut self, turn: &mut Turn<'_>, presence: &Element) {
        let item = presence.child("x", ns::MUC_USER).and_then(|x| x.child_named("item"));
        let owner = item.is_some_and(|item| item.attr("affiliation") == Some("owner"));
        let another = item.and_then(|item| item.attr("jid")).is_some_and(|jid| jid != turn.me.as_str());
        if another && !self.beside {
            self.beside = true;
            turn.counters.focuses_beside += 1;
            tracing::warn!(
                conference = self.id.0,
                "another focus is in the room under our name: one of them has to stop"
            );
        }
        match &mut self.phase {
            Phase::Joining { step: step @ Step::Presence, until } => {
                *step = Step::Form;
                *until = turn.now + limits::IQ_TIMEOUT;
                let room = self.room.as_jid().clone();
                let wait = self.waits(Wait::ConfigForm);
                let _ = turn.ask("get", &room, Element::new("query", ns::MUC_OWNER), wait);
            }
            // Without ownership nothing can be moderated any more (focus §2.4).
            Phase::Running if !owner => self.end(turn, Leave::Politely),
            _ => {}
        }
    }

    pub(super) fn config_form(&mut self, turn: &mut Turn<'_>, answer: &Answer) {
        let Phase::Joining { step: step @ Step::Form, until } = &mut self.phase else { return };
        let iq = match answer {
            Answer::Result(iq) => iq,
            Answer::Error(e) => return self.join_failed(turn, Some(e.clone())),
            Answer::Timeout => return self.join_failed(turn, None),
        };
        let field = |name: &str| {
            let form = iq.child("query", ns::MUC_OWNER)?.child("x", ns::DATA_FORMS)?;
            let field = form.children().find(|f| f.name() == "field" && f.attr("var") == Some(name))?;
            field.child_named("value").map(Element::text).filter(|v| !v.is_empty() && v.len() <= limits::TEXT)
        };
        let flag = |name: &str| field(name).is_some_and(|v| v == "true" || v == "1");
        *step = Step::Submit { presets: flag("muc#roominfo_conference_presets_service_enabled") };
        *until = turn.now + limits::IQ_TIMEOUT;
        if let Some(id) = field("muc#roominfo_meetingId") {
            self.meeting = MeetingId::new(id);
        }
        if flag("muc#roominfo_isbreakout") {
            self.breakout_of =
                field("muc#roominfo_breakout_main_room").and_then(|r| r.parse::<BareJid>().ok());
        }
        let value = |var: &str, value: &str| {
            Element::inherit("field")
                .with_attr("var", var)
                .with_child(Element::inherit("value").with_text(value))
        };
        let form = Element::new("x", ns::DATA_FORMS)
            .with_attr("type", "submit")
            .with_child(value("FORM_TYPE", "http://jabber.org/protocol/muc#roomconfig"))
            .with_child(value("muc#roomconfig_whois", "anyone"));
        let room = self.room.as_jid().clone();
        let wait = self.waits(Wait::ConfigSubmit);
        let _ = turn.ask("set", &room, Element::new("query", ns::MUC_OWNER).with_child(form), wait);
    }

    pub(super) fn config_submitted(&mut self, turn: &mut Turn<'_>, answer: &Answer) {
        let Phase::Joining { step: step @ Step::Submit { .. }, until } = &mut self.phase else { return };
        match answer {
            Answer::Result(_) => {}
            Answer::Error(e) => return self.join_failed(turn, Some(e.clone())),
            Answer::Timeout => return self.join_failed(turn, None),
        }
        if *step == (Step::Submit { presets: true }) {
            *step = Step::Metadata;
            *until = turn.now + limits::METADATA;
        } else {
            self.joined(turn);
        }
    }

    /// Room metadata came; a join that waited for it is complete.
    pub(crate) fn metadata_arrived(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Joining { step: Step::Metadata, .. }) {
            self.joined(turn);
        }
    }

    fn joined(&mut self, turn: &mut Turn<'_>) {
        self.phase = Phase::Running;
        self.touch_all();
        tracing::info!(conference = self.id.0, "conference started");
        self.presence.properties.insert("support-terminate-restart", "true".into());
        for requester in std::mem::take(&mut self.waiting) {
            self.welcome(turn, requester);
        }
        // Members that were there before us, or came while we joined.
        for id in self.by_arrival() {
            if self
                .members
                .get(&id)
                .is_some_and(|m| m.is_served() && matches!(m.features, Lookup::Asking { .. }))
            {
                self.ask_features(turn, &id);
            }
        }
    }

    /// The join did not work out: everybody who waits is answered, so that nobody hangs (focus §2.3).
    pub(super) fn join_failed(&mut self, turn: &mut Turn<'_>, error: Option<StanzaError>) {
        let permanent = error.filter(|e| {
            matches!(
                e.condition,
                Condition::Forbidden
                    | Condition::NotAllowed
                    | Condition::NotAuthorized
                    | Condition::RegistrationRequired
                    | Condition::ItemNotFound
            )
        });
        for requester in std::mem::take(&mut self.waiting) {
            let outcome = match &permanent {
                Some(e) => JoinOutcome::Refused(StanzaError::new(e.condition).with_text_of(e)),
                None => JoinOutcome::TryAgain,
            };
            requester.answer(turn, outcome);
        }
        self.end(turn, Leave::Politely);
    }

    /// Ends the conference: bridge sessions expire, the room is left, whoever waits is told to try again.
    pub(crate) fn end(&mut self, turn: &mut Turn<'_>, leave: Leave) {
        if self.phase == Phase::Ended {
            return;
        }
        self.phase = Phase::Ended;
        for requester in std::mem::take(&mut self.waiting) {
            requester.answer(turn, JoinOutcome::TryAgain);
        }
        if leave != Leave::Silently {
            self.stop_recording(turn, None);
            self.end_dials(turn);
            self.expire_sessions(turn);
            self.leave_audience(turn);
        }
        self.remove_all(turn);
        self.sources = crate::sources::SourceMap::default();
        if leave == Leave::Politely
            && let Some(me) = self.occupant()
        {
            turn.send(
                Element::new("presence", ns::CLIENT)
                    .with_attr("to", me.as_str())
                    .with_attr("type", "unavailable"),
            );
        }
        tracing::info!(conference = self.id.0, "conference ended");
    }

    /// Sends the presence if it says something new. Always all of it, never with the join marker (focus §3.2).
    pub(super) fn publish(&mut self, turn: &mut Turn<'_>) {
        let bridges = self.sessions.len().to_string();
        self.presence.properties.insert("bridge-count", bridges);
        self.limit_properties(turn);
        let says = |sent: &Said| {
            let now = &self.presence;
            sent.0 == now.properties && sent.1 == now.bridge_not_available && sent.2 == now.recording
        };
        if self.presence.sent.as_ref().is_some_and(says) {
            return;
        }
        let p = &self.presence;
        let now = (p.properties.clone(), p.bridge_not_available, p.recording.clone());
        let Some(me) = self.occupant() else { return };
        let mut presence =
            Element::new("presence", ns::CLIENT).with_attr("to", me.as_str()).with_child(disco::caps());
        if self.breakout_of.is_none() {
            let name = self.pad.as_deref().unwrap_or_else(|| self.room.node().unwrap_or_default());
            presence.push(Element::new("etherpad", ns::ETHERPAD).with_text(name));
        }
        presence.push(Element::new("versions", ns::JITMEET).with_child(
            Element::inherit("component").with_attr("name", "focus").with_text(&turn.config.version),
        ));
        presence.push(Element::new("conference-properties", ns::FOCUS).with_children(now.0.iter().map(
            |(key, value)| Element::inherit("property").with_attr("key", *key).with_attr("value", value),
        )));
        if now.1 {
            presence.push(Element::new("bridgeNotAvailable", ns::FOCUS));
        }
        if let Some(recording) = &now.2 {
            presence.push(recording.to_element());
        }
        self.show_to_audience(turn, &presence);
        turn.send(presence);
        self.presence.sent = Some(now);
    }

    /// `audio-limit-reached` and `video-limit-reached`: published from the first time the limit is reached.
    fn limit_properties(&mut self, turn: &Turn<'_>) {
        let (audio, video) = self.senders();
        for (key, reached) in [
            ("audio-limit-reached", audio >= turn.config.max_audio_senders),
            ("video-limit-reached", video >= turn.config.max_video_senders),
        ] {
            if reached || self.presence.properties.contains_key(key) {
                self.presence.properties.insert(key, reached.to_string());
            }
        }
    }
}

/// How a conference leaves its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// With an unavailable presence.
    Politely,
    /// It is out already.
    AlreadyOut,
    /// The connection is gone: nothing can be said, to the bridge neither.
    Silently,
}

trait TextOf {
    fn with_text_of(self, other: &StanzaError) -> StanzaError;
}

impl TextOf for StanzaError {
    fn with_text_of(mut self, other: &StanzaError) -> StanzaError {
        self.text.clone_from(&other.text);
        self.kind = other.kind;
        self
    }
}
