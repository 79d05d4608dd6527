//! An HTTP connection that has become something else in; the stream below it out, without what carried its requests.
//!
//! A WebSocket lasts for hours and is written to thousands of times a second; each layer would be passed by every write.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::websocket::{Io, Stream};

/// In a request's extensions: what its connection is made of, as whoever accepted that knows.
#[derive(Debug, Clone, Copy)]
pub struct Below(fn(Upgraded) -> Stream);

impl Below {
    /// The connection is one of hyper's over such a stream.
    pub fn of<S: Io + 'static>() -> Self {
        Self(|upgraded| match upgraded.downcast::<TokioIo<S>>() {
            Ok(parts) if parts.read_buf.is_empty() => Box::new(parts.io.into_inner()),
            Ok(parts) => Box::new(Begun { read: parts.read_buf, rest: parts.io.into_inner() }),
            Err(other) => Box::new(TokioIo::new(other)),
        })
    }

    /// The stream of a connection that has been upgraded.
    pub fn take(self, upgraded: Upgraded) -> Stream {
        (self.0)(upgraded)
    }
}

/// A stream of which something was read along with the request.
struct Begun<S> {
    read: Bytes,
    rest: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Begun<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.rest).poll_read(cx, buf);
        }
        let n = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read.split_to(n));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Begun<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.rest).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use axum::http::{Request, Response, StatusCode, header};
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    /// Serves one request that asks for an upgrade; what its stream is taken for.
    async fn upgraded<S: Io + 'static>(sent: &[u8]) -> (Stream, DuplexStream) {
        let (near, mut far) = tokio::io::duplex(1024);
        let (tell, told) = tokio::sync::oneshot::channel();
        let tell = std::sync::Mutex::new(Some(tell));
        let service = service_fn(move |request: Request<Incoming>| {
            let upgrade = hyper::upgrade::on(request);
            let tell = tell.lock().unwrap().take().unwrap();
            tokio::spawn(async move { tell.send(Below::of::<S>().take(upgrade.await.unwrap())).ok() });
            let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            let response = response.header(header::CONNECTION, "upgrade").header(header::UPGRADE, "x");
            async move { Ok::<_, Infallible>(response.body(Body::empty()).unwrap()) }
        });
        let serving = http1::Builder::new().serve_connection(TokioIo::new(near), service).with_upgrades();
        tokio::spawn(serving);
        far.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
            .await
            .unwrap();
        far.write_all(sent).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(far.read_u8().await.unwrap());
        }
        (told.await.unwrap(), far)
    }

    #[tokio::test]
    async fn what_came_along_with_the_request_is_read_first_and_whatever_the_stream_is() {
        for (mut near, mut far) in [
            upgraded::<DuplexStream>(b"").await,
            upgraded::<DuplexStream>(b"early ").await,
            // Another than was thought: it is carried as before.
            upgraded::<tokio::net::TcpStream>(b"early ").await,
        ] {
            far.write_all(b"late").await.unwrap();
            near.write_all(b"answer").await.unwrap();
            near.shutdown().await.unwrap();
            let mut said = String::new();
            far.read_to_string(&mut said).await.unwrap();
            drop(far);
            let mut heard = String::new();
            near.read_to_string(&mut heard).await.unwrap();
            assert_eq!(said, "answer");
            assert!(["late", "early late"].contains(&heard.as_str()), "{heard}");
        }
    }
}
