//! What was asked for in; the container images, of a program built for a processor and laid out in a folder, and their sizes out.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::browser;
use crate::docker;
use crate::run::{cargo, step};
use crate::setup;

/// Builds the images with the Docker of this machine: static and from nothing, or on a base that somebody names.
pub(crate) fn build(words: &[&str]) -> Result<()> {
    let (mut base, mut web, mut arch) = (None, None, "amd64");
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (*word, words.next()) {
            ("--base", Some(image)) => base = Some(*image),
            ("--web", Some(folder)) => web = Some(Path::new(*folder)),
            ("--arch", Some(name)) => arch = name,
            _ => bail!("usage: cargo xtask images [--base IMAGE] [--web FOLDER] [--arch amd64|arm64]"),
        }
    }
    let target = match (arch, base) {
        ("amd64", None) => STATIC,
        ("amd64", Some(_)) => USUAL,
        ("arm64", None) => STATIC_ARM,
        ("arm64", Some(_)) => bail!("for arm64 there are images from nothing only, without --base"),
        _ => bail!("no such processor: {arch}; amd64 or arm64"),
    };
    let program = ship(target)?;
    let folder = lay_out(&program, web)?;
    let docker = || Command::new("docker");
    let images = Images { base: base.unwrap_or("scratch"), owner: "plausch", arch };
    images.build(&docker, &folder)?;
    println!("{}", images.sizes(&docker)?);
    Ok(())
}

/// The program as it is shipped, for a target.
pub(crate) fn ship(target: &str) -> Result<PathBuf> {
    let mut build = cargo(&["build", "--profile", "ship", "--package", "plausch", "--target", target]);
    if target == STATIC {
        setup::need(&[("musl-gcc", "musl-tools")])?;
    }
    if target == STATIC_ARM {
        build.envs(for_arm()?);
    }
    step("program", build)?;
    browser::binary(&format!("{target}/ship"), "plausch")
}

/// Debian's compiler for arm64, with musl's headers in place of the C library's own.
fn for_arm() -> Result<[(&'static str, String); 3]> {
    const COMPILER: &str = "aarch64-linux-gnu-gcc";
    setup::need(&[(COMPILER, "gcc-aarch64-linux-gnu")])?;
    let folder = browser::target().join("tools/musl-arm64");
    let headers = folder.join("tree/usr/include/aarch64-linux-musl");
    if !headers.join("stdio.h").exists() {
        docker::fetch("musl-dev", "arm64", "bookworm", &folder)?;
    }
    let headers = headers.canonicalize()?;
    let own = Command::new(COMPILER).arg("-print-file-name=include").output().context(COMPILER)?;
    let own = String::from_utf8(own.stdout)?;
    let flags = format!("-nostdinc -isystem {} -isystem {}", own.trim(), headers.display());
    Ok([
        ("CC_aarch64_unknown_linux_musl", COMPILER.to_owned()),
        ("CFLAGS_aarch64_unknown_linux_musl", flags),
        // Rust brings the C library's objects itself.
        ("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", COMPILER.to_owned()),
    ])
}

/// The folder that images are built from.
pub(crate) fn lay_out(program: &Path, web: Option<&Path>) -> Result<PathBuf> {
    let folder = browser::target().join("images");
    let _ = std::fs::remove_dir_all(&folder);
    let bin = folder.join("tree/usr/bin");
    std::fs::create_dir_all(&bin)?;
    std::fs::DirBuilder::new().mode(0o700).create(folder.join("state"))?;
    std::fs::copy(program, bin.join("plausch")).with_context(|| program.display().to_string())?;
    // What howtos type; the program goes by its name.
    std::os::unix::fs::symlink("plausch", bin.join("prosodyctl"))?;
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

/// Puts what a program is linked with beside it, where it looks for it, so that it starts where there is nothing else.
pub(crate) fn with_libraries(folder: &Path, program: &Path) -> Result<()> {
    let said = Command::new("ldd").arg(program).output().context("ldd")?;
    let libraries = libraries(&String::from_utf8_lossy(&said.stdout));
    ensure!(!libraries.is_empty(), "ldd names no libraries of {}", program.display());
    for library in libraries {
        let to = folder.join("tree").join(library.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().context("a library lies in a folder")?)?;
        std::fs::copy(&library, to).with_context(|| library.clone())?;
    }
    Ok(())
}

/// The files that `ldd` names.
fn libraries(said: &str) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().find(|w| w.starts_with('/')).map(ToOwned::to_owned);
    said.lines().filter_map(words).collect()
}

/// The four images of `docker/Dockerfile`.
pub(crate) struct Images<'a> {
    pub(crate) base: &'a str,
    /// What stands before the slash of their names.
    pub(crate) owner: &'a str,
    pub(crate) arch: &'a str,
}

impl Images<'_> {
    /// The name of one of them. Those for this machine's processor have no tag, as compose files name them.
    fn name(&self, image: &str) -> String {
        let tag = if self.arch == "amd64" { String::new() } else { format!(":{}", self.arch) };
        format!("{}/{image}{tag}", self.owner)
    }

    pub(crate) fn build(&self, docker: &dyn Fn() -> Command, folder: &Path) -> Result<()> {
        for image in IMAGES {
            let (name, base) = (self.name(image), format!("BASE_IMAGE={}", self.base));
            let mut build = docker();
            build.args(["build", "--quiet", "--platform", &format!("linux/{}", self.arch)]);
            build.args(["--target", image, "--build-arg", &base, "--tag", &name]);
            build.args(["--file", "docker/Dockerfile"]).arg(folder);
            step(&format!("image {name}"), build)?;
        }
        Ok(())
    }

    /// A line for each.
    pub(crate) fn sizes(&self, docker: &dyn Fn() -> Command) -> Result<String> {
        let mut lines = Vec::new();
        for image in IMAGES {
            let name = self.name(image);
            let format = "{{.Size}} {{.Architecture}}";
            let out = docker().args(["image", "inspect", "--format", format, &name]).output()?;
            let said = String::from_utf8_lossy(&out.stdout).into_owned();
            let (bytes, arch) = said.trim().split_once(' ').context("what docker says of an image")?;
            ensure!(arch == self.arch, "{name} is for {arch}");
            let bytes: f64 = bytes.parse().context("size of an image")?;
            lines.push(format!("{name}: {:.1} MB", bytes / 1e6));
        }
        Ok(lines.join("\n"))
    }
}

/// The targets of `docker/Dockerfile`.
const IMAGES: &[&str] = &["plausch", "prosody", "jicofo", "jvb"];
pub(crate) const STATIC: &str = "x86_64-unknown-linux-musl";
const STATIC_ARM: &str = "aarch64-unknown-linux-musl";
pub(crate) const USUAL: &str = "x86_64-unknown-linux-gnu";

#[cfg(test)]
mod tests {
    use super::libraries;

    #[test]
    fn libraries_are_those_with_a_file() {
        let said = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(libraries(said), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert!(libraries("\tstatically linked\n").is_empty());
    }
}
