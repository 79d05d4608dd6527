//! BOSH over HTTP: POSTs in, answers out; one task per session drives its engine.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body as HttpBody;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use budget::Network;
use bytes::Bytes;
use http::{Method, StatusCode, header};
use jitsi_xmpp::{Entropy, ns};
use prosody_core::bosh::body::{self, Body, Condition};
use prosody_core::bosh::engine::{Effect, Engine};
use prosody_core::bosh::limits::BODY_BYTES;
use prosody_core::{SessionQuery, Transport};
use service::SystemEntropy;
use service::body::Whole;
use service::unserved::Unserved;
use tokio::sync::{mpsc, oneshot};
use tokio::time;

use super::query;
use crate::backlog::Charge;
use crate::connection::{Connection, Order};
use crate::counters::{Tally, bump};
use crate::limits;
use crate::owner::Shared;
use crate::rate::Pace;

/// The sessions by their id. As many as connections are allowed.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, mpsc::Sender<Incoming>>>);

#[derive(Debug)]
struct Incoming {
    body: Body,
    /// Counted until the body is taken up.
    whole: Whole,
    reply: oneshot::Sender<Bytes>,
}

/// What the handlers need.
#[derive(Debug, Clone)]
pub(crate) struct Bosh {
    pub(crate) shared: Arc<Shared>,
    pub(crate) sessions: Arc<Sessions>,
}

/// `/http-bind`
pub(crate) async fn root(State(bosh): State<Bosh>, request: Request) -> Response {
    bosh.answer(request, None).await
}

/// `/<tenant>/http-bind`
pub(crate) async fn tenant(
    State(bosh): State<Bosh>,
    Path(tenant): Path<String>,
    request: Request,
) -> Response {
    bosh.answer(request, Some(tenant)).await
}

impl Bosh {
    async fn answer(&self, request: Request, tenant: Option<String>) -> Response {
        match *request.method() {
            Method::POST => self.post(request, tenant).await,
            Method::GET | Method::HEAD => {
                let mut response =
                    Response::new(HttpBody::from("BOSH (XEP-0124) is served here: POST a <body/>.\n"));
                content_type(&mut response, "text/plain; charset=utf-8");
                response
            }
            _ => {
                let mut response = Response::new(HttpBody::empty());
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                response
            }
        }
    }

    /// An answer is a 200 with a `<body/>`; refusals are of type `terminate`. Only what never became a body is refused by HTTP.
    async fn post(&self, request: Request, tenant: Option<String>) -> Response {
        let (head, whole) = match service::body::read(request, BODY_BYTES).await {
            Ok(read) => read,
            Err(refused) => {
                bump(&self.shared.tally.bosh_too_large);
                return refused.into_response();
            }
        };
        let body = match Body::read(&whole) {
            Ok(body) => body,
            Err(condition) => {
                bump(&self.shared.tally.bosh_bad_request);
                return xml(refuse(None, condition));
            }
        };
        let (reply, answer) = oneshot::channel();
        let sid = body.sid.clone();
        match &sid {
            None => {
                if whole.len() > limits::BOSH_LOGIN_BYTES {
                    bump(&self.shared.tally.bosh_too_large);
                    return xml(refuse(None, Condition::PolicyViolation));
                }
                // It waits for an answer below, up to two minutes.
                drop(whole);
                let head = http::Request::from_parts(head, ());
                let peer = self.shared.network(head.extensions());
                let query = query::read(&head, tenant, peer);
                if let Err(refusal) = self.create(body, peer, query, reply).await {
                    return xml(refusal);
                }
            }
            Some(sid) => {
                let session = self.sessions.lock().get(sid).cloned();
                let Some(session) = session else {
                    bump(&self.shared.tally.bosh_unknown_sid);
                    let refusal = xml(refuse(Some(sid), Condition::ItemNotFound));
                    let body = HttpBody::from(whole.to_vec());
                    return Unserved::beside(http::Request::from_parts(head, body), refusal);
                };
                if let Err(mpsc::error::TrySendError::Full(_)) =
                    session.try_send(Incoming { body, whole, reply })
                {
                    bump(&self.shared.tally.bosh_overactive);
                    return xml(refuse(Some(sid), Condition::PolicyViolation));
                }
            }
        }
        // The session's task has ended without an answer: it is not there any more.
        xml(answer.await.unwrap_or_else(|_| refuse(sid.as_deref(), Condition::ItemNotFound)))
    }

    async fn create(
        &self,
        body: Body,
        peer: Network,
        query: SessionQuery,
        reply: oneshot::Sender<Bytes>,
    ) -> Result<(), Bytes> {
        let sid = SystemEntropy.uuid();
        let engine = match Engine::new(Instant::now(), sid.clone(), body, reply) {
            Ok(engine) => engine,
            Err((condition, _)) => {
                bump(&self.shared.tally.bosh_refused);
                return Err(refuse(None, condition));
            }
        };
        let Ok(place) = self.shared.admit(peer) else {
            return Err(refuse(None, Condition::PolicyViolation));
        };
        let kept = place.backlog().map(|backlog| backlog.buffer());
        let connection = Connection::open(&self.shared, place, Transport::Bosh, query).await;
        let pace = connection.pace();
        bump(&self.shared.tally.bosh_opened);
        let (tx, requests) = mpsc::channel(limits::BOSH_QUEUE);
        self.sessions.lock().insert(sid.clone(), tx);
        let registration = Registration { sid, sessions: Arc::clone(&self.sessions) };
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            Session { engine, requests, connection: Some(connection), kept, pace }.carry(&shared.tally).await;
            drop(registration);
        });
        Ok(())
    }
}

impl Sessions {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, mpsc::Sender<Incoming>>> {
        // Map operations leave nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }
}

/// Removes the session however its task ends.
struct Registration {
    sid: String,
    sessions: Arc<Sessions>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.sid);
    }
}

struct Session {
    engine: Engine<oneshot::Sender<Bytes>>,
    requests: mpsc::Receiver<Incoming>,
    /// `None` once the server has ended the session and the client has not heard yet.
    connection: Option<Connection>,
    /// What the engine keeps, of what may wait for the address.
    kept: Option<Charge>,
    /// How fast it may send.
    pace: Pace,
}

impl Session {
    async fn carry(mut self, tally: &Tally) {
        let mut paused_until: Option<time::Instant> = None;
        loop {
            if let Some(kept) = &mut self.kept
                && kept.set(self.engine.kept()).is_err()
            {
                bump(&tally.slow_reader);
                self.engine.handle_too_much(Instant::now());
            }
            if self.carry_out(tally).await.is_over {
                return;
            }
            let timeout = self.engine.poll_timeout().map(time::Instant::from);
            let full = self.engine.is_full();
            tokio::select! {
                request = self.requests.recv(), if paused_until.is_none() => {
                    let Some(Incoming { body, whole, reply }) = request else { return };
                    drop(whole);
                    let now = Instant::now();
                    let stanzas = body.stanzas.iter().map(|s| s.len().max(limits::FRAME_COST)).sum::<usize>();
                    if let Some(wait) = self.pace.frame(now, stanzas + REQUEST_COST) {
                        bump(&tally.rate_delayed);
                        paused_until = Some(time::Instant::now() + wait);
                    }
                    self.engine.handle_request(now, body, reply);
                }
                order = order(&mut self.connection), if !full => {
                    if let Some(wait) = self.ordered(order).await {
                        paused_until = paused_until.max(Some(time::Instant::now() + wait));
                    }
                }
                () = sleep(timeout) => self.engine.handle_timeout(Instant::now()),
                () = sleep(paused_until), if paused_until.is_some() => paused_until = None,
            }
        }
    }

    async fn carry_out(&mut self, tally: &Tally) -> Over {
        let mut over = Over { is_over: false };
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                // A broken connection is no loss: the answer is kept for the same request sent again.
                Effect::Answer(reply, bytes) => drop(reply.send(bytes)),
                Effect::Frame(bytes) => {
                    if let Some(connection) = &self.connection {
                        connection.frame(bytes).await;
                    }
                }
                Effect::Closed { clean, reason } => {
                    match reason {
                        "bosh_rid" => bump(&tally.bosh_rid),
                        "bosh_inactive" => bump(&tally.bosh_inactive),
                        "bosh_overactive" => bump(&tally.bosh_overactive),
                        _ => {}
                    }
                    tracing::debug!(reason, "BOSH session closed");
                    if let Some(connection) = self.connection.take()
                        && clean
                    {
                        connection.frame(Bytes::from(format!("<close xmlns=\"{}\"/>", ns::FRAMING))).await;
                    }
                    over.is_over = true;
                }
            }
        }
        over
    }

    /// Takes this order and all others at hand, so that they go with one answer; returns how long to read nothing.
    async fn ordered(&mut self, first: Option<Order>) -> Option<Duration> {
        // The server queues all frames of one step without a pause; let it.
        tokio::task::yield_now().await;
        let now = Instant::now();
        let mut next = first;
        let mut pause = None;
        loop {
            match next {
                Some(Order::Pause(wait)) => pause = pause.max(Some(wait)),
                Some(Order::Send(frame)) => self.engine.handle_frame(now, frame.to_bytes()),
                Some(Order::Close(reason)) => {
                    self.connection = None;
                    self.engine.handle_server_closed(now, reason.bosh_condition());
                    return pause;
                }
                Some(Order::StartTls | Order::ResetStream | Order::StanzaLimit(_)) => {}
                None => {
                    // The server has stopped, or this client has not asked for too long.
                    self.connection = None;
                    self.engine.handle_server_closed(now, Some("system-shutdown"));
                    return pause;
                }
            }
            if self.engine.is_full() {
                break;
            }
            match self.connection.as_mut().and_then(Connection::try_order) {
                Some(order) => next = Some(order),
                None => break,
            }
        }
        self.engine.flush(now);
        pause
    }
}

struct Over {
    is_over: bool,
}

async fn order(connection: &mut Option<Connection>) -> Option<Order> {
    match connection {
        Some(connection) => connection.order().await,
        None => std::future::pending().await,
    }
}

async fn sleep(until: Option<time::Instant>) {
    match until {
        Some(until) => time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

fn refuse(sid: Option<&str>, condition: Condition) -> Bytes {
    body::terminate(sid, Some(condition.as_str()), &[])
}

fn xml(bytes: Bytes) -> Response {
    let mut response = Response::new(HttpBody::from(bytes));
    content_type(&mut response, "text/xml; charset=utf-8");
    response
}

fn content_type(response: &mut Response, value: &'static str) {
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(value));
}

/// What a request costs beyond its stanzas, for the rate limit: headers, and the work of answering.
const REQUEST_COST: usize = 512;

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use tokio::sync::watch;

    use super::*;

    #[tokio::test]
    async fn so_many_requests_wait_for_a_sessions_task_and_not_one_more() {
        let (_stop, stopped) = watch::channel(false);
        let (shared, _inputs) = Shared::new(&prosody_core::Limits::default(), stopped);
        let bosh = Bosh { shared: Arc::clone(&shared), sessions: Arc::default() };
        let post = |text: String| {
            let request = http::Request::post("/http-bind").body(HttpBody::from(text)).unwrap();
            Box::pin(bosh.post(request, None))
        };
        let poll = |request: &mut _| {
            Future::poll(std::pin::Pin::new(request), &mut Context::from_waker(Waker::noop())).is_ready()
        };
        let ns = ns::HTTP_BIND;
        let mut create = post(format!("<body xmlns='{ns}' rid='1' to='meet.jitsi' wait='60' hold='1'/>"));
        assert!(!poll(&mut create));
        let sid = bosh.sessions.lock().keys().next().unwrap().clone();
        // Its task has no turn while this one does not wait.
        let ask = |n| {
            let mut request = post(format!("<body xmlns='{ns}' rid='{n}' sid='{sid}'/>"));
            (poll(&mut request), request)
        };
        let waiting: Vec<_> = (0..limits::BOSH_QUEUE).map(|n| ask(2 + n)).collect();
        assert!(waiting.iter().all(|(answered, _)| !answered));
        assert!(ask(2 + limits::BOSH_QUEUE).0);
        assert_eq!(shared.tally.read().bosh_overactive, 1);
    }
}
