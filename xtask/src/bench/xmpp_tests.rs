use serde_json::json;

use super::*;

fn measured(with_peer: bool) -> Measured {
    let mut m = Measured::default();
    let report = |cost: f64| {
        json!({
            "cpu_ns_per_delivery": cost, "deliveries_per_second": 1e9 / cost, "latency": { "p50_us": 10, "p99_us": 20 },
        })
    };
    m.add("presence", "ours", report(2000.0));
    m.add("presence", "ours over TLS", report(2310.0));
    m.add("presence", "ours one at a time", report(8000.0));
    m.add("presence", "ours over TLS one at a time", report(9200.0));
    m.add("presence", "ceiling", report(1500.0));
    m.add("two-rooms", "ours", json!({ "deliveries_per_second": 100.0 }));
    m.add("two-rooms", "ours on two cores", json!({ "deliveries_per_second": 169.0, "shares_a_core": true }));
    for (size, cost) in [(50, 8000.0), (2000, 9200.0)] {
        m.add("sizes", &format!("ours one at a time {size}"), report(cost));
    }
    for (size, cost) in [(50, 2000.0), (125, 2000.0), (2000, 2301.0)] {
        m.add("sizes", &format!("ours {size}"), report(cost));
        m.add("sizes", &format!("ceiling {size}"), report(1500.0));
    }
    if with_peer {
        m.add("presence", "peer", report(200_000.0));
        m.add("sizes", "peer 50", report(200_000.0));
    }
    m
}

#[test]
fn presence_is_compared_with_the_ceiling_and_the_peer() {
    let find = |m: &Measured, key: &str| figures(m).into_iter().find(|f| f.key == key).unwrap();
    let cost = find(&measured(true), "xmpp.cpu_per_delivery");
    assert_eq!(cost.ratio_to_ceiling().unwrap().of_medians, 0.75);
    assert_eq!((cost.ratio_to_peer().unwrap().of_medians, cost.met()), (100.0, Some(true)));
    assert_eq!(find(&measured(false), "xmpp.cpu_per_delivery").met(), None);
    let rate = find(&measured(true), "xmpp.deliveries");
    assert_eq!(rate.ratio_to_peer().unwrap().of_medians, 100.0);
    let tls = find(&measured(false), "xmpp.tls_share");
    assert!((tls.ours.as_ref().unwrap().median() - 0.155).abs() < 1e-9 && tls.met() == Some(false));
    let tls = find(&measured(false), "xmpp.tls_share_one_at_a_time");
    assert!((tls.ours.as_ref().unwrap().median() - 0.15).abs() < 1e-9);
    let growth = find(&measured(true), "xmpp.occupant_growth");
    assert_eq!((growth.ours.as_ref().unwrap().median(), growth.met()), (1.1505, Some(false)));
    let growth = find(&measured(true), "xmpp.occupant_growth_one_at_a_time");
    assert_eq!((growth.ours.as_ref().unwrap().median(), growth.met()), (1.15, Some(true)));
    let cores = find(&measured(true), "xmpp.two_cores");
    assert_eq!(
        (cores.ours.as_ref().unwrap().median(), cores.met(), cores.generator_limited),
        (1.69, Some(false), true)
    );
}

#[test]
fn curves_have_a_line_for_each_that_was_measured() {
    let lines = |m: &Measured| charts(m)[0].lines.iter().map(|l| l.points.len()).collect::<Vec<_>>();
    assert_eq!(lines(&measured(true)), [4, 4, 2]);
    assert_eq!(lines(&measured(false)), [4, 4]);
    assert!(charts(&Measured::default()).is_empty());
}

#[test]
fn the_room_of_500_is_measured_once_and_a_peer_is_spared_the_largest() {
    let words = ["xmpp", "--with-prosody", "--scenario", "sizes"];
    let parts = parts(&Options::parse(&words).unwrap());
    let keys: Vec<&str> = parts.iter().flat_map(|p| &p.steps).map(|s| s.key.as_str()).collect();
    let sizes = [
        "ours 50",
        "peer 50",
        "ceiling 50",
        "ours one at a time 50",
        "ceiling one at a time 50",
        "ours 125",
        "peer 125",
        "ceiling 125",
        "ours one at a time 125",
        "ceiling one at a time 125",
        "ours 2000",
        "ceiling 2000",
        "ours one at a time 2000",
        "ceiling one at a time 2000",
    ];
    assert_eq!(
        keys,
        [
            &[
                "ours",
                "ours over TLS",
                "ours one at a time",
                "ours over TLS one at a time",
                "ceiling",
                "ceiling one at a time",
                "peer"
            ],
            &sizes[..]
        ]
        .concat()
    );
}
