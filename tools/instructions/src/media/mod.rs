//! Conferences in one shard of the bridge, or two, connected through ICE and DTLS: encrypted packets in, encrypted packets to
//! every receiver counted.

mod hall;
mod sender;

use std::time::Duration;

use self::hall::Hall;
use self::sender::{PACKETS_OF_BEST, Sender};
use crate::Done;

/// Ten cameras in three encodings; everybody gets the best of everybody.
pub(crate) fn forward_among_ten() -> Done {
    video(10, 10, 30)
}

/// One camera in three encodings; 300 get the best.
pub(crate) fn fan_out_to_300() -> Done {
    video(301, 1, 6)
}

/// The same in two parts of the conference, on two shards: what is spread, and what that costs.
pub(crate) fn fan_out_to_300_in_two_parts() -> Done {
    video_in(Hall::spread(301, 2), 301, 1, 6)
}

/// Three speak at once; 100 others hear all of them, and they each other.
pub(crate) fn audio_of_three_to_100() -> Done {
    const STEPS: usize = 50;
    let mut hall = Hall::new(103);
    let mut senders: Vec<Sender> = (0..3).map(Sender::new).collect();
    for (n, sender) in senders.iter().enumerate() {
        hall.set_source(n, sender.microphone(&Hall::source_name(n, "a0")));
    }
    let mut forwarded = 0;
    for step in 0..STEPS + 100 {
        let packets = senders.iter_mut().enumerate().map(|(n, s)| (n, s.audio())).collect();
        let count = step >= 100;
        let sent = hall.step(Duration::from_millis(20), packets, count);
        if count {
            assert_eq!(sent, 3 * 102, "everybody else hears them");
            forwarded += sent;
        }
    }
    Done { unit: "forwarded audio packet", units: forwarded }
}

/// `senders` of `endpoints` have a camera.
fn video(endpoints: usize, senders: usize, steps: usize) -> Done {
    video_in(Hall::new(endpoints), endpoints, senders, steps)
}

fn video_in(mut hall: Hall, endpoints: usize, senders: usize, steps: usize) -> Done {
    let mut cameras: Vec<Sender> = (0..senders).map(|n| Sender::new(n as u32)).collect();
    for (n, camera) in cameras.iter().enumerate() {
        hall.set_source(n, camera.camera(&Hall::source_name(n, "v0")));
    }
    hall.want_720p();
    let mut forwarded = 0;
    for step in 0..steps + WARM_UP {
        let frames = cameras.iter_mut().enumerate();
        let packets =
            frames.flat_map(|(n, c)| c.video(step % 20 == 0 && step < 50).into_iter().map(move |p| (n, p)));
        let count = step >= WARM_UP;
        let sent = hall.step(Duration::from_millis(33), packets.collect(), count);
        if count {
            let expected = (senders * (endpoints - 1)) as u64 * PACKETS_OF_BEST;
            assert_eq!(sent, expected, "everybody gets the best encoding of everybody else");
            forwarded += sent;
        }
    }
    Done { unit: "forwarded video packet", units: forwarded }
}

/// Frames after which tables, histories and timers have their size.
const WARM_UP: usize = 60;
