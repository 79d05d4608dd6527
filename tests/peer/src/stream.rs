//! The client side of a stream with stream management: frames of the server in, stanzas and acknowledgements out.

use std::collections::VecDeque;

use jitsi_xmpp::{Element, ns, xml};

/// Opens a stream to `DOMAIN` (RFC 7395).
pub const OPEN: &str = r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="DOMAIN" version="1.0"/>"#;

/// One login, over as many connections as it takes; `C` is what its owner calls a connection.
#[derive(Debug)]
pub struct Stream<C = ()> {
    /// The connection it has now.
    pub conn: Option<C>,
    /// The full JID, once bound.
    pub jid: String,
    /// The resumption id, with stream management switched on.
    pub id: Option<String>,
    received: u32,
    acked: u32,
    unacked: VecDeque<String>,
    /// Stream elements that are no stanzas, for the login.
    pub control: Vec<Element>,
    /// Frames to send on `conn`.
    pub out: VecDeque<String>,
}

impl<C> Default for Stream<C> {
    fn default() -> Self {
        Self {
            conn: None,
            jid: String::new(),
            id: None,
            received: 0,
            acked: 0,
            unacked: VecDeque::new(),
            control: Vec::new(),
            out: VecDeque::new(),
        }
    }
}

impl<C> Stream<C> {
    /// A stanza to send; kept until the server has acknowledged it.
    pub fn send(&mut self, stanza: impl Into<String>) {
        let stanza = stanza.into();
        if self.id.is_some() {
            self.unacked.push_back(stanza.clone());
        }
        if self.conn.is_some() {
            self.out.push_back(stanza);
        }
    }

    /// One frame of the server: a stanza to handle, if it is one.
    ///
    /// # Panics
    /// When the frame is not well-formed, or acknowledges what was not sent.
    pub fn receive(&mut self, frame: &str) -> Option<Element> {
        // Over TCP: the header has no end of its own.
        if frame.starts_with("<?xml") || frame.starts_with("<stream:stream") {
            return None;
        }
        let e = xml::parse_with(frame.as_bytes(), ns::CLIENT, &Default::default())
            .unwrap_or_else(|e| panic!("{e:?}: {frame}"));
        match (e.name(), e.ns()) {
            ("iq" | "presence" | "message", ns::CLIENT) => {
                self.received += u32::from(self.id.is_some());
                return Some(e);
            }
            ("r", _) => self.out.push_back(format!(r#"<a xmlns="urn:xmpp:sm:3" h="{}"/>"#, self.received)),
            ("a", _) => self.acknowledged(&e),
            ("enabled", _) => self.id = e.attr("id").map(str::to_owned),
            ("resumed", _) => {
                self.acknowledged(&e);
                self.out.extend(self.unacked.iter().cloned());
            }
            _ => {}
        }
        self.control.push(e);
        None
    }

    /// Asks the server to go on with this login.
    ///
    /// # Panics
    /// Without stream management.
    pub fn resume_element(&self) -> String {
        let id = self.id.as_deref().expect("stream management is on");
        format!(r#"<resume xmlns="urn:xmpp:sm:3" h="{}" previd="{id}"/>"#, self.received)
    }

    fn acknowledged(&mut self, e: &Element) {
        let h: u32 = e.attr("h").expect("h").parse().expect("a number");
        while self.acked < h {
            self.acked += 1;
            self.unacked.pop_front().expect("the server acknowledges only what it got");
        }
    }

    /// Whether the server has said this stream element.
    pub fn said(&self, name: &str) -> bool {
        self.control.iter().any(|e| e.name() == name)
    }
}
