//! A meeting that is on two media threads of the built program, with its own XMPP server and focus: people in, what they hear of each other
//! out.

use std::time::Duration;

use crate::person::Person;
use crate::running::{Whole, get};
use crate::{UNHEARD, people, silence, wait};

#[test]
fn a_meeting_on_two_media_threads_is_one() {
    let server = Whole::start(|c| {
        c.env("PLAUSCH_MEDIA_THREADS", "2").env("PLAUSCH_MEDIA_SPREAD_ABOVE", "2");
    });
    let number = |name: &str| {
        let page = get(server.admin, "/metrics").unwrap();
        let line = page.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{name}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let people = people();
    let council = people.block_on(async {
        let all: Vec<_> = (1..=5).map(|n| Person::join_in("rathaus", n, "Anna", server.http)).collect();
        for person in &all {
            person.connected(Duration::from_secs(20)).await.expect("a meeting");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        all.iter().for_each(Person::begin);
        tokio::time::sleep(Duration::from_secs(3)).await;
        all
    });
    let voices: Vec<_> = council.iter().map(|p| p.heard().voices).collect();
    assert_eq!(voices, [4; 5], "everybody hears everybody");
    let worst = silence(&council);
    assert!(worst < UNHEARD, "{worst:?}");
    assert!(number("plausch_bridge_thread_total{event=\"part_packets\"}") > 100.0);
    wait("they are counted once", || {
        number("plausch_bridge_parts_total") == 1.0
            && (number("jitsi_jvb_conferences"), number("jitsi_jvb_local_endpoints")) == (1.0, 5.0)
    });
    people.block_on(async {
        for person in council {
            person.leave().await;
        }
    });
    wait("nothing is left", || {
        (number("jitsi_jvb_conferences"), number("jitsi_jvb_local_endpoints")) == (0.0, 0.0)
    });
}
