//! A process id in; its CPU time and memory, as the kernel counts them, out.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// What a process (all its threads) had used at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// User and system time, to a clock tick (10 ms).
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident: u64,
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
        let ticks = field(14)? + field(15)?;
        Ok(Self { cpu: Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND), resident: field(24)? * PAGE })
    }

    /// This process.
    ///
    /// # Errors
    /// As [`Usage::of`].
    pub fn own() -> Result<Self> {
        Self::of(std::process::id())
    }
}

/// `USER_HZ` of every Linux that we run on.
const TICKS_PER_SECOND: u64 = 100;
/// x86-64 and most of arm64.
const PAGE: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_usage_grows_with_what_we_do() {
        let before = Usage::own().unwrap();
        let mut block = vec![1u8; 64 << 20];
        let from = std::time::Instant::now();
        while from.elapsed() < Duration::from_millis(100) {
            block.iter_mut().step_by(4096).for_each(|b| *b = b.wrapping_mul(3));
        }
        let after = Usage::own().unwrap();
        assert!(after.cpu >= before.cpu + Duration::from_millis(30), "{before:?} {after:?}");
        assert!(after.resident >= before.resident + (32 << 20), "{before:?} {after:?} {}", block.len());
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(Usage::of(u32::MAX - 1).unwrap_err().to_string().contains("is gone"));
    }
}
