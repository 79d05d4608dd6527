//! Every bound of the focus: what a peer sends comes in, what may be kept of it goes out. Each limit has its
//! default, its reason and what it costs at worst.

use std::time::Duration;

use budget::Rate;

/// Conferences at once. Reason: as many as the XMPP server has rooms; a region has thousands. About 4 KiB each without
/// members.
pub const CONFERENCES: usize = 10_000;
/// Rooms in which fewer than two are, opened over XMPP, and as many over HTTP. Reason: far more than wait for company at
/// a time, and more than the 2,000 sessions of one address can open. From half of it on there is ever less for each.
pub const LONELY_ROOMS: usize = 6_000;
/// Of those, opened by one account. Reason: a client needs one, and one for each breakout room it looks into.
pub const ROOMS_PER_ACCOUNT: usize = 10;
/// Of those, opened over HTTP from one network. Reason: 200 tablets behind one NAT, each the first in its room, twice.
pub const ROOMS_PER_NETWORK: usize = 500;
/// Members followed in one room; further ones are ignored. Reason: the largest room upstream supports has 500
/// senders and some hundred listeners. About 8 KiB each with a session.
pub const MEMBERS_PER_CONFERENCE: usize = 2_000;
/// Viewers of one room. Reason: above what a bridge carries. About 8 KiB each with a session.
pub const VIEWERS_PER_CONFERENCE: usize = 10_000;
/// People of one room after whom who comes watches. Upstream's `visitors.max-participants`.
pub const MAX_PARTICIPANTS: usize = 50;
/// Viewers of one room, where nobody says how many. Upstream: 500, because a server of theirs takes no more.
pub const MAX_VIEWERS: usize = 2_000;
/// How often everybody is told how many watch. As upstream.
pub const VISITOR_COUNT: Duration = Duration::from_secs(15);
/// How long somebody who was told to watch takes a place before it is there. As upstream.
pub const VIEWER_JOIN: Duration = Duration::from_secs(60);
/// Requests that wait for one room to be joined. Reason: a class clicks at once. About 300 bytes each.
pub const WAITING_REQUESTS: usize = 500;
/// Bridges in the registry. About 500 bytes each.
pub const BRIDGES: usize = 500;
/// People who came to one bridge lately and are remembered, each for the load that it has not published yet. Reason: as many would fill the
/// largest bridge within its ramp-up. 16 bytes each.
pub const ADDED_LATELY: usize = 10_000;
/// People moved off a draining bridge within [`EMPTYING`], where that is wanted. Reason: each is a new session, and a bridge makes a
/// hundred in a second without anybody on it noticing.
pub const MOVED_AT_ONCE: usize = 20;
/// See [`MOVED_AT_ONCE`].
pub const EMPTYING: Duration = Duration::from_secs(1);
/// Rooms that an admin has bound to a version of the bridges. Reason: it is for trying a version out. About 300 bytes each.
pub const PINS: usize = 1_000;
/// For how long at most. Reason: a pin that nobody remembers leaves a room without media when its version is gone.
pub const PIN_LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// Bridges of one conference; beyond it people share those that are there. Reason: each is linked to each, and 32 carry more than
/// the largest room. About 1 KiB for each of the 496 links, and 50 bytes for each participant on each other bridge.
pub const BRIDGES_PER_CONFERENCE: usize = 32;
/// People told to another bridge in one request; the rest follows in further ones. Reason: what the other has to do for one request. Beside it
/// [`SOURCES_BYTES`] counts.
pub const RELAY_ENDPOINTS: usize = 20;
/// How often a relay may fail within [`RELAY_WINDOW`] before its bridge is left. Reason: what a second attempt does not mend a third
/// does not either, and people hear each other only in part meanwhile.
pub const RELAY_FAILURES: u32 = 2;
/// See [`RELAY_FAILURES`].
pub const RELAY_WINDOW: Duration = Duration::from_secs(60);
/// A bridge that refused a relay gets none for so long. Reason: it is a matter of its configuration, which an admin changes with a
/// restart.
pub const RELAY_REFUSED: Duration = Duration::from_secs(300);
/// Feature sets remembered by entity capabilities. Reason: one per client build. About 2 KiB each.
pub const CAPS_CACHE: usize = 1_000;
/// Features read from one disco#info answer. Reason: clients send 25.
pub const FEATURES: usize = 256;
/// SSRCs of one participant (`max-ssrcs-per-user`). Two cameras and a screen share, all with simulcast, need 13
/// to 18.
pub const SSRCS_PER_PARTICIPANT: usize = 20;
/// SSRC groups of one participant (`max-ssrc-groups-per-user`).
pub const GROUPS_PER_PARTICIPANT: usize = 20;
/// Bytes of a source name, msid, stats id, region. Reason: longest seen is an msid of about 90.
pub const TEXT: usize = 256;
/// SSRCs, and as many msids, that stay somebody's for as long as they are in the room, also after they took them away. Reason: twice what one may
/// have at a time: a camera that goes off comes back with the same. About 5 KiB each at the worst.
pub const SOURCES_REMEMBERED: usize = 40;
/// Bytes of sources in one message to a client, or to a bridge about another one; what is beyond follows in further ones, and one participant's are
/// never divided. Reason: XMPP servers take stanzas of 256 KiB, and who sends one that is larger loses its connection; one participant's are 60 KB at
/// the very worst.
pub const SOURCES_BYTES: usize = 100_000;
/// Bytes of the id of a request; longer ones are not answered. Reason: an answer repeats it, and ids have 40 bytes; as above.
pub const REQUEST_ID: usize = 1_024;
/// Bytes of an order to dial, as it is passed on to a gateway. Reason: it has a number and the room's name; as above.
pub const DIAL: usize = 16 * 1024;
/// ICE candidates taken from one transport. Reason: hosts with many interfaces send 20.
pub const CANDIDATES: usize = 64;
/// Fingerprints taken from one transport. Reason: one for each hash that a peer knows, of which there are six.
pub const FINGERPRINTS: usize = 8;
/// Sources of its own taken from one answer of a bridge. Reason: a bridge has one of each medium, and each may have another one. About 300 bytes
/// each, in every offer.
pub const FEEDBACK_SOURCES: usize = 4;
/// Addresses of bridge channels taken from one transport. Reason: a bridge says one, and another one for a second domain.
pub const WEB_SOCKETS: usize = 4;
/// Browsers of one room that have asked and are not in yet. Reason: as many as may wait for the room, of whom all come. 16 bytes each.
pub const BROWSERS: usize = 500;
/// So long the right of the one who opened a room waits for its browser. Reason: a page that is loaded anew on a slow computer; longer, and a
/// meeting whose moderator has left is without one.
pub const OWNER_GRACE: Duration = Duration::from_secs(10);
/// Invitations after answers that could not be taken, in a row. Reason: what is wrong twice is wrong again, and today's clients leave at the first.
pub const ANSWERS_REFUSED: u8 = 2;
/// Until the next invitation after such an answer. Reason: a client that leaves is gone by then.
pub const ANSWER_REFUSED_PAUSE: Duration = Duration::from_secs(2);
/// Conference requests of one account. Reason: the client itself waits 1, 2, 4 … s.
pub const REQUESTS_PER_ACCOUNT: Rate = Rate::per_second(10, 1);
/// Conference requests over HTTP from one network. Reason: 200 tablets behind one NAT start at once, and some retry.
pub const REQUESTS_PER_NETWORK: Rate = Rate::per_second(400, 40);
/// Conference requests of all. Reason: some 10 µs each, so a tenth of one core; upstream has none.
pub const REQUESTS: Rate = Rate::per_second(10_000, 10_000);
/// Accounts, and networks, whose request budget is remembered. About 200 bytes each.
pub const REQUEST_ASKERS: usize = 10_000;
/// Requests (IQs) of one sender to the focus. Reason: muting everybody in the largest room is one request for each; a
/// join needs ten. Upstream leaves it to the XMPP server's 10 kB/s, which are some 40 of them.
pub const IQS_PER_SENDER: Rate = Rate::per_second(1_000, 50);
/// Requests of all senders. Reason: what one core can answer.
pub const IQS_OF_ALL: Rate = Rate::per_second(50_000, 50_000);
/// Senders whose budget is remembered. About 200 bytes each.
pub const IQ_SENDERS: usize = 20_000;
/// Sessions of people who have logged in. Reason: two browsers of each of 10,000 who hold meetings. About 600 bytes each; beyond it
/// whoever has been away for longest logs in again.
pub const LOGINS: usize = 20_000;
/// Of those, of one account. Reason: an office in which all use the same; the oldest goes.
pub const LOGINS_PER_ACCOUNT: usize = 100;
/// How often sessions that are over are thrown away, as upstream. Not a bound: an interval.
pub const LOGIN_SWEEP: Duration = Duration::from_secs(10);
/// Our own requests under way. Reason: three for each of several thousand who join at once. About 400 bytes each.
pub const IQS: usize = 20_000;
/// Of those, about one room. Reason: two for each member of the largest room.
pub const IQS_PER_ROOM: usize = 4_000;
/// Of those, to one occupant. Reason: its features and an offer; twice that when it comes back under the same name.
pub const IQS_PER_PEER: usize = 8;
/// Requests that are known again when their answer comes late or twice. 8 bytes each.
pub const IQS_REMEMBERED: usize = 512;
/// A request that found no place is tried again after this: answers make room within a round trip or two.
pub const BUSY: Duration = Duration::from_secs(1);
/// Conferences on bridges that still have to be told to end after a lost connection. About 100 bytes each.
pub const ORPHANS: usize = 5_000;
/// Restart requests of one participant per [`RESTART_WINDOW`], as upstream (`restart-request-rate-limits`).
pub const RESTARTS: usize = 5;
/// See [`RESTARTS`].
pub const RESTART_WINDOW: Duration = Duration::from_secs(60);
/// Least distance between two restart requests of one participant, as upstream.
pub const RESTART_DISTANCE: Duration = Duration::from_secs(5);
/// Invitations of one participant within [`INVITE_WINDOW`] before they are spaced out. Reason: what
/// fails three times in a row is not mended by hurry.
pub const INVITES: u32 = 3;
/// See [`INVITES`].
pub const INVITE_WINDOW: Duration = Duration::from_secs(30);
/// Longest pause between two invitations of one participant: who waits for a picture does not wait longer.
pub const INVITE_BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Reply to any request (appendix B).
pub const IQ_TIMEOUT: Duration = Duration::from_secs(15);
/// From the request to the first member, as upstream (`initial-timeout`).
pub const CONFERENCE_START: Duration = Duration::from_secs(15);
/// One participant left: its session ends after this.
pub const SINGLE_PARTICIPANT: Duration = Duration::from_secs(20);
/// Wait for the first room metadata in a room with presets, as upstream.
pub const METADATA: Duration = Duration::from_secs(10);
/// An invitation that is not accepted within this is repeated: twice the time that a client has to answer any IQ.
pub const ACCEPT: Duration = Duration::from_secs(30);
/// So long after a lost connection conferences go on as if it were there; then they stand still until it is resumed, or until the server
/// says that it is not. Reason: requests that are not answered within it count as unanswered.
pub const RECONNECT: Duration = Duration::from_secs(15);
/// A failed brewery join is repeated after this, as upstream.
pub const BREWERY_RETRY: Duration = Duration::from_secs(15);
/// Component discovery is repeated after this until all components are found; upstream never asks again.
pub const DISCOVERY_RETRY: Duration = Duration::from_secs(60);
/// Bridges are looked at this often, as upstream (`health-checks.interval`).
pub const BRIDGE_CHECK: Duration = Duration::from_secs(10);
/// A bridge whose last presence is older is not used, as upstream (`presence-timeout`); bridges send one every 5 s.
pub const BRIDGE_PRESENCE: Duration = Duration::from_secs(45);
/// A failed bridge that nobody could probe is used again after this, as upstream (`failure-reset-threshold`).
pub const BRIDGE_RESET: Duration = Duration::from_secs(60);
/// A bridge that was silent is used again when it has answered for so long; twice as long each time that it falls silent again, up to
/// [`SILENCE_HOLD_MOST`]. Reason: people who are moved hear nothing for a moment, and should not for a bridge that comes and goes.
pub const SILENCE_HOLD: Duration = Duration::from_secs(10);
/// See [`SILENCE_HOLD`].
pub const SILENCE_HOLD_MOST: Duration = Duration::from_secs(300);
/// A bridge that is lost so often within [`SILENCES_FORGOTTEN`] has to stay for a while before it is used again. Reason: a restart, and one that
/// went wrong, cost nothing.
pub const FLAPS: u32 = 3;
/// The largest load of a bridge that is believed. Reason: 1 is all that it can do, and it may be asked for more.
pub const STRESS_MOST: f64 = 1_000.0;
/// A bridge that was not silent for so long begins with [`SILENCE_HOLD`] again. Reason: what happens once a day has another cause each time.
pub const SILENCES_FORGOTTEN: Duration = Duration::from_secs(1800);
/// Requests for another session that are remembered of one bridge. Reason: far more than a tenth of those who fit on one. 16 bytes each.
pub const RESTARTS_OF_A_BRIDGE: usize = 1_000;
/// Endpoints added within this count as load that the bridge has not yet published, as upstream
/// (`participant-rampup-interval`).
pub const BRIDGE_RAMP_UP: Duration = Duration::from_secs(20);
/// People of one conference who come to a bridge within a minute before another one beside it is taken, where conferences may span several.
/// Reason: what a bridge says of its load is some seconds old, and a class that comes at once fits on one.
pub const BRIDGE_JOINS: usize = 30;
/// Bridges whose load differs by no more than this are as good as each other: who came lately counts, and then chance. Reason: less than five people make. Several
/// who decide by the same figures, another focus among them, do not all take the same one.
pub const STRESS_ALIKE: f64 = 0.05;
/// Conferences in one answer of `/debug`; further ones are counted. Reason: more is read by nobody. About 200 bytes each.
pub const DEBUG_CONFERENCES: usize = 1_000;
/// Members in one answer of `/debug`. Reason: the largest room, and some. About 200 bytes each: 1 MB.
pub const DEBUG_MEMBERS: usize = 5_000;
/// Recorders in the registry. Reason: each is a machine of its own. About 300 bytes each.
pub const RECORDERS: usize = 500;
/// Gateways in the registry. About 300 bytes each.
pub const GATEWAYS: usize = 500;
/// Bytes of what a client adds to an order to record: a key of a stream, data for the recorder. Reason: the data are a few hundred.
pub const RECORDING_TEXT: usize = 8 * 1024;
/// A recorder that was chosen is left alone so long, as upstream: its presence does not say yet that it is busy.
pub const RECORDER_CHOSEN: Duration = Duration::from_millis(200);
/// A recorder that failed is left alone so long, as upstream, if it does not say that it is well.
pub const RECORDER_FAILED: Duration = Duration::from_secs(60);
/// How long a recorder has to begin, as upstream (`jibri.pending-timeout`): it starts a browser.
pub const RECORDER_PENDING: Duration = Duration::from_secs(90);
/// So long a wish to record waits while all recorders work. Reason: one that has just ended takes some seconds; as long a recorder has to answer,
/// so that clients know it; longer, and whoever sees nothing happen asks again.
pub const RECORDER_WAIT: Duration = Duration::from_secs(15);
/// Wishes to record that wait, one of a room. Reason: more do not come to their turn in that time. About 1 KiB each, with what the client says 33.
pub const RECORDINGS_WAITING: usize = 100;
/// Calls of one conference that wait for a gateway. Reason: a moderator dials one after the other. About 2 KiB each.
pub const DIALS_PER_CONFERENCE: usize = 20;
/// Gateways asked for one call, as upstream.
pub const DIAL_TRIES: usize = 3;
