//! What the shell counts, by reason: atomics written by connections, plain numbers read by the admin's page.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counted by the shell since the start. All of them only rise.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct ShellCounters { $($(#[$doc])* pub $name: u64,)* }

        impl ShellCounters {
            /// Name and value of each, for the metrics.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }

        #[derive(Debug, Default)]
        pub(crate) struct Tally { $(pub(crate) $name: AtomicU64,)* }

        impl Tally {
            pub(crate) fn read(&self) -> ShellCounters {
                ShellCounters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// WebSockets opened.
    websocket_opened,
    /// BOSH sessions opened.
    bosh_opened,
    /// TCP connections opened.
    tcp_opened,
    /// In-process connections attached.
    in_process_opened,
    /// Connections refused because the limit is reached.
    refused_full,
    /// Connections refused because their address has as many as it may.
    refused_address,
    /// Upgrade requests without the subprotocol `xmpp`, or malformed.
    websocket_refused,
    /// Binary WebSocket frames; the stream ended.
    websocket_binary,
    /// WebSocket text that does not begin like XML; the stream ended.
    websocket_not_xml,
    /// WebSocket messages over the limit; the stream ended.
    websocket_too_large,
    /// WebSocket protocol violations.
    websocket_protocol,
    /// WebSockets silent for too long.
    websocket_dead,
    /// Clients that read too slowly and were dropped.
    slow_reader,
    /// BOSH requests that are not a `<body/>`.
    bosh_bad_request,
    /// BOSH requests over the size limit.
    bosh_too_large,
    /// BOSH requests for a session that is not there.
    bosh_unknown_sid,
    /// BOSH sessions ended because a request id was out of the window.
    bosh_rid,
    /// BOSH sessions ended because nobody asked any more.
    bosh_inactive,
    /// BOSH sessions ended because of too many idle polls.
    bosh_overactive,
    /// BOSH sessions refused or ended for another reason of the client's making.
    bosh_refused,
    /// TCP streams that broke or exceeded a limit.
    tcp_broken,
    /// TLS handshakes that failed.
    tls_failed,
    /// Reads delayed by the rate limit.
    rate_delayed,
    /// Inputs that made the server panic; the connection was dropped. A bug each.
    panics,
}

pub(crate) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
