//! A client without a browser: ICE (controlled), DTLS, SRTP and a data channel, sans I/O and in virtual time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Ppid, StreamEvent,
};
use videobridge_srtp::{Profile, Receiver, Sender, SrtpKeys};

/// How a peer differs from the usual.
#[derive(Clone)]
pub(crate) struct Options {
    /// Only DTLS 1.2, as older browsers.
    pub dtls12: bool,
    /// The largest DTLS datagram: a small one cuts the ClientHello into fragments.
    pub(crate) mtu: usize,
    /// DTLS server, i.e. `setup=passive`.
    pub(crate) passive: bool,
    /// Opens a data channel.
    pub(crate) channel: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { dtls12: false, mtu: 1150, passive: false, channel: true }
    }
}

pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    bridge: SocketAddr,
    options: Options,
    ice: IceAgent,
    pub(crate) selected: bool,
    dtls: Dtls,
    pub(crate) dtls_connected: bool,
    pub(crate) bridge_certificate: Option<Vec<u8>>,
    certificate: DtlsCertificate,
    srtp: Option<(Sender, Receiver)>,
    pub(crate) profile: Option<Profile>,
    sctp: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    pub(crate) channel_open: bool,
    /// Texts received on the data channel.
    pub(crate) texts: Vec<String>,
    /// Decrypted RTP and RTCP packets.
    pub(crate) rtp: Vec<Vec<u8>>,
    pub(crate) rtcp: Vec<Vec<u8>>,
    /// SRTP packets that could not be decrypted.
    pub(crate) broken: usize,
    pub(crate) sent: Vec<Vec<u8>>,
}

impl Peer {
    pub(crate) fn new(
        now: Instant,
        id: &str,
        address: SocketAddr,
        bridge: SocketAddr,
        options: Options,
    ) -> Self {
        let mut ice = IceAgent::new(IceCreds {
            ufrag: format!("uf{id}"),
            pass: format!("password-of-{id}-0123456789"),
        });
        ice.add_local_candidate(Candidate::host(address, Protocol::Udp).unwrap());
        ice.handle_timeout(now);
        let certificate = dimpl::certificate::generate_self_signed_certificate().unwrap();
        let config = Arc::new(
            dimpl::Config::builder()
                .mtu(options.mtu)
                .max_queue_tx(50)
                .use_server_cookie(false)
                .build()
                .unwrap(),
        );
        let mut dtls = if options.dtls12 {
            Dtls::new_12(config, certificate.clone(), now)
        } else {
            Dtls::new_auto(config, certificate.clone(), now)
        };
        if !options.passive {
            dtls.set_active(true);
        }
        Self {
            address,
            bridge,
            options,
            ice,
            selected: false,
            dtls,
            dtls_connected: false,
            bridge_certificate: None,
            certificate,
            srtp: None,
            profile: None,
            sctp: Endpoint::new(Arc::new(EndpointConfig::new()), None),
            association: None,
            channel_open: false,
            texts: Vec::new(),
            rtp: Vec::new(),
            rtcp: Vec::new(),
            broken: 0,
            sent: Vec::new(),
        }
    }

    pub(crate) fn credentials(&self) -> (String, String) {
        let c = self.ice.local_credentials();
        (c.ufrag.clone(), c.pass.clone())
    }

    pub(crate) fn fingerprint(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.certificate.certificate);
        digest.as_ref().iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
    }

    /// What the bridge's answer said.
    pub(crate) fn set_remote(&mut self, ufrag: &str, pwd: &str) {
        self.ice.set_remote_credentials(IceCreds { ufrag: ufrag.to_owned(), pass: pwd.to_owned() });
        self.ice.add_remote_candidate(Candidate::host(self.bridge, Protocol::Udp).unwrap());
    }

    /// One datagram from the bridge.
    pub(crate) fn receive(&mut self, now: Instant, data: &[u8]) {
        match data[0] {
            0..=3 => {
                let message = StunMessage::parse(data).unwrap();
                let packet = StunPacket {
                    proto: Protocol::Udp,
                    source: self.bridge,
                    destination: self.address,
                    message,
                };
                self.ice.handle_packet(now, packet);
            }
            20..=63 => {
                self.dtls.handle_timeout(now).unwrap();
                let _ = self.dtls.handle_packet(data);
            }
            _ => {
                let rtcp = (192..=223).contains(&data[1]);
                let mut packet = data.to_vec();
                let Some((_, receiver)) = &mut self.srtp else { return self.broken += 1 };
                let result = if rtcp {
                    receiver.unprotect_rtcp(&mut packet)
                } else {
                    receiver.unprotect_rtp(&mut packet)
                };
                match result {
                    Ok(len) => {
                        packet.truncate(len);
                        if rtcp { self.rtcp.push(packet) } else { self.rtp.push(packet) }
                    }
                    Err(_) => self.broken += 1,
                }
            }
        }
        self.run(now);
    }

    /// Lets timers run.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.ice.handle_timeout(now);
        if self.selected {
            let _ = self.dtls.handle_timeout(now);
        }
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.run(now);
    }

    /// Sends a text on the data channel.
    pub(crate) fn say(&mut self, now: Instant, text: &str) {
        let (_, association) = self.association.as_mut().expect("association");
        association.stream(0).unwrap().write_with_ppi(text.as_bytes(), Ppid::String).unwrap();
        self.run(now);
    }

    /// Sends an RTP packet whose header is `header_len` long.
    pub(crate) fn send_rtp(&mut self, packet: &[u8], header_len: usize, ext_seq: u64) {
        let protected = self.protect_rtp(packet, header_len, ext_seq);
        self.sent.push(protected);
    }

    pub(crate) fn protect_rtp(&mut self, packet: &[u8], header_len: usize, ext_seq: u64) -> Vec<u8> {
        let mut buf = packet.to_vec();
        buf.resize(packet.len() + Profile::MAX_OVERHEAD, 0);
        let (sender, _) = self.srtp.as_mut().expect("keys");
        let len = sender.protect_rtp(&mut buf, packet.len(), header_len, ext_seq).unwrap();
        buf.truncate(len);
        buf
    }

    pub(crate) fn send_rtcp(&mut self, packet: &[u8]) {
        let mut buf = packet.to_vec();
        buf.resize(packet.len() + Profile::MAX_OVERHEAD, 0);
        let (sender, _) = self.srtp.as_mut().expect("keys");
        let len = sender.protect_rtcp(&mut buf, packet.len()).unwrap();
        buf.truncate(len);
        self.sent.push(buf);
    }

    fn run(&mut self, now: Instant) {
        while let Some(event) = self.ice.poll_event() {
            if let IceAgentEvent::NominatedSend { .. } = event {
                self.selected = true;
            }
        }
        while let Some(transmit) = self.ice.poll_transmit() {
            self.sent.push(transmit.contents.to_vec());
        }
        if !self.selected {
            return;
        }
        loop {
            self.run_dtls(now);
            if self.dtls_connected && self.association.is_none() && self.options.channel {
                let (handle, association) =
                    self.sctp.connect(ClientConfig::new(), "127.0.0.1:5000".parse().unwrap()).unwrap();
                self.association = Some((handle, association));
            }
            let Some((_, association)) = &mut self.association else { return };
            let mut opened = None;
            let mut readable = Vec::new();
            while let Some(event) = association.poll() {
                match event {
                    Event::Connected => opened = Some(()),
                    Event::Stream(StreamEvent::Readable { id }) => readable.push(id),
                    _ => {}
                }
            }
            if opened.is_some() {
                let mut stream = association.open_stream(0, Ppid::String).unwrap();
                stream.write_with_ppi(&dcep_open(), Ppid::Dcep).unwrap();
            }
            for id in readable {
                while let Ok(mut stream) = association.stream(id)
                    && let Ok(Some(message)) = stream.read_sctp()
                {
                    let mut bytes = vec![0; message.len()];
                    message.read(&mut bytes).unwrap();
                    match message.ppi {
                        Ppid::Dcep => self.channel_open |= bytes == [2],
                        Ppid::String => self.texts.push(String::from_utf8(bytes).unwrap()),
                        _ => {}
                    }
                }
            }
            let Some(transmit) = association.poll_transmit(now) else { return };
            if let Payload::RawEncode(packets) = transmit.payload {
                for packet in packets {
                    let _ = self.dtls.send_application_data(&packet);
                    self.run_dtls(now);
                }
            }
        }
    }

    fn run_dtls(&mut self, now: Instant) {
        let mut buf = vec![0; 4096];
        loop {
            match self.dtls.poll_output(&mut buf) {
                Output::Packet(p) => self.sent.push(p.to_vec()),
                Output::PeerCert(der) => self.bridge_certificate = Some(der.to_vec()),
                Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
                        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
                        _ => Profile::Aes128CmHmacSha1_80,
                    };
                    let keys =
                        SrtpKeys::from_dtls_exporter(profile, &material, self.options.passive).unwrap();
                    self.profile = Some(profile);
                    self.srtp = Some((keys.sender().unwrap(), keys.receiver().unwrap()));
                }
                Output::Connected => self.dtls_connected = true,
                Output::ApplicationData(data) => {
                    let data = Bytes::copy_from_slice(data);
                    let peer = "127.0.0.1:5000".parse().unwrap();
                    if let Some((handle, DatagramEvent::AssociationEvent(event))) =
                        self.sctp.handle(now, peer, None, None, data)
                        && let Some((ours, association)) = &mut self.association
                        && *ours == handle
                    {
                        association.handle_event(event);
                    }
                }
                Output::Timeout(_) => return,
                Output::BufferTooSmall { needed } => buf.resize(needed, 0),
                _ => {}
            }
        }
    }
}

/// As the web client opens it.
fn dcep_open() -> Vec<u8> {
    let (label, protocol) = ("JVB data channel", "http://jitsi.org/protocols/colibri");
    let mut m = vec![3, 0, 1, 0, 0, 0, 0, 0];
    m.extend(u16::try_from(label.len()).unwrap().to_be_bytes());
    m.extend(u16::try_from(protocol.len()).unwrap().to_be_bytes());
    m.extend(label.as_bytes());
    m.extend(protocol.as_bytes());
    m
}

/// Virtual time moves in steps of this.
pub(crate) const STEP: Duration = Duration::from_millis(10);
