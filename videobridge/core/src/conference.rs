//! One meeting on this bridge: who is in it, and its media.

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
    pub(crate) endpoints: HashMap<EndpointId, EndpointKey, foldhash::quality::RandomState>,
    pub(crate) feedback: FeedbackSsrcs,
    pub(crate) media: MediaConference,
    /// Services outside that hear it.
    pub(crate) services: Vec<Service>,
    pub(crate) armed: Armed,
}

impl Conference {
    /// Everybody but `except`.
    pub(crate) fn others(&self, except: Option<EndpointKey>) -> impl Iterator<Item = EndpointKey> + '_ {
        self.endpoints.values().copied().filter(move |key| Some(*key) != except)
    }
}
