//! The server's role alone, and a focus that does what a stock Jicofo does by docker-jitsi-meet's configuration: a connection for the
//! meetings, and one for each server with viewers, both over TCP with STARTTLS as `focus`, resource `focus`.

use std::time::Duration;

use jitsi_xmpp::xml::parse;
use jitsi_xmpp::{Element, Sensitive, iq};
use xmpp_link::{Link, LinkConfig, LinkEvent, TlsMode};

use super::{ask, join};
use crate::running::{Running, free, plausch};
use crate::tab::{ANONYMOUS, Tab};

/// One of its connections.
struct Connection {
    link: Link,
    jid: String,
}

impl Connection {
    async fn open(server: &str, domain: &str) -> Self {
        let mut link = Link::connect(LinkConfig {
            address: server.to_owned(),
            domain: domain.to_owned(),
            username: "focus".to_owned(),
            password: Sensitive::new("geheim".to_owned()),
            resource: "focus".to_owned(),
            tls: TlsMode::IfOffered,
            verify_certificate: false,
            resume_within: None,
        });
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), link.recv()).await;
            if let LinkEvent::Up { jid, .. } = next.expect("it does not log in").unwrap() {
                return Self { jid: jid.as_str().to_owned(), link };
            }
        }
    }

    fn say(&self, xml: &str) {
        self.link.send(&parse(xml.as_bytes()).unwrap()).unwrap();
    }

    /// The next stanza with these words.
    async fn until(&mut self, words: &str) -> Element {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(20), self.link.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("waits for {words}"));
            match next.expect("the server is gone") {
                LinkEvent::Stanza(stanza) if stanza.to_xml().contains(words) => return stanza,
                LinkEvent::Down { .. } => panic!("waits for {words}, and is thrown out"),
                _ => {}
            }
        }
    }

    /// Asks; the answer.
    async fn ask(&mut self, to: &str, kind: &str, id: &str, payload: &str) -> Element {
        self.say(&format!("<iq xmlns='jabber:client' type='{kind}' id='{id}' to='{to}'>{payload}</iq>"));
        let answer = self.until(&format!("id=\"{id}\"")).await;
        assert_eq!(answer.attr("type"), Some("result"), "{}", answer.to_xml());
        answer
    }

    /// As a room is joined there: presence, the form, and everybody's addresses shown.
    async fn enter(&mut self, room: &str) {
        self.say(&format!("<presence xmlns='jabber:client' to='{room}/focus'><x xmlns='http://jabber.org/protocol/muc'/></presence>"));
        let own = self.until("code=\"110\"").await.to_xml();
        assert!(own.contains("affiliation=\"owner\""), "{own}");
        let form =
            self.ask(room, "get", "form", "<query xmlns='http://jabber.org/protocol/muc#owner'/>").await;
        assert!(form.to_xml().contains("muc#roomconfig_whois"), "{}", form.to_xml());
        let answer = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_whois'><value>anyone</value></field></x></query>";
        self.ask(room, "set", "answer", answer).await;
    }
}

const ROOM: &str = "rat@muc.meet.jitsi";
const AUDIENCE: &str = "rat@muc.v0.meet.jitsi";

async fn browser(http: std::net::SocketAddr, domain: &str) -> Tab {
    Tab::log_in(http, domain, "room=rat", ANONYMOUS).await.unwrap()
}

#[test]
fn compat_a_focus_of_jitsi_s_own_leads_people_to_watch() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let [http, admin, xmpp, _] = free();
    let mut c = plausch();
    c.args(["xmpp", "--http", &http.to_string(), "--admin", &admin.to_string(), "--xmpp", &xmpp.to_string()]);
    // As `.env` has it, for both of them.
    c.envs([("ENABLE_VISITORS", "1"), ("JICOFO_AUTH_PASSWORD", "geheim"), ("JVB_AUTH_PASSWORD", "zwei")]);
    c.envs([
        ("VISITORS_XMPP_SERVER", "xmpp.meet.jitsi:5222"),
        ("VISITORS_XMPP_AUTH_DOMAIN", "auth.v0.meet.jitsi"),
    ]);
    let _server = Running::healthy(&mut c, admin);
    runtime.block_on(async {
        let server = xmpp.to_string();
        let mut main = Connection::open(&server, "auth.meet.jitsi").await;
        let mut vnode = Connection::open(&server, "auth.v0.meet.jitsi").await;
        assert_eq!((&*main.jid, &*vnode.jid), ("focus@auth.meet.jitsi/focus", "focus@auth.v0.meet.jitsi/focus"));
        // What it looks for, and what its health check asks.
        let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        let found = main.ask("meet.jitsi", "get", "disco", info).await.to_xml();
        assert!(found.contains("type=\"visitors\"") && found.contains("name=\"visitors.meet.jitsi\""), "{found}");
        vnode.ask("v0.meet.jitsi", "get", "disco", info).await;
        vnode.ask("v0.meet.jitsi", "get", "ping", "<ping xmlns='urn:xmpp:ping'/>").await;

        main.enter(ROOM).await;
        let mut anna = browser(http, "meet.jitsi").await;
        join(&mut anna, ROOM).await;

        // Somebody asks, and is told where to watch.
        let mut vera = browser(http, "meet.jitsi").await;
        let (told, ()) = tokio::join!(ask(&mut vera), async {
            let request = main.until("<conference ").await;
            vnode.enter(AUDIENCE).await;
            let connect = format!("<visitors xmlns='jitsi:visitors' room='{ROOM}'><connect-vnode vnode='v0'/></visitors>");
            main.ask("visitors.meet.jitsi", "get", "connect", &connect).await;
            let answer = format!("<conference xmlns='http://jitsi.org/protocol/focus' ready='true' vnode='v0' focusjid='focus@auth.v0.meet.jitsi' room='{ROOM}'/>");
            main.link.send(&iq::result(&request, Some(parse(answer.as_bytes()).unwrap()))).unwrap();
        });
        assert!(told.contains("vnode=\"v0\""), "{told}");
        drop(vera);
        let mut vera = browser(http, "v0.meet.jitsi").await;
        let nick = vera.nick();
        vera.say(&format!(r#"<presence xmlns="jabber:client" to="{AUDIENCE}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#)).await;
        let (mut focus_seen, mut anna_seen) = (false, false);
        let own = loop {
            let frame = vera.until("<presence").await;
            // compat: clients know the focus by the address that they were told (client §3.1).
            focus_seen |= frame.contains("/focus\"") && frame.contains("jid=\"focus@auth.v0.meet.jitsi/focus\"");
            anna_seen |= frame.contains(&format!("{AUDIENCE}/{}", anna.nick()));
            if frame.contains("code=\"110\"") {
                break frame;
            }
        };
        assert!(focus_seen && anna_seen && own.contains("role=\"visitor\""), "{own}");

        // It sees her, invites her, and she answers; what it says of itself reaches her.
        let seen = vnode.until(&format!("/{nick}\"")).await.to_xml();
        assert!(seen.contains("role=\"visitor\"") && seen.contains("@v0.meet.jitsi/"), "{seen}");
        vnode.say(&format!("<iq xmlns='jabber:client' type='set' id='offer' to='{AUDIENCE}/{nick}'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s1' initiator='{AUDIENCE}/focus'/></iq>"));
        let offer = vera.until("session-initiate").await;
        let id = offer.split(" id=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        vera.say(&format!(r#"<iq xmlns="jabber:client" type="result" id="{id}" to="{AUDIENCE}/focus"/>"#)).await;
        assert_eq!(vnode.until("id=\"offer\"").await.attr("type"), Some("result"));
        vnode.say(&format!("<presence xmlns='jabber:client' to='{AUDIENCE}/focus'><conference-properties xmlns='http://jitsi.org/protocol/focus'><property key='visitor-count' value='1'/></conference-properties></presence>"));
        vera.until("visitor-count").await;

        // Words go both ways, and the end is the end for both.
        anna.say(&format!(r#"<message xmlns="jabber:client" type="groupchat" to="{ROOM}"><body>welcome</body></message>"#)).await;
        assert!(vera.until("welcome").await.contains(&format!("{AUDIENCE}/{}", anna.nick())));
        vera.say(&format!(r#"<message xmlns="jabber:client" type="groupchat" to="{AUDIENCE}"><body>thank you</body></message>"#)).await;
        anna.until("thank you").await;
        let end = format!("<visitors xmlns='jitsi:visitors' room='{ROOM}'><disconnect-vnode vnode='v0'/></visitors>");
        main.ask("visitors.meet.jitsi", "get", "end", &end).await;
        let over = vera.until("type=\"unavailable\"").await;
        assert!(over.contains("Conference ended."), "{over}");
        // The first connection is what clients are led to, whatever the second does.
        drop(vnode);
        let mut emil = browser(http, "meet.jitsi").await;
        let (told, ()) = tokio::join!(ask(&mut emil), async {
            let request = main.until("<conference ").await;
            let answer = format!("<conference xmlns='http://jitsi.org/protocol/focus' ready='true' focusjid='focus@auth.meet.jitsi' room='{ROOM}'/>");
            main.link.send(&iq::result(&request, Some(parse(answer.as_bytes()).unwrap()))).unwrap();
        });
        assert!(told.contains("ready=\"true\"") && !told.contains("vnode"), "{told}");
    });
}
