//! RTP header fields and extension elements in, a complete header in the caller's buffer out.

use crate::bytes::put;
use crate::extension::{ExtensionId, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE};
use crate::packet::FIXED_HEADER;

/// The fields of a fixed header we write. No padding, no contributing sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpFields {
    /// Marker bit.
    pub marker: bool,
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Stream.
    pub ssrc: u32,
}

/// How extension elements are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtensionForm {
    /// Ids 1–14, 1–16 bytes: every receiver understands it.
    OneByte,
    /// Ids 1–255, 0–255 bytes: only when `extmap-allow-mixed` was negotiated.
    TwoByte,
}

impl ExtensionForm {
    /// The one-byte form unless some element (id, length) does not fit it.
    pub fn for_elements(elements: impl IntoIterator<Item = (ExtensionId, usize)>) -> Self {
        if elements.into_iter().all(|(id, len)| Self::OneByte.fits(id, len)) {
            Self::OneByte
        } else {
            Self::TwoByte
        }
    }

    /// Whether an element can be encoded in this form.
    pub const fn fits(self, id: ExtensionId, len: usize) -> bool {
        match self {
            Self::OneByte => id.wire() <= 14 && 1 <= len && len <= 16,
            Self::TwoByte => len <= 255,
        }
    }
}

/// Writes one RTP header: fields first, then elements one by one, then [`HeaderWriter::finish`].
#[derive(Debug)]
pub struct HeaderWriter<'b> {
    buf: &'b mut [u8],
    form: ExtensionForm,
    len: usize,
}

impl<'b> HeaderWriter<'b> {
    /// Starts a header; `None` when not even the fixed part fits.
    pub fn new(buf: &'b mut [u8], fields: &RtpFields, form: ExtensionForm) -> Option<Self> {
        let fixed = buf.first_chunk_mut::<FIXED_HEADER>()?;
        put(fixed, 0, &[0x80, (u8::from(fields.marker) << 7) | (fields.payload_type & 0x7f)])?;
        put(fixed, 2, &fields.sequence.to_be_bytes())?;
        put(fixed, 4, &fields.timestamp.to_be_bytes())?;
        put(fixed, 8, &fields.ssrc.to_be_bytes())?;
        Some(Self { buf, form, len: FIXED_HEADER })
    }

    /// Adds one element; `None` and no change when it does not fit the form or the buffer.
    // Where the length is known, as of stamps, that saves the call that would copy two bytes.
    #[inline]
    pub fn extension(&mut self, id: ExtensionId, data: &[u8]) -> Option<()> {
        if !self.form.fits(id, data.len()) {
            return None;
        }
        let start = if self.len == FIXED_HEADER { FIXED_HEADER + 4 } else { self.len };
        let len = u8::try_from(data.len()).ok()?;
        let (prefix, prefix_len) = match self.form {
            ExtensionForm::OneByte => ([(id.wire() << 4) | len.checked_sub(1)?, 0], 1),
            ExtensionForm::TwoByte => ([id.wire(), len], 2),
        };
        let end = start + prefix_len + data.len();
        // Room for the padding to a whole word, so that `finish` can not fail.
        if end.next_multiple_of(4) > self.buf.len() {
            return None;
        }
        put(self.buf, start, prefix.get(..prefix_len)?)?;
        put(self.buf, start + prefix_len, data)?;
        self.len = end;
        Some(())
    }

    /// Pads and closes the header; returns its length.
    pub fn finish(self) -> usize {
        let Self { buf, form, len } = self;
        if len == FIXED_HEADER {
            return len;
        }
        let end = len.next_multiple_of(4);
        if let Some(padding) = buf.get_mut(len..end) {
            padding.fill(0);
        }
        if let Some(first) = buf.first_mut() {
            *first |= 0x10;
        }
        let profile = match form {
            ExtensionForm::OneByte => ONE_BYTE_PROFILE,
            ExtensionForm::TwoByte => TWO_BYTE_PROFILE,
        };
        let words = u16::try_from((end - FIXED_HEADER - 4) / 4).unwrap_or(u16::MAX);
        let ([a, b], [c, d]) = (profile.to_be_bytes(), words.to_be_bytes());
        let _ = put(buf, FIXED_HEADER, &[a, b, c, d]);
        end
    }
}
