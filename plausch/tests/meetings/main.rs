//! Meetings with sound on the built program while its admin, its disk or its bridges do something; what people hear of it, out.
//! Everything is on loopback.

mod bridges;
mod disk;
mod large;
#[path = "../floods/person.rs"]
#[allow(dead_code, reason = "floods use the rest")]
mod person;
mod processes;
mod restart;
#[path = "../running/mod.rs"]
mod running;
mod scaling;
mod threads;
mod upgrade;

use std::ops::Deref;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use person::Person;
use tokio::runtime::Runtime;

/// So short a silence is the machine's that runs all this.
const UNHEARD: Duration = Duration::from_millis(400);

/// Who listens for short silences is not beside a crowd.
static MACHINE: RwLock<()> = RwLock::new(());

/// Where the people live.
struct People(Runtime, #[allow(dead_code, reason = "held while they live")] RwLockReadGuard<'static, ()>);

impl Deref for People {
    type Target = Runtime;

    fn deref(&self) -> &Runtime {
        &self.0
    }
}

fn people() -> People {
    People(runtime(), MACHINE.read().unwrap_or_else(PoisonError::into_inner))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// The longest time in which one of them heard nobody, since they were told to listen.
fn silence(people: &[Person]) -> Duration {
    let heard: Vec<_> = people.iter().map(Person::heard).collect();
    assert!(heard.iter().all(|h| h.voices > 0), "{heard:?}");
    heard.iter().map(|h| h.silence.saturating_sub(h.lag)).max().unwrap()
}

fn wait(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(40);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
