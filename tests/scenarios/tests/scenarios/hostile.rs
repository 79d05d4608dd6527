//! Somebody hostile in the room, or outside of it, while two others keep meeting undisturbed.

mod bridge;
mod focus;

use jitsi_xmpp::Element;

use crate::bridge::BREWERY;
use crate::world::{ROOM, World};

/// Two who meet, and the third who will not behave.
struct Siege {
    w: World,
    evil: usize,
}

impl Siege {
    fn new() -> Self {
        let mut w = World::new();
        w.meeting(&["Anna", "Ben", "Böse"]);
        for c in &mut w.clients {
            c.take_actions();
        }
        Self { w, evil: 2 }
    }

    fn nick(&self, n: usize) -> String {
        self.w.clients[n].nick.clone()
    }

    fn refused(&self, reply: &Element) {
        assert_eq!(reply.attr("type"), Some("error"), "{}", reply.to_xml());
    }

    /// Sends a frame on the connection, if it still is one.
    fn raw(&mut self, frame: &str) {
        if let Some(conn) = self.w.clients[self.evil].stream.conn {
            self.w.raw(conn, frame.as_bytes());
        }
    }

    fn get(&mut self, kind: &str, to: &str, payload: &str) -> Element {
        self.w.request(self.evil, kind, to, payload)
    }

    fn jingle(&mut self, action: &str, inner: &str) -> Element {
        self.w.jingle(self.evil, action, inner)
    }

    /// The two have noticed nothing and still hear each other.
    fn undisturbed(&mut self) {
        for n in [0, 1] {
            let other = self.nick(1 - n);
            let c = &mut self.w.clients[n];
            assert_eq!(c.take_actions(), [""; 0], "no message of the focus");
            assert!(c.muted_by.is_empty() && c.terminate_reasons.is_empty());
            assert!(c.in_room && c.occupants.contains_key("focus") && c.occupants.contains_key(&other));
            assert_eq!((c.moderator, c.sessions), (n == 0, 1));
            assert!(c.stream.conn.is_some());
        }
        let media = self.w.clients[self.evil].media.take();
        self.w.assert_all_hear_each_other();
        self.w.clients[self.evil].media = media;
    }

    fn end(mut self) {
        self.undisturbed();
        if self.w.clients[self.evil].stream.conn.is_none() {
            self.w.clients[self.evil].out_of_room();
            self.w.seconds(71);
            self.undisturbed();
        }
        self.w.end();
    }
}

fn source(media: &str, name: &str, ssrc: u32, msid: &str) -> String {
    format!(
        r#"<content name="{media}"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="{media}"><source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" name="{name}" ssrc="{ssrc}"><parameter name="msid" value="{msid}"/></source></description></content>"#
    )
}

#[test]
fn sources_of_others_can_not_be_taken_or_removed() {
    let mut s = Siege::new();
    let (anna, evil) = (s.nick(0), s.nick(2));
    let (theirs, requests) = (s.w.clients[0].ssrc(), s.w.bridges[0].requests.len());
    for inner in [
        source("video", &format!("{anna}-v1"), 666, "x"),
        source("video", &format!("{evil}-v1"), theirs, "x"),
        source("audio", &format!("{evil}-a1"), theirs + 50, "x"),
        source("video", &format!("{evil}-v1"), 667, &format!("{anna}-video-0-1 t1")),
        source("video", &format!("{evil}-v1"), 0, "x"),
        (0..30).map(|n| source("video", &format!("{evil}-v{n}"), 700 + n, &format!("m{n}"))).collect(),
        source("video", &format!("{evil}-v1"), 668, "x").replace(r#"ssrc="668""#, r#"ssrc="99999999999""#),
    ] {
        let reply = s.jingle("source-add", &inner);
        s.refused(&reply);
    }
    for ssrc in [theirs, theirs + 50, 12345] {
        let reply = s.jingle("source-remove", &source("video", &format!("{anna}-v0"), ssrc, "x"));
        s.refused(&reply);
    }
    assert_eq!(s.w.bridges[0].requests.len(), requests, "the bridge is not bothered");
    s.end();
}

#[test]
fn sessions_of_others_can_not_be_ended() {
    let mut s = Siege::new();
    let sid = s.w.clients[0].sid.clone().unwrap();
    let focus = format!("{ROOM}/focus");
    for action in
        ["session-terminate", "session-accept", "transport-info", "source-add", "session-info", "nonsense"]
    {
        for sid in [sid.as_str(), "", "none"] {
            let payload = format!(
                r#"<jingle xmlns="urn:xmpp:jingle:1" action="{action}" sid="{sid}"><reason><success/></reason></jingle>"#
            );
            let reply = s.get("set", &focus, &payload);
            s.refused(&reply);
        }
    }
    // Straight to the victim: relayed as from the occupant it is, which is not the focus.
    let anna = format!("{ROOM}/{}", s.nick(0));
    let evil = format!("{ROOM}/{}", s.nick(2));
    s.w.meddle = Box::new(move |to, text| {
        let forged = to == crate::world::To::Client(0) && text.contains("id=\"forged\"");
        assert!(!forged || text.contains(&format!("from=\"{evil}\"")), "{text}");
        vec![std::time::Duration::ZERO]
    });
    s.raw(&format!(
        r#"<iq xmlns="jabber:client" type="set" id="forged" to="{anna}" from="{focus}"><jingle xmlns="urn:xmpp:jingle:1" action="session-terminate" sid="{sid}"><reason><success/></reason></jingle></iq>"#
    ));
    s.end();
}

#[test]
fn who_has_no_rights_gets_none() {
    let mut s = Siege::new();
    let (anna, ben) = (s.nick(0), s.nick(1));
    let focus = format!("{ROOM}/focus");
    let evil_bare = s.w.clients[2].stream.jid.split('/').next().unwrap().to_owned();
    for medium in ["audio", "video", "desktop"] {
        for (jid, on) in [(&anna, "true"), (&ben, "true"), (&anna, "false"), (&"focus".to_owned(), "true")] {
            let mute =
                format!(r#"<mute xmlns="http://jitsi.org/jitmeet/{medium}" jid="{ROOM}/{jid}">{on}</mute>"#);
            let reply = s.get("set", &focus, &mute);
            s.refused(&reply);
        }
    }
    let admin =
        |items: &str| format!(r#"<query xmlns="http://jabber.org/protocol/muc#admin">{items}</query>"#);
    for items in [
        format!(r#"<item nick="{anna}" role="none"/>"#),
        r#"<item nick="focus" role="none"/>"#.to_owned(),
        format!(r#"<item affiliation="owner" jid="{evil_bare}"/>"#),
        r#"<item affiliation="none" jid="focus@auth.meet.jitsi"/>"#.to_owned(),
        format!(r#"<item affiliation="outcast" jid="{evil_bare}"/>"#),
    ] {
        let reply = s.get("set", ROOM, &admin(&items));
        s.refused(&reply);
    }
    for inner in [
        "<destroy/>",
        r#"<x xmlns="jabber:x:data" type="submit"/>"#,
        r#"<x xmlns="jabber:x:data" type="cancel"/>"#,
        "",
    ] {
        let payload = format!(r#"<query xmlns="http://jabber.org/protocol/muc#owner">{inner}</query>"#);
        let reply = s.get("set", ROOM, &payload);
        s.refused(&reply);
    }
    let metadata = format!(
        r#"<message xmlns="jabber:client" to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"startMuted","data":{{"audio":true,"video":true}}}}</room_metadata></message>"#
    );
    s.raw(&metadata);
    s.end();
}

#[test]
fn nobody_passes_for_somebody_else() {
    let mut s = Siege::new();
    let (anna, evil) = (s.nick(0), s.nick(2));
    let anna_jid = s.w.clients[0].stream.jid.clone();
    // Presence, messages and requests with a false sender, a nick of somebody else, or to the roles.
    for from in [
        format!("{ROOM}/focus"),
        format!("{ROOM}/{anna}"),
        anna_jid,
        "focus@auth.meet.jitsi/focus".to_owned(),
    ] {
        s.raw(&format!(r#"<presence xmlns="jabber:client" from="{from}" to="{ROOM}/{anna}"/>"#));
        s.raw(&format!(r#"<message xmlns="jabber:client" from="{from}" to="{ROOM}" type="groupchat"><body>ich bin Anna</body></message>"#));
        s.raw(&format!(r#"<message xmlns="jabber:client" from="metadata.meet.jitsi" to="focus@auth.meet.jitsi/focus"><json-message xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"type":"room_metadata","metadata":{{"startMuted":{{"audio":true}}}}}}</json-message></message>"#));
        s.raw(&format!(r#"<message xmlns="jabber:client" from="avmoderation.meet.jitsi" to="{ROOM}/focus" type="chat"><json-message xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"type":"av_moderation","enabled":true,"mediaType":"audio","room":"{ROOM}"}}</json-message></message>"#));
    }
    for nick in ["focus", anna.as_str()] {
        s.raw(&format!(r#"<presence xmlns="jabber:client" to="{ROOM}/{nick}"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#));
    }
    // The bridge: directly, by way of the brewery, and as one of them.
    let colibri = r#"<conference-modify xmlns="jitsi:colibri2" meeting-id="m" create="true"/>"#;
    for to in ["jvb@auth.meet.jitsi/jvb1".to_owned(), format!("{BREWERY}/jvb1")] {
        let id = s.w.act(2, |c| c.request("get", &to, colibri));
        let reply = s.w.clients[2].replies.get(&id);
        assert!(reply.is_none_or(|r| r.attr("type") == Some("error")));
    }
    s.raw(&format!(r#"<presence xmlns="jabber:client" to="{BREWERY}/jvb9"><x xmlns="http://jabber.org/protocol/muc"/><stats xmlns="http://jitsi.org/protocol/colibri"><stat name="stress_level" value="0"/><stat name="drain" value="false"/></stats></presence>"#));
    s.w.seconds(6);
    assert_eq!(s.w.focus.stats().bridge_count, 1, "no false bridge");
    assert_eq!(s.w.bridges[0].shard.load(), (1, 3), "no conference of somebody else");
    // "Anna leaves": it is the sender who does.
    s.raw(&format!(
        r#"<presence xmlns="jabber:client" from="{ROOM}/{anna}" to="{ROOM}/{anna}" type="unavailable"/>"#
    ));
    for n in [0, 1] {
        let c = &s.w.clients[n];
        assert!(!c.occupants["focus"].to_xml().contains(&evil));
    }
    s.end();
}

#[test]
fn stanzas_that_are_none_cost_only_their_sender() {
    let mut s = Siege::new();
    let focus = format!("{ROOM}/focus");
    for frame in [
        "<",
        "<<<>>>",
        "&",
        "\u{0}",
        "<iq",
        "<iq/>",
        "<presence/>",
        "<message/>",
        "</iq>",
        "<a><b></a></b>",
        "<!DOCTYPE x [<!ENTITY e 'x'>]><iq>&e;</iq>",
        "<?xml version='1.0'?>",
        "<iq xmlns='jabber:client' type='set'/>",
    ] {
        s.raw(frame);
    }
    s.raw(&format!("<iq xmlns='jabber:client' type='set' id='1' to='{focus}'/>"));
    s.raw(&format!("<iq xmlns='jabber:client' type='banana' id='banana' to='{focus}'><x xmlns='y'/></iq>"));
    s.raw(&format!(
        "<iq xmlns='jabber:client' type='set' id='2' to='{focus}'><jingle xmlns='urn:xmpp:jingle:1'/></iq>"
    ));
    s.raw(&format!(
        "<iq xmlns='jabber:client' type='set' id='3' to='{focus}'>{}{}</iq>",
        "<a xmlns='b'>".repeat(25),
        "</a>".repeat(25)
    ));
    s.raw(&format!("<iq xmlns='jabber:client' type='result' id='f-1' to='{focus}'><conference-modified xmlns='jitsi:colibri2'/></iq>"));
    s.raw(&format!("<presence xmlns='jabber:client' to='{ROOM}/{}' type='error'/>", s.nick(0)));
    s.raw("<iq xmlns='jabber:client' type='set' id='4' to='@@@'><x xmlns='y'/></iq>");
    s.raw(&format!("<message xmlns='jabber:client' to='{ROOM}' type='groupchat'><json-message xmlns='http://jitsi.org/jitmeet'>{{{{{{</json-message></message>"));
    s.undisturbed();
    // Beyond every limit of depth and size: the stream may end, nobody else's does.
    s.raw(&format!(
        "<iq xmlns='jabber:client' type='set' id='5' to='{focus}'>{}{}</iq>",
        "<a>".repeat(2000),
        "</a>".repeat(2000)
    ));
    s.raw(&format!(
        "<message xmlns='jabber:client' to='{ROOM}' type='groupchat'><body>{}</body></message>",
        "x".repeat(300_000)
    ));
    s.end();
}

#[test]
fn a_flood_of_requests_costs_only_its_sender() {
    let mut s = Siege::new();
    for n in 0..300 {
        s.raw(&format!(r#"<iq xmlns="jabber:client" id="flood{n}" to="focus.meet.jitsi" type="set"><conference room="room{n}@muc.meet.jitsi" xmlns="http://jitsi.org/protocol/focus"/></iq>"#));
    }
    assert!(s.w.focus.stats().conferences <= 12, "{}", s.w.focus.stats().conferences);
    let answered = (0..300).filter(|n| s.w.clients[2].replies.contains_key(&format!("flood{n}"))).count();
    assert_eq!(answered, 300);
    for _ in 0..50 {
        s.w.act(2, |c| {
            let (sid, session) = (c.sid.take().unwrap_or_default(), c.bridge_session.clone());
            c.request("set", &format!("{ROOM}/focus"), &format!(r#"<jingle xmlns="urn:xmpp:jingle:1" action="session-terminate" sid="{sid}"><reason><connectivity-error/></reason><bridge-session xmlns="http://jitsi.org/protocol/focus" id="{session}" restart="true"/></jingle>"#))
        });
    }
    s.w.seconds(30);
    assert!(s.w.clients[2].sessions <= 7, "{} sessions", s.w.clients[2].sessions);
    s.end();
}

#[test]
fn media_and_channel_of_somebody_hostile_reach_nobody_under_another_name() {
    let mut s = Siege::new();
    let (anna, now) = (s.w.clients[0].ssrc() + 50, s.w.now);
    s.w.assert_all_hear_each_other();
    let known = s.w.clients[1].mapped("AudioSourcesMap")[&format!("{}-a0", s.nick(0))].1;
    let before = s.w.clients[1].heard(known);
    let evil = s.nick(2);
    let peer = &mut s.w.clients[2].media.as_mut().unwrap().peer;
    for n in 0..20u16 {
        let mut packet = vec![0x80, 111];
        packet.extend(n.to_be_bytes());
        packet.extend([0; 4]);
        packet.extend(anna.to_be_bytes());
        packet.extend([9; 30]);
        peer.send_rtp(&packet);
        // BYE in the name of somebody else, and noise.
        let mut bye = vec![0x81, 203, 0, 1];
        bye.extend(anna.to_be_bytes());
        peer.send_rtcp(&bye);
        peer.sent.push(vec![n as u8; 40]);
        peer.sent.push(vec![0x80; 13]);
    }
    for text in [
        "{",
        "[]",
        "null",
        r#"{"colibriClass":7}"#,
        r#"{"colibriClass":"DominantSpeakerEndpointChangeEvent","dominantSpeakerEndpoint":"x"}"#,
        r#"{"colibriClass":"ReceiverVideoConstraints","lastN":-99999999999,"constraints":{"x":{"maxHeight":"y"}}}"#,
        r#"{"colibriClass":"EndpointMessage","to":"","from":"someone","msgPayload":{"text":"ich bin es"}}"#,
    ] {
        peer.say(now, text);
    }
    s.w.seconds(2);
    assert_eq!(s.w.clients[1].heard(known), before, "nobody speaks with Anna's voice");
    for n in [0, 1] {
        let texts = &s.w.clients[n].media.as_ref().unwrap().peer.texts;
        let messages: Vec<_> = texts.iter().filter(|t| t.contains("ich bin es")).collect();
        assert_eq!(messages.len(), 1);
        assert!(messages[0].contains(&format!(r#""from":"{evil}""#)) && !messages[0].contains("someone"));
        assert!(texts.iter().all(|t| !t.contains(r#""dominantSpeakerEndpoint":"x""#)));
    }
    s.end();
}
