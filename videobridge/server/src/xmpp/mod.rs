//! The bridge's XMPP side: one link in, presence with stats and colibri answers out.

mod brewery;
pub(crate) mod links;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use jitsi_xmpp::colibri2::ConferenceModified;
use jitsi_xmpp::{BareJid, Element, StanzaError};
use service::shutdown::told;
use tokio::sync::mpsc;
use xmpp_link::{Link, LinkEvent, LinkFull};

pub(crate) use brewery::Counters;
use brewery::{Brewery, Output};

use crate::control::{Control, Failure};
use crate::limits;
use crate::stats::{LinkState, Reporter};

/// Where and how the bridge publishes itself.
#[derive(Debug, Clone)]
pub struct BreweryConfig {
    /// The brewery rooms.
    pub rooms: Vec<BareJid>,
    /// Our nick in them, unique per bridge.
    pub nick: String,
    /// How often stats are published. Upstream: 5 s.
    pub presence_interval: Duration,
}

/// A request's number and what becomes of it.
type Answering = Pin<Box<dyn Future<Output = (u64, Result<ConferenceModified, StanzaError>)> + Send>>;

/// Runs until the link ends for good or `stop` turns true.
pub(crate) async fn run(
    config: BreweryConfig,
    mut link: Link,
    control: Arc<Control>,
    (reporter, state): (Arc<Reporter>, Arc<LinkState>),
    mut failures: mpsc::Receiver<Failure>,
    stop: tokio::sync::watch::Receiver<bool>,
) {
    let mut brewery = Brewery::new(&config.rooms, &config.nick, reporter.version());
    // Both bounded by the brewery's own limit of requests under way.
    let mut unsent = Unsent::default();
    let mut answers: FuturesOrdered<Answering> = FuturesOrdered::new();
    let mut publish = tokio::time::interval(config.presence_interval);
    publish.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first presence already carries stats, so that a focus can choose this bridge at once.
    let (stats, healthy) = reporter.for_brewery().await;
    brewery.handle_stats(stats, healthy);
    loop {
        tokio::select! {
            event = link.recv() => match event {
                Some(LinkEvent::Up { resumed, .. }) => {
                    state.set_up(true);
                    if !resumed {
                        // Answers to questions of a session that is over.
                        unsent.clear();
                    }
                    brewery.handle_up(resumed);
                    tracing::info!(resumed, "connected to the XMPP server");
                }
                Some(LinkEvent::Stanza(stanza)) => brewery.handle_stanza(&stanza),
                Some(LinkEvent::Checkpoint(_)) => {}
                Some(LinkEvent::Down { reason }) => {
                    state.set_up(false);
                    brewery.handle_down();
                    tracing::warn!(reason, "connection to the XMPP server lost");
                }
                None => return,
            },
            Some(failure) = failures.recv() => brewery.handle_failure(failure),
            () = tokio::time::sleep(limits::LINK_RETRY), if !unsent.is_empty() => {}
            Some((number, result)) = answers.next() => {
                brewery.handle_colibri_answer(number, result.as_ref());
            }
            _ = publish.tick() => {
                let (stats, healthy) = reporter.for_brewery().await;
                brewery.handle_stats(stats, healthy);
            }
            () = told(stop.clone()) => {
                link.close().await;
                return;
            }
        }
        while let Some(output) = brewery.poll_output() {
            match output {
                Output::Send(stanza) => unsent.push(stanza, false),
                Output::Answer(stanza) => unsent.push(stanza, true),
                // Under way when `colibri` returns; answered in the order of the requests.
                Output::Colibri { number, modify, from } => {
                    let work = control.colibri(*modify, Some(from));
                    answers.push_back(Box::pin(async move { (number, work.await) }));
                }
            }
        }
        unsent.flush(|stanza| link.send(stanza), |answer| brewery.handle_answered(answer));
        state.set_joined(brewery.joined());
        state.set_refused(brewery.counters());
    }
}

/// Stanzas that wait for room on the link, in order. The focus waits for answers, so they are kept; of the rest only a
/// few are, as the next stats say the same.
#[derive(Debug, Default)]
struct Unsent {
    waiting: VecDeque<(Element, bool)>,
    /// How many of them are no answers.
    others: usize,
}

impl Unsent {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }

    fn push(&mut self, stanza: Element, is_answer: bool) {
        if !is_answer {
            if self.others >= limits::LINK_BACKLOG {
                tracing::warn!("XMPP link is full; a stanza was dropped");
                return;
            }
            self.others += 1;
        }
        self.waiting.push_back((stanza, is_answer));
    }

    fn flush(
        &mut self,
        mut send: impl FnMut(&Element) -> Result<(), LinkFull>,
        mut answered: impl FnMut(&Element),
    ) {
        while let Some((stanza, is_answer)) = self.waiting.front() {
            if send(stanza) == Err(LinkFull::Full) {
                return;
            }
            if *is_answer {
                answered(stanza);
            } else {
                self.others -= 1;
            }
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_wait_for_a_full_link_in_order_and_the_rest_is_bounded() {
        let stanza = |id: usize| Element::new("iq", jitsi_xmpp::ns::CLIENT).with_attr("id", id.to_string());
        let mut unsent = Unsent::default();
        for id in 0..500 {
            unsent.push(stanza(id), true);
        }
        for _ in 0..=limits::LINK_BACKLOG {
            unsent.push(stanza(1_000), false);
        }
        assert_eq!(unsent.waiting.len(), 500 + limits::LINK_BACKLOG, "one beyond is dropped");
        unsent.flush(|_| Err(LinkFull::Full), |_| panic!("nothing is sent"));
        let (mut room, mut sent, mut answered) = (700, Vec::new(), 0);
        while !unsent.is_empty() {
            room = if room == 0 { 7 } else { 0 };
            let send = |s: &Element| {
                if sent.len() % 8 == 7 && room == 0 {
                    return Err(LinkFull::Full);
                }
                sent.push(s.attr("id").unwrap().parse::<usize>().unwrap());
                Ok(())
            };
            unsent.flush(send, |_| answered += 1);
        }
        assert_eq!((answered, unsent.others), (500, 0));
        assert_eq!(sent[..500], (0..500).collect::<Vec<_>>());
    }
}
