//! A request to take no new meetings in; their running ones counted until there is none, or until the time is up, out.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::Sensitive;
use service::listen::Address;
use service::{Effective, StartError};

use super::ask;
use crate::options;
use crate::words::Language;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drain {
    /// Only begin, or wait so long for the last meeting to end.
    On(Option<Duration>),
    /// Take new meetings again.
    Off,
}

/// What the server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    drain: bool,
    conferences: u64,
    participants: u64,
}

/// 0: nothing runs any more, or as asked. 1: the time is up, and meetings still run.
pub(super) fn run(e: &Effective, asked: &Drain, language: Language) -> Result<u8, StartError> {
    let Address(admin) = e.parse("admin.listen")?;
    let token = options::token_of(e)?.ok_or_else(|| {
        e.bad("admin.token_file", "names no file, so that the server takes no changes (PLAUSCH_ADMIN_TOKEN_FILE, --admin-token-file)")
    })?;
    match asked {
        Drain::Off => {
            change(admin, "/drain/disable", &token)?;
            service::output::say(format!(
                "{}\n",
                language.of("new meetings are taken again", "neue Besprechungen werden wieder angenommen")
            ));
            Ok(0)
        }
        Drain::On(wait) => {
            change(admin, "/drain/enable", &token)?;
            let until = Instant::now() + wait.unwrap_or_default();
            let mut shown = Shown { terminal: std::io::stdout().is_terminal(), language, last: None };
            loop {
                let state = state(admin)?;
                let left = until.saturating_duration_since(Instant::now());
                shown.state(state, wait.is_some().then_some(left));
                if state.conferences == 0 {
                    shown.end(language.of(
                        "no meeting runs; the server can be stopped",
                        "keine Besprechung läuft; der Server kann beendet werden",
                    ));
                    return Ok(0);
                }
                if !state.drain {
                    shown.end(language.of(
                        "somebody else lets new meetings in again",
                        "jemand anderes lässt wieder neue Besprechungen zu",
                    ));
                    return Ok(1);
                }
                if left.is_zero() {
                    shown.end(match wait {
                        None => language.of(
                            "no new meetings from now on; `plausch drain --wait 30m` waits for these, `--cancel` takes it back",
                            "ab jetzt keine neuen Besprechungen; `plausch drain --wait 30m` wartet auf diese, `--cancel` nimmt es zurück",
                        ),
                        Some(_) => language.of(
                            "the time is up, and these still run; no new ones are taken until a restart or `plausch drain --cancel`",
                            "die Zeit ist um, und diese laufen noch; neue werden bis zum Neustart oder `plausch drain --cancel` nicht angenommen",
                        ),
                    });
                    return Ok(u8::from(wait.is_some()));
                }
                std::thread::sleep(LOOK.min(left));
            }
        }
    }
}

fn change(admin: SocketAddr, path: &str, token: &Sensitive<String>) -> Result<(), StartError> {
    let answer = ask::post(admin, path, token).map_err(|why| failed(admin, &why))?;
    match answer.status {
        200 => Ok(()),
        404 => Err(failed(admin, "this role has no meetings of its own: drain its focus or its bridges")),
        _ => Err(failed(admin, answer.body.trim())),
    }
}

fn state(admin: SocketAddr) -> Result<State, StartError> {
    let answer = ask::get(admin, "/drain").map_err(|why| failed(admin, &why))?;
    let read = || {
        let json = answer.json()?;
        let number = |key: &str| json.get(key)?.as_u64();
        Some(State {
            drain: json.get("drain")?.as_bool()?,
            conferences: number("conferences")?,
            participants: number("participants")?,
        })
    };
    read().ok_or_else(|| failed(admin, &format!("{} {}", answer.status, answer.body.trim())))
}

fn failed(admin: SocketAddr, why: &str) -> StartError {
    StartError::Part {
        part: "the drain",
        reason: format!("the server on {admin} by admin.listen, says: {why}"),
    }
}

/// The progress: one line that changes on a terminal, else a line for each change.
struct Shown {
    terminal: bool,
    language: Language,
    last: Option<(u64, u64)>,
}

impl Shown {
    fn state(&mut self, state: State, left: Option<Duration>) {
        let numbers = (state.conferences, state.participants);
        if !self.terminal && self.last == Some(numbers) {
            return;
        }
        self.last = Some(numbers);
        let line = line(state, left, self.language);
        // A terminal's line is written over; what is left of a longer one before it is erased.
        self.write(&if self.terminal { format!("\r{line}\u{1b}[K") } else { format!("{line}\n") });
    }

    fn end(&self, text: &str) {
        self.write(&format!("{}{text}\n", if self.terminal { "\n" } else { "" }));
    }

    /// Whoever does not read it any more does not end the drain.
    fn write(&self, text: &str) {
        let mut out = std::io::stdout();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

fn line(state: State, left: Option<Duration>, language: Language) -> String {
    let State { conferences, participants, .. } = state;
    let mut line = match language {
        Language::English => format!("{conferences} meetings with {participants} people run"),
        Language::German => format!("{conferences} Besprechungen mit {participants} Leuten laufen"),
    };
    if let Some(left) = left.filter(|_| conferences > 0) {
        let minutes = left.as_secs().div_ceil(60);
        let _ = match language {
            Language::English => write!(line, ", {minutes} min left"),
            Language::German => write!(line, ", noch {minutes} min"),
        };
    }
    line
}

/// `90s`, `30m`, `1h30m`, or seconds alone.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wanted = || "must be a time such as 90s, 30m or 1h30m".to_owned();
    let mut seconds = 0_u64;
    let mut digits = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(wanted()),
        };
        let n: u64 = std::mem::take(&mut digits).parse().map_err(|_| wanted())?;
        seconds = n.checked_mul(unit).and_then(|n| seconds.checked_add(n)).ok_or_else(wanted)?;
    }
    if !digits.is_empty() {
        let n: u64 = digits.parse().map_err(|_| wanted())?;
        seconds = seconds.checked_add(n).ok_or_else(wanted)?;
    }
    if text.is_empty() || seconds > LONGEST {
        return Err(wanted());
    }
    Ok(Duration::from_secs(seconds))
}

/// How often the server is asked for its numbers.
const LOOK: Duration = Duration::from_secs(2);
/// Seconds of a week: who waits longer has made a mistake, and clocks do not overflow.
const LONGEST: u64 = 7 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_as_people_write_them() {
        for (text, secs) in
            [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("45", 45), ("0", 0), ("168h", LONGEST)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        for bad in ["", "m", "30 m", "-1m", "1.5h", "169h", "99999999999999999999h", "30x"] {
            assert!(duration(bad).unwrap_err().contains("1h30m"), "{bad}");
        }
    }

    #[test]
    fn the_progress_says_what_runs_and_what_is_left() {
        let state = State { drain: true, conferences: 2, participants: 7 };
        assert_eq!(
            line(state, Some(Duration::from_secs(61)), Language::English),
            "2 meetings with 7 people run, 2 min left"
        );
        assert_eq!(line(state, None, Language::German), "2 Besprechungen mit 7 Leuten laufen");
    }
}
