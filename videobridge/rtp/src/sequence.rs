//! Numbers that wrap in, numbers that only grow out.

/// A sequence number with the laps it went before: 16 bits of the wire below, the roll-over counter above. Only these
/// can be compared and counted with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtSeq(pub u64);

impl ExtSeq {
    /// What the wire carries of it.
    #[allow(clippy::cast_possible_truncation)]
    pub const fn wire(self) -> u16 {
        self.0 as u16
    }

    /// The number behind it.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Extends 16-bit sequence numbers: roll-over counter in the upper bits, starting at 0.
///
/// A number is taken for the one nearest to the newest so far, except that nothing is before zero: then it is far
/// ahead. That is the rule of SRTP (RFC 3711 §3.3.1), so both sides and SRTP agree on the roll-over counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unwrapper {
    newest: Option<ExtSeq>,
}

impl Unwrapper {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        Self { newest: None }
    }

    /// The extended number of `sequence`; remembers it when it is the newest.
    pub fn extend(&mut self, sequence: u16) -> ExtSeq {
        let extended = self.peek(sequence);
        if self.newest.is_none_or(|n| extended > n) {
            self.newest = Some(extended);
        }
        extended
    }

    /// The extended number of `sequence`, without remembering it.
    pub const fn peek(&self, sequence: u16) -> ExtSeq {
        let Some(ExtSeq(newest)) = self.newest else { return ExtSeq(sequence as u64) };
        let ahead = sequence.wrapping_sub(ExtSeq(newest).wire()) as u64;
        let behind = 0x1_0000 - ahead;
        ExtSeq(if ahead < 0x8000 || newest < behind { newest + ahead } else { newest - behind })
    }

    /// The newest extended number.
    pub const fn newest(&self) -> Option<ExtSeq> {
        self.newest
    }
}
