//! One request of an HTTP/2 connection in; its answer, or the WebSocket that it asked for, out.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use axum::body::{Body, HttpBody as _};
use bytes::Bytes;
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, uri::PathAndQuery};
use hyper::body::{Frame, SizeHint};
use service::websocket;
use tokio::sync::oneshot;
use tower::ServiceExt as _;

use super::tunnel::Tunnel;
use crate::front::limits;
use crate::patience::Patient;
use crate::serve::Visit;
use crate::shares::Held;

/// A stream ended before its time: the client took it back, or does not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error(transparent)]
    Stream(#[from] h2::Error),
    #[error("the answer's body failed")]
    Body,
    #[error("nothing of the answer was taken for too long")]
    Stalled,
}

/// Answers one request. Its `place` is given back with the answer, or with the WebSocket.
pub(super) async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    visit: &Visit,
    place: Held,
) -> Result<(), Broken> {
    let (mut parts, theirs) = request.into_parts();
    let (method, protocol) = (parts.method.clone(), parts.extensions.remove::<Protocol>());
    let (request, granted) = match protocol {
        None => {
            let body = Body::new(Incoming::new(theirs, &parts.headers));
            (Request::from_parts(parts, body), None)
        }
        Some(asked) if asked.as_str() == "websocket" => {
            // To the routes it is what it is over HTTP/1.1.
            parts.method = Method::GET;
            let (tunnel, granted) = websocket::Tunnel::new();
            parts.extensions.insert(tunnel);
            (Request::from_parts(parts, Body::empty()), Some((granted, theirs)))
        }
        Some(_) => {
            respond.send_response(only(StatusCode::NOT_IMPLEMENTED), true)?;
            return Ok(());
        }
    };
    let request = visit.prepare(as_http1(request));
    let response = tokio::select! {
        response = visit.router.clone().into_service::<Body>().oneshot(request) => response.unwrap_or_else(|e| match e {}),
        // Who takes it back is not answered.
        reason = poll_fn(|cx| respond.poll_reset(cx)) => return Err(h2::Error::from(reason?).into()),
    };
    let (head, body) = head_of(response);
    match granted {
        Some((granted, theirs)) if head.status().is_success() => {
            grant(head, respond, (granted, theirs), place)
        }
        // What was asked for is not here.
        _ => whole(head, body, &method, &mut respond).await,
    }
}

/// A WebSocket: from here on it belongs to whoever took the request.
fn grant(
    mut head: Response<()>,
    mut respond: SendResponse<Bytes>,
    (granted, theirs): (oneshot::Sender<websocket::Stream>, RecvStream),
    place: Held,
) -> Result<(), Broken> {
    if granted.is_closed() {
        respond.send_response(only(StatusCode::NOT_FOUND), true)?;
        return Ok(());
    }
    // Without it nothing could come in the stream.
    head.headers_mut().remove(CONTENT_LENGTH);
    let ours = respond.send_response(head, false)?;
    let stream = Patient::new(Tunnel::new(theirs, ours), limits::WRITE_STALL, place);
    // Who is gone in the meantime drops it, and the client hears of that.
    drop(granted.send(Box::new(stream)));
    Ok(())
}

async fn whole(
    mut head: Response<()>,
    body: Body,
    method: &Method,
    respond: &mut SendResponse<Bytes>,
) -> Result<(), Broken> {
    let status = head.status();
    if status == StatusCode::NO_CONTENT {
        // RFC 9110 §8.6.
        head.headers_mut().remove(CONTENT_LENGTH);
    } else if status != StatusCode::NOT_MODIFIED
        && *method != Method::HEAD
        && let Some(length) = body.size_hint().exact()
    {
        head.headers_mut().entry(CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    let bare = *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || body.is_end_stream();
    let stream = respond.send_response(head, bare)?;
    if bare { Ok(()) } else { send(stream, body).await }
}

/// Never has more of it waiting than the client takes now, so that a client that reads nothing costs one piece, and that not for long.
async fn send(mut to: SendStream<Bytes>, mut body: Body) -> Result<(), Broken> {
    loop {
        let frame = tokio::select! {
            frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)) => frame,
            reason = poll_fn(|cx| to.poll_reset(cx)) => return Err(h2::Error::from(reason?).into()),
        };
        let mut data = match frame {
            None => return Ok(to.send_data(Bytes::new(), true)?),
            Some(Err(_)) => {
                to.send_reset(Reason::INTERNAL_ERROR);
                return Err(Broken::Body);
            }
            // Ours have no trailers.
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        while !data.is_empty() {
            let room = poll_fn(|cx| poll_room(&mut to, data.len(), cx));
            let Ok(room) = tokio::time::timeout(limits::WRITE_STALL, room).await else {
                to.send_reset(Reason::CANCEL);
                return Err(Broken::Stalled);
            };
            let part = data.split_to(room?.min(data.len()));
            let last = data.is_empty() && body.is_end_stream();
            to.send_data(part, last)?;
            if last {
                return Ok(());
            }
        }
    }
}

/// How much may be sent now, at least one byte.
pub(super) fn poll_room(
    to: &mut SendStream<Bytes>,
    wanted: usize,
    cx: &mut Context<'_>,
) -> Poll<Result<usize, h2::Error>> {
    to.reserve_capacity(wanted.min(limits::H2_SEND_BYTES));
    loop {
        match to.capacity() {
            0 => match ready!(to.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(e)) => return Poll::Ready(Err(e)),
                None => return Poll::Ready(Err(Reason::STREAM_CLOSED.into())),
            },
            room => return Poll::Ready(Ok(room)),
        }
    }
}

/// The host in its header, the address without it: as HTTP/1.1 has them, and as all that comes later expects.
fn as_http1(mut request: Request<Body>) -> Request<Body> {
    let uri = request.uri();
    let host = uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok());
    let path = uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from(path);
    if let Some(host) = host {
        // What another header says is not what was asked for (RFC 9113 §8.3.1).
        request.headers_mut().insert(HOST, host);
    }
    request
}

/// An answer's head as HTTP/2 has it (RFC 9113 §8.2.2), and its body.
fn head_of(response: Response<Body>) -> (Response<()>, Body) {
    let (mut parts, body) = response.into_parts();
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE] {
        parts.headers.remove(name);
    }
    parts.version = http::Version::HTTP_2;
    if let Ok(now) = HeaderValue::from_str(&httpdate::fmt_http_date(SystemTime::now())) {
        parts.headers.entry(DATE).or_insert(now);
    }
    (Response::from_parts(parts, ()), body)
}

fn only(status: StatusCode) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    response
}

/// A request's body.
struct Incoming {
    theirs: RecvStream,
    /// As announced; what comes beyond is an error of the stream.
    length: Option<u64>,
}

impl Incoming {
    fn new(theirs: RecvStream, headers: &HeaderMap) -> Self {
        let length = headers.get(CONTENT_LENGTH).and_then(|l| l.to_str().ok()?.parse().ok());
        Self { theirs, length }
    }
}

impl hyper::body::Body for Incoming {
    type Data = Bytes;
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        Poll::Ready(match ready!(self.theirs.poll_data(cx)) {
            Some(Ok(data)) => {
                // Whoever reads copies it, and has a bound on that.
                let _ = self.theirs.flow_control().release_capacity(data.len());
                self.length = self.length.map(|l| l.saturating_sub(data.len() as u64));
                Some(Ok(Frame::data(data)))
            }
            Some(Err(e)) => Some(Err(e)),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.theirs.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
