//! The fuzz targets of the media port with seeds, changes of them and any bytes: a panic is a broken promise.

#[path = "../../../tests/fuzz/src/media.rs"]
#[allow(unreachable_pub)] // as one of all targets they are public
mod media;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 9] = [
    ("z02_demux", media::z02_demux),
    ("z03_rtp", media::z03_rtp),
    ("z04_rtcp", media::z04_rtcp),
    ("z05_transport_cc", media::z05_transport_cc),
    ("z06_payloads", media::z06_payloads),
    ("z07_media", media::z07_media),
    ("z08_srtp", media::z08_srtp),
    ("z13_datagram", media::z13_datagram),
    ("z13_datagram, as STUN", as_stun),
];

/// With a header that gets it as far as possible.
fn as_stun(data: &[u8]) {
    let len = u16::try_from(data.len() & !3).unwrap().to_be_bytes();
    let header = [0, 1, len[0], len[1], 0x21, 0x12, 0xa4, 0x42];
    media::z13_datagram(&[&header[..], &[7; 12], &data[..data.len() & !3]].concat());
}

/// One well-formed thing of each kind.
fn seeds() -> Vec<Vec<u8>> {
    let rtp = [0x90, 0xe4, 0, 1, 0, 0, 0, 9, 0, 0, 3, 0xe8, 0xbe, 0xde, 0, 1, 0x51, 0, 7, 0];
    let vp8 = [0x90, 0xf0, 0x81, 0x02, 7, 0x20, 0x10, 0, 0, 0x9d, 1, 0x2a, 0, 5, 0xd0, 2];
    let receiver_report = [&[0x81, 201, 0, 7, 0, 0, 0, 1][..], &[3; 24]].concat();
    let nack = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 3, 0xe8, 0, 9, 0xff, 0xff];
    let pli = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 3, 0xe8];
    let fir = [0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0xe8, 1, 0, 0, 0];
    let feedback = [0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 3, 0xe8, 0, 1, 0, 4, 0, 0, 9, 0, 0x20, 4, 1, 1];
    // A key frame of the first participant, time, a report of what another one lost, then all of it gone.
    let mut story = vec![0, 36];
    story.extend([&rtp[..], &vp8].concat());
    story.extend([21, 63, 12, 16]);
    story.extend(nack);
    story.extend([18, 0, 18, 64, 0, 36]);
    story.extend([&rtp[..], &vp8].concat());
    vec![
        [&rtp[..], &vp8].concat(),
        vp8.to_vec(),
        receiver_report,
        nack.into(),
        pli.into(),
        fir.into(),
        feedback.into(),
        story,
    ]
}

#[test]
fn every_target_keeps_its_promise() {
    for (name, target) in TARGETS {
        seeds().iter().for_each(|seed| target(seed));
        let seeds = || select(seeds());
        let changed = (seeds(), vec((any::<Index>(), any::<u8>()), 0..6)).prop_map(|(mut seed, changes)| {
            for (at, byte) in changes {
                let at = at.index(seed.len());
                seed[at] = byte;
            }
            seed
        });
        let together = vec(seeds(), 1..4).prop_map(|all| all.concat());
        let input = prop_oneof![changed, together, vec(any::<u8>(), 0..1400)];
        let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(config).run(&input, |data| {
            target(&data);
            Ok(())
        });
        if let Err(why) = outcome {
            panic!("{name}: {why}");
        }
    }
}
