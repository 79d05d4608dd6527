//! What people may by what their token says of them.

use prosody_core::Config;
use serde_json::{Value, json};

use crate::chat::{affiliate, in_meetings, say, set_metadata};
use crate::rig::{Client, ROOM, Rig};
use crate::tokens::{meeting, token_with, with_both};

/// Somebody with these features who is in the meeting.
fn somebody(rig: &mut Rig, features: &Value) -> Client {
    comes(rig, &json!({"context": {"features": features}}))
}

fn moderator(rig: &mut Rig, features: Option<&Value>) -> Client {
    let mut context = json!({"user": {"id": "m", "moderator": true}});
    if let Some(features) = features {
        context["features"] = features.clone();
    }
    comes(rig, &json!({"context": context}))
}

fn comes(rig: &mut Rig, claims: &Value) -> Client {
    let who = rig.client_with(token_with(claims));
    assert!(rig.join(&who).iter().any(|f| f.contains("code=\"110\"")));
    who
}

fn speaks(rig: &mut Rig, who: &Client) -> bool {
    say(rig, who, "x").iter().any(|f| f.contains("<body>x</body>"))
}

fn town(change: impl FnOnce(&mut Config)) -> Rig {
    with_both(|s| s.allow_empty = true, change)
}

#[test]
fn compat_a_token_says_who_chats_where_that_is_restricted() {
    let mut rig = town(|_| {});
    let _focus = meeting(&mut rig);
    let anna = moderator(&mut rig, None);
    set_metadata(&mut rig, &anna, "permissions", r#"{"groupChatRestricted":true}"#);
    for (features, may) in [
        (json!({"send-groupchat": true}), true),
        (json!({"send-groupchat": "true"}), true),
        (json!({"send-groupchat": false}), false),
        (json!({"screen-sharing": true}), false),
        (json!({}), false),
    ] {
        let who = somebody(&mut rig, &features);
        assert_eq!(speaks(&mut rig, &who), may, "{features}");
    }
    assert!(speaks(&mut rig, &anna), "a moderator of whom nothing else is known");
    let known = moderator(&mut rig, Some(&json!({})));
    assert!(!speaks(&mut rig, &known), "a moderator who is known not to be allowed");
    let guest = rig.client();
    rig.join(&guest);
    assert!(!speaks(&mut rig, &guest));
}

#[test]
fn compat_whoever_is_made_a_moderator_may_the_same_until_it_ends() {
    let mut rig = town(|_| {});
    let focus = meeting(&mut rig);
    let granter = moderator(&mut rig, Some(&json!({"send-groupchat": true, "recording": true})));
    set_metadata(&mut rig, &granter, "permissions", r#"{"groupChatRestricted":true}"#);
    let ben = somebody(&mut rig, &json!({"send-groupchat": false}));
    for _ in 0..2 {
        affiliate(&mut rig, &granter, &ben, "owner");
        let told = rig.take(&ben).into_iter().find(|f| f.contains("<permissions ")).unwrap();
        let all =
            r#"jitmeet"><p name="recording" val="true"/><p name="send-groupchat" val="true"/></permissions>"#;
        assert!(told.contains(all), "although its token has features: {told}");
        assert!(speaks(&mut rig, &ben));
        affiliate(&mut rig, &granter, &ben, "member");
        assert!(!speaks(&mut rig, &ben), "what its token says counts again");
    }
    // By the focus, who may everything and of whom nothing is known: its token counts.
    rig.take(&ben);
    affiliate(&mut rig, &focus, &ben, "owner");
    assert!(!rig.take(&ben).iter().any(|f| f.contains("<permissions ")));
    assert!(!speaks(&mut rig, &ben));
}

#[test]
fn compat_a_token_says_who_transcribes_and_translates() {
    let mut rig = town(|c| {
        c.hosts.components.push(prosody_core::ComponentHost {
            domain: "audiotranslation.meet.jitsi".into(),
            module: "audio_translation_component".into(),
            rooms: "muc.meet.jitsi".into(),
        });
    });
    let _focus = meeting(&mut rig);
    let both = r#"{"isTranscribingEnabled":true,"evil":1}"#;
    let sets = |rig: &mut Rig, who: &Client, key: &str, data: &str, told: &str| {
        set_metadata(rig, who, key, data).iter().any(|f| f.contains(told))
    };
    let may = somebody(&mut rig, &json!({"transcription": true, "live-translation": true}));
    assert!(sets(&mut rig, &may, "recording", both, r#""recording":{"isTranscribingEnabled":true}"#));
    assert!(sets(
        &mut rig,
        &may,
        "audioTranslation",
        r#"{"enabled":true}"#,
        r#""audioTranslation":{"enabled":true}"#
    ));
    assert!(sets(&mut rig, &may, "other", "1", "<service-unavailable "), "nothing else");
    assert!(sets(&mut rig, &may, "recording", r#"{"x":1}"#, "<service-unavailable "), "nor there");
    let not = moderator(&mut rig, Some(&json!({"transcription": false})));
    assert!(sets(&mut rig, &not, "recording", r#"{"isTranscribingEnabled":false}"#, "<service-unavailable "));
    assert!(sets(&mut rig, &not, "audioTranslation", r#"{"enabled":false}"#, "<service-unavailable "));
    let wish = |rig: &mut Rig, who: &Client| {
        let said = format!(
            r#"<audio-translation xmlns="http://jitsi.org/jitmeet">{{"{}":"en"}}</audio-translation>"#,
            may.nick
        );
        crate::components::command(rig, who, "audiotranslation", &said)
    };
    let deaf = somebody(&mut rig, &json!({"live-translation-subscribe": "false"}));
    assert!(wish(&mut rig, &deaf)[0].contains("<forbidden "));
    assert!(wish(&mut rig, &not).is_empty(), "everybody else");
}

#[test]
fn compat_a_token_fixes_the_name() {
    let mut rig = town(|c| in_meetings(c, &["muc_displayname"]));
    let focus = meeting(&mut rig);
    let shown = |rig: &mut Rig, claims: &Value| {
        let who = comes(rig, claims);
        let seen = rig.take(&focus).into_iter().find(|f| f.contains(&who.nick)).unwrap();
        let nick = crate::rig::parse(&seen).child("nick", jitsi_xmpp::ns::NICK).map(|n| n.text());
        nick.map(|n| n.replace(&who.nick, "own"))
    };
    let fixed = json!({"name-readonly": true});
    let user = json!({"name": "Anna"});
    rig.take(&focus);
    assert_eq!(
        shown(&mut rig, &json!({"context": {"user": user, "features": fixed}})).as_deref(),
        Some("Anna")
    );
    assert_eq!(shown(&mut rig, &json!({"context": {"features": fixed}})), None);
    assert_eq!(shown(&mut rig, &json!({"context": {"user": user}})).as_deref(), Some("own"));
}

#[test]
fn compat_somebody_with_a_token_who_writes_lifts_the_limit() {
    for lifts in [true, false] {
        let mut rig = town(|c| {
            in_meetings(c, &["muc_limit_messages"]);
            let policy = &mut c.hosts.rooms[0].policy;
            (policy.max_messages, policy.tokens_lift_max_messages) = (Some(1), lifts);
        });
        let _focus = meeting(&mut rig);
        let guest = rig.client();
        rig.join(&guest);
        let anna = comes(&mut rig, &json!({}));
        assert!(speaks(&mut rig, &guest) && !speaks(&mut rig, &guest));
        assert_eq!(speaks(&mut rig, &anna), lifts);
        assert_eq!(speaks(&mut rig, &guest), lifts, "for good");
    }
}

#[test]
fn compat_in_a_moderated_room_who_has_a_token_owns_it() {
    let mut rig = town(|c| {
        let policy = &mut c.hosts.rooms[0].policy;
        (policy.all_owners, policy.moderated_rooms) = (true, vec!["rathaus".into()]);
    });
    let _focus = meeting(&mut rig);
    let guest = rig.client();
    assert!(rig.join(&guest).concat().contains(r#"affiliation="none""#));
    let host = rig.client_with(token_with(&json!({})));
    assert!(rig.join(&host).iter().any(|f| f.contains("110") && f.contains(r#"affiliation="owner""#)));
    let back = affiliate(&mut rig, &host, &guest, "outcast");
    assert!(back.iter().any(|f| f.contains(r#"type="result""#)), "and may shut others out of {ROOM}");
}
