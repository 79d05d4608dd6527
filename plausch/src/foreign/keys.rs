//! Keys of Jicofo's and the bridge's files, and their values, in; the variable of the environment that says the same, what would keep
//! people out and does not here, or nothing, out.
//!
//! Upstream makes these files from its environment, so that nearly each key has a variable with the same meaning.

use super::custom::{Custom, Program};
use super::hocon::{Document, Value};
use crate::options::Role;
use crate::words::{Words, words};

/// What a key comes to.
enum Means {
    /// The same as this variable.
    Variable(&'static str),
    /// Its opposite.
    Not(&'static str),
    /// Keeps something out when it is no.
    ClosedByNo,
    /// Keeps something out when it is yes.
    ClosedByYes,
    /// Keeps something out when there is anything in it.
    ClosedByAny,
    /// The same is so without it, or there is nothing here to which it could apply.
    Nothing,
}

use Means::{ClosedByAny, ClosedByNo, ClosedByYes, Not, Nothing, Variable};

/// Adds what a file says. `from`: its name in messages.
pub(super) fn judge(program: Program, role: Role, document: &Document, from: &str, custom: &mut Custom) {
    let mut shard: Option<&str> = None;
    let value = |key: &str| document.value(key).and_then(plain);
    for entry in &document.entries {
        let key = entry.key();
        let place = format!("{key} in {from}");
        if entry.value == Value::Null {
            continue;
        }
        let row = match program {
            Program::Bridge => BRIDGE.iter().chain(LEGACY).find(|(k, _)| *k == key),
            Program::Focus => FOCUS.iter().chain(LEGACY).find(|(k, _)| *k == key),
        };
        let text = plain(&entry.value);
        // What a process has within itself is not reached over an address.
        let whole = role == Role::AllInOne;
        match (key.as_str(), entry.path.as_slice()) {
            ("ice4j.harvest.mapping.static-mappings", _) => match mappings(&entry.value) {
                Some(all) => custom.say("JVB_ADVERTISE_IPS", all, place),
                None => custom.useless.push(place),
            },
            // The packages write Jitsi's own server there by themselves: nobody chose that others learn of this one.
            ("ice4j.harvest.mapping.stun.addresses", _) if text.as_deref().is_some_and(theirs) => {
                custom.useless.push(place);
            }
            ("ice4j.harvest.allowed-addresses", _) => match text.as_deref() {
                Some("") => {}
                Some(one) if one.parse::<std::net::IpAddr>().is_ok() => {
                    let bracketed = if one.contains(':') { format!("[{one}]") } else { one.to_owned() };
                    let port = value("videobridge.ice.udp.port").unwrap_or_else(|| "10000".into());
                    custom.say("PLAUSCH_MEDIA", format!("{bracketed}:{port}"), place);
                }
                _ => custom.restrict(key, place, closed()),
            },
            (_, [a, b, c, d, id, name])
                if [a, b, c, d].map(String::as_str) == ["videobridge", "apis", "xmpp-client", "configs"] =>
            {
                if *shard.get_or_insert(id) != id {
                    custom.useless.push(place);
                    continue;
                }
                let Some(text) = text else { continue };
                let name = name.to_ascii_lowercase().replace('_', "-");
                match name.as_str() {
                    "hostname" | "port" if whole => {}
                    "hostname" => custom.say("XMPP_SERVER", text, place),
                    "port" => custom.say("XMPP_PORT", text, place),
                    "domain" => custom.say("XMPP_AUTH_DOMAIN", text, place),
                    "username" => custom.say("JVB_AUTH_USER", text, place),
                    "password" => custom.say("JVB_AUTH_PASSWORD", text, place),
                    "muc-nickname" => custom.say("JVB_MUC_NICKNAME", text, place),
                    "muc-jids" => brewery(&text, place, custom),
                    "disable-certificate-verification" if whole => {}
                    "disable-certificate-verification" => {
                        opposite("PLAUSCH_VERIFY_CERTIFICATE", &entry.value, key, place, custom)
                    }
                    _ => custom.useless.push(place),
                }
            }
            (_, [a, b, c, size])
                if [a, b, c].map(String::as_str)
                    == ["videobridge", "load-management", "conference-last-n-limits"] =>
            {
                match text {
                    Some(n) => custom.add("PLAUSCH_LAST_N_BY_SIZE", &format!("{size}={n}"), place),
                    None => custom.useless.push(place),
                }
            }
            ("jicofo.bridge.brewery-jid", _) => {
                if let Some(text) = text {
                    brewery(&text, place, custom);
                }
            }
            (
                "jicofo.xmpp.client.hostname"
                | "jicofo.xmpp.client.port"
                | "jicofo.xmpp.client.disable-certificate-verification",
                _,
            ) if whole => {}
            ("jicofo.xmpp.client.username", _) if text.as_deref() == Some("focus") => {}
            ("jicofo.rest.host", _) if role == Role::Focus => {
                let at = format!(
                    "{}:{}",
                    text.unwrap_or_default(),
                    value("jicofo.rest.port").unwrap_or_else(|| "8888".into())
                );
                custom.say("PLAUSCH_HTTP", at.clone(), place.clone());
                custom.say("PLAUSCH_ADMIN", at, place);
            }
            ("jicofo.rest.port", _) if role == Role::Focus && value("jicofo.rest.host").is_some() => {}
            ("videobridge.http-servers.private.host", _) if role == Role::Videobridge => {
                let port = value("videobridge.http-servers.private.port").unwrap_or_else(|| "8080".into());
                custom.say("PLAUSCH_ADMIN", format!("{}:{port}", text.unwrap_or_default()), place);
            }
            ("videobridge.http-servers.private.port", _)
                if role == Role::Videobridge && value("videobridge.http-servers.private.host").is_some() => {}
            _ => match row.map(|(_, means)| means) {
                Some(Variable(name)) => match text {
                    // The file knows more words for yes and no than the environment.
                    Some(text) => match entry.value.truth().filter(|_| !name.ends_with("_PASSWORD")) {
                        Some(yes) => custom.say(name, yes.to_string(), place),
                        None => custom.say(name, text, place),
                    },
                    None => custom.useless.push(place),
                },
                Some(Not(name)) => opposite(name, &entry.value, key, place, custom),
                Some(ClosedByNo) if entry.value.truth() != Some(true) => {
                    custom.restrict(key, place, closed())
                }
                Some(ClosedByYes) if entry.value.truth() != Some(false) => {
                    custom.restrict(key, place, closed())
                }
                Some(ClosedByAny) if text.as_deref() != Some("") => custom.restrict(key, place, closed()),
                Some(ClosedByNo | ClosedByYes | ClosedByAny | Nothing) => {}
                None if sounds_closed(&key) => custom.restrict(key, place, closed()),
                None => custom.useless.push(place),
            },
        }
    }
    for include in &document.includes {
        custom.restrict(
            from.to_owned(),
            format!("include {include} in {from}"),
            words!(
                "other files are not followed, and may keep people out",
                "andere Dateien werden nicht verfolgt, und sie können Leute draußen halten"
            ),
        );
    }
}

fn closed() -> Words {
    words!(
        "it may keep people or machines out, and has no effect here",
        "das kann Leute oder Rechner draußen halten und hat hier keine Wirkung"
    )
}

/// Whether a name that nobody knows here may keep somebody out.
pub(crate) fn sounds_closed(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [
        "allow",
        "auth",
        "ban",
        "block",
        "deny",
        "forbid",
        "limit",
        "lobby",
        "max_occup",
        "member",
        "moderat",
        "only",
        "password",
        "permission",
        "private",
        "require",
        "restrict",
        "secret",
        "secure",
        "token",
        "trusted",
        "verif",
        "whitelist",
        "blacklist",
    ]
    .iter()
    .any(|word| name.contains(word))
}

/// As the environment says it; lists with commas.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::List(all) => {
            let all: Option<Vec<&str>> = all.iter().map(Value::text).collect();
            Some(all?.join(","))
        }
        Value::Null | Value::Object(_) => None,
    }
}

fn theirs(servers: &str) -> bool {
    servers.split(',').all(|s| s.rsplit_once(':').map_or(s, |(host, _)| host).ends_with(".jitsi.net"))
}

fn opposite(name: &'static str, value: &Value, key: String, place: String, custom: &mut Custom) {
    match value.truth() {
        Some(yes) => custom.say(name, u8::from(!yes).to_string(), place),
        None => custom.restrict(key, place, closed()),
    }
}

/// `jvbbrewery@internal-muc.meet.jitsi`.
fn brewery(jid: &str, place: String, custom: &mut Custom) {
    match jid.trim().split_once('@') {
        Some((room, domain)) if !jid.contains(',') => {
            // compat: Debian's focus writes it `JvbBrewery` and its bridge `jvbbrewery` (test: compat_debian_s_files_are_heeded).
            custom.say("JVB_BREWERY_MUC", room.to_ascii_lowercase(), place.clone());
            custom.say("XMPP_INTERNAL_MUC_DOMAIN", domain.to_owned(), place);
        }
        _ => custom.useless.push(place),
    }
}

fn mappings(value: &Value) -> Option<String> {
    let Value::List(all) = value else { return None };
    let one = |value: &Value| {
        let Value::Object(object) = value else { return None };
        let text = |key: &str| object.iter().find(|(k, _)| k == key).and_then(|(_, v)| v.text());
        let address = text("public-address")?;
        Some(text("public-port").map_or_else(|| address.to_owned(), |port| format!("{address}#{port}")))
    };
    let all: Option<Vec<String>> = all.iter().map(one).collect();
    Some(all?.join(",")).filter(|all| !all.is_empty())
}

type Row = (&'static str, Means);

const BRIDGE: &[Row] = &[
    ("videobridge.ice.udp.port", Variable("JVB_PORT")),
    ("videobridge.ice.advertise-private-candidates", Variable("JVB_ADVERTISE_PRIVATE_CANDIDATES")),
    ("videobridge.relay.enabled", Variable("ENABLE_OCTO")),
    ("videobridge.relay.region", Variable("JVB_OCTO_REGION")),
    ("videobridge.relay.relay-id", Variable("JVB_OCTO_RELAY_ID")),
    ("videobridge.apis.rest.enabled", Variable("COLIBRI_REST_ENABLED")),
    ("videobridge.apis.xmpp-client.presence-interval", Nothing),
    ("videobridge.rest.shutdown.enabled", Variable("SHUTDOWN_REST_ENABLED")),
    ("videobridge.rest.debug.enabled", Nothing),
    ("videobridge.rest.rtcstats.enabled", Nothing),
    ("videobridge.rest.drain.enabled", ClosedByNo),
    ("videobridge.rest.health.enabled", ClosedByNo),
    ("videobridge.rest.prometheus.enabled", ClosedByNo),
    ("videobridge.rest.version.enabled", ClosedByNo),
    ("videobridge.initial-drain-mode", ClosedByYes),
    ("videobridge.health.require-valid-address", Variable("JVB_REQUIRE_VALID_ADDRESS")),
    ("videobridge.health.require-stun", Nothing),
    ("videobridge.cc.trust-bwe", Variable("JVB_CC_TRUST_BWE")),
    ("videobridge.cc.jvb-last-n", Variable("PLAUSCH_LAST_N")),
    ("videobridge.load-management.reducer-enabled", Variable("PLAUSCH_REDUCES_LOAD")),
    ("videobridge.cc.use-vla-target-bitrate", Variable("ENABLE_VLA")),
    ("videobridge.sctp.enabled", Variable("ENABLE_SCTP")),
    ("videobridge.ssrc-limit.audio", Nothing),
    ("videobridge.ssrc-limit.video", Nothing),
    ("videobridge.stats.interval", Nothing),
    ("videobridge.stats.enabled", Nothing),
    ("videobridge.redact-remote-addresses", Nothing),
    ("videobridge.redact-colibri-http-headers", Nothing),
    ("videobridge.http-servers.public.port", Nothing),
    ("videobridge.http-servers.public.tls-port", Nothing),
    ("videobridge.http-servers.private.host", ClosedByAny),
    ("videobridge.websockets.enabled", Nothing),
    ("videobridge.websockets.domain", Nothing),
    ("videobridge.websockets.tls", Nothing),
    ("videobridge.websockets.server-id", Nothing),
    ("jmt.bwe.estimator.engine", Variable("BWE_ESTIMATOR_ENGINE")),
    ("ice4j.harvest.mapping.stun.addresses", Variable("JVB_STUN_SERVERS")),
    ("ice4j.harvest.mapping.aws.enabled", Nothing),
    ("ice4j.harvest.mapping.aws.force", Nothing),
    ("ice4j.harvest.blocked-addresses", ClosedByAny),
    ("ice4j.harvest.allowed-interfaces", ClosedByAny),
    ("ice4j.harvest.blocked-interfaces", ClosedByAny),
    ("ice4j.redact-remote-addresses", Nothing),
];

const FOCUS: &[Row] = &[
    ("jicofo.authentication.enabled", Variable("JICOFO_ENABLE_AUTH")),
    ("jicofo.authentication.type", Variable("JICOFO_AUTH_TYPE")),
    ("jicofo.authentication.login-url", Nothing),
    ("jicofo.authentication.logout-url", Nothing),
    ("jicofo.authentication.authentication-lifetime", Variable("JICOFO_AUTH_LIFETIME")),
    ("jicofo.authentication.enable-auto-login", Variable("ENABLE_AUTO_LOGIN")),
    ("jicofo.bridge.max-bridge-participants", Variable("MAX_BRIDGE_PARTICIPANTS")),
    ("jicofo.bridge.max-bridge-participants-per-interval", Variable("PLAUSCH_MAX_BRIDGE_JOINS")),
    ("jicofo.bridge.average-participant-stress", Variable("BRIDGE_AVG_PARTICIPANT_STRESS")),
    ("jicofo.bridge.stress-threshold", Variable("BRIDGE_STRESS_THRESHOLD")),
    ("jicofo.bridge.selection-strategy", Variable("OCTO_BRIDGE_SELECTION_STRATEGY")),
    ("jicofo.bridge.xmpp-connection-name", Nothing),
    ("jicofo.bridge.ice-failure-detection.enabled", Variable("PLAUSCH_ICE_FAILURE_DETECTION")),
    ("jicofo.bridge.health-checks.enabled", Variable("JICOFO_ENABLE_BRIDGE_HEALTH_CHECKS")),
    ("jicofo.bridge.health-checks.use-presence", Variable("JICOFO_HEALTH_CHECKS_USE_PRESENCE")),
    ("jicofo.bridge.topology-strategy", Variable("PLAUSCH_BRIDGE_TOPOLOGY")),
    ("jicofo.bridge.load-redistribution.enabled", Variable("JICOFO_ENABLE_LOAD_REDISTRIBUTION")),
    ("jicofo.bridge.load-redistribution.interval", Variable("PLAUSCH_LOAD_REDISTRIBUTION_INTERVAL")),
    ("jicofo.bridge.load-redistribution.stress-threshold", Variable("PLAUSCH_LOAD_REDISTRIBUTION_THRESHOLD")),
    ("jicofo.bridge.load-redistribution.timeout", Variable("PLAUSCH_LOAD_REDISTRIBUTION_TIMEOUT")),
    ("jicofo.bridge.load-redistribution.endpoints", Variable("PLAUSCH_LOAD_REDISTRIBUTION_PEOPLE")),
    ("jicofo.codec.video.vp8.enabled", Variable("ENABLE_CODEC_VP8")),
    ("jicofo.codec.video.vp9.enabled", Variable("ENABLE_CODEC_VP9")),
    ("jicofo.codec.video.av1.enabled", Variable("ENABLE_CODEC_AV1")),
    ("jicofo.codec.video.h264.enabled", Variable("ENABLE_CODEC_H264")),
    ("jicofo.codec.audio.opus.red.enabled", Variable("ENABLE_CODEC_OPUS_RED")),
    ("jicofo.conference.enable-auto-owner", Variable("ENABLE_AUTO_OWNER")),
    ("jicofo.conference.enable-moderator-checks", Variable("ENABLE_MODERATOR_CHECKS")),
    ("jicofo.conference.initial-timeout", Variable("JICOFO_CONF_INITIAL_PARTICIPANT_WAIT_TIMEOUT")),
    ("jicofo.conference.single-participant-timeout", Variable("JICOFO_CONF_SINGLE_PARTICIPANT_TIMEOUT")),
    ("jicofo.conference.max-ssrcs-per-user", Variable("MAX_SSRCS_PER_USER")),
    ("jicofo.conference.max-ssrc-groups-per-user", Variable("MAX_SSRC_GROUPS_PER_USER")),
    ("jicofo.conference.max-audio-senders", Variable("JICOFO_CONF_MAX_AUDIO_SENDERS")),
    ("jicofo.conference.max-video-senders", Variable("JICOFO_CONF_MAX_VIDEO_SENDERS")),
    ("jicofo.conference.strip-simulcast", Variable("JICOFO_CONF_STRIP_SIMULCAST")),
    ("jicofo.conference.use-ssrc-rewriting", Variable("JICOFO_CONF_SSRC_REWRITING")),
    ("jicofo.conference.restart-request-rate-limits.max-requests", Variable("JICOFO_RESTART_REQUEST_MAX")),
    ("jicofo.conference.restart-request-rate-limits.interval", Variable("JICOFO_RESTART_REQUEST_INTERVAL")),
    ("jicofo.health.enabled", Variable("JICOFO_ENABLE_HEALTH_CHECKS")),
    ("jicofo.jibri.brewery-jid", Variable("JIBRI_BREWERY_MUC")),
    ("jicofo.jibri.pending-timeout", Variable("JIBRI_PENDING_TIMEOUT")),
    ("jicofo.jibri.num-retries", Variable("JIBRI_REQUEST_RETRIES")),
    ("jicofo.jigasi.brewery-jid", Variable("JIGASI_BREWERY_MUC")),
    ("jicofo.local-region", Variable("JICOFO_OCTO_REGION")),
    ("jicofo.octo.enabled", Variable("ENABLE_OCTO")),
    ("jicofo.octo.allow-mixed-versions", Variable("PLAUSCH_MIXED_VERSIONS")),
    ("jicofo.rest.enabled", ClosedByNo),
    ("jicofo.rest.host", ClosedByAny),
    ("jicofo.rest.conference-request.enabled", ClosedByNo),
    ("jicofo.rest.prometheus.enabled", ClosedByNo),
    ("jicofo.rest.debug.enabled", Nothing),
    ("jicofo.rest.move-endpoints.enabled", Nothing),
    ("jicofo.rest.pin.enabled", Nothing),
    ("jicofo.sctp.enabled", Variable("ENABLE_SCTP")),
    ("jicofo.visitors.enabled", Variable("ENABLE_VISITORS")),
    ("jicofo.visitors.max-participants", Variable("VISITORS_MAX_PARTICIPANTS")),
    ("jicofo.visitors.max-visitors-per-node", Variable("VISITORS_MAX_VISITORS_PER_NODE")),
    ("jicofo.visitors.require-muc-config-flag", Nothing),
    ("jicofo.xmpp.trusted-domains", Variable("JICOFO_TRUSTED_DOMAINS")),
    ("jicofo.xmpp.use-jitsi-jid-validation", Nothing),
    ("jicofo.xmpp.client.enabled", Nothing),
    ("jicofo.xmpp.client.hostname", Variable("XMPP_SERVER")),
    ("jicofo.xmpp.client.port", Variable("XMPP_PORT")),
    ("jicofo.xmpp.client.domain", Variable("XMPP_AUTH_DOMAIN")),
    ("jicofo.xmpp.client.xmpp-domain", Variable("XMPP_DOMAIN")),
    ("jicofo.xmpp.client.password", Variable("JICOFO_AUTH_PASSWORD")),
    ("jicofo.xmpp.client.conference-muc-jid", Variable("XMPP_MUC_DOMAIN")),
    ("jicofo.xmpp.client.client-proxy", Nothing),
    ("jicofo.xmpp.client.resource", Nothing),
    ("jicofo.xmpp.client.use-tls", Nothing),
    ("jicofo.xmpp.client.disable-certificate-verification", Not("PLAUSCH_VERIFY_CERTIFICATE")),
];

/// Of `sip-communicator.properties`, which older installations have.
const LEGACY: &[Row] = &[
    ("org.ice4j.ice.harvest.NAT_HARVESTER_PUBLIC_ADDRESS", Variable("JVB_ADVERTISE_IPS")),
    ("org.ice4j.ice.harvest.NAT_HARVESTER_LOCAL_ADDRESS", Nothing),
    ("org.ice4j.ice.harvest.STUN_MAPPING_HARVESTER_ADDRESSES", Variable("JVB_STUN_SERVERS")),
    ("org.ice4j.ice.harvest.DISABLE_AWS_HARVESTER", Nothing),
    ("org.ice4j.ice.harvest.ALLOWED_ADDRESSES", ClosedByAny),
    ("org.ice4j.ice.harvest.BLOCKED_ADDRESSES", ClosedByAny),
    ("org.ice4j.ice.harvest.ALLOWED_INTERFACES", ClosedByAny),
    ("org.ice4j.ice.harvest.BLOCKED_INTERFACES", ClosedByAny),
    ("org.jitsi.videobridge.SINGLE_PORT_HARVESTER_PORT", Variable("JVB_PORT")),
    ("org.jitsi.videobridge.AUTHORIZED_SOURCE_REGEXP", Nothing),
    ("org.jitsi.videobridge.ENABLE_STATISTICS", Nothing),
    ("org.jitsi.videobridge.STATISTICS_TRANSPORT", Nothing),
    ("org.jitsi.videobridge.DISABLE_TCP_HARVESTER", Variable("JVB_TCP_HARVESTER_DISABLED")),
    ("org.jitsi.jicofo.ALWAYS_TRUST_MODE_ENABLED", Nothing),
    ("org.jitsi.jicofo.auth.URL", ClosedByAny),
    ("org.jitsi.jicofo.BRIDGE_MUC", Nothing),
];

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Every variable that a key stands for, for the test that each is known.
    pub(crate) fn variables() -> impl Iterator<Item = &'static str> {
        BRIDGE.iter().chain(FOCUS).chain(LEGACY).filter_map(|(_, means)| match means {
            Variable(name) | Not(name) => Some(*name),
            _ => None,
        })
    }
}
