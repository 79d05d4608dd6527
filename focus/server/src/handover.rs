//! What a focus leaves to its successor: the session of its link and the engine's state in, bytes out; and back; and the place in
//! memory where they are kept while a focus runs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xmpp_link::Resumption;

use crate::limits;

/// See the module. Names and credentials are in it: it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Handover {
    /// The link's session.
    pub link: Resumption,
    /// The engine's state, which the engine alone reads.
    pub focus: Vec<u8>,
}

impl std::fmt::Debug for Handover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handover").field("bytes", &self.focus.len()).finish_non_exhaustive()
    }
}

/// Why nothing is taken over. Blame: whoever wrote it. Consequence: the focus begins anew, and says so in the log.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// Local: it cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// More than [`limits::HANDOVER`].
    #[error("is larger than a focus writes it")]
    TooLarge,
    /// Not written by a focus of this version.
    #[error("is not what a focus of this version writes")]
    Foreign,
}

/// The first line: what follows is one line about the link, and the engine's state.
const FIRST: &[u8] = b"plausch-handover 1\n";

#[derive(Serialize, Deserialize)]
struct Line {
    jid: String,
    id: String,
    received: u32,
    acked: u32,
    unacked: Vec<String>,
}

impl Handover {
    /// As it is written.
    pub fn to_bytes(&self) -> Vec<u8> {
        let l = &self.link;
        let line = Line {
            jid: l.jid.as_str().to_owned(),
            id: l.id.clone(),
            received: l.received,
            acked: l.acked,
            // What we send is text.
            unacked: l.unacked.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect(),
        };
        let mut all = FIRST.to_vec();
        all.extend(serde_json::to_vec(&line).unwrap_or_default());
        all.push(b'\n');
        all.extend_from_slice(&self.focus);
        all
    }

    /// Reads what a focus wrote.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, TakeOverError> {
        let rest = bytes.strip_prefix(FIRST).ok_or(TakeOverError::Foreign)?;
        let end = rest.iter().position(|b| *b == b'\n').ok_or(TakeOverError::Foreign)?;
        let (line, focus) = rest.split_at_checked(end).ok_or(TakeOverError::Foreign)?;
        let line: Line = serde_json::from_slice(line).map_err(|_| TakeOverError::Foreign)?;
        let link = Resumption {
            jid: line.jid.parse().map_err(|_| TakeOverError::Foreign)?,
            id: line.id,
            received: line.received,
            acked: line.acked,
            unacked: line.unacked.into_iter().map(Bytes::from).collect(),
        };
        Ok(Self { link, focus: focus.get(1..).unwrap_or_default().to_vec() })
    }

    /// Reads it, up to a bound.
    pub fn read(from: impl Read) -> Result<Self, TakeOverError> {
        let mut bytes = Vec::new();
        let most = u64::try_from(limits::HANDOVER).unwrap_or(u64::MAX);
        from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() > limits::HANDOVER {
            return Err(TakeOverError::TooLarge);
        }
        Self::of_bytes(&bytes)
    }
}

/// A file in memory that always has what a successor needs, and that nobody else may read.
#[derive(Debug, Clone)]
pub struct Kept {
    path: PathBuf,
}

impl Kept {
    /// In this folder, which has to be in memory; whether it is, is looked at elsewhere.
    pub fn within(folder: &Path) -> Self {
        Self { path: folder.join(NAME) }
    }

    /// What a focus before this one has left. `None`: there was none.
    pub fn read(&self) -> Result<Option<Handover>, TakeOverError> {
        match File::open(&self.path) {
            Ok(file) => Handover::read(file).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Replaces what was there as a whole, so that a death in the middle leaves what was there before.
    pub fn write(&self, handover: &Handover) -> io::Result<()> {
        let new = self.path.with_extension("new");
        // One that is left over may have other rights.
        match fs::remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(&handover.to_bytes())?;
        fs::rename(&new, &self.path)
    }
}

const NAME: &str = "focus-handover";

#[cfg(test)]
mod tests {
    use super::*;

    fn handover() -> Handover {
        Handover {
            link: Resumption {
                jid: "focus@auth.x/focus".parse().unwrap(),
                id: "q".into(),
                received: 7,
                acked: 3,
                unacked: vec![Bytes::from_static(b"<presence to=\"a\">\xc3\xa4\n</presence>")],
            },
            focus: b"{}".to_vec(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let it = handover();
        assert_eq!(Handover::of_bytes(&it.to_bytes()).unwrap(), it);
        for foreign in [&b""[..], b"plausch-handover 2\n{}\n{}", b"plausch-handover 1\n", b"\x7fELF"] {
            assert!(matches!(Handover::of_bytes(foreign), Err(TakeOverError::Foreign)), "{foreign:?}");
        }
        let whole = it.to_bytes();
        let torn = (0..whole.len()).filter(|n| Handover::of_bytes(&whole[..*n]).is_ok());
        // The engine's own part says by itself that it is torn.
        assert!(torn.count() <= it.focus.len() + 1);
    }

    #[test]
    fn so_many_bytes_are_read_and_not_one_more() {
        let mut it = handover();
        it.focus.clear();
        let room = limits::HANDOVER - it.to_bytes().len();
        it.focus = vec![b' '; room];
        assert!(Handover::read(&it.to_bytes()[..]).is_ok());
        it.focus.push(b' ');
        assert!(matches!(Handover::read(&it.to_bytes()[..]), Err(TakeOverError::TooLarge)));
    }

    #[test]
    fn what_is_kept_is_nobody_else_s_and_whole_or_as_before() {
        let folder = std::env::temp_dir().join(format!("plausch-kept-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let kept = Kept::within(&folder);
        assert!(kept.read().unwrap().is_none());
        kept.write(&handover()).unwrap();
        let later = Handover { focus: b"{\"later\":1}".to_vec(), ..handover() };
        kept.write(&later).unwrap();
        assert_eq!(kept.read().unwrap(), Some(later));
        let mode = fs::metadata(&kept.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(folder).unwrap();
    }
}
