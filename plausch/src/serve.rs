//! A listening socket and a service in, connections with HTTP/1.1 or, over TLS, HTTP/2 served until the drain; bounded in number,
//! share and patience. What is TURN behind TLS goes to the TURN server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use budget::Network;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use service::below::Below;
use service::{Client, Proxies, sockets};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;
use tracing::debug;
use turn_server::TurnHandle;

use crate::acme::challenges::ALPN;
use crate::first::{self, First};
use crate::front::limits;
use crate::http2::{self, Budgets};
use crate::patience::Patient;
use crate::shares::{Held, Pool};
use crate::tls::{HTTP2, TURN, Tls};

/// What happens to a request before it is routed.
pub(crate) type Before = fn(Request<Body>) -> Request<Body>;

/// How one listener is served.
#[derive(Debug, Clone)]
pub(crate) struct Serving {
    pub(crate) before: Before,
    pub(crate) proxies: Proxies,
    pub(crate) connections: usize,
    pub(crate) per_address: usize,
    /// For a request's head, and for the pause before it.
    pub(crate) head: Duration,
    /// `None`: not encrypted.
    pub(crate) tls: Option<Tls>,
    pub(crate) http2: Budgets,
    /// Who else is spoken to behind TLS.
    pub(crate) turn: Option<TurnHandle>,
}

/// Marks requests that came over TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encrypted;

impl Serving {
    /// As many connections as this process may open.
    pub(crate) fn new(before: Before, proxies: Proxies) -> Self {
        Self::within(limits::open_files(), before, proxies)
    }

    fn within(open_files: usize, before: Before, proxies: Proxies) -> Self {
        let connections = limits::CONNECTIONS.min(open_files / 4 * 3);
        Self {
            before,
            proxies,
            connections,
            per_address: limits::CONNECTIONS_PER_ADDRESS.min(connections / 4),
            head: limits::REQUEST_HEAD,
            tls: None,
            http2: Budgets::new(),
            turn: None,
        }
    }
}

/// Serves `router` until told to end. Answers that are under way get a moment; WebSockets end with their parts.
pub(crate) async fn http(
    listener: TcpListener,
    router: Router,
    serving: Serving,
    mut end: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(serving.connections));
    let shares = Pool::new(serving.per_address, serving.connections);
    let serving = Arc::new(serving);
    loop {
        // A permit first: while all are taken, new connections wait in the kernel's queue.
        let permit = tokio::select! {
            p = room.clone().acquire_owned() => p,
            _ = end.wait_for(|e| *e) => break,
        };
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            a = sockets::accept(&listener) => a,
            _ = end.wait_for(|e| *e) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let visit = Visit::new(peer, router.clone(), Arc::clone(&serving));
                let Some(share) = visit.share(|network| shares.take(network, 1)) else {
                    debug!("an address has its share of connections");
                    continue;
                };
                let stream = Patient::new(stream, limits::WRITE_STALL, (permit, share));
                tokio::spawn(connection(stream, visit, end.clone()));
            }
            Err(e) => {
                // Out of file descriptors, mostly: waiting is all that helps.
                debug!(error = %e, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let all = u32::try_from(serving.connections).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(LAST_ANSWERS, room.acquire_many(all)).await;
}

/// One connection's peer, and what its requests are answered with.
#[derive(Debug, Clone)]
pub(crate) struct Visit {
    peer: SocketAddr,
    pub(crate) router: Router,
    pub(crate) serving: Arc<Serving>,
    encrypted: bool,
    /// A successor has sent it, and it stays.
    sent: bool,
}

impl Visit {
    pub(crate) fn new(peer: SocketAddr, router: Router, serving: Arc<Serving>) -> Self {
        let encrypted = serving.tls.is_some();
        Self { peer, router, serving, encrypted, sent: false }
    }

    /// Of somebody whose connection the process after this one has.
    pub(crate) fn sent(peer: SocketAddr, encrypted: bool, router: Router, serving: Arc<Serving>) -> Self {
        Self { peer, router, serving, encrypted, sent: true }
    }

    /// Who sent a request with these headers.
    pub(crate) fn client(&self, headers: &HeaderMap) -> Client {
        self.serving.proxies.client(self.peer, headers)
    }

    /// Whether this is a web server in front, which speaks for many.
    pub(crate) fn is_trusted(&self) -> bool {
        self.serving.proxies.trusts(self.peer.ip())
    }

    /// What `take` says of the peer's address. A proxy speaks for many; those have shares of what they ask for.
    #[expect(clippy::option_option, reason = "none is left, and none is needed")]
    fn share(&self, take: impl FnOnce(Network) -> Option<Held>) -> Option<Option<Held>> {
        if self.is_trusted() { Some(None) } else { take(Network::of_peer(self.peer)).map(Some) }
    }

    /// A request as the routes take it.
    pub(crate) fn prepare(&self, request: Request<Body>) -> Request<Body> {
        let mut request = (self.serving.before)(request);
        if self.encrypted {
            request.extensions_mut().insert(Encrypted);
        }
        let client = self.client(request.headers());
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request
    }
}

/// Lives as long as the connection, also when that became a WebSocket.
type Connection = Patient<TcpStream, (OwnedSemaphorePermit, Option<Held>)>;

async fn connection(stream: Connection, visit: Visit, end: watch::Receiver<bool>) {
    let head = visit.serving.head;
    let Some(tls) = visit.serving.tls.clone() else {
        return requests(stream, visit, end).await;
    };
    let (tls, place) = match visit.share(|network| visit.serving.http2.connection(network)) {
        Some(place) => (tls.both, place),
        None => (tls.http1, None),
    };
    let stream = match tokio::time::timeout(head, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => return debug!(error = %e, "no TLS"),
        Err(_) => return debug!("a TLS handshake took too long"),
    };
    let said_turn = match stream.get_ref().1.alpn_protocol() {
        // A directory that looks for a proof has seen it (RFC 8737 §3).
        Some(ALPN) => return,
        Some(HTTP2) => {
            http2::serve(stream, visit, end).await;
            return drop(place);
        }
        other => other == Some(TURN),
    };
    drop(place);
    let Some(turn) = visit.serving.turn.clone() else {
        return requests(stream, visit, end).await;
    };
    match tokio::time::timeout(head, first::look(stream)).await {
        Ok(Ok(First::Http(_))) if said_turn => debug!("said TURN and spoke something else"),
        Ok(Ok(First::Http(stream))) => requests(stream, visit, end).await,
        Ok(Ok(First::Turn(stream, begun))) => turn.serve(stream, &begun, visit.peer, end).await,
        Ok(Err(e)) => debug!(error = %e, "nothing was asked"),
        Err(_) => debug!("nothing was asked for too long"),
    }
}

/// A stream from the successor, for one request or one WebSocket.
pub(crate) async fn sent(stream: UnixStream, visit: Visit, end: watch::Receiver<bool>) {
    requests(stream, visit, end).await;
}

/// Until all end, or who comes is the successor's: an answer that is under way comes first, and WebSockets stay.
pub(crate) async fn closing(
    end: &mut watch::Receiver<bool>,
    taking: &mut watch::Receiver<bool>,
    stays: bool,
) {
    tokio::select! {
        _ = end.wait_for(|e| *e) => {}
        _ = taking.wait_for(|on| !*on), if !stays => {}
    }
}

async fn requests<S>(stream: S, visit: Visit, mut end: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (head, stays, mut taking) = (visit.serving.head, visit.sent, sockets::taking());
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = visit.prepare(request.map(Body::new));
        request.extensions_mut().insert(Below::of::<S>());
        visit.router.clone().into_service::<Body>().oneshot(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        // Also the longest time between two requests of a connection.
        .header_read_timeout(head)
        .max_buf_size(limits::REQUEST_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(serving);
    let done = tokio::select! {
        r = serving.as_mut() => r,
        () = closing(&mut end, &mut taking, stays) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(e) = done {
        debug!(error = %e, "connection ended");
    }
}

/// Answers that are under way when the drain begins.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn answers_and_ends_when_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/x", get(|ConnectInfo(p): ConnectInfo<SocketAddr>| async move { p.ip().to_string() }));
        let (tell, end) = watch::channel(false);
        let server = tokio::spawn(http(listener, router, Serving::new(|r| r, Proxies::default()), end));
        let mut c = TcpStream::connect(address).await.unwrap();
        c.write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut got = vec![0; 1024];
        let n = c.read(&mut got).await.unwrap();
        let text = String::from_utf8_lossy(&got[..n]).into_owned();
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("127.0.0.1"), "{text}");
        tell.send_replace(true);
        tokio::time::timeout(Duration::from_secs(2), server)
            .await
            .expect("ends with an idle connection open")
            .unwrap();
    }

    #[tokio::test]
    async fn a_head_beyond_the_limit_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_tell, end) = watch::channel(false);
        tokio::spawn(http(listener, ok(), Serving::new(|r| r, Proxies::default()), end));
        // hyper notices between two reads, so the border itself is soft.
        for (padding, fits) in
            [(limits::REQUEST_HEAD_BYTES - 256, true), (4 * limits::REQUEST_HEAD_BYTES, false)]
        {
            let mut c = TcpStream::connect(address).await.unwrap();
            let head = format!(
                "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n",
                "p".repeat(padding)
            );
            let _ = c.write_all(head.as_bytes()).await;
            let mut text = String::new();
            let _ = c.read_to_string(&mut text).await;
            // Beyond it there is a 431, or nothing when the refusal overtakes what the client still sends.
            assert_eq!(text.starts_with("HTTP/1.1 200"), fits, "{padding}: {text}");
        }
    }

    fn ok() -> Router {
        Router::new().route("/x", get(|| async { "ok" }))
    }

    const GET: &[u8] = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n";

    async fn answered(stream: &mut TcpStream) -> bool {
        let _ = stream.write_all(GET).await;
        let mut head = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(1), stream.read_exact(&mut head)).await;
        matches!(read, Ok(Ok(_)))
    }

    #[tokio::test]
    async fn an_address_has_its_share_of_connections_and_others_still_come_in() {
        let listener = TcpListener::bind("[::]:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (_tell, end) = watch::channel(false);
        // 10.0.0.0/8 is no address of this machine, so the machine's own are used, as if they were a stranger's.
        let mine = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let stranger = mine.connect("192.0.2.1:9").and_then(|()| mine.local_addr()).map(|a| a.ip());
        let Some(stranger) = stranger.ok().filter(|a| !a.is_loopback()) else {
            // Without a network there is only loopback, which has no share.
            return;
        };
        let serving = Serving {
            before: |r| r,
            proxies: Proxies::default(),
            connections: 8,
            per_address: 2,
            head: limits::REQUEST_HEAD,
            tls: None,
            http2: Budgets::new(),
            turn: None,
        };
        tokio::spawn(http(listener, ok(), serving, end));
        let mut open = Vec::new();
        for n in 0..3 {
            let mut c = TcpStream::connect((stranger, port)).await.unwrap();
            assert_eq!(answered(&mut c).await, n < 2, "{n}");
            open.push(c);
        }
        assert!(answered(&mut TcpStream::connect(("127.0.0.1", port)).await.unwrap()).await);
        open.clear();
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(answered(&mut TcpStream::connect((stranger, port)).await.unwrap()).await, "given back");
    }

    #[test]
    fn connections_are_as_many_as_may_be_and_as_the_process_may_open() {
        let most = |open_files| {
            let serving = Serving::within(open_files, |r| r, Proxies::default());
            (serving.connections, serving.per_address)
        };
        let enough = limits::CONNECTIONS / 3 * 4 + 4;
        assert_eq!(most(enough), (limits::CONNECTIONS, limits::CONNECTIONS_PER_ADDRESS));
        assert_eq!(most(usize::MAX), (limits::CONNECTIONS, limits::CONNECTIONS_PER_ADDRESS));
        assert_eq!(most(1_024), (768, 192));
    }

    #[tokio::test]
    async fn so_many_connections_are_served_and_the_next_when_one_has_ended() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_tell, end) = watch::channel(false);
        let proxies = Proxies::new(["127.0.0.1"]).unwrap();
        let serving = Serving { connections: 2, ..Serving::new(|r| r, proxies) };
        tokio::spawn(http(listener, ok(), serving, end));
        let mut open = Vec::new();
        for n in 0..3 {
            let mut c = TcpStream::connect(address).await.unwrap();
            assert_eq!(answered(&mut c).await, n < 2, "{n}");
            open.push(c);
        }
        open.remove(0);
        assert!(answered(&mut open[1]).await, "it has waited for its turn");
    }

    #[tokio::test]
    async fn the_client_behind_a_trusted_proxy_reaches_the_routes() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_tell, end) = watch::channel(false);
        let router = Router::new().route(
            "/x",
            get(|request: Request<Body>| async move {
                Client::of(request.extensions()).unwrap().address().to_string()
            }),
        );
        let proxies = Proxies::new(["127.0.0.1"]).unwrap();
        tokio::spawn(http(listener, router, Serving::new(|r| r, proxies), end));
        let mut c = TcpStream::connect(address).await.unwrap();
        c.write_all(
            b"GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-forwarded-for: 203.0.113.7\r\n\r\n",
        )
        .await
        .unwrap();
        let mut text = String::new();
        c.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("203.0.113.7"), "{text}");
    }

    async fn encrypted(head: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = crate::tls::Certificate::own("localhost").unwrap().config(false).unwrap();
        let serving = Serving { head, tls: Some(tls), ..Serving::new(|r| r, Proxies::default()) };
        tokio::spawn(async move {
            let (_tell, end) = watch::channel(false);
            http(listener, ok(), serving, end).await;
        });
        address
    }

    #[tokio::test]
    async fn a_tls_handshake_that_is_not_finished_is_not_waited_for() {
        let address = encrypted(Duration::from_millis(300)).await;
        for first in [&b""[..], b"\x16\x03\x01\x02\x00", GET] {
            let mut c = TcpStream::connect(address).await.unwrap();
            c.write_all(first).await.unwrap();
            let mut rest = Vec::new();
            let closed = tokio::time::timeout(Duration::from_secs(5), c.read_to_end(&mut rest)).await;
            assert!(closed.is_ok(), "still open after {first:?}");
        }
        // Byte by byte, each within the time: the whole has no more of it.
        let mut c = TcpStream::connect(address).await.unwrap();
        let began = std::time::Instant::now();
        let mut hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".iter().cycle();
        while let Some(byte) = hello.next()
            && c.write_all(&[*byte]).await.is_ok()
        {
            assert!(began.elapsed() < Duration::from_secs(5), "still open");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// All cases of a connection that does nothing: before its first request, in the middle of its head, and between two.
    #[tokio::test]
    async fn a_silent_connection_is_closed() {
        for first in [None, Some(&GET[..20]), Some(GET)] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (_tell, end) = watch::channel(false);
            let serving =
                Serving { head: Duration::from_millis(300), ..Serving::new(|r| r, Proxies::default()) };
            tokio::spawn(http(listener, ok(), serving, end));
            let mut c = TcpStream::connect(address).await.unwrap();
            if let Some(first) = first {
                c.write_all(first).await.unwrap();
            }
            let began = std::time::Instant::now();
            let mut text = String::new();
            let closed = tokio::time::timeout(Duration::from_secs(5), c.read_to_string(&mut text)).await;
            assert!(closed.is_ok(), "still open after {:?}: {text}", began.elapsed());
        }
    }
}
