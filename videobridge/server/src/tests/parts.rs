//! A conference on two media threads: real sockets, threads and what goes between them.

use jitsi_xmpp::colibri2::Endpoint;
use jitsi_xmpp::jingle::Candidate;
use peer::describe::{audio_source, endpoint, request};
use serde_json::json;
use service::Metrics;

use super::Bridge;
use super::ways::{Person, up};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conference_on_two_threads_is_one_to_its_people_and_to_admins() {
    let bridge = Bridge::start_with("127.0.0.1:0", &[], (2, 2), None).await;
    let mut all = Vec::new();
    for n in 0..5 {
        let protocol = if n == 4 { "tcp" } else { "udp" };
        let wanted = |c: &Candidate| c.protocol == protocol;
        let id = format!("aaaa000{n}");
        let sources = vec![audio_source(&format!("{id}-a0"), 100 + n)];
        let mut person = Person::join(&bridge, &id, n == 0, sources, wanted).await;
        person.run(up).await;
        all.push(person);
    }
    // Somebody at home, and somebody in the part.
    for (speaker, heard) in [(0, 20), (3, 40)] {
        all[speaker].speak(100 + u32::try_from(speaker).unwrap(), 20).await;
        for (n, person) in all.iter_mut().enumerate() {
            let own = if n == 0 || (n == 3 && heard == 40) { 20 } else { 0 };
            person.run(|p| p.rtp.len() + own >= heard).await;
            assert_eq!(person.peer.broken, 0);
        }
    }
    assert!(
        all[4]
            .peer
            .say(std::time::Instant::now(), r#"{"colibriClass":"EndpointMessage","to":"","msgPayload":1}"#)
    );
    all[4].run(|p| p.sent.is_empty()).await;
    for person in &mut all[..4] {
        person.run(|p| p.texts.iter().any(|t| t.contains("msgPayload"))).await;
    }
    let stats = bridge.json("GET", "/colibri/stats", &json!(null)).await;
    assert_eq!((&stats["conferences"], &stats["endpoints"]), (&json!(1), &json!(5)));
    assert_eq!((&stats["largest_conference"], &stats["octo_endpoints"]), (&json!(5), &json!(0)));
    let state = bridge.json("GET", "/debug/m1", &json!(null)).await;
    assert_eq!((&state["endpoint_count"], state["endpoints"].as_object().unwrap().len()), (&json!(5), 5));
    let metrics = Metrics::new();
    let handle = bridge.handle.clone();
    metrics.add(move |out| handle.expose(out));
    let text = metrics.encode();
    assert!(text.contains("plausch_bridge_thread_total{event=\"part_dropped\"} 0\n"), "{text}");
    assert!(!text.contains("plausch_bridge_thread_total{event=\"part_packets\"} 0\n"), "{text}");
    let gone = (0..5).map(|n| Endpoint { expire: true, ..endpoint(&format!("aaaa000{n}")) });
    bridge.ask(request(false, gone.collect())).await;
    let all_gone = async {
        while bridge.json("GET", "/colibri/stats", &json!(null)).await["endpoints"] != 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::WAIT, all_gone).await.expect("nobody is left");
    bridge.end().await;
}
