//! Requests to a host with users: ping, version, discovery, roster and TURN credentials in; answers out.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jitsi_xmpp::{Condition, Element, StanzaError, ns};

use crate::clock::iso;
use crate::config::{Credentials, ExternalService};
use crate::disco;
use crate::hosts::Host;
use crate::router::payload;
use crate::world::{Sender, World};

/// A stanza to a host's bare domain, or an IQ to the own account.
pub(crate) fn handle(world: &mut World, sender: &Sender, host: Host, domain: &str, e: &Element) {
    if e.name() == "presence" {
        return;
    }
    let Some((kind, p)) = payload(e) else {
        if e.name() == "message" {
            world.refuse(sender, e, &StanzaError::new(Condition::ServiceUnavailable), None);
        }
        return;
    };
    let answer = match (kind, p.name(), p.ns()) {
        ("get", "ping", ns::PING) | ("set", "session", ns::SESSION) => Some(None),
        ("get", "query", ns::VERSION) => Some(Some(version())),
        ("get", "query", ns::DISCO_INFO) => {
            Some(Some(disco::info(&world.config, host, domain, p.attr("node"))))
        }
        ("get", "query", ns::DISCO_ITEMS) => Some(Some(disco::items(&world.config, p.attr("node")))),
        ("get", "query", ns::ROSTER) => Some(Some(Element::new("query", ns::ROSTER))),
        ("get", "services", ns::EXTDISCO_2 | ns::EXTDISCO_1) => Some(Some(services(world, p))),
        ("get", "credentials", ns::EXTDISCO_2 | ns::EXTDISCO_1) => credentials(world, sender, e, p).map(Some),
        _ => None,
    };
    match answer {
        Some(payload) => world.answer(sender, e, payload),
        None if matches!((kind, p.name()), ("get", "credentials")) => {}
        None => world.refuse(sender, e, &StanzaError::new(Condition::ServiceUnavailable), None),
    }
}

/// XEP-0092.
fn version() -> Element {
    Element::new("query", ns::VERSION)
        .with_child(Element::inherit("name").with_text("Plausch"))
        .with_child(Element::inherit("version").with_text(env!("CARGO_PKG_VERSION")))
}

/// XEP-0215 §3.1. Always answered: an empty list replaces the clients' built-in public STUN servers.
fn services(world: &World, query: &Element) -> Element {
    let wanted = query.attr("type");
    let unix = world.clock.unix(world.now);
    let list = world.config.external_services.iter().filter(|s| wanted.is_none_or(|w| w == s.kind));
    Element::new("services", query.ns().to_owned()).with_children(list.map(|s| element(s, unix)))
}

/// XEP-0215 §3.3: credentials of one service. `None`: already refused.
fn credentials(world: &mut World, sender: &Sender, e: &Element, query: &Element) -> Option<Element> {
    let wanted =
        query.child_named("service").and_then(|s| Some((s.attr("type")?, s.attr("host")?, s.attr("port"))));
    let Some((kind, host, port)) = wanted else {
        world.refuse(sender, e, &StanzaError::new(Condition::BadRequest), None);
        return None;
    };
    let unix = world.clock.unix(world.now);
    let found: Vec<Element> = world
        .config
        .external_services
        .iter()
        .filter(|s| !matches!(s.credentials, Credentials::None) && s.kind == kind && s.host == host)
        .filter(|s| port.is_none_or(|p| p == s.port.to_string()))
        .map(|s| element(s, unix))
        .collect();
    if found.is_empty() {
        world.refuse(sender, e, &StanzaError::new(Condition::ItemNotFound), None);
        return None;
    }
    Some(Element::new("credentials", query.ns().to_owned()).with_children(found))
}

fn element(s: &ExternalService, unix: Duration) -> Element {
    let mut e = Element::inherit("service");
    for (name, value) in attributes(s, unix) {
        e.set_attr(name, value);
    }
    e
}

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
