//! Clients that speak HTTP/2 well and badly in; what they get, and what is held for them, out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use axum::routing::{any, get};
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode};
use service::Proxies;
use service::websocket::Handshake;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::serve::Serving;

const PEER: &str = "192.0.2.1:4711";

fn serving() -> Serving {
    Serving::new(|r| r, Proxies::default())
}

/// A connection that is served; with its end it stays open until the client leaves.
fn connected(peer: &str, router: Router, serving: &Serving) -> DuplexStream {
    let (theirs, ours) = duplex(64 * 1024);
    let peer: SocketAddr = peer.parse().unwrap();
    let visit = Visit::new(peer, router, Arc::new(serving.clone()));
    tokio::spawn(async move {
        let (_tell, end) = watch::channel(false);
        serve(ours, visit, end).await;
    });
    theirs
}

async fn client(stream: DuplexStream) -> h2::client::SendRequest<Bytes> {
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client.ready().await.unwrap()
}

fn request(method: Method, path: &str) -> Request<()> {
    Request::builder().method(method).uri(format!("https://meet.example{path}")).body(()).unwrap()
}

async fn body(mut from: RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(data) = from.data().await {
        let data = data.unwrap();
        from.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    all
}

/// What the server says, frame by frame, and what a client may say that no library would (RFC 9113 §4.1).
struct Raw(DuplexStream);

struct Frame {
    kind: u8,
    stream: u32,
    content: Vec<u8>,
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

impl Raw {
    async fn new(mut stream: DuplexStream) -> Self {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        Self(stream)
    }

    async fn say(&mut self, kind: u8, flags: u8, stream: u32, content: &[u8]) -> std::io::Result<()> {
        let [_, a, b, c] = u32::try_from(content.len()).unwrap().to_be_bytes();
        let mut bytes = vec![a, b, c, kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.extend(content);
        self.0.write_all(&bytes).await
    }

    /// `GET /` in the stream.
    async fn ask(&mut self, stream: u32) -> std::io::Result<()> {
        self.say(HEADERS, 5, stream, b"\x82\x87\x84\x41\x01a").await
    }

    /// `None`: the connection has ended.
    async fn hear(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut content = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut content).await.ok()?;
        Some(Frame { kind: head[3], stream: u32::from_be_bytes(head[5..].try_into().unwrap()), content })
    }

    async fn hear_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.hear().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// Keeps a request without an answer.
fn never() -> Router {
    Router::new().fallback(any(|request: Request<Body>| async move {
        std::future::pending::<()>().await;
        drop(request);
    }))
}

fn page() -> Router {
    let echo = |headers: HeaderMap, method: Method, body: String| async move {
        format!("{method} {:?} {}", headers["host"], body.len())
    };
    Router::new()
        .route("/", any(echo))
        .route("/nothing", get(|| async { StatusCode::NO_CONTENT }))
        .route("/close", get(|| async { ([("connection", "close")], "x") }))
}

#[tokio::test]
async fn requests_are_answered_as_over_http_1() {
    let mut client = client(connected(PEER, page(), &serving())).await;
    let (answer, _) = client.send_request(request(Method::GET, "/"), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().contains_key("date"));
    assert_eq!(body(answer.into_body()).await, b"GET \"meet.example\" 0");

    // More than the window, which opens as it is read.
    let (answer, mut to) = client.send_request(request(Method::POST, "/"), false).unwrap();
    to.send_data(vec![b'x'; 200_000].into(), true).unwrap();
    assert_eq!(body(answer.await.unwrap().into_body()).await, b"POST \"meet.example\" 200000");

    for (method, path, status, length) in [
        (Method::HEAD, "/", 200, Some("21")),
        (Method::GET, "/nothing", 204, None),
        (Method::GET, "/close", 200, Some("1")),
    ] {
        let (answer, _) = client.send_request(request(method, path), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers().get("content-length").map(|l| l.to_str().unwrap()), length, "{path}");
        assert!(!answer.headers().contains_key("connection"));
        assert_eq!(body(answer.into_body()).await.len(), usize::from(path == "/close"));
    }
}

fn websocket(protocol: &'static str, path: &str) -> Request<()> {
    let mut request = request(Method::CONNECT, path);
    request.headers_mut().insert("sec-websocket-version", "13".parse().unwrap());
    request.extensions_mut().insert(h2::ext::Protocol::from_static(protocol));
    request
}

/// Says everything back.
fn echo() -> Router {
    Router::new().fallback(get(|mut request: Request<Body>| async move {
        let Ok(handshake) = Handshake::of(&request) else { return StatusCode::IM_A_TEAPOT.into_response() };
        if request.uri().path() != "/echo" {
            return StatusCode::FORBIDDEN.into_response();
        }
        let (opening, response) = handshake.take(&mut request, None);
        tokio::spawn(async move {
            let (mut from, mut to) = tokio::io::split(opening.stream().await.unwrap());
            let _ = tokio::io::copy(&mut from, &mut to).await;
            let _ = to.shutdown().await;
        });
        response
    }))
}

#[tokio::test]
async fn a_web_socket_is_carried_by_a_stream_and_has_its_place_until_it_ends() {
    let serving = serving();
    let mut client = client(connected(PEER, echo(), &serving)).await;
    let (answer, mut to) = client.send_request(websocket("websocket", "/echo"), false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    let sent = vec![b'x'; 300_000];
    to.send_data(sent.clone().into(), false).unwrap();
    let mut from = answer.into_body();
    let mut got = 0;
    while got < sent.len() {
        let data = from.data().await.unwrap().unwrap();
        from.flow_control().release_capacity(data.len()).unwrap();
        got += data.len();
    }
    assert_eq!(serving.http2.streams.held(), 1);
    to.send_data(Bytes::new(), true).unwrap();
    while let Some(last) = from.data().await {
        assert!(last.unwrap().is_empty());
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(serving.http2.streams.held(), 0);

    for (request, status) in [
        (websocket("connect-udp", "/echo"), 501),
        (websocket("websocket", "/other"), 403),
        (request(Method::GET, "/echo"), 418),
    ] {
        let (answer, _to) = client.send_request(request, false).unwrap();
        assert_eq!(answer.await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn a_page_that_is_asked_for_as_a_web_socket_is_none() {
    let mut client = client(connected(PEER, page(), &serving())).await;
    let (answer, _to) = client.send_request(websocket("websocket", "/"), false).unwrap();
    assert_eq!(answer.await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_client_is_told_what_it_may_send() {
    let mut raw = Raw::new(connected(PEER, page(), &serving())).await;
    let settings = raw.hear_of(SETTINGS).await.unwrap().content;
    let mut told: Vec<(u8, u32)> = settings.chunks(6).map(|s| (s[1], number(&s[2..]))).collect();
    told.sort_unstable();
    // RFC 9113 §6.5.2, and 8 of RFC 8441: WebSockets may be asked for.
    let streams = limits::H2_STREAMS_PER_CONNECTION;
    assert_eq!(told, [(3, streams), (4, limits::H2_STREAM_WINDOW), (6, limits::H2_HEAD_BYTES), (8, 1)]);
    let more = raw.hear_of(WINDOW_UPDATE).await.unwrap();
    assert_eq!((more.stream, number(&more.content) + 65_535), (0, limits::H2_CONNECTION_WINDOW));
}

#[tokio::test]
async fn a_connection_has_so_many_streams_and_not_one_more() {
    let mut raw = Raw::new(connected(PEER, never(), &serving())).await;
    let last = 2 * limits::H2_STREAMS_PER_CONNECTION + 1;
    for stream in (1..=last).step_by(2) {
        raw.ask(stream).await.unwrap();
    }
    let refused = raw.hear_of(RST_STREAM).await.unwrap();
    assert_eq!((refused.stream, number(&refused.content)), (last, Reason::REFUSED_STREAM.into()));
}

#[tokio::test]
async fn a_head_is_as_long_as_allowed_and_not_longer() {
    let mut client = client(connected(PEER, page(), &serving())).await;
    for (padding, status) in [(limits::H2_HEAD_BYTES - 400, 200), (limits::H2_HEAD_BYTES, 431)] {
        let mut request = request(Method::GET, "/");
        request.headers_mut().insert("x", "p".repeat(padding as usize).parse().unwrap());
        let (answer, _) = client.send_request(request, true).unwrap();
        assert_eq!(answer.await.unwrap().status(), status, "{padding}");
    }
}

#[tokio::test]
async fn what_a_route_does_not_read_is_kept_as_far_as_allowed() {
    let mut client = client(connected(PEER, never(), &serving())).await;
    let mut taken = 0;
    let mut open = Vec::new();
    // Four streams fill what the connection may have; a fifth gets nothing.
    for _ in 0..5 {
        let (_, mut to) = client.send_request(request(Method::POST, "/"), false).unwrap();
        to.reserve_capacity(1 << 20);
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let room = to.capacity();
        assert!(room <= limits::H2_STREAM_WINDOW as usize, "{room}");
        to.send_data(vec![0; room].into(), false).unwrap();
        taken += room;
        open.push(to);
    }
    assert_eq!(taken, limits::H2_CONNECTION_WINDOW as usize);
}

/// A body without end that counts what is made of it.
fn endless(made: &Arc<AtomicUsize>) -> Router {
    let made = Arc::clone(made);
    Router::new().fallback(get(move || {
        let made = Arc::clone(&made);
        let pieces = stream::repeat_with(move || {
            made.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from_static(&[0; limits::H2_SEND_BYTES]))
        });
        async move { Body::from_stream(pieces) }
    }))
}

#[tokio::test(start_paused = true)]
async fn of_an_answer_that_nobody_reads_one_piece_is_made_and_its_place_is_given_back_in_time() {
    let made = Arc::new(AtomicUsize::new(0));
    let serving = serving();
    let stream = connected(PEER, endless(&made), &serving);
    let (client, connection) =
        h2::client::Builder::new().initial_window_size(0).handshake::<_, Bytes>(stream).await.unwrap();
    tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let began = Instant::now();
    let (answer, _) = client.send_request(request(Method::GET, "/"), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!((made.load(Ordering::Relaxed), serving.http2.streams.held()), (1, 1));
    let end = answer.into_body().data().await.unwrap().unwrap_err();
    assert_eq!(end.reason(), Some(Reason::CANCEL));
    assert_eq!(began.elapsed().as_secs(), limits::WRITE_STALL.as_secs());
    assert_eq!((made.load(Ordering::Relaxed), serving.http2.streams.held()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_web_socket_that_nobody_reads_is_given_up() {
    let serving = serving();
    let router = Router::new().fallback(get(|mut request: Request<Body>| async move {
        let (opening, response) = Handshake::of(&request).unwrap().take(&mut request, None);
        tokio::spawn(async move {
            let mut stream = opening.stream().await.unwrap();
            while stream.write_all(&[0; 4096]).await.is_ok() {}
        });
        response
    }));
    let mut client = client(connected(PEER, router, &serving)).await;
    let (answer, _to) = client.send_request(websocket("websocket", "/"), false).unwrap();
    let mut from = answer.await.unwrap().into_body();
    let began = Instant::now();
    let mut got = 0;
    // What comes is not acknowledged, so that its window closes.
    while let Some(Ok(data)) = from.data().await {
        got += data.len();
    }
    assert_eq!((got, began.elapsed().as_secs()), (65_535, limits::WRITE_STALL.as_secs()));
    assert_eq!(serving.http2.streams.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_has_all_its_streams_waits_and_a_neighbour_does_not() {
    // Two streams each of eight in all, and some requests that wait.
    let serving = Serving { http2: Budgets::of((9, 9), (2, 8), (2 * REQUEST, 99_999)), ..serving() };
    let mut theirs = client(connected(PEER, never(), &serving)).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(theirs.send_request(request(Method::GET, "/"), true).unwrap());
    }
    // Another connection of the same address; one waits, and of the next there is no room for the head.
    let mut same = client(connected(PEER, page(), &serving)).await;
    let (waits, _) = same.send_request(request(Method::GET, "/"), true).unwrap();
    let (refused, _) = same.send_request(request(Method::GET, "/"), true).unwrap();
    assert_eq!(refused.await.unwrap_err().reason(), Some(Reason::REFUSED_STREAM));
    let mut neighbour = client(connected("192.0.2.2:1", page(), &serving)).await;
    let (answer, _) = neighbour.send_request(request(Method::GET, "/"), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    // Who is let go makes room.
    open.clear();
    assert_eq!(waits.await.unwrap().status(), 200);

    // Nobody waits for ever.
    let mut theirs = client(connected(PEER, never(), &serving)).await;
    for _ in 0..2 {
        open.push(theirs.send_request(request(Method::GET, "/"), true).unwrap());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let (late, _) = same.send_request(request(Method::GET, "/"), true).unwrap();
    assert_eq!(late.await.unwrap_err().reason(), Some(Reason::REFUSED_STREAM));
    assert!(began.elapsed() >= limits::REQUEST_HEAD && began.elapsed() < limits::REQUEST_HEAD * 2);
}

#[test]
fn one_address_has_its_share_and_all_have_the_total() {
    let of = |n: u32| Network::of(std::net::Ipv4Addr::from_bits(0xc000_0200 + n).into());
    let count = |pool: &Pool, each: usize, total: usize| {
        let held: Vec<_> = (0..=each).filter_map(|_| pool.take(of(0), 1)).collect();
        assert_eq!(held.len(), each);
        let mut all = held;
        all.extend((1..200_000).map_while(|n| pool.take(of(n), 1)));
        assert_eq!(all.len(), total);
    };
    let budgets = Budgets::new();
    count(&budgets.connections, limits::H2_CONNECTIONS_PER_ADDRESS, limits::H2_CONNECTIONS);
    count(&budgets.streams, limits::H2_STREAMS_PER_ADDRESS, limits::H2_STREAMS);
    let waiting = &budgets.waiting;
    let all = waiting.take(of(0), limits::H2_WAITING_PER_ADDRESS);
    assert!(all.is_some() && waiting.take(of(0), 1).is_none());
    let more: Vec<_> = (1..10).filter_map(|n| waiting.take(of(n), limits::H2_WAITING_PER_ADDRESS)).collect();
    assert!(more.len() < limits::H2_WAITING / limits::H2_WAITING_PER_ADDRESS);
    assert!(waiting.held() <= limits::H2_WAITING);
}

#[tokio::test]
async fn who_takes_every_request_back_is_sent_away_and_holds_nothing() {
    let serving = serving();
    let mut raw = Raw::new(connected(PEER, never(), &serving)).await;
    let mut sent = 0_u32;
    for stream in (1..).step_by(2) {
        if raw.ask(stream).await.is_err() || raw.say(RST_STREAM, 0, stream, &[0, 0, 0, 8]).await.is_err() {
            break;
        }
        sent += 1;
        assert!(sent < 10_000, "still heard");
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!((serving.http2.streams.held(), serving.http2.waiting.held()), (0, 0));
}

#[tokio::test]
async fn frames_that_do_nothing_end_the_connection_when_they_are_too_many() {
    for (kind, content) in [(PING, &[0; 8][..]), (SETTINGS, &[]), (2, &[0; 5]), (0xfa, b"grease")] {
        let mut raw = Raw::new(connected(PEER, page(), &serving())).await;
        let mut sent = 0;
        let stream = u32::from(kind == 2);
        while raw.say(kind, 0, stream, content).await.is_ok() {
            sent += 1;
            assert!(sent < 10_000, "{kind} is still heard");
            // Its answers are read.
            while let Ok(Some(_)) = tokio::time::timeout(Duration::ZERO, raw.hear()).await {}
        }
    }
}

#[tokio::test]
async fn a_head_in_very_many_pieces_ends_the_connection() {
    let mut raw = Raw::new(connected(PEER, page(), &serving())).await;
    raw.say(HEADERS, 1, 1, b"\x82\x87\x84\x41\x01a").await.unwrap();
    let mut sent = 0;
    while raw.say(CONTINUATION, 0, 1, b"\x00\x01x\x01y").await.is_ok() {
        sent += 1;
        assert!(sent < 1_000, "still heard");
        tokio::task::yield_now().await;
    }
    assert!(
        raw.hear_of(GOAWAY)
            .await
            .is_none_or(|f| number(&f.content[4..]) == u32::from(Reason::ENHANCE_YOUR_CALM))
    );
}

/// Each of a preface that does not come, half of one, a whole one and then nothing, half a head, and an answered request.
#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed() {
    let whole = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let half_a_head = [&whole[..], b"\0\0\x06\x01\x01\0\0\0\x01\x82\x87"].concat();
    let asked = [&whole[..], b"\0\0\x06\x01\x05\0\0\0\x01\x82\x87\x84\x41\x01a"].concat();
    for first in [&b""[..], &whole[..10], whole, &half_a_head, &asked] {
        let mut stream = connected(PEER, page(), &serving());
        let began = Instant::now();
        stream.write_all(first).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        let most = limits::REQUEST_HEAD * 7 / 4;
        assert!(
            began.elapsed() >= limits::REQUEST_HEAD && began.elapsed() < most,
            "{:?} after {first:?}",
            began.elapsed()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_a_web_socket_is_not_idle() {
    let mut client = client(connected(PEER, echo(), &serving())).await;
    let (answer, mut to) = client.send_request(websocket("websocket", "/echo"), false).unwrap();
    let mut from = answer.await.unwrap().into_body();
    tokio::time::sleep(limits::REQUEST_HEAD * 10).await;
    to.send_data(Bytes::from_static(b"still"), false).unwrap();
    assert_eq!(from.data().await.unwrap().unwrap(), "still");
}

#[tokio::test]
async fn the_end_lets_answers_finish_and_takes_no_more() {
    let (theirs, ours) = duplex(64 * 1024);
    let router = Router::new().fallback(get(|| async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        "late"
    }));
    let visit = Visit::new(PEER.parse().unwrap(), router, Arc::new(serving()));
    let (tell, end) = watch::channel(false);
    let served = tokio::spawn(serve(ours, visit, end));
    let mut client = client(theirs).await;
    let (answer, _) = client.send_request(request(Method::GET, "/"), true).unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    tell.send_replace(true);
    assert_eq!(body(answer.await.unwrap().into_body()).await, b"late");
    tokio::time::timeout(Duration::from_secs(2), served).await.expect("ends").unwrap();
}
