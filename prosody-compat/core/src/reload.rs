//! Another configuration in, which holds for who comes and for what begins from now on. Rooms keep modules and policy that they began
//! with, and sessions what they logged in by.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::config::Config;
use crate::connection::Stage;
use crate::identity::HostId;
use crate::keys;
use crate::server::Server;

/// What cannot become another while the server runs, because rooms and roles are named after it. Blame: the caller, who has to keep
/// it. Consequence: nothing is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fixed {
    /// The first domain with users.
    #[error("the main domain")]
    Main,
    /// The first domain with rooms.
    #[error("the domain of the meetings")]
    Meetings,
    /// Whom conference requests go to.
    #[error("the account of the focus")]
    Focus,
}

impl Server {
    /// Serves this from now on. Bounds stay what they were at the start.
    ///
    /// # Errors
    /// Something is another that cannot be; then nothing is changed.
    pub fn handle_reload(&mut self, now: Instant, config: Config) -> Result<(), Fixed> {
        self.world.now = now;
        let before = &self.world.config;
        for (same, what) in [
            (before.domain() == config.domain(), Fixed::Main),
            (before.muc_domain() == config.muc_domain(), Fixed::Meetings),
            (before.focus == config.focus, Fixed::Focus),
        ] {
            if !same {
                return Err(what);
            }
        }
        let limits = before.limits.clone();
        self.serve(Config { limits, ..config });
        Ok(())
    }

    /// Puts another configuration in the place of the one that there is.
    pub(crate) fn serve(&mut self, config: Config) {
        let hosts = Arc::new(self.hosts.successor(&config, &self.needed_hosts()));
        self.hosts = Arc::clone(&hosts);
        self.world.hosts = hosts;
        let ended = self.accounts.replace(&config);
        self.world.config = config;
        let ready = keys::renew(&mut self.world);
        self.with_keys(ready);
        for (jid, why) in ended {
            self.end_account(&jid, why);
        }
        self.end_withdrawn();
        self.settle();
    }

    /// Those that rooms, sessions and logins began with.
    fn needed_hosts(&self) -> BTreeSet<HostId> {
        let rooms = self.rooms.iter().map(|room| room.host);
        let sessions = self.world.sessions.iter().map(|(_, s)| s.identity.host);
        let logins = self.world.conns.values().filter_map(|c| match &c.stage {
            Stage::Login { host, .. } => Some(*host),
            Stage::Reopening(user) | Stage::Binding(user) => Some(user.host),
            Stage::Opening | Stage::Bound(_) => None,
        });
        rooms.chain(sessions).chain(logins).collect()
    }
}
