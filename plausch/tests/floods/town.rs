//! The server under test, the meeting on it and the judgement: a flood in; panics when somebody else felt it.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::attacks::{self, Target};
use crate::person::Person;
use crate::running::{Whole, free};

/// How long a flood lasts.
pub(crate) const FLOOD: Duration = Duration::from_secs(4);
/// The longest silence that anybody in the meeting may hear.
const GAP: Duration = Duration::from_millis(200);
/// From opening the connection to sound and bridge channel, for somebody who comes during the flood.
const JOIN: Duration = Duration::from_secs(1);
/// How much the server may grow. Some 55 MB are usual where a share is used up, and a busy machine gives memory back later.
const MEMORY: usize = 80 << 20;

/// One flood at a time: they measure.
static TURN: Mutex<()> = Mutex::new(());

/// Starts a server and a meeting of three, lets `flood` loose, and says what the three and a fourth felt of it.
pub(crate) fn withstand<F>(name: &str, flood: impl FnOnce(Target) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let [turn, https, ..] = free();
    let server = Whole::start(|c| {
        c.env("TURN_CREDENTIALS", attacks::TURN_SECRET).args(["--turn", &turn.to_string()]);
        // Who comes without TLS is served as before.
        c.args(["--https", &https.to_string()]).env("ENABLE_HTTP_REDIRECT", "0");
        c.args(["--log", "error"]).stdout(Stdio::null()).stderr(Stdio::inherit());
    });
    let people = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let strangers =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let meeting: Vec<Person> = people.block_on(async {
        let mut meeting = Vec::new();
        for (n, who) in ["Anna", "Ben", "Cem"].into_iter().enumerate() {
            meeting.push(Person::join(n as u16 + 1, who, server.http));
        }
        for person in &meeting {
            person.connected(Duration::from_secs(20)).await.expect("a meeting in peace");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        meeting
    });
    let before = server.resident();
    let stop = Arc::new(AtomicBool::new(false));
    let blows = Arc::new(AtomicU64::new(0));
    let target = Target {
        http: server.http,
        https,
        media: server.media,
        turn,
        stop: Arc::clone(&stop),
        blows: Arc::clone(&blows),
    };
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
            most = most.max(server.resident());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        (joined, most)
    });
    let heard: Vec<_> = meeting.iter().map(Person::heard).collect();
    stop.store(true, Ordering::Relaxed);
    // Who is not read any more, or still waits for an answer, is not waited for.
    strangers.block_on(async {
        if let Ok(end) = tokio::time::timeout(Duration::from_secs(1), attack).await {
            end.expect("a stranger's own mistake");
        }
    });
    strangers.shutdown_background();
    let blows = blows.load(Ordering::Relaxed);
    let grown = most.saturating_sub(before);
    let worst = heard.iter().map(|h| h.worst).max().unwrap_or_default();
    let lag = heard.iter().map(|h| h.lag).max().unwrap_or_default();
    println!(
        "{name}: {blows} blows; longest gap {} ms (of it {} ms our own), somebody new in {} ms, {} kB more",
        worst.as_millis(),
        lag.as_millis(),
        joined.map_or(-1, |j| j.as_millis() as i64),
        grown / 1024,
    );
    assert!(blows > 0, "{name}: nobody attacked");
    assert!(heard.iter().all(|h| h.voices >= 2), "{name}: not everybody is heard: {heard:?}");
    // What this program itself was too late for is not the server's fault.
    assert!(worst <= GAP + lag, "{name}: a gap of {worst:?} (our own lag {lag:?})");
    let joined = joined.unwrap_or_else(|| panic!("{name}: nobody new gets in"));
    assert!(joined <= JOIN + lag, "{name}: joining took {joined:?}");
    assert!(grown <= MEMORY, "{name}: {grown} bytes more");
}
