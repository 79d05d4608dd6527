//! A name that one part takes all parts take, and one that one part refuses all refuse: the list of `scenarios::names`
//! through XMPP server, focus and bridge. The front is held to the same list in `plausch/src/front/paths.rs`.

use jitsi_xmpp::colibri2::ConferenceModify;
use jitsi_xmpp::{Element, FullJid, Jid, RoomDomains, ns};
use scenarios::names;

use crate::world::World;

const ROOMS: RoomDomains<'_> = RoomDomains::new("meet.jitsi", "muc.meet.jitsi", true);

/// What each part says to one address of a room.
struct Parts {
    w: World,
    asked: u32,
}

impl Parts {
    fn new() -> Self {
        let mut w = World::new();
        w.client("Anna");
        Self { w, asked: 0 }
    }

    /// Whether the XMPP server takes it for an address of a room: it then only says that there is none, or nothing of it.
    fn xmpp(&mut self, jid: &str) -> bool {
        let escaped = escape(jid);
        let back =
            self.w.request(0, "get", &escaped, r#"<query xmlns="http://jabber.org/protocol/disco#info"/>"#);
        let error = back.child_named("error").and_then(|e| e.first_child().map(|c| c.name().to_owned()));
        !matches!(error.as_deref(), Some("jid-malformed" | "not-allowed"))
    }

    fn focus(&mut self, jid: &str) -> bool {
        // As long as a budget takes.
        self.asked += 1;
        let request = Element::new("conference", ns::FOCUS).with_attr("room", jid).to_xml();
        let id = self.w.act(0, |c| c.request("set", "focus.meet.jitsi", &request));
        self.w.seconds(2);
        let back = self.w.clients[0].replies.remove(&id).unwrap_or_else(|| panic!("{jid:?} is answered"));
        back.child("conference", ns::FOCUS).is_some_and(|c| c.attr("ready") == Some("true"))
    }

    fn bridge(jid: &str) -> bool {
        let modify = Element::new("conference-modify", ns::COLIBRI2)
            .with_attr("meeting-id", "m")
            .with_attr("name", jid)
            .with_attr("create", "true");
        let iq = Element::new("iq", ns::CLIENT).with_attr("type", "set").with_child(modify);
        ConferenceModify::from_iq(&iq).is_some_and(|m| m.is_ok())
    }

    fn assert(&mut self, jid: &str, expected: bool) {
        let library = jid.parse::<Jid>().is_ok_and(|jid| ROOMS.read(&jid).is_ok());
        let said = [("address", library), ("xmpp", self.xmpp(jid)), ("focus", self.focus(jid))];
        assert_eq!(said, [("address", expected), ("xmpp", expected), ("focus", expected)], "{jid:?}");
        // The bridge knows no domains, but every name that can be a room's.
        assert!(!expected || Self::bridge(jid), "{jid:?}");
        if jid.split('@').next().is_some_and(|node| node.starts_with('[')) {
            assert!(!Self::bridge(jid), "{jid:?}");
        }
    }

    fn end(mut self) {
        self.w.seconds(30);
        self.w.end();
    }
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    jitsi_xmpp::xml::escape_attr(text, &mut out);
    out
}

/// Characters that no XML has cannot be sent to anybody.
fn sendable(text: &str) -> bool {
    let mut out = String::new();
    jitsi_xmpp::xml::escape_text(text, &mut out);
    let e = jitsi_xmpp::xml::parse(format!("<a>{out}</a>").as_bytes());
    e.is_ok_and(|e| e.text() == text)
}

#[test]
fn tenants_are_tenants_in_all_parts() {
    let mut parts = Parts::new();
    for (tenant, expected) in names::tenants() {
        // Clients put it into the domain in lower case, with `_` for dots.
        let label = tenant.to_lowercase().replace('.', "_");
        if sendable(&label) {
            parts.assert(&format!("rathaus@muc.{label}.meet.jitsi"), expected);
        }
    }
    parts.end();
}

#[test]
fn rooms_are_rooms_in_all_parts() {
    let mut parts = Parts::new();
    for (_, node) in names::typed() {
        for domain in ["muc.meet.jitsi", "muc.town.meet.jitsi"] {
            if let Some(node) = &node {
                parts.assert(&format!("{node}@{domain}"), true);
            }
        }
    }
    for (node, expected) in names::nodes() {
        if sendable(&node) {
            parts.assert(&format!("{node}@muc.town.meet.jitsi"), expected);
        }
    }
    parts.end();
}

#[test]
fn nicks_are_nicks_in_all_parts() {
    let mut parts = Parts::new();
    for (nick, expected) in names::nicks() {
        let jid = format!("rathaus@muc.meet.jitsi/{nick}");
        assert_eq!(jid.parse::<FullJid>().is_ok(), expected, "{nick:?}");
        if sendable(&nick) {
            assert_eq!(parts.xmpp(&jid), expected, "{nick:?}");
        }
    }
    parts.end();
}

#[test]
fn display_names_arrive_as_they_are() {
    let mut w = World::new();
    w.meeting(&["Anna", "Ben"]);
    let anna = w.clients[0].nick.clone();
    for name in names::display_names() {
        let room = w.clients[0].room.clone();
        let conn = w.clients[0].stream.conn.unwrap();
        let presence = Element::new("presence", ns::CLIENT)
            .with_attr("to", format!("{room}/{anna}"))
            .with_child(Element::new("nick", ns::NICK).with_text(name.as_str()));
        w.raw(conn, presence.to_xml().as_bytes());
        // Presence is spread out in time.
        w.seconds(2);
        let seen = w.clients[1].occupants[&anna].child("nick", ns::NICK).map(Element::text);
        assert_eq!(seen.as_deref(), Some(name.as_str()));
    }
    w.end();
}
