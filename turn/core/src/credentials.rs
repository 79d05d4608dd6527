//! The secret that the XMPP server shares with us, and what a client says in; whether it was given that by the XMPP server out
//! (`draft-uberti-behave-turn-rest-00`: the name is the time at which it ends, the password is made from it).

use std::net::IpAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jitsi_xmpp::{Entropy, Sensitive};
use md5::{Digest as _, Md5};

use crate::limits::{NONCE, USERNAME};

/// What clients are told to sign for; it names nobody.
pub(crate) const REALM: &str = "plausch";

/// The password of a user name.
pub fn password(secret: &[u8], username: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    STANDARD.encode(hmac::sign(&key, username.as_bytes()))
}

/// The secret, and one of our own for nonces.
#[derive(Debug)]
pub struct Secret {
    shared: Sensitive<String>,
    nonces: hmac::Key,
}

/// Why a name is nobody's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Not of our making.
    Name,
    /// Its time is over.
    Expired,
}

impl Secret {
    /// `shared` with whoever makes credentials.
    pub fn new(shared: Sensitive<String>, entropy: &mut dyn Entropy) -> Self {
        let mut own = [0; 32];
        entropy.fill(&mut own);
        Self { shared, nonces: hmac::Key::new(hmac::HMAC_SHA256, &own) }
    }

    /// The key that somebody with this name signs with (RFC 8489 §9.2.2).
    pub(crate) fn key(&self, username: &[u8], unix: Duration) -> Result<(Box<str>, hmac::Key), Unknown> {
        let name = std::str::from_utf8(username).map_err(|_| Unknown::Name)?;
        let digits = name.split_once(':').map_or(name, |(digits, _)| digits);
        if name.len() > USERNAME || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Unknown::Name);
        }
        let ends: u64 = digits.parse().map_err(|_| Unknown::Name)?;
        if ends <= unix.as_secs() {
            return Err(Unknown::Expired);
        }
        let password = password(self.shared.reveal().as_bytes(), name);
        let mut md5 = Md5::new();
        md5.update(name);
        md5.update(b":");
        md5.update(REALM);
        md5.update(b":");
        md5.update(password);
        Ok((name.into(), hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &md5.finalize())))
    }

    /// A nonce for this address: when it was made, and proof that it was us. So nothing is kept for those who only ask.
    pub(crate) fn nonce(&self, to: IpAddr, unix: Duration) -> String {
        let made = u32::try_from(unix.as_secs()).unwrap_or(u32::MAX);
        let mut bytes = [0; 12];
        for (b, from) in bytes.iter_mut().zip(made.to_be_bytes().iter().chain(&self.proof(to, made))) {
            *b = *from;
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether we gave this nonce to that address, and not too long ago.
    pub(crate) fn knows(&self, nonce: &[u8], from: IpAddr, unix: Duration) -> bool {
        let mut bytes = [0; 12];
        if nonce.len() != 16 || URL_SAFE_NO_PAD.decode_slice(nonce, &mut bytes) != Ok(bytes.len()) {
            return false;
        }
        let [m0, m1, m2, m3, proof @ ..] = bytes;
        let made = u32::from_be_bytes([m0, m1, m2, m3]);
        let age = unix.as_secs().checked_sub(made.into());
        proof == self.proof(from, made) && age.is_some_and(|age| age < NONCE.as_secs())
    }

    fn proof(&self, address: IpAddr, made: u32) -> [u8; 8] {
        let mut context = hmac::Context::with_key(&self.nonces);
        context.update(&made.to_be_bytes());
        match address.to_canonical() {
            IpAddr::V4(a) => context.update(&a.octets()),
            IpAddr::V6(a) => context.update(&a.octets()),
        }
        let tag = context.sign();
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use jitsi_xmpp::entropy::SeededEntropy;

    use super::*;

    fn secret() -> Secret {
        Secret::new(Sensitive::new("north".into()), &mut SeededEntropy::new(1))
    }

    const NOW: Duration = Duration::from_secs(1_795_473_122);

    #[test]
    fn compat_credentials_are_made_as_prosody_and_coturn_make_them() {
        // Made with OpenSSL: printf 1795473122 | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(password(b"north", "1795473122"), PASSWORD);
    }
    const PASSWORD: &str = "ZEJqpSlPpDH7cg64MI9sqidl/34=";

    #[test]
    fn a_name_is_good_until_its_time_and_not_a_second_longer() {
        let s = secret();
        assert!(s.key(b"1795473123", NOW).is_ok() && s.key(b"1795473123:ab12", NOW).is_ok());
        for over in [&b"1795473122"[..], b"1795473122:ab12", b"0"] {
            assert_eq!(s.key(over, NOW).err(), Some(Unknown::Expired));
        }
        for no in
            [&b""[..], b"anna", b"anna:1795473123", b":", b"+1795473123", b"\xff", b"99999999999999999999"]
        {
            assert_eq!(s.key(no, NOW).err(), Some(Unknown::Name), "{no:?}");
        }
        let name = |len: usize| format!("1795473123:{}", "x".repeat(len - 11)).into_bytes();
        assert!(s.key(&name(USERNAME), NOW).is_ok());
        assert_eq!(s.key(&name(USERNAME + 1), NOW).err(), Some(Unknown::Name));
    }

    #[test]
    fn a_nonce_is_for_one_address_and_for_its_time() {
        let (s, at) = (secret(), "192.0.2.1".parse().unwrap());
        let nonce = s.nonce(at, NOW);
        assert_eq!(nonce.len(), 16);
        let knows = |from: &str, seconds| {
            s.knows(nonce.as_bytes(), from.parse().unwrap(), NOW + Duration::from_secs(seconds))
        };
        assert!(knows("192.0.2.1", 0) && knows("::ffff:192.0.2.1", NONCE.as_secs() - 1));
        assert!(!knows("192.0.2.1", NONCE.as_secs()) && !knows("192.0.2.2", 0));
        assert!(!s.knows(nonce.as_bytes(), at, NOW - Duration::from_secs(1)), "of the future");
        for other in ["", "AAAAAAAAAAAAAAAA", "ä", "AAAAAAAAAAAAAAAAAAAA"] {
            assert!(!s.knows(other.as_bytes(), at, NOW), "{other}");
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert!(!format!("{:?}", secret()).contains("north"));
    }
}
