//! The way between us and a peer: two addresses and what carries packets between them in; packets handed to the sink out.

use std::net::SocketAddr;

use crate::DatagramSink;

/// A pair of addresses media goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) carrier: Carrier,
    /// Our socket.
    pub(crate) local: SocketAddr,
    /// The peer.
    pub(crate) remote: SocketAddr,
}

/// What carries packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Carrier {
    Udp,
    /// A connection that the peer made (RFC 6544, passive), with a length before each packet (RFC 4571).
    Tcp,
}

impl Path {
    pub(crate) fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { carrier: Carrier::Udp, local, remote }
    }

    pub(crate) fn tcp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { carrier: Carrier::Tcp, local, remote }
    }

    /// Sends one packet; see [`DatagramSink::send`].
    pub(crate) fn send(
        &self,
        out: &mut dyn DatagramSink,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        match self.carrier {
            Carrier::Udp => out.send(self.remote, self.local, max_len, fill),
            Carrier::Tcp => out.send_framed(self.remote, self.local, max_len, fill),
        }
    }
}

impl Carrier {
    /// As the ICE agent calls it.
    pub(crate) fn protocol(self) -> is::Protocol {
        match self {
            Self::Udp => is::Protocol::Udp,
            Self::Tcp => is::Protocol::Tcp,
        }
    }

    /// As the ICE agent calls it; it has none of the others.
    pub(crate) fn of(protocol: is::Protocol) -> Self {
        match protocol {
            is::Protocol::Tcp => Self::Tcp,
            _ => Self::Udp,
        }
    }
}
