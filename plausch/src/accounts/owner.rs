//! A folder in; the process with its owner's rights, and no more, out. So an admin who is root makes files that the server can read,
//! and what the server's user may have put there leads root nowhere.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{Gid, Uid, geteuid, setgid, setgroups, setuid};
use service::StartError;

/// Becomes whoever the folder belongs to. Only root can be somebody else; others stay who they are. A folder that is not there yet
/// is made later.
pub(super) fn become_owner_of(folder: &Path) -> Result<(), StartError> {
    let failed = |e: io::Error| StartError::Unreadable { path: folder.to_owned(), reason: e.to_string() };
    let (uid, gid) = match fs::metadata(folder) {
        Ok(m) => (Uid::from_raw(m.uid()), Gid::from_raw(m.gid())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
    };
    if !geteuid().is_root() || uid.is_root() {
        return Ok(());
    }
    setgroups(&[gid]).and_then(|()| setgid(gid)).and_then(|()| setuid(uid)).map_err(|e| failed(e.into()))
}
