//! Structures as browsers send them in, what is read of them out.

use super::*;

/// A template: layers, what it is to each target (`-` not part, `D` discardable, `R` required, `S` switch), references,
/// distances in the chains.
fn template((spatial, temporal): (u8, u8), indications: &str, references: &[u16], chains: &[u8]) -> Template {
    let set = |letters: &str| {
        let part = indications.chars().enumerate().filter(|(_, c)| letters.contains(*c));
        part.fold(0, |sum, (target, _)| sum | 1 << target)
    };
    let mut out = Template {
        spatial,
        temporal,
        present: set("DRS"),
        switch: set("S"),
        references: References::new(references).unwrap(),
        chains: [0; MAX_TARGETS],
    };
    out.chains[..chains.len()].copy_from_slice(chains);
    out
}

/// L3T2: every layer refers to the one below.
fn full() -> Structure {
    let templates = [
        template((0, 0), "SSRRRR", &[6], &[6, 5, 4]),
        template((0, 0), "SSSSSS", &[], &[0, 0, 0]),
        template((0, 1), "-D-R-R", &[3], &[3, 2, 1]),
        template((1, 0), "--SSRR", &[6, 1], &[1, 1, 5]),
        template((1, 0), "--SSSS", &[1], &[1, 1, 1]),
        template((1, 1), "---D-R", &[3, 1], &[4, 3, 2]),
        template((2, 0), "----SS", &[6, 1], &[2, 1, 1]),
        template((2, 0), "----SS", &[1], &[2, 1, 1]),
        template((2, 1), "-----D", &[3, 1], &[5, 4, 3]),
    ];
    Structure::new(61, &templates, 6, &[0, 0, 1, 1, 2, 2], [180, 360, 720, 0]).unwrap()
}

/// L2T1_KEY: layers refer to each other in key pictures alone.
fn key_only() -> Structure {
    let templates = [
        template((0, 0), "S-", &[2], &[2, 1]),
        template((0, 0), "SS", &[], &[0, 0]),
        template((1, 0), "-S", &[1], &[1, 1]),
        template((1, 0), "-S", &[2], &[1, 2]),
    ];
    Structure::new(7, &templates, 2, &[0, 1], [0; 4]).unwrap()
}

fn head(template: u8, number: u16, has_structure: bool) -> Head {
    Head { begins: true, ends: false, template, number: FrameNumber::new(number), has_structure }
}

fn written(head: &Head, structure: &Structure, active: Option<Targets>) -> Vec<u8> {
    let mut buf = [0xff; 300];
    let len = write(head, structure, active, &mut buf).unwrap();
    buf[..len].to_vec()
}

#[test]
fn structures_read_as_written_and_say_who_has_what() {
    for structure in [full(), key_only()] {
        let bytes = written(&head(structure.offset() + 1, 9, true), &structure, None);
        let mut read = Structure::default();
        read.take_from(&bytes).unwrap();
        assert_eq!(read, structure);
        // Nothing of what is cut short is used.
        for len in 0..bytes.len() - 1 {
            assert!(read.take_from(&bytes[..len]).is_none(), "{len}");
            assert!(read.frame(&[0x80, 0, 1]).is_none() || len < 4, "{len}");
        }
    }
    let full = full();
    assert_eq!((full.targets(), full.all(), full.next_offset()), (6, 0b11_1111, 6));
    assert_eq!([0, 3, 5].map(|t| full.layers(t)), [Some((0, 0)), Some((1, 1)), Some((2, 1))]);
    assert_eq!(full.layers(6), None);
    // The highest has all; (2, 0) has (1, 0) and (0, 0), and of (1, 1) not all.
    assert_eq!([5, 4, 1, 0].map(|t| full.covers(t)), [0b11_1111, 0b01_0101, 0b11, 0b01]);
    assert_eq!(full.best(full.all(), 1, 0), Some(2));
    assert_eq!(full.best(full.all(), 7, 7), Some(5));
    assert_eq!(full.best(0b0011, 2, 0), Some(0), "only what is being sent");
    assert_eq!((full.size(1), full.size(3), full.chain(4)), (Some(360), None, Some(2)));
    assert_eq!([0, 1].map(|t| key_only().covers(t)), [0b01, 0b10], "neither has the other's frames");
    assert_eq!(key_only().size(0), None);
}

#[test]
fn frames_are_as_their_template_says_unless_they_say_otherwise() {
    let structure = full();
    let key = structure.frame(&written(&head(62, 500, true), &structure, None)).unwrap();
    assert!(key.is_key() && key.begins && !key.ends);
    assert_eq!((key.number.get(), key.active, key.present), (500, Some(0b11_1111), 0b11_1111));
    // Ids go round: 61 + 5 = 2.
    let upper = structure.frame(&written(&head(2, 501, false), &structure, Some(0b1111))).unwrap();
    assert_eq!((upper.spatial, upper.temporal, upper.active), (1, 1, Some(0b1111)));
    assert_eq!((upper.present, upper.switch), (0b10_1000, 0));
    assert!(upper.references.iter().eq([3, 1]) && upper.chains.starts_with(&[4, 3, 2]));
    assert!(!upper.is_key());
    assert!(structure.frame(&[0x80 | 6, 0, 1]).is_none(), "no such template");
    assert!(structure.frame(&[0x80, 0]).is_none());

    let mut own = [0; 20];
    own[0] = 0x80 | 61;
    let mut writer = Writer::at(&mut own, 24);
    // All three are its own: indications, references of 4, 8 and 12 bits, chains.
    for (value, count) in [(0b00111, 5), (0b00_01_10_11_00_10, 12)] {
        writer.put(value, count).unwrap();
    }
    for (value, size) in [(2, 1), (99, 2), (1234, 3)] {
        writer.put(size, 2).unwrap();
        writer.put(value - 1, size as usize * 4).unwrap();
    }
    writer.put(0, 2).unwrap();
    [200, 3, 4].iter().for_each(|chain| writer.put(*chain, 8).unwrap());
    let len = writer.finish().unwrap();
    let frame = structure.frame(&own[..len]).unwrap();
    assert_eq!((frame.present, frame.switch), (0b10_1110, 0b10_0100));
    assert!(frame.references.iter().eq([2, 99, 1234]) && frame.chains.starts_with(&[200, 3, 4, 0]));
    assert!((4..len).all(|len| structure.frame(&own[..len]).is_none()), "cut short");
}

#[test]
fn rewritten_descriptors_differ_in_the_numbers_alone() {
    let structure = full();
    for (original, moved) in [
        (written(&head(62, 500, true), &structure, None), 62),
        (written(&head(62, 500, true), &structure, Some(0b1111)), 62),
        (written(&head(2, 500, false), &structure, None), 2),
        (written(&head(2, 500, false), &structure, Some(0b1111)), 2),
    ] {
        for active in [None, Some((0b0011, 6))] {
            let before = structure.frame(&original).unwrap();
            let active =
                active.map(|(set, targets)| Active { set, targets, structure_end: before.structure_end });
            let to = Rewriting { number: FrameNumber::new(7), template_shift: 10, active };
            let mut buf = [0xff; 300];
            let len = rewrite(&original, &to, &mut buf).unwrap();
            let (mut there, new) = (Structure::default(), Head::parse(&buf[..len]).unwrap());
            assert_eq!((new.template, new.number.get()), ((moved + 10) % 64, 7));
            if new.has_structure {
                there.take_from(&buf[..len]).unwrap();
                assert_eq!(there.offset(), (61 + 10) % 64);
            } else {
                there = structure.clone();
                there.offset = 71 % 64;
            }
            let after = there.frame(&buf[..len]).unwrap();
            let said = active.map_or(before.active, |active| Some(active.set));
            let structure_end = before.structure_end;
            let expected = Frame { number: FrameNumber::new(7), active: said, structure_end, ..before };
            assert_eq!(after, expected);
            assert!((0..len).all(|room| rewrite(&original, &to, &mut buf[..room].to_vec()).is_none()));
        }
    }
    let to = Rewriting { number: FrameNumber::new(7), template_shift: 0, active: None };
    assert!(rewrite(&[0x80, 0], &to, &mut [0; 10]).is_none());
}

#[test]
fn what_cannot_be_written_is_no_structure() {
    let (base, top) = (template((0, 0), "SS", &[], &[]), template((2, 0), "-S", &[], &[]));
    assert!(Structure::new(0, &[base, top], 2, &[], [0; 4]).is_none(), "a layer is left out");
    assert!(Structure::new(0, &[top], 2, &[], [0; 4]).is_none(), "does not begin below");
    assert!(
        Structure::new(0, &[base], 0, &[], [0; 4]).is_none()
            && Structure::new(64, &[base], 1, &[], [0; 4]).is_none()
    );
    assert!(Structure::new(0, &[base; 65], 2, &[], [0; 4]).is_none());
    assert!(Structure::new(0, &[base; 64], 2, &[], [0; 4]).is_some());
    assert!(References::new(&[1; MAX_REFERENCES + 1]).is_none());
}
