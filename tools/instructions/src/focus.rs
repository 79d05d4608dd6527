//! A focus with a meeting, alone or beside a thousand others that are at rest: stanzas about the one meeting in, what they cost counted.

use std::time::Instant;

use focus_core::{Config, Focus, HttpRequestId, Network, Output};
use jitsi_xmpp::entropy::SeededEntropy;
use jitsi_xmpp::xml::parse;
use jitsi_xmpp::{Element, iq, ns};

use crate::{Done, counted};

/// How many meetings are at rest beside the one that is looked at.
pub(crate) const BESIDE: usize = 1_000;

/// Somebody's microphone goes on and off.
pub(crate) fn presence(beside: usize) -> Done {
    let said = |on: usize| {
        format!(
            "<presence xmlns='jabber:client' from='{ROOM}/anna0001' to='{ME}'><SourceInfo>{{\"anna0001-a0\":{{\"muted\":{}}}}}</SourceInfo>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' jid='anna0001@meet.jitsi/r'/></x></presence>",
            on == 0
        )
    };
    steps(beside, "presence of a participant", |n, _| said(n % 2))
}

/// A screen is shared, and not any more.
pub(crate) fn source_add(beside: usize) -> Done {
    steps(beside, "change of sources", |n, town| {
        let (sid, action) = (&town.sid, if n % 2 == 0 { "source-add" } else { "source-remove" });
        format!(
            "<iq xmlns='jabber:client' type='set' id='s{n}' from='{ROOM}/anna0001' to='{ME}'><jingle xmlns='urn:xmpp:jingle:1' \
             action='{action}' sid='{sid}'><content name='video'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>\
             <source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='77' name='anna0001-v1'/></description></content></jingle></iq>"
        )
    })
}

/// Somebody asks for the meeting.
pub(crate) fn request(beside: usize) -> Done {
    steps(beside, "conference request", |n, _| {
        format!(
            "<iq xmlns='jabber:client' type='set' id='c{n}' from='focus.meet.jitsi/u{n}@meet.jitsi/r' to='{ME}'>\
             <conference xmlns='http://jitsi.org/protocol/focus' room='{ROOM}' machine-uid='4f'/></iq>"
        )
    })
}

/// A bridge says how it is.
pub(crate) fn statistics(beside: usize) -> Done {
    steps(beside, "presence of a bridge", |n, _| bridge(n))
}

fn bridge(n: usize) -> String {
    format!(
        "<presence xmlns='jabber:client' from='{BREWERY}/jvb1' to='{ME}'><stats xmlns='http://jitsi.org/protocol/colibri'>\
         <stat name='stress_level' value='0.{}'/><stat name='drain' value='false'/><stat name='region' value='eu'/>\
         <stat name='version' value='2.3'/><stat name='healthy' value='true'/></stats></presence>",
        n % 9
    )
}

fn steps(beside: usize, unit: &'static str, stanza: impl Fn(usize, &Town) -> String) -> Done {
    const STEPS: usize = 40;
    let mut town = Town::new(beside);
    for n in 0..STEPS + WARM_UP {
        let next = read(&stanza(n, &town));
        let now = town.now;
        let focus = &mut town.focus;
        let mut out = Vec::new();
        let mut work = || {
            focus.handle_stanza(now, &next);
            while let Some(output) = focus.poll_output() {
                if let Output::Send(sent) = output {
                    out.push(sent);
                }
            }
            assert!(focus.poll_timeout().is_some());
        };
        if n < WARM_UP {
            work()
        } else {
            counted(&mut work)
        }
        town.answer(out);
    }
    Done { unit, units: STEPS as u64 }
}

/// A focus, and everybody it speaks with.
struct Town {
    focus: Focus,
    now: Instant,
    /// Anna's session.
    sid: String,
}

impl Town {
    fn new(beside: usize) -> Self {
        let config = Config::for_domain("meet.jitsi").expect("a domain");
        let mut focus = Focus::new(config, Box::new(SeededEntropy::new(1)));
        let now = Instant::now();
        focus.handle_link_up(now, ME.parse().expect("an address"), false);
        let mut town = Self { focus, now, sid: String::new() };
        town.pump();
        town.hears(&bridge(1));
        for n in 0..beside {
            town.meet(n, &format!("r{n}@muc.meet.jitsi"), [&format!("a{n}"), &format!("b{n}")]);
        }
        town.meet(beside, ROOM, ["anna0001", "ben00002"]);
        assert_eq!(town.focus.stats().conferences, beside + 1);
        assert_eq!(town.focus.stats().counters.sessions_accepted, 2 * (beside as u64 + 1));
        town
    }

    fn meet(&mut self, n: usize, room: &str, nicks: [&str; 2]) {
        let from = Network::of(std::net::Ipv4Addr::from_bits(n as u32).into());
        let body = format!("{{\"room\":\"{room}\"}}");
        self.focus.handle_http_request(self.now, HttpRequestId(n as u64), from, body.as_bytes());
        self.pump();
        for nick in nicks {
            self.hears(&format!(
                "<presence xmlns='jabber:client' from='{room}/{nick}' to='{ME}'><x xmlns='http://jabber.org/protocol/muc#user'>\
                 <item affiliation='none' role='participant' jid='{nick}@meet.jitsi/r'/></x></presence>"
            ));
        }
    }

    fn hears(&mut self, xml: &str) {
        self.focus.handle_stanza(self.now, &read(xml));
        self.pump();
    }

    fn pump(&mut self) {
        let mut out = Vec::new();
        while let Some(output) = self.focus.poll_output() {
            if let Output::Send(sent) = output {
                out.push(sent);
            }
        }
        self.answer(out);
    }

    /// Everybody answers, until nothing is left to say.
    fn answer(&mut self, mut sent: Vec<Element>) {
        while !sent.is_empty() {
            for answer in sent.drain(..).flat_map(|s| self.answers(&s)).collect::<Vec<_>>() {
                self.focus.handle_stanza(self.now, &answer);
            }
            while let Some(output) = self.focus.poll_output() {
                if let Output::Send(more) = output {
                    sent.push(more);
                }
            }
        }
    }

    fn answers(&mut self, sent: &Element) -> Vec<Element> {
        let to = sent.attr("to").unwrap_or_default().to_owned();
        if sent.name() == "presence" {
            let x = "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x>";
            let joins = sent.child("x", ns::MUC).is_some();
            let own =
                || read(&format!("<presence xmlns='jabber:client' from='{to}' to='{ME}'>{x}</presence>"));
            return joins.then(own).into_iter().collect();
        }
        if !matches!(sent.attr("type"), Some("get" | "set")) {
            return Vec::new();
        }
        let Some(payload) = sent.first_child() else { return Vec::new() };
        let result = |inner: Option<Element>| iq::result(sent, inner);
        match (payload.name(), payload.ns()) {
            ("conference-modify", _) => {
                let made = payload.children().filter(|c| c.attr("create") == Some("true"));
                let made: String = made.filter_map(|c| c.attr("id")).map(endpoint).collect();
                vec![result(Some(read(&format!(
                    "<conference-modified xmlns='jitsi:colibri2'>{made}</conference-modified>"
                ))))]
            }
            ("query", ns::DISCO_INFO) if to.contains('/') => {
                let features = FEATURES.iter().map(|f| Element::inherit("feature").with_attr("var", *f));
                vec![result(Some(Element::new("query", ns::DISCO_INFO).with_children(features)))]
            }
            ("jingle", _) if payload.attr("action") == Some("session-initiate") => {
                let sid = payload.attr("sid").unwrap_or_default();
                if to.ends_with("/anna0001") {
                    sid.clone_into(&mut self.sid);
                }
                let accept = format!(
                    "<iq xmlns='jabber:client' type='set' id='a{sid}' from='{to}' to='{ME}'><jingle xmlns='urn:xmpp:jingle:1' \
                     action='session-accept' sid='{sid}'><content name='data'/></jingle></iq>"
                );
                vec![result(None), read(&accept)]
            }
            _ => vec![result(None)],
        }
    }
}

fn endpoint(id: &str) -> String {
    format!(
        "<endpoint id='{id}'><transport><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='u' pwd='p'/><sctp port='5000'/></transport></endpoint>"
    )
}

fn read(xml: &str) -> Element {
    parse(xml.as_bytes()).expect("well-formed")
}

const ROOM: &str = "rathaus@muc.meet.jitsi";
const BREWERY: &str = "jvbbrewery@internal-muc.meet.jitsi";
const ME: &str = "focus@auth.meet.jitsi/focus";
const FEATURES: &[&str] = &[
    "urn:xmpp:jingle:1",
    "urn:xmpp:jingle:apps:rtp:audio",
    "urn:xmpp:jingle:apps:rtp:video",
    "urn:xmpp:jingle:transports:dtls-sctp:1",
    "http://jitsi.org/tcc",
    "http://jitsi.org/source-name",
    "http://jitsi.org/json-encoded-sources",
    "http://jitsi.org/ssrc-rewriting-1",
];
/// Not counted: tables grow.
const WARM_UP: usize = 4;
