//! Every bound of the shell: default, reason, worst-case memory. The server's own bounds are `prosody_core::Limits`.

use std::time::Duration;

use budget::Rate;

/// Frames received and not yet handled by the server, all connections together. With [`INPUT_BYTES`] at most 32 MiB.
pub const INPUTS: usize = 4_096;

/// Bytes received and not yet handled; then reading pauses everywhere. Reason: more means the server is behind.
pub const INPUT_BYTES: usize = 32 * 1024 * 1024;

/// What a frame counts of that at least: a sixteenth of [`INPUTS`] is then an address' share as well.
pub const INPUT_LEAST: usize = INPUT_BYTES / INPUTS;

/// Bytes of one address that are received and not yet handled. Reason: others wait behind them, some 20 ms; its own frames are
/// read later.
pub const ADDRESS_INPUT_BYTES: usize = INPUT_BYTES / 16;

/// Frames of one connection that are received and not yet handled. Reason: who sends without pause waits, not everybody
/// behind it. A client's join is some twenty stanzas.
pub const CONNECTION_INPUTS: usize = 32;

/// Connections of one address. Reason: a school of 1,000 whose network dropped everybody, so that the old sockets are still
/// there; a tenth of all.
pub const ADDRESS_CONNECTIONS: usize = 2_000;

/// Connections that are not logged in, all together. At 13 KiB each 52 MiB; a login takes four round trips.
pub const STRANGERS: usize = 4_000;

/// The same of one address. Reason: 200 tablets and a few classes that all come at the same second.
pub const ADDRESS_STRANGERS: usize = 400;

/// As how many addresses one counts behind which many people are, where an admin says so: each connection as the next of them. 64:
/// all that the server carries, so that nothing but its own bounds holds them up.
pub const CROWD: u16 = 64;

/// Bytes of a frame that may wait for their rest without being counted. Reason: what clients usually send is smaller.
pub const PARTIAL_FREE: usize = 16 * 1024;

/// Bytes of incomplete frames of one address beyond those: a hundred session-accepts that arrive in the same moment. With
/// [`ADDRESS_CONNECTIONS`] 36 MiB at most.
pub const ADDRESS_PARTIAL: usize = 4 * 1024 * 1024;

/// How many stanza limits long a frame may be that is refused with an error; a longer one ends its connection. 1 MiB.
pub const REFUSED_FRAME: usize = 4;

/// Frames waiting for one connection. The content of broadcasts is shared; bytes are bounded by
/// `prosody_core::Limits::max_send_backlog_bytes`. Beyond either the reader is too slow and is dropped.
pub const OUTPUTS: usize = 16_384;

/// Bytes that wait for all connections of one address whose sockets take nothing; content that several wait for counts once, and
/// each frame 192 bytes. Reason: 200 tablets in six meetings whose network is away for the minute in which it may be.
pub const ADDRESS_BACKLOG: usize = 24 * 1024 * 1024;

/// The same of all addresses: the worst case in memory. From half of it on there is ever less for each.
pub const BACKLOG: usize = 256 * 1024 * 1024;

/// Bytes of one connection that may wait without being counted, so that a neighbour with little is not concerned: 16 MiB for
/// all connections of an address.
pub const BACKLOG_FREE: usize = 8 * 1024;

/// How many times more may wait for a role of the same process: 64 MiB. Reason: it hears of every room, there is one
/// or two of them, and dropping it ends all meetings.
pub const IN_PROCESS_ROOM: usize = 8;

/// What one client may send: 512 KiB at once (a session-accept, a page of source updates), then 64 KiB per second; beyond
/// that its frames are read later, never refused. Upstream allows 10,000 bytes; clients with many sources come close to
/// that while joining.
pub const CLIENT: Rate = Rate::per_second(512 * 1024, 64 * 1024);

/// What of that never waits for others of the same address: 64 KiB at once, most of a join; then 4 KiB per second, which is more
/// than a person says.
pub const CLIENT_OWN: Rate = Rate::per_second(64 * 1024, 4 * 1024);

/// What all connections of an address may send beyond that: 8 MiB at once, the rest of 200 joins; then 2 MiB per second. With
/// [`CLIENT_OWN`] of [`ADDRESS_STRANGERS`] 33 MiB in the first second.
pub const ADDRESS: Rate = Rate::per_second(8 * 1024 * 1024, 2 * 1024 * 1024);

/// Longest time that a connection waits for its address. Reason: a school whose neighbours have sent without measure is soon
/// heard again. Shorter than [`WS_PING_AFTER`].
pub const ADDRESS_LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What a frame counts of that at least: 1,024 stanzas at once, then 128 per second. A client that joins sends about 200.
pub const FRAME_COST: usize = 512;

/// A WebSocket read buffer; allocated per connection. So much may be read beyond a frame's end.
pub const WS_READ_BUFFER: usize = 1_024;

/// WebSocket frames are gathered up to this size for one write; one buffer per thread. Reason: what a socket takes.
/// Not a bound: what is behind it stays in the connection's queue, which has its own.
pub const WS_WRITE: usize = 64 * 1024;

/// A WebSocket that is silent so long is pinged. Browsers answer by themselves.
pub const WS_PING_AFTER: Duration = Duration::from_secs(30);

/// A WebSocket that is silent so long is dead: its session waits to be resumed. Reason: two pings were not answered.
pub const WS_DEAD_AFTER: Duration = Duration::from_secs(75);

/// One write to a client that does not read. Then it is dropped, as when too much waits.
pub const WRITE_STALL: Duration = Duration::from_secs(60);

/// The closing handshake of a WebSocket, or the last bytes of a TCP stream.
pub const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// A TLS handshake on TCP: four flights, on a bad link some seconds.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(30);

/// From the TCP connection to the first stream header; roles send it at once. Ends connections that only hold a place.
pub const TCP_FIRST_BYTES: Duration = Duration::from_secs(30);

/// One read from a TCP connection; allocated per connection. Not a bound: the splitter has its own.
pub const TCP_READ: usize = 8 * 1024;

/// Stanzas are gathered up to this size before one TCP write, so that a burst costs few system calls. One buffer per connection.
/// Not a bound: what is behind it stays in the connection's queue, which has its own.
pub const TCP_WRITE: usize = 64 * 1024;

/// Bytes of the request that opens a BOSH session: it has no stanzas.
pub const BOSH_LOGIN_BYTES: usize = 8 * 1024;

/// BOSH requests of one session waiting for its task: the window, twice.
pub const BOSH_QUEUE: usize = 8;

/// Bytes of an answer. With `prosody_core::Limits::max_questions` 64 MiB at most; a reservation is 1 KiB.
pub const ANSWER_BYTES: usize = 64 * 1024;

/// One login with a directory, all its questions together. 10 s: half of the time that people wait before they try again.
pub const DIRECTORY: Duration = Duration::from_secs(10);

/// Connecting to one of its servers, TLS included. 3 s: then the next one is asked, within the time above.
pub const DIRECTORY_CONNECT: Duration = Duration::from_secs(3);

/// Logins that ask it at a time; others wait in [`LOOKS`]. 32: a login takes some 5 ms, and directories have hundreds of places.
pub const DIRECTORY_CONNECTIONS: usize = 32;

/// Bytes of all its answers to one login. 64 KiB: one is some 200. With the places above 2 MiB.
pub const DIRECTORY_BYTES: usize = 64 * 1024;

/// One request from inside, its turn included: they are answered one after the other, because one may be a walk over all rooms, 10 ms
/// for 10,000. Reason: a program that asks gives up by then, and asks again.
pub const INSIDE: Duration = Duration::from_secs(10);

/// Bytes of such a request's body: a message to a thousand people of a meeting. `service::body` counts all together.
pub const INSIDE_BYTES: usize = 64 * 1024;

/// Bytes of a file with a key of programs: an RSA key of 8,192 bits as PEM has 1,500. Read at the start, one after the other.
pub const PROGRAM_KEY_BYTES: usize = 16 * 1024;

/// Logins that wait until their account was looked at; those beyond are told to come again. Reason: a town that comes back at
/// once, with 5 ms for each password; about 1 KiB each.
pub const LOOKS: usize = 4_096;

/// Bytes of an account's or host's name as a file is called. Reason: file systems end at 255, and an ending follows.
pub const ACCOUNT_NAME_BYTES: usize = 240;

/// How old the numbers of `ServerHandle::stats` may be: whoever asks without pause costs one walk over the rooms per 50 ms.
/// Not a bound: an interval.
pub const STATS_AGE: Duration = Duration::from_millis(50);

/// Frames still taken from a WebSocket that can no longer be written to. A goodbye is two. Worst case: so many
/// stanzas of the largest size, one at a time.
pub const WS_LAST_FRAMES: usize = 32;

/// How often the files of accounts are looked at with which somebody is logged in. Reason: an admin who shuts somebody out waits for it;
/// without a change it is one question to the file system for each.
pub const ACCOUNT_LOOK: Duration = Duration::from_secs(2);

/// Accounts whose files are remembered. 40,000: the sessions that there can be. About 600 bytes each, 24 MB. Beyond, a login is told to
/// come again: its session could not be ended.
pub const ACCOUNTS_SEEN: usize = 40_000;

/// How long an account is remembered with which nobody is logged in. Reason: twice the time that a login has.
pub const ACCOUNT_FORGOTTEN: Duration = Duration::from_secs(120);
