//! Which thread has which peer in; the kernel told so, now and then, out. The first thread does it for all, as a port has one program.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use videobridge_udp::UdpSocket;
use videobridge_udp::limits::STEERED;

use crate::limits::{STEER_AGAIN, STEER_LEAST};

/// What the kernel is to know.
#[derive(Debug)]
pub(super) struct Steering {
    /// The thread of each (remote, local). Bounded by all threads' endpoints.
    threads: HashMap<(SocketAddr, SocketAddr), u16>,
    /// What the kernel knows is not that any more.
    stale: bool,
    /// Not before.
    next: Option<Instant>,
    /// Peers that fit into a program, as far as is known; 0: the kernel takes none.
    most: usize,
}

impl Steering {
    pub(super) fn new() -> Self {
        Self { threads: HashMap::new(), stale: false, next: None, most: STEERED }
    }

    /// These two are a thread's.
    pub(super) fn bound(&mut self, remote: SocketAddr, local: SocketAddr, thread: usize) {
        let Ok(thread) = u16::try_from(thread) else { return };
        self.stale |= self.threads.insert((remote, local), thread) != Some(thread);
    }

    /// They are nobody's, unless another one has taken them meanwhile.
    pub(super) fn released(&mut self, remote: SocketAddr, local: SocketAddr, thread: usize) {
        let is_its = |owner: &u16| usize::from(*owner) == thread;
        if self.threads.get(&(remote, local)).is_some_and(is_its) {
            self.threads.remove(&(remote, local));
            self.stale = true;
        }
    }

    /// Whether there is something that the kernel should know.
    pub(super) fn is_stale(&self) -> bool {
        self.stale && self.most > 0
    }

    /// Whether it should be told now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.is_stale() && self.next.is_none_or(|next| next <= now)
    }

    /// Tells it, for these sockets' ports.
    pub(super) fn tell<'a>(&mut self, now: Instant, sockets: impl Iterator<Item = &'a UdpSocket>) {
        self.next = Some(now + STEER_AGAIN);
        self.stale = false;
        for socket in sockets {
            let here = |(way, thread): (&(SocketAddr, SocketAddr), &u16)| {
                (way.1 == socket.local_address()).then_some((way.0, *thread))
            };
            let peers = self.threads.iter().filter_map(here).take(self.most);
            if let Err(error) = videobridge_udp::Steering::new(peers).attach(socket) {
                // Perhaps a smaller program is taken.
                self.most = if self.most / 2 >= STEER_LEAST { self.most / 2 } else { 0 };
                self.stale = true;
                if self.most == 0 {
                    tracing::info!(kind = ?error.kind(), "media threads have to hand datagrams over to each other");
                }
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    #[test]
    fn the_kernel_is_told_what_changed_and_not_too_often() {
        let now = Instant::now();
        let mut steering = Steering::new();
        assert!(!steering.is_due(now), "there is nothing to tell");
        steering.bound(at(1), at(2), 1);
        assert!(steering.is_due(now));
        steering.tell(now, std::iter::empty());
        steering.bound(at(1), at(2), 1);
        steering.released(at(1), at(2), 0);
        assert!(!steering.is_due(now + STEER_AGAIN), "that is known, and not the owner's word");
        steering.released(at(1), at(2), 1);
        assert!(!steering.is_due(now + STEER_AGAIN / 2) && steering.is_due(now + STEER_AGAIN));
        assert!(steering.threads.is_empty());
    }

    #[test]
    fn a_kernel_that_takes_no_program_is_asked_for_smaller_ones_and_then_never_again() {
        let alone = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), &Default::default()).unwrap().0;
        let mut steering = Steering::new();
        steering.bound(at(1), alone.local_address(), 1);
        let mut now = Instant::now();
        let mut asked = 0;
        while steering.is_due(now) {
            steering.tell(now, std::iter::once(&alone));
            now += STEER_AGAIN;
            asked += 1;
        }
        assert!((2..10).contains(&asked), "{asked}");
        steering.bound(at(3), alone.local_address(), 1);
        assert!(!steering.is_due(now));
    }
}
