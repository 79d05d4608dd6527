//! The shell on an in-process link: a scripted server on the other end, HTTP through the router.

use std::sync::atomic::{AtomicU16, Ordering};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use jitsi_xmpp::xml::parse;
use jitsi_xmpp::{Element, iq, ns};
use service::proxies::Client;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::ServiceExt;
use xmpp_link::{Link, ServerEnd};

use focus_core::Network;

use super::focus;
use crate::{FocusHandle, HttpConferenceRequest, RawConfig, limits, router};

/// Answers everything with an empty result or, for joins, a self-presence.
async fn serve(mut end: ServerEnd) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(bytes) = end.from_client.recv().await {
        let stanza = parse(&bytes).unwrap();
        seen.push(String::from_utf8(bytes.to_vec()).unwrap());
        let reply = match (stanza.name(), stanza.attr("type")) {
            ("iq", Some("get" | "set")) => iq::result(&stanza, Some(Element::new("query", ns::MUC_OWNER))),
            ("presence", None) if stanza.child("x", ns::MUC).is_some() => {
                let item = Element::inherit("item").with_attr("affiliation", "owner");
                Element::new("presence", ns::CLIENT)
                    .with_attr("from", stanza.attr("to").unwrap())
                    .with_child(Element::new("x", ns::MUC_USER).with_child(item))
            }
            _ => continue,
        };
        if end.to_client.send(Bytes::from(reply.to_xml())).await.is_err() {
            break;
        }
    }
    seen
}

async fn post(router: axum::Router, body: &str) -> (StatusCode, String) {
    let request = Request::post("/conference-request/v1")
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn read(router: axum::Router, path: &str) -> (StatusCode, String) {
    let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_request_over_http_joins_the_room_and_a_shutdown_leaves_it() {
    let config = RawConfig::default().check().unwrap();
    let (link, end) = Link::in_process("focus@auth.meet.jitsi/focus".parse().unwrap(), 64);
    let (stop, shutdown) = watch::channel(false);
    let server = tokio::spawn(serve(end));
    let (handle, task) = focus(config.engine, link, shutdown);
    let task = tokio::spawn(task);
    let routers = router(handle.clone());
    while !handle.stats().await.unwrap().connected {
        tokio::task::yield_now().await;
    }

    let (status, body) =
        post(routers.public.clone(), r#"{"room":"demo@muc.meet.jitsi","properties":{}}"#).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        body.contains(r#""ready":true"#) && body.contains(r#""focusJid":"focus@auth.meet.jitsi""#),
        "{body}"
    );
    let (status, body) = post(routers.public.clone(), "nonsense").await;
    assert_eq!((status, body.starts_with("Bad request: ")), (StatusCode::BAD_REQUEST, true));
    let too_large = "x".repeat(limits::BODY + 1);
    assert_eq!(post(routers.public.clone(), &too_large).await.0, StatusCode::PAYLOAD_TOO_LARGE);

    let (status, body) = read(routers.admin.clone(), "/about/health").await;
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, "No operational bridges available")
    );
    let (_, body) = read(routers.admin.clone(), "/stats").await;
    let stats: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&stats["conferences"], &stats["bridge_selector"]["bridge_count"]), (&1.into(), &0.into()));

    stop.send_replace(true);
    task.await.unwrap();
    let seen = server.await.unwrap();
    assert!(
        seen.iter().any(|s| s.contains("demo@muc.meet.jitsi/focus") && s.contains("unavailable")),
        "left"
    );
    assert_eq!(
        post(routers.public, r#"{"room":"demo@muc.meet.jitsi"}"#).await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn the_task_ends_when_the_link_ends_for_good() {
    let config = RawConfig::default().check().unwrap();
    let (link, end) = Link::in_process("focus@auth.meet.jitsi/focus".parse().unwrap(), 8);
    let (_stop, shutdown) = watch::channel(false);
    let (handle, task) = focus(config.engine, link, shutdown);
    drop(end);
    task.await;
    assert!(handle.stats().await.is_none());
}

#[tokio::test]
async fn one_address_has_its_budget_of_conference_requests_and_nobody_elses() {
    let config = RawConfig::default().check().unwrap();
    let (link, end) = Link::in_process("focus@auth.meet.jitsi/focus".parse().unwrap(), 64);
    let (_stop, shutdown) = watch::channel(false);
    tokio::spawn(serve(end));
    let (handle, task) = focus(config.engine, link, shutdown);
    tokio::spawn(task);
    while !handle.stats().await.unwrap().connected {
        tokio::task::yield_now().await;
    }
    let router = router(handle).public;
    let rooms = AtomicU16::new(0);
    let ask = async |from: &str| {
        let mut request = Request::post("/conference-request/v1")
            .body(Body::from(r#"{"room":"demo@muc.meet.jitsi"}"#))
            .unwrap();
        let port = 40_000 + rooms.fetch_add(1, Ordering::Relaxed);
        let peer = (from.parse::<std::net::IpAddr>().unwrap(), port);
        request.extensions_mut().insert(Client::direct(peer.into()));
        let response = router.clone().oneshot(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        str::from_utf8(&body).unwrap().contains(r#""ready":true"#)
    };
    let mut refused = 0;
    // Time goes on, so that some more than the burst get through.
    for _ in 0..1_000 {
        refused += usize::from(!ask("192.0.2.1").await);
    }
    assert!(refused > 100, "{refused}");
    assert!(ask("192.0.2.2").await, "another address");
    assert!(ask("127.0.0.1").await, "a web server beside us that names nobody is many people");
}

/// A room is asked for; the answer is of no interest.
fn ask(handle: &FocusHandle, room: usize) {
    let handle = handle.clone();
    let from = Network::of([192, 0, 2, 1].into());
    let body = format!(r#"{{"room":"raum{room}@muc.meet.jitsi"}}"#).into_bytes();
    tokio::spawn(async move { handle.conference_request(HttpConferenceRequest { body, from }).await });
}

/// A focus that has asked for twenty rooms on a link that has taken two stanzas.
async fn twenty_rooms() -> (FocusHandle, ServerEnd, watch::Sender<bool>) {
    let config = RawConfig::default().check().unwrap();
    let (link, end) = Link::in_process("focus@auth.meet.jitsi/focus".parse().unwrap(), 2);
    let (stop, shutdown) = watch::channel(false);
    let (handle, task) = focus(config.engine, link, shutdown);
    tokio::spawn(task);
    while !handle.stats().await.unwrap().connected {
        tokio::task::yield_now().await;
    }
    (0..20).for_each(|n| ask(&handle, n));
    while handle.stats().await.unwrap().conferences < 20 {
        tokio::task::yield_now().await;
    }
    (handle, end, stop)
}

fn is_join(stanza: &[u8]) -> bool {
    str::from_utf8(stanza).unwrap().contains("/focus\"")
        && stanza.starts_with(b"<presence xmlns=\"jabber:client\" to=\"raum")
}

#[tokio::test]
async fn what_finds_no_place_on_the_link_waits_for_one() {
    let (_handle, mut end, _stop) = twenty_rooms().await;
    let mut joined = 0;
    while joined < 20 {
        let next = tokio::time::timeout(std::time::Duration::from_secs(5), end.from_client.recv());
        joined += usize::from(is_join(&next.await.expect("nothing is lost").unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_link_that_takes_nothing_is_given_up_after_its_time_and_not_before() {
    let moment = std::time::Duration::from_secs(2);
    for (pause, kept) in [(limits::STALLED - moment, true), (limits::STALLED + moment, false)] {
        let (handle, mut end, _stop) = twenty_rooms().await;
        tokio::time::advance(pause).await;
        let mut joined = 0;
        for _ in 0..1_000 {
            assert!(handle.stats().await.is_some());
            while let Ok(stanza) = end.from_client.try_recv() {
                joined += usize::from(is_join(&stanza));
            }
        }
        assert_eq!(joined == 20, kept, "{joined}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_is_asked_so_often_and_waited_for_so_long_and_not_more() {
    let config = RawConfig::default().check().unwrap();
    let (link, _end) = Link::in_process("focus@auth.meet.jitsi/focus".parse().unwrap(), 8);
    let (_stop, shutdown) = watch::channel(false);
    // The engine never gets a turn.
    let (handle, _engine) = focus(config.engine, link, shutdown);
    let start = Instant::now();
    assert!(handle.stats().await.is_none());
    assert_eq!(start.elapsed().as_secs(), limits::STATS.as_secs());
    let from = Network::of([192, 0, 2, 1].into());
    let request = HttpConferenceRequest { body: b"{}".to_vec(), from };
    let start = Instant::now();
    assert_eq!(handle.conference_request(request.clone()).await.status, 503);
    assert_eq!(start.elapsed().as_secs(), limits::REPLY.as_secs());
    (2..limits::COMMANDS).for_each(|n| ask(&handle, n));
    tokio::task::yield_now().await;
    let start = Instant::now();
    let one_more = tokio::spawn({
        let (handle, request) = (handle.clone(), request.clone());
        async move { handle.conference_request(request).await.status }
    });
    assert_eq!(one_more.await.unwrap(), 503);
    assert_eq!(start.elapsed(), std::time::Duration::ZERO, "there is no place for one more");
}

#[tokio::test]
async fn orders_about_bridges_are_read_strictly_and_rooms_are_named_for_who_names_them() {
    let (link, end) = Link::in_process("focus@auth.meet.jitsi/focus".parse().unwrap(), 64);
    let server = tokio::spawn(serve(end));
    let (stop, shutdown) = watch::channel(false);
    let config = RawConfig::default().check().unwrap().engine;
    let (handle, task) = focus(config, link, shutdown);
    let task = tokio::spawn(task);
    let admin = router(handle).admin;
    let order = async |path: &str, body: &str| {
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(Body::from(body.to_owned())).unwrap();
        admin.clone().oneshot(request).await.unwrap().status().as_u16()
    };
    for (path, status) in [
        ("/move-endpoints/move-endpoint?endpoint=a", 400),
        ("/move-endpoints/move-endpoint?conference=r@muc.meet.jitsi", 400),
        ("/move-endpoints/move-endpoint?conference=@@&endpoint=a", 400),
        ("/move-endpoints/move-endpoint?conference=r@muc.meet.jitsi&endpoint=a", 404),
        ("/move-endpoints/move-endpoints", 400),
        ("/move-endpoints/move-endpoints?bridge=jvb1", 404),
        ("/move-endpoints/move-endpoints?bridge=jvb1&numEndpoints=many", 400),
        ("/move-endpoints/move-fraction?bridge=jvb1&fraction=1.5", 400),
        ("/move-endpoints/move-fraction?bridge=jvb1&fraction=NaN", 400),
        ("/move-endpoints/move-fraction?bridge=jvb1", 404),
    ] {
        assert_eq!(order(path, "").await, status, "{path}");
    }
    let get = async |path: &str| read(admin.clone(), path).await;
    assert_eq!(get("/move-endpoints/move-fraction?bridge=jvb1").await.0, StatusCode::METHOD_NOT_ALLOWED);
    let pin = |minutes: u32| {
        format!(
            r#"{{"conferenceId":"council@muc.meet.jitsi","jvbVersion":"2.3-1","durationMinutes":{minutes}}}"#
        )
    };
    assert_eq!(order("/pin", &pin(0)).await, 400);
    assert_eq!(order("/pin", r#"{"conferenceId":"council@muc.meet.jitsi"}"#).await, 400);
    assert_eq!(order("/pin", &pin(60)).await, 200);
    assert_eq!(get("/pin").await.1, r#"[{"jvbVersion":"2.3-1","minutesRemaining":60}]"#);
    let (_, named) = get("/pin?conference=council@muc.meet.jitsi").await;
    assert!(named.contains(r#""conferenceId":"council@muc.meet.jitsi""#), "{named}");
    assert_eq!(get("/pin?conference=other@muc.meet.jitsi").await.1, "[]");
    let room = r#"{"conferenceId":"council@muc.meet.jitsi"}"#;
    assert_eq!(order("/pin/remove", "council").await, 400);
    assert_eq!(order("/pin/remove", room).await, 200);
    assert_eq!(order("/pin/remove", room).await, 404);
    let _ = stop.send(true);
    let _ = task.await;
    let _ = server.await;
}
