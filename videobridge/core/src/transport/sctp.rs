//! The data channel: SCTP packets out of DTLS in; text messages out, and back.
//!
//! One association at a time, opened by the client (we are the passive side) or, to another bridge, by us; and one channel in
//! it: further ones are ignored. Over the crate `sctp-proto` with our own channel establishment.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Ppid, ServerConfig, StreamEvent, StreamId, TransportConfig,
};
use std::collections::VecDeque;

use super::dcep::{self, Dcep};
use crate::limits;

/// The SCTP side of one endpoint.
pub struct Sctp {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    channel: Option<StreamId>,
    /// We are the client, and have begun.
    opens: Option<bool>,
    events: VecDeque<SctpEvent>,
    /// Channels refused because there is one already.
    pub rejected_channels: u64,
}

/// What happened on the data channel.
#[derive(Debug, PartialEq, Eq)]
pub enum SctpEvent {
    /// The client opened the channel.
    Opened,
    /// One message.
    Text(String),
    /// The channel or the association is gone.
    Closed,
}

impl Sctp {
    /// Waits for a client.
    pub fn new() -> Self {
        Self {
            endpoint: endpoint(),
            association: None,
            channel: None,
            opens: None,
            events: VecDeque::new(),
            rejected_channels: 0,
        }
    }

    /// Opens the association and the channel itself, as soon as [`Sctp::connect`] says that it can.
    pub fn client() -> Self {
        Self { opens: Some(false), ..Self::new() }
    }

    /// What is below is there. Nothing happens unless it is for us to begin.
    pub fn connect(&mut self) {
        if self.opens == Some(false) {
            self.opens = Some(true);
            self.endpoint = Endpoint::new(endpoint_config(), None);
            let mut config = ClientConfig::new();
            config.transport = transport();
            self.association = self.endpoint.connect(config, PEER).ok();
        }
    }

    /// Whether messages can be sent.
    pub fn is_open(&self) -> bool {
        self.channel.is_some()
    }

    /// One SCTP packet.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        match self.endpoint.handle(now, PEER, None, None, Bytes::copy_from_slice(packet)) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                // A client that starts over gets a new association; the old one ends with it.
                self.lost();
                self.association = Some((handle, association));
                self.endpoint.reject_new_associations();
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                // An INIT that comes late, or twice, says nothing new (RFC 9260 §5.2.2); the crate would end what has begun with it.
                let is_again = |a: &Association| !a.is_handshaking() && packet.get(CHUNK) == Some(&INIT);
                if let Some((ours, association)) = &mut self.association
                    && *ours == handle
                    && !is_again(association)
                {
                    association.handle_event(event);
                }
            }
            None => {}
        }
        self.update();
    }

    /// Lets retransmissions happen.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some((_, association)) = &mut self.association {
            association.handle_timeout(now);
        }
        self.update();
    }

    /// When [`Sctp::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.association.as_ref().and_then(|(_, association)| association.poll_timeout())
    }

    /// The next batch of packets for DTLS.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<Bytes>> {
        while self.endpoint.poll_transmit().is_some() {}
        let (_, association) = self.association.as_mut()?;
        match association.poll_transmit(now)?.payload {
            Payload::RawEncode(packets) => Some(packets),
            Payload::PartialDecode(_) => None,
        }
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<SctpEvent> {
        self.events.pop_front()
    }

    /// Whether there is a channel that takes more than waits in it already.
    pub fn has_room(&mut self) -> bool {
        let (Some(id), Some((_, association))) = (self.channel, &mut self.association) else { return false };
        association
            .stream(id)
            .is_ok_and(|s| s.buffered_amount().is_ok_and(|waits| waits < limits::CHANNEL_WINDOW))
    }

    /// Queues one message. Returns false when there is no channel.
    pub fn send(&mut self, text: &str) -> bool {
        let (Some(id), Some((_, association))) = (self.channel, &mut self.association) else { return false };
        let Ok(mut stream) = association.stream(id) else { return false };
        !text.is_empty()
            && text.len() <= limits::MAX_CHANNEL_MESSAGE
            && stream.write_with_ppi(text.as_bytes(), Ppid::String).is_ok()
    }

    fn update(&mut self) {
        let mut is_lost = false;
        while let Some(event) = self.association.as_mut().and_then(|(_, a)| a.poll()) {
            match event {
                Event::Connected if self.opens.is_some() => self.open_channel(),
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Finished { id }) if self.channel == Some(id) => {
                    self.channel = None;
                    self.events.push_back(SctpEvent::Closed);
                }
                Event::AssociationLost { .. } | Event::HandshakeFailed { .. } => is_lost = true,
                _ => {}
            }
        }
        if let Some((_, association)) = &mut self.association {
            while association.accept_stream().is_some() {}
            is_lost |= association.is_closed() && !association.is_handshaking();
        }
        if is_lost {
            self.lost();
            if self.opens.is_none() {
                self.endpoint = endpoint();
            }
        }
    }

    /// As upstream's bridges do towards each other.
    fn open_channel(&mut self) {
        let Some((_, association)) = &mut self.association else { return };
        if let Ok(mut stream) = association.open_stream(OWN_CHANNEL, Ppid::String) {
            let _ = stream.write_with_ppi(&dcep::open("default", ""), Ppid::Dcep);
        }
    }

    fn lost(&mut self) {
        self.association = None;
        if self.channel.take().is_some() {
            self.events.push_back(SctpEvent::Closed);
        }
    }

    fn read(&mut self, id: StreamId) {
        let Some((_, association)) = &mut self.association else { return };
        while let Ok(mut stream) = association.stream(id)
            && let Ok(Some(message)) = stream.read_sctp()
        {
            let mut bytes = vec![0; message.len().min(limits::MAX_CHANNEL_MESSAGE)];
            let complete = message.len() == bytes.len() && message.read(&mut bytes).is_ok();
            match message.ppi {
                Ppid::Dcep if complete && dcep::parse(&bytes) == Some(Dcep::Open) => {
                    // `sctp.max-channels` is 1: further channels are ignored silently, as upstream does.
                    if self.channel.is_some_and(|open| open != id) {
                        self.rejected_channels += 1;
                    } else if stream.write_with_ppi(&dcep::ACK, Ppid::Dcep).is_ok() && self.channel.is_none()
                    {
                        self.channel = Some(id);
                        self.events.push_back(SctpEvent::Opened);
                    }
                }
                Ppid::Dcep
                    if complete
                        && dcep::parse(&bytes) == Some(Dcep::Ack)
                        && self.opens.is_some()
                        && id == OWN_CHANNEL
                        && self.channel.is_none() =>
                {
                    self.channel = Some(id);
                    self.events.push_back(SctpEvent::Opened);
                }
                Ppid::String if complete && self.channel == Some(id) => {
                    if let Ok(text) = String::from_utf8(bytes) {
                        self.events.push_back(SctpEvent::Text(text));
                    }
                }
                _ => {}
            }
        }
    }
}

impl Default for Sctp {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Sctp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sctp").field("channel", &self.channel).finish_non_exhaustive()
    }
}

fn endpoint() -> Endpoint {
    let mut server = ServerConfig::new();
    server.transport = transport();
    Endpoint::new(endpoint_config(), Some(Arc::new(server)))
}

fn endpoint_config() -> Arc<EndpointConfig> {
    let mut config = EndpointConfig::new();
    config.max_payload_size(limits::SCTP_MAX_PAYLOAD);
    Arc::new(config)
}

fn transport() -> Arc<TransportConfig> {
    let message = u32::try_from(limits::MAX_CHANNEL_MESSAGE).unwrap_or(u32::MAX);
    Arc::new(
        TransportConfig::default()
            .with_max_num_inbound_streams(limits::SCTP_MAX_STREAMS)
            .with_max_num_outbound_streams(limits::SCTP_MAX_STREAMS)
            .with_max_receive_buffer_size(limits::SCTP_RECEIVE_BUFFER)
            .with_max_receive_message_size(message)
            .with_max_send_message_size(message)
            // Unlimited retransmissions with a short back-off (bridge §3.4): ICE notices a dead peer.
            .with_max_init_retransmits(None)
            .with_max_data_retransmits(None)
            .with_rto_initial_ms(500)
            .with_rto_min_ms(400)
            .with_rto_max_ms(3_000),
    )
}

/// The stream of the channel that we open.
const OWN_CHANNEL: StreamId = 0;

/// Where the first chunk of a packet says what it is (RFC 9260 §3), and what it says when a client begins; such a one stands alone.
const CHUNK: usize = 12;
const INIT: u8 = 1;

/// Inside DTLS there are no addresses; the crate wants one.
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// CRC-32C, RFC 9260 §6.8.
    fn checksum(packet: &[u8]) -> u32 {
        !packet.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0x82f6_3b78 } else { c >> 1 })
        })
    }

    fn sealed(mut packet: Vec<u8>) -> Vec<u8> {
        packet[8..12].fill(0);
        let crc = checksum(&packet).to_le_bytes();
        packet[8..12].copy_from_slice(&crc);
        packet
    }

    /// An INIT with a valid checksum; our side answers with its tag.
    fn init() -> Vec<u8> {
        let mut p = vec![0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20];
        p.extend(7_u32.to_be_bytes());
        p.extend(100_000_u32.to_be_bytes());
        p.extend([0, 16, 0, 16]);
        p.extend(1_u32.to_be_bytes());
        sealed(p)
    }

    #[test]
    fn an_init_that_comes_again_when_the_association_has_begun_ended_it_and_the_channel_never_opened() {
        let now = Instant::now();
        let (mut sctp, mut client) = (Sctp::new(), Endpoint::new(Arc::new(EndpointConfig::new()), None));
        let (handle, mut association) = client.connect(ClientConfig::new(), PEER).unwrap();
        let mut sent = Vec::new();
        for _ in 0..3 {
            while let Some(transmit) = association.poll_transmit(now) {
                let Payload::RawEncode(packets) = transmit.payload else { continue };
                packets.iter().for_each(|p| sctp.handle_packet(now, p));
                sent.extend(packets);
            }
            while let Some(packets) = sctp.poll_transmit(now) {
                for packet in packets {
                    let event = client.handle(now, PEER, None, None, packet);
                    let Some((to, DatagramEvent::AssociationEvent(event))) = event else { continue };
                    assert_eq!(to, handle);
                    association.handle_event(event);
                }
            }
        }
        assert!(!association.is_handshaking() && sent[0][CHUNK] == INIT);
        sctp.handle_packet(now, &sent[0]);
        assert!(sctp.association.as_ref().is_some_and(|(_, a)| !a.is_closed() && !a.is_handshaking()));
        assert_eq!(sctp.poll_event(), None);
    }

    #[test]
    fn a_second_data_channel_is_not_answered_and_the_first_goes_on() {
        let now = Instant::now();
        let (mut sctp, mut client) = (Sctp::new(), Endpoint::new(Arc::new(EndpointConfig::new()), None));
        let (_, mut association) = client.connect(ClientConfig::new(), PEER).unwrap();
        let mut talk = |sctp: &mut Sctp, association: &mut Association| {
            for _ in 0..10 {
                while let Some(transmit) = association.poll_transmit(now) {
                    let Payload::RawEncode(packets) = transmit.payload else { continue };
                    packets.iter().for_each(|p| sctp.handle_packet(now, p));
                }
                for packet in std::iter::from_fn(|| sctp.poll_transmit(now)).flatten().collect::<Vec<_>>() {
                    if let Some((_, DatagramEvent::AssociationEvent(event))) =
                        client.handle(now, PEER, None, None, packet)
                    {
                        association.handle_event(event);
                    }
                }
            }
        };
        talk(&mut sctp, &mut association);
        for id in [0, 2] {
            let mut stream = association.open_stream(id, Ppid::String).unwrap();
            stream.write_with_ppi(&dcep::open("a channel", ""), Ppid::Dcep).unwrap();
            talk(&mut sctp, &mut association);
            association
                .stream(id)
                .unwrap()
                .write_with_ppi(format!("over {id}").as_bytes(), Ppid::String)
                .unwrap();
            talk(&mut sctp, &mut association);
        }
        assert!(association.stream(0).unwrap().read_sctp().unwrap().is_some(), "acknowledged");
        assert!(association.stream(2).unwrap().read_sctp().unwrap().is_none(), "not");
        let events: Vec<_> = std::iter::from_fn(|| sctp.poll_event()).collect();
        assert_eq!(events, [SctpEvent::Opened, SctpEvent::Text("over 0".to_owned())]);
        assert_eq!(sctp.rejected_channels, 1);
    }

    #[test]
    fn a_peer_is_told_how_many_streams_and_bytes_it_may_send_and_not_more() {
        let now = Instant::now();
        let mut sctp = Sctp::new();
        let mut greedy = init();
        greedy[24..28].fill(0xff);
        sctp.handle_packet(now, &sealed(greedy));
        let ack = sctp.poll_transmit(now).unwrap();
        let field = |at: usize| u32::from_be_bytes(ack[0][at..at + 4].try_into().unwrap());
        assert_eq!(ack[0][12], 2, "INIT ACK");
        assert_eq!(field(20), limits::SCTP_RECEIVE_BUFFER);
        let streams = u32::from(limits::SCTP_MAX_STREAMS);
        assert_eq!((field(24) >> 16, field(24) & 0xffff), (streams, streams));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn a_hostile_participant_can_not_make_it_panic(
            packets in proptest::collection::vec(
                (0_u8..16, proptest::collection::vec(any::<u8>(), 0..64), any::<bool>()), 1..8),
        ) {
            let now = Instant::now();
            let mut sctp = Sctp::new();
            sctp.handle_packet(now, &init());
            let ack = sctp.poll_transmit(now).unwrap();
            let tag = &ack[0][16..20];
            for (chunk, body, ours) in packets {
                let mut p = vec![0x13, 0x88, 0x13, 0x88];
                p.extend(if ours { tag } else { &[0; 4] });
                p.extend([0; 4]);
                p.extend([chunk, 3]);
                p.extend(u16::try_from(body.len() + 4).unwrap().to_be_bytes());
                p.extend(&body);
                p.resize(p.len().next_multiple_of(4), 0);
                sctp.handle_packet(now, &sealed(p));
                while sctp.poll_transmit(now).is_some() {}
                while sctp.poll_event().is_some() {}
            }
            sctp.handle_packet(now, &[]);
            sctp.handle_timeout(now + std::time::Duration::from_secs(100));
        }
    }
}
