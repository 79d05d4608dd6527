use super::*;
use crate::ns;

#[test]
fn compat_repeated_namespace_is_written_literally() {
    let e = Element::new("transport", ns::JINGLE_ICE_UDP)
        .with_child(Element::new("candidate", ns::JINGLE_ICE_UDP))
        .with_child(Element::inherit("plain"));
    assert_eq!(
        e.to_xml(),
        "<transport xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\">\
         <candidate xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\"/><plain/></transport>"
    );
}

#[test]
fn round_trip_keeps_what_was_written() {
    let text = "<iq xmlns=\"jabber:client\" type=\"set\"><a xmlns=\"jabber:client\" v=\"&lt;&quot;\"/><b>x &amp; y<c/></b></iq>";
    assert_eq!(parse(text.as_bytes()).unwrap().to_xml(), text);
}

#[test]
fn prefixes_are_resolved() {
    let e = parse(b"<stream:features xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>").unwrap();
    assert!(e.is("features", ns::STREAM));
    assert!(e.child("bind", ns::BIND).is_some());
}

#[test]
fn restricted_xml_is_refused() {
    for (bad, why) in [
        ("<a><!-- c --></a>", XmlError::Restricted),
        ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", XmlError::Restricted),
        ("<a>&x;</a>", XmlError::Restricted),
        ("<a><?pi x?></a>", XmlError::Restricted),
        ("<a></b>", XmlError::Malformed),
        ("<a>", XmlError::Malformed),
        ("", XmlError::Empty),
        ("<a/><b/>", XmlError::ContentAfterEnd),
        ("<a/>x", XmlError::ContentAfterEnd),
        ("<p:a/>", XmlError::UnboundPrefix),
    ] {
        assert_eq!(parse(bad.as_bytes()).map(|_| ()), Err(why), "{bad}");
    }
    assert_eq!(parse(b"<a>\xff</a>").map(|_| ()), Err(XmlError::Utf8));
}

#[test]
fn depth_at_the_limit_and_one_beyond() {
    let nested = |n: usize| "<a>".repeat(n) + &"</a>".repeat(n);
    assert!(parse(nested(32).as_bytes()).is_ok());
    assert_eq!(parse(nested(33).as_bytes()).map(|_| ()), Err(XmlError::Depth));
}

#[test]
fn size_at_the_limit_and_one_beyond() {
    let limits = XmlLimits { max_bytes: 10, ..XmlLimits::default() };
    assert!(parse_with(b"<a>123</a>", "", &limits).is_ok());
    assert_eq!(parse_with(b"<a>1234</a>", "", &limits).map(|_| ()), Err(XmlError::TooLarge));
}

#[test]
fn debug_shows_no_content() {
    let e = Element::new("message", ns::CLIENT).with_child(Element::inherit("body").with_text("secret"));
    assert!(!format!("{e:?}").contains("secret"));
}

fn split_all(chunks: &[&[u8]]) -> Result<Vec<StreamItem>, SplitError> {
    let mut s = Splitter::new(XmlLimits::default());
    let mut out = Vec::new();
    for c in chunks {
        s.push(c);
        while let Some(i) = s.next_item()? {
            out.push(i);
        }
    }
    Ok(out)
}

const STREAM: &str = "<?xml version='1.0'?> <stream:stream to='a>b' xmlns='jabber:client' xmlns:stream='x'> \n<iq type='get'><q a='/>'/><t>x</t></iq><presence/>\n</stream:stream>";

#[test]
fn splitter_finds_the_same_items_however_the_stream_is_cut() {
    let whole = split_all(&[STREAM.as_bytes()]).unwrap();
    assert_eq!(whole.len(), 4);
    assert_eq!(whole[1], StreamItem::Element(b"<iq type='get'><q a='/>'/><t>x</t></iq>".to_vec()));
    assert_eq!(whole[2], StreamItem::Element(b"<presence/>".to_vec()));
    assert_eq!(whole[3], StreamItem::Close);
    let bytes: Vec<&[u8]> = STREAM.as_bytes().chunks(1).collect();
    assert_eq!(split_all(&bytes).unwrap(), whole);
}

#[test]
fn splitter_passes_cdata_and_refuses_comments() {
    let ok = split_all(&[b"<s:s><m><![CDATA[ <x> ]] > ]]></m>"]).unwrap();
    assert_eq!(ok[1], StreamItem::Element(b"<m><![CDATA[ <x> ]] > ]]></m>".to_vec()));
    assert!(split_all(&[b"<s:s><m><!-- --></m>"]).is_err());
    assert!(split_all(&[b"<s:s>text<m/>"]).is_err());
}

#[test]
fn splitter_bounds_an_element() {
    let mut s = Splitter::new(XmlLimits { max_bytes: 64, ..XmlLimits::default() });
    s.push(b"<s:s>");
    assert!(s.next_item().unwrap().is_some());
    s.push(&[b'<'; 1]);
    s.push(&[b'a'; 100]);
    assert_eq!(s.next_item(), Err(SplitError::TooLarge));
}

/// Looks at every byte once: a quadratic scan would take minutes here.
#[test]
fn splitter_is_linear_in_cdata_and_in_many_small_elements() {
    let max = XmlLimits::default().max_bytes;
    let cdata = format!("<m><![CDATA[{}]]></m>", "]".repeat(max - 19));
    let items = split_all(&[b"<s:s>", cdata.as_bytes()]).unwrap();
    assert_eq!(items[1], StreamItem::Element(cdata.into_bytes()));
    let small = "<a/>".repeat(500_000);
    assert_eq!(split_all(&[b"<s:s>", small.as_bytes()]).unwrap().len(), 500_001);
}

#[test]
fn the_first_tag_ends_at_the_first_bracket_that_no_quote_holds() {
    assert_eq!(first_tag_end(b"<a b='>' c=\"'>\">x"), Some(15));
    assert_eq!(first_tag_end(b"<a/><b>"), Some(3));
    assert_eq!(first_tag_end(b"<a b='>"), None);
}

#[test]
fn what_is_escaped_does_not_depend_on_what_stands_around_it() {
    let naive = |text: &str, attr: bool| -> String {
        text.chars()
            .map(|c| match c {
                '&' => "&amp;".to_owned(),
                '<' => "&lt;".to_owned(),
                '>' => "&gt;".to_owned(),
                '\r' => "&#13;".to_owned(),
                '"' if attr => "&quot;".to_owned(),
                '\'' if attr => "&apos;".to_owned(),
                '\n' if attr => "&#10;".to_owned(),
                '\t' if attr => "&#9;".to_owned(),
                c if chars::is_char(c) => c.to_string(),
                _ => String::new(),
            })
            .collect()
    };
    let mut all: Vec<char> = (0..=0x200u32).filter_map(char::from_u32).collect();
    all.extend(['\u{fffd}', '\u{fffe}', '\u{ffff}', '\u{10000}', '🎹', 'ß', '\u{7f}', '\u{85}']);
    for c in all {
        for text in
            [c.to_string(), format!("a{c}b"), format!("{c}ab{c}"), format!("ü{c}{c}&"), format!("<{c}")]
        {
            let (mut attr, mut inside) = (String::new(), String::new());
            escape_attr(&text, &mut attr);
            escape_text(&text, &mut inside);
            assert_eq!(attr, naive(&text, true), "{text:?}");
            assert_eq!(inside, naive(&text, false), "{text:?}");
        }
    }
}
