//! What somebody types who knows `prosodyctl` in, when the program is called by that name; the command of ours that it means, or why
//! there is none, out. Exit codes are upstream's: 0 when it is done, 1 when it is not.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use jitsi_xmpp::Sensitive;
use service::StartError;

use super::Action;
use super::password::Source;
use crate::cli::{self, Asked, Environment};
use crate::commands::Command;
use crate::options::environment;
use crate::shell::verb;
use crate::words::{Language, Words, words};

/// Whether the program is called by that name.
pub(crate) fn is_name(program: Option<&OsStr>) -> bool {
    program.is_some_and(|p| Path::new(p).file_name() == Some(OsStr::new("prosodyctl")))
}

/// Done already, and what is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: u8,
    pub(crate) words: Words,
}

/// What it means here.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// A command of ours, with the password that was an argument.
    Ours(Vec<String>, Option<Sensitive<String>>),
    /// The doctor, whose warnings are no failure there.
    Check,
    /// What the running server is asked.
    Shell(Vec<String>),
    Said(Said),
}

/// Reads the arguments, the first of them the name.
pub(crate) fn read(args: impl Iterator<Item = OsString>, env: &Environment) -> Result<Asked, StartError> {
    let words: Vec<String> = args.skip(1).map(|a| a.to_string_lossy().into_owned()).collect();
    let ours = |words: &[String]| {
        let args = std::iter::once("plausch").chain(words.iter().map(String::as_str)).map(OsString::from);
        cli::read(args, None, env)
    };
    let german = environment::is_german(&|name| env.value(name));
    let language = if german { Language::German } else { Language::English };
    match meaning(&without_config(&words)) {
        Meaning::Ours(words, password) => match (ours(&words)?, password) {
            (Asked::Do(Command::User(mut user)), Some(password)) => {
                if let Action::Add(_, source) | Action::Password(_, source) = &mut user.what {
                    *source = Source::Said(password);
                }
                Ok(Asked::Do(Command::User(user)))
            }
            (asked, _) => Ok(asked),
        },
        Meaning::Check => match ours(&["doctor".to_owned()])? {
            Asked::Do(Command::Doctor(doctor)) => Ok(Asked::Do(Command::Check(doctor))),
            asked => Ok(asked),
        },
        // It has the options of a start, and so finds the server.
        Meaning::Shell(words) => match ours(&["reload".to_owned()])? {
            Asked::Do(Command::Reload(given, _)) => Ok(Asked::Do(Command::Shell(given, words, language))),
            asked => Ok(asked),
        },
        Meaning::Said(said) => Ok(Asked::Do(Command::Said(said, language))),
    }
}

/// Its configuration is a file of Prosody's, which there is not here.
fn without_config(words: &[String]) -> Vec<&str> {
    let mut left = Vec::new();
    let mut all = words.iter().map(String::as_str);
    while let Some(word) = all.next() {
        match word {
            "--config" => drop(all.next()),
            w if w.starts_with("--config=") || w == "--root" => {}
            w => left.push(w),
        }
    }
    left
}

fn meaning(words: &[&str]) -> Meaning {
    match words {
        // Calls are words from here on.
        ["shell", typed @ ..] => {
            let typed = verb::words_of(typed);
            let words: Vec<&str> = std::iter::once("shell").chain(typed.iter().map(String::as_str)).collect();
            meaning_of(&words)
        }
        words => meaning_of(words),
    }
}

fn meaning_of(words: &[&str]) -> Meaning {
    let user =
        |verb: &str, jid: String| Meaning::Ours(vec!["user".into(), verb.into(), "--".into(), jid], None);
    let with = |verb: &str, jid: String, password: &str| {
        let args = vec!["user".into(), verb.into(), "--".into(), jid];
        Meaning::Ours(args, Some(Sensitive::new(password.to_owned())))
    };
    match *words {
        ["register", node, host] => user("add", format!("{node}@{host}")),
        ["register", node, host, password] => with("add", format!("{node}@{host}"), password),
        ["unregister", node, host] => user("del", format!("{node}@{host}")),
        ["adduser", jid] | ["shell", "user", "create", jid] => user("add", jid.to_owned()),
        ["shell", "user", "create", jid, password] => with("add", jid.to_owned(), password),
        ["passwd", jid] | ["shell", "user", "password", jid] => user("passwd", jid.to_owned()),
        ["shell", "user", "password", jid, password] => with("passwd", jid.to_owned(), password),
        ["deluser", jid] | ["shell", "user", "delete", jid] => user("del", jid.to_owned()),
        ["shell", "user", verb @ ("enable" | "disable"), jid] => user(verb, jid.to_owned()),
        ["shell", "user", "list", host] => user("list", host.to_owned()),
        ["shell", "user", "list", host, part] => {
            Meaning::Ours(["user", "list", "--containing", part, "--", host].map(str::to_owned).into(), None)
        }
        // Whom the focus hears of is no matter of rosters here.
        ["shell", "roster", "subscribe_both", _, _] | ["mod_roster_command", "subscribe_both", _, _] => {
            done(Words::same(""))
        }
        ["status"] => Meaning::Ours(vec!["healthcheck".into()], None),
        ["check", ..] => Meaning::Check,
        ["about"] => done(Words::same(format!("Plausch {}", env!("CARGO_PKG_VERSION")))),
        ["reload"] => Meaning::Shell(["config", "reload"].map(str::to_owned).into()),
        // Modules have nothing that they would have to read again.
        ["shell", "module", "reload", _] => done(Words::same("")),
        [] | ["help" | "--help" | "-h", ..] => done(Words::same(HELP)),
        ["start" | "stop" | "restart"] => not_here(words!(
            "the service is started and stopped by systemctl or by docker",
            "der Dienst wird mit systemctl oder docker gestartet und beendet"
        )),
        ["register" | "unregister" | "adduser" | "passwd" | "deluser", ..]
        | ["shell", "user", "create" | "password" | "delete" | "enable" | "disable" | "list", ..] => {
            not_here(words!(
                "these arguments are not understood:\n{HELP}",
                "diese Argumente sind nicht zu verstehen:\n{HELP}"
            ))
        }
        ["shell", ref asked @ ..] if !asked.is_empty() && !matches!(asked[0], "user" | "roster") => {
            Meaning::Shell(asked.iter().map(|w| (*w).to_owned()).collect())
        }
        _ => not_here(words!(
            "this is not there here; there is\n{HELP}",
            "das gibt es hier nicht; es gibt\n{HELP}"
        )),
    }
}

fn done(words: Words) -> Meaning {
    Meaning::Said(Said { code: 0, words })
}

fn not_here(words: Words) -> Meaning {
    Meaning::Said(Said { code: 1, words })
}

const HELP: &str = "\
prosodyctl register NAME HOST [PASSWORD]
prosodyctl unregister NAME HOST
prosodyctl adduser|passwd|deluser NAME@HOST
prosodyctl shell user create|password NAME@HOST [PASSWORD]
prosodyctl shell user delete|enable|disable NAME@HOST
prosodyctl shell user list HOST [PART]
prosodyctl shell muc|c2s|host|module|server|config …
prosodyctl status|check|about|reload";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Meaning {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        meaning(&without_config(&words))
    }

    #[test]
    fn what_old_howtos_type_means_a_command_of_ours() {
        for (line, ours, password) in [
            ("register anna meet.jitsi geheim", "user add -- anna@meet.jitsi", Some("geheim")),
            (
                "--config /config/prosody.cfg.lua register anna meet.jitsi geheim",
                "user add -- anna@meet.jitsi",
                Some("geheim"),
            ),
            ("--config=x adduser anna@meet.jitsi", "user add -- anna@meet.jitsi", None),
            ("unregister anna meet.jitsi", "user del -- anna@meet.jitsi", None),
            ("passwd anna@meet.jitsi", "user passwd -- anna@meet.jitsi", None),
            ("deluser anna@meet.jitsi", "user del -- anna@meet.jitsi", None),
            ("shell user create anna@meet.jitsi geheim", "user add -- anna@meet.jitsi", Some("geheim")),
            ("shell user password anna@meet.jitsi neu", "user passwd -- anna@meet.jitsi", Some("neu")),
            ("shell user delete anna@meet.jitsi", "user del -- anna@meet.jitsi", None),
            ("shell user disable anna@meet.jitsi", "user disable -- anna@meet.jitsi", None),
            ("shell user enable anna@meet.jitsi", "user enable -- anna@meet.jitsi", None),
            ("shell user list meet.jitsi", "user list -- meet.jitsi", None),
            ("shell user list meet.jitsi an", "user list --containing an -- meet.jitsi", None),
            ("status", "healthcheck", None),
        ] {
            let ours = ours.split(' ').map(str::to_owned).collect();
            let password = password.map(|p| Sensitive::new(p.to_owned()));
            assert_eq!(of(line), Meaning::Ours(ours, password), "{line}");
        }
        assert_eq!(of("check config"), Meaning::Check);
        for (line, asked) in [
            ("reload", "config reload"),
            ("shell config:reload()", "config reload"),
            ("shell muc list muc.meet.jitsi", "muc list muc.meet.jitsi"),
            ("shell muc:list('muc.meet.jitsi')", "muc list muc.meet.jitsi"),
            ("shell c2s show", "c2s show"),
        ] {
            assert_eq!(of(line), Meaning::Shell(asked.split(' ').map(str::to_owned).collect()), "{line}");
        }
        let call = meaning(&["shell", "user:create(\"anna@meet.jitsi\", \"ge heim\")"]);
        let ours = ["user", "add", "--", "anna@meet.jitsi"].map(str::to_owned).into();
        assert_eq!(call, Meaning::Ours(ours, Some(Sensitive::new("ge heim".to_owned()))));
    }

    #[test]
    fn what_is_not_there_fails_and_what_has_no_meaning_here_does_not() {
        let code = |line: &str| match of(line) {
            Meaning::Said(said) => Some(said.code),
            _ => None,
        };
        for line in [
            "mod_roster_command subscribe_both focus.meet.jitsi focus@auth.meet.jitsi",
            "shell roster subscribe_both focus.meet.jitsi focus@auth.meet.jitsi",
            "shell module reload client_proxy",
            "about",
            "",
            "--help",
        ] {
            assert_eq!(code(line), Some(0), "{line}");
        }
        for line in [
            "register anna",
            "shell user create",
            "shell user role anna@meet.jitsi",
            "shell",
            "install mod_x",
            "stop",
        ] {
            assert_eq!(code(line), Some(1), "{line}");
        }
    }

    #[test]
    fn the_name_decides_wherever_the_program_lies() {
        for (name, is) in [
            ("prosodyctl", true),
            ("/usr/bin/prosodyctl", true),
            ("/usr/bin/plausch", false),
            ("prosodyctl2", false),
        ] {
            assert_eq!(is_name(Some(OsStr::new(name))), is, "{name}");
        }
        assert!(!is_name(None));
    }

    #[test]
    fn a_password_is_no_argument_of_the_command_that_it_becomes() {
        let env = Environment::default();
        let args = ["prosodyctl", "register", "-anna", "meet.jitsi", "--geheim"].map(OsString::from);
        let Ok(Asked::Do(Command::User(user))) = read(args.into_iter(), &env) else { panic!() };
        let said = Source::Said(Sensitive::new("--geheim".to_owned()));
        assert_eq!(user.what, Action::Add("-anna@meet.jitsi".into(), said));
        assert!(!format!("{user:?}").contains("geheim"));
    }
}
