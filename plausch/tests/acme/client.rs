//! An address and a name in; which certificate is served there, and whether a browser that trusts these roots takes it, out.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use xmpp_link::AnyCertificate;

type Stream = StreamOwned<ClientConnection, TcpStream>;

/// An open connection, trusting everybody.
pub(crate) struct Open(Stream);

impl Open {
    /// One request without closing, to which the answer is a head alone.
    pub(crate) fn is_alive(&mut self) -> bool {
        write!(self.0, "GET /_unlock HTTP/1.1\r\nhost: meet.example\r\n\r\n").unwrap();
        let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"\r\n\r\n") {
            match self.0.read(&mut buffer) {
                Ok(n) if n > 0 => answer.extend_from_slice(&buffer[..n]),
                _ => return false,
            }
        }
        answer.starts_with(b"HTTP/1.1 204")
    }
}

pub(crate) fn open(at: SocketAddr, name: &str) -> Open {
    let mut open = Open(connect(at, name, None).unwrap());
    assert!(open.is_alive());
    open
}

/// The server's own certificate.
pub(crate) fn served(at: SocketAddr, name: &str) -> Option<CertificateDer<'static>> {
    let stream = connect(at, name, None)?;
    Some(stream.conn.peer_certificates()?.first()?.clone())
}

/// Whether a client that trusts this root alone takes the certificate for this name.
pub(crate) fn trusts(at: SocketAddr, name: &str, root: &CertificateDer<'static>) -> bool {
    connect(at, name, Some(root)).is_some()
}

/// A request to somebody whom nobody has to trust.
pub(crate) fn get(at: SocketAddr, path: &str) -> Option<Vec<u8>> {
    let mut stream = connect(at, "localhost", None)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    // Not everybody says goodbye.
    let _ = stream.read_to_end(&mut answer);
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n")?;
    Some(answer.split_off(head + 4))
}

fn connect(at: SocketAddr, name: &str, root: Option<&CertificateDer<'static>>) -> Option<Stream> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match root {
        None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(Arc::new(
                aws_lc_rs::default_provider(),
            ))))
            .with_no_client_auth(),
        Some(root) => {
            let mut roots = RootCertStore::empty();
            roots.add(root.clone()).unwrap();
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut tcp = TcpStream::connect(at).ok()?;
    tcp.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp).ok()?;
    }
    Some(StreamOwned::new(connection, tcp))
}
