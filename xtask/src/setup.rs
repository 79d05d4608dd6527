//! What the tests need beyond the Rust toolchain: looks what is missing, installs it, or says what to do.

use std::fs::Permissions;
use std::io::stderr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, on_path, step};

/// Program looked for, Debian package that brings it.
const NEEDED: &[(&str, &str)] = &[
    ("chromium", "chromium"),
    ("firefox-esr", "firefox-esr"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("openssl", "openssl"),
    ("cc", "gcc"),
    ("valgrind", "valgrind"),
    ("python3", "python3"),
];

/// Servers beside us in tests: web servers in front, of which Debian has no Traefik, and a directory of accounts.
const SERVERS: &[(&str, &str)] = &[
    ("nginx", "nginx-light"),
    ("apache2", "apache2"),
    ("haproxy", "haproxy"),
    ("caddy", "caddy"),
    ("slapd", "slapd"),
    ("ldapdelete", "ldap-utils"),
];

/// Installs what is missing; needs root and Debian for that.
pub(crate) fn install() -> Result<()> {
    need(NEEDED)?;
    install_servers()?;
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir("tests/browser");
    npm.stdout(stderr());
    step("npm packages", npm)?;
    let mut library = Command::new("node");
    library.arg("tests/browser/rig/fetch-library.mjs");
    library.stdout(stderr());
    step("Jitsi client library of 2021", library)
}

/// Installs the servers that are beside us in tests; theirs do not start.
pub(crate) fn install_servers() -> Result<()> {
    if SERVERS.iter().all(|(program, _)| found(program)) || !is_root() {
        return Ok(());
    }
    let _quiet = NoServices::new()?;
    need(SERVERS)
}

/// Installs what is missing of these programs, each with the Debian package that brings it.
pub(crate) fn need(programs: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        programs.iter().filter(|(p, _)| !found(p)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !on_path("apt-get") || !is_root() {
        bail!("missing: {}. Install them, or run this as root on Debian.", missing.join(", "));
    }
    step("apt-get update", apt(&["update", "-qq"]))?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(&missing);
    step("apt-get install", apt(&args))
}

/// Builds `cargo deny` once per target folder. Without optimisation and the parts that fetch: a minute, and fast enough.
pub(crate) fn install_deny() -> Result<()> {
    let there = Command::new(DENY).arg("--version").output();
    if there.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).trim_end().ends_with(DENY_VERSION)) {
        return Ok(());
    }
    let mut install = cargo(&["install", "cargo-deny", "--locked", "--debug", "--no-default-features"]);
    install.args(["--version", DENY_VERSION, "--root", "target/tools", "--target-dir", "target/tools/build"]);
    step("cargo deny", install)?;
    std::fs::remove_dir_all("target/tools/build").context("cannot remove what building it left")
}

/// Where [`install_deny`] puts it.
pub(crate) const DENY: &str = "target/tools/bin/cargo-deny";
const DENY_VERSION: &str = "0.20.2";

/// Builds Pebble, the test CA, and its name server; `plausch/tests/acme` starts them. Pinned by hash in `tests/pebble/go.sum`.
pub(crate) fn install_pebble() -> Result<()> {
    if !on_path("go") {
        // Debian's own may be too old to get a newer one by itself.
        bail!("missing: Go, 1.21 or newer. Install it.");
    }
    let mut build = Command::new("go");
    build
        .args(["build", "-buildvcs=false", "-o", "../../target/tools/bin/", "tool"])
        .current_dir("tests/pebble");
    step("Pebble, the test CA", build)
}

/// Installs Debian's Prosody when there is none; its service does not start.
pub(crate) fn install_prosody() -> Result<()> {
    if on_path("prosody") {
        return Ok(());
    }
    if !on_path("apt-get") || !is_root() {
        bail!("missing: prosody. Install it, or run this as root on Debian.");
    }
    step("apt-get update", apt(&["update", "-qq"]))?;
    let _quiet = NoServices::new()?;
    step("apt-get install", apt(&["install", "-y", "-qq", "--no-install-recommends", "prosody"]))
}

/// While it lives, Debian's packages do not start services when they are installed.
pub(crate) struct NoServices {
    policy: PathBuf,
    ours: bool,
}

impl NoServices {
    fn new() -> Result<Self> {
        Self::below(Path::new("/"))
    }

    /// In the Debian whose root this is.
    pub(crate) fn below(root: &Path) -> Result<Self> {
        let policy = root.join("usr/sbin/policy-rc.d");
        // A policy that the machine already has is its own business, and stays.
        let ours = !policy.exists();
        if ours {
            // 101: "action forbidden by policy" (invoke-rc.d's interface).
            std::fs::write(&policy, "#!/bin/sh\nexit 101\n")
                .with_context(|| format!("cannot write {}", policy.display()))?;
            std::fs::set_permissions(&policy, Permissions::from_mode(0o755))?;
        }
        Ok(Self { policy, ours })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            let _ = std::fs::remove_file(&self.policy);
        }
    }
}

fn found(program: &str) -> bool {
    on_path(program) || on_path(&format!("../sbin/{program}"))
}

fn apt(args: &[&str]) -> Command {
    let mut c = Command::new("apt-get");
    // What a command is for goes to standard output; what it needed first does not.
    c.args(args).env("DEBIAN_FRONTEND", "noninteractive").stdout(stderr());
    c
}

/// Whether we may install packages and make network namespaces.
pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}
