//! Work that loads the processors and does not mind waiting, beside work that waits for clocks and minds being kept waiting: a command of
//! ours in, its output and verdict at the end out.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::browser::target;

/// The command under way, with the lowest priority. What is left of it ends with it.
pub(crate) struct Beside {
    words: String,
    child: Child,
    output: PathBuf,
}

impl Beside {
    /// Starts `cargo xtask WORDS`.
    pub(crate) fn start(words: &[&str]) -> Result<Self> {
        let output = target().join("beside.log");
        let file = File::create(&output).with_context(|| format!("cannot write {}", output.display()))?;
        let this = std::env::current_exe().context("cannot find this program")?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(this).args(words).process_group(0);
        command.stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().context("cannot start nice")?;
        let words = words.join(" ");
        eprintln!("── beside the following: cargo xtask {words}");
        Ok(Self { words, child, output })
    }

    /// Waits for it, and shows what it said.
    pub(crate) fn finish(mut self) -> Result<()> {
        eprintln!("── what ran beside: cargo xtask {}", self.words);
        let status = self.child.wait()?;
        eprint!("{}", fs::read_to_string(&self.output).unwrap_or_default());
        if !status.success() {
            bail!("cargo xtask {} failed", self.words);
        }
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Something else has failed first. Not after an end: the number might be somebody else's by then.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
        }
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(script: &str, name: &str) -> Beside {
        let output = std::env::temp_dir().join(format!("plausch-beside-{}-{name}", std::process::id()));
        let file = File::create(&output).unwrap();
        let child = Command::new("sh").args(["-c", script]).process_group(0).stdout(file).spawn().unwrap();
        Beside { words: "test x".into(), child, output }
    }

    #[test]
    fn what_failed_beside_fails_the_whole() {
        assert!(running("echo well", "well").finish().is_ok());
        let failed = running("echo bad; exit 3", "bad").finish().unwrap_err();
        assert_eq!(failed.to_string(), "cargo xtask test x failed");
    }

    #[test]
    fn what_runs_beside_ends_with_the_rest_and_all_that_it_started() {
        let beside = running("sleep 600 & echo $!; wait", "long");
        let started = loop {
            let text = fs::read_to_string(&beside.output).unwrap();
            if let Some(line) = text.strip_suffix('\n') {
                break line.to_owned();
            }
            std::thread::yield_now();
        };
        drop(beside);
        let gone = || {
            let state = fs::read_to_string(format!("/proc/{started}/stat"));
            // Ended, and perhaps not yet asked for by whoever inherits it.
            state.map_or(true, |s| s.contains(") Z "))
        };
        while !gone() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
