//! A Docker daemon of our own in a network namespace, and what it needs from Debian: namespace in; a client that talks to it out.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::browser;
use crate::run::step;
use crate::setup;

/// Programs, and Debian's packages that bring them.
pub(crate) const NEEDED: &[(&str, &str)] = &[
    ("dockerd", "docker.io"),
    ("docker", "docker.io"),
    ("iptables", "iptables"),
    ("debootstrap", "debootstrap"),
    ("strip", "binutils"),
];

/// The daemon; it ends, with all its containers, when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    folder: PathBuf,
    plugins: PathBuf,
}

impl Daemon {
    /// Starts it in a network namespace and waits until it answers.
    ///
    /// # Errors
    /// It can not be started, or says nothing.
    pub(crate) fn start(network: &Path, plugins: &Path) -> Result<Self> {
        // Short, as paths of sockets are.
        let folder = std::env::temp_dir().join(format!("plausch-docker-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let log = File::create(folder.join("log"))?;
        // When we are killed, the kernel ends the daemon. `nsenter`, because `ip netns exec` hides the control groups.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "nsenter"]).arg(format!("--net={}", network.display()));
        command.arg("dockerd").arg("--data-root").arg(folder.join("data"));
        command.arg("--exec-root").arg(folder.join("exec")).arg("--pidfile").arg(folder.join("pid"));
        command.arg("--host").arg(socket(&folder));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().context("cannot start dockerd")?;
        let mut it = Self { child, folder, plugins: plugins.to_owned() };
        let end = Instant::now() + Duration::from_secs(60);
        while !it.docker().arg("info").output()?.status.success() {
            if it.child.try_wait()?.is_some() || Instant::now() > end {
                bail!("dockerd does not answer\n{}", it.log());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(it)
    }

    /// A client of it.
    pub(crate) fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        self.reachable(&mut command);
        command
    }

    /// Tells a program where it is.
    pub(crate) fn reachable(&self, command: &mut Command) {
        command.env("DOCKER_HOST", socket(&self.folder)).env("DOCKER_CONFIG", &self.plugins);
        // The newer builder is a package of its own.
        command.env("DOCKER_BUILDKIT", "0");
    }

    /// The last lines it logged.
    pub(crate) fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It stops its containers first.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let end = Instant::now() + Duration::from_secs(30);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn socket(folder: &Path) -> String {
    format!("unix://{}", folder.join("socket").display())
}

/// A folder of Docker's configuration with `docker compose` in it: version 2, of the next Debian, as this one has only the first.
///
/// # Errors
/// It can not be fetched.
pub(crate) fn compose_plugin() -> Result<PathBuf> {
    let folder = browser::target().join("tools/docker").canonicalize_or_made()?;
    let plugin = folder.join("cli-plugins/docker-compose");
    if plugin.exists() {
        return Ok(folder);
    }
    let fetched = folder.join("fetched");
    fetch("docker-compose", "amd64", "trixie", &fetched)?;
    std::fs::create_dir_all(folder.join("cli-plugins"))?;
    std::fs::rename(fetched.join("tree/usr/libexec/docker/cli-plugins/docker-compose"), &plugin)?;
    std::fs::remove_dir_all(&fetched)?;
    Ok(folder)
}

/// Unpacks a package, of whatever processor and Debian, in `folder/tree`, without an installation.
///
/// # Errors
/// It can not be fetched.
pub(crate) fn fetch(package: &str, arch: &str, suite: &str, folder: &Path) -> Result<()> {
    let folder = folder.canonicalize_or_made()?;
    let apt = folder.join("apt");
    std::fs::create_dir_all(apt.join("lists/partial"))?;
    std::fs::write(apt.join("sources"), format!("deb [arch={arch}] {} {suite} main\n", mirror()?))?;
    let options = [
        format!("Dir::Etc::SourceList={}", apt.join("sources").display()),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        format!("Dir::State::Lists={}", apt.join("lists").display()),
        format!("Dir::Cache={}", apt.display()),
        format!("APT::Architectures={arch}"),
        "APT::Sandbox::User=root".to_owned(),
    ];
    for words in [&["update", "-qq"][..], &["download", &format!("{package}:{arch}")]] {
        let mut get = Command::new("apt-get");
        get.args(options.iter().flat_map(|o| ["-o", o])).args(words).current_dir(&apt);
        get.stdout(std::io::stderr());
        step(package, get)?;
    }
    let file = std::fs::read_dir(&apt)?.flatten().map(|e| e.path());
    let file = file.filter(|p| p.extension().is_some_and(|e| e == "deb")).last();
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("-x").arg(file.with_context(|| format!("no {package} among Debian's packages"))?);
    unpack.arg(folder.join("tree"));
    step(package, unpack)?;
    Ok(std::fs::remove_dir_all(&apt)?)
}

/// A Debian as small as it is made, as a tar file; made once.
///
/// # Errors
/// Debian's packages can not be fetched.
pub(crate) fn debian() -> Result<PathBuf> {
    let folder = browser::target().join("tools/debian").canonicalize_or_made()?;
    let file = folder.join("bookworm.tar");
    if file.exists() {
        return Ok(file);
    }
    let tree = folder.join("tree");
    let _ = std::fs::remove_dir_all(&tree);
    let mut make = Command::new("debootstrap");
    make.args(["--variant=minbase", "bookworm"]).arg(&tree).arg(mirror()?);
    make.stdout(std::io::stderr());
    step("Debian from its packages", make)?;
    for left in SUPERFLUOUS {
        let _ = std::fs::remove_dir_all(tree.join(left));
    }
    pack(&tree, &file)?;
    Ok(file)
}

/// The same with a package and what that needs; made once. `systemd-sysv` makes it what a machine has.
///
/// # Errors
/// Debian's packages can not be fetched.
pub(crate) fn debian_with(package: &str) -> Result<PathBuf> {
    let folder = browser::target().join("tools/debian").canonicalize_or_made()?;
    let file = folder.join(format!("bookworm-{package}.tar"));
    if file.exists() {
        return Ok(file);
    }
    let tree = folder.join("tree-with");
    unpack(&debian()?, &tree)?;
    // apt inside asks the mirror that this machine asks.
    std::fs::copy("/etc/resolv.conf", tree.join("etc/resolv.conf"))?;
    std::fs::create_dir_all(tree.join("var/log/apt"))?;
    let quiet = setup::NoServices::below(&tree)?;
    for words in [&["update", "-qq"][..], &["install", "-qq", "--no-install-recommends", package]] {
        let mut apt = Command::new("chroot");
        apt.arg(&tree).arg("apt-get").arg("-y").args(words).stdout(std::io::stderr());
        apt.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C.UTF-8");
        step(&format!("{package} in it"), apt)?;
    }
    drop(quiet);
    std::fs::remove_file(tree.join("etc/resolv.conf"))?;
    for left in SUPERFLUOUS {
        let _ = std::fs::remove_dir_all(tree.join(left));
    }
    pack(&tree, &file)?;
    Ok(file)
}

/// A tar file's tree in a folder that is new.
pub(crate) fn unpack(file: &Path, tree: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(tree);
    std::fs::create_dir_all(tree)?;
    let mut unpack = Command::new("tar");
    unpack.arg("--extract").arg("--file").arg(file).arg("--directory").arg(tree);
    step("Debian in a folder", unpack)?;
    // Maintainers' scripts may ask for it.
    Ok(std::fs::create_dir_all(tree.join("var/log"))?)
}

/// A tree as a tar file, which is there whole or not at all; the tree is gone.
fn pack(tree: &Path, file: &Path) -> Result<()> {
    let unfinished = file.with_extension("unfinished");
    let mut pack = Command::new("tar");
    pack.arg("--create").arg("--file").arg(&unfinished).arg("--directory").arg(tree).arg(".");
    step("Debian as a file", pack)?;
    std::fs::rename(&unfinished, file)?;
    Ok(std::fs::remove_dir_all(tree)?)
}

/// Where this machine has its Debian packages from.
fn mirror() -> Result<String> {
    if !setup::is_root() {
        bail!("this needs root: it makes a Debian in a folder");
    }
    let out = Command::new("apt-get").args(["indextargets", "--format", "$(SITE) $(CODENAME)"]).output()?;
    let text = String::from_utf8(out.stdout).context("apt-get indextargets")?;
    let own = text.lines().find_map(|l| l.strip_suffix(" bookworm"));
    Ok(own.context("this machine has no source of Debian 12's packages")?.to_owned())
}

trait Made {
    fn canonicalize_or_made(&self) -> Result<PathBuf>;
}

impl Made for Path {
    fn canonicalize_or_made(&self) -> Result<PathBuf> {
        std::fs::create_dir_all(self)?;
        self.canonicalize().with_context(|| self.display().to_string())
    }
}

/// What a container does without.
const SUPERFLUOUS: &[&str] = &[
    "var/cache/apt/archives",
    "var/lib/apt/lists",
    "var/log",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/lintian",
];
