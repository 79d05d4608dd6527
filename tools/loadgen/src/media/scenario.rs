//! A scenario's name and numbers in; who is in which room, what they send and want, and over which network, out.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;
use impairment::Conditions;

use super::Arguments;
use super::limits;
use super::sender::Pattern;

/// What is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Ten cameras in one room; everybody sees everybody at 720 lines.
    Room10,
    /// One camera, up to 300 receivers.
    Audience,
    /// Three microphones, up to 200 listeners.
    Audio,
    /// Fifty rooms of four cameras.
    Rooms,
    /// 200 participants join one room within 10 s.
    JoinStorm,
    /// Four cameras; 1 % of all datagrams is lost in each direction.
    #[value(name = "loss-1")]
    Loss1,
    /// The same with 5 %.
    #[value(name = "loss-5")]
    Loss5,
    /// The same with 20 %.
    #[value(name = "loss-20")]
    Loss20,
    /// Four cameras; up to 300 ms of jitter in each direction.
    #[value(name = "jitter-300")]
    Jitter300,
    /// Two cameras whose links towards them carry 10 Mbit/s, then 500 kbit/s, then 10 Mbit/s.
    RateSteps,
    /// Senders with ten receivers each, for the comparison with what the machine can do.
    FanOut,
}

/// What cameras send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PatternName {
    /// Three encodings, as Chromium.
    Simulcast,
    /// One encoding: equal packets in equal bursts.
    Flat,
}

/// One participant to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Member {
    pub(crate) camera: Option<Pattern>,
    pub(crate) microphone: bool,
    /// What it wants to see, in lines; 0 = no video.
    pub(crate) height: i32,
    /// When it joins, after the start.
    pub(crate) after: Duration,
}

/// What to simulate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) rooms: Vec<Vec<Member>>,
    /// Up and down.
    pub(crate) network: Option<(Conditions, Conditions)>,
    /// Changes of the network towards the participants during the measurement, in equal spans.
    pub(crate) steps: Vec<(&'static str, Conditions)>,
    /// Whether lost packets are asked for, and losses reported.
    pub(crate) repair: bool,
}

impl Plan {
    /// # Errors
    /// Numbers that make no sense or are beyond the limits.
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        let a = arguments;
        let flat = Pattern::Flat { size: a.size, burst: a.burst };
        let usual = if a.scenario == Scenario::FanOut { PatternName::Flat } else { PatternName::Simulcast };
        let pattern = match a.pattern.unwrap_or(usual) {
            PatternName::Simulcast => Pattern::Simulcast,
            PatternName::Flat => flat,
        };
        if !(60..=1_400).contains(&a.size) || !(1..=64).contains(&a.burst) {
            bail!("--size takes 60 to 1400, --burst 1 to 64");
        }
        let at_once = Duration::ZERO;
        let sender = Member { camera: Some(pattern), microphone: true, height: a.height, after: at_once };
        let seen = Member { microphone: false, ..sender };
        let receiver = Member { camera: None, ..seen };
        // Three speak; the others have muted themselves.
        let room = |n: usize| -> Vec<Member> { (0..n).map(|i| if i < 3 { sender } else { seen }).collect() };
        let (mut network, mut steps) = (None, Vec::new());
        let bad = |c: Conditions| Some((c, c));
        let rooms = match a.scenario {
            Scenario::Room10 => vec![room(a.endpoints.unwrap_or(10))],
            Scenario::Audience => vec![with(sender, receiver, a.receivers.unwrap_or(300))],
            Scenario::Audio => {
                let speaker = Member { camera: None, ..sender };
                let listeners = vec![receiver; a.receivers.unwrap_or(200)];
                vec![[vec![speaker; 3], listeners].concat()]
            }
            Scenario::Rooms => vec![room(a.endpoints.unwrap_or(4)); a.rooms.unwrap_or(50)],
            Scenario::JoinStorm => {
                let n = a.receivers.unwrap_or(200);
                let span = Duration::from_secs_f64(a.spread.clamp(0.0, limits::WINDOW_SECONDS));
                let joins = (0..n).map(|i| Member { after: span * i as u32 / n.max(1) as u32, ..receiver });
                vec![room(3).into_iter().chain(joins).collect()]
            }
            Scenario::Loss1 | Scenario::Loss5 | Scenario::Loss20 => {
                network = bad(Conditions::with_loss(match a.scenario {
                    Scenario::Loss1 => 0.01,
                    Scenario::Loss5 => 0.05,
                    _ => 0.20,
                }));
                vec![room(a.endpoints.unwrap_or(4))]
            }
            Scenario::Jitter300 => {
                network = bad(Conditions::with_jitter(Duration::from_millis(300)));
                vec![room(a.endpoints.unwrap_or(4))]
            }
            Scenario::RateSteps => {
                let fast = Conditions::with_rate(10_000_000);
                network = bad(fast);
                steps = vec![("10M", fast), ("500k", Conditions::with_rate(500_000)), ("10M again", fast)];
                vec![room(a.endpoints.unwrap_or(2))]
            }
            Scenario::FanOut => vec![with(seen, receiver, a.fan_out); a.senders],
        };
        let count: usize = rooms.iter().map(Vec::len).sum();
        if count == 0 || rooms.iter().any(|r| r.len() < 2) || count > limits::PARTICIPANTS {
            bail!("a room has at least 2 participants, all rooms together at most {}", limits::PARTICIPANTS);
        }
        Ok(Self { rooms, network, steps, repair: pattern == Pattern::Simulcast })
    }

    pub(crate) fn participants(&self) -> usize {
        self.rooms.iter().map(Vec::len).sum()
    }

    /// Whether the cameras send at a given rate rather than as Chromium.
    pub(crate) fn flat(&self) -> bool {
        !self.repair
    }

    pub(crate) fn senders(&self) -> usize {
        self.rooms.iter().flatten().filter(|m| m.camera.is_some()).count()
    }
}

fn with(sender: Member, receiver: Member, receivers: usize) -> Vec<Member> {
    std::iter::once(sender).chain(std::iter::repeat_n(receiver, receivers)).collect()
}
