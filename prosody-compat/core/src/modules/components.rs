//! Upstream's `features_identity` and `jiconop` (xmpp-server §4.10): which components there are, in the host's information
//! and, before anybody asks, to whoever has logged in.

use jitsi_xmpp::ns;
use jitsi_xmpp::xml::escape_attr;

use super::{breakout_rooms, external_services, lobby};
use crate::config::Config;
use crate::module::{Bound, Module, Named};
use crate::outbox::Outgoing;
use crate::world::World;

pub(super) static IDENTITIES: Module = Module {
    name: "identities",
    named: &["features_identity"],
    identities: Some(identities),
    ..Module::NONE
};

/// Saves clients several round trips.
pub(super) static PUSH: Module =
    Module { name: "push", named: &["jiconop"], bound: Some(bound), ..Module::NONE };

/// Only what really answers: clients enable their user interface by these.
fn identities(config: &Config, components: &[(&'static str, &str)]) -> Vec<Named> {
    let components = components.iter().map(|(kind, domain)| ("component", *kind, (*domain).to_owned()));
    let own = [("shard", &config.shard), ("region", &config.region), ("release", &config.release)];
    let own = own.into_iter().filter_map(|(kind, name)| Some(("server", kind, name.clone()?)));
    components.chain(own).collect()
}

/// compat: with the TURN servers, as the first module of this name had it: older clients ask for none after it
/// (test: compat_the_push_before_the_bind_result_names_the_turn_servers).
fn bound(world: &World, to: &Bound<'_>) -> Outgoing {
    let mut text = String::with_capacity(to.list.len() + ROOM_FOR_REST);
    text.push_str("\" xmlns=\"jabber:client\" from=\"");
    escape_attr(to.domain, &mut text);
    text.push_str("\"><query xmlns=\"http://jabber.org/protocol/disco#info\">");
    text.push_str(to.list);
    let session = world.sessions.by_jid(to.jid.as_str()).and_then(|id| world.sessions.get(id));
    let rename =
        session.is_some_and(|s| s.identity.room.is_some()) && world.hosts.breakouts_of_meetings().is_some();
    let lobby = session.and_then(|s| lobby::feature(world, &s.identity));
    for feature in lobby.into_iter().chain(rename.then_some(breakout_rooms::RENAME)) {
        text.push_str("<feature var=\"");
        escape_attr(feature, &mut text);
        text.push_str("\"/>");
    }
    text.push_str("</query>");
    external_services::services(world, ns::EXTDISCO_2, None, to.jid).write_within(ns::CLIENT, &mut text);
    text.push_str("</message>");
    Outgoing::message(text)
}

/// Bytes around the list: features of the session, servers.
const ROOM_FOR_REST: usize = 1024;
