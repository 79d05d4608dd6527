//! What a stanza costs: the same with ten other rooms as with a thousand, and in a room of ten as in one of three hundred.

use std::time::{Duration, Instant};

use jitsi_xmpp::Element;
use jitsi_xmpp::xml::parse;

use super::world::{ME, NEW, ROOM, World};

/// A meeting of two beside so many other rooms of three, whose members all wait for something.
fn beside(others: usize) -> World {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    for n in 0..others {
        w.http_request_from(
            &format!("2001:db8:{n:x}::1"),
            n as u64,
            &format!("{{\"room\":\"r{n}@muc.meet.jitsi\"}}"),
        );
        for nick in ["a", "b", "c"] {
            w.receive(&format!(
                "<presence from='r{n}@muc.meet.jitsi/{nick}' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
                 <item affiliation='none' role='participant' jid='{nick}{n}@meet.jitsi/r'/></x></presence>"
            ));
        }
    }
    assert_eq!(w.stats().conferences, others + 1);
    w
}

fn muted(on: bool) -> Element {
    let xml = format!(
        "<presence xmlns='jabber:client' from='{ROOM}/anna0001' to='{ME}'>\
         <SourceInfo>{{\"anna0001-a0\":{{\"muted\":{on}}}}}</SourceInfo>\
         <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>"
    );
    parse(xml.as_bytes()).unwrap()
}

/// The quickest of many rounds: what the machine does besides only adds.
fn cost(w: &mut World) -> Duration {
    let changes = [muted(true), muted(false)];
    let round = |w: &mut World| {
        let began = Instant::now();
        for n in 0..100 {
            w.focus.handle_stanza(w.now, &changes[n % 2]);
            while w.focus.poll_output().is_some() {}
            assert!(w.focus.poll_timeout().is_some());
        }
        began.elapsed()
    };
    (0..30).map(|_| round(w)).min().unwrap()
}

#[test]
fn work_per_stanza_does_not_grow_with_other_rooms() {
    let (few, many) = (cost(&mut beside(10)), cost(&mut beside(1_000)));
    assert!(many < few * 2, "{few:?} with ten rooms, {many:?} with a thousand");
}

#[test]
fn work_per_stanza_does_not_grow_with_the_room() {
    let of = |size: usize| {
        let mut w = World::meeting();
        for n in 0..size {
            w.join(&format!("gast{n:04}"), NEW);
        }
        w.join("anna0001", NEW);
        cost(&mut w)
    };
    let (small, large) = (of(10), of(300));
    assert!(large < small * 2, "{small:?} in a room of ten, {large:?} in one of three hundred");
}
