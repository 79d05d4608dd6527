//! Bound sessions: an address in, the session with its transport, resumption state and rooms out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use budget::{Bucket, Network, Shares};
use jitsi_xmpp::{BareJid, FullJid};
use prosody_token::Features;

use crate::asked::Asked;
use crate::identity::Identity;
use crate::limits::Limits;
use crate::outbox;
use crate::output::ConnId;
use crate::places::Places;
use crate::stream::sm::StreamManagement;
use crate::unacked::Unacked;

/// A session, numbered by the core; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u64);

/// Somebody who is logged in, with or without a connection.
pub(crate) struct Session {
    pub(crate) jid: FullJid,
    pub(crate) bare: BareJid,
    /// `jid` escaped, spliced into every stanza sent to it.
    pub(crate) to: Arc<str>,
    /// `None` while it waits to be resumed.
    pub(crate) conn: Option<ConnId>,
    pub(crate) sm: Option<StreamManagement>,
    pub(crate) identity: Arc<Identity>,
    /// What it may do since it moderates, in place of what its token says.
    pub(crate) granted: Option<Features>,
    /// Who made it a moderator, if it is known what that one may do.
    pub(crate) granted_by: Option<Arc<Identity>>,
    /// The rooms it is in, with its nick there.
    pub(crate) rooms: Vec<(BareJid, Box<str>)>,
    /// The rooms where its join waits.
    pub(crate) waits_in: Vec<BareJid>,
    /// How often it has spoken to others.
    pub(crate) pace: Bucket,
    /// How often that reached people.
    pub(crate) own: Bucket,
    /// What others have said to it alone, beyond what is their own.
    pub(crate) heard: Bucket,
    /// How often it has called somebody by telephone.
    pub(crate) dialled: Bucket,
    /// What it has asked other occupants.
    pub(crate) asked: Asked,
    /// What it last said of itself without an address: whether it is there for what comes to its account. Browsers say nothing.
    pub(crate) available: Option<bool>,
    /// Set while it waits to be resumed.
    pub(crate) resumable_until: Option<Instant>,
}

/// A table by a number that we gave out: nobody can choose keys that collide.
pub(crate) type IdMap<K, V> = foldhash::HashMap<K, V>;

/// All bound sessions.
pub(crate) struct Sessions {
    by_id: Places<Session>,
    /// Sorted, so that all sessions of one account are neighbours.
    by_jid: BTreeMap<Box<str>, SessionId>,
    by_resumption: HashMap<Box<str>, SessionId>,
    hibernating: usize,
    by_network: Shares<Network>,
    unacked: Unacked,
    most: usize,
}

impl Sessions {
    /// At most so many as the limits say, of clients.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            by_id: Places::default(),
            by_jid: BTreeMap::new(),
            by_resumption: HashMap::new(),
            hibernating: 0,
            by_network: Shares::fair(limits.max_sessions_per_address, limits.max_sessions),
            unacked: Unacked::new(limits),
            most: limits.max_sessions,
        }
    }

    /// Whether there is room for another session from `peer`.
    pub(crate) fn has_room(&self, peer: Option<Network>) -> bool {
        self.by_id.len() < self.most && peer.is_none_or(|p| self.by_network.has(&p, 1))
    }

    /// Adds a session; the address must be free.
    pub(crate) fn add(&mut self, jid: FullJid, conn: ConnId, identity: Identity) -> SessionId {
        let name = jid.as_str().into();
        if let Some(peer) = identity.peer {
            // Whoever must have room was asked before; a role that is let in all the same holds no place.
            let _ = self.by_network.take(peer, 1);
        }
        let session = Session {
            bare: jid.to_bare(),
            to: outbox::address(jid.as_str()),
            jid,
            conn: Some(conn),
            sm: None,
            identity: Arc::new(identity),
            granted: None,
            granted_by: None,
            rooms: Vec::new(),
            waits_in: Vec::new(),
            pace: Bucket::full(),
            own: Bucket::full(),
            heard: Bucket::full(),
            dialled: Bucket::full(),
            asked: Asked::default(),
            available: None,
            resumable_until: None,
        };
        let id = SessionId(self.by_id.insert(session));
        self.by_jid.insert(name, id);
        id
    }

    pub(crate) fn get(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(id.0)
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(id.0)
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.by_id.iter().map(|(id, s)| (SessionId(id), s))
    }

    /// Forgets a session.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.by_id.remove(id.0)?;
        self.by_jid.remove(session.jid.as_str());
        if let Some(peer) = session.identity.peer {
            self.by_network.give_back(&peer, 1);
        }
        if let Some(sm) = &session.sm {
            self.by_resumption.remove(sm.id());
            if let Some(peer) = session.identity.peer {
                // Less is nothing to look at.
                let _ = self.unacked.changed(peer, sm.weighed(), 0);
            }
        }
        if session.resumable_until.is_some() {
            self.hibernating -= 1;
        }
        Some(session)
    }

    /// The session with exactly this address.
    pub(crate) fn by_jid(&self, jid: &str) -> Option<SessionId> {
        self.by_jid.get(jid).copied()
    }

    /// All sessions of an account.
    pub(crate) fn of_account(&self, bare: &str) -> impl Iterator<Item = (SessionId, &Session)> {
        let prefix = format!("{bare}/");
        self.by_jid
            .range::<str, _>((std::ops::Bound::Included(prefix.as_str()), std::ops::Bound::Unbounded))
            .take_while({
                let prefix = prefix.clone();
                move |(jid, _)| jid.starts_with(&prefix)
            })
            .filter_map(|(_, id)| self.by_id.get(id.0).map(|s| (*id, s)))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The session that can be resumed with this id.
    pub(crate) fn by_resumption(&self, id: &str) -> Option<SessionId> {
        self.by_resumption.get(id).copied()
    }

    /// Switches stream management on.
    pub(crate) fn manage(&mut self, id: SessionId, sm: StreamManagement) {
        if let Some(s) = self.by_id.get_mut(id.0) {
            if let Some(key) = sm.resumption_key() {
                self.by_resumption.insert(key.into(), id);
            }
            s.sm = Some(sm);
        }
    }

    /// What a session has unacknowledged weighs more or less. Returns those who had to lose theirs, so that their address keeps
    /// within its share: those with most.
    pub(crate) fn weigh(&mut self, id: SessionId) -> Vec<SessionId> {
        let mut lost = Vec::new();
        let Some(s) = self.by_id.get_mut(id.0) else { return lost };
        let Some(sm) = &mut s.sm else { return lost };
        let (before, after) = sm.take_weight();
        // Roles of this process have what they need: there is one or two of them.
        let Some(network) = s.identity.peer else { return lost };
        if !self.unacked.changed(network, before, after) {
            return lost;
        }
        loop {
            let (mut held, mut real) = (HashSet::new(), 0);
            let mut queues = Vec::new();
            for (id, s) in self.by_id.iter().filter(|(_, s)| s.identity.peer == Some(network)) {
                let Some(sm) = s.sm.as_ref().filter(|sm| sm.weight() > 0) else { continue };
                real += sm.adds_to(&mut held);
                queues.push((sm.weight(), SessionId(id)));
            }
            if !self.unacked.found(network, real) || queues.is_empty() {
                return lost;
            }
            // A quarter at a time: how much somebody's going frees, only another look tells.
            queues.sort_unstable_by(|a, b| b.cmp(a));
            queues.truncate(queues.len().div_ceil(4));
            for (_, id) in queues {
                let Some(sm) = self.by_id.get_mut(id.0).and_then(|s| s.sm.as_mut()) else { continue };
                sm.overflow();
                let (before, after) = sm.take_weight();
                let _ = self.unacked.changed(network, before, after);
                lost.push(id);
            }
        }
    }

    /// The transport is gone: the session waits until `until`.
    pub(crate) fn hibernate(&mut self, id: SessionId, until: Instant) {
        if let Some(s) = self.by_id.get_mut(id.0) {
            s.conn = None;
            if s.resumable_until.replace(until).is_none() {
                self.hibernating += 1;
            }
        }
    }

    /// The session goes on on `conn`; the connection it had before is returned.
    pub(crate) fn resume(&mut self, id: SessionId, conn: ConnId) -> Option<ConnId> {
        let s = self.by_id.get_mut(id.0)?;
        if s.resumable_until.take().is_some() {
            self.hibernating -= 1;
        }
        s.conn.replace(conn)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) const fn hibernating(&self) -> usize {
        self.hibernating
    }
}
