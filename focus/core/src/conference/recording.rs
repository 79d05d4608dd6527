//! Recording and live streams (focus §8.2, §8.3): what moderators want and what recorders say in; requests to recorders, answers, and what
//! the room is told out. Nothing waits for a recorder but who asked for it.

use std::time::Instant;

use jitsi_xmpp::{Condition, Element, FullJid, Jid, StanzaError, iq, ns};

use super::{Conference, Wait};
use crate::iqs::Answer;
use crate::limits;
use crate::services::NoRecorder;
use crate::turn::{Turn, Verdict};

/// What becomes of what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    File,
    Stream,
}

impl Mode {
    pub(super) const fn written(stream: bool) -> Self {
        if stream { Self::Stream } else { Self::File }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Stream => "stream",
        }
    }
}

/// A recorder at work for this conference, or on the way there. Names and the key of a stream are in it, so it is never printed.
pub(crate) struct Recording {
    pub(super) id: String,
    pub(super) mode: Mode,
    /// What the recorder is told beyond: `streamid`, `app_data` and the like, as the client said it.
    pub(super) order: Vec<(&'static str, String)>,
    pub(super) initiator: String,
    /// `None`: it waits for one that is free.
    pub(super) recorder: Option<FullJid>,
    /// Who wanted it and has not been answered.
    pub(super) asks: Option<Element>,
    /// Until when it may wait for one.
    pub(super) patience: Instant,
    /// Until when it has to have begun; `None`: it has.
    pub(super) until: Option<Instant>,
    /// Recorders tried so far.
    pub(super) tried: u32,
}

impl Recording {
    /// A recorder does it: who asked is answered, once.
    fn accepted(&mut self, turn: &mut Turn<'_>) {
        if let Some(asks) = self.asks.take() {
            let session = Element::new("jibri", ns::JIBRI).with_attr("session_id", &self.id);
            turn.send(iq::result(&asks, Some(session)));
        }
    }
}

/// Why it ended before somebody ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Busy,
    Error,
}

/// What the room is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecordingStatus {
    pub(super) on: bool,
    pub(super) id: String,
    pub(super) mode: Mode,
    pub(super) initiator: String,
    pub(super) failure: Option<Failure>,
}

impl RecordingStatus {
    pub(crate) fn to_element(&self) -> Element {
        let status = Element::new("jibri-recording-status", ns::JIBRI)
            .with_attr("status", if self.on { "on" } else { "off" })
            .with_attr("session_id", &self.id)
            .with_attr("recording_mode", self.mode.as_str())
            .with_attr("initiator", &self.initiator);
        match self.failure {
            None => status,
            Some(Failure::Busy) => status.with_attr("failure_reason", "busy"),
            Some(Failure::Error) => status.with_attr("failure_reason", "error"),
        }
    }
}

/// What a client may add to its order, each as long as it likes up to a bound.
pub(super) const SAID: &[&str] = &["streamid", "you_tube_broadcast_id", "app_data", "displayname"];

fn refuse(condition: Condition, text: &str) -> Verdict {
    StanzaError::new(condition).with_text(text).into()
}

impl Conference {
    /// Somebody in the room wants to begin or to end one.
    pub(crate) fn handle_recording(&mut self, turn: &mut Turn<'_>, from: &Jid, asks: &Element) -> Verdict {
        let Some(wish) = asks.child("jibri", ns::JIBRI) else {
            return StanzaError::new(Condition::BadRequest).into();
        };
        // compat: SIP through Jibri is another kind of recorder, and there is none (test: compat_what_a_recorder_cannot_do_is_refused_as_upstream).
        if turn.config.recorders.is_none() || wish.attr("sipaddress").is_some() {
            return StanzaError::new(Condition::ItemNotFound).into();
        }
        match self.member_at(from) {
            Some(m) if m.is_moderator() => {}
            Some(_) => return StanzaError::new(Condition::NotAllowed).into(),
            None => return StanzaError::new(Condition::Forbidden).into(),
        }
        match wish.attr("action") {
            Some("start") => self.start_recording(turn, from, asks, wish),
            Some("stop") if self.recording.is_some() => {
                self.stop_recording(turn, Some(from.as_str()));
                Verdict::Result(None)
            }
            Some("stop") => refuse(Condition::ItemNotFound, "Unknown session"),
            _ => StanzaError::new(Condition::BadRequest).into(),
        }
    }

    fn start_recording(
        &mut self,
        turn: &mut Turn<'_>,
        from: &Jid,
        asks: &Element,
        wish: &Element,
    ) -> Verdict {
        if self.recording.is_some() {
            return refuse(Condition::UnexpectedRequest, "Recording or live streaming is already enabled");
        }
        let stream = wish.attr("streamid").filter(|s| !s.is_empty());
        let mode = match wish.attr("recording_mode") {
            Some("file") => Mode::File,
            None | Some("stream") => Mode::Stream,
            Some(_) => return StanzaError::new(Condition::BadRequest).into(),
        };
        match (mode, stream) {
            (Mode::Stream, None) => {
                return refuse(Condition::BadRequest, "Stream ID is empty or undefined");
            }
            (Mode::File, Some(_)) => {
                return refuse(Condition::BadRequest, "Stream ID is provided for a FILE recording.");
            }
            _ => {}
        }
        let said = SAID.iter().filter_map(|name| Some((*name, wish.attr(name)?.to_owned())));
        let order: Vec<(&'static str, String)> = said.collect();
        if order.iter().any(|(_, text)| text.len() > limits::RECORDING_TEXT) {
            return StanzaError::new(Condition::BadRequest).into();
        }
        let patience = turn.now + turn.config.recorder_wait;
        let recorder = match turn.recorders.choose(turn.now) {
            Ok(recorder) => Some(recorder),
            Err(NoRecorder::Free) if patience > turn.now && turn.recorders.wait(&self.room) => None,
            Err(none) => {
                turn.counters.no_recorder += 1;
                return none_error(none).into();
            }
        };
        let recording = Recording {
            id: turn.entropy.uuid(),
            mode,
            order,
            initiator: from.as_str().to_owned(),
            recorder,
            asks: Some(asks.clone()),
            patience,
            until: Some(patience),
            tried: 0,
        };
        self.recording = Some(recording);
        self.ask_recorder(turn);
        Verdict::Later
    }

    /// Whether somebody wants a recording, and none is free.
    fn waits_for_recorder(&self) -> bool {
        self.recording.as_ref().is_some_and(|r| r.recorder.is_none())
    }

    /// One may be free. `false`: it is not, for this one.
    ///
    /// The client is answered when it is known what comes of it, and learns nothing meanwhile: what it has been told to be on the way it shows
    /// as such for good, if it does not begin (`docs/differences.md`).
    pub(crate) fn recorder_free(&mut self, turn: &mut Turn<'_>) -> bool {
        if !self.waits_for_recorder() {
            turn.recorders.waits_no_more(&self.room);
            return true;
        }
        let Ok(recorder) = turn.recorders.choose(turn.now) else { return false };
        if let Some(r) = &mut self.recording {
            r.recorder = Some(recorder);
        }
        turn.recorders.waits_no_more(&self.room);
        self.ask_recorder(turn);
        true
    }

    /// Whoever wanted one has gone before it began, or nobody can wait any longer.
    pub(super) fn forget_wish(&mut self, turn: &mut Turn<'_>) {
        if self.waits_for_recorder() {
            self.give_up_recording(turn, Failure::Busy, Condition::ResourceConstraint);
        }
    }

    /// Whether what waits is this one's wish.
    pub(super) fn is_wish_of(&self, occupant: &str) -> bool {
        self.waits_for_recorder() && self.recording.as_ref().is_some_and(|r| r.initiator == occupant)
    }

    /// Asks the recorder that was chosen.
    fn ask_recorder(&mut self, turn: &mut Turn<'_>) {
        let room = self.room.as_str().to_owned();
        let Some(r) = &mut self.recording else { return };
        let Some(recorder) = r.recorder.clone() else { return };
        r.tried += 1;
        r.until = Some(turn.now + turn.config.recorder_pending);
        let mut start = Element::new("jibri", ns::JIBRI)
            .with_attr("action", "start")
            .with_attr("recording_mode", r.mode.as_str())
            .with_attr("room", &room)
            .with_attr("session_id", &r.id);
        for &(name, ref text) in &r.order {
            start.set_attr(name, text);
        }
        let session = r.id.clone();
        let wait = self.waits(Wait::Recorder { session, recorder: recorder.clone() });
        if !turn.ask("set", recorder.as_jid(), start, wait) {
            // Too much is under way; nobody was asked, and the client may ask again.
            self.give_up_recording(turn, Failure::Busy, Condition::ResourceConstraint);
        }
    }

    /// What the recorder said to it, or that it said nothing.
    pub(super) fn recorder_answer(
        &mut self,
        turn: &mut Turn<'_>,
        session: &str,
        recorder: &FullJid,
        answer: &Answer,
    ) {
        let current = |r: &&mut Recording| r.id == session && r.recorder.as_ref() == Some(recorder);
        let Some(r) = self.recording.as_mut().filter(current) else { return };
        let said = match answer {
            Answer::Result(iq) => iq.child("jibri", ns::JIBRI),
            Answer::Error(_) | Answer::Timeout => None,
        };
        match said.map(|s| (s.attr("status"), s.attr("failure_reason"))) {
            Some((Some("pending" | "on"), _)) => {
                r.accepted(turn);
            }
            Some((Some("off"), Some("busy"))) => {
                // Its presence says otherwise, so it would be chosen again, and again.
                turn.recorders.failed(turn.now, recorder);
                self.next_recorder(turn, Failure::Busy);
            }
            _ => {
                if *answer == Answer::Timeout {
                    // It may still begin, late.
                    tell_stop(turn, recorder, session);
                }
                turn.recorders.failed(turn.now, recorder);
                self.next_recorder(turn, Failure::Error);
            }
        }
    }

    /// What a recorder says later, by itself.
    pub(crate) fn handle_recorder(&mut self, turn: &mut Turn<'_>, from: &Jid, said: &Element) -> Verdict {
        let unknown = || Verdict::from(StanzaError::new(Condition::ItemNotFound));
        let current = |r: &&mut Recording| {
            r.recorder.as_ref().is_some_and(|at| at.as_str() == from.as_str())
                && said.attr("session_id") == Some(&r.id)
        };
        let Some(r) = self.recording.as_mut().filter(current) else { return unknown() };
        match said.attr("status") {
            Some("on") => {
                r.until = None;
                r.accepted(turn);
                self.show_recording(true, None, None);
            }
            Some("off") => match (said.attr("failure_reason"), said.attr("should_retry")) {
                (None | Some("" | "undefined"), _) => {
                    match r.asks.take() {
                        // It never answered, so nobody was told that it would begin.
                        Some(asks) => turn.send(iq::error(&asks, &worded(Condition::InternalServerError))),
                        None => self.show_recording(false, None, None),
                    }
                    self.recording = None;
                }
                (Some(_), Some("true")) => {
                    if let Some(recorder) = r.recorder.clone() {
                        turn.recorders.failed(turn.now, &recorder);
                    }
                    self.next_recorder(turn, Failure::Error);
                }
                (Some(reason), _) => {
                    let failure = if reason == "busy" { Failure::Busy } else { Failure::Error };
                    self.give_up_recording(turn, failure, Condition::InternalServerError);
                }
            },
            _ => {}
        }
        Verdict::Result(None)
    }

    /// The recorder at work left its brewery.
    pub(crate) fn recorder_left(&mut self, turn: &mut Turn<'_>, recorder: &FullJid) {
        if self.is_recorded_by(recorder) {
            self.next_recorder(turn, Failure::Error);
        }
    }

    pub(crate) fn is_recorded_by(&self, recorder: &FullJid) -> bool {
        self.recording.as_ref().is_some_and(|r| r.recorder.as_ref() == Some(recorder))
    }

    /// The same for another one.
    fn next_recorder(&mut self, turn: &mut Turn<'_>, failure: Failure) {
        let Some(r) = &mut self.recording else { return };
        if turn.config.recorder_retries.is_some_and(|most| r.tried > most) {
            return self.give_up_recording(turn, failure, Condition::InternalServerError);
        }
        match turn.recorders.choose(turn.now) {
            Ok(next) => {
                r.recorder = Some(next);
                self.ask_recorder(turn);
            }
            Err(NoRecorder::Free)
                if r.asks.is_some() && r.patience > turn.now && turn.recorders.wait(&self.room) =>
            {
                (r.recorder, r.until) = (None, Some(r.patience));
            }
            Err(none) => {
                turn.counters.no_recorder += 1;
                let failure = if none == NoRecorder::Free { Failure::Busy } else { failure };
                self.give_up_recording(turn, failure, none_error(none).condition);
            }
        }
    }

    /// It did not work out: who asked is told, or everybody if it had been accepted.
    fn give_up_recording(&mut self, turn: &mut Turn<'_>, failure: Failure, condition: Condition) {
        let Some(r) = &mut self.recording else { return };
        turn.recorders.waits_no_more(&self.room);
        match r.mode {
            // Nobody has tried.
            _ if r.tried == 0 => turn.counters.no_recorder += 1,
            Mode::File => turn.counters.recording_failures += 1,
            Mode::Stream => turn.counters.streaming_failures += 1,
        }
        match r.asks.take() {
            Some(asks) => {
                turn.send(iq::error(&asks, &worded(condition)));
            }
            None => self.show_recording(false, None, Some(failure)),
        }
        self.recording = None;
    }

    /// Somebody ended it, or the conference is over.
    pub(super) fn stop_recording(&mut self, turn: &mut Turn<'_>, by: Option<&str>) {
        let Some(r) = &mut self.recording else { return };
        turn.recorders.waits_no_more(&self.room);
        let began = r.recorder.is_some();
        if let Some(recorder) = &r.recorder {
            tell_stop(turn, recorder, &r.id);
        }
        if let Some(asks) = r.asks.take() {
            turn.send(iq::error(&asks, &StanzaError::new(Condition::InternalServerError)));
        }
        if began {
            self.show_recording(false, by, None);
        }
        self.recording = None;
    }

    fn show_recording(&mut self, on: bool, by: Option<&str>, failure: Option<Failure>) {
        let Some(r) = &self.recording else { return };
        let initiator = by.unwrap_or(&r.initiator).to_owned();
        let status = RecordingStatus { on, id: r.id.clone(), mode: r.mode, initiator, failure };
        self.presence.recording = Some(status);
    }

    pub(super) fn recording_deadline(&self) -> Option<Instant> {
        self.recording.as_ref().and_then(|r| r.until)
    }

    /// A recorder that accepted and did not begin in time, or none that became free.
    pub(super) fn recording_due(&mut self, turn: &mut Turn<'_>) {
        let Some(r) = self.recording.as_ref().filter(|r| r.until.is_some_and(|t| t <= turn.now)) else {
            return;
        };
        let Some(recorder) = r.recorder.clone() else {
            if !self.recorder_free(turn) {
                self.forget_wish(turn);
            }
            return;
        };
        let id = r.id.clone();
        tell_stop(turn, &recorder, &id);
        turn.recorders.failed(turn.now, &recorder);
        self.next_recorder(turn, Failure::Error);
    }

    /// Whether something is recorded now, and what becomes of it.
    pub(crate) fn records(&self) -> Option<Mode> {
        self.recording.as_ref().filter(|r| r.until.is_none()).map(|r| r.mode)
    }
}

fn tell_stop(turn: &mut Turn<'_>, recorder: &FullJid, session: &str) {
    let stop = Element::new("jibri", ns::JIBRI).with_attr("action", "stop").with_attr("session_id", session);
    turn.tell("set", recorder.as_jid(), stop);
}

fn none_error(none: NoRecorder) -> StanzaError {
    worded(match none {
        NoRecorder::There => Condition::ServiceUnavailable,
        NoRecorder::Free => Condition::ResourceConstraint,
    })
}

/// With upstream's words, if it has any.
fn worded(condition: Condition) -> StanzaError {
    let error = StanzaError::new(condition);
    match condition {
        Condition::ServiceUnavailable => error.with_text("no Jibris available"),
        Condition::ResourceConstraint => error.with_text("all Jibris are busy"),
        _ => error,
    }
}
