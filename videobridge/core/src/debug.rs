//! A shard at one moment in; what its conferences and endpoints are at, without names and addresses, out (bridge appendix C).
//!
//! Relays are told in a conference's state without the other bridges' names: `relays`, one for each.
//!
//! For whoever looks for the cause of something. Upstream says that the format is no interface; ours has what helps: how an endpoint is
//! connected, what it wants, what it gets and what its link carries. Endpoint ids that are not random stay out: clients choose them,
//! and one may choose a name.

use std::time::Instant;

use jitsi_xmpp::ids::EndpointId;
use serde_json::{Map, Value, json};

use crate::command::Asked;
use crate::conference::Conference;
use crate::endpoint::{Channel, Endpoint};
use crate::limits;
use crate::shard::Shard;
use crate::transport::Consent;

/// All conferences in a line each, up to a bound; one, by our id or the focus', with its endpoints (of which a conference has
/// [`limits::MAX_ENDPOINTS_PER_CONFERENCE`]); or those for services of statistics, with so many endpoints in all.
pub(crate) fn collect(shard: &Shard, now: Instant, asked: &Asked) -> Map<String, Value> {
    let mut room = limits::STATISTICS_ENDPOINTS;
    let wanted = |c: &&Conference| match asked {
        Asked::All => true,
        Asked::One(id) => shown_as(c) == id || c.meeting.as_str() == id,
        Asked::Statistics => {
            let fits = c.statistics && c.endpoints.len() <= room;
            room -= if fits { c.endpoints.len() } else { 0 };
            fits
        }
    };
    let found = shard.conferences.iter().map(|(_, c)| c).filter(wanted).take(limits::DEBUG_CONFERENCES);
    found.map(|c| (shown_as(c).clone(), conference(shard, c, now, *asked != Asked::All))).collect()
}

/// A part is shown as a part of its home: whoever asks all shards puts them together ([`join_parts`]).
fn shown_as(c: &Conference) -> &String {
    c.part_of.as_ref().unwrap_or(&c.id)
}

/// Adds what one shard said to what others said: parts of a conference become one.
pub fn join_parts(all: &mut Map<String, Value>, more: Map<String, Value>) {
    for (id, mut value) in more {
        match all.get_mut(&id) {
            Some(known) => {
                if known.get(PART).is_some() {
                    // What the home says of the conference counts.
                    std::mem::swap(known, &mut value);
                }
                join(known, value);
            }
            None => {
                all.insert(id, value);
            }
        }
    }
}

fn join(home: &mut Value, part: Value) {
    let (Some(home), Value::Object(mut part)) = (home.as_object_mut(), part) else { return };
    let count = |of: &Map<String, Value>| of.get("endpoint_count").and_then(Value::as_u64).unwrap_or(0);
    let sum = count(home) + count(&part);
    home.insert("endpoint_count".to_owned(), sum.into());
    let Some(Value::Object(more)) = part.remove("endpoints") else { return };
    let Some(endpoints) = home.get_mut("endpoints").and_then(Value::as_object_mut) else { return };
    for (name, value) in more {
        let mut free = name.clone();
        let mut n = 1;
        while endpoints.contains_key(&free) {
            n += 1;
            free = format!("{name}-{n}");
        }
        endpoints.insert(free, value);
    }
}

/// In what is said of a part, until it is put together with its home.
const PART: &str = "part";

fn conference(shard: &Shard, c: &Conference, now: Instant, full: bool) -> Value {
    let mut value = json!({
        "id": c.id,
        "meeting_id": c.meeting.as_str(),
        // compat: as whoever pushes it to rtcstats reads it (test: services_of_statistics_hear_of_conferences_that_allow_it_and_of_so_many_endpoints).
        "rtcstatsEnabled": c.statistics,
        "seconds": now.saturating_duration_since(c.created).as_secs(),
        "endpoint_count": c.endpoints.len(),
    });
    if !c.is_home()
        && let Some(object) = value.as_object_mut()
    {
        object.insert(PART.to_owned(), true.into());
    }
    if full && let Some(object) = value.as_object_mut() {
        let mut unnamed = 0;
        let endpoints: Map<String, Value> = c
            .endpoints
            .values()
            .filter_map(|key| shard.endpoints.get(*key).map(|e| (*key, e)))
            .map(|(key, e)| {
                let name = random(&e.id).map_or_else(
                    || {
                        unnamed += 1;
                        format!("unnamed-{unnamed}")
                    },
                    str::to_owned,
                );
                let (audio, video) = c.media.is_sending(now, key);
                let mut state = endpoint(e, now);
                if let Some(state) = state.as_object_mut() {
                    state.insert("sends_audio".to_owned(), audio.into());
                    state.insert("sends_video".to_owned(), video.into());
                    state.extend(c.media.debug(key));
                }
                (name, state)
            })
            .collect();
        object.insert("endpoints".to_owned(), endpoints.into());
        let relays = c.relays.values().filter_map(|link| shard.endpoints.get(link.key).map(|e| (link, e)));
        let relays: Vec<Value> = relays
            .map(|(link, e)| {
                let mut state = endpoint(e, now);
                if let Some(state) = state.as_object_mut() {
                    let behind = c.remotes.values().filter(|remote| remote.relay == link.key).count();
                    state.insert("mesh_id".to_owned(), link.mesh.as_deref().into());
                    state.insert("endpoint_count".to_owned(), behind.into());
                }
                state
            })
            .collect();
        object.insert("relays".to_owned(), relays.into());
    }
    value
}

fn endpoint(e: &Endpoint, now: Instant) -> Value {
    json!({
        "visitor": e.visitor,
        "seconds": now.saturating_duration_since(e.created).as_secs(),
        "ice": match e.transport.consent() {
            Consent::NotYet => "checking",
            Consent::Given => "connected",
            Consent::Lost => "lost",
        },
        "address_family": e.transport.selected().map(|p| if p.remote.is_ipv4() { "IPv4" } else { "IPv6" }),
        "rtt_ms": e.transport.rtt().map(|rtt| rtt.as_secs_f64() * 1000.0),
        "channel": match e.channel {
            None => "none",
            Some(Channel::Data) => "data",
            Some(Channel::WebSocket(_)) => "websocket",
        },
        "seconds_since_media": e.last_packet.map(|at| now.saturating_duration_since(at).as_secs()),
    })
}

/// What clients choose by chance is eight hexadecimal digits. Anything else may be a name.
fn random(id: &EndpointId) -> Option<&str> {
    let id = id.as_str();
    let is_random = id.len() == 8 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    is_random.then_some(id)
}
