//! Frames of a connection in; stream elements handled here, stanzas handed to the router.

mod access;
pub(crate) mod bind;
pub(crate) mod error;
mod features;
mod login;
mod oversize;
mod resumption;
mod sanitize;
pub(crate) mod sm;

use jitsi_xmpp::xml::{XmlLimits, parse_with};
use jitsi_xmpp::{Element, ns};

use crate::connection::{Conn, Exchange, Framing, Stage};
use crate::counters::Counter;
use crate::hosts::Users;
use crate::identity::HostId;
use crate::output::{CloseReason, ConnId, Output};
use crate::server::Server;
use error::StreamError;

impl Server {
    /// One frame of a connection.
    pub(crate) fn frame(&mut self, conn: ConnId, bytes: &[u8]) {
        let now = self.world.now;
        let limits = &self.world.config.limits;
        let Some(c) = self.world.conns.get_mut(&conn) else { return };
        c.last_in = now;
        c.asked_alive = false;
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() {
            return;
        }
        if let (&Stage::Bound(id), Some(h)) = (&c.stage, sm::acknowledgement(bytes)) {
            return self.acknowledged(conn, id, h);
        }
        let xml_limits = XmlLimits {
            max_bytes: c.max_bytes,
            max_depth: limits.max_depth,
            max_elements: if c.max_bytes > limits.max_stanza_bytes {
                limits.max_elements.saturating_mul(10)
            } else {
                limits.max_elements
            },
            ..XmlLimits::default()
        };
        if bytes.len() > c.max_bytes {
            self.world.counters.add(Counter::TooLarge);
            return match c.stage {
                Stage::Bound(id) => {
                    if !self.oversize(id, bytes) {
                        self.malformed(conn, bytes);
                    }
                }
                _ => self.fail(conn, StreamError::TooLarge),
            };
        }
        if c.framing == Framing::Tcp {
            if bytes.starts_with(b"</") {
                self.close_stream(conn);
                return;
            }
            if let Some(header) = tcp_header(bytes, &xml_limits) {
                self.open_stream(conn, &header);
                return;
            }
        }
        match parse_with(bytes, ns::CLIENT, &xml_limits) {
            Ok(mut element) => {
                sanitize::sanitize(&mut element);
                self.element(conn, element);
            }
            Err(_) => self.malformed(conn, bytes),
        }
    }

    /// A frame that is no XML costs its sender the frame, and only many of them cost the stream.
    fn malformed(&mut self, conn: ConnId, bytes: &[u8]) {
        self.world.counters.add(Counter::Malformed);
        let most = self.world.config.limits.max_malformed;
        let Some(c) = self.world.conns.get_mut(&conn) else { return };
        c.malformed += 1;
        if c.malformed > most {
            self.fail(conn, StreamError::NotWellFormed);
            return;
        }
        // The peer counted it, if it was meant as a stanza; not to count it would make it come again and again.
        let stanza = [&b"<iq"[..], b"<message", b"<presence"].iter().any(|s| bytes.starts_with(s));
        if let (true, Stage::Bound(id)) = (stanza, &c.stage)
            && let Some(sm) = self.world.sessions.get_mut(*id).and_then(|s| s.sm.as_mut())
        {
            sm.count_received();
        }
    }

    fn element(&mut self, conn: ConnId, e: Element) {
        let Some(c) = self.world.conns.get(&conn) else { return };
        match (e.name(), e.ns()) {
            ("open", ns::FRAMING) => return self.open_stream(conn, &e),
            ("close", ns::FRAMING) => return self.close_stream(conn),
            _ => {}
        }
        match &c.stage {
            Stage::Bound(id) => {
                let id = *id;
                if e.is_stanza() {
                    self.world.counters.add(Counter::StanzasIn);
                    self.world.counters.add(match e.name() {
                        "message" => Counter::MessagesIn,
                        "presence" => Counter::PresencesIn,
                        _ => Counter::IqsIn,
                    });
                    if let Some(sm) = self.world.sessions.get_mut(id).and_then(|s| s.sm.as_mut()) {
                        sm.count_received();
                    }
                    self.stanza(id, e);
                } else if e.ns() == ns::SM {
                    self.sm_element(conn, id, &e);
                } else {
                    // Not what a stream is for, but its end would hurt only the sender: drop and count.
                    self.malformed(conn, b"");
                }
            }
            Stage::Login { .. } => self.login_element(conn, &e),
            Stage::Binding(_) => self.binding_element(conn, &e),
            Stage::Opening | Stage::Reopening(_) => self.fail(conn, StreamError::NotAuthorized),
        }
    }

    /// A stream header: answered with ours and the features of this step.
    fn open_stream(&mut self, conn: ConnId, header: &Element) {
        let id = self.world.entropy.uuid();
        let config = &self.world.config;
        let Some(c) = self.world.conns.get_mut(&conn) else { return };
        let to = header.attr("to").unwrap_or_default().to_ascii_lowercase();
        // Service accounts have passwords that never change and rights that reach everywhere: nobody is offered to try
        // them where the public comes in.
        let public = matches!(c.framing, Framing::WebSocket | Framing::Bosh);
        let host = self.hosts.of(config, &to).and_then(|id| Some((id, self.hosts.users(id)?)));
        let open = |(id, users): &(HostId, &Users)| self.hosts.is_current(*id) && !(public && users.services);
        let host = host.filter(open);
        let features = match (&c.stage, host) {
            // Whoever waits for its turn cannot begin anew, and not leave the line by that either.
            (Stage::Login { exchange: Exchange::Waiting(_) | Exchange::Looking(_), .. }, _) => None,
            (Stage::Opening | Stage::Login { .. }, Some((host, users))) => {
                let features = features::before_login(config, c, users);
                c.stage = Stage::Login { host, domain: to.clone(), exchange: Exchange::None };
                Some(features)
            }
            (Stage::Reopening(user), Some((host, _))) if self.hosts.is_same(user.host, host) => {
                let user = user.clone();
                c.stage = Stage::Binding(user);
                Some(features::after_login(config, c))
            }
            _ => None,
        };
        let known = host.is_some();
        let from = if known { to } else { config.domain().to_owned() };
        c.header_sent = true;
        if let Some(header) = header_xml(c.framing, &from, &id) {
            self.world.send_raw(conn, header);
        }
        match features {
            Some(f) => self.world.send_raw(conn, f),
            None if !known => self.fail(conn, StreamError::HostUnknown),
            None => self.fail(conn, StreamError::Unexpected),
        }
    }

    /// The client says goodbye: its session ends at once.
    fn close_stream(&mut self, conn: ConnId) {
        let Some(c) = self.world.forget_conn(conn) else { return };
        self.say_close(conn, c.framing);
        self.world.out.push_back(Output::Close { conn, reason: CloseReason::ClientClosed });
        if let Stage::Bound(id) = c.stage {
            self.end_session(id);
        }
    }

    /// Ends a stream with an error; its session ends too.
    pub(crate) fn fail(&mut self, conn: ConnId, error: StreamError) {
        let Some(c) = self.world.forget_conn(conn) else { return };
        self.say_error(conn, &c, error);
        if let Stage::Bound(id) = c.stage {
            self.end_session(id);
        }
    }

    /// Ends a stream because the server stops. Nobody is told that its session ends: all do.
    pub(crate) fn say_shutdown(&mut self, conn: ConnId) {
        if let Some(c) = self.world.forget_conn(conn) {
            self.say_error(conn, &c, StreamError::SystemShutdown);
        }
    }

    fn say_error(&mut self, conn: ConnId, c: &Conn, error: StreamError) {
        self.world.counters.add(Counter::StreamErrors);
        if c.framing != Framing::InProcess {
            if !c.header_sent {
                let id = self.world.entropy.uuid();
                if let Some(header) = header_xml(c.framing, self.world.config.domain(), &id) {
                    self.world.send_raw(conn, header);
                }
            }
            self.world.send_raw(conn, error.to_xml());
        }
        self.say_close(conn, c.framing);
        self.world.out.push_back(Output::Close { conn, reason: error.close_reason() });
    }

    fn say_close(&mut self, conn: ConnId, framing: Framing) {
        match framing {
            // compat: clients compare the frame with exactly this text
            // (test: compat_websocket_frames_are_what_the_client_library_wants).
            Framing::WebSocket => self.world.send_raw(conn, WS_CLOSE),
            Framing::Tcp => self.world.send_raw(conn, "</stream:stream>"),
            Framing::Bosh | Framing::InProcess => {}
        }
    }
}

/// The peer's start tag as an element, if this is one.
fn tcp_header(bytes: &[u8], limits: &XmlLimits) -> Option<Element> {
    if bytes.ends_with(b"/>") {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let name = text.strip_prefix('<')?.split(|c: char| c.is_whitespace() || c == '>').next()?;
    if name != "stream" && !name.ends_with(":stream") {
        return None;
    }
    let whole = format!("{text}</{name}>");
    parse_with(whole.as_bytes(), "", limits).ok().filter(|e| e.is("stream", ns::STREAM))
}

fn header_xml(framing: Framing, from: &str, id: &str) -> Option<String> {
    let mut host = String::new();
    jitsi_xmpp::xml::escape_attr(from, &mut host);
    match framing {
        // compat: the first frame must start with `<open `
        // (test: compat_websocket_frames_are_what_the_client_library_wants).
        Framing::WebSocket => Some(format!(
            r#"<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" from="{host}" id="{id}" version="1.0" xml:lang="en"/>"#
        )),
        Framing::Tcp => Some(format!(
            r#"<?xml version="1.0"?><stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" from="{host}" id="{id}" version="1.0" xml:lang="en">"#
        )),
        Framing::Bosh | Framing::InProcess => None,
    }
}

impl Conn {
    /// Whether passwords may travel here.
    pub(crate) const fn secure(&self, require: bool) -> bool {
        self.encrypted || !require
    }
}

const WS_CLOSE: &str = r#"<close xmlns="urn:ietf:params:xml:ns:xmpp-framing" />"#;
