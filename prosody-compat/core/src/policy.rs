//! What an admin decides about rooms: one value per host, and another for a tenant that has its own.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use jitsi_xmpp::{BareJid, Jid};

use crate::limits;

/// The options of Jitsi's modules for rooms.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whoever comes first opens a room. Off: roles alone do, as in upstream's meetings (`restrict_room_creation`).
    pub anybody_creates: bool,
    /// Everybody who joins becomes an owner (upstream's `muc_allowners`). Off: the focus grants ownership.
    pub all_owners: bool,
    /// Nicks must start with the first 8 characters of an anonymous user's node.
    pub strict_nicks: bool,
    /// Most participants of a meeting (`MAX_PARTICIPANTS`).
    pub max_participants: Option<usize>,
    /// The same of single rooms, by name (`max_occupants_for_rooms`).
    pub max_participants_of_rooms: BTreeMap<String, usize>,
    /// Minutes after which a meeting ends, where `time_restricted` or `per_room_time_restricted` is named
    /// (`conference_max_minutes`). `None`: ten.
    pub max_minutes: Option<u32>,
    /// The same of single rooms, by name (`max_minutes_for_rooms`).
    pub max_minutes_of_rooms: BTreeMap<String, u32>,
    /// Time beyond these in which people say goodbye (`conference_grace_seconds`).
    pub minutes_grace: Duration,
    /// Bare JIDs and domains that `max_participants` neither counts nor stops.
    pub uncounted: Vec<Jid>,
    /// Bare JIDs and domains that join without the room's password.
    pub password_exempt: Vec<Jid>,
    /// Bare JIDs and domains that come in without a token, where `token_verification` is named; recorders and transcribers always
    /// do.
    pub token_exempt: Vec<Jid>,
    /// Bare JIDs and domains that go past the lobby (upstream's `muc_lobby_whitelist`).
    pub lobby_exempt: Vec<Jid>,
    /// Clients ask for a name before they knock (upstream's `muc_lobby_check_display_name_required`).
    pub lobby_asks_name: bool,
    /// Domains whose users may talk to the rooms, where `muc_filter_access` is named.
    pub admitted: Vec<String>,
    /// Permissions given to moderators without a token (upstream's `jitsi_default_permissions`).
    pub default_permissions: Vec<String>,
    /// Only moderators see names, where `muc_displayname` is named (upstream's room data `hideDisplayNameForGuests`).
    pub hide_names: bool,
    /// Keys of the metadata that clients do not set (upstream's `room_metadata_blocked_keys`).
    pub blocked_metadata: Vec<String>,
    /// Rooms in which only those with a token become owners, although all do elsewhere (`allowners_moderated_rooms`).
    pub moderated_rooms: Vec<String>,
    /// The same of tenants (`allowners_moderated_subdomains`).
    pub moderated_tenants: Vec<String>,
    /// Who has logged in or has a token owns the room, where `muc_wait_for_host` is named
    /// (`WAIT_FOR_HOST_DISABLE_AUTO_OWNERS`, the other way round).
    pub hosts_own: bool,
    /// Owners may take that from each other although all are (`allowners_disable_revoke_owners`).
    pub owners_revoke: bool,
    /// Most messages of a meeting, where `muc_limit_messages` is named (`muc_limit_messages_count`).
    pub max_messages: Option<usize>,
    /// Somebody with a token who writes ends that (`muc_limit_messages_check_token`).
    pub tokens_lift_max_messages: bool,
    /// Joins a second of a room, where `muc_rate_limit` is named (`muc_rate_joins`). `None`: the server's.
    pub joins_per_second: Option<NonZeroU32>,
    /// Who watches and raises a hand comes in, and everybody may come by the door while others watch
    /// (`auto_allow_visitor_promotion`). Off: a moderator says who.
    pub viewers_come_in: bool,
    /// Most people that one listens to in another language (`audio_translation_max_subscriptions`). `None`: the server's.
    pub max_translations: Option<usize>,
    /// How long changes of whom people want to hear in which language are collected (`audio_translation_debounce_interval`).
    pub translations_told_after: Duration,
    /// How long recorders and transcribers stay alone, where `muc_cleanup_backend_services` is named
    /// (`services_empty_meeting_timeout`).
    pub services_alone: Duration,
    /// Most calls to telephones, at once of one person and within a minute of one session, where `filter_iq_rayo` is named
    /// (`max_number_outgoing_calls`). `None`: any number.
    pub max_outgoing_calls: Option<NonZeroU32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            anybody_creates: false,
            all_owners: false,
            strict_nicks: false,
            max_participants: None,
            max_participants_of_rooms: BTreeMap::new(),
            max_minutes: None,
            max_minutes_of_rooms: BTreeMap::new(),
            minutes_grace: Duration::ZERO,
            uncounted: Vec::new(),
            password_exempt: Vec::new(),
            token_exempt: Vec::new(),
            lobby_exempt: Vec::new(),
            lobby_asks_name: true,
            admitted: Vec::new(),
            default_permissions: owned(DEFAULT_PERMISSIONS),
            hide_names: false,
            blocked_metadata: owned(BLOCKED_METADATA),
            moderated_rooms: Vec::new(),
            moderated_tenants: Vec::new(),
            hosts_own: true,
            owners_revoke: false,
            max_messages: None,
            tokens_lift_max_messages: false,
            joins_per_second: None,
            viewers_come_in: true,
            max_translations: None,
            translations_told_after: limits::TRANSLATIONS_TOLD_AFTER,
            services_alone: limits::SERVICES_ALONE,
            max_outgoing_calls: None,
        }
    }
}

impl Policy {
    /// Most participants of a room with this name.
    pub(crate) fn participants_of(&self, room: &str) -> Option<usize> {
        self.max_participants_of_rooms.get(room).copied().or(self.max_participants)
    }

    /// Minutes of one.
    pub(crate) fn minutes_of(&self, room: &str) -> Option<u32> {
        self.max_minutes_of_rooms.get(room).copied().or(self.max_minutes)
    }
}

fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|p| (*p).to_owned()).collect()
}

/// Whether a list of bare JIDs and domains contains an account.
pub(crate) fn lists(list: &[Jid], bare: &BareJid) -> bool {
    list.iter().any(|j| match j.node() {
        Some(_) => j.bare_str() == bare.as_str(),
        None => j.domain() == bare.domain(),
    })
}

const DEFAULT_PERMISSIONS: &[&str] = &[
    "livestreaming",
    "recording",
    "transcription",
    "outbound-call",
    "create-polls",
    "send-groupchat",
    "send-private-message",
    "flip",
    "live-translation",
    "live-translation-subscribe",
];

/// What only the server and the focus set.
const BLOCKED_METADATA: &[&str] = &[
    "allownersEnabled",
    "asyncTranscription",
    "audioTranslationAvailable",
    "audioTranslationRequests",
    "conferencePresetsServiceEnabled",
    "dialinEnabled",
    "moderators",
    "participants",
    "participantsSoftLimit",
    "services",
    "transcriberType",
    "transcription",
    "visitorsEnabled",
];
