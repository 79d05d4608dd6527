//! Every target with what is kept, with changes of it and with any bytes, for a bounded time.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// Inputs per target: some seconds in all.
const CASES: u32 = 1_000;

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|e| std::fs::read(e.unwrap().path()).unwrap()).collect()
}

#[test]
fn every_target_keeps_its_promise() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recorded = files(&here.join("../../common/jitsi-xmpp/fixtures/recorded"));
    assert!(!recorded.is_empty());
    for (name, target) in fuzz::TARGETS {
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
        let cases = if *name == "z10_dtls" { CASES / 5 } else { CASES };
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

/// The coverage-guided runs have the same targets.
#[test]
fn every_target_has_its_binary() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    for (name, _) in fuzz::TARGETS {
        assert!(folder.join(format!("{name}.rs")).exists(), "{name}");
    }
    assert_eq!(files(&folder).len(), fuzz::TARGETS.len());
}
