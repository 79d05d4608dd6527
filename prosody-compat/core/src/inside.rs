//! A request over HTTP from the admin's side in; the module that answers its path found, its answer out.

use crate::hosts::Hosts;
use crate::module::{Inside, Route};
use crate::output::{HttpReply, HttpRequest};

/// What is answered over HTTP, each path once.
pub(crate) fn paths(hosts: &Hosts) -> Vec<&'static str> {
    let mut paths: Vec<_> = routes(hosts).map(|r| r.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

pub(crate) fn answer(hosts: &Hosts, inside: &Inside<'_>, request: &HttpRequest) -> HttpReply {
    match routes(hosts).find(|r| r.path == request.path) {
        Some(route) => (route.answer)(inside, request),
        None => HttpReply::refused(404),
    }
}

fn routes(hosts: &Hosts) -> impl Iterator<Item = &'static Route> {
    hosts.modules().flat_map(|m| m.http)
}
