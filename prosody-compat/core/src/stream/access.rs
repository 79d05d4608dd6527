//! Somebody whose token is good in; whether it comes in, once the access manager has been asked, out.

use std::sync::Arc;

use prosody_token::Claims;

use super::login::{LoginError, Step};
use crate::connection::{Exchange, Stage};
use crate::counters::Counter;
use crate::identity::HostId;
use crate::modules::muc_auth_ban::{self, Access};
use crate::output::{Answer, ConnId, QuestionId};
use crate::server::Server;

impl Server {
    /// Whoever has this token comes in, unless it is shut out.
    pub(super) fn let_in(
        &mut self,
        conn: ConnId,
        host: HostId,
        claims: Arc<Claims>,
    ) -> Result<Step, LoginError> {
        let named =
            self.hosts.users(host).is_some_and(|u| u.modules.iter().any(|m| m.name == muc_auth_ban::NAME));
        let domain = self.hosts.get(host).map_or("", |h| &h.domain);
        let managers = &self.world.config.access_managers;
        let Some(manager) = managers.iter().find(|m| named && m.domain == domain).cloned() else {
            return Ok(self.anonymous(conn, Some(claims)));
        };
        match muc_auth_ban::ask(&mut self.world, &manager, conn, &claims) {
            Access::Granted => Ok(self.anonymous(conn, Some(claims))),
            Access::Banned => Err(self.banned()),
            Access::TooMany => Err(LoginError::TemporaryAuthFailure),
            Access::Asked(id) => {
                self.exchange(conn, Exchange::Access(id, claims));
                Ok(Step::Wait)
            }
        }
    }

    /// What came of a question; `false`: it was none of these.
    pub(crate) fn access_answer(&mut self, id: QuestionId, answer: &Answer) -> bool {
        let Some((conn, banned)) = muc_auth_ban::hear(&mut self.world, id, answer) else { return false };
        let Some(c) = self.world.conns.get_mut(&conn) else { return true };
        let Stage::Login { exchange, .. } = &mut c.stage else { return true };
        let claims = match std::mem::take(exchange) {
            Exchange::Access(asked, claims) if asked == id => claims,
            // Given up; what the client does now is about something else.
            other => {
                *exchange = other;
                return true;
            }
        };
        let step = if banned { Err(self.banned()) } else { Ok(self.anonymous(conn, Some(claims))) };
        self.went(conn, step);
        true
    }

    fn banned(&mut self) -> LoginError {
        self.world.counters.add(Counter::AccessRefused);
        LoginError::Banned
    }
}
