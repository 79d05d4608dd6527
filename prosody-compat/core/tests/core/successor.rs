//! A server whose meetings go on while another process takes the new ones.

use jitsi_xmpp::Sensitive;
use prosody_core::SessionQuery;

use crate::rig::{ROOM, Rig};

fn on_the_way_to(room: &str) -> SessionQuery {
    SessionQuery { room: Some(Sensitive::new(room.to_owned())), ..SessionQuery::default() }
}

#[test]
fn people_in_no_room_are_sent_away_and_nobody_else() {
    let mut rig = Rig::new();
    let (focus, people) = rig.meeting(2);
    let idle = rig.client_with(SessionQuery::default());
    let comes = rig.client_with(on_the_way_to("rathaus"));
    let elsewhere = rig.client_with(on_the_way_to("schule"));
    let left = people[1].clone();
    let look = |rig: &mut Rig| {
        rig.server.handle_idle(rig.now);
        rig.drain();
    };
    look(&mut rig);
    assert!(rig.closed.is_empty(), "the first time, nobody");
    rig.leave(&left);
    look(&mut rig);
    let closed = |rig: &Rig, client: &crate::rig::Client| rig.closed.contains_key(&client.conn);
    assert!(closed(&rig, &idle) && closed(&rig, &elsewhere));
    assert!(rig.take(&idle).concat().contains("system-shutdown"));
    assert!(![&focus, &people[0], &comes, &left].iter().any(|c| closed(&rig, c)));
    let rooms = |rig: &Rig| -> Vec<String> {
        rig.server.rooms_of_all_hosts().into_iter().map(Sensitive::into_inner).collect()
    };
    assert_eq!(rooms(&rig), [ROOM]);
    // The meeting ends, and people stay connected.
    rig.leave(&people[0]);
    rig.leave(&focus);
    assert!(rooms(&rig).is_empty());
    look(&mut rig);
    assert!(![&people[0], &comes, &left].iter().any(|c| closed(&rig, c)));
    look(&mut rig);
    assert!([&people[0], &comes, &left].iter().all(|c| closed(&rig, c)));
    assert!(!closed(&rig, &focus), "a role of the process stays");
}
