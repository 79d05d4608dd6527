//! This machine and working copy in; what a reader must know about them to judge a figure out.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

/// Facts that belong to every figure.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    cpu: String,
    pub(crate) cores: usize,
    kernel: String,
    virtual_machine: bool,
    mitigations: String,
    commit: String,
    rustc: String,
    date: String,
}

impl Machine {
    /// Looks.
    pub(crate) fn look() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu =
            cpuinfo.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": ").map(|(_, v)| v));
        let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        Self {
            cpu: cpu.unwrap_or("unknown processor").trim().to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: said("uname", &["-r"]),
            virtual_machine: cpuinfo.split_ascii_whitespace().any(|w| w == "hypervisor"),
            mitigations: mitigations(),
            commit: said("git", &["rev-parse", "--short=10", "HEAD"])
                + if changed { " with changes" } else { "" },
            rustc: said("rustc", &["--version"]).split(' ').nth(1).unwrap_or_default().to_owned(),
            date: said("date", &["-u", "+%F"]),
        }
    }

    /// One line.
    pub(crate) fn text(&self) -> String {
        let Self { cpu, cores, kernel, commit, rustc, date, mitigations, .. } = self;
        let kind = if self.virtual_machine { " (virtual machine)" } else { "" };
        format!(
            "{cpu}, {cores} cores{kind}, Linux {kernel}, mitigations: {mitigations}; commit {commit}, rustc {rustc}, {date}"
        )
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "cpu": self.cpu, "cores": self.cores, "virtual_machine": self.virtual_machine, "kernel": self.kernel,
            "mitigations": self.mitigations, "commit": self.commit, "rustc": self.rustc, "date": self.date,
        })
    }

    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        let text = |t: &str| t.to_owned();
        Self {
            cpu: text("a processor"),
            cores: 2,
            kernel: text("6.1"),
            virtual_machine: true,
            mitigations: text("none"),
            commit: text("0123456789"),
            rustc: text("1.95.0"),
            date: text("2026-01-01"),
        }
    }
}

/// How many of the processor's flaws the kernel works around.
fn mitigations() -> String {
    let files = fs::read_dir("/sys/devices/system/cpu/vulnerabilities");
    let texts = files.into_iter().flatten().flatten().filter_map(|f| fs::read_to_string(f.path()).ok());
    match texts.filter(|t| t.starts_with("Mitigation")).count() {
        0 => "none".into(),
        n => n.to_string(),
    }
}

fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}
