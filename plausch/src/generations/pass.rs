//! Requests in; those for meetings of the process before answered by it, all others by this one, out. A WebSocket over HTTP/2 goes there
//! as one over HTTP/1.1.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use jitsi_xmpp::room::{RoomAddress, Tenant};
use jitsi_xmpp::{BareJid, Entropy as _};
use service::unserved::Unserved;
use service::websocket::Handshake;
use service::{SystemEntropy, body};

use super::limits;
use super::predecessor::Before;
use crate::serve::Encrypted;

/// Before everything else of the public front.
pub(crate) async fn pass(State(before): State<Before>, request: Request<Body>, next: Next) -> Response {
    if before.is_gone() {
        return next.run(request).await;
    }
    let request = match (request.uri().path(), request.method()) {
        ("/xmpp-websocket" | "/http-bind", _) => match named(&before, &request) {
            Some(room) if before.has(room.as_str()) => return ask(&before, request).await,
            _ => request,
        },
        ("/conference-request/v1", &Method::POST) => {
            let (head, whole) = match body::read(request, limits::REQUEST_BYTES).await {
                Ok(read) => read,
                Err(refused) => return refused.into_response(),
            };
            let room = asked_for(&whole);
            let request = Request::from_parts(head, Body::from(whole.to_vec()));
            drop(whole);
            match room {
                Some(room) if before.is_asked_for(&room).await => return ask(&before, request).await,
                _ => request,
            }
        }
        _ => request,
    };
    let mut response = next.run(request).await;
    match Unserved::of(&mut response) {
        // Of a session or a conference that nobody knows here.
        Some(request) => ask(&before, request).await,
        None => response,
    }
}

/// The room that a connection's URL names, as clients write its address.
fn named(before: &Before, request: &Request<Body>) -> Option<BareJid> {
    let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(request.uri()).ok()?;
    let value = |key: &str| query.iter().find(|(k, v)| k == key && !v.is_empty()).map(|(_, v)| v);
    let tenant = value("prefix").map(|t| Tenant::from_path(t)).transpose().ok()?;
    before.meetings_at().shown(&RoomAddress::new(tenant, value("room")?).ok()?).ok()
}

fn asked_for(body: &[u8]) -> Option<BareJid> {
    serde_json::from_slice::<serde_json::Value>(body).ok()?.get("room")?.as_str()?.parse().ok()
}

/// Has it answered by the process before.
async fn ask(before: &Before, request: Request<Body>) -> Response {
    match answered(before, request).await {
        Some(response) => response,
        // Its meetings have ended with it: the client asks again, and is ours then.
        None => {
            (StatusCode::SERVICE_UNAVAILABLE, "The server is being upgraded; try again.\n").into_response()
        }
    }
}

async fn answered(before: &Before, mut request: Request<Body>) -> Option<Response> {
    let extensions = request.extensions();
    let ConnectInfo(peer) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    let stream = before.visit(*peer, extensions.get::<Encrypted>().is_some()).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection.with_upgrades());
    let Ok(handshake) = Handshake::of(&request) else {
        let response = sender.send_request(plain(request)).await.ok()?;
        let (mut head, body) = response.into_parts();
        head.headers.remove(CONNECTION);
        head.headers.remove(TRANSFER_ENCODING);
        return Some(Response::from_parts(head, Body::new(body)));
    };
    let mut response = sender.send_request(upgrade(&request)?).await.ok()?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let (head, body) = response.into_parts();
        return Some(Response::from_parts(head, Body::new(body)));
    }
    let protocol = response.headers().get(SEC_WEBSOCKET_PROTOCOL).filter(|p| *p == "xmpp").map(|_| "xmpp");
    let (opening, answer) = handshake.take(&mut request, protocol);
    tokio::spawn(async move {
        let theirs = hyper::upgrade::on(&mut response);
        if let (Some(mut ours), Ok(theirs)) = (opening.stream().await, theirs.await) {
            // Either end tells of itself.
            let _ = tokio::io::copy_bidirectional(&mut ours, &mut TokioIo::new(theirs)).await;
        }
    });
    Some(answer)
}

/// As it came, on a connection that is for it alone.
fn plain(mut request: Request<Body>) -> Request<Body> {
    let headers = request.headers_mut();
    for name in PER_CONNECTION {
        headers.remove(name);
    }
    request.extensions_mut().clear();
    *request.version_mut() = http::Version::HTTP_11;
    request
}

/// The same WebSocket as HTTP/1.1 asks for it.
fn upgrade(request: &Request<Body>) -> Option<Request<Body>> {
    let mut asked = Request::new(Body::empty());
    *asked.uri_mut() = request.uri().clone();
    let headers = asked.headers_mut();
    for (name, value) in request.headers() {
        if !PER_CONNECTION.contains(name) && name != CONTENT_LENGTH {
            headers.append(name, value.clone());
        }
    }
    if !headers.contains_key(HOST) {
        headers.insert(HOST, HeaderValue::from_static("localhost"));
    }
    let mut key = [0; 16];
    SystemEntropy.fill(&mut key);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, HeaderValue::from_str(&STANDARD.encode(key)).ok()?);
    Some(asked)
}

/// What is between two neighbours alone (RFC 9110 §7.6.1).
const PER_CONNECTION: &[HeaderName] = &[CONNECTION, UPGRADE, TRANSFER_ENCODING, SEC_WEBSOCKET_KEY];
