//! TURN and STUN servers: a configured service in, what a client is told of it, credentials included, out.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::clock::iso;
use crate::config::{Credentials, ExternalService};

/// A service as attributes (XEP-0215) or JSON members (room metadata): the same data on both ways.
pub(crate) fn attributes(s: &ExternalService, unix: Duration) -> Vec<(&'static str, String)> {
    let mut all = vec![
        ("type", s.kind.clone()),
        ("host", s.host.clone()),
        ("port", s.port.to_string()),
        ("transport", s.transport.clone()),
    ];
    let expires = unix + s.ttl;
    let (username, password) = match &s.credentials {
        Credentials::None => return all,
        Credentials::Static { username, password } => (username.reveal().clone(), password.reveal().clone()),
        Credentials::Secret(secret) => {
            let username = expires.as_secs().to_string();
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.reveal().as_bytes());
            let password = BASE64.encode(hmac::sign(&key, username.as_bytes()));
            (username, password)
        }
    };
    all.push(("username", username));
    all.push(("password", password));
    all.push(("expires", iso(expires)));
    all.push(("restricted", "1".to_owned()));
    all
}
