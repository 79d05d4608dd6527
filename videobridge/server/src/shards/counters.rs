//! What the media threads count outside the shards: added once per turn of a loop, read for `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use videobridge_core::Lost;
use videobridge_udp::Flushed;

use crate::services::ServiceCounters;

/// Totals of all media threads.
#[derive(Debug, Default)]
pub(crate) struct ThreadCounters {
    /// Messages handed to the kernel; datagrams per message is what segmentation offload gains.
    messages: AtomicU64,
    datagrams: AtomicU64,
    dropped_full: AtomicU64,
    dropped_error: AtomicU64,
    kernel_dropped: AtomicU64,
    truncated: AtomicU64,
    handed_over: AtomicU64,
    handover_dropped: AtomicU64,
    passed: AtomicU64,
    part_packets: AtomicU64,
    part_dropped: AtomicU64,
    pass_dropped: AtomicU64,
    panics: AtomicU64,
    conferences_failed: AtomicU64,
    chatter_dropped: AtomicU64,
    state_dropped: AtomicU64,
    /// Of services outside.
    pub(crate) services: Arc<ServiceCounters>,
    streams_accepted: AtomicU64,
    streams_refused: AtomicU64,
    streams_broken: AtomicU64,
    stream_packets: AtomicU64,
    stream_dropped: AtomicU64,
}

impl ThreadCounters {
    /// Names for the metric's label, with values.
    pub(crate) fn rows(&self) -> [(&'static str, u64); 21] {
        [
            ("messages_sent", &self.messages),
            ("datagrams_sent", &self.datagrams),
            ("send_dropped_full", &self.dropped_full),
            ("send_dropped_error", &self.dropped_error),
            ("receive_dropped_by_kernel", &self.kernel_dropped),
            ("receive_dropped_truncated", &self.truncated),
            ("handed_over", &self.handed_over),
            ("handover_dropped", &self.handover_dropped),
            ("part_packets", &self.part_packets),
            ("part_dropped", &self.part_dropped),
            ("passed_to_process_before", &self.passed),
            ("pass_dropped", &self.pass_dropped),
            ("panics", &self.panics),
            ("conferences_failed", &self.conferences_failed),
            ("web_socket_chatter_dropped", &self.chatter_dropped),
            ("web_socket_state_dropped", &self.state_dropped),
            ("streams_accepted", &self.streams_accepted),
            ("streams_refused", &self.streams_refused),
            ("streams_broken", &self.streams_broken),
            ("stream_packets_sent", &self.stream_packets),
            ("stream_dropped_full", &self.stream_dropped),
        ]
        .map(|(name, value)| (name, value.load(Ordering::Relaxed)))
    }

    pub(super) fn add_flushed(&self, flushed: &Flushed) {
        add(&self.messages, flushed.messages);
        add(&self.datagrams, flushed.sent);
        add(&self.dropped_full, flushed.dropped_full);
        add(&self.dropped_error, flushed.dropped_error);
    }

    pub(super) fn add_received(&self, kernel_dropped: u64, truncated: u64) {
        add(&self.kernel_dropped, kernel_dropped);
        add(&self.truncated, truncated);
    }

    pub(super) fn add_handover(&self, taken: bool) {
        add(if taken { &self.handed_over } else { &self.handover_dropped }, 1);
    }

    /// Between parts of conferences.
    pub(super) fn add_parts(&self, (sent, dropped): (u64, u64)) {
        add(&self.part_packets, sent);
        add(&self.part_dropped, dropped);
    }

    pub(super) fn add_passed(&self, taken: bool) {
        add(if taken { &self.passed } else { &self.pass_dropped }, 1);
    }

    pub(super) fn add_lost(&self, lost: Lost) {
        add(&self.chatter_dropped, lost.chatter);
        add(&self.state_dropped, lost.state);
    }

    /// A connection for media was taken.
    pub(crate) fn add_stream_accepted(&self) {
        add(&self.streams_accepted, 1);
    }

    /// There was no place for it.
    pub(crate) fn add_stream_refused(&self) {
        add(&self.streams_refused, 1);
    }

    /// It said nothing that could be understood, or nothing for too long, or did not read.
    pub(crate) fn add_stream_broken(&self) {
        add(&self.streams_broken, 1);
    }

    pub(super) fn add_streamed(&self, sent: u64, dropped: u64) {
        add(&self.stream_packets, sent);
        add(&self.stream_dropped, dropped);
    }

    /// `conference`: one had to go for it.
    pub(super) fn add_panic(&self, conference: bool) {
        add(&self.panics, 1);
        add(&self.conferences_failed, conference.into());
    }
}

fn add(counter: &AtomicU64, n: u64) {
    if n > 0 {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}
