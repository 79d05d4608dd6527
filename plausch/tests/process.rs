//! The built program from outside: starts, answers, drains; and what a wrong start says and exits with.

mod accounts;
mod commands;
mod dashboards;
mod keyed;
mod logins;
mod moving;
mod proxies;
mod reload;
mod running;
mod services;
mod tab;
mod tls;
mod visitors;

use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use running::{Roles, Running, free, get, plausch, until_it_counts};

#[test]
fn the_all_in_one_is_healthy_serves_its_page_and_ends_with_0_on_either_signal() {
    for signal in ["-INT", "-TERM"] {
        let [http, admin, xmpp, media] = free();
        let text = |a: SocketAddr| a.to_string();
        let run = Running::healthy(
            plausch().env("JVB_AUTH_PASSWORD", "geheim").args([
                "--http",
                &text(http),
                "--admin",
                &text(admin),
                "--xmpp",
                &text(xmpp),
                "--media",
                &text(media),
                "--web",
                "none",
            ]),
            admin,
        );
        assert!(get(http, "/rathaus").unwrap().contains("/_plausch/main.js"));
        assert!(get(http, "/config.js").unwrap().contains("var config = {"));
        assert!(
            get(http, "/xmpp-websocket").unwrap().starts_with("HTTP/1.1 204"),
            "the keep-alive of clients"
        );
        assert!(
            !get(http, "/metrics").unwrap().contains("plausch_xmpp"),
            "a room like any other: figures are not public"
        );
        assert!(!get(http, "/colibri/stats").unwrap().contains("conferences"), "as above");
        until_it_counts(admin, &["plausch_xmpp_sessions 2"]);
        assert!(get(admin, "/colibri/stats").unwrap().contains("\"conferences\":0"));

        let taken = plausch().args(["--http", &text(http)]).output().unwrap();
        one_line(&taken, 69, &[&text(http), "http.listen (PLAUSCH_HTTP, --http)"]);

        run.signal(signal);
        let out = run.ended();
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        let printed = String::from_utf8(out.stdout).unwrap();
        assert!(printed.contains(&format!("http://localhost:{}/", http.port())), "{printed}");
        assert!(printed.contains("bridge.password") && !printed.contains("geheim"), "{printed}");
    }
}

#[test]
fn a_package_s_defaults_lie_beside_the_program_and_systemd_hears_when_it_is_ready() {
    let folder = std::env::temp_dir().join(format!("plausch-package-{}", std::process::id()));
    let [http, admin, xmpp, media] = free();
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    std::fs::create_dir_all(folder.join("lib/plausch")).unwrap();
    let program = folder.join("bin/plausch");
    let built = env!("CARGO_BIN_EXE_plausch");
    std::fs::hard_link(built, &program).or_else(|_| std::fs::copy(built, &program).map(|_| ())).unwrap();
    let listen = |part: &str, a: SocketAddr| format!("[{part}]\nlisten = \"{a}\"\n");
    let defaults =
        [listen("http", http), listen("admin", admin), listen("xmpp", xmpp), listen("media", media)];
    std::fs::write(folder.join("lib/plausch/defaults.toml"), defaults.concat()).unwrap();

    let socket = UnixDatagram::bind(folder.join("notify")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let hear = || {
        let mut word = [0; 32];
        let n = socket.recv(&mut word).unwrap();
        String::from_utf8_lossy(&word[..n]).into_owned()
    };
    let mut command = Command::new(&program);
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Empty is not set, also for the name of the admin's own file.
    command.env("PLAUSCH_CONFIG", "").env("PLAUSCH_HTTP", "").args(["--web", "none"]);
    command.env("NOTIFY_SOCKET", folder.join("notify"));
    let run = Running::healthy(&mut command, admin);
    assert_eq!(hear(), "READY=1");
    assert!(get(http, "/rathaus").unwrap().contains("/_plausch/main.js"));
    run.signal("-TERM");
    assert_eq!(run.ended().status.code(), Some(0));
    assert_eq!(hear(), "STOPPING=1");

    std::fs::write(folder.join("lib/plausch/defaults.toml"), "[http]\nlissten = \"x\"\n").unwrap();
    one_line(&Command::new(&program).env_clear().output().unwrap(), 78, &["http.lissten", "http.listen"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn three_roles_of_their_own_find_each_other_over_tcp() {
    let Roles { admin: [.., focus_admin], focus, others: _others, .. } = Roles::start(true);
    assert!(get(focus_admin, "/stats").unwrap().contains("\"bridge_count\":1"));
    focus.signal("-TERM");
    let out = focus.ended();
    assert_eq!(out.status.code(), Some(0));
    // A role that is stopped has lost nothing.
    let log = String::from_utf8_lossy(&out.stderr).into_owned();
    let end = log.split_once("stopping").expect("a stop is called stop").1;
    assert!(!end.contains("WARN") && !end.contains("ERROR"), "{log}");
}

/// Its default action would be the end of all meetings there.
#[test]
fn a_server_and_a_bridge_that_stand_alone_were_ended_by_the_signal_for_an_upgrade() {
    let Roles { admin: [server, bridge, _], mut others, focus: _focus, .. } = Roles::start(true);
    others.iter().for_each(|role| role.signal("-USR2"));
    std::thread::sleep(Duration::from_millis(300));
    for (role, admin) in others.iter_mut().zip([server, bridge]) {
        assert!(role.0.try_wait().unwrap().is_none(), "it is still there");
        assert!(get(admin, "/about/health").unwrap().starts_with("HTTP/1.1 200"));
    }
}

/// Upstream's focus has all on 8888, its bridge on 8080, its XMPP server on 5280; a second listener on the address of the first
/// ended the start. The probes are those of jitsi-helm 3.4, which come to an address and not to a name.
#[test]
fn one_address_for_all_of_a_role_and_the_probes_of_jitsi_helm() {
    let roles = Roles::start(false);
    let [xmpp_http, bridge_http, focus_http] = roles.http;
    for (at, path, word) in [
        // Prosody's probe, and what its other readers ask.
        (xmpp_http, "/http-bind", ""),
        (xmpp_http, "/health", "OK"),
        (xmpp_http, "/metrics", "plausch_xmpp_sessions"),
        (xmpp_http, "/about/version", "\"version\""),
        // The bridge's.
        (bridge_http, "/about/health", ""),
        (bridge_http, "/about/version", "\"JVB\""),
        (bridge_http, "/colibri/stats", "\"conferences\":0"),
        (bridge_http, "/metrics", "jitsi_jvb_"),
        (focus_http, "/about/health", "OK"),
        (focus_http, "/about/version", "\"version\""),
        (focus_http, "/stats", "\"bridge_count\":1"),
        (focus_http, "/metrics", "jitsi_jicofo_"),
    ] {
        let answer = get(at, path).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(word), "{path}: {answer}");
    }
    let keys = |at: SocketAddr, path: &str, pointers: &[&str]| {
        let answer = get(at, path).unwrap();
        let json: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert!(pointers.iter().all(|p| json.pointer(p).is_some()), "{json}");
        json
    };
    // The state of both, by upstream's addresses.
    let debug = keys(bridge_http, "/debug", &["/load_management/stress", "/drain"]);
    assert_eq!(
        (&debug["shutdown_state"], &debug["conferences"]),
        (&"RUNNING".into(), &serde_json::json!({}))
    );
    let debug = keys(focus_http, "/debug?full=true", &["/drain", "/xmpp_connected"]);
    let bridges = debug.pointer("/bridge_selector/bridges").unwrap().as_object().unwrap();
    assert!(bridges.len() == 1 && bridges.values().all(|b| b["operational"] == true), "{debug}");
    assert!(get(focus_http, "/debug/conferences").unwrap().ends_with("{}"));
    assert!(get(focus_http, "/debug/conference/rat@muc.meet.jitsi").unwrap().starts_with("HTTP/1.1 404"));
    // What the public asks is not behind the admin's door: Debian's nginx comes with the town's name.
    let body = r#"{"room":"rat@muc.meet.jitsi"}"#;
    let asked = |path: &str| {
        let mut c = std::net::TcpStream::connect(focus_http).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: meet.example\r\norigin: https://other.example\r\nconnection: close\r\n"
        );
        let kind = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        std::io::Write::write_all(&mut c, (head + &kind).as_bytes()).unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut c, &mut text).unwrap();
        text
    };
    let ready = asked("/conference-request/v1");
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("\"ready\":true"), "{ready}");
    // The room that was asked for, by its number and by its name, and without a name.
    let known = get(focus_http, "/debug/conference/rat@muc.meet.jitsi").unwrap();
    assert!(known.starts_with("HTTP/1.1 200") && !known.contains("rat@"), "{known}");
    let refused = asked("/stats");
    assert!(refused.starts_with("HTTP/1.1 421"), "the admin's is: {refused}");
}

#[test]
fn the_all_in_one_does_not_show_the_public_what_is_the_admin_s() {
    let [at, ..] = free();
    let at = at.to_string();
    let out = plausch().args(["--http", &at, "--admin", &at]).output().unwrap();
    one_line(&out, 78, &["admin.listen", "http.listen"]);
}

/// What reads Jicofo's log reads standard output, and nothing but lines of the log.
/// What black-box suites see and change of the XMPP server is built with a feature of cargo, and into nothing that is shipped.
#[cfg(not(feature = "test-observer"))]
#[test]
fn nothing_of_the_observer_of_suites_is_in_the_program() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_plausch")).unwrap();
    for word in ["test-observer", "test_observer", "muc-occupant-pre-join"] {
        assert!(!program.windows(word.len()).any(|w| w == word.as_bytes()), "{word}");
    }
    let there = "/room-size";
    assert!(program.windows(there.len()).any(|w| w == there.as_bytes()), "paths are found this way");
}

#[test]
fn the_log_of_a_role_is_upstream_s_when_it_is_asked_for() {
    let [http, admin, xmpp, _] = free();
    let text = |a: SocketAddr| a.to_string();
    let run = Running::healthy(
        plausch().env("LOG_FORMAT", "jitsi").args([
            "xmpp",
            "--http",
            &text(http),
            "--admin",
            &text(admin),
            "--xmpp",
            &text(xmpp),
        ]),
        admin,
    );
    run.signal("-TERM");
    let out = run.ended();
    let printed = String::from_utf8(out.stdout).unwrap();
    assert!(printed.lines().count() > 3, "{printed}");
    for line in printed.lines() {
        // ^(\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2})\s+(\S+)\s+(\w{0,10})(\t)
        let (head, _) = line.split_once('\t').unwrap_or_else(|| panic!("{line}"));
        let words: Vec<&str> = head.split_whitespace().collect();
        assert!(words.len() == 4 && words[0].len() == 10 && words[1].len() == 8, "{line}");
        assert!(["info", "warn", "error"].contains(&words[3]), "{line}");
    }
}

#[test]
fn a_wrong_start_is_one_line_and_no_zero() {
    for (args, words) in [
        (&["--htp", "x"][..], &["--htp", "--http"][..]),
        (&["--web", "/nonexistent"], &["/nonexistent"]),
        (&["--config", "/nonexistent.toml"], &["/nonexistent.toml"]),
        (&["--http", "everywhere"], &["http.listen (PLAUSCH_HTTP, --http)"]),
        (&["focus"], &["focus.password (JICOFO_AUTH_PASSWORD)"]),
        (&["gateway"], &["gateway"]),
    ] {
        one_line(&plausch().args(args).output().unwrap(), 78, words);
    }
}

/// A server with somebody's `.env` from upstream let everybody in without a word.
#[test]
fn a_start_without_what_keeps_people_out_is_one_line_and_no_zero() {
    for (name, value, words) in [
        ("JICOFO_ENABLE_AUTH", "1", &["JICOFO_ENABLE_AUTH", "PLAUSCH_ACCEPT"][..]),
        ("ENABLE_AUTH", "an", &["ENABLE_AUTH", "login.required"]),
        ("XMPP_MUC_MODULES", "muc_wait_for_host", &["XMPP_MUC_MODULES"]),
        ("XMPP_MODULES", "muc_size,muc_wait_for_host", &["XMPP_MODULES"]),
        ("PROSODY_RESERVATION_ENABLED", "1", &["rooms.reservations_url", "http://host"]),
        ("ENABLE_P2P", "off", &["ENABLE_P2P", "client.p2p"]),
        ("PLAUSCH_HTPP", "127.0.0.1:1", &["PLAUSCH_HTPP", "PLAUSCH_HTTP"]),
    ] {
        one_line(&plausch().env(name, value).output().unwrap(), 78, words);
    }
}

/// It counted as not set, and the server started open.
#[test]
fn a_variable_that_keeps_people_out_and_was_no_text_left_the_server_open() {
    use std::os::unix::ffi::OsStrExt as _;
    let no_text = std::ffi::OsStr::from_bytes(b"\xff");
    for (name, words) in [
        ("ENABLE_AUTH", &["ENABLE_AUTH", "login.required"][..]),
        ("XMPP_MUC_MODULES", &["XMPP_MUC_MODULES", "rooms.modules"]),
        ("XMPP_CONFIGURATION", &["XMPP_CONFIGURATION", "PLAUSCH_ACCEPT"]),
        ("DISABLE_POLLS", &["DISABLE_POLLS"]),
        ("MAX_PARTICIPANTS", &["MAX_PARTICIPANTS"]),
    ] {
        // A port that nobody has, so that a start ends as well.
        let mut start = plausch();
        start.args(["--http", "192.0.2.1:1"]).env(name, no_text);
        one_line(&start.output().unwrap(), 78, words);
    }
}

fn one_line(out: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(words.iter().all(|w| text.contains(w)), "{text}");
}
