//! Datagrams written into one reused slab in; grouped by receiver into trains and handed to the kernel, out.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use hashbrown::HashMap;
use socket2::SockAddr;

use crate::UdpSocket;
use crate::limits::{MAX_SEGMENTED_BYTES, MAX_SEGMENTS, QUEUE_BYTES, QUEUE_DATAGRAMS, SEND_BATCH};

/// Outgoing datagrams of one thread, until the next [`SendBatch::flush`].
///
/// Datagrams of one receiver leave in the order they were queued. Runs of equal size (the last may be shorter)
/// become one message the kernel or the network card cuts again: most of the cost of sending is per message.
pub struct SendBatch {
    slab: Vec<u8>,
    used: usize,
    datagrams: Vec<Datagram>,
    receivers: Vec<Receiver>,
    /// Where in `receivers` the last datagram went.
    last: usize,
    /// (receiver, socket) → index in `receivers`.
    index: HashMap<(SocketAddr, usize), usize, foldhash::fast::RandomState>,
    messages: Vec<Message>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    controls: Vec<Control>,
}

/// Room for one `UDP_SEGMENT` (a cmsghdr and a u16), aligned for `cmsghdr`.
type Control = [u64; 3];

struct Datagram {
    start: usize,
    len: usize,
    /// The next one for the same receiver.
    next: Option<usize>,
}

struct Receiver {
    to: SocketAddr,
    address: SockAddr,
    socket: usize,
    first: usize,
    last: usize,
    /// Who was next the last time: packets go to the same receivers in the same order again and again.
    successor: usize,
}

/// A train: `segments` datagrams starting with `first` in the receiver's chain.
#[derive(Clone, Copy)]
struct Message {
    receiver: usize,
    first: usize,
    segments: usize,
    segment_len: usize,
}

/// What a flush did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Datagrams the kernel took.
    pub sent: u64,
    /// Messages they went in.
    pub messages: u64,
    /// Datagrams dropped because a socket's buffer was full.
    pub dropped_full: u64,
    /// Datagrams the kernel refused, e.g. no route.
    pub dropped_error: u64,
}

impl SendBatch {
    /// An empty queue.
    pub fn new() -> Self {
        // SAFETY: plain C structs for which all bytes zero is a valid value.
        let (iovec, header) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            slab: vec![0; QUEUE_BYTES],
            used: 0,
            datagrams: Vec::with_capacity(QUEUE_DATAGRAMS),
            receivers: Vec::with_capacity(QUEUE_DATAGRAMS),
            last: 0,
            index: HashMap::with_capacity_and_hasher(QUEUE_DATAGRAMS, foldhash::fast::RandomState::default()),
            messages: Vec::with_capacity(QUEUE_DATAGRAMS),
            iovecs: vec![iovec; SEND_BATCH * MAX_SEGMENTS],
            headers: vec![header; SEND_BATCH],
            controls: vec![[0; 3]; SEND_BATCH],
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Whether a datagram of up to `max_len` bytes can be queued without a flush.
    pub fn has_room(&self, max_len: usize) -> bool {
        self.datagrams.len() < QUEUE_DATAGRAMS && max_len <= self.slab.len() - self.used
    }

    /// Queues one datagram from the socket with index `socket` to `to`: `fill` writes it into the `max_len` bytes it
    /// gets and returns its length, 0 for none. Returns false, without calling `fill`, when there is no room.
    pub fn queue(
        &mut self,
        to: SocketAddr,
        socket: usize,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> bool {
        if !self.has_room(max_len) {
            return false;
        }
        let start = self.used;
        let Some(room) = self.slab.get_mut(start..start + max_len) else { return false };
        let len = fill(room).min(max_len);
        if len == 0 {
            return true;
        }
        self.used += len;
        let this = self.datagrams.len();
        self.datagrams.push(Datagram { start, len, next: None });
        let at = self.receiver(to, socket, this);
        if let Some(receiver) = self.receivers.get_mut(at)
            && receiver.last != this
        {
            if let Some(before) = self.datagrams.get_mut(receiver.last) {
                before.next = Some(this);
            }
            receiver.last = this;
        }
        true
    }

    /// The index of a receiver; a new one begins with the datagram `first`.
    fn receiver(&mut self, to: SocketAddr, socket: usize, first: usize) -> usize {
        let guess = self.receivers.get(self.last).map_or(0, |r| r.successor);
        let is_it = |r: &Receiver| r.to == to && r.socket == socket;
        if self.receivers.get(guess).is_some_and(is_it) {
            self.last = guess;
            return guess;
        }
        let new = self.receivers.len();
        let at = *self.index.entry((to, socket)).or_insert(new);
        if at == new {
            let address = to.into();
            self.receivers.push(Receiver { to, address, socket, first, last: first, successor: 0 });
        }
        if let Some(before) = self.receivers.get_mut(self.last) {
            before.successor = at;
        }
        self.last = at;
        at
    }

    /// Sends everything and empties the queue. `sockets` are those the indices refer to.
    pub fn flush(&mut self, sockets: &mut [UdpSocket]) -> Flushed {
        let mut done = Flushed::default();
        if self.datagrams.is_empty() {
            return done;
        }
        for (at, socket) in sockets.iter_mut().enumerate() {
            self.group(at, socket.gso());
            self.send_messages(socket, &mut done);
        }
        self.used = 0;
        self.datagrams.clear();
        self.receivers.clear();
        self.last = 0;
        self.index.clear();
        done
    }

    /// Builds the messages for one socket.
    fn group(&mut self, socket: usize, gso: bool) {
        self.messages.clear();
        for (number, receiver) in self.receivers.iter().enumerate().filter(|(_, r)| r.socket == socket) {
            let mut open: Option<Message> = None;
            let mut bytes = 0;
            let mut at = Some(receiver.first);
            while let Some((this, datagram)) = at.and_then(|i| self.datagrams.get(i).map(|d| (i, d))) {
                at = datagram.next;
                let joined = match &mut open {
                    Some(train)
                        if gso
                            && datagram.len <= train.segment_len
                            && train.segments < MAX_SEGMENTS
                            && bytes + datagram.len <= MAX_SEGMENTED_BYTES =>
                    {
                        train.segments += 1;
                        bytes += datagram.len;
                        true
                    }
                    _ => false,
                };
                if !joined {
                    self.messages.extend(open.take());
                    bytes = datagram.len;
                    open = Some(Message {
                        receiver: number,
                        first: this,
                        segments: 1,
                        segment_len: datagram.len,
                    });
                } else if open.is_some_and(|train| datagram.len < train.segment_len) {
                    // Only the last one of a train may be shorter.
                    self.messages.extend(open.take());
                }
            }
            self.messages.extend(open);
        }
    }

    fn send_messages(&mut self, socket: &mut UdpSocket, done: &mut Flushed) {
        let mut from = 0;
        while from < self.messages.len() {
            match self.send_some(socket, from) {
                Ok(count) => {
                    for message in self.messages.iter().skip(from).take(count) {
                        done.sent += message.segments as u64;
                        done.messages += 1;
                    }
                    from += count.max(1);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let rest = self.messages.iter().skip(from).map(|m| m.segments as u64);
                    done.dropped_full += rest.sum::<u64>();
                    return;
                }
                Err(error) => {
                    let Some(message) = self.messages.get(from).copied() else { return };
                    from += 1;
                    // EIO: the device can not cut trains. EINVAL: not this one, e.g. larger than the path's MTU.
                    let refused = matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL));
                    if message.segments > 1 && refused {
                        if error.raw_os_error() == Some(libc::EIO) {
                            socket.disable_gso();
                        }
                        self.split(from, message, socket.gso());
                    } else {
                        done.dropped_error += message.segments as u64;
                    }
                }
            }
        }
    }

    /// Replaces the rest of the messages, from `from` on, after a refused train: its datagrams one by one, and the
    /// trains behind it one by one, too, when there is no segmentation any more. Rare, so it may shift and grow.
    fn split(&mut self, from: usize, refused: Message, gso: bool) {
        let rest: Vec<Message> = self.messages.drain(from..).collect();
        for message in std::iter::once(refused).chain(rest) {
            let whole = message.segments == 1 || (gso && message.first != refused.first);
            if whole {
                self.messages.push(message);
                continue;
            }
            let mut at = Some(message.first);
            for _ in 0..message.segments {
                let Some((first, datagram)) = at.and_then(|i| self.datagrams.get(i).map(|d| (i, d))) else {
                    break;
                };
                at = datagram.next;
                self.messages.push(Message { first, segments: 1, segment_len: datagram.len, ..message });
            }
        }
    }

    /// One `sendmmsg` for the messages from `from` on; returns how many the kernel took.
    fn send_some(&mut self, socket: &UdpSocket, from: usize) -> io::Result<usize> {
        let mut count = 0;
        let mut iovec_at = 0;
        let places = self.headers.iter_mut().zip(&mut self.controls);
        for (message, (header, control)) in self.messages.iter().skip(from).zip(places) {
            let Some(receiver) = self.receivers.get(message.receiver) else { break };
            let Some(iovecs) = self.iovecs.get_mut(iovec_at..iovec_at + message.segments) else { break };
            let mut at = Some(message.first);
            let mut filled = 0;
            for iovec in iovecs.iter_mut() {
                let Some(datagram) = at.and_then(|i| self.datagrams.get(i)) else { break };
                let Some(bytes) = self.slab.get(datagram.start..datagram.start + datagram.len) else { break };
                // The kernel only reads it; iovec has no const form.
                iovec.iov_base = bytes.as_ptr().cast_mut().cast();
                iovec.iov_len = bytes.len();
                at = datagram.next;
                filled += 1;
            }
            let h = &mut header.msg_hdr;
            h.msg_name = receiver.address.as_ptr().cast_mut().cast();
            h.msg_namelen = receiver.address.len();
            h.msg_iov = iovecs.as_mut_ptr();
            h.msg_iovlen = filled as _;
            h.msg_flags = 0;
            if message.segments > 1 {
                set_segment_size(h, control, message.segment_len);
            } else {
                h.msg_control = std::ptr::null_mut();
                h.msg_controllen = 0;
            }
            iovec_at += message.segments;
            count += 1;
        }
        if count == 0 {
            return Ok(0);
        }
        // SAFETY: the descriptor is open. The first `count` headers (at most all) were just pointed at an address,
        // at iovecs into the slab and at a control area; all are owned by `self`, not moved or resized until the
        // call returns, and only read by the kernel except for `msg_len` of the headers.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count as libc::c_uint,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl Default for SendBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendBatch").field("datagrams", &self.datagrams.len()).finish_non_exhaustive()
    }
}

/// Tells the kernel where to cut.
fn set_segment_size(header: &mut libc::msghdr, control: &mut Control, segment_len: usize) {
    let size = u16::try_from(segment_len).unwrap_or(u16::MAX);
    header.msg_control = control.as_mut_ptr().cast();
    // SAFETY: pure arithmetic on a length.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<u16>() as u32) } as _;
    // SAFETY: the control area is non-null, aligned and at least as long as `msg_controllen` (24 bytes on all Linux
    // targets), so the first header exists and has room for its two bytes of data.
    unsafe {
        let cmsg = libc::CMSG_FIRSTHDR(header);
        (*cmsg).cmsg_level = libc::SOL_UDP;
        (*cmsg).cmsg_type = libc::UDP_SEGMENT;
        (*cmsg).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
        libc::CMSG_DATA(cmsg).cast::<u16>().write_unaligned(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of the messages for one socket, datagrams in queue order.
    fn messages(batch: &SendBatch) -> Vec<(usize, usize)> {
        batch.messages.iter().map(|m| (m.segments, m.segment_len)).collect()
    }

    fn queued() -> SendBatch {
        let mut batch = SendBatch::new();
        for len in [10, 10, 10, 20, 20] {
            batch.queue("127.0.0.1:9".parse().unwrap(), 0, len, &mut |room| room.len());
        }
        batch.group(0, true);
        assert_eq!(messages(&batch), [(3, 10), (2, 20)]);
        batch
    }

    #[test]
    fn a_train_the_path_refuses_is_sent_one_by_one_and_the_others_stay_trains() {
        let mut batch = queued();
        let refused = batch.messages[0];
        batch.split(1, refused, true);
        assert_eq!(messages(&batch)[1..], [(1, 10), (1, 10), (1, 10), (2, 20)]);
        assert_eq!(batch.messages[1..4].iter().map(|m| m.first).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_device_without_segmentation_gets_everything_one_by_one() {
        let mut batch = queued();
        let refused = batch.messages[0];
        batch.split(1, refused, false);
        assert_eq!(messages(&batch)[1..], [(1, 10), (1, 10), (1, 10), (1, 20), (1, 20)]);
    }

    #[test]
    fn receivers_in_any_order_get_their_datagrams_in_order() {
        let mut batch = SendBatch::new();
        let order = [0, 1, 2, 0, 1, 2, 2, 0, 1, 1, 0, 2, 1, 0];
        for (n, to) in order.into_iter().enumerate() {
            let (port, socket) = if to == 2 { (9, 1) } else { (9 + to, 0) };
            batch.queue(([127, 0, 0, 1], port).into(), socket, 1, &mut |room| {
                room.fill(n as u8);
                1
            });
        }
        assert_eq!(batch.receivers.len(), 3);
        for (receiver, to) in batch.receivers.iter().zip([0, 1, 2]) {
            let chain = std::iter::successors(Some(receiver.first), |at| batch.datagrams[*at].next);
            let wanted: Vec<_> = (0..order.len()).filter(|n| order[*n] == to).collect();
            assert_eq!(chain.collect::<Vec<_>>(), wanted, "{}", receiver.to);
        }
    }
}
