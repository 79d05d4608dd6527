//! A listening socket and a service in, HTTP/1.1 and, over TLS, HTTP/2 connections served until the drain; bounded in number,
//! share and patience.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use budget::{Network, Shares};
use http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use service::Proxies;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;
use tracing::debug;

use crate::front::limits;
use crate::patience::Patient;

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
    pub(crate) tls: Option<Arc<ServerConfig>>,
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
    let shares = Arc::new(Mutex::new(Shares::fair(serving.per_address, serving.connections)));
    let serving = Arc::new(serving);
    loop {
        // A permit first: while all are taken, new connections wait in the kernel's queue.
        let permit = tokio::select! {
            p = room.clone().acquire_owned() => p,
            _ = end.wait_for(|e| *e) => break,
        };
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            a = listener.accept() => a,
            _ = end.wait_for(|e| *e) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(share) = Share::take(&shares, &serving.proxies, peer) else {
                    debug!("an address has its share of connections");
                    continue;
                };
                let stream = Patient::new(stream, limits::WRITE_STALL, (permit, share));
                tokio::spawn(connection(stream, peer, router.clone(), Arc::clone(&serving), end.clone()));
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

/// A connection's part of what its address may hold; given back with the connection, also when that became a WebSocket.
struct Share {
    shares: Arc<Mutex<Shares<Network>>>,
    network: Option<Network>,
}

impl Share {
    /// `None`: the address has all it may have. A proxy speaks for many; those have shares of what they ask for.
    fn take(shares: &Arc<Mutex<Shares<Network>>>, proxies: &Proxies, peer: SocketAddr) -> Option<Self> {
        let network = Some(Network::of_peer(peer)).filter(|_| !proxies.trusts(peer.ip()));
        if let Some(network) = network {
            shares.lock().unwrap_or_else(PoisonError::into_inner).take(network, 1).ok()?;
        }
        Some(Self { shares: Arc::clone(shares), network })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(network) = &self.network {
            self.shares.lock().unwrap_or_else(PoisonError::into_inner).give_back(network, 1);
        }
    }
}

type Connection = Patient<TcpStream, (OwnedSemaphorePermit, Share)>;

async fn connection(
    stream: Connection,
    peer: SocketAddr,
    router: Router,
    serving: Arc<Serving>,
    end: watch::Receiver<bool>,
) {
    let _ = stream.get().set_nodelay(true);
    let Some(tls) = serving.tls.clone() else {
        return requests(stream, None, peer, router, serving, end).await;
    };
    match tokio::time::timeout(serving.head, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => {
            let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            let version = if protocol.as_deref() == Some(b"h2") { Version::HTTP_2 } else { Version::HTTP_11 };
            requests(stream, Some(version), peer, router, serving, end).await;
        }
        Ok(Err(e)) => debug!(error = %e, "no TLS"),
        Err(_) => debug!("a TLS handshake took too long"),
    }
}

/// `encrypted`: the HTTP version that was agreed on.
async fn requests<S>(
    stream: S,
    encrypted: Option<Version>,
    peer: SocketAddr,
    router: Router,
    serving: Arc<Serving>,
    end: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let head = serving.head;
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        // Before the address becomes another.
        name_host(&mut request);
        let mut request = (serving.before)(request);
        if encrypted.is_some() {
            request.extensions_mut().insert(Encrypted);
        }
        let client = serving.proxies.client(peer, request.headers());
        request.extensions_mut().insert(client);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().into_service::<Body>().oneshot(request)
    });
    let io = TokioIo::new(stream);
    let done = if encrypted == Some(Version::HTTP_2) {
        let serving = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .enable_connect_protocol()
            .max_concurrent_streams(limits::H2_STREAMS)
            .max_header_list_size(limits::H2_HEAD_BYTES)
            .initial_stream_window_size(limits::H2_STREAM_WINDOW)
            .initial_connection_window_size(limits::H2_CONNECTION_WINDOW)
            .max_send_buf_size(limits::H2_SEND_BYTES)
            // Who is gone without a word is found out.
            .keep_alive_interval(limits::H2_PING)
            .keep_alive_timeout(head)
            .serve_connection(io, service);
        until(end, serving, |s| s.graceful_shutdown()).await
    } else {
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            // Also the longest time between two requests of a connection.
            .header_read_timeout(head)
            .max_buf_size(limits::REQUEST_HEAD_BYTES)
            .serve_connection(io, service)
            .with_upgrades();
        until(end, serving, |s| s.graceful_shutdown()).await
    };
    if let Err(e) = done {
        debug!(error = %e, "connection ended");
    }
}

/// Over HTTP/2 the host stands in the address; what comes later looks for it in its header.
fn name_host(request: &mut Request<Body>) {
    if let Some(authority) = request.uri().authority()
        && !request.headers().contains_key(header::HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(header::HOST, host);
    }
}

/// Lets `serving` go on to its end, with what is under way only from when it is told.
async fn until<C: Future>(mut end: watch::Receiver<bool>, serving: C, finish: fn(Pin<&mut C>)) -> C::Output {
    tokio::pin!(serving);
    tokio::select! {
        r = serving.as_mut() => r,
        () = async { drop(end.wait_for(|e| *e).await) } => {
            finish(serving.as_mut());
            serving.await
        }
    }
}

/// Answers that are under way when the drain begins.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use service::{Client, certificate};
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
        let tls = crate::tls::Certificate::own("localhost").unwrap().config().unwrap();
        let serving = Serving { head, tls: Some(tls), ..Serving::new(|r| r, Proxies::default()) };
        tokio::spawn(async move {
            let (_tell, end) = watch::channel(false);
            http(listener, ok(), serving, end).await;
        });
        address
    }

    /// A stream on which HTTP/2 was agreed, and the server's first frames: kind, stream and content.
    async fn h2(address: SocketAddr) -> (tokio_rustls::client::TlsStream<TcpStream>, Vec<Frame>) {
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(certificate::provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(crate::tls::tests::anybody())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let tcp = TcpStream::connect(address).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let mut frames: Vec<Frame> = Vec::new();
        let of = |frames: &[Frame], kind| frames.iter().filter(|f| f.kind == kind).count();
        while of(&frames, SETTINGS) < 2 || of(&frames, WINDOW_UPDATE) < 1 {
            frames.push(frame(&mut stream).await.unwrap());
        }
        (stream, frames)
    }

    /// RFC 9113 §4.1.
    struct Frame {
        kind: u8,
        stream: u32,
        content: Vec<u8>,
    }

    const SETTINGS: u8 = 4;
    const WINDOW_UPDATE: u8 = 8;

    async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Frame> {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let mut content = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut content).await?;
        Ok(Frame { kind: head[3], stream: u32::from_be_bytes(head[5..].try_into().unwrap()), content })
    }

    #[tokio::test]
    async fn a_client_is_told_what_it_may_send_over_http_2() {
        let (_stream, frames) = h2(encrypted(limits::REQUEST_HEAD).await).await;
        let settings = &frames[0].content;
        let mut told: Vec<(u8, u32)> =
            settings.chunks(6).map(|s| (s[1], u32::from_be_bytes(s[2..].try_into().unwrap()))).collect();
        told.sort_unstable();
        // RFC 9113 §6.5.2, and 8 of RFC 8441: WebSockets may be asked for.
        for one in
            [(3, limits::H2_STREAMS), (4, limits::H2_STREAM_WINDOW), (6, limits::H2_HEAD_BYTES), (8, 1)]
        {
            assert!(told.contains(&one), "{one:?} of {told:?}");
        }
        let window = frames.iter().find(|f| (f.kind, f.stream) == (WINDOW_UPDATE, 0)).unwrap();
        let more = u32::from_be_bytes(window.content[..].try_into().unwrap());
        // It begins with 65,535.
        assert_eq!(more + 65_535, limits::H2_CONNECTION_WINDOW);
    }

    #[tokio::test]
    async fn a_body_that_is_not_read_waits_at_the_server_as_far_as_allowed() {
        let body = bytes::Bytes::from(vec![0; 64 * limits::H2_SEND_BYTES]);
        let sent = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&sent);
        let router = Router::new().route(
            "/x",
            get(move || async move {
                let pieces = (0..64).map(move |n| {
                    count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let at = n * limits::H2_SEND_BYTES;
                    Ok::<_, std::convert::Infallible>(body.slice(at..at + limits::H2_SEND_BYTES))
                });
                Body::from_stream(futures_util::stream::iter(pieces))
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = crate::tls::Certificate::own("localhost").unwrap().config().unwrap();
        let serving = Serving { tls: Some(tls), ..Serving::new(|r| r, Proxies::default()) };
        let (_tell, end) = watch::channel(false);
        tokio::spawn(http(listener, router, serving, end));
        let (mut stream, _) = h2(address).await;
        // HPACK: GET, https, and the path as a literal; the request ends with its head.
        stream.write_all(b"\0\0\x06\x01\x05\0\0\0\x01\x82\x87\x04\x02/x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        // The client's window takes one piece less a byte; one more waits, and one has been asked for.
        let taken = sent.load(std::sync::atomic::Ordering::Relaxed);
        assert!((1..=4).contains(&taken), "{taken} pieces");
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
    }

    /// Both cases of a connection that does nothing: before its first request, and between two.
    #[tokio::test]
    async fn a_silent_connection_is_closed() {
        for first in [None, Some(GET)] {
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
