//! What DTLS exported in; session keys for both directions out (RFC 5764 §4.2, RFC 3711 §4.3, RFC 7714 §11).

use std::fmt;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Aes256Enc};

use crate::cipher::Cipher;
use crate::{KeyError, Profile, Receiver, Sender};

/// Master keys and salts of both directions, straight from the DTLS exporter.
pub struct SrtpKeys {
    profile: Profile,
    local: Master,
    remote: Master,
}

/// Master key and salt of one direction.
pub(crate) struct Master {
    profile: Profile,
    key: [u8; 32],
    /// Padded with zeros on the right to the 112 bits the key derivation wants.
    salt: [u8; 14],
}

/// Key derivation labels, RFC 3711 §4.3.2.
#[derive(Clone, Copy)]
pub(crate) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

impl SrtpKeys {
    /// Splits the exported `keying_material`; `is_server` says which DTLS role *we* had.
    ///
    /// # Errors
    /// When its length is not [`Profile::keying_material_len`].
    pub fn from_dtls_exporter(
        profile: Profile,
        keying_material: &[u8],
        is_server: bool,
    ) -> Result<Self, KeyError> {
        let error = KeyError::Length { expected: profile.keying_material_len(), got: keying_material.len() };
        if keying_material.len() != profile.keying_material_len() {
            return Err(error);
        }
        // client key, server key, client salt, server salt
        let (keys, salts) = keying_material.split_at_checked(2 * profile.key_len()).ok_or(error)?;
        let (client_key, server_key) = keys.split_at_checked(profile.key_len()).ok_or(error)?;
        let (client_salt, server_salt) = salts.split_at_checked(profile.salt_len()).ok_or(error)?;
        let client = Master::new(profile, client_key, client_salt).ok_or(error)?;
        let server = Master::new(profile, server_key, server_salt).ok_or(error)?;
        let (local, remote) = if is_server { (server, client) } else { (client, server) };
        Ok(Self { profile, local, remote })
    }

    /// The profile these keys belong to.
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// The contexts that protect what we send and unprotect what we receive: one of each, because a second sender
    /// with the same keys would use the same indices.
    ///
    /// # Errors
    /// When the crypto library refuses a key.
    pub fn split(self) -> Result<(Sender, Receiver), KeyError> {
        let sender = Sender::new(self.profile, self.local.rtp()?, self.local.rtcp()?);
        Ok((sender, Receiver::new(self.profile, self.remote.rtp()?, self.remote.rtcp()?)))
    }
}

impl Master {
    /// `None` when a part is longer than any profile allows.
    pub(crate) fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Option<Self> {
        let mut master = Self { profile, key: [0; 32], salt: [0; 14] };
        master.key.get_mut(..key.len())?.copy_from_slice(key);
        master.salt.get_mut(..salt.len())?.copy_from_slice(salt);
        Some(master)
    }

    fn rtp(&self) -> Result<Cipher, KeyError> {
        self.session(Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt)
    }

    fn rtcp(&self) -> Result<Cipher, KeyError> {
        self.session(Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt)
    }

    fn session(&self, encryption: Label, authentication: Label, salt: Label) -> Result<Cipher, KeyError> {
        match self.profile {
            Profile::AeadAes256Gcm => Cipher::gcm(&self.derive::<32>(encryption)?, self.derive(salt)?),
            Profile::AeadAes128Gcm => Cipher::gcm(&self.derive::<16>(encryption)?, self.derive(salt)?),
            Profile::Aes128CmHmacSha1_80 => {
                Cipher::cm_sha1(&self.derive(encryption)?, self.derive(salt)?, &self.derive(authentication)?)
            }
        }
    }

    /// The AES-CM pseudo-random function with a key derivation rate of zero.
    pub(crate) fn derive<const N: usize>(&self, label: Label) -> Result<[u8; N], KeyError> {
        let mut block = [0; 16];
        for (b, s) in block.iter_mut().zip(self.salt) {
            *b = s;
        }
        if let Some(b) = block.get_mut(7) {
            *b ^= label as u8;
        }
        let mut out = [0; N];
        for (counter, chunk) in (0_u16..).zip(out.chunks_mut(16)) {
            if let Some(tail) = block.last_chunk_mut() {
                *tail = counter.to_be_bytes();
            }
            let stream = self.encrypt_block(block)?;
            for (o, s) in chunk.iter_mut().zip(stream) {
                *o = s;
            }
        }
        Ok(out)
    }

    fn encrypt_block(&self, block: [u8; 16]) -> Result<[u8; 16], KeyError> {
        let key = self.key.get(..self.profile.key_len()).ok_or(KeyError::Refused)?;
        let mut block = block.into();
        match self.profile {
            Profile::AeadAes256Gcm => {
                Aes256Enc::new_from_slice(key).map_err(|_| KeyError::Refused)?.encrypt_block(&mut block);
            }
            Profile::AeadAes128Gcm | Profile::Aes128CmHmacSha1_80 => {
                Aes128Enc::new_from_slice(key).map_err(|_| KeyError::Refused)?.encrypt_block(&mut block);
            }
        }
        Ok(block.into())
    }
}

impl fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpKeys({})", self.profile.name())
    }
}
