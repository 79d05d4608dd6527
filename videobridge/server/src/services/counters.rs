//! What happened with services outside, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// One number.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Totals of all shards.
#[derive(Debug, Default)]
pub(crate) struct ServiceCounters {
    pub(crate) starts: Counter,
    /// Connections that could not be made or broke.
    pub(crate) failures: Counter,
    /// Faults of ours in making one.
    pub(crate) internal_errors: Counter,
    pub(crate) packets_sent: Counter,
    /// Packets that a service had no room for, or came while it was not there.
    pub(crate) dropped: Counter,
    pub(crate) transcripts: Counter,
    pub(crate) media: Counter,
    pub(crate) info: Counter,
    pub(crate) other: Counter,
    pub(crate) unreadable: Counter,
}

impl ServiceCounters {
    /// Upstream's metrics after `jitsi_jvb_exporter_`.
    pub(crate) fn rows(&self) -> [(&'static str, u64); 10] {
        [
            ("websocket_failures", self.failures.get()),
            ("websocket_internal_errors", self.internal_errors.get()),
            ("starts", self.starts.get()),
            ("packets_sent", self.packets_sent.get()),
            ("transcripts_received", self.transcripts.get()),
            ("media_events_received", self.media.get()),
            // No bridge of ours plays what services send.
            ("sending_changes_received", 0),
            ("other_messages_received", self.other.get()),
            ("parse_failures", self.unreadable.get()),
            ("info_received", self.info.get()),
        ]
    }
}
