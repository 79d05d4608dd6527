//! The options in; sockets, keys and numbers that both threads need out.

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
    /// From the source to the forwarder.
    pub(super) uplink: Key,
    pub(super) forwarder: SockaddrIn,
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
        thread::allow_files(usize::from(arguments.fan_out) + 64)?;
        let (forwarder, address) = udp::bind()?;
        let (source, _) = udp::bind()?;
        let mut room = udp::capacity(&forwarder)?;
        let (mut sinks, mut receivers) = (Vec::new(), Vec::new());
        for number in 0..arguments.fan_out {
            let (sink, address) = udp::bind()?;
            room = room.min(udp::capacity(&sink)?);
            sinks.push(sink);
            let first = u64::from(number) * 6553;
            receivers.push(Receiver {
                address,
                key: Key::random()?,
                ssrc: 0x1000 + u32::from(number),
                first,
            });
        }
        let burst = u64::from(arguments.burst);
        let least = 2 * burst.max(segments as u64);
        let plan = Self {
            plain,
            protected,
            segments,
            burst,
            interval: arguments.rate.map(|rate| Duration::from_secs_f64(burst as f64 / f64::from(rate))),
            ahead: room
                .min(MOST_AHEAD / u64::from(arguments.fan_out))
                .clamp(least, MOST_PACKETS_AHEAD.max(least)),
            uplink: Key::random()?,
            forwarder: address,
            receivers,
            payload: (HEADER..plain).map(|i| (i * 7) as u8).collect(),
        };
        Ok((plan, Sockets { source, forwarder, sinks }))
    }
}

/// Outgoing packets on their way at most: a few hundredths of a second of the forwarder's time.
const MOST_AHEAD: u64 = 8192;
/// More work ahead would only fill the caches.
const MOST_PACKETS_AHEAD: u64 = 512;
