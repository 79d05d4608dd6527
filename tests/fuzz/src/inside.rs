//! Requests of programs over HTTP, on every path that modules answer: bytes in; a panic when one is not answered once, or when
//! somebody without a token has an effect.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::entropy::SeededEntropy;
use prosody_core::token::{Hash, Settings, Signer, TokenRules};
use prosody_core::{
    Config, ConnId, HttpMethod, HttpRequest, Output, RequestId, Server, SessionQuery, Transport,
};

/// Between requests, and between the parts of one; no UTF-8 has it.
const FRAME: u8 = 0xff;
const SECRET: &str = "a-secret-of-programs-with-32-bytes";
const FOCUS: ConnId = ConnId(1);
const MODULES: &[&str] = &[
    "muc_census",
    "muc_end_meeting",
    "muc_jigasi_invite",
    "muc_kick_participant",
    "muc_password_check",
    "muc_size",
    "system_chat_message",
    "turncredentials_http",
];

/// Each request: a byte that says who asks and where, then the query, then the body.
///
/// `$TOKEN` in front of the query stands for a program with a token.
pub fn z37_inside(data: &[u8]) {
    let now = Instant::now();
    let mut server = server(now);
    let routes = server.http_routes();
    let mut parts = data.split(|b| *b == FRAME);
    let mut id = 0;
    while let (Some(head), Some(body)) = (parts.next(), parts.next()) {
        let Some((which, query)) = head.split_first() else { continue };
        let Some((method, path)) = routes.get(usize::from(*which) % routes.len()) else { return };
        let (query, known) = match query.strip_prefix(b"$TOKEN") {
            Some(rest) => (rest, true),
            None => (query, false),
        };
        let before = server.stats().occupants;
        id += 1;
        let request = HttpRequest {
            method: *method,
            path: (*path).to_owned(),
            query: Some(Sensitive::new(String::from_utf8_lossy(query).into_owned())),
            authorization: known.then(|| Sensitive::new(format!("Bearer {}", token()))),
            content_type: Some("application/json".to_owned()),
            body: Sensitive::new(body.to_vec()),
        };
        server.handle_http(now, RequestId(id), &request);
        let mut answers = 0;
        while let Some(output) = server.poll_output() {
            match output {
                Output::Reply { id: to, reply } => {
                    assert_eq!(to, RequestId(id), "to another question");
                    let known_status = matches!(reply.status, 200 | 400 | 401 | 403 | 404);
                    assert!(known_status, "{}", reply.status);
                    let json = reply.json.reveal();
                    let readable = json.is_empty() || serde_json::from_str::<serde_json::Value>(json).is_ok();
                    assert!(readable, "{json}");
                    answers += 1;
                }
                Output::Send { .. } => assert!(known, "somebody heard of a request without a token"),
                _ => {}
            }
        }
        assert_eq!(answers, 1, "{path}");
        let changes = *method != HttpMethod::Get && known;
        assert!(changes || server.stats().occupants == before, "{path}: somebody is gone");
    }
}

fn server(now: Instant) -> Server {
    let mut config = Config::for_domain("meet.jitsi").expect("a domain");
    if let Some(main) = config.hosts.users.first_mut() {
        main.modules.extend(MODULES.iter().map(|m| (*m).to_owned()));
    }
    let settings = Settings {
        app_id: Some("programs".to_owned()),
        app_secret: Some(Sensitive::new(SECRET.to_owned())),
        require_room: false,
        ..Settings::default()
    };
    config.programs = vec![Arc::new(TokenRules::new(settings).expect("rules"))];
    let mut server = Server::new(config, Box::new(SeededEntropy::new(1)), now);
    server.handle_clock(now, Duration::from_secs(1_795_390_567));
    let focus = Transport::InProcess("focus@auth.meet.jitsi/focus".parse().expect("an address"));
    server.handle_open(now, FOCUS, focus, SessionQuery::default());
    let join = br#"<presence xmlns="jabber:client" to="rat@muc.meet.jitsi/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#;
    server.handle_frame(now, FOCUS, join);
    while server.poll_output().is_some() {}
    server
}

fn token() -> String {
    let signer = Signer::secret(Hash::Sha256, &Sensitive::new(SECRET.to_owned())).expect("a key");
    let claims = serde_json::json!({ "iss": "programs", "aud": "jitsi", "sub": "*" });
    let claims = claims.as_object().cloned().unwrap_or_default();
    signer.sign(&claims).expect("a token").into_inner()
}
