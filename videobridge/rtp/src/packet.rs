//! One RTP packet in (decrypted), its fields out (RFC 3550 §5.1).

use crate::bytes::{array, be16};
use crate::{ExtensionId, Extensions, RtpError};

/// Bytes of the fixed header.
pub const FIXED_HEADER: usize = 12;

/// A view of an RTP packet whose lengths have been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    fixed: [u8; FIXED_HEADER],
    header_len: usize,
    profile: u16,
    extensions: &'a [u8],
    payload: &'a [u8],
    padding: u8,
}

impl<'a> RtpPacket<'a> {
    /// Checks the structure of a decrypted packet.
    ///
    /// # Errors
    /// When it is not a well-formed RTP packet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let mut packet = Self::parse_header(bytes)?;
        if packet.fixed.first().is_some_and(|b| b & 0x20 != 0) {
            let padding = *packet.payload.last().ok_or(RtpError::Padding)?;
            let keep = packet.payload.len().checked_sub(padding.into()).ok_or(RtpError::Padding)?;
            if padding == 0 {
                return Err(RtpError::Padding);
            }
            packet.payload = packet.payload.get(..keep).ok_or(RtpError::Padding)?;
            packet.padding = padding;
        }
        Ok(packet)
    }

    /// Checks the header alone, which is in the clear also while the packet is encrypted. Padding is not looked at:
    /// [`Self::payload`] is everything behind the header.
    ///
    /// # Errors
    /// When it is not a well-formed RTP header.
    pub fn parse_header(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let fixed: [u8; FIXED_HEADER] = array(bytes, 0).ok_or(RtpError::CutShort)?;
        let [first, ..] = fixed;
        if first >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let mut header_len = FIXED_HEADER + 4 * usize::from(first & 0x0f);
        let (mut profile, mut extensions) = (0, Default::default());
        if first & 0x10 != 0 {
            profile = be16(bytes, header_len).ok_or(RtpError::CutShort)?;
            let words = be16(bytes, header_len + 2).ok_or(RtpError::CutShort)?;
            let start = header_len + 4;
            header_len = start + 4 * usize::from(words);
            extensions = bytes.get(start..header_len).ok_or(RtpError::CutShort)?;
        }
        let payload = bytes.get(header_len..).ok_or(RtpError::CutShort)?;
        Ok(Self { fixed, header_len, profile, extensions, payload, padding: 0 })
    }

    /// The marker bit.
    pub const fn marker(&self) -> bool {
        let [_, second, ..] = self.fixed;
        second & 0x80 != 0
    }

    /// The payload type number.
    pub const fn payload_type(&self) -> u8 {
        let [_, second, ..] = self.fixed;
        second & 0x7f
    }

    /// The sequence number.
    pub const fn sequence(&self) -> u16 {
        let [_, _, a, b, ..] = self.fixed;
        u16::from_be_bytes([a, b])
    }

    /// The RTP timestamp.
    pub const fn timestamp(&self) -> u32 {
        let [_, _, _, _, a, b, c, d, ..] = self.fixed;
        u32::from_be_bytes([a, b, c, d])
    }

    /// The stream.
    pub const fn ssrc(&self) -> u32 {
        let [_, _, _, _, _, _, _, _, a, b, c, d] = self.fixed;
        u32::from_be_bytes([a, b, c, d])
    }

    /// Length of the header with contributing sources and extensions.
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// The word that says which form the extension block has; 0 without one.
    pub const fn extension_profile(&self) -> u16 {
        self.profile
    }

    /// The extension block without its first word.
    pub const fn extension_bytes(&self) -> &'a [u8] {
        self.extensions
    }

    /// The header extension elements.
    pub const fn extensions(&self) -> Extensions<'a> {
        Extensions::new(self.profile, self.extensions)
    }

    /// The header extension element with this id.
    pub fn extension(&self, id: ExtensionId) -> Option<&'a [u8]> {
        self.extensions().find(|e| e.id == id).map(|e| e.data)
    }

    /// The payload without padding.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Bytes of padding behind the payload.
    pub const fn padding(&self) -> u8 {
        self.padding
    }
}
