//! The numbers of the bridge: what a shard counts in; the keys of `/colibri/stats` and of the presence out
//! (videobridge.md, appendix A).

use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::media;
use crate::shard::Shard;
use crate::{ConferenceKey, Counters};

/// One shard, or several added up, at one moment.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct ShardStats {
    pub totals: Counters,
    pub media: media::Counters,
    pub conferences: u64,
    /// Conferences without media at present.
    pub inactive_conferences: u64,
    /// Inactive ones with exactly two endpoints: those two talk directly.
    pub p2p_conferences: u64,
    pub largest_conference: u64,
    /// Pictures that who gets most gets.
    pub most_forwarded: u64,
    /// Endpoints of this bridge.
    pub endpoints: u64,
    /// Conferences that are on other bridges, too, and their endpoints there.
    pub relayed_conferences: u64,
    pub relayed_endpoints: u64,
    /// Endpoints in inactive conferences.
    pub inactive_endpoints: u64,
    /// Endpoints in active conferences that send nothing.
    pub receive_only_endpoints: u64,
    pub endpoints_sending_audio: u64,
    pub endpoints_sending_video: u64,
    pub visitors: u64,
    /// Milliseconds of all conferences so far, running ones included.
    pub conference_milliseconds: u64,
    /// Sum and number of the round-trip times known.
    pub rtt_sum: Duration,
    pub rtt_count: u64,
    /// The same of the jitter of streams that come in.
    pub jitter_sum: Duration,
    pub jitter_count: u64,
    /// How many conferences have 0, 1, … 19, and 20 or more endpoints.
    pub conferences_by_size: [u64; 21],
    /// The same by endpoints that send audio, video.
    pub conferences_by_audio_sender: [u64; 21],
    pub conferences_by_video_sender: [u64; 21],
    /// Endpoints that get less video than they want, as their links carry no more.
    pub endpoints_with_suspended_sources: u64,
    /// Endpoints to which more than a tenth of the packets was lost lately.
    pub endpoints_with_high_outgoing_loss: u64,
}

/// What the process around the shards knows.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct BridgeState {
    pub healthy: bool,
    pub drain: bool,
    pub graceful_shutdown: bool,
    pub shutting_down: bool,
    pub version: String,
    pub release: Option<String>,
    pub region: Option<String>,
    pub relay_id: Option<String>,
    /// 1 = fully loaded.
    pub stress_level: f64,
    /// UTC, `yyyy-MM-dd HH:mm:ss.SSS`.
    pub current_timestamp: String,
    pub threads: u64,
    pub muc_clients_configured: u64,
    pub muc_clients_connected: u64,
    pub mucs_configured: u64,
    pub mucs_joined: u64,
}

pub(crate) fn collect(shard: &mut Shard, now: Instant) -> ShardStats {
    let mut stats = ShardStats {
        totals: shard.endpoints.counters.clone(),
        media: shard.past_media.clone(),
        ..ShardStats::default()
    };
    stats.conference_milliseconds = stats.totals.conference_milliseconds;
    for (key, conference) in &shard.conferences {
        shard.at_work = u32::try_from(key).ok().map(ConferenceKey);
        let here = conference.endpoints.len() as u64;
        let behind_ways = conference.remotes.values().filter(|r| conference.ways.contains(&r.relay)).count();
        let remote = (conference.remotes.len() - behind_ways) as u64;
        // A part counts its people, and the home the conference.
        let size = here + conference.elsewhere.len() as u64;
        stats.relayed_conferences += u64::from(!conference.relays.is_empty());
        stats.relayed_endpoints += remote;
        let (mut audio, mut video, mut either) = (0, 0, 0);
        for key in conference.others(None) {
            let (a, v) = conference.media.is_sending(now, key);
            audio += u64::from(a);
            video += u64::from(v);
            either += u64::from(a || v);
            stats.most_forwarded = stats.most_forwarded.max(conference.media.forwarded(key) as u64);
            let (suspended, lossy) = conference.media.is_short(key);
            stats.endpoints_with_suspended_sources += u64::from(suspended);
            stats.endpoints_with_high_outgoing_loss += u64::from(lossy);
            if let Some(endpoint) = shard.endpoints.get(key) {
                stats.visitors += u64::from(endpoint.visitor);
                stats.totals.rejected_data_channels += endpoint.transport.rejected_channels();
                if let Some(rtt) = endpoint.transport.rtt() {
                    stats.rtt_sum += rtt;
                    stats.rtt_count += 1;
                }
            }
        }
        let (jitter, streams) = conference.media.jitter(now);
        stats.jitter_sum += jitter;
        stats.jitter_count += streams;
        stats.media.add(conference.media.counters());
        stats.endpoints += here;
        stats.endpoints_sending_audio += audio;
        stats.endpoints_sending_video += video;
        let [more_audio, more_video, more] = conference.media.senders_behind(now, &conference.ways);
        if either + more == 0 {
            stats.inactive_endpoints += here;
        } else {
            stats.receive_only_endpoints += here - either;
        }
        if !conference.is_home() {
            // The home hears the same speakers.
            stats.media.dominant_speaker_changes -= conference.media.counters().dominant_speaker_changes;
            continue;
        }
        let (audio, video) = (audio + more_audio, video + more_video);
        stats.conferences += 1;
        if either + more == 0 {
            stats.inactive_conferences += 1;
            stats.p2p_conferences += u64::from(size + remote == 2);
        }
        stats.largest_conference = stats.largest_conference.max(size + remote);
        for (counts, n) in [
            (&mut stats.conferences_by_size, size + remote),
            (&mut stats.conferences_by_audio_sender, audio),
            (&mut stats.conferences_by_video_sender, video),
        ] {
            if let Some(count) = counts.get_mut(usize::try_from(n).unwrap_or(20).min(20)) {
                *count += 1;
            }
        }
        let lasted = now.saturating_duration_since(conference.created).as_millis();
        stats.conference_milliseconds += u64::try_from(lasted).unwrap_or(u64::MAX);
    }
    stats
}

impl ShardStats {
    /// Adds another shard's.
    pub fn add(&mut self, other: &Self) {
        macro_rules! sum {
            ($($field:ident)*) => {$(self.$field += other.$field;)*};
        }
        sum!(conferences inactive_conferences p2p_conferences endpoints relayed_conferences relayed_endpoints
            inactive_endpoints receive_only_endpoints
            endpoints_sending_audio endpoints_sending_video visitors conference_milliseconds rtt_sum rtt_count jitter_sum jitter_count
            endpoints_with_suspended_sources endpoints_with_high_outgoing_loss);
        self.totals.add(&other.totals);
        self.media.add(&other.media);
        self.largest_conference = self.largest_conference.max(other.largest_conference);
        self.most_forwarded = self.most_forwarded.max(other.most_forwarded);
        for (mine, theirs) in [
            (&mut self.conferences_by_size, &other.conferences_by_size),
            (&mut self.conferences_by_audio_sender, &other.conferences_by_audio_sender),
            (&mut self.conferences_by_video_sender, &other.conferences_by_video_sender),
        ] {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        }
    }

    /// The keys of `/colibri/stats`. Rates are over `elapsed`, since `before`. What goes between bridges is counted by itself
    /// (`octo`), as upstream does.
    pub fn keys(&self, before: &Self, elapsed: Duration, state: &BridgeState) -> Map<String, Value> {
        let seconds = elapsed.as_secs_f64().max(0.001);
        let rate = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
        let kbit = |now, then| rate(now, then) * 8.0 / 1000.0;
        let (t, b, m) = (&self.totals.without_relays(), &before.totals.without_relays(), &self.media);
        let incoming_loss =
            fraction(delta(m.lost, before.media.lost), delta(m.received, before.media.received));
        let outgoing_loss = fraction(
            delta(m.feedback_lost, before.media.feedback_lost),
            delta(m.feedback_received, before.media.feedback_received),
        );
        let rtt = self.rtt_sum.as_secs_f64() * 1000.0 / self.rtt_count.max(1) as f64;
        let mut keys = Map::new();
        macro_rules! put {
            ($($key:literal: $value:expr,)*) => {$( keys.insert($key.to_owned(), Value::from($value)); )*};
        }
        put! {
            "bit_rate_download": kbit(t.bytes_received, b.bytes_received),
            "bit_rate_upload": kbit(t.bytes_sent, b.bytes_sent),
            "packet_rate_download": rate(t.packets_received, b.packets_received),
            "packet_rate_upload": rate(t.packets_sent, b.packets_sent),
            "incoming_loss": incoming_loss,
            "outgoing_loss": outgoing_loss,
            "overall_loss": fraction(
                delta(m.lost, before.media.lost) + delta(m.feedback_lost, before.media.feedback_lost),
                delta(m.received, before.media.received)
                    + delta(m.feedback_received, before.media.feedback_received),
            ),
            "rtt_aggregate": rtt,
            "tcc_unmatched_feedback": m.unmatched_feedback,
            "endpoints_with_suspended_sources": self.endpoints_with_suspended_sources,
            "endpoints_with_high_outgoing_loss": self.endpoints_with_high_outgoing_loss,
            "conferences": self.conferences,
            "inactive_conferences": self.inactive_conferences,
            "p2p_conferences": self.p2p_conferences,
            "octo_conferences": self.relayed_conferences,
            "largest_conference": self.largest_conference,
            "endpoints": self.endpoints + self.relayed_endpoints,
            "participants": self.endpoints + self.relayed_endpoints,
            "local_endpoints": self.endpoints,
            "local_active_endpoints": self.endpoints.saturating_sub(self.inactive_endpoints),
            "inactive_endpoints": self.inactive_endpoints,
            "receive_only_endpoints": self.receive_only_endpoints,
            "octo_endpoints": self.relayed_endpoints,
            "endpoints_sending_audio": self.endpoints_sending_audio,
            "endpoints_sending_video": self.endpoints_sending_video,
            "visitors": self.visitors,
            // These are whole bits and packets per second, unlike the others.
            "octo_receive_bitrate": 8 * rate(t.relay_bytes_received, b.relay_bytes_received) as u64,
            "octo_send_bitrate": 8 * rate(t.relay_bytes_sent, b.relay_bytes_sent) as u64,
            "octo_receive_packet_rate": rate(t.relay_packets_received, b.relay_packets_received) as u64,
            "octo_send_packet_rate": rate(t.relay_packets_sent, b.relay_packets_sent) as u64,
            "total_bytes_received_octo": t.relay_bytes_received,
            "total_bytes_sent_octo": t.relay_bytes_sent,
            "total_packets_received_octo": t.relay_packets_received,
            "total_packets_sent_octo": t.relay_packets_sent,
            "total_relays": t.relays_created,
            "num_relays_no_msg_transport_after_delay": t.relays_no_message_transport,
            "relays_ice_failed": t.relays_ice_failed,
            "dtls_failed_relays": t.relays_dtls_failed,
            "total_conferences_created": t.conferences_created,
            "total_conferences_completed": t.conferences_completed,
            "total_conference_seconds": self.conference_milliseconds / 1000,
            "total_participants": t.endpoints_created,
            "total_visitors": t.visitors_created,
            "total_bytes_received": t.bytes_received,
            "total_bytes_sent": t.bytes_sent,
            "total_packets_received": t.packets_received,
            "total_packets_sent": t.packets_sent,
            "total_keyframes_received": m.key_frames,
            "total_layering_changes_received": m.layering_changes,
            "total_video_stream_milliseconds_received": m.video_micros / 1000,
            "total_dominant_speaker_changes": m.dominant_speaker_changes,
            "total_data_channel_messages_received": t.data_channel_messages_received,
            "total_data_channel_messages_sent": t.data_channel_messages_sent,
            "total_colibri_web_socket_messages_received": t.web_socket_messages_received,
            "total_colibri_web_socket_messages_sent": t.web_socket_messages_sent,
            "num_eps_no_msg_transport_after_delay": t.no_message_transport,
            "endpoints_ice_failed": t.ice_failed,
            "dtls_failed_endpoints": t.dtls_failed,
            "total_ice_failed": t.ice_failed,
            "total_ice_succeeded": t.ice_succeeded,
            "total_ice_succeeded_relayed": 0,
            "endpoints_disconnected": t.endpoints_disconnected,
            "total_paths_followed": t.paths_followed,
            "endpoints_reconnected": t.endpoints_reconnected,
            "stress_level": state.stress_level,
            "average_participant_stress": AVERAGE_PARTICIPANT_STRESS,
            "healthy": state.healthy,
            "graceful_shutdown": state.graceful_shutdown,
            "shutting_down": state.shutting_down,
            "drain": state.drain,
            "version": state.version.as_str(),
            "current_timestamp": state.current_timestamp.as_str(),
            "threads": state.threads,
            "muc_clients_configured": state.muc_clients_configured,
            "muc_clients_connected": state.muc_clients_connected,
            "mucs_configured": state.mucs_configured,
            "mucs_joined": state.mucs_joined,
        }
        for (key, value) in
            [("release", &state.release), ("region", &state.region), ("relay_id", &state.relay_id)]
        {
            if let Some(value) = value {
                keys.insert(key.to_owned(), Value::from(value.as_str()));
            }
        }
        keys
    }

    /// Packets per second in both directions since `before` (`packet-rate` load measurement).
    pub fn packet_rate(&self, before: &Self, elapsed: Duration) -> f64 {
        let packets = |s: &Self| s.totals.packets_received + s.totals.packets_sent;
        delta(packets(self), packets(before)) as f64 / elapsed.as_secs_f64().max(0.001)
    }
}

fn delta(now: u64, then: u64) -> u64 {
    now.saturating_sub(then)
}

fn fraction(lost: u64, received: u64) -> f64 {
    let all = lost + received;
    if all == 0 { 0.0 } else { lost as f64 / all as f64 }
}

/// Published for the focus' prediction (bridge §11.1).
const AVERAGE_PARTICIPANT_STRESS: f64 = 0.01;

#[cfg(test)]
mod tests {
    use super::*;

    /// Upstream's (bridge appendix A), without those that are there only where they are set.
    const KEYS: &str = "bit_rate_download bit_rate_upload packet_rate_download packet_rate_upload incoming_loss outgoing_loss \
        overall_loss rtt_aggregate tcc_unmatched_feedback endpoints_with_high_outgoing_loss endpoints_with_suspended_sources \
        conferences inactive_conferences p2p_conferences octo_conferences largest_conference endpoints participants \
        local_endpoints local_active_endpoints inactive_endpoints receive_only_endpoints octo_endpoints \
        endpoints_sending_audio endpoints_sending_video visitors octo_receive_bitrate octo_send_bitrate \
        octo_receive_packet_rate octo_send_packet_rate total_bytes_received_octo total_bytes_sent_octo \
        total_packets_received_octo total_packets_sent_octo total_relays num_relays_no_msg_transport_after_delay \
        relays_ice_failed dtls_failed_relays total_conferences_created total_conferences_completed \
        total_conference_seconds total_participants total_visitors total_bytes_received total_bytes_sent \
        total_packets_received total_packets_sent total_keyframes_received total_layering_changes_received \
        total_video_stream_milliseconds_received total_dominant_speaker_changes total_data_channel_messages_received \
        total_data_channel_messages_sent total_colibri_web_socket_messages_received \
        total_colibri_web_socket_messages_sent num_eps_no_msg_transport_after_delay endpoints_ice_failed \
        dtls_failed_endpoints total_ice_failed total_ice_succeeded total_ice_succeeded_relayed endpoints_disconnected \
        endpoints_reconnected stress_level average_participant_stress healthy graceful_shutdown shutting_down drain \
        version current_timestamp threads muc_clients_configured muc_clients_connected mucs_configured mucs_joined";
    /// Upstream's that are not here.
    const NOT_HERE: [(&str, &str); 4] = [
        ("endpoints_with_spurious_remb", "REMB counts only where it was negotiated"),
        ("num_eps_oversending", "nobody is sent more than the estimate"),
        ("preemptive_kfr_sent", "key frames are asked for when they are needed"),
        ("preemptive_kfr_suppressed", "as above"),
    ];

    #[test]
    fn the_keys_of_upstream_are_there_or_not_here_for_a_reason() {
        let state = BridgeState {
            release: Some("r".into()),
            region: Some("eu".into()),
            relay_id: Some("jvb-1".into()),
            ..BridgeState::default()
        };
        let keys = ShardStats::default().keys(&ShardStats::default(), Duration::from_secs(10), &state);
        for key in KEYS.split_whitespace().chain(["release", "region", "relay_id"]) {
            assert!(keys.contains_key(key), "{key}");
        }
        for (key, why) in NOT_HERE {
            assert!(!keys.contains_key(key), "{key} is here, though {why}");
        }
        let texts: Vec<_> = keys.iter().filter(|(_, v)| v.is_string()).map(|(k, _)| k.as_str()).collect();
        assert_eq!(texts, ["current_timestamp", "region", "relay_id", "release", "version"]);
        let flags: Vec<_> = keys.iter().filter(|(_, v)| v.is_boolean()).map(|(k, _)| k.as_str()).collect();
        assert_eq!(flags, ["drain", "graceful_shutdown", "healthy", "shutting_down"]);
    }

    #[test]
    fn rates_are_per_second_and_loss_is_a_fraction() {
        let before = ShardStats::default();
        let mut after = ShardStats::default();
        after.totals.bytes_received = 12_500;
        after.totals.packets_received = 100;
        after.media.received = 90;
        after.media.lost = 10;
        let state =
            BridgeState { version: "2.3".into(), region: Some("eu".into()), ..BridgeState::default() };
        let keys = after.keys(&before, Duration::from_secs(10), &state);
        assert_eq!(keys["bit_rate_download"], 10.0);
        assert_eq!(keys["packet_rate_download"], 10.0);
        assert_eq!(keys["incoming_loss"], 0.1);
        assert_eq!(keys["overall_loss"], 0.1);
        assert_eq!((keys["region"].as_str(), keys.get("relay_id")), (Some("eu"), None));
        for read_by_the_focus in
            ["average_participant_stress", "healthy", "release", "stress_level", "version"]
        {
            assert!(
                keys.contains_key(read_by_the_focus) || read_by_the_focus == "release",
                "{read_by_the_focus}"
            );
        }
    }
}
