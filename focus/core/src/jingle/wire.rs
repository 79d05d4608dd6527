//! Sources between the wire and the conference: Jingle contents in, checked domain sets out; domain sets in, the
//! XML, JSON and Colibri2 forms out.

use std::collections::BTreeMap;

use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName};
use jitsi_xmpp::jingle::{self as wire, CompactSources, Content, Creator, OwnerSources, RtpDescription};

use crate::limits;
use crate::sources::{ByOwner, Semantics, Source, SourceError, SourceGroup, SourceSet};

/// The sources of a client's request. `ssrc-info` and unknown parameters are ignored: the owner is the sender.
pub(crate) fn read_sources(contents: &[Content]) -> Result<SourceSet, SourceError> {
    let mut set = SourceSet::default();
    for content in contents {
        let Some(description) = &content.description else { continue };
        if description.sources.is_empty() && description.ssrc_groups.is_empty() {
            continue;
        }
        let media = if description.media.is_empty() { &content.name } else { &description.media };
        let Some(media) = MediaType::parse(media) else {
            return Err(SourceError::Malformed("Sources in a content that is neither audio nor video"));
        };
        if description.sources.len() > MAX_PER_MESSAGE || description.ssrc_groups.len() > MAX_PER_MESSAGE {
            return Err(SourceError::TooManySsrcs(limits::SSRCS_PER_PARTICIPANT));
        }
        for s in &description.sources {
            let msid = s.msid().filter(|m| !m.is_empty());
            if msid.is_some_and(|m| m.len() > limits::TEXT) {
                return Err(SourceError::Malformed("msid too long"));
            }
            // It goes to bridges and receivers, and into the error.
            if s.name.as_ref().is_some_and(|n| n.as_str().len() > limits::TEXT) {
                return Err(SourceError::Malformed("source name too long"));
            }
            set.sources.push(Source {
                ssrc: s.ssrc,
                media,
                name: s.name.clone(),
                msid: msid.map(str::to_owned),
                video_type: s.video_type,
            });
        }
        for g in &description.ssrc_groups {
            let semantics = match g.semantics {
                wire::Semantics::Sim => Semantics::Sim,
                wire::Semantics::Fid => Semantics::Fid,
                _ => return Err(SourceError::Malformed("Unsupported ssrc-group semantics")),
            };
            if g.ssrcs.len() > MAX_PER_MESSAGE {
                return Err(SourceError::Malformed("ssrc-group too long"));
            }
            set.groups.push(SourceGroup { semantics, media, ssrcs: g.ssrcs.clone() });
        }
    }
    Ok(set)
}

/// Sources for one receiver: as contents, or as JSON that replaces them completely (focus §4.7).
pub(crate) enum SourceMessage {
    Xml(Vec<Content>),
    Json(CompactSources),
}

/// Writes sources by owner the way the receiver reads them.
pub(crate) fn source_message(sources: &ByOwner, json: bool) -> SourceMessage {
    if json {
        let owners = sources.iter().map(|(owner, set)| {
            let sources = |media| select(set, media).map(|s| to_wire(s, None)).collect();
            let groups = |media| groups(set, media).collect();
            (
                owner.clone(),
                OwnerSources {
                    video: sources(MediaType::Video),
                    video_groups: groups(MediaType::Video),
                    audio: sources(MediaType::Audio),
                    audio_groups: groups(MediaType::Audio),
                },
            )
        });
        return SourceMessage::Json(CompactSources(owners.collect()));
    }
    let mut contents = Vec::new();
    for media in [MediaType::Audio, MediaType::Video] {
        let mut description = RtpDescription::new(media.as_str());
        for (owner, set) in sources {
            description.sources.extend(select(set, media).map(|s| to_wire(s, Some(owner))));
            description.ssrc_groups.extend(groups(set, media));
        }
        if !description.sources.is_empty() || !description.ssrc_groups.is_empty() {
            let mut content = Content::new(media.as_str());
            content.creator = Some(Creator::Initiator);
            content.description = Some(description);
            contents.push(content);
        }
    }
    SourceMessage::Xml(contents)
}

/// The complete set of an endpoint for the bridge: one media source per name; streams without a name belong to the
/// endpoint's first track of their kind. msids stay here (focus §6.3).
///
/// compat: clients of 2021 name nothing; the bridge needs names (test: compat_client_of_2021_without_names_and_rewriting_is_served).
pub(crate) fn media_sources(owner: &EndpointId, set: &SourceSet) -> Vec<MediaSource> {
    let name_of = |s: &Source| {
        s.name.clone().unwrap_or_else(|| {
            SourceName::new(match s.media {
                MediaType::Audio => format!("{owner}-a0"),
                MediaType::Video => format!("{owner}-v0"),
            })
        })
    };
    let mut by_name: BTreeMap<SourceName, MediaSource> = BTreeMap::new();
    for s in &set.sources {
        let name = name_of(s);
        let mut stream = wire::Source::new(s.ssrc);
        stream.name = Some(name.clone());
        stream.video_type = s.video_type;
        by_name.entry(name.clone()).or_insert_with(|| MediaSource::new(s.media, name)).sources.push(stream);
    }
    for g in &set.groups {
        let first = g.ssrcs.first().and_then(|ssrc| set.source(*ssrc));
        if let Some(track) = first.map(&name_of).and_then(|name| by_name.get_mut(&name)) {
            track.ssrc_groups.push(group_to_wire(g));
        }
    }
    by_name.into_values().collect()
}

fn select(set: &SourceSet, media: MediaType) -> impl Iterator<Item = &Source> {
    set.sources.iter().filter(move |s| s.media == media)
}

fn groups(set: &SourceSet, media: MediaType) -> impl Iterator<Item = wire::SsrcGroup> {
    set.groups.iter().filter(move |g| g.media == media).map(group_to_wire)
}

fn group_to_wire(g: &SourceGroup) -> wire::SsrcGroup {
    let semantics = match g.semantics {
        Semantics::Sim => wire::Semantics::Sim,
        Semantics::Fid => wire::Semantics::Fid,
    };
    wire::SsrcGroup { semantics, ssrcs: g.ssrcs.clone() }
}

fn to_wire(s: &Source, owner: Option<&EndpointId>) -> wire::Source {
    let mut w = wire::Source::new(s.ssrc);
    w.name = s.name.clone();
    w.video_type = s.video_type;
    w.owner = owner.cloned();
    if let Some(msid) = &s.msid {
        w.parameters.push(wire::Parameter::new("msid", msid));
    }
    w
}

/// Sources, groups or members of a group in one message. Reason: more than a participant may have at all.
const MAX_PER_MESSAGE: usize = 2 * limits::SSRCS_PER_PARTICIPANT;
