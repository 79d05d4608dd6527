//! An address in, a non-blocking UDP socket with the options media wants out.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::limits;

/// What a socket is opened with.
#[derive(Debug, Clone, Copy)]
pub struct SocketOptions {
    /// Several sockets share the port and the kernel spreads the peers over them.
    ///
    /// Without it a second process on the same port is an error, as it should be.
    pub reuse_port: bool,
    /// Wanted SO_RCVBUF.
    pub receive_buffer: usize,
    /// Wanted SO_SNDBUF.
    pub send_buffer: usize,
    /// Let the kernel join datagrams of one peer (`UDP_GRO`). Needs [`crate::RecvBatch::with_gro`].
    pub gro: bool,
    /// Send trains of datagrams as one message (`UDP_SEGMENT`) until the kernel refuses.
    pub gso: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            reuse_port: false,
            receive_buffer: limits::SOCKET_BUFFER,
            send_buffer: limits::SOCKET_BUFFER,
            gro: false,
            gso: true,
        }
    }
}

/// The kernel gave smaller buffers than wanted: bursts may be lost. The admin has to raise `net.core.rmem_max` and
/// `net.core.wmem_max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferShortage {
    /// Bytes of receive buffer, wanted and got.
    pub receive: (usize, usize),
    /// Bytes of send buffer, wanted and got.
    pub send: (usize, usize),
}

/// A bound, non-blocking UDP socket.
#[derive(Debug)]
pub struct UdpSocket {
    socket: Socket,
    local: SocketAddr,
    gso: bool,
}

impl UdpSocket {
    /// Binds to `address`, which must not be a wildcard: replies leave from where requests arrived.
    ///
    /// # Errors
    /// What the operating system says, or `InvalidInput` for a wildcard.
    pub fn bind(address: SocketAddr, options: &SocketOptions) -> io::Result<(Self, Option<BufferShortage>)> {
        if address.ip().is_unspecified() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "media sockets bind to one address each",
            ));
        }
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if options.reuse_port {
            socket.set_reuse_port(true)?;
        }
        socket.set_nonblocking(true)?;
        // More than allowed is cut down silently, so the result is read back.
        socket.set_recv_buffer_size(options.receive_buffer)?;
        socket.set_send_buffer_size(options.send_buffer)?;
        // Linux doubles the number for its own bookkeeping.
        let got = (socket.recv_buffer_size()? / 2, socket.send_buffer_size()? / 2);
        set_int(&socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
        if options.gro {
            set_int(&socket, libc::SOL_UDP, libc::UDP_GRO, 1)?;
        }
        socket.bind(&address.into())?;
        let local = socket.local_addr()?.as_socket().unwrap_or(address);
        let shortage =
            (got.0 < options.receive_buffer || got.1 < options.send_buffer).then_some(BufferShortage {
                receive: (options.receive_buffer, got.0),
                send: (options.send_buffer, got.1),
            });
        Ok((Self { socket, local, gso: options.gso }, shortage))
    }

    /// A socket that another process has bound and goes on sending from.
    ///
    /// # Errors
    /// It is none, or what the operating system says.
    pub fn adopt(bound: OwnedFd, options: &SocketOptions) -> io::Result<Self> {
        let socket = Socket::from(bound);
        let local = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        socket.set_nonblocking(true)?;
        socket.set_recv_buffer_size(options.receive_buffer)?;
        socket.set_send_buffer_size(options.send_buffer)?;
        set_int(&socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
        if options.gro {
            set_int(&socket, libc::SOL_UDP, libc::UDP_GRO, 1)?;
        }
        Ok(Self { socket, local, gso: options.gso })
    }

    /// The address it is bound to.
    pub const fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Whether trains are still sent as one message.
    pub const fn gso(&self) -> bool {
        self.gso
    }

    pub(crate) const fn disable_gso(&mut self) {
        self.gso = false;
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn set_int(socket: &Socket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open as long as `socket` lives, and `value` is an int that outlives the call,
    // with its exact size in `len`.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, std::ptr::from_ref(&value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
