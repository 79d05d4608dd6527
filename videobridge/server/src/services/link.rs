//! The connection with one service outside: audio in, its WebSocket out; what it writes of what was said goes back to the shard.
//!
//! It is tried again as long as it is wanted. A service that reads slowly loses what its queue has no room for; one that reads nothing is left
//! after some seconds and tried again.

use std::sync::Arc;
use std::time::Duration;

use budget::Bucket;
use futures_util::{SinkExt, StreamExt};
use jitsi_xmpp::Sensitive;
use jitsi_xmpp::colibri2::Connect;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use service::websocket::Stream;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use videobridge_core::limits::CHANNEL_MESSAGES;
use videobridge_core::{Command, ExportKey};

use super::mediajson::{self, Said, Writer};
use super::{ServiceCounters, ServiceOrder};
use crate::control::ShardPort;
use crate::limits;

/// See the module.
pub(super) struct Link {
    service: ExportKey,
    connect: Connect,
    port: ShardPort,
    counters: Arc<ServiceCounters>,
}

/// Why a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// Nobody wants it any more.
    Unwanted,
    /// It broke, or the service closed it.
    Broken,
}

impl Link {
    pub(super) fn new(
        service: ExportKey,
        connect: Connect,
        port: ShardPort,
        counters: Arc<ServiceCounters>,
    ) -> Self {
        Self { service, connect, port, counters }
    }

    /// Until nobody wants it any more.
    pub(super) async fn run(mut self, mut orders: mpsc::Receiver<ServiceOrder>) {
        let mut attempt = 0;
        let (url, headers) = (self.connect.url.clone(), self.connect.headers.clone());
        loop {
            if self.wait(delay(attempt), &mut orders).await == Ended::Unwanted {
                return;
            }
            attempt += 1;
            let opened = timeout(limits::SERVICE_CONNECT, open(&url, &headers, limits::SERVICE_MESSAGE));
            tokio::pin!(opened);
            // What is said before it is there is not for it.
            let opened = loop {
                tokio::select! {
                    opened = &mut opened => break opened,
                    order = orders.recv() => match order {
                        Some(order) => self.missed(order),
                        None => return,
                    },
                }
            };
            let Ok(Ok(socket)) = opened else {
                if matches!(opened, Ok(Err(Unopened::Ours))) {
                    self.counters.internal_errors.add();
                }
                self.counters.failures.add();
                tracing::warn!("a service that is to hear a conference cannot be reached");
                continue;
            };
            let since = Instant::now();
            if self.carry(socket, &mut orders).await == Ended::Unwanted {
                return;
            }
            self.counters.failures.add();
            tracing::warn!("the connection with a service that hears a conference broke");
            if since.elapsed() >= limits::SERVICE_STABLE {
                attempt = 0;
            }
        }
    }

    /// Nobody hears what comes meanwhile.
    async fn wait(&mut self, delay: Duration, orders: &mut mpsc::Receiver<ServiceOrder>) -> Ended {
        let until = Instant::now() + delay;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ended::Broken,
                order = orders.recv() => match order {
                    Some(order) => self.missed(order),
                    None => return Ended::Unwanted,
                },
            }
        }
    }

    fn missed(&mut self, order: ServiceOrder) {
        match order {
            ServiceOrder::Audio(_) => self.counters.dropped.add(),
            ServiceOrder::Sources(exports, requests) => {
                self.connect.exports = exports;
                self.connect.requests = requests;
            }
        }
    }

    async fn carry(
        &mut self,
        mut socket: WebSocketStream<Stream>,
        orders: &mut mpsc::Receiver<ServiceOrder>,
    ) -> Ended {
        let (since, mut writer) = (Instant::now(), Writer::default());
        let interval = self.connect.ping.map(|p| {
            let ms = |given: Option<u32>, usual| {
                Duration::from_millis(u64::from(given.unwrap_or(usual).max(PING_LEAST)))
            };
            (ms(p.interval, PING_INTERVAL), ms(p.timeout, PING_TIMEOUT))
        });
        let mut ping_at = interval.map(|(interval, _)| since + interval);
        let mut pong_by: Option<Instant> = None;
        let mut pings = 0;
        // Who says more than allowed is read more slowly.
        let (mut pace, mut read_at) = (Bucket::full(), None);
        if !(self.connect.exports.is_empty() && self.connect.requests.is_empty()) {
            let text = mediajson::sources(&self.connect.exports, &self.connect.requests);
            if !send(&mut socket, text).await {
                return Ended::Broken;
            }
        }
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(ServiceOrder::Audio(audio)) => {
                        for text in writer.audio(since.elapsed(), &audio) {
                            if !send(&mut socket, text).await {
                                return Ended::Broken;
                            }
                        }
                        self.counters.packets_sent.add();
                    }
                    Some(ServiceOrder::Sources(exports, requests)) => {
                        let text = mediajson::sources(&exports, &requests);
                        (self.connect.exports, self.connect.requests) = (exports, requests);
                        if !send(&mut socket, text).await {
                            return Ended::Broken;
                        }
                    }
                    None => {
                        if send(&mut socket, mediajson::session_end()).await {
                            let _ = timeout(limits::SERVICE_SEND, socket.close(None)).await;
                        }
                        return Ended::Unwanted;
                    }
                },
                message = socket.next(), if read_at.is_none() => {
                    let now = Instant::now();
                    if !pace.take(&CHANNEL_MESSAGES, now.into_std(), 1) {
                        read_at = Some(now + pace.wait(&CHANNEL_MESSAGES, now.into_std(), 1));
                    }
                    let text = match message {
                        Some(Ok(Message::Text(text))) => text,
                        Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                        Some(Ok(Message::Close(_)) | Err(_)) | None => return Ended::Broken,
                    };
                    match mediajson::read(&text) {
                        Some(Said::Ping(answer)) => {
                            if !send(&mut socket, answer).await {
                                return Ended::Broken;
                            }
                        }
                        Some(Said::Pong) => pong_by = None,
                        Some(Said::Transcription(result)) => {
                            self.counters.transcripts.add();
                            self.port.send_for_client(Command::Transcription { service: self.service, result }).await;
                        }
                        Some(Said::Media) => self.counters.media.add(),
                        Some(Said::Info) => self.counters.info.add(),
                        Some(Said::Other) => self.counters.other.add(),
                        None => self.counters.unreadable.add(),
                    }
                }
                () = until(read_at), if read_at.is_some() => read_at = None,
                () = until(pong_by), if pong_by.is_some() => return Ended::Broken,
                () = until(ping_at), if ping_at.is_some() => {
                    let now = Instant::now();
                    pings += 1;
                    if !send(&mut socket, mediajson::ping(pings)).await {
                        return Ended::Broken;
                    }
                    if let Some((interval, patience)) = interval {
                        ping_at = Some(now + interval);
                        pong_by = pong_by.or(Some(now + patience));
                    }
                }
            }
        }
    }
}

/// Why there is no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// The address is none, nobody is there, or no WebSocket.
    Theirs,
    /// This machine knows no certificates.
    Ours,
}

/// The WebSocket, over TLS where the address says so; messages are not larger than `largest`.
pub(crate) async fn open(
    url: &Sensitive<String>,
    headers: &[(String, Sensitive<String>)],
    largest: usize,
) -> Result<WebSocketStream<Stream>, Unopened> {
    let connector =
        if url.reveal().starts_with("wss") { Some(connector().ok_or(Unopened::Ours)?) } else { None };
    open_with(url, headers, largest, connector).await.ok_or(Unopened::Theirs)
}

async fn open_with(
    url: &Sensitive<String>,
    headers: &[(String, Sensitive<String>)],
    largest: usize,
    connector: Option<TlsConnector>,
) -> Option<WebSocketStream<Stream>> {
    let mut request = url.reveal().as_str().into_client_request().ok()?;
    for (name, value) in headers {
        let name: HeaderName = name.parse().ok()?;
        request.headers_mut().insert(name, HeaderValue::from_str(value.reveal()).ok()?);
    }
    let uri = request.uri();
    let secure = uri.scheme_str() == Some("wss");
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let tcp = TcpStream::connect((host.as_str(), port)).await.ok()?;
    let _ = tcp.set_nodelay(true);
    let stream: Stream = if secure {
        let name = ServerName::try_from(host).ok()?;
        Box::new(connector?.connect(name, tcp).await.ok()?)
    } else {
        Box::new(tcp)
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest));
    let (socket, _) = client_async_with_config(request, stream, Some(config)).await.ok()?;
    Some(socket)
}

/// Whether it was taken in time.
async fn send(socket: &mut WebSocketStream<Stream>, text: String) -> bool {
    matches!(timeout(limits::SERVICE_SEND, socket.send(Message::text(text))).await, Ok(Ok(())))
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

/// Before an attempt: none, 1, 2, 4 … 30 s, as upstream.
pub(crate) fn delay(attempt: u32) -> Duration {
    match attempt {
        0 => Duration::ZERO,
        n => (limits::SERVICE_RETRY_FIRST * (1 << (n - 1).min(5))).min(limits::SERVICE_RETRY_LAST),
    }
}

/// With the certificates that the system trusts.
fn connector() -> Option<TlsConnector> {
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(xmpp_link::system_roots().ok()?)
        .with_no_client_auth();
    Some(TlsConnector::from(Arc::new(config)))
}

/// Milliseconds between two pings, and until an answer, where none are named; upstream's.
const PING_INTERVAL: u32 = 10_000;
const PING_TIMEOUT: u32 = 3_000;
/// Fewer would be a flood.
const PING_LEAST: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_further_and_further_apart_up_to_half_a_minute() {
        let seconds: Vec<_> = (0..9).map(|n| delay(n).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
