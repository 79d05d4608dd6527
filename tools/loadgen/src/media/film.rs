//! Pictures that a browser encoded, in IVF files, in; the frames that a camera sends, out.
//!
//! Each of a camera's encodings has a file: a key frame, then frames of three temporal layers in turns (0, 2, 1, 2). The film
//! runs again and again, and from its key frame on whenever somebody asks for one.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// What a camera's encodings show.
#[derive(Debug)]
pub(crate) struct Film {
    /// By encoding, the lowest first.
    encodings: Vec<Vec<Vec<u8>>>,
}

impl Film {
    /// Reads `180.ivf`, `360.ivf` and `720.ivf` of this folder.
    pub(crate) fn read(folder: &Path, heights: &[u16]) -> Result<Self> {
        let read = |height: &u16| {
            let file = folder.join(format!("{height}.ivf"));
            let data = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            frames(&data).with_context(|| format!("{} is no film", file.display()))
        };
        Ok(Self { encodings: heights.iter().map(read).collect::<Result<_>>()? })
    }

    /// Frames until the first one comes again.
    pub(crate) fn len(&self, encoding: usize) -> usize {
        self.encodings.get(encoding).map_or(0, Vec::len)
    }

    pub(crate) fn frame(&self, encoding: usize, at: usize) -> &[u8] {
        self.encodings.get(encoding).and_then(|frames| frames.get(at)).map_or(&[], Vec::as_slice)
    }
}

/// The frames of an IVF file of VP8, of which the first alone is a key frame.
fn frames(data: &[u8]) -> Result<Vec<Vec<u8>>> {
    if data.first_chunk() != Some(b"DKIF") || data.get(8..12) != Some(b"VP80") {
        bail!("it is no IVF file of VP8");
    }
    let mut rest = data.get(32..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((header, after)) = rest.split_first_chunk::<12>() {
        let [s0, s1, s2, s3, ..] = *header;
        let size = u32::from_le_bytes([s0, s1, s2, s3]) as usize;
        let (frame, next) = after.split_at_checked(size).context("it is cut off")?;
        let key = frame.first().context("a frame is empty")? & 1 == 0;
        if key != frames.is_empty() {
            bail!("not the first frame, and that alone, is a key frame");
        }
        frames.push(frame.to_vec());
        rest = next;
    }
    // Four to each turn of the temporal layers.
    if frames.is_empty() || frames.len() % 4 != 0 {
        bail!("it has {} frames: any number that can be divided by four will do", frames.len());
    }
    Ok(frames)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn ivf(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut out = [&b"DKIF\0\0\x20\0VP80"[..], &[0; 20]].concat();
        for frame in frames {
            out.extend([&(frame.len() as u32).to_le_bytes()[..], &[0; 8], frame].concat());
        }
        out
    }

    /// Of four frames, each 3,000 bytes of its number.
    pub(crate) fn film() -> Film {
        let encoding = (0..4_u8).map(|n| [&[u8::from(n != 0)], &vec![n; 2_999][..]].concat()).collect();
        Film { encodings: vec![encoding; 3] }
    }

    #[test]
    fn a_film_is_read_and_what_is_none_is_refused() {
        let good: Vec<Vec<u8>> = vec![vec![0, 1], vec![1, 2, 3], vec![1], vec![1]];
        assert_eq!(frames(&ivf(&good)).unwrap(), good);
        let why = |data: &[u8]| frames(data).unwrap_err().to_string();
        assert!(why(b"DKIF").contains("no IVF"));
        assert!(why(&ivf(&good[..3])).contains("3 frames"));
        assert!(why(&ivf(&[])).contains("0 frames"));
        assert!(why(&ivf(&[vec![1], vec![1], vec![1], vec![1]])).contains("key frame"));
        assert!(why(&ivf(&[vec![0], vec![1], vec![0], vec![1]])).contains("key frame"));
        let whole = ivf(&good);
        assert!(why(&whole[..whole.len() - 1]).contains("cut off"));
    }
}
