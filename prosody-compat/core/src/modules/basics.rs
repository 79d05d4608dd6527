//! What every host with users answers: ping (XEP-0199), version (XEP-0092), the old session request (RFC 3921), an empty
//! roster, and service discovery (XEP-0030). Rows like all others.

use jitsi_xmpp::{Element, ns};

use crate::module::Module;
use crate::world::World;

pub(super) static PING: Module = Module {
    name: "ping",
    request: Some(|_, r| r.gets("ping", ns::PING).then_some(Ok(None))),
    features: &[ns::PING],
    ..Module::NONE
};

pub(super) static SESSION: Module = Module {
    name: "session",
    request: Some(|_, r| (r.kind == "set" && r.payload.is("session", ns::SESSION)).then_some(Ok(None))),
    ..Module::NONE
};

pub(super) static VERSION: Module = Module {
    name: "version",
    request: Some(|_, r| r.gets("query", ns::VERSION).then(|| Ok(Some(version())))),
    features: &[ns::VERSION],
    ..Module::NONE
};

pub(super) static ROSTER: Module = Module {
    name: "roster",
    request: Some(|_, r| r.gets("query", ns::ROSTER).then(|| Ok(Some(Element::new("query", ns::ROSTER))))),
    features: &[ns::ROSTER],
    ..Module::NONE
};

pub(super) static DISCO: Module = Module {
    name: "disco",
    request: Some(|world, r| {
        let node = r.payload.attr("node");
        if r.gets("query", ns::DISCO_INFO) {
            return Some(Ok(Some((r.host.about)(node))));
        }
        r.gets("query", ns::DISCO_ITEMS).then(|| Ok(Some(items(world, node))))
    }),
    features: &[ns::DISCO_INFO, ns::DISCO_ITEMS],
    ..Module::NONE
};

/// Rooms are hidden, so only what everybody needs is listed.
fn items(world: &World, node: Option<&str>) -> Element {
    let mut query = Element::new("query", ns::DISCO_ITEMS).with_opt_attr("node", node);
    if node.is_none() {
        for address in [world.config.muc_domain(), &*world.hosts.proxy()] {
            query.push(Element::inherit("item").with_attr("jid", address));
        }
    }
    query
}

fn version() -> Element {
    Element::new("query", ns::VERSION)
        .with_child(Element::inherit("name").with_text("Plausch"))
        .with_child(Element::inherit("version").with_text(env!("CARGO_PKG_VERSION")))
}
