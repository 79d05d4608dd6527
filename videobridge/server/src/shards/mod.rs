//! The media threads: sockets bound and one thread per shard started in; ports to command them and their events out.
//!
//! A thread owns its shard, its sockets (one per address, shared with the other threads by `SO_REUSEPORT`) and its
//! buffers. Nothing on the packet path is shared between threads.

mod connections;
mod counters;
mod outbox;
mod parts;
mod peers;
mod steering;
mod thread;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use service::{StartError, SystemEntropy, listen, sockets};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use videobridge_core::{Command, Event, LocalAddress, Shard, ShardConfig};
use videobridge_udp::{BufferShortage, SocketOptions, UdpSocket};

pub(crate) use counters::ThreadCounters;

use crate::control::ShardPort;
use crate::limits;
use crate::services::Services;
use crate::sockets::Sockets;
use crate::streams::StreamPort;
use parts::Loads;
use peers::Peer;
use thread::{MediaThread, WAKE};

/// What a media thread can be told.
#[derive(Debug)]
pub(crate) enum Order {
    /// For its shard.
    Command(Command),
    /// Receive here, too.
    AddAddress(LocalAddress, UdpSocket),
    /// Not here any more: the machine has lost the address.
    RemoveAddress(SocketAddr),
    /// What a successor passes back is for us, too.
    Successor(OwnedFd),
    /// Whether another process reads our sockets from now on.
    Rest(bool),
}

/// The running threads.
#[derive(Debug)]
pub(crate) struct Threads {
    handles: Vec<JoinHandle<()>>,
    wakers: Vec<Arc<mio::Waker>>,
    stop: Arc<AtomicBool>,
    counters: Arc<ThreadCounters>,
}

/// What [`start`] made.
pub(crate) struct Started {
    pub(crate) threads: Threads,
    /// How to command each thread.
    pub(crate) ports: Vec<ShardPort>,
    /// How connections reach each thread.
    pub(crate) streams: Vec<StreamPort>,
    /// What each has to say.
    pub(crate) events: Vec<mpsc::Receiver<(usize, Event)>>,
    /// Where media is received.
    pub(crate) addresses: Vec<SocketAddr>,
}

/// Binds all addresses of `config` for each of `count` threads and starts them. `config.index` is set per thread, and
/// port 0 becomes the one the system chose. `before`: how each thread reaches the process that had the sockets.
pub(crate) fn start(
    config: &ShardConfig,
    count: usize,
    gso: bool,
    web_sockets: &Arc<Sockets>,
    before: Vec<OwnedFd>,
) -> Result<Started, StartError> {
    let mut config = config.clone();
    let sockets = bind_all(&mut config, count, gso)?;
    let stop = Arc::new(AtomicBool::new(false));
    let counters = Arc::new(ThreadCounters::default());
    let mut prepared = Vec::with_capacity(count);
    let mut peers = Vec::with_capacity(count);
    for sockets in sockets {
        let poll = mio::Poll::new().map_err(|e| failed(&e))?;
        let waker = Arc::new(mio::Waker::new(poll.registry(), WAKE).map_err(|e| failed(&e))?);
        let (peer, from_peers) = Peer::new(Arc::clone(&waker));
        peers.push(peer);
        prepared.push((sockets, poll, waker, from_peers));
    }
    let mut threads = Threads { handles: Vec::new(), wakers: Vec::new(), stop: Arc::clone(&stop), counters };
    let (mut ports, mut streams, mut events) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = before.into_iter();
    let loads = Loads::new(count);
    config.shards = u16::try_from(count).unwrap_or(u16::MAX);
    for (index, (sockets, poll, waker, from_peers)) in prepared.into_iter().enumerate() {
        config.index = u16::try_from(index).unwrap_or(u16::MAX);
        let shard = Shard::new(config.clone(), Box::new(SystemEntropy)).map_err(|e| failed(&e))?;
        let (port, orders, clients) = ShardPort::open(Arc::clone(&waker));
        let (stream_port, from_streams) = StreamPort::open(Arc::clone(&waker));
        streams.push(stream_port);
        let (events_tx, events_rx) = mpsc::channel(limits::EVENTS);
        ports.push(port.clone());
        events.push(events_rx);
        threads.wakers.push(waker);
        let parts = thread::Parts {
            index,
            shard,
            poll,
            orders,
            clients,
            streams: from_streams,
            events: events_tx,
            web_sockets: Arc::clone(web_sockets),
            services: Services::new(Handle::current(), port, Arc::clone(&threads.counters.services)),
            peers: peers.clone(),
            from_peers,
            loads: loads.clone(),
            before: before.next(),
            stop: Arc::clone(&stop),
            counters: Arc::clone(&threads.counters),
            // No trains, and nobody to share the port with.
            relay_sockets: config.relay_id.as_ref().map(|_| SocketOptions {
                reuse_port: false,
                gro: false,
                gso,
                ..SocketOptions::default()
            }),
        };
        let handle = std::thread::Builder::new()
            .name(format!("media-{index}"))
            // The buffers are made by the thread itself, near the core it runs on.
            .spawn(move || match MediaThread::new(parts, sockets) {
                Ok(mut thread) => thread.run(),
                Err(error) => tracing::error!(%error, "a media thread could not watch its sockets"),
            })
            .map_err(|e| failed(&e))?;
        threads.handles.push(handle);
    }
    let addresses = config.addresses.iter().map(|a| a.socket).collect();
    Ok(Started { threads, ports, streams, events, addresses })
}

impl Threads {
    pub(crate) fn counters(&self) -> Arc<ThreadCounters> {
        Arc::clone(&self.counters)
    }

    /// Ends all threads after what they were told before, and waits for them.
    pub(crate) fn join(mut self) {
        self.end();
        for handle in self.handles.drain(..) {
            let _ = handle.join();
        }
    }

    fn end(&self) {
        self.stop.store(true, Ordering::Release);
        for waker in &self.wakers {
            let _ = waker.wake();
        }
    }
}

impl Drop for Threads {
    /// A start that failed half way must not leave threads behind.
    fn drop(&mut self) {
        self.end();
    }
}

/// One set of sockets per thread. An address that can not be used is left out of `config` as long as another one can;
/// a taken port is always an error.
fn bind_all(config: &mut ShardConfig, count: usize, gso: bool) -> Result<Vec<Vec<UdpSocket>>, StartError> {
    let options = options(count, gso);
    let mut all: Vec<Vec<UdpSocket>> = (0..count).map(|_| Vec::new()).collect();
    let mut refused = None;
    let mut usable = Vec::new();
    let mut short = None;
    for mut address in config.addresses.drain(..) {
        match bind_one(address.socket, count, &options) {
            Ok((sockets, shortage)) => {
                short = short.or(shortage);
                address.socket = sockets.first().map_or(address.socket, UdpSocket::local_address);
                for (per_thread, socket) in all.iter_mut().zip(sockets) {
                    per_thread.push(socket);
                }
                usable.push(address);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(listen::refused(OPTION, address.socket, "udp", &error));
            }
            Err(error) => {
                tracing::warn!(kind = ?error.kind(), "an address of this machine can not be used for media");
                refused = Some(listen::refused(OPTION, address.socket, "udp", &error));
            }
        }
    }
    if usable.is_empty() {
        let nothing = || StartError::Part { part: "videobridge", reason: "no media address".to_owned() };
        return Err(refused.unwrap_or_else(nothing));
    }
    config.addresses = usable;
    if let Some(BufferShortage { receive, send }) = short {
        tracing::warn!(
            wanted = receive.0,
            receive = receive.1,
            send = send.1,
            "small socket buffers, bursts may be lost: raise net.core.rmem_max and net.core.wmem_max"
        );
    }
    Ok(all)
}

fn options(count: usize, gso: bool) -> SocketOptions {
    SocketOptions { reuse_port: count > 1, gro: true, gso, ..SocketOptions::default() }
}

/// One socket per thread on an address that is new.
pub(crate) fn bind_new(address: SocketAddr, count: usize, gso: bool) -> io::Result<Vec<UdpSocket>> {
    bind_one(address, count, &options(count, gso)).map(|(sockets, _)| sockets)
}

/// The sockets of all threads on one address.
fn bind_one(
    address: SocketAddr,
    count: usize,
    options: &SocketOptions,
) -> io::Result<(Vec<UdpSocket>, Option<BufferShortage>)> {
    let left = sockets::udp(address);
    if left.len() == count {
        // Its buffers were looked at when it was bound.
        let adopt = |socket| UdpSocket::adopt(socket, options).inspect(sockets::keep);
        return Ok((left.into_iter().map(adopt).collect::<io::Result<_>>()?, None));
    }
    let mut address = address;
    if options.reuse_port {
        // Sharing a port would hide that another process has it already.
        let alone = SocketOptions { reuse_port: false, ..*options };
        address = UdpSocket::bind(address, &alone)?.0.local_address();
    }
    let mut bound = Vec::with_capacity(count);
    let mut short = None;
    for _ in 0..count {
        let (socket, shortage) = UdpSocket::bind(address, options)?;
        address = socket.local_address();
        short = short.or(shortage);
        sockets::keep(&socket);
        bound.push(socket);
    }
    Ok((bound, short))
}

fn failed(error: &dyn std::fmt::Display) -> StartError {
    StartError::Part { part: "videobridge", reason: error.to_string() }
}

/// The setting that names the addresses, for error texts.
const OPTION: &str = "media.listen";
