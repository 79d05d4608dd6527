//! The complete session-initiate of the focus, the compact sources, and Jingle that clients send.

use jitsi_xmpp::ids::{EndpointId, SessionId, SourceName, Ssrc};
use jitsi_xmpp::jingle::*;
use jitsi_xmpp::{ParseError, Sensitive, ns};

use crate::{assert_golden, element};

const TCC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

pub(crate) fn transport(sctp: bool) -> IceUdpTransport {
    IceUdpTransport {
        ufrag: Some("uf".into()),
        pwd: Some(Sensitive::new("pw".into())),
        rtcp_mux: true,
        fingerprints: vec![Fingerprint {
            hash: "sha-256".into(),
            value: "AA:BB".into(),
            setup: Some(Setup::Actpass),
            required: None,
            cryptex: false,
        }],
        candidates: vec![Candidate {
            component: 1,
            foundation: "1".into(),
            generation: 0,
            id: "c1".into(),
            ip: Sensitive::new("192.0.2.10".into()),
            network: Some(0),
            port: 10000,
            priority: 2_130_706_431,
            protocol: "udp".into(),
            kind: CandidateType::Host,
            rel_addr: None,
            rel_port: None,
            tcptype: None,
        }],
        web_sockets: vec![WebSocket::new("wss://meet.example/colibri-ws/jvb1/c/ab12cd34?pwd=pw")],
        sctp_map: sctp.then(SctpMap::offered),
        ..IceUdpTransport::default()
    }
}

fn audio() -> RtpDescription {
    let mut opus = PayloadType::new(111, "opus", 48000, 2);
    opus.parameters = vec![Parameter::new("minptime", "10"), Parameter::new("useinbandfec", "1")];
    opus.rtcp_fbs = vec![RtcpFeedback::new("transport-cc", None)];
    RtpDescription {
        maxptime: Some(60),
        payload_types: vec![opus, PayloadType::new(126, "telephone-event", 8000, 1)],
        header_extensions: vec![
            HeaderExtension::new(1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
            HeaderExtension::new(5, TCC),
        ],
        extmap_allow_mixed: true,
        rtcp_mux: true,
        ..RtpDescription::new("audio")
    }
}

fn video() -> RtpDescription {
    let mut vp8 = PayloadType::new(100, "VP8", 90000, 1);
    vp8.rtcp_fbs = vec![
        RtcpFeedback::new("ccm", Some("fir")),
        RtcpFeedback::new("nack", None),
        RtcpFeedback::new("nack", Some("pli")),
        RtcpFeedback::new("transport-cc", None),
    ];
    let mut rtx = PayloadType::new(96, "rtx", 90000, 1);
    rtx.parameters = vec![Parameter::new("apt", "100")];
    RtpDescription {
        payload_types: vec![vp8, rtx],
        header_extensions: vec![HeaderExtension::new(5, TCC)],
        extmap_allow_mixed: true,
        rtcp_mux: true,
        ..RtpDescription::new("video")
    }
}

fn feedback(kind: char, ssrc: u32) -> Source {
    let mut s = Source::new(Ssrc(ssrc));
    let word = if kind == 'v' { "video" } else { "audio" };
    s.name = Some(SourceName::new(format!("jvb-{kind}0")));
    s.video_type = (kind == 'v').then_some(VideoType::Camera);
    s.parameters = vec![Parameter::new("msid", format!("mixedmslabel mixedlabel{word}0"))];
    s
}

fn session_initiate() -> Jingle {
    let content = |name: &str, description: RtpDescription| Content {
        senders: Some(Senders::Both),
        description: Some(description),
        transport: Some(transport(name == "data")),
        ..Content::new(name)
    };
    let mut j = Jingle::new(Action::SessionInitiate, SessionId::new("6f1k2"));
    j.initiator = Some("focus@auth.meet.jitsi/focus".parse().unwrap());
    let data = RtpDescription { rtcp_mux: true, ..RtpDescription::new("application") };
    j.contents = vec![content("audio", audio()), content("video", video()), content("data", data)];
    j.group = Some(Group::bundle(["audio", "video", "data"]));
    j.bridge_session = Some(BridgeSession {
        id: Some("6f0c".into()),
        region: Some("eu".into()),
        ..BridgeSession::default()
    });
    let owner = OwnerSources {
        video: vec![feedback('v', 2_231_187)],
        audio: vec![feedback('a', 2_231_188)],
        ..OwnerSources::default()
    };
    j.json_sources = Some(CompactSources(vec![(EndpointId::new("jvb"), owner)]));
    j
}

#[test]
fn session_initiate_to_the_byte() {
    let j = session_initiate();
    let text = j.to_element().to_xml();
    assert_golden("session-initiate.xml", include_str!("../../fixtures/golden/session-initiate.xml"), &text);
    assert_eq!(Jingle::from_element(&element(&text)), Ok(j));
}

#[test]
fn source_add_in_xml_form_to_the_byte() {
    let mut j = Jingle::new(Action::SourceAdd, SessionId::new("6f1k2"));
    let source = |ssrc| Source {
        name: Some(SourceName::new("ab12cd34-v0")),
        video_type: Some(VideoType::Camera),
        owner: Some(EndpointId::new("ab12cd34")),
        parameters: vec![Parameter::new("msid", "ab12cd34-video-0-1 7e")],
        ..Source::new(Ssrc(ssrc))
    };
    j.contents = vec![Content {
        description: Some(RtpDescription {
            sources: vec![source(1001), source(1002)],
            ssrc_groups: vec![SsrcGroup { semantics: Semantics::Fid, ssrcs: vec![Ssrc(1001), Ssrc(1002)] }],
            ..RtpDescription::new("video")
        }),
        ..Content::new("video")
    }];
    let text = j.to_element().to_xml();
    assert_golden("source-add.xml", include_str!("../../fixtures/golden/source-add.xml"), &text);
    assert_eq!(Jingle::from_element(&element(&text)), Ok(j));
}

#[test]
fn session_terminate_to_the_byte() {
    let mut j = Jingle::new(Action::SessionTerminate, SessionId::new("s"));
    j.reason = Some(Reason::new(ReasonKind::Success, "moving"));
    let text = "<jingle xmlns=\"urn:xmpp:jingle:1\" action=\"session-terminate\" sid=\"s\"><reason><success/><text>moving</text></reason></jingle>";
    assert_eq!(j.to_element().to_xml(), text);
    let from_client = element(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='s'><reason><connectivity-error/><text>ICE FAILED</text></reason><bridge-session xmlns='http://jitsi.org/protocol/focus' id='a_1' restart='true'/></jingle>",
    );
    let j = Jingle::from_element(&from_client).unwrap();
    assert_eq!(j.reason.unwrap().kind, ReasonKind::ConnectivityError);
    let b = j.bridge_session.unwrap();
    assert!(b.restart && !b.ice_restart && b.id.as_deref() == Some("a_1"));
}

#[test]
fn ice_restart_in_place_both_ways() {
    let ask = element(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s'><bridge-session xmlns='http://jitsi.org/protocol/focus' id='a_1' ice-restart='true'/></jingle>",
    );
    assert!(Jingle::from_element(&ask).unwrap().bridge_session.unwrap().ice_restart);
    let mut t = transport(false);
    t.ice_generation = Some(1);
    let text = t.to_element().to_xml();
    assert!(text.contains(" ice-generation=\"1\""));
    assert_eq!(IceUdpTransport::from_element(&element(&text)), Ok(t));
}

#[test]
fn compat_ssrc_group_of_a_client_has_sources_without_namespace() {
    let text = "<jingle xmlns='urn:xmpp:jingle:1' action='source-add' sid='6f1k2' initiator='r@c/focus'><content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
        <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' name='a-v1' ssrc='4001' videoType='desktop'><parameter name='msid' value='m t'/></source>\
        <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' name='a-v1' ssrc='4101' videoType='desktop'/>\
        <ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='FID'><source ssrc='4001'/><source xmlns='' ssrc='4101'/></ssrc-group>\
        </description></content></jingle>";
    let j = Jingle::from_element(&element(text)).unwrap();
    let d = j.content("video").unwrap().description.as_ref().unwrap();
    assert_eq!(d.sources[0].video_type, Some(VideoType::Desktop));
    assert_eq!(d.sources[0].msid(), Some("m t"));
    assert_eq!(
        d.ssrc_groups[0],
        SsrcGroup { semantics: Semantics::Fid, ssrcs: vec![Ssrc(4001), Ssrc(4101)] }
    );
}

#[test]
fn compat_initial_last_n_in_content_or_description() {
    for at in ["", "desc"] {
        let n = "<initial-last-n xmlns='jitsi:colibri2' value='5'/>";
        let (inner, outer) = if at == "desc" { (n, "") } else { ("", n) };
        let text = format!(
            "<content xmlns='urn:xmpp:jingle:1' name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>{inner}</description>{outer}</content>"
        );
        assert_eq!(Content::from_element(&element(&text)).unwrap().initial_last_n, Some(5));
    }
}

#[test]
fn compat_old_names_of_source_changes_are_read() {
    for (written, meant) in [("addsource", Action::SourceAdd), ("removesource", Action::SourceRemove)] {
        let text = format!("<jingle xmlns='urn:xmpp:jingle:1' action='{written}' sid='s1'/>");
        assert_eq!(Jingle::from_element(&element(&text)).unwrap().action, meant);
    }
}

#[test]
fn compat_a_description_for_data_is_left_aside() {
    let text = "<content xmlns='urn:xmpp:jingle:1' name='data'><description xmlns='urn:xmpp:jingle:apps:other:1'/></content>";
    assert!(Content::from_element(&element(text)).unwrap().description.is_none());
}

#[test]
fn compact_sources_in_both_spellings() {
    let strings = r#"<json-message xmlns="http://jitsi.org/jitmeet">{"sources":{"b5":[[{"s":"1","n":"b5-v0","m":"x y"},{"s":"2","n":"b5-v1","v":1}],[["f","1","3"],["s","1","2","4"]],[{"s":"5","n":"b5-a0"}]]}}</json-message>"#;
    let c = CompactSources::from_element(&element(strings)).unwrap().unwrap();
    let b5 = c.owner("b5").unwrap();
    assert_eq!(b5.video[0].video_type, Some(VideoType::Camera));
    assert_eq!(b5.video[1].video_type, Some(VideoType::Desktop));
    assert_eq!(b5.video_groups[1].semantics, Semantics::Sim);
    assert!(b5.audio_groups.is_empty());
    assert_eq!(
        c.to_element().to_xml(),
        r#"<json-message xmlns="http://jitsi.org/jitmeet">{"sources":{"b5":[[{"s":1,"n":"b5-v0","m":"x y"},{"s":2,"n":"b5-v1","v":"d"}],[["f",1,3],["s",1,2,4]],[{"s":5,"n":"b5-a0"}]]}}</json-message>"#
    );
    assert_eq!(CompactSources::from_element(&c.to_element()), Ok(Some(c)));
    let other = element(r#"<json-message xmlns="http://jitsi.org/jitmeet">{"type":"x"}</json-message>"#);
    assert_eq!(CompactSources::from_element(&other), Ok(None));
    for bad in [
        "{",
        "{\"sources\":7}",
        "{\"sources\":{\"a\":{}}}",
        "{\"sources\":{\"a\":[[{\"s\":-1}]]}}",
        "{\"sources\":{\"a\":[[],[[\"x\",1]]]}}",
    ] {
        let e = jitsi_xmpp::Element::new("json-message", ns::JITMEET).with_text(bad);
        assert!(CompactSources::from_element(&e).is_err(), "{bad}");
    }
}

#[test]
fn bad_jingle_says_what_is_wrong() {
    let jingle = |attrs: &str, children: &str| {
        Jingle::from_element(&element(&format!(
            "<jingle xmlns='urn:xmpp:jingle:1' {attrs}>{children}</jingle>"
        )))
    };
    let ok = "action='source-add' sid='s'";
    let sources = |inner: &str| {
        format!(
            "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>{inner}</description></content>"
        )
    };
    assert_eq!(jingle("sid='s'", ""), Err(ParseError::Missing { element: "jingle", what: "action" }));
    assert_eq!(
        jingle("action='dance' sid='s'", ""),
        Err(ParseError::Invalid { element: "jingle", what: "action" })
    );
    assert_eq!(
        jingle("action='source-add'", ""),
        Err(ParseError::Missing { element: "jingle", what: "sid" })
    );
    assert_eq!(jingle(ok, "<content/>"), Err(ParseError::Missing { element: "content", what: "name" }));
    for (inner, element, what) in [
        ("<source ssrc='x'/>", "source", "ssrc"),
        ("<source ssrc='4294967296'/>", "source", "ssrc"),
        ("<source ssrc='-1'/>", "source", "ssrc"),
        ("<source ssrc='1' videoType='hologram'/>", "source", "videoType"),
        ("<source ssrc='1' name=''/>", "source", "name"),
        ("<ssrc-group semantics='FID'><source ssrc='x'/></ssrc-group>", "source", "ssrc"),
        ("<payload-type id='128'/>", "payload-type", "id"),
        ("<rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='0' uri='x'/>", "rtp-hdrext", "id"),
    ] {
        assert_eq!(jingle(ok, &sources(inner)), Err(ParseError::Invalid { element, what }), "{inner}");
    }
    assert_eq!(
        jingle(ok, &sources("<source/>")),
        Err(ParseError::Missing { element: "source", what: "ssrc" })
    );
    let e = jingle(ok, &sources("<source ssrc='secret'/>")).unwrap_err();
    let error = e.to_stanza_error();
    assert_eq!(error.condition, jitsi_xmpp::Condition::BadRequest);
    assert!(!error.text.unwrap().contains("secret"));
}

#[test]
fn one_odd_candidate_does_not_cost_the_session() {
    let t = element(
        "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='u' pwd='p'><candidate ip='192.0.2.1' port='99999'/><candidate ip='192.0.2.1' port='9' type='host'/><fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0'/></transport>",
    );
    let t = IceUdpTransport::from_element(&t).unwrap();
    assert_eq!((t.candidates.len(), t.fingerprints.len()), (1, 0));
    assert!(!format!("{t:?}").contains("192.0.2.1"));
}
