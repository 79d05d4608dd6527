//! What the parts of a conference tell each other: what one shard says in; for the shell to carry to another shard, in order, out.

use std::sync::Arc;

use jitsi_xmpp::colibri2::{ConferenceModified, Endpoint, Media, MediaSource};
use jitsi_xmpp::ids::{EndpointId, MeetingId};

use crate::RequestId;
use crate::mailbox::ChannelMessage;
use crate::media::FeedbackSsrcs;

/// One piece of news. The shell carries it and does not look inside.
#[derive(Debug)]
pub struct PartNews(pub(crate) News);

/// That a part is over: the least that can be said.
impl Default for PartNews {
    fn default() -> Self {
        Self(News::End)
    }
}

impl PartNews {
    /// The request that the receiving shard answers: if it fails over it, the shell does.
    pub fn request(&self) -> Option<RequestId> {
        match &self.0 {
            News::Order(order) => Some(order.request),
            _ => None,
        }
    }

    /// The error for it.
    pub fn refusal(&self) -> Option<jitsi_xmpp::StanzaError> {
        match &self.0 {
            News::Order(order) => Some(crate::colibri2::unknown(&order.wanted.id)),
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) enum News {
    /// Of the home: there is a part to be.
    Begin(Box<Beginning>),
    /// Of the home: carry this out and answer the focus.
    Order(Box<Order>),
    /// Of the home: carry this out; the focus has its answer.
    Change(Box<Endpoint>),
    /// Somebody is somewhere else, with all these sources.
    Known(Box<Person>),
    /// Not any more. `creation` says which time, if it was of the one who says it.
    Gone { id: EndpointId, creation: u64 },
    /// Codecs that somebody somewhere else has.
    Media(Vec<Media>),
    /// As between bridges.
    Said(ChannelMessage),
    /// Of the home: the part is over, with everybody in it.
    End,
    /// Of a part: a fault has cost it everybody.
    Failed,
}

/// What a part has to know to begin with.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) meeting: MeetingId,
    /// Our id of the home.
    pub(crate) home: String,
    pub(crate) statistics: bool,
    pub(crate) feedback: FeedbackSsrcs,
    pub(crate) media: Vec<Media>,
}

/// One endpoint of a request, and the answer to the request but for what is said of it.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) request: RequestId,
    pub(crate) wanted: Endpoint,
    pub(crate) answer: ConferenceModified,
    /// Which entry of the answer.
    pub(crate) at: usize,
}

/// Somebody of another part, or of another bridge behind it.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: EndpointId,
    /// Tells apart two who had the same id one after the other.
    pub(crate) creation: u64,
    pub(crate) sources: Arc<[MediaSource]>,
    pub(crate) diarize: bool,
    pub(crate) reachable: bool,
}
