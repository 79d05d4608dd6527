//! People come in with a token, over the WebSocket of the built program, by docker-jitsi-meet's variables: signed with a secret, with
//! a key that the program has, and with one that it asks for over TLS.

mod directory;
#[allow(dead_code, reason = "what the server's tests ask of keys")]
#[path = "../../../prosody-compat/core/tests/core/pair.rs"]
mod pair;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prosody_core::token::{Hash, KeyId, Signer};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Map, Value, json};

use self::pair::pair;
use crate::running::{Whole, free, get, plausch, until_it_counts};
use crate::tab::{ANONYMOUS, Tab};

const SECRET: &str = "a-secret-of-the-tests-with-32-bytes";

fn claims(change: &Value) -> Map<String, Value> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let all =
        json!({ "iss": "town", "aud": "jitsi", "sub": "meet.jitsi", "room": "rathaus", "exp": now + 600 });
    let mut all = all.as_object().unwrap().clone();
    all.extend(change.as_object().unwrap().clone());
    all
}

fn hs256(change: &Value) -> String {
    let signer = Signer::secret(Hash::Sha256, &SECRET.to_owned().into()).unwrap();
    signer.sign(&claims(change)).unwrap().into_inner()
}

fn rs256(change: &Value) -> String {
    let signer = Signer::rsa(Hash::Sha256, &pair().0, "k1").unwrap();
    signer.sign(&claims(change)).unwrap().into_inner()
}

/// Logs in; what the server says if that fails.
async fn log_in(at: SocketAddr, token: &str, auth: &str) -> Result<Tab, String> {
    Tab::log_in(at, "meet.jitsi", &format!("room=rathaus&prefix=&token={token}"), auth).await
}

/// Opens a meeting and joins it; what it learns of itself, or why not.
async fn meet(tab: &mut Tab, room: &str) -> String {
    tab.say(&format!(r#"<iq type="set" id="c" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="{room}@muc.meet.jitsi" machine-uid="m1"/></iq>"#)).await;
    let said = tab.until("id=\"c\"").await;
    assert!(said.contains("ready=\"true\"") && said.contains("externalAuth"), "{said}");
    tab.say(&format!(r#"<presence to="{room}@muc.meet.jitsi/abcd1234"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#)).await;
    tab.until("abcd1234").await
}

fn start(change: impl FnOnce(&mut Command)) -> Whole {
    Whole::start(|c| {
        c.env("ENABLE_AUTH", "1").env("AUTH_TYPE", "jwt").env("JWT_APP_ID", "town");
        change(c);
    })
}

#[tokio::test]
async fn people_come_in_with_a_token_and_only_into_its_room() {
    let town = start(|c| {
        c.env("JWT_APP_SECRET", SECRET).env("TOKEN_AUTH_URL", "https://login.example/?room={room}");
    });
    let config = get(town.http, "/config.js").unwrap();
    assert!(config.contains(r#""tokenAuthUrl": "https://login.example/?room={room}""#), "{config}");
    assert!(config.contains(r#""authdomain": "meet.jitsi""#) && !config.contains("conferenceRequestUrl"));
    for (token, said) in [
        (String::new(), "<not-allowed/><text>token required</text>"),
        (hs256(&json!({ "iss": "village" })), "<not-allowed/><text>invalid 'iss' claim</text>"),
        (hs256(&json!({ "exp": 5 })), "<not-allowed/><text>Not acceptable by exp"),
        (hs256(&json!({ "room": null })), "<not-authorized/><text>room claim is missing</text>"),
        (rs256(&json!({})), "<not-allowed/><text>Invalid or incorrect alg</text>"),
    ] {
        let refused = log_in(town.http, &token, ANONYMOUS).await.err().unwrap();
        assert!(refused.contains(said), "{refused}");
    }
    let mut anna = log_in(town.http, &hs256(&json!({})), ANONYMOUS).await.unwrap();
    let joined = meet(&mut anna, "rathaus").await;
    assert!(joined.contains("code=\"110\"") && !joined.contains("type=\"error\""), "{joined}");
    let mut bert = log_in(town.http, &hs256(&json!({ "room": "bauhof" })), ANONYMOUS).await.unwrap();
    let refused = meet(&mut bert, "rathaus").await;
    assert!(refused.contains("<room-mismatch"), "{refused}");
    // Who did it is counted.
    let rows = [
        "plausch_xmpp_module_refused_total{module=\"token_verification\"} 1",
        "prosody_mod_auth_token__success_total 2",
        "prosody_mod_auth_token__verify_fail_total 5",
    ];
    until_it_counts(town.admin, &rows);
}

#[tokio::test]
async fn a_key_server_is_asked_over_tls_and_a_public_key_may_be_written() {
    let town = start(|c| {
        c.env("JWT_APP_SECRET", &pair().1).env("JWT_SIGN_TYPE", "RS256");
    });
    assert!(log_in(town.http, &rs256(&json!({})), ANONYMOUS).await.is_ok());
    let refused = log_in(town.http, &hs256(&json!({})), ANONYMOUS).await.err().unwrap();
    assert!(refused.contains("alg"), "{refused}");
    drop(town);

    let keys = KeyServer::start();
    let town = start(|c| {
        c.env("JWT_ASAP_KEYSERVER", format!("https://localhost:{}/asap/", keys.port));
        c.env("SSL_CERT_FILE", &keys.root);
    });
    assert_eq!(keys.asked.load(Ordering::Relaxed), 0, "nobody is asked before somebody comes");
    for _ in 0..2 {
        let mut anna = log_in(town.http, &rs256(&json!({})), ANONYMOUS).await.unwrap();
        assert!(meet(&mut anna, "rathaus").await.contains("code=\"110\""));
    }
    assert_eq!(keys.asked.load(Ordering::Relaxed), 1, "a key is kept");
    let other = Signer::rsa(Hash::Sha256, &pair().0, "k2").unwrap();
    let other = other.sign(&claims(&json!({}))).unwrap().into_inner();
    let refused = log_in(town.http, &other, ANONYMOUS).await.err().unwrap();
    assert!(refused.contains("<text>could not obtain public key</text>"), "{refused}");
    drop(town);

    // Whoever is not who it says is not believed.
    let town = start(|c| {
        c.env("JWT_ASAP_KEYSERVER", format!("https://127.0.0.1:{}/asap", keys.port));
        c.env("SSL_CERT_FILE", &keys.root);
    });
    let refused = log_in(town.http, &rs256(&json!({})), ANONYMOUS).await.err().unwrap();
    assert!(refused.contains("<text>could not obtain public key</text>"), "{refused}");
}

#[test]
fn a_start_without_what_tokens_need_ends_with_the_variable_s_name() {
    for (set, named) in [
        (&[][..], "JWT_APP_ID"),
        (&[("JWT_APP_ID", "town")][..], "JWT_APP_SECRET"),
        (&[("JWT_APP_ID", "town"), ("JWT_APP_SECRET", "x"), ("JWT_SIGN_TYPE", "none")][..], "JWT_SIGN_TYPE"),
        (&[("JWT_APP_ID", "town"), ("JWT_ASAP_KEYSERVER", "keys.example")][..], "JWT_ASAP_KEYSERVER"),
        (
            &[("JWT_APP_ID", "town"), ("JWT_APP_SECRET", "x"), ("JWT_TOKEN_AUTH_MODULE", "own")][..],
            "JWT_TOKEN_AUTH_MODULE",
        ),
    ] {
        let [http, admin, xmpp, media] = free().map(|a| a.to_string());
        let mut c = plausch();
        c.args(["--http", &http, "--admin", &admin, "--xmpp", &xmpp, "--media", &media, "--web", "none"]);
        c.env("ENABLE_AUTH", "1").env("AUTH_TYPE", "jwt").envs(set.iter().copied());
        let out = c.output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && said.contains(named), "{named}: {said}");
    }
}

/// Serves the one key over TLS, for `localhost`.
struct KeyServer {
    port: u16,
    /// The certificate to trust.
    root: PathBuf,
    asked: Arc<AtomicUsize>,
}

impl KeyServer {
    fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let root = std::env::temp_dir().join(format!("plausch-keys-{}.pem", std::process::id()));
        std::fs::write(&root, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (config, count) = (Arc::new(config), Arc::clone(&asked));
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                // Whoever does not trust it breaks off.
                let _ = answer(&mut rustls::StreamOwned::new(tls, socket.unwrap()), &count);
            }
        });
        Self { port, root, asked }
    }
}

fn answer(
    io: &mut rustls::StreamOwned<rustls::ServerConnection, std::net::TcpStream>,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        io.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let wanted = format!("GET /asap/{} HTTP/1.1\r\n", KeyId::of("k1").file_name());
    let (status, body) = if request.starts_with(&wanted) {
        count.fetch_add(1, Ordering::Relaxed);
        ("200 OK", pair().1.as_str())
    } else {
        ("404 Not Found", "")
    };
    write!(io, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())?;
    io.conn.send_close_notify();
    io.flush()
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.root);
    }
}
