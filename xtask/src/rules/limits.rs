//! Bounds: the text of a `limits.rs` in; each bound with what its comment says, or that it says nothing or that no test
//! names it, out.

use std::collections::BTreeSet;

/// One bound.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) line: usize,
    /// The module inside the file that it stands in.
    pub(super) module: Option<String>,
    pub(super) name: String,
    /// The value as written; `None` for a field, whose default the comment names.
    pub(super) value: Option<String>,
    pub(super) comment: String,
}

/// All public constants and fields of a file, tests left out.
pub(super) fn limits(text: &str) -> Vec<Limit> {
    let mut found = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    let mut module = None;
    let mut lines = text.lines().enumerate().peekable();
    while let Some((n, line)) = lines.next() {
        if line == "}" {
            module = None;
        }
        let line = line.trim();
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        if let Some(said) = line.strip_prefix("///") {
            comment.push(said.trim());
            continue;
        }
        if line.starts_with("#[") {
            continue;
        }
        let public = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub "));
        if let Some(name) = public.and_then(|item| item.strip_prefix("mod ")?.strip_suffix(" {")) {
            module = Some(name.to_owned());
        }
        if let Some(item) = public {
            let constant = item.strip_prefix("const ").filter(|c| !c.starts_with("fn "));
            let field = item.contains(": ") && item.ends_with(',') && !item.contains('(');
            if constant.is_some() || field {
                let mut item = constant.unwrap_or(item).to_owned();
                while constant.is_some() && !item.ends_with(';') {
                    let Some((_, more)) = lines.next() else { break };
                    item.push_str(more.trim());
                }
                let (name, rest) = item.split_once(':').unwrap_or((&item, ""));
                let value =
                    constant.and_then(|_| rest.split_once('=')).map(|(_, v)| v.trim().trim_end_matches(';'));
                found.push(Limit {
                    line: n + 1,
                    module: module.clone(),
                    name: name.to_owned(),
                    value: value.map(str::to_owned),
                    comment: comment.join(" "),
                });
            }
        }
        comment.clear();
    }
    found
}

/// Bounds without a reason. A reason is more than a name: it has a second clause, or points at the bound it belongs to.
pub(super) fn check(path: &str, text: &str) -> Vec<String> {
    let silent = limits(text).into_iter().filter(|l| !gives_reason(&l.comment));
    silent.map(|l| format!("{path}:{}: {} says neither why nor what it costs", l.line, l.name)).collect()
}

/// Bounds that no test of their part, core and shell, names, so that it would not notice when nobody keeps them. What is no bound says so:
/// `Not a bound: <reason>`.
pub(super) fn untested<'a>(files: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Vec<String> {
    let mut bad = Vec::new();
    for (file, text) in files.clone().filter(|(f, _)| states_limits(f)) {
        let part = file.split("/src/").next().unwrap_or(file);
        let part = part.strip_suffix("core").or_else(|| part.strip_suffix("server")).unwrap_or(part);
        let of_part = files.clone().filter(|(f, _)| f.starts_with(part));
        let words = |text: &'a str| text.split(|c: char| !is_of_a_word(c)).collect::<BTreeSet<&str>>();
        let tests: Vec<_> = of_part.map(|(f, t)| (words(t), words(super::code::tests_in(f, t)))).collect();
        for limit in limits(text) {
            // Where a module has bounds of its own, the same names may stand in others.
            let named = tests.iter().any(|(whole, tests)| {
                tests.contains(limit.name.as_str())
                    && limit.module.as_ref().is_none_or(|m| whole.contains(m.as_str()))
            });
            let says =
                limit.comment.split_once("Not a bound: ").is_some_and(|(_, why)| !why.trim().is_empty());
            if !named && !says {
                bad.push(format!("{file}:{}: no test names {}", limit.line, limit.name));
            }
        }
    }
    bad
}

const fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn gives_reason(comment: &str) -> bool {
    comment.starts_with("See [")
        || [". ", ": ", "; ", ", ", " (", "as upstream"].iter().any(|s| comment.contains(s))
}

/// Whether this file states bounds of the product.
pub(super) fn states_limits(path: &str) -> bool {
    path.ends_with("/limits.rs") && path.contains("/src/") && !path.starts_with("tools/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_without_a_reason_is_found() {
        let text = "/// Rooms.\npub const ROOMS: usize = 5;\n\npub(crate) const BARE: u8 = 1;\n";
        assert_eq!(
            check("a/src/limits.rs", text),
            [
                "a/src/limits.rs:2: ROOMS says neither why nor what it costs",
                "a/src/limits.rs:4: BARE says neither why nor what it costs"
            ]
        );
    }

    #[test]
    fn a_bound_that_no_test_of_its_crate_names_is_found() {
        let limits = "/// Rooms. 2 KiB each.\npub const ROOMS: usize = 5;\n\n/// A buffer. Not a bound: a hint.\n\
            pub const CHUNK: usize = 5;\n/// Rates.\npub mod pace {\n    /// Of all. As upstream.\n    pub const ALL: u8 = 1;\n}\n";
        let found =
            |file: &str, test: &str| untested([("a/src/limits.rs", limits), (file, test)].into_iter());
        let both = ["a/src/limits.rs:2: no test names ROOMS", "a/src/limits.rs:9: no test names ALL"];
        assert_eq!(found("a/src/b.rs", "fn f() { ROOMS; pace::ALL }\n#[cfg(test)]\nmod tests {}"), both);
        assert_eq!(found("b/src/b.rs", "#[cfg(test)]\nmod tests { ROOMS; pace::ALL }"), both);
        assert_eq!(found("a/tests/b.rs", "BATHROOMS; other::ALL"), both);
        assert_eq!(found("a/src/b.rs", "#[cfg(test)]\nmod tests { ROOMS; pace::ALL }"), [""; 0]);
        assert_eq!(found("a/tests/b.rs", "f(limits::ROOMS, pace::ALL)"), [""; 0]);
    }

    #[test]
    fn constants_and_fields_are_read_with_their_values() {
        let text = "\
/// Rooms at once. 2 KiB each,
/// hundreds are normal.
#[allow(dead_code)]
pub const ROOMS: usize =
    5_000;
/// The bounds. All of them.
pub struct Limits {
    /// Bytes of one stanza. 256 KiB, as upstream.
    pub stanza: usize,
}
/// Makes one: not a bound.
pub const fn new(a: u8) -> u8 { a }
#[cfg(test)]
pub const TEST: u8 = 1;
";
        let found = limits(text);
        let seen: Vec<(&str, Option<&str>)> =
            found.iter().map(|l| (l.name.as_str(), l.value.as_deref())).collect();
        assert_eq!(seen, [("ROOMS", Some("5_000")), ("stanza", None)]);
        assert_eq!(found[0].comment, "Rooms at once. 2 KiB each, hundreds are normal.");
        assert_eq!(check("a", text), Vec::<String>::new());
    }
}
