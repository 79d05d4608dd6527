//! A STUN server that the admin named in; the public address under which it sees this machine out (RFC 8489 §3).
//!
//! Whoever answers may lie or be slow: what it says is taken for an address of ours only when it can be a public one, what it says
//! goes to clients as one more candidate, and what it costs is bounded in time and datagrams.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use jitsi_xmpp::Entropy as _;
use service::SystemEntropy;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use turn_server::binding;

use super::limits::{STUN_DATAGRAMS, STUN_WAITS};
use crate::doctor::facts::is_public;

/// Asks once, from this address. `None`: there was no answer of use.
pub(super) async fn ask(server: SocketAddr, from: IpAddr) -> Option<IpAddr> {
    let mut transaction = [0; 12];
    SystemEntropy.fill(&mut transaction);
    let socket = UdpSocket::bind((from, 0)).await.ok()?;
    // Only what comes from there is read.
    socket.connect(server).await.ok()?;
    let mut looked_at = 0;
    for wait in STUN_WAITS {
        if socket.send(&binding::question(transaction)).await.is_err() {
            tokio::time::sleep(wait).await;
            continue;
        }
        let answered = timeout(wait, answer(&socket, transaction, &mut looked_at)).await;
        match answered {
            Ok(Some(seen)) => return can_be_ours(seen.ip(), server).then(|| seen.ip()),
            Ok(None) => return None,
            Err(_) => {}
        }
    }
    None
}

/// The first answer to the question; `None` when there is too much else.
async fn answer(socket: &UdpSocket, transaction: [u8; 12], looked_at: &mut usize) -> Option<SocketAddr> {
    let mut bytes = [0; 576];
    loop {
        if *looked_at >= STUN_DATAGRAMS {
            return None;
        }
        *looked_at += 1;
        match socket.recv(&mut bytes).await {
            Ok(len) => {
                let seen = bytes.get(..len).and_then(|b| binding::answer(transaction, b));
                if seen.is_some() {
                    return seen;
                }
            }
            // Nobody listens there, as the system of the server says; it may begin to.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Clients send to what they are told: never to an address of an inner network, and none that is nobody's. A server inside a
/// network of one's own sees inner addresses, and is no help.
fn can_be_ours(seen: IpAddr, server: SocketAddr) -> bool {
    let nobodys = match seen {
        IpAddr::V4(ip) => matches!(ip.octets(), [0 | 240..=255, ..]),
        IpAddr::V6(ip) => ip.to_ipv4().is_some(),
    };
    seen.is_ipv4() == server.is_ipv4() && is_public(seen) && !nobodys
}

/// The address to ask from when the media address is this one: itself, or for a wildcard that of the way out.
pub(super) fn ways(media: IpAddr) -> Vec<IpAddr> {
    match media {
        IpAddr::V4(_) => vec![media],
        IpAddr::V6(ip) if ip.is_unspecified() => {
            vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]
        }
        IpAddr::V6(_) => vec![media],
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// A server that answers each question with these, made from it.
    async fn server(answers: fn(&[u8]) -> Vec<Vec<u8>>) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut bytes = [0; 100];
            loop {
                let (len, from) = socket.recv_from(&mut bytes).await.unwrap();
                for answer in answers(&bytes[..len]) {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        at
    }

    /// What a server says that sees this address.
    fn says(question: &[u8], [a, b, c, d]: [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![1, 1, 0, 12];
        bytes.extend(&question[4..20]);
        bytes.extend([0, 0x20, 0, 8, 0, 1, 1, 2, a ^ 0x21, b ^ 0x12, c ^ 0xa4, d ^ 0x42]);
        bytes
    }

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn a_server_says_under_which_address_it_sees_us() {
        let at = server(|q| vec![b"noise".to_vec(), says(q, [203, 0, 113, 7])]).await;
        assert_eq!(ask(at, HERE).await, Some([203, 0, 113, 7].into()));
    }

    #[tokio::test]
    async fn a_lying_server_names_no_inner_address_and_nobodys() {
        for at in [
            server(|q| vec![says(q, [127, 0, 0, 1])]).await,
            server(|q| vec![says(q, [192, 168, 0, 1])]).await,
            server(|q| vec![says(q, [169, 254, 169, 254])]).await,
            server(|q| vec![says(q, [0, 1, 2, 3])]).await,
            server(|q| vec![says(q, [224, 0, 0, 1])]).await,
            server(|q| vec![says(q, [240, 0, 0, 1])]).await,
        ] {
            assert_eq!(ask(at, HERE).await, None);
        }
        for lie in [
            "::1",
            "::",
            "::ffff:203.0.113.7",
            "::203.0.113.7",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "203.0.113.7",
        ] {
            assert!(!can_be_ours(lie.parse().unwrap(), "[2001:db8::1]:1".parse().unwrap()), "{lie}");
        }
        assert!(can_be_ours("2001:db8::7".parse().unwrap(), "[2001:db8::1]:1".parse().unwrap()));
    }

    /// `STUN_DATAGRAMS` are looked at, and one beyond is not.
    #[tokio::test]
    async fn a_server_that_floods_is_heard_so_long() {
        let at = |noise: usize| async move {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let at = socket.local_addr().unwrap();
            tokio::spawn(async move {
                let mut bytes = [0; 100];
                let (len, from) = socket.recv_from(&mut bytes).await.unwrap();
                for _ in 0..noise {
                    socket.send_to(b"noise", from).await.unwrap();
                }
                socket.send_to(&says(&bytes[..len], [203, 0, 113, 7]), from).await.unwrap();
            });
            at
        };
        assert_eq!(
            ask(at(STUN_DATAGRAMS - 1).await, HERE).await,
            Some([203, 0, 113, 7].into()),
            "at the limit"
        );
        assert_eq!(ask(at(STUN_DATAGRAMS).await, HERE).await, None, "one beyond");
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_waited_for_so_long() {
        let began = Instant::now();
        assert_eq!(ask(server(|_| Vec::new()).await, HERE).await, None);
        let most: Duration = STUN_WAITS.iter().sum();
        assert!((most..most + Duration::from_secs(1)).contains(&began.elapsed()), "{:?}", began.elapsed());
    }

    #[test]
    fn each_family_that_media_uses_is_asked_for() {
        let of = |ip: &str| ways(ip.parse().unwrap()).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(of("0.0.0.0"), ["0.0.0.0"]);
        assert_eq!(of("::"), ["0.0.0.0", "::"]);
        assert_eq!(
            (of("192.0.2.1"), of("2001:db8::1")),
            (vec!["192.0.2.1".into()], vec!["2001:db8::1".into()])
        );
    }
}
