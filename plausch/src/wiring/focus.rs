//! The focus started from settings on a link.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use focus_server::{FocusConfig, FocusHandle, LoginConfig, RawConfig, Restart, Stats, VisitorsConfig};
use jitsi_xmpp::BareJid;
use service::{Exposition, StartError, State};
use xmpp_link::Link;

use super::{Process, Routes, part};
use crate::options::Settings;

/// Whether this process is only a focus; its routes then have upstream's addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    Yes,
    No,
}

/// Starts the focus.
pub(super) fn start(
    p: &mut Process<'_>,
    link: Link,
    alone: Alone,
    restart: Restart,
) -> Result<(Routes, FocusHandle), StartError> {
    let config = config(p.settings)?;
    let (handle, task) = focus_server::successor(config.engine, link, restart, p.shutdown.watch());
    p.shutdown.spawn("focus", task);

    let seen = Arc::new(Seen::default());
    tokio::spawn(watch(handle.clone(), Arc::clone(&seen), p.shutdown.watch()));
    let health = Arc::clone(&seen);
    p.health.add("focus", move || health.state());
    p.metrics.add(move |out| expose(&seen.stats(), out));

    let routers = focus_server::router(handle.clone());
    let admin = match alone {
        Alone::Yes => routers.admin,
        // `/about/health` and `/stats` of this address are the whole process' and the bridge's.
        Alone::No => Router::new().nest("/focus", routers.admin),
    };
    Ok((Routes { public: routers.public, admin, keyed: Router::new() }, handle))
}

/// What the focus is told of the settings.
pub(super) fn config(s: &Settings) -> Result<FocusConfig, StartError> {
    let mut config = RawConfig {
        domain: s.domains.main.clone(),
        auth_domain: Some(s.domains.auth.clone()),
        muc_domain: Some(s.domains.muc.clone()),
        bridge_brewery: Some(format!("{}@{}", s.bridge.brewery, s.domains.internal_muc)),
        auto_owner: s.focus.auto_owner,
        opus_red: s.focus.opus_red,
        ssrc_rewriting: s.focus.ssrc_rewriting,
        ..RawConfig::default()
    }
    .check()
    .map_err(|e| part("the focus", e))?;
    let engine = &mut config.engine;
    engine.login = s.login.as_ref().and_then(|login| login.opens).map(|opens| LoginConfig {
        domain: s.domains.main.clone(),
        lifetime: opens.lifetime,
        automatic: opens.automatic,
        external: opens.each,
    });
    engine.visitors = s.domains.viewers.as_ref().map(|domain| {
        let vnode = domain.split('.').next().unwrap_or_default();
        let mut visitors = VisitorsConfig::for_domain(vnode, domain);
        (visitors.max_participants, visitors.max_viewers) =
            (s.visitors.max_participants, s.visitors.max_viewers);
        visitors.only_live = s.visitors.only_live;
        visitors
    });
    if let Some(recording) = &s.services.recording {
        engine.recorders = Some(jid(&recording.brewery)?);
        (engine.recorder_pending, engine.recorder_retries) = (recording.pending, recording.retries);
        engine.recorder_wait = recording.wait;
    }
    engine.gateways = s.services.gateways.as_deref().map(jid).transpose()?;
    engine.trusted_domains.clone_from(&s.services.trusted_domains);
    engine.max_audio_senders = s.focus.max_audio_senders;
    engine.max_video_senders = s.focus.max_video_senders;
    engine.random_pad_names = s.focus.random_pad_names;
    engine.owner_grace = s.focus.owner_grace;
    engine.conference_start = s.focus.initial_timeout;
    engine.single_participant = s.focus.single_participant_timeout;
    engine.source_signaling_delays.clone_from(&s.focus.source_signaling_delays);
    engine.strip_simulcast = s.focus.strip_simulcast;
    engine.bridges = s.focus.bridges.clone();
    let (offer, on) = (&mut engine.offer, s.focus.codecs);
    for (codec, on) in [
        (&mut offer.vp8, on.vp8),
        (&mut offer.vp9, on.vp9),
        (&mut offer.av1, on.av1),
        (&mut offer.h264, on.h264),
    ] {
        if !on {
            codec.pt = 0;
        }
    }
    Ok(config)
}

fn jid(text: &str) -> Result<BareJid, StartError> {
    text.parse().map_err(|e| part("the focus", e))
}

/// The focus' latest numbers. Health and metrics read them without waiting for its task.
#[derive(Default)]
struct Seen(Mutex<Option<Stats>>);

impl Seen {
    fn stats(&self) -> Option<Stats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn state(&self) -> State {
        match self.stats() {
            None => State::Soft("not started yet, or does not answer".into()),
            Some(s) if !s.connected => State::Soft("not connected to the XMPP server".into()),
            Some(s) if s.operational_bridge_count == 0 => State::Soft("no bridge is available".into()),
            Some(_) => State::Healthy,
        }
    }
}

async fn watch(handle: FocusHandle, seen: Arc<Seen>, mut end: tokio::sync::watch::Receiver<bool>) {
    loop {
        let stats = handle.stats().await;
        let settled = stats.as_ref().is_some_and(|s| s.connected && s.operational_bridge_count > 0);
        *seen.0.lock().unwrap_or_else(PoisonError::into_inner) = stats;
        let pause = if settled { STEADY } else { STARTING };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = end.wait_for(|e| *e) => return,
        }
    }
}

fn expose(stats: &Option<Stats>, out: &mut Exposition) {
    let Some(s) = stats else { return };
    out.gauge("jitsi_jicofo_conferences", "Conferences.", s.conferences as f64);
    out.gauge("jitsi_jicofo_participants_current", "Participants.", s.participants as f64);
    out.gauge(
        "jitsi_jicofo_largest_conference",
        "Participants of the largest conference.",
        s.largest_conference as f64,
    );
    out.gauge(
        "jitsi_jicofo_participants_pairs",
        "Pairs of participants in the same conference.",
        s.endpoint_pairs as f64,
    );
    out.gauge("jitsi_jicofo_visitors_current", "Who only watches.", s.visitors as f64);
    out.gauge(
        "jitsi_jicofo_conferences_with_visitors",
        "Conferences that somebody watches.",
        s.conferences_with_visitors as f64,
    );
    out.gauge("jitsi_jicofo_bridge_selector_bridge_count", "Bridges.", s.bridge_count as f64);
    out.gauge(
        "jitsi_jicofo_bridge_selector_bridge_count_operational",
        "Bridges that work.",
        s.operational_bridge_count as f64,
    );
    out.gauge(
        "jitsi_jicofo_bridge_selector_bridge_count_in_shutdown",
        "Bridges that drain.",
        s.in_shutdown_bridge_count as f64,
    );
    out.gauge(
        "jitsi_jicofo_bridge_selector_bridge_version_count",
        "Versions of bridges.",
        s.bridge_version_count as f64,
    );
    for (name, help, n) in [
        ("jibri_instances", "Recorders.", s.recorders),
        ("jibri_instances_available", "Recorders that can begin.", s.recorders_available),
        ("jibri_recording_active", "Conferences that are recorded.", s.recordings),
        ("jibri_live_streaming_active", "Conferences that are sent out.", s.streams),
        ("jigasi_sip_count", "Gateways to telephones.", s.gateways.0),
        ("jigasi_sip_in_graceful_shutdown_count", "Those of them that are about to leave.", s.gateways.1),
        ("jigasi_transcriber_count", "Transcribers.", s.gateways.2),
    ] {
        out.gauge(&format!("jitsi_jicofo_{name}"), help, n as f64);
    }
    out.gauge(
        "plausch_focus_bridge_sessions",
        "Conferences on bridges: one that spans two counts twice.",
        s.bridge_sessions as f64,
    );
    out.gauge(
        "plausch_focus_conferences_over_bridges",
        "Conferences that span several bridges.",
        s.conferences_over_bridges as f64,
    );
    out.gauge("plausch_focus_relays", "Relays between bridges, each counted once.", s.relays as f64);
    out.gauges(
        "jitsi_jicofo_bridge_endpoints",
        "People on each bridge, as far as this focus invited them.",
        "jvb",
        s.bridge_endpoints.iter().map(|(jvb, n)| (jvb.as_str(), *n as f64)),
    );
    out.gauges(
        "jitsi_jicofo_bridge_failing_ice",
        "Whether many of a bridge's people do not reach it.",
        "jvb",
        s.bridges_failing_ice.iter().map(|(jvb, fails)| (jvb.as_str(), f64::from(u8::from(*fails)))),
    );
    let healthy = s.connected && s.operational_bridge_count > 0;
    out.gauge("jitsi_jicofo_healthy", "Whether meetings can begin.", f64::from(u8::from(healthy)));
    out.gauge(
        "plausch_focus_pending_requests",
        "Requests to others that wait for an answer.",
        s.pending_requests as f64,
    );
    let c = &s.counters;
    for (name, help, n) in [
        ("jibri_recording_failures", "Recordings that no recorder could make.", c.recording_failures),
        ("jibri_live_streaming_failures", "Streams that none could send.", c.streaming_failures),
        ("jibri_no_instance_failures", "Wishes to record for which no recorder was free.", c.no_recorder),
    ] {
        out.counter(&format!("jitsi_jicofo_{name}"), help, n);
    }
    out.counter(
        "plausch_focus_dial_failures",
        "Calls and transcribers without a gateway that could.",
        c.dial_failures,
    );
    out.counter("jitsi_jicofo_conferences_created", "Conferences created.", c.conferences_created);
    out.counter("jitsi_jicofo_conference_requests", "Conference requests.", c.conference_requests);
    out.counter(
        "jitsi_jicofo_conference_requests_new",
        "Those for a conference that there was not yet.",
        c.conference_requests_new,
    );
    out.counter("jitsi_jicofo_bridges_removed", "Bridges taken out of conferences.", c.bridges_removed);
    out.counter(
        "plausch_focus_endpoints_moved",
        "People whom an admin moved away from a bridge.",
        c.endpoints_moved,
    );
    out.counter(
        "plausch_focus_relays_created",
        "Relays that bridges were asked for, on either side.",
        c.relays_created,
    );
    out.counter(
        "plausch_focus_relays_failed",
        "Requests about relays that bridges refused or did not answer.",
        c.relays_failed,
    );
    out.counter("jitsi_jicofo_participants", "Participants that joined.", c.participants);
    out.counter(
        "jitsi_jicofo_participants_moved",
        "Participants moved to another bridge.",
        c.participants_moved,
    );
    out.counter(
        "jitsi_jicofo_participants_restart_requested",
        "Restarts that participants asked for.",
        c.participants_restart_requested,
    );
    out.counter("jitsi_jicofo_bridge_selector_lost_bridges", "Bridges that disappeared.", s.lost_bridges);
    out.counter(
        "plausch_focus_bridges_silent",
        "Bridges that were left because they said nothing.",
        s.silent_bridges,
    );
    out.counter("jitsi_jicofo_xmpp_disconnects", "Lost links to the XMPP server.", c.xmpp_disconnects);
    for (name, help, count) in [
        ("requested", "Clients that looked for another path within their session.", c.ice_restarts_requested),
        ("relayed", "Those that were told new credentials.", c.ice_restarts_relayed),
        ("not_needed", "Those whose first path was still looked for.", c.ice_restarts_not_needed),
        ("failed", "Those that got a new session instead.", c.ice_restarts_failed),
    ] {
        out.counter(&format!("jitsi_jicofo_ice_restarts_{name}"), help, count);
    }
    let rows = [
        ("requests_rate_limited", c.requests_rate_limited),
        ("restarts_delayed", c.restarts_delayed),
        ("bridge_not_available", c.bridge_not_available),
        ("sessions_initiated", c.sessions_initiated),
        ("sessions_accepted", c.sessions_accepted),
        ("sources_refused", c.sources_refused),
        ("iq_timeouts", c.iq_timeouts),
        ("iqs_unknown", c.iqs_unknown),
        ("stanzas_ignored", c.stanzas_ignored),
        ("iqs_rate_limited", c.iqs_rate_limited),
        ("requests_postponed", c.requests_postponed),
        ("requests_unanswerable", c.requests_unanswerable),
        ("sources_foreign", c.sources_foreign),
        ("answers_absurd", c.answers_absurd),
        ("answers_late", c.answers_late),
        ("updates_refused", c.updates_refused),
        ("nicks_taken", c.nicks_taken),
        ("focuses_beside", c.focuses_beside),
        ("owner_grants_failed", c.owner_grants_failed),
        ("owners_returned", c.owners_returned),
        ("answers_refused", c.answers_refused),
        ("pins_unmet", c.pins_unmet),
        ("bridges_unlinkable", c.bridges_unlinkable),
        ("bridges_held", s.bridges_held),
        ("bridge_figures_refused", s.bridge_figures_refused),
        ("panics", c.panics),
    ];
    out.counters("plausch_focus_events", "What happened in the focus.", "event", rows);
}

/// How often the numbers are read while something is missing, and otherwise.
const STARTING: Duration = Duration::from_millis(10);
const STEADY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use focus_server::Strategy;
    use service::{Effective, Sources};

    use super::*;
    use crate::options::SETTINGS;

    fn of(set: &[(&str, &str)]) -> Result<focus_server::Config, StartError> {
        let env = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let sources = Sources { defaults: None, file: None, env: &env, flags: BTreeMap::new() };
        let effective = Effective::load(SETTINGS, &sources).unwrap();
        Settings::look(&effective).and_then(|s| config(&s)).map(|c| c.engine)
    }

    #[test]
    fn compat_variables_of_bridges_reach_the_focus() {
        let usual = of(&[]).unwrap().bridges;
        assert_eq!((usual.strategy, usual.relays), (Strategy::Single, false));
        assert_eq!((usual.max_participants, usual.stress_threshold), (Some(80), 0.8));
        let other = of(&[
            ("ENABLE_OCTO", "1"),
            ("OCTO_BRIDGE_SELECTION_STRATEGY", "RegionBasedBridgeSelectionStrategy"),
            ("JICOFO_OCTO_REGION", "eu-west"),
            ("JICOFO_BRIDGE_REGION_GROUPS", r#"["eu-west", "eu-east"], ["us"]"#),
            ("MAX_BRIDGE_PARTICIPANTS", "40"),
            ("BRIDGE_STRESS_THRESHOLD", "0.7"),
            ("BRIDGE_AVG_PARTICIPANT_STRESS", "0.02"),
            ("JICOFO_ENABLE_LOAD_REDISTRIBUTION", "1"),
            ("PLAUSCH_LOAD_REDISTRIBUTION_INTERVAL", "30 seconds"),
            ("PLAUSCH_LOAD_REDISTRIBUTION_THRESHOLD", "0.95"),
            ("PLAUSCH_LOAD_REDISTRIBUTION_TIMEOUT", "2 minutes"),
            ("PLAUSCH_LOAD_REDISTRIBUTION_PEOPLE", "7"),
        ])
        .unwrap()
        .bridges;
        assert_eq!((other.strategy, other.relays), (Strategy::RegionBased, true));
        assert_eq!((other.max_participants, other.stress_threshold), (Some(40), 0.7));
        assert_eq!((other.local_region.as_deref(), other.average_stress), (Some("eu-west"), 0.02));
        assert_eq!(
            other.region_groups,
            [vec!["eu-west".to_owned(), "eu-east".to_owned()], vec!["us".into()]]
        );
        assert_eq!(usual.redistribution, None);
        let moves = other.redistribution.unwrap();
        assert_eq!((moves.interval.as_secs(), moves.timeout.as_secs()), (30, 120));
        assert_eq!((moves.threshold, moves.people), (0.95, 7));
        let viewers = of(&[("OCTO_BRIDGE_SELECTION_STRATEGY", "VisitorSelectionStrategy")]).unwrap().bridges;
        assert_eq!(viewers.strategy, Strategy::Visitors);
        assert_eq!(of(&[("MAX_BRIDGE_PARTICIPANTS", "-1")]).unwrap().bridges.max_participants, None);
        for (name, value, key) in [
            ("OCTO_BRIDGE_SELECTION_STRATEGY", "Best", "focus.bridge_selection"),
            ("JICOFO_BRIDGE_REGION_GROUPS", "eu", "focus.region_groups"),
            ("MAX_BRIDGE_PARTICIPANTS", "many", "focus.max_bridge_participants"),
            ("BRIDGE_STRESS_THRESHOLD", "0", "focus.bridge_stress_threshold"),
            ("BRIDGE_AVG_PARTICIPANT_STRESS", "2", "focus.participant_stress"),
            ("PLAUSCH_LOAD_REDISTRIBUTION_INTERVAL", "0", "focus.load_redistribution_interval"),
            ("PLAUSCH_LOAD_REDISTRIBUTION_TIMEOUT", "2 h", "focus.load_redistribution_timeout"),
            ("PLAUSCH_LOAD_REDISTRIBUTION_THRESHOLD", "0", "focus.load_redistribution_threshold"),
            ("PLAUSCH_LOAD_REDISTRIBUTION_PEOPLE", "1001", "focus.load_redistribution_people"),
        ] {
            assert!(of(&[(name, value)]).unwrap_err().to_string().contains(key), "{name}");
        }
    }

    #[test]
    fn compat_variables_of_the_focus_reach_it() {
        let usual = of(&[]).unwrap();
        assert_eq!((usual.conference_start.as_secs(), usual.single_participant.as_secs()), (15, 20));
        assert!(usual.ssrc_rewriting && usual.strip_simulcast && usual.source_signaling_delays.is_empty());
        let codecs = |c: &focus_server::Config| {
            [c.offer.vp8, c.offer.vp9, c.offer.av1, c.offer.h264].map(|c| c.pt > 0)
        };
        assert_eq!(codecs(&usual), [true; 4]);
        let other = of(&[
            ("ENABLE_CODEC_VP8", "0"),
            ("ENABLE_CODEC_H264", "false"),
            ("JICOFO_CONF_INITIAL_PARTICIPANT_WAIT_TIMEOUT", "30 seconds"),
            ("JICOFO_CONF_SINGLE_PARTICIPANT_TIMEOUT", "5000"),
            ("JICOFO_CONF_SOURCE_SIGNALING_DELAYS", "{ 50: 500 }"),
            ("JICOFO_CONF_STRIP_SIMULCAST", "0"),
            ("JICOFO_CONF_SSRC_REWRITING", "0"),
        ])
        .unwrap();
        assert_eq!(codecs(&other), [false, true, true, false]);
        assert_eq!((other.conference_start.as_secs(), other.single_participant.as_secs()), (30, 5));
        assert_eq!(other.source_signaling_delays, [(50, Duration::from_millis(500))]);
        assert!(!other.ssrc_rewriting && !other.strip_simulcast);
        let none = ["VP8", "VP9", "AV1", "H264"].map(|c| format!("ENABLE_CODEC_{c}"));
        let none: Vec<_> = none.iter().map(|n| (n.as_str(), "0")).collect();
        assert!(
            of(&none).unwrap_err().to_string().contains("focus.vp8"),
            "a meeting without pictures is nobody's wish"
        );
    }
}
