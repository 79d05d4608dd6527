//! A client's answer and its changes: `session-accept`, `transport-info`, `source-add`, `source-remove` in; a
//! verdict, an update of the bridge and news for the other receivers out (focus §4.10, §5).

use jitsi_xmpp::ids::{EndpointId, MediaType};
use jitsi_xmpp::jingle::{IceUdpTransport, Jingle, Reason, ReasonKind};
use jitsi_xmpp::{Condition, StanzaError};

use super::wire::read_sources;
use crate::colibri::Change;
use crate::conference::Conference;
use crate::conference::member::Media;
use crate::limits;
use crate::sources::{SourceError, SourceSet, check_add, check_remove};
use crate::turn::{Turn, Verdict};

impl Conference {
    pub(super) fn session_accept(
        &mut self,
        turn: &mut Turn<'_>,
        id: &EndpointId,
        jingle: &Jingle,
    ) -> Verdict {
        if self.members.get(id).and_then(|m| m.session()).is_some_and(|s| s.offered.is_none()) {
            return StanzaError::new(Condition::UnexpectedRequest).with_text("already accepted").into();
        }
        let sources = read_sources(&jingle.contents)
            .and_then(|add| self.with_added(id, &add).map(|whole| (whole, !add.is_empty())));
        // compat: upstream's texts (test: compat_who_watches_sends_nothing).
        let sources = match sources {
            Ok((_, true)) if self.members.get(id).is_some_and(|m| m.watches) => {
                self.answer_refused(turn, id);
                return forbidden("sources not allowed for visitors");
            }
            other => other,
        };
        let (sources, any) = match sources {
            Ok(checked) => checked,
            Err(e) => {
                self.answer_refused(turn, id);
                return refuse(turn, &e);
            }
        };
        let transport = jingle.contents.iter().find_map(|c| c.transport.clone()).map(bounded);
        let last_n = jingle.contents.iter().find_map(|c| c.initial_last_n);
        let Some(member) = self.member_mut(id) else { return Verdict::Result(None) };
        member.invites.reset();
        member.repeated = false;
        member.refused = 0;
        member.just_joined = false;
        let Some(session) = member.session_mut() else { return Verdict::Result(None) };
        session.offered = None;
        session.last_n = last_n;
        if transport.is_some() {
            session.transport = transport;
        }
        turn.counters.sessions_accepted += 1;
        self.sources.replace(id, sources);
        let all = Change { transport: true, sources: true, last_n: true, ..Change::default() };
        self.tell_bridge(id, all);
        if any {
            self.sources_changed(turn, id);
        }
        Verdict::Result(None)
    }

    /// Nothing is kept of the session: today's clients leave and reload at any error here. Whoever does not is invited anew, and not for
    /// ever: upstream leaves it without media until everybody has none.
    fn answer_refused(&mut self, turn: &mut Turn<'_>, id: &EndpointId) {
        let again = self.members.get(id).is_some_and(|m| m.refused < limits::ANSWERS_REFUSED);
        if again {
            // A client takes no session beside one that it believes to have.
            self.terminate(turn, id, Reason::new(ReasonKind::GeneralError, "answer not taken"));
        }
        self.end_session(turn, id);
        turn.counters.answers_refused += 1;
        if again && let Some(m) = self.member_mut(id) {
            m.refused += 1;
            m.set_media(Media::Delayed(turn.now + limits::ANSWER_REFUSED_PAUSE));
        }
    }

    pub(super) fn transport_info(&mut self, id: &EndpointId, jingle: &Jingle) -> Verdict {
        let Some(transport) = jingle.contents.first().and_then(|c| c.transport.clone()) else {
            return StanzaError::new(Condition::BadRequest).with_text("missing transport").into();
        };
        let transport = bounded(transport);
        if let Some(session) = self.member_mut(id).and_then(|m| m.session_mut()) {
            session.transport = Some(merged(session.transport.take(), transport));
            self.tell_bridge(id, Change { transport: true, ..Change::default() });
        }
        Verdict::Result(None)
    }

    pub(super) fn source_add(&mut self, turn: &mut Turn<'_>, id: &EndpointId, jingle: &Jingle) -> Verdict {
        if self.members.get(id).is_some_and(|m| m.watches) {
            return forbidden("add-source not allowed for visitors");
        }
        let add = match read_sources(&jingle.contents) {
            Ok(add) if add.is_empty() => return Verdict::Result(None),
            Ok(add) => add,
            Err(e) => return refuse(turn, &e),
        };
        if let Some(error) = self.sender_limit(turn, &add) {
            return error.into();
        }
        match self.with_added(id, &add) {
            Ok(whole) => self.sources_are(turn, id, whole),
            Err(e) => refuse(turn, &e),
        }
    }

    pub(super) fn source_remove(&mut self, turn: &mut Turn<'_>, id: &EndpointId, jingle: &Jingle) -> Verdict {
        let remove = match read_sources(&jingle.contents) {
            Ok(remove) if remove.is_empty() => return Verdict::Result(None),
            Ok(remove) => remove,
            Err(e) => return refuse(turn, &e),
        };
        match check_remove(&self.sources, id, &remove) {
            Ok(whole) => self.sources_are(turn, id, whole),
            Err(e) => refuse(turn, &e),
        }
    }

    fn sources_are(&mut self, turn: &mut Turn<'_>, id: &EndpointId, whole: SourceSet) -> Verdict {
        self.sources.replace(id, whole);
        self.tell_bridge(id, Change { sources: true, ..Change::default() });
        self.sources_changed(turn, id);
        Verdict::Result(None)
    }

    fn with_added(&self, id: &EndpointId, add: &SourceSet) -> Result<SourceSet, SourceError> {
        let own = self.members.get(id).map_or(u64::MAX, |m| m.seq);
        check_add(&self.sources, id, add, |other| self.members.get(other).map(|m| m.seq < own))
    }

    fn sender_limit(&self, turn: &Turn<'_>, add: &SourceSet) -> Option<StanzaError> {
        let (audio, video) = self.senders();
        let mut exceeded = Vec::new();
        if add.has_media(MediaType::Audio) && audio >= turn.config.max_audio_senders {
            exceeded.push("audio");
        }
        if add.has_media(MediaType::Video) && video >= turn.config.max_video_senders {
            exceeded.push("video");
        }
        (!exceeded.is_empty()).then(|| {
            StanzaError::new(Condition::ResourceConstraint)
                .with_text(format!("Sender count exceeded for: {}", exceeded.join(" ")))
        })
    }
}

fn forbidden(text: &str) -> Verdict {
    StanzaError::new(Condition::Forbidden).with_text(text).into()
}

fn refuse(turn: &mut Turn<'_>, e: &SourceError) -> Verdict {
    turn.counters.sources_refused += 1;
    turn.counters.sources_foreign += u64::from(e.is_foreign());
    tracing::debug!(reason = e.reason(), "sources refused");
    StanzaError::from(e.clone()).into()
}

/// The bridge's marker is put in when missing (focus §4.10); candidates beyond the limit are left out.
fn bounded(mut transport: IceUdpTransport) -> IceUdpTransport {
    transport.rtcp_mux = true;
    transport.sctp_map = None;
    transport.web_sockets.clear();
    transport.candidates.truncate(limits::CANDIDATES);
    transport.fingerprints.truncate(limits::FINGERPRINTS);
    transport
}

/// Later transports carry what is new; credentials and fingerprints that they leave out stay as they were.
fn merged(old: Option<IceUdpTransport>, mut new: IceUdpTransport) -> IceUdpTransport {
    let Some(old) = old else { return new };
    if new.ufrag.is_some() && new.ufrag != old.ufrag {
        return new;
    }
    new.ufrag = new.ufrag.or(old.ufrag);
    new.pwd = new.pwd.or(old.pwd);
    if new.fingerprints.is_empty() {
        new.fingerprints = old.fingerprints;
    }
    for candidate in old.candidates {
        if !new.candidates.contains(&candidate) && new.candidates.len() < limits::CANDIDATES {
            new.candidates.push(candidate);
        }
    }
    new
}
