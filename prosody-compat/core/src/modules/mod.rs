//! Which host has which modules, in the order in which they are asked (xmpp-server §3.3).
//!
//! A new module is one file and one line here. A list is walked from the top at every hook; the first rule that does
//! not pass decides. Which of them a host has is what its row in the [`Table`](crate::Table) names.

mod admission;
mod allowners;
mod audience;
mod audio_translation;
mod av_moderation;
mod basics;
pub(crate) mod breakout_rooms;
mod cleanup_backend_services;
mod client_proxy;
mod components;
mod conference_duration;
mod displayname;
mod end_conference;
mod external_services;
mod filesharing;
mod filter_access;
mod filter_direct_messages;
mod filter_iq_jibri;
mod filter_iq_rayo;
mod filter_messages;
mod flip;
mod frozen_nick;
mod hide_all;
mod jibri_session;
mod join_rate;
mod json_message;
mod limit_messages;
pub(crate) mod lobby;
mod lobby_autostart;
mod lobby_deactivate;
mod login_affiliation;
mod max_occupants;
mod meeting_id;
mod message_moderation;
mod metadata;
pub(crate) mod muc_auth_ban;
mod muc_census;
mod muc_end_meeting;
mod muc_jigasi_invite;
mod muc_kick_participant;
mod muc_password_check;
mod muc_size;
mod password_whitelist;
mod permissions;
mod polls;
mod presence_identity;
mod push;
mod region;
mod reservations;
mod resource_validate;
mod retract;
mod room_password;
mod shadow_ban;
mod short_lived_token;
mod speakerstats;
mod start_muted;
mod strip;
mod system_chat_message;
#[cfg(feature = "test-observer")]
pub(crate) mod test_observer;
#[cfg(test)]
mod tests;
mod time_restricted;
mod token_affiliation;
mod token_lobby_bypass;
mod token_no_wildcard;
mod token_owner_party;
pub(crate) mod token_verification;
mod turncredentials_http;
pub(crate) mod visitors;
mod wait_for_host;
mod waiting;

use crate::module::Module;
use crate::room::Room;
#[cfg(feature = "test-observer")]
pub(crate) use audio_translation::observed as observed_translations;
#[cfg(feature = "test-observer")]
pub(crate) use flip::observed as observed_devices;
#[cfg(feature = "test-observer")]
pub(crate) use hide_all::UPSTREAM as HIDES_ALL;
#[cfg(feature = "test-observer")]
pub(crate) use lobby::observed as observed_lobby;
#[cfg(feature = "test-observer")]
pub(crate) use metadata::observed as observed_metadata;

/// Rules of rooms, in the order in which they are asked.
pub(crate) static ROOMS: &[&Module] = &[
    &waiting::MODULE,
    &filter_access::MODULE,
    &hide_all::MODULE,
    &shadow_ban::MODULE,
    &strip::MODULE,
    &presence_identity::MODULE,
    &meeting_id::HEALTH,
    &token_no_wildcard::MODULE,
    &token_verification::MODULE,
    &frozen_nick::MODULE,
    &displayname::MODULE,
    &filter_messages::MODULE,
    &json_message::MODULE,
    &retract::MODULE,
    &limit_messages::MODULE,
    &message_moderation::MODULE,
    &filter_iq_rayo::MODULE,
    &filter_iq_jibri::MODULE,
    &jibri_session::MODULE,
    &resource_validate::MODULE,
    &max_occupants::MODULE,
    &meeting_id::MODULE,
    &region::MODULE,
    &admission::CREATION,
    &audience::MODULE,
    &audience::LANGUAGES,
    &visitors::MODULE,
    &breakout_rooms::MODULE,
    &reservations::MODULE,
    &token_owner_party::MODULE,
    &wait_for_host::DOOR,
    &flip::MODULE,
    &lobby_autostart::ALWAYS,
    &token_lobby_bypass::MODULE,
    // Before whoever has a token becomes more than a member.
    &lobby::MODULE,
    &token_affiliation::MODULE,
    &login_affiliation::MODULE,
    &admission::MEMBERS_ONLY,
    &password_whitelist::MODULE,
    &admission::OUTCAST,
    &room_password::MODULE,
    &admission::NICK,
    &admission::LIMITS,
    &join_rate::MODULE,
    // Whoever is let in; before, it would go past the lobby.
    &allowners::MODULE,
    &wait_for_host::OWNERS,
    &permissions::MODULE,
    &lobby_autostart::ON_OWNER,
    &lobby_deactivate::MODULE,
    &conference_duration::MODULE,
    &time_restricted::MODULE,
    &cleanup_backend_services::MODULE,
    &start_muted::MODULE,
    &client_proxy::MODULE,
    &speakerstats::MODULE,
    &end_conference::MODULE,
    &av_moderation::MODULE,
    &metadata::MODULE,
    &polls::MODULE,
    &filesharing::MODULE,
    &audio_translation::MODULE,
    // Sees what all of them let through.
    #[cfg(feature = "test-observer")]
    &test_observer::MODULE,
];

/// What hosts with users answer, in the order in which they are asked.
pub(crate) static USERS: &[&Module] = &[
    &components::IDENTITIES,
    &components::PUSH,
    &basics::DISCO,
    &basics::PING,
    &basics::VERSION,
    &basics::ROSTER,
    &basics::SESSION,
    &short_lived_token::MODULE,
    &external_services::MODULE,
    &filter_direct_messages::MODULE,
    &muc_auth_ban::MODULE,
    &muc_size::MODULE,
    &muc_census::MODULE,
    &muc_password_check::MODULE,
    &muc_end_meeting::MODULE,
    &muc_kick_participant::MODULE,
    &muc_jigasi_invite::MODULE,
    &system_chat_message::MODULE,
    &turncredentials_http::MODULE,
];

/// A meeting is watched from now on: what its modules know that those of the audience's room have to know.
pub(crate) fn share(meeting: &Room, audience: &mut Room) {
    meeting_id::share(meeting, audience);
    conference_duration::share(meeting, audience);
    metadata::share(meeting, audience);
    filesharing::share(meeting, audience);
}

/// Upstream's modules whose work the server does anyway: naming them changes nothing.
const ALWAYS: &[&str] = &[
    "bosh",
    "disco",
    "external_services",
    "jitsi_session",
    "limits",
    "limits_exception",
    "muc_domain_mapper",
    "persistent_lobby",
    "ping",
    "posix",
    "rate_limit",
    "room_destroy",
    "roster",
    "saslauth",
    "smacks",
    "tls",
    "turncredentials",
    "version",
    "websocket",
];

/// Modules that keep everybody out where nobody has a token.
pub(crate) const NEED_TOKENS: &[&str] = &[TOKEN_VERIFICATION, token_owner_party::NAME];

/// Upstream's module that looks at tokens.
pub(crate) const TOKEN_VERIFICATION: &str = token_verification::NAME;

/// Upstream's module for lobbies.
pub(crate) const LOBBY: &str = lobby::UPSTREAM;

/// Upstream's module that has guests wait for somebody who has logged in.
pub(crate) const WAIT_FOR_HOST: &str = wait_for_host::UPSTREAM;

/// Modules that open lobbies: there have to be some.
pub(crate) const NEED_LOBBY: &[&str] =
    &[LOBBY, WAIT_FOR_HOST, lobby_autostart::UPSTREAM, lobby_autostart::UPSTREAM_ON_OWNER];

/// Upstream's module for breakout rooms.
pub(crate) const BREAKOUTS: &str = breakout_rooms::UPSTREAM;

/// What is named on a host with users and acts in the breakout rooms of its meetings, too: what people say and show, not who comes
/// in.
pub(crate) const IN_BREAKOUTS: &[&str] = &[
    "conference_duration",
    "filter_messages",
    "frozen_nick",
    "muc_displayname",
    "muc_message_moderation",
    "presence_identity",
    "shadow_ban",
];

/// The same in their lobbies: who says who it is.
pub(crate) const IN_LOBBIES: &[&str] = &["frozen_nick", "presence_identity"];

/// Upstream's module for conference requests.
pub(crate) const PROXY: &str = client_proxy::NAME;

/// What may be named on a host with users: what answers there, and what acts in the meetings.
pub fn on_users() -> Vec<&'static str> {
    let rooms = ROOMS.iter().filter(|m| m.component.is_none());
    names(USERS.iter().chain(rooms))
}

/// What may be named on a host with rooms.
pub fn on_rooms() -> Vec<&'static str> {
    names(ROOMS.iter().filter(|m| m.component.is_none()))
}

/// What may have a domain of its own.
pub fn components() -> Vec<&'static str> {
    let mut all: Vec<_> =
        ROOMS.iter().filter(|m| m.component.is_some()).flat_map(|m| m.named).copied().collect();
    all.sort_unstable();
    all
}

/// The component that upstream calls so.
pub(crate) fn component(name: &str) -> Option<&'static Module> {
    ROOMS.iter().copied().find(|m| m.component.is_some() && m.named.contains(&name))
}

fn names<'a>(modules: impl Iterator<Item = &'a &'static Module>) -> Vec<&'static str> {
    let mut all: Vec<_> = modules.flat_map(|m| m.named).chain(ALWAYS).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}
