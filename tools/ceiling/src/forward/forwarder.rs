//! SRTP packets of the sources in; each of them, rewritten and encrypted anew for every receiver of its source, out: the
//! measured thread.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::plan::Plan;
use crate::srtp::{self, HEADER, TAG};
use crate::thread::{self, Measured, Meter, Window};
use crate::udp::{self, Inbox, Outbox};

/// What the thread did in the window.
pub(super) struct Forwarded {
    pub(super) measured: Measured<Counters>,
    pub(super) pinned: bool,
}

/// Sums since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    /// Outgoing packets, and the messages that carried them.
    pub(super) packets: u64,
    pub(super) messages: u64,
    /// Wall-clock time of the stages; encryption and copying are the rest.
    pub(super) waiting: Duration,
    pub(super) receiving: Duration,
    pub(super) sending: Duration,
}

/// Forwards until told to stop, which the load does a little after the window's end.
pub(super) fn run(
    plan: &Plan,
    socket: &UdpSocket,
    window: Window,
    core: usize,
    stop: &AtomicBool,
) -> Result<Forwarded> {
    let pinned = thread::pin(core, "the forwarder");
    let mut meter = Meter::new(window);
    let mut counters = Counters::default();
    let mut inbox = Inbox::new();
    let mut outbox = Outbox::new(plan.protected, plan.segments)?;
    let mut expected = vec![0; plan.uplinks.len()];
    // The next extended sequence number of each receiver.
    let mut next: Vec<u64> = plan.receivers.iter().map(|receiver| receiver.first).collect();
    let mut now = Instant::now();
    while !stop.load(Ordering::Relaxed) && now < window.end + STOP {
        meter.observe(now, counters);
        let mut packets = inbox.receive(socket)?.peekable();
        let received = Instant::now();
        if packets.peek().is_none() {
            drop(packets);
            udp::wait(socket)?;
            let woken = Instant::now();
            counters.waiting += woken - now;
            now = woken;
            continue;
        }
        counters.receiving += received - now;

        // On the stack: a batch.
        let mut batch = [(0, &[][..]); udp::BATCH];
        let mut count = 0;
        for (place, packet) in batch.iter_mut().zip(packets) {
            let source = source_of(packet);
            let (uplink, expected) =
                plan.uplinks.get(source).zip(expected.get_mut(source)).context("nobody's packet")?;
            let index = srtp::extend(srtp::sequence(packet), *expected);
            uplink.unprotect(packet, index).context("the source's packet is not authentic")?;
            *expected = index + 1;
            let length = packet.len() - TAG;
            *place = (source, &packet[..length]);
            count += 1;
        }
        let of_one = batch[..count].chunk_by(|(a, _), (b, _)| a == b);
        for train in of_one.flat_map(|packets| packets.chunks(plan.segments)) {
            let of_source = train[0].0 * plan.fan_out..(train[0].0 + 1) * plan.fan_out;
            let next = &mut next[of_source.clone()];
            for (receiver, next) in plan.receivers[of_source].iter().zip(next) {
                for (_, packet) in train {
                    let copy = outbox.datagram(plan.protected);
                    copy[..plan.plain].copy_from_slice(packet);
                    srtp::write_identity(copy, receiver.ssrc, *next);
                    receiver.key.protect(copy, *next)?;
                    *next += 1;
                }
                counters.packets += train.len() as u64;
                counters.messages += 1;
                if outbox.finish(receiver.address) {
                    flush(&mut outbox, socket, &mut counters, &mut meter)?;
                }
            }
        }
        flush(&mut outbox, socket, &mut counters, &mut meter)?;
        now = Instant::now();
    }
    meter.observe(Instant::now(), counters);
    let measured = meter.measured()?;
    Ok(Forwarded { measured, pinned })
}

/// Sources are told apart by their SSRCs, which count from 0.
fn source_of(packet: &[u8]) -> usize {
    if packet.len() < HEADER { usize::MAX } else { srtp::ssrc(packet) as usize }
}

/// With many receivers one batch takes long; so the meter looks here as well.
fn flush(
    outbox: &mut Outbox,
    socket: &UdpSocket,
    counters: &mut Counters,
    meter: &mut Meter<Counters>,
) -> Result<()> {
    let before = Instant::now();
    outbox.flush(socket)?;
    let after = Instant::now();
    counters.sending += after - before;
    meter.observe(after, *counters);
    Ok(())
}

/// Stops by itself after this, if the load did not say so.
const STOP: Duration = Duration::from_secs(2);
