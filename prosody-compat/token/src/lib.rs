//! JSON Web Tokens as Jitsi's Prosody modules take them (xmpp-server §2.9): a token, a key and the time in; who the person is, or
//! why not, in upstream's words, out. Pure: no sockets, no clock, no randomness.
//!
//! # A login
//!
//! 1. [`TokenRules::new`] checks once, at the start, what an admin has written ([`Settings`]).
//! 2. No token: [`TokenRules::without_token`].
//! 3. [`Unverified::parse`] reads a token as far as that is possible without believing it.
//! 4. [`Unverified::key_id`] is `None` when the rules hold the key themselves. Otherwise [`Keys::need`] has it, refuses, or says
//!    that the login has to wait for [`Output::Settled`], after which it asks again.
//! 5. [`Unverified::verify`] believes it: [`Claims`], or a [`Refusal`] with SASL condition and text.
//!
//! # A room
//!
//! [`TokenRules::check_room`] says at each creation and join whether the claims are for this room, and again when somebody resumes
//! with another token, whose claims replace the old ones only if they are. Who is exempt (admins, an allow-list, other servers) is
//! the caller's business, as it knows them.
//!
//! # Keys
//!
//! [`Keys`] is an engine: after each of its verbs, [`Keys::poll_output`] until there is none; sleep until [`Keys::poll_timeout`].
//! It never asks anybody but the two addresses that the admin has named: what a token says about its key is hashed into the
//! last part of a path.
//!
//! # What cannot happen
//!
//! The algorithm is the rules', never the token's: there is no way to have `none`, and a key is made for one family and one hash
//! (CVE-2021-39215). Claims come out of [`Unverified::verify`] alone.
//!
//! # Where it is not upstream's way, on purpose
//!
//! | upstream | here |
//! |---|---|
//! | JSON with a name twice, `NaN`, numbers beyond all bounds, base64 with other signs, tokens with empty parts or backslashes for dots | refused: two programs would read two things, and `NaN` never expires |
//! | RSA keys of any size; a JWK of any kind with `n` and `e` | 2,048 to 8,192 bits; no key that says it is for something else |
//! | a public key as secret of HS, RS settings that no token can pass | the server does not start |
//! | `room`, `sub` of another kind than text | refused at the login instead of at each room |
//! | a pattern that does not match opens every room where rooms are not required | refused |
//! | a name that ends in `]x` is open to tokens for `x` | it is not |
//! | patterns: in newer releases three repetitions, names of 128 | any, as long as the match takes no more than [`limits::PATTERN_STEPS`] |
//! | keys of the key server are kept without an end; any number of unknown ones is asked for | asked for again after six hours; unknown ones by budget, those that are not there remembered for 30 s |
//! | a document without keys, or with none that can be used, withdraws all | is a failure |
//! | a token names a key that is not in the document: no | the document is read again, once a minute at most |
//! | numbers of a person as floats (`42.0`), lists as addresses of memory, names with a colon | `42`; left out, as browsers cannot read a prefix that nobody has declared |
//! | a clock in 1970 | no token is believed |
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod algorithm;
mod claims;
mod key;
mod keys;
pub mod limits;
mod pattern;
mod refusal;
mod room;
mod rules;
mod sign;
mod token;

pub use algorithm::{Algorithm, Hash};
pub use claims::{Claims, Features, Member, RoomContext, User};
pub use key::{KeyError, KeyId, RsaKey};
pub use keys::{Answer, Fetch, FetchId, Keys, Need, Output, Settled};
pub use pattern::{PatternError, first_match};
pub use refusal::{Condition, Refusal};
pub use room::{Admitted, Place, RoomRefusal};
pub use rules::{Caution, RulesError, Servers, Settings, TokenRules};
pub use sign::{Guest, ShortLived, SignError, Signer};
pub use token::Unverified;
