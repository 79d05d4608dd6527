//! Words: the text of a file in; what names a workplace, and what a visitor would read in one language only, out.

use std::collections::{BTreeMap, BTreeSet};

/// Paths of the machines we work on have no place in the project. Taken apart, so that this file passes.
const WORKPLACES: &[&str] =
    &[concat!("/wo", "rk"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// Paths that only exist where somebody works.
pub(super) fn workplaces(path: &str, text: &str) -> Vec<String> {
    let mut bad = Vec::new();
    for (n, line) in text.lines().enumerate() {
        for workplace in WORKPLACES {
            let here = |(at, _): (usize, &str)| {
                let within = |c: char| c.is_alphanumeric() || "_-".contains(c);
                !line[..at].ends_with(|c: char| within(c) || ".)}".contains(c))
                    && (workplace.ends_with('/') || !line[at + workplace.len()..].starts_with(within))
            };
            if line.match_indices(workplace).any(here) {
                bad.push(format!("{path}:{}: names a workplace: {workplace}", n + 1));
            }
        }
    }
    bad
}

/// The texts of the test-call page: each in German and in English, with the same gaps to fill.
pub(super) fn languages(path: &str, text: &str) -> Vec<String> {
    let (german, english) = (entries(text, "  de: {"), entries(text, "  en: {"));
    if german.is_empty() || english.is_empty() {
        return vec![format!("{path}: no texts found: `de: {{` and `en: {{` begin them")];
    }
    let keys: BTreeSet<&String> = german.keys().chain(english.keys()).collect();
    let mut bad = Vec::new();
    for key in keys {
        match (german.get(key), english.get(key)) {
            (Some(a), Some(b)) if gaps(a) != gaps(b) => {
                bad.push(format!("{path}: `{key}` has other gaps in German than in English"));
            }
            (Some(_), Some(_)) => {}
            (None, _) => bad.push(format!("{path}: `{key}` is missing in German")),
            (_, None) => bad.push(format!("{path}: `{key}` is missing in English")),
        }
    }
    bad
}

/// Texts that a file of the page asks for by name and that nobody wrote.
pub(super) fn unwritten(path: &str, page: &str, texts: &str) -> Vec<String> {
    let written = entries(texts, "  en: {");
    let asked = |head: &'static str, end: char| {
        page.match_indices(head)
            .filter_map(move |(at, _)| page[at + head.len()..].split_once(end))
            .map(|(key, _)| key)
    };
    let all = asked(" t('", '\'')
        .chain(asked("(t('", '\''))
        .chain(asked("${t('", '\''))
        .chain(asked("data-text=\"", '"'));
    all.filter(|key| !written.contains_key(*key))
        .map(|key| format!("{path}: there is no text `{key}`"))
        .collect()
}

/// `key: 'text'` pairs of the block that begins with `head`.
fn entries(text: &str, head: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let block = text.lines().skip_while(|l| *l != head).skip(1).take_while(|l| *l != "  },");
    for line in block {
        let mut rest = line;
        while let Some((key, after)) = rest.split_once(": '") {
            let key = key.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            let end = after.char_indices().find(|(i, c)| *c == '\'' && !after[..*i].ends_with('\\'));
            let end = end.map_or(after.len(), |(i, _)| i);
            found.insert(key.to_owned(), after[..end].to_owned());
            rest = after.get(end + 1..).unwrap_or_default();
        }
    }
    found
}

fn gaps(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_workplace_is_found() {
        let line = concat!("see /wo", "rk/notes.md");
        assert_eq!(workplaces("a.md", line).len(), 1);
        assert_eq!(workplaces("a.md", concat!("in `/wo", "rk`")).len(), 1);
        assert_eq!(workplaces("a.md", concat!("/wo", "rkers and /wo", "rk-flow")).len(), 0);
        assert_eq!(workplaces("a.md", concat!("https://x.example/ho", "me/a and src/wo", "rk/b")).len(), 0);
    }

    #[test]
    fn a_text_in_one_language_only_is_found() {
        let page = |de: &str| {
            format!(
                "const t = {{\n  en: {{\n    a: 'It\\'s {{n}}', b: 'x',\n  }},\n  de: {{\n    {de}\n  }},\n}};\n"
            )
        };
        assert_eq!(languages("i", &page("a: 'Es ist {n}', b: 'y',")), Vec::<String>::new());
        assert_eq!(languages("i", &page("a: 'Es ist {n}',")), ["i: `b` is missing in German"]);
        assert_eq!(languages("i", &page("a: 'Es ist', b: 'y',")).len(), 1);
        assert_eq!(languages("i", "nothing").len(), 1);
        let page = page("a: 'x', b: 'y',");
        assert_eq!(unwritten("m", "say(t('a')); x = t('b')", &page), Vec::<String>::new());
        assert_eq!(unwritten("m", "say(t('c', {}))", &page), ["m: there is no text `c`"]);
        assert_eq!(unwritten("m", "<p data-text=\"d\">", &page).len(), 1);
    }
}
