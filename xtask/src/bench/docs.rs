//! Sections and their charts in; `docs/performance.md` with them between its markers, and the SVG files, out.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::svg;
use super::table::{Head, Section, markdown};

/// Writes the charts.
///
/// # Errors
/// The disk refuses.
pub(crate) fn write_charts(sections: &[Section]) -> Result<Vec<String>> {
    fs::create_dir_all(CHARTS).with_context(|| format!("cannot make {CHARTS}"))?;
    let mut written = Vec::new();
    for chart in sections.iter().flat_map(|s| &s.charts) {
        let path = Path::new(CHARTS).join(chart.file).with_extension("svg");
        fs::write(&path, svg::draw(chart)?).with_context(|| format!("cannot write {}", path.display()))?;
        written.push(path.display().to_string());
    }
    Ok(written)
}

/// Puts each section's table between its markers.
///
/// # Errors
/// A marker is missing, or the disk refuses.
pub(crate) fn write_tables(head: &Head, sections: &[Section]) -> Result<()> {
    let mut text = fs::read_to_string(PAGE).with_context(|| format!("no {PAGE}"))?;
    for section in sections.iter().filter(|s| !s.figures.is_empty()) {
        text = replaced(&text, section.name, &markdown(head, section))?;
    }
    fs::write(PAGE, text).with_context(|| format!("cannot write {PAGE}"))
}

fn replaced(page: &str, name: &str, content: &str) -> Result<String> {
    let (open, close) = (format!("<!-- bench:{name} -->"), format!("<!-- /bench:{name} -->"));
    let parts = page.split_once(&open).and_then(|(before, rest)| Some((before, rest.split_once(&close)?.1)));
    let Some((before, after)) = parts else {
        bail!("{PAGE} lacks the markers {open} and {close}");
    };
    Ok(format!("{before}{open}\n{content}\n{close}{after}"))
}

const PAGE: &str = "docs/performance.md";
const CHARTS: &str = "docs/performance";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = "a\n<!-- bench:media -->\nold\n<!-- /bench:media -->\nb\n<!-- bench:xmpp -->\n<!-- /bench:xmpp -->\n";
        let once = replaced(page, "media", "new\n").unwrap();
        assert_eq!(once, page.replace("old\n", "new\n\n"));
        assert_eq!(replaced(&once, "media", "new\n").unwrap(), once, "writing twice changes nothing");
    }

    #[test]
    fn a_page_without_markers_is_refused_unchanged() {
        for page in ["", "<!-- bench:media -->", "<!-- /bench:media --><!-- bench:media -->"] {
            assert!(replaced(page, "media", "x").unwrap_err().to_string().contains("bench:media"), "{page}");
        }
    }
}
