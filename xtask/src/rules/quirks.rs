//! Quirks kept for compatibility: all Rust files in; marks (`compat:` in a comment) that name no test which exists, out.

use std::collections::BTreeSet;

/// Marks whose comment does not say `test: <name>`, or names a test that is not there.
pub(super) fn check<'a>(files: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Vec<String> {
    let names = |text: &'a str| text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
    let tests: BTreeSet<&str> = files.clone().flat_map(|(_, text)| names(text)).collect();
    let mut bad = Vec::new();
    // What tests and tools do as a client does it has no test of its own.
    for (file, text) in files.filter(|(f, _)| super::code::is_product(f)) {
        for (line, comment) in comments(text).into_iter().filter(|(_, c)| c.contains("compat:")) {
            match comment.split_once("test: ").map(|(_, rest)| first_word(rest)) {
                None => bad.push(format!("{file}:{line}: a quirk without `test: <name>`")),
                Some(test) if !tests.contains(test) => {
                    bad.push(format!("{file}:{line}: there is no test `{test}`"));
                }
                Some(_) => {}
            }
        }
    }
    bad
}

/// Comments over several lines as one, each with the number of its first line.
fn comments(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (n, line) in text.lines().enumerate() {
        let own = line.trim_start();
        let comment = line.split_once("// ").map(|(_, c)| c.trim()).or_else(|| own.strip_prefix("///"));
        match comment {
            Some(comment) if open && own.starts_with("//") => {
                if let Some((_, so_far)) = found.last_mut() {
                    so_far.push(' ');
                    so_far.push_str(comment);
                }
            }
            Some(comment) => found.push((n + 1, comment.to_owned())),
            None => {}
        }
        // A comment behind code ends with its line.
        open = comment.is_some() && own.starts_with("//");
    }
    found
}

fn first_word(text: &str) -> &str {
    text.trim_start_matches('`')
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .next()
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(text: &str) -> Vec<String> {
        let tests = ("focus/core/src/tests/a.rs", "fn compat_a_client_asks_twice() {");
        check([("focus/core/src/a.rs", text), tests].into_iter())
    }

    #[test]
    fn a_quirk_names_its_test() {
        assert_eq!(
            check_one("// compat: old clients ask twice (test: compat_a_client_asks_twice).\nlet a = 1;"),
            [""; 0]
        );
        assert_eq!(
            check_one("    // compat: old clients\n    // ask twice (test: `compat_a_client_asks_twice`).\n"),
            [""; 0]
        );
        assert_eq!(check_one("let a = 1; // nothing special"), [""; 0]);
    }

    #[test]
    fn a_quirk_without_a_test_is_found() {
        assert_eq!(check_one("\n// compat: old clients ask twice.\n").len(), 1);
        assert_eq!(check_one("/// compat: they ask twice (test: compat_something_else).\n").len(), 1);
        let next = "let a = 1; // compat: twice\n// test: compat_a_client_asks_twice\n";
        assert_eq!(check_one(next).len(), 1, "another comment");
    }
}
