//! The client side of a stream with stream management: frames of the server in, stanzas and acknowledgements out.

use std::collections::VecDeque;

use jitsi_xmpp::{Element, ns, xml};
use prosody_core::ConnId;

pub(crate) const OPEN: &str =
    r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="DOMAIN" version="1.0"/>"#;

/// One login, over as many connections as it takes.
#[derive(Default, Debug)]
pub(crate) struct Stream {
    pub(crate) conn: Option<ConnId>,
    pub(crate) jid: String,
    /// The resumption id, with stream management switched on.
    pub(crate) id: Option<String>,
    received: u32,
    acked: u32,
    unacked: VecDeque<String>,
    /// Stream elements that are no stanzas, for the login.
    pub(crate) control: Vec<Element>,
    /// Frames to send on `conn`.
    pub(crate) out: VecDeque<String>,
}

impl Stream {
    /// A stanza to send; kept until the server has acknowledged it.
    pub(crate) fn send(&mut self, stanza: impl Into<String>) {
        let stanza = stanza.into();
        if self.id.is_some() {
            self.unacked.push_back(stanza.clone());
        }
        if self.conn.is_some() {
            self.out.push_back(stanza);
        }
    }

    /// One frame of the server: a stanza to handle, if it is one.
    pub(crate) fn receive(&mut self, frame: &str) -> Option<Element> {
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

    pub(crate) fn resume_element(&self) -> String {
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
    pub(crate) fn said(&self, name: &str) -> bool {
        self.control.iter().any(|e| e.name() == name)
    }
}
