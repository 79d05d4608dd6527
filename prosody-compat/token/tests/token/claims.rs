//! What a token says of a person and a meeting, and what of it is believed.

use prosody_token::limits::{FEATURES, USER_MEMBERS};
use prosody_token::{Claims, Refusal};
use serde_json::{Value, json};

use crate::support::*;

fn context(context: Value) -> Claims {
    log_in(&hs(json!({ "context": context }))).unwrap()
}

fn members(claims: &Claims) -> Vec<(String, String)> {
    let user = claims.user.as_ref().unwrap();
    user.members().map(|(name, text)| (name.to_owned(), text.into_owned())).collect()
}

#[test]
fn room_and_features_with_a_secret_and_with_a_served_key() {
    let said = json!({ "room": "testroom", "context": { "features": { "screen-sharing": true, "recording": false } } });
    for claims in [log_in(&hs(said.clone())).unwrap(), log_in_served(&rs(said)).unwrap()] {
        assert_eq!(claims.room.unwrap().reveal(), "testroom");
        let features = claims.features.unwrap();
        assert_eq!((features["screen-sharing"], features["recording"]), (true, false));
    }
}

#[test]
fn features_are_flags_in_two_spellings_and_nothing_else_is_yes() {
    let features = context(json!({ "features": { "a": "true", "b": "false", "c": "True", "d": 1, "e": "yes",
        "f": null, "g": {}, "h": [true], "i": true } }))
    .features
    .unwrap();
    let on: Vec<&str> = features.iter().filter(|(_, on)| **on).map(|(name, _)| name.as_str()).collect();
    assert_eq!(on, ["a", "i"]);
    assert_eq!(features.len(), 9);
    for none in [json!({}), json!({ "features": null })] {
        assert_eq!(context(none).features, None);
    }
    // PHP's empty object, and what nobody understands: nothing is allowed.
    for empty in [json!({}), json!([]), json!("recording"), json!(["recording"]), json!(true)] {
        assert_eq!(context(json!({ "features": empty })).features, Some([].into()));
    }
}

#[test]
fn so_many_features_and_not_one_more() {
    let token = |n: usize| {
        let features: serde_json::Map<String, Value> =
            (0..n).map(|i| (format!("f{i}"), true.into())).collect();
        hs(json!({ "context": { "features": features } }))
    };
    assert_eq!(log_in(&token(FEATURES)).unwrap().features.unwrap().len(), FEATURES);
    assert_eq!(log_in(&token(FEATURES + 1)), Err(Refusal::InvalidBody));
}

#[test]
fn a_person_and_a_group() {
    let claims = context(json!({ "user": { "id": "user-123", "name": "Anna", "email": "anna@example.org",
        "avatar": "https://example.org/a.png" }, "group": "test-group" }));
    let user = claims.user.as_ref().unwrap();
    assert_eq!(user.id().unwrap(), "user-123");
    assert_eq!(user.name().unwrap(), "Anna");
    assert_eq!(user.email().unwrap(), "anna@example.org");
    assert_eq!(user.avatar().unwrap(), "https://example.org/a.png");
    assert_eq!(claims.group.unwrap().reveal(), "test-group");
    assert_eq!(context(json!({})).user, None);
    assert_eq!(log_in(&hs(json!({}))).unwrap().user, None);
    assert_eq!(context(json!({ "group": ["a"] })).group, None, "not a name");
    assert_eq!(context(json!({ "group": 7 })).group.unwrap().reveal(), "7");
}

#[test]
fn an_old_issuers_user_id_counts_without_context() {
    let claims = log_in_served(&rs(json!({ "user_id": "legacy-user-456" }))).unwrap();
    assert_eq!(members(&claims), [("id".to_owned(), "legacy-user-456".to_owned())]);
    let claims = log_in(&hs(json!({ "user_id": "a", "context": {} }))).unwrap();
    assert_eq!(claims.user, None);
}

#[test]
fn every_member_of_a_person_is_shown_as_text() {
    let claims =
        context(json!({ "user": { "id": 42, "ratio": 1.5, "moderator": true, "hidden-from-recorder": false,
        "name": "Bö <b>&", "_x.y-z": "ok", "role": "visitor" } }));
    let shown = [
        ("_x.y-z", "ok"),
        ("hidden-from-recorder", "false"),
        ("id", "42"),
        ("moderator", "true"),
        ("name", "Bö <b>&"),
        ("ratio", "1.5"),
        ("role", "visitor"),
    ];
    assert_eq!(members(&claims), shown.map(|(k, v)| (k.to_owned(), v.to_owned())));
}

/// A prefix that nobody has declared is no XML for browsers: the presence would be lost on everybody.
#[test]
fn what_cannot_be_an_element_is_left_out() {
    let claims = context(
        json!({ "user": { "id": "a", "a:b": "x", "1a": "x", "": "x", "a b": "x", "-a": "x", "a>": "x",
        "ä": "x", "list": [1], "object": { "a": 1 }, "nothing": null } }),
    );
    assert_eq!(members(&claims), [("id".to_owned(), "a".to_owned())]);
}

#[test]
fn a_person_that_is_no_object_is_one_of_whom_nothing_is_said() {
    for user in [json!({}), json!([]), json!("anna"), json!(5), json!(["moderator"])] {
        let claims = context(json!({ "user": user }));
        assert!(members(&claims).is_empty() && !claims.owns());
    }
    assert_eq!(context(json!({ "user": null })).user, None);
}

#[test]
fn so_many_members_of_a_person_and_not_one_more() {
    let token = |n: usize| {
        let user: serde_json::Map<String, Value> = (0..n).map(|i| (format!("m{i}"), "x".into())).collect();
        hs(json!({ "context": { "user": user } }))
    };
    assert_eq!(members(&log_in(&token(USER_MEMBERS)).unwrap()).len(), USER_MEMBERS);
    assert_eq!(log_in(&token(USER_MEMBERS + 1)), Err(Refusal::InvalidBody));
}

#[test]
fn who_owns_the_room() {
    let owns = |user: Value| context(json!({ "user": user })).owns();
    for owner in [
        json!({ "moderator": true }),
        json!({ "moderator": "true" }),
        json!({ "affiliation": "owner" }),
        json!({ "affiliation": "moderator" }),
        json!({ "affiliation": "teacher" }),
        json!({ "affiliation": "member", "moderator": true }),
        json!({ "affiliation": "owner", "moderator": false }),
    ] {
        assert!(owns(owner.clone()), "{owner}");
    }
    for member in [
        json!({ "id": "user1" }),
        json!({ "moderator": false }),
        json!({ "moderator": "false" }),
        json!({ "moderator": 1 }),
        json!({ "moderator": "TRUE" }),
        json!({ "moderator": ["true"] }),
        json!({ "affiliation": "member" }),
        json!({ "affiliation": "Owner" }),
        json!({ "affiliation": ["owner"] }),
        json!({ "affiliation": true }),
        json!({ "owner": true }),
    ] {
        assert!(!owns(member.clone()), "{member}");
    }
    assert!(!log_in(&hs(json!({ "moderator": true }))).unwrap().owns(), "only of the person");
}

#[test]
fn flags_of_a_person() {
    let user = |user: Value| context(json!({ "user": user })).user.unwrap();
    for yes in [json!(true), json!("true")] {
        for place in ["user", "features"] {
            assert!(context(json!({ place: { "lobby_bypass": yes } })).passes_lobby());
        }
        assert!(user(json!({ "security_bypass": yes })).passes_security());
        assert!(user(json!({ "hidden-from-recorder": yes })).hidden_from_recorder());
    }
    for no in [json!(false), json!("false"), json!(null), json!(1), json!("1")] {
        let claims = context(json!({ "user": { "lobby_bypass": no }, "features": { "lobby_bypass": no } }));
        assert!(!claims.passes_lobby());
        let user = user(json!({ "security_bypass": no, "hidden-from-recorder": no }));
        assert!(!user.passes_security() && !user.hidden_from_recorder());
    }
}

#[test]
fn a_meeting() {
    let room =
        context(json!({ "room": { "regex": true, "lobby": "true", "password": "geheim" } })).room_context;
    assert!(room.pattern);
    assert_eq!((room.lobby, room.lobby_autostart), (Some(true), None));
    assert_eq!(room.password.unwrap().reveal(), "geheim");
    let room = context(json!({ "room": { "lobby": false, "lobby_autostart": "false", "password": "" } }))
        .room_context;
    assert_eq!((room.lobby, room.lobby_autostart), (Some(false), Some(false)));
    assert_eq!(room.password.unwrap().reveal(), "", "none");
    assert!(context(json!({ "room": { "regex": "true" } })).room_context.pattern);
    for plain in [
        json!({ "regex": false }),
        json!({ "regex": "yes" }),
        json!({}),
        json!("regex"),
        json!([]),
        json!(null),
    ] {
        let room = context(json!({ "room": plain })).room_context;
        assert!(!room.pattern && room.lobby.is_none() && room.password.is_none());
    }
}

#[test]
fn a_tenant_restricts_and_has_to_be_understood() {
    assert_eq!(context(json!({ "tenant": "ort" })).tenant.unwrap().reveal(), "ort");
    assert_eq!(context(json!({ "tenant": null })).tenant, None);
    assert_eq!(context(json!({ "tenant": 5 })).tenant.unwrap().reveal(), "5");
    for odd in [json!(["ort"]), json!({}), json!(true)] {
        assert_eq!(log_in(&hs(json!({ "context": { "tenant": odd } }))), Err(Refusal::InvalidBody));
    }
    for odd in [json!("text"), json!(5), json!([1]), json!(true)] {
        assert_eq!(log_in(&hs(json!({ "context": odd }))), Err(Refusal::InvalidBody));
    }
    assert!(log_in(&hs(json!({ "context": [] }))).is_ok(), "PHP's empty object");
}
