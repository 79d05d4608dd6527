//! One voice: audio levels in, three speech scores out (Volfin & Cohen, "Dominant speaker identification for
//! multipoint videoconferencing", with upstream's parameters).

use std::time::{Duration, Instant};

/// Speech scores over about 20 ms, 100 ms and 1 s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scores(pub(crate) [f64; 3]);

/// The levels of one voice, 0 (silence) … 127 (loudest).
#[derive(Debug)]
pub(crate) struct Loudness {
    /// Newest first.
    levels: [u8; LEVELS],
    pub(crate) last: Instant,
    /// The noise floor; 0 = unknown.
    floor: u8,
    /// The lowest level since the window started, and how many levels it has seen.
    lowest: u8,
    seen: u32,
}

impl Loudness {
    pub(crate) fn new(now: Instant) -> Self {
        Self { levels: [0; LEVELS], last: now, floor: 0, lowest: 0, seen: 0 }
    }

    pub(crate) fn push(&mut self, now: Instant, level: u8) {
        if now < self.last {
            return;
        }
        self.pad_silence(now);
        self.last = now;
        self.shift(level);
        self.track_floor(level);
    }

    /// Time without a packet counts as silence.
    pub(crate) fn pad_silence(&mut self, now: Instant) {
        let mut left = LEVELS;
        while now.duration_since(self.last) > SILENCE_STEP && left > 0 {
            self.last += SILENCE_STEP;
            self.shift(0);
            left -= 1;
        }
    }

    pub(crate) fn scores(&self) -> Scores {
        let quiet = self.floor.saturating_add(FLOOR_MARGIN);
        let immediate = |level: u8| if level < quiet { 0 } else { level / SUBBAND };
        let mut long = 0;
        let mut medium_now = 0;
        for (i, block) in self.levels.chunks_exact(BLOCK).enumerate() {
            let loud = block.iter().filter(|l| immediate(**l) > MEDIUM_THRESHOLD).count();
            if i == 0 {
                medium_now = loud;
            }
            long += usize::from(loud > LONG_THRESHOLD);
        }
        let now = usize::from(immediate(self.levels.first().copied().unwrap_or(0)));
        Scores([score(now, 13, 0.78), score(medium_now, 5, 24.0), score(long, 10, 47.0)])
    }

    fn shift(&mut self, level: u8) {
        self.levels.rotate_right(1);
        if let Some(first) = self.levels.first_mut() {
            *first = level;
        }
    }

    fn track_floor(&mut self, level: u8) {
        if level == 0 {
            return;
        }
        if self.floor == 0 || level < self.floor {
            (self.floor, self.lowest, self.seen) = (level, 0, 0);
            return;
        }
        self.lowest = if self.seen == 0 { level } else { self.lowest.min(level) };
        self.seen += 1;
        if self.seen >= FLOOR_WINDOW {
            let product = u32::from(self.floor) * u32::from(self.lowest);
            self.floor = u8::try_from(product.isqrt()).unwrap_or(u8::MAX);
            self.seen = 0;
        }
    }
}

/// How much more likely `v` of `n` active parts are speech than noise; `λ` is the mean under speech.
fn score(v: usize, n: usize, lambda: f64) -> f64 {
    let v = v.min(n);
    // C(n, v) of at most 13 stays far below 2^53.
    let choose = (0..v).fold(1.0, |c, i| c * (n - i) as f64 / (i + 1) as f64);
    (choose.ln() + n as f64 * 0.5f64.ln() - lambda.ln() + lambda * v as f64).max(FLOOR)
}

/// The lowest score.
pub(crate) const FLOOR: f64 = 1e-10;

const LEVELS: usize = 50;
const BLOCK: usize = 5;
const SILENCE_STEP: Duration = Duration::from_millis(40);
const FLOOR_MARGIN: u8 = 10;
const SUBBAND: u8 = 10;
const MEDIUM_THRESHOLD: u8 = 7;
const LONG_THRESHOLD: usize = 4;
const FLOOR_WINDOW: u32 = 750;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_follows_slowly_rising_noise() {
        let mut now = Instant::now();
        let mut voice = Loudness::new(now);
        for level in std::iter::once(20).chain(std::iter::repeat_n(45, 750)) {
            now += Duration::from_millis(20);
            voice.push(now, level);
        }
        assert_eq!(voice.floor, 30);
    }

    #[test]
    fn silence_scores_at_the_floor() {
        let now = Instant::now();
        assert_eq!(Loudness::new(now).scores().0, [FLOOR; 3]);
    }

    #[test]
    fn a_gap_becomes_silence() {
        let mut now = Instant::now();
        let mut voice = Loudness::new(now);
        for i in 0..60 {
            now += Duration::from_millis(20);
            voice.push(now, if i == 0 { 1 } else { 100 });
        }
        assert!(voice.scores().0.iter().all(|s| *s > 1.0));
        voice.pad_silence(now + Duration::from_secs(3));
        assert_eq!(voice.scores().0, [FLOOR; 3]);
    }
}
