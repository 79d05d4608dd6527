//! Which part of a conference an endpoint is in: an entry of a request in; the way to the shard that has it, or is to have it, out.

use std::time::Instant;

use jitsi_xmpp::colibri2::Endpoint as Wanted;

use crate::command::{ConferenceKey, DatagramSink, RequestId};
use crate::conference::{Conference, Elsewhere};
use crate::limits::MAX_ENDPOINTS_PER_CONFERENCE;
use crate::media::EndpointKey;
use crate::shard::Shard;

impl Shard {
    /// The way to the part that an endpoint is in; `None`: it is here, or nowhere. Who is new is noted, who has to go is forgotten: what
    /// the focus asks next is about this state, whatever the other shard has done of it by then.
    pub(super) fn place(
        &mut self,
        now: Instant,
        request: RequestId,
        key: ConferenceKey,
        wanted: &Wanted,
        out: &mut dyn DatagramSink,
    ) -> Option<EndpointKey> {
        let c = self.conferences.get(key.0 as usize)?;
        if let Some(way) = c.elsewhere.get(&wanted.id).map(|e| e.way) {
            if wanted.expire {
                self.forget_elsewhere(key, &wanted.id);
            }
            return Some(way);
        }
        if !wanted.create || wanted.expire || !self.spreads() {
            return None;
        }
        let shard = self.choose(c)?;
        let way = self.way_to(now, key, shard, out)?;
        let elsewhere = Elsewhere { way, creation: request.0, visitor: super::is_visitor(wanted) };
        if let Some(c) = self.conferences.get_mut(key.0 as usize) {
            c.elsewhere.insert(wanted.id.clone(), elsewhere);
        }
        if let Some(way) = self.endpoints.ways.get_mut(way) {
            way.people += 1;
        }
        Some(way)
    }

    /// The shard for one more; `None`: this one.
    ///
    /// A part costs: it gets all that anybody there wants, once. So there are only as many as have enough people, and another one is on
    /// the shard that has least to do.
    fn choose(&self, c: &Conference) -> Option<u16> {
        let most = self.config.spread_above;
        let people = c.people();
        if people < most {
            return None;
        }
        let me = self.config.index;
        let load = |shard: u16, own: usize| {
            let all = self.loads.get(usize::from(shard)).map_or(0, |load| *load as usize);
            all.max(own)
        };
        let ways = c.ways.iter().filter_map(|way| self.endpoints.ways.get(*way));
        let parts = std::iter::once((me, c.endpoints.len())).chain(ways.map(|way| (way.shard, way.people)));
        let open = parts.clone().filter(|(_, own)| *own < MAX_ENDPOINTS_PER_CONFERENCE);
        let enough = parts.clone().count() > people / most;
        let others = (0..self.config.shards).filter(|shard| !parts.clone().any(|(s, _)| s == *shard));
        let quiet = others.min_by_key(|shard| load(*shard, 0)).filter(|_| !enough);
        let shard = quiet.or_else(|| Some(open.min_by_key(|(shard, own)| load(*shard, *own))?.0));
        shard.filter(|shard| *shard != me)
    }

    /// Whether there is room for one more in a conference.
    pub(super) fn has_room(&self, c: &Conference) -> bool {
        let parts = if self.spreads() { usize::from(self.config.shards) } else { 1 };
        c.people() < parts.saturating_mul(MAX_ENDPOINTS_PER_CONFERENCE)
    }
}
