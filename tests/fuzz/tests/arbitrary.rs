//! Every target with what is kept, with changes of it and with any bytes, for a bounded time.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// Inputs per target: some seconds in all, unless `FUZZ_CASES` says more.
fn cases() -> u32 {
    std::env::var("FUZZ_CASES").ok().map_or(1_000, |n| n.parse().unwrap())
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|e| std::fs::read(e.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_target_keeps_its_promise() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recorded = files(&here.join("../../common/jitsi-xmpp/fixtures/recorded"));
    assert!(!recorded.is_empty());
    let only = std::env::var("ONLY").unwrap_or_default();
    for (name, target) in fuzz::TARGETS.iter().filter(|(name, _)| name.contains(&only)) {
        let mut seeds = files(&here.join("corpus").join(name));
        assert!(!seeds.is_empty(), "{name} has no corpus");
        seeds.iter().for_each(|s| target(s));
        seeds.extend(recorded.clone());
        let seeds = select(seeds);
        let changed =
            (seeds.clone(), vec((any::<Index>(), any::<u8>()), 0..6)).prop_map(|(mut s, changes)| {
                for (at, b) in changes.into_iter().filter(|_| !s.is_empty()).collect::<Vec<_>>() {
                    let at = at.index(s.len());
                    s[at] = b;
                }
                s
            });
        let spliced = (seeds.clone(), seeds, any::<Index>(), any::<Index>()).prop_map(|(a, b, at, from)| {
            [&a[..at.index(a.len() + 1)], &b[from.index(b.len() + 1)..]].concat()
        });
        let input = prop_oneof![changed, spliced, vec(any::<u8>(), 0..256)];
        // A handshake takes 13 ms.
        let cases = if *name == "z10_dtls" { cases() / 5 } else { cases() };
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let outcome = TestRunner::new(config).run(&input, |data| {
            target(&data);
            Ok(())
        });
        if let Err(e) = outcome {
            panic!("{name}: {e}");
        }
    }
}

/// X12: whatever the focus is fuzzed with, said by a participant, as it is and as its presence, costs nobody else anything.
#[test]
fn what_the_focus_is_fuzzed_with_harms_nobody_when_a_participant_says_it() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recorded = files(&here.join("../../common/jitsi-xmpp/fixtures/recorded"));
    let corpus = files(&here.join("corpus/z24_focus"));
    let frames =
        corpus.iter().flat_map(|f| f.split(|b| *b == 0xff)).chain(recorded.iter().map(Vec::as_slice));
    let said: Vec<Vec<u8>> = frames
        .flat_map(|frame| {
            let presence = [br#"<presence to="rathaus@muc.meet.jitsi/$ME">"#, frame, b"</presence>"].concat();
            let iq =
                [br#"<iq type="set" id="x" to="rathaus@muc.meet.jitsi/focus">"#.as_slice(), frame, b"</iq>"];
            [frame.to_vec(), presence, iq.concat()]
        })
        .collect();
    assert!(said.len() > 60, "{}", said.len());
    for some in said.chunks(20) {
        fuzz::meeting::z19_meeting(&some.join(&0xff));
    }
}

/// The coverage-guided runs have the same targets.
#[test]
fn every_target_has_its_binary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    for (name, _) in fuzz::TARGETS {
        assert!(folder.join(format!("{name}.rs")).exists(), "{name}");
    }
    assert_eq!(files(&folder).len(), fuzz::TARGETS.len());
}
