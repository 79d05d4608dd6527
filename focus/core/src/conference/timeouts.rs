//! Deadlines of one conference: when it wants to be woken out, what is due then in (focus §3.8).

use std::time::Instant;

use jitsi_xmpp::ids::EndpointId;

use super::member::{Media, Offered, Session};
use super::state::Step;
use super::{Conference, Phase};
use crate::turn::Turn;

impl Conference {
    /// When something is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let join = match self.phase {
            Phase::Joining { until, .. } => Some(until),
            Phase::Running => None,
            Phase::Ended => return None,
        };
        let members = self.members.values().filter_map(super::Member::poll_timeout).min();
        let members = members.filter(|_| self.phase == Phase::Running);
        [join, self.start_timer, self.single_timer, members].into_iter().flatten().min()
    }

    /// Does what is due; [`Conference::settle`] follows.
    pub(crate) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Joining { step, until } if until <= turn.now => match step {
                // Presets that never come: go on without (focus §3.2).
                Step::Metadata => self.metadata_arrived(turn),
                _ => self.join_failed(turn, None),
            },
            _ => {}
        }
        if self.phase == Phase::Ended {
            return;
        }
        if self.start_timer.is_some_and(|t| t <= turn.now) {
            self.start_timer = None;
            self.deserted |= self.members.is_empty();
        }
        self.repeat_invitations(turn);
    }

    /// An invitation that nobody accepted is repeated once.
    fn repeat_invitations(&mut self, turn: &mut Turn<'_>) {
        let due = |m: &super::Member| matches!(&m.media, Media::Session(Session { offered: Some(Offered { repeat_at: Some(at) }), .. }) if *at <= turn.now);
        let ids: Vec<EndpointId> = self.members.values().filter(|m| due(m)).map(|m| m.id.clone()).collect();
        for id in ids {
            if let Some(m) = self.members.get_mut(&id) {
                m.repeated = true;
            }
            self.move_member(turn, &id);
        }
    }
}
