//! What is wrong with a server costs one clear line and little time. The program itself is run, so that its exit and
//! its output are what is tested.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::server::{PASSWORD, TestServer};
use super::{Cli, arguments};
use clap::Parser;
use loadgen::signalling::run;

fn program(options: &str) -> Output {
    let begun = Instant::now();
    let output = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .arg("signalling")
        .args(options.split_ascii_whitespace())
        .env_remove("JICOFO_AUTH_PASSWORD")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{options}: took {:?}", begun.elapsed());
    output
}

/// Runs it to its failure; the one line.
fn failure(options: &str) -> String {
    let output = program(options);
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = said.lines().filter(|l| !l.contains("not pinned")).collect();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty());
    assert!(lines.len() == 1 && lines[0].starts_with("loadgen: "), "{said}");
    lines[0].to_owned()
}

/// A server made of a function that gets each connection.
fn fake(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    format!("ws://{address}/xmpp-websocket")
}

fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
        head.push(byte[0]);
    }
}

fn upgrade(stream: &mut TcpStream) {
    read_head(stream);
    stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n").unwrap();
}

fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, u8::try_from(text.len()).unwrap()];
    frame.extend_from_slice(text.as_bytes());
    frame
}

#[test]
fn a_server_that_is_not_there() {
    // Port 1 is nobody's; one that was free a moment ago may be another test's by now.
    let said = failure("--scenario presence --url ws://127.0.0.1:1/");
    assert!(said.contains("cannot connect to 127.0.0.1:") && said.contains("refused"), "{said}");
    let said = failure("--scenario idle --url ws://127.0.0.1:5280.example.invalid/");
    assert!(said.contains("no known host"), "{said}");
    let said = failure("--scenario idle --url http://127.0.0.1/");
    assert!(said.contains("ws://"), "{said}");
}

#[test]
fn a_server_that_never_answers() {
    let url = fake(|stream| {
        thread::sleep(Duration::from_secs(20));
        drop(stream);
    });
    let said = failure(&format!("--scenario idle --occupants 3 --url {url}"));
    assert!(said.contains("no answer for 8 s") && said.contains("WebSocket"), "{said}");
}

#[test]
fn a_server_that_stops_answering_in_the_login() {
    let url = fake(|mut stream| {
        upgrade(&mut stream);
        thread::sleep(Duration::from_secs(20));
    });
    let said = failure(&format!("--scenario join-storm --seconds 1 --patience 1 --occupants 3 --url {url}"));
    assert!(said.contains("no answer for 1 s") && said.contains("login mechanisms"), "{said}");
}

#[test]
fn a_server_without_websocket() {
    let url = fake(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let said = failure(&format!("--scenario idle --url {url}"));
    assert!(said.contains("refuses the WebSocket") && said.contains("404"), "{said}");
    let url = fake(|mut stream| {
        upgrade(&mut stream);
        stream.write_all(b"SSH-2.0-x\r\n").unwrap();
        thread::sleep(Duration::from_secs(5));
    });
    let said = failure(&format!("--scenario idle --url {url}"));
    assert!(said.contains("no WebSocket frame"), "{said}");
}

#[test]
fn a_server_that_refuses_the_login() {
    let url = fake(|mut stream| {
        upgrade(&mut stream);
        let features = "<stream:features><mechanism>SCRAM-SHA-1</mechanism></stream:features>";
        stream.write_all(&frame(features)).unwrap();
        thread::sleep(Duration::from_secs(5));
    });
    let said = failure(&format!("--scenario idle --url {url}"));
    assert!(said.contains("does not offer the login ANONYMOUS"), "{said}");
    let server = TestServer::start();
    let wrong = format!("--focus-password wrong --focus-server {}", server.tcp);
    let said = failure(&format!("--scenario presence {wrong} --url {}", server.url));
    assert!(said.contains("401 the focus: "), "{said}");
    // Our rooms need the focus first, and without one the reason is said.
    let said = failure(&format!("--scenario presence --occupants 2 --url {}", server.url));
    assert!(said.contains("refuses a join: not-allowed (Room creation is restricted)"), "{said}");
    let said = failure(&format!("--scenario presence --focus be --url {}", server.url));
    assert!(said.contains("--focus-password"), "{said}");
}

#[test]
fn a_server_that_closes_in_the_login() {
    let url = fake(|mut stream| upgrade(&mut stream));
    let said = failure(&format!("--scenario idle --url {url}"));
    assert!(said.contains("closed") && said.contains("login mechanisms"), "{said}");
}

#[test]
fn a_server_that_dies_while_it_is_measured() {
    let server = TestServer::start();
    let focus = format!("--focus-password {PASSWORD} --focus-server {}", server.tcp);
    let options = format!("--scenario presence --occupants 8 --seconds 60 {focus}");
    let arguments = arguments(&server.url, &options);
    let running = thread::spawn(move || run(&arguments));
    thread::sleep(Duration::from_millis(1_500));
    assert!(!running.is_finished());
    let died = Instant::now();
    server.die();
    let error = running.join().unwrap().unwrap_err().to_string();
    assert!(error.contains("closed"), "{error}");
    assert!(died.elapsed() < Duration::from_secs(5), "{:?}", died.elapsed());
}

#[test]
fn a_process_that_is_not_the_servers() {
    let server = TestServer::start();
    let said = failure(&format!("--scenario idle --occupants 2 --pid 4194300 --url {}", server.url));
    assert!(said.contains("process 4194300") && said.contains("gone"), "{said}");
}

#[test]
fn wrong_options_are_told_with_the_usage() {
    for options in [
        "",
        "--scenario nonsense",
        "--scenario presence --occupants 0",
        "--scenario presence --occupants 20001",
        "--scenario presence --window 65",
        "--scenario presence --focus sometimes",
        "--scenario presence --seconds 3600.1",
        "--scenario presence --seconds=-1",
        "--scenario presence --rate=-1",
        "--scenario presence --rate 1000001",
        "--scenario presence-sweep --sizes 5,20001",
    ] {
        let all = ["test"].into_iter().chain(options.split_ascii_whitespace());
        assert!(Cli::try_parse_from(all).is_err(), "{options}");
    }
    for options in
        ["--scenario presence --seconds 3600", "--scenario idle --occupants 20000 --rooms 0 --rate 1000000"]
    {
        arguments("ws://127.0.0.1:1/", options);
    }
    let output = program("--scenario presence --occupants 0");
    assert_eq!(output.status.code(), Some(2));
    for (options, word) in [
        ("--scenario presence --rooms 0", "--rooms 0"),
        ("--scenario presence --rooms 11 --occupants 10", "more rooms"),
        ("--scenario presence-sweep --sizes 5,3", "--sizes"),
        ("--scenario presence-sweep --sizes 5,5", "--sizes"),
    ] {
        let error = run(&arguments("ws://127.0.0.1:1/", options)).unwrap_err().to_string();
        assert!(error.contains(word), "{options}: {error}");
    }
}
