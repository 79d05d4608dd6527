//! The one thread that is all participants: their sockets and schedules in, snapshots of what happened out.
//!
//! It polls rather than being woken, so that the bridge's cost does not contain wake-ups of ours, and it takes arrival
//! times from the kernel, so that its own turns do not look like latency.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::Pid;

use super::limits;
use super::participant::{Context, Participant, Scratch, Totals, clock};
use super::sender::{AUDIO_FRAME, FRAME, Pattern, burst_interval};
use super::sink::Received;
use super::socket::{BATCH, Batch, descriptor};
use crate::latency::Latencies;
use crate::process::Usage;

/// What the generator is told.
pub(crate) enum Command {
    /// A new participant.
    Add(Box<Participant>),
    /// The rate of all flat patterns together, in packets per second, and how much faster or slower than usual the
    /// others send.
    Rate { flat: f64, factor: f64 },
    /// Starts the next span of latencies.
    Begin,
    /// What happened so far.
    Snapshot(Sender<Snapshot>),
    /// The little of it that is looked at often.
    Progress(Sender<Progress>),
}

/// How it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) ready: usize,
    /// With ICE done, and with DTLS done.
    pub(crate) nominated: usize,
    pub(crate) connected: usize,
    /// Why somebody can not connect.
    pub(crate) failed: Option<&'static str>,
    pub(crate) datagrams: u64,
    pub(crate) refused: u64,
}

/// What happened so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub(crate) at: Option<Instant>,
    pub(crate) totals: Totals,
    pub(crate) received: Received,
    /// From sending to arriving, of sampled packets since [`Command::Begin`].
    pub(crate) latency: Latencies,
    /// The same of speech alone.
    pub(crate) speech: Latencies,
    /// How late we sent, since then.
    pub(crate) lag: Latencies,
    /// From being asked to join to DTLS, and to the first media packet.
    pub(crate) up: Latencies,
    pub(crate) media: Latencies,
    /// The generator thread's CPU time.
    pub(crate) cpu: Duration,
    /// What the server had used at this very moment.
    pub(crate) server: Option<Usage>,
}

/// The running thread.
pub(crate) struct Generator {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Generator {
    /// Starts the thread, on its own core if there are several. `server`: whose CPU time to read.
    pub(crate) fn start(core: Option<usize>, server: Option<u32>) -> Result<Self> {
        let (commands, receiver) = mpsc::channel();
        let poll = Poll::new().context("no epoll")?;
        let thread = std::thread::Builder::new()
            .name("generator".to_owned())
            .spawn(move || {
                pin(core);
                Loop::new(poll, receiver, server).run();
            })
            .context("no thread")?;
        Ok(Self { commands: Some(commands), thread: Some(thread) })
    }

    pub(crate) fn tell(&self, command: Command) {
        if let Some(commands) = &self.commands {
            let _ = commands.send(command);
        }
    }

    /// Ends all participants; nothing is sent or received any more.
    pub(crate) fn stop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// What happened so far.
    ///
    /// # Errors
    /// The thread is gone.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        self.ask(Command::Snapshot)
    }

    /// How it goes.
    ///
    /// # Errors
    /// The thread is gone.
    pub(crate) fn progress(&self) -> Result<Progress> {
        self.ask(Command::Progress)
    }

    fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Command) -> Result<T> {
        let (sender, receiver) = mpsc::channel();
        self.tell(question(sender));
        match receiver.recv_timeout(Duration::from_secs(10)) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => anyhow::bail!("the generator hangs"),
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the generator stopped"),
        }
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Leaves a choice made outside, by `taskset` or a container, alone.
fn pin(core: Option<usize>) {
    let this = Pid::from_raw(0);
    let Ok(allowed) = sched_getaffinity(this) else { return };
    let count = (0..CpuSet::count()).filter(|c| allowed.is_set(*c).unwrap_or(false)).count();
    let mut one = CpuSet::new();
    if let Some(core) = core
        && count > 1
        && allowed.is_set(core).unwrap_or(false)
        && one.set(core).is_ok()
    {
        let _ = sched_setaffinity(this, &one);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Tick,
    Video { round: u32 },
    Audio,
    Nack,
}

struct Slot {
    participant: Participant,
    sending: bool,
    nacking: bool,
    counted: bool,
}

struct Loop {
    start: Instant,
    server: Option<u32>,
    poll: Poll,
    commands: Receiver<Command>,
    slots: Vec<Slot>,
    due: BinaryHeap<Reverse<(u64, u32, What)>>,
    batch: Batch,
    scratch: Scratch,
    totals: Totals,
    latency: Latencies,
    speech: Latencies,
    lag: Latencies,
    up: Latencies,
    media: Latencies,
    rate: f64,
    factor: f64,
    /// Nanoseconds between two bursts of a flat sender.
    flat_interval: u64,
    /// Counts changes of the rate; older entries of the schedule are void.
    round: u32,
    flat_senders: usize,
    last_commands: u64,
}

/// Nanoseconds.
const MILLI: u64 = 1_000_000;
/// Between two looks at the sockets: received packets wait that long for us, which no figure sees.
const NAP: u64 = 200_000;
/// The same after a look that found more than [`MANY`] datagrams.
const GATHER: u64 = 1_000_000;
const MANY: usize = 16;
/// Sockets emptied between two looks at the schedule.
const SOCKETS_PER_LOOK: usize = 32;
/// Batches of one socket in a row.
const BATCHES_PER_SOCKET: usize = 64;

impl Loop {
    fn new(poll: Poll, commands: Receiver<Command>, server: Option<u32>) -> Self {
        Self {
            start: Instant::now(),
            server,
            poll,
            commands,
            slots: Vec::new(),
            due: BinaryHeap::with_capacity(limits::PARTICIPANTS * 4),
            batch: Batch::new(),
            scratch: Scratch::new(),
            totals: Totals::default(),
            latency: Latencies::new(),
            speech: Latencies::new(),
            lag: Latencies::new(),
            up: Latencies::new(),
            media: Latencies::new(),
            rate: 0.0,
            factor: 1.0,
            flat_interval: 100 * MILLI,
            round: 0,
            flat_senders: 0,
            last_commands: 0,
        }
    }

    fn nanos(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        let mut drain_at = 0;
        loop {
            let now = self.nanos();
            if now >= self.last_commands + MILLI {
                self.last_commands = now;
                if !self.obey() {
                    return;
                }
            }
            self.run_schedule();
            if self.nanos() >= drain_at && self.poll.poll(&mut events, Some(Duration::ZERO)).is_ok() {
                let mut datagrams = 0;
                for (count, event) in events.iter().enumerate() {
                    if count % SOCKETS_PER_LOOK == SOCKETS_PER_LOOK - 1 {
                        self.run_schedule();
                    }
                    datagrams += self.drain(event.token().0);
                }
                // Many at once are cheaper, and the kernel has noted when each came: let them gather.
                drain_at = self.nanos() + if datagrams > MANY { GATHER } else { NAP };
            }
            let next = self.due.peek().map_or(drain_at, |Reverse((at, ..))| drain_at.min(*at));
            let nap = next.saturating_sub(self.nanos());
            if nap > 0 {
                std::thread::sleep(Duration::from_nanos(nap));
            }
        }
    }

    /// Returns false when nobody can tell us anything any more.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Add(participant)) => self.add(*participant),
                Ok(Command::Rate { flat, factor }) => {
                    (self.rate, self.factor) = (flat, factor.max(0.001));
                    self.reschedule();
                }
                Ok(Command::Begin) => {
                    self.latency.clear();
                    self.speech.clear();
                    self.lag.clear();
                }
                Ok(Command::Snapshot(reply)) => {
                    let _ = reply.send(self.snapshot());
                }
                Ok(Command::Progress(reply)) => {
                    let all = || self.slots.iter().map(|s| &s.participant);
                    let _ = reply.send(Progress {
                        ready: all().filter(|p| p.ready()).count(),
                        nominated: all().filter(|p| p.link.selected).count(),
                        connected: all().filter(|p| p.link.connected()).count(),
                        failed: all().find_map(|p| p.link.failed),
                        datagrams: self.totals.datagrams,
                        refused: self.totals.refused,
                    });
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn add(&mut self, participant: Participant) {
        let at = self.slots.len();
        let fd = descriptor(&participant.socket);
        if at >= limits::PARTICIPANTS
            || self.poll.registry().register(&mut SourceFd(&fd), Token(at), Interest::READABLE).is_err()
        {
            self.totals.unsent += 1;
            return;
        }
        self.slots.push(Slot { participant, sending: false, nacking: false, counted: false });
        self.due.push(Reverse((self.nanos(), at as u32, What::Tick)));
        // What came before the registration.
        self.drain(at);
    }

    fn snapshot(&self) -> Snapshot {
        let mut received = Received::default();
        for slot in &self.slots {
            received.add(&slot.participant.sink.received);
        }
        let cpu = getrusage(UsageWho::RUSAGE_THREAD).map_or(Duration::ZERO, |usage| {
            let of =
                |t: nix::sys::time::TimeVal| Duration::new(t.tv_sec() as u64, t.tv_usec() as u32 * 1_000);
            of(usage.user_time()) + of(usage.system_time())
        });
        Snapshot {
            at: Some(Instant::now()),
            totals: self.totals.clone(),
            received,
            latency: self.latency.clone(),
            speech: self.speech.clone(),
            lag: self.lag.clone(),
            up: self.up.clone(),
            media: self.media.clone(),
            cpu,
            server: self.server.and_then(|pid| Usage::of(pid).ok()),
        }
    }

    /// Empties a socket. Returns the number of datagrams.
    fn drain(&mut self, at: usize) -> usize {
        let Self { slots, batch, totals, latency, speech, scratch, .. } = self;
        let Some(slot) = slots.get_mut(at) else { return 0 };
        let now = Instant::now();
        let nanos = now.duration_since(self.start).as_nanos() as u64;
        let mut cx = Context { now, nanos, clock: clock(), totals, latency, speech, scratch };
        let fd = descriptor(&slot.participant.socket);
        let mut count = 0;
        for _ in 0..BATCHES_PER_SOCKET {
            let most = slot.participant.appetite();
            match batch.receive(fd, most) {
                Ok(got) => {
                    for i in 0..got {
                        let (data, len, time) = batch.datagram(i, most);
                        slot.participant.receive(&mut cx, data, len, time);
                    }
                    count += got;
                    cx.totals.looks += 1;
                    if got < BATCH {
                        break;
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => cx.totals.refused += 1,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.after(at, nanos);
        count
    }

    /// What a datagram or a tick may have changed.
    fn after(&mut self, at: usize, nanos: u64) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        if let (false, Some(media)) = (slot.counted, slot.participant.media_after) {
            slot.counted = true;
            self.media.record(media);
        }
        let p = &slot.participant;
        if !slot.nacking && p.sink.incomplete() {
            slot.nacking = true;
            self.due.push(Reverse((nanos + 10 * MILLI, at as u32, What::Nack)));
        }
        if let (false, Some(up)) = (slot.sending, p.up_after) {
            slot.sending = true;
            self.up.record(up);
            if p.microphone.is_some() {
                self.due.push(Reverse((nanos + spread(at, AUDIO_FRAME), at as u32, What::Audio)));
            }
            match p.camera.as_ref().map(|c| c.pattern) {
                Some(Pattern::Simulcast) => {
                    let first = nanos + spread(at, FRAME);
                    self.due.push(Reverse((first, at as u32, What::Video { round: self.round })));
                }
                Some(Pattern::Flat { .. }) => {
                    self.flat_senders += 1;
                    self.reschedule();
                }
                None => {}
            }
        }
    }

    /// A new rate, or another sender to share it with.
    fn reschedule(&mut self) {
        self.round += 1;
        let now = self.nanos();
        let burst = self.slots.iter().find_map(|s| match s.participant.camera.as_ref()?.pattern {
            Pattern::Flat { burst, .. } => Some(burst),
            Pattern::Simulcast => None,
        });
        let rate = self.rate / self.flat_senders.max(1) as f64;
        self.flat_interval = burst_interval(burst.unwrap_or(1), rate).as_nanos() as u64;
        let mut number = 0;
        for (at, slot) in self.slots.iter().enumerate().filter(|(_, s)| s.sending) {
            match slot.participant.camera.as_ref().map(|c| c.pattern) {
                Some(Pattern::Flat { .. }) if self.rate <= 0.0 => {}
                Some(Pattern::Flat { .. }) => {
                    // Evenly: the bridge sees a steady rate.
                    let first = now + self.flat_interval * number / self.flat_senders.max(1) as u64;
                    number += 1;
                    self.due.push(Reverse((first, at as u32, What::Video { round: self.round })));
                }
                Some(Pattern::Simulcast) => {
                    let first = now + spread(at, FRAME);
                    self.due.push(Reverse((first, at as u32, What::Video { round: self.round })));
                }
                None => {}
            }
        }
    }

    fn run_schedule(&mut self) {
        let mut turns = 0;
        while let Some(Reverse((at, who, what))) = self.due.peek().copied() {
            let now = Instant::now();
            let nanos = now.duration_since(self.start).as_nanos() as u64;
            // Not for ever: what arrives must not wait for what is to be sent.
            if at > nanos || turns >= 256 {
                return;
            }
            turns += 1;
            self.due.pop();
            self.fire(now, nanos, at, who, what);
        }
    }

    fn fire(&mut self, now: Instant, nanos: u64, at: u64, who: u32, what: What) {
        let (flat, frame) = (self.flat_interval, (FRAME as f64 / self.factor) as u64);
        let Self { slots, totals, latency, speech, scratch, .. } = self;
        let Some(slot) = slots.get_mut(who as usize) else { return };
        let mut cx = Context { now, nanos, clock: clock(), totals, latency, speech, scratch };
        let lag = nanos.saturating_sub(at);
        let behind = lag > limits::BEHIND.as_nanos() as u64;
        let next = match what {
            What::Tick => {
                slot.participant.tick(&mut cx);
                nanos + if slot.participant.ready() { 100 * MILLI } else { 20 * MILLI }
            }
            What::Nack => {
                if !slot.participant.ask_again(&mut cx) {
                    slot.nacking = false;
                    return;
                }
                nanos + 10 * MILLI
            }
            What::Audio => {
                slot.participant.send_audio(&mut cx);
                self.lag.record(Duration::from_nanos(lag));
                if behind { nanos } else { at + AUDIO_FRAME }
            }
            What::Video { round } => {
                if round != self.round {
                    return;
                }
                let packets = slot.participant.send_video(&mut cx);
                self.lag.record(Duration::from_nanos(lag));
                let simulcast =
                    slot.participant.camera.as_ref().is_some_and(|c| c.pattern == Pattern::Simulcast);
                let interval = if simulcast { frame } else { flat };
                if behind {
                    self.totals.skipped += lag / interval.max(1) * packets as u64;
                    nanos
                } else {
                    at + interval
                }
            }
        };
        self.due.push(Reverse((next, who, what)));
        if what == What::Tick {
            self.after(who as usize, nanos);
        }
    }
}

/// A participant's place in a period.
fn spread(at: usize, period: u64) -> u64 {
    // The golden ratio: any number of them is spread evenly.
    (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % period
}
