//! Links in virtual time, schedules, and the proxy between real sockets on loopback.

mod limits;
mod link;
mod proxy;
mod rate;
mod schedule;

use std::time::{Duration, Instant};

use impairment::Link;

/// What came out: when, after the start, and what.
type Arrivals = Vec<(Duration, Vec<u8>)>;

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Lets a link run until `end`, looking only when it asks for it.
fn drain(link: &mut Link, start: Instant, end: Instant, arrivals: &mut Arrivals) {
    while let Some(at) = link.poll_timeout().filter(|at| *at <= end) {
        while let Some(data) = link.poll_output(at) {
            arrivals.push((at - start, data));
        }
    }
}

/// Sends this many numbered datagrams, one every `gap`, and waits for all.
fn stream(link: &mut Link, count: u32, size: usize, gap: Duration) -> Arrivals {
    let start = Instant::now();
    let mut arrivals = Vec::new();
    for n in 0..count {
        let now = start + gap * n;
        drain(link, start, now, &mut arrivals);
        link.handle_datagram(now, &datagram(n, size));
    }
    drain(link, start, start + gap * count + ms(100_000), &mut arrivals);
    assert!(link.is_empty() && link.poll_timeout().is_none());
    arrivals
}

fn datagram(n: u32, size: usize) -> Vec<u8> {
    let mut data = n.to_be_bytes().to_vec();
    data.resize(size.max(4), n as u8);
    data
}

fn number(data: &[u8]) -> u32 {
    u32::from_be_bytes(data[..4].try_into().unwrap())
}

fn numbers(arrivals: &Arrivals) -> Vec<u32> {
    arrivals.iter().map(|(_, d)| number(d)).collect()
}

/// Every datagram is accounted for.
fn assert_balanced(link: &Link) {
    let c = link.counters();
    let known = c.delivered + c.lost + c.dropped + c.overflowed + link.len() as u64;
    assert_eq!(c.taken + c.doubled, known, "{c:?}");
}
