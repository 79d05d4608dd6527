//! A request over HTTP from the admin's side in; whether whoever asks may, and what the module says that answers its path, out.

use std::collections::BTreeMap;
use std::sync::Arc;

use prosody_token::{Need, TokenRules, Unverified};

use crate::counters::Did;
use crate::hosts::Hosts;
use crate::keys::{self, Waits, Whose};
use crate::limits::PARKED;
use crate::module::{Does, Inside, Route, Whom};
use crate::modules;
use crate::muc::Muc;
use crate::output::{HttpReply, RequestId};
use crate::request::{HttpMethod, HttpRequest};
use crate::world::World;

/// What may be answered over HTTP, each once: also what no host has now, and may have later.
pub(crate) fn all() -> Vec<(HttpMethod, &'static str)> {
    let modules = modules::ROOMS.iter().chain(modules::USERS);
    let mut all: Vec<_> = modules.flat_map(|m| m.http).map(|r| (r.method, r.path)).collect();
    all.sort_unstable_by_key(|(method, path)| (*path, *method));
    all.dedup();
    all
}

/// The answer. `None`: it waits for a key, and has to be asked again.
pub(crate) fn answer(muc: &mut Muc<'_>, id: RequestId, request: &HttpRequest) -> Option<HttpReply> {
    let asked = |(_, r): &(&str, &Route)| r.method == request.method && r.path == request.path;
    let Some((name, route)) = routes(muc.hosts).find(asked) else { return Some(HttpReply::refused(404)) };
    match admit(muc.hosts, muc.world, route.whom, id, request) {
        May::Ask => {}
        May::Not(status) => {
            muc.world.counters.module(name, Did::Refused);
            return Some(HttpReply::refused(status));
        }
        May::Wait => return None,
    }
    let reply = match route.does {
        Does::Reads(answer) => answer(&Inside { rooms: muc.rooms, world: muc.world }, request),
        Does::Changes(answer) => answer(muc, request),
    };
    muc.world.counters.module(name, if reply.status < 400 { Did::Done } else { Did::Refused });
    Some(reply)
}

/// Requests that wait for a key.
#[derive(Default)]
struct Parked(BTreeMap<RequestId, HttpRequest>);

/// Keeps it until its key is there; or the answer, when too many wait.
pub(crate) fn park(world: &mut World, id: RequestId, request: &HttpRequest) -> Option<HttpReply> {
    let parked = &mut world.slots.entry::<Parked>().0;
    if parked.len() >= PARKED {
        return Some(HttpReply::refused(503));
    }
    parked.insert(id, request.clone());
    None
}

/// One that was kept.
pub(crate) fn take(world: &mut World, id: RequestId) -> Option<HttpRequest> {
    world.slots.get_mut::<Parked>()?.0.remove(&id)
}

/// Each with its module.
fn routes(hosts: &Hosts) -> impl Iterator<Item = (&'static str, &'static Route)> {
    hosts.modules_now().flat_map(|m| m.http.iter().map(|route| (m.name, route)))
}

/// Whether somebody may ask.
enum May {
    Ask,
    /// With the status that says so.
    Not(u16),
    /// It is not known yet.
    Wait,
}

/// Whether this one may ask. Before anything else is looked at: who may not learns nothing of rooms.
fn admit(hosts: &Hosts, world: &mut World, whom: Whom, id: RequestId, request: &HttpRequest) -> May {
    let main = hosts.of(&world.config, world.config.domain());
    let logins = main.and_then(|host| Some((Whose::Host(host), hosts.users(host)?.token.clone()?)));
    let programs = |world: &World| {
        let all = world.config.programs.iter().enumerate();
        all.map(|(i, rules)| (Whose::Programs(i), Arc::clone(rules))).collect()
    };
    let (rules, status): (Vec<(Whose, Arc<TokenRules>)>, u16) = match whom {
        Whom::Anybody => return May::Ask,
        Whom::TokenHoldersIfAny(_) if logins.is_none() => return May::Ask,
        Whom::Programs(status) => (programs(world), status),
        Whom::TokenHolders(status) | Whom::TokenHoldersIfAny(status) => {
            (logins.into_iter().collect(), status)
        }
    };
    let Some(token) = request.bearer() else { return May::Not(status) };
    let mut waits = false;
    for (whose, rules) in rules {
        match is_believed(world, whose, &rules, id, token) {
            Some(true) => return May::Ask,
            Some(false) => {}
            None => waits = true,
        }
    }
    if waits { May::Wait } else { May::Not(status) }
}

/// `None`: its key is being asked for.
fn is_believed(
    world: &mut World,
    whose: Whose,
    rules: &TokenRules,
    id: RequestId,
    token: &str,
) -> Option<bool> {
    let Ok(token) = Unverified::parse(rules, token) else { return Some(false) };
    let key = match token.key_id() {
        None => None,
        Some(key) => match keys::need(world, whose, Waits::Request(id), None, key) {
            Some(Need::Have(key)) => Some(key),
            Some(Need::Wait) => return None,
            Some(Need::Refused(_)) | None => return Some(false),
        },
    };
    let unix = world.clock.unix(world.now);
    Some(token.verify(rules, key.as_ref(), unix).is_ok())
}
