//! SIGHUP, or the admin's wish, in; the configuration read anew and given to the parts that run, or refused whole, out.
//!
//! It is checked as at a start. What a running server cannot take keeps its former value and is named; everything else holds for rooms,
//! logins and pages from then on.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use prosody_server::{Config, ServerHandle};
use serde_json::json;
use service::{Effective, StartError, logging};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot, watch};

use crate::front::{Front, Served};
use crate::options::running::{self, takes_at_once};
use crate::options::{self, Role, Settings};
use crate::tls::Certificate;
use crate::wiring;

/// Reads the options again, from where they came at the start.
pub(crate) type Source = Box<dyn Fn() -> Result<Effective, StartError> + Send + Sync>;

/// What became of a reload: options by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reloaded {
    pub(crate) changed: Vec<&'static str>,
    pub(crate) needs_restart: Vec<&'static str>,
}

/// Somebody who wants one.
pub(crate) type Wish = oneshot::Sender<Result<Reloaded, String>>;

/// Where it is wished for.
#[derive(Debug, Clone)]
pub(crate) struct Wishes(mpsc::Sender<Wish>);

impl Wishes {
    /// What came of it, or why nothing was changed. `None`: the server ends.
    pub(crate) async fn reload(&self) -> Option<Result<Reloaded, String>> {
        let (reply, done) = oneshot::channel();
        self.0.send(reply).await.ok()?;
        done.await.ok()
    }
}

/// One waits while another is done.
const WISHES: usize = 4;

pub(crate) fn wishes() -> (Wishes, mpsc::Receiver<Wish>) {
    let (wishes, wished) = mpsc::channel(WISHES);
    (Wishes(wishes), wished)
}

/// `/reload` for the admin's listener.
pub(crate) fn router(wishes: Wishes) -> Router {
    Router::new().route("/reload", post(reload)).with_state(wishes)
}

async fn reload(State(wishes): State<Wishes>) -> Response {
    match wishes.reload().await {
        Some(Ok(done)) => {
            Json(json!({ "changed": done.changed, "needs_restart": done.needs_restart })).into_response()
        }
        Some(Err(why)) => (StatusCode::UNPROCESSABLE_ENTITY, Json(json!({ "error": why }))).into_response(),
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// What runs, and what it runs with.
pub(crate) struct Running {
    pub(crate) role: Role,
    pub(crate) source: Source,
    pub(crate) effective: Effective,
    pub(crate) settings: Settings,
    pub(crate) xmpp: Option<ServerHandle>,
    pub(crate) front: Option<Served>,
    pub(crate) certificate: Option<Arc<Certificate>>,
}

/// What a new configuration comes to.
struct Plan {
    effective: Effective,
    settings: Settings,
    done: Reloaded,
}

impl Running {
    /// Reloads whenever somebody wants it, until the end.
    pub(crate) async fn keep(
        mut self,
        mut hangup: Signal,
        mut wished: mpsc::Receiver<Wish>,
        mut end: watch::Receiver<bool>,
    ) {
        loop {
            let wish = tokio::select! {
                _ = hangup.recv() => None,
                Some(wish) = wished.recv() => Some(wish),
                _ = end.wait_for(|e| *e) => return,
            };
            let done = self.reload().await;
            match &done {
                Ok(done) => tracing::info!("{}", line(done)),
                Err(why) => tracing::error!("the configuration stays as it was: {why}"),
            }
            // Behind that line, which may be the last for now.
            logging::say_as(self.effective.text("log.filter"));
            if let Some(wish) = wish {
                // Who does not wait any more finds it in the log.
                let _ = wish.send(done);
            }
        }
    }

    async fn reload(&mut self) -> Result<Reloaded, String> {
        // Files are read; where there is one thread alone, it is the one that does.
        let plan = match Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread => self.plan(),
            _ => tokio::task::block_in_place(|| self.plan()),
        };
        let plan = plan.map_err(|e| options::line(&e))?;
        let Plan { effective, settings, done } = plan;
        if let Some(xmpp) = &self.xmpp {
            let config = served(&settings).map_err(|e| options::line(&e))?;
            xmpp.reload(config).await.map_err(|e| e.to_string())?;
        }
        if let Some(front) = &self.front {
            let new = Front::new(settings.web.clone(), settings.domains.clone(), settings.client.clone());
            front.replace(new);
        }
        if let Some(certificate) = &self.certificate {
            certificate.look_again();
        }
        (self.effective, self.settings) = (effective, settings);
        Ok(done)
    }

    /// Everything that can be wrong is found here; nothing is changed yet.
    fn plan(&self) -> Result<Plan, StartError> {
        let wanted = (self.source)()?;
        let as_started = Settings::look(&wanted)?;
        wiring::check(self.role, &as_started, &wanted)?;
        served(&as_started)?;
        let changed = wanted.changed(&self.effective);
        let own_turn = self.settings.turn.is_some();
        let fixed =
            |key: &str| !takes_at_once(self.role, key) || (own_turn && key.starts_with(running::TURN));
        let (mut needs_restart, mut changed): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|key| fixed(key));
        let mut effective = wanted.with_former(&self.effective, &needs_restart);
        let mut settings = Settings::look(&effective)?;
        if self.is_named_otherwise(&settings) {
            let (hosts, others) = changed.into_iter().partition(|key| running::HOSTS.contains(key));
            changed = others;
            needs_restart.extend::<Vec<_>>(hosts);
            effective = wanted.with_former(&self.effective, &needs_restart);
            settings = Settings::look(&effective)?;
        }
        settings.admin.token.clone_from(&self.settings.admin.token);
        if own_turn {
            // Its secret may be one that was made at the start.
            settings.turn.clone_from(&self.settings.turn);
            settings.external_services.clone_from(&self.settings.external_services);
        }
        Ok(Plan { effective, settings, done: Reloaded { changed, needs_restart } })
    }

    /// Whether tables of hosts say something that the other parts were told at the start.
    fn is_named_otherwise(&self, settings: &Settings) -> bool {
        let asks = |s: &Settings| s.login.as_ref().and_then(|login| login.opens);
        let trusted = |s: &Settings| s.services.trusted_domains.clone();
        settings.domains != self.settings.domains
            || asks(settings) != asks(&self.settings)
            || trusted(settings) != trusted(&self.settings)
    }
}

/// What the XMPP server serves with these.
fn served(settings: &Settings) -> Result<Config, StartError> {
    wiring::xmpp_config(settings)
}

/// What is said of it, without any value.
fn line(done: &Reloaded) -> String {
    let list = |all: &[&str]| all.join(", ");
    let changed = match done.changed.as_slice() {
        [] => "no option has another value".to_owned(),
        all => format!("changed: {}", list(all)),
    };
    let restart = match done.needs_restart.as_slice() {
        [] => String::new(),
        all => format!("; needs a restart: {}", list(all)),
    };
    format!("the configuration was read again; {changed}{restart}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use service::Sources;
    use service::options::ConfigFile;

    use super::*;
    use crate::options::SETTINGS;

    fn load(text: &str) -> Result<Effective, StartError> {
        let file = ConfigFile { path: "plausch.toml".into(), text: text.to_owned() };
        let flags = BTreeMap::new();
        Effective::load(SETTINGS, &Sources { defaults: None, file: Some(&file), env: &|_| None, flags })
    }

    /// A server without its parts that has begun with one text and finds another.
    fn running(before: &str, after: &str) -> Running {
        let effective = load(before).unwrap();
        let after = Mutex::new(after.to_owned());
        Running {
            role: Role::AllInOne,
            source: Box::new(move || load(&after.lock().unwrap())),
            settings: Settings::look(&effective).unwrap(),
            effective,
            xmpp: None,
            front: None,
            certificate: None,
        }
    }

    fn plan(before: &str, after: &str) -> Result<Plan, String> {
        running(before, after).plan().map_err(|e| options::line(&e))
    }

    #[test]
    fn what_can_change_does_and_what_cannot_is_named_and_stays() {
        let before = "[http]\nlisten = \"127.0.0.1:8000\"\n[rooms]\nlobby = true\n";
        let after =
            "[http]\nlisten = \"127.0.0.1:8001\"\n[rooms]\nlobby = false\n[log]\nfilter = \"debug\"\n";
        let plan = plan(before, after).unwrap();
        assert_eq!(plan.done.changed, ["rooms.lobby", "log.filter"]);
        assert_eq!(plan.done.needs_restart, ["http.listen"]);
        assert!(!plan.settings.lobby && plan.settings.http.port() == 8000);
        let said = line(&plan.done);
        assert!(said.contains("changed: rooms.lobby, log.filter; needs a restart: http.listen"), "{said}");
        assert!(!said.contains("8001"), "{said}");
    }

    #[test]
    fn what_would_end_a_start_changes_nothing_and_says_why() {
        for (after, named) in [
            ("[rooms\n", "line 1"),
            ("[rooms]\nloby = false\n", "loby"),
            ("[log]\nfilter = \"loud\"\n", "log.filter"),
            ("[xmpp]\nmodules = [\"mod_quota\"]\n", "mod_quota"),
            ("[login]\nrequired = true\ntype = \"jwt\"\n", "login.token"),
            ("[http]\nlisten = \"127.0.0.1:9\"\n[admin]\nlisten = \"127.0.0.1:9\"\n", "admin.listen"),
        ] {
            let why = plan("", after).err().unwrap();
            assert!(why.contains(named) && !why.contains('\n'), "{after}: {why}");
        }
    }

    #[test]
    fn a_secret_is_taken_and_never_said() {
        let of = |secret: &str| {
            format!(
                "[login]\nrequired = true\ntype = \"jwt\"\n[login.token]\napp_id = \"town\"\napp_secret = \"{secret}\"\n"
            )
        };
        let (before, after) =
            (of("the-first-secret-with-32-letters"), of("another-secret-with-32-letters-x"));
        let plan = plan(&before, &after).unwrap();
        assert_eq!(plan.done.changed, ["login.token.app_secret"]);
        assert!(!format!("{:?} {}", plan.done, line(&plan.done)).contains("another"));
        // Whether people log in at all is what the focus was told.
        let plan = self::plan("", &before).unwrap();
        assert!(plan.settings.login.is_none());
        assert!(plan.done.needs_restart.contains(&"login.required"), "{:?}", plan.done);
    }

    #[test]
    fn tables_that_name_other_domains_wait_together() {
        let page = include_str!("../../docs/admin/configuration.md");
        let (_, after) = page.split_once("```toml\n").unwrap();
        let tables = after.split_once("```").unwrap().0;
        let less = tables.replace("max_participants = 40", "max_participants = 30");
        assert_ne!(tables, less);
        let done = plan(tables, &less).unwrap().done;
        assert_eq!((done.changed, done.needs_restart), (vec!["xmpp.rooms"], vec![]));
        let other = less.replace("meet.town.example", "meet.stadt.example");
        let plan = plan(tables, &other).unwrap();
        assert_eq!(plan.done.needs_restart, ["xmpp.users", "xmpp.rooms", "xmpp.components"]);
        assert_eq!(plan.settings.domains.main, "meet.town.example");
    }

    #[test]
    fn a_turn_server_of_our_own_keeps_the_secret_that_it_made() {
        let own = "[turn]\nlisten = \"127.0.0.1:3478\"\n";
        let it = running(own, &format!("{own}stun_host = \"stun.example\"\n"));
        let plan = it.plan().unwrap();
        assert_eq!(plan.done.needs_restart, ["turn.stun_host"]);
        let secret = |s: &Settings| s.turn.as_ref().unwrap().secret.reveal().clone();
        assert_eq!(secret(&plan.settings), secret(&it.settings));
        assert_eq!(plan.settings.external_services.len(), it.settings.external_services.len());
    }
}
