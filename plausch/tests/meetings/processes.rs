//! An all-in-one with meetings that is upgraded by its admin: a second process takes everybody new, and the first one ends with its last
//! meeting. What people hear of it, who finds whom, and which process is left, out.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::person::Person;
use crate::running::{Running, Whole, get, plausch};
use crate::{people, wait};

/// The longest pause between two packets of somebody's speech, of which there is one every 20 ms.
const LATE: Duration = Duration::from_millis(60);

/// What the process that answers the admin says of itself.
fn says(admin: SocketAddr) -> Option<serde_json::Value> {
    let text = get(admin, "/upgrade")?;
    serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
}

fn process(admin: SocketAddr) -> Option<u32> {
    u32::try_from(says(admin)?["process"].as_u64()?).ok()
}

/// A process that is no child of ours; it ends with the test.
struct Other(u32);

impl Other {
    fn signal(&self, name: &str) -> bool {
        let id = self.0.to_string();
        Command::new("kill").args([name, &id]).stderr(std::process::Stdio::null()).status().unwrap().success()
    }

    fn is_there(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0));
        // A child that nobody has waited for is none any more.
        stat.is_ok_and(|s| !s.rsplit(") ").next().unwrap().starts_with('Z'))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.signal("-KILL");
    }
}

/// Sends the signal to the process that serves, and waits for the one that does then.
fn upgrade(admin: SocketAddr) -> Other {
    let before = process(admin).expect("one serves");
    assert!(Command::new("kill").args(["-USR2", &before.to_string()]).status().unwrap().success());
    wait("another process serves", || process(admin).is_some_and(|p| p != before));
    Other(process(admin).unwrap())
}

fn conferences(admin: SocketAddr) -> u64 {
    let text = get(admin, "/drain").unwrap();
    serde_json::from_str::<serde_json::Value>(text.split_once("\r\n\r\n").unwrap().1).unwrap()["conferences"]
        .as_u64()
        .unwrap()
}

fn post(http: SocketAddr, path: &str, body: &str) -> String {
    let mut c = TcpStream::connect(http).unwrap();
    let length = body.len();
    write!(
        c,
        "POST {path} HTTP/1.1\r\nhost: {http}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    c.read_to_string(&mut text).unwrap();
    text
}

async fn meet(room: &str, numbers: impl IntoIterator<Item = u16>, http: SocketAddr) -> Vec<Person> {
    let all: Vec<Person> = numbers.into_iter().map(|n| Person::join_in(room, n, "Anna", http)).collect();
    for person in &all {
        person.connected(Duration::from_secs(20)).await.expect("a meeting");
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    all
}

/// The longest pause in the speech of one of `voices` others that each of them heard since it was told to listen.
fn pause(all: &[Person], voices: usize) -> Duration {
    let heard: Vec<_> = all.iter().map(Person::heard).collect();
    assert!(heard.iter().all(|h| h.voices == voices), "who is heard: {heard:?}");
    heard.iter().map(|h| h.worst.saturating_sub(h.lag)).max().unwrap()
}

fn ended(running: &mut Running) -> Option<i32> {
    let end = Instant::now() + Duration::from_secs(15);
    while Instant::now() < end {
        if let Some(status) = running.0.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it still runs");
}

async fn leave(all: Vec<Person>) {
    for person in all {
        person.leave().await;
    }
}

fn quiet(c: &mut Command) {
    c.args(["--log", "warn"]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::inherit());
}

#[test]
fn an_upgrade_is_heard_by_nobody_and_who_comes_later_finds_the_meeting() {
    let mut old = Whole::start(quiet);
    let (http, admin) = (old.http, old.admin);
    let people = people();
    let mut council = people.block_on(meet("gemeinderat", 1..=2, http));
    let begins = "<body rid='1' to='meet.jitsi' wait='1' hold='1' ver='1.6' xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'/>";
    let answer = post(http, "/http-bind?room=elsewhere", begins);
    let sid = answer.split(" sid=").nth(1).expect(&answer)[1..].split(['"', '\'']).next().unwrap().to_owned();
    council.iter().for_each(Person::begin);
    let began = Instant::now();
    let new = upgrade(admin);
    let took = began.elapsed();
    std::thread::sleep(Duration::from_secs(1));
    let gap = pause(&council, 1);
    println!("{} ms until the new process, {} ms the longest pause", took.as_millis(), gap.as_millis());
    assert!(gap < LATE, "it is heard: {gap:?}");
    assert_eq!(says(admin).unwrap()["before"], serde_json::json!({ "meetings": 1, "processes": 1 }));

    // Who asks over HTTP is answered by the process that has the meeting, and so is a session that began there.
    let asked = post(http, "/conference-request/v1", r#"{"room":"Gemeinderat@muc.meet.jitsi"}"#);
    assert!(asked.contains("\"ready\":true") && conferences(admin) == 0, "{asked}");
    let goes_on = format!("<body rid='2' sid='{sid}' xmlns='http://jabber.org/protocol/httpbind'/>");
    let answer = post(http, "/http-bind?room=elsewhere", &goes_on);
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("terminate"), "{answer}");

    // Somebody comes to the meeting, and others begin another one.
    council.extend(people.block_on(meet("gemeinderat", 3..=3, http)));
    assert_eq!(conferences(admin), 0, "the meeting is where it was");
    let club = people.block_on(meet("verein", 11..=12, http));
    assert_eq!(conferences(admin), 1, "a new one is in the new process");
    council.iter().chain(&club).for_each(Person::begin);
    std::thread::sleep(Duration::from_secs(1));
    let gap = pause(&council, 2).max(pause(&club, 1));
    println!("with somebody new: {} ms the longest pause", gap.as_millis());
    assert!(gap < LATE, "all hear all: {gap:?}");

    assert!(old.running.0.try_wait().unwrap().is_none());
    club.iter().for_each(Person::begin);
    people.block_on(leave(council));
    assert_eq!(ended(&mut old.running), Some(0), "it ends with its meeting");
    wait("nothing is left", || says(admin).unwrap()["before"]["processes"] == 0);
    assert!(pause(&club, 1) < LATE);
    // The name is free again, for the new process.
    let council = people.block_on(meet("gemeinderat", 21..=22, http));
    assert_eq!(conferences(admin), 2);
    people.block_on(leave(council));
    drop(club);
    assert!(new.signal("-TERM"));
    wait("it ends", || !new.is_there());
}

#[test]
fn two_upgrades_in_the_length_of_a_meeting_and_the_end_of_all() {
    let mut old = Whole::start(quiet);
    let (http, admin) = (old.http, old.admin);
    let people = people();
    let mut first = people.block_on(meet("gemeinderat", 1..=2, http));
    let second_process = upgrade(admin);
    let mut second = people.block_on(meet("verein", 11..=12, http));
    first.iter().chain(&second).for_each(Person::begin);
    let third_process = upgrade(admin);
    std::thread::sleep(Duration::from_secs(1));
    let gap = pause(&first, 1).max(pause(&second, 1));
    println!("through two processes: {} ms the longest pause", gap.as_millis());
    assert!(gap < LATE, "it is heard: {gap:?}");
    wait("both are told", || {
        says(admin).unwrap()["before"] == serde_json::json!({ "meetings": 2, "processes": 2 })
    });
    // Somebody comes to each, and both are where they were.
    first.extend(people.block_on(meet("gemeinderat", 3..=3, http)));
    second.extend(people.block_on(meet("verein", 13..=13, http)));
    assert_eq!(conferences(admin), 0);
    first.iter().chain(&second).for_each(Person::begin);
    std::thread::sleep(Duration::from_secs(1));
    assert!(pause(&first, 2).max(pause(&second, 2)) < LATE);
    // The one in the middle waits for the one behind it.
    people.block_on(leave(second));
    std::thread::sleep(Duration::from_secs(1));
    assert!(second_process.is_there() && pause(&first, 2) < LATE);
    // The end of the new one is the end of all.
    assert!(third_process.signal("-TERM"));
    wait("all end", || !third_process.is_there() && !second_process.is_there());
    assert_eq!(ended(&mut old.running), Some(0));
}

/// A program of its own that can be replaced, with its configuration.
struct Installed {
    folder: PathBuf,
    program: PathBuf,
    config: PathBuf,
}

impl Installed {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("plausch-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (program, config) = (folder.join("plausch"), folder.join("plausch.toml"));
        std::fs::copy(plausch().get_program(), &program).unwrap();
        std::fs::write(&config, "").unwrap();
        Self { folder, program, config }
    }

    fn start(&self) -> Whole {
        Whole::start(|c| {
            let args: Vec<_> = c.get_args().map(ToOwned::to_owned).collect();
            let mut own = Command::new(&self.program);
            own.args(args).arg("--config").arg(&self.config).arg("--admin-token-file").arg(self.token());
            own.env_clear().stdin(std::process::Stdio::null());
            quiet(&mut own);
            *c = own;
        })
    }

    fn token(&self) -> PathBuf {
        self.folder.join("token")
    }

    /// `plausch upgrade`, as an admin types it.
    fn command(&self, program: &Path, admin: SocketAddr) -> std::process::Output {
        self.asks(program, "upgrade", admin)
    }

    fn asks(&self, program: &Path, what: &str, admin: SocketAddr) -> std::process::Output {
        let mut c = Command::new(program);
        c.args([what, "--lang", "en", "--admin", &admin.to_string(), "--admin-token-file"]);
        c.arg(self.token()).env_clear().stderr(std::process::Stdio::inherit()).output().unwrap()
    }

    /// As packages do it: a program that runs cannot be written over.
    fn install(&self, program: &Path) {
        let new = self.folder.join("new");
        std::fs::copy(program, &new).unwrap();
        std::fs::rename(new, &self.program).unwrap();
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn of_an_upgrade_that_cannot_be_nothing_is_noticed() {
    let installed = Installed::new("no-upgrade");
    let server = installed.start();
    let (http, admin) = (server.http, server.admin);
    let people = people();
    let council = people.block_on(meet("gemeinderat", 1..=2, http));
    council.iter().for_each(Person::begin);
    let good = PathBuf::from(plausch().get_program());
    let broken = installed.folder.join("broken");
    std::fs::write(&broken, "#!/bin/sh\nexit 3\n").unwrap();
    Command::new("chmod").arg("755").arg(&broken).status().unwrap();
    for ((program, config, why), n) in [
        (broken.as_path(), "", "does not run"),
        (good.as_path(), "[http]\nlissen = \"127.0.0.1:1\"\n", "ended before it served"),
    ]
    .into_iter()
    .zip(1..)
    {
        installed.install(program);
        std::fs::write(&installed.config, config).unwrap();
        let typed = installed.command(&good, admin);
        assert_eq!((typed.status.code(), says(admin).unwrap()["failures"].as_u64()), (Some(1), Some(n)));
        let shown = String::from_utf8_lossy(&typed.stdout).into_owned();
        assert!(shown.contains("all goes on as it was") && shown.contains(why), "{shown}");
        assert_eq!(process(admin), Some(server.running.0.id()));
    }
    assert!(pause(&council, 1) < LATE);
    // It takes new meetings, and can be upgraded once all is well.
    let club = people.block_on(meet("verein", 11..=12, http));
    assert_eq!(conferences(admin), 2);
    std::fs::write(&installed.config, "").unwrap();
    let typed = installed.command(&good, admin);
    let shown = String::from_utf8_lossy(&typed.stdout).into_owned();
    assert!(typed.status.success() && shown.contains("until they end: 2"), "{shown}");
    let new = Other(process(admin).unwrap());
    assert_ne!(new.0, server.running.0.id());
    // A new process that dies leaves everything to the old one.
    council.iter().chain(&club).for_each(Person::begin);
    assert!(new.signal("-KILL"));
    wait("the old one serves again", || process(admin) == Some(server.running.0.id()));
    let school = people.block_on(meet("schule", 21..=22, http));
    assert_eq!(conferences(admin), 3);
    std::thread::sleep(Duration::from_millis(500));
    let gap = pause(&council, 1).max(pause(&club, 1));
    println!("when the new process is killed: {} ms the longest pause", gap.as_millis());
    assert!(gap < 4 * LATE, "it is hardly heard: {gap:?}");
    drop(school);

    // Once more, with an admin who had put off new meetings: that was lifted.
    let drained = installed.asks(&good, "drain", admin);
    assert!(drained.status.success(), "{drained:?}");
    assert!(installed.command(&good, admin).status.success());
    let new = Other(process(admin).unwrap());
    assert!(!get(admin, "/drain").unwrap().contains("\"drain\":true"), "the new process takes meetings");
    assert!(new.signal("-KILL"));
    wait("the old one serves again", || process(admin) == Some(server.running.0.id()));
    wait("it takes none, as before", || get(admin, "/drain").unwrap().contains("\"drain\":true"));
}
