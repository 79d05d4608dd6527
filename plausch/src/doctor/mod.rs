//! An installation, running or planned, in; lines in green, yellow and red with what to do, and an exit code, out.
//!
//! [`gather`] looks around and judges nothing; [`checks`] judge and look at nothing but the facts.

pub(crate) mod checks;
pub(crate) mod env_file;
pub(crate) mod facts;
pub(crate) mod gather;
pub(crate) mod report;

use std::io::IsTerminal as _;

use self::report::Report;
use crate::commands::Given;
use crate::words::Language;

/// What `plausch doctor` was asked for beyond the options.
#[derive(Debug)]
pub(crate) struct Doctor {
    pub(crate) given: Given,
    pub(crate) odd: env_file::Odd,
    pub(crate) json: bool,
    pub(crate) language: Language,
}

/// Looks, prints, and says how bad it is: 0, 1 or 2.
pub(crate) fn run(asked: Doctor) -> u8 {
    let facts = gather::facts(&asked.given, asked.odd);
    let report = Report::of(&facts);
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    service::output::say(if asked.json {
        report.json(asked.language)
    } else {
        let version = env!("CARGO_PKG_VERSION");
        format!("Plausch {version} doctor\n\n{}", report.text(asked.language, colour))
    });
    report.exit_code()
}
