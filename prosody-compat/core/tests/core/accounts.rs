//! Logins with accounts that the configuration does not know: what the shell is asked, and what the client is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::sasl::{Hash, ScramClient};
use jitsi_xmpp::{Sensitive, prepare};
use prosody_core::{
    AccountAnswer, AccountQuestion, AccountRecord, ConnId, Counter, Login, Output, Proof, QuestionId,
    SessionQuery, Transport,
};

use crate::rig::{Client, OPEN, Rig, between};

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

/// People log in on the main host; `anna` has an account with the password `geheim`.
fn town() -> Rig {
    Rig::with(|c| {
        c.more_accounts = true;
        c.hosts.users[0].login = Login::Accounts;
    })
}

fn anna() -> AccountRecord {
    AccountRecord::with_password("geheim", &mut SeededEntropy::new(7), 1)
}

fn stream(rig: &mut Rig) -> ConnId {
    let conn = rig.open(Transport::WebSocket, SessionQuery::default());
    rig.raw(conn, OPEN.as_bytes());
    conn
}

fn auth(rig: &mut Rig, conn: ConnId, mechanism: &str, data: &[u8]) {
    let data = STANDARD.encode(data);
    let auth = format!(r#"<auth xmlns="{SASL}" mechanism="{mechanism}">{data}</auth>"#);
    rig.raw(conn, auth.as_bytes());
}

fn plain(rig: &mut Rig, conn: ConnId, user: &str, password: &str) {
    auth(rig, conn, "PLAIN", format!("\0{user}\0{password}").as_bytes());
}

/// What the shell was asked since the last time.
fn asked(rig: &mut Rig) -> Vec<(ConnId, QuestionId, AccountQuestion)> {
    let of = |o| match o {
        Output::Account { conn, id, question } => Some((conn, id, *question)),
        _ => None,
    };
    std::mem::take(&mut rig.other).into_iter().filter_map(of).collect()
}

/// The shell of a town where only `anna` has an account.
fn answer(rig: &mut Rig, record: &AccountRecord) {
    for (conn, id, question) in asked(rig) {
        let answer = match question.jid.as_str() {
            "anna@meet.jitsi" => record.answer(&question.proof),
            _ => AccountAnswer::Wrong,
        };
        rig.hear_account(conn, id, answer);
    }
}

#[test]
fn somebody_with_an_account_logs_in_with_its_password_and_nobody_else() {
    let mut rig = town();
    for (user, password, condition) in [
        ("anna", "geheim", None),
        ("Anna", "geheim", None),
        ("anna", "Geheim", Some("not-authorized")),
        ("emil", "geheim", Some("not-authorized")),
    ] {
        let conn = stream(&mut rig);
        rig.take_raw(conn);
        plain(&mut rig, conn, user, password);
        assert!(rig.take_raw(conn).is_empty(), "nothing is said before the account was looked at");
        answer(&mut rig, &anna());
        let back = rig.take_raw(conn).concat();
        match condition {
            None => {
                assert!(back.starts_with("<success"), "{back}");
                rig.raw(conn, OPEN.as_bytes());
                rig.raw(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
                let bound = rig.take_raw(conn).concat();
                assert!(bound.contains("<jid>anna@meet.jitsi/"), "{bound}");
            }
            Some(condition) => assert!(back.contains(&format!("<{condition}/>")), "{back}"),
        }
        rig.lose(conn);
    }
    rig.assert_empty();
}

/// Logs in on a town whose directory says this of it.
fn known(rig: &mut Rig, user: &str, answer: AccountAnswer) -> Client {
    let conn = stream(rig);
    plain(rig, conn, user, "geheim");
    let (_, id, _) = asked(rig).remove(0);
    rig.hear_account(conn, id, answer);
    rig.raw(conn, OPEN.as_bytes());
    rig.take_raw(conn);
    rig.bound(conn)
}

fn ranked(rig: &mut Rig, user: &str, moderates: bool) -> Client {
    known(rig, user, AccountAnswer::Ranked { moderates })
}

#[test]
fn whom_the_directory_says_to_moderate_owns_meetings_and_the_others_do_not() {
    for wait_for_host in [false, true] {
        let mut rig = Rig::with(|c| {
            c.hosts.users[0].login = Login::Directory;
            if wait_for_host {
                c.hosts.rooms[0].modules.push("muc_wait_for_host".into());
            }
        });
        let focus = rig.focus();
        rig.join(&focus);
        let bert = ranked(&mut rig, "bert", false);
        let joined = rig.join(&bert).concat();
        assert!(joined.contains("affiliation=\"none\""), "{joined}");
        let anna = ranked(&mut rig, "anna", true);
        let joined = rig.join(&anna).concat();
        let own = joined.split("<presence ").find(|p| p.contains("code=\"110\"")).unwrap();
        assert!(own.contains("affiliation=\"owner\"") && own.contains("role=\"moderator\""), "{own}");
    }
}

/// Where newcomers watch and moderators say who comes in, a moderator comes.
#[test]
fn whom_the_directory_says_to_moderate_comes_in_while_others_watch() {
    let mut rig = Rig::with(|c| {
        c.hosts.users[0].login = Login::Directory;
        c.hosts.rooms[0].policy.viewers_come_in = false;
        c.hosts.add_audience("v0.meet.jitsi", "muc", None);
    });
    let focus = rig.focus();
    rig.join(&focus);
    rig.ask(&focus, "<presence to='rathaus@muc.v0.meet.jitsi/focus'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    let bert = ranked(&mut rig, "bert", false);
    let refused = rig.join(&bert).concat();
    assert!(refused.contains("<promotion-not-allowed"), "{refused}");
    let anna = ranked(&mut rig, "anna", true);
    assert!(rig.join(&anna).concat().contains("role=\"moderator\" jid=\"anna@meet.jitsi/"));
}

#[test]
fn the_focus_hears_whether_an_account_moderates_and_never_from_a_client() {
    let mut rig = Rig::with(|c| c.hosts.users[0].login = Login::Directory);
    let focus = rig.focus();
    let anna = ranked(&mut rig, "anna", true);
    let bert = ranked(&mut rig, "bert", false);
    let unknown = known(&mut rig, "karl", AccountAnswer::Right);
    for (who, says, heard) in
        [(&anna, "false", Some("true")), (&bert, "true", Some("false")), (&unknown, "true", None)]
    {
        rig.take(&focus);
        rig.send(who, &format!("<iq type='set' id='c' to='focus.meet.jitsi'><conference xmlns='http://jitsi.org/protocol/focus' room='rathaus@muc.meet.jitsi' moderates='{says}'/></iq>"));
        let all = rig.take(&focus).concat();
        let marked = between(&all, "moderates=\"", "\"");
        assert_eq!(marked, heard, "{all}");
    }
}

#[test]
fn an_exchange_is_made_of_the_keys_that_are_kept() {
    let mut rig = Rig::with(|c| {
        c.more_accounts = true;
        c.hosts.users[0].login = Login::Accounts;
        c.hosts.users[0].mechanisms =
            ["SCRAM-SHA-256", "SCRAM-SHA-1"].map(|m| prosody_core::Mechanism::named(m).unwrap()).into();
    });
    for (hash, password, right) in
        [(Hash::Sha1, "geheim", true), (Hash::Sha256, "geheim", true), (Hash::Sha1, "falsch", false)]
    {
        let conn = stream(&mut rig);
        rig.take_raw(conn);
        let client =
            ScramClient::new(hash, "anna", Sensitive::new(password.to_owned()), "fyko+d2lbbFgONRv9qkxdawL");
        auth(&mut rig, conn, hash.mechanism(), &client.first());
        answer(&mut rig, &anna());
        let back = rig.take_raw(conn).concat();
        let challenge = between(&back, &format!("<challenge xmlns=\"{SASL}\">"), "<").unwrap();
        let (last, said) = client.respond(&STANDARD.decode(challenge).unwrap()).unwrap();
        let said = STANDARD.encode(said);
        rig.raw(conn, format!(r#"<response xmlns="{SASL}">{said}</response>"#).as_bytes());
        let back = rig.take_raw(conn).concat();
        match between(&back, &format!("<success xmlns=\"{SASL}\">"), "<") {
            Some(proof) => last.verify(&STANDARD.decode(proof).unwrap()).unwrap(),
            None => assert!(back.contains("<not-authorized/>"), "{back}"),
        }
        assert_eq!(back.contains("<success"), right);
        assert!(asked(&mut rig).is_empty(), "it was looked at once");
        rig.lose(conn);
    }
    rig.assert_empty();
}

#[test]
fn compat_a_disabled_account_is_told_so() {
    let mut rig = town();
    let mut record = anna();
    record.disabled = true;
    let conn = stream(&mut rig);
    for password in ["geheim", "falsch"] {
        rig.take_raw(conn);
        plain(&mut rig, conn, "anna", password);
        answer(&mut rig, &record);
        let back = rig.take_raw(conn).concat();
        assert!(back.contains("<account-disabled/>"), "{back}");
    }
}

/// Clients take the best that is offered, whoever logs in.
#[test]
fn compat_people_s_accounts_are_offered_what_upstream_s_are() {
    let mut rig = town();
    let conn = stream(&mut rig);
    let features = rig.take_raw(conn).concat();
    let offered: Vec<&str> =
        features.split("<mechanism>").skip(1).map(|m| m.split('<').next().unwrap()).collect();
    assert_eq!(offered, ["SCRAM-SHA-1", "PLAIN"]);
}

#[test]
fn what_the_configuration_says_of_an_account_is_not_asked_of_anybody() {
    let mut rig = town();
    let conn = rig.open(Transport::Tcp { tls: true }, SessionQuery::default());
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='auth.meet.jitsi' version='1.0'>";
    rig.raw(conn, header.as_bytes());
    for (password, in_it) in [("falsch", false), ("geheim", true)] {
        rig.take_raw(conn);
        plain(&mut rig, conn, "focus", password);
        assert!(asked(&mut rig).is_empty());
        assert_eq!(rig.take_raw(conn).concat().starts_with("<success"), in_it);
    }
    // Others of that host are.
    let conn = rig.open(Transport::Tcp { tls: true }, SessionQuery::default());
    rig.raw(conn, header.as_bytes());
    plain(&mut rig, conn, "jibri", "x");
    assert_eq!(asked(&mut rig)[0].2.jid.as_str(), "jibri@auth.meet.jitsi");
}

#[test]
fn without_more_accounts_nobody_is_asked() {
    let mut rig = Rig::with(|c| c.hosts.users[0].login = Login::Accounts);
    let conn = stream(&mut rig);
    plain(&mut rig, conn, "anna", "geheim");
    assert!(rig.take_raw(conn).concat().contains("<not-authorized/>") && asked(&mut rig).is_empty());
}

#[test]
fn an_account_that_cannot_be_looked_at_costs_its_owner_no_try() {
    let mut rig = town();
    let peer = "192.0.2.1".parse().ok().map(budget::Network::of);
    for _ in 0..200 {
        let conn = rig.open(Transport::WebSocket, SessionQuery { peer, ..Default::default() });
        rig.raw(conn, OPEN.as_bytes());
        rig.take_raw(conn);
        plain(&mut rig, conn, "anna", "geheim");
        for (conn, id, _) in asked(&mut rig) {
            rig.hear_account(conn, id, AccountAnswer::Unavailable);
        }
        let back = rig.take_raw(conn).concat();
        assert!(back.contains("<temporary-auth-failure/>"), "{back}");
        rig.lose(conn);
    }
    assert_eq!(rig.server.counters().count(Counter::AuthDelayed), 0);
}

#[test]
fn whoever_waits_for_its_account_asks_nothing_else_and_an_answer_that_is_late_is_not_the_next_one_s() {
    let mut rig = town();
    let hasty = stream(&mut rig);
    plain(&mut rig, hasty, "anna", "geheim");
    plain(&mut rig, hasty, "emil", "geheim");
    assert!(rig.closed.contains_key(&hasty), "one question at a time");
    let again = stream(&mut rig);
    plain(&mut rig, again, "anna", "geheim");
    rig.raw(again, OPEN.as_bytes());
    assert!(rig.closed.contains_key(&again), "a new stream is no way out");
    asked(&mut rig);
    let patient = stream(&mut rig);
    plain(&mut rig, patient, "anna", "geheim");
    rig.raw(patient, format!(r#"<abort xmlns="{SASL}"/>"#).as_bytes());
    assert!(rig.take_raw(patient).concat().contains("<aborted/>"));
    let first = asked(&mut rig);
    plain(&mut rig, patient, "emil", "geheim");
    let second = asked(&mut rig);
    assert_ne!(first[0].1, second[0].1);
    rig.hear_account(patient, first[0].1, AccountAnswer::Right);
    assert!(rig.take_raw(patient).is_empty(), "Anna's password lets nobody in as Emil");
    rig.hear_account(patient, second[0].1, AccountAnswer::Wrong);
    assert!(rig.take_raw(patient).concat().contains("<not-authorized/>"));
    rig.hear_account(patient, second[0].1, AccountAnswer::Right);
    assert!(rig.take_raw(patient).is_empty(), "an answer is heard once");
    // An answer of the wrong kind is none.
    let keys = AccountRecord::with_password("x", &mut SeededEntropy::new(1), 1);
    let AccountAnswer::Keys(keys) = keys.answer(&Proof::Keys(Hash::Sha1)) else { panic!() };
    plain(&mut rig, patient, "anna", "geheim");
    let third = asked(&mut rig)[0].1;
    rig.hear_account(patient, third, AccountAnswer::Keys(keys));
    assert!(rig.take_raw(patient).concat().contains("<not-authorized/>"));
    rig.hear_account(ConnId(999), third, AccountAnswer::Right);
}

#[test]
fn passwords_are_asked_for_in_the_spelling_in_which_they_are_kept() {
    let mut rig = town();
    let conn = stream(&mut rig);
    plain(&mut rig, conn, "anna", "pa\u{301}ss");
    let question = asked(&mut rig).remove(0).2;
    let prepared = prepare::password("pa\u{301}ss").unwrap().into_owned();
    assert_eq!(question.proof, Proof::Password(Sensitive::new(prepared)));
}
