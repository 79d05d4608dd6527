//! Level and format in, a process-wide `tracing` subscriber out. One line per event, on standard error or standard output.
//!
//! Nobody waits for a log: lines go over a bounded queue to a thread of their own, and what cannot be written (a full disk, a
//! reader that sleeps or is gone) is lost and counted. Crates that are not ours say nothing below `info`, whatever is asked
//! for: at `trace` they print what they read, passwords included.

mod jitsi;

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt, reload};

use crate::limits::{LOG_BYTES, LOG_FLUSH, LOG_LINES};

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object per line, for log collectors.
    Json,
    /// As upstream's programs write them, for what reads those.
    Jitsi,
}

pub use self::jitsi::Program;

/// Where lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Standard error.
    Error,
    /// Standard output.
    Output,
}

impl To {
    /// `stderr` or `stdout`; when nothing is said, what readers of the format expect.
    pub fn of(text: &str, format: Format) -> Result<Self, String> {
        match (text, format) {
            ("stderr", _) | ("", Format::Text | Format::Json) => Ok(Self::Error),
            ("stdout", _) | ("", Format::Jitsi) => Ok(Self::Output),
            _ => Err("must be `stderr` or `stdout`".into()),
        }
    }

    fn stream(self) -> Box<dyn Write> {
        match self {
            Self::Error => Box::new(io::stderr()),
            Self::Output => Box::new(io::stdout()),
        }
    }

    fn is_terminal(self) -> bool {
        match self {
            Self::Error => io::stderr().is_terminal(),
            Self::Output => io::stdout().is_terminal(),
        }
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "jitsi" => Ok(Self::Jitsi),
            _ => Err("must be `text`, `json` or `jitsi`".into()),
        }
    }
}

/// Checks a filter such as `info` or `info,focus_core=debug`.
pub fn check_filter(filter: &str) -> Result<(), String> {
    // Choosing spans by their fields compiles expressions, and some take minutes. Nothing of ours has spans.
    if filter.contains('[') {
        return Err("must be levels and targets, without `[`".into());
    }
    filter
        .parse::<EnvFilter>()
        .map(drop)
        .map_err(|e| format!("not a log filter (off, error, warn, info, debug, trace or target=level): {e}"))
}

/// Installs the subscriber. A second call in one process changes nothing, so that tests may call it freely.
pub fn init(filter: &str, format: Format, to: To, program: Program) {
    if QUEUE.get().is_some() {
        return;
    }
    let (queue, lines) = Queue::new();
    if QUEUE.set(queue).is_err() {
        return;
    }
    // Without a thread there is no log; the service itself does not need it.
    let _ = std::thread::Builder::new().name("log".into()).spawn(move || write_out(&lines, to));
    let (filter, handle) = reload::Layer::new(filter_of(filter));
    let _ = FILTER.set(handle);
    let filter = filter.and(ours());
    let layer = fmt::layer().with_writer(|| Line).with_target(true).log_internal_errors(false);
    let layer = match format {
        Format::Text => layer.with_ansi(to.is_terminal()).with_filter(filter).boxed(),
        Format::Json => layer.json().flatten_event(true).with_filter(filter).boxed(),
        Format::Jitsi => layer.with_ansi(false).event_format(program).with_filter(filter).boxed(),
    };
    // An error here means that a subscriber is installed already.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        match backtrace.status() {
            std::backtrace::BacktraceStatus::Captured => tracing::error!("{panic}\n{backtrace}"),
            _ => tracing::error!("{panic}"),
        }
    }));
}

/// Says as much as this from now on, if the subscriber is ours.
pub fn say_as(filter: &str) {
    if let Some(handle) = FILTER.get() {
        // It fails when the subscriber is gone, and nobody logs any more.
        let _ = handle.reload(filter_of(filter));
    }
}

fn filter_of(text: &str) -> EnvFilter {
    EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse_lossy(text)
}

/// What decides how much is said.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Waits until everything that was logged before is written, but not for long.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush();
    }
}

/// Lines that could not be written since the start.
pub fn lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// As a filter.
fn ours<S>() -> impl Filter<S> {
    filter_fn(may_speak).with_max_level_hint(LevelFilter::TRACE)
}

/// Ours at any level, others from `info` on.
fn may_speak(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::INFO || may_speak_below_info(event.target())
}

/// Whether a target is one of ours.
pub fn may_speak_below_info(target: &str) -> bool {
    let krate = target.split("::").next().unwrap_or_default();
    OURS.iter().any(|ours| krate.starts_with(ours))
}

/// How the names of our crates begin.
const OURS: &[&str] = &[
    "plausch",
    "service",
    "focus_",
    "videobridge_",
    "prosody_",
    "turn_core",
    "turn_server",
    "xmpp_link",
    "jitsi_xmpp",
    "budget",
];

enum Entry {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

static QUEUE: OnceLock<Queue> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);

/// One event; `tracing-subscriber` writes it in one piece.
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !QUEUE.get().is_some_and(|queue| queue.put(line)) {
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What waits to be written: at most [`LOG_LINES`] and [`LOG_BYTES`].
struct Queue {
    entries: SyncSender<Entry>,
    bytes: AtomicUsize,
}

impl Queue {
    fn new() -> (Self, Receiver<Entry>) {
        let (entries, lines) = sync_channel(LOG_LINES);
        (Self { entries, bytes: AtomicUsize::new(0) }, lines)
    }

    /// `false`: there is no room, the line is lost. Never waits.
    fn put(&self, line: &[u8]) -> bool {
        let before = self.bytes.fetch_add(line.len(), Ordering::Relaxed);
        let fits = before.saturating_add(line.len()) <= LOG_BYTES;
        let sent = fits && self.entries.try_send(Entry::Line(line.to_vec())).is_ok();
        if !sent {
            self.written(line.len());
        }
        sent
    }

    /// So many bytes wait no longer.
    fn written(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.entries.try_send(Entry::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(LOG_FLUSH);
        }
    }
}

fn write_out(lines: &Receiver<Entry>, to: To) {
    let mut told = 0;
    let mut out = to.stream();
    while let Ok(entry) = lines.recv() {
        match entry {
            Entry::Flush(done) => drop(done.send(())),
            Entry::Line(line) => {
                let lost = lost();
                if lost > told && writeln!(out, "{} log lines were lost before this one", lost - told).is_ok()
                {
                    told = lost;
                }
                if out.write_all(&line).and_then(|()| out.flush()).is_err() {
                    LOST.fetch_add(1, Ordering::Relaxed);
                }
                if let Some(queue) = QUEUE.get() {
                    queue.written(line.len());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a hint of the most that a filter lets through, two of them together have none, and every word that a crate below us says to
    /// itself, with each packet and each frame, was put before the filter.
    #[test]
    fn what_is_not_said_is_not_even_asked_about() {
        let filter = |text: &str| filter_of(text).and(ours());
        let most = |text: &str| Filter::<Registry>::max_level_hint(&filter(text));
        assert_eq!(most("info"), Some(LevelFilter::INFO));
        assert_eq!(most("warn,focus_core=debug"), Some(LevelFilter::DEBUG));
    }

    #[test]
    fn filters_and_formats_are_checked_before_they_are_used() {
        assert!(check_filter("info,focus_core=debug").is_ok());
        assert!(check_filter("info,focus_core=lots").is_err());
        // Expressions are not even read.
        assert!(check_filter("info[x{a=(a|b)*c}]=debug").is_err());
        assert_eq!("json".parse::<Format>(), Ok(Format::Json));
        assert!("xml".parse::<Format>().is_err());
    }

    #[test]
    fn so_many_lines_wait_to_be_written_and_one_more_is_lost() {
        let (queue, lines) = Queue::new();
        assert!((0..LOG_LINES).all(|_| queue.put(b"x")));
        assert!(!queue.put(b"x"));
        drop(lines.recv());
        assert!(queue.put(b"x"));
    }

    #[test]
    fn so_many_bytes_wait_to_be_written_and_one_more_is_lost() {
        let (queue, _lines) = Queue::new();
        assert!(!queue.put(&vec![b'x'; LOG_BYTES + 1]));
        assert!(queue.put(&vec![b'x'; LOG_BYTES]));
        assert!(!queue.put(b"x"));
        queue.written(1);
        assert!(queue.put(b"x"));
    }

    #[test]
    fn the_end_waits_for_a_log_that_nobody_reads_but_not_for_long() {
        let (queue, _lines) = Queue::new();
        let start = std::time::Instant::now();
        queue.flush();
        assert!((LOG_FLUSH..2 * LOG_FLUSH).contains(&start.elapsed()), "{:?}", start.elapsed());
    }

    /// A crate of the workspace that is missing in the list would be silent at `debug`.
    #[test]
    fn every_crate_of_ours_may_speak_at_every_level() {
        let manifest = include_str!("../../../Cargo.toml");
        let ours = manifest.lines().filter_map(|l| l.split_once(" = { path = \""));
        // What tests and measuring tools are made of is not in the product, and what is not ours may speak as others may.
        let others = ["tests/", "tools/", "third-party/"];
        for (name, _) in ours.filter(|(_, path)| !others.iter().any(|folder| path.starts_with(folder))) {
            let krate = name.replace('-', "_");
            assert!(OURS.iter().any(|o| krate.starts_with(o)), "{krate}");
        }
    }
}
