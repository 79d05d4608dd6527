//! What one stranger does, others do not feel: forged answers, floods of requests, rooms opened and left alone.

use std::time::Duration;

use super::world::{ME, Mood, NEW, ROOM, World};

/// The id of the last request in which `what` stands.
fn id_of(w: &World, what: &str) -> String {
    let sent = w.sent.iter().rev().find(|s| s.starts_with("<iq") && s.contains(what)).expect("was asked");
    let at = sent.find(" id=\"").unwrap() + 5;
    sent[at..].split('"').next().unwrap().to_owned()
}

/// Two whose endpoints the bridge has been asked for and has not made yet.
fn waiting_for_the_bridge() -> World {
    let mut w = World::meeting();
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Silent;
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w
}

#[test]
fn an_answer_of_somebody_who_was_not_asked_is_none() {
    for from in [
        " from='@@'",
        " from=''",
        "",
        " from='jvbbrewery@internal-muc.meet.jitsi'",
        " from='jvbbrewery@internal-muc.meet.jitsi/jvb2'",
        " from='demo@muc.meet.jitsi/anna0001'",
        " from='meet.jitsi'",
        " from='focus@auth.meet.jitsi/focus'",
    ] {
        let mut w = waiting_for_the_bridge();
        let id = id_of(&w, "conference-modify");
        w.receive(&format!(
            "<iq type='error' id='{id}'{from} to='{ME}'><error type='cancel'>\
             <internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ));
        assert_eq!(w.stats().operational_bridge_count, 1, "believed an answer{from}");
        assert_eq!(w.stats().counters.bridges_removed, 0, "{from}");
        w.receive(&format!(
            "<iq type='error' id='{id}' from='jvbbrewery@internal-muc.meet.jitsi/jvb1' to='{ME}'>\
             <error type='cancel'><internal-server-error xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ));
        assert_eq!(w.stats().counters.bridges_removed, 1, "the one who was asked is believed");
    }
}

#[test]
fn ids_of_requests_tell_nothing_about_each_other() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let ids: Vec<String> = ["disco#info", "muc#owner", "conference-modify", "session-initiate"]
        .iter()
        .map(|what| id_of(&w, what))
        .collect();
    for (n, id) in ids.iter().enumerate() {
        assert!(id.len() >= 16, "{id} can be guessed");
        for other in &ids[n + 1..] {
            assert_ne!(id[..6], other[..6]);
        }
    }
}

#[test]
fn eight_clients_that_never_answer_do_not_use_up_the_requests_of_others() {
    let mut w = World::meeting();
    let other = "flut@muc.meet.jitsi";
    w.conference_request(other);
    let x =
        "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x>";
    // Somebody stays, so that the room does too.
    w.receive(&format!("<presence from='{other}/stays' to='{ME}'>{x}</presence>"));
    for n in 0..11_000 {
        let nick = format!("evil{}", n % 8);
        w.receive(&format!("<presence from='{other}/{nick}' to='{ME}'>{x}</presence>"));
        w.receive(&format!("<presence type='unavailable' from='{other}/{nick}' to='{ME}'>{x}</presence>"));
    }
    assert!(w.stats().pending_requests < 1_000, "{} wait", w.stats().pending_requests);
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    assert_eq!((w.stats().operational_bridge_count, w.stats().counters.bridges_removed), (1, 0));
}

#[test]
fn a_client_that_changes_its_sources_without_end_asks_the_bridge_one_thing_at_a_time() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Silent;
    w.forget();
    let content = |ssrc| {
        format!(
            "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
             <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{ssrc}' name='anna0001-v1'/></description></content>"
        )
    };
    for n in 0..100 {
        assert_eq!(w.jingle("anna0001", "source-add", &content(51 + n)).attr("type"), Some("result"));
        assert_eq!(w.jingle("anna0001", "source-remove", &content(51 + n)).attr("type"), Some("result"));
    }
    assert_eq!(w.jingle("anna0001", "source-add", &content(777)).attr("type"), Some("result"));
    assert_eq!(w.bridges["jvb1"].requests.len(), 1, "the rest waits for the answer");
    w.bridges.get_mut("jvb1").unwrap().mood = Mood::Works;
    w.advance(Duration::from_secs(16));
    let last = w.bridges["jvb1"].requests.last().unwrap().to_element().to_xml();
    assert!(last.contains("ssrc=\"777\""), "and then says all of it: {last}");
    assert_eq!(w.stats().counters.bridges_removed, 0);
}

#[test]
fn rooms_that_nobody_joins_do_not_lock_others_out() {
    let mut w = World::new();
    for account in 0..560 {
        for n in 0..10 {
            w.receive(&format!(
                "<iq type='set' id='e{account}-{n}' from='focus.meet.jitsi/e{account}@meet.jitsi/r' to='{ME}'>\
                 <conference xmlns='http://jitsi.org/protocol/focus' room='leer{account}-{n}@muc.meet.jitsi'/></iq>"
            ));
        }
    }
    let id = w.conference_request(ROOM);
    assert!(w.replies[&id].to_xml().contains("ready=\"true\""), "{} rooms", w.stats().conferences);
}

#[test]
fn empty_rooms_opened_over_http_do_not_lock_others_out() {
    let mut w = World::new();
    for n in 0..5_200 {
        w.http_request(n, &format!("{{\"room\":\"leer{n}@muc.meet.jitsi\"}}"));
    }
    let id = w.conference_request(ROOM);
    assert!(w.replies[&id].to_xml().contains("ready=\"true\""), "{} rooms", w.stats().conferences);
}

#[test]
fn requests_of_one_sender_beyond_its_budget_are_refused_and_nobody_elses() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let ping = "<query xmlns='jabber:iq:version'/>";
    let mut refused = 0;
    for _ in 0..5_000 {
        let reply = w.request("anna0001", ping);
        refused += usize::from(reply.to_xml().contains("<resource-constraint"));
    }
    assert!(refused > 3_000, "{refused}");
    assert!(!w.request("ben00002", ping).to_xml().contains("<resource-constraint"));
    w.advance(Duration::from_secs(2));
    assert!(!w.request("anna0001", ping).to_xml().contains("<resource-constraint"), "it comes back");
}

#[test]
fn thirty_pupils_behind_one_address_open_one_room_or_thirty_at_once() {
    for rooms in [1, 30] {
        let mut w = World::new();
        for n in 0..30 {
            w.http_request(n, &format!("{{\"room\":\"klasse{}@muc.meet.jitsi\"}}", n % rooms));
        }
        assert!((0..30).all(|n| w.http[&n].body.contains("\"ready\":true")), "{rooms} rooms");
        let mut w = World::new();
        for n in 0..30 {
            w.receive(&format!(
                "<iq type='set' id='k{n}' from='focus.meet.jitsi/u{n}@meet.jitsi/r' to='{ME}'>\
                 <conference xmlns='http://jitsi.org/protocol/focus' room='klasse{}@muc.meet.jitsi'/></iq>",
                n % rooms
            ));
        }
        assert!((0..30).all(|n| w.replies[&format!("k{n}")].to_xml().contains("ready=\"true\"")));
    }
}

#[test]
fn two_hundred_tablets_behind_one_nat_each_open_their_room() {
    let mut w = World::new();
    for n in 0..200 {
        w.http_request(n, &format!("{{\"room\":\"zimmer{n}@muc.meet.jitsi\"}}"));
        assert!(w.http[&n].body.contains("\"ready\":true"), "tablet {n}");
    }
}

#[test]
fn a_room_where_two_meet_or_that_is_over_counts_as_nobodys_any_more() {
    let mut w = World::new();
    w.add_bridge("jvb1");
    let own = u64::try_from(crate::limits::ROOMS_PER_ACCOUNT).unwrap();
    for n in 1..own {
        w.conference_request(&format!("r{n}@muc.meet.jitsi"));
    }
    w.conference_request(ROOM);
    w.advance(Duration::from_secs(5));
    let id = w.conference_request("mehr@muc.meet.jitsi");
    assert!(w.replies[&id].to_xml().contains("ready=\"false\""), "has its share");
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let id = w.conference_request("mehr@muc.meet.jitsi");
    assert!(w.replies[&id].to_xml().contains("ready=\"true\""), "two meet in one of them");
    w.advance(Duration::from_secs(20));
    assert_eq!(w.stats().conferences, 1, "rooms that nobody joined are left");
    for n in 1..=own {
        let id = w.conference_request(&format!("neu{n}@muc.meet.jitsi"));
        assert!(w.replies[&id].to_xml().contains("ready=\"true\""), "{n}");
    }
}

#[test]
fn a_panic_in_one_conference_costs_that_conference_only() {
    type Trap = fn(&mut World);
    let traps: [Trap; 3] = [
        // A stanza, a request over HTTP, a deadline.
        |w| w.presence("anna0001", "<bug/>"),
        |w| w.http_request(1, &format!("{{\"room\":\"{ROOM}\"}}")),
        |w| w.advance(Duration::from_secs(25)),
    ];
    for (n, trap) in traps.into_iter().enumerate() {
        let mut w = World::meeting();
        w.conference_request("andere@muc.meet.jitsi");
        let item = "<item affiliation='none' role='participant' jid='cem00003-0@meet.jitsi/r'/>";
        w.receive(&format!(
            "<presence from='andere@muc.meet.jitsi/cem00003' to='{ME}'>\
             <x xmlns='http://jabber.org/protocol/muc#user'>{item}</x></presence>"
        ));
        w.join("anna0001", NEW);
        w.join("ben00002", NEW);
        if n == 2 {
            w.leave("ben00002");
        }
        w.focus.spring_a_trap(&ROOM.parse().unwrap());
        trap(&mut w);
        assert_eq!(w.stats().counters.panics, 1, "trap {n}");
        assert_eq!(w.stats().conferences, 1, "the other one goes on");
        assert!(!w.focus_in.contains_key(ROOM), "its room is left");
        assert!(w.bridges["jvb1"].conferences.is_empty(), "its bridge is told");
        w.clients.clear();
        let id = w.conference_request(ROOM);
        assert!(w.replies[&id].to_xml().contains("ready=\"true\""), "and a new one can be made");
        w.receive(&format!("<presence type='unavailable' from='andere@muc.meet.jitsi/cem00003' to='{ME}'/>"));
        w.assert_empty();
        assert!(w.focus.poll_timeout().is_none_or(|at| at > w.now));
    }
}
