//! A core to run on and a time window in; the CPU time that the calling thread used within the window out.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// Binds the calling thread to a core. Where that is not possible it runs anywhere, and a line says so.
pub(crate) fn pin(core: usize, what: &str) -> bool {
    let mut set = CpuSet::new();
    let pinned = set.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    if let Err(error) = pinned {
        eprintln!("ceiling: {what} runs unpinned: core {core}: {error}");
    }
    pinned.is_ok()
}

/// Makes sure that this many files can be open.
pub(crate) fn allow_files(count: usize) -> Result<()> {
    let count = count as u64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    ensure!(count <= hard, "{count} open files are more than this user may have ({hard}: ulimit -Hn)");
    if count > soft {
        setrlimit(Resource::RLIMIT_NOFILE, count, hard)?;
    }
    Ok(())
}

/// When to measure: after a warm-up of a tenth of the time, at most a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

impl Window {
    pub(crate) fn starting_now(length: Duration) -> Self {
        let begin = Instant::now() + (length / 10).min(Duration::from_secs(1));
        Self { begin, end: begin + length }
    }
}

/// Of two threads that end each other: both results, or the error of the one that began.
pub(crate) fn both<A, B>(one: Result<A>, other: Result<B>) -> Result<(A, B)> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(error), Err(cause)) if error.is::<StoppedEarly>() => Err(cause),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

#[derive(Debug)]
struct StoppedEarly;

impl std::fmt::Display for StoppedEarly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the run was stopped early")
    }
}

impl std::error::Error for StoppedEarly {}

/// The clocks and a thread's own counters `C` at the two ends of the window.
pub(crate) struct Meter<C> {
    window: Window,
    first: Option<Reading<C>>,
    last: Option<Reading<C>>,
}

struct Reading<C> {
    wall: Instant,
    cpu: Duration,
    counters: C,
}

/// What happened between the two ends.
pub(crate) struct Measured<C> {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
    pub(crate) first: C,
    pub(crate) last: C,
}

impl<C: Copy> Meter<C> {
    pub(crate) const fn new(window: Window) -> Self {
        Self { window, first: None, last: None }
    }

    /// To be called from the measured thread between any two pieces of work.
    pub(crate) fn observe(&mut self, now: Instant, counters: C) {
        if self.first.is_none() && now >= self.window.begin {
            self.first = Some(Reading::now(now, counters));
        }
        if self.last.is_none() && now >= self.window.end {
            self.last = Some(Reading::now(now, counters));
        }
    }

    /// An error when the thread was not there at both ends, which means that the other one broke down.
    pub(crate) fn measured(self) -> Result<Measured<C>> {
        let (Some(first), Some(last)) = (self.first, self.last) else { return Err(StoppedEarly.into()) };
        Ok(Measured {
            wall: last.wall - first.wall,
            cpu: last.cpu.saturating_sub(first.cpu),
            first: first.counters,
            last: last.counters,
        })
    }
}

impl<C> Reading<C> {
    fn now(wall: Instant, counters: C) -> Self {
        // The clock of the own thread is always there.
        let cpu = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from);
        Self { wall, cpu, counters }
    }
}

/// Tests that measure take turns, as all of them use the same cores; where others leave those no time within a
/// window, they try again.
#[cfg(test)]
pub(crate) fn in_turn(run: impl Fn() -> Result<serde_json::Value>) -> serde_json::Value {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for _ in 0..4 {
        match run() {
            Err(error) if error.to_string() == NOTHING => {}
            done => return done.unwrap(),
        }
    }
    run().unwrap()
}

/// The error when a window passed without anything.
pub(crate) const NOTHING: &str = "nothing came through";

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn only_work_inside_the_window_counts() {
        let window = Window::starting_now(Duration::from_secs(2));
        assert_eq!(window.end - window.begin, Duration::from_secs(2));
        let before = Duration::from_millis(1);
        let mut meter = Meter::new(window);
        meter.observe(window.begin - before, 1);
        meter.observe(window.begin, 2);
        let cpu = || Reading::now(window.begin, ()).cpu;
        let from = cpu();
        while cpu() < from + Duration::from_millis(5) {}
        meter.observe(window.end - before, 3);
        meter.observe(window.end, 4);
        meter.observe(window.end + before, 5);
        let measured = meter.measured().unwrap();
        assert_eq!((measured.first, measured.last, measured.wall), (2, 4, Duration::from_secs(2)));
        assert!((Duration::from_millis(5)..Duration::from_millis(50)).contains(&measured.cpu));
    }

    #[test]
    fn the_cause_is_told_rather_than_that_the_other_thread_stopped() {
        let stopped =
            || Meter::<()>::new(Window::starting_now(Duration::from_secs(1))).measured().map(|_| ());
        let broken = || Err::<(), _>(anyhow!("cause"));
        assert_eq!(both(stopped(), broken()).unwrap_err().to_string(), "cause");
        assert_eq!(both(broken(), stopped()).unwrap_err().to_string(), "cause");
        assert!(both(stopped(), Ok(())).is_err() && both(Ok(()), Ok(())).is_ok());
    }

    #[test]
    fn a_core_that_is_not_there_is_no_error() {
        assert!(!pin(1000, "the test"));
    }
}
