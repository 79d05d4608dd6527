//! Every signalling scenario, small, against our own server in the same process; and servers that are not there, say
//! no, say nothing, or go away.

#[path = "signalling/failures.rs"]
mod failures;
#[path = "signalling/server.rs"]
mod server;

use clap::Parser;
use loadgen::signalling::{Arguments, run};
use serde_json::Value;

use server::{PASSWORD, TestServer};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    arguments: Arguments,
}

fn arguments(url: &str, options: &str) -> Arguments {
    let options = options.split_ascii_whitespace();
    Cli::try_parse_from(["test", "--url", url].into_iter().chain(options)).unwrap().arguments
}

fn report(server: &TestServer, options: &str) -> Value {
    let pid = std::process::id();
    let focus = format!("--focus-password {PASSWORD} --focus-server {}", server.tcp);
    run(&arguments(&server.url, &format!("{focus} --pid {pid} {options}"))).unwrap()
}

fn number(report: &Value, key: &str) -> f64 {
    report[key].as_f64().unwrap_or_else(|| panic!("no {key} in {report}"))
}

/// What every report has.
fn check_common(report: &Value, scenario: &str) {
    assert_eq!(report["scenario"], scenario);
    assert!(report["generator_limited"].is_boolean(), "{report}");
    for key in ["seconds", "server_cpu_seconds", "generator_cpu_seconds", "server_rss_bytes"] {
        assert!(number(report, key) > 0.0, "{key}: {report}");
    }
}

#[test]
fn presence_reaches_everybody_in_every_room_and_is_counted() {
    let server = TestServer::start();
    let r = report(&server, "--scenario presence --occupants 12 --rooms 3 --seconds 0.5 --warm-up 0.1");
    check_common(&r, "presence");
    // Rooms of 4, and the focus that opened them gets everything too.
    assert!(number(&r, "deliveries") >= 100.0, "{r}");
    assert_eq!(r["occupants_per_room"], 4);
    assert!(number(&r, "cpu_ns_per_delivery") > 0.0);
    assert!(number(&r["latency"], "p99_us") >= number(&r["latency"], "p50_us"));
    assert!(number(&r["latency"], "max_us") < 5_000_000.0, "{r}");
    server.until_empty();
}

#[test]
fn a_rate_is_kept() {
    let server = TestServer::start();
    let r = report(&server, "--scenario chat --occupants 5 --seconds 1 --warm-up 0.2 --rate 40 --no-sm");
    check_common(&r, "chat");
    // 40 messages to 5 members and the focus.
    let deliveries = number(&r, "deliveries");
    assert!((200.0..=280.0).contains(&deliveries), "{r}");
    assert_eq!(r["skipped"], 0);
    server.until_empty();
}

#[test]
fn all_who_come_at_once_see_all() {
    let server = TestServer::start();
    let r = report(&server, "--scenario join-storm --occupants 20 --seconds 0.5");
    check_common(&r, "join-storm");
    assert_eq!(r["join"]["count"], 20);
    // Each sees the focus, all members once, and the focus sees all.
    assert!(number(&r, "deliveries") >= 20.0 * 21.0 + 20.0, "{r}");
    let time = number(&r, "all_present_seconds");
    assert!((0.45..5.0).contains(&time), "{r}");
    assert!(number(&r, "server_rss_peak_bytes") > 0.0);
    server.until_empty();
}

#[test]
fn newcomers_to_a_full_room_see_it_and_leave() {
    let server = TestServer::start();
    let r = report(&server, "--scenario join-full --occupants 15 --joins 5");
    check_common(&r, "join-full");
    assert_eq!(r["join"]["count"], 5);
    assert!(number(&r["join"], "p99_us") < 2_000_000.0, "{r}");
    // Per newcomer: 16 presences and its own, 16 others told, and the same for its leave.
    assert!(number(&r, "deliveries") >= 5.0 * (17.0 + 16.0), "{r}");
    server.until_empty();
}

#[test]
fn idle_sessions_are_logged_in_pinged_and_gone_afterwards() {
    let server = TestServer::start();
    let r =
        report(&server, "--scenario idle --occupants 20 --rooms 5 --seconds 0.5 --warm-up 0.1 --ping 0.2");
    check_common(&r, "idle");
    assert_eq!((&r["sessions"], &r["rooms"]), (&20.into(), &5.into()));
    assert_eq!(r["deliveries"], 0);
    assert!(r["rss_per_session_bytes"].is_u64(), "{r}");
    assert!(number(&r["login"], "cpu_ns_per_login") > 0.0, "{r}");
    server.until_empty();
}

#[test]
fn a_growing_room_makes_a_curve() {
    let server = TestServer::start();
    let r = report(&server, "--scenario presence-sweep --sizes 3,6,12 --seconds 0.3 --warm-up 0.1");
    check_common(&r, "presence-sweep");
    let curve = r["curve"].as_array().unwrap();
    assert_eq!(curve.iter().map(|p| p["occupants"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 6, 12]);
    for point in curve {
        assert!(number(point, "cpu_ns_per_delivery") > 0.0 && number(point, "deliveries") > 30.0, "{point}");
    }
    server.until_empty();
}

#[test]
fn people_ask_the_focus_before_they_join() {
    let server = TestServer::start();
    let _focus = server.attach_focus();
    let r =
        run(&arguments(&server.url, "--scenario join-storm --occupants 6 --seconds 0.2 --focus")).unwrap();
    assert_eq!(r["join"]["count"], 6);
    assert_eq!(r["server_cpu_seconds"], Value::Null);
}
