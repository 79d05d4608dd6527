//! Floods: a meeting of three on the built server, and a stranger at another address who does one thing as often as it
//! can. The three must hear each other without a gap, somebody new must get in at once, and memory must stay.
//!
//! Everything is on loopback, as behind a web server that names its clients; the stranger's address is 203.0.113.7. Each
//! flood ends by itself after [`town::FLOOD`].

mod attacks;
#[allow(dead_code, reason = "what the meetings ask of a person")]
mod person;
#[path = "../running/mod.rs"]
mod running;
mod streams;
mod town;

use std::time::Duration;

use person::Person;
use town::withstand;

#[test]
fn conference_requests_for_ever_new_rooms() {
    withstand("conference requests over HTTP", |t| attacks::conference_requests(t, 4, attacks::STRANGER));
}

#[test]
fn conference_requests_of_the_machine_itself_that_nobody_names() {
    withstand("conference requests from loopback", |t| attacks::conference_requests(t, 4, "127.0.0.2"));
}

#[test]
fn bodies_that_come_byte_by_byte() {
    withstand("bodies in one-byte chunks", |t| attacks::trickled_bodies(t, 16));
}

#[test]
fn requests_over_http_2_that_are_taken_back_at_once() {
    withstand("HTTP/2 resets", |t| streams::taken_back(t, 8));
}

#[test]
fn streams_of_http_2_that_nobody_reads() {
    withstand("HTTP/2 streams", |t| streams::never_read(t, 60));
}

#[test]
fn connections_that_say_nothing() {
    withstand("idle connections", |t| attacks::idle_connections(t, 600));
}

#[test]
fn passwords_guessed_for_accounts() {
    withstand("failed logins", |t| attacks::failed_logins(t, 4));
}

#[test]
fn logins_without_end() {
    withstand("anonymous logins", |t| attacks::logins(t, 4));
}

#[test]
fn presences_that_are_kept() {
    withstand("large presences", |t| attacks::in_a_room(t, 5, attacks::large_presence));
}

#[test]
fn chat_in_a_room_of_its_own() {
    withstand("chat", |t| attacks::in_a_room(t, 5, attacks::chat));
}

#[test]
fn commands_to_components_knocks_and_other_nicks() {
    withstand("commands", |t| attacks::in_a_room(t, 5, attacks::commands));
}

#[test]
fn sessions_that_join_and_never_read() {
    withstand("deaf pairs", |t| attacks::deaf_pairs(t, 400));
}

#[test]
fn legal_requests_to_the_focus() {
    withstand("IQs to the focus", |t| attacks::in_a_room(t, 4, attacks::iq_to_focus));
}

#[test]
fn answers_nobody_asked_for() {
    withstand("forged answers", |t| attacks::in_a_room(t, 4, attacks::forged_answer));
}

#[test]
fn passwords_guessed_for_rooms() {
    withstand("room passwords", |t| attacks::room_passwords(t, 4));
}

#[test]
fn datagrams_of_strangers() {
    withstand("datagrams", attacks::datagrams);
}

#[test]
fn requests_to_the_turn_server_without_end() {
    withstand("TURN requests", attacks::turn_requests);
}

#[test]
fn relays_that_pour_onto_the_bridge() {
    withstand("TURN relays", attacks::turn_relays);
}

#[test]
fn feedback_that_claims_too_much() {
    withstand("transport-wide feedback", |t| attacks::with_media(t, attacks::transport_cc));
}

#[test]
fn retransmissions_asked_for_again_and_again() {
    withstand("NACKs", |t| attacks::with_media(t, attacks::nacks));
}

#[test]
fn messages_on_the_bridge_channel() {
    withstand("bridge channel", |t| attacks::with_media(t, attacks::channel_messages));
}

/// Whoever stops a server found warnings in its log and looked for a fault.
#[test]
fn a_stop_in_the_middle_of_a_meeting_logs_no_warnings() {
    use std::io::Read as _;
    let mut server = running::Whole::start(|c| {
        c.args(["--log", "info"]);
    });
    let people = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let meeting: Vec<Person> = people.block_on(async {
        let meeting: Vec<Person> =
            [(1, "Anna"), (2, "Ben"), (3, "Cem")].map(|(n, who)| Person::join(n, who, server.http)).into();
        for person in &meeting {
            person.connected(Duration::from_secs(20)).await.expect("a meeting");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        meeting
    });
    server.running.signal("-TERM");
    let mut log = String::new();
    server.running.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    // Before it, the machine's own buffers may be a reason.
    let end = log.split_once("stopping").expect("a stop is called stop").1;
    let bad: Vec<&str> = end.lines().filter(|l| l.contains("WARN") || l.contains("ERROR")).collect();
    assert_eq!(bad, Vec::<&str>::new(), "{log}");
    assert!(!log.contains("drain"), "{log}");
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while server.running.0.try_wait().unwrap().is_none() {
        assert!(std::time::Instant::now() < end, "still running");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(server.running.0.wait().unwrap().code(), Some(0));
    drop(meeting);
}
