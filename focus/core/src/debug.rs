//! A focus at one moment in; what its conferences and bridges are at, without a name of a room or a person, out.
//!
//! For whoever looks for the cause of something. Conferences have the numbers that the log calls them by, members the random ids that
//! the bridge knows them by; a nickname that is none of those stays out.

use std::time::Instant;

use jitsi_xmpp::BareJid;

use crate::bridges::Bridge;
use crate::colibri::BridgeSession;
use crate::conference::member::{Kind, Lookup, Media, Member, Rank};
use crate::conference::{Conference, Phase};
use crate::{Focus, limits};

/// What a focus is at.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Debug {
    pub connected: bool,
    pub draining: bool,
    pub stopping: bool,
    pub bridges: Vec<BridgeDebug>,
    pub conferences: Vec<ConferenceDebug>,
    /// Conferences beyond [`limits::DEBUG_CONFERENCES`].
    pub left_out: usize,
}

/// What it knows of a bridge.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct BridgeDebug {
    /// What it calls itself among the bridges.
    pub nick: String,
    pub version: Option<String>,
    pub region: Option<String>,
    pub stress: f64,
    pub operational: bool,
    pub draining: bool,
    pub graceful_shutdown: bool,
    pub shutting_down: bool,
}

/// A conference.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct ConferenceDebug {
    /// As in the log.
    pub number: u64,
    /// As the bridge calls it.
    pub meeting: String,
    pub phase: &'static str,
    /// The bridges that carry it, oldest first.
    pub sessions: Vec<SessionDebug>,
    pub is_breakout: bool,
    pub bridge_missing: bool,
    /// Whether who opened it allows that services of statistics hear of it.
    pub statistics: bool,
    pub member_count: usize,
    /// When they were asked for.
    pub members: Vec<MemberDebug>,
}

/// A conference on a bridge.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct SessionDebug {
    /// What the bridge calls itself among the bridges.
    pub bridge: String,
    pub relay_id: Option<String>,
    pub region: Option<String>,
    pub endpoint_count: usize,
    pub relays: Vec<RelayDebug>,
}

/// The way from one bridge to another, as far as the first one has been told.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct RelayDebug {
    /// The other bridge.
    pub to: String,
    pub state: &'static str,
    /// Who is on the other one, as far as this one knows.
    pub endpoint_count: usize,
}

/// Somebody in it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct MemberDebug {
    /// The endpoint's id, when it is a random one.
    pub endpoint: Option<String>,
    pub rank: &'static str,
    pub kind: &'static str,
    pub features_known: bool,
    pub media: &'static str,
    pub sends_audio: bool,
    pub sends_video: bool,
}

/// Which conferences are asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// All, without their members.
    Short,
    /// All, with them.
    Full,
    /// The one of this room: whoever asks knows its name already.
    Room(BareJid),
    /// The one of this number.
    Number(u64),
}

impl Focus {
    /// A picture of now, as far as it was asked for.
    pub fn debug(&self, now: Instant, asked: &Asked) -> Debug {
        let mut found: Vec<&Conference> = match asked {
            Asked::Short | Asked::Full => self.rooms.values().collect(),
            Asked::Room(room) => self.rooms.get(room).into_iter().collect(),
            Asked::Number(n) => self.rooms.values().find(|c| c.id.0 == *n).into_iter().collect(),
        };
        found.sort_by_key(|c| c.id);
        let left_out = found.len().saturating_sub(limits::DEBUG_CONFERENCES);
        found.truncate(limits::DEBUG_CONFERENCES);
        let mut room_left = limits::DEBUG_MEMBERS;
        let conferences = found
            .into_iter()
            .map(|c| {
                let shown = if *asked == Asked::Short { 0 } else { c.members.len().min(room_left) };
                room_left -= shown;
                conference(c, shown)
            })
            .collect();
        Debug {
            connected: self.engine.stats().connected,
            draining: self.draining,
            stopping: self.stopping,
            bridges: self.engine.brewery.bridges().map(|b| bridge(b, now)).collect(),
            conferences,
            left_out,
        }
    }
}

fn bridge(b: &Bridge, now: Instant) -> BridgeDebug {
    BridgeDebug {
        nick: b.jid.resource().to_owned(),
        version: b.version.clone(),
        region: b.region.clone(),
        stress: b.corrected_stress(now),
        operational: b.operational(),
        draining: b.drain,
        graceful_shutdown: b.graceful_shutdown,
        shutting_down: b.shutting_down,
    }
}

fn conference(c: &Conference, shown: usize) -> ConferenceDebug {
    let mut members: Vec<&Member> = if shown > 0 { c.members.values().collect() } else { Vec::new() };
    members.sort_by_key(|m| m.seq);
    ConferenceDebug {
        number: c.id.0,
        meeting: c.meeting.as_str().to_owned(),
        phase: match c.phase {
            Phase::Joining { .. } => "joining",
            Phase::Running => "running",
            Phase::Ended => "ended",
        },
        sessions: c.sessions.iter().map(|s| session(c, s)).collect(),
        is_breakout: c.breakout_of.is_some(),
        bridge_missing: c.presence.bridge_not_available,
        statistics: c.properties.rtcstats,
        member_count: c.members.len(),
        members: members.into_iter().take(shown).map(member).collect(),
    }
}

fn session(c: &Conference, s: &BridgeSession) -> SessionDebug {
    let relays = s.links.iter().filter_map(|(other, link)| {
        Some(RelayDebug {
            to: c.sessions.get(*other)?.bridge.resource().to_owned(),
            state: link.state(),
            endpoint_count: link.known(),
        })
    });
    SessionDebug {
        bridge: s.bridge.resource().to_owned(),
        relay_id: s.relay_id.clone(),
        region: s.region.clone(),
        endpoint_count: s.people(),
        relays: relays.collect(),
    }
}

fn member(m: &Member) -> MemberDebug {
    let id = m.id.as_str();
    // What clients choose by chance is eight hexadecimal digits. Anything else may be a name.
    let is_random = id.len() == 8 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    MemberDebug {
        endpoint: is_random.then(|| id.to_owned()),
        rank: match m.rank {
            Rank::Visitor => "visitor",
            Rank::Participant => "participant",
            Rank::Moderator => "moderator",
            Rank::Owner => "owner",
        },
        kind: match m.kind {
            Kind::Person => "person",
            Kind::Jibri => "jibri",
            Kind::Jigasi => "jigasi",
            Kind::Transcriber => "transcriber",
        },
        features_known: matches!(m.features, Lookup::Known(_)),
        media: match &m.media {
            Media::Wanted => "wanted",
            Media::Delayed(_) => "delayed",
            Media::NoBridge(_) => "no-bridge",
            Media::Allocating(_) => "allocating",
            Media::Session(s) if s.offered.is_some() => "offered",
            Media::Session(_) => "accepted",
            Media::Ended => "ended",
        },
        sends_audio: m.sends_audio,
        sends_video: m.sends_video,
    }
}
