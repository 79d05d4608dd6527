//! Service discovery (XEP-0030): a host in, its identities and features out; pulled by IQ or pushed at bind.

use jitsi_xmpp::{Condition, Element, StanzaError, ns};

use crate::config::Config;
use crate::hosts::{Hosts, Serves};
use crate::identity::HostId;
use crate::stanza::payload;
use crate::world::{Sender, World};

/// `disco#info` of a host.
pub(crate) fn info(
    hosts: &Hosts,
    config: &Config,
    host: HostId,
    domain: &str,
    node: Option<&str>,
) -> Element {
    let mut query = Element::new("query", ns::DISCO_INFO).with_opt_attr("node", node);
    let Some(def) = hosts.get(host).filter(|_| node.is_none()) else { return query };
    match &def.serves {
        Serves::Users(users) => {
            if users.advertises {
                component_identities(hosts, config, &mut query);
            }
            query.push(identity("server", "im", "Plausch"));
            features(&mut query, USER_HOST_FEATURES);
        }
        Serves::Rooms(_) => {
            query.push(identity("conference", "text", "Plausch"));
            features(&mut query, &[ns::MUC, ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING]);
        }
        Serves::Component(_) => {
            query.push(identity("component", "generic", domain));
            features(&mut query, &[ns::DISCO_INFO, ns::DISCO_ITEMS]);
        }
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
pub(crate) fn push(hosts: &Hosts, config: &Config, domain: &str) -> Element {
    let mut query = Element::new("query", ns::DISCO_INFO);
    component_identities(hosts, config, &mut query);
    query.push(identity("server", "im", "Plausch"));
    features(&mut query, USER_HOST_FEATURES);
    Element::new("message", ns::CLIENT).with_attr("from", domain).with_child(query)
}

/// What a host without users answers to a stanza to itself.
pub(crate) fn answer(
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
    let answer = payload(e).and_then(|(kind, p)| match (kind, p.name(), p.ns()) {
        ("get", "query", ns::DISCO_INFO) => {
            Some(Some(info(hosts, &world.config, host, domain, p.attr("node"))))
        }
        ("get", "query", ns::DISCO_ITEMS) => Some(Some(Element::new("query", ns::DISCO_ITEMS))),
        ("get", "ping", ns::PING) => Some(None),
        _ => None,
    });
    match answer {
        Some(payload) => world.answer(sender, e, payload),
        None => world.refuse(sender, e, &StanzaError::new(Condition::ServiceUnavailable), None),
    }
}

/// Only what really answers: clients enable their user interface by these.
fn component_identities(hosts: &Hosts, config: &Config, query: &mut Element) {
    for (domain, c) in hosts.components() {
        if let Some(kind) = c.module.component.as_ref().and_then(|c| c.identity) {
            query.push(identity("component", kind, domain));
        }
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
