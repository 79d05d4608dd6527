//! A server with meetings on it, and a newer one to take its place: drained, waited for, ended, started. What people in meetings and
//! people at the door notice, out.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::person::Person;
use crate::running::{Running, free, get, plausch};
use crate::{UNHEARD, people, silence, wait};

/// How many meetings of two run when the admin begins.
const MEETINGS: u16 = 5;
/// Clients at the door ask again after 1, 2, 4, … seconds.
const LET_IN: Duration = Duration::from_secs(6);

/// What is promised of an upgrade: nobody is thrown out of a meeting, however many there are, as long as the admin waits for them;
/// whoever comes meanwhile gets in as soon as the new server is there.
#[test]
fn an_upgrade_that_waits_throws_nobody_out() {
    let [http, admin, xmpp, media] = free();
    let folder = std::env::temp_dir().join(format!("plausch-upgrade-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let token = folder.join("token");
    let server = || {
        let mut c = plausch();
        for (flag, address) in [("--http", http), ("--admin", admin), ("--xmpp", xmpp), ("--media", media)] {
            c.args([flag, &address.to_string()]);
        }
        c.args(["--web", "none", "--log", "error", "--admin-token-file", token.to_str().unwrap()]);
        Running::healthy(&mut c, admin)
    };
    let old = server();
    let people = people();
    let join = |room: &str, n: u16| people.block_on(async { Person::join_in(room, n, "Anna", http) });
    let mut meetings: Vec<[Person; 2]> =
        (0..MEETINGS).map(|n| [1, 2].map(|who| join(&format!("sitzung-{n}"), n * 2 + who))).collect();
    people.block_on(async {
        for person in meetings.iter().flatten() {
            person.connected(Duration::from_secs(20)).await.expect("a meeting");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    });
    meetings.iter().flatten().for_each(Person::begin);

    let mut drain = plausch();
    drain.args(["drain", "--wait", "2m", "--admin", &admin.to_string()]);
    drain.args(["--admin-token-file", token.to_str().unwrap()]).stdout(Stdio::null());
    let mut drain = Running(drain.spawn().unwrap());
    wait("the drain has begun", || get(admin, "/drain").unwrap().contains("\"drain\":true"));
    // Somebody comes now, and somebody more to a meeting that runs.
    let newcomer = join("neu", 40);
    let late = join("sitzung-0", 41);
    people.block_on(async {
        late.connected(Duration::from_secs(5)).await.expect("meetings that run take people");
        assert!(newcomer.connected(Duration::from_secs(2)).await.is_none(), "no new meetings");
    });
    drop(newcomer);
    assert!(drain.0.try_wait().unwrap().is_none(), "it waits for the meetings");
    // They end one after the other, as meetings do.
    while let Some(meeting) = meetings.pop() {
        let gap = meetings.iter().chain([&meeting]).map(|both| silence(both)).max().unwrap();
        assert!(gap < UNHEARD, "somebody was thrown out: {gap:?}");
        people.block_on(async {
            for person in meeting {
                person.leave().await;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        });
    }
    assert!(drain.0.try_wait().unwrap().is_none(), "somebody is left");
    people.block_on(late.leave());
    let end = Instant::now() + Duration::from_secs(10);
    let code = loop {
        match drain.0.try_wait().unwrap() {
            Some(status) => break status.code(),
            None => assert!(Instant::now() < end, "the last meeting has ended: {:?}", get(admin, "/drain")),
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(code, Some(0), "nothing runs any more");

    old.signal("-TERM");
    assert_eq!(old.ended().status.code(), Some(0));
    let began = Instant::now();
    let _new = server();
    let both = [50, 51].map(|n| join("neu", n));
    people.block_on(async {
        for person in &both {
            person.connected(LET_IN).await.expect("the new server takes meetings");
        }
    });
    println!(
        "{MEETINGS} meetings drained; the first new one {} ms after the start",
        began.elapsed().as_millis()
    );
    std::fs::remove_dir_all(folder).unwrap();
}
