//! Everything Jitsi says on a wire: XML and JSON text in, checked types out, and back. Pure, no I/O.
//!
//! Serialised XML is pinned by tests, because the web client matches *literal* attributes: see
//! [`xml`] for the one rule that follows from this.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod entropy;
pub mod ids;
pub mod iq;
pub mod jid;
pub mod ns;
pub mod sensitive;
pub mod stanza_error;
pub mod xml;

pub use entropy::Entropy;
pub use jid::{BareJid, FullJid, Jid};
pub use sensitive::Sensitive;
pub use stanza_error::{Condition, ErrorType, StanzaError};
pub use xml::Element;
