//! What modules answer over HTTP, through the shell: on a router of its own, and nowhere else.

use std::net::SocketAddr;

use prosody_server::{Config, Raw};
use tokio::net::TcpListener;

use crate::harness::{ROOM, TestServer, Ws};

/// A server whose admin wants to know, and where it answers the admin.
async fn counting() -> (TestServer, SocketAddr) {
    let server = TestServer::with(|config| {
        let raw = Raw { modules: vec!["muc_size".into(), "muc_census".into()], ..Raw::default() };
        config.core.hosts = Config::from_raw(raw).unwrap().core.hosts;
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inside = listener.local_addr().unwrap();
    let router = server.handle.inside_router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (server, inside)
}

#[tokio::test]
async fn rooms_are_counted_for_who_asks_inside_and_unknown_to_all_others() {
    let (mut server, inside) = counting().await;
    let _focus = server.focus(ROOM).await;
    let mut anna = Ws::session(&server).await;
    anna.join().await;
    for path in [
        "/room-size?room=town&domain=meet.jitsi",
        "/room?room=town&domain=meet.jitsi",
        "/sessions",
        "/room-census",
    ] {
        let head = format!("GET {path} HTTP/1.1");
        assert_eq!(server.http(&head, "").await.0, 404, "{path} on the public front");
    }
    server.http = inside;
    let get = async |path: &str| server.http(&format!("GET {path} HTTP/1.1"), "").await;
    let (status, head, body) = get("/room-size?room=town&domain=meet.jitsi").await;
    assert_eq!((status, body.as_str()), (200, r#"{"participants":1}"#));
    assert!(head.contains("content-type: application/json"), "{head}");
    let (_, _, body) = get("/room?room=town&domain=meet.jitsi").await;
    assert_eq!(body, format!(r#"[{{"jid":"{ROOM}/{}","email":"","display_name":""}}]"#, anna.nick()));
    assert!(
        get("/room-census")
            .await
            .2
            .starts_with(r#"{"room_census":[{"room_name":"town@muc.meet.jitsi","participants":1,"#)
    );
    assert_eq!(get("/sessions").await.2, "2");
    let (status, _, body) = get("/room-size?room=nobody&domain=meet.jitsi").await;
    assert_eq!((status, body.as_str()), (404, ""));
    // Many who ask at once are answered one after the other, and nobody in a meeting is held up for long.
    let many =
        futures_util::future::join_all((0..50).map(|_| server.http("GET /room-census HTTP/1.1", ""))).await;
    assert!(many.iter().all(|(status, ..)| *status == 200));
    server.stop.send(true).unwrap();
    server.handle.ended().await;
    assert_eq!(server.http("GET /sessions HTTP/1.1", "").await.0, 503, "it has stopped");
}
