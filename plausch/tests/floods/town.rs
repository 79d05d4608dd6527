//! The server under test, the meeting on it and the judgement: a flood in; panics when somebody else felt it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::attacks::Target;
use crate::person::Person;

/// How long a flood lasts.
pub(crate) const FLOOD: Duration = Duration::from_secs(4);
/// The longest silence that anybody in the meeting may hear.
const GAP: Duration = Duration::from_millis(200);
/// From opening the connection to sound and bridge channel, for somebody who comes during the flood.
const JOIN: Duration = Duration::from_secs(1);
/// How much the server may grow.
const MEMORY_KB: u64 = 64 * 1024;

/// The running server; ended when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) media: SocketAddr,
}

impl Server {
    fn start() -> Self {
        let tcp: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let [http, admin, xmpp] = [0, 1, 2].map(|n: usize| tcp[n].local_addr().unwrap());
        let media = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        drop(tcp);
        let mut command = Command::new(env!("CARGO_BIN_EXE_plausch"));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        for (option, value) in [("--http", http), ("--admin", admin), ("--xmpp", xmpp), ("--media", media)] {
            command.args([option, &value.to_string()]);
        }
        command.args(["--web", "none", "--log", "error"]);
        let server = Self { child: command.spawn().unwrap(), http, media };
        let end = Instant::now() + Duration::from_secs(20);
        while !healthy(admin) {
            assert!(Instant::now() < end, "the server is not healthy");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("it runs");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn healthy(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut c = TcpStream::connect(admin)?;
        write!(c, "GET /about/health HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        c.read_to_string(&mut text)?;
        Ok(text)
    };
    ask().is_ok_and(|text| text.starts_with("HTTP/1.1 200"))
}

/// One flood at a time: they measure.
static TURN: Mutex<()> = Mutex::new(());

/// Starts a server and a meeting of three, lets `flood` loose, and says what the three and a fourth felt of it.
pub(crate) fn withstand<F>(name: &str, flood: impl FnOnce(Target) -> F)
where
    F: Future<Output = u64> + Send + 'static,
{
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let server = Server::start();
    let people = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let strangers =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let meeting: Vec<Person> = people.block_on(async {
        let mut meeting = Vec::new();
        for (n, who) in ["Anna", "Ben", "Cem"].into_iter().enumerate() {
            meeting.push(Person::join(n as u8 + 1, who, server.http));
        }
        for person in &meeting {
            person.connected(Duration::from_secs(20)).await.expect("a meeting in peace");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        meeting
    });
    let before = server.memory_kb();
    let stop = Arc::new(AtomicBool::new(false));
    let target = Target { http: server.http, media: server.media, stop: Arc::clone(&stop) };
    let attack = strangers.spawn(flood(target));

    let (joined, most) = people.block_on(async {
        // It has begun.
        tokio::time::sleep(FLOOD / 4).await;
        meeting.iter().for_each(Person::begin);
        let newcomer = Person::join(4, "Dora", server.http);
        let joined = newcomer.connected(Duration::from_secs(20)).await;
        let mut most = 0;
        let end = Instant::now() + FLOOD * 3 / 4;
        while Instant::now() < end {
            most = most.max(server.memory_kb());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        (joined, most)
    });
    let heard: Vec<_> = meeting.iter().map(Person::heard).collect();
    stop.store(true, Ordering::Relaxed);
    let blows = strangers.block_on(async {
        tokio::time::timeout(Duration::from_secs(10), attack).await.expect("the flood ends").expect("a flood")
    });
    let grown = most.saturating_sub(before);
    let worst = heard.iter().map(|h| h.worst).max().unwrap_or_default();
    let lag = heard.iter().map(|h| h.lag).max().unwrap_or_default();
    println!(
        "{name}: {blows} blows; longest gap {} ms (of it {} ms our own), somebody new in {} ms, {grown} kB more",
        worst.as_millis(),
        lag.as_millis(),
        joined.map_or(-1, |j| j.as_millis() as i64),
    );
    assert!(blows > 0, "{name}: nobody attacked");
    assert!(heard.iter().all(|h| h.voices >= 2), "{name}: not everybody is heard: {heard:?}");
    // What this program itself was too late for is not the server's fault.
    assert!(worst <= GAP + lag, "{name}: a gap of {worst:?} (our own lag {lag:?})");
    let joined = joined.unwrap_or_else(|| panic!("{name}: nobody new gets in"));
    assert!(joined <= JOIN + lag, "{name}: joining took {joined:?}");
    assert!(grown <= MEMORY_KB, "{name}: {grown} kB more");
}
