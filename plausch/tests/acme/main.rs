//! Certificates by ACME: the built program against Pebble, the test CA, with its deliberate faults, and against directories
//! that are down, slow, rude, or lie. Everything is on loopback.

mod client;
mod liar;
mod pebble;
#[path = "../running/mod.rs"]
mod running;
mod server;

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use client::{served, trusts};
use liar::{Behaviour, Liar};
use pebble::{Options, Pebble};
use running::{free, get};
use server::{Folder, Server};

const HOST: &str = "meet.example";
const OTHER: &str = "other.example";

/// A start with nothing but names: the certificate is there in seconds, for all of them, kept for the next start, and that does
/// not ask anybody. A directory that has forgotten us is a new one.
#[test]
fn a_fresh_server_has_its_certificate_in_seconds_and_keeps_it() {
    let folder = Folder::new("fresh");
    let [http, https, ..] = free();
    let pebble = Pebble::start(Options { http: http.port(), tls: https.port(), ..Options::default() });
    let begun = Instant::now();
    let server = Server::start(&folder, http, https, |c| {
        pebble.name(c);
        c.args(["--acme-domains", &format!("{HOST},{OTHER}"), "--acme-challenge", "http-01"]);
    });
    // Not there yet, and served all the same.
    assert!(get(http, "/Rat").unwrap().starts_with("HTTP/1.1 301 "));
    pebble.wait_for_trust(https, HOST);
    let took = begun.elapsed();
    eprintln!("from the start to the certificate: {took:.2?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let root = pebble.root();
    assert!(trusts(https, OTHER, &root) && !trusts(https, "third.example", &root));
    let metrics = get(server.admin, "/metrics").unwrap();
    assert!(metrics.contains("\nplausch_acme_certificates_total 1\n"), "{metrics}");
    assert!(metrics.contains("plausch_acme_failures_total{blame=\"proof\"} 0\n"), "{metrics}");
    let expires = metrics.lines().find(|l| l.starts_with("plausch_certificate_expires_timestamp_seconds "));
    assert!(expires.is_some_and(|l| l.len() > 50), "{metrics}");
    assert!(server.warnings().is_empty(), "{:?}", server.warnings());
    only_for_its_owner(&folder.state());

    // The next start needs nobody.
    drop(server);
    let orders = pebble.orders();
    let (root, ports) = (pebble.root(), pebble.ports);
    drop(pebble);
    let server = Server::start(&folder, http, https, |c| {
        c.args(["--acme", "1", "--acme-domains", &format!("{HOST},{OTHER}")]);
        c.args(["--acme-directory", &format!("https://localhost:{}/dir", ports.directory.port())]);
    });
    assert!(trusts(https, HOST, &root), "{:?}", server.log());
    assert!(server.warnings().is_empty(), "{:?}", server.warnings());
    drop(server);
    assert_eq!(orders, 1);

    // One more name than the certificate has, and a directory that does not know our account.
    let options = Options { http: http.port(), tls: https.port(), ports: Some(ports), ..Options::default() };
    let pebble = Pebble::start(options);
    let server = Server::start(&folder, http, https, |c| {
        pebble.name(c);
        c.args(["--acme-domains", &format!("{HOST},third.example")]);
    });
    pebble.wait_for_trust(https, "third.example");
    assert!(server.warnings().is_empty(), "{:?}", server.warnings());
}

fn only_for_its_owner(state: &Path) {
    let mut files = 0;
    let mut folders = vec![state.to_owned()];
    while let Some(folder) = folders.pop() {
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{folder:?}");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
            }
        }
    }
    assert_eq!(files, 2, "account and certificate");
}

/// Port 80 is closed: TLS alone proves both names. The account belongs to another one.
#[test]
fn names_are_proven_over_tls_alone() {
    let folder = Folder::new("tls");
    let [http, https, closed, _] = free();
    // Pebble's own example: base64url of 32 bytes.
    let key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
    let pebble = Pebble::start(Options {
        http: closed.port(),
        tls: https.port(),
        external: Some(("kid-1", key)),
        ..Options::default()
    });
    let _server = Server::start(&folder, http, https, |c| {
        pebble.name(c);
        c.args(["--acme-domains", &format!("{HOST},{OTHER}"), "--acme-challenge", "tls-alpn-01"]);
        c.args(["--acme-eab-id", "kid-1"]).env("PLAUSCH_ACME_EAB_KEY", key);
    });
    pebble.wait_for_trust(https, HOST);
    assert!(trusts(https, OTHER, &pebble.root()));
}

/// Certificates that last 15 seconds, a directory that refuses every sixth nonce, and proofs that it remembers.
#[test]
fn a_certificate_is_renewed_before_its_end_and_nobody_notices() {
    let folder = Folder::new("renewed");
    let [http, https, ..] = free();
    let pebble = Pebble::start(Options {
        http: http.port(),
        tls: https.port(),
        validity: 15,
        env: &[("PEBBLE_WFE_NONCEREJECT", "15"), ("PEBBLE_AUTHZREUSE", "100")],
        ..Options::default()
    });
    let server = Server::start(&folder, http, https, |c| {
        pebble.name(c);
        c.args(["--public-url", &format!("https://{HOST}")]);
    });
    pebble.wait_for_trust(https, HOST);
    let first = served(https, HOST).unwrap();
    let mut kept = client::open(https, HOST);
    let end = Instant::now() + Duration::from_secs(40);
    while served(https, HOST).unwrap() == first {
        assert!(Instant::now() < end, "not renewed: {:?}", server.log());
        // The front closes what says nothing.
        assert!(kept.is_alive());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(trusts(https, HOST, &pebble.root()));
    assert!(kept.is_alive(), "a connection of before goes on");
}

/// A name that leads elsewhere: one line that says so, no second order in the next minutes, not even by a new start.
#[test]
fn a_name_that_is_not_us_is_one_line_and_no_loop() {
    let folder = Folder::new("elsewhere");
    let [http, https, closed, also_closed] = free();
    let pebble =
        Pebble::start(Options { http: closed.port(), tls: also_closed.port(), ..Options::default() });
    let start = || {
        Server::start(&folder, http, https, |c| {
            pebble.name(c);
            c.args(["--acme-domains", HOST]);
        })
    };
    let server = start();
    let line = server.wait_for_warning();
    assert!(line.contains("meet.example is not proven") && line.contains("next try in 1"), "{line}");
    // Reserved names are nobody's.
    assert!(line.contains("here, DNS gives no address for meet.example"), "{line}");
    assert!(served(https, HOST).is_some() && !trusts(https, HOST, &pebble.root()));
    let metrics = get(server.admin, "/metrics").unwrap();
    assert!(metrics.contains("plausch_acme_failures_total{blame=\"proof\"} 1\n"), "{metrics}");
    drop(server);
    let again = start();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((pebble.orders(), again.warnings()), (1, vec![]));
}

/// It comes up after us, as after a power cut.
#[test]
fn a_directory_that_is_down_is_asked_again_soon() {
    let folder = Folder::new("down");
    let [http, https, ..] = free();
    let ports = pebble::Ports::new();
    let server = Server::start(&folder, http, https, |c| {
        ports.name(c);
        c.args(["--acme-domains", HOST]);
    });
    let line = server.wait_for_warning();
    assert!(line.contains("localhost is not reached") && line.contains("next try in"), "{line}");
    assert!(get(http, "/Rat").unwrap().starts_with("HTTP/1.1 301 "));
    let options = Options { http: http.port(), tls: https.port(), ports: Some(ports), ..Options::default() };
    let pebble = Pebble::start(options);
    pebble.wait_for_trust(https, HOST);
    assert_eq!(server.warnings().len(), 1, "{:?}", server.warnings());
}

#[test]
fn a_directory_that_talks_nonsense_is_one_line() {
    let (liar, server, _folder) = against("nonsense", Behaviour::Nonsense);
    let line = server.wait_for_warning();
    assert!(line.contains("what is not understood"), "{line}");
    // It is asked again, and that is not said again.
    liar.wait_for_requests(2);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(server.warnings().len(), 1, "{:?}", server.warnings());
    assert!(served(server.https, HOST).is_some());
}

#[test]
fn a_directory_that_never_answers_holds_nothing_up() {
    let (liar, server, _folder) = against("silent", Behaviour::Silent);
    liar.wait_for_requests(1);
    assert!(served(server.https, HOST).is_some() && get(server.http, "/").is_some());
    server.signal("-TERM");
    assert!(server.ended_within(Duration::from_secs(5)), "an orderly stop waits for nobody");
}

#[test]
fn a_directory_that_has_heard_enough_of_us_is_left_alone() {
    let (liar, server, folder) = against("enough", Behaviour::TooMany);
    let line = server.wait_for_warning();
    assert!(line.contains("heard enough of us") && line.contains("too many of you"), "{line}");
    // Two hours asked for, and the jitter never shortens them.
    let wait = line.rsplit("next try in ").next().unwrap().split(' ').next().unwrap();
    assert!((7200..7300).contains(&wait.parse::<u32>().unwrap()), "{line}");
    let asked = liar.requests();
    drop(server);
    let again = liar.server(&folder);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!((liar.requests(), again.warnings()), (asked, vec![]));
}

#[test]
fn a_directory_that_issues_something_else_is_found_out_and_the_old_certificate_stays() {
    for (behaviour, words) in
        [(Behaviour::OtherName, "it is not for meet.example"), (Behaviour::OtherKey, "it is for another key")]
    {
        let (liar, server, _folder) = against("lie", behaviour);
        let line = server.wait_for_warning();
        assert!(line.contains("is refused") && line.contains(words), "{line}");
        let own = served(server.https, HOST).unwrap();
        assert_ne!(Some(own), liar.issued());
    }
}

/// What cannot be kept is not ordered: each start would order again.
#[test]
fn a_state_folder_that_cannot_be_written_is_one_line_and_nobody_is_asked() {
    let folder = Folder::new("file");
    std::fs::write(folder.state(), "a file where the folder should be").unwrap();
    let liar = Liar::start(Behaviour::TooMany);
    let server = liar.server(&folder);
    let line = server.wait_for_warning();
    assert!(line.contains("state.dir") && line.contains(folder.state().to_str().unwrap()), "{line}");
    assert!(served(server.https, HOST).is_some());
    assert_eq!((liar.requests(), server.warnings().len()), (0, 1));
}

/// Two questions answered, the start of what that wrote, and the certificate that browsers trust: the figure.
#[test]
fn from_setup_to_a_served_certificate_in_ten_seconds() {
    let folder = Folder::new("setup");
    let [http, https, ..] = free();
    let pebble = Pebble::start(Options { http: http.port(), tls: https.port(), ..Options::default() });
    let written = folder.path("plausch.toml");
    let begun = Instant::now();
    let mut setup = Command::new(env!("CARGO_BIN_EXE_plausch"));
    setup.env_clear().args(["setup", "--lang", "en", "--out", written.to_str().unwrap()]);
    setup.args(["--state", folder.state().to_str().unwrap()]);
    let mut setup =
        setup.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    // The name is nobody's, which is red, and is written all the same.
    let answers = format!("{HOST}\nit@town.example\ny\n");
    setup.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let said = setup.wait_with_output().unwrap();
    assert!(said.status.code().is_some_and(|c| c < 2), "{}", String::from_utf8_lossy(&said.stdout));
    let server = Server::start(&folder, http, https, |c| {
        pebble.name(c);
        c.arg("--config").arg(&written);
    });
    pebble.wait_for_trust(https, HOST);
    let took = begun.elapsed();
    eprintln!("from setup to the certificate: {took:.2?}");
    assert!(took < Duration::from_secs(10), "{took:?}: {:?}", server.log());
}

/// A town that comes from docker-jitsi-meet while the directory does not answer.
#[test]
fn compat_the_certificate_of_the_old_server_is_served_until_ours_is_there() {
    let folder = Folder::new("former");
    let [http, https, ..] = free();
    let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    let old = folder.path("web/acme-certs").join(HOST);
    std::fs::create_dir_all(&old).unwrap();
    std::fs::write(old.join("fullchain.pem"), made.cert.pem()).unwrap();
    std::fs::write(old.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let ports = pebble::Ports::new();
    let server = Server::start(&folder, http, https, |c| {
        ports.name(c);
        c.args(["--acme-domains", HOST]);
        c.arg("--former-certificates").arg(folder.path("web"));
    });
    assert_eq!(served(https, HOST).as_ref(), Some(made.cert.der()), "{:?}", server.log());
    let line = server.wait_for_warning();
    assert!(line.contains("localhost is not reached"), "{line}");
    let options = Options { http: http.port(), tls: https.port(), ports: Some(ports), ..Options::default() };
    let pebble = Pebble::start(options);
    pebble.wait_for_trust(https, HOST);
    drop(server);

    // It is over, or somebody else's: one line says so, and there is one of our own.
    let other = rcgen::generate_simple_self_signed(vec![OTHER.to_owned()]).unwrap();
    std::fs::write(old.join("fullchain.pem"), other.cert.pem()).unwrap();
    std::fs::write(old.join("key.pem"), other.signing_key.serialize_pem()).unwrap();
    let server = Server::start(&folder, http, https, |c| {
        c.args(["--public-url", &format!("https://{HOST}")]);
        c.arg("--former-certificates").arg(folder.path("web"));
    });
    let line = server.wait_for_warning();
    assert!(line.contains("fullchain.pem is not used: it is not for meet.example"), "{line}");
    assert!(served(https, HOST).is_some_and(|it| it != *other.cert.der()));
}

/// A disk that becomes read-only under way: what could not be kept is not ordered, which is said once; what is served stays, and so
/// does everybody who is connected.
#[test]
fn a_disk_that_becomes_read_only_is_one_line_and_nobody_notices() {
    let folder = Folder::new("read-only");
    let [http, https, ..] = free();
    let options = Options { http: http.port(), tls: https.port(), validity: 15, ..Options::default() };
    let pebble = Pebble::start(options);
    let server = Server::start_as(on_tmpfs(&folder, "1m"), &folder, http, https, |c| {
        pebble.name(c);
        c.args(["--public-url", &format!("https://{HOST}")]);
    });
    pebble.wait_for_trust(https, HOST);
    let mut kept = client::open(https, HOST);
    let mut remount = Command::new("nsenter");
    remount.args(["-t", &server.id().to_string(), "-m"]);
    if !am_root() {
        remount.args(["-U", "--preserve-credentials"]);
    }
    remount.args(["mount", "-o", "remount,ro"]).arg(folder.state());
    assert!(remount.status().unwrap().success());
    let about = || server.warnings().into_iter().filter(|l| l.contains("Read-only file system")).count();
    let end = Instant::now() + Duration::from_secs(30);
    while about() == 0 {
        assert!(Instant::now() < end && kept.is_alive(), "{:?}", server.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    let certificate = served(https, HOST);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((about(), pebble.orders(), served(https, HOST)), (1, 1, certificate));
    assert!(kept.is_alive());
}

/// A folder that became read-only with an upgrade was noticed when the certificate was over, a month after the last line about it.
#[test]
fn a_certificate_that_cannot_be_renewed_is_said_long_before_its_end() {
    let folder = Folder::new("in-vain");
    let [http, https, ..] = free();
    let pebble = Pebble::start(Options { http: http.port(), tls: https.port(), ..Options::default() });
    let start = |command| {
        Server::start_as(command, &folder, http, https, |c| {
            pebble.name(c);
            c.args(["--acme-domains", HOST]);
        })
    };
    let server = start(Command::new(env!("CARGO_BIN_EXE_plausch")));
    pebble.wait_for_trust(https, HOST);
    let ask = |server: &Server| {
        (get(server.admin, "/about/health").unwrap(), get(server.admin, "/metrics").unwrap())
    };
    let (health, metrics) = ask(&server);
    assert!(health.ends_with("\r\n\r\nOK"), "{health}");
    assert!(metrics.contains("\nplausch_acme_state_writable 1\n"), "{metrics}");
    drop(server);

    let state = folder.state();
    let mount = format!(
        "mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec \"$0\" \"$@\"",
        state.display()
    );
    let mut read_only = Command::new("unshare");
    read_only.args([if am_root() { "-m" } else { "-rm" }, "sh", "-c", &mount, env!("CARGO_BIN_EXE_plausch")]);
    let server = start(read_only);
    let line = server.wait_for_warning();
    assert!(line.contains("will not be renewed") && line.contains("state.dir"), "{line}");
    assert!(trusts(https, HOST, &pebble.root()));
    let (health, metrics) = ask(&server);
    assert!(
        health.starts_with("HTTP/1.1 200") && health.contains("OK; certificate: will not be renewed"),
        "{health}"
    );
    assert!(metrics.contains("\nplausch_acme_state_writable 0\n"), "{metrics}");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((server.warnings().len(), pebble.orders()), (1, 1), "{:?}", server.log());
}

/// A disk that has room for the account and not for the certificate: that is used, and said to be lost with a restart.
#[test]
fn a_full_disk_costs_no_certificate() {
    let folder = Folder::new("full");
    let [http, https, ..] = free();
    let pebble = Pebble::start(Options { http: http.port(), tls: https.port(), ..Options::default() });
    // Two pages.
    let server = Server::start_as(on_tmpfs(&folder, "8k"), &folder, http, https, |c| {
        pebble.name(c);
        c.args(["--acme-domains", HOST]);
    });
    pebble.wait_for_trust(https, HOST);
    let line = server.wait_for_warning();
    assert!(line.contains("lost with a restart") && line.contains("No space left"), "{line}");
}

/// The program with a file system for its state that only it sees.
fn on_tmpfs(folder: &Folder, size: &str) -> Command {
    std::fs::create_dir_all(folder.state()).unwrap();
    let mount =
        format!("mount -t tmpfs -o size={size} tmpfs {} && exec \"$0\" \"$@\"", folder.state().display());
    let mut command = Command::new("unshare");
    command.args([if am_root() { "-m" } else { "-rm" }, "sh", "-c", &mount, env!("CARGO_BIN_EXE_plausch")]);
    command
}

fn am_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.trim_ascii() == b"0")
}

fn against(name: &str, behaviour: Behaviour) -> (Liar, Server, Folder) {
    let folder = Folder::new(name);
    let liar = Liar::start(behaviour);
    let server = liar.server(&folder);
    (liar, server, folder)
}
