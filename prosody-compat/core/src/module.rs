//! What a module can hook into. A module is one file in `modules/` with one [`Module`]; the lists in `modules/mod.rs`
//! say which host has it, and in which order modules are asked.
//!
//! A hook sees one room and the [`World`]. What it wants beyond (another room, the end of this one) it leaves as an
//! [`Effect`](crate::world::Effect), which is carried out when the stanza at hand is done with.

use std::sync::Arc;

use jitsi_xmpp::{BareJid, Element, FullJid, Jid, StanzaError};

use crate::config::Config;
use crate::hosts::RoomsDef;
use crate::muc::Muc;
use crate::outbox::Outgoing;
use crate::output::{Answer, HttpReply, QuestionId};
use crate::request::{HttpMethod, HttpRequest};
use crate::room::rank::Affiliation;
pub(crate) use crate::room::waiting::{Attempt, Reason};
use crate::room::{Occupant, Room};
use crate::rooms::Rooms;
use crate::session::{Session, SessionId};
use crate::world::{Sender, World};

/// The modules of a host, in the order in which they are asked.
pub(crate) type Modules = Arc<[&'static Module]>;

/// What a rule about coming in says.
pub(crate) enum Verdict {
    /// The next rule decides.
    Pass,
    /// The join is answered with this error; `by` the MUC host instead of the room if set.
    Refuse { error: StanzaError, by_host: bool },
    /// The join is answered with this stanza, which is an error of a shape of its own.
    Answer(Box<Element>),
    /// The join waits until somebody releases those who wait for this.
    Hold(&'static Reason),
}

impl Verdict {
    pub(crate) fn refuse(error: StanzaError) -> Self {
        Self::Refuse { error, by_host: false }
    }
}

/// What a rule about a message or IQ says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relay {
    /// The next rule decides, in the end it is relayed.
    Pass,
    /// It disappears without a word.
    Drop,
}

/// What a rule about a conference request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conference {
    /// The next rule decides, in the end the focus hears of it.
    Pass,
    /// The module has answered it, or keeps it until it does, or gives it to the focus.
    Taken,
}

/// An account's new affiliation.
pub(crate) struct Affiliated<'a> {
    pub(crate) account: &'a BareJid,
    pub(crate) before: Affiliation,
    pub(crate) affiliation: Affiliation,
    /// Who set it; `None`: the server itself.
    pub(crate) by: Option<SessionId>,
}

/// A command to a component from somebody who is in a room of its host.
pub(crate) struct Command<'a> {
    pub(crate) sender: &'a Sender,
    /// The sender's nick there.
    pub(crate) nick: &'a str,
    pub(crate) message: &'a Element,
}

/// A `get` or `set` to a host with users.
pub(crate) struct Request<'a> {
    pub(crate) from: &'a FullJid,
    pub(crate) kind: &'a str,
    pub(crate) payload: &'a Element,
    pub(crate) host: Information<'a>,
    pub(crate) rooms: &'a Rooms,
}

/// A host with users, as service discovery shows it.
pub(crate) struct Information<'a> {
    /// As the one who asks spelled it.
    pub(crate) domain: &'a str,
    /// The answer to a question about this node of it.
    pub(crate) about: &'a dyn Fn(Option<&str>) -> Element,
}

/// Somebody who has logged in and is about to hear its address.
pub(crate) struct Bound<'a> {
    pub(crate) jid: &'a FullJid,
    /// Its host, as it spelled it.
    pub(crate) domain: &'a str,
    /// What service discovery lists of the host, as text.
    pub(crate) list: &'a str,
}

/// An identity (XEP-0030): category, type and name.
pub(crate) type Named = (&'static str, &'static str, String);

impl Request<'_> {
    /// Whether it asks for this.
    pub(crate) fn gets(&self, name: &str, ns: &str) -> bool {
        self.kind == "get" && self.payload.is(name, ns)
    }
}

/// What a request is answered with.
pub(crate) type Reply = Result<Option<Element>, StanzaError>;

/// Everything, for somebody inside to read.
pub(crate) struct Inside<'a> {
    pub(crate) rooms: &'a Rooms,
    pub(crate) world: &'a World,
}

/// An address that the module answers over HTTP: on the admin's listener, never on the public front.
pub(crate) struct Route {
    pub(crate) method: HttpMethod,
    /// `/room-size`
    pub(crate) path: &'static str,
    pub(crate) whom: Whom,
    pub(crate) does: Does,
}

/// Who is answered. Others get the status.
#[derive(Clone, Copy)]
pub(crate) enum Whom {
    /// Whoever reaches the listener.
    Anybody,
    /// Programs with a token of their own ([`Config::programs`]); nobody where no key for these is configured.
    Programs(u16),
    /// Who has a token with which people log in on the main host; nobody where they have none.
    TokenHolders(u16),
    /// The same; where people have none, everybody.
    TokenHoldersIfAny(u16),
}

/// What a route does with a request.
pub(crate) enum Does {
    Reads(fn(&Inside<'_>, &HttpRequest) -> HttpReply),
    Changes(fn(&mut Muc<'_>, &HttpRequest) -> HttpReply),
}

impl Route {
    /// One that only reads.
    pub(crate) const fn reads(
        path: &'static str,
        whom: Whom,
        answer: fn(&Inside<'_>, &HttpRequest) -> HttpReply,
    ) -> Self {
        Self { method: HttpMethod::Get, path, whom, does: Does::Reads(answer) }
    }
}

/// A domain of the module's own, beside the host that has it.
pub(crate) struct Component {
    /// `type` of its identity in discovery; clients switch their user interface on by it. `None`: not advertised.
    pub(crate) identity: Option<&'static str>,
    /// Whether it is also about the breakout rooms of its meetings, each by itself.
    pub(crate) in_breakouts: bool,
}

/// One module: its name and the places where it has a say.
#[expect(clippy::type_complexity, reason = "names for the hooks' types would hide what a hook gets")]
pub(crate) struct Module {
    /// For timers, answers and components' addresses.
    pub(crate) name: &'static str,
    /// Upstream's names that bring it; with none it is always there. A component's stand in the table of components.
    pub(crate) named: &'static [&'static str],
    /// Whether the configuration wants it where it is named.
    pub(crate) enabled: fn(&Config) -> bool,
    pub(crate) component: Option<Component>,

    // ---- before a room is looked at
    /// May this sender talk to rooms of the host at all?
    pub(crate) access: Option<fn(&RoomsDef, &Sender) -> bool>,
    /// Any stanza to the module's own domain, before commands; given back if the module does not take it.
    pub(crate) stanza: Option<fn(&mut World, &Sender, &Jid, Element) -> Option<Element>>,
    /// A message to the module's own domain, from an occupant. An error is answered, with the command's id.
    pub(crate) command: Option<fn(&mut Room, &mut World, &Command<'_>) -> Result<(), StanzaError>>,
    /// A session is gone for good.
    pub(crate) session_ended: Option<fn(&mut World, SessionId, &Session)>,

    // ---- a host with users
    /// What somebody who has logged in is told before it hears its address.
    pub(crate) bound: Option<fn(&World, &Bound<'_>) -> Outgoing>,
    /// A message to somebody's account, or a session of it, past all rooms.
    pub(crate) direct: Option<fn(&Sender) -> Result<(), StanzaError>>,
    /// A request to the host itself, or to the sender's own account. `None`: another module's.
    pub(crate) request: Option<fn(&World, &Request<'_>) -> Option<Reply>>,
    /// What its information names, besides the server itself; `components` are those there are, with their domains.
    pub(crate) identities: Option<fn(&Config, components: &[(&'static str, &str)]) -> Vec<Named>>,
    /// What its information says that it answers.
    pub(crate) features: &'static [&'static str],

    // ---- coming in
    /// Somebody asks the focus for a meeting in a room of this host that is not there, and the focus does not know yet.
    pub(crate) conference: Option<fn(&mut World, &Sender, &BareJid, &Element) -> Conference>,
    /// May this room come into being?
    pub(crate) create: Option<fn(&World, &BareJid, &Attempt) -> Verdict>,
    /// It does; nobody is in yet.
    pub(crate) created: Option<fn(&mut Room, &mut World)>,
    /// May this one come in?
    pub(crate) join: Option<fn(&mut Room, &mut World, &mut Attempt) -> Verdict>,
    /// It does, and knows the others; right before its own presence.
    pub(crate) welcome: Option<fn(&mut Room, &mut World, &Sender)>,
    /// It is in, and history and subject follow.
    pub(crate) joined: Option<fn(&mut Room, &mut World, &Sender, nick: &str)>,

    // ---- while it is in
    /// A presence before it is kept and relayed.
    pub(crate) presence: Option<fn(&World, &Sender, &mut Element, joining: bool)>,
    /// Takes out of a presence what only moderators see, where the policy hides it.
    pub(crate) mask: Option<fn(&mut Element)>,
    /// An occupant's presence, in which `presence` was, was relayed.
    pub(crate) relayed: Option<fn(&mut Room, &mut World, nick: &str, presence: &Element)>,
    /// What is added to the presence that an occupant gets of itself.
    pub(crate) own: Option<fn(&mut Room, &mut World, nick: &str) -> Option<Element>>,
    /// A message to all, before it is kept and relayed.
    pub(crate) message: Option<MessageHook>,
    /// A message to one.
    pub(crate) private: Option<MessageHook>,
    /// A message to all, or to one, that all of these let through.
    pub(crate) last: Option<fn(&mut Room, &mut World, &Sender, &mut Element) -> Result<Relay, StanzaError>>,
    /// An IQ to another occupant.
    pub(crate) iq: Option<fn(&mut Room, &mut World, &Sender, &mut Element) -> Result<Relay, StanzaError>>,
    /// An IQ to an occupant from somebody who is not in the room, which may not even be there: how it is refused, if in a way of the
    /// module's own.
    pub(crate) stranger: Option<fn(&Element) -> Option<StanzaError>>,
    /// A request to the room itself that is a module's. `None`: another module's.
    pub(crate) asked:
        Option<fn(&mut Room, &mut World, &Sender, kind: &str, payload: &Element) -> Option<Reply>>,
    /// Affiliations and roles are about to be changed, all that stand in this query. An error is answered, and none is.
    pub(crate) change: Option<fn(&Room, &World, &Sender, query: &Element) -> Result<(), StanzaError>>,
    /// An affiliation was set and nobody knows yet.
    pub(crate) affiliation: Option<fn(&mut Room, &mut World, &Affiliated<'_>)>,
    /// An affiliation was set, and everybody was told.
    pub(crate) affiliated: Option<fn(&mut Room, &mut World, &Affiliated<'_>)>,

    // ---- configuration and discovery
    /// May an owner change what owners can change, or end the room?
    pub(crate) owner: Option<fn(&World, &Sender) -> Result<(), StanzaError>>,
    /// May this one ask what the room is like?
    pub(crate) look: Option<fn(&Room, &Sender) -> bool>,
    /// Adds fields to the form that owners fill in.
    pub(crate) form: Option<fn(&Room, &mut Element)>,
    /// A field of that form; `Some(whether it changed anything)` if it is the module's.
    pub(crate) config: Option<fn(&mut Room, &Sender, var: &str, value: &str) -> Option<bool>>,
    /// Owners decided whether only members come in, perhaps as it was before; whether everybody must look at the configuration again.
    pub(crate) members_only: Option<fn(&mut Room, &mut World, &Sender, on: bool) -> bool>,
    /// Adds fields to the form in the room's information.
    pub(crate) disco: Option<fn(&Room, &mut Element)>,

    // ---- going
    /// An occupant is gone, and everybody was told.
    pub(crate) left: Option<fn(&mut Room, &mut World, &Occupant)>,
    /// The room is gone.
    pub(crate) destroyed: Option<fn(&Room, &mut World)>,

    // ---- from the inside
    /// What it answers over HTTP.
    pub(crate) http: &'static [Route],

    // ---- later
    /// The time of a `Timer::Room` with the module's name.
    pub(crate) timer: Option<fn(&mut Room, &mut World)>,
    /// The time of a `Timer::Aside` with the module's name, about a room that need not be there.
    pub(crate) due: Option<fn(&mut World, &BareJid)>,
    /// The answer to a question that the module asked about a room, which need not be there: not yet, or no more.
    pub(crate) answer: Option<fn(&mut World, &BareJid, QuestionId, &Answer)>,
}

/// Changes a stanza before it is relayed, or drops or refuses it.
pub(crate) type MessageHook = fn(&mut Room, &World, &Sender, &mut Element) -> Result<Relay, StanzaError>;

impl Module {
    /// A module that has no say anywhere: what a row does not name.
    pub(crate) const NONE: Self = Self {
        name: "",
        named: &[],
        enabled: |_| true,
        component: None,
        access: None,
        stanza: None,
        command: None,
        session_ended: None,
        bound: None,
        direct: None,
        request: None,
        identities: None,
        features: &[],
        conference: None,
        create: None,
        created: None,
        join: None,
        welcome: None,
        joined: None,
        presence: None,
        mask: None,
        relayed: None,
        own: None,
        message: None,
        private: None,
        last: None,
        iq: None,
        stranger: None,
        asked: None,
        change: None,
        affiliation: None,
        affiliated: None,
        owner: None,
        look: None,
        form: None,
        config: None,
        members_only: None,
        disco: None,
        left: None,
        destroyed: None,
        http: &[],
        timer: None,
        due: None,
        answer: None,
    };
}
