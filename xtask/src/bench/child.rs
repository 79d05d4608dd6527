//! A program and where it shall run in; the running child, or the JSON report it printed, out. No child outlives us.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Cores and network a program runs on.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// As for `taskset -c`; `None` leaves the choice to the kernel.
    pub(crate) cores: Option<String>,
    /// The file of a network namespace; `None` is our own.
    pub(crate) network: Option<PathBuf>,
}

impl Place {
    /// The program in this place. Each word replaces the process (exec), so the child's id is the program's.
    pub(crate) fn command(&self, program: &Path) -> Command {
        // When we are killed, the kernel kills the child.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(network) = &self.network {
            command.arg("nsenter").arg(format!("--net={}", network.display()));
        }
        if let Some(cores) = &self.cores {
            command.args(["taskset", "-c", cores]);
        }
        command.arg(program);
        command
    }
}

/// A running child with the last lines of what it said; killed when dropped.
pub(crate) struct Running {
    child: Child,
    said: Arc<Mutex<VecDeque<String>>>,
    listener: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts it; standard output goes where the command says, standard error is kept.
    ///
    /// # Errors
    /// It can not be started.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let listener = child.stderr.take().map(|errors| {
            let said = Arc::clone(&said);
            std::thread::spawn(move || {
                for line in BufReader::new(errors).split(b'\n').map_while(Result::ok) {
                    let line = String::from_utf8_lossy(&line).trim().to_owned();
                    if let (false, Ok(mut said)) = (line.is_empty(), said.lock()) {
                        said.push_back(line);
                        if said.len() > KEPT_LINES {
                            said.pop_front();
                        }
                    }
                }
            })
        });
        Ok(Self { child, said, listener })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its end, when it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last thing it said: for a tool of ours, the reason why it failed.
    pub(crate) fn last_words(&mut self) -> String {
        if self.ended().is_some() {
            // What is still in the pipe of a child that has ended comes at once.
            self.listener.take().map(JoinHandle::join);
        }
        self.said
            .lock()
            .ok()
            .and_then(|said| said.back().cloned())
            .unwrap_or_else(|| "it said nothing".into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a tool to its end and reads the report in the last line of what it printed.
///
/// # Errors
/// It can not be started, fails (with its own line), takes longer than `most`, or prints no report.
pub(crate) fn report(mut command: Command, most: Duration) -> Result<Value> {
    command.stdout(Stdio::piped());
    let mut running = Running::start(command)?;
    let output = running.child.stdout.take().context("no output")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let done = output.take(MOST_OUTPUT).read_to_string(&mut text);
        done.map(|_| text)
    });
    let from = Instant::now();
    let status = loop {
        if let Some(status) = running.ended() {
            break status;
        }
        if from.elapsed() > most {
            bail!(
                "not done after {:.0} s; ended. Its last words: {}",
                most.as_secs_f64(),
                running.last_words()
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    if !status.success() {
        bail!("{} ({status})", running.last_words());
    }
    let text = reader.join().ok().context("reading its output failed")?.context("its output is not text")?;
    let line = text.lines().rev().find(|l| !l.trim().is_empty()).context("it printed no report")?;
    serde_json::from_str(line).with_context(|| format!("its last line is no report: {line:.200}"))
}

/// Lines of a child's standard error that are kept.
const KEPT_LINES: usize = 50;
/// A report is a few kB; a tool that floods us is wrong.
const MOST_OUTPUT: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(script: &str) -> Command {
        let mut command = Place { cores: None, network: None }.command(Path::new("sh"));
        command.args(["-c", script]);
        command
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn the_report_is_the_last_line_whatever_was_printed_before() {
        let value = report(tool("echo hello; echo '{\"loss\":0.5}'; echo progress >&2"), LONG).unwrap();
        assert_eq!(value["loss"], 0.5);
    }

    #[test]
    fn a_failing_tool_is_quoted_with_its_last_line() {
        let error =
            report(tool("echo working >&2; echo 'loadgen: no bridge there' >&2; exit 1"), LONG).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("loadgen: no bridge there (exit status: 1)"), "{text}");
    }

    #[test]
    fn no_report_and_a_broken_report_are_errors() {
        assert!(report(tool("true"), LONG).unwrap_err().to_string().contains("no report"));
        assert!(report(tool("echo '{'"), LONG).unwrap_err().to_string().contains("no report"));
    }

    #[test]
    fn a_tool_that_hangs_is_ended() {
        let from = Instant::now();
        let error =
            report(tool("echo $$ >&2; exec sleep 60"), Duration::from_millis(300)).unwrap_err().to_string();
        assert!(error.contains("not done") && from.elapsed() < Duration::from_secs(10), "{error}");
        let pid = error.rsplit(' ').next().unwrap();
        assert!(!Path::new("/proc").join(pid).exists(), "{error}");
    }

    #[test]
    fn a_child_goes_with_its_handle() {
        let running = Running::start(tool("exec sleep 60")).unwrap();
        let folder = Path::new("/proc").join(running.id().to_string());
        assert!(folder.exists());
        drop(running);
        assert!(!folder.exists());
    }
}
