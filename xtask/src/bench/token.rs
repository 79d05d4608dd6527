//! Nothing in; what a server has to be told to take the bench's token, and that token, out. Both come from a key pair that is made
//! with openssl once for a run, so that no test key is ever taken for a real one.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};

/// A public key as PEM, and a token signed with the private one.
struct Pair {
    public: String,
    token: String,
}

/// The environment of a server that takes the token and no other.
///
/// # Errors
/// openssl is missing or refuses.
pub(crate) fn settings() -> Result<[(&'static str, &'static str); 5]> {
    Ok([
        ("ENABLE_AUTH", "1"),
        ("AUTH_TYPE", "jwt"),
        ("JWT_APP_ID", APP),
        ("JWT_SIGN_TYPE", "RS256"),
        ("JWT_APP_SECRET", &pair()?.public),
    ])
}

/// The token, as it stands in a URL.
///
/// # Errors
/// openssl is missing or refuses.
pub(crate) fn signed() -> Result<&'static str> {
    Ok(&pair()?.token)
}

fn pair() -> Result<&'static Pair> {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    if PAIR.get().is_none() {
        let _ = PAIR.set(make()?);
    }
    PAIR.get().context("just made")
}

fn make() -> Result<Pair> {
    let private = openssl(&["genrsa", "2048"], b"")?;
    let public = openssl(&["rsa", "-pubout"], &private)?;
    // To sign, openssl wants the key as a file, and no other program is to read it.
    let folder = std::env::temp_dir().join(format!("plausch-bench-key-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    let file = folder.join("key.pem");
    std::fs::write(&file, &private)?;
    let head = url_safe(br#"{"typ":"JWT","alg":"RS256"}"#)?;
    let claims = url_safe(CLAIMS.as_bytes())?;
    let said = format!("{head}.{claims}");
    let signature = openssl(&["dgst", "-sha256", "-sign", &file.display().to_string()], said.as_bytes());
    std::fs::remove_dir_all(&folder)?;
    let token = format!("{said}.{}", url_safe(&signature?)?);
    Ok(Pair { public: String::from_utf8(public)?, token })
}

fn url_safe(bytes: &[u8]) -> Result<String> {
    let text = String::from_utf8(openssl(&["base64", "-A"], bytes)?)?;
    Ok(text.trim_end_matches(['\n', '=']).replace('+', "-").replace('/', "_"))
}

fn openssl(words: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().context("cannot start openssl (package openssl)")?;
    child.stdin.take().context("no input")?.write_all(input)?;
    let out = child.wait_with_output()?;
    ensure!(out.status.success(), "openssl {} failed", words[0]);
    Ok(out.stdout)
}

const APP: &str = "bench";
/// As a login service's: somebody with a name, an address and a picture, for every room.
const CLAIMS: &str = r#"{"aud":"bench","iss":"bench","sub":"*","room":"*","exp":4102444800,"context":{"user":{"id":"0badcafe","name":"Anna Beispiel","email":"anna@town.example","avatar":"https://town.example/anna.png","moderator":"true"},"features":{"recording":false,"livestreaming":false}}}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_three_parts_that_a_url_takes_as_they_are() {
        let token = signed().unwrap();
        assert_eq!(token.split('.').count(), 3);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{token}");
        let [.., (_, key)] = settings().unwrap();
        assert!(key.starts_with("-----BEGIN PUBLIC KEY-----"), "{key}");
    }
}
