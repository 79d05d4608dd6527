//! Upstream's `external_services` (XEP-0215, xmpp-server §2.13): a question for TURN and STUN servers in; those of the
//! configuration, with credentials that end in time, out.

use std::time::Duration;

use jitsi_xmpp::{Condition, Element, FullJid, StanzaError, ns};

use crate::config::{Credentials, ExternalService};
use crate::external_services::attributes;
use crate::module::{Module, Reply, Request};
use crate::world::World;

pub(super) static MODULE: Module = Module {
    name: "external_services",
    request: Some(request),
    features: &[ns::EXTDISCO_1, ns::EXTDISCO_2],
    ..Module::NONE
};

fn request(world: &World, r: &Request<'_>) -> Option<Reply> {
    if r.kind != "get" || !matches!(r.payload.ns(), ns::EXTDISCO_2 | ns::EXTDISCO_1) {
        return None;
    }
    match r.payload.name() {
        "services" => Some(Ok(Some(services(world, r.payload.ns(), r.payload.attr("type"), r.from)))),
        "credentials" => Some(credentials(world, r)),
        _ => None,
    }
}

/// XEP-0215 §3.1. Always answered: an empty list replaces the clients' built-in public STUN servers.
pub(super) fn services(world: &World, ns: &str, wanted: Option<&str>, asker: &FullJid) -> Element {
    let unix = world.clock.unix(world.now);
    let list = world.config.external_services.iter().filter(|s| wanted.is_none_or(|w| w == s.kind));
    Element::new("services", ns.to_owned()).with_children(list.map(|s| element(s, unix, asker)))
}

/// XEP-0215 §3.3: credentials of one service.
fn credentials(world: &World, r: &Request<'_>) -> Reply {
    let query = r.payload;
    let wanted =
        query.child_named("service").and_then(|s| Some((s.attr("type")?, s.attr("host")?, s.attr("port"))));
    let Some((kind, host, port)) = wanted else {
        return Err(StanzaError::new(Condition::BadRequest));
    };
    let unix = world.clock.unix(world.now);
    let found: Vec<Element> = world
        .config
        .external_services
        .iter()
        .filter(|s| !matches!(s.credentials, Credentials::None) && s.kind == kind && s.host == host)
        .filter(|s| port.is_none_or(|p| p == s.port.to_string()))
        .map(|s| element(s, unix, r.from))
        .collect();
    if found.is_empty() {
        return Err(StanzaError::new(Condition::ItemNotFound));
    }
    Ok(Some(Element::new("credentials", query.ns().to_owned()).with_children(found)))
}

fn element(s: &ExternalService, unix: Duration, asker: &FullJid) -> Element {
    let mut e = Element::inherit("service");
    for (name, value) in attributes(s, unix, asker) {
        e.set_attr(name, value);
    }
    e
}
