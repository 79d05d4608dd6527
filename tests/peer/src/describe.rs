//! Endpoints and sources as the focus describes them to the bridge: ids, SSRCs and credentials in, parts of Colibri2
//! requests out.

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::colibri2::{self, ConferenceModify, Endpoint, Media, MediaSource, Sctp, capability};
use jitsi_xmpp::ids::{EndpointId, MediaType, MeetingId, SourceName, Ssrc};
use jitsi_xmpp::jingle::{
    Fingerprint, HeaderExtension, IceUdpTransport, Parameter, PayloadType, RtcpFeedback, Setup, Source,
};

/// A request about the conference "m1".
pub fn request(create: bool, endpoints: Vec<Endpoint>) -> ConferenceModify {
    ConferenceModify {
        meeting_id: MeetingId::new("m1"),
        name: None,
        create,
        expire: false,
        rtcstats_enabled: true,
        endpoints,
        relays: Vec::new(),
        connects: None,
    }
}

/// An entry that changes nothing yet.
pub fn endpoint(id: &str) -> Endpoint {
    Endpoint::new(EndpointId::new(id))
}

/// As the focus creates a client: opus and VP8, SSRC rewriting, a data channel if wanted.
pub fn new_endpoint(id: &str, sctp: bool) -> Endpoint {
    Endpoint {
        create: true,
        capabilities: vec![capability::SOURCE_NAMES.to_owned(), capability::SSRC_REWRITING.to_owned()],
        transport: Some(colibri2::Transport {
            ice_controlling: true,
            sctp: sctp.then(Sctp::default),
            ..Default::default()
        }),
        media: media(),
        ..endpoint(id)
    }
}

/// Opus (111) with levels, VP8 (100) with retransmissions (96) and transport-wide congestion control.
pub fn media() -> Vec<Media> {
    let mut vp8 = PayloadType::new(100, "VP8", 90_000, 1);
    vp8.rtcp_fbs = vec![
        RtcpFeedback::new("nack", None),
        RtcpFeedback::new("nack", Some("pli")),
        RtcpFeedback::new("transport-cc", None),
    ];
    let mut rtx = PayloadType::new(96, "rtx", 90_000, 1);
    rtx.parameters = vec![Parameter::new("apt", "100")];
    let transport_cc = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
    vec![
        Media {
            kind: MediaType::Audio,
            payload_types: vec![PayloadType::new(111, "opus", 48_000, 2)],
            header_extensions: vec![HeaderExtension::new(1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level")],
            extmap_allow_mixed: true,
        },
        Media {
            kind: MediaType::Video,
            payload_types: vec![vp8, rtx],
            header_extensions: vec![HeaderExtension::new(5, transport_cc)],
            extmap_allow_mixed: true,
        },
    ]
}

/// What a client answered: its side of ICE and DTLS.
pub fn remote_transport(ufrag: &str, pwd: &str, fingerprint: &str, setup: Setup) -> colibri2::Transport {
    colibri2::Transport {
        ice: Some(IceUdpTransport {
            ufrag: Some(ufrag.to_owned()),
            pwd: Some(Sensitive::new(pwd.to_owned())),
            rtcp_mux: true,
            fingerprints: vec![Fingerprint {
                hash: "sha-256".to_owned(),
                value: fingerprint.to_owned(),
                setup: Some(setup),
                required: None,
                cryptex: false,
            }],
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// One audio source with one SSRC.
pub fn audio_source(name: &str, ssrc: u32) -> MediaSource {
    source(MediaType::Audio, name, ssrc)
}

/// One video source with one SSRC.
pub fn video_source(name: &str, ssrc: u32) -> MediaSource {
    source(MediaType::Video, name, ssrc)
}

fn source(kind: MediaType, name: &str, ssrc: u32) -> MediaSource {
    let name = SourceName::new(name);
    let mut all = MediaSource::new(kind, name.clone());
    all.sources.push(Source { name: Some(name), ..Source::new(Ssrc(ssrc)) });
    all
}
