//! Floods: a meeting of three on the built server, and a stranger at another address who does one thing as often as it
//! can. The three must hear each other without a gap, somebody new must get in at once, and memory must stay.
//!
//! Everything is on loopback, as behind a web server that names its clients; the stranger's address is 203.0.113.7. Each
//! flood ends by itself after [`town::FLOOD`].

mod attacks;
mod person;
#[path = "../running/mod.rs"]
mod running;
mod town;

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
