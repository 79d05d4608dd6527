//! A new connection in; whether its client speaks TURN or HTTP, and the connection as if nobody had looked, out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use turn_server::frames::{FIRST, is_turn};

/// What has begun.
#[derive(Debug)]
pub(crate) enum First<S> {
    /// With the bytes that were read.
    Turn(S, Vec<u8>),
    Http(Again<S>),
}

/// Looks at the first bytes: one tells HTTP, eight TURN. A connection that ends before is HTTP's.
pub(crate) async fn look<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<First<S>> {
    let mut first = [0; FIRST];
    let mut have = 0;
    loop {
        let seen = first.get(..have).unwrap_or_default();
        match is_turn(seen) {
            Some(true) => return Ok(First::Turn(stream, seen.to_vec())),
            Some(false) => break,
            None => {}
        }
        let read = stream.read(first.get_mut(have..).unwrap_or_default()).await?;
        if read == 0 {
            break;
        }
        have += read;
    }
    Ok(First::Http(Again { first, at: 0, have, stream }))
}

/// A stream that is read from the beginning again.
#[derive(Debug)]
pub(crate) struct Again<S> {
    first: [u8; FIRST],
    at: usize,
    have: usize,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Again<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = self.first.get(self.at..self.have).unwrap_or_default();
        let part = rest.get(..rest.len().min(buf.remaining())).unwrap_or_default();
        if part.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        buf.put_slice(part);
        self.at += part.len();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Again<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn http_is_read_as_if_nobody_had_looked_however_its_bytes_come() {
        for text in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"G", b"", b"\x00\x01no cookie", b"\x00\x01\x00"] {
            for piece in [1, 3, 8, 64] {
                let (mut theirs, ours) = tokio::io::duplex(piece);
                let sent = text.to_vec();
                let client = tokio::spawn(async move {
                    theirs.write_all(&sent).await.unwrap();
                });
                let First::Http(mut http) = look(ours).await.unwrap() else { panic!("{text:?}") };
                let mut got = Vec::new();
                http.read_to_end(&mut got).await.unwrap();
                client.await.unwrap();
                assert_eq!(got, text);
            }
        }
    }

    #[tokio::test]
    async fn turn_is_known_by_its_cookie() {
        let (mut theirs, ours) = tokio::io::duplex(3);
        let message = [0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42, 7, 7];
        tokio::spawn(async move {
            theirs.write_all(&message).await.unwrap();
            std::future::pending::<()>().await;
        });
        let First::Turn(mut stream, first) = look(ours).await.unwrap() else { panic!() };
        assert_eq!(first, message[..8]);
        assert_eq!(stream.read_u8().await.unwrap(), 7);
    }
}
