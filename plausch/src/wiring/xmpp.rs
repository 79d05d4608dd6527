//! The XMPP server started from settings; links into it for roles of the same process.

use jitsi_xmpp::FullJid;
use prosody_core::{Counter, Did};
use prosody_server::config::{ConfigError, RawAccount};
use prosody_server::{Config, Raw, ServerHandle};
use service::{Exposition, StartError, State};
use xmpp_link::{Attach, Link};

use super::{Process, Routes, part};
use crate::options::{HostTables, Proof, Settings, cautions, named, option_of, option_of_directory};

/// Starts the server with its TCP listener.
pub(super) async fn start(p: &mut Process<'_>) -> Result<(ServerHandle, Routes), StartError> {
    let s = p.settings;
    let config = config(s)?;
    for line in cautions::of(&config.core) {
        tracing::warn!("{}", named(&line.en));
    }
    let server = prosody_server::start(config, p.shutdown.watch()).await?;
    let (health, numbers, ended) = (server.clone(), server.clone(), server.clone());
    p.health.add(
        "xmpp",
        move || if health.is_running() { State::Healthy } else { State::Hard("stopped".into()) },
    );
    let (host, rooms) = (s.domains.main.clone(), s.domains.muc.clone());
    p.metrics.add(move |out| expose(&numbers, &host, &rooms, out));
    p.shutdown.spawn("xmpp server", async move { ended.ended().await });
    let (public, admin) = (server.router(), server.health_router());
    let routes = Routes { public, admin, keyed: server.inside_router() };
    Ok((server, routes))
}

/// What the server serves with these settings.
pub(super) fn config(s: &Settings) -> Result<Config, StartError> {
    let mut config = Config::from_raw(options(s)).map_err(|e| why(s, &e))?;
    config.core.external_services.clone_from(&s.external_services);
    Ok(config)
}

/// Why the server does not start, with the option that has to be changed.
fn why(s: &Settings, error: &ConfigError) -> StartError {
    match error {
        ConfigError::Tokens(_, wrong) if s.hosts.is_none() => {
            part(PART, format!("`{}`: {wrong}", option_of(*wrong)))
        }
        ConfigError::Directory(_, wrong) if s.hosts.is_none() => {
            part(PART, format!("`{}`: {wrong}", option_of_directory(wrong)))
        }
        other => part(PART, other),
    }
}

/// What the settings say to the server.
pub(super) fn options(s: &Settings) -> Raw {
    let secret = |v: &Option<jitsi_xmpp::Sensitive<String>>| v.as_ref().map(|s| s.reveal().clone());
    let layout = match s.hosts.clone() {
        Some(HostTables { users, rooms, components }) => Raw { users, rooms, components, ..Raw::default() },
        None => Raw {
            domain: Some(s.domains.main.clone()),
            auth_domain: Some(s.domains.auth.clone()),
            muc_domain: Some(s.domains.muc.clone()),
            internal_muc_domain: Some(s.domains.internal_muc.clone()),
            max_participants: s.max_participants,
            modules: s.modules.clone(),
            muc_modules: s.muc_modules.clone(),
            beside_modules: s.beside_modules.clone(),
            hosts_own: Some(s.hosts_own),
            strict_nicks: Some(s.strict_nicks),
            lobby: Some(s.lobby),
            viewers_domain: s.domains.viewers.clone(),
            viewers_focus_domain: s.visitors.focus.clone(),
            max_viewers: Some(s.visitors.max_viewers),
            viewers_come_in: Some(s.visitors.come_in),
            breakout_rooms: Some(s.breakout_rooms),
            av_moderation: Some(s.av_moderation),
            end_conference: Some(s.end_conference),
            polls: Some(s.polls),
            login: Some(s.login.as_ref().is_some_and(|l| matches!(l.proof, Proof::Account))),
            token: s.login.as_ref().and_then(|l| match &l.proof {
                Proof::Token(token) => Some(token.as_ref().clone()),
                Proof::Account | Proof::Directory(_) => None,
            }),
            directory: s.login.as_ref().and_then(|l| match &l.proof {
                Proof::Directory(directory) => Some(directory.as_ref().clone()),
                Proof::Account | Proof::Token(_) => None,
            }),
            guest_domain: s.login.as_ref().and_then(|l| l.guests.clone()),
            hidden_domain: s.services.hidden_domain.clone(),
            ..Raw::default()
        },
    };
    let [shard, region, release] = s.told.clone();
    Raw {
        crowds: s.crowds.clone(),
        shard,
        region,
        release,
        listen: Some(s.xmpp),
        focus_password: secret(&s.focus.password),
        require_encryption: Some(s.require_encryption),
        jvb_user: Some(s.bridge.user.clone()),
        jvb_password: secret(&s.bridge.password),
        accounts: s
            .services
            .accounts
            .iter()
            .map(|(jid, password)| RawAccount { jid: jid.clone(), password: password.reveal().clone() })
            .collect(),
        admins: s.services.admins.clone(),
        recorder: Some(s.services.recorder.clone()),
        transcriber: Some(s.services.transcriber.clone()),
        reservations: s.reservations.clone(),
        programs: s.programs.clone(),
        short_lived_tokens: s.short_lived_tokens.clone(),
        state: Some(s.state.clone()),
        ..layout
    }
}

/// A link for a role of this process, logged in as `jid` without a password.
pub(super) async fn attach(server: &ServerHandle, jid: &FullJid) -> Result<Link, StartError> {
    let server = server.clone();
    let attach: Attach = Box::new(move |end| {
        let server = server.clone();
        Box::pin(async move { server.attach_in_process(end).await.is_ok() })
    });
    let link = Link::in_process_again(jid.clone(), LINK_CAPACITY, attach).await;
    link.ok_or_else(|| part(PART, "has no place for a role of its own process"))
}

/// `host`, `rooms`: the domains of people and of meetings.
fn expose(server: &ServerHandle, host: &str, rooms: &str, out: &mut Exposition) {
    let s = server.stats();
    out.gauge("plausch_xmpp_connections", "Open XMPP connections.", s.now.connections as f64);
    out.gauge(
        "plausch_xmpp_sessions",
        "Bound XMPP sessions, with and without a connection.",
        s.now.sessions as f64,
    );
    out.gauge("plausch_xmpp_hibernating", "Sessions that wait to be resumed.", s.now.hibernating as f64);
    out.gauge("plausch_xmpp_rooms", "Rooms, breweries included.", s.now.rooms as f64);
    out.gauge("plausch_xmpp_occupants", "Occupants of all rooms.", s.now.occupants as f64);
    out.gauge("plausch_xmpp_bosh_sessions", "BOSH sessions.", s.bosh_sessions as f64);
    let core = Counter::ALL.iter().map(|c| (c.label(), s.counters.count(*c)));
    out.counters("plausch_xmpp_events", "What happened in the XMPP server.", "event", core);
    out.counters(
        "plausch_xmpp_connection_events",
        "What happened on connections.",
        "event",
        s.shell.entries(),
    );
    for (did, what) in
        [(Did::Done, "done"), (Did::Refused, "refused"), (Did::Held, "held"), (Did::Dropped, "dropped")]
    {
        let name = format!("plausch_xmpp_module_{what}");
        out.counters(&name, &format!("What modules have {what}."), "module", s.counters.modules(did));
    }
    let count = |c| s.counters.count(c);
    // compat: what the dashboards of docker-jitsi-meet show of Prosody, by its names
    // (test: compat_dashboards_and_exporters_find_what_they_read).
    out.gauges(
        "prosody_mod_c2s__connections",
        "Open connections.",
        "host",
        [(host, s.now.connections as f64)],
    );
    out.gauge("prosody_mod_bosh__active_sessions", "BOSH sessions.", s.bosh_sessions as f64);
    out.gauges("prosody_info", "What runs.", "version", [(env!("CARGO_PKG_VERSION"), 1.0)]);
    out.counter("prosody_mod_bosh__timeout", "BOSH sessions whose client was silent.", s.shell.bosh_inactive);
    out.counter("prosody_mod_bosh__new_sid", "BOSH sessions opened.", s.shell.bosh_opened);
    out.counter("prosody_mod_bosh__bad_sid", "Requests for no BOSH session.", s.shell.bosh_unknown_sid);
    out.gauges("prosody_mod_muc__live_room", "Meetings.", "host", [(rooms, s.now.meetings as f64)]);
    out.counter("prosody_mod_smacks__sessions_started", "Sessions with XEP-0198.", count(Counter::Managed));
    out.counter("prosody_mod_smacks__tx_queued_stanzas", "Stanzas kept for these.", count(Counter::Queued));
    out.counter(
        "prosody_mod_smacks__sessions_expired",
        "Those whose time to resume ran out.",
        count(Counter::HibernationExpired),
    );
    out.counter(
        "prosody_mod_smacks__session_resumption_expired",
        "Resumptions of sessions that are gone.",
        count(Counter::ResumeFailed),
    );
    out.counter("prosody_mod_auth_token__success", "Logins with a token.", count(Counter::TokensTaken));
    out.counter(
        "prosody_mod_auth_token__verify_fail",
        "Tokens that are not good enough.",
        count(Counter::TokensRefused),
    );
    let kinds =
        [("message", Counter::MessagesIn), ("presence", Counter::PresencesIn), ("iq", Counter::IqsIn)];
    out.counters(
        "prosody_mod_measure_stanza_counts__received",
        "Stanzas received.",
        "stanza_kind",
        kinds.map(|(kind, c)| (kind, count(c))),
    );
}

const PART: &str = "the XMPP server";

/// Stanzas that may wait in each direction of a link inside the process. A burst is one presence per occupant of the
/// largest room; 4096 of 2 kB are 8 MB in the worst case.
const LINK_CAPACITY: usize = 4096;
