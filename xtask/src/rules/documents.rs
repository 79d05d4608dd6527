//! Documents: the text of a file in, out what does not resolve: citations (`client §5.2`), links and paths.
//!
//! A citation names the document and a number: `client`, `xmpp-server`, `focus`, `bridge`, `deployment` are the pages in
//! `docs/protocol/`; RFCs, XEPs, drafts and XML are named as everybody names them. A number without a name is of the page
//! it stands in, or of the document named before it on the line.

use std::collections::{BTreeMap, BTreeSet};

/// Pages in `docs/protocol/` by the short name that citations use.
const PAGES: &[&str] = &["client", "xmpp-server", "focus", "bridge", "deployment"];
/// Which test shows what.
const TESTS: &str = "docs/developer/";
/// The same of each feature of upstream's focus.
const FEATURES: &str = "docs/developer/focus.md";
/// So many there are.
const FEATURE_COUNT: usize = 54;
/// Folders whose paths, written as code in a document, must exist.
const FOLDERS: &[&str] = &[
    "common/",
    "focus/",
    "videobridge/",
    "turn/",
    "docker/",
    "packaging/",
    "jitsi-web-patches/",
    "prosody-compat/",
    "turn/",
    "plausch/",
    "tests/",
    "tools/",
    "xtask/",
    "docs/",
];

/// Everything that documents may point at.
#[derive(Debug, Default)]
pub(super) struct Library {
    /// Section numbers of each protocol page.
    sections: BTreeMap<String, BTreeSet<String>>,
    /// Anchors of each Markdown file.
    anchors: BTreeMap<String, BTreeSet<String>>,
    /// Every tracked file.
    files: BTreeSet<String>,
    /// Names of all functions: documents for auditors name tests.
    functions: BTreeSet<String>,
}

impl Library {
    pub(super) fn new<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut library = Self::default();
        for (path, text) in files {
            library.files.insert(path.to_owned());
            if path.ends_with(".rs") {
                let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
                library.functions.extend(names.map(str::to_owned));
            }
            if !path.ends_with(".md") {
                continue;
            }
            let headings: Vec<&str> = outside_code(text).filter_map(|(_, l)| heading(l)).collect();
            if let Some(page) = page_of(path) {
                let numbers = headings.iter().filter_map(|h| number(h)).map(str::to_owned);
                library.sections.insert(page.to_owned(), numbers.collect());
            }
            library.anchors.insert(path.to_owned(), anchors(&headings));
        }
        library
    }

    /// What in this file points nowhere.
    pub(super) fn check(&self, path: &str, text: &str) -> Vec<String> {
        let mut bad = self.citations(path, text);
        if path.ends_with(".md") {
            bad.extend(self.links(path, text));
            bad.extend(self.paths(path, text));
        }
        if path.starts_with("docs/auditor/") || path.starts_with(TESTS) {
            bad.extend(self.tests(path, text));
        }
        if path == FEATURES {
            bad.extend(features(path, text));
        }
        bad
    }

    fn citations(&self, path: &str, text: &str) -> Vec<String> {
        let own = page_of(path);
        let mut bad = Vec::new();
        let mut previous = "";
        for (n, line) in text.lines().enumerate() {
            let mut last = own.map(str::to_owned);
            for (at, _) in line.match_indices('§') {
                let Some(section) = number(line[at..].trim_start_matches('§')) else { continue };
                let wrapped = line[..at].trim_matches(['/', '!', ' ', '*', '#']).is_empty();
                let before = if wrapped { previous } else { &line[..at] };
                let document = match document_before(before) {
                    Named::Page(page) => Some(page.to_owned()),
                    Named::Elsewhere => None,
                    Named::Not if last.is_some() => last.clone(),
                    // A list: of the specification named before.
                    Named::Not if line[..at].contains('§') => None,
                    Named::Not => {
                        bad.push(format!("{path}:{}: §{section} of which document?", n + 1));
                        continue;
                    }
                };
                if let Some(page) = &document
                    && !self.sections.get(page).is_some_and(|s| s.contains(section))
                {
                    bad.push(format!("{path}:{}: docs/protocol/{page}.md has no section {section}", n + 1));
                }
                last = document.or_else(|| own.map(str::to_owned));
            }
            previous = line;
        }
        bad
    }

    fn links(&self, path: &str, text: &str) -> Vec<String> {
        let mut bad = Vec::new();
        for (n, line) in outside_code(text) {
            for target in line.split('`').step_by(2).flat_map(|text| text.split("](").skip(1)) {
                let target = target.split([')', ' ']).next().unwrap_or_default();
                if target.contains("://") || target.starts_with("mailto:") {
                    continue;
                }
                let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
                let file = if file.is_empty() { path.to_owned() } else { resolve(path, file) };
                if !self.exists(&file) {
                    bad.push(format!("{path}:{n}: link to `{target}`, which is not there"));
                } else if !anchor.is_empty()
                    && let Some(anchors) = self.anchors.get(&file)
                    && !anchors.contains(anchor)
                {
                    bad.push(format!("{path}:{n}: link to `{target}`: no such heading"));
                }
            }
        }
        bad
    }

    /// Paths written as code: a document that sends its reader to a file that has moved.
    fn paths(&self, path: &str, text: &str) -> Vec<String> {
        let mut bad = Vec::new();
        for (n, line) in outside_code(text) {
            for code in line.split('`').skip(1).step_by(2).flat_map(braces) {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
                let absolute = FOLDERS.iter().any(|f| code.starts_with(f));
                let there = match code.strip_suffix('/') {
                    Some(folder) if absolute => self.exists(folder),
                    None if absolute => self.exists(&code),
                    Some(_) if code.contains("src/") => self.ends(|f| f.contains(&format!("/{code}"))),
                    None if code.ends_with(".rs") => self.ends(|f| f.ends_with(&format!("/{code}"))),
                    _ => true,
                };
                if code.chars().all(plain) && !there {
                    bad.push(format!("{path}:{n}: `{code}` is not there"));
                }
            }
        }
        bad
    }

    /// Names of tests: a sentence with underscores, as code.
    fn tests(&self, path: &str, text: &str) -> Vec<String> {
        let sentence = |c: &str| {
            c.matches('_').count() > 2
                && c.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        let named =
            outside_code(text).flat_map(|(n, l)| l.split('`').skip(1).step_by(2).map(move |c| (n, c)));
        named
            .filter(|(_, c)| sentence(c) && !self.functions.contains(*c))
            .map(|(n, c)| format!("{path}:{n}: there is no test `{c}`"))
            .collect()
    }

    fn ends(&self, like: impl Fn(&str) -> bool) -> bool {
        self.files.iter().any(|f| like(f))
    }

    fn exists(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self.files.contains(path)
            || self.files.range(folder.clone()..).next().is_some_and(|f| f.starts_with(&folder))
    }
}

/// Features without a row. Which of them are here, and why not, is in `features.rs`.
fn features(path: &str, text: &str) -> Vec<String> {
    let mut missing: BTreeSet<usize> = (1..=FEATURE_COUNT).collect();
    for (_, line) in outside_code(text) {
        // A row, or the line that names those without a test, and why.
        let numbers: Vec<&str> = match (line.strip_prefix("| "), line.strip_prefix(WITHOUT)) {
            (Some(row), _) => row.split(" |").take(1).collect(),
            (_, Some(named)) => named.split(", ").collect(),
            _ => continue,
        };
        let number = |w: &str| w.split(' ').next()?.parse::<usize>().ok();
        numbers.into_iter().filter_map(number).for_each(|n| {
            missing.remove(&n);
        });
    }
    if missing.is_empty() {
        return Vec::new();
    }
    vec![format!("{path}: features of the focus without a row: {missing:?}")]
}

/// What stands before a `§`.
#[derive(Debug, PartialEq, Eq)]
enum Named<'a> {
    Page(&'a str),
    /// A specification outside the repository.
    Elsewhere,
    Not,
}

fn document_before(text: &str) -> Named<'_> {
    let mut words = text.trim_end().rsplit(|c: char| c.is_whitespace() || "([`\"'/*".contains(c));
    let last = words.next().unwrap_or_default();
    if let Some(page) = PAGES.iter().find(|p| **p == last) {
        return Named::Page(page);
    }
    let before = words.find(|w| !w.is_empty()).unwrap_or_default();
    let xml = text.contains("XML 1.0") || text.contains("Namespaces in XML");
    if xml || before == "RFC" || last.starts_with("XEP-") || last.starts_with("draft-") || last == "1.0" {
        return Named::Elsewhere;
    }
    Named::Not
}

fn page_of(path: &str) -> Option<&str> {
    path.strip_prefix("docs/protocol/")?.strip_suffix(".md").filter(|p| PAGES.contains(p))
}

/// The lines outside fenced code, from 1.
fn outside_code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(n, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((n + 1, line))
    })
}

fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    (text.len() < line.len() && text.starts_with(' ')).then(|| text.trim())
}

/// `4.2` of `4.2 Who speaks`, `4` of `4. Speech`.
fn number(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some(text[..end].trim_end_matches('.')).filter(|n| !n.is_empty() && !n.starts_with('.'))
}

/// As GitHub makes them.
fn anchors(headings: &[&str]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for h in headings {
        let kept = h.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>().to_lowercase();
        let again = (1..).map(|n| format!("{slug}-{n}"));
        if let Some(free) = std::iter::once(slug.clone()).chain(again).find(|s| !all.contains(s)) {
            all.insert(free);
        }
    }
    all
}

/// `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn braces(code: &str) -> Vec<String> {
    let parts = code.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?)));
    match parts {
        Some((head, (choice, tail))) => choice.split(',').map(|c| format!("{head}{c}{tail}")).collect(),
        None => vec![code.to_owned()],
    }
}

/// `../a.md` seen from `docs/b/c.md` is `docs/a.md`.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Begins the line about features without a test.
const WITHOUT: &str = "Not here, and why: ";

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "# The client\n\n## 5. Jingle\n\n### 5.2 The offer\n\n```text\n### 9.9 no heading\n```\n";

    fn check(path: &str, text: &str) -> Vec<String> {
        let files = [
            ("docs/protocol/client.md", PAGE),
            ("docs/a.md", "# One two\n"),
            ("focus/core/src/lib.rs", "fn a_flood_costs_nobody_else() {"),
        ];
        Library::new(files.into_iter()).check(path, text)
    }

    #[test]
    fn a_citation_of_a_section_that_is_there_is_fine() {
        for good in [
            "//! The offer (client \u{a7}5.2).",
            "//! client \u{a7}5, \u{a7}5.2 and \u{a7}5",
            "// of a name (RFC 1035\n    /// \u{a7}2.3.4)",
            "// RFC 8445 \u{a7}5.1.1, \u{a7}7.2 and \u{a7}9",
            "/// XEP-0045 \u{a7}10.1.2; XML namespaces 1.0 \u{a7}4; draft-holmer-rmcat-01 \u{a7}3.1",
        ] {
            assert_eq!(check("a/src/b.rs", good), Vec::<String>::new(), "{good}");
        }
        assert_eq!(
            check("docs/protocol/client.md", "see \u{a7}5.2, RFC 3550 \u{a7}6.4"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_citation_of_a_section_or_document_that_is_not_there_is_found() {
        let bad = check("a.rs", "\n// client \u{a7}9.9");
        assert_eq!(bad, ["a.rs:2: docs/protocol/client.md has no section 9.9"]);
        assert_eq!(check("a.rs", "// client-protocol \u{a7}5.2"), ["a.rs:1: \u{a7}5.2 of which document?"]);
        assert_eq!(check("a.rs", "// the order of \u{a7}5.2"), ["a.rs:1: \u{a7}5.2 of which document?"]);
        assert_eq!(check("a.rs", "// client \u{a7}5 and \u{a7}6").len(), 1);
        assert_eq!(check("docs/protocol/client.md", "see \u{a7}7").len(), 1);
    }

    #[test]
    fn a_test_that_an_auditor_is_pointed_at_exists() {
        let page = "`a_flood_costs_nobody_else`, `some_word`, `a_flood_that_is_gone`";
        assert_eq!(
            check("docs/auditor/x.md", page),
            ["docs/auditor/x.md:1: there is no test `a_flood_that_is_gone`"]
        );
        assert_eq!(check("docs/developer/testing.md", page).len(), 1);
        assert_eq!(check("docs/x.md", page), Vec::<String>::new());
    }

    #[test]
    fn every_feature_of_the_focus_has_a_row_or_a_reason() {
        let row = |n: usize| format!("| {n} | something | `a_test` |\n");
        let all: String = (1..=FEATURE_COUNT).map(row).collect();
        let check = |text: &str| features(FEATURES, text);
        assert_eq!(check(&all), Vec::<String>::new());
        let one_less = all.replace("| 7 |", "| |");
        assert_eq!(check(&one_less), [format!("{FEATURES}: features of the focus without a row: {{7}}")]);
        assert_eq!(check(&format!("{one_less}{WITHOUT}7 (for a reason), 8 (too).\n")), Vec::<String>::new());
    }

    #[test]
    fn links_and_paths_lead_somewhere() {
        let good = "[a](a.md#one-two) [p](protocol/) [x](https://x.example/) `focus/core/` `focus/*/src`";
        assert_eq!(check("docs/b.md", good), Vec::<String>::new());
        assert_eq!(
            check("docs/b.md", "[a](../a.md)"),
            ["docs/b.md:1: link to `../a.md`, which is not there"]
        );
        assert_eq!(check("docs/b.md", "[a](a.md#two)"), ["docs/b.md:1: link to `a.md#two`: no such heading"]);
        assert_eq!(check("docs/b.md", "see `focus/core/src/gone.rs`").len(), 1);
        assert_eq!(
            check("docs/b.md", "see `core/src/lib.rs`, `src/lib.rs` and `core/src/`"),
            Vec::<String>::new()
        );
        assert_eq!(
            check("docs/b.md", "see `core/src/{lib,gone}.rs` and `core/src/gone/`"),
            ["docs/b.md:1: `core/src/gone.rs` is not there", "docs/b.md:1: `core/src/gone/` is not there"]
        );
    }
}
