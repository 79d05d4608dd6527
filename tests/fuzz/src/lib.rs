//! Fuzz targets as plain functions: any bytes in; a panic if a promise is broken, nothing otherwise.
//!
//! `tests/arbitrary.rs` runs them with what is kept in `corpus/` and with changes of it; `fuzz/` drives the same functions
//! by coverage (docs/developer/testing.md).
#![forbid(unsafe_code)]

pub mod config;
pub mod foreign;
pub mod handshake;
pub mod inside;
pub mod machines;
pub mod media;
pub mod meeting;
pub mod rules;
#[cfg(feature = "second-parser")]
pub mod stun;
pub mod tokens;
pub mod turn;
pub mod wire;

/// A target: its name, which is also its folder in `corpus/`, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    #[cfg(feature = "second-parser")]
    ("z01_stun", stun::z01_stun),
    ("z02_demux", media::z02_demux),
    ("z03_rtp", media::z03_rtp),
    ("z04_rtcp", media::z04_rtcp),
    ("z05_transport_cc", media::z05_transport_cc),
    ("z06_payloads", media::z06_payloads),
    ("z07_media", media::z07_media),
    ("z08_srtp", media::z08_srtp),
    ("z09_replay", media::z09_replay),
    ("z10_dtls", handshake::z10_dtls),
    ("z11_sctp", media::z11_sctp),
    ("z12_ice", media::z12_ice),
    ("z13_datagram", media::z13_datagram),
    ("z14_colibri2", wire::z14_colibri2),
    ("z15_bridge_channel", wire::z15_bridge_channel),
    ("z16_xml_stream", wire::z16_xml_stream),
    ("z17_words", wire::z17_words),
    ("z18_xmpp_stream", machines::z18_xmpp_stream),
    ("z19_meeting", meeting::z19_meeting),
    ("z20_rules", rules::z20_rules),
    ("z21_bosh", machines::z21_bosh),
    ("z22_conference_request", machines::z22_conference_request),
    ("z23_tokens", tokens::z23_tokens),
    ("z24_focus", machines::z24_focus),
    ("z26_configuration", config::z26_configuration),
    ("z29_addresses", wire::z29_addresses),
    ("z30_sasl", wire::z30_sasl),
    ("z31_extensions", media::z31_extensions),
    ("z32_hocon", foreign::z32_hocon),
    ("z33_lua", foreign::z33_lua),
    ("z34_turn", turn::z34_turn),
    ("z35_nginx", foreign::z35_nginx),
    ("z36_lua_patterns", tokens::z36_lua_patterns),
    ("z37_inside", inside::z37_inside),
];
