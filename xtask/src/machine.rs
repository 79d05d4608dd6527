//! A whole Debian as a tar file in; one that systemd has booted, in a folder and a network namespace, and what commands in it say, out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::browser;
use crate::docker;
use crate::namespace::Namespace;
use crate::run::step;

/// Programs that it needs, and Debian's packages that bring them.
pub(crate) const NEEDED: &[(&str, &str)] = &[
    ("systemd-nspawn", "systemd-container"),
    ("debootstrap", "debootstrap"),
    ("ip", "iproute2"),
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("nsenter", "util-linux"),
];

/// The machine. It ends when dropped, and its folder is gone.
pub(crate) struct Machine {
    folder: PathBuf,
    namespace: Namespace,
    child: Child,
    /// systemd, as we see it.
    first: u32,
}

impl Machine {
    /// Boots one. Its network is loopback, and one address that is like a public one.
    ///
    /// # Errors
    /// It does not boot.
    pub(crate) fn boot(name: &str) -> Result<Self> {
        let tar = docker::debian_with("systemd-sysv")?;
        let folder = browser::target().join("tools/debian").join(name);
        docker::unpack(&tar, &folder)?;
        let folder = folder.canonicalize()?;
        let namespace = Namespace::new()?;
        for words in [
            // Both ends of a wire.
            &["link", "add", "outside", "type", "veth", "peer", "name", "nobody"][..],
            &["addr", "add", &format!("{ADDRESS}/24"), "dev", "outside"],
            &["link", "set", "outside", "up"],
            &["link", "set", "nobody", "up"],
        ] {
            let mut ip = Command::new("ip");
            ip.args(["-n", namespace.name()]).args(words);
            ensure!(ip.status()?.success(), "{ip:?}");
        }
        fs::write(folder.join("etc/hosts"), format!("127.0.0.1 localhost\n{ADDRESS} {HOST}\n"))?;
        fs::write(folder.join("etc/hostname"), "meet\n")?;
        let log = File::create(folder.with_extension("log"))?;
        // The kernel ends it when we are killed.
        let mut nspawn = Command::new("setpriv");
        nspawn
            .args(["--pdeathsig", "KILL", "systemd-nspawn", "--boot", "--quiet", "--directory"])
            .arg(&folder);
        nspawn.args([
            "--register=no",
            "--keep-unit",
            "--console=pipe",
            "--resolv-conf=off",
            "--timezone=off",
        ]);
        nspawn.arg(format!("--network-namespace-path={}", namespace.file().display()));
        nspawn.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = nspawn.spawn().context("cannot start systemd-nspawn")?;
        let mut it = Self { folder, namespace, child, first: 0 };
        let end = Instant::now() + Duration::from_secs(90);
        loop {
            it.first = it.systemd().unwrap_or(0);
            if it.first != 0 {
                let said = it.says(&["systemctl", "is-system-running"]).unwrap_or_default();
                if matches!(said.trim(), "running" | "degraded") {
                    return Ok(it);
                }
            }
            if it.child.try_wait()?.is_some() || Instant::now() > end {
                bail!("the machine does not boot: {}", it.folder.with_extension("log").display());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn systemd(&self) -> Option<u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        children.split_whitespace().last()?.parse().ok()
    }

    /// A file of its, as we see it.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.join(path.trim_start_matches('/'))
    }

    /// A file of ours, as it sees it.
    pub(crate) fn take(&self, file: &Path) -> Result<String> {
        let name = file.file_name().context("a file has a name")?.to_string_lossy().into_owned();
        fs::copy(file, self.at(&format!("srv/{name}"))).with_context(|| file.display().to_string())?;
        Ok(format!("/srv/{name}"))
    }

    /// A program of ours in its network.
    pub(crate) fn beside(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.namespace.name(), program]).stdin(Stdio::null());
        command.stdout(std::io::stderr());
        command
    }

    /// The network that it is in.
    pub(crate) fn network(&self) -> &Namespace {
        &self.namespace
    }

    /// A command that root types there, in the folder `/srv`.
    pub(crate) fn inside(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &self.first.to_string(),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--root",
        ]);
        command.args(["--wdns=/srv"]).args(words);
        command.env_clear().env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LC_ALL", "C.UTF-8").env("HOME", "/srv").env("DEBIAN_FRONTEND", "noninteractive");
        command.stdin(Stdio::null()).stdout(std::io::stderr());
        command
    }

    /// Runs one that has to succeed.
    pub(crate) fn does(&self, words: &[&str]) -> Result<()> {
        step(&words.join(" "), self.inside(words))
    }

    /// What one printed, whatever its exit code.
    pub(crate) fn says(&self, words: &[&str]) -> Result<String> {
        let out = self.inside(words).stdout(Stdio::piped()).stderr(Stdio::null()).output()?;
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// Asks until it is so.
    pub(crate) fn until(&self, what: &str, seconds: u64, mut is: impl FnMut() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(seconds);
        while !is()? {
            if Instant::now() > end {
                let log = self.says(&["journalctl", "--no-pager", "--lines=40"])?;
                bail!("not within {seconds} s: {what}\n{log}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The name that leads to it.
pub(crate) const HOST: &str = "meet.example";
/// Of those that are kept for documentation (RFC 5737 §3).
pub(crate) const ADDRESS: &str = "203.0.113.10";
