//! One thread that does not run: what it takes in a turn, and what waits for the next one.

use service::SystemEntropy;
use videobridge_core::{Certificate, LocalAddress, ShardConfig};

use super::*;

/// Sends nothing.
struct Nowhere;

impl DatagramSink for Nowhere {
    fn send(&mut self, _: SocketAddr, _: SocketAddr, _: usize, _: &mut dyn FnMut(&mut [u8]) -> usize) {}
}

/// A thread that does not run, with what leads to it.
struct Still {
    thread: MediaThread,
    /// To this thread, from another one.
    peer: Peer,
    orders: std::sync::mpsc::SyncSender<Order>,
    clients: mpsc::Sender<Command>,
    streams: mpsc::Sender<FromStream>,
    events: mpsc::Receiver<(usize, Event)>,
}

fn still(orders: usize, events: usize) -> Still {
    let local = "127.0.0.1:10000".parse().unwrap();
    let config = ShardConfig::new(vec![LocalAddress::new(local)], Certificate::generate().unwrap());
    let poll = mio::Poll::new().unwrap();
    let waker = Arc::new(mio::Waker::new(poll.registry(), WAKE).unwrap());
    let (peer, from_peers) = Peer::new(Arc::clone(&waker));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (port, ..) = crate::control::ShardPort::open(Arc::clone(&waker));
    let services = Services::new(runtime.handle().clone(), port, Arc::default());
    let (other, _) = Peer::new(waker);
    let (orders_tx, orders) = std::sync::mpsc::sync_channel(orders);
    let (clients_tx, clients) = mpsc::channel(2 * COMMANDS_PER_TURN);
    let (streams_tx, streams) = mpsc::channel(2 * STREAM_MESSAGES_PER_TURN);
    let (events_tx, events_rx) = mpsc::channel(events);
    let parts = Parts {
        index: 0,
        shard: Shard::new(config, Box::new(SystemEntropy)).unwrap(),
        poll,
        orders,
        clients,
        streams,
        events: events_tx,
        web_sockets: Arc::default(),
        services,
        peers: vec![peer.clone(), other],
        from_peers,
        loads: Loads::new(1),
        before: None,
        stop: Arc::default(),
        counters: Arc::default(),
        relay_sockets: None,
    };
    let options = SocketOptions::default();
    let (socket, _) = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let thread = MediaThread::new(parts, vec![socket]).unwrap();
    Still { peer, thread, orders: orders_tx, clients: clients_tx, streams: streams_tx, events: events_rx }
}

/// Answered with one event.
fn question(n: u64) -> Command {
    Command::Stats { request: videobridge_core::RequestId(n) }
}

#[test]
fn commands_of_one_turn_have_a_limit_and_the_rest_waits_for_the_next() {
    let mut still = still(2 * COMMANDS_PER_TURN, 4 * COMMANDS_PER_TURN);
    for n in 0..=COMMANDS_PER_TURN as u64 {
        still.orders.try_send(Order::Command(question(n))).unwrap();
        still.clients.try_send(question(n)).unwrap();
    }
    let mut answered = || std::iter::from_fn(|| still.events.try_recv().ok()).count();
    assert!(still.thread.run_orders(), "there is more");
    assert_eq!(answered(), COMMANDS_PER_TURN, "at the limit");
    assert!(still.thread.run_clients(), "there is more");
    assert_eq!(answered(), COMMANDS_PER_TURN, "at the limit");
    assert!(!still.thread.run_orders() && !still.thread.run_clients());
    assert_eq!(answered(), 2, "one beyond of each");
}

#[test]
fn messages_of_other_threads_have_a_limit_per_turn() {
    for (messages, more) in [(PEER_MESSAGES_PER_TURN - 1, false), (PEER_MESSAGES_PER_TURN + 1, true)] {
        let mut still = still(1, 1);
        let remote = "192.0.2.1:5000".parse().unwrap();
        for n in 0..messages {
            let local = SocketAddr::from(([127, 0, 0, 1], u16::try_from(n).unwrap()));
            assert!(still.peer.tell(PeerMessage::Bound { remote, local, owner: 1 }));
        }
        assert_eq!(still.thread.run_peer_messages(), more, "{messages}");
        assert!(!still.thread.run_peer_messages(), "and the rest in the next one");
    }
}

#[test]
fn packets_of_connections_have_a_limit_per_turn() {
    let stream =
        Stream { remote: "192.0.2.1:5000".parse().unwrap(), local: "127.0.0.1:10000".parse().unwrap() };
    for (packets, more) in [(STREAM_MESSAGES_PER_TURN - 2, false), (STREAM_MESSAGES_PER_TURN, true)] {
        let mut still = still(1, 1);
        let (out, _from) = mpsc::channel(1);
        still.streams.try_send(FromStream::Opened(stream, out)).unwrap();
        (0..packets).for_each(|_| still.streams.try_send(FromStream::Packet(stream, vec![0xff])).unwrap());
        assert_eq!(still.thread.run_streams(), more, "{packets}");
        assert!(!still.thread.run_streams(), "and the rest in the next one");
        assert_eq!(still.thread.shard.counters().packets_received, packets as u64);
    }
}

#[test]
fn a_connection_has_its_time_to_show_whose_it_is_and_ends_after() {
    let stream =
        Stream { remote: "192.0.2.1:5000".parse().unwrap(), local: "127.0.0.1:10000".parse().unwrap() };
    for (age, stays) in [(STREAM_PROOF - Duration::from_secs(1), true), (STREAM_PROOF, false)] {
        let mut still = still(1, 1);
        let (out, from) = mpsc::channel(1);
        still.thread.outbox.connections.open(Instant::now().checked_sub(age).unwrap(), stream, out);
        still.streams.try_send(FromStream::Packet(stream, vec![0xff])).unwrap();
        still.thread.run_streams();
        assert_eq!(!from.is_closed(), stays, "{age:?}");
    }
}

#[test]
fn a_flooded_socket_is_read_so_often_in_a_turn_and_the_rest_waits_for_the_next() {
    for (datagrams, more) in
        [((BATCHES_PER_TURN - 1) * RECEIVE_BATCH, false), (BATCHES_PER_TURN * RECEIVE_BATCH, true)]
    {
        let mut still = still(1, 1);
        let to = still.thread.outbox.sockets[0].local_address();
        let from = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        (0..datagrams).for_each(|_| assert_eq!(from.send_to(b"x", to).unwrap(), 1));
        still.thread.inputs[0].readable = true;
        assert_eq!(still.thread.receive(0), more, "{datagrams}");
        assert!(!still.thread.receive(0));
    }
}

#[test]
fn what_is_ready_waits_for_the_rest_of_a_frame_and_leaves_after_the_limit() {
    let now = Instant::now();
    for (since, waits) in [(now + Duration::from_secs(60), true), (now.checked_sub(HELD).unwrap(), false)] {
        let mut still = still(1, 1);
        let to = still.thread.outbox.sockets[0].local_address();
        let from = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        from.send_to(&[0x80; OF_A_FRAME], to).unwrap();
        still.thread.held = Some(since);
        assert!(!still.thread.receive(0), "it was read until it was empty");
        assert_eq!(still.thread.held.is_some(), waits);
        still.thread.finish_turn();
        assert_eq!(still.thread.held, None, "nothing waits for another turn");
    }
}

#[test]
fn with_too_many_events_unsent_no_command_is_taken_and_none_of_them_is_lost() {
    let beyond = EVENTS + COMMANDS_PER_TURN;
    let mut still = still(beyond, 1);
    for n in 0..beyond as u64 {
        still.orders.try_send(Order::Command(question(n))).unwrap();
    }
    while still.thread.run_orders() {}
    // One is in the channel, the others wait.
    assert_eq!(still.thread.unsent.len(), EVENTS, "at the limit");
    assert!(!still.thread.run_orders(), "and not one beyond");
    assert_eq!(still.thread.unsent.len(), EVENTS);
    let mut answered = 0;
    loop {
        while still.events.try_recv().is_ok() {
            answered += 1;
            still.thread.pass_events();
        }
        still.thread.run_orders();
        if still.thread.unsent.is_empty() && still.events.is_empty() {
            break;
        }
    }
    assert_eq!(answered, beyond);
}

#[test]
fn a_panic_over_one_datagram_leaves_the_rest_of_its_batch() {
    let local = "127.0.0.1:10000".parse().unwrap();
    let config = ShardConfig::new(vec![LocalAddress::new(local)], Certificate::generate().unwrap());
    let mut shard = Shard::new(config, Box::new(SystemEntropy)).unwrap();
    let counters = ThreadCounters::default();
    let done: Vec<_> = (0..10)
        .map(|n| {
            guarded(&mut shard, &mut Nowhere, &counters, |shard, out| {
                assert_ne!(n, 3, "the bug");
                shard.handle_datagram(Instant::now(), local, local, &mut [0xff], out);
            })
        })
        .collect();
    assert_eq!(done.iter().filter(|done| **done).count(), 9);
    assert_eq!(shard.counters().packets_received, 9);
    assert!(counters.rows().contains(&("panics", 1)));
    assert!(counters.rows().contains(&("conferences_failed", 0)), "none was at work");
}
