//! Transport-wide arrivals of one sender: sequence numbers of the header extension in, feedback packets out.

use std::time::{Duration, Instant};

use jitsi_xmpp::ids::Ssrc;
use videobridge_rtp::rtcp::transport_cc::{self, Arrival};
use videobridge_rtp::{ExtSeq, Unwrapper};

use crate::media::limits::{ARRIVALS, MAX_RTCP};

/// Arrivals not reported yet.
#[derive(Debug)]
pub(crate) struct Arrivals {
    start: Instant,
    unwrapper: Unwrapper,
    /// Ascending by sequence number.
    waiting: Vec<Arrival>,
    /// Where the next report begins: what is before was reported, or came later than that.
    base: Option<ExtSeq>,
    reported: bool,
    count: u8,
    last_report: Option<Instant>,
    /// The SSRC the report names as its media.
    ssrc: Ssrc,
}

impl Arrivals {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            start: now,
            unwrapper: Unwrapper::new(),
            waiting: Vec::new(),
            base: None,
            reported: false,
            count: 0,
            last_report: None,
            ssrc: Ssrc(0),
        }
    }

    /// Records a packet. Returns whether a report is due: 100 ms after the last one, or 20 ms when a frame ended.
    pub(crate) fn record(&mut self, now: Instant, sequence: u16, ssrc: Ssrc, marker: bool) -> bool {
        let sequence = self.unwrapper.extend(sequence);
        let time_us = u64::try_from(now.duration_since(self.start).as_micros()).unwrap_or(u64::MAX);
        self.ssrc = ssrc;
        if self.waiting.capacity() == 0 {
            self.waiting.reserve_exact(ARRIVALS);
        }
        match self.waiting.last() {
            Some(last) if last.sequence >= sequence => {
                match self.waiting.binary_search_by_key(&sequence, |a| a.sequence) {
                    Ok(_) => return false,
                    Err(at) if self.waiting.len() < ARRIVALS => {
                        self.waiting.insert(at, Arrival { sequence, time_us })
                    }
                    Err(_) => {}
                }
            }
            _ if self.waiting.len() < ARRIVALS => self.waiting.push(Arrival { sequence, time_us }),
            _ => {}
        }
        if !self.reported {
            // Packets from before the first one were never seen: not for us to report.
            self.base = Some(self.base.map_or(sequence, |base| base.min(sequence)));
        }
        let Some(last) = self.last_report else {
            self.last_report = Some(now);
            return false;
        };
        let since = now.duration_since(last);
        since >= INTERVAL || (marker && since >= AT_FRAME_END) || self.waiting.len() >= ARRIVALS
    }

    /// When a report is due without a further packet.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.last_report? + INTERVAL)
    }

    /// Writes all that is waiting, in as many packets as needed.
    ///
    /// Packets later than the report about their time get packets of their own, one per run: what lies between them
    /// was reported already and must not look lost now.
    pub(crate) fn report(&mut self, now: Instant, sender: Ssrc, mut send: impl FnMut(&[u8])) {
        self.last_report = Some(now);
        let Some(base) = self.base else { return };
        let late = self.waiting.partition_point(|a| a.sequence < base);
        let (late, fresh) = self.waiting.split_at_checked(late).unwrap_or_default();
        let header = (sender, self.ssrc);
        for run in late.chunk_by(|a, b| a.sequence.next() == b.sequence) {
            let first = run.first().map_or(base, |a| a.sequence);
            write_all(run, first, header, &mut self.count, &mut send);
        }
        self.base = Some(write_all(fresh, base, header, &mut self.count, &mut send));
        self.reported = true;
        self.waiting.clear();
    }
}

/// Reports from `base` on; returns where the next report begins.
fn write_all(
    mut rest: &[Arrival],
    mut base: ExtSeq,
    (sender, media): (Ssrc, Ssrc),
    count: &mut u8,
    send: &mut impl FnMut(&[u8]),
) -> ExtSeq {
    let mut buf = [0; MAX_RTCP];
    while let Some(next) = rest.first() {
        match transport_cc::write(&mut buf, sender.0, media.0, *count, base, rest) {
            Some(written) => {
                send(buf.get(..written.len).unwrap_or_default());
                *count = count.wrapping_add(1);
                base = written.next_base;
                rest = rest.get(written.arrivals..).unwrap_or_default();
            }
            // Too far from the base for one packet: what lies between is not reported.
            None if next.sequence > base => base = next.sequence,
            None => break,
        }
    }
    base
}

const INTERVAL: Duration = Duration::from_millis(100);
const AT_FRAME_END: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use videobridge_rtp::rtcp::{Compound, Rtcp};

    use super::*;

    fn reported(arrivals: &mut Arrivals, now: Instant) -> Vec<(u16, bool)> {
        let mut out = Vec::new();
        arrivals.report(now, Ssrc(1), |bytes| {
            for packet in Compound::new(bytes) {
                let Rtcp::TransportFeedback(feedback) = packet.unwrap() else { panic!() };
                out.extend(feedback.statuses().map(|s| (s.sequence, s.delta_us.is_some())));
            }
        });
        out
    }

    #[test]
    fn reports_every_100_ms_or_20_ms_after_a_frame() {
        let t0 = Instant::now();
        let ms = |n| t0 + Duration::from_millis(n);
        let mut a = Arrivals::new(t0);
        assert!(!a.record(ms(0), 10, Ssrc(7), true), "never on the first packet");
        assert!(!a.record(ms(10), 11, Ssrc(7), true));
        assert!(!a.record(ms(25), 13, Ssrc(7), false));
        assert!(a.record(ms(26), 14, Ssrc(7), true));
        assert_eq!(reported(&mut a, ms(26)), [(10, true), (11, true), (12, false), (13, true), (14, true)]);
        assert!(!a.record(ms(125), 15, Ssrc(7), false));
        assert_eq!(a.poll_timeout(), Some(ms(126)));
        assert!(a.record(ms(126), 16, Ssrc(7), false));
        assert_eq!(reported(&mut a, ms(126)), [(15, true), (16, true)]);
    }

    #[test]
    fn a_late_packet_opens_its_window_again() {
        let t0 = Instant::now();
        let mut a = Arrivals::new(t0);
        for n in [1, 3] {
            a.record(t0, n, Ssrc(7), false);
        }
        reported(&mut a, t0);
        a.record(t0, 2, Ssrc(7), false);
        assert_eq!(reported(&mut a, t0), [(2, true)]);
        a.record(t0, 5, Ssrc(7), false);
        assert_eq!(reported(&mut a, t0), [(4, false), (5, true)]);
    }

    #[test]
    fn a_late_packet_does_not_make_packets_reported_before_look_lost() {
        let t0 = Instant::now();
        let mut a = Arrivals::new(t0);
        for n in [10, 11, 13, 14, 17, 18] {
            a.record(t0, n, Ssrc(7), false);
        }
        let first = reported(&mut a, t0);
        assert_eq!((first[0], first.len()), ((10, true), 9), "begins with the first that came");
        for n in [20, 12, 15, 16] {
            a.record(t0, n, Ssrc(7), false);
        }
        assert_eq!(
            reported(&mut a, t0),
            [(12, true), (15, true), (16, true), (19, false), (20, true)],
            "13, 14, 17 and 18 are not mentioned again"
        );
    }

    #[test]
    fn times_are_right_to_a_quarter_of_a_millisecond_from_the_first_report_on() {
        let t0 = Instant::now();
        let us = |n| t0 + Duration::from_micros(n);
        let mut a = Arrivals::new(t0);
        // A probe of the sender: ten packets 1.3 ms apart; reordered, late, and a long pause.
        let sent: Vec<(u16, u64)> = (0..10)
            .map(|i| (65_530u16.wrapping_add(i), 63_000 + u64::from(i) * 1_300))
            .chain([(6, 90_000), (5, 91_000), (8, 163_999), (9, 8_000_000), (10, 17_500_123)])
            .collect();
        let mut got = Vec::new();
        for (n, (seq, at)) in sent.iter().enumerate() {
            a.record(us(*at), *seq, Ssrc(7), false);
            if n % 4 == 3 || n + 1 == sent.len() {
                a.report(us(*at), Ssrc(1), |bytes| {
                    let Some(Ok(Rtcp::TransportFeedback(f))) = Compound::new(bytes).next() else { panic!() };
                    let mut time = f.reference_time_us() as i64;
                    for s in f.statuses() {
                        if let Some(delta) = s.delta_us {
                            time += i64::from(delta);
                            got.push((s.sequence, time));
                        }
                    }
                });
            }
        }
        got.sort_unstable();
        let mut sent: Vec<(u16, i64)> = sent.into_iter().map(|(s, at)| (s, at as i64)).collect();
        sent.sort_unstable();
        assert_eq!(got.len(), sent.len());
        for (got, sent) in got.iter().zip(&sent) {
            assert!(got.0 == sent.0 && (got.1 - sent.1).abs() <= 125, "{got:?} {sent:?}");
        }
    }

    #[test]
    fn a_report_that_does_not_fit_into_a_packet_goes_in_several() {
        let t0 = Instant::now();
        let mut a = Arrivals::new(t0);
        // So far apart that each takes two bytes.
        let at = |n: u64| t0 + Duration::from_millis(70 * n);
        for n in 0..ARRIVALS as u64 {
            let _ = a.record(at(n), n as u16, Ssrc(7), false);
        }
        let mut sizes = Vec::new();
        a.report(at(ARRIVALS as u64), Ssrc(1), |bytes| sizes.push(bytes.len()));
        assert!(sizes.len() > 1 && sizes.iter().all(|s| *s <= MAX_RTCP), "{sizes:?}");
        assert!(sizes[0] + 16 > MAX_RTCP, "it is used up: {sizes:?}");
    }

    #[test]
    fn the_number_of_waiting_arrivals_is_bounded() {
        let t0 = Instant::now();
        let mut a = Arrivals::new(t0);
        for n in 0..ARRIVALS as u16 + 1 {
            let due = a.record(t0, n, Ssrc(7), false);
            assert_eq!(due, usize::from(n) + 1 >= ARRIVALS, "{n}");
        }
        assert_eq!(a.waiting.len(), ARRIVALS);
        assert_eq!(reported(&mut a, t0).len(), ARRIVALS);
    }
}
