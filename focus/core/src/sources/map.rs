//! The sources of a conference: checked sets in, ownership of each SSRC and msid out.

use std::collections::{BTreeMap, HashMap};

use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::VideoType;

/// One RTP stream of a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) ssrc: Ssrc,
    pub(crate) media: MediaType,
    pub(crate) name: Option<SourceName>,
    pub(crate) msid: Option<String>,
    pub(crate) video_type: Option<VideoType>,
}

/// How the SSRCs of a group relate, RFC 5888 / RFC 5576.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Semantics {
    /// Simulcast layers, lowest first.
    Sim,
    /// A stream and its retransmissions.
    Fid,
}

impl Semantics {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sim => "SIM",
            Self::Fid => "FID",
        }
    }
}

/// SSRCs that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceGroup {
    pub(crate) semantics: Semantics,
    pub(crate) media: MediaType,
    pub(crate) ssrcs: Vec<Ssrc>,
}

/// The sources of one owner, in the order in which they were signalled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceSet {
    pub(crate) sources: Vec<Source>,
    pub(crate) groups: Vec<SourceGroup>,
}

impl SourceSet {
    pub(crate) const fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.groups.is_empty()
    }

    pub(crate) fn source(&self, ssrc: Ssrc) -> Option<&Source> {
        self.sources.iter().find(|s| s.ssrc == ssrc)
    }

    pub(crate) fn has_media(&self, media: MediaType) -> bool {
        self.sources.iter().any(|s| s.media == media)
    }

    /// What is here and not, or not in the same way, in `other`.
    pub(crate) fn minus(&self, other: &Self) -> Self {
        Self {
            sources: self.sources.iter().filter(|s| !other.sources.contains(s)).cloned().collect(),
            groups: self.groups.iter().filter(|g| !other.groups.contains(g)).cloned().collect(),
        }
    }
}

/// All sources of a conference by owner. Only checked sets go in, so SSRCs are unique.
#[derive(Debug, Default)]
pub(crate) struct SourceMap {
    owners: BTreeMap<EndpointId, SourceSet>,
    ssrcs: HashMap<Ssrc, EndpointId>,
    msids: HashMap<String, (EndpointId, usize)>,
}

impl SourceMap {
    pub(crate) fn of(&self, owner: &EndpointId) -> SourceSet {
        self.owners.get(owner).cloned().unwrap_or_default()
    }

    pub(crate) fn owners(&self) -> impl Iterator<Item = (&EndpointId, &SourceSet)> {
        self.owners.iter()
    }

    pub(crate) fn owner_of_ssrc(&self, ssrc: Ssrc) -> Option<&EndpointId> {
        self.ssrcs.get(&ssrc)
    }

    pub(crate) fn owner_of_msid(&self, msid: &str) -> Option<&EndpointId> {
        self.msids.get(msid).map(|(owner, _)| owner)
    }

    /// Replaces what `owner` has; an empty set removes the owner. Returns what it had.
    pub(crate) fn replace(&mut self, owner: &EndpointId, set: SourceSet) -> SourceSet {
        let old = self.owners.remove(owner).unwrap_or_default();
        for s in &old.sources {
            self.ssrcs.remove(&s.ssrc);
            if let Some(msid) = &s.msid
                && let Some((_, n)) = self.msids.get_mut(msid)
            {
                *n -= 1;
                if *n == 0 {
                    self.msids.remove(msid);
                }
            }
        }
        for s in &set.sources {
            self.ssrcs.insert(s.ssrc, owner.clone());
            if let Some(msid) = &s.msid {
                self.msids.entry(msid.clone()).or_insert_with(|| (owner.clone(), 0)).1 += 1;
            }
        }
        if !set.is_empty() {
            self.owners.insert(owner.clone(), set);
        }
        old
    }
}
