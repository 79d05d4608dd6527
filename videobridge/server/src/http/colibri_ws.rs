//! `/colibri-ws/<server-id>/<conference>/<endpoint>?pwd=…`: the bridge channel over WebSocket. An HTTP upgrade in, text
//! frames both ways between the client and its shard (bridge §3.5).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use budget::Bucket;
use futures_util::{SinkExt, StreamExt};
use jitsi_xmpp::Sensitive;
use jitsi_xmpp::ids::EndpointId;
use service::unserved::Unserved;
use service::websocket::Handshake;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use videobridge_core::limits::CHANNEL_MESSAGES;

use crate::control::{AcceptedSocket, Control, SocketEnd};
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
    let Ok(handshake) = Handshake::of(&request) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(password) = request.uri().query().and_then(|q| q.strip_prefix("pwd=")) else {
        return refused();
    };
    let password = Sensitive::new(password.to_owned());
    let Some(socket) = ws.control.socket_open(conference, EndpointId::new(endpoint), password).await else {
        return Unserved::beside(request, refused());
    };
    let (opening, response) = handshake.take(&mut request, None);
    let control = Arc::clone(&ws.control);
    tokio::spawn(async move {
        if let Some(stream) = opening.stream().await {
            let config = WebSocketConfig::default()
                .read_buffer_size(4096)
                .write_buffer_size(0)
                .max_message_size(Some(limits::SOCKET_MESSAGE))
                .max_frame_size(Some(limits::SOCKET_MESSAGE));
            let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
            let end = carry(&control, &socket, stream).await;
            control.count_end(end);
        }
        control.socket_closed(&socket).await;
    });
    response
}

/// No distinction between an unknown conference, an unknown endpoint and a wrong password.
fn refused() -> Response {
    (StatusCode::FORBIDDEN, "authentication failed").into_response()
}

/// Until it ends.
pub(crate) async fn carry<S>(
    control: &Control,
    socket: &AcceptedSocket,
    mut stream: WebSocketStream<S>,
) -> SocketEnd
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut heard = Instant::now();
    let mut ping = tokio::time::interval_at(heard + limits::SOCKET_PING, limits::SOCKET_PING);
    // Who says more than allowed is read more slowly: nothing of it is lost, and nobody else has to wait.
    let (mut pace, mut read_at) = (Bucket::full(), None);
    loop {
        tokio::select! {
            order = socket.outbound.next() => match order {
                SocketOrder::Text(text) => {
                    let message = Message::text(&*text);
                    let sent = tokio::time::timeout(limits::SOCKET_IDLE, stream.send(message)).await;
                    if !matches!(sent, Ok(Ok(()))) {
                        return SocketEnd::Broken;
                    }
                }
                SocketOrder::Close(code, reason) => {
                    let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from_static(reason) };
                    let _ = tokio::time::timeout(Duration::from_secs(5), stream.close(Some(frame))).await;
                    return SocketEnd::Normal;
                }
            },
            () = sleep_until(read_at), if read_at.is_some() => read_at = None,
            message = stream.next(), if read_at.is_none() => {
                heard = Instant::now();
                let now = heard.into_std();
                if !pace.take(&CHANNEL_MESSAGES, now, 1) {
                    read_at = Some(heard + pace.wait(&CHANNEL_MESSAGES, now, 1));
                }
                match message {
                    Some(Ok(Message::Text(text))) => {
                        if !control.socket_text(socket, text.as_str().to_owned()).await {
                            return SocketEnd::Abnormal;
                        }
                    }
                    // Text frames only; what else arrives is ignored, as upstream does.
                    Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(frame))) => {
                        let normal = frame.is_none_or(|f| matches!(u16::from(f.code), 1000 | 1001));
                        return if normal { SocketEnd::Normal } else { SocketEnd::Abnormal };
                    }
                    Some(Err(_)) | None => return SocketEnd::Broken,
                }
            }
            _ = ping.tick() => {
                let pinged = tokio::time::timeout(limits::SOCKET_PING, stream.send(Message::Ping(bytes::Bytes::new()))).await;
                if heard.elapsed() > limits::SOCKET_IDLE || !matches!(pinged, Ok(Ok(()))) {
                    return SocketEnd::Abnormal;
                }
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use videobridge_core::SocketId;

    use super::*;

    fn socket() -> (Control, AcceptedSocket) {
        let (control, _failures) = Control::new(Vec::new(), Arc::default());
        (control, AcceptedSocket { id: SocketId(1), outbound: Arc::default(), shard: 0 })
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_says_nothing_is_given_up_at_the_next_ping_after_its_time() {
        let (control, socket) = socket();
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let stream = WebSocketStream::from_raw_socket(near, Role::Server, None).await;
        let start = Instant::now();
        carry(&control, &socket, stream).await;
        let silent = start.elapsed();
        assert!(
            silent > limits::SOCKET_IDLE && silent <= limits::SOCKET_IDLE + limits::SOCKET_PING,
            "{silent:?}"
        );
        // It was asked for a sign of life each time: two bytes.
        let mut pings = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut far, &mut pings).await.unwrap();
        assert_eq!(pings.len() as u64 / 2, silent.as_secs() / limits::SOCKET_PING.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_answers_pings_stays() {
        let (control, socket) = socket();
        let (near, far) = tokio::io::duplex(1 << 20);
        let stream = WebSocketStream::from_raw_socket(near, Role::Server, None).await;
        let mut client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        let answers = async { while client.next().await.is_some() {} };
        let long = tokio::time::sleep(10 * limits::SOCKET_IDLE);
        tokio::select! {
            end = carry(&control, &socket, stream) => panic!("given up: {end:?}"),
            () = answers => panic!("closed"),
            () = long => {}
        }
    }
}
