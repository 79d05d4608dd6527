//! The plan in; packets to the forwarder, and what its receivers got of them, out: one thread is the sources and all
//! the receivers, so that neither starves the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hdrhistogram::Histogram;

use super::plan::{Plan, Receiver, Sockets};
use crate::srtp::{self, HEADER};
use crate::thread::{self, Meter, Window};
use crate::udp::{Inbox, Outbox};

/// What was sent in the window, and what came of it.
pub(super) struct Loaded {
    /// Packets the sources sent.
    pub(super) offered: u64,
    /// Of these, what all receivers got together.
    pub(super) received: u64,
    /// Packets of the forwarder that a receiver missed.
    pub(super) gaps: u64,
    /// Packets that were decrypted and compared.
    pub(super) verified: u64,
    /// In nanoseconds, from before the sending call to after the receiving one.
    pub(super) latency: Histogram<u64>,
    pub(super) cpu: Duration,
    pub(super) pinned: bool,
}

/// Sends to the end of the window, then waits a little for what is on its way.
pub(super) fn run(
    plan: &Plan,
    sockets: &Sockets,
    window: Window,
    core: usize,
    stop: &AtomicBool,
) -> Result<Loaded> {
    let pinned = thread::pin(core, "the load");
    let mut meter = Meter::new(window);
    let mut source = Source::new(plan)?;
    let mut sinks = Sinks::new(plan)?;
    let mut progress = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        meter.observe(now, source.sent);
        let mut sent = false;
        if now < window.end {
            // What made no progress for long is lost: go on without it.
            if now - progress > STALL {
                source.written_off = source.sent;
                progress = now;
            }
            let arrived = sinks.slowest().max(source.written_off);
            sent = source.send(now, arrived, sockets)?;
        } else if sinks.slowest() >= source.sent || now > window.end + LAST_PACKETS {
            break;
        }
        let received = sinks.receive(sockets, &source, window)?;
        if received > 0 {
            progress = now;
        }
        if plan.interval.is_some() {
            // The latency counts: look again at once, unless somebody else needs the core.
            if !sent && received == 0 {
                std::thread::yield_now();
            }
        } else {
            // Looking for single packets would take the sockets' locks from the forwarder again and again.
            std::thread::sleep(NAP);
        }
    }
    let measured = meter.measured()?;
    Ok(Loaded {
        offered: measured.last - measured.first,
        received: sinks.received,
        gaps: sinks.gaps,
        verified: sinks.verified,
        latency: sinks.latency,
        cpu: measured.cpu,
        pinned,
    })
}

/// The senders, which take turns. The number of a packet among those of its sender is its extended sequence number and its timestamp.
struct Source<'a> {
    plan: &'a Plan,
    outbox: Outbox,
    /// Packets all of them sent so far.
    sent: u64,
    /// All before this one will not be waited for.
    written_off: u64,
    due: Option<Instant>,
    /// When the latest packets were sent, by how many were sent before.
    times: Vec<Instant>,
}

impl<'a> Source<'a> {
    fn new(plan: &'a Plan) -> Result<Self> {
        let outbox = Outbox::new(plan.protected, 1)?;
        let times = vec![Instant::now(); TIMES];
        Ok(Self { plan, outbox, sent: 0, written_off: 0, due: None, times })
    }

    /// Sends what is due, or what the forwarder may be ahead of the slowest receiver. True: something was sent.
    fn send(&mut self, now: Instant, arrived: u64, sockets: &Sockets) -> Result<bool> {
        let Some(interval) = self.plan.interval else {
            let before = self.sent;
            while self.sent + self.plan.burst <= arrived + self.plan.ahead {
                self.burst(now, sockets)?;
            }
            return Ok(self.sent > before);
        };
        let due = self.due.unwrap_or(now);
        if now < due {
            return Ok(false);
        }
        self.burst(now, sockets)?;
        self.due = Some(due + interval);
        if now - due > LATEST {
            self.due = Some(now + interval);
        }
        Ok(true)
    }

    fn burst(&mut self, now: Instant, sockets: &Sockets) -> Result<()> {
        let bursts = self.sent / self.plan.burst;
        let senders = self.plan.uplinks.len() as u64;
        let (round, source) = (bursts / senders, (bursts % senders) as usize);
        for number in (round * self.plan.burst..).take(self.plan.burst as usize) {
            let packet = self.outbox.datagram(self.plan.protected);
            srtp::write_header(packet, number as u32);
            srtp::write_identity(packet, source as u32, number);
            packet[HEADER..self.plan.plain].copy_from_slice(&self.plan.payload);
            self.plan.uplinks[source].protect(packet, number)?;
            self.times[self.sent as usize % TIMES] = now;
            self.sent += 1;
            if self.outbox.finish(self.plan.forwarder) {
                self.outbox.flush(&sockets.source)?;
            }
        }
        self.outbox.flush(&sockets.source)
    }
}

/// All receivers.
struct Sinks<'a> {
    plan: &'a Plan,
    inbox: Inbox,
    sinks: Vec<Sink>,
    received: u64,
    gaps: u64,
    verified: u64,
    latency: Histogram<u64>,
}

struct Sink {
    /// Which source it gets.
    source: usize,
    /// The extended sequence number that comes next.
    expected: u64,
    /// The number behind the last packet's, at its source.
    arrived: u64,
}

impl<'a> Sinks<'a> {
    fn new(plan: &'a Plan) -> Result<Self> {
        let sources = (0..plan.uplinks.len()).flat_map(|source| std::iter::repeat_n(source, plan.fan_out));
        let sinks = sources.zip(&plan.receivers);
        let sinks = sinks.map(|(source, r)| Sink { source, expected: r.first, arrived: 0 }).collect();
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 3).map_err(|e| anyhow::anyhow!("{e}"))?;
        Ok(Self { plan, inbox: Inbox::new(), sinks, received: 0, gaps: 0, verified: 0, latency })
    }

    /// What every receiver has got, or given up.
    fn slowest(&self) -> u64 {
        let before = |sink: &Sink| self.plan.sent_before(sink.source, sink.arrived);
        self.sinks.iter().map(before).min().unwrap_or(0)
    }

    /// One batch from each socket.
    fn receive(&mut self, sockets: &Sockets, source: &Source<'_>, window: Window) -> Result<u64> {
        let mut count = 0;
        for ((sink, socket), receiver) in self.sinks.iter_mut().zip(&sockets.sinks).zip(&self.plan.receivers)
        {
            let packets = self.inbox.receive(socket)?;
            let now = Instant::now();
            for packet in packets {
                let (number, missed) = sink.take(packet, receiver, self.plan)?;
                self.gaps += missed;
                count += 1;
                if number % VERIFY_ONE_OF == 0 {
                    verify(packet, receiver, sink.expected - 1, self.plan)?;
                    self.verified += 1;
                }
                let before = self.plan.sent_before(sink.source, number);
                let sent = source.times[before as usize % TIMES];
                if (window.begin..window.end).contains(&sent) {
                    self.received += 1;
                    if self.plan.interval.is_some() {
                        let nanoseconds = (now - sent).as_nanos();
                        self.latency.saturating_record(nanoseconds.try_into().unwrap_or(u64::MAX));
                    }
                }
            }
        }
        Ok(count)
    }
}

impl Sink {
    /// The packet's number at the source, and how many before it this receiver missed.
    fn take(&mut self, packet: &[u8], receiver: &Receiver, plan: &Plan) -> Result<(u64, u64)> {
        ensure!(packet.len() == plan.protected, "a datagram of {} bytes: cut wrongly", packet.len());
        ensure!(srtp::ssrc(packet) == receiver.ssrc, "a packet of another receiver");
        let index = srtp::extend(srtp::sequence(packet), self.expected);
        let Some(missed) = index.checked_sub(self.expected) else { bail!("a packet twice or too late") };
        self.expected = index + 1;
        let ahead = srtp::timestamp(packet).wrapping_sub(self.arrived as u32);
        let number = self.arrived + u64::from(ahead);
        self.arrived = number + 1;
        Ok((number, missed))
    }
}

fn verify(packet: &mut [u8], receiver: &Receiver, index: u64, plan: &Plan) -> Result<()> {
    receiver.key.unprotect(packet, index).context("a forwarded packet is not authentic")?;
    ensure!(packet[HEADER..plan.plain] == plan.payload, "a forwarded packet has another content");
    Ok(())
}

/// A prime, so that every place in a train gets its turn.
const VERIFY_ONE_OF: u64 = 61;
/// More than can be on their way: 0.5 s of a very fast source.
const TIMES: usize = 1 << 20;
const STALL: Duration = Duration::from_millis(500);
const LAST_PACKETS: Duration = Duration::from_secs(1);
/// A source that is this late starts anew from now.
const LATEST: Duration = Duration::from_millis(100);
const NAP: Duration = Duration::from_micros(50);
