//! Options of the accounts that recorders, gateways and administrators have, as rows of the table.

use service::{Kind, Setting};

use super::{of, text};

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
    of(
        Kind::List,
        "services.admins",
        "",
        &["PROSODY_ADMINS"],
        "",
        "More accounts, `name@domain`, that own every room and may make rooms.",
    ),
];
