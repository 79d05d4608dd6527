//! One bridge: a shard, and its occupant of the brewery as the shell has it. Stanzas and datagrams in; stanzas and
//! datagrams out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use jitsi_xmpp::bridge_stats::BridgeStats;
use jitsi_xmpp::colibri2::ConferenceModify;
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::xml::Element;
use jitsi_xmpp::{Condition, StanzaError, health, iq, ns};
use peer::Wire;
use prosody_core::ConnId;
use videobridge_core::{
    Certificate, Command, DatagramSink, Event, LocalAddress, RequestId, Shard, ShardConfig,
};

/// Where bridges tell how they are.
pub const BREWERY: &str = "jvbbrewery@internal-muc.meet.jitsi";
const STATS: Duration = Duration::from_secs(5);

/// One bridge.
pub struct Bridge {
    /// Its core.
    pub shard: Shard,
    /// Its link.
    pub conn: Option<ConnId>,
    /// Its name in the brewery.
    pub nick: String,
    /// Where media reaches it.
    pub address: SocketAddr,
    /// The process runs. One that does not neither answers nor forwards.
    pub alive: bool,
    joined: bool,
    next_stats: Instant,
    under_way: HashMap<u64, Element>,
    next: u64,
    /// Datagrams on their way out.
    pub wire: Wire,
    /// Stanzas on their way out.
    pub out: Vec<Element>,
    /// What the focus asked for.
    pub requests: Vec<ConferenceModify>,
    /// Requests of others than the focus.
    pub forbidden: usize,
    /// A bug: whatever is sent to this address panics.
    pub trap: Option<SocketAddr>,
    /// Conferences that failed.
    pub failed: usize,
    /// Who asked for conferences last.
    asked_by: String,
}

struct Trap<'a>(Option<SocketAddr>, &'a mut Wire);

impl DatagramSink for Trap<'_> {
    fn send(
        &mut self,
        to: SocketAddr,
        from: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        assert_ne!(Some(to), self.0, "the bug");
        self.1.send(to, from, max_len, fill);
    }
}

impl Bridge {
    /// A bridge that is not connected.
    pub fn new(now: Instant, n: u8) -> Self {
        let address = SocketAddr::from(([198, 51, 100, n], 10_000));
        let config = ShardConfig::new(vec![LocalAddress::new(address)], Certificate::generate().unwrap());
        Self {
            shard: Shard::new(config, Box::new(SeededEntropy::new(u64::from(n)))).unwrap(),
            conn: None,
            nick: format!("jvb{n}"),
            address,
            alive: true,
            joined: false,
            next_stats: now,
            under_way: HashMap::new(),
            next: 0,
            wire: Wire::default(),
            out: Vec::new(),
            requests: Vec::new(),
            forbidden: 0,
            trap: None,
            failed: 0,
            asked_by: String::new(),
        }
    }

    /// When it wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let shard = self.shard.poll_timeout();
        [shard, self.conn.map(|_| self.next_stats)].into_iter().flatten().min().filter(|_| self.alive)
    }

    /// Its time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.shard.poll_timeout().is_some_and(|t| t <= now) {
            self.guarded(now, |shard, out| shard.handle_timeout(now, out));
        }
        if self.conn.is_some() && self.next_stats <= now {
            self.next_stats = now + STATS;
            self.publish();
        }
    }

    /// What was asked over the old link is not answered any more; rooms are joined again.
    pub fn link_lost(&mut self, now: Instant) {
        self.joined = false;
        self.next_stats = now;
    }

    fn publish(&mut self) {
        let mut stats = BridgeStats::default();
        let (conferences, endpoints) = self.shard.load();
        stats.push("stress_level", endpoints as f64 / 100.0);
        stats.push("conferences", conferences);
        stats.push("participants", endpoints);
        stats.push("drain", false);
        stats.push("graceful_shutdown", false);
        stats.push("healthy", true);
        stats.push("version", "2.3.1");
        let mut presence = Element::new("presence", ns::CLIENT)
            .with_attr("to", format!("{BREWERY}/{}", self.nick))
            .with_child(stats.to_element());
        if !self.joined {
            presence.push(Element::new("x", ns::MUC));
        }
        self.out.push(presence);
    }

    /// A stanza of the server.
    pub fn handle_stanza(&mut self, now: Instant, stanza: &Element) {
        let from = stanza.attr("from").unwrap_or_default();
        match (stanza.name(), stanza.attr("type")) {
            ("presence", None) if from == format!("{BREWERY}/{}", self.nick) => self.joined = true,
            ("iq", Some("get" | "set")) if !from.starts_with(&format!("{BREWERY}/")) => {
                self.forbidden += 1;
                self.out.push(iq::error(stanza, &StanzaError::new(Condition::Forbidden)));
            }
            ("iq", Some("get" | "set")) => match ConferenceModify::from_iq(stanza) {
                Some(Ok(modify)) => {
                    self.next += 1;
                    self.under_way.insert(self.next, stanza.clone());
                    self.asked_by = from.to_owned();
                    self.requests.push(modify.clone());
                    let request = RequestId(self.next);
                    self.command(now, Command::Colibri2 { request, modify: Box::new(modify) });
                }
                Some(Err(e)) => self.out.push(iq::error(stanza, &e.to_stanza_error())),
                None if health::is_request(stanza) => self.out.push(iq::result(stanza, None)),
                None => {
                    self.out.push(iq::error(stanza, &StanzaError::new(Condition::ServiceUnavailable)));
                }
            },
            _ => {}
        }
    }

    /// A command to its core.
    pub fn command(&mut self, now: Instant, command: Command) {
        self.guarded(now, |shard, out| shard.handle_command(now, command, out));
    }

    /// A datagram from a client.
    pub fn datagram(&mut self, now: Instant, src: SocketAddr, data: &mut [u8]) {
        let local = self.address;
        self.guarded(now, |shard, out| {
            shard.handle_datagram(now, src, local, data, out);
        });
    }

    /// As the shell does it.
    fn guarded(&mut self, now: Instant, step: impl FnOnce(&mut Shard, &mut dyn DatagramSink)) {
        let mut out = Trap(self.trap, &mut self.wire);
        if catch_unwind(AssertUnwindSafe(|| step(&mut self.shard, &mut out))).is_err() {
            assert!(self.shard.recover(now));
        }
        self.events();
    }

    fn events(&mut self) {
        while let Some(event) = self.shard.poll_event() {
            if let Event::ConferenceFailed { meeting } = event {
                self.failed += 1;
                let mut expired = ConferenceModify::new(meeting);
                expired.expire = true;
                let id = format!("failed-{}", self.failed);
                let to = self.asked_by.parse().expect("an occupant");
                self.out.push(iq::request("set", &to, &id, expired.to_element()));
            } else if let Event::Colibri2Reply { request, result } = event {
                let iq = self.under_way.remove(&request.0).expect("answered once");
                self.out.push(match result {
                    Ok(modified) => iq::result(&iq, Some(modified.to_element())),
                    Err(error) => iq::error(&iq, &error),
                });
            }
        }
    }

    /// Endpoints by the requests that were made, as a check of the other side's book-keeping.
    pub fn endpoints(&self) -> usize {
        self.shard.load().1
    }
}
