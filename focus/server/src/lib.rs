//! The focus' shell: an XMPP link and HTTP requests in; the engine driven, its stanzas and replies out. Decides
//! nothing.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

mod config;
mod debug;
mod handover;
mod http;
mod keeping;
pub mod limits;
mod orders;
mod run;
mod unsent;

pub use config::{ConfigError, FocusConfig, RawConfig};
pub use focus_core::{
    BridgesConfig, Config, HttpAnswer as HttpConferenceReply, IceFailures, LoginConfig, Redistribution,
    Stats, Strategy, VisitorsConfig,
};
pub use handover::{Handover, Kept, TakeOverError};
pub use http::router;
pub use run::{FocusHandle, HttpConferenceRequest, Restart, focus, successor};
