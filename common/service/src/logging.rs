//! Level and format in, a process-wide `tracing` subscriber out. Writes to standard error, one line per event.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be `text` or `json`".into()),
        }
    }
}

/// Checks a filter such as `info` or `info,focus_core=debug`.
pub fn check_filter(filter: &str) -> Result<(), String> {
    filter
        .parse::<EnvFilter>()
        .map(drop)
        .map_err(|e| format!("not a log filter (off, error, warn, info, debug, trace or target=level): {e}"))
}

/// Installs the subscriber. A second call in one process changes nothing, so that tests may call it freely.
pub fn init(filter: &str, format: Format) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse_lossy(filter);
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(true);
    // An error here means that a subscriber is installed already.
    let _ = match format {
        Format::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_and_formats_are_checked_before_they_are_used() {
        assert!(check_filter("info,focus_core=debug").is_ok());
        assert!(check_filter("info,focus_core=lots").is_err());
        assert_eq!("json".parse::<Format>(), Ok(Format::Json));
        assert!("xml".parse::<Format>().is_err());
    }
}
