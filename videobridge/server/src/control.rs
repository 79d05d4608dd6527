//! The control plane's side of the media threads: requests from XMPP, REST and WebSockets in, commands to the right
//! shard out; the shards' events in, answers to whoever waits out.
//!
//! ```text
//!  XMPP · REST ──colibri()──┐                       ┌── shard 0 (thread)
//!  WebSocket ──socket_*()───┼─ Control ──ShardPort──┼── shard 1
//!  admin ──stats()──────────┘     ▲                 └── …
//!                                 └───── handle_event(index, event) ◄── bounded channel
//! ```

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jitsi_xmpp::colibri2::{Colibri2Error, ConferenceModified, ConferenceModify, ErrorReason};
use jitsi_xmpp::ids::{EndpointId, MeetingId};
use jitsi_xmpp::{Condition, Sensitive, StanzaError};
use tokio::sync::{mpsc, oneshot};
use videobridge_core::{Command, Event, RequestId, ShardStats, SocketId};

use crate::limits;

/// How the control plane reaches one media thread.
#[derive(Debug, Clone)]
pub(crate) struct ShardPort {
    commands: SyncSender<Command>,
    waker: Arc<mio::Waker>,
}

impl ShardPort {
    pub(crate) fn new(commands: SyncSender<Command>, waker: Arc<mio::Waker>) -> Self {
        Self { commands, waker }
    }

    /// Hands over a command and wakes the thread; `false` when its queue is full or it is gone.
    fn send(&self, command: Command) -> bool {
        match self.commands.try_send(command) {
            Ok(()) => self.waker.wake().is_ok(),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

/// What a bridge-channel WebSocket has to do.
#[derive(Debug)]
pub(crate) enum SocketOrder {
    /// Send this text frame.
    Text(String),
    /// Close with this code and reason.
    Close(u16, &'static str),
}

/// A shard's answer to come.
type Answer = oneshot::Receiver<Result<ConferenceModified, StanzaError>>;

/// An accepted bridge-channel WebSocket.
#[derive(Debug)]
pub(crate) struct AcceptedSocket {
    pub(crate) id: SocketId,
    pub(crate) orders: mpsc::Receiver<SocketOrder>,
    shard: usize,
}

/// The control plane. One per process; shared.
#[derive(Debug)]
pub(crate) struct Control {
    ports: Vec<ShardPort>,
    next: AtomicU64,
    state: Mutex<State>,
    /// Commands that found a shard's queue full.
    overflows: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Which shard has the conference, and how many conferences each shard has.
    conferences: HashMap<MeetingId, usize>,
    colibri: HashMap<RequestId, oneshot::Sender<Result<ConferenceModified, StanzaError>>>,
    stats: HashMap<RequestId, oneshot::Sender<ShardStats>>,
    opening: HashMap<SocketId, oneshot::Sender<bool>>,
    sockets: HashMap<SocketId, mpsc::Sender<SocketOrder>>,
}

impl Control {
    pub(crate) fn new(ports: Vec<ShardPort>) -> Self {
        Self { ports, next: AtomicU64::new(1), state: Mutex::default(), overflows: AtomicU64::new(0) }
    }

    /// Has the conference's shard do what the focus wants. A new conference goes to the shard with the fewest. The
    /// request is on its way when this returns, so requests are handled in the order of the calls.
    pub(crate) fn colibri(
        self: &Arc<Self>,
        modify: ConferenceModify,
    ) -> impl Future<Output = Result<ConferenceModified, StanzaError>> + Send + use<> {
        let this = Arc::clone(self);
        let request = RequestId(self.number());
        let (meeting, create) = (modify.meeting_id.clone(), modify.create);
        let sent = self.request(request, modify);
        async move {
            let wait = sent?;
            let result = tokio::time::timeout(limits::ANSWER_WAIT, wait).await;
            let mut state = this.state();
            state.colibri.remove(&request);
            let Ok(Ok(result)) = result else { return Err(StanzaError::new(Condition::InternalServerError)) };
            if let Err(error) = &result
                && create
                && error.condition != Condition::Conflict
            {
                // Not created after all; `conflict` means that it had been there before.
                state.conferences.remove(&meeting);
            }
            result
        }
    }

    fn request(&self, request: RequestId, modify: ConferenceModify) -> Result<Answer, StanzaError> {
        let (answer, wait) = oneshot::channel();
        let (shard, new) = {
            let mut state = self.state();
            let known = state.conferences.get(&modify.meeting_id).copied();
            let Some(shard) = known.or_else(|| modify.create.then(|| self.emptiest(&state))) else {
                return Err(Colibri2Error::new(ErrorReason::ConferenceNotFound)
                    .add_to(StanzaError::new(Condition::ItemNotFound)));
            };
            // Noted now, so that the next request of the same conference finds it before the shard has answered.
            state.conferences.insert(modify.meeting_id.clone(), shard);
            state.colibri.insert(request, answer);
            (shard, known.is_none().then(|| modify.meeting_id.clone()))
        };
        if self.send(shard, Command::Colibri2 { request, modify: Box::new(modify) }) {
            return Ok(wait);
        }
        let mut state = self.state();
        state.colibri.remove(&request);
        if let Some(meeting) = new {
            state.conferences.remove(&meeting);
        }
        Err(overloaded())
    }

    /// Asks the conference's shard to take a WebSocket as bridge channel; `None`: refused.
    pub(crate) async fn socket_open(
        &self,
        conference: String,
        endpoint: EndpointId,
        password: Sensitive<String>,
    ) -> Option<AcceptedSocket> {
        let shard = usize::from(videobridge_core::shard_of_conference(&conference)?);
        let id = SocketId(self.number());
        let (decision, decided) = oneshot::channel();
        let (orders_tx, orders) = mpsc::channel(limits::SOCKET_QUEUE);
        {
            let mut state = self.state();
            state.opening.insert(id, decision);
            state.sockets.insert(id, orders_tx);
        }
        let sent = self.send(shard, Command::WebSocketOpen { socket: id, conference, endpoint, password });
        let accepted =
            sent && matches!(tokio::time::timeout(limits::ANSWER_WAIT, decided).await, Ok(Ok(true)));
        let mut state = self.state();
        state.opening.remove(&id);
        if accepted {
            return Some(AcceptedSocket { id, orders, shard });
        }
        state.sockets.remove(&id);
        None
    }

    /// A text frame arrived.
    pub(crate) fn socket_text(&self, socket: &AcceptedSocket, text: String) -> bool {
        self.send(socket.shard, Command::WebSocketText { socket: socket.id, text })
    }

    /// The WebSocket is gone.
    pub(crate) fn socket_closed(&self, socket: &AcceptedSocket) {
        if self.state().sockets.remove(&socket.id).is_some() {
            self.send(socket.shard, Command::WebSocketClosed { socket: socket.id });
        }
    }

    /// The numbers of every shard that answers in time.
    pub(crate) async fn stats(&self) -> Vec<ShardStats> {
        let mut waits = Vec::with_capacity(self.ports.len());
        for shard in 0..self.ports.len() {
            let request = RequestId(self.number());
            let (answer, wait) = oneshot::channel();
            self.state().stats.insert(request, answer);
            self.send(shard, Command::Stats { request });
            waits.push((request, wait));
        }
        let mut all = Vec::with_capacity(waits.len());
        for (request, wait) in waits {
            if let Ok(Ok(stats)) = tokio::time::timeout(limits::ANSWER_WAIT, wait).await {
                all.push(stats);
            }
            self.state().stats.remove(&request);
        }
        all
    }

    /// How many shards there are.
    pub(crate) const fn shards(&self) -> usize {
        self.ports.len()
    }

    /// Whether a shard has this conference.
    pub(crate) fn knows(&self, meeting: &MeetingId) -> bool {
        self.state().conferences.contains_key(meeting)
    }

    /// The same command to every shard, e.g. to drain or to shut down.
    pub(crate) fn broadcast(&self, command: impl Fn() -> Command) {
        for shard in 0..self.ports.len() {
            self.send(shard, command());
        }
    }

    /// A shard has something to say.
    pub(crate) fn handle_event(&self, shard: usize, event: Event) {
        let mut state = self.state();
        match event {
            Event::Colibri2Reply { request, result } => {
                if let Some(waiting) = state.colibri.remove(&request) {
                    let _ = waiting.send(result.map(|m| *m).map_err(|e| *e));
                }
            }
            Event::Stats { request, stats } => {
                if let Some(waiting) = state.stats.remove(&request) {
                    let _ = waiting.send(*stats);
                }
            }
            Event::WebSocketAccepted { socket } => {
                if let Some(waiting) = state.opening.remove(&socket) {
                    let _ = waiting.send(true);
                }
            }
            Event::WebSocketRefused { socket } => {
                if let Some(waiting) = state.opening.remove(&socket) {
                    let _ = waiting.send(false);
                }
            }
            Event::WebSocketText { socket, text } => {
                let slow =
                    state.sockets.get(&socket).is_some_and(|s| s.try_send(SocketOrder::Text(text)).is_err());
                if slow {
                    // A reader that does not keep up is closed, never waited for: dropping the sender ends its task.
                    state.sockets.remove(&socket);
                    drop(state);
                    self.send(shard, Command::WebSocketClosed { socket });
                }
            }
            Event::CloseWebSocket { socket, code, reason } => {
                if let Some(s) = state.sockets.remove(&socket) {
                    let _ = s.try_send(SocketOrder::Close(code, reason));
                }
            }
            Event::ConferenceCreated { meeting } => {
                state.conferences.insert(meeting, shard);
            }
            Event::ConferenceExpired { meeting } => {
                state.conferences.remove(&meeting);
            }
            // The media threads tell each other about addresses; nothing to do here.
            Event::AddressBound { .. } | Event::AddressReleased { .. } => {}
        }
    }

    /// Commands lost because a shard's queue was full.
    pub(crate) fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }

    fn emptiest(&self, state: &State) -> usize {
        let mut load = vec![0_usize; self.ports.len()];
        for shard in state.conferences.values() {
            if let Some(n) = load.get_mut(*shard) {
                *n += 1;
            }
        }
        load.iter().enumerate().min_by_key(|(_, n)| **n).map_or(0, |(i, _)| i)
    }

    fn send(&self, shard: usize, command: Command) -> bool {
        let sent = self.ports.get(shard).is_some_and(|p| p.send(command));
        if !sent {
            self.overflows.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// No code path panics while holding the lock, and the maps stay usable if one ever does.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn overloaded() -> StanzaError {
    StanzaError::new(Condition::ResourceConstraint).with_text("media thread overloaded")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::*;

    /// Control planes of shards whose threads never take anything.
    fn stuck(shards: usize) -> (Arc<Control>, Vec<Receiver<Command>>, Vec<mio::Poll>) {
        let (mut ports, mut commands, mut polls) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..shards {
            let poll = mio::Poll::new().unwrap();
            let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
            let (tx, rx) = sync_channel(limits::COMMANDS);
            ports.push(ShardPort::new(tx, waker));
            commands.push(rx);
            polls.push(poll);
        }
        (Arc::new(Control::new(ports)), commands, polls)
    }

    fn create(meeting: &str) -> ConferenceModify {
        ConferenceModify { create: true, ..ConferenceModify::new(MeetingId::new(meeting)) }
    }

    #[test]
    fn new_conferences_go_where_there_are_fewest_and_stay_there() {
        let (control, commands, _polls) = stuck(2);
        let waiting: Vec<_> = (0..4).map(|n| control.colibri(create(&format!("m{n}")))).collect();
        assert!(commands.iter().all(|c| c.try_iter().count() == 2));
        drop(waiting);
        control.handle_event(0, Event::ConferenceExpired { meeting: MeetingId::new("m0") });
        let _again = [control.colibri(create("m1")), control.colibri(create("m5"))];
        let shard_of = |m: &str| control.state().conferences.get(&MeetingId::new(m)).copied();
        assert_eq!((shard_of("m0"), shard_of("m1"), shard_of("m5")), (None, Some(1), Some(0)));
    }

    #[tokio::test]
    async fn commands_are_bounded_and_what_finds_no_room_is_answered_and_forgotten() {
        let (control, _commands, _polls) = stuck(1);
        let at_limit: Vec<_> =
            (0..limits::COMMANDS).map(|n| control.colibri(create(&format!("m{n}")))).collect();
        assert_eq!(control.overflows(), 0);
        let error = control.colibri(create("beyond")).await.unwrap_err();
        assert_eq!((error.condition, control.overflows()), (Condition::ResourceConstraint, 1));
        assert!(!control.knows(&MeetingId::new("beyond")));
        assert_eq!(at_limit.len(), control.state().colibri.len());
    }

    #[tokio::test]
    async fn a_failed_creation_is_forgotten_but_a_conflict_is_not() {
        let (control, _commands, _polls) = stuck(1);
        for (condition, known) in [(Condition::BadRequest, false), (Condition::Conflict, true)] {
            let answer = control.colibri(create("m"));
            let request = *control.state().colibri.keys().next().unwrap();
            let result = Err(Box::new(StanzaError::new(condition)));
            control.handle_event(0, Event::Colibri2Reply { request, result });
            assert_eq!(answer.await.unwrap_err().condition, condition);
            assert_eq!(control.knows(&MeetingId::new("m")), known);
        }
        assert!(control.state().colibri.is_empty());
    }

    #[test]
    fn a_web_socket_that_reads_too_slowly_is_closed() {
        let (control, commands, _polls) = stuck(1);
        let socket = SocketId(7);
        let (orders_tx, _orders) = mpsc::channel(limits::SOCKET_QUEUE);
        control.state().sockets.insert(socket, orders_tx);
        let text = || Event::WebSocketText { socket, text: "{}".to_owned() };
        for _ in 0..limits::SOCKET_QUEUE {
            control.handle_event(0, text());
        }
        assert!(commands[0].try_recv().is_err(), "at the limit");
        control.handle_event(0, text());
        assert!(matches!(commands[0].try_recv(), Ok(Command::WebSocketClosed { socket: SocketId(7) })));
        assert!(control.state().sockets.is_empty());
    }
}
