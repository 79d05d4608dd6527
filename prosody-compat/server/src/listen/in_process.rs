//! A role of the same process: stanzas over channels, already authenticated by the wiring.

use std::sync::Arc;

use prosody_core::{SessionQuery, Transport};
use xmpp_link::ServerEnd;

use crate::connection::{Connection, Order};
use crate::counters::bump;
use crate::owner::Shared;

/// Attaches a link; it is served until either side ends.
pub(crate) async fn attach(shared: &Arc<Shared>, end: ServerEnd) {
    let transport = Transport::InProcess(end.jid.clone());
    let connection = Connection::open(shared, shared.own_place(), transport, SessionQuery::default()).await;
    bump(&shared.tally.in_process_opened);
    tokio::spawn(carry(connection, end));
}

async fn carry(mut connection: Connection, mut end: ServerEnd) {
    loop {
        tokio::select! {
            stanza = end.from_client.recv() => match stanza {
                Some(stanza) => connection.frame(stanza).await,
                None => return,
            },
            order = connection.order() => match order {
                // A full channel holds this task up, not the server: what waits is bounded by the connection. What comes
                // the other way is still taken, or the two would wait for each other.
                Some(Order::Send(frame)) => {
                    let dropped = connection.dropped();
                    tokio::pin!(dropped);
                    loop {
                        tokio::select! {
                            place = end.to_client.reserve() => {
                                let Ok(place) = place else { return };
                                place.send(frame.to_bytes());
                                break;
                            }
                            stanza = end.from_client.recv() => match stanza {
                                Some(stanza) => connection.frame(stanza).await,
                                None => return,
                            },
                            () = &mut dropped => return,
                        }
                    }
                }
                Some(Order::Close(reason)) => {
                    tracing::info!(reason = reason.reason(), "in-process link closed");
                    return;
                }
                Some(Order::StartTls | Order::ResetStream | Order::StanzaLimit(_) | Order::Pause(_)) => {}
                None => return,
            },
        }
    }
}
