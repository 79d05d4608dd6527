//! What clients are told over the bridge channel: changes as they happen, everything when the channel opens.

use std::time::Instant;

use jitsi_xmpp::bridge_channel::{AudioSourceMapping, BridgeMessage, VideoSourceMapping};
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};

use smallvec::SmallVec;

use super::MediaConference;
use super::member::Member;
use crate::media::MediaSink;
use crate::media::ids::{MemberIx, SourceIx, StreamIx};
use crate::media::limits::SSRC_SLOTS;

impl MediaConference {
    /// The full state for a channel that just opened, in upstream's order.
    pub(super) fn announce_everything(&mut self, index: MemberIx, sink: &mut dyn MediaSink) {
        if self.members.relays().contains(&index) {
            return self.announce_to_relay(index, sink);
        }
        let Some(member) = self.members.get(index) else { return };
        let (key, rewriting) = (member.key, member.rewriting);
        let mut behind = false;
        for at in &member.sources {
            let source = self.sources.get_mut(*at).filter(|s| s.signalled.media == MediaType::Video);
            let Some(source) = source else { continue };
            let max_height = source.wished_height();
            source.told = Some(max_height);
            let source_name = source.signalled.name.clone();
            let message = BridgeMessage::SenderSourceConstraints { source_name, max_height };
            behind |= !sink.message(key, &message);
        }
        let forwarded_sources = member.forwarded.clone();
        behind |= !sink.message(key, &BridgeMessage::ForwardedSources { forwarded_sources });
        if rewriting {
            self.announce_video(index, true, sink);
            self.announce_audio(index, sink);
        }
        if let Some(message) = self.speakers_message() {
            behind |= !sink.message(key, &message);
        }
        if let Some(member) = self.members.get_mut(index) {
            member.behind |= behind;
        }
    }

    /// Tells those everything again whose channel did not take something.
    pub(super) fn catch_up(&mut self, now: Instant, sink: &mut dyn MediaSink) {
        let due = |m: &Member| m.behind && m.channel && m.next_report <= now;
        let behind: SmallVec<[MemberIx; 8]> =
            self.members.iter().filter(|(_, m)| due(m)).map(|(i, _)| i).collect();
        for index in behind {
            if let Some(member) = self.members.get_mut(index) {
                member.behind = false;
            }
            self.announce_everything(index, sink);
        }
    }

    /// `VideoSourcesMap` of a receiver: new and changed slots, or all.
    pub(super) fn announce_video(&mut self, receiver: MemberIx, all: bool, sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get_mut(receiver).filter(|m| m.channel) else { return };
        let mut mapped_sources = Vec::new();
        let egress = &member.egress;
        let mut told: SmallVec<[StreamIx; SSRC_SLOTS]> = SmallVec::new();
        for slot in egress.video.iter() {
            let Some(stream) = egress.stream(slot).filter(|s| all || !s.announced) else { continue };
            let Some(source) = stream.source.and_then(|s| self.sources.get(s.at)) else { continue };
            told.push(slot);
            mapped_sources.push(VideoSourceMapping {
                source: source.signalled.name.clone(),
                owner: source.owner_id.clone(),
                ssrc: stream.ssrc,
                rtx: stream.rtx_ssrc().unwrap_or(Ssrc(0)),
                video_type: source.kind,
                mid: None,
            });
        }
        if !mapped_sources.is_empty() {
            member.tell(&told, &BridgeMessage::VideoSourcesMap { mapped_sources }, sink);
        }
    }

    fn announce_audio(&mut self, receiver: MemberIx, sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        let mut mapped_sources = Vec::new();
        let mut told: SmallVec<[StreamIx; SSRC_SLOTS]> = SmallVec::new();
        for slot in member.egress.audio.iter() {
            let Some(stream) = member.egress.stream(slot) else { continue };
            let Some(source) = stream.source.and_then(|s| self.sources.get(s.at)) else { continue };
            told.push(slot);
            mapped_sources.push(one_audio(&source.signalled.name, &source.owner_id, stream.ssrc));
        }
        if !mapped_sources.is_empty() {
            member.tell(&told, &BridgeMessage::AudioSourcesMap { mapped_sources }, sink);
        }
    }

    /// `ForwardedSources` with the complete list, if it changed.
    pub(super) fn announce_forwarded(
        &mut self,
        receiver: MemberIx,
        forwarded: &[SourceIx],
        sink: &mut dyn MediaSink,
    ) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        let names = || forwarded.iter().filter_map(|at| self.sources.get(*at)).map(|s| &s.signalled.name);
        // Mostly in the same order, too.
        let same = member.forwarded.iter().eq(names())
            || (member.forwarded.len() == forwarded.len() && names().all(|n| member.forwarded.contains(n)));
        if same {
            return;
        }
        member.forwarded = names().cloned().collect();
        if member.channel {
            let forwarded_sources = member.forwarded.clone();
            member.tell(&[], &BridgeMessage::ForwardedSources { forwarded_sources }, sink);
        }
    }

    /// The dominant speaker, to everybody.
    pub(super) fn announce_speakers(&mut self, sink: &mut dyn MediaSink) {
        let Some(message) = self.speakers_message() else { return };
        for (_, member) in self.members.iter_mut().filter(|(_, m)| m.channel && m.is_local()) {
            member.tell(&[], &message, sink);
        }
    }

    /// `None` as long as nobody spoke.
    fn speakers_message(&self) -> Option<BridgeMessage> {
        let id = |e: MemberIx| self.members.get(e).map(|m| m.id.clone());
        Some(BridgeMessage::DominantSpeaker {
            dominant_speaker: id(self.speakers.dominant()?)?,
            previous_speakers: self.speakers.previous().filter_map(id).collect(),
            silence: false,
        })
    }
}

/// `AudioSourcesMap` with one slot.
pub(super) fn audio_mapping(source: &SourceName, owner: &EndpointId, ssrc: Ssrc) -> BridgeMessage {
    BridgeMessage::AudioSourcesMap { mapped_sources: vec![one_audio(source, owner, ssrc)] }
}

fn one_audio(source: &SourceName, owner: &EndpointId, ssrc: Ssrc) -> AudioSourceMapping {
    AudioSourceMapping { source: source.clone(), owner: owner.clone(), ssrc, mid: None }
}
