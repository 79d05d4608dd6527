//! Upstream's `turncredentials_http` (xmpp-server §4.33): STUN and TURN servers, with credentials that end in time, to programs that
//! ask from inside. Off unless it is named.

use jitsi_xmpp::FullJid;
use serde::Serialize;

use crate::config::ExternalService;
use crate::external_services;
use crate::module::{Inside, Module, Route, Whom};
use crate::output::HttpReply;
use crate::request::HttpRequest;

pub(super) static MODULE: Module = Module {
    name: "turncredentials_http",
    named: &["turncredentials_http"],
    http: &[Route::reads("/turn-credentials", Whom::Anybody, services)],
    ..Module::NONE
};

/// As upstream writes it: numbers are numbers, and only what there is.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    host: &'a str,
    port: u16,
    transport: &'a str,
    #[serde(flatten)]
    credentials: Option<Credentials>,
}

#[derive(Serialize)]
struct Credentials {
    username: String,
    password: String,
    /// Seconds since 1970.
    expires: u64,
    restricted: bool,
}

fn services(inside: &Inside<'_>, _: &HttpRequest) -> HttpReply {
    let config = &inside.world.config;
    let unix = inside.world.clock.unix(inside.world.now);
    // Programs are one more who asks, where each has its own.
    let Ok(asker) = format!("programs@{}/http", config.domain()).parse::<FullJid>() else {
        return HttpReply::refused(500);
    };
    let told = |s: &'_ ExternalService| -> serde_json::Value {
        let credentials =
            external_services::credentials(s, unix, &asker).map(|(username, password, expires)| {
                Credentials { username, password, expires: expires.as_secs(), restricted: true }
            });
        let told = Told { kind: &s.kind, host: &s.host, port: s.port, transport: &s.transport, credentials };
        serde_json::to_value(told).unwrap_or_default()
    };
    let all: Vec<serde_json::Value> = config.external_services.iter().map(told).collect();
    serde_json::to_string(&all).map_or_else(|_| HttpReply::refused(500), HttpReply::json)
}
