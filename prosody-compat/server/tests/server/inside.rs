//! What modules answer over HTTP, through the shell: on a router of its own, and nowhere else.

use std::net::SocketAddr;
use std::sync::Arc;

use jitsi_xmpp::Sensitive;
use prosody_core::token::{Hash, Settings, Signer, TokenRules};
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

#[tokio::test]
async fn a_program_with_a_token_removes_somebody_and_ends_the_meeting() {
    let secret = Sensitive::new("a-secret-of-programs-with-32-bytes".to_owned());
    let mut server = TestServer::with(|config| {
        let modules = ["muc_end_meeting", "muc_kick_participant", "muc_password_check"].map(str::to_owned);
        config.core.hosts.users[0].modules.extend(modules);
        let settings = Settings {
            app_id: Some("programs".into()),
            app_secret: Some(secret.clone()),
            require_room: false,
            ..Settings::default()
        };
        config.core.programs = vec![Arc::new(TokenRules::new(settings).unwrap())];
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inside = listener.local_addr().unwrap();
    let router = server.handle.inside_router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _focus = server.focus(ROOM).await;
    let mut anna = Ws::session(&server).await;
    anna.join().await;
    let claims = serde_json::json!({"iss": "programs", "aud": "jitsi", "sub": "*"});
    let signer = Signer::secret(Hash::Sha256, &secret).unwrap();
    let token = signer.sign(claims.as_object().unwrap()).unwrap();
    let bearer = format!("Authorization: Bearer {}", token.reveal());
    let end = format!("POST /end-meeting?conference={ROOM} HTTP/1.1");
    assert_eq!(server.http(&format!("{end}\r\n{bearer}"), "").await.0, 404, "not on the public front");
    server.http = inside;
    let kick = "PUT /kick-participant?room=town HTTP/1.1\r\nContent-Type: application/json";
    let whom = format!(r#"{{"participantId":"{}"}}"#, anna.nick());
    assert_eq!(server.http(kick, &whom).await.0, 403, "without a token");
    assert_eq!(server.http(&end, "").await.0, 401, "without a token");
    let kick = format!("{kick}\r\n{bearer}");
    let beyond = "x".repeat(prosody_server::limits::INSIDE_BYTES + 1);
    assert_eq!(server.http(&kick, &beyond).await.0, 413);
    assert_eq!(server.http(&kick, &beyond[1..]).await.0, 400, "taken, and no JSON");
    let (status, _, body) = server.http(&kick, &whom).await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert_eq!(server.http("DELETE /kick-participant?room=town HTTP/1.1", "").await.0, 405);
    assert_eq!(server.http("PUT /room-info?room=town HTTP/1.1", "").await.0, 403, "nobody has tokens");
    assert_eq!(server.http("GET /room-info?room=town HTTP/1.1", "").await.0, 200, "so that everybody reads");
    let end = format!("{end}\r\n{bearer}");
    assert_eq!((server.http(&end, "").await.0, server.http(&end, "").await.0), (200, 404));
    server.stop.send(true).unwrap();
    server.handle.ended().await;
}

/// What black-box suites see and change is in no program that is shipped.
#[cfg(not(feature = "test-observer"))]
#[tokio::test]
async fn nobody_observes_a_server_as_it_is_shipped() {
    let (mut server, inside) = counting().await;
    server.http = inside;
    for path in ["/test-observer/events", "/test-observer/rooms?jid=a", "/test-observer"] {
        assert_eq!(server.http(&format!("GET {path} HTTP/1.1"), "").await.0, 404, "{path}");
    }
}
