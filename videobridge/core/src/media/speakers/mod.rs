//! Who is speaking: audio levels of endpoints in; the dominant speaker, the recent speakers and the order of all
//! endpoints out.

mod loudness;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::ids::MemberIx;
use loudness::{FLOOR, Loudness, Scores};

/// Endpoints of a conference by how recently they were dominant, keyed by their index in the conference.
#[derive(Debug, Default)]
pub(crate) struct Speakers {
    /// Everybody but visitors: the dominant speaker first, then earlier ones, then joiners in order.
    order: Vec<MemberIx>,
    /// Indexed by endpoint.
    voices: Vec<Option<Loudness>>,
    dominant: Option<MemberIx>,
    /// Who was dominant, newest first, the dominant one included.
    recent: Vec<MemberIx>,
    next_decision: Option<Instant>,
    last_level: Option<Instant>,
}

impl Speakers {
    /// A new participant goes to the end of the order.
    pub(crate) fn join(&mut self, endpoint: MemberIx) {
        self.order.push(endpoint);
    }

    /// Forgets a participant. Returns whether the dominant or a recent speaker left, which clients are told.
    pub(crate) fn leave(&mut self, endpoint: MemberIx) -> bool {
        self.order.retain(|e| *e != endpoint);
        if let Some(voice) = self.voices.get_mut(endpoint.0) {
            *voice = None;
        }
        let known = self.recent.len();
        self.recent.retain(|e| *e != endpoint);
        if self.dominant == Some(endpoint) {
            self.dominant = None;
        }
        known != self.recent.len()
    }

    /// One audio packet: `level` is the value of the header extension, 0 = loudest, 127 = silence.
    pub(crate) fn level(&mut self, now: Instant, endpoint: MemberIx, level: u8) {
        let loud = 127 - level.min(127);
        if self.voices.len() <= endpoint.0 {
            self.voices.resize_with(endpoint.0 + 1, || None);
        }
        if let Some(voice) = self.voices.get_mut(endpoint.0) {
            voice.get_or_insert_with(|| Loudness::new(now)).push(now, loud);
        }
        self.last_level = Some(now);
        self.next_decision.get_or_insert(now + DECISION_INTERVAL);
    }

    /// When [`Self::decide`] has something to decide.
    #[cfg(test)]
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.next_decision
    }

    /// Decides if it is time to. Returns whether the dominant speaker changed.
    pub(crate) fn decide(&mut self, now: Instant) -> bool {
        if self.next_decision.is_none_or(|at| at > now) {
            return false;
        }
        let quiet = self.last_level.is_none_or(|at| now.duration_since(at) >= STOP_AFTER);
        self.next_decision = (!quiet).then(|| now + DECISION_INTERVAL);
        let dominant = self.dominant;
        let mut current = Scores([FLOOR; 3]);
        for (e, slot) in self.voices.iter_mut().enumerate().map(|(e, slot)| (MemberIx(e), slot)) {
            let Some(voice) = slot else { continue };
            if Some(e) != dominant && now.duration_since(voice.last) >= FORGET_AFTER {
                *slot = None;
                continue;
            }
            voice.pad_silence(now);
            if Some(e) == dominant {
                current = voice.scores();
            }
        }
        // Without a dominant speaker the first one heard is nominated, as upstream nominates an arbitrary one.
        if dominant.is_none() {
            let Some(first) = self.voices.iter().position(Option::is_some) else { return false };
            self.set_dominant(MemberIx(first));
            return true;
        }
        let mut winner = None;
        let mut best = MEDIUM_MARGIN;
        let voices = self.voices.iter().enumerate().map(|(e, voice)| (MemberIx(e), voice));
        for (e, voice) in voices.filter(|(e, _)| Some(*e) != dominant) {
            let Some(voice) = voice else { continue };
            let Scores([immediate, medium, long]) = voice.scores();
            let Scores([c_immediate, c_medium, c_long]) = current;
            let margins = [(immediate / c_immediate).ln(), (medium / c_medium).ln(), (long / c_long).ln()];
            let [m1, m2, m3] = margins;
            if m1 > IMMEDIATE_MARGIN && m2 > best && m3 > LONG_MARGIN {
                best = m2;
                winner = Some(e);
            }
        }
        let Some(winner) = winner else { return false };
        self.set_dominant(winner);
        true
    }

    /// The dominant speaker, once somebody spoke.
    pub(crate) fn dominant(&self) -> Option<MemberIx> {
        self.dominant
    }

    /// Earlier dominant speakers, newest first, without the present one.
    pub(crate) fn previous(&self) -> impl Iterator<Item = MemberIx> + '_ {
        self.recent.iter().copied().filter(|e| Some(*e) != self.dominant)
    }

    /// All non-visitors, most recent speakers first.
    pub(crate) fn order(&self) -> &[MemberIx] {
        &self.order
    }

    fn set_dominant(&mut self, endpoint: MemberIx) {
        self.dominant = Some(endpoint);
        self.recent.retain(|e| *e != endpoint);
        self.recent.insert(0, endpoint);
        self.recent.truncate(RECENT_SPEAKERS + 1);
        if let Some(at) = self.order.iter().position(|e| *e == endpoint)
            && let Some(head) = self.order.get_mut(..=at)
        {
            head.rotate_right(1);
        }
    }
}

const DECISION_INTERVAL: Duration = Duration::from_millis(300);
const STOP_AFTER: Duration = Duration::from_secs(15);
const FORGET_AFTER: Duration = Duration::from_secs(3600);
const RECENT_SPEAKERS: usize = 10;
const IMMEDIATE_MARGIN: f64 = 3.0;
const MEDIUM_MARGIN: f64 = 2.0;
const LONG_MARGIN: f64 = 0.0;
