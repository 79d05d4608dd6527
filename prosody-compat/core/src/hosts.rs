//! A domain name in, which part of the server answers for it out.

use crate::components::COMPONENTS;
use crate::config::Config;
use crate::rules::tenants;

/// What a local domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// Clients log in here.
    Main,
    /// The roles log in here.
    Auth,
    /// Guests log in here.
    Guest,
    /// Invisible participants log in here.
    Hidden,
    /// The meetings.
    Muc,
    /// The breweries.
    InternalMuc,
    /// Relays conference requests to the focus.
    Focus,
    /// The component in this row of the table.
    Component(usize),
}

impl Host {
    /// The host that serves `domain`; exact names win over the pattern for tenants.
    pub(crate) fn of(config: &Config, domain: &str) -> Option<Self> {
        let table = [
            (Some(&config.domain), Self::Main),
            (Some(&config.auth_domain), Self::Auth),
            (config.guest_domain.as_ref(), Self::Guest),
            (config.hidden_domain.as_ref(), Self::Hidden),
            (Some(&config.muc_domain), Self::Muc),
            (Some(&config.internal_muc_domain), Self::InternalMuc),
            (Some(&config.focus_domain), Self::Focus),
        ];
        if let Some((_, host)) = table.into_iter().find(|(name, _)| name.is_some_and(|n| n == domain)) {
            return Some(host);
        }
        if let Some(at) = COMPONENTS.iter().position(|c| (c.address)(config) == domain) {
            return Some(Self::Component(at));
        }
        tenants::domains(config).contains(domain).then_some(Self::Muc)
    }

    /// Whether users log in here.
    pub(crate) const fn has_users(self) -> bool {
        matches!(self, Self::Main | Self::Auth | Self::Guest | Self::Hidden)
    }

    /// Whether rooms live here.
    pub(crate) const fn has_rooms(self) -> bool {
        matches!(self, Self::Muc | Self::InternalMuc)
    }
}
