//! The rules about ourselves: the tracked files in, violations by file and line out.

mod code;
mod documents;
mod features;
mod graph;
mod limits;
mod quirks;
mod texts;

use std::process::Command;

use anyhow::{Context, Result, bail};

/// What the test-call page says.
const PAGE_TEXTS: &str = "plausch/web/i18n.js";

/// Checks all rules and prints every violation.
pub(crate) fn check() -> Result<()> {
    let files = tracked()?;
    let texts: Vec<(&str, String)> =
        files.iter().filter_map(|f| Some((f.as_str(), std::fs::read_to_string(f).ok()?))).collect();
    let mut bad = Vec::new();
    let library = documents::Library::new(texts.iter().map(|(f, t)| (*f, t.as_str())));
    for (file, text) in
        texts.iter().filter(|(f, _)| [".rs", ".md", ".js", ".toml"].iter().any(|e| f.ends_with(e)))
    {
        bad.extend(library.check(file, text));
    }
    let page_texts = texts.iter().find(|(f, _)| *f == PAGE_TEXTS).map_or("", |(_, t)| t.as_str());
    for (file, text) in &texts {
        bad.extend(texts::workplaces(file, text));
        if limits::states_limits(file) {
            bad.extend(limits::check(file, text));
        }
        if *file == PAGE_TEXTS {
            bad.extend(texts::languages(file, text));
        } else if file.starts_with("plausch/web/") {
            bad.extend(texts::unwritten(file, text, page_texts));
        }
    }
    for (file, text) in texts.iter().filter(|(f, _)| f.ends_with(".rs")) {
        bad.extend(code::check(file, text));
    }
    let code = texts.iter().map(|(f, t)| (*f, t.as_str())).filter(|(f, _)| f.ends_with(".rs"));
    bad.extend(quirks::check(code.clone()));
    let features = texts.iter().find(|(f, _)| *f == features::PAGE).map_or("", |(_, t)| t.as_str());
    bad.extend(features::check(features, code.clone()));
    bad.extend(limits::untested(code));
    let graph = graph::Graph::new(&metadata()?)?;
    bad.extend(graph.impure(&pure_crates()?));
    bad.extend(
        graph.supply(&graph::used(&tree()?), &graph::Policy::parse(&std::fs::read_to_string("deny.toml")?)?),
    );
    let read = std::fs::read_to_string::<&str>;
    bad.extend(graph::reasons(&read("Cargo.toml")?, &read("docs/dependencies.md")?)?);
    if bad.is_empty() {
        return Ok(());
    }
    bail!("house rules:\n  {}", bad.join("\n  "))
}

/// Prints every bound with its value and its reason, as a Markdown table per part.
pub(crate) fn print_limits() -> Result<()> {
    for file in tracked()?.iter().filter(|f| limits::states_limits(f)) {
        println!("\n## `{file}`\n\n| bound | value | reason |\n|---|---|---|");
        for limit in limits::limits(&std::fs::read_to_string(file)?) {
            let comment = limit.comment.replace('|', "\\|");
            println!("| `{}` | {} | {comment} |", limit.name, limit.value.unwrap_or_default());
        }
    }
    Ok(())
}

/// What cargo knows of every dependency that a Linux build can have.
fn metadata() -> Result<serde_json::Value> {
    let text = cargo(&["metadata", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"])?;
    serde_json::from_str(&text).context("cargo metadata")
}

/// Everything that a build and its build scripts use. What only tests use is not shipped and may be older or newer
/// (`exclude-dev` in `deny.toml`).
fn tree() -> Result<String> {
    let target = "--target=x86_64-unknown-linux-gnu";
    cargo(&["tree", "--workspace", target, "--edges=normal,build", "--prefix=none", "--format={p}"])
}

fn cargo(args: &[&str]) -> Result<String> {
    let out =
        Command::new(env!("CARGO")).args(args).arg("--locked").output().context("cannot start cargo")?;
    if !out.status.success() {
        bail!("cargo {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr).trim());
    }
    String::from_utf8(out.stdout).context("cargo")
}

/// Names of the pure crates.
fn pure_crates() -> Result<Vec<String>> {
    code::PURE
        .iter()
        .map(|part| {
            let manifest: toml::Table = std::fs::read_to_string(format!("{part}/Cargo.toml"))?.parse()?;
            let name = manifest.get("package").and_then(|p| p.get("name")).and_then(toml::Value::as_str);
            Ok(name.with_context(|| format!("{part}/Cargo.toml names no package"))?.to_owned())
        })
        .collect()
}

fn tracked() -> Result<Vec<String>> {
    let out = Command::new("git").args(["ls-files"]).output().context("cannot start git")?;
    // What is not ours has rules of its own.
    let ours = |file: &&str| !file.starts_with("third-party/");
    Ok(String::from_utf8_lossy(&out.stdout).lines().filter(ours).map(str::to_owned).collect())
}
