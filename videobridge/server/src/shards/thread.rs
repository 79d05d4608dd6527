//! One media thread: readable sockets, commands, peers' datagrams and time in; the shard driven, its datagrams sent and
//! its events passed on, out.

use std::io;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Token};
use tokio::sync::mpsc::Sender;
use videobridge_core::{Command, Event, Shard};
use videobridge_udp::{RecvBatch, UdpSocket, limits::RECEIVE_BATCH};

use super::counters::ThreadCounters;
use super::outbox::Outbox;
use super::peers::{Peer, PeerMessage, Peers};
use crate::limits::{BATCHES_PER_TURN, COMMANDS_PER_TURN, PEER_MESSAGES_PER_TURN};

/// The waker's token; sockets have their index.
pub(super) const WAKE: Token = Token(usize::MAX);

/// Longest sleep, so that nothing can be forgotten for ever.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// What a thread is made of.
pub(super) struct Parts {
    pub(super) index: usize,
    pub(super) shard: Shard,
    pub(super) poll: mio::Poll,
    pub(super) commands: Receiver<Command>,
    pub(super) events: Sender<(usize, Event)>,
    pub(super) peers: Vec<Peer>,
    pub(super) from_peers: Receiver<PeerMessage>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) counters: Arc<ThreadCounters>,
}

/// See the module.
pub(super) struct MediaThread {
    index: usize,
    shard: Shard,
    poll: mio::Poll,
    inputs: Vec<Input>,
    outbox: Outbox,
    commands: Receiver<Command>,
    events: Sender<(usize, Event)>,
    peers: Peers,
    from_peers: Receiver<PeerMessage>,
    stop: Arc<AtomicBool>,
    counters: Arc<ThreadCounters>,
}

/// The receiving side of one socket.
struct Input {
    batch: RecvBatch,
    /// May have more; the system tells only once.
    readable: bool,
    kernel_drops: u32,
    truncated: u64,
}

impl MediaThread {
    pub(super) fn new(parts: Parts, sockets: Vec<UdpSocket>) -> io::Result<Self> {
        let mut inputs = Vec::with_capacity(sockets.len());
        for (at, socket) in sockets.iter().enumerate() {
            parts.poll.registry().register(
                &mut SourceFd(&socket.as_raw_fd()),
                Token(at),
                Interest::READABLE,
            )?;
            // What arrived before is not told: try once.
            inputs.push(Input {
                batch: RecvBatch::with_gro(),
                readable: true,
                kernel_drops: 0,
                truncated: 0,
            });
        }
        Ok(Self {
            index: parts.index,
            shard: parts.shard,
            poll: parts.poll,
            inputs,
            outbox: Outbox::new(sockets),
            commands: parts.commands,
            events: parts.events,
            peers: Peers::new(parts.index, parts.peers),
            from_peers: parts.from_peers,
            stop: parts.stop,
            counters: parts.counters,
        })
    }

    /// Until told to stop.
    pub(super) fn run(&mut self) {
        let mut ready = mio::Events::with_capacity(64);
        let mut more = true;
        loop {
            // Read before the commands: what was sent before the stop is still done.
            let stopping = self.stop.load(Ordering::Acquire);
            let sleep = if more || stopping { Duration::ZERO } else { self.sleep() };
            match self.poll.poll(&mut ready, Some(sleep)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::error!(%error, "a media thread can not wait for its sockets");
                    return;
                }
            }
            for event in &ready {
                if let Some(input) = self.inputs.get_mut(event.token().0) {
                    input.readable = true;
                }
            }
            more = self.run_commands();
            more |= self.run_peer_messages();
            for at in 0..self.inputs.len() {
                more |= self.receive(at);
            }
            if self.shard.poll_timeout().is_some_and(|at| at <= Instant::now()) {
                self.guarded(|shard, outbox| shard.handle_timeout(Instant::now(), outbox));
            }
            self.finish_turn();
            more |= self.peers.settle();
            if stopping && !more {
                return;
            }
        }
    }

    fn sleep(&self) -> Duration {
        let due = self.shard.poll_timeout().map(|at| at.saturating_duration_since(Instant::now()));
        due.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
    }

    /// Whether there may be more.
    fn run_commands(&mut self) -> bool {
        for _ in 0..COMMANDS_PER_TURN {
            let Ok(command) = self.commands.try_recv() else { return false };
            let meeting = match &command {
                Command::Colibri2 { modify, .. } => Some(modify.meeting_id.clone()),
                _ => None,
            };
            let done = self.guarded(|shard, outbox| shard.handle_command(Instant::now(), command, outbox));
            if let (false, Some(meeting)) = (done, meeting) {
                // Whatever state it is in now, it must not harm others.
                let expire = Command::ExpireConference(meeting);
                self.guarded(|shard, outbox| shard.handle_command(Instant::now(), expire, outbox));
            }
            self.pass_events();
        }
        true
    }

    /// Whether there may be more.
    fn run_peer_messages(&mut self) -> bool {
        if self.peers.alone() {
            return false;
        }
        for _ in 0..PEER_MESSAGES_PER_TURN {
            let Ok(message) = self.from_peers.try_recv() else { return false };
            match message {
                PeerMessage::Datagram { remote, local, mut data } => {
                    self.guarded(|shard, outbox| {
                        shard.handle_datagram(Instant::now(), remote, local, &mut data, outbox);
                    });
                }
                PeerMessage::Bound { remote, local, owner } => {
                    self.peers.learn(remote, local, Some(owner), owner);
                }
                PeerMessage::Released { remote, local, owner } => {
                    self.peers.learn(remote, local, None, owner);
                }
            }
        }
        true
    }

    /// Takes what waits at one socket. Whether there may be more.
    fn receive(&mut self, at: usize) -> bool {
        for _ in 0..BATCHES_PER_TURN {
            let Self { shard, outbox, peers, counters, inputs, .. } = self;
            let (Some(input), Some(socket)) = (inputs.get_mut(at), outbox.sockets.get(at)) else {
                return false;
            };
            if !input.readable {
                return false;
            }
            let local = socket.local_address();
            let count = match input.batch.receive(socket) {
                Ok(count) => count,
                Err(error) => {
                    // Nothing there; or an error of an earlier send, which the next call clears.
                    input.readable = !matches!(error.kind(), io::ErrorKind::WouldBlock);
                    return input.readable;
                }
            };
            let now = Instant::now();
            let alone = peers.alone();
            let done = catch_unwind(AssertUnwindSafe(|| {
                input.batch.for_each(|remote, data| {
                    if !alone && let Some(owner) = peers.owner(remote, local, data) {
                        counters.add_handover(peers.hand_over(owner, remote, local, data));
                        return;
                    }
                    shard.handle_datagram(now, remote, local, data, outbox);
                });
            }));
            if done.is_err() {
                counters.add_panic();
                tracing::error!("handling a datagram failed; the rest of its batch is lost");
            }
            let input = self.inputs.get_mut(at);
            if let Some(input) = input {
                let drops = input.batch.kernel_drops().wrapping_sub(input.kernel_drops);
                let truncated = input.batch.truncated() - input.truncated;
                self.counters.add_received(drops.into(), truncated);
                input.kernel_drops = input.batch.kernel_drops();
                input.truncated = input.batch.truncated();
            }
            // Trains for a receiver grow over a batch, but nobody waits for the next one.
            self.finish_turn();
            if count < RECEIVE_BATCH {
                // Empty: the system will tell when something arrives. An arrival in between is told, too.
                if let Some(input) = self.inputs.get_mut(at) {
                    input.readable = false;
                }
                return false;
            }
        }
        true
    }

    /// Runs a step of the shard; a panic ends the step, not the thread.
    fn guarded(&mut self, step: impl FnOnce(&mut Shard, &mut Outbox)) -> bool {
        let Self { shard, outbox, .. } = self;
        let done = catch_unwind(AssertUnwindSafe(|| step(shard, outbox))).is_ok();
        if !done {
            self.counters.add_panic();
            tracing::error!("a step of a media thread failed");
        }
        done
    }

    fn finish_turn(&mut self) {
        self.pass_events();
        self.outbox.flush();
        self.counters.add_flushed(&self.outbox.take_flushed());
    }

    fn pass_events(&mut self) {
        while let Some(event) = self.shard.poll_event() {
            if matches!(event, Event::AddressBound { .. } | Event::AddressReleased { .. }) {
                self.peers.announce(&event);
            } else if self.events.try_send((self.index, event)).is_err() {
                self.counters.add_event_dropped();
            }
        }
    }
}
