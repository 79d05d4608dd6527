//! The extension block of an RTP header in, its elements out, in both forms (RFC 8285); and the elements we read.

use std::num::NonZeroU8;

use crate::bytes::{array, be16};

/// The profile word of one-byte elements.
pub const ONE_BYTE_PROFILE: u16 = 0xbede;
/// The profile word of two-byte elements; the low four bits are free for the application.
pub const TWO_BYTE_PROFILE: u16 = 0x1000;

/// The id under which an extension was negotiated: 1 to 255. 0 is padding, and so no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExtensionId(NonZeroU8);

impl ExtensionId {
    /// `None` for 0.
    pub const fn new(id: u8) -> Option<Self> {
        match NonZeroU8::new(id) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// As it stands on the wire.
    pub const fn wire(self) -> u8 {
        self.0.get()
    }
}

/// One header extension element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The negotiated id.
    pub id: ExtensionId,
    /// Its content.
    pub data: &'a [u8],
}

/// Iterates over the elements of a block; stops at the first that does not fit.
#[derive(Debug, Clone)]
pub struct Extensions<'a> {
    form: Form,
    rest: &'a [u8],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    OneByte,
    TwoByte,
    Unknown,
}

impl<'a> Extensions<'a> {
    /// The elements of the block `bytes` whose profile word is `profile`; none for unknown forms.
    pub const fn new(profile: u16, bytes: &'a [u8]) -> Self {
        let form = if profile == ONE_BYTE_PROFILE {
            Form::OneByte
        } else if profile & 0xfff0 == TWO_BYTE_PROFILE {
            Form::TwoByte
        } else {
            Form::Unknown
        };
        Self { form, rest: bytes }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Extension<'a>> {
        if self.form == Form::Unknown {
            return None;
        }
        loop {
            let (&first, rest) = self.rest.split_first()?;
            self.rest = rest;
            if first == 0 {
                continue; // padding between elements
            }
            let (id, len) = if self.form == Form::OneByte {
                (first >> 4, usize::from(first & 0x0f) + 1)
            } else {
                let (&len, rest) = self.rest.split_first()?;
                self.rest = rest;
                (first, usize::from(len))
            };
            if self.form == Form::OneByte && id == 15 {
                self.rest = &[]; // RFC 8285 §4.2: stop processing
                return None;
            }
            let Some((data, rest)) = self.rest.split_at_checked(len) else {
                self.rest = &[];
                return None;
            };
            self.rest = rest;
            // 0 is padding with a length in the one-byte form, and was skipped above in the other.
            if let Some(id) = ExtensionId::new(id) {
                return Some(Extension { id, data });
            }
        }
    }
}

/// `urn:ietf:params:rtp-hdrext:ssrc-audio-level`, RFC 6464.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevel {
    /// The sender's voice activity decision.
    pub voice: bool,
    /// −dBov: 0 is the loudest, 127 digital silence.
    pub level: u8,
}

impl AudioLevel {
    /// Reads the element.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let first = *data.first()?;
        Some(Self { voice: first & 0x80 != 0, level: first & 0x7f })
    }
}

/// The transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01).
pub fn transport_sequence(data: &[u8]) -> Option<u16> {
    be16(data, 0)
}

/// The element for a transport-wide sequence number.
pub const fn transport_sequence_bytes(sequence: u16) -> [u8; 2] {
    sequence.to_be_bytes()
}

/// The element for an abs-send-time: seconds as 6.18 fixed point, modulo 64 s; from microseconds of any clock.
pub fn abs_send_time_bytes(micros: u64) -> [u8; 3] {
    let fixed = (u128::from(micros) << 18) / 1_000_000;
    array(&fixed.to_be_bytes(), 13).unwrap_or_default()
}
