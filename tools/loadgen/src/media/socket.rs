//! A bridge's address in, a connected UDP socket out; and datagrams of such sockets, many per system call, with the
//! time at which the kernel got them.

use std::fs;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};

use anyhow::{Context, Result};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, recvmmsg, setsockopt,
    sockopt::{RcvBuf, RcvBufForce, ReceiveTimestampns},
};
use nix::sys::time::TimeSpec;

/// Datagrams per system call.
pub(crate) const BATCH: usize = 32;
/// More than any datagram of a bridge.
pub(crate) const BUFFER: usize = 2_048;
/// Bytes of receive buffer: drops at the sinks would look like the bridge's.
const RECEIVE_BUFFER: usize = 8 << 20;

/// A non-blocking socket that talks to `remote` only. No `UDP_GRO`: a real client's packets arrive one by one.
pub(crate) fn connect(remote: SocketAddr) -> Result<UdpSocket> {
    let any: SocketAddr = if remote.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket =
        UdpSocket::bind(any).context("no UDP socket (perhaps too many open files: see ulimit -n)")?;
    socket.connect(remote).with_context(|| format!("no way to the bridge's address {remote}"))?;
    socket.set_nonblocking(true)?;
    if setsockopt(&socket, RcvBufForce, &RECEIVE_BUFFER).is_err() {
        let _ = setsockopt(&socket, RcvBuf, &RECEIVE_BUFFER);
    }
    setsockopt(&socket, ReceiveTimestampns, &true).context("no kernel timestamps")?;
    Ok(socket)
}

/// Buffers for one `recvmmsg`.
pub(crate) struct Batch {
    headers: MultiHeaders<()>,
    buffers: Vec<[u8; BUFFER]>,
    /// Length, and nanoseconds of the real-time clock, 0 = unknown.
    filled: [(usize, u64); BATCH],
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(TimeSpec))),
            buffers: vec![[0; BUFFER]; BATCH],
            filled: [(0, 0); BATCH],
        }
    }

    /// Receives what is there, at most a batch; of each datagram at most `most` bytes. Bytes that are not looked at
    /// need not travel from the bridge's core to ours.
    pub(crate) fn receive(&mut self, fd: RawFd, most: usize) -> io::Result<usize> {
        let mut rest = self.buffers.iter_mut().map(|b| &mut b[..most.min(BUFFER)]);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(rest.next().map_or(&mut [], |b| b))]);
        // The length is told in full even when not all is wanted.
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
        let results = recvmmsg(fd, &mut self.headers, slices.iter_mut(), flags, None)?;
        let mut count = 0;
        for (result, filled) in results.zip(&mut self.filled) {
            let time = result.cmsgs().ok().and_then(|mut all| {
                all.find_map(|c| match c {
                    ControlMessageOwned::ScmTimestampns(t) => Some(t),
                    _ => None,
                })
            });
            let nanos = time.map_or(0, |t| t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64);
            *filled = (result.bytes, nanos);
            count += 1;
        }
        Ok(count)
    }

    /// The datagram with this number of the last call, as much as was wanted, with its length and when it arrived.
    pub(crate) fn datagram(&mut self, at: usize, most: usize) -> (&mut [u8], usize, u64) {
        let (len, time) = self.filled[at];
        (&mut self.buffers[at][..len.min(most).min(BUFFER)], len, time)
    }
}

/// Datagrams the kernel threw away because a socket of ours was full, of all sockets with these ports.
pub(crate) fn drops(is_ours: impl Fn(u16) -> bool) -> u64 {
    let mut drops = 0;
    for table in ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"] {
        let Ok(text) = fs::read_to_string(table) else { continue };
        for line in text.lines().skip(1) {
            let mut fields = line.split_ascii_whitespace();
            let port = fields.nth(1).and_then(|a| u16::from_str_radix(a.rsplit(':').next()?, 16).ok());
            if port.is_some_and(&is_ours) {
                drops += fields.next_back().and_then(|d| d.parse::<u64>().ok()).unwrap_or(0);
            }
        }
    }
    drops
}

/// For the poll.
pub(crate) fn descriptor(socket: &UdpSocket) -> RawFd {
    socket.as_raw_fd()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_with_their_time_and_overflows_are_counted() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = connect(server.local_addr().unwrap()).unwrap();
        let ours = socket.local_addr().unwrap();
        for i in 0..3u8 {
            server.send_to(&[i; 20], ours).unwrap();
        }
        let mut batch = Batch::new();
        for round in 0..2 {
            assert_eq!(batch.receive(descriptor(&socket), BUFFER).unwrap(), 3, "round {round}");
            for i in 0..3 {
                let (data, len, time) = batch.datagram(i, 10);
                assert_eq!((len, &*data), (20, &[i as u8; 10][..]));
                let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
                let age = now.as_nanos() as u64 - time;
                assert!(age < 5_000_000_000, "{age}");
                server.send_to(&[i as u8; 20], ours).unwrap();
            }
        }
        assert_eq!(batch.receive(descriptor(&socket), BUFFER).unwrap(), 3);
        assert_eq!(batch.receive(descriptor(&socket), BUFFER).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        setsockopt(&socket, RcvBuf, &2_000).unwrap();
        assert_eq!(drops(|p| p == ours.port()), 0);
        for _ in 0..100 {
            server.send_to(&[0; 1_000], ours).unwrap();
        }
        assert!(drops(|p| p == ours.port()) >= 90);
    }
}
