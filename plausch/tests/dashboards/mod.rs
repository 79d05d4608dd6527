//! What dashboards and exporters for Jitsi read, in; whether the three roles have it, each where upstream's program has, out.
//!
//! What of it is not there has a reason here, and is looked for as well: a list that is longer than the truth is none.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::running::{Roles, get, until_it_counts};

/// docker-jitsi-meet's dashboard of Prosody, and what others read of it (xmpp-server §5.3).
const PROSODY: &[&str] = &[
    "prosody_info",
    "prosody_mod_auth_token__success_total",
    "prosody_mod_auth_token__verify_fail_total",
    "prosody_mod_bosh__active_sessions",
    "prosody_mod_bosh__bad_sid_total",
    "prosody_mod_bosh__new_sid_total",
    "prosody_mod_bosh__timeout_total",
    "prosody_mod_c2s__connections",
    "prosody_mod_measure_stanza_counts__received_total",
    "prosody_mod_muc__live_room",
    "prosody_mod_smacks__session_resumption_expired_total",
    "prosody_mod_smacks__sessions_expired_total",
    "prosody_mod_smacks__sessions_started_total",
    "prosody_mod_smacks__tx_queued_stanzas_total",
];

/// Of Prosody's, and not here: its store of rooms has no counterpart, nobody gathers statistics for seconds, what a session lost is
/// not counted when it ends, no name is looked up for clients, and nobody is asked whom a service of 8x8's has banned.
const NOT_OF_PROSODY: &[&str] = &[
    "prosody_dns_seconds_count",
    "prosody_mod_auth_token__ban_total",
    "prosody_mod_muc__room_hit_total",
    "prosody_mod_muc__room_miss_total",
    "prosody_mod_smacks__resumption_age_seconds_count",
    "prosody_mod_smacks__tx_acked_stanzas_count",
    "prosody_mod_smacks__tx_dropped_stanzas_count",
    "prosody_stats_processing_seconds_sum",
];

/// systemli's exporter, for Grafana's "jitsi-meet" and "jitsi-meet-system", and Telegraf.
const BRIDGE_KEYS: &[&str] = &[
    "audiochannels",
    "bit_rate_download",
    "bit_rate_upload",
    "conference_sizes",
    "conferences",
    "drain",
    "endpoints_sending_audio",
    "endpoints_sending_video",
    "healthy",
    "jitter_aggregate",
    "largest_conference",
    "loss_rate_download",
    "loss_rate_upload",
    "octo_conferences",
    "octo_endpoints",
    "p2p_conferences",
    "packet_rate_download",
    "packet_rate_upload",
    "participants",
    "rtt_aggregate",
    "stress_level",
    "threads",
    "total_bytes_received",
    "total_bytes_sent",
    "total_colibri_web_socket_messages_received",
    "total_colibri_web_socket_messages_sent",
    "total_conference_seconds",
    "total_conferences_completed",
    "total_conferences_created",
    "total_data_channel_messages_received",
    "total_data_channel_messages_sent",
    "total_ice_failed",
    "total_ice_succeeded",
    "total_packets_received",
    "total_packets_sent",
    "total_participants",
    "videochannels",
    "videostreams",
];

/// Of bridges older than the protocol here: upstream's of today has none of them either, and exporters show 0.
const NOT_OF_BRIDGE_KEYS: &[&str] = &[
    "total_failed_conferences",
    "total_loss_controlled_participant_seconds",
    "total_loss_degraded_participant_seconds",
    "total_loss_limited_participant_seconds",
    "total_partially_failed_conferences",
];

/// prayagsingh's exporter.
const FOCUS_KEYS: &[&str] = &[
    "bridge_selector/bridge_count",
    "bridge_selector/in_shutdown_bridge_count",
    "bridge_selector/lost_bridges",
    "bridge_selector/operational_bridge_count",
    "conferences",
    "jibri/live_streaming_active",
    "jibri/recording_active",
    "jibri/total_live_streaming_failures",
    "jibri/total_recording_failures",
    "jibri_detector/available",
    "jibri_detector/count",
    "largest_conference",
    "participant_notifications/request_restart",
    "participants",
    "total_conferences_created",
    "total_participants",
];

/// Of gateways only how many there are is told; queues and threads are Java's.
const NOT_OF_FOCUS_KEYS: &[&str] = &["jigasi", "jingle", "queues", "slow_health_check", "threads"];

/// Upstream's own names at `/metrics`, for dashboards without an exporter.
const BRIDGE: &[&str] = &[
    "jitsi_jvb_conferences",
    "jitsi_jvb_conferences_created_total",
    "jitsi_jvb_current_endpoints",
    "jitsi_jvb_drain_mode",
    "jitsi_jvb_endpoints_sending_audio",
    "jitsi_jvb_endpoints_sending_video",
    "jitsi_jvb_endpoints_total",
    "jitsi_jvb_healthy",
    "jitsi_jvb_ice_failed_total",
    "jitsi_jvb_ice_succeeded_total",
    "jitsi_jvb_incoming_bitrate",
    "jitsi_jvb_incoming_loss_fraction",
    "jitsi_jvb_largest_conference",
    "jitsi_jvb_outgoing_bitrate",
    "jitsi_jvb_packets_received_total",
    "jitsi_jvb_packets_sent_total",
    "jitsi_jvb_stress",
];

/// The same of the focus.
const FOCUS: &[&str] = &[
    "jitsi_jicofo_bridge_selector_bridge_count",
    "jitsi_jicofo_bridge_selector_bridge_count_in_shutdown",
    "jitsi_jicofo_bridge_selector_bridge_count_operational",
    "jitsi_jicofo_bridge_selector_bridge_version_count",
    "jitsi_jicofo_bridge_selector_lost_bridges_total",
    "jitsi_jicofo_bridges_removed_total",
    "jitsi_jicofo_conference_requests_new_total",
    "jitsi_jicofo_conference_requests_total",
    "jitsi_jicofo_conferences",
    "jitsi_jicofo_conferences_created_total",
    "jitsi_jicofo_healthy",
    "jitsi_jicofo_largest_conference",
    "jitsi_jicofo_participants_current",
    "jitsi_jicofo_participants_total",
    "jitsi_jicofo_xmpp_disconnects_total",
];

fn body(at: SocketAddr, path: &str) -> String {
    let answer = get(at, path).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Names with a number, and the numbers of one name.
fn series(text: &str) -> BTreeSet<&str> {
    let rows = text.lines().filter(|l| !l.starts_with('#'));
    rows.map(|l| l.split(['{', ' ']).next().unwrap()).collect()
}

fn value(text: &str, row: &str) -> f64 {
    let line = text.lines().find(|l| l.starts_with(row)).unwrap_or_else(|| panic!("{row}: {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn compat_dashboards_and_exporters_find_what_they_read() {
    let roles = Roles::start(false);
    let [xmpp_http, bridge_http, focus_http] = roles.http;
    // A BOSH session, and a request for none.
    for sid in ["", " sid='nobody'"] {
        let body = format!(
            "<body rid='1' to='meet.jitsi' wait='1' hold='1' xmlns='http://jabber.org/protocol/httpbind'{sid}/>"
        );
        let mut c = TcpStream::connect(xmpp_http).unwrap();
        let kind = format!("content-type: text/xml\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let head = format!("POST /http-bind HTTP/1.1\r\nhost: {xmpp_http}\r\nconnection: close\r\n{kind}");
        c.write_all(head.as_bytes()).unwrap();
        std::io::copy(&mut c, &mut std::io::sink()).unwrap();
    }
    for (at, there, not) in
        [(xmpp_http, PROSODY, NOT_OF_PROSODY), (bridge_http, BRIDGE, &[][..]), (focus_http, FOCUS, &[])]
    {
        let text = body(at, "/metrics");
        let series = series(&text);
        for name in there {
            assert!(series.contains(name), "{name}: {text}");
        }
        for name in not {
            assert!(!series.contains(name), "{name} is there: say so");
        }
    }
    for (at, path, there, not) in [
        (bridge_http, "/colibri/stats", BRIDGE_KEYS, NOT_OF_BRIDGE_KEYS),
        (focus_http, "/stats", FOCUS_KEYS, NOT_OF_FOCUS_KEYS),
    ] {
        let json: serde_json::Value = serde_json::from_str(&body(at, path)).unwrap();
        for key in there {
            let value = json.pointer(&format!("/{key}"));
            let counts = value.is_some_and(|v| v.is_number() || v.is_array() || v.is_boolean());
            assert!(counts, "{path} {key}: {value:?}");
        }
        assert!(not.iter().all(|key| json.get(key).is_none()), "{json}");
    }
    // Numbers, not only names: two roles are logged in, and what they said was counted.
    let rows = [
        ("prosody_mod_c2s__connections{host=\"meet.jitsi\"}", 2.0),
        ("prosody_mod_bosh__new_sid_total", 1.0),
        ("prosody_mod_bosh__bad_sid_total", 1.0),
        ("prosody_mod_measure_stanza_counts__received_total{stanza_kind=\"iq\"}", 2.0),
        ("prosody_mod_measure_stanza_counts__received_total{stanza_kind=\"presence\"}", 2.0),
    ];
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let text = body(xmpp_http, "/metrics");
        let Some((row, _)) = rows.iter().find(|(row, least)| value(&text, row) < *least) else { break };
        assert!(Instant::now() < deadline, "{row}: {text}");
        std::thread::sleep(Duration::from_millis(200));
    }
    // What the focus shows was taken a moment before: its own answer to "are you well" may be newer.
    until_it_counts(focus_http, &["jitsi_jicofo_healthy 1"]);
}
