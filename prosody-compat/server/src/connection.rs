//! One connection between its transport's task and the server: bounded both ways, and dropped rather than waited
//! for when it reads too slowly.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use prosody_core::{CloseReason, ConnId, Frame, FramingError, SessionQuery, Transport};
use tokio::sync::{Notify, mpsc};

use crate::backlog::{Backlog, Charge};
use crate::limits;
use crate::outlet::{Outlet, Refused, Word};
use crate::owner::{Input, Shared};
use crate::peers::{Partial, Place};
use crate::rate::Pace;

/// What the server asks of a connection, in order.
#[derive(Debug)]
pub(crate) enum Order {
    Send(Frame),
    StartTls,
    ResetStream,
    StanzaLimit(usize),
    /// Read nothing for so long.
    Pause(Duration),
    /// Everything before is to be written first.
    Close(CloseReason),
}

/// The way from a transport to the server. Dropping it tells the server that the connection is gone.
#[derive(Debug)]
pub(crate) struct Line {
    id: ConnId,
    shared: Arc<Shared>,
    place: Place,
}

/// The end of a transport that takes orders from a queue.
#[derive(Debug)]
pub(crate) struct Connection {
    line: Line,
    orders: mpsc::Receiver<Waiting>,
    gauge: Arc<Gauge>,
}

/// The server's end.
pub(crate) enum Sink {
    /// The transport's task takes the orders.
    Queue(Queue),
    /// The server writes to the socket itself.
    Outlet(Arc<Outlet>),
}

/// An order in the queue. The charge is given back before the frame is.
type Waiting = (Option<Charge>, Order);

#[derive(Debug)]
pub(crate) struct Queue {
    orders: mpsc::Sender<Waiting>,
    gauge: Arc<Gauge>,
    backlog: Option<Arc<Backlog>>,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Gauge {
    /// Bytes waiting to be taken by the transport.
    waiting: AtomicUsize,
    dropped: Notify,
}

/// The connection reads too slowly, or is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Line {
    /// Announces a new connection to the server, which sends to `sink`.
    pub(crate) async fn open(
        shared: &Arc<Shared>,
        mut place: Place,
        transport: Transport,
        query: SessionQuery,
        sink: Sink,
    ) -> Self {
        let id = shared.next_id();
        let stranger = place.take_stranger();
        let line = Self { id, shared: Arc::clone(shared), place };
        line.input(Input::Open { id, transport, query: Box::new(query), sink, stranger }).await;
        line
    }

    /// Hands a frame to the server; waits while the server, this connection or its address is behind. Cancelling loses
    /// the frame.
    pub(crate) async fn frame(&self, bytes: Bytes) {
        // The share travels with the frame and is given back when the server has handled it.
        let Some(share) = self.place.share(bytes.len()).await else { return };
        self.input(Input::Frame { id: self.id, bytes, _share: share }).await;
    }

    /// How fast it may send.
    pub(crate) fn pace(&self) -> Pace {
        self.place.pace()
    }

    /// For what has been received of a frame that is not complete.
    pub(crate) fn partial(&self) -> Partial {
        self.place.partial()
    }

    /// Reports that the transport's framing is broken.
    pub(crate) async fn framing_error(&self, error: FramingError) {
        self.input(Input::FramingError { id: self.id, error }).await;
    }

    /// Reports that the TLS handshake is done.
    pub(crate) async fn tls(&self) {
        self.input(Input::Tls { id: self.id }).await;
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    async fn input(&self, input: Input) {
        // Fails only when the server has stopped; then `order` says so as well.
        let _ = self.shared.inputs.send(input).await;
    }
}

impl Connection {
    /// Announces a new connection to the server.
    pub(crate) async fn open(
        shared: &Arc<Shared>,
        place: Place,
        transport: Transport,
        query: SessionQuery,
    ) -> Self {
        // A role of the same process cannot come back by itself: it gets more room before it counts as stuck.
        let room = if matches!(transport, Transport::InProcess(_)) { limits::IN_PROCESS_ROOM } else { 1 };
        let (tx, orders) = mpsc::channel(limits::OUTPUTS * room);
        let gauge = Arc::new(Gauge::default());
        let queue = Queue {
            orders: tx,
            gauge: Arc::clone(&gauge),
            backlog: place.backlog(),
            max_bytes: shared.max_send_backlog * room,
        };
        let line = Line::open(shared, place, transport, query, Sink::Queue(queue)).await;
        Self { line, orders, gauge }
    }

    /// The next order; `None`: the server has stopped or has dropped this connection. Cancel-safe.
    pub(crate) async fn order(&mut self) -> Option<Order> {
        let order = tokio::select! {
            biased;
            () = self.gauge.dropped.notified() => None,
            order = self.orders.recv() => order,
        };
        self.taken(order)
    }

    /// The next order, if there is one already.
    pub(crate) fn try_order(&mut self) -> Option<Order> {
        let order = self.orders.try_recv().ok();
        self.taken(order)
    }

    /// Resolves when the server has dropped this connection because it reads too slowly.
    pub(crate) fn dropped(&self) -> impl Future<Output = ()> + use<> {
        let gauge = Arc::clone(&self.gauge);
        async move { gauge.dropped.notified().await }
    }

    fn taken(&self, waiting: Option<Waiting>) -> Option<Order> {
        let (_given_back, order) = waiting?;
        if let Order::Send(frame) = &order {
            self.gauge.waiting.fetch_sub(frame.len(), Ordering::Relaxed);
        }
        Some(order)
    }
}

impl Deref for Connection {
    type Target = Line;

    fn deref(&self) -> &Line {
        &self.line
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let closed = Input::Closed { id: self.id };
        if let Err(mpsc::error::TrySendError::Full(closed)) = self.shared.inputs.try_send(closed)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let inputs = self.shared.inputs.clone();
            runtime.spawn(async move {
                let _ = inputs.send(closed).await;
            });
        }
    }
}

impl Sink {
    /// Queues an order; `Err`: the connection reads too slowly (or is gone) and must be forgotten. An outlet that has
    /// to be flushed afterwards is put on the list.
    pub(crate) fn order(&self, order: Order, list: &mut Vec<Arc<Outlet>>) -> Result<(), Full> {
        let outlet = match self {
            Self::Queue(queue) => return queue.order(order),
            Self::Outlet(outlet) => outlet,
        };
        match order {
            Order::Send(frame) => {
                let pushed = outlet.push(frame).or_else(|Refused(frame)| {
                    // It may be our own fault: nothing has been written since this burst began.
                    outlet.flush();
                    outlet.push(frame)
                });
                if pushed.map_err(|_| Full)? {
                    list.push(Arc::clone(outlet));
                }
            }
            Order::Close(reason) => {
                tracing::debug!(reason = reason.reason(), "websocket closed by the server");
                outlet.end(Word::Closed);
            }
            Order::Pause(wait) => outlet.pause(wait),
            Order::StanzaLimit(max_bytes) => outlet.take_frames_of(max_bytes),
            Order::StartTls | Order::ResetStream => {}
        }
        Ok(())
    }

    /// Whether the transport is still there; if not, being unable to send is no fault of its reader.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Queue(queue) => queue.orders.is_closed(),
            Self::Outlet(outlet) => outlet.has_left(),
        }
    }

    /// Makes the transport end at once, whatever it is waiting for.
    pub(crate) fn drop_now(&self) {
        match self {
            Self::Queue(queue) => queue.gauge.dropped.notify_one(),
            Self::Outlet(outlet) => outlet.end(Word::Dropped),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Self::Outlet(outlet) = self {
            outlet.end(Word::Stopped);
        }
    }
}

impl Queue {
    fn order(&self, order: Order) -> Result<(), Full> {
        let mut charge = None;
        if let Order::Send(frame) = &order {
            let before = self.gauge.waiting.fetch_add(frame.len(), Ordering::Relaxed);
            if before + frame.len() > self.max_bytes {
                return Err(Full);
            }
            if let Some(backlog) = self.backlog.as_ref().filter(|_| before > limits::BACKLOG_FREE) {
                charge = Some(backlog.frame(frame).map_err(|_| Full)?);
            }
        }
        self.orders.try_send((charge, order)).map_err(|_| Full)
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Queue(_) => "Queue",
            Self::Outlet(_) => "Outlet",
        })
    }
}

#[cfg(test)]
mod tests {
    use prosody_core::Limits;
    use tokio::sync::watch;

    use super::*;

    #[tokio::test]
    async fn so_many_frames_wait_for_a_connection_and_for_a_role_of_this_process_and_not_one_more() {
        let (_stop, stopped) = watch::channel(false);
        let (shared, mut inputs) = Shared::new(&Limits::default(), stopped);
        let focus = "focus@auth.meet.jitsi/focus".parse().unwrap();
        for (transport, room) in
            [(Transport::Bosh, 1), (Transport::InProcess(focus), limits::IN_PROCESS_ROOM)]
        {
            let place = shared.own_place();
            let open = Connection::open(&shared, place, transport, SessionQuery::default()).await;
            let Some(Input::Open { sink, .. }) = inputs.recv().await else { panic!("not announced") };
            let mut list = Vec::new();
            let mut send = |bytes: Vec<u8>| sink.order(Order::Send(Frame::whole(bytes)), &mut list);
            assert!((0..limits::OUTPUTS * room).all(|_| send(vec![b'x']).is_ok()));
            assert_eq!(send(vec![b'x']), Err(Full));
            drop(open);
            let _ = inputs.recv().await;
        }
    }

    #[tokio::test]
    async fn so_many_frames_wait_for_the_server_and_not_one_more() {
        let (_stop, stopped) = watch::channel(false);
        let (shared, mut inputs) = Shared::new(&Limits::default(), stopped);
        let frame = || shared.inputs.try_send(Input::Tls { id: ConnId(1) }).is_ok();
        assert!((0..limits::INPUTS).all(|_| frame()));
        assert!(!frame());
        drop(inputs.recv().await);
        assert!(frame());
    }

    #[tokio::test]
    async fn so_many_bytes_wait_for_a_connection_and_not_one_more() {
        let (_stop, stopped) = watch::channel(false);
        let core = Limits { max_send_backlog_bytes: 100_000, ..Limits::default() };
        let (shared, mut inputs) = Shared::new(&core, stopped);
        let place = shared.admit(budget::Network::of([192, 0, 2, 1].into())).unwrap();
        let backlog = place.backlog().unwrap();
        let mut open = Connection::open(&shared, place, Transport::Bosh, SessionQuery::default()).await;
        let Some(Input::Open { sink, .. }) = inputs.recv().await else { panic!("not announced") };
        let send = |bytes| sink.order(Order::Send(Frame::whole(vec![b'x'; bytes])), &mut Vec::new());
        assert_eq!((send(60_000), send(40_000)), (Ok(()), Ok(())));
        assert_eq!(send(1), Err(Full));
        // The second one counts for the address until it is taken.
        assert!(backlog.frame(&Frame::whole(vec![b'x'; limits::ADDRESS_BACKLOG - 30_000])).is_err());
        while open.try_order().is_some() {}
        assert!(backlog.frame(&Frame::whole(vec![b'x'; limits::ADDRESS_BACKLOG - 30_000])).is_ok());
    }
}
