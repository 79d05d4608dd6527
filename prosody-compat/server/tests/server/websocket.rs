//! WebSocket clients that behave.

use futures_util::StreamExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{ROOM, TestServer, Ws};

#[tokio::test]
async fn two_clients_meet() {
    let server = TestServer::start().await;
    server.focus(ROOM).await;
    let mut anna = Ws::session(&server).await;
    let pushed = anna.pushed.take().expect("component addresses before the bind result");
    assert!(pushed.to_xml().contains("room_metadata"));
    anna.join().await;
    let mut ben = Ws::session(&server).await;
    ben.join().await;
    anna.expect(&format!("from=\"{ROOM}/{}\"", ben.nick())).await;
    anna.send(&format!(
        "<message xmlns=\"jabber:client\" to=\"{ROOM}\" type=\"groupchat\" id=\"1\"><body>hello</body></message>"
    ))
    .await;
    let heard = ben.expect("<body>hello</body>").await;
    assert!(heard.starts_with("<message ") && heard.contains("xmlns=\"jabber:client\""), "{heard}");
    anna.expect("<body>hello</body>").await;
    server
        .until("three sessions", |s| s.now.sessions == 3 && s.now.rooms == 1 && s.shell.websocket_opened == 2)
        .await;

    // A clean goodbye.
    ben.send("<presence xmlns=\"jabber:client\" type=\"unavailable\"/>").await;
    ben.send("<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\"/>").await;
    while ben.frame().await.is_some() {}
    anna.expect("type=\"unavailable\"").await;
    server.until("one client gone", |s| s.now.sessions == 2 && s.now.connections == 2).await;
}

#[tokio::test]
async fn a_lost_socket_is_resumed_with_the_same_address() {
    let server = TestServer::start().await;
    server.focus(ROOM).await;
    let mut anna = Ws::session(&server).await;
    anna.send("<enable xmlns=\"urn:xmpp:sm:3\" resume=\"true\"/>").await;
    let enabled = anna.expect("<enabled ").await;
    let id = enabled.split("id=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    anna.join().await;
    let mut ben = Ws::session(&server).await;
    ben.join().await;
    let jid = anna.jid.clone();
    drop(anna);
    server.until("hibernating", |s| s.now.hibernating == 1).await;
    ben.send(&format!(
        "<message xmlns=\"jabber:client\" to=\"{ROOM}\" type=\"groupchat\" id=\"1\"><body>missed</body></message>"
    ))
    .await;

    let mut again = Ws::connect(&server, &format!("/xmpp-websocket?room=town&previd={id}")).await;
    again.authenticate().await;
    again.send(&format!("<resume xmlns=\"urn:xmpp:sm:3\" h=\"0\" previd=\"{id}\"/>")).await;
    again.expect("<resumed ").await;
    let missed = again.expect("<body>missed</body>").await;
    assert!(missed.contains(&format!("to=\"{jid}\"")), "{missed}");
    server.until("resumed", |s| s.now.hibernating == 0 && s.now.occupants == 3).await;
}

/// A browser tab that leaves and is closed at once: our echo of its leaving finds nobody, but its goodbye counts.
#[tokio::test]
async fn a_goodbye_is_heard_although_the_socket_is_gone_when_it_is_answered() {
    let server = TestServer::start().await;
    server.focus(ROOM).await;
    for _ in 0..20 {
        let mut anna = Ws::session(&server).await;
        anna.send("<enable xmlns=\"urn:xmpp:sm:3\" resume=\"true\"/>").await;
        anna.expect("<enabled ").await;
        anna.join().await;
        for id in 0..5 {
            anna.send(&format!(
                "<iq xmlns=\"jabber:client\" type=\"get\" id=\"p{id}\"><ping xmlns=\"urn:xmpp:ping\"/></iq>"
            ))
            .await;
        }
        anna.send("<presence xmlns=\"jabber:client\" type=\"unavailable\"/>").await;
        anna.send("<close xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\"/>").await;
        // Closed with unread data: the peer is reset, as by a browser that ends the page's process.
        drop(anna);
    }
    server.until("nobody waits to be resumed", |s| s.now.sessions == 1 && s.now.hibernating == 0).await;
}

#[tokio::test]
async fn the_tenants_path_is_served_and_plain_requests_are_answered() {
    let server = TestServer::start().await;
    let mut ws = Ws::connect(&server, "/town/xmpp-websocket?room=r").await;
    ws.authenticate().await;
    // The clients' keep-alive.
    let (status, head, _) =
        server.http("GET /xmpp-websocket?room=r HTTP/1.1\r\nOrigin: https://meet", "").await;
    assert_eq!(status, 204);
    assert!(head.contains("access-control-allow-origin: https://meet"), "{head}");
    assert!(!head.contains("x-jitsi-shard"));
    let upgrade = "GET /xmpp-websocket HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    let (status, ..) = server.http(upgrade, "").await;
    assert_eq!(status, 501, "without the subprotocol");
    let no_key = "GET /xmpp-websocket HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: xmpp";
    assert_eq!(server.http(no_key, "").await.0, 400);
    assert_eq!(server.http("OPTIONS /xmpp-websocket HTTP/1.1", "").await.0, 200);
}

#[tokio::test]
async fn a_shutdown_is_announced_and_every_websocket_closed() {
    let server = TestServer::start().await;
    server.focus(ROOM).await;
    let mut anna = Ws::session(&server).await;
    anna.join().await;
    server.stop.send_replace(true);
    anna.expect("<system-shutdown ").await;
    let mut code = None;
    while let Some(Ok(message)) = anna.socket.next().await {
        if let Message::Close(frame) = message {
            code = frame.map(|f| f.code);
        }
    }
    assert_eq!(code, Some(CloseCode::Normal));
    server.handle.ended().await;
    assert!(!server.handle.is_running());
}
