//! What one write brings to a connection in; the bytes for its socket, as they are or as a TLS record, out.
//!
//! `aes` is the least that encryption can cost: AES-128-GCM in the one buffer that is then written, and the 22 bytes that a record of
//! TLS 1.3 is longer. `rustls` is what a library adds to that: a buffer for each record, another copy, its checks; and a copy of
//! the record into the buffer that is written, which a server need not make.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use xmpp_link::AnyCertificate;

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Encrypt {
    /// Not at all.
    None,
    /// AES-128-GCM alone.
    Aes,
    /// By the library that our servers use.
    Rustls,
}

/// One connection's keys.
pub(crate) enum Seal {
    None,
    Aes { key: Box<LessSafeKey>, records: u64 },
    Rustls(Box<ServerConnection>),
}

/// Bytes of a record beyond what is in it: its head, the inner type and the tag (RFC 8446 §5.2).
pub(crate) const RECORD: usize = HEAD + 1 + TAG;
const HEAD: usize = 5;
const TAG: usize = 16;

/// The head of a record with so many bytes in it.
pub(crate) fn head(content: usize) -> [u8; HEAD] {
    let [high, low] = ((content + 1 + TAG) as u16).to_be_bytes();
    [APPLICATION_DATA, 3, 3, high, low]
}

impl Seal {
    /// Writes `pieces`, which are less than a record takes, into `out` as the socket gets them.
    pub(crate) fn seal<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]>,
        joined: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        out.clear();
        match self {
            Self::None => pieces.for_each(|p| out.extend_from_slice(p)),
            Self::Aes { key, records } => {
                out.resize(HEAD, 0);
                pieces.for_each(|p| out.extend_from_slice(p));
                let head = head(out.len() - HEAD);
                out.push(APPLICATION_DATA);
                let (place, content) = out.split_at_mut(HEAD);
                place.copy_from_slice(&head);
                let mut nonce = [0; NONCE_LEN];
                nonce[NONCE_LEN - 8..].copy_from_slice(&records.to_be_bytes());
                *records += 1;
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(head), content);
                out.extend_from_slice(tag.ok().context("sealing a record")?.as_ref());
            }
            Self::Rustls(session) => {
                joined.clear();
                pieces.for_each(|p| joined.extend_from_slice(p));
                session.writer().write_all(joined)?;
                session.write_tls(out)?;
            }
        }
        Ok(())
    }
}

/// Makes the keys of one connection after another.
pub(crate) enum Seals {
    None,
    Aes,
    Rustls(Arc<ClientConfig>, Arc<ServerConfig>),
}

impl Seals {
    pub(crate) fn new(encrypt: Encrypt) -> Result<Self> {
        Ok(match encrypt {
            Encrypt::None => Self::None,
            Encrypt::Aes => Self::Aes,
            Encrypt::Rustls => {
                let provider = Arc::new(service::certificate::provider());
                let trust = Arc::new(AnyCertificate::new(Arc::clone(&provider)));
                let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
                    .with_protocol_versions(&[&rustls::version::TLS13])?
                    .dangerous()
                    .with_custom_certificate_verifier(trust)
                    .with_no_client_auth();
                let own = service::certificate::self_signed(&["localhost"])?;
                let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(own));
                let server = ServerConfig::builder_with_provider(provider)
                    .with_protocol_versions(&[&rustls::version::TLS13])?
                    .with_no_client_auth()
                    .with_cert_resolver(resolver);
                Self::Rustls(Arc::new(client), Arc::new(server))
            }
        })
    }

    /// Those of the next connection.
    pub(crate) fn next(&self) -> Result<Seal> {
        Ok(match self {
            Self::None => Seal::None,
            Self::Aes => {
                let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).ok().context("a key of AES-128-GCM")?;
                Seal::Aes { key: Box::new(LessSafeKey::new(key)), records: 0 }
            }
            Self::Rustls(client, server) => {
                Seal::Rustls(Box::new(agreed(Arc::clone(client), Arc::clone(server))?))
            }
        })
    }
}

/// The server's end of a handshake, with nothing left to send.
fn agreed(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Result<ServerConnection> {
    let mut client = ClientConnection::new(client, "localhost".try_into()?)?;
    let mut server = ServerConnection::new(server)?;
    let mut wire = Vec::new();
    for _ in 0..FLIGHTS {
        wire.clear();
        client.write_tls(&mut wire)?;
        server.read_tls(&mut &wire[..])?;
        server.process_new_packets()?;
        wire.clear();
        while server.wants_write() {
            server.write_tls(&mut wire)?;
        }
        client.read_tls(&mut &wire[..])?;
        client.process_new_packets()?;
    }
    ensure!(!server.is_handshaking() && !client.is_handshaking(), "the handshake does not end");
    Ok(server)
}

const APPLICATION_DATA: u8 = 23;
const FLIGHTS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_what_is_in_it_and_22_bytes_whoever_makes_it() {
        let pieces = [&b"shared"[..], b"own", b"shared too"];
        let size: usize = pieces.iter().map(|p| p.len()).sum();
        let (mut joined, mut out) = (Vec::new(), Vec::new());
        for (encrypt, more) in [(Encrypt::None, 0), (Encrypt::Aes, RECORD), (Encrypt::Rustls, RECORD)] {
            let mut seal = Seals::new(encrypt).unwrap().next().unwrap();
            for _ in 0..3 {
                seal.seal(pieces.into_iter(), &mut joined, &mut out).unwrap();
                assert_eq!(out.len(), size + more, "{encrypt:?}");
                let plain = out == pieces.concat();
                assert_eq!(plain, more == 0, "{encrypt:?}");
                assert!(plain || out[..HEAD] == head(size), "{encrypt:?}");
            }
        }
    }
}
