//! Upstream's `muc_jigasi_invite` (xmpp-server §4.32): a program has somebody called by telephone, into a meeting; the gateway with
//! the least to do is asked, as the focus would. Off unless it is named.

use jitsi_xmpp::{Element, ns};
use serde_json::Value;

use super::filter_iq_rayo;
use crate::module::{Does, Module, Route, Whom};
use crate::muc::Muc;
use crate::outbox::Outgoing;
use crate::output::HttpReply;
use crate::request::{self, HttpMethod, HttpRequest};
use crate::room::{FOCUS_NICK, Occupant, Room};
use crate::tenants;

pub(super) static MODULE: Module = Module {
    name: "muc_jigasi_invite",
    named: &["muc_jigasi_invite"],
    http: &[Route {
        method: HttpMethod::Post,
        path: "/invite-jigasi",
        whom: Whom::Programs(401),
        does: Does::Changes(invite),
    }],
    ..Module::NONE
};

fn invite(muc: &mut Muc<'_>, request: &HttpRequest) -> HttpReply {
    let Some(said) = request.object() else { return HttpReply::refused(400) };
    // A number that is lines would be lines of the call.
    let text = |name: &str| said.get(name).and_then(Value::as_str).filter(|t| !t.contains(char::is_control));
    let config = &muc.world.config;
    let meeting = text("conference").and_then(|address| request::room_at(config, address));
    let (Some(meeting), Some(number)) = (meeting, text("phoneNo")) else { return HttpReply::refused(400) };
    let meeting = tenants::shown(config, &meeting);
    let beside = |room: &&Room| {
        room.jid.node() == Some(BREWERY)
            && room.jid.domain() != config.muc_domain()
            && !config.hosts.is_lobby(room.jid.domain())
    };
    let Some(brewery) = muc.rooms.iter().find(beside) else { return missing("Brewery room was not found") };
    let gateways = brewery.occupants().filter(|o| &*o.nick != FOCUS_NICK);
    let stressed = gateways.filter_map(|o| Some((stress(o)?, o.primary()?.id)));
    let Some((_, gateway)) = stressed.min_by(|(a, _), (b, _)| a.total_cmp(b)) else {
        return missing("Jigasi not found");
    };
    let room = Element::inherit("header").with_attr("name", filter_iq_rayo::ROOM).with_attr("value", meeting);
    let dial = Element::new("dial", ns::RAYO)
        .with_attr("from", "fromnumber")
        .with_attr("to", number)
        .with_child(room);
    let from = brewery.occupant_jid(FOCUS_NICK);
    let iq = Element::new("iq", ns::CLIENT)
        .with_attr("type", "set")
        .with_attr("from", from)
        .with_attr("id", muc.world.entropy.hex(32))
        .with_child(dial);
    // Nobody waits for its answer, which is dropped.
    muc.world.deliver(gateway, &Outgoing::new(iq));
    HttpReply::done()
}

/// How much a gateway has to do. `None`: it says nothing of that, or is none for telephones.
fn stress(gateway: &Occupant) -> Option<f64> {
    let said = gateway.said.read()?;
    let stats = said.child("stats", ns::COLIBRI)?;
    let stat =
        |name: &str| stats.children().find(|s| s.attr("name") == Some(name)).and_then(|s| s.attr("value"));
    let sip = stat("supports_sip") != Some("false");
    stat("stress_level")?.parse::<f64>().ok().filter(|stress| sip && !stress.is_nan())
}

fn missing(what: &str) -> HttpReply {
    HttpReply { status: 404, json: serde_json::json!({ "error": what }).to_string().into() }
}

/// Where gateways are found.
const BREWERY: &str = "jigasibrewery";
