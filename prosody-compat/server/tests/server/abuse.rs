//! Clients that misbehave: each costs itself, nobody else.

use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use jitsi_xmpp::{Element, Entropy as _, ns};
use prosody_server::ServerStats;
use service::SystemEntropy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{ROOM, TestServer, Ws};

/// A chat message of exactly `bytes`.
fn message(bytes: usize) -> String {
    let empty =
        format!("<message xmlns=\"jabber:client\" to=\"{ROOM}\" type=\"groupchat\"><body></body></message>");
    empty
        .replace("><", &format!(">{}<", ""))
        .replace("<body>", &format!("<body>{}", "x".repeat(bytes - empty.len())))
}

async fn ended(ws: &mut Ws, condition: &str) {
    let error = ws.expect("<stream:error").await;
    assert!(error.contains(condition), "{error}");
    while ws.frame().await.is_some() {}
}

#[tokio::test]
async fn a_frame_at_the_limit_passes_one_beyond_is_refused_and_one_far_beyond_ends_the_stream() {
    let server = TestServer::start().await;
    server.focus(ROOM).await;
    let mut anna = Ws::session(&server).await;
    anna.join().await;
    let mut ben = Ws::session(&server).await;
    ben.join().await;
    let most = 262_144;
    anna.send(&message(most)).await;
    ben.expect("xxxx").await;
    anna.send(&message(most + 1)).await;
    let refused = anna.expect("type=\"error\"").await;
    assert!(refused.contains("policy-violation") && refused.contains("stanza too large"), "{refused}");
    anna.send(&message(500)).await;
    ben.expect("xxxx").await;
    // Far beyond: not even read.
    let mut cem = Ws::session(&server).await;
    cem.join().await;
    let _ = cem.socket.send(Message::text(message(5 * most))).await;
    ended(&mut cem, "policy-violation").await;
    server.until("counted", |s| s.shell.websocket_too_large == 1).await;
    // The others are still there.
    ben.send(&message(500)).await;
    ben.expect("xxxx").await;
}

#[tokio::test]
async fn text_that_is_no_xml_and_binary_frames_end_the_stream() {
    let server = TestServer::start().await;
    let mut anna = Ws::session(&server).await;
    anna.send("hello").await;
    ended(&mut anna, "<stream:error").await;
    let mut ben = Ws::session(&server).await;
    ben.socket.send(Message::Binary(Bytes::from_static(b"<presence/>"))).await.unwrap();
    ended(&mut ben, "<stream:error").await;
    let shell = server.handle.stats().shell;
    assert_eq!((shell.websocket_not_xml, shell.websocket_binary), (1, 1));
    server.until("nobody left", |s| s.now.connections == 0).await;
}

#[tokio::test]
async fn broken_xml_in_a_frame_does_not_reach_anybody() {
    let server = TestServer::start().await;
    server.focus(ROOM).await;
    let mut anna = Ws::session(&server).await;
    anna.join().await;
    for bad in
        ["<message>", "<!-- c -->", "<a/><b/>", "<message xmlns='jabber:client'><x:y/></message>", "<?pi?>"]
    {
        let mut ben = Ws::session(&server).await;
        ben.send(bad).await;
        // Whether the stream ends is the server's affair; the meeting goes on.
        drop(ben);
    }
    anna.send(&message(500)).await;
    anna.expect("xxxx").await;
}

#[tokio::test]
async fn a_slow_reader_is_dropped_and_the_others_hear_everything() {
    let server = TestServer::with(|c| c.core.limits.max_send_backlog_bytes = 512 * 1024).await;
    let focus = server.focus(ROOM).await;
    let mut anna = Ws::session(&server).await;
    anna.join().await;
    let mut slow = Ws::session(&server).await;
    slow.join().await;
    server.until("both in", |s| s.now.occupants == 3).await;
    // More than the socket buffers of both ends take. Sent as fast as the others read.
    let text = "x".repeat(100_000);
    let mut sent = 0;
    while server.handle.stats().shell.slow_reader == 0 {
        sent += 1;
        assert!(sent < 1_000, "the slow reader is never dropped");
        let message = Element::new("message", ns::CLIENT)
            .with_attr("to", ROOM)
            .with_attr("type", "groupchat")
            .with_child(Element::inherit("body").with_text(format!("{sent}-{text}")));
        focus.send(&message).unwrap();
        anna.expect(&format!("<body>{sent}-")).await;
    }
    drop(slow);
    let stats = server.handle.stats();
    assert_eq!(stats.shell.slow_reader, 1);
    // It had no stream management: it is gone, and the others see it go.
    anna.expect("type=\"unavailable\"").await;
}

#[tokio::test]
async fn half_open_connections_are_bounded_and_give_their_place_back() {
    const PLACES: usize = 300;
    let server = TestServer::with(|c| c.core.limits.max_connections = PLACES).await;
    let mut sockets = Vec::new();
    for _ in 0..1_000 {
        sockets.push(TcpStream::connect(server.tcp()).await.unwrap());
    }
    // The machine itself is several addresses, whose shares get smaller as places get scarce.
    let answered = |s: &ServerStats| s.shell.tcp_opened + s.shell.refused_full + s.shell.refused_address;
    server.until("all are let in or refused", |s| answered(s) == 1_000).await;
    let open = server.handle.stats().shell.tcp_opened as usize;
    assert!((PLACES * 3 / 4..=PLACES).contains(&open), "{open}");
    let mut closed = 0;
    for socket in &mut sockets {
        let mut byte = [0];
        if matches!(timeout(Duration::from_millis(1), socket.read(&mut byte)).await, Ok(Ok(0) | Err(_))) {
            closed += 1;
        }
    }
    assert_eq!(closed, 1_000 - open);
    let upgrade = "GET /xmpp-websocket HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    assert_eq!(server.http(upgrade, "").await.0, 503);
    drop(sockets);
    server.until("places given back", |s| s.now.connections == 0).await;
    Ws::session(&server).await;
}

#[tokio::test]
async fn tcp_streams_that_break_end_with_an_error_and_are_counted() {
    let server = TestServer::start().await;
    for (bad, condition) in [
        ("no xml at all".to_owned(), "not-well-formed"),
        (
            format!("<stream:stream xmlns='jabber:client' {}><!DOCTYPE a>", "to='auth.meet.jitsi'"),
            "<stream:error",
        ),
        (format!("<stream:stream a='{}'>", "x".repeat(300_000)), "<stream:error"),
    ] {
        let mut socket = TcpStream::connect(server.tcp()).await.unwrap();
        socket.write_all(bad.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        let _ = timeout(Duration::from_secs(8), socket.read_to_end(&mut heard)).await.expect("an end");
        let heard = String::from_utf8_lossy(&heard);
        assert!(heard.contains(condition), "{condition} in {heard}");
    }
    server.until("counted", |s| s.shell.tcp_broken == 3 && s.now.connections == 0).await;
}

/// X27: session ids, addresses and passwords are made of this and nothing else.
#[test]
fn ten_million_ids_are_all_different_and_no_bit_is_preferred() {
    const IDS: usize = 10_000_000;
    let mut bytes = vec![0; 8 * IDS];
    for chunk in bytes.chunks_mut(8 * 1_000) {
        SystemEntropy.fill(chunk);
    }
    let mut ids: Vec<u64> =
        bytes.chunks_exact(8).map(|b| b.iter().fold(0, |n, b| n << 8 | u64::from(*b))).collect();
    let expected = IDS as f64 / 2.0;
    // Seven standard deviations: once in some billion runs for one of 64 bits.
    let most = 7.0 * (IDS as f64).sqrt() / 2.0;
    for bit in 0..64 {
        let ones = ids.iter().filter(|id| *id >> bit & 1 == 1).count() as f64;
        assert!((ones - expected).abs() < most, "bit {bit}: {ones}");
    }
    ids.sort_unstable();
    // Two the same among them: once in 370,000 runs.
    assert!(ids.windows(2).all(|w| w[0] != w[1]));
}
