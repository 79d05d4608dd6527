//! Service discovery (XEP-0030): a host in, its identities and features out; pulled by IQ or pushed at bind.

use jitsi_xmpp::{Element, ns};

use crate::components::COMPONENTS;
use crate::config::Config;
use crate::hosts::Host;

/// `disco#info` of a host.
pub(crate) fn info(config: &Config, host: Host, domain: &str, node: Option<&str>) -> Element {
    let mut query = Element::new("query", ns::DISCO_INFO).with_opt_attr("node", node);
    if node.is_some() {
        return query;
    }
    if host.has_users() {
        if matches!(host, Host::Main | Host::Guest) || domain == config.domain {
            component_identities(config, &mut query);
        }
        query.push(identity("server", "im", "Plausch"));
        features(&mut query, USER_HOST_FEATURES);
    } else if host.has_rooms() {
        query.push(identity("conference", "text", "Plausch"));
        features(&mut query, &[ns::MUC, ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING]);
    } else {
        query.push(identity("component", "generic", domain));
        features(&mut query, &[ns::DISCO_INFO, ns::DISCO_ITEMS]);
    }
    query
}

/// `disco#items`: rooms are hidden, so only the main host lists anything.
pub(crate) fn items(config: &Config, node: Option<&str>) -> Element {
    let mut query = Element::new("query", ns::DISCO_ITEMS).with_opt_attr("node", node);
    if node.is_none() {
        for address in [&config.muc_domain, &config.focus_domain] {
            query.push(Element::inherit("item").with_attr("jid", address.as_str()));
        }
    }
    query
}

/// The push before the bind result (upstream's `jiconop`): everything a client would ask for afterwards.
pub(crate) fn push(config: &Config, domain: &str) -> Element {
    let mut query = Element::new("query", ns::DISCO_INFO);
    component_identities(config, &mut query);
    query.push(identity("server", "im", "Plausch"));
    features(&mut query, USER_HOST_FEATURES);
    Element::new("message", ns::CLIENT).with_attr("from", domain).with_child(query)
}

/// Only what really answers: clients enable their user interface by these.
fn component_identities(config: &Config, query: &mut Element) {
    for c in COMPONENTS {
        query.push(identity("component", c.identity, (c.address)(config)));
    }
    for (kind, name) in [("shard", &config.shard), ("region", &config.region), ("release", &config.release)] {
        if let Some(name) = name {
            query.push(identity("server", kind, name));
        }
    }
}

fn identity(category: &str, kind: &str, name: &str) -> Element {
    Element::inherit("identity")
        .with_attr("category", category)
        .with_attr("type", kind)
        .with_attr("name", name)
}

fn features(query: &mut Element, vars: &[&str]) {
    for var in vars {
        query.push(Element::inherit("feature").with_attr("var", *var));
    }
}

const USER_HOST_FEATURES: &[&str] =
    &[ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING, ns::VERSION, ns::ROSTER, ns::EXTDISCO_1, ns::EXTDISCO_2];
