//! XMPP over TCP (RFC 6120) for focus, bridges and recorders: sockets in, one frame per stream item to the server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use budget::Network;
use bytes::Bytes;
use jitsi_xmpp::xml::{SplitError, Splitter, StreamItem, XmlLimits};
use prosody_core::{FramingError, SessionQuery, Transport};
use service::proxies::Client;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time;
use tokio_rustls::TlsAcceptor;

use crate::connection::{Connection, Order};
use crate::counters::bump;
use crate::limits;
use crate::owner::Shared;
use crate::peers::{Partial, Place};
use crate::rate::Pace;

/// Accepts until the shutdown.
pub(crate) async fn accept(shared: Arc<Shared>, listener: TcpListener, tls: Option<TlsAcceptor>) {
    let mut shutdown = shared.shutdown.clone();
    loop {
        let accepted = tokio::select! {
            accepted = service::sockets::accept(&listener) => accepted,
            _ = shutdown.wait_for(|told| *told) => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                let peer = Client::direct(peer).network();
                // One too many is closed at once.
                let Ok(place) = shared.admit(peer) else { continue };
                tokio::spawn(serve(Arc::clone(&shared), place, peer, socket, tls.clone()));
            }
            Err(e) => {
                // Out of descriptors, most likely: the listener stays, the next ones wait in its queue.
                tracing::warn!(error = %e, "cannot accept an XMPP connection");
                time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(
    shared: Arc<Shared>,
    place: Place,
    peer: Network,
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
) {
    let query = SessionQuery { peer: Some(peer), ..SessionQuery::default() };
    let connection = Connection::open(&shared, place, Transport::Tcp { tls: false }, query).await;
    bump(&shared.tally.tcp_opened);
    let max_bytes = shared.max_login;
    let splitter = Splitter::new(limits_of(max_bytes));
    let (partial, pace) = (connection.partial(), connection.pace());
    let stream = Stream {
        shared,
        io: Some(Box::new(socket)),
        connection,
        splitter,
        partial,
        max_bytes,
        tls,
        opened: false,
        pace: Some(pace),
        paused_until: None,
    };
    stream.carry().await;
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

struct Stream {
    shared: Arc<Shared>,
    /// Taken while TLS is negotiated.
    io: Option<Box<dyn Io>>,
    connection: Connection,
    splitter: Splitter,
    partial: Partial,
    max_bytes: usize,
    tls: Option<TlsAcceptor>,
    /// `None` for the roles' accounts.
    pace: Option<Pace>,
    /// Nothing is read before.
    paused_until: Option<time::Instant>,
    /// The first stream header has come.
    opened: bool,
}

enum Next {
    Go,
    /// The server has said its last word.
    Ended,
    StartTls,
    /// The socket takes nothing any more. What the peer said before is still to be read.
    Gone,
}

impl Stream {
    async fn carry(mut self) {
        let first = time::Instant::now() + limits::TCP_FIRST_BYTES;
        let mut chunk = vec![0; limits::TCP_READ];
        loop {
            let paused_until = self.paused_until;
            let Some(io) = &mut self.io else { return };
            tokio::select! {
                order = self.connection.order() => {
                    let Some(order) = order else { return self.goodbye().await };
                    match self.write(order).await {
                        Some(Next::Go) => {}
                        Some(Next::Ended) => return self.goodbye().await,
                        Some(Next::Gone) => return self.last_words().await,
                        Some(Next::StartTls) => {
                            if !self.encrypt().await {
                                return;
                            }
                        }
                        None => return,
                    }
                }
                read = io.read(&mut chunk), if paused_until.is_none() => match read {
                    Ok(n) if n > 0 => {
                        if !self.partial.grow(n, usize::MAX) {
                            return self.broken(SplitError::TooLarge).await;
                        }
                        self.splitter.push(chunk.get(..n).unwrap_or_default());
                        match self.split().await {
                            Ok(None) => {}
                            Ok(Some(wait)) => {
                                bump(&self.shared.tally.rate_delayed);
                                self.paused_until = paused_until.max(Some(time::Instant::now() + wait));
                            }
                            Err(e) => return self.broken(e).await,
                        }
                    }
                    _ => return,
                },
                () = sleep(paused_until), if paused_until.is_some() => self.paused_until = None,
                () = time::sleep_until(first), if !self.opened => return,
            }
        }
    }

    /// Hands what is complete to the server; returns how long to wait before more is read.
    async fn split(&mut self) -> Result<Option<Duration>, SplitError> {
        let now = Instant::now();
        let mut any = false;
        let mut wait = None;
        while let Some(item) = self.splitter.next_item()? {
            any = true;
            let bytes = match item {
                StreamItem::Open(tag) => {
                    self.opened = true;
                    Bytes::from(tag)
                }
                StreamItem::Element(element) => Bytes::from(element),
                StreamItem::Close => Bytes::from_static(b"</stream:stream>"),
            };
            if let Some(pace) = &mut self.pace {
                wait = pace.frame(now, bytes.len());
            }
            self.connection.frame(bytes).await;
        }
        if any {
            self.partial.complete();
        } else {
            // White space between stanzas, or a part of one: a sign of life. A part is counted when it is whole; this is
            // what reading it costs.
            if let Some(pace) = &mut self.pace {
                wait = pace.frame(now, 0);
            }
            self.connection.frame(Bytes::new()).await;
        }
        Ok(wait)
    }

    /// Writes this order and all others at hand; `None` when the connection is to be dropped at once.
    async fn write(&mut self, first: Order) -> Option<Next> {
        let mut out = Vec::new();
        let mut end = Next::Go;
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Send(frame) => {
                    for piece in frame.pieces() {
                        out.extend_from_slice(piece);
                    }
                }
                Order::ResetStream => self.splitter = Splitter::new(limits_of(self.max_bytes)),
                Order::StanzaLimit(max_bytes) => self.raise(max_bytes),
                Order::Pause(wait) => {
                    self.paused_until = self.paused_until.max(Some(time::Instant::now() + wait));
                }
                Order::StartTls => {
                    end = Next::StartTls;
                    break;
                }
                Order::Close(reason) => {
                    tracing::debug!(reason = reason.reason(), "TCP stream closed by the server");
                    end = Next::Ended;
                    break;
                }
            }
            if out.len() >= limits::TCP_WRITE {
                break;
            }
            next = self.connection.try_order();
        }
        let io = self.io.as_mut()?;
        let dropped = self.connection.dropped();
        let write = async {
            io.write_all(&out).await?;
            io.flush().await
        };
        tokio::select! {
            written = time::timeout(limits::WRITE_STALL, write) => match written {
                Ok(Ok(())) => Some(end),
                Ok(Err(_)) => Some(Next::Gone),
                Err(_) => {
                    bump(&self.shared.tally.slow_reader);
                    None
                }
            },
            () = dropped => None,
        }
    }

    /// Reads what the peer has said before it closed: a goodbye among it ends the session, which else would wait to be
    /// resumed.
    async fn last_words(mut self) {
        let Some(mut io) = self.io.take() else { return };
        let mut chunk = vec![0; limits::TCP_READ];
        let listen = async {
            while let Ok(n) = io.read(&mut chunk).await
                && n > 0
                && self.partial.grow(n, usize::MAX)
            {
                self.splitter.push(chunk.get(..n).unwrap_or_default());
                if self.split().await.is_err() {
                    return;
                }
            }
        };
        let _ = time::timeout(limits::CLOSE_WAIT, listen).await;
    }

    /// A larger limit counts from the next item on; nothing incomplete is lost.
    fn raise(&mut self, max_bytes: usize) {
        if max_bytes > self.shared.max_stanza {
            self.pace = None;
        }
        self.max_bytes = max_bytes;
        self.splitter.set_max_bytes(max_bytes);
    }

    async fn encrypt(&mut self) -> bool {
        let (Some(io), Some(tls)) = (self.io.take(), self.tls.take()) else { return false };
        // Whatever was sent in the clear after STARTTLS is dropped, RFC 6120 §5.4.3.3.
        self.splitter = Splitter::new(limits_of(self.max_bytes));
        match time::timeout(limits::TLS_HANDSHAKE, tls.accept(io)).await {
            Ok(Ok(encrypted)) => {
                self.io = Some(Box::new(encrypted));
                self.connection.tls().await;
                true
            }
            _ => {
                bump(&self.shared.tally.tls_failed);
                false
            }
        }
    }

    /// The stream cannot be split any further: the server says so, then it ends.
    async fn broken(mut self, e: SplitError) {
        bump(&self.shared.tally.tcp_broken);
        let error = match e {
            SplitError::TooLarge => FramingError::TooLarge,
            SplitError::Malformed => FramingError::Malformed,
        };
        self.connection.framing_error(error).await;
        let last = async {
            while let Some(order) = self.connection.order().await {
                if !matches!(self.write(order).await, Some(Next::Go)) {
                    return;
                }
            }
        };
        let _ = time::timeout(limits::CLOSE_WAIT, last).await;
        self.goodbye().await;
    }

    /// Closes the socket after the last bytes.
    async fn goodbye(self) {
        let Self { io, connection, .. } = self;
        drop(connection);
        let Some(mut io) = io else { return };
        let end = async {
            let _ = io.shutdown().await;
            // Until the peer closes as well: closing with unread data would reset what it has not read yet.
            let mut rest = [0; 512];
            while matches!(io.read(&mut rest).await, Ok(n) if n > 0) {}
        };
        let _ = time::timeout(limits::CLOSE_WAIT, end).await;
    }
}

async fn sleep(until: Option<time::Instant>) {
    match until {
        Some(until) => time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

fn limits_of(max_bytes: usize) -> XmlLimits {
    XmlLimits { max_bytes, ..XmlLimits::default() }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::owner::Input;

    /// A connection's task with one end of a pipe, which takes 16 KiB; what the server gets, and the other end.
    async fn stream() -> (Stream, mpsc::Receiver<Input>, tokio::io::DuplexStream, watch::Sender<bool>) {
        let (stop, stopped) = watch::channel(false);
        let (shared, inputs) = Shared::new(&prosody_core::Limits::default(), stopped);
        let place = shared.admit(Network::of([192, 0, 2, 1].into())).unwrap();
        let transport = Transport::Tcp { tls: false };
        let connection = Connection::open(&shared, place, transport, SessionQuery::default()).await;
        let (near, far) = tokio::io::duplex(16 * 1024);
        let max_bytes = shared.max_login;
        let (partial, pace) = (connection.partial(), connection.pace());
        let stream = Stream {
            shared,
            io: Some(Box::new(near)),
            connection,
            splitter: Splitter::new(limits_of(max_bytes)),
            partial,
            max_bytes,
            tls: Some(crate::tls::acceptor(None, &["meet.jitsi"]).unwrap()),
            opened: false,
            pace: Some(pace),
            paused_until: None,
        };
        (stream, inputs, far, stop)
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_says_nothing_has_its_place_for_so_long_and_not_longer() {
        let (stream, _inputs, mut far, _stop) = stream().await;
        // A part of a header is none.
        far.write_all(b"<stream:stream xmlns=").await.unwrap();
        let start = time::Instant::now();
        stream.carry().await;
        assert_eq!(start.elapsed().as_secs(), limits::TCP_FIRST_BYTES.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_opened_its_stream_may_be_silent() {
        let (stream, _inputs, mut far, _stop) = stream().await;
        far.write_all(
            b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        )
        .await
        .unwrap();
        assert!(time::timeout(limits::TCP_FIRST_BYTES * 2, stream.carry()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_tls_handshake_takes_so_long_and_not_longer() {
        let (mut stream, _inputs, _far, _stop) = stream().await;
        let start = time::Instant::now();
        assert!(!stream.encrypt().await);
        assert_eq!(start.elapsed().as_secs(), limits::TLS_HANDSHAKE.as_secs());
        assert_eq!(stream.shared.tally.read().tls_failed, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_close_its_side_is_waited_for_so_long_and_not_longer() {
        let (stream, _inputs, _far, _stop) = stream().await;
        let start = time::Instant::now();
        stream.goodbye().await;
        assert_eq!(start.elapsed().as_secs(), limits::CLOSE_WAIT.as_secs());
    }
}
