//! The pages about Docker in; their commands typed in a folder with `docker/compose.yml`, up to a meeting of two browsers over TLS, out.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::docker::Daemon;
use crate::machine::HOST;
use crate::namespace::Namespace;
use crate::pages;
use crate::run::step;

/// Nothing is reached from here, so that no CA issues: the server's own certificate stays.
///
/// *Go public* as far as Docker goes, then what the page about containers has for every day, up to the end.
pub(crate) fn story(daemon: &Daemon, namespace: &Namespace) -> Result<()> {
    let german = Page::read(GERMAN)?;
    let english = Page::read(ENGLISH)?;
    ensure!(german == english, "the pages differ: {german:?} {english:?}");

    let folder = Folder::new()?;
    let from_page = |lines: &[String]| lines.iter().map(|l| format!("{l}\n")).collect::<String>();
    fs::copy("docker/compose.yml", folder.0.join("compose.yml"))?;
    fs::write(folder.0.join(".env"), from_page(&german.public_env))?;
    let types = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(&folder.0).stdout(std::io::stderr());
        daemon.reachable(&mut command);
        step(line, command)
    };
    let done = (|| {
        for line in &german.public {
            types(line)?;
        }
        meet(namespace)?;
        types("docker compose down --volumes")?;

        fs::write(folder.0.join(".env"), from_page(&english.env))?;
        for line in &english.commands {
            types(line)?;
            if line.contains(" up ") {
                meet(namespace)?;
            }
        }
        Ok(())
    })();
    let _ = types("docker compose down --volumes --timeout 10");
    done
}

/// Two browsers meet by the page's name, which leads to this machine.
fn meet(namespace: &Namespace) -> Result<()> {
    let mut browsers = Command::new("ip");
    browsers.args(["netns", "exec", namespace.name(), "node", "--test", "--test-reporter=spec"]);
    browsers.arg("tests/browser/containers/public.test.mjs");
    browsers.env("PLAUSCH_BASE", format!("https://{HOST}")).env("PLAUSCH_AT", "127.0.0.1");
    step("a meeting over TLS", browsers)
}

#[derive(Debug, PartialEq, Eq)]
struct Page {
    public_env: Vec<String>,
    public: Vec<String>,
    env: Vec<String>,
    commands: Vec<String>,
}

impl Page {
    fn read([public, with_docker, page, all]: [&str; 4]) -> Result<Self> {
        Ok(Self {
            public_env: pages::lines(public, with_docker)?,
            public: pages::commands(public, with_docker)?,
            env: pages::lines(page, all)?,
            commands: pages::commands(page, all)?,
        })
    }
}

/// Gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("plausch-typed-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const GERMAN: [&str; 4] =
    ["ins-netz-stellen.md", "## Mit Docker", "docker.de.md", "## Alles in einem Container"];
const ENGLISH: [&str; 4] = ["go-public.md", "## With Docker", "docker.md", "## Everything in one container"];
