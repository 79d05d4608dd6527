//! A folder, and what was found and decided, in; files that a server can start with, below it, out. Nothing outside of it is changed.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use prosody_server::AccountStore;

use super::Values;
use super::look::Seen;
use super::tree::Tree;
use crate::options::SETTINGS;
use crate::setup::write;

/// The folder, from `/` on, made if it is not there.
pub(super) fn folder(path: &Path) -> io::Result<PathBuf> {
    write::folder(path)?;
    path.canonicalize()
}

/// Copies what the server reads, and has the options lead to the copies. What is renewed by somebody is not copied.
pub(super) fn copies(folder: &Path, seen: &Seen, values: &mut Values) -> io::Result<()> {
    let copy = |key: &'static str, name: &str, values: &mut Values| -> io::Result<()> {
        let Some(from) = values.get(key).map(PathBuf::from) else { return Ok(()) };
        let Some(text) = from.parent().and_then(|parent| Tree::of(&[parent.to_owned()]).text(&from)) else {
            return Ok(());
        };
        let to = folder.join("config").join(name);
        write::secret_file(&to, &text)?;
        values.insert(key, to.display().to_string());
        Ok(())
    };
    let renewed =
        seen.certificate.as_ref().is_some_and(|(chain, _)| chain.to_string_lossy().contains("/letsencrypt/"));
    if !renewed {
        copy("https.certificate", "fullchain.pem", values)?;
        copy("https.key", "privkey.pem", values)?;
    }
    copy("http.config_js", "config.js", values)?;
    if let Some(web) = &seen.custom_web {
        let tree = Tree::of(std::slice::from_ref(web));
        for name in ["custom-config.js", "custom-interface_config.js"] {
            if let Some(text) = tree.text(&web.join(name)) {
                write::secret_file(&folder.join("config").join(name), &text)?;
            }
        }
        values.insert("http.custom", folder.join("config").display().to_string());
    }
    let accounts = AccountStore::at(&folder.join("config").join(super::ACCOUNTS));
    for (jid, record) in seen.accounts.iter().flat_map(|host| &host.accounts) {
        accounts.write(jid, record).map_err(io::Error::other)?;
    }
    Ok(())
}

/// The same for containers: an `.env` and a compose file beside the copies.
pub(super) fn compose(folder: &Path, seen: &Seen, values: &Values) -> io::Result<()> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| {
        all.retain(|(n, _)| n != name);
        all.push((name.to_owned(), value.to_owned()));
    };
    for (name, value) in &seen.variables {
        if name != "CONFIG" {
            set(name, value);
        }
    }
    for s in &seen.custom.said {
        set(s.name, &s.value);
    }
    for (key, value) in values {
        match *key {
            // The image's are right; compose publishes them.
            "http.listen" | "https.listen" | "media.listen" => {
                let port = value.rsplit(':').next().unwrap_or_default();
                let name = match *key {
                    "http.listen" => "HTTP_PORT",
                    "https.listen" => "HTTPS_PORT",
                    _ => "JVB_PORT",
                };
                set(name, port);
            }
            // Compose mounts it where the image looks.
            "http.web" => {}
            key => {
                // Some are for bridges with a server of their own.
                let mut names = SETTINGS.iter().filter(|s| s.key == key).flat_map(|s| s.env);
                if let Some(name) = names.find(|n| !n.starts_with("JVB_XMPP_")) {
                    let inside = value.replace(&folder.join("config").display().to_string(), INSIDE);
                    set(name, &inside);
                }
            }
        }
    }
    let mut env = String::from("# Written by `plausch migrate`. Passwords stand in it.\n");
    for (name, value) in &all {
        let _ = writeln!(env, "{name}={}", quoted(value));
    }
    let text = COMPOSE.replacen(MOUNTED, &format!("./config:{INSIDE}:ro"), 1);
    // What the other folders say stands in the .env now.
    let text: String =
        text.split_inclusive('\n').filter(|l| !l.contains(OTHERS) && !l.contains(OTHERS_SAID)).collect();
    let web = values.get("http.web").map_or(crate::options::DEBIAN_WEB, String::as_str);
    let text = if seen.debian.is_some() { text.replacen("./web:", &format!("{web}:"), 1) } else { text };
    write::secret_file(&folder.join(".env"), &env)?;
    write::secret_file(&folder.join("compose.yml"), &text)?;
    Ok(())
}

/// As compose takes it for itself, without putting it together from others.
fn quoted(value: &str) -> String {
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:,@%+=".contains(&b));
    match (plain, value.contains('\''), value.contains('$')) {
        (true, ..) => value.to_owned(),
        (false, true, false) => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        (false, ..) => format!("'{}'", value.replace('\'', "\\'")),
    }
}

/// Both languages: whoever asks for help may need the other one.
pub(super) fn report(folder: &Path, english: &str, german: &str) -> io::Result<()> {
    write::secret_file(&folder.join("report.txt"), english)?;
    write::secret_file(&folder.join("bericht.txt"), german)?;
    Ok(())
}

/// The folder `config` as the container sees it.
const INSIDE: &str = "/config";
/// What of the compose file is replaced by it: the folder of somebody who has not moved.
const MOUNTED: &str = "${CONFIG:-./config}/web:/config:ro";
/// Further folders of theirs, and the comment above.
const OTHERS: &str = "${CONFIG:-./config}/";
const OTHERS_SAID: &str = "# custom-jvb.conf, ";

const COMPOSE: &str = include_str!("../../../docker/compose.yml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_so_that_compose_reads_them_as_they_are() {
        for (value, written) in [
            ("https://meet.example", "https://meet.example"),
            ("a b$c#d", "'a b$c#d'"),
            ("it's $5 \"x\"", "'it\\'s $5 \"x\"'"),
            ("it's \"x\"", "\"it's \\\"x\\\"\""),
            ("", ""),
        ] {
            assert_eq!(quoted(value), written);
        }
        assert!(COMPOSE.contains(MOUNTED) && COMPOSE.contains("./web:/usr/share/jitsi-meet"));
        assert!(COMPOSE.contains(OTHERS_SAID) && MOUNTED.contains(OTHERS));
    }
}
