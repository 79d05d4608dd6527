//! Where a shard writes its datagrams: queued in one slab, sent by the thread's own sockets.

use std::net::SocketAddr;

use videobridge_core::{DatagramSink, PartKey};
use videobridge_udp::{Flushed, SendBatch, UdpSocket};

use super::connections::Connections;
use super::parts::Parts;
use crate::streams::Stream;

/// The thread's sockets and what waits to leave through them.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) sockets: Vec<UdpSocket>,
    batch: SendBatch,
    flushed: Flushed,
    pub(super) connections: Connections,
    pub(super) parts: Parts,
}

impl Outbox {
    pub(super) fn new(sockets: Vec<UdpSocket>, parts: Parts) -> Self {
        Self {
            sockets,
            batch: SendBatch::new(),
            flushed: Flushed::default(),
            connections: Connections::default(),
            parts,
        }
    }

    /// Another socket to send through.
    pub(super) fn add(&mut self, socket: UdpSocket) {
        self.sockets.push(socket);
    }

    /// Closes the socket with this index; the ones behind it move up.
    pub(super) fn remove(&mut self, at: usize) {
        // What waits names sockets by their index.
        self.flush();
        if at < self.sockets.len() {
            self.sockets.remove(at);
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let flushed = self.batch.flush(&mut self.sockets);
        self.flushed.sent += flushed.sent;
        self.flushed.messages += flushed.messages;
        self.flushed.dropped_full += flushed.dropped_full;
        self.flushed.dropped_error += flushed.dropped_error;
    }

    /// What was sent since the last call.
    pub(super) fn take_flushed(&mut self) -> Flushed {
        std::mem::take(&mut self.flushed)
    }
}

impl DatagramSink for Outbox {
    fn send(
        &mut self,
        to: SocketAddr,
        from: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        // A handful of addresses: a search is faster than a map.
        let Some(socket) = self.sockets.iter().position(|s| s.local_address() == from) else { return };
        if !self.batch.has_room(max_len) {
            self.flush();
        }
        self.batch.queue(to, socket, max_len, fill);
    }

    fn send_framed(
        &mut self,
        to: SocketAddr,
        from: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        self.connections.send(Stream { remote: to, local: from }, max_len, fill);
    }

    fn send_to_part(&mut self, shard: u16, part: PartKey, is_rtcp: bool, parts: &[&[u8]]) {
        self.parts.packet(shard, part, is_rtcp, parts);
    }

    fn has_room_at(&self, shard: u16) -> bool {
        self.parts.has_room_at(shard)
    }
}
