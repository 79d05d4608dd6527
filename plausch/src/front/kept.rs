//! Files of the web folder in, their compressed form out: made once, and kept as long as there is room.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::limits;

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) modified: SystemTime,
    pub(super) bytes: u64,
}

impl Stamp {
    pub(super) fn of(file: &Path) -> Option<Self> {
        let about = std::fs::metadata(file).ok()?;
        Some(Self { modified: about.modified().ok()?, bytes: about.len() })
    }

    /// A name for this state of the file in this form.
    pub(super) fn tag(&self, form: &str) -> String {
        let time = self.modified.duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos());
        format!("\"{time:x}-{:x}{form}\"", self.bytes)
    }
}

/// Compressed files.
#[derive(Debug, Default)]
pub(super) struct Kept {
    files: Mutex<Files>,
    /// One at a time: many who come at once wait for one compression, and it costs one processor.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Files {
    bytes: usize,
    by_path: HashMap<PathBuf, One>,
}

#[derive(Debug)]
struct One {
    stamp: Stamp,
    /// `None`: not smaller, or there was no room.
    gzip: Option<Bytes>,
}

impl One {
    fn cost(&self, path: &Path) -> usize {
        path.as_os_str().len() + self.gzip.as_ref().map_or(0, Bytes::len)
    }
}

impl Kept {
    /// The file in gzip; `None`: it goes out as it is.
    pub(super) async fn gzip(&self, file: &Path, stamp: Stamp) -> Option<Bytes> {
        if !(limits::COMPRESS_FROM..=limits::COMPRESS_FILE).contains(&stamp.bytes) {
            return None;
        }
        if let Some(known) = self.lock().known(file, stamp) {
            return known;
        }
        let _turn = self.turn.lock().await;
        if let Some(known) = self.lock().known(file, stamp) {
            return known;
        }
        if self.lock().bytes >= limits::COMPRESSED_KEPT {
            return None;
        }
        let path = file.to_owned();
        let gzip = tokio::task::spawn_blocking(move || compress(&path, stamp)).await.ok()?;
        self.lock().keep(file, One { stamp, gzip })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn known(&self, file: &Path, stamp: Stamp) -> Option<Option<Bytes>> {
        self.by_path.get(file).filter(|one| one.stamp == stamp).map(|one| one.gzip.clone())
    }

    fn keep(&mut self, file: &Path, mut one: One) -> Option<Bytes> {
        if let Some(old) = self.by_path.remove(file) {
            self.bytes -= old.cost(file);
        }
        if self.bytes + one.cost(file) > limits::COMPRESSED_KEPT {
            // What the folder had before it was renewed.
            self.by_path.retain(|path, one| {
                let stays = Stamp::of(path) == Some(one.stamp);
                self.bytes -= if stays { 0 } else { one.cost(path) };
                stays
            });
        }
        if self.bytes + one.cost(file) > limits::COMPRESSED_KEPT {
            one.gzip = None;
        }
        let gzip = one.gzip.clone();
        self.bytes += one.cost(file);
        self.by_path.insert(file.to_owned(), one);
        gzip
    }
}

/// `None` when it is not worth it, or when the file is not what it was.
fn compress(file: &Path, stamp: Stamp) -> Option<Bytes> {
    let plain = std::fs::read(file).ok().filter(|p| p.len() as u64 == stamp.bytes)?;
    let gzip = gzip(&plain)?;
    // Ten per cent are not worth what unpacking costs a tablet.
    (gzip.len() < plain.len() / 10 * 9).then(|| Bytes::from(gzip))
}

/// Bytes in gzip. Writing into memory does not fail.
pub(super) fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 3), Compression::default());
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;

    fn one(bytes: usize) -> One {
        One { stamp: Stamp { modified: NOW, bytes: 1 }, gzip: Some(Bytes::from(vec![0; bytes])) }
    }

    #[test]
    fn compressed_files_are_kept_up_to_a_sum_and_none_is_pushed_out() {
        let mut files = Files::default();
        // It is looked whether what is kept is still there, so these have to be.
        let there = std::env::temp_dir().join(format!("plausch-kept-{}", std::process::id()));
        std::fs::write(&there, "x").unwrap();
        let stamp = Stamp::of(&there).unwrap();
        let fits = limits::COMPRESSED_KEPT - there.as_os_str().len();
        assert!(files.keep(&there, One { stamp, ..one(fits) }).is_some());
        assert_eq!(files.bytes, limits::COMPRESSED_KEPT);
        assert!(files.keep(Path::new("b"), one(0)).is_none(), "one byte too many");
        assert!(files.known(&there, stamp).flatten().is_some(), "the first stays");
        std::fs::remove_file(&there).unwrap();
        assert!(files.keep(Path::new("c"), one(1000)).is_some(), "a file that is gone makes room");
        assert!(files.keep(Path::new("c"), one(10)).is_some());
        let all: usize = files.by_path.iter().map(|(p, o)| o.cost(p)).sum();
        assert_eq!(files.bytes, all);
    }

    #[tokio::test]
    async fn files_are_compressed_from_one_size_to_another() {
        let file = std::env::temp_dir().join(format!("plausch-sizes-{}", std::process::id()));
        let kept = Kept::default();
        for (bytes, compressed) in [
            (limits::COMPRESS_FROM - 1, false),
            (limits::COMPRESS_FROM, true),
            (limits::COMPRESS_FILE, true),
            (limits::COMPRESS_FILE + 1, false),
        ] {
            std::fs::File::create(&file).unwrap().set_len(bytes).unwrap();
            let stamp = Stamp::of(&file).unwrap();
            assert_eq!(kept.gzip(&file, stamp).await.is_some(), compressed, "{bytes}");
        }
        std::fs::remove_file(&file).unwrap();
    }
}
