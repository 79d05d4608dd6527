//! The list of checks: facts in; for each what was found, good or bad, and what to do about it, out. No I/O, no clock.

pub(crate) mod addresses;
mod certificate;
pub(crate) mod environment;
mod machine;
mod server;
mod tokens;
mod turn;

use super::facts::Facts;
use crate::words::Words;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Green,
    /// Works, but not for all, or not as meant.
    Yellow,
    /// Does not start, or meetings do not work.
    Red,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    pub(crate) says: Words,
    pub(crate) todo: Option<Words>,
}

/// Something that is looked at.
pub(crate) struct Check {
    /// In JSON and in the documentation.
    pub(crate) name: &'static str,
    /// What is looked at, in English and German.
    pub(crate) what: (&'static str, &'static str),
    pub(crate) judge: fn(&Facts) -> Vec<Finding>,
}

impl Finding {
    pub(crate) const fn green(says: Words) -> Self {
        Self { level: Level::Green, says, todo: None }
    }

    pub(crate) const fn yellow(says: Words, todo: Words) -> Self {
        Self { level: Level::Yellow, says, todo: Some(todo) }
    }

    pub(crate) const fn red(says: Words, todo: Words) -> Self {
        Self { level: Level::Red, says, todo: Some(todo) }
    }
}

const fn check(
    name: &'static str,
    en: &'static str,
    de: &'static str,
    judge: fn(&Facts) -> Vec<Finding>,
) -> Check {
    Check { name, what: (en, de), judge }
}

/// All checks, in the order in which they are printed: what stops a start first.
pub(crate) const CHECKS: &[Check] = &[
    check("options", "options are understood", "Optionen sind verständlich", environment::options),
    check(
        "names",
        "no unknown `PLAUSCH_…`, no odd lines",
        "kein unbekanntes `PLAUSCH_…`, keine seltsamen Zeilen",
        environment::names,
    ),
    check(
        "restrictions",
        "nothing that keeps people out is without effect",
        "nichts, was Leute draußen hält, ist wirkungslos",
        environment::restrictions,
    ),
    check(
        "custom",
        "files of Jitsi's own: what is heeded, what is not",
        "Dateien von Jitsi selbst: was gilt, was nicht",
        environment::custom,
    ),
    check(
        "values",
        "yes and no mean what was meant",
        "Ja und Nein heißen, was gemeint ist",
        environment::values,
    ),
    check(
        "ignored",
        "variables of docker-jitsi-meet that do nothing here",
        "Variablen von docker-jitsi-meet, die hier nichts bewirken",
        environment::ignored,
    ),
    check(
        "wiring",
        "variables that upstream's compose file passes to the wrong place",
        "Variablen, die die Compose-Datei von Jitsi falsch verdrahtet",
        environment::wiring,
    ),
    check("tokens", "tokens let in whom they should", "Token lassen herein, wen sie sollen", tokens::judge),
    check(
        "public-url",
        "public URL, TLS and listen addresses fit together",
        "öffentliche URL, TLS und Adressen passen zusammen",
        addresses::public_url,
    ),
    check("media", "people reach the media port", "Leute erreichen den Medien-Port", addresses::media),
    check(
        "turn",
        "people whose network blocks UDP get through",
        "Leute, deren Netz UDP sperrt, kommen durch",
        turn::judge,
    ),
    check("dns", "the public name leads here", "der öffentliche Name führt hierher", addresses::dns),
    check(
        "private",
        "what is not for the public is not open to it",
        "was nicht für alle ist, steht nicht offen",
        addresses::private,
    ),
    check(
        "ports",
        "ports are free, or held by Plausch",
        "Ports sind frei oder von Plausch belegt",
        machine::ports,
    ),
    check(
        "certificate",
        "certificate: name and days left",
        "Zertifikat: Name und Restlaufzeit",
        certificate::judge,
    ),
    check("udp-buffers", "UDP buffers of the system", "UDP-Puffer des Systems", machine::buffers),
    check("open-files", "open files", "offene Dateien", machine::open_files),
    check("clock", "the clock is kept right", "die Uhr wird gestellt", machine::clock),
    check("disk", "room in the state folder", "Platz im Datenordner", machine::disk),
    check("memory", "memory", "Arbeitsspeicher", machine::memory),
    check("container", "container and its addresses", "Container und seine Adressen", machine::container),
    check(
        "server",
        "the running server is well and up to date",
        "der laufende Server ist gesund und aktuell",
        server::judge,
    ),
];

#[cfg(test)]
pub(crate) mod tests {
    use super::super::facts::tests::healthy;
    use super::*;

    /// The worst level and all texts of a check.
    pub(crate) fn judged(judge: fn(&Facts) -> Vec<Finding>, facts: &Facts) -> (Level, String) {
        let found = judge(facts);
        let worst = found.iter().map(|f| f.level).max().unwrap_or(Level::Green);
        let all = found.iter().flat_map(|f| std::iter::once(&f.says).chain(&f.todo));
        (worst, all.map(|w| w.en.clone()).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn nothing_is_wrong_with_a_healthy_server() {
        for check in CHECKS {
            let (level, said) = judged(check.judge, &healthy());
            assert_eq!(level, Level::Green, "{}: {said}", check.name);
        }
    }

    #[test]
    fn whoever_finds_fault_says_what_to_do_in_both_languages() {
        let mut facts = healthy();
        facts.plan = Err("http.listen: nonsense".into());
        facts.buffers = Some((0, 0));
        facts.memory = Some(0);
        for finding in CHECKS.iter().flat_map(|c| (c.judge)(&facts)) {
            assert_eq!(finding.todo.is_none(), finding.level == Level::Green, "{finding:?}");
            let todo = finding.todo.iter();
            assert!(std::iter::once(&finding.says).chain(todo).all(|w| !w.en.is_empty() && !w.de.is_empty()));
        }
    }

    #[test]
    fn names_of_checks_are_different_and_on_the_admin_s_page() {
        let page = include_str!("../../../../docs/admin/doctor.md");
        let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| `")).collect();
        let table: Vec<String> =
            CHECKS.iter().map(|c| format!("| `{}` | {} | {} |", c.name, c.what.0, c.what.1)).collect();
        assert_eq!(rows, table, "write the table anew:\n{}", table.join("\n"));
    }
}
