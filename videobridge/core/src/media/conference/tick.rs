//! What happens by time alone: reports, repeated requests, speaker decisions, layers that fell silent.

use std::time::{Duration, Instant};

use jitsi_xmpp::bridge_channel::BridgeMessage;
use jitsi_xmpp::ids::{MediaType, Ssrc};
use smallvec::SmallVec;
use videobridge_rtp::rtcp::{ReportBlock, report};

use super::MediaConference;
use super::forward::ask_again;
use crate::media::MediaSink;
use crate::media::ids::{Bitrate, EncodingIx, MemberIx, Micros};
use crate::media::ingress::receive::{ReceiveStats, Reception};
use crate::media::limits::{HISTORY_IDLE_SECS, MAX_REPORT_BLOCKS, MAX_RTCP};

/// What time it is for a conference, and when it has something to do.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// When the first endpoint came.
    start: Option<Instant>,
    pub(super) last_rtp: Option<Instant>,
    next_tick: Option<Instant>,
    /// When somebody's pacing is due; `None` when nothing waits and nobody is probed.
    next_pace: Option<Instant>,
}

impl Clock {
    /// Somebody is there.
    pub(super) fn begin(&mut self, now: Instant) {
        self.start.get_or_insert(now);
        self.next_tick.get_or_insert(now);
    }

    /// The time on the stamps of packets.
    pub(super) fn micros(&self, now: Instant) -> Micros {
        let time = self.start.map_or(Duration::ZERO, |start| now.saturating_duration_since(start));
        Micros(time.as_secs() * 1_000_000 + u64::from(time.subsec_micros()))
    }

    /// The first packet after a pause: the slow tick is too late.
    pub(super) fn tick_soon(&mut self, now: Instant) {
        self.tick_by(now + TICK);
    }

    /// Does not wait longer than until then.
    pub(super) fn tick_by(&mut self, at: Instant) {
        if self.next_tick.is_none_or(|next| next > at) {
            self.next_tick = Some(at);
        }
    }

    /// Something waits, or somebody is probed.
    pub(super) fn pace_by(&mut self, at: Instant) {
        if self.next_pace.is_none_or(|next| next > at) {
            self.next_pace = Some(at);
        }
    }

    /// It is looked at.
    pub(super) fn paced(&mut self) {
        self.next_pace = None;
    }
}

impl MediaConference {
    /// When [`Self::handle_timeout`] has something to do; `None` without endpoints.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.members.is_empty() {
            return None;
        }
        self.clock.next_tick.into_iter().chain(self.clock.next_pace).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant, sink: &mut dyn MediaSink) {
        if self.clock.next_pace.is_some_and(|at| at <= now) {
            self.pace(now, sink);
        }
        if self.clock.next_tick.is_some_and(|at| at > now) {
            return;
        }
        let busy = self.clock.last_rtp.is_some_and(|at| now.duration_since(at) < BUSY);
        self.clock.next_tick = Some(now + if busy { TICK } else { IDLE_TICK });

        if self.speakers.decide(now) {
            self.counters.dominant_speaker_changes += 1;
            self.announce_speakers(sink);
            self.members.touch_all();
        }
        let mut changed: SmallVec<[MemberIx; 8]> = SmallVec::new();
        for (_, source) in self.sources.iter_mut().filter(|(_, s)| s.signalled.media == MediaType::Video) {
            let idle = |at: Instant| now.duration_since(at).as_secs() >= HISTORY_IDLE_SECS;
            if source.last_packet.is_none_or(idle) {
                source.history = None;
            }
            let patience = source.patience();
            for encoding in (0..source.encodings.len() as u8).map(EncodingIx) {
                let Some(e) = source.encodings.get_mut(encoding.at()) else { continue };
                if e.active && e.last_packet.is_none_or(|at| now.duration_since(at) > patience) {
                    e.active = false;
                    changed.push(source.owner);
                }
                let measured = e.measured_at.is_some_and(|at| at <= now);
                if e.rate.matures(now) || measured {
                    e.measured_at = e.measured_at.filter(|_| !measured);
                    changed.push(source.owner);
                }
                if e.loss.poll_timeout(now).is_some_and(|at| at <= now)
                    && let Some(owner) = self.members.get(source.owner)
                {
                    ask_again(now, source, encoding, owner, self.feedback.video, &mut self.counters, sink);
                }
            }
        }
        for owner in changed {
            if let Some(member) = self.members.get_mut(owner) {
                member.news = true;
            }
        }
        let news: SmallVec<[MemberIx; 8]> =
            self.members.iter().filter(|(_, m)| m.news).map(|(i, _)| i).collect();
        news.into_iter().for_each(|sender| self.concern_all(now, sender));
        if !self.members.relays().is_empty() {
            self.repeat_wishes(now, sink);
        }
        self.catch_up(now, sink);
        self.report(now, sink);
        self.settle(now, sink);
    }

    /// Receiver reports, transport-wide feedback and statistics that are due; stale allocations.
    fn report(&mut self, now: Instant, sink: &mut dyn MediaSink) {
        let mut unsettled = self.members.is_unsettled();
        for (_, member) in self.members.iter_mut() {
            let key = member.key;
            if member.arrivals.poll_timeout().is_some_and(|at| at <= now) {
                member.arrivals.report(now, self.feedback.video, |rtcp| sink.rtcp(key, rtcp));
            }
            // A source that was too much may have been measured with a key frame.
            let most = self.config.max_time_between_calculations;
            let patience = if member.lacks_source { most.min(LACKS_SOURCE) } else { most };
            if member.is_local() && now.duration_since(member.allocated_at) >= patience {
                member.stale = true;
                // Small changes add up.
                member.egress.estimator.apply(0.0);
            }
            unsettled |= member.stale;
            if let (Some(at), Some(interval)) = (member.next_stats, self.config.connection_stats_interval)
                && at <= now
            {
                member.next_stats = Some(now + interval);
                if let Some(Bitrate(bps)) = member.egress.estimator.estimate().filter(|_| member.channel) {
                    sink.message(key, &BridgeMessage::ConnectionStats { estimated_downlink_bandwidth: bps });
                }
            }
            if member.next_report > now {
                continue;
            }
            member.next_report = now + REPORT_INTERVAL;
            let mut blocks: SmallVec<[ReportBlock; MAX_REPORT_BLOCKS]> = SmallVec::new();
            for source in &member.sources {
                let Some(source) = self.sources.get_mut(*source) else { continue };
                for e in &mut source.encodings {
                    blocks.extend(block(now, e.ssrc, &mut e.received));
                    blocks.extend(e.rtx.and_then(|rtx| block(now, rtx, &mut e.rtx_received)));
                }
            }
            for some in blocks.chunks(MAX_REPORT_BLOCKS) {
                let mut buf = [0; MAX_RTCP];
                if let Some(len) = report::write_receiver_report(&mut buf, self.feedback.video.0, some) {
                    sink.rtcp(key, buf.get(..len).unwrap_or_default());
                }
            }
        }
        self.members.settling(unsettled);
    }
}

fn block(now: Instant, ssrc: Ssrc, stats: &mut ReceiveStats) -> Option<ReportBlock> {
    let Reception { fraction_lost, cumulative_lost, highest, jitter, last_sr, delay_since_last_sr } =
        stats.report(now)?;
    Some(ReportBlock {
        ssrc: ssrc.0,
        fraction_lost,
        cumulative_lost,
        extended_highest: highest,
        jitter,
        last_sr,
        delay_since_last_sr,
    })
}

const TICK: Duration = Duration::from_millis(50);
const IDLE_TICK: Duration = Duration::from_secs(1);
const BUSY: Duration = Duration::from_secs(2);
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// How soon to look again whether a source fits that did not.
const LACKS_SOURCE: Duration = Duration::from_secs(1);
