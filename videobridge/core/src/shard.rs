//! The owner of its conferences: datagrams, commands and time in; everything else hangs below.
//!
//! [`Shard`] is one state machine; its `impl` is in eight files, to be read in this order:
//!
//! | file | input | what it does |
//! |---|---|---|
//! | `shard.rs` | datagrams, commands, time | finds out what it is about, and passes it on |
//! | `colibri2.rs`, `colibri2/describe.rs` | requests of the focus | makes and changes conferences and endpoints; the answer |
//! | `colibri2/relay.rs` | the part of requests about other bridges | makes and changes relays and who is behind them |
//! | `channel.rs` | bridge channels that open, speak, close | what clients say to the bridge and to each other |
//! | `relay_channel.rs` | what other bridges say | what they and their people say to those here |
//! | `parts/` | packets and news of other shards | the same for conferences that are on several shards |
//! | `expiry.rs` | time, faults | who has to go, who is not reachable |
//! | `stats.rs` | a question for numbers | the answer |
//!
//! What they all send goes through `outlet.rs`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use hashbrown::HashMap;
use jitsi_xmpp::Entropy;
use jitsi_xmpp::ids::MeetingId;
use slab::Slab;
use videobridge_srtp::SrtpError;

use crate::addresses::Addresses;
use crate::command::{Command, ConferenceKey, DatagramSink, Event, SocketId};
use crate::conference::Conference;
use crate::config::ShardConfig;
use crate::counters::{Counters, Discard};
use crate::demux::{self, Kind};
use crate::endpoint::Channel;
use crate::media::{EndpointKey, ExportKey};
use crate::outlet::{Endpoints, Outlet};
use crate::timers::{Armed, Timer, Timers};
use crate::transport::{Path, Shared, Stun, TransportEvent};
use crate::{debug, limits, stats};

/// A part of the bridge with its own conferences, driven by one thread. See the crate documentation.
pub struct Shard {
    pub(crate) config: ShardConfig,
    pub(crate) entropy: Box<dyn Entropy>,
    pub(crate) conferences: Slab<Conference>,
    pub(crate) by_meeting: HashMap<MeetingId, ConferenceKey, foldhash::quality::RandomState>,
    pub(crate) by_id: HashMap<String, ConferenceKey, foldhash::quality::RandomState>,
    pub(crate) sockets: HashMap<SocketId, EndpointKey, foldhash::quality::RandomState>,
    pub(crate) endpoints: Endpoints,
    /// Services outside, and what they hear.
    pub(crate) services: HashMap<ExportKey, ConferenceKey, foldhash::quality::RandomState>,
    pub(crate) last_service: u64,
    pub(crate) refuse_new: bool,
    /// Sockets for relays that come.
    pub(crate) spare_sockets: VecDeque<Vec<SocketAddr>>,
    pub(crate) expiry: Armed,
    pub(crate) connectivity: Armed,
    /// The conference the present call is about; see [`Shard::recover`].
    pub(crate) at_work: Option<ConferenceKey>,
    /// What the media of conferences that are gone had counted.
    pub(crate) past_media: crate::media::Counters,
    /// The last part of a conference that began on another shard.
    pub(crate) last_part: u64,
    /// See [`Shard::set_loads`].
    pub(crate) loads: Vec<u32>,
}

/// Whether a datagram was for this shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It was used, or dropped and counted.
    Taken,
    /// Its address or user name is not known here. It was counted as dropped.
    Unknown,
}

/// A shard could not start. Blame: the machine or the configuration. Consequence: the process must not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// No media socket was configured.
    #[error("no media address")]
    NoAddress,
    /// The index does not fit the ids it becomes part of.
    #[error("shard index is too large")]
    Index,
    /// The crypto library does not work.
    #[error("DTLS is not available")]
    Dtls,
}

impl Shard {
    /// An empty shard.
    ///
    /// # Errors
    /// See [`ShardError`].
    pub fn new(mut config: ShardConfig, entropy: Box<dyn Entropy>) -> Result<Self, ShardError> {
        config.media.relay_id = config.relay_id.clone().unwrap_or_default();
        if config.addresses.is_empty() {
            return Err(ShardError::NoAddress);
        }
        if config.index > 1023 {
            return Err(ShardError::Index);
        }
        let shared = Shared::new().ok_or(ShardError::Dtls)?;
        let endpoints = Endpoints {
            slab: Slab::new(),
            addresses: Addresses::default(),
            timers: Timers::new(),
            events: Default::default(),
            counters: Counters::default(),
            shared,
            dirty: Vec::new(),
            report_addresses: config.report_addresses,
            ways: Default::default(),
        };
        Ok(Self {
            config,
            entropy,
            conferences: Slab::new(),
            by_meeting: HashMap::default(),
            by_id: HashMap::default(),
            sockets: HashMap::default(),
            endpoints,
            services: HashMap::default(),
            last_service: 0,
            refuse_new: false,
            spare_sockets: VecDeque::new(),
            expiry: Armed::default(),
            connectivity: Armed::default(),
            at_work: None,
            past_media: Default::default(),
            last_part: 0,
            loads: Vec::new(),
        })
    }

    /// A datagram from `src` that arrived at our `local`. Media is decrypted in place.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        src: SocketAddr,
        local: SocketAddr,
        data: &mut [u8],
        out: &mut dyn DatagramSink,
    ) -> Disposition {
        self.handle_packet(now, Path::udp(local, src), data, out)
    }

    /// A packet that came over the TCP connection from `src` to our `local`, without the length before it.
    pub fn handle_framed(
        &mut self,
        now: Instant,
        src: SocketAddr,
        local: SocketAddr,
        data: &mut [u8],
        out: &mut dyn DatagramSink,
    ) -> Disposition {
        self.handle_packet(now, Path::tcp(local, src), data, out)
    }

    /// Whether a peer has shown over the TCP connection from `src` to our `local` that it is an endpoint's.
    pub fn has_connection(&self, src: SocketAddr, local: SocketAddr) -> bool {
        self.endpoints.addresses.owner(Path::tcp(local, src)).is_some()
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        path: Path,
        data: &mut [u8],
        out: &mut dyn DatagramSink,
    ) -> Disposition {
        self.at_work = None;
        let counters = &mut self.endpoints.counters;
        counters.packets_received += 1;
        counters.bytes_received += data.len() as u64;
        if data.len() > limits::MAX_DATAGRAM {
            counters.discard(Discard::Oversized);
            return Disposition::Taken;
        }
        let result = match demux::classify(data) {
            Some(kind @ (Kind::Rtp | Kind::Rtcp)) => self.srtp(now, path, kind, data, out),
            Some(Kind::Stun) => self.stun(now, path, data, out),
            Some(Kind::Dtls) => self.dtls(now, path, data, out),
            None => Err(Discard::UnknownProtocol),
        };
        if !self.endpoints.dirty.is_empty() {
            self.settle(now, out);
        }
        match result {
            Ok(()) => Disposition::Taken,
            Err(reason) => {
                self.endpoints.counters.discard(reason);
                if matches!(reason, Discard::UnknownUfrag | Discard::UnknownAddress) {
                    return Disposition::Unknown;
                }
                Disposition::Taken
            }
        }
    }

    /// A request of the shell.
    pub fn handle_command(&mut self, now: Instant, command: Command, out: &mut dyn DatagramSink) {
        self.at_work = None;
        self.start_timers(now);
        match command {
            Command::Colibri2 { request, modify } => {
                let result = self.modify_conference(now, request, &modify, out);
                // Or another shard answers.
                if let Some(result) = result.transpose() {
                    let result = result.map(Box::new).map_err(Box::new);
                    self.endpoints.event(Event::Colibri2Reply { request, result });
                }
            }
            Command::AddRelaySockets(sockets) => {
                if self.spare_sockets.len() < limits::SPARE_SOCKETS && !sockets.is_empty() {
                    self.spare_sockets.push_back(sockets);
                } else {
                    self.endpoints.event(Event::RelaySocketsReleased(sockets));
                }
            }
            Command::WebSocketOpen { socket, conference, endpoint, password } => {
                self.open_web_socket(now, socket, &conference, &endpoint, password.reveal(), out);
            }
            Command::WebSocketText { socket, text } => {
                if let Some(key) = self.sockets.get(&socket).copied() {
                    self.endpoints.counters.web_socket_messages_received += 1;
                    self.channel_text(now, key, Channel::WebSocket(socket), &text, out);
                }
            }
            Command::Transcription { service, result } => self.tell_transcription(now, service, result, out),
            Command::WebSocketClosed { socket } => self.web_socket_closed(now, socket, out),
            Command::RefuseNewConferences(refuse) => self.refuse_new = refuse,
            Command::LimitLastN(last_n) => self.limit_last_n(now, last_n, out),
            Command::ExpireConference(meeting) => {
                if let Some(key) = self.by_meeting.get(&meeting).copied() {
                    self.expire_conference(now, key, out);
                }
            }
            Command::AddAddress(address) => {
                let all = &mut self.config.addresses;
                if let Some(known) = all.iter_mut().find(|a| a.socket == address.socket) {
                    *known = address;
                } else if all.len() < limits::MAX_LOCAL_ADDRESSES {
                    all.push(address);
                }
            }
            Command::RenewCertificate(certificate) => self.config.certificate = certificate,
            Command::RemoveAddress(address) => self.config.addresses.retain(|a| a.socket != address),
            Command::Stats { request } => {
                let stats = Box::new(stats::collect(self, now));
                self.endpoints.event(Event::Stats { request, stats });
            }
            Command::Debug { request, asked } => {
                let conferences = Box::new(debug::collect(self, now, &asked));
                self.endpoints.event(Event::Debug { request, conferences });
            }
            Command::Shutdown => {
                let all = self.conferences.iter().filter_map(|(key, _)| u32::try_from(key).ok());
                let all: Vec<_> = all.map(ConferenceKey).collect();
                for key in all {
                    self.expire_conference(now, key, out);
                }
                self.refuse_new = true;
            }
        }
        self.settle(now, out);
    }

    /// Time has come for something; see [`Shard::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant, out: &mut dyn DatagramSink) {
        self.endpoints.timers.begin(now);
        self.start_timers(now);
        while let Some((at, timer)) = self.endpoints.timers.due(now) {
            self.at_work = None;
            match timer {
                Timer::Endpoint(key) => {
                    if self.endpoints.get_mut(key).is_some_and(|e| e.armed.fired(at)) {
                        if let Some(endpoint) = self.endpoints.get_mut(key) {
                            self.at_work = Some(endpoint.conference);
                            endpoint.transport.handle_timeout(now);
                        }
                        self.endpoints.pump(now, key, out);
                    }
                }
                Timer::Conference(key) => {
                    let Some(conference) = self.conferences.get_mut(key.0 as usize) else { continue };
                    if conference.armed.fired(at) {
                        self.at_work = Some(key);
                        let mut outlet = outlet(now, &mut self.endpoints, out);
                        conference.media.handle_timeout(now, &mut outlet);
                        self.arm_conference(key);
                    }
                }
                Timer::Connectivity => {
                    if self.connectivity.fired(at) {
                        let next = Some(now + limits::CONNECTIVITY_INTERVAL);
                        self.endpoints.timers.arm(timer, &mut self.connectivity, next);
                        self.check_connectivity(now, out);
                    }
                }
                Timer::Expiry => {
                    if self.expiry.fired(at) {
                        let next = Some(now + limits::EXPIRY_CHECK_INTERVAL);
                        self.endpoints.timers.arm(timer, &mut self.expiry, next);
                        self.check_expiry(now, out);
                    }
                }
            }
            self.settle(now, out);
        }
        // Timers of those who are gone fire for nobody; when there are too many of them they go, too.
        if self.endpoints.timers.is_bloated(2 + self.endpoints.slab.len() + self.conferences.len()) {
            self.rearm_all(now);
        }
    }

    /// When [`Shard::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.endpoints.timers.next()
    }

    /// What the shell has to be told or to do.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.endpoints.events.pop_front()
    }

    /// Conferences and endpoints at present.
    pub fn load(&self) -> (usize, usize) {
        (self.conferences.len(), self.endpoints.slab.len())
    }

    /// Whether nothing is left of any conference: no endpoint, no address, no name, no socket.
    pub fn is_empty(&self) -> bool {
        self.load() == (0, 0)
            && self.endpoints.addresses.is_empty()
            && self.by_meeting.is_empty()
            && self.by_id.is_empty()
            && self.sockets.is_empty()
            && self.services.is_empty()
            && self.endpoints.ways.is_empty()
    }

    /// Totals outside the media part.
    pub fn counters(&self) -> &Counters {
        &self.endpoints.counters
    }

    /// Media of either kind: decrypted in place, then for its conference.
    fn srtp(
        &mut self,
        now: Instant,
        path: Path,
        kind: Kind,
        data: &mut [u8],
        out: &mut dyn DatagramSink,
    ) -> Result<(), Discard> {
        let key = self.endpoints.addresses.owner(path).ok_or(Discard::UnknownAddress)?;
        let endpoint = self.endpoints.get_mut(key).ok_or(Discard::UnknownAddress)?;
        let conference_key = endpoint.conference;
        self.at_work = Some(conference_key);
        let is_rtcp = kind == Kind::Rtcp;
        let transport = &mut endpoint.transport;
        let plain = if is_rtcp { transport.unprotect_rtcp(data) } else { transport.unprotect_rtp(data) };
        let plain = plain.ok_or(Discard::NoKeys)?.map_err(srtp_drop)?;
        endpoint.last_packet = Some(now);
        if endpoint.is_relay() {
            self.endpoints.counters.relay_packets_received += 1;
            self.endpoints.counters.relay_bytes_received += plain.len() as u64;
        }
        let endpoint = self.endpoints.get_mut(key).ok_or(Discard::UnknownAddress)?;
        let followed = endpoint.transport.heard(now, path);
        self.endpoints.counters.paths_followed += u64::from(followed);
        let conference =
            self.conferences.get_mut(conference_key.0 as usize).ok_or(Discard::UnknownAddress)?;
        let mut outlet = outlet(now, &mut self.endpoints, out);
        if is_rtcp {
            conference.media.handle_rtcp(now, key, plain, &mut outlet);
        } else {
            conference.media.handle_rtp(now, key, plain, &mut outlet);
        }
        if followed {
            conference.media.handle_path_change(now, key, &mut outlet);
        }
        self.arm_conference(conference_key);
        Ok(())
    }

    fn dtls(
        &mut self,
        now: Instant,
        path: Path,
        data: &[u8],
        out: &mut dyn DatagramSink,
    ) -> Result<(), Discard> {
        let key = self.endpoints.addresses.owner(path).ok_or(Discard::UnknownAddress)?;
        let endpoint = self.endpoints.get_mut(key).ok_or(Discard::UnknownAddress)?;
        self.at_work = Some(endpoint.conference);
        let taken = endpoint.transport.handle_dtls(now, data);
        self.endpoints.pump(now, key, out);
        if taken { Ok(()) } else { Err(Discard::Dtls) }
    }

    /// STUN goes by user name, answers by the check they answer, so that a forged address changes nothing.
    fn stun(
        &mut self,
        now: Instant,
        path: Path,
        data: &[u8],
        out: &mut dyn DatagramSink,
    ) -> Result<(), Discard> {
        let addresses = &self.endpoints.addresses;
        let (key, proof) = match demux::peek_stun(data).ok_or(Discard::MalformedStun)? {
            demux::Stun::Request { local_ufrag } => (addresses.ufrag_owner(local_ufrag), false),
            demux::Stun::Response { transaction } => match addresses.check(&transaction) {
                // RFC 8445 §7.2.5.2.1: an answer from elsewhere than was asked proves nothing.
                Some((_, asked)) if asked != path => return Err(Discard::RefusedStun),
                Some((key, _)) => (Some(key), true),
                None => (addresses.owner(path), true),
            },
            // Indications only keep NAT bindings open.
            demux::Stun::Other => return Ok(()),
        };
        let key = key.ok_or(Discard::UnknownUfrag)?;
        let known = addresses.owner(path) == Some(key);
        let endpoint = self.endpoints.get_mut(key).ok_or(Discard::UnknownUfrag)?;
        self.at_work = Some(endpoint.conference);
        if endpoint.transport.handle_stun(now, path, data, known) == Stun::Refused {
            return Err(Discard::RefusedStun);
        }
        if !known {
            self.endpoints.bind(key, path, proof);
        }
        self.endpoints.pump(now, key, out);
        Ok(())
    }

    /// Tells conferences what happened to the transports of their endpoints.
    pub(crate) fn settle(&mut self, now: Instant, out: &mut dyn DatagramSink) {
        while let Some(key) = self.endpoints.dirty.pop() {
            if let Some(endpoint) = self.endpoints.get_mut(key) {
                endpoint.is_dirty = false;
                self.at_work = Some(endpoint.conference);
            }
            while let Some(endpoint) = self.endpoints.get_mut(key)
                && let Some(event) = endpoint.transport.poll_event()
            {
                self.transport_event(now, key, event, out);
            }
        }
    }

    fn transport_event(
        &mut self,
        now: Instant,
        key: EndpointKey,
        event: TransportEvent,
        out: &mut dyn DatagramSink,
    ) {
        let is_relay = self.endpoints.get(key).is_some_and(|e| e.is_relay());
        let counters = &mut self.endpoints.counters;
        match event {
            TransportEvent::IceConnected => counters.ice_succeeded += 1,
            TransportEvent::IceRestarted { gap } => {
                counters.ice_restarts_succeeded += 1;
                if gap {
                    self.path_changed(now, key, out);
                }
            }
            TransportEvent::IceRestartFailed => counters.ice_restarts_failed += 1,
            TransportEvent::Up => self.transport_up(now, key, true, out),
            TransportEvent::Down => self.transport_up(now, key, false, out),
            TransportEvent::DtlsFailed(error) => {
                counters.dtls_failed += u64::from(!is_relay);
                counters.relays_dtls_failed += u64::from(is_relay);
                if error == crate::transport::DtlsError::WrongFingerprint {
                    counters.discard(Discard::WrongFingerprint);
                }
                tracing::info!(reason = error.reason(), is_relay, "an endpoint has no secured connection");
                self.transport_up(now, key, false, out);
            }
            TransportEvent::ChannelOpen => self.channel_open(now, key, Channel::Data, out),
            TransportEvent::ChannelText(text) => {
                counters.data_channel_messages_received += 1;
                self.channel_text(now, key, Channel::Data, &text, out);
            }
            TransportEvent::ChannelClosed => self.channel_closed(now, key, Channel::Data, out),
        }
    }

    fn transport_up(&mut self, now: Instant, key: EndpointKey, up: bool, out: &mut dyn DatagramSink) {
        let Some(conference_key) = self.endpoints.get(key).map(|e| e.conference) else { return };
        let Some(conference) = self.conferences.get_mut(conference_key.0 as usize) else { return };
        conference.media.set_transport_up(now, key, up, &mut outlet(now, &mut self.endpoints, out));
        self.arm_conference(conference_key);
    }

    fn limit_last_n(&mut self, now: Instant, last_n: Option<u32>, out: &mut dyn DatagramSink) {
        if self.config.media.load_last_n == last_n {
            return;
        }
        self.config.media.load_last_n = last_n;
        // Parts of conferences that are at home elsewhere, too.
        let all = self.conferences.iter().filter_map(|(key, _)| u32::try_from(key).ok());
        let all: Vec<_> = all.map(ConferenceKey).collect();
        for key in all {
            self.at_work = Some(key);
            let Some(conference) = self.conferences.get_mut(key.0 as usize) else { continue };
            conference.media.set_load_last_n(now, last_n, &mut outlet(now, &mut self.endpoints, out));
            self.arm_conference(key);
        }
    }

    fn path_changed(&mut self, now: Instant, key: EndpointKey, out: &mut dyn DatagramSink) {
        let Some(conference_key) = self.endpoints.get(key).map(|e| e.conference) else { return };
        let Some(conference) = self.conferences.get_mut(conference_key.0 as usize) else { return };
        conference.media.handle_path_change(now, key, &mut outlet(now, &mut self.endpoints, out));
        self.arm_conference(conference_key);
    }

    /// Arms the timer of a conference's media. Cheap: mostly it is armed early enough already.
    pub(crate) fn arm_conference(&mut self, key: ConferenceKey) {
        if let Some(conference) = self.conferences.get_mut(key.0 as usize) {
            let at = conference.media.poll_timeout();
            self.endpoints.timers.arm(Timer::Conference(key), &mut conference.armed, at);
        }
    }

    pub(crate) fn start_timers(&mut self, now: Instant) {
        let timers = &mut self.endpoints.timers;
        timers.arm(Timer::Expiry, &mut self.expiry, Some(now + limits::EXPIRY_CHECK_INTERVAL));
        timers.arm(Timer::Connectivity, &mut self.connectivity, Some(now + limits::CONNECTIVITY_INTERVAL));
    }

    fn rearm_all(&mut self, now: Instant) {
        self.endpoints.timers.rebuild();
        self.expiry.clear();
        self.connectivity.clear();
        self.start_timers(now);
        for (key, endpoint) in &mut self.endpoints.slab {
            endpoint.armed.clear();
            let timer = Timer::Endpoint(EndpointKey(u32::try_from(key).unwrap_or(u32::MAX)));
            self.endpoints.timers.arm(timer, &mut endpoint.armed, endpoint.transport.poll_timeout());
        }
        for (key, conference) in &mut self.conferences {
            conference.armed.clear();
            let timer = Timer::Conference(ConferenceKey(u32::try_from(key).unwrap_or(u32::MAX)));
            self.endpoints.timers.arm(timer, &mut conference.armed, conference.media.poll_timeout());
        }
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (conferences, endpoints) = self.load();
        f.debug_struct("Shard")
            .field("index", &self.config.index)
            .field("conferences", &conferences)
            .field("endpoints", &endpoints)
            .finish_non_exhaustive()
    }
}

/// The sink for one call into a conference.
pub(crate) fn outlet<'a>(
    now: Instant,
    endpoints: &'a mut Endpoints,
    out: &'a mut dyn DatagramSink,
) -> Outlet<'a> {
    Outlet { now, endpoints, out, before_dominant_speaker: Vec::new() }
}

fn srtp_drop(error: SrtpError) -> Discard {
    match error {
        SrtpError::Malformed => Discard::SrtpMalformed,
        SrtpError::Unauthentic => Discard::SrtpUnauthentic,
        SrtpError::Replayed | SrtpError::TooOld => Discard::SrtpReplayed,
        _ => Discard::SrtpOther,
    }
}
