//! Server, focus, bridges and clients, and what travels between them: short words for the scenarios.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use base64::Engine as _;
use focus_core::Focus;
use impairment::{Conditions, Direction, Link};
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::{Element, Sensitive, ns, xml};
use peer::OPEN;
use prosody_core::{CloseReason, ConnId, Output, Server, SessionQuery, Transport};

use crate::bridge::Bridge;

/// A scripted client by its connection.
pub type Client = peer::Client<ConnId>;
/// A login by its connection.
pub type Stream = peer::Stream<ConnId>;

/// Where everybody meets.
pub const ROOM: &str = "haushaltsausschuss-4711@muc.meet.jitsi";
/// Who the focus is.
pub const FOCUS: &str = "focus@auth.meet.jitsi/focus";
const FOCUS_PASSWORD: &str = "focus-pass-geheim";
/// Media clients are looked at this often.
const TICK: Duration = Duration::from_millis(20);

/// Where a parcel goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The XMPP server.
    Server(ConnId),
    /// The focus.
    Focus,
    /// A bridge by its place.
    Bridge(usize),
    /// A client by its place.
    Client(usize),
}

/// Delays of the copies of one stanza: `[0]` is an honest network.
pub type Meddle = Box<dyn FnMut(To, &str) -> Vec<Duration>>;

/// Everything that makes a meeting, in virtual time.
pub struct World {
    /// The time.
    pub now: Instant,
    /// The XMPP server.
    pub server: Server,
    /// The focus.
    pub focus: Focus,
    /// The focus' stream; with a resumption id it is a real login instead of a link inside of the process.
    pub focus_stream: Stream,
    /// Bridges, dead ones too.
    pub bridges: Vec<Bridge>,
    /// Clients, in the order they came.
    pub clients: Vec<Client>,
    /// Up and down between a client and bridges; without: datagrams are there at once.
    pub networks: BTreeMap<usize, [Link; 2]>,
    net: BTreeMap<(Instant, u64), (To, String)>,
    /// Decides what the network does with a stanza.
    pub meddle: Meddle,
    owners: HashMap<ConnId, To>,
    /// Connections that the server closed, and why.
    pub closed: HashMap<ConnId, CloseReason>,
    next: u64,
    last_tick: Instant,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A server with a focus and one bridge.
    pub fn new() -> Self {
        let mut w = Self::bare();
        w.connect_focus();
        w.add_bridge();
        w
    }

    /// A server alone.
    pub fn bare() -> Self {
        let config = prosody_core::Config::for_domain("meet.jitsi")
            .unwrap()
            .with_account("focus@auth.meet.jitsi".parse().unwrap(), FOCUS_PASSWORD)
            .with_account("jvb@auth.meet.jitsi".parse().unwrap(), "jvb-pass-geheim");
        let now = Instant::now();
        let mut server = Server::new(config, Box::new(SeededEntropy::new(1)), now);
        server.handle_clock(now, Duration::from_secs(1_795_390_567));
        let config = focus_core::Config::for_domain("meet.jitsi").unwrap();
        Self {
            now,
            server,
            focus: Focus::new(config, Box::new(SeededEntropy::new(2))),
            focus_stream: Stream::default(),
            bridges: Vec::new(),
            clients: Vec::new(),
            networks: BTreeMap::new(),
            net: BTreeMap::new(),
            meddle: Box::new(|_, _| vec![Duration::ZERO]),
            owners: HashMap::new(),
            closed: HashMap::new(),
            next: 0,
            last_tick: now,
        }
    }

    // ---- connections

    /// A new connection.
    pub fn open(&mut self, to: To, transport: Transport, query: SessionQuery) -> ConnId {
        self.next += 1;
        let conn = ConnId(self.next);
        self.owners.insert(conn, to);
        self.server.handle_open(self.now, conn, transport, query);
        self.pump();
        conn
    }

    /// The transport is gone, without a word.
    pub fn lose(&mut self, conn: ConnId) {
        self.owners.remove(&conn);
        self.server.handle_closed(self.now, conn);
        self.pump();
    }

    /// One frame on a connection, as it is.
    pub fn raw(&mut self, conn: ConnId, frame: &[u8]) {
        self.server.handle_frame(self.now, conn, frame);
        self.pump();
    }

    /// Over a link inside of the process, as in one binary.
    pub fn connect_focus(&mut self) {
        let conn =
            self.open(To::Focus, Transport::InProcess(FOCUS.parse().unwrap()), SessionQuery::default());
        self.focus_stream = Stream::default();
        self.focus_stream.conn = Some(conn);
        self.focus.handle_link_up(self.now, FOCUS.parse().unwrap(), false);
        self.pump();
    }

    /// As a process of its own, with stream management.
    pub fn log_focus_in(&mut self) {
        self.focus_stream = Stream::default();
        self.authenticate_focus();
        self.focus_frame(r#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>focus</resource></bind></iq>"#);
        self.focus_frame(r#"<enable xmlns="urn:xmpp:sm:3" resume="true"/>"#);
        assert!(self.focus_stream.said("enabled"));
        self.focus.handle_link_up(self.now, FOCUS.parse().unwrap(), false);
        self.pump();
    }

    fn authenticate_focus(&mut self) {
        let conn = self.open(To::Focus, Transport::Tcp { tls: true }, SessionQuery::default());
        self.focus_stream.conn = Some(conn);
        let open = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
                    to='auth.meet.jitsi' version='1.0'>";
        let plain = base64::prelude::BASE64_STANDARD.encode(format!("\0focus\0{FOCUS_PASSWORD}"));
        self.focus_frame(open);
        self.focus_frame(&format!(
            r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">{plain}</auth>"#
        ));
        assert!(self.focus_stream.said("success"));
        self.focus_frame(open);
    }

    fn focus_frame(&mut self, frame: &str) {
        let conn = self.focus_stream.conn.unwrap();
        self.raw(conn, frame.as_bytes());
    }

    /// The link of the focus breaks; its session may be resumed.
    pub fn lose_focus_link(&mut self) {
        let conn = self.focus_stream.conn.take().unwrap();
        self.focus_stream.out.clear();
        self.focus.handle_link_down(self.now);
        self.lose(conn);
    }

    /// The focus goes on with its session.
    pub fn resume_focus_link(&mut self) {
        self.focus_stream.control.clear();
        self.authenticate_focus();
        let resume = self.focus_stream.resume_element();
        self.focus_frame(&resume);
        assert!(self.focus_stream.said("resumed"), "{:?}", self.focus_stream.control);
    }

    /// One more bridge, connected.
    pub fn add_bridge(&mut self) -> usize {
        let n = self.bridges.len();
        self.bridges.push(Bridge::new(self.now, n as u8 + 1));
        self.connect_bridge(n);
        n
    }

    /// The same process gets a new link.
    pub fn reconnect_bridge(&mut self, n: usize) {
        self.bridges[n].link_lost(self.now);
        self.connect_bridge(n);
    }

    fn connect_bridge(&mut self, n: usize) {
        let jid = format!("jvb@auth.meet.jitsi/{}", self.bridges[n].nick);
        let conn =
            self.open(To::Bridge(n), Transport::InProcess(jid.parse().unwrap()), SessionQuery::default());
        self.bridges[n].conn = Some(conn);
        self.run(Duration::ZERO);
    }

    /// The bridge's process dies, and with it its connections.
    pub fn kill_bridge(&mut self, n: usize) {
        self.bridges[n].alive = false;
        if let Some(conn) = self.bridges[n].conn.take() {
            self.lose(conn);
        }
    }

    /// A new process in its place: it knows nothing.
    pub fn restart_bridge(&mut self, n: usize) {
        self.bridges[n] = Bridge::new(self.now, n as u8 + 1);
        self.connect_bridge(n);
    }

    // ---- clients

    /// A client logs in.
    pub fn client(&mut self, name: &str) -> usize {
        let n = self.clients.len();
        self.clients.push(Client::new(n as u16 + 1, name, ROOM));
        self.log_in(n);
        n
    }

    /// A new login of a client that has none, e.g. after a reload of the page.
    pub fn log_in(&mut self, n: usize) {
        let c = &mut self.clients[n];
        c.stream = Stream::default();
        c.out_of_room();
        self.authenticate(n, SessionQuery::default());
        self.frame(n, r#"<iq id="_bind_auth_2" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
        let c = &mut self.clients[n];
        let bound = c.replies.remove("_bind_auth_2").expect("bound");
        let jid = bound.first_child().unwrap().child_named("jid").unwrap().text();
        c.nick = jid[..8].to_owned();
        c.stream.jid = jid;
        self.frame(n, r#"<iq id="_session_auth_2" type="set" xmlns="jabber:client"><session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></iq>"#);
        self.frame(n, r#"<enable resume="true" xmlns="urn:xmpp:sm:3"/>"#);
        let c = &mut self.clients[n];
        assert!(c.stream.said("enabled"));
        c.replies.clear();
        for (to, payload) in [
            ("meet.jitsi", r#"<services xmlns="urn:xmpp:extdisco:2"/>"#),
            ("meet.jitsi", r#"<query xmlns="http://jabber.org/protocol/disco#info"/>"#),
        ] {
            c.request("get", to, payload);
        }
        self.pump();
    }

    fn authenticate(&mut self, n: usize, mut query: SessionQuery) {
        query.room = Some(Sensitive::new(self.clients[n].room.split('@').next().unwrap().to_owned()));
        let conn = self.open(To::Client(n), Transport::WebSocket, query);
        self.clients[n].stream.conn = Some(conn);
        let open = OPEN.replace("DOMAIN", "meet.jitsi");
        self.frame(n, &open);
        self.frame(n, r#"<auth mechanism="ANONYMOUS" xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#);
        assert!(self.clients[n].stream.said("success"));
        self.frame(n, &open);
    }

    fn frame(&mut self, n: usize, frame: &str) {
        let conn = self.clients[n].stream.conn.expect("connected");
        self.raw(conn, frame.as_bytes());
    }

    /// The client does something, and everybody reacts.
    pub fn act<T>(&mut self, n: usize, what: impl FnOnce(&mut Client) -> T) -> T {
        let result = what(&mut self.clients[n]);
        self.pump();
        result
    }

    /// Sends a request and returns the answer.
    pub fn request(&mut self, n: usize, kind: &str, to: &str, payload: &str) -> Element {
        let id = self.act(n, |c| c.request(kind, to, payload));
        self.clients[n].replies.remove(&id).expect("every request is answered")
    }

    /// A Jingle request to the focus and its answer.
    pub fn jingle(&mut self, n: usize, action: &str, inner: &str) -> Element {
        let id = self.act(n, |c| c.jingle(action, inner));
        self.clients[n].replies.remove(&id).expect("every request is answered")
    }

    /// The last client's connection, which is driven by hand from now on: nobody reads what comes.
    ///
    /// # Panics
    /// Without clients, or when it has no connection.
    pub fn take_over(&mut self) -> (ConnId, Client) {
        let client = self.clients.pop().expect("a client");
        let conn = client.stream.conn.expect("connected");
        self.owners.remove(&conn);
        (conn, client)
    }

    /// A client goes to the room by way of the focus.
    pub fn enter(&mut self, n: usize) {
        self.act(n, Client::ask);
    }

    /// Leaves the room and logs out.
    pub fn leave(&mut self, n: usize) {
        if self.clients[n].stream.conn.is_none() {
            return;
        }
        self.act(n, Client::leave);
        self.log_out(n);
    }

    /// Says goodbye to the server.
    pub fn log_out(&mut self, n: usize) {
        self.frame(n, r#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#);
        assert!(self.clients[n].stream.conn.is_none(), "closed");
        self.clients[n].out_of_room();
    }

    /// Cable pulled: the WebSocket is gone, and media with it.
    pub fn pull_cable(&mut self, n: usize) {
        if let Some(m) = &mut self.clients[n].media {
            m.cut = true;
        }
        self.lose_websocket(n);
    }

    /// Only the WebSocket is gone.
    pub fn lose_websocket(&mut self, n: usize) {
        let conn = self.clients[n].stream.conn.take().expect("connected");
        self.clients[n].stream.out.clear();
        self.lose(conn);
    }

    /// A client goes on with its login over a new connection.
    pub fn resume(&mut self, n: usize) {
        self.clients[n].stream.control.clear();
        let previd = self.clients[n].stream.id.clone().map(Sensitive::new);
        self.authenticate(n, SessionQuery { previd, ..SessionQuery::default() });
        let resume = self.clients[n].stream.resume_element();
        self.frame(n, &resume);
        if let Some(m) = &mut self.clients[n].media {
            m.cut = false;
        }
        self.pump();
    }

    /// Clients in a meeting, with media.
    pub fn meeting(&mut self, names: &[&str]) {
        self.meeting_without_waiting(names);
        self.connect_if_company();
    }

    /// Clients on their way into a meeting.
    pub fn meeting_without_waiting(&mut self, names: &[&str]) {
        for name in names {
            let n = self.client(name);
            self.enter(n);
        }
    }

    /// From now on the way between a client and the bridges is like this, in one direction.
    pub fn network(&mut self, n: usize, direction: Direction, conditions: Conditions) {
        let perfect = |d| Link::new(2 * n as u64 + d, Conditions::PERFECT);
        let links = self.networks.entry(n).or_insert_with(|| [perfect(0), perfect(1)]);
        links[direction as usize].set_conditions(self.now, conditions);
        self.pump();
    }

    /// Somebody alone has no media.
    fn connect_if_company(&mut self) {
        if self.clients.len() > 1 {
            self.connect();
        }
    }

    /// Waits until everybody's media is connected.
    pub fn connect(&mut self) {
        for _ in 0..100 {
            self.run(Duration::from_millis(50));
            let mut with = self.clients.iter().filter(|c| c.in_room && c.with_media);
            if with.all(Client::connected) {
                return;
            }
        }
        let state: Vec<_> = self
            .clients
            .iter()
            .map(|c| {
                (
                    c.in_room,
                    &c.sid,
                    &c.actions,
                    c.media.as_ref().map(|m| (m.peer.selected, m.peer.dtls_connected)),
                )
            })
            .collect();
        panic!("not connected: {state:?}, {:?}", self.focus.stats());
    }

    /// Everybody in the meeting hears everybody else and nobody else.
    pub fn assert_all_hear_each_other(&mut self) {
        let present: Vec<usize> =
            (0..self.clients.len()).filter(|n| self.clients[*n].media.is_some()).collect();
        for c in &mut self.clients {
            if let Some(m) = &mut c.media {
                m.peer.rtp.clear();
            }
        }
        for _ in 0..10 {
            for n in &present {
                self.clients[*n].send_media();
            }
            self.run(TICK);
        }
        self.run(Duration::from_millis(200));
        for (a, b) in present.iter().flat_map(|a| present.iter().map(move |b| (*a, *b))) {
            let source = format!("{}-a0", self.clients[b].nick);
            let map = self.clients[a].mapped("AudioSourcesMap");
            if a == b {
                assert!(!map.contains_key(&source), "{a} is told of itself");
                continue;
            }
            let (owner, ssrc) = map.get(&source).unwrap_or_else(|| panic!("{a} does not know {b}: {map:?}"));
            assert_eq!(*owner, self.clients[b].nick);
            assert_eq!(self.clients[a].heard(*ssrc), 10, "{a} hears {b}");
        }
    }

    // ---- time

    /// Lets time pass.
    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.pump();
        let mut idle = 0;
        while let Some(at) = self.next_wake().filter(|t| *t <= end) {
            idle = if at > self.now { 0 } else { idle + 1 };
            assert!(idle < 10_000, "somebody never comes to rest");
            self.now = self.now.max(at);
            self.wake();
            self.pump();
        }
        self.now = end;
    }

    /// Lets so many seconds pass.
    pub fn seconds(&mut self, s: u64) {
        self.run(Duration::from_secs(s));
    }

    fn next_wake(&self) -> Option<Instant> {
        let net = self.net.first_key_value().map(|((at, _), _)| *at);
        let bridges = self.bridges.iter().filter_map(Bridge::poll_timeout).min();
        let clients = self.clients.iter().filter_map(|c| c.ask_at).min();
        let media = self.clients.iter().any(|c| c.media.is_some()).then(|| self.last_tick + TICK);
        let links = self.networks.values().flatten();
        let links = links.filter_map(Link::poll_timeout).min();
        let all =
            [net, self.server.poll_timeout(), self.focus.poll_timeout(), bridges, clients, media, links];
        all.into_iter().flatten().min()
    }

    fn wake(&mut self) {
        let now = self.now;
        if self.server.poll_timeout().is_some_and(|t| t <= now) {
            self.server.handle_timeout(now);
        }
        if self.focus.poll_timeout().is_some_and(|t| t <= now) {
            self.focus.handle_timeout(now);
        }
        for b in &mut self.bridges {
            if b.poll_timeout().is_some_and(|t| t <= now) {
                b.handle_timeout(now);
            }
        }
        for c in &mut self.clients {
            if c.ask_at.is_some_and(|t| t <= now) && c.stream.conn.is_some() {
                c.ask();
            }
            c.ask_at = c.ask_at.filter(|t| *t > now);
        }
        if self.last_tick + TICK <= now {
            self.last_tick = now;
            for c in &mut self.clients {
                c.tick(now);
            }
        }
    }

    /// Carries everything that is due to its place until nobody has anything to say.
    pub fn pump(&mut self) {
        for _ in 0..100_000 {
            self.collect();
            let datagrams = self.datagrams();
            let Some(parcel) = self.net.first_entry().filter(|p| p.key().0 <= self.now) else {
                if datagrams {
                    continue;
                }
                return;
            };
            let (to, text) = parcel.remove();
            self.deliver(to, &text);
        }
        panic!("stanzas go round in circles");
    }

    fn post(&mut self, to: To, text: String) {
        for delay in (self.meddle)(to, &text) {
            self.next += 1;
            self.net.insert((self.now + delay, self.next), (to, text.clone()));
        }
    }

    fn collect(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { conn, frame } => {
                    assert!(!self.closed.contains_key(&conn), "sent after close");
                    let text = String::from_utf8(frame.to_bytes().to_vec()).expect("text");
                    if let Some(to) = self.owners.get(&conn) {
                        self.post(*to, text);
                    }
                }
                Output::Close { conn, reason } => self.connection_closed(conn, reason),
                _ => {}
            }
        }
        while let Some(output) = self.focus.poll_output() {
            if let focus_core::Output::Send(stanza) = output {
                self.focus_stream.send(stanza.to_xml());
            }
        }
        while let Some(text) = self.focus_stream.out.pop_front() {
            let Some(conn) = self.focus_stream.conn else { continue };
            self.post(To::Server(conn), text);
        }
        for n in 0..self.bridges.len() {
            for stanza in std::mem::take(&mut self.bridges[n].out) {
                let Some(conn) = self.bridges[n].conn else { continue };
                self.post(To::Server(conn), stanza.to_xml());
            }
        }
        for n in 0..self.clients.len() {
            for text in std::mem::take(&mut self.clients[n].stream.out) {
                let Some(conn) = self.clients[n].stream.conn else { continue };
                self.post(To::Server(conn), text);
            }
        }
    }

    fn connection_closed(&mut self, conn: ConnId, reason: CloseReason) {
        self.closed.insert(conn, reason);
        // What was written before is still read.
        let rest: Vec<_> = self
            .net
            .iter()
            .filter(|(_, (to, _))| Some(to) == self.owners.get(&conn))
            .map(|(k, _)| *k)
            .collect();
        for key in rest {
            if let Some((to, text)) = self.net.remove(&key) {
                self.deliver(to, &text);
            }
        }
        match self.owners.remove(&conn) {
            Some(To::Focus) if self.focus_stream.conn == Some(conn) => {
                self.focus_stream.conn = None;
                self.focus.handle_link_down(self.now);
            }
            Some(To::Bridge(n)) if self.bridges[n].conn == Some(conn) => self.bridges[n].conn = None,
            Some(To::Client(n)) if self.clients[n].stream.conn == Some(conn) => {
                self.clients[n].stream.conn = None
            }
            _ => {}
        }
    }

    fn deliver(&mut self, to: To, text: &str) {
        let now = self.now;
        match to {
            To::Server(conn) if self.owners.contains_key(&conn) => {
                self.server.handle_frame(now, conn, text.as_bytes());
            }
            To::Server(_) => {}
            To::Focus => {
                if let Some(stanza) = self.focus_stream.receive(text) {
                    self.focus.handle_stanza(now, &stanza);
                } else if text.starts_with("<resumed ") {
                    // The link tells this before the stanzas that follow.
                    self.focus.handle_link_up(now, FOCUS.parse().unwrap(), true);
                }
            }
            To::Bridge(n) => {
                if self.bridges[n].alive {
                    let stanza =
                        xml::parse_with(text.as_bytes(), ns::CLIENT, &Default::default()).expect(text);
                    self.bridges[n].handle_stanza(now, &stanza);
                }
            }
            To::Client(n) => self.clients[n].receive(now, text),
        }
    }

    /// Datagrams between bridges and clients, once in each direction. Whether there were any.
    fn datagrams(&mut self) -> bool {
        let now = self.now;
        let mut any = false;
        for b in &mut self.bridges {
            for (to, _, data) in std::mem::take(&mut b.wire.0) {
                any = true;
                let is_to = |c: &Client| c.media.as_ref().is_some_and(|m| m.peer.address == to);
                let Some((n, c)) =
                    self.clients.iter_mut().enumerate().find(|(_, c)| is_to(c)).filter(|_| b.alive)
                else {
                    continue;
                };
                if let Some([_, down]) = self.networks.get_mut(&n) {
                    down.handle_datagram(now, &data);
                } else if let Some(m) = c.media.as_mut().filter(|m| !m.cut) {
                    m.peer.receive(now, &data);
                }
            }
        }
        for (n, c) in self.clients.iter_mut().enumerate() {
            let sent = c.media.as_mut().map(|m| std::mem::take(&mut m.peer.sent)).unwrap_or_default();
            any |= !sent.is_empty();
            let (sent, received) = match self.networks.get_mut(&n) {
                None => (sent, Vec::new()),
                Some([up, down]) => {
                    sent.iter().for_each(|data| up.handle_datagram(now, data));
                    let out =
                        |link: &mut Link| std::iter::from_fn(|| link.poll_output(now)).collect::<Vec<_>>();
                    (out(up), out(down))
                }
            };
            any |= !received.is_empty();
            // Without media what was under way arrives nowhere.
            let Some(m) = c.media.as_mut().filter(|m| !m.cut) else { continue };
            received.iter().for_each(|data| m.peer.receive(now, data));
            let bridge = self.bridges.iter_mut().find(|b| b.alive && b.address == m.bridge);
            let Some(b) = bridge else { continue };
            for mut data in sent {
                any = true;
                b.datagram(now, m.peer.address, &mut data);
            }
        }
        any
    }
}
