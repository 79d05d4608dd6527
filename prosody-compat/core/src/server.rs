//! The server as a whole: the shell's inputs in, each handed to the stream or the session it is for.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jitsi_xmpp::{BareJid, Element, Entropy};

use crate::auth::Accounts;
use crate::auth::guesses::Guesses;
use crate::clock::WallClock;
use crate::config::Config;
use crate::connection::{Conn, Framing, Stage};
use crate::counters::{Counter, Counters};
use crate::hosts::Hosts;
use crate::identity::Vouched;
use crate::inside;
use crate::kept::Kept;
use crate::keys::{self, KeyRings};
use crate::muc::{self, Muc, later};
use crate::outbox::Outbox;
use crate::output::{
    AccountAnswer, Answer, CloseReason, ConnId, FramingError, KeyFetchId, Output, QuestionId, RequestId,
    SessionQuery, Transport,
};
use crate::request::{HttpMethod, HttpRequest};
use crate::room::Room;
use crate::room::breakouts::Breakouts;
use crate::rooms::Rooms;
use crate::session::{IdMap, SessionId, Sessions};
use crate::slots::Slots;
use crate::stream::error::StreamError;
use crate::stream::sm::StreamManagement;
use crate::timers::{Timer, Timers};
use crate::world::{REQUEST, Sender, World};

/// How much there is right now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Connections.
    pub connections: usize,
    /// Bound sessions, with and without a connection.
    pub sessions: usize,
    /// Bound sessions that wait to be resumed.
    pub hibernating: usize,
    /// Rooms, breweries included.
    pub rooms: usize,
    /// Meetings among them.
    pub meetings: usize,
    /// Occupants in all rooms.
    pub occupants: usize,
}

/// The XMPP server; see the crate's documentation for how to drive it.
pub struct Server {
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) world: World,
    pub(crate) rooms: Rooms,
    pub(crate) accounts: Accounts,
}

impl Server {
    /// A server without connections.
    pub fn new(config: Config, entropy: Box<dyn Entropy>, now: Instant) -> Self {
        let hosts = Hosts::new(&config);
        Self::with_hosts(config, hosts, entropy, now)
    }

    /// A server whose hosts are these.
    pub(crate) fn with_hosts(config: Config, hosts: Hosts, entropy: Box<dyn Entropy>, now: Instant) -> Self {
        let accounts = Accounts::new(&config);
        let (sessions, kept) = (Sessions::new(&config.limits), Kept::new(&config.limits));
        let keys = KeyRings::new(&hosts, &config, now);
        let hosts = Arc::new(hosts);
        let mut server = Self {
            accounts,
            hosts: Arc::clone(&hosts),
            rooms: Rooms::default(),
            world: World {
                config,
                hosts,
                // Replaced by the first input's time before anything looks at it.
                now,
                clock: WallClock::default(),
                kept,
                conns: IdMap::default(),
                sessions,
                out: Outbox::default(),
                counters: Counters::default(),
                entropy,
                timers: Timers::default(),
                guesses: Guesses::default(),
                keys,
                rooms: 0,
                lobbies: HashSet::new(),
                breakouts: Breakouts::default(),
                slots: Slots::default(),
                effects: VecDeque::new(),
                questions: BTreeMap::new(),
                next_question: 0,
                asks: Vec::new(),
                doomed: Vec::new(),
                idle: Vec::new(),
            },
        };
        // Documents of keys are asked for before anybody comes.
        keys::carry_out(&mut server.world);
        server
    }

    /// Tells the wall clock: at `now` it is `unix` since 1970.
    pub fn handle_clock(&mut self, now: Instant, unix: Duration) {
        self.world.clock.set(now, unix);
    }

    /// A connection exists.
    pub fn handle_open(&mut self, now: Instant, conn: ConnId, transport: Transport, query: SessionQuery) {
        self.world.now = now;
        self.world.counters.add(Counter::Opened);
        if self.world.conns.len() >= self.world.config.limits.max_connections
            || self.world.conns.contains_key(&conn)
        {
            self.world.counters.add(Counter::TooManyConnections);
            self.world.out.push_back(Output::Close { conn, reason: CloseReason::TooMany });
            return;
        }
        let (framing, encrypted, known) = match transport {
            Transport::WebSocket => (Framing::WebSocket, true, None),
            Transport::Bosh => (Framing::Bosh, true, None),
            Transport::Tcp { tls } => (Framing::Tcp, tls, None),
            Transport::InProcess(jid) => (Framing::InProcess, true, Some(jid)),
        };
        let limits = &self.world.config.limits;
        let max_bytes = if known.is_some() { limits.max_stanza_bytes } else { limits.max_login_bytes };
        let (login, idle) = (now + limits.login_timeout, now + limits.idle);
        self.world.conns.insert(
            conn,
            Conn {
                framing,
                encrypted,
                query,
                stage: Stage::Opening,
                header_sent: false,
                last_in: now,
                asked_alive: false,
                malformed: 0,
                auth_failures: 0,
                max_bytes,
            },
        );
        if let Some(jid) = known {
            self.bind(conn, jid, Vouched::default());
        } else {
            self.world.timers.set(login, Timer::Login(conn));
        }
        if matches!(framing, Framing::WebSocket | Framing::Tcp) {
            self.world.timers.set(idle, Timer::Idle(conn));
        }
        self.settle();
    }

    /// One frame arrived.
    pub fn handle_frame(&mut self, now: Instant, conn: ConnId, frame: &[u8]) {
        self.world.now = now;
        self.frame(conn, frame);
        self.settle();
    }

    /// The TLS handshake of this TCP connection is done.
    pub fn handle_tls(&mut self, now: Instant, conn: ConnId) {
        self.world.now = now;
        if let Some(c) = self.world.conns.get_mut(&conn) {
            c.encrypted = true;
            c.header_sent = false;
            c.last_in = now;
        }
    }

    /// The transport's framing is broken; the stream ends with an error.
    pub fn handle_framing_error(&mut self, now: Instant, conn: ConnId, error: FramingError) {
        self.world.now = now;
        match error {
            FramingError::TooLarge => {
                self.world.counters.add(Counter::TooLarge);
                self.fail(conn, StreamError::TooLarge);
            }
            FramingError::Malformed => {
                self.world.counters.add(Counter::Malformed);
                self.fail(conn, StreamError::NotWellFormed);
            }
        }
        self.settle();
    }

    /// The transport is gone.
    pub fn handle_closed(&mut self, now: Instant, conn: ConnId) {
        self.world.now = now;
        let Some(c) = self.world.forget_conn(conn) else { return };
        if let Stage::Bound(id) = c.stage {
            self.lost(id);
        }
        self.settle();
    }

    /// An input of this connection ended in a bug of ours, in the midst of what it was about. Its session ends and does not wait to be
    /// resumed, which would bring the same again; also in rooms that it was only on its way into.
    pub fn handle_bug(&mut self, now: Instant, conn: ConnId) {
        self.world.now = now;
        let Some(c) = self.world.forget_conn(conn) else { return };
        if let Stage::Bound(id) = c.stage {
            let nick = |room: &Room| room.occupant_of(id).map(|o| (room.jid.clone(), o.nick.clone()));
            let in_rooms: Vec<_> = self.rooms.iter().filter_map(nick).collect();
            if let Some(s) = self.world.sessions.get_mut(id) {
                s.conn = None;
                s.rooms = in_rooms;
            }
            self.end_session(id);
        }
        self.settle();
    }

    /// The server stops: every stream ends with `system-shutdown`, as upstream's. Sessions do not outlive the process, so
    /// that a client that tried to resume would only lose time.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.world.now = now;
        let conns: Vec<ConnId> = self.world.conns.keys().copied().collect();
        for conn in conns {
            self.say_shutdown(conn);
        }
    }

    /// What came of [`Output::Ask`].
    pub fn handle_answer(&mut self, now: Instant, id: QuestionId, answer: &Answer) {
        self.world.now = now;
        if !self.access_answer(id, answer) {
            later::answer(&mut self.muc(), id, answer);
        }
        self.settle();
    }

    /// What came of [`Output::FetchKey`].
    pub fn handle_key(&mut self, now: Instant, id: KeyFetchId, answer: prosody_token::Answer) {
        self.world.now = now;
        let ready = keys::answer(&mut self.world, id, answer);
        self.with_keys(ready);
        self.settle();
    }

    /// What came of [`Output::Account`].
    pub fn handle_account(&mut self, now: Instant, conn: ConnId, id: QuestionId, answer: AccountAnswer) {
        self.world.now = now;
        self.account_answer(conn, id, answer);
        self.settle();
    }

    /// Somebody inside asks over HTTP; answered by [`Output::Reply`].
    pub fn handle_http(&mut self, now: Instant, id: RequestId, request: &HttpRequest) {
        self.world.now = now;
        self.asked_inside(id, request);
        self.settle();
    }

    /// Answers a request from inside, unless it waits for a key.
    fn asked_inside(&mut self, id: RequestId, request: &HttpRequest) {
        let reply = match inside::answer(&mut self.muc(), id, request) {
            Some(reply) => reply,
            None => match inside::park(&mut self.world, id, request) {
                Some(reply) => reply,
                None => return,
            },
        };
        self.world.out.push_back(Output::Reply { id, reply });
    }

    /// The key is there that a request waited for, or is not to be had.
    pub(crate) fn heard_again(&mut self, id: RequestId) {
        if let Some(request) = inside::take(&mut self.world, id) {
            self.asked_inside(id, &request);
        }
    }

    /// What [`Server::handle_http`] may answer; the same as long as the server lives.
    pub fn http_routes(&self) -> Vec<(HttpMethod, &'static str)> {
        inside::all()
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.world.now = now;
        while let Some(timer) = self.world.timers.pop_due(now) {
            match timer {
                Timer::Login(conn) => {
                    let late =
                        self.world.conns.get(&conn).is_some_and(|c| !matches!(c.stage, Stage::Bound(_)));
                    if late {
                        self.fail(conn, StreamError::ConnectionTimeout);
                    }
                }
                Timer::Turn(conn) => self.turn(conn),
                Timer::Keys => {
                    let ready = keys::timeout(&mut self.world);
                    self.with_keys(ready);
                }
                Timer::Idle(conn) => self.check_idle(conn),
                Timer::Hibernation(id) => {
                    let over =
                        self.world.sessions.get(id).and_then(|s| s.resumable_until).is_some_and(|t| t <= now);
                    if over {
                        self.world.counters.add(Counter::HibernationExpired);
                        self.end_session(id);
                    }
                }
                Timer::Ask(id) => self.world.ask(id),
                Timer::Question(id) => self.world.repeat(id),
                Timer::Aside(room, module) => later::remind(&mut self.muc(), &room, module),
                Timer::Room(room, module) => self.in_room(&room, |muc| later::wake(muc, &room, module)),
            }
        }
        self.settle();
    }

    /// The next effect.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.world.out.pop_front()
    }

    /// When to call `handle_timeout` next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.world.timers.next()
    }

    /// What happened so far.
    pub fn counters(&self) -> &Counters {
        &self.world.counters
    }

    /// The configuration in use.
    pub fn config(&self) -> &Config {
        &self.world.config
    }

    /// How much there is right now.
    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.world.conns.len(),
            sessions: self.world.sessions.len(),
            hibernating: self.world.sessions.hibernating(),
            rooms: self.rooms.len(),
            meetings: self.rooms.iter().filter(|r| r.jid.domain() == self.world.config.muc_domain()).count(),
            occupants: self.rooms.occupants(),
        }
    }

    /// A session lost its transport: it waits to be resumed, or ends.
    pub(crate) fn lost(&mut self, id: SessionId) {
        let Some(s) = self.world.sessions.get_mut(id) else { return };
        s.conn = None;
        let Some(at_most) = s.sm.as_ref().and_then(StreamManagement::kept_for) else {
            self.end_session(id);
            return;
        };
        let wait =
            self.hosts.users(s.identity.host).map(|users| users.resume).unwrap_or_default().min(at_most);
        let until = self.world.now + wait;
        self.world.sessions.hibernate(id, until);
        self.world.timers.set(until, Timer::Hibernation(id));
    }

    /// A session ends: its occupants leave, and it is forgotten. Its connection is not touched.
    pub(crate) fn end_session(&mut self, id: SessionId) {
        let Some(s) = self.world.sessions.remove(id) else { return };
        self.world.timers.cancel(Timer::Hibernation(id));
        self.world.timers.cancel(Timer::Ask(id));
        for (room, nick) in &s.rooms {
            self.in_room(room, |muc| muc::leave::lost(muc, room, nick, id));
        }
        let gone = Sender { id, jid: s.jid.clone(), bare: s.bare.clone(), identity: Arc::clone(&s.identity) };
        for room in &s.waits_in {
            self.in_room(room, |muc| muc::leave::forget_waiting(muc, room, &gone));
        }
        for hook in self.hosts.session_ended() {
            hook(&mut self.world, id, &s);
        }
    }

    /// Does something in a room for somebody who cannot be blamed for it. A bug there costs that room alone: it ends, whoever is in it is
    /// told, and the focus opens another one.
    fn in_room(&mut self, room: &BareJid, act: impl FnOnce(&mut Muc<'_>)) {
        let mut muc = self.muc();
        if catch_unwind(AssertUnwindSafe(|| act(&mut muc))).is_ok() {
            return;
        }
        self.world.counters.add(Counter::RoomsGivenUp);
        let mut muc = self.muc();
        let why = Element::inherit("destroy");
        if catch_unwind(AssertUnwindSafe(|| muc::leave::destroy(&mut muc, room, why))).is_err() {
            // It is taken out before anything else is tried.
            self.rooms.take(&mut self.world, room);
        }
    }

    /// The engine of rooms, with all that it works on.
    pub(crate) fn muc(&mut self) -> Muc<'_> {
        Muc { hosts: &self.hosts, rooms: &mut self.rooms, world: &mut self.world }
    }

    /// Does what rules left to be done and ends what the last input doomed, which may leave and doom more; then asks
    /// who has much unacknowledged.
    pub(crate) fn settle(&mut self) {
        loop {
            later::carry_out(&mut self.muc());
            let Some(id) = self.world.doomed.pop() else { break };
            self.end_session(id);
        }
        while let Some(id) = self.world.asks.pop() {
            self.world.ask(id);
        }
    }

    fn check_idle(&mut self, conn: ConnId) {
        let now = self.world.now;
        let limits = &self.world.config.limits;
        let (idle, answer) = (limits.idle, limits.idle_answer);
        let Some(c) = self.world.conns.get_mut(&conn) else { return };
        let silent_since = c.last_in;
        if now.saturating_duration_since(silent_since) < idle {
            c.asked_alive = false;
            self.world.timers.set(silent_since + idle, Timer::Idle(conn));
        } else if c.asked_alive {
            // Not a stream error: a client that only slept may resume.
            let stage = self.world.forget_conn(conn).map(|c| c.stage);
            self.world.out.push_back(Output::Close { conn, reason: CloseReason::Timeout });
            if let Some(Stage::Bound(id)) = stage {
                self.lost(id);
            }
        } else {
            c.asked_alive = true;
            let managed = match c.stage {
                Stage::Bound(id) => self.world.sessions.get(id).is_some_and(|s| s.sm.is_some()),
                _ => false,
            };
            if managed {
                self.world.send_raw(conn, REQUEST);
            } else if c.framing == Framing::Tcp {
                self.world.send_raw(conn, " ");
            }
            self.world.timers.set(now + answer, Timer::Idle(conn));
        }
    }
}

#[cfg(test)]
mod tests;
