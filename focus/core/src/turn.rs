//! One turn of the engine: what a conference may use while it handles one input. Everything it does to the world
//! is data in here: stanzas to send, requests that wait for a reply, counters.

use std::collections::VecDeque;
use std::time::Instant;

use jitsi_xmpp::conference_request::HttpAnswer;
use jitsi_xmpp::ids::MeetingId;
use jitsi_xmpp::iq;
use jitsi_xmpp::{BareJid, Element, Entropy, FullJid, Jid, StanzaError};

use crate::bridges::Brewery;
use crate::config::Config;
use crate::features::CapsCache;
use crate::iqs::{self, Iqs};
use crate::limits;
use crate::logins::Logins;
use crate::pins::Pins;
use crate::services::{Gateways, Recorders};
use crate::stats::Counters;
use crate::timers::Timers;
use crate::{HttpRequestId, Output};

/// The conference a reply belongs to. Unique per run, so that a late reply never reaches a room's successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConferenceId(pub(crate) u64);

/// What waits for a reply.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Waiting {
    /// Which components the domain has.
    Discovery,
    /// Whether a failed bridge works again.
    Probe(FullJid),
    /// A conference, see [`conference`](crate::conference).
    Conference { id: ConferenceId, room: BareJid, what: crate::conference::Wait },
}

/// How a request is answered; there is no way to return none (focus §13.3).
#[derive(Debug)]
pub(crate) enum Verdict {
    /// With a result and this payload.
    Result(Option<Element>),
    /// With an error.
    Error(StanzaError),
    /// Later, by somebody who keeps the request.
    Later,
}

impl From<StanzaError> for Verdict {
    fn from(e: StanzaError) -> Self {
        Self::Error(e)
    }
}

/// See the module.
pub(crate) struct Turn<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a Config,
    /// Our address on the link.
    pub(crate) me: &'a FullJid,
    pub(crate) brewery: &'a mut Brewery,
    pub(crate) recorders: &'a mut Recorders,
    pub(crate) gateways: &'a mut Gateways,
    pub(crate) caps: &'a mut CapsCache,
    pub(crate) entropy: &'a mut dyn Entropy,
    pub(crate) counters: &'a mut Counters,
    pub(crate) iqs: &'a mut Iqs,
    pub(crate) timers: &'a mut Timers,
    /// Who has logged in.
    pub(crate) logins: &'a Logins,
    /// Rooms that are bound to a version of the bridges.
    pub(crate) pins: &'a Pins,
    /// The component that lets people watch.
    pub(crate) visitors: Option<&'a Jid>,
    pub(crate) out: &'a mut VecDeque<Output>,
    /// Conferences left behind on bridges that could not be told.
    pub(crate) orphans: &'a mut Vec<(FullJid, MeetingId)>,
}

impl Turn<'_> {
    pub(crate) fn send(&mut self, stanza: Element) {
        self.out.push_back(Output::Send(stanza));
    }

    pub(crate) fn http(&mut self, request: HttpRequestId, reply: HttpAnswer) {
        self.out.push_back(Output::HttpReply { request, reply });
    }

    /// Sends a request; the reply, or its absence, comes back as `then`. `false`: too many are under way, nothing was
    /// sent, and the asker tries again after [`limits::BUSY`](crate::limits::BUSY).
    #[must_use]
    pub(crate) fn ask(&mut self, kind: &str, to: &Jid, payload: Element, then: Waiting) -> bool {
        let id = self.iqs.register(self.now, self.timers, self.entropy, to, then);
        match &id {
            Some(id) => self.send(iq::request(kind, to, id, payload)),
            None => self.counters.requests_postponed += 1,
        }
        id.is_some()
    }

    /// A bridge that is away still has this meeting: it is told to end it when it is back.
    pub(crate) fn orphan(&mut self, bridge: FullJid, meeting: MeetingId) {
        if self.orphans.len() < limits::ORPHANS {
            self.orphans.push((bridge, meeting));
        }
    }

    /// Sends a request whose reply changes nothing: it is not waited for.
    pub(crate) fn tell(&mut self, kind: &str, to: &Jid, payload: Element) {
        let id = iqs::new_id(self.entropy);
        self.send(iq::request(kind, to, &id, payload));
    }
}
