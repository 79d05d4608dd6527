//! What a booking system answers in; what that means for the room out (xmpp-server §4.28).

use std::time::Duration;

use jitsi_xmpp::BareJid;
use serde_json::Value;

use crate::clock;
use crate::limits::reservations as limits;
use crate::output::Answer;

/// What a client shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP's, mostly.
    pub(super) code: u16,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(code: u16, text: &str) -> Self {
        Self { code, text: text.to_owned() }
    }
}

/// What the booking system's answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Reserved {
        id: String,
        /// Since 1970.
        until: Duration,
    },
    /// There is a booking with this id, which has to be looked at.
    Known(String),
    Refused(Refusal),
}

pub(super) fn outcome(answer: &Answer, room: &BareJid, conflict: bool) -> Outcome {
    let refused = |code, text: &str| Outcome::Refused(Refusal::new(code, text));
    let (status, body) = match answer {
        Answer::Response { status, body } => (*status, body.reveal()),
        Answer::Late => return refused(500, "Reservation lookup timed out"),
        Answer::Unreachable => return refused(500, UNREACHABLE),
    };
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let member = |name: &str| json.as_ref().and_then(|j| j.get(name));
    match status {
        200 | 201 if status == 200 || !conflict => {
            booking(&member, room.node().unwrap_or_default()).unwrap_or_else(|| refused(500, INVALID))
        }
        409 if !conflict => {
            member("conflict_id").and_then(id).map_or_else(|| refused(409, INVALID), Outcome::Known)
        }
        _ => {
            let text = member("message").and_then(Value::as_str).unwrap_or("Rejected by reservation server");
            Outcome::Refused(Refusal { code: status, text: text.chars().take(limits::TEXT_CHARS).collect() })
        }
    }
}

/// A booking of this room.
fn booking<'a>(member: &dyn Fn(&str) -> Option<&'a Value>, room: &str) -> Option<Outcome> {
    let name = member("name")?.as_str()?;
    let owned = member("mail_owner").is_some_and(|m| !m.is_null());
    if name.to_lowercase() != room.to_lowercase() || !owned {
        return None;
    }
    let seconds = member("duration")?;
    let seconds = seconds.as_f64().or_else(|| seconds.as_str()?.trim().parse().ok())?;
    // What is no number, or longer than time goes, is cut where the reservation begins to count.
    let length = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(limits::LONGEST);
    let start = start_time(member("start_time")?.as_str()?)?;
    Some(Outcome::Reserved { id: id(member("id")?)?, until: start.checked_add(length)? })
}

/// A text or a number.
fn id(value: &Value) -> Option<String> {
    let id = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (1..=limits::ID_BYTES).contains(&id.len()).then_some(id)
}

/// `2026-01-02T03:04:05.000Z`, or with another zone, or with none. Fractions do not count.
fn start_time(text: &str) -> Option<Duration> {
    let (local, rest) = (text.get(..19)?, text.get(19..)?);
    let local = clock::parse_iso(&format!("{local}Z"))?;
    let zone = rest.strip_prefix('.').map_or(rest, |r| r.trim_start_matches(|c: char| c.is_ascii_digit()));
    let (east, zone) = match zone {
        "" | "Z" | "z" => return Some(local),
        _ => (zone.strip_prefix('+').is_some(), zone.strip_prefix(['+', '-'])?.replace(':', "")),
    };
    let number = |from: usize, to: usize| zone.get(from..to)?.parse::<u64>().ok();
    let minutes = if zone.len() > 2 { number(2, 4)? } else { 0 };
    let away = Duration::from_secs(number(0, 2)? * 3_600 + minutes * 60);
    if east { local.checked_sub(away) } else { local.checked_add(away) }
}

const INVALID: &str = "Invalid response from reservation server";
pub(super) const UNREACHABLE: &str = "Could not contact reservation server";

#[cfg(test)]
mod tests {
    use jitsi_xmpp::Sensitive;

    use super::*;

    fn of(status: u16, body: &str, conflict: bool) -> Outcome {
        let answer = Answer::Response { status, body: Sensitive::new(body.as_bytes().to_vec()) };
        outcome(&answer, &"[town]rat@muc.meet.jitsi".parse().unwrap(), conflict)
    }

    fn refused(code: u16, text: &str) -> Outcome {
        Outcome::Refused(Refusal::new(code, text))
    }

    #[test]
    fn a_booking_is_one_of_this_room_with_all_that_upstream_wants() {
        let body = |change: (&str, &str)| {
            let whole = r#"{"id":"a/7","name":"[TOWN]rat","mail_owner":"a@b","start_time":"2026-11-22T23:36:07.250Z","duration":600}"#;
            whole.replace(change.0, change.1)
        };
        let reserved =
            |id: &str, until: u64| Outcome::Reserved { id: id.into(), until: Duration::from_secs(until) };
        let (end, none) = (1_795_390_567 + 600, ("", ""));
        for (status, conflict) in [(200, false), (201, false), (200, true)] {
            assert_eq!(of(status, &body(none), conflict), reserved("a/7", end));
        }
        for (change, id, until) in [
            ((r#""a/7""#, "7"), "7", end),
            (("600", r#""600""#), "a/7", end),
            (("600", "0.5"), "a/7", end - 600),
            (("600", "-9"), "a/7", end - 600),
            ((".250Z", ""), "a/7", end),
            ((".250Z", "+01:30"), "a/7", end - 5_400),
            ((".250Z", ".1-0200"), "a/7", end + 7_200),
            ((".250Z", "+01"), "a/7", end - 3_600),
        ] {
            let found = of(200, &body(change), false);
            let Outcome::Reserved { id: i, until: u } = found else { panic!("{change:?}: {found:?}") };
            assert_eq!((i.as_str(), u.as_secs()), (id, until), "{change:?}");
        }
        let cut = end - 600 + limits::LONGEST.as_secs();
        assert_eq!(of(200, &body(("600", "1e300")), false), reserved("a/7", cut));
        for change in [
            ("[TOWN]rat", "rat"),
            (r#""name""#, r#""title""#),
            (r#""id""#, r#""key""#),
            (r#""a/7""#, r#""""#),
            (r#""a/7""#, "{}"),
            (r#""a@b""#, "null"),
            ("600", r#""soon""#),
            ("600", "null"),
            (".250Z", "Z+"),
            (".250Z", "+x"),
            ("2026-11-22T", "22.11.2026 "),
            ("}", ""),
        ] {
            assert_eq!(of(200, &body(change), false), refused(500, INVALID), "{change:?}");
        }
        let long = |n: usize| body(("a/7", &"x".repeat(n)));
        assert!(matches!(of(200, &long(limits::ID_BYTES), false), Outcome::Reserved { .. }));
        assert_eq!(of(200, &long(limits::ID_BYTES + 1), false), refused(500, INVALID));
    }

    #[test]
    fn whatever_else_is_said_is_a_refusal_with_upstreams_words() {
        let rejected = "Rejected by reservation server";
        assert_eq!(of(409, r#"{"conflict_id":12}"#, false), Outcome::Known("12".into()));
        for (status, body, conflict, code, text) in [
            (409, r#"{"conflict_id":12}"#, true, 409, rejected),
            (409, "{}", false, 409, INVALID),
            (409, "no json", false, 409, INVALID),
            (201, "{}", true, 201, rejected),
            (403, r#"{"message":"Not on Sundays"}"#, false, 403, "Not on Sundays"),
            (403, r#"{"message":7}"#, false, 403, rejected),
            (503, "<html>", false, 503, rejected),
            (204, "", false, 204, rejected),
        ] {
            assert_eq!(of(status, body, conflict), refused(code, text), "{status} {body}");
        }
        let (most, room) = (limits::TEXT_CHARS, "a@b".parse().unwrap());
        for n in [most, most + 1] {
            let body = format!(r#"{{"message":"{}"}}"#, "ü".repeat(n));
            assert_eq!(of(400, &body, false), refused(400, &"ü".repeat(most)));
        }
        assert_eq!(outcome(&Answer::Late, &room, false), refused(500, "Reservation lookup timed out"));
        assert_eq!(outcome(&Answer::Unreachable, &room, false), refused(500, UNREACHABLE));
    }
}
