//! What people show each other: files, and speech in another language.

use std::time::Duration;

use prosody_core::limits::TRANSLATIONS_TOLD_AFTER;
use prosody_core::{ComponentHost, Config};
use serde_json::{Value, json};

use crate::chat::set_metadata;
use crate::components::{at, command, moderated, told};
use crate::rig::{Client, Rig, between};

/// Adds a component about the meetings.
fn component(config: &mut Config, label: &str, module: &str) {
    config.hosts.components.push(ComponentHost {
        domain: format!("{label}.meet.jitsi"),
        module: module.to_owned(),
        rooms: "muc.meet.jitsi".to_owned(),
    });
}

fn with_files(change: impl FnOnce(&mut Config)) -> Rig {
    Rig::with(|c| {
        component(c, "filesharing", "filesharing_component");
        c.hosts.rooms[0].policy.default_permissions.push("file-upload".into());
        change(c);
    })
}

fn file(rig: &mut Rig, who: &Client, attrs: &str, text: &str) -> Vec<String> {
    let said = format!(r#"<file-sharing xmlns="http://jitsi.org/jitmeet" {attrs}>{text}</file-sharing>"#);
    command(rig, who, "filesharing", &said)
}

#[test]
fn compat_files_are_told_to_the_others_and_to_whoever_comes_later() {
    let mut rig = with_files(|_| ());
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let said = r#"{"fileId":"f1","fileName":"Plan.pdf","authorParticipantId":"evil","authorParticipantJid":"e@x","authorParticipantName":"E","conferenceFullName":"x"}"#;
    assert!(file(&mut rig, anna, r#"type="add""#, said).is_empty(), "not to whoever says it");
    assert!(rig.take(&focus).is_empty(), "not to roles");
    let known = json!({
        "fileId": "f1", "fileName": "Plan.pdf", "authorParticipantId": anna.nick, "authorParticipantJid": anna.jid,
        "authorParticipantName": anna.nick, "conferenceFullName": at(anna).split('/').next().unwrap(),
    });
    let add = json!({"type": "file-sharing", "event": "add", "file": known});
    assert_eq!(told(&mut rig, ben, "filesharing"), [add]);
    let carl = rig.client();
    let back = rig.join(&carl);
    let list = back.iter().find(|f| f.contains("filesharing.meet")).unwrap();
    let list = crate::components::json_of(list, "filesharing");
    assert_eq!(list, json!({"type": "file-sharing", "event": "list", "files": {"f1": known}}));
    rig.take(ben);
    assert!(file(&mut rig, anna, r#"type="remove" fileId="f1""#, "").is_empty());
    let remove = json!({"type": "file-sharing", "event": "remove", "fileId": "f1"});
    assert_eq!(told(&mut rig, ben, "filesharing"), std::slice::from_ref(&remove));
    assert_eq!(told(&mut rig, &carl, "filesharing"), [remove]);
    let dora = rig.client();
    assert!(!rig.join(&dora).iter().any(|f| f.contains("filesharing.meet")), "there are none");
    rig.end(&[&focus, anna, ben, &carl, &dora]);
}

#[test]
fn compat_files_are_shared_by_those_who_are_known_to_be_allowed() {
    let said = r#"{"fileId":"f1"}"#;
    let mut rig = with_files(|_| ());
    let (focus, clients) = moderated(&mut rig, 2);
    let (anna, ben) = (&clients[0], &clients[1]);
    let back = file(&mut rig, ben, r#"type="add""#, said);
    assert!(back[0].contains(r#"<error type="auth"><forbidden "#), "{back:?}");
    let outsider = rig.client();
    assert!(file(&mut rig, &outsider, r#"type="add""#, said)[0].contains("<service-unavailable "));
    // Odd ones reach nobody.
    for (attrs, text) in [
        (r#"type="add""#, r#"{"name":"x"}"#),
        (r#"type="add""#, r#"{"fileId":7}"#),
        (r#"type="add""#, "[]"),
        (r#"type="add""#, "{"),
        (r#"type="other""#, said),
        ("", said),
    ] {
        assert!(file(&mut rig, anna, attrs, text)[0].contains("<service-unavailable "), "{attrs} {text}");
    }
    assert!(command(&mut rig, anna, "filesharing", "<x/>")[0].contains("<service-unavailable "));
    for attrs in [r#"type="remove""#, r#"type="remove" fileId="f9""#] {
        assert!(file(&mut rig, anna, attrs, "").is_empty(), "{attrs}");
    }
    assert!(rig.take(ben).is_empty());
    rig.end(&[&focus, anna, ben, &outsider]);

    // A moderator of whom it is known that it may not.
    let mut rig = Rig::with(|c| component(c, "filesharing", "filesharing_component"));
    let (focus, clients) = moderated(&mut rig, 1);
    assert!(file(&mut rig, &clients[0], r#"type="add""#, said)[0].contains("<forbidden "));
    rig.end(&[&focus, &clients[0]]);
}

#[test]
fn files_at_their_limits() {
    let mut rig = with_files(|c| (c.limits.max_files, c.limits.max_file_bytes) = (2, 100));
    let (focus, clients) = moderated(&mut rig, 2);
    let anna = &clients[0];
    let sized = |id: &str, bytes: usize| {
        let empty = format!(r#"{{"fileId":"{id}","x":""}}"#).len();
        format!(r#"{{"fileId":"{id}","x":"{}"}}"#, "x".repeat(bytes - empty))
    };
    assert!(file(&mut rig, anna, r#"type="add""#, &sized("f1", 101))[0].contains("<policy-violation "));
    for id in ["f1", "f2", "f1"] {
        assert!(file(&mut rig, anna, r#"type="add""#, &sized(id, 100)).is_empty());
    }
    assert!(file(&mut rig, anna, r#"type="add""#, &sized("f3", 50))[0].contains("<resource-constraint "));
    file(&mut rig, anna, r#"type="remove" fileId="f1""#, "");
    assert!(file(&mut rig, anna, r#"type="add""#, &sized("f3", 50)).is_empty());
    rig.end(&[&focus, &clients[0], &clients[1]]);
}

fn translated() -> Rig {
    Rig::with(|c| {
        component(c, "audiotranslation", "audio_translation_component");
        let policy = &mut c.hosts.rooms[0].policy;
        policy.max_translations = Some(3);
        policy.default_permissions.push("live-translation".into());
    })
}

fn wish(rig: &mut Rig, who: &Client, text: &str) -> Vec<String> {
    let said = format!(r#"<audio-translation xmlns="http://jitsi.org/jitmeet">{text}</audio-translation>"#);
    command(rig, who, "audiotranslation", &said)
}

const SOON: Duration = Duration::from_millis(500);

/// What the focus is told of wishes once it is time; `None`: nothing.
fn requests(rig: &mut Rig, focus: &Client) -> Option<Value> {
    rig.take(focus);
    rig.advance(SOON);
    let told = told(rig, focus, "metadata");
    assert!(told.len() <= 1, "{told:?}");
    Some(told.first()?["metadata"]["audioTranslationRequests"].clone())
}

/// What a speaker has been told of its listeners.
fn listeners(rig: &mut Rig, who: &Client) -> Vec<String> {
    let frames = rig.take(who).into_iter();
    frames
        .filter_map(|f| {
            let text = between(&f, r#"<translation-listeners xmlns="http://jitsi.org/jitmeet">"#, "</")?;
            assert!(f.contains(r#"from="audiotranslation.meet.jitsi""#));
            Some(text.replace("&quot;", "\""))
        })
        .collect()
}

#[test]
fn compat_wishes_that_come_together_are_told_together() {
    let mut rig = translated();
    let (focus, clients) = rig.meeting(4);
    let (anna, ben, carl, dora) = (&clients[0], &clients[1], &clients[2], &clients[3]);
    let (b, c, d) = (&ben.nick, &carl.nick, &dora.nick);
    for text in [format!(r#"{{"{b}":"en"}}"#), format!(r#"{{"{c}":"fr","{d}":""}}"#)] {
        assert!(wish(&mut rig, anna, &text).is_empty(), "nobody is told yet");
    }
    rig.advance(TRANSLATIONS_TOLD_AFTER - Duration::from_millis(1));
    assert!(rig.take(&focus).is_empty());
    assert_eq!(requests(&mut rig, &focus), Some(json!({b: ["en"], c: ["fr"]})));
    let seen = told(&mut rig, anna, "metadata");
    assert!(seen.len() == 1 && seen[0]["metadata"].get("audioTranslationRequests").is_none(), "{seen:?}");
    for speaker in [ben, carl] {
        assert_eq!(listeners(&mut rig, speaker), [format!(r#"["{}"]"#, anna.nick)]);
    }
    assert!(listeners(&mut rig, dora).is_empty());

    // The same again, also of another one, is no news to the focus; but to the speaker.
    wish(&mut rig, anna, &format!(r#"{{"{b}":"en"}}"#));
    wish(&mut rig, dora, &format!(r#"{{"{b}":"en"}}"#));
    assert_eq!(requests(&mut rig, &focus), None);
    let mut both = [&anna.nick, d];
    both.sort();
    assert_eq!(listeners(&mut rig, ben), [format!(r#"["{}","{}"]"#, both[0], both[1])]);
    wish(&mut rig, anna, &format!(r#"{{"{b}":"es"}}"#));
    assert_eq!(requests(&mut rig, &focus), Some(json!({b: ["en", "es"], c: ["fr"]})));
    assert!(listeners(&mut rig, ben).is_empty(), "who listens is the same");
    // A newcomer does not learn of it, a focus does.
    let emil = rig.client();
    assert!(!rig.join(&emil).iter().any(|f| f.contains("audioTranslationRequests")));

    // Who leaves is nobody's listener and nobody's speaker.
    rig.leave(anna);
    assert_eq!(requests(&mut rig, &focus), Some(json!({b: ["en"]})));
    assert_eq!(listeners(&mut rig, carl), ["[]"]);
    rig.leave(ben);
    assert_eq!(requests(&mut rig, &focus), Some(Value::Null), "the key is gone");
    rig.end(&[&focus, anna, ben, carl, dora, &emil]);
}

#[test]
fn compat_wishes_that_are_none() {
    let mut rig = translated();
    let (focus, clients) = rig.meeting(3);
    let (anna, ben, carl) = (&clients[0], &clients[1], &clients[2]);
    let (b, c) = (&ben.nick, &carl.nick);
    assert!(command(&mut rig, anna, "audiotranslation", "<x/>").is_empty());
    assert!(wish(&mut rig, anna, "").is_empty());
    for (text, error) in [
        ("{not valid", "<bad-request "),
        (r#""a string""#, "<bad-request "),
        (r#"{"nothex":"en"}"#, "<bad-request "),
        (&format!(r#"{{"{b}":"en1"}}"#), "<bad-request "),
        (&format!(r#"{{"{b}":7}}"#), "<bad-request "),
        (&format!(r#"{{"{b}":"{}"}}"#, "a".repeat(21)), "<bad-request "),
        (r#"{"deadbeef":"en"}"#, "<item-not-found "),
        (&format!(r#"{{"{b}":"en","badid":"fr"}}"#), "<bad-request "),
    ] {
        let back = wish(&mut rig, anna, text);
        assert!(back.len() == 1 && back[0].contains(error), "{text}: {back:?}");
    }
    assert_eq!(requests(&mut rig, &focus), None);
    wish(&mut rig, anna, &format!(r#"{{"{c}":"{}"}}"#, "a".repeat(20)));
    assert_eq!(requests(&mut rig, &focus), Some(json!({c: ["a".repeat(20)]})), "none of the refused");
    let outsider = rig.client();
    assert!(wish(&mut rig, &outsider, &format!(r#"{{"{b}":"en"}}"#))[0].contains("<service-unavailable "));
    rig.end(&[&focus, anna, ben, carl, &outsider]);
}

#[test]
fn wishes_at_their_limit() {
    let mut rig = translated();
    let (focus, clients) = rig.meeting(6);
    let anna = &clients[0];
    let all = |of: &[(&Client, &str)]| {
        let entries: Vec<String> = of.iter().map(|(c, l)| format!(r#""{}":"{l}""#, c.nick)).collect();
        format!("{{{}}}", entries.join(","))
    };
    let (c1, c2, c3, c4, c5) = (&clients[1], &clients[2], &clients[3], &clients[4], &clients[5]);
    assert!(wish(&mut rig, anna, &all(&[(c1, "en"), (c2, "en"), (c3, "en")])).is_empty());
    assert!(wish(&mut rig, anna, &all(&[(c4, "en")]))[0].contains("<policy-violation "));
    assert!(
        wish(&mut rig, anna, &all(&[(c1, ""), (c4, "en"), (c5, "en")]))[0].contains("<policy-violation ")
    );
    assert!(wish(&mut rig, anna, &all(&[(c1, "es")])).is_empty(), "another language is no more");
    assert!(wish(&mut rig, anna, &all(&[(c1, ""), (c4, "en")])).is_empty());
    assert!(wish(&mut rig, c1, &all(&[(c2, "en")])).is_empty(), "each for itself");
    let everybody: Vec<&Client> = std::iter::once(&focus).chain(&clients).collect();
    rig.end(&everybody);

    // The server's own limit holds where an admin sets a higher one.
    let mut rig = Rig::with(|c| {
        component(c, "audiotranslation", "audio_translation_component");
        c.hosts.rooms[0].policy.max_translations = Some(3);
        c.limits.max_translations = 1;
    });
    let (focus, clients) = rig.meeting(3);
    let of = |c: &Client| format!(r#"{{"{}":"en"}}"#, c.nick);
    assert!(wish(&mut rig, &clients[0], &of(&clients[1])).is_empty());
    assert!(wish(&mut rig, &clients[0], &of(&clients[2]))[0].contains("<policy-violation "));
    rig.end(&[&focus, &clients[0], &clients[1], &clients[2]]);
}

#[test]
fn compat_translation_is_switched_by_those_who_may() {
    let mut rig = translated();
    let (focus, clients) = moderated(&mut rig, 3);
    let (anna, ben, carl) = (&clients[0], &clients[1], &clients[2]);
    let text = format!(r#"{{"{}":"en"}}"#, carl.nick);
    wish(&mut rig, ben, &text);
    assert!(requests(&mut rig, &focus).is_some());
    assert!(
        set_metadata(&mut rig, ben, "audioTranslation", r#"{"enabled":false}"#)[0]
            .contains("<service-unavailable ")
    );
    set_metadata(&mut rig, anna, "audioTranslation", r#"{"enabled":false,"requests":{"evil":["xx"]}}"#);
    let known = told(&mut rig, ben, "metadata");
    assert_eq!(known[0]["metadata"]["audioTranslation"], json!({"enabled": false}), "nothing else");
    rig.take(carl);
    assert_eq!(requests(&mut rig, &focus), Some(Value::Null), "it stops");
    assert_eq!(listeners(&mut rig, carl), ["[]"]);
    let other = format!(r#"{{"{}":"en"}}"#, anna.nick);
    assert!(wish(&mut rig, ben, &other).is_empty());
    assert_eq!(requests(&mut rig, &focus), None, "not heard while it is off");
    set_metadata(&mut rig, anna, "audioTranslation", r#"{"enabled":"true"}"#);
    rig.take(carl);
    assert_eq!(requests(&mut rig, &focus), Some(json!({carl.nick.as_str(): ["en"]})), "as it was");
    assert!(
        set_metadata(&mut rig, anna, "audioTranslationRequests", "{}")[0].contains("<service-unavailable ")
    );
    rig.end(&[&focus, anna, ben, carl]);
}
