//! Connections that carry media (RFC 6544, passive): accepted sockets in; their packets, without the lengths before them (RFC 4571),
//! to the media threads, and what those have to send back out.
//!
//! A connection is served by a task of its own, and belongs to the thread that its first packet names. What waits in either direction
//! is bounded for each: who reads or sends too slowly, or too much, loses packets of its own.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use budget::{Network, Shares};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use videobridge_core::{limits::MAX_DATAGRAM, shard_of_request};

use crate::limits;
use crate::shards::ThreadCounters;

/// Names a connection as long as it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stream {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// What connections tell a media thread.
#[derive(Debug)]
pub(crate) enum FromStream {
    /// It begins, and what is sent to it goes there: packets with their lengths. It ends when that is dropped.
    Opened(Stream, mpsc::Sender<Vec<u8>>),
    Packet(Stream, Vec<u8>),
    Closed(Stream),
}

/// How connections reach a media thread.
#[derive(Debug, Clone)]
pub(crate) struct StreamPort {
    to: mpsc::Sender<FromStream>,
    waker: Arc<mio::Waker>,
}

/// All listening sockets and their connections.
#[derive(Debug)]
pub(crate) struct Streams {
    ports: Vec<StreamPort>,
    places: Mutex<Shares<Network>>,
    listening: Mutex<HashMap<SocketAddr, AbortHandle>>,
    counters: Arc<ThreadCounters>,
    until: watch::Receiver<bool>,
}

/// Its place among all connections.
struct Place(Arc<Streams>, Network);

impl StreamPort {
    /// A way to a media thread, and the thread's end of it.
    pub(crate) fn open(waker: Arc<mio::Waker>) -> (Self, mpsc::Receiver<FromStream>) {
        let (to, from) = mpsc::channel(limits::FROM_STREAMS);
        (Self { to, waker }, from)
    }

    /// Waits for room; `false` when the thread is gone.
    async fn send(&self, what: FromStream) -> bool {
        self.to.send(what).await.is_ok() && self.waker.wake().is_ok()
    }
}

/// Listens; connections inherit the small buffer, as what waits in it is late.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = match service::sockets::tcp(address) {
        Some(left) => left.set_nonblocking(true).and_then(|()| TcpListener::from_std(left))?,
        None => bind_anew(address)?,
    };
    service::sockets::keep(&listener);
    Ok(listener)
}

fn bind_anew(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(limits::STREAM_BUFFER)?;
    socket.bind(address)?;
    socket.listen(limits::STREAM_BACKLOG)
}

impl Streams {
    /// Connections to these threads, until `until` becomes true.
    pub(crate) fn new(
        ports: Vec<StreamPort>,
        counters: Arc<ThreadCounters>,
        until: watch::Receiver<bool>,
    ) -> Arc<Self> {
        let places = Shares::new(limits::STREAMS_PER_NETWORK, limits::STREAMS);
        Arc::new(Self { ports, places: Mutex::new(places), listening: Mutex::default(), counters, until })
    }

    /// Takes connections from now on.
    pub(crate) fn serve(self: &Arc<Self>, listener: TcpListener) {
        let Ok(address) = listener.local_addr() else { return };
        let accepts = tokio::spawn(Arc::clone(self).accept(listener, address));
        if let Some(old) = self.listening().insert(address, accepts.abort_handle()) {
            old.abort();
        }
    }

    /// No more connections there; those that are open stay.
    pub(crate) fn close(&self, address: IpAddr) {
        self.listening().retain(|at, accepts| {
            let stays = at.ip() != address;
            if !stays {
                service::sockets::forget(true, *at);
                accepts.abort();
            }
            stays
        });
    }

    /// Whether connections are taken there.
    pub(crate) fn listens_at(&self, address: SocketAddr) -> bool {
        self.listening().contains_key(&address)
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, local: SocketAddr) {
        let mut until = self.until.clone();
        loop {
            let accepted = tokio::select! {
                accepted = service::sockets::accept(&listener) => accepted,
                _ = until.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((socket, remote)) => match Place::take(&self, remote) {
                    Some(place) => {
                        self.counters.add_stream_accepted();
                        tokio::spawn(async move { serve(place, socket, Stream { remote, local }).await });
                    }
                    None => self.counters.add_stream_refused(),
                },
                // Too many files, or a connection that ended before it began.
                Err(error) => {
                    tracing::debug!(kind = ?error.kind(), "a connection for media could not be taken");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    fn listening(&self) -> MutexGuard<'_, HashMap<SocketAddr, AbortHandle>> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> MutexGuard<'_, Shares<Network>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn take(streams: &Arc<Streams>, remote: SocketAddr) -> Option<Self> {
        let network = Network::of(remote.ip());
        streams.places().take(network, 1).ok()?;
        Some(Self(Arc::clone(streams), network))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places().give_back(&self.1, 1);
    }
}

/// One connection, from its first packet to its end.
async fn serve(place: Place, mut socket: TcpStream, stream: Stream) {
    let _ = socket.set_nodelay(true);
    let (mut reads, mut writes) = socket.split();
    let mut packets = Packets::default();
    let first = timeout(limits::STREAM_FIRST, packets.next(&mut reads)).await;
    // Who knows no user name of ours gets no further.
    let (Ok(Ok(Some(first))), streams) = (first, &place.0) else {
        return place.0.counters.add_stream_broken();
    };
    let port = shard_of_request(&first).and_then(|shard| streams.ports.get(usize::from(shard)));
    let Some(port) = port else { return streams.counters.add_stream_broken() };
    let (out, from) = mpsc::channel(limits::STREAM_OUT);
    if !port.send(FromStream::Opened(stream, out)).await {
        return;
    }
    let ended = tokio::select! {
        ended = incoming(port, stream, first, &mut packets, &mut reads) => ended,
        ended = outgoing(from, &mut writes) => ended,
    };
    if ended.is_err() {
        streams.counters.add_stream_broken();
    }
    port.send(FromStream::Closed(stream)).await;
}

/// Ends with the connection. While there is no room nothing is read, so that the peer's own system slows it down.
async fn incoming(
    port: &StreamPort,
    stream: Stream,
    first: Vec<u8>,
    packets: &mut Packets,
    reads: &mut (impl AsyncRead + Unpin),
) -> io::Result<()> {
    let mut packet = first;
    while port.send(FromStream::Packet(stream, packet)).await {
        match timeout(limits::STREAM_IDLE, packets.next(reads)).await {
            Ok(Ok(Some(next))) => packet = next,
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(e)) => return Err(e),
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    Ok(())
}

/// Ends when the thread lets go of the connection, or the peer does not read.
async fn outgoing(
    mut from: mpsc::Receiver<Vec<u8>>,
    writes: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    while let Some(mut together) = from.recv().await {
        while together.len() < limits::STREAM_WRITE
            && let Ok(packet) = from.try_recv()
        {
            together.extend_from_slice(&packet);
        }
        match timeout(limits::STREAM_STUCK, writes.write_all(&together)).await {
            Ok(done) => done?,
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
    Ok(())
}

/// Bytes of a connection in, packets out (RFC 4571 §2).
#[derive(Debug, Default)]
struct Packets {
    waiting: Vec<u8>,
    /// So many of them were packets already.
    done: usize,
}

impl Packets {
    /// The next one; `None` at the end. Cancel-safe.
    async fn next(&mut self, from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(packet) = self.take()? {
                return Ok(Some(packet));
            }
            self.waiting.drain(..self.done);
            self.done = 0;
            // What is whole has been taken, so no more than one packet waits.
            if from.read_buf(&mut self.waiting).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Vec<u8>>> {
        let rest = self.waiting.get(self.done..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes(*length));
        // Where the next one begins nobody knows then.
        if length == 0 || length > MAX_DATAGRAM {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let Some(packet) = rest.get(..length) else { return Ok(None) };
        let packet = packet.to_vec();
        self.done += 2 + length;
        Ok(Some(packet))
    }
}

/// How soon it is tried again to take a connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(packet: &[u8]) -> Vec<u8> {
        [&u16::try_from(packet.len()).unwrap().to_be_bytes()[..], packet].concat()
    }

    #[tokio::test]
    async fn packets_are_found_however_they_are_cut() {
        let bytes = [framed(&[1; 20]), framed(&[2; MAX_DATAGRAM]), framed(&[3])].concat();
        for cut in [1, 2, 3, 7, 1000, bytes.len()] {
            let (mut to, mut from) = tokio::io::duplex(64 * 1024);
            let bytes = bytes.clone();
            tokio::spawn(async move {
                for piece in bytes.chunks(cut) {
                    to.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
            });
            let mut packets = Packets::default();
            let mut found = Vec::new();
            while let Some(packet) = packets.next(&mut from).await.unwrap() {
                found.push((packet[0], packet.len()));
            }
            assert_eq!(found, [(1, 20), (2, MAX_DATAGRAM), (3, 1)], "{cut}");
        }
    }

    fn waker() -> Arc<mio::Waker> {
        let poll = mio::Poll::new().unwrap();
        // The poll may go: nobody waits for it here.
        Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap())
    }

    const STREAM: Stream = Stream {
        remote: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1000),
        local: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10_000),
    };

    /// Whether it is not over `moment` before `limit`, and is over `moment` after, and how.
    async fn ends_at(limit: Duration, ends: impl Future<Output = io::Result<()>>) {
        let moment = Duration::from_millis(10);
        let mut ends = std::pin::pin!(ends);
        assert!(timeout(limit - moment, &mut ends).await.is_err(), "too early");
        let ended = timeout(2 * moment, ends).await.expect("in time");
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_or_does_not_read_for_so_long_is_gone() {
        let (port, _from) = StreamPort::open(waker());
        let (_to, mut reads) = tokio::io::duplex(64);
        let mut packets = Packets::default();
        ends_at(limits::STREAM_IDLE, incoming(&port, STREAM, vec![1], &mut packets, &mut reads)).await;
        let (mut writes, _unread) = tokio::io::duplex(64);
        let (out, from) = mpsc::channel(limits::STREAM_OUT);
        out.try_send(vec![7; 100]).unwrap();
        ends_at(limits::STREAM_STUCK, outgoing(from, &mut writes)).await;
    }

    #[tokio::test]
    async fn a_write_has_so_much_and_no_packet_more() {
        for (first, together) in [(limits::STREAM_WRITE - 1, true), (limits::STREAM_WRITE, false)] {
            let (mut writes, mut reads) = tokio::io::duplex(4 * limits::STREAM_WRITE);
            let (out, from) = mpsc::channel(limits::STREAM_OUT);
            out.try_send(vec![1; first]).unwrap();
            out.try_send(vec![2; 10]).unwrap();
            drop(out);
            let mut written = Vec::new();
            outgoing(from, &mut Watched(&mut writes, &mut written)).await.unwrap();
            assert_eq!(written.len() == 1, together, "{written:?}");
            assert_eq!(written.iter().sum::<usize>(), first + 10);
            let mut all = vec![0; first + 10];
            reads.read_exact(&mut all).await.unwrap();
        }
    }

    /// Notes the length of each write.
    struct Watched<'a, W>(&'a mut W, &'a mut Vec<usize>);

    impl<W: AsyncWrite + Unpin> AsyncWrite for Watched<'_, W> {
        fn poll_write(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            buf: &[u8],
        ) -> std::task::Poll<io::Result<usize>> {
            self.1.push(buf.len());
            std::pin::Pin::new(&mut *self.0).poll_write(cx, buf)
        }

        fn poll_flush(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::pin::Pin::new(&mut *self.0).poll_flush(cx)
        }

        fn poll_shutdown(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            std::pin::Pin::new(&mut *self.0).poll_shutdown(cx)
        }
    }

    #[tokio::test]
    async fn packets_wait_for_room_with_their_thread() {
        let (port, mut from) = StreamPort::open(waker());
        for _ in 0..limits::FROM_STREAMS {
            assert!(port.send(FromStream::Packet(STREAM, vec![1])).await, "at the limit");
        }
        let mut beyond = std::pin::pin!(port.send(FromStream::Packet(STREAM, vec![2])));
        assert!(timeout(Duration::from_millis(20), &mut beyond).await.is_err(), "one beyond waits");
        from.recv().await.unwrap();
        assert!(beyond.await);
    }

    #[tokio::test]
    async fn connections_of_all_networks_have_a_limit() {
        let (_stop, until) = watch::channel(false);
        let streams = Streams::new(Vec::new(), Arc::default(), until);
        let remote = |n: usize| SocketAddr::from(([198, 18, (n / 256) as u8, (n % 256) as u8], 1000));
        let mut places: Vec<_> = (0..limits::STREAMS).map(|n| Place::take(&streams, remote(n))).collect();
        assert!(places.iter().all(Option::is_some), "at the limit");
        assert!(Place::take(&streams, remote(limits::STREAMS)).is_none(), "one beyond");
        places.pop();
        assert!(Place::take(&streams, remote(limits::STREAMS)).is_some(), "a place that is given back");
    }

    #[tokio::test]
    async fn a_length_of_nothing_or_one_beyond_the_largest_ends_the_connection() {
        for (length, fine) in [(0, false), (MAX_DATAGRAM, true), (MAX_DATAGRAM + 1, false)] {
            let bytes = framed(&vec![7; length]);
            assert_eq!(Packets::default().next(&mut &bytes[..]).await.is_ok(), fine, "{length}");
        }
    }
}
