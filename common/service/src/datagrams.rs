//! Datagrams between two processes that have the same sockets, one of which goes on with the meetings that it has: those of nobody here in,
//! with their addresses, to the process before; what the successor passes back, out.
//!
//! Only one of the two reads a socket at a time: the successor, once it serves. Both send. What finds no room is dropped, as a router
//! drops it.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;

use crate::limits::PASSED_DATAGRAM;

/// To the process before.
#[derive(Debug)]
pub struct Before {
    way: UnixDatagram,
    message: Vec<u8>,
}

/// From the successor.
#[derive(Debug)]
pub struct After {
    way: UnixDatagram,
    message: Vec<u8>,
    /// May have more; the system tells only once.
    pub readable: bool,
}

impl Before {
    /// One end of [`crate::line::pair`].
    pub fn new(way: OwnedFd) -> Self {
        Self { way: way.into(), message: Vec::with_capacity(HEADER + PASSED_DATAGRAM) }
    }

    /// Whether there was room.
    ///
    /// # Errors
    /// That process has ended.
    pub fn pass(&mut self, remote: SocketAddr, local: SocketAddr, data: &[u8]) -> io::Result<bool> {
        if data.len() > PASSED_DATAGRAM {
            return Ok(false);
        }
        self.message.clear();
        write(&mut self.message, remote);
        write(&mut self.message, local);
        self.message.extend_from_slice(data);
        match self.way.send(&self.message) {
            Ok(_) => Ok(true),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(false),
            Err(e) => Err(e),
        }
    }
}

impl After {
    /// The other one.
    pub fn new(way: OwnedFd) -> Self {
        Self { way: way.into(), message: vec![0; HEADER + PASSED_DATAGRAM], readable: true }
    }

    /// The next datagram, with where it came from and to which of our addresses. `None`: there is no more at the moment.
    ///
    /// # Errors
    /// The successor has ended.
    pub fn receive(&mut self) -> io::Result<Option<(SocketAddr, SocketAddr, &mut [u8])>> {
        let len = match self.way.recv(&mut self.message) {
            // Nothing is sent empty.
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => len,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                self.readable = false;
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        let message = self.message.get_mut(..len).unwrap_or_default();
        let (Some(remote), Some(local)) = (read(message), message.get(ADDRESS..).and_then(read)) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        Ok(Some((remote, local, message.get_mut(HEADER..).unwrap_or_default())))
    }
}

impl AsRawFd for After {
    fn as_raw_fd(&self) -> RawFd {
        self.way.as_raw_fd()
    }
}

fn write(to: &mut Vec<u8>, address: SocketAddr) {
    let (ip, scope, is_v4) = match address {
        SocketAddr::V4(a) => (a.ip().to_ipv6_mapped(), 0, 1),
        SocketAddr::V6(a) => (*a.ip(), a.scope_id(), 0),
    };
    to.push(is_v4);
    to.extend(ip.octets());
    to.extend(scope.to_be_bytes());
    to.extend(address.port().to_be_bytes());
}

fn read(from: &[u8]) -> Option<SocketAddr> {
    let (&[is_v4], from) = from.split_first_chunk()?;
    let (ip, from) = from.split_first_chunk::<16>()?;
    let (scope, from) = from.split_first_chunk()?;
    let port = u16::from_be_bytes(*from.first_chunk()?);
    let ip = Ipv6Addr::from(*ip);
    Some(match ip.to_ipv4_mapped().filter(|_| is_v4 == 1) {
        Some(v4) => SocketAddr::new(IpAddr::V4(v4), port),
        None => SocketAddrV6::new(ip, port, 0, u32::from_be_bytes(*scope)).into(),
    })
}

const ADDRESS: usize = 1 + 16 + 4 + 2;
const HEADER: usize = 2 * ADDRESS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_arrives_with_its_addresses_as_it_was_and_the_end_is_told() {
        let (here, there) = crate::line::pair().unwrap();
        let (mut before, mut after) = (Before::new(here), After::new(there));
        assert!(after.receive().unwrap().is_none() && !after.readable);
        for (remote, local) in [
            ("192.0.2.7:4711", "198.51.100.1:10000"),
            ("[2001:db8::7]:4711", "[fe80::1%3]:10000"),
            ("[::ffff:192.0.2.7]:1", "127.0.0.1:2"),
        ] {
            let (remote, local) = (remote.parse().unwrap(), local.parse().unwrap());
            assert!(before.pass(remote, local, &[7; PASSED_DATAGRAM]).unwrap());
            let (from, to, data) = after.receive().unwrap().expect("it is there");
            assert_eq!((from, to, &*data), (remote, local, &[7; PASSED_DATAGRAM][..]));
            assert!(!before.pass(remote, local, &[7; PASSED_DATAGRAM + 1]).unwrap(), "one beyond");
        }
        drop(before);
        assert!(after.receive().is_err());
        let (here, there) = crate::line::pair().unwrap();
        drop(there);
        assert!(
            Before::new(here)
                .pass("192.0.2.7:1".parse().unwrap(), "192.0.2.7:2".parse().unwrap(), b"x")
                .is_err()
        );
    }

    #[test]
    fn who_does_not_read_holds_nobody_up() {
        let (here, _there) = crate::line::pair().unwrap();
        let mut before = Before::new(here);
        let at = "192.0.2.7:1".parse().unwrap();
        let taken = (0..10_000).take_while(|_| before.pass(at, at, &[0; 200]).unwrap()).count();
        assert!((1..10_000).contains(&taken), "{taken}");
    }
}
