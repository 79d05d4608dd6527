//! Service discovery (XEP-0030): a host in, its identities and features out.

use jitsi_xmpp::{Condition, Element, StanzaError, ns};

use crate::config::Config;
use crate::hosts::{Hosts, Serves};
use crate::identity::HostId;
use crate::modules::{breakout_rooms, lobby};
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
            let (name, viewers) = (def.domain.as_str(), hosts.is_of_viewers(&def.domain));
            let components: Vec<(&'static str, &str)> = hosts
                .components()
                .filter(|(_, c)| hosts.shows(name, c.rooms))
                .filter_map(|(domain, c)| Some((c.module.component.as_ref()?.identity?, domain)))
                .chain(hosts.lobby_of_meetings().filter(|_| !viewers).map(|lobby| (lobby::NODE, lobby)))
                .chain(hosts.breakouts_of_meetings().filter(|_| !viewers).map(|d| (breakout_rooms::NAME, d)))
                .collect();
            for identities in users.modules.iter().filter_map(|m| m.identities) {
                for (category, kind, name) in identities(config, &components) {
                    query.push(identity(category, kind, &name));
                }
            }
            query.push(identity("server", "im", "Plausch"));
            users.modules.iter().for_each(|m| features(&mut query, m.features));
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

/// What [`info`] lists of a host with users, as it stands inside the query's tags: the same for everybody, so it is put together once.
pub(crate) fn list<'a>(hosts: &'a Hosts, config: &Config, host: HostId, domain: &str) -> &'a str {
    let write = || {
        let mut text = String::new();
        info(hosts, config, host, domain, None).write_nodes(&mut text);
        text
    };
    hosts.list(host, write).unwrap_or_default()
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
            let mut query = info(hosts, &world.config, host, domain, p.attr("node"));
            let is_lobby = hosts.rooms(host).is_some_and(|def| def.is_lobby);
            if is_lobby && p.attr("node") == Some(lobby::NODE) {
                features(&mut query, lobby::feature(world, &sender.identity).as_slice());
            }
            let is_breakouts = hosts.rooms(host).is_some_and(|def| def.is_breakouts);
            if is_breakouts && p.attr("node") == Some(breakout_rooms::NAME) && sender.identity.room.is_some()
            {
                features(&mut query, &[breakout_rooms::RENAME]);
            }
            Some(Some(query))
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
