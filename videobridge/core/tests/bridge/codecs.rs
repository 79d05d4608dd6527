//! Payload types: what everybody may send, what each receiver knows, and what nobody agreed on.

use std::time::Duration;

use jitsi_xmpp::jingle::{Parameter, PayloadType};
use peer::Options;

use crate::world::{World, audio_source, rtp};

/// A sender of redundant audio (112), tones (126) and G.711 (0), somebody who knows them, and somebody who knows Opus alone.
fn three() -> World {
    let mut world = World::new();
    for (id, knows_more) in [("aaaa0001", true), ("aaaa0002", true), ("aaaa0003", false)] {
        world.join_with(id, Options::default(), |create, update| {
            if knows_more {
                let mut red = PayloadType::new(112, "red", 48_000, 2);
                red.parameters = vec![Parameter { name: None, value: "111/111".to_owned() }];
                let tone = PayloadType::new(126, "telephone-event", 8_000, 1);
                create.media[0].payload_types.extend([red, tone, PayloadType::new(0, "PCMU", 8_000, 1)]);
            }
            if id == "aaaa0001" {
                update.sources = Some(vec![audio_source("aaaa0001-a0", SSRC)]);
            }
        });
    }
    world.connect();
    world
}

/// What the second and the third have heard: payload types, numbers and payloads.
fn say(world: &mut World, packets: &[(u8, &[u8])]) -> [Vec<(u8, u16, Vec<u8>)>; 2] {
    for (seq, (payload_type, payload)) in (1..).zip(packets) {
        let mut packet = rtp(SSRC, seq, payload);
        packet[1] = *payload_type;
        world.peers[0].send_rtp(&packet);
        world.run(Duration::from_millis(20));
    }
    [1, 2].map(|n| {
        let heard = world.peers[n].rtp.iter();
        heard.map(|p| (p[1] & 0x7f, u16::from_be_bytes([p[2], p[3]]), p[12..].to_vec())).collect()
    })
}

/// Numbers of packets, seen from the first.
fn steps(heard: &[(u8, u16, Vec<u8>)]) -> Vec<u16> {
    heard.iter().map(|(_, seq, _)| seq.wrapping_sub(heard[0].1)).collect()
}

#[test]
fn who_did_not_know_redundant_audio_heard_nothing() {
    let mut world = three();
    // Each with the one before, 960 ticks older.
    let red =
        |old: &'static [u8; 3], new: &[u8; 3]| [&[0x80 | 111, 0x0f, 0x00, 3, 111][..], old, new].concat();
    let (one, two, broken) = (red(b"---", b"one"), red(b"one", b"two"), [0x80 | 111, 0x0f, 0x03, 0xff, 111]);
    let [knows, plain] =
        say(&mut world, &[(112, &one), (112, &two), (111, b"off"), (112, &broken), (112, &one)]);
    let types = |heard: &[(u8, u16, Vec<u8>)]| heard.iter().map(|h| h.0).collect::<Vec<_>>();
    assert_eq!((types(&knows), steps(&knows)), (vec![112, 112, 111, 112, 112], vec![0, 1, 2, 3, 4]));
    assert_eq!(knows[1].2, two, "as it came");
    assert_eq!(
        (types(&plain), steps(&plain)),
        (vec![111; 4], vec![0, 1, 2, 4]),
        "what cannot be read is lost"
    );
    let said: Vec<&[u8]> = plain.iter().map(|h| &h.2[..]).collect();
    assert_eq!(said, [b"one", b"two", b"off", b"one"]);
}

#[test]
fn what_was_agreed_on_passes_whatever_it_is_and_nothing_else() {
    let mut world = three();
    let packets: [(u8, &[u8]); 5] =
        [(111, b"opus"), (126, b"tone"), (0, b"g711"), (99, b"what"), (111, b"opus")];
    let [knows, plain] = say(&mut world, &packets);
    let payloads =
        |heard: &[(u8, u16, Vec<u8>)]| heard.iter().map(|h| (h.0, h.2.clone())).collect::<Vec<_>>();
    let sent = |n: &[usize]| n.iter().map(|n| (packets[*n].0, packets[*n].1.to_vec())).collect::<Vec<_>>();
    assert_eq!(payloads(&knows), sent(&[0, 1, 2, 4]));
    assert_eq!(payloads(&plain), sent(&[0, 4]));
}

const SSRC: u32 = 1001;
