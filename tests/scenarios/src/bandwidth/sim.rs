//! A scene in, its figures out: events in the order of their time.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use impairment::Link;

use super::cross::{Other, PACKET};
use super::figures::{Figures, Outcome};
use super::room::{OPUS, Room};
use super::scenes::Scene;
use super::viewer::Viewer;

/// What SRTP adds, and in here the packet's number.
const TAG: usize = 16;
const SEED: u64 = 7;
/// What of speech comes later than this after it was due is not played.
const PLAYOUT: Duration = Duration::from_millis(80);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Video,
    Audio,
    /// Speech that was sent before.
    Again,
    Rtcp,
    Other,
}

struct Sent {
    at: Instant,
    what: What,
    arrived: bool,
}

struct Sim<'a> {
    scene: &'a Scene,
    start: Instant,
    room: Room,
    viewer: Viewer,
    link: Link,
    step: usize,
    other: Option<Other>,
    sent: Vec<Sent>,
    /// The oldest packet of others whose fate is open.
    open: VecDeque<usize>,
    /// Acknowledgements of others: when, and whether it is a loss.
    acks: VecDeque<(Instant, bool)>,
    /// From the viewer to the bridge.
    back: VecDeque<(Instant, Vec<u8>)>,
    /// Speech by its number: when it was sent first, and whether it came.
    speech: BTreeMap<u16, (Instant, bool)>,
    figures: Figures,
}

/// Plays a scene.
pub fn run(scene: &Scene) -> Outcome {
    let start = Instant::now();
    let mut sim = Sim {
        scene,
        start,
        room: Room::new(start, scene.sources, scene.single),
        viewer: Viewer::new(start, scene.sources),
        link: Link::new(SEED, scene.steps[0].link),
        step: 1,
        other: scene.cross.map(|kind| Other::new(start, kind)),
        sent: Vec::new(),
        open: VecDeque::new(),
        acks: VecDeque::new(),
        back: VecDeque::new(),
        speech: BTreeMap::new(),
        figures: Figures::new(scene),
    };
    let end = start + Duration::from_secs(scene.seconds);
    let mut now = start;
    while now < end {
        sim.live(now);
        now = sim.next().max(now + Duration::from_micros(1)).min(end);
    }
    sim.viewer.still(end);
    sim.look(end);
    sim.figures.finish()
}

impl Sim<'_> {
    fn next(&self) -> Instant {
        let change = self.scene.steps.get(self.step).map(|s| self.start + s.at);
        let back = self.back.front().map(|(at, _)| *at);
        let acks = self.acks.front().map(|(at, _)| *at);
        let other = self.other.as_ref().and_then(Other::poll_timeout);
        let all = [change, back, acks, other, self.link.poll_timeout()];
        let first = self.room.poll_timeout().min(self.viewer.poll_timeout());
        all.into_iter().flatten().fold(first, Instant::min)
    }

    fn live(&mut self, now: Instant) {
        while let Some(step) = self.scene.steps.get(self.step).filter(|s| self.start + s.at <= now) {
            self.link.set_conditions(now, step.link);
            self.step += 1;
        }
        while let Some((_, bytes)) = self.back.pop_front_if(|(at, _)| *at <= now) {
            self.room.rtcp(now, &bytes);
        }
        self.room.live(now);
        self.others(now);
        self.send(now);
        self.arrive(now);
        self.viewer.live(now);
        let lost = self.link.conditions().loss >= 1.0;
        let due = now + self.link.conditions().delay;
        self.back.extend(self.viewer.out.drain(..).filter(|_| !lost).map(|bytes| (due, bytes)));
        self.look(now);
    }

    fn look(&mut self, now: Instant) {
        let time = now - self.start;
        self.figures.at(time, self.room.estimate(), self.viewer.dark());
        for sight in self.viewer.seen.drain(..) {
            self.figures.seen(time, sight);
        }
    }

    fn others(&mut self, now: Instant) {
        let Some(other) = &mut self.other else { return };
        while let Some((_, lost)) = self.acks.pop_front_if(|(at, _)| *at <= now) {
            other.acknowledged(now, lost);
        }
        for _ in 0..other.due(now) {
            self.open.push_back(self.sent.len());
            put(&mut self.link, &mut self.sent, now, What::Other, vec![0; PACKET - TAG]);
        }
    }

    fn send(&mut self, now: Instant) {
        if let Some(names) = self.room.sent.forwarded.take() {
            self.viewer.forwarded(now, &names);
        }
        for bytes in self.room.sent.rtp.drain(..) {
            let what = if bytes[1] & 0x7f == OPUS { What::Audio } else { What::Video };
            if what == What::Audio {
                self.speech.insert(number(&bytes), (now, false));
            }
            self.figures.sent(now - self.start, what);
            put(&mut self.link, &mut self.sent, now, what, bytes);
        }
        for bytes in self.room.sent.again.drain(..) {
            self.figures.again(now - self.start);
            put(&mut self.link, &mut self.sent, now, What::Again, bytes);
        }
        for bytes in self.room.sent.rtcp.drain(..) {
            put(&mut self.link, &mut self.sent, now, What::Rtcp, bytes);
        }
    }

    fn arrive(&mut self, now: Instant) {
        while let Some(mut bytes) = self.link.poll_output(now) {
            let tag: [u8; 8] = bytes[bytes.len() - 8..].try_into().unwrap();
            let place = u64::from_be_bytes(tag) as usize;
            bytes.truncate(bytes.len() - TAG);
            let Sent { at, what, arrived } = &mut self.sent[place];
            *arrived = true;
            let (mut at, what) = (*at, *what);
            match what {
                What::Video | What::Audio | What::Again => {
                    let first = if what == What::Video { None } else { self.speech.get_mut(&number(&bytes)) };
                    if let Some((sent, came)) = first {
                        let late =
                            what == What::Again && now - *sent > self.link.conditions().delay + PLAYOUT;
                        if late || std::mem::replace(came, true) {
                            self.link.reuse(bytes);
                            continue;
                        }
                        at = *sent;
                    }
                    let delay = (now - at).saturating_sub(self.link.conditions().delay);
                    let kind = self.viewer.rtp(now, &bytes);
                    self.figures.arrived(
                        at - self.start,
                        now - self.start,
                        delay,
                        kind,
                        bytes.len() + TAG + 28,
                    );
                }
                What::Rtcp => self.viewer.rtcp(&bytes),
                What::Other => {
                    let due = now + self.link.conditions().delay;
                    // What was sent before and is not here is lost.
                    while let Some(n) = self.open.pop_front_if(|n| *n <= place) {
                        self.acks.push_back((due, !self.sent[n].arrived));
                    }
                    self.figures.others(now - self.start, bytes.len() + TAG + 28);
                }
            }
            self.link.reuse(bytes);
        }
    }
}

/// The sequence number of an RTP packet.
fn number(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[2], bytes[3]])
}

fn put(link: &mut Link, sent: &mut Vec<Sent>, now: Instant, what: What, mut bytes: Vec<u8>) {
    bytes.extend([0; TAG - 8]);
    bytes.extend((sent.len() as u64).to_be_bytes());
    sent.push(Sent { at: now, what, arrived: false });
    link.handle_datagram(now, &bytes);
}
