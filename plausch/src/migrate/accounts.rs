//! Prosody's folders with accounts in; how many people have one on which host, and how their passwords are kept, out. Names and keys
//! stay where they are: nothing reads them yet.

use std::path::Path;

use super::tree::Tree;
use crate::foreign::lua::{self, Value};

/// The people of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Accounts {
    pub(super) host: String,
    /// With keys of SCRAM-SHA-1 or -256, which can be taken over without the passwords.
    pub(super) keys: usize,
    /// With the password itself.
    pub(super) plain: usize,
    /// Not understood.
    pub(super) odd: usize,
}

/// Looks at `<data>/<host>/accounts/<name>.dat`. Service accounts are made by the roles themselves.
pub(super) fn look(tree: &Tree, data: &Path) -> Vec<Accounts> {
    let mut all = Vec::new();
    for folder in tree.entries(data) {
        let host = unescaped(&folder.file_name().unwrap_or_default().to_string_lossy());
        if ["auth.", "hidden.", "recorder.", "jigasi.", "transcriber."]
            .iter()
            .any(|own| host.starts_with(own))
        {
            continue;
        }
        let mut it = Accounts { host, keys: 0, plain: 0, odd: 0 };
        for file in tree.entries(&folder.join("accounts")) {
            if file.extension().is_some_and(|e| e == "dat") {
                match tree.text(&file).and_then(|text| lua::table(&text).ok()) {
                    Some(table) if has_keys(&table) => it.keys += 1,
                    Some(table) if table.at("password").and_then(Value::text).is_some() => it.plain += 1,
                    _ => it.odd += 1,
                }
            }
        }
        if it.keys + it.plain + it.odd > 0 {
            all.push(it);
        }
    }
    all
}

/// Two keys of one length in hexadecimal digits, a salt, and a number of rounds.
fn has_keys(table: &Value) -> bool {
    let key = |name: &str| {
        let text = table.at(name)?.text()?;
        let digits = text.bytes().all(|b| b.is_ascii_hexdigit());
        (digits && matches!(text.len(), 40 | 64)).then_some(text.len())
    };
    let rounds = match table.at("iteration_count") {
        Some(Value::Number(n)) => n.parse::<f64>().is_ok_and(|n| n >= 4096.0),
        _ => false,
    };
    let salt = table.at("salt").and_then(Value::text).is_some_and(|s| !s.is_empty());
    salt && rounds && key("stored_key").is_some() && key("stored_key") == key("server_key")
}

/// Every other byte than letters and digits is `%xx` in names of Prosody's folders.
fn unescaped(name: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match code.filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).chars().filter(|c| !c.is_control()).take(253).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_passwords_and_from_what_is_neither() {
        let account = |text: &str| lua::table(&format!("return {{ {text} }};")).unwrap();
        let sha1 = "a".repeat(40);
        let good = format!(
            "salt = \"x\"; iteration_count = 10000; stored_key = \"{sha1}\"; server_key = \"{sha1}\""
        );
        assert!(has_keys(&account(&good)));
        let sha256 = good.replace(&sha1, &"0f".repeat(32));
        assert!(has_keys(&account(&sha256)));
        for odd in [
            good.replace("10000", "1"),
            good.replace("salt", "pepper"),
            good.replacen(&sha1, "zz", 1),
            good.replacen(&sha1, &"0f".repeat(32), 1),
            "password = \"geheim\"".to_owned(),
        ] {
            assert!(!has_keys(&account(&odd)), "{odd}");
        }
        for (name, host) in
            [("meet%2eex-ample", "meet.ex-ample"), ("a%", "a%"), ("%zz", "%zz"), ("m%c3%bc", "mü")]
        {
            assert_eq!(unescaped(name), host);
        }
    }
}
