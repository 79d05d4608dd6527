use serde_json::json;

use super::*;

/// Two rounds of everything, as the tools report it.
fn measured() -> Measured {
    let mut m = Measured::default();
    for round in 0..2 {
        let wobble = f64::from(round);
        let search = json!({
            "capacity_pps": 500_000.0, "capacity_offered_pps": 50_000.0, "goodput_150_ratio": 0.97,
            "generator_limited": false,
            "curve": [
                { "offered_pps": 25_000.0, "received_pps": 250_000.0, "p50_us": 40, "p99_us": 200, "p999_us": 400,
                  "server_cpu_share": 0.5, "server_rss_bytes": 50_000_000 },
                { "offered_pps": 10_000.0, "received_pps": 100_000.0, "p50_us": 30, "p99_us": 100, "p999_us": 200,
                  "server_cpu_share": 0.2, "server_rss_bytes": null },
            ],
        });
        m.add("capacity", "ours", search.clone());
        m.add("capacity", "ours without GSO", search);
        for (step, cost) in
            [("ours", 1000.0), ("ours without GSO", 2000.0), ("ceiling 8", 500.0), ("ceiling 1", 900.0)]
        {
            let limited = step == "ours" && round == 1;
            let report = json!({
                "cpu_ns_per_packet": cost + wobble, "loss": 0.0, "packets_per_second": 1e9 / cost, "generator_limited": limited,
            });
            m.add("fan-out", step, report);
        }
        m.add("half-load", "ours", json!({ "latency": { "p50_us": 90, "p99_us": 700, "p999_us": 1500 } }));
        m.add(
            "half-load",
            "ceiling 8",
            json!({ "latency": { "p50_us": 20.5, "p99_us": 80.5, "p999_us": 100 } }),
        );
        for (n, cost) in [("10", 1000.0), ("30", 1000.0), ("100", 1010.0), ("300", 1101.0)] {
            m.add("receivers", n, json!({ "cpu_ns_per_packet": cost }));
        }
        let room = json!({
            "rss_per_endpoint_bytes": 1_500_000, "cpu_ns_per_packet": 3000.0, "loss": 0, "latency": { "p99_us": 300 },
            "join": { "p99_us": 90_000 },
        });
        m.add("room10", "ours", room);
        let few = json!({
            "cpu_us_per_participant_second": 3000.0, "cpu_ns_per_packet": 4000.0, "server_wake_ups_per_second": 500.0,
            "speech": { "p99_us": 1000 + 2 * round },
        });
        m.add("few", "room of 4", few);
    }
    m.add("allocations", "ours", json!({ "allocations_per_packet": 0 }));
    let relay = |to_peer: u32, to_client: u32| {
        let of = |cost: u32| json!({ "cpu_ns_per_packet": cost });
        json!({ "to_peer": of(to_peer), "to_client": of(to_client) })
    };
    m.add("turn", "both", json!({ "plain": relay(3000, 3000), "turn": relay(5000, 5001) }));
    m
}

fn figure(key: &str) -> Figure {
    figures(&measured()).into_iter().find(|f| f.key == key).unwrap_or_else(|| panic!("no {key}"))
}

#[test]
fn each_mode_is_compared_with_the_ceiling_of_the_same_mode() {
    let gso = figure("media.cpu_per_packet");
    assert!((gso.ratio_to_ceiling().unwrap().of_medians - 0.5).abs() < 1e-3);
    assert_eq!((gso.met(), gso.generator_limited), (Some(true), true));
    let plain = figure("media.cpu_per_packet_without_gso");
    assert!((plain.ratio_to_ceiling().unwrap().of_medians - 0.45).abs() < 1e-3);
    assert_eq!((plain.met(), plain.generator_limited), (Some(false), false));
}

#[test]
fn added_latency_is_ours_less_the_ceilings_and_growth_is_the_largest_room_by_the_smallest() {
    let added = figure("media.added_latency_p99");
    assert_eq!(added.ours.as_ref().unwrap().median(), 619.5);
    assert_eq!(added.met(), Some(true));
    let growth = figure("media.receiver_growth");
    assert_eq!((growth.ours.as_ref().unwrap().median(), growth.met()), (1.101, Some(false)));
    assert_eq!(figure("media.allocations_per_packet").met(), Some(true));
    assert_eq!(figure("media.turn_to_peer").met(), Some(true), "at the limit");
    assert_eq!(figure("media.turn_to_client").met(), Some(false), "one beyond");
    assert_eq!(figure("media.memory_per_endpoint").met(), Some(true));
    assert_eq!(figure("media.goodput_150").met(), Some(true));
    assert_eq!(figure("media.few.room_of_4.speech_p99_us").met(), Some(false), "one beyond");
    assert_eq!(figure("media.few.room_of_4.cpu_us_per_participant_second").ours.unwrap().median(), 3000.0);
}

#[test]
fn curves_are_in_the_order_of_the_load_and_points_without_a_value_are_left_out() {
    let all = charts(&measured());
    let of = |file: &str| all.iter().find(|c| c.file == file);
    let throughput = of("media-throughput").unwrap();
    let ours = throughput.lines.iter().find(|l| l.name == "Plausch").unwrap();
    assert_eq!(ours.points, [(100_000.0, 100_000.0), (250_000.0, 250_000.0)]);
    assert_eq!(of("media-latency").unwrap().lines.len(), 3);
    assert_eq!(of("media-cpu").unwrap().lines[0].points[1].1, 50.0);
    assert!(of("media-memory").is_none(), "one point is no curve");
    assert_eq!(of("media-receivers").unwrap().lines[0].points.len(), 4);
}

#[test]
fn what_was_not_measured_has_no_line() {
    let mut m = Measured::default();
    m.add("audio", "ours", json!({ "cpu_ns_per_packet": 800.0, "loss": 0.0 }));
    let keys: Vec<String> = figures(&m).into_iter().map(|f| f.key).collect();
    assert!(keys.iter().all(|k| k.starts_with("media.audio.")), "{keys:?}");
    assert!(charts(&m).is_empty() && figures(&Measured::default()).is_empty());
}

#[test]
fn loads_that_are_nearly_the_same_become_one_point() {
    let points = vec![(105.0, 3.0), (100.0, 1.0), (200.0, 10.0), (107.0, 2.0), (109.0, 7.0)];
    assert_eq!(thinned(points), [(105.0, 2.0), (109.0, 7.0), (200.0, 10.0)]);
    assert!(thinned(Vec::new()).is_empty());
}
