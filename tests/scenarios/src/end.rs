//! The end of every scenario: a world in; a panic when something is left of its meetings.

use std::time::Duration;

use crate::world::World;

impl World {
    /// Everybody leaves. Nothing is left but the brewery, and without the roles nothing at all.
    pub fn end(mut self) {
        for n in 0..self.clients.len() {
            self.leave(n);
        }
        self.run(Duration::from_millis(100));
        self.assert_empty();
        self.seconds(20);
        self.assert_empty();
        for n in 0..self.bridges.len() {
            self.kill_bridge(n);
        }
        if self.focus_stream.conn.is_some() {
            self.lose_focus_link();
        }
        self.seconds(16);
        let s = self.server.stats();
        assert_eq!((s.connections, s.sessions, s.hibernating, s.rooms, s.occupants), (0, 0, 0, 0, 0));
        assert!(
            self.focus.poll_timeout().is_none() && self.server.poll_timeout().is_none_or(|t| t > self.now)
        );
    }

    /// Nothing is kept anywhere.
    pub fn assert_empty(&self) {
        let roles = usize::from(self.focus_stream.conn.is_some())
            + self.bridges.iter().filter(|b| b.conn.is_some()).count();
        let s = self.server.stats();
        assert_eq!(
            (s.connections, s.sessions, s.hibernating, s.rooms, s.occupants),
            (roles, roles, 0, usize::from(roles > 0), roles),
            "only the roles in the brewery"
        );
        let f = self.focus.stats();
        assert_eq!((f.conferences, f.participants, f.pending_requests), (0, 0, 0));
        for b in self.bridges.iter().filter(|b| b.alive) {
            assert!(b.shard.is_empty(), "{}: {:?}", b.nick, b.shard.load());
        }
    }
}
