//! What is said to a service outside, and what it says (bridge §10): packets and times in, JSON texts out; and back.
//!
//! The form is VoxImplant's, as upstream's bridge speaks it: numbers that count are texts, levels are numbers. All sources share one clock, which
//! begins when the service is connected with.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jitsi_xmpp::ids::{SourceName, Ssrc};
use serde_json::{Map, Value, json};
use videobridge_core::ExportedAudio;

use crate::limits::SERVICE_STREAMS;

/// Writes for one connection.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    /// Of the last event.
    sequence: u64,
    streams: HashMap<Ssrc, Stream>,
}

/// Where a stream is.
#[derive(Debug)]
struct Stream {
    sequence: Unwrapped<16>,
    timestamp: Unwrapped<32>,
    /// What is added to its own time for the time that all share.
    offset: i64,
}

/// A number that counts on where the one on the wire begins anew.
#[derive(Debug, Clone, Copy)]
struct Unwrapped<const BITS: u32>(i64);

impl<const BITS: u32> Unwrapped<BITS> {
    /// The nearest number that looks like this.
    fn next(&mut self, seen: i64) -> i64 {
        let (all, half) = (1 << BITS, 1 << (BITS - 1));
        let step = (seen - self.0 + half).rem_euclid(all) - half;
        self.0 += step;
        self.0
    }
}

impl Writer {
    /// A packet, `at` so long after the beginning; in front of a stream's first one what it is.
    pub(crate) fn audio(&mut self, at: Duration, audio: &ExportedAudio) -> Vec<String> {
        let mut texts = Vec::with_capacity(2);
        let tag = audio.source.as_str();
        // Sources come and go; those that are still there are told once more.
        if self.streams.len() >= SERVICE_STREAMS && !self.streams.contains_key(&audio.ssrc) {
            self.streams.clear();
        }
        let stream = match self.streams.entry(audio.ssrc) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                self.sequence += 1;
                texts.push(event("start", self.sequence, start(audio)));
                let timestamp = i64::from(audio.timestamp);
                let began = i64::try_from(at.as_micros() * u128::from(CLOCK) / 1_000_000).unwrap_or(0);
                new.insert(Stream {
                    sequence: Unwrapped(i64::from(audio.sequence)),
                    timestamp: Unwrapped(timestamp),
                    offset: began - timestamp,
                })
            }
        };
        let chunk = stream.sequence.next(i64::from(audio.sequence));
        let timestamp = stream.timestamp.next(i64::from(audio.timestamp)) + stream.offset;
        let mut media = json!({
            "tag": tag,
            "chunk": chunk.to_string(),
            "timestamp": timestamp.to_string(),
            "payload": STANDARD.encode(&audio.payload),
        });
        if let (Some(level), Some(media)) = (audio.level, media.as_object_mut()) {
            media.insert("audioLevel".to_owned(), level.level.into());
            media.insert("vad".to_owned(), level.voice.into());
        }
        self.sequence += 1;
        texts.push(event("media", self.sequence, media));
        texts
    }
}

/// What a stream is.
fn start(audio: &ExportedAudio) -> Value {
    let mut start = json!({
        "tag": audio.source.as_str(),
        "mediaFormat": { "encoding": "opus", "sampleRate": CLOCK, "channels": 2 },
        "customParameters": { "endpointId": audio.owner.as_str() },
    });
    if audio.diarize
        && let Some(start) = start.as_object_mut()
    {
        start.insert("diarize".to_owned(), true.into());
    }
    start
}

fn event(name: &str, sequence: u64, about: Value) -> String {
    let mut o = Map::new();
    o.insert("event".to_owned(), name.into());
    o.insert("sequenceNumber".to_owned(), sequence.to_string().into());
    o.insert(name.to_owned(), about);
    Value::from(o).to_string()
}

/// Which sources it is about.
pub(crate) fn sources(exports: &[SourceName], requests: &[SourceName]) -> String {
    let names = |all: &[SourceName]| all.iter().map(|n| n.as_str().to_owned()).collect::<Vec<_>>();
    json!({ "event": "sources", "exports": names(exports), "requests": names(requests) }).to_string()
}

/// Asks for a sign of life.
pub(crate) fn ping(id: u64) -> String {
    json!({ "event": "ping", "id": id }).to_string()
}

/// Nothing more comes.
pub(crate) fn session_end() -> String {
    json!({ "event": "session-end" }).to_string()
}

/// What a service says.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// It wants a sign of life: this is the answer.
    Ping(String),
    /// It gives one.
    Pong,
    /// Somebody said something.
    Transcription(Map<String, Value>),
    /// Audio of its own.
    Media,
    /// What it is.
    Info,
    /// Something else.
    Other,
}

/// Reads what a service says; `None` when it is not JSON of this form.
pub(crate) fn read(text: &str) -> Option<Said> {
    let Ok(Value::Object(mut said)) = serde_json::from_str::<Value>(text) else { return None };
    let name = said.get("event")?.as_str()?.to_owned();
    Some(match name.as_str() {
        "ping" => Said::Ping(json!({ "event": "pong", "id": said.remove("id")? }).to_string()),
        "pong" => Said::Pong,
        "transcription-result" => Said::Transcription(said),
        "media" => Said::Media,
        "info" => Said::Info,
        _ => Said::Other,
    })
}

/// Ticks a second, of Opus (RFC 7587 §4.1).
const CLOCK: u32 = 48_000;

#[cfg(test)]
mod tests {
    use jitsi_xmpp::ids::EndpointId;

    use super::*;

    fn audio(ssrc: u32, sequence: u16, timestamp: u32) -> ExportedAudio {
        ExportedAudio {
            owner: EndpointId::new("a1b2c3d4"),
            source: SourceName::new("a1b2c3d4-a0"),
            ssrc: Ssrc(ssrc),
            sequence,
            timestamp,
            level: None,
            diarize: false,
            payload: Box::new([1, 2, 3]),
        }
    }

    fn said(texts: &[String]) -> Vec<Value> {
        texts.iter().map(|t| serde_json::from_str(t).unwrap()).collect()
    }

    #[test]
    fn a_stream_is_announced_once_and_its_numbers_do_not_wrap() {
        let mut writer = Writer::default();
        let first = said(&writer.audio(Duration::from_millis(500), &audio(7, 65_535, u32::MAX - 479)));
        assert_eq!(
            first[0],
            json!({ "event": "start", "sequenceNumber": "1", "start": {
                "tag": "a1b2c3d4-a0",
                "mediaFormat": { "encoding": "opus", "sampleRate": 48_000, "channels": 2 },
                "customParameters": { "endpointId": "a1b2c3d4" },
            }})
        );
        assert_eq!(
            first[1],
            json!({ "event": "media", "sequenceNumber": "2", "media": {
                "tag": "a1b2c3d4-a0", "chunk": "65535", "timestamp": "24000", "payload": "AQID",
            }})
        );
        let next = said(&writer.audio(Duration::from_secs(9), &audio(7, 0, 480)));
        assert_eq!(next.len(), 1);
        assert_eq!(
            (&next[0]["media"]["chunk"], &next[0]["media"]["timestamp"]),
            (&json!("65536"), &json!("24960"))
        );
        // One that comes late keeps its place.
        let late = said(&writer.audio(Duration::from_secs(9), &audio(7, 65_534, u32::MAX - 1439)));
        assert_eq!(
            (&late[0]["media"]["chunk"], &late[0]["media"]["timestamp"]),
            (&json!("65534"), &json!("23040"))
        );
        let other = said(&writer.audio(Duration::from_secs(1), &audio(8, 5, 100)));
        assert_eq!((other.len(), &other[1]["media"]["timestamp"]), (2, &json!("48000")), "the same clock");
    }

    #[test]
    fn levels_and_many_voices_are_told_where_they_are_known() {
        let mut heard = audio(7, 1, 1);
        heard.diarize = true;
        let texts = Writer::default().audio(Duration::ZERO, &heard);
        assert_eq!(said(&texts)[0]["start"]["diarize"], json!(true));
        assert_eq!(said(&texts)[1]["media"]["vad"], Value::Null);
    }

    #[test]
    fn a_writer_knows_so_many_streams_and_begins_anew_with_one_more() {
        let mut writer = Writer::default();
        let streams = u32::try_from(SERVICE_STREAMS).unwrap();
        for ssrc in 0..streams {
            assert_eq!(writer.audio(Duration::ZERO, &audio(ssrc, 1, 1)).len(), 2);
        }
        assert_eq!(writer.audio(Duration::ZERO, &audio(0, 2, 2)).len(), 1, "at the limit all are known");
        assert_eq!(writer.audio(Duration::ZERO, &audio(streams, 1, 1)).len(), 2);
        assert_eq!(writer.streams.len(), 1, "and not one beyond");
    }

    #[test]
    fn what_a_service_says_is_read_and_what_it_should_not_say_is_none() {
        assert_eq!(
            read(r#"{"event":"ping","id":42}"#),
            Some(Said::Ping(r#"{"event":"pong","id":42}"#.to_owned()))
        );
        assert_eq!(read(r#"{"event":"pong","id":1}"#), Some(Said::Pong));
        assert_eq!(read(r#"{"event":"media"}"#), Some(Said::Media));
        assert_eq!(read(r#"{"event":"info"}"#), Some(Said::Info));
        assert_eq!(read(r#"{"event":"stop"}"#), Some(Said::Other));
        let Some(Said::Transcription(result)) = read(r#"{"event":"transcription-result","transcript":[]}"#)
        else {
            panic!("what was said")
        };
        assert_eq!(result["transcript"], json!([]));
        for wrong in ["", "[]", "{}", r#"{"event":5}"#, r#"{"event":"ping"}"#] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
