//! A connection without a socket: the same stanza bytes over bounded channels. Authentication is the wiring
//! itself: whoever holds the [`ServerEnd`] has decided which account the other end is.

use bytes::Bytes;
use jitsi_xmpp::xml::parse_with;
use jitsi_xmpp::{Element, FullJid, ns};
use tokio::sync::mpsc;

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

/// The receiving half of the client's end.
#[derive(Debug)]
pub(crate) struct ClientEnd {
    jid: FullJid,
    from_server: mpsc::Receiver<Bytes>,
    state: State,
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
    let end = ClientEnd { jid: jid.clone(), from_server, state: State::New };
    (sender, end, ServerEnd { jid, from_client, to_client })
}

impl ClientEnd {
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
            let Some(bytes) = self.from_server.recv().await else {
                self.state = State::Ended;
                return Some(LinkEvent::Down { reason: "server ended".to_owned() });
            };
            match parse_with(&bytes, ns::CLIENT, &limits::RECEIVED) {
                Ok(stanza) => return Some(LinkEvent::Stanza(stanza)),
                Err(e) => tracing::warn!(reason = e.reason(), "stanza from the server dropped"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Link;

    #[tokio::test]
    async fn stanzas_travel_both_ways_and_an_ended_server_ends_the_link() {
        let jid: jitsi_xmpp::Jid = "focus@auth.meet.jitsi/focus".parse().unwrap();
        let (mut link, mut server) = Link::in_process(jid.to_full().unwrap(), 4);
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
        let jid: jitsi_xmpp::Jid = "jvb@auth.meet.jitsi/1".parse().unwrap();
        let (link, _server) = Link::in_process(jid.to_full().unwrap(), 2);
        let m = Element::new("message", ns::CLIENT);
        assert!(link.send(&m).is_ok());
        assert!(link.send(&m).is_ok());
        assert_eq!(link.send(&m), Err(crate::LinkFull::Full));
    }
}
