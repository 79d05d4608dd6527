//! A server with clients and a focus: short words for the scenarios.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::{Element, Sensitive, ns, xml};
use prosody_core::{
    AccountAnswer, Answer, CloseReason, Config, ConnId, HttpRequest, KeyFetchId, Output, QuestionId,
    RequestId, Server, SessionQuery, Transport,
};

use crate::foreign;

pub const ROOM: &str = "rathaus@muc.meet.jitsi";

/// A logged-in client.
#[derive(Clone, Debug)]
pub struct Client {
    pub conn: ConnId,
    pub jid: String,
    pub nick: String,
}

impl Client {
    pub fn bare(&self) -> &str {
        self.jid.split('/').next().unwrap()
    }
}

pub struct Rig {
    pub server: Server,
    pub now: Instant,
    next: u64,
    inbox: HashMap<ConnId, Vec<String>>,
    pub closed: HashMap<ConnId, CloseReason>,
    pub other: Vec<Output>,
    /// Frames are read by a parser that is not ours, too. Off where clients say what makes no sense, which is passed on.
    pub foreign: bool,
}

/// Names modules on the main host.
pub fn name(config: &mut Config, modules: &[&str]) {
    config.hosts.users[0].modules.extend(modules.iter().map(|m| (*m).to_owned()));
}

/// Accounts are written to, past all rooms.
pub fn with_direct_messages(config: &mut Config) {
    config.hosts.users[0].modules.retain(|m| m != "filter_direct_messages");
}

/// Clients ask for what there is.
pub fn without_push(config: &mut Config) {
    config.hosts.users[0].modules.retain(|m| m != "jiconop");
}

impl Rig {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::for_domain("meet.jitsi")
            .unwrap()
            .with_account("focus@auth.meet.jitsi".parse().unwrap(), "geheim")
            .with_account("jvb@auth.meet.jitsi".parse().unwrap(), "jvbpass");
        change(&mut config);
        let now = Instant::now();
        let mut server = Server::new(config, Box::new(SeededEntropy::new(1)), now);
        server.handle_clock(now, Duration::from_secs(1_795_390_567));
        Self {
            server,
            now,
            next: 0,
            inbox: HashMap::new(),
            closed: HashMap::new(),
            other: Vec::new(),
            foreign: true,
        }
    }

    /// The configuration becomes another.
    pub fn reload(&mut self, change: impl FnOnce(&mut Config)) {
        let mut config = self.server.config().clone();
        change(&mut config);
        self.server.handle_reload(self.now, config).unwrap();
        self.drain();
    }

    /// An admin types something; whether it was done, and what is said.
    pub fn shell(&mut self, asked: &prosody_core::Asked) -> (bool, Vec<String>) {
        let said = self.server.handle_shell(self.now, asked);
        self.drain();
        (said.done, said.text.reveal().lines().map(str::to_owned).collect())
    }

    pub fn open(&mut self, transport: Transport, query: SessionQuery) -> ConnId {
        self.next += 1;
        let conn = ConnId(self.next);
        self.server.handle_open(self.now, conn, transport, query);
        self.drain();
        conn
    }

    pub fn raw(&mut self, conn: ConnId, frame: &[u8]) {
        self.server.handle_frame(self.now, conn, frame);
        self.drain();
    }

    pub fn send(&mut self, client: &Client, frame: &str) {
        self.raw(client.conn, frame.as_bytes());
    }

    /// Sends and returns what comes back to the same client.
    pub fn ask(&mut self, client: &Client, frame: &str) -> Vec<String> {
        self.take(client);
        self.send(client, frame);
        self.take(client)
    }

    pub fn lose(&mut self, conn: ConnId) {
        self.server.handle_closed(self.now, conn);
        self.drain();
    }

    /// What came of a question.
    pub fn hear(&mut self, id: QuestionId, answer: &Answer) {
        self.server.handle_answer(self.now, id, answer);
        self.drain();
    }

    /// A request from inside, which may wait.
    pub fn http_begins(&mut self, id: RequestId, request: &HttpRequest) {
        self.server.handle_http(self.now, id, request);
        self.drain();
    }

    /// What is answered to a request from inside.
    pub fn http(&mut self, request: &HttpRequest) -> (u16, String) {
        self.server.handle_http(self.now, RequestId(7), request);
        self.drain();
        let at = self.other.iter().position(|o| matches!(o, Output::Reply { id: RequestId(7), .. }));
        let Some(Output::Reply { reply, .. }) = at.map(|at| self.other.remove(at)) else {
            panic!("no reply")
        };
        (reply.status, reply.json.reveal().clone())
    }

    /// What came of a question for a key.
    pub fn hear_key(&mut self, id: KeyFetchId, answer: prosody_core::token::Answer) {
        self.server.handle_key(self.now, id, answer);
        self.drain();
    }

    /// What came of a look at an account.
    pub fn hear_account(&mut self, conn: ConnId, id: QuestionId, answer: AccountAnswer) {
        self.server.handle_account(self.now, conn, id, answer);
        self.drain();
    }

    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.server.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub fn drain(&mut self) {
        while let Some(o) = self.server.poll_output() {
            match o {
                Output::Send { conn, frame } => {
                    let text = String::from_utf8(frame.to_bytes().to_vec()).unwrap();
                    assert!(!self.closed.contains_key(&conn), "sent after close");
                    if self.foreign {
                        foreign::read(&text);
                    }
                    self.inbox.entry(conn).or_default().push(text);
                }
                Output::Close { conn, reason } => {
                    self.closed.insert(conn, reason);
                }
                other => self.other.push(other),
            }
        }
    }

    pub fn take_raw(&mut self, conn: ConnId) -> Vec<String> {
        self.inbox.remove(&conn).unwrap_or_default()
    }

    pub fn take(&mut self, client: &Client) -> Vec<String> {
        self.take_raw(client.conn)
    }

    /// The focus, in the same process.
    pub fn focus(&mut self) -> Client {
        let jid = "focus@auth.meet.jitsi/focus";
        let conn = self.open(Transport::InProcess(jid.parse().unwrap()), SessionQuery::default());
        Client { conn, jid: jid.into(), nick: "focus".into() }
    }

    /// An anonymous client over WebSocket, bound, without stream management.
    pub fn client(&mut self) -> Client {
        self.client_with(SessionQuery { room: Some(Sensitive::new("rathaus".into())), ..Default::default() })
    }

    pub fn client_with(&mut self, query: SessionQuery) -> Client {
        let conn = self.authenticated(query);
        self.bound(conn)
    }

    /// Who has logged in gets an address.
    pub fn bound(&mut self, conn: ConnId) -> Client {
        self.raw(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
        let jid =
            self.take_raw(conn).iter().find_map(|f| Some(between(f, "<jid>", "</jid>")?.to_owned())).unwrap();
        let nick = jid.split('@').next().unwrap().chars().take(8).collect();
        Client { conn, nick, jid }
    }

    /// A WebSocket after the anonymous login, before bind.
    pub fn authenticated(&mut self, query: SessionQuery) -> ConnId {
        let conn = self.open(Transport::WebSocket, query);
        self.raw(conn, OPEN.as_bytes());
        self.raw(conn, br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#);
        self.raw(conn, OPEN.as_bytes());
        self.take_raw(conn);
        conn
    }

    /// Switches stream management on and returns the resumption id.
    pub fn enable(&mut self, client: &Client) -> String {
        let back = self.ask(client, r#"<enable xmlns="urn:xmpp:sm:3" resume="true"/>"#);
        between(&back[0], " id=\"", "\"").unwrap().to_owned()
    }

    pub fn join(&mut self, client: &Client) -> Vec<String> {
        self.join_with(client, "", &format!("<nick xmlns=\"{}\">{}</nick>", ns::NICK, client.nick))
    }

    pub fn join_with(&mut self, client: &Client, inside_x: &str, rest: &str) -> Vec<String> {
        let nick = client.nick.clone();
        self.ask(
            client,
            &format!(r#"<presence xmlns="jabber:client" to="{ROOM}/{nick}" id="j"><x xmlns="http://jabber.org/protocol/muc">{inside_x}</x>{rest}</presence>"#),
        )
    }

    /// A room with the focus and `n` clients in it; all inboxes empty.
    pub fn meeting(&mut self, n: usize) -> (Client, Vec<Client>) {
        let focus = self.focus();
        self.join(&focus);
        let clients: Vec<Client> = (0..n).map(|_| self.client()).collect();
        for c in &clients {
            self.join(c);
        }
        self.inbox.clear();
        (focus, clients)
    }

    /// Fills in a field of the form that owners have; what comes back.
    pub fn configure(&mut self, who: &Client, room: &str, field: &str, value: &str) -> Vec<String> {
        self.ask(who, &format!(r#"<iq type="set" id="cf" to="{room}"><query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var="muc#roomconfig_{field}"><value>{value}</value></field></x></query></iq>"#))
    }

    /// The form as it is shown to them.
    pub fn form(&mut self, who: &Client, room: &str) -> String {
        let query = r#"<query xmlns="http://jabber.org/protocol/muc#owner"/>"#;
        self.ask(who, &format!(r#"<iq type="get" id="f" to="{room}">{query}</iq>"#)).concat()
    }

    /// The focus makes somebody an owner, as it does with the first who comes.
    pub fn grant(&mut self, focus: &Client, to: &Client) {
        let bare = to.bare().to_owned();
        self.send(focus, &format!(r#"<iq type="set" id="go" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="owner" jid="{bare}"/></query></iq>"#));
    }

    pub fn leave(&mut self, client: &Client) {
        self.raw(
            client.conn,
            format!(r#"<presence to="{ROOM}/{}" type="unavailable"/>"#, client.nick).as_bytes(),
        );
    }

    /// Everybody says goodbye, and nothing is left.
    pub fn end(mut self, clients: &[&Client]) {
        for c in clients {
            self.raw(c.conn, br#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#);
        }
        self.assert_empty();
    }

    /// One says goodbye; others may still be there.
    pub fn end_quietly(&mut self, client: &Client) {
        self.lose(client.conn);
    }

    pub fn assert_empty(&self) {
        let s = self.server.stats();
        assert_eq!((s.connections, s.sessions, s.hibernating, s.rooms, s.occupants), (0, 0, 0, 0, 0));
    }
}

pub fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let start = text.find(from)? + from.len();
    let len = text[start..].find(to)?;
    Some(&text[start..start + len])
}

pub fn parse(frame: &str) -> Element {
    xml::parse(frame.as_bytes()).unwrap()
}

pub const OPEN: &str = r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.jitsi" version="1.0"/>"#;
