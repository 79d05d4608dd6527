//! All clients on one thread: what to do in; deliveries counted, and what has happened, out.

mod receive;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mio::{Events, Poll};

use super::connection::{Connection, Read};
use super::frame::{self, Opcode};
use super::login::Login;
use super::rooms::{Broadcasts, Room, Seen};
use super::scan::Scanner;
use super::stanza;
use super::target::Target;
use crate::latency::Latencies;

/// Something a scenario may wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// The client is logged in.
    Ready(usize),
    /// The focus lets the client join.
    Admitted(usize),
    /// The client has got its own presence, this long after it asked to join.
    Joined(usize, Duration),
    /// The client is invited to the media session of its room.
    Invited(usize),
    /// The client has left its room.
    Left(usize),
    /// Everybody in this room has got a broadcast.
    Complete(usize),
}

/// One client.
#[derive(Debug)]
struct Client {
    connection: Connection,
    address: SocketAddr,
    /// Logged in at the other end of its relay.
    is_focus: bool,
    stage: Stage,
    jid: String,
    /// The nick: the first eight characters of the address, as clients do.
    nick: String,
    sm: bool,
    handled: u32,
    /// Room, and whether the client stays there.
    room: Option<(usize, bool)>,
    seen: Seen,
    waits: Waits,
}

#[derive(Debug)]
enum Stage {
    Connecting,
    Upgrading(Box<Login>, String),
    /// The relay of the focus is logged in when it answers.
    UpgradingFocus,
    Login(Box<Login>),
    Ready,
    Leaving,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    Nothing,
    Focus,
    OwnPresence(Instant),
    OwnLeave,
}

/// All clients.
pub(super) struct Fleet {
    pub(super) target: Target,
    sm: bool,
    poll: Poll,
    events: Events,
    clients: Vec<Client>,
    buffer: Vec<u8>,
    scanner: Scanner,
    pub(super) rooms: Vec<Room>,
    pub(super) broadcasts: Broadcasts,
    pub(super) happened: VecDeque<Happened>,
    /// Presences and broadcasts received.
    pub(super) deliveries: u64,
    /// Of broadcasts.
    pub(super) latency: Latencies,
    /// Requests to the focus to repeat.
    ask_again: Vec<(Instant, usize)>,
    /// When something came that brings us on.
    progress: Instant,
    patience: Duration,
    /// When a scenario that waits has something to do.
    pub(super) wake: Option<Instant>,
    muted: bool,
    /// Time without anything to do, since this fleet stays awake.
    awake: Option<Duration>,
}

impl Fleet {
    /// No clients yet.
    pub(super) fn new(target: Target, sm: bool, patience: Duration) -> Result<Self> {
        let now = Instant::now();
        Ok(Self {
            target,
            sm,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            buffer: vec![0; BUFFER],
            scanner: Scanner::new(),
            rooms: Vec::new(),
            broadcasts: Broadcasts::new(now),
            happened: VecDeque::new(),
            deliveries: 0,
            latency: Latencies::new(),
            ask_again: Vec::new(),
            progress: now,
            patience,
            wake: None,
            muted: false,
            awake: None,
        })
    }

    /// How many clients there are.
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Begins to connect a client and log it in.
    pub(super) fn connect(&mut self) -> Result<usize> {
        self.connect_to(self.target.address, false)
    }

    /// The same for the focus, which is logged in at the other end of `relay`.
    pub(super) fn connect_focus(&mut self, relay: SocketAddr) -> Result<usize> {
        self.connect_to(relay, true)
    }

    fn connect_to(&mut self, address: SocketAddr, is_focus: bool) -> Result<usize> {
        let id = self.clients.len();
        // The focus goes through a relay beside us, which speaks TLS to the server by itself.
        let tls = self.target.tls.as_ref().filter(|_| !is_focus);
        let connection = Connection::open(address, tls, self.poll.registry(), id)?;
        self.clients.push(Client {
            connection,
            address,
            is_focus,
            stage: Stage::Connecting,
            jid: String::new(),
            nick: String::new(),
            sm: false,
            handled: 0,
            room: None,
            seen: Seen::default(),
            waits: Waits::Nothing,
        });
        Ok(id)
    }

    /// A client asks the focus for a meeting.
    pub(super) fn ask_focus(&mut self, id: usize, room: usize) -> Result<()> {
        let request = stanza::conference_request(&self.target, &self.rooms[room].jid);
        let client = &mut self.clients[id];
        client.room = Some((room, false));
        client.waits = Waits::Focus;
        client.connection.send(Opcode::Text, request.as_bytes())
    }

    /// A client asks to join. A member stays: everybody is to see it.
    pub(super) fn join(&mut self, id: usize, room: usize, member: bool) -> Result<()> {
        let there = &mut self.rooms[room];
        let place = there.members.len();
        if member {
            there.members.push(id);
        }
        let client = &mut self.clients[id];
        client.room = Some((room, member));
        client.seen = Seen::default();
        client.waits = Waits::OwnPresence(Instant::now());
        let mark = if member { format!("j{place}") } else { "visitor".to_owned() };
        let presence = stanza::presence(&there.jid, &client.nick, &mark, true, false);
        client.connection.send(Opcode::Text, presence.as_bytes())?;
        if member {
            let clients = &self.clients;
            self.rooms[room].recount(|m| clients[m].seen.count);
        }
        Ok(())
    }

    /// The focus opens a room.
    pub(super) fn open_as_focus(&mut self, id: usize, room: usize) -> Result<()> {
        let client = &mut self.clients[id];
        client.room = Some((room, false));
        client.waits = Waits::OwnPresence(Instant::now());
        client.connection.send(Opcode::Text, stanza::focus_join(&self.rooms[room].jid).as_bytes())
    }

    /// A visitor leaves.
    pub(super) fn leave(&mut self, id: usize) -> Result<()> {
        let client = &mut self.clients[id];
        let (room, _) = client.room.context("leaves no room")?;
        client.waits = Waits::OwnLeave;
        let leave = stanza::leave(&self.rooms[room].jid, &client.nick);
        client.connection.send(Opcode::Text, leave.as_bytes())
    }

    /// How many members of its room a client has seen.
    pub(super) fn has_seen(&self, id: usize) -> usize {
        self.clients[id].seen.count
    }

    /// The next member of a room says something to all. False: too much is under way.
    pub(super) fn say(&mut self, room: usize, what: Say) -> Result<bool> {
        let now = Instant::now();
        let there = &mut self.rooms[room];
        let Some(number) = self.broadcasts.begin(room, there.recipients(), now) else { return Ok(false) };
        let place = there.next % there.members.len();
        let member = there.members[place];
        there.next += 1;
        there.outstanding += 1;
        let client = &mut self.clients[member];
        // With the place: who comes later sees this in place of the first presence.
        let mark = format!("c{number}.{place}");
        self.muted = !self.muted;
        let text = match what {
            Say::Presence => stanza::presence(&there.jid, &client.nick, &mark, false, self.muted),
            Say::Chat => stanza::chat(&there.jid, &mark),
        };
        client.connection.send(Opcode::Text, text.as_bytes())?;
        Ok(true)
    }

    /// A client shows that it lives.
    pub(super) fn ping(&mut self, id: usize) -> Result<()> {
        let ping = stanza::ping(&self.target);
        self.clients[id].connection.send(Opcode::Text, ping.as_bytes())
    }

    /// From now on looks for events instead of sleeping until there are some. On one machine whoever sends to a sleeper wakes it, which
    /// takes an interrupt of the other core, in a virtual machine several microseconds: a cost of the server for which no client of
    /// another machine has to be thanked, and the larger the less there is to do.
    pub(super) fn stay_awake(&mut self) {
        self.awake = Some(Duration::ZERO);
    }

    /// Sleeps again; how long there was nothing to do.
    pub(super) fn may_sleep(&mut self) -> Duration {
        self.awake.take().unwrap_or_default()
    }

    /// Waits for sockets at most until then, and handles what they have. An error ends the measurement.
    pub(super) fn turn(&mut self, until: Instant) -> Result<()> {
        let now = Instant::now();
        self.repeat_requests(now)?;
        let wait = until.saturating_duration_since(now).min(TICK);
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let polled = match self.wait(&mut events, now, wait) {
            Err(e) if e.kind() != std::io::ErrorKind::Interrupted => Err(e.into()),
            _ => events.iter().try_for_each(|event| {
                let id = event.token().0;
                self.event(id, event.is_writable(), event.is_readable(), event.is_read_closed())
            }),
        };
        self.events = events;
        polled
    }

    fn wait(&mut self, events: &mut Events, from: Instant, most: Duration) -> std::io::Result<()> {
        let Some(idle) = &mut self.awake else { return self.poll.poll(events, Some(most)) };
        loop {
            self.poll.poll(events, Some(Duration::ZERO))?;
            let waited = from.elapsed();
            if !events.is_empty() || waited >= most {
                *idle += waited;
                return Ok(());
            }
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
    }

    /// Turns until `done`; gives up when nothing comes that brings us on.
    pub(super) fn until(
        &mut self,
        what: &str,
        mut done: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<()> {
        let begun = Instant::now();
        self.progress = begun;
        loop {
            if done(self)? {
                return Ok(());
            }
            let now = Instant::now();
            self.be_patient(what, now)?;
            if now.duration_since(begun) > LONGEST_WAIT {
                bail!("not done after {:.0} s {what}", LONGEST_WAIT.as_secs_f64());
            }
            let wake = self.wake.take().unwrap_or(now + TICK);
            self.turn(wake)?;
        }
    }

    /// An error when nothing has come for too long that brings us on.
    pub(super) fn be_patient(&self, what: &str, now: Instant) -> Result<()> {
        if now.saturating_duration_since(self.progress) > self.patience {
            let waits = self.clients.iter().find_map(Client::waits_for).unwrap_or("a delivery");
            bail!("no answer for {:.0} s {what}; a client waits for {waits}", self.patience.as_secs_f64());
        }
        Ok(())
    }

    /// Patience begins anew: we had nothing to ask for.
    pub(super) fn rest(&mut self, now: Instant) {
        self.progress = now;
    }

    /// The oldest thing that happened.
    pub(super) fn take(&mut self) -> Option<Happened> {
        self.happened.pop_front()
    }

    /// Everybody says goodbye, so that no session waits to be resumed. Bounded; errors no longer matter.
    pub(super) fn close(mut self) {
        for client in &mut self.clients {
            if matches!(client.stage, Stage::Ready) {
                client.stage = Stage::Leaving;
                for text in stanza::GOODBYE {
                    let _ = client.connection.send(Opcode::Text, text.as_bytes());
                }
                let _ = client.connection.send(Opcode::Close, &1000u16.to_be_bytes());
                client.connection.finish();
            }
        }
        let until = Instant::now() + LONGEST_GOODBYE;
        while Instant::now() < until && self.clients.iter().any(|c| matches!(c.stage, Stage::Leaving)) {
            if self.turn(until).is_err() {
                return;
            }
        }
    }

    fn repeat_requests(&mut self, now: Instant) -> Result<()> {
        while let Some(at) = self.ask_again.iter().position(|(at, _)| *at <= now) {
            let (_, id) = self.ask_again.swap_remove(at);
            if let Some((room, _)) = self.clients[id].room {
                self.ask_focus(id, room)?;
            }
        }
        Ok(())
    }

    fn event(&mut self, id: usize, writable: bool, readable: bool, ends: bool) -> Result<()> {
        let leaving = self.clients.get(id).is_some_and(Client::is_leaving);
        match self.ready(id, writable, readable, ends) {
            // One that leaves has nothing to lose.
            Err(_) if leaving => {
                self.clients[id].stage = Stage::Gone;
                Ok(())
            }
            handled => handled,
        }
    }

    fn ready(&mut self, id: usize, writable: bool, readable: bool, ends: bool) -> Result<()> {
        let Some(client) = self.clients.get_mut(id) else { return Ok(()) };
        if matches!(client.stage, Stage::Connecting) {
            if !client.connection.connected(client.address)? {
                return Ok(());
            }
            client.connection.send_raw(stanza::upgrade(&self.target).as_bytes())?;
            client.stage = if client.is_focus {
                Stage::UpgradingFocus
            } else {
                let (login, open) = Login::begin(&self.target.domain, self.sm);
                Stage::Upgrading(Box::new(login), open)
            };
            self.progress = Instant::now();
        } else if writable {
            client.connection.flush()?;
        }
        if readable || ends { self.read(id, ends) } else { Ok(()) }
    }

    fn read(&mut self, id: usize, ends: bool) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = self.read_into(id, &mut buffer, ends);
        self.buffer = buffer;
        read
    }

    fn read_into(&mut self, id: usize, buffer: &mut [u8], ends: bool) -> Result<()> {
        // Bounded, so that one connection cannot keep the others waiting for ever.
        for _ in 0..READS {
            let client = &mut self.clients[id];
            let (there, more) = match client.connection.read(buffer)? {
                Read::Bytes { there, more } => (there, more),
                Read::Nothing => return Ok(()),
                Read::End => {
                    let (leaving, waits) = (client.is_leaving(), client.waits_for());
                    client.stage = Stage::Gone;
                    if leaving {
                        return Ok(());
                    }
                    let waits = waits.map(|w| format!(" that waits for {w}")).unwrap_or_default();
                    bail!("the server has closed the connection of a client{waits}");
                }
            };
            let used = self.bytes(id, buffer.get(..there).unwrap_or_default())?;
            self.clients[id].connection.keep(buffer.get(used..there).unwrap_or_default());
            if !more && !ends {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Handles whole frames; how many bytes they were.
    fn bytes(&mut self, id: usize, bytes: &[u8]) -> Result<usize> {
        let now = Instant::now();
        let mut used = 0;
        if matches!(self.clients[id].stage, Stage::Upgrading(..) | Stage::UpgradingFocus) {
            used = self.upgraded(id, bytes)?;
            if used == 0 {
                return Ok(0);
            }
        }
        while let Some(frame) = frame::first(bytes.get(used..).unwrap_or_default())? {
            used += frame.length;
            match frame.opcode {
                Opcode::Text => self.text(id, frame.payload, now)?,
                Opcode::Ping => self.clients[id].connection.send(Opcode::Pong, frame.payload)?,
                Opcode::Pong => {}
                Opcode::Close if self.clients[id].is_leaving() => {}
                Opcode::Close => bail!("the server has closed the WebSocket of a client"),
            }
        }
        Ok(used)
    }
}

/// What a member tells its room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Say {
    /// A change of its presence.
    Presence,
    /// A chat message.
    Chat,
}

impl Client {
    const fn is_leaving(&self) -> bool {
        matches!(self.stage, Stage::Leaving | Stage::Gone)
    }

    fn waits_for(&self) -> Option<&'static str> {
        match (&self.stage, self.waits) {
            (Stage::Connecting, _) => Some("the connection"),
            (Stage::Upgrading(..), _) => Some("the WebSocket"),
            (Stage::UpgradingFocus, _) => Some("the focus' login"),
            (Stage::Login(login), _) => Some(login.waits_for()),
            (_, Waits::Focus) => Some("the focus"),
            (_, Waits::OwnPresence(_)) => Some("its own presence in the room"),
            (_, Waits::OwnLeave) => Some("its leave"),
            _ => None,
        }
    }
}

/// One read; a room's worth of presence.
const BUFFER: usize = 1 << 20;
/// Reads of one socket in one turn; edge-triggered, so a full buffer must be followed by another read.
const READS: usize = 1_000;
const TICK: Duration = Duration::from_millis(100);
/// Between two looks for events while awake.
const PAUSES: u32 = 16;
/// Any wait for the server, however it goes on.
const LONGEST_WAIT: Duration = Duration::from_secs(600);
const LONGEST_GOODBYE: Duration = Duration::from_secs(10);
