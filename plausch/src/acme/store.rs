//! The account, the certificate and when to ask next in; files that only their owner reads, replaced whole or not at all, out.
//!
//! One folder for each directory, so that a test directory's certificate is never taken for a real one.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};

use super::limits;

/// The files of one directory.
#[derive(Debug, Clone)]
pub(super) struct Store {
    folder: PathBuf,
}

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// The account's key and name.
    Account,
    /// Key and chain in one file, so that they always belong together.
    Certificate,
    /// When an order may be repeated, and for which names.
    Wait,
}

impl Kept {
    const fn name(self) -> &'static str {
        match self {
            Self::Account => "account.json",
            Self::Certificate => "certificate.pem",
            Self::Wait => "wait",
        }
    }
}

impl Store {
    pub(super) fn new(state: &Path, directory: &str) -> Self {
        let hash = digest(&SHA256, directory.as_bytes());
        let name: String = hash.as_ref().iter().take(8).map(|b| format!("{b:02x}")).collect();
        Self { folder: state.join("acme").join(name) }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// `None`: it was never written, or is not what we write.
    pub(super) fn read(&self, kept: Kept) -> Option<String> {
        let file = File::open(self.folder.join(kept.name())).ok()?;
        let mut text = String::new();
        let read = file.take(limits::FILE_BYTES + 1).read_to_string(&mut text).ok()?;
        (read as u64 <= limits::FILE_BYTES).then_some(text)
    }

    /// Whether something could be written now, tried out: rights, file systems and disks say no in many ways.
    pub(super) fn check(&self) -> io::Result<()> {
        self.prepare()?;
        let probe = self.folder.join("probe.new");
        let written = (|| {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&probe)?;
            file.write_all(&[b'\n'; limits::PROBE])?;
            file.sync_all()
        })();
        let _ = std::fs::remove_file(&probe);
        written
    }

    /// Replaces the file: whoever reads it finds the old one or the new one, also after a crash.
    pub(super) fn write(&self, kept: Kept, text: &str) -> io::Result<()> {
        self.prepare()?;
        let new = self.folder.join(format!("{}.new", kept.name()));
        let written = (|| {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, self.folder.join(kept.name()))?;
            File::open(&self.folder)?.sync_all()
        })();
        if written.is_err() {
            // Half a file on a full disk only fills it more.
            let _ = std::fs::remove_file(&new);
        }
        written
    }

    pub(super) fn remove(&self, kept: Kept) {
        let _ = std::fs::remove_file(self.folder.join(kept.name()));
    }

    fn prepare(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        // A folder that a package or a container made may be readable for more; ours below it are not.
        for own in self.folder.ancestors().take(2) {
            if std::fs::metadata(own)?.permissions().mode() & 0o077 != 0 {
                std::fs::set_permissions(own, Permissions::from_mode(0o700))?;
            }
        }
        Ok(())
    }
}

/// When an order for these names may be repeated.
pub(super) fn wait_text(until: SystemTime, names: &[String]) -> String {
    let secs = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{secs} {}\n", names.join(","))
}

/// The same read back. `None`: nothing keeps us from ordering.
pub(super) fn wait_of(text: &str, names: &[String]) -> Option<SystemTime> {
    let (secs, of) = text.trim_end().split_once(' ')?;
    if of != names.join(",") {
        return None;
    }
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(secs.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("plausch-store-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_kept_is_its_owner_s_alone_and_replaced_whole() {
        let state = state("kept");
        // As a container's volume comes.
        std::fs::create_dir_all(state.join("acme")).unwrap();
        std::fs::set_permissions(state.join("acme"), Permissions::from_mode(0o755)).unwrap();
        let store = Store::new(&state, "https://a.example/directory");
        assert_eq!(store.read(Kept::Certificate), None);
        for text in ["one", "a longer two", "3"] {
            store.write(Kept::Certificate, text).unwrap();
            assert_eq!(store.read(Kept::Certificate).as_deref(), Some(text));
        }
        assert_eq!((mode(store.folder()), mode(&state.join("acme"))), (0o700, 0o700));
        let files: Vec<PathBuf> =
            std::fs::read_dir(store.folder()).unwrap().map(|f| f.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        assert!(store.check().is_ok() && std::fs::read_dir(store.folder()).unwrap().count() == 1);
        assert_eq!(mode(&files[0]), 0o600);
        let other = Store::new(&state, "https://b.example/directory");
        assert_eq!(other.read(Kept::Certificate), None, "another directory's");
        store.remove(Kept::Certificate);
        assert_eq!(store.read(Kept::Certificate), None);
        std::fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn a_file_beyond_the_limit_is_not_ours() {
        let state = state("large");
        let store = Store::new(&state, "d");
        let large = usize::try_from(limits::FILE_BYTES).unwrap();
        store.write(Kept::Account, &"x".repeat(large)).unwrap();
        assert!(store.read(Kept::Account).is_some());
        store.write(Kept::Account, &"x".repeat(large + 1)).unwrap();
        assert!(store.read(Kept::Account).is_none());
        std::fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_is_an_error_and_no_more() {
        let state = state("file");
        std::fs::write(&state, "a file where the folder should be").unwrap();
        let store = Store::new(&state, "d");
        assert!(store.write(Kept::Wait, "x").is_err() && store.read(Kept::Wait).is_none());
        assert!(store.check().is_err());
        std::fs::remove_file(state).unwrap();
    }

    #[test]
    fn a_wait_is_for_the_names_it_was_for() {
        let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let text = wait_text(until, &names(&["a.example", "b.example"]));
        assert_eq!(wait_of(&text, &names(&["a.example", "b.example"])), Some(until));
        assert_eq!(wait_of(&text, &names(&["a.example"])), None);
        for odd in ["", "x", "x a.example", "-1 a.example", "99999999999999999999 a.example"] {
            assert_eq!(wait_of(odd, &names(&["a.example"])), None, "{odd}");
        }
        assert_eq!(wait_of(&format!("{} a", u64::MAX), &names(&["a"])), None);
    }
}
