//! Every variable with values that nobody means, one at a time, in; honoured, refused by its name, or named as without effect, out.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt as _;

use service::{Effective, Sources};

use super::*;
use crate::cli::Environment;
use crate::options::{Settings, line, useless};

/// What shells, files, other programs and typing errors leave behind.
fn odd() -> Vec<OsString> {
    let texts = [
        "",
        " ",
        "\t\r",
        "\"",
        "''",
        "\"1",
        "'true'",
        "${X}",
        "$(id)",
        "`id`",
        "a\nb",
        "a\u{0}b",
        "yes",
        "no",
        "off",
        "nein",
        "-1",
        "0",
        "99999999999999999999",
        "1e9",
        "0x10",
        "\u{663}",
        "ä,ö,,",
        ",",
        "<script>",
        "../../..",
        "[::]",
        "%00",
        "{}",
    ];
    let mut all: Vec<OsString> = texts.map(OsString::from).to_vec();
    all.push(OsString::from("x".repeat(100_000)));
    all.push(OsString::from("1,".repeat(50_000)));
    all.push(OsString::from_vec(vec![b'1', 0xff, 0xfe]));
    all
}

const ROLES: [Role; 4] = [Role::AllInOne, Role::Xmpp, Role::Focus, Role::Videobridge];

fn names() -> Vec<String> {
    let ours = SETTINGS.iter().flat_map(|s| s.env).copied();
    let upstream = UPSTREAM.iter().flat_map(|e| e.names.split_whitespace());
    let all = ours.chain(upstream).chain(RESTRICTIONS.iter().map(|r| r.name)).map(str::to_owned);
    let files = SETTINGS.iter().flat_map(service::options::secret::variables);
    let mut names: Vec<String> = all.chain(files).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What a start comes to, without the admin's token and without a socket.
fn start(role: Role, name: &str, value: &OsStr) -> Result<(Effective, Findings), StartError> {
    let env = Environment::of([(OsString::from(name), value.to_owned())].into_iter());
    let whole = |n: &str| env.value(n);
    let seen = seen_by(role, &whole);
    let sources = Sources { defaults: None, file: None, env: &seen, flags: BTreeMap::new() };
    let e = Effective::load(SETTINGS, &sources)?;
    let findings = check(role, env.names(), &whole, e.list("start.accept"), false)?;
    Settings::look(&e)?;
    for said in useless::lines(role, &e) {
        assert!(said.len() < LINE && !said.contains('\n'), "{name}: {said}");
    }
    Ok((e, findings))
}

/// As long as a line is still read.
const LINE: usize = 1000;

/// What is wrong with how a value is taken.
fn fault(role: Role, name: &str, value: &OsStr) -> Option<String> {
    let shown = service::options::shown(&value.to_string_lossy());
    let shown: String = shown.chars().take(20).collect();
    match start(role, name, value) {
        Err(e) => {
            let said = line(&e);
            let good = said.contains(name) && said.len() < LINE && !said.contains(|c: char| c.is_control());
            let said: String = said.chars().take(LINE).collect();
            (!good).then(|| format!("{name}={shown}: {said:?}"))
        }
        Ok((e, findings)) => {
            let origin = Origin::Env(name.to_owned());
            let honoured = SETTINGS.iter().any(|s| *e.origin(s.key) == origin);
            let named = findings.ignored.contains(&name) || findings.missing.iter().any(|m| m.name == name);
            // Another container's, one that restricts nothing with this value, or the compose file's.
            let whole = |n: &str| (n == name).then(|| "1".to_owned());
            let compose = UPSTREAM.iter().filter(|e| e.meaning == Meaning::Compose);
            let elsewhere = seen_by(role, &whole)(name).is_none()
                || RESTRICTIONS.iter().any(|r| r.name == name)
                || compose.flat_map(|e| e.names.split_whitespace()).any(|n| n == name);
            let good = value.is_empty() || honoured || named || elsewhere;
            (!good).then(|| format!("{name}={shown} is silent"))
        }
    }
}

#[test]
fn no_value_of_any_variable_is_a_panic_or_silent() {
    let names = names();
    assert!(names.len() > 503, "{}", names.len());
    let odd = odd();
    let mut faults = Vec::new();
    for (n, name) in names.iter().enumerate() {
        for (v, value) in odd.iter().enumerate() {
            faults.extend(fault(ROLES[(n + v) % ROLES.len()], name, value));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// An `.env` in which everything is odd.
#[test]
fn a_file_with_every_variable_odd_is_looked_at_to_its_end() {
    use crate::commands::env_file;
    use crate::doctor::checks::{Level, environment as checks};
    use crate::doctor::facts::Facts;

    let path = std::env::temp_dir().join(format!("plausch-odd-{}.env", std::process::id()));
    for value in odd() {
        let value = value.into_vec();
        // Beyond the file's limit all of them together would be another test's matter.
        let value = value.get(..value.len().min(500)).unwrap();
        let mut file = Vec::new();
        for name in names() {
            file.extend_from_slice(name.as_bytes());
            file.push(b'=');
            file.extend_from_slice(value);
            file.push(b'\n');
        }
        std::fs::write(&path, &file).unwrap();
        let read = env_file(&path).unwrap();
        assert!(read.variables.len() + read.odd.lines.len() >= names().len());
        let variables = read.variables;
        for role in ROLES {
            let facts = Facts::of_environment(role, variables.clone(), read.odd.clone());
            let judges =
                [checks::names, checks::restrictions, checks::values, checks::ignored, checks::wiring];
            let found: Vec<_> = judges.iter().flat_map(|judge| judge(&facts)).collect();
            assert!(found.len() >= 3, "names, restrictions and values always say something");
            let silent = variables.iter().all(|(_, v)| v.trim().is_empty());
            assert!(silent || found.iter().any(|f| f.level > Level::Green));
        }
    }
    std::fs::remove_file(path).unwrap();
}
