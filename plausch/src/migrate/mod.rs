//! A Jitsi's configuration in; a report of what becomes of it, and a configuration file of ours, out. Nothing of it is executed.
//!
//! A file is written only when nothing that keeps people out would be lost on the way.

mod look;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use service::options::{is_no, is_yes};
use service::{Effective, Sources, StartError};

use self::look::Seen;
use crate::doctor::checks::{Finding, Level, environment};
use crate::doctor::facts::Facts;
use crate::doctor::report;
use crate::options::{self, Role, SETTINGS, Settings};
use crate::setup::write;
use crate::words::{Language, Words, words};

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Migrate {
    pub(crate) from: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) language: Language,
}

type Found = Vec<(&'static str, Finding)>;

/// 0: all of it; 1: something is different or missing; 2: something has to be decided first, and nothing was written.
pub(crate) fn run(asked: &Migrate) -> Result<u8, StartError> {
    let seen = look::at(&asked.from)?;
    let (text, mut found) = judge(&seen);
    let worst = found.iter().map(|(_, f)| f.level).max().unwrap_or(Level::Green);
    if let Some(text) = text.filter(|_| worst < Level::Red) {
        let old = write::secret_file(&asked.out, &text).map_err(|e| StartError::Part {
            part: "the configuration file",
            reason: format!("{}: {e}", asked.out.display()),
        })?;
        let path = asked.out.display();
        found.push(("written", Finding::green(Words::same(path.to_string()))));
        if let Some(old) = old {
            let old = old.display();
            found.push((
                "written",
                Finding::green(words!("the old one is kept: {old}", "die alte ist aufgehoben: {old}")),
            ));
        }
        let next = words!(
            "plausch doctor --config {path}, then plausch --config {path}; back is the old servers' start",
            "plausch doctor --config {path}, dann plausch --config {path}; zurück geht es mit dem Start der alten Server"
        );
        found.push(("next", Finding::green(next)));
    }
    let all: Vec<_> = found.iter().map(|(name, f)| (*name, f)).collect();
    service::output::say(report::lines(&all, asked.language, std::io::stdout().is_terminal()));
    Ok(match worst {
        Level::Green => 0,
        Level::Yellow => 1,
        Level::Red => 2,
    })
}

/// The file's text, if there can be one, and all that is to be said.
fn judge(seen: &Seen) -> (Option<String>, Found) {
    let mut found = Found::new();
    let facts = Facts::of_environment(Role::AllInOne, seen.variables.clone(), seen.odd_lines.clone());
    for (name, check) in [
        ("names", environment::names as fn(&Facts) -> Vec<Finding>),
        ("restrictions", environment::restrictions),
        ("values", environment::values),
        ("ignored", environment::ignored),
        ("wiring", environment::wiring),
    ] {
        // What is well is not worth a line here.
        found.extend(check(&facts).into_iter().filter(|f| f.level > Level::Green).map(|f| (name, f)));
    }
    let values = match &seen.debian {
        Some(d) => debian(seen, d, &mut found),
        None => docker(seen, &mut found),
    };
    for path in &seen.unread {
        let path = path.display();
        found.push((
            "files",
            Finding::yellow(
                words!("{path} is not read", "{path} wird nicht gelesen"),
                words!(
                    "look whether something in it is needed; `plausch sample-config` has the options",
                    "nachsehen, ob etwas darin gebraucht wird; `plausch sample-config` zeigt die Optionen"
                ),
            ),
        ));
    }
    for (host, count) in &seen.accounts {
        found.push((
            "accounts",
            Finding::yellow(
                words!(
                    "{count} accounts of people on {host} have no place yet",
                    "{count} Konten von Leuten auf {host} haben noch keinen Platz"
                ),
                words!(
                    "keep the old data: they are not changed",
                    "die alten Daten aufheben: sie werden nicht verändert"
                ),
            ),
        ));
    }
    let env = |name: &str| seen.variables.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let loaded = Effective::load(SETTINGS, &Sources { defaults: None, file: None, env: &env, flags: values });
    let text = loaded.and_then(|e| Settings::look(&e).map(|_| e.to_toml()));
    match text {
        Ok(text) => {
            let head =
                "# Written by `plausch migrate`. Passwords stand in it: for the server's user alone.\n";
            (Some(format!("{head}{text}")), found)
        }
        Err(e) => {
            let line = options::line(&e);
            found.push((
                "options",
                Finding::red(
                    words!("a start would end with: {line}", "ein Start würde so enden: {line}"),
                    words!("correct it, and ask again", "berichtigen und noch einmal fragen"),
                ),
            ));
            (None, found)
        }
    }
}

type Values = BTreeMap<&'static str, String>;

/// What the containers' ports and volumes said.
fn docker(seen: &Seen, found: &mut Found) -> Values {
    let value = |name: &str| {
        seen.variables.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    };
    let plain = value("DISABLE_HTTPS").is_some_and(is_yes);
    let port = |name, usual: &str| format!("0.0.0.0:{}", value(name).unwrap_or(usual));
    let mut values = Values::from([
        ("http.listen", port("HTTP_PORT", "8000")),
        ("media.listen", port("JVB_PORT", "10000")),
    ]);
    if !plain {
        values.insert("https.listen", port("HTTPS_PORT", "8443"));
        // What the old servers had issued is renewed by nobody any more; one of the admin's own goes on.
        let issues = value("ENABLE_LETSENCRYPT").is_some_and(|v| !is_no(v));
        let own =
            seen.certificate.as_ref().is_some_and(|(chain, _)| !chain.to_string_lossy().contains(ISSUED));
        if own {
            // As in the old web container, it goes before one that is issued.
            values.insert("https.acme.enabled", "false".to_owned());
        }
        if own || !issues {
            certificate(seen, &mut values, found);
        }
    }
    if let Some(web) = &seen.custom {
        values.insert("http.custom", web.display().to_string());
    }
    values
}

/// Where the old web container kept what Let's Encrypt issued.
pub(super) const ISSUED: &str = "acme-certs";

fn certificate(seen: &Seen, values: &mut Values, found: &mut Found) {
    match &seen.certificate {
        Some((chain, key)) => {
            values.insert("https.certificate", chain.display().to_string());
            values.insert("https.key", key.display().to_string());
        }
        None => found.push((
            "certificate",
            Finding::yellow(
                words!(
                    "no certificate found: browsers warn of our own",
                    "kein Zertifikat gefunden: vor unserem eigenen warnen Browser"
                ),
                words!("set https.certificate and https.key", "https.certificate und https.key setzen"),
            ),
        )),
    }
}

/// Debian's names of domains, so that bridges on other machines find them.
fn debian(seen: &Seen, d: &look::Debian, found: &mut Found) -> Values {
    let host = &d.host;
    let mut values = Values::from([
        ("http.listen", "0.0.0.0:80".to_owned()),
        ("https.listen", "0.0.0.0:443".to_owned()),
        ("http.public_url", format!("https://{host}")),
        ("http.config_js", d.config_js.display().to_string()),
        ("media.listen", "0.0.0.0:10000".to_owned()),
        ("xmpp.domain", host.clone()),
        ("xmpp.muc_domain", format!("conference.{host}")),
        ("xmpp.internal_muc_domain", format!("internal.auth.{host}")),
    ]);
    certificate(seen, &mut values, found);
    for what in keeps_people_out(host, &d.prosody, &d.jicofo) {
        found.push((
            "restrictions",
            Finding::red(
                words!("{what} keeps people out, and is not there yet", "{what} hält Leute draußen und ist noch nicht da"),
                words!("stay with the old servers, or remove it there if meetings may be open", "bei den alten Servern bleiben, oder es dort entfernen, wenn Besprechungen offen sein dürfen"),
            ),
        ));
    }
    values
}

/// What of Prosody's and Jicofo's configuration lets not everybody in, or may do so. Comments do not count.
fn keeps_people_out(host: &str, prosody: &str, jicofo: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut at = "";
    let mut open = false;
    for line in prosody.lines() {
        let line = line.split("--").next().unwrap_or_default().trim();
        let quoted = |line: &str| line.split(['"', '\'']).nth(1).map(str::to_owned);
        if let Some(rest) = line.strip_prefix("VirtualHost").or_else(|| line.strip_prefix("Component")) {
            at = rest.split(['"', '\'']).nth(1).unwrap_or_default();
            if at.starts_with("guest.") {
                all.push(format!("the guests' host {at}"));
            }
        }
        if line.starts_with("authentication") && at == host {
            let kind = quoted(line).unwrap_or_default();
            open = matches!(kind.as_str(), "anonymous" | "jitsi-anonymous");
            if !open {
                all.push(format!("authentication = {kind}"));
            }
        }
        for module in MODULES {
            if line.contains(&format!("\"{module}\"")) || line.contains(&format!("'{module}'")) {
                all.push((*module).to_owned());
            }
        }
    }
    if !open && all.is_empty() {
        all.push(format!("prosody/conf.avail/{host}.cfg.lua, which does not say that {host} is open,"));
    }
    let words: String = jicofo.lines().map(|l| l.split(['#']).next().unwrap_or_default()).collect();
    let words: String = words.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
    let enabled = words.split("authentication").skip(1).any(|rest| {
        let rest = rest.split('}').next().unwrap_or_default();
        ["enabled:true", "enabled=true"].iter().any(|on| rest.contains(on))
    });
    if enabled {
        all.push("jicofo.authentication".to_owned());
    }
    all.dedup();
    all
}

/// Modules of Prosody's that let not everybody in.
const MODULES: &[&str] = &[
    "token_verification",
    "token_affiliation",
    "muc_wait_for_host",
    "muc_allowners",
    "muc_password_preset",
    "reservations",
];

/// Where it is written when nobody says.
pub(crate) fn usual_out() -> &'static Path {
    Path::new("plausch.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(env: &[(&str, &str)]) -> Seen {
        Seen {
            variables: env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            ..Seen::default()
        }
    }

    fn worst(found: &Found) -> Level {
        found.iter().map(|(_, f)| f.level).max().unwrap()
    }

    #[test]
    fn an_env_file_becomes_a_file_with_its_ports_names_and_secrets() {
        let (text, found) = judge(&seen(&[
            ("PUBLIC_URL", "https://meet.example"),
            ("HTTP_PORT", "80"),
            ("HTTPS_PORT", "443"),
            ("JVB_PORT", "10001"),
            ("JVB_AUTH_PASSWORD", "ge\"heim"),
            ("TZ", "UTC"),
        ]));
        let read: toml::Table = text.unwrap().parse().unwrap();
        assert_eq!(read["http"]["listen"].as_str(), Some("0.0.0.0:80"));
        assert_eq!(read["http"]["public_url"].as_str(), Some("https://meet.example"));
        assert_eq!(read["https"]["listen"].as_str(), Some("0.0.0.0:443"));
        assert_eq!(read["media"]["listen"].as_str(), Some("0.0.0.0:10001"));
        assert_eq!(read["bridge"]["password"].as_str(), Some("ge\"heim"));
        assert_eq!(worst(&found), Level::Yellow, "no certificate");
        let mut issued = seen(&[("PUBLIC_URL", "https://meet.example"), ("ENABLE_LETSENCRYPT", "1")]);
        issued.certificate = Some(("/c/storage/web/acme-certs/m/fullchain.pem".into(), "/c/key.pem".into()));
        let (text, found) = judge(&issued);
        let read: toml::Table = text.unwrap().parse().unwrap();
        assert!(read["https"]["acme"]["enabled"].as_bool() == Some(true) && found.is_empty(), "{found:?}");
        assert!(read["https"].get("certificate").is_none(), "nobody renews that one");
        let (text, _) = judge(&seen(&[("DISABLE_HTTPS", "1")]));
        assert!(!text.unwrap().contains("8443"));
    }

    /// Without them everybody could open a meeting.
    #[test]
    fn nothing_that_keeps_people_out_is_lost_on_the_way() {
        for env in [("ENABLE_AUTH", "1"), ("XMPP_MUC_MODULES", "x"), ("PLAUSCH_HTPP", "1")] {
            assert_eq!(worst(&judge(&seen(&[env])).1), Level::Red, "{env:?}");
        }
        let debian = |prosody: &str, jicofo: &str| {
            let mut seen = seen(&[]);
            seen.debian = Some(look::Debian {
                host: "meet.example".into(),
                config_js: "/dev/null".into(),
                prosody: prosody.into(),
                jicofo: jicofo.into(),
            });
            judge(&seen)
        };
        let open = "VirtualHost \"meet.example\"\n    authentication = \"jitsi-anonymous\" -- no token\n    modules_enabled = { \"bosh\"; -- \"token_verification\"\n}\n\
                    VirtualHost \"auth.meet.example\"\n  authentication = \"internal_hashed\"\n";
        let (text, found) = debian(open, "jicofo { # authentication { enabled = true }\n}");
        assert_eq!(worst(&found), Level::Yellow, "{found:?}");
        let read: toml::Table = text.unwrap().parse().unwrap();
        assert_eq!(read["xmpp"]["muc_domain"].as_str(), Some("conference.meet.example"));
        for (prosody, jicofo) in [
            ("VirtualHost \"meet.example\"\nauthentication = \"token\"", ""),
            ("modules_enabled = { \"muc_wait_for_host\"; }", ""),
            ("VirtualHost \"guest.meet.example\"", ""),
            ("VirtualHost \"meet.example\"\n authentication = \"internal_hashed\"", ""),
            ("VirtualHost \"meet.example\"\n", ""),
            ("", ""),
            (open, "jicofo {\n  authentication: {\n    enabled: true\n    type: XMPP\n  }\n}"),
        ] {
            assert_eq!(worst(&debian(prosody, jicofo).1), Level::Red, "{prosody}{jicofo}");
        }
    }

    #[test]
    fn what_is_not_read_and_has_no_place_is_said_and_nonsense_gives_no_file() {
        let mut there = seen(&[]);
        there.unread.push("/c/jvb/custom-jvb.conf".into());
        there.accounts.push(("meet.jitsi".into(), 3));
        let said: Vec<String> = judge(&there).1.into_iter().map(|(_, f)| f.says.de).collect();
        assert!(
            said.iter().any(|s| s.contains("custom-jvb.conf")) && said.iter().any(|s| s.contains("3 Konten")),
            "{said:?}"
        );
        let (text, found) = judge(&seen(&[("JVB_PORT", "many")]));
        assert!(text.is_none() && worst(&found) == Level::Red);
    }
}
