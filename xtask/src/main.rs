//! The development commands: a command word in, tools run in the right order out.
//!
//! `cargo xtask test` is everything: it installs what the tests need, builds, and runs all tests.
#![forbid(unsafe_code)]

mod bandwidth;
mod bench;
mod beside;
mod browser;
mod ca;
mod containers;
mod docker;
mod images;
mod instructions;
mod machine;
mod moving;
mod namespace;
mod package;
mod pages;
mod public;
mod rules;
mod run;
mod setup;
mod takeover;
mod typed;
mod unit;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::beside::Beside;

const USAGE: &str = "\
cargo xtask <command>

  test              install what the tests need, build, run everything (what CI runs)
  test rust         formatting, lints, house rules, unit, scenario and integration tests, instruction counts only
  test beside       of these only what computes and waits for nothing: lints, the observer of suites, instruction counts
  test browser      the browser tests only
  test containers   images and compose files, in a network namespace, with a Docker daemon of their own
  test package      Debian's package: installed, upgraded, removed and purged in a Debian of its own; the admin's pages
                    about going public and moving, typed on a machine
  images            build the container images with this machine's Docker: [--base IMAGE] [--web FOLDER]
                    [--arch amd64|arm64]
  deb               build Debian's package, or with `--web FOLDER` that of a web client
  bench [WHAT]      figures of this machine: media, xmpp, join, idle; `bench --help` has the options
  bandwidth         play the bandwidth scenes in virtual time and print their figures: [--json | --from FILE]
                    [--charts FOLDER [--beside FILE]]
  instructions      count instructions per packet, delivery and join; compare with the baseline
  instructions --renew
                    write the baseline
  rules             the rules about ourselves: file length, pure cores, unsafe, citations, links, words, licences
  limits            every bound of every part with its reason, as tables
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match command(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(words: &[&str]) -> Result<()> {
    run::enter_workspace()?;
    match words {
        ["test"] => {
            setup::install()?;
            tests()?;
            let beside = Beside::start(&["test", "beside"])?;
            browser::test(&[])?;
            containers::test()?;
            package::test()?;
            beside.finish()
        }
        ["test", "beside"] => beside(),
        ["test", "rust"] => {
            tests()?;
            beside()
        }
        ["test", "browser", rest @ ..] => {
            setup::install()?;
            browser::test(rest)
        }
        ["test", "containers"] => {
            setup::install()?;
            containers::test()
        }
        ["test", "package"] => {
            setup::install()?;
            package::test()
        }
        ["deb", rest @ ..] => package::build(rest),
        ["images", rest @ ..] => images::build(rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["bandwidth", rest @ ..] => bandwidth::run(rest),
        ["instructions", rest @ ..] => instructions::run(rest),
        ["rules"] => rules::check(),
        ["limits"] => rules::print_limits(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => bail!("no such command: {}\n\n{USAGE}", words.join(" ")),
    }
}

/// The rules, and everything that cargo and node test.
fn tests() -> Result<()> {
    rules::check()?;
    setup::install_deny()?;
    let mut deny = std::process::Command::new(setup::DENY);
    deny.args(["check", "licenses", "bans", "sources"]);
    run::step("licences, bans and sources", deny)?;
    run::step("formatting", run::cargo(&["fmt", "--all", "--check"]))?;
    setup::install_pebble()?;
    setup::install_prosody()?;
    setup::install_servers()?;
    run::step("tests", run::cargo(&["test", "--workspace"]))?;
    run::step("page scripts", run::node_test("plausch/web/tests"))?;
    run::program()
}

/// What computes and waits for nothing: browsers and containers, which wait most of the time, leave room for it.
fn beside() -> Result<()> {
    let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run::step("lints", run::cargo(&lints))?;
    let observer =
        ["test", "--workspace", "--features", "prosody-server/test-observer", "--test", "observer"];
    run::step("the observer of suites", run::cargo(&observer))?;
    instructions::run(&[])
}
