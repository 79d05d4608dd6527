//! One client and its engine: offers, datagrams and time in; its answer, datagrams, packets and texts out.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rtc::data_channel::RTCDataChannelInit;
use rtc::interceptor::{Registry, Slot};
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::interceptor_registry::{
    configure_nack, configure_rtcp_reports, configure_twcc,
};
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_VP8, MediaEngine};
use rtc::peer_connection::configuration::setting_engine::SettingEngineBuilder;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCPeerConnectionState;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCDtlsRole, RTCIceCandidate};
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::rtp_transceiver::RTCRtpSenderId;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use rtc::sansio::Protocol as _;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use rtc::{rtcp, rtp};

use crate::offer::Sent;
use crate::reports::Reports;

/// Who opens the DTLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// This client, as browsers do.
    Active,
    /// The bridge.
    Passive,
}

/// Something that has arrived and was understood.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A media packet.
    Rtp(rtp::Packet),
    /// A report or feedback, its name first.
    Rtcp(String),
    /// A text of the bridge channel.
    Text(String),
}

/// A participant with a microphone and a camera.
pub(crate) struct Client {
    /// Where the bridge sees it.
    pub(crate) address: SocketAddr,
    /// What it sends.
    pub(crate) sends: Sent,
    /// ICE and DTLS are through.
    pub(crate) connected: bool,
    /// The bridge channel is open.
    pub(crate) channel: Option<usize>,
    /// All that it understood.
    pub(crate) heard: Vec<Heard>,
    /// What its engine refused.
    pub(crate) refused: Vec<String>,
    role: Role,
    pc: Box<RTCPeerConnection>,
    audio: RTCRtpSenderId,
    video: RTCRtpSenderId,
    seq: [u16; 2],
}

impl Client {
    /// Answers an offer; the answer's text.
    pub(crate) fn answering(
        now: Instant,
        address: SocketAddr,
        sends: Sent,
        role: Role,
        offer: &str,
    ) -> (Self, String) {
        let mut media = MediaEngine::default();
        for (kind, codec, payload_type) in [
            (RtpCodecKind::Audio, opus(), 111),
            (RtpCodecKind::Video, vp8(), 100),
            (RtpCodecKind::Video, rtx(), 96),
        ] {
            let codec = RTCRtpCodecParameters { rtp_codec: codec, payload_type };
            media.register_codec(codec, kind).unwrap();
        }
        for (uri, kind) in [
            ("urn:ietf:params:rtp-hdrext:ssrc-audio-level", RtpCodecKind::Audio),
            (TRANSPORT_CC, RtpCodecKind::Video),
        ] {
            let extension = RTCRtpHeaderExtensionCapability { uri: uri.to_owned() };
            media.register_header_extension(extension, kind, None).unwrap();
        }
        let interceptors = configure_nack(Registry::new(), &mut media);
        // Numbers what it sends, and tells when what it got came.
        let interceptors = configure_rtcp_reports(configure_twcc(interceptors, &mut media).unwrap());
        // Nearest to us, behind all that the engine does with them.
        let interceptors = interceptors.with(Slot::from(14_000), Reports::default());
        let dtls = match role {
            Role::Active => RTCDtlsRole::Client,
            Role::Passive => RTCDtlsRole::Server,
        };
        let mut pc = RTCPeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().build())
            .with_setting_engine(SettingEngineBuilder::new().with_answering_dtls_role(dtls).build())
            .with_media_engine(media)
            .with_interceptor_registry(interceptors)
            .build(now)
            .unwrap();
        pc.set_remote_description(now, RTCSessionDescription::offer(offer.to_owned()).unwrap()).unwrap();
        let audio = pc.add_track(track(RtpCodecKind::Audio, sends.audio, opus())).unwrap();
        let video = pc.add_track(track(RtpCodecKind::Video, sends.video, vp8())).unwrap();
        let channel = RTCDataChannelInit {
            protocol: "http://jitsi.org/protocols/colibri".to_owned(),
            ..Default::default()
        };
        pc.create_data_channel("JVB data channel", Some(channel)).unwrap();
        let host = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: address.ip().to_string(),
                port: address.port(),
                component: 1,
                ..Default::default()
            },
            ..Default::default()
        };
        let host = host.new_candidate_host().unwrap();
        pc.add_local_candidate(RTCIceCandidate::from(&host).to_json().unwrap()).unwrap();
        let answer = pc.create_answer(None).unwrap();
        pc.set_local_description(now, answer.clone()).unwrap();
        let it = Self {
            address,
            sends,
            connected: false,
            channel: None,
            heard: Vec::new(),
            refused: Vec::new(),
            role,
            pc: Box::new(pc),
            audio,
            video,
            seq: [1; 2],
        };
        (it, answer.sdp)
    }

    /// Browsers always do. This engine leaves the beginning of SCTP to whoever began DTLS, and our bridge leaves it to clients.
    pub(crate) fn opens_a_channel(&self) -> bool {
        self.role == Role::Active
    }

    /// A datagram of the bridge.
    pub(crate) fn receive(&mut self, now: Instant, bridge: SocketAddr, datagram: &[u8]) {
        let transport = TransportContext {
            local_addr: self.address,
            peer_addr: bridge,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let tagged = TaggedBytesMut { now, transport, message: BytesMut::from(datagram) };
        if let Err(e) = self.pc.handle_read(tagged) {
            self.refused.push(e.to_string());
        }
        self.look();
    }

    /// Time passes.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.pc.poll_timeout().is_some_and(|at| at <= now)
            && let Err(e) = self.pc.handle_timeout(now)
        {
            self.refused.push(e.to_string());
        }
        self.look();
    }

    /// What it wants to send to the bridge.
    pub(crate) fn send(&mut self) -> Option<Vec<u8>> {
        self.pc.poll_write().map(|m| m.message.to_vec())
    }

    /// A packet of sound.
    pub(crate) fn speak(&mut self, now: Instant, payload: &[u8]) {
        let seq = self.next(0);
        let header = header(111, self.sends.audio, seq, u32::from(seq) * 960, true);
        self.write(now, self.audio, header, payload);
    }

    /// A picture of one packet; the first one of a stream is a key frame.
    pub(crate) fn show(&mut self, now: Instant, payload: &[u8]) {
        let seq = self.next(1);
        let header = header(100, self.sends.video, seq, u32::from(seq) * 3000, true);
        self.write(now, self.video, header, payload);
    }

    /// A text for the bridge.
    pub(crate) fn say(&mut self, now: Instant, text: &str) {
        let channel = self.channel.expect("an open channel");
        self.pc.data_channel(channel).expect("the channel").send_text(now, text.to_owned()).unwrap();
    }

    fn next(&mut self, of: usize) -> u16 {
        let seq = &mut self.seq[of];
        *seq += 1;
        *seq
    }

    fn write(&mut self, now: Instant, sender: RTCRtpSenderId, header: rtp::Header, payload: &[u8]) {
        let packet = rtp::Packet { header, payload: Bytes::copy_from_slice(payload) };
        self.pc.rtp_sender(sender).expect("a sender").write_rtp(now, packet).unwrap();
    }

    fn look(&mut self) {
        while let Some(event) = self.pc.poll_event() {
            match event {
                RTCPeerConnectionEvent::OnConnectionStateChangeEvent(state) => {
                    self.connected = state == RTCPeerConnectionState::Connected;
                }
                RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) => {
                    self.channel = Some(id);
                }
                _ => {}
            }
        }
        while let Some(TaggedRTCMessage { message, .. }) = self.pc.poll_read() {
            match message {
                RTCMessage::RtpPacket(_, packet) => self.heard.push(Heard::Rtp(packet)),
                RTCMessage::RtcpPacket(_, packets) => {
                    self.heard.extend(packets.iter().map(|p| Heard::Rtcp(name_of(p.as_ref()))));
                }
                RTCMessage::DataChannelMessage(_, message) => {
                    self.heard.push(Heard::Text(String::from_utf8(message.data.to_vec()).unwrap()));
                }
                _ => {}
            }
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { address, connected, channel, heard, refused, .. } = self;
        f.debug_struct("Client")
            .field("address", address)
            .field("connected", connected)
            .field("channel", channel)
            .field("heard", heard)
            .field("refused", refused)
            .finish_non_exhaustive()
    }
}

fn name_of(packet: &dyn rtcp::Packet) -> String {
    format!("{:?} {packet:?}", packet.header().packet_type)
}

fn header(payload_type: u8, ssrc: u32, sequence_number: u16, timestamp: u32, marker: bool) -> rtp::Header {
    rtp::Header { version: 2, payload_type, ssrc, sequence_number, timestamp, marker, ..Default::default() }
}

fn track(kind: RtpCodecKind, ssrc: u32, codec: RTCRtpCodec) -> MediaStreamTrack {
    let coding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(ssrc), ..Default::default() },
        codec,
        ..Default::default()
    };
    let name = kind.to_string();
    MediaStreamTrack::new("own".to_owned(), name.clone(), name, kind, vec![coding])
}

fn opus() -> RTCRtpCodec {
    let fmtp = "minptime=10;useinbandfec=1".to_owned();
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: 48_000,
        channels: 2,
        sdp_fmtp_line: fmtp,
        rtcp_feedback: vec![],
    }
}

fn vp8() -> RTCRtpCodec {
    let feedback = [("nack", ""), ("nack", "pli"), ("transport-cc", "")];
    let rtcp_feedback = feedback
        .map(|(typ, parameter)| RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() });
    RTCRtpCodec {
        mime_type: MIME_TYPE_VP8.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: String::new(),
        rtcp_feedback: rtcp_feedback.to_vec(),
    }
}

fn rtx() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: "video/rtx".to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: "apt=100".to_owned(),
        rtcp_feedback: vec![],
    }
}

const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
