//! What a client of TURN writes and reads (RFC 8656, RFC 8489), with an encoder of its own: requests as bytes out, answers in.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac;
use md5::{Digest as _, Md5};

/// Methods of requests.
pub const ALLOCATE: u16 = 3;
/// See [`ALLOCATE`].
pub const REFRESH: u16 = 4;
/// CreatePermission.
pub const PERMIT: u16 = 8;
/// ChannelBind.
pub const BIND: u16 = 9;
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// 0: it was done.
    pub code: u16,
    /// Kinds and values.
    pub attributes: Vec<(u16, Vec<u8>)>,
    /// As it came.
    pub bytes: Vec<u8>,
}

impl Reply {
    /// The first of this kind.
    pub fn attribute(&self, kind: u16) -> Option<&[u8]> {
        self.attributes.iter().find(|(k, _)| *k == kind).map(|(_, v)| &**v)
    }

    /// LIFETIME.
    pub fn lifetime(&self) -> u32 {
        u32::from_be_bytes(self.attribute(0x0d).expect("a lifetime").try_into().unwrap())
    }

    /// An IPv4 address or one of IPv6.
    pub fn address(&self, kind: u16) -> SocketAddr {
        let transaction: [u8; 12] = self.bytes[8..20].try_into().unwrap();
        unmask(self.attribute(kind).expect("an address"), &transaction)
    }
}

/// Who signs a request, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// As the XMPP server gave it.
    pub username: &'a str,
    /// Its password.
    pub password: &'a str,
    /// From the first answer.
    pub nonce: &'a [u8],
}

impl Signer<'_> {
    /// A request with MESSAGE-INTEGRITY.
    pub fn sign(&self, method: u16, transaction: [u8; 12], attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut all = attributes.to_vec();
        all.push((0x06, self.username.as_bytes().to_vec()));
        all.push((0x14, b"plausch".to_vec()));
        all.push((0x15, self.nonce.to_vec()));
        let mut m = message(method, transaction, &all);
        let len = u16::try_from(m.len() - 20 + 24).unwrap();
        m[2..4].copy_from_slice(&len.to_be_bytes());
        let mut md5 = Md5::new();
        md5.update(format!("{}:plausch:{}", self.username, self.password));
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &md5.finalize());
        m.extend([0, 8, 0, 20]);
        let signed = m.len() - 4;
        let tag = hmac::sign(&key, &m[..signed]);
        m.extend(tag.as_ref());
        m
    }
}

/// REQUESTED-TRANSPORT: UDP.
pub fn transport() -> (u16, Vec<u8>) {
    (0x19, vec![17, 0, 0, 0])
}

/// A message without a signature.
pub fn message(method: u16, transaction: [u8; 12], attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut m = method.to_be_bytes().to_vec();
    m.extend([0, 0]);
    m.extend(MAGIC);
    m.extend(transaction);
    for (kind, value) in attributes {
        m.extend(kind.to_be_bytes());
        m.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        m.extend(value);
        m.resize(m.len().next_multiple_of(4), 0);
    }
    let len = u16::try_from(m.len() - 20).unwrap();
    m[2..4].copy_from_slice(&len.to_be_bytes());
    m
}

/// Reads an answer; its length must be right and a success signed.
pub fn read(bytes: &[u8]) -> Reply {
    assert_eq!(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), bytes.len() - 20);
    assert_eq!(bytes[4..8], MAGIC);
    let mut attributes = Vec::new();
    let mut rest = &bytes[20..];
    while !rest.is_empty() {
        let len = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        attributes.push((u16::from_be_bytes([rest[0], rest[1]]), rest[4..4 + len].to_vec()));
        rest = &rest[4 + len.next_multiple_of(4)..];
    }
    let kind = u16::from_be_bytes([bytes[0], bytes[1]]);
    let error =
        attributes.iter().find(|(k, _)| *k == 9).map(|(_, v)| u16::from(v[2]) * 100 + u16::from(v[3]));
    assert_eq!(kind & 0x0110, if error.is_some() { 0x0110 } else { 0x0100 });
    Reply { code: error.unwrap_or(0), attributes, bytes: bytes.to_vec() }
}

/// An address as an attribute's value.
pub fn mask(a: SocketAddr, transaction: &[u8; 12]) -> Vec<u8> {
    let (family, ip) = match a.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let mut value = vec![0, family];
    value.extend((a.port() ^ 0x2112).to_be_bytes());
    value.extend(ip.iter().zip(MAGIC.iter().chain(transaction)).map(|(a, b)| a ^ b));
    value
}

/// The address in an attribute's value.
pub fn unmask(value: &[u8], transaction: &[u8; 12]) -> SocketAddr {
    let port = u16::from_be_bytes([value[2], value[3]]) ^ 0x2112;
    let ip: Vec<u8> = value[4..].iter().zip(MAGIC.iter().chain(transaction)).map(|(a, b)| a ^ b).collect();
    let ip = match value[1] {
        1 => IpAddr::from(<[u8; 4]>::try_from(ip).unwrap()),
        _ => IpAddr::from(<[u8; 16]>::try_from(ip).unwrap()),
    };
    SocketAddr::new(ip, port)
}
