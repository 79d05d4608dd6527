//! Jingle requests that change something: verdicts, updates of the bridge, news for others.

use jitsi_xmpp::Element;

use super::world::{NEW, OLD, World};

fn verdict(reply: &Element) -> (String, String) {
    let Some(e) = reply.child_named("error") else {
        return (reply.attr("type").unwrap().to_owned(), String::new());
    };
    let text = e.child_named("text").map(Element::text).unwrap_or_default();
    (e.first_child().unwrap().name().to_owned(), text)
}

fn video(sources: &[(u32, &str)], groups: &[(&str, &[u32])], name: &str) -> String {
    let s: String = sources
        .iter()
        .map(|(ssrc, msid)| {
            let msid = if msid.is_empty() {
                String::new()
            } else {
                format!("<parameter name='msid' value='{msid}'/>")
            };
            format!(
                "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{ssrc}' name='{name}'>{msid}</source>"
            )
        })
        .collect();
    let g: String = groups
        .iter()
        .map(|(kind, ssrcs)| {
            let inner: String = ssrcs.iter().map(|s| format!("<source ssrc='{s}'/>")).collect();
            format!(
                "<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='{kind}'>{inner}</ssrc-group>"
            )
        })
        .collect();
    format!(
        "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>{s}{g}</description></content>"
    )
}

fn two() -> World {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", OLD);
    w.forget();
    w
}

#[test]
fn what_is_wrong_with_added_sources_is_said_and_changes_nothing() {
    const N: &str = "anna0001-v1";
    let cases: &[(String, &str, &str)] = &[
        (video(&[(0, "m")], &[], N), "bad-request", "Invalid SSRC: 0."),
        (video(&[(1000, "m")], &[], N), "bad-request", "SSRC is already used: 1000."),
        (video(&[(2000, "m")], &[], N), "bad-request", "SSRC is already used: 2000."),
        (video(&[(51, "ben00002-video-0-1 t1")], &[], N), "bad-request", "MSID is already used: ben00002-video-0-1 t1."),
        (video(&[(51, "m")], &[("FID", &[51, 52])], N), "bad-request", "An SSRC group contains an SSRC, which hasn't been signaled as a source: FID[51, 52]."),
        (video(&[(51, "m"), (52, "m"), (53, "m")], &[("FID", &[51, 52, 53])], N), "bad-request", "Invalid FID group: FID[51, 52, 53]."),
        (video(&[(51, ""), (52, "")], &[("FID", &[51, 52])], N), "bad-request", "Required source parameter 'msid' is not present."),
        (video(&[(51, "m"), (52, "n")], &[("FID", &[51, 52])], N), "bad-request", "SsrcGroup contains sources with different MSIDs: FID[51, 52]."),
        (video(&[(51, "m"), (52, "m")], &[], N), "bad-request", "MSID is already used: m."),
        (video(&[(51, "m")], &[], "ben00002-v1"), "bad-request", "Source name does not belong to the sender: ben00002-v1."),
        (video(&[(51, "m")], &[("FEC-FR", &[51])], N), "bad-request", "Unsupported ssrc-group semantics"),
        ("<content name='data'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='application'><source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='5'/></description></content>".into(), "bad-request", "Sources in a content that is neither audio nor video"),
    ];
    let mut w = two();
    for (content, condition, text) in cases {
        let reply = w.jingle("anna0001", "source-add", content);
        assert_eq!(verdict(&reply), ((*condition).to_owned(), (*text).to_owned()), "{content}");
    }
    assert!(w.bridges["jvb1"].requests.is_empty(), "the bridge heard of a refused change");
    assert!(w.actions("ben00002").is_empty());
}

#[test]
fn an_ssrc_that_is_no_number_is_answered() {
    let mut w = two();
    let content = video(&[(51, "m")], &[], "anna0001-v1").replace("'51'", "'4294967296'");
    assert_eq!(verdict(&w.jingle("anna0001", "source-add", &content)).0, "bad-request");
}

#[test]
fn twenty_ssrcs_are_taken_the_next_is_not() {
    let mut w = two();
    // Seven are there already.
    for i in 0..13u32 {
        let content = video(&[(9000 + i, &format!("m{i}"))], &[], "anna0001-v1");
        assert_eq!(verdict(&w.jingle("anna0001", "source-add", &content)).0, "result", "source {i}");
    }
    let content = video(&[(9100, "mx")], &[], "anna0001-v1");
    assert_eq!(
        verdict(&w.jingle("anna0001", "source-add", &content)),
        ("bad-request".into(), "SSRC limit (20) exceeded.".into())
    );
}

#[test]
fn a_screen_share_reaches_bridge_and_receivers_and_goes_again() {
    let mut w = two();
    let screen = video(&[(51, "m"), (52, "m")], &[("FID", &[51, 52])], "anna0001-v1");
    assert_eq!(verdict(&w.jingle("anna0001", "source-add", &screen)).0, "result");
    let sources = w.bridges["jvb1"].requests[0].endpoints[0].sources.clone().unwrap();
    assert_eq!(
        sources.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(),
        ["anna0001-a0", "anna0001-v0", "anna0001-v1"],
        "the complete set, not the difference"
    );
    assert_eq!(w.actions("ben00002"), ["source-add"]);
    assert_eq!(verdict(&w.jingle("anna0001", "source-remove", &screen)).0, "result");
    assert_eq!(w.actions("ben00002"), ["source-remove"]);
    assert_eq!(
        verdict(&w.jingle("anna0001", "source-remove", &screen)),
        ("bad-request".into(), "Source does not exist or is not owned by endpoint (ssrc=51).".into())
    );
    let foreign = video(&[(2000, "")], &[], "x");
    assert_eq!(verdict(&w.jingle("anna0001", "source-remove", &foreign)).0, "bad-request");
    let group = video(&[], &[("FID", &[1000, 1004])], "x");
    assert_eq!(
        verdict(&w.jingle("anna0001", "source-remove", &group)),
        ("bad-request".into(), "Source group does not exist".into())
    );
    assert_eq!(verdict(&w.jingle("anna0001", "source-remove", "")).0, "result");
    assert_eq!(verdict(&w.jingle("anna0001", "source-add", "")).0, "result");
}

#[test]
fn requests_for_sessions_that_are_not_there_are_told_apart() {
    let mut w = two();
    let unknown = "<jingle xmlns='urn:xmpp:jingle:1' action='source-add' sid='nope'/>";
    assert_eq!(verdict(&w.request("anna0001", unknown)), ("bad-request".into(), "unknown sid".into()));
    // Somebody else's session is unknown to this sender.
    let sid = w.clients["ben00002"].sid.clone();
    let foreign = format!("<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='{sid}'/>");
    assert_eq!(verdict(&w.request("anna0001", &foreign)).0, "bad-request");
    let old = w.clients["anna0001"].sid.clone();
    assert_eq!(verdict(&w.restart("anna0001")).0, "result");
    assert_ne!(w.clients["anna0001"].sid, old);
    let late = |action: &str| format!("<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{old}'/>");
    assert_eq!(
        verdict(&w.request("anna0001", &late("session-accept"))),
        ("gone".into(), "session has been replaced".into())
    );
    assert_eq!(
        verdict(&w.request("anna0001", &late("source-add"))),
        ("item-not-found".into(), "jingle session no longer active".into())
    );
    let no_action = "<jingle xmlns='urn:xmpp:jingle:1' sid='x'/>";
    assert_eq!(verdict(&w.request("anna0001", no_action)), ("bad-request".into(), "Missing 'action'".into()));
    let odd = "<jingle xmlns='urn:xmpp:jingle:1' action='dance' sid='x'/>";
    assert_eq!(
        verdict(&w.request("anna0001", odd)),
        ("feature-not-implemented".into(), "Unsupported 'action'".into())
    );
    assert_eq!(
        verdict(&w.jingle("anna0001", "transport-info", "")),
        ("bad-request".into(), "missing transport".into())
    );
}

#[test]
fn session_info_asks_for_what_is_not_there_or_reports_what_nobody_reads() {
    let mut w = two();
    let unknown = "<checksum xmlns='urn:xmpp:jingle:apps:file-transfer:5'/>";
    assert_eq!(verdict(&w.jingle("anna0001", "session-info", unknown)).0, "feature-not-implemented");
    let legacy = "<ice-state xmlns='http://jitsi.org/protocol/focus'>failed</ice-state>";
    assert_eq!(verdict(&w.jingle("anna0001", "session-info", legacy)).0, "result");
    assert_eq!(verdict(&w.jingle("anna0001", "session-info", "")).0, "result");
}

#[test]
fn later_candidates_reach_the_bridge_with_the_credentials() {
    let mut w = two();
    let content = "<content name='audio'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'>\
        <candidate component='1' foundation='1' generation='0' id='x' ip='192.0.2.7' port='5' priority='9' protocol='udp' type='host'/>\
        </transport></content>";
    assert_eq!(verdict(&w.jingle("anna0001", "transport-info", content)).0, "result");
    let transport = w.bridges["jvb1"].requests[0].endpoints[0].transport.clone().unwrap().ice.unwrap();
    assert_eq!((transport.candidates.len(), transport.ufrag.as_deref()), (1, Some("cu")));
    assert!(transport.pwd.is_some(), "what the later one leaves out stays");
    assert!(transport.rtcp_mux);
}

#[test]
fn a_failed_answer_ends_the_session_and_a_second_answer_changes_nothing() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let again = w.clients["anna0001"].accept().first_child().unwrap().to_xml();
    assert_eq!(verdict(&w.request("anna0001", &again)).0, "unexpected-request");
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    w.join("cem00003", NEW);
    let thief = w.clients["anna0001"].sources.clone();
    w.clients.get_mut("cem00003").unwrap().sources = thief;
    w.restart("cem00003");
    let sid = &w.clients["cem00003"].sid;
    let reply = &w.replies[&format!("accept-cem00003-{sid}")];
    assert_eq!(verdict(reply).0, "bad-request");
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
}
