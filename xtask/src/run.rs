//! Running tools: a command in, its success or a clear error out, with its output shown as it comes.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Changes to the workspace's root, so that every path below is relative to it.
pub(crate) fn enter_workspace() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    std::env::set_current_dir(root).with_context(|| format!("cannot enter {}", root.display()))
}

/// The cargo that runs us.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut c = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    c.args(args);
    c
}

/// The program as the Rust tests have it: with the features that the workspace's tests ask of its dependencies, so that nothing is built twice.
///
/// # Errors
/// It does not build.
pub(crate) fn program() -> Result<()> {
    // Once is enough, and what cargo builds beside us would hold up a second time.
    static BUILT: AtomicBool = AtomicBool::new(false);
    if !BUILT.load(Ordering::Relaxed) {
        step("program", cargo(&["test", "--workspace", "--no-run", "--test", "process"]))?;
        BUILT.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Node's own test runner over all `*.test.mjs` of a folder.
pub(crate) fn node_test(folder: &str) -> Command {
    let mut c = Command::new("node");
    c.arg("--test");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .map(|d| {
            d.flatten().map(|e| e.path()).filter(|p| p.to_string_lossy().ends_with(".test.mjs")).collect()
        })
        .unwrap_or_default();
    files.sort();
    c.args(files);
    c
}

/// Runs one named step and says how long it took.
pub(crate) fn step(name: &str, mut command: Command) -> Result<()> {
    eprintln!("── {name}");
    let from = Instant::now();
    let status =
        command.status().with_context(|| format!("{name}: cannot start {:?}", command.get_program()))?;
    if !status.success() {
        bail!("{name} failed: {command:?}");
    }
    eprintln!("── {name}: {:.0} s", from.elapsed().as_secs_f64());
    Ok(())
}

/// Whether a program is found on the path.
pub(crate) fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|p| std::env::split_paths(&p).any(|d| d.join(program).is_file()))
}
