//! A hostile participant who has a session that was accepted: what its client could say in it, in any order, each time with something in it
//! that makes no sense. Nobody else in the room loses anything (reliability Z24).

use jitsi_xmpp::entropy::{Entropy, SeededEntropy};
use jitsi_xmpp::{Element, ns};

use super::stranger::{ANNA, Course, HOSTILE, Op};
use super::world::{Client, ROOM};

const RTP: &str = "urn:xmpp:jingle:apps:rtp:1";
const SSMA: &str = "urn:xmpp:jingle:apps:rtp:ssma:0";
const ICE: &str = "urn:xmpp:jingle:transports:ice-udp:1";
const ACTIONS: &[&str] = &[
    "session-accept",
    "source-add",
    "source-remove",
    "source-modify",
    "session-info",
    "session-terminate",
    "session-initiate",
    "transport-info",
    "transport-accept",
    "transport-reject",
    "transport-replace",
    "content-add",
    "content-remove",
    "content-reject",
    "security-info",
    "",
];
const NAMES: &[&str] = &[
    "jingle",
    "content",
    "description",
    "source",
    "ssrc-group",
    "parameter",
    "transport",
    "candidate",
    "fingerprint",
    "web-socket",
    "bridge-session",
    "ice-state",
    "reason",
    "payload-type",
    "rtp-hdrext",
    "initial-last-n",
    "x",
];
const ATTRS: &[&str] = &[
    "action",
    "sid",
    "name",
    "media",
    "ssrc",
    "semantics",
    "value",
    "videoType",
    "ufrag",
    "pwd",
    "hash",
    "setup",
    "id",
    "restart",
    "ice-restart",
    "ice-generation",
    "creator",
    "initiator",
    "rid",
    "ip",
    "port",
    "priority",
    "xmlns-of-mine",
];
const SPACES: &[&str] = &[
    "urn:xmpp:jingle:1",
    RTP,
    SSMA,
    ICE,
    "urn:xmpp:jingle:apps:dtls:0",
    "http://jitsi.org/protocol/focus",
    "http://jitsi.org/jitmeet",
    "jitsi:colibri2",
    "jabber:client",
    "urn:x",
];

fn below(chance: &mut SeededEntropy, n: usize) -> usize {
    chance.u32() as usize % n.max(1)
}

fn one_of(chance: &mut SeededEntropy, all: &[&'static str]) -> &'static str {
    all[below(chance, all.len())]
}

fn word(chance: &mut SeededEntropy) -> String {
    match below(chance, 16) {
        0 => String::new(),
        1 => "true".to_owned(),
        2 => "-1".to_owned(),
        3 => "0".to_owned(),
        4 => u64::MAX.to_string(),
        5 => (ANNA + chance.u32() % 6).to_string(),
        6 => (2 * ANNA + chance.u32() % 6).to_string(),
        7 => "anna0001-v0".to_owned(),
        8 => "ben00002-video-0-1 t1".to_owned(),
        9 => format!("{ROOM}/anna0001"),
        10 => "\u{202e}\u{fdd0}\u{10ffff}ß".to_owned(),
        11 => "<&\"'>".to_owned(),
        12 => "x".repeat(257),
        13 => "9".repeat(5_000),
        14 => chance.u32().to_string(),
        _ => chance.hex(4),
    }
}

/// Something a client says in its session.
fn request(client: &Client, chance: &mut SeededEntropy) -> Element {
    let accept = client.accept().first_child().unwrap().clone();
    let bare = |action: &str| {
        Element::new("jingle", ns::JINGLE).with_attr("action", action).with_attr("sid", &client.sid)
    };
    let session = || {
        Element::new("bridge-session", "http://jitsi.org/protocol/focus")
            .with_attr("id", &client.bridge_session)
    };
    let transport = |content: &str| {
        let t = Element::new("transport", ICE).with_attr("ufrag", "cu").with_attr("pwd", "cp").with_child(
            Element::inherit("candidate")
                .with_attr("ip", "192.0.2.1")
                .with_attr("port", "9")
                .with_attr("priority", "1")
                .with_attr("protocol", "udp")
                .with_attr("type", "host"),
        );
        Element::new("content", ns::JINGLE).with_attr("name", content.to_owned()).with_child(t)
    };
    match below(chance, 12) {
        0 => accept,
        1..=4 => {
            let (nick, n) = (&client.nick, chance.u32() % 30);
            let share = Element::new("source", SSMA)
                .with_attr("ssrc", (70_000 + n).to_string())
                .with_attr("name", format!("{nick}-v{}", n % 4))
                .with_child(
                    Element::inherit("parameter")
                        .with_attr("name", "msid")
                        .with_attr("value", format!("{nick}-video-{n}-1 t")),
                );
            let group = Element::new("ssrc-group", SSMA)
                .with_attr("semantics", "FID")
                .with_child(Element::inherit("source").with_attr("ssrc", (70_000 + n).to_string()))
                .with_child(Element::inherit("source").with_attr("ssrc", (70_001 + n).to_string()));
            let description = Element::new("description", RTP).with_attr("media", "video").with_child(share);
            let description = if n % 3 == 0 { description.with_child(group) } else { description };
            bare(if chance.u32().is_multiple_of(3) { "source-remove" } else { "source-add" }).with_child(
                Element::new("content", ns::JINGLE).with_attr("name", "video").with_child(description),
            )
        }
        5 => bare("session-info").with_child(session().with_attr("ice-restart", "true")),
        6 => bare("session-info")
            .with_child(Element::new("ice-state", "http://jitsi.org/protocol/focus").with_text("failed")),
        7 => bare("transport-info").with_child(transport("audio")).with_child(transport("video")),
        8 => bare("transport-accept").with_child(transport("video")),
        9 => bare("transport-replace").with_child(transport("video")),
        10 => bare("session-terminate").with_child(session().with_attr("restart", "true")),
        _ => {
            let mut all = accept;
            all.set_attr("action", one_of(chance, ACTIONS));
            all
        }
    }
}

/// The same under another name, or in another namespace.
fn renamed(e: &Element, name: &'static str, space: &'static str) -> Element {
    let mut other = Element::new(name, space);
    for (name, value) in e.attrs() {
        other.set_attr(name.to_owned(), value);
    }
    other.with_children(e.children().cloned())
}

/// Something in it, wherever, makes no sense.
fn mutate(e: &mut Element, chance: &mut SeededEntropy) {
    let children = e.children().count();
    if children > 0 && !chance.u32().is_multiple_of(4) {
        let at = below(chance, children);
        return mutate(e.children_mut().nth(at).unwrap(), chance);
    }
    let attrs: Vec<String> = e.attrs().map(|(name, _)| name.to_owned()).collect();
    let any = if attrs.is_empty() { String::new() } else { attrs[below(chance, attrs.len())].clone() };
    let child = below(chance, children);
    match below(chance, 10) {
        0 => drop(e.remove_attr(&any)),
        1 | 2 if !any.is_empty() => e.set_attr(any, word(chance)),
        1..=3 => e.set_attr(one_of(chance, ATTRS), word(chance)),
        4 => {
            let mut at = 0;
            e.retain_children(|_| {
                at += 1;
                at != child + 1
            });
        }
        5 => {
            let more: Vec<Element> = e.children().nth(child).cloned().into_iter().collect();
            for _ in 0..below(chance, 40) {
                more.iter().for_each(|m| e.push(m.clone()));
            }
        }
        6 => *e = renamed(e, one_of(chance, NAMES), one_of(chance, SPACES)),
        7 => e.push_text(word(chance)),
        8 => {
            let mut deep = Element::new(one_of(chance, NAMES), one_of(chance, SPACES));
            for _ in 0..below(chance, 15) {
                deep = Element::new(one_of(chance, NAMES), one_of(chance, SPACES)).with_child(deep);
            }
            e.push(deep);
        }
        _ => {
            e.push(Element::new(one_of(chance, NAMES), one_of(chance, SPACES)).with_attr("id", word(chance)))
        }
    }
}

/// What somebody who has a session says in it next, by chance.
pub(super) fn said(client: &Client, seed: u64) -> String {
    let mut chance = SeededEntropy::new(seed);
    let sane = request(client, &mut chance);
    let mut said = sane.clone();
    for _ in 0..below(&mut chance, 4) {
        mutate(&mut said, &mut chance);
    }
    // What no server passes on is not said.
    let text = said.to_xml();
    let passes = text.len() < 200_000 && jitsi_xmpp::xml::parse(text.as_bytes()).is_ok();
    if passes { text } else { sane.to_xml() }
}

fn course(seed: u64) -> Vec<Op> {
    let mut chance = SeededEntropy::new(seed);
    let mut all = vec![Op::Join(0, true), Op::Join(1, false)];
    for _ in 0..40 {
        let who = below(&mut chance, HOSTILE.len());
        all.push(match below(&mut chance, 20) {
            0 | 1 => Op::Camera,
            2 | 3 => Op::Elsewhere,
            4 => Op::Pass(1 + u64::from(chance.u32() % 9)),
            5 => Op::Join(who, true),
            _ => Op::Mutated(who, chance.u64()),
        });
    }
    all
}

/// One course; what the other room heard.
fn run(seed: u64, hostile: bool) -> Vec<String> {
    let ops = course(seed);
    let mut course = Course::begin(hostile, seed.is_multiple_of(2));
    ops.iter().take(2).for_each(|op| course.happens(op));
    if hostile {
        let conference = &course.w.focus.rooms[&ROOM.parse().unwrap()];
        let session = conference.members[HOSTILE[0]].session();
        assert!(session.is_some_and(|s| s.offered.is_none()), "its session is accepted");
    }
    ops.iter().skip(2).for_each(|op| course.happens(op));
    for nick in ["anna0001", "ben00002"] {
        let heard = course.w.clients[nick].received.iter().filter_map(|j| j.attr("action"));
        let sessions: Vec<&str> = heard.filter(|a| a.starts_with("session-")).collect();
        assert_eq!(sessions, ["session-initiate"], "{nick} is invited once and never sent away");
    }
    course.end()
}

#[test]
fn who_has_a_session_and_says_absurd_things_in_it_costs_nobody_else_anything() {
    // Another few hundred each time; one course again: its seed in `PLAUSCH_SEED`.
    let again = std::env::var("PLAUSCH_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seeds = again.map_or_else(|| (0..300).map(|n| now.wrapping_add(n)).collect(), |seed| vec![seed]);
    for seed in seeds {
        let both = std::panic::catch_unwind(|| (run(seed, true), run(seed, false)));
        let Ok((with, without)) = both else { panic!("PLAUSCH_SEED={seed}") };
        assert_eq!(with, without, "another room notices; PLAUSCH_SEED={seed}");
    }
}
