//! Speech that is sent again: the same datagrams, for who loses much and nobody else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use crate::world::{World, audio_source, endpoint, lost, request, rtp};
use peer::Options;

const SSRC: u32 = 1001;

fn send(world: &mut World, packets: std::ops::Range<u16>) {
    for seq in packets {
        world.peers[0].send_rtp(&rtp(SSRC, seq, &[seq as u8; 40]));
        world.run(Duration::from_millis(20));
    }
    // What is sent again is on its way.
    world.run(Duration::from_millis(50));
}

/// The stream that a peer gets, and its newest number.
fn heard(world: &World, n: usize) -> (u32, u32) {
    let last = world.peers[n].rtp.last().unwrap();
    let ssrc = u32::from_be_bytes(last[8..12].try_into().unwrap());
    (ssrc, u16::from_be_bytes([last[2], last[3]]).into())
}

#[test]
fn speech_that_is_sent_again_is_the_same_datagram_and_comes_once() {
    let mut world = World::new();
    for id in ["aaaa0001", "aaaa0002", "aaaa0003"] {
        world.join(id, Options::default());
    }
    world.connect();
    let mut update = endpoint("aaaa0001");
    update.sources = Some(vec![audio_source("aaaa0001-a0", SSRC)]);
    world.modify(request(false, vec![update])).unwrap();
    send(&mut world, 1..11);

    // The second says that it loses a fifth, the third that it loses nothing.
    let mut total = 0;
    for part in 0..3_u16 {
        for n in [1, 2] {
            let (ssrc, highest) = heard(&world, n);
            world.peers[n].send_rtcp(&lost(ssrc, 0x1_0000 + highest, if n == 1 { total } else { 0 }));
        }
        world.run(Duration::from_millis(20));
        send(&mut world, 11 + part * 150..161 + part * 150);
        total += 30;
    }
    let seen: Rc<RefCell<HashMap<Vec<u8>, usize>>> = Rc::default();
    let (count, broken) = (seen.clone(), world.peers[1].broken);
    let before = world.shard.counters().packets_sent;
    world.lost = Box::new(move |datagram| {
        if (128..192).contains(&datagram[0]) && datagram[1] & 0x7f == 111 {
            *count.borrow_mut().entry(datagram.to_vec()).or_default() += 1;
        }
        false
    });
    world.peers[1].rtp.clear();
    world.peers[2].rtp.clear();
    send(&mut world, 461..561);
    let mut times: HashMap<usize, usize> = HashMap::new();
    seen.borrow().values().for_each(|n| *times.entry(*n).or_default() += 1);
    assert_eq!(times, HashMap::from([(3, 100), (1, 100)]), "to one three times, to the other once");
    assert_eq!([world.peers[1].rtp.len(), world.peers[2].rtp.len()], [100, 100]);
    assert_eq!(world.peers[1].broken - broken, 200, "SRTP drops what came");
    assert_eq!(world.peers[2].broken, 0);
    assert!(world.shard.counters().packets_sent - before >= 400, "what is on the wire is counted");
}
