//! The options of the web client's behaviour: each with the keys of `config.js` it becomes; what was set out, ready to be written.
//!
//! Names, defaults and keys are those of docker-jitsi-meet's template (its `settings-config.js`), except where a comment says why not.

use serde_json::{Value, json};
use service::{Effective, Kind, Setting, StartError};

use self::Shape::{Codecs, FalseWhenOff, List, Opposite, Same, Together, TrueWhenOff};

/// One option and what it becomes.
pub(super) struct Row {
    pub(super) setting: Setting,
    /// Dotted keys below `config`.
    at: &'static [&'static str],
    shape: Shape,
}

/// How a value is written.
#[derive(Clone, Copy)]
enum Shape {
    /// Yes or no, as it is.
    Same,
    /// The other way round: the client's key says `disable`.
    Opposite,
    /// Only when it is off, as `false`.
    FalseWhenOff,
    /// Only when it is off, as `true`: the client's key says `disable`.
    TrueWhenOff,
    /// A whole number; nothing when it is not set.
    Number,
    /// A text; nothing when it is not set.
    Text,
    /// A list; nothing when it is empty.
    List,
    /// A list, also written as JavaScript has it: `["VP9","VP8"]`.
    Codecs,
    /// Written together with others, below.
    Together,
}

/// `(key below config, value)` of all options.
pub(super) fn keys(e: &Effective) -> Result<Vec<(&'static str, Value)>, StartError> {
    let mut keys = Vec::new();
    for row in ROWS {
        let key = row.setting.key;
        let on = || e.is_on(key);
        let value = match row.shape {
            Same => Some(json!(on())),
            Opposite => Some(json!(!on())),
            FalseWhenOff => (!on()).then_some(json!(false)),
            TrueWhenOff => (!on()).then_some(json!(true)),
            // compat: upstream pastes the text, so people switch things off with it
            // (test: compat_a_number_that_is_switched_off_is_false).
            Shape::Number if e.text(key) == "false" => Some(json!(false)),
            Shape::Number => {
                let number =
                    e.parse_optional::<u32>(key).map_err(|_| e.bad(key, "must be a whole number"))?;
                number.map(|n| json!(n))
            }
            Shape::Text => Some(e.text(key)).filter(|t| !t.is_empty()).map(|t| json!(t)),
            List => Some(e.list(key)).filter(|l| !l.is_empty()).map(|l| json!(l)),
            Codecs => Some(codecs(e, key)?),
            Together => None,
        };
        if let Some(value) = value {
            keys.extend(row.at.iter().map(|at| (*at, value.clone())));
        }
    }
    if !e.is_on("client.screen_rate_auto") {
        keys.push(("desktopSharingFrameRate.min", json!(e.parse::<u32>("client.screen_rate_min")?)));
        keys.push(("desktopSharingFrameRate.max", json!(e.parse::<u32>("client.screen_rate_max")?)));
    }
    let recorded = e.is_on("services.recording");
    keys.push(("recordingService.enabled", json!(recorded && e.is_on("client.recording"))));
    keys.push(("liveStreaming.enabled", json!(recorded && e.is_on("client.live_streaming"))));
    keys.push(("transcription.enabled", json!(e.is_on("services.transcription"))));
    if !e.text("client.whiteboard_url").is_empty() {
        keys.push(("whiteboard.enabled", json!(true)));
    }
    // compat: the second is for when the first is not there (test: compat_one_way_of_branding).
    if !e.text("client.branding_url").is_empty() {
        keys.retain(|(at, _)| *at != "brandingDataUrl");
    }
    Ok(keys)
}

/// compat: upstream's value is pasted into the script, so people have it with brackets and quotes
/// (test: compat_codecs_as_javascript_has_them).
fn codecs(e: &Effective, key: &str) -> Result<Value, StartError> {
    let plain = |c: &String| c.trim().trim_matches(['[', ']', '"', '\'', ' ']).to_ascii_uppercase();
    let codecs: Vec<String> = e.list(key).iter().map(plain).filter(|c| !c.is_empty()).collect();
    match codecs.iter().find(|c| !["AV1", "VP9", "VP8", "H264"].contains(&c.as_str())) {
        Some(_) => Err(e.bad(key, "must be some of AV1, VP9, VP8 and H264")),
        None => Ok(json!(codecs)),
    }
}

const fn row(
    kind: Kind,
    shape: Shape,
    key: &'static str,
    env: &'static [&'static str],
    default: &'static str,
    at: &'static [&'static str],
    help: &'static str,
) -> Row {
    Row { setting: Setting { key, flag: "", env, default, kind, help }, at, shape }
}

const fn yes(
    shape: Shape,
    key: &'static str,
    env: &'static [&'static str],
    default: &'static str,
    at: &'static [&'static str],
    help: &'static str,
) -> Row {
    row(Kind::Bool, shape, key, env, default, at, help)
}

const fn number(
    key: &'static str,
    env: &'static [&'static str],
    default: &'static str,
    at: &'static [&'static str],
    help: &'static str,
) -> Row {
    // Some have no default, which a number would need.
    row(Kind::Text, Shape::Number, key, env, default, at, help)
}

const fn text(
    key: &'static str,
    env: &'static [&'static str],
    at: &'static [&'static str],
    help: &'static str,
) -> Row {
    row(Kind::Text, Shape::Text, key, env, "", at, help)
}

const fn list(
    shape: Shape,
    key: &'static str,
    env: &'static [&'static str],
    default: &'static str,
    at: &'static [&'static str],
    help: &'static str,
) -> Row {
    row(Kind::List, shape, key, env, default, at, help)
}

/// Every option of this kind.
pub(super) const ROWS: &[Row] = &[
    text(
        "client.language",
        &["DEFAULT_LANGUAGE"],
        &["defaultLanguage"],
        "Language for those whose browser asks for none that the app has, such as `de`.",
    ),
    yes(
        Same,
        "client.close_page",
        &["ENABLE_CLOSE_PAGE"],
        "false",
        &["enableClosePage"],
        "A page after hanging up.",
    ),
    yes(
        Same,
        "client.require_name",
        &["ENABLE_REQUIRE_DISPLAY_NAME"],
        "false",
        &["requireDisplayName"],
        "Nobody joins without a name.",
    ),
    yes(
        Same,
        "client.hide_name",
        &["HIDE_PREJOIN_DISPLAY_NAME"],
        "false",
        &["prejoinConfig.hideDisplayName"],
        "Nobody is asked for a name before joining.",
    ),
    list(
        List,
        "client.hide_join_buttons",
        &["HIDE_PREJOIN_EXTRA_BUTTONS"],
        "",
        &["prejoinConfig.hideExtraJoinButtons"],
        "Other ways to join that are not offered, `no-audio`, `by-phone`.",
    ),
    list(
        List,
        "client.hide_premeeting_buttons",
        &["HIDE_PREMEETING_BUTTONS"],
        "",
        &["hiddenPremeetingButtons"],
        "Buttons that are not there before joining.",
    ),
    list(
        List,
        "client.toolbar_buttons",
        &["TOOLBAR_BUTTONS"],
        "",
        &["toolbarButtons"],
        "Buttons of the toolbar; without it, all.",
    ),
    yes(
        Together,
        "client.recording",
        &["ENABLE_SERVICE_RECORDING"],
        "true",
        &["recordingService.enabled"],
        "With services.recording: the app offers to record.",
    ),
    yes(
        Together,
        "client.live_streaming",
        &["ENABLE_LIVESTREAMING"],
        "false",
        &["liveStreaming.enabled"],
        "With services.recording: the app offers to send the meeting out as a live stream.",
    ),
    yes(
        Same,
        "client.disable_profile",
        &["DISABLE_PROFILE"],
        "false",
        &["disableProfile"],
        "Names cannot be changed in the app.",
    ),
    // Upstream: off. A page that sends people to an app shop is no beginning for somebody who tapped one link.
    yes(
        Same,
        "client.disable_deep_linking",
        &["DISABLE_DEEP_LINKING"],
        "true",
        &["disableDeepLinking"],
        "Phones open the meeting in the browser and are not sent to the app.",
    ),
    yes(
        Same,
        "client.disable_reactions",
        &["DISABLE_REACTIONS"],
        "false",
        &["disableReactions"],
        "No reactions.",
    ),
    yes(
        Same,
        "client.disable_private_chat",
        &["DISABLE_PRIVATE_CHAT"],
        "false",
        &["remoteVideoMenu.disablePrivateChat"],
        "No button for messages to one person.",
    ),
    yes(
        Same,
        "client.disable_kick",
        &["DISABLE_KICKOUT"],
        "false",
        &["remoteVideoMenu.disableKick"],
        "No button to remove somebody.",
    ),
    yes(
        Same,
        "client.disable_grant_moderator",
        &["DISABLE_GRANT_MODERATOR"],
        "false",
        &["remoteVideoMenu.disableGrantModerator"],
        "No button to make somebody a moderator.",
    ),
    yes(
        Same,
        "client.disable_menu",
        &["DISABLE_REMOTE_VIDEO_MENU"],
        "false",
        &["remoteVideoMenu.disabled"],
        "No menu on other people's pictures.",
    ),
    number(
        "client.password_digits",
        &["ROOM_PASSWORD_DIGITS"],
        "",
        &["roomPasswordNumberOfDigits"],
        "Passwords of rooms are so many digits; without it, any text.",
    ),
    yes(
        Same,
        "client.start_audio_only",
        &["START_AUDIO_ONLY"],
        "false",
        &["startAudioOnly"],
        "People come without pictures.",
    ),
    number(
        "client.start_audio_muted",
        &["START_AUDIO_MUTED"],
        "10",
        &["startAudioMuted"],
        "Who comes after so many comes with a closed microphone.",
    ),
    number(
        "client.start_video_muted",
        &["START_VIDEO_MUTED"],
        "10",
        &["startVideoMuted"],
        "Who comes after so many comes with a closed camera.",
    ),
    yes(
        Same,
        "client.start_with_audio_muted",
        &["START_WITH_AUDIO_MUTED"],
        "false",
        &["startWithAudioMuted"],
        "Everybody comes with a closed microphone.",
    ),
    yes(
        Same,
        "client.start_with_video_muted",
        &["START_WITH_VIDEO_MUTED"],
        "false",
        &["startWithVideoMuted"],
        "Everybody comes with a closed camera.",
    ),
    yes(
        Same,
        "client.start_silent",
        &["START_SILENT"],
        "false",
        &["startSilent"],
        "People come without any sound.",
    ),
    number(
        "client.resolution",
        &["RESOLUTION"],
        "720",
        &["resolution", "constraints.video.height.ideal", "constraints.video.height.max"],
        "Lines that cameras are asked for.",
    ),
    number(
        "client.resolution_min",
        &["RESOLUTION_MIN"],
        "180",
        &["constraints.video.height.min"],
        "Lines that a camera must have.",
    ),
    number(
        "client.width",
        &["RESOLUTION_WIDTH"],
        "1280",
        &["constraints.video.width.ideal", "constraints.video.width.max"],
        "Columns that cameras are asked for.",
    ),
    number(
        "client.width_min",
        &["RESOLUTION_WIDTH_MIN"],
        "320",
        &["constraints.video.width.min"],
        "Columns that a camera must have.",
    ),
    yes(
        TrueWhenOff,
        "client.simulcast",
        &["ENABLE_SIMULCAST"],
        "true",
        &["disableSimulcast"],
        "Pictures are sent in several sizes.",
    ),
    list(
        Codecs,
        "client.codecs",
        &["CODEC_ORDER_JVB"],
        "AV1,VP9,VP8,H264",
        // compat: upstream's template copies the bridge's list (test: compat_codecs_as_javascript_has_them).
        &["videoQuality.codecPreferenceOrder", "p2p.codecPreferenceOrder"],
        "Video codecs of browsers, the best first.",
    ),
    list(
        Codecs,
        "client.codecs_mobile",
        &["CODEC_ORDER_JVB_MOBILE"],
        "VP8,VP9,H264,AV1",
        &["videoQuality.mobileCodecPreferenceOrder", "p2p.mobileCodecPreferenceOrder"],
        "The same for phones.",
    ),
    text(
        "client.preferred_codec",
        &["VIDEOQUALITY_PREFERRED_CODEC"],
        &["videoQuality.preferredCodec"],
        "One preferred codec, for older clients.",
    ),
    text(
        "client.p2p_preferred_codec",
        &["P2P_PREFERRED_CODEC"],
        &["p2p.preferredCodec"],
        "The same for direct calls.",
    ),
    yes(
        Same,
        "client.adaptive",
        &["ENABLE_ADAPTIVE_MODE"],
        "true",
        &["videoQuality.enableAdaptiveMode"],
        "Codec and size follow what the machine can do.",
    ),
    yes(
        FalseWhenOff,
        "client.remb",
        &["ENABLE_REMB"],
        "true",
        &["enableRemb"],
        "Receivers tell their estimate (REMB).",
    ),
    yes(
        FalseWhenOff,
        "client.tcc",
        &["ENABLE_TCC"],
        "true",
        &["enableTcc"],
        "Receivers tell arrival times (transport-cc).",
    ),
    yes(
        Same,
        "client.opus_red",
        &["ENABLE_OPUS_RED"],
        "false",
        &["enableOpusRed"],
        "Clients send speech with redundancy.",
    ),
    yes(
        Same,
        "client.stereo",
        &["ENABLE_STEREO"],
        "false",
        &["audioQuality.stereo"],
        "Stereo sound, for music; switch client.audio_processing off with it.",
    ),
    number(
        "client.opus_bitrate",
        &["AUDIO_QUALITY_OPUS_BITRATE"],
        "",
        &["audioQuality.opusMaxAverageBitrate"],
        "Bits per second of speech or music.",
    ),
    yes(
        Opposite,
        "client.audio_processing",
        &["ENABLE_AUDIO_PROCESSING"],
        "true",
        &["disableAP"],
        "Echo, noise and loudness are taken care of; off for music.",
    ),
    yes(
        Opposite,
        "client.gain_control",
        &["ENABLE_AUTOMATIC_GAIN_CONTROL"],
        "true",
        &["disableAGC"],
        "Loudness alone.",
    ),
    yes(
        Same,
        "client.notice_no_audio",
        &["ENABLE_NO_AUDIO_DETECTION"],
        "true",
        &["enableNoAudioDetection"],
        "A notice when the microphone is silent.",
    ),
    yes(
        Same,
        "client.notice_noise",
        &["ENABLE_NOISY_MIC_DETECTION"],
        "true",
        &["enableNoisyMicDetection"],
        "A notice when it is noisy.",
    ),
    yes(
        Same,
        "client.notice_muted",
        &["ENABLE_TALK_WHILE_MUTED"],
        "false",
        &["enableTalkWhileMuted"],
        "A notice to who talks with a closed microphone.",
    ),
    yes(
        Same,
        "client.disable_audio_levels",
        &["DISABLE_AUDIO_LEVELS"],
        "false",
        &["disableAudioLevels"],
        "No display of loudness.",
    ),
    yes(
        Together,
        "client.screen_rate_auto",
        &["DESKTOP_SHARING_FRAMERATE_AUTO"],
        "true",
        &[],
        "Clients choose the frame rate of a shared screen.",
    ),
    row(
        Kind::Number,
        Together,
        "client.screen_rate_min",
        &["DESKTOP_SHARING_FRAMERATE_MIN"],
        "5",
        &[],
        "Otherwise so many frames per second at least.",
    ),
    row(
        Kind::Number,
        Together,
        "client.screen_rate_max",
        &["DESKTOP_SHARING_FRAMERATE_MAX"],
        "5",
        &[],
        "And so many at most.",
    ),
    yes(
        Same,
        "client.ice_restart",
        &["ENABLE_ICE_RESTART"],
        "false",
        &["enableIceRestart"],
        "Clients look for a new path when theirs fails.",
    ),
    yes(
        Same,
        "client.ice_restart_on_network_change",
        &["ENABLE_ICE_RESTART_ON_NETWORK_CHANGE"],
        "false",
        &["enableIceRestartOnNetworkChange"],
        "And when their network changes.",
    ),
    yes(
        Same,
        "client.e2eping",
        &["ENABLE_E2EPING"],
        "false",
        &["e2eping.enabled"],
        "Clients measure the way to each other.",
    ),
    number(
        "client.e2eping_requests",
        &["E2EPING_NUM_REQUESTS"],
        "",
        &["e2eping.numRequests"],
        "Requests of one measurement.",
    ),
    number(
        "client.e2eping_size",
        &["E2EPING_MAX_CONFERENCE_SIZE"],
        "",
        &["e2eping.maxConferenceSize"],
        "In meetings up to this size.",
    ),
    number(
        "client.e2eping_rate",
        &["E2EPING_MAX_MESSAGE_PER_SECOND"],
        "",
        &["e2eping.maxMessagePerSecond"],
        "Messages per second of all together.",
    ),
    yes(
        Same,
        "client.background_v2",
        &["ENABLE_VIRTUAL_BACKGROUND_V2"],
        "true",
        &["virtualBackground.enableV2"],
        "The newer way to change backgrounds.",
    ),
    // Upstream: off. Who is recorded by somebody's browser does not see it.
    yes(
        Same,
        "client.disable_local_recording",
        &["DISABLE_LOCAL_RECORDING"],
        "true",
        &["localRecording.disable"],
        "No recording in somebody's own browser.",
    ),
    yes(
        Same,
        "client.local_recording_notice",
        &["ENABLE_LOCAL_RECORDING_NOTIFY_ALL_PARTICIPANT"],
        "false",
        &["localRecording.notifyAllParticipants"],
        "All are told of such a recording.",
    ),
    text(
        "client.branding_url",
        &["DYNAMIC_BRANDING_URL"],
        &["dynamicBrandingUrl"],
        "Where colours, logo and links of the town are, as JSON.",
    ),
    text(
        "client.branding_by_room_url",
        &["BRANDING_DATA_URL"],
        &["brandingDataUrl"],
        "The same, asked with `?conferenceFqn=`; only without client.branding_url.",
    ),
    text(
        "client.whiteboard_url",
        &["WHITEBOARD_COLLAB_SERVER_PUBLIC_URL"],
        &["whiteboard.collabServerBaseUrl"],
        "Server of the whiteboard; without it there is none.",
    ),
    text(
        "client.pad_url",
        &["ETHERPAD_PUBLIC_URL"],
        &["etherpad_base"],
        "Where documents of an Etherpad are, such as `https://pad.example/p/`; without it there are none.",
    ),
    text(
        "client.token_auth_url",
        &["TOKEN_AUTH_URL"],
        &["tokenAuthUrl"],
        "Where the app sends people to fetch a token, with `{room}` or `{state}` in it; for login.type `jwt`.",
    ),
    text("client.invite_url", &["INVITE_SERVICE_URL"], &["inviteServiceUrl"], "Service that invites people."),
    text(
        "client.people_url",
        &["PEOPLE_SEARCH_URL"],
        &["peopleSearchUrl"],
        "Directory in which people to invite are looked for.",
    ),
    text(
        "client.phone_code_url",
        &["CONFCODE_URL"],
        &["dialInConfCodeUrl"],
        "Service that gives meetings a number for telephones.",
    ),
    text(
        "client.phone_numbers_url",
        &["DIALIN_NUMBERS_URL"],
        &["dialInNumbersUrl"],
        "List of telephone numbers.",
    ),
    text("client.dial_out_url", &["DIALOUT_AUTH_URL"], &["dialOutAuthUrl"], "Service that allows calls."),
    text(
        "client.dial_out_codes_url",
        &["DIALOUT_CODES_URL"],
        &["dialOutCodesUrl"],
        "Countries that may be called.",
    ),
    text(
        "client.environment",
        &["DEPLOYMENTINFO_ENVIRONMENT"],
        &["deploymentInfo.environment"],
        "Label of this installation for clients' logs.",
    ),
    text(
        "client.environment_type",
        &["DEPLOYMENTINFO_ENVIRONMENT_TYPE"],
        &["deploymentInfo.envType"],
        "The same, its kind.",
    ),
    text("client.region", &["DEPLOYMENTINFO_REGION"], &["deploymentInfo.region"], "The same, its region."),
    text("client.shard", &["DEPLOYMENTINFO_SHARD"], &["deploymentInfo.shard"], "The same, its shard."),
];

/// The settings of [`ROWS`] behind `first`.
pub(super) const fn behind<const N: usize>(first: &[Setting]) -> [Setting; N] {
    let mut all = [ROWS[0].setting; N];
    let mut i = 0;
    while i < N {
        all[i] = if i < first.len() { first[i] } else { ROWS[i - first.len()].setting };
        i += 1;
    }
    all
}
