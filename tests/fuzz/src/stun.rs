//! STUN as three read it: ours, which routes, the ICE agent's, which authenticates, and one of other people's. Any bytes in; a
//! panic when they disagree.

use is::stun::{StunMessage, TransId};
use stun_types::attribute::{AttributeStaticType as _, AttributeType, MessageIntegritySha256, Username};
use stun_types::message::{
    BINDING, Message, MessageClass, MessageIntegrityCredentials, ShortTermCredentials,
};
use videobridge_core::stun::{Stun, peek_stun};

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const INTEGRITY: u16 = 0x0008;
const PRIORITY: u16 = 0x0024;

/// As it comes, and as the attributes of a request that is signed in its middle; then what we would send ourselves.
pub fn z01_stun(data: &[u8]) {
    compare(data);
    if let Some((signed, rest)) = data.split_first() {
        let (signed, after) = rest.split_at(usize::from(*signed).min(rest.len()));
        compare(&request(signed, after));
    }
    ours_is_read(data);
}

/// A Binding request with these attributes, MESSAGE-INTEGRITY and others.
fn request(signed: &[u8], after: &[u8]) -> Vec<u8> {
    let mut m = vec![0, 1, 0, 0];
    m.extend(MAGIC);
    m.extend([7; 12]);
    m.extend(signed);
    m.resize(m.len().next_multiple_of(4), 0);
    set_length(&mut m, 24);
    let integrity = hmac_sha1(PASSWORD.as_bytes(), &[&m]);
    m.extend(INTEGRITY.to_be_bytes());
    m.extend([0, 20]);
    m.extend(integrity);
    m.extend(after);
    m.resize(m.len().next_multiple_of(4), 0);
    set_length(&mut m, 0);
    m
}

fn set_length(m: &mut [u8], more: usize) {
    let len = u16::try_from(m.len() - 20 + more).unwrap_or(0);
    m[2..4].copy_from_slice(&len.to_be_bytes());
}

fn compare(m: &[u8]) {
    let ours = peek_stun(m);
    // RFC 8489 §5: the length is all of the datagram, and a multiple of four.
    let exact = m.len() >= 20
        && m.len().is_multiple_of(4)
        && usize::from(u16::from_be_bytes([m[2], m[3]])) == m.len() - 20;
    if !exact || m[4..8] != MAGIC {
        assert_eq!(ours, None, "not well-formed");
        return;
    }
    let Ok(theirs) = Message::from_bytes(m) else { return };
    let expected = match (theirs.method() == BINDING, theirs.class()) {
        (true, MessageClass::Request) => {
            let username = theirs.raw_attribute(Username::TYPE);
            let username = username.as_ref().and_then(|raw| std::str::from_utf8(&raw.value).ok());
            let local = username.and_then(|name| name.split_once(':')).map(|(local, _)| local.to_owned());
            assert_eq!(local.is_some(), ours.is_some(), "{username:?}");
            if let (Some(local), Some(Stun::Request { local_ufrag })) = (&local, ours) {
                assert_eq!(local, local_ufrag);
            }
            None
        }
        (true, MessageClass::Success | MessageClass::Error) => {
            let mut transaction = [0; 12];
            transaction.copy_from_slice(&m[8..20]);
            Some(Stun::Response { transaction })
        }
        _ => Some(Stun::Other),
    };
    if expected.is_some() {
        assert_eq!(ours, expected);
    }
    // One knows a newer kind of integrity, which takes the place of the older.
    if theirs.has_attribute(MessageIntegritySha256::TYPE) {
        return;
    }
    let Ok(agents) = StunMessage::parse(m) else { return };
    let authentic = agents.verify(PASSWORD.as_bytes(), hmac_sha1);
    assert_eq!(authentic, theirs.validate_integrity(&credentials()).is_ok(), "who is authentic?");
}

/// A request and an answer of the agent's, as the others read them.
fn ours_is_read(data: &[u8]) {
    let [prio, flags, name @ ..] = data else { return };
    let Ok(name) = std::str::from_utf8(name) else { return };
    let username =
        format!("{}:peer", name.chars().filter(char::is_ascii_alphanumeric).take(32).collect::<String>());
    let priority = 1 + u32::from(*prio);
    let message = StunMessage::binding_request(
        &username,
        TransId::new(),
        flags & 1 == 1,
        u64::from(*flags),
        priority,
        flags & 2 == 2,
    );
    let mut buf = [0; 512];
    let len = message.to_bytes(Some(PASSWORD.as_bytes()), &mut buf, hmac_sha1).expect("it fits");
    let theirs = Message::from_bytes(&buf[..len]).expect("what we send can be read");
    assert!(theirs.validate_integrity(&credentials()).is_ok());
    assert_eq!(theirs.attribute::<Username>().expect("a name").username(), username);
    let read = theirs.raw_attribute(AttributeType::new(PRIORITY)).expect("a priority");
    assert_eq!(*read.value, priority.to_be_bytes());
    let local = username.split(':').next().unwrap_or_default();
    assert_eq!(peek_stun(&buf[..len]), Some(Stun::Request { local_ufrag: local }));
}

fn credentials() -> MessageIntegrityCredentials {
    ShortTermCredentials::new(PASSWORD.to_owned()).into()
}

fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let mut context = aws_lc_rs::hmac::Context::with_key(&key);
    parts.iter().for_each(|p| context.update(p));
    context.sign().as_ref().try_into().expect("20 bytes")
}
