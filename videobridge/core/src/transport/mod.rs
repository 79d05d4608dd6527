//! One endpoint's transport: datagrams of one peer in; decrypted media, channel texts and answers out.
//!
//! ```text
//!  STUN ─▶ ice ──path──▶ dtls ──keys──▶ srtp (media in and out)
//!  DTLS ──────────────▶ dtls ──data──▶ sctp ──▶ texts
//! ```

mod again;
pub(crate) mod certificate;
mod crypto;
mod dcep;
mod dtls;
mod ice;
mod path;
mod public_key;
mod restart;
pub(crate) mod sctp;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use budget::{Network, Shares};
use dimpl::Config;
use jitsi_xmpp::Entropy;
use videobridge_srtp::{Receiver, Sender, SrtpError};

pub(crate) use dtls::{DtlsError, Role};
pub(crate) use ice::Consent;
pub(crate) use path::{Carrier, Path};
pub(crate) use restart::Restart;

use crate::config::{LocalAddress, ShardConfig};
use crate::{DatagramSink, limits};
use again::Again;
use dtls::{Dtls, Polled};
use ice::Ice;
use restart::{Agents, Outcome};
use sctp::{Sctp, SctpEvent};

/// Everything between an endpoint and its peer.
#[derive(Debug)]
pub(crate) struct Transport {
    ice: Agents,
    dtls: Dtls,
    sctp: Option<Sctp>,
    srtp: Option<Box<Srtp>>,
    /// Datagrams that may be sent again.
    again: Option<Again>,
    events: VecDeque<TransportEvent>,
    was_up: bool,
    started: bool,
    /// It leads to another bridge.
    is_relay: bool,
    /// Counted among the handshakes under way, for this address.
    share: Option<Network>,
    pub(crate) dtls_connected_at: Option<Instant>,
}

/// What the endpoint has to know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TransportEvent {
    /// Media can flow both ways.
    Up,
    /// The peer does not answer; nothing may be sent.
    Down,
    /// ICE found a path for the first time.
    IceConnected,
    /// A restart found another. `gap`: nothing had come over the old one.
    IceRestarted { gap: bool },
    /// A restart found nobody.
    IceRestartFailed,
    /// No secured connection, and none will come.
    DtlsFailed(DtlsError),
    /// The data channel is open.
    ChannelOpen,
    /// A message on it.
    ChannelText(String),
    /// It is closed.
    ChannelClosed,
}

#[derive(Debug)]
struct Srtp {
    receiver: Receiver,
    sender: Sender,
}

/// What all transports of a shard share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dtls: Arc<Config>,
    /// Where DTLS writes what it has to say.
    pub(crate) scratch: Vec<u8>,
    /// Handshakes under way, by the peers' addresses.
    pub(crate) handshakes: Shares<Network>,
}

impl Shared {
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            dtls: Dtls::shared_config()?,
            scratch: vec![0; 2048],
            handshakes: Shares::new(limits::MAX_HANDSHAKES_PER_ADDRESS, limits::MAX_HANDSHAKES),
        })
    }
}

/// Who opens the data channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChannelSide {
    /// We do.
    Opens,
    /// The peer does.
    Waits,
}

/// What a STUN message was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stun {
    /// From the peer: its address may be bound.
    Authentic,
    Refused,
}

impl Transport {
    /// A transport that waits for its peer. `sctp` = a data channel is wanted.
    pub(crate) fn new(
        now: Instant,
        config: &ShardConfig,
        shared: &Shared,
        controlling: bool,
        sctp: bool,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let sctp = sctp.then_some(ChannelSide::Waits);
        let addresses = &config.addresses;
        let this = Self::relay(now, config, addresses, shared, controlling, sctp, entropy);
        Self { is_relay: false, ..this }
    }

    /// The same to another bridge, which may be over sockets of its own.
    pub(crate) fn relay(
        now: Instant,
        config: &ShardConfig,
        addresses: &[LocalAddress],
        shared: &Shared,
        controlling: bool,
        sctp: Option<ChannelSide>,
        entropy: &mut dyn Entropy,
    ) -> Self {
        Self {
            ice: Agents::new(
                Ice::new(now, config.index, sockets(addresses), controlling, entropy),
                controlling,
            ),
            dtls: Dtls::new(shared.dtls.clone(), config.certificate.clone()),
            sctp: sctp.map(|side| match side {
                ChannelSide::Opens => Sctp::client(),
                ChannelSide::Waits => Sctp::new(),
            }),
            srtp: None,
            again: None,
            events: VecDeque::new(),
            was_up: false,
            started: false,
            is_relay: true,
            share: None,
            dtls_connected_at: None,
        }
    }

    /// Our `ufrag` and `pwd`.
    pub(crate) fn local_credentials(&self) -> (&str, &str) {
        self.ice.current().local_credentials()
    }

    /// See [`Agents::restart`].
    pub(crate) fn restart_ice(
        &mut self,
        now: Instant,
        config: &ShardConfig,
        entropy: &mut dyn Entropy,
    ) -> Restart {
        self.ice.restart(now, config.index, sockets(&config.addresses), entropy)
    }

    /// Our `ufrag` and `pwd` of the restart under way.
    pub(crate) fn restart_credentials(&self) -> Option<(&str, &str)> {
        self.ice.offered()
    }

    /// See [`Agents::answer`].
    pub(crate) fn answer_restart(&mut self, now: Instant, generation: u32, ufrag: &str, pwd: &str) -> bool {
        self.ice.answer(now, generation, ufrag, pwd)
    }

    /// See [`Agents::add_restart_candidate`].
    pub(crate) fn add_restart_candidate(
        &mut self,
        now: Instant,
        generation: u32,
        ip: &str,
        port: u16,
    ) -> bool {
        self.ice.add_restart_candidate(now, generation, ip, port)
    }

    /// Whether an ICE restart is under way.
    pub(crate) fn is_restarting(&self) -> bool {
        self.ice.is_restarting()
    }

    /// See [`Agents::ufrags`].
    pub(crate) fn ufrags(&self) -> impl Iterator<Item = &str> {
        self.ice.ufrags()
    }

    /// See [`Agents::take_retired`].
    pub(crate) fn take_retired(&mut self) -> impl Iterator<Item = String> + use<> {
        self.ice.take_retired().into_iter()
    }

    /// See [`Ice::set_remote_credentials`].
    pub(crate) fn set_remote_credentials(&mut self, now: Instant, ufrag: &str, pwd: &str) -> bool {
        self.ice.current_mut().set_remote_credentials(now, ufrag, pwd)
    }

    /// See [`Ice::add_remote_candidate`].
    pub(crate) fn add_remote_candidate(&mut self, now: Instant, ip: &str, port: u16) -> bool {
        self.ice.current_mut().add_remote_candidate(now, ip, port)
    }

    /// See [`Dtls::add_fingerprint`].
    pub(crate) fn add_fingerprint(&mut self, hash: &str, digest: &str) {
        self.dtls.add_fingerprint(hash, digest);
    }

    /// See [`Dtls::set_role`].
    pub(crate) fn set_role(&mut self, role: Role) {
        self.dtls.set_role(role);
    }

    /// See [`Dtls::failed_unsaid`].
    pub(crate) fn dtls_failed_unsaid(&self, now: Instant) -> bool {
        self.dtls.failed_unsaid(now)
    }

    /// Our DTLS role, once decided.
    pub(crate) fn role(&self) -> Option<Role> {
        self.dtls.role()
    }

    /// Of the certificate that this peer is shown.
    pub(crate) fn own_fingerprint(&self) -> &str {
        self.dtls.own_fingerprint()
    }

    /// Whether a data channel was asked for.
    pub(crate) fn has_sctp(&self) -> bool {
        self.sctp.is_some()
    }

    /// Whether the data channel is open.
    pub(crate) fn is_channel_open(&self) -> bool {
        self.sctp.as_ref().is_some_and(Sctp::is_open)
    }

    /// Whether the data channel takes a message at once.
    pub(crate) fn has_channel_room(&mut self) -> bool {
        self.sctp.as_mut().is_some_and(Sctp::has_room)
    }

    /// Channels refused because there was one already.
    pub(crate) fn rejected_channels(&self) -> u64 {
        self.sctp.as_ref().map_or(0, |s| s.rejected_channels)
    }

    /// Whether the peer has ever answered, and still does.
    pub(crate) fn consent(&self) -> Consent {
        self.ice.current().consent()
    }

    /// Where media goes; see [`Ice::selected`].
    pub(crate) fn selected(&self) -> Option<Path> {
        self.ice.current().selected()
    }

    /// Whether [`Transport::poll_event`] has something.
    pub(crate) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// When the peer last answered.
    pub(crate) fn last_consent(&self) -> Option<Instant> {
        self.ice.current().last_consent()
    }

    /// Round-trip time of the last check.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.ice.current().rtt()
    }

    /// A STUN message. Pump afterwards.
    pub(crate) fn handle_stun(&mut self, now: Instant, path: Path, datagram: &[u8], known: bool) -> Stun {
        if self.ice.handle_packet(now, path, datagram, known) { Stun::Authentic } else { Stun::Refused }
    }

    /// See [`Ice::heard`].
    pub(crate) fn heard(&mut self, now: Instant, path: Path) -> bool {
        self.ice.heard(now, path)
    }

    /// A DTLS datagram from a bound address. Pump afterwards. Returns false when it was dropped.
    pub(crate) fn handle_dtls(&mut self, now: Instant, datagram: &[u8]) -> bool {
        self.dtls.handle_datagram(now, datagram)
    }

    /// Decrypts an SRTP packet in place; `None`: there are no keys yet.
    pub(crate) fn unprotect_rtp<'a>(
        &mut self,
        packet: &'a mut [u8],
    ) -> Option<Result<&'a mut [u8], SrtpError>> {
        let srtp = self.srtp.as_mut()?;
        Some(
            srtp.receiver
                .unprotect_rtp(packet)
                .and_then(|len| packet.get_mut(..len).ok_or(SrtpError::Malformed)),
        )
    }

    /// Decrypts an SRTCP packet in place; `None`: there are no keys yet.
    pub(crate) fn unprotect_rtcp<'a>(
        &mut self,
        packet: &'a mut [u8],
    ) -> Option<Result<&'a mut [u8], SrtpError>> {
        let srtp = self.srtp.as_mut()?;
        Some(
            srtp.receiver
                .unprotect_rtcp(packet)
                .and_then(|len| packet.get_mut(..len).ok_or(SrtpError::Malformed)),
        )
    }

    /// Sends one RTP packet: copied and encrypted straight into the place it is sent from. With `keep` it is kept as the one with this
    /// number, to be sent again; over a connection nothing is lost. Returns the bytes sent, 0 when it was dropped.
    pub(crate) fn send_rtp(
        &mut self,
        out: &mut dyn DatagramSink,
        keep: Option<u32>,
        parts: [&[u8]; 3],
    ) -> usize {
        let (Some(path), Some(srtp)) = (self.sendable(), self.srtp.as_mut()) else { return 0 };
        let (again, keep) = (&mut self.again, keep.filter(|_| path.carrier == Carrier::Udp));
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let mut sent = 0;
        path.send(out, len + srtp.sender.profile().tag_len(), &mut |buf| {
            sent = copy(buf, parts).and_then(|len| srtp.sender.protect_rtp(buf, len).ok()).unwrap_or(0);
            if let (Some(nth), Some(datagram)) = (keep, buf.get(..sent)) {
                again.get_or_insert_with(Again::new).keep(nth, datagram);
            }
            sent
        });
        sent
    }

    /// Sends the `nth` again as it was. Returns the bytes sent, 0 when it is not there any more.
    pub(crate) fn send_again(&mut self, out: &mut dyn DatagramSink, nth: u32) -> usize {
        let Some(path) = self.sendable().filter(|path| path.carrier == Carrier::Udp) else { return 0 };
        let Some(datagram) = self.again.as_ref().and_then(|again| again.get(nth)) else { return 0 };
        let mut sent = 0;
        path.send(out, datagram.len(), &mut |buf| {
            sent = copy(buf, [datagram]).unwrap_or(0);
            sent
        });
        sent
    }

    /// Nothing is sent again any more.
    pub(crate) fn forget_sent(&mut self) {
        self.again = None;
    }

    /// Sends one compound RTCP packet. Returns the bytes sent, 0 when it was dropped.
    pub(crate) fn send_rtcp(&mut self, out: &mut dyn DatagramSink, compound: &[u8]) -> usize {
        let (Some(path), Some(srtp)) = (self.sendable(), self.srtp.as_mut()) else { return 0 };
        let max_len = compound.len() + srtp.sender.profile().rtcp_overhead();
        let mut sent = 0;
        path.send(out, max_len, &mut |buf| {
            sent = copy(buf, [compound]).and_then(|len| srtp.sender.protect_rtcp(buf, len).ok()).unwrap_or(0);
            sent
        });
        sent
    }

    /// Queues a text for the data channel. Pump afterwards. Returns false when it was dropped.
    pub(crate) fn send_text(&mut self, text: &str) -> bool {
        self.sctp.as_mut().is_some_and(|s| s.send(text))
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.ice.handle_timeout(now);
        self.dtls.handle_timeout(now);
        if let Some(sctp) = &mut self.sctp {
            sctp.handle_timeout(now);
        }
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        let sctp = self.sctp.as_ref().and_then(Sctp::poll_timeout);
        [self.ice.poll_timeout(), self.dtls.poll_timeout(), sctp].into_iter().flatten().min()
    }

    pub(crate) fn poll_event(&mut self) -> Option<TransportEvent> {
        self.events.pop_front()
    }

    /// Moves everything that is ready between the layers and to `out`. `checks` is told the ids of own checks, by
    /// which an answer from an unknown address is recognised.
    pub(crate) fn pump(
        &mut self,
        now: Instant,
        shared: &mut Shared,
        out: &mut dyn DatagramSink,
        checks: &mut dyn FnMut(Path, &[u8]),
    ) {
        while let Some((path, message)) = self.ice.poll_transmit() {
            checks(path, &message);
            send_copy(out, path, &message);
        }
        if let Some(path) = self.ice.current().selected() {
            if !self.started {
                self.started = true;
                self.events.push_back(TransportEvent::IceConnected);
            }
            if self.dtls.is_ready() && self.take_share(path, shared) {
                self.dtls.start_if_ready(now);
            }
            self.pump_dtls(now, path, &mut shared.scratch, out);
            if !self.dtls.is_handshaking() {
                self.give_back(shared);
            }
        }
        match self.ice.take_outcome() {
            Some(Outcome::Restarted { gap }) => self.events.push_back(TransportEvent::IceRestarted { gap }),
            Some(Outcome::Failed) => self.events.push_back(TransportEvent::IceRestartFailed),
            None => {}
        }
        let up = self.srtp.is_some() && self.ice.current().consent() == Consent::Given;
        if up != self.was_up {
            self.was_up = up;
            self.events.push_back(if up { TransportEvent::Up } else { TransportEvent::Down });
        }
    }

    /// Ends the connection politely.
    pub(crate) fn close(&mut self, now: Instant, shared: &mut Shared, out: &mut dyn DatagramSink) {
        self.give_back(shared);
        self.dtls.close();
        if let Some(path) = self.sendable() {
            while let Polled::Datagram(d) = self.dtls.poll(now, &mut shared.scratch) {
                send_copy(out, path, d);
            }
        }
    }

    /// Its handshake is over, one way or the other.
    pub(crate) fn give_back(&mut self, shared: &mut Shared) {
        if let Some(network) = self.share.take() {
            shared.handshakes.give_back(&network, 1);
        }
    }

    /// Whether a handshake may begin now. If not, the next check asks again.
    fn take_share(&mut self, path: Path, shared: &mut Shared) -> bool {
        let network = Network::of(path.remote.ip());
        let taken = shared.handshakes.take(network, 1).is_ok();
        if taken {
            self.share = Some(network);
        }
        taken
    }

    /// Where media may go now.
    fn sendable(&self) -> Option<Path> {
        if self.ice.current().consent() == Consent::Given { self.ice.current().selected() } else { None }
    }

    fn pump_dtls(&mut self, now: Instant, path: Path, scratch: &mut Vec<u8>, out: &mut dyn DatagramSink) {
        loop {
            self.drain_dtls(now, path, scratch, out);
            let packets = match &mut self.sctp {
                Some(sctp) if self.dtls_connected_at.is_some() => sctp.poll_transmit(now),
                _ => None,
            };
            let Some(packets) = packets else { break };
            for packet in packets {
                // The engine's queue is short and overflowing it is fatal, so it is emptied after each packet.
                if self.dtls.send(now, &packet) {
                    self.drain_dtls(now, path, scratch, out);
                }
            }
        }
        while let Some(event) = self.sctp.as_mut().and_then(Sctp::poll_event) {
            self.events.push_back(match event {
                SctpEvent::Opened => TransportEvent::ChannelOpen,
                SctpEvent::Text(text) => TransportEvent::ChannelText(text),
                SctpEvent::Closed => TransportEvent::ChannelClosed,
            });
        }
    }

    fn drain_dtls(&mut self, now: Instant, path: Path, scratch: &mut Vec<u8>, out: &mut dyn DatagramSink) {
        loop {
            match self.dtls.poll(now, scratch) {
                Polled::Datagram(datagram) => send_copy(out, path, datagram),
                Polled::Data(packet) => {
                    if let Some(sctp) = &mut self.sctp {
                        sctp.handle_packet(now, packet);
                    }
                }
                Polled::Keys(keys) => match keys.split() {
                    Ok((sender, receiver)) if self.is_relay => {
                        let (sender, receiver) = (sender.relayed(), receiver.relayed());
                        self.srtp = Some(Box::new(Srtp { receiver, sender }));
                    }
                    Ok((sender, receiver)) => self.srtp = Some(Box::new(Srtp { receiver, sender })),
                    Err(_) => self.events.push_back(TransportEvent::DtlsFailed(DtlsError::NoProfile)),
                },
                Polled::Connected => {
                    self.dtls_connected_at = Some(now);
                    if let Some(sctp) = &mut self.sctp {
                        sctp.connect();
                    }
                }
                Polled::Failed(error) => {
                    self.srtp = None;
                    self.events.push_back(TransportEvent::DtlsFailed(error));
                }
                Polled::Closed => {
                    if self.is_channel_open() {
                        self.events.push_back(TransportEvent::ChannelClosed);
                    }
                    self.sctp = None;
                }
                Polled::Idle => return,
            }
        }
    }
}

/// What peers can reach us at.
fn sockets(addresses: &[LocalAddress]) -> impl Iterator<Item = (Carrier, SocketAddr)> {
    let udp = addresses.iter().map(|a| (Carrier::Udp, a.socket));
    let tcp = addresses.iter().filter_map(|a| Some((Carrier::Tcp, a.tcp_socket()?)));
    udp.chain(tcp)
}

/// Writes `parts` one after the other; `None` when they do not fit.
fn copy<const N: usize>(buf: &mut [u8], parts: [&[u8]; N]) -> Option<usize> {
    let mut at = 0;
    // Most packets have two of three parts, and copying nothing is a call, too.
    for part in &parts {
        if part.is_empty() {
            continue;
        }
        buf.get_mut(at..at + part.len())?.copy_from_slice(part);
        at += part.len();
    }
    Some(at)
}

fn send_copy(out: &mut dyn DatagramSink, path: Path, datagram: &[u8]) {
    path.send(out, datagram.len(), &mut |buf| copy(buf, [datagram]).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use jitsi_xmpp::entropy::SeededEntropy;

    use super::*;
    use crate::config::LocalAddress;
    use certificate::Certificate;

    #[test]
    fn handshakes_under_way_have_a_limit_for_one_address_and_for_all() {
        let config = ShardConfig::new(
            vec![LocalAddress::new("127.0.0.1:10000".parse().unwrap())],
            Certificate::generate().unwrap(),
        );
        let mut shared = Shared::new().unwrap();
        let transport = |shared: &Shared| {
            Transport::new(Instant::now(), &config, shared, true, false, &mut SeededEntropy::new(1))
        };
        let path = |n: u8| Path::udp("127.0.0.1:10000".parse().unwrap(), ([192, 0, 2, n], 1000).into());
        let mut begun: Vec<_> = Vec::new();
        let mut begin = |shared: &mut Shared, n: u8| {
            let mut t = transport(shared);
            let taken = t.take_share(path(n), shared);
            begun.extend(taken.then_some(t));
            taken
        };
        assert!(
            (0..limits::MAX_HANDSHAKES_PER_ADDRESS).all(|_| begin(&mut shared, 1)),
            "at the limit of one"
        );
        assert!(!begin(&mut shared, 1), "one beyond");
        let left = limits::MAX_HANDSHAKES - limits::MAX_HANDSHAKES_PER_ADDRESS;
        assert!((0..left).all(|_| begin(&mut shared, 2)), "at the limit of all");
        assert!(!begin(&mut shared, 3), "one beyond");
        begun.first_mut().unwrap().give_back(&mut shared);
        begun.first_mut().unwrap().give_back(&mut shared);
        assert_eq!(shared.handshakes.held(), limits::MAX_HANDSHAKES - 1, "given back once");
    }
}
