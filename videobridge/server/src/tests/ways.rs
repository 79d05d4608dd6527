//! The ways in: every address of either family, UDP and TCP, from the first packet to sound.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jitsi_xmpp::colibri2::MediaSource;
use jitsi_xmpp::jingle::{Candidate, Setup};
use peer::describe::{audio_source, endpoint, new_endpoint, remote_transport, request};
use peer::{Options, Peer};
use service::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Bridge, WAIT, binding_request};
use crate::limits;

/// A participant that reaches the bridge in one way alone.
pub(super) struct Person {
    pub(super) peer: Peer,
    to: Way,
    from: mpsc::Receiver<Vec<u8>>,
}

enum Way {
    Udp(Arc<tokio::net::UdpSocket>),
    Tcp(tokio::net::tcp::OwnedWriteHalf),
}

impl Person {
    /// Joins the conference "m1", by the candidate that is wanted, and sends `sources`.
    pub(super) async fn join(
        bridge: &Bridge,
        id: &str,
        create: bool,
        sources: Vec<MediaSource>,
        wanted: impl Fn(&Candidate) -> bool,
    ) -> Self {
        let answer = bridge.ask(request(create, vec![new_endpoint(id, true)])).await;
        let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.as_ref().unwrap();
        let offered = ice.candidates.iter().find(|c| wanted(c)).expect("such a candidate");
        let address = SocketAddr::new(offered.ip.reveal().parse().unwrap(), offered.port);
        let (packets, from) = mpsc::channel(1000);
        let (own, to) = if offered.protocol == "tcp" {
            assert_eq!(offered.tcptype.as_deref(), Some("passive"));
            let stream = TcpStream::connect(address).await.unwrap();
            let own = stream.local_addr().unwrap();
            let (mut reads, to) = stream.into_split();
            tokio::spawn(async move {
                while let Ok(length) = reads.read_u16().await {
                    let mut packet = vec![0; usize::from(length)];
                    reads.read_exact(&mut packet).await.unwrap();
                    let _ = packets.send(packet).await;
                }
            });
            (own, Way::Tcp(to))
        } else {
            let socket = tokio::net::UdpSocket::bind((address.ip(), 0)).await.unwrap();
            socket.connect(address).await.unwrap();
            let (own, socket) = (socket.local_addr().unwrap(), Arc::new(socket));
            let reads = Arc::clone(&socket);
            tokio::spawn(async move {
                let mut buf = [0; 2048];
                while let Ok(len) = reads.recv(&mut buf).await {
                    if packets.send(buf[..len].to_vec()).await.is_err() {
                        return;
                    }
                }
            });
            (own, Way::Udp(socket))
        };
        let mut peer = Peer::named(Instant::now(), id, own, address, Options::default());
        peer.set_remote(ice.ufrag.as_ref().unwrap(), ice.pwd.as_ref().unwrap().reveal()).unwrap();
        let (ufrag, pwd) = peer.credentials();
        let mut update = endpoint(id);
        update.transport = Some(remote_transport(&ufrag, &pwd, peer.fingerprint(), Setup::Active));
        update.sources = Some(sources);
        bridge.ask(request(false, vec![update])).await;
        Self { peer, to, from }
    }

    /// Until it is as it should be.
    pub(super) async fn run(&mut self, until: impl Fn(&Peer) -> bool) {
        let runs = async {
            loop {
                self.peer.tick(Instant::now());
                for packet in std::mem::take(&mut self.peer.sent) {
                    match &mut self.to {
                        Way::Udp(socket) => assert_eq!(socket.send(&packet).await.unwrap(), packet.len()),
                        Way::Tcp(stream) => {
                            stream.write_u16(u16::try_from(packet.len()).unwrap()).await.unwrap();
                            stream.write_all(&packet).await.unwrap();
                        }
                    }
                }
                if until(&self.peer) {
                    return;
                }
                if let Ok(Some(packet)) = timeout(Duration::from_millis(10), self.from.recv()).await {
                    self.peer.receive(Instant::now(), &packet);
                }
            }
        };
        timeout(WAIT, runs).await.expect("in time");
    }

    /// Says so many packets of a kilobyte.
    pub(super) async fn speak(&mut self, ssrc: u32, packets: u16) {
        for seq in 0..packets {
            let mut packet = vec![0x80, 111];
            packet.extend(seq.to_be_bytes());
            packet.extend((u32::from(seq) * 960).to_be_bytes());
            packet.extend(ssrc.to_be_bytes());
            packet.extend([1; 1100]);
            self.peer.send_rtp(&packet);
            self.run(|p| p.sent.is_empty()).await;
        }
    }
}

pub(super) fn up(peer: &Peer) -> bool {
    peer.connected() && peer.channel_open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_address_of_either_family_leads_in() {
    for threads in [1, 3] {
        let bridge = Bridge::start_at("[::1]:0", &["127.0.0.1", "127.0.0.2"], threads, None).await;
        let mut all = Vec::new();
        for (n, (protocol, ip)) in
            [("udp", "::1"), ("udp", "127.0.0.1"), ("udp", "127.0.0.2"), ("tcp", "::1"), ("tcp", "127.0.0.2")]
                .into_iter()
                .enumerate()
        {
            let wanted = |c: &Candidate| c.protocol == protocol && c.ip.reveal() == ip;
            let id = format!("aaaa000{n}");
            let sources = if n == 0 { vec![audio_source("aaaa0000-a0", 7)] } else { Vec::new() };
            let mut person = Person::join(&bridge, &id, n == 0, sources, wanted).await;
            person.run(up).await;
            all.push(person);
        }
        let (speaker, others) = all.split_first_mut().unwrap();
        speaker.speak(7, 20).await;
        for person in others {
            person.run(|p| p.rtp.len() >= 20).await;
        }
        bridge.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_without_udp_have_media_and_channel_over_tcp() {
    for threads in [1, 3] {
        let bridge = Bridge::start(threads, None).await;
        let tcp = |c: &Candidate| c.protocol == "tcp";
        let mut speaks =
            Person::join(&bridge, "aaaa0001", true, vec![audio_source("aaaa0001-a0", 7)], tcp).await;
        let mut hears = Person::join(&bridge, "aaaa0002", false, Vec::new(), tcp).await;
        tokio::join!(speaks.run(up), hears.run(up));
        speaks.speak(7, 100).await;
        hears.run(|p| p.rtp.len() >= 100).await;
        assert_eq!((hears.peer.broken, hears.peer.rtp.len()), (0, 100));
        // Who leaves is not served on: the connection ends.
        let mut gone = endpoint("aaaa0001");
        gone.expire = true;
        bridge.ask(request(false, vec![gone])).await;
        let metrics = Metrics::new();
        let handle = bridge.handle.clone();
        metrics.add(move |out| handle.expose(out));
        let text = metrics.encode();
        assert!(text.contains("plausch_bridge_thread_total{event=\"streams_accepted\"} 2\n"), "{text}");
        assert!(text.contains("plausch_bridge_thread_total{event=\"stream_dropped_full\"} 0\n"), "{text}");
        bridge.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_or_name_nobody_end_and_one_network_has_its_share() {
    let bridge = Bridge::start(2, None).await;
    let answer = bridge.ask(request(true, vec![new_endpoint("aaaa0001", true)])).await;
    let ice = answer.endpoints[0].transport.as_ref().unwrap().ice.as_ref().unwrap();
    let port = ice.candidates.iter().find(|c| c.protocol == "tcp").unwrap().port;
    let open = async || TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let ended = async |stream: &mut TcpStream, within: Duration| {
        let mut buf = [0; 100];
        timeout(within, stream.read(&mut buf)).await.is_ok_and(|read| read.map_or(true, |n| n == 0))
    };
    let soon = Duration::from_secs(2);
    for wrong in [&[0, 0][..], &[0xff, 0xff, 1], &[0, 4, 0x80, 111, 0, 1], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = open().await;
        stream.write_all(wrong).await.unwrap();
        assert!(ended(&mut stream, soon).await, "{wrong:?}");
    }
    // A user of ours, but without its password: nothing comes back.
    let mut stranger = open().await;
    let message = binding_request(1, ice.ufrag.as_ref().unwrap(), "not-the-password-at-all");
    stranger.write_u16(u16::try_from(message.len()).unwrap()).await.unwrap();
    stranger.write_all(&message).await.unwrap();
    assert!(!ended(&mut stranger, Duration::from_millis(200)).await);
    drop(stranger);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut all = Vec::new();
    for _ in 0..limits::STREAMS_PER_NETWORK {
        all.push(open().await);
    }
    let mut beyond = open().await;
    assert!(ended(&mut beyond, soon).await, "one beyond");
    let last = all.last_mut().unwrap();
    assert!(!ended(last, Duration::from_millis(100)).await, "at the limit");
    assert!(ended(last, limits::STREAM_FIRST + soon).await, "it said nothing");
    bridge.end().await;
}
