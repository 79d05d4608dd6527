//! What the bridge tells about itself: the shards' numbers in; stats JSON, brewery presence, metrics and health out.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jitsi_xmpp::bridge_stats::BridgeStats;
use serde_json::{Map, Value, json};
use service::Exposition;
use videobridge_core::media::DropReason;
use videobridge_core::stats::BridgeState;
use videobridge_core::{Discard, ShardStats};

use crate::control::{Conferences, Control};
use crate::leaving::{Leaving, Wish};
use crate::shards::ThreadCounters;
use crate::xmpp::Counters as BreweryCounters;

/// What stays the same as long as the bridge runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    pub(crate) version: String,
    pub(crate) region: Option<String>,
    pub(crate) relay_id: Option<String>,
    pub(crate) rooms: u64,
    pub(crate) media_port: u16,
}

/// Collects and tells. One per process; shared.
#[derive(Debug)]
pub(crate) struct Reporter {
    control: Arc<Control>,
    threads: Arc<ThreadCounters>,
    identity: Identity,
    /// Packets per second at which the bridge calls itself fully loaded (`load-threshold`).
    load_threshold: f64,
    latest: Mutex<Latest>,
    link_up: AtomicBool,
    rooms_joined: AtomicU64,
    draining: AtomicBool,
    stopping: AtomicBool,
    leaving: Mutex<Leaving>,
    refusals: [AtomicU64; 4],
    /// Addresses media is received on.
    addresses: AtomicU64,
}

/// The newest numbers, and those they are compared with for rates.
#[derive(Debug)]
struct Latest {
    now: ShardStats,
    now_at: Instant,
    before: ShardStats,
    before_at: Instant,
    /// Whether the media threads answered the last time they were asked.
    answered: bool,
}

impl Reporter {
    /// Rates are over at least this long.
    const RATE_OVER: Duration = Duration::from_secs(5);

    pub(crate) fn new(
        control: Arc<Control>,
        threads: Arc<ThreadCounters>,
        identity: Identity,
        load_threshold: f64,
    ) -> Self {
        let now = Instant::now();
        let latest = Latest {
            now: ShardStats::default(),
            now_at: now,
            before: ShardStats::default(),
            before_at: now,
            answered: true,
        };
        Self {
            control,
            threads,
            identity,
            load_threshold,
            latest: Mutex::new(latest),
            link_up: AtomicBool::new(false),
            rooms_joined: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            leaving: Mutex::default(),
            refusals: Default::default(),
            addresses: AtomicU64::new(1),
        }
    }

    pub(crate) fn version(&self) -> &str {
        &self.identity.version
    }

    pub(crate) fn media_port(&self) -> u16 {
        self.identity.media_port
    }

    pub(crate) fn set_link_up(&self, up: bool) {
        self.link_up.store(up, Ordering::Relaxed);
    }

    pub(crate) fn set_rooms_joined(&self, n: usize) {
        self.rooms_joined.store(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_draining(&self, on: bool) {
        self.draining.store(on, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn set_addresses(&self, n: usize) {
        self.addresses.store(n as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// The admin wants this bridge to leave.
    pub(crate) fn leave(&self, now: Instant, wish: Wish) {
        self.leaving().handle_wish(now, wish);
    }

    /// With so many people here, at this time: whether the process is to end.
    pub(crate) fn has_left(&self, now: Instant, people: u64) -> bool {
        self.leaving().handle_timeout(now, people)
    }

    fn leaving(&self) -> std::sync::MutexGuard<'_, Leaving> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_brewery_counters(&self, c: BreweryCounters) {
        for (cell, value) in self.refusals.iter().zip([c.forbidden, c.malformed, c.unknown, c.overloaded]) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    /// Asks the media threads now.
    pub(crate) async fn refresh(&self) -> ShardStats {
        let shards = self.control.stats().await;
        let mut sum = ShardStats::default();
        for s in &shards {
            sum.add(s);
        }
        let now = Instant::now();
        let mut latest = self.latest();
        latest.answered = shards.len() == self.control.shards();
        if now.saturating_duration_since(latest.before_at) >= Self::RATE_OVER {
            latest.before = std::mem::take(&mut latest.now);
            latest.before_at = latest.now_at;
        }
        latest.now = sum.clone();
        latest.now_at = now;
        sum
    }

    /// The keys of `/colibri/stats` (videobridge, appendix A).
    pub(crate) async fn json(&self) -> Map<String, Value> {
        let now = self.refresh().await;
        let latest = self.latest();
        let elapsed = latest.now_at.saturating_duration_since(latest.before_at);
        let rate = now.packet_rate(&latest.before, elapsed);
        now.keys(&latest.before, elapsed, &self.state(rate, latest.answered))
    }

    /// What is asked for over HTTP: the same, and what the bridge of today says no more while dashboards still show it.
    pub(crate) async fn json_for_dashboards(&self) -> Map<String, Value> {
        let mut keys = self.json().await;
        let (sizes, jitter) = {
            let latest = self.latest();
            let jitter = latest.now.jitter_sum.as_secs_f64() * 1000.0 / latest.now.jitter_count.max(1) as f64;
            (latest.now.conferences_by_size, jitter)
        };
        keys.insert("jitter_aggregate".to_owned(), jitter.into());
        let copies = [
            ("loss_rate_download", "incoming_loss"),
            ("loss_rate_upload", "outgoing_loss"),
            ("audiochannels", "endpoints"),
            ("videochannels", "endpoints"),
            ("videostreams", "endpoints_sending_video"),
        ];
        for (old, now) in copies {
            if let Some(value) = keys.get(now).cloned() {
                keys.insert(old.to_owned(), value);
            }
        }
        // By participants; the last of the 22 is for more than that.
        let sizes = sizes.iter().copied().chain([0]).collect::<Vec<u64>>();
        keys.insert("conference_sizes".to_owned(), sizes.into());
        keys
    }

    /// The frame of `/debug` around what the shards tell.
    pub(crate) fn debug(&self, conferences: Conferences) -> Value {
        let latest = self.latest();
        let elapsed = latest.now_at.saturating_duration_since(latest.before_at);
        let state = self.state(latest.now.packet_rate(&latest.before, elapsed), latest.answered);
        let shutdown = match (state.shutting_down, state.graceful_shutdown) {
            (true, _) => "SHUTTING_DOWN",
            (_, true) => "GRACEFUL_SHUTDOWN",
            _ => "RUNNING",
        };
        json!({
            "shutdown_state": shutdown,
            "drain": state.drain,
            "time": state.current_timestamp,
            "load_management": { "stress": state.stress_level },
            "conferences": conferences,
        })
    }

    /// What is published in the brewery, and whether the bridge is well.
    pub(crate) async fn for_brewery(&self) -> (BridgeStats, Result<(), String>) {
        let keys = self.json().await;
        let text = |v: Value| match v {
            Value::String(s) => s,
            other => other.to_string(),
        };
        (BridgeStats(keys.into_iter().map(|(k, v)| (k, text(v))).collect()), self.health())
    }

    /// Whether the bridge can take conferences. Does not wait.
    pub(crate) fn health(&self) -> Result<(), String> {
        if self.addresses.load(Ordering::Relaxed) == 0 {
            return Err("this machine has no network address for media any more".to_owned());
        }
        if self.latest().answered { Ok(()) } else { Err("a media thread does not answer".to_owned()) }
    }

    /// The bridge's part of `/metrics`. Does not wait; the numbers are as old as the last refresh.
    pub(crate) fn expose(&self, out: &mut Exposition) {
        let latest = self.latest();
        let s = &latest.now;
        let elapsed = latest.now_at.saturating_duration_since(latest.before_at);
        let keys = s.keys(
            &latest.before,
            elapsed,
            &self.state(s.packet_rate(&latest.before, elapsed), latest.answered),
        );
        for (name, key) in GAUGES {
            let value = match keys.get(*key) {
                Some(Value::Bool(on)) => f64::from(u8::from(*on)),
                Some(value) => value.as_f64().unwrap_or_default(),
                None => continue,
            };
            out.gauge(&format!("jitsi_jvb_{name}"), key, value);
        }
        for (name, key) in COUNTERS {
            if let Some(value) = keys.get(*key).and_then(Value::as_u64) {
                out.counter(&format!("jitsi_jvb_{name}"), key, value);
            }
        }
        let drops = Discard::ALL.iter().map(|d| (d.reason(), s.totals.dropped(*d)));
        out.counters("plausch_bridge_dropped", "Datagrams dropped, by reason.", "reason", drops);
        let drops = DropReason::ALL.iter().map(|d| (d.reason(), s.media.dropped(*d)));
        out.counters("plausch_bridge_media_dropped", "Media packets dropped, by reason.", "reason", drops);
        let addresses = self.addresses.load(Ordering::Relaxed);
        out.gauge("plausch_bridge_media_addresses", "Addresses media is received on.", addresses as f64);
        let thread_rows = self.threads.rows();
        out.counters("plausch_bridge_thread", "Events of the media threads.", "event", thread_rows);
        out.counter(
            "plausch_bridge_command_overflows",
            "Commands that found a full queue.",
            self.control.overflows(),
        );
        let names = ["forbidden", "malformed", "unknown", "overloaded"];
        let rows = names.into_iter().zip(self.refusals.iter().map(|c| c.load(Ordering::Relaxed)));
        out.counters("plausch_bridge_iq_refused", "IQs refused, by reason.", "reason", rows);
    }

    fn state(&self, packet_rate: f64, healthy: bool) -> BridgeState {
        let up = u64::from(self.link_up.load(Ordering::Relaxed));
        let stopping = self.stopping.load(Ordering::Relaxed);
        let leaving = *self.leaving();
        BridgeState {
            healthy,
            drain: self.is_draining(),
            graceful_shutdown: stopping || leaving != Leaving::No,
            shutting_down: stopping || matches!(leaving, Leaving::Soon { .. }),
            version: self.identity.version.clone(),
            release: None,
            region: self.identity.region.clone(),
            relay_id: self.identity.relay_id.clone(),
            stress_level: packet_rate / self.load_threshold,
            current_timestamp: timestamp(SystemTime::now()),
            threads: self.control.shards() as u64,
            muc_clients_configured: u64::from(self.identity.rooms > 0),
            muc_clients_connected: up,
            mucs_configured: self.identity.rooms,
            mucs_joined: up * self.rooms_joined.load(Ordering::Relaxed),
        }
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Metric names after `jitsi_jvb_` (videobridge, appendix B) with the stats keys that say the same.
const GAUGES: &[(&str, &str)] = &[
    ("graceful_shutdown", "graceful_shutdown"),
    ("shutting_down", "shutting_down"),
    ("drain_mode", "drain"),
    ("healthy", "healthy"),
    ("stress", "stress_level"),
    ("conferences", "conferences"),
    ("conferences_inactive", "inactive_conferences"),
    ("conferences_p2p", "p2p_conferences"),
    ("conferences_with_relay", "octo_conferences"),
    ("largest_conference", "largest_conference"),
    ("current_endpoints", "endpoints"),
    ("local_endpoints", "local_endpoints"),
    ("active_endpoints", "local_active_endpoints"),
    ("endpoints_inactive", "inactive_endpoints"),
    ("endpoints_recvonly", "receive_only_endpoints"),
    ("endpoints_relayed", "octo_endpoints"),
    ("endpoints_sending_audio", "endpoints_sending_audio"),
    ("endpoints_sending_video", "endpoints_sending_video"),
    ("current_visitors", "visitors"),
    ("incoming_bitrate", "bit_rate_download"),
    ("outgoing_bitrate", "bit_rate_upload"),
    ("incoming_packet_rate", "packet_rate_download"),
    ("outgoing_packet_rate", "packet_rate_upload"),
    ("incoming_loss_fraction", "incoming_loss"),
    ("outgoing_loss_fraction", "outgoing_loss"),
    ("loss_fraction", "overall_loss"),
    ("average_rtt", "rtt_aggregate"),
    ("tcc_unmatched_feedback", "tcc_unmatched_feedback"),
    ("thread_count", "threads"),
    ("muc_clients_configured", "muc_clients_configured"),
    ("muc_clients_connected", "muc_clients_connected"),
    // compat: upstream reports the configured ones under this name
    // (test: compat_mucs_connected_are_the_configured_ones).
    ("mucs_connected", "mucs_configured"),
    ("mucs_joined", "mucs_joined"),
];

/// The same for totals; the format adds `_total`.
const COUNTERS: &[(&str, &str)] = &[
    ("conferences_created", "total_conferences_created"),
    ("conferences_completed", "total_conferences_completed"),
    ("conference_seconds", "total_conference_seconds"),
    ("endpoints", "total_participants"),
    ("visitors", "total_visitors"),
    ("relays", "total_relays"),
    ("endpoints_no_message_transport_after_delay", "num_eps_no_msg_transport_after_delay"),
    ("packets_received", "total_packets_received"),
    ("packets_sent", "total_packets_sent"),
    ("bytes_received", "total_bytes_received"),
    ("bytes_sent", "total_bytes_sent"),
    ("keyframes_received", "total_keyframes_received"),
    ("dominant_speaker_changes", "total_dominant_speaker_changes"),
    ("data_channel_messages_received", "total_data_channel_messages_received"),
    ("data_channel_messages_sent", "total_data_channel_messages_sent"),
    ("colibri_web_socket_messages_received", "total_colibri_web_socket_messages_received"),
    ("colibri_web_socket_messages_sent", "total_colibri_web_socket_messages_sent"),
    ("endpoints_ice_failed", "endpoints_ice_failed"),
    ("endpoints_dtls_failed", "dtls_failed_endpoints"),
    ("ice_failed", "total_ice_failed"),
    ("ice_succeeded", "total_ice_succeeded"),
    ("ice_succeeded_relayed", "total_ice_succeeded_relayed"),
    ("endpoints_disconnected", "endpoints_disconnected"),
    ("endpoints_reconnected", "endpoints_reconnected"),
    // Ours: people whose network gave them another address while they spoke.
    ("paths_followed", "total_paths_followed"),
];

/// UTC as `yyyy-MM-dd HH:mm:ss.SSS`. Days are turned into a date by the well-known civil-from-days arithmetic.
fn timestamp(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}.{:03}",
        second / 3600,
        second / 60 % 60,
        second % 60,
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_dates() {
        let at = |secs: u64| timestamp(UNIX_EPOCH + Duration::from_millis(secs * 1000 + 7));
        assert_eq!(at(0), "1970-01-01 00:00:00.007");
        assert_eq!(at(951_827_696), "2000-02-29 12:34:56.007");
        assert_eq!(at(1_795_478_399), "2026-11-23 23:59:59.007");
    }
}
