//! The one task that owns the server: inputs from all connections in, orders to connections out. Nothing waits here:
//! a connection that cannot take an order is dropped.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use budget::Network;
use bytes::Bytes;
use jitsi_xmpp::{BareJid, Sensitive};
use prosody_core::{
    AccountAnswer, AccountEnd, Answer, Asked, ConnId, Counters, Fixed, FramingError, HttpReply, HttpRequest,
    KeyFetchId, Output, QuestionId, RequestId, Said, Server, SessionQuery, Stats, Transport,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::{task, time};

use crate::accounts::{Look, Looks};
use crate::connection::{Order, Sink};
use crate::counters::{Tally, bump};
use crate::crowds::Crowds;
use crate::gather::{Gathering, MANY};
use crate::limits;
use crate::outlet::Outlet;
use crate::outside;
use crate::peers::{Peers, Place, Refused, Share, Stranger};

/// Something that happened on a connection.
#[derive(Debug)]
pub(crate) enum Input {
    Open {
        id: ConnId,
        transport: Transport,
        query: Box<SessionQuery>,
        sink: Sink,
        stranger: Option<Stranger>,
    },
    Frame {
        id: ConnId,
        bytes: Bytes,
        _share: Share,
    },
    FramingError {
        id: ConnId,
        error: FramingError,
    },
    Tls {
        id: ConnId,
    },
    Closed {
        id: ConnId,
    },
    /// What became of a question to a service outside.
    Answer {
        id: QuestionId,
        answer: Answer,
    },
    /// What became of a question for keys.
    Key {
        id: KeyFetchId,
        answer: prosody_core::token::Answer,
    },
    /// What became of a look at an account.
    Account {
        conn: ConnId,
        id: QuestionId,
        answer: AccountAnswer,
    },
    /// An account was deleted or disabled, or has another password.
    AccountEnded {
        jid: BareJid,
        why: AccountEnd,
    },
    /// With which accounts is somebody logged in that the configuration does not know?
    AccountsInUse {
        reply: oneshot::Sender<BTreeSet<BareJid>>,
    },
    /// There is another configuration, with directories that are asked from now on.
    Reload {
        config: Box<prosody_core::Config>,
        directories: Vec<(String, mpsc::Sender<Look>)>,
        reply: oneshot::Sender<Result<(), Fixed>>,
    },
    /// An admin asks or wants something.
    Shell {
        asked: Asked,
        reply: oneshot::Sender<Said>,
    },
    /// Which rooms are there?
    Rooms {
        reply: oneshot::Sender<Vec<Sensitive<String>>>,
    },
    /// Who is in no room shall go.
    Idle,
    /// A suite looks or changes something.
    #[cfg(feature = "test-observer")]
    Observe {
        request: prosody_core::Observe,
        reply: oneshot::Sender<prosody_core::Observed>,
    },
    /// Somebody inside asks over HTTP.
    Http {
        request: HttpRequest,
        reply: oneshot::Sender<HttpReply>,
    },
}

/// What every connection and the handle share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) inputs: mpsc::Sender<Input>,
    /// Who may hold what of this shell.
    peers: Arc<Peers>,
    /// Which addresses count as many.
    crowds: Crowds,
    pub(crate) tally: Tally,
    pub(crate) max_stanza: usize,
    /// The same before the login.
    pub(crate) max_login: usize,
    pub(crate) max_send_backlog: usize,
    pub(crate) shutdown: watch::Receiver<bool>,
    /// Held by the one who asks from inside.
    pub(crate) inside: tokio::sync::Mutex<()>,
    numbers: Mutex<Numbers>,
    next: AtomicU64,
}

/// The server's own numbers, at most [`limits::STATS_AGE`] old.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    pub(crate) stats: Stats,
    pub(crate) counters: Counters,
}

impl Shared {
    /// Where each address is one.
    #[cfg(test)]
    pub(crate) fn new(
        core: &prosody_core::Limits,
        shutdown: watch::Receiver<bool>,
    ) -> (Arc<Self>, mpsc::Receiver<Input>) {
        Self::with_crowds(core, shutdown, Crowds::default())
    }

    /// The same where some addresses count as many.
    pub(crate) fn with_crowds(
        core: &prosody_core::Limits,
        shutdown: watch::Receiver<bool>,
        crowds: Crowds,
    ) -> (Arc<Self>, mpsc::Receiver<Input>) {
        let (inputs, received) = mpsc::channel(limits::INPUTS);
        let shared = Self {
            inputs,
            crowds,
            peers: Peers::new(core.max_connections),
            tally: Tally::default(),
            max_stanza: core.max_stanza_bytes,
            max_login: core.max_login_bytes,
            max_send_backlog: core.max_send_backlog_bytes,
            shutdown,
            inside: tokio::sync::Mutex::default(),
            numbers: Mutex::default(),
            next: AtomicU64::new(1),
        };
        (Arc::new(shared), received)
    }

    /// A place for a connection from this address, if there is one.
    pub(crate) fn admit(&self, peer: Network) -> Result<Place, Refused> {
        self.peers.admit(peer).inspect_err(|refused| match refused {
            Refused::Address => bump(&self.tally.refused_address),
            Refused::Total => bump(&self.tally.refused_full),
        })
    }

    /// What counts as the address of whoever sent a request.
    pub(crate) fn network(&self, extensions: &http::Extensions) -> Network {
        self.crowds.network(extensions)
    }

    /// A place for a role of this process.
    pub(crate) fn own_place(&self) -> Place {
        self.peers.own()
    }

    pub(crate) fn next_id(&self) -> ConnId {
        ConnId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn numbers(&self) -> Numbers {
        // A panic while copying numbers leaves nothing half done that matters.
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs the server until the shutdown; then every connection is told so and closed.
pub(crate) async fn run(
    server: Server,
    mut inputs: mpsc::Receiver<Input>,
    shared: Arc<Shared>,
    looks: Looks,
) {
    let mut owner = Owner {
        server,
        looks,
        unlooked: Vec::new(),
        sinks: foldhash::HashMap::default(),
        strangers: HashMap::new(),
        asked: HashMap::new(),
        next_request: 0,
        unflushed: Vec::new(),
        sent: 0,
        gathering: Gathering::new(),
        shared,
    };
    let mut shutdown = owner.shared.shutdown.clone();
    let mut batch = Vec::with_capacity(BATCH);
    let mut clock = time::interval(CLOCK_EVERY);
    let mut published = Instant::now();
    let mut stale = true;
    // Before anybody comes: the first tick is a millisecond away.
    owner.tell_clock();
    loop {
        let timeout = owner.server.poll_timeout();
        let gathered = owner.gathers_until();
        let publish = stale.then(|| published + limits::STATS_AGE);
        tokio::select! {
            n = inputs.recv_many(&mut batch, BATCH) => {
                if n == 0 {
                    return;
                }
                for input in batch.drain(..) {
                    owner.input(input);
                    if owner.sent >= SENT_UNFLUSHED {
                        owner.flush().await;
                    }
                }
                stale = true;
            }
            () = at(timeout) => {
                owner.step(None, |server, now| server.handle_timeout(now));
                stale = true;
            }
            () = at(gathered), if gathered.is_some() => {}
            _ = clock.tick() => owner.tell_clock(),
            () = at(publish) => {
                owner.publish();
                published = Instant::now();
                stale = false;
            }
            () = async { drop(shutdown.wait_for(|told| *told).await) } => {
                owner.step(None, |server, now| server.handle_shutdown(now));
                owner.flush().await;
                return;
            }
        }
        if owner.unflushed.len() > MANY {
            // What others have sent in the meantime is read first: then it goes out in the same writes.
            task::yield_now().await;
            let more = !inputs.is_empty() || owner.gathers_until().is_some();
            if owner.sent < SENT_UNFLUSHED && more {
                continue;
            }
        }
        owner.flush().await;
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => time::sleep_until(instant.into()).await,
        None => std::future::pending().await,
    }
}

struct Owner {
    server: Server,
    /// Where accounts are looked at that the configuration does not know.
    looks: Looks,
    /// Logins whose account cannot be looked at now.
    unlooked: Vec<(ConnId, QuestionId)>,
    /// By a number that we gave out: nobody can choose keys that collide.
    sinks: foldhash::HashMap<ConnId, Sink>,
    /// Of those who are not logged in.
    strangers: HashMap<ConnId, Stranger>,
    /// Who asks over HTTP, until there is an answer or nobody waits for it: one at a time.
    asked: HashMap<RequestId, oneshot::Sender<HttpReply>>,
    next_request: u64,
    /// What has been sent to these is not written yet.
    unflushed: Vec<Arc<Outlet>>,
    /// Orders since the last flush.
    sent: usize,
    gathering: Gathering,
    shared: Arc<Shared>,
}

impl Owner {
    fn input(&mut self, input: Input) {
        match input {
            Input::Open { id, transport, query, sink, stranger } => {
                self.sinks.insert(id, sink);
                if let Some(stranger) = stranger {
                    self.strangers.insert(id, stranger);
                }
                self.step(Some(id), |server, now| server.handle_open(now, id, transport, *query));
            }
            Input::Frame { id, bytes, _share } => {
                self.step(Some(id), |server, now| server.handle_frame(now, id, &bytes));
            }
            Input::FramingError { id, error } => {
                self.step(Some(id), |server, now| server.handle_framing_error(now, id, error));
            }
            Input::Tls { id } => self.step(Some(id), |server, now| server.handle_tls(now, id)),
            Input::Closed { id } => {
                self.forget(id);
                self.step(Some(id), |server, now| server.handle_closed(now, id));
            }
            Input::Answer { id, answer } => {
                self.step(None, |server, now| server.handle_answer(now, id, &answer));
            }
            Input::Key { id, answer } => {
                self.step(None, |server, now| server.handle_key(now, id, answer));
            }
            Input::Account { conn, id, answer } => {
                self.step(Some(conn), |server, now| server.handle_account(now, conn, id, answer));
            }
            Input::AccountEnded { jid, why } => {
                self.step(None, |server, now| server.handle_account_ended(now, &jid, why));
            }
            Input::AccountsInUse { reply } => {
                let _ = reply.send(self.server.accounts_in_use());
            }
            Input::Reload { config, directories, reply } => self.reload(*config, directories, reply),
            Input::Shell { asked, reply } => self.step(None, |server, now| {
                let _ = reply.send(server.handle_shell(now, &asked));
            }),
            Input::Rooms { reply } => {
                let _ = reply.send(self.server.rooms_of_all_hosts());
            }
            Input::Idle => self.step(None, Server::handle_idle),
            #[cfg(feature = "test-observer")]
            Input::Observe { request, reply } => self.step(None, |server, now| {
                let _ = reply.send(server.handle_observe(now, &request));
            }),
            Input::Http { request, reply } => {
                self.next_request += 1;
                let id = RequestId(self.next_request);
                self.asked.retain(|_, reply| !reply.is_closed());
                self.asked.insert(id, reply);
                self.step(None, |server, now| server.handle_http(now, id, &request));
            }
        }
    }

    fn reload(
        &mut self,
        config: prosody_core::Config,
        directories: Vec<(String, mpsc::Sender<Look>)>,
        reply: oneshot::Sender<Result<(), Fixed>>,
    ) {
        let mut done = Ok(());
        self.step(None, |server, now| done = server.handle_reload(now, config));
        if done.is_ok() {
            // Those of before end once what they were asked is answered.
            self.looks.directories = directories;
        }
        let _ = reply.send(done);
    }

    fn tell_clock(&mut self) {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.step(None, |server, now| server.handle_clock(now, unix));
    }

    /// One input, then all its effects. A panic is a bug: it is counted and costs the connection it came from.
    fn step(&mut self, from: Option<ConnId>, handle: impl FnOnce(&mut Server, Instant)) {
        let now = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| handle(&mut self.server, now)));
        if outcome.is_err() {
            bump(&self.shared.tally.panics);
            tracing::error!("input made the XMPP server panic; its connection and session are dropped");
            if let Some(id) = from {
                self.drop_connection(id);
                let server = &mut self.server;
                let _ = catch_unwind(AssertUnwindSafe(|| server.handle_bug(now, id)));
            }
        }
        self.carry_out(now);
    }

    fn carry_out(&mut self, now: Instant) {
        loop {
            let mut slow = Vec::new();
            while let Some(output) = self.server.poll_output() {
                let (id, order) = match output {
                    Output::Send { conn, frame } => (conn, Order::Send(frame)),
                    Output::StartTls { conn } => (conn, Order::StartTls),
                    Output::ResetStream { conn } => (conn, Order::ResetStream),
                    Output::StanzaLimit { conn, max_bytes } => {
                        // It has logged in.
                        self.strangers.remove(&conn);
                        (conn, Order::StanzaLimit(max_bytes))
                    }
                    Output::Pause { conn, wait } => (conn, Order::Pause(wait)),
                    Output::Close { conn, reason } => (conn, Order::Close(reason)),
                    Output::Ask { id, question } => {
                        outside::ask(self.shared.inputs.clone(), id, *question);
                        continue;
                    }
                    Output::FetchKey { id, fetch } => {
                        outside::fetch_key(self.shared.inputs.clone(), id, *fetch);
                        continue;
                    }
                    Output::Account { conn, id, question } => {
                        let look = Look { conn, id, question: *question };
                        if !self.looks.look(look) {
                            self.unlooked.push((conn, id));
                        }
                        continue;
                    }
                    Output::Reply { id, reply } => {
                        // Fails only when nobody waits any more.
                        let _ = self.asked.remove(&id).map(|asker| asker.send(reply));
                        continue;
                    }
                };
                let closes = matches!(order, Order::Close(_));
                let Some(sink) = self.sinks.get(&id) else { continue };
                self.sent += 1;
                if sink.order(order, &mut self.unflushed).is_err() {
                    if sink.is_gone() {
                        // The transport has ended. What it read before that is still in our queue, and its last frame
                        // may be a goodbye; `Closed` comes behind it.
                        continue;
                    }
                    bump(&self.shared.tally.slow_reader);
                    tracing::debug!(conn = id.0, "slow reader dropped");
                    self.drop_connection(id);
                    slow.push(id);
                } else if closes {
                    self.forget(id);
                }
            }
            let unlooked = std::mem::take(&mut self.unlooked);
            if slow.is_empty() && unlooked.is_empty() {
                return;
            }
            for (conn, id) in unlooked {
                let server = &mut self.server;
                let told = || server.handle_account(now, conn, id, AccountAnswer::Unavailable);
                if catch_unwind(AssertUnwindSafe(told)).is_err() {
                    bump(&self.shared.tally.panics);
                    tracing::error!("an account that was not looked at made the XMPP server panic");
                }
            }
            // The server hears of it after all effects of the input are out, as its contract wants.
            for id in slow {
                let server = &mut self.server;
                if catch_unwind(AssertUnwindSafe(|| server.handle_closed(now, id))).is_err() {
                    bump(&self.shared.tally.panics);
                    tracing::error!("a closed connection made the XMPP server panic");
                }
            }
        }
    }

    /// Until when what was sent waits for more.
    fn gathers_until(&self) -> Option<Instant> {
        self.gathering.until(Instant::now(), self.unflushed.len())
    }

    /// Writes what was sent: a little at once, a broadcast in parts that all threads can take up.
    async fn flush(&mut self) {
        let (orders, connections) = (std::mem::take(&mut self.sent), self.unflushed.len());
        if connections <= MANY {
            flush_all(self.unflushed.drain(..)).await;
            return;
        }
        let begun = Instant::now();
        let mut parts = Vec::with_capacity(connections / MANY + 1);
        while !self.unflushed.is_empty() {
            let rest = self.unflushed.split_off(self.unflushed.len().min(MANY));
            let part = std::mem::replace(&mut self.unflushed, rest);
            parts.push(tokio::spawn(flush_all(part.into_iter())));
        }
        // What others say meanwhile waits, and then goes out in the same writes.
        for part in parts {
            let _ = part.await;
        }
        self.gathering.written(begun, Instant::now(), orders, connections);
    }

    fn drop_connection(&mut self, id: ConnId) {
        if let Some(sink) = self.forget(id) {
            sink.drop_now();
        }
    }

    fn forget(&mut self, id: ConnId) -> Option<Sink> {
        self.strangers.remove(&id);
        self.sinks.remove(&id)
    }

    fn publish(&self) {
        let numbers = Numbers { stats: self.server.stats(), counters: self.server.counters().clone() };
        *self.shared.numbers.lock().unwrap_or_else(PoisonError::into_inner) = numbers;
    }
}

/// The socket's readiness decides how much is written, not this task's budget.
fn flush_all(outlets: impl Iterator<Item = Arc<Outlet>>) -> impl Future<Output = ()> {
    let mut outlets = Some(outlets);
    task::unconstrained(std::future::poll_fn(move |_| {
        for outlet in outlets.take().into_iter().flatten() {
            outlet.flush();
        }
        Poll::Ready(())
    }))
}

/// Orders after which is flushed, even if more input waits. Reason: a few milliseconds' work.
const SENT_UNFLUSHED: usize = 8_192;

/// Inputs handled between two looks at timers and the shutdown.
const BATCH: usize = 64;

/// How often the server is told the wall clock.
const CLOCK_EVERY: Duration = Duration::from_secs(60);
