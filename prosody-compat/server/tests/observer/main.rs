//! The observer of black-box suites, over HTTP: views, switches, and the hosts that upstream's suite expects.

#![allow(unreachable_pub)]

mod cases;
mod client;

use prosody_server::Config;
use serde_json::{Value, json};

use crate::client::{Suite, tables};

const ROOM: &str = "rathaus@conference.localhost";

#[tokio::test]
async fn a_suite_sees_what_happens_in_rooms_and_sets_switches() {
    let suite = Suite::start().await;
    assert_eq!(suite.ask("DELETE", "/events", &Value::Null).await.0, 204);
    let room = |path: &str| format!("{path}?jid={}", ROOM.replace('@', "%40"));
    assert_eq!(suite.ask("GET", &room("/rooms"), &Value::Null).await.0, 404);
    let _focus = suite.focus(ROOM).await;
    let (_, events) = suite.ask("GET", "/events", &Value::Null).await;
    let names: Vec<&str> = events.as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["muc-room-pre-create", "muc-room-created", "muc-occupant-pre-join", "muc-occupant-joined"]
    );
    assert_eq!((&events[3]["room"], &events[3]["occupant"]), (&json!(ROOM), &json!("focus@auth.localhost")));
    let (status, state) = suite.ask("GET", &room("/rooms"), &Value::Null).await;
    assert_eq!((status, state), (200, json!({ "jid": ROOM, "hidden": true, "occupant_count": 1 })));

    let on = json!({ "jid": ROOM, "enabled": true });
    let (_, lobby) = suite.ask("POST", "/rooms/lobby", &on).await;
    assert_eq!(lobby, json!({ "ok": true, "lobbyroom": "rathaus@lobby.conference.localhost" }));
    let (_, metadata) = suite.ask("GET", &room("/rooms/metadata"), &Value::Null).await;
    assert_eq!(metadata["metadata"]["lobbyEnabled"], true);
    let off = json!({ "jid": ROOM, "enabled": false });
    assert_eq!(suite.ask("POST", "/rooms/lobby", &off).await.1, json!({ "ok": true }));

    for (path, body) in [
        ("/rooms/max-occupants", json!({ "jid": ROOM, "max_occupants": 5 })),
        ("/rooms/hide-display-name", json!({ "jid": ROOM, "hidden": true })),
        ("/rooms/breakout-rooms-active", json!({ "jid": ROOM, "active": true })),
        (
            "/rooms/affiliation",
            json!({ "jid": ROOM, "occupant_jid": "a@localhost", "affiliation": "member" }),
        ),
        ("/modules", json!({ "host": "conference.localhost", "module": "muc_hide_all", "action": "unload" })),
        ("/modules", json!({ "host": "conference.localhost", "module": "muc_hide_all", "action": "load" })),
        (
            "/modules",
            json!({ "host": "rate-limited.localhost", "module": "muc_rate_limit", "action": "reload" }),
        ),
        ("/policy", json!({ "host": "conference.localhost", "strict_nicks": false })),
    ] {
        assert_eq!(suite.ask("POST", path, &body).await, (200, json!({ "ok": true })), "{path} {body}");
    }
    let unknown = json!({ "host": "conference.localhost", "module": "muc_hide_al", "action": "load" });
    assert_eq!(suite.ask("POST", "/modules", &unknown).await.0, 400, "nothing that is not known is loaded");
    assert_eq!(suite.ask("POST", "/rooms/lobby", &json!({})).await.0, 400);
    assert_eq!(suite.ask("GET", "/nothing", &Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_suite_looks_at_sessions_and_says_what_they_may() {
    let suite = Suite::start().await;
    let _focus = suite.focus(ROOM).await;
    let jid = "focus@auth.localhost/focus";
    let path = |p: &str| format!("{p}?jid={}", jid.replace('@', "%40"));
    let (_, before) = suite.ask("GET", &path("/sessions/features"), &Value::Null).await;
    assert_eq!(before, json!({ "features": null }));
    let context =
        json!({ "jid": jid, "user_id": "42", "features": { "flip": true, "recording": "true", "x": 1 } });
    assert_eq!(suite.ask("POST", "/sessions/context", &context).await.0, 200);
    let (_, after) = suite.ask("GET", &path("/sessions/features"), &Value::Null).await;
    assert_eq!(after, json!({ "features": { "flip": true, "recording": true, "x": false } }));
    let (_, info) = suite.ask("GET", &path("/session-info"), &Value::Null).await;
    assert_eq!(info["jitsi_meet_context_user"], json!({ "id": "42" }));
    assert_eq!(suite.ask("GET", "/session-info?jid=nobody", &Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_suite_leaves_keys_and_plays_an_access_manager() {
    let suite = Suite::start().await;
    let key = "/asap-keys/00ff.pem";
    assert_eq!(suite.ask("GET", key, &Value::Null).await.0, 404);
    assert_eq!(suite.ask("PUT", key, &json!("a key")).await.0, 204);
    assert_eq!(suite.ask("GET", key, &Value::Null).await, (200, json!("a key")));
    assert_eq!(suite.ask("GET", "/access-manager", &Value::Null).await.1, json!({ "access": true }));
    for (wanted, status, body) in [
        (json!({ "access": false }), 200, json!({ "access": false })),
        (json!({ "status": 500 }), 500, json!("")),
        (json!({ "non_json": true, "status": 200 }), 200, json!("not-valid-json")),
    ] {
        assert_eq!(suite.ask("POST", "/access-manager", &wanted).await.0, 204);
        assert_eq!(suite.ask("GET", "/access-manager", &Value::Null).await, (status, body));
    }
}

#[test]
fn the_suites_hosts_can_be_served() {
    let config = Config::from_raw(tables()).unwrap();
    assert_eq!(config.core.hosts.check(), Ok(()));
}
