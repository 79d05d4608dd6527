//! A conference's bridges for a successor: sessions, who is on them and their relays in, as they are written out; and back.

use std::collections::{BTreeMap, VecDeque};

use jitsi_xmpp::ids::MeetingId;

use super::relays::{Link, Stage};
use super::sessions::{BridgeSession, SessionNumber, Sessions};
use crate::conference::Conference;
use crate::handover::parts::{ids, transport, written_ids, written_transport};
use crate::handover::{HandoverError, at_most, wire, word};
use crate::limits;
use crate::sources::SourceSet;
use crate::turn::Turn;

impl Sessions {
    pub(crate) fn written(&self) -> Vec<wire::Session> {
        let of = |s: &BridgeSession| wire::Session {
            number: s.number.0,
            bridge: s.bridge.as_str().to_owned(),
            meeting: s.meeting.as_str().to_owned(),
            id: s.id.clone(),
            region: s.region.clone(),
            relay_id: s.relay_id.clone(),
            viewers: s.viewers,
            created: s.created,
            answered: s.answered,
            feedback: s.feedback.written(),
            endpoints: written_ids(&s.endpoints),
            links: s.links.iter().map(|(n, link)| (n.0, link.written())).collect(),
        };
        self.iter().map(of).collect()
    }

    pub(crate) fn read_written(from: Vec<wire::Session>, begun: u64) -> Result<Self, HandoverError> {
        at_most(&from, limits::BRIDGES, "bridges")?;
        let mut all = BTreeMap::new();
        for s in from {
            at_most(
                &s.endpoints,
                limits::MEMBERS_PER_CONFERENCE + limits::VIEWERS_PER_CONFERENCE,
                "endpoints",
            )?;
            let mut links = BTreeMap::new();
            for (number, link) in s.links {
                links.insert(SessionNumber(number), Link::read_written(link)?);
            }
            let number = SessionNumber(s.number);
            all.insert(
                number,
                BridgeSession {
                    number,
                    bridge: word(&s.bridge, "bridge")?,
                    meeting: MeetingId::new(s.meeting),
                    id: s.id,
                    region: s.region,
                    relay_id: s.relay_id,
                    viewers: s.viewers,
                    created: s.created,
                    answered: s.answered,
                    feedback: SourceSet::read_written(s.feedback)?,
                    endpoints: ids(&s.endpoints),
                    links,
                    joins: VecDeque::new(),
                },
            );
        }
        Ok(Self::of(all, begun))
    }
}

impl Link {
    fn written(&self) -> wire::Link {
        wire::Link {
            relay: self.relay.clone(),
            begins: self.begins,
            mesh: self.mesh.clone(),
            stage: match self.stage {
                Stage::Wanted => wire::Stage::Wanted,
                Stage::Asked => wire::Stage::Asked,
                Stage::Made => wire::Stage::Made,
            },
            ours: written_transport(&self.ours),
            knows_theirs: self.knows_theirs,
            told: written_ids(&self.told),
            // What it has not confirmed is said again.
            stale: written_ids(if self.said.is_some() { &self.told } else { &self.stale }),
        }
    }

    fn read_written(from: wire::Link) -> Result<Self, HandoverError> {
        let mut link = Self::new(from.relay, from.begins, from.mesh);
        link.stage = match from.stage {
            wire::Stage::Wanted => Stage::Wanted,
            wire::Stage::Asked => Stage::Asked,
            wire::Stage::Made => Stage::Made,
        };
        link.ours = transport(&from.ours)?;
        link.knows_theirs = from.knows_theirs;
        link.told = ids(&from.told);
        link.stale = ids(&from.stale);
        Ok(link)
    }
}

impl Conference {
    /// Relays whose making was under way are made anew; the others are looked at.
    pub(crate) fn relays_go_on(&mut self, turn: &mut Turn<'_>) {
        let all: Vec<_> =
            self.sessions.iter().flat_map(|s| s.links.iter().map(|(n, l)| (s.number, *n, l.stage))).collect();
        for (of, about, stage) in all {
            if stage == Stage::Asked {
                self.link_anew(turn, of, about);
            }
            self.sessions.dirty.insert((of, about));
        }
    }
}
