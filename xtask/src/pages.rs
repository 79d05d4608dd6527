//! A page for admins in; the commands under one of its headings, in order, or what a file is to hold, out.

use std::fs;

use anyhow::{Context, Result, ensure};

/// The lines of its `sh` blocks below a heading, up to the next heading of the same or a higher level.
///
/// # Errors
/// There is no such page or heading, or nothing to type below it.
pub(crate) fn commands(page: &str, heading: &str) -> Result<Vec<String>> {
    blocks(page, heading, "sh")
}

/// The lines of its `text` blocks there, which go into a file.
///
/// # Errors
/// There is no such page or heading, or no such block below it.
pub(crate) fn lines(page: &str, heading: &str) -> Result<Vec<String>> {
    blocks(page, heading, "text")
}

fn blocks(page: &str, heading: &str, language: &str) -> Result<Vec<String>> {
    let path = format!("docs/admin/{page}");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let found = below(&text, heading, language);
    ensure!(!found.is_empty(), "{path}: no `{language}` block below {heading}");
    Ok(found)
}

fn below(text: &str, heading: &str, wanted: &str) -> Vec<String> {
    let level = |line: &str| line.chars().take_while(|c| *c == '#').count();
    let (mut inside, mut block, mut all) = (false, None, Vec::new());
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(language) = trimmed.strip_prefix("```") {
            block = if block.is_some() { None } else { Some(language == wanted) };
        } else if block.is_none() && trimmed.starts_with('#') {
            inside = trimmed == heading || (inside && level(trimmed) > level(heading));
        } else if inside && block == Some(true) && !trimmed.is_empty() {
            all.push(trimmed.split("  #").next().unwrap_or(trimmed).trim().to_owned());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::below;
    use crate::bench::options::Options;

    #[test]
    fn commands_are_those_of_shell_blocks_below_the_heading() {
        let page = "# A\n```sh\nno\n```\n## B\n```sh\none --x    # why\n```\n```text\nno\n```\n### C\n1. x\n\n   ```sh\n   two\n   ```\n## D\n```sh\nno\n```\n";
        assert_eq!(below(page, "## B", "sh"), ["one --x", "two"]);
        assert_eq!(below(page, "## B", "text"), ["no"]);
        assert_eq!(below(page, "### C", "sh"), ["two"]);
        assert!(below(page, "## E", "sh").is_empty());
    }

    /// Beginnings of commands on pages, and which test types or reads them.
    const CHECKED: &[(&str, &str)] = &[
        ("plausch ", "every_command_on_a_page_is_one"),
        ("cargo xtask ", "below"),
        ("cargo run --profile ship -p loadgen -- ", "commands_on_the_admin_s_pages_are_understood"),
        ("/usr/lib/plausch/take-over", "machine"),
        ("apt-get install -y ./plausch_", "machine"),
        ("systemctl status --no-pager plausch", "machine"),
        ("docker compose up -d --wait", "containers, compose.test.mjs"),
        ("docker compose exec plausch /usr/bin/plausch healthcheck", "containers, compose.test.mjs"),
        ("docker compose stop", "containers, compose.test.mjs"),
        ("docker compose down", "containers, compose.test.mjs"),
        ("docker compose logs", "containers, compose.test.mjs"),
        ("docker compose -f docker-compose.yml -f plausch.yml up -d --wait", "containers, upstream.test.mjs"),
        ("curl -X POST -H", "commands_of_other_programs_on_the_pages_do_what_is_said"),
        (
            "curl \"http://127.0.0.1:8888/pin",
            "the_commands_of_the_page_about_several_bridges_do_what_is_said",
        ),
        (
            "curl http://127.0.0.1:8888/debug",
            "the_commands_of_the_page_about_several_bridges_do_what_is_said",
        ),
        ("kill -USR2 ", "a_focus_that_becomes_another_program_is_heard_by_nobody"),
        ("find web -name", "commands_of_other_programs_on_the_pages_do_what_is_said"),
    ];

    /// Those that no test types, and why.
    const NOT_TYPED: &[(&str, &str)] = &[
        ("cargo run --release", "an optimised build; the program it starts is every test's"),
        ("rustup target add ", "fetches a toolchain"),
        ("JICOFO_AUTH_PASSWORD=focussecret ", "a start for a suite that is not ours; a test reads its hosts"),
        (
            "cargo build --features plausch/test-observer",
            "a build with the feature that the observer's tests are built with",
        ),
        ("cargo install ", "fetches a program"),
        ("cargo +nightly ", "needs another compiler, and takes minutes"),
        ("cargo deny check advisories", "fetches a database"),
        ("cd tests/fuzz", "before the former"),
        ("apt install ./plausch_", "asks questions; apt-get -y of the same file is typed"),
        ("callgrind_annotate ", "shows what a run has left"),
        (
            "docker compose exec prosody prosodyctl ",
            "needs the container it is typed in; its words are read by a test",
        ),
        ("docker save ", "needs another machine"),
        ("ONLY=owner SHOW=1 cargo test ", "shows one script of a test that runs whole"),
        ("ONLY=z20 FUZZ_CASES=100000 cargo test ", "the same test runs whole, with fewer cases"),
        ("ROUNDS=20 cargo test ", "the same test runs with one round"),
        ("qemu-aarch64-static ", "needs an emulator"),
        ("go mod ", "fetches a program"),
        ("sed -n ", "with the former"),
        ("PATH=$PWD/bin:", "with the former"),
        (
            "curl --data @second.json ",
            "adds another server; one is added and taken away in `xmpp_servers_are_added_and_taken_away_while_the_bridge_runs`",
        ),
        ("prosodyctl register ", "upstream's; the accounts are typed where Prosody is installed"),
    ];

    /// Whether it is no command, but a line of an `.env`: what those mean is other tests'.
    fn is_of_env(line: &str) -> bool {
        let of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        line.split_once('=').is_some_and(|(name, value)| name.chars().all(of_name) && !value.contains(' '))
    }

    /// A new command on a page belongs to a test, or has its reason here.
    #[test]
    fn every_command_on_a_page_is_checked_or_has_a_reason() {
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let mut folders = vec![root.join("docs"), root.join("jitsi-web-patches")];
        let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "md") {
                    pages.push(path);
                }
            }
        }
        let mut used = std::collections::BTreeSet::new();
        for page in pages {
            let text = std::fs::read_to_string(&page).unwrap().replace("\\\n", " ");
            let all = below(&format!("# all{}", format!("\n{text}").replace("\n#", "\n##")), "# all", "sh");
            for line in all {
                let place = page.display();
                if is_of_env(&line) {
                    continue;
                }
                // A variable before the command.
                let bare = match line.split_once("cargo xtask ") {
                    Some((before, _)) if before.ends_with(' ') => &line[before.len()..],
                    _ => &line,
                };
                let row = CHECKED.iter().chain(NOT_TYPED).find(|(begins, _)| bare.starts_with(begins));
                let (begins, _) = row.unwrap_or_else(|| panic!("{place}: who checks `{line}`?"));
                used.insert(*begins);
                let Some(words) = bare.strip_prefix("cargo xtask ") else { continue };
                let words: Vec<&str> = words.split_whitespace().collect();
                match words.as_slice() {
                    ["bench", rest @ ..] => {
                        drop(Options::parse(rest).unwrap_or_else(|e| panic!("{place}: {line}: {e:#}")))
                    }
                    [what, ..] => assert!(crate::USAGE.contains(&format!("\n  {what} ")), "{place}: {line}"),
                    [] => panic!("{place}: {line}"),
                }
            }
        }
        let all = CHECKED.iter().chain(NOT_TYPED).map(|(begins, _)| *begins);
        let idle: Vec<&str> = all.filter(|begins| !used.contains(begins)).collect();
        assert!(idle.is_empty(), "on no page any more: {idle:?}");
    }
}
