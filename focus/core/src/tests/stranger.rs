//! What a hostile participant does, in any order and as often as it likes: nobody else in the room loses anything, another room does not
//! even notice, every request is answered once, and nothing that the focus says could cost it its own link (reliability Z24, Z25, C9).

use std::collections::BTreeSet;

use jitsi_xmpp::{Element, ns};
use proptest::prelude::*;

use super::world::{ME, NEW, OLD, ROOM, World, camera};
use crate::{Config, limits};

const OTHER: &str = "ruhe@muc.meet.jitsi";
const RECORDERS: &str = "jibribrewery@internal-muc.meet.jitsi";
const GATEWAYS: &str = "jigasibrewery@internal-muc.meet.jitsi";
/// Who is hostile. The second one's nick begins with that of somebody else.
pub(super) const HOSTILE: [&str; 2] = ["mallory1", "anna0001-x"];
/// Anna's camera is of SSRCs from here on, Ben's of a thousand more.
pub(super) const ANNA: u32 = 1_000;

/// One thing that happens.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// A hostile presence with these children.
    Presence(usize, String),
    Join(usize, bool),
    Leave(usize, &'static str),
    /// A Jingle request of its own session, or of one that it has made up.
    Jingle(usize, &'static str, String, bool),
    Ask(usize, &'static str, String),
    /// What its client could say in its session, with something absurd in it.
    Mutated(usize, u64),
    /// What a client does that is well.
    Accept(usize),
    /// Anna's camera goes off, or on again.
    Camera,
    /// Something happens in the other room.
    Elsewhere,
    Pass(u64),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["", "true", "false", "0", "-1", "4294967295", "v0", "anna0001", "ben00002", "mallory1"])
            .prop_map(str::to_owned),
        1 => "[ -~]{0,16}".prop_map(|t| escaped(&t)),
        1 => Just("x".repeat(257)),
        1 => Just("&quot;".repeat(256)),
        1 => Just("&amp;".repeat(1_500)),
    ]
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    jitsi_xmpp::xml::escape_attr(text, &mut out);
    out
}

/// An SSRC: of somebody, of its own, or none.
fn ssrc() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (ANNA..ANNA + 6).prop_map(|n| n.to_string()),
        1 => Just((ANNA + 100).to_string()),
        2 => (2 * ANNA..2 * ANNA + 6).prop_map(|n| n.to_string()),
        4 => (50_000_u32..50_030).prop_map(|n| n.to_string()),
        1 => prop::sample::select(vec!["0", "-1", "abc", "4294967295", "4294967296", "99999999999999999999", ""])
            .prop_map(str::to_owned),
    ]
}

fn name(of: usize) -> impl Strategy<Value = String> {
    let own = HOSTILE[of];
    prop_oneof![
        4 => prop::sample::select(vec!["a0", "v0", "v1", "v2"]).prop_map(move |n| format!(" name='{own}-{n}'")),
        2 => prop::sample::select(vec!["anna0001-a0", "anna0001-v0", "ben00002-v0", "jvb-v0"]).prop_map(|n| format!(" name='{n}'")),
        1 => Just(String::new()),
        1 => text().prop_map(move |t| format!(" name='{own}-{t}'")),
    ]
}

fn msid(of: usize) -> impl Strategy<Value = String> {
    let own = HOSTILE[of];
    let value = prop_oneof![
        3 => (0..3).prop_map(move |n| format!("{own}-video-{n}-1 t1")),
        2 => prop::sample::select(vec!["anna0001-video-0-1 t1", "anna0001-video-1-1 t1", "anna0001-audio-0-1 t0", "ben00002-video-0-1 t1"])
            .prop_map(str::to_owned),
        1 => text(),
    ];
    value.prop_map(|v| format!("<parameter name='msid' value='{v}'/>"))
}

fn source(of: usize) -> impl Strategy<Value = String> {
    (ssrc(), name(of), prop::option::of(msid(of))).prop_map(|(ssrc, name, msid)| {
        format!("<source{SSMA} ssrc='{ssrc}'{name}>{}</source>", msid.unwrap_or_default())
    })
}

fn group() -> impl Strategy<Value = String> {
    let semantics = prop::sample::select(vec!["SIM", "FID", "FEC-FR", ""]);
    (semantics, prop::collection::vec(ssrc(), 0..5)).prop_map(|(semantics, ssrcs)| {
        let inner: String = ssrcs.iter().map(|s| format!("<source ssrc='{s}'/>")).collect();
        format!("<ssrc-group{SSMA} semantics='{semantics}'>{inner}</ssrc-group>")
    })
}

/// Contents of a Jingle request.
fn contents(of: usize) -> impl Strategy<Value = String> {
    let rtp = (
        prop::sample::select(vec!["audio", "video", "data", "", "&quot;"]),
        prop::collection::vec(source(of), 0..5),
        prop::collection::vec(group(), 0..3),
    );
    let rtp = rtp.prop_map(|(media, sources, groups)| {
        format!(
            "<content name='{media}'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='{media}'>{}{}</description>{TRANSPORT}</content>",
            sources.concat(),
            groups.concat()
        )
    });
    let many = (0_u32..2, text()).prop_map(move |(which, t)| {
        // As many as may be, each with the longest name that may be.
        let t: String = if which == 0 && t.len() < 1_000 { t } else { "&apos;".repeat(250 - HOSTILE[of].len()) };
        let all: String = (0..limits::SSRCS_PER_PARTICIPANT)
            .map(|n| {
                let n = 60_000 + 100 * of + n;
                format!("<source{SSMA} ssrc='{n}' name='{}-{t}'><parameter name='msid' value='{n}{}'/></source>", HOSTILE[of], "&lt;".repeat(250))
            })
            .collect();
        format!("<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>{all}</description></content>")
    });
    let compact = text().prop_map(|t| {
        format!(
            "<json-message xmlns='http://jitsi.org/jitmeet'>{{\"sources\":{{\"anna0001\":[[{{\"s\":1000,\"n\":\"anna0001-v0\",\"m\":\"{t}\"}}],[],[],[]]}}}}</json-message>"
        )
    });
    let odd = (text(), 0_usize..3).prop_map(|(t, which)| match which {
        0 => format!("<content name='{t}'>{}</content>", "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/>".repeat(50)),
        1 => format!("<bridge-session xmlns='http://jitsi.org/protocol/focus' id='{t}' restart='true'/>"),
        _ => format!("<bridge-session xmlns='http://jitsi.org/protocol/focus' id='{t}' ice-restart='true'/><reason><success/></reason>"),
    });
    prop_oneof![8 => prop::collection::vec(rtp, 1..3).prop_map(|all| all.concat()), 2 => many, 1 => compact, 2 => odd]
}

/// What stands in a presence.
fn said() -> impl Strategy<Value = String> {
    let one = prop_oneof![
        (text(), text()).prop_map(|(a, b)| format!("<SourceInfo>{{\"anna0001-{a}\":{{\"muted\":{b},\"videoType\":\"camera\"}}}}</SourceInfo>")),
        text().prop_map(|t| format!("<SourceInfo>{}{t}{}</SourceInfo>", "[".repeat(300), "]".repeat(300))),
        text().prop_map(|t| format!("<SourceInfo>{{\"a\":{{}},\"a\":{{\"muted\":false,\"mediaType\":\"{t}\"}}}}</SourceInfo>")),
        text().prop_map(|t| format!("<jitsi_participant_codecList>vp8,{t},av1,av1</jitsi_participant_codecList>")),
        text().prop_map(|t| format!("<jitsi_participant_region>{t}</jitsi_participant_region><stats-id>{t}</stats-id>")),
        text().prop_map(|t| format!("<c xmlns='http://jabber.org/protocol/caps' hash='{t}' node='{t}' ver='anna0001'/>")),
        Just("<features><feature var='http://jitsi.org/protocol/jibri'/><feature var='http://jitsi.org/protocol/transcriber'/></features>".to_owned()),
        text().prop_map(|t| format!("<jibri-recording-status xmlns='http://jitsi.org/protocol/jibri' status='{t}' session_id='{t}'/>")),
        text().prop_map(|t| format!("<transcription-status xmlns='http://jitsi.org/protocol/transcription' status='{t}'/>")),
        text().prop_map(|t| format!("<conference-properties xmlns='http://jitsi.org/protocol/focus'><property key='bridge-count' value='{t}'/></conference-properties>")),
        text().prop_map(|t| format!("<bridgeNotAvailable xmlns='http://jitsi.org/protocol/focus'/><audiomuted>{t}</audiomuted>")),
        text().prop_map(|t| format!("<nick xmlns='http://jabber.org/protocol/nick'>{t}</nick><x xmlns='http://jabber.org/protocol/muc'/>")),
        Just("<stats xmlns='http://jitsi.org/protocol/colibri'><stat name='stress_level' value='0'/></stats>".to_owned()),
        Just(format!("{}{}", "<a>".repeat(25), "</a>".repeat(25))),
        Just("<a/>".repeat(2_000)),
        Just("<SourceInfo xmlns='urn:wrong'>{}</SourceInfo><region/><source-info/>".to_owned()),
    ];
    prop::collection::vec(one, 0..4).prop_map(|all| all.concat())
}

/// Requests beside Jingle.
fn wish() -> impl Strategy<Value = (&'static str, String)> {
    let medium = prop::sample::select(vec!["audio", "video", "desktop", "smell"]);
    let whom = prop::sample::select(vec!["anna0001", "ben00002", "mallory1", "focus", "nobody"]);
    let payload = prop_oneof![
        3 => (medium, whom, text()).prop_map(|(m, w, t)| format!("<mute xmlns='http://jitsi.org/jitmeet/{m}' jid='{ROOM}/{w}' actor='{t}'>{t}</mute>")),
        1 => text().prop_map(|t| format!("<mute xmlns='http://jitsi.org/jitmeet/audio' jid='{t}'>true</mute>")),
        2 => (text(), prop::sample::select(vec!["start", "stop", ""])).prop_map(|(t, a)| {
            format!("<jibri xmlns='http://jitsi.org/protocol/jibri' action='{a}' recording_mode='file' app_data='{t}' session_id='{t}'/>")
        }),
        1 => text().prop_map(|t| format!("<jibri xmlns='http://jitsi.org/protocol/jibri' action='start' recording_mode='stream' streamid='{t}'/>")),
        2 => text().prop_map(|t| {
            format!("<dial xmlns='urn:xmpp:rayo:1' to='{t}' from='x'><header name='JvbRoomName' value='{ROOM}'/><header name='{t}' value='{t}'/></dial>")
        }),
        1 => Just(format!("<dial xmlns='urn:xmpp:rayo:1' to='jitsi_meet_transcribe'><header name='JvbRoomName' value='{OTHER}'/></dial>")),
        1 => text().prop_map(|t| format!("<conference xmlns='http://jitsi.org/protocol/focus' room='{ROOM}' machine-uid='{t}'><property name='{t}' value='{t}'/></conference>")),
        1 => text().prop_map(|t| format!("<conference xmlns='http://jitsi.org/protocol/focus' room='{t}' machine-uid='x'/>")),
        1 => text().prop_map(|t| format!("<logout xmlns='http://jitsi.org/protocol/focus' session-id='{t}'/>")),
        1 => text().prop_map(|t| format!("<visitors xmlns='jitsi:visitors' room='{ROOM}'><promotion-response userId='{t}' allow='true'/></visitors>")),
        1 => text().prop_map(|t| format!("<conference-modify xmlns='jitsi:colibri2' meeting-id='{t}' expire='true'/>")),
        1 => text().prop_map(|t| format!("<query xmlns='http://jabber.org/protocol/disco#info' node='{t}'/>")),
        1 => Just("<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>".to_owned()),
        1 => Just(String::new()),
        1 => text().prop_map(|t| format!("<json-message xmlns='http://jitsi.org/jitmeet' room='{ROOM}'>{{\"type\":\"room_metadata\",\"metadata\":{{\"a\":\"{t}\"}}}}</json-message>")),
        1 => (text(), 0_usize..6).prop_map(|(t, n)| format!("<{0} xmlns='urn:x' a='{t}'>{1}</{0}>", ["jingle", "mute", "jibri", "dial", "error", "ping"][n], t)),
    ];
    (prop::sample::select(vec!["set", "set", "set", "get", "result", "error"]), payload)
}

fn op() -> impl Strategy<Value = Op> {
    let action = prop::sample::select(vec![
        "session-accept",
        "session-accept",
        "source-add",
        "source-add",
        "source-add",
        "source-remove",
        "source-remove",
        "transport-info",
        "session-terminate",
        "session-info",
        "session-initiate",
        "transport-replace",
        "content-modify",
        "nonsense",
    ]);
    let jingle = (0..HOSTILE.len()).prop_flat_map(move |who| {
        (action.clone(), contents(who), any::<bool>())
            .prop_map(move |(action, inner, own)| Op::Jingle(who, action, inner, own))
    });
    let who = || 0..HOSTILE.len();
    prop_oneof![
        6 => jingle,
        3 => (who(), wish()).prop_map(|(who, (kind, payload))| Op::Ask(who, kind, payload)),
        3 => (who(), said()).prop_map(|(who, said)| Op::Presence(who, said)),
        2 => (who(), any::<bool>()).prop_map(|(who, new)| Op::Join(who, new)),
        1 => (who(), prop::sample::select(vec!["", "<status>switch_room</status>", "<SourceInfo>{</SourceInfo>"])).prop_map(|(w, s)| Op::Leave(w, s)),
        2 => who().prop_map(Op::Accept),
        2 => Just(Op::Camera),
        2 => Just(Op::Elsewhere),
        1 => (1_u64..20).prop_map(Op::Pass),
    ]
}

/// One course of events.
pub(super) struct Course {
    pub(super) w: World,
    hostile: bool,
    /// Requests that have to be answered.
    asked: Vec<String>,
    camera_on: bool,
    elsewhere: u64,
    /// What the other room heard, without what is drawn by chance.
    heard: Vec<String>,
}

impl Course {
    pub(super) fn begin(hostile: bool, moderates: bool) -> Self {
        let mut config = Config::for_domain("meet.jitsi").unwrap();
        config.recorders = Some(RECORDERS.parse().unwrap());
        config.gateways = Some(GATEWAYS.parse().unwrap());
        let mut w = World::with(config);
        w.form_fields.clear();
        w.add_bridge("jvb1");
        // They are asked, and never answer.
        w.receive(&format!(
            "<presence from='{RECORDERS}/r1'><jibri-status xmlns='http://jitsi.org/protocol/jibri'><busy-status status='idle'/>\
             <health-status xmlns='http://jitsi.org/protocol/health' status='healthy'/></jibri-status></presence>"
        ));
        w.receive(&format!(
            "<presence from='{GATEWAYS}/g1'><stats xmlns='http://jitsi.org/protocol/colibri'><stat name='supports_sip' value='true'/></stats></presence>"
        ));
        w.conference_request(ROOM);
        let mut course =
            Self { w, hostile, asked: Vec::new(), camera_on: true, elsewhere: 0, heard: Vec::new() };
        if moderates && hostile {
            course.come(0, true);
        }
        let w = &mut course.w;
        w.join_at(ROOM, "anna0001", NEW, &camera("anna0001", ANNA));
        w.join_at(ROOM, "ben00002", OLD, &camera("ben00002", 2 * ANNA));
        w.conference_request(OTHER);
        w.join_at(OTHER, "carl0003", NEW, &camera("carl0003", 3 * ANNA));
        w.join_at(OTHER, "dora0004", OLD, &camera("dora0004", 4 * ANNA));
        w.seconds(20);
        course.w.sent.clear();
        course
    }

    fn come(&mut self, who: usize, new: bool) {
        let nick = HOSTILE[who];
        if !self.w.clients.contains_key(nick) {
            let n = 10 + u32::try_from(who).unwrap();
            self.w.join_at(ROOM, nick, if new { NEW } else { OLD }, &camera(nick, n * ANNA));
        }
    }

    fn ask(&mut self, who: usize, kind: &str, payload: &str) {
        let id = format!("h{}", self.asked.len());
        if matches!(kind, "get" | "set") {
            self.asked.push(id.clone());
        }
        self.w.receive(&format!(
            "<iq type='{kind}' id='{id}' from='{ROOM}/{}' to='{ME}'>{payload}</iq>",
            HOSTILE[who]
        ));
    }

    pub(super) fn happens(&mut self, op: &Op) {
        match op {
            Op::Pass(seconds) => self.w.seconds(*seconds),
            Op::Camera => {
                let action = if self.camera_on { "source-remove" } else { "source-add" };
                let camera = camera("anna0001", ANNA);
                let video = &camera[camera.find("<content name='video'>").unwrap()..];
                let reply = self.w.jingle("anna0001", action, video);
                assert_eq!(
                    reply.attr("type"),
                    Some("result"),
                    "{action} of an honest client: {}",
                    reply.to_xml()
                );
                self.camera_on = !self.camera_on;
            }
            Op::Elsewhere => {
                self.elsewhere += 1;
                let muted = self.elsewhere.is_multiple_of(2);
                self.w.presence(
                    "carl0003",
                    &format!("<SourceInfo>{{\"carl0003-a0\":{{\"muted\":{muted}}}}}</SourceInfo>"),
                );
                let share = format!(
                    "<content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'><source{SSMA} ssrc='3900' \
                     name='carl0003-v1'/></description></content>"
                );
                let action = if muted { "source-remove" } else { "source-add" };
                assert_eq!(self.w.jingle("carl0003", action, &share).attr("type"), Some("result"));
            }
            _ if !self.hostile => {}
            Op::Presence(who, said) => {
                if self.w.clients.contains_key(HOSTILE[*who]) {
                    self.w.presence(HOSTILE[*who], said);
                }
            }
            Op::Join(who, new) => self.come(*who, *new),
            Op::Leave(who, said) => {
                self.w.clients.remove(HOSTILE[*who]);
                self.w.receive(&format!(
                    "<presence type='unavailable' from='{ROOM}/{}' to='{ME}'>{said}</presence>",
                    HOSTILE[*who]
                ));
            }
            Op::Jingle(who, action, inner, own) => {
                let sid = self.w.clients.get(HOSTILE[*who]).filter(|_| *own).map(|c| c.sid.clone());
                // Or that of somebody else.
                let sid = sid.unwrap_or_else(|| self.w.clients["anna0001"].sid.clone());
                let session =
                    self.w.clients.get(HOSTILE[*who]).map(|c| c.bridge_session.clone()).unwrap_or_default();
                let inner = inner.replace("id='true'", &format!("id='{session}'"));
                self.ask(
                    *who,
                    "set",
                    &format!(
                        "<jingle xmlns='urn:xmpp:jingle:1' action='{action}' sid='{sid}'>{inner}</jingle>"
                    ),
                );
            }
            Op::Ask(who, kind, payload) => self.ask(*who, kind, payload),
            Op::Mutated(who, seed) => {
                if let Some(client) = self.w.clients.get(HOSTILE[*who]).filter(|c| !c.sid.is_empty()) {
                    let said = super::mutated::said(client, *seed);
                    self.ask(*who, "set", &said);
                }
            }
            Op::Accept(who) => {
                if let Some(client) = self.w.clients.get(HOSTILE[*who]).filter(|c| !c.sid.is_empty()) {
                    let accept = client.accept().first_child().unwrap().to_xml();
                    self.ask(*who, "set", &accept);
                }
            }
        }
        let meetings: Vec<String> = self
            .w
            .focus
            .rooms
            .get(&OTHER.parse().unwrap())
            .map(|c| c.meeting.as_str().to_owned())
            .into_iter()
            .collect();
        for sent in std::mem::take(&mut self.w.sent) {
            assert!(sent.len() <= MOST, "{} bytes: {}…", sent.len(), &sent[..200]);
            if sent.contains(OTHER) || meetings.iter().any(|m| sent.contains(m.as_str())) {
                self.heard.push(without_chance(&sent));
            }
        }
    }

    /// SSRCs of an owner that Ben was told of and not told to forget, by everything that was sent to him.
    fn told(&self, owner: &str) -> BTreeSet<u32> {
        let mut all = BTreeSet::new();
        for jingle in &self.w.clients["ben00002"].received {
            let those = sources(jingle, owner);
            match jingle.attr("action") {
                Some("session-initiate") => all = those,
                Some("source-add") => all.extend(those),
                Some("source-remove") => all.retain(|s| !those.contains(s)),
                _ => {}
            }
        }
        all
    }

    /// The same of the bridge.
    fn on_bridge(&self, id: &str) -> Option<BTreeSet<u32>> {
        let requests = self.w.bridges["jvb1"].requests.iter().rev();
        let mut of = requests.flat_map(|r| r.endpoints.iter()).filter(|e| e.id.as_str() == id);
        let sources = of.find_map(|e| e.sources.as_ref())?;
        Some(sources.iter().flat_map(|m| m.sources.iter().map(|s| s.ssrc.0)).collect())
    }

    pub(super) fn end(mut self) -> Vec<String> {
        self.happens(&Op::Pass(120));
        let w = &self.w;
        for id in &self.asked {
            assert!(w.replies.contains_key(id), "{id} of {} was not answered", self.asked.len());
        }
        let s = w.stats();
        assert_eq!((s.counters.panics, s.counters.bridges_removed, w.duplicates), (0, 0, 0));
        assert_eq!(s.operational_bridge_count, 1);
        let audio = BTreeSet::from([ANNA + 100]);
        let all: BTreeSet<u32> = (ANNA..ANNA + 6).chain([ANNA + 100]).collect();
        let (told, sent) = if self.camera_on {
            // Of a simulcast, the first layer and its retransmissions.
            (BTreeSet::from([ANNA, ANNA + 3, ANNA + 100]), all)
        } else {
            (audio.clone(), audio)
        };
        assert_eq!(self.told("anna0001"), told, "what Ben knows of Anna");
        assert_eq!(self.on_bridge("anna0001"), Some(sent), "what the bridge knows of Anna");
        let conference = &w.focus.rooms[&ROOM.parse().unwrap()];
        for (owner, set) in conference.sources.owners() {
            assert!(
                set.sources.len() <= limits::SSRCS_PER_PARTICIPANT
                    && set.groups.len() <= limits::GROUPS_PER_PARTICIPANT
            );
            let named = set.sources.iter().filter_map(|s| s.name.as_ref());
            assert!(named.clone().all(|n| n.as_str().starts_with(&format!("{owner}-"))), "names of {owner}");
        }
        for nick in ["anna0001", "ben00002"] {
            let member = &conference.members[nick];
            assert!(member.session().is_some_and(|s| s.offered.is_none()), "{nick} has a session");
        }
        self.heard
    }
}

/// SSRCs of an owner in a message.
fn sources(jingle: &Element, owner: &str) -> BTreeSet<u32> {
    let descriptions = jingle.children().filter_map(|c| c.child("description", "urn:xmpp:jingle:apps:rtp:1"));
    let all = descriptions.flat_map(|d| d.children().filter(|s| s.name() == "source"));
    let of = |s: &&Element| s.child("ssrc-info", ns::JITMEET).and_then(|i| i.attr("owner")) == Some(owner);
    all.filter(of).filter_map(|s| s.attr("ssrc")?.parse().ok()).collect()
}

/// Ids that are drawn by chance are left out.
fn without_chance(xml: &str) -> String {
    let mut rest = xml;
    let mut out = String::new();
    while let Some((at, name)) =
        [" id=\"", " sid=\"", " meeting-id=\""].iter().filter_map(|n| Some((rest.find(n)?, n.len()))).min()
    {
        let begins = at + name;
        let ends = begins + rest[begins..].find('"').unwrap();
        // Endpoints and candidates have short ids, which are none of ours.
        let id = &rest[begins..ends];
        out.push_str(&rest[..begins]);
        out.push_str(if id.len() > 12 { "" } else { id });
        rest = &rest[ends..];
    }
    out + rest
}

const SSMA: &str = " xmlns='urn:xmpp:jingle:apps:rtp:ssma:0'";
const TRANSPORT: &str = "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='x' pwd='y'/>";
/// Servers take stanzas of 256 KiB.
const MOST: usize = 250_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hostile_participant_costs_nobody_else_anything(ops in prop::collection::vec(op(), 1..60), moderates in any::<bool>()) {
        let mut course = Course::begin(true, moderates);
        ops.iter().for_each(|op| course.happens(op));
        let with = course.end();
        let mut course = Course::begin(false, moderates);
        ops.iter().for_each(|op| course.happens(op));
        prop_assert_eq!(with, course.end(), "another room notices");
    }
}
