//! An encrypted connection on which HTTP/2 was agreed in; its requests, answered and within their budgets, out.
//!
//! One stream is what one connection is in HTTP/1.1, and costs as much, so streams have a budget by address as connections have:
//! who has it all waits, and others do not. A client decides how much of an answer it takes (RFC 9113 §5.2); what it does not take
//! is not made, and who takes nothing for too long loses the answer.

mod meter;
mod stream;
mod tunnel;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use budget::Network;
use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use service::{Exposition, sockets};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::debug;

use self::meter::Metered;
use crate::front::limits;
use crate::serve::{Visit, closing as closing_soon};
use crate::shares::{Held, Pool};

/// What HTTP/2 needs, of all connections together.
#[derive(Debug, Clone)]
pub(crate) struct Budgets {
    connections: Pool,
    streams: Pool,
    /// Bytes of requests that wait for a stream's place.
    waiting: Pool,
    refused: Arc<AtomicU64>,
}

impl Budgets {
    pub(crate) fn new() -> Self {
        Self::of(
            (limits::H2_CONNECTIONS_PER_ADDRESS, limits::H2_CONNECTIONS),
            (limits::H2_STREAMS_PER_ADDRESS, limits::H2_STREAMS),
            (limits::H2_WAITING_PER_ADDRESS, limits::H2_WAITING),
        )
    }

    /// So much for one address, and for all.
    pub(crate) fn of(connections: (usize, usize), streams: (usize, usize), waiting: (usize, usize)) -> Self {
        let pool = |(each, total)| Pool::new(each, total);
        Self {
            connections: pool(connections),
            streams: pool(streams),
            waiting: pool(waiting),
            refused: Arc::default(),
        }
    }

    /// What is held now, for the admin. Those of a web server in front count only as streams.
    pub(crate) fn write_metrics(&self, out: &mut Exposition) {
        let connections = self.connections.held() as f64;
        out.gauge("plausch_http2_connections", "Connections with HTTP/2.", connections);
        let streams = self.streams.held() as f64;
        out.gauge("plausch_http2_streams", "Requests and WebSockets of these connections.", streams);
        let refused = self.refused.load(Ordering::Relaxed);
        out.counter(
            "plausch_http2_refused",
            "Requests refused because their address has too many, and connections that ended because of floods.",
            refused,
        );
    }

    fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection more, or none: then there is HTTP/1.1.
    pub(crate) fn connection(&self, network: Network) -> Option<Held> {
        self.connections.take(network, 1)
    }
}

/// Serves a connection until its client leaves, is silent for too long, or the end is told.
pub(crate) async fn serve<S>(io: S, visit: Visit, end: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let handshake = Builder::new()
        .enable_connect_protocol()
        .max_concurrent_streams(limits::H2_STREAMS_PER_CONNECTION)
        .max_header_list_size(limits::H2_HEAD_BYTES)
        .initial_window_size(limits::H2_STREAM_WINDOW)
        .initial_connection_window_size(limits::H2_CONNECTION_WINDOW)
        .max_send_buffer_size(limits::H2_SEND_BYTES)
        .max_pending_accept_reset_streams(limits::H2_STREAMS_PER_CONNECTION as usize)
        .handshake::<_, Bytes>(Metered::new(io, visit.is_trusted()));
    let connection = match tokio::time::timeout(visit.serving.head, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(e)) => return debug!(error = %e, "no HTTP/2"),
        Err(_) => return debug!("HTTP/2 was agreed on and not begun"),
    };
    let talk = Talk { connection, visit, waiting: VecDeque::new(), running: JoinSet::new() };
    let budgets = talk.visit.serving.http2.clone();
    if let Err(e) = talk.carry(end).await {
        // Its own measure, or h2's: heads, resets, pieces.
        if e.is_go_away() || e.get_io().is_some_and(meter::is_flood) {
            budgets.refuse();
        }
        debug!(error = %e, "connection ended");
    }
}

struct Talk<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> {
    connection: Connection<Metered<S>, Bytes>,
    visit: Visit,
    waiting: VecDeque<Waiting>,
    running: JoinSet<()>,
}

/// A request whose address has all the streams it may have.
struct Waiting {
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    network: Network,
    since: Instant,
    _bytes: Held,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Talk<S> {
    async fn carry(mut self, mut end: watch::Receiver<bool>) -> Result<(), h2::Error> {
        let patience = self.visit.serving.head;
        let mut look = tokio::time::interval(patience / 4);
        let (mut idle, mut closing, mut taking) = (None, false, sockets::taking());
        loop {
            tokio::select! {
                asked = self.connection.accept() => match asked {
                    Some(asked) => {
                        let (request, respond) = asked?;
                        idle = None;
                        self.take(request, respond);
                    }
                    None => return Ok(()),
                },
                Some(_) = self.running.join_next() => self.admit(),
                // Others of its address may have given something back.
                () = tokio::time::sleep(RETRY), if !self.waiting.is_empty() => self.admit(),
                _ = look.tick() => {
                    if self.connection.has_streams() {
                        idle = None;
                    } else if closing {
                        // It does not even say that it has heard.
                        return Ok(());
                    } else if *idle.get_or_insert_with(Instant::now) + patience <= Instant::now() {
                        closing = true;
                        self.connection.graceful_shutdown();
                    }
                }
                () = closing_soon(&mut end, &mut taking, false), if !closing => {
                    closing = true;
                    self.connection.graceful_shutdown();
                }
            }
        }
    }

    fn take(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let network = self.visit.client(request.headers()).network();
        let budgets = &self.visit.serving.http2;
        if let Some(place) = budgets.streams.take(network, 1) {
            return self.run(request, respond, place);
        }
        match budgets.waiting.take(network, size(&request)) {
            Some(bytes) => {
                let since = Instant::now();
                self.waiting.push_back(Waiting { request, respond, network, since, _bytes: bytes });
            }
            // Nothing was done for it, so that the client may ask again (RFC 9113 §8.7).
            None => {
                self.visit.serving.http2.refuse();
                respond.send_reset(Reason::REFUSED_STREAM);
            }
        }
    }

    /// Whoever finds a place now, in their order.
    fn admit(&mut self) {
        for _ in 0..self.waiting.len() {
            let Some(mut one) = self.waiting.pop_front() else { return };
            if let Some(place) = self.visit.serving.http2.streams.take(one.network, 1) {
                self.run(one.request, one.respond, place);
            } else if one.since.elapsed() > self.visit.serving.head {
                self.visit.serving.http2.refuse();
                one.respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                self.waiting.push_back(one);
            }
        }
    }

    fn run(&mut self, request: Request<RecvStream>, respond: SendResponse<Bytes>, place: Held) {
        let visit = self.visit.clone();
        self.running.spawn(async move {
            if let Err(e) = stream::answer(request, respond, &visit, place).await {
                debug!(error = %e, "a stream ended");
            }
        });
    }
}

/// About as much as a request costs while it waits.
fn size(request: &Request<RecvStream>) -> usize {
    let path = request.uri().path_and_query().map_or(0, |p| p.as_str().len());
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD);
    fields.sum::<usize>() + path + REQUEST
}

/// How often it is looked whether there is a place.
const RETRY: Duration = Duration::from_millis(20);
/// What a field costs besides its bytes (RFC 9113 §6.5.2).
const FIELD: usize = 32;
/// What a request costs besides its head.
const REQUEST: usize = 512;

#[cfg(test)]
mod tests;
