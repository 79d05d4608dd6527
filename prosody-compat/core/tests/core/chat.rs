//! Who may say what to whom: upstream's modules about messages, as clients see them.

use jitsi_xmpp::ns;
use prosody_core::Config;

use crate::components::{command, moderated};
use crate::rig::{Client, ROOM, Rig, without_push};

/// Names modules of the meetings.
pub fn in_meetings(config: &mut Config, modules: &[&str]) {
    config.hosts.rooms[0].modules.extend(modules.iter().map(|m| (*m).to_owned()));
}

/// Says something to all and returns what comes back.
pub fn say(rig: &mut Rig, who: &Client, text: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<message type="groupchat" id="m" to="{ROOM}"><body>{text}</body></message>"#))
}

/// Says something to all that has no text.
fn show(rig: &mut Rig, who: &Client, json: &str) -> Vec<String> {
    rig.ask(
        who,
        &format!(
            r#"<message type="groupchat" id="m" to="{ROOM}"><json-message xmlns="http://jitsi.org/jitmeet">{json}</json-message></message>"#
        ),
    )
}

pub fn set_metadata(rig: &mut Rig, who: &Client, key: &str, data: &str) -> Vec<String> {
    let set = format!(
        r#"<room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"{key}","data":{data}}}</room_metadata>"#
    );
    command(rig, who, "metadata", &set)
}

pub fn affiliate(rig: &mut Rig, by: &Client, who: &Client, affiliation: &str) -> Vec<String> {
    rig.ask(
        by,
        &format!(
            r#"<iq type="set" id="a" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="{affiliation}" jid="{}"/></query></iq>"#,
            who.bare()
        ),
    )
}

const REFUSED: &str = r#"<error type="cancel" by="rathaus@muc.meet.jitsi"><not-allowed "#;

fn is_refused(back: &[String], text: &str) -> bool {
    back.iter().any(|f| f.contains(REFUSED) && f.contains(text))
}

#[test]
fn compat_a_restricted_chat_is_theirs_who_are_known_to_be_allowed() {
    let mut rig = Rig::new();
    let (focus, clients) = moderated(&mut rig, 3);
    let (anna, ben, carl) = (&clients[0], &clients[1], &clients[2]);
    let text = "Sending group messages not allowed";
    assert!(say(&mut rig, ben, "1")[0].contains("<body>1</body>"), "nobody restricted anything");
    set_metadata(&mut rig, anna, "permissions", r#"{"groupChatRestricted":true}"#);
    rig.take(carl);
    assert!(is_refused(&say(&mut rig, ben, "2"), text));
    assert!(rig.take(carl).is_empty());
    assert!(say(&mut rig, anna, "3")[0].contains("<body>3</body>"), "moderators may");
    assert!(show(&mut rig, ben, "{}")[0].contains("json-message"), "what has no text is no chat");
    // Whoever is made a moderator may what that one may, until it ends.
    affiliate(&mut rig, anna, carl, "owner");
    assert!(say(&mut rig, carl, "4")[0].contains("<body>4</body>"));
    affiliate(&mut rig, anna, carl, "member");
    assert!(is_refused(&say(&mut rig, carl, "5"), text));
    set_metadata(&mut rig, anna, "permissions", r#"{"groupChatRestricted":false}"#);
    assert!(say(&mut rig, ben, "6")[0].contains("<body>6</body>"));
    rig.end(&[&focus, anna, ben, carl]);
}

#[test]
fn moderators_may_what_the_admin_gave_them_and_nothing_else() {
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.default_permissions = vec!["recording".into()]);
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    set_metadata(&mut rig, anna, "permissions", r#"{"groupChatRestricted":true}"#);
    assert!(is_refused(&say(&mut rig, anna, "1"), "Sending group messages"));
    // Nor may those whom they make moderators: they are told what these may.
    affiliate(&mut rig, anna, ben, "owner");
    let told = rig.take(ben).into_iter().find(|f| f.contains("<permissions ")).unwrap();
    assert!(told.contains(r#"jitmeet"><p name="recording" val="true"/></permissions>"#), "{told}");
    assert!(is_refused(&say(&mut rig, ben, "2"), "Sending group messages"));
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn what_somebody_may_as_a_moderator_stays_behind_in_the_room() {
    let mut rig = Rig::new();
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    affiliate(&mut rig, anna, ben, "owner");
    set_metadata(&mut rig, anna, "permissions", r#"{"groupChatRestricted":true}"#);
    affiliate(&mut rig, &focus, ben, "none");
    assert!(is_refused(&say(&mut rig, ben, "1"), "Sending group messages"), "taken by the focus");
    affiliate(&mut rig, anna, ben, "owner");
    assert!(say(&mut rig, ben, "2").iter().any(|f| f.contains("<body>2</body>")));
    rig.leave(ben);
    affiliate(&mut rig, anna, ben, "none");
    rig.join(ben);
    assert!(is_refused(&say(&mut rig, ben, "3"), "Sending group messages"), "left");
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn compat_nobody_writes_to_accounts() {
    let mut rig = Rig::with(without_push);
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    for to in [ben.jid.as_str(), ben.bare(), anna.bare()] {
        for kind in ["", r#"type="chat""#, r#"type="headline""#] {
            let back =
                rig.ask(anna, &format!(r#"<message {kind} id="m" to="{to}"><body>x</body></message>"#));
            assert_eq!(back.len(), 1);
            assert!(
                back[0].contains(r#"<error type="cancel"><not-allowed "#)
                    && back[0].contains("Messages to this address are not allowed"),
                "{back:?}"
            );
        }
    }
    let error = format!(r#"<message type="error" id="m" to="{}"/>"#, ben.jid);
    assert!(rig.ask(anna, &error).is_empty(), "errors are not answered");
    assert!(rig.take(ben).is_empty());
    // Everything else goes as before.
    rig.send(anna, &format!(r#"<message type="chat" to="{ROOM}/{}"><body>p</body></message>"#, ben.nick));
    assert!(rig.take(ben)[0].contains("<body>p</body>"));
    rig.send(anna, &format!(r#"<iq type="get" id="q" to="{}"><x xmlns="y"/></iq>"#, ben.jid));
    assert!(rig.take(ben)[0].contains(r#"id="q""#));
    rig.send(&focus, &format!(r#"<message to="{}"><body>f</body></message>"#, ben.jid));
    assert!(rig.take(ben)[0].contains("<body>f</body>"), "roles may");
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn compat_a_room_is_silent_after_its_last_message() {
    let mut rig = Rig::with(|c| {
        in_meetings(c, &["muc_limit_messages"]);
        c.hosts.rooms[0].policy.max_messages = Some(3);
    });
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let text = "The message limit for the room has been reached. Messaging is now disabled.";
    assert!(say(&mut rig, anna, "1")[0].contains("<body>1</body>"));
    assert!(show(&mut rig, anna, "{}")[0].contains("json-message"), "counts");
    let private = format!(r#"<message type="chat" to="{ROOM}/{}"><body>p</body></message>"#, ben.nick);
    rig.send(anna, &private);
    assert!(rig.take(ben).pop().unwrap().contains("<body>p</body>"), "counts as well, and is the last");
    let back = say(&mut rig, anna, "4");
    assert!(is_refused(&back, text), "{back:?}");
    assert!(!back.iter().any(|f| f.contains("<body>4</body>")));
    let told = rig.take(ben);
    assert!(told.len() == 1 && told[0].contains(&format!("<body>{text}</body>")), "{told:?}");
    assert!(told[0].contains(&format!(r#"from="{ROOM}""#)) && told[0].contains(r#"type="groupchat""#));
    for _ in 0..2 {
        assert!(is_refused(&say(&mut rig, ben, "5"), text));
    }
    assert!(is_refused(&rig.ask(anna, &private), text));
    assert!(rig.take(ben).is_empty(), "said once");
    let vote = r#"{"type":"polls","command":"answer-poll","pollId":"1","answers":[]}"#;
    assert!(show(&mut rig, anna, vote)[0].contains("answer-poll"), "votes are heard");
    let carl = rig.client();
    assert!(rig.join(&carl).iter().any(|f| f.contains(text) && f.contains("<delay ")), "latecomers know");
    rig.end(&[&focus, anna, ben, &carl]);
}

#[test]
fn compat_messages_that_were_refused_do_not_count() {
    let mut rig = Rig::with(|c| {
        in_meetings(c, &["muc_limit_messages"]);
        c.hosts.rooms[0].policy.max_messages = Some(1);
    });
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    set_metadata(&mut rig, anna, "permissions", r#"{"groupChatRestricted":true}"#);
    for _ in 0..2 {
        assert!(is_refused(&say(&mut rig, ben, "1"), "Sending group messages"));
    }
    set_metadata(&mut rig, anna, "permissions", r#"{"groupChatRestricted":false}"#);
    assert!(say(&mut rig, ben, "2").iter().any(|f| f.contains("<body>2</body>")));
    assert!(is_refused(&say(&mut rig, ben, "3"), "message limit"));
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn compat_the_recording_key_is_theirs_who_may_transcribe() {
    let mut rig = Rig::new();
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let both = r#"{"isTranscribingEnabled":true,"isRecordingRequested":false,"evil":"x"}"#;
    assert!(set_metadata(&mut rig, ben, "recording", both)[0].contains("<service-unavailable "));
    let told = set_metadata(&mut rig, anna, "recording", both).pop().unwrap();
    assert!(
        told.contains(r#""recording":{"isRecordingRequested":false,"isTranscribingEnabled":true}"#),
        "{told}"
    );
    let other = set_metadata(&mut rig, anna, "recording", r#"{"x":1}"#).pop().unwrap();
    assert!(other.contains(r#""recording":{"x":1}"#), "as any key: {other}");
    rig.end(&[&focus, anna, ben]);

    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.default_permissions = vec!["recording".into()]);
    let (focus, clients) = moderated(&mut rig, 1);
    let back = set_metadata(&mut rig, &clients[0], "recording", both);
    assert!(back[0].contains("<service-unavailable "), "known not to be allowed, moderator or not: {back:?}");
    rig.end(&[&focus, &clients[0]]);
}

#[test]
fn which_keys_of_the_metadata_are_not_set_by_clients_is_the_admins_choice() {
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.blocked_metadata = vec!["mine".into()]);
    let (focus, clients) = moderated(&mut rig, 1);
    let anna = &clients[0];
    assert!(set_metadata(&mut rig, anna, "mine", "1")[0].contains("<service-unavailable "));
    assert!(set_metadata(&mut rig, anna, "transcriberType", "1")[0].contains(r#""transcriberType":1"#));
    rig.end(&[&focus, anna]);
}

#[test]
fn compat_where_all_own_a_room_nobody_takes_that_from_anybody() {
    let mut rig = Rig::with(|c| {
        let policy = &mut c.hosts.rooms[0].policy;
        policy.all_owners = true;
        policy.moderated_rooms = vec!["ratssaal".into()];
    });
    let (focus, clients) = rig.meeting(3);
    let (anna, ben, carl) = (&clients[0], &clients[1], &clients[2]);
    for affiliation in ["none", "outcast", "member"] {
        let back = affiliate(&mut rig, anna, ben, affiliation);
        assert!(back[0].contains(r#"<error type="auth" by="#) && back[0].contains("<forbidden "), "{back:?}");
    }
    let items = format!(
        r#"<item affiliation="owner" jid="{}"/><item affiliation="none" jid="{}"/>"#,
        ben.bare(),
        carl.bare()
    );
    let query = format!(
        r#"<iq type="set" id="a" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin">{items}</query></iq>"#
    );
    assert!(rig.ask(anna, &query)[0].contains("<forbidden "), "nor hidden behind another");
    assert!(affiliate(&mut rig, anna, ben, "owner").iter().any(|f| f.contains(r#"type="result""#)));
    assert!(
        affiliate(&mut rig, &focus, ben, "member").iter().any(|f| f.contains(r#"type="result""#)),
        "roles may"
    );
    // In a room that is moderated all the same, nobody becomes anything by coming.
    let room = "ratssaal@muc.meet.jitsi";
    let join = |nick: &str| {
        format!(r#"<presence to="{room}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#)
    };
    rig.send(&focus, &join("focus"));
    let own = rig.ask(anna, &join(&anna.nick)).into_iter().find(|f| f.contains(r#"code="110""#)).unwrap();
    assert!(own.contains(r#"affiliation="none" role="participant""#), "{own}");
    rig.end(&[&focus, anna, ben, carl]);
}

#[test]
fn compat_only_where_rooms_are_hidden_strangers_learn_nothing_of_them() {
    let ask = format!(
        r#"<iq type="get" id="d" to="{ROOM}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#
    );
    for hidden in [true, false] {
        let mut rig = Rig::with(|c| {
            if !hidden {
                c.hosts.rooms[0].modules.retain(|m| m != "muc_hide_all");
            }
        });
        let (focus, clients) = rig.meeting(1);
        let stranger = rig.client();
        assert_eq!(rig.ask(&stranger, &ask)[0].contains("<forbidden "), hidden);
        let info = rig.ask(&clients[0], &ask);
        assert!(info[0].contains(r#"type="result""#));
        assert!(info[0].contains(r#"<feature var="muc_hidden"/>"#), "{info:?}");
        rig.end(&[&focus, &clients[0], &stranger]);
    }
}

#[test]
fn compat_a_nick_stays() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let back = rig.ask(&clients[0], &format!(r#"<presence to="{ROOM}/another"/>"#));
    assert!(
        back[0].contains("<not-allowed ") && back[0].contains("Nick changes are not allowed"),
        "{back:?}"
    );
    rig.end(&[&focus, &clients[0]]);
}

/// Asks the room to hear somebody no more, or again.
fn ban(rig: &mut Rig, who: &Client, attrs: &str, on: &str) -> Vec<String> {
    rig.ask(
        who,
        &format!(
            r#"<iq type="set" id="s" to="{ROOM}"><shadow-ban xmlns="http://jitsi.org/jitmeet/shadow-ban" {attrs}>{on}</shadow-ban></iq>"#
        ),
    )
}

#[test]
fn compat_nobody_gets_messages_of_somebody_who_is_banned_unseen() {
    let mut rig = Rig::with(|c| {
        in_meetings(c, &["shadow_ban"]);
        c.hosts.rooms[0].policy.default_permissions.push("shadow-ban".into());
        c.limits.max_affiliations = 3;
    });
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let jid = format!(r#"jid="{}""#, ben.jid);
    let back = ban(&mut rig, ben, &jid, "true");
    assert!(back[0].contains("<forbidden ") && back[0].contains("Not authorized to shadow-ban"), "{back:?}");
    let outsider = rig.client();
    assert!(ban(&mut rig, &outsider, &jid, "true")[0].contains("<forbidden "));
    assert!(ban(&mut rig, anna, "", "true")[0].contains("Missing jid attribute"));
    assert!(ban(&mut rig, anna, r#"jid="@""#, "true")[0].contains("Invalid jid attribute"));
    assert!(ban(&mut rig, anna, &jid, "true")[0].contains(r#"type="result""#));
    rig.take(anna);
    assert!(say(&mut rig, ben, "1").is_empty(), "not a word to it");
    rig.send(ben, &format!(r#"<message type="chat" to="{ROOM}/{}"><body>p</body></message>"#, anna.nick));
    assert!(rig.take(anna).is_empty());
    assert!(say(&mut rig, anna, "2")[0].contains("<body>2</body>"));
    // At the limit, and one beyond.
    for (who, kind) in [("x@y", "result"), ("y@y", "result"), ("z@y", "error"), ("y@y", "result")] {
        let back = ban(&mut rig, anna, &format!(r#"jid="{who}""#), "true");
        assert!(back[0].contains(&format!(r#"type="{kind}""#)), "{who}: {back:?}");
    }
    ban(&mut rig, anna, &jid, "false");
    assert!(say(&mut rig, ben, "3").iter().any(|f| f.contains("<body>3</body>")));
    let ask = format!(
        r#"<iq type="get" id="d" to="{ROOM}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#
    );
    let feature = r#"<feature var="http://jitsi.org/jitmeet/shadow-ban"/>"#;
    assert!(rig.ask(anna, &ask)[0].contains(feature));
    rig.end(&[&focus, anna, ben, &outsider]);

    let mut rig = Rig::new();
    let (focus, clients) = moderated(&mut rig, 1);
    assert!(ban(&mut rig, &clients[0], r#"jid="x@y""#, "true")[0].contains("<service-unavailable "));
    assert!(!rig.ask(&clients[0], &ask)[0].contains(feature), "absent when off");
    rig.end(&[&focus, &clients[0]]);
}

/// A presence that says everything that may be hidden.
fn name(rig: &mut Rig, who: &Client, name: &str) -> Vec<String> {
    let said = format!(
        r#"<nick xmlns="{}">{name}</nick><email>{name}@town.example</email><stats-id>{name}-1</stats-id><audiomuted>true</audiomuted>"#,
        ns::NICK
    );
    rig.ask(who, &format!(r#"<presence to="{ROOM}/{}">{said}</presence>"#, who.nick))
}

#[test]
fn compat_where_names_are_hidden_only_moderators_see_them() {
    let mut rig = Rig::with(|c| {
        in_meetings(c, &["muc_displayname"]);
        c.hosts.rooms[0].policy.hide_names = true;
    });
    let (focus, clients) = moderated(&mut rig, 3);
    let (anna, ben, carl) = (&clients[0], &clients[1], &clients[2]);
    let shows = |frames: &[String], name: &str| {
        assert!(frames.iter().any(|f| f.contains("<audiomuted>")), "{frames:?}");
        let shown = [name.to_owned(), format!("{name}@town.example"), format!("{name}-1")];
        shown.map(|s| frames.iter().any(|f| f.contains(&format!(">{s}<"))))
    };
    assert_eq!(shows(&name(&mut rig, ben, "Ben"), "Ben"), [true; 3], "oneself");
    assert_eq!(shows(&rig.take(anna), "Ben"), [true; 3], "moderators");
    assert_eq!(shows(&rig.take(&focus), "Ben"), [true; 3]);
    assert_eq!(shows(&rig.take(carl), "Ben"), [false; 3], "nobody else");
    name(&mut rig, anna, "Anna");
    assert_eq!(shows(&rig.take(carl), "Anna"), [false; 3], "of nobody");
    // Nor does who comes later, or comes again; nor when something about it changes.
    let dora = rig.client();
    assert_eq!(shows(&rig.join(&dora), "Ben"), [false; 3]);
    let again = rig.join(carl);
    assert_eq!(shows(&again, "Ben"), [false; 3]);
    rig.take(carl);
    affiliate(&mut rig, anna, ben, "member");
    assert_eq!(shows(&rig.take(carl), "Ben"), [false; 3]);
    affiliate(&mut rig, anna, &dora, "owner");
    assert_eq!(shows(&rig.join(&dora), "Ben"), [true; 3], "a moderator from now on");
    rig.end(&[&focus, anna, ben, carl, &dora]);

    // Only where both are said.
    for (module, hide) in [("muc_displayname", false), ("muc_flip_that_is_not", true)] {
        let mut rig = Rig::with(|c| {
            in_meetings(c, &[module]);
            c.hosts.rooms[0].policy.hide_names = hide;
        });
        let (focus, clients) = rig.meeting(2);
        name(&mut rig, &clients[0], "Ben");
        assert_eq!(shows(&rig.take(&clients[1]), "Ben"), [true; 3]);
        rig.end(&[&focus, &clients[0], &clients[1]]);
    }
}

#[test]
fn compat_a_fixed_name_is_not_changed_by_its_client() {
    let mut rig = Rig::with(|c| {
        in_meetings(c, &["muc_displayname"]);
        c.hosts.rooms[0].policy.default_permissions = vec!["name-readonly".into()];
    });
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    name(&mut rig, anna, "Anna");
    assert!(!rig.take(ben)[0].contains("<nick"), "no token says a name");
    name(&mut rig, ben, "Ben");
    assert!(rig.take(anna).iter().any(|f| f.contains(">Ben</nick>")), "not fixed");
    rig.end(&[&focus, anna, ben]);
}
