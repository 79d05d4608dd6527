//! The bottleneck: rate, queue, tail drop, and steps of the rate in virtual time.

use std::time::{Duration, Instant};

use impairment::{Conditions, HEADER_BYTES, Link};

use crate::{Arrivals, assert_balanced, datagram, drain, ms, numbers};

/// On the wire 1,250 bytes: 10,000 bits.
const SIZE: usize = 1_250 - HEADER_BYTES;

fn bottleneck(rate: u64, queue_bytes: usize) -> Conditions {
    Conditions { queue_bytes, ..Conditions::with_rate(rate) }
}

#[test]
fn datagrams_leave_one_after_the_other_at_the_rate() {
    let mut link = Link::new(1, Conditions { delay: ms(5), ..bottleneck(1_000_000, 12_500) });
    let start = Instant::now();
    for n in 0..10 {
        link.handle_datagram(start, &datagram(n, SIZE));
    }
    let mut arrivals = Arrivals::new();
    drain(&mut link, start, start + ms(1000), &mut arrivals);
    let times: Vec<_> = arrivals.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, (1..=10).map(|n| ms(5 + 10 * n)).collect::<Vec<_>>());
    // After a pause nothing is saved up: the next one takes its time again.
    link.handle_datagram(start + ms(1000), &datagram(10, SIZE));
    assert_eq!(link.poll_timeout(), Some(start + ms(1015)));
}

#[test]
fn a_full_queue_takes_nothing_more_until_something_has_left() {
    let mut link = Link::new(1, bottleneck(1_000_000, 12_500));
    let start = Instant::now();
    for n in 0..10 {
        link.handle_datagram(start, &datagram(n, SIZE));
    }
    assert_eq!((link.len(), link.counters().dropped), (10, 0), "exactly full");
    link.handle_datagram(start, &[]);
    link.handle_datagram(start + Duration::from_micros(9_999), &datagram(10, SIZE));
    assert_eq!((link.len(), link.counters().dropped), (10, 2), "one beyond");
    link.handle_datagram(start + ms(10), &datagram(11, SIZE));
    let mut arrivals = Arrivals::new();
    drain(&mut link, start, start + ms(1000), &mut arrivals);
    assert_eq!(numbers(&arrivals), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11], "the tail was dropped");
    assert_balanced(&link);
}

#[test]
fn without_a_queue_one_datagram_at_a_time_still_gets_through() {
    let mut link = Link::new(1, bottleneck(1_000_000, 0));
    let start = Instant::now();
    for n in 0..4 {
        link.handle_datagram(start + ms(5) * n, &datagram(n, SIZE));
    }
    let mut arrivals = Arrivals::new();
    drain(&mut link, start, start + ms(1000), &mut arrivals);
    assert_eq!(arrivals.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [ms(10), ms(20)]);
    assert_eq!(link.counters().dropped, 2);
}

#[test]
fn ten_megabits_then_half_a_megabit_then_ten_again() {
    let mut link = Link::new(1, bottleneck(10_000_000, 64 * 1024));
    let start = Instant::now();
    let mut arrivals = Arrivals::new();
    // 8 Mbit/s are sent all the time: 30 seconds of 800 datagrams.
    for n in 0..24_000_u32 {
        let now = start + Duration::from_micros(1250) * n;
        drain(&mut link, start, now, &mut arrivals);
        match n {
            8_000 => link.set_conditions(now, bottleneck(500_000, 64 * 1024)),
            16_000 => link.set_conditions(now, bottleneck(10_000_000, 64 * 1024)),
            _ => {}
        }
        link.handle_datagram(now, &datagram(n, SIZE));
    }
    drain(&mut link, start, start + ms(60_000), &mut arrivals);
    let rate = |from: u64, to: u64| {
        let within = |at: &&(Duration, Vec<u8>)| at.0 > ms(1000 * from) && at.0 <= ms(1000 * to);
        arrivals.iter().filter(within).count() as u64 * 10_000 / (to - from)
    };
    assert!((7_990_000..=8_010_000).contains(&rate(1, 10)), "{}", rate(1, 10));
    assert!((490_000..=510_000).contains(&rate(11, 20)), "{}", rate(11, 20));
    assert!((7_990_000..=8_010_000).contains(&rate(21, 30)), "{}", rate(21, 30));
    // What stood in the queue leaves at the new rate on top of what is sent: 52 datagrams within 2 Mbit/s to spare.
    assert!((9_900_000..=10_100_000).contains(&(arrivals_in(&arrivals, 20_000, 20_200) * 10_000 * 5)));
    assert!(arrivals.is_sorted_by_key(|(at, d)| (*at, d.clone())) && numbers(&arrivals).is_sorted());
    let waits: Vec<_> =
        arrivals.iter().map(|(at, d)| *at - Duration::from_micros(1250) * super::number(d)).collect();
    assert!(waits.iter().max().unwrap() <= &ms(1049), "a full queue is 64 KiB at 500 kbit/s");
    assert!(waits.last().unwrap() <= &ms(1));
    assert_balanced(&link);
}

fn arrivals_in(arrivals: &Arrivals, from: u64, to: u64) -> u64 {
    arrivals.iter().filter(|(at, _)| *at > ms(from) && *at <= ms(to)).count() as u64
}

#[test]
fn a_new_rate_counts_from_the_middle_of_a_datagram() {
    let start = Instant::now();
    let mut link = Link::new(1, bottleneck(1_000_000, 64 * 1024));
    link.handle_datagram(start, &datagram(0, SIZE));
    link.handle_datagram(start, &datagram(1, SIZE));
    // Half of the first one is sent; the other half takes ten times as long, or no time at all.
    link.set_conditions(start + ms(5), bottleneck(100_000, 64 * 1024));
    assert_eq!(link.poll_timeout(), Some(start + ms(55)));
    link.set_conditions(start + ms(30), bottleneck(1_000_000, 64 * 1024));
    assert_eq!(link.poll_timeout(), Some(start + Duration::from_micros(32_500)));
    link.set_conditions(start + ms(31), Conditions::PERFECT);
    assert_eq!(link.poll_timeout(), Some(start + ms(31)));
    assert!(link.poll_output(start + ms(31)).is_some() && link.poll_output(start + ms(31)).is_some());
    assert!(link.is_empty());
    link.set_conditions(start + ms(32), bottleneck(1_000_000, 64 * 1024));
    link.handle_datagram(start + ms(40), &datagram(2, SIZE));
    assert_eq!(link.poll_timeout(), Some(start + ms(50)));
}
