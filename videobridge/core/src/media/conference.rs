//! One conference's media: who takes part, with which sources. Every input of [`MediaConference`] starts here and
//! continues in one of the files below.
//!
//! [`MediaConference`] is one state machine. What it knows is in structs of their own, each with its file; its `impl` is
//! in seven files. Read them in this order, which is that of the data:
//!
//! | file | input | what it changes | state that lives there |
//! |---|---|---|---|
//! | `conference.rs` | members, sources, channel messages | who is there and what is wished for | |
//! | `member.rs` | – | one endpoint, with what it may cost | `Member` |
//! | `members.rs` | – | the endpoints, and who has to be allocated anew | `Members` |
//! | `sources.rs` | – | the sources, and what each SSRC is | `Sources` |
//! | `forward.rs` | RTP | what a source is, and copies for everybody who gets it | |
//! | `rtcp.rs` | RTCP | estimates, retransmissions, key frame requests | |
//! | `pace.rs` | time | what waits for a receiver, probes of its link | |
//! | `settle.rs` | after every input | who gets what, for receivers whose inputs changed | `Turns` |
//! | `announce.rs` | called by the others | what clients are told | |
//! | `export.rs` | called by `forward.rs` | what services outside get | |
//! | `relays.rs` | other bridges and who is there | who else sends; what those bridges get and are told | `Relay` |
//! | `tick.rs` | time | reports, repeated requests, speakers, silent layers | `Clock` |

mod announce;
pub(crate) mod export;
mod forward;
mod member;
mod members;
mod pace;
mod relays;
mod rtcp;
mod settle;
mod sources;
#[cfg(test)]
mod tests;
mod tick;

use std::time::{Duration, Instant};

use jitsi_xmpp::bridge_channel::{ClientMessage, SourceVideoType};
use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::ids::{MediaType, SourceName};
use jitsi_xmpp::jingle::{HeaderExtension, PayloadType, VideoType};

use self::export::Export;
use self::member::Member;
use self::members::Members;
use self::settle::Turns;
use self::sources::Sources;
use self::tick::Clock;
use super::allocation::settings::{AudioSubscription, VideoUpdate, fits};
use super::counters::{Counters, DropReason};
use super::egress::write::Buffers;
use super::ids::{Bitrate, MemberIx, SourceIx};
use super::ingress::source::Signalled;
use super::limits::{
    ALLOCATIONS_OF_ALL_PER_SENDER, MAX_EARLY_VIDEO_TYPES, MAX_SOURCES_PER_ENDPOINT, MAX_SSRCS_PER_ENDPOINT,
};
use super::speakers::Speakers;
use super::{EndpointInit, EndpointKey, FeedbackSsrcs, MediaConfig, MediaSink};

/// The media of one conference.
///
/// Inputs: `set_…`, `handle_rtp`, `handle_rtcp`, `handle_channel_message`, `handle_timeout`. All outputs go to the
/// [`MediaSink`] before the call returns. After any call the next [`Self::poll_timeout`] may be earlier.
#[derive(Debug)]
pub struct MediaConference {
    config: MediaConfig,
    feedback: FeedbackSsrcs,
    /// Chooses SSRCs and first sequence numbers: they have to differ, not to be secret.
    entropy: SeededEntropy,
    members: Members,
    sources: Sources,
    speakers: Speakers,
    /// Services outside.
    exports: Vec<Export>,
    turns: Turns,
    clock: Clock,
    /// Where the packet is written that goes out next.
    buffers: Buffers,
    counters: Counters,
}

impl MediaConference {
    /// A conference without endpoints. `seed` should be random.
    pub fn new(config: MediaConfig, feedback: FeedbackSsrcs, seed: u64) -> Self {
        Self {
            config,
            feedback,
            entropy: SeededEntropy::new(seed),
            members: Members::new(),
            sources: Sources::new(),
            speakers: Speakers::default(),
            exports: Vec::new(),
            turns: Turns::default(),
            clock: Clock::default(),
            buffers: Buffers::default(),
            counters: Counters::default(),
        }
    }

    /// A new endpoint. `key` must not be in use.
    pub fn add_endpoint(&mut self, now: Instant, key: EndpointKey, init: EndpointInit) {
        let visitor = init.visitor;
        let index = self.members.add(Member::new(now, key, init, &self.config));
        if !visitor {
            self.speakers.join(index);
        }
        self.clock.begin(now);
    }

    /// An endpoint leaves; nothing of it stays.
    pub fn remove_endpoint(&mut self, now: Instant, key: EndpointKey, sink: &mut dyn MediaSink) {
        let Some(index) = self.members.find(key) else { return };
        self.remove_member(index, sink);
        self.settle(now, sink);
    }

    fn remove_member(&mut self, index: MemberIx, sink: &mut dyn MediaSink) {
        let owned = self.members.get_mut(index).map(|m| std::mem::take(&mut m.sources)).unwrap_or_default();
        for source in owned {
            self.sources.remove(source, &mut self.members);
        }
        self.members.iter_mut().for_each(|(_, member)| member.egress.left(index));
        let told: Vec<SourceIx> =
            self.sources.iter_mut().filter_map(|(i, s)| s.forget(index).then_some(i)).collect();
        self.members.remove(index);
        for source in told {
            self.tell_sender(source, sink);
        }
        if self.speakers.leave(index) {
            self.announce_speakers(sink);
        }
        self.members.touch_all();
    }

    /// What an endpoint can send and receive of one medium, added to what was said before.
    pub fn add_payload_types(&mut self, key: EndpointKey, media: MediaType, types: &[PayloadType]) {
        let Some(index) = self.members.find(key) else { return };
        if let Some(member) = self.members.get_mut(index) {
            member.negotiated.add_payload_types(media, types);
            member.audio_stale = true;
        }
        self.share_negotiated(index);
        self.members.touch(index);
    }

    /// Last-n until an endpoint chooses for itself; without effect from then on.
    pub fn set_initial_last_n(
        &mut self,
        now: Instant,
        key: EndpointKey,
        last_n: i32,
        sink: &mut dyn MediaSink,
    ) {
        let Some(index) = self.members.find(key) else { return };
        if self.members.get_mut(index).is_some_and(|m| m.settings.set_initial_last_n(last_n)) {
            self.members.touch(index);
        }
        self.settle(now, sink);
    }

    /// How many pictures anybody may get while the bridge is overloaded.
    pub fn set_load_last_n(&mut self, now: Instant, last_n: Option<u32>, sink: &mut dyn MediaSink) {
        if self.config.load_last_n != last_n {
            self.config.load_last_n = last_n;
            self.members.touch_all();
            self.settle(now, sink);
        }
    }

    /// How many pictures an endpoint gets.
    pub(crate) fn forwarded(&self, key: EndpointKey) -> usize {
        self.members.by_key(key).map_or(0, |member| member.forwarded.len())
    }

    /// Header extensions of an endpoint, added to those set before.
    pub fn add_header_extensions(&mut self, key: EndpointKey, extensions: &[HeaderExtension]) {
        let Some(index) = self.members.find(key) else { return };
        let Some(member) = self.members.get_mut(index) else { return };
        if member.as_relay().is_some() {
            member.negotiated.add_relay_extensions(extensions);
            return self.share_negotiated(index);
        }
        member.negotiated.add_header_extensions(extensions);
        for source in &member.sources {
            if let Some(source) = self.sources.get_mut(*source) {
                source.kinds = member.negotiated.kinds;
            }
        }
    }

    /// All sources of an endpoint: replaces those set before, keeping the state of unchanged ones.
    pub fn set_sources(
        &mut self,
        now: Instant,
        key: EndpointKey,
        sources: &[MediaSource],
        sink: &mut dyn MediaSink,
    ) {
        let Some(index) = self.members.find(key) else { return };
        self.set_sources_of(now, index, sources);
        self.take_early_wishes(index, sink);
        self.settle(now, sink);
    }

    fn set_sources_of(&mut self, now: Instant, index: MemberIx, sources: &[MediaSource]) {
        let visitor = self.members.get(index).is_none_or(|m| m.visitor);
        let mut wanted: Vec<Signalled> = Vec::new();
        let mut ssrcs = 0;
        for one in sources.iter().flat_map(Signalled::read).filter(|_| !visitor) {
            ssrcs += one.ssrcs();
            if wanted.len() == MAX_SOURCES_PER_ENDPOINT || ssrcs > MAX_SSRCS_PER_ENDPOINT {
                self.counters.discard(DropReason::Limit);
                break;
            }
            wanted.push(one);
        }
        let had = self.members.get_mut(index).map(|m| std::mem::take(&mut m.sources)).unwrap_or_default();
        let (kept, gone): (Vec<_>, Vec<_>) = had.into_iter().partition(|i| {
            self.sources.get(*i).is_some_and(|s| wanted.iter().any(|w| same_streams(w, &s.signalled)))
        });
        for source in gone {
            self.keep_told_kind(source);
            self.sources.remove(source, &mut self.members);
        }
        for one in &wanted {
            if !kept.iter().any(|i| self.sources.get(*i).is_some_and(|s| same_streams(one, &s.signalled))) {
                self.sources.add(now, index, &mut self.members, one.clone());
            }
        }
        if let Some(member) = self.members.get_mut(index) {
            member.sources.extend(kept);
        }
        self.members.touch_all();
    }

    /// Whether an endpoint's packets of each medium are dropped.
    pub fn set_force_mute(&mut self, _now: Instant, key: EndpointKey, audio: bool, video: bool) {
        if let Some(member) = self.members.by_key_mut(key) {
            member.muted = [audio, video];
        }
    }

    /// Whether media can be sent to an endpoint (ICE and DTLS are done).
    pub fn set_transport_up(&mut self, now: Instant, key: EndpointKey, up: bool, sink: &mut dyn MediaSink) {
        let Some(index) = self.members.find(key) else { return };
        if let Some(member) = self.members.get_mut(index) {
            member.up = up;
        }
        self.share_up(index, up);
        self.members.touch(index);
        self.settle(now, sink);
    }

    /// Whether an endpoint's bridge channel is open. When it opens, the full state is sent.
    pub fn set_channel_open(&mut self, now: Instant, key: EndpointKey, open: bool, sink: &mut dyn MediaSink) {
        let Some(index) = self.members.find(key) else { return };
        self.settle(now, sink);
        if let Some(member) = self.members.get_mut(index) {
            member.channel = open;
            member.behind = false;
        }
        if open {
            self.announce_everything(index, sink);
        }
    }

    /// A message of an endpoint. Those that are none of the media's business are ignored.
    pub fn handle_channel_message(
        &mut self,
        now: Instant,
        from: EndpointKey,
        message: &ClientMessage,
        sink: &mut dyn MediaSink,
    ) {
        let Some(index) = self.members.find(from) else { return };
        match message {
            ClientMessage::ReceiverVideoConstraints(m) => self.update_wishes(index, VideoUpdate::read(m)),
            ClientMessage::LastNChanged { last_n } => {
                if let Some(member) = self.members.get_mut(index) {
                    member.settings.choose_last_n(*last_n);
                }
                self.members.touch(index);
            }
            ClientMessage::ReceiverAudioSubscription(m) => {
                if let Some(member) = self.members.get_mut(index) {
                    member.audio = AudioSubscription::new(m.all, &m.include, &m.exclude);
                    member.audio_stale = true;
                }
                self.members.touch(index);
            }
            ClientMessage::SourceVideoType(m) => {
                self.set_video_type(now, index, &m.source_name, m.video_type);
                self.tell_relays_kind(index, m, sink);
            }
            ClientMessage::VideoType(kind) => {
                let Some(member) = self.members.get(index) else { return };
                // compat: old clients have one video source, named by this pattern
                // (test: compat_old_clients_tell_the_kind_of_their_only_source).
                let name = SourceName::new(format!("{}-v0", member.id));
                self.set_video_type(now, index, &name, *kind);
                let told = SourceVideoType { source_name: name, video_type: *kind };
                self.tell_relays_kind(index, &told, sink);
            }
            ClientMessage::ClientHello
            | ClientMessage::EndpointMessage(_)
            | ClientMessage::EndpointStats(_)
            | ClientMessage::Unknown { .. } => {}
        }
        self.settle(now, sink);
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether an endpoint sent audio, video within the last second.
    pub fn is_sending(&self, now: Instant, key: EndpointKey) -> (bool, bool) {
        self.members.by_key(key).map_or((false, false), |member| self.sends(now, member))
    }

    fn sends(&self, now: Instant, member: &Member) -> (bool, bool) {
        let sends = |media| {
            let mut own = member.sources.iter().filter_map(|i| self.sources.get(*i));
            own.any(|s| {
                s.signalled.media == media
                    && s.last_packet.is_some_and(|at| now.duration_since(at) < RECENTLY)
            })
        };
        (sends(MediaType::Audio), sends(MediaType::Video))
    }

    /// Whether an endpoint gets less video than it wants, as its link carries no more; whether more than a tenth of what is sent to it is lost.
    pub(crate) fn is_short(&self, key: EndpointKey) -> (bool, bool) {
        let Some(member) = self.members.by_key(key) else { return (false, false) };
        (member.ideal.is_some(), member.outgoing_loss > HIGH_LOSS)
    }

    /// The jitter of all that came within the last second: sum, and of how many.
    pub(crate) fn jitter(&self, now: Instant) -> (Duration, u64) {
        let recent = self.sources.iter().map(|(_, source)| source);
        let recent = recent.filter(|s| s.last_packet.is_some_and(|at| now.duration_since(at) < RECENTLY));
        let all = recent.flat_map(|s| &s.encodings).filter_map(|e| e.received.jitter());
        all.fold((Duration::ZERO, 0), |(sum, n), one| (sum + Duration::from_secs_f64(one), n + 1))
    }

    /// What an endpoint wants and gets, as JSON.
    pub(crate) fn debug(&self, key: EndpointKey) -> serde_json::Map<String, serde_json::Value> {
        let Some(member) = self.members.by_key(key) else { return serde_json::Map::new() };
        let rate = |b: Bitrate| b.0;
        let value = serde_json::json!({
            "allocation_settings": {
                "last_n": member.settings.last_n,
                "default_height": member.settings.default_height,
                "on_stage_sources": member.settings.on_stage.len(),
                "selected_sources": member.settings.selected.len(),
                "assumed_bandwidth_bps": member.settings.assumed_bandwidth.map(rate),
            },
            "bandwidth": {
                "estimate_bps": member.egress.estimator.estimate().map(rate),
                "ideal_bps": member.ideal.map(rate),
            },
            "forwarded_sources": member.forwarded.len(),
            "ssrc_rewriting": member.rewriting,
            "force_muted": member.muted,
        });
        match value {
            serde_json::Value::Object(object) => object,
            _ => serde_json::Map::new(),
        }
    }

    /// Whether `receiver` shows `sender`, so that it has a use for its connection statistics: a recent speaker, or
    /// one whose video it wants.
    pub fn wants_stats(&self, receiver: EndpointKey, sender: EndpointKey) -> bool {
        let (Some(receiver), Some(sender)) = (self.members.find(receiver), self.members.find(sender)) else {
            return false;
        };
        self.shows(receiver, sender)
    }

    fn shows(&self, receiver: MemberIx, sender: MemberIx) -> bool {
        let speaks =
            self.speakers.dominant() == Some(sender) || self.speakers.previous().any(|e| e == sender);
        let Some(from) = self.members.get(sender) else { return false };
        let mut own = from.sources.iter().filter_map(|i| self.sources.get(*i));
        speaks || own.any(|s| s.is_wished_by(receiver))
    }

    /// What an endpoint's link is thought to carry, once there is a reason to think anything.
    pub fn estimate(&self, key: EndpointKey) -> Option<Bitrate> {
        self.members.by_key(key)?.egress.estimator.estimate()
    }

    /// The round-trip time to an endpoint, once known from RTCP.
    pub fn rtt(&self, key: EndpointKey) -> Option<Duration> {
        self.members.by_key(key)?.egress.rtt
    }

    fn set_video_type(&mut self, now: Instant, owner: MemberIx, name: &SourceName, kind: VideoType) {
        let at = self.sources.video(name);
        match at.and_then(|i| self.sources.get_mut(i)).filter(|s| s.owner == owner) {
            Some(source) => {
                if source.kind != kind {
                    source.kind = kind;
                    self.concern_all(now, owner);
                }
            }
            None => {
                let Some(member) = self.members.get_mut(owner) else { return };
                member.early_kinds.retain(|(n, _)| n != name);
                if member.early_kinds.len() < MAX_EARLY_VIDEO_TYPES && fits(name) {
                    member.early_kinds.push((name.clone(), kind));
                } else {
                    self.counters.discard(DropReason::Limit);
                }
            }
        }
    }

    /// compat: what a client told about a source outlives its description
    /// (test: compat_a_told_video_type_outlives_a_new_description).
    fn keep_told_kind(&mut self, index: SourceIx) {
        let Some(source) = self.sources.get(index).filter(|s| s.kind != s.signalled.kind) else { return };
        let Some(owner) = self.members.get_mut(source.owner) else { return };
        if owner.early_kinds.len() < MAX_EARLY_VIDEO_TYPES {
            owner.early_kinds.push((source.signalled.name.clone(), source.kind));
        }
    }

    fn update_wishes(&mut self, index: MemberIx, update: VideoUpdate) {
        let Some(member) = self.members.get_mut(index) else { return };
        member.settings.apply(update, self.config.default_max_height, self.config.assumed_bandwidth_limit);
        self.members.touch(index);
    }

    /// Marks everybody's allocation as out of date because of something a sender did: at once, or with a later tick if
    /// that happens often.
    fn concern_all(&mut self, now: Instant, sender: MemberIx) {
        let Some(member) = self.members.get_mut(sender) else { return };
        member.news = !member.budgets.allocations_of_all.take(&ALLOCATIONS_OF_ALL_PER_SENDER, now, 1);
        if member.news { self.clock.tick_soon(now) } else { self.members.touch_all() }
    }
}

/// Whether two descriptions of a source mean the same streams.
fn same_streams(a: &Signalled, b: &Signalled) -> bool {
    a.name == b.name && a.media == b.media && a.encodings == b.encodings && a.fec == b.fec
}

const RECENTLY: Duration = Duration::from_secs(1);
/// More than that is high loss, for upstream's dashboards.
const HIGH_LOSS: f32 = 0.1;
