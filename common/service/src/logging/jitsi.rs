//! Events in, lines out as the log analyser of docker-jitsi-meet reads them from Jicofo, the bridge and Prosody.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Whose lines ours are to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The focus, and an all-in-one.
    Jicofo,
    /// The bridge.
    Jvb,
    /// The XMPP server.
    Prosody,
}

impl<S, N> FormatEvent<S, N> for Program
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut now = String::new();
        SystemTime.format_time(&mut Writer::new(&mut now))?;
        let about = event.metadata();
        self.head(&mut out, &now, *about.level(), about.target(), about.line().unwrap_or(0))?;
        context.field_format().format_fields(out.by_ref(), event)?;
        writeln!(out)
    }
}

impl Program {
    /// All before the text. `now` as RFC 3339 has it, in UTC.
    fn head(self, out: &mut Writer<'_>, now: &str, level: Level, target: &str, line: u32) -> fmt::Result {
        let (day, time) = now.split_once('T').unwrap_or((now, ""));
        let code = target.replace("::", ".");
        let pid = std::process::id();
        match self {
            Self::Jicofo => {
                let time = time.get(..12).unwrap_or(time);
                write!(out, "Jicofo {day} {time} {}: [{pid}] {code}#{line}: ", java(level))
            }
            // The analyser knows neither time nor level of the bridge's lines; the level is worth having.
            Self::Jvb => write!(out, "JVB  [{pid}] {code}#{line}: {}: ", java(level)),
            Self::Prosody => {
                let time = time.get(..8).unwrap_or(time);
                write!(out, "{day} {time}  {code}                {}\t", prosody(level))
            }
        }
    }
}

fn java(level: Level) -> &'static str {
    match level {
        Level::ERROR => "SEVERE",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG => "FINE",
        Level::TRACE => "FINER",
    }
}

fn prosody(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(program: Program, level: Level) -> String {
        let mut text = String::new();
        let now = "2026-08-20T12:00:00.123456Z";
        program.head(&mut Writer::new(&mut text), now, level, "focus_core::route", 12).unwrap();
        text.replace(&format!("[{}]", std::process::id()), "[7]")
    }

    /// What `otel-collector-config.yaml` of upstream's log analyser takes apart.
    #[test]
    fn compat_lines_are_those_that_the_log_analyser_reads() {
        assert_eq!(
            line(Program::Jicofo, Level::WARN),
            "Jicofo 2026-08-20 12:00:00.123 WARNING: [7] focus_core.route#12: "
        );
        assert_eq!(line(Program::Jvb, Level::INFO), "JVB  [7] focus_core.route#12: INFO: ");
        assert_eq!(
            line(Program::Prosody, Level::ERROR),
            "2026-08-20 12:00:00  focus_core.route                error\t"
        );
    }
}
