//! Accounts' files in a folder, one each, in and out: written whole or not at all, for their owner alone, and read anew for every
//! login, so that what an admin changes counts at once. And where logins wait that they are looked at.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use jitsi_xmpp::BareJid;
use prosody_core::limits::record::BYTES;
use prosody_core::{AccountAnswer, AccountQuestion, AccountRecord, ConnId, QuestionId};
use tokio::sync::mpsc;

use crate::limits;

/// A folder with accounts.
#[derive(Debug, Clone)]
pub struct AccountStore {
    folder: PathBuf,
}

/// Why an account cannot be read or kept. Blame: the admin, or the disk. Consequence: nobody logs in with it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk, or a right that is missing.
    #[error("{path}: {error}")]
    Disk {
        /// Where.
        path: PathBuf,
        /// What.
        error: io::Error,
    },
    /// Not an account's file, or one of a later version.
    #[error("{0}: is not understood")]
    NotUnderstood(PathBuf),
    /// No file can have that name.
    #[error("the name is too long for an account")]
    Name,
}

impl AccountStore {
    /// The accounts below a folder for what outlives a restart.
    pub fn new(state: &Path) -> Self {
        Self { folder: state.join("accounts") }
    }

    /// The accounts in this folder itself.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Where they lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// An account, if there is one.
    pub fn read(&self, jid: &BareJid) -> Result<Option<AccountRecord>, StoreError> {
        read(&self.path(jid)?)
    }

    /// Keeps a new account; `false`: there is one already, which stays as it is.
    pub fn create(&self, jid: &BareJid, record: &AccountRecord) -> Result<bool, StoreError> {
        self.keep(jid, record, |new, path| match fs::hard_link(new, path) {
            Ok(()) => fs::remove_file(new).map(|()| true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(e),
        })
    }

    /// Keeps an account in place of what was there.
    pub fn write(&self, jid: &BareJid, record: &AccountRecord) -> Result<(), StoreError> {
        self.keep(jid, record, |new, path| fs::rename(new, path).map(|()| true)).map(drop)
    }

    /// Forgets an account; `false`: there was none.
    pub fn delete(&self, jid: &BareJid) -> Result<bool, StoreError> {
        let path = self.path(jid)?;
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::Disk { path, error }),
        }
    }

    /// The accounts of a host in their order; what is not understood is `None`.
    pub fn list(&self, host: &str) -> Result<Vec<(BareJid, Option<AccountRecord>)>, StoreError> {
        let folder = self.folder.join(escaped(host));
        let mut found = Vec::new();
        for name in names(&folder)? {
            let Some(jid) = name.strip_suffix(ENDING).and_then(|node| {
                let node = unescaped(node)?;
                BareJid::from_parts(&node, host).ok()
            }) else {
                continue;
            };
            match read(&folder.join(&name)) {
                Ok(Some(record)) => found.push((jid, Some(record))),
                Ok(None) => {}
                Err(StoreError::NotUnderstood(_)) => found.push((jid, None)),
                Err(e) => return Err(e),
            }
        }
        found.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        Ok(found)
    }

    /// The hosts that have accounts, or had some.
    pub fn hosts(&self) -> Result<Vec<String>, StoreError> {
        let mut found: Vec<String> = names(&self.folder)?.iter().filter_map(|n| unescaped(n)).collect();
        found.sort();
        Ok(found)
    }

    fn path(&self, jid: &BareJid) -> Result<PathBuf, StoreError> {
        let node = escaped(jid.node().ok_or(StoreError::Name)?);
        let host = escaped(jid.domain());
        if node.len().max(host.len()) > limits::ACCOUNT_NAME_BYTES {
            return Err(StoreError::Name);
        }
        Ok(self.folder.join(host).join(format!("{node}{ENDING}")))
    }

    /// Whoever reads it finds what was there or what is there now, also after a crash.
    fn keep(
        &self,
        jid: &BareJid,
        record: &AccountRecord,
        place: impl FnOnce(&Path, &Path) -> io::Result<bool>,
    ) -> Result<bool, StoreError> {
        // Two may write at once, in one process or in two.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = self.path(jid)?;
        let folder = path.parent().unwrap_or(&self.folder);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let new = folder.join(format!(".{}-{number}.new", std::process::id()));
        let written = (|| {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(record.text().reveal().as_bytes())?;
            file.sync_all()?;
            let done = place(&new, &path)?;
            fs::File::open(folder)?.sync_all()?;
            Ok(done)
        })();
        if !matches!(written, Ok(true)) {
            // Half a file on a full disk only fills it more.
            let _ = fs::remove_file(&new);
        }
        written.map_err(|error| StoreError::Disk { path, error })
    }

    /// What somebody who logs in is told, and what it was told by.
    pub(crate) fn answer(&self, question: &AccountQuestion) -> (AccountAnswer, File) {
        let file = self.file(&question.jid);
        let answer = match &file {
            Ok(Some((_, record))) => record.answer(&question.proof),
            // A name that no account can have is nobody's.
            Ok(None) | Err(StoreError::Name) => AccountAnswer::Wrong,
            Err(StoreError::NotUnderstood(_)) => {
                tracing::error!("an account's file is not understood; nobody logs in with it");
                AccountAnswer::Unavailable
            }
            Err(StoreError::Disk { error, .. }) => {
                tracing::error!(reason = %error.kind(), "an account's file cannot be read");
                AccountAnswer::Unavailable
            }
        };
        (answer, file)
    }

    /// An account with the mark of its file.
    pub(crate) fn file(&self, jid: &BareJid) -> File {
        let path = self.path(jid)?;
        let mark = Mark::of(&path)?;
        Ok(mark.zip(read(&path)?))
    }

    /// The mark of its file. `None`: there is none.
    pub(crate) fn mark(&self, jid: &BareJid) -> Result<Option<Mark>, StoreError> {
        Mark::of(&self.path(jid)?)
    }
}

/// An account as its file has it, if there is one.
pub(crate) type File = Result<Option<(Mark, AccountRecord)>, StoreError>;

/// What is different of a file once it was written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    inode: u64,
    bytes: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Mark {
    fn of(path: &Path) -> Result<Option<Self>, StoreError> {
        match fs::metadata(path) {
            Ok(m) => Ok(Some(Self {
                inode: m.ino(),
                bytes: m.len(),
                seconds: m.mtime(),
                nanoseconds: m.mtime_nsec(),
            })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Disk { path: path.to_owned(), error }),
        }
    }
}

/// Where accounts are looked at.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// In files, if there are any but those of the configuration.
    pub(crate) files: Option<mpsc::Sender<Look>>,
    /// In directories, each for the accounts of a host.
    pub(crate) directories: Vec<(String, mpsc::Sender<Look>)>,
}

impl Looks {
    /// Has somebody look; `false`: nobody can now.
    pub(crate) fn look(&self, look: Look) -> bool {
        let directory = self.directories.iter().find(|(domain, _)| *domain == look.question.jid.domain());
        let there = directory.map(|(_, hears)| hears).or(self.files.as_ref());
        there.is_some_and(|hears| hears.try_send(look).is_ok())
    }
}

/// A login that waits for what its account's file says.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) conn: ConnId,
    pub(crate) id: QuestionId,
    pub(crate) question: AccountQuestion,
}

/// Where logins wait for that.
pub(crate) fn queue() -> (mpsc::Sender<Look>, mpsc::Receiver<Look>) {
    mpsc::channel(limits::LOOKS)
}

fn read(path: &Path) -> Result<Option<AccountRecord>, StoreError> {
    let disk = |error| StoreError::Disk { path: path.to_owned(), error };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(disk(e)),
    };
    let mut bytes = Vec::new();
    file.take(BYTES as u64 + 1).read_to_end(&mut bytes).map_err(disk)?;
    let record = std::str::from_utf8(&bytes).ok().and_then(|text| AccountRecord::parse(text).ok());
    record.map(Some).ok_or_else(|| StoreError::NotUnderstood(path.to_owned()))
}

fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let disk = |error| StoreError::Disk { path: folder.to_owned(), error };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(disk(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(disk)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// A name as a file's: other bytes than these are `%xx`.
fn escaped(name: &str) -> String {
    let mut out = String::new();
    for (i, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            b'.' if i > 0 => out.push('.'),
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

/// The name of a file that [`escaped`] has made.
fn unescaped(name: &str) -> Option<String> {
    let text = String::from_utf8(percent(name)).ok()?;
    (escaped(&text) == name).then_some(text)
}

/// Without `%xx`, as Prosody and we write it in names of files.
pub fn percent(name: &str) -> Vec<u8> {
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
    bytes
}

const ENDING: &str = ".account";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use prosody_core::Proof;
    use service::SystemEntropy;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("plausch-accounts-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn record(password: &str) -> AccountRecord {
        AccountRecord::with_password(password, &mut SystemEntropy, 1)
    }

    fn jid(text: &str) -> BareJid {
        text.parse().unwrap()
    }

    fn told(store: &AccountStore, who: &str, password: &str) -> AccountAnswer {
        let proof = Proof::Password(jitsi_xmpp::Sensitive::new(password.to_owned()));
        store.answer(&AccountQuestion { jid: jid(who), proof }).0
    }

    #[test]
    fn what_an_admin_changes_counts_at_the_next_login() {
        let folder = Folder::new("changes");
        let store = AccountStore::new(&folder.0);
        let anna = jid("anna@meet.example");
        assert_eq!(told(&store, "anna@meet.example", "eins"), AccountAnswer::Wrong, "nobody yet");
        assert!(store.create(&anna, &record("eins")).unwrap());
        assert_eq!(told(&store, "anna@meet.example", "eins"), AccountAnswer::Right);
        assert_eq!(told(&store, "anna@other.example", "eins"), AccountAnswer::Wrong, "another host");
        assert!(!store.create(&anna, &record("zwei")).unwrap());
        assert_eq!(told(&store, "anna@meet.example", "eins"), AccountAnswer::Right, "it stays as it is");
        store.write(&anna, &record("zwei")).unwrap();
        assert_eq!(told(&store, "anna@meet.example", "eins"), AccountAnswer::Wrong);
        let mut off = record("zwei");
        off.disabled = true;
        store.write(&anna, &off).unwrap();
        assert_eq!(told(&store, "anna@meet.example", "zwei"), AccountAnswer::Disabled);
        assert!(store.delete(&anna).unwrap() && !store.delete(&anna).unwrap());
        assert_eq!(told(&store, "anna@meet.example", "zwei"), AccountAnswer::Wrong);
        let left = fs::read_dir(folder.0.join("accounts/meet.example")).unwrap().count();
        assert_eq!(left, 0, "nothing is left lying about");
    }

    #[test]
    fn files_are_their_owner_s_alone_and_names_do_not_lead_out_of_the_folder() {
        let folder = Folder::new("names");
        let store = AccountStore::new(&folder.0);
        for who in ["anna.m@meet.example", "..@meet.example", "é%41@meet.example", "a\u{fc}_-0@meet.example"]
        {
            assert!(store.create(&jid(who), &record("x")).unwrap(), "{who}");
        }
        let host = folder.0.join("accounts/meet.example");
        let mut found: Vec<String> = names(&host).unwrap();
        found.sort();
        assert_eq!(found, ["%2e..account", "%c3%a9%2541.account", "a%c3%bc_-0.account", "anna.m.account"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&host), mode(&host.join("anna.m.account"))), (0o700, 0o600));
        fs::write(host.join("note.txt"), "").unwrap();
        fs::write(host.join("odd.account"), "x").unwrap();
        let listed = store.list("meet.example").unwrap();
        let names: Vec<(&str, bool)> = listed.iter().map(|(j, r)| (j.node().unwrap(), r.is_some())).collect();
        assert_eq!(
            names,
            [("..", true), ("anna.m", true), ("a\u{fc}_-0", true), ("odd", false), ("\u{e9}%41", true)]
        );
        assert_eq!(store.hosts().unwrap(), ["meet.example"]);
        assert!(store.list("nowhere.example").unwrap().is_empty());
    }

    #[test]
    fn so_many_logins_wait_for_the_disk_and_the_next_one_is_told_to_come_again() {
        let (looks, _asked) = queue();
        let look = || Look {
            conn: ConnId(1),
            id: QuestionId(1),
            question: AccountQuestion {
                jid: jid("anna@meet.example"),
                proof: Proof::Keys(jitsi_xmpp::sasl::Hash::Sha1),
            },
        };
        for _ in 0..limits::LOOKS {
            assert!(looks.try_send(look()).is_ok());
        }
        assert!(looks.try_send(look()).is_err());
    }

    #[test]
    fn a_name_at_the_limit_has_an_account_and_a_longer_one_none() {
        let folder = Folder::new("long");
        let store = AccountStore::new(&folder.0);
        let who = |n: usize| jid(&format!("{}@meet.example", "a".repeat(n)));
        assert!(store.create(&who(limits::ACCOUNT_NAME_BYTES), &record("x")).unwrap());
        let longer = who(limits::ACCOUNT_NAME_BYTES + 1);
        assert!(matches!(store.create(&longer, &record("x")), Err(StoreError::Name)));
        assert_eq!(told(&store, longer.as_str(), "x"), AccountAnswer::Wrong);
    }

    #[test]
    fn a_file_that_is_not_understood_lets_nobody_in_and_is_said_to_be_our_fault() {
        let folder = Folder::new("odd");
        let store = AccountStore::new(&folder.0);
        let host = folder.0.join("accounts/meet.example");
        fs::create_dir_all(&host).unwrap();
        for text in [String::new(), record("x").text().reveal().repeat(20)] {
            fs::write(host.join("anna.account"), text).unwrap();
            assert_eq!(told(&store, "anna@meet.example", "x"), AccountAnswer::Unavailable);
        }
        fs::remove_file(host.join("anna.account")).unwrap();
        fs::create_dir(host.join("anna.account")).unwrap();
        assert_eq!(told(&store, "anna@meet.example", "x"), AccountAnswer::Unavailable);
    }
}
