//! What upstream's suite tries of hosts and modules, over WebSockets: each case stands for those of one of its files.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::{Person, Suite, context, room, signed, token};

const SECONDS: fn(u64) -> Duration = Duration::from_secs;

fn is_in(answer: &str) -> bool {
    answer.contains("code=\"110\"") && !answer.contains("type=\"error\"")
}

#[tokio::test]
async fn a_shared_secret_lets_any_name_in() {
    let suite = Suite::start().await;
    for (user, password, right) in [
        ("alice", "topsecret", true),
        ("anyusernamehere", "topsecret", true),
        ("alice", "oldsecret", true),
        ("alice", "wrongsecret", false),
    ] {
        let came = Person::come(&suite, "shared-secret.localhost", "", Some((user, password))).await;
        assert_eq!(came.is_ok(), right, "{user} {password}");
        if let Ok(person) = came {
            assert!(person.jid.starts_with(&format!("{user}@shared-secret.localhost/")));
        }
    }
}

#[tokio::test]
async fn an_access_manager_shuts_people_of_its_tenants_out() {
    let suite = Suite::start().await;
    let vpaas = |n: u32| format!("prefix=vpaas-magic-cookie-test&token={}", token(&json!({ "jti": n })));
    let come = async |query: String| Person::come(&suite, "localhost", &query, None).await;
    suite.post("/access-manager", json!({ "status": 500 })).await;
    assert!(come(String::new()).await.is_ok(), "who has no token is not asked about");
    assert!(come(format!("token={}", token(&json!({})))).await.is_ok(), "nor who is of no such tenant");
    assert!(come(vpaas(1)).await.is_ok(), "an error is no ban");
    suite.post("/access-manager", json!({ "access": true, "status": 200 })).await;
    assert!(come(vpaas(2)).await.is_ok());
    suite.post("/access-manager", json!({ "access": false })).await;
    let refused = come(vpaas(3)).await.err().unwrap();
    assert!(refused.contains("<not-allowed/>") && refused.contains("user is banned"), "{refused}");
    suite.post("/access-manager", json!({ "access": true })).await;
    assert!(come(vpaas(4)).await.is_ok());
    assert!(come(vpaas(3)).await.is_err(), "it is remembered");
}

#[tokio::test]
async fn guests_wait_for_a_host_in_rooms_that_anybody_opens() {
    let suite = Suite::start().await;
    let room = |n: u32| format!("wfh-{n}@conference-waitforhost.localhost");
    let _focus = suite.focus(&room(1)).await;
    let refused = suite.guest().await.join(&room(1)).await;
    assert!(refused.contains("<registration-required "), "the focus is no host: {refused}");
    let mut first = suite.guest().await;
    assert!(is_in(&first.join(&room(2)).await), "who opens a room is in it");
    let mut host = suite.with_token(&json!({})).await;
    let own = host.join(&room(3)).await;
    assert!(is_in(&own) && own.contains("affiliation=\"owner\""), "{own}");
    let mut guest = suite.guest().await;
    assert!(is_in(&guest.join(&room(3)).await));
    host.go().await;
    assert!(is_in(&suite.guest().await.join(&room(3)).await), "a host has been here");
    let mut late = suite.with_token(&json!({})).await;
    assert!(is_in(&late.join(&room(1)).await));
    assert!(is_in(&suite.guest().await.join(&room(1)).await), "the room is open now");
}

#[tokio::test]
async fn many_who_come_at_once_come_one_after_the_other() {
    let suite = Suite::start().await;
    let room = "rl-1@rate-limited.localhost";
    let mut all = Vec::new();
    for _ in 0..4 {
        all.push(suite.at("whitelist.localhost").await);
    }
    let start = Instant::now();
    let joined = join_all(all.iter_mut().map(|p| async { (p.join(room).await, start.elapsed()) })).await;
    assert!(joined.iter().all(|(answer, _)| is_in(answer)), "{joined:?}");
    let last = joined.iter().map(|(_, at)| *at).max().unwrap();
    assert!(last >= SECONDS(2), "one a second: {last:?}");
    let mut observer = all.remove(0);
    let nicks: Vec<String> = all.iter().map(|p| p.nick().to_owned()).collect();
    join_all(all.into_iter().map(Person::go)).await;
    for nick in nicks {
        let gone = format!("from=\"{room}/{nick}\"");
        let left = observer.within(SECONDS(15), |f| f.contains(&gone) && f.contains("unavailable")).await;
        assert!(left.is_some(), "{nick}");
    }
}

#[tokio::test]
async fn a_room_that_is_ended_while_people_wait_before_it_is_no_trouble() {
    let suite = Suite::start().await;
    let room = "rl-2@rate-limited.localhost";
    let mut owner = suite.at("whitelist.localhost").await;
    assert!(is_in(&owner.join(room).await));
    let mut rest = Vec::new();
    for _ in 0..3 {
        rest.push(suite.at("whitelist.localhost").await);
    }
    for person in &mut rest {
        let nick = person.nick().to_owned();
        person.ask_in(room, &nick, "").await;
    }
    owner
        .say(&format!(r#"<iq xmlns="jabber:client" type="set" id="d" to="{room}"><query xmlns="http://jabber.org/protocol/muc#owner"><destroy/></query></iq>"#))
        .await;
    owner.expect("id=\"d\"").await;
    let mut fresh = suite.at("whitelist.localhost").await;
    assert!(is_in(&fresh.join("rl-3@rate-limited.localhost").await));
}

#[tokio::test]
async fn what_a_token_says_of_somebody_stands_in_its_presence_and_nothing_else() {
    let suite = Suite::start().await;
    let room = "identity-1@conference-identity.localhost";
    let of = |claims: Value| format!("token={}", signed("testsecret", &claims));
    let anna = of(json!({ "context": { "user": { "id": "u1", "name": "Alice" }, "group": "mygroup" } }));
    let mut anna = Person::come(&suite, "hs256.localhost", &anna, None).await.unwrap();
    let forged = "<identity><user><id>hacker</id></user></identity>";
    let nick = anna.nick().to_owned();
    anna.join_as(room, &nick, forged).await;
    let mut nobody = Person::come(&suite, "hs256.localhost", &of(json!({})), None).await.unwrap();
    let other = nobody.nick().to_owned();
    nobody.join_as(room, &other, forged).await;
    let mut observer = suite.guest().await;
    assert!(is_in(&observer.join(room).await));
    let seen = observer.expect(&format!("from=\"{room}/{nick}\"")).await;
    assert!(
        seen.contains("<id>u1</id><name>Alice</name>") && seen.contains("<group>mygroup</group>"),
        "{seen}"
    );
    let seen = observer.expect(&format!("from=\"{room}/{other}\"")).await;
    assert!(!seen.contains("<identity"), "{seen}");
    anna.say(&format!(r#"<presence xmlns="jabber:client" to="{room}/{nick}"/>"#)).await;
    let again = observer.expect(&format!("from=\"{room}/{nick}\"")).await;
    assert!(again.contains("<id>u1</id>"), "{again}");
}

#[tokio::test]
async fn clients_are_told_shard_region_and_release() {
    let suite = Suite::start().await;
    let mut guest = suite.guest().await;
    let told = guest.expect("http://jabber.org/protocol/disco#info").await;
    for (kind, name) in [("shard", "test-shard"), ("region", "test-region"), ("release", "test-release")] {
        let named = format!(r#"<identity category="server" type="{kind}" name="{name}"/>"#);
        assert!(told.contains(&named), "{told}");
    }
    assert!(told.contains(&format!("to=\"{}\"", guest.jid)));
}

#[tokio::test]
async fn health_check_rooms_are_the_focus_own() {
    let suite = Suite::start().await;
    let health = room("__jicofo-health-check-mid-1");
    for there in [false, true] {
        let _focus = if there { Some(suite.focus(&health).await) } else { None };
        let refused = suite.guest().await.join_as(&health, "intruder", "").await;
        assert!(refused.contains("<service-unavailable "), "{refused}");
    }
}

#[tokio::test]
async fn languages_are_told_of_soon_and_moderators_switch_them_on() {
    let suite = Suite::start().await;
    let at = room("at-1");
    let _focus = suite.focus(&at).await;
    suite.post("/rooms/max-occupants", json!({ "jid": at, "max_occupants": 50 })).await;
    let moderator = token(&json!({ "room": "at-1", "context": { "user": { "moderator": true } } }));
    let here = |more: &str| format!("room=at-1{more}");
    let mut anna =
        Person::come(&suite, "localhost", &here(&format!("&token={moderator}")), None).await.unwrap();
    let mut ben = Person::come(&suite, "localhost", &here(""), None).await.unwrap();
    assert!(is_in(&anna.join(&at).await) && is_in(&ben.join(&at).await));
    anna.rest().await;
    let set = r#"<message xmlns="jabber:client" to="metadata.localhost"><room_metadata xmlns="http://jitsi.org/jitmeet" room="at-1@conference.localhost">{"key":"audioTranslation","data":{"enabled":true,"requests":{"evil":["xx"]}}}</room_metadata></message>"#;
    anna.say(set).await;
    let told = anna.expect("audioTranslation").await;
    assert!(told.contains("enabled") && !told.contains("evil"), "{told}");
    let speaker = anna.nick().to_owned();
    ben.say(&format!(
        r#"<message xmlns="jabber:client" to="audiotranslation.localhost"><audio-translation xmlns="http://jitsi.org/jitmeet">{{"{speaker}":"en"}}</audio-translation></message>"#
    ))
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let known = suite.room("/audio-translation-requests", &at).await.unwrap();
    assert_eq!(known["audioTranslationRequests"], json!({ speaker: ["en"] }));
}

#[tokio::test]
async fn recorders_alone_end_a_meeting_unless_breakout_rooms_are_active() {
    let suite = Suite::start().await;
    let recorder = ("recorder", "pass");
    for (name, active, stays) in
        [("cleanup-1", false, false), ("cleanup-2", true, true), ("cleanup-3", false, false)]
    {
        let at = room(name);
        let _focus = suite.focus(&at).await;
        let mut jibri = Person::come(&suite, "recorder.localhost", "", Some(recorder)).await.unwrap();
        assert!(is_in(&jibri.join_as(&at, "jibri", "").await));
        let mut guest = suite.guest().await;
        assert!(is_in(&guest.join(&at).await));
        suite.post("/rooms/breakout-rooms-active", json!({ "jid": at, "active": true })).await;
        suite.post("/rooms/breakout-rooms-active", json!({ "jid": at, "active": active })).await;
        guest.go().await;
        tokio::time::sleep(SECONDS(2)).await;
        assert_eq!(suite.room("", &at).await.is_some(), stays, "{name}");
    }
}

#[tokio::test]
async fn a_suite_sees_whose_device_is_which() {
    let suite = Suite::start().await;
    let at = room("flip-1");
    let _focus = suite.focus(&at).await;
    suite.post("/rooms/max-occupants", json!({ "jid": at, "max_occupants": 10 })).await;
    let (mut first, mut guest) = (suite.guest().await, suite.guest().await);
    context(&suite, &first, "user-a", true).await;
    assert!(is_in(&first.join(&at).await) && is_in(&guest.join(&at).await));
    let nick = first.nick().to_owned();
    let details = suite.room("/participants", &at).await.unwrap();
    assert_eq!(details, json!({ "participants_details": { "user-a": format!("{at}/{nick}") } }));
    let mut second = suite.guest().await;
    context(&suite, &second, "user-a", true).await;
    let other = second.nick().to_owned();
    assert!(is_in(&second.join_as(&at, &other, "<flip_device/>").await));
    let gone = guest.within(SECONDS(5), |f| f.contains(&nick) && f.contains("unavailable")).await.unwrap();
    assert!(gone.contains("<flip_device"), "{gone}");
    let details = suite.room("/participants", &at).await.unwrap();
    assert_eq!(details["participants_details"], json!({ "user-a": format!("{at}/{other}") }));
    second.go().await;
    let details = suite.room("/participants", &at).await.unwrap();
    assert_eq!(details["participants_details"], json!({}));
}

#[tokio::test]
async fn modules_are_loaded_and_unloaded_as_in_the_shell() {
    let suite = Suite::start().await;
    let at = room("hide-all-1");
    let _focus = suite.focus(&at).await;
    let mut stranger = suite.guest().await;
    let info = format!(
        r#"<iq xmlns="jabber:client" type="get" id="i" to="{at}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#
    );
    for (line, hidden) in [
        ("module:unload(\"muc_hide_all\", \"conference.localhost\")", false),
        ("module:load(\"muc_hide_all\", \"conference.localhost\")\n", true),
        ("module:reload(\"muc_hide_all\", \"conference.localhost\")", true),
    ] {
        suite.shell(line).await;
        stranger.say(&info).await;
        let answer = stranger.expect("id=\"i\"").await;
        assert_eq!(answer.contains("<forbidden "), hidden, "{line}: {answer}");
        assert_eq!(suite.room("", &at).await.unwrap()["hidden"], hidden, "{line}");
    }
    for wrong in
        ["module:load(\"muc_hide_al\", \"conference.localhost\")", "user:delete(\"a\")", "module:load(1)"]
    {
        assert_eq!(suite.ask_with("POST", "/shell", wrong).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn breakout_rooms_are_opened_named_and_closed() {
    let suite = Suite::start().await;
    let at = room("br-1");
    let _focus = suite.focus(&at).await;
    let moderator = token(&json!({ "room": "br-1", "context": { "user": { "moderator": true } } }));
    let mut anna =
        Person::come(&suite, "localhost", &format!("room=br-1&token={moderator}"), None).await.unwrap();
    assert!(is_in(&anna.join(&at).await));
    let mut fake = suite.guest().await;
    let refused = fake.join("00000000-0000-0000-0000-000000000000@breakout.conference.localhost").await;
    assert!(refused.contains("type=\"error\""), "{refused}");
    let command = |attrs: String| {
        format!(
            r#"<message xmlns="jabber:client" to="breakout.conference.localhost"><breakout_rooms {attrs}/></message>"#
        )
    };
    let mut jid = String::new();
    for (what, rooms, name) in [
        ("add\" subject=\"Group A\"", 2, Some("Group A")),
        ("rename\" subject=\"Renamed\"", 2, Some("Renamed")),
        ("remove\"", 1, None),
    ] {
        anna.say(&command(format!("type=\"features/breakout-rooms/{what} breakoutRoomJid=\"{jid}\""))).await;
        let update = anna.expect("features/breakout-rooms/update").await;
        let text = jitsi_xmpp::xml::parse(update.as_bytes()).unwrap();
        let text = text.children().find(|c| c.name() == "json-message").unwrap().text();
        let said: Value = serde_json::from_str(&text).unwrap();
        let all = said["rooms"].as_object().unwrap();
        assert_eq!(all.len(), rooms, "{said}");
        let part = all.values().find(|r| r["isMainRoom"] != true);
        assert_eq!(part.and_then(|r| r["name"].as_str()), name);
        if let Some(part) = part {
            part["jid"].as_str().unwrap().clone_into(&mut jid);
        }
    }
}

#[tokio::test]
async fn only_people_of_some_domains_come_near_where_access_is_filtered() {
    let suite = Suite::start().await;
    let at = "filter-1@conference-internal.localhost";
    let mut stranger = suite.guest().await;
    let nick = stranger.nick().to_owned();
    stranger.ask_in(at, &nick, "").await;
    assert!(is_in(&suite.at("whitelist.localhost").await.join(at).await));
    stranger.ask_in(at, &nick, "").await;
    assert!(stranger.within(SECONDS(1), |f| f.contains(at)).await.is_none(), "nothing is answered");
}

/// Of the three cases about traces, two: nothing is sent to a collector.
#[tokio::test]
async fn what_bridges_are_asked_is_not_changed_on_the_way() {
    let suite = Suite::start().await;
    for domain in ["trace.localhost", "trace-disabled.localhost"] {
        let (mut from, mut to) = (suite.at("whitelist.localhost").await, suite.at(domain).await);
        let asked = r#"<conference-modify xmlns="jitsi:colibri2"><traceparent trace_id="dd" parent_id="ee"/></conference-modify>"#;
        from.say(&format!(r#"<iq xmlns="jabber:client" type="set" id="c" to="{}">{asked}</iq>"#, to.jid))
            .await;
        assert!(to.expect("conference-modify").await.contains(asked));
    }
}
