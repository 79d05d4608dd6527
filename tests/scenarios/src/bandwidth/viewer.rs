//! Packets as they arrive in; what a browser says about them, and which frames can be shown when, out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jitsi_xmpp::ids::SourceName;
use videobridge_rtp::rtcp::transport_cc::{self, Arrival};
use videobridge_rtp::rtcp::{Compound, ReportBlock, Rtcp, feedback, report};
use videobridge_rtp::{ExtSeq, RtpPacket, Unwrapper, rtx};

use super::room::{OPUS, RTX, TRANSPORT_CC, VP8, source, ssrc};

/// What arrived was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A packet of a picture.
    Media,
    /// One that came already, or is none.
    Padding,
    /// One that was missing.
    Repeat,
    /// Speech.
    Audio,
}

/// Something to be seen, by source.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sight {
    /// Nothing was shown for this long.
    Still(Duration),
    /// Another layer than before.
    Switch,
    /// The first picture ever.
    First,
}

/// A browser.
pub(super) struct Viewer {
    start: Instant,
    pictures: Vec<Picture>,
    numbers: Unwrapper,
    arrivals: Vec<Arrival>,
    base: Option<ExtSeq>,
    reports: u8,
    next_report: Instant,
    next_look: Instant,
    /// RTCP on its way out.
    pub(super) out: Vec<Vec<u8>>,
    pub(super) seen: Vec<Sight>,
}

/// One source as it is shown.
struct Picture {
    name: SourceName,
    ssrc: u32,
    forwarded: bool,
    numbers: Unwrapper,
    highest: Option<u64>,
    packets: BTreeMap<u64, Part>,
    /// Where key frames begin.
    keys: BTreeSet<u64>,
    /// The first packet not shown.
    next: Option<u64>,
    /// Number, when it was asked for last, how often.
    missing: BTreeMap<u64, (Instant, u32)>,
    last_shown: Option<Instant>,
    last_asked: Option<Instant>,
    layer: Option<u8>,
}

#[derive(Clone, Copy)]
struct Part {
    start: bool,
    end: bool,
    layer: u8,
}

/// Browsers' interval of transport-wide feedback at some Mbit/s.
const FEEDBACK: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(20);
const ASK_AGAIN: Duration = Duration::from_millis(100);
const MOST_REQUESTS: u32 = 10;
/// A key frame is asked for after so long without a picture.
const PATIENCE: Duration = Duration::from_millis(1_000);

impl Viewer {
    pub(super) fn new(now: Instant, sources: usize) -> Self {
        let picture = |n| Picture {
            name: source(n),
            ssrc: ssrc(n),
            forwarded: false,
            numbers: Unwrapper::new(),
            highest: None,
            packets: BTreeMap::new(),
            keys: BTreeSet::new(),
            next: None,
            missing: BTreeMap::new(),
            last_shown: None,
            last_asked: None,
            layer: None,
        };
        Self {
            start: now,
            pictures: (0..sources).map(picture).collect(),
            numbers: Unwrapper::new(),
            arrivals: Vec::new(),
            base: None,
            reports: 0,
            next_report: now + FEEDBACK,
            next_look: now,
            out: Vec::new(),
            seen: Vec::new(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.next_report.min(self.next_look)
    }

    /// The sources it gets now.
    pub(super) fn forwarded(&mut self, now: Instant, names: &[SourceName]) {
        for picture in &mut self.pictures {
            let is = names.contains(&picture.name);
            if is && !picture.forwarded {
                picture.last_shown = Some(now);
            } else if !is && picture.forwarded {
                picture.still(now, &mut self.seen);
            }
            if is != picture.forwarded {
                self.seen.push(Sight::Switch);
            }
            picture.forwarded = is;
        }
    }

    /// How many sources it gets no picture of.
    pub(super) fn dark(&self) -> usize {
        self.pictures.iter().filter(|p| !p.forwarded).count()
    }

    /// No source was still for longer than this until now.
    pub(super) fn still(&mut self, now: Instant) {
        for picture in self.pictures.iter_mut().filter(|p| p.forwarded) {
            picture.still(now, &mut self.seen);
        }
    }

    pub(super) fn rtp(&mut self, now: Instant, bytes: &[u8]) -> Kind {
        let p = RtpPacket::parse(bytes).unwrap();
        if let Some(stamp) = p.extension(TRANSPORT_CC) {
            let sequence = self.numbers.extend(u16::from_be_bytes([stamp[0], stamp[1]]));
            let time_us = 5_000_000 + (now - self.start).as_micros() as u64;
            self.arrivals.push(Arrival { sequence, time_us });
        }
        let (sequence, body, repeated) = match p.payload_type() {
            OPUS => return Kind::Audio,
            VP8 if !p.payload().is_empty() => (p.sequence(), p.payload(), false),
            RTX => match rtx::parse(p.payload()) {
                Some((sequence, body)) if !body.is_empty() => (sequence, body, true),
                _ => return Kind::Padding,
            },
            _ => return Kind::Padding,
        };
        let base = p.ssrc() / 1_000 * 1_000;
        let Some(picture) = self.pictures.iter_mut().find(|s| s.ssrc == base) else { return Kind::Padding };
        picture.take(now, (sequence, body, repeated, p.marker()), &mut self.seen)
    }

    pub(super) fn rtcp(&mut self, bytes: &[u8]) {
        for message in Compound::new(bytes).flatten() {
            let Rtcp::SenderReport { ssrc, info, .. } = message else { continue };
            let block = ReportBlock { ssrc, last_sr: info.ntp_middle(), ..ReportBlock::default() };
            let mut buf = [0; 64];
            let len = report::write_receiver_report(&mut buf, 9, &[block]).unwrap();
            self.out.push(buf[..len].to_vec());
        }
    }

    pub(super) fn live(&mut self, now: Instant) {
        if self.next_look <= now {
            self.next_look = now + LOOK;
            for picture in &mut self.pictures {
                picture.ask(now, &mut self.out);
            }
        }
        if self.next_report <= now {
            self.next_report += FEEDBACK;
            self.report();
        }
    }

    fn report(&mut self) {
        self.arrivals.sort_by_key(|a| a.sequence);
        let base = self.base.unwrap_or_default();
        self.arrivals.retain(|a| a.sequence >= base);
        while let Some(first) = self.arrivals.first() {
            let base = self.base.unwrap_or(first.sequence);
            let mut buf = [0; 1200];
            let w = transport_cc::write(&mut buf, 1, 2, self.reports, base, &self.arrivals).unwrap();
            (self.reports, self.base) = (self.reports.wrapping_add(1), Some(w.next_base));
            self.arrivals.drain(..w.arrivals);
            self.out.push(buf[..w.len].to_vec());
        }
    }
}

impl Picture {
    fn take(
        &mut self,
        now: Instant,
        (sequence, body, repeated, end): (u16, &[u8], bool, bool),
        seen: &mut Vec<Sight>,
    ) -> Kind {
        let number = self.numbers.extend(sequence).0;
        if let Some(highest) = self.highest {
            for missing in highest + 1..number {
                self.missing.insert(missing, (now - ASK_AGAIN, 0));
            }
        }
        // What is sent twice may come the second time before anything shows that it was lost.
        let ahead = self.highest.is_some_and(|highest| number > highest);
        self.highest = self.highest.max(Some(number));
        let wanted = self.missing.remove(&number).is_some() || ahead;
        if repeated && !wanted {
            return Kind::Padding;
        }
        let last = *body.last().unwrap();
        let part = Part { start: body[0] & 0x10 != 0, end, layer: last & 3 };
        if last & 0x80 != 0 {
            self.keys.insert(number);
        }
        self.packets.insert(number, part);
        while self.show(now, seen) {}
        if repeated { Kind::Repeat } else { Kind::Media }
    }

    /// Shows the next frame that is whole.
    fn show(&mut self, now: Instant, seen: &mut Vec<Sight>) -> bool {
        let from = self.next.filter(|n| self.whole(*n).is_some());
        let from = from.or_else(|| {
            let later = self.keys.range(self.next.unwrap_or(0)..);
            later.rev().copied().find(|n| self.whole(*n).is_some())
        });
        let Some((from, to)) = from.and_then(|n| Some((n, self.whole(n)?))) else { return false };
        let layer = self.packets[&from].layer;
        if self.last_shown.is_none() || self.layer.is_none() {
            seen.push(Sight::First);
        } else if self.layer != Some(layer) {
            seen.push(Sight::Switch);
        }
        self.still(now, seen);
        self.layer = Some(layer);
        self.next = Some(to);
        self.packets = self.packets.split_off(&to);
        self.keys = self.keys.split_off(&to);
        self.missing = self.missing.split_off(&to);
        true
    }

    /// Where the frame after the one at `from` begins, if that is all there.
    fn whole(&self, from: u64) -> Option<u64> {
        let mut at = from;
        self.packets.get(&at).filter(|p| p.start)?;
        loop {
            let part = self.packets.get(&at)?;
            at += 1;
            if part.end {
                return Some(at);
            }
        }
    }

    fn still(&mut self, now: Instant, seen: &mut Vec<Sight>) {
        if let Some(last) = self.last_shown.replace(now) {
            seen.push(Sight::Still(now.duration_since(last)));
        }
    }

    fn ask(&mut self, now: Instant, out: &mut Vec<Vec<u8>>) {
        let mut wanted = Vec::new();
        self.missing.retain(|number, (asked, times)| {
            if now - *asked >= ASK_AGAIN {
                wanted.push(*number as u16);
                (*asked, *times) = (now, *times + 1);
            }
            *times <= MOST_REQUESTS
        });
        let mut rest = &wanted[..];
        while !rest.is_empty() {
            let mut buf = [0; 1200];
            let (len, taken) = feedback::write_nack(&mut buf, 1, self.ssrc, rest).unwrap();
            out.push(buf[..len].to_vec());
            rest = &rest[taken..];
        }
        let still = |at: Option<Instant>| at.is_none_or(|at| now - at > PATIENCE);
        if self.forwarded && self.highest.is_some() && still(self.last_shown) && still(self.last_asked) {
            self.last_asked = Some(now);
            let mut buf = [0; 20];
            let len = feedback::write_pli(&mut buf, 1, self.ssrc).unwrap();
            out.push(buf[..len].to_vec());
        }
    }
}
