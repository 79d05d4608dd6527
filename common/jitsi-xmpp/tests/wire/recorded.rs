//! Stanzas of real clients: they must be understood, and nothing we have a type for may get lost.

use jitsi_xmpp::jingle::{Action, Jingle};
use jitsi_xmpp::xml::Element;

use crate::element;

macro_rules! recorded {
    ($($name:literal,)*) => { &[$(($name, include_str!(concat!("../../fixtures/recorded/", $name, ".xml"))),)*] };
}

const JINGLE: &[(&str, &str)] = recorded![
    "session-initiate-from-client-2026",
    "session-initiate-from-server-2026",
    "session-initiate-from-client-2021",
    "session-initiate-from-server-2021",
    "session-accept-from-client-2026",
    "session-accept-from-server-2026",
    "session-accept-from-client-2021",
    "session-accept-from-server-2021",
    "transport-info-from-client-2026",
    "transport-info-from-server-2026",
    "transport-info-from-client-2021",
    "transport-info-from-server-2021",
    "content-modify-from-client-2026",
    "content-modify-from-server-2026",
    "content-modify-from-client-2021",
    "content-modify-from-server-2021",
];

const PRESENCE: &[(&str, &str)] = recorded![
    "presence-from-client-2026",
    "presence-from-server-2026",
    "presence-with-sources-from-client-2026",
    "presence-with-sources-from-server-2026",
    "presence-join-from-client-2021",
];

fn count(e: &Element, name: &str) -> usize {
    e.children().map(|c| usize::from(c.name() == name) + count(c, name)).sum()
}

#[test]
fn jingle_is_read_and_written_without_loss() {
    for (name, text) in JINGLE {
        let iq = element(text);
        let j = Jingle::from_iq(&iq).unwrap().unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(name.starts_with(j.action.as_str()), "{name}");
        let written = element(&j.to_element().to_xml());
        assert_eq!(Jingle::from_element(&written), Ok(j.clone()), "{name}");
        for kind in [
            "content",
            "description",
            "payload-type",
            "parameter",
            "rtcp-fb",
            "rtp-hdrext",
            "extmap-allow-mixed",
            "rtcp-mux",
            "source",
            "ssrc-group",
            "transport",
            "candidate",
            "fingerprint",
            "group",
        ] {
            assert_eq!(count(&written, kind), count(&iq, kind), "{kind} in {name}");
        }
        if j.action == Action::SessionAccept {
            let t = j.contents[0].transport.as_ref().unwrap();
            assert!(t.ufrag.is_some() && t.pwd.is_some() && t.fingerprints.len() == 1, "{name}");
        }
    }
}

#[test]
fn any_stanza_survives_parsing_and_writing() {
    for (name, text) in JINGLE.iter().chain(PRESENCE) {
        let e = element(text);
        assert_eq!(element(&e.to_xml()), e, "{name}");
    }
}
