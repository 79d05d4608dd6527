//! A focus as a process of its own that is restarted by its admin, killed, and stopped and started again, with a meeting; what its
//! people hear of it, and how long somebody new waits, out. The commands are those of the page about running it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::bridges::role;
use crate::person::Person;
use crate::running::{Running, free, get};
use crate::{UNHEARD, people, silence, wait};

/// From the end of a focus to somebody new who is heard.
const WHOLE: Duration = Duration::from_secs(5);

struct Town {
    http: SocketAddr,
    xmpp: SocketAddr,
    focus_http: SocketAddr,
    focus_admin: SocketAddr,
    folder: PathBuf,
    _others: [Running; 2],
}

impl Town {
    fn new(name: &str) -> Self {
        let [http, admin, xmpp, focus_http] = free();
        let [focus_admin, bridge_http, bridge_admin, media] = free();
        let folder = PathBuf::from(format!("/dev/shm/plausch-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let server = Running::healthy(&mut role("xmpp", http, admin, xmpp), admin);
        let mut c = role("videobridge", bridge_http, bridge_admin, xmpp);
        let bridge = Running::healthy(c.args(["--media", &media.to_string()]), bridge_admin);
        Self { http, xmpp, focus_http, focus_admin, folder, _others: [server, bridge] }
    }

    fn focus(&self, keeps: bool) -> Running {
        let mut c = role("focus", self.focus_http, self.focus_admin, self.xmpp);
        if keeps {
            c.env("PLAUSCH_FOCUS_HANDOVER", &self.folder);
        }
        Running::healthy(&mut c, self.focus_admin)
    }

    /// A figure of the focus that runs now.
    fn figure(&self, name: &str) -> Option<f64> {
        let text = get(self.focus_admin, "/metrics")?;
        let line = text.lines().find(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    async fn meet(&self) -> [Person; 2] {
        let both =
            [("Anna", 1), ("Ben", 2)].map(|(who, n)| Person::join_in("gemeinderat", n, who, self.http));
        for person in &both {
            person.connected(Duration::from_secs(20)).await.expect("a meeting");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        both
    }

    /// Somebody comes; how long after `since` it is heard.
    async fn comes(&self, number: u16, since: Instant) -> Duration {
        let late = Person::join_in("gemeinderat", number, "Carla", self.http);
        late.connected(Duration::from_secs(20)).await.expect("the room takes people");
        let took = since.elapsed();
        late.leave().await;
        took
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const INITIATED: &str = "plausch_focus_events_total{event=\"sessions_initiated\"}";

#[test]
fn a_focus_that_becomes_another_program_is_heard_by_nobody() {
    let town = Town::new("upgrade");
    let mut focus = town.focus(false);
    let people = people();
    let council = people.block_on(town.meet());
    for restart in 1..=2_u16 {
        council.iter().for_each(Person::begin);
        let began = Instant::now();
        let typed = typed("kill -USR2").replace("$(pidof plausch)", &focus.0.id().to_string());
        assert!(Command::new("sh").args(["-ec", &typed]).status().unwrap().success(), "{typed}");
        wait("another program runs", || {
            let now = [INITIATED, "jitsi_jicofo_conferences"].map(|name| town.figure(name));
            now == [Some(0.0), Some(1.0)]
        });
        let took = people.block_on(town.comes(2 + restart, began));
        goes_on(&town, &council, took, "-USR2");
        assert!(focus.0.try_wait().unwrap().is_none(), "it is the same process");
    }
}

/// Nobody was unheard, somebody new came soon, and nobody else was invited.
fn goes_on(town: &Town, council: &[Person], took: Duration, signal: &str) {
    let gap = silence(council);
    println!("{signal}: {} ms without a sound, {} ms until somebody new", gap.as_millis(), took.as_millis());
    assert!(gap < UNHEARD, "it is heard: {gap:?}");
    assert!(took < WHOLE, "the room was not whole for {took:?}");
    wait("who came was invited", || town.figure(INITIATED) >= Some(1.0));
    assert_eq!(town.figure(INITIATED), Some(1.0), "who was there was not invited again");
}

#[test]
fn a_focus_that_is_killed_or_stopped_leaves_what_the_next_one_needs() {
    let town = Town::new("killed");
    let people = people();
    let mut focus = town.focus(true);
    let council = people.block_on(town.meet());
    // A moment is kept once in a second.
    std::thread::sleep(Duration::from_millis(1_500));
    for (number, signal) in [(3, "-KILL"), (4, "-TERM"), (5, "-KILL")] {
        council.iter().for_each(Person::begin);
        let began = Instant::now();
        focus.signal(signal);
        let _ = focus.0.wait();
        focus = town.focus(true);
        wait("the meeting is there", || town.figure("jitsi_jicofo_conferences") == Some(1.0));
        let took = people.block_on(town.comes(number, began));
        goes_on(&town, &council, took, signal);
        std::thread::sleep(Duration::from_millis(1_500));
    }
}

/// Shorter than the server waits for the focus.
#[test]
fn a_focus_that_is_cut_off_for_a_while_finds_its_meetings_as_they_were() {
    let mut town = Town::new("cut");
    let way = Way::new(town.xmpp);
    town.xmpp = way.address;
    let _focus = town.focus(false);
    let people = people();
    let council = people.block_on(town.meet());
    council.iter().for_each(Person::begin);
    way.open.store(false, Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs(10));
    way.open.store(true, Ordering::Relaxed);
    let began = Instant::now();
    let took = people.block_on(town.comes(3, began));
    let gap = silence(&council);
    println!("cut off: {} ms without a sound, {} ms until somebody new", gap.as_millis(), took.as_millis());
    assert!(gap < UNHEARD, "it is heard: {gap:?}");
    assert!(took < WHOLE, "the room was not whole for {took:?}");
    assert_eq!(town.figure("jitsi_jicofo_conferences"), Some(1.0));
}

/// The way to the server, which can be closed.
struct Way {
    address: SocketAddr,
    open: Arc<AtomicBool>,
}

impl Way {
    fn new(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(AtomicBool::new(true));
        let state = Arc::clone(&open);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if state.load(Ordering::Relaxed)
                    && let Ok(far) = TcpStream::connect(to)
                {
                    for (from, to) in [(&near, &far), (&far, &near)] {
                        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                        let state = Arc::clone(&state);
                        std::thread::spawn(move || pass(from, to, &state));
                    }
                }
            }
        });
        Self { address, open }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, open: &AtomicBool) {
    from.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut some = [0; 16_384];
    while open.load(Ordering::Relaxed) {
        let done = match from.read(&mut some) {
            Ok(0) => true,
            Ok(n) => to.write_all(&some[..n]).is_err(),
            Err(e) => !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        if done {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// The line of the page that has these words.
fn typed(words: &str) -> String {
    let page = include_str!("../../../docs/admin/operation.md");
    page.lines().find(|l| l.contains(words)).expect(words).to_owned()
}
