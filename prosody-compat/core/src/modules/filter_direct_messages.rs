//! Upstream's `filter_direct_messages` (xmpp-server §4.43): people write into rooms and to who is there, never to somebody's
//! account, where no room's rules hold.

use jitsi_xmpp::{Condition, ErrorType, StanzaError};

use crate::module::Module;

pub(super) static MODULE: Module = Module {
    name: "filter_direct_messages",
    named: &["filter_direct_messages"],
    direct: Some(|sender| {
        if sender.identity.admin {
            return Ok(());
        }
        Err(StanzaError::new(Condition::NotAllowed)
            .with_type(ErrorType::Cancel)
            .with_text("Messages to this address are not allowed"))
    }),
    ..Module::NONE
};
