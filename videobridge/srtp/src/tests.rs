use proptest::prelude::*;

use crate::cipher::Cipher;
use crate::indices::{NextIndex, NextRtcpIndex, RtcpIndex};
use crate::keys::{Label, Master};
use crate::limits::{MAX_RELAYED_SSRCS, MAX_SSRCS, REPLAY_WINDOW, RTCP_INDEX_END, RTP_INDEX_END};
use crate::{KeyError, Profile, Receiver, Sender, SrtpError, SrtpKeys};

const PROFILES: [Profile; 3] = [Profile::AeadAes256Gcm, Profile::AeadAes128Gcm, Profile::Aes128CmHmacSha1_80];

fn hex(s: &str) -> Vec<u8> {
    let digits: String = s.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

/// Client and server of one handshake.
fn pair(profile: Profile) -> ((Sender, Receiver), (Sender, Receiver)) {
    let material: Vec<u8> = (0..profile.keying_material_len()).map(|i| (i * 7 + 3) as u8).collect();
    let end =
        |is_server| SrtpKeys::from_dtls_exporter(profile, &material, is_server).unwrap().split().unwrap();
    (end(false), end(true))
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend(1234_u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x81, 206, 0, 2];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(77_u32.to_be_bytes());
    packet
}

fn protect(sender: &mut Sender, packet: &[u8]) -> Vec<u8> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + Profile::MAX_OVERHEAD, 0);
    let len = sender.protect_rtp(&mut buf, packet.len()).unwrap();
    buf.truncate(len);
    buf
}

fn protect_rtcp(sender: &mut Sender, packet: &[u8]) -> Vec<u8> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + Profile::MAX_OVERHEAD, 0);
    let len = sender.protect_rtcp(&mut buf, packet.len()).unwrap();
    buf.truncate(len);
    buf
}

fn unprotect(receiver: &mut Receiver, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buf = packet.to_vec();
    let len = receiver.unprotect_rtp(&mut buf)?;
    buf.truncate(len);
    Ok(buf)
}

fn unprotect_rtcp(receiver: &mut Receiver, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buf = packet.to_vec();
    let len = receiver.unprotect_rtcp(&mut buf)?;
    buf.truncate(len);
    Ok(buf)
}

// --- published vectors ---

#[test]
fn rfc_3711_appendix_b_2_key_stream() {
    // The appendix uses the session salt as it is, SSRC 0 and index 0.
    let key = hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap();
    let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
    let Ok(Cipher::CmSha1(cm)) = Cipher::cm_sha1(&key, salt, &[0; 20]) else { panic!("wrong cipher") };
    let mut stream = vec![0; 0xff02 * 16];
    cm.crypt(0, 0, &mut stream);
    let expected = [
        (
            0,
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0",
        ),
        (
            0xfeff,
            "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44",
        ),
    ];
    for (block, bytes) in expected {
        assert_eq!(stream[block * 16..block * 16 + 48], hex(bytes), "block {block:#x}");
    }
}

#[test]
fn rfc_3711_appendix_b_3_key_derivation() {
    let master = Master::new(
        Profile::Aes128CmHmacSha1_80,
        &hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        &hex("0EC675AD498AFEEBB6960B3AABE6"),
    )
    .unwrap();
    assert_eq!(
        master.derive::<16>(Label::RtpEncryption).unwrap()[..],
        hex("C61E7A93744F39EE10734AFE3FF7A087")
    );
    assert_eq!(master.derive::<14>(Label::RtpSalt).unwrap()[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(
        master.derive::<94>(Label::RtpAuthentication).unwrap()[..],
        hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE
             E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25
             6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2")
    );
}

const RFC7714_SALT: &str = "517569642070726f2071756f";
const RFC7714_KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const RFC7714_RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
    69736120 696e2070 61727465 73207472 6573";

/// The vectors give session keys, so no key derivation takes part.
fn rfc7714(key_len: usize) -> Cipher {
    Cipher::gcm(&hex(RFC7714_KEY_256)[..key_len], hex(RFC7714_SALT).try_into().unwrap()).ok().unwrap()
}

#[test]
fn rfc_7714_section_16_rtp() {
    let cases = [
        (
            16,
            "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833
              899d7f27 beb16a91 52cf765e e4390cce",
        ),
        (
            32,
            "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b
              7aa3db36 dfffd6b0 f9bb7878 d7a76c13",
        ),
    ];
    for (key_len, sealed) in cases {
        let cipher = rfc7714(key_len);
        let plain = hex(RFC7714_RTP);
        let mut buf = plain.clone();
        buf.resize(plain.len() + 16, 0);
        assert_eq!(
            cipher.seal_rtp(&mut buf, plain.len(), 12, NextIndex::forge(0x5501_a0b2, 0xf17b)),
            Ok(plain.len() + 16)
        );
        assert_eq!(buf[..12], plain[..12]);
        assert_eq!(buf[12..], hex(sealed), "{key_len}");
        assert_eq!(cipher.open_rtp(&mut buf, 12, 0x5501_a0b2, 0xf17b), Ok(plain.len()));
        assert_eq!(buf[..plain.len()], plain);
    }
}

#[test]
fn rfc_7714_section_17_rtcp() {
    // Sender report, index 0x05d4.
    let plain = hex("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
        deadbeef deadbeef deadbeef deadbeef deadbeef");
    let cases = [
        (16, "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46
              86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4"),
        (32, "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658
              c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4"),
    ];
    for (key_len, sealed) in cases {
        let cipher = rfc7714(key_len);
        let mut buf = plain.clone();
        buf.resize(plain.len() + 20, 0);
        assert_eq!(
            cipher.seal_rtcp(&mut buf, plain.len(), NextRtcpIndex::forge(0x4d61_7273, 0x05d4)),
            Ok(plain.len() + 20)
        );
        assert_eq!(buf, hex(sealed), "{key_len}");
        assert_eq!(cipher.rtcp_word(&buf), Ok(0x8000_05d4));
        assert_eq!(cipher.open_rtcp(&mut buf, 0x4d61_7273, RtcpIndex(0x05d4)), Ok(plain.len()));
        assert_eq!(buf[..plain.len()], plain);
    }
}

// --- both directions ---

#[test]
fn what_one_end_protects_the_other_unprotects() {
    for profile in PROFILES {
        let ((mut client_tx, mut client_rx), (mut server_tx, mut server_rx)) = pair(profile);
        let packet = rtp(5, 100, b"hello");
        let sealed = protect(&mut client_tx, &packet);
        assert_eq!(sealed.len(), packet.len() + profile.tag_len());
        assert!(!sealed.windows(5).any(|w| w == b"hello"));
        assert_eq!(unprotect(&mut client_rx, &sealed), Err(SrtpError::Unauthentic), "directions differ");
        assert_eq!(unprotect(&mut server_rx, &sealed), Ok(packet));

        let report = rtcp(9);
        let sealed = protect_rtcp(&mut server_tx, &report);
        assert_eq!(sealed.len(), report.len() + profile.rtcp_overhead());
        assert_eq!(unprotect_rtcp(&mut client_rx, &sealed), Ok(report));
        assert_eq!((server_rx.ssrc_counts(), client_rx.ssrc_counts()), ((1, 0), (0, 1)));
    }
}

#[test]
fn header_extensions_and_csrcs_stay_readable_and_are_authenticated() {
    for profile in PROFILES {
        let ((mut tx, _), (_, mut rx)) = pair(profile);
        let mut packet = rtp(5, 7, &[]);
        packet[0] = 0x91;
        packet.extend([0, 0, 0, 9]);
        packet.extend([0xbe, 0xde, 0, 1, 0x10, 0x55, 0, 0]);
        let header_len = packet.len();
        packet.extend(b"payload");
        let sealed = protect(&mut tx, &packet);
        assert_eq!(sealed[..header_len], packet[..header_len]);
        let mut touched = sealed.clone();
        touched[header_len - 3] ^= 1;
        assert_eq!(unprotect(&mut rx, &touched), Err(SrtpError::Unauthentic));
        assert_eq!(unprotect(&mut rx, &sealed), Ok(packet));
    }
}

#[test]
fn tampering_with_any_byte_is_noticed_and_leaves_no_state() {
    for profile in PROFILES {
        let ((mut tx, _), (_, mut rx)) = pair(profile);
        let sealed = protect(&mut tx, &rtp(5, 1, b"some payload"));
        for at in 0..sealed.len() {
            let mut touched = sealed.clone();
            touched[at] ^= 0x20;
            let result = unprotect(&mut rx, &touched);
            assert!(matches!(result, Err(SrtpError::Unauthentic | SrtpError::Malformed)), "{at}: {result:?}");
        }
        for len in 0..sealed.len() {
            assert!(unprotect(&mut rx, &sealed[..len]).is_err(), "{len}");
        }
        let sealed = protect_rtcp(&mut tx, &rtcp(5));
        for at in 0..sealed.len() {
            for bit in [0x80, 0x20, 1] {
                let mut touched = sealed.clone();
                touched[at] ^= bit;
                assert!(unprotect_rtcp(&mut rx, &touched).is_err(), "{at}");
            }
        }
        for len in 0..sealed.len() {
            assert!(unprotect_rtcp(&mut rx, &sealed[..len]).is_err(), "{len}");
        }
        assert_eq!(rx.ssrc_counts(), (0, 0));
    }
}

#[test]
fn a_forged_packet_does_not_move_the_window_of_a_known_ssrc() {
    for profile in PROFILES {
        let ((mut tx, _), (_, mut rx)) = pair(profile);
        unprotect(&mut rx, &protect(&mut tx, &rtp(5, 10, b"a"))).unwrap();
        let late = protect(&mut tx, &rtp(5, 9, b"c"));
        let mut forged = protect(&mut tx, &rtp(5, 30_000, b"b"));
        *forged.last_mut().unwrap() ^= 1;
        assert_eq!(unprotect(&mut rx, &forged), Err(SrtpError::Unauthentic));
        assert!(unprotect(&mut rx, &late).is_ok());
    }
}

// --- replay and roll-over ---

#[test]
fn every_packet_is_accepted_once_within_the_window_and_not_beyond() {
    for profile in PROFILES {
        let ((mut tx, _), (_, mut rx)) = pair(profile);
        let mut sent = std::collections::HashMap::new();
        let mut send =
            |seq: u16| sent.entry(seq).or_insert_with(|| protect(&mut tx, &rtp(5, seq, b"x"))).clone();
        let window = REPLAY_WINDOW as u16;
        unprotect(&mut rx, &send(1000)).unwrap();
        assert_eq!(unprotect(&mut rx, &send(1000)), Err(SrtpError::Replayed));
        assert!(unprotect(&mut rx, &send(1000 - window + 1)).is_ok(), "at the limit");
        assert_eq!(unprotect(&mut rx, &send(1000 - window + 1)), Err(SrtpError::Replayed));
        assert_eq!(unprotect(&mut rx, &send(1000 - window)), Err(SrtpError::TooOld), "one beyond");
        // Moving on keeps what is still inside.
        unprotect(&mut rx, &send(1001)).unwrap();
        assert_eq!(unprotect(&mut rx, &send(1000)), Err(SrtpError::Replayed));
        assert!(unprotect(&mut rx, &send(999)).is_ok());
        unprotect(&mut rx, &send(1001 + window)).unwrap();
        assert_eq!(unprotect(&mut rx, &send(1001)), Err(SrtpError::TooOld));

        let sealed = protect_rtcp(&mut tx, &rtcp(5));
        assert!(unprotect_rtcp(&mut rx, &sealed).is_ok());
        assert_eq!(unprotect_rtcp(&mut rx, &sealed), Err(SrtpError::Replayed));
    }
}

#[test]
fn the_sequence_number_may_roll_over_with_loss_and_reordering() {
    for profile in PROFILES {
        let ((mut tx, _), (_, mut rx)) = pair(profile);
        let mut send = |index: u64| protect(&mut tx, &rtp(5, index as u16, b"x"));
        for index in
            [65_000, 65_534, 65_536, 65_535, 65_537, 98_000, 98_001 + 32_000, 131_072, 131_071, 1 << 17 | 9]
        {
            assert!(unprotect(&mut rx, &send(index)).is_ok(), "{index}");
        }
    }
}

#[test]
fn a_stream_that_starts_reordered_before_the_first_roll_over_goes_on() {
    let ((mut tx, _), (_, mut rx)) = pair(Profile::AeadAes128Gcm);
    let mut send = |index: u64| protect(&mut tx, &rtp(5, index as u16, b"x"));
    assert!(unprotect(&mut rx, &send(3)).is_ok());
    assert!(unprotect(&mut rx, &send(60_000)).is_ok(), "far ahead, not before zero");
    assert!(unprotect(&mut rx, &send(65_536)).is_ok());
}

#[test]
fn keys_end_exactly_at_their_limit() {
    for profile in PROFILES {
        let ((mut tx, _), _) = pair(profile);
        tx.skip_to(5, RTP_INDEX_END - 2, RTCP_INDEX_END - 1);
        let mut buf = rtp(5, 0xffff, b"x");
        let len = buf.len();
        buf.resize(len + 16, 0);
        assert!(tx.protect_rtp(&mut buf.clone(), len).is_ok());
        buf[2..4].copy_from_slice(&[0, 0]);
        assert_eq!(tx.protect_rtp(&mut buf, len), Err(SrtpError::Exhausted));

        let mut buf = rtcp(5);
        buf.resize(12 + 20, 0);
        assert!(tx.protect_rtcp(&mut buf.clone(), 12).is_ok());
        assert_eq!(tx.protect_rtcp(&mut buf, 12), Err(SrtpError::Exhausted));
    }
}

#[test]
fn ssrc_table_is_bounded_and_forgets_the_least_recently_used() {
    for (relayed, most) in [(false, MAX_SSRCS), (true, MAX_RELAYED_SSRCS)] {
        let ((tx, _), (_, rx)) = pair(Profile::AeadAes128Gcm);
        let (mut tx, mut rx) = (tx.relayed(), if relayed { rx.relayed() } else { rx });
        let mut send = |ssrc: u32, seq: u16| protect(&mut tx, &rtp(ssrc, seq, b"x"));
        let mut first: Vec<_> = (0..most as u32 - 1).map(|ssrc| send(ssrc, 1)).collect();
        let beyond = [send(0, 2), send(70_000, 1)];
        if !relayed {
            first.push(send(most as u32 - 1, 1));
        }
        for packet in &first {
            unprotect(&mut rx, packet).unwrap();
        }
        unprotect(&mut rx, &beyond[0]).unwrap();
        unprotect(&mut rx, &beyond[1]).unwrap();
        assert_eq!(rx.ssrc_counts().0, most, "at the limit");
        assert_eq!(unprotect(&mut rx, &first[0]), Err(SrtpError::Replayed), "0 was used recently");
        assert_eq!(unprotect(&mut rx, &first[1]).is_ok(), !relayed, "one beyond: 1 was forgotten");
    }
}

// --- our own mistakes ---

#[test]
fn misuse_is_an_error_and_never_a_packet() {
    for profile in PROFILES {
        let ((mut tx, _), _) = pair(profile);
        let mut buf = rtp(5, 1, b"x");
        let len = buf.len();
        assert_eq!(tx.protect_rtp(&mut buf, len), Err(SrtpError::NoRoom));
        buf.resize(len + profile.tag_len() - 1, 0);
        assert_eq!(tx.protect_rtp(&mut buf, len), Err(SrtpError::NoRoom));
        buf.push(0);
        assert_eq!(tx.protect_rtp(&mut buf, 11), Err(SrtpError::Malformed));
        assert_eq!(tx.protect_rtp(&mut buf, len + 99), Err(SrtpError::NoRoom));
        assert!(tx.protect_rtp(&mut buf.clone(), len).is_ok());
        assert_eq!(tx.protect_rtp(&mut buf, len), Err(SrtpError::IndexUsed));
        let mut buf = rtcp(5);
        buf.resize(12 + profile.rtcp_overhead() - 1, 0);
        assert_eq!(tx.protect_rtcp(&mut buf, 12), Err(SrtpError::NoRoom));
        assert_eq!(tx.protect_rtcp(&mut buf, 7), Err(SrtpError::Malformed));
        let short = vec![0; profile.keying_material_len() - 1];
        let error = SrtpKeys::from_dtls_exporter(profile, &short, true).unwrap_err();
        assert_eq!(error, KeyError::Length { expected: short.len() + 1, got: short.len() });
    }
}

#[test]
fn unencrypted_srtcp_is_refused() {
    let ((mut tx, _), (_, mut rx)) = pair(Profile::AeadAes128Gcm);
    let mut sealed = protect_rtcp(&mut tx, &rtcp(5));
    let at = sealed.len() - 4;
    sealed[at] &= 0x7f;
    assert_eq!(unprotect_rtcp(&mut rx, &sealed), Err(SrtpError::NotEncrypted));
}

#[test]
fn keys_never_show_in_debug_output() {
    let ((tx, rx), _) = pair(Profile::AeadAes128Gcm);
    assert_eq!(format!("{tx:?} {rx:?}"), "Sender(SRTP_AEAD_AES_128_GCM) Receiver(SRTP_AEAD_AES_128_GCM)");
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for profile in PROFILES {
            let (_, (_, mut rx)) = pair(profile);
            prop_assert!(rx.unprotect_rtp(&mut bytes.clone()).is_err());
            prop_assert!(rx.unprotect_rtcp(&mut bytes).is_err());
            prop_assert_eq!(rx.ssrc_counts(), (0, 0));
        }
    }

    #[test]
    fn any_payload_survives_the_round_trip(
        payload in prop::collection::vec(any::<u8>(), 0..1500), ssrc: u32, seq: u16,
    ) {
        for profile in PROFILES {
            let ((mut tx, _), (_, mut rx)) = pair(profile);
            let packet = rtp(ssrc, seq, &payload);
            let sealed = protect(&mut tx, &packet);
            prop_assert_eq!(unprotect(&mut rx, &sealed), Ok(packet));
        }
    }
}
