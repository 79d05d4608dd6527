//! A request over HTTP from the admin's side in; whether whoever asks may, and what the module says that answers its path, out.

use prosody_token::{TokenRules, Unverified};

use crate::hosts::Hosts;
use crate::module::{Does, Inside, Route, Whom};
use crate::muc::Muc;
use crate::output::HttpReply;
use crate::request::{HttpMethod, HttpRequest};
use crate::world::World;

/// What is answered over HTTP, each once.
pub(crate) fn all(hosts: &Hosts) -> Vec<(HttpMethod, &'static str)> {
    let mut all: Vec<_> = routes(hosts).map(|r| (r.method, r.path)).collect();
    all.sort_unstable_by_key(|(method, path)| (*path, *method));
    all.dedup();
    all
}

pub(crate) fn answer(muc: &mut Muc<'_>, request: &HttpRequest) -> HttpReply {
    let asked = |r: &&Route| r.method == request.method && r.path == request.path;
    let Some(route) = routes(muc.hosts).find(asked) else { return HttpReply::refused(404) };
    if let Err(status) = admit(muc.hosts, muc.world, route.whom, request) {
        return HttpReply::refused(status);
    }
    match route.does {
        Does::Reads(answer) => answer(&Inside { rooms: muc.rooms, world: muc.world }, request),
        Does::Changes(answer) => answer(muc, request),
    }
}

fn routes(hosts: &Hosts) -> impl Iterator<Item = &'static Route> {
    hosts.modules().flat_map(|m| m.http)
}

/// Whether this one may ask, or the status that says no. Before anything else is looked at: who may not learns nothing of rooms.
fn admit(hosts: &Hosts, world: &World, whom: Whom, request: &HttpRequest) -> Result<(), u16> {
    let logins =
        || hosts.of(&world.config, world.config.domain()).and_then(|id| hosts.users(id)?.token.as_deref());
    let token = request.bearer();
    let is_of = |rules: &TokenRules| token.is_some_and(|token| is_believed(rules, token, world));
    let (may, status) = match whom {
        Whom::Anybody => return Ok(()),
        Whom::Programs(status) => (world.config.programs.iter().any(|rules| is_of(rules)), status),
        Whom::TokenHolders(status) => (logins().is_some_and(is_of), status),
        Whom::TokenHoldersIfAny(status) => (logins().is_none_or(is_of), status),
    };
    if may { Ok(()) } else { Err(status) }
}

fn is_believed(rules: &TokenRules, token: &str, world: &World) -> bool {
    let unix = world.clock.unix(world.now);
    Unverified::parse(rules, token).and_then(|token| token.verify(rules, None, unix)).is_ok()
}
