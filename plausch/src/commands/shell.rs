//! What `prosodyctl shell` has to ask the running server in; its answer, and upstream's exit code, out.

use serde_json::json;
use service::listen::Address;
use service::{Effective, StartError};

use super::ask;
use super::reload::{failed, token};
use crate::options;
use crate::shell::{PATH, verb};
use crate::words::Language;

/// 0: done. 1: not done, and said why, also when there is no server: upstream has no other codes.
pub(super) fn run(
    effective: Result<Effective, StartError>,
    words: &[String],
    language: Language,
) -> Result<u8, StartError> {
    let done = effective.and_then(|e| ask_server(&e, words, language));
    Ok(done.unwrap_or_else(|e| {
        service::output::complain(format!("plausch: {}", options::line(&e)));
        1
    }))
}

fn ask_server(e: &Effective, words: &[String], language: Language) -> Result<u8, StartError> {
    let refs: Vec<&str> = words.iter().map(String::as_str).collect();
    if let Err(why) = verb::read(&refs) {
        service::output::say(format!("{}\n", why.text(language)));
        return Ok(1);
    }
    let Address(admin) = e.parse("admin.listen")?;
    let answer = ask::post_json(admin, PATH, &token(e)?, &json!(words)).map_err(|why| failed(admin, &why))?;
    let said = answer.json().filter(|_| answer.status == 200);
    let said =
        said.and_then(|json| Some((json.get("done")?.as_bool()?, json.get("text")?.as_str()?.to_owned())));
    let (done, text) =
        said.ok_or_else(|| failed(admin, &format!("{} {}", answer.status, answer.body.trim())))?;
    service::output::say(format!("{text}\n"));
    Ok(u8::from(!done))
}
