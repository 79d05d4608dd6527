//! Whatever is sent to it, the focus stays up, answers every request exactly once and forgets the sender with its
//! leave.

use proptest::prelude::*;

use super::world::{ME, NEW, OLD, ROOM, World};

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("".to_owned()),
        Just("true".to_owned()),
        Just("audio".to_owned()),
        Just("video".to_owned()),
        Just("anna0001".to_owned()),
        Just(format!("{ROOM}/anna0001")),
        Just(format!("{ROOM}/focus")),
        Just("4294967295".to_owned()),
        Just("-1".to_owned()),
        "[a-z0-9@/.{}:]{0,12}",
    ]
}

fn element() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("jingle"),
        Just("content"),
        Just("description"),
        Just("source"),
        Just("ssrc-group"),
        Just("transport"),
        Just("candidate"),
        Just("bridge-session"),
        Just("mute"),
        Just("x"),
        Just("item"),
        Just("conference"),
        Just("query"),
        Just("json-message"),
        Just("SourceInfo"),
        Just("stats"),
        Just("stat"),
        Just("error"),
        Just("parameter"),
    ];
    let ns = prop_oneof![
        Just("urn:xmpp:jingle:1"),
        Just("urn:xmpp:jingle:apps:rtp:1"),
        Just("urn:xmpp:jingle:apps:rtp:ssma:0"),
        Just("urn:xmpp:jingle:transports:ice-udp:1"),
        Just("http://jitsi.org/protocol/focus"),
        Just("http://jitsi.org/jitmeet/audio"),
        Just("http://jabber.org/protocol/muc#user"),
        Just("http://jitsi.org/jitmeet"),
        Just("http://jitsi.org/protocol/colibri"),
        Just("jitsi:colibri2"),
        Just("http://jabber.org/protocol/disco#info"),
        Just("jabber:client"),
    ];
    let attr = prop_oneof![
        Just("action"),
        Just("sid"),
        Just("ssrc"),
        Just("name"),
        Just("media"),
        Just("semantics"),
        Just("jid"),
        Just("affiliation"),
        Just("role"),
        Just("room"),
        Just("id"),
        Just("restart"),
        Just("value"),
        Just("type"),
    ];
    let leaf = (name, ns, proptest::collection::btree_map(attr, word(), 0..4), word());
    leaf.prop_map(|(name, ns, attrs, text)| (name, ns, attrs, text, Vec::<String>::new()))
        .prop_map(render)
        .prop_recursive(4, 24, 4, |inner| {
            let name = prop_oneof![
                Just("jingle"),
                Just("content"),
                Just("description"),
                Just("ssrc-group"),
                Just("x"),
                Just("stats")
            ];
            let ns = prop_oneof![
                Just("urn:xmpp:jingle:1"),
                Just("urn:xmpp:jingle:apps:rtp:1"),
                Just("http://jabber.org/protocol/muc#user"),
                Just("http://jitsi.org/protocol/colibri")
            ];
            let action = prop_oneof![
                Just("session-accept"),
                Just("source-add"),
                Just("source-remove"),
                Just("session-terminate"),
                Just("transport-info"),
                Just("session-info")
            ];
            (name, ns, action, proptest::collection::vec(inner, 0..4)).prop_map(
                |(name, ns, action, inner)| {
                    let attrs = [
                        ("action", action.to_owned()),
                        ("sid", "SID".to_owned()),
                        ("name", "video".to_owned()),
                        ("media", "video".to_owned()),
                        ("semantics", "FID".to_owned()),
                    ];
                    render((name, ns, attrs.into_iter().collect(), String::new(), inner))
                },
            )
        })
}

type Parts =
    (&'static str, &'static str, std::collections::BTreeMap<&'static str, String>, String, Vec<String>);

fn render((name, ns, attrs, text, inner): Parts) -> String {
    let attrs: String = attrs.iter().map(|(k, v)| format!(" {k}='{v}'")).collect();
    format!("<{name} xmlns='{ns}'{attrs}>{text}{}</{name}>", inner.concat())
}

fn stanza() -> impl Strategy<Value = (&'static str, String, String, String)> {
    let kind = prop_oneof![Just("iq"), Just("presence"), Just("message")];
    let ty = prop_oneof![
        Just(""),
        Just("get"),
        Just("set"),
        Just("result"),
        Just("error"),
        Just("unavailable"),
        Just("subscribe"),
        Just("groupchat")
    ];
    let from = prop_oneof![
        Just(format!("{ROOM}/anna0001")),
        Just(format!("{ROOM}/mallory1")),
        Just(format!("{ROOM}/focus")),
        Just(ROOM.to_owned()),
        Just("jvbbrewery@internal-muc.meet.jitsi/jvb1".to_owned()),
        Just("jvbbrewery@internal-muc.meet.jitsi/focus".to_owned()),
        Just("metadata.meet.jitsi".to_owned()),
        Just("avmoderation.meet.jitsi".to_owned()),
        Just("focus.meet.jitsi/a@b/c".to_owned()),
        word(),
    ];
    (kind, ty, from, proptest::collection::vec(element(), 0..3))
        .prop_map(|(kind, ty, from, inner)| (kind, ty.to_owned(), from, inner.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_stanza_panics_or_goes_unanswered(stanzas in proptest::collection::vec(stanza(), 1..24)) {
        let mut w = World::meeting();
        w.strict = false;
        w.join("anna0001", NEW);
        w.join("ben00002", OLD);
        for (i, (kind, ty, from, inner)) in stanzas.into_iter().enumerate() {
            let sid = w.clients.get("anna0001").map(|c| c.sid.clone()).unwrap_or_default();
            let inner = inner.replace("SID", &sid);
            let ty_attr = if ty.is_empty() { String::new() } else { format!(" type='{ty}'") };
            // What is to be answered comes from an address that can be answered.
            let asks = kind == "iq" && (ty == "get" || ty == "set");
            let before = w.sent.len();
            w.receive(&format!("<{kind}{ty_attr} id='h{i}' from='{from}' to='{ME}'>{inner}</{kind}>"));
            if asks && w.stats().conferences > 0 && from.contains('@') {
                let id = format!("id=\"h{i}\"");
                let waits = inner.contains("<conference");
                prop_assert!(waits || w.sent[before..].iter().any(|s| s.contains(&id)), "no answer to {inner}");
            }
        }
        w.seconds(200);
        w.receive(&format!("<presence type='unavailable' from='{ROOM}/focus' to='{ME}'/>"));
        w.focus_in.remove(ROOM);
        w.seconds(40);
        prop_assert_eq!(w.stats().pending_requests, 0);
    }
}
