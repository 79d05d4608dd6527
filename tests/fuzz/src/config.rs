//! What an admin writes: any bytes as configuration file, environment and arguments in; a panic when a start would be opener
//! than what was written, or a secret shows.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use plausch::Checked;
use service::StartError;

/// Between the file, the variables and the arguments; no text has it.
const NEXT: u8 = 0xff;
/// Put into every secret; the input itself must not have it.
const SECRET: &str = "kein-wort-davon";
const SECRETS: &[(&str, &str)] = &[
    ("JICOFO_AUTH_PASSWORD", "focus.password"),
    ("JVB_AUTH_PASSWORD", "bridge.password"),
    ("TURN_CREDENTIALS", "turn.secret"),
    ("TURN_USERNAME", "turn.username"),
    ("TURN_PASSWORD", "turn.password"),
];
/// Variables that keep people out when they are on, and whose meaning is not there yet. `JICOFO_ENABLE_AUTH` follows `ENABLE_AUTH`.
const KEEPS_OUT: &[&str] = &["WAIT_FOR_HOST_DISABLE_AUTO_OWNERS"];
/// The same of those that are there, with their option.
const OWN: &[(&str, &str)] = &[
    ("PROSODY_C2S_REQUIRE_ENCRYPTION", "xmpp.require_encryption"),
    ("PROSODY_MUC_RESOURCE_VALIDATE_ANONYMOUS_STRICT", "rooms.strict_nicks"),
    ("PROSODY_RESERVATION_ENABLED", "rooms.reservations"),
    ("ENABLE_AUTH", "login.required"),
    ("DISABLE_POLLS", "rooms.disable_polls"),
    ("ENABLE_AUTO_OWNER", "focus.auto_owner"),
    ("ENABLE_P2P", "client.p2p"),
];

/// A start is refused with one line, or does what was written.
///
/// The parts of the input are a file (none when it is empty), then variables (`NAME=value`) and arguments (`--flag`).
pub fn z26_configuration(data: &[u8]) {
    let mut parts = data.split(|b| *b == NEXT).take(64);
    let Ok(file) = std::str::from_utf8(parts.next().unwrap_or_default()) else { return };
    if file.contains(SECRET) || String::from_utf8_lossy(data).contains(SECRET) {
        return;
    }
    let file: String = file
        .split_inclusive('\n')
        .map(|line| match line.strip_prefix("password = \"") {
            Some(rest) => format!("password = \"{SECRET}{rest}"),
            None => line.to_owned(),
        })
        .collect();
    let mut env: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut args: Vec<OsString> = vec!["plausch".into()];
    for part in parts {
        let mut halves = part.splitn(2, |b| *b == b'=');
        let name = halves.next().and_then(|n| std::str::from_utf8(n).ok()).unwrap_or_default();
        match halves.next() {
            // Where the configuration is is not the question, and other programs' names are theirs.
            Some(value) if !part.starts_with(b"-") && name != "PLAUSCH_CONFIG" && !name.is_empty() => {
                let mut value = value.to_vec();
                if SECRETS.iter().any(|(secret, _)| *secret == name) {
                    value.extend(SECRET.as_bytes());
                }
                env.insert(name.to_owned(), value);
            }
            _ if part.starts_with(b"--config") => {}
            _ => args.push(OsString::from_vec(part.to_vec())),
        }
    }
    let has_arguments = args.len() > 1;
    let vars = env.iter().map(|(n, v)| (OsString::from(n), OsString::from_vec(v.clone())));
    let file = Some(file.as_str()).filter(|f| !f.is_empty());
    let checked = plausch::check(args.into_iter(), file, vars);
    let effective = match checked {
        Err(e) => {
            let line = e.to_string();
            if !matches!(e, StartError::UnknownOption { .. }) {
                assert!(!line.contains(SECRET), "{line}");
            }
            assert_eq!(e.exit_code(), 78, "{line}");
            return;
        }
        Ok(Checked::Print(_)) => return,
        Ok(Checked::Start(effective)) => effective,
    };
    for (name, key) in SECRETS.iter().filter(|(name, _)| env.contains_key(*name)) {
        assert!(effective.text(key).ends_with(SECRET), "{name} is not what was written");
    }
    // A text over several lines may have one that looks like a secret.
    if !file.is_some_and(|f| f.contains("'''") || f.contains("\"\"\"")) {
        assert!(!effective.print().contains(SECRET), "{}", effective.print());
    }
    // Flags go before the environment, and roles alone need less.
    if has_arguments {
        return;
    }
    let accepted = effective.list("start.accept");
    for name in KEEPS_OUT {
        let value = env.get(*name).map(|v| String::from_utf8_lossy(v).into_owned()).unwrap_or_default();
        let no = ["", "0", "f", "F", "false", "False", "FALSE"].contains(&value.trim_matches(['"', '\'']));
        assert!(no || accepted.iter().any(|a| a == name), "{name}={value} and it starts");
    }
    for (name, key) in OWN {
        let Some(value) = env.get(*name).filter(|v| !v.is_empty()) else { continue };
        let value = std::str::from_utf8(value).unwrap_or("?").trim_matches(['"', '\'']).to_ascii_lowercase();
        match value.as_str() {
            "" | "0" | "f" | "false" => assert!(!effective.is_on(key), "{name}"),
            "1" | "t" | "true" | "y" | "yes" | "on" | "enable" | "enabled" => {
                assert!(effective.is_on(key), "{name}");
            }
            _ => panic!("{name}={value} and it starts"),
        }
    }
    if let Some(most) = env.get("MAX_PARTICIPANTS").filter(|v| !v.is_empty()) {
        let most = std::str::from_utf8(most).ok().and_then(|m| m.parse::<usize>().ok());
        assert_eq!(most, effective.text("xmpp.max_participants").parse().ok());
        assert!(most.is_some(), "no number, and it starts");
    }
}
