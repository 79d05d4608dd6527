//! The sending side of a WebSocket: the server's frames in, WebSocket frames on the socket out.
//!
//! Whoever has something to send writes it to the socket; the connection's own task is woken only for what the socket
//! does not take at once, and for the end. Content that many connections share waits here by reference.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use prosody_core::Frame;
use service::websocket::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::backlog::{Backlog, Charge};
use crate::connection::Full;
use crate::limits;
use crate::peers::Partial;

/// A socket and what waits to be written to it. Bounded: one that takes too little is reported as [`Full`].
pub(crate) struct Outlet {
    state: Mutex<State>,
    max_bytes: usize,
    /// Bytes of one frame that may be read.
    max_frame: AtomicUsize,
}

struct State {
    io: Stream,
    backlog: Option<Arc<Backlog>>,
    queue: VecDeque<Piece>,
    /// Bytes of the first piece that are written already.
    written: usize,
    /// Bytes in the queue.
    waiting: usize,
    /// On the server's list of outlets to be flushed.
    listed: bool,
    /// The socket takes nothing more; its readiness wakes the task, which goes on writing.
    blocked_since: Option<Instant>,
    /// Writing has failed.
    broken: bool,
    /// The task no longer listens to the server.
    left: bool,
    end: Option<Word>,
    /// Nothing is to be read before.
    paused_until: Option<Instant>,
    task: Option<Waker>,
}

/// A WebSocket frame: of what kind, and content that may be shared.
struct Piece {
    /// Given back before the content is. Boxed: few have one.
    charge: Option<Box<Charge>>,
    /// `None`: the content has its head already.
    kind: Option<u8>,
    content: Frame,
}

/// A stanza that was not taken; it comes back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) Frame);

/// What the connection's task has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// The server has said its last word, and it is written.
    Closed,
    /// The server has dropped this connection: it reads too slowly, or its input is a bug's trigger.
    Dropped,
    /// The server has stopped.
    Stopped,
    /// Nothing more can be written.
    Broken,
    /// The peer has not read all for [`limits::WRITE_STALL`].
    Stalled,
}

impl Outlet {
    /// Takes no frames until told of which size.
    pub(crate) fn new(io: Stream, max_bytes: usize, backlog: Option<Arc<Backlog>>) -> Arc<Self> {
        let state = State {
            io,
            backlog,
            queue: VecDeque::new(),
            written: 0,
            waiting: 0,
            listed: false,
            blocked_since: None,
            broken: false,
            left: false,
            end: None,
            paused_until: None,
            task: None,
        };
        Arc::new(Self { state: Mutex::new(state), max_bytes, max_frame: AtomicUsize::new(0) })
    }

    /// The peer is read again after that time.
    pub(crate) fn pause(&self, wait: Duration) {
        let mut state = self.state();
        state.paused_until = state.paused_until.max(Some(Instant::now() + wait));
    }

    /// Until when nothing is to be read, if that was asked since the last look.
    pub(crate) fn take_pause(&self) -> Option<Instant> {
        self.state().paused_until.take()
    }

    /// From now on the peer may send stanzas of so many bytes, and some more that are refused with an error.
    pub(crate) fn take_frames_of(&self, max_bytes: usize) {
        self.max_frame.store(max_bytes.saturating_mul(limits::REFUSED_FRAME), Ordering::Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held is one of the transport below; the worst that is left is a broken connection.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a stanza. `Ok(true)`: somebody has to call [`Self::flush`] afterwards.
    pub(crate) fn push(&self, content: Frame) -> Result<bool, Refused> {
        let mut state = self.state();
        if state.left || state.broken {
            return Err(Refused(content));
        }
        if state.queue.len() >= limits::OUTPUTS || state.waiting + content.len() > self.max_bytes {
            return Err(Refused(content));
        }
        state.push(Piece { charge: None, kind: Some(TEXT), content })?;
        Ok(!std::mem::replace(&mut state.listed, true))
    }

    /// Queues a ping and writes what can be written.
    pub(crate) fn ping(&self) {
        let content = Frame::whole(Bytes::new());
        // Without room for it the peer is blocked, which ends it sooner than silence.
        let _ = self.state().push(Piece { charge: None, kind: Some(PING), content });
        self.flush();
    }

    /// Writes what the socket takes. Must not run under a task's budget, which would look like a full socket.
    pub(crate) fn flush(&self) {
        let mut state = self.state();
        state.listed = false;
        if state.left || state.broken || state.blocked_since.is_some() {
            return;
        }
        let task = state.task.take();
        let waker = task.as_ref().unwrap_or(Waker::noop());
        // The server's own task runs this: a transport that panics costs its connection.
        let flush = AssertUnwindSafe(|| state.flush(&mut Context::from_waker(waker)));
        let flushed = catch_unwind(flush).unwrap_or_else(|_| {
            tracing::error!("writing to a connection panicked; it is dropped");
            state.fail();
            Poll::Ready(Err(io::ErrorKind::Other.into()))
        });
        if matches!(flushed, Poll::Ready(Err(_))) || (flushed.is_ready() && state.end.is_some()) {
            waker.wake_by_ref();
        }
        state.task = task;
    }

    /// Resolves when there is something to know; until then keeps writing what the socket did not take. Says the same
    /// again when asked again.
    pub(crate) fn poll_word(&self, cx: &Context<'_>) -> Poll<Word> {
        let mut state = self.state();
        if state.task.as_ref().is_none_or(|t| !t.will_wake(cx.waker())) {
            state.task = Some(cx.waker().clone());
        }
        if state.blocked_since.is_some() && !state.broken {
            let _ = state.flush(&mut Context::from_waker(cx.waker()));
        }
        if state.broken {
            return Poll::Ready(Word::Broken);
        }
        match (state.end, state.blocked_since) {
            (Some(Word::Closed), Some(_)) => {}
            (Some(Word::Closed), None) if !state.queue.is_empty() => {}
            (Some(word), _) => return Poll::Ready(word),
            (None, _) => {}
        }
        if state.blocked_since.is_some_and(|since| since.elapsed() >= limits::WRITE_STALL) {
            return Poll::Ready(Word::Stalled);
        }
        Poll::Pending
    }

    /// The server has no more to say; `word` tells why. The first reason counts, but a drop counts always.
    pub(crate) fn end(&self, word: Word) {
        let mut state = self.state();
        if state.end.is_none() || word == Word::Dropped {
            state.end = Some(word);
        }
        if let Some(task) = &state.task {
            task.wake_by_ref();
        }
    }

    /// The task goes on without the server: nothing more is taken from it.
    pub(crate) fn leave(&self) {
        self.state().left = true;
    }

    /// Whether the task has gone; if so, not to take anything is no fault of the reader.
    pub(crate) fn has_left(&self) -> bool {
        let state = self.state();
        state.left || state.broken
    }

    /// Whether something waits that the socket did not take.
    pub(crate) fn is_blocked(&self) -> bool {
        self.state().blocked_since.is_some()
    }
}

impl State {
    fn push(&mut self, mut piece: Piece) -> Result<(), Refused> {
        let waiting = self.waiting + piece.len();
        if self.blocked_since.is_some()
            && waiting > limits::BACKLOG_FREE
            && piece.charge(self.backlog.as_ref()).is_err()
        {
            return Err(Refused(piece.content));
        }
        self.waiting = waiting;
        self.queue.push_back(piece);
        Ok(())
    }

    /// The socket takes nothing more: what waits begins to count.
    fn charge(&mut self) -> Result<(), Full> {
        let mut waiting = 0;
        for piece in &mut self.queue {
            waiting += piece.len();
            if waiting > limits::BACKLOG_FREE {
                piece.charge(self.backlog.as_ref())?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.write_all(cx);
        match &flushed {
            Poll::Pending => {
                if self.blocked_since.is_none() {
                    self.blocked_since = Some(Instant::now());
                    if self.charge().is_err() {
                        // Its address has as much waiting as may be.
                        self.fail();
                        return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
                    }
                }
            }
            Poll::Ready(Ok(())) => self.blocked_since = None,
            Poll::Ready(Err(_)) => self.fail(),
        }
        flushed
    }

    fn fail(&mut self) {
        self.broken = true;
        self.blocked_since = None;
        self.queue = VecDeque::new();
        self.waiting = 0;
    }

    fn write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            let n = SCRATCH.with_borrow_mut(|run| {
                gather(&self.queue, self.written, run);
                Pin::new(&mut *self.io).poll_write(cx, run)
            })?;
            match n {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(n) => self.advance(n),
                Poll::Pending => return Poll::Pending,
            }
        }
        // A burst, such as a join, is over: its room is given back.
        if self.queue.capacity() > KEPT_PIECES {
            self.queue = VecDeque::new();
        }
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    /// Forgets what was written.
    fn advance(&mut self, n: usize) {
        self.waiting = self.waiting.saturating_sub(n);
        self.written += n;
        while let Some(len) = self.queue.front().map(Piece::len).filter(|len| *len <= self.written) {
            self.written -= len;
            self.queue.pop_front();
        }
    }
}

impl Piece {
    fn charge(&mut self, backlog: Option<&Arc<Backlog>>) -> Result<(), Full> {
        if let (Some(backlog), None) = (backlog, &self.charge) {
            self.charge = Some(Box::new(backlog.frame(&self.content).map_err(|_| Full)?));
        }
        Ok(())
    }

    fn len(&self) -> usize {
        let len = self.content.len();
        self.kind.map_or(0, |_| head_len(len)) + len
    }
}

/// Copies what is at the head of the queue, but for the first `skip` bytes.
fn gather(queue: &VecDeque<Piece>, mut skip: usize, run: &mut Vec<u8>) {
    run.clear();
    for piece in queue {
        let (ws, ws_len) = piece.kind.map_or(([0; HEAD_BYTES], 0), |kind| head(kind, piece.content.len()));
        let ws = ws.get(..ws_len).unwrap_or_default();
        let [start, to, rest] = piece.content.pieces();
        for part in [ws, start, to, rest] {
            let cut = skip.min(part.len());
            skip -= cut;
            let most = part.len().min(cut + limits::WS_WRITE - run.len());
            run.extend_from_slice(part.get(cut..most).unwrap_or_default());
        }
        if run.len() >= limits::WS_WRITE {
            return;
        }
    }
}

thread_local! {
    /// One write's bytes. Copying them together here costs less than a vectored write of the pieces, which are short.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The head of an unfragmented, unmasked frame (RFC 6455 §5.2) and its length.
fn head(kind: u8, len: usize) -> ([u8; HEAD_BYTES], usize) {
    let mut head = [0; HEAD_BYTES];
    let first = FIN | kind;
    let used = match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len), _) if len < LEN_16 => {
            [head[0], head[1]] = [first, len];
            2
        }
        (_, Ok(len)) => {
            [head[0], head[1]] = [first, LEN_16];
            [head[2], head[3]] = len.to_be_bytes();
            4
        }
        _ => {
            let [a, b, c, d, e, f, g, h] = (len as u64).to_be_bytes();
            head = [first, LEN_64, a, b, c, d, e, f, g, h];
            10
        }
    };
    (head, used)
}

/// How long that head is.
const fn head_len(len: usize) -> usize {
    match len {
        0..126 => 2,
        126..0x1_0000 => 4,
        _ => 10,
    }
}

/// The socket as the protocol engine sees it: it reads from it, and what it answers by itself, pongs and closes, goes
/// through the same queue, so that it never cuts a frame in two.
pub(crate) struct Shared {
    outlet: Arc<Outlet>,
    partial: Partial,
    too_large: bool,
}

impl Shared {
    pub(crate) const fn new(outlet: Arc<Outlet>, partial: Partial) -> Self {
        Self { outlet, partial, too_large: false }
    }

    /// A whole message has been read.
    pub(crate) fn complete(&mut self) {
        self.partial.complete();
    }

    /// Whether reading has failed because the peer sends a frame that is too large, or too many at once.
    pub(crate) const fn is_too_large(&self) -> bool {
        self.too_large
    }
}

impl AsyncRead for Shared {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut *self.outlet.state().io).poll_read(cx, buf))?;
        let most = self.outlet.max_frame.load(Ordering::Relaxed) + limits::WS_READ_BUFFER;
        // After that, what comes is only read to be thrown away.
        if !self.too_large && !self.partial.grow(buf.filled().len() - before, most) {
            self.too_large = true;
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Shared {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.outlet.state();
        if state.broken || state.waiting + buf.len() > self.outlet.max_bytes {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let content = Frame::whole(Bytes::copy_from_slice(buf));
        let piece = Piece { charge: None, kind: None, content };
        if state.push(piece).is_err() {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.outlet.state();
        if state.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        state.flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut *self.outlet.state().io).poll_shutdown(cx)
    }
}

const HEAD_BYTES: usize = 10;
const FIN: u8 = 0x80;
const TEXT: u8 = 0x1;
const PING: u8 = 0x9;
const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

/// Places for frames that an idle connection keeps.
const KEPT_PIECES: usize = 8;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn text(len: usize) -> Frame {
        Frame::whole(vec![b'x'; len])
    }

    #[test]
    fn heads_follow_the_three_forms_of_the_length() {
        let head = |len| {
            let (head, used) = head(TEXT, len);
            assert_eq!(used, head_len(len));
            head[..used].to_vec()
        };
        assert_eq!(head(0), [0x81, 0]);
        assert_eq!(head(125), [0x81, 125]);
        assert_eq!(head(126), [0x81, 126, 0, 126]);
        assert_eq!(head(255), [0x81, 126, 0, 255]);
        assert_eq!(head(65_535), [0x81, 126, 255, 255]);
        assert_eq!(head(65_536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, far)
    }

    /// Frames of sizes around every border, whatever the transport takes at a time.
    async fn arrives_whole(outlet: Arc<Outlet>, mut far: impl AsyncRead + Unpin) {
        let sizes = [0, 1, 125, 126, 65_535, 65_536, 300_000, 7, 1_500];
        let mut expected = Vec::new();
        for (i, size) in sizes.iter().cycle().take(200).enumerate() {
            let (head, used) = head(TEXT, *size);
            expected.extend_from_slice(&head[..used]);
            expected.extend_from_slice(&vec![b'x'; *size]);
            outlet.push(text(*size)).unwrap();
            if i % 3 == 0 {
                outlet.flush();
            }
        }
        outlet.flush();
        outlet.end(Word::Closed);
        let writer = Arc::clone(&outlet);
        let written = tokio::spawn(poll_fn(move |cx| writer.poll_word(cx)));
        let mut got = vec![0; expected.len()];
        far.read_exact(&mut got).await.unwrap();
        assert!(got == expected);
        assert_eq!(written.await.unwrap(), Word::Closed);
        assert_eq!(outlet.state().waiting, 0);
        assert!(outlet.state().queue.capacity() <= KEPT_PIECES);
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order_over_tcp() {
        let (near, far) = pair().await;
        arrives_whole(Outlet::new(Box::new(near), usize::MAX, None), far).await;
    }

    #[tokio::test]
    async fn frames_arrive_whole_and_in_order_in_small_portions() {
        let (near, far) = tokio::io::duplex(1_000);
        arrives_whole(Outlet::new(Box::new(near), usize::MAX, None), far).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stands_still_is_full_and_then_stalled() {
        let (near, _far) = tokio::io::duplex(100);
        let outlet = Outlet::new(Box::new(near), 1_000, None);
        assert_eq!(outlet.push(text(900)), Ok(true));
        assert_eq!(outlet.push(text(1)), Ok(false), "listed already");
        assert!(outlet.push(text(100)).is_err());
        outlet.flush();
        assert!(outlet.is_blocked());
        assert_eq!(outlet.push(text(1)), Ok(true), "100 bytes were taken");
        let word = poll_fn(|cx| outlet.poll_word(cx));
        assert!(tokio::time::timeout(Duration::from_millis(1), word).await.is_err());
        tokio::time::sleep(limits::WRITE_STALL).await;
        assert_eq!(poll_fn(|cx| outlet.poll_word(cx)).await, Word::Stalled);
        outlet.end(Word::Dropped);
        assert_eq!(poll_fn(|cx| outlet.poll_word(cx)).await, Word::Dropped);
    }

    #[tokio::test]
    async fn a_socket_that_is_gone_is_broken_and_takes_nothing_more() {
        let (near, far) = tokio::io::duplex(100);
        drop(far);
        let outlet = Outlet::new(Box::new(near), 1_000, None);
        outlet.push(text(10)).unwrap();
        outlet.flush();
        assert_eq!(poll_fn(|cx| outlet.poll_word(cx)).await, Word::Broken);
        assert!(outlet.push(text(1)).is_err());
        assert!(outlet.has_left());
    }

    /// A transport with a bug.
    struct Panics;

    impl AsyncRead for Panics {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Panics {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            panic!("a bug in a transport")
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_longer_of_two_pauses_holds_whichever_was_asked_for_first() {
        let (near, _far) = tokio::io::duplex(100);
        let outlet = Outlet::new(Box::new(near), 1_000, None);
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(5));
        for pauses in [[short, long], [long, short]] {
            pauses.iter().for_each(|p| outlet.pause(*p));
            assert_eq!(outlet.take_pause(), Some(Instant::now() + long), "{pauses:?}");
            assert_eq!(outlet.take_pause(), None, "it is asked for once");
        }
    }

    #[tokio::test]
    async fn frames_up_to_the_refused_size_are_read_and_not_one_byte_more() {
        use tokio::io::AsyncWriteExt;
        let size = 1_000;
        // The engine may have read the beginning of the next frame along with this one.
        let most = size * limits::REFUSED_FRAME + limits::WS_READ_BUFFER;
        for (bytes, fits) in [(most, true), (most + 1, false)] {
            let (near, mut far) = tokio::io::duplex(2 * most);
            let outlet = Outlet::new(Box::new(near), 1_000, None);
            outlet.take_frames_of(size);
            let place = crate::peers::Peers::new(1).own();
            let mut engine = Shared::new(outlet, place.partial());
            far.write_all(&vec![b'x'; bytes]).await.unwrap();
            let read = engine.read_exact(&mut vec![0; bytes]).await;
            assert_eq!((read.is_ok(), engine.is_too_large()), (fits, !fits));
        }
    }

    #[tokio::test]
    async fn so_many_frames_wait_and_not_one_more() {
        let (near, _far) = pair().await;
        let outlet = Outlet::new(Box::new(near), usize::MAX, None);
        assert!((0..limits::OUTPUTS).all(|_| outlet.push(text(1)).is_ok()));
        assert!(outlet.push(text(1)).is_err());
    }

    #[tokio::test]
    async fn what_waits_for_an_address_is_bounded_and_costs_who_goes_beyond_and_no_neighbour() {
        let backlog = Backlog::new(Arc::default());
        let new = |near: TcpStream| Outlet::new(Box::new(near), usize::MAX, Some(Arc::clone(&backlog)));
        let ((near, _deaf), (other, mut reads)) = (pair().await, pair().await);
        let (greedy, neighbour) = (new(near), new(other));
        let size = 64 * 1024;
        let mut taken = 0;
        while greedy.push(text(size)).is_ok() {
            greedy.flush();
            taken += size;
            assert!(taken < 2 * limits::ADDRESS_BACKLOG, "there is no end");
        }
        assert!(taken > limits::ADDRESS_BACKLOG / 100 * 98, "{taken}");
        assert!(neighbour.push(text(100)).unwrap());
        neighbour.flush();
        let mut got = [0; 102];
        reads.read_exact(&mut got).await.unwrap();
        drop(greedy);
        assert!(backlog.frame(&text(limits::ADDRESS_BACKLOG / 2)).is_ok(), "given back");
    }

    #[tokio::test]
    async fn a_transport_that_panics_costs_its_connection_and_not_the_server() {
        let outlet = Outlet::new(Box::new(Panics), 1_000, None);
        outlet.push(text(10)).unwrap();
        outlet.flush();
        assert_eq!(poll_fn(|cx| outlet.poll_word(cx)).await, Word::Broken);
        assert!(outlet.has_left());
    }
}
