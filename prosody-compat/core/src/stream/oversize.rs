//! A frame over the limit in; an error to its sender, who stays, out.
//!
//! Upstream ends the stream. A person who pastes a book into the chat should lose the book, not the meeting.

use jitsi_xmpp::xml::{XmlLimits, first_tag_end, parse_with};
use jitsi_xmpp::{Condition, Element, ErrorType, StanzaError, ns};

use crate::server::Server;
use crate::session::SessionId;

impl Server {
    /// A frame of a bound session that is not looked into. `false`: not even its first tag can be read.
    pub(super) fn oversize(&mut self, id: SessionId, bytes: &[u8]) -> bool {
        let Some(mut head) = head(bytes).filter(Element::is_stanza) else { return false };
        if let Some(sm) = self.world.sessions.get_mut(id).and_then(|s| s.sm.as_mut()) {
            sm.count_received();
        }
        if let Some(sender) = self.world.sender(id) {
            head.set_attr("from", sender.jid.as_str());
            let error = StanzaError::new(Condition::PolicyViolation)
                .with_type(ErrorType::Modify)
                .with_text("stanza too large");
            self.world.refuse(&sender, &head, &error, None);
        }
        true
    }
}

/// The first tag as an empty element.
fn head(bytes: &[u8]) -> Option<Element> {
    let end = first_tag_end(bytes.get(..MOST_HEAD).unwrap_or(bytes))?;
    let mut tag = bytes.get(..end)?.to_vec();
    tag.extend_from_slice(b"/>");
    let limits = XmlLimits { max_bytes: MOST_HEAD + 1, ..XmlLimits::default() };
    parse_with(&tag, ns::CLIENT, &limits).ok()
}

/// Two addresses of 3 KiB, an id, a type and namespaces.
const MOST_HEAD: usize = 8 * 1024;
