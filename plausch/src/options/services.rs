//! The settings of `services` in; the accounts of recorders, gateways and administrators, where the focus finds them, and the domain that
//! clients hide, out.

use std::time::Duration;

use jitsi_xmpp::Sensitive;
use service::{Effective, StartError};

use super::focus::{TIMEOUT, timeout};
use super::hosts::HostTables;
use super::values::account;
use super::{Domains, domain, secret};

/// Accounts that no person has.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    /// Whose people are not shown; `None`: nobody's.
    pub(crate) hidden_domain: Option<String>,
    /// `name@host` and its password.
    pub(crate) accounts: Vec<(String, Sensitive<String>)>,
    /// Those of them, and others, that own every room.
    pub(crate) admins: Vec<String>,
    /// Meetings are recorded.
    pub(crate) recording: Option<Recording>,
    /// Where gateways say how they are, `name@host`; `None`: there are none.
    pub(crate) gateways: Option<String>,
    pub(crate) trusted_domains: Vec<String>,
    pub(crate) recorder: String,
    pub(crate) transcriber: String,
}

/// How meetings are recorded.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    /// Where recorders say how they are, `name@host`.
    pub(crate) brewery: String,
    /// How long one has to begin.
    pub(crate) pending: Duration,
    /// How long a wish waits for one that is free.
    pub(crate) wait: Duration,
    /// How many more are tried; `None`: all.
    pub(crate) retries: Option<u32>,
}

pub(super) fn read(
    e: &Effective,
    domains: &Domains,
    tables: Option<&HostTables>,
) -> Result<Services, StartError> {
    let of_table = tables.and_then(|t| t.users.iter().find(|h| h.hidden)).map(|h| h.domain.to_lowercase());
    let hidden = match &of_table {
        Some(domain) => domain.clone(),
        None => domain(e, "services.hidden_domain", &format!("hidden.{}", domains.main))?,
    };
    let mut it = Services {
        hidden_domain: of_table,
        accounts: Vec::new(),
        admins: e.list("services.admins").to_vec(),
        recording: recording(e, domains)?,
        gateways: gateways(e, domains)?,
        trusted_domains: e.list("services.trusted_domains").to_vec(),
        recorder: account(e, "services.recorder_user")?,
        transcriber: account(e, "services.transcriber_user")?,
    };
    let rooms_are_seen = e.is_on("services.recording") || e.is_on("services.transcription");
    if it.trusted_domains.is_empty() && rooms_are_seen {
        it.trusted_domains.push(hidden.clone());
    }
    for (name, on_hidden) in [("jibri", false), ("jigasi", false), ("recorder", true), ("transcriber", true)]
    {
        let user = account(e, &format!("services.{name}_user"))?;
        let key = format!("services.{name}_password");
        let Some(password) = secret(e, &key) else { continue };
        // compat: upstream's template has it where none is set, and everybody knows it (test: compat_a_password_that_is_none_stops_the_start).
        if password.reveal() == "replaceme" {
            return Err(e.bad(&key, "must be a password of your own, not the `replaceme` of the template"));
        }
        let host = if on_hidden { &hidden } else { &domains.auth };
        let jid = format!("{user}@{host}");
        if on_hidden {
            it.hidden_domain = it.hidden_domain.or_else(|| Some(hidden.clone()).filter(|_| tables.is_none()));
        } else {
            it.admins.push(jid.clone());
        }
        it.accounts.push((jid, password));
    }
    Ok(it)
}

fn brewery(e: &Effective, key: &str, domains: &Domains) -> Result<String, StartError> {
    Ok(format!("{}@{}", account(e, key)?, domains.internal_muc))
}

fn recording(e: &Effective, domains: &Domains) -> Result<Option<Recording>, StartError> {
    let (pending, wait, retries) =
        ("services.recording_pending", "services.recording_wait", "services.recording_retries");
    let wrong = || e.bad(retries, "must be a number from 0 to 100, or -1 for all there are");
    let recording = Recording {
        brewery: brewery(e, "services.recorder_brewery", domains)?,
        pending: timeout(e.text(pending)).ok_or_else(|| e.bad(pending, TIMEOUT))?,
        wait: super::focus::time(e.text(wait))
            .filter(|t| *t <= LONGEST_WAIT)
            .ok_or_else(|| e.bad(wait, WAIT))?,
        retries: match e.text(retries).trim() {
            "-1" => None,
            n => Some(n.parse().ok().filter(|n| *n <= 100).ok_or_else(wrong)?),
        },
    };
    Ok(e.is_on("services.recording").then_some(recording))
}

const LONGEST_WAIT: Duration = Duration::from_secs(300);
const WAIT: &str = "must be a time such as `15 s`, up to five minutes, or 0";

fn gateways(e: &Effective, domains: &Domains) -> Result<Option<String>, StartError> {
    let brewery = brewery(e, "services.gateway_brewery", domains)?;
    let on = e.is_on("services.transcription") || !e.text("services.sip_uri").is_empty();
    Ok(on.then_some(brewery))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use service::Sources;

    use super::*;
    use crate::options::{SETTINGS, Settings};

    fn services(env: &[(&str, &str)]) -> Result<Services, String> {
        let env = |n: &str| env.iter().find(|(k, _)| *k == n).map(|(_, v)| (*v).to_owned());
        let sources = Sources { defaults: None, file: None, env: &env, flags: BTreeMap::new() };
        let settings = Settings::look(&Effective::load(SETTINGS, &sources).unwrap());
        settings.map(|s| s.services).map_err(|e| e.to_string())
    }

    #[test]
    fn who_has_a_password_has_an_account_and_nobody_else() {
        let none = services(&[]).unwrap();
        assert!(none.accounts.is_empty() && none.admins.is_empty() && none.hidden_domain.is_none());
        let all = services(&[
            ("JIBRI_XMPP_PASSWORD", "a"),
            ("JIBRI_RECORDER_PASSWORD", "b"),
            ("JIBRI_RECORDER_USER", "kamera"),
            ("JIGASI_XMPP_PASSWORD", "c"),
            ("JIGASI_TRANSCRIBER_PASSWORD", "d"),
            ("XMPP_RECORDER_DOMAIN", "recorder.meet.jitsi"),
            ("PROSODY_ADMINS", "chief@meet.jitsi"),
        ])
        .unwrap();
        let jids: Vec<&str> = all.accounts.iter().map(|(jid, _)| jid.as_str()).collect();
        assert_eq!(
            jids,
            [
                "jibri@auth.meet.jitsi",
                "jigasi@auth.meet.jitsi",
                "kamera@recorder.meet.jitsi",
                "transcriber@recorder.meet.jitsi"
            ]
        );
        assert_eq!(all.admins, ["chief@meet.jitsi", "jibri@auth.meet.jitsi", "jigasi@auth.meet.jitsi"]);
        assert_eq!(all.hidden_domain.as_deref(), Some("recorder.meet.jitsi"));
        assert_eq!(all.recorder, "kamera");
    }

    #[test]
    fn compat_a_password_that_is_none_stops_the_start() {
        let error = services(&[("JIGASI_XMPP_PASSWORD", "replaceme")]).unwrap_err();
        assert!(error.contains("services.jigasi_password") && error.contains("template"), "{error}");
    }
}
