//! Transport-wide arrivals of one sender: sequence numbers of the header extension in, feedback packets out.

use std::time::{Duration, Instant};

use videobridge_rtp::Unwrapper;
use videobridge_rtp::rtcp::transport_cc::{self, Arrival};

use crate::media::limits::{ARRIVALS, MAX_RTCP};

/// Arrivals not reported yet.
#[derive(Debug)]
pub(crate) struct Arrivals {
    start: Instant,
    unwrapper: Unwrapper,
    /// Ascending by sequence number.
    waiting: Vec<Arrival>,
    /// Where the next report begins.
    base: Option<u64>,
    count: u8,
    last_report: Option<Instant>,
    /// The SSRC the report names as its media.
    ssrc: u32,
}

impl Arrivals {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            start: now,
            unwrapper: Unwrapper::new(),
            waiting: Vec::new(),
            base: None,
            count: 0,
            last_report: None,
            ssrc: 0,
        }
    }

    /// Records a packet. Returns whether a report is due: 100 ms after the last one, or 20 ms when a frame ended.
    pub(crate) fn record(&mut self, now: Instant, sequence: u16, ssrc: u32, marker: bool) -> bool {
        let sequence = self.unwrapper.unwrap(sequence);
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
        // A packet from before the last report opens that window again.
        self.base = Some(self.base.map_or(sequence, |base| base.min(sequence)));
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
    pub(crate) fn report(&mut self, now: Instant, sender: u32, mut send: impl FnMut(&[u8])) {
        self.last_report = Some(now);
        let mut buf = [0; MAX_RTCP];
        let mut from = 0;
        while let (Some(rest), Some(base)) = (self.waiting.get(from..), self.base) {
            let Some(written) = transport_cc::write(&mut buf, sender, self.ssrc, self.count, base, rest)
            else {
                match rest.first() {
                    // Too far from the base for one packet: what lies between is not reported.
                    Some(next) if next.sequence > base => {
                        self.base = Some(next.sequence);
                        continue;
                    }
                    _ => break,
                }
            };
            send(buf.get(..written.len).unwrap_or_default());
            self.count = self.count.wrapping_add(1);
            self.base = Some(written.next_base);
            from += written.arrivals;
        }
        self.waiting.clear();
    }
}

const INTERVAL: Duration = Duration::from_millis(100);
const AT_FRAME_END: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use videobridge_rtp::rtcp::{Compound, Rtcp};

    use super::*;

    fn reported(arrivals: &mut Arrivals, now: Instant) -> Vec<(u16, bool)> {
        let mut out = Vec::new();
        arrivals.report(now, 1, |bytes| {
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
        assert!(!a.record(ms(0), 10, 7, true), "never on the first packet");
        assert!(!a.record(ms(10), 11, 7, true));
        assert!(!a.record(ms(25), 13, 7, false));
        assert!(a.record(ms(26), 14, 7, true));
        assert_eq!(reported(&mut a, ms(26)), [(10, true), (11, true), (12, false), (13, true), (14, true)]);
        assert!(!a.record(ms(125), 15, 7, false));
        assert_eq!(a.poll_timeout(), Some(ms(126)));
        assert!(a.record(ms(126), 16, 7, false));
        assert_eq!(reported(&mut a, ms(126)), [(15, true), (16, true)]);
    }

    #[test]
    fn a_late_packet_opens_its_window_again() {
        let t0 = Instant::now();
        let mut a = Arrivals::new(t0);
        for n in [1, 3] {
            a.record(t0, n, 7, false);
        }
        reported(&mut a, t0);
        a.record(t0, 2, 7, false);
        assert_eq!(reported(&mut a, t0), [(2, true)]);
        a.record(t0, 5, 7, false);
        assert_eq!(reported(&mut a, t0).last(), Some(&(5, true)));
    }

    #[test]
    fn the_number_of_waiting_arrivals_is_bounded() {
        let t0 = Instant::now();
        let mut a = Arrivals::new(t0);
        for n in 0..ARRIVALS as u16 + 1 {
            let due = a.record(t0, n, 7, false);
            assert_eq!(due, usize::from(n) + 1 >= ARRIVALS, "{n}");
        }
        assert_eq!(a.waiting.len(), ARRIVALS);
        assert_eq!(reported(&mut a, t0).len(), ARRIVALS);
    }
}
