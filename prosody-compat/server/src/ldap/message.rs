//! A bind, a search, the wish for TLS in; the bytes of their messages out; and a directory's answers read (RFC 4511 §4).

use super::ber::{NotBer, Reader, Writer};
use super::filter::{Filter, Who};

/// A message with this number around a request.
fn message(id: u32, request: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::default();
    out.inner(SEQUENCE, |m| {
        m.number(INTEGER, id);
        request(m);
    });
    out.done()
}

/// Says who one is: a name with its password, or nobody.
pub(super) fn bind(id: u32, dn: &[u8], password: &str) -> Vec<u8> {
    message(id, |m| {
        m.inner(0x60, |bind| {
            bind.number(INTEGER, 3).bytes(OCTETS, dn).bytes(0x80, password.as_bytes());
        });
    })
}

/// Where one looks (RFC 4511 §4.5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// At the entry itself.
    Entry,
    /// The whole tree.
    Tree,
}

/// Looks for the one entry. Two would be one too many.
pub(super) fn search(id: u32, at: (&[u8], Scope), filter: &Filter, who: Who<'_>, seconds: u32) -> Vec<u8> {
    let (base, scope) = (at.0, if at.1 == Scope::Tree { 2 } else { 0 });
    message(id, |m| {
        m.inner(0x63, |search| {
            // Aliases are not followed; two entries; so many seconds; with values, of which none is wanted.
            search.bytes(OCTETS, base).number(ENUMERATED, scope).number(ENUMERATED, 0);
            search.number(INTEGER, 2).number(INTEGER, seconds).bytes(0x01, &[0]);
            filter.write(who, search);
            search.inner(SEQUENCE, |attributes| {
                attributes.bytes(OCTETS, b"1.1");
            });
        });
    })
}

/// Asks for TLS on this connection (RFC 4511 §4.14).
pub(super) fn start_tls(id: u32) -> Vec<u8> {
    message(id, |m| {
        m.inner(0x77, |request| {
            request.bytes(0x80, b"1.3.6.1.4.1.1466.20037");
        });
    })
}

/// Says goodbye.
pub(super) fn unbind(id: u32) -> Vec<u8> {
    message(id, |m| {
        m.bytes(0x42, &[]);
    })
}

/// What a directory says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// How it went: 0 is well.
    Result(u32),
    /// The name of an entry that was looked for.
    Entry(&'a [u8]),
    /// Where else one might look.
    Elsewhere,
}

/// Reads an answer to the message with this number.
pub(super) fn read(bytes: &[u8], id: u32) -> Result<Said<'_>, NotBer> {
    let mut message = Reader(Reader(bytes).tagged(SEQUENCE)?);
    // With number 0 a directory says that it hangs up.
    if message.number(INTEGER)? != id {
        return Err(NotBer);
    }
    let (tag, inner) = message.next()?;
    let mut inner = Reader(inner);
    match tag {
        // Of a bind, a search, an extension.
        0x61 | 0x65 | 0x78 => inner.number(ENUMERATED).map(Said::Result),
        0x64 => inner.tagged(OCTETS).map(Said::Entry),
        0x73 => Ok(Said::Elsewhere),
        _ => Err(NotBer),
    }
}

/// Of a message.
pub(super) const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_ldap_has_them() {
        assert_eq!(bind(1, b"cn=a", "x"), b"\x30\x11\x02\x01\x01\x60\x0c\x02\x01\x03\x04\x04cn=a\x80\x01x");
        assert_eq!(unbind(2), b"\x30\x05\x02\x01\x02\x42\x00");
        let filter = Filter::parse("uid=%u").unwrap();
        let search = search(3, (b"dc=a", Scope::Tree), &filter, Who { user: "b", domain: "" }, 5);
        let inner = b"\x04\x04dc=a\x0a\x01\x02\x0a\x01\x00\x02\x01\x02\x02\x01\x05\x01\x01\x00\xa3\x08\x04\x03uid\x04\x01b\x30\x05\x04\x031.1";
        assert_eq!(search[..7], [0x30, search.len() as u8 - 2, 2, 1, 3, 0x63, inner.len() as u8]);
        assert_eq!(&search[7..], inner);
    }

    #[test]
    fn answers_are_read_and_those_to_others_are_not() {
        let well = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(read(well, 1), Ok(Said::Result(0)));
        assert_eq!(read(well, 2), Err(NotBer));
        let wrong = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x31\x04\x00\x04\x00";
        assert_eq!(read(wrong, 1), Ok(Said::Result(49)));
        let entry = b"\x30\x0d\x02\x01\x02\x64\x08\x04\x04cn=a\x30\x00";
        assert_eq!(read(entry, 2), Ok(Said::Entry(b"cn=a")));
        for odd in [&b""[..], b"\x30\x00", b"\x30\x05\x02\x01\x01\x42\x00", b"\x30\x05\x02\x01\x01\x61\x00"] {
            assert_eq!(read(odd, 1), Err(NotBer), "{odd:?}");
        }
    }
}
