//! A conference for a successor: its state in, as it is written out; and back. What was under way between writing and reading is begun
//! again: endpoints that were asked for, features that were.

use std::time::Instant;

use jitsi_xmpp::ids::{EndpointId, MeetingId, SessionId};
use jitsi_xmpp::{BareJid, xml};

use super::audience::Audience;
use super::browsers::{Away, Browsers};
use super::member::{Kind, Lookup, Media, Member, Offered, Rank, Session};
use super::recording::{Recording, RecordingStatus};
use super::state::PublishedPresence;
use super::{Conference, NewConference, Phase};
use crate::budgets::Asker;
use crate::colibri::Sessions;
use crate::features::Features;
use crate::handover::parts::{ids, owners, transport, written_ids, written_owners, written_transport};
use crate::handover::{Clock, HandoverError, at_most, wire, word, words};
use crate::limits;
use crate::moderation::{AvModeration, StartMuted};
use crate::request::{JoinOutcome, RoomProperties};
use crate::sources::Filter;
use crate::turn::{ConferenceId, Turn};

/// What the focus says of a conference in its presence.
const PROPERTIES: &[&str] = &[
    "audio-limit-reached",
    "bridge-count",
    "support-terminate-restart",
    "video-limit-reached",
    "visitor-codecs",
    "visitor-count",
    "visitors-enabled",
];

impl Conference {
    /// Who waits is told to ask again: nobody can be handed over who waits for an answer.
    pub(crate) fn prepare_handover(&mut self, turn: &mut Turn<'_>) {
        self.end_dials(turn);
        self.forget_wish(turn);
        for requester in self.audience.take_waiting() {
            requester.answer(turn, JoinOutcome::TryAgain);
        }
        if matches!(self.phase, Phase::Joining { .. }) {
            self.join_failed(turn, None);
        }
    }

    pub(crate) fn written(&self, clock: Clock) -> wire::Conference {
        let at = |t: &Option<Instant>| t.map(|t| clock.write(t));
        let members = self.order.values().filter_map(|id| self.members.get(id));
        wire::Conference {
            room: self.room.as_str().to_owned(),
            meeting: self.meeting.as_str().to_owned(),
            meeting_on: self.meeting_on.iter().map(|b| b.as_str().to_owned()).collect(),
            breakout_of: self.breakout_of.as_ref().map(|r| r.as_str().to_owned()),
            start_audio_muted: self.properties.start_audio_muted,
            start_video_muted: self.properties.start_video_muted,
            rtcstats: self.properties.rtcstats,
            members: members.map(|m| m.written(clock)).collect(),
            was_enough: self.was_enough,
            sources: written_owners(self.sources.owners()),
            pinned: self.pinned.clone(),
            sessions: self.sessions.written(),
            sessions_begun: self.sessions.begun(),
            audience: self.audience.written(clock),
            recording: self.recording.as_ref().and_then(|r| r.written(clock)),
            start_muted: (self.start_muted.audio, self.start_muted.video),
            moderated: self.moderation.written().0,
            allowed: self.moderation.written().1,
            owner: self.owner.as_ref().map(|o| o.as_str().to_owned()),
            away: self.away.map(|a| (a.browser, clock.write(a.until))),
            browsers: self.browsers.written(),
            hosts: written_ids(&self.hosts),
            pad: self.pad.clone(),
            properties: self.presence.properties.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            bridge_not_available: self.presence.bridge_not_available,
            recording_status: self.presence.recording.as_ref().map(RecordingStatus::written),
            start_timer: at(&self.start_timer),
            single_timer: at(&self.single_timer),
            deserted: self.deserted,
        }
    }

    pub(crate) fn read_written(
        turn: &mut Turn<'_>,
        clock: Clock,
        id: ConferenceId,
        from: wire::Conference,
    ) -> Result<Self, HandoverError> {
        let room: BareJid = word(&from.room, "room")?;
        let new = NewConference {
            id,
            opened_by: Asker::Account(room.clone()),
            room,
            properties: RoomProperties {
                start_audio_muted: from.start_audio_muted,
                start_video_muted: from.start_video_muted,
                rtcstats: from.rtcstats,
            },
            pinned: from.pinned,
        };
        let mut c = Self::new(turn, new);
        let at = |t: Option<wire::Ms>| t.map(|t| clock.read(t));
        // Whose it was is not written; it counts as nobody's.
        c.opened_by = None;
        c.phase = Phase::Running;
        c.meeting = MeetingId::new(from.meeting);
        at_most(&from.meeting_on, limits::BRIDGES, "bridges")?;
        c.meeting_on = words(&from.meeting_on, "bridge")?;
        c.breakout_of = from.breakout_of.as_deref().map(|r| word(r, "room")).transpose()?;
        at_most(&from.members, limits::MEMBERS_PER_CONFERENCE + limits::VIEWERS_PER_CONFERENCE, "members")?;
        for member in from.members {
            c.next_seq += 1;
            let m = Member::read_written(clock, c.next_seq, member)?;
            if m.watches {
                c.audience.counted_again(&m.codecs);
            }
            c.order.insert(m.seq, m.id.clone());
            c.members.insert(m.id.clone(), m);
        }
        c.was_enough = from.was_enough;
        for (owner, set) in owners(from.sources)? {
            c.sources.replace(&owner, set);
        }
        c.sessions = Sessions::read_written(from.sessions, from.sessions_begun)?;
        c.audience.read_written(clock, from.audience)?;
        c.recording = from.recording.map(|r| Recording::read_written(clock, r)).transpose()?;
        c.start_muted = StartMuted { audio: from.start_muted.0, video: from.start_muted.1 };
        c.moderation = AvModeration::read_written(&from.moderated, &from.allowed);
        c.owner = from.owner.map(EndpointId::new);
        c.away = from.away.map(|(browser, until)| Away { browser, until: clock.read(until) });
        c.browsers = Browsers::read_written(from.browsers)?;
        c.hosts = ids(&from.hosts);
        c.pad = from.pad;
        let said = from.properties.into_iter().filter_map(|(key, value)| {
            let known = PROPERTIES.iter().find(|p| **p == key)?;
            Some((*known, value))
        });
        c.presence = PublishedPresence::said(
            said.collect(),
            from.bridge_not_available,
            from.recording_status.map(RecordingStatus::read_written),
        );
        c.start_timer = at(from.start_timer);
        c.single_timer = at(from.single_timer);
        c.deserted = from.deserted;
        c.touch_all();
        c.count_dirty();
        Ok(c)
    }

    /// The link is resumed: whose endpoint was asked for is asked for again, under another attempt.
    pub(crate) fn go_on(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        for id in self.by_arrival() {
            let Some(m) = self.member_mut(&id) else { continue };
            if let Lookup::Asking { again, .. } = &mut m.features {
                *again = Some(now);
            }
            if matches!(m.media, Media::Delayed(_)) && self.sessions.with(&id).is_some() {
                self.expire_endpoint(turn, &id);
            }
        }
        self.relays_go_on(turn);
    }
}

impl Member {
    fn written(&self, clock: Clock) -> wire::Member {
        let at = |t: &Option<Instant>| t.map(|t| clock.write(t));
        let (caps, features) = match &self.features {
            Lookup::Asking { caps, .. } => (caps.clone(), None),
            Lookup::Known(f) => (None, Some(f.written())),
        };
        let media = match &self.media {
            Media::Wanted => wire::Media::Wanted,
            Media::Delayed(t) => wire::Media::Delayed(clock.write(*t)),
            Media::NoBridge(t) => wire::Media::NoBridge(clock.write(*t)),
            Media::Allocating(_) => wire::Media::Allocating,
            Media::Ended => wire::Media::Ended,
            Media::Session(s) => wire::Media::Session(wire::Jingle {
                sid: s.sid.as_str().to_owned(),
                bridge_session: s.bridge_session.clone(),
                offered: s.offered.is_some(),
                repeat_at: s.offered.and_then(|o| at(&o.repeat_at)),
                transport: written_transport(&s.transport),
                last_n: s.last_n,
                ice_restart: at(&s.ice_restart),
                ice_generation: s.ice_generation,
                rewriting: s.rewriting,
                json: s.json,
                filter: (s.filter.audio, s.filter.video, s.filter.strip_simulcast),
            }),
        };
        wire::Member {
            id: self.id.as_str().to_owned(),
            occupant: self.occupant.as_str().to_owned(),
            real: self.real.as_ref().map(|j| j.as_str().to_owned()),
            rank: match self.rank {
                Rank::Visitor => wire::Rank::Visitor,
                Rank::Participant => wire::Rank::Participant,
                Rank::Moderator => wire::Rank::Moderator,
                Rank::Owner => wire::Rank::Owner,
            },
            watches: self.watches,
            codecs: self.codecs.clone(),
            kind: match self.kind {
                Kind::Person => wire::Kind::Person,
                Kind::Jibri => wire::Kind::Jibri,
                Kind::Jigasi => wire::Kind::Jigasi,
                Kind::Transcriber => wire::Kind::Transcriber,
            },
            caps,
            features,
            stats_id: self.stats_id.clone(),
            browser: self.browser,
            region: self.region.clone(),
            sends_audio: self.sends_audio,
            sends_video: self.sends_video,
            media,
            told: written_owners(self.signaling.told()),
            flush_at: at(&self.signaling.flush_at()),
            past: self.past.iter().map(|s| s.as_str().to_owned()).collect(),
            repeated: self.repeated,
            just_joined: self.just_joined,
            news: self.news.written(),
        }
    }

    fn read_written(clock: Clock, seq: u64, from: wire::Member) -> Result<Self, HandoverError> {
        let at = |t: Option<wire::Ms>| t.map(|t| clock.read(t));
        let mut m = Self::new(EndpointId::new(from.id), word(&from.occupant, "occupant")?, seq);
        m.real = from.real.as_deref().map(|j| word(j, "jid")).transpose()?;
        m.rank = match from.rank {
            wire::Rank::Visitor => Rank::Visitor,
            wire::Rank::Participant => Rank::Participant,
            wire::Rank::Moderator => Rank::Moderator,
            wire::Rank::Owner => Rank::Owner,
        };
        m.watches = from.watches;
        m.codecs = from.codecs;
        m.kind = match from.kind {
            wire::Kind::Person => Kind::Person,
            wire::Kind::Jibri => Kind::Jibri,
            wire::Kind::Jigasi => Kind::Jigasi,
            wire::Kind::Transcriber => Kind::Transcriber,
        };
        m.features = match from.features {
            Some(f) => Lookup::Known(Features::read_written(&f)),
            None => Lookup::Asking { caps: from.caps, again: None },
        };
        m.stats_id = from.stats_id;
        m.browser = from.browser;
        m.region = from.region;
        m.sends_audio = from.sends_audio;
        m.sends_video = from.sends_video;
        m.media = match from.media {
            wire::Media::Wanted => Media::Wanted,
            wire::Media::Delayed(t) => Media::Delayed(clock.read(t)),
            wire::Media::NoBridge(t) => Media::NoBridge(clock.read(t)),
            wire::Media::Allocating => Media::Delayed(clock.0),
            wire::Media::Ended => Media::Ended,
            wire::Media::Session(s) => Media::Session(Session {
                sid: SessionId::new(s.sid),
                bridge_session: s.bridge_session,
                offered: s.offered.then(|| Offered { repeat_at: at(s.repeat_at) }),
                transport: transport(&s.transport)?,
                last_n: s.last_n,
                ice_restart: at(s.ice_restart),
                ice_generation: s.ice_generation,
                rewriting: s.rewriting,
                json: s.json,
                filter: Filter { audio: s.filter.0, video: s.filter.1, strip_simulcast: s.filter.2 },
            }),
        };
        m.signaling.offered(owners(from.told)?);
        if let Some(flush) = at(from.flush_at) {
            m.signaling.changed(flush);
        }
        m.past = from.past.into_iter().map(SessionId::new).collect();
        m.repeated = from.repeated;
        m.just_joined = from.just_joined;
        m.news.read_written(&from.news);
        Ok(m)
    }
}

impl Audience {
    fn written(&self, clock: Clock) -> wire::Audience {
        let p = &self.policy;
        wire::Audience {
            // A room that is not joined yet is opened again by whoever asks next.
            room: self.room.as_ref().filter(|r| r.until.is_none()).map(|r| r.jid.as_str().to_owned()),
            tell_at: self.tell_at.map(|t| clock.write(t)),
            told: self.told.clone(),
            used: self.used,
            lobby: p.lobby,
            forbidden: p.forbidden,
            live: p.live,
            soft_limit: p.soft_limit,
        }
    }

    fn read_written(&mut self, clock: Clock, from: wire::Audience) -> Result<(), HandoverError> {
        self.room = match from.room {
            Some(room) => Some(super::audience::Room { jid: word(&room, "room")?, until: None }),
            None => None,
        };
        self.tell_at = from.tell_at.map(|t| clock.read(t));
        self.told = from.told;
        self.used = from.used;
        let p = &mut self.policy;
        (p.lobby, p.forbidden, p.live, p.soft_limit) =
            (from.lobby, from.forbidden, from.live, from.soft_limit);
        Ok(())
    }
}

impl Recording {
    /// `None`: it waits for a recorder, and whoever wants it asks again.
    fn written(&self, clock: Clock) -> Option<wire::Recording> {
        let recorder = self.recorder.as_ref()?;
        Some(wire::Recording {
            id: self.id.clone(),
            stream: self.mode == super::recording::Mode::Stream,
            order: self.order.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            initiator: self.initiator.clone(),
            recorder: recorder.as_str().to_owned(),
            asks: self.asks.as_ref().map(jitsi_xmpp::Element::to_xml),
            until: self.until.map(|t| clock.write(t)),
            tried: self.tried,
        })
    }

    fn read_written(clock: Clock, from: wire::Recording) -> Result<Self, HandoverError> {
        let asks = from.asks.map(|text| xml::parse(text.as_bytes())).transpose();
        let known = |(key, value): (String, String)| {
            Some((*super::recording::SAID.iter().find(|s| **s == key)?, value))
        };
        Ok(Self {
            id: from.id,
            mode: super::recording::Mode::written(from.stream),
            order: from.order.into_iter().filter_map(known).collect(),
            initiator: from.initiator,
            recorder: Some(word(&from.recorder, "recorder")?),
            patience: clock.0,
            asks: asks.map_err(|_| HandoverError::Odd("order"))?,
            until: from.until.map(|t| clock.read(t)),
            tried: from.tried,
        })
    }
}

impl RecordingStatus {
    fn written(&self) -> wire::RecordingStatus {
        use super::recording::{Failure, Mode};
        wire::RecordingStatus {
            on: self.on,
            id: self.id.clone(),
            stream: self.mode == Mode::Stream,
            initiator: self.initiator.clone(),
            busy: self.failure.map(|f| f == Failure::Busy),
        }
    }

    fn read_written(from: wire::RecordingStatus) -> Self {
        use super::recording::{Failure, Mode};
        Self {
            on: from.on,
            id: from.id,
            mode: Mode::written(from.stream),
            initiator: from.initiator,
            failure: from.busy.map(|busy| if busy { Failure::Busy } else { Failure::Error }),
        }
    }
}
