//! The XMPP server as Jitsi's clients, focus and bridges know it (Prosody with Jitsi's modules): stanzas and
//! connection events in, bytes to send and connections to close out. Pure: no sockets, no clock, no files.
//!
//! # How the shell drives it
//!
//! Every input takes `now`. After each input drain [`Server::poll_output`] until `None`, carry the effects out in
//! that order, then sleep until [`Server::poll_timeout`] or the next input, and call [`Server::handle_timeout`].
//!
//! | input | when | bytes |
//! |---|---|---|
//! | [`Server::handle_clock`] | once at start, then about every minute | wall clock, for `<delay/>` stamps and TURN credentials |
//! | [`Server::handle_open`] | a connection exists | – |
//! | [`Server::handle_frame`] | something complete arrived | see below |
//! | [`Server::handle_tls`] | the TLS handshake asked for by [`Output::StartTls`] is done | – |
//! | [`Server::handle_framing_error`] | the transport's own framing broke, or a frame is over the limit | – |
//! | [`Server::handle_closed`] | the transport is gone or the shell dropped it (slow reader) | – |
//! | [`Server::handle_answer`] | a question of [`Output::Ask`] was answered, or nobody was there | – |
//! | [`Server::handle_account`] | an account of [`Output::Account`] was looked at | – |
//! | [`Server::handle_http`] | the admin asks over HTTP for one of [`Server::http_routes`] | answered by [`Output::Reply`] |
//! | [`Server::handle_account_ended`] | an account was deleted or disabled, or has another password | – |
//! | [`Server::handle_reload`] | there is another configuration | – |
//! | [`Server::handle_shell`] | an admin asks or changes something | answered at once |
//! | [`Server::handle_idle`] | another process takes the new meetings | who is in none is sent there |
//! | [`Server::handle_shutdown`] | the server stops | – |
//!
//! What a *frame* is, by [`Transport`]:
//!
//! - **WebSocket** (RFC 7395): one text frame, both ways. Nothing else to do in the shell.
//! - **TCP**: the bytes of one `StreamItem` (`Open`: the start tag as it stands; `Element`); for `Close` pass
//!   `</stream:stream>`. Sent bytes are written as they are. After [`Output::ResetStream`] (SASL success) and after
//!   [`Output::StartTls`] the splitter must be reset: the peer starts a new stream.
//! - **BOSH**: one child of a `<body/>`. Session creation and `xmpp:restart="true"` are passed as the frame
//!   `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="…"/>`, answered by `<stream:features/>` alone;
//!   `type="terminate"` as `<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>` after its stanzas. Sent frames are
//!   children of a `<body/>` and carry their namespaces. After [`Output::Close`] end the session with
//!   [`CloseReason::bosh_condition`].
//! - **InProcess**: one stanza, both ways. The session is bound at once, without authentication.
//!
//! An empty or white-space frame counts as a sign of life and nothing else.
//!
//! A WebSocket is closed with code 1000 after [`Output::Close`], once everything sent before has been written. The
//! shell must bound what it keeps per connection ([`Limits::max_send_backlog_bytes`]): beyond that it drops the
//! connection and calls [`Server::handle_closed`]. Stream management lets such a client resume.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

// What there is: words, then state. None of these knows a module or a rule.
pub mod bosh;
mod clock;
mod config;
mod connection;
mod counters;
mod external_services;
mod identity;
mod kept;
pub mod limits;
#[cfg(feature = "test-observer")]
mod observer;
mod outbox;
mod output;
mod places;
mod policy;
mod request;
mod room;
mod rooms;
mod session;
mod slots;
mod stanza;
mod table;
mod tenants;
mod unacked;
mod world;
// What a room can do beyond XEP-0045: one file per module, asked by the engine.
mod module;
mod modules;
// Which domain is what.
mod asked;
mod auth;
mod hosts;
mod keys;
// What an admin changes while it runs.
mod account_end;
mod reload;
mod shell;
mod successor;
// What carries a stanza out.
mod component;
mod disco;
mod inside;
mod muc;
mod router;
mod server;
mod stream;
mod timers;
mod vhost;

pub use account_end::AccountEnd;
pub use auth::Mechanism;
pub use auth::record::{AccountRecord, NotUnderstood};
pub use config::{
    AccessManager, Account, Config, ConfigError, Credentials, ExternalService, SharedSecret, ShortLivedTokens,
};
pub use counters::{Counter, Counters, Did};
pub use limits::Limits;
pub use modules::{
    components as modules_of_components, on_rooms as modules_of_rooms, on_users as modules_of_users,
};
#[cfg(feature = "test-observer")]
pub use observer::{Observe, Observed};
pub use output::{
    AccountAnswer, AccountQuestion, Answer, CloseReason, ConnId, Frame, FramingError, HttpReply, KeyFetchId,
    Output, Proof, Question, QuestionId, RequestId, SessionQuery, Transport,
};
pub use policy::Policy;
pub use prosody_token as token;
pub use reload::Fixed;
pub use request::{HttpMethod, HttpRequest};
pub use server::{Server, Stats};
pub use shell::{Asked, ModuleChange, Said};
pub use table::{ComponentHost, Login, RoomsHost, Table, TableError, UsersHost};
