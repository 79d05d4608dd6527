//! The four letters that somebody reads to the helpdesk in; what the test-call page found there out, in the admin's language.

use service::listen::Address;
use service::{Effective, StartError};

use super::ask;
use crate::support::PATH;
use crate::support::desk::Code;
use crate::support::report;
use crate::words::Language;

/// 0: here it is. 1: there is no such code (any more).
pub(super) fn run(e: &Effective, code: Code, language: Language) -> Result<u8, StartError> {
    let Address(admin) = e.parse("admin.listen")?;
    let failed = |why: &str| StartError::Part {
        part: "the support code",
        reason: format!("the server on {admin} (admin.listen / PLAUSCH_ADMIN / --admin) says: {why}"),
    };
    let answer = ask::get(admin, &format!("{PATH}/{code}")).map_err(|why| failed(&why))?;
    match answer.status {
        200 => {
            let text = answer.json().and_then(|json| report::lines(&json, language));
            service::output::say(text.ok_or_else(|| failed("something that is no report"))?);
            Ok(0)
        }
        404 => {
            service::output::say(format!(
                "{code}: {}\n",
                language.of(
                    "not known here. Codes are valid for 30 minutes and gone after a restart; the person can test again",
                    "hier nicht bekannt. Codes gelten 30 Minuten und sind nach einem Neustart weg; die Person kann noch einmal testen",
                )
            ));
            Ok(1)
        }
        status => Err(failed(&format!("{status} {}", answer.body.trim()))),
    }
}
