//! Counters and gauges of all parts in, one Prometheus text out.
//!
//! A part either registers `prometheus-client` metrics, or, when it keeps plain numbers (a media thread does), hands
//! in a function that writes them at scrape time.

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

type Source = Box<dyn Fn(&mut Exposition) + Send + Sync>;

/// The metrics of one process; cheap to clone.
#[derive(Clone, Default)]
pub struct Metrics {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    registry: Registry,
    sources: Vec<Source>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a part register its metrics.
    pub fn register(&self, fill: impl FnOnce(&mut Registry)) {
        fill(&mut self.lock().registry);
    }

    /// Adds a function that writes a part's numbers at scrape time. It must not block.
    pub fn add(&self, source: impl Fn(&mut Exposition) + Send + Sync + 'static) {
        self.lock().sources.push(Box::new(source));
    }

    /// Everything as Prometheus text (OpenMetrics, ending in `# EOF`).
    pub fn encode(&self) -> String {
        let inner = self.lock();
        let mut registered = String::new();
        // Writing into a String does not fail.
        let _ = encode(&mut registered, &inner.registry);
        let mut out = Exposition { text: registered.trim_end_matches("# EOF\n").to_owned() };
        for source in &inner.sources {
            source(&mut out);
        }
        out.text.push_str("# EOF\n");
        out.text
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A panic while writing a number leaves nothing half done that matters.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Text under construction; one call per metric family, rows of one family together.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// A value that goes up and down.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.rows(name, "gauge", "", help, &[(&[], value)]);
    }

    /// A value that only rises. `name` is without the `_total` that the format adds.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.rows(name, "counter", "_total", help, &[(&[], value as f64)]);
    }

    /// A counter with one label, for instance errors by reason.
    pub fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        rows: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.family(name, "counter", help);
        for (value, n) in rows {
            self.row(name, "_total", &[(label, value)], n as f64);
        }
    }

    /// A gauge with one label.
    pub fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        rows: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        self.family(name, "gauge", help);
        for (value, n) in rows {
            self.row(name, "", &[(label, value)], n);
        }
    }

    /// How many things there are of each size at present: `counts[n]` of size n, the last of at least that.
    pub fn histogram(&mut self, name: &str, help: &str, counts: &[u64]) {
        self.family(name, "histogram", help);
        let (mut below, mut sum) = (0, 0);
        let last = counts.len().saturating_sub(1);
        for (size, count) in counts.iter().enumerate() {
            below += count;
            sum += count * size as u64;
            let bound = if size == last { "+Inf".to_owned() } else { size.to_string() };
            self.row(name, "_bucket", &[("le", &bound)], below as f64);
        }
        self.row(name, "_sum", &[], sum as f64);
        self.row(name, "_count", &[], below as f64);
    }

    fn rows(&mut self, name: &str, kind: &str, suffix: &str, help: &str, rows: &[(&[(&str, &str)], f64)]) {
        self.family(name, kind, help);
        for (labels, value) in rows {
            self.row(name, suffix, labels, *value);
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {}\n# TYPE {name} {kind}", help.replace('\n', " "));
    }

    fn row(&mut self, name: &str, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.text, "{name}{suffix}");
        for (i, (label, v)) in labels.iter().enumerate() {
            let v = v.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{}{label}=\"{v}\"", if i == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn registered_and_written_metrics_stand_in_one_text_with_one_end() {
        let metrics = Metrics::new();
        let c = Counter::<u64>::default();
        metrics.register(|r| r.register("requests", "Requests", c.clone()));
        metrics.add(|out| {
            out.gauge("plausch_rooms", "Rooms", 2.0);
            out.counters("plausch_errors", "Errors", "reason", [("bad \"xml\"", 3)]);
            out.histogram("plausch_sizes", "Sizes", &[1, 0, 2]);
        });
        c.inc();
        let text = metrics.encode();
        assert!(text.contains("requests_total 1\n"), "{text}");
        assert!(text.contains("plausch_rooms 2\n"), "{text}");
        assert!(text.contains("plausch_errors_total{reason=\"bad \\\"xml\\\"\"} 3\n"), "{text}");
        for row in ["bucket{le=\"0\"} 1", "bucket{le=\"1\"} 1", "bucket{le=\"+Inf\"} 3", "sum 4", "count 3"] {
            assert!(text.contains(&format!("plausch_sizes_{row}\n")), "{row}: {text}");
        }
        assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1, "{text}");
    }
}
