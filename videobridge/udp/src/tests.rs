//! Real sockets on loopback.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::limits::{
    MAX_SEGMENTED_BYTES, MAX_SEGMENTS, QUEUE_BYTES, QUEUE_DATAGRAMS, RECEIVE_BATCH, RECEIVE_BUFFER,
    RECEIVE_BUFFER_GRO, SEND_BATCH,
};
use crate::{Flushed, RecvBatch, SendBatch, SocketOptions, UdpSocket, interface_addresses};

fn open(ip: &str, options: &SocketOptions) -> UdpSocket {
    UdpSocket::bind(SocketAddr::new(ip.parse().unwrap(), 0), options).unwrap().0
}

fn queue(batch: &mut SendBatch, to: &UdpSocket, datagram: &[u8]) -> bool {
    batch.queue(to.local_address(), 0, datagram.len().max(1), &mut |room| {
        room[..datagram.len()].copy_from_slice(datagram);
        datagram.len()
    })
}

fn drain(socket: &UdpSocket, batch: &mut RecvBatch, wanted: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut all = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(5);
    while all.len() < wanted && Instant::now() < deadline {
        match batch.receive(socket) {
            Ok(_) => batch.for_each(|from, data| all.push((from, data.to_vec()))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
    all
}

/// Sizes that make trains, break them, and end them with a shorter one.
const SIZES: [usize; 9] = [1200, 1200, 1200, 700, 1200, 1201, 1201, 1, 1400];

#[test]
fn datagrams_arrive_whole_in_order_and_with_their_sender() {
    for ip in ["127.0.0.1", "::1"] {
        for (gso, gro) in [(false, false), (true, false), (true, true)] {
            let options = SocketOptions { gso, gro, ..SocketOptions::default() };
            let mut sockets = [open(ip, &options)];
            let receivers = [open(ip, &options), open(ip, &options)];
            let mut batch = SendBatch::new();
            // Interleaved, as a forwarded stream is.
            for (i, size) in SIZES.into_iter().enumerate() {
                for receiver in &receivers {
                    assert!(queue(&mut batch, receiver, &vec![i as u8; size]));
                }
            }
            let flushed = batch.flush(&mut sockets);
            assert_eq!((flushed.sent, flushed.dropped_full, flushed.dropped_error), (18, 0, 0));
            // 1200 1200 1200 700 | 1200 | 1201 1201 1 | 1400
            assert_eq!(flushed.messages, if gso { 8 } else { 18 }, "gso {gso}");
            assert!(batch.is_empty());
            let mut received = if gro { RecvBatch::with_gro() } else { RecvBatch::new() };
            for receiver in &receivers {
                let all = drain(receiver, &mut received, SIZES.len());
                assert!(all.iter().all(|(from, _)| *from == sockets[0].local_address()));
                let all: Vec<_> = all.into_iter().map(|(_, data)| (data[0] as usize, data.len())).collect();
                assert_eq!(
                    all,
                    SIZES.into_iter().enumerate().collect::<Vec<_>>(),
                    "{ip} gso {gso} gro {gro}"
                );
            }
        }
    }
}

#[test]
fn a_train_is_cut_at_the_limit_of_segments() {
    let options = SocketOptions::default();
    let mut sockets = [open("127.0.0.1", &options)];
    let receiver = open("127.0.0.1", &options);
    for (datagrams, messages) in [(MAX_SEGMENTS, 1), (MAX_SEGMENTS + 1, 2)] {
        let mut batch = SendBatch::new();
        for _ in 0..datagrams {
            queue(&mut batch, &receiver, &[7; 100]);
        }
        assert_eq!(
            batch.flush(&mut sockets),
            Flushed { sent: datagrams as u64, messages, ..Flushed::default() }
        );
        assert_eq!(drain(&receiver, &mut RecvBatch::new(), datagrams).len(), datagrams);
    }
}

#[test]
fn a_train_is_cut_at_the_limit_of_bytes() {
    let options = SocketOptions::default();
    let mut sockets = [open("127.0.0.1", &options)];
    let receiver = open("127.0.0.1", &options);
    let len = 1_400;
    let most = MAX_SEGMENTED_BYTES / len;
    assert!(most < MAX_SEGMENTS);
    for (datagrams, messages) in [(most, 1), (most + 1, 2)] {
        let mut batch = SendBatch::new();
        for _ in 0..datagrams {
            assert!(queue(&mut batch, &receiver, &vec![7; len]));
        }
        let flushed = batch.flush(&mut sockets);
        assert_eq!((flushed.messages, flushed.dropped_error), (messages, 0));
        drain(&receiver, &mut RecvBatch::new(), datagrams);
    }
}

#[test]
fn so_many_messages_go_in_one_call_and_more_in_the_next() {
    let options = SocketOptions { gso: false, ..SocketOptions::default() };
    let mut sockets = [open("127.0.0.1", &options)];
    let receiver = open("127.0.0.1", &options);
    for messages in [SEND_BATCH, SEND_BATCH + 1] {
        let mut batch = SendBatch::new();
        (0..messages).for_each(|_| assert!(queue(&mut batch, &receiver, b"x")));
        let flushed = batch.flush(&mut sockets);
        assert_eq!((flushed.sent, flushed.messages), (messages as u64, messages as u64));
        assert_eq!(drain(&receiver, &mut RecvBatch::new(), messages).len(), messages);
    }
}

#[test]
fn the_longest_datagram_there_is_arrives_whole_where_trains_do() {
    const { assert!(RECEIVE_BUFFER_GRO >= MAX_SEGMENTED_BYTES) };
    let options = SocketOptions { gro: true, ..SocketOptions::default() };
    let mut sockets = [open("127.0.0.1", &options)];
    let receiver = open("127.0.0.1", &options);
    let mut batch = SendBatch::new();
    assert!(queue(&mut batch, &receiver, &vec![7; MAX_SEGMENTED_BYTES]));
    assert_eq!(batch.flush(&mut sockets).sent, 1);
    let got = drain(&receiver, &mut RecvBatch::with_gro(), 1);
    assert_eq!(got.iter().map(|(_, data)| data.len()).collect::<Vec<_>>(), [MAX_SEGMENTED_BYTES]);
}

#[test]
fn a_full_queue_refuses_without_asking_for_the_datagram() {
    let to: SocketAddr = "127.0.0.1:9".parse().unwrap();
    let mut batch = SendBatch::new();
    for _ in 0..QUEUE_DATAGRAMS {
        assert!(batch.queue(to, 0, 10, &mut |_| 1));
    }
    assert!(!batch.queue(to, 0, 10, &mut |_| panic!("no room")));
    let mut batch = SendBatch::new();
    assert!(batch.has_room(QUEUE_BYTES) && !batch.has_room(QUEUE_BYTES + 1));
    assert!(batch.queue(to, 0, 10, &mut |_| 0), "nothing to send after all");
    assert!(batch.is_empty());
}

#[test]
fn one_receiver_that_can_not_be_reached_does_not_harm_the_others() {
    let mut sockets = [open("127.0.0.1", &SocketOptions::default())];
    let receiver = open("127.0.0.1", &SocketOptions::default());
    let mut batch = SendBatch::new();
    // From loopback there is no way to a public address.
    for _ in 0..3 {
        batch.queue("203.0.113.1:9".parse().unwrap(), 0, 1, &mut |room| room.len());
        queue(&mut batch, &receiver, b"x");
    }
    let flushed = batch.flush(&mut sockets);
    assert_eq!((flushed.sent, flushed.dropped_error), (3, 3));
    assert_eq!(drain(&receiver, &mut RecvBatch::new(), 3).len(), 3);
}

#[test]
fn too_long_datagrams_are_dropped_and_counted_and_full_batches_continue() {
    let options = SocketOptions { gso: false, ..SocketOptions::default() };
    let mut sockets = [open("127.0.0.1", &options)];
    let receiver = open("127.0.0.1", &options);
    let mut batch = SendBatch::new();
    for size in [RECEIVE_BUFFER, RECEIVE_BUFFER + 1] {
        queue(&mut batch, &receiver, &vec![0; size]);
    }
    for _ in 0..=RECEIVE_BATCH {
        queue(&mut batch, &receiver, b"x");
    }
    batch.flush(&mut sockets);
    let mut received = RecvBatch::new();
    assert_eq!(drain(&receiver, &mut received, RECEIVE_BATCH + 2).len(), RECEIVE_BATCH + 2);
    assert_eq!(received.truncated(), 1);
    assert_eq!(received.receive(&receiver).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn what_the_kernel_drops_is_counted() {
    let options = SocketOptions { receive_buffer: 4096, gso: false, ..SocketOptions::default() };
    let mut sockets = [open("127.0.0.1", &options)];
    let receiver = open("127.0.0.1", &options);
    let mut batch = SendBatch::new();
    for _ in 0..200 {
        queue(&mut batch, &receiver, &[0; 1000]);
    }
    batch.flush(&mut sockets);
    let mut received = RecvBatch::new();
    let got = drain(&receiver, &mut received, 1).len();
    queue(&mut batch, &receiver, b"after");
    batch.flush(&mut sockets);
    drain(&receiver, &mut received, 1);
    assert!(got < 200);
    assert!(received.kernel_drops() > 0, "the counter comes with the next datagram");
}

#[test]
fn ports_are_shared_only_on_purpose_and_wildcards_are_refused() {
    let alone = open("127.0.0.1", &SocketOptions::default());
    let again = UdpSocket::bind(alone.local_address(), &SocketOptions::default());
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let options = SocketOptions { reuse_port: true, ..SocketOptions::default() };
    let one = open("127.0.0.1", &options);
    assert!(UdpSocket::bind(one.local_address(), &options).is_ok());
    let wildcard = UdpSocket::bind("0.0.0.0:0".parse().unwrap(), &options);
    assert_eq!(wildcard.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn smaller_buffers_than_wanted_are_reported() {
    let options = SocketOptions { receive_buffer: 1 << 30, ..SocketOptions::default() };
    let (_, shortage) = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &options).unwrap();
    let shortage = shortage.expect("nobody gets a gigabyte");
    assert_eq!(shortage.receive.0, 1 << 30);
    assert!(shortage.receive.1 < 1 << 30);
    let small = SocketOptions { receive_buffer: 16_384, send_buffer: 16_384, ..SocketOptions::default() };
    assert_eq!(UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &small).unwrap().1, None);
}

#[test]
fn loopback_is_among_the_interfaces() {
    let all = interface_addresses().unwrap();
    assert!(all.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)), "{all:?}");
}
