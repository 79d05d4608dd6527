//! `plausch user`: what to do with which account, and the options of the server, in; files that the running server reads at each
//! login, and what was done, out.

mod owner;
pub(crate) mod password;
pub(crate) mod prosody;
pub(crate) mod prosodyctl;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use jitsi_xmpp::BareJid;
use prosody_core::{AccountRecord, Login, Mechanism, UsersHost};
use prosody_server::accounts::StoreError;
use prosody_server::{AccountStore, Config};
use service::{Effective, StartError, SystemEntropy};

use self::password::Source;
use self::prosody::Host;
use crate::commands::{Given, bad};
use crate::migrate::tree::Tree;
use crate::options::Settings;
use crate::wiring;
use crate::words::{Language, Words, words};

/// What was asked for.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) given: Given,
    pub(crate) what: Action,
    pub(crate) language: Language,
}

/// What to do. Accounts are named as `name`, on the main host, or `name@host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// A new account.
    Add(String, Source),
    /// Another password.
    Password(String, Source),
    /// Forget it.
    Delete(String),
    /// Whether it may be used.
    Enable(String, bool),
    /// All accounts, those of one host, or those whose name has this in it.
    List(Option<String>, Option<String>),
    /// Take over Prosody's, or what `plausch migrate` has written.
    Import(PathBuf),
}

/// 0: done. 1: not done, or not all of it, and said why.
pub(crate) fn run(asked: User) -> Result<u8, StartError> {
    let language = asked.language;
    let (code, said) = perform(asked)?;
    let text = said.text(language);
    if !text.is_empty() {
        service::output::say(format!("{text}\n"));
    }
    Ok(code)
}

fn perform(asked: User) -> Result<(u8, Words), StartError> {
    let language = asked.language;
    // Before anything is read that only root may read, and before root's rights are laid down.
    let password = match &asked.what {
        Action::Add(_, source) | Action::Password(_, source) => Some(source.read(language)?),
        _ => None,
    };
    let effective = asked.given.effective?;
    let place = Place::of(&effective)?;
    let foreign = match &asked.what {
        Action::Import(folder) => Some(foreign(folder)?),
        _ => None,
    };
    owner::become_owner_of(&place.state)?;
    let done = match (&asked.what, password, foreign) {
        (Action::Add(name, _), Some(password), _) => place.add(name, password.reveal()),
        (Action::Password(name, _), Some(password), _) => place.password(name, password.reveal()),
        (Action::Delete(name), ..) => place.delete(name),
        (Action::Enable(name, on), ..) => place.enable(name, *on),
        (Action::List(host, part), ..) => place.list(host.as_deref(), part.as_deref(), language),
        (Action::Import(_), _, Some(hosts)) => place.import(&hosts),
        (Action::Add(..) | Action::Password(..) | Action::Import(_), ..) => Ok((0, Words::same(""))),
    };
    done.map_err(|e| StartError::Part { part: "the account", reason: e.to_string() })
}

type Done = Result<(u8, Words), StoreError>;

/// Where accounts are, and which there may be.
struct Place {
    state: PathBuf,
    store: AccountStore,
    config: Config,
}

impl Place {
    fn of(effective: &Effective) -> Result<Self, StartError> {
        let settings = Settings::look(effective)?;
        let config = Config::from_raw(wiring::xmpp_options(&settings))
            .map_err(|e| StartError::Part { part: "the XMPP server", reason: e.to_string() })?;
        Ok(Self { store: AccountStore::new(&settings.state), state: settings.state, config })
    }

    /// The account that is meant, if there may be one; else why not.
    fn account(&self, name: &str) -> Result<BareJid, Words> {
        let main = || self.config.core.domain();
        let (node, host) = name.split_once('@').unwrap_or_else(|| (name, main()));
        let jid = BareJid::from_parts(node, host).map_err(|_| {
            words!("`{name}` is no name of an account", "`{name}` ist kein Name eines Kontos")
        })?;
        let hosts = &self.config.core.hosts.users;
        if !hosts.iter().any(|h| h.domain == jid.domain()) {
            let known = hosts.iter().map(|h| h.domain.as_str()).collect::<Vec<_>>().join(", ");
            let host = jid.domain();
            return Err(words!(
                "nobody logs in on {host} here; hosts are {known}",
                "auf {host} meldet sich hier niemand an; es gibt {known}"
            ));
        }
        if self.config.password(&jid).is_some() {
            let jid = jid.as_str();
            return Err(words!(
                "{jid} has its password from the configuration, which has the last word",
                "{jid} hat sein Passwort aus der Konfiguration, und die gilt"
            ));
        }
        Ok(jid)
    }

    fn add(&self, name: &str, password: &str) -> Done {
        let jid = match self.account(name) {
            Ok(jid) => jid,
            Err(why) => return Ok((1, why)),
        };
        let record = AccountRecord::with_password(password, &mut SystemEntropy, now());
        let is_new = self.store.create(&jid, &record)?;
        let (host, jid) = (jid.domain(), jid.as_str());
        if !is_new {
            return Ok((1, words!("{jid} is there already", "{jid} gibt es schon")));
        }
        Ok((0, self.hint(host, words!("{jid}: made", "{jid}: angelegt"))))
    }

    /// Adds what keeps people from logging in with it.
    fn hint(&self, host: &str, said: Words) -> Words {
        let open = |h: &UsersHost| h.domain == host && matches!(h.login, Login::Anonymous);
        let open = self.config.core.hosts.users.iter().any(open);
        if !open {
            return said;
        }
        let (en, de) = (said.en, said.de);
        words!(
            "{en}\n{host} asks nobody for an account as it is configured; docs/admin/login.md says how it does",
            "{de}\n{host} fragt so, wie es eingerichtet ist, niemanden nach einem Konto; docs/admin/anmeldung.md sagt, wie es das tut"
        )
    }

    /// Changes an account that is there.
    fn change(
        &self,
        name: &str,
        change: impl FnOnce(AccountRecord) -> AccountRecord,
        said: impl FnOnce(&str) -> Words,
    ) -> Done {
        let jid = match self.account(name) {
            Ok(jid) => jid,
            Err(why) => return Ok((1, why)),
        };
        match self.store.read(&jid)? {
            Some(record) => {
                self.store.write(&jid, &change(record))?;
                Ok((0, said(jid.as_str())))
            }
            None => Ok((1, missing(jid.as_str()))),
        }
    }

    fn password(&self, name: &str, password: &str) -> Done {
        self.change(
            name,
            |r| r.changed_to(password, &mut SystemEntropy, now()),
            |jid| words!("{jid}: has the new password", "{jid}: hat das neue Passwort"),
        )
    }

    fn enable(&self, name: &str, on: bool) -> Done {
        let said = |jid: &str| match on {
            true => words!("{jid}: may log in", "{jid}: darf sich anmelden"),
            false => words!(
                "{jid}: may not log in any more, and sessions of it end within seconds",
                "{jid}: darf sich nicht mehr anmelden, und seine Sitzungen enden binnen Sekunden"
            ),
        };
        let change = |mut record: AccountRecord| {
            record.disabled = !on;
            record
        };
        self.change(name, change, said)
    }

    fn delete(&self, name: &str) -> Done {
        let jid = match self.account(name) {
            Ok(jid) => jid,
            Err(why) => return Ok((1, why)),
        };
        let deleted = self.store.delete(&jid)?;
        let jid = jid.as_str();
        Ok(match deleted {
            true => (0, words!("{jid}: deleted", "{jid}: gelöscht")),
            false => (1, missing(jid)),
        })
    }

    /// One a line: the account, then what is to be said of it.
    fn list(&self, host: Option<&str>, part: Option<&str>, language: Language) -> Done {
        let hosts = &self.config.core.hosts.users;
        let wanted = |domain: &str| host.is_none_or(|h| h.eq_ignore_ascii_case(domain));
        let mut lines = Vec::new();
        for h in hosts.iter().filter(|h| wanted(&h.domain)) {
            for (jid, record) in self.store.list(&h.domain)? {
                let remark = match record {
                    None => language
                        .of("not understood: nobody logs in", "nicht zu verstehen: niemand meldet sich an"),
                    Some(r) if r.disabled => language.of("disabled", "gesperrt"),
                    Some(_) if self.config.password(&jid).is_some() => continue,
                    Some(_) => "",
                };
                lines.push((jid, remark));
            }
        }
        let configured = self.config.core.accounts.iter().filter(|a| wanted(a.jid.domain()));
        lines.extend(
            configured
                .map(|a| (a.jid.clone(), language.of("from the configuration", "aus der Konfiguration"))),
        );
        if lines.is_empty() && hosts.iter().all(|h| !wanted(&h.domain)) {
            let host = host.unwrap_or_default();
            return Ok((
                1,
                words!("nobody logs in on {host} here", "auf {host} meldet sich hier niemand an"),
            ));
        }
        let shown = lines.iter().filter(|(jid, _)| part.is_none_or(|p| jid.as_str().contains(p)));
        let text: Vec<String> =
            shown.map(|(jid, remark)| format!("{}\t{remark}", jid.as_str()).trim_end().to_owned()).collect();
        Ok((0, Words::same(text.join("\n"))))
    }

    /// What is there already stays, so that it can be done again.
    fn import(&self, found: &[Host]) -> Done {
        let mut lines: Vec<Words> = Vec::new();
        let mut whole = true;
        for host in found {
            let name = &host.name;
            let users = self.config.core.hosts.users.iter().find(|h| h.domain == *name);
            let (mut new, mut there, mut configured, mut keyless) = (0, 0, 0, 0);
            let count = host.accounts.len();
            let Some(users) = users else {
                whole = false;
                lines.push(words!(
                    "{name}: {count} accounts are left out, because nobody logs in there here",
                    "{name}: {count} Konten bleiben draußen, weil sich dort hier niemand anmeldet"
                ));
                continue;
            };
            for (jid, record) in &host.accounts {
                if self.config.password(jid).is_some() {
                    configured += 1;
                } else if self.store.create(jid, record)? {
                    new += 1;
                    keyless += usize::from(users.lacks(record).is_some());
                } else {
                    there += 1;
                }
            }
            lines.push(words!(
                "{name}: {new} accounts taken over, {there} were there already, {configured} are the configuration's",
                "{name}: {new} Konten übernommen, {there} gab es schon, {configured} sind die der Konfiguration"
            ));
            let lacks = host.accounts.iter().find_map(|(_, record)| users.lacks(record));
            if let Some(mechanism) = lacks.filter(|_| keyless > 0).map(Mechanism::as_str) {
                whole = false;
                lines.push(words!(
                    "{name}: {keyless} of them have no keys for {mechanism}, which {name} offers first; as long as its `mechanisms` are these, they cannot log in",
                    "{name}: {keyless} davon haben keine Schlüssel für {mechanism}, was {name} zuerst anbietet; solange seine `mechanisms` so sind, können sie sich nicht anmelden"
                ));
            }
            for file in &host.odd {
                whole = false;
                let file = file.display();
                lines.push(words!("{file}: is not understood", "{file}: nicht zu verstehen"));
            }
        }
        if found.is_empty() {
            whole = false;
            lines.push(words!("there are no accounts", "es gibt keine Konten"));
        }
        let join = |of: fn(&Words) -> &str| lines.iter().map(of).collect::<Vec<_>>().join("\n");
        Ok((u8::from(!whole), Words { en: join(|w| &w.en), de: join(|w| &w.de) }))
    }
}

/// What lies in a folder: Prosody's accounts, or ours.
fn foreign(folder: &Path) -> Result<Vec<Host>, StartError> {
    let unreadable = |reason: String| StartError::Unreadable { path: folder.to_owned(), reason };
    std::fs::read_dir(folder).map_err(|e| unreadable(e.to_string()))?;
    let tree = Tree::of(&[folder.to_owned()]);
    let mut found = prosody::look(&tree, folder, &mut SystemEntropy, |_| true);
    let ours = AccountStore::at(folder);
    let failed = |e: StoreError| unreadable(e.to_string());
    for name in ours.hosts().map_err(failed)? {
        if !folder.join(&name).is_dir() {
            continue;
        }
        let mut host = Host { name, accounts: Vec::new(), plain: 0, odd: Vec::new() };
        for (jid, record) in ours.list(&host.name).map_err(failed)? {
            match record {
                Some(record) => host.accounts.push((jid, record)),
                None => host.odd.push(folder.join(&host.name).join(jid.node().unwrap_or_default())),
            }
        }
        if !host.is_empty() {
            found.push(host);
        }
    }
    let refused = tree.refused();
    if let Some(path) = refused.first().filter(|_| found.is_empty()) {
        return Err(bad("DIR", format!("{} cannot be read, or leads out of the folder", path.display())));
    }
    Ok(found)
}

fn missing(jid: &str) -> Words {
    words!("{jid} is not there", "{jid} gibt es nicht")
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
