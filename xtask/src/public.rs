//! The pages *Go public* and *Ins Netz stellen* in; their commands typed on an empty machine, up to a meeting of two browsers over TLS, out.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::ca::Ca;
use crate::machine::{ADDRESS, HOST, Machine};
use crate::pages;
use crate::run::step;

/// Both ways of the pages without Docker: the package, and the program alone.
pub(crate) fn story(machine: &Machine, package: &Path, program: &Path) -> Result<()> {
    let german = Page::read(GERMAN)?;
    let english = Page::read(ENGLISH)?;
    ensure!(
        german.in_one_language() == english.in_one_language(),
        "the pages differ: {german:?} {english:?}"
    );
    let ca = Ca::start(machine.network())?;
    let typing = Typing::new(machine, &ca)?;

    // The package. What it asks is answered before.
    let file = package.file_name().context("a package has a name")?.to_string_lossy().into_owned();
    let answers = format!("plausch plausch/host string {HOST}\nplausch plausch/email string {EMAIL}\n");
    fs::write(machine.at("srv/answers"), answers)?;
    machine.does(&["debconf-set-selections", "/srv/answers"])?;
    machine.take(package)?;
    for line in &german.package {
        // The version on the page is the one that is built.
        ensure!(!line.contains(".deb") || line.contains(&file), "{line}: the package is {file}");
        typing.does(line)?;
    }
    let audit = Audit::begin(machine)?;
    issued(machine, &ca)?;
    meet(machine)?;
    for line in &german.after {
        typing.looks(line)?;
    }
    audit.nothing_left_the_machine()?;
    machine.does(&["dpkg", "--purge", "plausch"])?;

    // The program alone.
    fs::copy(program, machine.at("usr/local/bin/plausch"))?;
    let (last, first) = english.program.split_last().context("commands")?;
    for line in first {
        let mut child = typing.command(line).stdin(Stdio::piped()).spawn()?;
        write!(child.stdin.take().context("a pipe")?, "{HOST}\n{EMAIL}\ny\ny\n")?;
        ensure!(child.wait()?.code() != Some(2), "{line}: nothing was written");
    }
    let server = typing.runs(last)?;
    issued(machine, &ca)?;
    meet(machine)?;
    for line in &english.after {
        typing.looks(line)?;
    }
    drop(server);
    fs::remove_file(machine.at("usr/local/bin/plausch"))?;
    let _ = fs::remove_dir_all(machine.at("etc/plausch"));
    Ok(())
}

/// Root at the machine. All that pages do not say is there already: that here, another than Let's Encrypt issues.
pub(crate) struct Typing<'m> {
    machine: &'m Machine,
    ca: [(&'static str, String); 2],
}

impl<'m> Typing<'m> {
    pub(crate) fn new(machine: &'m Machine, ca: &Ca<'_>) -> Result<Self> {
        fs::copy(ca.trusted(), machine.at("etc/ca.pem"))?;
        let ca =
            [("PLAUSCH_ACME_DIRECTORY", ca.directory()), ("PLAUSCH_ACME_ROOTS", "/etc/ca.pem".to_owned())];
        let own = machine.at("etc/systemd/system/plausch.service.d");
        fs::create_dir_all(&own)?;
        let lines: String = ca.iter().map(|(n, v)| format!("Environment={n}={v}\n")).collect();
        fs::write(own.join("ca.conf"), format!("[Service]\n{lines}"))?;
        Ok(Self { machine, ca })
    }

    fn command(&self, line: &str) -> Command {
        let mut command = self.machine.inside(&["sh", "-c", line]);
        command.envs(self.ca.clone());
        command
    }

    /// A line that has to succeed.
    pub(crate) fn does(&self, line: &str) -> Result<()> {
        step(line, self.command(line))
    }

    /// One that looks at something, and may find it yellow, but not red.
    pub(crate) fn looks(&self, line: &str) -> Result<()> {
        let code = self.command(line).status()?.code();
        ensure!(matches!(code, Some(0 | 1)), "{line} ends with {code:?}");
        Ok(())
    }

    /// One that goes on.
    pub(crate) fn runs(&self, line: &str) -> Result<Running> {
        Ok(Running(self.command(&format!("exec {line}")).spawn()?))
    }
}

impl Drop for Typing<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.machine.at("etc/systemd/system/plausch.service.d/ca.conf"));
    }
}

/// Waits until the CA's certificate is served.
pub(crate) fn issued(machine: &Machine, ca: &Ca<'_>) -> Result<()> {
    let from = Instant::now();
    let root = ca.root()?;
    machine.until("a certificate of the CA's", 60, || {
        let mut curl = machine.beside("curl");
        curl.args(["--silent", "--fail", "--output", "/dev/null", "--cacert"]).arg(&root);
        curl.args(["--resolve", &format!("{HOST}:443:{ADDRESS}"), &format!("https://{HOST}/_plausch/test")]);
        Ok(curl.status()?.success())
    })?;
    eprintln!("── the CA's certificate is served {:.1} s later", from.elapsed().as_secs_f64());
    Ok(())
}

/// Two browsers meet on the machine, over TLS and by its name.
pub(crate) fn meet(machine: &Machine) -> Result<()> {
    let mut browsers = machine.beside("node");
    browsers.args(["--test", "--test-reporter=spec", "tests/browser/containers/public.test.mjs"]);
    browsers.env("PLAUSCH_BASE", format!("https://{HOST}")).env("PLAUSCH_AT", ADDRESS);
    step("a meeting over TLS", browsers)
}

/// Counts what the service sends to others than this machine. There is a way out for it, which leads nowhere.
struct Audit<'m>(&'m Machine);

impl<'m> Audit<'m> {
    fn begin(machine: &'m Machine) -> Result<Self> {
        let mut way = machine.beside("ip");
        way.args(["route", "replace", "default", "dev", "outside"]);
        ensure!(way.status()?.success(), "{way:?}");
        let user = machine.says(&["id", "--user", "plausch"])?;
        let table = format!(
            "table inet audit {{\n counter others {{ }}\n chain out {{\n  type filter hook output priority 0;\n  meta skuid {} ip daddr != {{ 127.0.0.0/8, {ADDRESS} }} counter name others\n }}\n}}\n",
            user.trim()
        );
        let mut nft = machine.beside("nft");
        let mut child = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
        child.stdin.take().context("a pipe")?.write_all(table.as_bytes())?;
        ensure!(child.wait()?.success(), "nft");
        Ok(Self(machine))
    }

    fn nothing_left_the_machine(self) -> Result<()> {
        let mut nft = self.0.beside("nft");
        let out = nft.args(["list", "counter", "inet", "audit", "others"]).stdout(Stdio::piped()).output()?;
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        ensure!(text.contains("packets 0 "), "the service talks to others: {text}");
        let mut nft = self.0.beside("nft");
        ensure!(nft.args(["delete", "table", "inet", "audit"]).status()?.success(), "nft");
        Ok(())
    }
}

#[derive(Debug)]
struct Page {
    package: Vec<String>,
    program: Vec<String>,
    after: Vec<String>,
}

impl Page {
    fn read([page, package, program, after]: [&str; 4]) -> Result<Self> {
        Ok(Self {
            package: pages::commands(page, package)?,
            program: pages::commands(page, program)?,
            after: pages::commands(page, after)?,
        })
    }

    fn in_one_language(&self) -> Vec<String> {
        let all = [&self.package, &self.program, &self.after];
        all.into_iter().flatten().map(|l| l.replace(" --lang de", "")).collect()
    }
}

/// A server in the foreground; told to stop when dropped.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // `nsenter` stays before what it started.
        let id = self.0.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let _ = Command::new("kill").args(children.split_whitespace()).status();
        let _ = self.0.wait();
    }
}

const GERMAN: [&str; 4] =
    ["ins-netz-stellen.md", "### Das Debian-Paket", "### Das Programm allein", "## Danach"];
const ENGLISH: [&str; 4] = ["go-public.md", "### Debian's package", "### The program alone", "## After"];
const EMAIL: &str = "it@meet.example";
