//! Forwarding a packet must not allocate: counted by the allocator, over the whole way from datagram to datagram.
//! A binary of its own, because a process has one allocator.
// The helpers are shared with the other test binary, which uses all of them.
#![allow(dead_code)]

#[path = "bridge/peer.rs"]
mod peer;
#[path = "bridge/world.rs"]
mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Duration;

use videobridge_core::DatagramSink;

use peer::Options;
use world::{World, audio_source, bridge, endpoint, request, rtp};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A sink with one buffer, as a shell's slab.
struct Slab {
    buf: [u8; 2048],
    datagrams: usize,
}

impl DatagramSink for Slab {
    fn send(
        &mut self,
        _: SocketAddr,
        _: SocketAddr,
        max_len: usize,
        fill: &mut dyn FnMut(&mut [u8]) -> usize,
    ) {
        self.datagrams += usize::from(fill(&mut self.buf[..max_len]) > 0);
    }
}

#[test]
fn a_forwarded_packet_costs_no_allocation() {
    let mut world = World::new();
    for id in ["aaaa0001", "aaaa0002", "aaaa0003"] {
        world.join(id, Options::default());
    }
    world.connect();
    let mut update = endpoint("aaaa0001");
    update.sources = Some(vec![audio_source("aaaa0001-a0", 1001)]);
    world.modify(request(false, vec![update])).unwrap();

    // Warm-up: SSRC tables, histories, timers.
    for seq in 1..301 {
        world.peers[0].send_rtp(&rtp(1001, seq, &[3; 80]), 12, u64::from(seq));
        world.run(Duration::from_millis(20));
    }
    let mut packets: Vec<_> = (301..601)
        .map(|seq| world.peers[0].protect_rtp(&rtp(1001, seq, &[3; 80]), 12, u64::from(seq)))
        .collect();
    let mut slab = Slab { buf: [0; 2048], datagrams: 0 };
    let src = world.peers[0].address;
    let mut worst = 0;
    let mut total = 0;
    for packet in &mut packets {
        world.now += Duration::from_millis(20);
        world.shard.handle_timeout(world.now, &mut slab);
        let (before, sent) = (ALLOCATIONS.get(), slab.datagrams);
        world.shard.handle_datagram(world.now, src, bridge(), packet, &mut slab);
        let allocations = ALLOCATIONS.get() - before;
        assert_eq!(slab.datagrams, sent + 2, "both receivers get it");
        worst = worst.max(allocations);
        total += allocations;
    }
    assert_eq!((worst, total), (0, 0), "allocations: worst packet, all 300 packets");
}
