//! The bridge channel: decrypted SCTP packets and texts in; SCTP packets and the bridge's texts out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Ppid, StreamEvent, TransportConfig,
};

/// An association with one data channel.
pub(crate) struct Channel {
    sctp: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    pub(crate) open: bool,
}

impl Channel {
    pub(crate) fn new() -> Self {
        Self { sctp: Endpoint::new(Arc::new(EndpointConfig::new()), None), association: None, open: false }
    }

    /// DTLS is up.
    pub(crate) fn connect(&mut self) {
        if self.association.is_none() {
            self.association = self.sctp.connect(client(), nowhere()).ok();
        }
    }

    pub(crate) fn receive(&mut self, now: Instant, packet: &[u8]) {
        let packet = Bytes::copy_from_slice(packet);
        if let Some((handle, DatagramEvent::AssociationEvent(event))) =
            self.sctp.handle(now, nowhere(), None, None, packet)
            && let Some((ours, association)) = &mut self.association
            && *ours == handle
        {
            association.handle_event(event);
        }
    }

    pub(crate) fn tick(&mut self, now: Instant) {
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
    }

    /// Whether the text was taken.
    pub(crate) fn say(&mut self, text: &str) -> bool {
        self.association.as_mut().is_some_and(|(_, association)| {
            association
                .stream(0)
                .is_ok_and(|mut stream| stream.write_with_ppi(text.as_bytes(), Ppid::String).is_ok())
        })
    }

    /// Reads what has come into `texts`, of which `most` are kept, and returns packets to send, if there are any.
    pub(crate) fn run(&mut self, now: Instant, texts: &mut Vec<String>, most: usize) -> Option<Vec<Bytes>> {
        let (_, association) = self.association.as_mut()?;
        while let Some(event) = association.poll() {
            match event {
                Event::Connected => {
                    if let Ok(mut stream) = association.open_stream(0, Ppid::String) {
                        let _ = stream.write_with_ppi(&open_message(), Ppid::Dcep);
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
                            Ppid::Dcep => self.open |= bytes == [2],
                            Ppid::String if texts.len() < most => texts.extend(String::from_utf8(bytes).ok()),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        match association.poll_transmit(now)?.payload {
            Payload::RawEncode(packets) => Some(packets.into_iter().collect()),
            _ => Some(Vec::new()),
        }
    }
}

/// The association below DTLS has no addresses of its own.
fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5000))
}

/// The patience of Chromium's SCTP: on a bad link nobody waits 3 s for each lost handshake message.
fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.transport = Arc::new(
        TransportConfig::default()
            .with_max_init_retransmits(None)
            .with_max_data_retransmits(None)
            .with_rto_initial_ms(500)
            .with_rto_min_ms(400)
            .with_rto_max_ms(3_000)
            // As browsers' SDP says.
            .with_max_receive_message_size(262_144)
            .with_max_send_message_size(262_144),
    );
    config
}

/// DATA_CHANNEL_OPEN (RFC 8832 §5.1) as the web client sends it.
fn open_message() -> Vec<u8> {
    let (label, protocol) = ("JVB data channel", "http://jitsi.org/protocols/colibri");
    let mut m = vec![3, 0, 1, 0, 0, 0, 0, 0, 0, label.len() as u8, 0, protocol.len() as u8];
    m.extend(label.as_bytes());
    m.extend(protocol.as_bytes());
    m
}
