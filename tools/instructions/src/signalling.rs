//! The XMPP server with a focus and many clients in one room: frames in, deliveries counted.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::entropy::SeededEntropy;
use prosody_core::{Config, ConnId, Output, Server, SessionQuery, Transport};

use crate::{Done, counted};

/// One of 500 changes its presence; everybody is told.
pub(crate) fn presence_to_500() -> Done {
    const STEPS: usize = 30;
    let mut town = Town::new();
    let focus = town.focus();
    town.join(focus);
    let clients: Vec<ConnId> = (0..500).map(|_| town.client()).collect();
    clients.iter().for_each(|c| town.join(*c));
    town.settle();
    let mut told = 0;
    for step in 0..STEPS + WARM_UP {
        let client = clients[step * 7 % clients.len()];
        let frame = presence(&town.nick(client), false, step % 2 == 0);
        let before = town.stanzas;
        town.step(step >= WARM_UP, &mut |server, now| server.handle_frame(now, client, frame.as_bytes()));
        assert_eq!(town.stanzas - before, 501, "500 clients and the focus are told");
        told += if step >= WARM_UP { town.stanzas - before } else { 0 };
    }
    Done { unit: "delivery of a presence", units: told }
}

/// A client comes into a room of 400: it is told of 400, and they of it.
pub(crate) fn join_into_400() -> Done {
    const STEPS: usize = 10;
    let mut town = Town::new();
    let focus = town.focus();
    town.join(focus);
    let clients: Vec<ConnId> = (0..400).map(|_| town.client()).collect();
    clients.iter().for_each(|c| town.join(*c));
    let late: Vec<ConnId> = (0..STEPS + WARM_UP).map(|_| town.client()).collect();
    town.settle();
    for (step, client) in late.into_iter().enumerate() {
        let frame = presence(&town.nick(client), true, false);
        let before = town.stanzas;
        town.step(step >= WARM_UP, &mut |server, now| server.handle_frame(now, client, frame.as_bytes()));
        assert!(town.stanzas - before >= 802, "all learn of it, and it of all: {}", town.stanzas - before);
        let nick = town.nick(client);
        town.frame(client, &format!(r#"<presence to="{ROOM}/{nick}" type="unavailable"/>"#));
    }
    Done { unit: "join", units: STEPS as u64 }
}

/// A WebSocket opens, logs in anonymously, gets an address and switches stream management on.
pub(crate) fn login() -> Done {
    const STEPS: u64 = 50;
    let mut town = Town::new();
    (0..100).for_each(|_| _ = town.client());
    for _ in 0..STEPS {
        let conn = town.next_conn();
        town.step(true, &mut |server, now| {
            server.handle_open(now, conn, Transport::WebSocket, SessionQuery::default());
        });
        for frame in LOGIN {
            town.step(true, &mut |server, now| server.handle_frame(now, conn, frame.as_bytes()));
        }
        assert!(town.conns[conn.0 as usize].managed, "logged in");
    }
    Done { unit: "login", units: STEPS }
}

/// What is known of a connection.
#[derive(Default)]
struct Conn {
    jid: String,
    /// Stanzas received since stream management was switched on.
    received: u32,
    managed: bool,
}

struct Town {
    server: Server,
    now: Instant,
    /// From one input to the next: decides how often clients are asked to acknowledge.
    pace: Duration,
    conns: Vec<Conn>,
    /// Stanzas delivered to anybody.
    stanzas: u64,
    /// Who was asked for an acknowledgement.
    asked: Vec<ConnId>,
}

impl Town {
    fn new() -> Self {
        let config = Config::for_domain("meet.jitsi")
            .unwrap()
            .with_account("focus@auth.meet.jitsi".parse().unwrap(), "geheim");
        let now = Instant::now();
        let mut server = Server::new(config, Box::new(SeededEntropy::new(1)), now);
        server.handle_clock(now, Duration::from_secs(1_795_390_567));
        Self {
            server,
            now,
            pace: Duration::from_millis(1),
            conns: vec![Conn::default()],
            stanzas: 0,
            asked: Vec::with_capacity(1000),
        }
    }

    fn next_conn(&mut self) -> ConnId {
        self.conns.push(Conn::default());
        ConnId(self.conns.len() as u64 - 1)
    }

    /// One input and all its effects; then those who were asked acknowledge what they got, which the server has to
    /// read, too.
    fn step(&mut self, count: bool, input: &mut dyn FnMut(&mut Server, Instant)) {
        self.now += self.pace;
        self.run(count, input);
        let asked = std::mem::take(&mut self.asked);
        if asked.is_empty() {
            return;
        }
        let ack =
            |c: &ConnId| format!(r#"<a xmlns="urn:xmpp:sm:3" h="{}"/>"#, self.conns[c.0 as usize].received);
        let acks: Vec<String> = asked.iter().map(ack).collect();
        self.run(count, &mut |server, now| {
            for (conn, ack) in asked.iter().zip(&acks) {
                server.handle_frame(now, *conn, ack.as_bytes());
            }
        });
    }

    fn run(&mut self, count: bool, input: &mut dyn FnMut(&mut Server, Instant)) {
        let mut work = || {
            input(&mut self.server, self.now);
            while self.server.poll_timeout().is_some_and(|at| at <= self.now) {
                self.server.handle_timeout(self.now);
            }
            while let Some(output) = self.server.poll_output() {
                if let Output::Send { conn, frame } = output {
                    take(
                        &mut self.conns[conn.0 as usize],
                        &mut self.stanzas,
                        &mut self.asked,
                        conn,
                        &frame.pieces(),
                    );
                }
            }
        };
        if count { counted(&mut work) } else { work() }
    }

    /// What the joins left behind is acknowledged; from now on the pace is a busy room's.
    fn settle(&mut self) {
        self.pace = BUSY;
        (0..30).for_each(|_| self.step(false, &mut |_, _| {}));
    }

    fn frame(&mut self, conn: ConnId, frame: &str) {
        self.step(false, &mut |server, now| server.handle_frame(now, conn, frame.as_bytes()));
    }

    /// The focus, in the same process.
    fn focus(&mut self) -> ConnId {
        let conn = self.next_conn();
        let jid = "focus@auth.meet.jitsi/focus";
        self.conns[conn.0 as usize].jid = jid.to_owned();
        let transport = Transport::InProcess(jid.parse().unwrap());
        self.step(false, &mut |server, now| {
            server.handle_open(now, conn, transport.clone(), SessionQuery::default());
        });
        conn
    }

    /// A client as browsers are: anonymous, with stream management.
    fn client(&mut self) -> ConnId {
        let conn = self.next_conn();
        let query =
            SessionQuery { room: Some(Sensitive::new("rathaus".to_owned())), ..SessionQuery::default() };
        self.step(false, &mut |server, now| {
            server.handle_open(now, conn, Transport::WebSocket, query.clone())
        });
        LOGIN.iter().for_each(|frame| self.frame(conn, frame));
        let it = &self.conns[conn.0 as usize];
        assert!(it.managed && !it.jid.is_empty(), "logged in");
        conn
    }

    fn join(&mut self, conn: ConnId) {
        let frame = presence(&self.nick(conn), true, false);
        let before = self.stanzas;
        self.frame(conn, &frame);
        assert!(self.stanzas > before, "in the room");
    }

    /// `focus`, or the first letters of the anonymous name as clients do.
    fn nick(&self, conn: ConnId) -> String {
        let node = self.conns[conn.0 as usize].jid.split('@').next().unwrap();
        node.chars().take(8).collect()
    }
}

/// Counts a frame as a client would.
fn take(it: &mut Conn, stanzas: &mut u64, asked: &mut Vec<ConnId>, conn: ConnId, pieces: &[&[u8]; 3]) {
    let head = pieces.iter().find(|p| !p.is_empty()).copied().unwrap_or_default();
    if head.starts_with(b"<presence") || head.starts_with(b"<iq") || head.starts_with(b"<message") {
        *stanzas += 1;
        it.received += u32::from(it.managed);
        if it.jid.is_empty()
            && let Some(jid) = std::str::from_utf8(head).ok().and_then(|t| t.split_once("<jid>"))
        {
            it.jid = jid.1.split('<').next().unwrap_or_default().to_owned();
        }
    } else if head.starts_with(b"<r ") {
        asked.push(conn);
    } else if head.starts_with(b"<enabled ") {
        it.managed = true;
    }
}

/// A presence with the content and size that web clients send.
fn presence(nick: &str, join: bool, muted: bool) -> String {
    let mut p = format!(r#"<presence to="{ROOM}/{nick}" xmlns="jabber:client">"#);
    if join {
        p.push_str(r#"<x xmlns="http://jabber.org/protocol/muc"/>"#);
    }
    let _ = write!(
        p,
        "<stats-id>Murphy-RwH</stats-id>\
         <c hash=\"sha-1\" node=\"https://jitsi.org/jitsi-meet\" ver=\"+mpajJhafj8jFogLBKsPbQfMgzU=\" \
         xmlns=\"http://jabber.org/protocol/caps\"/>\
         <jitsi_participant_codecList>av1,vp9,vp8,h264</jitsi_participant_codecList>\
         <nick xmlns=\"http://jabber.org/protocol/nick\">Anna Beispiel</nick>\
         <SourceInfo>{{&quot;{nick}-a0&quot;:{{&quot;muted&quot;:{muted}}},\
         &quot;{nick}-v0&quot;:{{&quot;muted&quot;:false}}}}</SourceInfo></presence>"
    );
    p
}

/// A busy room: ten changes a second.
const BUSY: Duration = Duration::from_millis(100);
/// Two seconds, in which acknowledgements come to their rhythm and what is reused gets its size.
const WARM_UP: usize = 20;
const ROOM: &str = "rathaus@muc.meet.jitsi";
const LOGIN: &[&str] = &[
    r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.jitsi" version="1.0"/>"#,
    r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#,
    r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.jitsi" version="1.0"/>"#,
    r#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#,
    r#"<enable xmlns="urn:xmpp:sm:3" resume="true"/>"#,
];
