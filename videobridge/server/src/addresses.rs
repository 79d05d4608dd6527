//! The machine's network addresses, looked at every few seconds, and the public ones in front of them, in; sockets opened and
//! closed on all media threads, and what new sessions are told, out.
//!
//! A laptop changes networks, a lease is renewed, a second line comes up, the provider gives the router another address: the
//! bridge follows, with a wildcard as its media address also to new interfaces. Sessions under way go on with what they have.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use videobridge_core::{Command, LocalAddress};

use crate::config::{Config, Wanted};
use crate::control::Control;
use crate::limits::{ADDRESS_CHECK, ADDRESS_MISSES, MEDIA_ADDRESSES};
use crate::shards::{Order, bind_new};
use crate::stats::Reporter;
use crate::streams::Streams;

/// The addresses in use, and those that seem to be gone. No I/O.
#[derive(Debug)]
pub(crate) struct Watch {
    wanted: Wanted,
    port: u16,
    /// With how often in a row each was missing.
    used: Vec<(SocketAddr, u32)>,
}

/// How the machine's addresses are found out.
pub(crate) struct Machine {
    pub(crate) addresses: Box<dyn Fn() -> Option<Vec<IpAddr>> + Send>,
    pub(crate) every: Duration,
}

/// What has to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Open(SocketAddr),
    Close(SocketAddr),
}

impl Watch {
    /// `used`: where media is received now.
    pub(crate) fn new(wanted: Wanted, used: Vec<SocketAddr>) -> Self {
        let port = used.first().map_or(0, SocketAddr::port);
        Self { wanted, port, used: used.into_iter().map(|a| (a, 0)).collect() }
    }

    /// What `machine`, all its addresses, means. An address counts as used only after [`Watch::opened`].
    pub(crate) fn compare(&mut self, machine: &[IpAddr]) -> Vec<Change> {
        let mut changes = Vec::new();
        // Those that were named stay open: the system may have them back, and can tell us of fewer than can be bound.
        let all = matches!(self.wanted, Wanted::All(_));
        self.used.retain_mut(|(address, missing)| {
            if !all {
                return true;
            }
            *missing = if machine.contains(&address.ip()) { 0 } else { *missing + 1 };
            let stays = *missing < ADDRESS_MISSES;
            if !stays {
                changes.push(Change::Close(*address));
            }
            stays
        });
        let new = machine.iter().filter(|a| self.wanted.has(a)).map(|a| SocketAddr::new(*a, self.port));
        let new = new.filter(|a| self.used.iter().all(|(used, _)| used != a));
        let room = MEDIA_ADDRESSES.saturating_sub(self.used.len());
        changes.extend(new.take(room).map(Change::Open));
        changes
    }

    pub(crate) fn opened(&mut self, address: SocketAddr) {
        self.used.push((address, 0));
    }

    /// Those in use.
    fn used(&self) -> impl Iterator<Item = SocketAddr> {
        self.used.iter().map(|(address, _)| *address)
    }

    /// How many are in use.
    pub(crate) fn len(&self) -> usize {
        self.used.len()
    }
}

impl Machine {
    /// As the system says.
    pub(crate) fn this() -> Self {
        let addresses = || {
            videobridge_udp::interface_addresses()
                .inspect_err(|error| tracing::warn!(%error, "the addresses of this machine are not known"))
                .ok()
        };
        Self { addresses: Box::new(addresses), every: ADDRESS_CHECK }
    }
}

/// Keeps the media threads' sockets, and what clients are told, up to date until told to stop.
pub(crate) async fn follow(
    mut watch: Watch,
    mut config: Config,
    (control, streams, reporter): (Arc<Control>, Arc<Streams>, Arc<Reporter>),
    machine: Machine,
    mut public: watch::Receiver<Vec<SocketAddr>>,
    mut until: watch::Receiver<bool>,
) {
    let mut every = tokio::time::interval(machine.every);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = every.tick() => {}
            Ok(()) = public.changed() => {
                config.public = public.borrow_and_update().clone();
                for socket in watch.used() {
                    let tcp = config.tcp.filter(|ports| streams.listens_at(SocketAddr::new(socket.ip(), ports.own)));
                    let local = LocalAddress { socket, public: config.public_for(socket), tcp };
                    control.broadcast(|| Command::AddAddress(local.clone()));
                }
                continue;
            }
            _ = until.wait_for(|stop| *stop) => return,
        }
        let Some(addresses) = (machine.addresses)() else { continue };
        for change in watch.compare(&addresses) {
            match change {
                Change::Open(address) => {
                    let sockets = match bind_new(address, control.shards(), config.gso) {
                        Ok(sockets) => sockets,
                        Err(error) => {
                            tracing::debug!(kind = ?error.kind(), "a new address can not be used for media yet");
                            continue;
                        }
                    };
                    let mut listeners = Vec::new();
                    let tcp = config.listen_at(address, &mut listeners).unwrap_or_else(|error| {
                        tracing::warn!(%error, "a new address takes no connections for media");
                        None
                    });
                    listeners.into_iter().for_each(|listener| streams.serve(listener));
                    let local = LocalAddress { socket: address, public: config.public_for(address), tcp };
                    control.order_all(sockets.into_iter().map(|s| Order::AddAddress(local.clone(), s)));
                    watch.opened(address);
                    tracing::info!("a new address of this machine is used for media");
                }
                Change::Close(address) => {
                    streams.close(address.ip());
                    service::sockets::forget(false, address);
                    control.order_all((0..control.shards()).map(|_| Order::RemoveAddress(address)));
                    tracing::warn!("an address of this machine is gone and not used for media any more");
                }
            }
        }
        reporter.set_addresses(watch.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Family;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at(text: &str) -> SocketAddr {
        SocketAddr::new(ip(text), 10_000)
    }

    #[test]
    fn new_addresses_are_opened_and_missing_ones_closed_when_they_stay_away() {
        let mut watch = Watch::new(Wanted::All(Family::V4), vec![at("127.0.0.1"), at("192.0.2.1")]);
        assert_eq!(watch.compare(&[ip("127.0.0.1"), ip("192.0.2.1"), ip("2001:db8::1")]), []);
        let machine = [ip("127.0.0.1"), ip("198.51.100.1")];
        assert_eq!(watch.compare(&machine), [Change::Open(at("198.51.100.1"))]);
        // It could not be opened, and is tried again.
        assert_eq!(
            watch.compare(&machine),
            [Change::Close(at("192.0.2.1")), Change::Open(at("198.51.100.1"))],
            "missing twice"
        );
        watch.opened(at("198.51.100.1"));
        assert_eq!((watch.compare(&machine), watch.len()), (vec![], 2));
        // A moment without does not matter.
        assert_eq!(watch.compare(&[]), []);
        assert_eq!(watch.compare(&machine), []);
        assert_eq!(watch.compare(&[]), []);
        assert_eq!(watch.compare(&[]).len(), 2);
        assert_eq!(watch.len(), 0);
        assert_eq!(watch.compare(&machine).len(), 2, "the port is remembered");
    }

    #[test]
    fn an_address_may_be_missing_so_often_and_is_closed_the_next_time() {
        let mut watch = Watch::new(Wanted::All(Family::V4), vec![at("192.0.2.1")]);
        for _ in 1..ADDRESS_MISSES {
            assert_eq!(watch.compare(&[]), []);
        }
        assert_eq!(watch.compare(&[]), [Change::Close(at("192.0.2.1"))]);
    }

    #[test]
    fn a_named_address_that_comes_later_is_opened_and_none_is_closed() {
        let named = Wanted::Named(vec![ip("192.0.2.1"), ip("198.51.100.1")]);
        let mut watch = Watch::new(named, vec![at("192.0.2.1")]);
        assert_eq!(watch.compare(&[ip("192.0.2.1"), ip("203.0.113.1")]), []);
        for _ in 0..2 * ADDRESS_MISSES {
            assert_eq!(watch.compare(&[ip("198.51.100.1")]), [Change::Open(at("198.51.100.1"))]);
        }
        watch.opened(at("198.51.100.1"));
        assert_eq!((watch.compare(&[ip("198.51.100.1")]), watch.len()), (vec![], 2));
    }

    #[test]
    fn addresses_are_bounded() {
        let mut watch = Watch::new(Wanted::All(Family::Both), vec![at("127.0.0.1")]);
        let machine: Vec<_> =
            (0..=MEDIA_ADDRESSES).map(|n| IpAddr::from([127, 0, 0, u8::try_from(n).unwrap() + 1])).collect();
        assert_eq!(watch.compare(&machine).len(), MEDIA_ADDRESSES - 1, "one beyond is left out");
    }
}
