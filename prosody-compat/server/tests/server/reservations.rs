//! Rooms that a booking system has to allow: the server and its shell together with a booking system of our own, over HTTP on
//! loopback, that allows, refuses, is broken, or says nothing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use jitsi_xmpp::{Element, Jid, iq, ns};
use prosody_server::config::booking_system;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use xmpp_link::{Link, LinkEvent};

use crate::harness::{TestServer, Ws};

/// What it was asked: `POST /api/conference name=…`.
type Heard = mpsc::UnboundedReceiver<String>;

/// Answers by the name of the room.
async fn booking_system_of_ours() -> (SocketAddr, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (hears, heard) = mpsc::unbounded_channel();
    let router = Router::new().fallback(answer).with_state(hears);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, heard)
}

async fn answer(State(hears): State<mpsc::UnboundedSender<String>>, request: Request) -> Response {
    static BROKEN: AtomicUsize = AtomicUsize::new(0);
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 10_000).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let line = format!("{} {} {body}", head.method, head.uri);
    hears.send(line.trim().to_owned()).unwrap();
    let name = body.strip_prefix("name=").and_then(|b| b.split('&').next()).unwrap_or_default().to_owned();
    let booking = |name: &str, seconds: u64| {
        format!(
            r#"{{"id":7,"name":"{name}","mail_owner":"x@y","start_time":"2026-01-01T00:00:00.000Z","duration":{seconds}}}"#
        )
    };
    let century = 3_000_000_000;
    let (status, body) = match (head.method.as_str(), name.as_str()) {
        ("GET", _) => (200, booking("taken", century)),
        ("DELETE", _) => (200, String::new()),
        (_, "refused") => (403, r#"{"message":"Nur mit Termin"}"#.to_owned()),
        (_, "garbage") => (200, "<html>".to_owned()),
        (_, "large") => (200, format!("{}{}", booking("large", century), " ".repeat(64 * 1024))),
        (_, "taken") => (409, r#"{"conflict_id":7}"#.to_owned()),
        (_, "broken") if BROKEN.fetch_add(1, Ordering::Relaxed) < 2 => (503, String::new()),
        (_, "silent") => std::future::pending().await,
        (_, name) => (200, booking(name, century)),
    };
    Response::builder().status(status).body(Body::from(body)).unwrap()
}

/// A server that asks `base`, as an admin would have it, only with less patience.
async fn server(base: &str, deadline: Duration) -> TestServer {
    TestServer::with(|config| {
        config.core.reservations = Some(booking_system(base).unwrap());
        config.core.limits.question_deadline = deadline;
        config.core.limits.question_pause = Duration::from_millis(20);
    })
    .await
}

/// A focus that opens each room that it is asked for.
async fn focus(server: &TestServer) {
    let jid: Jid = "focus@auth.meet.jitsi/focus".parse().unwrap();
    let (mut link, end) = Link::in_process(jid.to_full().unwrap(), 8_192);
    server.handle.attach_in_process(end).await.unwrap();
    let sender = link.sender();
    tokio::spawn(async move {
        while let Some(event) = link.recv().await {
            let LinkEvent::Stanza(stanza) = event else { continue };
            let Some(room) = stanza.child("conference", ns::FOCUS).and_then(|c| c.attr("room")) else {
                continue;
            };
            let join = Element::new("presence", ns::CLIENT)
                .with_attr("to", format!("{room}/focus"))
                .with_child(Element::new("x", ns::MUC));
            let _ = sender.send(&join);
            let ready = Element::new("conference", ns::FOCUS).with_attr("ready", "true");
            let _ = sender.send(&iq::result(&stanza, Some(ready)));
        }
    });
}

async fn request(client: &mut Ws, room: &str) {
    client.send(&format!(r#"<iq xmlns="jabber:client" type="set" id="{room}" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="{room}@muc.meet.jitsi"/></iq>"#)).await;
}

async fn join(client: &mut Ws, room: &str) {
    let nick = client.nick();
    client.send(&format!(r#"<presence xmlns="jabber:client" to="{room}@muc.meet.jitsi/{nick}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#)).await;
    client.expect("code=\"110\"").await;
}

async fn next(heard: &mut Heard) -> String {
    timeout(Duration::from_secs(10), heard.recv()).await.expect("a question").unwrap()
}

#[tokio::test]
async fn a_booking_system_that_answers_decides_which_rooms_there_are() {
    let (booking, mut heard) = booking_system_of_ours().await;
    let server = server(&format!("http://{booking}/api/"), Duration::from_secs(20)).await;
    focus(&server).await;
    let mut anna = Ws::session(&server).await;
    request(&mut anna, "town").await;
    anna.expect("ready=\"true\"").await;
    let question = next(&mut heard).await;
    assert!(question.starts_with("POST /api/conference name=town&start_time=20"), "{question}");
    let owner = anna.jid.split('/').next().unwrap().replace('@', "%40");
    assert!(question.ends_with(&format!("&mail_owner={owner}")), "{question}");
    join(&mut anna, "town").await;

    request(&mut anna, "refused").await;
    let error = anna.expect("type=\"error\"").await;
    assert!(error.contains("Nur mit Termin</text>") && error.contains("error-code=\"403\""), "{error}");
    request(&mut anna, "garbage").await;
    let error = anna.expect("type=\"error\"").await;
    assert!(
        error.contains("Invalid response from reservation server") && error.contains("error-code=\"500\""),
        "{error}"
    );
    assert!(next(&mut heard).await.contains("=refused&") && next(&mut heard).await.contains("=garbage&"));

    request(&mut anna, "taken").await;
    anna.expect("ready=\"true\"").await;
    assert!(next(&mut heard).await.contains("=taken&"));
    assert_eq!(next(&mut heard).await, "GET /api/conference/7");

    request(&mut anna, "broken").await;
    anna.expect("ready=\"true\"").await;
    for _ in 0..3 {
        assert!(next(&mut heard).await.contains("=broken&"), "asked until it is well");
    }
    // The last one leaves its room: the focus stays, until it goes, too.
    server.stop.send(true).unwrap();
    assert_eq!(heard.try_recv().ok(), None);
}

#[tokio::test]
async fn the_booking_system_hears_of_the_end_of_a_meeting() {
    let (booking, mut heard) = booking_system_of_ours().await;
    let server = server(&format!("http://{booking}"), Duration::from_secs(20)).await;
    let jid: Jid = "focus@auth.meet.jitsi/focus".parse().unwrap();
    let (link, end) = Link::in_process(jid.to_full().unwrap(), 8_192);
    server.handle.attach_in_process(end).await.unwrap();
    let mut anna = Ws::session(&server).await;
    request(&mut anna, "town").await;
    assert!(next(&mut heard).await.starts_with("POST /conference name=town&"));
    // Allowed once the request has come to the focus, which opens the room, and goes.
    let mut link = link;
    loop {
        let LinkEvent::Stanza(stanza) = timeout(Duration::from_secs(10), link.recv()).await.unwrap().unwrap()
        else {
            continue;
        };
        if stanza.child("conference", ns::FOCUS).is_some() {
            break;
        }
    }
    let join = Element::new("presence", ns::CLIENT)
        .with_attr("to", "town@muc.meet.jitsi/focus")
        .with_child(Element::new("x", ns::MUC));
    link.send(&join).unwrap();
    server.until("the room", |s| s.now.rooms == 1).await;
    link.close().await;
    assert_eq!(next(&mut heard).await, "DELETE /conference/7");
    server.until("no room", |s| s.now.rooms == 0).await;
}

#[tokio::test]
async fn a_booking_system_that_is_slow_dead_or_says_too_much_opens_nothing() {
    let (booking, _heard) = booking_system_of_ours().await;
    let slow = server(&format!("http://{booking}"), Duration::from_millis(300)).await;
    focus(&slow).await;
    let mut anna = Ws::session(&slow).await;
    request(&mut anna, "silent").await;
    let error = anna.expect("type=\"error\"").await;
    assert!(
        error.contains("Reservation lookup timed out") && error.contains("error-code=\"500\""),
        "{error}"
    );
    let server_of_large = server(&format!("http://{booking}"), Duration::from_secs(20)).await;
    focus(&server_of_large).await;
    let mut ben = Ws::session(&server_of_large).await;
    request(&mut ben, "large").await;
    let error = ben.expect("type=\"error\"").await;
    assert!(
        error.contains("Could not contact reservation server") && error.contains("error-code=\"500\""),
        "{error}"
    );
    // Port 1 is nobody's; one that was free a moment ago may be another test's by now.
    let dead = server("http://127.0.0.1:1", Duration::from_secs(20)).await;
    focus(&dead).await;
    let mut cem = Ws::session(&dead).await;
    request(&mut cem, "town").await;
    let error = cem.expect("type=\"error\"").await;
    assert!(error.contains("Could not contact reservation server"), "{error}");
    for s in [&slow, &server_of_large, &dead] {
        assert_eq!(s.handle.stats().now.rooms, 0);
    }
}

#[tokio::test]
async fn a_booking_system_that_never_answers_holds_up_nobody_in_other_rooms() {
    let (booking, mut heard) = booking_system_of_ours().await;
    let server = server(&format!("http://{booking}"), Duration::from_secs(20)).await;
    focus(&server).await;
    // Thirty wait for rooms that nobody decides about.
    let mut waiting = Vec::new();
    for _ in 0..30 {
        let mut client = Ws::session(&server).await;
        request(&mut client, "silent").await;
        waiting.push(client);
    }
    assert!(next(&mut heard).await.contains("=silent&"));
    let start = Instant::now();
    let mut anna = Ws::session(&server).await;
    request(&mut anna, "town").await;
    anna.expect("ready=\"true\"").await;
    join(&mut anna, "town").await;
    let mut ben = Ws::session(&server).await;
    request(&mut ben, "town").await;
    ben.expect("ready=\"true\"").await;
    join(&mut ben, "town").await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(next(&mut heard).await.contains("=town&"));
    assert_eq!(heard.try_recv().ok(), None, "each is asked about once");
    server.until("two and the focus", |s| s.now.occupants == 3).await;
}
