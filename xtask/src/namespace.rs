//! A network namespace with only loopback: made in one call, gone with everything in it when we are, however we end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};

use crate::setup::is_root;

/// The namespace; what still runs in it is ended when it goes.
pub(crate) struct Namespace {
    name: String,
    caretaker: Child,
}

impl Namespace {
    /// Makes it.
    ///
    /// # Errors
    /// Not root, or iproute2 is missing or refuses.
    pub(crate) fn new() -> Result<Self> {
        if !is_root() {
            bail!("this needs root: it makes a network namespace of its own");
        }
        let name = format!("plausch-{}", std::process::id());
        ip(&["netns", "add", &name])?;
        // Reads until we close the pipe or are gone, whatever ended us: so no way out leaves anything behind.
        let caretaker = Command::new("sh")
            .args(["-c", CARETAKER, "sh", &name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match caretaker {
            Ok(caretaker) => {
                let it = Self { name, caretaker };
                ip(&["-n", &it.name, "link", "set", "lo", "up"])?;
                Ok(it)
            }
            Err(e) => {
                ip(&["netns", "del", &name])?;
                Err(e).context("cannot start sh")
            }
        }
    }

    /// Its name for `ip netns`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub(crate) fn file(&self) -> PathBuf {
        Path::new("/var/run/netns").join(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.caretaker.stdin.take());
        let _ = self.caretaker.wait();
    }
}

/// Does something in the network namespace that a file stands for, or in our own, on a thread of its own.
///
/// # Errors
/// The namespace is gone or may not be entered.
pub(crate) fn inside<T: Send>(network: Option<&Path>, act: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                if let Some(path) = network {
                    let file = File::open(path).with_context(|| format!("no network {}", path.display()))?;
                    setns(file, CloneFlags::CLONE_NEWNET).context("cannot enter the network namespace")?;
                }
                Ok(act())
            })
            .join()
            .map_err(|_| anyhow!("a check in the network namespace panicked"))?
    })
}

fn ip(args: &[&str]) -> Result<()> {
    let status = Command::new("ip").args(args).status().context("cannot start ip (package iproute2)")?;
    if !status.success() {
        bail!("ip {} failed", args.join(" "));
    }
    Ok(())
}

const CARETAKER: &str = r#"
trap '' INT TERM HUP
read -r _
for p in $(ip netns pids "$1"); do kill -KILL "$p"; done
ip netns del "$1"
"#;
