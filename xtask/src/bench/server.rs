//! A server's binary and place in; the running server, ready, with its addresses and how long it took to be so, out.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::child::{Place, Running};
use super::options::Peer;
use super::token;
use crate::namespace::inside;

/// A server that is ours to end; gone when dropped.
pub(crate) struct Server {
    running: Running,
    /// From its start until it answered that it is healthy.
    pub(crate) started_in: Duration,
}

/// Which of our roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    AllInOne,
    /// The XMPP server alone, with an account for the focus, so that rooms alone are measured.
    Xmpp,
    /// The same, reached over TLS.
    XmppOverTls,
    /// The same, where people log in with a token that the bench has signed.
    XmppWithTokens,
}

impl Server {
    /// Ours. It listens on its default ports, so the place needs a network of its own.
    ///
    /// # Errors
    /// It does not start or does not become healthy.
    pub(crate) fn ours(binary: &Path, place: &Place, role: Role, gso: bool) -> Result<Self> {
        let mut command = place.command(binary);
        command.stdout(Stdio::null()).env("JICOFO_AUTH_PASSWORD", FOCUS_PASSWORD).env("PLAUSCH_WEB", "none");
        command.env("PLAUSCH_ADMIN_TOKEN_FILE", token_file());
        if role != Role::AllInOne {
            command.arg("xmpp");
        }
        if role == Role::XmppOverTls {
            command.env("PLAUSCH_HTTPS", HTTPS).env("ENABLE_HTTP_REDIRECT", "0");
        }
        if role == Role::XmppWithTokens {
            command.envs(token::settings()?);
        }
        if !gso {
            command.env("PLAUSCH_MEDIA_GSO", "false");
        }
        Self::start(command, place, || healthy(ADMIN))
    }

    /// Debian's Prosody with our configuration for tests, in an empty folder.
    ///
    /// # Errors
    /// It does not start or does not listen.
    pub(crate) fn prosody(place: &Place, template: &Path, folder: &Path) -> Result<Self> {
        let text = fs::read_to_string(template).with_context(|| format!("no {}", template.display()))?;
        let config = folder.join("prosody.cfg.lua");
        fs::write(&config, text.replace("@DIRECTORY@", &folder.display().to_string()))
            .with_context(|| format!("cannot write {}", config.display()))?;
        let mut command = place.command(Path::new("prosody"));
        command.arg("-F").arg("--config").arg(config).stdout(Stdio::null());
        Self::start(command, place, || listens(PROSODY))
    }

    fn start(command: Command, place: &Place, ready: impl Fn() -> bool + Send + Sync) -> Result<Self> {
        let from = Instant::now();
        let mut running = Running::start(command)?;
        while !inside(place.network.as_deref(), || wait(LOOK, &ready))? {
            if let Some(status) = running.ended() {
                bail!("it ended at its start ({status}): {}", running.last_words());
            }
            if from.elapsed() > START {
                bail!("not ready after {} s: {}", START.as_secs(), running.last_words());
            }
        }
        Ok(Self { running, started_in: from.elapsed() })
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }

    /// Why it is no longer there, when it is not.
    pub(crate) fn end(&mut self) -> Option<String> {
        let status = self.running.ended()?;
        Some(format!("the server ended ({status}): {}", self.running.last_words()))
    }
}

/// The network in which a peer can be reached: its process', else ours.
pub(crate) fn network_of(peer: &Peer) -> Option<PathBuf> {
    peer.pid.map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")))
}

/// Makes sure that somebody listens there before anything is built or started.
///
/// # Errors
/// Nobody does, or the process is not there.
pub(crate) fn check_peer(peer: &Peer) -> Result<()> {
    if let Some(pid) = peer.pid
        && !Path::new("/proc").join(pid.to_string()).exists()
    {
        bail!("the peer {} is not there: no process {pid}", peer.url);
    }
    let network = network_of(peer);
    let found = inside(network.as_deref(), || TcpStream::connect_timeout(&peer.address, ANSWER))?;
    found.map(drop).with_context(|| format!("the peer {} is not there", peer.url))
}

/// What the kernel says about a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    pub(crate) resident: u64,
}

impl Usage {
    /// Reads `/proc`.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("process {pid} is gone"))?;
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
        let field = |number: usize| -> Result<u64> {
            Ok(fields.get(number - 3).context("/proc: too few fields")?.parse()?)
        };
        let cpu = Duration::from_millis((field(14)? + field(15)?) * 10);
        Ok(Self { cpu, resident: field(24)? * 4096 })
    }
}

/// Looks every 2 ms.
fn wait(most: Duration, done: impl Fn() -> bool) -> bool {
    let from = Instant::now();
    loop {
        if done() {
            return true;
        }
        if from.elapsed() > most {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), ANSWER).is_ok()
}

fn healthy(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(b"GET /about/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(head.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// Where our server finds, or leaves, the token for changes over HTTP; the load generator reads it there.
pub(crate) fn token_file() -> PathBuf {
    std::env::temp_dir().join(format!("plausch-bench-{}.token", std::process::id()))
}

/// Admin interface, as by default.
const ADMIN: u16 = 8888;
/// Colibri2 over HTTP of ours.
pub(crate) const BRIDGE: &str = "http://127.0.0.1:8888";
/// WebSocket of ours.
pub(crate) const WEBSOCKET: &str = "ws://127.0.0.1:8000/xmpp-websocket";
/// Port of the configuration for Prosody.
const HTTPS: &str = "127.0.0.1:8443";
/// Ours over TLS.
pub(crate) const WEBSOCKET_OVER_TLS: &str = "wss://127.0.0.1:8443/xmpp-websocket";
const PROSODY: u16 = 5280;
/// WebSocket of Prosody.
pub(crate) const PROSODY_WEBSOCKET: &str = "ws://127.0.0.1:5280/xmpp-websocket";
/// Of servers that live for a run in a network of their own.
pub(crate) const FOCUS_PASSWORD: &str = "measured";
const START: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(500);
const ANSWER: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn peer(port: u16, pid: Option<u32>) -> Peer {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Peer { url: format!("http://{address}"), address, pid }
    }

    #[test]
    fn a_peer_that_is_not_there_is_one_clear_line() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        check_peer(&peer(port, None)).unwrap();
        drop(listener);
        let text = format!("{:#}", check_peer(&peer(port, None)).unwrap_err());
        assert!(text.starts_with(&format!("the peer http://127.0.0.1:{port} is not there")), "{text}");
        assert!(!text.contains('\n'));
    }

    #[test]
    fn a_process_that_is_not_there_is_one_clear_line() {
        let text = format!("{:#}", check_peer(&peer(1, Some(u32::MAX))).unwrap_err());
        assert!(text.ends_with("no process 4294967295"), "{text}");
    }

    #[test]
    fn our_own_memory_is_seen() {
        assert!(Usage::of(std::process::id()).unwrap().resident > 100_000);
        assert!(Usage::of(u32::MAX).is_err());
    }
}
