//! The shell on an in-process link: a scripted server on the other end, HTTP through the router.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use jitsi_xmpp::xml::parse;
use jitsi_xmpp::{Element, iq, ns};
use tokio::sync::watch;
use tower::ServiceExt;
use xmpp_link::{Link, ServerEnd};

use super::focus;
use crate::{RawConfig, router};

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
    let too_large = "x".repeat(crate::limits::BODY + 1);
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
