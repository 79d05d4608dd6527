//! The wall clock as the shell told it: an instant in, the time since 1970 and its text forms out.

use std::time::{Duration, Instant};

/// Maps instants to wall-clock time; 1970 until the shell told better.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WallClock {
    known: Option<(Instant, Duration)>,
}

impl WallClock {
    pub(crate) fn set(&mut self, now: Instant, unix: Duration) {
        self.known = Some((now, unix));
    }

    /// Time since 1970 at `now`.
    pub(crate) fn unix(&self, now: Instant) -> Duration {
        self.known.map_or(Duration::ZERO, |(at, unix)| unix + now.saturating_duration_since(at))
    }

    /// XEP-0082 date and time in UTC, whole seconds, as XEP-0203 and XEP-0215 want it.
    pub(crate) fn stamp(&self, now: Instant) -> String {
        iso(self.unix(now))
    }
}

/// `2026-11-23T00:51:02Z`
pub(crate) fn iso(unix: Duration) -> String {
    let secs = unix.as_secs();
    let (days, rest) = (secs / 86_400, secs % 86_400);
    // Days to civil date, counted in 400-year eras that start on 1 March.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

/// The other way round, with or without fractions of a second, in UTC. What is none is no time.
pub(crate) fn parse_iso(text: &str) -> Option<Duration> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let marks = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")];
    let marked = marks.iter().all(|(at, mark)| text.get(*at..*at + 1) == Some(mark)) && text.ends_with('Z');
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !marked || !in_range {
        return None;
    }
    // Civil date to days, as in `iso`.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * m + 2) / 5 + day - 1;
    let days = y / 400 * 146_097 + (y % 400) * 365 + (y % 400) / 4 - (y % 400) / 100 + day_of_year - 719_468;
    Some(Duration::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days_and_year_ends() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_795_390_567, "2026-11-22T23:36:07Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(iso(Duration::from_secs(secs)), text);
            assert_eq!(parse_iso(text), Some(Duration::from_secs(secs)));
        }
    }

    #[test]
    fn what_is_no_time_is_not_taken_for_one() {
        assert_eq!(parse_iso("2026-11-22T23:36:07.250Z"), parse_iso("2026-11-22T23:36:07Z"));
        for bad in [
            "",
            "Z",
            "2026-11-22",
            "2026-13-22T23:36:07Z",
            "1969-12-31T23:59:59Z",
            "2026-11-22T23:36:07",
            "2026é11-22T23:36:07Z",
        ] {
            assert_eq!(parse_iso(bad), None, "{bad}");
        }
    }
}
