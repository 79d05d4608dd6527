//! Bugs of ours, sprung by a module of the tests in the midst of what a room does, and what others hear of it (reliability F29): the session
//! that was at it goes, or the room, and nobody else.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use jitsi_xmpp::entropy::SeededEntropy;

use crate::counters::Counter;
use crate::hosts::Hosts;
use crate::module::{Module, Relay};
use crate::modules::ROOMS;
use crate::output::{ConnId, Output, SessionQuery, Transport};
use crate::timers::Timer;
use crate::{Config, Server};

thread_local! {
    /// Where the next bug is.
    static TRAP: Cell<&'static str> = const { Cell::new("") };
    /// And the one after that.
    static NEXT: Cell<&'static str> = const { Cell::new("") };
}

fn spring(at: &str) {
    if TRAP.get() == at {
        TRAP.set(NEXT.take());
        panic!("sprung by a test");
    }
}

static BUG: Module = Module {
    name: "bug",
    join: Some(|_, _, _| {
        spring("join");
        crate::module::Verdict::Pass
    }),
    welcome: Some(|_, _, _| spring("welcome")),
    joined: Some(|_, _, _, _| spring("joined")),
    relayed: Some(|_, _, _, _| spring("relayed")),
    message: Some(|_, _, _, _| {
        spring("message");
        Ok(Relay::Pass)
    }),
    left: Some(|_, _, _| spring("left")),
    destroyed: Some(|_, _| spring("destroyed")),
    timer: Some(|_, _| spring("timer")),
    ..Module::NONE
};

/// Two rooms with two people each, and somebody in both.
struct Town {
    server: Server,
    now: Instant,
    bugs: usize,
    conns: BTreeMap<&'static str, ConnId>,
    closed: BTreeSet<ConnId>,
    heard: BTreeMap<ConnId, String>,
}

const PEOPLE: [(&str, &[&str]); 5] =
    [("anna", &["a"]), ("ben", &["a"]), ("cem", &["b"]), ("dora", &["b"]), ("eve", &["a", "b"])];

impl Town {
    fn new() -> Self {
        let config = Config::for_domain("meet.jitsi").unwrap();
        let hosts = Hosts::with_rules(&config, &[ROOMS[0], &BUG]);
        let now = Instant::now();
        let mut t = Self {
            server: Server::with_hosts(config, hosts, Box::new(SeededEntropy::new(1)), now),
            now,
            bugs: 0,
            conns: BTreeMap::new(),
            closed: BTreeSet::new(),
            heard: BTreeMap::new(),
        };
        t.comes("focus", "focus@auth.meet.jitsi/focus");
        for room in ["a", "b"] {
            t.joins("focus", room);
        }
        for (who, rooms) in PEOPLE {
            t.comes(who, &format!("{who}@meet.jitsi/r"));
            rooms.iter().for_each(|room| t.joins(who, room));
        }
        assert_eq!((t.bugs, t.server.stats().occupants), (0, 8));
        t
    }

    /// As the shell does it: one input; a bug costs the connection that it came from.
    fn step(&mut self, from: Option<ConnId>, handle: impl FnOnce(&mut Server, Instant)) {
        let now = self.now;
        if catch_unwind(AssertUnwindSafe(|| handle(&mut self.server, now))).is_err() {
            self.bugs += 1;
            if let Some(from) = from {
                self.closed.insert(from);
                self.server.handle_bug(now, from);
            }
        }
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { conn, frame } => {
                    let text = String::from_utf8(frame.to_bytes().to_vec()).unwrap();
                    self.heard.entry(conn).or_default().push_str(&text);
                }
                Output::Close { conn, .. } => drop(self.closed.insert(conn)),
                _ => {}
            }
        }
    }

    fn comes(&mut self, who: &'static str, jid: &str) {
        let conn = ConnId(1 + self.conns.len() as u64);
        let transport = Transport::InProcess(jid.parse().unwrap());
        self.conns.insert(who, conn);
        self.step(Some(conn), |s, now| s.handle_open(now, conn, transport, SessionQuery::default()));
    }

    fn says(&mut self, who: &str, frame: &str) {
        let conn = self.conns[who];
        if !self.closed.contains(&conn) {
            self.step(Some(conn), |s, now| s.handle_frame(now, conn, frame.as_bytes()));
        }
    }

    fn joins(&mut self, who: &str, room: &str) {
        self.says(
            who,
            &format!(
                "<presence to='{room}@muc.meet.jitsi/{who}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            ),
        );
    }

    fn leaves(&mut self, who: &str, room: &str) {
        self.says(who, &format!("<presence type='unavailable' to='{room}@muc.meet.jitsi/{who}'/>"));
    }

    fn chats(&mut self, who: &str, room: &str) {
        self.says(
            who,
            &format!("<message type='groupchat' to='{room}@muc.meet.jitsi'><body>von {who}</body></message>"),
        );
    }

    fn is_lost(&mut self, who: &str) {
        let conn = self.conns[who];
        if self.closed.insert(conn) {
            self.step(None, |s, now| s.handle_closed(now, conn));
        }
    }

    /// Whether one hears another in a room.
    fn hears(&mut self, who: &str, from: &str, room: &str) -> bool {
        self.heard.clear();
        self.chats(from, room);
        self.heard.get(&self.conns[who]).is_some_and(|h| h.contains(&format!("von {from}")))
    }

    /// Everybody goes; nothing is left of anybody.
    fn ends(mut self, what: &str) {
        let all: Vec<&str> = self.conns.keys().copied().collect();
        all.into_iter().for_each(|who| self.is_lost(who));
        for _ in 0..20 {
            self.now += Duration::from_secs(60);
            self.step(None, Server::handle_timeout);
        }
        let s = self.server.stats();
        assert_eq!((s.connections, s.sessions, s.rooms, s.occupants), (0, 0, 0, 0), "{what}");
        assert_eq!(self.server.poll_timeout(), None, "{what}: something is still due");
    }
}

#[test]
fn a_bug_in_one_room_costs_the_session_that_was_at_it_and_nobody_else() {
    type Act = fn(&mut Town);
    let acts: [(&str, Act); 6] = [
        ("message", |t| t.chats("eve", "a")),
        ("left", |t| t.leaves("eve", "a")),
        ("join", |t| t.comes_again()),
        ("welcome", |t| t.comes_again()),
        ("joined", |t| t.comes_again()),
        ("relayed", |t| t.says("eve", "<presence to='a@muc.meet.jitsi/eve'><status>da</status></presence>")),
    ];
    for (at, act) in acts {
        let mut t = Town::new();
        TRAP.set(at);
        act(&mut t);
        assert_eq!((t.bugs, TRAP.get()), (1, ""), "{at}: the bug is there");
        let seven = t.server.stats().occupants;
        assert_eq!(seven, 6, "{at}: eve is in no room any more");
        assert!(t.hears("dora", "cem", "b") && t.hears("cem", "dora", "b"), "{at}: next door");
        assert!(t.hears("ben", "anna", "a"), "{at}: and in the room itself");
        t.leaves("ben", "a");
        t.joins("ben", "a");
        assert!(t.hears("ben", "anna", "a"), "{at}: who goes comes in again");
        t.ends(at);
    }
}

impl Town {
    /// Eve leaves the first room and comes into it again.
    fn comes_again(&mut self) {
        let trap = TRAP.replace("");
        self.leaves("eve", "a");
        TRAP.set(trap);
        self.joins("eve", "a");
    }
}

#[test]
fn a_bug_when_somebody_is_gone_left_a_ghost_in_the_other_rooms() {
    // The room in which it happened ends, and may do so with a bug of its own.
    for (at, next) in [("left", ""), ("left", "destroyed")] {
        let mut t = Town::new();
        TRAP.set(at);
        NEXT.set(next);
        t.is_lost("eve");
        assert_eq!(t.bugs, 0, "nobody can be blamed");
        assert_eq!(t.server.counters().count(Counter::RoomsGivenUp), 1);
        assert!(t.hears("dora", "cem", "b") && t.hears("cem", "dora", "b"), "next door");
        let s = t.server.stats();
        assert_eq!((s.rooms, s.occupants), (1, 3), "cem, dora and the focus");
        // Who was in it is told, and meets again.
        for who in ["focus", "anna", "ben"] {
            t.joins(who, "a");
        }
        assert!(t.hears("ben", "anna", "a"));
        t.ends(at);
    }
}

#[test]
fn a_bug_of_a_timer_costs_its_room() {
    let mut t = Town::new();
    let room: jitsi_xmpp::BareJid = "a@muc.meet.jitsi".parse().unwrap();
    t.server.world.timers.set(t.now, Timer::Room(room, "bug"));
    TRAP.set("timer");
    t.step(None, Server::handle_timeout);
    assert_eq!((t.bugs, t.server.counters().count(Counter::RoomsGivenUp)), (0, 1));
    assert!(t.heard[&t.conns["anna"]].contains("<destroy"), "who is in it is told");
    assert!(t.hears("dora", "cem", "b"));
    t.ends("timer");
}
