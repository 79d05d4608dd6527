//! Everything Jitsi says on a wire: XML and JSON text in, checked types out, and back. Pure, no I/O.
//!
//! Serialised XML is pinned by tests, because the web client matches *literal* attributes: see
//! [`xml`] for the one rule that follows from this.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

pub mod bridge_channel;
pub mod bridge_stats;
pub mod colibri2;
pub mod conference_request;
pub mod disco;
pub mod entropy;
pub mod forms;
pub mod health;
pub mod ids;
pub mod iq;
pub mod jid;
pub mod jingle;
pub mod json;
pub mod limits;
pub mod ns;
mod parse;
pub mod prepare;
pub mod presence;
pub mod room;
pub mod sasl;
pub mod sensitive;
pub mod stanza_error;
mod words;
pub mod xml;

pub use entropy::Entropy;
pub use jid::{BareJid, FullJid, Jid};
pub use limits::MAX_ID_BYTES;
pub use parse::ParseError;
pub use room::{RoomAddress, RoomDomains, Tenant};
pub use sensitive::Sensitive;
pub use stanza_error::{Condition, ErrorType, StanzaError};
pub use xml::Element;
