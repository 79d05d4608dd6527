//! The commands beside the server, against a running one or none: what they print, and what they exit with.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::running::{Whole, free, get, plausch};

/// A folder of a test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("plausch-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn run(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// A server whose commands find it.
struct Found {
    whole: Whole,
    folder: PathBuf,
}

impl Found {
    fn new(name: &str) -> Self {
        let folder = folder(name);
        let token = folder.join("token");
        let whole = Whole::start(|c| {
            c.args(["--admin-token-file", token.to_str().unwrap()]);
        });
        Self { whole, folder }
    }

    fn command(&self, name: &str, more: &[&str]) -> (Option<i32>, String) {
        let mut c = plausch();
        c.args([name, "--admin", &self.whole.admin.to_string()]);
        c.args(["--admin-token-file", self.folder.join("token").to_str().unwrap()]).args(more);
        run(&mut c)
    }

    /// Asks for a meeting, as a client does; whether it may begin.
    fn meeting(&self, room: &str) -> bool {
        let body = format!("{{\"room\":\"{room}@muc.meet.jitsi\",\"properties\":{{}}}}");
        let answer = post(self.whole.http, "/conference-request/v1", &body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        answer.contains("\"ready\":true")
    }
}

fn post(to: SocketAddr, path: &str, body: &str) -> String {
    let mut c = TcpStream::connect(to).unwrap();
    write!(
        c,
        "POST {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    c.read_to_string(&mut text).unwrap();
    text
}

/// With one bridge, a drain of the bridge alone let every new meeting in.
#[test]
fn a_drain_takes_no_new_meetings_and_ends_none() {
    let server = Found::new("drain");
    let (code, said) = server.command("drain", &["--wait", "30m"]);
    assert_eq!(code, Some(0), "nothing runs: {said}");
    assert!(said.contains("0 meetings") && said.contains("can be stopped"), "{said}");
    assert!(!server.meeting("rathaus"), "new ones are put off");
    assert!(
        get(server.whole.admin, "/colibri/drain").unwrap().contains("{\"drain\":true}"),
        "the bridge drains too"
    );
    assert!(get(server.whole.admin, "/about/health").unwrap().ends_with("OK"), "nobody restarts it for that");

    assert_eq!(server.command("drain", &["--cancel"]).0, Some(0));
    assert!(server.meeting("rathaus"));
    let (code, said) = server.command("drain", &["--wait", "1s", "--lang", "de"]);
    assert_eq!(code, Some(1), "it runs still: {said}");
    assert!(said.contains("1 Besprechungen") && said.contains("die Zeit ist um"), "{said}");
    assert!(server.meeting("rathaus"), "who comes late to a meeting that runs gets in");
    assert!(!server.meeting("schule"));
    let (code, said) = server.command("drain", &[]);
    assert_eq!(code, Some(0), "only begun: {said}");
}

#[test]
fn a_drain_that_cannot_be_is_one_line() {
    let server = Found::new("no-drain");
    let none = |c: &mut Command| run(c);
    let admin = server.whole.admin.to_string();
    let (code, said) = none(plausch().args(["drain", "--admin", &admin]));
    assert!(code == Some(78) && said.contains("--admin-token-file") && said.lines().count() == 1, "{said}");
    fs::write(server.folder.join("token"), "not the token of this server\n".replace(' ', "")).unwrap();
    let (code, said) = server.command("drain", &[]);
    assert!(code == Some(69) && said.contains("token"), "{said}");
    let [nobody, ..] = free();
    let (code, said) = none(plausch().args([
        "drain",
        "--admin",
        &nobody.to_string(),
        "--admin-token-file",
        server.folder.join("token").to_str().unwrap(),
    ]));
    assert!(code == Some(69) && said.contains("admin.listen") && said.lines().count() == 1, "{said}");
}

#[test]
fn a_health_check_is_0_for_a_server_that_is_well_and_1_for_none() {
    let server = Found::new("health");
    assert_eq!(server.command("healthcheck", &[]), (Some(0), "OK\n".to_owned()));
    let [nobody, ..] = free();
    assert_eq!(run(plausch().args(["healthcheck", "--admin", &nobody.to_string()])).0, Some(1));
}

#[test]
fn a_doctor_looks_at_a_running_server_and_at_a_planned_one() {
    let server = Found::new("doctor");
    let http = server.whole.http.to_string();
    let (code, said) = server.command("doctor", &["--http", &http]);
    assert!(code == Some(0) || code == Some(1), "small buffers at most: {said}");
    assert!(said.contains("✔ server") && said.contains("✔ ports") && !said.contains('✘'), "{said}");

    let [http, admin, xmpp, media] = free().map(|a| a.to_string());
    let env = server.folder.join(".env");
    fs::write(
        &env,
        format!(
            "# a town's\nPLAUSCH_HTTP={http}\nPLAUSCH_ADMIN={admin}\nPLAUSCH_XMPP={xmpp}\nPLAUSCH_MEDIA={media}\nPUBLIC_URL=http://192.0.2.7\n\
             ENABLE_AUTH=1\nPLAUSCH_HTPP=1\nENABLE_SUBDOMAINS=off\nENABLE_RECORDING=1\nnonsense\n"
        ),
    )
    .unwrap();
    let env = env.to_str().unwrap();
    let (code, said) = run(plausch().args(["doctor", "--lang", "de", "--env-file", env]));
    assert_eq!(code, Some(2), "{said}");
    for word in [
        "ENABLE_AUTH",
        "PLAUSCH_HTPP",
        "ENABLE_SUBDOMAINS=0",
        "ENABLE_RECORDING",
        "nichts bedeuten: 11",
        "PLAUSCH_MEDIA=0.0.0.0",
        "https://192.0.2.7",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let (code, json) = run(plausch().args(["doctor", "--json", "--env-file", env]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, json["worst"].as_str()), (Some(2), Some("red")));
    assert!(
        json["findings"].as_array().unwrap().iter().all(|f| f["check"] != "server" || f["level"] == "green")
    );
}

/// What contradicts itself was found out by those who heard nothing.
#[test]
fn a_start_says_what_contradicts_itself() {
    let mut whole = Whole::start(|c| {
        c.args(["--public-url", "http://meet.example"]);
    });
    whole.running.signal("-TERM");
    let mut log = String::new();
    let mut stderr = whole.running.0.stderr.take().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    for word in ["PUBLIC_URL=https://meet.example", "PLAUSCH_MEDIA=0.0.0.0"] {
        assert!(log.lines().any(|l| l.contains("WARN") && l.contains(word)), "{log}");
    }
    let out = plausch().args(["--advertise", "0.0.0.0"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(78) && said.contains("media.advertise"), "{said}");
}
