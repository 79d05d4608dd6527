//! A file that holds one secret, as Docker, Kubernetes and systemd hand them out, in; the secret, or why it is none, out.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::{Kind, Setting};
use crate::limits::SECRET_FILE;

/// The variables that may name a file with a secret, each after the one for the secret itself.
pub fn variables(s: &Setting) -> impl Iterator<Item = String> {
    s.env.iter().filter(|_| s.kind == Kind::Secret).map(|n| format!("{n}_FILE"))
}

/// What is in it, without the line's end: one line, or a key as PEM. Nothing of it is repeated in the complaint.
pub fn read(path: &Path) -> Result<String, String> {
    let unreadable = |e: std::io::Error| format!("cannot be read: {e}");
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    // Of a pipe or a device there might be no end.
    if !meta.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(SECRET_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > SECRET_FILE {
        return Err(format!("is larger than {SECRET_FILE} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "must be text in UTF-8")?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    match secret {
        "" => Err("is empty".to_owned()),
        odd if odd.contains('\0') => Err("must be text".to_owned()),
        many if many.contains('\n') && !many.starts_with(PEM) => Err("must be one line, or PEM".to_owned()),
        one => Ok(one.to_owned()),
    }
}

/// How a key begins (RFC 7468 §2).
const PEM: &str = "-----BEGIN ";

#[cfg(test)]
mod tests {
    use super::*;

    /// A public key for tokens was said to be in a file, and no file with one could be read.
    #[test]
    fn a_key_has_several_lines_and_a_password_has_one() {
        let path = std::env::temp_dir().join(format!("plausch-secret-{}", std::process::id()));
        let of = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        let key = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----";
        assert_eq!(of(&format!("{key}\n")).as_deref(), Ok(key));
        assert_eq!(of("geheim\r\n").as_deref(), Ok("geheim"));
        assert!(of("geheim\nund mehr\n").unwrap_err().contains("one line"));
        assert!(of("ge\0heim").is_err() && of("\n").is_err());
        let most = usize::try_from(SECRET_FILE).unwrap();
        assert!(of(&"x".repeat(most)).is_ok() && of(&"x".repeat(most + 1)).is_err());
        std::fs::remove_file(&path).unwrap();
    }
}
