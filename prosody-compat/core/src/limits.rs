//! Every bound of the server with default, reason and worst-case memory.

use std::time::Duration;

/// The bounds. Worst-case memory of one client is about `max_stanza_bytes` × 12 while one stanza is parsed, plus
/// `max_unacked_bytes`, plus one presence per room it is in.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once. 20,000: four rooms of 5,000. About 1 KiB each.
    pub max_connections: usize,
    /// Bytes of one stanza. 262,144, as upstream; the largest seen from a client is 60 KiB.
    pub max_stanza_bytes: usize,
    /// Bytes of one frame of a connection that is not logged in. 8 KiB: a stream header with a token has 2 KiB.
    pub max_login_bytes: usize,
    /// Sessions at once, those that wait to be resumed included. 40,000: twice the connections. About 2 KiB each.
    pub max_sessions: usize,
    /// The same from one address. 2,000: a school of 1,000 after its network has dropped everybody once.
    pub max_sessions_per_address: usize,
    /// Bytes of one stanza from an account of `Config::unlimited`. 10 MiB, as upstream.
    pub max_stanza_bytes_unlimited: usize,
    /// Nesting of one stanza. 32; Jingle needs 6.
    pub max_depth: usize,
    /// Elements in one stanza. 10,000; a source-add of 500 sources has about 3,000.
    pub max_elements: usize,
    /// Frames of one connection that are no XML before its stream is closed. 20: a client has none.
    pub max_malformed: u32,
    /// Failed logins on one connection before its stream is closed. 5; a person mistypes.
    pub max_auth_failures: u32,
    /// Stanzas one session may leave unacknowledged and still resume. 5,000: joining a room of 2,000 twice. Of those that
    /// others get as well 12 bytes each, of others their content and 100.
    pub max_unacked: usize,
    /// Bytes of unacknowledged stanzas of one session, shared ones counted in full. 8 MiB.
    pub max_unacked_bytes: usize,
    /// Bytes of unacknowledged stanzas of all sessions of one address, shared ones counted once, and 12 for each place in a
    /// queue. 24 MiB: 200 tablets in six meetings that speak without pause for the minute in which their network is
    /// away. When it is reached, those with most lose theirs until three quarters are left.
    pub max_unacked_per_address: usize,
    /// The same of all addresses together. 256 MiB; from half of it on there is ever less for each.
    pub max_unacked_in_all: usize,
    /// Bytes that all sessions of one address leave in rooms: presences, also of joins that wait, chat for latecomers, metadata,
    /// polls and votes. 8 MiB: a school of 1,000 with the largest presences that clients make.
    pub max_kept_per_address: usize,
    /// The same of all addresses together. 256 MiB; from half of it on there is ever less for each.
    pub max_kept_in_all: usize,
    /// Bytes the shell keeps for one connection that reads slowly. 8 MiB: twice the join of a room of 1,000.
    pub max_send_backlog_bytes: usize,
    /// Time until a connection must be authenticated and bound; a password that waits for its turn counts from then on.
    /// 60 s: four round trips, over the worst radio link. Upstream: 5 min.
    pub login_timeout: Duration,
    /// Silence until the server asks for a sign of life. 14 min, as upstream.
    pub idle: Duration,
    /// Time to answer that. 30 s.
    pub idle_answer: Duration,
    /// Rooms at once. 10,000, as upstream. About 2 KiB each when small. A lobby counts, and is always made: one for each meeting.
    pub max_rooms: usize,
    /// Occupants of one room. 10,000: above what one room can carry. About 2 KiB each.
    pub max_occupants: usize,
    /// Rooms one session may be in. 10,000 for accounts of the roles, 20 for others: main room, breakout, lobby.
    pub max_rooms_per_client: usize,
    /// Sessions that share one nick. 4: a role's old and new connection.
    pub max_sessions_per_occupant: usize,
    /// Affiliations stored in one room. 20,000: twice the occupants.
    pub max_affiliations: usize,
    /// Messages kept for late joiners. 20, as upstream.
    pub max_history: usize,
    /// Bytes of one room's history. 128 KiB: twenty messages of 6 kB; of longer ones fewer are kept.
    pub max_history_bytes: usize,
    /// Message ids whose author is remembered, so that only the author or a moderator can retract. 1,000; 100 KiB.
    pub max_retractable: usize,
    /// Joins of one room that wait, mostly for the focus. 500, as upstream.
    pub max_held_joins: usize,
    /// Joins of one room at once: everybody is told of everybody. 500: a school that comes to its assembly in one minute.
    /// Upstream: 3, or 30 for an audience, if it is switched on.
    pub joins_at_once: u32,
    /// Joins of one room per second after that; what is beyond waits for its turn. 30, as upstream for an audience.
    pub joins_per_second: u32,
    /// Time a join waits. 60 s; a client has no join timeout, and a focus is back sooner.
    pub held_join_timeout: Duration,
    /// Questions to outside without an answer. 1,000: one per room that is being opened. About 2 KiB each.
    pub max_questions: usize,
    /// Time for one of them, from connecting to the end of its answer. 20 s, as upstream: a person waits for it.
    pub question_deadline: Duration,
    /// Time until one that nobody heard is asked again. 3 s, as upstream.
    pub question_pause: Duration,
    /// Bytes of one room's metadata. 256 KiB.
    pub max_metadata_bytes: usize,
    /// Questions of one session to occupants that may be open. 256: a client has a dozen. About 100 bytes each. Roles, who ask
    /// everybody, 10,000.
    pub max_asked: usize,
    /// Bytes of a stanza's id. 1,024: it is kept until the stanza is answered. Clients use 40.
    pub max_id_bytes: usize,
    /// Bytes of a presence, which is kept for latecomers, as bytes. 32 KiB; the largest of a client with many sources has 6.
    /// Upstream: the stanza limit. Roles, which publish their load, are not bound.
    pub max_presence_bytes: usize,
    /// Elements of a presence. 256: every browser in the room makes a tree of it. A client has 30.
    pub max_presence_elements: usize,
    /// Polls of one room. 128, as upstream. About 1.5 KiB each.
    pub max_polls: usize,
    /// Bytes of one poll or vote, less one. 1,024, as upstream.
    pub max_poll_bytes: usize,
    /// Votes in one room, all polls together. 10,000: 100 people in 100 polls. About 300 bytes each, and 240 to a newcomer.
    pub max_votes: usize,
    /// Files that are known to be shared in one room. 100; a few are usual.
    pub max_files: usize,
    /// Bytes of what is said of one. 4 KiB; clients say 300.
    pub max_file_bytes: usize,
    /// People that one listens to in another language. 100: one's whole page of pictures. About 60 bytes each, with its share of
    /// what the focus is told.
    pub max_translations: usize,
    /// People whose speaking time is kept in one room. 5,000: everybody who ever came into a large one. About 300 bytes
    /// each; those who left without a word make room for others.
    pub max_speakers: usize,
    /// Facial expressions kept of one person. 20, as upstream. About 80 bytes each.
    pub max_faces: usize,
    /// People invited by one message. 500: a school that knocks and is let in at once. Nothing is kept of it but as many
    /// affiliations.
    pub max_invites: usize,
    /// Bytes of a room's subject. 4 KiB.
    pub max_subject_bytes: usize,
    /// Bytes of a room's password. 1 KiB.
    pub max_password_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            max_stanza_bytes: 262_144,
            max_login_bytes: 8 * 1024,
            max_sessions: 40_000,
            max_sessions_per_address: 2_000,
            max_stanza_bytes_unlimited: 10 * 1024 * 1024,
            max_depth: 32,
            max_elements: 10_000,
            max_malformed: 20,
            max_auth_failures: 5,
            max_unacked: 5_000,
            max_unacked_bytes: 8 * 1024 * 1024,
            max_unacked_per_address: 24 * 1024 * 1024,
            max_unacked_in_all: 256 * 1024 * 1024,
            max_kept_per_address: 8 * 1024 * 1024,
            max_kept_in_all: 256 * 1024 * 1024,
            max_send_backlog_bytes: 8 * 1024 * 1024,
            login_timeout: Duration::from_secs(60),
            idle: Duration::from_secs(840),
            idle_answer: Duration::from_secs(30),
            max_rooms: 10_000,
            max_occupants: 10_000,
            max_rooms_per_client: 20,
            max_sessions_per_occupant: 4,
            max_affiliations: 20_000,
            max_history: 20,
            max_history_bytes: 128 * 1024,
            max_retractable: 1_000,
            max_held_joins: 500,
            joins_at_once: 500,
            joins_per_second: 30,
            held_join_timeout: Duration::from_secs(60),
            max_questions: 1_000,
            question_deadline: Duration::from_secs(20),
            question_pause: Duration::from_secs(3),
            max_metadata_bytes: 256 * 1024,
            max_asked: 256,
            max_id_bytes: 1_024,
            max_presence_bytes: 32 * 1024,
            max_presence_elements: 256,
            max_polls: 128,
            max_poll_bytes: 1_024,
            max_votes: 10_000,
            max_files: 100,
            max_file_bytes: 4 * 1024,
            max_translations: 100,
            max_speakers: 5_000,
            max_faces: 20,
            max_invites: 500,
            max_subject_bytes: 4 * 1024,
            max_password_bytes: 1024,
        }
    }
}

/// How long recorders and transcribers stay alone unless the policy says otherwise. 20 s, as upstream: somebody may only have
/// reloaded the page.
pub const SERVICES_ALONE: Duration = Duration::from_secs(20);

/// How long a meeting goes on without an owner, where `token_owner_party` is named. 60 s, as upstream: somebody may only have
/// reloaded the page.
pub const WITHOUT_OWNER: Duration = Duration::from_secs(60);

/// Time in which wishes for languages are collected unless the policy says otherwise. 0.5 s, as upstream.
pub const TRANSLATIONS_TOLD_AFTER: Duration = Duration::from_millis(500);

/// What a room counts for the address of who opened it, where anybody may. 16 KiB: an empty one takes some 3 KiB, so that one address
/// opens 512 at once and no stranger fills the server.
pub const OPENED_ROOM_BYTES: usize = 16 * 1024;

/// How often passwords are tried (`auth/guesses.rs`). Upstream has no limit. What is beyond these waits; what succeeds
/// costs nothing. Worst-case memory: 200 bytes for each of three times [`guesses::MOST_KEYS`], 6 MB.
pub(crate) mod guesses {
    use budget::Rate;

    /// From one address, all accounts. 400 at once: as many as it may have connections that are not logged in, so that a
    /// school's neighbours wait for a guesser only when it has guessed for long; then 20 a second.
    pub(crate) const BY_ADDRESS: Rate = Rate::per_second(400, 20);

    /// From one address for one account. 10 at once: a person, and a role that restarts with the wrong password; then 5 a
    /// second: the last of 400 connections that all try the same has its turn after 80 s.
    pub(crate) const BY_ADDRESS_AND_ACCOUNT: Rate = Rate::per_second(10, 5);

    /// For one account, from everywhere it has not logged in from. 50 at once, then 20 a second.
    pub(crate) const BY_ACCOUNT: Rate = Rate::per_second(50, 20);

    /// Addresses and accounts that are told apart, each in a table of its own: more than a town has people online.
    pub(crate) const MOST_KEYS: usize = 10_000;

    /// Addresses an account is known from. 8: home, office, telephone.
    pub(crate) const KNOWN_ADDRESSES: usize = 8;

    /// Bytes of an account's name that are looked at: a longer one belongs to nobody.
    pub(crate) const NAME_BYTES: usize = 128;
}

/// What an access manager is asked, and what is kept of it (`modules/muc_auth_ban.rs`).
pub mod access {
    use std::time::Duration;

    /// Questions of one address that are open. 100: a school whose people log in at once, and whose access manager answers within a
    /// quarter of a second. Who is beyond tries again.
    pub const PER_ADDRESS: usize = 100;

    /// The same of all. 1,000, as of all questions. About 3 KiB each, with the token.
    pub const IN_ALL: usize = 1_000;

    /// From connecting to the end of the answer. 5 s: somebody waits before the door.
    pub const DEADLINE: Duration = Duration::from_secs(5);

    /// How long somebody who was shut out is not asked about again. 5 min, as upstream.
    pub const BANNED: Duration = Duration::from_secs(300);

    /// So many are remembered; of who is beyond the access manager is asked again. 100, as upstream. 48 bytes each.
    pub const REMEMBERED: usize = 100;
}

/// Questions of a role that may be open: one to each of the largest room, and as many that follow.
pub const MAX_ASKED_BY_ROLES: usize = 10_000;

/// How often one session speaks to others; then its frames are read later. Upstream has only bytes.
pub mod pace {
    use std::time::Duration;

    use budget::Rate;

    /// Stanzas to rooms, occupants and components. 100 at once: a join with all its questions takes 40; then 20 a second, so
    /// that five who flood cost a browser 100 stanzas a second.
    pub const RELAY: Rate = Rate::per_second(100, 20);

    /// What of that reaches other people's browsers: presences, chat, private messages, questions to people. 60 at once: a join
    /// with a dozen presences, and the keys of a class of 30 that encrypts; then two a second, which is what a person does.
    /// Within this nobody waits, whatever others do.
    pub const OWN: Rate = Rate::per_second(60, 2);

    /// What is beyond that, of all in one room together: 100 at once, then 20 a second. So five who flood cost a browser 400
    /// stanzas and then 30 a second, which it does in passing. 16 bytes for each room.
    pub const ROOM: Rate = Rate::per_second(100, 20);

    /// The same of what is for one session alone. 16 bytes for each session.
    pub const HEARD: Rate = ROOM;

    /// Longest time that one waits for its room: a crowd that has been loud together is soon heard again.
    pub const LONGEST_WAIT: Duration = Duration::from_secs(5);

    /// What a join counts: everybody hears of it, and the newcomer hears of everybody. Four a second.
    pub const JOIN: u32 = 5;
}

/// How often passwords of rooms are tried (`modules/room_password.rs`). Worst-case memory: 300 bytes each, 9 MB.
pub mod room_passwords {
    use std::time::Duration;

    use budget::Rate;

    /// From one address in one room. 60 at once: a class of 30 that all mistype twice; then 5 a second.
    pub const BY_ADDRESS: Rate = Rate::per_second(60, 5);

    /// Of one session. 10 at once: a person who does not remember; then one a second.
    pub const BY_SESSION: Rate = Rate::per_second(10, 1);

    /// In one room, from everywhere, this machine included, behind which people may stand whose addresses nobody told us. 600
    /// at once: a school of 300 that all mistype twice; then 60 a second, so that it takes twelve addresses to make others wait.
    pub const BY_ROOM: Rate = Rate::per_second(600, 60);

    /// Longest line: 250 sessions of one address that all try. Shorter than what a join waits at most.
    pub const LONGEST_WAIT: Duration = Duration::from_secs(50);

    /// Addresses, sessions and rooms that are told apart, each in a table of its own: more than a region has people at the
    /// door of rooms with a password.
    pub const MOST_KEYS: usize = 10_000;
}

/// Requests from inside that wait for the key of their token. 100, of 64 KiB at most: programs ask again.
pub const PARKED: usize = 100;

/// How often a room's password is tried over HTTP (`modules/muc_password_check.rs`), by a gateway that has a token. Upstream has no limit.
/// 60 at once: a town that dials in; then one a second.
pub const PASSCODES: budget::Rate = budget::Rate::per_second(60, 1);

/// How often recordings and streams are begun and ended, where `filter_iq_jibri` is named. Upstream's figures.
pub mod recordings {
    use budget::Rate;

    /// From one address. 9 a minute.
    pub const BY_ADDRESS: Rate = Rate::per_minute(9, 9);

    /// In one room. 3 a minute.
    pub const IN_ROOM: Rate = Rate::per_minute(3, 3);

    /// Addresses that are told apart. 10,000, as upstream. About 64 bytes each.
    pub const MOST_KEYS: usize = 10_000;
}

/// Calls to telephones and transcribers, and what is kept of them (`modules/filter_iq_rayo.rs`).
pub mod calls {
    use budget::Rate;

    /// Transcribers that are called into one room. One in ten seconds, as upstream: everybody's client asks when transcription begins,
    /// and one is enough. 16 bytes for each room.
    pub const TRANSCRIBERS: Rate = Rate::per_minute(1, 6);

    /// People who call from one room. 100: as many as moderate a large meeting. About 200 bytes each; nicks of those who say that they
    /// are a leg are no more than occupants.
    pub const CALLERS: usize = 100;
}

/// What a booking system is asked, and what is kept of it (`modules/reservations`). Upstream has times, and no bounds.
pub mod reservations {
    use std::time::Duration;

    use budget::Rate;

    /// Requests of one address that wait. 400: 200 tablets in their rooms, and a few classes; then they ask again by themselves. In all
    /// as many as there may be questions, less [`TELLING`]: 8 MiB.
    pub const WAITING_PER_NETWORK: usize = 400;

    /// The same of one session. 10, as of those that wait for the focus: a client has one.
    pub const WAITING_PER_SESSION: usize = 10;

    /// Rooms that one address asked for and that are not open, the refused ones included. 500, as many as the focus opens for it.
    pub const UNOPENED_PER_NETWORK: usize = 500;

    /// The same of all. 6,000, as the focus. About 300 bytes each.
    pub const UNOPENED: usize = 6_000;

    /// New rooms that one address may ask for. 400 at once, as above; then 20 a second, so that nobody floods the booking system.
    pub const PER_NETWORK: Rate = Rate::per_second(400, 20);

    /// The same of all: ten towns that begin together.
    pub const ALL: Rate = Rate::per_second(4_000, 200);

    /// Addresses that are told apart. 10,000: more than a region has people at the door at once. About 64 bytes each.
    pub const MOST_KEYS: usize = 10_000;

    /// Bytes of a request that waits. 8 KiB: it is kept; a client's has 1.
    pub const REQUEST_BYTES: usize = 8 * 1024;

    /// How often a question is asked again. 3, as upstream.
    pub const REPEAT: u32 = 3;

    /// How long a refusal is kept. 30 s, as upstream, so that who clicks again does not ask again.
    pub const REFUSED: Duration = Duration::from_secs(30);

    /// How long the focus has time to open a room that is reserved: 60 s, as long as a join waits for it. Then it is asked for again.
    pub const UNUSED: Duration = Duration::from_secs(60);

    /// The longest meeting: ten years, because moments beyond all time cannot be told.
    pub const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

    /// Ends of meetings that the booking system is told of at once. 32: it may be small.
    pub const TELLING: usize = 32;

    /// Ends of meetings that wait to be told. 10,000: all rooms at once, when the focus goes. About 400 bytes each.
    pub const OVER: usize = 10_000;

    /// Bytes of a booking's id. 256: it stands in an address.
    pub const ID_BYTES: usize = 256;

    /// Characters of a refusal's text. 1,000: people read it.
    pub const TEXT_CHARS: usize = 1_000;
}

/// Viewers who want to come in (`modules/visitors.rs`).
pub mod visitors {
    use std::time::Duration;

    /// Raised hands of one meeting. 1,000: more than anybody can look through; the next are heard when some are down. About 200 bytes
    /// each, and 300 to each new moderator.
    pub const HANDS: usize = 1_000;

    /// Viewers that were let in to one meeting. 5,000: all of a large audience. About 60 bytes each.
    pub const ALLOWED: usize = 5_000;

    /// Names of all meetings that wait for their viewers to log in. 10,000: two large audiences at once. About 80 bytes each.
    pub const PROMISED: usize = 10_000;

    /// How long they are kept. 60 s: a page that reconnects takes two.
    pub const PROMISE: Duration = Duration::from_secs(60);
}

/// Breakout rooms (`muc/breakout.rs`). Upstream has the times, and no bounds.
pub mod breakouts {
    use std::time::Duration;

    /// Rooms of one meeting. 100: a school's assembly in groups of ten. About 200 bytes each, and a room for each in which somebody
    /// is.
    pub const PER_MEETING: usize = 100;

    /// Bytes of a room's name. 256: it is a button's text.
    pub const NAME_BYTES: usize = 256;

    /// Time in which changes are collected until everybody is told who is where. 0.3 s, as upstream.
    pub const SHORTEST: Duration = Duration::from_millis(300);

    /// The same for each person: what one is told names everybody. 5 ms, so that 500 people hear of it every 2.5 s, and a server
    /// sends 25 MB a second for them at most; up to 10 s.
    pub const PER_PERSON: Duration = Duration::from_millis(5);

    /// How long a meeting waits for people when nobody is in it or its breakout rooms. 5 s, as upstream.
    pub const DESERTED: Duration = Duration::from_secs(5);
}

/// What is kept of an account (`auth/record.rs`).
pub mod record {
    /// Bytes of its file. 4 KiB: ours have 400; one is read at a time.
    pub const BYTES: usize = 4 * 1024;

    /// Bytes of a salt. 256: ours have 16, Prosody's 36. It goes to whoever tries to log in.
    pub const SALT_BYTES: usize = 256;
}
