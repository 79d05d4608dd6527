//! Hostile and broken input: it never panics, and it never costs anybody else anything.

use proptest::prelude::*;

use crate::rig::{Client, ROOM, Rig, parse, with_direct_messages};

/// Pieces that frames are made of; some are nearly right.
const PIECES: &[&str] = &[
    "<presence",
    "<message",
    "<iq",
    "<query",
    "<x",
    "<item",
    "<body>",
    "</body>",
    "</message>",
    "</iq>",
    "/>",
    ">",
    "<",
    " type=\"set\"",
    " type=\"get\"",
    " type=\"unavailable\"",
    " type=\"error\"",
    " type=\"groupchat\"",
    " id=\"1\"",
    " to=\"rathaus@muc.meet.jitsi\"",
    " to=\"rathaus@muc.meet.jitsi/focus\"",
    " to=\"rathaus@muc.meet.jitsi/x\"",
    " to=\"focus.meet.jitsi\"",
    " to=\"metadata.meet.jitsi\"",
    " to=\"[@muc.[].meet.jitsi\"",
    " to=\"@\"",
    " to=\"\"",
    " xmlns=\"http://jabber.org/protocol/muc\"",
    " xmlns=\"http://jabber.org/protocol/muc#admin\"",
    " xmlns=\"http://jabber.org/protocol/muc#owner\"",
    " xmlns=\"urn:xmpp:sm:3\"",
    " xmlns=\"jabber:client\"",
    " xmlns=\"urn:ietf:params:xml:ns:xmpp-framing\"",
    "<open",
    "<close",
    "<enable",
    "<resume",
    "<r",
    "<a",
    " h=\"4294967295\"",
    " previd=\"x\"",
    "<auth",
    "<response",
    "<starttls",
    "<room_metadata>{\"key\":",
    "<json-message",
    "<destroy/>",
    "<error/>",
    " affiliation=\"none\"",
    " role=\"none\"",
    " nick=\"focus\"",
    " jid=\"focus@auth.meet.jitsi\"",
    "&lt;",
    "&#0;",
    "&x;",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a>",
    "<?x?>",
    "<!-- -->",
    "\u{0}",
    "\u{ffff}",
    "é",
    " a:b=\"1\"",
    " xmlns:a=\"\"",
    "<1/>",
];

fn frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(prop::sample::select(PIECES), 1..14).prop_map(|p| p.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..64),
        2 => (prop::sample::select(PIECES), prop::sample::select(PIECES), prop::sample::select(PIECES))
            .prop_map(|(a, b, c)| format!("<iq type=\"set\" id=\"1\"{a}><query{b}><item{c}/></query></iq>").into_bytes()),
        2 => (prop::sample::select(PIECES), prop::sample::select(PIECES))
            .prop_map(|(a, b)| format!("<presence{a}><x{b}/></presence>").into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_a_client_sends_panics_or_touches_the_others(
        frames in prop::collection::vec(frame(), 1..40),
        managed: bool,
        joined: bool,
    ) {
        let mut rig = Rig::new();
        let (focus, clients) = rig.meeting(2);
        let mallory = rig.client();
        if managed {
            rig.enable(&mallory);
        }
        if joined {
            rig.join(&mallory);
        }
        let before_bind = rig.open(prosody_core::Transport::WebSocket, Default::default());
        rig.foreign = false;
        for f in &frames {
            rig.raw(mallory.conn, f);
            rig.raw(before_bind, f);
        }
        // What reached the others is well-formed, and nobody speaks in another's name.
        let third = &clients[1];
        for other in &clients {
            for f in rig.take(other) {
                let e = parse(&f);
                let from = e.attr("from").unwrap_or_default();
                let stolen = !joined && from.starts_with(ROOM) && from.ends_with("/focus");
                prop_assert!(!stolen && from != third.jid, "{}", f);
            }
        }
        prop_assert!(!rig.closed.contains_key(&clients[0].conn) && !rig.closed.contains_key(&focus.conn));
        let chat = rig.ask(&clients[0], &format!(r#"<message to="{ROOM}" type="groupchat" id="ok"><body>still here</body></message>"#));
        prop_assert!(chat.iter().any(|f| f.contains("still here")));
        rig.lose(mallory.conn);
        rig.lose(before_bind);
        rig.advance(std::time::Duration::from_secs(71));
        rig.end(&[&focus, &clients[0], &clients[1]]);
    }
}

#[test]
fn a_name_that_breaks_browsers_is_not_relayed() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(2);
    for bad in ["<a\"b/>", "<x:y/>", "<1/>", "<a\u{0}/>", "<a b&c='1'/>"] {
        rig.send(&clients[0], &format!(r#"<presence to="{ROOM}/{}">{bad}</presence>"#, clients[0].nick));
        assert!(rig.take(&clients[1]).is_empty(), "{bad}");
    }
    rig.send(&clients[0], &format!(r#"<presence to="{ROOM}/{}"><ok p:q="1"/></presence>"#, clients[0].nick));
    assert!(rig.take(&clients[1]).is_empty(), "a prefix of nothing");
    rig.send(
        &clients[0],
        &format!(r#"<presence to="{ROOM}/{}"><ok xmlns:p="u" p:q="1"/></presence>"#, clients[0].nick),
    );
    assert!(rig.take(&clients[1])[0].contains("<ok/>"));
    rig.end(&[&focus, &clients[0], &clients[1]]);
}

#[test]
fn the_senders_address_cannot_be_forged() {
    let mut rig = Rig::with(with_direct_messages);
    let (focus, clients) = rig.meeting(1);
    let mallory = rig.client();
    rig.send(&mallory, &format!(r#"<message from="metadata.meet.jitsi" to="{}"><json-message xmlns="http://jitsi.org/jitmeet">{{}}</json-message></message>"#, clients[0].jid));
    assert_eq!(parse(&rig.take(&clients[0])[0]).attr("from"), Some(mallory.jid.as_str()));
    rig.end(&[&focus, &clients[0], &mallory]);
}

/// A flood of one pushed the requests of others out of the table: they were told to ask again, again and again.
#[test]
fn conference_requests_of_one_session_push_out_nobody_elses() {
    let mut rig = Rig::new();
    let focus = rig.focus();
    rig.send(&focus, r#"<presence xmlns="jabber:client"/>"#);
    let (evil, anna) = (rig.client(), rig.client());
    let ask = |rig: &mut Rig, who: &Client, n: usize| {
        rig.ask(who, &format!(r#"<iq type="set" id="c{n}" to="focus.meet.jitsi"><conference xmlns="http://jitsi.org/protocol/focus" room="r{n}@muc.meet.jitsi"/></iq>"#))
    };
    assert!(ask(&mut rig, &anna, 0).is_empty(), "waits for the focus");
    rig.take(&focus);
    let mut refused = 0;
    for n in 0..50 {
        refused += usize::from(ask(&mut rig, &evil, n).iter().any(|f| f.contains(r#"ready="false""#)));
    }
    assert_eq!(refused, 40);
    assert_eq!(rig.take(&focus).iter().filter(|f| f.contains("<conference")).count(), 10);
    rig.lose(focus.conn);
    assert!(rig.take(&anna).iter().any(|f| f.contains(r#"id="c0""#) && f.contains(r#"ready="false""#)));
    rig.end_quietly(&evil);
    rig.end_quietly(&anna);
}
