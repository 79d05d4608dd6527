//! Messages that are taken away or get other words (upstream's `muc_message_moderation`).

use jitsi_xmpp::ns;

use crate::chat::in_meetings;
use crate::components::moderated;
use crate::rig::{Client, ROOM, Rig, parse};

fn rig() -> Rig {
    Rig::with(|c| in_meetings(c, &["muc_message_moderation"]))
}

/// A message to all, of these children.
fn send(rig: &mut Rig, who: &Client, id: &str, children: &str) -> Vec<String> {
    rig.ask(who, &format!(r#"<message type="groupchat" id="{id}" to="{ROOM}">{children}</message>"#))
}

fn say(rig: &mut Rig, who: &Client, id: &str, text: &str) {
    assert!(send(rig, who, id, &format!("<body>{text}</body>"))[0].contains(text));
}

fn moderate(rig: &mut Rig, who: &Client, id: &str, reason: &str) -> Vec<String> {
    send(
        rig,
        who,
        "q",
        &format!(
            r#"<apply-to xmlns="urn:xmpp:fasten:0" id="{id}"><moderated xmlns="urn:xmpp:message-moderate:1" by="evil"><retract xmlns="urn:xmpp:message-retract:1"/>{reason}</moderated></apply-to>"#
        ),
    )
}

fn correct(rig: &mut Rig, who: &Client, id: &str, text: &str) -> Vec<String> {
    let replace = format!(r#"<body>{text}</body><replace xmlns="urn:xmpp:message-correct:0" id="{id}"/>"#);
    send(rig, who, "c", &replace)
}

fn retract(rig: &mut Rig, who: &Client, id: &str) -> Vec<String> {
    let retract = format!(
        r#"<retract xmlns="urn:xmpp:message-retract:1" id="{id}"/><body>gone</body><store xmlns="urn:xmpp:hints"/>"#
    );
    send(rig, who, "r", &retract)
}

fn edit(rig: &mut Rig, who: &Client, id: &str, text: &str) -> Vec<String> {
    let json = format!(r#"{{"type":"editChat","messageId":"{id}","message":"{text}"}}"#);
    send(rig, who, "e", &format!(r#"<json-message xmlns="http://jitsi.org/jitmeet">{json}</json-message>"#))
}

/// What a newcomer gets of the chat.
fn kept(rig: &mut Rig) -> Vec<String> {
    let newcomer = rig.client();
    let back = rig.join(&newcomer);
    rig.lose(newcomer.conn);
    back.into_iter().filter(|f| f.contains("<delay ")).collect()
}

#[test]
fn compat_moderators_take_messages_away_and_latecomers_never_get_them() {
    let mut rig = rig();
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    say(&mut rig, ben, "m1", "first");
    say(&mut rig, ben, "m2", "second");
    let back = moderate(&mut rig, ben, "m2", "");
    assert!(back[0].contains("<forbidden ") && back[0].contains("Only moderators can moderate messages"));
    rig.take(ben);
    let told = moderate(&mut rig, anna, "m2", "<reason>spam</reason>").pop().unwrap();
    assert_eq!(rig.take(ben).len(), 1, "of the room alone");
    let e = parse(&told);
    assert_eq!((e.attr("from"), e.attr("type")), (Some(ROOM), Some("groupchat")), "{told}");
    let moderated = e.child("apply-to", "urn:xmpp:fasten:0").unwrap();
    assert_eq!(moderated.attr("id"), Some("m2"));
    let moderated = moderated.child("moderated", "urn:xmpp:message-moderate:1").unwrap();
    assert_eq!(moderated.attr("by"), Some(format!("{ROOM}/{}", anna.nick).as_str()), "not what it said");
    assert!(moderated.child("retract", "urn:xmpp:message-retract:1").is_some());
    assert_eq!(moderated.child_named("reason").unwrap().text(), "spam");
    assert!(e.child("no-store", ns::HINTS).is_some());

    let kept = kept(&mut rig);
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept[0].contains("first") && !kept[1].contains("second"));
    let stone = parse(&kept[1]).child("moderated", "urn:xmpp:message-moderate:1").unwrap().clone();
    assert!(stone.child("retracted", "urn:xmpp:message-retract:1").unwrap().attr("stamp").is_some());
    assert_eq!(stone.child_named("reason").unwrap().text(), "spam");
    // Nobody puts words there again; what is not kept any more is taken away all the same.
    assert!(correct(&mut rig, ben, "m2", "x")[0].contains("Message has been moderated"));
    assert!(edit(&mut rig, ben, "m2", "x").is_empty());
    assert!(moderate(&mut rig, anna, "long gone", "")[0].contains(r#"id="long gone""#));
    assert!(!moderate(&mut rig, anna, "m2", "")[0].contains("reason"));
    assert_eq!(parse(&self::kept(&mut rig)[1]).children().filter(|c| c.name() == "moderated").count(), 1);
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn compat_authors_put_other_words_there_or_take_theirs_away() {
    let mut rig = rig();
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    for (id, text) in [("m1", "first"), ("m2", "second"), ("m3", "third")] {
        say(&mut rig, ben, id, text);
    }
    let back = correct(&mut rig, anna, "m1", "x");
    assert!(back[0].contains("<forbidden ") && back[0].contains("Only the author can correct a message"));
    let back = retract(&mut rig, anna, "m1");
    assert!(back[0].contains("<forbidden ") && back[0].contains("Only the author can retract a message"));
    assert!(edit(&mut rig, anna, "m1", "x").is_empty(), "reaches nobody");
    rig.take(anna);
    assert!(correct(&mut rig, ben, "m1", "better")[0].contains("<body>better</body>"));
    assert!(edit(&mut rig, ben, "m2", "edited")[0].contains("editChat"));
    assert!(retract(&mut rig, ben, "m3")[0].contains("message-retract"));
    assert_eq!(rig.take(anna).len(), 3, "all are told");
    let kept = kept(&mut rig);
    assert_eq!(kept.len(), 2, "neither correction nor retraction is one of its own: {kept:?}");
    assert!(kept[0].contains("<body>better</body>") && kept[1].contains("<body>edited</body>"));
    assert!(kept[0].contains(r#"id="m1""#) && !kept[0].contains("first") && !kept[0].contains("replace"));
    // What is not kept any more has no author here.
    assert!(correct(&mut rig, anna, "gone", "x")[0].contains("<body>x</body>"));
    assert!(edit(&mut rig, anna, "gone", "x")[0].contains("editChat"));
    rig.end(&[&focus, anna, ben]);
}

#[test]
fn whoever_has_the_nick_now_did_not_write_what_was_said_under_it() {
    let mut rig = rig();
    let (focus, clients) = moderated(&mut rig, 2);
    let ben = &clients[1];
    say(&mut rig, ben, "m1", "first");
    rig.leave(ben);
    let thief = Client { nick: ben.nick.clone(), ..rig.client() };
    rig.join(&thief);
    assert!(correct(&mut rig, &thief, "m1", "x")[0].contains("<forbidden "));
    assert!(retract(&mut rig, &thief, "m1")[0].contains("<forbidden "));
    rig.end(&[&focus, &clients[0], ben, &thief]);
}

#[test]
fn compat_clients_see_whether_the_server_moderates_messages() {
    let ask = format!(
        r#"<iq type="get" id="d" to="{ROOM}"><query xmlns="http://jabber.org/protocol/disco#info"/></iq>"#
    );
    for (mut rig, there) in [(rig(), true), (Rig::new(), false)] {
        let (focus, clients) = moderated(&mut rig, 1);
        let info = rig.ask(&clients[0], &ask);
        assert_eq!(info[0].contains("muc#roominfo_messageModerationEnabled"), there);
        rig.end(&[&focus, &clients[0]]);
    }
}
