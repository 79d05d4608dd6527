//! One session key: a packet, its SSRC and its index in; the packet sealed or opened in place, out.

use aes::Aes128Enc;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use crate::indices::{NextIndex, NextRtcpIndex, RtcpIndex};
use crate::wire::{ENCRYPTED, RTCP_HEADER, split_back, split_back_mut};
use crate::{KeyError, SrtpError};

/// Truncated HMAC-SHA1, RFC 3711 §5.2.
pub(crate) const SHA1_TAG: usize = 10;
/// AES-GCM tag, RFC 7714 §5.
pub(crate) const GCM_TAG: usize = 16;

/// Key schedules are built once here, not per packet.
pub(crate) enum Cipher {
    Gcm(Gcm),
    CmSha1(CmSha1),
}

/// AES-GCM, RFC 7714.
pub(crate) struct Gcm {
    key: Box<LessSafeKey>,
    /// Its first four bytes, and the others.
    salt: (u32, u64),
}

/// AES in counter mode with truncated HMAC-SHA1, RFC 3711.
pub(crate) struct CmSha1 {
    key: Box<Aes128Enc>,
    /// Already multiplied by 2^16, RFC 3711 §4.1.1.
    salt: u128,
    /// The state after the key has been absorbed; cloned per packet.
    mac: Box<Hmac<Sha1>>,
}

impl Cipher {
    pub(crate) fn gcm(key: &[u8], salt: [u8; 12]) -> Result<Self, KeyError> {
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, key).map_err(|_| KeyError::Refused)?;
        let [a, b, c, d, rest @ ..] = salt;
        let salt = (u32::from_be_bytes([a, b, c, d]), u64::from_be_bytes(rest));
        Ok(Self::Gcm(Gcm { key: Box::new(LessSafeKey::new(key)), salt }))
    }

    pub(crate) fn cm_sha1(key: &[u8; 16], salt: [u8; 14], auth: &[u8; 20]) -> Result<Self, KeyError> {
        let mac = Hmac::<Sha1>::new_from_slice(auth).map_err(|_| KeyError::Refused)?;
        let salt = salt.iter().fold(0, |n, b| (n << 8) | u128::from(*b)) << 16;
        Ok(Self::CmSha1(CmSha1 { key: Box::new(Aes128Enc::new(key.into())), salt, mac: Box::new(mac) }))
    }

    /// Seals the RTP packet `buf[..len]` and appends the tag; returns the new length.
    pub(crate) fn seal_rtp(
        &self,
        buf: &mut [u8],
        len: usize,
        header_len: usize,
        index: NextIndex,
    ) -> Result<usize, SrtpError> {
        let (ssrc, index) = index.spend();
        let (packet, room) = buf.split_at_mut_checked(len).ok_or(SrtpError::NoRoom)?;
        match self {
            Self::Gcm(gcm) => {
                let tag_room = room.get_mut(..GCM_TAG).ok_or(SrtpError::NoRoom)?;
                let (header, payload) =
                    packet.split_at_mut_checked(header_len).ok_or(SrtpError::Malformed)?;
                gcm.seal(ssrc, index, header, payload, tag_room)?;
                Ok(len + GCM_TAG)
            }
            Self::CmSha1(cm) => {
                let tag_room = room.get_mut(..SHA1_TAG).ok_or(SrtpError::NoRoom)?;
                cm.crypt(ssrc, index, packet.get_mut(header_len..).ok_or(SrtpError::Malformed)?);
                tag_room.copy_from_slice(&cm.tag(packet, roc(index)));
                Ok(len + SHA1_TAG)
            }
        }
    }

    /// Seals the compound RTCP packet `buf[..len]`, appends index and tag; returns the new length.
    pub(crate) fn seal_rtcp(
        &self,
        buf: &mut [u8],
        len: usize,
        index: NextRtcpIndex,
    ) -> Result<usize, SrtpError> {
        let (ssrc, index) = index.spend();
        let (packet, room) = buf.split_at_mut_checked(len).ok_or(SrtpError::NoRoom)?;
        let word = (ENCRYPTED | index.0).to_be_bytes();
        match self {
            Self::Gcm(gcm) => {
                let room = room.get_mut(..GCM_TAG + 4).ok_or(SrtpError::NoRoom)?;
                let (header, payload) =
                    packet.split_first_chunk_mut::<RTCP_HEADER>().ok_or(SrtpError::Malformed)?;
                let (tag_room, index_room) = room.split_at_mut(GCM_TAG);
                gcm.seal(ssrc, index.into(), &rtcp_aad(*header, word), payload, tag_room)?;
                index_room.copy_from_slice(&word);
                Ok(len + GCM_TAG + 4)
            }
            Self::CmSha1(cm) => {
                let room = room.get_mut(..4 + SHA1_TAG).ok_or(SrtpError::NoRoom)?;
                cm.crypt(ssrc, index.into(), packet.get_mut(RTCP_HEADER..).ok_or(SrtpError::Malformed)?);
                let (index_room, tag_room) = room.split_first_chunk_mut::<4>().ok_or(SrtpError::NoRoom)?;
                *index_room = word;
                tag_room.copy_from_slice(&cm.tag(packet, word));
                Ok(len + 4 + SHA1_TAG)
            }
        }
    }

    /// Opens a whole SRTP packet; returns the length of the RTP packet. After an error the payload is undefined.
    pub(crate) fn open_rtp(
        &self,
        packet: &mut [u8],
        header_len: usize,
        ssrc: u32,
        index: u64,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => {
                let (header, sealed) = packet.split_at_mut_checked(header_len).ok_or(SrtpError::Malformed)?;
                Ok(header_len + gcm.open(ssrc, index, header, sealed)?)
            }
            Self::CmSha1(cm) => {
                let (body, tag) = split_back_mut::<SHA1_TAG>(packet)?;
                // Looked at before the tag: a header longer than the body can not be right.
                if body.len() < header_len {
                    return Err(SrtpError::Malformed);
                }
                cm.verify(body, roc(index), tag)?;
                let len = body.len();
                cm.crypt(ssrc, index, body.get_mut(header_len..).ok_or(SrtpError::Malformed)?);
                Ok(len)
            }
        }
    }

    /// The index word of an SRTCP packet: E flag and 31-bit index. Not yet authenticated.
    pub(crate) fn rtcp_word(&self, packet: &[u8]) -> Result<u32, SrtpError> {
        let (_, word) = match self {
            Self::Gcm(_) => split_back::<4>(packet)?,
            Self::CmSha1(_) => split_back::<4>(split_back::<SHA1_TAG>(packet)?.0)?,
        };
        Ok(u32::from_be_bytes(*word))
    }

    /// Opens a whole SRTCP packet; returns the length of the RTCP packet. After an error the payload is undefined.
    pub(crate) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        index: RtcpIndex,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => {
                let (body, word) = split_back_mut::<4>(packet)?;
                let (header, sealed) =
                    body.split_first_chunk_mut::<RTCP_HEADER>().ok_or(SrtpError::Malformed)?;
                Ok(RTCP_HEADER + gcm.open(ssrc, index.into(), &rtcp_aad(*header, *word), sealed)?)
            }
            Self::CmSha1(cm) => {
                let (body, tag) = split_back_mut::<SHA1_TAG>(packet)?;
                let (body, word) = split_back_mut::<4>(body)?;
                if body.len() < RTCP_HEADER {
                    return Err(SrtpError::Malformed);
                }
                cm.verify(body, *word, tag)?;
                let len = body.len();
                cm.crypt(ssrc, index.into(), body.get_mut(RTCP_HEADER..).ok_or(SrtpError::Malformed)?);
                Ok(len)
            }
        }
    }
}

impl Gcm {
    /// RFC 7714 §8.1 and §9.1: two zero bytes, SSRC and index (48 bits), XORed with the salt.
    pub(crate) fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let (first, rest) = self.salt;
        let [a, b, c, d] = (first ^ (ssrc >> 16)).to_be_bytes();
        let [e, f, g, h, i, j, k, l] = (rest ^ (u64::from(ssrc) << 48) ^ index).to_be_bytes();
        Nonce::assume_unique_for_key([a, b, c, d, e, f, g, h, i, j, k, l])
    }

    /// `tag` has the tag's length.
    fn seal(
        &self,
        ssrc: u32,
        index: u64,
        aad: &[u8],
        payload: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), SrtpError> {
        let nonce = self.nonce(ssrc, index);
        let sealed = self.key.seal_in_place_scatter(nonce, Aad::from(aad), payload, &[], tag);
        // The library refuses only what exceeds the AEAD's own limits: 64 GiB of plain text.
        sealed.map_err(|_| SrtpError::Exhausted)
    }

    /// Returns the length of the plain text.
    fn open(&self, ssrc: u32, index: u64, aad: &[u8], sealed: &mut [u8]) -> Result<usize, SrtpError> {
        if sealed.len() < GCM_TAG {
            return Err(SrtpError::Malformed);
        }
        let opened = self.key.open_in_place(self.nonce(ssrc, index), Aad::from(aad), sealed);
        opened.map(|plain| plain.len()).map_err(|_| SrtpError::Unauthentic)
    }
}

impl CmSha1 {
    /// Encrypts or decrypts, RFC 3711 §4.1.1.
    pub(crate) fn crypt(&self, ssrc: u32, index: u64, payload: &mut [u8]) {
        let iv = self.salt ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
        let core = CtrCore::<&Aes128Enc, Ctr128BE>::inner_iv_init(&self.key, &iv.to_be_bytes().into());
        StreamCipherCoreWrapper::from_core(core).apply_keystream(payload);
    }

    fn mac(&self, packet: &[u8], trailer: [u8; 4]) -> Hmac<Sha1> {
        let mut mac = (*self.mac).clone();
        mac.update(packet);
        mac.update(&trailer);
        mac
    }

    fn tag(&self, packet: &[u8], trailer: [u8; 4]) -> [u8; SHA1_TAG] {
        let full = self.mac(packet, trailer).finalize().into_bytes();
        let mut tag = [0; SHA1_TAG];
        for (t, f) in tag.iter_mut().zip(full) {
            *t = f;
        }
        tag
    }

    /// In constant time.
    fn verify(&self, packet: &[u8], trailer: [u8; 4], tag: &[u8; SHA1_TAG]) -> Result<(), SrtpError> {
        self.mac(packet, trailer).verify_truncated_left(tag).map_err(|_| SrtpError::Unauthentic)
    }
}

/// The roll-over counter as it enters the authentication, RFC 3711 §4.2.
fn roc(index: u64) -> [u8; 4] {
    let [_, _, roc @ .., _, _] = index.to_be_bytes();
    roc
}

/// RFC 7714 §9.2: the first eight bytes and the index word.
fn rtcp_aad(header: [u8; RTCP_HEADER], word: [u8; 4]) -> [u8; 12] {
    let mut aad = [0; 12];
    for (a, b) in aad.iter_mut().zip(header.into_iter().chain(word)) {
        *a = b;
    }
    aad
}
