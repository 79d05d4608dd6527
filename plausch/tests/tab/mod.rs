//! A browser's tab without camera and microphone, over the WebSocket of the built program: what is to be said in, what comes out.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// How somebody without an account logs in.
pub(crate) const ANONYMOUS: &str =
    r#"<auth mechanism="ANONYMOUS" xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#;

#[allow(dead_code, reason = "each test crate uses a part of it")]
pub(crate) struct Tab {
    socket: WebSocketStream<TcpStream>,
    /// The address that it was given.
    pub(crate) jid: String,
}

#[allow(dead_code, reason = "each test crate uses a part of it")]
impl Tab {
    /// A socket on which nothing has been said. `query` stands behind `?` in the address.
    pub(crate) async fn connect(http: SocketAddr, query: &str) -> Self {
        let tcp = TcpStream::connect(http).await.unwrap();
        let mut request = format!("ws://{http}/xmpp-websocket?{query}").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
        let (socket, _) = tokio_tungstenite::client_async(request, tcp).await.unwrap();
        Self { socket, jid: String::new() }
    }

    /// Says something, whether it is taken or not.
    pub(crate) async fn throw(&mut self, frame: &str) {
        let sent = self.socket.send(Message::text(frame));
        let _ = tokio::time::timeout(Duration::from_secs(10), sent).await;
    }

    /// All that is still said, until the socket is closed or has been silent for a little.
    pub(crate) async fn last_words(&mut self) -> String {
        let mut all = String::new();
        while let Ok(Some(Ok(message))) =
            tokio::time::timeout(Duration::from_millis(300), self.socket.next()).await
        {
            if let Message::Text(text) = message {
                all.push_str(&text);
            }
        }
        all
    }

    /// Logs in on a host with users; what the server says if that fails.
    pub(crate) async fn log_in(
        http: SocketAddr,
        domain: &str,
        query: &str,
        auth: &str,
    ) -> Result<Self, String> {
        let mut it = Self::connect(http, query).await;
        let open =
            format!(r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="{domain}" version="1.0"/>"#);
        it.say(&open).await;
        it.until("features").await;
        it.say(auth).await;
        let said = it.until("xmpp-sasl").await;
        if !said.starts_with("<success") {
            return Err(said);
        }
        it.say(&open).await;
        it.until("features").await;
        it.say(r#"<iq id="b" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#).await;
        let bound = it.until("<jid>").await;
        it.jid = bound.split("<jid>").nth(1).unwrap().split("</jid>").next().unwrap().to_owned();
        Ok(it)
    }

    /// What it is called in rooms.
    pub(crate) fn nick(&self) -> String {
        self.jid[..8].to_owned()
    }

    pub(crate) async fn say(&mut self, frame: &str) {
        self.socket.send(Message::text(frame)).await.unwrap();
    }

    /// The next frame with these words. Whatever it is asked about itself it can do.
    pub(crate) async fn until(&mut self, words: &str) -> String {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.socket.next()).await;
            let frame = match next {
                Ok(Some(Ok(Message::Text(text)))) => text.to_string(),
                Ok(Some(Ok(_))) => continue,
                other => panic!("waits for {words}: {other:?}"),
            };
            if frame.contains("disco#info") && frame.contains("type=\"get\"") {
                self.answer(&frame).await;
            }
            if frame.contains(words) {
                return frame;
            }
        }
    }

    async fn answer(&mut self, iq: &str) {
        let attr = |name: &str| {
            let text = iq.split(&format!(" {name}=\"")).nth(1).unwrap();
            text.split('"').next().unwrap().to_owned()
        };
        let features: String = peer::FEATURES.iter().map(|f| format!(r#"<feature var="{f}"/>"#)).collect();
        let (id, from) = (attr("id"), attr("from"));
        self.say(&format!(r#"<iq xmlns="jabber:client" type="result" id="{id}" to="{from}"><query xmlns="http://jabber.org/protocol/disco#info">{features}</query></iq>"#)).await;
    }
}
