//! Upstream's `features_identity` and `jiconop` (xmpp-server §4.10): which components there are, in the host's information
//! and, before anybody asks, to whoever has logged in.

use jitsi_xmpp::{Element, FullJid, ns};

use super::{breakout_rooms, external_services, lobby};
use crate::config::Config;
use crate::module::{Information, Module, Named};
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
fn bound(world: &World, to: &FullJid, host: &Information<'_>) -> Option<Element> {
    let message = || Element::new("message", ns::CLIENT).with_attr("from", host.domain);
    let services = external_services::services(world, ns::EXTDISCO_2, None, to);
    let mut about = (host.about)(None);
    let session = world.sessions.by_jid(to.as_str()).and_then(|id| world.sessions.get(id));
    let rename =
        session.is_some_and(|s| s.identity.room.is_some()) && world.hosts.breakouts_of_meetings().is_some();
    let lobby = session.and_then(|s| lobby::feature(world, &s.identity));
    for feature in lobby.into_iter().chain(rename.then_some(breakout_rooms::RENAME)) {
        about.push(Element::inherit("feature").with_attr("var", feature));
    }
    Some(message().with_child(about).with_child(services))
}
