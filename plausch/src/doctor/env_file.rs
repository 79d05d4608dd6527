//! The text of an `.env` file, as docker compose reads it, in; names and values, and the lines that mean nothing, out.

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvFile {
    /// In the order of the file; of a name that stands there twice, the last.
    pub(crate) variables: Vec<(String, String)>,
    /// Numbers of lines that are neither empty, nor comments, nor `NAME=value`, or whose quotes are left open.
    pub(crate) odd: Vec<usize>,
}

/// Reads it. Values are not put together from others: what a `$` means is compose's own.
pub(crate) fn parse(text: &str) -> EnvFile {
    let mut file = EnvFile::default();
    for (n, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let Some((name, value)) = line.split_once('=') else {
            file.odd.push(n + 1);
            continue;
        };
        let name = name.trim_end();
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if name.is_empty() || !letters || name.starts_with(|c: char| c.is_ascii_digit()) {
            file.odd.push(n + 1);
            continue;
        }
        let Some(value) = unquoted(value.trim()) else {
            file.odd.push(n + 1);
            continue;
        };
        file.variables.retain(|(known, _)| known != name);
        file.variables.push((name.to_owned(), value));
    }
    file
}

fn unquoted(value: &str) -> Option<String> {
    if let Some(rest) = value.strip_prefix('\'') {
        return rest.split_once('\'').map(|(inner, _)| inner.to_owned());
    }
    if let Some(rest) = value.strip_prefix('"') {
        return doubly_quoted(rest);
    }
    // A comment needs a space before it; in a password it has none.
    let end = [" #", "\t#"].into_iter().filter_map(|c| value.find(c)).min().unwrap_or(value.len());
    let value = value.get(..end).unwrap_or(value).trim_end();
    Some(if value.starts_with('#') { String::new() } else { value.to_owned() })
}

/// Up to the quote that is not behind a backslash.
fn doubly_quoted(rest: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return Some(out),
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                c @ ('"' | '\\' | '$') => out.push(c),
                c => out.extend(['\\', c]),
            },
            c => out.push(c),
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
        assert_eq!((read.variables.len(), read.odd), (8, vec![11, 12, 14]));
    }

    #[test]
    fn whatever_is_in_it_is_no_panic() {
        assert_eq!(parse("A=\"x\nB='y\nC=\"z\\\"\nD=1").odd, [1, 2, 3], "open quotes");
        for odd in ["\"", "A=\"", "A='", "A=\"x", "A=\"\\", "=", "A==", "A=\u{0}#", "ä=ö", "A= #"] {
            let read = parse(odd);
            assert!(read.variables.len() + read.odd.len() <= 1, "{odd:?}");
        }
    }
}
