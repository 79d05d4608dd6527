//! What waits for a client's bridge channel: messages in, texts in the order of their importance out. Bounded by itself.
//!
//! Two kinds of messages go to a client. *State* is what it cannot live without and is told once: which slot carries
//! which source, who speaks. It waits until there is room, and what is out of date by then is replaced, so a reader that
//! is slow gets the present state and not its history. *Chatter* is what other clients send; when there is too much of
//! it the oldest is dropped.

use std::collections::VecDeque;
use std::sync::Arc;

use jitsi_xmpp::bridge_channel::BridgeMessage;

use crate::limits::{MAILBOX_CHATTER, MAILBOX_STATE, MAX_MAPPINGS_WAITING};

/// A message for a client.
#[derive(Debug, Clone, PartialEq)]
pub enum ChannelMessage {
    /// Of the bridge. A later one about the same replaces an earlier one that still waits.
    State(Box<BridgeMessage>),
    /// Of another client, ready to send; shared by all who get it.
    Chatter(Arc<str>),
}

/// The messages that wait for one channel.
#[derive(Debug, Default)]
pub struct Mailbox {
    state: VecDeque<BridgeMessage>,
    chatter: VecDeque<Arc<str>>,
    chatter_bytes: usize,
}

/// What was given up to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// Messages of other clients.
    pub chatter: u64,
    /// States. Only a client that reads nothing while hundreds come and go loses any.
    pub state: u64,
}

impl ChannelMessage {
    /// A state.
    pub fn state(message: BridgeMessage) -> Self {
        Self::State(Box::new(message))
    }

    /// As it is sent.
    pub fn text(&self) -> Arc<str> {
        match self {
            Self::State(message) => message.to_json().into(),
            Self::Chatter(text) => Arc::clone(text),
        }
    }
}

impl Mailbox {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.state.is_empty() && self.chatter.is_empty()
    }

    /// Puts a message in.
    pub fn push(&mut self, message: ChannelMessage) -> Lost {
        let mut lost = Lost::default();
        match message {
            ChannelMessage::Chatter(text) => {
                self.chatter_bytes += text.len();
                self.chatter.push_back(text);
                while self.chatter_bytes > MAILBOX_CHATTER
                    && let Some(oldest) = self.chatter.pop_front()
                {
                    self.chatter_bytes -= oldest.len();
                    lost.chatter += 1;
                }
            }
            ChannelMessage::State(message) => {
                let message = *message;
                match self.state.iter_mut().find(|waiting| are_about_the_same(waiting, &message)) {
                    Some(waiting) => replace(waiting, message),
                    None => self.state.push_back(message),
                }
                if self.state.len() > MAILBOX_STATE {
                    self.state.pop_front();
                    lost.state = 1;
                }
            }
        }
        lost
    }

    /// The next text to send: state first, as chatter means nothing without it.
    pub fn pop(&mut self) -> Option<Arc<str>> {
        if let Some(message) = self.state.pop_front() {
            return Some(message.to_json().into());
        }
        let text = self.chatter.pop_front()?;
        self.chatter_bytes -= text.len();
        Some(text)
    }

    /// Forgets everything: the channel is gone, and the next one begins with the full state.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Whether `newer` makes `waiting` superfluous, or can be told together with it.
fn are_about_the_same(waiting: &BridgeMessage, newer: &BridgeMessage) -> bool {
    use BridgeMessage::{
        AddReceiver, EndpointConnectivityStatus, SenderSourceConstraints, SourceVideoType,
        SyntheticSourceSending, VideoSourcesMap,
    };
    match (waiting, newer) {
        (EndpointConnectivityStatus { endpoint: a, .. }, EndpointConnectivityStatus { endpoint: b, .. }) => {
            a == b
        }
        (AddReceiver { source_name: a, .. }, AddReceiver { source_name: b, .. }) => a == b,
        (SourceVideoType { source: a, .. }, SourceVideoType { source: b, .. }) => {
            a.source_name == b.source_name
        }
        (
            SenderSourceConstraints { source_name: a, .. } | SyntheticSourceSending { source_name: a, .. },
            SenderSourceConstraints { source_name: b, .. } | SyntheticSourceSending { source_name: b, .. },
        ) => a == b && std::mem::discriminant(waiting) == std::mem::discriminant(newer),
        (VideoSourcesMap { .. }, VideoSourcesMap { .. })
        | (BridgeMessage::AudioSourcesMap { .. }, BridgeMessage::AudioSourcesMap { .. })
        | (BridgeMessage::ServerHello { .. }, BridgeMessage::ServerHello { .. })
        | (BridgeMessage::ConnectionStats { .. }, BridgeMessage::ConnectionStats { .. })
        | (BridgeMessage::DominantSpeaker { .. }, BridgeMessage::DominantSpeaker { .. })
        | (BridgeMessage::ForwardedSources { .. }, BridgeMessage::ForwardedSources { .. }) => true,
        _ => false,
    }
}

/// Maps hold only what changed, so they are joined slot by slot; everything else is complete in itself.
fn replace(waiting: &mut BridgeMessage, newer: BridgeMessage) {
    match (waiting, newer) {
        (
            BridgeMessage::VideoSourcesMap { mapped_sources: old },
            BridgeMessage::VideoSourcesMap { mapped_sources },
        ) => join(old, mapped_sources, |m| m.ssrc),
        (
            BridgeMessage::AudioSourcesMap { mapped_sources: old },
            BridgeMessage::AudioSourcesMap { mapped_sources },
        ) => join(old, mapped_sources, |m| m.ssrc),
        (waiting, newer) => *waiting = newer,
    }
}

fn join<M, K: PartialEq>(old: &mut Vec<M>, new: Vec<M>, slot: impl Fn(&M) -> K) {
    old.retain(|m| new.iter().all(|n| slot(n) != slot(m)));
    old.extend(new);
    // Slots that nobody has any more are the oldest.
    old.drain(..old.len().saturating_sub(MAX_MAPPINGS_WAITING));
}

#[cfg(test)]
mod tests {
    use jitsi_xmpp::bridge_channel::VideoSourceMapping;
    use jitsi_xmpp::ids::{EndpointId, SourceName, Ssrc};
    use jitsi_xmpp::jingle::VideoType;

    use super::*;

    fn map(slots: &[(u32, &str)]) -> ChannelMessage {
        let one = |(ssrc, source): &(u32, &str)| VideoSourceMapping {
            source: SourceName::new(*source),
            owner: EndpointId::new("a"),
            ssrc: Ssrc(*ssrc),
            rtx: Ssrc(*ssrc + 1),
            video_type: VideoType::Camera,
            mid: None,
        };
        ChannelMessage::state(BridgeMessage::VideoSourcesMap {
            mapped_sources: slots.iter().map(one).collect(),
        })
    }

    fn active(endpoint: &str, active: bool) -> ChannelMessage {
        let endpoint = EndpointId::new(endpoint);
        ChannelMessage::state(BridgeMessage::EndpointConnectivityStatus { endpoint, active })
    }

    fn chatter(len: usize) -> ChannelMessage {
        ChannelMessage::Chatter("x".repeat(len).into())
    }

    fn all(mailbox: &mut Mailbox) -> Vec<String> {
        std::iter::from_fn(|| mailbox.pop()).map(|t| t.to_string()).collect()
    }

    #[test]
    fn a_flood_of_chatter_pushes_out_chatter_and_never_state() {
        let mut mailbox = Mailbox::default();
        assert_eq!(mailbox.push(map(&[(10, "a-v0")])), Lost::default());
        for _ in 0..MAILBOX_CHATTER / 1024 {
            assert_eq!(mailbox.push(chatter(1024)), Lost::default(), "at the limit");
        }
        assert_eq!(mailbox.push(chatter(1)), Lost { chatter: 1, state: 0 }, "one beyond");
        let texts = all(&mut mailbox);
        assert!(texts[0].contains("VideoSourcesMap") && texts[0].contains("a-v0"), "{}", texts[0]);
        assert_eq!(texts.len(), 1 + MAILBOX_CHATTER / 1024);
        assert!(mailbox.is_empty() && mailbox.chatter_bytes == 0);
    }

    #[test]
    fn the_last_state_wins_and_maps_are_joined_slot_by_slot() {
        let mut mailbox = Mailbox::default();
        for message in [
            map(&[(10, "a-v0"), (20, "b-v0")]),
            active("a", false),
            active("b", false),
            map(&[(20, "c-v0"), (30, "d-v0")]),
            active("a", true),
        ] {
            assert_eq!(mailbox.push(message), Lost::default());
        }
        let texts = all(&mut mailbox);
        assert_eq!(texts.len(), 3);
        for (source, there) in [("a-v0", true), ("b-v0", false), ("c-v0", true), ("d-v0", true)] {
            assert_eq!(texts[0].contains(source), there, "{source} in {}", texts[0]);
        }
        assert!(texts[1].contains(r#""endpoint":"a","active":"true""#), "{}", texts[1]);
        assert!(texts[2].contains(r#""endpoint":"b","active":"false""#), "{}", texts[2]);
    }

    #[test]
    fn state_is_bounded_for_a_client_that_reads_nothing_while_others_come_and_go() {
        let mut mailbox = Mailbox::default();
        for n in 0..MAILBOX_STATE {
            assert_eq!(mailbox.push(active(&n.to_string(), true)), Lost::default());
        }
        assert_eq!(mailbox.push(active("one beyond", true)), Lost { chatter: 0, state: 1 });
        mailbox.clear();
        let slot = |n: usize| (u32::try_from(n).unwrap() * 2, "s");
        let at_limit: Vec<_> = (0..MAX_MAPPINGS_WAITING).map(slot).collect();
        mailbox.push(map(&at_limit));
        mailbox.push(map(&[slot(MAX_MAPPINGS_WAITING)]));
        let texts = all(&mut mailbox);
        assert_eq!(texts[0].matches("\"rtx\"").count(), MAX_MAPPINGS_WAITING);
    }
}
