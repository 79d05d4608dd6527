//! What clients may not say themselves: identities and names that only the server vouches for are removed
//! (xmpp-server §4.29 and §4.14, XEP-0045 and XEP-0421).

use jitsi_xmpp::{Element, StanzaError, ns};

use crate::module::{Module, Relay};
use crate::room::Room;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "strip",
    presence: Some(presence),
    message: Some(message),
    private: Some(message),
    ..Module::NONE
};

fn presence(_: &World, _: &Sender, presence: &mut Element, _: bool) {
    presence.retain_children(|c| {
        !matches!((c.name(), c.ns()), ("x", ns::MUC | ns::MUC_USER) | ("occupant-id", OCCUPANT_ID))
            && !matches!(c.name(), "identity" | "permissions")
    });
}

fn message(_: &mut Room, _: &World, _: &Sender, e: &mut Element) -> Result<Relay, StanzaError> {
    e.retain_children(|c| {
        !matches!(
            (c.name(), c.ns()),
            ("nick", ns::NICK) | ("display-name", _) | ("delay", ns::DELAY) | ("occupant-id", OCCUPANT_ID)
        ) && !c.is("x", ns::MUC_USER)
            && !c.is("addresses", "http://jabber.org/protocol/address")
    });
    Ok(Relay::Pass)
}

const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
