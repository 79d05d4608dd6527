//! Requests to a host with users: ping, version, discovery, roster and TURN credentials in; answers out.

use std::time::Duration;

use jitsi_xmpp::{Condition, Element, StanzaError, ns};

use crate::config::{Credentials, ExternalService};
use crate::disco;
use crate::external_services::attributes;
use crate::hosts::Hosts;
use crate::identity::HostId;
use crate::stanza::payload;
use crate::world::{Sender, World};

/// A stanza to a host's bare domain, or an IQ to the own account.
pub(crate) fn handle(
    hosts: &Hosts,
    world: &mut World,
    sender: &Sender,
    host: HostId,
    domain: &str,
    e: &Element,
) {
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
            Some(Some(disco::info(hosts, &world.config, host, domain, p.attr("node"))))
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
