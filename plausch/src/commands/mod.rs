//! The commands beside the server: which one, with the options that it would start with, in; done, with an exit code, out.

pub(crate) mod ask;
mod drain;
mod healthcheck;
pub(crate) mod limits;
mod reload;
mod shell;
mod support;
mod upgrade;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches};
use service::options::ConfigFile;
use service::{Effective, Origin, Sources, StartError};

use self::drain::{Drain, duration};
use crate::accounts::password::Source;
use crate::accounts::prosodyctl::Said;
use crate::accounts::{self, Action, User};
use crate::cli::{self, Environment};
use crate::doctor::env_file::EnvFile;
use crate::doctor::{self, Doctor, env_file, gather};
use crate::foreign::custom::Custom;
use crate::migrate::{self, Migrate, To};
use crate::options::{Role, SETTINGS, environment};
use crate::setup::{self, Setup};
use crate::support::desk::Code;
use crate::words::Language;

/// Where packages keep the configuration. Commands read it when no other is named; a start does not.
pub(crate) const CONFIG: &str = "/etc/plausch/plausch.toml";

/// The options that a start would have, from where they would come.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) role: Role,
    /// Or why a start would not come to that.
    pub(crate) effective: Result<Effective, StartError>,
    pub(crate) file: Option<PathBuf>,
    pub(crate) variables: Vec<(String, String)>,
    /// What files of a Jitsi's admin say.
    pub(crate) custom: Custom,
}

impl Given {
    /// With nothing but this file.
    pub(crate) fn of_file(role: Role, file: ConfigFile) -> Self {
        let flags = BTreeMap::new();
        let effective =
            Effective::load(SETTINGS, &Sources { defaults: None, file: Some(&file), env: &|_| None, flags });
        Self { role, effective, file: Some(file.path), variables: Vec::new(), custom: Custom::default() }
    }
}

/// A command.
#[derive(Debug)]
pub(crate) enum Command {
    Doctor(Doctor),
    Drain(Given, Drain, Language),
    Healthcheck(Given),
    Reload(Given, Language),
    Upgrade(Given, Language),
    /// What `prosodyctl shell` has to ask the server.
    Shell(Given, Vec<String>, Language),
    Setup(Setup),
    Support(Given, Code, Language),
    Migrate(Migrate),
    User(User),
    /// The doctor, as `prosodyctl check`: warnings are no failure.
    Check(Doctor),
    /// There is nothing to do but to say so.
    Said(Said, Language),
}

/// All of them for the command line.
pub(crate) fn all() -> Vec<clap::Command> {
    let with_options = |name, about| cli::options(clap::Command::new(name)).about(about);
    let switch = |name: &'static str, help| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let value =
        |name: &'static str, placeholder, help| Arg::new(name).long(name).value_name(placeholder).help(help);
    let path =
        |name, placeholder, help| value(name, placeholder, help).value_parser(clap::value_parser!(PathBuf));
    let language = || value("lang", "de|en", "Language; without it, that of LC_ALL, LC_MESSAGES, LANG.");
    vec![
        with_options("doctor", "Look at an installation, running or planned: what is wrong, and what to do. Exit code 0 (green), 1 (yellow), 2 (red)")
            .arg(value("env-file", "FILE", "An .env file to look at in place of the environment."))
            .arg(value("role", "ROLE", "Look at one role: xmpp, focus or videobridge."))
            .arg(switch("json", "Print JSON."))
            .arg(language()),
        clap::Command::new("setup")
            .about("Two questions, then a checked configuration file. Exit code 0; 1 when something is red; 2 when nothing was written")
            .arg(value("host", "NAME", "The public name, such as meet.example.org."))
            .arg(value("email", "MAIL", "For the certificate.").conflicts_with("certificate"))
            .arg(path("certificate", "FILE", "Your own certificate with its chain (PEM)."))
            .arg(path("key", "FILE", "Its key; without it, privkey.pem beside it.").requires("certificate"))
            .arg(path("out", "FILE", "Where to write [default: /etc/plausch/plausch.toml]."))
            .arg(path("state", "DIR", "Where the server keeps its state [default: /var/lib/plausch]."))
            .arg(switch("yes", "Ask nothing, and replace the file (the old one is kept)."))
            .arg(language()),
        clap::Command::new("migrate")
            .about("Read a Jitsi's configuration, say what becomes of it, and write a file. Exit code 0; 1 when something is different; 2 when nothing was written")
            .arg(Arg::new("from").value_name("PATH").required(true).value_parser(clap::value_parser!(PathBuf)).help("An .env file of docker-jitsi-meet, its folder, or /etc of Debian's packages; or a prosody.cfg.lua alone, which is printed as tables of hosts."))
            .arg(path("to", "DIR", "Folder to write to: plausch.toml, copies of what it needs, files for compose, the report [default: plausch-migrated]."))
            .arg(path("out", "FILE", "Write a configuration file alone, which leads to the old files.").conflicts_with("to"))
            .arg(language()),
        with_options("drain", "Take no new meetings; those that run end by themselves. Exit code 0 when none runs, 1 when the time is up before")
            .arg(value("wait", "TIME", "Wait so long for the last meeting to end, such as 30m."))
            .arg(switch("cancel", "Take new meetings again.").conflicts_with("wait"))
            .arg(language()),
        with_options("reload", "Read the configuration again: what can change while the server runs does, the rest is named. Exit code 0; 1 when it was refused, and nothing changed")
            .arg(language()),
        with_options("upgrade", "Have the installed program take the place of the one that runs: meetings go on in the old process until they end, everybody new is with the new one. Exit code 0; 1 when nothing came of it, and all is as it was")
            .arg(language()),
        with_options("support", "What the test-call page found at somebody who reads you its four letters. Exit code 0; 1 when there is no such code")
            .arg(Arg::new("code").value_name("CODE").required(true).help("The four letters; valid for 30 minutes."))
            .arg(language()),
        user(),
        with_options("healthcheck", "Ask the server on this machine whether it is well: exit code 0 or 1"),
    ]
}

/// `user` and what it does.
fn user() -> clap::Command {
    let verb = |name, about| {
        let language = Arg::new("lang").long("lang").value_name("de|en");
        cli::options(clap::Command::new(name))
            .about(about)
            .arg(language.help("Language; without it, that of LC_ALL, LC_MESSAGES, LANG."))
    };
    let account =
        || Arg::new("account").value_name("NAME").required(true).help("NAME on the main host, or NAME@HOST.");
    let password = || {
        Arg::new("password-file")
            .long("password-file")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("The password is its first line; - is standard input. Without it, you are asked.")
    };
    clap::Command::new("user")
        .about("Accounts of people: make, change, list. They count at the next login. Exit code 0; 1 when it was not done")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(verb("add", "Make an account").arg(account()).arg(password()))
        .subcommand(verb("passwd", "Give an account another password").arg(account()).arg(password()))
        .subcommand(verb("del", "Delete an account").arg(account()))
        .subcommand(verb("disable", "Let nobody log in with an account").arg(account()))
        .subcommand(verb("enable", "Let people log in with it again").arg(account()))
        .subcommand(
            verb("list", "List accounts")
                .arg(Arg::new("host").value_name("HOST").help("Those of this host."))
                .arg(Arg::new("containing").long("containing").value_name("TEXT").help("Those with this in their name.")),
        )
        .subcommand(verb("import", "Take over accounts from Prosody, or from `plausch migrate`").arg(
            Arg::new("folder").value_name("DIR").required(true).value_parser(clap::value_parser!(PathBuf)).help(
                "Prosody's data, such as /var/lib/prosody, or the folder `accounts` that migrate has written.",
            ),
        ))
}

/// What is to be done with which account.
fn action(verb: &str, m: &ArgMatches) -> Action {
    let name = || text(m, "account").unwrap_or_default().to_owned();
    let password = || m.get_one::<PathBuf>("password-file").cloned().map_or(Source::Asked, Source::File);
    match verb {
        "add" => Action::Add(name(), password()),
        "passwd" => Action::Password(name(), password()),
        "del" => Action::Delete(name()),
        "enable" => Action::Enable(name(), true),
        "disable" => Action::Enable(name(), false),
        "import" => Action::Import(m.get_one::<PathBuf>("folder").cloned().unwrap_or_default()),
        _ => Action::List(text(m, "host").map(str::to_owned), text(m, "containing").map(str::to_owned)),
    }
}

/// A command of this name, from its arguments.
pub(crate) fn read(
    name: &str,
    matches: &ArgMatches,
    file: Option<ConfigFile>,
    env: &Environment,
) -> Result<Command, StartError> {
    let (verb, matches) = match matches.subcommand() {
        Some((verb, inner)) => (verb, inner),
        None => ("", matches),
    };
    let given = |env: &Environment, role, beside: Option<&Path>| {
        let (effective, file, custom) =
            match cli::layers(matches, file, env, gather::usual_file(), role, beside) {
                Ok(layers) => (Ok(layers.effective), layers.file, layers.custom),
                Err(e) => (Err(e), None, Custom::default()),
            };
        let variables = env.clone().under(&custom).into_variables();
        Given { role, effective, file, variables, custom }
    };
    match name {
        "doctor" => {
            let language = language(matches, env)?;
            let (env, odd, beside) = match text(matches, "env-file").map(Path::new) {
                Some(path) => {
                    let read = env_file(path)?;
                    let beside = env_file::config_folder(path, read.value("CONFIG").unwrap_or("./config"));
                    (read.variables.into(), read.odd, Some(beside))
                }
                None => (env.clone(), env_file::Odd::default(), None),
            };
            let role = match text(matches, "role") {
                Some(name) => {
                    cli::role(name).ok_or_else(|| bad("--role", "must be xmpp, focus or videobridge"))?
                }
                None => Role::AllInOne,
            };
            let given = given(&env, role, beside.as_deref());
            Ok(Command::Doctor(Doctor { given, odd, json: matches.get_flag("json"), language }))
        }
        "migrate" => {
            let path = |name| matches.get_one::<PathBuf>(name).cloned();
            let from = path("from").unwrap_or_default();
            let to = match path("out") {
                Some(file) => To::File(file),
                None => To::Folder(path("to").unwrap_or_else(migrate::usual_folder)),
            };
            Ok(Command::Migrate(Migrate { from, to, language: language(matches, env)? }))
        }
        "setup" => {
            let path = |name| matches.get_one::<PathBuf>(name).cloned();
            Ok(Command::Setup(Setup {
                host: text(matches, "host").map(str::to_owned),
                email: text(matches, "email").map(str::to_owned),
                certificate: path("certificate"),
                key: path("key"),
                out: path("out"),
                state: path("state"),
                yes: matches.get_flag("yes"),
                language: language(matches, env)?,
            }))
        }
        "user" => Ok(Command::User(User {
            what: action(verb, matches),
            given: given(env, Role::AllInOne, None),
            language: language(matches, env)?,
        })),
        "drain" => {
            let wait =
                text(matches, "wait").map(|t| duration(t).map_err(|why| bad("--wait", why))).transpose()?;
            let asked = if matches.get_flag("cancel") { Drain::Off } else { Drain::On(wait) };
            Ok(Command::Drain(given(env, Role::AllInOne, None), asked, language(matches, env)?))
        }
        "reload" => Ok(Command::Reload(given(env, Role::AllInOne, None), language(matches, env)?)),
        "upgrade" => Ok(Command::Upgrade(given(env, Role::AllInOne, None), language(matches, env)?)),
        "support" => {
            let code = text(matches, "code").and_then(Code::parse).ok_or_else(|| {
                bad("CODE", "must be the four letters that the test-call page shows, such as BCDF")
            })?;
            Ok(Command::Support(given(env, Role::AllInOne, None), code, language(matches, env)?))
        }
        _ => Ok(Command::Healthcheck(given(env, Role::AllInOne, None))),
    }
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

fn language(matches: &ArgMatches, env: &Environment) -> Result<Language, StartError> {
    match text(matches, "lang") {
        Some("de") => Ok(Language::German),
        Some("en") => Ok(Language::English),
        Some(_) => Err(bad("--lang", "must be de or en")),
        None if environment::is_german(&|name| env.value(name)) => Ok(Language::German),
        None => Ok(Language::English),
    }
}

pub(crate) fn env_file(path: &Path) -> Result<EnvFile, StartError> {
    let unreadable = |reason: String| StartError::Unreadable { path: path.to_owned(), reason };
    let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
    if size > limits::ENV_FILE {
        return Err(unreadable(format!("larger than {} bytes", limits::ENV_FILE)));
    }
    // What is no text in it is the fault of one variable, which is named for it.
    let bytes = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    Ok(env_file::parse(&String::from_utf8_lossy(&bytes)))
}

pub(crate) fn bad(option: &str, reason: impl Into<String>) -> StartError {
    StartError::BadValue { option: option.to_owned(), origin: Origin::Flag, reason: reason.into() }
}

/// Does it.
pub(crate) fn run(command: Command) -> Result<u8, StartError> {
    match command {
        Command::Doctor(asked) => Ok(doctor::run(asked)),
        Command::Drain(given, asked, language) => drain::run(&given.effective?, &asked, language),
        Command::Healthcheck(given) => healthcheck::run(&given.effective?),
        Command::Reload(given, language) => reload::run(&given.effective?, language),
        Command::Upgrade(given, language) => upgrade::run(&given.effective?, language),
        Command::Shell(given, words, language) => shell::run(given.effective, &words, language),
        Command::Support(given, code, language) => support::run(&given.effective?, code, language),
        Command::Setup(asked) => setup::run(&asked),
        Command::Migrate(asked) => migrate::run(&asked),
        Command::User(asked) => accounts::run(asked),
        Command::Check(asked) => Ok(u8::from(doctor::run(asked) > 1)),
        Command::Said(said, language) => {
            let text = said.words.text(language);
            if !text.is_empty() {
                service::output::say(format!("{text}\n"));
            }
            Ok(said.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::Asked;

    fn asked(args: &[&str]) -> Result<Asked, StartError> {
        let args = std::iter::once("plausch").chain(args.iter().copied()).map(OsString::from);
        cli::read(args, None, &Environment::default())
    }

    #[test]
    fn commands_take_the_options_of_a_start_and_their_own() {
        let Ok(Asked::Do(Command::Drain(given, Drain::On(Some(wait)), Language::German))) =
            asked(&["drain", "--wait", "30m", "--lang", "de", "--admin", "127.0.0.1:9"])
        else {
            panic!()
        };
        assert_eq!(wait.as_secs(), 1800);
        assert_eq!(given.effective.unwrap().text("admin.listen"), "127.0.0.1:9");
        assert!(matches!(asked(&["drain", "--cancel"]), Ok(Asked::Do(Command::Drain(_, Drain::Off, _)))));
        assert!(matches!(asked(&["healthcheck"]), Ok(Asked::Do(Command::Healthcheck(_)))));
        let Ok(Asked::Do(Command::Doctor(doctor))) = asked(&["doctor", "--role", "focus", "--json"]) else {
            panic!()
        };
        assert!(doctor.json && doctor.given.role == Role::Focus);
    }

    #[test]
    fn wrong_arguments_of_commands_are_one_line() {
        for (args, word) in [
            (&["drain", "--wait", "soon"][..], "1h30m"),
            (&["drain", "--cancel", "--wait", "1m"], "--cancel"),
            (&["doctor", "--lang", "fr"], "de or en"),
            (&["doctor", "--role", "all"], "videobridge"),
            (&["doctor", "--env-file", "/nonexistent/.env"], "/nonexistent/.env"),
            (&["support", "OOOO"], "four letters"),
            (&["docter"], "doctor"),
            (&["user", "add"], "NAME"),
            (&["user", "ad", "anna"], "add"),
            (&["user"], "user"),
        ] {
            let line = asked(args).unwrap_err().to_string();
            assert!(line.contains(word) && !line.contains('\n'), "{line}");
        }
    }

    /// The pages told of commands that there were not, and pages that were new were not looked at.
    #[test]
    fn every_command_on_a_page_is_one() {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let mut folders = vec![root.join("docs"), root.join("jitsi-web-patches")];
        let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "md") {
                    pages.push(path);
                }
            }
        }
        let mut found = 0;
        for page in pages {
            let whole = std::fs::read_to_string(&page).unwrap().replace("\\\n", " ");
            // Lines of code, and code within a line that has arguments.
            let lines = whole.lines().map(str::trim).filter(|l| l.starts_with("plausch ")).map(str::to_owned);
            let inline =
                whole.split('`').skip(1).step_by(2).filter(|c| c.starts_with("plausch ")).map(str::to_owned);
            for line in lines.chain(inline) {
                let words = line.split(" #").next().unwrap().split(" && ").next().unwrap().split_whitespace();
                // What is left out there is said elsewhere on the page.
                let mut args: Vec<&str> = words.skip(1).filter(|word| *word != "…").collect();
                // The four letters that somebody reads out.
                for word in args.iter_mut().filter(|word| **word == "CODE") {
                    *word = "BCDF";
                }
                if args.len() == 1 {
                    // Spoken of, maybe, and not typed.
                    args.push("--help");
                }
                found += 1;
                match asked(&args) {
                    Ok(_) | Err(StartError::Unreadable { .. }) => {}
                    Err(e) => panic!("{}: {line}: {e}", page.display()),
                }
            }
        }
        assert!(found > 60, "{found}");
    }

    #[test]
    fn an_env_file_beyond_the_limit_is_refused() {
        let path = std::env::temp_dir().join(format!("plausch-env-{}", std::process::id()));
        let line = "A=1\n";
        for (bytes, taken) in [(limits::ENV_FILE, true), (limits::ENV_FILE + 4, false)] {
            std::fs::write(&path, line.repeat(usize::try_from(bytes).unwrap() / 4)).unwrap();
            assert_eq!(env_file(&path).is_ok(), taken);
        }
        std::fs::remove_file(&path).unwrap();
    }
}
