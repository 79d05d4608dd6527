//! Upstream's `features_identity` and `jiconop` (xmpp-server §4.10): which components there are, in the host's information
//! and, before anybody asks, to whoever has logged in.

use jitsi_xmpp::{Element, ns};

use crate::config::Config;
use crate::module::{Information, Module, Named};
use crate::world::World;

pub(super) static MODULE: Module =
    Module { name: "components", identities: Some(identities), bound: Some(bound), ..Module::NONE };

/// Only what really answers: clients enable their user interface by these.
fn identities(config: &Config, components: &[(&'static str, &str)]) -> Vec<Named> {
    let components = components.iter().map(|(kind, domain)| ("component", *kind, (*domain).to_owned()));
    let own = [("shard", &config.shard), ("region", &config.region), ("release", &config.release)];
    let own = own.into_iter().filter_map(|(kind, name)| Some(("server", kind, name.clone()?)));
    components.chain(own).collect()
}

fn bound(world: &World, host: &Information<'_>) -> Option<Element> {
    let message = || Element::new("message", ns::CLIENT).with_attr("from", host.domain);
    world.config.push_components.then(|| message().with_child((host.about)(None)))
}
