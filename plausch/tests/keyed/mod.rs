//! Programs with keys of their own at the built program: on the admin's listener, and nowhere else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use jitsi_xmpp::Sensitive;
use prosody_core::token::{Hash, Signer};

use crate::running::Whole;

fn ask(address: SocketAddr, head: &str) -> String {
    let mut c = TcpStream::connect(address).unwrap();
    write!(c, "{head}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
    let mut text = String::new();
    c.read_to_string(&mut text).unwrap();
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_program_with_a_token_is_heard_on_the_admin_s_listener_and_nowhere_else() {
    let folder = std::env::temp_dir().join(format!("plausch-keyed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (config, key) = (folder.join("plausch.toml"), folder.join("key"));
    let secret = "a-secret-of-programs-with-32-bytes";
    std::fs::write(&key, format!("{secret}\n")).unwrap();
    let table = format!(
        "[[xmpp.programs]]\nissuer = \"town\"\nkey_file = \"{}\"\nalgorithm = \"HS256\"\n",
        key.display()
    );
    std::fs::write(&config, table).unwrap();
    let run = Whole::start(|c| {
        c.args(["--config", config.to_str().unwrap()]).env("XMPP_MODULES", "muc_end_meeting");
    });
    let signer = Signer::secret(Hash::Sha256, &Sensitive::new(secret.to_owned())).unwrap();
    let claims = serde_json::json!({"iss": "town", "aud": "any", "sub": "*"});
    let token = signer.sign(claims.as_object().unwrap()).unwrap();
    let token = format!("authorization: Bearer {}", token.reveal());
    let end = "POST /end-meeting?conference=rat@muc.meet.jitsi HTTP/1.1\r\nhost: localhost";
    assert!(ask(run.admin, end).contains(" 401 "));
    assert!(ask(run.admin, &format!("{end}\r\n{token}")).contains(" 404 "), "there is no such room");
    let elsewhere = format!("{end}\r\n{token}").replace("localhost", "evil.example");
    assert!(ask(run.admin, &elsewhere).contains(" 421 "));
    assert!(ask(run.admin, &format!("{end}\r\n{token}\r\norigin: https://evil.example")).contains(" 403 "));
    let drain = format!("POST /drain/enable HTTP/1.1\r\nhost: localhost\r\n{token}");
    assert!(ask(run.admin, &drain).contains(" 403 "), "which is the admin's");
    let public = ask(run.http, &format!("{end}\r\n{token}"));
    assert!(!public.contains(" 401 ") && !public.contains(" 200 "), "{public}");
    drop(run);
    std::fs::remove_dir_all(folder).unwrap();
}
