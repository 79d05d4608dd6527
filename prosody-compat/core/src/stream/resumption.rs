//! XEP-0198 elements in; enabled, acknowledged, resumed or refused out.

use std::sync::Arc;
use std::time::Duration;

use jitsi_xmpp::{Element, ns};
use prosody_token::Claims;

use super::error::StreamError;
use super::sm::StreamManagement;
use crate::connection::{Stage, User};
use crate::counters::Counter;
use crate::identity::Identity;
use crate::modules::token_verification;
use crate::output::{CloseReason, ConnId, Frame, Output};
use crate::room::Room;
use crate::server::Server;
use crate::session::SessionId;
use crate::timers::Timer;
use crate::world::REQUEST;

impl Server {
    /// A stream management element of a bound session.
    pub(super) fn sm_element(&mut self, conn: ConnId, id: SessionId, e: &Element) {
        match e.name() {
            "enable" => self.enable(conn, id, e),
            "r" => {
                if let Some(sm) = self.world.sessions.get(id).and_then(|s| s.sm.as_ref()) {
                    let answer = format!(r#"<a xmlns="urn:xmpp:sm:3" h="{}"/>"#, sm.received());
                    self.world.send_raw(conn, answer);
                }
            }
            "a" => {
                if let Some(h) = e.attr("h").and_then(|h| h.parse().ok()) {
                    self.acknowledged(conn, id, h);
                }
            }
            _ => self.world.send_raw(conn, unexpected()),
        }
    }

    /// The client has received `h` stanzas.
    pub(super) fn acknowledged(&mut self, conn: ConnId, id: SessionId, h: u32) {
        let Some(sm) = self.world.sessions.get_mut(id).and_then(|s| s.sm.as_mut()) else { return };
        if let Err(error) = sm.acknowledge(h) {
            self.fail(conn, StreamError::AckedTooMuch { h: error.h, sent: error.sent });
            return;
        }
        if sm.becomes_due() {
            self.world.asks.push(id);
        }
        if sm.has_new_weight() {
            self.world.weigh(id);
        }
    }

    /// compat: always answered, because the client sends nothing until it is (test: compat_enabling_is_always_answered).
    fn enable(&mut self, conn: ConnId, id: SessionId, e: &Element) {
        let Some(s) = self.world.sessions.get(id) else { return };
        if s.sm.is_some() {
            self.world.send_raw(conn, unexpected());
            return;
        }
        // Bridges want to be missed soon.
        let wanted = e.attr("max").and_then(|max| max.parse().ok()).filter(|max| *max > 0);
        let at_most = matches!(e.attr("resume"), Some("true" | "1"))
            .then(|| wanted.map_or(Duration::MAX, Duration::from_secs));
        let wait = self.hosts.users(s.identity.host).map(|users| users.resume).unwrap_or_default();
        let token = self.world.entropy.hex(16);
        let enabled = match at_most.map(|most| most.min(wait).as_secs()) {
            Some(max) => {
                format!(r#"<enabled xmlns="urn:xmpp:sm:3" id="{token}" max="{max}" resume="true"/>"#)
            }
            None => r#"<enabled xmlns="urn:xmpp:sm:3"/>"#.to_owned(),
        };
        self.world.sessions.manage(id, StreamManagement::new(token, at_most));
        self.world.counters.add(Counter::Managed);
        self.world.send_raw(conn, enabled);
    }

    /// Who the session is once this token vouches for it.
    fn with_other_token(&self, id: SessionId, token: Arc<Claims>) -> Result<Arc<Identity>, NotForItsRooms> {
        let s = self.world.sessions.get(id).ok_or(NotForItsRooms)?;
        let identity = Arc::new(s.identity.with_token(token));
        let opens = |room: &Room| token_verification::still_opens(&self.world, room, &identity);
        let all = s.rooms.iter().all(|(room, _)| self.rooms.get(room).is_none_or(opens));
        all.then_some(identity).ok_or(NotForItsRooms)
    }

    /// `<resume/>` instead of bind: the session goes on here, if it is the same user's.
    pub(super) fn resume_element(&mut self, conn: ConnId, user: &User, e: &Element) {
        let previd = e.attr("previd").unwrap_or_default().to_owned();
        let Some(h) = e.attr("h").and_then(|h| h.parse::<u32>().ok()) else {
            self.world.send_raw(conn, failed("bad-request"));
            return;
        };
        let found = self.world.sessions.by_resumption(&previd).filter(|id| {
            self.world
                .sessions
                .get(*id)
                .is_some_and(|s| s.bare.node() == Some(&user.node) && s.bare.domain() == user.domain)
        });
        let Some(id) = found else {
            self.world.counters.add(Counter::ResumeFailed);
            self.world.send_raw(conn, failed("item-not-found"));
            return;
        };
        // Somebody comes back with another token: it has to open the rooms that the session is in.
        let token = user.vouched.token.clone();
        let vouched = match token.map(|token| self.with_other_token(id, token)).transpose() {
            Ok(vouched) => vouched,
            Err(NotForItsRooms) => {
                self.world.counters.add(Counter::ResumeFailed);
                self.world.send_raw(conn, failed("item-not-found"));
                return;
            }
        };
        let stamp = self.world.clock.stamp(self.world.now);
        let Some(s) = self.world.sessions.get_mut(id) else { return };
        let bare = s.bare.as_str().to_owned();
        let Some(sm) = s.sm.as_mut().filter(|sm| !sm.overflowed()) else {
            self.world.counters.add(Counter::ResumeFailed);
            self.world.send_raw(conn, failed("resource-constraint"));
            return;
        };
        if let Err(error) = sm.acknowledge(h) {
            self.fail(conn, StreamError::AckedTooMuch { h: error.h, sent: error.sent });
            return;
        }
        if let Some(identity) = vouched {
            s.identity = identity;
        }
        if user.vouched.moderates.is_some() || user.vouched.secret.is_some() {
            s.identity = Arc::new(s.identity.with_login(&user.vouched));
        }
        let (received, to) = (sm.received(), Arc::clone(&s.to));
        let frames: Vec<_> = sm.unacked().iter().map(|stanza| stanza.addressed(&to)).collect();
        sm.asked();
        if let Some(old) = self.world.sessions.resume(id, conn)
            && self.world.forget_conn(old).is_some()
        {
            self.world.out.push_back(Output::Close { conn: old, reason: CloseReason::Replaced });
        }
        self.world.timers.cancel(Timer::Hibernation(id));
        self.world.timers.cancel(Timer::Login(conn));
        if let Some(c) = self.world.conns.get_mut(&conn) {
            c.stage = Stage::Bound(id);
        }
        self.world.counters.add(Counter::Resumed);
        let mut shown = String::new();
        jitsi_xmpp::xml::escape_attr(&previd, &mut shown);
        self.world
            .send_raw(conn, format!(r#"<resumed xmlns="urn:xmpp:sm:3" h="{received}" previd="{shown}"/>"#));
        for frame in frames {
            let frame = delayed(&frame, &bare, &stamp);
            self.world.out.push_back(Output::Send { conn, frame });
        }
        self.world.send_raw(conn, REQUEST);
    }
}

/// A token that does not open a room that its bearer is in. Blame: the client. Consequence: it joins anew, if it may.
struct NotForItsRooms;

/// The same stanza with `<delay/>` as last child; IQs stay as they are.
fn delayed(frame: &Frame, bare: &str, stamp: &str) -> Frame {
    let bytes = frame.to_bytes();
    let delay = Element::new("delay", ns::DELAY).with_attr("from", bare).with_attr("stamp", stamp).to_xml();
    let name: &[u8] = if bytes.starts_with(b"<message ") {
        b"message"
    } else if bytes.starts_with(b"<presence ") {
        b"presence"
    } else {
        return frame.clone();
    };
    let mut out = Vec::with_capacity(bytes.len() + delay.len() + name.len() + 3);
    if let Some(open) = bytes.strip_suffix(b"/>".as_slice()).filter(|o| !o.contains(&b'>')) {
        out.extend_from_slice(open);
        out.push(b'>');
    } else if let Some(open) = bytes.strip_suffix([b"</", name, b">"].concat().as_slice()) {
        out.extend_from_slice(open);
    } else {
        return frame.clone();
    }
    out.extend_from_slice(delay.as_bytes());
    out.extend_from_slice(&[b"</", name, b">"].concat());
    Frame::whole(out)
}

/// The resumption is refused; the stream can still be bound.
fn failed(condition: &str) -> String {
    format!(
        r#"<failed xmlns="urn:xmpp:sm:3"><{condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></failed>"#
    )
}

/// The element is not possible at this step.
pub(super) fn unexpected() -> String {
    failed("unexpected-request")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_added_to_messages_and_presence_only() {
        let delay = |xml: &'static str| {
            String::from_utf8(delayed(&Frame::whole(xml), "a@b", "T").to_bytes().to_vec()).unwrap()
        };
        let d = r#"<delay xmlns="urn:xmpp:delay" from="a@b" stamp="T"/>"#;
        assert_eq!(delay("<presence to=\"x\"/>"), format!("<presence to=\"x\">{d}</presence>"));
        assert_eq!(delay("<message to=\"x\"><a/></message>"), format!("<message to=\"x\"><a/>{d}</message>"));
        assert_eq!(delay("<iq to=\"x\"><a/></iq>"), "<iq to=\"x\"><a/></iq>");
    }
}
