//! One meeting on this bridge: who is in it, on which other bridges it is, and its media.

use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;
use jitsi_xmpp::colibri2::{Media, MediaSource};
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
    /// Our id of its home, if this is another part of it.
    pub(crate) part_of: Option<String>,
    /// The ways to its other parts: of a part the one to the home.
    pub(crate) ways: Vec<EndpointKey>,
    /// At the home: who is in other parts, or about to be.
    pub(crate) elsewhere: HashMap<EndpointId, Elsewhere, foldhash::quality::RandomState>,
    /// Where it may have parts: all codecs that anybody has.
    pub(crate) media_known: Vec<Media>,
}

/// A participant in another part.
#[derive(Debug)]
pub(crate) struct Elsewhere {
    pub(crate) way: EndpointKey,
    /// Tells apart two who had the same id one after the other.
    pub(crate) creation: u64,
    pub(crate) visitor: bool,
}

/// The way to another bridge.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) key: EndpointKey,
    /// Bridges of one mesh reach each other themselves.
    pub(crate) mesh: Option<String>,
}

/// A participant on another bridge, or in another part of the conference.
#[derive(Debug)]
pub(crate) struct Remote {
    /// The relay, or way, it is behind.
    pub(crate) relay: EndpointKey,
    /// Whether its media arrives there, as its bridge says.
    pub(crate) reachable: bool,
    pub(crate) sources: Arc<[MediaSource]>,
    pub(crate) diarize: bool,
}

impl Conference {
    /// All participants and relays.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = EndpointKey> + '_ {
        self.endpoints.values().copied().chain(self.relays.values().map(|link| link.key))
    }

    /// The relays that what came over the relay `from` is passed on to: those of other meshes, and all ways. With `None` it came from
    /// here, and goes to all.
    pub(crate) fn relays_beyond(&self, from: Option<EndpointKey>) -> impl Iterator<Item = EndpointKey> + '_ {
        let came = from;
        let from = self.relays.values().find(|link| Some(link.key) == from);
        let passes = move |link: &&Link| from.is_none_or(|from| from.mesh != link.mesh);
        let relays = self.relays.values().filter(passes).map(|link| link.key);
        relays.chain(self.ways.iter().copied().filter(move |way| Some(*way) != came))
    }

    /// Whether requests of the focus are for this part.
    pub(crate) fn is_home(&self) -> bool {
        self.part_of.is_none()
    }

    /// At the home: participants of this bridge, in all parts.
    pub(crate) fn people(&self) -> usize {
        self.endpoints.len() + self.elsewhere.len()
    }

    /// At the home: whether nothing is left to keep it for.
    pub(crate) fn is_deserted(&self) -> bool {
        self.people() == 0 && self.relays.is_empty()
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
