//! A request to read the configuration again in; what the server made of it out, with options by name.

use std::net::SocketAddr;

use serde_json::Value;
use service::listen::Address;
use service::{Effective, StartError};

use super::ask::{self, Answer};
use crate::options;
use crate::words::Language;

/// 0: done. 1: the configuration would end a start, and all is as it was.
pub(super) fn run(e: &Effective, language: Language) -> Result<u8, StartError> {
    let Address(admin) = e.parse("admin.listen")?;
    let answer = ask::post(admin, "/reload", &token(e)?).map_err(|why| failed(admin, &why))?;
    let (code, text) = said(&answer, language).ok_or_else(|| failed(admin, answer.body.trim()))?;
    service::output::say(format!("{text}\n"));
    Ok(code)
}

/// What changing requests need.
pub(super) fn token(e: &Effective) -> Result<jitsi_xmpp::Sensitive<String>, StartError> {
    options::token_of(e)?.ok_or_else(|| {
        e.bad("admin.token_file", "names no file, so that the server takes no changes over HTTP (PLAUSCH_ADMIN_TOKEN_FILE, --admin-token-file)")
    })
}

pub(super) fn failed(admin: SocketAddr, why: &str) -> StartError {
    StartError::Part {
        part: "the request",
        reason: format!("the server on {admin} by admin.listen, says: {why}"),
    }
}

/// `None`: the server has not understood the question, or refuses it.
fn said(answer: &Answer, language: Language) -> Option<(u8, String)> {
    let json = answer.json()?;
    if answer.status == 422 {
        let why = json.get("error")?.as_str()?;
        let stays = language.of("the configuration stays as it was", "die Konfiguration bleibt, wie sie war");
        return Some((1, format!("{stays}: {why}")));
    }
    let list = |key: &str| {
        let all = json.get(key)?.as_array()?;
        Some(all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
    };
    let (changed, restart) = (list("changed")?, list("needs_restart")?);
    let nothing = language.of("no option has another value", "keine Option hat einen anderen Wert");
    let mut text = match changed.as_str() {
        "" => nothing.to_owned(),
        all => format!("{}: {all}", language.of("changed", "geändert")),
    };
    if !restart.is_empty() {
        text = format!("{text}\n{}: {restart}", language.of("needs a restart", "braucht einen Neustart"));
    }
    Some((0, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_what_waits_and_what_was_refused_is_said() {
        let of = |status, body: &str| said(&Answer { status, body: body.to_owned() }, Language::English);
        let both = r#"{"changed":["rooms.lobby"],"needs_restart":["http.listen"]}"#;
        assert_eq!(of(200, both), Some((0, "changed: rooms.lobby\nneeds a restart: http.listen".into())));
        let none = r#"{"changed":[],"needs_restart":[]}"#;
        assert_eq!(of(200, none), Some((0, "no option has another value".into())));
        let (code, text) = of(422, r#"{"error":"rooms.loby is unknown"}"#).unwrap();
        assert!(code == 1 && text.ends_with("rooms.loby is unknown"));
        assert_eq!(of(403, "Nothing can be changed here\n"), None);
    }
}
