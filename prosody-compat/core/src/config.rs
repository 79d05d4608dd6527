//! What the server serves: hosts, accounts, and the options of Jitsi's modules, with the defaults of upstream's
//! containers.

use std::sync::Arc;
use std::time::Duration;

use jitsi_xmpp::{BareJid, Jid, Sensitive};
use prosody_token::{Signer, TokenRules};

use crate::identity::Unseen;
use crate::limits::Limits;
use crate::policy::Policy;
use crate::table::Table;

/// An account with a password.
#[derive(Debug, Clone)]
pub struct Account {
    /// `focus@auth.meet.jitsi`
    pub jid: BareJid,
    /// In clear text: it comes from the environment or a file of the admin.
    pub password: Sensitive<String>,
}

/// A host where everybody who knows a secret logs in, under any name (upstream's `auth_jitsi-shared-secret`).
#[derive(Debug, Clone)]
pub struct SharedSecret {
    /// Its domain; how people log in there is with accounts.
    pub domain: String,
    /// In clear text, as accounts' passwords.
    pub secret: Sensitive<String>,
    /// The one before, which counts beside it while programs are told the new one. `None`: no other counts.
    pub previous: Option<Sensitive<String>>,
}

/// A service that says who of those with a token may not come in (upstream's `muc_prosody_jitsi_access_manager_url`).
#[derive(Debug, Clone)]
pub struct AccessManager {
    /// The host whose logins it is asked about.
    pub domain: String,
    /// Where, with `GET` and the token.
    pub url: Sensitive<String>,
    /// How the names of tenants begin whose people it is asked about; empty: everybody's. Upstream's is `vpaas-magic-cookie-`.
    pub tenants: String,
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

/// What tokens of our own say, for services that people of a meeting use.
#[derive(Debug)]
pub struct ShortLivedTokens {
    /// `iss`.
    pub issuer: String,
    /// Services that they are for: `aud`.
    pub audiences: Vec<String>,
    /// What signs them.
    pub signer: Signer,
    /// How long they count.
    pub lasts: Duration,
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
    /// Which domains there are, and what each is for.
    pub hosts: Table,
    /// Accounts with a password, on any host. They have the last word.
    pub accounts: Vec<Account>,
    /// Hosts where a secret is everybody's password.
    pub shared_secrets: Vec<SharedSecret>,
    /// At most one a host.
    pub access_managers: Vec<AccessManager>,
    /// Whether there are more accounts than those, which the shell is asked for.
    pub more_accounts: bool,
    /// Owners of every room, who may create rooms: focus, jvb, jibri, jigasi.
    pub admins: Vec<BareJid>,
    /// Accounts without the client limits: focus, jvb.
    pub unlimited: Vec<BareJid>,
    /// The account that the `client_proxy` relays to.
    pub focus: BareJid,
    /// How the bare addresses of recorders begin, as upstream's `recorder_prefixes`.
    pub recorders: Vec<String>,
    /// The same of transcribers.
    pub transcribers: Vec<String>,
    /// Whether TCP clients must encrypt before they log in.
    pub require_encryption: bool,
    /// Whether the server can encrypt TCP connections, so that STARTTLS is offered.
    pub offer_tls: bool,
    /// Where the booking system is that says which meetings there may be (upstream's `reservations_api_prefix`), without a slash at
    /// the end. `None`: everybody may open one.
    pub reservations: Option<Sensitive<String>>,
    /// What tokens of programs have to be like that change meetings over HTTP (upstream's `prosody_password_public_key_repo_url`).
    /// Each with its key; none: no program may.
    pub programs: Vec<Arc<TokenRules>>,
    /// Tokens of our own for people in a meeting (upstream's `short_lived_token`). `None`: nobody gets one.
    pub short_lived_tokens: Option<Arc<ShortLivedTokens>>,
    /// Serve tenants: `room@muc.<tenant>.meet.jitsi`.
    pub tenants: bool,
    /// STUN and TURN servers; may be empty.
    pub external_services: Vec<ExternalService>,
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
        let auth = format!("auth.{domain}");
        let account = |node| BareJid::from_parts(node, &auth).map_err(|_| ConfigError::Domain);
        let (focus, jvb) = (account("focus")?, account("jvb")?);
        let mut config = Self {
            hosts: Table::docker(domain),
            accounts: Vec::new(),
            shared_secrets: Vec::new(),
            access_managers: Vec::new(),
            more_accounts: false,
            admins: vec![focus.clone(), jvb.clone()],
            unlimited: vec![focus.clone(), jvb],
            focus: focus.clone(),
            recorders: Vec::new(),
            transcribers: Vec::new(),
            require_encryption: true,
            offer_tls: true,
            reservations: None,
            programs: Vec::new(),
            short_lived_tokens: None,
            tenants: true,
            external_services: Vec::new(),
            shard: None,
            region: None,
            release: None,
            limits: Limits::default(),
        };
        config.exempt(&focus);
        Ok(config)
    }

    /// An account that no room's password and no limit of people stops.
    pub fn exempt(&mut self, account: &BareJid) {
        let parts: Vec<String> = self.hosts.rooms.iter().filter_map(|r| r.breakouts.clone()).collect();
        // What holds in a meeting holds in its breakout rooms.
        for rooms in self.hosts.rooms.iter_mut().filter(|r| !parts.contains(&r.domain)) {
            rooms.policy.password_exempt.push(account.as_jid().clone());
            rooms.policy.uncounted.push(account.as_jid().clone());
        }
    }

    /// Adds an account with a password.
    #[must_use]
    pub fn with_account(mut self, jid: BareJid, password: impl Into<String>) -> Self {
        self.accounts.push(Account { jid, password: Sensitive::new(password.into()) });
        self
    }

    /// `meet.jitsi`: where people log in.
    pub fn domain(&self) -> &str {
        self.hosts.users.first().map_or("", |h| &h.domain)
    }

    /// `muc.meet.jitsi`: the meetings.
    pub fn muc_domain(&self) -> &str {
        self.hosts.rooms.first().map_or("", |h| &h.domain)
    }

    /// What holds in the meetings, those of tenants aside. `None`: no rooms are anywhere.
    pub fn policy_mut(&mut self) -> Option<&mut Policy> {
        self.hosts.rooms.first_mut().map(|h| &mut h.policy)
    }

    /// Whether an account is that of a service which clients hide.
    pub(crate) fn unseen(&self, bare: &BareJid) -> Option<Unseen> {
        let begins = |prefixes: &[String]| prefixes.iter().any(|p| bare.as_str().starts_with(p.as_str()));
        match () {
            () if begins(&self.recorders) => Some(Unseen::Recorder),
            () if begins(&self.transcribers) => Some(Unseen::Transcriber),
            () => None,
        }
    }
}

/// Why a configuration cannot be served. Blame: the admin. Consequence: the server does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The domain is no valid host name.
    #[error("the XMPP domain is not valid")]
    Domain,
}
