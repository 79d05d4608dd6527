//! VP8 payloads in: descriptor, key frame and its size out; a rewritten descriptor back (RFC 7741 §4.2, §4.3).

use crate::RtpError;
use crate::bytes::{array, put};

/// The payload descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vp8Descriptor {
    /// N: the frame is not referenced by others.
    pub non_reference: bool,
    /// S: first packet of a partition.
    pub start_of_partition: bool,
    /// PID: partition index, 3 bits.
    pub partition: u8,
    /// `PictureID`, 7 or 15 bits.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX.
    pub tl0_picture_index: Option<u8>,
    /// TID: temporal layer, 2 bits.
    pub temporal_id: Option<u8>,
    /// Y: only base layer dependency; meaningful with [`Self::temporal_id`].
    pub layer_sync: bool,
    /// KEYIDX, 5 bits.
    pub key_index: Option<u8>,
}

/// A picture id with the size it had on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureId {
    /// The number.
    pub value: u16,
    /// Whether it has 15 bits (M), else 7.
    pub long: bool,
}

impl Vp8Descriptor {
    /// The most bytes a descriptor can take.
    pub const MAX_LEN: usize = 6;

    /// Reads the descriptor; the second value is its length.
    ///
    /// # Errors
    /// [`RtpError::CutShort`].
    pub fn parse(payload: &[u8]) -> Result<(Self, usize), RtpError> {
        let mut bytes = payload.iter().copied();
        let mut next = || bytes.next().ok_or(RtpError::CutShort);
        let first = next()?;
        let mut descriptor = Self {
            non_reference: first & 0x20 != 0,
            start_of_partition: first & 0x10 != 0,
            partition: first & 0x07,
            ..Self::default()
        };
        let mut len = 1;
        if first & 0x80 != 0 {
            let flags = next()?;
            len += 1;
            if flags & 0x80 != 0 {
                let high = next()?;
                len += 1;
                let long = high & 0x80 != 0;
                let mut value = u16::from(high & 0x7f);
                if long {
                    value = (value << 8) | u16::from(next()?);
                    len += 1;
                }
                descriptor.picture_id = Some(PictureId { value, long });
            }
            if flags & 0x40 != 0 {
                descriptor.tl0_picture_index = Some(next()?);
                len += 1;
            }
            if flags & 0x30 != 0 {
                let byte = next()?;
                len += 1;
                if flags & 0x20 != 0 {
                    descriptor.temporal_id = Some(byte >> 6);
                    descriptor.layer_sync = byte & 0x20 != 0;
                }
                if flags & 0x10 != 0 {
                    descriptor.key_index = Some(byte & 0x1f);
                }
            }
        }
        Ok((descriptor, len))
    }

    /// Writes the descriptor and returns its length; `None` when `buf` is too short
    /// ([`Self::MAX_LEN`] is always enough).
    pub fn write(&self, buf: &mut [u8]) -> Option<usize> {
        let mut out = [0; Self::MAX_LEN];
        let mut len = 0;
        let mut push = |byte| {
            put(&mut out, len, &[byte])?;
            len += 1;
            Some(())
        };
        let extended = self.picture_id.is_some()
            || self.tl0_picture_index.is_some()
            || self.temporal_id.is_some()
            || self.key_index.is_some();
        push(
            (u8::from(extended) << 7)
                | (u8::from(self.non_reference) << 5)
                | (u8::from(self.start_of_partition) << 4)
                | (self.partition & 0x07),
        )?;
        if extended {
            push(
                (u8::from(self.picture_id.is_some()) << 7)
                    | (u8::from(self.tl0_picture_index.is_some()) << 6)
                    | (u8::from(self.temporal_id.is_some()) << 5)
                    | (u8::from(self.key_index.is_some()) << 4),
            )?;
            if let Some(id) = self.picture_id {
                let [high, low] = id.value.to_be_bytes();
                if id.long {
                    push(0x80 | high)?;
                    push(low)?;
                } else {
                    push(low & 0x7f)?;
                }
            }
            if let Some(index) = self.tl0_picture_index {
                push(index)?;
            }
            if self.temporal_id.is_some() || self.key_index.is_some() {
                push(
                    (self.temporal_id.unwrap_or(0) << 6)
                        | (u8::from(self.layer_sync) << 5)
                        | (self.key_index.unwrap_or(0) & 0x1f),
                )?;
            }
        }
        put(buf, 0, out.get(..len)?)?;
        Some(len)
    }

    /// Whether this is the first packet of a frame.
    pub const fn starts_frame(&self) -> bool {
        self.start_of_partition && self.partition == 0
    }
}

/// The uncompressed header of a key frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFrame {
    /// Pixels across; 0 when the header is cut short or opaque.
    pub width: u16,
    /// Pixels down; 0 when the header is cut short or opaque.
    pub height: u16,
}

/// Whether the payload starts a key frame, and its size. Looks at the descriptor and at most ten bytes behind it,
/// which end-to-end encryption leaves in the clear.
pub fn key_frame(payload: &[u8]) -> Option<KeyFrame> {
    let (descriptor, len) = Vp8Descriptor::parse(payload).ok()?;
    key_frame_after(&descriptor, payload.get(len..)?)
}

/// As [`key_frame`], when the descriptor has been parsed already; `body` is what follows it.
pub fn key_frame_after(descriptor: &Vp8Descriptor, body: &[u8]) -> Option<KeyFrame> {
    if !descriptor.starts_frame() || body.first()? & 0x01 != 0 {
        return None;
    }
    let size = array::<7>(body, 3).and_then(|[a, b, c, w0, w1, h0, h1]| {
        ([a, b, c] == [0x9d, 0x01, 0x2a]).then(|| KeyFrame {
            width: u16::from_le_bytes([w0, w1]) & 0x3fff,
            height: u16::from_le_bytes([h0, h1]) & 0x3fff,
        })
    });
    Some(size.unwrap_or(KeyFrame { width: 0, height: 0 }))
}
