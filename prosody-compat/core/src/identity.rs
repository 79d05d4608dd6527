//! Who a session is: what its login and the URL of its connection said in, one shared record that every rule asks out.

use std::sync::Arc;

use budget::Network;
use jitsi_xmpp::Sensitive;
use prosody_token::{Claims, Features};

use crate::auth::Secret;
use crate::hosts::Hosts;

/// A local domain, by its place in the table of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HostId(pub(crate) usize);

/// What is known of somebody who is logged in. It never comes from a stanza.
#[derive(Debug)]
pub(crate) struct Identity {
    /// Where it logged in.
    pub(crate) host: HostId,
    /// Has no account: the name means nothing.
    pub(crate) anonymous: bool,
    /// A role's account: owner of every room, may create rooms.
    pub(crate) admin: bool,
    /// Takes part and is not seen: a service's account.
    pub(crate) unseen: Option<Unseen>,
    /// The room that it said it was heading to, as its URL spells it.
    pub(crate) room: Option<Sensitive<String>>,
    /// The tenant whose page it came from.
    pub(crate) tenant: Option<Sensitive<String>>,
    /// Region of the server that it came through, from the proxy.
    pub(crate) region: Option<String>,
    /// The network that it came from, for budgets; `None`: a role of this process.
    pub(crate) peer: Option<Network>,
    /// What a token vouches for, if it came with one.
    pub(crate) token: Option<Arc<Claims>>,
    /// Whether it moderates meetings, where whoever has its accounts says so.
    pub(crate) moderates: Option<bool>,
    /// Everybody's password, by which it came in: it ends with that.
    pub(crate) secret: Option<Secret>,
}

/// What whoever vouches for somebody says of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vouched {
    /// Its token.
    pub(crate) token: Option<Arc<Claims>>,
    /// Whether it moderates, where whoever has its account says so.
    pub(crate) moderates: Option<bool>,
    /// Everybody's password, by which it came in.
    pub(crate) secret: Option<Secret>,
}

/// A service that joins as people do, and that clients hide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// Records or streams.
    Recorder,
    /// Writes down what is said.
    Transcriber,
}

impl Identity {
    /// The same person, for whom another token vouches.
    pub(crate) fn with_token(&self, token: Arc<Claims>) -> Self {
        self.with(Some(token), self.moderates)
    }

    /// The same person, who has logged in anew.
    pub(crate) fn with_login(&self, vouched: &Vouched) -> Self {
        let secret = vouched.secret.clone().or_else(|| self.secret.clone());
        Self { secret, ..self.with(self.token.clone(), vouched.moderates.or(self.moderates)) }
    }

    fn with(&self, token: Option<Arc<Claims>>, moderates: Option<bool>) -> Self {
        Self {
            host: self.host,
            anonymous: self.anonymous,
            admin: self.admin,
            unseen: self.unseen,
            room: self.room.clone(),
            tenant: self.tenant.clone(),
            region: self.region.clone(),
            peer: self.peer,
            token,
            moderates,
            secret: self.secret.clone(),
        }
    }

    /// The token, where it is one of the tenant whose page somebody came from: only there it makes moderators.
    pub(crate) fn own_token<'a>(&'a self, hosts: &Hosts) -> Option<&'a Claims> {
        let token = self.token.as_deref()?;
        let prefix = self.tenant.as_ref().map(|t| t.reveal().as_str());
        let foreign = hosts.token_rules(self.host).is_some_and(|rules| rules.is_foreign(token, prefix));
        (!foreign).then_some(token)
    }

    /// What it may do, if a token says so.
    pub(crate) fn features(&self) -> Option<&Features> {
        self.token.as_ref()?.features.as_ref()
    }
}
