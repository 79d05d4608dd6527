//! A packet size in; CPU time per relayed packet of a plain UDP relay and of our TURN server, in both directions, out.
//!
//! The plain relay is a thread per direction that reads a datagram and sends it on: no batches, as a relay has one socket for each
//! client. The client keeps a bounded number of packets on their way, so that none is lost. What the client and the bridge cost, which are one
//! thread, is taken off the process' time; what is left is the relay's. The TURN server is asked by as many clients as one person may be, in
//! turn, because each relay has a limit of bytes.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use nix::time::{ClockId, clock_gettime};
use peer::turn::{ALLOCATE, BIND, Reply, Signer, mask, message, read, transport};
use serde_json::{Value, json};
use service::entropy::SystemEntropy;
use turn_server::{Config, Peers, Secret, password};

use crate::thread;

/// What to relay.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Bytes of a packet.
    #[arg(long, default_value_t = 1100, value_parser = clap::value_parser!(u16).range(64..=1400))]
    size: u16,
    /// How long to measure each of the four.
    #[arg(long, default_value = "3", value_parser = crate::seconds)]
    seconds: Duration,
}

/// Relays of the TURN server.
const RELAYS: usize = 32;
/// Packets on their way at a time: what a socket's buffer surely holds.
const FLIGHT: usize = 32;
const SECRET: &str = "north";

/// Measures both and compares them.
pub(crate) fn run(arguments: &Arguments) -> Result<Value> {
    let bridge = bound()?;
    let at = bridge.local_addr()?;
    let size = usize::from(arguments.size);
    let client = bound()?;
    let (entry, relay) = plain_relay(client.local_addr()?, at)?;
    let clients = vec![(client, relay)];
    let plain = Way { clients, bridge: bridge.try_clone()?, entry, header: Vec::new() };
    let plain = plain.measure(size, arguments.seconds)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (end, shutdown) = tokio::sync::watch::channel(false);
    let config = Config {
        listen: vec!["127.0.0.1:0".parse()?],
        listen_now: Box::new(Vec::new),
        secret: Box::new(|| Secret::new(SECRET.to_owned().into(), &mut SystemEntropy)),
        peers: Box::new(move || Some(Peers::new(&[at], &[]))),
        allocations: 4 * RELAYS,
        before: None,
    };
    let started = runtime.block_on(async { turn_server::start(config, shutdown) });
    let (turn, task) = started.map_err(|e| anyhow::anyhow!("{e}"))?;
    let entry = *turn.addresses().first().context("no address")?;
    let mut clients = Vec::new();
    for _ in 0..RELAYS {
        let client = bound()?;
        let relay = allocate(&client, entry, at)?;
        clients.push((client, relay));
    }
    let [l0, l1] = arguments.size.to_be_bytes();
    let turn = Way { clients, bridge, entry, header: vec![0x40, 0, l0, l1] };
    let turn = turn.measure(size, arguments.seconds)?;
    end.send_replace(true);
    runtime.block_on(task)?;
    let both = |of: [Cost; 2]| json!({ "to_peer": of[0].report(), "to_client": of[1].report() });
    let share = |n: usize| (plain[n].nanos / turn[n].nanos * 100.0).round() / 100.0;
    Ok(json!({
        "scenario": "relay",
        "size": size,
        "plain": both(plain),
        "turn": both(turn),
        "turn_to_plain": { "to_peer": share(0), "to_client": share(1) },
    }))
}

/// Clients, a bridge and what is between them.
struct Way {
    /// Each with the address at which the bridge reaches it.
    clients: Vec<(UdpSocket, SocketAddr)>,
    bridge: UdpSocket,
    /// Where clients send.
    entry: SocketAddr,
    /// In front of what the client sends and gets.
    header: Vec<u8>,
}

/// Of one packet.
#[derive(Debug, Clone, Copy)]
struct Cost {
    packets: u64,
    nanos: f64,
    wall: Duration,
}

impl Cost {
    fn report(self) -> Value {
        let rate = (self.packets as f64 / self.wall.as_secs_f64()).round();
        json!({ "cpu_ns_per_packet": self.nanos.round(), "packets_per_second": rate, "packets": self.packets })
    }
}

impl Way {
    /// To the bridge, then to the client.
    fn measure(&self, size: usize, length: Duration) -> Result<[Cost; 2]> {
        let bare = vec![7; size];
        let framed = [&self.header[..], &bare].concat();
        let (mut up, mut down) = (self.clients.iter().cycle(), self.clients.iter().cycle());
        let next = || up.next().map(|(client, _)| (client, self.entry, &self.bridge));
        let to_peer = cost(length, next, &framed, size)?;
        let next = || down.next().map(|(client, relay)| (&self.bridge, *relay, client));
        Ok([to_peer, cost(length, next, &bare, framed.len())?])
    }
}

/// `next`: from which socket to which address and on to which socket the next flight goes.
fn cost<'a>(
    length: Duration,
    mut next: impl FnMut() -> Option<(&'a UdpSocket, SocketAddr, &'a UdpSocket)>,
    packet: &[u8],
    expected: usize,
) -> Result<Cost> {
    let mut got = [0; 2048];
    let mut flights = |until: Instant| -> Result<u64> {
        let mut packets = 0;
        while Instant::now() < until {
            let (from, to, sink) = next().context("no client")?;
            for _ in 0..FLIGHT {
                from.send_to(packet, to)?;
            }
            for _ in 0..FLIGHT {
                let (len, _) = sink.recv_from(&mut got).context(thread::NOTHING)?;
                ensure!(len == expected, "{len} bytes came through, not {expected}");
            }
            packets += FLIGHT as u64;
        }
        Ok(packets)
    };
    flights(Instant::now() + length / 10)?;
    let (begun, before) = (Instant::now(), others()?);
    let packets = flights(begun + length)?;
    let (cpu, wall) = (others()?.saturating_sub(before), begun.elapsed());
    if packets == 0 {
        bail!(thread::NOTHING);
    }
    Ok(Cost { packets, nanos: cpu.as_nanos() as f64 / packets as f64, wall })
}

/// CPU time of all threads but this one.
fn others() -> Result<Duration> {
    let all = Duration::from(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?);
    Ok(all.saturating_sub(Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?)))
}

fn bound() -> Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    Ok(socket)
}

/// Two sockets and two threads, which end when nothing has come for a moment. Returns where client and bridge send.
fn plain_relay(client: SocketAddr, bridge: SocketAddr) -> Result<(SocketAddr, SocketAddr)> {
    let (front, back) = (bound()?, bound()?);
    let at = (front.local_addr()?, back.local_addr()?);
    for (from, out, to) in
        [(front.try_clone()?, back.try_clone()?, bridge), (back.try_clone()?, front.try_clone()?, client)]
    {
        from.set_read_timeout(Some(Duration::from_secs(10)))?;
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((len, _)) = from.recv_from(&mut buffer) {
                if out.send_to(&buffer[..len], to).is_err() {
                    return;
                }
            }
        });
    }
    Ok(at)
}

/// A relay with channel 0x4000 to the bridge.
fn allocate(client: &UdpSocket, server: SocketAddr, bridge: SocketAddr) -> Result<SocketAddr> {
    let ask = |m: Vec<u8>| -> Result<Reply> {
        client.send_to(&m, server)?;
        let mut answer = [0; 512];
        let len = client.recv(&mut answer)?;
        Ok(read(&answer[..len]))
    };
    let hour = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 3_600;
    let username = format!("{hour}:ceiling");
    let password = password(SECRET.as_bytes(), &username);
    let challenge = ask(message(ALLOCATE, [1; 12], &[transport()]))?;
    let nonce = challenge.attribute(0x15).context("no nonce")?;
    let signer = Signer { username: &username, password: &password, nonce };
    let made = ask(signer.sign(ALLOCATE, [2; 12], &[transport()]))?;
    let channel = vec![0x40, 0, 0, 0];
    let bind = ask(signer.sign(BIND, [3; 12], &[(0x0c, channel), (0x12, mask(bridge, &[3; 12]))]))?;
    ensure!((made.code, bind.code) == (0, 0), "no relay: {} {}", made.code, bind.code);
    Ok(made.address(0x16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_relays_carry_every_packet_in_both_directions() {
        let arguments = Arguments { size: 1100, seconds: Duration::from_millis(200) };
        let report = thread::in_turn(|| run(&arguments));
        for relay in ["plain", "turn"] {
            for direction in ["to_peer", "to_client"] {
                let of = &report[relay][direction];
                assert!(of["packets"].as_u64().unwrap() >= 32, "{report}");
                assert!(of["cpu_ns_per_packet"].as_f64().unwrap() > 50.0, "{report}");
            }
        }
        assert!(report["turn_to_plain"]["to_peer"].as_f64().unwrap() > 0.05, "{report}");
    }
}
