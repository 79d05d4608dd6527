//! A link's life: connect, carry stanzas until the connection is lost, wait, connect again.

use std::time::Duration;

use jitsi_xmpp::xml::StreamItem;
use jitsi_xmpp::{Element, FullJid, ns};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{self, MissedTickBehavior};

use crate::backoff::Backoff;
use crate::error::LinkError;
use crate::handshake::{self, Session};
use crate::in_process::refusal;
use crate::inbox::{Inbox, Outside};
use crate::outbox::Outgoing;
use crate::sm::StreamManagement;
use crate::stream::{self, XmlStream};
use crate::{LinkConfig, LinkEvent, Resumption, limits};

/// A session that can be resumed after its connection was lost.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) jid: FullJid,
    pub(crate) sm: StreamManagement,
    /// Somebody else began it.
    pub(crate) inherited: bool,
}

/// What a link's user says to its task.
#[derive(Debug)]
pub(crate) struct Orders {
    /// The session is somebody else's from now on.
    pub(crate) stop: watch::Receiver<bool>,
    /// What was done about so many received stanzas is kept. `None`: nothing is kept, and all count as handled.
    pub(crate) kept: watch::Receiver<Option<u32>>,
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could say it is gone: that ends the link in another way.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What is left of a link that is handed over.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Received, and not yet seen by the link's user.
    pub(crate) stanzas: Vec<Element>,
    pub(crate) session: Option<Resumption>,
}

impl Left {
    fn of(kept: Option<Kept>, stanzas: Vec<Element>, outgoing: &mut Outgoing) -> Self {
        let Some(Kept { jid, mut sm, .. }) = kept else { return Self { stanzas, session: None } };
        while let Some(stanza) = outgoing.try_recv() {
            if !stanza.is_empty() {
                sm.sent(stanza);
            }
        }
        Self { stanzas, session: sm.resumption(&jid) }
    }
}

pub(crate) async fn run(
    config: LinkConfig,
    mut outgoing: Outgoing,
    events: mpsc::Sender<LinkEvent>,
    mut orders: Orders,
    mut kept: Option<Kept>,
) -> Left {
    if !config.verify_certificate && config.tls != crate::TlsMode::Off {
        tracing::warn!(
            "the XMPP server's certificate is not verified: anyone between this process and the server can read \
             and change everything; fine on loopback and in a private network, nowhere else"
        );
    }
    let mut backoff = Backoff::default();
    let mut reported: Option<String> = None;
    loop {
        let attempt = time::timeout(limits::HANDSHAKE, handshake::connect(&config, &mut kept));
        let outcome = tokio::select! {
            outcome = attempt => outcome.unwrap_or(Err(LinkError::HandshakeTimeout)),
            () = stopped(&mut orders.stop) => return Left::of(kept, Vec::new(), &mut outgoing),
            () = events.closed() => return Left::default(),
        };
        let error = match outcome {
            Err(error) => error,
            Ok(session) => {
                backoff.reset();
                reported = None;
                if !session.resumed {
                    let dropped = outgoing.discard();
                    if dropped > 0 {
                        tracing::debug!(dropped, "stanzas of the earlier session dropped");
                    }
                }
                let up = LinkEvent::Up { jid: session.jid.clone(), resumed: session.resumed };
                tracing::info!(resumed = session.resumed, "XMPP link up");
                if events.send(up).await.is_err() {
                    return Left::default();
                }
                let mut carrier = Carrier::new(&config, session);
                match carrier.carry(&mut outgoing, &events, &mut orders).await {
                    Ok(()) => return Left::default(),
                    Err(LinkError::HandedOver) => {
                        let stanzas = std::iter::from_fn(|| carrier.inbox.take()).collect();
                        return Left::of(carrier.into_kept(), stanzas, &mut outgoing);
                    }
                    Err(error) => {
                        // The server has been told that these are handled; a resumed session does not bring them again.
                        while let Some(stanza) = carrier.inbox.take() {
                            if events.send(LinkEvent::Stanza(stanza)).await.is_err() {
                                return Left::default();
                            }
                        }
                        kept = carrier.into_kept();
                        error
                    }
                }
            }
        };
        let reason = error.to_string();
        tracing::warn!(reason, "XMPP link down");
        // Once per outage and reason: every attempt fails for the same one.
        if reported.as_ref() != Some(&reason) {
            reported = Some(reason.clone());
            if events.send(LinkEvent::Down { reason }).await.is_err() {
                return Left::default();
            }
        }
        let mut pause = backoff.next(random());
        if kept.is_some() {
            pause = pause.min(limits::BACKOFF_RESUMABLE);
        }
        tokio::select! {
            () = time::sleep(pause) => {}
            () = stopped(&mut orders.stop) => return Left::of(kept, Vec::new(), &mut outgoing),
            () = events.closed() => return Left::default(),
        }
    }
}

fn random() -> u16 {
    let mut b = [0; 2];
    // Without randomness the wait is the shortest; that is no reason to end the link.
    let _ = aws_lc_rs::rand::fill(&mut b);
    u16::from_be_bytes(b)
}

/// Carries one connection's stanzas.
struct Carrier {
    stream: Option<XmlStream>,
    jid: FullJid,
    domain: String,
    sm: Option<StreamManagement>,
    /// Received, not yet taken by the link's user. Reading pauses when it is full.
    inbox: Inbox<Element>,
    shed: u64,
    /// To be written.
    unwritten: Vec<u8>,
    written: usize,
    flush: bool,
    /// Something arrived since the last tick.
    heard: bool,
    /// The id of the last ping.
    ping: Option<String>,
    /// What was said up to the moment that the link's user wants to keep; told when it has seen all that came.
    mark: Option<Resumption>,
}

impl Carrier {
    fn new(config: &LinkConfig, session: Session) -> Self {
        let mut unwritten = Vec::new();
        if session.resumed
            && let Some(sm) = &session.sm
        {
            for stanza in sm.resend() {
                unwritten.extend_from_slice(stanza);
            }
        }
        let mut inbox = Inbox::default();
        for stanza in session.early {
            let _ = inbox.put(OWN, 0, stanza);
        }
        Self {
            stream: Some(session.stream),
            jid: session.jid,
            domain: config.domain.clone(),
            sm: session.sm,
            inbox,
            shed: 0,
            unwritten,
            written: 0,
            flush: false,
            heard: true,
            ping: None,
            mark: None,
        }
    }

    fn into_kept(self) -> Option<Kept> {
        let sm = self.sm.filter(|sm| sm.id.is_some())?;
        Some(Kept { jid: self.jid, sm, inherited: false })
    }

    /// Runs until the connection is lost, or until the link's user is gone (`Ok`).
    async fn carry(
        &mut self,
        outgoing: &mut Outgoing,
        events: &mpsc::Sender<LinkEvent>,
        orders: &mut Orders,
    ) -> Result<(), LinkError> {
        let Some(XmlStream { io, mut splitter }) = self.stream.take() else { return Ok(()) };
        let (mut reader, mut writer) = tokio::io::split(io);
        let mut chunk = vec![0; limits::READ_CHUNK];
        let mut tick = time::interval_at(time::Instant::now() + limits::PING_EVERY, limits::PING_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if let Some(sm) = &mut self.sm {
            // Where it is inherited, so much was kept.
            sm.kept = orders.kept.borrow_and_update().map(|_| sm.received);
        }
        // The handshake may have read further than it needed.
        let early = drain(&mut splitter)?;
        self.received(early)?;
        loop {
            let may_send =
                self.backlog() < limits::WRITE_CHUNK && !self.sm.as_ref().is_some_and(|s| s.is_full());
            let must_write = self.backlog() > 0 || self.flush;
            tokio::select! {
                stanza = outgoing.recv(), if may_send => match stanza {
                    Some(stanza) => {
                        self.queue(stanza);
                        while self.backlog() < limits::WRITE_CHUNK
                            && !self.sm.as_ref().is_some_and(|s| s.is_full())
                            && let Some(stanza) = outgoing.try_recv()
                        {
                            self.queue(stanza);
                        }
                        self.request_ack(false);
                    }
                    None => return self.end(outgoing, reader, writer).await,
                },
                n = reader.read(&mut chunk), if !self.inbox.is_full() => {
                    let n = n?;
                    if n == 0 {
                        return Err(LinkError::Closed);
                    }
                    self.heard = true;
                    splitter.push(chunk.get(..n).unwrap_or_default());
                    let items = drain(&mut splitter)?;
                    self.received(items)?;
                }
                permit = events.reserve(), if !self.inbox.is_empty() || self.mark.is_some() => match permit {
                    Ok(permit) => {
                        if let Some(stanza) = self.inbox.take() {
                            permit.send(LinkEvent::Stanza(stanza));
                        } else if let (Some(mut mark), Some(sm)) = (self.mark.take(), &self.sm) {
                            mark.received = sm.received;
                            permit.send(LinkEvent::Checkpoint(mark));
                        }
                    }
                    Err(_) => return self.end(outgoing, reader, writer).await,
                },
                n = write_some(&mut writer, self.unwritten.get(self.written..).unwrap_or_default()),
                    if must_write => {
                    let n = n?;
                    self.flush = n > 0;
                    self.written += n;
                    if self.written >= self.unwritten.len() {
                        self.unwritten.clear();
                        self.written = 0;
                    }
                }
                () = events.closed() => return self.end(outgoing, reader, writer).await,
                _ = tick.tick() => self.tick()?,
                () = stopped(&mut orders.stop) => return Err(LinkError::HandedOver),
                Ok(()) = orders.kept.changed() => self.is_kept(*orders.kept.borrow_and_update()),
            }
        }
    }

    fn backlog(&self) -> usize {
        self.unwritten.len().saturating_sub(self.written)
    }

    /// So much of what was received is kept: the server may forget it.
    fn is_kept(&mut self, received: Option<u32>) {
        let Some(sm) = &mut self.sm else { return };
        // Of the session before this one.
        if received.is_some_and(|n| sm.received.wrapping_sub(n) > u32::MAX / 2) {
            return;
        }
        sm.kept = received;
        let handled = Element::new("a", ns::SM).with_attr("h", sm.handled().to_string());
        self.unwritten.extend_from_slice(handled.to_xml().as_bytes());
    }

    fn queue(&mut self, stanza: bytes::Bytes) {
        if stanza.is_empty() {
            self.mark = self.sm.as_ref().and_then(|sm| sm.resumption(&self.jid));
            return;
        }
        self.unwritten.extend_from_slice(&stanza);
        if let Some(sm) = &mut self.sm {
            sm.sent(stanza);
        }
    }

    fn request_ack(&mut self, anyway: bool) {
        if let Some(sm) = &mut self.sm
            && (sm.take_request() || (anyway && sm.has_unacked()))
        {
            self.unwritten.extend_from_slice(b"<r xmlns='urn:xmpp:sm:3'/>");
        }
    }

    fn tick(&mut self) -> Result<(), LinkError> {
        // With a full inbox, reading is paused by our own user, not by the server.
        let heard = std::mem::take(&mut self.heard) || self.inbox.is_full();
        if self.ping.is_some() && !heard {
            return Err(LinkError::PingTimeout);
        }
        if self.mark.is_some() {
            // What is kept has no word of ours in it; a moment later is early enough.
            return Ok(());
        }
        let id = handshake::random_id();
        let ping = Element::new("iq", ns::CLIENT)
            .with_attr("type", "get")
            .with_attr("to", self.domain.clone())
            .with_attr("id", id.clone())
            .with_child(Element::new("ping", ns::PING));
        self.ping = Some(id);
        self.queue(crate::wire(&ping));
        self.request_ack(true);
        Ok(())
    }

    fn received(&mut self, items: Vec<StreamItem>) -> Result<(), LinkError> {
        for item in items {
            match item {
                StreamItem::Open(_) => return Err(LinkError::Unexpected("stream header".to_owned())),
                StreamItem::Close => return Err(LinkError::Closed),
                StreamItem::Element(bytes) => self.element(&bytes)?,
            }
        }
        Ok(())
    }

    fn element(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let element = match stream::read(bytes) {
            Ok(element) => element,
            Err(LinkError::Xml(e)) => {
                // Its boundaries are known: only this stanza is lost, or what is in it. It counts as handled.
                tracing::warn!(reason = e.reason(), "stanza from the server dropped");
                let Some(head) = stream::head(bytes) else {
                    if let Some(sm) = &mut self.sm {
                        sm.received = sm.received.wrapping_add(1);
                    }
                    return Ok(());
                };
                head
            }
            Err(e) => return Err(e),
        };
        if element.ns() == ns::SM {
            return self.management(&element);
        }
        if element.ns() != ns::CLIENT || !matches!(element.name(), "iq" | "message" | "presence") {
            return Ok(());
        }
        if let Some(sm) = &mut self.sm {
            sm.received = sm.received.wrapping_add(1);
        }
        let pong = element.name() == "iq"
            && matches!(element.attr("type"), Some("result" | "error"))
            && element.attr("id").is_some_and(|id| self.ping.as_deref() == Some(id));
        if !pong {
            self.put(bytes.len(), element);
        }
        Ok(())
    }

    fn put(&mut self, bytes: usize, element: Element) {
        let from = element.attr("from").map(str::to_owned);
        let kind = element.attr("type").map(str::to_owned);
        let name = element.name().to_owned();
        let outside = Outside { name: &name, kind: kind.as_deref(), from: from.as_deref() };
        let Err(element) = self.inbox.put(outside, bytes, element) else { return };
        self.shed += 1;
        if self.shed.is_power_of_two() {
            tracing::warn!(shed = self.shed, "a flood: stanzas refused");
        }
        if outside.is_request() && self.backlog() < limits::WRITE_CHUNK {
            self.queue(crate::wire(&refusal(&element)));
        }
    }

    fn management(&mut self, element: &Element) -> Result<(), LinkError> {
        let Some(sm) = &mut self.sm else { return Ok(()) };
        match element.name() {
            "r" => {
                let answer = Element::new("a", ns::SM).with_attr("h", sm.handled().to_string());
                self.unwritten.extend_from_slice(answer.to_xml().as_bytes());
            }
            "a" => {
                let h = element.attr("h").and_then(|h| h.parse().ok()).ok_or(LinkError::Acks)?;
                sm.acknowledge(h)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes what is queued and the stream's end, and waits until the server has closed its side: closing with unread
    /// data would reset what it has not read yet, and it would keep the session for a resumption.
    async fn end<R: tokio::io::AsyncRead + Unpin, W: tokio::io::AsyncWrite + Unpin>(
        &mut self,
        outgoing: &mut Outgoing,
        mut reader: R,
        mut writer: W,
    ) -> Result<(), LinkError> {
        while let Some(stanza) = outgoing.try_recv() {
            self.unwritten.extend_from_slice(&stanza);
        }
        self.unwritten.extend_from_slice(b"</stream:stream>");
        let rest = self.unwritten.get(self.written..).unwrap_or_default();
        let goodbye = async {
            writer.write_all(rest).await?;
            writer.flush().await?;
            writer.shutdown().await?;
            let mut rest = [0; 4096];
            while reader.read(&mut rest).await? > 0 {}
            Ok::<(), std::io::Error>(())
        };
        // Best effort: the user is gone, and the server notices the closed socket anyway.
        let _ = time::timeout(GOODBYE, goodbye).await;
        Ok(())
    }
}

/// One write, or a flush when there is nothing to write. Cancel-safe.
async fn write_some<W: tokio::io::AsyncWrite + Unpin>(
    writer: &mut W,
    bytes: &[u8],
) -> std::io::Result<usize> {
    if bytes.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    match writer.write(bytes).await? {
        0 => Err(std::io::ErrorKind::WriteZero.into()),
        n => Ok(n),
    }
}

fn drain(splitter: &mut jitsi_xmpp::xml::Splitter) -> Result<Vec<StreamItem>, LinkError> {
    let mut items = Vec::new();
    while let Some(item) = splitter.next_item()? {
        items.push(item);
    }
    Ok(items)
}

/// What came during the handshake is the server's.
const OWN: Outside<'static> = Outside { name: "", kind: None, from: None };
const GOODBYE: Duration = Duration::from_secs(1);
