//! Everything that happened in a scene, with its time, in; figures by phase, and a curve by second, out.

use std::time::Duration;

use super::scenes::Scene;
use super::sim::What;
use super::viewer::{Kind, Sight};

/// What a scene came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The scene's.
    pub name: &'static str,
    /// By phase, in order.
    pub phases: Vec<Phase>,
    /// Curves.
    pub tenths: Vec<Tenth>,
}

/// A part of a scene.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// What video waited in the link, in ms: half, 95 % and 99 % of its packets less than this.
    pub queue: [f64; 3],
    /// What of the video's packets was lost, of 1.
    pub loss: f64,
    /// What of speech waited, as `queue`, and was lost.
    pub speech: [f64; 3],
    /// See `speech`. What came the second or third time, 80 ms late at most, was not lost.
    pub speech_loss: f64,
    /// Packets of speech that were sent again.
    pub again: usize,
    /// Pictures that arrived, in bit/s: without padding and what came twice.
    pub media: f64,
    /// The other packets of video.
    pub padding: f64,
    /// What others got.
    pub others: f64,
    /// Changes of a source's layer, begin and end included.
    pub switches: usize,
    /// Until a second had 85 % of what fits: of all layers or of 95 % of the link.
    pub full_after: Option<f64>,
    /// The longest time in which a source that the viewer was said to get stood still.
    pub still: f64,
    /// Seconds of sources that the viewer did not get.
    pub dark: f64,
    /// Until the first picture.
    pub first: Option<f64>,
}

/// What happened in one tenth of a second.
#[derive(Debug, Clone, Default)]
pub struct Tenth {
    /// What the bridge thought the link carries, in bit/s.
    pub estimate: Option<u64>,
    /// What the link carries.
    pub link: Option<u64>,
    /// Bits of pictures that arrived.
    pub media: f64,
    /// Bits of other video.
    pub padding: f64,
    /// Of others.
    pub others: f64,
    /// The longest time that a packet waited, in ms.
    pub queue: f64,
    dark: f64,
}

struct Begun {
    at: Duration,
    phase: Phase,
    waits: [Vec<f64>; 2],
    sent: [u64; 2],
    arrived: [u64; 2],
}

pub(super) struct Figures {
    name: &'static str,
    ideal: f64,
    rates: Vec<(Duration, Option<u64>)>,
    tenths: Vec<Tenth>,
    phases: Vec<Begun>,
}

const PER_SECOND: usize = 10;
/// All three layers' highest rate with headers.
const IDEAL: f64 = 1_700_000.0;

impl Figures {
    pub(super) fn new(scene: &Scene) -> Self {
        let phase = |at, name| Begun {
            at,
            phase: Phase {
                name,
                queue: [0.0; 3],
                loss: 0.0,
                speech: [0.0; 3],
                speech_loss: 0.0,
                again: 0,
                media: 0.0,
                padding: 0.0,
                others: 0.0,
                switches: 0,
                full_after: None,
                still: 0.0,
                dark: 0.0,
                first: None,
            },
            waits: [Vec::new(), Vec::new()],
            sent: [0; 2],
            arrived: [0; 2],
        };
        let named = scene.steps.iter().filter_map(|s| Some((s.at, s.name?)));
        Self {
            name: scene.name,
            ideal: scene.single.map_or(IDEAL, |rate| rate as f64) * scene.sources as f64,
            rates: scene.steps.iter().map(|s| (s.at, s.link.rate)).collect(),
            tenths: vec![Tenth::default(); scene.seconds as usize * PER_SECOND],
            phases: named.map(|(at, name)| phase(at, name)).collect(),
        }
    }

    fn tenth(&mut self, time: Duration) -> &mut Tenth {
        let at = (time.as_secs_f64() * PER_SECOND as f64) as usize;
        let last = self.tenths.len() - 1;
        &mut self.tenths[at.min(last)]
    }

    fn phase(&mut self, time: Duration) -> &mut Begun {
        let at = self.phases.partition_point(|p| p.at <= time).max(1);
        &mut self.phases[at - 1]
    }

    pub(super) fn at(&mut self, time: Duration, estimate: Option<u64>, dark: usize) {
        let rate = self.rates.iter().rev().find(|(at, _)| *at <= time).and_then(|(_, rate)| *rate);
        let second = self.tenth(time);
        (second.estimate, second.link, second.dark) = (estimate, rate, dark as f64);
    }

    pub(super) fn sent(&mut self, time: Duration, what: What) {
        self.phase(time).sent[usize::from(what == What::Audio)] += 1;
    }

    pub(super) fn again(&mut self, time: Duration) {
        self.phase(time).phase.again += 1;
    }

    pub(super) fn arrived(
        &mut self,
        sent: Duration,
        time: Duration,
        delay: Duration,
        kind: Kind,
        bytes: usize,
    ) {
        let ms = delay.as_secs_f64() * 1e3;
        let phase = self.phase(sent);
        let audio = usize::from(kind == Kind::Audio);
        phase.waits[audio].push(ms);
        phase.arrived[audio] += 1;
        let second = self.tenth(time);
        second.queue = second.queue.max(ms);
        let bits = bytes as f64 * 8.0;
        match kind {
            Kind::Media | Kind::Repeat => second.media += bits,
            Kind::Padding => second.padding += bits,
            Kind::Audio => {}
        }
    }

    pub(super) fn others(&mut self, time: Duration, bytes: usize) {
        self.tenth(time).others += bytes as f64 * 8.0;
    }

    pub(super) fn seen(&mut self, time: Duration, sight: Sight) {
        let begun = self.phase(time);
        let since = (time - begun.at).as_secs_f64();
        let phase = &mut begun.phase;
        match sight {
            Sight::Still(how_long) => phase.still = phase.still.max(how_long.as_secs_f64()),
            Sight::Switch => phase.switches += 1,
            Sight::First => phase.first = phase.first.or(Some(since)),
        }
    }

    pub(super) fn finish(self) -> Outcome {
        let ends: Vec<usize> =
            self.phases.iter().skip(1).map(|p| tenths(p.at)).chain([self.tenths.len()]).collect();
        let mut phases = Vec::new();
        for (mut begun, end) in self.phases.into_iter().zip(ends) {
            let part = &self.tenths[tenths(begun.at)..end];
            let seconds = part.len() as f64 / PER_SECOND as f64;
            let sum = |of: fn(&Tenth) -> f64| part.iter().map(of).sum::<f64>();
            let [video, audio] = &mut begun.waits;
            let lost = |at: usize| 1.0 - begun.arrived[at] as f64 / begun.sent[at].max(1) as f64;
            let phase = &mut begun.phase;
            (phase.queue, phase.speech) = (percentiles(video), percentiles(audio));
            (phase.loss, phase.speech_loss) = (lost(0).max(0.0), lost(1).max(0.0));
            phase.media = sum(|s| s.media) / seconds;
            phase.padding = sum(|s| s.padding) / seconds;
            phase.others = sum(|s| s.others) / seconds;
            phase.dark = sum(|s| s.dark) / PER_SECOND as f64;
            let enough = |w: &[Tenth]| {
                let media: f64 = w.iter().map(|s| s.media).sum();
                let link = w.last().and_then(|s| s.link).map_or(f64::MAX, |r| r as f64 * 0.95);
                media >= 0.85 * self.ideal.min(link)
            };
            let full = part.windows(PER_SECOND).position(enough);
            phase.full_after = full.map(|at| at as f64 / PER_SECOND as f64);
            phases.push(begun.phase);
        }
        Outcome { name: self.name, phases, tenths: self.tenths }
    }
}

fn tenths(at: Duration) -> usize {
    (at.as_secs_f64() * PER_SECOND as f64).round() as usize
}

fn percentiles(values: &mut [f64]) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [0.5, 0.95, 0.99].map(|share| {
        let at = (values.len().saturating_sub(1) as f64 * share) as usize;
        values.get(at).copied().unwrap_or(0.0)
    })
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p95, p99] = self.queue;
        let [s50, s95, s99] = self.speech;
        let time = |t: Option<f64>| t.map_or_else(|| "-".to_owned(), |t| format!("{t:.1}"));
        write!(
            f,
            "media {:5.0} k, padding {:4.0} k, others {:4.0} k | queue {p50:4.0} {p95:4.0} {p99:4.0} ms | lost {:4.1} % | speech {s50:4.0} {s95:4.0} {s99:4.0} ms, lost {:4.1} %, again {} | switches {:3} | 85 % after {:>4} s | still {:4.1} s | dark {:5.1} s | first {:>4} s",
            self.media / 1e3,
            self.padding / 1e3,
            self.others / 1e3,
            self.loss * 100.0,
            self.speech_loss * 100.0,
            self.again,
            self.switches,
            time(self.full_after),
            self.still,
            self.dark,
            time(self.first),
        )
    }
}

impl Outcome {
    /// All of it, for pictures and tables made elsewhere.
    pub fn to_json(&self) -> String {
        let mut out = format!("{{\"name\":\"{}\",\"phases\":[", self.name);
        for (n, p) in self.phases.iter().enumerate() {
            let [p50, p95, p99] = p.queue;
            let [s50, s95, s99] = p.speech;
            let comma = if n == 0 { "" } else { "," };
            out += &format!(
                "{comma}{{\"name\":\"{}\",\"queue\":[{p50:.0},{p95:.0},{p99:.0}],\"loss\":{:.4},\"speech\":[{s50:.0},{s95:.0},{s99:.0}],\"speech_loss\":{:.4},\"again\":{},\"media\":{:.0},\"padding\":{:.0},\"others\":{:.0},\"switches\":{},\"full_after\":{},\"still\":{:.2},\"dark\":{:.1},\"first\":{}}}",
                p.name,
                p.loss,
                p.speech_loss,
                p.again,
                p.media,
                p.padding,
                p.others,
                p.switches,
                p.full_after.map_or_else(|| "null".to_owned(), |t| format!("{t:.1}")),
                p.still,
                p.dark,
                p.first.map_or_else(|| "null".to_owned(), |t| format!("{t:.2}")),
            );
        }
        let list = |of: fn(&Tenth) -> f64| {
            let all: Vec<String> = self.tenths.iter().map(|s| format!("{:.0}", of(s))).collect();
            all.join(",")
        };
        out += &format!(
            "],\"estimate\":[{}],\"link\":[{}],\"media\":[{}],\"padding\":[{}],\"others\":[{}],\"queue\":[{}]}}",
            list(|s| s.estimate.map_or(-1.0, |e| e as f64)),
            list(|s| s.link.map_or(-1.0, |l| l as f64)),
            list(|s| s.media * PER_SECOND as f64),
            list(|s| s.padding * PER_SECOND as f64),
            list(|s| s.others * PER_SECOND as f64),
            list(|s| s.queue),
        );
        out
    }
}
