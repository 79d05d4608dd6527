//! Settings and one request's tenant and host in, the text of `config.js` out: plain JavaScript that web and mobile evaluate.

use serde_json::{Map, Value, json};

use crate::options::{Client, Domains};

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    /// The tenant as the path has it; empty without one.
    pub(super) tenant: &'a str,
    /// `http://host` or `https://host` as the asker sees us, without a slash at the end.
    pub(super) base: &'a str,
}

/// The whole text. `custom` is appended as it is and so has the last word.
pub(super) fn text(domains: &Domains, client: &Client, asker: Asker<'_>, custom: &str) -> String {
    let config =
        serde_json::to_string_pretty(&object(domains, client, asker)).unwrap_or_else(|_| "{}".into());
    // A `<` could only come from settings, and inside a page's script element it might end the element.
    let config = config.replace('<', "\\u003c");
    let line = if custom.is_empty() { "" } else { "\n" };
    format!("var config = {config};\n{line}{custom}")
}

fn object(domains: &Domains, client: &Client, asker: Asker<'_>) -> Value {
    // compat: clients lower-case the tenant and turn dots into underscores before they put it into a domain
    // (test: with_a_tenant_behind_https).
    let tenant = asker.tenant.to_lowercase().replace('.', "_");
    let (label, rest) = domains.muc.split_once('.').unwrap_or((&domains.muc, ""));
    let muc = if tenant.is_empty() { domains.muc.clone() } else { format!("{label}.{tenant}.{rest}") };
    let path = if asker.tenant.is_empty() { String::new() } else { format!("/{}", asker.tenant) };
    let base = asker.base;
    let socket = base.replacen("http", "ws", 1);

    let mut c = Map::new();
    let mut set = |k: &str, v: Value| drop(c.insert(k.to_owned(), v));
    let mut hosts = json!({ "domain": domains.main, "muc": muc, "focus": format!("focus.{}", domains.main) });
    if let Some(login) = &client.login {
        hosts["authdomain"] = json!(domains.main);
        if let Some(guests) = &login.guests {
            hosts["anonymousdomain"] = json!(guests);
        }
    }
    set("hosts", hosts);
    if let Some(hidden) = &client.hidden_domain {
        set("hiddenDomain", json!(hidden));
    }
    set("focusUserJid", json!(format!("focus@{}", domains.auth)));
    let bosh = if client.relative_bosh { "" } else { base };
    set("bosh", json!(format!("{bosh}{path}/http-bind")));
    if client.websocket {
        set("websocket", json!(format!("{socket}{path}/xmpp-websocket")));
        set("websocketKeepAliveUrl", json!(format!("{base}{path}/_unlock")));
    }
    if client.http_conference_request {
        set("conferenceRequestUrl", json!(format!("{base}{path}/conference-request/v1")));
    }
    set("bridgeChannel", json!({ "preferSctp": client.prefer_sctp }));
    set(
        "flags",
        json!({ "ssrcRewritingEnabled": true, "sourceNameSignaling": true, "sendMultipleVideoStreams": true, "receiveMultipleVideoStreams": true }),
    );
    // An empty list is a statement: without one, clients ask a public STUN server of the Jitsi project.
    let stun: Vec<Value> =
        client.p2p_stun_servers.iter().map(|s| json!({ "urls": format!("stun:{s}") })).collect();
    set("p2p", json!({ "enabled": client.p2p, "stunServers": stun }));
    // One for older clients, one for today's.
    set("enableWelcomePage", json!(client.welcome_page));
    set("welcomePage", json!({ "disabled": !client.welcome_page }));
    set("prejoinConfig", json!({ "enabled": client.prejoin }));
    set("disablePolls", json!(!client.polls));
    // One for older clients, one for today's.
    set("hideAddRoomButton", json!(!client.breakout_rooms));
    set("breakoutRooms", json!({ "hideAddRoomButton": !client.breakout_rooms }));
    set("channelLastN", json!(-1));
    set("testing", json!({ "enableCodecSelectionAPI": true }));
    for (key, value) in private().into_iter().chain(missing()) {
        set(key, value);
    }
    for (key, value) in &client.more {
        put(&mut c, key, value.clone());
    }
    Value::Object(c)
}

/// Sets what a dotted key names, and makes the objects on the way.
fn put(map: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(map.insert(key.to_owned(), value)),
        Some((first, rest)) => {
            let inner = map.entry(first).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// What clients would offer and there is not: no button that leads nowhere.
fn missing() -> [(&'static str, Value); 2] {
    [
        ("transcription", json!({ "enabled": false, "disableClosedCaptions": true })),
        ("audioTranslation", json!({ "enabled": false })),
    ]
}

/// What keeps a visitor's browser from talking to anybody but us.
fn private() -> [(&'static str, Value); 8] {
    [
        ("disableThirdPartyRequests", json!(true)),
        ("analytics", json!({ "disabled": true })),
        ("gravatar", json!({ "disabled": true })),
        ("giphy", json!({ "enabled": false })),
        ("enableCalendarIntegration", json!(false)),
        ("enableUnsafeRoomWarning", json!(false)),
        ("doNotStoreRoom", json!(true)),
        ("whiteboard", json!({ "enabled": false })),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Login, Proof};

    fn domains() -> Domains {
        Domains {
            main: "meet.jitsi".into(),
            auth: "auth.meet.jitsi".into(),
            muc: "muc.meet.jitsi".into(),
            internal_muc: "internal-muc.meet.jitsi".into(),
            viewers: None,
        }
    }

    fn client() -> Client {
        Client {
            websocket: true,
            http_conference_request: true,
            prefer_sctp: true,
            p2p: true,
            p2p_stun_servers: vec![],
            prejoin: true,
            welcome_page: true,
            relative_bosh: false,
            polls: true,
            hidden_domain: None,
            breakout_rooms: true,
            login: None,
            more: vec![],
        }
    }

    fn made(client: &Client, tenant: &str, base: &str) -> Value {
        let text = text(&domains(), client, Asker { tenant, base }, "");
        serde_json::from_str(text.trim().strip_prefix("var config = ").unwrap().strip_suffix(';').unwrap())
            .unwrap()
    }

    #[test]
    fn without_a_tenant() {
        let c = made(&client(), "", "http://localhost:8000");
        assert_eq!(
            c["hosts"],
            json!({ "domain": "meet.jitsi", "muc": "muc.meet.jitsi", "focus": "focus.meet.jitsi" })
        );
        assert_eq!(c["websocket"], "ws://localhost:8000/xmpp-websocket");
        assert_eq!(c["bosh"], "http://localhost:8000/http-bind");
        assert_eq!(c["conferenceRequestUrl"], "http://localhost:8000/conference-request/v1");
        assert_eq!(c["bridgeChannel"]["preferSctp"], true);
    }

    #[test]
    fn with_a_tenant_behind_https() {
        let c = made(&client(), "stadt.a", "https://meet.example");
        assert_eq!(c["hosts"]["muc"], "muc.stadt_a.meet.jitsi");
        assert_eq!(c["websocket"], "wss://meet.example/stadt.a/xmpp-websocket");
    }

    #[test]
    fn who_has_an_account_is_told_where_to_log_in_and_others_where_to_come_in() {
        let login = |guests: Option<&str>| Client {
            login: Some(Login { guests: guests.map(str::to_owned), proof: Proof::Account, opens: None }),
            ..client()
        };
        let c = made(&login(Some("guest.meet.jitsi")), "", "https://meet.example");
        assert_eq!(c["hosts"]["authdomain"], "meet.jitsi");
        assert_eq!(c["hosts"]["anonymousdomain"], "guest.meet.jitsi");
        let c = made(&login(None), "", "https://meet.example");
        assert!(c["hosts"]["authdomain"] == "meet.jitsi" && c["hosts"].get("anonymousdomain").is_none());
    }

    #[test]
    fn nobody_else_learns_of_a_visit() {
        let c = made(&client(), "", "https://meet.example");
        assert_eq!(c["p2p"]["stunServers"], json!([]));
        assert_eq!(c["disableThirdPartyRequests"], true);
        assert_eq!(c["gravatar"]["disabled"], true);
        let own = c.to_string().replace("https://meet.example", "").replace("wss://meet.example", "");
        assert!(!own.contains("://"), "{own}");
    }

    #[test]
    fn options_reach_it_and_the_custom_part_comes_last() {
        let quiet = Client {
            websocket: false,
            http_conference_request: false,
            p2p_stun_servers: vec!["stun.example:3478".into()],
            relative_bosh: true,
            more: vec![("p2p.preferredCodec", json!("VP9")), ("a.b.c", json!(1)), ("channelLastN", json!(4))],
            ..client()
        };
        let c = made(&quiet, "", "https://meet.example");
        assert!(c.get("websocket").is_none() && c.get("conferenceRequestUrl").is_none());
        assert_eq!(c["p2p"]["stunServers"], json!([{ "urls": "stun:stun.example:3478" }]));
        assert_eq!(
            (&c["p2p"]["preferredCodec"], &c["a"]["b"]["c"], &c["channelLastN"]),
            (&json!("VP9"), &json!(1), &json!(4))
        );
        assert_eq!(c["bosh"], "/http-bind");
        let text = text(
            &domains(),
            &quiet,
            Asker { tenant: "", base: "https://meet.example" },
            "config.resolution = 360;",
        );
        assert!(text.ends_with("config.resolution = 360;") && !text.contains('<'));
    }
}
