//! Datagrams of a shard in; kept until somebody takes them, out.

use std::net::SocketAddr;

use videobridge_core::DatagramSink;

/// Datagrams on their way: to, from, bytes.
#[derive(Debug, Default)]
pub struct Wire(pub Vec<(SocketAddr, SocketAddr, Vec<u8>)>);

impl DatagramSink for Wire {
    fn send(
        &mut self,
        to: SocketAddr,
        from: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        let mut buf = vec![0; max_len];
        let len = fill(&mut buf);
        if len > 0 {
            buf.truncate(len);
            self.0.push((to, from, buf));
        }
    }
}
