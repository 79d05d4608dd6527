//! The command line in, role and settings out. Flags come from the table of options; `--help` shows them all.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use service::options::ConfigFile;
use service::{Effective, Kind, Origin, Sources, StartError};

use crate::commands;
use crate::foreign::custom::{self, Custom};
use crate::options::environment::{self, Findings};
use crate::options::{Role, SETTINGS};

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// Run, and what the environment holds that has no effect.
    Run(Role, Box<Effective>, Findings),
    /// Print this and end well: help, version, sample configuration.
    Print(String),
    /// Something beside the server.
    Do(commands::Command),
}

/// The variables of a process.
#[derive(Debug, Default, Clone)]
pub(crate) struct Environment(BTreeMap<String, String>);

impl From<Vec<(String, String)>> for Environment {
    fn from(variables: Vec<(String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl Environment {
    /// Names that are no UTF-8 are none of ours. A value that is none is not understood, which is not the same as not set.
    pub(crate) fn of(vars: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        Self(vars.filter_map(text).collect())
    }

    /// With what files say in its place.
    pub(crate) fn under(mut self, custom: &Custom) -> Self {
        for s in &custom.said {
            // The same said twice would be one too many.
            self.0.remove(&format!("{}_FILE", s.name));
            self.0.insert(s.name.to_owned(), s.value.clone());
        }
        self
    }

    pub(crate) fn value(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(crate) fn into_variables(self) -> Vec<(String, String)> {
        self.0.into_iter().collect()
    }
}

/// Reads arguments, environment, and the file that one of them names, or this one instead.
pub(crate) fn read(
    args: impl Iterator<Item = OsString>,
    file: Option<ConfigFile>,
    env: &Environment,
) -> Result<Asked, StartError> {
    let matches = match command().try_get_matches_from(args) {
        Ok(m) => m,
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::DisplayHelp
                    | ErrorKind::DisplayVersion
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            ) =>
        {
            return Ok(Asked::Print(e.to_string()));
        }
        Err(e) => return Err(one_line(&e)),
    };
    let (role, matches) = match matches.subcommand() {
        Some(("sample-config", _)) => return Ok(Asked::Print(sample())),
        Some((name, m)) => match role(name) {
            Some(role) => (role, m),
            None => return commands::read(name, m, file, env).map(Asked::Do),
        },
        None => (Role::AllInOne, &matches),
    };
    let layers = layers(matches, file, env, None, role, None)?;
    let (effective, env) = (layers.effective, env.clone().under(&layers.custom));
    let value = &|name: &str| env.value(name);
    let accepted = effective.list("start.accept");
    let german = environment::is_german(value);
    let mut findings = environment::check(role, env.names(), value, accepted, german)?;
    if let Some(refusal) = layers.custom.refusal(accepted, german) {
        return Err(refusal);
    }
    findings.custom = (layers.custom, accepted.to_vec());
    Ok(Asked::Run(role, Box::new(effective), findings))
}

/// The options of all layers.
pub(crate) struct Layers {
    pub(crate) effective: Effective,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
    /// What files of a Jitsi's admin said.
    pub(crate) custom: Custom,
}

/// Reads them. `usual`: a file to read when none is named. `beside`: the folder that compose lays into the container, when this is
/// about one that would be started.
pub(crate) fn layers(
    matches: &ArgMatches,
    file: Option<ConfigFile>,
    env: &Environment,
    usual: Option<PathBuf>,
    role: Role,
    beside: Option<&Path>,
) -> Result<Layers, StartError> {
    let flags: BTreeMap<_, _> = SETTINGS
        .iter()
        .filter(|s| !s.flag.is_empty())
        .filter_map(|s| matches.get_one::<String>(s.key).map(|v| (s.key, v.clone())))
        .collect();
    let named = matches
        .get_one::<PathBuf>("config")
        .cloned()
        .or_else(|| env.value("PLAUSCH_CONFIG").filter(|v| !v.is_empty()).map(PathBuf::from));
    // Whoever brings the file, as tests do, brings all there is.
    let all_there = file.is_some();
    let defaults = if all_there { None } else { ConfigFile::packaged()? };
    let file = match (file, named.or(usual)) {
        (None, Some(path)) => Some(ConfigFile::read(&path)?),
        (file, _) => file,
    };
    let load = |env: &Environment| {
        let whole = &|name: &str| env.value(name);
        let env = &environment::seen_by(role, whole);
        let sources = Sources { defaults: defaults.as_ref(), file: file.as_ref(), env, flags: flags.clone() };
        let mut effective = Effective::load(SETTINGS, &sources)?;
        if let Some(beside) = beside.map(Path::to_string_lossy) {
            effective.assume("start.jitsi_config", vec![beside.clone().into_owned()]);
            effective.assume("https.former", vec![format!("{beside}/web"), format!("{beside}/storage/web")]);
        }
        Ok(effective)
    };
    let mut effective = load(env)?;
    let mut custom = Custom::default();
    let folders = effective.list("start.jitsi_config");
    if !all_there && !folders.is_empty() {
        let asked = *effective.origin("start.jitsi_config") != Origin::Default;
        let main = effective.text("xmpp.domain");
        custom = custom::look(role, folders, asked, main, &|name| env.value(name))?;
        effective = load(&env.clone().under(&custom)).map_err(|e| custom.located(e))?;
        effective.locate(&|name| custom.place(name));
    }
    Ok(Layers { effective, file: file.map(|f| f.path), custom })
}

/// The role of this name.
pub(crate) fn role(name: &str) -> Option<Role> {
    match name {
        "xmpp" => Some(Role::Xmpp),
        "focus" => Some(Role::Focus),
        "videobridge" => Some(Role::Videobridge),
        _ => None,
    }
}

fn command() -> Command {
    let roles = [
        ("xmpp", "Only the XMPP server, with its WebSocket and BOSH endpoints"),
        ("focus", "Only the conference focus, with its HTTP endpoints"),
        ("videobridge", "Only the media bridge"),
    ];
    let all = options(Command::new("plausch"))
        .version(env!("CARGO_PKG_VERSION"))
        .about("The whole Jitsi backend in one program: XMPP server, focus, bridge and web front.")
        .after_help("Every option can also stand in the TOML file (see `plausch sample-config`) or in the environment.")
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
        .subcommand(Command::new("sample-config").about("Print a commented configuration file with every option"));
    let all = roles
        .into_iter()
        .fold(all, |c, (name, about)| c.subcommand(options(Command::new(name)).about(about)));
    commands::all().into_iter().fold(all, Command::subcommand)
}

/// A command with all options of a start.
pub(crate) fn options(command: Command) -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("TOML file with options. [env: PLAUSCH_CONFIG]");
    SETTINGS.iter().filter(|s| !s.flag.is_empty()).fold(command.arg(file), |c, s| {
        let env = if s.env.is_empty() { String::new() } else { format!(" [env: {}]", s.env.join(", ")) };
        let default = if s.default.is_empty() { String::new() } else { format!(" [default: {}]", s.default) };
        c.arg(
            Arg::new(s.key)
                .long(s.flag)
                .value_name(if s.kind == Kind::List { "A,B" } else { "VALUE" })
                .action(ArgAction::Set)
                .help(format!("{}{default}{env}", s.help)),
        )
    })
}

// clap explains over several lines; whoever starts a service reads one.
fn one_line(e: &clap::Error) -> StartError {
    use clap::error::ContextKind;
    let context = |kind| e.get(kind).map(|v| v.to_string().trim_matches('\'').to_owned());
    let argument = context(ContextKind::InvalidArg)
        .or_else(|| context(ContextKind::InvalidSubcommand))
        .unwrap_or_default();
    match e.kind() {
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => {
            let hint =
                context(ContextKind::SuggestedArg).or_else(|| context(ContextKind::SuggestedSubcommand));
            StartError::UnknownOption { name: argument, origin: Origin::Flag, hint }
        }
        kind => StartError::BadValue {
            option: argument,
            origin: Origin::Flag,
            reason: kind.as_str().unwrap_or("cannot be understood").to_owned(),
        },
    }
}

/// Every option, and docker-jitsi-meet's layout as the tables that would describe it.
fn sample() -> String {
    let layout = prosody_server::Config::from_raw(prosody_server::Raw::default());
    let tables = layout.map(|c| prosody_server::table::sample(&c.core.hosts)).unwrap_or_default();
    let mut out = service::options::sample(SETTINGS);
    out.push_str(
        "\n# What the options under [xmpp] and [rooms] describe, as tables. One of them replaces it all.\n\n",
    );
    out + &tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Result<Asked, StartError> {
        let args = std::iter::once("plausch").chain(args.iter().copied()).map(OsString::from);
        read(args, None, &Environment::default())
    }

    #[test]
    fn flags_reach_their_setting_in_every_role() {
        for (args, role) in [
            (&["--http", "127.0.0.1:9"][..], Role::AllInOne),
            (&["focus", "--http", "127.0.0.1:9"], Role::Focus),
            (&["videobridge", "--http=127.0.0.1:9"], Role::Videobridge),
            (&["xmpp", "--http", "127.0.0.1:9"], Role::Xmpp),
        ] {
            let Ok(Asked::Run(r, e, _)) = run(args) else { panic!("{args:?}") };
            assert_eq!(
                (r, e.text("http.listen"), e.origin("http.listen")),
                (role, "127.0.0.1:9", &Origin::Flag)
            );
        }
    }

    #[test]
    fn an_unknown_option_or_command_is_one_line_with_the_closest_name() {
        for (args, name, hint) in
            [(["--htp", "x"], "--htp", "--http"), (["videobrige", "--log"], "videobrige", "videobridge")]
        {
            let e = run(&args).unwrap_err();
            let line = e.to_string();
            assert_eq!(e.reason(), "unknown_option", "{line}");
            assert!(
                line.contains(name) && line.contains(hint) && !line.contains('\n') && e.exit_code() != 0,
                "{line}"
            );
        }
        let missing = run(&["--http"]).unwrap_err().to_string();
        assert!(missing.contains("--http") && !missing.contains('\n'), "{missing}");
    }

    #[test]
    fn help_names_every_flag_and_its_environment() {
        let Ok(Asked::Print(help)) = run(&["--help"]) else { panic!() };
        for s in SETTINGS.iter().filter(|s| !s.flag.is_empty()) {
            assert!(help.contains(&format!("--{}", s.flag)), "{}", s.flag);
        }
        assert!(help.contains("XMPP_DOMAIN"), "{help}");
        let Ok(Asked::Print(sample)) = run(&["sample-config"]) else { panic!() };
        assert!(sample.parse::<toml::Table>().is_ok());
    }
}
