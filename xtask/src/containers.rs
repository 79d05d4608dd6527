//! The container images' test: a built program in; images, or compose files that carried a meeting of browsers, out.
//!
//! Nothing comes from a registry of images: the base is made of Debian's packages, and the daemon lives in a network namespace
//! that has loopback only.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::browser;
use crate::docker::{self, Daemon};
use crate::images::{self, Images};
use crate::namespace::Namespace;
use crate::run::{self, step};
use crate::setup;
use crate::typed;

/// Builds them on a Debian of our own making and from nothing, and lets browsers meet in what the compose files start.
pub(crate) fn test() -> Result<()> {
    setup::need(docker::NEEDED)?;
    let compose = docker::compose_plugin()?;
    let base = docker::debian()?;
    run::program()?;
    let program = stripped(&browser::binary("debug", "plausch")?)?;
    let namespace = Namespace::new()?;
    let daemon = Daemon::start(&namespace.file(), &compose)?;
    let docker = || daemon.docker();
    let mut import = docker();
    import.arg("import").arg(&base).arg(DEBIAN);
    step("Debian as an image", import)?;
    let on_debian = Images { base: DEBIAN, owner: "plausch", arch: "amd64" };
    on_debian.build(&docker, &images::lay_out(&program, None)?)?;
    println!("{}", on_debian.sizes(&docker)?);
    let from_nothing = Images { base: "scratch", owner: "plausch-scratch", arch: "amd64" };
    from_nothing.build(&docker, &small(&program)?)?;
    println!("{}", from_nothing.sizes(&docker)?);
    stand_ins(&docker)?;
    let mut meeting = Command::new("ip");
    meeting.args(["netns", "exec", namespace.name(), "node", "--test", "--test-concurrency=1"]);
    meeting.arg("--test-reporter=spec").args(CASES);
    daemon.reachable(&mut meeting);
    meeting.env("PLAUSCH_BIN", browser::binary("debug", "plausch")?);
    let done = step("containers", meeting).and_then(|()| typed::story(&daemon, &namespace));
    if done.is_err() {
        eprintln!("{}", daemon.log());
    }
    done
}

/// Images under the names of upstream's, which come from a registry: ours in two roles, and Debian's Prosody, which is upstream's without
/// Jitsi's modules.
fn stand_ins(docker: &dyn Fn() -> Command) -> Result<()> {
    let mut import = docker();
    import.arg("import").arg(docker::debian_with("prosody")?).arg(WITH_PROSODY);
    step("Debian with Prosody as an image", import)?;
    let mut build = docker();
    build.args(["build", "--quiet", "--build-arg", &format!("BASE_IMAGE={WITH_PROSODY}")]);
    build.args(["--tag", "upstream.invalid/prosody:stable", "tests/browser/containers/prosody"]);
    step("Prosody", build)?;
    for image in ["jicofo", "jvb"] {
        let mut tag = docker();
        tag.args(["tag", &format!("plausch/{image}"), &format!("upstream.invalid/{image}:stable")]);
        step(&format!("a stand-in for {image}"), tag)?;
    }
    Ok(())
}

/// What an image from nothing is made of: the static program, if it was built after the usual one, as a second build of everything takes
/// longer than all of this; else the usual one with its libraries.
fn small(usual: &Path) -> Result<PathBuf> {
    if let Some(program) = static_program()? {
        eprintln!("── from nothing: the static program");
        return images::lay_out(&program, None);
    }
    eprintln!(
        "── from nothing: the usual program and its libraries; the static one when `cargo xtask images` has just built it"
    );
    let folder = images::lay_out(usual, None)?;
    images::with_libraries(&folder, usual)?;
    Ok(folder)
}

/// Without what only a debugger reads.
fn stripped(program: &Path) -> Result<PathBuf> {
    let to = browser::target().join("images-program");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&to).arg(program);
    step("strip", strip)?;
    Ok(to)
}

fn static_program() -> Result<Option<PathBuf>> {
    let Ok(small) = browser::binary(&format!("{}/ship", images::STATIC), "plausch") else {
        return Ok(None);
    };
    let age = |path: &Path| std::fs::metadata(path)?.modified();
    let newer = age(&small)? >= age(&browser::binary("debug", "plausch")?)?;
    Ok(newer.then_some(small))
}

const CASES: &[&str] = &[
    "tests/browser/containers/compose.test.mjs",
    "tests/browser/containers/upstream.test.mjs",
    "tests/browser/containers/migrate.test.mjs",
];
/// Our Debian's name among the images of the test.
const DEBIAN: &str = "plausch-test/debian";
const WITH_PROSODY: &str = "plausch-test/prosody";
