//! Findings in; lines for people, or JSON, and the exit code, out.

use std::fmt::Write as _;

use serde_json::json;

use super::checks::{CHECKS, Check, Finding, Level};
use super::facts::Facts;
use crate::options::named;
use crate::words::Language;

/// All that was found, by check.
pub(crate) struct Report(Vec<(&'static Check, Finding)>);

impl Report {
    /// Asks all checks.
    pub(crate) fn of(facts: &Facts) -> Self {
        Self(CHECKS.iter().flat_map(|c| (c.judge)(facts).into_iter().map(move |f| (c, f))).collect())
    }

    pub(crate) fn worst(&self) -> Level {
        self.0.iter().map(|(_, f)| f.level).max().unwrap_or(Level::Green)
    }

    /// 0 for green, 1 for yellow, 2 for red.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.worst() {
            Level::Green => 0,
            Level::Yellow => 1,
            Level::Red => 2,
        }
    }

    pub(crate) fn text(&self, language: Language, colour: bool) -> String {
        let all: Vec<_> = self.0.iter().map(|(check, f)| (check.name, f)).collect();
        lines(&all, language, colour)
    }

    pub(crate) fn json(&self, language: Language) -> String {
        let findings: Vec<_> = self
            .0
            .iter()
            .map(|(check, f)| {
                json!({
                    "check": check.name,
                    "what": language.of(check.what.0, check.what.1),
                    "level": word(f.level),
                    "text": named(f.says.text(language)),
                    "todo": f.todo.as_ref().map(|t| named(t.text(language))),
                })
            })
            .collect();
        let all = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "worst": word(self.worst()),
            "findings": findings,
        });
        format!("{all:#}\n")
    }
}

/// A line for each, with what to do below it, and the sum.
pub(crate) fn lines(all: &[(&str, &Finding)], language: Language, colour: bool) -> String {
    let mut out = String::new();
    for (name, finding) in all {
        let sign = sign(finding.level, colour);
        let _ = writeln!(out, "  {sign} {name:<13} {}", named(finding.says.text(language)));
        if let Some(todo) = &finding.todo {
            let _ = writeln!(out, "    {:<13} → {}", "", named(todo.text(language)));
        }
    }
    let count = |level| all.iter().filter(|(_, f)| f.level == level).count();
    let (red, yellow) = (count(Level::Red), count(Level::Yellow));
    let end = match (red, yellow) {
        (0, 0) => language.of("all green", "alles grün").to_owned(),
        _ => format!("{red} {}, {yellow} {}", language.of("red", "rot"), language.of("yellow", "gelb")),
    };
    let _ = writeln!(out, "\n{end}");
    out
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Green => "green",
        Level::Yellow => "yellow",
        Level::Red => "red",
    }
}

/// Signs differ by shape, too: not everybody sees colours.
fn sign(level: Level, colour: bool) -> String {
    let (sign, code) = match level {
        Level::Green => ('✔', 32),
        Level::Yellow => ('!', 33),
        Level::Red => ('✘', 31),
    };
    if colour { format!("\u{1b}[{code}m{sign}\u{1b}[0m") } else { sign.to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::healthy;
    use super::*;

    #[test]
    fn the_exit_code_is_the_worst_and_every_fault_has_its_line() {
        let mut facts = healthy();
        assert_eq!(Report::of(&facts).exit_code(), 0);
        assert!(Report::of(&facts).text(Language::German, false).ends_with("alles grün\n"));
        facts.memory = Some(500_000_000);
        assert_eq!(Report::of(&facts).exit_code(), 1);
        facts.plan.as_mut().unwrap().media = "127.0.0.1:10000".parse().unwrap();
        let report = Report::of(&facts);
        assert_eq!(report.exit_code(), 2);
        let text = report.text(Language::English, false);
        assert!(
            text.contains("✘ media") && text.contains("→ set PLAUSCH_MEDIA") && text.contains("! memory"),
            "{text}"
        );
        assert!(text.ends_with("1 red, 1 yellow\n") && !text.contains('\u{1b}'), "{text}");
        assert!(report.text(Language::English, true).contains("\u{1b}[31m✘"));
        let json: serde_json::Value = serde_json::from_str(&report.json(Language::German)).unwrap();
        assert_eq!(json["worst"], "red");
        let media = json["findings"].as_array().unwrap().iter().find(|f| f["check"] == "media").unwrap();
        assert!(media["level"] == "red" && media["todo"].as_str().unwrap().contains("setzen"), "{media}");
    }
}
