//! A listening socket and a service in, HTTP/1.1 connections served until the drain; bounded in number and patience.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt as _;
use tracing::debug;

use crate::front::limits;

/// What happens to a request before it is routed.
pub(crate) type Before = fn(Request<Body>) -> Request<Body>;

/// Serves `router` until told to end. Answers that are under way get a moment; WebSockets end with their parts.
pub(crate) async fn http(
    listener: TcpListener,
    router: Router,
    before: Before,
    mut end: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(limits::CONNECTIONS));
    loop {
        // A permit first: while all are taken, new connections wait in the kernel's queue.
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            a = listener.accept() => a,
            _ = end.wait_for(|e| *e) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, end) = (router.clone(), end.clone());
                tokio::spawn(async move {
                    connection(stream, peer, router, before, end).await;
                    drop(permit);
                });
            }
            Err(e) => {
                // Out of file descriptors, mostly: waiting is all that helps.
                debug!(error = %e, "accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    let all = u32::try_from(limits::CONNECTIONS).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(LAST_ANSWERS, room.acquire_many(all)).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    before: Before,
    mut end: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = before(request.map(Body::new));
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().into_service::<Body>().oneshot(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::REQUEST_HEAD)
        .max_buf_size(limits::REQUEST_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(serving);
    let done = tokio::select! {
        r = serving.as_mut() => r,
        () = async { drop(end.wait_for(|e| *e).await) } => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(e) = done {
        debug!(error = %e, "connection ended");
    }
}

/// Answers that are under way when the drain begins.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn answers_and_ends_when_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/x", get(|ConnectInfo(p): ConnectInfo<SocketAddr>| async move { p.ip().to_string() }));
        let (tell, end) = watch::channel(false);
        let server = tokio::spawn(http(listener, router, |r| r, end));
        let mut c = TcpStream::connect(address).await.unwrap();
        c.write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut got = vec![0; 1024];
        let n = c.read(&mut got).await.unwrap();
        let text = String::from_utf8_lossy(&got[..n]).into_owned();
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("127.0.0.1"), "{text}");
        tell.send_replace(true);
        tokio::time::timeout(Duration::from_secs(2), server)
            .await
            .expect("ends with an idle connection open")
            .unwrap();
    }

    #[tokio::test]
    async fn a_head_beyond_the_limit_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_tell, end) = watch::channel(false);
        tokio::spawn(http(listener, Router::new().route("/x", get(|| async { "ok" })), |r| r, end));
        // hyper notices between two reads, so the border itself is soft.
        for (padding, fits) in
            [(limits::REQUEST_HEAD_BYTES - 256, true), (4 * limits::REQUEST_HEAD_BYTES, false)]
        {
            let mut c = TcpStream::connect(address).await.unwrap();
            let head = format!(
                "GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n",
                "p".repeat(padding)
            );
            let _ = c.write_all(head.as_bytes()).await;
            let mut text = String::new();
            let _ = c.read_to_string(&mut text).await;
            // Beyond it there is a 431, or nothing when the refusal overtakes what the client still sends.
            assert_eq!(text.starts_with("HTTP/1.1 200"), fits, "{padding}: {text}");
        }
    }
}
