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

    #[test]
    fn commands_are_those_of_shell_blocks_below_the_heading() {
        let page = "# A\n```sh\nno\n```\n## B\n```sh\none --x    # why\n```\n```text\nno\n```\n### C\n1. x\n\n   ```sh\n   two\n   ```\n## D\n```sh\nno\n```\n";
        assert_eq!(below(page, "## B", "sh"), ["one --x", "two"]);
        assert_eq!(below(page, "## B", "text"), ["no"]);
        assert_eq!(below(page, "### C", "sh"), ["two"]);
        assert!(below(page, "## E", "sh").is_empty());
    }
}
