//! The media of one conference: decrypted RTP, RTCP and channel messages in; rewritten packets, RTCP and channel
//! messages for each receiver out.
//!
//! A packet walks through the folders in this order: [`ingress`] (what is it, what was lost), `history` (keep one
//! copy), `allocation` (who should get what, recomputed rarely), [`egress`] (rewrite it for each receiver).
//! `bwe` tells what a receiver's link carries, `speakers` who talks. Other bridges of the conference get everything as it
//! came (`relays`). Nothing here encrypts, sends or reads a clock.

mod allocation;
mod bwe;
mod conference;
mod counters;
mod egress;
mod history;
mod ids;
mod ingress;
mod keyframes;
pub mod limits;
mod packet;
mod speakers;

pub use allocation::by_size::LastNBySize;
pub use conference::MediaConference;
pub use conference::export::{Export, ExportKey, ExportedAudio};
pub use counters::{Counters, DropReason};
pub use ids::Bitrate;

use std::time::Duration;

use jitsi_xmpp::bridge_channel::BridgeMessage;
use jitsi_xmpp::ids::{EndpointId, Ssrc};

/// Names an endpoint of one shard in calls between the bridge and its media: a small index, free to copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointKey(pub u32);

/// Where the media of a conference puts what it wants sent. Calls must not block and never fail: a full queue
/// drops.
pub trait MediaSink {
    /// One RTP packet for `to`, in the order of the bytes on the wire: the header, complete with extensions, and what goes before the
    /// payload or is rewritten of it (a retransmission's original sequence number, a payload descriptor); the rest of the
    /// payload; padding.
    fn rtp(&mut self, to: EndpointKey, parts: [&[u8]; 3]);

    /// The same of somebody who speaks: it may be sent again, by its number. Numbers count up, and few of the last are asked for.
    fn speech(&mut self, to: EndpointKey, _nth: u32, parts: [&[u8]; 3]) {
        self.rtp(to, parts);
    }

    /// The same datagram once more, byte for byte: it is not encrypted again. Returns whether it was sent.
    fn speech_again(&mut self, _to: EndpointKey, _nth: u32) -> bool {
        false
    }

    /// None is sent again any more.
    fn speech_ends(&mut self, _to: EndpointKey) {}

    /// One RTCP compound packet for `to`.
    fn rtcp(&mut self, to: EndpointKey, compound: &[u8]);

    /// One message for `to` on its bridge channel. Returns whether it was taken: what was not is told again later.
    fn message(&mut self, to: EndpointKey, message: &BridgeMessage) -> bool;

    /// Audio for a service outside.
    fn export(&mut self, _to: ExportKey, _audio: ExportedAudio) {}
}

/// The SSRCs the bridge itself sends with: the same for all endpoints of a conference, announced to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedbackSsrcs {
    /// Of `jvb-a0`.
    pub audio: Ssrc,
    /// Of `jvb-v0`.
    pub video: Ssrc,
}

/// What is known of an endpoint when it is created.
#[derive(Debug, Clone)]
pub struct EndpointInit {
    /// Its id, as it appears in channel messages and source names.
    pub id: EndpointId,
    /// Whether it gets a fixed set of SSRCs with source maps instead of the senders' own.
    pub ssrc_rewriting: bool,
    /// Whether it may only receive.
    pub visitor: bool,
    /// Last-n until it asks for another.
    pub initial_last_n: Option<i32>,
}

/// What is known of a relay, the way to another bridge of the same conference, when it is created.
#[derive(Debug, Clone)]
pub struct RelayInit {
    /// The other bridge's relay id.
    pub id: String,
    /// Bridges of one mesh all reach each other: what came from one of them is not passed on to another.
    pub mesh: Option<String>,
}

/// Settings of the media part; names and defaults are upstream's.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// `cc.jvb-last-n`: at most this many video sources per receiver; −1 = no limit.
    pub jvb_last_n: i32,
    /// `load-management.conference-last-n-limits`: the same by the size of the conference.
    pub last_n_by_size: LastNBySize,
    /// The same while the bridge is overloaded (`load-management.reducer-enabled`); changes as it runs.
    pub load_last_n: Option<u32>,
    /// `cc.initial-last-n`.
    pub initial_last_n: i32,
    /// `cc.initial-max-height-px`: what a receiver gets before it asked for anything.
    pub initial_max_height: i32,
    /// `cc.default-max-height-px`: what it gets when it asked, but not for this source.
    pub default_max_height: i32,
    /// `cc.trust-bwe`: whether estimates limit what is sent.
    pub trust_bwe: bool,
    /// `cc.assumed-bandwidth-limit`: permission to assume a bandwidth, and the most that may be assumed.
    pub assumed_bandwidth_limit: Option<Bitrate>,
    /// `cc.bwe-change-threshold`: relative change of the estimate that leads to a new allocation.
    pub bwe_change_threshold: f64,
    /// `cc.max-time-between-calculations`.
    pub max_time_between_calculations: Duration,
    /// `ssrc-limit.video`.
    pub video_slots: usize,
    /// `ssrc-limit.audio`.
    pub audio_slots: usize,
    /// `audio.level.discard-silence`.
    pub discard_silence: bool,
    /// `audio.level.forwarded-silence-packets-limit`.
    pub forwarded_silence_packets: u32,
    /// `connection-stats.interval`; `None` = never sent.
    pub connection_stats_interval: Option<Duration>,
    /// `relay.relay-id`: who we are to other bridges.
    pub relay_id: String,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            jvb_last_n: -1,
            last_n_by_size: LastNBySize::default(),
            load_last_n: None,
            initial_last_n: -1,
            initial_max_height: 0,
            default_max_height: 180,
            trust_bwe: true,
            assumed_bandwidth_limit: None,
            bwe_change_threshold: 0.15,
            max_time_between_calculations: Duration::from_secs(5),
            video_slots: limits::SSRC_SLOTS,
            audio_slots: limits::SSRC_SLOTS,
            discard_silence: true,
            forwarded_silence_packets: 3,
            connection_stats_interval: Some(Duration::from_secs(10)),
            relay_id: String::new(),
        }
    }
}
