//! One connection to a server, over WebSocket or TCP: frames as text in and out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jitsi_xmpp::xml::{Splitter, StreamItem, XmlLimits};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub(crate) enum Wire {
    WebSocket(Box<WebSocketStream<TcpStream>>),
    Stream { io: Option<Box<dyn Io>>, splitter: Splitter },
    Gone,
}

impl Wire {
    pub(crate) async fn websocket(at: SocketAddr) -> Self {
        let tcp = TcpStream::connect(at).await.unwrap();
        let mut request =
            format!("ws://localhost:{}/xmpp-websocket", at.port()).into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
        let (socket, _) = tokio_tungstenite::client_async(request, tcp).await.unwrap();
        Self::WebSocket(Box::new(socket))
    }

    pub(crate) async fn tcp(at: SocketAddr) -> Self {
        let tcp = TcpStream::connect(at).await.unwrap();
        Self::Stream { io: Some(Box::new(tcp)), splitter: Splitter::new(XmlLimits::default()) }
    }

    pub(crate) const fn is_stream(&self) -> bool {
        matches!(self, Self::Stream { .. })
    }

    /// After `<proceed/>`.
    pub(crate) async fn encrypt(&mut self, trust: &Arc<rustls::ClientConfig>, domain: &str) {
        let Self::Stream { io, splitter } = self else { panic!("TLS is for TCP") };
        splitter.reset();
        let name = ServerName::try_from(domain.to_owned()).unwrap();
        let tls = TlsConnector::from(Arc::clone(trust)).connect(name, io.take().unwrap()).await.unwrap();
        *io = Some(Box::new(tls));
    }

    /// The stream begins anew, from the next byte on.
    pub(crate) fn restart(&mut self) {
        if let Self::Stream { splitter, .. } = self {
            splitter.reset();
        }
    }

    pub(crate) async fn send(&mut self, frame: &str) {
        match self {
            Self::WebSocket(socket) => socket.send(Message::text(frame.to_owned())).await.unwrap(),
            Self::Stream { io, .. } => {
                let io = io.as_mut().unwrap();
                io.write_all(frame.as_bytes()).await.unwrap();
                io.flush().await.unwrap();
            }
            Self::Gone => panic!("sends on a connection that is gone"),
        }
    }

    /// The next frame; `None`: the server has closed. Gives up after ten seconds.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let frame =
            timeout(Duration::from_secs(10), self.read()).await.expect("an answer within ten seconds");
        if frame.is_none() {
            *self = Self::Gone;
        }
        frame
    }

    async fn read(&mut self) -> Option<String> {
        match self {
            Self::WebSocket(socket) => loop {
                match socket.next().await? {
                    Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            },
            Self::Stream { io, splitter } => {
                let mut chunk = [0; 4096];
                loop {
                    match splitter.next_item().expect("XML") {
                        Some(StreamItem::Element(bytes)) => return Some(String::from_utf8(bytes).unwrap()),
                        Some(StreamItem::Open(_)) => {}
                        Some(StreamItem::Close) => return None,
                        None => match io.as_mut().unwrap().read(&mut chunk).await {
                            Ok(0) | Err(_) => return None,
                            Ok(n) => splitter.push(&chunk[..n]),
                        },
                    }
                }
            }
            Self::Gone => None,
        }
    }
}
