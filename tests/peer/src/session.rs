//! One connection to the bridge: its datagrams and time in; what to send, keys, media and texts out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Dtls, Output, SrtpProfile};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
use videobridge_srtp::{Profile, Receiver, Sender, SrtpKeys};

use crate::channel::Channel;
use crate::identity::{Identity, PeerError, fingerprint};

/// How a peer differs from the usual.
#[derive(Clone)]
pub struct Options {
    /// Only DTLS 1.2, as older browsers.
    pub dtls12: bool,
    /// The largest DTLS datagram, for peers with an identity of their own.
    pub mtu: usize,
    /// DTLS server, i.e. `setup=passive`.
    pub passive: bool,
    /// Opens a data channel.
    pub channel: bool,
    /// Decrypts all media and keeps it in [`Peer::rtp`] and [`Peer::rtcp`]; else whoever drives the peer does that.
    pub keeps_media: bool,
    /// The fingerprint that the bridge announced; any will do if `None`.
    pub expects: Option<String>,
    /// Texts kept until somebody takes them; more are lost.
    pub max_texts: usize,
    /// Somebody else speaks DTLS for it: see [`Peer::for_foreign`].
    pub foreign: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dtls12: false,
            mtu: 1150,
            passive: false,
            channel: true,
            keeps_media: true,
            expects: None,
            max_texts: usize::MAX,
            foreign: false,
        }
    }
}

/// A participant's side of the connection.
pub struct Peer {
    /// Where the bridge sees it: a NAT may change it.
    pub address: SocketAddr,
    local: SocketAddr,
    bridge: SocketAddr,
    options: Options,
    fingerprint: String,
    ice: IceAgent,
    /// An ICE restart that has not found its way yet.
    restart: Option<Restart>,
    /// ICE has found the way.
    pub selected: bool,
    dtls: Dtls,
    /// The DTLS handshake is done.
    pub dtls_connected: bool,
    /// The bridge's certificate is not the announced one, or the handshake failed.
    pub failed: Option<&'static str>,
    /// The bridge's certificate (DER).
    pub bridge_certificate: Option<Vec<u8>>,
    /// For media to the bridge, and from it.
    pub srtp: Option<(Sender, Receiver)>,
    /// What was negotiated.
    pub profile: Option<Profile>,
    channel: Option<Channel>,
    /// The bridge agreed to the data channel.
    pub channel_open: bool,
    /// Texts received on the data channel.
    pub texts: Vec<String>,
    /// Decrypted RTP packets.
    pub rtp: Vec<Vec<u8>>,
    /// Decrypted RTCP packets.
    pub rtcp: Vec<Vec<u8>>,
    /// SRTP packets that could not be decrypted.
    pub broken: usize,
    /// DTLS datagrams from the bridge for whoever speaks DTLS for this peer; what that one answers goes into
    /// [`Peer::sent`].
    pub for_foreign: Vec<Vec<u8>>,
    /// Datagrams for the bridge.
    pub sent: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

/// A second agent, beside the one that carries media.
struct Restart {
    ice: IceAgent,
    address: SocketAddr,
    sent: Vec<Vec<u8>>,
}

impl Peer {
    /// A peer that knows where the bridge is; `credentials` are its own ufrag and password.
    ///
    /// # Errors
    /// When `address` is no candidate.
    pub fn new(
        now: Instant,
        identity: &Identity,
        address: SocketAddr,
        bridge: SocketAddr,
        credentials: (String, String),
        options: Options,
    ) -> Result<Self, PeerError> {
        let (ufrag, pass) = credentials;
        let mut ice = IceAgent::new(IceCreds { ufrag, pass });
        ice.add_local_candidate(candidate(address)?);
        ice.handle_timeout(now);
        let (config, certificate) = (Arc::clone(&identity.config), identity.certificate.clone());
        let mut dtls = if options.dtls12 {
            Dtls::new_12(config, certificate, now)
        } else {
            Dtls::new_auto(config, certificate, now)
        };
        if !options.passive {
            dtls.set_active(true);
        }
        Ok(Self {
            address,
            local: address,
            bridge,
            fingerprint: identity.fingerprint().to_owned(),
            ice,
            restart: None,
            selected: false,
            dtls,
            dtls_connected: false,
            failed: None,
            bridge_certificate: None,
            srtp: None,
            profile: None,
            channel: options.channel.then(Channel::new),
            channel_open: false,
            texts: Vec::new(),
            rtp: Vec::new(),
            rtcp: Vec::new(),
            broken: 0,
            for_foreign: Vec::new(),
            sent: Vec::new(),
            buffer: vec![0; 4096],
            options,
        })
    }

    /// A peer with an identity and credentials of its own, for tests.
    ///
    /// # Panics
    /// When the machine can't make a certificate.
    pub fn named(now: Instant, id: &str, address: SocketAddr, bridge: SocketAddr, options: Options) -> Self {
        let credentials = (format!("uf{id}"), format!("password-of-{id}-0123456789"));
        Identity::new(options.mtu)
            .and_then(|identity| Self::new(now, &identity, address, bridge, credentials, options))
            .unwrap_or_else(|e| panic!("{e}"))
    }

    /// Its ufrag and password.
    pub fn credentials(&self) -> (String, String) {
        let c = self.ice.local_credentials();
        (c.ufrag.clone(), c.pass.clone())
    }

    /// The bridge's ufrag and password, once they were told.
    pub fn remote(&self) -> (String, String) {
        self.ice.remote_credentials().map(|c| (c.ufrag.clone(), c.pass.clone())).unwrap_or_default()
    }

    /// SHA-256 of its certificate, as signalled.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What the bridge's answer said.
    ///
    /// # Errors
    /// When the bridge's address is no candidate.
    pub fn set_remote(&mut self, ufrag: &str, pwd: &str) -> Result<(), PeerError> {
        self.ice.set_remote_credentials(IceCreds { ufrag: ufrag.to_owned(), pass: pwd.to_owned() });
        self.ice.add_remote_candidate(candidate(self.bridge)?);
        Ok(())
    }

    /// Looks for another way from `address`, with credentials of its own and the bridge's. Once it is found everything goes there.
    ///
    /// # Errors
    /// When an address is no candidate.
    pub fn restart_ice(
        &mut self,
        now: Instant,
        address: SocketAddr,
        own: (&str, &str),
        bridge: (&str, &str),
    ) -> Result<(), PeerError> {
        let creds = |(ufrag, pass): (&str, &str)| IceCreds { ufrag: ufrag.to_owned(), pass: pass.to_owned() };
        let mut ice = IceAgent::new(creds(own));
        ice.add_local_candidate(candidate(address)?);
        ice.set_remote_credentials(creds(bridge));
        ice.add_remote_candidate(candidate(self.bridge)?);
        ice.handle_timeout(now);
        self.restart = Some(Restart { ice, address, sent: Vec::new() });
        Ok(())
    }

    /// Datagrams of an ICE restart for the bridge, and where they come from.
    pub fn sent_by_restart(&mut self) -> Option<(SocketAddr, Vec<Vec<u8>>)> {
        self.restart.as_mut().map(|r| (r.address, std::mem::take(&mut r.sent)))
    }

    /// Whether it receives at `address`.
    pub fn is_at(&self, address: SocketAddr) -> bool {
        self.address == address || self.restart.as_ref().is_some_and(|r| r.address == address)
    }

    /// One datagram from the bridge to `address`.
    pub fn receive_at(&mut self, now: Instant, address: SocketAddr, data: &[u8]) {
        if let (Some(restart), Some(0..=3)) = (&mut self.restart, data.first())
            && restart.address == address
            && let Ok(message) = StunMessage::parse(data)
            && restart.ice.accepts_message(&message)
        {
            let packet =
                StunPacket { proto: Protocol::Udp, source: self.bridge, destination: address, message };
            restart.ice.handle_packet(now, packet);
            return self.run(now);
        }
        self.receive(now, data);
    }

    /// DTLS is up with the right bridge, and the keys are there.
    pub const fn connected(&self) -> bool {
        self.dtls_connected && self.failed.is_none() && self.srtp.is_some()
    }

    /// The keys that somebody else's handshake led to: what that one exported. Whether they fit the profile.
    pub fn keyed(&mut self, profile: Profile, exported: &[u8]) -> bool {
        self.profile = Some(profile);
        let keys = SrtpKeys::from_dtls_exporter(profile, exported, self.options.passive);
        self.srtp = keys.ok().and_then(|k| k.split().ok());
        self.dtls_connected = self.srtp.is_some();
        self.dtls_connected
    }

    /// One datagram from the bridge.
    pub fn receive(&mut self, now: Instant, data: &[u8]) {
        match data.first() {
            Some(0..=3) => {
                let Ok(message) = StunMessage::parse(data) else { return };
                let packet = StunPacket {
                    proto: Protocol::Udp,
                    source: self.bridge,
                    destination: self.local,
                    message,
                };
                self.ice.handle_packet(now, packet);
            }
            Some(20..=63) if self.options.foreign => self.for_foreign.push(data.to_vec()),
            Some(20..=63) => {
                let _ = self.dtls.handle_timeout(now);
                let _ = self.dtls.handle_packet(data);
            }
            _ if self.options.keeps_media => self.keep(data),
            _ => return,
        }
        self.run(now);
    }

    /// Lets timers run.
    pub fn tick(&mut self, now: Instant) {
        self.ice.handle_timeout(now);
        if let Some(restart) = &mut self.restart {
            restart.ice.handle_timeout(now);
        }
        let own = self.selected && !self.options.foreign;
        if own && self.dtls.handle_timeout(now).is_err() && !self.connected() {
            self.failed = Some("the DTLS handshake failed");
        }
        if let Some(channel) = &mut self.channel {
            channel.tick(now);
        }
        self.run(now);
    }

    /// Sends a text on the data channel; whether it was open.
    pub fn say(&mut self, now: Instant, text: &str) -> bool {
        let said = self.channel.as_mut().is_some_and(|c| c.say(text));
        self.run(now);
        said
    }

    /// Sends an RTP packet.
    ///
    /// # Panics
    /// Before there are keys.
    pub fn send_rtp(&mut self, packet: &[u8]) {
        let protected = self.protect_rtp(packet);
        self.sent.push(protected);
    }

    /// An RTP packet as it travels.
    ///
    /// # Panics
    /// Before there are keys.
    pub fn protect_rtp(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buf = packet.to_vec();
        buf.resize(packet.len() + Profile::MAX_OVERHEAD, 0);
        let Some((sender, _)) = &mut self.srtp else { panic!("no keys yet") };
        let len = sender.protect_rtp(&mut buf, packet.len()).expect("an RTP packet");
        buf.truncate(len);
        buf
    }

    /// Sends an RTCP packet.
    ///
    /// # Panics
    /// Before there are keys.
    pub fn send_rtcp(&mut self, packet: &[u8]) {
        let mut buf = packet.to_vec();
        buf.resize(packet.len() + Profile::MAX_OVERHEAD, 0);
        let Some((sender, _)) = &mut self.srtp else { panic!("no keys yet") };
        let len = sender.protect_rtcp(&mut buf, packet.len()).expect("an RTCP packet");
        buf.truncate(len);
        self.sent.push(buf);
    }

    fn keep(&mut self, data: &[u8]) {
        let Some((_, receiver)) = &mut self.srtp else { return self.broken += 1 };
        let rtcp = data.get(1).is_some_and(|b| (192..=223).contains(b));
        let mut packet = data.to_vec();
        let len =
            if rtcp { receiver.unprotect_rtcp(&mut packet) } else { receiver.unprotect_rtp(&mut packet) };
        match len {
            Ok(len) => {
                packet.truncate(len);
                if rtcp { self.rtcp.push(packet) } else { self.rtp.push(packet) }
            }
            Err(_) => self.broken += 1,
        }
    }

    fn run(&mut self, now: Instant) {
        if let Some(restart) = &mut self.restart {
            let mut found = false;
            while let Some(event) = restart.ice.poll_event() {
                found |= matches!(event, IceAgentEvent::NominatedSend { .. });
            }
            while let Some(transmit) = restart.ice.poll_transmit() {
                restart.sent.push(transmit.contents.to_vec());
            }
            if found && let Some(restart) = self.restart.take() {
                (self.ice, self.address, self.local) = (restart.ice, restart.address, restart.address);
                self.sent.extend(restart.sent);
            }
        }
        while let Some(event) = self.ice.poll_event() {
            self.selected |= matches!(event, IceAgentEvent::NominatedSend { .. });
        }
        while let Some(transmit) = self.ice.poll_transmit() {
            self.sent.push(transmit.contents.to_vec());
        }
        if !self.selected || self.options.foreign {
            return;
        }
        loop {
            self.run_dtls(now);
            let ready = self.connected();
            let Some(channel) = &mut self.channel else { return };
            if ready {
                channel.connect();
            }
            let packets = channel.run(now, &mut self.texts, self.options.max_texts);
            self.channel_open = channel.open;
            let Some(packets) = packets else { return };
            for packet in packets {
                let _ = self.dtls.send_application_data(&packet);
                self.run_dtls(now);
            }
        }
    }

    fn run_dtls(&mut self, now: Instant) {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => self.sent.push(packet.to_vec()),
                Output::PeerCert(der) => {
                    let announced = self.options.expects.as_ref();
                    if announced.is_some_and(|a| !fingerprint(der).eq_ignore_ascii_case(a)) {
                        self.failed = Some("the bridge's DTLS certificate is not the one it announced");
                    }
                    self.bridge_certificate = Some(der.to_vec());
                }
                Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
                        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
                        _ => Profile::Aes128CmHmacSha1_80,
                    };
                    self.profile = Some(profile);
                    let keys = SrtpKeys::from_dtls_exporter(profile, &material, self.options.passive);
                    self.srtp = keys.ok().and_then(|k| k.split().ok());
                }
                Output::Connected => self.dtls_connected = true,
                Output::ApplicationData(data) => {
                    if let Some(channel) = &mut self.channel {
                        channel.receive(now, data);
                    }
                }
                Output::Timeout(_) => break,
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                _ => {}
            }
        }
        self.buffer = buffer;
    }
}

fn candidate(address: SocketAddr) -> Result<Candidate, PeerError> {
    Candidate::host(address, Protocol::Udp).map_err(|e| PeerError::Candidate(e.to_string()))
}
