//! One socket: bytes that could not be written yet, and the beginning of a frame that is not whole yet. Both are empty
//! nearly always, so that thousands of connections cost little.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::{ClientConfig, ClientConnection};

use super::frame::{self, Opcode};

/// One WebSocket, or what will be one.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    unread: Vec<u8>,
    unsent: Vec<u8>,
    mask: u32,
}

/// What one read has brought.
#[derive(Debug)]
pub(super) enum Read {
    /// So many bytes are in the buffer. A read that did not fill it has emptied the socket, and the next bytes make a
    /// new event; the end of the stream does not when it was already there.
    Bytes {
        there: usize,
        more: bool,
    },
    Nothing,
    /// The server has closed.
    End,
}

impl Connection {
    /// Begins to connect.
    pub(super) fn open(
        address: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
        registry: &Registry,
        token: usize,
    ) -> Result<Self> {
        let mut stream =
            TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        registry.register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        let mask = 0x9e37_79b9u32.wrapping_mul(token as u32 + 1);
        let begin =
            |config: &Arc<ClientConfig>| ClientConnection::new(Arc::clone(config), address.ip().into());
        let tls = tls.map(begin).transpose()?.map(Box::new);
        Ok(Self { stream, tls, unread: Vec::new(), unsent: Vec::new(), mask })
    }

    /// After the first event: whether the connection stands.
    pub(super) fn connected(&self, address: SocketAddr) -> Result<bool> {
        if let Some(e) = self.stream.take_error()? {
            return Err(e).with_context(|| format!("cannot connect to {address}"));
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                self.stream.set_nodelay(true)?;
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::NotConnected => Ok(false),
            Err(e) => Err(e).with_context(|| format!("cannot connect to {address}")),
        }
    }

    /// Sends bytes as they are.
    pub(super) fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.unsent.extend_from_slice(bytes);
        self.flush()
    }

    /// Sends a frame.
    pub(super) fn send(&mut self, opcode: Opcode, payload: &[u8]) -> Result<()> {
        self.mask = self.mask.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        frame::push(&mut self.unsent, opcode, self.mask.to_be_bytes(), payload);
        if self.unsent.len() > MAX_UNSENT {
            bail!("the server does not read what a client sends");
        }
        self.flush()
    }

    /// Writes what the kernel takes.
    pub(super) fn flush(&mut self) -> Result<()> {
        if let Some(tls) = &mut self.tls {
            let taken = tls.writer().write(&self.unsent)?;
            self.unsent.drain(..taken);
            return write_records(tls, &mut self.stream);
        }
        let mut done = 0;
        while let Some(rest) = self.unsent.get(done..).filter(|r| !r.is_empty()) {
            match self.stream.write(rest) {
                Ok(n) => done += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e).context("the server has closed a connection"),
            }
        }
        if done == self.unsent.len() {
            // Given back: a login's texts are the largest there are.
            self.unsent = Vec::new();
        } else {
            self.unsent.drain(..done);
        }
        Ok(())
    }

    /// Reads once, behind what was left over from the last time, into `buffer`.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<Read> {
        let old = self.unread.len();
        let (kept, free) = buffer.split_at_mut(old);
        kept.copy_from_slice(&self.unread);
        if let Some(tls) = &mut self.tls {
            return Ok(match read_records(tls, &mut self.stream, free)? {
                // Whether there is more, only the next read says.
                Read::Bytes { there, more } => Read::Bytes { there: old + there, more },
                other => other,
            });
        }
        loop {
            match self.stream.read(free) {
                Ok(0) => return Ok(Read::End),
                Ok(n) => return Ok(Read::Bytes { there: old + n, more: n == free.len() }),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Read::Nothing),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return Ok(Read::End),
                Err(e) => return Err(e).context("cannot read from the server"),
            }
        }
    }

    /// Keeps the beginning of what is not whole.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() && self.unread.capacity() > KEPT_CAPACITY {
            self.unread = Vec::new();
        }
        self.unread.clear();
        self.unread.extend_from_slice(rest);
    }

    /// Nothing more will be sent.
    pub(super) fn finish(&self) {
        // The server may be gone already.
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

fn write_records(tls: &mut ClientConnection, stream: &mut TcpStream) -> Result<()> {
    while tls.wants_write() {
        match tls.write_tls(stream) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e).context("the server has closed a connection"),
        }
    }
    Ok(())
}

fn read_records(tls: &mut ClientConnection, stream: &mut TcpStream, into: &mut [u8]) -> Result<Read> {
    loop {
        match tls.reader().read(into) {
            Ok(0) => return Ok(Read::End),
            Ok(there) => return Ok(Read::Bytes { there, more: true }),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e).context("cannot read from the server"),
        }
        match tls.read_tls(stream) {
            Ok(0) => return Ok(Read::End),
            Ok(_) => {
                tls.process_new_packets().context("the server's TLS")?;
                write_records(tls, stream)?;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Read::Nothing),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return Ok(Read::End),
            Err(e) => return Err(e).context("cannot read from the server"),
        }
    }
}

/// A client has at most a few stanzas under way.
const MAX_UNSENT: usize = 1 << 20;
const KEPT_CAPACITY: usize = 4096;
