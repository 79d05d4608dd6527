//! One participant's connection to the bridge, without sockets: datagrams and time in; datagrams, SRTP keys and texts
//! of the data channel out. ICE controlled, DTLS client, SCTP client, as a browser.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use aws_lc_rs::digest;
use bytes::Bytes;
use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Ppid, StreamEvent, TransportConfig,
};
use videobridge_srtp::{Profile, Receiver, Sender, SrtpKeys};

use super::limits;

/// What all participants of a run share.
#[derive(Clone)]
pub(crate) struct Identity {
    certificate: DtlsCertificate,
    config: Arc<dimpl::Config>,
    /// SHA-256 of the certificate, as signalled.
    pub(crate) fingerprint: String,
}

impl Identity {
    /// One key pair for everybody: making hundreds would only take time.
    pub(crate) fn new() -> Result<Self> {
        let certificate = dimpl::certificate::generate_self_signed_certificate()
            .map_err(|e| anyhow!("no DTLS certificate: {e:?}"))?;
        let config = dimpl::Config::builder()
            .mtu(1150)
            .max_queue_tx(50)
            .build()
            .map_err(|e| anyhow!("DTLS configuration: {e:?}"))?;
        let fingerprint = fingerprint(&certificate.certificate);
        Ok(Self { certificate, config: Arc::new(config), fingerprint })
    }
}

fn fingerprint(certificate: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, certificate);
    digest.as_ref().iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

/// What the bridge said about its side.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    /// SHA-256.
    pub(crate) fingerprint: String,
}

/// One connection.
pub(crate) struct Link {
    local: SocketAddr,
    remote: Remote,
    ice: IceAgent,
    /// ICE has found the way.
    pub(crate) nominated: bool,
    dtls: Dtls,
    handshaken: bool,
    /// DTLS is up and the keys are there.
    pub(crate) connected: bool,
    /// The bridge's certificate is not the signalled one, or the handshake failed.
    pub(crate) failed: Option<&'static str>,
    pub(crate) srtp: Option<(Sender, Receiver)>,
    sctp: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    pub(crate) channel_open: bool,
    texts: VecDeque<String>,
    out: VecDeque<Vec<u8>>,
    buffer: Vec<u8>,
}

impl Link {
    /// `credentials`: our ufrag and pwd.
    pub(crate) fn new(
        now: Instant,
        identity: &Identity,
        local: SocketAddr,
        remote: Remote,
        credentials: (String, String),
    ) -> Result<Self> {
        let (ufrag, pass) = credentials;
        let mut ice = IceAgent::new(IceCreds { ufrag, pass });
        ice.add_local_candidate(Candidate::host(local, Protocol::Udp).map_err(|e| anyhow!("{e}"))?);
        ice.set_remote_credentials(IceCreds { ufrag: remote.ufrag.clone(), pass: remote.pwd.clone() });
        ice.add_remote_candidate(Candidate::host(remote.address, Protocol::Udp).map_err(|e| anyhow!("{e}"))?);
        ice.handle_timeout(now);
        let mut dtls = Dtls::new_auto(Arc::clone(&identity.config), identity.certificate.clone(), now);
        dtls.set_active(true);
        Ok(Self {
            local,
            remote,
            ice,
            nominated: false,
            dtls,
            handshaken: false,
            connected: false,
            failed: None,
            srtp: None,
            sctp: Endpoint::new(Arc::new(EndpointConfig::new()), None),
            association: None,
            channel_open: false,
            texts: VecDeque::new(),
            out: VecDeque::new(),
            buffer: vec![0; 4096],
        })
    }

    /// A STUN or DTLS datagram.
    pub(crate) fn receive(&mut self, now: Instant, data: &[u8]) {
        match data.first() {
            Some(0..=3) => {
                let Ok(message) = StunMessage::parse(data) else { return };
                let packet = StunPacket {
                    proto: Protocol::Udp,
                    source: self.remote.address,
                    destination: self.local,
                    message,
                };
                self.ice.handle_packet(now, packet);
            }
            Some(20..=63) => {
                let _ = self.dtls.handle_timeout(now);
                let _ = self.dtls.handle_packet(data);
            }
            _ => return,
        }
        self.run(now);
    }

    /// Lets timers run.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.ice.handle_timeout(now);
        if self.nominated && self.dtls.handle_timeout(now).is_err() && !self.connected {
            self.failed = Some("the DTLS handshake failed");
        }
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.run(now);
    }

    /// The next datagram to send.
    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    /// The next text of the bridge.
    pub(crate) fn poll_text(&mut self) -> Option<String> {
        self.texts.pop_front()
    }

    /// Sends a text on the data channel, once it is open.
    pub(crate) fn say(&mut self, now: Instant, text: &str) {
        if let Some((_, association)) = &mut self.association
            && let Ok(mut stream) = association.stream(0)
        {
            let _ = stream.write_with_ppi(text.as_bytes(), Ppid::String);
        }
        self.run(now);
    }

    fn run(&mut self, now: Instant) {
        while let Some(event) = self.ice.poll_event() {
            self.nominated |= matches!(event, IceAgentEvent::NominatedSend { .. });
        }
        while let Some(transmit) = self.ice.poll_transmit() {
            self.out.push_back(transmit.contents.to_vec());
        }
        if !self.nominated {
            return;
        }
        loop {
            self.run_dtls(now);
            if self.connected
                && self.association.is_none()
                && let Ok(association) =
                    self.sctp.connect(sctp_client(), SocketAddr::from(([127, 0, 0, 1], 5000)))
            {
                self.association = Some(association);
            }
            let Some((_, association)) = &mut self.association else { return };
            while let Some(event) = association.poll() {
                match event {
                    Event::Connected => {
                        if let Ok(mut stream) = association.open_stream(0, Ppid::String) {
                            let _ = stream.write_with_ppi(&channel_open(), Ppid::Dcep);
                        }
                    }
                    Event::Stream(StreamEvent::Readable { id }) => {
                        while let Ok(mut stream) = association.stream(id)
                            && let Ok(Some(message)) = stream.read_sctp()
                        {
                            let mut bytes = vec![0; message.len()];
                            if message.read(&mut bytes).is_err() {
                                break;
                            }
                            match message.ppi {
                                Ppid::Dcep => self.channel_open |= bytes == [2],
                                Ppid::String if self.texts.len() < limits::TEXTS => {
                                    self.texts.extend(String::from_utf8(bytes).ok());
                                }
                                _ => {}
                            }
                        }
                    }
                    _ => {}
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
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => self.out.push_back(packet.to_vec()),
                Output::PeerCert(der) => {
                    let expected = fingerprint(der).eq_ignore_ascii_case(&self.remote.fingerprint);
                    let why = "the bridge's DTLS certificate is not the one it announced";
                    self.failed = (!expected).then_some(why).or(self.failed);
                }
                Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
                        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
                        _ => Profile::Aes128CmHmacSha1_80,
                    };
                    let keys = SrtpKeys::from_dtls_exporter(profile, &material, false);
                    self.srtp = keys.ok().and_then(|k| Some((k.sender().ok()?, k.receiver().ok()?)));
                }
                Output::Connected => self.handshaken = true,
                Output::ApplicationData(data) => {
                    let data = Bytes::copy_from_slice(data);
                    let peer = SocketAddr::from(([127, 0, 0, 1], 5000));
                    if let Some((handle, DatagramEvent::AssociationEvent(event))) =
                        self.sctp.handle(now, peer, None, None, data)
                        && let Some((ours, association)) = &mut self.association
                        && *ours == handle
                    {
                        association.handle_event(event);
                    }
                }
                Output::Timeout(_) => break,
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                _ => {}
            }
        }
        // The keys may come before or after the handshake's end.
        self.connected = self.handshaken && self.failed.is_none() && self.srtp.is_some();
        self.buffer = buffer;
    }
}

/// The patience of Chromium's SCTP: on a bad link nobody waits 3 s for each lost handshake message.
fn sctp_client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.transport = Arc::new(
        TransportConfig::default()
            .with_max_init_retransmits(None)
            .with_max_data_retransmits(None)
            .with_rto_initial_ms(500)
            .with_rto_min_ms(400)
            .with_rto_max_ms(3_000),
    );
    config
}

/// As the web client opens it.
fn channel_open() -> Vec<u8> {
    let (label, protocol) = ("JVB data channel", "http://jitsi.org/protocols/colibri");
    let mut m = vec![3, 0, 1, 0, 0, 0, 0, 0, 0, label.len() as u8, 0, protocol.len() as u8];
    m.extend(label.as_bytes());
    m.extend(protocol.as_bytes());
    m
}
