//! Command line, file and environment in; a running all-in-one, or one role, out.
#![forbid(unsafe_code)]

mod accounts;
mod acme;
mod admin;
mod cli;
mod commands;
mod doctor;
mod draining;
mod first;
pub mod foreign;
mod front;
mod generations;
mod greeting;
mod http2;
mod migrate;
mod options;
mod patience;
mod reload;
mod restart;
mod serve;
mod setup;
mod shares;
mod shell;
mod support;
mod tls;
mod wiring;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use service::options::ConfigFile;
use service::{Effective, StartError, logging};

use crate::cli::{Asked, Environment};
use crate::doctor::checks::addresses::contradictions;
use crate::doctor::facts::Plan;
use crate::options::environment::Findings;
use crate::options::families::machine_has_ipv6;
use crate::options::{Role, SETTINGS, Settings, useless};

/// The program: reads what it was asked for and does it until it is told to end.
pub fn start() -> ExitCode {
    let env = Environment::of(std::env::vars_os());
    let asked = match accounts::prosodyctl::is_name(std::env::args_os().next().as_deref()) {
        true => accounts::prosodyctl::read(std::env::args_os(), &env),
        false => cli::read(std::env::args_os(), None, &env),
    };
    let done = asked.and_then(|asked| match asked {
        Asked::Print(text) => {
            service::output::say(text);
            Ok(0)
        }
        Asked::Run(role, effective, findings) => {
            let source = Box::new(move || match cli::read(std::env::args_os(), None, &env)? {
                Asked::Run(_, effective, _) => Ok(*effective),
                Asked::Print(_) | Asked::Do(_) => Err(StartError::Part {
                    part: "the reload",
                    reason: "the arguments of the start mean something else now".to_owned(),
                }),
            });
            run(role, &effective, &findings, source).map(|clean| u8::from(!clean))
        }
        Asked::Do(command) => commands::run(command),
    });
    logging::flush();
    match done {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            service::output::complain(format!("plausch: {}", options::line(&e)));
            ExitCode::from(e.exit_code())
        }
    }
}

/// What a start with these arguments, this file and this environment comes to. Nothing is started, and no file is touched:
/// values that name some are not looked at.
pub fn check(
    args: impl Iterator<Item = OsString>,
    file: Option<&str>,
    vars: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Checked, StartError> {
    let file = ConfigFile { path: "plausch.toml".into(), text: file.unwrap_or_default().to_owned() };
    let names_file =
        |name: &OsString| SETTINGS.iter().flat_map(service::options::secret::variables).any(|n| *name == *n);
    let vars = vars.filter(|(name, _)| !names_file(name));
    match cli::read(args, Some(file), &Environment::of(vars))? {
        Asked::Print(text) => Ok(Checked::Print(text)),
        Asked::Do(_) => Ok(Checked::Print(String::new())),
        Asked::Run(_, effective, _) => {
            let files = [
                "admin.token_file",
                "http.config_js",
                "http.custom",
                "http.custom_config_js",
                "http.web",
                "https.acme.roots",
                "https.certificate",
                "https.key",
            ];
            if files.iter().all(|key| effective.text(key).is_empty()) {
                Settings::check(&effective)?;
            }
            Ok(Checked::Start(effective))
        }
    }
}

/// What [`check`] finds.
#[derive(Debug)]
pub enum Checked {
    /// Help or the like would be printed, or a command beside the server done.
    Print(String),
    /// The program would run with these values.
    Start(Box<Effective>),
}

fn run(
    role: Role,
    effective: &Effective,
    findings: &Findings,
    source: reload::Source,
) -> Result<bool, StartError> {
    let mut settings = Settings::check(effective)?;
    let no_ipv6 = settings.on_a_machine(machine_has_ipv6());
    let program = match role {
        Role::AllInOne | Role::Focus => logging::Program::Jicofo,
        Role::Videobridge => logging::Program::Jvb,
        Role::Xmpp => logging::Program::Prosody,
    };
    logging::init(effective.text("log.filter"), settings.log.0, settings.log.1, program);
    findings.log();
    for line in no_ipv6.map(str::to_owned).into_iter().chain(useless::lines(role, effective)) {
        tracing::warn!("{line}");
    }
    let machine = videobridge_udp::interface_addresses().unwrap_or_default();
    for finding in contradictions(&Plan::of(role, &settings), &machine) {
        let todo = finding.todo.map_or_else(String::new, |t| t.en);
        tracing::warn!("{}", options::named(&format!("{}: {todo}", finding.says.en)));
    }
    front::limits::raise_open_files();
    // Parts name the provider where they can; this is for those that ask the process.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = runtime(workers())
        .max_blocking_threads(BLOCKING)
        .thread_stack_size(STACK)
        .thread_name("plausch")
        .enable_all()
        .build()
        .map_err(|e| StartError::Part { part: "the runtime", reason: e.to_string() })?;
    let clean = runtime.block_on(wiring::run(role, settings, effective, source));
    runtime.shutdown_background();
    clean
}

/// One thread alone needs nothing of what several need to share work, and does not wake itself.
fn runtime(workers: usize) -> tokio::runtime::Builder {
    if workers == 1 {
        return tokio::runtime::Builder::new_current_thread();
    }
    let mut several = tokio::runtime::Builder::new_multi_thread();
    several.worker_threads(workers);
    several
}

/// Signalling threads; media has threads of its own. A second one on the same core would only take turns with the first.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS)
}

/// The most of them: one task decides, and its broadcasts are written by all.
const WORKERS: usize = 2;
/// Threads that read files of the web folder.
const BLOCKING: usize = 4;
/// Deepest use measured is far below; the default of 2 MB only costs address space, but that counts in containers.
const STACK: usize = 1024 * 1024;
