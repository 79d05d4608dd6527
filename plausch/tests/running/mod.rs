//! Starts the built program for tests and talks to it over plain sockets.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn plausch() -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_plausch"));
    c.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    c
}

/// Four loopback addresses nobody uses now.
pub(crate) fn free() -> [SocketAddr; 4] {
    let tcp: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    [
        tcp[0].local_addr().unwrap(),
        tcp[1].local_addr().unwrap(),
        tcp[2].local_addr().unwrap(),
        udp.local_addr().unwrap(),
    ]
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut c = TcpStream::connect(address).ok()?;
    write!(c, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    c.read_to_string(&mut text).ok()?;
    Some(text)
}

/// A running program; ended when the test is.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn healthy(command: &mut Command, admin: SocketAddr) -> Self {
        let it = Self(command.spawn().unwrap());
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            match get(admin, "/about/health") {
                Some(text) if text.starts_with("HTTP/1.1 200") => return it,
                last => assert!(Instant::now() < end, "not healthy: {last:?}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
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
    pub(crate) running: Running,
}

impl Whole {
    pub(crate) fn start(change: impl FnOnce(&mut Command)) -> Self {
        let [http, admin, xmpp, media] = free();
        let mut command = plausch();
        for (flag, address) in [("--http", http), ("--admin", admin), ("--xmpp", xmpp), ("--media", media)] {
            command.args([flag, &address.to_string()]);
        }
        command.args(["--web", "none"]);
        change(&mut command);
        Self { http, media, admin, running: Running::healthy(&mut command, admin) }
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.0.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }
}
