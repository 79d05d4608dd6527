//! XMPP over WebSocket (RFC 7395): an HTTP upgrade in, one frame per stanza both ways.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt;
use http::StatusCode;
use prosody_core::{FramingError, SessionQuery, Transport};
use service::websocket::{Handshake, NoHandshake, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::query;
use crate::connection::{Line, Sink};
use crate::counters::bump;
use crate::limits;
use crate::outlet::{self, Outlet, Word};
use crate::owner::Shared;
use crate::peers::Place;

/// `GET /xmpp-websocket`
pub(crate) async fn root(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    answer(shared, request, None)
}

/// `GET /<tenant>/xmpp-websocket`
pub(crate) async fn tenant(
    State(shared): State<Arc<Shared>>,
    Path(tenant): Path<String>,
    request: Request,
) -> Response {
    answer(shared, request, Some(tenant))
}

fn answer(shared: Arc<Shared>, mut request: Request, tenant: Option<String>) -> Response {
    let handshake = Handshake::of(&request);
    if handshake.as_ref().is_err_and(|e| *e == NoHandshake::Plain) {
        // The clients' keep-alive is a plain GET of this address; any 2xx keeps them happy (client §1.5).
        return plain(StatusCode::NO_CONTENT);
    }
    if !service::websocket::offers(request.headers(), PROTOCOL) {
        bump(&shared.tally.websocket_refused);
        return plain(StatusCode::NOT_IMPLEMENTED);
    }
    let Ok(handshake) = handshake else {
        bump(&shared.tally.websocket_refused);
        return plain(StatusCode::BAD_REQUEST);
    };
    let peer = shared.network(request.extensions());
    let query = query::read(&request, tenant, peer);
    let Ok(place) = shared.admit(peer) else { return plain(StatusCode::SERVICE_UNAVAILABLE) };
    let (opening, response) = handshake.take(&mut request, Some(PROTOCOL));
    tokio::spawn(async move {
        match opening.stream().await {
            Some(stream) => serve(shared, place, stream, query).await,
            None => bump(&shared.tally.websocket_refused),
        }
    });
    response
}

fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// RFC 7395 §3.1.
const PROTOCOL: &str = "xmpp";

async fn serve(shared: Arc<Shared>, place: Place, io: Stream, query: SessionQuery) {
    let config = WebSocketConfig::default()
        .read_buffer_size(limits::WS_READ_BUFFER)
        // What the engine writes by itself goes to the outlet's queue at once.
        .write_buffer_size(0)
        // Somewhat above the stanza limit: the server answers what is between the two with an error.
        .max_message_size(Some(shared.max_stanza * limits::REFUSED_FRAME))
        .max_frame_size(Some(shared.max_stanza * limits::REFUSED_FRAME));
    let outlet = Outlet::new(io, shared.max_send_backlog, place.backlog());
    outlet.take_frames_of(shared.max_login);
    let sink = Sink::Outlet(Arc::clone(&outlet));
    let line = Line::open(&shared, place, Transport::WebSocket, query, sink).await;
    let engine = outlet::Shared::new(Arc::clone(&outlet), line.partial());
    let socket = WebSocketStream::from_raw_socket(engine, Role::Server, Some(config)).await;
    bump(&shared.tally.websocket_opened);
    let mut session = Session { socket, line, outlet };
    let end = session.carry().await;
    session.outlet.leave();
    let Session { mut socket, line, .. } = session;
    // The server may go on with this session elsewhere while the peer takes its time to say goodbye.
    drop(line);
    let goodbye = async {
        match end {
            End::Say(code) => {
                let frame = CloseFrame { code, reason: Utf8Bytes::from_static("") };
                if socket.close(Some(frame)).await.is_ok() {
                    while let Some(Ok(_)) = socket.next().await {}
                }
            }
            // The engine has answered the peer's close; the answer is not written yet.
            End::Answered => drop(socket.get_mut().shutdown().await),
            End::Gone => {}
        }
    };
    let _ = time::timeout(limits::CLOSE_WAIT, goodbye).await;
}

/// How a WebSocket ends.
enum End {
    /// We close it with this code.
    Say(CloseCode),
    /// The peer closes it.
    Answered,
    /// There is nobody to say anything to.
    Gone,
}

struct Session {
    socket: WebSocketStream<outlet::Shared>,
    line: Line,
    outlet: Arc<Outlet>,
}

impl Session {
    /// Runs until either side ends.
    async fn carry(&mut self) -> End {
        let shared = Arc::clone(self.line.shared());
        let mut pace = self.line.pace();
        let mut heard = time::Instant::now();
        let mut pinged = false;
        let mut paused_until: Option<time::Instant> = None;
        // Set anew only when it fires: moving it with every frame would cost more than the frame.
        let alarm = time::sleep_until(heard + limits::WS_PING_AFTER);
        tokio::pin!(alarm);
        loop {
            tokio::select! {
                word = poll_fn(|cx| self.outlet.poll_word(cx)) => return match word {
                    Word::Closed => End::Say(CloseCode::Normal),
                    // No stream error, so that the client resumes.
                    Word::Stopped => End::Say(CloseCode::Away),
                    Word::Dropped if self.outlet.is_blocked() => End::Gone,
                    Word::Dropped => End::Say(CloseCode::Away),
                    Word::Broken => {
                        self.read_the_rest(&shared).await;
                        End::Gone
                    }
                    Word::Stalled => {
                        bump(&shared.tally.slow_reader);
                        End::Gone
                    }
                },
                message = self.socket.next(), if paused_until.is_none() => {
                    heard = time::Instant::now();
                    pinged = false;
                    match message {
                        Some(Ok(message)) => {
                            if let Some(wait) = pace.frame(heard.into_std(), message.len()) {
                                bump(&shared.tally.rate_delayed);
                                paused_until = Some(time::Instant::now() + wait);
                            }
                            self.received(&shared, message).await;
                            // Asked for by earlier frames of this connection; what is in flight is little.
                            paused_until = paused_until.max(self.outlet.take_pause());
                        }
                        Some(Err(e)) => {
                            self.broken(&shared, &e).await;
                            return End::Gone;
                        }
                        None => return End::Answered,
                    }
                }
                () = sleep(paused_until), if paused_until.is_some() => {
                    paused_until = None;
                    heard = time::Instant::now();
                }
                () = alarm.as_mut() => {
                    let silent = paused_until.map_or_else(|| heard.elapsed(), |_| Duration::ZERO);
                    if pinged && silent >= limits::WS_DEAD_AFTER {
                        bump(&shared.tally.websocket_dead);
                        return End::Gone;
                    }
                    let mut next = limits::WS_PING_AFTER.saturating_sub(silent);
                    if next.is_zero() {
                        pinged = true;
                        self.outlet.ping();
                        next = limits::WS_PING_AFTER.min(limits::WS_DEAD_AFTER.saturating_sub(silent));
                    }
                    alarm.as_mut().reset(time::Instant::now() + next);
                }
            }
        }
    }

    /// The peer no longer reads, but what it said before it went may still wait in our socket: a client that leaves
    /// sends its goodbye and is gone before our echo of it arrives. Without it the session would wait to be resumed.
    async fn read_the_rest(&mut self, shared: &Arc<Shared>) {
        let rest = async {
            for _ in 0..limits::WS_LAST_FRAMES {
                let Some(Ok(message)) = self.socket.next().await else { return };
                self.received(shared, message).await;
            }
        };
        let _ = time::timeout(limits::CLOSE_WAIT, rest).await;
    }

    async fn received(&mut self, shared: &Arc<Shared>, message: Message) {
        match message {
            Message::Text(text) => {
                self.socket.get_mut().complete();
                let text = Bytes::from(text);
                if text.trim_ascii_start().first().is_some_and(|b| *b != b'<') {
                    bump(&shared.tally.websocket_not_xml);
                    self.line.framing_error(FramingError::Malformed).await;
                } else {
                    self.line.frame(text).await;
                }
            }
            Message::Binary(_) => {
                self.socket.get_mut().complete();
                bump(&shared.tally.websocket_binary);
                self.line.framing_error(FramingError::Malformed).await;
            }
            // A sign of life; tungstenite answers pings and closes by itself.
            Message::Ping(_) | Message::Pong(_) => self.line.frame(Bytes::new()).await,
            Message::Close(_) | Message::Frame(_) => {}
        }
    }

    /// Reading has failed; the server may still have something to say about it.
    async fn broken(&mut self, shared: &Arc<Shared>, e: &Error) {
        match e {
            _ if self.socket.get_ref().is_too_large() => {
                bump(&shared.tally.websocket_too_large);
                self.say_last_word(FramingError::TooLarge).await;
            }
            Error::Capacity(_) => {
                bump(&shared.tally.websocket_too_large);
                self.say_last_word(FramingError::TooLarge).await;
            }
            // The peer is gone without a goodbye: its session waits to be resumed.
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {}
            Error::Protocol(_) | Error::Utf8(_) | Error::AttackAttempt => {
                bump(&shared.tally.websocket_protocol);
                self.say_last_word(FramingError::Malformed).await;
            }
            _ => {}
        }
    }

    /// Nothing more can be read, but the client shall still hear why.
    async fn say_last_word(&mut self, error: FramingError) {
        self.line.framing_error(error).await;
        let last = async {
            if poll_fn(|cx| self.outlet.poll_word(cx)).await != Word::Closed {
                return;
            }
            let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("") };
            let _ = self.socket.close(Some(frame)).await;
            // Closing with unread data would reset the connection, and the client would not hear why.
            let io = self.socket.get_mut();
            let _ = io.shutdown().await;
            // Not a part of every connection's task, whose memory is there as long as it is.
            let mut rest = vec![0; 4096];
            while matches!(io.read(&mut rest).await, Ok(n) if n > 0) {}
        };
        let _ = time::timeout(limits::CLOSE_WAIT, last).await;
    }
}

async fn sleep(until: Option<time::Instant>) {
    match until {
        Some(until) => time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::SinkExt;
    use tokio::sync::watch;

    use super::*;
    use crate::owner::Input;

    fn shared() -> (Arc<Shared>, tokio::sync::mpsc::Receiver<Input>, watch::Sender<bool>) {
        let (stop, stopped) = watch::channel(false);
        let (shared, inputs) = Shared::new(&prosody_core::Limits::default(), stopped);
        (shared, inputs, stop)
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_does_not_answer_pings_is_dead_after_two() {
        let (shared, _inputs, _stop) = shared();
        let (near, _far) = tokio::io::duplex(64 * 1024);
        let start = time::Instant::now();
        let place = shared.admit(budget::Network::of([192, 0, 2, 1].into())).unwrap();
        serve(Arc::clone(&shared), place, Box::new(near), SessionQuery::default()).await;
        assert_eq!(shared.tally.read().websocket_dead, 1);
        assert_eq!(start.elapsed().as_secs(), limits::WS_DEAD_AFTER.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_answer_our_close_is_waited_for_so_long_and_not_longer() {
        let (shared, mut inputs, _stop) = shared();
        let (near, _far) = tokio::io::duplex(64 * 1024);
        let place = shared.admit(budget::Network::of([192, 0, 2, 1].into())).unwrap();
        let served = tokio::spawn(serve(Arc::clone(&shared), place, Box::new(near), SessionQuery::default()));
        let start = time::Instant::now();
        // With its end of the connection the server has gone.
        drop(inputs.recv().await);
        served.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), limits::CLOSE_WAIT.as_secs());
    }

    #[tokio::test]
    async fn so_many_last_frames_are_taken_from_a_socket_that_cannot_be_written_to_and_not_one_more() {
        let (shared, mut inputs, _stop) = shared();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let mut client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        for _ in 0..=limits::WS_LAST_FRAMES {
            client.send(Message::text("<a/>")).await.unwrap();
        }
        let place = shared.admit(budget::Network::of([192, 0, 2, 1].into())).unwrap();
        let outlet = Outlet::new(Box::new(near), shared.max_send_backlog, None);
        outlet.take_frames_of(shared.max_login);
        let sink = Sink::Outlet(Arc::clone(&outlet));
        let line = Line::open(&shared, place, Transport::WebSocket, SessionQuery::default(), sink).await;
        let engine = outlet::Shared::new(Arc::clone(&outlet), line.partial());
        let socket = WebSocketStream::from_raw_socket(engine, Role::Server, None).await;
        let mut session = Session { socket, line, outlet };
        let read = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { session.read_the_rest(&shared).await }
        });
        let mut frames = 0;
        loop {
            match inputs.recv().await.unwrap() {
                Input::Frame { .. } => frames += 1,
                Input::Closed { .. } => break,
                _ => {}
            }
        }
        read.await.unwrap();
        assert_eq!(frames, limits::WS_LAST_FRAMES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_socket_that_answers_pings_lives_on() {
        let (shared, mut inputs, _stop) = shared();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let place = shared.admit(budget::Network::of([192, 0, 2, 1].into())).unwrap();
        let served = tokio::spawn(serve(Arc::clone(&shared), place, Box::new(near), SessionQuery::default()));
        let mut client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        // Keeps the server's end of the connection, which the first input carries.
        let mut kept = Vec::new();
        let start = time::Instant::now();
        let mut first_ping = None;
        let hour = time::sleep(Duration::from_secs(3600));
        tokio::pin!(hour);
        loop {
            tokio::select! {
                message = client.next() => {
                    assert!(matches!(message, Some(Ok(Message::Ping(_)))), "{message:?}");
                    first_ping.get_or_insert_with(|| start.elapsed().as_secs());
                }
                Some(input) = inputs.recv() => {
                    if matches!(input, Input::Open { .. }) {
                        kept.push(input);
                    }
                }
                () = &mut hour => break,
            }
        }
        assert!(!served.is_finished());
        assert_eq!(shared.tally.read().websocket_dead, 0);
        assert_eq!(first_ping, Some(limits::WS_PING_AFTER.as_secs()));
    }
}
