//! The estimator alone, with feedback as a receiver would write it.

use videobridge_rtp::ExtSeq;
use videobridge_rtp::rtcp::transport_cc::{self, Arrival};
use videobridge_rtp::rtcp::{Compound, Rtcp};

use super::*;

/// A link that is sent 1,000 bytes every 10 ms: 835 kbit/s with headers.
struct Line {
    e: Estimator,
    /// Packets sent so far, by tens: a second has ten rounds.
    round: u64,
}

/// Feedback of a receiver that got `arrivals`, reported from `base` on.
fn feed(e: &mut Estimator, at: Micros, base: u64, arrivals: &[Arrival]) -> Matched {
    let mut buf = [0; 1200];
    let written = transport_cc::write(&mut buf, 1, 2, 0, ExtSeq(base), arrivals).unwrap();
    let Some(Ok(Rtcp::TransportFeedback(f))) = Compound::new(&buf[..written.len]).next() else { panic!() };
    e.transport_feedback(at, &f)
}

impl Line {
    fn new() -> Self {
        Self { e: Estimator::new(), round: 0 }
    }

    /// Rounds of ten packets; `lose` of ten are lost, the rest takes `delay_ms`, told the round and its packet.
    fn run(&mut self, rounds: u64, lose: u64, delay_ms: impl Fn(u64, u64) -> u64) {
        for round in self.round..self.round + rounds {
            let mut arrivals = Vec::new();
            for i in 0..10 {
                let seq = round * 10 + i;
                let sent = round * 100_000 + i * 10_000;
                self.e.sent(seq as u16, Micros(sent), 1000);
                if i < 9 - lose || i == 9 {
                    let time_us = 1_000_000 + sent + delay_ms(round - self.round, i) * 1000;
                    arrivals.push(Arrival { sequence: ExtSeq(seq), time_us });
                }
            }
            feed(&mut self.e, Micros(round * 100_000 + 120_000), round * 10, &arrivals);
        }
        self.round += rounds;
    }

    fn now(&self) -> Micros {
        Micros(self.round * 100_000 + 20_000)
    }

    fn kbits(&self) -> u64 {
        self.e.estimate().unwrap().0 / 1000
    }
}

#[test]
fn compat_it_begins_with_upstreams_value_as_soon_as_there_will_be_feedback() {
    let mut e = Estimator::new();
    assert_eq!((e.estimate(), e.applied(), e.pacing_rate(Micros(0))), (None, None, None));
    e.begin();
    assert_eq!(e.estimate(), Some(Bitrate(2_400_000)), "2,500 kbit/s, less headers");
    assert_eq!(e.applied(), e.estimate());
    assert!(!e.apply(0.15));
    assert!(e.begins_with_burst(Micros(1_000)));
    assert_eq!(e.pacing_rate(Micros(200_000)), Some(600_000), "and carefully");
    assert!(e.pacing_rate(Micros(400_000)) > Some(2_500_000), "but does not wait for ever");
}

#[test]
fn without_a_queue_and_without_loss_it_stays() {
    let mut line = Line::new();
    line.run(100, 0, |_, _| 20);
    assert_eq!(line.kbits(), 2_400);
}

#[test]
fn a_queue_lowers_it_below_what_arrives_and_when_it_is_gone_it_is_nearly_that() {
    let mut line = Line::new();
    line.run(20, 0, |_, _| 20);
    // Half of what is sent is carried: 10 ms more with every packet of 10 ms.
    line.run(4, 0, |round, i| 20 + round * 100 + i * 10);
    let low = line.kbits();
    assert!((270..=400).contains(&low), "0.85 of 417: {low}");
    assert!(line.e.pacing_rate(line.now()).unwrap() < 350_000, "until the queue is gone");
    assert!(line.e.apply(0.15));
    // The queue drains; what arrives is still what the link carries.
    let drained = 0.96 * 0.95 * 417.0;
    for _ in 0..6 {
        line.round += 1;
    }
    line.run(10, 9, |_, _| 20);
    let after = line.kbits() as f64;
    assert!(after < drained * 1.15, "{after}");
}

#[test]
fn a_delay_that_rises_and_falls_by_itself_is_soon_no_reason() {
    let mut line = Line::new();
    let wander = |round: u64, i: u64| {
        let place = (round * 100 + i * 10) % 700;
        20 + if place < 350 { place / 2 } else { (700 - place) / 2 }
    };
    line.run(50, 0, wander);
    let mut least = u64::MAX;
    for _ in 0..250 {
        line.run(7, 0, wander);
        least = least.min(line.kbits());
    }
    assert!(least > 800, "what is sent is carried, whatever the delay: {least}");
}

#[test]
fn losses_that_stay_when_less_is_sent_are_the_links_own() {
    let mut line = Line::new();
    line.run(20, 0, |_, _| 20);
    line.run(80, 2, |_, _| 20);
    assert_eq!(line.kbits(), 2_400, "a fifth is lost all the time");
    let mut lowered = false;
    for _ in 0..100 {
        line.run(3, 2, |_, _| 20);
        lowered |= line.kbits() < 2_400;
    }
    assert!(!lowered, "and it is not tried again and again");
}

#[test]
fn losses_that_go_when_less_is_sent_were_too_much() {
    let mut line = Line::new();
    line.run(20, 0, |_, _| 20);
    while line.kbits() == 2_400 {
        line.run(1, 4, |_, _| 20);
        assert!(line.round < 60, "within some seconds");
    }
    let low = line.kbits();
    assert!((400..=600).contains(&low), "less than the 500 that arrived: {low}");
    line.run(40, 0, |_, _| 20);
    assert_eq!(line.kbits(), low);
}

#[test]
fn compat_loss_alone_does_not_go_below_100_kbit_s() {
    let mut line = Line::new();
    for _ in 0..20 {
        line.run(10, 8, |_, _| 20);
    }
    assert!(line.kbits() >= 96, "{}", line.kbits());
}

#[test]
fn an_outage_is_not_congestion() {
    for seconds in [2, 20] {
        let mut line = Line::new();
        line.run(50, 0, |_, _| 20);
        let before = line.kbits();
        // Sent all the time, nothing heard; then the first feedback reports it all as lost.
        for n in 500..500 + seconds * 100 {
            line.e.sent(n as u16, Micros(n * 10_000), 1000);
        }
        let (first, base) = (500 + seconds * 100, 500);
        line.e.sent(first as u16, Micros(first * 10_000), 1000);
        let arrival = Arrival { sequence: ExtSeq(first), time_us: 1_000_000 + first * 10_000 + 60_000 };
        let matched = feed(&mut line.e, Micros(first * 10_000 + 50_000), base, &[arrival]);
        assert!(matched.resumed && matched.received == 1 && matched.lost + matched.unknown > 100);
        assert_eq!(line.kbits(), before, "{seconds} s");
        // The rest of the second, then normal life on a path that is 40 ms longer.
        line.round = 60 + seconds * 10;
        line.run(50, 0, |_, _| 60);
        assert_eq!(line.kbits(), before);
    }
}

#[test]
fn a_receiver_whose_clock_is_set_has_no_queue() {
    let mut line = Line::new();
    line.run(20, 0, |_, _| 20);
    line.run(20, 0, |_, _| 60_000);
    assert_eq!(line.kbits(), 2_400);
}

#[test]
fn rembs_count_as_they_are() {
    let mut e = Estimator::new();
    e.remb(Bitrate(700_000));
    assert_eq!(e.estimate(), Some(Bitrate(700_000)));
    assert!(e.apply(0.15) && !e.apply(0.15));
    e.remb(Bitrate(10));
    assert_eq!(e.estimate().map(|b| b.0 / 1000), Some(28));
}

/// Lets probes happen on a link that carries so many bit/s, or all, for so many rounds; returns what was sent for them.
fn probed(line: &mut Line, rounds: u64, carries: f64) -> u64 {
    let mut seq = line.round * 10;
    let start = line.now();
    let (mut free_at, mut sent, mut base) = (0.0_f64, 0, seq);
    let mut waiting: Vec<(u64, u64)> = Vec::new();
    for tick in 0..rounds * 20 {
        let now = Micros(start.0 + tick * 5_000);
        let mut packets = usize::from(tick % 2 == 0);
        if let Some(rate) = line.e.probing_rate(now, Bitrate(50_000_000)) {
            let bytes = rate.0 / 8 / 200;
            packets = (bytes / 1_044).max(1) as usize;
            sent += bytes;
        }
        for _ in 0..packets {
            line.e.sent(seq as u16, now, 1_000);
            free_at = free_at.max(now.0 as f64) + 1_044.0 * 8e6 / carries;
            waiting.push((seq, free_at as u64 + 20_000));
            seq += 1;
        }
        if tick % 20 == 19 {
            let here = waiting.iter().filter(|(_, at)| *at <= now.0);
            let arrivals: Vec<_> =
                here.map(|(seq, at)| Arrival { sequence: ExtSeq(*seq), time_us: 1_000_000 + at }).collect();
            waiting.retain(|(_, at)| *at > now.0);
            if let Some(last) = arrivals.last() {
                feed(&mut line.e, now, base, &arrivals);
                base = last.sequence.0 + 1;
            }
        }
    }
    line.round += rounds + 1;
    sent
}

#[test]
fn probes_find_out_that_a_link_is_wide() {
    let mut line = Line::new();
    line.run(10, 0, |_, _| 20);
    probed(&mut line, 50, 1e9);
    assert!(line.kbits() > 15_000, "{}", line.kbits());
}

/// After a probe nothing is sent where the only source is too much for what was known before: no later packet is reported.
#[test]
fn what_a_probe_came_to_is_known_when_all_that_was_sent_is_reported() {
    let mut line = Line::new();
    line.run(10, 0, |_, _| 20);
    let (start, first) = (line.now(), line.round * 10);
    let rate = line.e.probing_rate(start, Bitrate(9_000_000)).unwrap();
    let mut arrivals = Vec::new();
    for n in 0..15 {
        let sent = Micros(start.0 + n * 4_000);
        line.e.sent((first + n) as u16, sent, rate.0 as usize / 8 / 250 - 44);
        arrivals.push(Arrival { sequence: ExtSeq(first + n), time_us: 1_020_000 + sent.0 });
    }
    let before = line.kbits();
    let end = Micros(start.0 + 61_000);
    assert_eq!(line.e.probing_rate(end, Bitrate(9_000_000)), None);
    feed(&mut line.e, Micros(start.0 + 100_000), first, &arrivals);
    assert!(line.kbits() > before * 3 / 2, "{} {before}", line.kbits());
}

#[test]
fn nobody_is_probed_for_more_than_the_most() {
    let mut line = Line::new();
    line.run(10, 0, |_, _| 20);
    line.e.remb(Bitrate(50_000_000));
    assert_eq!(line.e.probing_rate(line.now(), Bitrate(50_000_000)), None);
    line.e.remb(Bitrate(19_000_000));
    assert!(line.e.probing_rate(line.now(), Bitrate(50_000_000)).is_some());
}

#[test]
fn probes_do_not_go_beyond_what_a_link_carries() {
    let mut line = Line::new();
    line.run(10, 0, |_, _| 20);
    let sent = probed(&mut line, 200, 4e6);
    assert!((3_000..=4_100).contains(&line.kbits()), "{}", line.kbits());
    // 20 s: of what the link carries, little is used up by trying.
    assert!(sent < 400_000, "{sent}");
}

#[test]
fn nobody_is_probed_who_gets_what_he_wants() {
    let mut line = Line::new();
    line.run(10, 0, |_, _| 20);
    assert_eq!(line.e.probing_rate(line.now(), Bitrate(1_000_000)), None);
    assert!(line.e.probing_rate(line.now(), Bitrate(9_000_000)).is_some());
}

#[test]
fn the_first_packets_say_what_the_link_carries_at_most() {
    let mut e = Estimator::new();
    assert!(!e.is_untried());
    e.begin();
    assert!(e.is_untried() && e.begins_with_burst(Micros(0)) && !e.begins_with_burst(Micros(0)));
    let mut arrivals = Vec::new();
    for n in 0..10 {
        e.sent(n, Micros(0), 256);
        // 300 bytes each at 400 kbit/s.
        arrivals.push(Arrival { sequence: ExtSeq(n.into()), time_us: 1_020_000 + u64::from(n) * 6_000 });
    }
    feed(&mut e, Micros(100_000), 0, &arrivals);
    let kbits = e.estimate().unwrap().0 / 1000;
    assert!((300..=400).contains(&kbits), "{kbits}");
}
