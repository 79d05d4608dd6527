//! A plan in; participants in their rooms on the bridge, measured windows, and in the end an empty bridge out.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use impairment::{Conditions, Direction, Proxy};
use peer::{Identity, Options, Peer};

use super::colibri::{self, Bridge, Capabilities};
use super::film::Film;
use super::generator::{Command, Generator, Snapshot};
use super::limits;
use super::offer::Source;
use super::participant::{Participant, Parts};
use super::scenario::{Member, Plan};
use super::sender::{Camera, Microphone};
use super::sink::Sink;
use super::socket::{connect, drops};
use crate::process::Usage;

/// What makes a run end early: Ctrl-C, or whoever called.
pub type Stop = AtomicBool;

/// Everybody who joined. Dropping it lets all endpoints go.
pub(crate) struct Session<'a> {
    bridge: Bridge,
    pub(crate) generator: Generator,
    plan: &'a Plan,
    can: Capabilities,
    seed: u64,
    pid: Option<u32>,
    stop: &'a Stop,
    deadline: Instant,
    prefix: String,
    /// Room and endpoint ids.
    joined: Mutex<Vec<(usize, String)>>,
    ports: Mutex<Vec<u16>>,
    proxies: Mutex<Vec<(SocketAddr, Proxy)>>,
    film: Option<Arc<Film>>,
}

/// What was measured between two moments.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) seconds: f64,
    pub(crate) before: Snapshot,
    pub(crate) after: Snapshot,
    pub(crate) server_cpu: Option<Duration>,
    pub(crate) server_rss: Option<u64>,
    pub(crate) server_wake_ups: Option<u64>,
    /// Datagrams lost at our own sockets.
    pub(crate) own_drops: u64,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        bridge: Bridge,
        generator: Generator,
        plan: &'a Plan,
        can: Capabilities,
        seed: u64,
        pid: Option<u32>,
        stop: &'a Stop,
    ) -> Self {
        let unique = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let unique = unique.map_or(0, |d| d.as_millis() as u64 & 0xff_ffff);
        Self {
            bridge,
            generator,
            plan,
            can,
            seed,
            pid,
            stop,
            deadline: Instant::now() + limits::RUN,
            prefix: format!("load-{:x}-{unique:x}", std::process::id()),
            joined: Mutex::default(),
            ports: Mutex::default(),
            proxies: Mutex::default(),
            film: None,
        }
    }

    /// Cameras show this.
    pub(crate) fn showing(mut self, film: Arc<Film>) -> Self {
        self.film = Some(film);
        self
    }

    /// Lets everybody join and waits until all are connected.
    pub(crate) fn join(&self) -> Result<()> {
        let identity = Identity::new(1150)?;
        let start = Instant::now();
        // The first of each room makes the conference; then the others in the order of their time.
        let (first, mut others): (Vec<_>, Vec<_>) = self
            .plan
            .rooms
            .iter()
            .enumerate()
            .flat_map(|(room, members)| (0..members.len()).map(move |m| (room, m)))
            .partition(|(_, m)| *m == 0);
        others.sort_by_key(|(room, m)| (self.plan.rooms[*room][*m].after, *m, *room));
        for tasks in [first, others] {
            self.join_all(&identity, start, &tasks)?;
        }
        self.wait_ready(self.plan.participants())
    }

    fn join_all(&self, identity: &Identity, start: Instant, tasks: &[(usize, usize)]) -> Result<()> {
        let next = AtomicUsize::new(0);
        let failure = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..limits::WORKERS.min(tasks.len()) {
                scope.spawn(|| {
                    while let Some((room, member)) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let done = self.join_one(identity, start, *room, *member);
                        if let Err(e) = done {
                            // The others need not try.
                            next.store(tasks.len(), Ordering::Relaxed);
                            lock(&failure).get_or_insert(e);
                            return;
                        }
                    }
                });
            }
        });
        lock(&failure).take().map_or(Ok(()), Err)
    }

    fn join_one(&self, identity: &Identity, start: Instant, room: usize, number: usize) -> Result<()> {
        let member = self.plan.rooms[room][number];
        while let Some(wait) = (start + member.after).checked_duration_since(Instant::now()) {
            self.check_stop()?;
            std::thread::sleep(wait.min(Duration::from_millis(50)));
        }
        self.check_stop()?;
        let before: usize = self.plan.rooms.iter().take(room).map(Vec::len).sum();
        let index = before + number;
        let id = endpoint(index);
        let meeting = self.meeting(room);
        let asked = Instant::now();
        let create = colibri::create(&meeting, number == 0, &id, &self.can);
        let answer = self.bridge.modify(&create)?;
        lock(&self.joined).push((room, id.clone()));

        let remote = colibri::remote(&answer)?;
        let bridge = self.way_to(remote.address)?;
        let socket = connect(bridge)?;
        let local = socket.local_addr().context("no local address")?;
        lock(&self.ports).push(local.port());
        let ssrc = first_ssrc(index);
        let seed = self.seed.wrapping_mul(0x9e37_79b9).wrapping_add(index as u64 * 0x1234_5679 + 1);
        let mut camera = member.camera.map(|p| Camera::new(p, ssrc + 2, seed));
        if let Some((camera, film)) = camera.as_mut().zip(self.film.as_ref()) {
            camera.show(Arc::clone(film));
        }
        let microphone = member.microphone.then(|| Microphone::new(ssrc + 1, seed ^ 0xa0));
        let mut sources = Vec::new();
        sources
            .extend(microphone.as_ref().map(|m| peer::describe::audio_source(&format!("{id}-a0"), m.ssrc)));
        sources.extend(camera.as_ref().map(|c| colibri::video_source(&format!("{id}-v0"), &c.ssrcs())));
        let credentials = (format!("u{seed:x}"), format!("{:024x}", u128::from(seed) * 0x1_0000_0003));
        let options = Options {
            keeps_media: false,
            expects: Some(remote.fingerprint),
            max_texts: limits::TEXTS,
            ..Options::default()
        };
        let mut link = Peer::new(Instant::now(), identity, local, bridge, credentials.clone(), options)?;
        link.set_remote(&remote.ufrag, &remote.pwd)?;
        let accept = colibri::accept(&meeting, &id, &credentials, identity.fingerprint(), sources);
        self.bridge.modify(&accept)?;
        let mut sink = Sink::new(self.plan.repair, !self.plan.repair);
        if !self.can.ssrc_rewriting {
            self.associate_all(&mut sink, room);
        }
        let participant = Participant::new(Parts {
            socket,
            link,
            camera,
            microphone,
            sink,
            transport_cc: self.can.transport_cc,
            repair: self.plan.repair,
            wishes: wishes(&member, self.plan.flat()),
            fan_out: self.receivers(room, number),
            asked,
            ssrc,
        });
        self.generator.tell(Command::Add(Box::new(participant)));
        Ok(())
    }

    /// Without rewriting everybody's SSRCs arrive as they are; ours are in a fixed order.
    fn associate_all(&self, sink: &mut Sink, room: usize) {
        let before: usize = self.plan.rooms.iter().take(room).map(Vec::len).sum();
        for number in 0..self.plan.rooms[room].len() {
            let ssrc = first_ssrc(before + number) + 2;
            for layer in 0..3 {
                sink.associate(ssrc + 2 * layer + 1, ssrc + 2 * layer);
            }
        }
    }

    fn receivers(&self, room: usize, number: usize) -> usize {
        let others = self.plan.rooms[room].iter().enumerate().filter(|(n, _)| *n != number);
        others.filter(|(_, m)| m.height != 0).count()
    }

    /// What a viewer without SSRC rewriting gets of a room.
    pub(crate) fn sources(&self, room: usize) -> Vec<Source> {
        let before: usize = self.plan.rooms.iter().take(room).map(Vec::len).sum();
        let members = self.plan.rooms.get(room).into_iter().flatten().enumerate();
        let of_member = |(number, member): (usize, &Member)| {
            let (id, ssrc) = (endpoint(before + number), first_ssrc(before + number));
            let speaks = member.microphone;
            let audio = speaks.then(|| Source { name: format!("{id}-a0"), ssrc: ssrc + 1, rtx: None });
            let video = Source { name: format!("{id}-v0"), ssrc: ssrc + 2, rtx: Some(ssrc + 3) };
            [audio, member.camera.map(|_| video)].into_iter().flatten()
        };
        members.flat_map(of_member).collect()
    }

    pub(crate) fn meeting(&self, room: usize) -> String {
        format!("{}-{room}", self.prefix)
    }

    /// The address to send to: the bridge's own, or that of the bad network in front of it.
    fn way_to(&self, address: SocketAddr) -> Result<SocketAddr> {
        let Some((up, down)) = self.plan.network else { return Ok(address) };
        let mut proxies = lock(&self.proxies);
        if let Some((_, proxy)) = proxies.iter().find(|(a, _)| *a == address) {
            return Ok(proxy.address());
        }
        let proxy = Proxy::start(address, self.seed, up, down).context("no impairment proxy")?;
        let way = proxy.address();
        proxies.push((address, proxy));
        Ok(way)
    }

    /// Other conditions towards the participants.
    pub(crate) fn set_network(&self, down: Conditions) {
        for (_, proxy) in lock(&self.proxies).iter() {
            proxy.set(Direction::Down, down);
        }
    }

    fn wait_ready(&self, count: usize) -> Result<()> {
        let deadline = Instant::now() + limits::CONNECT;
        let mut alive = Alive::new();
        loop {
            let progress = self.generator.progress()?;
            if progress.ready >= count {
                return Ok(());
            }
            if let Some(why) = progress.failed {
                bail!("a participant can not connect: {why}");
            }
            if Instant::now() > deadline {
                bail!(
                    "{} of {count} participants did not connect in {} s: ICE {}, DTLS {}, data channel {}",
                    count - progress.ready,
                    limits::CONNECT.as_secs(),
                    progress.nominated,
                    progress.connected,
                    progress.ready
                );
            }
            self.check(&mut alive)?;
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Lets time pass while all is well.
    pub(crate) fn pass(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        let mut alive = Alive::new();
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|l| !l.is_zero()) {
            std::thread::sleep(left.min(Duration::from_millis(100)));
            self.check(&mut alive)?;
        }
        Ok(())
    }

    /// Measures for some time.
    pub(crate) fn measure(&self, time: Duration) -> Result<Window> {
        let drops_before = self.own_drops();
        self.generator.tell(Command::Begin);
        let before = self.generator.snapshot()?;
        self.pass(time)?;
        let after = self.generator.snapshot()?;
        let seconds = match (before.at, after.at) {
            (Some(from), Some(to)) => to.duration_since(from).as_secs_f64(),
            _ => time.as_secs_f64(),
        };
        Ok(Window {
            seconds,
            server_cpu: after.server.zip(before.server).map(|(a, b)| a.cpu.saturating_sub(b.cpu)),
            server_rss: after.server.map(|u| u.resident),
            server_wake_ups: after
                .server
                .zip(before.server)
                .map(|(a, b)| a.wake_ups.saturating_sub(b.wake_ups)),
            own_drops: self.own_drops().saturating_sub(drops_before),
            before,
            after,
        })
    }

    fn usage(&self) -> Result<Option<Usage>> {
        self.pid.map(Usage::of).transpose()
    }

    fn own_drops(&self) -> u64 {
        let mut ports = lock(&self.ports).clone();
        ports.sort_unstable();
        drops(|port| ports.binary_search(&port).is_ok())
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        if Instant::now() > self.deadline {
            bail!("the run took longer than {} minutes", limits::RUN.as_secs() / 60);
        }
        Ok(())
    }

    fn check(&self, alive: &mut Alive) -> Result<()> {
        self.check_stop()?;
        self.usage()?;
        let progress = self.generator.progress()?;
        alive.see(Instant::now(), progress.datagrams, progress.refused)
    }
}

/// Whether the bridge still sends.
struct Alive {
    since: Instant,
    datagrams: u64,
    refused: Option<u64>,
}

impl Alive {
    fn new() -> Self {
        Self { since: Instant::now(), datagrams: 0, refused: None }
    }

    fn see(&mut self, now: Instant, datagrams: u64, refused: u64) -> Result<()> {
        if datagrams != self.datagrams || self.refused.is_none() {
            *self = Self { since: now, datagrams, refused: Some(refused) };
        }
        let silent = now.duration_since(self.since);
        if self.refused.is_some_and(|before| refused > before) && silent > Duration::from_secs(1) {
            bail!("the bridge is gone: nobody listens at its media address any more");
        }
        if silent > limits::SILENCE {
            bail!("the bridge has sent nothing for {} s", limits::SILENCE.as_secs());
        }
        Ok(())
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        // First the load ends: a bridge that has too much of it answers late.
        self.generator.stop();
        let joined = std::mem::take(&mut *lock(&self.joined));
        let bridge = self.bridge.hurried();
        let end = Instant::now() + limits::FAREWELL;
        for room in 0..self.plan.rooms.len() {
            let of_room = joined.iter().filter(|(r, _)| *r == room).map(|(_, id)| id.clone());
            // A bridge that does not answer would make us wait for each room.
            if Instant::now() > end || !bridge.expire(&self.meeting(room), of_room) {
                return;
            }
        }
    }
}

/// `ReceiverVideoConstraints`, as a client says when its channel opens.
fn wishes(member: &Member, flat: bool) -> String {
    let mut message = serde_json::json!({
        "colibriClass": "ReceiverVideoConstraints",
        "lastN": if member.height == 0 { 0 } else { -1 },
        "defaultConstraints": { "maxHeight": member.height },
    });
    if flat {
        // Where the bridge's configuration allows it, no estimate limits what is measured.
        message["assumedBandwidthBps"] = 1_000_000_000.into();
    }
    message.to_string()
}

/// The id of a run's participant.
fn endpoint(index: usize) -> String {
    format!("{:08x}", 0x1000_0000 + index)
}

/// The sixteen SSRCs from there on are its own: the first but one is its microphone's, those after that its camera's.
fn first_ssrc(index: usize) -> u32 {
    0x0100_0000 + 16 * index as u32
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
