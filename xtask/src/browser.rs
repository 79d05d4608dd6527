//! The browser tests: the built binary and a headless Chromium in a network namespace of their own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::namespace::Namespace;
use crate::run::{program, step};

/// Builds the binary and runs the cases, or only the named files.
pub(crate) fn test(only: &[&str]) -> Result<()> {
    program()?;
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
    let built = binary("debug", "plausch")?;
    in_namespace("browser tests", |command| {
        command.env("PLAUSCH_BIN", &built);
        command.args(["node", "--test", "--test-concurrency=1", "--test-reporter=spec"]).args(&files);
    })
}

/// Runs a command inside a namespace that has loopback only.
pub(crate) fn in_namespace(name: &str, fill: impl FnOnce(&mut Command)) -> Result<()> {
    let namespace = Namespace::new().context(name.to_owned())?;
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace.name()]);
    fill(&mut command);
    command.env("PLAUSCH_TEST_NAMESPACE", "1");
    step(name, command)
}

/// Where cargo puts a binary of a profile's folder.
pub(crate) fn binary(profile: &str, name: &str) -> Result<PathBuf> {
    let path = target().join(profile).join(name);
    path.canonicalize().with_context(|| format!("{} is not built", path.display()))
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from)
}
