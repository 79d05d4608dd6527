//! A readable socket in; a batch of datagrams with their senders out, in reused buffers.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use crate::UdpSocket;
use crate::limits::{RECEIVE_BATCH, RECEIVE_BUFFER, RECEIVE_BUFFER_GRO};

/// Room for the ancillary data we asked for (train size and drop counter), aligned for `cmsghdr`.
type Control = [u64; 8];

/// Buffers for one `recvmmsg`.
pub struct RecvBatch {
    buffers: Vec<u8>,
    buffer_len: usize,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<Control>,
    iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    filled: usize,
    truncated: u64,
    overflow: u32,
}

impl RecvBatch {
    /// For sockets without GRO.
    pub fn new() -> Self {
        Self::with_buffer(RECEIVE_BUFFER)
    }

    /// For sockets with [`crate::SocketOptions::gro`].
    pub fn with_gro() -> Self {
        Self::with_buffer(RECEIVE_BUFFER_GRO)
    }

    fn with_buffer(buffer_len: usize) -> Self {
        // SAFETY: all three are plain C structs for which all bytes zero is a valid value.
        let (name, iovec, header) = unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            buffers: vec![0; buffer_len * RECEIVE_BATCH],
            buffer_len,
            names: vec![name; RECEIVE_BATCH],
            controls: vec![[0; 8]; RECEIVE_BATCH],
            iovecs: vec![iovec; RECEIVE_BATCH],
            headers: vec![header; RECEIVE_BATCH],
            filled: 0,
            truncated: 0,
            overflow: 0,
        }
    }

    /// Receives what is there, at most a batch. Returns the number of messages; less than
    /// [`RECEIVE_BATCH`] means that the socket is empty.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there, else what the operating system says.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.filled = 0;
        let parts = self.buffers.chunks_exact_mut(self.buffer_len);
        for ((((buffer, name), control), iovec), header) in
            parts.zip(&mut self.names).zip(&mut self.controls).zip(&mut self.iovecs).zip(&mut self.headers)
        {
            iovec.iov_base = buffer.as_mut_ptr().cast();
            iovec.iov_len = buffer.len();
            let h = &mut header.msg_hdr;
            h.msg_name = std::ptr::from_mut(name).cast();
            h.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            h.msg_iov = iovec;
            h.msg_iovlen = 1;
            h.msg_control = control.as_mut_ptr().cast();
            h.msg_controllen = size_of::<Control>() as _;
            h.msg_flags = 0;
        }
        // SAFETY: the descriptor is open. Every header was just pointed at a name, an iovec with its buffer and a
        // control area of its own; all are owned by `self`, none is resized or touched by Rust until the call
        // returns, and all lengths are the real ones. The timeout may be null.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                RECEIVE_BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        self.filled = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        Ok(self.filled)
    }

    /// Hands out the datagrams of the last [`Self::receive`] in order; joined ones are split again.
    pub fn for_each(&mut self, mut use_datagram: impl FnMut(SocketAddr, &mut [u8])) {
        let parts = self.buffers.chunks_exact_mut(self.buffer_len);
        for ((buffer, name), header) in parts.zip(&self.names).zip(&self.headers).take(self.filled) {
            let ancillary = ancillary(&header.msg_hdr);
            self.overflow = ancillary.overflow.unwrap_or(self.overflow);
            if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                self.truncated += 1;
                continue;
            }
            let Some(source) = socket_address(name) else { continue };
            let Some(data) = buffer.get_mut(..header.msg_len as usize) else { continue };
            let segment = ancillary.segment.filter(|s| *s > 0).unwrap_or_else(|| data.len().max(1));
            for datagram in data.chunks_mut(segment) {
                use_datagram(source, datagram);
            }
        }
        self.filled = 0;
    }

    /// Datagrams the kernel dropped so far because a socket's buffer was full; wraps. Of the socket read last.
    pub const fn kernel_drops(&self) -> u32 {
        self.overflow
    }

    /// Datagrams dropped so far because they were longer than a buffer.
    pub const fn truncated(&self) -> u64 {
        self.truncated
    }
}

impl Default for RecvBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecvBatch").field("filled", &self.filled).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Ancillary {
    /// Bytes per datagram of a joined train.
    segment: Option<usize>,
    overflow: Option<u32>,
}

fn ancillary(header: &libc::msghdr) -> Ancillary {
    let mut found = Ancillary::default();
    // SAFETY: the kernel filled `msg_control` and set `msg_controllen` to the bytes it wrote there; the area
    // belongs to the same `RecvBatch` and is still alive and aligned.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !at.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return only headers that lie completely in the control area.
        let cmsg = unsafe { &*at };
        // SAFETY: as above; the data follows its header.
        let data = unsafe { libc::CMSG_DATA(at) };
        match (cmsg.cmsg_level, cmsg.cmsg_type) {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                // SAFETY: the kernel writes an int for this type; read unaligned as its place is not promised.
                let size = unsafe { data.cast::<libc::c_int>().read_unaligned() };
                found.segment = usize::try_from(size).ok();
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                // SAFETY: the kernel writes a 32-bit counter for this type; unaligned as above.
                found.overflow = Some(unsafe { data.cast::<u32>().read_unaligned() });
            }
            _ => {}
        }
        // SAFETY: `at` is a header inside the control area of `header`.
        at = unsafe { libc::CMSG_NXTHDR(header, at) };
    }
    found
}

fn socket_address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: a storage is larger than and aligned for any address type, and the kernel filled in the
            // type its family names.
            let a = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(a.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(a.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let a = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(a.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(a.sin6_port), 0, a.sin6_scope_id).into())
        }
        _ => None,
    }
}
