//! A client without a browser: ICE (controlled), DTLS client and SRTP. Datagrams in and out, in virtual time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
use videobridge_srtp::{Profile, Sender, SrtpKeys};

/// What all peers share: making certificates and configurations is not what is measured.
pub(crate) struct Shared {
    certificate: DtlsCertificate,
    config: Arc<dimpl::Config>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let config = dimpl::Config::builder().mtu(1150).max_queue_tx(50).use_server_cookie(false).build();
        Self {
            certificate: dimpl::certificate::generate_self_signed_certificate().unwrap(),
            config: Arc::new(config.unwrap()),
        }
    }

    pub(crate) fn fingerprint(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.certificate.certificate);
        digest.as_ref().iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
    }
}

pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    bridge: SocketAddr,
    ice: IceAgent,
    selected: bool,
    dtls: Dtls,
    dtls_connected: bool,
    srtp: Option<Sender>,
    /// Datagrams for the bridge.
    pub(crate) sent: Vec<Vec<u8>>,
}

impl Peer {
    pub(crate) fn new(now: Instant, shared: &Shared, address: SocketAddr, bridge: SocketAddr) -> Self {
        let mut ice = IceAgent::new(IceCreds {
            ufrag: format!("uf{}", address.port()),
            pass: format!("password-of-{}-0123456789", address.port()),
        });
        ice.add_local_candidate(Candidate::host(address, Protocol::Udp).unwrap());
        ice.handle_timeout(now);
        let mut dtls = Dtls::new_12(shared.config.clone(), shared.certificate.clone(), now);
        dtls.set_active(true);
        Self {
            address,
            bridge,
            ice,
            selected: false,
            dtls,
            dtls_connected: false,
            srtp: None,
            sent: Vec::new(),
        }
    }

    pub(crate) fn credentials(&self) -> (String, String) {
        let c = self.ice.local_credentials();
        (c.ufrag.clone(), c.pass.clone())
    }

    /// What the bridge's answer said.
    pub(crate) fn set_remote(&mut self, ufrag: &str, pwd: &str) {
        self.ice.set_remote_credentials(IceCreds { ufrag: ufrag.to_owned(), pass: pwd.to_owned() });
        self.ice.add_remote_candidate(Candidate::host(self.bridge, Protocol::Udp).unwrap());
    }

    pub(crate) const fn connected(&self) -> bool {
        self.dtls_connected && self.srtp.is_some()
    }

    /// One datagram of STUN or DTLS from the bridge.
    pub(crate) fn receive(&mut self, now: Instant, data: &[u8]) {
        if data[0] <= 3 {
            let message = StunMessage::parse(data).unwrap();
            let packet =
                StunPacket { proto: Protocol::Udp, source: self.bridge, destination: self.address, message };
            self.ice.handle_packet(now, packet);
        } else {
            self.dtls.handle_timeout(now).unwrap();
            let _ = self.dtls.handle_packet(data);
        }
        self.run();
    }

    /// Lets timers run.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.ice.handle_timeout(now);
        if self.selected {
            let _ = self.dtls.handle_timeout(now);
        }
        self.run();
    }

    /// The packet as it travels.
    pub(crate) fn protect(&mut self, packet: &[u8], header_len: usize, ext_seq: u64) -> Vec<u8> {
        let mut buf = packet.to_vec();
        buf.resize(packet.len() + Profile::MAX_OVERHEAD, 0);
        let sender = self.srtp.as_mut().expect("keys");
        let len = sender.protect_rtp(&mut buf, packet.len(), header_len, ext_seq).unwrap();
        buf.truncate(len);
        buf
    }

    fn run(&mut self) {
        while let Some(event) = self.ice.poll_event() {
            self.selected |= matches!(event, IceAgentEvent::NominatedSend { .. });
        }
        while let Some(transmit) = self.ice.poll_transmit() {
            self.sent.push(transmit.contents.to_vec());
        }
        if !self.selected {
            return;
        }
        let mut buf = vec![0; 4096];
        loop {
            match self.dtls.poll_output(&mut buf) {
                Output::Packet(p) => self.sent.push(p.to_vec()),
                Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
                        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
                        other => panic!("{other:?}: not what browsers and bridge agree on"),
                    };
                    let keys = SrtpKeys::from_dtls_exporter(profile, &material, false).unwrap();
                    self.srtp = Some(keys.sender().unwrap());
                }
                Output::Connected => self.dtls_connected = true,
                Output::Timeout(_) => return,
                Output::BufferTooSmall { needed } => buf.resize(needed, 0),
                _ => {}
            }
        }
    }
}
