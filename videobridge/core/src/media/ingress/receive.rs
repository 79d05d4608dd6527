//! Reception statistics of one SSRC (RFC 3550 §6.4.1, A.3, A.8): packets and sender reports in, report blocks out.

use std::time::Instant;

use videobridge_rtp::{ExtSeq, NtpMiddle};

use crate::media::ids::Timestamp;

/// The values of one report block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reception {
    pub(crate) fraction_lost: u8,
    pub(crate) cumulative_lost: i32,
    pub(crate) highest: u32,
    pub(crate) jitter: u32,
    pub(crate) last_sr: NtpMiddle,
    /// 1/65536 s.
    pub(crate) delay_since_last_sr: u32,
}

/// Counts one SSRC.
#[derive(Debug)]
pub(crate) struct ReceiveStats {
    start: Instant,
    base: Option<ExtSeq>,
    highest: ExtSeq,
    received: u64,
    expected_prior: u64,
    received_prior: u64,
    jitter: f64,
    clock_rate: u32,
    transit: Option<f64>,
    last_sr: Option<(NtpMiddle, Instant)>,
    heard: bool,
}

impl ReceiveStats {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            start: now,
            base: None,
            highest: ExtSeq(0),
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            jitter: 0.0,
            clock_rate: 0,
            transit: None,
            last_sr: None,
            heard: false,
        }
    }

    /// One packet; `highest` is the highest extended sequence number now.
    pub(crate) fn packet(&mut self, now: Instant, highest: ExtSeq, timestamp: Timestamp, clock_rate: u32) {
        self.base.get_or_insert(highest);
        self.highest = highest;
        self.received += 1;
        self.clock_rate = clock_rate;
        self.heard = true;
        let arrival = now.duration_since(self.start).as_secs_f64() * f64::from(clock_rate);
        let transit = arrival - f64::from(timestamp.0);
        if let Some(before) = self.transit {
            let d = (transit - before).abs();
            // A wrapped or restarted timestamp is not jitter.
            if d < f64::from(clock_rate) * 10.0 {
                self.jitter += (d - self.jitter) / 16.0;
            }
        }
        self.transit = Some(transit);
    }

    /// A sender report came; its NTP time.
    pub(crate) fn sender_report(&mut self, now: Instant, ntp_middle: NtpMiddle) {
        self.last_sr = Some((ntp_middle, now));
    }

    /// By how much packets come early or late, in seconds; `None` before the first.
    pub(crate) fn jitter(&self) -> Option<f64> {
        (self.clock_rate > 0).then(|| self.jitter / f64::from(self.clock_rate))
    }

    /// The report of the time since the last one, `None` when nothing was received.
    pub(crate) fn report(&mut self, now: Instant) -> Option<Reception> {
        if !std::mem::take(&mut self.heard) {
            return None;
        }
        let expected = self.highest.0 - self.base?.0 + 1;
        let lost = expected as i64 - self.received as i64;
        let expected_now = expected - self.expected_prior;
        let lost_now = expected_now as i64 - (self.received - self.received_prior) as i64;
        (self.expected_prior, self.received_prior) = (expected, self.received);
        let fraction = if expected_now == 0 { 0 } else { (lost_now.max(0) << 8) / expected_now as i64 };
        let (last_sr, delay) = self.last_sr.map_or((NtpMiddle(0), 0), |(sr, at)| {
            (sr, (now.duration_since(at).as_secs_f64() * 65536.0) as u32)
        });
        Some(Reception {
            fraction_lost: fraction.min(255) as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest: self.highest.0 as u32,
            jitter: self.jitter as u32,
            last_sr,
            delay_since_last_sr: delay,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn loss_and_jitter_follow_rfc_3550() {
        let t0 = Instant::now();
        let mut stats = ReceiveStats::new(t0);
        for n in (0..100u32).filter(|n| n % 4 != 1) {
            let at = t0 + Duration::from_millis(u64::from(n) * 20);
            stats.packet(at, ExtSeq(65_536 + u64::from(n)), Timestamp(n * 960), 48_000);
        }
        stats.sender_report(t0 + Duration::from_secs(2), NtpMiddle(77));
        assert!(ReceiveStats::new(t0).jitter().is_none() && stats.jitter().is_some_and(|s| s < 1e-6));
        let r = stats.report(t0 + Duration::from_millis(2_500)).unwrap();
        assert_eq!((r.fraction_lost, r.cumulative_lost), (64, 25));
        assert_eq!((r.jitter, r.last_sr, r.delay_since_last_sr), (0, NtpMiddle(77), 32_768));
        assert_eq!(r.highest, 65_635);
        assert!(stats.report(t0 + Duration::from_secs(3)).is_none(), "nothing received, nothing to report");
        // Every second packet 10 ms late: RFC 3550's mean goes there.
        for n in 100..400u32 {
            let at = t0 + Duration::from_millis(u64::from(n) * 20 + u64::from(n % 2) * 10);
            stats.packet(at, ExtSeq(65_536 + u64::from(n)), Timestamp(n * 960), 48_000);
        }
        assert!((stats.jitter().unwrap() - 0.010).abs() < 0.001, "{:?}", stats.jitter());
    }
}
