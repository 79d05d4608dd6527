//! Every bound of this crate: what it limits, why this value, what it can cost.

/// SSRCs one [`crate::Receiver`] remembers, separately for RTP and RTCP; the least recently used one goes first.
///
/// Only authenticated packets create an entry, so only the peer itself can fill the table. A client sends a
/// handful at a time, but a long meeting with many screen shares goes through hundreds. Upstream: 1024.
/// Worst case 2 × 1024 × 48 bytes = 96 KiB per endpoint.
pub const MAX_SSRCS: usize = 1024;

/// SSRCs one [`crate::Sender`] sends with in its life; packets of further ones are refused. Nothing is forgotten, as a
/// forgotten index could be used again.
///
/// Upstream keeps 1024 and forgets. Twice that lasts for some 680 participants who come and go with camera and
/// microphone, each with SSRCs of their own. Worst case 2048 × 104 bytes = 208 KiB per endpoint, usually some 5 KiB.
pub const MAX_SENT_SSRCS: usize = 2048;

/// The same of both towards another bridge, which carries what all participants of a conference send: a thousand with camera
/// and microphone. Worst case 8,192 × (104 + 2 × 48) bytes = 1.6 MiB per relay.
pub const MAX_RELAYED_SSRCS: usize = 8192;

/// How far behind the newest a packet may still be sent for the first time: 1.8 s of a full camera, more than a packet
/// that was lost on its way to us is waited for. A multiple of 64.
pub const SEND_WINDOW: u64 = 512;

/// Packets behind the newest one that are still accepted once each (RFC 3711 §3.3.2 asks for at least 64).
pub const REPLAY_WINDOW: u64 = 128;

/// First packet index that must not be used with the same key any more (RFC 3711 §9.2: 2^48 packets).
pub const RTP_INDEX_END: u64 = 1 << 48;

/// First SRTCP index that must not be used with the same key any more (31 bits, RFC 3711 §3.4).
pub const RTCP_INDEX_END: u32 = 1 << 31;
