//! Channels to other bridges that we open (bridge §9.1): what a shard wants in, a WebSocket for each out.
//!
//! Whoever is told an address dials it, and again when the connection breaks, until the relay is gone. For the shard it is a bridge
//! channel as one that was opened from outside.

use std::collections::HashMap;
use std::sync::Arc;

use jitsi_xmpp::Sensitive;
use jitsi_xmpp::ids::EndpointId;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use videobridge_core::Event;

use crate::control::Control;
use crate::http::colibri_ws::carry;
use crate::limits;
use crate::services::{delay, open};

/// Those of one shard.
#[derive(Debug)]
pub(crate) struct Dialing {
    control: Arc<Control>,
    /// By conference and relay; who dials stops when its end is dropped.
    open: HashMap<(String, EndpointId), oneshot::Sender<()>>,
}

/// One that is wanted.
#[derive(Debug)]
struct Wanted {
    conference: String,
    relay: EndpointId,
    /// Where.
    url: Sensitive<String>,
    /// Ours, by which the shard knows for whom it is.
    password: Sensitive<String>,
}

impl Dialing {
    pub(crate) fn new(control: Arc<Control>) -> Self {
        Self { control, open: HashMap::new() }
    }

    /// What the shard says about them; other events are given back.
    pub(crate) fn handle_event(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::RelayChannelWanted { conference, relay, url, password } => {
                let (stop, stopped) = oneshot::channel();
                self.open.insert((conference.clone(), relay.clone()), stop);
                let wanted = Wanted { conference, relay, url, password };
                tokio::spawn(wanted.run(Arc::clone(&self.control), stopped));
                None
            }
            Event::RelayChannelLetGo { conference, relay } => {
                self.open.remove(&(conference, relay));
                None
            }
            other => Some(other),
        }
    }
}

impl Wanted {
    async fn run(self, control: Arc<Control>, mut stopped: oneshot::Receiver<()>) {
        let mut attempt = 0;
        loop {
            tokio::select! {
                _ = &mut stopped => return,
                () = tokio::time::sleep(delay(attempt)) => {}
            }
            attempt += 1;
            let opened = tokio::select! {
                _ = &mut stopped => return,
                opened = timeout(limits::SERVICE_CONNECT, open(&self.url, &[], limits::SOCKET_MESSAGE)) => opened,
            };
            let Ok(Ok(stream)) = opened else {
                tracing::warn!("the channel of another bridge cannot be opened");
                continue;
            };
            let (conference, relay) = (self.conference.clone(), self.relay.clone());
            let Some(socket) = control.socket_open(conference, relay, self.password.clone()).await else {
                // The relay is gone: soon nobody wants this any more.
                continue;
            };
            let since = Instant::now();
            // When the relay goes the shard closes it, with a word to the other end.
            let end = carry(&control, &socket, stream).await;
            control.count_end(end);
            control.socket_closed(&socket).await;
            if since.elapsed() >= limits::SERVICE_STABLE {
                attempt = 0;
            }
        }
    }
}
