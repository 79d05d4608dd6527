//! Vectors by hand from the RFCs, round trips, and "whatever the bytes are, no panic".

use proptest::prelude::*;

use crate::extension::{AudioLevel, ONE_BYTE_PROFILE, TWO_BYTE_PROFILE, abs_send_time_bytes};
use crate::rtcp::report::{MAX_BLOCKS, write_receiver_report, write_sender_report};
use crate::rtcp::transport_cc::{self, Arrival};
use crate::rtcp::{Compound, ReportBlock, Rtcp, SenderInfo, feedback};
use crate::{
    ExtSeq, ExtensionForm, ExtensionId, Extensions, HeaderWriter, NtpMiddle, RtpError, RtpFields, RtpPacket,
    Unwrapper, is_rtcp, red, rtx,
};

const FIELDS: RtpFields = RtpFields {
    marker: true,
    payload_type: 100,
    sequence: 0xfffe,
    timestamp: 0x0102_0304,
    ssrc: 0xdead_beef,
};

fn id(number: u8) -> ExtensionId {
    ExtensionId::new(number).unwrap()
}

fn packet(payload: &[u8]) -> Vec<u8> {
    let mut buf = vec![0; 64];
    let mut writer = HeaderWriter::new(&mut buf, &FIELDS, ExtensionForm::OneByte).unwrap();
    writer.extension(id(1), &[0x85]).unwrap();
    writer.extension(id(5), &[0x12, 0x34]).unwrap();
    let len = writer.finish();
    buf.truncate(len);
    buf.extend(payload);
    buf
}

fn one(bytes: &[u8]) -> Result<Rtcp<'_>, RtpError> {
    let mut all = Compound::new(bytes);
    let first = all.next().unwrap();
    assert_eq!(all.next(), None);
    first
}

mod rtp {
    use super::*;

    #[test]
    fn header_with_extensions_reads_back_as_written() {
        let bytes = packet(b"payload");
        assert_eq!(bytes[12..20], [0xbe, 0xde, 0, 2, 0x10, 0x85, 0x51, 0x12]);
        let view = RtpPacket::parse(&bytes).unwrap();
        assert_eq!((view.marker(), view.payload_type(), view.sequence()), (true, 100, 0xfffe));
        assert_eq!((view.timestamp(), view.ssrc()), (0x0102_0304, 0xdead_beef));
        assert_eq!((view.header_len(), view.payload(), view.padding()), (24, &b"payload"[..], 0));
        assert_eq!(view.extension_profile(), ONE_BYTE_PROFILE);
        assert_eq!(
            AudioLevel::parse(view.extension(id(1)).unwrap()),
            Some(AudioLevel { voice: true, level: 5 })
        );
        assert_eq!(crate::extension::transport_sequence(view.extension(id(5)).unwrap()), Some(0x1234));
        assert_eq!(view.extension(id(2)), None);
    }

    #[test]
    fn contributing_sources_and_padding_are_understood() {
        let mut bytes = vec![0xa2, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5];
        bytes.extend([b'x', b'y', 0, 0, 3]);
        let view = RtpPacket::parse(&bytes).unwrap();
        assert_eq!((view.payload(), view.padding()), (&b"xy"[..], 3));
        *bytes.last_mut().unwrap() = 5;
        assert_eq!(RtpPacket::parse(&bytes).unwrap().payload(), b"", "all padding");
        for impossible in [0, 6] {
            *bytes.last_mut().unwrap() = impossible;
            assert_eq!(RtpPacket::parse(&bytes), Err(RtpError::Padding));
        }
        // While encrypted the last byte means nothing.
        assert_eq!(RtpPacket::parse_header(&bytes).unwrap().payload().len(), 5);
    }

    #[test]
    fn cut_short_or_of_another_version_is_refused() {
        let bytes = packet(b"");
        for len in 0..bytes.len() {
            assert_eq!(RtpPacket::parse(&bytes[..len]), Err(RtpError::CutShort), "{len}");
        }
        assert_eq!(RtpPacket::parse(&[0x40; 20]), Err(RtpError::Version));
    }

    #[test]
    fn rfc_8285_forms_padding_and_the_stop_id() {
        let ids = |profile, bytes: &[u8]| {
            Extensions::new(profile, bytes).map(|e| (e.id.wire(), e.data.to_vec())).collect::<Vec<_>>()
        };
        let mixed = [0x10, 0xaa, 0, 0, 0x21, 1, 2, 0xf0, 9, 0x30, 7];
        assert_eq!(ids(ONE_BYTE_PROFILE, &mixed), [(1, vec![0xaa]), (2, vec![1, 2])], "id 15 ends the block");
        assert_eq!(ids(TWO_BYTE_PROFILE | 7, &[20, 0, 0, 3, 1, 9]), [(20, vec![]), (3, vec![9])]);
        assert_eq!(ids(0x1234, &mixed), []);
        assert_eq!(ids(ONE_BYTE_PROFILE, &[0x12, 1, 2]), [], "element longer than the block");
    }

    #[test]
    fn writer_refuses_what_a_form_or_the_buffer_can_not_hold() {
        assert_eq!(ExtensionForm::for_elements([(id(1), 1), (id(14), 16)]), ExtensionForm::OneByte);
        for (number, len) in [(15, 1), (1, 17), (1, 0)] {
            assert_eq!(ExtensionForm::for_elements([(id(number), len)]), ExtensionForm::TwoByte);
        }
        let mut buf = [0; 20];
        assert!(HeaderWriter::new(&mut buf[..11], &FIELDS, ExtensionForm::OneByte).is_none());
        let mut writer = HeaderWriter::new(&mut buf, &FIELDS, ExtensionForm::OneByte).unwrap();
        assert_eq!(writer.extension(id(15), &[1]), None);
        assert_eq!(writer.extension(id(1), &[1, 2, 3, 4]), None, "one byte too much");
        assert_eq!(writer.extension(id(1), &[1, 2, 3]), Some(()));
        assert_eq!(writer.finish(), 20);

        let mut buf = [0; 64];
        let mut writer = HeaderWriter::new(&mut buf, &FIELDS, ExtensionForm::TwoByte).unwrap();
        writer.extension(id(200), &[7; 20]).unwrap();
        let len = writer.finish();
        let view = RtpPacket::parse(&buf[..len]).unwrap();
        assert_eq!(view.extension(id(200)), Some(&[7; 20][..]));

        let mut buf = [0; 12];
        let writer = HeaderWriter::new(&mut buf, &FIELDS, ExtensionForm::OneByte).unwrap();
        assert_eq!(writer.finish(), 12, "no extension block without elements");
        assert_eq!(buf[0], 0x80);
    }

    #[test]
    fn rtp_and_rtcp_are_told_apart_as_rfc_5761_says() {
        assert!(is_rtcp(&[0x80, 200, 0]) && is_rtcp(&[0xbf, 223]) && is_rtcp(&[0x81, 192]));
        assert!(
            !is_rtcp(&[0x80, 96]) && !is_rtcp(&[0x80, 224]) && !is_rtcp(&[0x16, 200]) && !is_rtcp(&[0x80])
        );
    }

    #[test]
    fn retransmissions_carry_the_original_number_in_front() {
        assert_eq!(rtx::parse(&[0xff, 0xfe, b'x', b'y']), Some((0xfffe, &b"xy"[..])));
        assert_eq!(rtx::parse(&[0, 7]), Some((7, &[][..])));
        assert_eq!(rtx::parse(b"x"), None, "pure padding");
    }

    #[test]
    fn abs_send_time_is_six_dot_eighteen_fixed_point() {
        assert_eq!(abs_send_time_bytes(1_500_000), [0x06, 0, 0]);
        assert_eq!(abs_send_time_bytes(64_000_000 + 1_500_000), [0x06, 0, 0], "wraps after 64 s");
    }
}

mod numbers {
    use super::*;

    #[test]
    fn unwrapper_counts_roll_overs_and_tolerates_reordering() {
        let mut u = Unwrapper::new();
        assert_eq!(u.extend(0xfffe), ExtSeq(0xfffe));
        assert_eq!(u.extend(1), ExtSeq(0x1_0001));
        assert_eq!(u.extend(0xffff), ExtSeq(0xffff));
        assert_eq!((u.newest(), u.peek(2)), (Some(ExtSeq(0x1_0001)), ExtSeq(0x1_0002)));
        let mut early = Unwrapper::new();
        early.extend(3);
        assert_eq!(
            early.extend(60_000),
            ExtSeq(60_000),
            "nothing is before zero: far ahead, as SRTP sees it"
        );
    }
}

mod reports {
    use super::*;

    const BLOCK: ReportBlock = ReportBlock {
        ssrc: 1,
        fraction_lost: 2,
        cumulative_lost: -3,
        extended_highest: 0x0001_0004,
        jitter: 5,
        last_sr: NtpMiddle(6),
        delay_since_last_sr: 7,
    };

    #[test]
    fn reports_read_back_as_written() {
        let mut buf = [0; 1500];
        let info = SenderInfo { ntp: 0x1122_3344_5566_7788, rtp_timestamp: 9, packets: 10, octets: 11 };
        let len = write_sender_report(&mut buf, 42, &info, &[BLOCK, BLOCK]).unwrap();
        assert_eq!((len, &buf[..4]), (76, &[0x82, 200, 0, 18][..]));
        let Ok(Rtcp::SenderReport { ssrc: 42, info: read, blocks }) = one(&buf[..len]) else { panic!() };
        assert_eq!((read, read.ntp_middle()), (info, NtpMiddle(0x3344_5566)));
        assert_eq!(blocks.collect::<Vec<_>>(), [BLOCK, BLOCK]);

        let len = write_receiver_report(&mut buf, 42, &[]).unwrap();
        assert_eq!(&buf[..len], [0x80, 201, 0, 1, 0, 0, 0, 42]);
        let extremes = [i32::MAX, i32::MIN].map(|cumulative_lost| ReportBlock { cumulative_lost, ..BLOCK });
        let len = write_receiver_report(&mut buf, 42, &extremes).unwrap();
        let Ok(Rtcp::ReceiverReport { blocks, .. }) = one(&buf[..len]) else { panic!() };
        assert_eq!(blocks.map(|b| b.cumulative_lost).collect::<Vec<_>>(), [0x7f_ffff, -0x80_0000]);
        assert!(write_receiver_report(&mut buf, 1, &[BLOCK; MAX_BLOCKS]).is_some());
        assert!(write_receiver_report(&mut buf, 1, &[BLOCK; MAX_BLOCKS + 1]).is_none());
    }

    #[test]
    fn compound_yields_all_packets_and_stops_at_the_first_error() {
        let mut bytes = vec![0x80, 201, 0, 1, 0, 0, 0, 42]; // RR
        bytes.extend([0x81, 202, 0, 2, 0, 0, 0, 42, 1, 1, b'x', 0]); // SDES
        bytes.extend([0xa1, 203, 0, 2, 0, 0, 0, 42, 0, 0, 0, 4]); // BYE with padding
        bytes.extend([0x80, 204, 0, 1, 0, 0, 0, 42]); // APP
        let all: Vec<_> = Compound::new(&bytes).collect::<Result<_, _>>().unwrap();
        assert!(matches!(all[0], Rtcp::ReceiverReport { ssrc: 42, .. }));
        assert!(matches!(all[1], Rtcp::SourceDescription(_)));
        let Rtcp::Goodbye(mut bye) = all[2] else { panic!() };
        assert_eq!((bye.next(), bye.next()), (Some(42), None));
        assert_eq!(all[3], Rtcp::Other { kind: 204, format: 0 });
        bytes.extend([0x81, 201, 0, 1, 0, 0, 0, 42]); // says one block, has none
        bytes.extend([0x80, 201, 0, 9]);
        let all: Vec<_> = Compound::new(&bytes).skip(4).collect();
        assert_eq!(all, [Err(RtpError::CutShort), Err(RtpError::CutShort)]);
        assert_eq!(
            Compound::new(&[0x40, 201, 0, 0, 0x80, 201, 0, 0]).collect::<Vec<_>>(),
            [Err(RtpError::Version)]
        );
    }
}

mod requests {
    use super::*;

    #[test]
    fn key_frame_requests_read_back_as_written() {
        let mut buf = [0; 64];
        let len = feedback::write_pli(&mut buf, 1, 2).unwrap();
        assert_eq!(&buf[..len], [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(one(&buf[..len]), Ok(Rtcp::Pli { sender: 1, media: 2 }));
        let len = feedback::write_fir(&mut buf, 1, 2, 9).unwrap();
        let Ok(Rtcp::Fir(fir)) = one(&buf[..len]) else { panic!() };
        assert_eq!((fir.sender, fir.media), (1, 0));
        assert_eq!(fir.entries().collect::<Vec<_>>(), [(2, 9)]);
        assert_eq!(feedback::write_pli(&mut buf[..11], 1, 2), None);
    }

    #[test]
    fn nack_packs_sixteen_followers_per_entry_and_continues_in_another_packet() {
        let mut buf = [0; 64];
        let lost = [0xfffe, 0xffff, 14, 15, 100];
        let (len, taken) = feedback::write_nack(&mut buf, 1, 2, &lost).unwrap();
        assert_eq!((len, taken), (24, 5));
        assert_eq!(&buf[12..24], [0xff, 0xfe, 0x80, 1, 0, 15, 0, 0, 0, 100, 0, 0]);
        let Ok(Rtcp::Nack(nack)) = one(&buf[..len]) else { panic!() };
        assert_eq!((nack.sender, nack.media), (1, 2));
        assert_eq!(nack.sequences().collect::<Vec<_>>(), lost);
        assert_eq!(feedback::write_nack(&mut buf[..16], 1, 2, &lost), Some((16, 3)));
        assert_eq!(feedback::write_nack(&mut buf[..15], 1, 2, &lost), None);
        assert_eq!(feedback::write_nack(&mut buf, 1, 2, &[]), None);
    }

    /// What browsers send: 6 bits of exponent, 18 of mantissa; about the streams 7 and 8.
    fn remb(buf: &mut [u8], bitrate: u64) -> usize {
        let exponent = 46_u32.saturating_sub(bitrate.leading_zeros());
        let word = 2 << 24 | exponent << 18 | u32::try_from(bitrate >> exponent).unwrap();
        let words = [0x8fce_0006, 1, 0, u32::from_be_bytes(*b"REMB"), word, 7, 8];
        words.iter().zip(buf.chunks_mut(4)).for_each(|(w, to)| to.copy_from_slice(&w.to_be_bytes()));
        28
    }

    #[test]
    fn remb_keeps_eighteen_bits_and_saturates() {
        let mut buf = [0; 64];
        for (bitrate, read) in [(0, 0), (250_000, 250_000), (0x3_ffff, 0x3_ffff), (2_500_001, 2_500_000)] {
            let len = remb(&mut buf, bitrate);
            let Ok(Rtcp::Remb(remb)) = one(&buf[..len]) else { panic!() };
            assert_eq!((remb.bitrate, remb.ssrcs().collect::<Vec<_>>()), (read, vec![7, 8]));
        }
        buf[17] = 0xff;
        let Ok(Rtcp::Remb(remb)) = one(&buf[..28]) else { panic!() };
        assert_eq!(remb.bitrate, u64::MAX);
        buf[12] = b'X';
        assert!(matches!(one(&buf[..28]), Ok(Rtcp::Other { kind: 206, format: 15 })));
    }
}

mod transport_wide {
    use super::*;

    fn statuses(bytes: &[u8]) -> Vec<(u16, Option<i32>)> {
        let Ok(Rtcp::TransportFeedback(view)) = one(bytes) else { panic!("{bytes:?}") };
        view.statuses().map(|s| (s.sequence, s.delta_us)).collect()
    }

    #[test]
    fn chunks_of_every_kind_are_understood() {
        let mut bytes = vec![0x8f, 205, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2];
        bytes.extend([0xff, 0xff, 0, 12]); // base 65535, 12 statuses
        bytes.extend([0, 0, 2, 7]); // 128 ms, count 7
        bytes.extend([0x20, 2]); // run of 2: small
        bytes.extend([0xd2, 0]); // two bits each: small, lost, large, 4 × lost
        bytes.extend([0xa0, 0]); // one bit each: small, 13 × lost, of which 3 count
        bytes.extend([4, 8, 12, 0xff, 0xfc, 16]); // 1, 2, 3, −1, 4 ms
        let read = statuses(&bytes);
        let ms = |n| Some(n * 1000);
        let expected = [ms(1), ms(2), ms(3), None, ms(-1), None, None, None, None, ms(4), None, None];
        assert_eq!(read.iter().map(|s| s.1).collect::<Vec<_>>(), expected);
        assert_eq!((read[0].0, read[1].0, read[11].0), (65_535, 0, 10));
        bytes.truncate(bytes.len() - 4);
        bytes[3] -= 1;
        assert_eq!(statuses(&bytes).len(), 2, "ends where the deltas end");
    }

    #[test]
    fn a_simple_feedback_has_the_expected_bytes() {
        let mut buf = [0; 100];
        let arrivals = [
            Arrival { sequence: ExtSeq(5), time_us: 128_000 },
            Arrival { sequence: ExtSeq(6), time_us: 129_000 },
            Arrival { sequence: ExtSeq(8), time_us: 128_500 },
        ];
        let written = transport_cc::write(&mut buf, 1, 2, 7, ExtSeq(5), &arrivals).unwrap();
        assert_eq!((written.arrivals, written.next_base), (3, ExtSeq(9)));
        assert_eq!(
            buf[..written.len],
            [
                0xaf, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 0, 4, 0, 0, 2, 7, //
                0xd4, 0x80, // two bits: small, small, lost, large
                0, 4, 0xff, 0xfe, 0, 2
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_left_for_the_next_packet() {
        let mut buf = [0; 60];
        let arrivals: Vec<_> = (0..100).map(|i| Arrival { sequence: ExtSeq(i), time_us: i * 1000 }).collect();
        let mut from = 0;
        let mut base = ExtSeq(0);
        let mut seen = Vec::new();
        while from < arrivals.len() {
            let written = transport_cc::write(&mut buf, 1, 2, 0, base, &arrivals[from..]).unwrap();
            seen.extend(statuses(&buf[..written.len]));
            from += written.arrivals;
            base = written.next_base;
        }
        assert_eq!(seen.len(), 100);
        assert!(seen.iter().all(|s| s.1.is_some()));
        assert_eq!(transport_cc::write(&mut buf[..20], 1, 2, 0, ExtSeq(0), &arrivals), None);
        let late = [
            Arrival { sequence: ExtSeq(0), time_us: 0 },
            Arrival { sequence: ExtSeq(1), time_us: 9_000_000 },
        ];
        assert_eq!(
            transport_cc::write(&mut buf, 1, 2, 0, ExtSeq(0), &late).unwrap().arrivals,
            1,
            "delta beyond 16 bits"
        );
        let far =
            [Arrival { sequence: ExtSeq(0), time_us: 0 }, Arrival { sequence: ExtSeq(65_535), time_us: 1 }];
        let mut buf = [0; 1200];
        assert_eq!(
            transport_cc::write(&mut buf, 1, 2, 0, ExtSeq(0), &far).unwrap().arrivals,
            1,
            "count beyond 16 bits"
        );
    }

    proptest! {
        #[test]
        fn every_arrival_pattern_reads_back(
            base in 0_u64..200_000,
            steps in prop::collection::vec((prop_oneof![5 => 1_u64..2, 2 => 1_u64..20, 1 => 1_u64..20_000], -3_000_i64..200_000), 1..120),
        ) {
            let (mut sequence, mut time) = (base, 1_000_000_i64);
            let mut arrivals = Vec::new();
            for (step, dt) in steps {
                sequence += step - 1;
                time += dt;
                arrivals.push(Arrival { sequence: ExtSeq(sequence), time_us: time as u64 });
                sequence += 1;
            }
            let (mut from, mut next) = (0, ExtSeq(base));
            while from < arrivals.len() {
                let mut buf = [0; 1200];
                let part = &arrivals[from..];
                let written = transport_cc::write(&mut buf, 1, 2, 3, next, part).expect("something fits");
                let Ok(Rtcp::TransportFeedback(view)) = one(&buf[..written.len]) else { panic!() };
                prop_assert_eq!(u64::from(view.status_count), written.next_base.0 - next.0);
                let mut now = view.reference_time_us() as i64;
                let mut expected = part[..written.arrivals].iter();
                let mut count = 0;
                for (i, status) in view.statuses().enumerate() {
                    count += 1;
                    prop_assert_eq!(status.sequence, (next.0 + i as u64) as u16);
                    if let Some(delta) = status.delta_us {
                        now += i64::from(delta);
                        let arrival = expected.next().unwrap();
                        prop_assert_eq!(arrival.sequence.0, next.0 + i as u64);
                        prop_assert!((now - arrival.time_us as i64).abs() <= 125, "rounding never adds up");
                    }
                }
                prop_assert_eq!(count, usize::from(view.status_count));
                prop_assert!(expected.next().is_none());
                from += written.arrivals;
                next = written.next_base;
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Some(first) = bytes.first_mut() {
            *first = (*first & 0x3f) | 0x80;
        }
        if let Ok(view) = RtpPacket::parse(&bytes) {
            prop_assert_eq!(
                view.header_len() + view.payload().len() + usize::from(view.padding()), bytes.len()
            );
            let _ = view.extensions().count();
        }
        for kind in 200..=206 {
            if let Some(second) = bytes.get_mut(1) {
                *second = kind;
            }
            if let (Some(words), true) = (bytes.len().checked_sub(4), bytes.len() >= 4) {
                bytes[2..4].copy_from_slice(&((words / 4) as u16).to_be_bytes());
            }
            for packet in Compound::new(&bytes).flatten() {
                match packet {
                    Rtcp::SenderReport { blocks, .. } | Rtcp::ReceiverReport { blocks, .. } => {
                        prop_assert!(blocks.count() <= MAX_BLOCKS);
                    }
                    Rtcp::TransportFeedback(f) => prop_assert!(f.statuses().count() <= 65_535),
                    Rtcp::Nack(n) => prop_assert!(n.sequences().count() <= bytes.len() * 17),
                    Rtcp::Fir(f) => prop_assert!(f.entries().count() <= bytes.len()),
                    Rtcp::Remb(r) => prop_assert!(r.ssrcs().count() <= bytes.len()),
                    Rtcp::Goodbye(b) => prop_assert!(b.count() <= 31),
                    _ => {}
                }
            }
        }
        let _ = (rtx::parse(&bytes), red::newest(&bytes), is_rtcp(&bytes));
    }
}
