//! Every bound of the bridge outside [`crate::media`]: what it limits, why this value, what it can cost.

use std::time::Duration;

use budget::Rate;

/// Conferences on one shard. Upstream has no limit; memory per empty conference is below 4 KiB, so 20 MiB.
pub const MAX_CONFERENCES: usize = 5_000;

/// Endpoints on one shard. A shard is one core, which forwards for some hundred endpoints; the limit only keeps a
/// broken focus from filling the memory. About 60 KiB each once connected, so 600 MiB.
pub const MAX_ENDPOINTS: usize = 10_000;

/// Endpoints in one conference, or in one part of it: twice the 500 upstream recommends as the most.
pub const MAX_ENDPOINTS_PER_CONFERENCE: usize = 1_000;

/// Kinds of clients, by their codecs, that a part of a conference that begins later is told of. Reason: there are some ten; a few kB each.
pub const MAX_PART_MEDIA: usize = 64;

/// Sockets that wait to be a relay's own: one set for the next relay, and one in case two come before there is another.
pub const SPARE_SOCKETS: usize = 2;

/// Endpoint entries in one `conference-modify` (any number may be expired or muted together).
pub const MAX_ENDPOINTS_PER_REQUEST: usize = 2_000;

/// Services outside that hear one conference. Reason: a transcriber, a recorder and a translator, and one that is being replaced.
pub const MAX_SERVICES_PER_CONFERENCE: usize = 4;

/// Services outside of all conferences on one shard. Reason: each is a connection; one costs about as much as an endpoint that only
/// listens, and a shard carries some hundred of those.
pub const MAX_SERVICES: usize = 256;

/// Bytes of an endpoint id. Jitsi's are 8; MUC nicknames chosen by hand may be longer.
pub const MAX_ID_LEN: usize = 128;

/// Bytes of a remote `ufrag` or `pwd` (RFC 8839 §5.4 allows 256).
pub const MAX_ICE_CREDENTIAL_LEN: usize = 256;

/// Addresses of this machine media is received on; each is a candidate for every endpoint.
pub const MAX_LOCAL_ADDRESSES: usize = 64;

/// Remote candidates taken from signalling per endpoint; more are counted and ignored. Browsers send up to 15.
pub const MAX_REMOTE_CANDIDATES: usize = 32;

/// Candidate pairs the ICE agent keeps per endpoint (its default is 100).
pub const MAX_CANDIDATE_PAIRS: usize = 64;

/// Remote addresses bound to one endpoint at once. A client has a handful; a symmetric NAT adds some.
/// Two table entries of 64 bytes each.
pub const MAX_BOUND_ADDRESSES: usize = 16;

/// New remote addresses from which one endpoint may answer a check in its life (each costs the ICE agent about 300 bytes
/// for good). A roaming phone brings some dozens a day. Requests that nobody answered for do not count: they can be
/// replayed from any address.
pub const MAX_ADDRESSES_EVER: u32 = 512;

/// New remote addresses an endpoint may claim with a request: so many at once, then one every ten seconds. Each costs the
/// ICE agent 300 bytes for good, so at most 2.6 MB a day for one endpoint under attack all day; a client that changes
/// networks claims one to eight.
pub const ADDRESS_CLAIMS: Rate = Rate::new(64, 1, Duration::from_secs(10));

/// Claims remembered per endpoint, so that a replayed one brings nothing, and so that an answer to one is noticed:
/// 12 and 64 bytes each.
pub const CLAIMS_REMEMBERED: usize = 64;

/// Fingerprints remembered per endpoint; a client signals one, upstream knows four hash functions.
pub const MAX_FINGERPRINTS: usize = 8;

/// Own checks whose answer may come from an address not yet bound: 28 bytes each, oldest dropped.
pub const MAX_PENDING_CHECKS: usize = 8_192;

/// DTLS datagrams kept per endpoint until the role and fingerprint are known. Upstream: 50.
pub const MAX_EARLY_DTLS: usize = 12;

/// Fresh starts of a DTLS handshake that failed before it authenticated anybody (a forged record can fail it).
pub const MAX_DTLS_RESTARTS: u32 = 8;

/// Handshakes tried side by side for one endpoint that is the DTLS client: one for each ClientHello, as only the
/// certificate tells which of them is not forged. Some 30 kB each until the first is complete.
pub const MAX_DTLS_ATTEMPTS: usize = 3;

/// Further ClientHellos of one endpoint that start a handshake of their own. Each costs a signature: 0.1 ms.
pub const DTLS_HELLOS: Rate = Rate::per_second(8, 1);

/// Endpoints of a shard whose handshake is under way; others wait for their turn. 100 MB at the worst.
pub const MAX_HANDSHAKES: usize = 1_024;

/// Of these, endpoints behind one address: more than two classes and a care home that join in the same moment.
pub const MAX_HANDSHAKES_PER_ADDRESS: usize = 512;

/// Largest datagram accepted; what an Ethernet carries. Larger ones are counted and dropped.
pub const MAX_DATAGRAM: usize = 1_500;

/// Largest datagram sent for DTLS records, as upstream (1500 − 84 − 8 is its bound; smaller passes more tunnels).
pub const DTLS_MTU: usize = 1_200;

/// Payload of one SCTP DATA chunk; with SCTP, DTLS and UDP headers below 1,250 bytes.
pub const SCTP_MAX_PAYLOAD: u32 = 1_124;

/// Streams accepted per association. Jitsi uses one channel; browsers number them 0, 2, 4 …
pub const SCTP_MAX_STREAMS: u16 = 64;

/// Largest message on a bridge channel, either direction: what the clients' SDP says, and where upstream's SCTP stack
/// stops. A client's own stack refuses to send more.
pub const MAX_CHANNEL_MESSAGE: usize = jitsi_xmpp::limits::MAX_CHANNEL_MESSAGE_BYTES;

/// Bytes an SCTP association may hold for reassembly: the largest message and the beginning of the next.
pub const SCTP_RECEIVE_BUFFER: u32 = 320 * 1024;

/// Bytes handed to one endpoint's data channel ahead of its acknowledgements; the rest waits in its mailbox, where state
/// is replaced by newer state. One message of the largest size may go beyond.
pub const CHANNEL_WINDOW: usize = 64 * 1024;

/// Bytes of other clients' messages waiting for one endpoint; the oldest are dropped and counted. Upstream: 1024 messages.
/// The texts are shared by all who wait for them.
pub const MAILBOX_CHATTER: usize = 512 * 1024;

/// States waiting for one endpoint: one for every other endpoint of the largest conference, and what else there is.
/// About 100 bytes each.
pub const MAILBOX_STATE: usize = 1_200;
const _: () = assert!(MAILBOX_STATE > crate::media::limits::MAX_ENDPOINTS_PER_RELAY);

/// Slots in a source map that waits: twice as many as one medium has. About 150 bytes each.
pub const MAX_MAPPINGS_WAITING: usize = 100;

/// Messages of one client on its bridge channel: so many at once, then so many per second. More are dropped and counted.
/// A client sends a few per second; with end-to-end encryption one to each other participant when somebody joins or
/// leaves.
pub const CHANNEL_MESSAGES: Rate = Rate::per_second(300, 100);

/// Bytes one client may send to others on the bridge channel: so many at once, then so many per second. What it may
/// send at once fits into everybody's mailbox.
pub const CHANNEL_RELAYED_BYTES: Rate = Rate::per_second(512 * 1024, 64 * 1024);

/// Messages of one other bridge: of all participants behind it, and what it wants of those here. More are dropped and
/// counted.
pub const RELAY_MESSAGES: Rate = Rate::per_second(8_000, 2_000);

/// Bytes one other bridge may pass on to participants here: statistics of 500 every 10 s are 50 kB a second.
pub const RELAY_RELAYED_BYTES: Rate = Rate::per_second(4 * 1024 * 1024, 1024 * 1024);

/// Events waiting for the shell. It polls after every input, so that this many from one input is a bug.
pub const MAX_EVENTS: usize = 65_536;

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

/// How often the connectivity status is looked at, as upstream (`ep-connection-status.check-interval`). Not a bound: an
/// interval.
pub const CONNECTIVITY_INTERVAL: Duration = Duration::from_millis(500);

/// Nothing of a peer over the way that is used for this long, and media over another: ours goes there, too. Sound and pictures come every
/// 20 ms, reports of who only listens every 100 ms; a way that is used is not this silent.
pub const PATH_SILENCE: Duration = Duration::from_millis(500);

/// No answer to a consent check for this long: nothing is sent any more (RFC 7675 §5.1).
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);

/// An ICE restart that has not found the peer after this is given up, and the old pair stays, as upstream (`ice.restart.timeout`).
/// Memory of one more agent until then.
pub const ICE_RESTART_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the agent before an ICE restart still answers, as upstream (`ice.restart.transition-window`).
pub const ICE_RESTART_TRANSITION: Duration = Duration::from_secs(3);

/// The whole DTLS handshake (bridge §3.2).
pub const DTLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// A peer that leaves this long after its handshake began, without one, counts as failed: whoever cannot agree with us gives up
/// earlier than we do, and whoever only leaves in between is faster.
pub const DTLS_SLOW: Duration = Duration::from_secs(5);

/// No bridge channel this long after DTLS: counted, nothing else.
pub const NO_CHANNEL_DELAY: Duration = Duration::from_secs(30);

/// Number of endpoints up to which `EndpointStats` go to everybody (`stats-filter-threshold`).
pub const STATS_FILTER_THRESHOLD: usize = 20;

/// Bytes of the address of another bridge's channel. Reason: a domain, three ids and a password; one for each relay.
pub const MAX_RELAY_URL: usize = 1_024;

/// Conferences in one shard's answer of `/debug`. Reason: more is read by nobody. About 150 bytes each.
pub const DEBUG_CONFERENCES: usize = 1_000;

/// Endpoints in one shard's answer of `/stats`; conferences that do not fit are left out. Reason: a thread that carries media writes
/// them, some ten microseconds each. About 1 kB each.
pub const STATISTICS_ENDPOINTS: usize = 300;

/// From this load on fewer pictures are sent, where that is wanted; 1 = all that the bridge can do. As upstream.
pub const REDUCE_FROM: f64 = 1.0;

/// Below this load more are sent again. As upstream: 0.72 of 0.9, and 40,000 of 50,000 packets.
pub const RECOVER_BELOW: f64 = 0.8;

/// Between two such steps, as upstream (`load-reducers.last-n.impact-time`).
pub const LOAD_STEP: Duration = Duration::from_secs(60);

/// From so many pictures on the load limits nobody any more, as upstream (`maximum-enforced-last-n-value`).
pub const MOST_REDUCED_LAST_N: u32 = 40;
