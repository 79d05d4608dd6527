//! A configuration file's text in; the file, whole or not at all, and a copy of the one before it, out.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Writes it. What was there keeps its text under another name, which is returned. There is no secret in it, and the service's user has
/// to read it.
pub(super) fn file(path: &Path, text: &str) -> io::Result<Option<PathBuf>> {
    replace(path, text, 0o644)
}

/// The same with secrets in it.
pub(crate) fn secret_file(path: &Path, text: &str) -> io::Result<Option<PathBuf>> {
    replace(path, text, 0o600)
}

fn replace(path: &Path, text: &str, mode: u32) -> io::Result<Option<PathBuf>> {
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    }
    let new = beside(path, "new");
    let _ = fs::remove_file(&new);
    let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    let old = match path.try_exists()? {
        true => {
            let old = free(path)?;
            fs::rename(path, &old)?;
            Some(old)
        }
        false => None,
    };
    fs::rename(&new, path)?;
    Ok(old)
}

/// A folder for the owner alone, and what is above it, made where it is not there.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A folder for the owner alone, if it is not there. Whether it is afterwards.
pub(super) fn state(path: &Path) -> bool {
    path.is_dir() || fs::DirBuilder::new().mode(0o700).create(path).is_ok()
}

fn beside(path: &Path, word: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(word);
    path.with_file_name(name)
}

/// The first name for a copy that nothing has yet.
fn free(path: &Path) -> io::Result<PathBuf> {
    for n in 1..COPIES {
        let name = beside(path, &format!("old{n}"));
        if !name.try_exists()? {
            return Ok(name);
        }
    }
    Err(io::Error::other(format!("there are {COPIES} copies of it already; remove some")))
}

/// Copies of a file: who has so many has not looked at them.
const COPIES: u32 = 100;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_there_is_kept_and_the_copies_end() {
        let folder = std::env::temp_dir().join(format!("plausch-write-{}", std::process::id()));
        let path = folder.join("etc/plausch.toml");
        assert_eq!(file(&path, "1").unwrap(), None);
        let old = file(&path, "2").unwrap().unwrap();
        assert_eq!(
            (fs::read_to_string(&old).unwrap(), fs::read_to_string(&path).unwrap()),
            ("1".into(), "2".into())
        );
        assert_ne!(file(&path, "3").unwrap().unwrap(), old);
        for n in 1..COPIES {
            fs::write(folder.join(format!("etc/plausch.toml.old{n}")), "").unwrap();
        }
        assert!(file(&path, "4").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "3", "nothing is lost");
        let kept = folder.join("state");
        assert!(state(&kept) && state(&kept));
        let secret = folder.join("secret.toml");
        secret_file(&secret, "x").unwrap();
        assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(!state(&folder.join("nowhere/state")));
        fs::remove_dir_all(folder).unwrap();
    }
}
