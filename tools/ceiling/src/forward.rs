//! A fan-out, a packet size and a train length in; CPU time per outgoing packet of the least a bridge has to do, out.
//!
//! One thread, alone on its core: receive → authenticate and decrypt → for each receiver copy, rewrite SSRC and
//! sequence number, encrypt with its own key → send. A second thread on the other core is all sources, which take turns, and all
//! receivers.
//!
//! What is included: the sending thread also pays for loopback's receive path up to the receivers' sockets, as every
//! server measured on loopback does. What is not: address lookup, replay list, retransmission history, congestion
//! control, bandwidth allocation, statistics, and waking a receiver that sleeps (ours looks by itself). Receivers
//! never take trains as a whole (no `UDP_GRO`): that would skip half of the path.
//!
//! Without `--rate` the source keeps a bounded number of packets on their way, so that the forwarder always has work
//! and no queue overflows: a full socket would make sending cheaper and the ceiling a lie.

mod forwarder;
mod load;
mod plan;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::thread::{self, Window};
use forwarder::Forwarded;
use load::Loaded;
use plan::Plan;

/// What to forward, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Receivers of each packet.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    fan_out: u16,
    /// Sources, each with receivers of its own: a key and a socket for each, as many as a server has that is compared.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    senders: u16,
    /// Bytes of an RTP packet before encryption, header included.
    #[arg(long, default_value_t = 1100, value_parser = clap::value_parser!(u16).range(64..=1400))]
    size: u16,
    /// Packets of one receiver that the kernel gets as one train (UDP_SEGMENT); 1: each on its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=40))]
    segments: u16,
    /// SRTP profile.
    #[arg(long, value_enum, default_value_t = Profile::Gcm)]
    profile: Profile,
    /// How long to measure, after a warm-up of a tenth of it.
    #[arg(long, default_value = "5", value_parser = crate::seconds)]
    seconds: Duration,
    /// Core of the forwarder.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Core of the source and the receivers.
    #[arg(long, default_value_t = 1)]
    load_core: usize,
    /// Packets per second that come in, and latency is measured; without: as many as the forwarder takes.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    rate: Option<u32>,
    /// Packets that the source sends at once, as the packets of a video frame come.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    burst: u16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Profile {
    /// AEAD_AES_128_GCM
    Gcm,
}

/// Runs both threads and returns the report.
pub(crate) fn run(arguments: &Arguments) -> Result<Value> {
    let (plan, sockets) = Plan::new(arguments)?;
    let window = Window::starting_now(arguments.seconds);
    let stop = AtomicBool::new(false);
    // Whichever thread ends first, also by an error, ends the other.
    let (forwarded, loaded) = std::thread::scope(|scope| {
        let forwarder = scope.spawn(|| {
            let done = forwarder::run(&plan, &sockets.forwarder, window, arguments.core, &stop);
            stop.store(true, Ordering::Relaxed);
            done
        });
        let load = load::run(&plan, &sockets, window, arguments.load_core, &stop);
        stop.store(true, Ordering::Relaxed);
        (forwarder.join(), load)
    });
    let Ok(forwarded) = forwarded else { bail!("the forwarder broke down") };
    let (forwarded, loaded) = thread::both(forwarded, loaded)?;
    report(arguments, &forwarded, &loaded)
}

fn report(arguments: &Arguments, forwarded: &Forwarded, loaded: &Loaded) -> Result<Value> {
    let meter = &forwarded.measured;
    let (first, last) = (meter.first, meter.last);
    let packets = last.packets - first.packets;
    let messages = last.messages - first.messages;
    if packets == 0 || loaded.received == 0 {
        bail!(thread::NOTHING);
    }
    let cpu = meter.cpu.as_nanos() as f64;
    let wall = meter.wall.as_secs_f64();
    // The stages were timed by the wall clock; their shares of it divide the CPU time.
    let (rx, tx) = (last.receiving - first.receiving, last.sending - first.sending);
    let busy = meter.wall.saturating_sub(last.waiting - first.waiting);
    let part = |stage: Duration| round(stage.as_secs_f64() / busy.as_secs_f64() * cpu / packets as f64);
    let expected = loaded.offered * u64::from(arguments.fan_out);
    let loss = 1.0 - loaded.received as f64 / expected as f64;
    let offered_pps = loaded.offered as f64 / arguments.seconds.as_secs_f64();
    let idle = (last.waiting - first.waiting).as_secs_f64() / wall;
    Ok(json!({
        "scenario": "forward",
        "seconds": wall,
        "fan_out": arguments.fan_out,
        "senders": arguments.senders,
        "size": arguments.size,
        "segments": arguments.segments,
        "profile": match arguments.profile { Profile::Gcm => "gcm" },
        "cpu_ns_per_packet": round(cpu / packets as f64),
        "packets": packets,
        "packets_per_second": (packets as f64 / wall).round(),
        "packets_per_message": round(packets as f64 / messages as f64),
        "parts": {
            "rx_ns": part(rx), "tx_ns": part(tx), "crypto_ns": part(busy.saturating_sub(rx + tx)),
        },
        "offered_pps": offered_pps.round(),
        "expected_packets": expected,
        "received_packets": loaded.received,
        "loss": loss,
        "lost_at_receivers": loaded.gaps,
        "verified_packets": loaded.verified,
        "latency": arguments.rate.map(|_| latency(&loaded.latency)),
        "idle_share": idle,
        "server_cpu_seconds": meter.cpu.as_secs_f64(),
        "generator_cpu_seconds": loaded.cpu.as_secs_f64(),
        "generator_limited": arguments.rate.map_or(idle > 0.1, |rate| offered_pps < 0.98 * f64::from(rate)),
        "pinned": forwarded.pinned && loaded.pinned,
        "server_rss_before_bytes": null,
        "server_rss_bytes": null,
    }))
}

fn latency(of: &Histogram<u64>) -> Value {
    let at = |share| round(of.value_at_quantile(share) as f64 / 1000.0);
    json!({
        "count": of.len(), "p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": at(1.0),
    })
}

/// To a tenth.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(segments: u16, rate: Option<u32>) -> Arguments {
        Arguments {
            fan_out: 4,
            senders: 1,
            size: 1100,
            segments,
            profile: Profile::Gcm,
            seconds: Duration::from_millis(300),
            core: 0,
            load_core: 1,
            rate,
            burst: 8,
        }
    }

    #[test]
    fn packets_arrive_decrypt_and_trains_are_cut() {
        for segments in [1, 8] {
            let report = thread::in_turn(|| run(&arguments(segments, None)));
            // A packet that has the wrong length, sender, order or content is an error of the run.
            assert!(report["received_packets"].as_u64().unwrap() > 100, "{report}");
            assert!(report["verified_packets"].as_u64().unwrap() >= 4, "{report}");
            assert_eq!(report["loss"], 0.0, "{report}");
            assert!(report["cpu_ns_per_packet"].as_f64().unwrap() > 50.0, "{report}");
            let train = report["packets_per_message"].as_f64().unwrap();
            assert!(if segments == 1 { train == 1.0 } else { train > 2.0 && train <= 8.0 }, "{report}");
            assert!(report["latency"].is_null());
        }
    }

    #[test]
    fn sources_take_turns_and_each_has_its_own_receivers() {
        let arguments = Arguments { senders: 3, ..arguments(8, None) };
        let report = thread::in_turn(|| run(&arguments));
        assert!(report["received_packets"].as_u64().unwrap() > 100, "{report}");
        assert_eq!((&report["loss"], &report["lost_at_receivers"]), (&0.0.into(), &0.into()), "{report}");
        assert!(report["packets_per_message"].as_f64().unwrap() > 2.0, "{report}");
    }

    #[test]
    fn at_a_rate_the_latency_is_measured() {
        // As on a machine without these cores: unpinned, and it says so.
        let arguments = Arguments { core: 1000, load_core: 1000, ..arguments(1, Some(2000)) };
        let report = thread::in_turn(|| run(&arguments));
        assert_eq!(report["pinned"], false);
        let offered = report["offered_pps"].as_f64().unwrap();
        assert!(report["generator_limited"] == true || (1900.0..2400.0).contains(&offered), "{report}");
        let (p50, p99) = (&report["latency"]["p50_us"], &report["latency"]["p99_us"]);
        assert!(p50.as_f64().unwrap() > 1.0 && p99.as_f64() >= p50.as_f64(), "{report}");
    }
}
