//! A parsed element in; the same, safe to be relayed into other people's parsers, or the refusal out.
//!
//! The parser is lenient about names. A browser is not: one bad name in a presence, relayed to a room, would make
//! every client there drop a frame. So names are checked, and prefixed attributes are dropped: no Jitsi client
//! sends any, and an undeclared prefix is an error to a browser.

use jitsi_xmpp::Element;
use jitsi_xmpp::xml::XmlError;

/// Checks names and namespaces in the whole tree and removes prefixed attributes, except `xml:lang`.
pub(crate) fn sanitize(element: &mut Element) -> Result<(), XmlError> {
    if !is_name(element.name()) || RESERVED.contains(&element.ns()) {
        return Err(XmlError::Malformed);
    }
    let prefixed: Vec<String> = element
        .attrs()
        .map(|(n, _)| n)
        .filter(|n| n.contains(':') && *n != "xml:lang")
        .map(str::to_owned)
        .collect();
    for name in prefixed {
        element.remove_attr(&name);
    }
    if !element.attrs().all(|(n, _)| n == "xml:lang" || is_name(n)) {
        return Err(XmlError::Malformed);
    }
    element.children_mut().try_for_each(sanitize)
}

/// XML namespaces 1.0 §4 `NCName`, without the rarest characters.
fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Namespaces that may not be declared as default.
const RESERVED: &[&str] = &["http://www.w3.org/2000/xmlns/", "http://www.w3.org/XML/1998/namespace"];

#[cfg(test)]
mod tests {
    use super::*;
    use jitsi_xmpp::xml::parse;

    fn run(xml: &str) -> Result<String, XmlError> {
        let mut e = parse(xml.as_bytes())?;
        sanitize(&mut e)?;
        Ok(e.to_xml())
    }

    #[test]
    fn names_a_browser_refuses_are_refused() {
        for bad in [
            "<a\"b xmlns='x'/>",
            "<message xmlns='x'><1/></message>",
            "<message xmlns='x'><a&amp;b/></message>",
            "<m xmlns='x' -a='1'/>",
            "<m xmlns='http://www.w3.org/2000/xmlns/'/>",
        ] {
            assert!(run(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_clients_send_passes() {
        let xml = r#"<presence xmlns="jabber:client" xml:lang="de"><jitsi_participant_e2ee.idKey.ed25519>x</jitsi_participant_e2ee.idKey.ed25519><jitsi_participant_features_screen-sharing/></presence>"#;
        assert_eq!(run(xml).unwrap(), xml);
    }

    #[test]
    fn prefixed_attributes_are_dropped() {
        assert_eq!(
            run("<m xmlns='x' a:b='1' xmlns:q='' c='2'><q xml:lang='en' z:y='1'/></m>").unwrap(),
            r#"<m xmlns="x" c="2"><q xml:lang="en"/></m>"#
        );
    }
}
