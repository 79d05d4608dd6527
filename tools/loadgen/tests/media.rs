//! Small runs of every media scenario against a whole bridge on loopback, and against bridges that are not there, refuse
//! or die.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use loadgen::media::{Arguments, run_until};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::watch;

#[derive(Debug, Parser)]
struct Words {
    #[command(flatten)]
    media: Arguments,
}

fn arguments(url: &str, words: &str) -> Arguments {
    let all = ["media", "--bridge", url].into_iter().chain(words.split_ascii_whitespace());
    Words::try_parse_from(all).unwrap().media
}

fn run(url: &str, words: &str) -> anyhow::Result<Value> {
    run_until(&arguments(url, words), &AtomicBool::new(false))
}

struct Bridge {
    runtime: Runtime,
    stop: watch::Sender<bool>,
    http: SocketAddr,
}

impl Bridge {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let stop = watch::Sender::new(false);
        let raw = videobridge_server::Raw {
            media: "127.0.0.1:0".parse().unwrap(),
            more: Vec::new(),
            tcp: None,
            advertise: Vec::new(),
            inner: true,
            breweries: Vec::new(),
            nick: "jvb-1".into(),
            region: None,
            relay_id: None,
            web_socket_domains: Vec::new(),
            web_socket_tls: false,
            threads: 1,
            spread_above: 0,
            gso: true,
            last_n: videobridge_server::LastN::default(),
        };
        let config = videobridge_server::Config::check(raw, &[], 2).unwrap();
        let told = stop.subscribe();
        let http = runtime.block_on(async {
            let (handle, _) = videobridge_server::start(config, None, told).await.unwrap();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move { axum::serve(listener, handle.admin_router()).await });
            address
        });
        Self { runtime, stop, http }
    }

    fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// Runs, and makes sure that nobody stays behind.
    fn run(&self, words: &str) -> Value {
        let report = run(&self.url(), words).unwrap();
        assert_eq!(self.endpoints(), 0, "all endpoints are let go");
        report
    }

    fn endpoints(&self) -> u64 {
        let mut stream = std::net::TcpStream::connect(self.http).unwrap();
        stream.write_all(b"GET /colibri/stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let stats: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        stats["local_endpoints"].as_u64().unwrap()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let _ = &self.runtime;
    }
}

fn number(report: &Value, key: &str) -> f64 {
    let value = key.split('.').fold(report, |v, k| &v[k]);
    value.as_f64().unwrap_or_else(|| panic!("{key} in {report}"))
}

/// Everything arrived, authentic and soon, and the loss is nobody's.
fn sound(report: &Value) {
    assert!(number(report, "received_packets") > 0.0, "{report}");
    assert!(number(report, "loss") < 0.01, "{report}");
    assert_eq!(number(report, "details.broken_samples"), 0.0, "{report}");
    assert!(number(report, "details.authentic_samples") > 0.0, "{report}");
    assert!(number(report, "latency.count") > 0.0, "{report}");
    assert!(number(report, "latency.p50_us") < 100_000.0, "{report}");
}

#[test]
fn in_a_room_everybody_sees_everybody_at_the_height_they_ask_for() {
    let bridge = Bridge::start();
    let high = bridge.run("--scenario room10 --endpoints 3 --seconds 1.5 --warm-up 1");
    sound(&high);
    assert_eq!(high["endpoints"], 3);
    // Three cameras of 2 Mbit/s or so, to two receivers each, and audio.
    assert!(number(&high, "bitrate_bps") > 6.0 * 1_000_000.0, "{high}");
    assert_eq!(number(&high, "join.count"), 3.0);
    assert!(number(&high, "join.p50_us") > 0.0 && number(&high, "join.first_media.count") == 3.0);
    assert!(number(&high, "details.transport_feedback") > 0.0);

    let low = bridge.run("--scenario room10 --endpoints 3 --seconds 1.5 --warm-up 1 --height 180");
    sound(&low);
    assert!(number(&low, "details.constraint_changes") >= 3.0, "cameras are told: {low}");
    assert!(number(&low, "bitrate_bps") < number(&high, "bitrate_bps") / 3.0, "{low}");
    assert!(number(&low, "offered_pps") < number(&high, "offered_pps") / 2.0, "and obey: {low}");
}

#[test]
fn one_to_many_in_video_and_few_to_many_in_audio() {
    let bridge = Bridge::start();
    let audience = bridge.run("--scenario audience --receivers 5 --seconds 1 --warm-up 0.5");
    sound(&audience);
    assert_eq!(audience["endpoints"], 6);
    let audio = bridge.run("--scenario audio --receivers 4 --seconds 1 --warm-up 0.5");
    sound(&audio);
    // 3 × 50 a second, to the 4 listeners and the other two each.
    let pps = number(&audio, "received_pps");
    assert!((700.0..=1_000.0).contains(&pps), "{pps}");
}

#[test]
fn many_rooms_and_a_storm_of_joins() {
    let bridge = Bridge::start();
    let rooms = bridge.run("--scenario rooms --rooms 3 --endpoints 2 --seconds 1 --warm-up 0.5");
    sound(&rooms);
    assert_eq!((&rooms["rooms"], &rooms["endpoints"]), (&3.into(), &6.into()));
    let storm = bridge.run("--scenario join-storm --receivers 8 --spread 1 --seconds 0.5 --warm-up 0.5");
    assert_eq!(number(&storm, "join.count"), 11.0);
    assert_eq!(number(&storm, "join.first_media.count"), 11.0, "{storm}");
    assert!(number(&storm, "join.p99_us") < 5_000_000.0);
}

#[test]
fn a_flat_pattern_is_forwarded_at_its_rate_and_a_search_finds_what_it_may() {
    let bridge = Bridge::start();
    let flat = "--scenario fan-out --senders 2 --fan-out 3 --step-seconds 0.4";
    let report = bridge.run(&format!("{flat} --rate 800 --seconds 1 --warm-up 0.5"));
    sound(&report);
    let (offered, received) = (number(&report, "offered_pps"), number(&report, "received_pps"));
    assert!((700.0..=900.0).contains(&offered), "{report}");
    assert!((2.9..=3.1).contains(&(received / offered)), "{report}");
    let report = bridge.run(&format!("{flat} --search --rate 400 --max-rate 600 --warm-up 0.2"));
    assert!(number(&report, "capacity_pps") > 1_000.0, "{report}");
    assert!(number(&report, "goodput_150_ratio") > 0.9, "{report}");
    assert!(report["curve"].as_array().unwrap().len() >= 4, "{report}");
}

#[test]
fn lost_packets_are_asked_for_and_repaired_both_ways() {
    let bridge = Bridge::start();
    for rewriting in ["", "--no-ssrc-rewriting"] {
        let words = "--scenario loss-5 --endpoints 2 --seconds 2 --warm-up 1";
        let report = bridge.run(&format!("{words} {rewriting}"));
        assert!(number(&report, "details.nacked") > 0.0, "{report}");
        assert!(number(&report, "details.repaired") > 0.0, "{report}");
        assert!(number(&report, "details.retransmissions_sent") > 0.0, "the bridge asks, too: {report}");
        // What was lost last is still being repaired. Both links together lose a tenth; 0.01 to 0.043 was seen.
        assert!(number(&report, "loss") < 0.06, "less than the links lose: {report}");
        assert_eq!(number(&report, "details.broken_samples"), 0.0, "{report}");
    }
}

#[test]
fn jitter_shows_as_latency_and_a_narrow_link_as_less() {
    let bridge = Bridge::start();
    let jitter = bridge.run("--scenario jitter-300 --endpoints 2 --seconds 1.5 --warm-up 0.5");
    assert!(number(&jitter, "latency.p99_us") > 100_000.0, "{jitter}");
    let steps = bridge.run("--scenario rate-steps --endpoints 2 --seconds 6 --warm-up 0.5");
    let phases = steps["phases"].as_array().unwrap();
    let rates: Vec<f64> = phases.iter().map(|p| number(p, "bitrate_bps")).collect();
    assert!(rates[1] < rates[0] / 2.0 && rates[1] < 2.0 * 550_000.0, "{rates:?}");
}

#[test]
fn a_bridge_that_is_not_there_or_refuses_is_one_clear_line_and_soon() {
    let start = Instant::now();
    // Port 1 is nobody's; one that was free a moment ago may be another test's by now.
    let error = run("http://127.0.0.1:1", "--scenario room10").unwrap_err();
    assert!(format!("{error:#}").contains("does not answer"), "{error:#}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for answer in [
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 8\r\n\r\nno rooms",
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]",
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 8_192]);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let url = format!("http://{address}");
    let one = "--scenario fan-out --senders 1 --fan-out 1";
    let error = format!("{:#}", run(&url, one).unwrap_err());
    assert!(error.contains("400 no rooms") && !error.contains('\n'), "{error}");
    let error = format!("{:#}", run(&url, one).unwrap_err());
    assert!(error.contains("no Colibri2"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_bridge_that_dies_in_the_middle_ends_the_run_soon() {
    let bridge = Bridge::start();
    let url = bridge.url();
    let run_long = |words: &str| {
        let words = format!("--scenario room10 --endpoints 2 --seconds 60 {words}");
        let url = url.clone();
        std::thread::spawn(move || {
            let error = run(&url, &words).unwrap_err();
            (format!("{error:#}"), Instant::now())
        })
    };
    // The process that is watched.
    let mut process = Command::new("sleep").arg("60").spawn().unwrap();
    let watched = run_long(&format!("--pid {}", process.id()));
    std::thread::sleep(Duration::from_millis(2_500));
    process.kill().unwrap();
    process.wait().unwrap();
    let killed = Instant::now();
    let (error, at) = watched.join().unwrap();
    assert!(error.contains("is gone") && at - killed < Duration::from_secs(2), "{error}");

    // The bridge itself.
    let running = run_long("");
    std::thread::sleep(Duration::from_millis(2_500));
    bridge.stop.send_replace(true);
    let stopped = Instant::now();
    let (error, at) = running.join().unwrap();
    assert!(error.contains("the bridge"), "{error}");
    assert!(at - stopped < Duration::from_secs(5), "{error} after {:?}", at - stopped);
}

#[test]
fn an_interrupted_run_leaves_an_empty_bridge() {
    let bridge = Bridge::start();
    let stop = AtomicBool::new(false);
    let words = arguments(&bridge.url(), "--scenario audience --receivers 2 --seconds 60");
    let error = std::thread::scope(|scope| {
        let running = scope.spawn(|| run_until(&words, &stop).unwrap_err());
        std::thread::sleep(Duration::from_secs(1));
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap()
    });
    assert_eq!(error.to_string(), "interrupted");
    assert_eq!(bridge.endpoints(), 0);
}

#[test]
fn wrong_words_and_numbers_are_refused_before_anything_is_sent() {
    for words in ["--scenario party", "--scenario room10 --seconds many", "--scenario room10 --pattern none"]
    {
        let all = ["media", "--bridge", "http://127.0.0.1:1"].into_iter().chain(words.split(' '));
        assert!(Words::try_parse_from(all).is_err(), "{words}");
    }
    for (words, expected) in [
        ("--scenario room10 --endpoints 1", "at least 2"),
        ("--scenario audience --receivers 4000", "at most 4000"),
        ("--scenario fan-out --size 59", "--size"),
        ("--scenario fan-out --burst 0", "--burst"),
        ("--scenario room10 --seconds 601", "--seconds"),
        ("--scenario room10 --seconds NaN", "--seconds"),
        ("--scenario fan-out --rate 2000001", "--rate"),
    ] {
        let error = run("http://127.0.0.1:1", words).unwrap_err().to_string();
        assert!(error.contains(expected), "{words}: {error}");
    }
    let error = run("https://127.0.0.1:1", "--scenario room10").unwrap_err().to_string();
    assert!(error.contains("http://"), "{error}");
}
