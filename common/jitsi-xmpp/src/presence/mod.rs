//! What Jitsi puts into presences: a presence's children in, typed extensions out, and back.

mod muc_user;
mod properties;
mod source_info;

pub use muc_user::{Affiliation, Destroy, Item, MucUser, Role};
pub use properties::{
    Caps, ConferenceProperties, StartMuted, codec_list, display_name, features, features_element, region,
    stats_id,
};
pub use source_info::{SourceInfo, SourceState, media_type};

#[cfg(test)]
mod tests;
