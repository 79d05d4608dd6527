//! Recorded clients against our server: the client side is played, and what comes back is compared with what stock
//! Prosody sent, as sets of stanzas (attributes and children in any order).

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use jitsi_xmpp::xml::Node;
use jitsi_xmpp::{Element, Sensitive};
use prosody_core::{ConnId, SessionQuery, Transport};
use serde_json::Value;

use crate::rig::{Client, Rig, between, parse, without_push};

struct Recorded {
    client: u64,
    sent: bool,
    data: String,
}

fn load(file: &str) -> Vec<Recorded> {
    let path = format!("{}/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let v: Value = serde_json::from_str(line).unwrap();
        let opened = v["ev"] == "open";
        let data = if opened {
            v["ws"].as_str().unwrap_or_default().to_owned()
        } else {
            v["data"].as_str().unwrap_or_default().to_owned()
        };
        if opened || !data.is_empty() {
            all.push(Recorded {
                client: v["client"].as_u64().unwrap(),
                sent: opened || v["dir"] == "c2s",
                data,
            });
        }
    }
    all
}

/// The recordings' focus: joins what it is asked for, says that it is ready, and makes the first who comes an owner.
#[derive(Default)]
struct StubFocus {
    joined: Vec<String>,
    granted: Vec<String>,
}

impl StubFocus {
    fn act(&mut self, rig: &mut Rig, focus: &Client) {
        loop {
            let frames = rig.take(focus);
            if frames.is_empty() {
                return;
            }
            for f in frames {
                let e = parse(&f);
                if let Some(c) = e.child_named("conference") {
                    let room = c.attr("room").unwrap();
                    if !self.joined.contains(&room.to_owned()) {
                        self.joined.push(room.to_owned());
                        rig.send(focus, &format!(r#"<presence to="{room}/focus"><x xmlns="http://jabber.org/protocol/muc"/><nick xmlns="http://jabber.org/protocol/nick">focus</nick></presence>"#));
                    }
                    let (from, id) = (e.attr("from").unwrap(), e.attr("id").unwrap());
                    rig.send(focus, &format!(r#"<iq type="result" id="{id}" to="{from}"><conference xmlns="http://jitsi.org/protocol/focus" room="{room}" ready="true" focusjid="focus@auth.meet.jitsi"><property name="authentication" value="false"/><property name="externalAuth" value="false"/></conference></iq>"#));
                }
                let from = e.attr("from").unwrap_or_default();
                let room = from.split('/').next().unwrap().to_owned();
                if e.name() == "presence"
                    && e.attr("type").is_none()
                    && !from.ends_with("/focus")
                    && !self.granted.contains(&room)
                {
                    let item = e.child_named("x").and_then(|x| x.child_named("item")).unwrap();
                    let bare = item.attr("jid").unwrap().split('/').next().unwrap().to_owned();
                    self.granted.push(room.clone());
                    rig.send(focus, &format!(r#"<iq type="set" id="go" to="{room}"><query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="owner" jid="{bare}"/></query></iq>"#));
                }
            }
        }
    }
}

/// Puts our addresses in the place of the recorded ones, and the ids that Prosody rewrote back.
fn translate(text: &str, names: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (old, new) in names {
        text = text.replace(old, new);
    }
    let Some(id) = between(&text, " id='", "'").or_else(|| between(&text, " id=\"", "\"")).map(str::to_owned)
    else {
        return text;
    };
    let plain = base64::engine::general_purpose::STANDARD.decode(&id).ok();
    let original = plain
        .as_ref()
        .and_then(|p| p.split(|b| *b == 0).nth(1))
        .map(|o| String::from_utf8_lossy(o).into_owned());
    match original {
        Some(o) => text.replace(&id, &o),
        None => text,
    }
}

/// One text for all stanzas that mean the same to a client.
fn canonical(e: &Element) -> String {
    let mut attrs: Vec<String> = e
        .attrs()
        .filter(|(n, _)| !matches!(*n, "xml:lang" | "by" | "stamp") && !n.starts_with("xmlns:"))
        .filter(|(n, _)| !(*n == "id" && e.name() == "message"))
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    attrs.sort();
    let mut inner: Vec<String> = e
        .nodes()
        .iter()
        .filter_map(|n| match n {
            // Clients ignore occupant ids; the name of the writer in the history is ours.
            Node::Element(c) if matches!(c.name(), "occupant-id" | "display-name") => None,
            Node::Element(c) if c.name() == "p" && c.attr("name").is_some_and(|n| LATER.contains(&n)) => None,
            Node::Element(c) => Some(canonical(c)),
            Node::Text(t) if e.name() == "json-message" => {
                Some(serde_json::from_str::<Value>(t).unwrap().to_string().replace("{}", "[]"))
            }
            Node::Text(t) => Some(t.clone()),
        })
        .collect();
    inner.sort();
    format!("<{} {} {}>{}", e.name(), e.ns(), attrs.join(" "), inner.join(""))
}

/// Permissions that upstream gives since the recordings; older clients do not look for them.
const LATER: &[&str] = &["send-private-message", "live-translation", "live-translation-subscribe"];

/// What a recording contains that is not compared, with the reason.
fn left_out(e: &Element) -> bool {
    const ABSENT: &[&str] = &["breakout.", "conferenceduration."];
    let from = e.attr("from").unwrap_or_default();
    let domain = from.split('/').next().unwrap().rsplit('@').next().unwrap();
    let payload = e.first_child().map(|p| (p.name(), p.ns()));
    ABSENT.iter().any(|a| domain.starts_with(a))
        // Prosody also tells of those who have not said a word: a slip in its condition, and no news to anybody.
        || (domain.starts_with("speakerstats.") && silent_only(e))
        // Compared by `streams.rs` and `behaviour.rs` where they matter: features, counters, forms.
        || !e.is_stanza()
        || matches!(payload, Some((_, jitsi_xmpp::ns::DISCO_INFO | jitsi_xmpp::ns::MUC_OWNER | jitsi_xmpp::ns::BIND)))
        // We always answer requests for TURN servers and advertise no session establishment.
        || (domain == "meet.jitsi" && e.name() == "iq")
        || (e.name() == "iq" && from.is_empty())
        // The own broadcast presence, reflected; recorded or not depending on how fast the socket was closed.
        || (e.name() == "presence" && domain == "meet.jitsi")
}

/// Speaker statistics in which nobody has spoken.
fn silent_only(e: &Element) -> bool {
    let text = e.first_child().map(Element::text).unwrap_or_default();
    let Ok(json) = serde_json::from_str::<Value>(&text) else { return false };
    json["users"].as_object().is_some_and(|u| u.values().all(|u| u["totalDominantSpeakerTime"] == 0))
}

/// Plays a recording; returns, per client, what stock Prosody sent and what we sent, both canonical and filtered.
fn play(file: &str, until: Option<&str>) -> (BTreeMap<u64, [Vec<String>; 2]>, Rig) {
    let mut rig = Rig::with(without_push);
    let focus = rig.focus();
    let mut stub = StubFocus::default();
    let mut conns: HashMap<u64, ConnId> = HashMap::new();
    let mut names: Vec<(String, String)> = Vec::new();
    let mut result: BTreeMap<u64, [Vec<String>; 2]> = BTreeMap::new();
    let mut received = HashMap::new();
    let mut recorded = load(file);
    if let Some(cut) = until.and_then(|u| recorded.iter().position(|r| r.sent && r.data.contains(u))) {
        recorded.truncate(cut);
    }
    // Names first: the recorded addresses are learnt from the bind results, which come before all other use.
    for (at, r) in recorded.iter().enumerate() {
        if r.sent && r.data.starts_with("wss://") {
            let room =
                r.data.split("room=").nth(1).map(|r| Sensitive::new(r.split('&').next().unwrap().to_owned()));
            conns.insert(
                r.client,
                rig.open(Transport::WebSocket, SessionQuery { room, ..Default::default() }),
            );
            continue;
        }
        let conn = conns[&r.client];
        // The recorded counts include stanzas of components that are not here: ours are acknowledged instead.
        if r.sent && r.data.starts_with("<a ") {
            let h = received.get(&r.client).copied().unwrap_or_default();
            rig.raw(conn, format!(r#"<a xmlns="urn:xmpp:sm:3" h="{h}"/>"#).as_bytes());
        } else if r.sent {
            rig.raw(conn, translate(&r.data, &names).as_bytes());
            stub.act(&mut rig, &focus);
            let got = rig.take_raw(conn);
            if let Some(ours) = got.iter().find_map(|f| between(f, "<jid>", "</jid>")) {
                let theirs = recorded[at..]
                    .iter()
                    .filter(|n| n.client == r.client && !n.sent)
                    .find_map(|n| between(&n.data, "<jid>", "</jid>"))
                    .unwrap();
                names.push((theirs.to_owned(), ours.to_owned()));
                names.push((theirs[..36].to_owned(), ours[..36].to_owned()));
                names.push((theirs[..8].to_owned(), ours[..8].to_owned()));
            }
            keep(&mut result, &mut received, r.client, got);
        }
        let waiting: Vec<(u64, ConnId)> = conns.iter().map(|(c, n)| (*c, *n)).collect();
        for (client, conn) in waiting {
            let got = rig.take_raw(conn);
            keep(&mut result, &mut received, client, got);
        }
    }
    for r in recorded.iter().filter(|r| !r.sent) {
        // Upstream sent bytes in an `occupant-id` that are no XML; the element is left out below.
        let xml: String = translate(&r.data, &names).chars().filter(|c| !c.is_control()).collect();
        let e = parse(&xml);
        if !left_out(&e) {
            result.entry(r.client).or_default()[0].push(canonical(&e));
        }
    }
    rig.raw(focus.conn, br#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#);
    (result, rig)
}

fn keep(
    result: &mut BTreeMap<u64, [Vec<String>; 2]>,
    received: &mut HashMap<u64, u32>,
    client: u64,
    frames: Vec<String>,
) {
    for f in frames {
        let e = parse(&f);
        if e.name() == "enabled" {
            received.insert(client, 0);
        } else if e.is_stanza()
            && let Some(n) = received.get_mut(&client)
        {
            *n += 1;
        }
        if !left_out(&e) {
            result.entry(client).or_default()[1].push(canonical(&e));
        }
    }
}

fn difference(theirs: &[String], ours: &[String]) -> (Vec<String>, Vec<String>) {
    let mut extra = ours.to_vec();
    let mut missing = Vec::new();
    for t in theirs {
        match extra.iter().position(|o| o == t) {
            Some(at) => {
                extra.remove(at);
            }
            None => missing.push(t.clone()),
        }
    }
    (missing, extra)
}

/// `raced`: stanzas whose arrival depended on who left first.
fn same_stanzas(file: &str, raced: Option<&str>) {
    let (result, rig) = play(file, None);
    assert!(!result.is_empty());
    for (client, [theirs, ours]) in &result {
        let (mut missing, mut extra) = difference(theirs, ours);
        missing.retain(|m| raced.is_none_or(|r| !m.contains(r)));
        extra.retain(|m| raced.is_none_or(|r| !m.contains(r)));
        assert!(theirs.len() >= 7, "{} stanzas compared", theirs.len());
        assert!(
            missing.is_empty() && extra.is_empty(),
            "client {client}\nmissing {missing:#?}\nextra {extra:#?}"
        );
    }
    rig.assert_empty();
}

#[test]
fn one_client_gets_what_prosody_sent() {
    same_stanzas("ws-anonymous-join.jsonl", None);
}

#[test]
fn two_clients_with_a_jingle_session_get_what_prosody_sent() {
    same_stanzas("ws-two-clients-p2p.jsonl", None);
}

#[test]
fn two_clients_of_2021_get_what_prosody_sent() {
    same_stanzas("ws-two-clients-p2p-client-of-2021.jsonl", Some("type=unavailable"));
}

/// Chat, private chat, nick, raised hand, subject, JSON message, metadata, owner grant, lock, passwords, kick; a lobby is opened,
/// one who knocks is let in, another turned away, and it is closed.
#[test]
fn the_features_and_the_lobby_give_what_prosody_sent() {
    let (result, _) = play("ws-features.jsonl", Some("after resume"));
    assert_eq!(result.len(), 5);
    for (client, [theirs, ours]) in &result {
        let (missing, extra) = difference(theirs, ours);
        assert!(theirs.len() >= 4, "{} stanzas compared", theirs.len());
        assert!(missing.is_empty(), "client {client}\nmissing {missing:#?}\nextra {extra:#?}");
        println!("client {client}: {} equal, extra {extra:#?}", theirs.len());
    }
}

/// The same recorded stanzas, one `<body/>` after the other.
#[test]
fn a_bosh_client_gets_what_prosody_sent() {
    let mut rig = Rig::with(without_push);
    let focus = rig.focus();
    let mut stub = StubFocus::default();
    let mut conn = None;
    let (mut theirs, mut ours, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for r in load("bosh-anonymous-join.jsonl") {
        let Some(body) = r.data.starts_with("<body").then(|| parse(&r.data)) else { continue };
        if !r.sent {
            if let Some(jid) = between(&r.data, "<jid>", "</jid>") {
                theirs.push(("jid".to_owned(), jid.to_owned()));
            }
            theirs.extend(body.children().map(|c| (String::new(), c.to_xml())));
            continue;
        }
        let conn = *conn.get_or_insert_with(|| rig.open(Transport::Bosh, SessionQuery::default()));
        if body.attr("to").is_some() {
            rig.raw(conn, crate::rig::OPEN.as_bytes());
        }
        for child in body.children() {
            // The recorded answers come later in the file; our own address is enough to play on.
            let text = ours_for(&child.to_xml(), &names);
            rig.raw(conn, text.as_bytes());
            stub.act(&mut rig, &focus);
        }
        if body.attr("type") == Some("terminate") {
            rig.raw(conn, br#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#);
        }
        for f in rig.take_raw(conn) {
            if let Some(jid) = between(&f, "<jid>", "</jid>") {
                names.push(jid.to_owned());
            }
            ours.push(f);
        }
    }
    let their_jid = theirs.iter().find(|(k, _)| k == "jid").map(|(_, j)| j.clone()).unwrap();
    let ours_jid = names[0].clone();
    let map = [
        (their_jid.clone(), ours_jid.clone()),
        (their_jid[..36].to_owned(), ours_jid[..36].to_owned()),
        (their_jid[..8].to_owned(), ours_jid[..8].to_owned()),
    ];
    let canon = |xml: &str| {
        let e = parse(xml);
        (!left_out(&e)).then(|| canonical(&e))
    };
    let theirs: Vec<String> =
        theirs.iter().filter(|(k, _)| k.is_empty()).filter_map(|(_, x)| canon(&translate(x, &map))).collect();
    let ours: Vec<String> = ours.iter().filter_map(|x| canon(x)).collect();
    let (missing, extra) = difference(&theirs, &ours);
    assert!(
        theirs.len() >= 6 && missing.is_empty() && extra.is_empty(),
        "missing {missing:#?}\nextra {extra:#?}"
    );
    rig.raw(focus.conn, br#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>"#);
    rig.assert_empty();
}

/// Puts our nick in the place of the recorded one, which follows the room's address.
fn ours_for(xml: &str, names: &[String]) -> String {
    let Some(jid) = names.first() else { return xml.to_owned() };
    match xml.find("@muc.meet.jitsi/") {
        Some(at) if xml.starts_with("<presence") => {
            let start = at + "@muc.meet.jitsi/".len();
            format!("{}{}{}", &xml[..start], &jid[..8], &xml[start + 8..])
        }
        _ => xml.to_owned(),
    }
}
