//! The XMPP server's shell: WebSockets, BOSH requests, TCP connections and in-process links in and out, around the
//! pure server of `prosody_core`.
//!
//! One task owns the server ([`owner`]); every connection is a task of its own with bounded queues to and from it
//! ([`connection`]). The server never waits for a connection: one that reads too slowly is dropped, and stream
//! management lets its client resume.
#![forbid(unsafe_code)]

pub mod accounts;
mod backlog;
pub mod config;
mod connection;
mod counters;
mod crowds;
mod gather;
mod http;
mod inside;
pub mod ldap;
pub mod limits;
mod listen;
pub mod logins;
pub mod needs;
#[cfg(feature = "test-observer")]
mod observer;
mod outlet;
mod outside;
mod owner;
mod peers;
pub mod programs;
mod rate;
pub mod short_lived;
pub mod table;
mod tls;
mod watched;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use jitsi_xmpp::Sensitive;
use service::{Portions, StartError, SystemEntropy};
use tokio::sync::{mpsc, oneshot, watch};
use xmpp_link::ServerEnd;

use crate::accounts::Looks;
use crate::crowds::Crowds;
use crate::owner::{Input, Shared};

pub use accounts::AccountStore;
pub use config::{Config, ConfigError, Raw};
pub use counters::ShellCounters;
pub use prosody_core::{Asked, ModuleChange, Said};

/// A running server. Cheap to clone; the server runs until the shutdown it was started with.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    shared: Arc<Shared>,
    bosh: Arc<listen::bosh::Sessions>,
    inside: Arc<[(prosody_core::HttpMethod, &'static str)]>,
    tcp: Option<SocketAddr>,
    more_accounts: bool,
}

/// Why another configuration is not served. Blame: the caller, or the server has stopped. Consequence: all stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// It cannot become another.
    #[error("{0} cannot become another while the server runs")]
    Fixed(#[from] prosody_core::Fixed),
    /// It has stopped.
    #[error("the server does not run")]
    Stopped,
}

/// The server's numbers, at most 50 ms old.
#[derive(Debug, Clone, Default)]
pub struct ServerStats {
    /// How much there is.
    pub now: prosody_core::Stats,
    /// BOSH sessions.
    pub bosh_sessions: usize,
    /// What the server has counted since the start.
    pub counters: prosody_core::Counters,
    /// What the shell has counted since the start.
    pub shell: ShellCounters,
}

/// No place for another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many connections")]
pub struct TooManyConnections;

/// Starts the server and, where configured, its TCP listener. When `shutdown` becomes true all streams end with
/// `system-shutdown`.
pub async fn start(config: Config, shutdown: watch::Receiver<bool>) -> Result<ServerHandle, StartError> {
    let Config { mut core, listen, certificate, accounts, directories, crowds } = config;
    let mut listener = None;
    let mut acceptor = None;
    if let Some(address) = listen {
        listener = Some(service::listen::tcp(LISTEN_OPTION, address).await?);
        let domains: Vec<&str> = core.hosts.users.iter().map(|h| h.domain.as_str()).collect();
        acceptor = Some(tls::acceptor(certificate.as_ref(), &domains)?);
    }
    core.offer_tls = acceptor.is_some();
    core.more_accounts = accounts.is_some();
    let (shared, inputs) = Shared::with_crowds(&core.limits, shutdown, Crowds::new(crowds));
    let more_accounts = accounts.is_some();
    let files = accounts.map(|store| {
        let (files, asked) = accounts::queue();
        tokio::spawn(watched::look(store, asked, shared.inputs.clone()));
        files
    });
    let looks = Looks { files, directories: ask_directories(directories, &shared) };
    let server =
        prosody_core::Server::new(core, Box::new(Portions::new(SystemEntropy)), std::time::Instant::now());
    let inside = server.http_routes().into();
    tokio::spawn(owner::run(server, inputs, Arc::clone(&shared), looks));
    let mut tcp = None;
    if let Some(listener) = listener {
        tcp = listener.local_addr().ok();
        tokio::spawn(listen::c2s::accept(Arc::clone(&shared), listener, acceptor));
    }
    Ok(ServerHandle { shared, bosh: Arc::default(), inside, tcp, more_accounts })
}

/// Where each directory hears who logs in.
fn ask_directories(
    all: Vec<(String, Arc<ldap::Directory>)>,
    shared: &Arc<Shared>,
) -> Vec<(String, mpsc::Sender<accounts::Look>)> {
    let mut hear = Vec::new();
    for (domain, directory) in all {
        if directory.is_plain() {
            tracing::warn!(
                "passwords go to the directory of accounts without TLS, as everybody on the way can read them"
            );
        }
        let (hears, asked) = accounts::queue();
        tokio::spawn(ldap::look(directory, domain.clone(), asked, shared.inputs.clone()));
        hear.push((domain, hears));
    }
    hear
}

impl ServerHandle {
    /// The HTTP routes: `/xmpp-websocket`, `/http-bind`, also below a tenant's path. They must be served with HTTP
    /// upgrades enabled.
    pub fn router(&self) -> Router {
        http::router(self)
    }

    /// `/health` as upstream's module answers it. Upstream has it on the port of the other routes; where a web app is served
    /// on that port it would hide a room.
    pub fn health_router(&self) -> Router {
        http::health_router(self)
    }

    /// What modules answer to who asks from inside: rooms and who is in them, if the configuration wants it, and what programs with a
    /// token change there. Never for strangers.
    pub fn inside_router(&self) -> Router {
        let inside = inside::router(&self.shared, &self.inside);
        #[cfg(feature = "test-observer")]
        let inside = inside.merge(observer::router(&self.shared));
        inside
    }

    /// Serves a role of the same process, authenticated as the address the link was made with.
    pub async fn attach_in_process(&self, end: ServerEnd) -> Result<(), TooManyConnections> {
        listen::in_process::attach(&self.shared, end).await;
        Ok(())
    }

    /// Serves this configuration from now on: rooms and sessions that are there keep what they began with. Where it listens, with which
    /// certificate, and where it keeps accounts, stay what they are.
    ///
    /// # Errors
    /// Something is another that cannot be; then nothing is changed.
    pub async fn reload(&self, config: Config) -> Result<(), ReloadError> {
        let Config { mut core, directories, .. } = config;
        core.offer_tls = self.tcp.is_some();
        core.more_accounts = self.more_accounts;
        let directories = ask_directories(directories, &self.shared);
        let (reply, done) = oneshot::channel();
        let input = Input::Reload { config: Box::new(core), directories, reply };
        self.shared.inputs.send(input).await.map_err(|_| ReloadError::Stopped)?;
        Ok(done.await.map_err(|_| ReloadError::Stopped)??)
    }

    /// Asks, or has something done, as an admin. `None`: the server does not run.
    pub async fn shell(&self, asked: Asked) -> Option<Said> {
        let (reply, said) = oneshot::channel();
        self.shared.inputs.send(Input::Shell { asked, reply }).await.ok()?;
        said.await.ok()
    }

    /// All rooms, as clients write their addresses. `None`: the server does not run.
    pub async fn rooms(&self) -> Option<Vec<Sensitive<String>>> {
        let (reply, rooms) = oneshot::channel();
        self.shared.inputs.send(Input::Rooms { reply }).await.ok()?;
        rooms.await.ok()
    }

    /// Another process takes the new meetings: ends the sessions of people who have been in none since the last call.
    pub async fn send_idle_away(&self) {
        let _ = self.shared.inputs.send(Input::Idle).await;
    }

    /// Where XMPP over TCP is listened for.
    pub const fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp
    }

    /// Whether the server runs.
    pub fn is_running(&self) -> bool {
        !self.shared.inputs.is_closed()
    }

    /// The numbers. Does not wait.
    pub fn stats(&self) -> ServerStats {
        let numbers = self.shared.numbers();
        ServerStats {
            now: numbers.stats,
            bosh_sessions: self.bosh.len(),
            counters: numbers.counters,
            shell: self.shared.tally.read(),
        }
    }

    /// Waits until the server has ended, after the shutdown.
    pub async fn ended(&self) {
        self.shared.inputs.closed().await;
    }
}

/// The HTTP routes of a running server; see [`ServerHandle::router`].
pub fn router(handle: &ServerHandle) -> Router {
    handle.router()
}

/// The option that holds [`Config::listen`], for error texts.
const LISTEN_OPTION: &str = "xmpp.listen";
