//! The browser tests: the built binary and a headless Chromium in a network namespace of their own.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, step};
use crate::setup::is_root;

/// Builds the binary and runs the cases, or only the named files.
pub(crate) fn test(only: &[&str]) -> Result<()> {
    step("binary", cargo(&["build", "--package", "plausch"]))?;
    let files: Vec<String> = if only.is_empty() {
        let mut all: Vec<String> = std::fs::read_dir("tests/browser/cases")?
            .flatten()
            .map(|e| e.path().display().to_string())
            .filter(|p| p.ends_with(".test.mjs"))
            .collect();
        all.sort();
        all
    } else {
        only.iter().map(|n| format!("tests/browser/cases/{n}.test.mjs")).collect()
    };
    in_namespace("browser tests", |command| {
        command.args(["node", "--test", "--test-concurrency=1", "--test-reporter=spec"]).args(&files);
    })
}

/// Runs a command with the built binary's path in `PLAUSCH_BIN`, inside a namespace that has loopback only.
pub(crate) fn in_namespace(name: &str, fill: impl FnOnce(&mut Command)) -> Result<()> {
    if !is_root() {
        bail!("{name} need root: they make a network namespace of their own");
    }
    let namespace = Namespace::new()?;
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &namespace.name]);
    fill(&mut command);
    command.env("PLAUSCH_BIN", binary("debug")?).env("PLAUSCH_TEST_NAMESPACE", "1");
    step(name, command)
}

/// Where cargo puts the binary of a profile's folder.
pub(crate) fn binary(profile: &str) -> Result<std::path::PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), std::path::PathBuf::from);
    let path = target.join(profile).join("plausch");
    path.canonicalize().with_context(|| format!("{} is not built", path.display()))
}

/// A network namespace with only loopback; what still runs in it is ended when it goes.
struct Namespace {
    name: String,
}

impl Namespace {
    fn new() -> Result<Self> {
        let it = Self { name: format!("plausch-test-{}", std::process::id()) };
        ip(&["netns", "add", &it.name])?;
        ip(&["-n", &it.name, "link", "set", "lo", "up"])?;
        Ok(it)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let pids = Command::new("ip").args(["netns", "pids", &self.name]).output();
        for pid in pids.iter().flat_map(|o| o.stdout.split(|b| *b == b'\n')).filter(|p| !p.is_empty()) {
            let _ = Command::new("kill").arg("-KILL").arg(String::from_utf8_lossy(pid).as_ref()).status();
        }
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(args: &[&str]) -> Result<()> {
    let status = Command::new("ip").args(args).status().context("cannot start ip (package iproute2)")?;
    if !status.success() {
        bail!("ip {} failed", args.join(" "));
    }
    Ok(())
}
