//! What Jitsi puts into presences: a presence's children in, typed extensions out, and back.

mod muc_user;
mod properties;
mod source_info;

pub use muc_user::{Affiliation, Destroy, Item, MucUser, Role};
pub use properties::{Caps, ConferenceProperties, StartMuted};
pub use source_info::{SourceInfo, SourceState};
