//! Two answers and what the machine is like in; the text of a configuration file, and what an admin has to do elsewhere, out. No I/O.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::words::{Language, words};

/// How the server gets its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Files {
        chain: PathBuf,
        key: PathBuf,
    },
    /// For the authority that issues certificates by ACME.
    Mail(String),
    /// One of our own until there is a better one.
    Own,
}

/// What a server is set up with.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The public name.
    pub(super) host: String,
    pub(super) source: Source,
    /// Whether the machine has IPv6, so that both families are listened to.
    pub(super) both_families: bool,
    /// Where the admin's token is kept, when there is a place for it.
    pub(super) state: Option<PathBuf>,
}

/// A name as people write or paste it.
pub(super) fn host(text: &str) -> Result<String, &'static str> {
    const WANTED: &str = "must be a name such as meet.example.org, as it stands in DNS";
    let text = text.trim();
    let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let name = text.trim_end_matches('/').trim_end_matches('.').to_ascii_lowercase();
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    let last_is_a_word = name.rsplit('.').next().is_some_and(|l| l.bytes().any(|b| b.is_ascii_alphabetic()));
    if name.len() > 253 || !name.contains('.') || !name.split('.').all(label) || !last_is_a_word {
        return Err(WANTED);
    }
    Ok(name)
}

/// An e-mail address, a certificate's path, or nothing. `key`: where its key is, if that was said.
pub(super) fn source(text: &str, key: Option<&Path>) -> Result<Source, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Source::Own);
    }
    if let Some((user, domain)) = text.split_once('@')
        && !text.contains('/')
    {
        let plain =
            |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic() && !b"\"'<>,;@".contains(&b));
        if plain(user) && plain(domain) && domain.contains('.') {
            return Ok(Source::Mail(text.to_owned()));
        }
        return Err("must be an e-mail address, the path of a certificate, or empty");
    }
    let chain = PathBuf::from(text);
    if !chain.is_absolute() {
        return Err("must be an e-mail address, the whole path of a certificate beginning with /, or empty");
    }
    // As certbot calls it.
    let key = key.map_or_else(|| chain.with_file_name("privkey.pem"), Path::to_owned);
    Ok(Source::Files { chain, key })
}

impl Plan {
    pub(super) fn url(&self) -> String {
        format!("https://{}", self.host)
    }

    /// The configuration file.
    pub(super) fn toml(&self) -> String {
        let any = if self.both_families { "[::]" } else { "0.0.0.0" };
        let mut text = format!(
            "# Written by `plausch setup`. `plausch sample-config` shows every option, `plausch doctor` what is wrong.\n\n\
             [http]\nlisten = \"{any}:80\"\npublic_url = {}\n\n[https]\nlisten = \"{any}:443\"\n",
            quoted(&self.url())
        );
        match &self.source {
            Source::Files { chain, key } => {
                let (chain, key) = (chain.to_string_lossy(), key.to_string_lossy());
                let _ = write!(text, "certificate = {}\nkey = {}\n", quoted(&chain), quoted(&key));
            }
            Source::Mail(mail) => {
                let _ = write!(text, "acme.enabled = true\nacme.email = {}\n", quoted(mail));
            }
            Source::Own => {}
        }
        let _ = write!(text, "\n[media]\nlisten = \"{any}:10000\"\n");
        // For people whose network blocks UDP. It leads to the bridge and nowhere else.
        let _ = write!(text, "\n[turn]\nlisten = \"{any}:3478\"\n");
        if let Some(state) = &self.state {
            let token = state.join("token");
            if matches!(self.source, Source::Mail(_)) {
                let _ = write!(text, "\n[state]\ndir = {}\n", quoted(&state.to_string_lossy()));
            }
            let _ = write!(text, "\n[admin]\ntoken_file = {}\n", quoted(&token.to_string_lossy()));
        }
        text
    }
}

/// A text in quotes. What JSON writes is TOML, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What firewalls have to let in.
pub(super) fn firewall(language: Language) -> String {
    let router = words!(
        "home router or provider's firewall: let in, or forward to this machine, TCP 80, TCP 443, UDP 10000 and UDP 3478 under the same numbers",
        "Router oder Firewall des Anbieters: TCP 80, TCP 443, UDP 10000 und UDP 3478 hereinlassen oder unter denselben Nummern an diesen Rechner weiterleiten"
    );
    format!(
        "  ufw        ufw allow 80/tcp && ufw allow 443/tcp && ufw allow 10000/udp && ufw allow 3478/udp\n  \
           firewalld  firewall-cmd --permanent --add-port=80/tcp --add-port=443/tcp --add-port=10000/udp --add-port=3478/udp && firewall-cmd --reload\n  \
           {}\n",
        router.text(language)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_as_people_paste_them_and_nothing_else_is() {
        for name in [
            "meet.example.org",
            " https://Meet.example.org/ ",
            "http://meet.example.org",
            "meet.example.org.",
        ] {
            assert_eq!(host(name).as_deref(), Ok("meet.example.org"), "{name}");
        }
        assert!(host("xn--stdte-gra.example").is_ok());
        for bad in [
            "",
            "localhost",
            "203.0.113.20",
            "meet example.org",
            "meet..org",
            "-a.org",
            "a.org/path",
            "a.org:8443",
            "münchen.de",
            "[::1]",
        ] {
            assert!(host(bad).unwrap_err().contains("meet.example.org"), "{bad}");
        }
    }

    #[test]
    fn the_second_answer_is_a_mail_address_a_path_or_nothing() {
        assert_eq!(source(" ", None), Ok(Source::Own));
        assert_eq!(source("it@town.example", None), Ok(Source::Mail("it@town.example".into())));
        let files = |chain: &str, key: &str| Ok(Source::Files { chain: chain.into(), key: key.into() });
        assert_eq!(
            source("/etc/tls/fullchain.pem", None),
            files("/etc/tls/fullchain.pem", "/etc/tls/privkey.pem")
        );
        assert_eq!(source("/a@b/c.pem", Some(Path::new("/k"))), files("/a@b/c.pem", "/k"));
        for bad in ["fullchain.pem", "it@", "@town.example", "it@town", "a b@c.d", "it@town.example\nx"] {
            assert!(source(bad, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_file_is_what_a_start_understands() {
        let plan = Plan {
            host: "meet.example.org".into(),
            source: Source::Files { chain: "/tls/a \"b\".pem".into(), key: "/tls/k\\ey".into() },
            both_families: true,
            state: Some("/var/lib/plausch".into()),
        };
        let read: toml::Table = plan.toml().parse().unwrap();
        let is = |table: &str, key: &str| read[table][key].as_str().unwrap().to_owned();
        assert_eq!(is("https", "certificate"), "/tls/a \"b\".pem");
        assert_eq!(is("https", "key"), "/tls/k\\ey");
        assert_eq!(
            (is("http", "listen"), is("http", "public_url")),
            ("[::]:80".into(), "https://meet.example.org".into())
        );
        assert_eq!(is("admin", "token_file"), "/var/lib/plausch/token");
        let mail = Plan { source: Source::Mail("it@town.example".into()), ..plan.clone() };
        let read: toml::Table = mail.toml().parse().unwrap();
        assert_eq!(read["https"]["acme"]["enabled"].as_bool(), Some(true));
        assert_eq!(read["https"]["acme"]["email"].as_str(), Some("it@town.example"));
        assert_eq!(read["state"]["dir"].as_str(), Some("/var/lib/plausch"));
        let own = Plan { source: Source::Own, both_families: false, state: None, ..plan };
        let read: toml::Table = own.toml().parse().unwrap();
        assert!(!read.contains_key("admin") && read["https"].get("certificate").is_none());
        assert_eq!(read["media"]["listen"].as_str(), Some("0.0.0.0:10000"));
        assert_eq!(read["turn"]["listen"].as_str(), Some("0.0.0.0:3478"));
    }

    #[test]
    fn firewall_lines_open_what_is_listened_on() {
        for language in [Language::English, Language::German] {
            let said = firewall(language);
            for port in ["ufw allow 80/tcp", "--add-port=443/tcp", "UDP 10000", "ufw allow 3478/udp"] {
                assert!(said.contains(port), "{said}");
            }
        }
    }
}
