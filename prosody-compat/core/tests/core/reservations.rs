//! Rooms that a booking system has to allow, in virtual time: what it is asked, and what becomes of those who wait.

use std::time::Duration;

use jitsi_xmpp::Sensitive;
use prosody_core::limits::reservations as limits;
use prosody_core::{Answer, Config, Counter, Output, Question, QuestionId, SessionQuery, Transport};

use crate::rig::{Client, ROOM, Rig};

fn booked() -> Rig {
    Rig::with(|c| c.reservations = Some(Sensitive::new("http://booking/api".into())))
}

/// Asks the focus for a meeting.
fn request(rig: &mut Rig, who: &Client, room: &str, id: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<iq type="set" id="{id}" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="{room}"/></iq>"#))
}

/// The questions that the shell has been given since the last look.
fn asked(rig: &mut Rig) -> Vec<(QuestionId, Question)> {
    std::mem::take(&mut rig.other)
        .into_iter()
        .filter_map(|o| match o {
            Output::Ask { id, question } => Some((id, *question)),
            _ => None,
        })
        .collect()
}

fn one(rig: &mut Rig) -> (QuestionId, String) {
    let mut all = asked(rig);
    let (id, q) = all.pop().expect("a question");
    assert!(all.is_empty());
    let body = String::from_utf8(q.body.reveal().clone()).unwrap();
    (id, format!("{} {} {body}", q.method, q.url.reveal()).trim().to_owned())
}

fn hear(rig: &mut Rig, id: QuestionId, answer: &Answer) {
    rig.hear(id, answer);
}

fn response(status: u16, body: &str) -> Answer {
    Answer::Response { status, body: Sensitive::new(body.as_bytes().to_vec()) }
}

/// One that began when the server did.
fn booking(seconds: u64) -> String {
    format!(
        r#"{{"id":"b 7","name":"rathaus","mail_owner":"x@y","start_time":"2026-11-22T23:36:07.000Z","duration":{seconds}}}"#
    )
}

fn has_error(frames: &[String], code: u16, text: &str) -> bool {
    frames.len() == 1
        && frames[0].contains(&format!(r#"<error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">{text}</text><reservation-error xmlns="http://jitsi.org/protocol/focus" error-code="{code}"/></error>"#))
}

/// The room is reserved and the focus has opened it.
fn open(rig: &mut Rig, focus: &Client, who: &Client, seconds: u64) {
    request(rig, who, ROOM, "c");
    let (id, _) = one(rig);
    hear(rig, id, &response(200, &booking(seconds)));
    assert!(rig.take(focus).concat().contains("<conference "));
    assert!(rig.join(focus).concat().contains("code=\"110\""));
    rig.take(who);
}

#[test]
fn a_request_waits_for_the_booking_system_and_goes_to_the_focus_when_it_allows() {
    let mut rig = booked();
    let (focus, anna, ben) = (rig.focus(), rig.client(), rig.client());
    assert!(request(&mut rig, &anna, ROOM, "c1").is_empty());
    let (id, question) = one(&mut rig);
    let owner = anna.bare().replace('@', "%40");
    assert_eq!(
        question,
        format!(
            "POST http://booking/api/conference name=rathaus&start_time=2026-11-22T23%3A36%3A07.000Z&mail_owner={owner}"
        )
    );
    assert!(request(&mut rig, &ben, ROOM, "c2").is_empty() && asked(&mut rig).is_empty(), "asked once");
    assert!(rig.take(&focus).is_empty());
    hear(&mut rig, id, &response(201, &booking(600)));
    let heard = rig.take(&focus);
    assert_eq!(heard.len(), 2);
    assert!(
        heard[0].contains("id=\"c1\"")
            && heard[0].contains(&format!("from=\"focus.meet.jitsi/{}\"", anna.jid))
    );
    assert!(heard[1].contains("id=\"c2\""), "in order");
    assert!(rig.take(&anna).is_empty());
    // Until the focus has opened it, and afterwards, nobody is asked again.
    request(&mut rig, &ben, ROOM, "c3");
    assert_eq!(rig.take(&focus).len(), 1);
    assert!(rig.join(&focus).concat().contains("code=\"110\""));
    request(&mut rig, &ben, ROOM, "c4");
    assert_eq!((rig.take(&focus).len(), asked(&mut rig).len()), (1, 0));
    rig.advance(Duration::from_secs(599));
    assert_eq!(rig.server.stats().rooms, 1);
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn compat_a_refused_reservation_is_an_error_with_number_and_text() {
    let mut rig = booked();
    let (focus, anna, ben) = (rig.focus(), rig.client(), rig.client());
    request(&mut rig, &anna, ROOM, "c1");
    request(&mut rig, &ben, ROOM, "c2");
    let (id, _) = one(&mut rig);
    hear(&mut rig, id, &response(403, r#"{"message":"Not on Sundays"}"#));
    for (who, id) in [(&anna, "c1"), (&ben, "c2")] {
        let heard = rig.take(who);
        assert!(
            has_error(&heard, 403, "Not on Sundays") && heard[0].contains(&format!("id=\"{id}\"")),
            "{heard:?}"
        );
        assert!(heard[0].contains("from=\"focus.meet.jitsi\""));
    }
    assert!(rig.take(&focus).is_empty());
    // Remembered for a while.
    rig.advance(limits::REFUSED - Duration::from_millis(100));
    assert!(has_error(&request(&mut rig, &anna, ROOM, "c3"), 403, "Not on Sundays"));
    assert!(asked(&mut rig).is_empty());
    rig.advance(Duration::from_millis(100));
    assert!(request(&mut rig, &anna, ROOM, "c4").is_empty());
    assert_eq!(asked(&mut rig).len(), 1);
    assert_eq!(rig.server.counters().count(Counter::ReservationsRefused), 1);
    rig.end(&[&focus, &anna, &ben]);
}

#[test]
fn what_could_not_be_asked_is_asked_again_and_what_takes_too_long_is_not() {
    for (answer, text) in [
        (Answer::Unreachable, "Could not contact reservation server"),
        (response(503, ""), "Rejected by reservation server"),
    ] {
        let mut rig = booked();
        let anna = rig.client();
        request(&mut rig, &anna, ROOM, "c");
        for _ in 0..limits::REPEAT {
            let (id, _) = one(&mut rig);
            hear(&mut rig, id, &answer);
            rig.advance(Duration::from_millis(2_900));
            assert!(asked(&mut rig).is_empty() && rig.take(&anna).is_empty());
            rig.advance(Duration::from_millis(100));
        }
        let (id, _) = one(&mut rig);
        hear(&mut rig, id, &answer);
        let code = if answer == Answer::Unreachable { 500 } else { 503 };
        assert!(has_error(&rig.take(&anna), code, text));
        rig.advance(Duration::from_secs(10));
        assert!(asked(&mut rig).is_empty());
    }
    let mut rig = booked();
    let anna = rig.client();
    request(&mut rig, &anna, ROOM, "c");
    let all = asked(&mut rig);
    assert_eq!(all[0].1.deadline, Duration::from_secs(20));
    hear(&mut rig, all[0].0, &Answer::Late);
    assert!(has_error(&rig.take(&anna), 500, "Reservation lookup timed out"));
    // A second try that is heard counts like a first.
    rig.advance(Duration::from_secs(30));
    let focus = rig.focus();
    request(&mut rig, &anna, ROOM, "c");
    let (id, first) = one(&mut rig);
    hear(&mut rig, id, &Answer::Unreachable);
    rig.advance(Duration::from_secs(3));
    let (id, second) = one(&mut rig);
    assert_eq!(first, second);
    hear(&mut rig, id, &response(200, &booking(600)));
    assert_eq!(rig.take(&focus).len(), 1);
}

#[test]
fn a_booking_that_is_there_already_is_looked_at() {
    let mut rig = booked();
    let (focus, anna) = (rig.focus(), rig.client());
    request(&mut rig, &anna, ROOM, "c");
    let (id, _) = one(&mut rig);
    hear(&mut rig, id, &response(409, r#"{"conflict_id":"b/7"}"#));
    let (id, question) = one(&mut rig);
    assert_eq!(question, "GET http://booking/api/conference/b%2F7");
    assert!(rig.take(&anna).is_empty() && rig.take(&focus).is_empty());
    hear(&mut rig, id, &response(200, &booking(600)));
    assert_eq!(rig.take(&focus).len(), 1);
    // A second conflict is a refusal, not a circle.
    let mut rig = booked();
    let anna = rig.client();
    request(&mut rig, &anna, ROOM, "c");
    for _ in 0..2 {
        let (id, _) = one(&mut rig);
        hear(&mut rig, id, &response(409, r#"{"conflict_id":7}"#));
    }
    assert!(has_error(&rig.take(&anna), 409, "Rejected by reservation server") && asked(&mut rig).is_empty());
}

#[test]
fn compat_a_room_ends_with_its_reservation_and_the_booking_system_hears_of_it() {
    let mut rig = booked();
    let (focus, anna) = (rig.focus(), rig.client());
    open(&mut rig, &focus, &anna, 600);
    rig.join(&anna);
    rig.advance(Duration::from_secs(599));
    assert!(rig.take(&anna).is_empty() && asked(&mut rig).is_empty());
    rig.advance(Duration::from_secs(1));
    let heard = rig.take(&anna).concat();
    assert!(heard.contains("<reason>Scheduled conference duration exceeded.</reason>"), "{heard}");
    assert_eq!(rig.server.stats().rooms, 0);
    let (id, question) = one(&mut rig);
    assert_eq!(question, "DELETE http://booking/api/conference/b%207");
    // It is told again when it does not hear.
    hear(&mut rig, id, &response(500, ""));
    rig.advance(Duration::from_secs(3));
    let (id, again) = one(&mut rig);
    assert_eq!(again, question);
    hear(&mut rig, id, &response(204, ""));
    rig.advance(Duration::from_secs(600));
    assert!(asked(&mut rig).is_empty());
    rig.end(&[&focus, &anna]);
}

#[test]
fn a_room_that_everybody_has_left_is_given_back_and_has_to_be_reserved_anew() {
    let mut rig = booked();
    let (focus, anna) = (rig.focus(), rig.client());
    open(&mut rig, &focus, &anna, 600);
    rig.leave(&focus);
    assert!(one(&mut rig).1.starts_with("DELETE "));
    request(&mut rig, &anna, ROOM, "c");
    assert!(one(&mut rig).1.starts_with("POST "));
    rig.advance(Duration::from_secs(601));
    rig.end(&[&focus, &anna]);
}

#[test]
fn compat_a_booking_of_yesterday_is_expired() {
    let mut rig = booked();
    let (focus, anna) = (rig.focus(), rig.client());
    rig.advance(Duration::from_secs(600));
    request(&mut rig, &anna, ROOM, "c");
    let (id, _) = one(&mut rig);
    hear(&mut rig, id, &response(200, &booking(600)));
    assert!(has_error(&rig.take(&anna), 419, "Reservation expired") && rig.take(&focus).is_empty());
    rig.end(&[&focus, &anna]);
}

/// Whoever asked the focus over HTTP got a room that nobody had reserved, as with upstream.
#[test]
fn a_room_that_nobody_reserved_does_not_come_into_being_whoever_asked_the_focus() {
    let mut rig = booked();
    let (focus, anna) = (rig.focus(), rig.client());
    let refused = rig.join(&focus).concat();
    assert!(refused.contains("<not-allowed ") && refused.contains("The room is not reserved"), "{refused}");
    request(&mut rig, &anna, ROOM, "c");
    assert!(rig.join(&focus).concat().contains("<not-allowed "), "nor while it is asked for");
    let (id, _) = one(&mut rig);
    hear(&mut rig, id, &response(403, ""));
    assert!(rig.join(&focus).concat().contains("<not-allowed "));
    assert_eq!(rig.server.stats().rooms, 0);
    let health = r#"<presence to="__jicofo-health-check-1@muc.meet.jitsi/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#;
    assert!(rig.ask(&focus, health).concat().contains("code=\"110\""));
    let brewery = r#"<presence to="jvbbrewery@internal-muc.meet.jitsi/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#;
    assert!(rig.ask(&focus, brewery).concat().contains("code=\"110\""));
    rig.end(&[&focus, &anna]);
}

#[test]
fn a_reservation_that_is_not_used_is_forgotten_and_asked_for_again() {
    let mut rig = booked();
    let (focus, anna) = (rig.focus(), rig.client());
    request(&mut rig, &anna, ROOM, "c");
    let (id, _) = one(&mut rig);
    hear(&mut rig, id, &response(200, &booking(6_000)));
    rig.advance(limits::UNUSED - Duration::from_millis(1));
    request(&mut rig, &anna, ROOM, "c");
    assert_eq!((rig.take(&focus).len(), asked(&mut rig).len()), (2, 0), "it is still reserved");
    rig.advance(Duration::from_millis(1));
    assert!(asked(&mut rig).is_empty());
    assert!(rig.join(&focus).concat().contains("<not-allowed "));
    request(&mut rig, &anna, ROOM, "c");
    assert_eq!(asked(&mut rig).len(), 1);
    rig.end(&[&focus, &anna]);
}

#[test]
fn who_leaves_before_the_answer_hears_nothing_and_spoils_nothing() {
    let mut rig = booked();
    let (focus, anna, ben) = (rig.focus(), rig.client(), rig.client());
    request(&mut rig, &anna, ROOM, "c");
    request(&mut rig, &ben, ROOM, "c");
    rig.end_quietly(&anna);
    let (id, _) = one(&mut rig);
    hear(&mut rig, id, &response(200, &booking(600)));
    assert_eq!(rig.take(&focus).len(), 1);
    rig.end(&[&focus, &ben]);
}

#[test]
fn rooms_of_tenants_are_asked_for_by_the_name_that_they_are_stored_by() {
    let mut rig = booked();
    let anna = rig.client();
    request(&mut rig, &anna, "rat@muc.town.meet.jitsi/x", "c");
    assert!(one(&mut rig).1.contains("conference name=%5Btown%5Drat&"));
    // What is no room's address is the focus' to refuse.
    let focus = rig.focus();
    for room in ["[town]rat@muc.meet.jitsi", "rat@example.org", "", "jvbbrewery@internal-muc.meet.jitsi"] {
        request(&mut rig, &anna, room, "c");
        assert_eq!((rig.take(&focus).len(), asked(&mut rig).len()), (1, 0), "{room}");
    }
    rig.end(&[&focus, &anna]);
}

#[test]
fn without_a_booking_system_nobody_is_asked() {
    let mut rig = Rig::new();
    let (focus, anna) = (rig.focus(), rig.client());
    request(&mut rig, &anna, ROOM, "c");
    assert_eq!((rig.take(&focus).len(), asked(&mut rig).len()), (1, 0));
    rig.end(&[&focus, &anna]);
}

/// Somebody behind this address.
fn from(rig: &mut Rig, address: &str) -> Client {
    let peer = Some(budget::Network::of(address.parse().unwrap()));
    rig.client_with(SessionQuery { peer, ..SessionQuery::default() })
}

fn told_to_ask_again(frames: &[String]) -> bool {
    frames.len() == 1 && frames[0].contains("ready=\"false\"")
}

#[test]
fn who_asks_for_more_rooms_than_a_town_asks_again_later_and_neighbours_are_asked_for() {
    let mut rig = booked();
    let ask = |rig: &mut Rig, address: &str, n: usize| {
        let (mut taken, mut session) = (0, from(rig, address));
        for i in 0..n {
            if i % 10 == 0 {
                session = from(rig, address);
            }
            let back = request(rig, &session, &format!("{address}-{i}@muc.meet.jitsi"), "c");
            assert!(back.is_empty() || told_to_ask_again(&back), "{back:?}");
            taken += usize::from(back.is_empty());
        }
        taken
    };
    let most = limits::WAITING_PER_NETWORK;
    assert!(most <= limits::PER_NETWORK.burst() as usize);
    assert_eq!(ask(&mut rig, "192.0.2.1", most + 10), most);
    assert_eq!(asked(&mut rig).len(), most);
    assert!(ask(&mut rig, "192.0.2.2", most + 10) < most, "it gets scarce");
    assert_eq!(ask(&mut rig, "192.0.2.3", 30), 30, "a class from elsewhere");
}

#[test]
fn one_session_has_ten_requests_that_wait_and_not_one_more() {
    let mut rig = booked();
    let anna = from(&mut rig, "192.0.2.1");
    let most = limits::WAITING_PER_SESSION;
    for n in 0..most {
        assert!(request(&mut rig, &anna, &format!("r{n}@muc.meet.jitsi"), "c").is_empty());
    }
    assert!(told_to_ask_again(&request(&mut rig, &anna, "one-more@muc.meet.jitsi", "c")));
    assert!(
        told_to_ask_again(&request(&mut rig, &anna, "r0@muc.meet.jitsi", "c")),
        "also for one that is asked for"
    );
    let all = asked(&mut rig);
    assert_eq!(all.len(), most);
    hear(&mut rig, all[0].0, &response(403, ""));
    rig.take(&anna);
    assert!(request(&mut rig, &anna, "one-more@muc.meet.jitsi", "c").is_empty(), "a place is free again");
}

#[test]
fn a_request_that_waits_is_small() {
    let mut rig = booked();
    let anna = rig.client();
    let whole = |fill: usize| {
        format!(
            r#"<iq xmlns="jabber:client" type="set" id="c" to="focus.meet.jitsi" from="{}"><conference xmlns="http://jitsi.org/protocol/focus" room="{ROOM}" x="{}"/></iq>"#,
            anna.jid,
            "x".repeat(fill)
        )
    };
    let fits = limits::REQUEST_BYTES - whole(0).len();
    let refused = rig.ask(&anna, &whole(fits + 1));
    assert!(refused[0].contains("<policy-violation ") && asked(&mut rig).is_empty());
    assert!(rig.ask(&anna, &whole(fits)).is_empty());
    assert_eq!(asked(&mut rig).len(), 1);
}

#[test]
fn rooms_that_are_refused_or_not_opened_are_bounded_by_address() {
    let mut rig = booked();
    let mut taken = 0;
    for n in 0..70 {
        let someone = from(&mut rig, "192.0.2.1");
        for i in 0..10 {
            let back = request(&mut rig, &someone, &format!("r{n}-{i}@muc.meet.jitsi"), "c");
            taken += usize::from(back.is_empty());
        }
        for (id, _) in asked(&mut rig) {
            hear(&mut rig, id, &response(403, ""));
        }
        rig.end_quietly(&someone);
        // Slower than the rate, all within the time that refusals are kept.
        rig.advance(Duration::from_millis(400));
    }
    assert_eq!(taken, limits::UNOPENED_PER_NETWORK);
    rig.advance(limits::REFUSED);
    let someone = from(&mut rig, "192.0.2.1");
    assert!(request(&mut rig, &someone, "later@muc.meet.jitsi", "c").is_empty());
}

/// One room each of so many addresses, from the first on; all are refused. How many were asked for.
fn refused_rooms(rig: &mut Rig, first: u32, addresses: u32, each: usize, pause: Duration) -> usize {
    let mut taken = 0;
    for n in first..first + addresses {
        let someone = from(rig, &std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).to_string());
        for i in 0..each {
            taken += usize::from(request(rig, &someone, &format!("r{n}-{i}@muc.meet.jitsi"), "c").is_empty());
            for (id, _) in asked(rig) {
                hear(rig, id, &response(403, ""));
            }
            rig.take(&someone);
        }
        rig.end_quietly(&someone);
        rig.advance(pause);
    }
    taken
}

#[test]
fn new_rooms_of_one_address_and_of_all_have_a_rate() {
    let mut rig = booked();
    let most = limits::PER_NETWORK.burst() as usize;
    assert_eq!(refused_rooms(&mut rig, 0, 1, most + 1, Duration::ZERO), most);
    let mut rig = booked();
    let (each, most) = (100, limits::ALL.burst() as usize);
    assert_eq!(refused_rooms(&mut rig, 0, (most / each) as u32, each, Duration::ZERO), most);
    assert_eq!(refused_rooms(&mut rig, 9_999, 1, 1, Duration::ZERO), 0, "one more");
}

#[test]
fn rooms_that_are_refused_or_not_opened_are_bounded_in_all() {
    let mut rig = booked();
    // So slow that the rate is not used up, and so fast that no refusal is forgotten.
    let pause = Duration::from_millis(3);
    let most = limits::UNOPENED;
    assert_eq!(refused_rooms(&mut rig, 0, most as u32 + 1, 1, pause), most);
}

#[test]
fn the_booking_system_is_told_of_many_ends_some_at_a_time() {
    let mut rig = booked();
    let (focus, anna) = (rig.focus(), rig.client());
    let join = |room: &str| {
        format!(r#"<presence to="{room}/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#)
    };
    let ends = limits::TELLING + 8;
    for n in 0..ends {
        let room = format!("r{n}@muc.meet.jitsi");
        request(&mut rig, &anna, &room, "c");
        rig.advance(Duration::from_secs(1));
        let (id, _) = one(&mut rig);
        hear(&mut rig, id, &response(200, &booking(6_000).replace("rathaus", &format!("r{n}"))));
        assert!(rig.ask(&focus, &join(&room)).concat().contains("code=\"110\""));
    }
    rig.end_quietly(&focus);
    let first = asked(&mut rig);
    assert_eq!((first.len(), rig.server.stats().rooms), (limits::TELLING, 0));
    let mut told = first.len();
    for (id, _) in first {
        hear(&mut rig, id, &response(200, ""));
        told += asked(&mut rig).len();
    }
    assert_eq!(told, ends);
}

#[test]
fn the_default_is_no_booking_system() {
    assert!(Config::for_domain("meet.jitsi").unwrap().reservations.is_none());
    let mut rig = booked();
    let conn =
        rig.open(Transport::InProcess("jvb@auth.meet.jitsi/x".parse().unwrap()), SessionQuery::default());
    let jvb = Client { conn, jid: "jvb@auth.meet.jitsi/x".into(), nick: "jvb".into() };
    assert!(rig.join(&jvb).concat().contains("<not-allowed "), "no other role opens rooms either");
}
