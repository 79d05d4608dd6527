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
        let read = match &mut self.tls {
            Some(tls) => read_records(tls, &mut self.stream, free)?,
            None => read_once(&mut self.stream, free)?,
        };
        Ok(match read {
            Read::Bytes { there, more } => Read::Bytes { there: old + there, more },
            other => other,
        })
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

fn read_once(stream: &mut TcpStream, into: &mut [u8]) -> Result<Read> {
    loop {
        match stream.read(into) {
            Ok(0) => return Ok(Read::End),
            Ok(n) => return Ok(Read::Bytes { there: n, more: n == into.len() }),
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(Read::Nothing),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => return Ok(Read::End),
            Err(e) => return Err(e).context("cannot read from the server"),
        }
    }
}

/// Reads the socket once, as without TLS: the library takes 4 KiB at a time, and a client that reads so costs the server
/// acknowledgements, and is late with what it says next.
fn read_records(tls: &mut ClientConnection, stream: &mut TcpStream, free: &mut [u8]) -> Result<Read> {
    // What is in records is shorter than they are.
    let (into, records) = free.split_at_mut(free.len() / 2);
    let (got, more) = match read_once(stream, records)? {
        Read::Bytes { there, more } => (there, more),
        other => return Ok(other),
    };
    let mut rest = records.get(..got).unwrap_or_default();
    let mut there = 0;
    while !rest.is_empty() {
        if tls.read_tls(&mut rest).context("the server's TLS")? == 0 {
            // It has said goodbye; what comes behind that is nothing.
            break;
        }
        tls.process_new_packets().context("the server's TLS")?;
        there += match tls.reader().read(into.get_mut(there..).unwrap_or_default()) {
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
            Err(e) => return Err(e).context("cannot read from the server"),
        };
    }
    write_records(tls, stream)?;
    Ok(Read::Bytes { there, more })
}

/// A client has at most a few stanzas under way.
const MAX_UNSENT: usize = 1 << 20;
const KEPT_CAPACITY: usize = 4096;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use rustls::sign::SingleCertAndKey;
    use rustls::{ServerConfig, ServerConnection, Stream};

    use super::*;

    /// Reads until so many bytes have come.
    fn read_until(connection: &mut Connection, wanted: usize, buffer: &mut [u8]) -> Vec<u8> {
        let (mut all, from) = (Vec::new(), Instant::now());
        while all.len() < wanted && from.elapsed() < Duration::from_secs(10) {
            match connection.read(buffer).unwrap() {
                Read::Bytes { there, .. } => all.extend_from_slice(&buffer[..there]),
                Read::Nothing => std::thread::sleep(Duration::from_millis(1)),
                Read::End => break,
            }
        }
        all
    }

    #[test]
    fn all_records_that_have_come_are_read_at_once_as_without_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (go, told) = mpsc::channel();
        let (sent, all_sent) = mpsc::channel();
        let text: Vec<u8> = (0..60_000).map(|i| (i % 251) as u8).collect();
        let written = text.clone();
        let server = std::thread::spawn(move || {
            let own = service::certificate::self_signed(&["localhost"]).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
            let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = listener.accept().unwrap().0;
            let mut stream = Stream::new(&mut tls, &mut stream);
            stream.write_all(b"a").unwrap();
            told.recv().unwrap();
            for record in written.chunks(5_000) {
                stream.write_all(record).unwrap();
            }
            sent.send(()).unwrap();
            told.recv().unwrap();
            stream.conn.send_close_notify();
            stream.flush().unwrap();
        });
        let poll = mio::Poll::new().unwrap();
        let config = super::super::tls::anybody().unwrap();
        let mut connection = Connection::open(address, Some(&config), poll.registry(), 0).unwrap();
        while !connection.connected(address).unwrap() {
            std::thread::sleep(Duration::from_millis(1));
        }
        connection.flush().unwrap();
        let mut buffer = vec![0; 1 << 20];
        assert_eq!(read_until(&mut connection, 1, &mut buffer), b"a");
        go.send(()).unwrap();
        all_sent.recv().unwrap();
        let Read::Bytes { there, more: false } = connection.read(&mut buffer).unwrap() else { panic!() };
        assert!(buffer[..there] == text, "{there}");
        go.send(()).unwrap();
        server.join().unwrap();
        assert!(read_until(&mut connection, 1, &mut buffer).is_empty(), "the end");
    }
}
