//! A text that names options by their keys in; the same with the names that environment and command line have for them out.

use service::{Setting, StartError};

use super::SETTINGS;

/// Puts an option's other names behind its key where that stands first, `http.listen (PLAUSCH_HTTP, --http)`. Where the text
/// says some names itself, in parentheses, it is left alone. Every line about options goes through here on its way out.
pub(crate) fn named(text: &str) -> String {
    let mut out = text.to_owned();
    for setting in SETTINGS.iter().filter(|s| text.contains(s.key)) {
        let Some(at) = first(&out, setting.key) else { continue };
        let end = at + setting.key.len();
        let (Some(before), Some(after)) = (out.get(..at), out.get(end..)) else { continue };
        let quoted = before.strip_suffix('`').zip(after.strip_prefix('`'));
        let (before, after) = quoted.unwrap_or((before, after));
        let explained = after.starts_with(" (") || before.matches('(').count() > before.matches(')').count();
        if !explained {
            out = format!("{before}{}{after}", three_names(setting));
        }
    }
    out
}

/// Why a start ends, in a line that names options as the file, the environment and the command line do.
pub(crate) fn line(e: &StartError) -> String {
    named(&e.to_string())
}

/// An option as all three places name it.
fn three_names(s: &Setting) -> String {
    let flag = (!s.flag.is_empty()).then(|| format!("--{}", s.flag));
    let others: Vec<String> = s.env.iter().map(|e| (*e).to_owned()).chain(flag).collect();
    if others.is_empty() { s.key.to_owned() } else { format!("{} ({})", s.key, others.join(", ")) }
}

/// Where a key stands that is not part of a longer name.
fn first(text: &str, key: &str) -> Option<usize> {
    text.match_indices(key).map(|(at, _)| at).find(|at| {
        let before = text.get(..*at).and_then(|t| t.chars().next_back());
        let mut after = text.get(at + key.len()..).unwrap_or_default().chars();
        let (next, second) = (after.next(), after.next());
        let name = |c: char| c.is_alphanumeric() || c == '_';
        let begins = !before.is_some_and(|c| name(c) || "./-".contains(c));
        let ends = match next {
            Some('.') => !second.is_some_and(name),
            Some(c) => !name(c) && c != '-',
            None => true,
        };
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use service::Origin;

    use super::*;

    #[test]
    fn each_option_has_its_other_names_behind_its_first_mention() {
        for (text, is) in [
            ("nothing to name", "nothing to name"),
            ("set http.web.", "set http.web (PLAUSCH_WEB, --web)."),
            ("`http.web` and `http.web`", "http.web (PLAUSCH_WEB, --web) and `http.web`"),
            (
                "https.key needs https.certificate",
                "https.key (PLAUSCH_KEY, --key) needs https.certificate (PLAUSCH_CERTIFICATE, --certificate)",
            ),
            ("media.listen (--media) is", "media.listen (--media) is"),
            ("PLAUSCH_WEB=x (http.web, --web)", "PLAUSCH_WEB=x (http.web, --web)"),
            ("a.http.web /http.web http.web.x http.webs", "a.http.web /http.web http.web.x http.webs"),
            ("client.http_conference_request is", "client.http_conference_request is"),
        ] {
            assert_eq!(named(text), is);
            assert_eq!(named(is), is, "said twice");
        }
    }

    #[test]
    fn every_option_is_named_three_times_in_an_error() {
        for s in SETTINGS {
            let e = StartError::BadValue {
                option: s.key.to_owned(),
                origin: Origin::File,
                reason: "must be".to_owned(),
            };
            let said = line(&e);
            let flag = if s.flag.is_empty() { String::new() } else { format!("--{}", s.flag) };
            assert!(
                said.contains(s.key) && said.contains(&flag) && s.env.iter().all(|n| said.contains(n)),
                "{said}"
            );
        }
    }

    /// Warnings named the key of the file alone, which who has an `.env` has never seen.
    #[test]
    fn every_line_of_the_log_that_names_an_option_names_it_three_times() {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
                if entry.is_dir() {
                    folders.push(entry);
                    continue;
                }
                let text = std::fs::read_to_string(&entry).unwrap();
                for level in ["info", "warn", "error"] {
                    for call in text.split(&format!("tracing::{level}!(")).skip(1) {
                        let call = call.split(");").next().unwrap();
                        seen += 1;
                        assert!(
                            call.contains("named(") || named(call) == call,
                            "{}: {call}",
                            entry.display()
                        );
                    }
                }
            }
        }
        assert!(seen > 20, "{seen}");
    }
}
