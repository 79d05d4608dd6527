//! The two halves of an HTTP/2 stream in, one stream of bytes out: what a WebSocket over HTTP/2 is carried by (RFC 8441 §5).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::poll_room;

/// A stream that was granted.
pub(super) struct Tunnel {
    theirs: RecvStream,
    /// Read, and not taken yet.
    rest: Bytes,
    ours: SendStream<Bytes>,
}

impl Tunnel {
    pub(super) const fn new(theirs: RecvStream, ours: SendStream<Bytes>) -> Self {
        Self { theirs, rest: Bytes::new(), ours }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() {
            match ready!(self.theirs.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Ok(data)) => self.rest = data,
                // Who goes away takes its stream back.
                Some(Err(e)) if matches!(e.reason(), Some(Reason::NO_ERROR | Reason::CANCEL)) => {
                    return Poll::Ready(Ok(()));
                }
                Some(Err(e)) => return Poll::Ready(Err(broken(e))),
            }
        }
        let part = self.rest.len().min(buf.remaining());
        buf.put_slice(self.rest.get(..part).unwrap_or_default());
        self.rest.advance(part);
        // More may come: what was said is taken.
        let _ = self.theirs.flow_control().release_capacity(part);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = ready!(poll_room(&mut self.ours, buf.len(), cx)).map_err(broken)?;
        let part = Bytes::copy_from_slice(buf.get(..room).unwrap_or(buf));
        let len = part.len();
        self.ours.send_data(part, false).map_err(broken)?;
        Poll::Ready(Ok(len))
    }

    /// What was written is within what the client takes; the connection sends it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.ours.send_data(Bytes::new(), true).map_err(broken))
    }
}

fn broken(e: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, e)
}
