//! What an admin asks for by `prosodyctl shell`.

use prosody_core::{Asked, ModuleChange};

use crate::rig::{Client, ROOM, Rig};

fn room() -> String {
    ROOM.to_owned()
}

#[test]
fn rooms_and_who_is_in_them_are_told() {
    let mut rig = Rig::new();
    let (focus, people) = rig.meeting(2);
    let (done, lines) = rig.shell(&Asked::Rooms("muc.meet.jitsi".into()));
    assert!(done);
    assert_eq!(lines, [ROOM, "OK: 1 room"]);
    let (_, lines) = rig.shell(&Asked::Room(room()));
    assert_eq!(lines[0], ROOM);
    assert!(
        lines.contains(&"occupants: 3".to_owned()) && lines.contains(&"password: no".to_owned()),
        "{lines:?}"
    );
    let (_, lines) = rig.shell(&Asked::Occupants(room()));
    assert!(lines.contains(&format!("{ROOM}/focus moderator")) && lines.len() == 4, "{lines:?}");
    for (asked, why) in [
        (Asked::Rooms("meet.jitsi".into()), "No rooms"),
        (Asked::Room("nowhere@muc.meet.jitsi".into()), "No such room"),
        (Asked::Room("muc.meet.jitsi".into()), "no address"),
        (Asked::Occupants("a b".into()), "no address"),
    ] {
        let (done, lines) = rig.shell(&asked);
        assert!(!done && lines[0].contains(why), "{asked:?}: {lines:?}");
    }
    // The room of a tenant, as clients write it.
    let muc = "rathaus@muc.stadt.meet.jitsi";
    rig.send(&focus, &format!(r#"<presence xmlns="jabber:client" to="{muc}/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#));
    let (done, lines) = rig.shell(&Asked::Room(muc.into()));
    assert!(done && lines[0] == muc, "{lines:?}");
    drop(people);
}

#[test]
fn who_is_asked_about_never_shows() {
    let said = format!("{:?}", Asked::Affiliate(room(), "anna@meet.jitsi".into(), "owner".into()));
    assert_eq!(said, "Affiliate");
}

#[test]
fn affiliations_are_set_and_everybody_is_told() {
    let mut rig = Rig::new();
    let (_, people) = rig.meeting(2);
    let anna = people[1].bare().to_owned();
    let set = |to: &str| Asked::Affiliate(room(), anna.clone(), to.to_owned());
    assert_eq!(rig.shell(&set("owner")).1, ["OK: Affiliation updated"]);
    let seen = rig.take(&people[0]).concat();
    assert!(seen.contains("affiliation=\"owner\"") && seen.contains("role=\"moderator\""), "{seen}");
    assert_eq!(rig.shell(&Asked::Affiliations(room(), Some(anna.clone()))).1, ["OK: owner"]);
    let (_, lines) = rig.shell(&Asked::Affiliations(room(), None));
    assert!(lines.contains(&format!("owner {anna}")), "{lines:?}");
    assert!(!rig.shell(&set("king")).0);
    let focus = Asked::Affiliate(room(), "focus@auth.meet.jitsi".into(), "none".into());
    assert!(!rig.shell(&focus).0, "the focus owns every room");
    assert!(rig.shell(&set("outcast")).0);
    assert!(rig.take(&people[1]).concat().contains("code=\"301\""), "and is gone");
}

#[test]
fn a_room_is_made_and_ended_by_hand() {
    let mut rig = Rig::new();
    let focus = rig.focus();
    let new = "bauamt@muc.meet.jitsi".to_owned();
    assert!(rig.shell(&Asked::Create(new.clone())).0);
    assert!(!rig.shell(&Asked::Create(new.clone())).0, "there already");
    for nowhere in ["x@lobby.meet.jitsi", "x@breakout.meet.jitsi", "x@meet.jitsi", "x@muc.other.example"] {
        assert!(!rig.shell(&Asked::Create(nowhere.into())).0, "{nowhere}");
    }
    rig.send(&focus, &format!(r#"<presence xmlns="jabber:client" to="{new}/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#));
    rig.take(&focus);
    assert!(rig.shell(&Asked::Destroy(new.clone())).0);
    assert!(rig.take(&focus).concat().contains("<destroy"));
    assert!(!rig.shell(&Asked::Destroy(new)).0);
}

#[test]
fn sessions_are_told_counted_and_closed_for_good() {
    let mut rig = Rig::new();
    let (focus, people) = rig.meeting(2);
    let previd = rig.enable(&people[0]);
    let (_, lines) = rig.shell(&Asked::Sessions(None));
    assert_eq!(lines.last().unwrap(), "OK: 3 sessions");
    let line = |who: &Client| lines.iter().find(|l| l.starts_with(&who.jid)).unwrap().clone();
    assert_eq!(line(&people[0]), format!("{} guest websocket secure smacks", people[0].jid));
    assert_eq!(line(&focus), format!("{} admin in this process secure", focus.jid));
    let (_, lines) = rig.shell(&Asked::Sessions(Some(people[0].nick.clone())));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(rig.shell(&Asked::Count).1, ["OK: Total: 3 sessions, 0 of them wait to be resumed"]);
    rig.lose(people[0].conn);
    assert_eq!(rig.shell(&Asked::Close(people[0].bare().into())).1, ["OK: Total: 1 sessions closed"]);
    let back = rig.authenticated(Default::default());
    rig.raw(back, format!(r#"<resume xmlns="urn:xmpp:sm:3" h="0" previd="{previd}"/>"#).as_bytes());
    assert!(rig.take_raw(back).concat().contains("item-not-found"), "nobody comes back as this one");
    assert_eq!(rig.shell(&Asked::Close(focus.bare().into())).1, ["OK: Total: 0 sessions closed"]);
    let all = Asked::CloseAll(Some("meet.jitsi".into()));
    assert_eq!(rig.shell(&all).1, ["OK: Total: 1 sessions closed"]);
    assert!(rig.take(&people[1]).concat().contains("closed by the administrator"));
    assert!(rig.closed.contains_key(&people[1].conn) && !rig.closed.contains_key(&focus.conn));
    assert!(!rig.shell(&Asked::Close("a b".into())).0);
}

#[test]
fn hosts_and_modules_are_told_and_modules_change_for_what_begins_then() {
    let mut rig = Rig::new();
    let (focus, _) = rig.meeting(1);
    let (_, lines) = rig.shell(&Asked::Hosts);
    assert!(lines.contains(&"meet.jitsi".to_owned()), "{lines:?}");
    assert!(lines.contains(&"muc.meet.jitsi (muc)".to_owned()));
    assert!(
        lines.contains(&"polls.meet.jitsi (polls_component)".to_owned())
            || lines.contains(&"polls.meet.jitsi (polls)".to_owned())
    );
    let modules = |rig: &mut Rig| rig.shell(&Asked::Modules(Some("muc.meet.jitsi".into()))).1;
    assert!(modules(&mut rig).contains(&"    muc_allowners".to_owned()));
    let change = |what, module: &str, host: &str| Asked::Change(what, module.into(), host.into());
    let muc = "muc.meet.jitsi";
    assert!(!rig.shell(&change(ModuleChange::Load, "muc_allowners", muc)).0, "there already");
    assert!(!rig.shell(&change(ModuleChange::Unload, "frozen_nick", muc)).0, "not there");
    let (done, why) = rig.shell(&change(ModuleChange::Load, "muc_quota", muc));
    assert!(!done && why[0].contains("muc_quota"), "{why:?}");
    assert!(!rig.shell(&change(ModuleChange::Reload, "muc_allowners", "nowhere.example")).0);
    assert!(rig.shell(&change(ModuleChange::Reload, "muc_allowners", muc)).0);
    assert!(rig.shell(&change(ModuleChange::Load, "frozen_nick", muc)).0);
    assert!(modules(&mut rig).contains(&"    frozen_nick".to_owned()));
    let named = |rig: &mut Rig, room: &str, name: &str| {
        let client = rig.client();
        let (jid, nick) = (room.to_owned(), client.nick.clone());
        let presence = |inside: &str| {
            format!(
                r#"<presence xmlns="jabber:client" to="{jid}/{nick}">{inside}<nick xmlns="http://jabber.org/protocol/nick">{name}</nick></presence>"#
            )
        };
        rig.send(&client, &presence(r#"<x xmlns="http://jabber.org/protocol/muc"/>"#));
        rig.take(&client).concat()
    };
    rig.send(&focus, r#"<presence xmlns="jabber:client" to="neu@muc.meet.jitsi/focus"><x xmlns="http://jabber.org/protocol/muc"/></presence>"#);
    assert!(named(&mut rig, ROOM, "Anna").contains("code=\"110\""));
    assert!(named(&mut rig, "neu@muc.meet.jitsi", "Anna").contains("code=\"110\""));
    assert!(rig.shell(&change(ModuleChange::Unload, "frozen_nick", muc)).0);
    assert!(!modules(&mut rig).contains(&"    frozen_nick".to_owned()));
}
