//! A connection without a socket: the same stanza bytes over bounded channels. Authentication is the wiring
//! itself: whoever holds the [`ServerEnd`] has decided which account the other end is.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use jitsi_xmpp::xml::parse_with;
use jitsi_xmpp::{Condition, Element, FullJid, StanzaError, iq, ns};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::inbox::{Inbox, Outside, outside};
use crate::outbox::LinkSender;
use crate::{LinkEvent, limits};

/// The server's end of an in-process connection.
#[derive(Debug)]
pub struct ServerEnd {
    /// The account the link is authenticated as.
    pub jid: FullJid,
    /// Stanzas from the link, each with its `xmlns` written on it. Ends when the link is dropped.
    pub from_client: mpsc::Receiver<Bytes>,
    /// Stanzas to the link, each complete in itself. Dropping it ends the link.
    pub to_client: mpsc::Sender<Bytes>,
}

/// Gives the server a new end when it has dropped the old one; `false`: it does not take it.
pub type Attach = Box<dyn Fn(ServerEnd) -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// How a link comes back after its server has dropped it.
pub(crate) struct Again {
    pub(crate) attach: Attach,
    pub(crate) capacity: usize,
    at: Option<Instant>,
}

impl Again {
    pub(crate) fn new(attach: Attach, capacity: usize) -> Self {
        Self { attach, capacity, at: None }
    }

    /// Waits until the next attempt is due. Cancel-safe: the moment stays.
    pub(crate) async fn wait(&mut self) {
        let at = *self.at.get_or_insert_with(|| Instant::now() + PAUSE);
        tokio::time::sleep_until(at).await;
        self.at = None;
    }
}

impl std::fmt::Debug for Again {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Again").field("at", &self.at).finish_non_exhaustive()
    }
}

/// The receiving half of the client's end.
#[derive(Debug)]
pub(crate) struct ClientEnd {
    jid: FullJid,
    from_server: mpsc::Receiver<Bytes>,
    /// For refusals.
    to_server: LinkSender,
    inbox: Inbox<Bytes>,
    state: State,
    shed: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    New,
    Up,
    Ended,
}

pub(crate) fn pair(jid: FullJid, capacity: usize) -> (LinkSender, ClientEnd, ServerEnd) {
    // One more than asked for: the initial presence takes a place.
    let (to_server, from_client) = mpsc::channel(capacity.saturating_add(1));
    let (to_client, from_server) = mpsc::channel(capacity.max(1));
    let sender = LinkSender::unmetered(to_server);
    // Available before anything else: the server relays to available resources only. The channel is new and
    // has room.
    let _ = sender.send(&Element::new("presence", ns::CLIENT));
    let end = ClientEnd {
        jid: jid.clone(),
        from_server,
        to_server: sender.clone(),
        inbox: Inbox::default(),
        state: State::New,
        shed: 0,
    };
    (sender, end, ServerEnd { jid, from_client, to_client })
}

impl ClientEnd {
    pub(crate) fn jid(&self) -> &FullJid {
        &self.jid
    }

    pub(crate) async fn recv(&mut self) -> Option<LinkEvent> {
        match self.state {
            State::New => {
                self.state = State::Up;
                return Some(LinkEvent::Up { jid: self.jid.clone(), resumed: false });
            }
            State::Up => {}
            State::Ended => return None,
        }
        loop {
            // Everything that has come is taken in before the next one goes out, so that the server never has to wait
            // for us, however slowly we are read.
            while !self.inbox.is_full()
                && let Ok(bytes) = self.from_server.try_recv()
            {
                self.put(bytes);
            }
            let Some(bytes) = self.inbox.take() else {
                let Some(bytes) = self.from_server.recv().await else {
                    self.state = State::Ended;
                    return Some(LinkEvent::Down { reason: "server ended".to_owned() });
                };
                self.put(bytes);
                continue;
            };
            match parse_with(&bytes, ns::CLIENT, &limits::RECEIVED) {
                Ok(stanza) => return Some(LinkEvent::Stanza(stanza)),
                Err(e) => tracing::warn!(reason = e.reason(), "stanza from the server dropped"),
            }
        }
    }

    fn put(&mut self, bytes: Bytes) {
        // What has no readable outside is for the parser to complain about.
        let seen = outside(&bytes).unwrap_or(Outside { name: "", kind: None, from: None });
        let Err(bytes) = self.inbox.put(seen, bytes.len(), bytes.clone()) else { return };
        self.shed += 1;
        if self.shed.is_power_of_two() {
            tracing::warn!(shed = self.shed, "a flood: stanzas refused");
        }
        if self.to_server.is_half_free()
            && outside(&bytes).is_some_and(|o| o.is_request())
            && let Ok(request) = parse_with(&bytes, ns::CLIENT, &limits::RECEIVED)
        {
            // If it finds no place, its sender has many others to read.
            let _ = self.to_server.send(&refusal(&request));
        }
    }
}

/// The answer to a request that found no place.
pub(crate) fn refusal(request: &Element) -> Element {
    iq::error(request, &StanzaError::new(Condition::ResourceConstraint))
}

const PAUSE: Duration = limits::BACKOFF_MIN;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Link;

    fn jid(text: &str) -> FullJid {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn stanzas_travel_both_ways_and_an_ended_server_ends_the_link() {
        let (mut link, mut server) = Link::in_process(jid("focus@auth.meet.jitsi/focus"), 4);
        assert!(matches!(link.recv().await, Some(LinkEvent::Up { resumed: false, .. })));
        assert_eq!(server.from_client.recv().await.unwrap(), r#"<presence xmlns="jabber:client"/>"#);
        link.send(&Element::new("message", ns::CLIENT).with_attr("id", "1")).unwrap();
        assert_eq!(server.from_client.recv().await.unwrap(), r#"<message xmlns="jabber:client" id="1"/>"#);
        server.to_client.send(Bytes::from_static(b"<iq id='2' xmlns='jabber:client'/>")).await.unwrap();
        let Some(LinkEvent::Stanza(iq)) = link.recv().await else { panic!("a stanza") };
        assert_eq!(iq.attr("id"), Some("2"));
        drop(server);
        assert!(matches!(link.recv().await, Some(LinkEvent::Down { .. })));
        assert_eq!(link.recv().await, None);
    }

    #[tokio::test]
    async fn the_queue_to_the_server_is_bounded() {
        let (link, _server) = Link::in_process(jid("jvb@auth.meet.jitsi/1"), 2);
        let m = Element::new("message", ns::CLIENT);
        assert!(link.send(&m).is_ok());
        assert!(link.send(&m).is_ok());
        assert_eq!(link.send(&m), Err(crate::LinkFull::Full));
    }

    #[tokio::test]
    async fn a_flood_of_requests_and_chat_holds_up_neither_the_server_nor_answers_of_the_bridge() {
        let (mut link, mut server) = Link::in_process(jid("focus@auth.meet.jitsi/focus"), 4096);
        assert!(matches!(link.recv().await, Some(LinkEvent::Up { .. })));
        let flood = |from: &str, n: usize| {
            let text = if n.is_multiple_of(2) {
                format!("<iq to='f' type='set' id='{n}' from='r@m/{from}'><x xmlns='y'/></iq>")
            } else {
                format!("<message to='f' type='groupchat' from='r@m/{from}'><body>{n}</body></message>")
            };
            Bytes::from(text)
        };
        let mut sent = 0;
        let mut got = 0;
        // A hundred thousand, while the focus reads one for every hundred that come.
        while sent < 100_000 {
            for _ in 0..100 {
                server.to_client.try_send(flood("evil", sent)).expect("the server never waits");
                sent += 1;
            }
            let Some(LinkEvent::Stanza(_)) = link.recv().await else { panic!("it stays up") };
            got += 1;
            while server.from_client.try_recv().is_ok() {}
        }
        assert_eq!(got, 1_000);
        server.to_client.try_send(flood("anna", 0)).unwrap();
        let answer = b"<iq to='f' type='result' id='c1' from='jvbbrewery@m/jvb'/>";
        server.to_client.try_send(Bytes::from_static(answer)).unwrap();
        let mut next = async || match link.recv().await {
            Some(LinkEvent::Stanza(stanza)) => stanza,
            other => panic!("{other:?}"),
        };
        assert_eq!(next().await.attr("id"), Some("c1"), "the bridge's answer comes at once");
        let (a, b) = (next().await, next().await);
        let froms = [a.attr("from"), b.attr("from")];
        assert!(froms.contains(&Some("r@m/anna")), "and somebody else's request in its turn: {froms:?}");
    }

    #[tokio::test]
    async fn a_request_that_finds_no_place_is_answered() {
        let (mut link, mut server) = Link::in_process(jid("focus@auth.meet.jitsi/focus"), 8_192);
        assert!(matches!(link.recv().await, Some(LinkEvent::Up { .. })));
        let request = Bytes::from_static(b"<iq to='f' type='get' id='1' from='r@m/evil'><x xmlns='y'/></iq>");
        let half = limits::INBOX_STANZAS / 2;
        for _ in 0..=half {
            server.to_client.try_send(request.clone()).unwrap();
        }
        assert!(matches!(link.recv().await, Some(LinkEvent::Stanza(_))));
        let _presence = server.from_client.try_recv().unwrap();
        let refused = server.from_client.try_recv().unwrap();
        let text = str::from_utf8(&refused).unwrap();
        assert!(text.contains("type=\"error\"") && text.contains("<resource-constraint"), "{text}");
        assert!(text.contains("to=\"r@m/evil\""));
        assert!(server.from_client.try_recv().is_err(), "one was too many");
    }

    #[tokio::test]
    async fn a_link_whose_server_dropped_it_comes_back() {
        let (ends, mut attached) = mpsc::channel(4);
        let attach: Attach = Box::new(move |end| {
            let ends = ends.clone();
            Box::pin(async move { ends.send(end).await.is_ok() })
        });
        let mut link = Link::in_process_again(jid("focus@auth.meet.jitsi/focus"), 8, attach).await.unwrap();
        let first = attached.recv().await.unwrap();
        assert!(matches!(link.recv().await, Some(LinkEvent::Up { .. })));
        drop(first);
        assert!(matches!(link.recv().await, Some(LinkEvent::Down { .. })));
        assert!(matches!(link.recv().await, Some(LinkEvent::Up { resumed: false, .. })));
        let mut second = attached.recv().await.unwrap();
        assert!(second.from_client.recv().await.is_some(), "the initial presence");
        link.send(&Element::new("message", ns::CLIENT)).unwrap();
        assert!(second.from_client.recv().await.is_some());
    }
}
