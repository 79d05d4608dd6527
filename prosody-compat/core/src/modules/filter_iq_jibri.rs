//! Upstream's `filter_iq_jibri` (xmpp-server §4.31): recordings and streams are begun and ended by those who may, and not
//! without pause. Without it the focus takes it from any moderator.

use budget::{Bucket, Buckets, Network, Rate};
use jitsi_xmpp::{Condition, Element, ErrorType, StanzaError, ns};

use crate::limits::recordings;
use crate::module::{Module, Relay};
use crate::room::Room;
use crate::world::{Sender, World};

pub(super) static MODULE: Module = Module {
    name: "filter_iq_jibri",
    named: &["filter_iq_jibri"],
    iq: Some(check),
    stranger: Some(stranger),
    ..Module::NONE
};

/// How often each address has asked.
struct ByNetwork(Buckets<Network>);

impl Default for ByNetwork {
    fn default() -> Self {
        let unlimited = Rate::per_second(u32::MAX, u32::MAX);
        Self(Buckets::new(recordings::BY_ADDRESS, unlimited, recordings::MOST_KEYS))
    }
}

/// How often a room's people have.
#[derive(Default)]
struct InRoom(Bucket);

fn check(room: &mut Room, world: &mut World, sender: &Sender, e: &mut Element) -> Result<Relay, StanzaError> {
    let Some(jibri) = e.child("jibri", ns::JIBRI).filter(|_| !sender.identity.admin) else {
        return Ok(Relay::Pass);
    };
    // compat: whoever reads them takes capitals, too (test: compat_capitals_begin_no_recording_past_the_rules).
    let says = |name, word: &str| jibri.attr(name).is_some_and(|said| said.eq_ignore_ascii_case(word));
    if !says("action", "start") && !says("action", "stop") {
        return Ok(Relay::Pass);
    }
    let feature = if says("recording_mode", "file") { "recording" } else { "livestreaming" };
    if !world.may(sender.id, feature, room.is_moderator(sender.id)) {
        return Err(StanzaError::new(Condition::Forbidden));
    }
    let now = world.now;
    let by_network = &mut world.slots.entry::<ByNetwork>().0;
    let within = sender.identity.peer.is_none_or(|peer| by_network.take(peer, now, 1));
    if !within || !room.slots.entry::<InRoom>().0.take(&recordings::IN_ROOM, now, 1) {
        return Err(StanzaError::new(Condition::PolicyViolation).with_type(ErrorType::Wait));
    }
    Ok(Relay::Pass)
}

/// compat: as if there were no such room (test: compat_who_is_not_in_a_room_records_and_calls_nobody).
fn stranger(e: &Element) -> Option<StanzaError> {
    let asks = e.child("jibri", ns::JIBRI).is_some();
    asks.then(|| StanzaError::new(Condition::ItemNotFound).with_type(ErrorType::Cancel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_addresses_are_told_apart() {
        let now = std::time::Instant::now();
        let mut by_network = ByNetwork::default().0;
        for n in 0..=recordings::MOST_KEYS {
            let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n as u32);
            assert!(by_network.take(Network::of(address.into()), now, 1));
        }
        assert_eq!(by_network.len(), recordings::MOST_KEYS);
    }
}
