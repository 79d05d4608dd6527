//! A stream in, the same out, which breaks when its peer takes nothing for too long; and something that lives as long as it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A peer that does not read holds memory and a place for nothing; reading may take as long as the protocol allows.
#[derive(Debug)]
pub(crate) struct Patient<S, G> {
    stream: S,
    most: Duration,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
    _guard: G,
}

impl<S, G> Patient<S, G> {
    /// `most`: the longest wait of one write. `guard` is dropped with the stream, whoever has it then.
    pub(crate) const fn new(stream: S, most: Duration, guard: G) -> Self {
        Self { stream, most, stall: None, _guard: guard }
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.stall = None;
            return done;
        }
        let most = self.most;
        let stall =
            self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + most)));
        match stall.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin, G: Unpin> AsyncRead for Patient<S, G> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin, G: Unpin> AsyncWrite for Patient<S, G> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // TLS writes lists of one record. The kernel takes what is sent with less ado than lists that are written.
        let stream = Pin::new(&mut self.stream);
        let done = match bufs {
            [one] => stream.poll_write(cx, one),
            _ => stream.poll_write_vectored(cx, bufs),
        };
        self.watch(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, done)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_visitor_that_takes_nothing_is_given_up_after_its_time_and_not_before() {
        let most = crate::front::limits::WRITE_STALL;
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut ours = Patient::new(ours, most, ());
        let began = Instant::now();
        let refused = ours.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), most.as_secs());
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up_and_a_slow_one_is_not() {
        let most = Duration::from_millis(300);
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut ours = Patient::new(ours, most, ());
        let slow = tokio::spawn(async move {
            let mut got = [0; 16];
            for _ in 0..8 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                theirs.read_exact(&mut got).await.unwrap();
            }
            theirs
        });
        ours.write_all(&[0; 8 * 16]).await.unwrap();
        let _sleeping = slow.await.unwrap();
        let began = Instant::now();
        let refused = ours.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= most);
    }
}
