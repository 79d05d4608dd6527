//! The built program among people who mean harm, and on machines whose disk is full.

mod bombs;
mod running;
mod tab;

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use running::{Whole, get};

/// Segments of one byte kept 4 KiB each alive: 120 kB of payload were 467 MB.
#[test]
fn a_body_in_pieces_of_one_byte_costs_what_it_weighs() {
    let whole = Whole::start(|_| {});
    for (path, sockets, bytes) in [("/http-bind", 1, 20_000), ("/conference-request/v1", 3, 10_000)] {
        let before = whole.resident();
        let mut open: Vec<TcpStream> =
            (0..sockets).map(|_| TcpStream::connect(whole.http).unwrap()).collect();
        for socket in &mut open {
            socket.set_nodelay(true).unwrap();
            write!(socket, "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", bytes + 100)
                .unwrap();
        }
        // On a machine that is slow enough the deadline comes first, which is as good.
        for _ in 0..bytes {
            if !open.iter_mut().all(|socket| socket.write_all(b" ").is_ok()) {
                break;
            }
            std::thread::sleep(Duration::from_micros(20));
        }
        let grown = whole.resident().saturating_sub(before);
        assert!(grown < 16 << 20, "{path}: {grown} bytes more");
    }
}

/// A log that cannot be written ended the process with 101.
#[test]
fn a_full_disk_under_the_log_ends_nothing() {
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    let mut whole = Whole::start(|c| {
        c.args(["--log", "trace"]).stdout(full()).stderr(full());
    });
    assert!(get(whole.http, "/config.js").unwrap().contains("var config"));
    std::thread::sleep(Duration::from_millis(200));
    assert!(get(whole.admin, "/about/health").unwrap().starts_with("HTTP/1.1 200"));
    assert!(whole.running.0.try_wait().unwrap().is_none());
}

#[test]
fn a_log_whose_reader_is_gone_ends_nothing() {
    let mut whole = Whole::start(|c| {
        let (out, err) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
        // The reading ends are dropped here.
        c.args(["--log", "trace"]).stdout(out.1).stderr(err.1);
    });
    assert!(get(whole.http, "/config.js").unwrap().contains("var config"));
    std::thread::sleep(Duration::from_millis(200));
    assert!(get(whole.admin, "/about/health").unwrap().starts_with("HTTP/1.1 200"));
    assert!(whole.running.0.try_wait().unwrap().is_none());
}

#[test]
fn a_log_whose_reader_sleeps_stops_nothing() {
    let (sleeping, pipe) = std::io::pipe().unwrap();
    let mut whole = Whole::start(|c| {
        c.args(["--log", "trace"]).stdout(pipe.try_clone().unwrap()).stderr(pipe);
    });
    // Far more than a pipe's 64 KiB.
    for _ in 0..500 {
        assert!(get(whole.http, "/config.js").unwrap().contains("var config"));
    }
    assert!(get(whole.admin, "/about/health").unwrap().starts_with("HTTP/1.1 200"));
    assert!(whole.running.0.try_wait().unwrap().is_none());
    drop(sleeping);
}

/// Dependencies print what they read when they are asked to.
#[test]
fn the_most_talkative_log_knows_no_credentials() {
    // Base64 of `\0jvb\0sehr-geheim`.
    const AUTH: &str = "AGp2YgBzZWhyLWdlaGVpbQ==";
    let mut whole = Whole::start(|c| {
        c.args(["--log", "trace,tungstenite=trace,hyper=trace"]).env("JVB_AUTH_PASSWORD", "sehr-geheim");
    });
    let sasl = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{AUTH}</auth>");
    let mut socket = TcpStream::connect(whole.http).unwrap();
    write!(
        socket,
        "GET /xmpp-websocket?token=streng-vertraulich HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         authorization: Bearer streng-vertraulich\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: xmpp\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        whole.http
    )
    .unwrap();
    for text in ["<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='meet.jitsi' version='1.0'/>", &sasl] {
        // A text frame with a mask of zeros, so that the payload stands as it is.
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        socket.write_all(&[0x81, 0xfe, length[0], length[1], 0, 0, 0, 0]).unwrap();
        socket.write_all(text.as_bytes()).unwrap();
    }
    let body =
        format!("<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='meet.jitsi'>{sasl}</body>");
    let mut bosh = TcpStream::connect(whole.http).unwrap();
    write!(
        bosh,
        "POST /http-bind?token=streng-vertraulich HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let _ = bosh.set_read_timeout(Some(Duration::from_secs(1)));
    let _ = bosh.read_to_string(&mut String::new());
    std::thread::sleep(Duration::from_millis(200));
    whole.running.signal("-TERM");
    let stderr = whole.running.0.stderr.take().unwrap();
    let mut log = String::new();
    { stderr }.read_to_string(&mut log).unwrap();
    assert!(log.contains("stopping"), "the log is on: {log}");
    let hex: String = AUTH.bytes().map(|b| format!("{b:02x}")).collect();
    for secret in [AUTH, &hex, "sehr-geheim", "streng-vertraulich"] {
        let line = log.lines().find(|l| l.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
