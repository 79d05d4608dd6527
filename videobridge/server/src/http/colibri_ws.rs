//! `/colibri-ws/<server-id>/<conference>/<endpoint>?pwd=…`: the bridge channel over WebSocket. An HTTP upgrade in, text
//! frames both ways between the client and its shard (bridge §3.5).

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use budget::Bucket;
use futures_util::{SinkExt, StreamExt};
use hyper_util::rt::TokioIo;
use jitsi_xmpp::Sensitive;
use jitsi_xmpp::ids::EndpointId;
use service::websocket::Handshake;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use videobridge_core::limits::CHANNEL_MESSAGES;

use crate::control::{AcceptedSocket, Control};
use crate::limits;
use crate::sockets::SocketOrder;

/// What the route needs.
#[derive(Debug, Clone)]
pub(crate) struct ColibriWs {
    pub(crate) control: Arc<Control>,
    pub(crate) server_id: Arc<str>,
}

/// The route's handler.
pub(crate) async fn open(
    State(ws): State<ColibriWs>,
    Path((server_id, conference, endpoint)): Path<(String, String, String)>,
    mut request: Request,
) -> Response {
    if *server_id != *ws.server_id {
        return StatusCode::NOT_FOUND.into_response();
    }
    let Ok(handshake) = Handshake::of(request.headers()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(password) = request.uri().query().and_then(|q| q.strip_prefix("pwd=")) else {
        return refused();
    };
    let password = Sensitive::new(password.to_owned());
    let Some(socket) = ws.control.socket_open(conference, EndpointId::new(endpoint), password).await else {
        return refused();
    };
    let (upgrade, response) = handshake.take(&mut request, None);
    let control = Arc::clone(&ws.control);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let config = WebSocketConfig::default()
                .read_buffer_size(4096)
                .write_buffer_size(0)
                .max_message_size(Some(limits::SOCKET_MESSAGE))
                .max_frame_size(Some(limits::SOCKET_MESSAGE));
            let stream =
                WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
            carry(&control, &socket, stream).await;
        }
        control.socket_closed(&socket).await;
    });
    response
}

/// No distinction between an unknown conference, an unknown endpoint and a wrong password.
fn refused() -> Response {
    (StatusCode::FORBIDDEN, "authentication failed").into_response()
}

async fn carry<S>(control: &Control, socket: &AcceptedSocket, mut stream: WebSocketStream<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut heard = Instant::now();
    let mut ping = tokio::time::interval_at((heard + limits::SOCKET_PING).into(), limits::SOCKET_PING);
    // Who says more than allowed is read more slowly: nothing of it is lost, and nobody else has to wait.
    let (mut pace, mut read_at) = (Bucket::full(), None);
    loop {
        tokio::select! {
            order = socket.outbound.next() => match order {
                SocketOrder::Text(text) => {
                    let message = Message::text(&*text);
                    let sent = tokio::time::timeout(limits::SOCKET_IDLE, stream.send(message)).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        return;
                    }
                }
                SocketOrder::Close(code, reason) => {
                    let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(reason) };
                    let _ = tokio::time::timeout(Duration::from_secs(5), stream.close(Some(frame))).await;
                    return;
                }
            },
            () = sleep_until(read_at), if read_at.is_some() => read_at = None,
            message = stream.next(), if read_at.is_none() => {
                heard = Instant::now();
                if !pace.take(&CHANNEL_MESSAGES, heard, 1) {
                    read_at = Some(heard + pace.wait(&CHANNEL_MESSAGES, heard, 1));
                }
                match message {
                    Some(Ok(Message::Text(text))) => {
                        if !control.socket_text(socket, text.as_str().to_owned()).await {
                            return;
                        }
                    }
                    // Text frames only; what else arrives is ignored, as upstream does.
                    Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                }
            }
            _ = ping.tick() => {
                let pinged = tokio::time::timeout(limits::SOCKET_PING, stream.send(Message::Ping(bytes::Bytes::new()))).await;
                if heard.elapsed() > limits::SOCKET_IDLE || !matches!(pinged, Ok(Ok(()))) {
                    return;
                }
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at.into()).await;
    }
}
