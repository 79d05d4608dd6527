//! Attacks by the list (docs/developer/testing.md): whatever somebody outside, in the meeting or in the lobby tries, it gets upstream's
//! error, and others notice nothing.

use std::net::IpAddr;

use budget::Network;
use jitsi_xmpp::Sensitive;
use prosody_core::{Did, SessionQuery};
use serde_json::json;

use crate::rig::{Client, ROOM, Rig, parse};
use crate::tokens::{token_with, with_both};

const LOBBY: &str = "rathaus@lobby.meet.jitsi";
const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
const OWNER: &str = "http://jabber.org/protocol/muc#owner";

fn join(rig: &mut Rig, who: &Client, room: &str, inside: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<presence to="{room}/{}"><x xmlns="http://jabber.org/protocol/muc">{inside}</x><nick xmlns="http://jabber.org/protocol/nick">N</nick></presence>"#, who.nick))
}

fn iq(rig: &mut Rig, who: &Client, kind: &str, to: &str, payload: &str) -> String {
    rig.ask(who, &format!(r#"<iq type="{kind}" id="x" to="{to}">{payload}</iq>"#)).concat()
}

/// What the focus sees of a room.
fn view(rig: &mut Rig, focus: &Client) -> String {
    let info = iq(rig, focus, "get", ROOM, r#"<query xmlns="http://jabber.org/protocol/disco#info"/>"#);
    let lists = ["owner", "member", "outcast", "none"].map(|kind| {
        let query = format!(r#"<query xmlns="{ADMIN}"><item affiliation="{kind}"/></query>"#);
        iq(rig, focus, "get", ROOM, &query)
    });
    info + &rig.form(focus, ROOM) + &lists.concat()
}

/// X14.
#[test]
fn a_room_is_not_taken_over_from_outside_from_inside_or_from_its_lobby() {
    let mut rig = Rig::new();
    let early = rig.client();
    for room in [ROOM, LOBBY, "x@breakout.meet.jitsi", "jvbbrewery@internal-muc.meet.jitsi"] {
        let back = join(&mut rig, &early, room, "").concat();
        assert!(!back.contains("code=\"110\""), "before the focus: {back}");
    }
    assert_eq!(rig.server.stats().rooms, 0);

    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let (outside, waits) = (rig.client(), rig.client());
    rig.grant(&focus, anna);
    for member in [anna, ben] {
        let item =
            format!(r#"<query xmlns="{ADMIN}"><item affiliation="member" jid="{}"/></query>"#, member.bare());
        if member.jid == ben.jid {
            iq(&mut rig, anna, "set", ROOM, &item);
        }
    }
    rig.configure(anna, ROOM, "membersonly", "true");
    let lobby = join(&mut rig, &waits, LOBBY, "").concat();
    assert!(lobby.contains("code=\"110\""), "{lobby}");
    for quiet in [&focus, anna, ben, &waits] {
        rig.take(quiet);
    }
    let before = view(&mut rig, &focus);
    for who in [&outside, &waits, ben] {
        let own = who.bare().to_owned();
        let admin = [
            format!(r#"<item affiliation="owner" jid="{own}"/>"#),
            format!(r#"<item affiliation="none" jid="{}"/>"#, anna.bare()),
            format!(r#"<item affiliation="outcast" jid="{}"/>"#, anna.bare()),
            r#"<item affiliation="none" jid="focus@auth.meet.jitsi"/>"#.to_owned(),
            format!(r#"<item nick="{}" role="none"/>"#, anna.nick),
            r#"<item nick="focus" role="none"/>"#.to_owned(),
            format!(r#"<item nick="{}" role="moderator"/>"#, who.nick),
        ];
        for item in admin {
            let query = format!(r#"<query xmlns="{ADMIN}">{item}</query>"#);
            for room in [ROOM, LOBBY] {
                let back = iq(&mut rig, who, "set", room, &query);
                assert!(back.contains("type=\"error\""), "{item}: {back}");
            }
        }
        for inner in [
            "<destroy/>",
            r#"<x xmlns="jabber:x:data" type="submit"><field var="muc#roomconfig_membersonly"><value>0</value></field></x>"#,
            r#"<x xmlns="jabber:x:data" type="submit"><field var="muc#roomconfig_roomsecret"><value>mine</value></field></x>"#,
            r#"<x xmlns="jabber:x:data" type="submit"><field var="muc#roominfo_meetingId"><value>x</value></field></x>"#,
        ] {
            for room in [ROOM, LOBBY] {
                let query = format!(r#"<query xmlns="{OWNER}">{inner}</query>"#);
                let back = iq(&mut rig, who, "set", room, &query);
                assert!(back.contains("type=\"error\""), "{inner}: {back}");
            }
        }
        // Past the lobby: invited by nobody who may.
        for to in [&own, &waits.bare().to_owned()] {
            let invite = format!(
                r#"<message id="i" to="{ROOM}"><x xmlns="http://jabber.org/protocol/muc#user"><invite to="{to}"/></x></message>"#
            );
            let back = rig.ask(who, &invite).concat();
            assert!(back.contains("type=\"error\""), "{back}");
        }
        // The focus' nick, and everything that a moderator says to a component.
        let nick =
            format!(r#"<presence to="{ROOM}/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#);
        let back = rig.ask(who, &nick).concat();
        assert!(back.contains("type=\"error\""), "{back}");
        for (component, command) in [
            ("endconference", "<end_conference xmlns=\"http://jitsi.org/jitmeet\" room=\"ROOM\"/>"),
            (
                "avmoderation",
                "<av_moderation xmlns=\"http://jitsi.org/jitmeet\" room=\"ROOM\" enable=\"true\" mediaType=\"audio\"/>",
            ),
            (
                "metadata",
                "<room_metadata xmlns=\"http://jitsi.org/jitmeet\" room=\"ROOM\">{\"key\":\"startMuted\",\"data\":{\"audio\":true}}</room_metadata>",
            ),
            ("breakout", "<breakout_rooms type=\"features/breakout-rooms/add\" subject=\"x\"/>"),
        ] {
            let command = command.replace("ROOM", ROOM);
            let back =
                rig.ask(who, &format!(r#"<message id="c" to="{component}.meet.jitsi">{command}</message>"#));
            assert!(back.concat().contains("type=\"error\""), "{component}: {back:?}");
        }
    }
    for quiet in [&focus, anna] {
        assert_eq!(rig.take(quiet), Vec::<String>::new(), "others notice nothing");
    }
    assert_eq!(view(&mut rig, &focus), before, "and nothing is otherwise");
    for out in [&outside, &waits] {
        assert!(!rig.join(out).concat().contains("code=\"110\""));
    }
    rig.end(&[&focus, anna, ben, &early, &outside, &waits]);
}

/// X15: of two members with one name, one program reads the first and another the last.
#[test]
fn json_with_a_member_twice_is_said_to_nobody() {
    let mut rig = Rig::with(|c| {
        for module in ["filesharing_component", "audio_translation_component"] {
            c.hosts.components.push(prosody_core::ComponentHost {
                domain: format!("{module}.meet.jitsi"),
                module: module.into(),
                rooms: c.hosts.rooms[0].domain.clone(),
            });
        }
    });
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    rig.grant(&focus, anna);
    rig.take(&focus);
    rig.take(ben);
    let poll = r#"{"type":"polls","type":"other","command":"new-poll","pollId":"a","question":"?","answers":[{"name":"x"}]}"#;
    let votes = r#"{"type":"polls","command":"new-poll","pollId":"a","pollId":"b","question":"?","answers":[{"name":"x"}]}"#;
    for (to, said) in [
        ("polls.meet.jitsi", format!("<json-message xmlns=\"http://jitsi.org/jitmeet\">{poll}</json-message>")),
        ("polls.meet.jitsi", format!("<json-message xmlns=\"http://jitsi.org/jitmeet\">{votes}</json-message>")),
        ("metadata.meet.jitsi", format!(r#"<room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"recording","key":"startMuted","data":{{}}}}</room_metadata>"#)),
        ("metadata.meet.jitsi", format!(r#"<room_metadata xmlns="http://jitsi.org/jitmeet" room="{ROOM}">{{"key":"startMuted","data":{{"audio":true,"audio":false}}}}</room_metadata>"#)),
        ("filesharing_component.meet.jitsi", r#"<file-sharing xmlns="http://jitsi.org/jitmeet" type="add">{"fileId":"a","fileId":"b","fileName":"n","fileSize":1,"timestamp":1}</file-sharing>"#.to_owned()),
        ("audio_translation_component.meet.jitsi", r#"<audio-translation xmlns="http://jitsi.org/jitmeet">{"12345678":"de","12345678":""}</audio-translation>"#.to_owned()),
    ] {
        let back = rig.ask(anna, &format!(r#"<message id="c" to="{to}" type="chat">{said}</message>"#));
        assert!(back.concat().contains("type=\"error\""), "{said}: {back:?}");
    }
    // What is relayed as it is said: nobody gets it.
    let twice = r#"{"type":"transcription-result","type":"e2e-ping-request"}"#;
    rig.send(anna, &format!(r#"<message to="{ROOM}" type="groupchat"><json-message xmlns="http://jitsi.org/jitmeet">{twice}</json-message></message>"#));
    assert_eq!(rig.take(ben), Vec::<String>::new());
    assert_eq!(rig.take(&focus), Vec::<String>::new());
    rig.end(&[&focus, anna, ben]);
}

/// X16.
#[test]
fn nobody_becomes_a_recorder_a_moderator_or_hidden_by_saying_so() {
    let mut rig = Rig::with(|c| {
        c.hosts.add_hidden("hidden.meet.jitsi");
        c.recorders = vec!["recorder@hidden.".into()];
        c.transcribers = vec!["transcriber@hidden.".into()];
    });
    let (focus, clients) = rig.meeting(2);
    let (anna, ben) = (&clients[0], &clients[1]);
    for claim in [
        r#"<x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="owner" role="moderator" jid="focus@auth.meet.jitsi/focus"/><status code="110"/></x>"#,
        r#"<x xmlns="vcard-temp:x:update"/><jibri-recording-status xmlns="http://jitsi.org/protocol/jibri" status="on"/>"#,
        r#"<permissions xmlns="http://jitsi.org/jitmeet"><p name="recording" val="true"/></permissions>"#,
        r#"<identity xmlns="jabber:client"><user><id>1</id><name>Mayor</name><hidden-from-recorder>true</hidden-from-recorder></user></identity>"#,
    ] {
        rig.send(anna, &format!(r#"<presence to="{ROOM}/{}">{claim}</presence>"#, anna.nick));
        for told in rig.take(ben).iter().map(|f| parse(f)) {
            let x = told.child("x", "http://jabber.org/protocol/muc#user").expect("the server's");
            let item = x.child_named("item").expect("an item");
            assert_eq!((item.attr("role"), item.attr("affiliation")), (Some("participant"), Some("none")));
            assert!(item.attr("jid").is_none_or(|jid| jid == anna.jid), "{}", told.to_xml());
            for forged in ["permissions", "identity"] {
                assert!(told.child_named(forged).is_none(), "{}", told.to_xml());
            }
        }
    }
    // The words of a transcriber, of a recorder's state, of moderation: of those alone whose they are.
    let words = [
        r#"{"type":"transcription-result","transcript":[{"text":"I resign"}]}"#,
        r#"{"type":"room_metadata","metadata":{"startMuted":{"audio":true}}}"#,
    ];
    for json in words {
        rig.send(anna, &format!(r#"<message to="{ROOM}" type="groupchat"><json-message xmlns="http://jitsi.org/jitmeet">{json}</json-message></message>"#));
    }
    let heard = rig.take(ben).concat();
    assert!(!heard.contains("I resign"), "{heard}");
    assert!(!heard.contains("metadata.meet.jitsi"), "from whom it is stands there: {heard}");
    // A name on the hidden domain is nobody's who has no account there.
    let hidden =
        SessionQuery { custom_username: Some(Sensitive::new("recorder".into())), ..SessionQuery::default() };
    let eve = rig.client_with(hidden);
    assert!(eve.bare().ends_with("@meet.jitsi") && !eve.jid.starts_with("recorder@"), "{}", eve.jid);
    rig.end(&[&focus, anna, ben, &eve]);
}

/// X17: passwords, tokens, addresses of machines and resumption ids of others in all that an ordinary participant hears.
#[test]
fn nothing_that_a_participant_hears_opens_doors_or_says_where_others_are() {
    const PASSWORD: &str = "Zimtstern-4711";
    let mut rig = with_both(|s| s.allow_empty = true, |_| {});
    let from = |n: u8, mut query: SessionQuery| {
        query.peer = Some(Network::of(IpAddr::from([198, 51, 100, n])));
        query.room = Some(Sensitive::new("rathaus".into()));
        query
    };
    let user =
        |id: &str| token_with(&json!({"context": {"user": {"id": id, "name": id, "moderator": true}}}));
    let focus = rig.focus();
    rig.join(&focus);
    let queries = [user("Anna"), user("Cara")];
    let mut secrets: Vec<String> =
        queries.iter().filter_map(|q| q.token.as_ref().map(|t| t.reveal().clone())).collect();
    secrets.extend(secrets.clone().iter().filter_map(|t| t.rsplit('.').next().map(str::to_owned)));
    secrets
        .extend([PASSWORD, "198.51.100.", "geheim", "jvbpass", "a-secret-of-the-tests"].map(str::to_owned));
    let [anna, cara] = queries;
    let anna = rig.client_with(from(1, anna));
    secrets.push(rig.enable(&anna));
    rig.join(&anna);
    rig.configure(&anna, ROOM, "roomsecret", PASSWORD);
    let mut heard = Vec::new();
    let ben = rig.client_with(from(2, SessionQuery::default()));
    heard.extend(rig.join(&ben));
    heard.extend(rig.join_with(&ben, &format!("<password>{PASSWORD}</password>"), ""));
    assert!(heard.concat().contains("code=\"110\""), "{heard:?}");
    let member =
        format!(r#"<query xmlns="{ADMIN}"><item affiliation="member" jid="{}"/></query>"#, ben.bare());
    iq(&mut rig, &anna, "set", ROOM, &member);
    // A lobby, somebody who knocks, is let in past the password, speaks, asks, moderates, leaves.
    rig.configure(&anna, ROOM, "membersonly", "true");
    let cara = rig.client_with(from(3, cara));
    secrets.push(rig.enable(&cara));
    let knocked = join(&mut rig, &cara, LOBBY, "").concat();
    rig.send(&anna, &format!(r#"<message id="i" to="{ROOM}"><x xmlns="http://jabber.org/protocol/muc#user"><invite to="{}"/></x></message>"#, cara.bare()));
    let invited = rig.take(&cara).concat();
    for secret in [PASSWORD, "198.51.100."] {
        assert!(!knocked.contains(secret) && !invited.contains(secret), "{knocked}{invited}");
    }
    let came = join(&mut rig, &cara, ROOM, "").concat();
    assert!(came.contains("code=\"110\""), "{came}");
    for who in [&anna, &cara] {
        rig.send(who, &format!(r#"<message to="{ROOM}" type="groupchat"><body>hello</body></message>"#));
    }
    rig.send(&anna, &format!(r#"<message to="avmoderation.meet.jitsi"><av_moderation xmlns="http://jitsi.org/jitmeet" room="{ROOM}" enable="true" mediaType="audio"/></message>"#));
    rig.send(&anna, r#"<message to="polls.meet.jitsi" type="chat"><json-message xmlns="http://jitsi.org/jitmeet">{"type":"polls","command":"new-poll","pollId":"a","question":"?","answers":[{"name":"x"}]}</json-message></message>"#);
    heard.extend(rig.take(&ben));
    for (to, payload) in [
        (ROOM, r#"<query xmlns="http://jabber.org/protocol/disco#info"/>"#),
        (ROOM, r#"<query xmlns="http://jabber.org/protocol/disco#items"/>"#),
        (ROOM, r#"<query xmlns="http://jabber.org/protocol/muc#owner"/>"#),
        ("meet.jitsi", r#"<query xmlns="http://jabber.org/protocol/disco#info"/>"#),
        ("meet.jitsi", r#"<services xmlns="urn:xmpp:extdisco:2"/>"#),
    ] {
        heard.push(iq(&mut rig, &ben, "get", to, payload));
    }
    rig.leave(&cara);
    heard.extend(rig.take(&ben));
    assert!(heard.concat().contains("<body>hello</body>"), "{heard:#?}");
    for frame in &heard {
        let told = secrets.iter().find(|s| frame.contains(s.as_str()));
        assert_eq!(told, None, "{frame}");
    }
}

/// X19: whoever only asks, and joins nothing, does not learn which meetings there are.
#[test]
fn a_stranger_who_asks_learns_nothing_of_which_meetings_there_are() {
    let mut rig = Rig::new();
    let (focus, clients) = rig.meeting(1);
    let other = "bauhof@muc.meet.jitsi";
    let stranger = rig.client();
    let inside = clients[0].nick.clone();
    let questions = [
        ("get", "", r#"<query xmlns="http://jabber.org/protocol/disco#info"/>"#),
        ("get", "", r#"<query xmlns="http://jabber.org/protocol/disco#items"/>"#),
        ("get", "", r#"<query xmlns="http://jabber.org/protocol/muc#owner"/>"#),
        (
            "get",
            "",
            r#"<query xmlns="http://jabber.org/protocol/muc#admin"><item affiliation="owner"/></query>"#,
        ),
        ("get", "", r#"<ping xmlns="urn:xmpp:ping"/>"#),
        ("get", "/NICK", r#"<ping xmlns="urn:xmpp:ping"/>"#),
        ("get", "/NICK", r#"<query xmlns="http://jabber.org/protocol/disco#info"/>"#),
        ("set", "", r#"<shadow-ban xmlns="http://jitsi.org/jitmeet/shadow-ban" jid="a@b">true</shadow-ban>"#),
        ("set", "/focus", r#"<jingle xmlns="urn:xmpp:jingle:1" action="session-terminate" sid="x"/>"#),
    ];
    for (kind, nick, payload) in questions {
        let nick = nick.replace("NICK", &inside);
        let [there, not] = [ROOM, other].map(|room| {
            iq(&mut rig, &stranger, kind, &format!("{room}{nick}"), payload).replace(room, "ROOM")
        });
        assert_eq!(there, not, "{kind} {nick} {payload}");
    }
    for stanza in [
        r#"<message id="m" to="ROOM" type="groupchat"><body>x</body></message>"#,
        r#"<message id="m" to="ROOM/NICK" type="chat"><body>x</body></message>"#,
        r#"<message id="m" to="ROOM"><x xmlns="http://jabber.org/protocol/muc#user"><invite to="a@meet.jitsi"/></x></message>"#,
        r#"<presence id="p" to="ROOM/a1b2c3d4"/>"#,
        r#"<presence id="p" to="ROOM/a1b2c3d4" type="unavailable"/>"#,
        r#"<message id="m" to="metadata.meet.jitsi"><room_metadata xmlns="http://jitsi.org/jitmeet" room="ROOM">{"key":"a","data":{}}</room_metadata></message>"#,
        r#"<message id="m" to="speakerstats.meet.jitsi"><speakerstats xmlns="http://jitsi.org/jitmeet" room="ROOM"/></message>"#,
        r#"<message id="m" to="endconference.meet.jitsi"><end_conference xmlns="http://jitsi.org/jitmeet" room="ROOM"/></message>"#,
        r#"<message id="m" to="avmoderation.meet.jitsi"><av_moderation xmlns="http://jitsi.org/jitmeet" room="ROOM" enable="true" mediaType="audio"/></message>"#,
    ] {
        let [there, not] = [ROOM, other].map(|room| {
            let said = stanza.replace("ROOM", room).replace("NICK", &inside);
            rig.ask(&stranger, &said).concat().replace(room, "ROOM")
        });
        assert_eq!(there, not, "{stanza}");
    }
    assert!(!iq(&mut rig, &stranger, "get", "muc.meet.jitsi", questions[1].2).contains("rathaus"));
    rig.end(&[&focus, &clients[0], &stranger]);
}

#[test]
fn what_a_module_did_is_counted_by_its_name() {
    let mut rig = Rig::with(|c| c.hosts.rooms[0].policy.max_participants = Some(1));
    let (focus, clients) = rig.meeting(1);
    let (anna, stranger) = (&clients[0], rig.client());
    let full = rig.join(&stranger).concat();
    assert!(full.contains("<service-unavailable "), "{full}");
    let end = r#"<message id="c" to="endconference.meet.jitsi"><end_conference xmlns="http://jitsi.org/jitmeet"/></message>"#;
    rig.send(anna, end);
    rig.send(anna, &format!(r#"<message to="{ROOM}" type="groupchat"><json-message xmlns="http://jitsi.org/jitmeet">{{</json-message></message>"#));
    rig.grant(&focus, anna);
    rig.send(anna, end);
    let counted = |did: Did, name: &str| {
        rig.server.counters().modules(did).find(|(module, _)| *module == name).map_or(0, |(_, n)| n)
    };
    assert_eq!(counted(Did::Refused, "max_occupants"), 1);
    assert_eq!((counted(Did::Refused, "end_conference"), counted(Did::Done, "end_conference")), (1, 1));
    assert_eq!(counted(Did::Dropped, "json_message"), 1);
    assert_eq!(counted(Did::Held, "max_occupants"), 0);
}

/// X20.
#[test]
fn a_person_of_one_tenant_reaches_nothing_of_another() {
    let mut rig =
        with_both(|s| s.verify_domain = true, |c| c.hosts.rooms[0].modules.push("muc_census".into()));
    let theirs = "rathaus@muc.b.meet.jitsi";
    let focus = rig.focus();
    rig.send(
        &focus,
        &format!(r#"<presence to="{theirs}/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#),
    );
    let mut person = |tenant: &str| {
        let mut query =
            token_with(&json!({"sub": tenant, "room": "*", "context": {"user": {"moderator": true}}}));
        query.prefix = Some(Sensitive::new(tenant.into()));
        rig.client_with(query)
    };
    let (anna, bert) = (person("a"), person("b"));
    assert!(join(&mut rig, &bert, theirs, "").concat().contains("code=\"110\""));
    rig.take(&focus);
    for room in [
        theirs,
        "[b]rathaus@muc.meet.jitsi",
        "rathaus@muc.B.meet.jitsi",
        "rathaus@muc.b.meet.jitsi.meet.jitsi",
    ] {
        let back = join(&mut rig, &anna, room, "").concat();
        assert!(back.contains("type=\"error\"") && !back.contains("code=\"110\""), "{room}: {back}");
    }
    for room in ["rathaus@lobby.meet.jitsi", "[b]rathaus@lobby.meet.jitsi"] {
        let back = join(&mut rig, &anna, room, "").concat();
        assert!(!back.contains("code=\"110\""), "{room}: {back}");
    }
    for (to, payload) in [
        (
            theirs,
            format!(r#"<query xmlns="{ADMIN}"><item affiliation="owner" jid="{}"/></query>"#, anna.bare()),
        ),
        (theirs, format!(r#"<query xmlns="{OWNER}"><destroy/></query>"#)),
    ] {
        let back = iq(&mut rig, &anna, "set", to, &payload);
        assert!(back.contains("type=\"error\""), "{back}");
    }
    for component in ["endconference", "avmoderation", "metadata", "polls"] {
        let back = rig.ask(&anna, &format!(r#"<message id="c" to="{component}.meet.jitsi"><end_conference xmlns="http://jitsi.org/jitmeet" room="{theirs}"/></message>"#));
        assert!(back.concat().contains("type=\"error\""), "{component}: {back:?}");
    }
    // The host of a session is the one of its first stream header.
    rig.raw(
        anna.conn,
        br#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="auth.meet.jitsi" version="1.0"/>"#,
    );
    assert!(rig.take(&anna).iter().all(|f| !f.contains("<mechanism")), "no second login, on no other host");
    assert_eq!(rig.take(&focus), Vec::<String>::new());
    assert_eq!(rig.take(&bert), Vec::<String>::new(), "who was there has heard nothing");
}
