//! What one endpoint negotiated: payload types and header extensions in, lookups by number out.

use jitsi_xmpp::ids::MediaType;
use jitsi_xmpp::jingle::{HeaderExtension, PayloadType};
use videobridge_rtp::ExtensionId;
use videobridge_rtp::codecs::Codec;

use crate::media::ids::PayloadNumber;

/// A payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) media: MediaType,
    pub(crate) codec: Codec,
    pub(crate) sound: Sound,
    pub(crate) clock_rate: u32,
    /// For RTX: the payload type it repeats.
    pub(crate) repeats: Option<PayloadNumber>,
}

/// What services outside are given of audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sound {
    /// Opus.
    Opus,
    /// RED: with older packets in front.
    Redundant,
    /// Nothing.
    Other,
}

/// A header extension the bridge uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExtensionKind {
    AudioLevel,
    TransportCc,
    AbsSendTime,
    VideoOrientation,
    DependencyDescriptor,
    /// What the sender says its layers are; only other bridges get it.
    LayersAllocation,
}

/// The extension behind each id, index = id. Larger ids are not used by Jitsi.
pub(crate) type ExtensionKinds = [Option<ExtensionKind>; 16];

/// Payload types and header extensions of one endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Negotiated {
    payloads: Box<[Option<Payload>; 128]>,
    /// The RTX payload type for each payload type.
    rtx: Box<[Option<PayloadNumber>; 128]>,
    /// What may be said about each, and about any of audio and video.
    feedback_of: Box<[Feedback; 128]>,
    feedback: [Feedback; 2],
    pub(crate) kinds: ExtensionKinds,
    ids: [Option<ExtensionId>; 6],
    /// See [`Self::transport_cc`] and [`Self::knows`]: asked for every packet that it is sent.
    transport_cc: bool,
    known: u128,
}

#[derive(Debug, Clone, Copy, Default)]
struct Feedback {
    pli: bool,
    fir: bool,
    transport_cc: bool,
    remb: bool,
    any: bool,
}

impl Feedback {
    const fn or(self, other: Self) -> Self {
        Self {
            pli: self.pli | other.pli,
            fir: self.fir | other.fir,
            transport_cc: self.transport_cc | other.transport_cc,
            remb: self.remb | other.remb,
            any: self.any | other.any,
        }
    }
}

impl Default for Negotiated {
    fn default() -> Self {
        Self {
            payloads: Box::new([None; 128]),
            rtx: Box::new([None; 128]),
            feedback_of: Box::new([Feedback::default(); 128]),
            feedback: [Feedback::default(); 2],
            kinds: [None; 16],
            ids: [None; 6],
            transport_cc: false,
            known: 0,
        }
    }
}

impl Negotiated {
    /// Adds payload types of one medium to those that are known; the last word about a number counts.
    ///
    /// compat: as upstream, nothing is taken away: an update may name a part
    /// (test: compat_media_signalled_again_in_part_took_away_the_rest).
    pub(crate) fn add_payload_types(&mut self, media: MediaType, types: &[PayloadType]) {
        for t in types {
            let codec = match () {
                () if t.is_codec("VP8") => Codec::Vp8,
                () if t.is_codec("VP9") => Codec::Vp9,
                () if t.is_codec("AV1") => Codec::Av1,
                () if t.is_codec("H264") => Codec::H264,
                () => Codec::Other,
            };
            let sound = match () {
                () if media == MediaType::Audio && t.is_codec("opus") => Sound::Opus,
                () if media == MediaType::Audio && t.is_codec("red") => Sound::Redundant,
                () => Sound::Other,
            };
            let repeats = if t.is_codec("rtx") { t.associated().map(PayloadNumber) } else { None };
            let (payload, feedback) = (self.payloads.get_mut(usize::from(t.id)), usize::from(t.id));
            let (Some(payload), Some(feedback)) = (payload, self.feedback_of.get_mut(feedback)) else {
                continue;
            };
            *payload = Some(Payload { media, codec, sound, clock_rate: t.clockrate.max(8000), repeats });
            self.known |= 1 << t.id;
            *feedback = Feedback {
                pli: t.has_feedback("nack", Some("pli")),
                fir: t.has_feedback("ccm", Some("fir")),
                transport_cc: t.has_feedback("transport-cc", None),
                remb: t.has_feedback("goog-remb", None),
                any: true,
            };
            let number = PayloadNumber(t.id);
            self.rtx.iter_mut().filter(|slot| **slot == Some(number)).for_each(|slot| *slot = None);
            if let Some(slot) = repeats.and_then(|p| self.rtx.get_mut(usize::from(p.0))) {
                *slot = Some(number);
            }
        }
        self.feedback = [MediaType::Audio, MediaType::Video].map(|media| {
            let of = |p: &Option<Payload>| p.is_some_and(|p| p.media == media);
            let all = self.payloads.iter().zip(self.feedback_of.iter()).filter(|(p, _)| of(p));
            all.fold(Feedback::default(), |sum, (_, one)| sum.or(*one))
        });
        self.note_transport_cc();
    }

    /// Adds header extensions; audio and video share one id space.
    pub(crate) fn add_header_extensions(&mut self, extensions: &[HeaderExtension]) {
        self.add_extensions(extensions, |_| true);
        // It is heard of them and not told them, as upstream.
        if let Some(id) = self.ids.get_mut(ExtensionKind::LayersAllocation as usize) {
            *id = None;
        }
    }

    /// The same between bridges, where nothing is estimated: a stock bridge neither stamps its packets there nor reports.
    pub(crate) fn add_relay_extensions(&mut self, extensions: &[HeaderExtension]) {
        let stamps = [ExtensionKind::TransportCc, ExtensionKind::AbsSendTime];
        self.add_extensions(extensions, |kind| !stamps.contains(&kind));
    }

    fn add_extensions(&mut self, extensions: &[HeaderExtension], wanted: impl Fn(ExtensionKind) -> bool) {
        for extension in extensions {
            let Some(kind) = URIS.iter().find(|(uri, _)| *uri == extension.uri).map(|(_, k)| *k) else {
                continue;
            };
            if !wanted(kind) {
                continue;
            }
            let Some(number) = ExtensionId::new(extension.id) else { continue };
            let slot = self.kinds.get_mut(usize::from(number.wire()));
            if let (Some(slot), Some(id)) = (slot, self.ids.get_mut(kind as usize)) {
                (*slot, *id) = (Some(kind), Some(number));
            }
        }
        self.note_transport_cc();
    }

    fn note_transport_cc(&mut self) {
        let wanted = self.feedback.iter().any(|f| f.transport_cc);
        self.transport_cc = wanted && self.id(ExtensionKind::TransportCc).is_some();
    }

    pub(crate) fn payload(&self, payload_type: PayloadNumber) -> Option<Payload> {
        self.payloads.get(usize::from(payload_type.0)).copied().flatten()
    }

    /// Whether it is a payload type of this endpoint.
    pub(crate) fn knows(&self, PayloadNumber(number): PayloadNumber) -> bool {
        self.known.checked_shr(number.into()).is_some_and(|known| known & 1 == 1)
    }

    /// The payload type that repeats `payload_type`.
    pub(crate) fn rtx(&self, payload_type: PayloadNumber) -> Option<PayloadNumber> {
        self.rtx.get(usize::from(payload_type.0)).copied().flatten()
    }

    /// A payload type of video itself.
    pub(crate) fn any_video(&self) -> Option<PayloadNumber> {
        let is = |p: &Option<Payload>| p.is_some_and(|p| p.media == MediaType::Video && p.repeats.is_none());
        self.payloads.iter().position(is).and_then(|pt| u8::try_from(pt).ok()).map(PayloadNumber)
    }

    /// Whether lost video can be repeated to this endpoint.
    pub(crate) fn has_rtx(&self) -> bool {
        self.rtx.iter().any(Option::is_some)
    }

    pub(crate) fn id(&self, kind: ExtensionKind) -> Option<ExtensionId> {
        self.ids.get(kind as usize).copied().flatten()
    }

    /// Whether the endpoint takes this medium at all: any payload type of it makes it accept.
    pub(crate) fn accepts(&self, media: MediaType) -> bool {
        let [audio, video] = self.feedback;
        if media == MediaType::Audio { audio.any } else { video.any }
    }

    /// Whether transport-wide feedback flows in both directions.
    pub(crate) fn transport_cc(&self) -> bool {
        self.transport_cc
    }

    /// Whether REMB is the only estimate there can be.
    pub(crate) fn remb_only(&self) -> bool {
        !self.transport_cc() && self.feedback.iter().any(|f| f.remb)
    }

    /// How to ask this sender for a key frame; PLI is preferred.
    pub(crate) fn key_frame_request(&self) -> Option<KeyFrameRequest> {
        let [_, video] = self.feedback;
        match (video.pli, video.fir) {
            (true, _) => Some(KeyFrameRequest::Pli),
            (false, true) => Some(KeyFrameRequest::Fir),
            (false, false) => None,
        }
    }
}

/// The two ways to ask for a key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyFrameRequest {
    Pli,
    Fir,
}

/// The header extensions that parts of a conference use between themselves: all that are known, by numbers of our own.
pub(crate) fn between_parts() -> Vec<HeaderExtension> {
    (1..).zip(URIS).map(|(id, (uri, _))| HeaderExtension::new(id, uri)).collect()
}

const URIS: [(&str, ExtensionKind); 6] = [
    ("urn:ietf:params:rtp-hdrext:ssrc-audio-level", ExtensionKind::AudioLevel),
    ("http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", ExtensionKind::TransportCc),
    ("http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", ExtensionKind::AbsSendTime),
    ("urn:3gpp:video-orientation", ExtensionKind::VideoOrientation),
    (
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
        ExtensionKind::DependencyDescriptor,
    ),
    (
        "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00",
        ExtensionKind::LayersAllocation,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_types_are_known_up_to_the_last_there_is_and_none_beyond() {
        let mut negotiated = Negotiated::default();
        let types = [0, 127, 128, 255].map(|id| PayloadType::new(id, "VP8", 90_000, 1));
        negotiated.add_payload_types(MediaType::Video, &types);
        let known: Vec<u8> = (0..=u8::MAX).filter(|n| negotiated.knows(PayloadNumber(*n))).collect();
        assert_eq!(known, [0, 127]);
        assert!(known.iter().all(|n| negotiated.payload(PayloadNumber(*n)).is_some()));
    }
}
