//! The built program from outside: starts, answers, drains; and what a wrong start says and exits with.

mod commands;
mod proxies;
mod running;
mod tls;

use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;

use running::{Running, free, get, plausch};

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
        // The server's numbers are up to 50 ms old.
        std::thread::sleep(Duration::from_millis(200));
        let metrics = get(admin, "/metrics").unwrap();
        assert!(metrics.contains("\nplausch_xmpp_sessions 2\n"), "{metrics}");
        assert!(get(admin, "/colibri/stats").unwrap().contains("\"conferences\":0"));

        let taken = plausch().args(["--http", &text(http)]).output().unwrap();
        one_line(&taken, 69, &[&text(http), "http.listen"]);

        run.signal(signal);
        let out = run.ended();
        assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
        let printed = String::from_utf8(out.stdout).unwrap();
        assert!(printed.contains(&format!("http://localhost:{}/", http.port())), "{printed}");
        assert!(printed.contains("bridge.password") && !printed.contains("geheim"), "{printed}");
    }
}

#[test]
fn three_roles_of_their_own_find_each_other_over_tcp() {
    let [http, admin, xmpp, media] = free();
    let [focus_http, focus_admin, bridge_http, _] = free();
    let [bridge_admin, ..] = free();
    let role = |name: &str, http: SocketAddr, admin: SocketAddr| {
        let mut c = plausch();
        c.args([name, "--http", &http.to_string(), "--admin", &admin.to_string()]);
        c.args([
            "--xmpp",
            &xmpp.to_string(),
            "--xmpp-server",
            &xmpp.to_string(),
            "--media",
            &media.to_string(),
        ]);
        c.envs([("JICOFO_AUTH_PASSWORD", "eins"), ("JVB_AUTH_PASSWORD", "zwei")]);
        c
    };
    let _xmpp = Running::healthy(&mut role("xmpp", http, admin), admin);
    let _bridge = Running::healthy(&mut role("videobridge", bridge_http, bridge_admin), bridge_admin);
    // The focus is healthy only with the server and a bridge.
    let focus = Running::healthy(&mut role("focus", focus_http, focus_admin), focus_admin);
    assert!(get(focus_admin, "/stats").unwrap().contains("\"bridge_count\":1"));
    focus.signal("-TERM");
    assert_eq!(focus.ended().status.code(), Some(0));
}

#[test]
fn a_wrong_start_is_one_line_and_no_zero() {
    for (args, words) in [
        (&["--htp", "x"][..], &["--htp", "--http"][..]),
        (&["--web", "/nonexistent"], &["/nonexistent"]),
        (&["--config", "/nonexistent.toml"], &["/nonexistent.toml"]),
        (&["--http", "everywhere"], &["http.listen"]),
        (&["focus"], &["focus.password"]),
        (&["gateway"], &["gateway"]),
    ] {
        one_line(&plausch().args(args).output().unwrap(), 78, words);
    }
}

/// A server with somebody's `.env` from upstream let everybody in without a word.
#[test]
fn a_start_without_what_keeps_people_out_is_one_line_and_no_zero() {
    for (name, value, words) in [
        ("ENABLE_AUTH", "1", &["ENABLE_AUTH", "PLAUSCH_ACCEPT"][..]),
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
        ("ENABLE_AUTH", &["ENABLE_AUTH", "PLAUSCH_ACCEPT"][..]),
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
