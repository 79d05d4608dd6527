//! What clients are told over the bridge channel: changes as they happen, everything when the channel opens.

use jitsi_xmpp::bridge_channel::{AudioSourceMapping, BridgeMessage, VideoSourceMapping};
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};

use super::MediaConference;
use crate::media::MediaSink;

impl MediaConference {
    /// The full state for a channel that just opened, in upstream's order.
    pub(super) fn announce_everything(&mut self, index: usize, sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get(index) else { return };
        let (key, rewriting) = (member.key, member.rewriting);
        for at in &member.sources {
            let source = self.sources.get_mut(*at).filter(|s| s.signalled.media == MediaType::Video);
            let Some(source) = source else { continue };
            let max_height = source.wished_height();
            source.told = Some(max_height);
            let source_name = source.signalled.name.clone();
            sink.message(key, &BridgeMessage::SenderSourceConstraints { source_name, max_height });
        }
        let forwarded_sources = member.forwarded.clone();
        sink.message(key, &BridgeMessage::ForwardedSources { forwarded_sources });
        if rewriting {
            self.announce_video(index, true, sink);
            self.announce_audio(index, sink);
        }
        if let Some(message) = self.speakers_message() {
            sink.message(key, &message);
        }
    }

    /// `VideoSourcesMap` of a receiver: new and changed slots, or all.
    pub(super) fn announce_video(&mut self, receiver: usize, all: bool, sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get_mut(receiver).filter(|m| m.channel) else { return };
        let mut mapped_sources = Vec::new();
        let egress = &mut member.egress;
        for slot in egress.video.iter() {
            let Some(stream) = egress.streams.get_mut(slot).filter(|s| all || !s.announced) else { continue };
            let Some(source) = stream.source.and_then(|(_, at)| self.sources.get(at)) else { continue };
            stream.announced = true;
            mapped_sources.push(VideoSourceMapping {
                source: source.signalled.name.clone(),
                owner: source.owner_id.clone(),
                ssrc: Ssrc(stream.ssrc),
                rtx: Ssrc(stream.rtx.unwrap_or_default()),
                video_type: source.kind,
                mid: None,
            });
        }
        if !mapped_sources.is_empty() {
            sink.message(member.key, &BridgeMessage::VideoSourcesMap { mapped_sources });
        }
    }

    fn announce_audio(&mut self, receiver: usize, sink: &mut dyn MediaSink) {
        let Some(member) = self.members.get_mut(receiver) else { return };
        let mut mapped_sources = Vec::new();
        for slot in member.egress.audio.iter() {
            let Some(stream) = member.egress.streams.get_mut(slot) else { continue };
            let Some(source) = stream.source.and_then(|(_, at)| self.sources.get(at)) else { continue };
            stream.announced = true;
            mapped_sources.push(one_audio(&source.signalled.name, &source.owner_id, stream.ssrc));
        }
        if !mapped_sources.is_empty() {
            sink.message(member.key, &BridgeMessage::AudioSourcesMap { mapped_sources });
        }
    }

    /// `ForwardedSources` with the complete list, if it changed.
    pub(super) fn announce_forwarded(
        &mut self,
        receiver: usize,
        forwarded: &[usize],
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
            sink.message(member.key, &BridgeMessage::ForwardedSources { forwarded_sources });
        }
    }

    /// The dominant speaker, to everybody.
    pub(super) fn announce_speakers(&self, sink: &mut dyn MediaSink) {
        let Some(message) = self.speakers_message() else { return };
        for (_, member) in self.members.iter().filter(|(_, m)| m.channel) {
            sink.message(member.key, &message);
        }
    }

    /// `None` as long as nobody spoke.
    fn speakers_message(&self) -> Option<BridgeMessage> {
        let id = |e: usize| self.members.get(e).map(|m| m.id.clone());
        Some(BridgeMessage::DominantSpeaker {
            dominant_speaker: id(self.speakers.dominant()?)?,
            previous_speakers: self.speakers.previous().filter_map(id).collect(),
            silence: false,
        })
    }
}

/// `AudioSourcesMap` with one slot.
pub(super) fn audio_mapping(source: &SourceName, owner: &EndpointId, ssrc: u32) -> BridgeMessage {
    BridgeMessage::AudioSourcesMap { mapped_sources: vec![one_audio(source, owner, ssrc)] }
}

fn one_audio(source: &SourceName, owner: &EndpointId, ssrc: u32) -> AudioSourceMapping {
    AudioSourceMapping { source: source.clone(), owner: owner.clone(), ssrc: Ssrc(ssrc), mid: None }
}
