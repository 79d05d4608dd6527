//! A meeting that is watched, on the built program over real WebSockets: told to watch, watching, invited, coming in.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::running::Whole;

/// A browser without a camera.
struct Browser {
    socket: WebSocketStream<TcpStream>,
    jid: String,
}

impl Browser {
    async fn connect(http: SocketAddr, domain: &str, query: &str) -> Self {
        let tcp = TcpStream::connect(http).await.unwrap();
        let mut request =
            format!("ws://{http}/xmpp-websocket?room=rat{query}").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "xmpp".parse().unwrap());
        let (socket, _) = tokio_tungstenite::client_async(request, tcp).await.unwrap();
        let mut it = Self { socket, jid: String::new() };
        let open =
            format!(r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="{domain}" version="1.0"/>"#);
        it.say(&open).await;
        it.until("features").await;
        it.say(r#"<auth mechanism="ANONYMOUS" xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#).await;
        it.until("<success").await;
        it.say(&open).await;
        it.until("features").await;
        it.say(r#"<iq id="b" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#).await;
        let bound = it.until("<jid>").await;
        it.jid = bound.split("<jid>").nth(1).unwrap().split("</jid>").next().unwrap().to_owned();
        it
    }

    fn nick(&self) -> &str {
        &self.jid[..8]
    }

    async fn say(&mut self, frame: &str) {
        self.socket.send(Message::Text(frame.to_owned().into())).await.unwrap();
    }

    /// The next frame in which this is. Whatever it is asked about itself it can do.
    async fn until(&mut self, what: &str) -> String {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.socket.next()).await;
            let frame = match next {
                Ok(Some(Ok(Message::Text(text)))) => text.to_string(),
                Ok(Some(Ok(_))) => continue,
                other => panic!("waits for {what}: {other:?}"),
            };
            if frame.contains("disco#info") && frame.contains("type=\"get\"") {
                self.answer(&frame).await;
            }
            if frame.contains(what) {
                return frame;
            }
        }
    }

    async fn answer(&mut self, iq: &str) {
        let attr = |name: &str| {
            let text = iq.split(&format!(" {name}=\"")).nth(1).unwrap();
            text.split('"').next().unwrap().to_owned()
        };
        let features: String = FEATURES.iter().map(|f| format!(r#"<feature var="{f}"/>"#)).collect();
        let (id, from) = (attr("id"), attr("from"));
        self.say(&format!(r#"<iq xmlns="jabber:client" type="result" id="{id}" to="{from}"><query xmlns="http://jabber.org/protocol/disco#info">{features}</query></iq>"#)).await;
    }

    async fn ask(&mut self, visitor: bool) -> String {
        let wish = if visitor { r#"<property name="visitor" value="true"/>"# } else { "" };
        self.say(&format!(r#"<iq xmlns="jabber:client" type="set" id="c" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="rat@muc.meet.jitsi" machine-uid="4f"><property name="visitors-version" value="1"/>{wish}</conference></iq>"#)).await;
        self.until("<conference ").await
    }

    async fn join(&mut self, room: &str, inside: &str) -> String {
        let nick = self.nick().to_owned();
        self.say(&format!(r#"<presence xmlns="jabber:client" to="{room}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/><nick xmlns="http://jabber.org/protocol/nick">N</nick>{inside}</presence>"#)).await;
        self.until("code=\"110\"").await
    }
}

#[test]
fn people_watch_are_invited_and_come_in() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let whole = Whole::start(|c| {
        c.envs([("ENABLE_VISITORS", "1"), ("VISITORS_MAX_PARTICIPANTS", "2")]);
    });
    runtime.block_on(async {
        let mut anna = Browser::connect(whole.http, "meet.jitsi", "").await;
        assert!(!anna.ask(false).await.contains("vnode"));
        anna.join("rat@muc.meet.jitsi", "").await;
        let mut ben = Browser::connect(whole.http, "meet.jitsi", "").await;
        assert!(!ben.ask(false).await.contains("vnode"));
        ben.join("rat@muc.meet.jitsi", "").await;

        let mut vera = Browser::connect(whole.http, "meet.jitsi", "").await;
        let told = vera.ask(false).await;
        assert!(told.contains(r#"vnode="v0""#) && told.contains(r#"ready="true""#), "{told}");
        let mut vera = Browser::connect(whole.http, "v0.meet.jitsi", "&vnode=v0").await;
        assert!(vera.join("rat@muc.v0.meet.jitsi", "").await.contains(r#"role="visitor""#));
        vera.until("session-initiate").await;
        anna.until(r#"key="visitor-count" value="1""#).await;

        anna.say(r#"<message xmlns="jabber:client" type="groupchat" to="rat@muc.meet.jitsi"><body>welcome</body></message>"#).await;
        let heard = vera.until("welcome").await;
        assert!(heard.contains(&format!("rat@muc.v0.meet.jitsi/{}", anna.nick())), "{heard}");
        vera.say(r#"<message xmlns="jabber:client" type="groupchat" to="rat@muc.v0.meet.jitsi"><body>thank you</body></message>"#).await;
        assert!(ben.until("thank you").await.contains(r#"from="rat@muc.meet.jitsi""#));

        let hand = "<jitsi_participant_raisedHand>1</jitsi_participant_raisedHand>";
        let nick = vera.nick().to_owned();
        vera.say(&format!(r#"<presence xmlns="jabber:client" to="rat@muc.v0.meet.jitsi/{nick}">{hand}</presence>"#)).await;
        let allowed = vera.until("promotion-response").await;
        assert!(allowed.contains(r#"allow="true""#), "{allowed}");
        let username = allowed.split("username=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        drop(vera);
        let query = format!("&customusername={username}");
        let mut vera = Browser::connect(whole.http, "meet.jitsi", &query).await;
        assert!(vera.jid.starts_with(&username), "{}", vera.jid);
        vera.join("rat@muc.meet.jitsi", "").await;
        ben.until(&format!("/{}\"", vera.nick())).await;
        vera.until("session-initiate").await;
    });
    let metrics = crate::running::get(whole.admin, "/metrics").unwrap();
    assert!(metrics.contains("jitsi_jicofo_visitors_current"), "{metrics}");
}

const FEATURES: &[&str] = &[
    "urn:xmpp:jingle:1",
    "urn:xmpp:jingle:apps:rtp:audio",
    "urn:xmpp:jingle:apps:rtp:video",
    "urn:xmpp:jingle:transports:dtls-sctp:1",
    "urn:ietf:rfc:4588",
    "http://jitsi.org/tcc",
    "http://jitsi.org/source-name",
    "http://jitsi.org/json-encoded-sources",
    "http://jitsi.org/ssrc-rewriting-1",
];
