//! Debian's package: a built program in; a `.deb`, or one that was installed, upgraded, removed and purged in a Debian of its own, out.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::browser;
use crate::docker;
use crate::images;
use crate::machine::{self, Machine};
use crate::moving;
use crate::namespace::Namespace;
use crate::public;
use crate::run::{self, step};
use crate::setup;
use crate::takeover;
use crate::unit;

/// Builds the package as it is shipped, or that of a web client, and says where it lies.
pub(crate) fn build(words: &[&str]) -> Result<()> {
    match words {
        [] => {}
        ["--web", folder] => {
            println!("{}", pack_web(Path::new(folder), VERSION, "xz")?.display());
            return Ok(());
        }
        _ => bail!("usage: cargo xtask deb [--web FOLDER]"),
    }
    // With its target said, as for images on a Debian, so that it is built once for both.
    let file = pack(&images::ship(images::USUAL)?, VERSION, "xz")?;
    println!("{}", file.display());
    Ok(())
}

/// Installs, upgrades, removes and purges it.
pub(crate) fn test() -> Result<()> {
    setup::need(&[("systemd-analyze", "systemd"), ("strip", "binutils")])?;
    setup::need(machine::NEEDED)?;
    setup::install_pebble()?;
    let mut security = Command::new("systemd-analyze");
    // In tenths: 2.0.
    security.args(["security", "--offline=yes", "--threshold=20", "--no-pager", UNIT]).stdout(Stdio::null());
    step("hardening of the unit", security)?;
    let base = docker::debian()?;
    run::program()?;
    let program = browser::target().join("package-program");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&program).arg(browser::binary("debug", "plausch")?);
    step("strip", strip)?;
    story(&Debian::unpack(&base)?, &program)?;
    let machine = Machine::boot("machine")?;
    let shipped = pack(&program, VERSION, "gzip")?;
    public::story(&machine, &shipped, &program)?;
    let package = machine.take(&shipped)?;
    unit::story(&machine, &package)?;
    moving::story(&machine, &package)?;
    takeover::story(&machine, &package)
}

/// From the first installation to the purge, as an admin sees it.
fn story(debian: &Debian, program: &Path) -> Result<()> {
    let read = |file: &str| fs::read_to_string(debian.at(file)).with_context(|| file.to_owned());
    let gone = |file: &str| !debian.at(file).exists();
    let ufw = "etc/ufw/applications.d/plausch";
    let wanted = "etc/systemd/system/multi-user.target.wants/plausch.service";

    debian.answers("meet.example", "admin@meet.example")?;
    debian.dpkg("--install", &debian.take(&pack(program, "0.0.1", "gzip")?)?)?;
    let written = read(CONFIG)?;
    ensure!(written.contains("public_url = \"https://meet.example\""), "the first answer: {written}");
    ensure!(written.contains("email = \"admin@meet.example\""), "the second answer: {written}");
    ensure!(debian.at(wanted).is_symlink(), "the service starts with the machine");
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no", "--recursive-errors=no", "--root"]).arg(&debian.0);
    step("unit", {
        verify.arg("plausch.service");
        verify
    })?;

    // What the admin writes stays.
    let own = "# mine\n[http]\npublic_url = \"https://rathaus.example\"\n";
    fs::write(debian.at(CONFIG), own)?;
    fs::write(debian.at(ufw), format!("{}# mine\n", read(ufw)?))?;
    debian.dpkg("--install", &debian.take(&pack(program, "0.0.2", "gzip")?)?)?;
    ensure!(read(CONFIG)? == own, "an upgrade changes nothing that the admin wrote");
    ensure!(read(ufw)?.ends_with("# mine\n"), "nor in what dpkg watches over");
    debian.serves()?;

    debian.dpkg("--remove", "plausch")?;
    ensure!(gone("usr/bin/plausch") && gone(wanted), "a removal takes the program");
    ensure!(read(CONFIG)? == own, "and leaves the configuration");
    fs::create_dir_all(debian.at("var/lib/private/plausch"))?;
    debian.dpkg("--purge", "plausch")?;
    for left in ["etc/plausch", ufw, "usr/lib/plausch", "var/lib/plausch", "var/lib/private/plausch"] {
        ensure!(gone(left), "a purge takes {left}");
    }

    // Without answers: nothing is asked of anybody else, and nothing is made up.
    debian.answers("", "")?;
    debian.dpkg("--install", &debian.take(&pack(program, "0.0.3", "gzip")?)?)?;
    let web = browser::target().join("package-of-a-client");
    fs::create_dir_all(&web)?;
    fs::write(web.join("index.html"), "<title>a client</title>")?;
    debian.dpkg("--install", &debian.take(&pack_web(&web, "0.0.1", "gzip")?)?)?;
    ensure!(
        read("usr/share/jitsi-meet/index.html")?.contains("a client"),
        "the web client lies in its place"
    );
    let written = read(CONFIG)?;
    ensure!(!written.contains("public_url") && !written.contains("acme"), "no answers: {written}");
    debian.serves()
}

/// The package of a program, in cargo's target folder.
fn pack(program: &Path, version: &str, compression: &str) -> Result<PathBuf> {
    let tree = browser::target().join("package");
    let _ = fs::remove_dir_all(&tree);
    let put = |from: &Path, to: &str, mode: u32| {
        let to = tree.join(to);
        fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
        fs::copy(from, &to).with_context(|| from.display().to_string())?;
        anyhow::Ok(fs::set_permissions(&to, Permissions::from_mode(mode))?)
    };
    put(program, "usr/bin/plausch", 0o755)?;
    for (from, to) in FILES {
        put(Path::new(from), to, 0o644)?;
    }
    put(Path::new("packaging/take-over"), "usr/lib/plausch/take-over", 0o755)?;
    for script in ["config", "postinst", "prerm", "postrm"] {
        put(&Path::new("packaging/debian").join(script), &format!("DEBIAN/{script}"), 0o755)?;
    }
    let size = (fs::metadata(program)?.len() / 1024 + 64).to_string();
    let control = fs::read_to_string("packaging/debian/control")?;
    let control = control.replace("@VERSION@", version).replace("@SIZE@", &size);
    fs::write(tree.join("DEBIAN/control"), control)?;
    close(&tree, &format!("plausch_{version}_amd64.deb"), compression)
}

/// The package of a web client.
fn pack_web(folder: &Path, version: &str, compression: &str) -> Result<PathBuf> {
    ensure!(folder.join("index.html").is_file(), "no web client: {} has no index.html", folder.display());
    let tree = browser::target().join("package-web");
    let _ = fs::remove_dir_all(&tree);
    let web = tree.join("usr/share/jitsi-meet");
    fs::create_dir_all(&web)?;
    fs::create_dir_all(tree.join("DEBIAN"))?;
    let mut copy = Command::new("cp");
    copy.args(["-rL", "--no-preserve=mode"]).arg(folder.join(".")).arg(&web);
    step("web client", copy)?;
    let said = Command::new("du").args(["--summarize", "--block-size=1024"]).arg(&web).output()?;
    let size = String::from_utf8_lossy(&said.stdout).split_whitespace().next().unwrap_or("0").to_owned();
    let control = fs::read_to_string("packaging/debian-web/control")?;
    let control = control.replace("@VERSION@", version).replace("@SIZE@", &size);
    fs::write(tree.join("DEBIAN/control"), control)?;
    close(&tree, &format!("plausch-web_{version}_all.deb"), compression)
}

fn close(tree: &Path, name: &str, compression: &str) -> Result<PathBuf> {
    let file = browser::target().join(name);
    let mut build = Command::new("dpkg-deb");
    build.args(["--root-owner-group", &format!("-Z{compression}"), "--build"]).arg(tree).arg(&file);
    build.stdout(std::io::stderr());
    step(&format!("package {name}"), build)?;
    Ok(file)
}

/// A Debian in a folder; gone when dropped.
struct Debian(PathBuf);

impl Debian {
    fn unpack(tar: &Path) -> Result<Self> {
        let folder = browser::target().join("tools/debian/installed");
        docker::unpack(tar, &folder)?;
        Ok(Self(folder.canonicalize()?))
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    /// A package as it lies in there.
    fn take(&self, package: &Path) -> Result<String> {
        let name = package.file_name().context("a package has a name")?.to_string_lossy().into_owned();
        fs::copy(package, self.at(&name))?;
        Ok(format!("/{name}"))
    }

    /// What is answered when the package asks.
    fn answers(&self, host: &str, email: &str) -> Result<()> {
        let lines = format!("plausch plausch/host string {host}\nplausch plausch/email string {email}\n");
        fs::write(self.at("answers"), lines)?;
        step("answers", self.inside(&["debconf-set-selections", "/answers"]))
    }

    fn dpkg(&self, verb: &str, what: &str) -> Result<()> {
        step(&format!("dpkg {verb} {what}"), self.inside(&["dpkg", "--force-confold", verb, what]))
    }

    fn inside(&self, words: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.0).args(words).stdout(std::io::stderr());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// The installed program, started as the unit does, is well, where the package says.
    fn serves(&self) -> Result<()> {
        let namespace = Namespace::new()?;
        let within = |words: &[&str]| {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", namespace.name(), "chroot"]).arg(&self.0).args(words);
            command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
            command.stdout(Stdio::null());
            command
        };
        let mut server =
            within(&["/usr/bin/plausch", "--config", "/etc/plausch/plausch.toml"]).spawn().context("ip")?;
        let end = Instant::now() + Duration::from_secs(20);
        let well = loop {
            if within(&["/usr/bin/plausch", "healthcheck"]).status()?.success() {
                break true;
            }
            if server.try_wait()?.is_some() || Instant::now() > end {
                break false;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        Command::new("kill").arg(server.id().to_string()).status()?;
        let ended = server.wait()?;
        if !well || !ended.success() {
            bail!("the installed server: well: {well}, ended with {ended}");
        }
        eprintln!("── the installed server is well, and ends when told");
        Ok(())
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// File of the project, and where the package puts it.
const FILES: &[(&str, &str)] = &[
    ("packaging/defaults.toml", "usr/lib/plausch/defaults.toml"),
    (UNIT, "lib/systemd/system/plausch.service"),
    ("packaging/sysctl.conf", "usr/lib/sysctl.d/60-plausch.conf"),
    ("packaging/ufw.profile", "etc/ufw/applications.d/plausch"),
    ("README.md", "usr/share/doc/plausch/README.md"),
    ("LICENSE", "usr/share/doc/plausch/copyright"),
    ("packaging/debian/templates", "DEBIAN/templates"),
    ("packaging/debian/conffiles", "DEBIAN/conffiles"),
];
const UNIT: &str = "packaging/plausch.service";
/// In the installed Debian.
const CONFIG: &str = "etc/plausch/plausch.toml";
const VERSION: &str = env!("CARGO_PKG_VERSION");
