//! A wish for an upgrade in; its progress until the new process serves, or why nothing came of it, out.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use service::listen::Address;
use service::{Effective, StartError};

use super::ask;
use super::reload::{failed, token};
use crate::words::Language;

/// What the process that answers says of itself.
#[derive(Debug, PartialEq, Eq)]
struct State {
    process: u64,
    version: String,
    serves: bool,
    failures: u64,
    why: String,
    meetings: u64,
}

/// 0: the new process serves. 1: nothing came of it, and all is as it was.
pub(super) fn run(e: &Effective, language: Language) -> Result<u8, StartError> {
    let Address(admin) = e.parse("admin.listen")?;
    let before = state(admin)?;
    if before.meetings > 0 {
        say(language.of(
            "meetings of before the last upgrade still go on",
            "Besprechungen von vor der letzten Aktualisierung laufen noch",
        ));
    }
    let answer = ask::post(admin, "/upgrade", &token(e)?).map_err(|why| failed(admin, &why))?;
    if answer.status != 202 {
        return Err(failed(admin, answer.body.trim()));
    }
    say(language.of("a new process starts …", "ein neuer Prozess startet …"));
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        std::thread::sleep(LOOK);
        // Between the two, nobody answers for a moment.
        let Ok(now) = state(admin) else { continue };
        if let Some((code, text)) = outcome(&before, &now, language) {
            say(&text);
            return Ok(code);
        }
    }
    Err(failed(admin, "nothing for too long; its log says more"))
}

/// `None`: it is not decided yet.
fn outcome(before: &State, now: &State, language: Language) -> Option<(u8, String)> {
    let State { process, version, meetings, why, .. } = now;
    if *process == before.process {
        let all = language.of(
            "no upgrade, and all goes on as it was",
            "keine Aktualisierung, alles läuft weiter wie zuvor",
        );
        return (now.failures > before.failures).then(|| (1, format!("{all}: {why}")));
    }
    Some((0, match language {
        Language::English => format!(
            "process {process} with version {version} serves; meetings that go on in the old one until they end: {meetings}"
        ),
        Language::German => format!(
            "Prozess {process} mit Version {version} ist da; Besprechungen, die im alten bis zu ihrem Ende weiterlaufen: {meetings}"
        ),
    })).filter(|_| now.serves)
}

fn state(admin: SocketAddr) -> Result<State, StartError> {
    let answer = ask::get(admin, "/upgrade").map_err(|why| failed(admin, &why))?;
    let read = || {
        let json = answer.json()?;
        let number = |key: &str| json.get(key)?.as_u64();
        Some(State {
            process: number("process")?,
            version: json.get("version")?.as_str()?.to_owned(),
            serves: json.get("does")?.as_str()? == "serves",
            failures: number("failures")?,
            why: json.get("why")?.as_str().unwrap_or_default().to_owned(),
            meetings: json.get("before")?.get("meetings")?.as_u64()?,
        })
    };
    match answer.status {
        404 => Err(failed(
            admin,
            "this role cannot; only the all-in-one goes on with its meetings beside a new process",
        )),
        _ => read().ok_or_else(|| failed(admin, &format!("{} {}", answer.status, answer.body.trim()))),
    }
}

fn say(line: &str) {
    service::output::say(format!("{line}\n"));
}

/// Somewhat longer than the old process waits for the new one.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the server is asked.
const LOOK: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_it_is_said_once_it_is_decided() {
        let state = |process, failures| State {
            process,
            version: "1.2.3".into(),
            serves: true,
            failures,
            why: "the program that is installed does not run".into(),
            meetings: 2,
        };
        let of = |now: &State| outcome(&state(1, 4), now, Language::English);
        assert_eq!(of(&state(1, 4)), None);
        let (code, text) = of(&state(1, 5)).unwrap();
        assert!(code == 1 && text.ends_with("does not run"), "{text}");
        let (code, text) = of(&state(2, 0)).unwrap();
        assert!(code == 0 && text.contains("1.2.3") && text.ends_with(": 2"), "{text}");
        assert_eq!(of(&State { serves: false, ..state(2, 0) }), None);
    }
}
