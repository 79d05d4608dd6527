//! The bridge's part of `/metrics`: the newest numbers in, upstream's names and ours out (bridge appendix B).

use std::sync::atomic::Ordering;
use std::time::UNIX_EPOCH;

use serde_json::Value;
use service::Exposition;
use videobridge_core::media::DropReason;
use videobridge_core::{Discard, ShardStats};

use super::{Busy, Reporter};

impl Reporter {
    /// The bridge's part of `/metrics`. Does not wait; the numbers are as old as the last refresh.
    pub(crate) fn expose(&self, out: &mut Exposition) {
        let latest = self.latest();
        let s = &latest.now;
        let elapsed = latest.now_at.saturating_duration_since(latest.before_at);
        let keys = s.keys(&latest.before, elapsed, &self.state(self.load(s, &latest), latest.answered));
        for (name, key) in GAUGES {
            let value = match keys.get(*key) {
                Some(Value::Bool(on)) => f64::from(u8::from(*on)),
                Some(value) => value.as_f64().unwrap_or_default(),
                None => continue,
            };
            out.gauge(&format!("jitsi_jvb_{name}"), key, value);
        }
        for (name, key) in COUNTERS {
            if let Some(value) = keys.get(*key).and_then(Value::as_u64) {
                out.counter(&format!("jitsi_jvb_{name}"), key, value);
            }
        }
        self.expose_more(s, latest.busy, out);
        let t = &s.totals;
        for (name, help, count) in [
            ("started", "Restarts of ICE that were offered to clients.", t.ice_restarts_started),
            ("succeeded", "Those that found another path.", t.ice_restarts_succeeded),
            ("failed", "Those that found none in time.", t.ice_restarts_failed),
            ("rejected", "Those that were asked for and switched off.", t.ice_restarts_rejected),
            ("superseded", "Those in whose place another came.", t.ice_restarts_superseded),
            ("not_established", "Those asked for before the first path.", t.ice_restarts_not_established),
        ] {
            out.counter(&format!("jitsi_jvb_ice_restarts_{name}"), help, count);
        }
        let drops = Discard::ALL.iter().map(|d| (d.reason(), s.totals.dropped(*d)));
        out.counters("plausch_bridge_dropped", "Datagrams dropped, by reason.", "reason", drops);
        let drops = DropReason::ALL.iter().map(|d| (d.reason(), s.media.dropped(*d)));
        out.counters("plausch_bridge_media_dropped", "Media packets dropped, by reason.", "reason", drops);
        let addresses = self.addresses.load(Ordering::Relaxed);
        out.gauge("plausch_bridge_media_addresses", "Addresses media is received on.", addresses as f64);
        for (name, value) in self.threads.services.rows() {
            out.counter(&format!("jitsi_jvb_exporter_{name}"), "Of services outside.", value);
        }
        let missed = self.threads.services.dropped.get();
        out.counter(
            "plausch_bridge_service_packets_dropped",
            "Packets that services outside had no room for, or were not there for.",
            missed,
        );
        let m = &s.media;
        let more = [
            ("asked_for", m.retransmitted),
            ("unasked", m.repeated),
            ("padding", m.padding),
            ("speech", m.speech_again),
        ];
        out.counters(
            "plausch_bridge_sent_more",
            "Packets sent once more, or with padding alone.",
            "why",
            more,
        );
        if let Some(reducer) = self.reducer() {
            let last_n = reducer.last_n().map_or(-1.0, f64::from);
            out.gauge("plausch_bridge_load_last_n", "Pictures for each while overloaded; -1: all.", last_n);
        }
        let thread_rows = self.threads.rows();
        out.counters("plausch_bridge_thread", "Events of the media threads.", "event", thread_rows);
        let parts = "Parts of conferences that began on another media thread.";
        out.counter("plausch_bridge_parts", parts, s.totals.parts_created);
        out.counter(
            "plausch_bridge_command_overflows",
            "Commands that found a full queue.",
            self.control.overflows(),
        );
        let [forbidden, malformed, unknown, overloaded, lost] = self.links().counts();
        let names = ["forbidden", "malformed", "unknown", "overloaded"];
        let rows = names.into_iter().zip([forbidden, malformed, unknown, overloaded]);
        out.counters("plausch_bridge_iq_refused", "IQs refused, by reason.", "reason", rows);
        out.counter("jitsi_jvb_xmpp_disconnects", "Connections to XMPP servers that were lost.", lost);
    }

    /// What dashboards of upstream's ask for and is in no key.
    fn expose_more(&self, s: &ShardStats, busy: Busy, out: &mut Exposition) {
        let gauge = |out: &mut Exposition, name: &str, help: &str, value| {
            out.gauge(&format!("jitsi_jvb_{name}"), help, value);
        };
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        gauge(
            out,
            "startup_time",
            "When the bridge began, in milliseconds since 1970.",
            started.as_millis() as f64,
        );
        gauge(out, "cpu_steal", "Part of the machine's time that its host gave to others.", busy.stolen);
        gauge(out, "cpu_usage", "Part of the machine's time that was worked.", busy.load);
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        // compat: the name is upstream's, which is a JVM (test: the_names_of_upstream_are_there_or_not_here_for_a_reason).
        gauge(out, "jvm_open_fd_count", "Files and sockets that are open.", open as f64);
        if let Some(region) = self.identity.region.as_deref() {
            out.gauges("jitsi_jvb_region_info", "Where the bridge is.", "region", [(region, 1.0)]);
        }
        out.histogram(
            "jitsi_jvb_conferences_by_size",
            "Conferences by participants.",
            &s.conferences_by_size,
        );
        let by_audio = &s.conferences_by_audio_sender;
        out.histogram(
            "jitsi_jvb_conferences_by_audio_sender",
            "Conferences by people who send audio.",
            by_audio,
        );
        let by_video = &s.conferences_by_video_sender;
        out.histogram(
            "jitsi_jvb_conferences_by_video_sender",
            "Conferences by people who send video.",
            by_video,
        );
        let rows: std::collections::HashMap<_, _> = self.threads.rows().into_iter().collect();
        let thread = |name| rows.get(name).copied().unwrap_or(0);
        let t = &s.totals;
        let [normal, abnormal, broken] = self.control.closed_sockets();
        for (name, value) in [
            ("rejected_data_channels", t.rejected_data_channels),
            ("colibri_web_socket_close_normal", normal),
            ("colibri_web_socket_close_abnormal", abnormal),
            ("colibri_web_socket_error", broken),
            // Upstream's queues, and what stands in their places here.
            (
                "rtp_receiver_dropped_packets",
                thread("receive_dropped_by_kernel") + thread("handover_dropped"),
            ),
            ("rtp_receiver_exceptions", thread("panics")),
            ("rtp_sender_dropped_packets", s.media.dropped(DropReason::Congested)),
            ("srtp_send_queue_dropped_packets", thread("send_dropped_full") + thread("send_dropped_error")),
            ("colibri_queue_dropped_packets", self.control.overflows()),
            ("endpoint_receive_message_queue_dropped_packets", t.dropped(Discard::MessageLimit)),
        ] {
            out.counter(&format!("jitsi_jvb_{name}"), "See the page about monitoring.", value);
        }
    }
}

/// Metric names after `jitsi_jvb_` (videobridge, appendix B) with the stats keys that say the same.
const GAUGES: &[(&str, &str)] = &[
    ("graceful_shutdown", "graceful_shutdown"),
    ("shutting_down", "shutting_down"),
    ("drain_mode", "drain"),
    ("healthy", "healthy"),
    ("stress", "stress_level"),
    ("conferences", "conferences"),
    ("conferences_inactive", "inactive_conferences"),
    ("conferences_p2p", "p2p_conferences"),
    ("conferences_with_relay", "octo_conferences"),
    ("largest_conference", "largest_conference"),
    ("current_endpoints", "endpoints"),
    ("local_endpoints", "local_endpoints"),
    ("active_endpoints", "local_active_endpoints"),
    ("endpoints_inactive", "inactive_endpoints"),
    ("endpoints_recvonly", "receive_only_endpoints"),
    ("endpoints_relayed", "octo_endpoints"),
    ("endpoints_sending_audio", "endpoints_sending_audio"),
    ("endpoints_sending_video", "endpoints_sending_video"),
    ("current_visitors", "visitors"),
    ("incoming_bitrate", "bit_rate_download"),
    ("outgoing_bitrate", "bit_rate_upload"),
    ("incoming_packet_rate", "packet_rate_download"),
    ("outgoing_packet_rate", "packet_rate_upload"),
    ("incoming_loss_fraction", "incoming_loss"),
    ("outgoing_loss_fraction", "outgoing_loss"),
    ("loss_fraction", "overall_loss"),
    ("average_rtt", "rtt_aggregate"),
    ("tcc_unmatched_feedback", "tcc_unmatched_feedback"),
    ("endpoints_with_suspended_sources", "endpoints_with_suspended_sources"),
    ("endpoints_with_high_outgoing_loss", "endpoints_with_high_outgoing_loss"),
    ("relay_incoming_bitrate", "octo_receive_bitrate"),
    ("relay_outgoing_bitrate", "octo_send_bitrate"),
    ("relay_incoming_packet_rate", "octo_receive_packet_rate"),
    ("relay_outgoing_packet_rate", "octo_send_packet_rate"),
    ("thread_count", "threads"),
    ("muc_clients_configured", "muc_clients_configured"),
    ("muc_clients_connected", "muc_clients_connected"),
    // compat: upstream reports the configured ones under this name
    // (test: compat_mucs_connected_are_the_configured_ones).
    ("mucs_connected", "mucs_configured"),
    ("mucs_joined", "mucs_joined"),
];

/// The same for totals; the format adds `_total`.
const COUNTERS: &[(&str, &str)] = &[
    ("conferences_created", "total_conferences_created"),
    ("conferences_completed", "total_conferences_completed"),
    ("conference_seconds", "total_conference_seconds"),
    ("endpoints", "total_participants"),
    ("visitors", "total_visitors"),
    ("relays", "total_relays"),
    ("endpoints_no_message_transport_after_delay", "num_eps_no_msg_transport_after_delay"),
    ("packets_received", "total_packets_received"),
    ("packets_sent", "total_packets_sent"),
    ("bytes_received", "total_bytes_received"),
    ("bytes_sent", "total_bytes_sent"),
    ("keyframes_received", "total_keyframes_received"),
    ("layering_changes_received", "total_layering_changes_received"),
    ("video_milliseconds_received", "total_video_stream_milliseconds_received"),
    ("relays_no_message_transport_after_delay", "num_relays_no_msg_transport_after_delay"),
    ("relay_packets_received", "total_packets_received_octo"),
    ("relay_packets_sent", "total_packets_sent_octo"),
    ("relay_bytes_received", "total_bytes_received_octo"),
    ("relay_bytes_sent", "total_bytes_sent_octo"),
    ("relays_ice_failed", "relays_ice_failed"),
    ("relays_dtls_failed", "dtls_failed_relays"),
    ("dominant_speaker_changes", "total_dominant_speaker_changes"),
    ("data_channel_messages_received", "total_data_channel_messages_received"),
    ("data_channel_messages_sent", "total_data_channel_messages_sent"),
    ("colibri_web_socket_messages_received", "total_colibri_web_socket_messages_received"),
    ("colibri_web_socket_messages_sent", "total_colibri_web_socket_messages_sent"),
    ("endpoints_ice_failed", "endpoints_ice_failed"),
    ("endpoints_dtls_failed", "dtls_failed_endpoints"),
    ("ice_failed", "total_ice_failed"),
    ("ice_succeeded", "total_ice_succeeded"),
    ("ice_succeeded_relayed", "total_ice_succeeded_relayed"),
    ("endpoints_disconnected", "endpoints_disconnected"),
    ("endpoints_reconnected", "endpoints_reconnected"),
    // Ours: people whose network gave them another address while they spoke.
    ("paths_followed", "total_paths_followed"),
];

#[cfg(test)]
mod tests {
    use service::Metrics;
    use std::sync::Arc;

    use super::super::{Identity, Reporter};
    use crate::control::Control;

    /// Upstream's, after `jitsi_jvb_` (bridge appendix B); totals without `_total`.
    const NAMES: &str = "graceful_shutdown shutting_down drain_mode healthy stress conferences conferences_inactive conferences_p2p \
        conferences_with_relay largest_conference current_endpoints local_endpoints active_endpoints endpoints_inactive endpoints_recvonly \
        endpoints_relayed endpoints_sending_audio endpoints_sending_video endpoints_with_suspended_sources \
        endpoints_with_high_outgoing_loss current_visitors incoming_bitrate outgoing_bitrate incoming_packet_rate outgoing_packet_rate \
        relay_incoming_bitrate relay_outgoing_bitrate relay_incoming_packet_rate relay_outgoing_packet_rate incoming_loss_fraction \
        outgoing_loss_fraction loss_fraction average_rtt tcc_unmatched_feedback startup_time thread_count jvm_open_fd_count cpu_steal \
        muc_clients_configured muc_clients_connected mucs_connected mucs_joined region_info \
        conferences_by_size_bucket conferences_by_audio_sender_bucket conferences_by_video_sender_bucket";
    const TOTALS: &str = "conferences_created conferences_completed conference_seconds endpoints visitors relays \
        endpoints_no_message_transport_after_delay relays_no_message_transport_after_delay packets_received packets_sent bytes_received \
        bytes_sent relay_packets_received relay_packets_sent relay_bytes_received relay_bytes_sent keyframes_received \
        layering_changes_received video_milliseconds_received dominant_speaker_changes data_channel_messages_received \
        data_channel_messages_sent rejected_data_channels colibri_web_socket_messages_received colibri_web_socket_messages_sent \
        colibri_web_socket_close_normal colibri_web_socket_close_abnormal colibri_web_socket_error endpoints_ice_failed \
        endpoints_dtls_failed relays_ice_failed relays_dtls_failed ice_failed ice_succeeded ice_succeeded_relayed endpoints_disconnected \
        endpoints_reconnected xmpp_disconnects rtp_receiver_dropped_packets rtp_receiver_exceptions rtp_sender_dropped_packets \
        srtp_send_queue_dropped_packets colibri_queue_dropped_packets endpoint_receive_message_queue_dropped_packets \
        exporter_websocket_failures exporter_websocket_internal_errors exporter_starts exporter_packets_sent exporter_transcripts_received \
        exporter_media_events_received exporter_sending_changes_received exporter_other_messages_received exporter_parse_failures \
        exporter_info_received";
    /// What upstream's bridge has and this one does not.
    const NOT_HERE: &[(&str, &str)] = &[
        ("endpoints_oversending", "nobody is sent more than the estimate"),
        ("endpoints_with_spurious_remb", "REMB counts only where it was negotiated"),
        ("jvm_gc_count", "no JVM"),
        ("jvm_heap_used", "no JVM"),
        ("preemptive_keyframe_requests_sent", "key frames are asked for when they are needed"),
        ("tossed_packets_energy", "nothing is tossed for its loudness"),
        ("rtp_transit_time", "off in upstream's bridge as well"),
    ];

    #[tokio::test]
    async fn the_names_of_upstream_are_there_or_not_here_for_a_reason() {
        let (control, _failures) = Control::new(Vec::new(), Arc::default());
        let identity = Identity { region: Some("de-west".to_owned()), ..Identity::default() };
        let reporter = Reporter::new(Arc::new(control), Arc::default(), identity, 50_000.0);
        let metrics = Metrics::new();
        metrics.add(move |out| reporter.expose(out));
        let text = metrics.encode();
        let has = |name: &str| {
            text.lines().any(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
        };
        for name in NAMES.split_whitespace() {
            assert!(has(&format!("jitsi_jvb_{name}")), "{name}");
        }
        for name in TOTALS.split_whitespace() {
            assert!(has(&format!("jitsi_jvb_{name}_total")), "{name}");
        }
        for (name, why) in NOT_HERE {
            assert!(!text.contains(&format!("jitsi_jvb_{name}")), "{name} is here, though {why}");
        }
    }
}
