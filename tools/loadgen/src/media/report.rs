//! Measured windows in; one JSON object out.

use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::Arguments;
use super::scenario::Plan;
use super::session::Window;

/// Above this share of datagrams lost at our own sockets, the loss is ours.
const OWN_DROPS: f64 = 0.0002;
/// A sender this late in one of a hundred cases does not send the pattern it should.
const LAG: Duration = Duration::from_millis(10);
/// Left out or not taken by our own kernel.
const UNSENT: f64 = 0.01;
/// A shortfall this large is not explained by what was on its way at the edges of a window.
const SHORTFALL: f64 = 0.02;

/// What one window says.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) offered_pps: f64,
    pub(crate) received: u64,
    pub(crate) expected: u64,
    pub(crate) received_pps: f64,
    pub(crate) loss: f64,
    pub(crate) p99: Duration,
    pub(crate) generator_limited: bool,
    pub(crate) server_cpu: Option<Duration>,
    pub(crate) server_rss: Option<u64>,
    pub(crate) cpu_ns_per_packet: Option<f64>,
    pub(crate) seconds: f64,
    generator_cpu: Duration,
    bitrate: f64,
    server_wake_ups: Option<f64>,
    latency: Value,
    speech: Value,
    details: Value,
}

impl Figures {
    pub(crate) fn of(window: &Window) -> Self {
        let Window { before, after, seconds, .. } = window;
        let seconds = seconds.max(1e-6);
        let (t, b) = (&after.totals, &before.totals);
        let (r, rb) = (&after.received, &before.received);
        let per_second = |n: u64| n as f64 / seconds;
        let (sent, received) = (t.sent - b.sent, r.packets - rb.packets);
        let expected = r.expected - rb.expected;
        let gaps = 1.0 - received as f64 / expected.max(1) as f64;
        // What never came shows no gap when all of a stream is missing.
        let due = t.due - b.due;
        let shortfall = 1.0 - received as f64 / due.max(1) as f64;
        let all = due > 0 && shortfall > SHORTFALL;
        let loss = if all { gaps.max(shortfall) } else { gaps }.clamp(0.0, 1.0);
        let skipped = (t.skipped - b.skipped) + (t.unsent - b.unsent);
        let datagrams = t.datagrams - b.datagrams;
        let generator_limited = window.own_drops as f64 > OWN_DROPS * datagrams as f64
            || skipped as f64 > UNSENT * (sent + skipped) as f64
            || after.lag.quantile(0.99) > LAG;
        let server_cpu = window.server_cpu;
        let of_server = |cpu: Duration| cpu.as_nanos() as f64 / received.max(1) as f64;
        Self {
            offered_pps: per_second(sent),
            received,
            expected: if all { due.max(expected) } else { expected },
            received_pps: per_second(received),
            loss,
            p99: after.latency.quantile(0.99),
            generator_limited,
            server_cpu,
            server_rss: window.server_rss,
            cpu_ns_per_packet: server_cpu.filter(|_| received > 0).map(of_server),
            seconds,
            generator_cpu: after.cpu.saturating_sub(before.cpu),
            bitrate: per_second(r.bytes - rb.bytes) * 8.0,
            server_wake_ups: window.server_wake_ups.map(per_second),
            latency: after.latency.to_json(),
            speech: after.speech.to_json(),
            details: json!({
                "datagrams": datagrams,
                "socket_reads": t.looks - b.looks,
                "cut": t.cut - b.cut,
                "duplicates": r.duplicates - rb.duplicates,
                "nacked": r.nacked - rb.nacked,
                "repaired": r.repaired - rb.repaired,
                "stream_restarts": r.restarts - rb.restarts,
                "untracked": r.untracked - rb.untracked,
                "authentic_samples": t.authentic - b.authentic,
                "broken_samples": t.broken - b.broken,
                "retransmissions_sent": t.repeated - b.repeated,
                "retransmissions_too_old": t.forgotten - b.forgotten,
                "key_frame_requests": t.key_frame_requests - b.key_frame_requests,
                "transport_feedback": t.feedback - b.feedback,
                "constraint_changes": t.constraints,
                "own_socket_drops": window.own_drops,
                "left_out": skipped,
                "send_lag": after.lag.to_json(),
            }),
        }
    }

    /// Met when nearly nothing is lost and nearly nothing is late.
    pub(crate) fn good(&self) -> bool {
        self.received > 0 && self.loss < 0.001 && self.p99 < Duration::from_millis(20)
    }

    pub(crate) const fn latency(&self) -> &Value {
        &self.latency
    }

    fn point(&self) -> Value {
        let share = self.server_cpu.map(|c| round(c.as_secs_f64() / self.seconds, 4));
        json!({
            "offered_pps": round(self.offered_pps, 1),
            "received_pps": round(self.received_pps, 1),
            "loss": round(self.loss, 6),
            "p50_us": self.latency["p50_us"], "p99_us": self.latency["p99_us"], "p999_us": self.latency["p999_us"],
            "server_cpu_share": share,
            "server_rss_bytes": self.server_rss,
            "cpu_ns_per_packet": self.cpu_ns_per_packet.map(|n| round(n, 1)),
            "generator_cpu_share": round(self.generator_cpu.as_secs_f64() / self.seconds, 4),
            "generator_limited": self.generator_limited,
        })
    }
}

/// The object in the making.
pub(crate) struct Report {
    all: Map<String, Value>,
    curve: Vec<Value>,
    phases: Vec<Value>,
    rss_before: Option<u64>,
    endpoints: usize,
}

impl Report {
    pub(crate) fn new(arguments: &Arguments, plan: &Plan, rss_before: Option<u64>) -> Self {
        let mut all = Map::new();
        let name = arguments.scenario.to_possible_value().map(|v| v.get_name().to_owned());
        all.insert("scenario".into(), json!(name));
        all.insert("endpoints".into(), json!(plan.participants()));
        all.insert("rooms".into(), json!(plan.rooms.len()));
        if plan.flat() {
            all.insert("packet_bytes".into(), json!(arguments.size));
            all.insert("burst".into(), json!(arguments.burst));
        }
        all.insert("ssrc_rewriting".into(), json!(!arguments.no_ssrc_rewriting));
        all.insert("server_rss_before_bytes".into(), json!(rss_before));
        for unknown in ["capacity_pps", "goodput_150_ratio"] {
            all.insert(unknown.into(), Value::Null);
        }
        Self { all, curve: Vec::new(), phases: Vec::new(), rss_before, endpoints: plan.participants() }
    }

    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.all.insert(key.to_owned(), value);
    }

    /// The window the report is about.
    pub(crate) fn window(&mut self, window: &Window) {
        let figures = Figures::of(window);
        self.figures(&figures);
        self.point(&figures);
        self.set("join", join(window));
    }

    /// What the report is about, when it is one of several.
    pub(crate) fn figures(&mut self, f: &Figures) {
        let grown = f.server_rss.zip(self.rss_before).map(|(now, before)| now.saturating_sub(before));
        let values = json!({
            "seconds": round(f.seconds, 3),
            "server_cpu_seconds": f.server_cpu.map(|c| round(c.as_secs_f64(), 3)),
            "generator_cpu_seconds": round(f.generator_cpu.as_secs_f64(), 3),
            "generator_limited": f.generator_limited,
            "server_rss_bytes": f.server_rss,
            "rss_per_endpoint_bytes": grown.map(|g| g / self.endpoints.max(1) as u64),
            "offered_pps": round(f.offered_pps, 1),
            "expected_packets": f.expected,
            "received_packets": f.received,
            "received_pps": round(f.received_pps, 1),
            "loss": round(f.loss, 6),
            "cpu_ns_per_packet": f.cpu_ns_per_packet.map(|n| round(n, 1)),
            "bitrate_bps": round(f.bitrate, 0),
            "server_wake_ups_per_second": f.server_wake_ups.map(|n| round(n, 1)),
            "cpu_us_per_participant_second": f.server_cpu.map(|cpu| {
                round(cpu.as_secs_f64() * 1e6 / f.seconds / self.endpoints.max(1) as f64, 1)
            }),
            "latency": f.latency,
            "speech": f.speech,
            "details": f.details,
        });
        if let Value::Object(values) = values {
            self.all.extend(values);
        }
    }

    /// A point of the curve.
    pub(crate) fn point(&mut self, figures: &Figures) {
        self.curve.push(figures.point());
    }

    /// One span of a network that changes. The report's own figures are those of the last; the limits of all count.
    pub(crate) fn phase(&mut self, name: &str, window: &Window) {
        let limited = self.all.get("generator_limited") == Some(&Value::Bool(true));
        let figures = Figures::of(window);
        self.figures(&figures);
        if limited {
            self.set("generator_limited", true.into());
        }
        self.set("join", join(window));
        let mut phase = figures.point();
        phase["name"] = name.into();
        phase["bitrate_bps"] = json!(round(figures.bitrate, 0));
        phase["details"] = figures.details;
        self.phases.push(phase);
    }

    pub(crate) fn into_json(mut self) -> Value {
        self.curve.sort_by(|a, b| {
            a["offered_pps"]
                .as_f64()
                .partial_cmp(&b["offered_pps"].as_f64())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        self.all.insert("curve".into(), self.curve.into());
        if !self.phases.is_empty() {
            self.all.insert("phases".into(), self.phases.into());
        }
        self.all.into()
    }
}

/// How long joining took, of everybody who did.
pub(crate) fn join(window: &Window) -> Value {
    let up = &window.after.up;
    let us = |d: Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
    json!({
        "count": up.count(),
        "p50_us": us(up.quantile(0.5)), "p99_us": us(up.quantile(0.99)), "max_us": us(up.quantile(1.0)),
        "first_media": window.after.media.to_json(),
    })
}

pub(crate) fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
