//! The settings of `login` in; how people log in, where those come in who do not, and who opens meetings, out.

use std::time::Duration;

use jitsi_xmpp::Sensitive;
use prosody_server::ldap::DirectoryError;
use prosody_server::logins::RawDirectory;
use prosody_server::table::{RawLogin, RawToken, RawUsers};
use service::{Effective, Origin, StartError};

use super::focus::{time, timeout};
use super::hosts::HostTables;
use super::{Domains, domain, secret};

/// How people log in.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// Where others come in without, if they may.
    pub(crate) guests: Option<String>,
    /// With what.
    pub(crate) proof: Proof,
    /// How the focus asks for it. `None`: it does not, so that whoever comes in opens meetings.
    pub(crate) opens: Option<Opens>,
}

/// What somebody proves itself with.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// An account of this server.
    Account,
    /// A token that is like this.
    Token(Box<RawToken>),
    /// An account of this directory.
    Directory(Box<RawDirectory>),
}

/// How long a proof counts for the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opens {
    /// What a browser has proved counts for its next meeting, too.
    pub(crate) automatic: bool,
    /// Each meeting has a proof of its own, as with a token.
    pub(crate) each: bool,
    /// For so long since it was last shown.
    pub(crate) lifetime: Duration,
}

pub(super) fn read(
    e: &Effective,
    domains: &Domains,
    tables: Option<&HostTables>,
) -> Result<Option<Login>, StartError> {
    let automatic = e.is_on("login.automatic");
    let lifetime = lifetime(e)?;
    if let Some(t) = tables {
        let open = |h: &&RawUsers| h.public && h.login == RawLogin::Anonymous;
        let with_password =
            |h: &RawUsers| matches!(h.login, RawLogin::Accounts | RawLogin::Ldap | RawLogin::SharedSecret);
        let asks = t.users.first().is_some_and(with_password);
        let guests = t.users.iter().find(open).map(|h| h.domain.to_lowercase());
        let opens = e.is_on("login.opens").then_some(Opens { automatic, each: false, lifetime });
        return Ok(asks.then_some(Login { guests, proof: Proof::Account, opens }));
    }
    let guest_domain = domain(e, "login.guest_domain", &format!("guest.{}", domains.main))?;
    if !e.is_on("login.required") {
        return Ok(None);
    }
    let proof = match kind(e, "login.type", &["internal", "jwt", "ldap"])? {
        "jwt" => Proof::Token(Box::new(token(e))),
        "ldap" => Proof::Directory(Box::new(directory(e)?)),
        _ => Proof::Account,
    };
    let each = match kind(e, "login.opens_by", &["internal", "jwt"])? {
        "" => matches!(proof, Proof::Token(_)),
        by => by == "jwt",
    };
    Ok(Some(Login {
        guests: e.is_on("login.guests").then_some(guest_domain),
        proof,
        opens: e.is_on("login.opens").then_some(Opens {
            automatic: automatic && !each,
            each,
            // compat: upstream's for tokens, whatever is written (test: compat_the_focus_asks_as_its_own_variables_say).
            lifetime: if each { EACH } else { lifetime },
        }),
    }))
}

/// How long what a browser has proved counts since it was last shown.
fn lifetime(e: &Effective) -> Result<Duration, StartError> {
    let key = "login.lifetime";
    let longest = Duration::from_secs(366 * 86_400);
    time(e.text(key)).filter(|t| (EACH..=longest).contains(t)).ok_or_else(|| {
        e.bad(key, "must be a time such as `24 hours` or `7 days`, from a minute to a year; a number alone is milliseconds, as upstream reads it")
    })
}

/// With a proof for each meeting.
const EACH: Duration = Duration::from_secs(60);

/// One of these. What the environment says else has stopped the start, or been accepted.
fn kind<'a>(e: &Effective, key: &str, all: &[&'a str]) -> Result<&'a str, StartError> {
    match (all.iter().find(|one| **one == e.text(key)), e.origin(key)) {
        (Some(one), _) => Ok(one),
        (None, _) if e.text(key).is_empty() => Ok(""),
        // compat: upstream takes all others for accounts (test: compat_the_focus_asks_as_its_own_variables_say).
        (None, Origin::Env(_)) => Ok("internal"),
        (None, _) => Err(e.bad(key, format!("must be one of {}", all.join(", ")))),
    }
}

/// Which directory. Whether it can be asked is for whoever lets people in.
fn directory(e: &Effective) -> Result<RawDirectory, StartError> {
    let text = |key: &str| Some(e.text(key).to_owned()).filter(|t| !t.is_empty());
    let urls: Vec<String> = e.text("login.ldap.url").split_whitespace().map(str::to_owned).collect();
    let start_tls = e.is_on("login.ldap.start_tls");
    if e.is_on("login.ldap.tls") && !start_tls && urls.iter().any(|url| url.starts_with("ldap://")) {
        return Err(e.bad(
            "login.ldap.tls",
            "is on, and login.ldap.url has an address without: write ldaps://, or switch login.ldap.start_tls on",
        ));
    }
    Ok(RawDirectory {
        urls,
        base: Some(e.text("login.ldap.base").to_owned()),
        filter: e.text("login.ldap.filter").to_owned(),
        fastbind: kind(e, "login.ldap.method", &["bind", "fastbind"])? == "fastbind",
        moderators: text("login.ldap.moderators"),
        recheck_seconds: recheck(e)?,
        bind_dn: text("login.ldap.bind_dn"),
        bind_password: secret(e, "login.ldap.bind_password"),
        bind_password_file: None,
        start_tls,
        check_peer: e.is_on("login.ldap.check_peer"),
        roots: text("login.ldap.roots").map(Into::into),
    })
}

/// How often it is asked about those who are in.
fn recheck(e: &Effective) -> Result<Option<u32>, StartError> {
    let key = "login.ldap.recheck";
    if e.text(key).is_empty() {
        return Ok(None);
    }
    let every = timeout(e.text(key)).and_then(|t| u32::try_from(t.as_secs()).ok());
    let wrong = || e.bad(key, "must be a time such as `15 minutes`, from one second to a day");
    every.map(Some).ok_or_else(wrong)
}

/// What tokens have to be like. Whether they can be told from others is for whoever lets people in.
fn token(e: &Effective) -> RawToken {
    let text = |key: &str| Some(e.text(key).to_owned()).filter(|t| !t.is_empty());
    let list = |key: &str| Some(e.list(key).to_vec()).filter(|l| !l.is_empty());
    // compat: upstream takes a secret `0` or `false` for none (test: compat_a_secret_that_is_no_is_none).
    let app_secret = secret(e, "login.token.app_secret")
        .filter(|s: &Sensitive<String>| !service::options::is_no(s.reveal()));
    RawToken {
        app_id: e.text("login.token.app_id").to_owned(),
        app_secret,
        app_secret_file: None,
        key_server: text("login.token.key_server"),
        keys_url: text("login.token.keys_url"),
        algorithm: text("login.token.algorithm"),
        allow_empty: e.is_on("login.token.allow_empty"),
        issuers: list("login.token.issuers"),
        audiences: list("login.token.audiences"),
        require_room: e.is_on("login.token.require_room"),
        verify_domain: e.is_on("login.token.verify_domain"),
        token_for_moderation: false,
    }
}

/// The option whose value makes the directory impossible.
pub(crate) const fn option_of_directory(error: &DirectoryError) -> &'static str {
    match error {
        DirectoryError::Url => "login.ldap.url",
        DirectoryError::StartTls => "login.ldap.start_tls",
        DirectoryError::Filter(_) => "login.ldap.filter",
        DirectoryError::Moderators(_) => "login.ldap.moderators",
        DirectoryError::Recheck => "login.ldap.recheck",
        DirectoryError::Password => "login.ldap.bind_password",
        DirectoryError::Roots => "login.ldap.roots",
    }
}

/// The option whose value makes the rules of tokens impossible.
pub(crate) fn option_of(error: prosody_core::token::RulesError) -> &'static str {
    use prosody_core::token::RulesError as E;
    match error {
        E::NoAppId => "login.token.app_id",
        E::NoKey | E::PublicSecret | E::Key(_) => "login.token.app_secret",
        E::Algorithm | E::SecretFromServer => "login.token.algorithm",
        E::KeyServer => "login.token.key_server",
        E::KeysUrl => "login.token.keys_url",
        E::NoIssuers => "login.token.issuers",
        E::NoAudiences => "login.token.audiences",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use service::Sources;

    use super::*;
    use crate::options::{SETTINGS, Settings};

    fn login(env: &[(&str, &str)]) -> Option<Login> {
        let env = |n: &str| env.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
        let sources = Sources { defaults: None, file: None, env: &env, flags: BTreeMap::new() };
        Settings::look(&Effective::load(SETTINGS, &sources).unwrap()).unwrap().login
    }

    #[test]
    fn a_lifetime_that_is_none_stops_the_start() {
        for odd in ["never", "0", "59 s", "367 days", "-1 h"] {
            let env = |n: &str| (n == "JICOFO_AUTH_LIFETIME").then(|| odd.to_owned());
            let sources = Sources { defaults: None, file: None, env: &env, flags: BTreeMap::new() };
            let error = Settings::look(&Effective::load(SETTINGS, &sources).unwrap()).unwrap_err();
            assert!(error.to_string().contains("login.lifetime"), "{odd}: {error}");
        }
    }

    const JWT: [(&str, &str); 2] = [("ENABLE_AUTH", "1"), ("AUTH_TYPE", "jwt")];

    #[test]
    fn compat_a_secret_that_is_no_is_none() {
        for (text, is) in [("0", false), ("false", false), ("", false), ("00", true), ("geheim", true)] {
            let login = login(&[&JWT[..], &[("JWT_APP_SECRET", text)]].concat()).unwrap();
            let Proof::Token(token) = login.proof else { panic!("{text}") };
            assert_eq!(token.app_secret.is_some(), is, "{text}");
        }
    }

    #[test]
    fn compat_the_focus_asks_as_its_own_variables_say() {
        let opens = |more: &[(&str, &str)]| login(&[&JWT[..], more].concat()).unwrap().opens;
        let of = |automatic, each, seconds| Opens { automatic, each, lifetime: Duration::from_secs(seconds) };
        let (day, each) = (of(true, false, 86_400), of(false, true, 60));
        assert_eq!(opens(&[]), Some(each));
        assert_eq!(opens(&[("JICOFO_AUTH_TYPE", "internal")]), Some(day));
        assert_eq!(opens(&[("JICOFO_AUTH_TYPE", "xmpp")]), Some(day));
        assert_eq!(opens(&[("JICOFO_ENABLE_AUTH", "0")]), None);
        let hour = ("JICOFO_AUTH_LIFETIME", "1 hour");
        assert_eq!(opens(&[hour]), Some(each));
        assert_eq!(opens(&[("JICOFO_AUTH_TYPE", "xmpp"), hour]), Some(of(true, false, 3_600)));
        let own = login(&[("ENABLE_AUTH", "1"), ("JICOFO_AUTH_TYPE", "jwt")]).unwrap();
        assert!(matches!(own.proof, Proof::Account) && own.opens == Some(each));
        assert!(login(&[("AUTH_TYPE", "jwt")]).is_none(), "nobody is asked");
        let prosody = login(&[&JWT[..], &[("PROSODY_AUTH_TYPE", "internal")]].concat()).unwrap();
        assert!(matches!(prosody.proof, Proof::Account));
    }
}
