//! What the shell has checked and resolved comes in here; the engine only reads it.

use std::time::Duration;

use jitsi_xmpp::{BareJid, Jid};

use crate::limits;

/// The focus' settings. Defaults are upstream's.
#[derive(Debug, Clone)]
pub struct Config {
    /// The public XMPP domain, asked for its components: `meet.jitsi`.
    pub domain: String,
    /// The domain of the rooms: `muc.meet.jitsi`.
    pub muc_domain: String,
    /// The one domain whose resources are original sender addresses (`mod_client_proxy`): `focus.meet.jitsi`.
    pub client_proxy: Option<String>,
    /// Where bridges publish their stats.
    pub brewery: BareJid,
    /// Which of them a participant gets, and whether a conference may span several.
    pub bridges: BridgesConfig,
    /// Where recorders say how they are (`jibri.brewery-jid`). `None`: nothing is recorded.
    pub recorders: Option<BareJid>,
    /// How many more recorders are tried when one fails (`jibri.num-retries`). `None`: as many as there are.
    pub recorder_retries: Option<u32>,
    /// How long a recorder has to begin (`jibri.pending-timeout`).
    pub recorder_pending: Duration,
    /// How long a wish to record waits while all recorders work. Zero: not at all, as upstream.
    pub recorder_wait: Duration,
    /// Where gateways to telephones and transcribers do (`jigasi.brewery-jid`).
    pub gateways: Option<BareJid>,
    /// Domains whose accounts, and single accounts that, may call themselves Jibri, Jigasi or transcriber.
    pub trusted_domains: Vec<String>,
    /// Only who has logged in opens a room, and owns it. `None`: everybody may.
    pub login: Option<LoginConfig>,
    /// The first participant becomes owner, and the next one when it leaves (`enable-auto-owner`).
    pub auto_owner: bool,
    /// So long that right waits for the browser of who had it, before the next one gets it. Zero: not at all, as upstream.
    pub owner_grace: Duration,
    /// Members needed before anybody gets media.
    pub min_participants: usize,
    /// Clients that can do it get their remote streams from the bridge alone (`use-ssrc-rewriting`).
    pub ssrc_rewriting: bool,
    /// Clients that can read it get sources as JSON (`use-json-encoded-sources`).
    pub json_sources: bool,
    /// Receivers are told one layer of a simulcast source (`strip-simulcast`).
    pub strip_simulcast: bool,
    /// Clients may look for another path without a new session (`enable-ice-restart`).
    pub ice_restart: bool,
    /// Offer a data channel (`sctp.enabled`).
    pub sctp: bool,
    /// What is offered.
    pub offer: OfferConfig,
    /// Participants who may send audio; the rest cannot unmute.
    pub max_audio_senders: usize,
    /// Participants who may send video.
    pub max_video_senders: usize,
    /// End a lone participant's session after this.
    pub single_participant: Duration,
    /// Give up on a conference that nobody joins after this.
    pub conference_start: Duration,
    /// From how many members on changes of sources are collected for how long before receivers hear of them; ascending
    /// (`source-signaling-delays`).
    pub source_signaling_delays: Vec<(usize, Duration)>,
    /// Shared documents have names that nobody can guess (`shared-document.use-random-name`).
    pub random_pad_names: bool,
    /// How meetings are watched. `None`: they are not.
    pub visitors: Option<VisitorsConfig>,
    /// Published as the version of component `focus`.
    pub version: String,
}

impl Config {
    /// Upstream's defaults for one domain, in the layout of its docker setup.
    pub fn for_domain(domain: &str) -> Result<Self, jitsi_xmpp::jid::JidError> {
        let domain: Jid = domain.parse()?;
        let domain = domain.domain();
        Ok(Self {
            domain: domain.into(),
            muc_domain: format!("muc.{domain}"),
            client_proxy: Some(format!("focus.{domain}")),
            brewery: BareJid::from_parts("jvbbrewery", &format!("internal-muc.{domain}"))?,
            bridges: BridgesConfig::default(),
            recorders: None,
            recorder_retries: Some(5),
            recorder_pending: limits::RECORDER_PENDING,
            recorder_wait: limits::RECORDER_WAIT,
            gateways: None,
            trusted_domains: Vec::new(),
            login: None,
            auto_owner: true,
            owner_grace: limits::OWNER_GRACE,
            min_participants: 2,
            ssrc_rewriting: true,
            json_sources: true,
            strip_simulcast: true,
            ice_restart: true,
            sctp: true,
            offer: OfferConfig::default(),
            max_audio_senders: 999_999,
            max_video_senders: 999_999,
            single_participant: limits::SINGLE_PARTICIPANT,
            conference_start: limits::CONFERENCE_START,
            source_signaling_delays: Vec::new(),
            random_pad_names: false,
            visitors: None,
            version: concat!("Plausch ", env!("CARGO_PKG_VERSION")).into(),
        })
    }

    /// How long changes are collected in a conference of so many.
    pub(crate) fn source_signaling_delay(&self, members: usize) -> Duration {
        let reached = self.source_signaling_delays.iter().take_while(|(from, _)| *from <= members);
        reached.last().map_or(Duration::ZERO, |(_, delay)| *delay)
    }
}

/// How bridges are chosen (focus §7.3, §7.4). Defaults are upstream's: a conference stays on one bridge.
#[derive(Debug, Clone)]
pub struct BridgesConfig {
    /// How (`bridge.selection-strategy`).
    pub strategy: Strategy,
    /// A conference may span several bridges that say a relay id (`octo.enabled`).
    pub relays: bool,
    /// Bridges for those who watch hang in a tree below those of the others (`topology-strategy`); else each is linked with each.
    pub tree: bool,
    /// Also bridges of different versions (`octo.allow-mixed-versions`): for tests.
    pub mixed_versions: bool,
    /// The region of who says none (`local-region`).
    pub local_region: Option<String>,
    /// Regions that are near each other (`bridge.region-groups`).
    pub region_groups: Vec<Vec<String>>,
    /// People of one conference on one bridge before another one is preferred (`bridge.max-bridge-participants`). `None`: no limit.
    pub max_participants: Option<usize>,
    /// The same of those who came within [`BridgesConfig::joins_interval`] (`bridge.max-bridge-participants-per-interval`, where upstream has
    /// no limit).
    pub max_joins: Option<usize>,
    /// See there (`bridge.max-bridge-participants-interval`).
    pub joins_interval: Duration,
    /// From this stress on a bridge is avoided (`bridge.stress-threshold`).
    pub stress_threshold: f64,
    /// A bridge with conferences that says nothing for so long is left. `None`: as upstream, when it leaves or a request fails.
    pub silence: Option<Duration>,
    /// A bridge whose people keep asking for other sessions counts as overloaded (`bridge.ice-failure-detection`). `None`: it does not.
    pub ice_failures: Option<IceFailures>,
    /// People are moved off a bridge that drains, a few at a time. Upstream waits until they leave.
    pub empty_draining: bool,
    /// People are moved off a bridge with too much load (`bridge.load-redistribution`). `None`: they stay.
    pub redistribution: Option<Redistribution>,
    /// Stress of a participant until the bridge says it (`bridge.average-participant-stress`).
    pub average_stress: f64,
}

/// How people are moved off a bridge with too much load. Defaults are upstream's, when it is on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Redistribution {
    /// How often bridges are looked at (`interval`).
    pub interval: Duration,
    /// From this load on people are moved (`stress-threshold`).
    pub threshold: f64,
    /// Off the same bridge not sooner than after this (`timeout`).
    pub timeout: Duration,
    /// So many at a time (`endpoints`).
    pub people: usize,
}

impl Default for Redistribution {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            threshold: 0.9,
            timeout: Duration::from_secs(180),
            people: 10,
        }
    }
}

/// When a bridge is taken for one that people do not reach. Defaults are upstream's, when it is on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IceFailures {
    /// So many people have to be on it (`min-endpoints`).
    pub people: usize,
    /// Requests within this count (`interval`).
    pub interval: Duration,
    /// From more of them for each person on (`threshold`).
    pub threshold: f64,
    /// For so long after the last look that found it so (`timeout`).
    pub timeout: Duration,
}

impl Default for IceFailures {
    fn default() -> Self {
        Self {
            people: 30,
            interval: Duration::from_secs(120),
            threshold: 0.1,
            timeout: Duration::from_secs(600),
        }
    }
}

impl Default for BridgesConfig {
    fn default() -> Self {
        Self {
            strategy: Strategy::Single,
            relays: false,
            tree: false,
            mixed_versions: false,
            local_region: None,
            region_groups: Vec::new(),
            max_participants: Some(80),
            max_joins: Some(limits::BRIDGE_JOINS),
            joins_interval: Duration::from_secs(60),
            stress_threshold: 0.8,
            silence: Some(Duration::from_millis(2500)),
            ice_failures: None,
            empty_draining: false,
            redistribution: None,
            average_stress: 0.01,
        }
    }
}

impl BridgesConfig {
    /// compat: as upstream, splitting means relays, whatever is said of them (test: compat_split_means_relays).
    pub(crate) fn spans(&self) -> bool {
        match self.strategy {
            Strategy::Single => false,
            Strategy::Split => true,
            Strategy::RegionBased | Strategy::IntraRegion | Strategy::Visitors => self.relays,
        }
    }

    /// Whether two regions are the same or near each other.
    pub(crate) fn are_near(&self, one: &str, other: &str) -> bool {
        one == other
            || self.region_groups.iter().any(|g| g.iter().any(|r| r == one) && g.iter().any(|r| r == other))
    }
}

/// How a bridge is chosen, by upstream's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// One bridge for a conference: the least loaded of the first participant's region.
    Single,
    /// As many bridges as there are: for tests.
    Split,
    /// Each participant on a bridge of its region.
    RegionBased,
    /// Several bridges of one region, when one is full.
    IntraRegion,
    /// Who only watches is on other bridges than those who meet, as long as there are enough; of either kind each in its region.
    Visitors,
}

impl Strategy {
    /// By the name of upstream's class, with or without its package.
    ///
    /// compat: upstream's strategy for viewers is told another one for each class; its image says by region for both, and so is it here
    /// (test: compat_strategies_have_upstream_s_names).
    pub fn named(name: &str) -> Option<Self> {
        let short = name.strip_prefix("org.jitsi.jicofo.bridge.").unwrap_or(name);
        Some(match short {
            "SingleBridgeSelectionStrategy" => Self::Single,
            "SplitBridgeSelectionStrategy" => Self::Split,
            "RegionBasedBridgeSelectionStrategy" => Self::RegionBased,
            "VisitorSelectionStrategy" => Self::Visitors,
            "IntraRegionBridgeSelectionStrategy" => Self::IntraRegion,
            _ => return None,
        })
    }
}

/// How meetings are watched (focus §3.11): viewers log in at a domain of their own and are in rooms of their own.
#[derive(Debug, Clone)]
pub struct VisitorsConfig {
    /// What the domain is to clients: `v0`.
    pub vnode: String,
    /// `v0.meet.jitsi`
    pub domain: String,
    /// So many meet; who comes then watches (`visitors.max-participants`).
    pub max_participants: usize,
    /// So many watch one meeting (`max-visitors-per-node`).
    pub max_viewers: usize,
    /// How often everybody is told how many do (`notification-interval`).
    pub interval: Duration,
    /// Who asks to watch waits until the meeting is shown (`enable-live-room`).
    pub only_live: bool,
}

impl VisitorsConfig {
    /// Upstream's defaults, but for the number of viewers: here the server that serves them is the meeting's own.
    pub fn for_domain(vnode: &str, domain: &str) -> Self {
        Self {
            vnode: vnode.to_owned(),
            domain: domain.to_owned(),
            max_participants: limits::MAX_PARTICIPANTS,
            max_viewers: limits::MAX_VIEWERS,
            interval: limits::VISITOR_COUNT,
            only_live: false,
        }
    }

    /// From where a room is watched. compat: its domain with that of the viewers in place of the main one, as clients make it (test:
    /// compat_the_room_of_viewers_is_where_clients_look_for_it).
    pub(crate) fn room_of(&self, main: &str, meeting: &BareJid) -> Option<BareJid> {
        Self::moved(meeting, main, &self.domain)
    }

    /// The room that is watched from another.
    pub(crate) fn meeting_of(&self, main: &str, room: &BareJid) -> Option<BareJid> {
        Self::moved(room, &self.domain, main)
    }

    fn moved(room: &BareJid, from: &str, to: &str) -> Option<BareJid> {
        let prefix = room.domain().strip_suffix(from)?.strip_suffix('.')?;
        BareJid::from_parts(room.node()?, &format!("{prefix}.{to}")).ok()
    }
}

/// How people log in.
#[derive(Debug, Clone)]
pub struct LoginConfig {
    /// Whose accounts count (`login-url`): `meet.jitsi`.
    pub domain: String,
    /// How long a session lasts without being shown (`authentication-lifetime`).
    pub lifetime: Duration,
    /// Sessions outlive their meeting (`enable-auto-login`).
    pub automatic: bool,
    /// Clients are told that they log in elsewhere, with a token (`type = JWT`).
    pub external: bool,
}

/// Codecs, payload types and header extensions to offer (focus §4.3 to §4.5). A payload type of 0 switches it off.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct OfferConfig {
    pub av1: VideoCodec,
    pub vp8: VideoCodec,
    pub h264: VideoCodec,
    pub vp9: VideoCodec,
    pub opus: u8,
    /// RFC 2198 for opus; off by default as upstream.
    pub opus_red: Option<u8>,
    pub telephone_event: u8,
    /// Transport-wide congestion control, header extension id 5.
    pub tcc: bool,
    /// `sdes:mid`, header extension id 10: on upstream, off in its docker image, needed by nothing here.
    pub mid: bool,
    /// `abs-send-time`, header extension id 3.
    pub abs_send_time: bool,
    /// AV1 dependency descriptor, header extension id 11.
    pub dependency_descriptor: bool,
    /// `ssrc-audio-level`, header extension id 1.
    pub audio_level: bool,
    pub extmap_allow_mixed: bool,
}

/// Payload types of one video codec; 0 switches it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct VideoCodec {
    pub pt: u8,
    pub rtx_pt: u8,
}

impl Default for OfferConfig {
    fn default() -> Self {
        Self {
            av1: VideoCodec { pt: 41, rtx_pt: 42 },
            vp8: VideoCodec { pt: 100, rtx_pt: 96 },
            h264: VideoCodec { pt: 107, rtx_pt: 99 },
            vp9: VideoCodec { pt: 101, rtx_pt: 97 },
            opus: 111,
            opus_red: None,
            telephone_event: 126,
            tcc: true,
            mid: false,
            abs_send_time: true,
            dependency_descriptor: true,
            audio_level: true,
            extmap_allow_mixed: true,
        }
    }
}
