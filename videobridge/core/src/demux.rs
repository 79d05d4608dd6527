//! A datagram in; what it is, and whose it could be, out (RFC 7983). Nothing is allocated and nothing is believed.

use jitsi_xmpp::Entropy;

/// What the first bytes say (RFC 7983 §7, RFC 5761 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// First byte 0–3.
    Stun,
    /// First byte 20–63.
    Dtls,
    /// First byte 128–191 and a second byte that is no RTCP packet type.
    Rtp,
    /// First byte 128–191 and an RTCP packet type.
    Rtcp,
}

/// Tells the protocols on the media port apart. `None`: none of ours.
pub fn classify(datagram: &[u8]) -> Option<Kind> {
    match datagram {
        [0..=3, ..] => Some(Kind::Stun),
        [20..=63, ..] => Some(Kind::Dtls),
        [128..=191, 192..=223, ..] => Some(Kind::Rtcp),
        [128..=191, _, ..] => Some(Kind::Rtp),
        _ => None,
    }
}

/// The transaction id of a STUN message.
pub type Transaction = [u8; 12];

/// What can be read of a STUN message before anybody authenticated it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stun<'a> {
    /// A Binding request with our part of its USERNAME.
    Request {
        /// Up to its colon.
        local_ufrag: &'a str,
    },
    /// An answer, success or error.
    Response {
        /// Which question of ours it answers.
        transaction: Transaction,
    },
    /// Binding indications and other methods: of no use to us.
    Other,
}

/// Looks into a STUN message (RFC 8489 §5). `None`: not well-formed.
pub fn peek_stun(datagram: &[u8]) -> Option<Stun<'_>> {
    let (header, attributes) = datagram.split_first_chunk::<20>()?;
    let [t0, t1, l0, l1, c0, c1, c2, c3, transaction @ ..] = *header;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    if [c0, c1, c2, c3] != MAGIC || len != attributes.len() || !len.is_multiple_of(4) {
        return None;
    }
    Some(match u16::from_be_bytes([t0, t1]) {
        BINDING_REQUEST => {
            let username = core::str::from_utf8(attribute(attributes, USERNAME)?).ok()?;
            Stun::Request { local_ufrag: username.split_once(':')?.0 }
        }
        BINDING_SUCCESS | BINDING_ERROR => Stun::Response { transaction },
        _ => Stun::Other,
    })
}

/// The transaction id of a STUN message we are about to send.
pub(crate) fn transaction(message: &[u8]) -> Option<Transaction> {
    message.get(8..20)?.try_into().ok()
}

/// The shard that owns the endpoint a Binding request is for: the way for a shell with several shards to forward
/// the first packet of a new address.
pub fn shard_of_request(datagram: &[u8]) -> Option<u16> {
    match peek_stun(datagram)? {
        Stun::Request { local_ufrag } => shard_of(local_ufrag),
        _ => None,
    }
}

/// The shard an internal conference id (as in a WebSocket URL) belongs to.
pub fn shard_of_conference(id: &str) -> Option<u16> {
    shard_of(id)
}

/// The shard number at the start of an id made by [`sharded_id`].
fn shard_of(id: &str) -> Option<u16> {
    let mut digits =
        id.bytes().map(|b| ALPHABET.iter().position(|a| *a == b).and_then(|p| u16::try_from(p).ok()));
    Some(digits.next()?? << 5 | digits.next()??)
}

/// A random id of `len` characters (5 bits each) after two that name the shard.
pub(crate) fn sharded_id(shard: u16, len: usize, entropy: &mut dyn Entropy) -> String {
    let digit = |n: u16| char::from(ALPHABET.get(usize::from(n & 31)).copied().unwrap_or(b'0'));
    let mut id = String::with_capacity(len + 2);
    id.push(digit(shard >> 5));
    id.push(digit(shard));
    id.push_str(&random_text(len, entropy));
    id
}

/// `len` random characters of 5 bits each.
pub(crate) fn random_text(len: usize, entropy: &mut dyn Entropy) -> String {
    let mut bytes = vec![0; len];
    entropy.fill(&mut bytes);
    bytes.iter().map(|b| char::from(ALPHABET.get(usize::from(b & 31)).copied().unwrap_or(b'0'))).collect()
}

fn attribute(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some(([t0, t1, l0, l1], rest)) = attributes.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let value = rest.get(..len)?;
        match u16::from_be_bytes([*t0, *t1]) {
            this if this == wanted => return Some(value),
            // What is behind them is not the sender's word (RFC 8489 §14.5).
            MESSAGE_INTEGRITY | MESSAGE_INTEGRITY_SHA256 | FINGERPRINT => return None,
            _ => {}
        }
        attributes = rest.get(len.next_multiple_of(4)..)?;
    }
    None
}

/// The alphabet upstream's credentials use; RFC 8839 `ice-char` is a superset.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
const FINGERPRINT: u16 = 0x8028;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

#[cfg(test)]
mod tests {
    use jitsi_xmpp::entropy::SeededEntropy;
    use proptest::prelude::*;

    use super::*;

    fn request(username: &str) -> Vec<u8> {
        let padded = username.len().next_multiple_of(4);
        let mut m = vec![0, 1];
        m.extend(u16::try_from(padded + 4).unwrap().to_be_bytes());
        m.extend(MAGIC);
        m.extend([7; 12]);
        m.extend(USERNAME.to_be_bytes());
        m.extend(u16::try_from(username.len()).unwrap().to_be_bytes());
        m.extend(username.as_bytes());
        m.resize(24 + padded, 0);
        m
    }

    #[test]
    fn first_bytes_as_in_rfc_7983() {
        let kind = |a, b| classify(&[a, b]);
        assert_eq!([kind(0, 1), kind(3, 0), kind(4, 0)], [Some(Kind::Stun), Some(Kind::Stun), None]);
        assert_eq!(
            [kind(19, 0), kind(20, 0), kind(63, 0), kind(64, 0)],
            [None, Some(Kind::Dtls), Some(Kind::Dtls), None]
        );
        assert_eq!([kind(128, 111), kind(191, 96)], [Some(Kind::Rtp); 2]);
        assert_eq!([kind(128, 200), kind(129, 206)], [Some(Kind::Rtcp); 2]);
        // A marker bit does not make RTP look like RTCP: 224 = 96 | 128, 191 = 63 | 128.
        assert_eq!([kind(128, 224), kind(128, 191)], [Some(Kind::Rtp); 2]);
        assert_eq!([kind(192, 0), classify(&[]), classify(&[128])], [None; 3]);
    }

    #[test]
    fn the_local_part_of_the_username_is_found_behind_other_attributes() {
        let mut m = request("abc:remote");
        assert_eq!(peek_stun(&m), Some(Stun::Request { local_ufrag: "abc" }));
        // PRIORITY in front of it.
        m.splice(20..20, [0, 0x24, 0, 4, 1, 2, 3, 4]);
        m[3] += 8;
        assert_eq!(peek_stun(&m), Some(Stun::Request { local_ufrag: "abc" }));
        assert_eq!(peek_stun(&request("no-colon")), None);
        m.push(0);
        assert_eq!(peek_stun(&m), None, "length must be exact");
    }

    #[test]
    fn an_id_names_its_shard() {
        let mut entropy = SeededEntropy::new(1);
        for shard in [0, 1, 31, 32, 1023] {
            let id = sharded_id(shard, 8, &mut entropy);
            assert_eq!((id.len(), shard_of(&id)), (10, Some(shard)));
            assert_eq!(shard_of_request(&request(&format!("{id}:x"))), Some(shard));
        }
        assert_eq!(shard_of("A"), None);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), stun in any::<bool>()) {
            if stun && bytes.len() >= 20 {
                let len = u16::try_from(bytes.len() - 20).unwrap().to_be_bytes();
                bytes[..8].copy_from_slice(&[0, 1, len[0], len[1], 0x21, 0x12, 0xa4, 0x42]);
            }
            let _ = (classify(&bytes), peek_stun(&bytes), shard_of_request(&bytes), transaction(&bytes));
        }
    }

    /// RFC 5769 §2.1, with FINGERPRINT.
    const SAMPLE_REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
        002400046e0001ff80290008932ff9b151263b36000600096576746a3a683676592020200008001\
        49aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";
    const SAMPLE_PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

    fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        let mut context = aws_lc_rs::hmac::Context::with_key(&key);
        parts.iter().for_each(|p| context.update(p));
        context.sign().as_ref().try_into().unwrap()
    }

    #[test]
    fn a_name_behind_the_attributes_that_end_a_message_was_taken_for_the_senders() {
        for end in [MESSAGE_INTEGRITY, MESSAGE_INTEGRITY_SHA256, FINGERPRINT] {
            let whole = request("abc:def");
            assert!(peek_stun(&whole).is_some());
            let [t0, t1] = end.to_be_bytes();
            let mut m = whole.clone();
            m.splice(20..20, [t0, t1, 0, 4, 1, 2, 3, 4]);
            m[3] += 8;
            assert_eq!(peek_stun(&m), None, "{end:#x}");
        }
    }

    #[test]
    fn rfc_5769_sample_request_is_routed_and_authentic() {
        let bytes: Vec<u8> = (0..SAMPLE_REQUEST.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&SAMPLE_REQUEST[i..i + 2], 16).unwrap())
            .collect();
        assert_eq!(bytes.len(), 108);
        assert_eq!(classify(&bytes), Some(Kind::Stun));
        assert!(matches!(peek_stun(&bytes), Some(Stun::Request { local_ufrag: "evtj" })));
        let message = is::stun::StunMessage::parse(&bytes).unwrap();
        assert!(message.verify(SAMPLE_PASSWORD, hmac_sha1));
        assert!(!message.verify(b"wrong", hmac_sha1));
        for at in 0..bytes.len() - 32 {
            let mut forged = bytes.clone();
            forged[at] ^= 1;
            let authentic =
                is::stun::StunMessage::parse(&forged).is_ok_and(|m| m.verify(SAMPLE_PASSWORD, hmac_sha1));
            assert!(!authentic, "byte {at}");
        }
    }
}
