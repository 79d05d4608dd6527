//! The bridge's connections to XMPP servers: one it is started with, others that an admin adds and takes away while it runs (bridge §1.4).
//!
//! Each is kept alive by itself, in its own rooms. What a request of one of them comes to concerns no other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jitsi_xmpp::{BareJid, Sensitive};
use serde_json::Value;
use service::shutdown::told;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use xmpp_link::{Link, LinkConfig, TlsMode};

use super::BreweryConfig;
use crate::control::{Control, Failure};
use crate::limits;
use crate::stats::Reporter;

/// The name of the one that the bridge is started with, as in upstream's containers.
pub(crate) const FIRST: &str = "shard0";

/// A connection as an admin asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    id: String,
    address: String,
    domain: String,
    username: String,
    password: Sensitive<String>,
    rooms: Vec<BareJid>,
    nick: String,
    verify_certificate: bool,
    tls: TlsMode,
}

/// Why a connection is not made. Blame: the admin. Consequence: nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// Something is missing or wrong.
    #[error("id, hostname, username, password, muc_jids and muc_nickname are needed, as texts")]
    Incomplete,
    /// The id is another one's.
    #[error("there is another one with this id")]
    Another,
    /// More than anybody needs.
    #[error("there are too many")]
    TooMany,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Links {
    control: Arc<Control>,
    reporter: Arc<Reporter>,
    presence_interval: Duration,
    shutdown: watch::Receiver<bool>,
    running: Mutex<BTreeMap<String, Running>>,
}

/// One that is kept alive.
#[derive(Debug)]
struct Running {
    /// `None`: the one that the bridge was started with.
    wanted: Option<Wanted>,
    stop: watch::Sender<bool>,
    failures: mpsc::Sender<Failure>,
}

impl Links {
    pub(crate) fn new(
        control: Arc<Control>,
        reporter: Arc<Reporter>,
        presence_interval: Duration,
        shutdown: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Self { control, reporter, presence_interval, shutdown, running: Mutex::default() })
    }

    /// The one that the bridge is started with. The task ends when the link is gone for good, or all end.
    pub(crate) fn begin(&self, brewery: BreweryConfig, link: Link) -> JoinHandle<()> {
        self.keep(FIRST.to_owned(), None, brewery, link)
    }

    /// One more; the same once more changes nothing.
    pub(crate) fn add(&self, wanted: Wanted) -> Result<(), Refused> {
        {
            let running = self.running();
            match running.get(&wanted.id) {
                Some(known) if known.wanted.as_ref() == Some(&wanted) => return Ok(()),
                Some(_) => return Err(Refused::Another),
                None if running.len() >= limits::LINKS => return Err(Refused::TooMany),
                None => {}
            }
        }
        let link = Link::connect(LinkConfig {
            address: wanted.address.clone(),
            domain: wanted.domain.clone(),
            username: wanted.username.clone(),
            password: wanted.password.clone(),
            resource: wanted.nick.clone(),
            tls: wanted.tls,
            verify_certificate: wanted.verify_certificate,
            resume_within: Some(limits::RESUME_WITHIN),
        });
        let brewery = BreweryConfig {
            rooms: wanted.rooms.clone(),
            nick: wanted.nick.clone(),
            presence_interval: self.presence_interval,
        };
        self.keep(wanted.id.clone(), Some(wanted), brewery, link);
        Ok(())
    }

    /// One less; one that is not there is gone.
    pub(crate) fn remove(&self, id: &str) {
        if let Some(gone) = self.running().remove(id) {
            gone.stop.send_replace(true);
        }
    }

    /// Whether an admin has taken away the one that the bridge was started with.
    pub(crate) fn is_without_first(&self) -> bool {
        !self.running().contains_key(FIRST)
    }

    /// What they are called.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.running().keys().cloned().collect()
    }

    /// Tells a failed conference to the one that asked for it.
    pub(crate) async fn pass_failures(self: Arc<Self>, mut failures: mpsc::Receiver<Failure>) {
        while let Some(failure) = failures.recv().await {
            for running in self.running().values() {
                // Who has no room finds out with its next request.
                let _ = running.failures.try_send(failure.clone());
            }
        }
    }

    fn keep(&self, id: String, wanted: Option<Wanted>, brewery: BreweryConfig, link: Link) -> JoinHandle<()> {
        let (failures, failed) = mpsc::channel(limits::FAILURES);
        let stop = watch::Sender::new(false);
        let state = self.reporter.add_link(brewery.rooms.len() as u64);
        let (stopped, shutdown) = (stop.subscribe(), self.shutdown.clone());
        let either = watch::Sender::new(false);
        let either_told = either.subscribe();
        let (control, reporter) = (Arc::clone(&self.control), Arc::clone(&self.reporter));
        self.running().insert(id, Running { wanted, stop, failures });
        tokio::spawn(async move {
            let work = super::run(
                brewery,
                link,
                control,
                (Arc::clone(&reporter), Arc::clone(&state)),
                failed,
                either_told,
            );
            tokio::pin!(work);
            let ended = tokio::select! {
                () = &mut work => true,
                () = told(stopped) => false,
                () = told(shutdown) => false,
            };
            if !ended {
                either.send_replace(true);
                work.await;
            }
            reporter.remove_link(&state);
        })
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanted {
    /// Reads the body of `POST /colibri/muc-client/add`; names and defaults are upstream's (bridge §1.2).
    pub(crate) fn from_json(body: &Value) -> Result<Self, Refused> {
        let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|t| !t.is_empty());
        let needed = |key: &str| text(key).map(str::to_owned).ok_or(Refused::Incomplete);
        let hostname = needed("hostname")?;
        let port = match body.get("port") {
            None => 5222,
            Some(Value::String(port)) => port.parse().map_err(|_| Refused::Incomplete)?,
            Some(port) => port.as_u64().and_then(|p| u16::try_from(p).ok()).ok_or(Refused::Incomplete)?,
        };
        let flag = |key: &str| match body.get(key) {
            None => Ok(false),
            Some(Value::Bool(on)) => Ok(*on),
            Some(Value::String(on)) => Ok(on.eq_ignore_ascii_case("true")),
            Some(_) => Err(Refused::Incomplete),
        };
        let rooms: Option<Vec<BareJid>> =
            needed("muc_jids")?.split(',').map(|room| room.trim().parse().ok()).collect();
        let rooms = rooms.filter(|rooms| rooms.len() <= limits::ROOMS_PER_LINK).ok_or(Refused::Incomplete)?;
        let local = matches!(hostname.as_str(), "localhost" | "127.0.0.1" | "::1");
        let tls = match text("security_mode").map(str::to_ascii_lowercase).as_deref() {
            Some("disabled") => TlsMode::Off,
            Some("ifpossible") => TlsMode::IfOffered,
            Some("required") => TlsMode::Required,
            Some(_) => return Err(Refused::Incomplete),
            None if local => TlsMode::IfOffered,
            None => TlsMode::Required,
        };
        let host = if hostname.contains(':') { format!("[{hostname}]") } else { hostname.clone() };
        Ok(Self {
            id: needed("id")?,
            address: format!("{host}:{port}"),
            domain: text("domain").map_or(hostname, str::to_owned),
            username: needed("username")?,
            password: Sensitive::new(needed("password")?),
            rooms,
            nick: needed("muc_nickname")?,
            verify_certificate: !flag("disable_certificate_verification")?,
            tls,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body() -> Value {
        json!({
            "id": "shard-2", "hostname": "xmpp.example", "username": "jvb", "password": "secret",
            "muc_jids": "a@b.example, c@d.example", "muc_nickname": "jvb-1",
        })
    }

    #[test]
    fn compat_what_is_not_named_is_as_upstream_has_it() {
        let wanted = Wanted::from_json(&body()).unwrap();
        assert_eq!((wanted.address.as_str(), wanted.domain.as_str()), ("xmpp.example:5222", "xmpp.example"));
        assert_eq!((wanted.tls, wanted.verify_certificate, wanted.rooms.len()), (TlsMode::Required, true, 2));
        let mut here = body();
        here["hostname"] = "::1".into();
        here["port"] = "6222".into();
        here["domain"] = "auth.example".into();
        here["disable_certificate_verification"] = true.into();
        let wanted = Wanted::from_json(&here).unwrap();
        assert_eq!((wanted.address.as_str(), wanted.domain.as_str()), ("[::1]:6222", "auth.example"));
        assert_eq!((wanted.tls, wanted.verify_certificate), (TlsMode::IfOffered, false));
        assert!(!format!("{wanted:?}").contains("secret"));
    }

    #[test]
    fn what_is_missing_or_wrong_is_refused() {
        for key in ["id", "hostname", "username", "password", "muc_jids", "muc_nickname"] {
            let mut less = body();
            less.as_object_mut().unwrap().remove(key);
            assert_eq!(Wanted::from_json(&less), Err(Refused::Incomplete), "{key}");
        }
        for (key, wrong) in [
            ("port", json!(70_000)),
            ("port", json!("many")),
            ("muc_jids", json!("no room")),
            ("disable_certificate_verification", json!(1)),
            ("security_mode", json!("maybe")),
        ] {
            let mut odd = body();
            odd[key] = wrong;
            assert_eq!(Wanted::from_json(&odd), Err(Refused::Incomplete), "{key}");
        }
        let rooms = |n: usize| {
            let mut many = body();
            many["muc_jids"] = vec!["a@b.example"; n].join(",").into();
            Wanted::from_json(&many)
        };
        assert!(rooms(limits::ROOMS_PER_LINK).is_ok());
        assert_eq!(rooms(limits::ROOMS_PER_LINK + 1), Err(Refused::Incomplete), "one beyond");
    }
}
