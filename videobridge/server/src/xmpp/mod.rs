//! The bridge's XMPP side: one link in, presence with stats and colibri answers out.

mod brewery;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use jitsi_xmpp::colibri2::ConferenceModified;
use jitsi_xmpp::{BareJid, StanzaError};
use service::shutdown::told;
use xmpp_link::{Link, LinkEvent};

pub(crate) use brewery::Counters;
use brewery::{Brewery, Output};

use crate::control::Control;
use crate::stats::Reporter;

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

/// Runs until the link ends for good or `stop` turns true. `up` is told whether the link is up.
pub(crate) async fn run(
    config: BreweryConfig,
    mut link: Link,
    control: Arc<Control>,
    reporter: Arc<Reporter>,
    stop: tokio::sync::watch::Receiver<bool>,
) {
    let mut brewery = Brewery::new(&config.rooms, &config.nick, reporter.version());
    // Bounded by the brewery's own limit of requests under way.
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
                    reporter.set_link_up(true);
                    brewery.handle_up(resumed);
                    tracing::info!(resumed, "connected to the XMPP server");
                }
                Some(LinkEvent::Stanza(stanza)) => brewery.handle_stanza(&stanza),
                Some(LinkEvent::Down { reason }) => {
                    reporter.set_link_up(false);
                    brewery.handle_down();
                    tracing::warn!(reason, "connection to the XMPP server lost");
                }
                None => return,
            },
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
                Output::Send(stanza) => {
                    if link.send(&stanza).is_err() {
                        tracing::warn!("XMPP link is full; a stanza was dropped");
                    }
                }
                // Under way when `colibri` returns; answered in the order of the requests.
                Output::Colibri { number, modify } => {
                    let work = control.colibri(*modify);
                    answers.push_back(Box::pin(async move { (number, work.await) }));
                }
            }
        }
        reporter.set_rooms_joined(brewery.joined());
        reporter.set_brewery_counters(brewery.counters());
    }
}
