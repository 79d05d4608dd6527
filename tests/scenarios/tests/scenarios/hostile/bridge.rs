//! Against the bridge: floods on its channel, bugs that one meeting triggers.

use super::Siege;

#[test]
fn a_flood_on_the_bridge_channel_costs_the_others_neither_media_nor_what_they_live_by() {
    let mut s = Siege::new();
    let text = format!(
        r#"{{"colibriClass":"EndpointMessage","to":"","msgPayload":{{"x":"{}"}}}}"#,
        "x".repeat(1_000)
    );
    // Two seconds at a thousand a second, while somebody new comes.
    let newcomer = s.w.client("Nele");
    s.w.enter(newcomer);
    for _ in 0..100 {
        let now = s.w.now;
        let peer = &mut s.w.clients[s.evil].media.as_mut().unwrap().peer;
        for _ in 0..20 {
            peer.say(now, &text);
        }
        s.w.run(std::time::Duration::from_millis(20));
    }
    s.w.seconds(3);
    for n in [0, 1] {
        let got = s.w.clients[n].media.as_ref().unwrap().peer.texts.iter();
        let got = got.filter(|t| t.contains("EndpointMessage")).count();
        assert!((300..=850).contains(&got), "a burst, then a hundred a second: {got}");
    }
    // Who came meanwhile is heard, and hears everybody.
    assert!(s.w.clients[newcomer].connected());
    s.w.assert_all_hear_each_other();
    s.w.leave(newcomer);
    s.w.clients[0].take_actions();
    s.w.clients[1].take_actions();
    s.w.seconds(1);
    s.end();
}

#[test]
fn a_bug_of_the_bridge_costs_the_meeting_a_moment_and_everybody_is_invited_again() {
    let mut s = Siege::new();
    let sessions: Vec<_> = s.w.clients.iter().map(|c| c.sessions).collect();
    // From now on whatever the bridge sends to the evil one fails.
    s.w.bridges[0].trap = Some(s.w.clients[s.evil].media.as_ref().unwrap().peer.address);
    s.w.seconds(3);
    assert_eq!(s.w.bridges[0].failed, 1, "it failed once, and not again");
    s.w.bridges[0].trap = None;
    s.w.connect();
    for (n, before) in sessions.into_iter().enumerate() {
        assert!(s.w.clients[n].in_room);
        assert_eq!(s.w.clients[n].sessions, before + 1, "a new session for {n}");
    }
    s.w.assert_all_hear_each_other();
    s.w.end();
}
