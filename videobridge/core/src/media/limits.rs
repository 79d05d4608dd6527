//! Every bound of the media part, with its reason and the worst-case memory it allows.

use std::time::Duration;

use budget::Rate;

/// Media sources (audio and video) one endpoint may announce; more are ignored. Upstream's focus allows 20 SSRCs
/// per sender; a source has at least one.
pub const MAX_SOURCES_PER_ENDPOINT: usize = 20;

/// SSRCs (primaries, RTX, FEC) one endpoint may announce: 20 sources × 3 encodings × 2 would be 120; Jitsi's
/// clients use at most 14. One entry is below 200 bytes.
pub const MAX_SSRCS_PER_ENDPOINT: usize = 64;

/// Simulcast encodings per source: what browsers send and what the layer index of upstream can hold.
pub const MAX_ENCODINGS: usize = 3;

/// Spatial and temporal layers told apart per encoding; browsers send three of each. Packets of others count towards those
/// that are known. 220 bytes each.
pub const MAX_LAYERS: usize = 12;

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

/// Packets that wait for one receiver's pacing: 500 ms at 10 Mbit/s. 96 bytes each, 48 KB.
pub const PACED_PACKETS: usize = 512;

/// Datagrams of speech kept per receiver to be sent again, where the link loses much by itself: what [`SPEAKERS_AGAIN`] send in the 25 ms
/// until the last time, and a train that came at once. A power of two. 32 × 528 bytes, 17 KB, while speech is sent again.
pub const SPEECH_KEPT: usize = 32;

/// Bytes of one of them, encrypted: 20 ms at 190 kbit/s. Longer ones (music, or with redundancy of their own) are sent once.
pub const MAX_SPEECH_DATAGRAM: usize = 512;

/// So many who spoke last are sent again. Microphones that are open send as much, whether somebody speaks or not.
pub const SPEAKERS_AGAIN: usize = 6;

/// How long, in microseconds, what waits for a receiver may take to be sent: a picture that is later is shown too late.
pub const PACED_US: u64 = 500_000;

/// Stream switches remembered per outgoing stream, to answer NACKs for packets sent before a switch.
/// 8 × 64 bytes per stream.
pub const EPOCHS: usize = 8;

/// Pictures of which it is remembered, per stretch of an outgoing stream, that they were left out: more than a stream has
/// in the time of [`HISTORY_PACKETS`]. A multiple of 64; with the packets 250 bytes per stretch that leaves something out.
pub const PICTURES_LEFT_OUT: u64 = 256;

/// Pictures remembered per receiver and source with what was decided about their layers, for packets that come late: one
/// second at 30 a second. 12 bytes each.
pub const PICTURES_DECIDED: usize = 32;

/// Frames remembered per receiver and source with whether they were sent, to see whether what refers to them can be
/// decoded: ids of AV1 and others. A multiple of 64; 3 spatial layers at 30 a second for 2.8 s.
pub const FRAMES_SENT: usize = 256;

/// Retransmissions remembered per outgoing stream to not repeat one within a round trip: as many as there are packets
/// in the history. 4 KB per stream, from the first retransmission on.
pub const RESENT: usize = HISTORY_PACKETS as usize;

/// RTP packets one endpoint may send: three encodings of a camera and a screen share of 10 Mbit/s are some 1,500 a
/// second. More is counted and dropped before anybody is sent a copy. The burst is what comes after a pause of 2 s.
/// Upstream has none.
pub const RTP_PER_ENDPOINT: Rate = Rate::per_second(8_000, 4_000);

/// Audio packets one endpoint may send: everybody hears them, so they cost most. A microphone sends 50 to 100 a second,
/// a translator one such stream per language. Upstream has none.
pub const AUDIO_PER_ENDPOINT: Rate = Rate::per_second(1_200, 600);

/// RTP packets one relay may bring, of all endpoints behind it: two hundred cameras with three encodings. Each endpoint's
/// own limits hold as well. Upstream has none.
pub const RTP_PER_RELAY: Rate = Rate::per_second(200_000, 100_000);

/// RTCP packets one relay may bring: reports of all endpoints behind it, and what is asked of all endpoints here.
pub const RTCP_PER_RELAY: Rate = Rate::per_second(40_000, 20_000);

/// Bytes one relay may be sent again: what all receivers behind it wait for. A tenth of 300 Mbit/s.
pub const RETRANSMITTED_BYTES_PER_RELAY: Rate = Rate::per_second(8 * 1024 * 1024, 4 * 1024 * 1024);

/// Key frames of one source that one relay may ask for within 10 s, for all receivers behind it: ten times what one
/// receiver may.
pub const KEY_FRAME_REQUESTS_OF_RELAY: usize = 30;

/// Relays of one conference: more bridges than any region has. About 5 KiB each, and what its endpoints take.
pub const MAX_RELAYS_PER_CONFERENCE: usize = 32;

/// Endpoints behind one relay: as many as one conference can have here. About 5 KiB each, and 100 KiB for each camera.
pub const MAX_ENDPOINTS_PER_RELAY: usize = 1_000;

/// RTCP packets honoured of one compound; browsers put in fewer than ten.
pub const MAX_RTCP_PER_COMPOUND: usize = 32;

/// RTCP packets one endpoint may send, each of a compound counted: a browser that gets 50 pictures over a bad link asks
/// up to 50 times a second for packets of each. Upstream has none.
pub const RTCP_PER_ENDPOINT: Rate = Rate::per_second(4_000, 2_000);

/// Entries honoured of one full intra request: a client sends one for each picture that it cannot show.
pub const MAX_FIR_ENTRIES: usize = 8;

/// Packets one endpoint may report on in transport-wide feedback: 20 Mbit/s are some 2,500 packets a second, each
/// reported once or twice; the burst is the first report after 10 s without a link. A packet of 40 bytes can claim
/// 65,535, and each costs a look into the history. Upstream has none.
pub const FEEDBACK_STATUSES: Rate = Rate::per_second(32_768, 8_192);

/// Bytes one receiver may be sent again: a tenth of 20 Mbit/s. A NACK of 100 bytes asks for up to 360,000. Upstream has
/// none, but repeats no packet within a round trip.
pub const RETRANSMITTED_BYTES: Rate = Rate::per_second(512 * 1024, 256 * 1024);

/// Sender reports of one encoding passed on, each to all its receivers; browsers send one a second at most.
pub const SENDER_REPORTS: Rate = Rate::per_second(5, 5);

/// How often one receiver gets another allocation because of what it says itself. What comes in between is joined: the
/// last one counts, at most 50 ms later. Upstream allocates at every message.
pub const ALLOCATIONS_PER_RECEIVER: Rate = Rate::per_second(20, 20);

/// How often everybody is allocated anew because of what one sender does (layers that start and stop, goodbyes, kinds of
/// video). What comes in between is joined. The burst is a camera and a screen share that start and change size.
pub const ALLOCATIONS_OF_ALL_PER_SENDER: Rate = Rate::per_second(20, 2);

/// Key frames the bridge asks for on its own for one receiver of one source within 10 s: when it starts, switches, or
/// had no link; after that one a second, as nobody else asks in its place. Twice and a half what the receiver may ask for
/// (upstream: both together 3).
pub const OWN_KEY_FRAME_REQUESTS: usize = 8;

/// How often everything a receiver gets is refreshed after an outage: each costs all its senders a key frame.
pub const REFRESHES: Rate = Rate::new(2, 1, Duration::from_secs(3));

/// Sequence numbers honoured of one NACK packet; a browser asks for at most about 250.
pub const MAX_NACKED_PER_PACKET: usize = 300;

/// SSRCs one receiver is sent in its life, of slots whose owners left included: what SRTP's sender keeps, less a few for
/// the bridge's own. When all are used up (some 680 participants came and went), slots get the SSRCs of those who left
/// first. 16 bytes each.
pub const MAX_SSRCS_PER_RECEIVER: usize = videobridge_srtp::limits::MAX_SENT_SSRCS - 16;

/// SSRC slots per receiver when SSRC rewriting is on (upstream: `ssrc-limit.{audio,video}` = 50).
pub const SSRC_SLOTS: usize = 50;

/// Entries of `constraints`, `include`, `exclude` honoured of one client message; the rest is ignored. At most
/// 160 bytes each, so 80 KB per list and receiver.
pub const MAX_NAMES_PER_MESSAGE: usize = 500;

/// Entries of `onStageSources` and `selectedSources` honoured: each is looked for among all sources, and no receiver has
/// more than [`SSRC_SLOTS`] pictures.
pub const MAX_STAGE_NAMES: usize = SSRC_SLOTS;

/// Sizes of conferences with a number of pictures of their own: upstream's example has four.
pub const MAX_LAST_N_SIZES: usize = 64;

/// Bytes of a source name in a client message; an endpoint id has at most 128, and a suffix. Longer ones are ignored.
pub const MAX_NAME_LEN: usize = 160;

/// Wishes of another bridge for sources that are not signalled here yet, remembered per relay. Reason: the focus tells two bridges of a
/// source one after the other, so a few are on their way at once.
pub const MAX_EARLY_WISHES: usize = 32;

/// Video types announced for sources that are not signalled yet, remembered per endpoint.
pub const MAX_EARLY_VIDEO_TYPES: usize = 8;

/// Sent sender reports remembered per receiver to compute the round-trip time: 32 × 16 bytes.
pub const SENT_REPORTS: usize = 32;

/// So often another bridge is told once more what is wanted of a source of which nothing came. A camera that is switched off sends
/// nothing either.
pub const WISH_REPEATS: u8 = 3;

/// Report blocks per receiver report: the count field has 5 bits.
pub const MAX_REPORT_BLOCKS: usize = 31;

/// Sequence numbers of dropped padding and silence remembered per SSRC to close the gaps they leave; packets that
/// overlap by more are not seen. Below 1 KB per SSRC.
pub const CLOSED_GAPS: usize = 64;

/// Bytes of a rewritten RTP header, extensions included. Elements that do not fit are left out.
pub const MAX_HEADER: usize = 256;

/// Bytes of one RTCP compound packet: below every path's MTU.
pub const MAX_RTCP: usize = 1200;
