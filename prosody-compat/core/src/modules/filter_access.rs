//! Upstream's `muc_filter_access` (xmpp-server §4.17): presence in the breweries from other domains than the
//! roles' is dropped without a word, so that clients cannot look into them.

use crate::module::Module;

pub(super) static MODULE: Module = Module {
    name: "filter_access",
    named: &["muc_filter_access"],
    access: Some(|host, sender| {
        let admitted = &host.policy(None).admitted;
        admitted.iter().any(|domain| domain == sender.bare.domain())
    }),
    ..Module::NONE
};
