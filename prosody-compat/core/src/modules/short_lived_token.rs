//! Upstream's `short_lived_token` (xmpp-server §4.33): somebody in a meeting gets a token of ours that ends soon, with which another
//! service of the town believes who it is and in which meeting. Asked for as credentials of a service of the type
//! `short-lived-token`. Off unless it is named.

use jitsi_xmpp::{Condition, Element, ErrorType, Sensitive, StanzaError, ns};
use prosody_token::{Guest, ShortLived};

use super::meeting_id;
use crate::clock::iso;
use crate::config::ShortLivedTokens;
use crate::module::{Module, Reply, Request};
use crate::tenants;
use crate::world::World;

pub(super) static MODULE: Module = Module {
    name: NAME,
    named: &[NAME],
    enabled: |config| config.short_lived_tokens.is_some(),
    request: Some(request),
    ..Module::NONE
};

pub(super) const NAME: &str = "short_lived_token";

const KIND: &str = "short-lived-token";

fn request(world: &World, r: &Request<'_>) -> Option<Reply> {
    let asks = r.gets("credentials", ns::EXTDISCO_2) || r.gets("credentials", ns::EXTDISCO_1);
    let tokens = world.config.short_lived_tokens.as_deref().filter(|_| asks)?;
    let wants = |s: &Element, a: &str| s.attr("type") == Some(KIND) && s.attr("host") == Some(a);
    // Each once, however often it is named.
    let wanted = tokens
        .audiences
        .iter()
        .filter(|a| r.payload.children().any(|s| s.name() == "service" && wants(s, a)))
        .map(String::as_str);
    let wanted: Vec<&str> = wanted.collect();
    (!wanted.is_empty()).then(|| services(world, r, tokens, &wanted))
}

fn services(world: &World, r: &Request<'_>, tokens: &ShortLivedTokens, wanted: &[&str]) -> Reply {
    let nowhere = || StanzaError::new(Condition::NotAllowed).with_type(ErrorType::Cancel);
    let id = world.sessions.by_jid(r.from.as_str()).ok_or_else(nowhere)?;
    let session = world.sessions.get(id).ok_or_else(nowhere)?;
    // The room that its connection was for, as it says in its URL.
    let room = tenants::meant(&world.config, &session.identity).and_then(|room| r.rooms.get(&room));
    let room = room.ok_or_else(nowhere)?;
    let occupant = room.occupant_of(id).ok_or_else(nowhere)?;
    let now = world.clock.unix(world.now);
    let identity = &session.identity;
    let own = identity.token.as_deref();
    let lent = session.granted_by.as_ref().and_then(|by| by.token.as_deref());
    let granted_from = lent.and_then(|t| t.user.as_ref()?.id());
    let said = occupant.said.read();
    let email = said.and_then(|s| s.child("email", ns::CLIENT).map(Element::text));
    let group = own.and_then(|t| t.group.as_ref()).or_else(|| lent?.group.as_ref());
    let claims = |audience| ShortLived {
        issuer: &tokens.issuer,
        audience,
        subject: text(identity.tenant.as_ref()).unwrap_or(r.host.domain),
        room: text(identity.room.as_ref()),
        meeting_id: Some(meeting_id::of(room)).filter(|id| !id.is_empty()),
        user: own.and_then(|t| t.user.as_ref()),
        guest: Guest {
            id: r.from.as_str(),
            name: occupant.name.as_deref(),
            email: email.as_deref(),
            nick: Some(&occupant.nick),
        },
        group: text(group),
        features: world.features(id),
        granted_from: granted_from.as_deref(),
        customer_id: None,
        backend_region: world.config.region.as_deref(),
        user_region: identity.region.as_deref(),
    };
    let mut answer = Element::new("credentials", r.payload.ns().to_owned());
    for audience in wanted {
        let claims = claims(audience).claims(now.as_secs(), tokens.lasts.as_secs());
        let failed = |_| StanzaError::new(Condition::InternalServerError);
        let password = tokens.signer.sign(&claims).map_err(failed)?;
        answer.push(
            Element::inherit("service")
                .with_attr("type", KIND)
                .with_attr("host", *audience)
                .with_attr("port", "443")
                .with_attr("transport", "https")
                .with_attr("username", "token")
                .with_attr("password", password.reveal().as_str())
                .with_attr("expires", iso(now + tokens.lasts))
                .with_attr("restricted", "1"),
        );
    }
    Ok(Some(answer))
}

fn text(value: Option<&Sensitive<String>>) -> Option<&str> {
    value.map(|v| v.reveal().as_str())
}
