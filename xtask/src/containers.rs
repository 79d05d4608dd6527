//! The container images and their test: a built program in; images, or compose files that carried a meeting of browsers, out.
//!
//! Nothing comes from a registry of images: the base is made of Debian's packages, and the daemon lives in a network namespace
//! that has loopback only.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::browser;
use crate::docker::{self, Daemon};
use crate::namespace::Namespace;
use crate::run::{self, cargo, step};
use crate::setup;

/// Builds the images with the Docker of this machine: static and from nothing, or on a base that somebody names.
pub(crate) fn images(words: &[&str]) -> Result<()> {
    let (mut base, mut web) = (None, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (*word, words.next()) {
            ("--base", Some(image)) => base = Some(*image),
            ("--web", Some(folder)) => web = Some(Path::new(*folder)),
            _ => bail!("usage: cargo xtask images [--base IMAGE] [--web FOLDER]"),
        }
    }
    let target = if base.is_none() { STATIC } else { USUAL };
    let build = cargo(&["build", "--profile", "ship", "--package", "plausch", "--target", target]);
    step("program", build)?;
    let program = browser::binary(&format!("{target}/ship"), "plausch")?;
    let folder = lay_out(&program, web)?;
    let docker = || Command::new("docker");
    build_all(&docker, &folder, base.unwrap_or("scratch"), "plausch")?;
    println!("{}", sizes(&docker, "plausch")?);
    Ok(())
}

/// Builds them on a Debian of our own making, and lets browsers meet in what the compose files start.
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
    let folder = lay_out(&program, None)?;
    build_all(&docker, &folder, DEBIAN, "plausch")?;
    println!("{}", sizes(&docker, "plausch")?);
    let small = static_program()?;
    if let Some(small) = &small {
        build_all(&docker, &lay_out(small, None)?, "scratch", "plausch-static")?;
        println!("{}", sizes(&docker, "plausch-static")?);
    } else {
        eprintln!("── images from nothing are tried when `cargo xtask images` has just built the program");
    }
    let mut meeting = Command::new("ip");
    meeting.args(["netns", "exec", namespace.name(), "node", "--test", "--test-concurrency=1"]);
    meeting.arg("--test-reporter=spec").args(CASES);
    daemon.reachable(&mut meeting);
    meeting.env("PLAUSCH_STATIC", if small.is_some() { "1" } else { "" });
    let done = step("containers", meeting);
    if done.is_err() {
        eprintln!("{}", daemon.log());
    }
    done
}

/// The folder that the images are built from.
fn lay_out(program: &Path, web: Option<&Path>) -> Result<PathBuf> {
    let folder = browser::target().join("images");
    let _ = std::fs::remove_dir_all(&folder);
    let bin = folder.join("tree/usr/bin");
    std::fs::create_dir_all(&bin)?;
    std::fs::DirBuilder::new().mode(0o700).create(folder.join("state"))?;
    std::fs::copy(program, bin.join("plausch")).with_context(|| program.display().to_string())?;
    let copy = |from: &Path, to: PathBuf| {
        std::fs::create_dir_all(&to)?;
        let mut cp = Command::new("cp");
        // What links point to, so that the folder is whole.
        cp.args(["-rL"]).arg(from.join(".")).arg(&to);
        step(&format!("copy of {}", from.display()), cp)
    };
    copy(Path::new("docker/defaults"), folder.join("defaults"))?;
    if let Some(web) = web {
        copy(web, folder.join("tree/usr/share/jitsi-meet"))?;
    }
    let roots = Path::new("/etc/ssl/certs/ca-certificates.crt");
    if roots.exists() {
        let to = folder.join("tree/etc/ssl/certs");
        std::fs::create_dir_all(&to)?;
        std::fs::copy(roots, to.join("ca-certificates.crt"))?;
    }
    Ok(folder)
}

fn build_all(docker: &dyn Fn() -> Command, folder: &Path, base: &str, owner: &str) -> Result<()> {
    for image in IMAGES {
        let mut build = docker();
        build.args(["build", "--quiet", "--target", image, "--build-arg", &format!("BASE_IMAGE={base}")]);
        build.args(["--tag", &format!("{owner}/{image}"), "--file", "docker/Dockerfile"]).arg(folder);
        step(&format!("image {owner}/{image}"), build)?;
    }
    Ok(())
}

/// A line for each image of this owner's.
fn sizes(docker: &dyn Fn() -> Command, owner: &str) -> Result<String> {
    let mut lines = Vec::new();
    for image in IMAGES {
        let name = format!("{owner}/{image}");
        let out = docker().args(["image", "inspect", "--format", "{{.Size}}", &name]).output()?;
        let bytes: f64 = String::from_utf8_lossy(&out.stdout).trim().parse().context("size of an image")?;
        lines.push(format!("{name}: {:.1} MB", bytes / 1e6));
    }
    Ok(lines.join("\n"))
}

/// Without what only a debugger reads.
fn stripped(program: &Path) -> Result<PathBuf> {
    let to = browser::target().join("images-program");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&to).arg(program);
    step("strip", strip)?;
    Ok(to)
}

/// The static program, if it was built after the usual one: a second build of everything takes longer than all of this.
fn static_program() -> Result<Option<PathBuf>> {
    let Ok(small) = browser::binary(&format!("{STATIC}/ship"), "plausch") else {
        return Ok(None);
    };
    let age = |path: &Path| std::fs::metadata(path)?.modified();
    let newer = age(&small)? >= age(&browser::binary("debug", "plausch")?)?;
    Ok(newer.then_some(small))
}

/// The targets of `docker/Dockerfile`.
const IMAGES: &[&str] = &["plausch", "prosody", "jicofo", "jvb"];
const CASES: &[&str] =
    &["tests/browser/containers/compose.test.mjs", "tests/browser/containers/upstream.test.mjs"];
const STATIC: &str = "x86_64-unknown-linux-musl";
const USUAL: &str = "x86_64-unknown-linux-gnu";
/// Our Debian's name among the images of the test.
const DEBIAN: &str = "plausch-test/debian";
