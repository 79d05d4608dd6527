//! The bandwidth scenes of `tests/scenarios` in, played in virtual time; a table of their figures and, on demand, pictures of
//! their curves out.
//!
//! `--beside FILE` draws another run's curves as well: what `--json` printed, of an earlier commit for example. `--from FILE`
//! plays nothing and takes what was printed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bench::chart::{Axis, Chart, Line, Scale};
use crate::bench::svg;
use crate::run::cargo;

const USAGE: &str = "usage: cargo xtask bandwidth [--json | --from FILE] [--charts FOLDER [--beside FILE]]";

/// Plays the scenes.
///
/// # Errors
/// A tool fails, or the disk refuses.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let (mut json, mut from, mut charts, mut beside) = (false, None, None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--json" => json = true,
            "--from" => from = Some(PathBuf::from(words.next().context(USAGE)?)),
            "--charts" => charts = Some(PathBuf::from(words.next().context(USAGE)?)),
            "--beside" => beside = Some(PathBuf::from(words.next().context(USAGE)?)),
            _ => bail!(USAGE),
        }
    }
    let text = match &from {
        Some(file) => read(file)?,
        None => play()?,
    };
    if json {
        print!("{text}");
        return Ok(());
    }
    let ours = outcomes(&text)?;
    let theirs = match &beside {
        Some(file) => outcomes(&read(file)?)?,
        None => Vec::new(),
    };
    print!("{}", table(&ours));
    charts.map_or(Ok(()), |folder| draw(&folder, &ours, &theirs))
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn play() -> Result<String> {
    let mut tool =
        cargo(&["run", "--release", "--package", "scenarios", "--bin", "bandwidth", "--", "--json"]);
    let out = tool.stderr(std::process::Stdio::inherit()).output().context("cannot run cargo")?;
    if !out.status.success() {
        bail!("the scenes ended with {}", out.status);
    }
    String::from_utf8(out.stdout).context("the scenes printed no text")
}

fn outcomes(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).context("no outcome of a scene")).collect()
}

/// As Markdown.
fn table(outcomes: &[Value]) -> String {
    let mut out = String::from(
        "| scene | phase | speech waits p50 / p95 / p99, ms | video lost | pictures, Mbit/s | layer changes | longest standstill, s | 85 % after, s |\n|---|---|---|---|---|---|---|---|\n",
    );
    for outcome in outcomes {
        let phases = outcome.get("phases").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for phase in phases {
            let number = |key: &str| phase.get(key).and_then(Value::as_f64).unwrap_or_default();
            let text =
                |of: &Value, key: &str| of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let waits: Vec<String> = phase
                .get("speech")
                .and_then(Value::as_array)
                .map(|all| all.iter().map(|v| format!("{:.0}", v.as_f64().unwrap_or_default())).collect())
                .unwrap_or_default();
            let full = phase.get("full_after").and_then(Value::as_f64);
            out += &format!(
                "| {} | {} | {} | {:.1} % | {:.2} | {:.0} | {:.1} | {} |\n",
                text(outcome, "name"),
                text(phase, "name"),
                waits.join(" / "),
                number("loss") * 100.0,
                number("media") / 1e6,
                number("switches"),
                number("still"),
                full.map_or_else(|| "–".to_owned(), |t| format!("{t:.1}")),
            );
        }
    }
    out
}

/// The scenes that are drawn, with the names of their files.
const DRAWN: [(&str, &str, Option<&str>); 6] = [
    ("4 sources, 400 kbit/s, 64 kB", "narrow-rate", Some("narrow-queue")),
    ("10, 0.5, 10 Mbit/s, 1 source", "steps-rate", Some("steps-queue")),
    ("10, 1, 10 Mbit/s, 4 sources", "steps-4-rate", Some("steps-4-queue")),
    ("jitter 300 ms", "jitter-rate", None),
    ("loss 20 %", "loss-rate", None),
    ("3 Mbit/s, a download", "download-rate", Some("download-queue")),
];

fn draw(folder: &Path, ours: &[Value], theirs: &[Value]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, rate, queue) in DRAWN {
        let find = |all: &[Value]| all.iter().find(|o| o.get("name").is_some_and(|n| n == name)).cloned();
        let Some(now) = find(ours) else { bail!("no scene {name}") };
        let before = find(theirs);
        let line = |colour, label: &str, of: &Value, key: &str, scale: f64| {
            Line::of(colour, label, points(of, key, scale))
        };
        let mut rates = vec![
            line(3, "the link", &now, "link", 1e-6),
            line(0, "pictures", &now, "media", 1e-6),
            line(1, "estimate", &now, "estimate", 1e-6),
        ];
        let mut queues = vec![line(0, "now", &now, "queue", 1.0)];
        if let Some(before) = &before {
            rates.push(line(2, "pictures, before", before, "media", 1e-6));
            queues.push(line(2, "before", before, "queue", 1.0));
        }
        let queue = queue.map(|file| (file, "longest wait in the queue, ms", queues));
        for (file, label, lines) in [(rate, "Mbit/s", rates)].into_iter().chain(queue) {
            let axis = |label| Axis { label, scale: Scale::Linear };
            let chart = Chart { file, title: name.to_owned(), x: axis("s"), y: axis(label), lines };
            let path = folder.join(file).with_extension("svg");
            std::fs::write(&path, svg::draw(&chart)?)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// A curve, each point the mean of half a second; values below 0 are none.
fn points(of: &Value, key: &str, scale: f64) -> Vec<(f64, f64)> {
    let values: Vec<f64> = of
        .get(key)
        .and_then(Value::as_array)
        .map(|all| all.iter().map(|v| v.as_f64().unwrap_or(-1.0)).collect())
        .unwrap_or_default();
    let mean = |(n, some): (usize, &[f64])| {
        let mean = some.iter().sum::<f64>() / some.len() as f64;
        (mean >= 0.0).then_some((n as f64 / 2.0, mean * scale))
    };
    values.chunks(5).enumerate().filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"name":"jitter","phases":[{"name":"all","speech":[1,2.4,30],"loss":0.0125,"media":7100000,"switches":3,"still":0.41,"full_after":null}],"estimate":[-1,-1,-1,-1,-1,10,20,30,40,50],"queue":[1]}"#;

    #[test]
    fn a_scene_is_a_row_for_each_phase() {
        let rows = table(&outcomes(ONE).unwrap());
        let last = rows.lines().last().unwrap();
        assert_eq!(last, "| jitter | all | 1 / 2 / 30 | 1.2 % | 7.10 | 3 | 0.4 | – |");
        assert!(outcomes("no").is_err());
    }

    #[test]
    fn a_curve_is_means_of_half_seconds_and_begins_with_its_first_value() {
        assert_eq!(points(&outcomes(ONE).unwrap()[0], "estimate", 0.1), [(0.5, 3.0)]);
        assert_eq!(points(&Value::Null, "estimate", 1.0), []);
    }
}
