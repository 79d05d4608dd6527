//! The suite's hosts on a free port, and people who come in over WebSockets on any of them.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use jitsi_xmpp::{FullJid, Sensitive};
use prosody_core::token::{Hash, Signer};
use prosody_server::config::RawAccount;
use prosody_server::table::{RawComponent, RawRooms, RawUsers};
use prosody_server::{Config, Raw, ServerHandle};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use xmpp_link::{Link, LinkEvent, LinkSender};

/// The suite's table, as it is shipped.
pub fn tables() -> Raw {
    #[derive(Deserialize)]
    struct Tables {
        users: Vec<RawUsers>,
        rooms: Vec<RawRooms>,
        components: Vec<RawComponent>,
        shard: String,
        region: String,
        release: String,
    }
    let text = include_str!("../../../../tests/xmpp/suite.toml");
    let file: toml::Table = text.parse().unwrap();
    let Tables { users, rooms, components, shard, region, release } =
        file["xmpp"].clone().try_into().unwrap();
    let (shard, region, release) = (Some(shard), Some(region), Some(release));
    Raw { users, rooms, components, shard, region, release, ..Raw::default() }
}

const SECRET: &str = "a-secret-of-the-tests-with-32-bytes";

/// A token of the main host.
pub fn token(claims: &Value) -> String {
    signed(SECRET, claims)
}

/// One of another.
pub fn signed(secret: &str, claims: &Value) -> String {
    let mut all = serde_json::Map::new();
    for (name, value) in [("iss", "jitsi"), ("aud", "jitsi"), ("sub", "*"), ("room", "*")] {
        all.insert(name.into(), value.into());
    }
    all.extend(claims.as_object().unwrap().clone());
    let signer = Signer::secret(Hash::Sha256, &Sensitive::new(secret.into())).unwrap();
    signer.sign(&all).unwrap().reveal().clone()
}

pub struct Suite {
    pub handle: ServerHandle,
    pub http: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Suite {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = listener.local_addr().unwrap();
        let mut raw = tables();
        // Where the suite would be, and a key of ours.
        raw.users[0].access_manager.as_mut().unwrap().url =
            format!("http://{http}/test-observer/access-manager");
        let rules = raw.users[0].token.as_mut().unwrap();
        rules.app_secret = Some(Sensitive::new(SECRET.into()));
        rules.algorithm = Some("HS256".into());
        for name in ["recorder", "transcriber"] {
            raw.accounts
                .push(RawAccount { jid: format!("{name}@recorder.localhost"), password: "pass".into() });
        }
        let (stop, stopped) = watch::channel(false);
        let handle = prosody_server::start(Config::from_raw(raw).unwrap(), stopped).await.unwrap();
        let router = handle.router().merge(handle.inside_router());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { handle, http, _stop: stop }
    }

    pub async fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask_with(method, path, &body).await
    }

    pub async fn ask_with(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut socket = TcpStream::connect(self.http).await.unwrap();
        let head = format!("{method} /test-observer{path} HTTP/1.1\r\nhost: x\r\nconnection: close");
        let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)))
    }

    pub async fn post(&self, path: &str, body: Value) {
        let (status, answer) = self.ask("POST", path, &body).await;
        assert!(matches!(status, 200 | 204), "{path} {body}: {status} {answer}");
    }

    /// What a suite types into the shell.
    pub async fn shell(&self, line: &str) {
        let (status, said) = self.ask_with("POST", "/shell", line).await;
        assert_eq!(status, 200, "{line}: {said}");
    }

    /// The state of a room. `None`: it is not there.
    pub async fn room(&self, view: &str, room: &str) -> Option<Value> {
        let path = format!("/rooms{view}?jid={}", room.replace('@', "%40"));
        let (status, state) = self.ask("GET", &path, &Value::Null).await;
        (status == 200).then_some(state)
    }

    /// The focus in a room; it is left with the sender.
    pub async fn focus(&self, room: &str) -> LinkSender {
        let jid: FullJid = "focus@auth.localhost/focus".parse().unwrap();
        let (mut link, end) = Link::in_process(jid, 8_192);
        self.handle.attach_in_process(end).await.unwrap();
        let join = jitsi_xmpp::Element::new("presence", jitsi_xmpp::ns::CLIENT)
            .with_attr("to", format!("{room}/focus"))
            .with_child(jitsi_xmpp::Element::new("x", jitsi_xmpp::ns::MUC));
        link.send(&join).unwrap();
        loop {
            let Some(LinkEvent::Stanza(stanza)) = link.recv().await else { continue };
            assert_ne!(stanza.attr("type"), Some("error"), "{}", stanza.to_xml());
            if stanza.to_xml().contains("code=\"110\"") {
                break;
            }
        }
        let sender = link.sender();
        tokio::spawn(async move { while link.recv().await.is_some() {} });
        sender
    }

    /// Somebody on the main host, without a token.
    pub async fn guest(&self) -> Person {
        Person::come(self, "localhost", "", None).await.unwrap()
    }

    /// The same with one.
    pub async fn with_token(&self, claims: &Value) -> Person {
        Person::come(self, "localhost", &format!("token={}", token(claims)), None).await.unwrap()
    }

    pub async fn at(&self, domain: &str) -> Person {
        Person::come(self, domain, "", None).await.unwrap()
    }
}

/// Somebody who is connected.
pub struct Person {
    socket: WebSocketStream<TcpStream>,
    pub jid: String,
    /// What has come and was not looked for.
    inbox: Vec<String>,
}

impl Person {
    /// Logs in and binds, or says how it was refused.
    pub async fn come(
        suite: &Suite,
        domain: &str,
        query: &str,
        account: Option<(&str, &str)>,
    ) -> Result<Self, String> {
        let tcp = TcpStream::connect(suite.http).await.unwrap();
        let url = format!("ws://localhost/xmpp-websocket?{query}");
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
        let (socket, _) = tokio_tungstenite::client_async(request, tcp).await.unwrap();
        let mut it = Self { socket, jid: String::new(), inbox: Vec::new() };
        let open =
            format!(r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="{domain}" version="1.0"/>"#);
        it.say(&open).await;
        it.expect("<mechanisms ").await;
        let (mechanism, data) = match account {
            Some((user, password)) => ("PLAIN", STANDARD.encode(format!("\0{user}\0{password}"))),
            None => ("ANONYMOUS", String::new()),
        };
        it.say(&format!(
            r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="{mechanism}">{data}</auth>"#
        ))
        .await;
        let answer = it.expect("urn:ietf:params:xml:ns:xmpp-sasl").await;
        if !answer.starts_with("<success") {
            return Err(answer);
        }
        it.say(&open).await;
        it.say(r#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#)
            .await;
        let bound = it.expect("<jid>").await;
        let jid = bound.split("<jid>").nth(1).unwrap().split('<').next().unwrap();
        jid.clone_into(&mut it.jid);
        Ok(it)
    }

    pub fn nick(&self) -> &str {
        &self.jid[..8]
    }

    pub async fn say(&mut self, frame: &str) {
        self.socket.send(Message::text(frame.to_owned())).await.unwrap();
    }

    /// The first frame for which this holds, of those that have come or come in time.
    pub async fn within(&mut self, time: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        if let Some(at) = self.inbox.iter().position(|f| wanted(f)) {
            return Some(self.inbox.remove(at));
        }
        let end = Instant::now() + time;
        while let Ok(Some(Ok(message))) = timeout_at(end, self.socket.next()).await {
            let Message::Text(text) = message else { continue };
            if wanted(&text) {
                return Some(text.as_str().to_owned());
            }
            self.inbox.push(text.as_str().to_owned());
        }
        None
    }

    pub async fn expect(&mut self, what: &str) -> String {
        let frame = self.within(Duration::from_secs(15), |f| f.contains(what)).await;
        frame.unwrap_or_else(|| panic!("nothing with {what} came, but {:#?}", self.inbox))
    }

    /// Forgets what has come.
    pub async fn rest(&mut self) {
        let _ = self.within(Duration::from_millis(200), |_| false).await;
        self.inbox.clear();
    }

    /// Asks to come in; its own presence, or the error.
    pub async fn join(&mut self, room: &str) -> String {
        let nick = self.nick().to_owned();
        self.join_as(room, &nick, "").await
    }

    pub async fn join_as(&mut self, room: &str, nick: &str, more: &str) -> String {
        self.ask_in(room, nick, more).await;
        let from = format!("from=\"{room}/{nick}\"");
        let own = self
            .within(Duration::from_secs(15), |f| {
                f.starts_with("<presence")
                    && f.contains(&from)
                    && (f.contains("code=\"110\"") || f.contains("type=\"error\""))
            })
            .await;
        own.unwrap_or_else(|| panic!("no answer to the join, but {:#?}", self.inbox))
    }

    /// The same without waiting.
    pub async fn ask_in(&mut self, room: &str, nick: &str, more: &str) {
        self.say(&format!(
            r#"<presence xmlns="jabber:client" to="{room}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/>{more}</presence>"#
        ))
        .await;
    }

    /// Says goodbye.
    pub async fn go(mut self) {
        self.say(r#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#).await;
        let _ = self.within(Duration::from_secs(2), |f| f.starts_with("<close")).await;
    }
}

/// A room of the meetings that nobody else has.
pub fn room(name: &str) -> String {
    format!("{name}@conference.localhost")
}

/// What a session's token would say, through the observer.
pub async fn context(suite: &Suite, who: &Person, user: &str, flip: bool) {
    suite
        .post("/sessions/context", json!({ "jid": who.jid, "user_id": user, "features": { "flip": flip } }))
        .await;
}
