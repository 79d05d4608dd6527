//! Configuration of other programs: any bytes as one in; a panic when reading is not bounded, what was read is not what stands there,
//! or something is taken for data that would have to be run, out.

use std::fmt::Write as _;

use plausch::foreign::hocon::{self, Value};
use plausch::foreign::limits::{DEPTH, FILE};
use plausch::foreign::{lua, nginx};

/// What is read from HOCON and written plainly is read the same again; what comes from the environment is that.
pub fn z32_hocon(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = hocon::parse(text, &|name| (name == "PORT").then(|| "10001".to_owned())) else { return };
    let mut plain = String::new();
    for entry in &read.entries {
        assert!(!entry.path.is_empty() && entry.path.len() <= DEPTH, "{entry:?}");
        assert!(entry.line <= text.matches('\n').count() + 1);
        let path: Vec<String> = entry.path.iter().map(|key| quoted(key)).collect();
        let _ = write!(plain, "{} = ", path.join("."));
        written(&entry.value, &mut plain);
        plain.push('\n');
    }
    if plain.len() > FILE {
        return;
    }
    let Ok(again) = hocon::parse(&plain, &|_| None) else { panic!("not read again: {plain}") };
    let values =
        |d: &hocon::Document| d.entries.iter().map(|e| (e.path.clone(), e.value.clone())).collect::<Vec<_>>();
    assert_eq!(values(&read), values(&again), "{plain}");
}

fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out + "\""
}

fn written(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::List(all) => {
            out.push('[');
            for one in all {
                written(one, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(all) => {
            out.push('{');
            for (key, one) in all {
                let _ = write!(out, "{} = ", quoted(key));
                written(one, out);
                out.push(',');
            }
            out.push('}');
        }
    }
}

/// A value that is put together, or called for, is never taken for data, wherever it stands; comments change nothing.
pub fn z33_lua(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = lua::table(text);
    let Ok(read) = lua::parse(text) else { return };
    for a in &read.assignments {
        assert!(a.line <= text.matches('\n').count() + 1 && !a.name.is_empty());
    }
    let commented = format!("-- a remark\n{text}\n");
    if commented.len() > FILE {
        return;
    }
    if let Ok(again) = lua::parse(&commented) {
        let all = |d: &lua::Document| {
            d.assignments.iter().map(|a| (a.name.clone(), a.value.clone())).collect::<Vec<_>>()
        };
        // What a mark at the very beginning hides, it does not hide here.
        if !text.starts_with('\u{feff}') {
            assert_eq!(all(&read), all(&again));
        }
    }
    let run = format!("{text}\n; zzz_last = f()\n");
    if let Ok(again) = lua::parse(&run) {
        assert!(again.assignments.iter().all(|a| a.name != "zzz_last"), "{run}");
    }
}

/// What is read from a site and written plainly is read the same again.
pub fn z35_nginx(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = nginx::parse(text) else { return };
    let mut plain = String::new();
    site(&read, &mut plain);
    if plain.len() > FILE {
        return;
    }
    let Ok(again) = nginx::parse(&plain) else { panic!("not read again: {plain}") };
    let mut twice = String::new();
    site(&again, &mut twice);
    assert_eq!(plain, twice);
}

fn site(all: &[nginx::Directive], out: &mut String) {
    for d in all {
        for word in &d.words {
            let escaped = word.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = write!(out, "\"{escaped}\" ");
        }
        if d.block.is_empty() {
            out.push_str(";\n");
        } else {
            out.push_str("{\n");
            site(&d.block, out);
            out.push_str("}\n");
        }
    }
}
