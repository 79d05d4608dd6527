//! The sources of a conference: checked sets in, ownership of each SSRC and msid out.

use std::collections::{BTreeMap, HashMap, VecDeque};

use jitsi_xmpp::ids::{EndpointId, MediaType, SourceName, Ssrc};
use jitsi_xmpp::jingle::VideoType;

use crate::limits;

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

    /// How many bytes it takes at most in a message, as one of `owner`.
    pub(crate) fn bytes(&self, owner: &EndpointId) -> usize {
        let text = |t: &str| {
            t.chars().map(|c| if "&<>\"'\r\n\t".contains(c) { 6 } else { c.len_utf8() }).sum::<usize>()
        };
        let owner = text(owner.as_str());
        // The name stands twice towards a bridge.
        let name = |s: &Source| s.name.as_ref().map_or(owner + 3, |n| text(n.as_str()));
        let source = |s: &Source| 200 + owner + 2 * name(s) + s.msid.as_deref().map_or(0, text);
        let sources: usize = self.sources.iter().map(source).sum();
        sources + self.groups.iter().map(|g| 100 + 30 * g.ssrcs.len()).sum::<usize>()
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
    /// What is somebody's although they do not send it now.
    had: BTreeMap<EndpointId, Had>,
    had_ssrcs: HashMap<Ssrc, EndpointId>,
    had_msids: HashMap<String, EndpointId>,
}

/// What somebody sends or has sent, latest last.
#[derive(Debug, Default)]
struct Had {
    ssrcs: VecDeque<Ssrc>,
    msids: VecDeque<String>,
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

    /// Whose it is, also when they do not send it now: a camera that goes off leaves its number to nobody.
    pub(crate) fn holder_of_ssrc(&self, ssrc: Ssrc) -> Option<&EndpointId> {
        self.ssrcs.get(&ssrc).or_else(|| self.had_ssrcs.get(&ssrc))
    }

    /// The same.
    pub(crate) fn holder_of_msid(&self, msid: &str) -> Option<&EndpointId> {
        self.msids.get(msid).map(|(owner, _)| owner).or_else(|| self.had_msids.get(msid))
    }

    /// Somebody is gone: whoever wants may have what was theirs.
    pub(crate) fn forget(&mut self, owner: &EndpointId) {
        self.replace(owner, SourceSet::default());
        let Some(had) = self.had.remove(owner) else { return };
        for ssrc in had.ssrcs {
            self.had_ssrcs.remove(&ssrc);
        }
        for msid in had.msids {
            self.had_msids.remove(&msid);
        }
    }

    fn remember(&mut self, owner: &EndpointId, source: &Source) {
        let had = self.had.entry(owner.clone()).or_default();
        if let std::collections::hash_map::Entry::Vacant(place) = self.had_ssrcs.entry(source.ssrc) {
            place.insert(owner.clone());
            had.ssrcs.push_back(source.ssrc);
            if had.ssrcs.len() > limits::SOURCES_REMEMBERED
                && let Some(old) = had.ssrcs.pop_front()
            {
                self.had_ssrcs.remove(&old);
            }
        }
        let Some(msid) = &source.msid else { return };
        if !self.had_msids.contains_key(msid) {
            self.had_msids.insert(msid.clone(), owner.clone());
            had.msids.push_back(msid.clone());
            if had.msids.len() > limits::SOURCES_REMEMBERED
                && let Some(old) = had.msids.pop_front()
            {
                self.had_msids.remove(&old);
            }
        }
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
            self.remember(owner, s);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn set(sources: &[(u32, &str)]) -> SourceSet {
        let source = |&(ssrc, msid): &(u32, &str)| Source {
            ssrc: Ssrc(ssrc),
            media: MediaType::Video,
            name: None,
            msid: Some(msid.to_owned()),
            video_type: None,
        };
        SourceSet { sources: sources.iter().map(source).collect(), groups: Vec::new() }
    }

    #[test]
    fn what_somebody_sends_or_sent_is_theirs_until_they_are_gone() {
        let (anna, ben) = (EndpointId::new("anna"), EndpointId::new("ben"));
        let mut map = SourceMap::default();
        map.replace(&anna, set(&[(1, "camera"), (2, "camera"), (3, "screen")]));
        map.replace(&ben, set(&[(9, "other")]));
        assert_eq!(
            map.replace(&anna, set(&[(2, "camera")])),
            set(&[(1, "camera"), (2, "camera"), (3, "screen")])
        );
        assert_eq!((map.owner_of_ssrc(Ssrc(1)), map.owner_of_ssrc(Ssrc(2))), (None, Some(&anna)));
        for ssrc in 1..=3 {
            assert_eq!(map.holder_of_ssrc(Ssrc(ssrc)), Some(&anna), "{ssrc}");
        }
        for msid in ["camera", "screen"] {
            assert_eq!(map.holder_of_msid(msid), Some(&anna), "{msid}");
        }
        map.forget(&anna);
        assert!((1..=3).all(|ssrc| map.holder_of_ssrc(Ssrc(ssrc)).is_none()));
        assert!(["camera", "screen"].iter().all(|msid| map.holder_of_msid(msid).is_none()));
        assert_eq!((map.holder_of_ssrc(Ssrc(9)), map.holder_of_msid("other")), (Some(&ben), Some(&ben)));
        assert_eq!(map.owners().count(), 1);
    }

    #[test]
    fn a_camera_s_name_is_held_as_long_as_one_of_its_layers_is_there_however_many_came_meanwhile() {
        let anna = EndpointId::new("anna");
        let mut map = SourceMap::default();
        map.replace(&anna, set(&[(1, "camera"), (2, "camera")]));
        for n in 0..=limits::SOURCES_REMEMBERED {
            // All but what is there is forgotten by and by.
            map.replace(&anna, set(&[(2, "camera"), (100 + n as u32, &format!("screen{n}"))]));
        }
        assert_eq!(map.holder_of_msid("camera"), Some(&anna));
        assert_eq!(map.holder_of_ssrc(Ssrc(1)), None, "one beyond what is remembered");
    }
}
