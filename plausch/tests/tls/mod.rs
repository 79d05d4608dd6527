//! The whole program over TLS: its own certificate and a town's, both versions of HTTP with the WebSocket over each, renewal, and
//! the way there for who comes without.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::running::{Whole, free, get, plausch};
use xmpp_link::AnyCertificate;

const HOST: &str = "meet.example";
const OPEN: &str = r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.jitsi" version="1.0"/>"#;

/// Whom a client trusts.
enum Trust<'a> {
    Everybody,
    Only(&'a CertificateDer<'static>),
}

async fn connect(at: SocketAddr, trust: Trust<'_>) -> std::io::Result<TlsStream<TcpStream>> {
    agree(at, trust, &[]).await
}

/// Speaks one of these protocols.
async fn agree(
    at: SocketAddr,
    trust: Trust<'_>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut config = match trust {
        Trust::Everybody => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(Arc::new(
                aws_lc_rs::default_provider(),
            ))))
            .with_no_client_auth(),
        Trust::Only(certificate) => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate.clone()).unwrap();
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let tcp = TcpStream::connect(at).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(HOST).unwrap(), tcp).await
}

/// A program with TLS.
fn start(https: SocketAddr, change: impl FnOnce(&mut Command)) -> Whole {
    Whole::start(|c| {
        c.args(["--https", &https.to_string(), "--public-url", &format!("https://{HOST}")]);
        change(c);
    })
}

/// A certificate on disk.
struct Issued {
    folder: PathBuf,
}

impl Issued {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("plausch-tls-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, chain: bool, key: bool) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
        if chain {
            std::fs::write(self.path("cert.pem"), made.cert.pem()).unwrap();
        }
        if key {
            std::fs::write(self.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        }
        made.cert.der().clone()
    }

    fn name(&self, c: &mut Command) {
        c.arg("--certificate").arg(self.path("cert.pem")).arg("--key").arg(self.path("key.pem"));
    }
}

impl Drop for Issued {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn ask(at: SocketAddr, path: &str) -> String {
    let mut stream = connect(at, Trust::Everybody).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// A page over TLS, whoever made the certificate.
pub(crate) fn page(at: SocketAddr, path: &str) -> String {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(ask(at, path))
}

async fn greeted<S>(mut socket: WebSocketStream<S>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    socket.send(Message::text(OPEN)).await.unwrap();
    let Some(Ok(Message::Text(open))) = socket.next().await else { panic!("no answer") };
    assert!(open.contains("<open "), "{open}");
}

#[tokio::test]
async fn the_front_serves_pages_and_the_web_socket_over_tls() {
    let [https, ..] = free();
    let _program = start(https, |_| {});

    let stream = connect(https, Trust::Everybody).await.unwrap();
    let mut request = format!("wss://{HOST}/xmpp-websocket").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    greeted(socket).await;

    let answer = ask(https, "/config.js").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age=63072000\r\n"), "{answer}");
    assert!(answer.contains(&format!("wss://{HOST}/xmpp-websocket")), "{answer}");
}

/// One stream of HTTP/2 as a stream of bytes.
async fn stream_of(client: &mut h2::client::SendRequest<Bytes>, path: &str) -> tokio::io::DuplexStream {
    let mut open = http::Request::builder()
        .method("CONNECT")
        .uri(format!("https://{HOST}{path}"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "xmpp")
        .body(())
        .unwrap();
    open.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    let (answer, mut to) = client.send_request(open, false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "xmpp");
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let (mut read, mut write) = tokio::io::split(theirs);
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = read.read(&mut buffer).await {
            to.send_data(Bytes::copy_from_slice(&buffer[..n]), false).unwrap();
        }
    });
    let mut body = answer.into_body();
    tokio::spawn(async move {
        while let Some(Ok(data)) = body.data().await {
            body.flow_control().release_capacity(data.len()).unwrap();
            if write.write_all(&data).await.is_err() {
                return;
            }
        }
    });
    ours
}

#[tokio::test]
async fn http_2_is_agreed_on_and_one_connection_carries_pages_and_web_sockets() {
    let [https, ..] = free();
    let program = start(https, |_| {});
    let plain = agree(https, Trust::Everybody, &["http/1.1"]).await.unwrap();
    assert_eq!(plain.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let stream = agree(https, Trust::Everybody, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);

    let asked = |path: &str| {
        let request = http::Request::builder().uri(format!("https://{HOST}{path}"));
        request.header("accept-encoding", "gzip").body(()).unwrap()
    };
    let (answer, _) = client.send_request(asked("/stadt/config.js"), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=63072000");
    let mut body = answer.into_body();
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        text.extend_from_slice(&data.unwrap());
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains(&format!("wss://{HOST}/stadt/xmpp-websocket")), "{text}");
    assert!(client.is_extended_connect_protocol_enabled());
    for path in ["/xmpp-websocket", "/stadt/xmpp-websocket?room=rat"] {
        let stream = stream_of(&mut client, path).await;
        greeted(WebSocketStream::from_raw_socket(stream, Role::Client, None).await).await;
    }
    let (answer, _) = client.send_request(asked("/"), true).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let tag = answer.headers()["etag"].clone();
    let mut again = asked("/");
    again.headers_mut().insert("if-none-match", tag);
    assert_eq!(client.send_request(again, true).unwrap().0.await.unwrap().status(), 304);
    let open = get(program.admin, "/metrics").unwrap();
    assert!(open.contains("plausch_http2_refused_total 0"), "{open}");
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_half_of_one_is_not() {
    let [https, ..] = free();
    let issued = Issued::new("renewed");
    let first = issued.write(true, true);
    let _program = start(https, |c| issued.name(c));
    let trusted =
        async |certificate: &CertificateDer<'static>| connect(https, Trust::Only(certificate)).await.is_ok();
    assert!(trusted(&first).await);
    let kept = connect(https, Trust::Only(&first)).await.unwrap();
    // Renewal writes one file after the other.
    let half = issued.write(true, false);
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    assert!(trusted(&first).await && !trusted(&half).await);
    let second = issued.write(true, true);
    let end = Instant::now() + Duration::from_secs(15);
    while !trusted(&second).await {
        assert!(Instant::now() < end, "the new one is not used");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!trusted(&first).await);
    drop(kept);
}

#[tokio::test]
async fn who_comes_without_tls_is_sent_there_and_who_says_nothing_is_not_waited_for() {
    let [https, ..] = free();
    let program = start(https, |_| {});
    let answer = get(program.http, "/stadt/Rat?a=b").unwrap();
    assert!(answer.starts_with("HTTP/1.1 301 "), "{answer}");
    assert!(answer.contains(&format!("location: https://{HOST}/stadt/Rat?a=b\r\n")), "{answer}");
    // Neither plain HTTP nor silence holds a place for long, and neither is in anybody's way.
    assert!(get(https, "/").is_none_or(|answer| !answer.starts_with("HTTP/1.1 2")));
    let mut silent = std::net::TcpStream::connect(https).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let begun = Instant::now();
    assert!(connect(https, Trust::Everybody).await.is_ok());
    let closed = tokio::task::spawn_blocking(move || std::io::Read::read(&mut silent, &mut [0; 8]));
    assert!(matches!(closed.await.unwrap(), Ok(0) | Err(_)));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// What a client of TURN says first: an Allocate without credentials.
fn allocate() -> Vec<u8> {
    peer::turn::message(peer::turn::ALLOCATE, [7; 12], &[peer::turn::transport()])
}

#[tokio::test]
async fn turn_and_http_are_told_apart_behind_the_same_tls_and_silence_is_neither() {
    let [https, turn, ..] = free();
    let program = start(https, |c| {
        c.args(["--turn", &turn.to_string()]);
    });
    let mut silent = Vec::new();
    for first in [&b""[..], b"\0\x03", b"G"] {
        let mut stream = connect(https, Trust::Everybody).await.unwrap();
        stream.write_all(first).await.unwrap();
        silent.push(stream);
    }
    let begun = Instant::now();
    // However its bytes come.
    for piece in [1, 7, 64] {
        let mut stream = connect(https, Trust::Everybody).await.unwrap();
        for part in allocate().chunks(piece) {
            stream.write_all(part).await.unwrap();
            stream.flush().await.unwrap();
        }
        let mut answer = vec![0; 60];
        stream.read_exact(&mut answer).await.unwrap();
        let answer = peer::turn::read(&answer);
        assert_eq!((answer.code, answer.attribute(0x14)), (401, Some(&b"plausch"[..])));
    }
    let answer = ask(https, "/config.js").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let stream = connect(https, Trust::Everybody).await.unwrap();
    let mut request = format!("wss://{HOST}/xmpp-websocket").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
    greeted(tokio_tungstenite::client_async(request, stream).await.unwrap().0).await;
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    datagrams.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    datagrams.send_to(&allocate(), turn).unwrap();
    let mut answer = [0; 100];
    let len = datagrams.recv(&mut answer).unwrap();
    assert_eq!(peer::turn::read(&answer[..len]).code, 401);
    let metrics = get(program.admin, "/metrics").unwrap();
    assert!(metrics.contains("plausch_turn_relays 0"), "{metrics}");
    for mut stream in silent {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(45), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok() && !rest.starts_with(b"HTTP/1.1 2"), "still open");
    }
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

/// RFC 7443: a client that says so had no TLS at all.
#[tokio::test]
async fn a_client_that_says_turn_gets_turn_and_nothing_else() {
    let [https, turn, other, _] = free();
    let _program = start(https, |c| {
        c.args(["--turn", &turn.to_string()]);
    });
    for offered in [&["stun.turn"][..], &["stun.turn", "stun.nat-discovery"]] {
        let mut stream = agree(https, Trust::Everybody, offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"stun.turn"[..]));
        stream.write_all(&allocate()).await.unwrap();
        let mut answer = vec![0; 60];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(peer::turn::read(&answer).code, 401);
    }
    let mut stream = agree(https, Trust::Everybody, &["stun.turn"]).await.unwrap();
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    // Browsers are not disturbed by it, and where there is no TURN nobody is told that there is.
    let both = agree(https, Trust::Everybody, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let _without = start(other, |_| {});
    assert!(agree(other, Trust::Everybody, &["stun.turn"]).await.is_err());
}

#[test]
fn a_certificate_needs_its_key_and_both_are_read() {
    let issued = Issued::new("mistakes");
    issued.write(true, true);
    let other = Issued::new("other");
    other.write(true, true);
    let refused = |change: &dyn Fn(&mut Command)| {
        let mut c = plausch();
        c.args(["--https", "127.0.0.1:0"]);
        change(&mut c);
        let out = c.output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && said.lines().count() == 1, "{said}");
        said
    };
    let (chain, key) = (issued.path("cert.pem"), other.path("key.pem"));
    let name = |c: &mut Command, flag: &str, path: &Path| {
        c.arg(flag).arg(path);
    };
    assert!(refused(&|c| name(c, "--certificate", &chain)).contains("https.key"));
    assert!(refused(&|c| name(c, "--key", &key)).contains("https.certificate"));
    let both = refused(&|c| {
        name(c, "--certificate", &chain);
        name(c, "--key", &key);
    });
    assert!(both.contains("is not the key of"), "{both}");
    std::fs::remove_file(&chain).unwrap();
    assert!(refused(&|c| issued.name(c)).contains("cert.pem"));
}
