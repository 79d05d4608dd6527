//! A datagram and where it goes in; the same with the header that is written in front of it out; and what else an engine wants done.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use crate::message;

/// A client and the way it came (its 5-tuple; our own addresses are numbered).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// By datagrams.
    Datagram {
        /// Which of our sockets.
        socket: u16,
        /// The client's address.
        peer: SocketAddr,
    },
    /// By a stream.
    Stream {
        /// Ours, never used again.
        id: u64,
        /// The client's address.
        peer: SocketAddr,
    },
}

impl Client {
    /// Its address.
    pub const fn peer(&self) -> SocketAddr {
        match self {
            Self::Datagram { peer, .. } | Self::Stream { peer, .. } => *peer,
        }
    }

    pub(crate) const fn is_stream(&self) -> bool {
        matches!(self, Self::Stream { .. })
    }
}

/// A relay's socket. Given out again only after [`Output::Close`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId(pub usize);

/// Where the datagram at hand goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Nowhere.
    Nowhere,
    /// From a relay to a peer: these bytes of the buffer.
    Peer {
        /// From which relay.
        relay: RelayId,
        /// To whom.
        to: SocketAddr,
        /// What.
        payload: Range<usize>,
    },
    /// To a client: these bytes of the buffer.
    Client {
        /// To whom.
        client: Client,
        /// What, with its header and, for a stream, padding.
        message: Range<usize>,
    },
}

/// What else is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this to a client.
    Answer {
        /// To whom.
        client: Client,
        /// What.
        bytes: Vec<u8>,
    },
    /// Open a UDP socket at this address and say how it went ([`Turn::handle_opened`]).
    Open {
        /// For which relay.
        relay: RelayId,
        /// Where; the port is the system's choice.
        address: IpAddr,
    },
    /// Close the socket.
    Close {
        /// Of which relay.
        relay: RelayId,
    },
}

/// Bytes that a buffer needs in front of a datagram, and behind it, for what [`Route::Client`] adds.
pub const HEADROOM: usize = 48;
/// See [`HEADROOM`].
pub const TAILROOM: usize = 3;

/// Channel data, padded on a stream (RFC 8656 §12.5).
pub(crate) fn channel_message(
    buffer: &mut [u8],
    payload: Range<usize>,
    number: u16,
    padded: bool,
) -> Option<Range<usize>> {
    let start = payload.start.checked_sub(4)?;
    let [n0, n1] = number.to_be_bytes();
    let [l0, l1] = u16::try_from(payload.len()).ok()?.to_be_bytes();
    buffer.get_mut(start..payload.start)?.copy_from_slice(&[n0, n1, l0, l1]);
    if !padded {
        return Some(start..payload.end);
    }
    let end = payload.start + payload.len().next_multiple_of(4);
    buffer.get_mut(payload.end..end)?.fill(0);
    Some(start..end)
}

/// A Data indication (RFC 8656 §11.4).
pub(crate) fn data_indication(
    buffer: &mut [u8],
    payload: Range<usize>,
    from: SocketAddr,
    number: u64,
) -> Option<Range<usize>> {
    let address = if from.is_ipv4() { 8 } else { 20 };
    let start = payload.start.checked_sub(20 + 4 + address + 4)?;
    let end = payload.start + payload.len().next_multiple_of(4);
    let mut transaction = [0; 12];
    for (b, n) in transaction.iter_mut().skip(4).zip(number.to_be_bytes()) {
        *b = n;
    }
    buffer.get_mut(payload.end..end)?.fill(0);
    let head = buffer.get_mut(start..payload.start)?;
    let len = u16::try_from(end - start - 20).ok()?;
    let (kind, rest) = head.split_at_mut_checked(8)?;
    kind.get_mut(..2)?.copy_from_slice(&message::DATA_INDICATION.to_be_bytes());
    kind.get_mut(2..4)?.copy_from_slice(&len.to_be_bytes());
    kind.get_mut(4..)?.copy_from_slice(&message::MAGIC);
    let (id, rest) = rest.split_at_mut_checked(12)?;
    id.copy_from_slice(&transaction);
    let (peer, data) = rest.split_at_mut_checked(4 + address)?;
    peer.get_mut(..2)?.copy_from_slice(&message::XOR_PEER_ADDRESS.to_be_bytes());
    peer.get_mut(2..4)?.copy_from_slice(&u16::try_from(address).ok()?.to_be_bytes());
    message::write_address(peer.get_mut(4..)?, from, &transaction)?;
    data.get_mut(..2)?.copy_from_slice(&message::DATA.to_be_bytes());
    data.get_mut(2..)?.copy_from_slice(&u16::try_from(payload.len()).ok()?.to_be_bytes());
    Some(start..end)
}
