//! One endpoint as the media part sees it: a sender, a receiver, or both.

use std::time::Instant;

use budget::Bucket;
use foldhash::HashMap;
use jitsi_xmpp::bridge_channel::BridgeMessage;
use jitsi_xmpp::ids::{EndpointId, SourceName, Ssrc};
use jitsi_xmpp::jingle::VideoType;

use crate::media::allocation::settings::{AudioSubscription, VideoSettings};
use crate::media::egress::Egress;
use crate::media::ids::{Bitrate, SourceIx, StreamIx};
use crate::media::ingress::arrivals::Arrivals;
use crate::media::ingress::negotiated::Negotiated;
use crate::media::ingress::source::SsrcRole;
use crate::media::{EndpointInit, EndpointKey, MediaConfig, MediaSink};

/// An endpoint.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) key: EndpointKey,
    pub(crate) id: EndpointId,
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
    /// As a sender.
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
    /// The video sources it gets now, as last announced.
    pub(crate) forwarded: Vec<SourceName>,
    /// The part of what was sent lately that it reports as lost.
    pub(crate) outgoing_loss: f32,
    pub(crate) next_stats: Option<Instant>,
    /// Whether everybody has to be allocated anew because of it.
    pub(crate) news: bool,
    pub(crate) budgets: Budgets,
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
            forwarded: Vec::new(),
            outgoing_loss: 0.0,
            next_stats: config.connection_stats_interval.map(|i| now + i),
            news: false,
            budgets: Budgets::default(),
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
