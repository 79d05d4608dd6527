//! The text of an `.env` file, as docker compose reads it, in; names and values, and what of it may be meant in another way, out.

use std::path::{Path, PathBuf};

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvFile {
    /// In the order of the file; of a name that stands there twice, the last.
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) odd: Odd,
}

/// What is said of a file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Odd {
    /// Numbers of lines that are neither empty, nor comments, nor `NAME=value`, or whose quotes are left open.
    pub(crate) lines: Vec<usize>,
    /// Names of variables into whose values compose puts others, or nothing.
    pub(crate) references: Vec<String>,
}

impl EnvFile {
    /// The value of this name, if there is one.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }
}

/// The folder that `CONFIG` names in this file, as compose finds it.
pub(crate) fn config_folder(file: &Path, config: &str) -> PathBuf {
    match config.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        Some(rest) => {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(rest.trim_start_matches('/'))
        }
        None => file.parent().unwrap_or_else(|| Path::new(".")).join(config),
    }
}

/// Reads it. Values are not put together from others, as compose does it: those are named.
pub(crate) fn parse(text: &str) -> EnvFile {
    let mut file = EnvFile::default();
    for (n, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let Some((name, value)) = line.split_once('=') else {
            file.odd.lines.push(n + 1);
            continue;
        };
        let name = name.trim_end();
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if name.is_empty() || !letters || name.starts_with(|c: char| c.is_ascii_digit()) {
            file.odd.lines.push(n + 1);
            continue;
        }
        let Some((value, refers)) = unquoted(value.trim()) else {
            file.odd.lines.push(n + 1);
            continue;
        };
        file.variables.retain(|(known, _)| known != name);
        file.odd.references.retain(|known| known != name);
        if refers {
            file.odd.references.push(name.to_owned());
        }
        file.variables.push((name.to_owned(), value));
    }
    file
}

/// The value, and whether compose puts others into it.
fn unquoted(value: &str) -> Option<(String, bool)> {
    if let Some(rest) = value.strip_prefix('\'') {
        return rest.split_once('\'').map(|(inner, _)| (inner.to_owned(), false));
    }
    if let Some(rest) = value.strip_prefix('"') {
        return doubly_quoted(rest);
    }
    // A comment needs a space before it; in a password it has none.
    let end = [" #", "\t#"].into_iter().filter_map(|c| value.find(c)).min().unwrap_or(value.len());
    let value = value.get(..end).unwrap_or(value).trim_end();
    Some(if value.starts_with('#') { (String::new(), false) } else { (value.to_owned(), refers(value)) })
}

/// `$NAME` or `${NAME…}`. A `$` before anything else is one.
fn refers(value: &str) -> bool {
    value.split('$').skip(1).any(|behind| {
        behind.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
            || behind.strip_prefix('{').is_some_and(|name| name.contains('}'))
    })
}

/// Up to the quote that is not behind a backslash.
fn doubly_quoted(rest: &str) -> Option<(String, bool)> {
    let mut out = String::new();
    // The same without what stands behind a backslash.
    let mut bare = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return Some((out, refers(&bare))),
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                c @ ('"' | '\\' | '$') => out.push(c),
                c => out.extend(['\\', c]),
            },
            c => {
                out.push(c);
                bare.push(c);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_file_is_read_as_compose_reads_it() {
        let read = parse(
            "\u{feff}# Jitsi\nCONFIG=~/.jitsi-meet-cfg\n\nexport TZ = UTC\nPUBLIC_URL=\"https://meet.example\" # ours\n\
             SECRET=a#b$c\nEMPTY=\nNOTE= # nothing\nQUOTED='x y'\nESCAPED=\"a\\\"b\\\\c\"\nwhat is this\n1A=x\nTZ=Europe/Berlin\n=x\n",
        );
        let is = |name: &str| read.variables.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        for (name, value) in [
            ("CONFIG", "~/.jitsi-meet-cfg"),
            ("TZ", "Europe/Berlin"),
            ("PUBLIC_URL", "https://meet.example"),
            ("SECRET", "a#b$c"),
            ("EMPTY", ""),
            ("NOTE", ""),
            ("QUOTED", "x y"),
            ("ESCAPED", "a\"b\\c"),
        ] {
            assert_eq!(is(name), Some(value), "{name}");
        }
        assert_eq!((read.variables.len(), read.odd.lines), (8, vec![11, 12, 14]));
    }

    /// Compose then says another value than stands there, and a password is cut short without a word.
    #[test]
    fn values_into_which_compose_puts_others_are_named() {
        let read = parse(
            "A=${X}\nB=a$Y-b\nC=\"x ${Z:-1}\"\nD='$X'\nE=\"\\$X\"\nF=a$1$\nG=${X\nH=$X\nH=plain\nI=$_\nJ= # $X\n",
        );
        assert_eq!(read.odd.references, ["A", "B", "C", "I"]);
        assert_eq!(read.value("B"), Some("a$Y-b"));
        let file = Path::new("/srv/jitsi/.env");
        assert_eq!(config_folder(file, "./cfg"), Path::new("/srv/jitsi/./cfg"));
        assert_eq!(config_folder(file, "/opt/cfg"), Path::new("/opt/cfg"));
        assert_eq!(config_folder(file, "~cfg"), Path::new("/srv/jitsi/~cfg"));
        assert!(
            config_folder(file, "~/.jitsi").ends_with(".jitsi")
                && !config_folder(file, "~/.jitsi").starts_with("/srv")
        );
    }

    #[test]
    fn whatever_is_in_it_is_no_panic() {
        assert_eq!(parse("A=\"x\nB='y\nC=\"z\\\"\nD=1").odd.lines, [1, 2, 3], "open quotes");
        for odd in ["\"", "A=\"", "A='", "A=\"x", "A=\"\\", "=", "A==", "A=\u{0}#", "ä=ö", "A= #"] {
            let read = parse(odd);
            assert!(read.variables.len() + read.odd.lines.len() <= 1, "{odd:?}");
        }
    }
}
