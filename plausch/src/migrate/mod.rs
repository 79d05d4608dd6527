//! A Jitsi's configuration in; a report of what becomes of it, and files that a server can start with, out. Nothing of it is executed.
//!
//! Files are written only when nothing that keeps people out would be lost on the way, and never where the old ones are.

mod look;
mod prosody;
mod site;
mod tables;
pub(crate) mod tree;
mod write;

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
use crate::setup::write as files;
use crate::words::{Language, Words, words};

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Migrate {
    pub(crate) from: PathBuf,
    pub(crate) to: To,
    pub(crate) language: Language,
}

/// Where it goes.
#[derive(Debug)]
pub(crate) enum To {
    /// A folder, with copies of what the server reads, and files for compose.
    Folder(PathBuf),
    /// A configuration file alone, which leads to the old files.
    File(PathBuf),
}

type Found = Vec<(&'static str, Finding)>;
type Values = BTreeMap<&'static str, String>;

/// 0: all of it; 1: something is different or missing; 2: something has to be decided first, and nothing was written.
pub(crate) fn run(asked: &Migrate) -> Result<u8, StartError> {
    if prosody::is_one(&asked.from) {
        return prosody::run(asked);
    }
    let mut seen = look::at(&asked.from)?;
    if let To::Folder(folder) = &asked.to {
        seen.data = folder.join("config").join(ACCOUNTS);
    }
    let (mut values, mut found) = judge(&seen);
    let mut text = plan(&seen, &values, &mut found);
    let worst = |found: &Found| found.iter().map(|(_, f)| f.level).max().unwrap_or(Level::Green);
    let failed = |path: &Path, e: std::io::Error| StartError::Part {
        part: "the migration",
        reason: format!("{}: {e}", path.display()),
    };
    if worst(&found) == Level::Red {
        text = None;
    }
    if let (To::Folder(path), Some(_)) = (&asked.to, &text) {
        let folder = write::folder(path).map_err(|e| failed(path, e))?;
        write::copies(&folder, &seen, &mut values).map_err(|e| failed(path, e))?;
        write::compose(&folder, &seen, &values).map_err(|e| failed(path, e))?;
        text = plan(&seen, &values, &mut found);
    }
    if let Some(text) = text {
        let path = match &asked.to {
            To::File(path) => path.clone(),
            To::Folder(path) => path.join("plausch.toml"),
        };
        let old = files::secret_file(&path, &text).map_err(|e| failed(&path, e))?;
        written(&path, old, asked, &mut found);
    }
    let all: Vec<_> = found.iter().map(|(name, f)| (*name, f)).collect();
    if let (To::Folder(folder), true) = (&asked.to, worst(&found) < Level::Red) {
        let of = |language| report::lines(&all, language, false);
        write::report(folder, &of(Language::English), &of(Language::German))
            .map_err(|e| failed(folder, e))?;
    }
    service::output::say(report::lines(&all, asked.language, std::io::stdout().is_terminal()));
    Ok(match worst(&found) {
        Level::Green => 0,
        Level::Yellow => 1,
        Level::Red => 2,
    })
}

fn written(path: &Path, old: Option<PathBuf>, asked: &Migrate, found: &mut Found) {
    let path = path.display();
    found.push(("written", Finding::green(Words::same(path.to_string()))));
    if let Some(old) = old {
        let old = old.display();
        found.push((
            "written",
            Finding::green(words!("the old one is kept: {old}", "die alte ist aufgehoben: {old}")),
        ));
    }
    if let To::Folder(folder) = &asked.to {
        let folder = folder.display();
        found.push((
            "written",
            Finding::green(words!(
                "{folder}/compose.yml and .env for containers, {folder}/config with copies, report.txt and bericht.txt",
                "{folder}/compose.yml und .env für Container, {folder}/config mit Kopien, report.txt und bericht.txt"
            )),
        ));
    }
    let next = words!(
        "plausch doctor --config {path}, then plausch --config {path}; back is the old servers' start",
        "plausch doctor --config {path}, dann plausch --config {path}; zurück geht es mit dem Start der alten Server"
    );
    found.push(("next", Finding::green(next)));
}

/// What the options become, and all that is to be said.
fn judge(seen: &Seen) -> (Values, Found) {
    let mut found = Found::new();
    let mut variables = seen.variables.clone();
    for s in &seen.custom.said {
        variables.retain(|(name, _)| name != s.name);
        variables.push((s.name.to_owned(), s.value.clone()));
    }
    let mut facts = Facts::of_environment(Role::AllInOne, variables, seen.odd.clone());
    facts.custom = seen.custom.clone();
    for (name, check) in [
        ("names", environment::names as fn(&Facts) -> Vec<Finding>),
        ("restrictions", environment::restrictions),
        ("custom", environment::custom),
        ("values", environment::values),
        ("ignored", environment::ignored),
        ("wiring", environment::wiring),
    ] {
        // What is well is not worth a line here, unless it is the admin's own.
        let heeded =
            |f: &Finding| name == "custom" && !seen.custom.said.is_empty() && f.level == Level::Green;
        found.extend(
            check(&facts).into_iter().filter(|f| f.level > Level::Green || heeded(f)).map(|f| (name, f)),
        );
    }
    found.extend(seen.found.iter().cloned());
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
    for host in &seen.accounts {
        let (name, all, plain) = (&host.name, host.accounts.len(), host.plain);
        let (keys, odd, from) = (all - plain, host.odd.len(), seen.data.display());
        found.push((
            "accounts",
            Finding::yellow(
                words!(
                    "{all} accounts of people on {name} can go on with their passwords ({keys} have SCRAM keys, {plain} the password itself, of which keys are made); {odd} more are not understood",
                    "{all} Konten von Leuten auf {name} können mit ihren Passwörtern weitergelten ({keys} haben SCRAM-Schlüssel, {plain} das Passwort selbst, aus dem Schlüssel werden); {odd} weitere sind nicht zu verstehen"
                ),
                words!(
                    "once the new server is set up: plausch user import {from}",
                    "wenn der neue Server eingerichtet ist: plausch user import {from}"
                ),
            ),
        ));
    }
    (values, found)
}

/// The configuration's text, if a start would take it.
fn plan(seen: &Seen, values: &Values, found: &mut Found) -> Option<String> {
    let all = |name: &str| {
        let custom = seen.custom.said.iter().find(|s| s.name == name).map(|s| s.value.clone());
        custom.or_else(|| seen.variables.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()))
    };
    let env = options::environment::seen_by(Role::AllInOne, &all);
    let sources = Sources { defaults: None, file: None, env: &env, flags: values.clone() };
    let loaded = Effective::load(SETTINGS, &sources).map_err(|e| seen.custom.located(e));
    match loaded.and_then(|e| Settings::look(&e).map(|_| e.to_toml())) {
        Ok(text) => {
            let head =
                "# Written by `plausch migrate`. Passwords stand in it: for the server's user alone.\n";
            Some(format!("{head}{text}"))
        }
        Err(e) => {
            found.push(no_start(&e));
            None
        }
    }
}

/// What was found cannot be started with.
fn no_start(error: &StartError) -> (&'static str, Finding) {
    let line = options::line(error);
    let finding = Finding::red(
        words!("a start would end with: {line}", "ein Start würde so enden: {line}"),
        words!("correct it there, and ask again", "dort berichtigen und noch einmal fragen"),
    );
    ("options", finding)
}

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
        } else {
            found.push((
                "certificate",
                Finding::green(words!(
                    "it is issued anew at the first start, and renewed from then on",
                    "es wird beim ersten Start neu ausgestellt und von da an erneuert"
                )),
            ));
        }
    }
    if let Some(web) = &seen.custom_web {
        values.insert("http.custom", web.display().to_string());
    }
    values
}

/// Folder for accounts, beside the other copies.
pub(super) const ACCOUNTS: &str = "accounts";

/// Where the old web container kept what Let's Encrypt issued.
pub(super) const ISSUED: &str = "acme-certs";

fn certificate(seen: &Seen, values: &mut Values, found: &mut Found) {
    match &seen.certificate {
        Some((chain, key)) => {
            values.insert("https.certificate", chain.display().to_string());
            values.insert("https.key", key.display().to_string());
            let path = chain.display();
            found.push(if chain.to_string_lossy().contains("/letsencrypt/") {
                (
                    "certificate",
                    Finding::yellow(
                        words!("{path} is used where it lies, and certbot needs a web server to renew it", "{path} wird benutzt, wo es liegt, und certbot braucht zum Erneuern einen Webserver"),
                        words!(
                            "once the old web server is off: https.acme.enabled = true in place of https.certificate and https.key",
                            "ist der alte Webserver aus: https.acme.enabled = true statt https.certificate und https.key"
                        ),
                    ),
                )
            } else {
                ("certificate", Finding::green(words!("{path} goes on", "{path} gilt weiter")))
            });
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
    // What the bridge's file says has the last word.
    for (name, key) in [("JVB_PORT", "media.port"), ("PLAUSCH_MEDIA", "media.listen")] {
        if let Some(said) = seen.custom.said.iter().find(|s| s.name == name) {
            values.insert(key, said.value.clone());
        }
    }
    if let Some(web) = d.web.as_ref().filter(|w| w.as_path() != Path::new(options::DEBIAN_WEB)) {
        values.insert("http.web", web.display().to_string());
    }
    if d.web.is_some() {
        found.push((
            "web-app",
            Finding::green(words!(
                "the web app goes on being used, with its interface_config.js, texts and pictures",
                "die Weboberfläche wird weiter benutzt, mit ihrer interface_config.js, ihren Texten und Bildern"
            )),
        ));
    }
    certificate(seen, &mut values, found);
    if !d.open {
        found.push((
            "restrictions",
            Finding::red(
                words!(
                    "prosody's {host}.cfg.lua does not say that {host} is open",
                    "{host}.cfg.lua von Prosody sagt nicht, dass {host} offen ist"
                ),
                words!(
                    "stay with the old servers, or set authentication = \"jitsi-anonymous\" there if meetings may be open",
                    "bei den alten Servern bleiben, oder dort authentication = \"jitsi-anonymous\" setzen, wenn Besprechungen offen sein dürfen"
                ),
            ),
        ));
    }
    values
}

/// Where it is written when nobody says.
pub(crate) fn usual_folder() -> PathBuf {
    "plausch-migrated".into()
}

#[cfg(test)]
mod tests;
