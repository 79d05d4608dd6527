//! client §0.1: the web client finds these elements only by an `xmlns` attribute written on them.

use jitsi_xmpp::colibri2::{ConferenceModified, MediaSource};
use jitsi_xmpp::disco::DiscoInfo;
use jitsi_xmpp::forms::{Form, FormKind};
use jitsi_xmpp::ids::{EndpointId, MediaType, SessionId, SourceName, Ssrc};
use jitsi_xmpp::jingle::*;
use jitsi_xmpp::{Condition, Element, StanzaError, iq, ns};

use crate::jingle::transport;

const ROOM: &str = "http://jitsi.org/jitmeet";

fn stanza(name: &'static str, child: Element) -> Element {
    Element::new(name, ns::CLIENT).with_child(child)
}

fn jingle() -> Element {
    let mut j = Jingle::new(Action::SessionInitiate, SessionId::new("s"));
    let mut p = PayloadType::new(100, "VP8", 90000, 1);
    p.rtcp_fbs.push(RtcpFeedback::new("nack", None));
    p.trr_int = Some(100);
    let mut s = Source::new(Ssrc(1));
    s.owner = Some(EndpointId::new("o"));
    j.contents.push(Content {
        description: Some(RtpDescription {
            payload_types: vec![p],
            header_extensions: vec![HeaderExtension::new(1, "u")],
            extmap_allow_mixed: true,
            rtcp_mux: true,
            sources: vec![s],
            ssrc_groups: vec![SsrcGroup { semantics: Semantics::Sim, ssrcs: vec![Ssrc(1)] }],
            ..RtpDescription::new("video")
        }),
        transport: Some(transport(true)),
        ..Content::new("video")
    });
    j.group = Some(Group::bundle(["video"]));
    j.bridge_session = Some(BridgeSession::default());
    j.json_sources = Some(CompactSources::default());
    j.trace_parent = Some(TraceParent { trace_id: "t".into(), parent_id: "p".into(), trace_flags: None });
    stanza("iq", j.to_element())
}

fn colibri() -> Element {
    let source = MediaSource {
        sources: vec![Source::new(Ssrc(1))],
        ssrc_groups: vec![SsrcGroup { semantics: Semantics::Fid, ssrcs: vec![Ssrc(1)] }],
        ..MediaSource::new(MediaType::Video, SourceName::new("jvb-v0"))
    };
    stanza(
        "iq",
        ConferenceModified { sources: Some(vec![source]), ..ConferenceModified::default() }.to_element(),
    )
}

fn error(condition: Condition, extra: &'static str) -> Element {
    let request = Element::new("presence", ns::CLIENT);
    let e = StanzaError::new(condition).with_text("t").with_extra(Element::new(extra, ROOM));
    iq::error(&request, &e)
}

/// Children that server modules build by hand; the parent has the same namespace to make inheritance possible.
fn by_hand(name: &'static str, uri: &'static str) -> Element {
    stanza("message", Element::new("wrapper", uri).with_child(Element::new(name, uri)))
}

/// Every start tag of `name` in `xml`.
fn start_tags<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    xml.split('<')
        .skip(1)
        .filter_map(|t| {
            let tag = t.split('>').next()?;
            (tag.split([' ', '/']).next()? == name).then_some(tag)
        })
        .collect()
}

#[test]
fn compat_every_element_on_the_list_carries_its_namespace() {
    let form = Form::new(FormKind::Result, "http://jabber.org/protocol/muc#roominfo");
    let disco = DiscoInfo { forms: vec![form], ..DiscoInfo::default() };
    let table: Vec<(&str, &str, Element)> = vec![
        ("x", ns::DATA_FORMS, stanza("iq", disco.to_element())),
        ("x", "jabber:x:delay", by_hand("x", "jabber:x:delay")),
        ("json-message", ns::JITMEET, jingle()),
        ("bridge-session", ns::FOCUS, jingle()),
        ("ssrc-info", ns::JITMEET, jingle()),
        ("source", ns::JINGLE_SSMA, jingle()),
        ("source", ns::JINGLE_SSMA, colibri()),
        ("ssrc-group", ns::JINGLE_SSMA, jingle()),
        ("ssrc-group", ns::JINGLE_SSMA, colibri()),
        ("rtcp-fb", ns::JINGLE_RTCP_FB, jingle()),
        ("rtcp-fb-trr-int", ns::JINGLE_RTCP_FB, jingle()),
        ("rtp-hdrext", ns::JINGLE_HDREXT, jingle()),
        ("extmap-allow-mixed", ns::JINGLE_HDREXT, jingle()),
        ("transport", ns::JINGLE_ICE_UDP, jingle()),
        ("fingerprint", ns::JINGLE_DTLS, jingle()),
        ("sctpmap", ns::JINGLE_DTLS_SCTP, jingle()),
        ("web-socket", ns::COLIBRI, jingle()),
        ("group", ns::JINGLE_GROUPING, jingle()),
        ("traceparent", ns::OPENTELEMETRY, jingle()),
        ("not-authorized", ns::STANZA_ERRORS, error(Condition::NotAuthorized, "x")),
        ("not-allowed", ns::STANZA_ERRORS, error(Condition::NotAllowed, "x")),
        ("registration-required", ns::STANZA_ERRORS, error(Condition::RegistrationRequired, "x")),
        ("text", ns::STANZA_ERRORS, error(Condition::NotAllowed, "x")),
        ("displayname-required", ROOM, error(Condition::NotAcceptable, "displayname-required")),
        ("room-does-not-exist", ROOM, error(Condition::NotAllowed, "room-does-not-exist")),
        ("authentication-required", ROOM, error(Condition::NotAllowed, "authentication-required")),
        ("reply", "urn:xmpp:reply:0", by_hand("reply", "urn:xmpp:reply:0")),
        ("retract", "urn:xmpp:message-retract:1", by_hand("retract", "urn:xmpp:message-retract:1")),
        ("reactions", "urn:xmpp:reactions:0", by_hand("reactions", "urn:xmpp:reactions:0")),
        ("display-name", ns::DISPLAY_NAME, by_hand("display-name", ns::DISPLAY_NAME)),
        (
            "addresses",
            "http://jabber.org/protocol/address",
            by_hand("addresses", "http://jabber.org/protocol/address"),
        ),
        ("permissions", ROOM, by_hand("permissions", ROOM)),
        ("visitors", ns::VISITORS, by_hand("visitors", ns::VISITORS)),
        ("credentials", ns::EXTDISCO_2, by_hand("credentials", ns::EXTDISCO_2)),
    ];
    for (name, uri, stanza) in table {
        let xml = stanza.to_xml();
        let tags = start_tags(&xml, name);
        assert!(!tags.is_empty(), "{name} is missing in {xml}");
        let literal = format!(" xmlns=\"{uri}\"");
        for tag in tags.iter().filter(|_| name != "transport" || uri == ns::JINGLE_ICE_UDP) {
            assert!(tag.contains(&literal), "<{tag}> has no literal namespace");
        }
        assert!(!xml.contains("xmlns:"), "a prefix in {xml}");
    }
}

#[test]
fn compat_the_rule_survives_reading_and_writing_again() {
    for e in [jingle(), colibri(), error(Condition::NotAllowed, "x")] {
        assert_eq!(crate::element(&e.to_xml()).to_xml(), e.to_xml());
    }
}
