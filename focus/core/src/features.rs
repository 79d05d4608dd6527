//! What a client can do: the features of its disco#info answer in, the set of those that matter out (focus §4.1).

use std::collections::{HashMap, VecDeque};

use jitsi_xmpp::{Element, ns};

use crate::limits;

/// The features that change what a client is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) audio: bool,
    pub(crate) video: bool,
    pub(crate) sctp: bool,
    pub(crate) rtx: bool,
    pub(crate) remb: bool,
    pub(crate) tcc: bool,
    pub(crate) opus_red: bool,
    pub(crate) ssrc_rewriting: bool,
    pub(crate) json_sources: bool,
    pub(crate) audio_mute: bool,
}

impl Features {
    /// What a client gets that does not answer: a valid offer, though a poor one.
    pub(crate) const fn assumed() -> Self {
        Self {
            audio: true,
            video: true,
            sctp: true,
            rtx: false,
            remb: false,
            tcc: false,
            opus_red: false,
            ssrc_rewriting: false,
            json_sources: false,
            audio_mute: false,
        }
    }

    /// All that one bridge can pass on to another (focus §6.8).
    pub(crate) const fn of_a_bridge() -> Self {
        Self { rtx: true, tcc: true, opus_red: true, ..Self::assumed() }
    }

    /// Reads the `<query/>` of a disco#info answer; an empty list counts as no answer.
    pub(crate) fn read(query: &Element) -> Self {
        let vars: Vec<&str> = query
            .children()
            .filter(|c| c.name() == "feature")
            .filter_map(|f| f.attr("var"))
            .take(limits::FEATURES)
            .collect();
        if vars.is_empty() {
            return Self::assumed();
        }
        let has = |var| vars.contains(&var);
        Self {
            audio: has("urn:xmpp:jingle:apps:rtp:audio"),
            video: has("urn:xmpp:jingle:apps:rtp:video"),
            sctp: has(ns::JINGLE_DTLS_SCTP),
            rtx: has("urn:ietf:rfc:4588"),
            remb: has("http://jitsi.org/remb"),
            tcc: has("http://jitsi.org/tcc"),
            opus_red: has("http://jitsi.org/opus-red"),
            ssrc_rewriting: has("http://jitsi.org/ssrc-rewriting-1"),
            json_sources: has("http://jitsi.org/json-encoded-sources"),
            audio_mute: has("http://jitsi.org/protocol/audio-mute"),
        }
    }
}

/// Answers by entity capabilities `node#ver`. Only answers whose hash was checked go in: otherwise one hostile
/// client could lend its features to everybody with the official client (XEP-0115 §5.4).
#[derive(Debug, Default)]
pub(crate) struct CapsCache {
    known: HashMap<String, Features>,
    order: VecDeque<String>,
}

impl CapsCache {
    pub(crate) fn features(&self, key: &str) -> Option<Features> {
        self.known.get(key).copied()
    }

    pub(crate) fn insert(&mut self, key: &str, features: Features) {
        if self.known.insert(key.to_owned(), features).is_none() {
            self.order.push_back(key.to_owned());
        }
        while self.order.len() > limits::CAPS_CACHE {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(before: usize) -> Element {
        let feature = |var: String| Element::inherit("feature").with_attr("var", var);
        Element::new("query", ns::DISCO_INFO)
            .with_children((0..before).map(|n| feature(format!("x{n}"))))
            .with_child(feature("http://jitsi.org/tcc".into()))
    }

    #[test]
    fn so_many_features_are_read_and_not_one_more() {
        assert!(Features::read(&answer(limits::FEATURES - 1)).tcc);
        assert!(!Features::read(&answer(limits::FEATURES)).tcc);
    }

    #[test]
    fn so_many_clients_are_remembered_and_the_oldest_is_forgotten() {
        let mut cache = CapsCache::default();
        for n in 0..limits::CAPS_CACHE {
            cache.insert(&n.to_string(), Features::assumed());
        }
        assert!(cache.features("0").is_some());
        cache.insert("one more", Features::assumed());
        assert!(cache.features("0").is_none() && cache.features("1").is_some());
        assert_eq!((cache.known.len(), cache.order.len()), (limits::CAPS_CACHE, limits::CAPS_CACHE));
    }
}
