//! The one task that owns the engine: link events, commands and deadlines in; stanzas and answers out.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use focus_core::debug::{Asked, Debug};
use focus_core::{
    Config, Focus, HttpAnswer, HttpRequestId, Move, MoveError, Moved, Network, Output, Pin, PinError, Stats,
};
use jitsi_xmpp::BareJid;
use service::SystemEntropy;
use xmpp_link::{Link, LinkEvent, LinkFull, Resumption};

use crate::handover::{Handover, Kept};
use crate::keeping::Keeping;
use crate::limits;
use crate::unsent::Unsent;

/// The body of a `POST /conference-request/v1`.
#[derive(Clone)]
pub struct HttpConferenceRequest {
    /// As received; the engine parses it.
    pub body: Vec<u8>,
    /// Whose budget it takes from; `None` if that cannot be known.
    pub from: Network,
}

/// The room is personal: nothing of it is shown.
impl std::fmt::Debug for HttpConferenceRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpConferenceRequest").field("bytes", &self.body.len()).finish()
    }
}

/// Asks the running focus. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FocusHandle {
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
enum Command {
    Conference(HttpConferenceRequest, oneshot::Sender<HttpAnswer>),
    Stats(oneshot::Sender<Stats>),
    Debug(Asked, oneshot::Sender<Debug>),
    Drain(bool, oneshot::Sender<()>),
    Move(Move, oneshot::Sender<Result<Moved, MoveError>>),
    Pin(BareJid, String, Duration, oneshot::Sender<Result<(), PinError>>),
    Unpin(BareJid, oneshot::Sender<bool>),
    Pins(oneshot::Sender<Vec<Pin>>),
    HandOver(oneshot::Sender<Option<Handover>>),
}

impl FocusHandle {
    /// Passes a conference request to the engine. Always answers: 503 when the engine is overloaded or gone.
    pub async fn conference_request(&self, request: HttpConferenceRequest) -> HttpAnswer {
        let (reply, answer) = oneshot::channel();
        if self.commands.try_send(Command::Conference(request, reply)).is_ok()
            && let Ok(Ok(answer)) = tokio::time::timeout(limits::REPLY, answer).await
        {
            return answer;
        }
        HttpAnswer { status: 503, content_type: "text/plain", body: "Focus is not available".into() }
    }

    /// A picture of now; `None` when the engine does not answer.
    pub async fn stats(&self) -> Option<Stats> {
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(Command::Stats(reply)).ok()?;
        tokio::time::timeout(limits::STATS, answer).await.ok()?.ok()
    }

    /// What it is at, without names; `None` when the engine does not answer.
    pub async fn debug(&self, asked: Asked) -> Option<Debug> {
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(Command::Debug(asked, reply)).ok()?;
        tokio::time::timeout(limits::STATS, answer).await.ok()?.ok()
    }

    /// New conferences are put off, or taken again. `false` when the engine does not answer.
    pub async fn set_draining(&self, on: bool) -> bool {
        let (reply, done) = oneshot::channel();
        self.commands.try_send(Command::Drain(on, reply)).is_ok()
            && matches!(tokio::time::timeout(limits::STATS, done).await, Ok(Ok(())))
    }

    /// Stops, and ends no conference: what a successor needs. `None`: the XMPP server keeps no session, so that they end.
    pub async fn hand_over(&self) -> Option<Handover> {
        let (reply, left) = oneshot::channel();
        self.commands.send(Command::HandOver(reply)).await.ok()?;
        tokio::time::timeout(limits::STATS, left).await.ok()?.ok()?
    }

    /// Moves people away from a bridge. `None` when the engine does not answer.
    pub(crate) async fn move_away(&self, order: Move) -> Option<Result<Moved, MoveError>> {
        self.ask(|reply| Command::Move(order, reply)).await
    }

    /// Binds a room to a version of the bridges. `None` when the engine does not answer.
    pub(crate) async fn pin(
        &self,
        room: BareJid,
        version: String,
        time: Duration,
    ) -> Option<Result<(), PinError>> {
        self.ask(|reply| Command::Pin(room, version, time, reply)).await
    }

    /// Lets it go. `Some(false)`: it was not bound.
    pub(crate) async fn unpin(&self, room: BareJid) -> Option<bool> {
        self.ask(|reply| Command::Unpin(room, reply)).await
    }

    /// All that are bound.
    pub(crate) async fn pins(&self) -> Option<Vec<Pin>> {
        self.ask(Command::Pins).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.try_send(command(reply)).ok()?;
        tokio::time::timeout(limits::STATS, answer).await.ok()?.ok()
    }

    /// Whether meetings can be held: `Err` says what is missing.
    pub async fn health(&self) -> Result<(), &'static str> {
        match self.stats().await {
            None => Err("Focus does not answer"),
            Some(s) if !s.connected => Err("XMPP not connected"),
            Some(s) if s.operational_bridge_count == s.in_shutdown_bridge_count => {
                Err("No operational bridges available")
            }
            Some(_) => Ok(()),
        }
    }
}

/// A focus on `link`: the handle to ask it, and the task to run until `shutdown` says so or the link ends for good.
pub fn focus(
    config: Config,
    link: Link,
    shutdown: watch::Receiver<bool>,
) -> (FocusHandle, impl Future<Output = ()> + Send + 'static) {
    successor(config, link, Restart::default(), shutdown)
}

/// What a focus has to do with those before and after it.
#[derive(Debug, Default)]
pub struct Restart {
    /// What the one before has left. Its session goes to the link, [`Link::succeed`].
    pub before: Option<Handover>,
    /// Where it is kept all the time what the next one needs.
    pub kept: Option<Kept>,
}

/// The same; it goes on with the conferences of the one before.
pub fn successor(
    config: Config,
    link: Link,
    restart: Restart,
    shutdown: watch::Receiver<bool>,
) -> (FocusHandle, impl Future<Output = ()> + Send + 'static) {
    let (commands, receiver) = mpsc::channel(limits::COMMANDS);
    let inherited = restart.before.and_then(|before| {
        let taken = Focus::take_over(Instant::now(), config.clone(), Box::new(SystemEntropy), &before.focus);
        taken
            .inspect_err(|e| tracing::warn!("what the focus before has left {e}: conferences begin anew"))
            .ok()
    });
    let task = Task {
        focus: inherited.unwrap_or_else(|| Focus::new(config, Box::new(SystemEntropy))),
        link,
        keeping: restart.kept.map(Keeping::new),
        commands: receiver,
        replies: HashMap::new(),
        next_request: 0,
        sweep_at: limits::COMMANDS,
        unsent: Unsent::default(),
        full_since: None,
        panics: 0,
    };
    (FocusHandle { commands }, task.run(shutdown))
}

/// Why the task ends.
enum End {
    /// The link has, for good.
    Link,
    /// The process does.
    Stop,
    /// A successor is about to begin.
    HandOver(oneshot::Sender<Option<Handover>>),
}

struct Task {
    focus: Focus,
    link: Link,
    commands: mpsc::Receiver<Command>,
    replies: HashMap<HttpRequestId, oneshot::Sender<HttpAnswer>>,
    next_request: u64,
    /// So many waiting requests are worth a look.
    sweep_at: usize,
    /// Stanzas that found no place on the link yet.
    unsent: Unsent,
    /// Since when the link takes nothing.
    full_since: Option<Instant>,
    /// Inputs that a bug made the engine stumble over.
    panics: u64,
    keeping: Option<Keeping>,
}

impl Task {
    async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        loop {
            self.flush();
            // A deadline that has passed already fires at once: the engine asks for another turn this way.
            let deadline = self.focus.poll_timeout();
            let wake = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let sender = self.link.sender();
            let full_since = self.full_since;
            let stalled = async {
                match full_since {
                    Some(since) => tokio::time::sleep_until((since + limits::STALLED).into()).await,
                    None => std::future::pending().await,
                }
            };
            let keep_at = self.keeping.as_ref().and_then(Keeping::poll_timeout);
            let keep = async {
                match keep_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let end = tokio::select! {
                // While the server does not take what we say, we do not listen either: what waits is sorted by the link.
                event = self.link.recv(), if self.unsent.len() < limits::UNSENT / 2 => match event {
                    Some(event) => { self.event(event); None }
                    None => Some(End::Link),
                },
                // Nobody takes anything: the link itself is about to say so.
                () = stalled => { self.forget_unsent(); None }
                () = sender.has_place(), if !self.unsent.is_empty() => None,
                Some(command) = self.commands.recv() => match command {
                    Command::HandOver(reply) => Some(End::HandOver(reply)),
                    command => { self.command(command); None }
                },
                () = keep => { self.checkpoint(); None }
                () = wake => { self.step(|focus, now| focus.handle_timeout(now)); None }
                _ = shutdown.wait_for(|stop| *stop) => Some(End::Stop),
            };
            match end {
                None => {}
                Some(End::HandOver(reply)) => {
                    self.hand_over(Some(reply)).await;
                    // This process is about to be another one.
                    let _ = shutdown.wait_for(|stop| *stop).await;
                    return;
                }
                Some(End::Stop) if self.keeping.is_some() => return self.hand_over(None).await,
                Some(End::Stop) => {
                    self.step(Focus::handle_shutdown);
                    break;
                }
                Some(End::Link) => break,
            }
        }
        self.flush();
        self.link.close().await;
    }

    /// Ends the process' part, and no conference.
    async fn hand_over(mut self, asked: Option<oneshot::Sender<Option<Handover>>>) {
        self.step(Focus::prepare_handover);
        self.flush();
        let Self { mut focus, link, mut unsent, keeping, .. } = self;
        let (stanzas, session) = link.hand_over().await;
        for stanza in &stanzas {
            step(&mut focus, |focus, now| focus.handle_stanza(now, stanza));
        }
        let state = focus.hand_over(Instant::now());
        let handover = session.zip(state).map(|(mut link, focus_state)| {
            while let Some(stanza) = unsent.oldest() {
                link.unacked.push(stanza.clone());
                unsent.pop();
            }
            while let Some(output) = focus.poll_output() {
                // Whoever asked over HTTP asks the successor.
                if let Output::Send(stanza) = output {
                    link.unacked.push(Bytes::from(stanza.to_xml()));
                }
            }
            Handover { link, focus: focus_state }
        });
        match &handover {
            None => tracing::warn!("the XMPP server keeps no session for a successor: conferences end"),
            Some(handover) => {
                if let Some(Err(e)) = keeping.map(|k| k.kept.write(handover)) {
                    tracing::error!(error = %e, "what a successor needs cannot be kept");
                }
            }
        }
        if let Some(asked) = asked {
            let _ = asked.send(handover);
        }
    }

    /// Asks the link where a successor could go on.
    fn checkpoint(&mut self) {
        if let Some(keeping) = &mut self.keeping {
            match self.link.checkpoint() {
                Ok(()) => keeping.asked(),
                Err(_) => keeping.later(),
            }
        }
    }

    /// Everything that was received up to here is done.
    fn keep(&mut self, link: Resumption) {
        let now = Instant::now();
        let (Some(keeping), Some(state)) = (&mut self.keeping, self.focus.hand_over(now)) else { return };
        let received = link.received;
        if keeping.write(now, link, &self.unsent, state) {
            self.link.is_kept(received);
        }
    }

    /// One input. A panic in a conference costs that one and is dealt with in the engine; what comes up to here costs
    /// the input.
    fn step(&mut self, handle: impl FnOnce(&mut Focus, Instant)) {
        if let Some(keeping) = &mut self.keeping {
            keeping.changed();
        }
        self.panics += u64::from(!step(&mut self.focus, handle));
    }

    fn event(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { jid, resumed } => {
                self.restart_keeping();
                tracing::info!(resumed, "XMPP link up");
                if !resumed {
                    self.forget_unsent();
                }
                self.step(|focus, now| focus.handle_link_up(now, jid, resumed));
            }
            LinkEvent::Checkpoint(link) => self.keep(link),
            LinkEvent::Stanza(stanza) => self.step(|focus, now| focus.handle_stanza(now, &stanza)),
            LinkEvent::Down { reason } => {
                self.restart_keeping();
                tracing::warn!(%reason, "XMPP link down");
                self.step(Focus::handle_link_down);
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Conference(request, reply) => {
                // Who has gone is forgotten; looked for only when there are twice as many as last time.
                if self.replies.len() >= self.sweep_at {
                    self.replies.retain(|_, waiting| !waiting.is_closed());
                    self.sweep_at = (2 * self.replies.len()).max(limits::COMMANDS);
                }
                self.next_request += 1;
                let id = HttpRequestId(self.next_request);
                self.replies.insert(id, reply);
                self.step(|focus, now| focus.handle_http_request(now, id, request.from, &request.body));
            }
            Command::Drain(on, reply) => {
                self.focus.set_draining(on);
                let _ = reply.send(());
            }
            Command::Move(order, reply) => self.step(|focus, now| {
                let _ = reply.send(focus.move_away(now, &order));
            }),
            Command::Pin(room, version, time, reply) => {
                let _ = reply.send(self.focus.pin(Instant::now(), room, version, time));
            }
            Command::Unpin(room, reply) => {
                let _ = reply.send(self.focus.unpin(&room));
            }
            // Taken out before.
            Command::HandOver(_) => {}
            Command::Pins(reply) => {
                let _ = reply.send(self.focus.pins(Instant::now()));
            }
            Command::Debug(asked, reply) => {
                let _ = reply.send(self.focus.debug(Instant::now(), &asked));
            }
            Command::Stats(reply) => {
                // Whoever asked may have gone.
                let mut stats = self.focus.stats();
                stats.counters.panics += self.panics;
                let _ = reply.send(stats);
            }
        }
    }

    fn flush(&mut self) {
        while let Some(output) = self.focus.poll_output() {
            match output {
                Output::Send(stanza) => {
                    let stanza = Bytes::from(stanza.to_xml());
                    if !self.unsent.push(stanza) {
                        // The engine's deadlines notice and repair it.
                        tracing::warn!("the server takes nothing: stanza not sent");
                    }
                }
                Output::HttpReply { request, reply } => {
                    if let Some(waiting) = self.replies.remove(&request) {
                        let _ = waiting.send(reply);
                    }
                }
            }
        }
        while let Some(stanza) = self.unsent.oldest().cloned() {
            match self.link.send_bytes(stanza.clone()) {
                Ok(()) => {
                    self.full_since = None;
                    if let Some(keeping) = &mut self.keeping {
                        keeping.sent(&stanza);
                    }
                    self.unsent.pop();
                }
                Err(LinkFull::Full) => {
                    self.full_since.get_or_insert_with(Instant::now);
                    return;
                }
                Err(LinkFull::Closed) => return self.forget_unsent(),
            }
        }
    }

    fn restart_keeping(&mut self) {
        if let Some(keeping) = &mut self.keeping {
            keeping.restart();
        }
    }

    fn forget_unsent(&mut self) {
        self.full_since = None;
        self.unsent.clear();
    }
}

/// One input. `false`: a bug, and what was left of it is dropped.
fn step(focus: &mut Focus, handle: impl FnOnce(&mut Focus, Instant)) -> bool {
    let now = Instant::now();
    let done = catch_unwind(AssertUnwindSafe(|| handle(focus, now))).is_ok();
    if !done {
        tracing::error!("an input made the focus panic; it is dropped");
    }
    done
}

#[cfg(test)]
mod tests;
