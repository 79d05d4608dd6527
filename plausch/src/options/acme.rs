//! The settings of `https.acme` in; the wish for a certificate, or the error that names the option, out.

use std::path::PathBuf;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use instant_acme::{LetsEncrypt, ZeroSsl};
use jitsi_xmpp::Sensitive;
use service::{Effective, StartError};

use crate::acme::{External, NAMES, Proof, Wish, read_roots};

/// What is asked for; `None`: nothing. `public_url`: whose host is the name when none is given.
pub(super) fn wish(e: &Effective, public_url: Option<&str>) -> Result<Option<Wish>, StartError> {
    let given = |key: &str| Some(e.text(key)).filter(|v| !v.is_empty());
    // Also when nothing is asked for: a wrong path is a mistake.
    let roots = given("https.acme.roots").map(PathBuf::from);
    if let Some(path) = &roots {
        read_roots(path).map_err(|x| e.unreadable("https.acme.roots", path, x))?;
    }
    if !e.is_on("https.acme.enabled") {
        return Ok(None);
    }
    let on = "https.acme.enabled";
    if given("https.listen").is_none() {
        return Err(e.bad(
            on,
            "needs `https.listen`, such as `--https 0.0.0.0:443`, to have a use for a certificate",
        ));
    }
    if given("https.certificate").is_some() {
        return Err(e.bad(on, "stands against `https.certificate`: remove one of them"));
    }
    let state = super::state(e)?;
    let directory = directory(e)?;
    let external = external(e)?;
    if external.is_none() && directory == ZeroSsl::Production.url() {
        return Err(e.bad(
            "https.acme.directory",
            "wants `https.acme.eab_id` and `https.acme.eab_key` from an account there",
        ));
    }
    Ok(Some(Wish {
        state,
        names: names(e, public_url)?,
        email: email(e)?,
        directory,
        proof: match e.text("https.acme.challenge") {
            "" => None,
            "http-01" => Some(Proof::Http),
            "tls-alpn-01" => Some(Proof::Tls),
            _ => {
                return Err(
                    e.bad("https.acme.challenge", "must be `http-01`, `tls-alpn-01` or nothing for either")
                );
            }
        },
        roots,
        external,
    }))
}

fn names(e: &Effective, public_url: Option<&str>) -> Result<Vec<String>, StartError> {
    let key = "https.acme.domains";
    let given = e.list(key);
    let url = public_url.and_then(|url| url.parse::<http::Uri>().ok());
    let host = url.as_ref().and_then(http::Uri::host).map(str::to_owned);
    let all = if given.is_empty() { host.into_iter().collect() } else { given.to_vec() };
    if all.is_empty() {
        return Err(e.bad(
            "https.acme.enabled",
            "needs a name for the certificate: `http.public_url` or `https.acme.domains`",
        ));
    }
    let mut names: Vec<String> = Vec::new();
    for name in all {
        let name = name.trim().trim_end_matches('.').to_ascii_lowercase();
        let label = |l: &str| {
            (1..=63).contains(&l.len())
                && !l.starts_with('-')
                && !l.ends_with('-')
                && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        // The last label of a name is no number; an address has no other.
        let top = name.rsplit('.').next().unwrap_or_default();
        let is_name = name.len() <= 253
            && name.contains('.')
            && name.split('.').all(label)
            && !top.bytes().all(|b| b.is_ascii_digit());
        if !is_name {
            let from = if given.is_empty() { "http.public_url" } else { key };
            return Err(e.bad(from, "certificates are for public host names such as `meet.example.org` (no `*`, no address; umlauts as `xn--…`)"));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > NAMES {
        return Err(e.bad(key, format!("one certificate has at most {NAMES} names")));
    }
    Ok(names)
}

fn email(e: &Effective) -> Result<Option<String>, StartError> {
    let text = e.text("https.acme.email").trim();
    if text.is_empty() {
        return Ok(None);
    }
    let one = text.bytes().filter(|b| *b == b'@').count() == 1;
    if !one
        || text.len() > 254
        || text.chars().any(|c| c.is_whitespace() || c.is_control() || ",?".contains(c))
    {
        return Err(e.bad("https.acme.email", "must be one e-mail address"));
    }
    Ok(Some(text.to_owned()))
}

fn directory(e: &Effective) -> Result<String, StartError> {
    let key = "https.acme.directory";
    let url = match (e.text(key), e.is_on("https.acme.staging")) {
        ("" | "letsencrypt", false) => LetsEncrypt::Production.url(),
        ("" | "letsencrypt" | "letsencrypt_test", _) => LetsEncrypt::Staging.url(),
        (_, true) => {
            return Err(e.bad("https.acme.staging", "is Let's Encrypt's; for another directory, name its test directory in `https.acme.directory`"));
        }
        ("zerossl", false) => ZeroSsl::Production.url(),
        (url, false) => url,
    };
    let parsed = url.parse::<http::Uri>().ok();
    if !parsed.is_some_and(|u| u.scheme_str() == Some("https") && u.host().is_some_and(|h| !h.is_empty())) {
        return Err(e.bad(key, "must be `letsencrypt`, `zerossl`, or the URL of a directory, `https://…`"));
    }
    Ok(url.to_owned())
}

fn external(e: &Effective) -> Result<Option<External>, StartError> {
    let (id, key) = (e.text("https.acme.eab_id"), e.text("https.acme.eab_key"));
    match (id.is_empty(), key.is_empty()) {
        (true, true) => Ok(None),
        (false, true) => Err(e.bad("https.acme.eab_id", "needs `https.acme.eab_key` as well")),
        (true, false) => Err(e.bad("https.acme.eab_key", "needs `https.acme.eab_id` as well")),
        (false, false) => {
            let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
            // Directories hand it out in either alphabet.
            let text = key.trim().replace('+', "-").replace('/', "_");
            let key = GeneralPurpose::new(&URL_SAFE, config).decode(text).map_err(|_| {
                e.bad("https.acme.eab_key", "must be the key in base64, as the directory gave it")
            })?;
            Ok(Some(External { id: id.to_owned(), key: Sensitive::new(key) }))
        }
    }
}
