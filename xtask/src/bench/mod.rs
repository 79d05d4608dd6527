//! The figures of the whole product on this machine: servers and load in, a table, JSON and curves out. Judges nothing.

pub(crate) mod chart;
mod child;
mod docs;
mod figure;
mod idle;
mod join;
mod machine;
mod media;
pub(crate) mod options;
mod plan;
mod progress;
mod server;
mod statistics;
pub(crate) mod svg;
mod table;
mod token;
mod turn;
mod watching;
mod workbench;
mod xmpp;

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};

use self::machine::Machine;
use self::options::{Bench, Options};
use self::plan::{Kind, Measured, Part, interleave};
use self::progress::{Progress, roughly};
use self::table::{Head, Section};
use self::workbench::{Tools, Workbench};
use crate::browser::binary;
use crate::namespace::Namespace;
use crate::run::{cargo, on_path, step};
use crate::setup;

/// The words behind `bench`.
pub(crate) const USAGE: &str = "\
cargo xtask bench [media] [xmpp] [join] [idle] [options]       without a word: all four

  media             CPU per forwarded packet, packets/s, latency, memory; against the ceiling program and a bridge
  xmpp              CPU per delivered presence and message; against the ceiling program and a meeting server
  join              into a full room, join storms, browser to first picture, start
  idle              start, memory and CPU without people, memory per idle session and per endpoint

  --peer URL        compare with a server on loopback: http://HOST:PORT is a bridge with Colibri2 over HTTP,
                    ws://HOST:PORT/PATH an XMPP server; one of each
  --pid N           process of the peer before it, for its CPU time and memory
  --domain D        XMPP domain of the meeting server (meet.jitsi)
  --muc M           its domain of rooms (muc.D)
  --with-prosody    compare with Debian's Prosody: installed if missing, started for each run
  --rounds N        how often everything is repeated, interleaved (5)
  --seconds N       length of one measurement (10)
  --scenario NAME   only this part:
                      media: capacity fan-out half-load receivers room10 few allocations turn watching audience audio rooms
                             loss-1 loss-5 loss-20 jitter-300 rate-steps
                      xmpp:  presence sizes chat two-rooms
                      join:  join-full join-storm join-500 invite media-storm browser start
                      idle:  start sessions sessions-10000 room10
  --json            one JSON object in place of the table
  --svg             draw the curves into docs/performance/
  --write-docs      that, and the tables into docs/performance.md
";

/// Measures what the words ask for.
///
/// # Errors
/// Wrong words (with the usage), a peer that is not there or fails, or anything that does not start or end.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    if words.iter().any(|w| ["help", "--help", "-h"].contains(w)) {
        print!("{USAGE}");
        return Ok(());
    }
    let wrong = |e: anyhow::Error| anyhow!("bench: {e:#}\n\n{USAGE}");
    let options = Options::parse(words).map_err(wrong)?;
    let parts = parts(&options).map_err(wrong)?;
    // What can be known to fail fails before the minutes that building takes.
    for peer in options.bridge.iter().chain(&options.meeting_server) {
        server::check_peer(peer)?;
        if peer.pid.is_none() {
            eprintln!("{}: no --pid, so no CPU time, no memory and no ratio of costs", peer.url);
        }
    }
    let machine = Machine::look();
    if machine.cores < 2 {
        bail!("server and load need a core each; this machine has one");
    }
    let namespace = Namespace::new()?;
    let tools = prepare(&options, &parts)?;
    let workbench = Workbench { options: &options, tools, namespace, cores: machine.cores };
    let progress = Progress::new();
    let all = interleave(&parts).iter().map(|t| t.step.expected).sum();
    progress.say(&format!("{} parts, {} rounds, about {}", parts.len(), options.rounds, roughly(all)));
    let mut measured = Measured::default();
    let done = plan::run(&parts, &progress, &mut measured, |step, earlier| workbench.run(step, earlier));
    drop(workbench);
    let command = format!("cargo xtask bench {}", words.join(" ")).trim_end().to_owned();
    let head = Head { machine, command, rounds: options.rounds, seconds: options.seconds };
    let sections = sections(&options, &measured);
    if done.is_ok() && options.json {
        println!("{}", table::json(&head, &sections));
    } else if !options.json && sections.iter().any(|s| !s.figures.is_empty()) {
        print!("{}", table::text(&head, &sections));
    }
    done?;
    if options.svg {
        for file in docs::write_charts(&sections)? {
            progress.say(&file);
        }
    }
    if options.write_docs {
        docs::write_tables(&head, &sections)?;
    }
    Ok(())
}

/// What all benches asked for need, each part once.
fn parts(options: &Options) -> Result<Vec<Part>> {
    if let Some(name) = &options.scenario {
        let known = |bench: &Bench| {
            let (parts, more) = match bench {
                Bench::Media => (media::PARTS, media::SCENARIOS),
                Bench::Xmpp => (xmpp::PARTS, &[][..]),
                Bench::Join => (join::PARTS, &[][..]),
                Bench::Idle => (idle::PARTS, &[][..]),
            };
            parts.contains(&name.as_str()) || more.contains(&name.as_str())
        };
        if !options.benches.iter().any(known) {
            bail!("no scenario `{name}` here");
        }
    }
    let mut parts: Vec<Part> = Vec::new();
    for bench in &options.benches {
        let of_bench = match bench {
            Bench::Media => media::parts(options),
            Bench::Xmpp => xmpp::parts(options),
            Bench::Join => join::parts(options),
            Bench::Idle => idle::parts(options),
        };
        for part in of_bench {
            if parts.iter().all(|p| p.name != part.name) {
                parts.push(part);
            }
        }
    }
    Ok(parts)
}

fn sections(options: &Options, measured: &Measured) -> Vec<Section> {
    let section = |bench: &Bench| {
        let (figures, charts) = match bench {
            Bench::Media => (media::figures(measured), media::charts(measured)),
            Bench::Xmpp => (xmpp::figures(measured), xmpp::charts(measured)),
            Bench::Join => (join::figures(measured), Vec::new()),
            Bench::Idle => (idle::figures(measured), Vec::new()),
        };
        Section { name: bench.name(), figures, charts }
    };
    options.benches.iter().map(section).collect()
}

/// Installs and builds what the parts need.
fn prepare(options: &Options, parts: &[Part]) -> Result<Tools> {
    for (program, package) in
        [("taskset", "util-linux"), ("nsenter", "util-linux"), ("setpriv", "util-linux")]
    {
        if !on_path(program) {
            bail!("{program} is missing (package {package})");
        }
    }
    let steps = || parts.iter().flat_map(|p| &p.steps);
    if steps().any(|s| matches!(s.kind, Kind::Browser { .. } | Kind::Watching { .. })) {
        setup::install()?;
    }
    if options.with_prosody {
        setup::install_prosody()?;
    }
    let packages = ["plausch", "loadgen", "ceiling"];
    let mut build = cargo(&["build", "--profile", "ship"]);
    build.args(packages.iter().flat_map(|p| ["--package", p]));
    step("ship build", build)?;
    if steps().any(|s| s.kind == Kind::Allocations) {
        let test = ["test", "--package", "videobridge-core", "--test", "allocations", "--no-run"];
        step("allocation test", cargo(&test))?;
    }
    let [plausch, loadgen, ceiling] = packages.map(|p| binary("ship", p));
    let prosody = PathBuf::from("tools/loadgen/prosody.cfg.lua");
    let prosody = prosody.canonicalize().with_context(|| format!("no {}", prosody.display()));
    let prosody = if options.with_prosody { prosody? } else { prosody.unwrap_or_default() };
    Ok(Tools { plausch: plausch?, loadgen: loadgen?, ceiling: ceiling?, prosody })
}

#[cfg(test)]
mod tests;
