//! One stream of a client, decrypted, in; its messages to the relay's thread and what comes back out, until one of both ends it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc, watch};
use turn_core::frames::{self, Next};
use turn_core::limits::MESSAGE;

use crate::TurnHandle;
use crate::limits::{STREAM_IN, WRITE};
use crate::queue::{In, Inbox, Parcel};

impl TurnHandle {
    /// Serves a client that has begun with `first` until it hangs up, loses its relay, or the server ends. How long one write
    /// may take is the stream's own affair.
    pub async fn serve<S>(&self, stream: S, first: &[u8], peer: SocketAddr, mut end: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (id, out, from) = self.inbox.outlet();
        let (reads, mut writes) = tokio::io::split(stream);
        self.inbox.push(In::Open { id, peer, out });
        let _closed = Closed(&self.inbox, id);
        let done = tokio::select! {
            r = incoming(&self.inbox, id, reads, first) => r,
            r = outgoing(&mut writes, from) => r,
            _ = end.wait_for(|e| *e) => Ok(()),
        };
        if let Err(e) = done {
            tracing::debug!(error = %e, "a client's stream ended");
        }
    }
}

/// Tells the thread, however the stream ends.
struct Closed<'a>(&'a Inbox, u64);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.push(In::Closed { id: self.1 });
    }
}

async fn incoming<S: AsyncRead>(
    inbox: &Inbox,
    id: u64,
    mut from: ReadHalf<S>,
    first: &[u8],
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(STREAM_IN));
    let mut waiting = Vec::with_capacity(2 * MESSAGE);
    waiting.extend_from_slice(first);
    loop {
        let mut done = 0;
        loop {
            let rest = waiting.get(done..).unwrap_or_default();
            match frames::next(rest) {
                Next::More => break,
                Next::Broken => return Err(io::ErrorKind::InvalidData.into()),
                Next::Message { message, whole } => {
                    let bytes = rest.get(..message).unwrap_or_default().to_vec();
                    done += whole;
                    let size = u32::try_from(whole).unwrap_or(u32::MAX);
                    // Until there is room nothing is read, so that the client's own system slows it down.
                    let own = Arc::clone(&room).acquire_many_owned(size).await;
                    let all = Arc::clone(&inbox.room).acquire_many_owned(size).await;
                    let (Ok(own), Ok(all)) = (own, all) else { return Ok(()) };
                    inbox.push(In::Message { id, bytes, _room: [own, all] });
                }
            }
        }
        waiting.drain(..done);
        if from.read_buf(&mut waiting).await? == 0 {
            return Ok(());
        }
    }
}

/// Ends when the thread has let go of the stream.
async fn outgoing<S: AsyncWrite>(
    to: &mut WriteHalf<S>,
    mut from: mpsc::UnboundedReceiver<Parcel>,
) -> io::Result<()> {
    let mut together = Vec::with_capacity(WRITE);
    while let Some(parcel) = from.recv().await {
        together.clear();
        together.extend_from_slice(&parcel.bytes);
        drop(parcel);
        while together.len() < WRITE
            && let Ok(parcel) = from.try_recv()
        {
            together.extend_from_slice(&parcel.bytes);
        }
        to.write_all(&together).await?;
        to.flush().await?;
    }
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use tokio::io::duplex;

    use super::*;
    use crate::limits::STREAMS_IN;

    /// Nobody reads the queue, as when the relay's thread is busy.
    fn inbox() -> (mio::Poll, Arc<Inbox>) {
        let poll = mio::Poll::new().unwrap();
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
        (poll, Arc::new(Inbox::new(waker)))
    }

    async fn flood(inbox: &Arc<Inbox>) -> usize {
        let (theirs, ours) = duplex(1_024);
        let (mut theirs, reads) = (theirs, tokio::io::split(ours).0);
        let inbox = Arc::clone(inbox);
        tokio::spawn(async move { incoming(&inbox, 1, reads, &[]).await });
        let mut message = vec![0x40, 0, 0x03, 0xfc];
        message.resize(1_024, 7);
        let mut taken = 0;
        while tokio::time::timeout(Duration::from_millis(100), theirs.write_all(&message)).await.is_ok() {
            taken += message.len();
        }
        taken
    }

    #[tokio::test]
    async fn a_stream_is_read_as_far_as_there_is_room_for_it_and_for_all() {
        let (_poll, queue) = inbox();
        let taken = flood(&queue).await;
        // What its buffers hold comes on top.
        assert!((STREAM_IN..STREAM_IN + 4 * MESSAGE).contains(&taken), "{taken}");
        assert_eq!(queue.take().len(), STREAM_IN / 1_024);
        assert!(flood(&queue).await >= STREAM_IN, "another one has its own");
        let (_poll, queue) = inbox();
        let _others =
            Arc::clone(&queue.room).acquire_many_owned(u32::try_from(STREAMS_IN - 2_048).unwrap()).await;
        let taken = flood(&queue).await;
        assert!((2_048..2_048 + 4 * MESSAGE).contains(&taken), "{taken}");
        assert_eq!(queue.take().len(), 2);
    }

    /// Keeps the sizes of its writes.
    #[derive(Default)]
    struct Sizes(Vec<usize>);

    impl AsyncWrite for Sizes {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
            self.0.push(b.len());
            Poll::Ready(Ok(b.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncRead for Sizes {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_waits_is_put_together_up_to_one_write() {
        let (_poll, inbox) = inbox();
        let (_, out, from) = inbox.outlet();
        let count = 3 * WRITE / 1_024;
        assert!((0..count).all(|_| out.send(&[7; 1_024])));
        drop(out);
        let (reads, writes) = tokio::io::split(Sizes::default());
        // The half is needed to get it back.
        let done = outgoing_to(writes, from).await;
        assert_eq!(reads.unsplit(done).0, [WRITE; 3]);
    }

    async fn outgoing_to(
        mut to: WriteHalf<Sizes>,
        from: mpsc::UnboundedReceiver<Parcel>,
    ) -> WriteHalf<Sizes> {
        outgoing(&mut to, from).await.unwrap();
        to
    }
}
