//! The rules about ourselves: the tracked files in, violations by file and line out.

mod documents;

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Longest file of code that is not a test (CONTRIBUTING.md).
const MAX_LINES: usize = 700;
/// Crates that must stay pure: no I/O, clock or randomness of their own.
const PURE: &[&str] = &[
    "common/budget",
    "common/jitsi-xmpp",
    "focus/core",
    "prosody-compat/core",
    "videobridge/rtp",
    "videobridge/srtp",
    "videobridge/core",
];
/// What a pure crate may not depend on.
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "libc",
    "hyper",
    "axum",
    "rand",
    "getrandom",
    "reqwest",
    "tokio-tungstenite",
];
/// What a pure crate may not call.
const IMPURE_CALLS: &[&str] = &[
    "Instant::now()",
    "SystemTime::now()",
    "std::fs::",
    "std::net::UdpSocket",
    "std::thread::",
    "println!(",
];

/// Checks all rules and prints every violation.
pub(crate) fn check() -> Result<()> {
    let files = tracked()?;
    let texts: Vec<(&str, String)> =
        files.iter().filter_map(|f| Some((f.as_str(), std::fs::read_to_string(f).ok()?))).collect();
    let mut bad = Vec::new();
    let library = documents::Library::new(texts.iter().map(|(f, t)| (*f, t.as_str())));
    for (file, text) in
        texts.iter().filter(|(f, _)| [".rs", ".md", ".js", ".toml"].iter().any(|e| f.ends_with(e)))
    {
        bad.extend(library.check(file, text));
    }
    for (file, text) in texts.iter().filter(|(f, _)| f.ends_with(".rs")) {
        let is_test = file.contains("/tests/") || file.ends_with("/tests.rs") || file.ends_with("_tests.rs");
        let lines = text.lines().count();
        if !is_test && lines > MAX_LINES {
            bad.push(format!("{file}: {lines} lines, the cap is {MAX_LINES}"));
        }
        if !is_test && !text.starts_with("//!") {
            bad.push(format!(
                "{file}: the first line must be a `//!` that says what comes in and what goes out"
            ));
        }
        if file.ends_with("/src/lib.rs")
            && !file.starts_with("videobridge/udp/")
            && !text.contains("#![forbid(unsafe_code)]")
        {
            bad.push(format!("{file}: needs #![forbid(unsafe_code)]"));
        }
        if !is_test && PURE.iter().any(|p| file.starts_with(&format!("{p}/src/"))) {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for (n, line) in code.lines().enumerate() {
                if let Some(call) =
                    IMPURE_CALLS.iter().find(|c| line.contains(**c) && !line.trim_start().starts_with("//"))
                {
                    bad.push(format!("{file}:{}: `{call}` in a pure crate", n + 1));
                }
            }
        }
    }
    for part in PURE {
        let manifest = std::fs::read_to_string(format!("{part}/Cargo.toml"))?;
        let own = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for line in own.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if IMPURE.contains(&name) {
                bad.push(format!("{part}/Cargo.toml: a pure crate may not depend on {name}"));
            }
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    bail!("house rules:\n  {}", bad.join("\n  "))
}

fn tracked() -> Result<Vec<String>> {
    let out = Command::new("git").args(["ls-files"]).output().context("cannot start git")?;
    Ok(String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect())
}
