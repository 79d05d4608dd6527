//! One relay: whom it may exchange datagrams with, under which channels, and how much; moments in, yes or no out.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use aws_lc_rs::hmac;
use budget::{Bucket, Network, Rate};

use crate::limits::{
    CHANNEL, CHANNELS, LIFETIME_TOTAL, PERMISSION, PERMISSIONS, RELAY_BURST, RELAY_BYTES, REQUESTS,
};
use crate::route::Client;

/// A relay.
#[derive(Debug)]
pub(crate) struct Allocation {
    pub(crate) client: Client,
    pub(crate) network: Network,
    pub(crate) username: Box<str>,
    pub(crate) key: hmac::Key,
    /// Of the request that made it, which may come again.
    pub(crate) transaction: [u8; 12],
    /// `None`: its socket is being opened.
    pub(crate) relayed: Option<SocketAddr>,
    pub(crate) expires: Instant,
    pub(crate) born: Instant,
    permissions: Vec<(IpAddr, Instant)>,
    channels: Vec<Channel>,
    to_peers: Bucket,
    to_client: Bucket,
    requests: Bucket,
}

#[derive(Debug, Clone, Copy)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    until: Instant,
}

/// Why a channel is not bound.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The number has another peer, or the peer another number.
    Taken,
    /// There are as many as there may be.
    Full,
}

impl Allocation {
    pub(crate) fn new(
        now: Instant,
        client: Client,
        username: Box<str>,
        key: hmac::Key,
        transaction: [u8; 12],
        expires: Instant,
    ) -> Self {
        Self {
            client,
            network: Network::of_peer(client.peer()),
            username,
            key,
            transaction,
            relayed: None,
            expires,
            born: now,
            permissions: Vec::new(),
            channels: Vec::new(),
            to_peers: Bucket::full(),
            to_client: Bucket::full(),
            requests: Bucket::full(),
        }
    }

    /// When it ends whatever the client asks.
    pub(crate) fn last(&self) -> Instant {
        self.born + LIFETIME_TOTAL
    }

    pub(crate) fn may_ask(&mut self, now: Instant) -> bool {
        self.requests.take(&REQUESTS, now, 1)
    }

    pub(crate) fn may_send(&mut self, now: Instant, bytes: usize) -> bool {
        self.to_peers.take(&BYTES, now, amount(bytes))
    }

    pub(crate) fn may_receive(&mut self, now: Instant, bytes: usize) -> bool {
        self.to_client.take(&BYTES, now, amount(bytes))
    }

    pub(crate) fn permits(&self, peer: IpAddr, now: Instant) -> bool {
        self.permissions.iter().any(|(ip, until)| *ip == peer && now < *until)
    }

    /// Permits these addresses, all or none.
    pub(crate) fn permit(&mut self, peers: &[IpAddr], now: Instant) -> bool {
        self.permissions.retain(|(_, until)| now < *until);
        let before = self.permissions.len();
        for peer in peers {
            if self.permissions.iter().any(|(ip, _)| ip == peer) {
                continue;
            }
            if self.permissions.len() >= PERMISSIONS {
                self.permissions.truncate(before);
                return false;
            }
            self.permissions.push((*peer, now + PERMISSION));
        }
        for (_, until) in self.permissions.iter_mut().filter(|(ip, _)| peers.contains(ip)) {
            *until = now + PERMISSION;
        }
        true
    }

    /// Binds a channel, or keeps it for longer; its peer is permitted with it (RFC 8656 §12.2).
    pub(crate) fn bind(&mut self, number: u16, peer: SocketAddr, now: Instant) -> Result<(), Refused> {
        self.channels.retain(|c| now < c.until);
        let until = now + CHANNEL;
        let is = |c: &Channel| (c.number == number, c.peer == peer);
        match self.channels.iter().position(|c| is(c) != (false, false)) {
            Some(at) if self.channels.get(at).is_some_and(|c| is(c) == (true, true)) => {
                if !self.permit(&[peer.ip()], now) {
                    return Err(Refused::Full);
                }
                if let Some(channel) = self.channels.get_mut(at) {
                    channel.until = until;
                }
                Ok(())
            }
            Some(_) => Err(Refused::Taken),
            None if self.channels.len() >= CHANNELS || !self.permit(&[peer.ip()], now) => Err(Refused::Full),
            None => {
                self.channels.push(Channel { number, peer, until });
                Ok(())
            }
        }
    }

    /// The peer of a channel.
    pub(crate) fn peer(&self, number: u16, now: Instant) -> Option<SocketAddr> {
        self.channels.iter().find(|c| c.number == number && now < c.until).map(|c| c.peer)
    }

    /// The channel of a peer.
    pub(crate) fn channel(&self, peer: SocketAddr, now: Instant) -> Option<u16> {
        self.channels.iter().find(|c| c.peer == peer && now < c.until).map(|c| c.number)
    }
}

fn amount(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

const BYTES: Rate = Rate::per_second(RELAY_BURST, RELAY_BYTES);
