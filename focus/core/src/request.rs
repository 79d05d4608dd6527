//! The conference request, as IQ and as HTTP: who wants which room in; ready, not yet or refused out (focus §2).

use std::collections::HashMap;
use std::time::Instant;

use jitsi_xmpp::{BareJid, Condition, Element, Jid, Sensitive, StanzaError, iq, ns};
use serde_json::{Map, Value, json};

use crate::conference::{Conference, NewConference, Phase};
use crate::limits;
use crate::turn::{ConferenceId, Turn, Verdict};
use crate::{Focus, HttpReply, HttpRequestId};

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
    },
    Http {
        request: HttpRequestId,
        room: BareJid,
    },
}

/// How joining the room went.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum JoinOutcome {
    Ready,
    /// Something passing: the client asks again after a pause.
    TryAgain,
    /// The room does not let us in.
    Refused(StanzaError),
}

impl Requester {
    /// Answers. To the unmodified sender: the proxy turns the address back (focus §1.4).
    pub(crate) fn answer(self, turn: &mut Turn<'_>, outcome: JoinOutcome) {
        match self {
            Self::Iq { request, room } => {
                let reply = match outcome {
                    JoinOutcome::Refused(e) => iq::error(&request, &e),
                    o => iq::result(&request, Some(reply_element(turn, &room, o == JoinOutcome::Ready))),
                };
                turn.send(reply);
            }
            Self::Http { request, room } => {
                let reply = match outcome {
                    JoinOutcome::Refused(e) => HttpReply::refusal(&e),
                    o => reply_json(turn, &room, o == JoinOutcome::Ready),
                };
                turn.http(request, reply);
            }
        }
    }
}

/// What to answer about authentication, gateways and visitors: none of them here.
const PROPERTIES: [(&str, &str); 2] = [("authentication", "false"), ("visitors-supported", "false")];

fn reply_element(turn: &Turn<'_>, room: &BareJid, ready: bool) -> Element {
    Element::new("conference", ns::FOCUS)
        .with_attr("room", room.as_str())
        .with_attr("ready", ready.to_string())
        .with_attr("focusjid", turn.me.as_jid().bare_str())
        .with_children(PROPERTIES.iter().map(|(name, value)| {
            Element::inherit("property").with_attr("name", *name).with_attr("value", *value)
        }))
}

fn reply_json(turn: &Turn<'_>, room: &BareJid, ready: bool) -> HttpReply {
    let properties: Map<String, Value> =
        PROPERTIES.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    let body = json!({
        "room": room.as_str(),
        "ready": ready,
        "focusJid": turn.me.as_jid().bare_str(),
        "properties": properties,
    });
    HttpReply { status: 200, content_type: "application/json", body: body.to_string() }
}

impl HttpReply {
    pub(crate) fn bad_request(reason: &str) -> Self {
        Self { status: 400, content_type: "text/plain", body: format!("Bad request: {reason}") }
    }

    /// The status codes of focus §2.2.
    pub(crate) fn refusal(e: &StanzaError) -> Self {
        match e.condition {
            Condition::NotAuthorized => {
                Self { status: 403, content_type: "text/plain", body: "Error".into() }
            }
            // compat: the client looks for this text after the first character.
            Condition::NotAcceptable => Self::bad_request("400 invalid-session"),
            _ => Self::bad_request(e.text.as_deref().unwrap_or(e.condition.as_str())),
        }
    }

    /// While the link is down: the client asks again.
    pub(crate) fn not_ready(room: &BareJid) -> Self {
        let body = json!({"room": room.as_str(), "ready": false, "properties": {}});
        Self { status: 200, content_type: "application/json", body: body.to_string() }
    }
}

/// A request as read from either form.
struct Request {
    room: BareJid,
    properties: RoomProperties,
}

impl Request {
    fn from_element(e: &Element) -> Result<Self, StanzaError> {
        let bad = |text: &str| StanzaError::new(Condition::BadRequest).with_text(text);
        let room = e.attr("room").filter(|r| !r.is_empty()).ok_or_else(|| bad("No 'room' specified."))?;
        let properties = e
            .children()
            .filter(|c| c.name() == "property")
            .filter_map(|p| Some((p.attr("name")?.to_owned(), p.attr("value")?.to_owned())));
        Self::new(room, properties).ok_or_else(|| bad("Invalid room."))
    }

    fn from_json(body: &[u8]) -> Result<Self, &'static str> {
        let value: Value = serde_json::from_slice(body).map_err(|_| "not JSON")?;
        let room = value.get("room").and_then(Value::as_str).filter(|r| !r.is_empty()).ok_or("no room")?;
        let empty = Map::new();
        let properties = value.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        // Clients send numbers and booleans as well as texts.
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        Self::new(room, properties.iter().map(|(k, v)| (k.clone(), text(v)))).ok_or("invalid room")
    }

    fn new(room: &str, properties: impl Iterator<Item = (String, String)>) -> Option<Self> {
        let room: BareJid = room.parse().ok()?;
        room.node()?;
        let mut p = RoomProperties { start_audio_muted: None, start_video_muted: None, rtcstats: true };
        for (name, value) in properties {
            match name.as_str() {
                "startAudioMuted" => p.start_audio_muted = value.parse().ok(),
                "startVideoMuted" => p.start_video_muted = value.parse().ok(),
                "rtcstatsEnabled" => p.rtcstats = value != "false",
                _ => {}
            }
        }
        Some(Self { room, properties: p })
    }
}

/// Tokens per account, so that one sender cannot open rooms without end (focus §13.7).
#[derive(Debug, Default)]
pub(crate) struct RequestBudgets {
    accounts: HashMap<Sensitive<String>, (Instant, u32)>,
}

impl RequestBudgets {
    /// Takes a token; `false` when there is none.
    pub(crate) fn spend(&mut self, now: Instant, account: &str) -> bool {
        let refilled = |(since, used): (Instant, u32)| {
            let back = now.duration_since(since).as_secs() / limits::REQUEST_REFILL.as_secs().max(1);
            u32::try_from(back).map_or(0, |back| used.saturating_sub(back))
        };
        if self.accounts.len() >= limits::REQUEST_ACCOUNTS {
            self.accounts.retain(|_, budget| refilled(*budget) > 0);
        }
        let full = self.accounts.len() >= limits::REQUEST_ACCOUNTS;
        let key = Sensitive::new(account.to_owned());
        let Some(budget) = self.accounts.get_mut(&key) else {
            if !full {
                self.accounts.insert(key, (now, 1));
            }
            return !full;
        };
        let used = refilled(*budget);
        if used >= limits::REQUEST_BURST {
            return false;
        }
        if used < budget.1 {
            budget.0 = now;
        }
        budget.1 = used + 1;
        true
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
        let account = original.as_ref().unwrap_or(&from).bare_str().to_owned();
        let request = match Request::from_element(payload) {
            Ok(request) => request,
            Err(e) => return e.into(),
        };
        let mut shell = Element::new("iq", ns::CLIENT);
        for name in ["type", "id", "from", "to"] {
            if let Some(value) = iq.attr(name) {
                shell.set_attr(name, value);
            }
        }
        let requester = Requester::Iq { request: shell, room: request.room.clone() };
        self.conference_request(now, request, requester, Some(&account));
        Verdict::Later
    }

    /// The HTTP form, `POST /conference-request/v1`.
    pub(crate) fn conference_http(&mut self, now: Instant, id: HttpRequestId, body: &[u8]) {
        let request = match Request::from_json(body) {
            Ok(request) => request,
            Err(reason) => return self.engine.reply_http(id, HttpReply::bad_request(reason)),
        };
        if self.engine.me().is_none() {
            return self.engine.reply_http(id, HttpReply::not_ready(&request.room));
        }
        let requester = Requester::Http { request: id, room: request.room.clone() };
        self.conference_request(now, request, requester, None);
    }

    fn conference_request(
        &mut self,
        now: Instant,
        request: Request,
        requester: Requester,
        account: Option<&str>,
    ) {
        self.engine.counters.conference_requests += 1;
        let in_budget = account.is_none_or(|a| self.budgets.spend(now, a));
        let full = self.rooms.len() >= limits::CONFERENCES || self.stopping;
        let allowed = self.engine.is_room(&request.room);
        let known = self.rooms.get_mut(&request.room);
        let Some(mut turn) = self.engine.turn(now) else { return };
        if !allowed {
            let e = StanzaError::new(Condition::NotAllowed).with_text("Not a conference room.");
            return requester.answer(&mut turn, JoinOutcome::Refused(e));
        }
        if !in_budget {
            turn.counters.requests_rate_limited += 1;
            return requester.answer(&mut turn, JoinOutcome::TryAgain);
        }
        if let Some(conference) = known {
            return conference.requested(&mut turn, requester);
        }
        if full {
            return requester.answer(&mut turn, JoinOutcome::TryAgain);
        }
        turn.counters.conference_requests_new += 1;
        turn.counters.conferences_created += 1;
        self.next_conference += 1;
        let new = NewConference {
            id: ConferenceId(self.next_conference),
            room: request.room.clone(),
            properties: request.properties,
        };
        let mut conference = Conference::start(&mut turn, new);
        conference.requested(&mut turn, requester);
        self.rooms.insert(request.room, conference);
    }
}

impl Conference {
    /// Somebody wants to join: answered now, or when the room has been joined.
    fn requested(&mut self, turn: &mut Turn<'_>, requester: Requester) {
        if self.start_timer.is_some() {
            self.start_timer = Some(turn.now + turn.config.conference_start);
        }
        match self.phase {
            Phase::Running => requester.answer(turn, JoinOutcome::Ready),
            Phase::Joining { .. } if self.waiting.len() < limits::WAITING_REQUESTS => {
                self.waiting.push(requester)
            }
            _ => requester.answer(turn, JoinOutcome::TryAgain),
        }
    }
}

/// Rooms of upstream's self-test; only a focus itself may make them.
pub(crate) const HEALTH_PREFIX: &str = "__jicofo-health-check";
