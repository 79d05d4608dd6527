//! A process id in; its CPU time and memory, as the kernel counts them, out.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// What a process (all its threads) had used at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
    /// How often a thread of it that lives had to be woken.
    pub wake_ups: u64,
}

impl Usage {
    /// Reads `/proc/PID`.
    ///
    /// # Errors
    /// The process is gone, or is not ours to look at.
    pub fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("the server (process {pid}) is gone"))?;
        // The name may hold anything; the fields start behind its closing bracket with number 3.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
        let field = |number: usize| -> Result<u64> {
            Ok(fields.get(number - 3).context("/proc: too few fields")?.parse()?)
        };
        // In nanoseconds and with threads that have ended; the ticks in `stat` are 10 ms.
        let pid = Pid::from_raw(pid.try_into().context("no process id")?);
        let cpu = clock_getcpuclockid(pid).and_then(clock_gettime).context("the server's CPU clock")?;
        Ok(Self { cpu: cpu.into(), resident: field(24)? * PAGE, wake_ups: wake_ups(pid)? })
    }

    /// This process.
    ///
    /// # Errors
    /// As [`Usage::of`].
    pub fn own() -> Result<Self> {
        Self::of(std::process::id())
    }
}

/// A thread that gives its core away waits for something.
fn wake_ups(pid: Pid) -> Result<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).context("the server's threads")?;
    // One may have ended meanwhile.
    let status = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    let of = |status: String| {
        let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    };
    Ok(status.filter_map(of).sum())
}

/// x86-64 and most of arm64.
const PAGE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_usage_grows_with_what_we_do() {
        let before = Usage::own().unwrap();
        let mut block = vec![1u8; 64 << 20];
        std::thread::sleep(Duration::from_millis(1));
        let from = std::time::Instant::now();
        while from.elapsed() < Duration::from_millis(100) {
            block.iter_mut().step_by(4096).for_each(|b| *b = b.wrapping_mul(3));
        }
        let after = Usage::own().unwrap();
        assert!(after.cpu >= before.cpu + Duration::from_millis(30), "{before:?} {after:?}");
        assert!(after.wake_ups > before.wake_ups, "{before:?} {after:?}");
        assert!(after.resident >= before.resident + (32 << 20), "{before:?} {after:?} {}", block.len());
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(Usage::of(u32::MAX - 1).unwrap_err().to_string().contains("is gone"));
    }
}
