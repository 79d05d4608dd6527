//! A loopback socket and a batch of datagrams in; `recvmmsg` and `sendmmsg`, the latter with or without segmentation
//! offload, out. Everything is allocated once.

use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};
use socket2::SockRef;

/// Messages per system call.
pub(crate) const BATCH: usize = 64;
/// A slab that is sent while it is still in the cache.
const SLAB: usize = 128 * 1024;
/// The longest datagram taken; one more byte than it may have, so that a train that was not cut is seen.
const BUFFER: usize = 2048;
/// Asked for; the kernel grants at most `net.core.rmem_max`.
const SOCKET_BUFFER: usize = 8 << 20;

/// A socket of its own port with large buffers. Reading never waits (see [`wait`]); writing waits a little.
pub(crate) fn bind() -> Result<(UdpSocket, SockaddrIn)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no UDP port on loopback")?;
    let options = SockRef::from(&socket);
    options.set_recv_buffer_size(SOCKET_BUFFER)?;
    options.set_send_buffer_size(SOCKET_BUFFER)?;
    socket.set_write_timeout(Some(Duration::from_millis(100)))?;
    let port = socket.local_addr()?.port();
    Ok((socket, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into()))
}

/// How many datagrams surely fit into a socket's receive buffer: the kernel counts up to twice their bytes, and more.
pub(crate) fn capacity(socket: &UdpSocket) -> Result<u64> {
    Ok(SockRef::from(socket).recv_buffer_size()? as u64 / 4096)
}

/// Waits until there is something to read, at most 10 ms.
pub(crate) fn wait(socket: &UdpSocket) -> Result<()> {
    let mut sockets = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    match poll(&mut sockets, PollTimeout::from(10u8)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Received datagrams.
pub(crate) struct Inbox {
    buffers: Vec<[u8; BUFFER]>,
    lengths: [usize; BATCH],
    headers: MultiHeaders<SockaddrIn>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            buffers: vec![[0; BUFFER]; BATCH],
            lengths: [0; BATCH],
            headers: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// What is there, at most a batch; none when there is nothing.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> Result<impl Iterator<Item = &mut [u8]>> {
        let mut count = 0;
        {
            let mut buffers = self.buffers.iter_mut();
            let mut slices: [_; BATCH] = std::array::from_fn(|_| {
                [IoSliceMut::new(buffers.next().map_or(&mut [][..], |buffer| &mut buffer[..]))]
            });
            let flags = MsgFlags::MSG_DONTWAIT;
            match recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None) {
                Ok(messages) => {
                    for (length, message) in self.lengths.iter_mut().zip(messages) {
                        *length = message.bytes;
                        count += 1;
                    }
                }
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => return Err(error).context("receiving"),
            }
        }
        Ok(self
            .buffers
            .iter_mut()
            .zip(self.lengths)
            .take(count)
            .map(|(buffer, length)| &mut buffer[..length]))
    }
}

/// Datagrams to be sent, in messages of one receiver each.
pub(crate) struct Outbox {
    slab: Vec<u8>,
    used: usize,
    /// Where each message ends in the slab.
    ends: [usize; BATCH],
    receivers: [Option<SockaddrIn>; BATCH],
    count: usize,
    headers: MultiHeaders<SockaddrIn>,
    /// Bytes of every datagram, when messages are trains for the kernel to cut.
    segment: Option<u16>,
}

impl Outbox {
    /// For datagrams that are all of this length; up to `segments` of them form a message.
    pub(crate) fn new(datagram: usize, segments: usize) -> Result<Self> {
        let train = (segments > 1).then(|| u16::try_from(datagram)).transpose()?;
        Ok(Self {
            slab: vec![0; SLAB + datagram * segments],
            used: 0,
            ends: [0; BATCH],
            receivers: [None; BATCH],
            count: 0,
            headers: MultiHeaders::preallocate(BATCH, train.map(|_| cmsg_space!(u16))),
            segment: train,
        })
    }

    /// Room for one more datagram of the message that [`Self::finish`] will end.
    pub(crate) fn datagram(&mut self, length: usize) -> &mut [u8] {
        let start = self.used;
        self.used += length;
        &mut self.slab[start..self.used]
    }

    /// Ends a message. True: it is time to [`Self::flush`].
    pub(crate) fn finish(&mut self, receiver: SockaddrIn) -> bool {
        self.receivers[self.count] = Some(receiver);
        self.ends[self.count] = self.used;
        self.count += 1;
        self.count == BATCH || self.used >= SLAB
    }

    /// Hands all messages to the kernel. One that it refuses behind the first is lost; the sinks notice.
    pub(crate) fn flush(&mut self, socket: &UdpSocket) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let mut start = 0;
        let slices: [_; BATCH] = std::array::from_fn(|i| {
            let end = self.ends[i].max(start).min(self.used);
            let message = IoSlice::new(&self.slab[start..end]);
            start = end;
            [message]
        });
        let train = self.segment.as_ref().map(ControlMessage::UdpGsoSegments);
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            slices.iter().take(self.count),
            &self.receivers[..self.count],
            train.as_slice(),
            MsgFlags::empty(),
        );
        match sent {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error @ (Errno::EIO | Errno::EINVAL | Errno::ENOPROTOOPT)) if self.segment.is_some() => {
                return Err(error).context("this kernel does not cut trains of datagrams (UDP_SEGMENT)");
            }
            Err(error) => return Err(error).context("sending"),
        }
        (self.count, self.used) = (0, 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_cuts_a_train_into_the_datagrams_it_was_made_of() {
        let (sender, _) = bind().unwrap();
        let (sink, address) = bind().unwrap();
        let mut outbox = Outbox::new(100, 8).unwrap();
        for train in [8u8, 3, 1] {
            for i in 0..train {
                outbox.datagram(100).fill(train * 16 + i);
            }
            outbox.finish(address);
        }
        outbox.flush(&sender).unwrap();
        wait(&sink).unwrap();
        let mut inbox = Inbox::new();
        let received: Vec<Vec<u8>> = inbox.receive(&sink).unwrap().map(|d| d.to_vec()).collect();
        let expected: Vec<Vec<u8>> =
            [8u8, 3, 1].into_iter().flat_map(|t| (0..t).map(move |i| vec![t * 16 + i; 100])).collect();
        assert_eq!(received, expected);
        assert_eq!(inbox.receive(&sink).unwrap().count(), 0);
    }

    #[test]
    fn a_full_batch_goes_out_in_order_and_is_asked_for() {
        let (sender, _) = bind().unwrap();
        let (sink, address) = bind().unwrap();
        let mut outbox = Outbox::new(40, 1).unwrap();
        for i in 0..BATCH {
            outbox.datagram(40).fill(i as u8);
            assert_eq!(outbox.finish(address), i == BATCH - 1);
        }
        outbox.flush(&sender).unwrap();
        wait(&sink).unwrap();
        let mut inbox = Inbox::new();
        let received: Vec<u8> = inbox.receive(&sink).unwrap().map(|d| d[39]).collect();
        assert_eq!(received, (0..BATCH as u8).collect::<Vec<_>>());
    }
}
