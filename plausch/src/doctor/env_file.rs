//! The text of an `.env` file, as docker compose reads it, in; names and values, and the lines that mean nothing, out.

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct EnvFile {
    /// In the order of the file; of a name that stands there twice, the last.
    pub(crate) variables: Vec<(String, String)>,
    /// Numbers of lines that are neither empty, nor comments, nor `NAME=value`.
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
        file.variables.retain(|(known, _)| known != name);
        file.variables.push((name.to_owned(), unquoted(value.trim())));
    }
    file
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((inner, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inner.to_owned();
        }
    }
    // A comment needs a space before it; in a password it has none.
    let end = [" #", "\t#"].into_iter().filter_map(|c| value.find(c)).min().unwrap_or(value.len());
    let value = value.get(..end).unwrap_or(value).trim_end();
    if value.starts_with('#') { String::new() } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_env_file_is_read_as_compose_reads_it() {
        let read = parse(
            "\u{feff}# Jitsi\nCONFIG=~/.jitsi-meet-cfg\n\nexport TZ = UTC\nPUBLIC_URL=\"https://meet.example\" # ours\n\
             SECRET=a#b$c\nEMPTY=\nNOTE= # nothing\nQUOTED='x y'\nwhat is this\n1A=x\nTZ=Europe/Berlin\n=x\n",
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
        ] {
            assert_eq!(is(name), Some(value), "{name}");
        }
        assert_eq!((read.variables.len(), read.odd), (7, vec![10, 11, 13]));
    }

    #[test]
    fn whatever_is_in_it_is_no_panic() {
        for odd in ["\"", "A=\"", "A='", "A=\"x", "=", "A==", "A=\u{0}#", "ä=ö", "A= #"] {
            let read = parse(odd);
            assert!(read.variables.len() + read.odd.len() <= 1, "{odd:?}");
        }
    }
}
