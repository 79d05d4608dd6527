//! What happened how often, by reason: plain numbers that the shell exports.

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
    /// Rooms created.
    RoomsCreated = "rooms_created",
    /// Rooms destroyed.
    RoomsDestroyed = "rooms_destroyed",
    /// Conference requests answered without the focus.
    FocusAbsent = "focus_absent",
    /// Stanzas dropped silently by a rule (foreign presence in an internal room, invalid JSON messages).
    RuleDropped = "rule_dropped",
}

/// One number per [`Counter`].
#[derive(Debug, Clone)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Counter::ALL.len()])
    }
}

impl Counters {
    pub(crate) fn add(&mut self, counter: Counter) {
        if let Some(n) = self.0.get_mut(counter as usize) {
            *n = n.wrapping_add(1);
        }
    }

    /// How often `counter` happened.
    pub fn count(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }
}
