//! The community's rules about tokens: those for many rooms open none, and meetings begin and end with their owners.

use std::time::Duration;

use prosody_core::limits::WITHOUT_OWNER;
use serde_json::json;

use crate::rig::Rig;
use crate::tokens::{meeting, token_with, with_both};

fn rig(module: &str) -> Rig {
    with_both(|s| s.allow_empty = true, |c| c.hosts.rooms[0].modules.push(module.to_owned()))
}

#[test]
fn a_token_for_many_rooms_opens_none_where_wildcards_are_not_allowed() {
    let mut rig = rig("token_no_wildcard");
    let _focus = meeting(&mut rig);
    for (claims, text) in [
        (json!({ "room": "*" }), "Wildcard room in token not allowed"),
        (json!({ "sub": "*" }), "Wildcard sub in token not allowed"),
        (
            json!({ "room": ".*", "context": { "room": { "regex": true } } }),
            "Regex support not allowed for token",
        ),
    ] {
        let somebody = rig.client_with(token_with(&claims));
        let back = rig.join(&somebody).concat();
        assert!(back.contains("<not-allowed ") && back.contains(text), "{claims}: {back}");
    }
    let anna = rig.client_with(token_with(&json!({})));
    assert!(rig.join(&anna).concat().contains("code=\"110\""));
    let guest = rig.client();
    assert!(rig.join(&guest).concat().contains("code=\"110\""), "who has none has no wildcard");
}

#[test]
fn a_meeting_begins_with_an_owner_and_ends_a_minute_after_the_last_has_left() {
    let mut rig = rig("token_owner_party");
    let _focus = meeting(&mut rig);
    let owner = || token_with(&json!({ "context": { "user": { "moderator": true } } }));
    let guest = rig.client();
    let back = rig.join(&guest).concat();
    assert!(back.contains("<not-allowed "), "the focus alone is no party: {back}");
    let (anna, ben) = (rig.client_with(owner()), rig.client_with(owner()));
    for who in [&anna, &ben, &guest] {
        assert!(rig.join(who).concat().contains("code=\"110\""));
    }
    rig.leave(&anna);
    rig.advance(WITHOUT_OWNER + Duration::from_secs(1));
    assert_eq!(rig.server.stats().rooms, 1, "another owner is there");
    rig.leave(&ben);
    rig.advance(WITHOUT_OWNER - Duration::from_secs(1));
    assert_eq!(rig.server.stats().rooms, 1);
    assert!(rig.join(&ben).concat().contains("code=\"110\""), "back in time");
    rig.advance(Duration::from_secs(2));
    assert_eq!(rig.server.stats().rooms, 1);
    rig.leave(&ben);
    rig.advance(WITHOUT_OWNER);
    assert_eq!(rig.server.stats().rooms, 0);
    assert!(rig.take(&guest).concat().contains("The meeting has been terminated"));
}
