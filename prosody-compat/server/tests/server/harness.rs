//! A running server on free ports, a focus made of an in-process link, and a client per transport.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use jitsi_xmpp::xml::parse;
use jitsi_xmpp::{Element, Jid, iq, ns};
use prosody_server::{Config, Raw, ServerHandle};
use service::proxies::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use xmpp_link::{Link, LinkEvent, LinkSender};

pub(crate) const ROOM: &str = "town@muc.meet.jitsi";

pub(crate) struct TestServer {
    pub(crate) handle: ServerHandle,
    pub(crate) http: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let raw = Raw {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            jvb_password: Some("bridge-secret".into()),
            ..Raw::default()
        };
        let mut config = Config::from_raw(raw).unwrap();
        change(&mut config);
        let (stop, stopped) = watch::channel(false);
        let handle = prosody_server::start(config, stopped).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        // What the front does for every request; here the client says where it comes from.
        let front = axum::middleware::map_request(async |mut request: axum::extract::Request| {
            static PORT: AtomicU16 = AtomicU16::new(0);
            let peer = request.headers().get("x-from").and_then(|f| f.to_str().ok()?.parse().ok());
            if let Some(peer) = peer {
                let port = PORT.fetch_add(1, Ordering::Relaxed);
                request.extensions_mut().insert(Client::direct(SocketAddr::new(peer, port)));
            }
            request
        });
        let router = handle.router().merge(handle.health_router()).layer(front);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { handle, http, stop }
    }

    pub(crate) fn tcp(&self) -> SocketAddr {
        self.handle.tcp_address().unwrap()
    }

    /// A focus that opens [`ROOM`] and answers conference requests. Returns its voice.
    pub(crate) async fn focus(&self, room: &str) -> LinkSender {
        let jid: Jid = "focus@auth.meet.jitsi/focus".parse().unwrap();
        let (mut link, end) = Link::in_process(jid.to_full().unwrap(), 8_192);
        self.handle.attach_in_process(end).await.unwrap();
        let sender = link.sender();
        let join = Element::new("presence", ns::CLIENT)
            .with_attr("to", format!("{room}/focus"))
            .with_child(Element::new("x", ns::MUC));
        link.send(&join).unwrap();
        let answers = sender.clone();
        let (joined_tx, mut joined) = tokio::sync::mpsc::channel::<()>(1);
        tokio::spawn(async move {
            while let Some(event) = link.recv().await {
                let LinkEvent::Stanza(stanza) = event else { continue };
                if stanza.name() == "iq" && matches!(stanza.attr("type"), Some("get" | "set")) {
                    let mut answer = iq::result(&stanza, None);
                    answer.push(Element::new("conference", ns::FOCUS).with_attr("ready", "true"));
                    let _ = answers.send(&answer);
                } else if stanza.to_xml().contains("code=\"110\"") {
                    let _ = joined_tx.try_send(());
                }
            }
        });
        timeout(Duration::from_secs(5), joined.recv()).await.expect("the focus in the room");
        sender
    }

    /// Waits until the numbers are as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&prosody_server::ServerStats) -> bool) {
        for _ in 0..200 {
            if wanted(&self.handle.stats()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{what}: {:?}", self.handle.stats());
    }

    /// An HTTP request on a connection of its own; returns status, head and body.
    pub(crate) async fn http(&self, head: &str, body: &str) -> (u16, String, String) {
        let mut socket = TcpStream::connect(self.http).await.unwrap();
        let request =
            format!("{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(Duration::from_secs(100), socket.read_to_string(&mut answer))
            .await
            .expect("an answer")
            .unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_lowercase(), body.to_owned())
    }
}

/// A WebSocket client.
pub(crate) struct Ws {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) jid: String,
    /// The push before the bind result.
    pub(crate) pushed: Option<Element>,
}

impl Ws {
    pub(crate) async fn connect(server: &TestServer, path: &str) -> Self {
        Self::connect_from(server, path, "127.0.0.1").await.unwrap()
    }

    /// Connects from another address.
    pub(crate) async fn connect_from(server: &TestServer, path: &str, from: &str) -> Result<Self, Error> {
        let tcp = TcpStream::connect(server.http).await.unwrap();
        let mut request = format!("ws://localhost{path}").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
        request.headers_mut().insert("x-from", from.parse().unwrap());
        let (socket, answer) = tokio_tungstenite::client_async(request, tcp).await?;
        assert_eq!(answer.headers().get("sec-websocket-protocol").unwrap(), "xmpp");
        Ok(Self { socket, jid: String::new(), pushed: None })
    }

    pub(crate) async fn send(&mut self, frame: &str) {
        self.socket.send(Message::text(frame.to_owned())).await.unwrap();
    }

    /// The next frame as text; `None` when the socket is closed.
    pub(crate) async fn frame(&mut self) -> Option<String> {
        loop {
            match timeout(Duration::from_secs(10), self.socket.next()).await.expect("a frame")? {
                Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn expect(&mut self, what: &str) -> String {
        let mut before = Vec::new();
        loop {
            let Some(frame) = self.frame().await else { panic!("closed before {what}; got {before:#?}") };
            if frame.contains(what) {
                return frame;
            }
            before.push(frame.chars().take(200).collect::<String>());
        }
    }

    /// Opens the stream and authenticates; returns the features after that.
    pub(crate) async fn authenticate(&mut self) -> String {
        const OPEN: &str =
            "<open xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\" to=\"meet.jitsi\" version=\"1.0\"/>";
        self.send(OPEN).await;
        assert!(self.frame().await.unwrap().starts_with("<open "));
        assert!(self.frame().await.unwrap().contains("<mechanism>ANONYMOUS</mechanism>"));
        self.send("<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" mechanism=\"ANONYMOUS\"/>").await;
        assert!(self.frame().await.unwrap().starts_with("<success "));
        self.send(OPEN).await;
        assert!(self.frame().await.unwrap().starts_with("<open "));
        self.frame().await.unwrap()
    }

    pub(crate) async fn bind(&mut self) {
        self.send("<iq xmlns=\"jabber:client\" type=\"set\" id=\"b\"><bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"/></iq>")
            .await;
        loop {
            let frame = parse(self.frame().await.unwrap().as_bytes()).unwrap();
            if frame.name() == "message" {
                self.pushed = Some(frame);
                continue;
            }
            let bind = frame.child("bind", ns::BIND).expect("a bind result");
            self.jid = bind.child_named("jid").unwrap().text();
            return;
        }
    }

    /// Connected, authenticated and bound.
    pub(crate) async fn session(server: &TestServer) -> Self {
        Self::session_from(server, "127.0.0.1").await
    }

    pub(crate) async fn session_from(server: &TestServer, from: &str) -> Self {
        let mut ws = Self::connect_from(server, "/xmpp-websocket?room=town", from).await.unwrap();
        ws.authenticate().await;
        ws.bind().await;
        ws
    }

    pub(crate) fn nick(&self) -> String {
        self.jid[..8].to_owned()
    }

    /// Joins [`ROOM`] and waits for the own presence.
    pub(crate) async fn join(&mut self) {
        let nick = self.nick();
        self.send(&format!(
            "<presence xmlns=\"jabber:client\" to=\"{ROOM}/{nick}\"><x xmlns=\"http://jabber.org/protocol/muc\"/></presence>"
        ))
        .await;
        let own = self.expect("code=\"110\"").await;
        assert!(own.contains(&format!("from=\"{ROOM}/{nick}\"")), "{own}");
    }
}
