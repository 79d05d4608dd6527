//! A room with all its modules: what two of its occupants say in; a panic when something that was refused had an effect.

use std::time::{Duration, Instant};

use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::xml;
use prosody_core::{ComponentHost, Config, ConnId, Output, Server, SessionQuery, Transport};

/// Between frames; no XML has it, no UTF-8 either.
const FRAME: u8 = 0xff;
const ROOM: &str = "rathaus@muc.meet.jitsi";
const OPEN: &[u8] = br#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.jitsi" version="1.0"/>"#;
const FOCUS: ConnId = ConnId(1);
const EVE: ConnId = ConnId(2);
const ANNA: ConnId = ConnId(3);
const BEN: ConnId = ConnId(4);
const WATCHER: ConnId = ConnId(5);

/// A stanza that is answered with an error changes nothing: nobody else hears anything, and the room is to the focus and to
/// a newcomer what it was before.
///
/// Frames are of Eve, who may nothing, or of Anna, a moderator, when they begin with `!`. `$EVE`, `$ANNA` and `$BEN` stand
/// for nicks, `$ANNAJID` for an address.
pub fn z20_rules(data: &[u8]) {
    let mut r = Room::new();
    for frame in data.split(|b| *b == FRAME).take(16) {
        let (who, frame) = frame.strip_prefix(b"!").map_or((EVE, frame), |rest| (ANNA, rest));
        if r.closed.contains(&who) {
            continue;
        }
        let frame = r.spoken(frame);
        // What is an error itself may come back as it was sent.
        let said = xml::parse(&frame).ok();
        let is_error = said.as_ref().is_none_or(|s| s.attr("type") == Some("error"));
        let before = r.view();
        let heard = r.say(who, &frame);
        let (to_speaker, to_others): (Vec<_>, Vec<_>) = heard.into_iter().partition(|(to, _)| *to == who);
        let refused = to_speaker.iter().any(|(_, text)| {
            xml::parse(text.as_bytes()).is_ok_and(|e| e.is_stanza() && e.attr("type") == Some("error"))
        });
        // Items of one query are done in order, and the first that fails ends it: those before it stay.
        let in_order = said.as_ref().is_some_and(|s| s.children().any(|q| q.children().count() > 1));
        if refused && !is_error && !in_order && !r.closed.contains(&who) {
            assert!(to_others.is_empty(), "refused, and others heard {to_others:?}");
            assert_eq!(r.view(), before, "refused, and yet something changed");
        }
        r.now += Duration::from_millis(100);
    }
}

/// Every module that has a say in what people do in a room, beyond those of the layout.
fn with_all(config: &mut Config) {
    let Some(meetings) = config.hosts.rooms.first_mut() else { return };
    meetings.modules.extend(MODULES.iter().map(|m| (*m).to_owned()));
    meetings.policy.hide_names = true;
    let rooms = meetings.domain.clone();
    for (label, module) in COMPONENTS {
        config.hosts.components.push(ComponentHost {
            domain: format!("{label}.meet.jitsi"),
            module: (*module).to_owned(),
            rooms: rooms.clone(),
        });
    }
}

const MODULES: &[&str] = &[
    "filter_iq_jibri",
    "filter_iq_rayo",
    "frozen_nick",
    "jibri_session",
    "muc_cleanup_backend_services",
    "muc_displayname",
    "muc_flip",
    "muc_message_moderation",
    "presence_identity",
    "shadow_ban",
];

const COMPONENTS: &[(&str, &str)] =
    &[("filesharing", "filesharing_component"), ("audiotranslation", "audio_translation_component")];

struct Room {
    server: Server,
    now: Instant,
    closed: Vec<ConnId>,
    words: Vec<(&'static str, String)>,
}

impl Room {
    fn new() -> Self {
        let mut config = Config::for_domain("meet.jitsi").expect("a domain");
        with_all(&mut config);
        let now = Instant::now();
        let mut server = Server::new(config, Box::new(SeededEntropy::new(1)), now);
        server.handle_clock(now, Duration::from_secs(1_795_390_567));
        let mut r = Self { server, now, closed: Vec::new(), words: Vec::new() };
        let focus = Transport::InProcess("focus@auth.meet.jitsi/focus".parse().expect("an address"));
        r.server.handle_open(now, FOCUS, focus, SessionQuery::default());
        r.enter(FOCUS, "focus");
        for (conn, word) in [(EVE, "$EVE"), (ANNA, "$ANNA"), (BEN, "$BEN"), (WATCHER, "$WATCHER")] {
            let jid = r.log_in(conn);
            let nick = jid.get(..8).unwrap_or_default().to_owned();
            if conn != WATCHER {
                r.enter(conn, &nick);
            }
            if conn == ANNA {
                let bare = jid.split('/').next().unwrap_or_default();
                r.say(FOCUS, format!(r#"<iq type="set" id="go" to="{ROOM}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="owner" jid="{bare}"/></query></iq>"#).as_bytes());
                r.words.push(("$ANNAJID", bare.to_owned()));
            }
            r.words.push((word, nick));
        }
        // A first look leaves that somebody has been there.
        r.view();
        r
    }

    fn log_in(&mut self, conn: ConnId) -> String {
        self.server.handle_open(self.now, conn, Transport::WebSocket, SessionQuery::default());
        self.say(conn, OPEN);
        self.say(conn, br#"<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>"#);
        self.say(conn, OPEN);
        let bound = self.say(conn, br#"<iq xmlns="jabber:client" type="set" id="b"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>"#);
        let jid = bound.iter().find_map(|(_, f)| f.split("<jid>").nth(1)?.split("</jid>").next());
        jid.expect("bound").to_owned()
    }

    fn enter(&mut self, conn: ConnId, nick: &str) -> Vec<(ConnId, String)> {
        let join = format!(
            r#"<presence xmlns="jabber:client" to="{ROOM}/{nick}" id="j"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#
        );
        self.say(conn, join.as_bytes())
    }

    /// What everybody hears when this is said.
    fn say(&mut self, conn: ConnId, frame: &[u8]) -> Vec<(ConnId, String)> {
        self.server.handle_frame(self.now, conn, frame);
        let mut heard = Vec::new();
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Send { conn, frame } => {
                    heard.push((conn, String::from_utf8_lossy(&frame.pieces().concat()).into_owned()));
                }
                Output::Close { conn, .. } => self.closed.push(conn),
                _ => {}
            }
        }
        heard
    }

    /// What the focus reads and a newcomer is told. Leaves nothing behind.
    fn view(&mut self) -> Vec<String> {
        let mut seen = Vec::new();
        let asks = [
            ("muc#owner", String::new()),
            ("disco#info", String::new()),
            ("muc#admin", r#"<item affiliation="owner"/>"#.into()),
            ("muc#admin", r#"<item affiliation="member"/>"#.into()),
            ("muc#admin", r#"<item affiliation="outcast"/>"#.into()),
        ];
        for (space, inside) in asks {
            let ask = format!(
                r#"<iq type="get" id="v" to="{ROOM}"><query xmlns="http://jabber.org/protocol/{space}">{inside}</query></iq>"#
            );
            seen.extend(self.say(FOCUS, ask.as_bytes()));
        }
        let nick =
            self.words.iter().find(|(w, _)| *w == "$WATCHER").map(|(_, n)| n.clone()).unwrap_or_default();
        seen.extend(self.enter(WATCHER, &nick).into_iter().filter(|(to, _)| *to == WATCHER));
        self.say(WATCHER, format!(r#"<presence to="{ROOM}/{nick}" type="unavailable"/>"#).as_bytes());
        // Ids that are made anew each time say nothing.
        seen.into_iter().map(|(_, text)| without_ids(&text)).collect()
    }

    fn spoken(&self, frame: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(frame) else { return frame.to_vec() };
        let text = text.replace("$ROOM", ROOM);
        self.words.iter().fold(text, |text, (word, meant)| text.replace(word, meant)).into_bytes()
    }
}

fn without_ids(text: &str) -> String {
    let Ok(mut e) = xml::parse(text.as_bytes()) else { return text.to_owned() };
    e.set_attr("id", "");
    e.to_xml()
}
