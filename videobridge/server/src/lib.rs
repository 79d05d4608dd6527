//! The bridge's shell: sockets and threads around the pure shards; XMPP, REST and WebSockets in, commands to shards out.
//!
//! Media threads ([`shards`]) do nothing but move datagrams and run their [`videobridge_core::Shard`]; everything with
//! text (XML, JSON, HTTP) is on the control plane ([`control`]).
#![forbid(unsafe_code)]

mod addresses;
mod config;
mod control;
mod dialing;
mod http;
mod leaving;
mod limits;
mod reach;
mod services;
mod shards;
mod sockets;
mod stats;
mod streams;
#[cfg(test)]
mod tests;
mod xmpp;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::routing::get;
use service::{Exposition, StartError, State};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use videobridge_core::{Certificate, Command, LocalAddress, ShardConfig, WebSocketConfig};

use xmpp_link::Link;

pub use config::{Config, ConfigError, LastN, Raw};
pub use limits::{RESUME_WITHIN, SPREAD_ABOVE};
pub use videobridge_core::TcpPorts;
pub use videobridge_core::media::LastNBySize;
pub use xmpp::BreweryConfig;

use crate::addresses::Machine;
use crate::control::Control;
use crate::dialing::Dialing;
use crate::http::{colibri_ws, rest};
use crate::reach::Reach;
use crate::shards::Order;
use crate::stats::{Identity, Reporter};
use crate::streams::Streams;
use crate::xmpp::links::Links;

/// The version this bridge calls itself by: upstream's numbering, because a focus compares it.
pub const VERSION: &str =
    concat!("2.3.", env!("CARGO_PKG_VERSION_PATCH"), "-plausch-", env!("CARGO_PKG_VERSION"));

/// A running bridge. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BridgeHandle {
    control: Arc<Control>,
    reporter: Arc<Reporter>,
    server_id: Arc<str>,
    public: watch::Sender<Vec<SocketAddr>>,
    left: watch::Receiver<bool>,
    links: Arc<Links>,
}

/// Binds the media port, starts the media threads and, with a link, enters the breweries. When `shutdown` becomes true
/// all endpoints are let go and the returned task ends.
pub async fn start(
    config: Config,
    link: Option<Link>,
    shutdown: watch::Receiver<bool>,
) -> Result<(BridgeHandle, JoinHandle<()>), StartError> {
    start_on(config, link, shutdown, Machine::this(), Vec::new()).await
}

/// The same beside a process that goes on with the meetings that it has: with its sockets (`service::sockets`), and the ways on which
/// its datagrams go back to it, as [`BridgeHandle::hand_over`] made them there.
///
/// # Errors
/// As [`start`].
pub async fn succeed(
    config: Config,
    link: Option<Link>,
    shutdown: watch::Receiver<bool>,
    before: Vec<OwnedFd>,
) -> Result<(BridgeHandle, JoinHandle<()>), StartError> {
    start_on(config, link, shutdown, Machine::this(), before).await
}

/// The same with another way to find out the machine's addresses.
async fn start_on(
    config: Config,
    link: Option<Link>,
    shutdown: watch::Receiver<bool>,
    machine: Machine,
    before: Vec<OwnedFd>,
) -> Result<(BridgeHandle, JoinHandle<()>), StartError> {
    let failed = |reason: String| StartError::Part { part: "videobridge", reason };
    let mut config = config;
    config.as_many_threads_as_before();
    let certificate = Certificate::generate().map_err(|e| failed(e.to_string()))?;
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for socket in config.media_addresses() {
        let tcp = config.listen_at(socket, &mut listeners)?;
        addresses.push(LocalAddress { socket, public: config.public_for(socket), tcp });
    }
    let mut shard = ShardConfig::new(addresses, certificate);
    shard.announced_version = Some(VERSION.to_owned());
    shard.relay_id = config.relay_id.clone();
    shard.advertise_private_candidates = config.inner;
    shard.report_addresses = config.threads > 1;
    shard.spread_above = config.spread_above;
    shard.media.jvb_last_n = config.last_n.always.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX));
    shard.media.last_n_by_size = config.last_n.by_size.clone();
    if !config.web_socket_domains.is_empty() {
        shard.web_sockets = Some(WebSocketConfig {
            domains: config.web_socket_domains.clone(),
            server_id: config.nick.clone(),
            tls: config.web_socket_tls,
        });
    }
    let web_sockets = Arc::default();
    let shards::Started { threads, ports, streams, events, addresses } =
        shards::start(&shard, config.threads, config.gso, &web_sockets, before)?;
    let streams = Streams::new(streams, threads.counters(), shutdown.clone());
    listeners.into_iter().for_each(|listener| streams.serve(listener));
    let (control, failures) = Control::new(ports, web_sockets);
    let control = Arc::new(control);
    let identity = Identity {
        version: VERSION.to_owned(),
        region: config.region.clone(),
        relay_id: config.relay_id.clone(),
        media_port: config.port,
    };
    let reporter = Reporter::new(Arc::clone(&control), threads.counters(), identity, config.load_threshold);
    let reporter = Arc::new(if config.last_n.reduces_load { reporter.that_reduces_load() } else { reporter });
    let left = watch::Sender::new(false);
    let links =
        Links::new(Arc::clone(&control), Arc::clone(&reporter), config.presence_interval, shutdown.clone());
    let handle = BridgeHandle {
        control: Arc::clone(&control),
        reporter: Arc::clone(&reporter),
        server_id: config.nick.as_str().into(),
        public: watch::Sender::new(config.public.clone()),
        left: left.subscribe(),
        links: Arc::clone(&links),
    };
    for mut events in events {
        let control = Arc::clone(&control);
        tokio::spawn(async move {
            let mut dialing = Dialing::new(Arc::clone(&control));
            while let Some((shard, event)) = events.recv().await {
                if let Some(event) = dialing.handle_event(event) {
                    control.handle_event(shard, event);
                }
            }
        });
    }
    let renewed = (Arc::clone(&control), shutdown.clone());
    tokio::spawn(renew_certificate(renewed.0, limits::CERTIFICATE_LIFE, renewed.1));
    let watch = addresses::Watch::new(config.wanted.clone(), addresses);
    let following = (Arc::clone(&control), streams, Arc::clone(&reporter));
    let (public, until) = (handle.public.subscribe(), shutdown.clone());
    tokio::spawn(addresses::follow(watch, config.clone(), following, machine, public, until));
    let brewery = BreweryConfig {
        rooms: config.breweries.clone(),
        nick: config.nick.clone(),
        presence_interval: config.presence_interval,
    };
    let first = link.map(|link| links.begin(brewery, link));
    tokio::spawn(Arc::clone(&links).pass_failures(failures));
    let task = tokio::spawn(run((first, links), control, reporter, threads, (shutdown, left)));
    Ok((handle, task))
}

async fn run(
    (first, links): (Option<JoinHandle<()>>, Arc<Links>),
    control: Arc<Control>,
    reporter: Arc<Reporter>,
    threads: shards::Threads,
    (shutdown, left): (watch::Receiver<bool>, watch::Sender<bool>),
) {
    let keep_fresh = tokio::spawn({
        let reporter = Arc::clone(&reporter);
        async move {
            let mut every = tokio::time::interval(Duration::from_secs(5));
            let mut reach = Reach::default();
            loop {
                every.tick().await;
                let stats = reporter.refresh().await;
                reporter.reduce_load(Instant::now(), &stats);
                if reporter.has_left(Instant::now(), stats.endpoints) {
                    left.send_replace(true);
                }
                if reach.look(Instant::now(), &stats) {
                    let port = reporter.media_port();
                    tracing::warn!(
                        "nobody reaches UDP {port} from outside: open it in every firewall on the way, and look at media.advertise \
                         (JVB_ADVERTISE_IPS, --advertise); `plausch doctor` helps"
                    );
                }
            }
        }
    });
    match first {
        // Until its server is gone for good, or all end.
        Some(first) => {
            let _ = first.await;
            if links.is_without_first() {
                // An admin took it away: others are there, or come.
                service::shutdown::told(shutdown.clone()).await;
            }
        }
        None => service::shutdown::told(shutdown.clone()).await,
    }
    reporter.set_stopping();
    control.broadcast(|| Command::RefuseNewConferences(true));
    service::shutdown::told(shutdown).await;
    keep_fresh.abort();
    control.broadcast(|| Command::Shutdown);
    // The threads send their last datagrams and end; they never wait longer than one turn of their loop.
    let _ = tokio::task::spawn_blocking(move || threads.join()).await;
}

/// Makes another DTLS certificate now and then, so that none identifies the bridge for long, and no key is worth much.
async fn renew_certificate(control: Arc<Control>, every: Duration, mut until: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = until.wait_for(|stop| *stop) => return,
        }
        match tokio::task::spawn_blocking(Certificate::generate).await {
            Ok(Ok(certificate)) => control.broadcast(|| Command::RenewCertificate(certificate.clone())),
            _ => tracing::warn!("no new DTLS certificate could be made; the old one is used on"),
        }
    }
}

impl BridgeHandle {
    /// The routes for clients, `/colibri-ws/…`, and for other bridges, `/colibri-relay-ws/…`. They must be served with HTTP upgrades enabled.
    pub fn public_router(&self) -> axum::Router {
        let ws = colibri_ws::ColibriWs {
            control: Arc::clone(&self.control),
            server_id: Arc::clone(&self.server_id),
        };
        axum::Router::new()
            .route("/colibri-ws/{server_id}/{conference}/{endpoint}", get(colibri_ws::open))
            .route("/colibri-relay-ws/{server_id}/{conference}/{relay}", get(colibri_ws::open))
            .with_state(ws)
    }

    /// The routes for admins and load generators, for loopback or a private network. `/about/health` of an all-in-one
    /// is the process' own; see [`BridgeHandle::colibri_router`].
    pub fn admin_router(&self) -> axum::Router {
        self.colibri_router().merge(rest::about(self.rest()))
    }

    /// `/colibri/muc-client`: further XMPP servers (bridge §1.4), for a bridge that is a process of its own.
    pub fn muc_client_router(&self) -> axum::Router {
        rest::muc_client(self.rest())
    }

    /// The admin routes below `/colibri` only.
    pub fn colibri_router(&self) -> axum::Router {
        rest::colibri(self.rest())
    }

    /// How the bridge feels. Does not wait.
    pub fn health(&self) -> State {
        match self.reporter.health() {
            Ok(()) => State::Healthy,
            Err(why) => State::Hard(why),
        }
    }

    /// The public addresses in front of the media sockets are these now. Sessions that begin from now on are told.
    pub fn set_public(&self, addresses: Vec<SocketAddr>) {
        self.public.send_if_modified(|now| {
            let is_new = *now != addresses;
            *now = addresses;
            is_new
        });
    }

    /// Whether the focus is told to choose another bridge for new conferences (bridge §1.7).
    pub fn set_draining(&self, on: bool) {
        self.reporter.set_draining(on);
    }

    /// Ways for a successor on which datagrams come back that are for conferences of this bridge.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn hand_over(&self) -> io::Result<Vec<OwnedFd>> {
        let mut ways = Vec::new();
        for shard in 0..self.control.shards() {
            let (ours, theirs) = service::line::pair()?;
            self.control.order(shard, Order::Successor(ours));
            ways.push(theirs);
        }
        Ok(ways)
    }

    /// Whether a successor reads the sockets from now on. Those that relays have for themselves stay with us.
    pub fn set_resting(&self, on: bool) {
        for shard in 0..self.control.shards() {
            self.control.order(shard, Order::Rest(on));
        }
    }

    /// See [`BridgeHandle::set_draining`].
    pub fn is_draining(&self) -> bool {
        self.reporter.is_draining()
    }

    /// `/colibri/shutdown`, for a bridge that is a process of its own: whoever serves it ends the process when
    /// [`BridgeHandle::left`] says so.
    pub fn shutdown_router(&self) -> axum::Router {
        rest::shutdown(self.rest())
    }

    /// Resolves when the admin wanted this bridge to leave, and people had the time to (bridge §1.7).
    pub async fn left(&self) {
        if self.left.clone().wait_for(|left| *left).await.is_err() {
            // The bridge has ended in another way.
            std::future::pending().await
        }
    }

    /// Conferences and endpoints of now.
    pub async fn load(&self) -> (u64, u64) {
        let keys = self.reporter.json().await;
        let number = |key| keys.get(key).and_then(serde_json::Value::as_u64).unwrap_or_default();
        (number("conferences"), number("endpoints"))
    }

    /// The bridge's part of `/metrics`. Does not wait.
    pub fn expose(&self, out: &mut Exposition) {
        self.reporter.expose(out);
    }

    fn rest(&self) -> rest::Rest {
        rest::Rest {
            control: Arc::clone(&self.control),
            reporter: Arc::clone(&self.reporter),
            links: Arc::clone(&self.links),
        }
    }
}

impl Config {
    /// A process before this one had a socket for each of its threads, which all have to be read.
    fn as_many_threads_as_before(&mut self) {
        let mut left = self.media_addresses().into_iter().map(service::sockets::udp_count).filter(|n| *n > 0);
        if let Some(count) = left.next()
            && count != self.threads
        {
            tracing::info!(
                threads = count,
                "as many media threads as before: another number needs a restart"
            );
            self.threads = count;
        }
    }

    /// Listens for connections beside a media socket, if that is wanted. One of many addresses may be on its way out.
    fn listen_at(
        &self,
        socket: SocketAddr,
        listeners: &mut Vec<TcpListener>,
    ) -> Result<Option<TcpPorts>, StartError> {
        let Some(TcpPorts { own, public }) = self.tcp else { return Ok(None) };
        let address = SocketAddr::new(socket.ip(), own);
        match streams::bind(address).and_then(|l| Ok((l.local_addr()?.port(), l))) {
            Ok((port, listener)) => {
                listeners.push(listener);
                Ok(Some(TcpPorts { own: port, public: if own == 0 { port } else { public } }))
            }
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable => Ok(None),
            Err(e) => Err(service::listen::refused("media.tcp_port", address, "tcp", &e)),
        }
    }

    /// The public addresses in front of a socket, of its own family.
    fn public_for(&self, socket: SocketAddr) -> Vec<SocketAddr> {
        let of_family = |a: &&SocketAddr| a.is_ipv4() == socket.is_ipv4() && **a != socket;
        // Nobody outside reaches a loopback socket, except when there is nothing else and the admin says so.
        let alone = self.addresses.iter().all(|a| a.is_loopback());
        let reachable = alone || !socket.ip().is_loopback();
        self.public.iter().filter(|_| reachable).filter(of_family).copied().collect()
    }
}
