//! The relay with real sockets on loopback: datagrams, streams, floods, bugs.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::entropy::SeededEntropy;
use peer::turn::{ALLOCATE, BIND, PERMIT, Reply, Signer, mask, message, read, transport};
use service::{Metrics, State};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::watch;

use super::*;
use crate::limits::{BATCH, DATAGRAM, LISTENERS, STREAM_IDLE};
use crate::thread::{SUCCESSOR, Thread};

/// A relay whose only bridge is a socket of the test.
struct World {
    handle: TurnHandle,
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
    bridge: UdpSocket,
}

fn config(bridge: SocketAddr) -> Config {
    Config {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        listen_now: Box::new(Vec::new),
        secret: Box::new(|| Secret::new(Sensitive::new("north".into()), &mut SeededEntropy::new(1))),
        peers: Box::new(move || Some(Peers::new(&[bridge], &[]))),
        allocations: 100,
        before: None,
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

impl World {
    fn new() -> Self {
        let bridge = socket();
        let at = bridge.local_addr().unwrap();
        Self::with(bridge, config(at))
    }

    fn with(bridge: UdpSocket, config: Config) -> Self {
        let (end, shutdown) = watch::channel(false);
        let (handle, task) = start(config, shutdown).unwrap();
        Self { handle, end, task, bridge }
    }

    fn bridge(&self) -> SocketAddr {
        self.bridge.local_addr().unwrap()
    }

    /// Waits until the metrics say so.
    async fn until(&self, line: &str) {
        let metrics = Metrics::new();
        let handle = self.handle.clone();
        metrics.add(move |out| handle.expose(out));
        let end = Instant::now() + Duration::from_secs(10);
        while !metrics.encode().contains(line) {
            assert!(Instant::now() < end, "no {line} in\n{}", metrics.encode());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ends(self) {
        self.end.send_replace(true);
        tokio::time::timeout(Duration::from_secs(5), self.task).await.expect("ends when told").unwrap();
    }
}

/// Credentials for an hour, and what is said with them.
struct Person {
    username: String,
    nonce: Vec<u8>,
    said: u8,
}

impl Person {
    fn new() -> Self {
        let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3_600;
        Self { username: format!("{hour}:a"), nonce: Vec::new(), said: 0 }
    }

    fn request(&mut self, method: u16, fill: impl Fn(&[u8; 12]) -> Vec<(u16, Vec<u8>)>) -> Vec<u8> {
        self.said += 1;
        let transaction = [self.said; 12];
        let password = password(b"north", &self.username);
        if self.nonce.is_empty() {
            return message(method, transaction, &fill(&transaction));
        }
        let signer = Signer { username: &self.username, password: &password, nonce: &self.nonce };
        signer.sign(method, transaction, &fill(&transaction))
    }

    /// Allocates, and binds channel 0x4000 to the bridge. `say` sends and receives.
    async fn arrive(&mut self, bridge: SocketAddr, mut say: impl AsyncFnMut(Vec<u8>) -> Reply) -> SocketAddr {
        let challenge = say(self.request(ALLOCATE, |_| vec![transport()])).await;
        assert_eq!(challenge.code, 401);
        self.nonce = challenge.attribute(0x15).unwrap().to_vec();
        let done = say(self.request(ALLOCATE, |_| vec![transport()])).await;
        assert_eq!(done.code, 0);
        let channel = vec![0x40, 0, 0, 0];
        let bind = self.request(BIND, |t| vec![(0x0c, channel.clone()), (0x12, mask(bridge, t))]);
        assert_eq!(say(bind).await.code, 0);
        assert_eq!(say(self.request(PERMIT, |t| vec![(0x12, mask(bridge, t))])).await.code, 0);
        done.address(0x16)
    }
}

fn over_udp(client: &UdpSocket, server: SocketAddr) -> impl AsyncFnMut(Vec<u8>) -> Reply {
    async move |m: Vec<u8>| {
        client.send_to(&m, server).unwrap();
        let mut answer = [0; 512];
        let (len, from) = client.recv_from(&mut answer).unwrap();
        assert_eq!(from, server);
        read(&answer[..len])
    }
}

async fn over_stream(stream: &mut DuplexStream, m: &[u8]) -> Reply {
    stream.write_all(m).await.unwrap();
    let mut answer = vec![0; 20];
    stream.read_exact(&mut answer).await.unwrap();
    answer.resize(20 + usize::from(u16::from_be_bytes([answer[2], answer[3]])), 0);
    stream.read_exact(&mut answer[20..]).await.unwrap();
    read(&answer)
}

/// A stream that the relay serves.
fn stream(w: &World) -> (DuplexStream, JoinHandle<()>) {
    let (theirs, ours) = duplex(64 * 1024);
    let (handle, end) = (w.handle.clone(), w.end.subscribe());
    let served = async move { handle.serve(ours, &[], "198.51.100.7:4000".parse().unwrap(), end).await };
    (theirs, tokio::spawn(served))
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_go_to_the_bridge_and_back_and_all_is_counted() {
    let w = World::new();
    assert!(matches!(w.handle.health(), State::Healthy));
    let (server, client) = (w.handle.addresses()[0], socket());
    let relay = Person::new().arrive(w.bridge(), over_udp(&client, server)).await;
    client.send_to(&[0x40, 0, 0, 3, 1, 2, 3], server).unwrap();
    let mut got = [0; 64];
    assert_eq!(w.bridge.recv_from(&mut got).unwrap(), (3, relay));
    // Who is not the bridge is not heard.
    socket().send_to(b"stranger", relay).unwrap();
    w.bridge.send_to(&[4, 5], relay).unwrap();
    assert_eq!(client.recv_from(&mut got).unwrap(), (6, server));
    assert_eq!(got[..6], [0x40, 0, 0, 2, 4, 5]);
    w.until("plausch_turn_events_total{event=\"stranger\"} 1").await;
    w.until("plausch_turn_bytes_total{direction=\"to_peer\"} 3").await;
    w.until("plausch_turn_relays 1").await;
    let handle = w.handle.clone();
    w.ends().await;
    assert!(matches!(handle.health(), State::Hard(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_carries_the_same_in_any_pieces_and_its_relay_ends_with_it() {
    let w = World::new();
    let (mut c, served) = stream(&w);
    let relay = Person::new().arrive(w.bridge(), async |m: Vec<u8>| over_stream(&mut c, &m).await).await;
    for piece in [1, 2, 5, 16] {
        let sent = [0x40, 0, 0, 3, 1, 2, 3, 0, 0x40, 0, 0, 4, 9, 9, 9, 9];
        for part in sent.chunks(piece) {
            c.write_all(part).await.unwrap();
            c.flush().await.unwrap();
        }
        let mut got = [0; 64];
        for len in [3, 4] {
            assert_eq!(w.bridge.recv_from(&mut got).unwrap(), (len, relay));
        }
    }
    w.bridge.send_to(&[4, 5], relay).unwrap();
    let mut got = [0; 8];
    c.read_exact(&mut got).await.unwrap();
    assert_eq!(got, [0x40, 0, 0, 2, 4, 5, 0, 0]);
    w.until("plausch_turn_streams 1").await;
    drop(c);
    served.await.unwrap();
    w.until("plausch_turn_events_total{event=\"released\"} 1").await;
    w.until("plausch_turn_relays 0").await;
    w.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_says_nonsense_ends_and_so_do_all_at_the_end() {
    let w = World::new();
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x40, 0, 0xff, 0xff]] {
        let (mut c, served) = stream(&w);
        c.write_all(nonsense).await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), served).await.expect("ends").unwrap();
    }
    let (_c, served) = stream(&w);
    w.ends().await;
    tokio::time::timeout(Duration::from_secs(5), served).await.expect("ends with the server").unwrap();
}

#[tokio::test]
async fn a_stream_without_a_relay_is_let_go_after_its_time_and_not_before() {
    let at = "127.0.0.1:9".parse().unwrap();
    let (mut thread, inbox) = Thread::new(config(at), Vec::new(), Arc::default()).unwrap();
    let (id, out, mut from) = inbox.outlet();
    inbox.push(In::Open { id, peer: at, out });
    for what in inbox.take() {
        thread.message(what);
    }
    let now = Instant::now();
    thread.look(now + STREAM_IDLE - Duration::from_secs(1));
    assert!(from.try_recv().is_err() && !from.is_closed());
    thread.look(now + STREAM_IDLE);
    assert_eq!(from.recv().await.map(|_| ()), None);
}

#[test]
fn one_socket_has_a_batch_and_then_it_is_the_next_one_s_turn() {
    let at = "127.0.0.1:9".parse().unwrap();
    let listener = thread::listener("127.0.0.1:0".parse().unwrap()).unwrap();
    let server = listener.local_addr().unwrap();
    let (mut thread, _inbox) = Thread::new(config(at), vec![listener], Arc::default()).unwrap();
    let client = socket();
    for _ in 0..=BATCH {
        client.send_to(b"flood", server).unwrap();
    }
    assert!(thread.receive(mio::Token(1)), "there is more");
    assert!(!thread.receive(mio::Token(1)), "the one beyond, and no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_beyond_the_largest_is_dropped_and_the_largest_is_not() {
    let w = World::new();
    let (server, client) = (w.handle.addresses()[0], socket());
    let relay = Person::new().arrive(w.bridge(), over_udp(&client, server)).await;
    for len in [DATAGRAM - 4, DATAGRAM - 3] {
        let mut m = vec![0x40, 0];
        m.extend(u16::try_from(len).unwrap().to_be_bytes());
        m.resize(4 + len, 7);
        client.send_to(&m, server).unwrap();
    }
    client.send_to(&[0x40, 0, 0, 1, 7], server).unwrap();
    let mut got = vec![0; 2 * DATAGRAM];
    assert_eq!(w.bridge.recv_from(&mut got).unwrap(), (DATAGRAM - 4, relay));
    assert_eq!(w.bridge.recv_from(&mut got).unwrap(), (1, relay));
    w.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bug_costs_the_relays_and_new_ones_are_made() {
    let bridge = socket();
    let at = bridge.local_addr().unwrap();
    let panics = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&panics);
    let peers = Box::new(move || {
        assert!(!now.swap(false, Ordering::Relaxed), "a bug, on purpose");
        Some(Peers::new(&[at], &[]))
    });
    let w = World::with(bridge, Config { peers, ..config(at) });
    let (server, client) = (w.handle.addresses()[0], socket());
    Person::new().arrive(w.bridge(), over_udp(&client, server)).await;
    let (_c, served) = stream(&w);
    panics.store(true, Ordering::Relaxed);
    w.until("plausch_turn_events_total{event=\"panics\"} 1").await;
    tokio::time::timeout(Duration::from_secs(5), served).await.expect("streams end").unwrap();
    Person::new().arrive(w.bridge(), over_udp(&client, server)).await;
    assert!(matches!(w.handle.health(), State::Healthy));
    w.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relays_follow_the_bridge_to_its_new_address() {
    let (bridge, other) = (socket(), socket());
    let at = bridge.local_addr().unwrap();
    let current = Arc::new(Mutex::new(at));
    let shared = Arc::clone(&current);
    let peers = Box::new(move || Some(Peers::new(&[*shared.lock().unwrap()], &[])));
    let w = World::with(bridge, Config { peers, ..config(at) });
    let (server, client) = (w.handle.addresses()[0], socket());
    let mut p = Person::new();
    p.arrive(w.bridge(), over_udp(&client, server)).await;
    let new = other.local_addr().unwrap();
    *current.lock().unwrap() = new;
    let end = Instant::now() + Duration::from_secs(10);
    let mut say = over_udp(&client, server);
    loop {
        let channel = vec![0x40, 1, 0, 0];
        let bind = p.request(BIND, |t| vec![(0x0c, channel.clone()), (0x12, mask(new, t))]);
        if say(bind).await.code == 0 {
            break;
        }
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    client.send_to(&[0x40, 1, 0, 1, 7], server).unwrap();
    assert_eq!(other.recv_from(&mut [0; 8]).unwrap().0, 1);
    w.ends().await;
}

/// Loopback is a whole network: a machine that gets and loses addresses.
#[test]
fn new_addresses_of_the_machine_are_listened_on_up_to_a_bound_and_old_ones_no_longer() {
    let bridge = "127.0.0.1:9".parse().unwrap();
    let on = |n: usize| SocketAddr::from(([127, 0, 1, u8::try_from(n).unwrap()], 34_780));
    let machine: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
    let told = Arc::clone(&machine);
    let config = Config { listen_now: Box::new(move || told.lock().unwrap().clone()), ..config(bridge) };
    let first = thread::listener(on(0)).unwrap();
    let (mut thread, _inbox) = Thread::new(config, vec![first], Arc::default()).unwrap();
    let answered = |thread: &mut Thread, at: SocketAddr| {
        let client = socket();
        client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        client.send_to(&message(1, [3; 12], &[]), at).unwrap();
        for token in 1..=LISTENERS + 1 {
            thread.receive(mio::Token(token));
        }
        client.recv(&mut [0; 100]).is_ok()
    };
    let now_has = |thread: &mut Thread, all: Vec<usize>| {
        *machine.lock().unwrap() = all.into_iter().map(on).collect();
        thread.look(Instant::now());
    };
    assert!(answered(&mut thread, on(0)) && !answered(&mut thread, on(1)));
    now_has(&mut thread, vec![0, 1]);
    assert!(answered(&mut thread, on(0)) && answered(&mut thread, on(1)));
    now_has(&mut thread, vec![1, 2]);
    assert!(!answered(&mut thread, on(0)) && answered(&mut thread, on(1)) && answered(&mut thread, on(2)));
    now_has(&mut thread, (1..=LISTENERS + 1).collect());
    assert!(answered(&mut thread, on(LISTENERS)), "at the limit");
    assert!(!answered(&mut thread, on(LISTENERS + 1)), "one beyond");
    now_has(&mut thread, Vec::new());
    assert!(answered(&mut thread, on(1)), "the system says nothing at the moment");
}

#[tokio::test]
async fn a_taken_port_is_one_line_that_names_the_option() {
    let taken = socket();
    let at = taken.local_addr().unwrap();
    let (_end, shutdown) = watch::channel(false);
    let e = start(Config { listen: vec![at], ..config(at) }, shutdown).unwrap_err().to_string();
    assert!(e.contains("turn.listen") && e.contains(&at.to_string()), "{e}");
}

/// Two processes with one socket: who has a relay in the old one is its, whoever begins is the new one's.
#[test]
fn what_clients_of_the_process_before_say_goes_back_to_it_and_it_answers_itself() {
    const FIRST: mio::Token = mio::Token(1);
    let bridge = "127.0.0.1:9".parse().unwrap();
    let shared = UdpSocket::bind("127.0.0.1:0").unwrap();
    shared.set_nonblocking(true).unwrap();
    let at = shared.local_addr().unwrap();
    let listener = || vec![mio::net::UdpSocket::from_std(shared.try_clone().unwrap())];
    let (mut old, _inbox) = Thread::new(config(bridge), listener(), Arc::default()).unwrap();
    let (from_new, to_old) = service::line::pair().unwrap();
    let before = Some(to_old);
    let (mut new, _inbox) =
        Thread::new(Config { before, ..config(bridge) }, listener(), Arc::default()).unwrap();
    old.message(In::Successor(from_new));
    old.message(In::Rest(true));
    let client = socket();
    client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let heard = |client: &UdpSocket| client.recv(&mut [0; 500]).is_ok();

    client.send_to(&message(1, [3; 12], &[]), at).unwrap();
    assert!(!old.receive(FIRST), "it rests");
    new.receive(FIRST);
    assert!(heard(&client), "who begins is answered by the new one");
    old.receive(SUCCESSOR);
    assert!(!heard(&client), "and by nobody else");
    // A refresh of a relay that the new one does not have.
    client.send_to(&message(4, [4; 12], &[]), at).unwrap();
    new.receive(FIRST);
    assert!(!heard(&client));
    old.receive(SUCCESSOR);
    assert!(heard(&client), "the old one answers");
    // The new one is gone.
    drop(new);
    old.receive(SUCCESSOR);
    old.message(In::Rest(false));
    client.send_to(&message(1, [5; 12], &[]), at).unwrap();
    old.receive(FIRST);
    assert!(heard(&client));
}
