//! An account's file in; its keys, and whether it may be used, out, and back. No password is ever in it.
//!
//! ```text
//! plausch account 1
//! created 1795386402
//! changed 1795386402
//! scram-sha-1 10000 <salt> <stored key> <server key>
//! scram-sha-256 10000 <salt> <stored key> <server key>
//! disabled
//! ```
//!
//! Bytes are base64. What is not understood makes the whole file none: it may have been a restriction.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jitsi_xmpp::limits::{MAX_SCRAM_ITERATIONS, MIN_SCRAM_ITERATIONS};
use jitsi_xmpp::sasl::{Credentials, Hash};
use jitsi_xmpp::{Entropy, Sensitive};

use crate::limits::record::{BYTES, SALT_BYTES};
use crate::output::{AccountAnswer, Proof};

/// What is kept of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// At least one, each for another hash.
    keys: Vec<Credentials>,
    /// Nobody may log in with it for now.
    pub disabled: bool,
    /// Seconds since 1970.
    pub created: u64,
    /// When its password was set.
    pub changed: u64,
}

/// Not an account's file, or one of a later version. Blame: who wrote it. Consequence: nobody logs in with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not understood")]
pub struct NotUnderstood;

impl AccountRecord {
    /// With this password; takes some milliseconds.
    pub fn with_password(password: &str, entropy: &mut dyn Entropy, now: u64) -> Self {
        let keys = [Hash::Sha1, Hash::Sha256].map(|hash| {
            let mut salt = [0; 16];
            entropy.fill(&mut salt);
            Credentials::derive(hash, password, &salt, Credentials::ITERATIONS)
        });
        Self { keys: keys.into(), disabled: false, created: now, changed: now }
    }

    /// With keys that somebody else has made.
    pub fn with_keys(keys: Credentials, created: u64, changed: u64) -> Result<Self, NotUnderstood> {
        let rounds = (MIN_SCRAM_ITERATIONS..=MAX_SCRAM_ITERATIONS).contains(&keys.iterations.get());
        let salt = (1..=SALT_BYTES).contains(&keys.salt.len());
        let length = |key: &Sensitive<Vec<u8>>| key.reveal().len() == keys.hash.output_len();
        if !rounds || !salt || !length(&keys.stored_key) || !length(&keys.server_key) {
            return Err(NotUnderstood);
        }
        Ok(Self { keys: vec![keys], disabled: false, created, changed })
    }

    /// Reads a file.
    pub fn parse(text: &str) -> Result<Self, NotUnderstood> {
        let mut lines = text.lines();
        if text.len() > BYTES || lines.next() != Some(HEAD) {
            return Err(NotUnderstood);
        }
        let mut read = Self { keys: Vec::new(), disabled: false, created: 0, changed: 0 };
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["created", time] => read.created = time.parse().map_err(|_| NotUnderstood)?,
                ["changed", time] => read.changed = time.parse().map_err(|_| NotUnderstood)?,
                ["disabled"] => read.disabled = true,
                [name, rounds, salt, stored, server] => {
                    let hash = NAMES.iter().find(|(n, _)| *n == name).ok_or(NotUnderstood)?.1;
                    if read.keys.iter().any(|k| k.hash == hash) {
                        return Err(NotUnderstood);
                    }
                    let keys = Credentials {
                        hash,
                        salt: bytes(salt)?,
                        iterations: rounds.parse::<NonZeroU32>().map_err(|_| NotUnderstood)?,
                        stored_key: Sensitive::new(bytes(stored)?),
                        server_key: Sensitive::new(bytes(server)?),
                    };
                    read.keys.extend(Self::with_keys(keys, 0, 0)?.keys);
                }
                _ => return Err(NotUnderstood),
            }
        }
        if read.keys.is_empty() { Err(NotUnderstood) } else { Ok(read) }
    }

    /// As a file.
    pub fn text(&self) -> Sensitive<String> {
        let mut text = format!("{HEAD}\ncreated {}\nchanged {}\n", self.created, self.changed);
        for k in &self.keys {
            let name = NAMES.iter().find(|(_, hash)| *hash == k.hash).map_or("", |(name, _)| name);
            let [salt, stored, server] =
                [&k.salt, k.stored_key.reveal(), k.server_key.reveal()].map(|b| STANDARD.encode(b));
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{name} {} {salt} {stored} {server}", k.iterations);
        }
        if self.disabled {
            text.push_str("disabled\n");
        }
        Sensitive::new(text)
    }

    /// Another password for the same account.
    #[must_use]
    pub fn changed_to(&self, password: &str, entropy: &mut dyn Entropy, now: u64) -> Self {
        let new = Self::with_password(password, entropy, now);
        Self { created: self.created, disabled: self.disabled, ..new }
    }

    /// What somebody who logs in is told; takes milliseconds if a password is to be compared.
    pub fn answer(&self, proof: &Proof) -> AccountAnswer {
        // compat: a disabled account is named as such before anything is proved
        // (test: compat_a_disabled_account_is_told_so).
        if self.disabled {
            return AccountAnswer::Disabled;
        }
        match proof {
            Proof::Keys(hash) => {
                let keys = self.keys.iter().find(|k| k.hash == *hash);
                keys.cloned().map_or(AccountAnswer::Wrong, AccountAnswer::Keys)
            }
            Proof::Password(password) => match self.keys.first() {
                Some(keys) if keys.are_of(password.reveal()) => AccountAnswer::Right,
                _ => AccountAnswer::Wrong,
            },
        }
    }

    /// Whether it has the same password as it had there.
    pub fn has_password_of(&self, other: &Self) -> bool {
        self.keys == other.keys
    }

    /// Whether it has keys for this mechanism.
    pub fn has(&self, hash: Hash) -> bool {
        self.keys.iter().any(|k| k.hash == hash)
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, NotUnderstood> {
    STANDARD.decode(text).map_err(|_| NotUnderstood)
}

const HEAD: &str = "plausch account 1";
const NAMES: &[(&str, Hash)] = &[("scram-sha-1", Hash::Sha1), ("scram-sha-256", Hash::Sha256)];

#[cfg(test)]
mod tests {
    use jitsi_xmpp::entropy::SeededEntropy;

    use super::*;

    fn record() -> AccountRecord {
        AccountRecord::with_password("geheim", &mut SeededEntropy::new(1), 1_795_386_402)
    }

    fn password(text: &str) -> Proof {
        Proof::Password(Sensitive::new(text.to_owned()))
    }

    #[test]
    fn what_is_written_is_read_the_same_and_holds_no_password() {
        let mut it = record();
        for disabled in [false, true] {
            it.disabled = disabled;
            let text = it.text().reveal().clone();
            assert_eq!(AccountRecord::parse(&text), Ok(it.clone()));
            assert!(!text.contains("geheim"), "{text}");
        }
        let other = AccountRecord::with_password("geheim", &mut SeededEntropy::new(2), 1_795_386_402);
        assert_ne!(record(), other, "a salt of its own");
    }

    #[test]
    fn the_right_password_and_the_keys_that_are_asked_for_come_out_and_nothing_of_a_disabled_account() {
        let mut it = record();
        assert_eq!(it.answer(&password("geheim")), AccountAnswer::Right);
        for wrong in ["Geheim", "gehei", "geheim ", ""] {
            assert_eq!(it.answer(&password(wrong)), AccountAnswer::Wrong, "{wrong}");
        }
        for hash in [Hash::Sha1, Hash::Sha256] {
            let AccountAnswer::Keys(keys) = it.answer(&Proof::Keys(hash)) else { panic!() };
            assert_eq!(keys.hash, hash);
        }
        let later = it.changed_to("anders", &mut SeededEntropy::new(3), 1_795_386_500);
        assert_eq!((later.created, later.changed), (1_795_386_402, 1_795_386_500));
        assert_eq!(later.answer(&password("geheim")), AccountAnswer::Wrong);
        assert_eq!(later.answer(&password("anders")), AccountAnswer::Right);
        it.disabled = true;
        assert_eq!(it.answer(&password("geheim")), AccountAnswer::Disabled);
        assert_eq!(it.answer(&Proof::Keys(Hash::Sha1)), AccountAnswer::Disabled);
    }

    #[test]
    fn what_is_not_understood_is_no_account() {
        let text = record().text().reveal().clone();
        for odd in [
            String::new(),
            text.replace("account 1", "account 2"),
            text.replace("scram-sha-256", "scram-sha-512"),
            text.replace("scram-sha-256", "scram-sha-1"),
            text.replacen("10000", "1", 1),
            text.replacen("10000", "4095", 1),
            text.replacen("10000", "500001", 1),
            text.replacen("10000", "many", 1),
            text.replace("created", "erected"),
            format!("{text}expires 1795386402\n"),
            format!("{text}disabled now\n"),
            "plausch account 1\ncreated 1\nchanged 1\n".to_owned(),
            text.lines().map(|l| format!("{} \n", l.trim_end_matches('='))).collect(),
            format!("{text}{}", "disabled\n".repeat(BYTES / 9)),
        ] {
            assert_eq!(AccountRecord::parse(&odd), Err(NotUnderstood), "{odd}");
        }
    }

    #[test]
    fn keys_of_others_are_taken_with_a_salt_up_to_the_limit() {
        let keys = |salt: usize, stored: usize| Credentials {
            hash: Hash::Sha1,
            salt: vec![b'x'; salt],
            iterations: Credentials::ITERATIONS,
            stored_key: Sensitive::new(vec![1; stored]),
            server_key: Sensitive::new(vec![2; 20]),
        };
        assert!(AccountRecord::with_keys(keys(SALT_BYTES, 20), 1, 2).is_ok());
        for (salt, stored) in [(SALT_BYTES + 1, 20), (0, 20), (36, 19), (36, 32)] {
            assert_eq!(AccountRecord::with_keys(keys(salt, stored), 1, 2), Err(NotUnderstood));
        }
        let taken = AccountRecord::with_keys(keys(36, 20), 1, 2).unwrap();
        assert_eq!(taken.answer(&Proof::Keys(Hash::Sha256)), AccountAnswer::Wrong);
        assert!(!taken.has(Hash::Sha256) && record().has(Hash::Sha256));
    }
}
