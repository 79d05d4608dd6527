//! Binding: the login's user and the wanted resource in, a session with its address out.

use jitsi_xmpp::{Condition, Element, FullJid, Jid, StanzaError, iq, ns};

use super::error::StreamError;
use crate::connection::Stage;
use crate::counters::Counter;
use crate::disco;
use crate::identity::{HostId, Identity, Vouched};
use crate::module::Bound;
use crate::output::{CloseReason, ConnId, Output};
use crate::server::Server;
use crate::session::SessionId;
use crate::timers::Timer;

impl Server {
    /// An element between login and bind.
    pub(super) fn binding_element(&mut self, conn: ConnId, e: &Element) {
        let Some(c) = self.world.conns.get(&conn) else { return };
        let Stage::Binding(user) = &c.stage else { return };
        let user = user.clone();
        if e.is("resume", ns::SM) {
            self.resume_element(conn, &user, e);
            return;
        }
        if e.is("enable", ns::SM) {
            self.world.send_raw(conn, super::resumption::unexpected());
            return;
        }
        let bind =
            e.child("bind", ns::BIND).filter(|_| e.is("iq", ns::CLIENT) && e.attr("type") == Some("set"));
        let (Some(bind), Some(id)) = (bind, e.attr("id")) else {
            if e.is_stanza() {
                self.world.send_raw(conn, iq::error(e, &StanzaError::new(Condition::NotAllowed)).to_xml());
            } else {
                self.fail(conn, StreamError::NotAuthorized);
            }
            return;
        };
        let wanted = bind.child("resource", ns::BIND).map(Element::text).filter(|r| !r.is_empty());
        let resource = wanted.unwrap_or_else(|| self.world.entropy.hex(6));
        let jid = Jid::new(Some(&user.node), &user.domain, Some(&resource)).ok().and_then(|j| j.to_full());
        let Some(jid) = jid else {
            self.world.send_raw(conn, iq::error(e, &StanzaError::new(Condition::BadRequest)).to_xml());
            return;
        };
        let peer = c.query.peer;
        // One that is replaced makes room for itself.
        if !self.world.sessions.has_room(peer) && self.world.sessions.by_jid(jid.as_str()).is_none() {
            self.world.counters.add(Counter::SessionsRefused);
            self.world
                .send_raw(conn, iq::error(e, &StanzaError::new(Condition::ResourceConstraint)).to_xml());
            return;
        }
        let session = self.bind(conn, jid.clone(), user.vouched.clone());
        // compat: the push must be the first message of the connection and come before the bind result
        // (test: compat_websocket_frames_are_what_the_client_library_wants).
        let modules = self.hosts.users(user.host).map(|users| users.modules.clone());
        for bound in modules.iter().flat_map(|list| list.iter()).filter_map(|m| m.bound) {
            let list = disco::list(&self.hosts, &self.world.config, user.host, &user.domain);
            let told = bound(&self.world, &Bound { jid: &jid, domain: &user.domain, list });
            self.world.deliver(session, &told);
        }
        let result =
            Element::new("iq", ns::CLIENT).with_attr("type", "result").with_attr("id", id).with_child(
                Element::new("bind", ns::BIND).with_child(Element::inherit("jid").with_text(jid.as_str())),
            );
        self.world.send_raw(conn, result.to_xml());
    }

    /// Makes a session; one that has the same address already is replaced.
    pub(crate) fn bind(&mut self, conn: ConnId, jid: FullJid, vouched: Vouched) -> SessionId {
        if let Some(old) = self.world.sessions.by_jid(jid.as_str()) {
            self.world.counters.add(Counter::Replaced);
            match self.world.sessions.get(old).and_then(|s| s.conn) {
                Some(old_conn) if self.world.conns.contains_key(&old_conn) => {
                    self.fail(old_conn, StreamError::Conflict)
                }
                Some(old_conn) => {
                    self.world.out.push_back(Output::Close { conn: old_conn, reason: CloseReason::Replaced });
                    self.end_session(old);
                }
                None => self.end_session(old),
            }
        }
        let unlimited = self.world.config.unlimited.contains(&jid.to_bare());
        let max_bytes = self.world.config.limits.max_stanza_bytes_unlimited;
        let identity = self.identity(conn, &jid, vouched);
        let id = self.world.sessions.add(jid, conn, identity);
        self.world.timers.cancel(Timer::Login(conn));
        if let Some(c) = self.world.conns.get_mut(&conn) {
            c.stage = Stage::Bound(id);
            if unlimited {
                c.max_bytes = max_bytes;
            }
        }
        id
    }

    /// Who this is: by its account, and by what the URL of its connection says.
    fn identity(&self, conn: ConnId, jid: &FullJid, vouched: Vouched) -> Identity {
        let config = &self.world.config;
        let query = self.world.conns.get(&conn).map(|c| c.query.clone()).unwrap_or_default();
        // Every session has a host with users; a role of the same process with an odd address has no more than that.
        let host = self.hosts.of(config, jid.to_bare().domain()).unwrap_or(HostId(0));
        Identity {
            host,
            anonymous: self.hosts.users(host).is_some_and(|users| users.anonymous),
            admin: self.world.is_admin(&jid.to_bare()),
            unseen: config.unseen(&jid.to_bare()),
            room: query.room,
            tenant: query.prefix,
            region: query.region,
            peer: query.peer,
            token: vouched.token,
            moderates: vouched.moderates,
            secret: vouched.secret,
        }
    }
}
