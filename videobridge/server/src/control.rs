//! The control plane's side of the media threads: requests from XMPP, REST and WebSockets in, commands to the right
//! shard out; the shards' events in, answers to whoever waits out.
//!
//! ```text
//!  XMPP · REST ──colibri()──┐                       ┌── shard 0 (thread)
//!  WebSocket ──socket_*()───┼─ Control ──ShardPort──┼── shard 1
//!  admin ──stats()──────────┘     ▲                 └── …  ──▶ Sockets (what clients get)
//!                                 └───── handle_event(index, event) ◄── bounded channel
//! ```
//!
//! What clients say goes through a queue of its own, in which a socket waits for room. So no client can fill the one that
//! the focus uses.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jitsi_xmpp::colibri2::{Colibri2Error, ConferenceModified, ConferenceModify, ErrorReason};
use jitsi_xmpp::ids::{EndpointId, MeetingId};
use jitsi_xmpp::{Condition, Sensitive, StanzaError};
use tokio::sync::{mpsc, oneshot};
use videobridge_core::{Asked, Command, Event, RequestId, ShardStats, SocketId};

use crate::limits;
use crate::shards::Order;
use crate::sockets::{Outbound, Sockets};

/// How the control plane reaches one media thread.
#[derive(Debug, Clone)]
pub(crate) struct ShardPort {
    orders: SyncSender<Order>,
    /// From clients, by WebSocket.
    clients: mpsc::Sender<Command>,
    waker: Arc<mio::Waker>,
}

impl ShardPort {
    /// A way to a media thread, and the thread's ends of it.
    pub(crate) fn open(waker: Arc<mio::Waker>) -> (Self, Receiver<Order>, mpsc::Receiver<Command>) {
        let (orders, ordered) = sync_channel(limits::COMMANDS);
        let (clients, said) = mpsc::channel(limits::FROM_CLIENTS);
        (Self { orders, clients, waker }, ordered, said)
    }

    /// Hands over an order and wakes the thread; `false` when its queue is full or it is gone.
    fn send(&self, order: Order) -> bool {
        match self.orders.try_send(order) {
            Ok(()) => self.waker.wake().is_ok(),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Hands over what a client said, as soon as there is room; `false` when the thread is gone.
    pub(crate) async fn send_for_client(&self, command: Command) -> bool {
        self.clients.send(command).await.is_ok() && self.waker.wake().is_ok()
    }
}

/// A conference that is gone because of a fault here, or that does not reach another bridge, and who had asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) meeting: MeetingId,
    /// The conference goes on, and does not reach this bridge.
    pub(crate) relay: Option<String>,
    /// The conference goes on, and has lost these.
    pub(crate) endpoints: Vec<EndpointId>,
    pub(crate) asked_by: String,
}

/// Where a conference is.
#[derive(Debug, Clone)]
struct Place {
    shard: usize,
    /// The address that asked for it last; `None`: over HTTP.
    asked_by: Option<String>,
}

/// What shards tell of conferences: JSON by our ids.
pub(crate) type Conferences = serde_json::Map<String, serde_json::Value>;

/// A shard's answer to come.
type Answer = oneshot::Receiver<Result<ConferenceModified, StanzaError>>;

/// An accepted bridge-channel WebSocket.
#[derive(Debug)]
pub(crate) struct AcceptedSocket {
    pub(crate) id: SocketId,
    pub(crate) outbound: Arc<Outbound>,
    pub(crate) shard: usize,
}

/// The control plane. One per process; shared.
#[derive(Debug)]
pub(crate) struct Control {
    ports: Vec<ShardPort>,
    sockets: Arc<Sockets>,
    next: AtomicU64,
    state: Mutex<State>,
    /// Who has to be told that a conference failed.
    failures: mpsc::Sender<Failure>,
    /// Commands that found a shard's queue full.
    overflows: AtomicU64,
    /// How bridge-channel WebSockets ended: as they should, in another way, with an error.
    closed: [AtomicU64; 3],
}

/// How a bridge-channel WebSocket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketEnd {
    /// With a close that says so.
    Normal,
    /// With another close, or given up by us.
    Abnormal,
    /// Its connection broke.
    Broken,
}

#[derive(Debug, Default)]
struct State {
    /// Which shard has the conference, and how many conferences each shard has.
    conferences: HashMap<MeetingId, Place>,
    colibri: HashMap<RequestId, oneshot::Sender<Result<ConferenceModified, StanzaError>>>,
    stats: HashMap<RequestId, oneshot::Sender<ShardStats>>,
    debug: HashMap<RequestId, oneshot::Sender<Conferences>>,
    opening: HashMap<SocketId, oneshot::Sender<bool>>,
}

impl Control {
    /// Also returns what has to be told to those who asked for conferences.
    pub(crate) fn new(ports: Vec<ShardPort>, sockets: Arc<Sockets>) -> (Self, mpsc::Receiver<Failure>) {
        let (failures, failed) = mpsc::channel(limits::FAILURES);
        let this = Self {
            ports,
            sockets,
            next: AtomicU64::new(1),
            state: Mutex::default(),
            failures,
            overflows: AtomicU64::new(0),
            closed: Default::default(),
        };
        (this, failed)
    }

    /// Has the conference's shard do what the focus wants. A new conference goes to the shard with the fewest. The
    /// request is on its way when this returns, so requests are handled in the order of the calls. `asked_by` is told
    /// when the conference fails.
    pub(crate) fn colibri(
        self: &Arc<Self>,
        modify: ConferenceModify,
        asked_by: Option<String>,
    ) -> impl Future<Output = Result<ConferenceModified, StanzaError>> + Send + use<> {
        let this = Arc::clone(self);
        let request = RequestId(self.number());
        let (meeting, create) = (modify.meeting_id.clone(), modify.create);
        let sent = self.request(request, modify, asked_by);
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

    fn request(
        &self,
        request: RequestId,
        modify: ConferenceModify,
        asked_by: Option<String>,
    ) -> Result<Answer, StanzaError> {
        let (answer, wait) = oneshot::channel();
        let (shard, new) = {
            let mut state = self.state();
            let known = state.conferences.get(&modify.meeting_id).map(|p| p.shard);
            let Some(shard) = known.or_else(|| modify.create.then(|| self.emptiest(&state))) else {
                return Err(Colibri2Error::new(ErrorReason::ConferenceNotFound)
                    .add_to(StanzaError::new(Condition::ItemNotFound)));
            };
            // Noted now, so that the next request of the same conference finds it before the shard has answered.
            state.conferences.insert(modify.meeting_id.clone(), Place { shard, asked_by });
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

    /// Asks the conference's shard to take a WebSocket as bridge channel; `None`: refused. A client may hang up
    /// meanwhile, and then nobody waits for this any more: it is seen to its end by a task of its own.
    pub(crate) async fn socket_open(
        self: &Arc<Self>,
        conference: String,
        endpoint: EndpointId,
        password: Sensitive<String>,
    ) -> Option<AcceptedSocket> {
        let (answer, wait) = oneshot::channel();
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let opened = this.open_to_the_end(conference, endpoint, password).await;
            if let Err(Some(socket)) = answer.send(opened) {
                this.socket_closed(&socket).await;
            }
        });
        wait.await.ok().flatten()
    }

    async fn open_to_the_end(
        &self,
        conference: String,
        endpoint: EndpointId,
        password: Sensitive<String>,
    ) -> Option<AcceptedSocket> {
        let shard = usize::from(videobridge_core::shard_of_conference(&conference)?);
        let id = SocketId(self.number());
        let port = self.ports.get(shard)?;
        let (decision, decided) = oneshot::channel();
        {
            let mut state = self.state();
            if state.opening.len() >= limits::SOCKETS_OPENING {
                return None;
            }
            state.opening.insert(id, decision);
        }
        let outbound = self.sockets.add(id);
        let open = Command::WebSocketOpen { socket: id, conference, endpoint, password };
        let wait = tokio::time::timeout(limits::ANSWER_WAIT, async {
            port.send_for_client(open).await && matches!(decided.await, Ok(true))
        });
        let result = wait.await;
        let accepted = result == Ok(true);
        self.state().opening.remove(&id);
        if accepted {
            return Some(AcceptedSocket { id, outbound, shard });
        }
        self.sockets.remove(id);
        if result.is_err() {
            // The shard may accept it yet.
            port.send_for_client(Command::WebSocketClosed { socket: id }).await;
        }
        None
    }

    /// A text frame arrived. Waits for room.
    pub(crate) async fn socket_text(&self, socket: &AcceptedSocket, text: String) -> bool {
        self.send_for_client(socket, Command::WebSocketText { socket: socket.id, text }).await
    }

    /// The WebSocket is gone.
    pub(crate) async fn socket_closed(&self, socket: &AcceptedSocket) {
        if self.sockets.remove(socket.id) {
            self.send_for_client(socket, Command::WebSocketClosed { socket: socket.id }).await;
        }
    }

    async fn send_for_client(&self, socket: &AcceptedSocket, command: Command) -> bool {
        match self.ports.get(socket.shard) {
            Some(port) => port.send_for_client(command).await,
            None => false,
        }
    }

    /// Hands each media thread an order of its own, in the order of their numbers.
    pub(crate) fn order_all(&self, orders: impl IntoIterator<Item = Order>) {
        for (shard, order) in orders.into_iter().enumerate() {
            self.order(shard, order);
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

    /// What the shards that answer in time are at.
    pub(crate) async fn debug(&self, asked: &Asked) -> Conferences {
        let mut waits = Vec::with_capacity(self.ports.len());
        for shard in 0..self.ports.len() {
            let request = RequestId(self.number());
            let (answer, wait) = oneshot::channel();
            self.state().debug.insert(request, answer);
            self.send(shard, Command::Debug { request, asked: asked.clone() });
            waits.push((request, wait));
        }
        let mut all = Conferences::new();
        for (request, wait) in waits {
            if let Ok(Ok(conferences)) = tokio::time::timeout(limits::ANSWER_WAIT, wait).await {
                videobridge_core::join_parts(&mut all, conferences);
            }
            self.state().debug.remove(&request);
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
            Event::Debug { request, conferences } => {
                if let Some(waiting) = state.debug.remove(&request) {
                    let _ = waiting.send(*conferences);
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
            Event::ConferenceCreated { meeting } => {
                state.conferences.entry(meeting).or_insert(Place { shard, asked_by: None }).shard = shard;
            }
            Event::ConferenceExpired { meeting } => {
                state.conferences.remove(&meeting);
            }
            Event::ConferenceFailed { meeting } => {
                let place = state.conferences.remove(&meeting);
                self.tell_failure(place.as_ref(), meeting, None, Vec::new());
            }
            Event::RelayFailed { meeting, relay } => {
                self.tell_failure(state.conferences.get(&meeting), meeting, Some(relay), Vec::new());
            }
            Event::EndpointsFailed { meeting, endpoints } => {
                self.tell_failure(state.conferences.get(&meeting), meeting, None, endpoints);
            }
            // The media threads pass these on themselves.
            Event::AddressBound { .. }
            | Event::AddressReleased { .. }
            | Event::RelaySocketsWanted
            | Event::RelaySocketsReleased(_)
            | Event::PartNews { .. }
            | Event::WebSocketMessage { .. }
            | Event::CloseWebSocket { .. }
            | Event::ServiceWanted { .. }
            | Event::ServiceSources { .. }
            | Event::ServiceAudio { .. }
            | Event::ServiceLetGo { .. }
            | Event::RelayChannelWanted { .. }
            | Event::RelayChannelLetGo { .. } => {}
        }
    }

    fn tell_failure(
        &self,
        place: Option<&Place>,
        meeting: MeetingId,
        relay: Option<String>,
        endpoints: Vec<EndpointId>,
    ) {
        if let Some(asked_by) = place.and_then(|place| place.asked_by.clone()) {
            // When nobody takes them there is no link, and whoever asked finds out by itself.
            let _ = self.failures.try_send(Failure { meeting, relay, endpoints, asked_by });
        }
    }

    /// A bridge-channel WebSocket ended.
    pub(crate) fn count_end(&self, end: SocketEnd) {
        if let Some(n) = self.closed.get(end as usize) {
            n.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many ended normally, otherwise, broken.
    pub(crate) fn closed_sockets(&self) -> [u64; 3] {
        self.closed.each_ref().map(|n| n.load(Ordering::Relaxed))
    }

    /// Commands lost because a shard's queue was full.
    pub(crate) fn overflows(&self) -> u64 {
        self.overflows.load(Ordering::Relaxed)
    }

    fn emptiest(&self, state: &State) -> usize {
        let mut load = vec![0_usize; self.ports.len()];
        for place in state.conferences.values() {
            if let Some(n) = load.get_mut(place.shard) {
                *n += 1;
            }
        }
        load.iter().enumerate().min_by_key(|(_, n)| **n).map_or(0, |(i, _)| i)
    }

    fn send(&self, shard: usize, command: Command) -> bool {
        self.order(shard, Order::Command(command))
    }

    pub(crate) fn order(&self, shard: usize, order: Order) -> bool {
        let sent = self.ports.get(shard).is_some_and(|p| p.send(order));
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
    use std::pin::Pin;

    use super::*;

    /// Control planes of shards whose threads never take anything.
    fn stuck(shards: usize) -> (Arc<Control>, Vec<Receiver<Order>>, Vec<mio::Poll>) {
        let (mut ports, mut commands, mut polls) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..shards {
            let poll = mio::Poll::new().unwrap();
            let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
            let (port, orders, _) = ShardPort::open(waker);
            ports.push(port);
            commands.push(orders);
            polls.push(poll);
        }
        (Arc::new(Control::new(ports, Arc::default()).0), commands, polls)
    }

    fn create(meeting: &str) -> ConferenceModify {
        ConferenceModify { create: true, ..ConferenceModify::new(MeetingId::new(meeting)) }
    }

    #[test]
    fn new_conferences_go_where_there_are_fewest_and_stay_there() {
        let (control, commands, _polls) = stuck(2);
        let waiting: Vec<_> = (0..4).map(|n| control.colibri(create(&format!("m{n}")), None)).collect();
        assert!(commands.iter().all(|c| c.try_iter().count() == 2));
        drop(waiting);
        control.handle_event(0, Event::ConferenceExpired { meeting: MeetingId::new("m0") });
        let _again = [control.colibri(create("m1"), None), control.colibri(create("m5"), None)];
        let shard_of = |m: &str| control.state().conferences.get(&MeetingId::new(m)).map(|p| p.shard);
        assert_eq!((shard_of("m0"), shard_of("m1"), shard_of("m5")), (None, Some(1), Some(0)));
    }

    #[tokio::test]
    async fn commands_are_bounded_and_what_finds_no_room_is_answered_and_forgotten() {
        let (control, _commands, _polls) = stuck(1);
        let at_limit: Vec<_> =
            (0..limits::COMMANDS).map(|n| control.colibri(create(&format!("m{n}")), None)).collect();
        assert_eq!(control.overflows(), 0);
        let error = control.colibri(create("beyond"), None).await.unwrap_err();
        assert_eq!((error.condition, control.overflows()), (Condition::ResourceConstraint, 1));
        assert!(!control.knows(&MeetingId::new("beyond")));
        assert_eq!(at_limit.len(), control.state().colibri.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_that_does_not_answer_is_waited_for_so_long_and_not_longer() {
        let (control, _commands, _polls) = stuck(1);
        let waits = async |asked: Pin<Box<dyn Future<Output = ()>>>| {
            let start = tokio::time::Instant::now();
            asked.await;
            assert_eq!(start.elapsed().as_secs(), limits::ANSWER_WAIT.as_secs());
        };
        let this = Arc::clone(&control);
        waits(Box::pin(async move {
            let error = this.colibri(create("m"), None).await.unwrap_err();
            assert_eq!(error.condition, Condition::InternalServerError);
        }))
        .await;
        let this = Arc::clone(&control);
        waits(Box::pin(async move { assert!(this.stats().await.is_empty()) })).await;
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        // There is room for what a client says, and nobody takes it.
        let (port, _orders, _clients) = ShardPort::open(waker);
        let (control, _failures) = Control::new(vec![port], Arc::default());
        waits(Box::pin(async move {
            let control = Arc::new(control);
            assert!(open(&control).await.unwrap().is_none());
            assert!(control.state().opening.is_empty());
        }))
        .await;
    }

    #[tokio::test]
    async fn a_failed_creation_is_forgotten_but_a_conflict_is_not() {
        let (control, _commands, _polls) = stuck(1);
        for (condition, known) in [(Condition::BadRequest, false), (Condition::Conflict, true)] {
            let answer = control.colibri(create("m"), None);
            let request = *control.state().colibri.keys().next().unwrap();
            let result = Err(Box::new(StanzaError::new(condition)));
            control.handle_event(0, Event::Colibri2Reply { request, result });
            assert_eq!(answer.await.unwrap_err().condition, condition);
            assert_eq!(control.knows(&MeetingId::new("m")), known);
        }
        assert!(control.state().colibri.is_empty());
    }

    #[tokio::test]
    async fn who_asked_for_a_conference_is_told_when_it_fails() {
        let (control, mut failures) = Control::new(Vec::new(), Arc::default());
        let place = |asked_by: Option<&str>| Place { shard: 0, asked_by: asked_by.map(str::to_owned) };
        for (meeting, asked_by) in [("by-http", None), ("by-focus", Some("brewery/focus"))] {
            let meeting = MeetingId::new(meeting);
            control.state().conferences.insert(meeting.clone(), place(asked_by));
            control.handle_event(0, Event::ConferenceFailed { meeting });
        }
        assert!(control.state().conferences.is_empty());
        let told = failures.try_recv().unwrap();
        assert_eq!((told.meeting.as_str(), told.asked_by.as_str()), ("by-focus", "brewery/focus"));
        assert!(failures.try_recv().is_err());
        // One that only does not reach another bridge goes on.
        let meeting = MeetingId::new("wide");
        control.state().conferences.insert(meeting.clone(), place(Some("brewery/focus")));
        control.handle_event(0, Event::RelayFailed { meeting, relay: "jvb2".into() });
        assert_eq!(failures.try_recv().unwrap().relay.as_deref(), Some("jvb2"));
        assert_eq!(control.state().conferences.len(), 1);
    }

    #[tokio::test]
    async fn a_flood_of_clients_waits_and_takes_no_place_of_the_focus() {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (port, orders, mut clients) = ShardPort::open(waker);
        let (control, _failures) = Control::new(vec![port], Arc::default());
        let control = Arc::new(control);
        let flood = tokio::spawn({
            let control = Arc::clone(&control);
            async move {
                let socket = AcceptedSocket { id: SocketId(7), outbound: Arc::default(), shard: 0 };
                for _ in 0..=limits::FROM_CLIENTS {
                    assert!(control.socket_text(&socket, "{}".to_owned()).await);
                }
            }
        });
        while clients.len() < limits::FROM_CLIENTS {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        assert_eq!(clients.len(), limits::FROM_CLIENTS);
        let _asked = control.colibri(create("m"), None);
        assert!(matches!(orders.try_recv(), Ok(Order::Command(Command::Colibri2 { .. }))));
        assert!(!flood.is_finished(), "it waits for room");
        for _ in 0..=limits::FROM_CLIENTS {
            clients.recv().await.unwrap();
        }
        flood.await.unwrap();
        assert_eq!(control.overflows(), 0);
    }

    /// A control plane whose only shard is played by the test.
    fn played() -> (Arc<Control>, mpsc::Receiver<Command>, mpsc::Receiver<Failure>, mio::Poll) {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (clients_tx, clients) = mpsc::channel(2 * limits::SOCKETS_OPENING);
        let port = ShardPort { orders: sync_channel(1).0, clients: clients_tx, waker };
        let (control, failures) = Control::new(vec![port], Arc::default());
        (Arc::new(control), clients, failures, poll)
    }

    /// The id of a conference of the first shard.
    fn conference() -> String {
        let mut ids = (0_u32..).map(|n| format!("{n:016}"));
        ids.find(|id| videobridge_core::shard_of_conference(id) == Some(0)).unwrap()
    }

    fn open(control: &Arc<Control>) -> tokio::task::JoinHandle<Option<AcceptedSocket>> {
        let control = Arc::clone(control);
        let password = Sensitive::new("guess".to_owned());
        tokio::spawn(async move { control.socket_open(conference(), EndpointId::new("a"), password).await })
    }

    #[tokio::test]
    async fn a_client_that_hung_up_while_its_web_socket_was_opened_was_remembered_for_good() {
        let (control, mut clients, _failures, _poll) = played();
        for accepted in [false, true] {
            let opening = open(&control);
            let Some(Command::WebSocketOpen { socket, .. }) = clients.recv().await else { panic!() };
            opening.abort();
            assert!(opening.await.is_err());
            control.handle_event(
                0,
                if accepted {
                    Event::WebSocketAccepted { socket }
                } else {
                    Event::WebSocketRefused { socket }
                },
            );
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            assert!(control.state().opening.is_empty());
            assert!(!control.sockets.remove(socket), "accepted: {accepted}");
            if accepted {
                let closed = clients.try_recv().unwrap();
                assert!(matches!(closed, Command::WebSocketClosed { socket: s } if s == socket));
            }
        }
    }

    #[tokio::test]
    async fn web_sockets_that_are_being_opened_have_a_limit() {
        let (control, mut clients, _failures, _poll) = played();
        let waiting: Vec<_> = (0..limits::SOCKETS_OPENING).map(|_| open(&control)).collect();
        let mut asked = Vec::new();
        for _ in 0..limits::SOCKETS_OPENING {
            let Some(Command::WebSocketOpen { socket, .. }) = clients.recv().await else { panic!() };
            asked.push(socket);
        }
        assert!(open(&control).await.unwrap().is_none(), "one beyond is refused at once");
        for socket in asked {
            control.handle_event(0, Event::WebSocketAccepted { socket });
        }
        for one in waiting {
            assert!(one.await.unwrap().is_some(), "at the limit");
        }
        let again = open(&control);
        let Some(Command::WebSocketOpen { socket, .. }) = clients.recv().await else { panic!() };
        control.handle_event(0, Event::WebSocketAccepted { socket });
        assert!(again.await.unwrap().is_some(), "there is room again");
    }

    #[tokio::test]
    async fn failures_that_wait_to_be_told_have_a_limit_and_their_conferences_are_gone_anyway() {
        let (control, mut failures) = Control::new(Vec::new(), Arc::default());
        for n in 0..=limits::FAILURES {
            let meeting = MeetingId::new(format!("m{n}"));
            let place = Place { shard: 0, asked_by: Some("brewery/focus".to_owned()) };
            control.state().conferences.insert(meeting.clone(), place);
            control.handle_event(0, Event::ConferenceFailed { meeting });
        }
        assert!(control.state().conferences.is_empty());
        let told: Vec<_> = std::iter::from_fn(|| failures.try_recv().ok()).collect();
        assert_eq!(told.len(), limits::FAILURES, "one beyond finds out with its next request");
        assert_eq!(told.last().unwrap().meeting.as_str(), format!("m{}", limits::FAILURES - 1));
    }
}
