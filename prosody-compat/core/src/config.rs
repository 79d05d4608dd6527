//! What the server serves: hosts, accounts, and the options of Jitsi's modules, with the defaults of upstream's
//! containers.

use std::collections::BTreeMap;
use std::time::Duration;

use jitsi_xmpp::{BareJid, Jid, Sensitive};

use crate::limits::Limits;
use crate::policy::Policy;

/// How people log in on the main domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MainAuth {
    /// SASL ANONYMOUS only.
    Anonymous,
    /// User name and password; guests come in through `guest_domain`.
    Internal,
}

/// An account with a password.
#[derive(Debug, Clone)]
pub struct Account {
    /// `focus@auth.meet.jitsi`
    pub jid: BareJid,
    /// In clear text: it comes from the environment or a file of the admin.
    pub password: Sensitive<String>,
}

/// Credentials of a TURN server.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// None: STUN, or an open relay.
    None,
    /// The same for everybody.
    Static {
        /// User name.
        username: Sensitive<String>,
        /// Password.
        password: Sensitive<String>,
    },
    /// Made per request from the secret shared with the TURN server.
    Secret(Sensitive<String>),
    /// The same for the TURN server of this process, which counts by name: each session has its own, that tells nobody who it is.
    Own(Sensitive<String>),
}

/// A STUN or TURN server offered to clients (XEP-0215).
#[derive(Debug, Clone)]
pub struct ExternalService {
    /// `stun`, `turn` or `turns`.
    pub kind: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `udp` or `tcp`.
    pub transport: String,
    /// How clients authenticate there.
    pub credentials: Credentials,
    /// How long credentials are valid. 24 h, as upstream.
    pub ttl: Duration,
}

/// The server's configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `meet.jitsi`: clients log in here.
    pub domain: String,
    /// `auth.meet.jitsi`: the roles log in here.
    pub auth_domain: String,
    /// `muc.meet.jitsi`: the meetings.
    pub muc_domain: String,
    /// `internal-muc.meet.jitsi`: the breweries.
    pub internal_muc_domain: String,
    /// `focus.meet.jitsi`: relays conference requests to the focus.
    pub focus_domain: String,
    /// `metadata.meet.jitsi`: room metadata.
    pub metadata_domain: String,
    /// `guest.meet.jitsi`: anonymous guests, when the main domain wants a password.
    pub guest_domain: Option<String>,
    /// `hidden.meet.jitsi`: invisible participants (recorder, transcriber).
    pub hidden_domain: Option<String>,
    /// How people log in on `domain`.
    pub main_auth: MainAuth,
    /// Accounts with a password, on any host.
    pub accounts: Vec<Account>,
    /// Owners of every room, who may create rooms: focus, jvb, jibri, jigasi.
    pub admins: Vec<BareJid>,
    /// Accounts without the client limits: focus, jvb.
    pub unlimited: Vec<BareJid>,
    /// The account that `focus_domain` relays to.
    pub focus: BareJid,
    /// Whether TCP clients must encrypt before they log in.
    pub require_encryption: bool,
    /// Whether the server can encrypt TCP connections, so that STARTTLS is offered.
    pub offer_tls: bool,
    /// Offer polls (`DISABLE_POLLS` switches them off).
    pub polls: bool,
    /// Offer moderation of microphones, cameras and screens (`ENABLE_AV_MODERATION`).
    pub av_moderation: bool,
    /// Offer to end the meeting for all (`ENABLE_END_CONFERENCE`).
    pub end_conference: bool,
    /// Answer how many are in a room, and who, to who asks over HTTP from inside (upstream's `muc_size` in `XMPP_MODULES`).
    pub room_size: bool,
    /// Answer which rooms there are (upstream's `muc_census`).
    pub room_census: bool,
    /// Answer whether a room has a password (upstream's `muc_password_check`).
    pub room_info: bool,
    /// Where the booking system is that says which meetings there may be (upstream's `reservations_api_prefix`), without a slash at
    /// the end. `None`: everybody may open one.
    pub reservations: Option<Sensitive<String>>,
    /// Push the component addresses at bind (upstream's `jiconop`), which saves clients several round trips.
    pub push_components: bool,
    /// Serve tenants: `room@muc.<tenant>.meet.jitsi`.
    pub tenants: bool,
    /// What holds in the meetings.
    pub policy: Policy,
    /// What holds in the meetings of a tenant instead, by its name.
    pub tenant_policies: BTreeMap<String, Policy>,
    /// STUN and TURN servers; may be empty.
    pub external_services: Vec<ExternalService>,
    /// How long a client's session waits to be resumed. 70 s: clients try until about 65 s (client §2.5).
    pub resume_timeout: Duration,
    /// The same for accounts of `auth_domain`. 15 s, as upstream.
    pub resume_timeout_auth: Duration,
    /// Name of the shard, told to clients.
    pub shard: Option<String>,
    /// Region of the server, told to clients.
    pub region: Option<String>,
    /// Release, told to clients.
    pub release: Option<String>,
    /// Bounds.
    pub limits: Limits,
}

impl Config {
    /// The defaults of upstream's containers below `domain`.
    pub fn for_domain(domain: &str) -> Result<Self, ConfigError> {
        let domain: Jid = domain.parse().map_err(|_| ConfigError::Domain)?;
        let domain = domain.domain();
        let auth_domain = format!("auth.{domain}");
        let account = |node| BareJid::from_parts(node, &auth_domain).map_err(|_| ConfigError::Domain);
        let (focus, jvb) = (account("focus")?, account("jvb")?);
        Ok(Self {
            muc_domain: format!("muc.{domain}"),
            internal_muc_domain: format!("internal-muc.{domain}"),
            focus_domain: format!("focus.{domain}"),
            metadata_domain: format!("metadata.{domain}"),
            guest_domain: None,
            hidden_domain: None,
            main_auth: MainAuth::Anonymous,
            accounts: Vec::new(),
            admins: vec![focus.clone(), jvb.clone()],
            unlimited: vec![focus.clone(), jvb],
            policy: Policy {
                password_exempt: vec![focus.as_jid().clone()],
                uncounted: vec![focus.as_jid().clone()],
                ..Policy::default()
            },
            tenant_policies: BTreeMap::new(),
            focus,
            require_encryption: true,
            offer_tls: true,
            polls: true,
            av_moderation: true,
            end_conference: true,
            room_size: false,
            room_census: false,
            room_info: false,
            reservations: None,
            push_components: true,
            tenants: true,
            external_services: Vec::new(),
            resume_timeout: Duration::from_secs(70),
            resume_timeout_auth: Duration::from_secs(15),
            shard: None,
            region: None,
            release: None,
            limits: Limits::default(),
            auth_domain,
            domain: domain.to_owned(),
        })
    }

    /// Adds an account with a password.
    #[must_use]
    pub fn with_account(mut self, jid: BareJid, password: impl Into<String>) -> Self {
        self.accounts.push(Account { jid, password: Sensitive::new(password.into()) });
        self
    }
}

/// Why a configuration cannot be served. Blame: the admin. Consequence: the server does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The domain is no valid host name.
    #[error("the XMPP domain is not valid")]
    Domain,
}
