//! The texts that clients send, with the content and size that lib-jitsi-meet's have.

use super::target::Target;

/// Opens a stream (RFC 7395 §3.3).
pub(super) fn open(domain: &str) -> String {
    format!(r#"<open to="{domain}" version="1.0" xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#)
}

/// The HTTP request that becomes the WebSocket.
pub(super) fn upgrade(target: &Target) -> String {
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: xmpp\r\nOrigin: https://{}\r\n\r\n",
        target.path, target.host, target.domain
    )
}

/// Says goodbye, so that the session does not wait to be resumed.
pub(super) const GOODBYE: [&str; 2] = [
    r#"<presence type="unavailable" xmlns="jabber:client"/>"#,
    r#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#,
];

/// Asks the focus for a meeting, as clients do before they join.
pub(super) fn conference_request(target: &Target, room: &str) -> String {
    format!(
        r#"<iq id="focus:sendIQ" to="{}" type="set" xmlns="jabber:client"><conference machine-uid="00112233445566778899aabbccddeeff" room="{room}" xmlns="http://jitsi.org/protocol/focus"><property name="rtcstatsEnabled" value="false"/><property name="visitors-version" value="1"/></conference></iq>"#,
        target.focus_domain
    )
}

/// A ping to the server (XEP-0199).
pub(super) fn ping(target: &Target) -> String {
    format!(
        r#"<iq id="ping:sendIQ" to="{}" type="get" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>"#,
        target.domain
    )
}

/// The plain answer to a request of the server, the focus or another occupant.
pub(super) fn result(id: &str, to: Option<&str>) -> String {
    let to = to.map(|to| format!(r#" to="{to}""#)).unwrap_or_default();
    format!(r#"<iq id="{id}"{to} type="result" xmlns="jabber:client"/>"#)
}

/// Acknowledges what was received (XEP-0198).
pub(super) fn ack(handled: u32) -> String {
    format!(r#"<a h="{handled}" xmlns="urn:xmpp:sm:3"/>"#)
}

/// The focus enters a room, which it thereby opens.
pub(super) fn focus_join(room: &str) -> String {
    format!(
        r#"<presence to="{room}/focus" xmlns="jabber:client"><x xmlns="http://jabber.org/protocol/muc"/><nick xmlns="http://jabber.org/protocol/nick">focus</nick></presence>"#
    )
}

/// Leaves a room.
pub(super) fn leave(room: &str, nick: &str) -> String {
    format!(r#"<presence to="{room}/{nick}" type="unavailable" xmlns="jabber:client"/>"#)
}

/// A full presence; `mark` is the stamp. What the server adds brings it to about 1.5 KB.
pub(super) fn presence(room: &str, nick: &str, mark: &str, joining: bool, muted: bool) -> String {
    let muc = if joining { r#"<x xmlns="http://jabber.org/protocol/muc"/>"# } else { "" };
    format!(
        concat!(
            r#"<presence to="{room}/{nick}" xmlns="jabber:client">{muc}"#,
            "<jitsi_participant_stamp>{mark}</jitsi_participant_stamp>",
            "<stats-id>Destiny-6NI</stats-id>",
            r#"<c hash="sha-1" node="https://jitsi.org/jitsi-meet" ver="+mpajJhafj8jFogLBKsPbQfMgzU=" xmlns="http://jabber.org/protocol/caps"/>"#,
            r#"<features><feature var="https://jitsi.org/meet/e2ee"/></features>"#,
            "<SourceInfo>{{&quot;{nick}-a0&quot;:{{&quot;muted&quot;:{muted}}},&quot;{nick}-v0&quot;:{{&quot;muted&quot;:false,&quot;videoType&quot;:&quot;camera&quot;}},&quot;{nick}-v1&quot;:{{&quot;muted&quot;:true,&quot;videoType&quot;:&quot;desktop&quot;}}}}</SourceInfo>",
            "<jitsi_participant_codecList>av1,vp9,vp8,h264</jitsi_participant_codecList>",
            "<jitsi_participant_region>eu-central-1</jitsi_participant_region>",
            "<jitsi_participant_e2ee.idKey.curve25519>TSfXoWPiB3mgqvMxC3p0QCR2XoHTHZcQE0n9oQMbWFE</jitsi_participant_e2ee.idKey.curve25519>",
            "<jitsi_participant_e2ee.idKey.ed25519>gVYmoLJX6XBj6YBYrxWgLxLMcXbcQEXvsLcGoUlS9nU</jitsi_participant_e2ee.idKey.ed25519>",
            "<jitsi_participant_features_screen-sharing>true</jitsi_participant_features_screen-sharing>",
            "<jitsi_participant_raisedHand></jitsi_participant_raisedHand>",
            r#"<nick xmlns="http://jabber.org/protocol/nick">Participant {nick}</nick></presence>"#
        ),
        room = room,
        nick = nick,
        muc = muc,
        mark = mark,
        muted = muted,
    )
}

/// A chat message of about 200 bytes.
pub(super) fn chat(room: &str, mark: &str) -> String {
    format!(
        r#"<message id="{mark}" to="{room}" type="groupchat" xmlns="jabber:client"><body>{mark} Can everybody see the slides? I would like to begin with the second page.</body></message>"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_xml_and_the_sizes_are_those_of_real_clients() {
        let target = Target::new("ws://127.0.0.1:1/x", "meet.jitsi", None, None, None).unwrap();
        let room = "load1@muc.meet.jitsi";
        let all = [
            open("meet.jitsi"),
            conference_request(&target, room),
            ping(&target),
            result("a", Some("b")),
            ack(7),
            focus_join(room),
            leave(room, "508357ca"),
            presence(room, "508357ca", "c12", true, false),
            chat(room, "c12"),
        ];
        for text in all.iter().map(String::as_str).chain(GOODBYE) {
            jitsi_xmpp::xml::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"));
        }
        let size = presence(room, "508357ca", "c12", false, true).len();
        assert!((1_150..1_400).contains(&size), "{size}");
        let size = chat(room, "c12").len();
        assert!((150..250).contains(&size), "{size}");
    }
}
