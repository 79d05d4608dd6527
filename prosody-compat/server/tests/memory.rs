//! What a session costs that does nothing: people log in over WebSocket, and the allocator counts what the server's thread has in
//! use for each. A binary of its own, because a process has one allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use prosody_server::{Config, Raw};
use tokio::sync::watch;

struct Counting;

/// Bytes that the server has in use.
static LIVE: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static OF_THE_SERVER: Cell<bool> = const { Cell::new(false) };
}

fn count(by: isize) {
    if OF_THE_SERVER.try_with(Cell::get).unwrap_or(false) {
        LIVE.fetch_add(by, Ordering::Relaxed);
    }
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A person who logs in and is silent from then on.
fn log_in(server: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let upgrade = "GET /xmpp-websocket HTTP/1.1\r\nHost: meet.jitsi\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                   Sec-WebSocket-Protocol: xmpp\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).unwrap();
    hear(&mut socket, "\r\n\r\n");
    for (say, answer) in LOGIN {
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend_from_slice(&u16::try_from(say.len()).unwrap().to_be_bytes());
        // Masked with nothing.
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(say.as_bytes());
        socket.write_all(&frame).unwrap();
        hear(&mut socket, answer);
    }
    socket
}

fn hear(socket: &mut TcpStream, what: &str) {
    let (mut heard, mut part) = (Vec::new(), [0; 4096]);
    while !heard.windows(what.len()).any(|w| w == what.as_bytes()) {
        let n = socket.read(&mut part).unwrap();
        assert!(n > 0, "closed before {what}: {}", String::from_utf8_lossy(&heard));
        heard.extend_from_slice(&part[..n]);
    }
}

#[test]
fn an_idle_session_over_websocket_takes_so_much_and_not_more() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .on_thread_start(|| OF_THE_SERVER.set(true))
        .enable_all()
        .build()
        .unwrap();
    let (_stop, stopped) = watch::channel(false);
    // On the server's own thread, so that what is made there is given back there.
    let server = runtime.spawn(async move {
        let handle = prosody_server::start(Config::from_raw(Raw::default()).unwrap(), stopped).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = handle.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (handle, address)
    });
    let (handle, address) = runtime.block_on(server).unwrap();
    let mut all: Vec<TcpStream> = (0..WARM_UP).map(|_| log_in(address)).collect();
    let before = LIVE.load(Ordering::Relaxed);
    all.extend((0..SESSIONS).map(|_| log_in(address)));
    let each = (LIVE.load(Ordering::Relaxed) - before) / SESSIONS;
    eprintln!("{each} bytes for each session");
    assert!(each <= MOST, "{each} bytes for each session");
    // Its numbers are those of a moment ago.
    until("all are logged in", || handle.stats().now.sessions == all.len());
    drop(all);
    // Who goes without a goodbye waits to be resumed, in less.
    until("connections give back what they had", || {
        LIVE.load(Ordering::Relaxed) - before < SESSIONS * MOST / 2
    });
}

fn until(what: &str, done: impl Fn() -> bool) {
    let from = Instant::now();
    while !done() {
        assert!(from.elapsed() < Duration::from_secs(20), "waited for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const WARM_UP: isize = 100;
const SESSIONS: isize = 500;
/// In the development profile, whose tasks are larger than those that are shipped; without what the allocator itself needs, which is some
/// tenth more, and the kernel's buffers. 1,024 are the buffer for reading.
const MOST: isize = 7_400;
const LOGIN: [(&str, &str); 5] = [
    (r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.jitsi" version="1.0"/>"#, "ANONYMOUS"),
    (r#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#, "<success"),
    (r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.jitsi" version="1.0"/>"#, "xmpp-bind"),
    (
        r#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#,
        "<jid>",
    ),
    (r#"<enable xmlns="urn:xmpp:sm:3" resume="true"/>"#, "<enabled"),
];
