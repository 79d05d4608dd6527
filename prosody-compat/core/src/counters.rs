//! What happened how often, by reason and by module: plain numbers that the shell exports.

use std::collections::BTreeMap;

use jitsi_xmpp::StanzaError;

use crate::module::Relay;

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $label:literal,)*) => {
        /// Something that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Counter { $($(#[$doc])* $variant,)* }

        impl Counter {
            /// Every counter, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The counter's name in the metrics.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }
    };
}

counters! {
    /// Connections opened.
    Opened = "connections_opened",
    /// Connections refused because there are too many.
    TooManyConnections = "connections_refused",
    /// Stanzas received.
    StanzasIn = "stanzas_received",
    /// Messages among them.
    MessagesIn = "messages_received",
    /// Presences among them.
    PresencesIn = "presences_received",
    /// Requests and answers among them.
    IqsIn = "iqs_received",
    /// Stanzas sent, one per recipient.
    StanzasOut = "stanzas_sent",
    /// Frames that are not an XML element; dropped.
    Malformed = "stanzas_malformed",
    /// Frames beyond the size limit; the stream was closed.
    TooLarge = "stanzas_too_large",
    /// Logins with a token.
    TokensTaken = "tokens_taken",
    /// Those that failed, with one that is not good enough or with none.
    TokensRefused = "tokens_refused",
    /// Failed logins.
    AuthFailed = "auth_failed",
    /// Passwords that had to wait for their turn.
    AuthDelayed = "auth_delayed",
    /// Sessions refused: too many, or too many from one address.
    SessionsRefused = "sessions_refused",
    /// Connections whose next frames are read later, because their session speaks to others without pause.
    Paused = "paused",
    /// Presences refused because they are too large to be kept.
    PresenceTooLarge = "presence_too_large",
    /// What was to be kept in a room was not, because its address has left too much.
    KeptTooMuch = "kept_too_much",
    /// Stream errors sent.
    StreamErrors = "stream_errors",
    /// Stanza errors sent.
    StanzaErrors = "stanza_errors",
    /// Sessions whose stanzas are kept until they are acknowledged.
    Managed = "sessions_managed",
    /// Stanzas that were kept for that.
    Queued = "stanzas_queued",
    /// Sessions resumed.
    Resumed = "sessions_resumed",
    /// Resumptions refused.
    ResumeFailed = "sessions_resume_failed",
    /// Sessions whose time to resume ran out.
    HibernationExpired = "sessions_hibernation_expired",
    /// Sessions that cannot be resumed any more, because too much was unacknowledged.
    UnackedOverflow = "sessions_unacked_overflow",
    /// Sessions replaced by a new one with the same address.
    Replaced = "sessions_replaced",
    /// Sessions ended because their account was deleted or disabled, or has another password.
    AccountEnded = "sessions_account_ended",
    /// Joins refused.
    JoinsRefused = "joins_refused",
    /// Joins that had to wait, mostly for the focus.
    JoinsHeld = "joins_held",
    /// Joins dropped, because too many wait.
    JoinsDropped = "joins_dropped",
    /// Conference requests refused by the booking system, or because of it.
    ReservationsRefused = "reservations_refused",
    /// Questions to services outside that nobody answered, after the last try.
    QuestionsUnanswered = "questions_unanswered",
    /// Logins refused because the access manager has shut somebody out.
    AccessRefused = "access_refused",
    /// Questions to the access manager without an answer that is understood; who it was about came in.
    AccessUnanswered = "access_unanswered",
    /// Rooms created.
    RoomsCreated = "rooms_created",
    /// Rooms destroyed.
    RoomsDestroyed = "rooms_destroyed",
    /// Rooms that ended because of a bug of ours in them.
    RoomsGivenUp = "rooms_given_up",
    /// Conference requests answered without the focus.
    FocusAbsent = "focus_absent",
    /// Stanzas dropped silently by a rule (foreign presence in an internal room, invalid JSON messages).
    RuleDropped = "rule_dropped",
}

/// What a module did with what came to it; what it let pass is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Did {
    /// Carried a command out, or answered a question.
    Done,
    /// Answered with an error.
    Refused,
    /// Let it wait.
    Held,
    /// Made it disappear without a word.
    Dropped,
}

/// One number per [`Counter`], and what each module [`Did`].
#[derive(Debug, Clone)]
pub struct Counters {
    all: [u64; Counter::ALL.len()],
    /// As many as there are modules.
    modules: BTreeMap<(Did, &'static str), u64>,
}

impl Default for Counters {
    fn default() -> Self {
        Self { all: [0; Counter::ALL.len()], modules: BTreeMap::new() }
    }
}

impl Counters {
    pub(crate) fn add(&mut self, counter: Counter) {
        if let Some(n) = self.all.get_mut(counter as usize) {
            *n = n.wrapping_add(1);
        }
    }

    /// Something came to a module that did not let it pass.
    pub(crate) fn module(&mut self, name: &'static str, did: Did) {
        let n = self.modules.entry((did, name)).or_default();
        *n = n.wrapping_add(1);
    }

    /// The same of what may be relayed.
    pub(crate) fn relay(&mut self, name: &'static str, said: &Result<Relay, StanzaError>) {
        match said {
            Ok(Relay::Pass) => {}
            Ok(Relay::Drop) => {
                self.add(Counter::RuleDropped);
                self.module(name, Did::Dropped);
            }
            Err(_) => self.module(name, Did::Refused),
        }
    }

    /// How often each module did this, of those that ever did.
    pub fn modules(&self, did: Did) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.modules.iter().filter(move |((d, _), _)| *d == did).map(|((_, name), n)| (*name, *n))
    }

    /// How often `counter` happened.
    pub fn count(&self, counter: Counter) -> u64 {
        self.all.get(counter as usize).copied().unwrap_or(0)
    }
}
