//! The estimator alone, with feedback as a receiver would write it.

use videobridge_rtp::ExtSeq;
use videobridge_rtp::rtcp::transport_cc::{self, Arrival};
use videobridge_rtp::rtcp::{Compound, Rtcp};

use super::*;

/// Feedback of a receiver that got `arrivals`, reported from `base` on.
fn feed(e: &mut Estimator, at: Instant, base: u64, arrivals: &[Arrival]) -> Matched {
    let mut buf = [0; 1200];
    let written = transport_cc::write(&mut buf, 1, 2, 0, ExtSeq(base), arrivals).unwrap();
    let Some(Ok(Rtcp::TransportFeedback(f))) = Compound::new(&buf[..written.len]).next() else { panic!() };
    e.transport_feedback(at, &f)
}

/// Ten packets of 1,000 bytes every 100 ms = 800 kbit/s; `lose` of ten are lost, the rest takes `delay_ms`.
fn run(e: &mut Estimator, start: Instant, from: u64, seconds: u64, lose: u64, delay_ms: impl Fn(u64) -> u64) {
    for round in from * 10..(from + seconds) * 10 {
        let mut arrivals = Vec::new();
        for i in 0..10 {
            let seq = round * 10 + i;
            let sent = round * 100_000 + i * 10_000;
            e.sent(seq as u16, Micros(sent), 1000);
            if i < 9 - lose || i == 9 {
                arrivals.push(Arrival {
                    sequence: ExtSeq(seq),
                    time_us: 1_000_000 + sent + delay_ms(round) * 1000,
                });
            }
        }
        feed(e, start + Duration::from_millis(round * 100 + 100), round * 10, &arrivals);
    }
}

fn bits(e: &Estimator) -> Option<u64> {
    e.estimate().map(|rate| rate.0)
}

#[test]
fn is_optimistic_until_there_is_loss_then_recovers() {
    let t0 = Instant::now();
    let mut e = Estimator::new(t0);
    run(&mut e, t0, 0, 5, 0, |_| 20);
    assert_eq!(bits(&e), None);
    run(&mut e, t0, 5, 5, 4, |_| 20);
    let low = bits(&e).unwrap();
    assert!((400_000..500_000).contains(&low), "what arrives: {low}");
    assert!(e.apply(0.15) && !e.apply(0.15));
    run(&mut e, t0, 10, 10, 0, |_| 20);
    let more = bits(&e).unwrap();
    assert!(more > low * 13 / 10, "{low} {more}");
    run(&mut e, t0, 20, 30, 0, |_| 20);
    assert!(bits(&e).unwrap() <= 1_200_000, "never far beyond what was carried");
}

#[test]
fn compat_loss_below_two_percent_raises_and_up_to_ten_holds() {
    let t0 = Instant::now();
    let mut e = Estimator::new(t0);
    run(&mut e, t0, 0, 3, 2, |_| 20);
    let low = bits(&e).unwrap();
    run(&mut e, t0, 3, 5, 1, |_| 20);
    let held = bits(&e).unwrap();
    assert!(held > low / 2, "one in ten is not above the threshold");
    run(&mut e, t0, 8, 1, 1, |_| 20);
    assert_eq!(bits(&e), Some(held));
    run(&mut e, t0, 9, 5, 0, |_| 20);
    assert!(bits(&e).unwrap() > held);
}

/// The estimate after 20 s of 80 kbit/s of which so many packets in ten are lost.
fn after_loss_of(tenths: u64) -> Option<u64> {
    let t0 = Instant::now();
    let mut e = Estimator::new(t0);
    for round in 0..200u64 {
        let mut arrivals = Vec::new();
        for i in 0..10 {
            let (sequence, sent) = (round * 10 + i, round * 100_000);
            e.sent(sequence as u16, Micros(sent), 100);
            if i >= tenths {
                arrivals.push(Arrival { sequence: ExtSeq(sequence), time_us: sent + 20_000 });
            }
        }
        feed(&mut e, t0 + Duration::from_millis(round * 100 + 100), round * 10, &arrivals);
    }
    bits(&e)
}

#[test]
fn compat_loss_alone_does_not_go_below_100_kbit_s() {
    assert_eq!(after_loss_of(6), Some(MIN_BY_LOSS.0));
}

#[test]
fn loss_of_a_radio_link_never_costs_the_smallest_picture() {
    assert_eq!(after_loss_of(2), Some(SMALLEST_PICTURE.0));
}

#[test]
fn growing_queues_lower_the_estimate_without_loss() {
    let t0 = Instant::now();
    let mut e = Estimator::new(t0);
    run(&mut e, t0, 0, 2, 0, |_| 20);
    run(&mut e, t0, 2, 4, 0, |round| 20 + (round - 20) * 20);
    assert!(bits(&e).is_some_and(|e| e < 800_000));
}

#[test]
fn an_outage_is_not_congestion() {
    let t0 = Instant::now();
    for (seconds, limited) in [(2, false), (20, false), (20, true)] {
        let mut e = Estimator::new(t0);
        run(&mut e, t0, 0, 5, if limited { 4 } else { 0 }, |_| 20);
        let before = bits(&e);
        assert_eq!(before.is_some(), limited);
        // Sent all the time, nothing heard; then the first feedback reports it all as lost.
        for n in 500..500 + seconds * 100 {
            e.sent(n as u16, Micros(n * 10_000), 1000);
        }
        let (first, base) = (500 + seconds * 100, 500);
        e.sent(first as u16, Micros(first * 10_000), 1000);
        let at = t0 + Duration::from_millis(first * 10 + 50);
        let arrival = Arrival { sequence: ExtSeq(first), time_us: 1_000_000 + first * 10_000 + 60_000 };
        let matched = feed(&mut e, at, base, &[arrival]);
        assert!(matched.resumed && matched.received == 1 && matched.lost + matched.unknown > 100);
        assert_eq!(bits(&e), before, "{seconds} s");
        // The rest of the second, then normal life on a path that is 40 ms longer.
        run(&mut e, t0, 6 + seconds, 5, 0, |_| 60);
        assert!(bits(&e) >= before, "{:?}", bits(&e));
    }
}

#[test]
fn a_short_gap_costs_at_most_half() {
    let t0 = Instant::now();
    let mut e = Estimator::new(t0);
    run(&mut e, t0, 0, 5, 0, |_| 20);
    // 800 ms of nothing, reported as lost.
    for n in 500..580 {
        e.sent(n as u16, Micros(n * 10_000), 1000);
    }
    e.sent(580, Micros(5_800_000), 1000);
    feed(
        &mut e,
        t0 + Duration::from_millis(5_850),
        500,
        &[Arrival { sequence: ExtSeq(580), time_us: 6_820_000 }],
    );
    let low = bits(&e).unwrap();
    assert!(low >= 375_000, "{low}");
}

#[test]
fn the_link_rests_after_congestion_and_longer_the_second_time() {
    let t0 = Instant::now();
    let mut e = Estimator::new(t0);
    assert_eq!(e.probing_rate(t0, Bitrate(1_000_000)), None, "no limit known");
    let at = |ms| t0 + Duration::from_millis(ms);
    e.lower(at(0), 50_000.0, 40_000.0, MIN);
    assert_eq!(e.probing_rate(at(1_999), Bitrate(1_000_000)), None);
    assert_eq!(e.probing_rate(at(2_000), Bitrate(1_000_000)), Some(MIN_PROBING));
    assert_eq!(
        e.probing_rate(at(2_000), Bitrate(40_000)),
        Some(Bitrate(50_000)),
        "not far beyond what is wanted"
    );
    for (start, rest) in [(2_000, 4_000), (6_000, 4_000), (10_000, 4_000)] {
        e.lower(at(start), 50_000.0, 40_000.0, MIN);
        assert_eq!(e.probing_rate(at(start + rest - 1), Bitrate(1_000_000)), None);
        assert!(e.probing_rate(at(start + rest), Bitrate(1_000_000)).is_some());
    }
}
