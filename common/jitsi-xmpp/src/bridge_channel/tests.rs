use super::*;
use crate::ids::Ssrc;
use crate::jingle::VideoType;
use crate::limits::{MAX_CHANNEL_MESSAGE_BYTES, MAX_CHANNEL_NAMES};

fn client(text: &str) -> Result<ClientMessage, ChannelError> {
    ClientMessage::parse(text)
}

#[test]
fn client_messages_keep_their_bytes() {
    for text in [
        r#"{"colibriClass":"ClientHello"}"#,
        r#"{"colibriClass":"ReceiverVideoConstraints","assumedBandwidthBps":-1,"lastN":20,"selectedSources":[],"onStageSources":["b5c6d7e8-v0"],"defaultConstraints":{"maxHeight":180},"constraints":{"b5c6d7e8-v0":{"maxHeight":720,"maxFrameRate":15}}}"#,
        r#"{"colibriClass":"ReceiverVideoConstraints"}"#,
        r#"{"colibriClass":"LastNChangedEvent","lastN":5}"#,
        r#"{"colibriClass":"ReceiverAudioSubscription","all":true,"include":[],"exclude":["c9d0e1f2-a0"]}"#,
        r#"{"colibriClass":"SourceVideoTypeMessage","sourceName":"a1b2c3d4-v1","videoType":"desktop"}"#,
        r#"{"colibriClass":"VideoTypeMessage","videoType":"none"}"#,
        r#"{"colibriClass":"EndpointMessage","to":"b5c6d7e8","msgPayload":{"id":3,"type":"e2e-ping-request"}}"#,
        r#"{"colibriClass":"EndpointStats","bitrate":{"download":1,"upload":2},"connectionQuality":98}"#,
        r#"{"colibriClass":"SomethingNew"}"#,
    ] {
        assert_eq!(client(text).unwrap().to_json(), text);
    }
}

#[test]
fn bridge_messages_keep_their_bytes() {
    for text in [
        r#"{"colibriClass":"AddReceiver","bridgeId":"jvb-2","sourceName":"b5c6d7e8-v0","videoConstraints":{"maxHeight":720,"maxFrameRate":-1.0}}"#,
        r#"{"colibriClass":"ClientHello"}"#,
        r#"{"colibriClass":"RemoveReceiver","bridgeId":"jvb-2","endpointId":"b5c6d7e8"}"#,
        r#"{"colibriClass":"SourceVideoTypeMessage","videoType":"DESKTOP","endpointId":"b5c6d7e8","sourceName":"b5c6d7e8-v1"}"#,
        r#"{"colibriClass":"ServerHello","version":"2.3-x"}"#,
        r#"{"colibriClass":"ServerHello"}"#,
        r#"{"colibriClass":"ConnectionStats","estimatedDownlinkBandwidth":2350000}"#,
        r#"{"colibriClass":"DominantSpeakerEndpointChangeEvent","dominantSpeakerEndpoint":"b5c6d7e8","previousSpeakers":["a1b2c3d4"],"silence":false}"#,
        r#"{"colibriClass":"EndpointConnectivityStatusChangeEvent","endpoint":"b5c6d7e8","active":"true"}"#,
        r#"{"colibriClass":"EndpointMessage","from":"b5c6d7e8","to":"","msgPayload":{"a":"\"<"}}"#,
        r#"{"colibriClass":"EndpointStats","from":"b5c6d7e8","connectionQuality":98}"#,
        r#"{"colibriClass":"ForwardedSources","forwardedSources":["b5c6d7e8-v0"]}"#,
        r#"{"colibriClass":"SenderSourceConstraints","sourceName":"a1b2c3d4-v0","maxHeight":-1}"#,
        r#"{"colibriClass":"VideoSourcesMap","mappedSources":[{"source":"b5c6d7e8-v0","owner":"b5c6d7e8","ssrc":880001,"rtx":880002,"videoType":"CAMERA","mid":"v0"},{"source":"c9-v1","owner":"c9","ssrc":1,"rtx":4294967295,"videoType":"DESKTOP_HIGH_FPS"}]}"#,
        r#"{"colibriClass":"AudioSourcesMap","mappedSources":[{"source":"b5c6d7e8-a0","owner":"b5c6d7e8","ssrc":770001}]}"#,
        r#"{"colibriClass":"SyntheticSourceSendingChangeEvent","sourceName":"b5c6d7e8-a0.de","sending":true,"timestamp":123456}"#,
    ] {
        assert_eq!(BridgeMessage::parse(text).unwrap().to_json(), text);
    }
}

#[test]
fn compat_a_source_that_is_disabled_shows_nothing() {
    let text = r#"{"colibriClass":"SourceVideoTypeMessage","videoType":"DISABLED","endpointId":"b5c6d7e8","sourceName":"b5c6d7e8-v1"}"#;
    let Ok(BridgeMessage::SourceVideoType { source, .. }) = BridgeMessage::parse(text) else {
        panic!("{text}")
    };
    assert_eq!(source.video_type, VideoType::None);
}

#[test]
fn what_bridges_say_to_each_other_needs_its_members() {
    for (text, error) in [
        (
            r#"{"colibriClass":"AddReceiver","bridgeId":"b","sourceName":"s"}"#,
            ChannelError::Missing("videoConstraints"),
        ),
        (
            r#"{"colibriClass":"AddReceiver","bridgeId":"b","videoConstraints":{}}"#,
            ChannelError::Missing("sourceName"),
        ),
        (
            r#"{"colibriClass":"AddReceiver","bridgeId":"b","sourceName":"s","videoConstraints":{"maxHeight":-2}}"#,
            ChannelError::Invalid("videoConstraints"),
        ),
        (
            r#"{"colibriClass":"SourceVideoTypeMessage","videoType":"CAMERA","sourceName":"s"}"#,
            ChannelError::Missing("endpointId"),
        ),
        (r#"{"colibriClass":"RemoveReceiver","bridgeId":"b"}"#, ChannelError::Missing("endpointId")),
    ] {
        assert_eq!(BridgeMessage::parse(text), Err(error), "{text}");
    }
}

#[test]
fn compat_connectivity_is_told_as_a_string() {
    let gone =
        BridgeMessage::EndpointConnectivityStatus { endpoint: EndpointId::new("b5c6d7e8"), active: false };
    assert!(gone.to_json().ends_with(r#""active":"false"}"#), "{}", gone.to_json());
}

#[test]
fn compat_legacy_audio_subscription_is_translated() {
    let read = |t: &str| match client(t).unwrap() {
        ClientMessage::ReceiverAudioSubscription(s) => s,
        m => panic!("{m:?}"),
    };
    let names = vec![SourceName::new("x-a0")];
    assert!(read(r#"{"colibriClass":"ReceiverAudioSubscription","mode":"All"}"#).all);
    assert_eq!(
        read(r#"{"colibriClass":"ReceiverAudioSubscription","mode":"None","list":["x-a0"]}"#),
        AudioSubscription::default()
    );
    assert_eq!(
        read(r#"{"colibriClass":"ReceiverAudioSubscription","mode":"Include","list":["x-a0"]}"#).include,
        names
    );
    let exclude = read(r#"{"colibriClass":"ReceiverAudioSubscription","mode":"Exclude","list":["x-a0"]}"#);
    assert!(exclude.all && exclude.exclude == names);
}

#[test]
fn tolerant_where_nobody_is_hurt() {
    let m = r#"{"colibriClass":"ReceiverVideoConstraints","lastN":2.0,"constraints":{"x-v0":{"maxHeight":719.5,"new":1}},"new":{},"selectedSources":null}"#;
    let ClientMessage::ReceiverVideoConstraints(c) = client(m).unwrap() else { panic!() };
    assert_eq!(c.last_n, Some(2));
    assert_eq!(c.selected_sources, None);
    assert_eq!(c.constraints.unwrap()["x-v0"].max_height, 719);
    let m = r#"{"colibriClass":"SourceVideoTypeMessage","sourceName":"x-v0","videoType":"CAMERA"}"#;
    let ClientMessage::SourceVideoType(s) = client(m).unwrap() else { panic!() };
    assert_eq!(s.video_type, VideoType::Camera);
}

#[test]
fn a_forged_sender_is_dropped() {
    let m = r#"{"colibriClass":"EndpointMessage","to":"","from":"victim1","msgPayload":{}}"#;
    let ClientMessage::EndpointMessage(m) = client(m).unwrap() else { panic!() };
    assert_eq!(m.from, None);
    let m = EndpointMessage { from: Some(EndpointId::new("real")), ..m };
    assert_eq!(
        BridgeMessage::EndpointMessage(m).to_json(),
        r#"{"colibriClass":"EndpointMessage","from":"real","to":"","msgPayload":{}}"#
    );
}

#[test]
fn bad_messages_are_refused() {
    use ChannelError::*;
    for (text, why) in [
        ("", NotAMessage),
        ("[]", NotAMessage),
        ("{}", NotAMessage),
        (r#"{"colibriClass":7}"#, NotAMessage),
        (r#"{"colibriClass":"LastNChangedEvent"}"#, Missing("lastN")),
        (r#"{"colibriClass":"LastNChangedEvent","lastN":99999999999}"#, Invalid("lastN")),
        (r#"{"colibriClass":"EndpointMessage"}"#, Missing("to")),
        (r#"{"colibriClass":"SourceVideoTypeMessage","sourceName":"x"}"#, Missing("videoType")),
        (
            r#"{"colibriClass":"SourceVideoTypeMessage","sourceName":"x","videoType":"hologram"}"#,
            Invalid("videoType"),
        ),
        (r#"{"colibriClass":"ReceiverAudioSubscription","mode":"Some"}"#, Invalid("mode")),
        (
            r#"{"colibriClass":"ReceiverVideoConstraints","defaultConstraints":{"maxHeight":-2}}"#,
            Invalid("defaultConstraints"),
        ),
        (
            r#"{"colibriClass":"ReceiverVideoConstraints","constraints":{"x":{"maxHeight":1,"maxFrameRate":-0.5}}}"#,
            Invalid("constraints"),
        ),
    ] {
        assert_eq!(client(text), Err(why), "{text}");
    }
    let deep = format!("{{\"colibriClass\":\"EndpointMessage\",\"to\":\"\",\"x\":{}", "[".repeat(100_000));
    assert_eq!(client(&deep), Err(NotAMessage));
}

/// Bridge and browsers could each read another one of two members (upstream's JSA-2023-0001).
#[test]
fn a_member_twice_is_no_message() {
    for text in [
        r#"{"colibriClass":"EndpointMessage","colibriClass":"ClientHello","to":""}"#,
        r#"{"colibriClass":"EndpointMessage","to":"","x":{"a":1,"a":2}}"#,
    ] {
        assert_eq!(client(text), Err(ChannelError::NotAMessage), "{text}");
    }
}

#[test]
fn limits_at_and_beyond() {
    let padded = |n: usize| {
        let head = r#"{"colibriClass":"ClientHello","x":""#;
        format!("{head}{}\"}}", "y".repeat(n - head.len() - 2))
    };
    assert!(client(&padded(MAX_CHANNEL_MESSAGE_BYTES)).is_ok());
    assert_eq!(client(&padded(MAX_CHANNEL_MESSAGE_BYTES + 1)), Err(ChannelError::TooLarge));

    let names = |n: usize| {
        let list = vec!["\"x-v0\""; n].join(",");
        format!(r#"{{"colibriClass":"ReceiverVideoConstraints","selectedSources":[{list}]}}"#)
    };
    assert!(client(&names(MAX_CHANNEL_NAMES)).is_ok());
    assert_eq!(client(&names(MAX_CHANNEL_NAMES + 1)), Err(ChannelError::TooLarge));

    let id = |n: usize| format!(r#"{{"colibriClass":"EndpointMessage","to":"{}"}}"#, "x".repeat(n));
    assert!(client(&id(crate::MAX_ID_BYTES)).is_ok());
    assert_eq!(client(&id(crate::MAX_ID_BYTES + 1)), Err(ChannelError::Invalid("to")));
}

#[test]
fn hostile_names_are_escaped() {
    let m = BridgeMessage::VideoSourcesMap {
        mapped_sources: vec![VideoSourceMapping {
            source: SourceName::new("a\"},{\"b"),
            owner: EndpointId::new("o\n"),
            ssrc: Ssrc(1),
            rtx: Ssrc(2),
            video_type: VideoType::Camera,
            mid: None,
        }],
    };
    assert_eq!(BridgeMessage::parse(&m.to_json()).unwrap(), m);
}
