//! An address in; a picture of it for cameras, made of half blocks, out.

use qrcode::{Color, EcLevel, QrCode};

/// Two rows of the code in a line, light on dark, as terminals mostly are; with `colour` also on those that are not.
pub(super) fn picture(text: &str, colour: bool) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width();
    let colors = code.to_colors();
    let light = |x: usize, y: usize| {
        let (Some(x), Some(y)) = (x.checked_sub(QUIET), y.checked_sub(QUIET)) else { return true };
        x >= width || y >= width || colors.get(y * width + x).is_none_or(|c| *c == Color::Light)
    };
    let side = width + 2 * QUIET;
    let mut out = String::new();
    for y in (0..side).step_by(2) {
        out.push_str(if colour { "  \u{1b}[97;40m" } else { "  " });
        for x in 0..side {
            out.push(match (light(x, y), y + 1 < side && light(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        out.push_str(if colour { "\u{1b}[0m\n" } else { "\n" });
    }
    Some(out)
}

/// Light modules around it. The standard wants four; two are enough for every camera of today, and fit into a small window.
const QUIET: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_its_corners_and_a_light_edge() {
        let picture = picture("https://meet.example.org/test", false).unwrap();
        let lines: Vec<Vec<char>> = picture.lines().map(|l| l.chars().skip(2).collect()).collect();
        let side = lines[0].len();
        assert!(lines.iter().all(|l| l.len() == side) && lines.len() == side.div_ceil(2));
        assert!(lines[0].iter().all(|c| *c == '█'), "{picture}");
        // A corner mark: seven dark modules in a row, then a light one.
        assert!(lines[1][QUIET..QUIET + 7].iter().all(|c| matches!(c, ' ' | '▄')), "{picture}");
        assert!(picture.lines().count() < 24, "fits into a small terminal");
    }
}
