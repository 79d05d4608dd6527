//! Every bound of this crate: what it limits, why this value, what it can cost.

/// SSRCs one [`crate::Receiver`] remembers, separately for RTP and RTCP; the least recently used one goes first.
///
/// Only authenticated packets create an entry, so only the peer itself can fill the table. A client sends a
/// handful at a time, but a long meeting with many screen shares goes through hundreds. Upstream: 1024.
/// Worst case 2 × 1024 × 48 bytes = 96 KiB per endpoint.
pub const MAX_SSRCS: usize = 1024;

/// Packets behind the newest one that are still accepted once each (RFC 3711 §3.3.2 asks for at least 64).
pub const REPLAY_WINDOW: u64 = 128;

/// First packet index that must not be used with the same key any more (RFC 3711 §9.2: 2^48 packets).
pub const RTP_INDEX_END: u64 = 1 << 48;

/// First SRTCP index that must not be used with the same key any more (31 bits, RFC 3711 §3.4).
pub const RTCP_INDEX_END: u32 = 1 << 31;
