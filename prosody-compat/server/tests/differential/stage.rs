//! A script and a server in; what everybody heard at each step out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jitsi_xmpp::sasl::{Hash, Plain, ScramClient};
use jitsi_xmpp::xml::{XmlLimits, parse_with};
use jitsi_xmpp::{Element, Sensitive, ns};

use crate::script::{Step, WORDS, What};
use crate::wire::Wire;

/// Where a server is, and how it is trusted.
pub(crate) struct Server {
    pub(crate) http: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) trust: Arc<rustls::ClientConfig>,
    pub(crate) password: &'static str,
}

/// What somebody heard in one step.
pub(crate) enum Heard {
    Element(Element),
    Closed,
}

/// What everybody heard in one step.
pub(crate) type Turn<'a> = BTreeMap<&'a str, Vec<Heard>>;

#[derive(Default)]
struct Person {
    wire: Option<Wire>,
    /// Since it has logged in.
    jid: Option<String>,
    online: bool,
    /// The last question that it was asked.
    asked: String,
}

pub(crate) struct Stage<'a> {
    server: &'a Server,
    people: BTreeMap<&'a str, Person>,
    settled: u32,
    /// The session that can be resumed.
    managed: Option<Managed<'a>>,
    turn: Turn<'a>,
}

struct Managed<'a> {
    who: &'a str,
    jid: String,
    id: String,
    heard: u32,
}

impl<'a> Stage<'a> {
    pub(crate) const fn new(server: &'a Server) -> Self {
        Self { server, people: BTreeMap::new(), settled: 0, managed: None, turn: BTreeMap::new() }
    }

    pub(crate) async fn play(&mut self, step: &Step<'a>) -> Turn<'a> {
        let who = step.who;
        match &step.what {
            What::Connect { tcp } => self.connect(who, *tcp).await,
            What::LogIn { tcp } => {
                self.connect(who, *tcp).await;
                self.log_in(who, *tcp).await;
                // How one logs in is a script of its own.
                self.turn.clear();
                return Turn::new();
            }
            What::Encrypt => {
                let trust = Arc::clone(&self.server.trust);
                self.wire(who).encrypt(&trust, ACCOUNTS).await;
            }
            What::Prove { mechanism, wrong } => self.prove(who, mechanism, *wrong).await,
            What::Ask { until, xml } => {
                let until: Vec<&str> = until.iter().map(String::as_str).collect();
                self.ask(who, xml, &until).await;
            }
            What::Say(xml) => {
                self.say(who, xml).await;
                self.settle(who).await;
            }
            What::Drop => {
                let person = self.people.get_mut(who).unwrap();
                (person.wire, person.online) = (None, false);
                // A server hears of it in its own time.
                tokio::time::sleep(Duration::from_millis(200)).await;
                self.settle(who).await;
            }
        }
        std::mem::take(&mut self.turn)
    }

    /// The names under which people appear in what was heard.
    pub(crate) fn names(&self) -> Vec<(String, String)> {
        let known = self.people.iter().filter_map(|(name, p)| Some((name, p.jid.as_ref()?)));
        known
            .flat_map(|(name, jid)| {
                let bare = jid.split('/').next().unwrap().to_owned();
                [(jid.clone(), format!("{{{name}}}")), (bare, format!("{{{name}.bare}}"))]
            })
            .collect()
    }

    fn wire(&mut self, who: &str) -> &mut Wire {
        self.people
            .get_mut(who)
            .and_then(|p| p.wire.as_mut())
            .unwrap_or_else(|| panic!("{who} is not connected"))
    }

    async fn connect(&mut self, who: &'a str, tcp: bool) {
        let wire =
            if tcp { Wire::tcp(self.server.tcp).await } else { Wire::websocket(self.server.http).await };
        self.people.insert(who, Person { wire: Some(wire), ..Person::default() });
    }

    async fn log_in(&mut self, who: &'a str, tcp: bool) {
        if tcp {
            self.ask(who, HEADER, &["features"]).await;
            self.ask(who, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", &["proceed"]).await;
            let trust = Arc::clone(&self.server.trust);
            self.wire(who).encrypt(&trust, ACCOUNTS).await;
            self.ask(who, HEADER, &["features"]).await;
            self.prove(who, "SCRAM-SHA-1", false).await;
            self.ask(who, HEADER, &["features"]).await;
        } else {
            self.ask(who, OPEN, &["features"]).await;
            self.ask(who, "<auth xmlns='{sasl}' mechanism='ANONYMOUS'/>", &["success"]).await;
            self.ask(who, OPEN, &["features"]).await;
        }
        let resource = if tcp { "<resource>focus</resource>" } else { "" };
        self.ask(
            who,
            &format!("<iq type='set' id='bind'><bind xmlns='{{bind}}'>{resource}</bind></iq>"),
            &["iq"],
        )
        .await;
    }

    /// One SASL exchange. The messages themselves differ each time: heard are only their names.
    async fn prove(&mut self, who: &'a str, mechanism: &str, wrong: bool) {
        let password = if wrong { "wrong" } else { self.server.password };
        let auth = |first: &[u8]| {
            format!("<auth xmlns='{{sasl}}' mechanism='{mechanism}'>{}</auth>", BASE64.encode(first))
        };
        let end = &["challenge", "success", "failure"];
        if mechanism == "PLAIN" {
            return self.ask(who, &auth(&Plain::message("focus", password)), end).await;
        }
        let hash = if mechanism == "SCRAM-SHA-1" { Hash::Sha1 } else { Hash::Sha256 };
        let client = ScramClient::new(hash, "focus", Sensitive::new(password.to_owned()), "abcdefgh");
        self.ask(who, &auth(&client.first()), end).await;
        let Some(challenge) = self.last(who).filter(|e| e.name() == "challenge") else { return };
        let challenge = BASE64.decode(challenge.text()).expect("base64");
        let (_, answer) = client.respond(&challenge).expect("a challenge");
        let answer = format!("<response xmlns='{{sasl}}'>{}</response>", BASE64.encode(answer));
        self.ask(who, &answer, end).await;
    }

    fn last(&self, who: &str) -> Option<&Element> {
        match self.turn.get(who)?.last()? {
            Heard::Element(e) => Some(e),
            Heard::Closed => None,
        }
    }

    async fn say(&mut self, who: &str, xml: &str) {
        let mut text = xml.to_owned();
        for (word, means) in WORDS {
            text = text.replace(word, means);
        }
        for (jid, name) in self.names() {
            text = text.replace(&name, &jid);
        }
        text = text.replace("{id}", &self.people[who].asked);
        if let Some(managed) = &self.managed {
            text = text.replace("{previd}", &managed.id).replace("{heard}", &managed.heard.to_string());
        }
        let wire = self.wire(who);
        if !wire.is_stream() {
            // RFC 7395 §3.3.3: each frame is a document of its own.
            for name in ["<iq", "<message", "<presence"] {
                if text.starts_with(name) {
                    text.insert_str(name.len(), " xmlns='jabber:client'");
                }
            }
        }
        wire.send(&text).await;
    }

    /// Says something and listens until one of these elements came, or the end.
    async fn ask(&mut self, who: &'a str, xml: &str, until: &[&str]) {
        self.say(who, xml).await;
        loop {
            match self.hear(who).await {
                Some(name) if until.contains(&name.as_str()) => break,
                Some(_) => {}
                None => break,
            }
        }
        if self.last(who).is_some_and(|e| matches!(e.name(), "success" | "proceed")) {
            self.wire(who).restart();
        }
    }

    /// Takes the next element, and returns its name.
    async fn hear(&mut self, who: &'a str) -> Option<String> {
        let frame = self.wire(who).next().await;
        let heard = self.turn.entry(who).or_default();
        let Some(frame) = frame else {
            heard.push(Heard::Closed);
            self.people.get_mut(who).unwrap().online = false;
            return None;
        };
        let e = parse_with(frame.as_bytes(), ns::CLIENT, &XmlLimits::default())
            .unwrap_or_else(|error| panic!("{error}: {frame}"));
        let person = self.people.get_mut(who).unwrap();
        if let Some(bound) = e.child("bind", ns::BIND).and_then(|b| b.child_named("jid")) {
            (person.jid, person.online) = (Some(bound.text()), true);
        }
        match (e.name(), &mut self.managed) {
            ("enabled", managed) => {
                let (id, jid) = (e.attr("id").unwrap_or_default().to_owned(), person.jid.clone().unwrap());
                *managed = Some(Managed { who, jid, id, heard: 0 });
            }
            // Somebody else goes on in its place.
            ("resumed", Some(managed)) => {
                (person.jid, person.online) = (Some(managed.jid.clone()), true);
                managed.who = who;
            }
            (_, Some(managed)) if managed.who == who && e.is_stanza() => managed.heard += 1,
            _ => {}
        }
        if e.name() == "iq" && matches!(e.attr("type"), Some("get" | "set")) {
            e.attr("id").unwrap_or_default().clone_into(&mut person.asked);
        }
        let name = e.name().to_owned();
        heard.push(Heard::Element(e));
        Some(name)
    }

    /// Both servers do one thing after the other: once the speaker has an answer to a ping, all that its words led to is on its way,
    /// and lies before the others' answers.
    async fn settle(&mut self, speaker: &'a str) {
        let mut order: Vec<&'a str> = vec![speaker];
        order.extend(self.people.keys().filter(|name| **name != speaker));
        for who in order {
            let person = &self.people[who];
            let Some(jid) = person.jid.clone().filter(|_| person.online) else { continue };
            self.settled += 1;
            let id = format!("settle-{}", self.settled);
            let host = jid.split(['@', '/']).nth(1).unwrap().to_owned();
            self.say(who, &format!("<iq type='get' id='{id}' to='{host}'><ping xmlns='{{ping}}'/></iq>"))
                .await;
            while self.hear(who).await.is_some() {
                if self.last(who).and_then(|e| e.attr("id")) == Some(id.as_str()) {
                    self.turn.get_mut(who).unwrap().pop();
                    break;
                }
            }
        }
    }
}

/// The host with accounts, over TCP.
pub(crate) const ACCOUNTS: &str = "auth.meet.jitsi";
const HEADER: &str = "<?xml version='1.0'?><stream:stream to='auth.meet.jitsi' version='1.0' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";
const OPEN: &str = "<open xmlns='{framing}' to='meet.jitsi' version='1.0'/>";
