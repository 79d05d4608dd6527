//! One endpoint as the media part sees it: a sender, a receiver, or both; or another bridge.

use std::time::Instant;

use budget::Bucket;
use foldhash::HashMap;
use jitsi_xmpp::bridge_channel::{BridgeMessage, VideoConstraints};
use jitsi_xmpp::ids::{EndpointId, SourceName, Ssrc};
use jitsi_xmpp::jingle::VideoType;

use crate::media::allocation::settings::{AudioSubscription, VideoSettings};
use crate::media::egress::Egress;
use crate::media::ids::{Bitrate, MemberIx, SourceIx, StreamIx};
use crate::media::ingress::arrivals::Arrivals;
use crate::media::ingress::negotiated::Negotiated;
use crate::media::ingress::source::SsrcRole;
use crate::media::{EndpointInit, EndpointKey, MediaConfig, MediaSink, RelayInit};

/// An endpoint here, a relay, or an endpoint behind one.
#[derive(Debug)]
pub(crate) struct Member {
    /// Where it is reached: of an endpoint behind a relay the relay's.
    pub(crate) key: EndpointKey,
    pub(crate) id: EndpointId,
    pub(crate) role: Role,
    pub(crate) visitor: bool,
    pub(crate) rewriting: bool,
    pub(crate) up: bool,
    pub(crate) channel: bool,
    /// Whether the channel did not take something the client has to know.
    pub(crate) behind: bool,
    /// Whether several people speak here, as services outside are told.
    pub(crate) diarize: bool,
    /// Force-muted audio, video.
    pub(crate) muted: [bool; 2],
    pub(crate) negotiated: Negotiated,
    /// As a sender: what comes over its transport. Of a relay what all endpoints behind it send.
    pub(crate) ssrcs: HashMap<Ssrc, SsrcRole>,
    pub(crate) sources: Vec<SourceIx>,
    pub(crate) early_kinds: Vec<(SourceName, VideoType)>,
    pub(crate) arrivals: Arrivals,
    pub(crate) next_report: Instant,
    /// As a receiver.
    pub(crate) egress: Egress,
    pub(crate) settings: VideoSettings,
    pub(crate) audio: AudioSubscription,
    /// Whether the video it gets has to be chosen anew.
    pub(crate) stale: bool,
    /// Whether the audio sources it gets have to be chosen anew.
    pub(crate) audio_stale: bool,
    /// The video sources it was allocated something of, or wished for, the last time.
    pub(crate) allocated: Vec<SourceIx>,
    pub(crate) allocated_at: Instant,
    /// What it would get if its estimate were higher; `None` when the estimate is no limit.
    pub(crate) ideal: Option<Bitrate>,
    /// A source it wants is too much for its bandwidth.
    pub(crate) lacks_source: bool,
    /// The video sources it gets now, as last announced.
    pub(crate) forwarded: Vec<SourceName>,
    /// The part of what was sent lately that it reports as lost.
    pub(crate) outgoing_loss: f32,
    pub(crate) next_stats: Option<Instant>,
    /// Whether everybody has to be allocated anew because of it.
    pub(crate) news: bool,
    pub(crate) budgets: Budgets,
}

/// What a member is.
#[derive(Debug)]
pub(crate) enum Role {
    /// An endpoint with a transport of its own.
    Local,
    /// Another bridge.
    Relay(Box<Relay>),
    /// An endpoint of another bridge.
    Remote {
        /// Which.
        relay: MemberIx,
    },
}

/// Another bridge, and who is there.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) mesh: Option<String>,
    pub(crate) endpoints: HashMap<EndpointId, MemberIx>,
    /// What it wished of sources that nobody is known to have: it was told of them before us.
    pub(crate) early_wishes: Vec<(SourceName, VideoConstraints)>,
}

/// What is left of what one endpoint may cost; the rates are in `limits.rs`. Beyond, it loses something and nobody else
/// does.
#[derive(Debug, Default)]
pub(crate) struct Budgets {
    pub(crate) rtp: Bucket,
    pub(crate) audio: Bucket,
    pub(crate) rtcp: Bucket,
    pub(crate) feedback: Bucket,
    pub(crate) retransmitted: Bucket,
    pub(crate) refreshes: Bucket,
    pub(crate) allocations: Bucket,
    pub(crate) allocations_of_all: Bucket,
}

impl Member {
    pub(crate) fn new(now: Instant, key: EndpointKey, init: EndpointInit, config: &MediaConfig) -> Self {
        let last_n = init.initial_last_n.unwrap_or(config.initial_last_n);
        Self {
            key,
            id: init.id,
            role: Role::Local,
            visitor: init.visitor,
            rewriting: init.ssrc_rewriting,
            up: false,
            channel: false,
            behind: false,
            diarize: false,
            muted: [false; 2],
            negotiated: Negotiated::default(),
            ssrcs: HashMap::default(),
            sources: Vec::new(),
            early_kinds: Vec::new(),
            arrivals: Arrivals::new(now),
            next_report: now,
            egress: Egress::new(key, config),
            settings: VideoSettings::new(last_n, config.initial_max_height),
            audio: AudioSubscription::default(),
            stale: true,
            audio_stale: true,
            allocated: Vec::new(),
            allocated_at: now,
            ideal: None,
            lacks_source: false,
            forwarded: Vec::new(),
            outgoing_loss: 0.0,
            next_stats: config.connection_stats_interval.map(|i| now + i),
            news: false,
            budgets: Budgets::default(),
        }
    }

    /// A relay, which chooses for its receivers itself.
    pub(crate) fn relay(now: Instant, key: EndpointKey, init: RelayInit, config: &MediaConfig) -> Self {
        let relay = Relay { mesh: init.mesh, endpoints: HashMap::default(), early_wishes: Vec::new() };
        let id = EndpointId::new(init.id);
        Self { role: Role::Relay(Box::new(relay)), ..Self::without_wishes(now, key, id, config) }
    }

    /// An endpoint behind a relay, which is at `relay`.
    pub(crate) fn remote(
        now: Instant,
        (relay, at): (&Self, MemberIx),
        id: EndpointId,
        config: &MediaConfig,
    ) -> Self {
        Self {
            role: Role::Remote { relay: at },
            up: relay.up,
            negotiated: relay.negotiated.clone(),
            ..Self::without_wishes(now, relay.key, id, config)
        }
    }

    fn without_wishes(now: Instant, key: EndpointKey, id: EndpointId, config: &MediaConfig) -> Self {
        let init = EndpointInit { id, ssrc_rewriting: false, visitor: false, initial_last_n: None };
        Self { stale: false, audio_stale: false, next_stats: None, ..Self::new(now, key, init, config) }
    }

    /// Whether it is an endpoint here: only those are allocated something.
    pub(crate) fn is_local(&self) -> bool {
        matches!(self.role, Role::Local)
    }

    /// The bridge it is, if it is one.
    pub(crate) fn as_relay(&self) -> Option<&Relay> {
        match &self.role {
            Role::Relay(relay) => Some(relay),
            _ => None,
        }
    }

    /// See [`Self::as_relay`].
    pub(crate) fn as_relay_mut(&mut self) -> Option<&mut Relay> {
        match &mut self.role {
            Role::Relay(relay) => Some(relay),
            _ => None,
        }
    }

    /// The relay it is behind, if it is.
    pub(crate) fn behind_relay(&self) -> Option<MemberIx> {
        match self.role {
            Role::Remote { relay } => Some(relay),
            _ => None,
        }
    }

    /// Says something the client has to know; `slots` are those it is about. They count as told when it was taken.
    pub(crate) fn tell(&mut self, slots: &[StreamIx], message: &BridgeMessage, sink: &mut dyn MediaSink) {
        let taken = sink.message(self.key, message);
        self.behind |= !taken;
        for slot in slots {
            if let Some(stream) = self.egress.stream_mut(*slot).filter(|_| taken) {
                stream.announced = true;
            }
        }
    }
}
