//! The rules of focus §5.3: what a participant wants to add or remove in, its complete new set or the exact error out.

use std::collections::{HashMap, HashSet};

use jitsi_xmpp::ids::{EndpointId, MediaType, Ssrc};
use jitsi_xmpp::{Condition, StanzaError};

use super::map::{Semantics, Source, SourceGroup, SourceMap, SourceSet};
use crate::limits;

/// Why sources were refused. Blame: the participant. Consequence: its request fails, nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    #[error("Invalid SSRC: {0}.")]
    InvalidSsrc(String),
    #[error("SSRC is already used: {0}.")]
    SsrcInUse(Ssrc),
    #[error("MSID is already used: {0}.")]
    MsidInUse(String),
    #[error("SSRC limit ({0}) exceeded.")]
    TooManySsrcs(usize),
    #[error("An SSRC group contains an SSRC, which hasn't been signaled as a source: {0}.")]
    GroupWithUnknownSsrc(String),
    #[error("ssrc-group limit ({0}) exceeded.")]
    TooManyGroups(usize),
    #[error("Invalid FID group: {0}.")]
    InvalidFid(String),
    #[error("Required source parameter 'msid' is not present.")]
    MissingMsid,
    #[error("SsrcGroup contains sources with different MSIDs: {0}.")]
    MixedMsids(String),
    #[error("Source name does not belong to the sender: {0}.")]
    ForeignName(String),
    #[error("Source does not exist or is not owned by endpoint (ssrc={0}).")]
    NotOwned(Ssrc),
    #[error("Source group does not exist")]
    NoSuchGroup,
    #[error("{0}")]
    Malformed(&'static str),
}

impl SourceError {
    /// The counter of this refusal.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::InvalidSsrc(_) => "sources_invalid_ssrc",
            Self::SsrcInUse(_) => "sources_ssrc_in_use",
            Self::MsidInUse(_) => "sources_msid_in_use",
            Self::TooManySsrcs(_) | Self::TooManyGroups(_) => "sources_limit",
            Self::GroupWithUnknownSsrc(_) | Self::InvalidFid(_) | Self::MixedMsids(_) => "sources_bad_group",
            Self::MissingMsid => "sources_missing_msid",
            Self::ForeignName(_) => "sources_foreign_name",
            Self::NotOwned(_) | Self::NoSuchGroup => "sources_not_owned",
            Self::Malformed(_) => "sources_malformed",
        }
    }
}

impl SourceError {
    /// Whether it is about what is somebody else's.
    pub(crate) const fn is_foreign(&self) -> bool {
        matches!(self, Self::SsrcInUse(_) | Self::MsidInUse(_) | Self::ForeignName(_) | Self::NotOwned(_))
    }
}

impl From<SourceError> for StanzaError {
    fn from(e: SourceError) -> Self {
        Self::new(Condition::BadRequest).with_text(e.to_string())
    }
}

/// The complete set of `owner` after adding `add`, all or nothing. `others`: whether somebody in the room has this id,
/// and if so, whether they came before.
pub(crate) fn check_add(
    map: &SourceMap,
    owner: &EndpointId,
    add: &SourceSet,
    others: impl Fn(&str) -> Option<bool>,
) -> Result<SourceSet, SourceError> {
    let mut new = map.of(owner);
    for s in &add.sources {
        if s.ssrc.0 == 0 {
            return Err(SourceError::InvalidSsrc("0".into()));
        }
        let foreign = map.holder_of_ssrc(s.ssrc).is_some_and(|o| o != owner);
        if foreign || map.owner_of_ssrc(s.ssrc).is_some() || new.source(s.ssrc).is_some() {
            return Err(SourceError::SsrcInUse(s.ssrc));
        }
        if let Some(msid) = &s.msid
            && is_foreign(map, owner, msid, &others)
        {
            return Err(SourceError::MsidInUse(msid.clone()));
        }
        if let Some(name) = &s.name
            && !name.as_str().strip_prefix(owner.as_str()).is_some_and(|rest| rest.starts_with('-'))
        {
            return Err(SourceError::ForeignName(name.as_str().into()));
        }
        if new.sources.len() >= limits::SSRCS_PER_PARTICIPANT {
            return Err(SourceError::TooManySsrcs(limits::SSRCS_PER_PARTICIPANT));
        }
        new.sources.push(s.clone());
    }
    for g in add.groups.iter().filter(|g| !g.ssrcs.is_empty()) {
        if new.groups.contains(g) {
            continue;
        }
        if g.ssrcs.iter().any(|s| new.source(*s).is_none_or(|s| s.media != g.media)) {
            return Err(SourceError::GroupWithUnknownSsrc(text(g)));
        }
        if g.ssrcs.iter().collect::<HashSet<_>>().len() < g.ssrcs.len() {
            return Err(SourceError::Malformed("ssrc-group with an SSRC twice"));
        }
        if new.groups.len() >= limits::GROUPS_PER_PARTICIPANT {
            return Err(SourceError::TooManyGroups(limits::GROUPS_PER_PARTICIPANT));
        }
        new.groups.push(g.clone());
    }
    check_whole(&new)?;
    Ok(new)
}

/// Whether it is somebody else's. Clients begin theirs with their own id, so one that is about to come can be guessed: it is kept for them.
fn is_foreign(
    map: &SourceMap,
    owner: &EndpointId,
    msid: &str,
    others: &impl Fn(&str) -> Option<bool>,
) -> bool {
    match map.holder_of_msid(msid) {
        Some(holder) => holder != owner,
        None => {
            let mut beginnings = msid.match_indices('-').filter_map(|(at, _)| msid.get(..at));
            // Where one id begins with another, whoever came first is meant.
            let both = |id: &str| owner.as_str().strip_prefix(id).is_some_and(|rest| rest.starts_with('-'));
            beginnings.any(|id| id != owner.as_str() && others(id).is_some_and(|before| before || !both(id)))
        }
    }
}

/// The complete set of `owner` after removing `remove`; groups that lose a member go with it.
pub(crate) fn check_remove(
    map: &SourceMap,
    owner: &EndpointId,
    remove: &SourceSet,
) -> Result<SourceSet, SourceError> {
    let mut new = map.of(owner);
    let gone: HashSet<Ssrc> = remove.sources.iter().map(|s| s.ssrc).collect();
    if let Some(foreign) = remove.sources.iter().find(|s| new.source(s.ssrc).is_none()) {
        return Err(SourceError::NotOwned(foreign.ssrc));
    }
    if remove.groups.iter().any(|g| !new.groups.contains(g)) {
        return Err(SourceError::NoSuchGroup);
    }
    new.sources.retain(|s| !gone.contains(&s.ssrc));
    new.groups.retain(|g| !remove.groups.contains(g) && !g.ssrcs.iter().any(|s| gone.contains(s)));
    check_whole(&new)?;
    Ok(new)
}

/// Rules 8 to 11: what must hold for a participant's set as a whole.
fn check_whole(set: &SourceSet) -> Result<(), SourceError> {
    for g in &set.groups {
        if g.semantics == Semantics::Fid && g.ssrcs.len() != 2 {
            return Err(SourceError::InvalidFid(text(g)));
        }
        let mut msids = HashSet::new();
        for s in g.ssrcs.iter().filter_map(|s| set.source(*s)) {
            msids.insert(s.msid.as_deref().ok_or(SourceError::MissingMsid)?);
        }
        if msids.len() > 1 {
            return Err(SourceError::MixedMsids(text(g)));
        }
    }
    one_group_per_msid(set, MediaType::Audio)?;
    one_group_per_msid(set, MediaType::Video)
}

/// Rule 11: an msid names one camera or screen, that is one simulcast group with its retransmissions, one lone
/// retransmission group or one lone source.
fn one_group_per_msid(set: &SourceSet, media: MediaType) -> Result<(), SourceError> {
    let groups = |semantics| set.groups.iter().filter(move |g| g.media == media && g.semantics == semantics);
    let mut heads: Vec<Ssrc> = Vec::new();
    let mut grouped: HashSet<Ssrc> = HashSet::new();
    for sim in groups(Semantics::Sim) {
        heads.extend(sim.ssrcs.first());
        grouped.extend(&sim.ssrcs);
    }
    for fid in groups(Semantics::Fid) {
        if let Some(primary) = fid.ssrcs.first() {
            if !grouped.contains(primary) {
                heads.push(*primary);
            }
            grouped.extend(fid.ssrcs.iter().skip(1));
        }
    }
    let of_media = |s: &&Source| s.media == media;
    let in_any: HashSet<Ssrc> =
        set.groups.iter().filter(|g| g.media == media).flat_map(|g| g.ssrcs.iter().copied()).collect();
    heads.extend(set.sources.iter().filter(of_media).map(|s| s.ssrc).filter(|s| !in_any.contains(s)));
    let mut seen: HashMap<&str, Ssrc> = HashMap::new();
    for head in heads {
        let Some(msid) = set.source(head).and_then(|s| s.msid.as_deref()) else { continue };
        if seen.insert(msid, head).is_some_and(|other| other != head) {
            return Err(SourceError::MsidInUse(msid.into()));
        }
    }
    Ok(())
}

fn text(group: &SourceGroup) -> String {
    let ssrcs: Vec<String> = group.ssrcs.iter().map(Ssrc::to_string).collect();
    format!("{}[{}]", group.semantics.as_str(), ssrcs.join(", "))
}
