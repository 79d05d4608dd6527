//! An account that may be used no more as it was in; its sessions, and logins with it that are under way, ended, out.

use std::collections::BTreeSet;
use std::time::Instant;

use jitsi_xmpp::BareJid;

use crate::auth::Secret;
use crate::connection::{Conn, Exchange, Framing, Stage};
use crate::counters::Counter;
use crate::output::ConnId;
use crate::server::Server;
use crate::session::SessionId;
use crate::stream::error::StreamError;

/// What has become of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountEnd {
    /// It has another password.
    PasswordChanged,
    /// Nobody may log in with it.
    Disabled,
    /// It is not there any more.
    Deleted,
}

impl AccountEnd {
    // compat: upstream's conditions and texts (test: compat_sessions_end_with_their_account).
    const fn error(self) -> StreamError {
        match self {
            Self::PasswordChanged => StreamError::PasswordChanged,
            Self::Disabled => StreamError::AccountDisabled,
            Self::Deleted => StreamError::AccountDeleted,
        }
    }
}

impl Server {
    /// An account that only the shell knows was changed, so that who has logged in with it is nobody any more. What the configuration
    /// says of an account has the last word.
    pub fn handle_account_ended(&mut self, now: Instant, jid: &BareJid, why: AccountEnd) {
        self.world.now = now;
        if !self.accounts.has(jid) {
            self.end_account(jid, why);
        }
        self.settle();
    }

    /// Accounts that only the shell knows and with which somebody is logged in, or is about to be.
    pub fn accounts_in_use(&self) -> BTreeSet<BareJid> {
        let sessions = self.world.sessions.iter().filter(|(_, s)| !s.identity.anonymous);
        let sessions = sessions.map(|(_, s)| s.bare.clone());
        let logins = self.world.conns.values().filter_map(account_of);
        let logins = logins.filter_map(|(node, domain)| BareJid::from_parts(node, domain).ok());
        sessions.chain(logins).filter(|jid| !self.accounts.has(jid)).collect()
    }

    /// Ends what there is of an account. A role of this process has proved nothing, and stays.
    pub(crate) fn end_account(&mut self, jid: &BareJid, why: AccountEnd) {
        let sessions: Vec<(SessionId, Option<ConnId>)> =
            self.world.sessions.of_account(jid.as_str()).map(|(id, s)| (id, s.conn)).collect();
        self.end_those(sessions, why);
        let about = |c: &Conn| account_of(c) == Some((jid.node().unwrap_or_default(), jid.domain()));
        self.end_logins(about, why);
    }

    /// Ends what came in, or is about to, by a password of everybody's that is none any more.
    pub(crate) fn end_withdrawn(&mut self) {
        let accounts = &self.accounts;
        let gone =
            |domain: &str, secret: Option<&Secret>| secret.is_some_and(|s| !accounts.still_counts(domain, s));
        let sessions = self.world.sessions.iter();
        let sessions = sessions.filter(|(_, s)| gone(s.bare.domain(), s.identity.secret.as_ref()));
        let sessions = sessions.map(|(id, s)| (id, s.conn)).collect();
        let logins = self.world.conns.iter().filter(|(_, c)| match &c.stage {
            Stage::Login { domain, exchange: Exchange::Scram(scram), .. } => {
                gone(domain, scram.secret.as_ref())
            }
            Stage::Reopening(user) | Stage::Binding(user) => gone(&user.domain, user.vouched.secret.as_ref()),
            Stage::Login { .. } | Stage::Opening | Stage::Bound(_) => false,
        });
        let logins: Vec<ConnId> = logins.map(|(conn, _)| *conn).collect();
        self.end_those(sessions, AccountEnd::PasswordChanged);
        for conn in logins {
            self.fail(conn, AccountEnd::PasswordChanged.error());
        }
    }

    fn end_those(&mut self, sessions: Vec<(SessionId, Option<ConnId>)>, why: AccountEnd) {
        for (id, conn) in sessions {
            let inside =
                |c: ConnId| self.world.conns.get(&c).is_some_and(|c| c.framing == Framing::InProcess);
            match conn {
                Some(conn) if inside(conn) => continue,
                Some(conn) => self.fail(conn, why.error()),
                // It cannot be resumed, either.
                None => self.end_session(id),
            }
            self.world.counters.add(Counter::AccountEnded);
        }
    }

    fn end_logins(&mut self, about: impl Fn(&Conn) -> bool, why: AccountEnd) {
        let those = self.world.conns.iter().filter(|(_, c)| about(c));
        let those: Vec<ConnId> = those.map(|(conn, _)| *conn).collect();
        for conn in those {
            self.fail(conn, why.error());
        }
    }
}

/// The account that somebody is about to log in with, whose password or keys were looked at already.
fn account_of(c: &Conn) -> Option<(&str, &str)> {
    match &c.stage {
        Stage::Login { domain, exchange: Exchange::Scram(scram), .. } => {
            Some((scram.node.as_str(), domain.as_str()))
        }
        Stage::Reopening(user) | Stage::Binding(user) => Some((user.node.as_str(), user.domain.as_str())),
        Stage::Login { .. } | Stage::Opening | Stage::Bound(_) => None,
    }
}
