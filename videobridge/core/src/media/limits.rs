//! Every bound of the media part, with its reason and the worst-case memory it allows.

/// Media sources (audio and video) one endpoint may announce; more are ignored. Upstream's focus allows 20 SSRCs
/// per sender; a source has at least one.
pub const MAX_SOURCES_PER_ENDPOINT: usize = 20;

/// SSRCs (primaries, RTX, FEC) one endpoint may announce: 20 sources × 3 encodings × 2 would be 120; Jitsi's
/// clients use at most 14. One entry is below 200 bytes.
pub const MAX_SSRCS_PER_ENDPOINT: usize = 64;

/// Simulcast encodings per source: what browsers send and what the layer index of upstream can hold.
pub const MAX_ENCODINGS: usize = 3;

/// Packets remembered per encoding for retransmission (upstream: 500 per SSRC). A power of two.
/// 512 × 48 bytes × 3 encodings = 74 KB of index per video source.
pub const HISTORY_PACKETS: u64 = 512;

/// Bytes of packets remembered per video source, shared by all receivers: 1.1 s of a full three-layer camera
/// (2.7 Mbit/s). Freed after [`HISTORY_IDLE_SECS`] without a packet.
pub const HISTORY_BYTES: usize = 384 * 1024;

/// Seconds without packets after which a source's history is freed (upstream: 15).
pub const HISTORY_IDLE_SECS: u64 = 15;

/// Sequence numbers missing at once per encoding for which retransmission is asked; a larger jump resets
/// (upstream: 100).
pub const MAX_MISSING: usize = 100;

/// Requests for one missing packet (upstream: 10).
pub const MAX_NACKS_PER_PACKET: u8 = 10;

/// Sequence numbers remembered per SSRC to drop duplicates (upstream: 1500); a multiple of 64.
/// 256 bytes per SSRC.
pub const DUPLICATE_WINDOW: usize = 2048;

/// Packets not yet reported in transport-wide feedback, per endpoint: 24 KB. At 100 ms this is 10,000 packets/s.
pub const ARRIVALS: usize = 1024;

/// Sent packets remembered per receiver to match transport-wide feedback: 32 KB, 1 s at 2,000 video packets/s.
pub const SENT_HISTORY: usize = 2048;

/// Stream switches remembered per outgoing stream, to answer NACKs for packets sent before a switch.
/// 8 × 64 bytes per stream.
pub const EPOCHS: usize = 8;

/// Retransmissions remembered per outgoing stream to not repeat one within a round trip: the oldest is forgotten.
/// 24 bytes each.
pub const RESENT: usize = 32;

/// Sequence numbers honoured of one NACK packet; a browser asks for at most about 250.
pub const MAX_NACKED_PER_PACKET: usize = 300;

/// SSRCs one receiver is sent in its life, of slots whose owners left included: what SRTP's sender keeps, less a few for
/// the bridge's own. When all are used up (some 680 participants came and went), slots get the SSRCs of those who left
/// first. 16 bytes each.
pub const MAX_SSRCS_PER_RECEIVER: usize = videobridge_srtp::limits::MAX_SENT_SSRCS - 16;

/// SSRC slots per receiver when SSRC rewriting is on (upstream: `ssrc-limit.{audio,video}` = 50).
pub const SSRC_SLOTS: usize = 50;

/// Entries of `constraints`, `onStageSources`, `selectedSources`, `include`, `exclude` honoured of one client
/// message; the rest is ignored. About 100 bytes each.
pub const MAX_NAMES_PER_MESSAGE: usize = 500;

/// Video types announced for sources that are not signalled yet, remembered per endpoint.
pub const MAX_EARLY_VIDEO_TYPES: usize = 8;

/// Sent sender reports remembered per receiver to compute the round-trip time: 32 × 16 bytes.
pub const SENT_REPORTS: usize = 32;

/// Report blocks per receiver report: the count field has 5 bits.
pub const MAX_REPORT_BLOCKS: usize = 31;

/// Sequence numbers of dropped padding and silence remembered per SSRC to close the gaps they leave; packets that
/// overlap by more are not seen. Below 1 KB per SSRC.
pub const CLOSED_GAPS: usize = 64;

/// Bytes of a rewritten RTP header, extensions included. Elements that do not fit are left out.
pub const MAX_HEADER: usize = 256;

/// Bytes of one RTCP compound packet: below every path's MTU.
pub const MAX_RTCP: usize = 1200;
