//! An RTP packet in; the same packet encrypted or decrypted in place as RFC 7714 says (AEAD_AES_128_GCM) out.
//!
//! Written for this program alone, so that the ceiling does not share code (or faults) with what is measured against
//! it. Session keys are random instead of derived from a master key, and there is no replay list: neither costs
//! anything per packet that would move the ceiling.

use anyhow::{Result, anyhow};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes of the RTP header: no contributing sources, no extension.
pub(crate) const HEADER: usize = 12;
/// Bytes that encryption adds.
pub(crate) const TAG: usize = 16;

/// One direction's session key, expanded once.
pub(crate) struct Key {
    aead: LessSafeKey,
    salt: [u8; 12],
}

impl Key {
    pub(crate) fn random() -> Result<Self> {
        let (mut key, mut salt) = ([0; 16], [0; 12]);
        aws_lc_rs::rand::fill(&mut key).and_then(|()| aws_lc_rs::rand::fill(&mut salt))?;
        Self::new(&key, salt)
    }

    fn new(key: &[u8; 16], salt: [u8; 12]) -> Result<Self> {
        Ok(Self { aead: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key)?), salt })
    }

    /// Encrypts a packet whose last [`TAG`] bytes are room for the tag. `index` is the extended sequence number.
    pub(crate) fn protect(&self, packet: &mut [u8], index: u64) -> Result<()> {
        let (header, rest) = packet.split_at_mut(HEADER);
        let (payload, room) = rest.split_at_mut(rest.len() - TAG);
        let nonce = self.nonce(header, index);
        let tag = self.aead.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)?;
        room.copy_from_slice(tag.as_ref());
        Ok(())
    }

    /// Decrypts a packet; what it held without the tag is its first `len - TAG` bytes then.
    pub(crate) fn unprotect(&self, packet: &mut [u8], index: u64) -> Result<()> {
        if packet.len() < HEADER + TAG {
            return Err(anyhow!("too short for SRTP"));
        }
        let (header, rest) = packet.split_at_mut(HEADER);
        let nonce = self.nonce(header, index);
        self.aead.open_in_place(nonce, Aad::from(&*header), rest)?;
        Ok(())
    }

    /// RFC 7714 §8.1: two zero bytes, SSRC, roll-over counter and sequence number, xor the salt.
    fn nonce(&self, header: &[u8], index: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[2..6].copy_from_slice(&header[8..12]);
        nonce[6..12].copy_from_slice(&index.to_be_bytes()[2..8]);
        nonce.iter_mut().zip(self.salt).for_each(|(byte, salt)| *byte ^= salt);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Writes the fields of a version 2 header that a forwarder does not change.
pub(crate) fn write_header(packet: &mut [u8], timestamp: u32) {
    packet[0] = 0x80;
    packet[1] = 96;
    packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
}

/// The two fields that a forwarder rewrites.
pub(crate) fn write_identity(packet: &mut [u8], ssrc: u32, index: u64) {
    packet[2..4].copy_from_slice(&index.to_be_bytes()[6..8]);
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
}

/// The 16 bits on the wire.
pub(crate) fn sequence(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

pub(crate) fn timestamp(packet: &[u8]) -> u32 {
    u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]])
}

pub(crate) fn ssrc(packet: &[u8]) -> u32 {
    u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]])
}

/// The extended sequence number nearest to the one expected next (RFC 3711 §3.3.1).
pub(crate) fn extend(sequence: u16, expected: u64) -> u64 {
    let ahead = sequence.wrapping_sub(expected as u16) as i16;
    expected.saturating_add_signed(i64::from(ahead))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let hex: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        hex.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }

    #[test]
    fn rfc_7714_section_16_1_1() {
        let salt = bytes("517569642070726f2071756f").try_into().unwrap();
        let key = Key::new(&std::array::from_fn(|i| i as u8), salt).unwrap();
        let plain = bytes(
            "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465
             73207472 6573",
        );
        let cipher = bytes(
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
             36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        );
        let mut packet = plain.clone();
        packet.extend([0; TAG]);
        key.protect(&mut packet, 0xf17b).unwrap();
        assert_eq!(packet, cipher);
        key.unprotect(&mut packet, 0xf17b).unwrap();
        assert_eq!(packet[..plain.len()], plain);
        // Another roll-over counter, or one bit changed: not authentic.
        assert!(key.unprotect(&mut cipher.clone(), 0x1_f17b).is_err());
        let mut changed = cipher;
        changed[1] ^= 0x80;
        assert!(key.unprotect(&mut changed, 0xf17b).is_err());
        assert!(key.unprotect(&mut changed[..HEADER + TAG - 1], 0xf17b).is_err());
    }

    #[test]
    fn sequence_numbers_extend_over_the_wrap() {
        assert_eq!(extend(0, 0xffff), 0x1_0000);
        assert_eq!(extend(0xffff, 0x1_0002), 0xffff);
        assert_eq!(extend(7, 0x3_0007), 0x3_0007);
        assert_eq!(extend(0xffff, 0), 0);
    }
}
