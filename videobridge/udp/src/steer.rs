//! Which thread each peer's datagrams are for in; a program with which the kernel gives them to that thread's socket, out.
//!
//! Sockets that share a port are chosen by a hash of the peer, which knows nothing of conferences. A classic BPF program
//! (`SO_ATTACH_REUSEPORT_CBPF`, Linux 4.5, no privilege needed) names another one for the peers that it lists, and leaves all others to
//! the hash. It is a hint and nothing more: a datagram may still come to any thread.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_H, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_MISC};
use libc::{BPF_MUL, BPF_RET, BPF_TAX, BPF_W, BPF_X, BPF_XOR, sock_filter};

use crate::UdpSocket;
use crate::limits::{STEERED, STEERED_TOGETHER};

/// Peers of one local address, each with the place of its socket in the order in which those were bound.
#[derive(Debug, Clone, Default)]
pub struct Steering {
    /// Sorted by the peer's key, each once.
    peers: Vec<(u32, u16)>,
}

impl Steering {
    /// Of these peers, the first [`STEERED`]. Two whose keys are the same go where the first one goes.
    pub fn new(peers: impl IntoIterator<Item = (SocketAddr, u16)>) -> Self {
        let mut peers: Vec<_> = peers.into_iter().take(STEERED).map(|(peer, to)| (key(peer), to)).collect();
        peers.sort_by_key(|(key, _)| *key);
        peers.dedup_by_key(|(key, _)| *key);
        Self { peers }
    }

    /// Has the kernel choose among the sockets that share the port of `socket`, from the next datagram on.
    ///
    /// # Errors
    /// What the operating system says: the port is not shared, the kernel is too old, or the program is too large for its
    /// `net.core.optmem_max`.
    pub fn attach(&self, socket: &UdpSocket) -> io::Result<()> {
        let mut program = self.program(socket.local_address().is_ipv6());
        let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
        // SAFETY: the descriptor is open as long as `socket` lives. `program` points at `len` instructions in a vector that is
        // neither moved nor changed until the call returns; the kernel copies and checks them and keeps no pointer.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_REUSEPORT_CBPF,
                std::ptr::from_ref(&program).cast(),
                size_of::<libc::sock_fprog>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn program(&self, ipv6: bool) -> Vec<sock_filter> {
        let mut program = Vec::new();
        // The key of the sender. An IP header with options or extensions gives another one, and so the hash.
        let (port, words): (u32, &[u32]) = if ipv6 { (40, &[8, 12, 16, 20]) } else { (20, &[12]) };
        program.push(of(BPF_LD | BPF_H | BPF_ABS, NETWORK + port));
        program.push(of(BPF_ALU | BPF_MUL | BPF_K, SPREAD));
        for word in words {
            program.push(of(BPF_MISC | BPF_TAX, 0));
            program.push(of(BPF_LD | BPF_W | BPF_ABS, NETWORK + word));
            program.push(of(BPF_ALU | BPF_XOR | BPF_X, 0));
        }
        program.push(of(BPF_ALU | BPF_AND | BPF_K, KEY));
        search(&self.peers, &mut program);
        program
    }
}

/// Where to, by the key in the accumulator.
fn search(peers: &[(u32, u16)], program: &mut Vec<sock_filter>) {
    if peers.len() <= STEERED_TOGETHER {
        return together(peers, program);
    }
    let (left, right) = peers.split_at(peers.len() / 2);
    let Some((pivot, _)) = right.first() else { return };
    program.push(sock_filter { jt: 0, jf: 1, ..of(BPF_JMP | BPF_JGE | BPF_K, *pivot) });
    let jump = program.len();
    program.push(of(BPF_JMP | BPF_JA, 0));
    search(left, program);
    let over = program.len() - jump - 1;
    if let Some(jump) = program.get_mut(jump) {
        // A program has 4,096 instructions at most.
        jump.k = over as u32;
    }
    search(right, program);
}

/// Few: one after the other, and an end for each place that any of them goes to.
fn together(peers: &[(u32, u16)], program: &mut Vec<sock_filter>) {
    let mut places: Vec<u16> = peers.iter().map(|(_, to)| *to).collect();
    places.sort_unstable();
    places.dedup();
    for (at, (key, to)) in peers.iter().enumerate() {
        let place = places.iter().position(|place| place == to).unwrap_or(0);
        // Over the other peers and the end for unknown ones; few enough for the 255 that a jump can do.
        let jt = u8::try_from(peers.len() - at + place).unwrap_or(0);
        program.push(sock_filter { jt, ..of(BPF_JMP | BPF_JEQ | BPF_K, *key) });
    }
    program.push(of(BPF_RET | BPF_K, BY_HASH));
    program.extend(places.into_iter().map(|place| of(BPF_RET | BPF_K, place.into())));
}

/// What the program computes of a datagram from this peer.
fn key(peer: SocketAddr) -> u32 {
    let port = u32::from(peer.port()).wrapping_mul(SPREAD);
    let address = match peer.ip() {
        IpAddr::V4(ip) => ip.to_bits(),
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            (bits >> 96) as u32 ^ (bits >> 64) as u32 ^ (bits >> 32) as u32 ^ bits as u32
        }
    };
    (address ^ port) & KEY
}

const fn of(code: u32, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Offsets from here on count from the IP header.
const NETWORK: u32 = libc::SKF_NET_OFF as u32;
/// Odd, so that no two ports of one address have the same key.
const SPREAD: u32 = 0x9e37_79b1;
/// The kernel needs two instructions for numbers beyond.
const KEY: u32 = 0x7fff_ffff;
/// No socket has this place: the kernel takes its hash.
const BY_HASH: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Client;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::{RecvBatch, SocketOptions};

    fn sharing(ip: &str, count: usize) -> Vec<UdpSocket> {
        let options = SocketOptions { reuse_port: true, ..SocketOptions::default() };
        let mut at = SocketAddr::new(ip.parse().unwrap(), 0);
        let mut bind = || {
            let (socket, _) = UdpSocket::bind(at, &options).unwrap();
            at = socket.local_address();
            socket
        };
        (0..count).map(|_| bind()).collect()
    }

    /// Which socket got what `client` sends now.
    fn arrives(client: &Client, sockets: &[UdpSocket]) -> usize {
        client.send_to(b"x", sockets[0].local_address()).unwrap();
        let mut batch = RecvBatch::new();
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            assert!(Instant::now() < deadline, "nobody got it");
            if let Some(at) = sockets.iter().position(|socket| batch.receive(socket).is_ok()) {
                return at;
            }
        }
    }

    #[test]
    fn peers_come_to_the_socket_that_they_are_steered_to_and_others_to_that_of_the_hash() {
        for ip in ["127.0.0.1", "::1"] {
            let sockets = sharing(ip, 3);
            // More than stand together, so that the program has several ends.
            let clients: Vec<_> = (0..3 * STEERED_TOGETHER).map(|_| Client::bind((ip, 0)).unwrap()).collect();
            let (steered, others) = clients.split_at(clients.len() - 8);
            let before: Vec<_> = others.iter().map(|client| arrives(client, &sockets)).collect();
            for turn in 0..3 {
                let to = |n: usize| (n + turn) % 3;
                let peers = steered.iter().enumerate();
                let peers = peers.map(|(n, c)| (c.local_addr().unwrap(), u16::try_from(to(n)).unwrap()));
                // Any of them can be asked.
                Steering::new(peers).attach(&sockets[turn]).unwrap();
                for (n, client) in steered.iter().enumerate() {
                    assert_eq!(arrives(client, &sockets), to(n), "{ip}, {n}");
                }
                let now: Vec<_> = others.iter().map(|client| arrives(client, &sockets)).collect();
                assert_eq!(now, before, "{ip}");
            }
        }
    }

    #[test]
    fn no_more_peers_are_steered_than_fit_into_a_program() {
        let peer = |n: usize| {
            let [.., high, low] = n.to_be_bytes();
            // As many places as there can be.
            (SocketAddr::from(([192, 0, high, low], 5_000)), u16::try_from(n % 64).unwrap())
        };
        let full = Steering::new((0..STEERED).map(peer));
        assert_eq!(full.peers.len(), STEERED, "at the limit");
        assert_eq!(Steering::new((0..=STEERED).map(peer)).peers.len(), STEERED, "one beyond");
        assert!(full.program(true).len() <= 4_096, "{}", full.program(true).len());
        let sockets = sharing("127.0.0.1", 2);
        full.attach(&sockets[0]).unwrap();
    }

    #[test]
    fn a_port_that_is_not_shared_is_an_error() {
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &SocketOptions::default()).unwrap().0;
        assert!(Steering::default().attach(&socket).is_err());
    }
}
