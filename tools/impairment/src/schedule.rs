//! Conditions over time as data in; which to set next, and when, out.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::{Conditions, limits};

/// A direction of a path, as a client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

impl Direction {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Up, Self::Down];
}

/// From this time after the start, this direction has these conditions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// After the start.
    pub at: Duration,
    /// Whose conditions.
    pub direction: Direction,
    /// The conditions.
    pub conditions: Conditions,
}

/// Steps on their way: says what to set when its time has come.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: Instant,
    /// The latest first.
    steps: Vec<Step>,
}

impl Schedule {
    /// Starts now. Steps of the same time keep their order.
    pub fn new(now: Instant, steps: &[Step]) -> Result<Self, TooManySteps> {
        if steps.len() > limits::STEPS {
            return Err(TooManySteps(steps.len()));
        }
        let mut steps = steps.to_vec();
        steps.sort_by_key(|s| s.at);
        steps.reverse();
        Ok(Self { start: now, steps })
    }

    /// The next step whose time has come.
    pub fn poll_output(&mut self, now: Instant) -> Option<(Direction, Conditions)> {
        let due = self.poll_timeout()? <= now;
        let step = if due { self.steps.pop()? } else { return None };
        Some((step.direction, step.conditions))
    }

    /// When the next step is due. `None`: there is no further one, or not in this world's time.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.start.checked_add(self.steps.last()?.at)
    }
}

/// More than [`limits::STEPS`] steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManySteps(pub usize);

impl fmt::Display for TooManySteps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a schedule of {} steps; {} are possible", self.0, limits::STEPS)
    }
}

impl std::error::Error for TooManySteps {}

/// The bad networks that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Nothing is wrong.
    Perfect,
    /// 1 % loss, both directions.
    Loss1,
    /// 5 % loss, both directions.
    Loss5,
    /// 20 % loss, both directions.
    Loss20,
    /// Up to 300 ms jitter in order, both directions.
    Jitter300,
    /// 10 Mbit/s, then 500 kbit/s, then 10 Mbit/s, a third of the time each; to the client only.
    RateSteps,
    /// The same rates, from the client only.
    RateStepsUp,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Perfect,
        Self::Loss1,
        Self::Loss5,
        Self::Loss20,
        Self::Jitter300,
        Self::RateSteps,
        Self::RateStepsUp,
    ];

    /// What command lines and reports call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Perfect => "perfect",
            Self::Loss1 => "loss-1",
            Self::Loss5 => "loss-5",
            Self::Loss20 => "loss-20",
            Self::Jitter300 => "jitter-300",
            Self::RateSteps => "rate-steps",
            Self::RateStepsUp => "rate-steps-up",
        }
    }

    /// Its steps within this time.
    pub fn steps(self, total: Duration) -> Vec<Step> {
        let both = |conditions| {
            Direction::BOTH.map(|direction| Step { at: Duration::ZERO, direction, conditions }).to_vec()
        };
        let rates = |direction| {
            let step = |third: u32, rate| Step {
                at: total / 3 * third,
                direction,
                conditions: Conditions::with_rate(rate),
            };
            vec![step(0, 10_000_000), step(1, 500_000), step(2, 10_000_000)]
        };
        match self {
            Self::Perfect => both(Conditions::PERFECT),
            Self::Loss1 => both(Conditions::with_loss(0.01)),
            Self::Loss5 => both(Conditions::with_loss(0.05)),
            Self::Loss20 => both(Conditions::with_loss(0.2)),
            Self::Jitter300 => both(Conditions::with_jitter(Duration::from_millis(300))),
            Self::RateSteps => rates(Direction::Down),
            Self::RateStepsUp => rates(Direction::Up),
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        Self::ALL.into_iter().find(|p| p.name() == name).ok_or_else(|| UnknownPreset(name.to_owned()))
    }
}

/// No bad network of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPreset(pub String);

impl fmt::Display for UnknownPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no network conditions called {:?}; there are", self.0)?;
        Preset::ALL.iter().try_for_each(|p| write!(f, " {p}"))
    }
}

impl std::error::Error for UnknownPreset {}
