//! Sources, features and what else occurs in several places: as the focus has them in, as they are written out, and back.

use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::{IceUdpTransport, VideoType};
use jitsi_xmpp::xml;

use super::{HandoverError, at_most, wire};
use crate::features::Features;
use crate::limits;
use crate::sources::{ByOwner, Semantics, Source, SourceGroup, SourceSet};

impl SourceSet {
    pub(crate) fn written(&self) -> wire::Sources {
        let video = |media| media == MediaType::Video;
        wire::Sources {
            sources: self
                .sources
                .iter()
                .map(|s| wire::Source {
                    ssrc: s.ssrc.0,
                    video: video(s.media),
                    name: s.name.as_ref().map(|n| n.as_str().to_owned()),
                    msid: s.msid.clone(),
                    video_type: s.video_type.map(|t| t.as_str().to_owned()),
                })
                .collect(),
            groups: self
                .groups
                .iter()
                .map(|g| wire::Group {
                    simulcast: g.semantics == Semantics::Sim,
                    video: video(g.media),
                    ssrcs: g.ssrcs.iter().map(|s| s.0).collect(),
                })
                .collect(),
        }
    }

    pub(crate) fn read_written(from: wire::Sources) -> Result<Self, HandoverError> {
        // The bridge's own come on top.
        at_most(&from.sources, limits::SSRCS_PER_PARTICIPANT, "sources")?;
        at_most(&from.groups, limits::GROUPS_PER_PARTICIPANT, "groups")?;
        let media = |video| if video { MediaType::Video } else { MediaType::Audio };
        let source = |s: wire::Source| Source {
            ssrc: Ssrc(s.ssrc),
            media: media(s.video),
            name: s.name.map(SourceName::new),
            msid: s.msid,
            video_type: s.video_type.as_deref().and_then(VideoType::parse),
        };
        let group = |g: wire::Group| SourceGroup {
            semantics: if g.simulcast { Semantics::Sim } else { Semantics::Fid },
            media: media(g.video),
            ssrcs: g.ssrcs.into_iter().map(Ssrc).collect(),
        };
        Ok(Self {
            sources: from.sources.into_iter().map(source).collect(),
            groups: from.groups.into_iter().map(group).collect(),
        })
    }
}

pub(crate) fn written_owners<'a>(
    all: impl Iterator<Item = (&'a EndpointId, &'a SourceSet)>,
) -> Vec<(String, wire::Sources)> {
    all.map(|(owner, set)| (owner.as_str().to_owned(), set.written())).collect()
}

pub(crate) fn owners(from: Vec<(String, wire::Sources)>) -> Result<ByOwner, HandoverError> {
    from.into_iter().map(|(owner, set)| Ok((EndpointId::new(owner), SourceSet::read_written(set)?))).collect()
}

pub(crate) fn transport(text: &Option<String>) -> Result<Option<IceUdpTransport>, HandoverError> {
    let Some(text) = text else { return Ok(None) };
    let element = xml::parse(text.as_bytes()).map_err(|_| HandoverError::Odd("transport"))?;
    IceUdpTransport::from_element(&element).map(Some).map_err(|_| HandoverError::Odd("transport"))
}

pub(crate) fn written_transport(of: &Option<IceUdpTransport>) -> Option<String> {
    of.as_ref().map(|t| t.to_element().to_xml())
}

pub(crate) fn ids<C: FromIterator<EndpointId>>(from: &[String]) -> C {
    from.iter().map(EndpointId::new).collect()
}

pub(crate) fn written_ids<'a>(all: impl IntoIterator<Item = &'a EndpointId>) -> Vec<String> {
    all.into_iter().map(|id| id.as_str().to_owned()).collect()
}

impl Features {
    pub(crate) const fn written(self) -> wire::Features {
        let Self { audio, video, sctp, rtx, remb, tcc, opus_red, ssrc_rewriting, json_sources, audio_mute } =
            self;
        wire::Features {
            audio,
            video,
            sctp,
            rtx,
            remb,
            tcc,
            opus_red,
            ssrc_rewriting,
            json_sources,
            audio_mute,
        }
    }

    pub(crate) const fn read_written(from: &wire::Features) -> Self {
        let wire::Features {
            audio,
            video,
            sctp,
            rtx,
            remb,
            tcc,
            opus_red,
            ssrc_rewriting,
            json_sources,
            audio_mute,
        } = *from;
        Self { audio, video, sctp, rtx, remb, tcc, opus_red, ssrc_rewriting, json_sources, audio_mute }
    }
}
