//! Restart of a focus that stands alone: its signal and what it knows in, the same process with the program that is installed now out;
//! and what such a process, or a focus that was killed, has left.
//!
//! What is handed over is in memory alone: a file without a name that this process makes and gives to its successor as standard
//! input, or one in a folder in memory.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use focus_server::{FocusHandle, Handover, Kept, Restart};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use service::{Effective, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// What this process' standard input is called when it is what a focus has left.
const NAME: &str = "plausch-focus";

/// Where it is kept what a successor needs, in case that this process is killed. `None`: nowhere.
pub(crate) fn kept(effective: &Effective, folder: Option<&Path>) -> Result<Option<Kept>, StartError> {
    let Some(folder) = folder else { return Ok(None) };
    let bad = |why: String| effective.bad("focus.handover", why);
    let of = statfs(folder).map_err(|e| bad(format!("must be a folder: {e}")))?;
    if of.filesystem_type() != TMPFS_MAGIC {
        return Err(bad(
            "must be in memory (tmpfs), such as below /run: what is kept there names people".to_owned()
        ));
    }
    Ok(Some(Kept::within(folder)))
}

/// What a focus before this one has left.
pub(crate) fn before(kept: Option<Kept>) -> Restart {
    let read = match inherited() {
        Some(file) => read(file).map(Some),
        None => kept.as_ref().map_or(Ok(None), Kept::read),
    };
    let before = read.unwrap_or_else(|e| {
        tracing::warn!("what the focus before has left {e}: conferences begin anew");
        None
    });
    Restart { before, kept }
}

fn inherited() -> Option<File> {
    let name = fs::read_link("/proc/self/fd/0").ok()?;
    let ours = name.to_str().is_some_and(|n| n.strip_prefix("/memfd:").is_some_and(|n| n.starts_with(NAME)));
    ours.then(|| io::stdin().as_fd().try_clone_to_owned().ok().map(File::from)).flatten()
}

/// Nothing of it is left in there afterwards.
fn read(mut file: File) -> Result<Handover, focus_server::TakeOverError> {
    file.rewind()?;
    let handover = Handover::read(&file);
    file.set_len(0)?;
    handover
}

/// Waits for SIGUSR2, and then becomes the program that is installed now. Only an error comes back from that.
pub(crate) async fn on_signal(focus: FocusHandle, program: Option<PathBuf>, end: watch::Sender<bool>) {
    let Ok(mut asked) = signal(SignalKind::user_defined2()) else { return };
    let Some(program) = program else { return };
    loop {
        if asked.recv().await.is_none() {
            return;
        }
        let works = {
            let program = program.clone();
            tokio::task::spawn_blocking(move || works(&program)).await.unwrap_or(false)
        };
        if !works {
            tracing::error!("no restart: the program that is installed does not run");
            continue;
        }
        tracing::info!("restarting: conferences go on");
        let handover = focus.hand_over().await;
        let failed = tokio::task::spawn_blocking(move || become_successor(&program, handover)).await;
        // The focus has ended, and with it the process.
        tracing::error!(error = ?failed, "no restart: meetings end");
        end.send_replace(true);
        return;
    }
}

/// Takes SIGUSR2 for a part that cannot hand anything on: unheeded, it would end the process and with it all meetings.
pub(crate) async fn refuse(mut asked: Signal) {
    while asked.recv().await.is_some() {
        tracing::error!(
            "no upgrade: only the all-in-one and a focus that stands alone go on by a signal; drain this part (plausch drain) and restart it"
        );
    }
}

/// This program's file, before another one is put in its place.
pub(crate) fn own_program() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

pub(crate) fn works(program: &Path) -> bool {
    let version = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    version.is_ok_and(|v| v.status.success())
}

fn become_successor(program: &Path, handover: Option<Handover>) -> io::Error {
    service::logging::flush();
    let mut args = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = args.next() {
        command.arg0(name);
    }
    command.args(args);
    match handover.as_ref().map(in_memory) {
        Some(Ok(file)) => command.stdin(file),
        Some(Err(e)) => return e,
        None => command.stdin(Stdio::null()),
    };
    command.exec()
}

fn in_memory(handover: &Handover) -> io::Result<File> {
    let mut file = File::from(memfd_create(NAME, MFdFlags::MFD_CLOEXEC)?);
    file.write_all(&handover.to_bytes())?;
    file.rewind()?;
    Ok(file)
}
