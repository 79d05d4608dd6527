//! Services outside that hear conferences (bridge §2.9, §10): what a shard has for them in, a connection for each out.
//!
//! A media thread never waits here: what a service has no room for is lost for it, counted, and for nobody else.

mod counters;
mod link;
mod mediajson;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use jitsi_xmpp::colibri2::Connect;
use jitsi_xmpp::ids::SourceName;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use videobridge_core::{Event, ExportKey, ExportedAudio};

pub(crate) use counters::ServiceCounters;
pub(crate) use link::{delay, open};

use crate::control::ShardPort;
use crate::limits;

/// What a connection has to do.
#[derive(Debug)]
pub(crate) enum ServiceOrder {
    Audio(Box<ExportedAudio>),
    Sources(Vec<SourceName>, Vec<SourceName>),
}

/// Those of one shard.
#[derive(Debug)]
pub(crate) struct Services {
    runtime: Handle,
    /// Back to the shard.
    port: ShardPort,
    open: HashMap<ExportKey, mpsc::Sender<ServiceOrder>>,
    counters: Arc<ServiceCounters>,
}

impl Services {
    /// None yet. `runtime`: where connections are carried.
    pub(crate) fn new(runtime: Handle, port: ShardPort, counters: Arc<ServiceCounters>) -> Self {
        Self { runtime, port, open: HashMap::new(), counters }
    }

    /// What the shard says about them; other events are given back.
    pub(crate) fn handle_event(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::ServiceWanted { service, connect } => self.connect(service, *connect),
            Event::ServiceAudio { service, audio } => self.order(service, ServiceOrder::Audio(audio)),
            Event::ServiceSources { service, exports, requests } => {
                self.order(service, ServiceOrder::Sources(exports, requests));
            }
            // Its task ends when it has said what it had to.
            Event::ServiceLetGo { service } => drop(self.open.remove(&service)),
            other => return Some(other),
        }
        None
    }

    fn connect(&mut self, service: ExportKey, connect: Connect) {
        let (orders, ordered) = mpsc::channel(limits::SERVICE_ORDERS);
        self.open.insert(service, orders);
        self.counters.starts.add();
        let link = link::Link::new(service, connect, self.port.clone(), Arc::clone(&self.counters));
        self.runtime.spawn(link.run(ordered));
    }

    fn order(&self, service: ExportKey, order: ServiceOrder) {
        if let Some(orders) = self.open.get(&service)
            && orders.try_send(order).is_err()
        {
            self.counters.dropped.add();
        }
    }
}
