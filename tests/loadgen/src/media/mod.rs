//! Participants with ICE, DTLS, SRTP and SCTP against a bridge: a scenario in, a report out.

/// What to do.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Whose CPU time and memory to read.
    #[arg(long)]
    pid: Option<u32>,
}

/// Runs the scenario; the report is one JSON object.
///
/// # Errors
/// One line that says what did not work.
pub fn run(arguments: &Arguments) -> anyhow::Result<serde_json::Value> {
    let _ = arguments.pid;
    anyhow::bail!("not there yet")
}
