//! Leaving: a member's unavailable presence or a session's end in; cleaned-up state, an expired endpoint and the
//! end of a lone participant's session out (focus §3.7).

use jitsi_xmpp::Element;
use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::jingle::{Reason, ReasonKind};

use super::Conference;
use super::member::Media;
use crate::colibri::has_endpoint;
use crate::sources::SourceSet;
use crate::turn::Turn;

impl Conference {
    /// Left or kicked. Its client is gone, so nothing is sent to it.
    pub(super) fn member_left(&mut self, turn: &mut Turn<'_>, id: &EndpointId, presence: &Element) {
        let Some(m) = self.members.get(id) else { return };
        let (watched, browser) = (m.watches, m.browser);
        if self.is_wish_of(m.occupant.as_str()) {
            self.forget_wish(turn);
        }
        self.end_session(turn, id);
        self.remove_member(turn, id);
        self.somebody_left = true;
        self.hosts.remove(id);
        if self.owner.as_ref() == Some(id) {
            self.owner_left(turn, browser, presence);
        }
        if !watched && self.is_without_people() {
            // Moving to a breakout room, and probably back: wait a while (focus §3.7).
            let switching = presence.child_named("status").is_some_and(|s| s.text() == "switch_room");
            if switching {
                self.start_timer = Some(turn.now + turn.config.conference_start);
            } else {
                self.deserted = true;
            }
        }
    }

    /// Ends a member's session on our side: endpoint, sources and signalling state go; the member stays.
    pub(crate) fn end_session(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let Some(m) = self.member_mut(id) else { return };
        let old = m.set_media(Media::Ended);
        m.signaling.offered(Default::default());
        m.news.forget();
        if has_endpoint(&old) {
            self.expire_endpoint(turn, id);
        }
        if !self.sources.replace(id, SourceSet::default()).is_empty() {
            self.sources_changed(turn, id);
        }
    }

    /// Whom others have left alone needs no bridge: after a while its session ends, until somebody joins.
    ///
    /// compat: time runs anew from everybody who leaves; being alone from the beginning, where media begins with one,
    /// ends nothing (test: compat_only_who_is_left_alone_loses_its_session). It stops at once for who joins, who will need
    /// the other's session when its own begins.
    pub(super) fn watch_single_participant(&mut self, turn: &mut Turn<'_>) {
        let joined = std::mem::take(&mut self.somebody_joined) && self.is_enough();
        let left = std::mem::take(&mut self.somebody_left);
        if self.participant_count() != 1 || self.viewer_count() > 0 || joined {
            self.single_timer = None;
            return;
        }
        if left {
            self.single_timer = Some(turn.now + turn.config.single_participant);
        }
        if self.single_timer.is_none_or(|at| at > turn.now) {
            return;
        }
        self.single_timer = None;
        for id in self.by_arrival() {
            if self.members.get(&id).is_some_and(|m| m.is_participant()) {
                self.terminate(turn, &id, Reason::new(ReasonKind::Expired, "Idle session timeout"));
                self.end_session(turn, &id);
            }
        }
    }
}
