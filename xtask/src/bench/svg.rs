//! A chart in; a self-contained SVG with a ground of its own, so that it reads well on light and dark pages, out.

use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;

use super::chart::{Chart, Line, Range as Axis, short};

/// Draws it.
///
/// # Errors
/// The drawing library's; none of them depends on the values.
pub(crate) fn draw(chart: &Chart) -> Result<String> {
    let mut out = String::new();
    let root = SVGBackend::with_string(&mut out, SIZE).into_drawing_area();
    paint(chart, &root)
        .and_then(|()| root.present())
        .map_err(|e| anyhow!("cannot draw {}: {e}", chart.file))?;
    drop(root);
    Ok(format!("{}\n", out.trim()))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Failure<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn paint<'a>(chart: &Chart, root: &Area<'a>) -> Result<(), Failure<'a>> {
    root.fill(&WHITE)?;
    let all = || chart.lines.iter().flat_map(|l| &l.points);
    let x = Axis::of(chart.x.scale, all().map(|p| p.0));
    let y = Axis::of(chart.y.scale, all().map(|p| p.1));
    let shown = |(px, py): &(f64, f64)| x.position(*px).is_some() && y.position(*py).is_some();
    let mut drawing = ChartBuilder::on(root)
        .caption(&chart.title, ("sans-serif", 18))
        .margin(14)
        .x_label_area_size(48)
        .y_label_area_size(72)
        .build_cartesian_2d(x.clone(), y.clone())?;
    drawing
        .configure_mesh()
        .x_desc(chart.x.label)
        .y_desc(chart.y.label)
        .label_style(("sans-serif", 14))
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(AXIS)
        .draw()?;
    for line in &chart.lines {
        let style = colour(line).stroke_width(2);
        let points: Vec<(f64, f64)> = line.points.iter().copied().filter(shown).collect();
        let series = if line.colour == REFERENCE {
            drawing.draw_series(DashedLineSeries::new(points, 6, 6, style))?
        } else {
            let dots = points.clone().into_iter().map(move |p| Circle::new(p, 3, style.filled()));
            drawing.draw_series(dots)?;
            drawing.draw_series(LineSeries::new(points, style))?
        };
        series.label(line.name.as_str()).legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
    }
    drawing
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font(("sans-serif", 14))
        .background_style(WHITE.mix(0.8))
        .border_style(GRID)
        .draw()
}

/// Our ticks: few, round, and numbers that are short.
impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = self.position(*value).unwrap_or_default();
        from + (f64::from(to - from) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        let ends = (self.ticks.first(), self.ticks.last());
        ends.0.copied().unwrap_or_default()..ends.1.copied().unwrap_or(1.0)
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        short(*value)
    }
}

/// Colours that people with colour blindness tell apart.
fn colour(line: &Line) -> RGBColor {
    [RGBColor(10, 100, 188), RGBColor(13, 148, 136), RGBColor(217, 102, 10)]
        .get(line.colour)
        .copied()
        .unwrap_or(AXIS)
}

const SIZE: (u32, u32) = (800, 400);
const GRID: RGBColor = RGBColor(230, 233, 238);
const AXIS: RGBColor = RGBColor(138, 148, 162);
/// The dashed line.
const REFERENCE: usize = 3;

#[cfg(test)]
mod tests {
    use super::super::chart::{Axis as Side, Scale};
    use super::*;

    #[test]
    fn points_lie_inside_the_picture_and_text_is_escaped() {
        let chart = Chart {
            file: "x",
            title: "cost <per> packet & more".into(),
            x: Side { label: "packets/s", scale: Scale::Linear },
            y: Side { label: "µs", scale: Scale::Log },
            lines: vec![
                Line::of(0, "ours", vec![(0.0, 10.0), (50.0, 0.0), (100.0, 1000.0)]),
                Line::of(3, "ceiling", vec![(0.0, 10.0), (100.0, 20.0)]),
            ],
        };
        let svg = draw(&chart).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("cost &lt;per&gt; packet &amp; more"), "{svg}");
        // What a logarithm can not show is left out, and a reference line has no points.
        assert_eq!(svg.matches("<circle").count(), 2);
        for (mark, side) in [(" cx=\"", 800.0), (" cy=\"", 400.0)] {
            for at in svg.split(mark).skip(1) {
                let at: f64 = at.split('"').next().unwrap().parse().unwrap();
                assert!((30.0..side).contains(&at), "{at} of {side}");
            }
        }
        assert!(svg.contains("ceiling") && svg.contains("packets/s"));
    }
}
