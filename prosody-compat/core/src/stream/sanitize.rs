//! A parsed element in; the same without what no client sends, so that it is relayed short, out.
//!
//! The parser refuses what other people's parsers would drop a frame for: names, namespaces, prefixes. Prefixed attributes
//! are well-formed, but no Jitsi client sends any, and each brings its declaration along.

use jitsi_xmpp::Element;

/// Removes prefixed attributes in the whole tree, except `xml:lang`.
pub(crate) fn sanitize(element: &mut Element) {
    if element.attrs().any(is_prefixed) {
        let prefixed: Vec<String> =
            element.attrs().filter(|a| is_prefixed(*a)).map(|(name, _)| name.to_owned()).collect();
        for name in prefixed {
            element.remove_attr(&name);
        }
    }
    element.children_mut().for_each(sanitize);
}

fn is_prefixed((name, _): (&str, &str)) -> bool {
    name.contains(':') && name != "xml:lang"
}

#[cfg(test)]
mod tests {
    use super::*;
    use jitsi_xmpp::xml::{XmlError, parse};

    fn run(xml: &str) -> Result<String, XmlError> {
        let mut e = parse(xml.as_bytes())?;
        sanitize(&mut e);
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
            "<m xmlns='x' a:b='1'/>",
            "<m xmlns='x' xmlns:q=''/>",
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
            run("<m xmlns='x' a:b='1' xmlns:a='u' c='2'><q xml:lang='en' a:y='1'/></m>").unwrap(),
            r#"<m xmlns="x" c="2"><q xml:lang="en"/></m>"#
        );
    }
}
