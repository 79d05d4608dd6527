//! Meetings in which everybody behaves.

use std::time::Duration;

use jitsi_xmpp::Element;
use jitsi_xmpp::jingle::{Action, Jingle};

use super::world::{ME, MEETING, NEW, OLD, ROOM, World, old_camera};
use crate::Config;

fn initiate(w: &World, nick: &str) -> Element {
    let c = &w.clients[nick];
    c.received.iter().rev().find(|j| j.attr("action") == Some("session-initiate")).expect("invited").clone()
}

#[test]
fn nobody_alone_has_media_two_have_and_the_first_is_owner() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    assert!(w.is_owner("anna0001"));
    assert!(w.actions("anna0001").is_empty());
    w.join("ben00002", NEW);
    assert!(!w.is_owner("ben00002"));
    assert_eq!(w.actions("anna0001"), ["session-initiate"]);
    assert_eq!(w.actions("ben00002"), ["session-initiate"]);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "ben00002"]);
    w.leave("anna0001");
    assert!(w.is_owner("ben00002"), "ownership passes on");
    w.leave("ben00002");
    w.assert_empty();
}

#[test]
fn the_bridge_is_asked_in_order_and_told_the_answer() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let requests = &w.bridges["jvb1"].requests;
    let first = &requests[0];
    assert!(first.create && !first.rtcstats_enabled);
    assert_eq!(first.meeting_id.as_str(), MEETING);
    assert_eq!(first.name.as_ref().unwrap().as_str(), ROOM);
    assert!(requests[1..].iter().all(|r| !r.create), "created once");
    assert!(requests.iter().all(|r| r.endpoints.len() == 1));
    let update =
        requests.iter().find(|r| !r.endpoints[0].create && r.endpoints[0].id.as_str() == "anna0001").unwrap();
    let e = &update.endpoints[0];
    assert_eq!(e.initial_last_n, Some(5));
    let ice = e.transport.as_ref().unwrap().ice.as_ref().unwrap();
    assert_eq!(ice.ufrag.as_deref(), Some("cu"));
    assert!(ice.rtcp_mux, "inserted when missing");
    let sources = e.sources.as_ref().unwrap();
    assert_eq!(sources.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["anna0001-a0", "anna0001-v0"]);
    assert_eq!((sources[1].sources.len(), sources[1].ssrc_groups.len()), (6, 4));
}

#[test]
fn the_offer_of_a_rewriting_client_is_this_text() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let jingle = initiate(&w, "ben00002");
    let (sid, bridge) = (&w.clients["ben00002"].sid, &w.clients["ben00002"].bridge_session);
    let fb = "<rtcp-fb xmlns=\"urn:xmpp:jingle:apps:rtp:rtcp-fb:0\" type=\"ccm\" subtype=\"fir\"/><rtcp-fb xmlns=\"urn:xmpp:jingle:apps:rtp:rtcp-fb:0\" type=\"nack\"/><rtcp-fb xmlns=\"urn:xmpp:jingle:apps:rtp:rtcp-fb:0\" type=\"nack\" subtype=\"pli\"/>";
    let cc = "<rtcp-fb xmlns=\"urn:xmpp:jingle:apps:rtp:rtcp-fb:0\" type=\"transport-cc\"/>";
    let ext = |id: u8, uri: &str| {
        format!("<rtp-hdrext xmlns=\"urn:xmpp:jingle:apps:rtp:rtp-hdrext:0\" id=\"{id}\" uri=\"{uri}\"/>")
    };
    let tcc = ext(5, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01");
    let mixed = "<extmap-allow-mixed xmlns=\"urn:xmpp:jingle:apps:rtp:rtp-hdrext:0\"/>";
    let mux = "<rtcp-mux xmlns=\"urn:xmpp:jingle:apps:rtp:1\"/>";
    let transport = |sctp: &str| {
        format!(
            "<transport xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\" ufrag=\"uf\" pwd=\"pw\"><rtcp-mux xmlns=\"urn:xmpp:jingle:transports:ice-udp:1\"/><fingerprint xmlns=\"urn:xmpp:jingle:apps:dtls:0\" hash=\"sha-256\" setup=\"actpass\">AA:BB</fingerprint><candidate component=\"1\" foundation=\"1\" generation=\"0\" id=\"c1\" ip=\"192.0.2.10\" network=\"0\" port=\"10000\" priority=\"2130706431\" protocol=\"udp\" type=\"host\"/><web-socket xmlns=\"http://jitsi.org/protocol/colibri\" url=\"wss://meet.example/colibri-ws/jvb1/x?pwd=pw\"/>{sctp}</transport>"
        )
    };
    let pt = |id: u8, name: &str, inner: &str| {
        format!("<payload-type id=\"{id}\" name=\"{name}\" clockrate=\"90000\">{inner}</payload-type>")
    };
    let rtx =
        |id: u8, apt: u8, fb: &str| pt(id, "rtx", &format!("<parameter name=\"apt\" value=\"{apt}\"/>{fb}"));
    let expected = format!(
        "<jingle xmlns=\"urn:xmpp:jingle:1\" action=\"session-initiate\" initiator=\"{ME}\" sid=\"{sid}\">\
         <content creator=\"initiator\" name=\"audio\" senders=\"both\"><description xmlns=\"urn:xmpp:jingle:apps:rtp:1\" media=\"audio\" maxptime=\"60\">\
         <payload-type id=\"111\" name=\"opus\" clockrate=\"48000\" channels=\"2\"><parameter name=\"minptime\" value=\"10\"/><parameter name=\"useinbandfec\" value=\"1\"/>{cc}</payload-type>\
         <payload-type id=\"126\" name=\"telephone-event\" clockrate=\"8000\"/>{}{tcc}{mixed}{mux}</description>{}</content>\
         <content creator=\"initiator\" name=\"video\" senders=\"both\"><description xmlns=\"urn:xmpp:jingle:apps:rtp:1\" media=\"video\">\
         {}{}{}{}{}{}{}{}{}{}{tcc}{mixed}{mux}</description>{}</content>\
         <content creator=\"initiator\" name=\"data\" senders=\"both\"><description xmlns=\"urn:xmpp:jingle:apps:rtp:1\" media=\"application\">{mux}</description>{}</content>\
         <group xmlns=\"urn:xmpp:jingle:apps:grouping:0\" semantics=\"BUNDLE\"><content name=\"audio\"/><content name=\"video\"/><content name=\"data\"/></group>\
         <bridge-session xmlns=\"http://jitsi.org/protocol/focus\" id=\"{bridge}\" region=\"eu\"/>\
         <json-message xmlns=\"http://jitsi.org/jitmeet\">{{\"sources\":{{\"jvb\":[[{{\"s\":3002,\"n\":\"jvb-v0\",\"m\":\"mixedmslabel mixedlabelvideo0\"}}],[],[{{\"s\":3001,\"n\":\"jvb-a0\",\"m\":\"mixedmslabel mixedlabelaudio0\"}}]]}}}}</json-message></jingle>",
        ext(1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
        transport(""),
        pt(41, "AV1", &format!("{fb}{cc}")),
        pt(100, "VP8", &format!("{fb}{cc}")),
        pt(
            107,
            "H264",
            &format!(
                "<parameter name=\"profile-level-id\" value=\"42e01f;level-asymmetry-allowed=1;packetization-mode=1;\"/>{fb}{cc}"
            )
        ),
        pt(101, "VP9", &format!("{fb}{cc}")),
        rtx(42, 41, fb),
        rtx(96, 100, fb),
        rtx(97, 101, fb),
        rtx(99, 107, ""),
        ext(11, "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"),
        ext(3, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
        transport(""),
        transport(
            "<sctpmap xmlns=\"urn:xmpp:jingle:transports:dtls-sctp:1\" number=\"5000\" protocol=\"webrtc-datachannel\" streams=\"1024\"/>"
        ),
    );
    assert_eq!(jingle.to_xml(), expected);
}

#[test]
fn the_presence_of_the_focus_says_all_of_it_every_time() {
    let mut w = World::meeting();
    let presence = w.focus_in[ROOM].to_xml();
    assert!(
        presence.contains("<etherpad xmlns=\"http://jitsi.org/jitmeet/etherpad\">demo</etherpad>"),
        "{presence}"
    );
    assert!(presence.contains("<property key=\"support-terminate-restart\" value=\"true\"/>"));
    assert!(presence.contains("<property key=\"bridge-count\" value=\"0\"/>"));
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    let presence = w.focus_in[ROOM].to_xml();
    assert!(presence.contains("<property key=\"bridge-count\" value=\"1\"/>"));
    assert!(presence.contains("<etherpad") && presence.contains("<versions"));
}

#[test]
fn compat_a_shared_document_may_have_a_name_that_nobody_guesses() {
    let mut config = Config::for_domain("meet.jitsi").unwrap();
    config.random_pad_names = true;
    let mut w = World::with(config);
    w.add_bridge("jvb1");
    w.conference_request(ROOM);
    let name = |w: &World| {
        let presence = w.focus_in[ROOM].to_xml();
        let (_, rest) =
            presence.split_once("<etherpad xmlns=\"http://jitsi.org/jitmeet/etherpad\">").unwrap();
        rest.split('<').next().unwrap().to_owned()
    };
    let first = name(&w);
    assert!(first.len() == 32 && first.bytes().all(|b| b.is_ascii_hexdigit()), "{first}");
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    assert_eq!(name(&w), first, "it stays for the meeting");
}

#[test]
fn rewriting_receivers_hear_nothing_of_others_the_rest_hears_of_everybody() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", OLD);
    w.join("cem00003", NEW);
    assert_eq!(w.actions("anna0001"), ["session-initiate"]);
    let c = &w.clients["ben00002"];
    let kinds: Vec<_> = c.received.iter().map(|j| j.attr("action").unwrap()).collect();
    assert_eq!(kinds[0], "session-initiate");
    assert!(kinds.contains(&"source-add"));
    let last = Jingle::from_element(c.received.last().unwrap()).unwrap();
    assert_eq!(last.action, Action::SourceAdd);
    let video = last.content("video").unwrap().description.as_ref().unwrap();
    // strip-simulcast: the first layer and its retransmissions, no SIM group.
    assert_eq!(video.sources.iter().map(|s| s.ssrc.0).collect::<Vec<_>>(), [3000, 3003]);
    assert_eq!(video.ssrc_groups.len(), 1);
    assert_eq!(video.sources[0].owner.as_ref().unwrap().as_str(), "cem00003");
    w.forget();
    w.leave("cem00003");
    assert_eq!(w.actions("ben00002"), ["source-remove"]);
    assert!(w.actions("anna0001").is_empty());
}

#[test]
fn compat_client_of_2021_without_names_and_rewriting_is_served() {
    let mut w = World::meeting();
    w.join("anna0001", OLD);
    w.clients.get_mut("anna0001").unwrap().sources = old_camera("anna0001", 7000);
    w.join("ben00002", OLD);
    let update =
        w.bridges["jvb1"].requests.iter().rev().find(|r| r.endpoints[0].id.as_str() == "anna0001").unwrap();
    let sources = update.endpoints[0].sources.as_ref().unwrap();
    assert_eq!(sources.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["anna0001-a0", "anna0001-v0"]);
    let told: Vec<u32> = w.clients["ben00002"]
        .received
        .iter()
        .map(|j| Jingle::from_element(j).unwrap())
        .flat_map(|j| j.contents)
        .filter_map(|c| c.description)
        .flat_map(|d| d.sources)
        .map(|s| s.ssrc.0)
        .collect();
    for ssrc in [7000, 7001, 7002, 3001, 3002] {
        assert!(told.contains(&ssrc), "{ssrc} not in {told:?}");
    }
}

#[test]
fn a_lone_participant_loses_its_session_after_twenty_seconds_and_gets_a_new_one_with_company() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    w.leave("ben00002");
    w.seconds(19);
    assert!(w.actions("anna0001").is_empty());
    w.seconds(2);
    let c = &w.clients["anna0001"];
    assert!(c.received[0].to_xml().contains("<reason><expired/><text>Idle session timeout</text></reason>"));
    assert!(w.bridges["jvb1"].conferences.is_empty());
    w.forget();
    w.join("cem00003", NEW);
    assert_eq!(w.actions("anna0001"), ["session-initiate"]);
    assert_eq!(w.endpoints("jvb1"), ["anna0001", "cem00003"]);
}

#[test]
fn a_client_that_ends_its_media_stays_without_until_everybody_has_none() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    let session = w.clients["anna0001"].bridge_session.clone();
    let reply = w.jingle("anna0001", "session-terminate", &format!(
        "<reason><success/></reason><bridge-session xmlns='http://jitsi.org/protocol/focus' id='{session}'/>"
    ));
    assert_eq!(reply.attr("type"), Some("result"));
    assert_eq!(w.endpoints("jvb1"), ["ben00002"]);
    w.join("cem00003", NEW);
    assert!(w.actions("anna0001").is_empty());
}

#[test]
fn a_client_that_does_not_say_what_it_can_do_gets_a_plain_offer_and_holds_nobody_up() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    // Its disco never comes; the others go on.
    w.join_without_disco("mute0001");
    w.join("cem00003", NEW);
    assert_eq!(w.actions("cem00003"), ["session-initiate"]);
    assert!(!w.sent.iter().any(|s| s.contains("session-initiate") && s.contains("mute0001")));
    w.seconds(16);
    let offer =
        w.sent.iter().find(|s| s.contains("session-initiate") && s.contains("/mute0001")).expect("invited");
    assert!(!offer.contains("rtx") && offer.contains("VP8") && !offer.contains("json-message"));
}

#[test]
fn metadata_of_the_right_component_sets_start_muted_for_those_who_join_then() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    let message = |from: &str| {
        format!(
            "<message from='{from}' to='{ME}'><json-message xmlns='http://jitsi.org/jitmeet' room='{ROOM}'>\
             {{\"type\":\"room_metadata\",\"metadata\":{{\"startMuted\":{{\"audio\":true}},\"moderators\":{{}}}}}}</json-message></message>"
        )
    };
    w.receive(&message("evil.meet.jitsi"));
    w.join("ben00002", NEW);
    assert!(!initiate(&w, "ben00002").to_xml().contains("startmuted"));
    w.receive(&message("metadata.meet.jitsi"));
    w.join("cem00003", NEW);
    assert!(initiate(&w, "cem00003").to_xml().contains(
        "<startmuted xmlns=\"http://jitsi.org/jitmeet/start-muted\" audio=\"true\" video=\"false\"/>"
    ));
}

#[test]
fn muting_others_is_for_moderators_and_unmuting_them_for_nobody() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    let mute = |who: &str, text: &str| {
        format!("<mute xmlns='http://jitsi.org/jitmeet/audio' jid='{ROOM}/{who}'>{text}</mute>")
    };
    let condition = |r: Element| {
        (
            r.attr("type").unwrap().to_owned(),
            r.child_named("error").and_then(|e| e.first_child().map(|c| c.name().to_owned())),
        )
    };
    let ok = ("result".to_owned(), None);
    let error = |c: &str| ("error".to_owned(), Some(c.to_owned()));
    assert_eq!(condition(w.request("anna0001", &mute("ben00002", "true"))), ok);
    assert_eq!(
        w.clients["ben00002"].received[0].to_xml(),
        format!(
            "<mute xmlns=\"http://jitsi.org/jitmeet/audio\" jid=\"{ROOM}/ben00002\" actor=\"{ROOM}/anna0001\">true</mute>"
        )
    );
    assert_eq!(condition(w.request("ben00002", &mute("anna0001", "true"))), error("not-allowed"));
    assert_eq!(condition(w.request("anna0001", &mute("ben00002", "false"))), error("not-allowed"));
    assert_eq!(condition(w.request("ben00002", &mute("ben00002", "false"))), ok);
    assert_eq!(condition(w.request("ben00002", &mute("nobody00", "true"))), error("internal-server-error"));
    assert_eq!(condition(w.request("ben00002", &mute("ben00002", "perhaps"))), error("bad-request"));
    assert_eq!(
        condition(w.request("ben00002", "<mute xmlns='http://jitsi.org/jitmeet/audio'>true</mute>")),
        error("bad-request")
    );
}

#[test]
fn av_moderation_mutes_at_the_bridge_all_but_moderators_and_lifts_it_again() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.join("ben00002", NEW);
    w.forget();
    let say = |w: &mut World, json: &str| {
        w.receive(&format!(
            "<message from='avmoderation.meet.jitsi' to='{ME}'><json-message xmlns='http://jitsi.org/jitmeet'>{json}</json-message></message>"
        ));
    };
    let muted = |w: &World| -> Vec<(String, bool)> {
        let last = w.bridges["jvb1"].requests.last().unwrap();
        let mut m: Vec<_> =
            last.endpoints.iter().map(|e| (e.id.to_string(), e.force_mute.unwrap().audio)).collect();
        m.sort();
        m
    };
    say(
        &mut w,
        &format!(
            "{{\"type\":\"av_moderation\",\"room\":\"{ROOM}\",\"enabled\":true,\"mediaType\":\"audio\",\"actor\":\"{ROOM}/anna0001\"}}"
        ),
    );
    assert_eq!(muted(&w), [("anna0001".into(), false), ("ben00002".into(), true)]);
    assert_eq!(w.clients["ben00002"].received.len(), 1);
    assert!(w.clients["anna0001"].received.is_empty());
    let own = format!("<mute xmlns='http://jitsi.org/jitmeet/audio' jid='{ROOM}/ben00002'>false</mute>");
    assert_eq!(w.request("ben00002", &own).attr("type"), Some("error"));
    say(
        &mut w,
        &format!(
            "{{\"type\":\"av_moderation\",\"room\":\"{ROOM}\",\"whitelists\":{{\"audio\":[\"{ROOM}/ben00002\"]}}}}"
        ),
    );
    assert_eq!(muted(&w)[1], ("ben00002".into(), false));
    assert_eq!(w.request("ben00002", &own).attr("type"), Some("result"));
    // Prosody leaves empty lists out: absent means empty.
    say(&mut w, &format!("{{\"type\":\"av_moderation\",\"room\":\"{ROOM}\",\"whitelists\":{{}}}}"));
    assert_eq!(muted(&w)[1], ("ben00002".into(), true));
    say(
        &mut w,
        &format!(
            "{{\"type\":\"av_moderation\",\"room\":\"{ROOM}\",\"enabled\":false,\"mediaType\":\"audio\"}}"
        ),
    );
    assert_eq!(muted(&w)[1], ("ben00002".into(), false));
}

#[test]
fn a_room_that_empties_is_left_at_once_and_one_that_moves_to_a_breakout_room_waits() {
    let mut w = World::meeting();
    w.join("anna0001", NEW);
    w.clients.clear();
    w.receive(&format!("<presence type='unavailable' from='{ROOM}/anna0001' to='{ME}'><status>switch_room</status></presence>"));
    assert_eq!(w.stats().conferences, 1);
    w.advance(Duration::from_secs(14));
    assert_eq!(w.stats().conferences, 1);
    w.advance(Duration::from_secs(2));
    w.assert_empty();
}
