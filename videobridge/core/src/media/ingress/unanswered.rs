//! What another bridge was told that is wanted of a source, and when pictures came, in; when to say it once more, out.
//!
//! A bridge that has not heard of the source yet drops the wish without a word, a stock one does as well: its focus tells
//! every bridge at the same time who sends what.

use std::time::{Duration, Instant};

use crate::media::limits::WISH_REPEATS;

/// So long pictures are waited for before the first repetition, and each time twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// A wish from its first sight on.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    /// What was told, and since when it is waited for; `None` while nothing is wanted.
    wish: Option<(i32, Instant)>,
    repeated: u8,
}

impl Unanswered {
    /// Whether `height`, which the other bridge was told, is to be said again now.
    pub(crate) fn is_due(&mut self, now: Instant, height: i32, last_packet: Option<Instant>) -> bool {
        let Some((_, since)) = self.wish.filter(|(before, _)| *before == height && height != 0) else {
            *self = Self { wish: (height != 0).then_some((height, now)), repeated: 0 };
            return false;
        };
        let answered = last_packet.is_some_and(|at| at >= since);
        if answered {
            self.repeated = WISH_REPEATS;
        }
        if self.repeated >= WISH_REPEATS
            || now.saturating_duration_since(since) < FIRST * (1 << self.repeated)
        {
            return false;
        }
        self.repeated += 1;
        true
    }
}
