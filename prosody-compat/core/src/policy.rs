//! What an admin decides about rooms: one value per host, and another for a tenant that has its own.

use jitsi_xmpp::{BareJid, Jid};

/// The options of Jitsi's modules for rooms.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Everybody who joins becomes an owner (upstream's `muc_allowners`). Off: the focus grants ownership.
    pub all_owners: bool,
    /// Nicks must start with the first 8 characters of an anonymous user's node.
    pub strict_nicks: bool,
    /// Most participants of a meeting (`MAX_PARTICIPANTS`).
    pub max_participants: Option<usize>,
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
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            all_owners: false,
            strict_nicks: false,
            max_participants: None,
            uncounted: Vec::new(),
            password_exempt: Vec::new(),
            token_exempt: Vec::new(),
            lobby_exempt: Vec::new(),
            lobby_asks_name: true,
            admitted: Vec::new(),
            default_permissions: DEFAULT_PERMISSIONS.iter().map(|p| (*p).to_owned()).collect(),
        }
    }
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
    "flip",
];
