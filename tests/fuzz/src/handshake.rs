//! A client's DTLS handshake with the bridge over a network that does what the bytes say: datagrams lost, repeated, late,
//! touched, and others between them, from the client's own address.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::jingle::Setup;
use peer::{Identity, Options, Peer, Wire, describe};
use videobridge_core::{Certificate, Command, Discard, Event, LocalAddress, RequestId, Shard, ShardConfig};

/// What happens to the next DTLS datagram of the client.
enum Fate {
    Arrives,
    Lost,
    Twice,
    Late,
    /// One byte is another.
    Touched(u8, u8),
    /// Bytes of somebody else come first.
    After(Vec<u8>),
}

fn fate(rest: &mut &[u8]) -> Fate {
    let [what, left @ ..] = *rest else { return Fate::Arrives };
    *rest = left;
    match (what % 8, left) {
        (0 | 1, _) => Fate::Arrives,
        (2, _) => Fate::Lost,
        (3, _) => Fate::Twice,
        (4, _) => Fate::Late,
        (5, [at, by, left @ ..]) => {
            *rest = left;
            Fate::Touched(*at, *by)
        }
        (_, left) => {
            let (body, left) = left.split_at(left.len().min(usize::from(what >> 2)));
            *rest = left;
            // As a DTLS record of any kind.
            Fate::After([&[20 + what % 4][..], body].concat())
        }
    }
}

/// The handshake is completed with the certificate that was signalled, or nobody gets keys.
pub fn z10_dtls(data: &[u8]) {
    thread_local! {
        static OURS: Certificate = Certificate::generate().expect("a certificate");
        static THEIRS: Identity = Identity::new(1150).expect("an identity");
    }
    let bridge: SocketAddr = ([127, 0, 0, 1], 10_000).into();
    let address: SocketAddr = ([127, 0, 0, 1], 50_000).into();
    let mut now = Instant::now();
    let config = ShardConfig::new(vec![LocalAddress::new(bridge)], OURS.with(Certificate::clone));
    let mut shard = Shard::new(config, Box::new(SeededEntropy::new(1))).expect("a shard");
    let mut wire = Wire::default();
    // An odd first byte: the certificate is not the signalled one.
    let honest = data.first().is_none_or(|b| b & 1 == 0);
    let options = Options { dtls12: true, channel: false, keeps_media: false, ..Options::default() };
    let credentials = ("ufpeer".to_owned(), "password-of-the-peer-0123456789".to_owned());
    let mut peer = THEIRS
        .with(|identity| Peer::new(now, identity, address, bridge, credentials.clone(), options))
        .expect("a peer");
    let mut signalled = peer.fingerprint().to_owned();
    if !honest {
        let other = if signalled.starts_with('A') { "B" } else { "A" };
        signalled.replace_range(..1, other);
    }
    let answered = describe::remote_transport(&credentials.0, &credentials.1, &signalled, Setup::Active);
    let mut update = describe::endpoint("aaaa0001");
    update.transport = Some(answered);
    for (n, endpoint) in [describe::new_endpoint("aaaa0001", false), update].into_iter().enumerate() {
        let request = RequestId(n as u64);
        let modify = Box::new(describe::request(n == 0, vec![endpoint]));
        shard.handle_command(now, Command::Colibri2 { request, modify }, &mut wire);
        while let Some(event) = shard.poll_event() {
            let Event::Colibri2Reply { result: Ok(answer), .. } = event else { continue };
            let ice = answer.endpoints.first().and_then(|e| e.transport.as_ref()?.ice.as_ref());
            if let Some((ufrag, pwd)) = ice.and_then(|ice| Some((ice.ufrag.as_ref()?, ice.pwd.as_ref()?))) {
                peer.set_remote(ufrag, pwd.reveal()).expect("an address");
            }
        }
    }
    let mut rest = data.get(1..).unwrap_or_default();
    let mut late: Vec<Vec<u8>> = Vec::new();
    for _ in 0..100 {
        now += Duration::from_millis(50);
        peer.tick(now);
        if shard.poll_timeout().is_some_and(|at| at <= now) {
            shard.handle_timeout(now, &mut wire);
        }
        for _ in 0..16 {
            let mut arriving: Vec<Vec<u8>> = std::mem::take(&mut late);
            for mut datagram in std::mem::take(&mut peer.sent) {
                if !datagram.first().is_some_and(|b| (20..64).contains(b)) {
                    arriving.push(datagram);
                    continue;
                }
                match fate(&mut rest) {
                    Fate::Arrives => arriving.push(datagram),
                    Fate::Lost => {}
                    Fate::Twice => arriving.extend([datagram.clone(), datagram]),
                    Fate::Late => late.push(datagram),
                    Fate::Touched(at, by) => {
                        let at = usize::from(at) % datagram.len();
                        datagram[at] ^= by;
                        arriving.push(datagram);
                    }
                    Fate::After(other) => arriving.extend([other, datagram]),
                }
            }
            for datagram in &mut arriving {
                shard.handle_datagram(now, address, bridge, datagram, &mut wire);
            }
            for (to, _, bytes) in std::mem::take(&mut wire.0) {
                assert_eq!(to, address, "nobody else is sent anything");
                peer.receive(now, &bytes);
            }
            while shard.poll_event().is_some() {}
            if peer.sent.is_empty() && late.is_empty() {
                break;
            }
        }
        if peer.connected() && rest.is_empty() {
            break;
        }
    }
    assert!(peer.connected() || !honest || data.len() > 1, "a good network and the right certificate");
    if peer.connected() {
        // What the client sends with its keys is understood exactly when it is who was signalled.
        let dropped =
            |shard: &Shard| [Discard::NoKeys, Discard::SrtpUnauthentic].map(|d| shard.counters().dropped(d));
        let before = dropped(&shard);
        peer.send_rtp(&[0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 2, 3]);
        for datagram in &mut std::mem::take(&mut peer.sent) {
            shard.handle_datagram(now, address, bridge, datagram, &mut wire);
        }
        assert_eq!(dropped(&shard) == before, honest);
    }
}
