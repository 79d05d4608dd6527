//! Variables of the web client in; the keys of `config.js` that they become out.

use super::*;

fn key(env: &[(&str, &str)], at: &str) -> Option<serde_json::Value> {
    let s = load(env).unwrap();
    let mut found = s.client.more.into_iter().filter(|(key, _)| *key == at).map(|(_, value)| value);
    let first = found.next();
    assert!(found.next().is_none(), "{at} twice");
    first
}

/// `config.js` had none of these: nobody came muted, there was no notice of a dead microphone.
#[test]
fn compat_the_web_client_has_docker_s_defaults() {
    use serde_json::json;
    for (at, value) in [
        ("startAudioMuted", json!(10)),
        ("startVideoMuted", json!(10)),
        ("enableNoAudioDetection", json!(true)),
        ("enableNoisyMicDetection", json!(true)),
        ("enableTalkWhileMuted", json!(false)),
        ("videoQuality.codecPreferenceOrder", json!(["AV1", "VP9", "VP8", "H264"])),
        ("videoQuality.mobileCodecPreferenceOrder", json!(["VP8", "VP9", "H264", "AV1"])),
        ("p2p.codecPreferenceOrder", json!(["AV1", "VP9", "VP8", "H264"])),
        ("p2p.mobileCodecPreferenceOrder", json!(["VP8", "VP9", "H264", "AV1"])),
        ("constraints.video.width.ideal", json!(1280)),
        ("constraints.video.height.min", json!(180)),
        ("resolution", json!(720)),
        ("disableAP", json!(false)),
        ("audioQuality.stereo", json!(false)),
        ("requireDisplayName", json!(false)),
        ("virtualBackground.enableV2", json!(true)),
        ("remoteVideoMenu.disableKick", json!(false)),
    ] {
        assert_eq!(key(&[], at), Some(value), "{at}");
    }
    for at in
        ["defaultLanguage", "toolbarButtons", "disableSimulcast", "enableRemb", "desktopSharingFrameRate.min"]
    {
        assert_eq!(key(&[], at), None, "{at}");
    }
}

#[test]
fn variables_of_the_web_client_reach_its_configuration() {
    use serde_json::json;
    for (env, at, value) in [
        (&[("DEFAULT_LANGUAGE", "de")][..], "defaultLanguage", json!("de")),
        (&[("START_AUDIO_MUTED", "3")], "startAudioMuted", json!(3)),
        (&[("TOOLBAR_BUTTONS", "camera,chat,,")], "toolbarButtons", json!(["camera", "chat"])),
        (&[("HIDE_PREMEETING_BUTTONS", "invite")], "hiddenPremeetingButtons", json!(["invite"])),
        (&[("ENABLE_AUDIO_PROCESSING", "0")], "disableAP", json!(true)),
        (&[("ENABLE_SIMULCAST", "false")], "disableSimulcast", json!(true)),
        (&[("ENABLE_TCC", "0")], "enableTcc", json!(false)),
        (&[("RESOLUTION", "1080")], "constraints.video.height.max", json!(1080)),
        (
            &[("DESKTOP_SHARING_FRAMERATE_AUTO", "0"), ("DESKTOP_SHARING_FRAMERATE_MAX", "30")],
            "desktopSharingFrameRate.max",
            json!(30),
        ),
        (&[("WHITEBOARD_COLLAB_SERVER_PUBLIC_URL", "https://w.example")], "whiteboard.enabled", json!(true)),
        (
            &[("ETHERPAD_PUBLIC_URL", "https://pad.example/p/")],
            "etherpad_base",
            json!("https://pad.example/p/"),
        ),
        (&[("DISABLE_DEEP_LINKING", "0")], "disableDeepLinking", json!(false)),
        (&[("DISABLE_LOCAL_RECORDING", "0")], "localRecording.disable", json!(false)),
    ] {
        assert_eq!(key(env, at), Some(value), "{env:?}");
    }
}

#[test]
fn compat_codecs_as_javascript_has_them() {
    let codecs = |text| key(&[("CODEC_ORDER_JVB", text)], "p2p.codecPreferenceOrder").unwrap();
    for text in ["[\"VP9\", \"H264\"]", "['vp9','h264']", "VP9,H264", "[ 'VP9' , 'H264', ]"] {
        assert_eq!(codecs(text), serde_json::json!(["VP9", "H264"]), "{text}");
    }
}

#[test]
fn compat_one_way_of_branding() {
    let both = [("DYNAMIC_BRANDING_URL", "/a.json"), ("BRANDING_DATA_URL", "/b")];
    assert_eq!(key(&both, "brandingDataUrl"), None);
    assert_eq!(key(&both, "dynamicBrandingUrl"), Some("/a.json".into()));
    assert_eq!(key(&both[1..], "brandingDataUrl"), Some("/b".into()));
}

#[test]
fn the_log_goes_where_readers_of_its_format_look() {
    use service::logging::{Format, To};
    assert_eq!(load(&[]).unwrap().log, (Format::Text, To::Error));
    assert_eq!(load(&[("LOG_FORMAT", "jitsi")]).unwrap().log, (Format::Jitsi, To::Output));
    assert_eq!(
        load(&[("LOG_FORMAT", "json"), ("PLAUSCH_LOG_TO", "stdout")]).unwrap().log,
        (Format::Json, To::Output)
    );
}

/// Upstream's own default of the first is this word.
#[test]
fn compat_a_number_that_is_switched_off_is_false() {
    for (name, at) in
        [("ROOM_PASSWORD_DIGITS", "roomPasswordNumberOfDigits"), ("START_AUDIO_MUTED", "startAudioMuted")]
    {
        assert_eq!(key(&[(name, "false")], at), Some(false.into()), "{name}");
        assert_eq!(key(&[(name, "4")], at), Some(4.into()), "{name}");
    }
}
