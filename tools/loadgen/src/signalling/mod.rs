//! Occupants over WebSocket against an XMPP server: a scenario in, a report out.
//!
//! One thread, epoll and no parsing beyond what the measurement needs, so that the server is the limit and not we. All
//! clients log in and join as lib-jitsi-meet does and send what it sends; nothing here is special to Plausch but
//! [`FocusMode::Be`], because our rooms, as upstream's, do not exist before the focus is in.

mod connection;
mod fleet;
mod frame;
mod login;
mod relay;
mod rooms;
mod scan;
mod scenario;
mod stanza;
mod target;
mod tls;
mod window;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use self::fleet::Fleet;
use self::target::Target;

/// What to do.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The server's WebSocket.
    #[arg(long, default_value = "ws://127.0.0.1:8000/xmpp-websocket")]
    url: String,
    /// Its XMPP domain, where people log in without an account.
    #[arg(long, default_value = "meet.jitsi")]
    domain: String,
    /// Domain of the rooms. [default: muc.<domain>]
    #[arg(long)]
    muc: Option<String>,
    /// What to measure.
    #[arg(long, value_enum)]
    scenario: Scenario,
    /// How many clients, all rooms together. [default: 500; join-full 400; idle 1000]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    occupants: Option<u32>,
    /// How many rooms they share. With idle, 0: they are in none. [default: 1; idle 0]
    #[arg(long, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    rooms: Option<u32>,
    /// Length of the measurement; with join-storm, the time over which people come. [default: 5; join-storm 10]
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,
    /// The same load before the measurement; with idle, the time to settle.
    #[arg(long, default_value = "1", value_parser = seconds)]
    warm_up: Duration,
    /// Changes or messages per second, all rooms together; 0: as many as the server delivers.
    #[arg(long, default_value = "0", value_parser = rate)]
    rate: f64,
    /// Broadcasts of one room under way at a time when there is no rate.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    window: u32,
    /// That many in all rooms together, one room after the other. A server puts up with so many changes of one person at once and with few
    /// from then on: small rooms are measured in several of them.
    #[arg(long)]
    together: bool,
    /// With join-full: how many join the full room, one after another.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    joins: u32,
    /// With presence-sweep: sizes of the room, growing.
    #[arg(long, value_delimiter = ',', default_value = "50,125,500,2000", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    sizes: Vec<u32>,
    /// Whose CPU time and memory to read.
    #[arg(long)]
    pid: Option<u32>,
    /// Who opens the rooms: `none`, the first who joins, as in stock Prosody; `ask`, the server's focus, as clients ask
    /// it to; `be`, we, logged in as the focus, so that rooms alone are measured. [default: be with a password, else
    /// none]
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "ask")]
    focus: Option<FocusMode>,
    /// Password of the account `focus` on the domain of service accounts.
    #[arg(long, env = "JICOFO_AUTH_PASSWORD", hide_env_values = true)]
    focus_password: Option<String>,
    /// Where that account logs in over TCP, HOST:PORT.
    #[arg(long, default_value = "127.0.0.1:5222")]
    focus_server: String,
    /// Domain of service accounts. [default: auth.<domain>]
    #[arg(long)]
    auth_domain: Option<String>,
    /// Domain that takes conference requests. [default: focus.<domain>]
    #[arg(long)]
    focus_domain: Option<String>,
    /// Do not enable stream management, which clients enable when it is offered.
    #[arg(long)]
    no_sm: bool,
    /// With idle: every client pings the server every so many seconds, as clients do every 10; 0: never.
    #[arg(long, default_value = "0", value_parser = seconds)]
    ping: Duration,
    /// The core to run on, unless it does not exist.
    #[arg(long, default_value_t = 1)]
    core: usize,
    /// Seconds without anything from the server that brings us on, until it counts as dead.
    #[arg(long, default_value = "8", value_parser = seconds)]
    patience: Duration,
}

/// Up to an hour.
fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    seconds.filter(|d| *d <= LONGEST).ok_or_else(|| format!("not between 0 and {}", LONGEST.as_secs()))
}

/// Per second; 0 for none.
fn rate(text: &str) -> std::result::Result<f64, String> {
    let rate = text.parse().ok().filter(|r| *r == 0.0 || (0.001..=MOST_PER_SECOND).contains(r));
    rate.ok_or_else(|| format!("not 0, and not between 0.001 and {MOST_PER_SECOND}"))
}

/// The scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// People log in and join one room over some seconds; all must see all.
    JoinStorm,
    /// A room is filled; then others join it one after another, and leave.
    JoinFull,
    /// Rooms are open; others ask the focus for one of them, one after another, join it, are invited to its media session
    /// and leave.
    Invite,
    /// Members change their presence.
    Presence,
    /// Members write to their room.
    Chat,
    /// People are logged in and do nothing. Memory per session wants a server that has just been started.
    Idle,
    /// Presence in a room that grows.
    PresenceSweep,
}

/// Who opens rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FocusMode {
    /// Whoever joins first.
    None,
    /// The server's focus, asked by every client before it joins.
    Ask,
    /// We.
    Be,
}

/// Runs the scenario; the report is one JSON object.
///
/// # Errors
/// One line that says what did not work.
pub fn run(arguments: &Arguments) -> Result<serde_json::Value> {
    let plan = Plan::check(arguments)?;
    pin(arguments.core);
    allow_sockets(plan.clients() + SPARE_SOCKETS)?;
    let target = Target::new(
        &arguments.url,
        &arguments.domain,
        arguments.muc.as_deref(),
        arguments.auth_domain.as_deref(),
        arguments.focus_domain.as_deref(),
    )?;
    let mut fleet = Fleet::new(target, !arguments.no_sm, plan.patience)?;
    let report = scenario::run(&plan, &mut fleet)?;
    fleet.close();
    Ok(report)
}

/// Checked arguments.
#[derive(Debug, Clone)]
struct Plan {
    scenario: Scenario,
    occupants: usize,
    rooms: usize,
    time: Duration,
    warm_up: Duration,
    /// Seconds between two changes.
    interval: Option<Duration>,
    window: usize,
    /// It is one for all rooms.
    together: bool,
    joins: usize,
    sizes: Vec<usize>,
    pid: Option<u32>,
    focus: FocusMode,
    focus_password: String,
    focus_server: String,
    ping: Option<Duration>,
    patience: Duration,
}

impl Plan {
    fn check(a: &Arguments) -> Result<Self> {
        let (occupants, rooms, seconds) = match a.scenario {
            Scenario::JoinStorm => (500, 1, 10),
            Scenario::JoinFull => (400, 1, 5),
            Scenario::Invite => (200, 100, 5),
            Scenario::Idle => (1_000, 0, 5),
            Scenario::Presence | Scenario::Chat | Scenario::PresenceSweep => (500, 1, 5),
        };
        let by_password = if a.focus_password.is_some() { FocusMode::Be } else { FocusMode::None };
        let by_scenario = if a.scenario == Scenario::Invite { FocusMode::Ask } else { by_password };
        let focus = a.focus.unwrap_or(by_scenario);
        if a.scenario == Scenario::Invite && focus != FocusMode::Ask {
            bail!("invite is for the server's focus: --focus ask");
        }
        let focus_password = match (focus, &a.focus_password) {
            (FocusMode::Be, None) => bail!("--focus be needs --focus-password"),
            (_, password) => password.clone().unwrap_or_default(),
        };
        let plan = Self {
            scenario: a.scenario,
            occupants: a.occupants.unwrap_or(occupants) as usize,
            rooms: a.rooms.unwrap_or(rooms) as usize,
            time: a.seconds.unwrap_or_else(|| Duration::from_secs(seconds)),
            warm_up: a.warm_up,
            interval: (a.rate > 0.0).then(|| Duration::from_secs_f64(1.0 / a.rate)),
            window: a.window as usize,
            together: a.together,
            joins: a.joins as usize,
            sizes: a.sizes.iter().map(|s| *s as usize).collect(),
            pid: a.pid,
            focus,
            focus_password,
            focus_server: a.focus_server.clone(),
            ping: (!a.ping.is_zero()).then_some(a.ping),
            patience: a.patience,
        };
        if plan.rooms == 0 && plan.scenario != Scenario::Idle {
            bail!("--rooms 0 is for idle only");
        }
        if plan.rooms > plan.occupants {
            bail!("more rooms than occupants");
        }
        if !plan.sizes.is_sorted_by(|a, b| a < b) {
            bail!("--sizes must grow");
        }
        Ok(plan)
    }

    /// The most there will be at once.
    fn clients(&self) -> usize {
        let most = match self.scenario {
            Scenario::PresenceSweep => self.sizes.last().copied().unwrap_or_default(),
            Scenario::JoinFull | Scenario::Invite => self.occupants + self.joins,
            _ => self.occupants,
        };
        most + usize::from(self.focus == FocusMode::Be)
    }
}

/// One core for us, so that the server's is its own. A machine that has only one does without.
fn pin(core: usize) {
    let mut cores = CpuSet::new();
    if cores.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &cores)).is_err() {
        eprintln!("loadgen: core {core} is not there; not pinned");
    }
}

/// A socket for each client.
fn allow_sockets(wanted: usize) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = wanted as u64;
    if wanted > hard {
        bail!("{wanted} open files are needed and {hard} allowed (ulimit -Hn)");
    }
    if wanted > soft {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)?;
    }
    Ok(())
}

const SPARE_SOCKETS: usize = 64;
const LONGEST: Duration = Duration::from_secs(3_600);
const MOST_PER_SECOND: f64 = 1e6;
