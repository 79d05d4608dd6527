//! Each bound of the crate: what is at it passes, what is one beyond does not.

use std::time::{Duration, Instant};

use impairment::*;

use crate::{assert_balanced, ms};

#[test]
fn datagram_bytes() {
    let mut link = Link::new(1, Conditions::PERFECT);
    let now = Instant::now();
    link.handle_datagram(now, &vec![7; DATAGRAM_BYTES]);
    assert_eq!(link.poll_output(now).unwrap().len(), DATAGRAM_BYTES);
    link.handle_datagram(now, &vec![7; DATAGRAM_BYTES + 1]);
    assert_eq!((link.poll_output(now), link.counters().overflowed), (None, 1));
    assert_balanced(&link);
}

#[test]
fn shares_times_rates_and_queues() {
    let checked = |c| Link::new(1, c).conditions();
    let most = Conditions {
        loss: 1.0,
        burst: Some(Burst { length: 1.0, loss: 1.0 }),
        delay: DELAY,
        jitter: DELAY,
        jitter_reorders: true,
        duplicate: 1.0,
        reorder: 1.0,
        reorder_by: DELAY,
        corrupt: 1.0,
        rate: Some(FASTEST_RATE),
        queue_bytes: QUEUE_BYTES,
    };
    assert_eq!(checked(most), most);
    let beyond = Conditions {
        loss: 1.1,
        burst: Some(Burst { length: 0.9, loss: f64::INFINITY }),
        delay: DELAY + Duration::from_nanos(1),
        jitter: Duration::MAX,
        duplicate: 2.0,
        reorder: 1.0 + f64::EPSILON,
        reorder_by: Duration::MAX,
        corrupt: 7.0,
        rate: Some(FASTEST_RATE + 1),
        queue_bytes: QUEUE_BYTES + 1,
        ..most
    };
    assert_eq!(checked(beyond), most);
    let least = Conditions { rate: Some(SLOWEST_RATE), burst: None, ..Conditions::PERFECT };
    let below = Conditions {
        loss: -0.1,
        duplicate: f64::NAN,
        corrupt: f64::NEG_INFINITY,
        rate: Some(SLOWEST_RATE - 1),
        ..least
    };
    assert_eq!(checked(least), least);
    assert_eq!(checked(below), least);
    // And changed while running.
    let mut link = Link::new(1, Conditions::PERFECT);
    link.set_conditions(Instant::now(), beyond);
    assert_eq!(link.conditions(), most);
}

#[test]
fn queued_datagrams() {
    let mut link =
        Link::new(1, Conditions { queue_bytes: QUEUE_BYTES, ..Conditions::with_rate(SLOWEST_RATE) });
    let now = Instant::now();
    for _ in 0..QUEUED_DATAGRAMS {
        link.handle_datagram(now, &[7]);
    }
    assert_eq!((link.len(), link.counters().dropped), (QUEUED_DATAGRAMS, 0));
    link.handle_datagram(now, &[7]);
    assert_eq!((link.len(), link.counters().dropped), (QUEUED_DATAGRAMS, 1));
}

#[test]
fn queue_bytes() {
    let mut link =
        Link::new(1, Conditions { queue_bytes: usize::MAX, ..Conditions::with_rate(SLOWEST_RATE) });
    let now = Instant::now();
    let size = 1024 - HEADER_BYTES;
    for _ in 0..QUEUE_BYTES / 1024 {
        link.handle_datagram(now, &vec![7; size]);
    }
    assert_eq!((link.len(), link.counters().dropped), (QUEUE_BYTES / 1024, 0));
    link.handle_datagram(now, &[]);
    assert_eq!(link.counters().dropped, 1);
}

#[test]
fn flying_datagrams() {
    let mut link = Link::new(1, Conditions { delay: ms(100), ..Conditions::PERFECT });
    let now = Instant::now();
    for _ in 0..FLYING_DATAGRAMS {
        link.handle_datagram(now, &[7]);
    }
    assert_eq!((link.len(), link.counters().overflowed), (FLYING_DATAGRAMS, 0));
    link.handle_datagram(now, &[7]);
    assert_eq!((link.len(), link.counters().overflowed), (FLYING_DATAGRAMS, 1));
    assert!(link.poll_output(now + ms(100)).is_some());
    link.handle_datagram(now + ms(100), &[7]);
    assert_eq!(link.counters().overflowed, 1, "there is room again");
    assert_balanced(&link);
}

#[test]
fn flying_bytes() {
    let mut link = Link::new(1, Conditions { delay: ms(100), ..Conditions::PERFECT });
    let now = Instant::now();
    let data = vec![7; 16 * 1024];
    for _ in 0..FLYING_BYTES / data.len() {
        link.handle_datagram(now, &data);
    }
    assert_eq!(link.counters().overflowed, 0);
    link.handle_datagram(now, &[7]);
    assert_eq!(link.counters().overflowed, 1);
    assert_balanced(&link);
}

#[test]
fn spare_buffers() {
    let mut link = Link::new(1, Conditions::PERFECT);
    for n in 0..=SPARE_BUFFERS {
        link.reuse(vec![n as u8; SPARE_BUFFER_BYTES]);
    }
    link.reuse(Vec::with_capacity(SPARE_BUFFER_BYTES + 1));
    // As many datagrams at once come in kept buffers, the next one in a new and small one.
    let now = Instant::now();
    for _ in 0..=SPARE_BUFFERS {
        link.handle_datagram(now, &[1]);
    }
    let kept = std::iter::from_fn(|| link.poll_output(now)).filter(|d| d.capacity() >= SPARE_BUFFER_BYTES);
    assert_eq!(kept.count(), SPARE_BUFFERS);
    link.reuse(Vec::with_capacity(SPARE_BUFFER_BYTES + 1));
    link.handle_datagram(now, &[1]);
    assert!(link.poll_output(now).unwrap().capacity() <= SPARE_BUFFER_BYTES, "a long one is not kept");
}

#[test]
fn steps() {
    let step = Step { at: ms(1), direction: Direction::Up, conditions: Conditions::PERFECT };
    assert!(Schedule::new(Instant::now(), &vec![step; STEPS]).is_ok());
    let error = Schedule::new(Instant::now(), &vec![step; STEPS + 1]).unwrap_err();
    assert_eq!(error, TooManySteps(STEPS + 1));
    assert_eq!(error.to_string(), "a schedule of 1025 steps; 1024 are possible");
}
