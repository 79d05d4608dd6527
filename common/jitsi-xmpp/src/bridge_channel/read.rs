//! Parsing of bridge channel messages. Tolerant: unknown members are ignored, whole numbers may be written as
//! fractions, enums in any case; but no member stands twice. (Upstream refuses unknown members; nobody relies on that.)

use serde_json::{Map, Value};

use super::{
    AudioSourceMapping, AudioSubscription, BridgeMessage, ChannelError, ClientMessage, EndpointMessage,
    EndpointStats, ReceiverVideoConstraints, SourceVideoType, VideoConstraints, VideoSourceMapping,
};
use crate::ids::{EndpointId, SourceName, Ssrc};
use crate::jingle::VideoType;
use crate::json;
use crate::limits::{MAX_CHANNEL_MESSAGE_BYTES, MAX_CHANNEL_NAMES, MAX_ID_BYTES};

type Result<T> = std::result::Result<T, ChannelError>;

impl ClientMessage {
    /// Reads one message of a client. A `from` that the client wrote is dropped.
    pub fn parse(text: &str) -> Result<Self> {
        let (class, mut m) = object(text)?;
        Ok(match class.as_str() {
            "ClientHello" => Self::ClientHello,
            "ReceiverVideoConstraints" => Self::ReceiverVideoConstraints(ReceiverVideoConstraints {
                last_n: m.integer("lastN")?,
                selected_sources: m.names("selectedSources")?,
                on_stage_sources: m.names("onStageSources")?,
                default_constraints: m
                    .value("defaultConstraints")
                    .map(|v| video_constraints(v, "defaultConstraints"))
                    .transpose()?,
                constraints: m.value("constraints").map(constraints).transpose()?,
                assumed_bandwidth_bps: m.integer("assumedBandwidthBps")?,
            }),
            "LastNChangedEvent" => {
                Self::LastNChanged { last_n: m.integer("lastN")?.ok_or(ChannelError::Missing("lastN"))? }
            }
            "ReceiverAudioSubscription" => Self::ReceiverAudioSubscription(audio_subscription(&m)?),
            "SourceVideoTypeMessage" => Self::SourceVideoType(SourceVideoType {
                source_name: m.source("sourceName")?,
                video_type: m.video_type("videoType")?,
            }),
            "VideoTypeMessage" => Self::VideoType(m.video_type("videoType")?),
            "EndpointMessage" => {
                m.0.remove("from");
                Self::EndpointMessage(endpoint_message(m)?)
            }
            "EndpointStats" => {
                m.0.remove("from");
                Self::EndpointStats(endpoint_stats(m)?)
            }
            _ => Self::Unknown { class },
        })
    }
}

impl BridgeMessage {
    /// Reads one message of a bridge.
    pub fn parse(text: &str) -> Result<Self> {
        let (class, m) = object(text)?;
        Ok(match class.as_str() {
            "AddReceiver" => Self::AddReceiver {
                bridge_id: m.text("bridgeId")?.ok_or(ChannelError::Missing("bridgeId"))?.to_owned(),
                source_name: m.source("sourceName")?,
                video_constraints: video_constraints(
                    m.value("videoConstraints").ok_or(ChannelError::Missing("videoConstraints"))?,
                    "videoConstraints",
                )?,
            },
            "ClientHello" => Self::ClientHello,
            "RemoveReceiver" => Self::RemoveReceiver {
                bridge_id: m.text("bridgeId")?.ok_or(ChannelError::Missing("bridgeId"))?.to_owned(),
                endpoint: m.endpoint("endpointId")?,
            },
            "SourceVideoTypeMessage" => Self::SourceVideoType {
                endpoint: m.endpoint("endpointId")?,
                source: SourceVideoType {
                    source_name: m.source("sourceName")?,
                    video_type: m.video_type("videoType")?,
                },
            },
            "ServerHello" => Self::ServerHello { version: m.text("version")?.map(str::to_owned) },
            "ConnectionStats" => Self::ConnectionStats {
                estimated_downlink_bandwidth: m
                    .integer("estimatedDownlinkBandwidth")?
                    .ok_or(ChannelError::Missing("estimatedDownlinkBandwidth"))?,
            },
            "DominantSpeakerEndpointChangeEvent" => Self::DominantSpeaker {
                dominant_speaker: m.endpoint("dominantSpeakerEndpoint")?,
                previous_speakers: m
                    .texts("previousSpeakers")?
                    .unwrap_or_default()
                    .into_iter()
                    .map(EndpointId::new)
                    .collect(),
                silence: m.boolean("silence")?.unwrap_or(false),
            },
            "EndpointConnectivityStatusChangeEvent" => Self::EndpointConnectivityStatus {
                endpoint: m.endpoint("endpoint")?,
                active: match m.value("active") {
                    Some(Value::Bool(b)) => *b,
                    Some(Value::String(s)) => s == "true",
                    _ => return Err(ChannelError::Missing("active")),
                },
            },
            "EndpointMessage" => Self::EndpointMessage(endpoint_message(m)?),
            "EndpointStats" => Self::EndpointStats(endpoint_stats(m)?),
            "ForwardedSources" => Self::ForwardedSources {
                forwarded_sources: m
                    .names("forwardedSources")?
                    .ok_or(ChannelError::Missing("forwardedSources"))?,
            },
            "SenderSourceConstraints" => Self::SenderSourceConstraints {
                source_name: m.source("sourceName")?,
                max_height: m.integer("maxHeight")?.ok_or(ChannelError::Missing("maxHeight"))?,
            },
            "VideoSourcesMap" => Self::VideoSourcesMap {
                mapped_sources: m.mapped(|s| {
                    Ok(VideoSourceMapping {
                        source: s.source("source")?,
                        owner: s.endpoint("owner")?,
                        ssrc: s.ssrc("ssrc")?,
                        rtx: s.ssrc("rtx")?,
                        video_type: s.video_type("videoType")?,
                        mid: s.text("mid")?.map(str::to_owned),
                    })
                })?,
            },
            "AudioSourcesMap" => Self::AudioSourcesMap {
                mapped_sources: m.mapped(|s| {
                    Ok(AudioSourceMapping {
                        source: s.source("source")?,
                        owner: s.endpoint("owner")?,
                        ssrc: s.ssrc("ssrc")?,
                        mid: s.text("mid")?.map(str::to_owned),
                    })
                })?,
            },
            "SyntheticSourceSendingChangeEvent" => Self::SyntheticSourceSending {
                source_name: m.source("sourceName")?,
                sending: m.boolean("sending")?.unwrap_or(false),
                timestamp: m.integer("timestamp")?.unwrap_or(0),
            },
            _ => Self::Unknown { class },
        })
    }
}

fn object(text: &str) -> Result<(String, Members)> {
    if text.len() > MAX_CHANNEL_MESSAGE_BYTES {
        return Err(ChannelError::TooLarge);
    }
    let Some(Value::Object(mut m)) = json::parse(text) else { return Err(ChannelError::NotAMessage) };
    let Some(Value::String(class)) = m.remove("colibriClass") else { return Err(ChannelError::NotAMessage) };
    Ok((class.chars().take(64).collect(), Members(m)))
}

fn endpoint_message(mut m: Members) -> Result<EndpointMessage> {
    let from = m.text("from")?.map(EndpointId::new);
    let to = m.text("to")?.ok_or(ChannelError::Missing("to"))?.to_owned();
    m.0.remove("from");
    m.0.remove("to");
    Ok(EndpointMessage { from, to, other: m.0 })
}

fn endpoint_stats(mut m: Members) -> Result<EndpointStats> {
    let from = m.text("from")?.map(EndpointId::new);
    m.0.remove("from");
    Ok(EndpointStats { from, other: m.0 })
}

fn constraints(v: &Value) -> Result<std::collections::BTreeMap<SourceName, VideoConstraints>> {
    const WHAT: &str = "constraints";
    let map = v.as_object().ok_or(ChannelError::Invalid(WHAT))?;
    if map.len() > MAX_CHANNEL_NAMES {
        return Err(ChannelError::TooLarge);
    }
    map.iter().map(|(k, v)| Ok((SourceName::new(bounded(k, WHAT)?), video_constraints(v, WHAT)?))).collect()
}

fn video_constraints(v: &Value, what: &'static str) -> Result<VideoConstraints> {
    let m = v.as_object().ok_or(ChannelError::Invalid(what))?;
    let number = |k: &str| match m.get(k) {
        None | Some(Value::Null) => Ok(-1.0),
        Some(v) => v.as_f64().ok_or(ChannelError::Invalid(what)),
    };
    let (height, rate) = (number("maxHeight")?, number("maxFrameRate")?);
    if !(-1.0..=f64::from(i32::MAX)).contains(&height) || (rate < 0.0 && rate != -1.0) {
        return Err(ChannelError::Invalid(what));
    }
    Ok(VideoConstraints { max_height: height as i32, max_frame_rate: rate })
}

/// Reads both forms.
fn audio_subscription(m: &Members) -> Result<AudioSubscription> {
    if let Some(mode) = m.text("mode")? {
        let list = m.names("list")?.unwrap_or_default();
        return match mode.to_ascii_lowercase().as_str() {
            "all" => Ok(AudioSubscription { all: true, ..AudioSubscription::default() }),
            "none" => Ok(AudioSubscription::default()),
            "include" => Ok(AudioSubscription { include: list, ..AudioSubscription::default() }),
            "exclude" => Ok(AudioSubscription { all: true, exclude: list, include: Vec::new() }),
            _ => Err(ChannelError::Invalid("mode")),
        };
    }
    Ok(AudioSubscription {
        all: m.boolean("all")?.unwrap_or(false),
        include: m.names("include")?.unwrap_or_default(),
        exclude: m.names("exclude")?.unwrap_or_default(),
    })
}

fn bounded<'a>(s: &'a str, what: &'static str) -> Result<&'a str> {
    if s.len() > MAX_ID_BYTES { Err(ChannelError::Invalid(what)) } else { Ok(s) }
}

/// A message's members but `colibriClass`.
struct Members(Map<String, Value>);

impl Members {
    /// `null` counts as absent.
    fn value(&self, k: &str) -> Option<&Value> {
        self.0.get(k).filter(|v| !v.is_null())
    }

    fn text(&self, k: &'static str) -> Result<Option<&str>> {
        self.value(k).map(|v| bounded(v.as_str().ok_or(ChannelError::Invalid(k))?, k)).transpose()
    }

    fn boolean(&self, k: &'static str) -> Result<Option<bool>> {
        self.value(k).map(|v| v.as_bool().ok_or(ChannelError::Invalid(k))).transpose()
    }

    fn integer<T: TryFrom<i64>>(&self, k: &'static str) -> Result<Option<T>> {
        self.value(k)
            .map(|v| {
                // Casting a float saturates; a fraction is cut, as upstream's library does.
                let n = v.as_i64().or_else(|| v.as_f64().map(|f| f as i64));
                n.and_then(|n| T::try_from(n).ok()).ok_or(ChannelError::Invalid(k))
            })
            .transpose()
    }

    fn texts(&self, k: &'static str) -> Result<Option<Vec<&str>>> {
        let Some(v) = self.value(k) else { return Ok(None) };
        let list = v.as_array().ok_or(ChannelError::Invalid(k))?;
        if list.len() > MAX_CHANNEL_NAMES {
            return Err(ChannelError::TooLarge);
        }
        list.iter()
            .map(|v| bounded(v.as_str().ok_or(ChannelError::Invalid(k))?, k))
            .collect::<Result<_>>()
            .map(Some)
    }

    fn names(&self, k: &'static str) -> Result<Option<Vec<SourceName>>> {
        Ok(self.texts(k)?.map(|l| l.into_iter().map(SourceName::new).collect()))
    }

    fn source(&self, k: &'static str) -> Result<SourceName> {
        self.text(k)?.map(SourceName::new).ok_or(ChannelError::Missing(k))
    }

    fn endpoint(&self, k: &'static str) -> Result<EndpointId> {
        self.text(k)?.map(EndpointId::new).ok_or(ChannelError::Missing(k))
    }

    fn ssrc(&self, k: &'static str) -> Result<Ssrc> {
        self.integer(k)?.map(Ssrc).ok_or(ChannelError::Missing(k))
    }

    fn video_type(&self, k: &'static str) -> Result<VideoType> {
        let word = self.text(k)?.ok_or(ChannelError::Missing(k))?;
        VideoType::parse_any_case(word).ok_or(ChannelError::Invalid(k))
    }

    fn mapped<T>(&self, read: impl Fn(&Self) -> Result<T>) -> Result<Vec<T>> {
        const K: &str = "mappedSources";
        let list = self.value(K).ok_or(ChannelError::Missing(K))?;
        let list = list.as_array().ok_or(ChannelError::Invalid(K))?;
        if list.len() > MAX_CHANNEL_NAMES {
            return Err(ChannelError::TooLarge);
        }
        list.iter().map(|v| read(&Self(v.as_object().ok_or(ChannelError::Invalid(K))?.clone()))).collect()
    }
}
