//! Whether a token is for a room (xmpp-server §2.9).

use jitsi_xmpp::room::{RoomAddress, Tenant};
use prosody_token::limits::PATTERN_STEPS;
use prosody_token::{Admitted, Claims, Place, RoomRefusal, Settings, TokenRules};
use serde_json::{Value, json};

use crate::support::*;

const DOMAIN: &str = "meet.jitsi";

fn room(tenant: &str, name: &str) -> RoomAddress {
    let tenant = (!tenant.is_empty()).then(|| Tenant::new(tenant).unwrap());
    RoomAddress::new(tenant, name).unwrap()
}

fn place(address: &RoomAddress) -> Place<'_> {
    let prefix = Some(address.tenant().map_or("", Tenant::as_str));
    Place { address: Some(address), domain: DOMAIN, exists: true, authenticated_only: false, prefix }
}

fn token(changes: Value) -> Claims {
    log_in(&hs(changes)).unwrap()
}

fn verified() -> TokenRules {
    rules(Settings { allow_empty: true, ..settings() })
}

fn unverified() -> TokenRules {
    rules(Settings { allow_empty: true, verify_domain: false, ..settings() })
}

/// What somebody with this token is told at a room.
fn at(rules: &TokenRules, claims: Value, tenant: &str, name: &str) -> Result<(), RoomRefusal> {
    let address = room(tenant, name);
    rules.check_room(Some(&token(claims)), &place(&address)).map(|_| ())
}

#[test]
fn texts_and_elements_are_upstreams() {
    for (refusal, text, element) in [
        (RoomRefusal::InvalidAddress, "Room address is invalid", Some("invalid-room-address")),
        (RoomRefusal::DoesNotExist, "Room does not exist", Some("room-does-not-exist")),
        (RoomRefusal::AuthenticationRequired, "Authentication required", Some("authentication-required")),
        (RoomRefusal::Mismatch, "Room does not match the room from token", Some("room-mismatch")),
        (RoomRefusal::InvalidPattern, "Room claim is not a valid Lua pattern", Some("invalid-regex")),
        (RoomRefusal::ComplexPattern, "Room claim pattern is too complex", Some("invalid-regex")),
        (RoomRefusal::PatternsOff, "Room claim patterns are not enabled", Some("invalid-regex")),
        (RoomRefusal::AnyRoom, "Wildcard room in token not allowed", None),
        (RoomRefusal::AnySubject, "Wildcard sub in token not allowed", None),
        (RoomRefusal::AnyPattern, "Regex support not allowed for token", None),
        (
            RoomRefusal::NoMatch,
            "Room name cannot be matched to the one from token.",
            Some("room-name-does-not-match"),
        ),
        (RoomRefusal::TokenMismatch, "Room and token mismatched", None),
        (RoomRefusal::GuestMayNotModify, "Room modification disabled for guests", None),
    ] {
        assert_eq!((refusal.text(), refusal.element()), (text, element));
    }
}

#[test]
fn the_address_and_the_room_come_first() {
    let address = room("", "r");
    let nowhere = Place { address: None, exists: false, ..place(&address) };
    let missing = Place { exists: false, authenticated_only: true, ..place(&address) };
    for rules in [verified(), unverified(), secret_rules()] {
        for claims in [None, Some(token(json!({ "room": "other" }))), Some(token(json!({ "room": "*" })))] {
            assert_eq!(rules.check_room(claims.as_ref(), &nowhere), Err(RoomRefusal::InvalidAddress));
            assert_eq!(rules.check_room(claims.as_ref(), &missing), Err(RoomRefusal::DoesNotExist));
        }
    }
}

#[test]
fn people_without_a_token() {
    let address = room("", "r");
    let open = place(&address);
    let closed = Place { authenticated_only: true, ..open };
    let admitted = Ok(Admitted { tenant_mismatch: false });
    for rules in [verified(), unverified()] {
        assert_eq!(rules.check_room(None, &open), admitted);
        assert_eq!(rules.check_room(None, &closed), Err(RoomRefusal::AuthenticationRequired));
    }
    // Those who have logged in elsewhere, where tokens are demanded.
    let demanded =
        |verify_domain, require_room| rules(Settings { verify_domain, require_room, ..settings() });
    assert_eq!(demanded(true, true).check_room(None, &open), Err(RoomRefusal::NoMatch));
    assert_eq!(demanded(true, false).check_room(None, &open), admitted);
    assert_eq!(demanded(false, true).check_room(None, &open), admitted);
}

#[test]
fn a_room_claim_is_a_name_or_any() {
    for rules in [verified(), unverified()] {
        assert_eq!(at(&rules, json!({ "room": "room1" }), "", "room1"), Ok(()));
        assert_eq!(
            at(&rules, json!({ "room": "ROOM1" }), "", "room1"),
            Ok(()),
            "addresses are in lower case"
        );
        assert_eq!(at(&rules, json!({ "room": "*" }), "", "room1"), Ok(()));
        assert_eq!(at(&rules, json!({}), "", "room1"), Ok(()));
        for other in ["other-room", "room", "room12", "", "**", "room*", " room1"] {
            assert!(at(&rules, json!({ "room": other }), "", "room1").is_err(), "{other}");
        }
    }
    assert_eq!(at(&verified(), json!({ "room": "other" }), "", "r"), Err(RoomRefusal::TokenMismatch));
    assert_eq!(at(&unverified(), json!({ "room": "other" }), "", "r"), Err(RoomRefusal::Mismatch));
}

#[test]
fn compat_a_token_for_no_room_is_for_all() {
    let rules = verified();
    assert_eq!(at(&rules, json!({ "sub": "elsewhere" }), "ort", "r"), Ok(()));
    let demanded = Settings { require_room: true, ..settings() };
    let claims = token(json!({}));
    let address = room("", "r");
    let outcome = crate::support::rules(demanded).check_room(Some(&claims), &place(&address));
    assert_eq!(outcome, Err(RoomRefusal::NoMatch));
}

#[test]
fn compat_without_domain_verification_names_alone_count() {
    let rules = unverified();
    for sub in ["*", "elsewhere", "ort"] {
        assert_eq!(at(&rules, json!({ "room": "r", "sub": sub }), "ort", "r"), Ok(()));
        assert_eq!(at(&rules, json!({ "room": "[ort]r", "sub": sub }), "ort", "r"), Ok(()));
        assert_eq!(at(&rules, json!({ "room": "*", "sub": sub }), "ort", "r"), Ok(()));
        for other in ["[dorf]r", "ort]r", "[ort]", "[ort]x", "]r", "x"] {
            assert_eq!(
                at(&rules, json!({ "room": other, "sub": sub }), "ort", "r"),
                Err(RoomRefusal::Mismatch),
                "{other}"
            );
        }
    }
    // Patterns are names here, as they are written.
    let pattern =
        |claim: &str| json!({ "room": claim, "context": { "room": { "regex": true }, "tenant": "dorf" } });
    assert_eq!(at(&rules, pattern(".*"), "", "r"), Err(RoomRefusal::Mismatch));
    assert_eq!(at(&rules, pattern("(invalid"), "", "r"), Err(RoomRefusal::Mismatch));
    assert_eq!(at(&rules, pattern("r"), "", "r"), Ok(()));
    assert_eq!(at(&rules, pattern("R"), "", "r"), Err(RoomRefusal::Mismatch));
}

/// Upstream looks only at how the stored name ends.
#[test]
fn a_bracket_in_a_name_makes_no_tenant() {
    assert_eq!(at(&unverified(), json!({ "room": "x" }), "", "foo]x"), Err(RoomRefusal::Mismatch));
    assert_eq!(at(&unverified(), json!({ "room": "x" }), "ort", "foo]x"), Err(RoomRefusal::Mismatch));
    assert_eq!(at(&unverified(), json!({ "room": "foo]x" }), "ort", "foo]x"), Ok(()));
}

#[test]
fn the_subject_is_the_tenant_or_the_domain() {
    let rules = verified();
    let with = |sub: &str| json!({ "room": "r", "sub": sub });
    for (sub, tenant) in
        [("*", "ort"), ("ort", "ort"), ("ORT", "ort"), ("*", ""), (DOMAIN, ""), ("Meet.Jitsi", "")]
    {
        assert_eq!(at(&rules, with(sub), tenant, "r"), Ok(()), "{sub} {tenant}");
        let any = json!({ "room": "*", "sub": sub });
        assert_eq!(at(&rules, any, tenant, "r"), Ok(()), "{sub} {tenant}");
    }
    for (sub, tenant) in [
        ("dorf", "ort"),
        ("ort", ""),
        (DOMAIN, "ort"),
        ("", "ort"),
        ("", ""),
        ("jitsi", ""),
        ("muc.meet.jitsi", ""),
    ] {
        assert_eq!(at(&rules, with(sub), tenant, "r"), Err(RoomRefusal::TokenMismatch), "{sub} {tenant}");
        let any = json!({ "room": "*", "sub": sub });
        assert_eq!(at(&rules, any, tenant, "r"), Err(RoomRefusal::TokenMismatch), "{sub} {tenant}");
    }
    // The stored spelling is a name like any other.
    assert_eq!(
        at(&rules, json!({ "room": "[ort]r", "sub": "ort" }), "ort", "r"),
        Err(RoomRefusal::TokenMismatch)
    );
}

#[test]
fn a_pattern_has_to_match_the_whole_name() {
    let rules = verified();
    let with = |claim: &str| json!({ "room": claim, "context": { "room": { "regex": true } } });
    for (claim, name) in [
        ("^class%-%d+$", "class-12"),
        ("class%-%d+", "class-12"),
        ("(class%-%d+)", "class-12"),
        (".*", "class-12"),
        ("*", "class-12"),
        ("^%a+$", "room"),
    ] {
        assert_eq!(at(&rules, with(claim), "", name), Ok(()), "{claim}");
        assert_eq!(at(&rules, with(claim), "ort", name), Ok(()), "{claim}");
    }
    for (claim, name) in [
        ("class%-%d+", "class-12-secret"),
        ("class%-(%d+)", "class-12"),
        ("class", "my-class"),
        ("()class", "class"),
        ("", "class"),
    ] {
        assert_eq!(at(&rules, with(claim), "", name), Err(RoomRefusal::TokenMismatch), "{claim}");
    }
    assert_eq!(at(&rules, with("()"), "", "1"), Ok(()), "a place is a number");
    for claim in ["^other$", "%u", "CLASS"] {
        assert_eq!(at(&rules, with(claim), "", "class"), Err(RoomRefusal::NoMatch), "{claim}");
    }
    for claim in ["(invalid", "[a", "%", "a)", "%1"] {
        assert_eq!(at(&rules, with(claim), "", "invalid-class"), Err(RoomRefusal::InvalidPattern), "{claim}");
    }
    let both = json!({ "room": "^r", "sub": "dorf", "context": { "room": { "regex": true } } });
    assert_eq!(at(&rules, both, "ort", "r"), Err(RoomRefusal::TokenMismatch));
}

/// Upstream lets somebody in whose pattern does not match, where rooms are not required.
#[test]
fn a_pattern_that_does_not_match_opened_every_room_where_none_is_required() {
    let claims = json!({ "room": "^other$", "context": { "room": { "regex": true } } });
    assert_eq!(at(&verified(), claims, "", "r"), Err(RoomRefusal::NoMatch));
}

#[test]
fn a_pattern_that_takes_too_long_is_refused() {
    let claims = json!({ "room": ".-.-.-.-.-.-b$", "context": { "room": { "regex": true } } });
    let name = "a".repeat((PATTERN_STEPS / 100) as usize);
    assert_eq!(at(&verified(), claims, "", &name), Err(RoomRefusal::ComplexPattern));
}

#[test]
fn patterns_can_be_switched_off() {
    let off = rules(Settings { patterns: false, ..settings() });
    let with = |claim: &str| json!({ "room": claim, "context": { "room": { "regex": true } } });
    for claim in ["r", ".*", "(invalid"] {
        assert_eq!(at(&off, with(claim), "", "r"), Err(RoomRefusal::PatternsOff), "{claim}");
    }
    assert_eq!(at(&off, with("*"), "", "r"), Ok(()), "any is no pattern");
    assert_eq!(at(&off, json!({ "room": "r" }), "", "r"), Ok(()));
}

#[test]
fn tokens_for_everything_can_be_refused() {
    let one = rules(Settings { wildcards: false, allow_empty: true, ..settings() });
    assert_eq!(at(&one, json!({ "room": "*", "sub": "*" }), "ort", "r"), Err(RoomRefusal::AnyRoom));
    assert_eq!(at(&one, json!({ "room": "r", "sub": "*" }), "ort", "r"), Err(RoomRefusal::AnySubject));
    let pattern = json!({ "room": "r", "sub": "ort", "context": { "room": { "regex": "true" } } });
    assert_eq!(at(&one, pattern, "ort", "r"), Err(RoomRefusal::AnyPattern));
    assert_eq!(at(&one, json!({ "room": "r", "sub": "ort" }), "ort", "r"), Ok(()));
    let address = room("", "r");
    assert!(one.check_room(None, &place(&address)).is_ok());
}

#[test]
fn a_token_of_another_tenant_than_the_pages() {
    let rules = verified();
    let address = room("ort", "r");
    let open = place(&address);
    let closed = Place { authenticated_only: true, ..open };
    let of = |tenant: &str| token(json!({ "room": "r", "sub": "ort", "context": { "tenant": tenant } }));
    for same in ["ort", "Ort"] {
        assert_eq!(rules.check_room(Some(&of(same)), &open), Ok(Admitted { tenant_mismatch: false }));
        assert_eq!(rules.check_room(Some(&of(same)), &closed), Ok(Admitted { tenant_mismatch: false }));
    }
    assert_eq!(rules.check_room(Some(&of("dorf")), &open), Ok(Admitted { tenant_mismatch: true }));
    assert_eq!(rules.check_room(Some(&of("dorf")), &closed), Err(RoomRefusal::TokenMismatch));
    let spelled = Place { prefix: Some("Stadt.X"), ..closed };
    for same in ["stadt.x", "Stadt.X", "stadt_x"] {
        assert_eq!(
            rules.check_room(Some(&of(same)), &spelled),
            Ok(Admitted { tenant_mismatch: false }),
            "{same}"
        );
    }
    let no_query = Place { prefix: None, ..closed };
    assert_eq!(rules.check_room(Some(&of("ort")), &no_query), Err(RoomRefusal::TokenMismatch));
    let none = token(json!({ "room": "r", "sub": "ort" }));
    assert_eq!(rules.check_room(Some(&none), &closed), Ok(Admitted { tenant_mismatch: false }));
}

/// Whoever resumes with another token keeps the claims that it joined with unless the new ones are for that room.
#[test]
fn a_new_token_of_somebody_who_resumes_is_held_against_the_room_that_was_joined() {
    let rules = verified();
    let address = room("", "joined");
    let for_room =
        |name: &str| token(json!({ "room": name, "context": { "features": { "file-upload": true } } }));
    assert!(rules.check_room(Some(&for_room("joined")), &place(&address)).is_ok());
    let other = rules.check_room(Some(&for_room("joined-other")), &place(&address));
    assert_eq!(other, Err(RoomRefusal::TokenMismatch));
}

#[test]
fn settings_of_rooms_are_for_those_with_a_token_where_that_is_wanted() {
    let wanted = rules(Settings { token_for_moderation: true, ..settings() });
    assert_eq!(wanted.check_moderation(None), Err(RoomRefusal::GuestMayNotModify));
    assert_eq!(wanted.check_moderation(Some(&token(json!({})))), Err(RoomRefusal::GuestMayNotModify));
    assert_eq!(wanted.check_moderation(Some(&token(json!({ "room": "r" })))), Ok(()));
    assert_eq!(secret_rules().check_moderation(None), Ok(()));
}
