//! The conference request, as IQ and as HTTP: who wants which room in; ready, not yet or refused out (focus §2).

use std::time::Instant;

use budget::Network;
use jitsi_xmpp::conference_request::{ConferenceRefusal, ConferenceReply, ConferenceRequest, HttpAnswer};
use jitsi_xmpp::{BareJid, Condition, Element, Jid, StanzaError, iq, ns};

use crate::budgets::Asker;
use crate::conference::{Conference, NewConference, Phase};
use crate::limits;
use crate::logins::{Refused, Shown};
use crate::turn::{ConferenceId, Turn, Verdict};
use crate::{Focus, HttpRequestId, Output};

/// Properties of the request that creates a conference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoomProperties {
    pub(crate) start_audio_muted: Option<usize>,
    pub(crate) start_video_muted: Option<usize>,
    pub(crate) rtcstats: bool,
}

/// Who asked, with everything needed to answer.
#[derive(Debug)]
pub(crate) enum Requester {
    /// The request without its payload.
    Iq {
        request: Element,
        room: BareJid,
        login: Option<Shown>,
        wishes: Wishes,
    },
    Http {
        request: HttpRequestId,
        room: BareJid,
        login: Option<Shown>,
        wishes: Wishes,
    },
}

/// What a client can and wants.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wishes {
    /// Whether it wants to watch only. `None`: it cannot.
    pub(crate) watch: Option<bool>,
}

impl Wishes {
    fn of(request: &ConferenceRequest) -> Self {
        let can = request.property("visitors-version").is_some();
        Self { watch: can.then(|| request.property("visitor") == Some("true")) }
    }
}

/// How joining the room went.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum JoinOutcome {
    Ready,
    /// At the visitor node.
    Watch,
    /// To be watched, and not yet.
    NotLive,
    /// Something passing: the client asks again after a pause.
    TryAgain,
    /// The room does not let us in.
    Refused(StanzaError),
}

impl Requester {
    pub(crate) const fn wishes(&self) -> Wishes {
        match self {
            Self::Iq { wishes, .. } | Self::Http { wishes, .. } => *wishes,
        }
    }

    /// Answers. To the unmodified sender: the proxy turns the address back (focus §1.4).
    pub(crate) fn answer(self, turn: &mut Turn<'_>, outcome: JoinOutcome) {
        match self {
            Self::Iq { request, room, login, .. } => {
                let answer = match outcome {
                    JoinOutcome::Refused(e) => iq::error(&request, &e),
                    o => iq::result(&request, Some(reply(turn, room, login, &o).to_element())),
                };
                turn.send(answer);
            }
            Self::Http { request, room, login, .. } => {
                let answer = match outcome {
                    JoinOutcome::Refused(e) => refusal(&e).to_http(),
                    o => reply(turn, room, login, &o).to_http(),
                };
                turn.http(request, answer);
            }
        }
    }
}

/// Nothing of gateways here.
fn reply(turn: &Turn<'_>, room: BareJid, login: Option<Shown>, outcome: &JoinOutcome) -> ConferenceReply {
    let ready = matches!(outcome, JoinOutcome::Ready | JoinOutcome::Watch);
    let logins = turn.config.login.as_ref();
    let mut reply = ConferenceReply::new(room, ready).with_property("authentication", logins.is_some());
    if let Some(logins) = logins {
        reply = reply.with_property("externalAuth", logins.external);
    }
    let visitors = turn.config.visitors.as_ref().filter(|_| turn.visitors.is_some());
    reply = reply.with_property("visitors-supported", visitors.is_some());
    if *outcome == JoinOutcome::NotLive {
        reply = reply.with_property("live", false);
    }
    if let (JoinOutcome::Watch, Some(visitors)) = (outcome, visitors) {
        reply.vnode = Some(visitors.vnode.clone());
    }
    if let Some(Shown { id, identity }) = login {
        (reply.session_id, reply.identity) = (Some(id), Some(identity));
    }
    reply.focus_jid = Some(turn.me.as_jid().to_bare());
    reply
}

/// While the link is down: the client asks again.
pub(crate) fn not_ready(room: &BareJid) -> HttpAnswer {
    ConferenceReply::new(room.clone(), false).to_http()
}

/// The status codes of focus §2.2.
fn refusal(e: &StanzaError) -> ConferenceRefusal {
    match (e.condition, &e.text) {
        (Condition::NotAuthorized, _) => ConferenceRefusal::NotAuthorized,
        (Condition::NotAcceptable, _) => ConferenceRefusal::SessionInvalid,
        (_, Some(text)) => ConferenceRefusal::BadRequest(text.clone()),
        (condition, None) => ConferenceRefusal::Other(condition),
    }
}

impl RoomProperties {
    fn of(request: &ConferenceRequest) -> Self {
        let number = |name| request.property(name).and_then(|v| v.parse().ok());
        Self {
            start_audio_muted: number("startAudioMuted"),
            start_video_muted: number("startVideoMuted"),
            rtcstats: request.property("rtcstatsEnabled") != Some("false"),
        }
    }
}

impl Focus {
    /// The IQ form. The answer may come later, when the room has been joined.
    pub(crate) fn conference_iq(&mut self, now: Instant, iq: &Element, payload: &Element) -> Verdict {
        let Ok(from) = iq.attr("from").unwrap_or_default().parse::<Jid>() else {
            return StanzaError::new(Condition::JidMalformed).into();
        };
        // Only the proxy may speak for others (focus §1.4).
        let proxied = self.engine.config.client_proxy.as_deref() == Some(from.domain());
        let original = if proxied { from.resource().and_then(|r| r.parse::<Jid>().ok()) } else { None };
        let asker = Asker::Account(original.as_ref().unwrap_or(&from).to_bare());
        let request = match ConferenceRequest::from_element(payload) {
            Ok(request) => request,
            Err(e) => return ConferenceRefusal::from(e).to_stanza_error().into(),
        };
        let mut shell = Element::new("iq", ns::CLIENT);
        for name in ["type", "id", "from", "to"] {
            if let Some(value) = iq.attr(name) {
                shell.set_attr(name, value);
            }
        }
        let from = original.unwrap_or(from);
        self.conference_request(now, &request, By::Iq(shell), asker, Some(&from));
        Verdict::Later
    }

    /// The HTTP form, `POST /conference-request/v1`. A bug costs an error.
    pub(crate) fn conference_http(&mut self, now: Instant, id: HttpRequestId, from: Network, body: &[u8]) {
        let (place, bugs) = (self.engine.out.len(), self.engine.counters.panics);
        self.contained(|focus| focus.answer_http(now, id, from, body));
        if self.engine.counters.panics > bugs {
            self.take_back(place, |o| matches!(o, Output::HttpReply { request, .. } if *request == id));
            let (content_type, body) = ("text/plain", "Internal error".to_owned());
            self.engine.reply_http(id, HttpAnswer { status: 500, content_type, body });
        }
    }

    fn answer_http(&mut self, now: Instant, id: HttpRequestId, from: Network, body: &[u8]) {
        let request = str::from_utf8(body)
            .map_err(|_| jitsi_xmpp::ParseError::Json)
            .and_then(ConferenceRequest::from_json);
        let request = match request {
            Ok(request) => request,
            Err(e) => return self.engine.reply_http(id, ConferenceRefusal::from(e).to_http()),
        };
        if self.engine.me().is_none() {
            return self.engine.reply_http(id, not_ready(&request.room));
        }
        let asker = Asker::Network(from);
        self.conference_request(now, &request, By::Http(id), asker, None);
    }

    fn conference_request(
        &mut self,
        now: Instant,
        request: &ConferenceRequest,
        by: By,
        asker: Asker,
        from: Option<&Jid>,
    ) {
        self.engine.counters.conference_requests += 1;
        let known = self.rooms.contains_key(&request.room);
        let mut login = None;
        let refused = if !self.engine.is_room(&request.room) {
            let e = StanzaError::new(Condition::NotAllowed).with_text("Not a conference room.");
            Some(JoinOutcome::Refused(e))
        } else if !self.budgets.may_ask(now, &asker) {
            self.engine.counters.requests_rate_limited += 1;
            Some(JoinOutcome::TryAgain)
        } else if let Err(e) = self.admit(now, request, from, known).map(|shown| login = shown) {
            Some(JoinOutcome::Refused(e.error()))
        } else if !known
            && (self.stopping || self.is_put_off(&request.room) || self.rooms.len() >= limits::CONFERENCES)
        {
            Some(JoinOutcome::TryAgain)
        } else if !known && !self.budgets.open(&asker) {
            self.engine.counters.requests_rate_limited += 1;
            Some(JoinOutcome::TryAgain)
        } else {
            None
        };
        let room = request.room.clone();
        let wishes = Wishes::of(request);
        let requester = match by {
            By::Iq(request) => Requester::Iq { request, room, login, wishes },
            By::Http(request) => Requester::Http { request, room, login, wishes },
        };
        let Some(mut turn) = self.engine.turn(now) else { return };
        if let Some(outcome) = refused {
            return requester.answer(&mut turn, outcome);
        }
        if !known {
            turn.counters.conference_requests_new += 1;
            turn.counters.conferences_created += 1;
            self.next_conference += 1;
            let pinned = turn.pins.version(now, &request.room);
            let new = NewConference {
                id: ConferenceId(self.next_conference),
                room: request.room.clone(),
                properties: RoomProperties::of(request),
                opened_by: asker,
                pinned,
            };
            let conference = Conference::new(&mut turn, new);
            self.rooms.insert(request.room.clone(), conference);
        }
        self.with_room(now, &request.room, |conference, turn| {
            if !known {
                conference.join(turn);
            }
            conference.asked_from(from, request.machine_uid.as_ref());
            conference.requested(turn, requester);
            if let Some(from) = from.filter(|from| turn.logins.holds(from)) {
                conference.logged_in(turn, from);
            }
        });
    }

    /// Breakout rooms belong to a meeting that goes on.
    fn is_put_off(&self, room: &BareJid) -> bool {
        self.draining && !self.engine.is_breakout(room)
    }

    /// A room that is there takes everybody, and so does the main room of a breakout room that is there.
    fn admit(
        &mut self,
        now: Instant,
        request: &ConferenceRequest,
        from: Option<&Jid>,
        known: bool,
    ) -> Result<Option<Shown>, Refused> {
        // compat: breakout rooms are there for people of the meeting alone, which the server looks after (test:
        // compat_nobody_logs_in_for_a_breakout_room).
        let breakout = self.engine.is_breakout(&request.room);
        let open = known || breakout || self.breakouts.contains_key(&request.room);
        self.engine.admit(now, request, from, open)
    }
}

/// How a request came.
enum By {
    /// Without its payload.
    Iq(Element),
    Http(HttpRequestId),
}

impl Conference {
    /// Somebody wants to join: answered now, or when the room has been joined.
    fn requested(&mut self, turn: &mut Turn<'_>, requester: Requester) {
        if self.start_timer.is_some() {
            self.start_timer = Some(turn.now + turn.config.conference_start);
        }
        match self.phase {
            Phase::Running if self.is_not_live(turn, &requester) => {
                requester.answer(turn, JoinOutcome::NotLive);
            }
            Phase::Running => self.welcome(turn, requester),
            Phase::Joining { .. } if self.waiting.len() < limits::WAITING_REQUESTS => {
                self.waiting.push(requester)
            }
            _ => requester.answer(turn, JoinOutcome::TryAgain),
        }
    }
}

/// Rooms of upstream's self-test; only a focus itself may make them.
pub(crate) const HEALTH_PREFIX: &str = "__jicofo-health-check";
