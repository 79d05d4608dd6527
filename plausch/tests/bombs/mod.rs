//! XML that is meant to cost more than it weighs, connections that come and go, and requests over HTTP that two readers read differently:
//! each costs its sender the stanza or the connection, little of the machine, and nobody else anything.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::running::{Whole, get, until_it_counts};
use crate::tab::{ANONYMOUS, Tab};

/// X10: what an XML bomb is called, and the bomb.
fn bombs() -> Vec<(&'static str, String)> {
    let laughs: String =
        (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    let message = |body: &str| {
        format!("<message xmlns='jabber:client' to='rat@muc.meet.jitsi'><body>{body}</body></message>")
    };
    let many = |what: &dyn Fn(usize) -> String, n: usize| (0..n).map(what).collect::<String>();
    vec![
        ("billion laughs", format!("<!DOCTYPE l [<!ENTITY l0 \"ha\">{laughs}]>{}", message("&l9;"))),
        (
            "an entity from elsewhere",
            format!("<!DOCTYPE l [<!ENTITY l SYSTEM \"file:///etc/passwd\">]>{}", message("&l;")),
        ),
        ("a DTD from elsewhere", format!("<!DOCTYPE l SYSTEM \"http://127.0.0.1:1/l.dtd\">{}", message("x"))),
        ("an instruction", format!("<?xml-stylesheet href='x'?>{}", message("x"))),
        ("a comment", message(&format!("<!--{}-->", "-".repeat(100_000)))),
        ("a section that never ends", message(&format!("<![CDATA[{}", "]]".repeat(100_000)))),
        ("attributes", format!("<iq {}/>", many(&|n| format!(" a{n}=''"), 60_000))),
        ("a million attributes", format!("<iq {}/>", many(&|n| format!(" a{n}=''"), 1_000_000))),
        ("namespaces", format!("<iq {}/>", many(&|n| format!(" xmlns:a{n}='u{n}'"), 30_000))),
        ("a million namespaces", format!("<iq {}/>", many(&|n| format!(" xmlns:a{n}='u{n}'"), 1_000_000))),
        ("depth", format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000))),
        ("depth with namespaces", "<a xmlns='u'><b xmlns='v'>".repeat(20_000)),
        ("children", format!("<iq>{}</iq>", "<a/>".repeat(200_000))),
        ("text", message(&"x".repeat(30_000_000))),
        ("a tag that never ends", format!("<message {}", " ".repeat(5_000_000))),
        ("a name", format!("<{}/>", "n".repeat(1_000_000))),
    ]
}

#[tokio::test]
async fn xml_that_costs_more_than_it_weighs_costs_its_sender() {
    let whole = Whole::start(|_| {});
    let mut witness = Tab::log_in(whole.http, "meet.jitsi", "room=rat", ANONYMOUS).await.unwrap();
    let ping =
        r#"<iq xmlns="jabber:client" type="get" id="w" to="meet.jitsi"><ping xmlns="urn:xmpp:ping"/></iq>"#;
    let (before, cpu) = (whole.resident(), whole.used());
    let all = bombs();
    for (name, bomb) in &all {
        // Over TCP, before anybody has logged in.
        let mut raw = TcpStream::connect(whole.xmpp).unwrap();
        raw.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        raw.write_all(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='auth.meet.jitsi' version='1.0'>").unwrap();
        // It need not be read to its end.
        let _ = raw.write_all(bomb.as_bytes());
        let mut heard = Vec::new();
        let _ = raw.read_to_end(&mut heard);
        let heard = String::from_utf8_lossy(&heard);
        let right = ["not-well-formed", "restricted-xml", "policy-violation", "not-authorized"];
        // Whoever still sends when it is closed may hear of it from the system alone.
        let reset = heard.is_empty() || bomb.len() > 64 * 1024;
        assert!(reset || right.iter().any(|r| heard.contains(r)), "{name}: {heard}");
        // Over a WebSocket, before and after: a frame that is none is dropped, one that is too large ends the stream.
        for logged_in in [false, true] {
            let mut tab = if logged_in {
                Tab::log_in(whole.http, "meet.jitsi", "room=rat", ANONYMOUS).await.unwrap()
            } else {
                Tab::connect(whole.http, "room=rat").await
            };
            tab.throw(bomb).await;
            let answer = tab.last_words().await;
            assert!(!answer.contains("root:") && !answer.contains("hahaha"), "{name}: {answer}");
        }
        witness.say(ping).await;
        witness.until("id=\"w\"").await;
    }
    let grown = whole.resident().saturating_sub(before);
    let each = (whole.used() - cpu) / u32::try_from(3 * all.len()).unwrap();
    println!("{} kB more, {each:?} of processor time each", grown / 1024);
    assert!(grown < 16 << 20, "{grown} bytes more");
    assert!(each < Duration::from_millis(50), "{each:?} each");
}

/// X11.
#[test]
fn connections_that_come_and_go_leave_nothing() {
    const ROUND: usize = 4_000;
    let whole = Whole::start(|_| {});
    let mut after = Vec::new();
    for _ in 0..4 {
        for n in 0..ROUND {
            let at = if n % 2 == 0 { whole.http } else { whole.xmpp };
            let Ok(mut c) = TcpStream::connect(at) else { continue };
            let _ = match n % 4 {
                0 => write!(
                    c,
                    "GET /xmpp-websocket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: xmpp\r\n\r\n"
                ),
                1 => write!(
                    c,
                    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='auth.meet.jitsi' version='1.0'>"
                ),
                2 => write!(c, "GET /config.js HTTP/1.1\r\nhost: x\r\n\r\n"),
                _ => Ok(()),
            };
        }
        std::thread::sleep(Duration::from_secs(1));
        after.push(whole.resident());
    }
    println!("{after:?}");
    // The first round warms up.
    assert!(after[3].saturating_sub(after[1]) < 4 << 20, "{after:?}");
    // The roles' alone.
    until_it_counts(whole.admin, &["plausch_xmpp_sessions 2", "plausch_xmpp_connections 2"]);
}

/// What comes back to bytes on one connection.
fn said(at: SocketAddr, bytes: &str) -> String {
    let mut c = TcpStream::connect(at).unwrap();
    c.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    c.write_all(bytes.as_bytes()).unwrap();
    let _ = c.shutdown(std::net::Shutdown::Write);
    let mut all = Vec::new();
    let _ = c.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

/// X24: a head that is too long, and requests whose end one reader sees elsewhere than another, so that a web server in front would
/// pass on what somebody hid in them.
#[test]
fn requests_with_two_ends_are_refused() {
    let whole = Whole::start(|_| {});
    let hidden = "GET /config.js HTTP/1.1\r\nhost: x\r\n\r\n";
    let post = "POST /http-bind HTTP/1.1\r\nhost: x\r\n";
    for (name, request) in [
        ("two lengths", format!("{post}content-length: 5\r\ncontent-length: 0\r\n\r\n{hidden}")),
        ("a list of lengths", format!("{post}content-length: 0, 5\r\n\r\n{hidden}")),
        ("a signed length", format!("{post}content-length: +0\r\n\r\n{hidden}")),
        ("a length that is none", format!("{post}content-length: 0x0\r\n\r\n{hidden}")),
        ("a coding that is none", format!("{post}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}")),
        (
            "chunks, and something after them",
            format!("{post}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        ("a space before the colon", format!("{post}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{hidden}")),
        ("a size that is none", format!("{post}transfer-encoding: chunked\r\n\r\n-1\r\n\r\n{hidden}")),
        (
            "a size that overflows",
            format!("{post}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n{hidden}"),
        ),
        ("a name with a line's end", format!("{post}x\nhost: y\r\ncontent-length: 0\r\n\r\n{hidden}")),
    ] {
        let answer = said(whole.http, &request);
        assert!(!answer.contains("var config"), "{name}: what was hidden is answered: {answer}");
    }
    // Both at once: chunks count, and the connection ends with them, so that what follows is nobody's.
    let both = format!("{post}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{hidden}");
    let answer = said(whole.http, &both);
    assert!(!answer.contains("var config"), "{answer}");

    let long = format!("GET /config.js HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(64 * 1024));
    let answer = said(whole.http, &long);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    let many: String = (0..500).map(|n| format!("a{n}: x\r\n")).collect();
    let answer = said(whole.http, &format!("GET /config.js HTTP/1.1\r\nhost: x\r\n{many}\r\n"));
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert!(get(whole.http, "/config.js").unwrap().contains("var config"), "others are served");
}
