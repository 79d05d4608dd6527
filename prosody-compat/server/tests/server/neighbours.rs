//! What one client, or one address, costs others: nothing.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use prosody_server::limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::harness::{ROOM, TestServer, Ws};

#[tokio::test]
async fn a_websocket_close_is_answered_with_a_close() {
    let server = TestServer::start().await;
    for bound in [false, true] {
        let mut anna = match bound {
            true => Ws::session(&server).await,
            false => Ws::connect(&server, "/xmpp-websocket").await,
        };
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        anna.socket.send(Message::Close(Some(frame))).await.unwrap();
        let mut answered = false;
        while let Ok(Some(Ok(message))) = timeout(Duration::from_secs(5), anna.socket.next()).await {
            if let Message::Close(frame) = message {
                answered = frame.is_some_and(|f| f.code == CloseCode::Normal);
            }
        }
        assert!(answered, "clients would see 1006");
    }
}

#[tokio::test]
async fn a_stream_that_is_closed_ends_the_websocket_with_1000() {
    let server = TestServer::start().await;
    let mut anna = Ws::session(&server).await;
    anna.send("<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\"/>").await;
    let mut code = None;
    while let Ok(Some(Ok(message))) = timeout(Duration::from_secs(5), anna.socket.next()).await {
        if let Message::Close(frame) = message {
            code = frame.map(|f| f.code);
        }
    }
    assert_eq!(code, Some(CloseCode::Normal));
}

const SCHOOL: &str = "203.0.113.1";
const OTHER: &str = "198.51.100.1";
const PING: &str = "<iq xmlns=\"jabber:client\" type=\"get\" id=\"p\"><ping xmlns=\"urn:xmpp:ping\"/></iq>";

/// Thirty pupils and two hundred tablets behind one address, all in the same second.
#[tokio::test]
async fn a_school_joins_at_once() {
    let server = TestServer::start().await;
    server.focus(ROOM).await;
    let mut all = join_all((0..230).map(|_| Ws::session_from(&server, SCHOOL))).await;
    let pupils = join_all(all.drain(..30).map(|mut pupil| async move {
        pupil.join().await;
        pupil
    }));
    let pupils = timeout(Duration::from_secs(20), pupils).await.expect("thirty in a room");
    server.until("all there", |s| s.now.sessions == 231 && s.now.occupants == 31).await;
    let shell = server.handle.stats().shell;
    assert_eq!((shell.refused_address, shell.refused_full, shell.rate_delayed), (0, 0, 0));
    drop((pupils, all));
}

#[tokio::test]
async fn strangers_of_one_address_are_bounded_and_others_come_in() {
    let server = TestServer::start().await;
    let path = "/xmpp-websocket";
    let mut idle = Vec::new();
    for _ in 0..limits::ADDRESS_STRANGERS {
        idle.push(Ws::connect_from(&server, path, SCHOOL).await.unwrap());
    }
    let Err(Error::Http(refused)) = Ws::connect_from(&server, path, SCHOOL).await else { panic!("one more") };
    assert_eq!(refused.status(), 503);
    let create = "<body xmlns='http://jabber.org/protocol/httpbind' to='meet.jitsi' rid='1' wait='60'/>";
    let (_, _, bosh) = server.http(&format!("POST /http-bind HTTP/1.1\r\nx-from: {SCHOOL}"), create).await;
    assert!(bosh.contains("policy-violation"), "{bosh}");
    assert_eq!(server.handle.stats().shell.refused_address, 2);
    Ws::session_from(&server, OTHER).await;
    // Whoever logs in makes room for the next.
    let mut first = idle.remove(0);
    first.authenticate().await;
    Ws::session_from(&server, SCHOOL).await;
}

#[tokio::test]
async fn before_the_login_only_small_frames_are_read() {
    let server = TestServer::start().await;
    let mut anna = Ws::connect(&server, "/xmpp-websocket").await;
    let open = format!(
        "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" to=\"meet.jitsi\" a=\"{}\"/>",
        "x".repeat(200_000)
    );
    let _ = anna.socket.send(Message::text(open)).await;
    assert!(anna.expect("<stream:error").await.contains("policy-violation"));
    server.until("counted", |s| s.shell.websocket_too_large == 1 && s.now.connections == 0).await;
    let mut tcp = TcpStream::connect(server.tcp()).await.unwrap();
    let header = format!("<stream:stream to='meet.jitsi' a='{}'>", "x".repeat(20_000));
    tcp.write_all(header.as_bytes()).await.unwrap();
    let mut heard = String::new();
    let _ = timeout(Duration::from_secs(8), tcp.read_to_string(&mut heard)).await;
    assert!(heard.contains("policy-violation"), "{heard}");
    let body = format!(
        "<body xmlns='http://jabber.org/protocol/httpbind' to='meet.jitsi' rid='1' wait='60'>{}</body>",
        " ".repeat(limits::BOSH_LOGIN_BYTES)
    );
    let (_, _, bosh) = server.http("POST /http-bind HTTP/1.1", &body).await;
    assert!(bosh.contains("policy-violation"), "{bosh}");
}

/// Frames that never end: their bytes must be kept, so there are so many by address.
#[tokio::test]
async fn who_hoards_half_frames_loses_them_and_neighbours_stay() {
    const HALF: usize = 900_000;
    let server = TestServer::start().await;
    let mut neighbour = Ws::session_from(&server, SCHOOL).await;
    let mut hoards = Vec::new();
    for _ in 0..limits::ADDRESS_PARTIAL / HALF + 3 {
        let mut ws = Ws::session_from(&server, SCHOOL).await;
        let head = [0x81, 0xff, 0, 0, 0, 0, 0, 0x0f, 0, 0, 0, 0, 0, 0];
        let _ = ws.socket.get_mut().write_all(&head).await;
        let _ = ws.socket.get_mut().write_all(&vec![b'<'; HALF]).await;
        hoards.push(ws);
    }
    server.until("some closed", |s| s.shell.websocket_too_large >= 2).await;
    assert!(server.handle.stats().shell.websocket_too_large <= 5);
    neighbour.send(PING).await;
    neighbour.expect("type=\"result\"").await;
}

/// Clients that send without pause are read later; whoever sends now and then is answered at once.
#[tokio::test]
async fn a_flood_delays_the_flooders_and_not_their_neighbours() {
    let server = TestServer::start().await;
    let mut honest = Ws::session_from(&server, OTHER).await;
    for _ in 0..10 {
        let flooder = Ws::session_from(&server, SCHOOL).await;
        let (mut write, mut read) = flooder.socket.split();
        tokio::spawn(async move { while let Some(Ok(_)) = read.next().await {} });
        tokio::spawn(async move { while write.send(Message::text(PING)).await.is_ok() {} });
    }
    server.until("delayed", |s| s.shell.rate_delayed > 0).await;
    for _ in 0..20 {
        let asked = Instant::now();
        honest.send(PING).await;
        honest.expect("type=\"result\"").await;
        assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn health_is_answered_as_upstreams_module_does() {
    let server = TestServer::start().await;
    let (status, head, body) = server.http("GET /health HTTP/1.1\r\nOrigin: https://a", "").await;
    assert_eq!((status, body.as_str()), (200, "OK\n"));
    assert!(head.contains("access-control-allow-origin: https://a"), "{head}");
}
