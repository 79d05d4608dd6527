//! Gateways to telephones and transcribers (Jigasi): their presences in, which one is next out (focus §8.5).

use std::collections::BTreeMap;

use jitsi_xmpp::{Element, FullJid, ns};

use crate::handover::{HandoverError, at_most, wire, word};
use crate::limits;

/// The gateways of the brewery, by occupant JID.
#[derive(Debug, Default)]
pub(crate) struct Gateways {
    all: BTreeMap<FullJid, Gateway>,
}

/// What a gateway says of itself. What it does not say keeps its value.
#[derive(Debug, Default)]
struct Gateway {
    calls: bool,
    transcribes: bool,
    leaves: bool,
    participants: u64,
    region: Option<String>,
}

/// What it is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A telephone call.
    Call,
    /// Writing down what is said.
    Transcription,
}

impl Gateways {
    pub(crate) fn written(&self) -> Vec<wire::Gateway> {
        let of = |(jid, g): (&FullJid, &Gateway)| wire::Gateway {
            jid: jid.as_str().to_owned(),
            calls: g.calls,
            transcribes: g.transcribes,
            leaves: g.leaves,
            participants: g.participants,
            region: g.region.clone(),
        };
        self.all.iter().map(of).collect()
    }

    pub(crate) fn read_written(&mut self, from: Vec<wire::Gateway>) -> Result<(), HandoverError> {
        at_most(&from, limits::GATEWAYS, "gateways")?;
        for g in from {
            let wire::Gateway { jid, calls, transcribes, leaves, participants, region } = g;
            self.all
                .insert(word(&jid, "gateway")?, Gateway { calls, transcribes, leaves, participants, region });
        }
        Ok(())
    }

    pub(crate) fn handle_presence(&mut self, jid: &FullJid, presence: &Element) {
        let Some(stats) = presence.child("stats", ns::COLIBRI) else { return };
        if !self.all.contains_key(jid) && self.all.len() >= limits::GATEWAYS {
            return;
        }
        let gateway = self.all.entry(jid.clone()).or_default();
        for stat in stats.children().filter(|c| c.name() == "stat") {
            let (Some(name), Some(value)) = (stat.attr("name"), stat.attr("value")) else { continue };
            match name {
                "supports_sip" => gateway.calls = value == "true",
                "supports_transcription" => gateway.transcribes = value == "true",
                "graceful_shutdown" => gateway.leaves = value == "true",
                "participants" => gateway.participants = value.parse().unwrap_or(gateway.participants),
                "region" if value.len() <= limits::TEXT => gateway.region = Some(value.to_owned()),
                _ => {}
            }
        }
    }

    pub(crate) fn handle_left(&mut self, jid: &FullJid) {
        self.all.remove(jid);
    }

    pub(crate) fn clear(&mut self) {
        self.all.clear();
    }

    /// One that can, near the meeting's bridge if there is such a one, with as few people as possible; never one of `tried`.
    pub(crate) fn choose(&self, need: Need, region: Option<&str>, tried: &[FullJid]) -> Option<FullJid> {
        let can = |g: &Gateway| match need {
            Need::Call => g.calls,
            Need::Transcription => g.transcribes,
        };
        let able = self.all.iter().filter(|(jid, g)| can(g) && !g.leaves && !tried.contains(jid));
        let far = |g: &Gateway| region.is_some() && g.region.as_deref() != region;
        able.min_by_key(|(_, g)| (far(g), g.participants)).map(|(jid, _)| jid.clone())
    }

    /// How many make calls, how many of all are about to leave, and how many transcribe.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let count = |is: fn(&Gateway) -> bool| self.all.values().filter(|g| is(g)).count();
        (count(|g| g.calls), count(|g| g.calls && g.leaves), count(|g| g.transcribes))
    }
}

#[cfg(test)]
mod tests {
    use jitsi_xmpp::xml::parse;

    use super::*;

    fn gateways(all: &[(usize, &str)]) -> Gateways {
        let mut gateways = Gateways::default();
        for (n, stats) in all {
            let stats: String = stats
                .split_whitespace()
                .map(|s| s.split_once('=').unwrap())
                .map(|(name, value)| format!("<stat name='{name}' value='{value}'/>"))
                .collect();
            let text = format!(
                "<presence xmlns='jabber:client'><stats xmlns='http://jitsi.org/protocol/colibri'>{stats}</stats></presence>"
            );
            gateways.handle_presence(&jid(*n), &parse(text.as_bytes()).unwrap());
        }
        gateways
    }

    fn jid(n: usize) -> FullJid {
        format!("jigasibrewery@internal-muc.meet.jitsi/{n}").parse().unwrap()
    }

    #[test]
    fn one_is_chosen_that_can_and_stays_and_has_room() {
        let all = gateways(&[
            (1, "supports_sip=true participants=7"),
            (2, "supports_sip=true participants=3"),
            (3, "supports_sip=true participants=0 graceful_shutdown=true"),
            (4, "supports_transcription=true participants=0"),
        ]);
        assert_eq!(all.choose(Need::Call, None, &[]), Some(jid(2)));
        assert_eq!(all.choose(Need::Call, None, &[jid(2)]), Some(jid(1)), "not the same again");
        assert_eq!(all.choose(Need::Call, None, &[jid(1), jid(2)]), None);
        assert_eq!(all.choose(Need::Transcription, None, &[]), Some(jid(4)));
        assert_eq!(all.counts(), (3, 1, 1));
    }

    #[test]
    fn one_near_the_meeting_s_bridge_comes_first() {
        let all = gateways(&[
            (1, "supports_sip=true participants=0 region=us"),
            (2, "supports_sip=true participants=9 region=eu"),
        ]);
        assert_eq!(all.choose(Need::Call, Some("eu"), &[]), Some(jid(2)));
        assert_eq!(all.choose(Need::Call, Some("ap"), &[]), Some(jid(1)));
        assert_eq!(all.choose(Need::Call, None, &[]), Some(jid(1)));
    }

    #[test]
    fn so_many_gateways_are_known_and_not_one_more() {
        let all: Vec<_> = (0..=limits::GATEWAYS).map(|n| (n, "supports_sip=true")).collect();
        assert_eq!(gateways(&all).counts().0, limits::GATEWAYS);
    }
}
