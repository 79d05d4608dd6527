//! A number of connections and a stanza's size in; CPU time per delivery of the least a meeting server has to do to
//! tell everybody, out.
//!
//! One thread, alone on its core, writes a stanza to every connection, round after round: a WebSocket header, the
//! shared head, the receiver's own address and the shared tail, in one `writev`; or several stanzas, or a TLS record,
//! copied together and sent. A second thread reads everything and looks at samples. Included: loopback's receive path
//! and waking the reader, as for every server measured on loopback. Not included: parsing, permessage-deflate,
//! deciding who gets what.
//!
//! The writer stays a bounded number of rounds ahead of the reader, and waits for a connection that is full anyway. Who reads is
//! never woken while there is always more; one round at a time it is, which is a part of what a write costs.

mod seal;

use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use serde_json::{Value, json};

use self::seal::{Encrypt, RECORD, Seal, Seals};
use crate::thread::{self, Measured, Meter, Window};

/// What to tell how many.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Open connections, each of which gets every stanza.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=5000))]
    connections: u16,
    /// Bytes of the stanza.
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u16).range(256..=16384))]
    size: u16,
    /// Stanzas that a connection gets in one write.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    gathered: u16,
    /// Rounds that the writer may be ahead of the reader; 0: the next one begins when everybody has got the last, as when one change
    /// at a time is made.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(0..=16))]
    ahead: u16,
    /// Each write as one TLS record: with AES alone, or as the library does it.
    #[arg(long, value_enum, default_value = "none")]
    encrypt: Encrypt,
    /// How long to measure, after a warm-up of a tenth of it.
    #[arg(long, default_value = "5", value_parser = crate::seconds)]
    seconds: Duration,
    /// Core of the writer.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Core of the reader.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
}

/// Runs both threads and returns the report.
pub(crate) fn run(arguments: &Arguments) -> Result<Value> {
    let load = Load::new(arguments)?;
    let (writers, readers) = connect(arguments.connections)?;
    let window = Window::starting_now(arguments.seconds);
    let shared = Shared { read: AtomicU64::new(0), written: AtomicU64::new(0), stop: AtomicBool::new(false) };
    // Whichever thread ends first, also by an error, ends the other.
    let (written, read) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let done = read(readers, &load, window, arguments.load_core, &shared);
            shared.stop.store(true, Ordering::Relaxed);
            done
        });
        let written = write(&writers, &load, window, arguments.core, &shared);
        shared.stop.store(true, Ordering::Relaxed);
        (written, reader.join())
    });
    let Ok(read) = read else { bail!("the reader broke down") };
    let (written, read) = thread::both(written, read)?;
    let (all, got) = (shared.written.into_inner(), shared.read.into_inner());
    ensure!(all == got, "{all} bytes were written, {got} came");
    let meter = &written.measured;
    let deliveries = meter.last.deliveries - meter.first.deliveries;
    ensure!(deliveries > 0 && read.verified > 0, thread::NOTHING);
    let idle = (meter.last.waiting - meter.first.waiting).as_secs_f64() / meter.wall.as_secs_f64();
    Ok(json!({
        "scenario": "broadcast",
        "seconds": meter.wall.as_secs_f64(),
        "connections": arguments.connections,
        "size": arguments.size,
        "gathered": arguments.gathered,
        "ahead": arguments.ahead,
        "encrypt": format!("{:?}", arguments.encrypt).to_lowercase(),
        "cpu_ns_per_delivery": (meter.cpu.as_nanos() as f64 / deliveries as f64).round(),
        "deliveries": deliveries,
        "deliveries_per_second": (deliveries as f64 / meter.wall.as_secs_f64()).round(),
        "verified_deliveries": read.verified,
        "full_connections": meter.last.full - meter.first.full,
        "idle_share": idle,
        "server_cpu_seconds": meter.cpu.as_secs_f64(),
        "generator_cpu_seconds": read.cpu.as_secs_f64(),
        "generator_limited": idle > 0.1 && arguments.ahead > 0,
        "pinned": written.pinned && read.pinned,
        "server_rss_before_bytes": null,
        "server_rss_bytes": null,
    }))
}

/// What both threads look at.
struct Shared {
    /// Bytes so far.
    read: AtomicU64,
    written: AtomicU64,
    stop: AtomicBool,
}

/// One WebSocket message with a presence of the size asked for.
struct Frame {
    /// Unmasked text, 16-bit length (RFC 6455 §5.2).
    header: [u8; 4],
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Frame {
    fn new(size: usize) -> Self {
        let [high, low] = (size as u16).to_be_bytes();
        let head = b"<presence xmlns='jabber:client' from='room@conference.example/0badcafe' to='".to_vec();
        let mut tail = b"@example/web'><nick>".to_vec();
        let end = b"</nick></presence>";
        tail.resize(size.saturating_sub(head.len() + ADDRESS + end.len()), b'n');
        tail.extend(end);
        Self { header: [0x81, 126, high, low], head, tail }
    }

    fn len(&self) -> usize {
        self.header.len() + self.head.len() + ADDRESS + self.tail.len()
    }

    /// Whether all of it is right for this connection.
    fn matches(&self, bytes: &[u8], connection: usize) -> bool {
        let rest = bytes.strip_prefix(&self.header).and_then(|rest| rest.strip_prefix(&self.head[..]));
        rest.and_then(|rest| rest.strip_prefix(&address(connection))) == Some(&self.tail)
    }
}

/// What one connection gets in one write.
struct Load {
    frame: Frame,
    gathered: usize,
    /// Rounds.
    ahead: u64,
    encrypt: Encrypt,
}

impl Load {
    fn new(arguments: &Arguments) -> Result<Self> {
        let (frame, gathered) = (Frame::new(arguments.size.into()), usize::from(arguments.gathered));
        // 16 × 1.5 kB are far from filling a connection, and enough for the reader never to be waited for.
        let ahead = match arguments.ahead {
            0 => 0,
            rounds => (u64::from(rounds) / gathered as u64).max(2),
        };
        let load = Self { frame, gathered, ahead, encrypt: arguments.encrypt };
        let alone = gathered == 1 && arguments.encrypt == Encrypt::None;
        ensure!(alone || load.content() <= MOST_TOGETHER, "more than a record takes ({MOST_TOGETHER} bytes)");
        Ok(load)
    }

    fn content(&self) -> usize {
        self.frame.len() * self.gathered
    }

    /// Bytes of a write.
    fn len(&self) -> usize {
        self.content() + if self.encrypt == Encrypt::None { 0 } else { RECORD }
    }

    /// Whether one write's bytes are right for this connection, as far as can be seen.
    fn matches(&self, bytes: &[u8], connection: usize) -> bool {
        match self.encrypt {
            Encrypt::None => bytes.chunks(self.frame.len()).all(|f| self.frame.matches(f, connection)),
            Encrypt::Aes | Encrypt::Rustls => bytes.starts_with(&seal::head(self.content())),
        }
    }
}

/// All of one length.
fn address(connection: usize) -> [u8; ADDRESS] {
    let mut text = *b"user-00000";
    text.iter_mut()
        .rev()
        .zip([1, 10, 100, 1000, 10_000])
        .for_each(|(d, unit)| *d += (connection / unit % 10) as u8);
    text
}

/// The server's ends, which never block, and the clients'.
fn connect(count: u16) -> Result<(Vec<TcpStream>, Vec<TcpStream>)> {
    thread::allow_files(usize::from(count) * 2 + 64)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no TCP port on loopback")?;
    let (mut servers, mut clients) = (Vec::new(), Vec::new());
    while servers.len() < usize::from(count) {
        let client = TcpStream::connect(listener.local_addr()?).context("connecting on loopback")?;
        let (server, peer) = listener.accept()?;
        ensure!(peer == client.local_addr()?, "somebody else connected to our port");
        for end in [&client, &server] {
            end.set_nodelay(true)?;
            end.set_nonblocking(true)?;
        }
        servers.push(server);
        clients.push(client);
    }
    Ok((servers, clients))
}

struct Written {
    measured: Measured<Counters>,
    pinned: bool,
}

/// Sums since the start.
#[derive(Clone, Copy, Default)]
struct Counters {
    deliveries: u64,
    /// How often a connection took only a part.
    full: u64,
    /// For the reader.
    waiting: Duration,
}

/// The measured thread: round after round to the end of the window.
fn write(
    connections: &[TcpStream],
    load: &Load,
    window: Window,
    core: usize,
    shared: &Shared,
) -> Result<Written> {
    let pinned = thread::pin(core, "the writer");
    let seals = Seals::new(load.encrypt)?;
    let mut peers = Vec::new();
    for number in 0..connections.len() {
        peers.push((address(number), seals.next()?));
    }
    let frame = &load.frame;
    let round = (load.len() * connections.len()) as u64;
    let ahead = load.ahead * round;
    let (mut joined, mut out) = (Vec::new(), Vec::new());
    let mut meter = Meter::new(window);
    let mut counters = Counters::default();
    let mut written = 0;
    loop {
        let now = Instant::now();
        meter.observe(now, counters);
        if now >= window.end || shared.stop.load(Ordering::Relaxed) {
            break;
        }
        if written > shared.read.load(Ordering::Relaxed) + ahead {
            std::thread::sleep(NAP);
            counters.waiting += now.elapsed();
            continue;
        }
        for (connection, (to, seal)) in connections.iter().zip(&mut peers) {
            let parts = [&frame.header[..], &frame.head, to, &frame.tail];
            let mut stream = connection;
            let alone = load.gathered == 1 && matches!(seal, Seal::None);
            let done = if alone {
                stream.write_vectored(&parts.map(IoSlice::new))
            } else {
                let pieces = parts.into_iter().cycle().take(parts.len() * load.gathered);
                seal.seal(pieces, &mut joined, &mut out)?;
                stream.write(&out)
            };
            let done = match done {
                Ok(done) => done,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error).context("writing"),
            };
            if done < load.len() {
                counters.full += 1;
                let whole = if alone { &parts.concat() } else { &out };
                write_rest(stream, &whole[done..], window)?;
            }
            counters.deliveries += load.gathered as u64;
        }
        written += round;
        shared.written.store(written, Ordering::Relaxed);
    }
    let measured = meter.measured()?;
    Ok(Written { measured, pinned })
}

/// Waits for a full connection, but not longer than the run.
fn write_rest(mut stream: &TcpStream, mut rest: &[u8], window: Window) -> Result<()> {
    while !rest.is_empty() {
        let mut sockets = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut sockets, PollTimeout::from(100u8)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        match stream.write(rest) {
            Ok(done) => rest = &rest[done..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                ensure!(Instant::now() < window.end + LAST_BYTES, "a connection stays full");
            }
            Err(error) => return Err(error).context("writing"),
        }
    }
    Ok(())
}

struct Done {
    verified: u64,
    cpu: Duration,
    pinned: bool,
}

/// Reads everything until all that was written has come.
fn read(
    mut streams: Vec<TcpStream>,
    load: &Load,
    window: Window,
    core: usize,
    shared: &Shared,
) -> Result<Done> {
    let pinned = thread::pin(core, "the reader");
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (number, stream) in streams.iter().enumerate() {
        epoll.add(stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
    }
    let mut events = vec![EpollEvent::empty(); 256];
    let mut buffer = vec![0; 64 * 1024];
    // Bytes so far, by connection.
    let mut offsets = vec![0; streams.len()];
    let mut meter = Meter::new(window);
    let (mut total, mut verified) = (0, 0);
    loop {
        let now = Instant::now();
        meter.observe(now, ());
        let complete = shared.stop.load(Ordering::Relaxed) && total >= shared.written.load(Ordering::Relaxed);
        if complete || now > window.end + LAST_BYTES {
            break;
        }
        // It never sleeps, as the load generator does not: waking it would cost the writer an interrupt of the other core.
        let count = match epoll.wait(&mut events, EpollTimeout::ZERO) {
            Ok(0) => {
                (0..PAUSES).for_each(|_| std::hint::spin_loop());
                continue;
            }
            Ok(count) => count,
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..count] {
            let number = event.data() as usize;
            let got = match streams[number].read(&mut buffer) {
                Ok(0) => bail!("a connection was closed"),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error).context("reading"),
            };
            // The first write that is completely in what came.
            let start = (load.len() - offsets[number] % load.len()) % load.len();
            if let Some(whole) = buffer[..got].get(start..start + load.len()) {
                ensure!(load.matches(whole, number), "connection {number} got a wrong message");
                verified += 1;
            }
            offsets[number] += got;
            total += got as u64;
        }
        shared.read.store(total, Ordering::Relaxed);
    }
    let measured = meter.measured()?;
    Ok(Done { verified, cpu: measured.cpu, pinned })
}

/// Of the reader, between two looks.
const PAUSES: u32 = 16;
/// What a record of TLS takes (RFC 8446 §5.1).
const MOST_TOGETHER: usize = 1 << 14;
/// Bytes of what differs from receiver to receiver.
const ADDRESS: usize = 10;
const NAP: Duration = Duration::from_micros(50);
const LAST_BYTES: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(size: u16, gathered: u16, encrypt: Encrypt) -> Arguments {
        let seconds = Duration::from_millis(300);
        Arguments { connections: 20, size, gathered, ahead: 16, encrypt, seconds, core: 0, load_core: 1 }
    }

    #[test]
    fn every_connection_gets_its_own_stanza_of_the_right_size() {
        assert_eq!(&address(4321), b"user-04321");
        for (size, gathered, encrypt) in [
            (256, 1, Encrypt::None),
            (16384, 1, Encrypt::None),
            (600, 4, Encrypt::None),
            (600, 1, Encrypt::Aes),
            (600, 8, Encrypt::Rustls),
        ] {
            // The reader compares samples byte by byte; the large size fills the connections now and then.
            let arguments = arguments(size, gathered, encrypt);
            let report = thread::in_turn(|| run(&arguments));
            assert_eq!(Frame::new(size.into()).len(), usize::from(size) + 4);
            assert!(report["deliveries"].as_u64().unwrap() >= 20, "{report}");
            assert!(report["cpu_ns_per_delivery"].as_f64().unwrap() > 100.0, "{report}");
        }
    }

    #[test]
    fn one_round_at_a_time_is_read_before_the_next_is_written() {
        let arguments = Arguments { ahead: 0, ..arguments(600, 1, Encrypt::None) };
        let report = thread::in_turn(|| run(&arguments));
        // The reader is waited for.
        assert!(
            report["idle_share"].as_f64().unwrap() > 0.0 && report["deliveries"].as_u64().unwrap() >= 20,
            "{report}"
        );
    }

    #[test]
    fn what_does_not_fit_into_a_record_is_not_gathered() {
        let most = (MOST_TOGETHER / 2 - 4) as u16;
        assert!(Load::new(&arguments(most, 2, Encrypt::Aes)).is_ok());
        assert!(Load::new(&arguments(most + 1, 2, Encrypt::Aes)).is_err());
        assert!(Load::new(&arguments(most + 1, 2, Encrypt::None)).is_err());
    }

    #[test]
    fn a_connection_that_nobody_reads_ends_the_run_with_an_error() {
        let (servers, _clients) = connect(1).unwrap();
        let window = Window::starting_now(Duration::from_millis(100));
        let endless = vec![0; 64 << 20];
        let error = write_rest(&servers[0], &endless, window).unwrap_err();
        assert_eq!(error.to_string(), "a connection stays full");
    }
}
