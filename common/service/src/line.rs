//! Messages with descriptors in and out, between a process and the one that it starts as its successor.
//!
//! A pair of sockets without a name: nobody else can reach it, and its other end closes when that process ends.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair, sockopt,
};
use tokio::io::Interest;
use tokio::net::UnixDatagram;

use crate::limits::{LINE_BYTES, LINE_DESCRIPTORS};

/// One end. It keeps messages apart as the socket's type does, and tells of the end besides.
#[derive(Debug)]
pub struct Line(UnixDatagram);

/// Two ends of a pair that keeps messages apart and tells of the end of the other.
///
/// # Errors
/// There are no more descriptors.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// Standard input, when a process before this one gave it one end.
pub fn inherited() -> Option<OwnedFd> {
    let input = io::stdin();
    let is_one = sockopt::socket_domain(&input).is_ok_and(|d| d == AddressFamily::UNIX)
        && sockopt::socket_type(&input).is_ok_and(|t| t == SocketType::SEQPACKET);
    is_one.then(|| input.as_fd().try_clone_to_owned().ok()).flatten()
}

impl Line {
    /// # Errors
    /// It cannot be waited for.
    pub fn of(end: OwnedFd) -> io::Result<Self> {
        UnixDatagram::from_std(end.into()).map(Self)
    }

    /// Waits for room.
    ///
    /// # Errors
    /// The other end is closed, or the message is longer than [`LINE_BYTES`] or has more than [`LINE_DESCRIPTORS`].
    pub async fn send(&self, message: &[u8], with: &[BorrowedFd<'_>]) -> io::Result<()> {
        if message.is_empty() || message.len() > LINE_BYTES || with.len() > LINE_DESCRIPTORS {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let sent = self.0.async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LINE_DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !with.is_empty() && !control.push(SendAncillaryMessage::ScmRights(with)) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            Ok(sendmsg(&self.0, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL)?)
        });
        sent.await.map(drop)
    }

    /// The next message; `None` when the other process has ended.
    ///
    /// # Errors
    /// What the system says, or a message beyond the limits.
    pub async fn receive(&self) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
        let mut message = vec![0; LINE_BYTES];
        let mut with = Vec::new();
        let received = self.0.async_io(Interest::READABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(LINE_DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut into = [IoSliceMut::new(&mut message)];
            let got = recvmsg(&self.0, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            for said in control.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = said {
                    with.extend(descriptors);
                }
            }
            Ok(got)
        });
        let got = match received.await {
            Ok(got) => got,
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(e) => return Err(e),
        };
        if got.bytes == 0 {
            return Ok(None);
        }
        if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        message.truncate(got.bytes);
        Ok(Some((message, with)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};

    use super::*;

    #[tokio::test]
    async fn messages_and_descriptors_arrive_as_they_were_sent_and_the_end_is_told() {
        let (here, there) = pair().unwrap();
        let (here, there) = (Line::of(here).unwrap(), Line::of(there).unwrap());
        let (mut read, mut write) = std::os::unix::net::UnixStream::pair().unwrap();
        here.send(b"first", &[read.as_fd()]).await.unwrap();
        here.send(b"second", &[]).await.unwrap();
        let (message, with) = there.receive().await.unwrap().unwrap();
        assert_eq!((message.as_slice(), with.len()), (&b"first"[..], 1));
        write.write_all(b"x").unwrap();
        let mut one = [0];
        File::from(with.into_iter().next().unwrap()).read_exact(&mut one).unwrap();
        assert_eq!(there.receive().await.unwrap().unwrap().0, b"second");
        drop(here);
        assert!(there.receive().await.unwrap().is_none());
        assert!(there.send(b"x", &[]).await.is_err());
        drop(write);
        assert_eq!(read.read(&mut one).unwrap(), 0, "nothing else holds it");
    }

    #[tokio::test]
    async fn messages_and_descriptors_have_a_limit() {
        let (here, there) = pair().unwrap();
        let (here, there) = (Line::of(here).unwrap(), Line::of(there).unwrap());
        let (one, _other) = pair().unwrap();
        let with = vec![one.as_fd(); LINE_DESCRIPTORS];
        here.send(&vec![1; LINE_BYTES], &with).await.unwrap();
        let (message, with) = there.receive().await.unwrap().unwrap();
        assert_eq!((message.len(), with.len()), (LINE_BYTES, LINE_DESCRIPTORS));
        let with = vec![one.as_fd(); LINE_DESCRIPTORS + 1];
        assert!(here.send(b"x", &with).await.is_err());
        assert!(here.send(&vec![1; LINE_BYTES + 1], &[]).await.is_err());
    }
}
