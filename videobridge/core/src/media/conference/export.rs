//! Audio for services outside: which of them want which sources in; a copy of each of their packets out (bridge §10).

use jitsi_xmpp::ids::{EndpointId, SourceName, Ssrc};
use videobridge_rtp::extension::AudioLevel;
use videobridge_rtp::red;

use super::MediaConference;
use super::member::Member;
use crate::media::ids::PayloadNumber;
use crate::media::ingress::negotiated::{Negotiated, Sound};
use crate::media::ingress::source::Source;
use crate::media::{EndpointKey, MediaSink};

/// Names a service of one bridge; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExportKey(pub u64);

/// Who gets audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Who.
    pub key: ExportKey,
    /// Of which sources; none: of all.
    pub only: Vec<SourceName>,
}

/// One packet of Opus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedAudio {
    /// Whose.
    pub owner: EndpointId,
    /// Which of its sources.
    pub source: SourceName,
    /// The stream it came with.
    pub ssrc: Ssrc,
    /// As it came.
    pub sequence: u16,
    /// As it came, in 48,000ths of a second.
    pub timestamp: u32,
    /// How loud it is, if that was said.
    pub level: Option<AudioLevel>,
    /// Whether several people speak here, who are to be told apart.
    pub diarize: bool,
    /// Opus.
    pub payload: Box<[u8]>,
}

/// The facts about one audio packet.
pub(super) struct Heard<'a> {
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) level: Option<AudioLevel>,
    pub(super) body: &'a [u8],
}

impl MediaConference {
    /// Who gets audio from now on.
    pub fn set_exports(&mut self, exports: Vec<Export>) {
        self.exports = exports;
    }

    /// Whether several people speak at this endpoint.
    pub fn set_diarize(&mut self, key: EndpointKey, on: bool) {
        if let Some(member) = self.members.by_key_mut(key) {
            member.diarize = on;
        }
    }
}

/// Hands out copies. Nothing is done where nobody wants any.
pub(super) fn export(
    exports: &[Export],
    owner: &Member,
    source: &Source,
    heard: &Heard<'_>,
    sink: &mut dyn MediaSink,
) {
    let signalled = &source.signalled;
    // What a service said is not told to services.
    let wanted =
        |e: &&Export| !signalled.synthetic && (e.only.is_empty() || e.only.contains(&signalled.name));
    for export in exports.iter().filter(wanted) {
        let Some(payload) = opus(&owner.negotiated, heard) else { return };
        let ssrc = source.encodings.first().map_or(Ssrc(0), |e| e.ssrc);
        sink.export(
            export.key,
            ExportedAudio {
                owner: owner.id.clone(),
                source: signalled.name.clone(),
                ssrc,
                sequence: heard.sequence,
                timestamp: heard.timestamp,
                level: heard.level,
                diarize: owner.diarize,
                payload: payload.into(),
            },
        );
    }
}

/// The Opus in a packet, also where it is sent redundantly.
fn opus<'a>(negotiated: &Negotiated, heard: &Heard<'a>) -> Option<&'a [u8]> {
    let sound = |number| negotiated.payload(PayloadNumber(number)).map(|p| p.sound);
    match sound(heard.payload_type)? {
        Sound::Opus => Some(heard.body),
        Sound::Redundant => {
            let (number, newest) = red::newest(heard.body)?;
            (sound(number)? == Sound::Opus && !newest.is_empty()).then_some(newest)
        }
        Sound::Other => None,
    }
}
