//! A token whose key is somebody else's, and what is heard of keys, in; the key, or a login or request that waits for it, out.
//!
//! Each host that has tokens of others has its own [`Keys`], which bounds what is asked and by whom, and so has each table of
//! programs. A login that waits costs its connection alone: whoever does not need that key is not held up.

use std::collections::BTreeMap;
use std::time::Instant;

use budget::Network;
use prosody_token::{Answer, FetchId, KeyId, Keys, Need, Output as Done, Settled};

use crate::config::Config;
use crate::hosts::Hosts;
use crate::identity::HostId;
use crate::output::{ConnId, KeyFetchId, Output, RequestId};
use crate::timers::Timer;
use crate::world::World;

/// The keys of all hosts.
#[derive(Default)]
pub(crate) struct KeyRings {
    /// By numbers that are never given out again.
    rings: BTreeMap<u64, Ring>,
    next_ring: u64,
    /// Questions that are out: whose, and which of its.
    open: BTreeMap<KeyFetchId, (u64, FetchId)>,
    next: u64,
}

/// Whose tokens keys are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Of people who log in there.
    Host(HostId),
    /// Of programs, by their place in the configuration.
    Programs(usize),
}

/// What goes on once a key is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    /// A login.
    Login(ConnId),
    /// A request from inside.
    Request(RequestId),
}

struct Ring {
    whose: Whose,
    keys: Keys,
    waiting: Vec<(Waits, KeyId)>,
}

impl KeyRings {
    /// Of those hosts and programs that need any.
    pub(crate) fn new(hosts: &Hosts, config: &Config, now: Instant) -> Self {
        let hosts = hosts.key_servers().map(|(host, servers)| (Whose::Host(host), servers));
        let programs = config.programs.iter().enumerate();
        let programs = programs.filter_map(|(i, rules)| Some((Whose::Programs(i), rules.servers()?)));
        let mut it = Self::default();
        for (whose, servers) in hosts.chain(programs) {
            it.add(Ring { whose, keys: Keys::new(servers, now), waiting: Vec::new() });
        }
        it
    }

    fn add(&mut self, ring: Ring) {
        self.rings.insert(self.next_ring, ring);
        self.next_ring += 1;
    }
}

/// Keys of the hosts and programs as they are configured now, beside those of hosts that somebody is still about to log in to; what
/// goes on, and asks anew.
pub(crate) fn renew(world: &mut World) -> Vec<Waits> {
    let fresh = KeyRings::new(&world.hosts, &world.config, world.now).rings;
    let World { keys, hosts, .. } = world;
    let gone = keys.rings.extract_if(.., |_, ring| match ring.whose {
        Whose::Host(id) => hosts.get(id).is_none(),
        Whose::Programs(_) => true,
    });
    let mut ready: Vec<Waits> = gone.flat_map(|(_, ring)| ring.waiting).map(|(waits, _)| waits).collect();
    let KeyRings { rings, open, .. } = keys;
    open.retain(|_, (ring, _)| rings.contains_key(ring));
    fresh.into_values().for_each(|ring| keys.add(ring));
    ready.extend(carry_out(world));
    ready
}

/// Somebody needs this key; if it has to wait, a later call of [`carry_out`] names it.
pub(crate) fn need(
    world: &mut World,
    whose: Whose,
    waits: Waits,
    peer: Option<Network>,
    id: &KeyId,
) -> Option<Need> {
    let now = world.now;
    let ring = world.keys.rings.values_mut().find(|r| r.whose == whose)?;
    let need = ring.keys.need(now, peer, id);
    if need == Need::Wait {
        ring.waiting.push((waits, *id));
    }
    // What is asked now goes out at once; nobody is waiting who could be told something.
    let _ = carry_out(world);
    Some(need)
}

/// What came of a question; what goes on.
pub(crate) fn answer(world: &mut World, id: KeyFetchId, answer: Answer) -> Vec<Waits> {
    let now = world.now;
    if let Some((ring, fetch)) = world.keys.open.remove(&id)
        && let Some(ring) = world.keys.rings.get_mut(&ring)
    {
        ring.keys.handle_answer(now, fetch, answer);
    }
    carry_out(world)
}

/// It is time to ask, or to give up; what goes on.
pub(crate) fn timeout(world: &mut World) -> Vec<Waits> {
    let now = world.now;
    for ring in world.keys.rings.values_mut() {
        ring.keys.handle_timeout(now);
    }
    carry_out(world)
}

/// Asks what is to be asked, and sets the time of the next look.
pub(crate) fn carry_out(world: &mut World) -> Vec<Waits> {
    let World { keys: KeyRings { rings, open, next, .. }, out, timers, .. } = world;
    let mut ready = Vec::new();
    for (number, ring) in rings.iter_mut() {
        while let Some(output) = ring.keys.poll_output() {
            match output {
                Done::Fetch(fetch) => {
                    *next += 1;
                    let id = KeyFetchId(*next);
                    open.insert(id, (*number, fetch.id));
                    out.push_back(Output::FetchKey { id, fetch: Box::new(fetch) });
                }
                Done::Settled(settled) => {
                    let those = ring.waiting.extract_if(.., |(_, key)| match settled {
                        Settled::All => true,
                        Settled::Key(id) => *key == id,
                    });
                    ready.extend(those.map(|(waits, _)| waits));
                }
            }
        }
    }
    if let Some(at) = rings.values().filter_map(|r| r.keys.poll_timeout()).min() {
        timers.set(at, Timer::Keys);
    }
    ready
}
