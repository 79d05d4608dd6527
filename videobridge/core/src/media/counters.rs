//! Why media packets were dropped, and how many were handled: events in, numbers for stats out.

macro_rules! drops {
    ($($(#[$doc:meta])* $name:ident => $label:literal,)*) => {
        /// Why a packet (or one receiver's copy of it) was not forwarded.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum DropReason { $($(#[$doc])* $name,)* }

        impl DropReason {
            /// All reasons, in the order of [`Counters::drops`].
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The metric label.
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

drops! {
    /// Not an RTP packet we can read.
    Malformed => "malformed",
    /// The payload type was not negotiated by the sender.
    UnknownPayloadType => "unknown_payload_type",
    /// The SSRC belongs to no signalled source of the sender.
    UnknownSsrc => "unknown_ssrc",
    /// Sent by a visitor.
    Visitor => "visitor",
    /// The sender is force-muted.
    ForceMuted => "force_muted",
    /// Padding only.
    Padding => "padding",
    /// Digital silence beyond the first packets.
    Silence => "silence",
    /// Seen before.
    Duplicate => "duplicate",
    /// Forward error correction, which is not used.
    Fec => "fec",
    /// A retransmission whose original is unknown.
    BadRtx => "bad_rtx",
    /// Not the encoding this receiver gets now.
    NotSelected => "not_selected",
    /// The receiver has to wait for a key frame.
    AwaitingKeyFrame => "awaiting_key_frame",
    /// From before the last switch of the receiver's stream.
    BeforeSwitch => "before_switch",
    /// The receiver has no free SSRC slot, or was not told about it yet.
    NoSlot => "no_slot",
    /// The receiver did not negotiate the payload type.
    NotNegotiated => "not_negotiated",
    /// The receiver's link carries less than is sent to it, and what waits would come too late.
    Congested => "congested",
    /// A retransmission was asked for that is not stored any more.
    NotInHistory => "not_in_history",
    /// A retransmission was asked for by a receiver that knows no RTX; a key frame is asked for instead.
    NoRtx => "no_rtx",
    /// RTCP that cannot be read.
    MalformedRtcp => "malformed_rtcp",
    /// A limit of `limits.rs` was reached.
    Limit => "limit",
}

/// Totals of one conference since its start.
#[derive(Debug, Clone)]
pub struct Counters {
    /// Drops by reason, indexed as [`DropReason::ALL`].
    pub drops: [u64; DropReason::ALL.len()],
    /// RTP packets received.
    pub received: u64,
    /// RTP copies sent, retransmissions included.
    pub forwarded: u64,
    /// Retransmissions sent to receivers.
    pub retransmitted: u64,
    /// Padding packets sent to find out what links carry.
    pub padding: u64,
    /// Packets sent once more for the same.
    pub repeated: u64,
    /// Packets of speech sent again as they were; not part of `forwarded`.
    pub speech_again: u64,
    /// Sequence numbers asked for again from senders.
    pub nacks_sent: u64,
    /// Packets recovered by retransmission from senders.
    pub recovered: u64,
    /// Packets found lost on the way from senders (before recovery).
    pub lost: u64,
    /// Key frame requests sent to senders.
    pub key_frame_requests: u64,
    /// Key frame requests suppressed by the rate limits.
    pub key_frame_requests_suppressed: u64,
    /// Key frames received.
    pub key_frames: u64,
    /// Changes of the layers that senders send.
    pub layering_changes: u64,
    /// Microseconds of video that came, of all sources together.
    pub video_micros: u64,
    /// Changes of the dominant speaker.
    pub dominant_speaker_changes: u64,
    /// Sequence numbers in transport-wide feedback of receivers that were not sent or are forgotten.
    pub unmatched_feedback: u64,
    /// Packets receivers reported as received / lost in transport-wide feedback.
    pub feedback_received: u64,
    /// See `feedback_received`.
    pub feedback_lost: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            drops: [0; DropReason::ALL.len()],
            received: 0,
            forwarded: 0,
            retransmitted: 0,
            padding: 0,
            repeated: 0,
            speech_again: 0,
            nacks_sent: 0,
            recovered: 0,
            lost: 0,
            key_frame_requests: 0,
            key_frame_requests_suppressed: 0,
            key_frames: 0,
            layering_changes: 0,
            video_micros: 0,
            dominant_speaker_changes: 0,
            unmatched_feedback: 0,
            feedback_received: 0,
            feedback_lost: 0,
        }
    }
}

impl Counters {
    pub(crate) fn discard(&mut self, why: DropReason) {
        if let Some(n) = self.drops.get_mut(why as usize) {
            *n += 1;
        }
    }

    /// Adds what another conference counted.
    pub fn add(&mut self, other: &Self) {
        for (n, more) in self.drops.iter_mut().zip(other.drops) {
            *n += more;
        }
        self.received += other.received;
        self.forwarded += other.forwarded;
        self.retransmitted += other.retransmitted;
        self.padding += other.padding;
        self.repeated += other.repeated;
        self.speech_again += other.speech_again;
        self.nacks_sent += other.nacks_sent;
        self.recovered += other.recovered;
        self.lost += other.lost;
        self.key_frame_requests += other.key_frame_requests;
        self.key_frame_requests_suppressed += other.key_frame_requests_suppressed;
        self.key_frames += other.key_frames;
        self.layering_changes += other.layering_changes;
        self.video_micros += other.video_micros;
        self.dominant_speaker_changes += other.dominant_speaker_changes;
        self.unmatched_feedback += other.unmatched_feedback;
        self.feedback_received += other.feedback_received;
        self.feedback_lost += other.feedback_lost;
    }

    /// How often `why` happened.
    pub fn dropped(&self, why: DropReason) -> u64 {
        self.drops.get(why as usize).copied().unwrap_or(0)
    }
}
