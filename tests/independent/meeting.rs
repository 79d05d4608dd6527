//! Two clients in a meeting: sound, pictures, repairs, feedback, and texts.

use std::time::Duration;

use crate::client::Role;
use crate::world::{World, sends};

/// A VP8 payload of one packet: descriptor with a picture id, then the frame's first bytes.
fn picture(id: u8, key: bool) -> Vec<u8> {
    let mut p = vec![0x90, 0x80, id & 0x7f, if key { 0x10 } else { 0x11 }, 0x02, 0x00];
    if key {
        p.extend([0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
    }
    p.extend([id; 200]);
    p
}

#[test]
fn sound_and_pictures_arrive_as_they_were_whoever_opens_the_handshake() {
    for roles in [[Role::Active, Role::Active], [Role::Active, Role::Passive], [Role::Passive, Role::Active]]
    {
        let mut world = World::of_two(roles);
        talk(&mut world, 0..50);
        for (client, role) in roles.into_iter().enumerate() {
            let from = sends(1 - client);
            let sound: Vec<_> = (0..50u8).map(|n| vec![n; 80]).collect();
            assert_eq!(world.payloads(client, from.audio), sound, "{roles:?}");
            // Pictures are wished for over the channel.
            let pictures = if role == Role::Active { 50 } else { 0 };
            assert_eq!(world.payloads(client, from.video).len(), pictures, "{roles:?}");
            assert!(world.clients[client].refused.is_empty(), "{:?}", world.clients[client].refused);
        }
    }
}

#[test]
fn what_got_lost_on_the_way_down_is_asked_for_and_sent_again() {
    let mut world = World::of_two([Role::Active; 2]);
    talk(&mut world, 0..10);
    // Each seventh datagram of the bridge to the second one, of those that are media.
    let mut media = 0;
    world.arrives = Box::new(move |client, data| {
        let is_rtp = (128..192).contains(&data[0]) && !(192..224).contains(&data[1]);
        media += u32::from(client == 1 && is_rtp);
        !(client == 1 && is_rtp && media.is_multiple_of(7))
    });
    talk(&mut world, 10..110);
    world.arrives = Box::new(|_, _| true);
    talk(&mut world, 110..120);
    world.run(Duration::from_millis(500));
    // The engine takes repairs out of their stream.
    let mut pictures = world.payloads(1, sends(0).video);
    assert!(!pictures.is_sorted_by_key(|p| p[2]), "some came late");
    pictures.sort_by_key(|p| p[2]);
    pictures.dedup();
    assert_eq!(pictures.len(), 120, "all pictures, some of them repaired");
    assert!(world.clients[1].refused.is_empty(), "{:?}", world.clients[1].refused);
}

#[test]
fn reports_and_feedback_of_the_bridge_are_understood() {
    let mut world = World::of_two([Role::Active; 2]);
    // No key frame to begin with: it has to be asked for.
    talk(&mut world, 1..100);
    for client in 0..2 {
        for (name, least) in [("TransportLayerCc", 5), ("ReceiverReport", 1), ("SenderReport", 1)] {
            let heard = world.reports(client, name);
            assert!(heard >= least, "{name}: {heard}; {:?}", world.kinds(client));
        }
        assert!(world.reports(client, "PictureLossIndication") >= 1, "{:?}", world.kinds(client));
        assert!(world.clients[client].refused.is_empty(), "{:?}", world.clients[client].refused);
    }
    let texts = world.texts(0);
    assert!(
        texts.iter().any(|t| t.contains(r#""colibriClass":"ForwardedSources""#) && t.contains("abcdef01-v0")),
        "{texts:?}"
    );
}

/// Everybody says and shows something, fifty times a second.
fn talk(world: &mut World, numbers: std::ops::Range<u8>) {
    for n in numbers {
        let now = world.now;
        for client in &mut world.clients {
            client.speak(now, &[n; 80]);
            client.show(now, &picture(n, n == 0));
        }
        world.run(Duration::from_millis(20));
    }
}
