//! What the bridge tells about itself: the shards' numbers in; stats JSON, brewery presence, metrics and health out.

mod cpu;
mod expose;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jitsi_xmpp::bridge_stats::BridgeStats;
use serde_json::{Map, Value, json};
use videobridge_core::stats::BridgeState;
use videobridge_core::{Command, LoadReducer, ShardStats};

use self::cpu::{Busy, Spent};
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
    pub(crate) media_port: u16,
}

/// Collects and tells. One per process; shared.
#[derive(Debug)]
pub(crate) struct Reporter {
    started: SystemTime,
    control: Arc<Control>,
    threads: Arc<ThreadCounters>,
    identity: Identity,
    /// Packets per second at which the bridge calls itself fully loaded (`load-threshold`).
    load_threshold: f64,
    /// Sends fewer pictures while it is too much, where that is wanted.
    reducer: Option<Mutex<LoadReducer>>,
    latest: Mutex<Latest>,
    links: Mutex<Links>,
    draining: AtomicBool,
    stopping: AtomicBool,
    leaving: Mutex<Leaving>,
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
    /// What the machine had spent when rates began, and how busy it was over the last of them.
    spent: Option<Spent>,
    busy: Busy,
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
            spent: Spent::now(),
            busy: Busy::default(),
        };
        Self {
            started: SystemTime::now(),
            control,
            threads,
            identity,
            load_threshold,
            reducer: None,
            latest: Mutex::new(latest),
            links: Mutex::default(),
            draining: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            leaving: Mutex::default(),
            addresses: AtomicU64::new(1),
        }
    }

    /// The same; while it is overloaded it sends fewer pictures.
    pub(crate) fn that_reduces_load(mut self) -> Self {
        self.reducer = Some(Mutex::default());
        self
    }

    /// Time for a look at the load, with the newest numbers.
    pub(crate) fn reduce_load(&self, now: Instant, stats: &ShardStats) {
        let Some(mut reducer) = self.reducer() else { return };
        let stress = self.load(stats, &self.latest());
        let forwarded = u32::try_from(stats.most_forwarded).unwrap_or(u32::MAX);
        let changed = reducer.handle_load(now, stress, forwarded);
        let last_n = reducer.last_n();
        match last_n.filter(|_| changed) {
            Some(n) => tracing::warn!(stress, "the load of this bridge: everybody gets at most {n} pictures"),
            None if changed => tracing::info!("this bridge sends all pictures again"),
            None => {}
        }
        // Each time: a thread that had no place for it is told again.
        self.control.broadcast(|| Command::LimitLastN(last_n));
    }

    fn reducer(&self) -> Option<std::sync::MutexGuard<'_, LoadReducer>> {
        self.reducer.as_ref().map(|reducer| reducer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn version(&self) -> &str {
        &self.identity.version
    }

    pub(crate) fn media_port(&self) -> u16 {
        self.identity.media_port
    }

    /// A connection to an XMPP server that is kept from now on, with so many rooms.
    pub(crate) fn add_link(&self, rooms: u64) -> Arc<LinkState> {
        let state = Arc::new(LinkState { rooms, ..LinkState::default() });
        self.links().open.push(Arc::clone(&state));
        state
    }

    /// It is not any more; what was counted stays.
    pub(crate) fn remove_link(&self, gone: &Arc<LinkState>) {
        let mut links = self.links();
        links.open.retain(|one| !Arc::ptr_eq(one, gone));
        let last = gone.counts();
        for (sum, n) in links.past.iter_mut().zip(last) {
            *sum += n;
        }
    }

    fn links(&self) -> std::sync::MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
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
            let spent = Spent::now();
            let busy = spent.as_ref().zip(latest.spent.as_ref()).and_then(|(now, then)| now.since(then));
            latest.busy = busy.unwrap_or(latest.busy);
            latest.spent = spent;
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
        let load = self.load(&now, &latest);
        now.keys(&latest.before, elapsed, &self.state(load, latest.answered))
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
        let state = self.state(self.load(&latest.now, &latest), latest.answered);
        let shutdown = match (state.shutting_down, state.graceful_shutdown) {
            (true, _) => "SHUTTING_DOWN",
            (_, true) => "GRACEFUL_SHUTDOWN",
            _ => "RUNNING",
        };
        json!({
            "shutdown_state": shutdown,
            "drain": state.drain,
            "time": state.current_timestamp,
            "load_management": self.load_management(state.stress_level),
            "conferences": conferences,
        })
    }

    fn load_management(&self, stress: f64) -> Value {
        let Some(reducer) = self.reducer() else {
            return json!({ "stress": stress, "reducer_enabled": false });
        };
        json!({
            "state": if reducer.is_overloaded() { "OVERLOADED" } else { "NOT_OVERLOADED" },
            "stress": stress,
            "reducer_enabled": true,
            "reducer": { "jvbLastN": reducer.last_n().map_or(-1, i64::from) },
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

    /// How loaded the bridge is, 1 = fully: by what it forwards or by what its machine works, whichever is more.
    fn load(&self, now: &ShardStats, latest: &Latest) -> f64 {
        let elapsed = latest.now_at.saturating_duration_since(latest.before_at);
        let packets = now.packet_rate(&latest.before, elapsed) / self.load_threshold;
        packets.max(latest.busy.load / CPU_THRESHOLD)
    }

    fn state(&self, stress: f64, healthy: bool) -> BridgeState {
        let [configured, connected, rooms, joined] = self.links().numbers();
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
            stress_level: stress,
            current_timestamp: timestamp(SystemTime::now()),
            threads: self.control.shards() as u64,
            muc_clients_configured: configured,
            muc_clients_connected: connected,
            mucs_configured: rooms,
            mucs_joined: joined,
        }
    }

    fn latest(&self) -> std::sync::MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How busy a machine is when it is fully loaded (upstream's `cpu-usage.load-threshold`).
const CPU_THRESHOLD: f64 = 0.9;

/// One connection to an XMPP server, as it is told of.
#[derive(Debug, Default)]
pub(crate) struct LinkState {
    rooms: u64,
    up: AtomicBool,
    joined: AtomicU64,
    /// IQs refused: forbidden, malformed, unknown, overloaded; and how often it was lost.
    counts: [AtomicU64; 5],
}

impl LinkState {
    pub(crate) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
        if let (false, [.., lost]) = (up, &self.counts) {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn set_joined(&self, rooms: usize) {
        self.joined.store(rooms as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_refused(&self, c: BreweryCounters) {
        for (cell, value) in self.counts.iter().zip([c.forbidden, c.malformed, c.unknown, c.overloaded]) {
            cell.store(value, Ordering::Relaxed);
        }
    }

    fn counts(&self) -> [u64; 5] {
        self.counts.each_ref().map(|n| n.load(Ordering::Relaxed))
    }
}

/// All connections, and what those that are gone had counted.
#[derive(Debug, Default)]
struct Links {
    open: Vec<Arc<LinkState>>,
    past: [u64; 5],
}

impl Links {
    fn counts(&self) -> [u64; 5] {
        let mut sums = self.past;
        for link in &self.open {
            for (sum, n) in sums.iter_mut().zip(link.counts()) {
                *sum += n;
            }
        }
        sums
    }

    /// Connections, those of them that are up, their rooms, and those that we are in.
    fn numbers(&self) -> [u64; 4] {
        let up = self.open.iter().filter(|link| link.up.load(Ordering::Relaxed));
        let (connected, joined) =
            up.fold((0, 0), |(n, joined), link| (n + 1, joined + link.joined.load(Ordering::Relaxed)));
        [self.open.len() as u64, connected, self.open.iter().map(|link| link.rooms).sum(), joined]
    }
}

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
