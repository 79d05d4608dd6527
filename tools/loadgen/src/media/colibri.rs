//! What a focus asks of a bridge, over HTTP: endpoints in, their transports out. The same for any bridge.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jitsi_xmpp::colibri2::{
    self, ConferenceModified, ConferenceModify, Endpoint, Media, MediaSource, Sctp, capability,
};
use jitsi_xmpp::ids::{EndpointId, MediaType, MeetingId, SourceName, Ssrc};
use jitsi_xmpp::jingle::{
    Candidate, Fingerprint, HeaderExtension, IceUdpTransport, Parameter, PayloadType, RtcpFeedback,
    Semantics, Setup, Source, SsrcGroup,
};
use jitsi_xmpp::{BareJid, Sensitive};

use super::limits;
use super::rtp::{AUDIO_LEVEL, OPUS, RTX, TRANSPORT_CC, VP8};

/// One bridge's private HTTP interface.
#[derive(Clone)]
pub(crate) struct Bridge {
    agent: ureq::Agent,
    base: String,
    /// The value of `Authorization`; a stock bridge reads none.
    authorization: String,
}

impl Bridge {
    pub(crate) fn new(base: &str, token_file: Option<&std::path::Path>) -> Result<Self> {
        if !base.starts_with("http://") {
            bail!("--bridge takes a URL that starts with http://");
        }
        let token = match token_file {
            Some(file) => {
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
            }
            None => "none".to_owned(),
        };
        let authorization = format!("Bearer {}", token.trim());
        Ok(Self { agent: agent(limits::REQUEST), base: base.trim_end_matches('/').to_owned(), authorization })
    }

    /// The same bridge, with less patience.
    pub(crate) fn hurried(&self) -> Self {
        Self { agent: agent(limits::LAST_REQUEST), ..self.clone() }
    }

    /// One request and its answer.
    pub(crate) fn modify(&self, modify: &ConferenceModify) -> Result<ConferenceModified> {
        let body = modify.to_json().to_string();
        let response = if modify.create {
            self.agent
                .post(format!("{}/colibri/v2/conferences", self.base))
                .header("Authorization", &self.authorization)
                .content_type("application/json")
                .send(body)
        } else {
            let id = modify.meeting_id.as_str();
            self.agent
                .patch(format!("{}/colibri/v2/conferences/{id}", self.base))
                .header("Authorization", &self.authorization)
                .content_type("application/json")
                .send(body)
        };
        let mut response =
            response.map_err(|e| anyhow::anyhow!("the bridge at {} does not answer: {e}", self.base))?;
        let text = response
            .body_mut()
            .with_config()
            .limit(limits::ANSWER)
            .read_to_string()
            .with_context(|| format!("the answer of the bridge at {} broke off", self.base))?;
        let status = response.status();
        if !status.is_success() {
            let why: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
            bail!("the bridge at {} refused a request: {} {why}", self.base, status.as_u16());
        }
        ConferenceModified::from_json(&text)
            .with_context(|| format!("the bridge at {} gave an answer that is no Colibri2", self.base))
    }

    /// Lets endpoints go. Returns whether the bridge answered that it did.
    pub(crate) fn expire(&self, meeting: &str, endpoints: impl IntoIterator<Item = String>) -> bool {
        let mut modify = ConferenceModify::new(MeetingId::new(meeting));
        modify.endpoints = endpoints
            .into_iter()
            .map(|id| Endpoint { expire: true, ..Endpoint::new(EndpointId::new(id)) })
            .collect();
        modify.endpoints.is_empty() || self.modify(&modify).is_ok()
    }
}

fn agent(patience: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(patience / 2))
        .timeout_global(Some(patience))
        .http_status_as_error(false)
        .build();
    config.into()
}

/// What an endpoint offers and can.
#[derive(Debug, Clone)]
pub(crate) struct Capabilities {
    pub(crate) ssrc_rewriting: bool,
    pub(crate) transport_cc: bool,
}

/// The request that makes an endpoint, and with `create` its conference.
pub(crate) fn create(meeting: &str, create: bool, id: &str, can: &Capabilities) -> ConferenceModify {
    let mut modify = ConferenceModify::new(MeetingId::new(meeting));
    modify.create = create;
    modify.name = create.then(|| format!("{meeting}@conference.load.test").parse::<BareJid>().ok()).flatten();
    let mut capabilities = vec![capability::SOURCE_NAMES.to_owned()];
    if can.ssrc_rewriting {
        capabilities.push(capability::SSRC_REWRITING.to_owned());
    }
    modify.endpoints.push(Endpoint {
        create: true,
        capabilities,
        transport: Some(colibri2::Transport {
            ice_controlling: true,
            sctp: Some(Sctp::default()),
            ..Default::default()
        }),
        media: media(can),
        ..Endpoint::new(EndpointId::new(id))
    });
    modify
}

/// The request that tells the bridge our side of the transport and our sources.
pub(crate) fn accept(
    meeting: &str,
    id: &str,
    credentials: &(String, String),
    fingerprint: &str,
    sources: Vec<MediaSource>,
) -> ConferenceModify {
    let mut modify = ConferenceModify::new(MeetingId::new(meeting));
    let ice = IceUdpTransport {
        ufrag: Some(credentials.0.clone()),
        pwd: Some(Sensitive::new(credentials.1.clone())),
        rtcp_mux: true,
        fingerprints: vec![Fingerprint {
            hash: "sha-256".to_owned(),
            value: fingerprint.to_owned(),
            setup: Some(Setup::Active),
            required: None,
            cryptex: false,
        }],
        ..Default::default()
    };
    modify.endpoints.push(Endpoint {
        transport: Some(colibri2::Transport { ice: Some(ice), ..Default::default() }),
        sources: Some(sources),
        ..Endpoint::new(EndpointId::new(id))
    });
    modify
}

/// What the bridge said about its side.
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    /// SHA-256.
    pub(crate) fingerprint: String,
}

pub(crate) fn remote(answer: &ConferenceModified) -> Result<Remote> {
    let transport = answer.endpoints.first().and_then(|e| e.transport.as_ref()?.ice.as_ref());
    let ice = transport.context("the bridge's answer has no transport")?;
    let fingerprint = ice.fingerprints.iter().find(|f| f.hash.eq_ignore_ascii_case("sha-256"));
    // Host candidates first: a mapped address may lead out of the machine and back.
    let usable = |c: &Candidate| {
        let ip: IpAddr = c.ip.reveal().parse().ok()?;
        let udp = c.protocol.eq_ignore_ascii_case("udp");
        (udp && ip.is_ipv4()).then(|| (c.priority, SocketAddr::new(ip, c.port)))
    };
    let candidate = ice.candidates.iter().filter_map(usable).max_by_key(|(priority, _)| *priority);
    Ok(Remote {
        address: candidate.context("the bridge has no UDP candidate with an IPv4 address")?.1,
        ufrag: ice.ufrag.clone().context("the bridge has no ufrag")?,
        pwd: ice.pwd.as_ref().context("the bridge has no pwd")?.reveal().clone(),
        fingerprint: fingerprint.context("the bridge has no SHA-256 fingerprint")?.value.clone(),
    })
}

fn media(can: &Capabilities) -> Vec<Media> {
    let feedback = |kind: &str, subtype: Option<&str>| RtcpFeedback {
        kind: kind.to_owned(),
        subtype: subtype.map(str::to_owned),
    };
    let codec = |id, name: &str, clockrate, channels, parameters, rtcp_fbs| PayloadType {
        id,
        name: name.to_owned(),
        clockrate,
        channels,
        parameters,
        rtcp_fbs,
        trr_int: None,
    };
    let parameter =
        |name: &str, value: &str| Parameter { name: Some(name.to_owned()), value: value.to_owned() };
    let extension = |id, uri: &str| HeaderExtension { id, uri: uri.to_owned(), senders: None };
    let cc: Vec<_> = can.transport_cc.then(|| feedback("transport-cc", None)).into_iter().collect();
    let cc_extension: Vec<_> =
        can.transport_cc.then(|| extension(TRANSPORT_CC, TRANSPORT_CC_URI)).into_iter().collect();
    let video = [
        cc.clone(),
        vec![feedback("ccm", Some("fir")), feedback("nack", None), feedback("nack", Some("pli"))],
    ];
    vec![
        Media {
            kind: MediaType::Audio,
            payload_types: vec![codec(
                OPUS,
                "opus",
                48_000,
                2,
                vec![parameter("minptime", "10"), parameter("useinbandfec", "1")],
                cc,
            )],
            header_extensions: [vec![extension(AUDIO_LEVEL, AUDIO_LEVEL_URI)], cc_extension.clone()].concat(),
            extmap_allow_mixed: true,
        },
        Media {
            kind: MediaType::Video,
            payload_types: vec![
                codec(VP8, "VP8", 90_000, 1, vec![], video.concat()),
                codec(RTX, "rtx", 90_000, 1, vec![parameter("apt", &VP8.to_string())], vec![]),
            ],
            header_extensions: cc_extension,
            extmap_allow_mixed: true,
        },
    ]
}

/// A camera: encodings lowest first, each SSRC with that of its retransmissions.
pub(crate) fn video_source(name: &str, encodings: &[(u32, u32)]) -> MediaSource {
    let mut video = MediaSource::new(MediaType::Video, SourceName::new(name));
    if encodings.len() > 1 {
        let ssrcs = encodings.iter().map(|(ssrc, _)| Ssrc(*ssrc)).collect();
        video.ssrc_groups.push(SsrcGroup { semantics: Semantics::Sim, ssrcs });
    }
    for (ssrc, rtx) in encodings {
        video.sources.extend([source(name, *ssrc), source(name, *rtx)]);
        video.ssrc_groups.push(SsrcGroup { semantics: Semantics::Fid, ssrcs: vec![Ssrc(*ssrc), Ssrc(*rtx)] });
    }
    video
}

fn source(name: &str, ssrc: u32) -> Source {
    Source { name: Some(SourceName::new(name)), ..Source::new(Ssrc(ssrc)) }
}

pub(crate) const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
pub(crate) const TRANSPORT_CC_URI: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
