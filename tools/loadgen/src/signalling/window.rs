//! The time that is measured: what the server and this process use in it.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Map, Value, json};

use crate::process::Usage;

/// A measurement under way.
#[derive(Debug)]
pub(super) struct Window {
    pid: Option<u32>,
    from: Instant,
    server: Option<Usage>,
    own: Duration,
}

/// What it came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) time: Duration,
    pub(super) server_cpu: Option<Duration>,
    pub(super) server_before: Option<u64>,
    pub(super) server_after: Option<u64>,
    pub(super) own_cpu: Duration,
}

impl Window {
    /// Begins now.
    pub(super) fn open(pid: Option<u32>) -> Result<Self> {
        let server = pid.map(Usage::of).transpose()?;
        Ok(Self { pid, from: Instant::now(), server, own: own_cpu()? })
    }

    pub(super) fn begun(&self) -> Instant {
        self.from
    }

    /// Ends now.
    pub(super) fn close(self) -> Result<Measured> {
        let time = self.from.elapsed();
        let server = self.pid.map(Usage::of).transpose()?;
        let cpu = self.server.zip(server).map(|(a, b)| b.cpu.saturating_sub(a.cpu));
        Ok(Measured {
            time,
            server_cpu: cpu,
            server_before: self.server.map(|u| u.resident),
            server_after: server.map(|u| u.resident),
            own_cpu: own_cpu()?.saturating_sub(self.own),
        })
    }
}

impl Measured {
    /// Without the time in which this process had nothing to do and did not sleep. On a busy machine it may have been without a core for a
    /// part of that, so that it is no more CPU time than what is left of the whole time.
    pub(super) fn without(self, idle: Duration) -> Self {
        Self { own_cpu: self.own_cpu.min(self.time.saturating_sub(idle)), ..self }
    }

    /// Whether we were the limit.
    pub(super) fn limited(&self) -> bool {
        self.own_cpu.as_secs_f64() >= 0.95 * self.time.as_secs_f64()
    }

    /// Server CPU nanoseconds for each of `n`.
    pub(super) fn cpu_ns_per(&self, n: u64) -> Option<u64> {
        let cpu = self.server_cpu?.as_nanos() as u64;
        cpu.checked_div(n)
    }

    /// The common keys of a report.
    pub(super) fn report(&self, scenario: &str) -> Map<String, Value> {
        let mut report = Map::new();
        let mut put = |key: &str, value: Value| report.insert(key.to_owned(), value);
        put("scenario", json!(scenario));
        put("seconds", json!(self.time.as_secs_f64()));
        put("server_cpu_seconds", json!(self.server_cpu.map(|c| c.as_secs_f64())));
        put("generator_cpu_seconds", json!(self.own_cpu.as_secs_f64()));
        put("generator_limited", json!(self.limited()));
        put("server_rss_before_bytes", json!(self.server_before));
        put("server_rss_bytes", json!(self.server_after));
        report
    }
}

/// The highest that the server's resident memory has been.
pub(super) fn peak_resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024)
}

/// This thread's CPU time; the generator is one thread.
fn own_cpu() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD)?;
    let us = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(us.try_into().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_time_is_this_threads_and_sleeping_takes_none() {
        let busy = Window::open(None).unwrap();
        let (begun, least) = (Instant::now(), own_cpu().unwrap() + Duration::from_millis(30));
        while own_cpu().unwrap() < least && begun.elapsed() < Duration::from_secs(10) {}
        assert!(busy.close().unwrap().own_cpu >= Duration::from_millis(30));
        let idle = Window::open(Some(std::process::id())).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let idle = idle.close().unwrap();
        assert!(!idle.limited(), "{idle:?}");
        assert!(peak_resident(std::process::id()).unwrap() >= idle.server_after.unwrap() / 2);
        assert_eq!(idle.cpu_ns_per(0), None);
    }

    #[test]
    fn from_95_hundredths_of_the_time_on_we_are_the_limit() {
        let measured = |own| Measured {
            time: Duration::from_millis(1_000),
            server_cpu: Some(Duration::from_millis(500)),
            server_before: None,
            server_after: None,
            own_cpu: Duration::from_millis(own),
        };
        assert!(!measured(949).limited());
        assert!(measured(950).limited());
        assert_eq!(measured(0).cpu_ns_per(100), Some(5_000_000));
        // Awake all the time, and at work for a part of it.
        assert!(!measured(1_000).without(Duration::from_millis(51)).limited());
        assert!(measured(1_000).without(Duration::from_millis(50)).limited());
        let half = measured(500).without(Duration::from_millis(900)).own_cpu;
        assert_eq!(half, Duration::from_millis(100), "half of the time it had no core");
    }

    #[test]
    fn a_server_that_is_gone_is_an_error() {
        assert!(Window::open(Some(u32::MAX - 1)).is_err());
    }
}
