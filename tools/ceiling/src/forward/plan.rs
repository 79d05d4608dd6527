//! The options in; sockets, keys and numbers that both threads need, out.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::socket::SockaddrIn;

use super::Arguments;
use crate::srtp::{HEADER, Key, TAG};
use crate::{thread, udp};

/// What both threads know of each other before the first packet.
pub(super) struct Plan {
    /// Bytes of a packet, before and after encryption.
    pub(super) plain: usize,
    pub(super) protected: usize,
    pub(super) segments: usize,
    pub(super) burst: u64,
    /// Time from one burst to the next; none: as the forwarder takes them.
    pub(super) interval: Option<Duration>,
    /// Packets the source may be ahead of the slowest receiver, without a rate.
    pub(super) ahead: u64,
    /// From each source to the forwarder.
    pub(super) uplinks: Vec<Key>,
    pub(super) forwarder: SockaddrIn,
    /// Of each source.
    pub(super) fan_out: usize,
    /// Those of the first source, of the second …
    pub(super) receivers: Vec<Receiver>,
    /// What a packet holds behind its header.
    pub(super) payload: Vec<u8>,
}

/// One receiver: packets go to its address under its key, SSRC and sequence numbers.
pub(super) struct Receiver {
    pub(super) address: SockaddrIn,
    pub(super) key: Key,
    pub(super) ssrc: u32,
    /// The first extended sequence number; not far from a wrap for some.
    pub(super) first: u64,
}

impl Plan {
    /// Sources take turns, a burst each: how many packets all of them sent before the `number`th of one.
    pub(super) fn sent_before(&self, source: usize, number: u64) -> u64 {
        let (round, rest) = (number / self.burst, number % self.burst);
        (round * self.uplinks.len() as u64 + source as u64) * self.burst + rest
    }
}

/// The ends, in the order of [`Plan::receivers`].
pub(super) struct Sockets {
    pub(super) source: UdpSocket,
    pub(super) forwarder: UdpSocket,
    pub(super) sinks: Vec<UdpSocket>,
}

impl Plan {
    pub(super) fn new(arguments: &Arguments) -> Result<(Self, Sockets)> {
        let plain = usize::from(arguments.size);
        let protected = plain + TAG;
        let segments = usize::from(arguments.segments);
        ensure!(
            segments * protected <= 65_507,
            "a train of {segments} × {protected} bytes is too long for UDP"
        );
        let (senders, fan_out) = (usize::from(arguments.senders), usize::from(arguments.fan_out));
        ensure!(senders * fan_out <= MOST_RECEIVERS, "more than {MOST_RECEIVERS} receivers");
        thread::allow_files(senders * fan_out + 64)?;
        let (forwarder, address) = udp::bind()?;
        let (source, _) = udp::bind()?;
        let mut room = udp::capacity(&forwarder)?;
        let (mut sinks, mut receivers) = (Vec::new(), Vec::new());
        for number in 0..senders * fan_out {
            let (sink, address) = udp::bind()?;
            room = room.min(udp::capacity(&sink)?);
            sinks.push(sink);
            let first = number as u64 * 6553 % 0x1_0000;
            let ssrc = FIRST_RECEIVER + u32::try_from(number)?;
            receivers.push(Receiver { address, key: Key::random()?, ssrc, first });
        }
        let burst = u64::from(arguments.burst);
        // Of each source a burst may be on its way.
        let least = (burst * senders as u64).max(2 * burst).max(2 * segments as u64);
        let plan = Self {
            plain,
            protected,
            segments,
            burst,
            interval: arguments.rate.map(|rate| Duration::from_secs_f64(burst as f64 / f64::from(rate))),
            ahead: room.min(MOST_AHEAD / fan_out as u64).clamp(least, MOST_PACKETS_AHEAD.max(least)),
            uplinks: (0..senders).map(|_| Key::random()).collect::<Result<_>>()?,
            forwarder: address,
            fan_out,
            receivers,
            payload: (HEADER..plain).map(|i| (i * 7) as u8).collect(),
        };
        Ok((plan, Sockets { source, forwarder, sinks }))
    }
}

/// Outgoing packets on their way at most: a few hundredths of a second of the forwarder's time.
const MOST_AHEAD: u64 = 8192;
/// Each has a socket.
const MOST_RECEIVERS: usize = 10_000;
const FIRST_RECEIVER: u32 = 0x1_0000;
/// More work ahead would only fill the caches.
const MOST_PACKETS_AHEAD: u64 = 512;
