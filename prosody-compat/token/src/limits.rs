//! The bounds of tokens and of the keys they are checked with, each with default, reason and worst-case memory.

use std::time::Duration;

use budget::Rate;

/// Bytes of a token. 8 KiB: a longer line of a request does not come through nginx either. Tokens with a picture's address have 1.
/// While one is read, some 150 KiB.
pub const TOKEN_BYTES: usize = 8_192;

/// Nesting of a token's JSON. 16; Jitsi's claims have 3. Beside the bytes above it costs nothing: it bounds the stack.
pub const JSON_DEPTH: usize = 16;

/// What `context.user` may say of a person. 64: each becomes an element of every presence, of which a room takes 256. Portals say
/// five to ten things.
pub const USER_MEMBERS: usize = 64;

/// What `context.features` may name. 128: there are some 20. About 100 bytes each for as long as the session lasts.
pub const FEATURES: usize = 128;

/// Bits of the smallest RSA key that is trusted. 2,048: shorter ones can be broken by those who want it enough (NIST SP 800-131A).
pub const RSA_BITS_MIN: usize = 2_048;

/// Bits of the largest. 8,192: a signature costs sixteen times as much as with 2,048, some 0.3 ms.
pub const RSA_BITS_MAX: usize = 8_192;

/// Bytes of one key as PEM, a certificate included. 16 KiB: a chain of three has 6. Only the first of them is read.
pub const PEM_BYTES: usize = 16 * 1_024;

/// Steps that one match of a Lua pattern may take. 50,000: some 0.3 ms. Patterns that portals write take fewer than 1,000.
pub const PATTERN_STEPS: u32 = 50_000;

/// Nesting of one match, in Lua's own figure. 200: some 20 KiB of stack.
pub const PATTERN_DEPTH: u32 = 200;

/// Captures of a Lua pattern, Lua's own figure: `%1` to `%9` can name nine of them. 32.
pub const PATTERN_CAPTURES: usize = 32;

/// Keys of the key server that are kept, as upstream. 128: an issuer has two, of which one is new. About 2 KiB each.
pub const SERVED_KEYS: usize = 128;

/// Names of keys that the key server does not have, remembered so that it is not asked again. 1,024, 64 bytes each.
pub const ABSENT_KEYS: usize = 1_024;

/// How long such a name is remembered. 30 s: whoever has just published a key waits no longer for it.
pub const ABSENT_FOR: Duration = Duration::from_secs(30);

/// How often a key is asked for at the key server when nobody answers. 3, as upstream.
pub const TRIES: u32 = 3;

/// Time for one of these tries. 9 s: with the pauses 30 s in all, which is upstream's time for one. A login has 60.
pub const TRY_TIMEOUT: Duration = Duration::from_secs(9);

/// Pause between two of them, for a server that restarts. 1.5 s, within the login's time.
pub const TRY_PAUSE: Duration = Duration::from_millis(1_500);

/// Questions to the key server that are open at a time. 32: there are as many keys only when somebody makes up names.
/// About 500 bytes each.
pub const OPEN_QUESTIONS: usize = 32;

/// Keys that nobody knows yet, as asked for by one address (one /64 of IPv6). 10 at once: a school has one issuer with two keys.
pub const UNKNOWN_KEYS: Rate = Rate::per_minute(10, 6);

/// The same of all addresses together: the key server is somebody else's, and gets no more than five questions a second from us.
pub const UNKNOWN_KEYS_TOTAL: Rate = Rate::per_second(50, 5);

/// Addresses that are told apart for this; 80 bytes each, 0.7 MB.
pub const ASKING_ADDRESSES: usize = 8_192;

/// Time until a key of the key server is asked for again, so that one that was withdrawn is not trusted for as long as
/// the server runs. 6 h, as the document below. Upstream: never.
pub const SERVED_REFRESH: Duration = Duration::from_secs(6 * 3_600);

/// Bytes of a document of keys. 256 KiB: the largest in use have 20.
pub const DOCUMENT_BYTES: usize = 256 * 1_024;

/// Keys of one document. 128: the largest in use have 20. About 2 KiB each, those that have vanished from it included.
pub const DOCUMENT_KEYS: usize = 128;

/// Time until the document is read again when it does not say. 6 h, as upstream.
pub const DOCUMENT_REFRESH: Duration = Duration::from_secs(6 * 3_600);

/// The longest time that it may say. One day: a withdrawn key is not trusted longer.
pub const DOCUMENT_LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Time before the end of what it says, as upstream. 60 s.
pub const DOCUMENT_MARGIN: Duration = Duration::from_secs(60);

/// Time until it is read again after a failure, as upstream, and the shortest that it may say. 30 s.
pub const DOCUMENT_RETRY: Duration = Duration::from_secs(30);

/// Time for reading it. 30 s, as upstream: half of a login's.
pub const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(30);

/// Time until it may be read again because a token names a key that is not in it: the issuer may have made a new one. 60 s: whoever
/// makes up names makes us ask once a minute.
pub const DOCUMENT_EARLY: Duration = Duration::from_secs(60);

/// How long a key that has vanished from the document is still taken: tokens made with it are still about. 90 min, as upstream.
pub const VANISHED_FOR: Duration = Duration::from_secs(90 * 60);
