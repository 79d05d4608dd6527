//! What the tests need beyond the Rust toolchain: looks what is missing, installs it, or says what to do.

use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{on_path, step};

/// Program looked for, Debian package that brings it.
const NEEDED: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("cc", "gcc"),
];

/// Installs what is missing; needs root and Debian for that.
pub(crate) fn install() -> Result<()> {
    let missing: Vec<&str> = NEEDED.iter().filter(|(p, _)| !found(p)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        if !on_path("apt-get") || !is_root() {
            bail!("missing: {}. Install them, or run this as root on Debian.", missing.join(", "));
        }
        step("apt-get update", apt(&["update", "-qq"]))?;
        let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
        args.extend(&missing);
        step("apt-get install", apt(&args))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir("tests/browser");
    step("npm packages", npm)?;
    let mut library = Command::new("node");
    library.arg("tests/browser/rig/fetch-library.mjs");
    step("Jitsi client library of 2021", library)
}

fn found(program: &str) -> bool {
    on_path(program) || on_path(&format!("../sbin/{program}"))
}

fn apt(args: &[&str]) -> Command {
    let mut c = Command::new("apt-get");
    c.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    c
}

/// Whether we may install packages and make network namespaces.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}
