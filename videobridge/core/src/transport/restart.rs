//! The ICE side of one endpoint through its restarts: what [`Ice`] takes, and requests for a restart, in; what [`Ice`] says out.
//!
//! A restart is a second agent beside the one that carries media. When its pair is nominated media goes there, without a gap: keys,
//! data channel and whatever was negotiated stay. The old agent goes on answering for a while, as the peer may notice later.

use std::net::SocketAddr;
use std::time::Instant;

use jitsi_xmpp::Entropy;
use smallvec::SmallVec;

use super::ice::{Consent, Ice};
use super::path::{Carrier, Path};
use crate::limits;

/// All agents of one endpoint.
#[derive(Debug)]
pub(crate) struct Agents {
    current: Ice,
    controlling: bool,
    /// Restarts so far.
    generation: u32,
    pending: Option<Pending>,
    /// The agent before the last restart, and how long it is kept.
    previous: Option<(Ice, Instant)>,
    /// User names of agents that are gone and are still known outside.
    retired: SmallVec<[String; 2]>,
    outcome: Option<Outcome>,
}

/// A restart whose pair is not nominated yet.
#[derive(Debug)]
struct Pending {
    ice: Ice,
    generation: u32,
    /// Given up then.
    until: Instant,
    /// The peer has told its credentials.
    answered: bool,
}

/// What a request for a restart led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// The first connection is still being made: its credentials are as good as new.
    NotNeeded,
    /// The peer has not answered to one that it was offered: that one stands.
    Offered(u32),
    Began(u32),
    /// The same, in place of one that was under way.
    Superseded(u32),
    /// So many numbers there are not.
    Refused,
}

/// How a restart ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Media goes over the new pair. `gap`: the old one had been silent.
    Restarted { gap: bool },
    /// The peer was not found in time; the old pair stays.
    Failed,
}

impl Agents {
    /// With the first agent.
    pub(crate) fn new(ice: Ice, controlling: bool) -> Self {
        Self {
            current: ice,
            controlling,
            generation: 0,
            pending: None,
            previous: None,
            retired: SmallVec::new(),
            outcome: None,
        }
    }

    /// The agent that carries media.
    pub(crate) fn current(&self) -> &Ice {
        &self.current
    }

    /// The same; what the peer says without naming a restart is for this one.
    pub(crate) fn current_mut(&mut self) -> &mut Ice {
        &mut self.current
    }

    /// The peer asks for new credentials. With [`Restart::Offered`] and further they are those of [`Agents::offered`].
    pub(crate) fn restart(
        &mut self,
        now: Instant,
        shard: u16,
        sockets: impl Iterator<Item = (Carrier, SocketAddr)>,
        entropy: &mut dyn Entropy,
    ) -> Restart {
        if self.current.consent() == Consent::NotYet {
            return Restart::NotNeeded;
        }
        if let Some(pending) = self.pending.as_ref().filter(|p| !p.answered) {
            return Restart::Offered(pending.generation);
        }
        let Some(generation) = self.generation.checked_add(1) else { return Restart::Refused };
        self.generation = generation;
        let ice = Ice::new(now, shard, sockets, self.controlling, entropy);
        let until = now + limits::ICE_RESTART_TIMEOUT;
        let old = self.pending.replace(Pending { ice, generation, until, answered: false });
        match old {
            Some(old) => {
                self.retire(&old.ice);
                Restart::Superseded(generation)
            }
            None => Restart::Began(generation),
        }
    }

    /// Our credentials of the restart under way.
    pub(crate) fn offered(&self) -> Option<(&str, &str)> {
        self.pending.as_ref().map(|p| p.ice.local_credentials())
    }

    /// The peer's side of restart `generation`. Those of others, and repetitions, are nobody's business any more.
    pub(crate) fn answer(&mut self, now: Instant, generation: u32, ufrag: &str, pwd: &str) -> bool {
        let Some(pending) = self.pending.as_mut().filter(|p| p.generation == generation && !p.answered)
        else {
            return false;
        };
        pending.answered = pending.ice.set_remote_credentials(now, ufrag, pwd);
        pending.answered
    }

    /// A candidate of the peer for restart `generation`; see [`Ice::add_remote_candidate`].
    pub(crate) fn add_restart_candidate(
        &mut self,
        now: Instant,
        generation: u32,
        ip: &str,
        port: u16,
    ) -> bool {
        let pending = self.pending.as_mut().filter(|p| p.generation == generation);
        pending.is_some_and(|p| p.ice.add_remote_candidate(now, ip, port))
    }

    /// Whether a restart is under way.
    pub(crate) fn is_restarting(&self) -> bool {
        self.pending.is_some()
    }

    /// Our user names that lead here.
    pub(crate) fn ufrags(&self) -> impl Iterator<Item = &str> {
        self.all().map(|ice| ice.local_credentials().0).chain(self.retired.iter().map(String::as_str))
    }

    /// Our user names that do not lead here any more.
    pub(crate) fn take_retired(&mut self) -> SmallVec<[String; 2]> {
        std::mem::take(&mut self.retired)
    }

    /// How a restart ended, once.
    pub(crate) fn take_outcome(&mut self) -> Option<Outcome> {
        self.outcome.take()
    }

    /// See [`Ice::handle_packet`]. User name and transaction tell the agents apart, so that both may be reached from one address.
    pub(crate) fn handle_packet(&mut self, now: Instant, path: Path, datagram: &[u8], known: bool) -> bool {
        let taken = self.all_mut().any(|ice| ice.handle_packet(now, path, datagram, known));
        self.progress(now);
        taken
    }

    /// See [`Ice::heard`].
    pub(crate) fn heard(&mut self, now: Instant, path: Path) -> bool {
        self.current.heard(now, path)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.all_mut().for_each(|ice| ice.handle_timeout(now));
        self.progress(now);
        if let Some(pending) = self.pending.take_if(|p| p.until <= now) {
            self.retire(&pending.ice);
            self.outcome = Some(Outcome::Failed);
        }
        if let Some((old, _)) = self.previous.take_if(|(_, until)| *until <= now) {
            self.retire(&old);
        }
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        let ends = [self.pending.as_ref().map(|p| p.until), self.previous.as_ref().map(|(_, until)| *until)];
        self.all_mut().filter_map(Ice::poll_timeout).chain(ends.into_iter().flatten()).min()
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<(Path, Vec<u8>)> {
        self.all_mut().find_map(Ice::poll_transmit)
    }

    /// Media goes over the new pair as soon as it is nominated and answered.
    fn progress(&mut self, now: Instant) {
        let ready = |p: &mut Pending| p.ice.selected().is_some() && p.ice.consent() == Consent::Given;
        let Some(pending) = self.pending.take_if(ready) else { return };
        let gap = self.current.is_silent(now);
        let old = std::mem::replace(&mut self.current, pending.ice);
        self.current.begins_to_carry(now);
        if let Some((older, _)) = self.previous.replace((old, now + limits::ICE_RESTART_TRANSITION)) {
            self.retire(&older);
        }
        self.outcome = Some(Outcome::Restarted { gap });
    }

    fn retire(&mut self, ice: &Ice) {
        self.retired.push(ice.local_credentials().0.to_owned());
    }

    fn all(&self) -> impl Iterator<Item = &Ice> {
        let pending = self.pending.as_ref().map(|p| &p.ice);
        pending.into_iter().chain([&self.current]).chain(self.previous.as_ref().map(|(ice, _)| ice))
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Ice> {
        let pending = self.pending.as_mut().map(|p| &mut p.ice);
        pending.into_iter().chain([&mut self.current]).chain(self.previous.as_mut().map(|(ice, _)| ice))
    }
}
