//! The offer: a client's features and the configuration in, payload types, header extensions and the complete
//! `session-initiate` out (focus §4).

use std::collections::BTreeMap;

use jitsi_xmpp::colibri2;
use jitsi_xmpp::ids::{EndpointId, MediaType, SessionId, SourceName, Ssrc};
use jitsi_xmpp::jingle::{
    Action, BridgeSession, Content, Group, HeaderExtension, IceUdpTransport, Jingle, Parameter, PayloadType,
    RtcpFeedback, RtpDescription, SctpMap, Senders,
};
use jitsi_xmpp::{FullJid, presence};

use super::wire::{SourceMessage, source_message};
use crate::config::{Config, VideoCodec};
use crate::features::Features;
use crate::sources::{ByOwner, Filter, Source, SourceSet};

/// What one client is offered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Offer {
    pub(crate) audio: Option<RtpDescription>,
    pub(crate) video: Option<RtpDescription>,
    pub(crate) data: bool,
    /// Remote streams come from the bridge alone; no sources of others are signalled.
    pub(crate) rewriting: bool,
    pub(crate) json: bool,
    strip_simulcast: bool,
}

/// What goes into a `session-initiate` beside the offer.
pub(crate) struct Initiate<'a> {
    pub(crate) initiator: &'a FullJid,
    pub(crate) sid: SessionId,
    pub(crate) transport: &'a IceUdpTransport,
    pub(crate) bridge_session: &'a str,
    pub(crate) region: Option<&'a str>,
    pub(crate) feedback: &'a SourceSet,
    pub(crate) others: &'a ByOwner,
    pub(crate) start_muted: presence::StartMuted,
}

impl Offer {
    pub(crate) fn new(config: &Config, features: Features) -> Self {
        let tcc = config.offer.tcc && features.tcc;
        let feedback = Feedback { remb: features.remb && !tcc, tcc };
        Self {
            audio: features.audio.then(|| audio(config, features, tcc)),
            video: features.video.then(|| video(config, features, feedback)),
            data: config.sctp && features.sctp,
            rewriting: config.ssrc_rewriting && features.ssrc_rewriting,
            json: config.json_sources && features.json_sources,
            strip_simulcast: config.strip_simulcast,
        }
    }

    /// What of the others' sources this client is told.
    pub(crate) const fn filter(&self) -> Filter {
        Filter {
            audio: self.audio.is_some(),
            video: self.video.is_some(),
            strip_simulcast: self.strip_simulcast,
        }
    }

    /// The same for the bridge.
    pub(crate) fn media(&self) -> Vec<colibri2::Media> {
        let of = |kind, d: &Option<RtpDescription>| {
            d.as_ref().map(|d| {
                let mut m = colibri2::Media::new(kind);
                m.payload_types.clone_from(&d.payload_types);
                m.header_extensions.clone_from(&d.header_extensions);
                m.extmap_allow_mixed = d.extmap_allow_mixed;
                m
            })
        };
        of(MediaType::Audio, &self.audio).into_iter().chain(of(MediaType::Video, &self.video)).collect()
    }

    /// The `session-initiate`. The bridge's transport is copied into every content (focus §4.8).
    pub(crate) fn initiate(&self, with: &Initiate<'_>) -> Jingle {
        let mut jingle = Jingle::new(Action::SessionInitiate, with.sid.clone());
        jingle.initiator = Some(with.initiator.as_jid().clone());
        let mut add = |name: &str, description: Option<RtpDescription>, transport: IceUdpTransport| {
            let mut content = Content::new(name);
            content.senders = Some(Senders::Both);
            content.description = description;
            content.transport = Some(transport);
            jingle.contents.push(content);
        };
        for description in self.audio.iter().chain(&self.video) {
            add(&description.media, Some(description.clone()), with.transport.clone());
        }
        if self.data {
            let mut description = RtpDescription::new("application");
            description.rtcp_mux = true;
            let transport = IceUdpTransport { sctp_map: Some(SctpMap::offered()), ..with.transport.clone() };
            add("data", Some(description), transport);
        }
        jingle.group = Some(Group::bundle(jingle.contents.iter().map(|c| c.name.clone())));
        if with.start_muted != presence::StartMuted::default() {
            jingle.start_muted = Some(with.start_muted);
        }
        jingle.bridge_session = Some(BridgeSession {
            id: Some(with.bridge_session.to_owned()),
            region: with.region.map(str::to_owned),
            ..BridgeSession::default()
        });
        let mut sources: ByOwner = if self.rewriting { BTreeMap::new() } else { with.others.clone() };
        let feedback = SourceSet {
            sources: with.feedback.sources.iter().filter(|s| self.has(s.media)).cloned().collect(),
            groups: Vec::new(),
        };
        if !feedback.is_empty() {
            // Somebody may be called like the bridge: it keeps its own sources beside the bridge's.
            sources.entry(EndpointId::new(BRIDGE)).or_default().sources.extend(feedback.sources);
        }
        match source_message(&sources, self.json) {
            SourceMessage::Json(json) => jingle.json_sources = Some(json),
            SourceMessage::Xml(contents) => {
                for from in contents {
                    let into = jingle.contents.iter_mut().find(|c| c.name == from.name);
                    if let (Some(into), Some(from)) =
                        (into.and_then(|c| c.description.as_mut()), from.description)
                    {
                        into.sources = from.sources;
                        into.ssrc_groups = from.ssrc_groups;
                    }
                }
            }
        }
        jingle
    }

    const fn has(&self, media: MediaType) -> bool {
        match media {
            MediaType::Audio => self.audio.is_some(),
            MediaType::Video => self.video.is_some(),
        }
    }
}

/// A source of the bridge itself, with the labels that clients know (focus §4.6).
pub(crate) fn feedback_source(media: MediaType, ssrc: Ssrc, name: SourceName) -> Source {
    let msid = match media {
        MediaType::Audio => "mixedmslabel mixedlabelaudio0",
        MediaType::Video => "mixedmslabel mixedlabelvideo0",
    };
    Source { ssrc, media, name: Some(name), msid: Some(msid.into()), video_type: None }
}

fn audio(config: &Config, features: Features, tcc: bool) -> RtpDescription {
    let o = &config.offer;
    let mut d = RtpDescription::new("audio");
    d.maxptime = Some(60);
    if let Some(red) = o.opus_red
        && features.opus_red
    {
        let mut p = PayloadType::new(red, "red", 48_000, 2);
        p.parameters.push(Parameter { name: None, value: format!("{0}/{0}", o.opus) });
        d.payload_types.push(p);
    }
    let mut opus = PayloadType::new(o.opus, "opus", 48_000, 2);
    opus.parameters.push(Parameter::new("minptime", "10"));
    if o.opus_red.is_none() {
        opus.parameters.push(Parameter::new("useinbandfec", "1"));
    }
    if tcc {
        opus.rtcp_fbs.push(RtcpFeedback::new("transport-cc", None));
    }
    d.payload_types.push(opus);
    if o.telephone_event > 0 {
        d.payload_types.push(PayloadType::new(o.telephone_event, "telephone-event", 8_000, 1));
    }
    extensions(&mut d, &[(o.audio_level, 1, AUDIO_LEVEL), (o.mid, 10, MID), (tcc, 5, TCC)]);
    d.extmap_allow_mixed = o.extmap_allow_mixed;
    d.rtcp_mux = true;
    d
}

#[derive(Debug, Clone, Copy)]
struct Feedback {
    remb: bool,
    tcc: bool,
}

fn video(config: &Config, features: Features, feedback: Feedback) -> RtpDescription {
    let o = &config.offer;
    let mut d = RtpDescription::new("video");
    let codecs = [("AV1", o.av1), ("VP8", o.vp8), ("H264", o.h264), ("VP9", o.vp9)];
    for (name, codec) in codecs.iter().filter(|(_, c)| c.pt > 0) {
        let mut p = PayloadType::new(codec.pt, *name, 90_000, 1);
        if *name == "H264" {
            // compat: one parameter with the whole format line, as clients have always been sent it
            // (test: compat_h264_is_offered_with_one_parameter).
            p.parameters.push(Parameter::new("profile-level-id", H264_PROFILE));
        }
        p.rtcp_fbs = loss_feedback();
        if feedback.remb {
            p.rtcp_fbs.push(RtcpFeedback::new("goog-remb", None));
        }
        if feedback.tcc {
            p.rtcp_fbs.push(RtcpFeedback::new("transport-cc", None));
        }
        d.payload_types.push(p);
    }
    if features.rtx {
        for (name, VideoCodec { pt, rtx_pt }) in
            [("AV1", o.av1), ("VP8", o.vp8), ("VP9", o.vp9), ("H264", o.h264)]
        {
            if pt == 0 || rtx_pt == 0 {
                continue;
            }
            let mut p = PayloadType::new(rtx_pt, "rtx", 90_000, 1);
            p.parameters.push(Parameter::new("apt", pt.to_string()));
            if name != "H264" {
                p.rtcp_fbs = loss_feedback();
            }
            d.payload_types.push(p);
        }
    }
    extensions(
        &mut d,
        &[
            (o.dependency_descriptor, 11, DEPENDENCY_DESCRIPTOR),
            (o.mid, 10, MID),
            (o.abs_send_time, 3, ABS_SEND_TIME),
            (feedback.tcc, 5, TCC),
        ],
    );
    d.extmap_allow_mixed = o.extmap_allow_mixed;
    d.rtcp_mux = true;
    d
}

fn loss_feedback() -> Vec<RtcpFeedback> {
    vec![
        RtcpFeedback::new("ccm", Some("fir")),
        RtcpFeedback::new("nack", None),
        RtcpFeedback::new("nack", Some("pli")),
    ]
}

fn extensions(d: &mut RtpDescription, list: &[(bool, u8, &str)]) {
    d.header_extensions =
        list.iter().filter(|(on, ..)| *on).map(|(_, id, uri)| HeaderExtension::new(*id, *uri)).collect();
}

/// Owner of the bridge's own sources.
const BRIDGE: &str = "jvb";
const H264_PROFILE: &str = "42e01f;level-asymmetry-allowed=1;packetization-mode=1;";
const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const TCC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
const DEPENDENCY_DESCRIPTOR: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
