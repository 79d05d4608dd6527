//! The settings of `focus` in; what the focus is told, or the error that names the option, out.

use std::path::PathBuf;
use std::time::Duration;

use focus_server::BridgesConfig;
use jitsi_xmpp::Sensitive;
use service::{Effective, StartError};

/// What the focus is told.
#[derive(Debug, Clone)]
pub(crate) struct Focus {
    pub(crate) password: Option<Sensitive<String>>,
    pub(crate) auto_owner: bool,
    /// So long that right waits for the browser of who had it.
    pub(crate) owner_grace: Duration,
    pub(crate) max_audio_senders: usize,
    pub(crate) max_video_senders: usize,
    pub(crate) opus_red: bool,
    pub(crate) random_pad_names: bool,
    pub(crate) codecs: Codecs,
    /// A conference that nobody joins is given up.
    pub(crate) initial_timeout: Duration,
    /// Whoever is alone is disconnected from the bridge.
    pub(crate) single_participant_timeout: Duration,
    /// From how many people on changes of streams are collected for how long; ascending.
    pub(crate) source_signaling_delays: Vec<(usize, Duration)>,
    pub(crate) strip_simulcast: bool,
    pub(crate) ssrc_rewriting: bool,
    /// Folder in memory for what a successor needs.
    pub(crate) handover: Option<PathBuf>,
    /// Which bridge somebody gets.
    pub(crate) bridges: BridgesConfig,
}

/// Which video codecs are offered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Codecs {
    pub(crate) vp8: bool,
    pub(crate) vp9: bool,
    pub(crate) av1: bool,
    pub(crate) h264: bool,
}

pub(super) fn focus(e: &Effective) -> Result<Focus, StartError> {
    let codecs = Codecs {
        vp8: e.is_on("focus.vp8"),
        vp9: e.is_on("focus.vp9"),
        av1: e.is_on("focus.av1"),
        h264: e.is_on("focus.h264"),
    };
    if !(codecs.vp8 || codecs.vp9 || codecs.av1 || codecs.h264) {
        return Err(
            e.bad("focus.vp8", "one of focus.vp8, focus.vp9, focus.av1 and focus.h264 has to be left")
        );
    }
    let time = |key| timeout(e.text(key)).ok_or_else(|| e.bad(key, TIMEOUT));
    let delays = "focus.source_signaling_delays";
    Ok(Focus {
        password: super::secret(e, "focus.password"),
        auto_owner: e.is_on("focus.auto_owner"),
        owner_grace: time_up_to(e.text("focus.owner_grace"), LONGEST_GRACE)
            .ok_or_else(|| e.bad("focus.owner_grace", "must be a time such as `30 s`, up to an hour, or 0"))?,
        max_audio_senders: e.parse("focus.max_audio_senders")?,
        max_video_senders: e.parse("focus.max_video_senders")?,
        opus_red: e.is_on("focus.opus_red"),
        random_pad_names: e.is_on("focus.random_pad_names"),
        codecs,
        initial_timeout: time("focus.initial_timeout")?,
        single_participant_timeout: time("focus.single_participant_timeout")?,
        source_signaling_delays: source_signaling_delays(e.text(delays))
            .ok_or_else(|| e.bad(delays, "must be people and milliseconds, up to ten pairs and ten seconds, such as `{50: 500, 100: 2000}`"))?,
        strip_simulcast: e.is_on("focus.strip_simulcast"),
        ssrc_rewriting: e.is_on("focus.ssrc_rewriting"),
        handover: Some(e.text("focus.handover")).filter(|f| !f.is_empty()).map(PathBuf::from),
        bridges: super::spread::bridges(e)?,
    })
}

/// compat: a time as HOCON writes it, where a number alone is milliseconds (test: compat_times_of_the_focus_are_read_as_hocon_does).
pub(super) fn timeout(text: &str) -> Option<Duration> {
    time(text).filter(|time| (SHORTEST..=LONGEST).contains(time))
}

fn time_up_to(text: &str, longest: Duration) -> Option<Duration> {
    time(text).filter(|time| *time <= longest)
}

/// The same, however long.
pub(super) fn time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at_checked(digits)?;
    let each = match unit.trim() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "second" | "seconds" => 1000,
        "m" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(each)?))
}

/// `{50: 500, "100"=2000}`: from 50 people on half a second.
fn source_signaling_delays(text: &str) -> Option<Vec<(usize, Duration)>> {
    let text = text.trim();
    let inner = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    let mut all = Vec::new();
    for pair in inner.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (people, millis) = pair.split_once([':', '='])?;
        let people = people.trim().trim_matches('"').parse().ok()?;
        let delay = Duration::from_millis(millis.trim().parse().ok()?);
        if delay > LONGEST_DELAY || all.len() == DELAYS {
            return None;
        }
        all.push((people, delay));
    }
    all.sort_unstable();
    Some(all)
}

pub(super) const TIMEOUT: &str = "must be a time such as `15 seconds` or `1 minute`, from one second to a day; a number alone is milliseconds, as upstream reads it";
/// Shorter ones would end conferences of people whose browser takes its time.
const SHORTEST: Duration = Duration::from_secs(1);
/// A meeting whose moderator has left is without one as long.
const LONGEST_GRACE: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Streams that are heard of later are missed.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
const DELAYS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compat_times_of_the_focus_are_read_as_hocon_does() {
        for (text, millis) in [
            ("15 seconds", 15_000),
            ("20s", 20_000),
            ("1 minute", 60_000),
            ("1500", 1_500),
            ("1000 ms", 1_000),
            ("24 hours", 86_400_000),
            ("1 day", 86_400_000),
        ] {
            assert_eq!(timeout(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for odd in [
            "",
            "s",
            "15 s econds",
            "-1 s",
            "1.5 s",
            "999",
            "0",
            "86400001",
            "99999999999999999999 h",
            "15 Sekunden",
        ] {
            assert_eq!(timeout(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_grace_is_nothing_or_up_to_its_bound() {
        let up_to = |text| time_up_to(text, LONGEST_GRACE);
        assert_eq!((up_to("0"), up_to("1 hour")), (Some(Duration::ZERO), Some(LONGEST_GRACE)));
        assert_eq!((up_to("3600001"), up_to("soon")), (None, None));
    }

    #[test]
    fn delays_are_a_map_of_upstream_s_up_to_a_bound() {
        let ms = Duration::from_millis;
        assert_eq!(source_signaling_delays(""), Some(vec![]));
        assert_eq!(source_signaling_delays("{}"), Some(vec![]));
        let two = source_signaling_delays("{ 100: 2000, \"50\"=500 }");
        assert_eq!(two, Some(vec![(50, ms(500)), (100, ms(2000))]));
        let many = |n: usize| (1..=n).map(|n| format!("{n}:10000")).collect::<Vec<_>>().join(",");
        assert!(source_signaling_delays(&many(DELAYS)).is_some());
        for odd in ["x", "{50: 500", "50", "50: 10001", "50: -1", "a: 1", &many(DELAYS + 1)] {
            assert_eq!(source_signaling_delays(odd), None, "{odd}");
        }
    }
}
