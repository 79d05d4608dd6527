//! TURN and STUN servers: a configured service in, what a client is told of it, credentials included, out.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jitsi_xmpp::FullJid;

use crate::clock::iso;
use crate::config::{Credentials, ExternalService};

/// A service as attributes (XEP-0215) or JSON members (room metadata) for `asker`: the same data on both ways.
pub(crate) fn attributes(
    s: &ExternalService,
    unix: Duration,
    asker: &FullJid,
) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("type", s.kind.clone()),
        ("host", s.host.clone()),
        ("port", s.port.to_string()),
        ("transport", s.transport.clone()),
    ];
    if let Some((username, password, expires)) = credentials(s, unix, asker) {
        all.push(("username", username));
        all.push(("password", password));
        all.push(("expires", iso(expires)));
        all.push(("restricted", "1".to_owned()));
    }
    all
}

/// With what `asker` authenticates there, and until when since 1970; `None`: with nothing.
pub(crate) fn credentials(
    s: &ExternalService,
    unix: Duration,
    asker: &FullJid,
) -> Option<(String, String, Duration)> {
    let expires = unix + s.ttl;
    let (username, password) = match &s.credentials {
        Credentials::None => return None,
        Credentials::Static { username, password } => (username.reveal().clone(), password.reveal().clone()),
        Credentials::Secret(secret) => signed(expires.as_secs().to_string(), secret.reveal()),
        Credentials::Own(secret) => {
            signed(format!("{}:{}", expires.as_secs(), alias(asker, secret.reveal())), secret.reveal())
        }
    };
    Some((username, password, expires))
}

/// A name with the password that belongs to it (`draft-uberti-behave-turn-rest-00`).
fn signed(username: String, secret: &str) -> (String, String) {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let password = BASE64.encode(hmac::sign(&key, username.as_bytes()));
    (username, password)
}

/// What a session is called at the TURN server: the same each time, and nothing that tells who it is.
fn alias(session: &FullJid, secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, session.as_str().as_bytes());
    tag.as_ref().iter().take(8).map(|b| format!("{b:02x}")).collect()
}
