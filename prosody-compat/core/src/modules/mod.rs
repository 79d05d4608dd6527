//! Which host has which modules, in the order in which they are asked (xmpp-server §3.3).
//!
//! A new module is one file and one line here. A list is walked from the top at every hook; the first rule that does
//! not pass decides. A module with a domain of its own is advertised exactly when it stands here, in this order.

mod admission;
mod allowners;
mod av_moderation;
mod basics;
mod client_proxy;
mod components;
mod conference_duration;
mod end_conference;
mod external_services;
mod filter_access;
mod join_rate;
mod json_message;
mod max_occupants;
mod meeting_id;
mod metadata;
mod muc_census;
mod muc_password_check;
mod muc_size;
mod password_whitelist;
mod permissions;
mod polls;
mod push;
mod region;
mod reservations;
mod resource_validate;
mod retract;
mod room_password;
mod speakerstats;
mod start_muted;
mod strip;
mod waiting;

use crate::module::Module;

/// Where people meet.
pub(crate) static MEETINGS: &[&Module] = &[
    &waiting::MODULE,
    &strip::MODULE,
    &json_message::MODULE,
    &retract::MODULE,
    &resource_validate::MODULE,
    &max_occupants::MODULE,
    &meeting_id::MODULE,
    &allowners::MODULE,
    &region::MODULE,
    &admission::CREATION,
    &reservations::MODULE,
    &admission::MEMBERS_ONLY,
    &password_whitelist::MODULE,
    &admission::OUTCAST,
    &room_password::MODULE,
    &admission::NICK,
    &admission::LIMITS,
    &join_rate::MODULE,
    &permissions::MODULE,
    &conference_duration::MODULE,
    &start_muted::MODULE,
    &client_proxy::MODULE,
    &speakerstats::MODULE,
    &end_conference::MODULE,
    &av_moderation::MODULE,
    &metadata::MODULE,
    &polls::MODULE,
];

/// Where people log in.
pub(crate) static PEOPLE: &[&[&Module]] =
    &[&[&components::MODULE], LOGINS, &[&muc_size::MODULE, &muc_census::MODULE, &muc_password_check::MODULE]];

/// Where roles and recorders log in, who ask for what they want.
pub(crate) static ACCOUNTS_ALONE: &[&[&Module]] = &[LOGINS];

/// What everybody who logs in may ask.
const LOGINS: &[&Module] = &[
    &basics::DISCO,
    &basics::PING,
    &basics::VERSION,
    &basics::ROSTER,
    &basics::SESSION,
    &external_services::MODULE,
];

/// Where roles publish their load.
pub(crate) static BREWERIES: &[&Module] = &[
    &waiting::MODULE,
    &filter_access::MODULE,
    &strip::MODULE,
    &admission::CREATION,
    &admission::MEMBERS_ONLY,
    &password_whitelist::MODULE,
    &admission::OUTCAST,
    &room_password::MODULE,
    &admission::NICK,
    &admission::LIMITS,
];
