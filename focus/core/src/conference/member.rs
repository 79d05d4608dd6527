//! One occupant of the room: its presences in; what it is, what it can do and where its media session stands out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use jitsi_xmpp::ids::{EndpointId, SessionId};
use jitsi_xmpp::jingle::IceUdpTransport;
use jitsi_xmpp::{Element, FullJid, Jid, ns};

use crate::colibri::News;
use crate::features::Features;
use crate::jingle::Offer;
use crate::limits;
use crate::sources::{Filter, Signaling};

/// Rank in the room, from affiliation and role (focus §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    Visitor,
    Participant,
    Moderator,
    Owner,
}

/// Who the occupant is. All but `Person` are believed of trusted domains only (focus §1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Person,
    Jibri,
    Jigasi,
    Transcriber,
}

/// Feature discovery never holds anything up but this member's own invitation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Lookup {
    Asking {
        caps: Option<String>,
        /// Could not be asked; is asked again then.
        again: Option<Instant>,
    },
    Known(Features),
}

/// Where the media session stands.
#[derive(Debug)]
pub(crate) enum Media {
    /// Invited as soon as there are enough members.
    Wanted,
    /// Invited at the given time: after a restart, a failure, a move.
    Delayed(Instant),
    /// There is no bridge: invited when there is one, looked for again at the given time.
    NoBridge(Instant),
    /// The bridge has been asked for an endpoint.
    Allocating(Allocating),
    /// There is a Jingle session.
    Session(Session),
    /// Ended on purpose; a new one when somebody joins and nobody has one.
    Ended,
}

/// An allocation under way.
#[derive(Debug)]
pub(crate) struct Allocating {
    /// Tells a late answer from the awaited one.
    pub(crate) attempt: u64,
    pub(crate) bridge_session: String,
    pub(crate) offer: Offer,
}

/// A Jingle session and the endpoint behind it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) sid: SessionId,
    pub(crate) bridge_session: String,
    /// `Some` while the invitation has not been accepted: when to repeat it.
    pub(crate) offered: Option<Offered>,
    /// The client's transport and its wish for the first pictures, kept to repeat an update that the bridge did not
    /// answer.
    pub(crate) transport: Option<IceUdpTransport>,
    pub(crate) last_n: Option<i32>,
    /// When the restart of ICE that the client asked for may happen, and the last one it was told of.
    pub(crate) ice_restart: Option<Instant>,
    pub(crate) ice_generation: Option<u32>,
    pub(crate) rewriting: bool,
    pub(crate) json: bool,
    pub(crate) filter: Filter,
}

/// An invitation that waits for `session-accept`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offered {
    /// `None`: it has been repeated already and is left to the client.
    pub(crate) repeat_at: Option<Instant>,
}

/// One occupant.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: EndpointId,
    pub(crate) occupant: FullJid,
    /// Order of joining.
    pub(crate) seq: u64,
    pub(crate) real: Option<Jid>,
    pub(crate) rank: Rank,
    /// It is in the room from where people watch.
    pub(crate) watches: bool,
    /// What it can show, as it said first, if it watches; best first.
    pub(crate) codecs: Vec<String>,
    pub(crate) kind: Kind,
    pub(crate) features: Lookup,
    pub(crate) stats_id: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) sends_audio: bool,
    pub(crate) sends_video: bool,
    pub(crate) media: Media,
    pub(crate) signaling: Signaling,
    /// Sids of earlier sessions: late requests get `gone`, not `bad-request`.
    pub(crate) past: VecDeque<SessionId>,
    pub(crate) invites: InviteBudget,
    pub(crate) restarts: RestartBudget,
    /// The bridge that it is moved away from.
    pub(crate) avoid: Option<FullJid>,
    pub(crate) ice_restarts: RestartBudget,
    /// From which browser it comes, as a number that says nothing else. Not known of everybody.
    pub(crate) browser: Option<u64>,
    /// Answers in a row that could not be taken.
    pub(crate) refused: u8,
    /// The invitation was repeated once already.
    pub(crate) repeated: bool,
    /// Has not accepted an invitation yet: the policies for joining apply. Afterwards it is the person who decides
    /// what is muted, also when the session is moved or restarted.
    pub(crate) just_joined: bool,
    /// What its bridge still has to hear.
    pub(crate) news: News,
    /// Its deadline in the table.
    pub(crate) armed: Option<Instant>,
    /// What the conference has counted it as.
    pub(crate) counted: Counted,
}

/// What a member is for the conference's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) member: bool,
    pub(crate) participant: bool,
    pub(crate) audio: bool,
    pub(crate) video: bool,
    pub(crate) viewer: bool,
}

impl Member {
    pub(crate) fn new(id: EndpointId, occupant: FullJid, seq: u64) -> Self {
        Self {
            id,
            occupant,
            seq,
            real: None,
            rank: Rank::Participant,
            watches: false,
            codecs: Vec::new(),
            kind: Kind::Person,
            features: Lookup::Asking { caps: None, again: None },
            stats_id: None,
            region: None,
            sends_audio: false,
            sends_video: false,
            media: Media::Wanted,
            signaling: Signaling::default(),
            past: VecDeque::new(),
            invites: InviteBudget::default(),
            restarts: RestartBudget::default(),
            avoid: None,
            ice_restarts: RestartBudget::default(),
            browser: None,
            refused: 0,
            repeated: false,
            just_joined: true,
            news: News::default(),
            armed: None,
            counted: Counted::default(),
        }
    }

    /// Reads what a presence says (focus §3.4). Unknown and malformed parts are skipped one by one.
    pub(crate) fn read(&mut self, presence: &Element, trusted_domains: &[String]) {
        let text = |name: &str| {
            presence.child_named(name).map(Element::text).filter(|t| !t.is_empty() && t.len() <= limits::TEXT)
        };
        if let Some(item) = presence.child("x", ns::MUC_USER).and_then(|x| x.child_named("item")) {
            self.real = item.attr("jid").and_then(|j| j.parse().ok()).or_else(|| self.real.take());
            self.rank = if self.watches { Rank::Visitor } else { rank(item) };
        }
        self.region = text("jitsi_participant_region").or_else(|| self.region.take());
        self.stats_id = text("stats-id").or_else(|| self.stats_id.take());
        let is_trusted = |j: &Jid| {
            let names = |d: &String| if d.contains('@') { j.bare_str() } else { j.domain() };
            trusted_domains.iter().any(|d| d.eq_ignore_ascii_case(names(d)))
        };
        let trusted = self.real.as_ref().is_some_and(is_trusted);
        if trusted && let Some(features) = presence.child_named("features") {
            for f in features.children().filter_map(|f| f.attr("var")) {
                match f {
                    "http://jitsi.org/protocol/jibri" => self.kind = Kind::Jibri,
                    "http://jitsi.org/protocol/jigasi" => self.kind = Kind::Jigasi,
                    "http://jitsi.org/protocol/transcriber" => self.kind = Kind::Transcriber,
                    _ => {}
                }
            }
        }
        self.read_mute_state(presence);
    }

    /// The codecs that a client says it can show.
    pub(crate) fn codecs_of(presence: &Element) -> Vec<String> {
        let list = presence.child_named("jitsi_participant_codecList").map(Element::text).unwrap_or_default();
        let mut all: Vec<String> = Vec::new();
        for name in list.split(',').map(str::trim).filter(|n| CODECS.contains(n)) {
            if !all.iter().any(|n| n == name) {
                all.push(name.to_owned());
            }
        }
        all
    }

    /// Who a presence says that it is of.
    pub(crate) fn real_of(presence: &Element) -> Option<Jid> {
        presence.child("x", ns::MUC_USER)?.child_named("item")?.attr("jid")?.parse().ok()
    }

    /// What a presence says that somebody is.
    pub(crate) fn rank_of(presence: &Element) -> Option<Rank> {
        presence.child("x", ns::MUC_USER).and_then(|x| x.child_named("item")).map(rank)
    }

    fn read_mute_state(&mut self, presence: &Element) {
        let Some(info) = presence.child_named("SourceInfo") else {
            let muted = |name| presence.child_named(name).is_none_or(|e| e.text() != "false");
            (self.sends_audio, self.sends_video) = (!muted("audiomuted"), !muted("videomuted"));
            return;
        };
        let Some(serde_json::Value::Object(sources)) = jitsi_xmpp::json::parse(&info.text()) else { return };
        (self.sends_audio, self.sends_video) = (false, false);
        for (name, source) in &sources {
            if source.get("muted").and_then(serde_json::Value::as_bool).unwrap_or(true) {
                continue;
            }
            let media = source.get("mediaType").and_then(serde_json::Value::as_str);
            let letter = name.split_once('-').and_then(|(_, rest)| rest.chars().next());
            match (media, letter) {
                (Some("audio"), _) | (None, Some('a')) => self.sends_audio = true,
                (Some("video"), _) | (None, Some('v')) => self.sends_video = true,
                _ => {}
            }
        }
    }

    /// `node#ver` of the client's capabilities.
    pub(crate) fn caps_of(presence: &Element) -> Option<String> {
        let c = presence.child("c", ns::CAPS)?;
        let key = format!("{}#{}", c.attr("node")?, c.attr("ver")?);
        (key.len() <= limits::TEXT * 2).then_some(key)
    }

    /// The features to build an offer from, once they are known.
    pub(crate) fn known_features(&self) -> Option<Features> {
        match self.features {
            Lookup::Known(f) => Some(f),
            Lookup::Asking { .. } => None,
        }
    }

    /// Whether it moderates the room.
    pub(crate) fn is_moderator(&self) -> bool {
        self.rank >= Rank::Moderator
    }

    /// Whether it counts as one who meets.
    pub(crate) fn counts(&self) -> bool {
        self.rank != Rank::Visitor
    }

    /// Whether it gets media: who meets, and who watches from where one does.
    pub(crate) fn is_served(&self) -> bool {
        self.watches || self.counts()
    }

    /// Whether a media session exists or is on its way.
    pub(crate) const fn is_participant(&self) -> bool {
        matches!(
            self.media,
            Media::Delayed(_) | Media::NoBridge(_) | Media::Allocating(_) | Media::Session(_)
        )
    }

    /// What it is now.
    pub(crate) fn counts_as(&self) -> Counted {
        Counted {
            member: self.counts(),
            participant: !self.watches && self.is_participant(),
            audio: !self.watches && self.sends_audio,
            video: !self.watches && self.sends_video,
            viewer: self.watches,
        }
    }

    /// Whether an endpoint on a bridge belongs to it, and to which bridge session.
    pub(crate) fn bridge_session(&self) -> Option<&str> {
        match &self.media {
            Media::Allocating(a) => Some(&a.bridge_session),
            Media::Session(s) => Some(&s.bridge_session),
            _ => None,
        }
    }

    pub(crate) const fn session(&self) -> Option<&Session> {
        match &self.media {
            Media::Session(s) => Some(s),
            _ => None,
        }
    }

    pub(crate) const fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.media {
            Media::Session(s) => Some(s),
            _ => None,
        }
    }

    /// Leaves the current media state and enters `next`; a session's id is remembered as past.
    pub(crate) fn set_media(&mut self, next: Media) -> Media {
        let old = std::mem::replace(&mut self.media, next);
        if let Media::Session(s) = &old {
            self.past.push_back(s.sid.clone());
            if self.past.len() > PAST_SESSIONS {
                self.past.pop_front();
            }
        }
        old
    }

    /// When this member needs attention.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let (due, accepted) = match &self.media {
            Media::Delayed(at) | Media::NoBridge(at) => (Some(*at), false),
            Media::Session(Session { offered: Some(o), .. }) => (o.repeat_at, false),
            Media::Session(_) => (None, true),
            _ => (None, false),
        };
        let flush = if accepted { self.signaling.flush_at() } else { None };
        let ask = match &self.features {
            Lookup::Asking { again, .. } => *again,
            Lookup::Known(_) => None,
        };
        let ice = self.session().and_then(|s| s.ice_restart);
        [due, flush, ask, ice, self.news.due()].into_iter().flatten().min()
    }
}

/// From affiliation and role.
fn rank(item: &Element) -> Rank {
    match (item.attr("affiliation"), item.attr("role")) {
        (_, Some("visitor")) => Rank::Visitor,
        (Some("owner"), _) => Rank::Owner,
        (Some("admin"), _) | (_, Some("moderator")) => Rank::Moderator,
        (_, Some("participant")) => Rank::Participant,
        _ => Rank::Visitor,
    }
}

/// Spaces out invitations that keep failing (focus §6.6): three within 30 s, then 2, 4, 8 … 60 s apart.
#[derive(Debug, Default)]
pub(crate) struct InviteBudget {
    window: Option<Instant>,
    used: u32,
}

impl InviteBudget {
    /// Takes one invitation.
    pub(crate) fn spend(&mut self, now: Instant) {
        if self
            .window
            .is_none_or(|w| now.duration_since(w) > limits::INVITE_WINDOW && self.used <= limits::INVITES)
        {
            *self = Self { window: Some(now), used: 0 };
        }
        self.used = self.used.saturating_add(1);
    }

    /// How long to wait before the next one.
    pub(crate) fn pause(&self) -> Duration {
        match self.used.checked_sub(limits::INVITES) {
            None => Duration::ZERO,
            Some(over) => Duration::from_secs(2 << over.min(8)).min(limits::INVITE_BACKOFF_MAX),
        }
    }

    /// A session was accepted: all is well again.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The restart rate limit (focus §4.11): 5 s apart, 5 per minute. A restart beyond it is delayed, not refused.
#[derive(Debug, Default)]
pub(crate) struct RestartBudget {
    granted: VecDeque<Instant>,
}

impl RestartBudget {
    /// When a restart asked for now may happen.
    pub(crate) fn grant(&mut self, now: Instant) -> Instant {
        let mut at = now;
        if let Some(last) = self.granted.back() {
            at = at.max(*last + limits::RESTART_DISTANCE);
        }
        if self.granted.len() >= limits::RESTARTS
            && let Some(first) = self.granted.pop_front()
        {
            at = at.max(first + limits::RESTART_WINDOW);
        }
        self.granted.push_back(at);
        at
    }
}

/// Those that clients name.
const CODECS: &[&str] = &["av1", "h264", "vp8", "vp9"];

/// Ended sessions whose ids are remembered per member.
const PAST_SESSIONS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn so_many_restarts_a_minute_happen_at_once_one_more_waits() {
        let t = Instant::now();
        let mut b = RestartBudget::default();
        let mut at = t;
        for i in 0..limits::RESTARTS {
            assert_eq!(b.grant(at), at, "restart {i} is within the limit");
            at += limits::RESTART_DISTANCE;
        }
        assert_eq!(b.grant(at), t + limits::RESTART_WINDOW);
    }

    #[test]
    fn restarts_less_than_their_distance_apart_are_spaced() {
        let t = Instant::now();
        let mut b = RestartBudget::default();
        assert_eq!(b.grant(t), t);
        let next = t + limits::RESTART_DISTANCE;
        assert_eq!(b.grant(next - MOMENT), next);
        assert_eq!(b.grant(next + limits::RESTART_DISTANCE), next + limits::RESTART_DISTANCE);
    }

    #[test]
    fn the_first_invitations_are_free_the_next_ones_wait_ever_longer_up_to_the_longest_pause() {
        let t = Instant::now();
        let mut b = InviteBudget::default();
        for n in 1..limits::INVITES {
            b.spend(t);
            assert_eq!(b.pause(), Duration::ZERO, "after {n}");
        }
        let mut pauses = Vec::new();
        for _ in 0..10 {
            b.spend(t);
            pauses.push(b.pause());
        }
        assert_eq!(pauses[0], Duration::from_secs(2));
        assert!(pauses.windows(2).all(|p| p[1] == (2 * p[0]).min(limits::INVITE_BACKOFF_MAX)), "{pauses:?}");
        assert_eq!(pauses[9], limits::INVITE_BACKOFF_MAX);
        b.reset();
        b.spend(t);
        assert_eq!(b.pause(), Duration::ZERO);
    }

    #[test]
    fn invitations_count_for_their_window_and_not_longer() {
        for (pause, counted) in [(limits::INVITE_WINDOW, true), (limits::INVITE_WINDOW + MOMENT, false)] {
            let t = Instant::now();
            let mut b = InviteBudget::default();
            (1..limits::INVITES).for_each(|_| b.spend(t));
            b.spend(t + pause);
            assert_eq!(b.pause() > Duration::ZERO, counted);
        }
    }
}
