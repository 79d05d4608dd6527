//! Loss, delay, jitter, order, doubles and wrong bits of one link in virtual time.

use std::time::{Duration, Instant};

use impairment::{Burst, Conditions, Link};

use crate::{Arrivals, assert_balanced, datagram, ms, number, numbers, stream};

const EVERYTHING: Conditions = Conditions {
    loss: 0.1,
    burst: Some(Burst { length: 3.0, loss: 0.9 }),
    delay: ms(30),
    jitter: ms(50),
    jitter_reorders: true,
    duplicate: 0.05,
    reorder: 0.05,
    reorder_by: ms(40),
    corrupt: 0.05,
    rate: Some(1_000_000),
    queue_bytes: 20_000,
};

#[test]
fn a_perfect_link_delivers_everything_at_once_and_in_order() {
    let mut link = Link::new(1, Conditions::PERFECT);
    let arrivals = stream(&mut link, 1000, 500, ms(1));
    assert!(arrivals.iter().zip(0..).all(|((at, data), n)| *at == ms(n.into()) && *data == datagram(n, 500)));
    let c = link.counters();
    assert_eq!((c.taken, c.delivered, c.taken_bytes, c.delivered_bytes), (1000, 1000, 500_000, 500_000));
}

#[test]
fn same_seed_same_inputs_same_outputs_and_another_seed_others() {
    let run = |seed| stream(&mut Link::new(seed, EVERYTHING), 3000, 200, ms(1));
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn how_often_a_link_is_polled_changes_nothing() {
    let asked = stream(&mut Link::new(7, EVERYTHING), 1000, 200, ms(2));
    let mut link = Link::new(7, EVERYTHING);
    let start = Instant::now();
    let mut arrivals: Arrivals = Vec::new();
    for tenth in 0..40_000_u32 {
        let now = start + Duration::from_micros(100) * tenth;
        if tenth % 20 == 0 && tenth < 20_000 {
            link.handle_datagram(now, &datagram(tenth / 20, 200));
        }
        while let Some(data) = link.poll_output(now) {
            arrivals.push((now - start, data));
        }
    }
    assert_eq!(arrivals.len(), asked.len());
    for ((late, a), (due, b)) in arrivals.iter().zip(&asked) {
        assert_eq!(a, b);
        assert!(*late >= *due && *late - *due <= Duration::from_micros(100), "{late:?} {due:?}");
    }
}

#[test]
fn loss_is_the_share_that_was_asked_for() {
    for (loss, low, high) in
        [(0.0, 0, 0), (0.01, 800, 1200), (0.05, 4700, 5300), (0.2, 19_500, 20_500), (1.0, 100_000, 100_000)]
    {
        let mut link = Link::new(3, Conditions::with_loss(loss));
        let arrivals = stream(&mut link, 100_000, 4, Duration::from_micros(10));
        let lost = link.counters().lost;
        assert!((low..=high).contains(&lost), "{loss}: {lost}");
        assert_eq!(arrivals.len() as u64, 100_000 - lost);
        assert_balanced(&link);
    }
}

#[test]
fn bursts_keep_the_share_of_loss_and_bring_it_in_runs() {
    let runs = |burst| {
        let mut link = Link::new(5, Conditions { burst, ..Conditions::with_loss(0.05) });
        let arrived = numbers(&stream(&mut link, 200_000, 4, Duration::from_micros(10)));
        let runs = arrived.windows(2).filter(|w| w[1] - w[0] > 1).count();
        (link.counters().lost, link.counters().lost as f64 / runs as f64)
    };
    let (lost, length) = runs(None);
    assert!((9_500..10_500).contains(&lost) && (1.0..1.1).contains(&length), "{lost} in runs of {length}");
    let (lost, length) = runs(Some(Burst { length: 8.0, loss: 1.0 }));
    assert!((9_000..11_000).contains(&lost) && (7.0..9.0).contains(&length), "{lost} in runs of {length}");
    // A bad spell that lets half through: twice as many spells, short runs.
    let (lost, length) = runs(Some(Burst { length: 8.0, loss: 0.5 }));
    assert!((9_000..11_000).contains(&lost) && (1.5..2.5).contains(&length), "{lost} in runs of {length}");
    // More loss than the spell was to have: everything is one spell.
    let all = Conditions { burst: Some(Burst { length: 5.0, loss: 0.1 }), ..Conditions::with_loss(0.6) };
    let mut link = Link::new(5, all);
    stream(&mut link, 100_000, 4, Duration::from_micros(10));
    assert!((58_000..62_000).contains(&link.counters().lost), "{:?}", link.counters());
}

#[test]
fn delay_is_exact_and_keeps_order() {
    let mut link = Link::new(1, Conditions { delay: ms(120), ..Conditions::PERFECT });
    let arrivals = stream(&mut link, 100, 100, ms(3));
    assert!(arrivals.iter().zip(0..).all(|((at, d), n)| *at == ms(120) + ms(3) * n && number(d) == n));
}

/// Delays of datagrams sent one per `gap`.
fn delays(arrivals: &Arrivals, gap: Duration) -> Vec<Duration> {
    arrivals.iter().map(|(at, d)| *at - gap * number(d)).collect()
}

#[test]
fn jitter_in_order_spreads_over_its_range_at_any_density() {
    // From speech to dense video.
    for gap in [ms(20), ms(1), Duration::from_micros(50)] {
        let mut link = Link::new(9, Conditions { delay: ms(10), ..Conditions::with_jitter(ms(300)) });
        let count = u32::try_from(ms(20_000).as_micros() / gap.as_micros()).unwrap();
        // More than a link keeps on its way is tested elsewhere.
        let arrivals = stream(&mut link, count, 20, gap);
        assert_eq!(numbers(&arrivals), (0..count).collect::<Vec<_>>());
        let delays = delays(&arrivals, gap);
        let (least, most) = (*delays.iter().min().unwrap(), *delays.iter().max().unwrap());
        assert!(least >= ms(10) && least < ms(60), "{gap:?}: {least:?}");
        assert!(most <= ms(310) && most > ms(260), "{gap:?}: {most:?}");
        let mean = delays.iter().sum::<Duration>() / count;
        assert!(mean > ms(100) && mean < ms(220), "{gap:?}: {mean:?}");
    }
}

#[test]
fn jitter_after_a_long_silence_starts_anew() {
    let mut link = Link::new(9, Conditions::with_jitter(ms(300)));
    let start = Instant::now();
    for at in [Duration::ZERO, Duration::from_secs(3600 * 24 * 30)] {
        link.handle_datagram(start + at, &[1]);
        let due = link.poll_timeout().unwrap();
        assert!(due - start - at <= ms(300));
        assert!(link.poll_output(due).is_some());
    }
}

#[test]
fn jitter_of_each_datagram_reorders_within_its_range() {
    let mut link = Link::new(9, Conditions { jitter_reorders: true, ..Conditions::with_jitter(ms(300)) });
    let arrivals = stream(&mut link, 5_000, 20, ms(10));
    let overtaken = numbers(&arrivals).windows(2).filter(|w| w[1] < w[0]).count();
    assert!(overtaken > 1_500, "{overtaken}");
    let delays = delays(&arrivals, ms(10));
    assert!(delays.iter().all(|d| *d <= ms(300)));
    let mean = delays.iter().sum::<Duration>() / 5_000;
    assert!(mean > ms(140) && mean < ms(160), "{mean:?}");
}

#[test]
fn the_share_that_is_held_back_is_overtaken_and_the_rest_keeps_its_order() {
    let mut link = Link::new(2, Conditions { reorder: 0.1, reorder_by: ms(25), ..Conditions::PERFECT });
    let arrivals = stream(&mut link, 10_000, 20, ms(10));
    let (late, punctual): (Vec<_>, Vec<_>) = arrivals.iter().partition(|(at, d)| *at > ms(10) * number(d));
    assert!((900..1100).contains(&late.len()), "{}", late.len());
    assert_eq!(late.len() as u64, link.counters().held_back);
    assert!(late.iter().all(|(at, d)| *at == ms(10) * number(d) + ms(25)));
    assert!(punctual.is_sorted_by_key(|(_, d)| number(d)));
    assert_eq!(arrivals.len(), 10_000);
}

#[test]
fn doubles_come_right_after_the_original() {
    let mut link = Link::new(2, Conditions { duplicate: 0.1, ..Conditions::PERFECT });
    let arrived = numbers(&stream(&mut link, 10_000, 20, ms(1)));
    let twins = arrived.windows(2).filter(|w| w[0] == w[1]).count() as u64;
    assert!((900..1100).contains(&twins), "{twins}");
    assert_eq!((twins, arrived.len() as u64), (link.counters().doubled, 10_000 + twins));
    assert!(arrived.is_sorted());
    assert_balanced(&link);
}

#[test]
fn corruption_is_one_bit_and_an_empty_datagram_has_none() {
    let mut link = Link::new(2, Conditions { corrupt: 1.0, ..Conditions::PERFECT });
    let now = Instant::now();
    let sent = [0_u8; 64];
    let mut places = std::collections::HashSet::new();
    for _ in 0..5_000 {
        link.handle_datagram(now, &sent);
        let got = link.poll_output(now).unwrap();
        assert_eq!((got.len(), got.iter().map(|b| b.count_ones()).sum::<u32>()), (64, 1));
        places.insert(got.iter().position(|b| *b != 0).unwrap());
        link.reuse(got);
    }
    assert_eq!((places.len(), link.counters().corrupted), (64, 5_000));
    link.handle_datagram(now, &[]);
    assert_eq!((link.poll_output(now), link.counters().corrupted), (Some(vec![]), 5_000));
}

#[test]
fn conditions_change_for_what_comes_later_and_never_reorder_by_themselves() {
    let start = Instant::now();
    let mut link = Link::new(1, Conditions { delay: ms(200), ..Conditions::PERFECT });
    link.handle_datagram(start, &[1]);
    link.set_conditions(start + ms(10), Conditions { delay: ms(20), ..Conditions::PERFECT });
    link.handle_datagram(start + ms(10), &[2]);
    assert_eq!(link.poll_output(start + ms(199)), None);
    assert_eq!(link.poll_output(start + ms(200)), Some(vec![1]));
    assert_eq!(link.poll_output(start + ms(200)), Some(vec![2]), "waits for its elder");
    link.handle_datagram(start + ms(300), &[3]);
    assert_eq!(link.poll_timeout(), Some(start + ms(320)));
    link.set_conditions(start + ms(301), Conditions::with_loss(1.0));
    link.handle_datagram(start + ms(301), &[4]);
    assert_eq!(link.poll_output(start + ms(320)), Some(vec![3]), "was on its way already");
    assert!(link.is_empty());
    assert_eq!(link.counters().lost, 1);
}
