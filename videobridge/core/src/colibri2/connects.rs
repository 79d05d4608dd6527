//! Services outside that the focus wants to hear a conference: its list, or changes to it, in; whom to connect with, who gets what from now on,
//! and who is let go, out (bridge §2.9).

use jitsi_xmpp::colibri2::Connect;

use super::errors::Refusal;
use crate::command::{ConferenceKey, Event};
use crate::conference::Conference;
use crate::limits;
use crate::media::{Export, ExportKey};
use crate::shard::Shard;

/// One that was wanted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Service {
    pub(crate) key: ExportKey,
    connect: Connect,
}

impl Shard {
    /// Everything that can be wrong with the list, before anything is changed.
    pub(super) fn check_connects(
        &self,
        wanted: &[Connect],
        conference: Option<&Conference>,
    ) -> Result<(), Refusal> {
        let present = conference.map_or(&[][..], |c| &c.services);
        let after = resulting(present, wanted)?;
        let others = self.services.len().saturating_sub(present.len());
        if after.len() > limits::MAX_SERVICES_PER_CONFERENCE || others + after.len() > limits::MAX_SERVICES {
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// Carries out what was checked.
    pub(super) fn set_connects(&mut self, key: ConferenceKey, wanted: &[Connect]) {
        let Some(conference) = self.conferences.get_mut(key.0 as usize) else { return };
        let Ok(after) = resulting(&conference.services, wanted) else { return };
        let mut before = std::mem::take(&mut conference.services);
        for connect in after {
            let at = before.iter().position(|s| s.connect.name() == connect.name());
            let service = match at.map(|at| before.swap_remove(at)) {
                Some(service) => {
                    let same = service.connect.exports == connect.exports
                        && service.connect.requests == connect.requests;
                    if !same {
                        self.endpoints.event(Event::ServiceSources {
                            service: service.key,
                            exports: connect.exports.clone(),
                            requests: connect.requests.clone(),
                        });
                    }
                    Service { connect, ..service }
                }
                None => {
                    self.last_service += 1;
                    let number = (u64::from(self.config.index) << SHARD_SHIFT) | self.last_service;
                    let service = ExportKey(number);
                    self.services.insert(service, key);
                    self.endpoints
                        .event(Event::ServiceWanted { service, connect: Box::new(connect.clone()) });
                    Service { key: service, connect }
                }
            };
            conference.services.push(service);
        }
        let exports = conference.services.iter().filter(|s| s.connect.audio);
        let exports = exports.map(|s| Export { key: s.key, only: s.connect.exports.clone() }).collect();
        conference.media.set_exports(exports);
        self.let_go(before);
    }

    /// Nothing more for these.
    pub(crate) fn let_go(&mut self, services: Vec<Service>) {
        for service in services {
            self.services.remove(&service.key);
            self.endpoints.event(Event::ServiceLetGo { service: service.key });
        }
    }
}

/// The list after a request. The older form names all there are to be; the newer one, with ids or `create` and `expire`, what changes.
fn resulting(present: &[Service], wanted: &[Connect]) -> Result<Vec<Connect>, Refusal> {
    if wanted.iter().any(|c| c.video && !c.expire) {
        return Err(Refusal::NotImplemented("Video"));
    }
    let changes = wanted.iter().any(|c| c.id.is_some() || c.create || c.expire);
    let mut after: Vec<Connect> =
        if changes { present.iter().map(|s| s.connect.clone()).collect() } else { Vec::new() };
    for connect in wanted {
        let is_same = |c: &Connect| c.name() == connect.name() || connect.expire && c.url == connect.url;
        if connect.expire {
            after.retain(|c| !is_same(c));
            continue;
        }
        let running = present.iter().find(|s| s.connect.name() == connect.name()).map(|s| &s.connect);
        if running.is_some_and(|r| !can_become(r, connect)) {
            return Err(Refusal::NotImplemented("Updating connect"));
        }
        let connect = Connect { create: false, ..connect.clone() };
        match after.iter_mut().find(|c| c.name() == connect.name()) {
            Some(known) => *known = connect,
            None => after.push(connect),
        }
    }
    Ok(after)
}

/// Which sources it is about can change while it runs, nothing else.
fn can_become(running: &Connect, wanted: &Connect) -> bool {
    let (url, kind, protocol) = (&wanted.url, wanted.kind, wanted.protocol);
    running.url == *url
        && (running.kind, running.protocol, running.audio) == (kind, protocol, wanted.audio)
        && (&running.headers, running.ping) == (&wanted.headers, wanted.ping)
}

/// A service's number begins with its shard's, so that those of all shards differ.
const SHARD_SHIFT: u32 = 48;
