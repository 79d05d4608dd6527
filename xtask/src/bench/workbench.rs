//! One step in; the server started where it is ours, the tool run against it, everything ended, and its report out.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::child::{Place, report};
use super::options::{Options, Peer};
use super::plan::{Kind, Measured, Rate, Step, Subject};
use super::server::{self, Role, Server, Usage, check_peer, network_of};
use super::token;
use crate::namespace::Namespace;
use crate::run::cargo;

/// The programs that are run.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    pub(crate) plausch: PathBuf,
    pub(crate) loadgen: PathBuf,
    pub(crate) ceiling: PathBuf,
    /// Prosody's configuration.
    pub(crate) prosody: PathBuf,
}

/// Where servers and load run.
pub(crate) struct Workbench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) tools: Tools,
    pub(crate) namespace: Namespace,
    /// Of the machine.
    pub(crate) cores: usize,
}

impl Workbench<'_> {
    /// Runs a step to its report.
    ///
    /// # Errors
    /// Something did not start, failed or took far longer than it should.
    pub(crate) fn run(&self, step: &Step, measured: &Measured) -> Result<Value> {
        let most = step.expected * 4 + Duration::from_secs(60);
        match &step.kind {
            Kind::Media { subject, scenario, words, rate } => {
                let mut all = words.clone();
                all.extend(rate_words(*rate, *subject, measured)?);
                self.media(*subject, scenario, &all, most)
            }
            Kind::Signalling { subject, scenario, words } => self.signalling(*subject, scenario, words, most),
            Kind::Ceiling { words, rate } => {
                let mut command = self.place(None).command(&self.tools.ceiling);
                command.args(words).args(rate_words(*rate, Subject::Ours, measured)?);
                report(command, most)
            }
            Kind::Start => self.start(),
            Kind::Allocations => {
                let mut command = cargo(&["test", "--quiet", "--package", "videobridge-core"]);
                command.args(["--test", "allocations"]).stdout(std::process::Stdio::null());
                let done =
                    command.stderr(std::process::Stdio::null()).status().context("cannot start cargo")?;
                if !done.success() {
                    bail!(
                        "a forwarded packet allocates: cargo test --package videobridge-core --test allocations"
                    );
                }
                Ok(json!({ "allocations_per_packet": 0 }))
            }
            Kind::Browser { joins } => {
                let mut command = self.place(None).command("node".as_ref());
                command.args(["tests/browser/bench/figures.mjs", &joins.to_string()]);
                command.env("PLAUSCH_BIN", &self.tools.plausch).env("PLAUSCH_TEST_NAMESPACE", "1");
                report(command, most)
            }
            Kind::Watching { seconds, joins } => {
                let mut command = self.place(None).command("node".as_ref());
                command
                    .arg("tests/browser/bench/watching.mjs")
                    .args([seconds.to_string(), joins.to_string()]);
                command.env("PLAUSCH_BIN", &self.tools.plausch).env("PLAUSCH_TEST_NAMESPACE", "1");
                command.env("LOADGEN_BIN", &self.tools.loadgen);
                report(command, most)
            }
        }
    }

    fn place(&self, cores: Option<&str>) -> Place {
        Place { cores: cores.map(str::to_owned), network: Some(self.namespace.file()) }
    }

    fn media(&self, subject: Subject, scenario: &str, words: &[String], most: Duration) -> Result<Value> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let all = [&["media", "--scenario", scenario], words.as_slice()].concat();
        if subject == Subject::Peer {
            let peer = self.options.bridge.as_ref().context("no bridge to compare with was given")?;
            return self.peer(peer, &[&all[..], &["--bridge", &peer.url]].concat(), most);
        }
        let gso = subject != Subject::OursWithoutGso;
        let server = self.ours(Role::AllInOne, gso)?;
        let token = server::token_file().display().to_string();
        let ours = ["--bridge", server::BRIDGE, "--token-file", &token];
        self.load(server, &[&all[..], &ours].concat(), most)
    }

    fn signalling(
        &self,
        subject: Subject,
        scenario: &str,
        words: &[String],
        most: Duration,
    ) -> Result<Value> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let all = [&["signalling", "--scenario", scenario], words.as_slice()].concat();
        if subject != Subject::Peer {
            let (role, url) = match subject {
                Subject::OursOverTls => (Role::XmppOverTls, server::WEBSOCKET_OVER_TLS.to_owned()),
                Subject::OursWithTokens => {
                    (Role::XmppWithTokens, format!("{}?token={}", server::WEBSOCKET, token::signed()?))
                }
                Subject::OursWithFocus => (Role::AllInOne, server::WEBSOCKET.to_owned()),
                _ => (Role::Xmpp, server::WEBSOCKET.to_owned()),
            };
            let focus = if role == Role::AllInOne { "ask" } else { "be" };
            let all = [&all[..], &["--url", &url, "--focus", focus]].concat();
            if subject != Subject::OursOnTwoCores {
                return self.load(self.ours(role, true)?, &all, most);
            }
            let place = self.place(Some(TWO_CORES));
            let server = Server::ours(&self.tools.plausch, &place, role, true).context("plausch")?;
            // The generator chooses a core by itself, and would take one of these.
            let core = TWO.min(self.cores.saturating_sub(1)).to_string();
            let mut done =
                self.load_on(&self.beside(TWO), server, &[&all[..], &["--core", &core]].concat(), most)?;
            done["shares_a_core"] = json!(self.cores <= TWO);
            return Ok(done);
        }
        if let Some(peer) = &self.options.meeting_server {
            let mut all = [&all[..], &["--url", &peer.url]].concat();
            for (option, value) in [("--domain", &self.options.domain), ("--muc", &self.options.muc)] {
                all.extend(value.iter().flat_map(|v| [option, v.as_str()]));
            }
            return self.peer(peer, &all, most);
        }
        let data = DataFolder::new()?;
        let place = self.place(Some(SERVER_CORE));
        let server = Server::prosody(&place, &self.tools.prosody, &data.0).context("Prosody")?;
        self.load(
            server,
            &[&all[..], &["--url", server::PROSODY_WEBSOCKET, "--focus", "none"]].concat(),
            most,
        )
        .context("Prosody")
    }

    fn ours(&self, role: Role, gso: bool) -> Result<Server> {
        Server::ours(&self.tools.plausch, &self.place(Some(SERVER_CORE)), role, gso).context("plausch")
    }

    /// The cores that a server leaves to the load: on a small machine it has to share one.
    fn beside(&self, used: usize) -> String {
        let last = self.cores.saturating_sub(1);
        format!("{}-{last}", used.min(last))
    }

    /// Loads a server of ours; whatever happens, it is gone afterwards.
    fn load(&self, server: Server, words: &[&str], most: Duration) -> Result<Value> {
        self.load_on(&self.beside(1), server, words, most)
    }

    fn load_on(&self, cores: &str, mut server: Server, words: &[&str], most: Duration) -> Result<Value> {
        let mut command = self.place(Some(cores)).command(&self.tools.loadgen);
        command.args(words).args(["--pid", &server.id().to_string()]);
        command.env("JICOFO_AUTH_PASSWORD", server::FOCUS_PASSWORD);
        let done = report(command, most);
        match server.end() {
            Some(end) if done.is_err() => done.context(end),
            _ => done,
        }
    }

    /// Loads a server that is not ours, in the network where it is.
    fn peer(&self, peer: &Peer, words: &[&str], most: Duration) -> Result<Value> {
        check_peer(peer)?;
        let place = Place { cores: Some(self.beside(1)), network: network_of(peer) };
        let mut command = place.command(&self.tools.loadgen);
        command.args(words);
        if let Some(pid) = peer.pid {
            command.args(["--pid", &pid.to_string()]);
        }
        report(command, most).with_context(|| format!("the peer {}", peer.url))
    }

    fn start(&self) -> Result<Value> {
        let server = self.ours(Role::AllInOne, true)?;
        std::thread::sleep(SETTLE);
        let first = Usage::of(server.id())?;
        std::thread::sleep(IDLE);
        let last = Usage::of(server.id())?;
        Ok(json!({
            "start_ms": server.started_in.as_secs_f64() * 1e3,
            "idle_rss_bytes": last.resident,
            "idle_cpu_share": (last.cpu - first.cpu).as_secs_f64() / IDLE.as_secs_f64(),
        }))
    }
}

/// `--rate` for both load generator and ceiling: packets sent per second towards the server, all senders together.
fn rate_words(rate: Rate, subject: Subject, measured: &Measured) -> Result<Vec<String>> {
    let Rate::OfCapacity(share) = rate else { return Ok(Vec::new()) };
    let step = super::media::subject_key(subject);
    let capacity = measured
        .samples("capacity", step, "/capacity_offered_pps")
        .with_context(|| format!("no rate was found that {step} carries without loss and delay"))?;
    // A neighbour on the machine makes a search end too early, and nothing makes it end too late.
    Ok(vec!["--rate".into(), format!("{:.0}", (capacity.max() * share).max(1.0))])
}

/// A folder for a server's data, removed when dropped.
struct DataFolder(PathBuf);

impl DataFolder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("plausch-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Where the server runs.
const SERVER_CORE: &str = "0";
/// Where it runs on two.
const TWO_CORES: &str = "0,1";
const TWO: usize = 2;
/// After health: what starting needed is given back.
const SETTLE: Duration = Duration::from_secs(1);
/// How long nothing is watched.
const IDLE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_share_of_the_most_that_the_same_subject_was_found_to_carry() {
        let mut measured = Measured::default();
        for found in [40_000.4, 9_000.0, 10_000.0] {
            measured.add("capacity", "ours", json!({ "capacity_offered_pps": found }));
        }
        measured.add("capacity", "peer", json!({ "capacity_offered_pps": null }));
        let words = |rate, subject| rate_words(rate, subject, &measured);
        assert_eq!(words(Rate::OfCapacity(0.5), Subject::Ours).unwrap(), ["--rate", "20000"]);
        assert!(words(Rate::Scenario, Subject::Peer).unwrap().is_empty());
        let error = words(Rate::OfCapacity(0.5), Subject::Peer).unwrap_err().to_string();
        assert!(error.contains("no rate was found that peer carries"), "{error}");
    }
}
