//! Options of the accounts that recorders, gateways and administrators have, as rows of the table.

use service::{Kind, Setting};

use super::{of, switch, text};

const fn secret(key: &'static str, env: &'static [&'static str], help: &'static str) -> Setting {
    of(Kind::Secret, key, "", env, "", help)
}

pub(super) const ROWS: &[Setting] = &[
    text(
        "services.hidden_domain",
        "",
        &["XMPP_HIDDEN_DOMAIN", "XMPP_RECORDER_DOMAIN"],
        "",
        "Domain of recorders and transcribers, whom clients do not show; without it, hidden.<domain>. It is there when one of the two has a password.",
    ),
    text(
        "services.jibri_user",
        "",
        &["JIBRI_XMPP_USER"],
        "jibri",
        "Account of recorders beside that of the focus.",
    ),
    secret(
        "services.jibri_password",
        &["JIBRI_XMPP_PASSWORD"],
        "Password of that account. Without it there is none.",
    ),
    text(
        "services.recorder_user",
        "",
        &["JIBRI_RECORDER_USER"],
        "recorder",
        "Account with which recorders are in meetings.",
    ),
    secret("services.recorder_password", &["JIBRI_RECORDER_PASSWORD"], "The same of its."),
    text("services.jigasi_user", "", &["JIGASI_XMPP_USER"], "jigasi", "Account of telephone gateways."),
    secret("services.jigasi_password", &["JIGASI_XMPP_PASSWORD"], "The same of its."),
    text(
        "services.transcriber_user",
        "",
        &["JIGASI_TRANSCRIBER_USER"],
        "transcriber",
        "Account with which transcribers are in meetings.",
    ),
    secret("services.transcriber_password", &["JIGASI_TRANSCRIBER_PASSWORD"], "The same of its."),
    switch(
        "services.recording",
        "",
        &["ENABLE_RECORDING"],
        "false",
        "Moderators may have a meeting recorded, or sent out as a live stream, by recorders (Jibri) that log in here.",
    ),
    switch(
        "services.recording_metadata",
        "",
        &["PROSODY_ENABLE_RECORDING_METADATA"],
        "true",
        "With services.recording and login.type `jwt`: a recorder learns who began, by the token, and in which meeting (upstream's `jibri_session`).",
    ),
    text(
        "services.recorder_brewery",
        "",
        &["JIBRI_BREWERY_MUC"],
        "jibribrewery",
        "Name of the recorders' room.",
    ),
    text(
        "services.recording_pending",
        "",
        &["JIBRI_PENDING_TIMEOUT"],
        "90 seconds",
        "A recorder that has not begun by then is given up, and another one is tried; a number alone is milliseconds, as upstream reads it.",
    ),
    text(
        "services.recording_wait",
        "",
        &["PLAUSCH_RECORDER_WAIT"],
        "15 seconds",
        "So long a wish to record waits while all recorders work, up to five minutes; `0`: whoever asks is told at once, as upstream.",
    ),
    text(
        "services.recording_retries",
        "",
        &["JIBRI_REQUEST_RETRIES"],
        "5",
        "How many more recorders are tried when one fails; -1: as many as there are.",
    ),
    switch(
        "services.transcription",
        "",
        &["ENABLE_TRANSCRIPTIONS"],
        "false",
        "Moderators may have written down what is said, by transcribers (Jigasi) that log in here.",
    ),
    text(
        "services.sip_uri",
        "",
        &["JIGASI_SIP_URI"],
        "",
        "Telephone gateways (Jigasi) log in here, and moderators may call somebody. Only they read what it says.",
    ),
    text(
        "services.gateway_brewery",
        "",
        &["JIGASI_BREWERY_MUC"],
        "jigasibrewery",
        "Name of the gateways' room.",
    ),
    of(
        Kind::List,
        "services.trusted_domains",
        "",
        &["JICOFO_TRUSTED_DOMAINS"],
        "",
        "Domains whose people the focus takes for recorders and transcribers when they say so; without it, services.hidden_domain where one of the two is on.",
    ),
    of(
        Kind::List,
        "services.admins",
        "",
        &["PROSODY_ADMINS"],
        "",
        "More accounts, `name@domain`, that own every room and may make rooms.",
    ),
];
