//! A town meeting: the built program and hundreds of people who come at once in; how long each of them waits, out.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::person::Person;
use crate::running::Whole;
use crate::{MACHINE, runtime, silence};

const PEOPLE: u16 = 500;
/// All of them come within this time.
const DOORS: Duration = Duration::from_secs(10);
/// From the first who comes until the last has sound. They share two processors with the server.
const ALL_IN: Duration = Duration::from_secs(60);

/// Two speak, and all the others join with media and a bridge channel, as the web app does. Nobody is lost, nobody waits for long, and
/// those who speak hear each other meanwhile.
#[test]
fn five_hundred_people_come_into_one_room_within_ten_seconds() {
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    let server = Whole::start(|c| {
        c.args(["--log", "error"]);
    });
    let people = runtime();
    people.block_on(async {
        let speakers = [1, 2].map(|n| Person::join_in("rathaus", n, "Anna", server.http));
        for person in &speakers {
            person.connected(Duration::from_secs(20)).await.expect("a meeting");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        speakers.iter().for_each(Person::begin);
        let (began, used) = (Instant::now(), server.used());
        let mut crowd = Vec::new();
        for n in 0..PEOPLE - 2 {
            crowd.push(Person::listen_in("rathaus", n + 3, "Ben", server.http));
            tokio::time::sleep_until((began + DOORS * u32::from(n + 1) / u32::from(PEOPLE - 2)).into()).await;
        }
        let mut waits = Vec::new();
        for (n, person) in crowd.iter().enumerate() {
            let wait = person.connected(ALL_IN).await;
            waits.push(wait.unwrap_or_else(|| panic!("number {n} has no sound after {ALL_IN:?}")));
        }
        let all_in = began.elapsed();
        waits.sort();
        let at = |share: usize| waits[waits.len() * share / 100];
        println!(
            "{PEOPLE} people: sound after {:?} in the median, {:?} at p95, {:?} at most; all after {all_in:?}; server {:?} of a core, {} MB; who speaks: {:?} without a sound",
            at(50),
            at(95),
            waits[waits.len() - 1],
            server.used() - used,
            server.resident() / 1_000_000,
            silence(&speakers),
        );
        assert!(all_in < ALL_IN, "{all_in:?}");
    });
}
