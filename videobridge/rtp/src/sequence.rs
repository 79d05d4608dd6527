//! Numbers that wrap in, numbers that only grow (or signed distances) out.

/// Whether the 16-bit number `a` is newer than `b` (RFC 1982 with half the space ahead).
pub const fn newer(a: u16, b: u16) -> bool {
    distance(b, a) > 0
}

/// How far `to` is ahead of `from`; negative when it is behind. Exactly half the space counts as behind.
pub const fn distance(from: u16, to: u16) -> i32 {
    let d = to.wrapping_sub(from);
    if d < 0x8000 { d as i32 } else { d as i32 - 0x1_0000 }
}

/// How far the 32-bit RTP timestamp `to` is ahead of `from`; negative when it is behind.
pub const fn timestamp_distance(from: u32, to: u32) -> i64 {
    let d = to.wrapping_sub(from);
    if d < 0x8000_0000 { d as i64 } else { d as i64 - 0x1_0000_0000 }
}

/// How far the 15-bit picture id `to` is ahead of `from`; negative when it is behind.
pub const fn picture_id_distance(from: u16, to: u16) -> i32 {
    let d = to.wrapping_sub(from) & 0x7fff;
    if d < 0x4000 { d as i32 } else { d as i32 - 0x8000 }
}

/// The 15-bit picture id `by` after `id`.
pub const fn picture_id_add(id: u16, by: i32) -> u16 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let by = by as u16;
    id.wrapping_add(by) & 0x7fff
}

/// How far the 8-bit `TL0PICIDX` `to` is ahead of `from`; negative when it is behind.
pub const fn tl0_distance(from: u8, to: u8) -> i32 {
    let d = to.wrapping_sub(from);
    if d < 0x80 { d as i32 } else { d as i32 - 0x100 }
}

/// Extends 16-bit sequence numbers: roll-over counter in the upper bits, starting at 0.
///
/// A number is taken for the one nearest to the newest so far, except that nothing is before zero: then it is far
/// ahead. That is the rule of SRTP (RFC 3711 §3.3.1), so both sides and SRTP agree on the roll-over counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unwrapper {
    newest: Option<u64>,
}

impl Unwrapper {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        Self { newest: None }
    }

    /// The extended number of `sequence`; remembers it when it is the newest.
    pub fn unwrap(&mut self, sequence: u16) -> u64 {
        let extended = self.peek(sequence);
        if self.newest.is_none_or(|n| extended > n) {
            self.newest = Some(extended);
        }
        extended
    }

    /// The extended number of `sequence`, without remembering it.
    pub const fn peek(&self, sequence: u16) -> u64 {
        let Some(newest) = self.newest else { return sequence as u64 };
        #[allow(clippy::cast_possible_truncation)]
        let ahead = sequence.wrapping_sub(newest as u16) as u64;
        let behind = 0x1_0000 - ahead;
        if ahead < 0x8000 || newest < behind { newest + ahead } else { newest - behind }
    }

    /// The newest extended number.
    pub const fn newest(&self) -> Option<u64> {
        self.newest
    }
}
