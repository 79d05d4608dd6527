//! RTP payloads in, what a forwarding bridge must know of them out: frame borders, key frames, layers.
//!
//! One file per codec: [`vp8`] (RFC 7741). VP9 (RFC 9628), the AV1 dependency descriptor and H.264 belong beside it.

pub mod vp8;
