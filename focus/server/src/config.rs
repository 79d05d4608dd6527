//! The focus' settings as written in; checked ones for the engine and its link out.

use serde::Deserialize;

use focus_core::Config;
use jitsi_xmpp::jid::JidError;
use jitsi_xmpp::{BareJid, Sensitive};
use xmpp_link::{LinkConfig, TlsMode};

/// As written in a configuration file. What is left out follows from `domain`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawConfig {
    /// Public XMPP domain.
    pub domain: String,
    /// Domain of the focus' account; default `auth.<domain>`.
    pub auth_domain: Option<String>,
    /// Domain of the rooms; default `muc.<domain>`.
    pub muc_domain: Option<String>,
    /// Bare JID of the bridges' room; default `jvbbrewery@internal-muc.<domain>`.
    pub bridge_brewery: Option<String>,
    /// Component that passes conference requests on; default `focus.<domain>`, empty for none.
    pub client_proxy: Option<String>,
    /// Domains whose accounts may be recorders, gateways or transcribers.
    pub trusted_domains: Vec<String>,
    /// The first participant becomes moderator.
    pub auto_owner: bool,
    /// Offer SSRC rewriting to clients that can do it.
    pub ssrc_rewriting: bool,
    /// Offer a data channel.
    pub sctp: bool,
    /// Offer opus with redundancy, payload type 112.
    pub opus_red: bool,
    /// XMPP server, `host:port`; not used for a link inside the process.
    pub xmpp_server: String,
    /// Account name; also the nick, which has to be `focus`.
    pub username: String,
    /// Its password.
    #[serde(skip)]
    pub password: Sensitive<String>,
    /// Refuse a server without TLS.
    pub require_tls: bool,
    /// Check the server's certificate.
    pub verify_certificate: bool,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            domain: "meet.jitsi".into(),
            auth_domain: None,
            muc_domain: None,
            bridge_brewery: None,
            client_proxy: None,
            trusted_domains: Vec::new(),
            auto_owner: true,
            ssrc_rewriting: true,
            sctp: true,
            opus_red: false,
            xmpp_server: "127.0.0.1:5222".into(),
            username: "focus".into(),
            password: Sensitive::default(),
            require_tls: false,
            verify_certificate: true,
        }
    }
}

/// Settings that hold together.
#[derive(Debug, Clone)]
pub struct FocusConfig {
    /// For the engine.
    pub engine: Config,
    /// For a link over TCP.
    pub link: LinkConfig,
}

/// Why settings do not hold together. Blame: whoever wrote them. Consequence: the focus does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A name is not a domain or an address.
    #[error("focus: `{key}` is not a valid XMPP address: {reason}")]
    Address {
        /// Which setting.
        key: &'static str,
        /// Why.
        reason: JidError,
    },
    /// The room's nick comes from it, and everybody else looks for that nick.
    #[error("focus: `username` has to be `focus`: clients and server modules know the focus by this name")]
    Username,
}

impl RawConfig {
    /// Checks and completes the settings.
    pub fn check(self) -> Result<FocusConfig, ConfigError> {
        let address = |key| move |reason| ConfigError::Address { key, reason };
        if self.username != "focus" {
            return Err(ConfigError::Username);
        }
        let mut engine = Config::for_domain(&self.domain).map_err(address("domain"))?;
        if let Some(muc) = self.muc_domain {
            let jid: BareJid = muc.parse().map_err(address("muc_domain"))?;
            engine.muc_domain = jid.domain().to_owned();
        }
        if let Some(brewery) = self.bridge_brewery {
            engine.brewery = brewery.parse().map_err(address("bridge_brewery"))?;
        }
        if let Some(proxy) = self.client_proxy {
            engine.client_proxy = (!proxy.is_empty()).then_some(proxy);
        }
        engine.trusted_domains = self.trusted_domains;
        engine.auto_owner = self.auto_owner;
        engine.ssrc_rewriting = self.ssrc_rewriting;
        engine.sctp = self.sctp;
        engine.offer.opus_red = self.opus_red.then_some(112);
        let link = LinkConfig {
            address: self.xmpp_server,
            domain: self.auth_domain.unwrap_or_else(|| format!("auth.{}", self.domain)),
            username: self.username.clone(),
            password: self.password,
            resource: self.username,
            tls: if self.require_tls { TlsMode::Required } else { TlsMode::IfOffered },
            verify_certificate: self.verify_certificate,
            resume_within: None,
        };
        Ok(FocusConfig { engine, link })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_follows_from_the_domain() {
        let c = RawConfig { domain: "meet.example".into(), ..RawConfig::default() }.check().unwrap();
        assert_eq!(c.engine.muc_domain, "muc.meet.example");
        assert_eq!(c.engine.brewery.as_str(), "jvbbrewery@internal-muc.meet.example");
        assert_eq!(c.engine.client_proxy.as_deref(), Some("focus.meet.example"));
        assert_eq!((c.link.domain.as_str(), c.link.username.as_str()), ("auth.meet.example", "focus"));
    }

    #[test]
    fn a_focus_of_another_name_and_a_broken_address_are_refused() {
        let other = RawConfig { username: "jicofo".into(), ..RawConfig::default() };
        assert!(matches!(other.check(), Err(ConfigError::Username)));
        let broken = RawConfig { bridge_brewery: Some("a@b@c".into()), ..RawConfig::default() };
        assert!(matches!(broken.check(), Err(ConfigError::Address { key: "bridge_brewery", .. })));
    }
}
