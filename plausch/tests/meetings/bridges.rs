//! Three bridges as processes of their own, with an XMPP server and a focus, over TCP; one drains, one is killed, one is ended. What
//! the people in their meetings hear of it, out.
//!
//! The same in virtual time is in `tests/scenarios`; here are the sockets that a killed process leaves behind.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use crate::person::Person;
use crate::running::{Running, free, get, plausch};
use crate::{UNHEARD, people, silence, wait};

/// From the end of a bridge, or its death, to sound from another one.
const MOVED: Duration = Duration::from_secs(3);

pub(crate) struct Bridge {
    pub(crate) name: String,
    pub(crate) admin: SocketAddr,
    pub(crate) running: Running,
}

impl Bridge {
    pub(crate) fn conferences(&self) -> u64 {
        let text = get(self.admin, "/colibri/stats").unwrap();
        let json: serde_json::Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        json["conferences"].as_u64().unwrap()
    }
}

pub(crate) fn role(
    name: &str,
    http: SocketAddr,
    admin: SocketAddr,
    xmpp: SocketAddr,
) -> std::process::Command {
    let mut c = plausch();
    c.args([name, "--http", &http.to_string(), "--admin", &admin.to_string(), "--log", "error"]);
    c.args(["--xmpp", &xmpp.to_string(), "--xmpp-server", &xmpp.to_string()]);
    c.envs([("JICOFO_AUTH_PASSWORD", "eins"), ("JVB_AUTH_PASSWORD", "zwei")]);
    c.stdout(Stdio::null()).stderr(Stdio::inherit());
    c
}

/// The only one of them with a meeting.
fn busy(bridges: &[Bridge]) -> usize {
    let busy: Vec<usize> = (0..bridges.len()).filter(|b| bridges[*b].conferences() > 0).collect();
    assert_eq!(busy.len(), 1, "one bridge carries a meeting");
    busy[0]
}

#[test]
fn of_three_bridges_one_drains_one_is_killed_and_one_is_ended_and_meetings_go_on() {
    let [http, admin, xmpp, focus_http] = free();
    let [focus_admin, ..] = free();
    let _xmpp = Running::healthy(&mut role("xmpp", http, admin, xmpp), admin);
    let folder = std::env::temp_dir().join(format!("plausch-bridges-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let token = folder.join("token");
    let mut bridges: Vec<Bridge> = (1..=3)
        .map(|n| {
            let [http, admin, media, _] = free();
            let name = format!("bridge-{n}");
            let mut c = role("videobridge", http, admin, xmpp);
            c.args(["--media", &media.to_string(), "--bridge-name", &name]);
            c.args(["--admin-token-file", token.to_str().unwrap()]);
            Bridge { running: Running::healthy(&mut c, admin), name, admin }
        })
        .collect();
    let _focus = Running::healthy(&mut role("focus", focus_http, focus_admin, xmpp), focus_admin);
    let known = |such: &dyn Fn(&serde_json::Value) -> bool| {
        let text = get(focus_admin, "/debug?full=true").unwrap();
        let json: serde_json::Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        json["bridge_selector"]["bridges"].as_object().unwrap().values().filter(|b| such(b)).count()
    };
    wait("the focus knows three bridges", || known(&|b| b["operational"] == true) == 3);

    let people = people();
    let meet = |room: &'static str, first: u16| {
        people.block_on(async {
            let both =
                [("Anna", first), ("Ben", first + 1)].map(|(who, n)| Person::join_in(room, n, who, http));
            for person in &both {
                person.connected(Duration::from_secs(20)).await.expect("a meeting");
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            both
        })
    };
    let council = meet("gemeinderat", 1);
    let drained = bridges.remove(busy(&bridges));

    // One drains: its meeting stays, and the next one goes elsewhere.
    council.iter().for_each(Person::begin);
    let out = plausch()
        .args(["drain", "--admin", &drained.admin.to_string(), "--admin-token-file", token.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    wait("the focus knows of the drain", || known(&|b| b["drain"] == true) == 1);
    let school = meet("schule", 3);
    let killed = bridges.remove(busy(&bridges));
    let spared = bridges.remove(0);
    assert_eq!((drained.conferences(), spared.conferences()), (1, 0));
    let gap = silence(&council);
    println!("{} drains: {} ms without a sound", drained.name, gap.as_millis());
    assert!(gap < UNHEARD, "a drain is heard: {gap:?}");

    // One is killed: its meeting goes to the one that takes meetings.
    school.iter().for_each(Person::begin);
    killed.running.signal("-KILL");
    wait("the meeting is on the third bridge", || spared.conferences() == 1);
    std::thread::sleep(MOVED);
    let gap = silence(&school);
    println!("{} is killed: {} ms without a sound", killed.name, gap.as_millis());
    assert!(gap < MOVED + Duration::from_secs(1), "back after {gap:?}");
    assert_eq!(drained.conferences(), 1, "who drains is not asked while there is another");

    // The drained one is ended: its people move, too, and nobody else notices.
    council.iter().chain(&school).for_each(Person::begin);
    drained.running.signal("-TERM");
    wait("both meetings are on the third bridge", || spared.conferences() == 2);
    std::thread::sleep(MOVED);
    let (moved, stayed) = (silence(&council), silence(&school));
    println!(
        "{} is ended: {} ms without a sound, {} ms next door",
        drained.name,
        moved.as_millis(),
        stayed.as_millis()
    );
    assert!(moved < MOVED && stayed < UNHEARD, "back after {moved:?}, next door {stayed:?}");
    std::fs::remove_dir_all(folder).unwrap();
}
