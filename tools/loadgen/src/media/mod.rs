//! Participants with ICE, DTLS, SRTP and SCTP against a bridge: a scenario in, a report out.
//!
//! [`session`] brings them into their rooms over Colibri2 and measures; [`generator`] is the thread that is all of
//! them; [`participant`] is one: [`link`] its transport, [`sender`] what it sends, [`sink`] its books about what it
//! receives.

mod colibri;
mod film;
mod generator;
pub mod limits;
mod offer;
mod participant;
mod report;
mod rtp;
mod scenario;
mod search;
mod sender;
mod session;
mod sink;
mod socket;
pub mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use serde_json::Value;

use self::colibri::{Bridge, Capabilities};
use self::generator::{Command, Generator};
use self::report::Report;
use self::scenario::Plan;
pub use self::scenario::{PatternName, Scenario};
use self::session::Session;
pub use self::session::Stop;
use crate::process::Usage;

/// What to do.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The bridge's private HTTP interface, http://HOST:PORT.
    #[arg(long)]
    pub bridge: String,
    /// File with the token that this interface asks for, if it does.
    #[arg(long)]
    pub token_file: Option<std::path::PathBuf>,
    /// What to simulate.
    #[arg(long, value_enum)]
    pub scenario: Scenario,
    /// Seconds of measurement.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Seconds between the last participant's connection and the measurement.
    #[arg(long, default_value_t = 2.0)]
    pub warm_up: f64,
    /// The bridge's process: whose CPU time and memory to read.
    #[arg(long)]
    pub pid: Option<u32>,
    /// Where chance begins.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Flat pattern: packets sent per second by all cameras together. Else: a factor of the usual rate.
    #[arg(long)]
    pub rate: Option<f64>,
    /// What cameras send; flat for fan-out, else simulcast.
    #[arg(long, value_enum)]
    pub pattern: Option<PatternName>,
    /// Flat pattern: bytes of a packet with its RTP header, without SRTP's.
    #[arg(long, default_value_t = 1_100)]
    pub size: usize,
    /// Flat pattern: packets sent at once.
    #[arg(long, default_value_t = 8)]
    pub burst: usize,
    /// fan-out: receivers of each sender.
    #[arg(long, default_value_t = 10)]
    pub fan_out: usize,
    /// fan-out: senders, each with its own room.
    #[arg(long, default_value_t = 48)]
    pub senders: usize,
    /// audience, audio, join-storm: receivers.
    #[arg(long)]
    pub receivers: Option<usize>,
    /// rooms: how many.
    #[arg(long)]
    pub rooms: Option<usize>,
    /// Others: participants of a room.
    #[arg(long)]
    pub endpoints: Option<usize>,
    /// join-storm: seconds in which all join.
    #[arg(long, default_value_t = 10.0)]
    pub spread: f64,
    /// Lines everybody wants to see.
    #[arg(long, default_value_t = 720)]
    pub height: i32,
    /// Searches the highest rate with loss below 0.1 % and a p99 below 20 ms, then offers half and 150 % of it.
    #[arg(long)]
    pub search: bool,
    /// Search: not beyond this rate.
    #[arg(long, default_value_t = limits::RATE)]
    pub max_rate: f64,
    /// Search: seconds of one step.
    #[arg(long, default_value_t = 2.0)]
    pub step_seconds: f64,
    /// Everybody's SSRCs arrive as they are.
    #[arg(long)]
    pub no_ssrc_rewriting: bool,
    /// No transport-wide congestion control.
    #[arg(long)]
    pub no_transport_cc: bool,
    /// The core of the thread that sends and receives; ignored when it may not run there.
    #[arg(long, default_value_t = 1)]
    pub core: usize,
}

/// Runs the scenario until it ends or Ctrl-C; the report is one JSON object.
///
/// # Errors
/// One line that says what did not work.
pub fn run(arguments: &Arguments) -> Result<Value> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    // Blocked here, and so in all threads to come; taken by the one that waits for them.
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    signals.thread_block()?;
    std::thread::spawn(move || {
        while signals.wait().is_ok() {
            // The second time somebody has no patience.
            if told.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        }
    });
    run_until(arguments, &stop)
}

/// The same without signals.
///
/// # Errors
/// As [`run`].
pub fn run_until(arguments: &Arguments, stop: &Stop) -> Result<Value> {
    let a = arguments;
    for (what, seconds) in
        [("--seconds", a.seconds), ("--warm-up", a.warm_up), ("--step-seconds", a.step_seconds)]
    {
        if !(0.0..=limits::WINDOW_SECONDS).contains(&seconds) {
            bail!("{what} takes 0 to {}", limits::WINDOW_SECONDS);
        }
    }
    let plan = Plan::new(a)?;
    if !a.rate.iter().chain([&a.max_rate]).all(|r| (0.0..=limits::RATE).contains(r)) {
        bail!("--rate and --max-rate take 0 to {}", limits::RATE);
    }
    raise_file_limit();
    let bridge = Bridge::new(&a.bridge, a.token_file.as_deref())?;
    let rss_before = a.pid.map(Usage::of).transpose()?.map(|u| u.resident);
    let can = Capabilities { ssrc_rewriting: !a.no_ssrc_rewriting, transport_cc: !a.no_transport_cc };
    let generator = Generator::start(Some(a.core), a.pid)?;
    // Flat patterns begin when all are there: they may be more than the bridge can take while it shakes hands.
    generator.tell(rate(&plan, if plan.flat() { Some(0.0) } else { a.rate }));
    let session = Session::new(bridge, generator, &plan, can, a.seed, a.pid, stop);
    eprintln!("{} participants in {} rooms join", plan.participants(), plan.rooms.len());
    session.join()?;
    eprintln!("all are connected");
    session.generator.tell(rate(&plan, a.rate));
    session.pass(Duration::from_secs_f64(a.warm_up))?;
    let mut report = Report::new(a, &plan, rss_before);
    if a.search {
        search::run(&session, a, &plan, &mut report)?;
    } else if plan.steps.is_empty() {
        report.window(&session.measure(Duration::from_secs_f64(a.seconds))?);
    } else {
        let span = Duration::from_secs_f64(a.seconds / plan.steps.len() as f64);
        for (name, down) in &plan.steps {
            session.set_network(*down);
            report.phase(name, &session.measure(span)?);
        }
    }
    let value = report.into_json();
    if value["generator_limited"] == true {
        eprintln!("loadgen: the generator was the limit, not the server: the figures are too low");
    }
    Ok(value)
}

/// What to tell the generator: `rate` is packets per second for the flat pattern, else a factor.
fn rate(plan: &Plan, rate: Option<f64>) -> Command {
    if plan.flat() {
        let usual = 250.0 * plan.senders() as f64;
        Command::Rate { flat: rate.unwrap_or(usual), factor: 1.0 }
    } else {
        Command::Rate { flat: 0.0, factor: rate.unwrap_or(1.0) }
    }
}

/// A socket per participant is more than many systems allow at first.
fn raise_file_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = hard.min(2 * limits::PARTICIPANTS as u64);
        if soft < wanted {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
        }
    }
}
