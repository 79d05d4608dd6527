//! The pages *Moving* and *Umzug* in; their commands typed on machines with configuration shaped as Jitsi's, up to a meeting of two browsers, out.

use std::fs;

use anyhow::{Result, ensure};

use crate::ca::Ca;
use crate::machine::{HOST, Machine};
use crate::pages;
use crate::public::{self, Typing};
use crate::takeover;

/// From docker-jitsi-meet's `.env`, without Docker, and from Debian's packages, there and back.
pub(crate) fn story(machine: &Machine, package: &str) -> Result<()> {
    let [look, env, debian] = GERMAN.map(|heading| pages::commands("umzug.md", heading));
    let [look_en, env_en, debian_en] = ENGLISH.map(|heading| pages::commands("moving.md", heading));
    let (look, env, debian) = (look?, env?, debian?);
    let plain = |all: &[String]| all.iter().map(|l| l.replace(" --lang de", "")).collect::<Vec<_>>();
    ensure!(
        plain(&look) == look_en? && plain(&env) == env_en? && plain(&debian) == debian_en?,
        "the pages differ"
    );

    let ca = Ca::start(machine.network())?;
    let typing = Typing::new(machine, &ca)?;
    // As docker-jitsi-meet's: only what an admin writes into it.
    fs::write(
        machine.at("srv/.env"),
        format!(
            "CONFIG=~/.jitsi-meet-cfg\nHTTP_PORT=80\nHTTPS_PORT=443\nTZ=UTC\nPUBLIC_URL=https://{HOST}\nENABLE_LETSENCRYPT=1\n\
             LETSENCRYPT_DOMAIN={HOST}\nLETSENCRYPT_EMAIL=it@{HOST}\nJVB_PORT=10000\nRESTART_POLICY=unless-stopped\n\
             JICOFO_AUTH_PASSWORD=4c0d\nJVB_AUTH_PASSWORD=9f1e\nJIGASI_XMPP_PASSWORD=\nJIBRI_RECORDER_PASSWORD=\n"
        ),
    )?;
    machine.does(&["dpkg", "--install", package])?;
    machine.does(&["systemctl", "stop", "plausch"])?;
    for line in &look {
        typing.looks(line)?;
    }
    let (server, before) = env.split_last().map_or((None, &env[..]), |(last, rest)| (Some(last), rest));
    for line in before {
        typing.looks(line)?;
    }
    let running = typing.runs(server.map_or("", String::as_str))?;
    public::issued(machine, &ca)?;
    public::meet(machine)?;
    drop(running);
    machine.does(&["dpkg", "--purge", "plausch"])?;

    takeover::install_theirs(machine)?;
    let before = takeover::state(machine)?;
    fs::write(machine.at("srv/answers"), "plausch plausch/take-over boolean false\n")?;
    machine.does(&["debconf-set-selections", "/srv/answers"])?;
    takeover::with_the_test_page(machine)?;
    for line in &debian {
        typing.looks(line)?;
        if line.ends_with("/take-over") {
            ensure!(takeover::state(machine)? != before, "Jitsi's services gave way");
            public::meet(machine)?;
        } else {
            ensure!(takeover::state(machine)? == before, "{line}: Jitsi's services are as they were");
        }
    }
    ensure!(debian.iter().any(|l| l.ends_with("/take-over")), "{debian:?}");
    machine.does(&["dpkg", "--purge", "plausch"])?;
    takeover::remove_theirs(machine)
}

const GERMAN: [&str; 3] =
    ["## Vorher ansehen", "### Oder alles in einem, auch ohne Docker", "## Debian-Pakete"];
const ENGLISH: [&str; 3] = ["## Look first", "### Or all in one, also without Docker", "## Debian packages"];
