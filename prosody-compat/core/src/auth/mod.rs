//! Who may log in: a host, a name and a proof in; yes or no out.

pub(crate) mod guesses;
pub(crate) mod record;

use std::collections::HashMap;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jitsi_xmpp::sasl::{Credentials, Hash};
use jitsi_xmpp::{BareJid, Entropy, Sensitive};

use crate::config::Config;

struct Account {
    password: Sensitive<String>,
    /// Made when first asked for, because that takes milliseconds: one per hash at most.
    credentials: Vec<Credentials>,
}

/// The accounts with a password.
pub(crate) struct Accounts {
    by_jid: HashMap<BareJid, Account>,
}

impl Accounts {
    pub(crate) fn new(config: &Config) -> Self {
        let account = |a: &crate::config::Account| {
            // In the one spelling in which clients' passwords are compared.
            let password = a.password.reveal();
            let password =
                jitsi_xmpp::prepare::password(password).unwrap_or_else(|| password.into()).into_owned();
            (a.jid.clone(), Account { password: Sensitive::new(password), credentials: Vec::new() })
        };
        Self { by_jid: config.accounts.iter().map(account).collect() }
    }

    /// Whether the configuration knows this account.
    pub(crate) fn has(&self, jid: &BareJid) -> bool {
        self.by_jid.contains_key(jid)
    }

    /// Whether this is the account's password. Takes the same time wherever the two differ.
    pub(crate) fn check(&self, jid: &BareJid, password: &str) -> bool {
        self.by_jid.get(jid).is_some_and(|a| {
            verify_slices_are_equal(a.password.reveal().as_bytes(), password.as_bytes()).is_ok()
        })
    }

    /// What a SCRAM exchange needs; `None` if there is no such account.
    pub(crate) fn credentials(
        &mut self,
        jid: &BareJid,
        hash: Hash,
        entropy: &mut dyn Entropy,
    ) -> Option<Credentials> {
        let account = self.by_jid.get_mut(jid)?;
        if let Some(c) = account.credentials.iter().find(|c| c.hash == hash) {
            return Some(c.clone());
        }
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let made = Credentials::derive(hash, account.password.reveal(), &salt, Credentials::ITERATIONS);
        account.credentials.push(made.clone());
        Some(made)
    }
}

/// A SASL mechanism of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// `ANONYMOUS` (RFC 4505)
    Anonymous,
    /// `SCRAM-SHA-1`, `SCRAM-SHA-256` (RFC 5802)
    Scram(Hash),
    /// `PLAIN` (RFC 4616)
    Plain,
}

impl Mechanism {
    /// Its name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "ANONYMOUS",
            Self::Scram(hash) => hash.mechanism(),
            Self::Plain => "PLAIN",
        }
    }

    /// What a host with accounts offers, best first.
    pub(crate) const WITH_PASSWORD: &[Self] =
        &[Self::Scram(Hash::Sha256), Self::Scram(Hash::Sha1), Self::Plain];

    /// What a host with people's accounts offers unless the admin says otherwise. A client takes the best, whoever logs in with
    /// it, and accounts that come from Prosody have keys of SHA-1 alone.
    // compat: upstream offers these (test: compat_people_s_accounts_are_offered_what_upstream_s_are).
    pub(crate) const FOR_PEOPLE: &[Self] = &[Self::Scram(Hash::Sha1), Self::Plain];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        std::iter::once(Self::Anonymous)
            .chain(Self::WITH_PASSWORD.iter().copied())
            .find(|m| m.as_str() == name)
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
