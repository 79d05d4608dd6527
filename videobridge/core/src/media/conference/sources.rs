//! What is sent: descriptions of sources in; the sources by place and by name, and what each SSRC of their owners is, out.

use std::time::Instant;

use foldhash::{HashMap, HashMapExt as _};
use jitsi_xmpp::ids::{MediaType, SourceName};

use super::members::Members;
use crate::media::ids::{EncodingIx, MemberIx, SourceIx, SourceUid, Table};
use crate::media::ingress::source::{Signalled, Source, SsrcRole};

/// The sources of a conference.
#[derive(Debug)]
pub(super) struct Sources {
    table: Table<SourceIx, Source>,
    video_by_name: HashMap<SourceName, SourceIx>,
    next_uid: u64,
    /// Audio sources nobody was asked yet whether they want them.
    pub(super) new_audio: Vec<SourceIx>,
}

impl Sources {
    pub(super) fn new() -> Self {
        Self { table: Table::new(), video_by_name: HashMap::new(), next_uid: 1, new_audio: Vec::new() }
    }

    /// A new source of somebody.
    pub(super) fn add(&mut self, now: Instant, owner: MemberIx, members: &mut Members, signalled: Signalled) {
        let Some(member) = members.get_mut(owner) else { return };
        let (name, media) = (signalled.name.clone(), signalled.media);
        let uid = SourceUid(self.next_uid);
        self.next_uid += 1;
        let mut source = Source::new(now, uid, signalled, (owner, member.id.clone()));
        source.kinds = member.negotiated.kinds;
        if let Some(at) = member.early_kinds.iter().position(|(early, _)| *early == name) {
            source.kind = member.early_kinds.swap_remove(at).1;
        }
        let at = self.table.vacant();
        member.sources.push(at);
        let carrier = members.carrier(owner).and_then(|carrier| members.get_mut(carrier));
        let Some(carrier) = carrier else { return };
        for (i, e) in (0..).map(EncodingIx).zip(&source.encodings) {
            carrier.ssrcs.insert(e.ssrc, SsrcRole::Media { source: at, encoding: i });
            if let Some(rtx) = e.rtx {
                carrier.ssrcs.insert(rtx, SsrcRole::Rtx { source: at, encoding: i });
            }
        }
        for fec in &source.signalled.fec {
            carrier.ssrcs.insert(*fec, SsrcRole::Fec);
        }
        match media {
            MediaType::Video => {
                self.video_by_name.insert(name, at);
            }
            MediaType::Audio => self.new_audio.push(at),
        }
        self.table.insert(source);
    }

    /// It is gone, also for its owner and for everybody who got it.
    pub(super) fn remove(&mut self, index: SourceIx, members: &mut Members) {
        let Some(source) = self.table.try_remove(index) else { return };
        if let Some(carrier) = members.carrier(source.owner).and_then(|carrier| members.get_mut(carrier)) {
            carrier.ssrcs.retain(|ssrc, role| match role {
                SsrcRole::Media { source: s, .. } | SsrcRole::Rtx { source: s, .. } => *s != index,
                SsrcRole::Fec => !source.signalled.fec.contains(ssrc),
            });
        }
        if let Some(member) = members.get_mut(source.owner) {
            member.sources.retain(|s| *s != index);
        }
        if self.video_by_name.get(&source.signalled.name) == Some(&index) {
            self.video_by_name.remove(&source.signalled.name);
        }
        for (_, member) in members.iter_mut() {
            member.egress.release(source.uid);
        }
    }

    pub(super) fn video(&self, name: &SourceName) -> Option<SourceIx> {
        self.video_by_name.get(name).copied()
    }

    pub(super) fn get(&self, index: SourceIx) -> Option<&Source> {
        self.table.get(index)
    }

    pub(super) fn get_mut(&mut self, index: SourceIx) -> Option<&mut Source> {
        self.table.get_mut(index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SourceIx, &Source)> + Clone {
        self.table.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (SourceIx, &mut Source)> {
        self.table.iter_mut()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

#[cfg(test)]
impl std::ops::Index<SourceIx> for Sources {
    type Output = Source;

    fn index(&self, index: SourceIx) -> &Source {
        &self.table[index]
    }
}
