//! Who may log in: a host, a name and a password in; yes or no out.

use std::collections::HashMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jitsi_xmpp::{BareJid, Sensitive};

use crate::config::{Config, MainAuth};
use crate::hosts::Host;

/// The accounts with a password.
pub(crate) struct Accounts {
    passwords: HashMap<BareJid, Sensitive<String>>,
}

impl Accounts {
    pub(crate) fn new(config: &Config) -> Self {
        let passwords = config.accounts.iter().map(|a| (a.jid.clone(), a.password.clone())).collect();
        Self { passwords }
    }

    /// Whether this is the account's password. Takes the same time wherever the two differ.
    pub(crate) fn check(&self, jid: &BareJid, password: &str) -> bool {
        self.passwords
            .get(jid)
            .is_some_and(|p| verify_slices_are_equal(p.reveal().as_bytes(), password.as_bytes()).is_ok())
    }
}

/// A SASL mechanism of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Anonymous,
    Plain,
}

impl Mechanism {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "ANONYMOUS",
            Self::Plain => "PLAIN",
        }
    }

    /// What a host offers, best first.
    pub(crate) const fn offered(config: &Config, host: Host) -> &'static [Self] {
        match (host, config.main_auth) {
            (Host::Guest, _) | (Host::Main, MainAuth::Anonymous) => &[Self::Anonymous],
            (Host::Main, MainAuth::Internal) | (Host::Auth | Host::Hidden, _) => &[Self::Plain],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_password_of_an_existing_account_passes() {
        let focus: BareJid = "focus@auth.meet.jitsi".parse().unwrap();
        let config = Config::for_domain("meet.jitsi").unwrap().with_account(focus.clone(), "secret");
        let accounts = Accounts::new(&config);
        assert!(accounts.check(&focus, "secret"));
        assert!(
            !accounts.check(&focus, "Secret")
                && !accounts.check(&focus, "secre")
                && !accounts.check(&focus, "")
        );
        assert!(!accounts.check(&"jvb@auth.meet.jitsi".parse().unwrap(), "secret"));
    }
}
