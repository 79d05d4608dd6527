//! Datagrams of a shard in; kept until somebody takes them, out.

use std::net::SocketAddr;

use videobridge_core::DatagramSink;

/// Datagrams on their way, to, from, bytes; and packets over connections, the same.
#[derive(Debug, Default)]
pub struct Wire(pub Vec<Sent>, pub Vec<Sent>);

/// To, from, bytes.
pub type Sent = (SocketAddr, SocketAddr, Vec<u8>);

fn written(max_len: usize, fill: &mut dyn FnMut(&mut [u8]) -> usize) -> Option<Vec<u8>> {
    let mut buf = vec![0; max_len];
    let len = fill(&mut buf);
    buf.truncate(len);
    (len > 0).then_some(buf)
}

impl DatagramSink for Wire {
    fn send(
        &mut self,
        to: SocketAddr,
        from: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        self.0.extend(written(max_len, fill).map(|bytes| (to, from, bytes)));
    }

    fn send_framed(
        &mut self,
        to: SocketAddr,
        from: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        self.1.extend(written(max_len, fill).map(|bytes| (to, from, bytes)));
    }
}
