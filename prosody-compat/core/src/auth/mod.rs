//! Who may log in: a host, a name and a proof in; yes or no out.

pub(crate) mod guesses;
pub(crate) mod record;

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jitsi_xmpp::sasl::{Credentials, Hash};
use jitsi_xmpp::{BareJid, Entropy, Sensitive};

use crate::account_end::AccountEnd;
use crate::config::Config;

/// A password that sessions remember, where it is everybody's, to end with it.
pub(crate) type Secret = Arc<Sensitive<String>>;

struct Account {
    password: Secret,
    /// Another one that is as good, where somebody says it as it is.
    previous: Option<Secret>,
    /// Made when first asked for, because that takes milliseconds: one per hash at most.
    credentials: Vec<Credentials>,
}

impl Account {
    /// In the one spelling in which clients' passwords are compared.
    fn new(password: &Sensitive<String>, previous: Option<&Sensitive<String>>) -> Self {
        let prepared = |text: &Sensitive<String>| {
            let text = text.reveal();
            let prepared = jitsi_xmpp::prepare::password(text).unwrap_or_else(|| text.into());
            Arc::new(Sensitive::new(prepared.into_owned()))
        };
        Self { password: prepared(password), previous: previous.map(prepared), credentials: Vec::new() }
    }

    /// Which of the two it is. Takes the same time wherever they differ.
    fn is(&self, password: &str) -> Option<&Secret> {
        let same =
            |own: &&Secret| verify_slices_are_equal(own.reveal().as_bytes(), password.as_bytes()).is_ok();
        let previous = self.previous.as_ref().filter(same);
        Some(&self.password).filter(same).or(previous)
    }
}

/// The accounts with a password.
pub(crate) struct Accounts {
    by_jid: HashMap<BareJid, Account>,
    /// Domains where one password is that of every name that has none of its own.
    by_domain: HashMap<String, Account>,
}

impl Accounts {
    pub(crate) fn new(config: &Config) -> Self {
        let accounts = config.accounts.iter();
        let shared = config.shared_secrets.iter();
        Self {
            by_jid: accounts.map(|a| (a.jid.clone(), Account::new(&a.password, None))).collect(),
            by_domain: shared
                .map(|s| (s.domain.clone(), Account::new(&s.secret, s.previous.as_ref())))
                .collect(),
        }
    }

    /// Those of another configuration from now on; whose password is another, or none any more.
    pub(crate) fn replace(&mut self, config: &Config) -> Vec<(BareJid, AccountEnd)> {
        let mut former = std::mem::replace(self, Self::new(config)).by_jid;
        let mut ended = Vec::new();
        for (jid, account) in &mut self.by_jid {
            match former.remove(jid) {
                Some(before) if before.password.reveal() == account.password.reveal() => {
                    account.credentials = before.credentials;
                }
                // Also of one that was kept elsewhere: the configuration has the last word.
                Some(_) | None => ended.push((jid.clone(), AccountEnd::PasswordChanged)),
            }
        }
        ended.extend(former.into_keys().map(|jid| (jid, AccountEnd::Deleted)));
        ended
    }

    /// Whether the configuration knows this account.
    pub(crate) fn has(&self, jid: &BareJid) -> bool {
        self.by_jid.contains_key(jid) || self.by_domain.contains_key(jid.domain())
    }

    /// By what tries of a password are counted: where it is everybody's, who changes the name goes on guessing.
    pub(crate) fn guessed<'a>(&self, jid: &'a BareJid) -> &'a str {
        let shared = !self.by_jid.contains_key(jid) && self.by_domain.contains_key(jid.domain());
        if shared { jid.domain() } else { jid.as_str() }
    }

    /// Whether this is the account's password; and if that is everybody's, the one it was.
    pub(crate) fn check(&self, jid: &BareJid, password: &str) -> Option<Option<Secret>> {
        match self.by_jid.get(jid) {
            Some(own) => own.is(password).map(|_| None),
            None => self.by_domain.get(jid.domain())?.is(password).map(|s| Some(Arc::clone(s))),
        }
    }

    /// The password by which an exchange about this account is, where that is everybody's.
    pub(crate) fn shared(&self, jid: &BareJid) -> Option<Secret> {
        let shared = self.by_domain.get(jid.domain()).filter(|_| !self.by_jid.contains_key(jid));
        shared.map(|account| Arc::clone(&account.password))
    }

    /// Whether everybody's password on this domain still is, or was until the newest, this one.
    pub(crate) fn still_counts(&self, domain: &str, secret: &Secret) -> bool {
        self.by_domain.get(domain).is_some_and(|account| account.is(secret.reveal()).is_some())
    }

    /// What a SCRAM exchange needs; `None` if there is no such account.
    pub(crate) fn credentials(
        &mut self,
        jid: &BareJid,
        hash: Hash,
        entropy: &mut dyn Entropy,
    ) -> Option<Credentials> {
        let account = match self.by_jid.get_mut(jid) {
            Some(account) => account,
            None => self.by_domain.get_mut(jid.domain())?,
        };
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
    use crate::config::SharedSecret;

    #[test]
    fn only_the_right_password_of_an_existing_account_passes() {
        let focus: BareJid = "focus@auth.meet.jitsi".parse().unwrap();
        let config = Config::for_domain("meet.jitsi").unwrap().with_account(focus.clone(), "secret");
        let accounts = Accounts::new(&config);
        assert!(accounts.check(&focus, "secret").is_some());
        assert!(
            accounts.check(&focus, "Secret").is_none()
                && accounts.check(&focus, "secre").is_none()
                && accounts.check(&focus, "").is_none()
        );
        assert!(accounts.check(&"jvb@auth.meet.jitsi".parse().unwrap(), "secret").is_none());
    }

    #[test]
    fn a_shared_secret_is_the_password_of_every_name_that_has_none_of_its_own() {
        let jid = |text: &str| text.parse::<BareJid>().unwrap();
        let mut config =
            Config::for_domain("meet.jitsi").unwrap().with_account(jid("focus@programs.town"), "own");
        let [secret, previous] = ["new secret", "old secret"].map(|s| Sensitive::new(s.to_owned()));
        let shared = SharedSecret { domain: "programs.town".into(), secret, previous: Some(previous) };
        config.shared_secrets.push(shared);
        let accounts = Accounts::new(&config);
        let [anna, focus, other] = ["anna@programs.town", "focus@programs.town", "anna@meet.jitsi"].map(jid);
        assert!(accounts.has(&anna) && !accounts.has(&other));
        for (password, right) in [("new secret", true), ("old secret", true), ("", false), ("own", false)] {
            assert_eq!(accounts.check(&anna, password).is_some(), right, "{password}");
            assert!(accounts.check(&other, password).is_none(), "{password}");
        }
        assert_eq!(accounts.check(&focus, "own"), Some(None), "no one's but its own");
        assert!(accounts.check(&focus, "new secret").is_none(), "a role's own alone");
        assert_eq!([&anna, &focus].map(|j| accounts.guessed(j)), ["programs.town", "focus@programs.town"]);
    }
}
