//! Names in; the scenes that every estimator has to play, out.

use std::time::Duration;

use impairment::{Burst, Conditions};

/// A link over time, with what goes over it.
#[derive(Debug, Clone)]
pub struct Scene {
    /// In words.
    pub name: &'static str,
    /// How long it takes.
    pub seconds: u64,
    /// Cameras.
    pub sources: usize,
    /// Bit/s of each, where they have one encoding; else they have three.
    pub single: Option<u64>,
    /// The way to the viewer: conditions from a time on. A phase of the figures begins with each that has a name.
    pub steps: Vec<Step>,
    /// Who else uses the link.
    pub cross: Option<Cross>,
}

/// Conditions from a time on.
#[derive(Debug, Clone)]
pub struct Step {
    /// When.
    pub at: Duration,
    /// A phase's name; without, the phase before goes on.
    pub name: Option<&'static str>,
    /// What the link is like.
    pub link: Conditions,
}

/// Other traffic.
#[derive(Debug, Clone, Copy)]
pub enum Cross {
    /// This many bit/s, whatever happens, between two times.
    Constant(u64, Duration, Duration),
    /// A download between two times: as much as gets through, half of it after a loss.
    Download(Duration, Duration),
}

const KIB: usize = 1024;

fn secs(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

/// A link of this rate with a queue of so many bytes; the way there and back takes 40 ms.
fn link(rate: u64, queue_bytes: usize) -> Conditions {
    Conditions { delay: Duration::from_millis(20), rate: Some(rate), queue_bytes, ..Conditions::PERFECT }
}

fn step(at: f64, name: &'static str, link: Conditions) -> Step {
    Step { at: secs(at), name: Some(name), link }
}

fn scene(name: &'static str, sources: usize, link: Conditions) -> Scene {
    Scene { name, seconds: 60, sources, single: None, steps: vec![step(0.0, "all", link)], cross: None }
}

fn three(name: &'static str, sources: usize, times: [f64; 2], seconds: u64, links: [Conditions; 3]) -> Scene {
    let [before, narrow, after] = links;
    let [from, to] = times;
    let steps = vec![step(0.0, "before", before), step(from, "narrow", narrow), step(to, "after", after)];
    Scene { name, seconds, sources, single: None, steps, cross: None }
}

/// Cameras of one encoding: what does not fit cannot be made smaller.
fn single(name: &'static str, sources: usize, rate: u64, link: Conditions) -> Scene {
    Scene { seconds: 30, single: Some(rate), ..scene(name, sources, link) }
}

/// A radio link: 20 Mbit/s, and now and then nothing for 50 to 200 ms, after which everything comes at once.
fn wifi() -> Scene {
    let free = link(20_000_000, 512 * KIB);
    let mut steps = vec![step(0.0, "all", free)];
    let mut at = 2.0;
    for n in 0.. {
        // A rule instead of chance: holds of 50, 120, 80, 200 ms, 0.3 to 1.9 s apart.
        let hold = [0.05, 0.12, 0.08, 0.2][n % 4];
        let apart = [0.3, 0.7, 1.1, 0.5, 1.9][n % 5];
        if at + hold + apart > 60.0 {
            break;
        }
        let held = Conditions { rate: Some(1_000), ..free };
        steps.push(Step { at: secs(at), name: None, link: held });
        steps.push(Step { at: secs(at + hold), name: None, link: free });
        at += hold + apart;
    }
    Scene { name: "Wi-Fi", seconds: 60, sources: 4, single: None, steps, cross: None }
}

/// Every scene.
pub fn all() -> Vec<Scene> {
    let m = 1_000_000;
    let wide = link(10 * m, 64 * KIB);
    let lossy = |loss| Conditions { loss, ..wide };
    let shaken = |ms| Conditions { jitter: Duration::from_millis(ms), ..wide };
    let policed = Conditions { burst: Some(Burst { length: 6.0, loss: 1.0 }), ..lossy(0.05) };
    let outage = Conditions { loss: 1.0, ..wide };
    let mut crossed = scene("2 Mbit/s, 1.2 Mbit/s of others", 1, link(2 * m, 100 * KIB));
    crossed.steps.push(step(20.0, "others", link(2 * m, 100 * KIB)));
    crossed.steps.push(step(50.0, "alone again", link(2 * m, 100 * KIB)));
    crossed.seconds = 80;
    let mut download = crossed.clone();
    download.name = "3 Mbit/s, a download";
    download.sources = 4;
    download.steps.iter_mut().for_each(|s| s.link = link(3 * m, 100 * KIB));
    crossed.cross = Some(Cross::Constant(1_200_000, secs(20.0), secs(50.0)));
    download.cross = Some(Cross::Download(secs(20.0), secs(50.0)));
    vec![
        scene("1 source, 1 Mbit/s, 64 kB", 1, link(m, 64 * KIB)),
        scene("1 source, 1.5 Mbit/s, 20 kB", 1, link(1_500_000, 20 * KIB)),
        scene("4 sources, 3 Mbit/s, 500 kB", 4, link(3 * m, 500 * KIB)),
        scene("4 sources, 3 Mbit/s, 64 kB", 4, link(3 * m, 64 * KIB)),
        scene("9 sources, 4 Mbit/s, 100 kB", 9, link(4 * m, 100 * KIB)),
        scene("4 sources, 400 kbit/s, 64 kB", 4, link(400_000, 64 * KIB)),
        scene("1 source, 150 kbit/s, 32 kB", 1, link(150_000, 32 * KIB)),
        scene("1 source, 300 kbit/s, 64 kB", 1, link(300_000, 64 * KIB)),
        three("3, 2, 3 Mbit/s, 4 sources", 4, [30.0, 60.0], 90, [3, 2, 3].map(|r| link(r * m, 200 * KIB))),
        three("10, 0.5, 10 Mbit/s, 1 source", 1, [20.0, 50.0], 90, [wide, link(500_000, 64 * KIB), wide]),
        three("10, 0.5, 10 Mbit/s, 4 sources", 4, [20.0, 50.0], 90, [wide, link(500_000, 64 * KIB), wide]),
        three(
            "10, 0.5, 10 Mbit/s, 4 sources, 20 kB",
            4,
            [20.0, 50.0],
            90,
            [wide, link(500_000, 20 * KIB), wide],
        ),
        three("10, 1, 10 Mbit/s, 4 sources", 4, [20.0, 50.0], 90, [wide, link(m, 64 * KIB), wide]),
        scene("10 Mbit/s, 4 sources", 4, wide),
        scene("jitter 150 ms", 4, shaken(150)),
        scene("jitter 300 ms", 4, shaken(300)),
        wifi(),
        scene("loss 1 %", 4, lossy(0.01)),
        scene("loss 5 %", 4, lossy(0.05)),
        scene("loss 8 %", 4, lossy(0.08)),
        scene("loss 12 %", 4, lossy(0.12)),
        scene("loss 20 %", 4, lossy(0.20)),
        scene("loss 5 % in bursts", 4, policed),
        three("2 s outage", 4, [20.0, 22.0], 60, [wide, outage, wide]),
        crossed,
        download,
        single("1 source, one size of 9 Mbit/s", 1, 9 * m, link(50 * m, 512 * KIB)),
        single("1 source, one size of 15 Mbit/s", 1, 15 * m, link(50 * m, 512 * KIB)),
        single("3 sources, one size of 5 Mbit/s", 3, 5 * m, link(50 * m, 512 * KIB)),
        single("1 source, one size of 4 Mbit/s, 3 Mbit/s", 1, 4 * m, link(3 * m, 100 * KIB)),
    ]
}

/// Those whose name contains `part`.
pub fn named(part: &str) -> Vec<Scene> {
    all().into_iter().filter(|s| s.name.contains(part)).collect()
}
