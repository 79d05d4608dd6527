//! Deadlines of one conference: when it wants to be woken out, what is due then in (focus §3.8).

use std::time::Instant;

use jitsi_xmpp::ids::EndpointId;

use super::member::{Media, Offered, Session};
use super::state::Step;
use super::{Conference, Phase};
use crate::turn::Turn;

impl Conference {
    /// When something of the conference as a whole is due.
    pub(super) fn own_deadline(&self) -> Option<Instant> {
        let join = match self.phase {
            Phase::Joining { until, .. } => Some(until),
            Phase::Running => None,
            Phase::Ended => return None,
        };
        let owner = self.away.map(|a| a.until);
        let parts = [self.audience_deadline(), self.recording_deadline(), self.relays_deadline(), owner];
        [join, self.start_timer, self.single_timer].into_iter().chain(parts).flatten().min()
    }

    /// Does what is due; [`Conference::settle`] follows.
    pub(crate) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        self.armed = None;
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
            self.deserted |= self.is_without_people();
        }
        self.audience_due(turn);
        self.recording_due(turn);
        self.relays_due(turn);
    }

    /// A member's deadline has come: `settle` looks at it. An invitation that nobody accepted is repeated once.
    pub(crate) fn member_due(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let Some(m) = self.member_mut(id) else { return };
        m.armed = None;
        let unanswered = matches!(&m.media, Media::Session(Session { offered: Some(Offered { repeat_at: Some(at) }), .. }) if *at <= turn.now);
        if unanswered && self.phase == Phase::Running {
            if let Some(m) = self.members.get_mut(id) {
                m.repeated = true;
            }
            self.move_member(turn, id);
        }
    }
}
