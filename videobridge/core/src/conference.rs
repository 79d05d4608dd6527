//! One meeting on this bridge: who is in it, on which other bridges it is, and its media.

use std::time::Instant;

use hashbrown::HashMap;
use jitsi_xmpp::ids::{EndpointId, MeetingId};

use crate::EndpointKey;
use crate::colibri2::connects::Service;
use crate::media::{FeedbackSsrcs, MediaConference};
use crate::timers::Armed;

/// A meeting.
pub(crate) struct Conference {
    pub(crate) meeting: MeetingId,
    /// Ours, as in WebSocket URLs.
    pub(crate) id: String,
    pub(crate) created: Instant,
    /// Whether services of statistics may hear of it.
    pub(crate) statistics: bool,
    pub(crate) endpoints: HashMap<EndpointId, EndpointKey, foldhash::quality::RandomState>,
    /// By the other bridges' relay ids.
    pub(crate) relays: HashMap<String, Link, foldhash::quality::RandomState>,
    /// Who is on another bridge.
    pub(crate) remotes: HashMap<EndpointId, Remote, foldhash::quality::RandomState>,
    pub(crate) feedback: FeedbackSsrcs,
    pub(crate) media: MediaConference,
    /// Services outside that hear it.
    pub(crate) services: Vec<Service>,
    pub(crate) armed: Armed,
}

/// The way to another bridge.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) key: EndpointKey,
    /// Bridges of one mesh reach each other themselves.
    pub(crate) mesh: Option<String>,
}

/// A participant on another bridge.
#[derive(Debug)]
pub(crate) struct Remote {
    /// The relay it is behind.
    pub(crate) relay: EndpointKey,
    /// Whether its media arrives there, as its bridge says.
    pub(crate) reachable: bool,
}

impl Conference {
    /// All participants and relays.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = EndpointKey> + '_ {
        self.endpoints.values().copied().chain(self.relays.values().map(|link| link.key))
    }

    /// The relays that what came over the relay `from` is passed on to: those of other meshes. With `None` it came from
    /// here, and goes to all.
    pub(crate) fn relays_beyond(&self, from: Option<EndpointKey>) -> impl Iterator<Item = EndpointKey> + '_ {
        let from = self.relays.values().find(|link| Some(link.key) == from);
        let passes = move |link: &&Link| from.is_none_or(|from| from.mesh != link.mesh);
        self.relays.values().filter(passes).map(|link| link.key)
    }

    /// Whether it connects bridges that do not reach each other: then it may be without participants.
    pub(crate) fn is_between_meshes(&self) -> bool {
        let mut meshes = self.relays.values().map(|link| &link.mesh);
        let first = meshes.next();
        meshes.any(|mesh| Some(mesh) != first)
    }

    /// Everybody here but `except`.
    pub(crate) fn others(&self, except: Option<EndpointKey>) -> impl Iterator<Item = EndpointKey> + '_ {
        self.endpoints.values().copied().filter(move |key| Some(*key) != except)
    }
}
