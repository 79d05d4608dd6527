//! Every bound of the bridge outside [`crate::media`]: what it limits, why this value, what it can cost.

use std::time::Duration;

/// Conferences on one shard. Upstream has no limit; memory per empty conference is below 4 KiB, so 20 MiB.
pub const MAX_CONFERENCES: usize = 5_000;

/// Endpoints on one shard. A shard is one core, which forwards for some hundred endpoints; the limit only keeps a
/// broken focus from filling the memory. About 60 KiB each once connected, so 600 MiB.
pub const MAX_ENDPOINTS: usize = 10_000;

/// Endpoints in one conference: twice the 500 upstream recommends as the most.
pub const MAX_ENDPOINTS_PER_CONFERENCE: usize = 1_000;

/// Endpoint entries in one `conference-modify` (any number may be expired or muted together).
pub const MAX_ENDPOINTS_PER_REQUEST: usize = 2_000;

/// Bytes of an endpoint id. Jitsi's are 8; MUC nicknames chosen by hand may be longer.
pub const MAX_ID_LEN: usize = 128;

/// Bytes of a remote `ufrag` or `pwd` (RFC 8839 §5.4 allows 256).
pub const MAX_ICE_CREDENTIAL_LEN: usize = 256;

/// Remote candidates taken from signalling per endpoint; more are counted and ignored. Browsers send up to 15.
pub const MAX_REMOTE_CANDIDATES: usize = 32;

/// Candidate pairs the ICE agent keeps per endpoint (its default is 100).
pub const MAX_CANDIDATE_PAIRS: usize = 64;

/// Remote addresses bound to one endpoint at once. A client has a handful; a symmetric NAT adds some.
/// Two table entries of 64 bytes each.
pub const MAX_BOUND_ADDRESSES: usize = 16;

/// New remote addresses one endpoint may bring in its life (each costs the ICE agent about 300 bytes for good).
/// A roaming phone brings some dozens a day.
pub const MAX_ADDRESSES_EVER: u32 = 512;

/// Fingerprints remembered per endpoint; a client signals one, upstream knows four hash functions.
pub const MAX_FINGERPRINTS: usize = 8;

/// Own checks whose answer may come from an address not yet bound: 28 bytes each, oldest dropped.
pub const MAX_PENDING_CHECKS: usize = 8_192;

/// DTLS datagrams kept per endpoint until the role and fingerprint are known. Upstream: 50.
pub const MAX_EARLY_DTLS: usize = 12;

/// Fresh starts of a DTLS handshake that failed before it authenticated anybody (a forged record can fail it).
pub const MAX_DTLS_RESTARTS: u32 = 8;

/// Largest datagram accepted; what an Ethernet carries. Larger ones are counted and dropped.
pub const MAX_DATAGRAM: usize = 1_500;

/// Largest datagram sent for DTLS records, as upstream (1500 − 84 − 8 is its bound; smaller passes more tunnels).
pub const DTLS_MTU: usize = 1_200;

/// Payload of one SCTP DATA chunk; with SCTP, DTLS and UDP headers below 1,250 bytes.
pub const SCTP_MAX_PAYLOAD: u32 = 1_124;

/// Streams accepted per association. Jitsi uses one channel; browsers number them 0, 2, 4 …
pub const SCTP_MAX_STREAMS: u16 = 64;

/// Largest message on a bridge channel, either direction. The largest real ones are source maps of big
/// conferences (about 30 KiB); upstream's SCTP stack stops at 256 KiB.
pub const MAX_CHANNEL_MESSAGE: usize = 64 * 1024;

/// Bytes an SCTP association may hold for reassembly: four of the largest messages.
pub const SCTP_RECEIVE_BUFFER: u32 = 256 * 1024;

/// Bytes queued towards one endpoint's data channel before further messages are dropped and counted.
/// Upstream: 1024 messages.
pub const MAX_CHANNEL_BACKLOG: usize = 256 * 1024;

/// Client messages relayed per second and endpoint (burst: the same number); more are dropped and counted.
/// A client sends a few per second at most; one costs a copy for every other participant.
pub const MAX_CHANNEL_MESSAGES_PER_SECOND: u32 = 50;

/// Events waiting for the shell. It polls after every input, so that this many from one input is a bug.
pub const MAX_EVENTS: usize = 65_536;

/// Open WebSockets per endpoint: a new one replaces the old one (bridge §3.5).
pub const MAX_WEB_SOCKETS_PER_ENDPOINT: usize = 1;

/// How often expiry is looked at (`entity-expiration.check-interval`).
pub const EXPIRY_CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// Endpoint without any activity for this long expires (`entity-expiration.timeout`).
pub const ENDPOINT_INACTIVITY: Duration = Duration::from_secs(60);

/// Endpoint that never was active expires this long after its creation (fixed upstream).
pub const ENDPOINT_NEVER_ACTIVE: Duration = Duration::from_secs(120);

/// An empty conference expires this long after its creation, as upstream: its first endpoint comes with the next request.
pub const EMPTY_CONFERENCE: Duration = Duration::from_secs(20);

/// `ep-connection-status.first-transfer-timeout`, as upstream.
pub const FIRST_TRANSFER_TIMEOUT: Duration = Duration::from_secs(15);

/// `ep-connection-status.max-inactivity-limit`, as upstream.
pub const MAX_INACTIVITY: Duration = Duration::from_secs(8);

/// How often the connectivity status is looked at, as upstream (`ep-connection-status.check-interval`).
pub const CONNECTIVITY_INTERVAL: Duration = Duration::from_millis(500);

/// No answer to a consent check for this long: nothing is sent any more (RFC 7675 §5.1).
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);

/// The whole DTLS handshake (bridge §3.2).
pub const DTLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// No bridge channel this long after DTLS: counted, nothing else.
pub const NO_CHANNEL_DELAY: Duration = Duration::from_secs(30);

/// Number of endpoints up to which `EndpointStats` go to everybody (`stats-filter-threshold`).
pub const STATS_FILTER_THRESHOLD: usize = 20;
