//! Figures in; a table for a terminal, one for documentation, or one JSON object, with the same content, out.

use serde_json::{Value, json};

use super::chart::Chart;
use super::figure::Figure;
use super::machine::Machine;
use super::statistics::Ratio;

/// All figures of one bench.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) figures: Vec<Figure>,
    pub(crate) charts: Vec<Chart>,
}

/// What was run, for all sections.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) machine: Machine,
    /// As it can be typed again.
    pub(crate) command: String,
    pub(crate) rounds: u32,
    pub(crate) seconds: u64,
}

/// For people at a terminal.
pub(crate) fn text(head: &Head, sections: &[Section]) -> String {
    let mut out = format!("{}\n{}\n", head.command, head.machine.text());
    for section in sections.iter().filter(|s| !s.figures.is_empty()) {
        let rows = rows(section);
        out.push_str(&format!("\n{}\n", section.name));
        let widths: Vec<usize> = (0..rows[0].len())
            .map(|column| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0))
            .collect();
        for (number, row) in rows.iter().enumerate() {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            out.push_str(&format!("  {}\n", cells.join("   ").trim_end()));
            if number == 0 {
                let rule: usize = widths.iter().sum::<usize>() + 3 * (widths.len() - 1);
                out.push_str(&format!("  {}\n", "─".repeat(rule)));
            }
        }
    }
    out.push_str(NOTE);
    if limited(sections) {
        out.push_str(&format!("\n* {LIMITED}\n"));
    }
    out
}

/// For `docs/performance.md`.
pub(crate) fn markdown(head: &Head, section: &Section) -> String {
    let rows = rows(section);
    let line = |row: &[String]| format!("| {} |\n", row.join(" | "));
    let mut out = format!(
        "`{}`, median and spread of {} rounds of {} s, {}.\n\n",
        head.command,
        head.rounds,
        head.seconds,
        head.machine.text()
    );
    out.push_str(&line(&rows[0]));
    out.push_str(&line(&vec!["---".to_owned(); rows[0].len()]));
    rows.iter().skip(1).for_each(|row| out.push_str(&line(row)));
    if limited(std::slice::from_ref(section)) {
        out.push_str(&format!("\n\\* {LIMITED}\n"));
    }
    for chart in &section.charts {
        out.push_str(&format!("\n![{}](performance/{}.svg)\n", chart.title, chart.file));
    }
    out
}

/// For programs.
pub(crate) fn json(head: &Head, sections: &[Section]) -> Value {
    let curve = |chart: &Chart| {
        let lines: Vec<Value> =
            chart.lines.iter().map(|l| json!({ "name": l.name, "points": l.points })).collect();
        json!({
            "key": chart.file, "title": chart.title, "x": chart.x.label, "y": chart.y.label, "lines": lines,
        })
    };
    let of = |section: &Section| {
        json!({
            "figures": section.figures.iter().map(Figure::to_json).collect::<Vec<_>>(),
            "curves": section.charts.iter().map(curve).collect::<Vec<_>>(),
        })
    };
    json!({
        "command": head.command,
        "machine": head.machine.to_json(),
        "rounds": head.rounds,
        "seconds": head.seconds,
        "benches": sections.iter().map(|s| (s.name.to_owned(), of(s))).collect::<serde_json::Map<_, _>>(),
    })
}

/// Header first; columns that nothing is in are left out.
fn rows(section: &Section) -> Vec<Vec<String>> {
    let header = ["figure", "ours", "ceiling", "peer", "ours : ceiling", "ours : peer", "target", "met"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(section.figures.iter().map(row));
    let used: Vec<bool> =
        (0..header.len()).map(|c| c < 2 || rows.iter().skip(1).any(|r| !r[c].is_empty())).collect();
    rows.into_iter()
        .map(|row| row.into_iter().zip(&used).filter(|(_, used)| **used).map(|(cell, _)| cell).collect())
        .collect()
}

fn row(figure: &Figure) -> Vec<String> {
    let samples = |s: &Option<_>| s.as_ref().map_or_else(String::new, |s| figure.unit.display_samples(s));
    let ratio = |ratio: Option<Ratio>| {
        ratio.map_or_else(String::new, |r| {
            let same = (r.worst - r.best).abs() < 0.005;
            let spread = if same { String::new() } else { format!(" ({:.2}–{:.2})", r.worst, r.best) };
            format!("{:.2}{spread}", r.of_medians)
        })
    };
    let limited = if figure.generator_limited { " *" } else { "" };
    let ours = samples(&figure.ours);
    vec![
        figure.what.clone(),
        if ours.is_empty() { "not measured".into() } else { format!("{ours}{limited}") },
        samples(&figure.ceiling),
        samples(&figure.peer),
        ratio(figure.ratio_to_ceiling()),
        ratio(figure.ratio_to_peer()),
        figure.target_text(),
        figure.met().map_or("", |met| if met { "yes" } else { "no" }).to_owned(),
    ]
}

fn limited(sections: &[Section]) -> bool {
    sections.iter().flat_map(|s| &s.figures).any(|f| f.generator_limited)
}

const NOTE: &str =
    "\nMedian (smallest–largest). A ratio of more than 1 always says that ours is the better one.\n";
const LIMITED: &str =
    "In at least one round the load generator, not the server, was at its end: ours may be better than this.";

#[cfg(test)]
mod tests {
    use super::super::figure::{Target, Unit};
    use super::super::statistics::Samples;
    use super::*;

    fn head() -> Head {
        let machine = Machine::for_tests();
        Head { machine, command: "cargo xtask bench media".into(), rounds: 3, seconds: 2 }
    }

    fn section(with_peer: bool) -> Section {
        let samples = |values: &[f64]| Samples::new(values.to_vec());
        let cost =
            Figure::new("media.cost", "CPU per packet", Unit::Nanoseconds, samples(&[900.0, 1000.0, 1100.0]))
                .ceiling(samples(&[500.0, 500.0, 500.0]))
                .peer(if with_peer { samples(&[5000.0, 5000.0, 6000.0]) } else { None })
                .target(Target::OfCeiling(0.4))
                .limited(true);
        let gone = Figure::new("media.loss", "loss", Unit::Share, None);
        Section { name: "media", figures: vec![cost, gone], charts: Vec::new() }
    }

    #[test]
    fn the_table_shows_medians_spread_ratios_and_whether_the_target_is_met() {
        let text = text(&head(), &[section(true)]);
        let line = text.lines().find(|l| l.contains("CPU per packet")).unwrap();
        for part in [
            "1000 ns (900–1100) *",
            "500 ns",
            "5000 ns (5000–6000)",
            "0.50 (0.45–0.56)",
            "5.00",
            "≥ 0.4 of ceiling",
            "yes",
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(text.contains("the load generator, not the server"));
        assert!(text.contains("not measured"));
    }

    #[test]
    fn columns_of_who_was_not_there_are_left_out() {
        let table = markdown(&head(), &section(false));
        assert!(table.contains("| figure | ours | ceiling | ours : ceiling | target | met |\n|"), "{table}");
        let widths: Vec<usize> =
            table.lines().filter(|l| l.starts_with('|')).map(|l| l.matches('|').count()).collect();
        assert_eq!(widths, [7, 7, 7, 7]);
    }

    #[test]
    fn the_json_has_the_same_figures() {
        let json = json(&head(), &[section(true)]);
        let cost = &json["benches"]["media"]["figures"][0];
        assert_eq!(
            (cost["key"].as_str(), cost["ratio_to_ceiling"].as_f64()),
            (Some("media.cost"), Some(0.5))
        );
        assert_eq!((cost["ratio_to_peer"].as_f64(), cost["met"].as_bool()), (Some(5.0), Some(true)));
        assert_eq!(json["command"], "cargo xtask bench media");
        assert!(json["machine"]["cpu"].is_string());
    }
}
