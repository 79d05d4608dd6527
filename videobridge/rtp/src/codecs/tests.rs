//! Packets as real encoders send them in, what was read out.

use super::*;

#[test]
fn vp8_key_frame_with_all_fields() {
    let payload = [0x90, 0xf0, 0x81, 0x02, 7, 0x20, 0x10, 0, 0, 0x9d, 1, 0x2a, 0, 5, 0xd0, 2, 0, 0];
    let d = Descriptor::parse(Codec::Vp8, &payload, None);
    assert!(d.key_frame);
    assert_eq!(d.picture_id, Some(PicturePlace { at: 2, id: PictureId::new(258), long: true }));
    assert_eq!(d.tl0, Some(Tl0Place { at: 4, index: Tl0Index::new(7) }));
    assert_eq!(d.height, Some(720));
}

#[test]
fn vp8_continuations_and_predicted_frames_are_no_key_frames() {
    for payload in
        [&[0x80, 0x80, 0x81, 0x02, 0x10][..], &[0x90, 0x80, 0x81, 0x02, 0x11], &[0x91, 0x80, 0x01, 0x10]]
    {
        assert!(!Descriptor::parse(Codec::Vp8, payload, None).key_frame, "{payload:?}");
    }
}

#[test]
fn e2ee_vp8_needs_only_the_first_ten_bytes() {
    let payload = [0x90, 0x80, 0x81, 0x02, 0x10, 0, 0, 0x9d, 1, 0x2a, 0, 5, 0xd0, 2];
    assert!(Descriptor::parse(Codec::Vp8, &payload, None).key_frame);
    assert_eq!(Descriptor::parse(Codec::Vp8, &payload, None).height, Some(720));
}

#[test]
fn vp9_key_frame_is_the_beginning_of_the_base_layer() {
    let key = [0xa8, 0x81, 0x02, 0x00, 9];
    let d = Descriptor::parse(Codec::Vp9, &key, None);
    assert!(d.key_frame);
    assert_eq!(d.tl0, Some(Tl0Place { at: 4, index: Tl0Index::new(9) }));
    assert!(!Descriptor::parse(Codec::Vp9, &[0xa8, 0x81, 0x02, 0x02, 9], None).key_frame, "spatial layer 1");
    assert!(!Descriptor::parse(Codec::Vp9, &[0xe8, 0x81, 0x02, 0x00, 9], None).key_frame, "predicted");
}

#[test]
fn numbers_wrap_within_their_bits() {
    let last = PictureId::new(0xffff);
    assert_eq!((last.get(), last.next(), last.wire()), (0x7fff, PictureId::new(0), [0xff, 0xff]));
    assert_eq!(PictureId::new(2).since(last), 3);
    assert_eq!(last.shifted(PictureId::new(2).since(last)), PictureId::new(2));
    assert_eq!(
        (Tl0Index::new(255).next(), Tl0Index::new(1).since(Tl0Index::new(255))),
        (Tl0Index::new(0), 2)
    );
    assert_eq!(
        (FrameNumber::new(0xffff).next(), FrameNumber::new(0).since(FrameNumber::new(0xffff))),
        (FrameNumber::new(0), 1)
    );
}

/// A packet that begins a key frame or does not, by how it was packetised.
fn starts(codec: Codec, payload: &[u8]) -> bool {
    Descriptor::parse(codec, payload, None).key_frame
}

#[test]
fn h264_key_frames_begin_with_parameter_sets_or_the_first_slice_of_an_idr_picture() {
    // SPS, PPS and AUD as a camera of 640 × 480 sends them.
    let (aud, sps, pps) = (&[0x09, 0xf0][..], &[0x67, 0x42, 0xc0, 0x1f, 0x8c][..], &[0x68, 0xce, 0x3c][..]);
    let (sei, idr, later_slice) = (&[0x06, 0x05, 0x10][..], &[0x65, 0x88, 0x84][..], &[0x65, 0x02, 0x20][..]);
    let stap = |units: &[&[u8]]| {
        let mut out = vec![0x78];
        units.iter().for_each(|u| {
            out.extend((u.len() as u16).to_be_bytes());
            out.extend(*u);
        });
        out
    };
    let fu = |head: u8, rest: &[u8]| [&[0x7c, head][..], rest].concat();
    for (yes, what) in [
        (sps.to_vec(), "packetisation mode 0: the parameter set alone"),
        (idr.to_vec(), "and the picture, whose parameter sets came out of band"),
        (stap(&[sps, pps]), "as browsers do"),
        (stap(&[sps, pps, idr]), "a small picture in one packet"),
        (stap(&[aud, sps, pps, idr]), "an encoder of Apple's: delimiter first"),
        (stap(&[sei, sps, pps]), "supplemental information first"),
        (stap(&[aud, sei, sps, pps]), "both"),
        (fu(0x85, &[0x88]), "the first fragment of an IDR picture"),
        (fu(0x87, &[0x42]), "a parameter set in fragments"),
        ([&[0x79, 0, 1][..], &stap(&[aud, sps])[1..]].concat(), "STAP-B, with a decoding order number"),
        ([&[0x7d, 0x85, 0, 1][..], &[0x88]].concat(), "FU-B"),
    ] {
        assert!(starts(Codec::H264, &yes), "{what}: {yes:x?}");
    }
    for (no, what) in [
        (vec![0x61, 0x88], "a predicted picture"),
        (aud.to_vec(), "a delimiter alone"),
        (sei.to_vec(), "supplemental information alone"),
        (pps.to_vec(), "picture parameters alone"),
        (later_slice.to_vec(), "the second slice of an IDR picture"),
        (fu(0x05, &[0x88]), "a fragment whose first one was lost"),
        (fu(0x45, &[0x88]), "the last fragment"),
        (fu(0x85, &[0x02]), "the first fragment of a second slice"),
        (stap(&[aud, sei, &[0x61, 0x88]]), "an aggregate with a predicted picture"),
        (vec![0x78, 0, 9, 0x67], "an aggregate that is cut short"),
        (vec![0x78], "an empty one"),
        (vec![], "nothing"),
    ] {
        assert!(!starts(Codec::H264, &no), "{what}: {no:x?}");
    }
}

#[test]
fn av1_key_frames_without_descriptor_begin_with_a_new_sequence() {
    for (yes, what) in [
        (&[0x08, 0x0a][..], "the N bit"),
        (&[0x18, 0x0a, 0x0b], "with one unit"),
        (&[0x10, 0x0a, 0x0b], "a sequence header in front, N forgotten"),
        (&[0x20, 0x02, 0x0a, 0x0b, 0x32], "of two units"),
        (&[0x00, 0x01, 0x12, 0x02, 0x0a, 0x0b, 0x01, 0x32], "behind a temporal delimiter"),
    ] {
        assert!(starts(Codec::Av1, yes), "{what}");
    }
    for (no, what) in [
        (&[0x10, 0x32, 0x00][..], "a frame"),
        (&[0x88, 0x0a], "the rest of a unit that began in the packet before"),
        (&[0x90, 0x0a], "the same without N"),
        (&[0x00, 0x01, 0x12, 0x02, 0x32, 0x0b], "a frame behind a delimiter"),
        (&[0x00, 0xff, 0xff, 0xff, 0xff, 0x01], "a length without end"),
        (&[0x20, 0x7f, 0x12], "a length beyond the packet"),
        (&[], "nothing"),
    ] {
        assert!(!starts(Codec::Av1, no), "{what}");
    }
}

#[test]
fn vp8_layers() {
    let at = |byte: u8| Descriptor::parse(Codec::Vp8, &[0x90, 0xe0, 0x81, 0x02, 7, byte, 0x11], None);
    assert_eq!((at(0x20).temporal, at(0x20).layering), (0, Layering::Vp8 { sync: true }));
    assert_eq!((at(0x80).temporal, at(0x80).layering), (2, Layering::Vp8 { sync: false }));
    let key_index_only = Descriptor::parse(Codec::Vp8, &[0x90, 0x90, 0x81, 0x02, 0xc5, 0x11], None);
    assert_eq!((key_index_only.temporal, key_index_only.layering), (0, Layering::None));
    let no_picture_id = Descriptor::parse(Codec::Vp8, &[0x90, 0x20, 0x80, 0x11], None);
    assert_eq!(no_picture_id.layering, Layering::None);
    // The second partition of a frame, and the second packet of the first.
    assert!(at(0x20).begins);
    for first in [0x80, 0x91] {
        assert!(!Descriptor::parse(Codec::Vp8, &[first, 0x80, 0x81, 0x02, 0x10], None).begins);
    }
}

#[test]
fn vp9_layers_of_both_modes() {
    // Not flexible: TL0PICIDX; spatial layer 1 of a key picture, temporal layer 0, refers to the layer below.
    let d = Descriptor::parse(Codec::Vp9, &[0xac, 0x81, 0x02, 0x13, 9, 1], None);
    assert_eq!((d.spatial, d.temporal, d.begins, d.ends, d.key_frame), (1, 0, true, true, false));
    let layering = Layering::Vp9 { predicted: false, inter_layer: true, switches_up: true, supports: true };
    assert_eq!((d.layering, d.tl0.map(|t| t.at)), (layering, Some(4)));
    // Flexible: no TL0PICIDX; temporal layer 2, two distances, not a reference for the layer above.
    let d = Descriptor::parse(Codec::Vp9, &[0xf1, 0x81, 0x02, 0x44, 0x03, 0x04, 1], None);
    assert_eq!((d.spatial, d.temporal, d.begins, d.ends, d.tl0), (2, 2, false, false, None));
    let layering = Layering::Vp9 { predicted: true, inter_layer: false, switches_up: false, supports: false };
    assert_eq!(d.layering, layering);
    // A key frame in flexible mode.
    assert!(starts(Codec::Vp9, &[0xb8, 0x81, 0x02, 0x00, 1]));
    // Neither has the rest of a frame a beginning, nor is a key picture's upper layer one.
    assert!(
        !starts(Codec::Vp9, &[0xb0, 0x81, 0x02, 0x00, 1]) && !starts(Codec::Vp9, &[0xb8, 0x81, 0x02, 0x03])
    );
}

#[test]
fn vp9_sizes_stand_behind_everything_else() {
    // Three layers, sizes, no picture groups; portrait.
    let structure = [0x50, 0, 180, 1, 64, 1, 104, 2, 128, 2, 208, 5, 0];
    for head in [
        &[0xaa, 0x81, 0x02, 0x00, 9][..],
        &[0xba, 0x81, 0x02, 0x00],
        &[0xfa, 0x81, 0x02, 0x00, 0x03, 0x05, 0x06],
        &[0x8a, 0x05],
    ] {
        let payload = [head, &structure, &[1, 2, 3]].concat();
        let at = Descriptor::parse(Codec::Vp9, &payload, None).sizes_at.unwrap();
        assert_eq!(usize::from(at), head.len(), "{head:x?}");
        let sizes = vp9::sizes(&payload, at).unwrap();
        assert_eq!((sizes.layers, &sizes.sizes[..4]), (3, &[180, 360, 720, 0][..]));
        assert!((head.len()..payload.len() - 3).all(|len| vp9::sizes(&payload[..len], at).is_none()));
    }
    assert_eq!(Descriptor::parse(Codec::Vp9, &[0xa8, 0x81, 0x02, 0x00, 9], None).sizes_at, None);
}

#[test]
fn truncated_payloads_are_ordinary_packets() {
    let full = [0x90, 0xf0, 0x81, 0x02, 7, 0x20, 0x11];
    for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264, Codec::Other] {
        for len in 0..full.len() {
            let _ = Descriptor::parse(codec, &full[..len], Head::parse(&full[..len.min(3)]));
        }
    }
}
