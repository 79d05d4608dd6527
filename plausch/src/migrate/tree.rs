//! Folders whose files may be read in; their texts and entries, of a sensible size and number, out. No link leads out of the folders.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use crate::commands::limits::ENTRIES;
use crate::foreign::limits::FILE;

/// What may be looked at.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    roots: Vec<PathBuf>,
    /// Files that were not read, as they lead elsewhere, or are too large or no text.
    refused: RefCell<Vec<PathBuf>>,
}

impl Tree {
    /// These folders, those that there are.
    pub(crate) fn of(roots: &[PathBuf]) -> Self {
        Self {
            roots: roots.iter().filter_map(|r| r.canonicalize().ok()).collect(),
            refused: RefCell::default(),
        }
    }

    pub(crate) fn refused(&self) -> Vec<PathBuf> {
        self.refused.borrow().clone()
    }

    /// The file itself, if there is one and it lies in here.
    pub(crate) fn file(&self, path: &Path) -> Option<PathBuf> {
        let real = path.canonicalize().ok()?;
        if !self.roots.iter().any(|root| real.starts_with(root)) {
            self.refuse(path);
            return None;
        }
        real.is_file().then_some(real)
    }

    /// Its text.
    pub(crate) fn text(&self, path: &Path) -> Option<String> {
        let real = self.file(path)?;
        let fits = fs::metadata(&real).is_ok_and(|m| m.len() <= FILE as u64);
        let text = if fits { fs::read_to_string(&real).ok() } else { None };
        if text.is_none() {
            self.refuse(path);
        }
        text
    }

    /// What is in a folder, in order; nothing when it is none.
    pub(crate) fn entries(&self, folder: &Path) -> Vec<PathBuf> {
        let Ok(real) = folder.canonicalize() else { return Vec::new() };
        if !self.roots.iter().any(|root| real.starts_with(root)) {
            self.refuse(folder);
            return Vec::new();
        }
        let mut all: Vec<PathBuf> = fs::read_dir(folder)
            .map(|read| read.flatten().map(|e| e.path()).take(ENTRIES).collect())
            .unwrap_or_default();
        all.sort();
        all
    }

    fn refuse(&self, path: &Path) {
        let mut refused = self.refused.borrow_mut();
        // Who has more than that reads no list of them.
        if refused.len() < 100 && !refused.iter().any(|p| p == path) {
            refused.push(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("plausch-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_folder_beyond_the_limit_is_read_as_far_as_that() {
        let folder = folder("entries");
        let tree = Tree::of(std::slice::from_ref(&folder));
        for n in 0..ENTRIES {
            fs::write(folder.join(n.to_string()), "").unwrap();
        }
        assert_eq!(tree.entries(&folder).len(), ENTRIES);
        fs::write(folder.join("one more"), "").unwrap();
        assert_eq!(tree.entries(&folder).len(), ENTRIES);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn links_lead_within_and_never_out_and_files_beyond_the_limit_are_named() {
        let folder = folder("links");
        let (inside, outside) = (folder.join("in"), folder.join("out"));
        fs::create_dir_all(&inside).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("secret"), "geheim").unwrap();
        fs::write(inside.join("a"), "a").unwrap();
        fs::write(inside.join("fits"), "x".repeat(FILE)).unwrap();
        fs::write(inside.join("large"), "x".repeat(FILE + 1)).unwrap();
        fs::write(inside.join("bytes"), [0xff, 0xfe]).unwrap();
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, inside.join(name)).unwrap();
        link(&outside.join("secret"), "away");
        link(&outside, "folder");
        link(Path::new("a"), "here");
        link(Path::new("loop"), "loop");
        let tree = Tree::of(std::slice::from_ref(&inside));
        let read = |name: &str| tree.text(&inside.join(name));
        assert_eq!(read("here").as_deref(), Some("a"));
        assert!(read("fits").is_some());
        for name in ["away", "folder/secret", "large", "bytes", "loop", "nothing", "../out/secret"] {
            assert_eq!(read(name), None, "{name}");
        }
        assert!(tree.entries(&inside.join("folder")).is_empty());
        let refused: Vec<_> =
            tree.refused().iter().map(|p| p.strip_prefix(&inside).unwrap().to_owned()).collect();
        for name in ["away", "folder/secret", "large", "bytes", "../out/secret", "folder"] {
            assert!(refused.contains(&PathBuf::from(name)), "{name}: {refused:?}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
