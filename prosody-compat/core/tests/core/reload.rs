//! Another configuration while meetings run, and accounts that are no more what they were.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jitsi_xmpp::BareJid;
use jitsi_xmpp::entropy::SeededEntropy;
use prosody_core::{
    AccountAnswer, AccountEnd, AccountRecord, ConnId, Counter, Fixed, Login, Output, SessionQuery, Transport,
};

use crate::rig::{Client, OPEN, ROOM, Rig, between};

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const OTHER: &str = "bauamt@muc.meet.jitsi";

fn join(rig: &mut Rig, client: &Client, room: &str) -> String {
    let nick = &client.nick;
    rig.ask(
        client,
        &format!(r#"<presence xmlns="jabber:client" to="{room}/{nick}" id="j"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#),
    )
    .concat()
}

fn is_full(said: &str) -> bool {
    said.contains("<service-unavailable") && !said.contains("code=\"110\"")
}

#[test]
fn a_meeting_that_runs_keeps_its_policy_and_the_next_one_has_the_new() {
    let mut rig = Rig::new();
    let (focus, _) = rig.meeting(2);
    rig.reload(|c| c.hosts.rooms[0].policy.max_participants = Some(1));
    let late = rig.client();
    assert!(join(&mut rig, &late, ROOM).contains("code=\"110\""), "the meeting runs as it began");
    join(&mut rig, &focus, OTHER);
    let (first, second) = (rig.client(), rig.client());
    assert!(join(&mut rig, &first, OTHER).contains("code=\"110\""));
    let said = join(&mut rig, &second, OTHER);
    assert!(is_full(&said), "{said}");
    rig.reload(|c| c.hosts.rooms[0].policy.max_participants = None);
    assert!(is_full(&join(&mut rig, &second, OTHER)), "this one began with it");
}

#[test]
fn a_component_serves_the_meetings_that_began_with_it_and_no_others() {
    let poll = r#"{"type":"polls","command":"new-poll","pollId":"p","question":"Brunnen?","answers":[{"name":"ja"},{"name":"nein"}],"roomJid":"x"}"#;
    let ask = |rig: &mut Rig, who: &Client, room: &str| {
        let said = poll.replace("\"x\"", &format!("\"{room}\"")).replace('"', "&quot;");
        let said = said.replace("&quot;", "\"");
        rig.ask(
            who,
            &format!(r#"<message xmlns="jabber:client" to="polls.meet.jitsi" type="chat"><json-message xmlns="http://jitsi.org/jitmeet" room="{room}">{said}</json-message></message>"#),
        )
        .concat()
    };
    let mut rig = Rig::new();
    let (focus, people) = rig.meeting(2);
    let before = ask(&mut rig, &people[0], ROOM);
    rig.reload(|c| c.hosts.remove("polls_component"));
    let after = ask(&mut rig, &people[0], ROOM);
    assert_eq!(
        before.contains("service-unavailable"),
        after.contains("service-unavailable"),
        "{before} {after}"
    );
    join(&mut rig, &focus, OTHER);
    let new = rig.client();
    join(&mut rig, &new, OTHER);
    let said = ask(&mut rig, &new, OTHER);
    assert!(said.contains("service-unavailable"), "{said}");
    // And back again.
    rig.reload(|c| {
        let polls = prosody_core::Table::docker("meet.jitsi").components;
        c.hosts.components = polls;
    });
    join(&mut rig, &focus, "markt@muc.meet.jitsi");
    let third = rig.client();
    join(&mut rig, &third, "markt@muc.meet.jitsi");
    let said = ask(&mut rig, &third, "markt@muc.meet.jitsi");
    assert!(!said.contains("service-unavailable"), "{said}");
    let said = ask(&mut rig, &new, OTHER);
    assert!(said.contains("service-unavailable"), "that one began without: {said}");
}

#[test]
fn a_domain_that_is_configured_no_more_answers_who_is_there_and_lets_nobody_in() {
    let mut rig = Rig::with(|c| {
        c.hosts.users[0].login = Login::Accounts;
        c.hosts.add_guests("guest.meet.jitsi");
    });
    let guest = |rig: &mut Rig| {
        let conn = rig.open(Transport::WebSocket, SessionQuery::default());
        rig.raw(conn, OPEN.replace("meet.jitsi", "guest.meet.jitsi").as_bytes());
        conn
    };
    let conn = guest(&mut rig);
    rig.raw(conn, format!(r#"<auth xmlns="{SASL}" mechanism="ANONYMOUS"/>"#).as_bytes());
    // In the middle of its login.
    rig.take_raw(conn);
    rig.reload(|c| c.hosts.users[0].resume = std::time::Duration::from_secs(1));
    rig.raw(conn, OPEN.replace("meet.jitsi", "guest.meet.jitsi").as_bytes());
    rig.raw(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
    let said = rig.take_raw(conn).concat();
    assert!(said.contains("<jid>"), "{said}");
    rig.reload(|c| c.hosts.users.retain(|h| h.domain != "guest.meet.jitsi"));
    rig.raw(conn, br#"<iq xmlns="jabber:client" type="get" id="p" to="guest.meet.jitsi"><ping xmlns="urn:xmpp:ping"/></iq>"#);
    let said = rig.take_raw(conn).concat();
    assert!(said.contains("type=\"result\""), "{said}");
    let late = guest(&mut rig);
    assert!(rig.take_raw(late).concat().contains("host-unknown"));
    assert!(rig.closed.contains_key(&late));
    rig.lose(conn);
    rig.assert_empty();
}

#[test]
fn a_hundred_reloads_are_nothing_to_who_is_there() {
    let mut rig = Rig::new();
    let (_, people) = rig.meeting(1);
    for n in 1..=100 {
        rig.reload(|c| c.hosts.rooms[0].policy.max_participants = Some(n));
    }
    let said = rig.ask(&people[0], &format!(r#"<iq xmlns="jabber:client" type="get" id="d" to="{ROOM}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#));
    assert!(said.concat().contains("type=\"result\""));
}

#[test]
fn what_everything_is_named_after_stays() {
    let mut rig = Rig::new();
    let before = rig.server.config().clone();
    for (what, fixed) in [("meet.jitsi", Fixed::Main), ("muc.meet.jitsi", Fixed::Meetings)] {
        let mut config = before.clone();
        config.hosts.rename(what, "other.example");
        assert_eq!(rig.server.handle_reload(rig.now, config), Err(fixed));
    }
    let mut config = before.clone();
    config.focus = "jicofo@auth.meet.jitsi".parse().unwrap();
    assert_eq!(rig.server.handle_reload(rig.now, config), Err(Fixed::Focus));
    assert_eq!(rig.server.config().domain(), "meet.jitsi");
}

fn town() -> Rig {
    Rig::with(|c| {
        c.more_accounts = true;
        c.hosts.users[0].login = Login::Accounts;
        c.hosts.add_hidden("hidden.meet.jitsi");
    })
}

/// Somebody logs in with the password `geheim`; bound if `bind`.
fn log_in(rig: &mut Rig, user: &str, host: &str, bind: bool) -> ConnId {
    let conn = rig.open(Transport::WebSocket, SessionQuery::default());
    rig.raw(conn, OPEN.replace("meet.jitsi", host).as_bytes());
    let data = STANDARD.encode(format!("\0{user}\0geheim"));
    rig.raw(conn, format!(r#"<auth xmlns="{SASL}" mechanism="PLAIN">{data}</auth>"#).as_bytes());
    let record = AccountRecord::with_password("geheim", &mut SeededEntropy::new(7), 1);
    for output in std::mem::take(&mut rig.other) {
        if let Output::Account { conn, id, question } = output {
            rig.hear_account(conn, id, record.answer(&question.proof));
        }
    }
    if bind {
        rig.raw(conn, OPEN.replace("meet.jitsi", host).as_bytes());
        rig.raw(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
        assert!(rig.take_raw(conn).concat().contains("<jid>"));
    }
    conn
}

#[test]
fn compat_sessions_end_with_their_account() {
    for (host, why, condition, text) in [
        ("meet.jitsi", AccountEnd::PasswordChanged, "<reset ", "Password changed"),
        ("meet.jitsi", AccountEnd::Disabled, "<not-authorized ", "Account disabled"),
        ("hidden.meet.jitsi", AccountEnd::Deleted, "<not-authorized ", "Account deleted"),
    ] {
        let mut rig = town();
        let anna: BareJid = format!("anna@{host}").parse().unwrap();
        let (one, two) = (log_in(&mut rig, "anna", host, true), log_in(&mut rig, "anna", host, true));
        let other = log_in(&mut rig, "annabel", host, true);
        let half = log_in(&mut rig, "anna", host, false);
        assert_eq!(rig.server.accounts_in_use().len(), 2);
        rig.raw(two, br#"<enable xmlns="urn:xmpp:sm:3" resume="true"/>"#);
        let enabled = rig.take_raw(two).concat();
        let previd = between(&enabled, " id=\"", "\"").unwrap().to_owned();
        rig.lose(two);
        rig.server.handle_account_ended(rig.now, &anna, why);
        rig.reload(|_| {});
        for conn in [one, half] {
            let said = rig.take_raw(conn).concat();
            assert!(said.contains(condition) && said.contains(text), "{said}");
            assert!(rig.closed.contains_key(&conn));
        }
        assert!(!rig.closed.contains_key(&other), "a neighbour with a longer name");
        assert_eq!(rig.server.counters().count(Counter::AccountEnded), 2);
        // Whoever has the new password does not become who was there before.
        let back = log_in(&mut rig, "anna", host, false);
        rig.raw(back, OPEN.replace("meet.jitsi", host).as_bytes());
        rig.take_raw(back);
        rig.raw(back, format!(r#"<resume xmlns="urn:xmpp:sm:3" h="0" previd="{previd}"/>"#).as_bytes());
        let said = rig.take_raw(back).concat();
        assert!(said.contains("item-not-found"), "{said}");
    }
}

/// The challenge is out, and the password changes before the answer.
#[test]
fn a_login_that_is_under_way_ends_with_its_account() {
    let mut rig = town();
    let conn = rig.open(Transport::WebSocket, SessionQuery::default());
    rig.raw(conn, OPEN.as_bytes());
    let client = jitsi_xmpp::sasl::ScramClient::new(
        jitsi_xmpp::sasl::Hash::Sha1,
        "anna",
        jitsi_xmpp::Sensitive::new("geheim".to_owned()),
        "fyko+d2lbbFgONRv9qkxdawL",
    );
    let first = STANDARD.encode(client.first());
    rig.raw(conn, format!(r#"<auth xmlns="{SASL}" mechanism="SCRAM-SHA-1">{first}</auth>"#).as_bytes());
    let record = AccountRecord::with_password("geheim", &mut SeededEntropy::new(7), 1);
    for output in std::mem::take(&mut rig.other) {
        if let Output::Account { conn, id, question } = output {
            let answer = record.answer(&question.proof);
            assert!(matches!(answer, AccountAnswer::Keys(_)));
            rig.hear_account(conn, id, answer);
        }
    }
    assert!(rig.take_raw(conn).concat().contains("<challenge"));
    let anna: BareJid = "anna@meet.jitsi".parse().unwrap();
    assert!(rig.server.accounts_in_use().contains(&anna));
    rig.server.handle_account_ended(rig.now, &anna, AccountEnd::PasswordChanged);
    rig.reload(|_| {});
    assert!(rig.closed.contains_key(&conn));
}

#[test]
fn services_go_with_their_password_and_roles_of_this_process_stay() {
    let mut rig = Rig::new();
    let inside = rig.focus();
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='auth.meet.jitsi' version='1.0'>";
    let over_tcp = |rig: &mut Rig, user: &str, password: &str| {
        let conn = rig.open(Transport::Tcp { tls: true }, SessionQuery::default());
        rig.raw(conn, header.as_bytes());
        let data = STANDARD.encode(format!("\0{user}\0{password}"));
        rig.raw(conn, format!(r#"<auth xmlns="{SASL}" mechanism="PLAIN">{data}</auth>"#).as_bytes());
        rig.raw(conn, header.as_bytes());
        rig.raw(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
        assert!(rig.take_raw(conn).concat().contains("<jid>"));
        conn
    };
    let (focus, jvb) = (over_tcp(&mut rig, "focus", "geheim"), over_tcp(&mut rig, "jvb", "jvbpass"));
    rig.reload(|c| {
        let of = |name: &str| c.accounts.iter().position(|a| a.jid.as_str().starts_with(name)).unwrap();
        let focus = of("focus");
        c.accounts[focus].password = jitsi_xmpp::Sensitive::new("anders".to_owned());
    });
    assert!(rig.take_raw(focus).concat().contains("<reset "), "the secret is another");
    assert!(rig.closed.contains_key(&focus) && !rig.closed.contains_key(&jvb));
    assert!(!rig.closed.contains_key(&inside.conn));
    rig.reload(|c| c.accounts.retain(|a| a.jid.as_str().starts_with("focus")));
    assert!(rig.take_raw(jvb).concat().contains("Account deleted"));
    over_tcp(&mut rig, "focus", "anders");
}
