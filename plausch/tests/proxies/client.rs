//! A visitor's side: requests and XMPP over TLS, from an address of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::VISITOR;

pub(super) const HOST: &str = "meet.example.org";

pub(super) struct Client {
    tls: Arc<ClientConfig>,
}

pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a str,
}

/// A client that talks to one address.
pub(super) struct At<'c> {
    pub(super) client: &'c Client,
    pub(super) https: SocketAddr,
}

impl At<'_> {
    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.client.ask(self.https, Asked { method, path, headers, body }).await
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
        let mut body = bytes.get(at + 4..).unwrap_or_default().to_vec();
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let mut it = Self { status, head, body: vec![] };
        if it.header("transfer-encoding") == "chunked" {
            body = unchunked(&body);
        }
        it.body = body;
        it
    }

    /// Empty when it is not there.
    pub(super) fn header(&self, name: &str) -> String {
        let lines = self.head.lines().filter_map(|l| l.split_once(':'));
        lines
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim().to_owned())
            .next()
            .unwrap_or_default()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(end) = bytes.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap().trim(), 16).unwrap();
        out.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 4 + size..];
    }
    out
}

async fn tcp(at: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(VISITOR.parse().unwrap(), 0)).unwrap();
    socket.connect(at).await.unwrap()
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, asked: Asked<'_>) -> Answer {
    let mut head =
        format!("{} {} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n", asked.method, asked.path);
    for (name, value) in asked.headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !asked.body.is_empty() {
        head += &format!("content-length: {}\r\n", asked.body.len());
    }
    stream.write_all(format!("{head}\r\n{}", asked.body).as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // Some end TLS without a goodbye.
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await;
    assert!(read.is_ok(), "no answer to {}", asked.path);
    Answer::of(&bytes)
}

/// A request without TLS.
pub(super) async fn plain(at: SocketAddr, path: &str) -> Answer {
    exchange(tcp(at).await, Asked { method: "GET", path, headers: &[], body: "" }).await
}

impl Client {
    pub(super) fn trusting(certificate: &CertificateDer<'static>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        Self { tls: Arc::new(builder.with_root_certificates(roots).with_no_client_auth()) }
    }

    async fn connect(&self, at: SocketAddr) -> TlsStream<TcpStream> {
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        connector.connect(ServerName::try_from(HOST).unwrap(), tcp(at).await).await.unwrap()
    }

    /// Says these bytes and waits for the end, whatever it is.
    pub(super) async fn throw(&self, at: SocketAddr, bytes: &str) {
        let mut stream = self.connect(at).await;
        let _ = stream.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(3), read).await;
    }

    pub(super) async fn ask(&self, at: SocketAddr, asked: Asked<'_>) -> Answer {
        exchange(self.connect(at).await, asked).await
    }

    /// Logs in over a WebSocket and is answered a ping.
    pub(super) async fn talks_xmpp(&self, at: SocketAddr, path: &str) {
        let mut request = format!("wss://{HOST}{path}").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::client_async(request, self.connect(at).await).await.unwrap();
        let open = "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" to=\"meet.jitsi\" version=\"1.0\"/>";
        for (said, answer) in [
            (open, "<stream:features"),
            ("<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" mechanism=\"ANONYMOUS\"/>", "<success"),
            (open, "<stream:features"),
            (
                "<iq xmlns=\"jabber:client\" type=\"set\" id=\"b\"><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"/></iq>",
                "<jid>",
            ),
            (
                "<iq xmlns=\"jabber:client\" type=\"get\" id=\"p\" to=\"meet.jitsi\"><ping xmlns=\"urn:xmpp:ping\"/></iq>",
                "type=\"result\"",
            ),
        ] {
            socket.send(Message::text(said)).await.unwrap();
            loop {
                let next = tokio::time::timeout(Duration::from_secs(10), socket.next()).await;
                match next.unwrap_or_else(|_| panic!("{path}: no {answer}")) {
                    Some(Ok(Message::Text(text))) if text.contains(answer) => break,
                    Some(Ok(_)) => {}
                    other => panic!("{path}: {other:?} instead of {answer}"),
                }
            }
        }
        let _ = socket.close(None).await;
    }
}
