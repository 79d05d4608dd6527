//! Settings in, all parts of a role started and joined by links out; returns when everything has ended.
//!
//! Between the roles there is only XMPP: in one process over [`Link::in_process`], else over TCP.

mod bridge;
mod focus;
pub(crate) mod limits;
mod public;
mod stun;
mod turn;
mod xmpp;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use focus_server::Restart;
use jitsi_xmpp::{FullJid, Sensitive};
use service::logging::To;
use service::{Effective, Health, Metrics, Proxies, ServiceManager, Shutdown, StartError, listen, sockets};
use tokio::signal::unix::{SignalKind, signal};
use xmpp_link::{Link, LinkConfig, TlsMode};

use crate::acme::challenges;
use crate::draining::{self, Draining};
use crate::front::secure::{self, Elsewhere};
use crate::front::{self, Front, Served};
use crate::generations::state::Upgrades;
use crate::options::{CertificateOrigin, Https, Role, Settings, named};
use crate::reload::{self, Running, Source};
use crate::serve::{Before, Serving};
use crate::shell::{self, Shell};
use crate::support::Support;
use crate::tls::Certificate;
use crate::{admin, generations, greeting, restart, serve};

/// The XMPP server's options as these settings have them.
pub(crate) fn xmpp_options(settings: &Settings) -> prosody_server::Raw {
    xmpp::options(settings)
}

/// What the XMPP server serves with these settings.
pub(crate) fn xmpp_config(settings: &Settings) -> Result<prosody_server::Config, StartError> {
    xmpp::config(settings)
}

/// What else would end a start of this role before anything runs.
pub(crate) fn check(role: Role, settings: &Settings, effective: &Effective) -> Result<(), StartError> {
    is_shared(role, settings, effective)?;
    match role {
        Role::AllInOne | Role::Focus => focus::config(settings).map(drop),
        Role::Xmpp | Role::Videobridge => Ok(()),
    }
}

/// What the parts are started with and report to.
struct Process<'a> {
    role: Role,
    settings: &'a Settings,
    shutdown: Shutdown,
    health: Health,
    metrics: Metrics,
    /// Where the public name leads, found by the bridge and of interest to the TURN server.
    by_name: public::ByName,
}

/// Routes of the started parts.
#[derive(Default)]
struct Routes {
    public: Router,
    admin: Router,
    /// The admin's, too, and with keys of their own.
    keyed: Router,
}

impl Routes {
    fn with(self, other: Self) -> Self {
        Self {
            public: self.public.merge(other.public),
            admin: self.admin.merge(other.admin),
            keyed: self.keyed.merge(other.keyed),
        }
    }
}

/// Starts what the role needs and stays until told to end. `Ok(true)` is an end as asked.
pub(crate) async fn run(
    role: Role,
    mut settings: Settings,
    effective: &Effective,
    source: Source,
) -> Result<bool, StartError> {
    let (since, as_checked) = (Instant::now(), settings.clone());
    // From now on it ends nothing.
    let hangup = signal(SignalKind::hangup()).map_err(|e| part("signal handling", e))?;
    let upgrade = match role {
        Role::AllInOne => Some(signal(SignalKind::user_defined2()).map_err(|e| part("signal handling", e))?),
        Role::Xmpp | Role::Videobridge => {
            let asked = signal(SignalKind::user_defined2()).map_err(|e| part("signal handling", e))?;
            tokio::spawn(restart::refuse(asked));
            None
        }
        Role::Focus => None,
    };
    let program = restart::own_program();
    let mut left = match role {
        Role::AllInOne => generations::left().await?,
        Role::Xmpp | Role::Focus | Role::Videobridge => None,
    };
    if upgrade.is_some() {
        sockets::begin(left.as_mut().map(|l| std::mem::take(&mut l.sockets)).unwrap_or_default());
    }
    let own_secret = effective.text("turn.secret").is_empty();
    if let Some(secret) = left.as_ref().and_then(|l| l.turn_secret.as_ref()).filter(|_| own_secret) {
        settings.adopt_turn_secret(secret);
    }
    if let (Role::Xmpp, Some(port)) = (role, settings.http_port) {
        settings.http.set_port(port);
    }
    let shutdown = Shutdown::new().map_err(|e| part("signal handling", e))?;
    // The ports first: a taken one must end the start before any part has begun.
    let http = listen::tcp("http.listen", settings.http).await?;
    let https = match &settings.https {
        Some(https) => {
            Some((listen::tcp("https.listen", https.listen).await?, https, encryption(&settings, https)?))
        }
        None => None,
    };
    let private = match is_shared(role, &settings, effective)? {
        true => None,
        false => Some(listen::tcp("admin.listen", settings.admin.listen).await?),
    };
    let mut process = Process {
        role,
        settings: &settings,
        shutdown,
        health: Health::new(),
        metrics: Metrics::new(),
        by_name: public::ByName::default(),
    };
    let (wishes, wished) = reload::wishes();
    let (mut served, mut running, mut in_use) = (None, None, None);
    let p = &mut process;
    let way_of_turn = left.as_mut().and_then(|l| l.turn.take());
    let turn = if matches!(role, Role::AllInOne) { turn::start(p, way_of_turn)? } else { None };
    let mut all_in_one = None;
    let (routes, before): (Routes, Before) = match role {
        Role::AllInOne => {
            let (server, xmpp) = xmpp::start(p).await?;
            let jvb =
                xmpp::attach(&server, &account(p, &settings.bridge.user, &settings.bridge.name)?).await?;
            let (bridge, jvb) = {
                let ways = left.as_mut().map(|l| std::mem::take(&mut l.media)).unwrap_or_default();
                bridge::start(p, Some(jvb), ways).await?
            };
            let link = xmpp::attach(&server, &account(p, "focus", "focus")?).await?;
            let (focus, handle) = focus::start(p, link, focus::Alone::No, Restart::default())?;
            let mut all = xmpp.with(bridge).with(focus);
            let front = Front::new(settings.web.clone(), settings.domains.clone(), settings.client.clone());
            let front = Served::new(front);
            let support = Support::new();
            all.public = front.router(all.public.merge(support.public()));
            all_in_one = Some((server.clone(), handle.clone(), jvb.clone()));
            let draining = Draining { focus: Some(handle), bridge: Some(jvb) };
            let about = admin::about(p.health.clone(), "Plausch");
            all.admin = all.admin.merge(about).merge(draining::router(draining)).merge(support.admin());
            p.metrics.add(move |out| support.write_metrics(out));
            (served, running) = (Some(front), Some(server));
            (all, if settings.web.tenants { front::rewrite } else { front::rewrite_without_tenants })
        }
        // A web server in front of this role adds the tenant itself, so its requests are left as they are.
        Role::Xmpp => {
            let (server, mut xmpp) = xmpp::start(p).await?;
            if private.is_some() {
                xmpp.public = xmpp.public.merge(server.health_router());
                if let Some(whom) = settings.metrics_for.clone() {
                    xmpp.public = xmpp.public.merge(admin::figures(p.metrics.clone(), whom));
                }
            }
            xmpp.admin = xmpp.admin.merge(admin::about(p.health.clone(), "Plausch"));
            running = Some(server);
            (xmpp, as_it_is)
        }
        Role::Focus => {
            let kept = restart::kept(effective, settings.focus.handover.as_deref())?;
            let password = settings.focus.password.as_ref();
            let account = account_of(p, "focus.password", "focus", "focus", password, effective)?;
            if kept.is_some() {
                p.shutdown.means(
                    "meetings go on, if a focus is there again before the XMPP server gives this one up",
                );
            }
            let restart = restart::before(kept);
            let session = restart.before.as_ref().map(|before| before.link.clone());
            let link = Link::succeed(account, session, restart.kept.is_some());
            let (mut focus, handle) = focus::start(p, link, focus::Alone::Yes, restart)?;
            tokio::spawn(restart::on_signal(handle.clone(), program.clone(), p.shutdown.trigger()));
            focus.admin = focus.admin.merge(draining::router(Draining { focus: Some(handle), bridge: None }));
            (focus, as_it_is)
        }
        Role::Videobridge => {
            let b = &settings.bridge;
            let account = account_of(p, "bridge.password", &b.user, &b.name, b.password.as_ref(), effective)?;
            let within = Some(videobridge_server::RESUME_WITHIN);
            let link = Link::connect(LinkConfig { resume_within: within, ..account });
            let (mut bridge, handle) = bridge::start(p, Some(link), Vec::new()).await?;
            let (leaving, end) = (handle.clone(), p.shutdown.trigger());
            tokio::spawn(async move {
                leaving.left().await;
                end.send_replace(true);
            });
            bridge.admin = bridge.admin.merge(handle.shutdown_router()).merge(handle.muc_client_router());
            let draining = Draining { focus: None, bridge: Some(handle) };
            // compat: its name is asked for by programs (test: one_address_for_all_of_a_role_and_the_probes_of_jitsi_helm).
            let about = admin::about(p.health.clone(), "JVB");
            bridge.admin = bridge.admin.merge(about).merge(draining::router(draining));
            (bridge, as_it_is)
        }
    };
    p.metrics.add(|out| {
        out.counter(
            "plausch_log_lines_lost",
            "Log lines that could not be written.",
            service::logging::lost(),
        );
    });
    let Process { mut shutdown, metrics, .. } = process;
    let front = Serving::new(before, settings.trusted_proxies.clone());
    let (mut public, mut for_admin) = (routes.public, routes.admin.merge(reload::router(wishes.clone())));
    // What is not configured any more is closed.
    sockets::close_left();
    let before = match (left, &all_in_one) {
        (Some(left), Some((xmpp, ..))) => {
            let tenants = settings.web.tenants;
            Some(left.begin(settings.domains.clone(), tenants, xmpp.clone()).await?)
        }
        _ => None,
    };
    if let Some(before) = before.clone() {
        public = public.layer(from_fn_with_state(before, generations::pass));
    }
    if let (Some((xmpp, focus, bridge)), Some(signals)) = (all_in_one, upgrade) {
        let (upgrades, wished) = Upgrades::new(before.clone());
        for_admin = for_admin.merge(upgrades.router());
        let figures = upgrades.clone();
        metrics.add(move |out| figures.expose(out));
        let old = generations::Old {
            program,
            xmpp,
            focus,
            bridge,
            turn: turn.clone(),
            turn_secret: settings.turn.as_ref().map(|t| t.secret.clone()),
            internal: settings.domains.internal_muc.clone(),
            before: before.clone(),
            router: public.clone(),
            // Requests come as the successor has understood them.
            serving: Arc::new(Serving::new(as_it_is, settings.trusted_proxies.clone())),
            patience: settings.meetings_go_on,
            upgrades,
            end: shutdown.trigger(),
        };
        let end = shutdown.watch();
        shutdown.spawn("upgrade", old.keep(signals, wished, end));
        let mut end = shutdown.watch();
        let before = before.clone();
        shutdown.spawn("sockets for a successor", async move {
            let _ = end.wait_for(|e| *e).await;
            sockets::forget_all();
            if let Some(before) = before {
                before.tell_end().await;
            }
        });
    }
    if let Some(xmpp) = running.clone() {
        let end = shutdown.trigger();
        for_admin = for_admin.merge(shell::router(Shell { xmpp, wishes, end, since }));
    }
    if let Some((listener, https, certificate)) = https {
        let mut encrypted = public.clone();
        if https.hsts {
            encrypted = encrypted.layer(from_fn(secure::remember));
        }
        if https.redirect {
            let port = listener.local_addr().map_or_else(|_| https.listen.port(), |a| a.port());
            let elsewhere = Elsewhere { public: settings.web.public_url.clone(), port };
            public = public.layer(from_fn_with_state(elsewhere, secure::redirect));
        }
        if let Some(acme) = certificate.directory() {
            // Before everything else, the way to TLS included; and there as well, for who follows one.
            let answer = from_fn_with_state(Arc::clone(&acme.challenges), challenges::answer);
            public = public.layer(answer.clone());
            encrypted = encrypted.layer(answer);
        }
        let reported = Arc::clone(&certificate);
        metrics.add(move |out| reported.write_metrics(out));
        let worried = Arc::clone(&certificate);
        process.health.add("certificate", move || worried.state());
        let serving = Serving { tls: Some(certificate.config(turn.is_some())?), turn, ..front.clone() };
        let budgets = serving.http2.clone();
        metrics.add(move |out| budgets.write_metrics(out));
        shutdown.spawn("web front over TLS", serve::http(listener, encrypted, serving, shutdown.watch()));
        in_use = Some(Arc::clone(&certificate));
        let end = shutdown.watch();
        shutdown.spawn("certificate", async move {
            let mut taking = sockets::taking();
            // While a successor has everybody new, it answers those who issue certificates.
            while !*end.borrow() {
                let watching = Arc::clone(&certificate).watch(end.clone());
                tokio::select! {
                    () = watching => return,
                    _ = taking.wait_for(|on| !*on) => {}
                }
                let mut end = end.clone();
                tokio::select! {
                    _ = taking.wait_for(|on| *on) => {}
                    _ = end.wait_for(|e| *e) => return,
                }
            }
        });
    }
    let admin = admin::router(&settings.admin, metrics, for_admin, routes.keyed);
    match private {
        Some(private) => {
            let private_too = Serving::new(as_it_is, Proxies::default());
            shutdown.spawn("admin", serve::http(private, admin, private_too, shutdown.watch()));
        }
        // Each keeps its own door.
        None => public = public.merge(admin),
    }
    shutdown.spawn("web front", serve::http(http, public, front, shutdown.watch()));
    if let Some(manager) = ServiceManager::of_environment() {
        shutdown.spawn("systemd", manager.keep_informed(process.health, shutdown.watch()));
    }
    let running = Running {
        role,
        source,
        effective: effective.clone(),
        settings: as_checked,
        xmpp: running,
        front: served,
        certificate: in_use,
    };
    shutdown.spawn("reload", running.keep(hangup, wished, shutdown.watch()));
    let machine = videobridge_udp::interface_addresses().unwrap_or_default();
    let greeting = greeting::text(role, &settings, effective, &machine);
    match settings.log.1 {
        To::Error => service::output::say(greeting),
        // Whoever reads the log there reads lines of the log.
        To::Output => greeting.lines().filter(|l| !l.trim().is_empty()).for_each(|l| tracing::info!("{l}")),
    }
    if let Some(before) = before {
        before.tell_serving().await;
    }
    Ok(shutdown.wait().await)
}

/// The certificate that the front has over TLS.
fn encryption(settings: &Settings, https: &Https) -> Result<Arc<Certificate>, StartError> {
    match &https.certificate {
        CertificateOrigin::Files(files) => return Certificate::of(files.clone()),
        CertificateOrigin::Acme(wish) => return Certificate::acme(wish.clone(), &https.former),
        CertificateOrigin::Own => {}
    }
    let way =
        named("get a real one with https.acme.enabled, or name one with https.certificate and https.key");
    let url = settings.web.public_url.as_deref().and_then(|url| url.parse::<http::Uri>().ok());
    let host = url.as_ref().and_then(http::Uri::host).unwrap_or("localhost").trim_matches(['[', ']']);
    if let Some(former) = Certificate::former(host, &https.former) {
        return Ok(former);
    }
    tracing::warn!("browsers warn of our own certificate; {way}");
    Certificate::own(host)
}

/// Whether public and admin's requests come to one address, as upstream's programs have it. The front that people open has none
/// of the admin's.
fn is_shared(role: Role, settings: &Settings, effective: &Effective) -> Result<bool, StartError> {
    if settings.http != settings.admin.listen || settings.http.port() == 0 {
        return Ok(false);
    }
    match role {
        Role::AllInOne => {
            Err(effective
                .bad("admin.listen", "must not be the address of http.listen, which is for the public"))
        }
        Role::Xmpp | Role::Focus | Role::Videobridge => Ok(true),
    }
}

fn as_it_is(request: http::Request<axum::body::Body>) -> http::Request<axum::body::Body> {
    request
}

/// A service account's full address.
fn account(p: &Process<'_>, user: &str, resource: &str) -> Result<FullJid, StartError> {
    let jid = format!("{user}@{}/{resource}", p.settings.domains.auth);
    jid.parse().map_err(|e| part("a service account", format!("{jid} is no XMPP address: {e}")))
}

/// How a role that runs alone logs in.
fn account_of(
    p: &Process<'_>,
    option: &str,
    user: &str,
    resource: &str,
    password: Option<&Sensitive<String>>,
    effective: &Effective,
) -> Result<LinkConfig, StartError> {
    let password = password.ok_or_else(|| effective.bad(option, "is needed to log in to the XMPP server"))?;
    Ok(LinkConfig {
        address: p.settings.xmpp_server.clone(),
        domain: p.settings.domains.auth.clone(),
        username: user.to_owned(),
        password: password.clone(),
        resource: resource.to_owned(),
        tls: TlsMode::IfOffered,
        verify_certificate: p.settings.verify_certificate,
        resume_within: None,
    })
}

fn part(part: &'static str, reason: impl std::fmt::Display) -> StartError {
    StartError::Part { part, reason: reason.to_string() }
}
