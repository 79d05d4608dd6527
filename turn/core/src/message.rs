//! The bytes of a STUN message in, what it says out; and answers as bytes (RFC 8489 §5, §14; RFC 8656 §18).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use aws_lc_rs::{constant_time, hmac};

/// The cookie of every message.
pub(crate) const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// What is asked for or told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Binding,
    Allocate,
    Refresh,
    Send,
    CreatePermission,
    ChannelBind,
}

/// Whether an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Request,
    Indication,
}

/// A message of a client. Attributes behind its integrity are nobody's word and not looked at; of those that come twice the first counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    pub(crate) method: Method,
    pub(crate) class: Class,
    pub(crate) transaction: [u8; 12],
    pub(crate) username: Option<&'a [u8]>,
    pub(crate) realm: Option<&'a [u8]>,
    pub(crate) nonce: Option<&'a [u8]>,
    pub(crate) lifetime: Option<u32>,
    pub(crate) transport: Option<u8>,
    pub(crate) family: Option<u8>,
    pub(crate) channel: Option<u16>,
    /// Where in the message it stands, and its bytes.
    pub(crate) data: Option<(usize, &'a [u8])>,
    /// The first that we would have to understand and do not.
    pub(crate) unknown: Option<u16>,
    signed: &'a [u8],
    integrity: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// `None`: not well-formed, or nothing that a client says.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, mut rest) = bytes.split_first_chunk::<20>()?;
        let [t0, t1, l0, l1, c0, c1, c2, c3, transaction @ ..] = *header;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if [c0, c1, c2, c3] != MAGIC || len != rest.len() || !len.is_multiple_of(4) {
            return None;
        }
        let (method, class) = match u16::from_be_bytes([t0, t1]) {
            0x0001 => (Method::Binding, Class::Request),
            0x0003 => (Method::Allocate, Class::Request),
            0x0004 => (Method::Refresh, Class::Request),
            0x0008 => (Method::CreatePermission, Class::Request),
            0x0009 => (Method::ChannelBind, Class::Request),
            0x0016 => (Method::Send, Class::Indication),
            _ => return None,
        };
        let mut m = Self { class, signed: bytes, ..Self::answered(method, transaction) };
        while !rest.is_empty() {
            let at = bytes.len() - rest.len();
            let ([a0, a1, l0, l1], after) = rest.split_first_chunk::<4>()?;
            let len = usize::from(u16::from_be_bytes([*l0, *l1]));
            let value = after.get(..len)?;
            rest = after.get(len.next_multiple_of(4)..)?;
            match u16::from_be_bytes([*a0, *a1]) {
                MESSAGE_INTEGRITY => {
                    m.integrity = Some(value);
                    m.signed = bytes.get(..at)?;
                    break;
                }
                FINGERPRINT => break,
                USERNAME => m.username = m.username.or(Some(value)),
                REALM => m.realm = m.realm.or(Some(value)),
                NONCE => m.nonce = m.nonce.or(Some(value)),
                LIFETIME => m.lifetime = m.lifetime.or(Some(u32::from_be_bytes(value.try_into().ok()?))),
                REQUESTED_TRANSPORT => m.transport = m.transport.or(Some(*value.first()?)),
                REQUESTED_ADDRESS_FAMILY => m.family = m.family.or(Some(*value.first()?)),
                CHANNEL_NUMBER => {
                    let [c0, c1, ..] = value else { return None };
                    m.channel = m.channel.or_else(|| Some(u16::from_be_bytes([*c0, *c1])));
                }
                DATA => m.data = m.data.or(Some((at + 4, value))),
                // Read again by `peers`; ICE's own, which clients also send to servers.
                XOR_PEER_ADDRESS | PRIORITY | USE_CANDIDATE => {}
                other if other < COMPREHENSION_OPTIONAL => m.unknown = m.unknown.or(Some(other)),
                _ => {}
            }
        }
        Some(m)
    }

    /// A request of which nothing is left but what its answer needs.
    pub(crate) const fn answered(method: Method, transaction: [u8; 12]) -> Self {
        Self {
            method,
            class: Class::Request,
            transaction,
            username: None,
            realm: None,
            nonce: None,
            lifetime: None,
            transport: None,
            family: None,
            channel: None,
            data: None,
            unknown: None,
            signed: &[],
            integrity: None,
        }
    }

    /// The peers that it names; `None` for one that is no address.
    pub(crate) fn peers(&self) -> impl Iterator<Item = Option<SocketAddr>> + 'a {
        let transaction = self.transaction;
        let mut rest = self.signed.get(20..).unwrap_or_default();
        std::iter::from_fn(move || {
            loop {
                let ([a0, a1, l0, l1], after) = rest.split_first_chunk::<4>()?;
                let len = usize::from(u16::from_be_bytes([*l0, *l1]));
                let value = after.get(..len)?;
                rest = after.get(len.next_multiple_of(4)..)?;
                match u16::from_be_bytes([*a0, *a1]) {
                    XOR_PEER_ADDRESS => return Some(address(value, &transaction)),
                    FINGERPRINT => return None,
                    _ => {}
                }
            }
        })
    }

    /// Whether it says under which key it is signed.
    pub(crate) const fn is_signed(&self) -> bool {
        self.integrity.is_some()
    }

    /// Whether it is signed with this key.
    pub(crate) fn verify(&self, key: &hmac::Key) -> bool {
        let Some(integrity) = self.integrity else { return false };
        sign(key, self.signed)
            .is_some_and(|tag| constant_time::verify_slices_are_equal(tag.as_ref(), integrity).is_ok())
    }
}

/// The integrity of a message whose bytes up to that attribute are `signed`: its length counts it already (RFC 8489 §14.5).
fn sign(key: &hmac::Key, signed: &[u8]) -> Option<hmac::Tag> {
    let len = u16::try_from(signed.len().checked_sub(20)? + 24).ok()?;
    let mut context = hmac::Context::with_key(key);
    context.update(signed.get(..2)?);
    context.update(&len.to_be_bytes());
    context.update(signed.get(4..)?);
    Some(context.sign())
}

pub(crate) fn address(value: &[u8], transaction: &[u8; 12]) -> Option<SocketAddr> {
    let ([_, family, p0, p1], ip) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([*p0, *p1]) ^ 0x2112;
    let ip = match family {
        1 => {
            let masked = u32::from_be_bytes(ip.try_into().ok()?);
            IpAddr::V4(Ipv4Addr::from_bits(masked ^ u32::from_be_bytes(MAGIC)))
        }
        2 => {
            let masked = u128::from_be_bytes(ip.try_into().ok()?);
            IpAddr::V6(Ipv6Addr::from_bits(masked ^ mask(transaction)))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn mask(transaction: &[u8; 12]) -> u128 {
    transaction.iter().fold(u128::from(u32::from_be_bytes(MAGIC)), |m, b| m << 8 | u128::from(*b))
}

/// Writes an address attribute's value; returns its length, or `None` when there is no room.
pub(crate) fn write_address(to: &mut [u8], address: SocketAddr, transaction: &[u8; 12]) -> Option<usize> {
    let port = (address.port() ^ 0x2112).to_be_bytes();
    match address.ip() {
        IpAddr::V4(ip) => {
            let masked = (ip.to_bits() ^ u32::from_be_bytes(MAGIC)).to_be_bytes();
            to.get_mut(..2)?.copy_from_slice(&[0, 1]);
            to.get_mut(2..4)?.copy_from_slice(&port);
            to.get_mut(4..8)?.copy_from_slice(&masked);
            Some(8)
        }
        IpAddr::V6(ip) => {
            let masked = (ip.to_bits() ^ mask(transaction)).to_be_bytes();
            to.get_mut(..2)?.copy_from_slice(&[0, 2]);
            to.get_mut(2..4)?.copy_from_slice(&port);
            to.get_mut(4..20)?.copy_from_slice(&masked);
            Some(20)
        }
    }
}

/// An answer that is being written.
pub(crate) struct Answer {
    bytes: Vec<u8>,
    transaction: [u8; 12],
}

impl Answer {
    /// To a request: it was done.
    pub(crate) fn success(m: &Message<'_>) -> Self {
        Self::new(m, 0x0100)
    }

    /// To a request: it was not. Without words: clients look at the number alone.
    pub(crate) fn error(m: &Message<'_>, code: u16) -> Self {
        let mut answer = Self::new(m, 0x0110);
        let (class, number) = (code / 100, code % 100);
        answer.attribute(ERROR_CODE, &[0, 0, class.to_be_bytes()[1], number.to_be_bytes()[1]]);
        answer
    }

    fn new(m: &Message<'_>, class: u16) -> Self {
        let method: u16 = match m.method {
            Method::Binding => 1,
            Method::Allocate => 3,
            Method::Refresh => 4,
            Method::Send => 6,
            Method::CreatePermission => 8,
            Method::ChannelBind => 9,
        };
        let mut bytes = Vec::with_capacity(128);
        bytes.extend((method | class).to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(MAGIC);
        bytes.extend(m.transaction);
        Self { bytes, transaction: m.transaction }
    }

    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let Ok(len) = u16::try_from(value.len()) else { return };
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend(len.to_be_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    pub(crate) fn address(&mut self, kind: u16, address: SocketAddr) {
        let mut value = [0; 20];
        if let Some(len) = write_address(&mut value, address, &self.transaction) {
            self.attribute(kind, value.get(..len).unwrap_or_default());
        }
    }

    /// The bytes; signed if there is a key.
    pub(crate) fn finish(mut self, key: Option<&hmac::Key>) -> Vec<u8> {
        if let Some(tag) = key.and_then(|key| sign(key, &self.bytes)) {
            self.attribute(MESSAGE_INTEGRITY, tag.as_ref());
        }
        let len = u16::try_from(self.bytes.len().saturating_sub(20)).unwrap_or(0).to_be_bytes();
        if let Some(field) = self.bytes.get_mut(2..4) {
            field.copy_from_slice(&len);
        }
        self.bytes
    }
}

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
pub(crate) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const CHANNEL_NUMBER: u16 = 0x000c;
pub(crate) const LIFETIME: u16 = 0x000d;
pub(crate) const XOR_PEER_ADDRESS: u16 = 0x0012;
pub(crate) const DATA: u16 = 0x0013;
pub(crate) const REALM: u16 = 0x0014;
pub(crate) const NONCE: u16 = 0x0015;
pub(crate) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
const REQUESTED_TRANSPORT: u16 = 0x0019;
pub(crate) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const COMPREHENSION_OPTIONAL: u16 = 0x8000;
const FINGERPRINT: u16 = 0x8028;
/// A Data indication.
pub(crate) const DATA_INDICATION: u16 = 0x0017;
