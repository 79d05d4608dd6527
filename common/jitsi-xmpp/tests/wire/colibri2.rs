//! Colibri2: the examples of the reference as round trips, as XML and as JSON; errors.

use jitsi_xmpp::colibri2::*;
use jitsi_xmpp::ids::EndpointId;
use jitsi_xmpp::limits::{MAX_CONNECT_HEADERS, MAX_CONNECT_TEXT_BYTES};
use jitsi_xmpp::{Condition, Element, ParseError, StanzaError, ns};

use crate::element;

const CREATE: &str = "<conference-modify xmlns=\"jitsi:colibri2\" meeting-id=\"6f0c\" name=\"ratssitzung@muc.ex\" create=\"true\">\
<endpoint id=\"a1b2c3d4\" create=\"true\" stats-id=\"Uwe-x1\">\
<media type=\"audio\">\
<payload-type xmlns=\"urn:xmpp:jingle:apps:rtp:1\" id=\"111\" name=\"opus\" clockrate=\"48000\" channels=\"2\">\
<parameter name=\"useinbandfec\" value=\"1\"/>\
<rtcp-fb xmlns=\"urn:xmpp:jingle:apps:rtp:rtcp-fb:0\" type=\"transport-cc\"/>\
</payload-type>\
<rtp-hdrext xmlns=\"urn:xmpp:jingle:apps:rtp:rtp-hdrext:0\" id=\"1\" uri=\"urn:ietf:params:rtp-hdrext:ssrc-audio-level\"/>\
<extmap-allow-mixed xmlns=\"urn:xmpp:jingle:apps:rtp:rtp-hdrext:0\"/>\
</media>\
<media type=\"video\">\
<payload-type xmlns=\"urn:xmpp:jingle:apps:rtp:1\" id=\"100\" name=\"VP8\" clockrate=\"90000\">\
<rtcp-fb xmlns=\"urn:xmpp:jingle:apps:rtp:rtcp-fb:0\" type=\"nack\"/>\
<rtcp-fb xmlns=\"urn:xmpp:jingle:apps:rtp:rtcp-fb:0\" type=\"nack\" subtype=\"pli\"/>\
</payload-type>\
<payload-type xmlns=\"urn:xmpp:jingle:apps:rtp:1\" id=\"96\" name=\"rtx\" clockrate=\"90000\">\
<parameter name=\"apt\" value=\"100\"/>\
</payload-type>\
</media>\
<transport ice-controlling=\"true\"><sctp/></transport>\
<sources/>\
<capability name=\"source-names\"/><capability name=\"ssrc-rewriting\"/>\
</endpoint>\
</conference-modify>";

const CREATED: &str = "<conference-modified xmlns=\"jitsi:colibri2\">\
<endpoint id=\"a1b2c3d4\">\
<transport>\
<transport xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\" ufrag=\"26ant1ioqu7qnr\" pwd=\"5rqb1m2k9\">\
<rtcp-mux xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\"/>\
<fingerprint xmlns=\"urn:xmpp:jingle:apps:dtls:0\" hash=\"sha-256\" setup=\"actpass\">AB:CD</fingerprint>\
<candidate component=\"1\" foundation=\"1\" generation=\"0\" id=\"c1\" ip=\"10.0.0.5\" network=\"0\" port=\"10000\" priority=\"2130706431\" protocol=\"udp\" type=\"host\"/>\
<candidate component=\"1\" foundation=\"2\" generation=\"0\" id=\"c2\" ip=\"203.0.113.9\" network=\"0\" port=\"10000\" priority=\"1694498815\" protocol=\"udp\" type=\"srflx\" rel-addr=\"0.0.0.0\" rel-port=\"9\"/>\
<web-socket xmlns=\"http://jitsi.org/protocol/colibri\" url=\"wss://x/colibri-ws/1\"/>\
</transport>\
<sctp port=\"5000\" role=\"server\"/>\
</transport>\
</endpoint>\
<sources>\
<media-source type=\"audio\" id=\"jvb-a0\"><source xmlns=\"urn:xmpp:jingle:apps:rtp:ssma:0\" ssrc=\"411312308\" name=\"jvb-a0\"/></media-source>\
<media-source type=\"video\" id=\"jvb-v0\"><source xmlns=\"urn:xmpp:jingle:apps:rtp:ssma:0\" ssrc=\"3929652146\" name=\"jvb-v0\"/></media-source>\
</sources>\
</conference-modified>";

const ANSWERED: &str = "<conference-modify xmlns=\"jitsi:colibri2\" meeting-id=\"6f0c\">\
<endpoint id=\"a1b2c3d4\" stats-id=\"Uwe-x1\">\
<transport><transport xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\" ufrag=\"sXoJ\" pwd=\"24+ chars\">\
<rtcp-mux xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\"/>\
<fingerprint xmlns=\"urn:xmpp:jingle:apps:dtls:0\" hash=\"sha-256\" setup=\"active\">11:22</fingerprint>\
</transport></transport>\
<sources>\
<media-source type=\"audio\" id=\"a1b2c3d4-a0\"><source xmlns=\"urn:xmpp:jingle:apps:rtp:ssma:0\" ssrc=\"1001\"/></media-source>\
<media-source type=\"video\" id=\"a1b2c3d4-v0\" synthetic=\"true\">\
<source xmlns=\"urn:xmpp:jingle:apps:rtp:ssma:0\" ssrc=\"2001\" name=\"a1b2c3d4-v0\" videoType=\"camera\"/>\
<source xmlns=\"urn:xmpp:jingle:apps:rtp:ssma:0\" ssrc=\"2002\"/>\
<ssrc-group xmlns=\"urn:xmpp:jingle:apps:rtp:ssma:0\" semantics=\"FID\"><source xmlns=\"urn:xmpp:jingle:apps:rtp:ssma:0\" ssrc=\"2001\"/><source xmlns=\"urn:xmpp:jingle:apps:rtp:ssma:0\" ssrc=\"2002\"/></ssrc-group>\
</media-source>\
</sources>\
<initial-last-n value=\"5\"/>\
</endpoint>\
</conference-modify>";

const MUTE_EXPIRE: &str = "<conference-modify xmlns=\"jitsi:colibri2\" meeting-id=\"6f0c\" expire=\"true\" rtcstats-enabled=\"false\">\
<endpoint id=\"a1b2c3d4\" muc-role=\"visitor\" diarize=\"true\"><force-mute audio=\"true\" video=\"false\"/></endpoint>\
<endpoint id=\"e5f60718\" expire=\"true\"/>\
</conference-modify>";

const ICE_RESTART: &str = "<conference-modify xmlns=\"jitsi:colibri2\" meeting-id=\"6f0c\"><endpoint id=\"a1b2c3d4\"><transport ice-restart=\"true\"/></endpoint></conference-modify>";

const RELAY: &str = "<conference-modify xmlns=\"jitsi:colibri2\" meeting-id=\"6f0c\" name=\"r@muc.ex\" create=\"true\">\
<relay id=\"jvb-2\" mesh-id=\"0\" create=\"true\">\
<transport ice-controlling=\"true\" use-unique-port=\"true\"><sctp role=\"client\"/></transport>\
<media type=\"audio\"/><media type=\"video\"/>\
<endpoints><endpoint id=\"c0ffee00\" create=\"true\"><sources/></endpoint></endpoints>\
</relay></conference-modify>";

const CONNECTS: &str = "<conference-modify xmlns=\"jitsi:colibri2\" meeting-id=\"6f0c\"><connects>\
<connect id=\"t1\" create=\"true\" url=\"wss://scribe.ex/x\" protocol=\"mediajson\" type=\"transcriber\" audio=\"true\">\
<http-header name=\"Authorization\" value=\"Bearer x\"/><ping interval=\"10000\" timeout=\"5000\"/>\
<exports><export>a1b2c3d4-a0</export></exports><requests><request>a1b2c3d4-a0.en</request></requests>\
</connect>\
<connect url=\"ws://127.0.0.1:1/\" protocol=\"mediajson\" type=\"recorder\"/>\
</connects></conference-modify>";

#[test]
fn requests_keep_their_bytes() {
    for text in [CREATE, ANSWERED, MUTE_EXPIRE, ICE_RESTART, RELAY, CONNECTS] {
        let c = ConferenceModify::from_element(&element(text)).unwrap();
        assert_eq!(c.to_element().to_xml(), text);
    }
    let c = ConferenceModify::from_element(&element(CREATE)).unwrap();
    assert!(c.create && !c.expire && c.rtcstats_enabled);
    assert!(c.endpoints[0].has_capability(capability::SSRC_REWRITING));
    assert_eq!(c.endpoints[0].media[1].payload_types[1].associated(), Some(100));
    assert_eq!(c.endpoints[0].sources, Some(vec![]));
}

#[test]
fn answers_keep_their_bytes() {
    let c = ConferenceModified::from_element(&element(CREATED)).unwrap();
    assert_eq!(c.to_element().to_xml(), CREATED);
    let iq = Element::new("iq", ns::CLIENT).with_child(c.to_element());
    assert_eq!(ConferenceModified::from_iq(&iq), Some(Ok(c)));
}

#[test]
fn json_says_the_same_as_xml() {
    for text in [CREATE, ANSWERED, RELAY, CONNECTS] {
        let mut c = ConferenceModify::from_element(&element(text)).unwrap();
        let json = c.to_json().to_string();
        let again = ConferenceModify::from_json(&json).unwrap();
        assert_eq!(again, c, "{json}");
        c.endpoints.clear();
    }
    let c = ConferenceModified::from_element(&element(CREATED)).unwrap();
    assert_eq!(ConferenceModified::from_json(&c.to_json().to_string()), Ok(c));
}

#[test]
fn json_to_the_byte() {
    let c = ConferenceModify::from_element(&element(CREATE)).unwrap().to_json();
    let e = &c["endpoints"][0];
    assert_eq!(c["meeting-id"], "6f0c");
    assert_eq!(c["create"], true);
    assert_eq!(
        e["medias"][0]["payload-types"][0].to_string(),
        r#"{"channels":"2","clockrate":"48000","id":"111","name":"opus","parameters":{"useinbandfec":"1"},"rtcp-fbs":[{"type":"transport-cc"}]}"#
    );
    assert_eq!(
        e["medias"][0]["rtp-hdrexts"][0].to_string(),
        r#"{"id":1,"uri":"urn:ietf:params:rtp-hdrext:ssrc-audio-level"}"#
    );
    assert_eq!(e["medias"][0]["extmap-allow-mixed"], true);
    assert_eq!(e["capabilities"].to_string(), r#"["source-names","ssrc-rewriting"]"#);
    assert_eq!(e["transport"].to_string(), r#"{"ice-controlling":true,"sctp":{}}"#);
    let a = ConferenceModify::from_element(&element(ANSWERED)).unwrap().to_json();
    assert_eq!(
        a["endpoints"][0]["sources"].to_string(),
        r#"[{"id":"a1b2c3d4-a0","sources":[1001],"type":"audio"},{"id":"a1b2c3d4-v0","sources":[{"name":"a1b2c3d4-v0","ssrc":2001,"videoType":"camera"},2002],"ssrc-groups":[{"semantics":"FID","sources":[2001,2002]}],"synthetic":true,"type":"video"}]"#
    );
    let r = ConferenceModified::from_element(&element(CREATED)).unwrap().to_json();
    let ice = &r["endpoints"][0]["transport"]["transport"];
    assert_eq!(ice["xmlns"], "urn:xmpp:jingle:transports:ice-udp:1");
    assert_eq!(ice["rtcp-mux"], true);
    assert_eq!(ice["web-sockets"].to_string(), r#"["wss://x/colibri-ws/1"]"#);
    assert_eq!(ice["candidates"][0]["port"], "10000");
    assert_eq!(
        ice["fingerprints"].to_string(),
        r#"[{"fingerprint":"AB:CD","hash":"sha-256","setup":"actpass"}]"#
    );
}

#[test]
fn compat_json_of_a_stock_bridge_has_the_sctp_role_in_capitals() {
    let answer =
        r#"{"endpoints":[{"id":"a","transport":{"sctp":{"port":5000,"role":"SERVER"}}}],"sources":[]}"#;
    let answer = ConferenceModified::from_json(answer).unwrap();
    let sctp = answer.endpoints[0].transport.as_ref().unwrap().sctp.unwrap();
    assert_eq!((sctp.port, sctp.role), (Some(5000), Some(SctpRole::Server)));
}

#[test]
fn json_type_errors_are_refused() {
    let bad = |json: &str| ConferenceModify::from_json(json).unwrap_err();
    assert_eq!(bad("[]"), ParseError::Json);
    assert_eq!(bad("{}"), ParseError::Missing { element: "conference-modify", what: "meeting-id" });
    for (json, element, what) in [
        (r#"{"meeting-id":"x","create":"true"}"#, "conference-modify", "create"),
        (r#"{"meeting-id":"x","name":"no-room"}"#, "conference-modify", "name"),
        (r#"{"meeting-id":"x","endpoints":{}}"#, "conference-modify", "endpoints"),
        (r#"{"meeting-id":"x","endpoints":[{"id":""}]}"#, "endpoint", "id"),
        (r#"{"meeting-id":"x","endpoints":[{"id":"a","medias":[{"type":"smell"}]}]}"#, "media", "type"),
        (
            r#"{"meeting-id":"x","endpoints":[{"id":"a","sources":[{"type":"audio","id":"a","sources":[4294967296]}]}]}"#,
            "source",
            "ssrc",
        ),
    ] {
        assert_eq!(bad(json), ParseError::Invalid { element, what }, "{json}");
    }
    let number = r#"{"meeting-id":"x","endpoints":[{"id":"a","medias":[{"type":"audio","payload-types":[{"id":112,"name":"red","clockrate":48000,"channels":2,"parameters":{"null":"111/111"}}]}]}]}"#;
    let red = &ConferenceModify::from_json(number).unwrap().endpoints[0].media[0].payload_types[0];
    assert_eq!((red.id, red.parameters[0].name.as_deref()), (112, None));
}

#[test]
fn bad_xml_is_refused() {
    let bad = |inner: &str| {
        ConferenceModify::from_element(&element(&format!(
            "<conference-modify xmlns='jitsi:colibri2' {inner}"
        )))
        .unwrap_err()
    };
    assert_eq!(bad("/>"), ParseError::Missing { element: "conference-modify", what: "meeting-id" });
    for (inner, element, what) in [
        ("meeting-id='x' name='a/b'/>", "conference-modify", "name"),
        ("meeting-id='x' name='example.com'/>", "conference-modify", "name"),
        ("meeting-id='x' create='maybe'/>", "conference-modify", "create"),
        (
            "meeting-id='x'><endpoint id='a'><initial-last-n value='x'/></endpoint></conference-modify>",
            "initial-last-n",
            "value",
        ),
        (
            "meeting-id='x'><endpoint id='a'><transport><sctp role='king'/></transport></endpoint></conference-modify>",
            "sctp",
            "role",
        ),
    ] {
        assert_eq!(bad(inner), ParseError::Invalid { element, what }, "{inner}");
    }
    assert_eq!(
        bad("meeting-id='x'><endpoint/></conference-modify>"),
        ParseError::Missing { element: "endpoint", what: "id" }
    );
}

#[test]
fn services_outside_are_websockets_with_readable_headers_and_an_empty_list_is_not_none() {
    let read = |connects: &str| {
        let text = format!(
            "<conference-modify xmlns='jitsi:colibri2' meeting-id='x'><connects>{connects}</connects></conference-modify>"
        );
        ConferenceModify::from_element(&element(&text))
    };
    assert_eq!(read("").unwrap().connects, Some(vec![]), "none any more");
    assert_eq!(
        ConferenceModify::from_json(r#"{"meeting-id":"x","connects":[]}"#).unwrap().connects,
        Some(vec![])
    );
    assert_eq!(
        ConferenceModify::from_json(r#"{"meeting-id":"x"}"#).unwrap().connects,
        None,
        "nothing about them"
    );
    let gone = read("<connect id='t1' expire='true'/>").unwrap().connects.unwrap();
    assert_eq!((gone[0].name(), gone[0].expire), ("t1", true), "known by its id alone");
    let kind = "protocol='mediajson' type='transcriber'";
    for (connect, what) in [
        (format!("<connect url='http://x/' {kind}/>"), "url"),
        (format!("<connect url='{}' {kind}/>", "ws://".repeat(4000)), "url"),
        ("<connect url='ws://x/' protocol='carrier-pigeon' type='transcriber'/>".to_owned(), "protocol"),
        ("<connect url='ws://x/' protocol='mediajson' type='spy'/>".to_owned(), "type"),
        (format!("<connect url='ws://x/' audio='maybe' {kind}/>"), "audio"),
    ] {
        assert_eq!(
            read(&connect).unwrap_err(),
            ParseError::Invalid { element: "connect", what },
            "{connect}"
        );
    }
    for what in ["url", "protocol", "type"] {
        let attributes = ["url='ws://x/'", "protocol='mediajson'", "type='recorder'"];
        let others: Vec<_> = attributes.iter().filter(|a| !a.starts_with(what)).copied().collect();
        let connect = format!("<connect {}/>", others.join(" "));
        assert_eq!(read(&connect).unwrap_err(), ParseError::Missing { element: "connect", what });
    }
    let headers = |n: usize, name: &str| {
        format!(
            "<connect url='ws://x/' {kind}>{}</connect>",
            format!("<http-header name='{name}' value='v'/>").repeat(n)
        )
    };
    let most = read(&headers(MAX_CONNECT_HEADERS, "X-1")).unwrap().connects.unwrap();
    assert_eq!(most[0].headers.len(), MAX_CONNECT_HEADERS);
    for wrong in
        [headers(MAX_CONNECT_HEADERS + 1, "X-1"), headers(1, "X 1"), headers(1, "X:"), headers(1, "")]
    {
        assert!(read(&wrong).is_err(), "{wrong}");
    }
    let long = |len: usize| format!("<connect url='ws://{}' {kind}/>", "x".repeat(len - "ws://".len()));
    assert!(read(&long(MAX_CONNECT_TEXT_BYTES)).is_ok(), "at the limit");
    assert!(read(&long(MAX_CONNECT_TEXT_BYTES + 1)).is_err(), "one beyond");
    let shown = format!(
        "{:?}",
        read(&format!(
            "<connect url='wss://scribe.ex/token' {kind}><http-header name='A' value='secret'/></connect>"
        ))
    );
    assert!(!shown.contains("token") && !shown.contains("secret"), "{shown}");
}

#[test]
fn errors_carry_reason_and_endpoint() {
    let e = Colibri2Error::unknown_endpoint(EndpointId::new("a1b2c3d4"));
    let stanza = e.add_to(StanzaError::new(Condition::ItemNotFound));
    assert_eq!(
        stanza.to_element().to_xml(),
        "<error xmlns=\"\" type=\"cancel\"><item-not-found xmlns=\"urn:ietf:params:xml:ns:xmpp-stanzas\"/><error xmlns=\"jitsi:colibri2\" reason=\"unknown_endpoint\"/><endpoint xmlns=\"jitsi:colibri2\" id=\"a1b2c3d4\"/></error>"
    );
    let request = element("<iq type='get' id='1'/>");
    let reply = jitsi_xmpp::iq::error(&request, &stanza);
    let read = StanzaError::from_stanza(&element(&reply.to_xml())).unwrap();
    assert_eq!(Colibri2Error::from_stanza_error(&read), Some(e));
    assert_eq!(Colibri2Error::from_stanza_error(&StanzaError::new(Condition::Conflict)), None);
}
