//! A chart in; a self-contained SVG that reads well on light and dark pages out.

use std::fmt::Write as _;

use super::chart::{Chart, Line, Range, short};

/// Draws it.
pub(crate) fn draw(chart: &Chart) -> String {
    let all = || chart.lines.iter().flat_map(|l| &l.points);
    let x = Range::of(chart.x.scale, all().map(|p| p.0));
    let y = Range::of(chart.y.scale, all().map(|p| p.1));
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <rect class=\"card\" x=\".5\" y=\".5\" width=\"{w}\" height=\"{h}\" rx=\"8\"/>\n\
         <text class=\"title\" x=\"{LEFT}\" y=\"28\">{title}</text>\n",
        title = escape(&chart.title),
        w = WIDTH - 1.0,
        h = HEIGHT - 1.0,
    );
    legend(&mut out, &chart.lines);
    for tick in &y.ticks {
        let Some(at) = y.position(*tick).map(from_bottom) else { continue };
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{RIGHT}\"/><text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            short(*tick)
        );
    }
    for tick in &x.ticks {
        let Some(at) = x.position(*tick).map(from_left) else { continue };
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/><text class=\"x\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
            BOTTOM + 20.0,
            short(*tick)
        );
    }
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{LEFT} {TOP}V{BOTTOM}H{RIGHT}\"/>\
         <text class=\"x\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\
         <text class=\"x\" transform=\"translate(20 {:.1}) rotate(-90)\">{}</text>",
        f64::midpoint(LEFT, RIGHT),
        BOTTOM + 42.0,
        escape(chart.x.label),
        f64::midpoint(TOP, BOTTOM),
        escape(chart.y.label),
    );
    for line in &chart.lines {
        draw_line(&mut out, line, &x, &y);
    }
    out.push_str("</svg>\n");
    out
}

fn draw_line(out: &mut String, line: &Line, x: &Range, y: &Range) {
    let place = |(px, py): &(f64, f64)| Some((from_left(x.position(*px)?), from_bottom(y.position(*py)?)));
    let points: Vec<(f64, f64)> = line.points.iter().filter_map(place).collect();
    let class = class(line);
    let path: String = points
        .iter()
        .enumerate()
        .map(|(n, (px, py))| format!("{}{px:.1} {py:.1}", if n == 0 { "M" } else { "L" }))
        .collect();
    let _ = writeln!(out, "<path class=\"line {class}\" d=\"{path}\"/>");
    if line.colour != REFERENCE {
        for (px, py) in points {
            let _ = write!(out, "<circle class=\"{class}\" cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"3\"/>");
        }
        out.push('\n');
    }
}

fn legend(out: &mut String, lines: &[Line]) {
    let mut at = LEFT;
    for line in lines {
        let _ = writeln!(
            out,
            "<path class=\"line {}\" d=\"M{at:.1} 48h22\"/><text x=\"{:.1}\" y=\"52\">{}</text>",
            class(line),
            at + 28.0,
            escape(&line.name)
        );
        // There is no measuring of text here; this is a wide letter's width.
        at += 48.0 + 7.6 * line.name.chars().count() as f64;
    }
}

fn class(line: &Line) -> &'static str {
    ["c0", "c1", "c2", "c3"].get(line.colour).copied().unwrap_or("c3")
}

fn from_left(share: f64) -> f64 {
    LEFT + share * (RIGHT - LEFT)
}

fn from_bottom(share: f64) -> f64 {
    BOTTOM - share * (BOTTOM - TOP)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 772.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 340.0;
/// The dashed line.
const REFERENCE: usize = 3;
/// A ground of its own, so that text and ground always fit together, whatever page is around it. Colours that people with
/// colour blindness tell apart.
const STYLE: &str = "\
text{font:14px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#3b4450}\
.title{font-size:17px;font-weight:600;fill:#1c2128}\
.x{text-anchor:middle}.y{text-anchor:end}\
.card{fill:#fff;stroke:#d5dae1}.grid{stroke:#e6e9ee}.axis{stroke:#8a94a2;fill:none}\
.line{fill:none;stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}\
.c0{stroke:#0a64bc}circle.c0{fill:#0a64bc}.c1{stroke:#0d9488}circle.c1{fill:#0d9488}\
.c2{stroke:#d9660a}circle.c2{fill:#d9660a}.c3{stroke:#8a94a2;stroke-dasharray:6 6}circle.c3{fill:#8a94a2}\
@media(prefers-color-scheme:dark){text{fill:#b6bfca}.title{fill:#eef1f5}\
.card{fill:#161b22;stroke:#343b45}.grid{stroke:#272e37}.axis{stroke:#6d7785}\
.c0{stroke:#5aa9ff}circle.c0{fill:#5aa9ff}.c1{stroke:#3cc8b8}circle.c1{fill:#3cc8b8}\
.c2{stroke:#ff9d4d}circle.c2{fill:#ff9d4d}.c3{stroke:#8a94a2}circle.c3{fill:#8a94a2}}";

#[cfg(test)]
mod tests {
    use super::super::chart::{Axis, Scale};
    use super::*;

    #[test]
    fn points_lie_inside_the_axes_and_text_is_escaped() {
        let chart = Chart {
            file: "x",
            title: "cost <per> packet & more".into(),
            x: Axis { label: "packets/s", scale: Scale::Linear },
            y: Axis { label: "µs", scale: Scale::Log },
            lines: vec![
                Line::of(0, "ours", vec![(0.0, 10.0), (50.0, 0.0), (100.0, 1000.0)]),
                Line::of(3, "ceiling", vec![(0.0, 10.0), (100.0, 20.0)]),
            ],
        };
        let svg = draw(&chart);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("cost &lt;per> packet &amp; more") && svg.contains("prefers-color-scheme:dark"));
        // First point at the lower left, last at the upper right; what a logarithm can not show is left out.
        assert!(svg.contains(&format!("d=\"M{LEFT:.1} {BOTTOM:.1}L{RIGHT:.1} {TOP:.1}\"")), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 2, "a reference line has no points");
    }
}
