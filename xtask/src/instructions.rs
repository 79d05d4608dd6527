//! Instructions per packet, delivery and join: the scenarios of `tools/instructions` below valgrind in, a table and a
//! verdict against the committed baseline out.
//!
//! Time on a shared machine is noise; instructions are not. So that they are the same on every x86-64 machine, the
//! environment is empty and the crypto library uses what every CPU of the last ten years has. Valgrind itself shows
//! programs one and the same CPU. What is random (addresses, hash seeds, DTLS) moves the counts by less than 0.1 %.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::run::{cargo, step};
use crate::setup;

/// Counts and compares with the baseline; with `--renew` writes it.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let renew = match words {
        [] => false,
        ["--renew"] => true,
        _ => bail!("usage: cargo xtask instructions [--renew]"),
    };
    fits()?;
    setup::need(&[("valgrind", "valgrind")])?;
    step("build to count in", cargo(&["build", "--profile", PROFILE, "--package", "instructions"]))?;
    let now = measure()?;
    let with = versions();
    if renew {
        std::fs::write(BASELINE, written(&now, &with)).with_context(|| format!("cannot write {BASELINE}"))?;
        println!("{}\nwritten to {BASELINE}", table(&judge(&now, &now)));
        return Ok(());
    }
    let text = std::fs::read_to_string(BASELINE)
        .with_context(|| format!("no baseline at {BASELINE}; {RENEW} writes it"))?;
    let (before, made_with) = read(&text)?;
    let rows = judge(&before, &now);
    println!("{}", table(&rows));
    for (what, version) in &with {
        let old = made_with.get(what).map_or("unknown", String::as_str);
        if old != version {
            println!("note: the baseline was made with {what} {old}, this is {version}");
        }
    }
    verdict(&rows)
}

/// What a scenario costs.
#[derive(Debug, Clone, PartialEq)]
struct Figure {
    /// What one unit is.
    unit: String,
    /// Instructions per unit.
    instructions: f64,
}

type Figures = BTreeMap<String, Figure>;

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    scenario: String,
    unit: String,
    baseline: Option<f64>,
    now: Option<f64>,
}

impl Row {
    /// In percent, to the two digits that are printed: what is printed decides.
    fn change(&self) -> Option<f64> {
        let (baseline, now) = (self.baseline?, self.now?);
        // Not "-0.00".
        Some(((now / baseline - 1.0) * 10_000.0).round() / 100.0 + 0.0)
    }
}

/// The scenarios of both, side by side.
fn judge(baseline: &Figures, now: &Figures) -> Vec<Row> {
    let mut rows: Vec<Row> = now
        .iter()
        .map(|(scenario, figure)| Row {
            scenario: scenario.clone(),
            unit: figure.unit.clone(),
            // A figure per something else can not be compared.
            baseline: baseline.get(scenario).filter(|b| b.unit == figure.unit).map(|b| b.instructions),
            now: Some(figure.instructions),
        })
        .collect();
    rows.extend(baseline.iter().filter(|(scenario, _)| !now.contains_key(*scenario)).map(
        |(scenario, figure)| Row {
            scenario: scenario.clone(),
            unit: figure.unit.clone(),
            baseline: Some(figure.instructions),
            now: None,
        },
    ));
    rows
}

/// Fails when something is dearer than it was, or can not be compared.
fn verdict(rows: &[Row]) -> Result<()> {
    let pairs = pairs(rows);
    let mut bad = Vec::new();
    for row in rows {
        match (row.baseline, row.now, row.change()) {
            (Some(baseline), Some(now), Some(change)) if change > LIMIT => bad.push(format!(
                "{}: {now:.1} instructions per {}, {change:+.2} % more than {baseline:.1}",
                row.scenario, row.unit
            )),
            (Some(_), Some(_), _) => {}
            // It is compared with its counterpart.
            (None, Some(_), _) if pairs.iter().any(|(a, b, _)| [*a, *b].contains(&row.scenario.as_str())) => {
            }
            (None, ..) => bad.push(format!("{}: not in the baseline; {RENEW} takes it in", row.scenario)),
            (_, None, _) => {
                bad.push(format!("{}: only in the baseline; {RENEW} takes it out", row.scenario));
            }
        }
    }
    if let Some((alone, beside, more)) = pairs.iter().find(|(.., more)| *more > BESIDE_LIMIT) {
        bail!("{beside}: {more:+.2} % more than {alone}; at most {BESIDE_LIMIT} % are allowed");
    }
    if !bad.is_empty() {
        bail!(
            "instructions (at most {LIMIT} % more are allowed):\n  {}\nIf that is wanted and the reason is in the \
             commit, renew the baseline: {RENEW}",
            bad.join("\n  ")
        );
    }
    if rows.iter().any(|r| r.change().is_some_and(|c| c < -LIMIT)) {
        println!("better by more than {LIMIT} %: keep it, {RENEW}");
    }
    Ok(())
}

/// Scenarios that are the same but for what is at rest beside them, and how much more the second one costs, in percent.
fn pairs<'a>(rows: &'a [Row]) -> Vec<(&'a str, &'a str, f64)> {
    let now = |name: &str| rows.iter().find(|r| r.scenario == name)?.now;
    let pair = |r: &'a Row| {
        let alone = r.scenario.strip_suffix(BESIDE)?;
        Some((alone, r.scenario.as_str(), ((r.now? / now(alone)? - 1.0) * 10_000.0).round() / 100.0))
    };
    rows.iter().filter_map(pair).collect()
}

fn table(rows: &[Row]) -> String {
    let number = |n: Option<f64>| n.map_or_else(|| "–".to_owned(), |n| format!("{n:.1}"));
    let mut all = vec![["scenario", "instructions per", "baseline", "now", "change"].map(str::to_owned)];
    all.extend(rows.iter().map(|r| {
        let change = r.change().map_or_else(|| "–".to_owned(), |c| format!("{c:+.2} %"));
        [r.scenario.clone(), r.unit.clone(), number(r.baseline), number(r.now), change]
    }));
    let width = |i: usize| all.iter().map(|l| l[i].chars().count()).max().unwrap_or(0);
    let (a, b, c, d, e) = (width(0), width(1), width(2), width(3), width(4));
    let lines = all.iter().map(|l| {
        let [v, w, x, y, z] = l;
        format!("{v:a$}  {w:b$}  {x:>c$}  {y:>d$}  {z:>e$}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The baseline as it is committed.
fn written(figures: &Figures, with: &BTreeMap<String, String>) -> String {
    let scenarios: Map<String, Value> = figures
        .iter()
        .map(|(name, f)| (name.clone(), json!({ "per": f.unit, "instructions": f.instructions })))
        .collect();
    let all = json!({
        "what": "instructions per unit of the pure cores; compared and renewed by `cargo xtask instructions`",
        "made_with": with,
        "scenarios": scenarios,
    });
    format!("{all:#}\n")
}

/// The figures and versions of a baseline.
fn read(text: &str) -> Result<(Figures, BTreeMap<String, String>)> {
    let broken = || format!("{BASELINE} can not be read; {RENEW} writes a new one");
    let all: Value = serde_json::from_str(text).with_context(broken)?;
    let text_of = |v: &Value| v.as_str().map(str::to_owned);
    let mut figures = Figures::new();
    for (name, f) in all["scenarios"].as_object().with_context(broken)? {
        let unit = text_of(&f["per"]).with_context(broken)?;
        let instructions = f["instructions"].as_f64().filter(|n| *n > 0.0).with_context(broken)?;
        figures.insert(name.clone(), Figure { unit, instructions });
    }
    let with = all["made_with"].as_object().into_iter().flatten();
    Ok((figures, with.filter_map(|(k, v)| Some((k.clone(), text_of(v)?))).collect()))
}

/// Runs every scenario once.
fn measure() -> Result<Figures> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let program = target.join(PROFILE).join("instructions");
    let folder = target.join("instructions");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let list = Command::new(&program).arg("--list").output().context("cannot start the scenarios")?;
    let list = String::from_utf8(list.stdout).context("the scenarios' list")?;
    let mut figures = Figures::new();
    for scenario in list.lines() {
        eprintln!("── counting {scenario}");
        figures.insert(scenario.to_owned(), count(&program, &folder, scenario)?);
    }
    if figures.is_empty() {
        bail!("there are no scenarios");
    }
    Ok(figures)
}

fn count(program: &Path, folder: &Path, scenario: &str) -> Result<Figure> {
    let profile = folder.join(format!("{scenario}.callgrind"));
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", TIMEOUT, "valgrind"])
        .args(["--tool=callgrind", "--collect-atstart=no", COUNTED])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .args([program.as_os_str(), scenario.as_ref()])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("OPENSSL_ia32cap", CRYPTO);
    let out = command.output().context("cannot start valgrind")?;
    if !out.status.success() {
        bail!("{scenario}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    }
    let done: Value =
        serde_json::from_slice(&out.stdout).with_context(|| format!("{scenario}: no report"))?;
    let counted = std::fs::read_to_string(&profile).with_context(|| format!("{scenario}: no counts"))?;
    let instructions = total(&counted).with_context(|| format!("{scenario}: nothing was counted"))?;
    let units =
        done["units"].as_f64().filter(|n| *n > 0.0).with_context(|| format!("{scenario}: no units"))?;
    let unit = done["unit"].as_str().unwrap_or_default().to_owned();
    Ok(Figure { unit, instructions: (instructions / units * 10.0).round() / 10.0 })
}

/// The sum in a file of callgrind's.
fn total(profile: &str) -> Option<f64> {
    let line = profile.lines().rev().find_map(|l| l.strip_prefix("totals:"))?;
    line.trim().parse().ok().filter(|n| *n > 0.0)
}

/// Counts of other machines can not be compared with the baseline.
fn fits() -> Result<()> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        bail!("instructions are compared on x86-64 Linux only: the baseline holds for no other machine");
    }
    let info = std::fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
    let flags = info.lines().find(|l| l.starts_with("flags")).unwrap_or_default();
    let missing: Vec<&str> = ["aes", "pclmulqdq", "avx2", "bmi2"]
        .into_iter()
        .filter(|f| !flags.split(' ').any(|x| x == *f))
        .collect();
    if !missing.is_empty() {
        bail!("instructions can not be compared with the baseline: this CPU has no {}", missing.join(", "));
    }
    Ok(())
}

/// What the counts depend on besides our code.
fn versions() -> BTreeMap<String, String> {
    let asked = [
        ("rustc", "rustc", "--version"),
        ("valgrind", "valgrind", "--version"),
        ("libc", "ldd", "--version"),
    ];
    let answer = |program: &str, option: &str| {
        let out = Command::new(program).arg(option).output().ok()?;
        let text = String::from_utf8_lossy(&out.stdout).lines().next()?.to_owned();
        text.split([' ', '-'])
            .rfind(|w| w.starts_with(|c: char| c.is_ascii_digit()) && w.contains('.'))
            .map(str::to_owned)
    };
    asked
        .into_iter()
        .map(|(what, program, option)| {
            (what.to_owned(), answer(program, option).unwrap_or_else(|| "unknown".to_owned()))
        })
        .collect()
}

/// What the name of a scenario ends with that is another one beside a thousand meetings at rest.
const BESIDE: &str = "-beside-1000";
/// More than this, in percent, they must not add.
const BESIDE_LIMIT: f64 = 5.0;
/// More than this, in percent, is worse.
const LIMIT: f64 = 3.0;
const BASELINE: &str = "tools/instructions/baseline.json";
const RENEW: &str = "`cargo xtask instructions --renew`";
/// As shipped, with names: see `Cargo.toml`.
const PROFILE: &str = "count";
/// The function within which callgrind counts.
const COUNTED: &str = "--toggle-collect=*counted*";
/// Seconds; a scenario takes up to 30.
const TIMEOUT: &str = "600";
/// For aws-lc: neither RDRAND nor what came after AVX2 (AVX-512, SHA, VAES), whatever the CPU has.
const CRYPTO: &str = "~0x4000000000000000:~0xfffffffffc230000";

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(all: &[(&str, f64)]) -> Figures {
        let figure = |n: f64| Figure { unit: "packet".to_owned(), instructions: n };
        all.iter().map(|(name, n)| ((*name).to_owned(), figure(*n))).collect()
    }

    fn compare(baseline: &[(&str, f64)], now: &[(&str, f64)]) -> Result<()> {
        verdict(&judge(&figures(baseline), &figures(now)))
    }

    #[test]
    fn three_percent_more_is_allowed_and_beyond_fails_with_the_numbers() {
        compare(&[("a", 1000.0), ("b", 5.0)], &[("a", 1030.0), ("b", 5.0)]).unwrap();
        let e = compare(&[("a", 1000.0), ("b", 5.0)], &[("a", 1030.1), ("b", 5.0)]).unwrap_err().to_string();
        assert!(e.contains("a: 1030.1 instructions per packet, +3.01 % more than 1000.0"), "{e}");
        assert!(e.contains("--renew") && !e.contains("b:"), "{e}");
    }

    #[test]
    fn meetings_at_rest_may_add_five_percent_and_not_more() {
        // They are compared with each other, and need no baseline.
        let pair = |beside: f64| compare(&[], &[("a", 1000.0), ("a-beside-1000", beside)]);
        pair(1050.0).unwrap();
        let e = pair(1051.0).unwrap_err().to_string();
        assert!(e.contains("a-beside-1000: +5.10 % more than a"), "{e}");
        assert!(compare(&[], &[("b-beside-1000", 9.0)]).is_err(), "beside what?");
    }

    #[test]
    fn less_is_no_failure() {
        compare(&[("a", 1000.0)], &[("a", 500.0)]).unwrap();
    }

    #[test]
    fn a_scenario_that_only_one_side_knows_fails_and_says_to_renew() {
        let new = compare(&[], &[("a", 1.0)]).unwrap_err().to_string();
        assert!(new.contains("a: not in the baseline; `cargo xtask instructions --renew`"), "{new}");
        let gone = compare(&[("a", 1.0), ("b", 2.0)], &[("a", 1.0)]).unwrap_err().to_string();
        assert!(gone.contains("b: only in the baseline; `cargo xtask instructions --renew`"), "{gone}");
    }

    #[test]
    fn figures_per_something_else_are_not_compared() {
        let mut now = figures(&[("a", 1.0)]);
        now.get_mut("a").unwrap().unit = "join".to_owned();
        let e = verdict(&judge(&figures(&[("a", 1.0)]), &now)).unwrap_err().to_string();
        assert!(e.contains("a: not in the baseline"), "{e}");
    }

    #[test]
    fn the_baseline_is_read_as_it_was_written_and_a_broken_one_is_refused() {
        let with = BTreeMap::from([("rustc".to_owned(), "1.2.3".to_owned())]);
        let all = figures(&[("a", 1234.5), ("b", 2.0)]);
        assert_eq!(read(&written(&all, &with)).unwrap(), (all, with));
        for text in [
            "",
            "{}",
            r#"{"scenarios":{"a":{"per":"packet"}}}"#,
            r#"{"scenarios":{"a":{"per":"x","instructions":0}}}"#,
        ] {
            assert!(read(text).unwrap_err().to_string().contains("--renew"), "{text}");
        }
    }

    #[test]
    fn the_table_has_all_columns() {
        let rows = judge(&figures(&[("a", 1000.0)]), &figures(&[("a", 990.0), ("long-name", 3.25)]));
        let text = table(&rows);
        let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["a", "packet", "1000.0", "990.0", "-1.00", "%"]);
        assert_eq!(lines[2], ["long-name", "packet", "–", "3.2", "–"]);
    }

    #[test]
    fn the_sum_of_a_profile_is_found() {
        assert_eq!(total("events: Ir\nfn=(1) x\n1 5\n\ntotals: 1234\n"), Some(1234.0));
        assert_eq!(total("events: Ir\ntotals: 0\n"), None);
        assert_eq!(total(""), None);
    }
}
