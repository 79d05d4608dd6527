//! Every bound of the bridge's shell: what it limits, why this value, what it can cost.

use std::time::Duration;

/// Commands waiting for a media thread. Reason: a focus sends a handful per joining participant, and a thread takes
/// all that wait within a few turns. Worst case 1,024 × ~100 kB.
pub(crate) const COMMANDS: usize = 1024;

/// Events of a media thread waiting for the control plane: answers to the focus and news of conferences, never what
/// clients say. None is lost; with this many unsent no further commands are taken. Worst case 8,192 × ~10 kB.
pub(crate) const EVENTS: usize = 8192;

/// What clients say by WebSocket, waiting for a media thread; each socket waits for room here. Worst case 256 × 256 kB
/// per thread.
pub(crate) const FROM_CLIENTS: usize = 256;

/// WebSockets that wait for their thread's word at the same time; more are refused and come again.
pub(crate) const SOCKETS_OPENING: usize = 1024;

/// Failed conferences waiting to be told to the focus; who is not told finds out with its next request.
pub(crate) const FAILURES: usize = 1024;

/// Datagrams and notices waiting for a media thread from the others; beyond it datagrams are dropped, as everywhere in
/// the network. Worst case 512 × 1.5 kB per thread.
pub(crate) const FROM_PEERS: usize = 512;

/// Bytes, and packets, that go from one thread to another at once for conferences on several. Reason: a frame of fifty cameras; more would
/// wait longer than it saves. With [`FROM_PEERS`] bundles waiting 32 MiB per thread at the worst, when it has stood still for seconds.
pub(crate) const BUNDLE_BYTES: usize = 64 * 1024;
/// See [`BUNDLE_BYTES`].
pub(crate) const BUNDLE_PACKETS: usize = 128;

/// Emptied bundles that a thread keeps for the next. Reason: as many as are under way between two threads; 66 kB each.
pub(crate) const SPARE_BUNDLES: usize = 16;

/// Participants of a conference from whom on newcomers may get a part of it on another media thread. Reason: a gallery of a hundred
/// takes 0.6 of a core (docs/admin/operation.md), so those who follow need another one. The admin can choose another.
pub const SPREAD_ABOVE: usize = 100;

/// Packets of TCP connections waiting for a media thread; each connection waits for room here. Worst case 512 × 1.5 kB per thread.
pub(crate) const FROM_STREAMS: usize = 512;

/// Packets of connections per turn, as of other threads.
pub(crate) const STREAM_MESSAGES_PER_TURN: usize = 256;

/// TCP connections for media. Reason: people whose network lets nothing else out; one or two each. About 200 kB each at the worst,
/// which only participants bring about: to others nothing is sent but answers.
pub(crate) const STREAMS: usize = 1_024;

/// Of these, from one network: two classes behind one address, each with a connection that is left over.
pub(crate) const STREAMS_PER_NETWORK: usize = 256;

/// Wish for connections that the system holds until they are taken: a class begins at once. Not a bound: the system's own is.
pub(crate) const STREAM_BACKLOG: u32 = 256;

/// How long a connection may be there without its first packet, which names a user of ours: a browser sends it at once.
pub(crate) const STREAM_FIRST: Duration = Duration::from_secs(5);

/// How long it may be there before it has shown that it is a participant's. Reason: the focus may be slower than the client.
pub(crate) const STREAM_PROOF: Duration = Duration::from_secs(15);

/// Silence after which a connection is given up. Browsers send a check every 2.5 s at least.
pub(crate) const STREAM_IDLE: Duration = Duration::from_secs(30);

/// Packets that wait to be written to one connection; what comes then is dropped, as a router drops it. Half a second of video:
/// more would only be late. 192 kB at the worst.
pub(crate) const STREAM_OUT: usize = 128;

/// Wish for the system's send buffer of a connection, for the same reason; the system doubles it. Not a bound: the system's own is.
pub(crate) const STREAM_BUFFER: u32 = 64 * 1024;

/// Bytes from which on no further packet is added to one write: a call for each would cost more than the copy. One buffer for each
/// connection while it is written to.
pub(crate) const STREAM_WRITE: usize = 16 * 1024;

/// How long one write may take: a peer that does not read is gone.
pub(crate) const STREAM_STUCK: Duration = Duration::from_secs(10);

/// Receive calls per socket and turn of a media thread, so that a flood never starves timers and commands.
pub(crate) const BATCHES_PER_TURN: usize = 8;

/// How long what is ready to leave waits at most while more is read. Reason: packets of a frame that are read together leave as one
/// message for each receiver; nobody hears a fifth of a millisecond.
pub(crate) const HELD: Duration = Duration::from_micros(200);

/// Commands per turn, for the same reason the other way round.
pub(crate) const COMMANDS_PER_TURN: usize = 64;

/// Messages of other threads per turn; the rest waits for the next one, so that no thread starves its own sockets.
pub(crate) const PEER_MESSAGES_PER_TURN: usize = 256;

/// Media threads. Reason: shard numbers are part of ids, and more threads than this have never been measured.
pub(crate) const THREADS: usize = 64;

/// Longest wait for a shard's answer. A shard answers within one turn of its loop; the focus waits 15 s.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Colibri requests under way per link, answers that wait for the link included. Reason: one per conference; at most
/// ~10 kB each.
pub(crate) const COLIBRI_UNDER_WAY: usize = 1000;

/// Of these, by one focus: several may share a bridge.
pub(crate) const COLIBRI_UNDER_WAY_EACH: usize = 800;

/// Connections to XMPP servers. Reason: one for each shard of an installation whose bridges serve all of them; the largest known have a dozen.
pub(crate) const LINKS: usize = 32;

/// How long XMPP servers are asked to keep a bridge's session when its connection is lost. Reason: a killed bridge is gone then, and its
/// people are on another one; one that lives is back within 0.2 seconds.
pub const RESUME_WITHIN: Duration = Duration::from_secs(1);

/// Rooms of bridges on one connection. Reason: one is usual.
pub(crate) const ROOMS_PER_LINK: usize = 16;

/// How soon a full link is tried again with an answer: the focus waits for it. Not a bound: an interval.
pub(crate) const LINK_RETRY: Duration = Duration::from_millis(20);

/// Other stanzas that wait for a full link. Reason: answers to pings and the like; about 500 bytes each.
pub(crate) const LINK_BACKLOG: usize = 64;

/// How often the machine's addresses are looked at (one system call). Not a bound: an interval.
pub(crate) const ADDRESS_CHECK: Duration = Duration::from_secs(5);
/// How often one has to be missing to be gone: a renewed lease may take it away for a moment.
pub(crate) const ADDRESS_MISSES: u32 = 2;

/// How long new endpoints are shown the same DTLS certificate, as upstream. Not a bound: an interval.
pub(crate) const CERTIFICATE_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Addresses media is received on. Reason: one socket per thread each; a machine with docker has some dozens.
pub(crate) const MEDIA_ADDRESSES: usize = 64;

/// JSON bodies of the REST interface: a conference-modify with 500 sources is about 100 kB.
pub(crate) const REST_BODY: usize = 1 << 20;

/// Largest message taken from a WebSocket; a data channel may carry as much (client §6.1).
pub(crate) const SOCKET_MESSAGE: usize = 262_144;

/// What waits for one service outside; the rest is lost for it. Reason: upstream's; twenty seconds of one voice, three of six. Worst case
/// 1,024 × ~1.5 kB for each of 256 services on a shard.
pub(crate) const SERVICE_ORDERS: usize = 1024;

/// Streams whose numbers are remembered for one service; with one more all begin anew. 64 bytes each.
pub(crate) const SERVICE_STREAMS: usize = 1024;

/// Largest message taken from a service outside: a page of what was said.
pub(crate) const SERVICE_MESSAGE: usize = 65_536;

/// How long it may take to connect with a service. Not a bound: a wait.
pub(crate) const SERVICE_CONNECT: Duration = Duration::from_secs(10);

/// How long a service may take to take something; then it is left, and tried again. Not a bound: a wait.
pub(crate) const SERVICE_SEND: Duration = Duration::from_secs(5);

/// Between attempts to connect with a service: first and last, upstream's. Not a bound: an interval.
pub(crate) const SERVICE_RETRY_FIRST: Duration = Duration::from_secs(1);
/// See [`SERVICE_RETRY_FIRST`]. Not a bound: an interval.
pub(crate) const SERVICE_RETRY_LAST: Duration = Duration::from_secs(30);

/// A connection that lasted this long was a good one: attempts begin anew. Not a bound: upstream's measure.
pub(crate) const SERVICE_STABLE: Duration = Duration::from_secs(30);

/// Between two pings on a WebSocket (upstream's `keepalive-ping-interval`).
pub(crate) const SOCKET_PING: Duration = Duration::from_secs(15);

/// Silence after which a WebSocket is given up (upstream's `idle-timeout`).
pub(crate) const SOCKET_IDLE: Duration = Duration::from_secs(60);

/// How long a bridge that was asked to leave waits for people to leave. Reason: upstream's; a council sits for hours, not for days.
pub(crate) const LEAVES_AT_LATEST: Duration = Duration::from_secs(24 * 3600);

/// How long the focus has to move people to other bridges. Reason: upstream's.
pub(crate) const LEAVES_AFTER: Duration = Duration::from_mins(1);

/// How soon the kernel is told again which thread has which peer. Reason: telling it costs a media thread a fraction of a millisecond; until
/// then a newcomer's datagrams are handed over. Not a bound: an interval.
pub(crate) const STEER_AGAIN: Duration = Duration::from_millis(500);

/// The kernel takes a program for this many peers, or none. Not a bound: where trying ends.
pub(crate) const STEER_LEAST: usize = 64;
