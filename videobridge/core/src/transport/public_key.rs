//! The key of a certificate: DER in; kind and bytes of its public key out.
//!
//! Nothing else of a peer's certificate matters, as its fingerprint says whose it is. So nothing else is read, and what
//! would be wrong with it (a name, a date, a serial number of zero) keeps nobody out.

/// What can be checked with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PublicKey<'a> {
    pub(super) kind: Kind,
    /// The key itself: a point, or DER of RFC 8017 §A.1.1.
    pub(super) bytes: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Of an X.509 certificate (RFC 5280 §4.1). `None` for what is none, and for keys of another kind.
    pub(super) fn of(certificate: &'a [u8]) -> Option<Self> {
        let (certificate, _) = element(SEQUENCE, certificate)?;
        let (mut rest, _) = element(SEQUENCE, certificate)?;
        if rest.first() == Some(&VERSION) {
            rest = element(VERSION, rest)?.1;
        }
        // Serial number, signature algorithm, issuer, validity, subject.
        for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
            rest = element(tag, rest)?.1;
        }
        let (info, _) = element(SEQUENCE, rest)?;
        let (algorithm, key) = element(SEQUENCE, info)?;
        let (name, parameters) = element(OID, algorithm)?;
        let kind = match name {
            RSA_ENCRYPTION => Kind::Rsa,
            ED25519 => Kind::Ed25519,
            EC_PUBLIC_KEY => match element(OID, parameters)?.0 {
                PRIME256V1 => Kind::P256,
                SECP384R1 => Kind::P384,
                SECP521R1 => Kind::P521,
                _ => return None,
            },
            _ => return None,
        };
        let (bits, _) = element(BIT_STRING, key)?;
        // All bits are used.
        Some(Self { kind, bytes: bits.strip_prefix(&[0])? })
    }
}

/// The content of the element that `der` begins with, if it has this tag, and what follows it.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = der.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 => rest.split_first().map(|(&n, rest)| (usize::from(n), rest))?,
        0x82 => rest.split_first_chunk().map(|(&n, rest)| (usize::from(u16::from_be_bytes(n)), rest))?,
        // No certificate that fits into a handshake needs more.
        _ => return None,
    };
    rest.split_at_checked(length)
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT`.
const VERSION: u8 = 0xa0;

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const PRIME256V1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const SECP384R1: &[u8] = &[0x2b, 0x81, 0x04, 0, 0x22];
const SECP521R1: &[u8] = &[0x2b, 0x81, 0x04, 0, 0x23];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_certificate_is_found_and_of_half_a_certificate_is_not() {
        let der = dimpl::certificate::generate_self_signed_certificate().unwrap().certificate;
        let key = PublicKey::of(&der).unwrap();
        assert_eq!((key.kind, key.bytes.len(), key.bytes[0]), (Kind::P256, 65, 4));
        assert!((0..der.len()).all(|n| PublicKey::of(&der[..n]).is_none()));
    }

    #[test]
    fn lengths_of_all_forms_are_read_and_none_reaches_beyond_the_end() {
        assert_eq!(element(6, &[6, 1, 7, 8]), Some((&[7][..], &[8][..])));
        assert_eq!(element(6, &[6, 0x81, 1, 7]), Some((&[7][..], &[][..])));
        assert_eq!(element(6, &[6, 0x82, 0, 1, 7]), Some((&[7][..], &[][..])));
        for bad in [&[][..], &[6], &[5, 0], &[6, 2, 7], &[6, 0x80], &[6, 0x83, 0, 0, 1, 7], &[6, 0x82, 1]] {
            assert_eq!(element(6, bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_key_of_a_kind_we_do_not_know_is_none() {
        let mut der = dimpl::certificate::generate_self_signed_certificate().unwrap().certificate;
        let at = der.windows(PRIME256V1.len()).position(|w| w == PRIME256V1).unwrap();
        der[at + 7] = 6;
        assert_eq!(PublicKey::of(&der), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let der = dimpl::certificate::generate_self_signed_certificate().unwrap().certificate;
        for n in 0..der.len() {
            for byte in [0, 0x30, 0x7f, 0x80, 0x81, 0x82, 0xff] {
                let mut bad = der.clone();
                bad[n] = byte;
                let _ = PublicKey::of(&bad);
            }
        }
    }
}
