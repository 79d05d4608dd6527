//! A scripted client: frames of the XMPP server in; what an unchanged Jitsi Meet client answers out.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jitsi_xmpp::jingle::{Action, Jingle};
use jitsi_xmpp::{Condition, Element, StanzaError, iq, ns};
use serde_json::Value;

use crate::session::{Options, Peer};
use crate::stream::Stream;

/// What today's web client answers to disco#info, as far as the focus cares.
pub const FEATURES: &[&str] = &[
    "urn:xmpp:jingle:1",
    "urn:xmpp:jingle:apps:rtp:1",
    "urn:xmpp:jingle:apps:rtp:audio",
    "urn:xmpp:jingle:apps:rtp:video",
    "urn:xmpp:jingle:transports:dtls-sctp:1",
    "urn:ietf:rfc:4588",
    "http://jitsi.org/tcc",
    "http://jitsi.org/source-name",
    "http://jitsi.org/json-encoded-sources",
    "http://jitsi.org/receive-multiple-video-streams",
    "http://jitsi.org/ssrc-rewriting-1",
];

/// Media of one Jingle session.
pub struct Media {
    /// The connection to the bridge.
    pub peer: Peer,
    /// Where the offer said that the bridge is.
    pub bridge: SocketAddr,
    /// The network is gone.
    pub cut: bool,
    sequence: u16,
    /// The bridge knows what the client wants to see.
    wishes_told: bool,
}

/// Somebody in a meeting; `C` is what its owner calls a connection.
pub struct Client<C = ()> {
    /// Tells clients and their SSRCs apart.
    pub number: u16,
    /// What others see.
    pub name: String,
    /// The address of the meeting.
    pub room: String,
    /// Of the room.
    pub password: Option<String>,
    /// The login.
    pub stream: Stream<C>,
    /// The endpoint id.
    pub nick: String,
    /// Whether the client negotiates media for real or only signals.
    pub with_media: bool,
    /// Whether it answers offers.
    pub accepts: bool,
    /// It has seen its own presence.
    pub in_room: bool,
    /// Who else is in the room.
    pub occupants: BTreeMap<String, Element>,
    /// Who left, and when the client heard of it.
    pub gone: Vec<(Instant, String)>,
    /// Joins that were answered with an error.
    pub refusals: Vec<Element>,
    asks: u32,
    /// When to ask the focus again.
    pub ask_at: Option<Instant>,
    /// The Jingle session.
    pub sid: Option<String>,
    /// Which session of which bridge.
    pub bridge_session: String,
    /// Jingle actions and mutes of the focus, in order.
    pub actions: Vec<String>,
    /// Why sessions were ended.
    pub terminate_reasons: Vec<String>,
    /// Of the Jingle session.
    pub media: Option<Media>,
    /// How many sessions there were.
    pub sessions: u8,
    /// Who asked it to mute.
    pub muted_by: Vec<String>,
    /// Answers to own requests by id.
    pub replies: HashMap<String, Element>,
    /// Messages received.
    pub chat: Vec<String>,
    /// JSON from components: who sent it, and what.
    pub told: Vec<(String, String)>,
    /// The role it was given.
    pub moderator: bool,
    /// Where media is sent from; without it an address by number, for virtual networks.
    pub local: Option<SocketAddr>,
    next_id: u32,
}

impl<C> Client<C> {
    /// A client that is not logged in.
    pub fn new(number: u16, name: &str, room: &str) -> Self {
        Self {
            number,
            name: name.to_owned(),
            room: room.to_owned(),
            password: None,
            stream: Stream::default(),
            nick: String::new(),
            with_media: true,
            accepts: true,
            in_room: false,
            occupants: BTreeMap::new(),
            gone: Vec::new(),
            refusals: Vec::new(),
            asks: 0,
            ask_at: None,
            sid: None,
            bridge_session: String::new(),
            actions: Vec::new(),
            terminate_reasons: Vec::new(),
            media: None,
            sessions: 0,
            muted_by: Vec::new(),
            replies: HashMap::new(),
            chat: Vec::new(),
            told: Vec::new(),
            moderator: false,
            local: None,
            next_id: 0,
        }
    }

    /// The first SSRC of the session at hand.
    pub fn ssrc(&self) -> u32 {
        u32::from(self.number) * 1000 + u32::from(self.sessions) * 100
    }

    /// An id for a request.
    pub fn id(&mut self) -> String {
        self.next_id += 1;
        format!("{}-{}:sendIQ", self.nick, self.next_id)
    }

    /// Asks the focus for the conference; the rest follows by itself.
    pub fn ask(&mut self) {
        self.ask_at = None;
        self.asks += 1;
        let id = format!("ask{}", self.asks);
        let room = self.room.clone();
        self.stream.send(format!(
            r#"<iq id="{id}" to="focus.meet.jitsi" type="set" xmlns="jabber:client"><conference machine-uid="00112233445566778899aabbccddeeff" room="{room}" xmlns="http://jitsi.org/protocol/focus"><property name="rtcstatsEnabled" value="false"/><property name="visitors-version" value="1"/></conference></iq>"#
        ));
    }

    /// Enters the room.
    pub fn join(&mut self) {
        let password = self.password.as_ref().map_or(String::new(), |p| format!("<password>{p}</password>"));
        let inner = format!(
            r#"<x xmlns="http://jabber.org/protocol/muc">{password}</x>{}"#,
            self.presence_children("{}")
        );
        self.presence(&inner);
    }

    /// Everything a presence carries, as recorded; caps are of a build that the focus has to ask.
    fn presence_children(&self, source_info: &str) -> String {
        format!(
            r#"<stats-id>{}-RwH</stats-id><c hash="sha-1" node="https://jitsi.org/jitsi-meet" ver="+mpajJhafj8jFogLBKsPbQfMgzU=" xmlns="http://jabber.org/protocol/caps"/><SourceInfo>{source_info}</SourceInfo><jitsi_participant_codecList>av1,vp9,vp8,h264</jitsi_participant_codecList><nick xmlns="http://jabber.org/protocol/nick">{}</nick>"#,
            self.name.split(' ').next().unwrap(),
            self.name
        )
    }

    fn presence(&mut self, inner: &str) {
        let to = format!("{}/{}", self.room, self.nick);
        self.stream.send(format!(r#"<presence to="{to}" xmlns="jabber:client">{inner}</presence>"#));
    }

    /// Leaves the room.
    pub fn leave(&mut self) {
        let to = format!("{}/{}", self.room, self.nick);
        self.stream.send(format!(r#"<presence to="{to}" type="unavailable" xmlns="jabber:client"/>"#));
        self.out_of_room();
    }

    /// Forgets the meeting.
    pub fn out_of_room(&mut self) {
        self.in_room = false;
        self.occupants.clear();
        self.media = None;
        self.sid = None;
        self.asks = 0;
        self.ask_at = None;
    }

    /// Says something to all.
    pub fn say_in_chat(&mut self, text: &str) {
        let room = self.room.clone();
        let id = self.id();
        self.stream.send(format!(
            r#"<message to="{room}" type="groupchat" id="{id}" xmlns="jabber:client"><body>{text}</body></message>"#
        ));
    }

    /// Sends a request; its answer comes into `replies`.
    pub fn request(&mut self, kind: &str, to: &str, payload: &str) -> String {
        let id = self.id();
        self.stream
            .send(format!(r#"<iq id="{id}" to="{to}" type="{kind}" xmlns="jabber:client">{payload}</iq>"#));
        id
    }

    /// A Jingle request to the focus about the own session.
    pub fn jingle(&mut self, action: &str, inner: &str) -> String {
        let sid = self.sid.clone().unwrap_or_else(|| "none".to_owned());
        let to = format!("{}/focus", self.room);
        self.request(
            "set",
            &to,
            &format!(r#"<jingle xmlns="urn:xmpp:jingle:1" action="{action}" sid="{sid}" initiator="{to}">{inner}</jingle>"#),
        )
    }

    /// One frame of the server.
    ///
    /// # Panics
    /// When the server does what a browser would not understand.
    pub fn receive(&mut self, now: Instant, frame: &str) {
        let Some(stanza) = self.stream.receive(frame) else { return };
        match stanza.name() {
            "presence" => self.handle_presence(now, &stanza),
            "message" => {
                if let Some(body) = stanza.child_named("body") {
                    self.chat.push(body.text());
                } else if let Some(json) = stanza.child_named("json-message") {
                    let from = stanza.attr("from").unwrap_or_default().to_owned();
                    self.told.push((from, json.text()));
                }
            }
            _ => self.handle_iq(now, &stanza),
        }
    }

    fn handle_presence(&mut self, now: Instant, presence: &Element) {
        let from = presence.attr("from").unwrap().to_owned();
        let Some(nick) = from.strip_prefix(&format!("{}/", self.room)) else { return };
        match presence.attr("type") {
            Some("error") => {
                self.refusals.push(presence.clone());
                // compat: the client asks the focus again.
                if presence.to_xml().contains("Room creation is restricted") {
                    self.ask_at = Some(now);
                }
            }
            Some("unavailable") if nick == self.nick => self.out_of_room(),
            Some("unavailable") => {
                if nick == "focus" {
                    // compat: the meeting is over for the client, whatever comes later.
                    (self.sid, self.media) = (None, None);
                }
                self.occupants.remove(nick);
                self.gone.push((now, nick.to_owned()));
            }
            _ if nick == self.nick => {
                self.in_room = true;
                let item = presence.child("x", ns::MUC_USER).and_then(|x| x.child_named("item"));
                self.moderator = item.is_some_and(|i| i.attr("role") == Some("moderator"));
            }
            _ => {
                self.occupants.insert(nick.to_owned(), presence.clone());
            }
        }
    }

    fn handle_iq(&mut self, now: Instant, stanza: &Element) {
        let payload = stanza.first_child();
        if matches!(stanza.attr("type"), Some("result" | "error")) {
            let id = stanza.attr("id").unwrap_or_default().to_owned();
            if let Some(conference) =
                payload.filter(|p| p.is("conference", ns::FOCUS) && id.starts_with("ask"))
            {
                assert_eq!(conference.attr("focusjid"), Some("focus@auth.meet.jitsi"));
                if conference.attr("ready") == Some("true") {
                    self.asks = 0;
                    self.join();
                } else {
                    let pause = Duration::from_secs(1 << (self.asks - 1).min(4));
                    self.ask_at = Some(now + pause);
                }
            }
            let before = self.replies.insert(id.clone(), stanza.clone());
            assert!(before.is_none() || id.is_empty(), "answered twice");
            return;
        }
        let from_focus = stanza.attr("from") == Some(format!("{}/focus", self.room).as_str());
        let Some(payload) = payload.filter(|p| from_focus || p.is("query", ns::DISCO_INFO)) else {
            // What the web client does with requests of other occupants as well; this one has no peer-to-peer.
            let error = StanzaError::new(Condition::ServiceUnavailable);
            return self.stream.send(iq::error(stanza, &error).to_xml());
        };
        if payload.is("query", ns::DISCO_INFO) {
            let features = FEATURES.iter().map(|f| Element::inherit("feature").with_attr("var", *f));
            let query = Element::new("query", ns::DISCO_INFO)
                .with_opt_attr("node", payload.attr("node"))
                .with_children(features);
            return self.stream.send(iq::result(stanza, Some(query)).to_xml());
        }
        if payload.name() == "mute" {
            self.muted_by.push(payload.attr("actor").unwrap_or_default().to_owned());
            return;
        }
        // compat: answered at once, before it is read.
        self.stream.send(iq::result(stanza, None).to_xml());
        if payload.ns() == ns::JINGLE {
            let jingle = Jingle::from_element(payload).unwrap();
            self.handle_jingle(now, &jingle);
        }
    }

    fn handle_jingle(&mut self, now: Instant, jingle: &Jingle) {
        self.actions.push(jingle.action.as_str().to_owned());
        match jingle.action {
            Action::SessionInitiate => {
                assert!(self.sid.is_none(), "compat: the old session ends first");
                self.sid = Some(jingle.sid.as_str().to_owned());
                self.bridge_session = jingle.bridge_session.as_ref().unwrap().id.clone().unwrap();
                self.sessions += 1;
                if self.accepts {
                    self.accept(now, jingle);
                }
            }
            Action::SessionTerminate if self.sid.as_deref() == Some(jingle.sid.as_str()) => {
                self.sid = None;
                self.media = None;
                let reason = jingle.reason.as_ref().unwrap();
                self.terminate_reasons.push(format!(
                    "{} {}",
                    reason.kind.as_str(),
                    reason.text.clone().unwrap_or_default()
                ));
            }
            _ => {}
        }
    }

    fn accept(&mut self, now: Instant, offer: &Jingle) {
        let transport = offer.contents.iter().find_map(|c| c.transport.as_ref()).expect("a transport");
        let candidate = transport.candidates.first().expect("a candidate");
        let bridge = SocketAddr::new(candidate.ip.reveal().parse().unwrap(), candidate.port);
        let [high, low] = self.number.to_be_bytes();
        let virtually = ([192, 0, 2 + high, low], 50_000 + u16::from(self.sessions));
        let address = self.local.unwrap_or_else(|| virtually.into());
        let (mut ufrag, mut pwd, mut print) =
            ("sig".to_owned(), "signalling-only-0123456789".to_owned(), "AB:".repeat(31) + "AB");
        if self.with_media {
            let id = format!("{}{}", self.nick, self.sessions);
            let mut peer = Peer::named(now, &id, address, bridge, Options::default());
            (ufrag, pwd) = peer.credentials();
            peer.fingerprint().clone_into(&mut print);
            let theirs = transport.pwd.as_ref().unwrap().reveal();
            peer.set_remote(transport.ufrag.as_ref().unwrap(), theirs).unwrap();
            self.media = Some(Media { peer, bridge, cut: false, sequence: 0, wishes_told: false });
        }
        let transport = format!(
            r#"<transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="{ufrag}" pwd="{pwd}"><fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256" setup="active">{print}</fingerprint></transport>"#
        );
        let contents = self.contents(&transport);
        self.jingle("session-accept", &contents);
    }

    /// A microphone and a simulcast camera.
    fn contents(&self, transport: &str) -> String {
        let (nick, base) = (&self.nick, self.ssrc());
        let n = self.sessions;
        let video: String = (base..base + 6)
            .map(|s| format!(r#"<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" name="{nick}-v0" ssrc="{s}" videoType="camera"><parameter name="msid" value="{nick}-video-0-{n} t{n}"/></source>"#))
            .collect();
        let group = |kind: &str, ssrcs: &[u32]| {
            let inner: String = ssrcs.iter().map(|s| format!(r#"<source ssrc="{s}"/>"#)).collect();
            format!(
                r#"<ssrc-group xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" semantics="{kind}">{inner}</ssrc-group>"#
            )
        };
        let groups = [
            group("SIM", &[base, base + 1, base + 2]),
            group("FID", &[base, base + 3]),
            group("FID", &[base + 1, base + 4]),
            group("FID", &[base + 2, base + 5]),
        ]
        .concat();
        let audio = base + 50;
        format!(
            r#"<content creator="responder" name="audio" senders="both"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio"><payload-type id="111" name="opus" clockrate="48000" channels="2"/><rtcp-mux/><source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" name="{nick}-a0" ssrc="{audio}"><parameter name="msid" value="{nick}-audio-0-{n} a{n}"/></source></description>{transport}</content><content creator="responder" name="video" senders="both"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="video"><payload-type id="100" name="VP8" clockrate="90000"/><rtcp-mux/>{video}{groups}</description>{transport}</content><content creator="responder" name="data" senders="both"><description xmlns="urn:xmpp:jingle:transports:webrtc-datachannel:0"/>{transport}</content><group xmlns="urn:xmpp:jingle:apps:grouping:0" semantics="BUNDLE"><content name="audio"/><content name="video"/><content name="data"/></group>"#
        )
    }

    // ---- media

    /// Media is connected and the bridge channel open.
    pub fn connected(&self) -> bool {
        self.media.as_ref().is_some_and(|m| m.peer.dtls_connected && m.peer.channel_open)
    }

    /// Time passes for media. What a client wants to see it says as soon as the channel is open.
    pub fn tick(&mut self, now: Instant) {
        let Some(m) = &mut self.media else { return };
        m.peer.tick(now);
        if m.peer.channel_open && !m.wishes_told {
            m.wishes_told = true;
            m.peer.say(now, r#"{"colibriClass":"ReceiverVideoConstraints","lastN":-1,"selectedSources":[],"onStageSources":[],"defaultConstraints":{"maxHeight":180},"constraints":{}}"#);
        }
    }

    /// One packet of speech and one key frame of the smallest layer.
    ///
    /// # Panics
    /// Before media is connected.
    pub fn send_media(&mut self) {
        let base = self.ssrc();
        let media = self.media.as_mut().expect("media");
        media.sequence += 1;
        let n = media.sequence;
        let header = |payload_type: u8, ssrc: u32, clock: u32| {
            let mut p = vec![0x80, payload_type];
            p.extend(n.to_be_bytes());
            p.extend((u32::from(n) * clock).to_be_bytes());
            p.extend(ssrc.to_be_bytes());
            p
        };
        let mut speech = header(111, base + 50, 960);
        speech.extend([7; 40]);
        media.peer.send_rtp(&speech);
        let mut picture = header(0x80 | 100, base, 3000);
        let [hi, lo] = n.to_be_bytes();
        // VP8: start of a frame with picture id, layer zero index and temporal layer; then a key frame of 320x180.
        picture.extend([0x90, 0xe0, 0x80 | hi, lo, n as u8, 0, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 180, 0]);
        picture.extend([3; 400]);
        media.peer.send_rtp(&picture);
    }

    /// What the bridge calls the sources it forwards: name, owner and SSRC by kind of message.
    ///
    /// # Panics
    /// When the bridge says what a browser would not understand.
    pub fn mapped(&self, class: &str) -> BTreeMap<String, (String, u32)> {
        let mut map = BTreeMap::new();
        for text in self.media.iter().flat_map(|m| &m.peer.texts) {
            let v: Value = serde_json::from_str(text).expect("JSON");
            if v["colibriClass"] != class {
                continue;
            }
            for m in v["mappedSources"].as_array().expect("a list") {
                let text = |k: &str| m[k].as_str().expect("a text").to_owned();
                let ssrc = m["ssrc"].as_u64().or_else(|| m["ssrc"].as_str()?.parse().ok()).expect("an SSRC");
                map.insert(text("source"), (text("owner"), u32::try_from(ssrc).unwrap()));
            }
        }
        map
    }

    /// RTP packets received with this SSRC.
    pub fn heard(&self, ssrc: u32) -> usize {
        let packets = self.media.iter().flat_map(|m| &m.peer.rtp);
        packets.filter(|p| p[8..12] == ssrc.to_be_bytes()).count()
    }

    /// Jingle actions since last asked.
    pub fn take_actions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.actions)
    }
}
