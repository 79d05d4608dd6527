//! What the focus says about itself, and whether what a client says about itself fits its hash: disco#info and
//! XEP-0115 in and out.

use std::sync::LazyLock;

use jitsi_xmpp::disco::{DiscoInfo, Identity};
use jitsi_xmpp::presence::Caps;
use jitsi_xmpp::{Element, ns};

use crate::limits;

/// The focus' answer to disco#info.
pub(crate) fn info(node: Option<&str>) -> Element {
    let node = node.filter(|n| n.len() <= 2 * limits::TEXT).map(str::to_owned);
    DiscoInfo { node, ..OWN.0.clone() }.to_element()
}

/// The capabilities in each of its presences.
pub(crate) fn caps() -> Element {
    OWN.1.to_element()
}

/// Whether a disco#info answer is what the capabilities `node#ver` announce.
pub(crate) fn hash_fits(query: &Element, key: &str) -> bool {
    let announced = key.rsplit_once('#').map(|(_, ver)| ver);
    DiscoInfo::from_element(query)
        .ok()
        .and_then(|i| i.ver())
        .is_some_and(|ver| Some(ver.as_str()) == announced)
}

static OWN: LazyLock<(DiscoInfo, Caps)> = LazyLock::new(|| {
    let info = DiscoInfo {
        identities: vec![Identity::new("component", "conference", Some("focus"))],
        features: FEATURES.iter().map(|f| (*f).to_owned()).collect(),
        ..DiscoInfo::default()
    };
    let ver = info.ver().unwrap_or_default();
    (info, Caps { hash: "sha-1".into(), node: NODE.into(), ver })
});

/// Clients of upstream know this software by this name.
const NODE: &str = "http://jitsi.org/jicofo";
const FEATURES: &[&str] = &[
    ns::CAPS,
    ns::DISCO_INFO,
    ns::VERSION,
    // compat: clients of 2021 look for it before they ask for a restart (test: compat_clients_of_2021_are_heard).
    "https://jitsi.org/meet/jicofo/terminate-restart",
    ns::JINGLE,
    ns::PING,
];
