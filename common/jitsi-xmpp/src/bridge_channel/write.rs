//! Writing of bridge channel messages: `colibriClass` first, members in upstream's order, everything escaped.

use serde_json::{Map, Value};

use super::{AudioSubscription, BridgeMessage, ClientMessage, ReceiverVideoConstraints, VideoConstraints};
use crate::jingle::VideoType;

impl ClientMessage {
    /// The text on the wire.
    pub fn to_json(&self) -> String {
        match self {
            Self::ClientHello => Json::class("ClientHello"),
            Self::ReceiverVideoConstraints(c) => receiver_video_constraints(c),
            Self::LastNChanged { last_n } => Json::class("LastNChangedEvent").number("lastN", last_n),
            Self::ReceiverAudioSubscription(AudioSubscription { all, include, exclude }) => {
                Json::class("ReceiverAudioSubscription")
                    .number("all", all)
                    .texts("include", include.iter().map(|n| n.as_str()))
                    .texts("exclude", exclude.iter().map(|n| n.as_str()))
            }
            Self::SourceVideoType(s) => Json::class("SourceVideoTypeMessage")
                .text("sourceName", s.source_name.as_str())
                .text("videoType", s.video_type.as_str()),
            Self::VideoType(v) => Json::class("VideoTypeMessage").text("videoType", v.as_str()),
            Self::EndpointMessage(m) => Json::class("EndpointMessage").text("to", &m.to).members(&m.other),
            Self::EndpointStats(s) => Json::class("EndpointStats").members(&s.other),
            Self::Unknown { class } => Json::class(class),
        }
        .end()
    }
}

impl BridgeMessage {
    /// The text on the wire.
    pub fn to_json(&self) -> String {
        match self {
            Self::AddReceiver { bridge_id, source_name, video_constraints } => Json::class("AddReceiver")
                .text("bridgeId", bridge_id)
                .text("sourceName", source_name.as_str())
                .object("videoConstraints", |j| {
                    // As upstream's: with a point.
                    let rate = format!("{:?}", video_constraints.max_frame_rate);
                    j.number("maxHeight", &video_constraints.max_height).number("maxFrameRate", &rate)
                }),
            Self::ClientHello => Json::class("ClientHello"),
            Self::RemoveReceiver { bridge_id, endpoint } => Json::class("RemoveReceiver")
                .text("bridgeId", bridge_id)
                .text("endpointId", endpoint.as_str()),
            Self::SourceVideoType { endpoint, source } => Json::class("SourceVideoTypeMessage")
                .text("videoType", upper(source.video_type))
                .text("endpointId", endpoint.as_str())
                .text("sourceName", source.source_name.as_str()),
            Self::ServerHello { version } => {
                Json::class("ServerHello").optional_text("version", version.as_deref())
            }
            Self::ConnectionStats { estimated_downlink_bandwidth } => Json::class("ConnectionStats")
                .number("estimatedDownlinkBandwidth", estimated_downlink_bandwidth),
            Self::DominantSpeaker { dominant_speaker, previous_speakers, silence } => {
                Json::class("DominantSpeakerEndpointChangeEvent")
                    .text("dominantSpeakerEndpoint", dominant_speaker.as_str())
                    .texts("previousSpeakers", previous_speakers.iter().map(|e| e.as_str()))
                    .number("silence", silence)
            }
            Self::EndpointConnectivityStatus { endpoint, active } => {
                Json::class("EndpointConnectivityStatusChangeEvent")
                    .text("endpoint", endpoint.as_str())
                    // compat: a string (test: compat_connectivity_is_told_as_a_string).
                    .text("active", if *active { "true" } else { "false" })
            }
            Self::EndpointMessage(m) => Json::class("EndpointMessage")
                .optional_text("from", m.from.as_ref().map(|f| f.as_str()))
                .text("to", &m.to)
                .members(&m.other),
            Self::EndpointStats(s) => Json::class("EndpointStats")
                .optional_text("from", s.from.as_ref().map(|f| f.as_str()))
                .members(&s.other),
            Self::ForwardedSources { forwarded_sources } => Json::class("ForwardedSources")
                .texts("forwardedSources", forwarded_sources.iter().map(|n| n.as_str())),
            Self::SenderSourceConstraints { source_name, max_height } => {
                Json::class("SenderSourceConstraints")
                    .text("sourceName", source_name.as_str())
                    .number("maxHeight", max_height)
            }
            Self::VideoSourcesMap { mapped_sources } => {
                Json::class("VideoSourcesMap").objects("mappedSources", mapped_sources, |j, s| {
                    j.text("source", s.source.as_str())
                        .text("owner", s.owner.as_str())
                        .number("ssrc", &s.ssrc.0)
                        .number("rtx", &s.rtx.0)
                        .text("videoType", upper(s.video_type))
                        .optional_text("mid", s.mid.as_deref())
                })
            }
            Self::AudioSourcesMap { mapped_sources } => {
                Json::class("AudioSourcesMap").objects("mappedSources", mapped_sources, |j, s| {
                    j.text("source", s.source.as_str())
                        .text("owner", s.owner.as_str())
                        .number("ssrc", &s.ssrc.0)
                        .optional_text("mid", s.mid.as_deref())
                })
            }
            Self::SyntheticSourceSending { source_name, sending, timestamp } => {
                Json::class("SyntheticSourceSendingChangeEvent")
                    .text("sourceName", source_name.as_str())
                    .number("sending", sending)
                    .number("timestamp", timestamp)
            }
            Self::Unknown { class } => Json::class(class),
        }
        .end()
    }
}

fn receiver_video_constraints(c: &ReceiverVideoConstraints) -> Json {
    let mut j = Json::class("ReceiverVideoConstraints");
    if let Some(b) = &c.assumed_bandwidth_bps {
        j = j.number("assumedBandwidthBps", b);
    }
    if let Some(n) = &c.last_n {
        j = j.number("lastN", n);
    }
    if let Some(s) = &c.selected_sources {
        j = j.texts("selectedSources", s.iter().map(|n| n.as_str()));
    }
    if let Some(s) = &c.on_stage_sources {
        j = j.texts("onStageSources", s.iter().map(|n| n.as_str()));
    }
    if let Some(d) = &c.default_constraints {
        j = j.object("defaultConstraints", |j| constraints(j, d));
    }
    if let Some(map) = &c.constraints {
        j = j.object("constraints", |j| {
            map.iter().fold(j, |j, (name, c)| j.object(name.as_str(), |j| constraints(j, c)))
        });
    }
    j
}

fn constraints(j: Json, c: &VideoConstraints) -> Json {
    let j = j.number("maxHeight", &c.max_height);
    if c.max_frame_rate >= 0.0 { j.number("maxFrameRate", &c.max_frame_rate) } else { j }
}

/// In source maps, and between bridges, the type is written in upper case.
fn upper(v: VideoType) -> &'static str {
    match v {
        VideoType::Camera => "CAMERA",
        VideoType::Desktop => "DESKTOP",
        VideoType::DesktopHighFps => "DESKTOP_HIGH_FPS",
        VideoType::None => "NONE",
    }
}

/// A JSON object under construction.
struct Json {
    text: String,
    empty: bool,
}

impl Json {
    fn class(class: &str) -> Self {
        Self { text: String::from("{"), empty: true }.text("colibriClass", class)
    }

    fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }

    fn key(&mut self, key: &str) {
        if !self.empty {
            self.text.push(',');
        }
        self.empty = false;
        quote(key, &mut self.text);
        self.text.push(':');
    }

    fn text(mut self, key: &str, value: &str) -> Self {
        self.key(key);
        quote(value, &mut self.text);
        self
    }

    fn optional_text(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(v) => self.text(key, v),
            None => self,
        }
    }

    /// Numbers and booleans: their text is their JSON.
    fn number(mut self, key: &str, value: &impl std::fmt::Display) -> Self {
        self.key(key);
        self.text.push_str(&value.to_string());
        self
    }

    fn texts<'a>(mut self, key: &str, values: impl Iterator<Item = &'a str>) -> Self {
        self.key(key);
        self.text.push('[');
        for (i, v) in values.enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            quote(v, &mut self.text);
        }
        self.text.push(']');
        self
    }

    fn object(mut self, key: &str, fill: impl FnOnce(Self) -> Self) -> Self {
        self.key(key);
        self.nested(fill)
    }

    fn objects<T>(mut self, key: &str, items: &[T], fill: impl Fn(Self, &T) -> Self) -> Self {
        self.key(key);
        self.text.push('[');
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            self = self.nested(|j| fill(j, item));
        }
        self.text.push(']');
        self
    }

    fn nested(mut self, fill: impl FnOnce(Self) -> Self) -> Self {
        self.text.push('{');
        self.empty = true;
        let mut done = fill(self);
        done.text.push('}');
        done.empty = false;
        done
    }

    fn members(mut self, map: &Map<String, Value>) -> Self {
        for (k, v) in map {
            self.key(k);
            self.text.push_str(&v.to_string());
        }
        self
    }
}

fn quote(s: &str, out: &mut String) {
    out.push_str(&Value::from(s).to_string());
}
