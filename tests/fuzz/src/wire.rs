//! What `jitsi_xmpp` reads: what it takes it writes, and reads the same again.

use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage};
use jitsi_xmpp::bridge_stats::BridgeStats;
use jitsi_xmpp::colibri2::{ConferenceModified, ConferenceModify};
use jitsi_xmpp::disco::DiscoInfo;
use jitsi_xmpp::forms::Form;
use jitsi_xmpp::jingle::{CompactSources, IceUdpTransport, Jingle};
use jitsi_xmpp::presence::StartMuted;
use jitsi_xmpp::sasl::{Plain, ScramFirst};
use jitsi_xmpp::xml::{self, SplitError, Splitter, StreamItem, XmlLimits};
use jitsi_xmpp::{Jid, RoomAddress, RoomDomains, StanzaError, Tenant, iq, json, ns, prepare};

/// Reads, writes, reads again: the same.
macro_rules! stable {
    ($element:expr, $($kind:ty),*) => {$(
        if let Ok(read) = <$kind>::from_element($element) {
            let text = read.to_element().to_xml();
            let element = xml::parse(text.as_bytes()).expect("what is written can be read");
            assert!(<$kind>::from_element(&element).as_ref() == Ok(&read), "{} is not stable: {text}", stringify!($kind));
        }
    )*};
}

/// Colibri2 as JSON and as XML.
pub fn z14_colibri2(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(read) = ConferenceModify::from_json(text) {
        let written = read.to_json().to_string();
        assert!(ConferenceModify::from_json(&written).as_ref() == Ok(&read), "{written}");
    }
    if let Ok(read) = ConferenceModified::from_json(text) {
        let written = read.to_json().to_string();
        assert!(ConferenceModified::from_json(&written).as_ref() == Ok(&read), "{written}");
    }
    if let Ok(e) = xml::parse(data) {
        stable!(&e, ConferenceModify, ConferenceModified);
    }
}

/// Messages of the bridge channel. What is written has no member twice.
pub fn z15_bridge_channel(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(read) = ClientMessage::parse(text)
        && !matches!(read, ClientMessage::Unknown { .. })
    {
        let written = read.to_json();
        assert!(json::parse(&written).is_some(), "{written}");
        assert!(ClientMessage::parse(&written).as_ref() == Ok(&read), "{written}");
    }
    if let Ok(read) = BridgeMessage::parse(text)
        && !matches!(read, BridgeMessage::Unknown { .. })
    {
        let written = read.to_json();
        assert!(json::parse(&written).is_some(), "{written}");
        assert!(BridgeMessage::parse(&written).as_ref() == Ok(&read), "{written}");
    }
}

/// A stream of XML, cut as its first byte says: the same items as in one piece, and each that is XML is written and read
/// the same.
pub fn z16_xml_stream(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else { return };
    let whole = split(std::iter::once(data));
    let pieces = split(data.chunks(usize::from(*cut) + 1));
    assert!(whole == pieces, "another stream when it is cut");
    for item in whole.0 {
        let StreamItem::Element(bytes) = item else { continue };
        if let Ok(e) = xml::parse_with(&bytes, ns::CLIENT, &XmlLimits::default()) {
            let again = xml::parse(e.to_xml().as_bytes()).expect("what is written can be read");
            assert!(again.to_xml() == e.to_xml(), "not stable");
        }
    }
}

fn split<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<StreamItem>, Option<SplitError>) {
    let mut splitter = Splitter::new(XmlLimits { max_bytes: 4096, ..XmlLimits::default() });
    let mut items = Vec::new();
    for chunk in chunks {
        splitter.push(chunk);
        loop {
            match splitter.next_item() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(e) => return (items, Some(e)),
            }
        }
    }
    (items, None)
}

/// A stanza and all words that it may be.
pub fn z17_words(data: &[u8]) {
    let Ok(e) = xml::parse_with(data, ns::CLIENT, &XmlLimits::default()) else { return };
    let again = xml::parse(e.to_xml().as_bytes()).expect("what is written can be read");
    assert!(again.to_xml() == e.to_xml(), "not stable");
    for e in std::iter::once(&e).chain(e.children()) {
        stable!(e, Jingle, DiscoInfo, Form, BridgeStats, StartMuted, IceUdpTransport);
        let _ = DiscoInfo::from_element(e).map(|d| d.ver());
        if let Ok(Some(sources)) = CompactSources::from_element(e) {
            let element =
                xml::parse(sources.to_element().to_xml().as_bytes()).expect("what is written can be read");
            assert!(CompactSources::from_element(&element).as_ref() == Ok(&Some(sources)), "not stable");
        }
    }
    if let Some(error) = StanzaError::from_stanza(&e) {
        let reply = iq::error(&e, &error);
        let read = StanzaError::from_stanza(&reply).expect("an error is read again");
        assert!(read.condition == error.condition && read.text == error.text, "not stable");
    }
}

/// Addresses: preparing again changes nothing, and a room has one.
pub fn z29_addresses(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let rooms = RoomDomains::new("meet.jitsi", "muc.meet.jitsi", true);
    let _ = prepare::password(text).map(|p| assert!(prepare::password(&p).as_ref() == Some(&p)));
    for text in [text.to_owned(), format!("{text}@muc.meet.jitsi"), format!("a@muc.{text}.meet.jitsi/b")] {
        let Ok(jid) = text.parse::<Jid>() else { continue };
        assert!(jid.as_str().parse::<Jid>().as_ref() == Ok(&jid), "not stable: {}", jid.as_str());
        assert!([jid.node(), Some(jid.domain()), jid.resource()].iter().flatten().all(|p| p.len() <= 1023));
        if let Ok(room) = rooms.read(&jid) {
            let shown = rooms.shown(&room).expect("what is read can be shown");
            assert!(rooms.read(shown.as_jid()).as_ref() == Ok(&room), "{}", shown.as_str());
            let key = rooms.stored(&room).expect("what is read can be stored");
            assert!(rooms.from_stored(&key).as_ref() == Ok(&room), "{}", key.as_str());
            assert!(room.tenant().is_none() || rooms.read(key.as_jid()).is_err(), "a second address");
        }
    }
    let (tenant, name) = text.split_once('/').unwrap_or(("town", text));
    if let (Ok(tenant), Ok(plain)) = (Tenant::from_path(tenant), RoomAddress::from_path(None, name)) {
        assert!(Tenant::new(tenant.as_str()).as_ref() == Ok(&tenant));
        assert!(plain.room().is_ascii(), "the web app encodes");
        let room = rooms.shown(&plain).expect("what a page names can be shown");
        assert!(rooms.read(room.as_jid()).as_ref() == Ok(&plain));
    }
}

/// Messages of SASL.
pub fn z30_sasl(data: &[u8]) {
    if let Ok(plain) = Plain::parse(data) {
        let written = Plain::message(plain.username.reveal(), plain.password.reveal());
        let again = Plain::parse(&written).expect("what is written can be read");
        assert!(again.username == plain.username && again.password == plain.password);
    }
    if let Ok(first) = ScramFirst::parse(data) {
        assert!(!first.username().is_empty() || data.windows(2).any(|w| w == b"n="));
    }
}
