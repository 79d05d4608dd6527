//! The proxy between real sockets on loopback. No test here depends on how fast the machine is.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use impairment::{Conditions, Direction, Preset, Proxy, Step};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::ms;

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(ms(5_000))).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut buffer = [0; 2048];
    match socket.recv_from(&mut buffer) {
        Ok((len, from)) => Some((buffer[..len].to_vec(), from)),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(e) => panic!("{e}"),
    }
}

/// Nothing comes now: an order has been carried out since, so it would have been sent.
fn assert_silent(socket: &UdpSocket) {
    socket.set_read_timeout(Some(ms(20))).unwrap();
    assert_eq!(receive(socket), None);
    socket.set_read_timeout(Some(ms(5_000))).unwrap();
}

fn perfect(server: &UdpSocket) -> Proxy {
    Proxy::start(server.local_addr().unwrap(), 1, Conditions::PERFECT, Conditions::PERFECT).unwrap()
}

/// Until the proxy has taken this many in this direction.
fn wait_taken(proxy: &Proxy, direction: Direction, taken: u64) {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let c = proxy.counters();
        let now = if direction == Direction::Up { c.up.taken } else { c.down.taken };
        if now >= taken {
            return assert_eq!(now, taken);
        }
        assert!(Instant::now() < deadline, "{c:?}");
        std::thread::sleep(ms(1));
    }
}

#[test]
fn every_client_has_its_own_way_to_the_server_and_back() {
    let server = socket();
    let proxy = perfect(&server);
    let clients: Vec<_> = (0..5).map(|_| socket()).collect();
    let mut seen = HashSet::new();
    for (n, client) in (0..).zip(&clients) {
        for round in 0..3 {
            client.send_to(&[n, round], proxy.address()).unwrap();
            let (data, from) = receive(&server).unwrap();
            assert_eq!(data, [n, round]);
            seen.insert(from);
            server.send_to(&[100 + n, round], from).unwrap();
            assert_eq!(receive(client).unwrap(), (vec![100 + n, round], proxy.address()));
        }
    }
    assert_eq!(seen.len(), 5, "one address per client");
    let c = proxy.counters();
    assert_eq!((c.clients, c.up.delivered, c.down.delivered, c.refused, c.unsent), (5, 15, 15, 0, 0));
}

#[test]
fn conditions_change_while_it_runs() {
    let server = socket();
    let proxy = perfect(&server);
    let client = socket();
    client.send_to(b"1", proxy.address()).unwrap();
    let (_, way) = receive(&server).unwrap();
    // One direction is cut, the other one is not.
    proxy.set(Direction::Up, Conditions::with_loss(1.0));
    client.send_to(b"2", proxy.address()).unwrap();
    server.send_to(b"3", way).unwrap();
    assert_eq!(receive(&client).unwrap().0, b"3");
    wait_taken(&proxy, Direction::Up, 2);
    assert_eq!(proxy.counters().up.lost, 1);
    // A client that comes later has the same conditions.
    let late = socket();
    late.send_to(b"4", proxy.address()).unwrap();
    wait_taken(&proxy, Direction::Up, 3);
    assert_eq!(proxy.counters().up.lost, 2);
    assert_silent(&server);
    // Healed; the way back is slow now.
    proxy.set(Direction::Up, Conditions::PERFECT);
    proxy.set(Direction::Down, Conditions { delay: ms(150), ..Conditions::PERFECT });
    client.send_to(b"5", proxy.address()).unwrap();
    assert_eq!(receive(&server).unwrap().0, b"5");
    let before = Instant::now();
    server.send_to(b"6", way).unwrap();
    assert_eq!(receive(&client).unwrap().0, b"6");
    assert!(before.elapsed() >= ms(150));
    // What is under way keeps its delay even when it is taken away.
    server.send_to(b"7", way).unwrap();
    wait_taken(&proxy, Direction::Down, 3);
    proxy.set(Direction::Down, Conditions::PERFECT);
    assert_eq!(receive(&client).unwrap().0, b"7");
}

#[test]
fn a_rate_holds_and_its_end_lets_the_queue_go() {
    let server = socket();
    let proxy = perfect(&server);
    let client = socket();
    // 222 + 28 bytes are 2,000 bits: 20 ms each.
    let rate = Conditions { queue_bytes: 2_500, ..Conditions::with_rate(100_000) };
    proxy.set(Direction::Up, rate);
    let before = Instant::now();
    for n in 0..20_u8 {
        client.send_to(&[n; 222], proxy.address()).unwrap();
    }
    for n in 0..5 {
        assert_eq!(receive(&server).unwrap().0, [n; 222]);
    }
    assert!(before.elapsed() >= ms(100), "{:?}", before.elapsed());
    wait_taken(&proxy, Direction::Up, 20);
    // Ten fit into the queue; what leaves while the test still sends makes room for more.
    let c = proxy.counters().up;
    assert!(c.dropped <= 10 && (c.dropped > 0 || before.elapsed() > ms(200)), "{c:?}");
    proxy.set(Direction::Up, Conditions::PERFECT);
    let c = proxy.counters().up;
    assert_eq!(c.delivered + c.dropped, 20);
    for _ in 5..c.delivered {
        assert!(receive(&server).is_some());
    }
    assert_silent(&server);
}

#[test]
fn it_follows_a_schedule_by_itself() {
    let server = socket();
    let proxy = perfect(&server);
    let client = socket();
    let up =
        |at, loss| Step { at: ms(at), direction: Direction::Up, conditions: Conditions::with_loss(loss) };
    proxy.follow(&[up(0, 1.0), up(200, 0.0)]).unwrap();
    let before = Instant::now();
    client.send_to(&[0], proxy.address()).unwrap();
    // Only what is sent after the step arrives.
    server.set_read_timeout(Some(ms(5))).unwrap();
    let arrived = (1..=250).find_map(|n| {
        client.send_to(&[n], proxy.address()).unwrap();
        receive(&server)
    });
    assert!(arrived.is_some() && before.elapsed() >= ms(195), "{:?}", before.elapsed());
    // Another schedule takes the place of the first.
    proxy.follow(&Preset::Perfect.steps(ms(1))).unwrap();
    assert!(proxy.follow(&vec![up(0, 1.0); impairment::STEPS + 1]).is_err());
    let c = proxy.counters().up;
    assert!(c.lost > 0 && c.delivered > 0, "{c:?}");
}

#[test]
fn the_same_seed_loses_the_same_datagrams_and_each_client_others() {
    let run = |seed| {
        let server = socket();
        let loss = Conditions::with_loss(0.5);
        let proxy = Proxy::start(server.local_addr().unwrap(), seed, loss, Conditions::PERFECT).unwrap();
        let mut before = 0;
        [1, 2].map(|taken| {
            let client = socket();
            (0..100).for_each(|n| assert_eq!(client.send_to(&[n], proxy.address()).unwrap(), 1));
            wait_taken(&proxy, Direction::Up, 100 * taken);
            let through = proxy.counters().up.delivered;
            let arrived: Vec<u8> = (before..through).map(|_| receive(&server).unwrap().0[0]).collect();
            before = through;
            arrived
        })
    };
    let first = run(11);
    assert_eq!(first, run(11));
    assert_ne!(first, run(12));
    assert_ne!(first[0], first[1]);
}

#[test]
fn more_clients_than_the_bound_are_refused_and_the_others_served() {
    // Each client is a socket of the proxy; shells often allow fewer than this bound needs.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(8_192)), hard).unwrap();
    let server = socket();
    let proxy = perfect(&server);
    let first = socket();
    first.send_to(&[0], proxy.address()).unwrap();
    let mut sent = 1;
    // An address may come again when its socket is closed, so it may take a few more than the bound.
    while proxy.counters().clients < impairment::CLIENTS as u64 {
        assert!(sent < 4 * impairment::CLIENTS as u64);
        // In batches, so that no queue of the kernel overflows.
        let batch: Vec<_> =
            (0..64.min(impairment::CLIENTS as u64 - proxy.counters().clients)).map(|_| socket()).collect();
        batch.iter().for_each(|c| assert_eq!(c.send_to(&[1], proxy.address()).unwrap(), 1));
        sent += batch.len() as u64;
        wait_taken(&proxy, Direction::Up, sent);
    }
    assert_eq!(proxy.counters().refused, 0, "at the bound");
    let deadline = Instant::now() + Duration::from_secs(5);
    while proxy.counters().refused == 0 {
        // Again: the first ones may have the address of a client that is known.
        socket().send_to(&[2], proxy.address()).unwrap();
        assert!(Instant::now() < deadline, "one beyond");
    }
    let taken = proxy.counters().up.taken;
    first.send_to(&[3], proxy.address()).unwrap();
    while proxy.counters().up.taken == taken {
        assert!(Instant::now() < deadline, "the others are served");
    }
    assert_eq!(proxy.counters().clients, impairment::CLIENTS as u64);
}

#[test]
fn a_server_that_is_not_there_costs_datagrams_and_nothing_else() {
    let server = socket();
    let address = server.local_addr().unwrap();
    let proxy = perfect(&server);
    let client = socket();
    client.send_to(&[1], proxy.address()).unwrap();
    assert!(receive(&server).is_some());
    drop(server);
    for n in 2..20 {
        client.send_to(&[n], proxy.address()).unwrap();
        wait_taken(&proxy, Direction::Up, n.into());
    }
    // It comes back on the same port, unless somebody took it meanwhile.
    let Ok(server) = UdpSocket::bind(address) else { return };
    server.set_read_timeout(Some(ms(5_000))).unwrap();
    client.send_to(&[20], proxy.address()).unwrap();
    assert_eq!(receive(&server).unwrap().0, [20]);
}

#[test]
fn what_the_kernel_drops_before_it_is_read_is_told() {
    let server = socket();
    let proxy = perfect(&server);
    let client = socket();
    // Faster than one thread forwards, until a buffer is full; then everything is accounted for.
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut sent = 0;
    while proxy.counters().overrun == 0 && Instant::now() < deadline {
        (0..5_000).for_each(|_| assert_eq!(client.send_to(&[0; 1200], proxy.address()).unwrap(), 1200));
        sent += 5_000;
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut c = proxy.counters();
    while c.up.taken + c.overrun < sent && Instant::now() < deadline {
        c = proxy.counters();
    }
    assert_eq!(c.up.taken + c.overrun, sent);
}

#[test]
fn dropped_it_is_gone_with_its_sockets() {
    let server = socket();
    let proxy = perfect(&server);
    let client = socket();
    client.send_to(&[1], proxy.address()).unwrap();
    let (_, way) = receive(&server).unwrap();
    let address = proxy.address();
    drop(proxy);
    UdpSocket::bind(address).expect("free again");
    UdpSocket::bind(("127.0.0.1", way.port())).expect("free again");
}

#[test]
fn over_ipv6_too() {
    let Ok(server) = UdpSocket::bind("[::1]:0") else { return };
    let client = UdpSocket::bind("[::1]:0").unwrap();
    for s in [&server, &client] {
        s.set_read_timeout(Some(ms(5_000))).unwrap();
    }
    let proxy = perfect(&server);
    client.send_to(&[1], proxy.address()).unwrap();
    let (_, way) = receive(&server).unwrap();
    server.send_to(&[2], way).unwrap();
    assert_eq!(receive(&client).unwrap().0, [2]);
}
