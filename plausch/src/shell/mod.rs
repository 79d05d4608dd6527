//! What an admin types into `prosodyctl shell` in, as words over the admin's listener; done, with what is said of it, out.

mod limits;
pub(crate) mod verb;

use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::{Request, StatusCode};
use prosody_server::ServerHandle;
use serde_json::json;
use service::body;
use tokio::sync::watch;

use self::verb::Verb;
use crate::reload::{Reloaded, Wishes};

/// Where it is asked for.
pub(crate) const PATH: &str = "/prosodyctl/shell";

/// What does it.
#[derive(Clone)]
pub(crate) struct Shell {
    pub(crate) xmpp: ServerHandle,
    pub(crate) wishes: Wishes,
    pub(crate) end: watch::Sender<bool>,
    pub(crate) since: Instant,
}

/// For the admin's listener, which asks for the token.
pub(crate) fn router(shell: Shell) -> Router {
    Router::new().route(PATH, post(answer)).with_state(shell)
}

async fn answer(State(shell): State<Shell>, request: Request<Body>) -> Response {
    let body = match body::read(request, limits::WORDS_BYTES).await {
        Ok((_, body)) => body,
        Err(refused) => return refused.into_response(),
    };
    let Ok(words) = serde_json::from_slice::<Vec<String>>(&body) else {
        return (StatusCode::BAD_REQUEST, "A list of words is needed.\n").into_response();
    };
    drop(body);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let said = match verb::read(&words) {
        Ok(verb) => shell.carry_out(verb).await,
        Err(why) => Some((false, why.en)),
    };
    match said {
        Some((done, text)) => Json(json!({ "done": done, "text": text })).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

impl Shell {
    /// Whether it was done, and what is said. `None`: the server ends.
    async fn carry_out(&self, verb: Verb) -> Option<(bool, String)> {
        Some(match verb {
            Verb::Xmpp(asked) => {
                let said = self.xmpp.shell(asked).await?;
                (said.done, said.text.into_inner())
            }
            Verb::Version => (true, format!("OK: Plausch {}", env!("CARGO_PKG_VERSION"))),
            Verb::Uptime => (true, uptime(self.since.elapsed().as_secs())),
            Verb::Shutdown => {
                self.end.send_replace(true);
                (true, "OK: Shutdown initiated".to_owned())
            }
            Verb::Reload => match self.wishes.reload().await? {
                Ok(Reloaded { changed, needs_restart }) => {
                    let mut text = format!("OK: Config reloaded; changed: {}", listed(&changed));
                    if !needs_restart.is_empty() {
                        text = format!("{text}; needs a restart: {}", listed(&needs_restart));
                    }
                    (true, text)
                }
                Err(why) => (false, why),
            },
        })
    }
}

fn listed(all: &[&str]) -> String {
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

/// In upstream's words.
fn uptime(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let of = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!(
        "OK: This server has been running for {}, {} and {}",
        of(days, "day"),
        of(hours, "hour"),
        of(minutes, "minute")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_bytes_are_taken_and_one_more_is_not() {
        let status = async |bytes: usize| {
            let body = format!("[\"{}\"]", "x".repeat(bytes - 4));
            let request = Request::builder().body(Body::from(body)).unwrap();
            body::read(request, limits::WORDS_BYTES).await.is_ok()
        };
        assert!(status(limits::WORDS_BYTES).await);
        assert!(!status(limits::WORDS_BYTES + 1).await);
    }

    #[test]
    fn the_time_is_said_as_upstream_says_it() {
        let said = |seconds| uptime(seconds).replace("OK: This server has been running for ", "");
        assert_eq!(said(0), "0 days, 0 hours and 0 minutes");
        assert_eq!(said(90_061), "1 day, 1 hour and 1 minute");
        assert_eq!(said(2 * 86_400 + 7_300), "2 days, 2 hours and 1 minute");
    }
}
