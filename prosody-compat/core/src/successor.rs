//! A server that goes on with the meetings it has while another process takes the new ones, in; which rooms those are, and goodbyes to
//! people who are in none of them, out.

use std::time::Instant;

use jitsi_xmpp::Sensitive;

use crate::connection::Framing;
use crate::output::ConnId;
use crate::server::Server;
use crate::session::{Session, SessionId};
use crate::stream::error::StreamError;
use crate::tenants;

impl Server {
    /// All rooms, as clients write their addresses, but those in which a focus looks after its health.
    pub fn rooms_of_all_hosts(&self) -> Vec<Sensitive<String>> {
        let rooms = self.rooms.iter().filter(|room| !room.is_health_check());
        rooms.map(|room| Sensitive::new(room.shown().to_owned())).collect()
    }

    /// Ends the sessions of people who were in no room at the call before, and are in none now, nor on their way to one that is there: their
    /// clients come again, and are then with the other process. Services stay.
    pub fn handle_idle(&mut self, now: Instant) {
        self.world.now = now;
        let idle: Vec<(SessionId, Option<ConnId>)> =
            self.world.sessions.iter().filter(|(_, s)| self.is_idle(s)).map(|(id, s)| (id, s.conn)).collect();
        let before = std::mem::take(&mut self.world.idle);
        for (id, conn) in idle {
            match conn {
                _ if !before.contains(&id) => self.world.idle.push(id),
                Some(conn) => self.fail(conn, StreamError::SystemShutdown),
                None => self.end_session(id),
            }
        }
        self.settle();
    }

    fn is_idle(&self, session: &Session) -> bool {
        let browser = match session.conn.map(|conn| self.world.conns.get(&conn)) {
            Some(conn) => conn.is_some_and(|c| matches!(c.framing, Framing::WebSocket | Framing::Bosh)),
            // A service that lost its connection is there again soon.
            None => session.identity.anonymous,
        };
        let meant = || tenants::meant(&self.world.config, &session.identity);
        browser
            && session.rooms.is_empty()
            && session.waits_in.is_empty()
            && meant().is_none_or(|room| self.rooms.get(&room).is_none())
    }
}
