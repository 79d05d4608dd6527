//! Starts the built program for tests and talks to it over plain sockets.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

pub(crate) fn plausch() -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_plausch"));
    c.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    c
}

/// Four loopback addresses nobody uses now.
///
/// They lie below the ports the system gives by itself, which a neighbour's connection could have before the
/// program binds its own, and no two calls return the same.
pub(crate) fn free() -> [SocketAddr; 4] {
    std::array::from_fn(|_| {
        loop {
            let address = SocketAddr::from(([127, 0, 0, 1], next_port()));
            if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
                return address;
            }
        }
    })
}

fn next_port() -> u16 {
    const FIRST: u16 = 12_000;
    const PORTS: u16 = 20_000;
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // Test programs that run side by side begin at different places.
    let own = u16::try_from(std::process::id() * 128 % u32::from(PORTS)).unwrap();
    FIRST + own.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % PORTS
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut c = TcpStream::connect(address).ok()?;
    write!(c, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    c.read_to_string(&mut text).ok()?;
    Some(text)
}

/// Waits until the metrics have all of these rows, each whole. What is shown is a picture that is taken now and then, so it may be
/// older than what another answer said.
pub(crate) fn until_it_counts(admin: SocketAddr, rows: &[&str]) -> String {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let text = get(admin, "/metrics").unwrap();
        let Some(row) = rows.iter().find(|row| !text.contains(&format!("\n{row}\n"))) else { return text };
        assert!(Instant::now() < end, "{row}: {text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A running program; ended when the test is.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn healthy(command: &mut Command, admin: SocketAddr) -> Self {
        let mut it = Self(command.spawn().unwrap());
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = get(admin, "/about/health");
            // Another program at its address would answer as well.
            assert!(it.0.try_wait().unwrap().is_none(), "ended: {}", it.said());
            match answer {
                Some(text) if text.starts_with("HTTP/1.1 200") => return it,
                last => assert!(Instant::now() < end, "not healthy: {last:?}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What a program that has ended left in its log.
    fn said(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut err) = self.0.stderr.take() {
            let _ = err.read_to_string(&mut text);
        }
        text
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap().success());
    }

    /// Waits for the end by itself.
    pub(crate) fn ended(mut self) -> Output {
        let end = Instant::now() + Duration::from_secs(10);
        while self.0.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "still running");
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut out = Output { status: self.0.wait().unwrap(), stdout: vec![], stderr: vec![] };
        self.0.stdout.take().unwrap().read_to_end(&mut out.stdout).unwrap();
        self.0.stderr.take().unwrap().read_to_end(&mut out.stderr).unwrap();
        out
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The all-in-one on its own addresses.
pub(crate) struct Whole {
    pub(crate) http: SocketAddr,
    pub(crate) media: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) xmpp: SocketAddr,
    pub(crate) running: Running,
}

impl Whole {
    pub(crate) fn start(change: impl FnOnce(&mut Command)) -> Self {
        let [http, admin, xmpp, media] = free();
        let mut command = plausch();
        for (flag, address) in [("--http", http), ("--admin", admin), ("--xmpp", xmpp), ("--media", media)] {
            command.args([flag, &address.to_string()]);
        }
        change(&mut command);
        if !command.get_args().any(|a| a == "--web") {
            command.args(["--web", "none"]);
        }
        Self { http, media, admin, xmpp, running: Running::healthy(&mut command, admin) }
    }

    /// Processor time that it has used.
    pub(crate) fn used(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.running.0.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        // A hundred in a second, on every Linux.
        Duration::from_millis(10 * ticks)
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.0.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }
}

/// The three roles as programs of their own, which find each other over TCP.
pub(crate) struct Roles {
    /// What is public of the XMPP server, the bridge and the focus.
    pub(crate) http: [SocketAddr; 3],
    /// What is the admin's of them.
    pub(crate) admin: [SocketAddr; 3],
    pub(crate) focus: Running,
    pub(crate) others: [Running; 2],
}

impl Roles {
    /// `apart`: what is the admin's has an address of its own, and not that of what is public.
    pub(crate) fn start(apart: bool) -> Self {
        let [xmpp, media, a, b] = free();
        let [c, d, e, f] = free();
        let (http, others) = ([a, b, c], [d, e, f]);
        let admin = if apart { others } else { http };
        // The focus is healthy only with the server and a bridge.
        let [server, bridge, focus] = [("xmpp", 0), ("videobridge", 1), ("focus", 2)].map(|(role, n)| {
            let mut c = plausch();
            c.args([role, "--http", &http[n].to_string(), "--admin", &admin[n].to_string()]);
            c.args(["--xmpp", &xmpp.to_string(), "--xmpp-server", &xmpp.to_string()]);
            c.args(["--media", &media.to_string()]);
            c.envs([("JICOFO_AUTH_PASSWORD", "eins"), ("JVB_AUTH_PASSWORD", "zwei")]);
            Running::healthy(&mut c, admin[n])
        });
        Self { http, admin, focus, others: [server, bridge] }
    }
}
