//! Arbitrary input: the parser never panics, what is written is read back the same, and a stream is split the same
//! however it is cut.

use jitsi_xmpp::bridge_channel::{BridgeMessage, ClientMessage};
use jitsi_xmpp::colibri2::ConferenceModify;
use jitsi_xmpp::jingle::{CompactSources, Jingle};
use jitsi_xmpp::sasl::{Plain, ScramFirst};
use jitsi_xmpp::xml::{self, Element, Splitter, StreamItem, XmlLimits};
use proptest::collection::vec;
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z_][a-zA-Z0-9._-]{0,8}".prop_filter("reserved", |n| !n.starts_with("xml"))
}

fn namespace() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("jabber:client".to_owned()),
        Just("urn:xmpp:jingle:1".to_owned()),
        "urn:x:[a-z0-9:._/-]{1,12}(#[a-z]{1,4})?"
    ]
}

/// Text as XML 1.0 allows it, with everything that must be escaped.
fn text() -> impl Strategy<Value = String> {
    "([ -~]|[\t\n\räß€😀<>&'\"]|]]>){1,20}"
}

type Shape = (String, Option<String>, Vec<(String, String)>);

fn shape() -> impl Strategy<Value = Shape> {
    (name(), proptest::option::of(namespace()), vec((name(), text()), 0..4))
}

fn build((name, ns, attrs): Shape) -> Element {
    let mut e = match ns {
        Some(ns) => Element::new(name, ns),
        None => Element::inherit(name),
    };
    for (k, v) in attrs {
        e.set_attr(k, v);
    }
    e
}

fn tree() -> impl Strategy<Value = Element> {
    let leaf = shape().prop_map(build);
    let inner = leaf.prop_recursive(4, 40, 5, |child| {
        (shape(), proptest::option::of(text()), vec((child, proptest::option::of(text())), 0..5)).prop_map(
            |(s, before, children)| {
                let mut e = build(s);
                if let Some(t) = before {
                    e.push_text(t);
                }
                for (c, after) in children {
                    e.push(c);
                    if let Some(t) = after {
                        e.push_text(t);
                    }
                }
                e
            },
        )
    });
    // The outermost element always carries its namespace.
    (name(), namespace(), vec(inner, 0..4)).prop_map(|(n, ns, c)| Element::new(n, ns).with_children(c))
}

/// Something near XML: pieces of stanzas in any order.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<a>"),
        Just("</a>"),
        Just("<a/>"),
        Just("<"),
        Just(">"),
        Just("&amp;"),
        Just("&#0;"),
        Just("&#x110000;"),
        Just("&x;"),
        Just("<![CDATA["),
        Just("]]>"),
        Just("<!--"),
        Just("-->"),
        Just("<?xml?>"),
        Just("<!DOCTYPE a>"),
        Just(" xmlns='x'"),
        Just(" xmlns:p='y'"),
        Just("<p:a p:b='c'"),
        Just("'"),
        Just("\""),
        Just("="),
        Just("é"),
        Just("\0"),
        Just("<stream:stream>"),
        Just("</stream:stream>"),
        Just(" "),
    ];
    vec(piece, 0..40).prop_map(|p| p.concat())
}

fn split(chunks: impl Iterator<Item = Vec<u8>>) -> (Vec<StreamItem>, bool) {
    let mut s = Splitter::new(XmlLimits::default());
    let mut items = Vec::new();
    for c in chunks {
        s.push(&c);
        loop {
            match s.next_item() {
                Ok(Some(i)) => items.push(i),
                Ok(None) => break,
                Err(_) => return (items, true),
            }
        }
    }
    (items, false)
}

fn cut(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut at: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|w| bytes[w[0]..w[1]].to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(e in tree()) {
        prop_assert_eq!(xml::parse(e.to_xml().as_bytes()).map(|r| r.to_xml()), Ok(e.to_xml()));
        prop_assert!(xml::parse(e.to_xml().as_bytes()) == Ok(e));
    }

    #[test]
    fn parsing_never_panics(bytes in vec(any::<u8>(), 0..200), soup in soup()) {
        let _ = xml::parse(&bytes);
        if let Ok(e) = xml::parse(soup.as_bytes()) {
            let _ = e.to_xml();
        }
    }

    #[test]
    fn typed_reading_never_panics(text in ".{0,200}", bytes in vec(any::<u8>(), 0..100), e in tree()) {
        let _ = ClientMessage::parse(&text);
        let _ = BridgeMessage::parse(&text);
        let _ = ConferenceModify::from_json(&text);
        let _ = jitsi_xmpp::json::parse(&text);
        let _ = Plain::parse(&bytes);
        let _ = ScramFirst::parse(&bytes);
        let _ = Jingle::from_element(&e);
        let _ = CompactSources::from_element(&Element::new("json-message", jitsi_xmpp::ns::JITMEET).with_text(text));
    }

    #[test]
    fn a_stream_is_split_the_same_however_it_is_cut(
        stanzas in vec(tree(), 0..6),
        space in "[ \n]{0,3}",
        cuts in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let mut bytes = b"<?xml version='1.0'?><stream:stream xmlns='jabber:client'>".to_vec();
        for s in &stanzas {
            bytes.extend(s.to_xml().into_bytes());
            bytes.extend(space.bytes());
        }
        bytes.extend(b"</stream:stream>");
        let (items, failed) = split(cut(&bytes, &cuts).into_iter());
        prop_assert!(!failed);
        prop_assert_eq!(items.len(), stanzas.len() + 2);
        for (item, stanza) in items.iter().skip(1).zip(&stanzas) {
            prop_assert_eq!(item, &StreamItem::Element(stanza.to_xml().into_bytes()));
        }
    }

    #[test]
    fn splitting_garbage_never_panics_and_does_not_depend_on_the_cuts(
        soup in soup(),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let bytes = format!("<stream:stream>{soup}").into_bytes();
        prop_assert_eq!(split(cut(&bytes, &cuts).into_iter()), split(std::iter::once(bytes)));
    }
}
