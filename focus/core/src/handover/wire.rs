//! What a focus leaves to its successor, as it is written: types of this format and its version alone, so that a change inside the
//! focus does not change it unseen. Times are milliseconds from the moment of writing, past ones negative.
//!
//! Names, addresses and credentials are in it: nothing here is ever printed.

use serde::{Deserialize, Serialize};

/// Says that it is one of these.
pub(super) const FORMAT: &str = "plausch-focus";
/// Raised whenever an older or newer focus would read something else out of it. A successor of another version begins anew.
pub(super) const VERSION: u32 = 1;

/// Milliseconds from the moment of writing.
pub(crate) type Ms = i64;

/// Read before anything else is.
#[derive(Deserialize)]
pub(super) struct Heading {
    pub(super) format: String,
    pub(super) version: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Whole {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) jid: String,
    pub(super) draining: bool,
    pub(super) room_metadata: Option<String>,
    pub(super) av_moderation: Option<String>,
    pub(super) visitors: Option<String>,
    pub(super) breakout_rooms: Option<String>,
    pub(super) places: Vec<String>,
    pub(super) bridges: Vec<Bridge>,
    pub(super) recorders: Vec<(String, bool)>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) pins: Vec<(String, String, Ms)>,
    pub(super) logins: Vec<Login>,
    pub(super) orphans: Vec<(String, String)>,
    pub(super) conferences: Vec<Conference>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Bridge {
    pub(crate) jid: String,
    pub(crate) stress: f64,
    pub(crate) average_stress: f64,
    pub(crate) graceful_shutdown: bool,
    pub(crate) shutting_down: bool,
    pub(crate) drain: bool,
    pub(crate) version: Option<String>,
    pub(crate) release: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) relay_id: Option<String>,
    pub(crate) healthy: bool,
    pub(crate) seen: Ms,
    pub(crate) failed: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Gateway {
    pub(crate) jid: String,
    pub(crate) calls: bool,
    pub(crate) transcribes: bool,
    pub(crate) leaves: bool,
    pub(crate) participants: u64,
    pub(crate) region: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Login {
    pub(crate) id: String,
    pub(crate) machine: String,
    pub(crate) identity: String,
    pub(crate) holder: Option<String>,
    pub(crate) room: String,
    pub(crate) last: Ms,
    pub(crate) moderates: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Conference {
    pub(crate) room: String,
    pub(crate) meeting: String,
    pub(crate) meeting_on: Vec<String>,
    pub(crate) breakout_of: Option<String>,
    pub(crate) start_audio_muted: Option<usize>,
    pub(crate) start_video_muted: Option<usize>,
    pub(crate) rtcstats: bool,
    /// In the order in which they came.
    pub(crate) members: Vec<Member>,
    pub(crate) was_enough: bool,
    pub(crate) sources: Vec<(String, Sources)>,
    pub(crate) pinned: Option<String>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) sessions_begun: u64,
    pub(crate) audience: Audience,
    pub(crate) recording: Option<Recording>,
    pub(crate) start_muted: (bool, bool),
    pub(crate) moderated: Vec<String>,
    pub(crate) allowed: Vec<(String, Vec<String>)>,
    pub(crate) owner: Option<String>,
    /// Whose right waits for it: its browser, and until when. A focus of before says nothing of it.
    #[serde(default)]
    pub(crate) away: Option<(u64, Ms)>,
    /// Who has asked for the room and is not in it yet, from which browser.
    #[serde(default)]
    pub(crate) browsers: Vec<(u64, u64)>,
    pub(crate) hosts: Vec<String>,
    pub(crate) pad: Option<String>,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) bridge_not_available: bool,
    pub(crate) recording_status: Option<RecordingStatus>,
    pub(crate) start_timer: Option<Ms>,
    pub(crate) single_timer: Option<Ms>,
    pub(crate) deserted: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) occupant: String,
    pub(crate) real: Option<String>,
    pub(crate) rank: Rank,
    pub(crate) watches: bool,
    pub(crate) codecs: Vec<String>,
    pub(crate) kind: Kind,
    pub(crate) caps: Option<String>,
    pub(crate) features: Option<Features>,
    pub(crate) stats_id: Option<String>,
    #[serde(default)]
    pub(crate) browser: Option<u64>,
    pub(crate) region: Option<String>,
    pub(crate) sends_audio: bool,
    pub(crate) sends_video: bool,
    pub(crate) media: Media,
    /// What it has been told of the others' sources.
    pub(crate) told: Vec<(String, Sources)>,
    pub(crate) flush_at: Option<Ms>,
    pub(crate) past: Vec<String>,
    pub(crate) repeated: bool,
    pub(crate) just_joined: bool,
    pub(crate) news: News,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Rank {
    Visitor,
    Participant,
    Moderator,
    Owner,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Kind {
    Person,
    Jibri,
    Jigasi,
    Transcriber,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Features {
    pub(crate) audio: bool,
    pub(crate) video: bool,
    pub(crate) sctp: bool,
    pub(crate) rtx: bool,
    pub(crate) remb: bool,
    pub(crate) tcc: bool,
    pub(crate) opus_red: bool,
    pub(crate) ssrc_rewriting: bool,
    pub(crate) json_sources: bool,
    pub(crate) audio_mute: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Media {
    Wanted,
    Delayed(Ms),
    NoBridge(Ms),
    /// Its answer is not waited for by anybody any more: it is asked for again.
    Allocating,
    Session(Jingle),
    Ended,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Jingle {
    pub(crate) sid: String,
    pub(crate) bridge_session: String,
    pub(crate) offered: bool,
    pub(crate) repeat_at: Option<Ms>,
    pub(crate) transport: Option<String>,
    pub(crate) last_n: Option<i32>,
    pub(crate) ice_restart: Option<Ms>,
    pub(crate) ice_generation: Option<u32>,
    pub(crate) rewriting: bool,
    pub(crate) json: bool,
    /// Audio, video, simulcast stripped.
    pub(crate) filter: (bool, bool, bool),
}

/// What the bridge has not confirmed of what it was told.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct News {
    pub(crate) transport: bool,
    pub(crate) sources: bool,
    pub(crate) last_n: bool,
    pub(crate) force_mute: bool,
    pub(crate) ice_restart: bool,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Sources {
    pub(crate) sources: Vec<Source>,
    pub(crate) groups: Vec<Group>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) ssrc: u32,
    pub(crate) video: bool,
    pub(crate) name: Option<String>,
    pub(crate) msid: Option<String>,
    pub(crate) video_type: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) simulcast: bool,
    pub(crate) video: bool,
    pub(crate) ssrcs: Vec<u32>,
}

/// A conference on one bridge.
#[derive(Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) number: u64,
    pub(crate) bridge: String,
    pub(crate) meeting: String,
    pub(crate) id: String,
    pub(crate) region: Option<String>,
    pub(crate) relay_id: Option<String>,
    #[serde(default)]
    pub(crate) viewers: bool,
    pub(crate) created: bool,
    pub(crate) answered: bool,
    pub(crate) feedback: Sources,
    pub(crate) endpoints: Vec<String>,
    pub(crate) links: Vec<(u64, Link)>,
}

/// What one bridge is told of another.
#[derive(Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) relay: String,
    pub(crate) begins: bool,
    #[serde(default = "core_mesh")]
    pub(crate) mesh: String,
    pub(crate) stage: Stage,
    pub(crate) ours: Option<String>,
    pub(crate) knows_theirs: bool,
    pub(crate) told: Vec<String>,
    pub(crate) stale: Vec<String>,
}

/// Of a focus that knew no other.
fn core_mesh() -> String {
    "0".to_owned()
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Stage {
    Wanted,
    /// Somebody waits for the bridge's answer, and is gone: it is made anew.
    Asked,
    Made,
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Audience {
    pub(crate) room: Option<String>,
    pub(crate) tell_at: Option<Ms>,
    pub(crate) told: (usize, String),
    pub(crate) used: bool,
    pub(crate) lobby: bool,
    pub(crate) forbidden: bool,
    pub(crate) live: bool,
    pub(crate) soft_limit: Option<usize>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Recording {
    pub(crate) id: String,
    pub(crate) stream: bool,
    pub(crate) order: Vec<(String, String)>,
    pub(crate) initiator: String,
    pub(crate) recorder: String,
    pub(crate) asks: Option<String>,
    pub(crate) until: Option<Ms>,
    pub(crate) tried: u32,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RecordingStatus {
    pub(crate) on: bool,
    pub(crate) id: String,
    pub(crate) stream: bool,
    pub(crate) initiator: String,
    pub(crate) busy: Option<bool>,
}
