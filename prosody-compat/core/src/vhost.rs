//! A stanza to a host with users, or a request to the sender's own account, in; the host's modules asked in their order, the
//! answer out.

use jitsi_xmpp::{Condition, Element, StanzaError};

use crate::disco;
use crate::hosts::Hosts;
use crate::identity::HostId;
use crate::module::{Information, Request};
use crate::rooms::Rooms;
use crate::stanza;
use crate::world::{Sender, World};

pub(crate) fn handle(
    hosts: &Hosts,
    rooms: &Rooms,
    world: &mut World,
    sender: &Sender,
    host: HostId,
    domain: &str,
    e: &Element,
) {
    if e.name() == "presence" {
        return;
    }
    let nobodys = || StanzaError::new(Condition::ServiceUnavailable);
    let Some((kind, payload)) = stanza::payload(e) else {
        if e.name() == "message" {
            world.refuse(sender, e, &nobodys(), None);
        }
        return;
    };
    let rules = hosts.users(host).into_iter().flat_map(|users| users.modules.iter());
    let reply = {
        let about = |node: Option<&str>| disco::info(hosts, &world.config, host, domain, node);
        let host = Information { domain, about: &about };
        let request = Request { from: &sender.jid, kind, payload, host, rooms };
        rules.filter_map(|m| m.request).find_map(|rule| rule(world, &request))
    };
    match reply {
        Some(Ok(payload)) => world.answer(sender, e, payload),
        Some(Err(error)) => world.refuse(sender, e, &error, None),
        None => world.refuse(sender, e, &nobodys(), None),
    }
}
