//! Which bridges of a conference are linked with which (focus §7.5): a bridge that came or went in; links to be made, and on which link each
//! bridge hears of whom, out.
//!
//! Those who meet are on bridges that are all linked with each other: one mesh. Where a tree is wanted, a bridge for those who watch has one
//! link, to a bridge that is there, in a mesh of its own: pictures and sound go once to each, and bridges pass them on from one mesh into the
//! next. What is told on a link follows from the graph alone, so that one which changes is mended by looking at it again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jitsi_xmpp::colibri2::Endpoint;
use jitsi_xmpp::ids::EndpointId;

use super::relays::{Link, expire_endpoint};
use super::sessions::{BridgeSession, SessionNumber, Sessions};
use crate::conference::Conference;
use crate::turn::Turn;

/// compat: upstream's name for the mesh of those who meet (test: compat_a_relay_is_made_with_these_words).
pub(super) const CORE: &str = "0";

impl Sessions {
    /// From `home`: each other bridge, how far it is, and which of its neighbours is nearer.
    fn ways(&self, home: SessionNumber) -> BTreeMap<SessionNumber, (usize, SessionNumber)> {
        let mut found = BTreeMap::from([(home, (0, home))]);
        let mut next = VecDeque::from([home]);
        while let Some(at) = next.pop_front() {
            let far = found.get(&at).map_or(0, |(far, _)| *far);
            for n in self.get(at).into_iter().flat_map(|s| s.links.keys()) {
                if !found.contains_key(n) && self.get(*n).is_some() {
                    found.insert(*n, (far + 1, at));
                    next.push_back(*n);
                }
            }
        }
        found.remove(&home);
        found
    }

    /// The links on which something about somebody at `home` is told: of whom, about whom.
    pub(super) fn on_the_way(&self, home: SessionNumber) -> Vec<(SessionNumber, SessionNumber)> {
        self.ways(home).into_iter().map(|(of, (_, nearer))| (of, nearer)).collect()
    }

    /// Who is behind each link of a bridge, on that bridge or beyond it.
    fn behind(&self, of: SessionNumber) -> BTreeMap<SessionNumber, BTreeSet<EndpointId>> {
        let ways = self.ways(of);
        let mut all: BTreeMap<SessionNumber, BTreeSet<EndpointId>> = BTreeMap::new();
        for (number, (_, nearer)) in &ways {
            // Back to the first step.
            let (mut first, mut before) = (*number, *nearer);
            while before != of {
                first = before;
                before = ways.get(&before).map_or(of, |(_, nearer)| *nearer);
            }
            let there = self.get(*number).map(|s| s.endpoints.clone()).unwrap_or_default();
            all.entry(first).or_default().extend(there);
        }
        all
    }

    /// Who is behind one of them.
    pub(super) fn behind_link(&self, of: SessionNumber, about: SessionNumber) -> BTreeSet<EndpointId> {
        self.behind(of).remove(&about).unwrap_or_default()
    }

    fn link(&mut self, one: SessionNumber, other: SessionNumber, mesh: &str) {
        let relay = |n| self.get(n).and_then(|s| s.relay_id.clone());
        let (Some(a), Some(b)) = (relay(one), relay(other)) else { return };
        for (of, about, theirs) in [(one, other, b), (other, one, a)] {
            if let Some(s) = self.get_mut(of) {
                s.links.insert(about, Link::new(theirs, of < about, mesh.to_owned()));
            }
            self.dirty.insert((of, about));
        }
    }

    /// A name that no mesh has had.
    fn new_mesh(&mut self) -> String {
        self.meshes += 1;
        self.meshes.to_string()
    }

    /// Those that reach each other, the one with most of those who meet first.
    fn parts(&self) -> Vec<Vec<SessionNumber>> {
        let mut left: BTreeSet<SessionNumber> = self.linkable().map(|s| s.number).collect();
        let mut parts = Vec::new();
        while let Some(first) = left.pop_first() {
            let mut part = vec![first];
            part.extend(self.ways(first).into_keys());
            part.iter().for_each(|n| {
                left.remove(n);
            });
            parts.push(part);
        }
        let meet = |part: &Vec<SessionNumber>| {
            part.iter().filter(|n| self.get(**n).is_some_and(|s| !s.viewers)).count()
        };
        // Of equals the one that was there first.
        parts.sort_by_key(|part| std::cmp::Reverse(meet(part)));
        parts
    }

    fn linkable(&self) -> impl Iterator<Item = &BridgeSession> {
        self.iter().filter(|s| s.answered && s.relay_id.is_some())
    }
}

impl Conference {
    /// A bridge has answered for the first time: it is linked with those that have.
    pub(crate) fn link_session(&mut self, turn: &mut Turn<'_>, number: SessionNumber) {
        let tree = turn.config.bridges.tree;
        let Some(new) = self.sessions.get_mut(number).filter(|s| !s.answered) else { return };
        new.answered = true;
        if new.relay_id.is_none() {
            return;
        }
        if !(tree && new.viewers) {
            let others = self.sessions.linkable().filter(|s| s.number != number && !(tree && s.viewers));
            for other in others.map(|s| s.number).collect::<Vec<_>>() {
                self.sessions.link(number, other, CORE);
            }
        }
        self.join_parts(turn);
    }

    /// Links what does not reach each other, where bridges hang in a tree, and looks again at who is told of whom.
    pub(super) fn join_parts(&mut self, turn: &mut Turn<'_>) {
        if !turn.config.bridges.tree {
            return;
        }
        let mut parts = self.sessions.parts().into_iter();
        let Some(mut trunk) = parts.next() else { return };
        for part in parts {
            let Some(root) = part.first().copied() else { continue };
            if let Some(at) = self.place_in(turn, &trunk, root) {
                let mesh = self.sessions.new_mesh();
                self.sessions.link(root, at, &mesh);
                trunk.extend(part);
            }
        }
        self.tell_as_it_is(turn);
    }

    /// Where a bridge is linked to: near those who meet and with little load, in its region if there is place.
    fn place_in(
        &self,
        turn: &Turn<'_>,
        trunk: &[SessionNumber],
        root: SessionNumber,
    ) -> Option<SessionNumber> {
        let region = self.sessions.get(root)?.region.clone();
        let meet: Vec<SessionNumber> =
            self.sessions.iter().filter(|s| !s.viewers).map(|s| s.number).collect();
        let far = |n: SessionNumber| {
            let ways = self.sessions.ways(n);
            let to = |m: &SessionNumber| if *m == n { Some(0) } else { ways.get(m).map(|(far, _)| *far) };
            meet.iter().filter_map(to).min().unwrap_or(usize::MAX)
        };
        let load = |s: &BridgeSession| {
            turn.brewery.bridge(&s.bridge).map_or(f64::MAX, |b| b.corrected_stress(turn.now))
        };
        let key = |n: &SessionNumber| {
            let s = self.sessions.get(*n)?;
            let (load, elsewhere) = (load(s), region.is_none() || s.region != region);
            let full = load >= turn.config.bridges.stress_threshold;
            // Thousandths: floats have no order.
            Some((full, elsewhere, far(*n), (load * 1000.0) as u64, *n))
        };
        trunk.iter().filter_map(key).min().map(|(.., n)| n)
    }

    /// Brings what is told on each link in line with the graph: whoever is not behind it any more is taken back at once, so that nobody is
    /// ever twice on a bridge; the others follow.
    fn tell_as_it_is(&mut self, turn: &mut Turn<'_>) {
        let all: Vec<SessionNumber> = self.sessions.iter().map(|s| s.number).collect();
        for of in all {
            let mut behind = self.sessions.behind(of);
            let meets = |id: &EndpointId| self.members.get(id).is_some_and(|m| !m.watches);
            behind.values_mut().for_each(|ids| ids.retain(meets));
            let Some(s) = self.sessions.get_mut(of) else { continue };
            let (bridge, meeting) = (s.bridge.clone(), s.meeting.clone());
            let mut news = Vec::new();
            for (about, link) in &mut s.links {
                let there = behind.remove(about).unwrap_or_default();
                for gone in link.told.difference(&there).cloned().collect::<Vec<_>>() {
                    link.told.remove(&gone);
                    let mut endpoint = Endpoint::new(gone);
                    endpoint.expire = true;
                    expire_endpoint(turn, &bridge, &meeting, &link.relay, endpoint);
                }
                link.stale.retain(|id| there.contains(id));
                let come: Vec<EndpointId> = there.difference(&link.told).cloned().collect();
                if !come.is_empty() {
                    link.stale.extend(come);
                    news.push((of, *about));
                }
            }
            self.sessions.dirty.extend(news);
        }
    }
}
