//! STARTTLS and SASL: elements before the login in; success with a user, or a failure with its reason, out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jitsi_xmpp::xml::escape_text;
use jitsi_xmpp::{BareJid, Element, ns};

use super::error::StreamError;
use super::features;
use crate::auth::Mechanism;
use crate::connection::{Framing, Stage, User};
use crate::counters::Counter;
use crate::hosts::Host;
use crate::output::{ConnId, Output};
use crate::server::Server;

/// Why a login failed. Blame: the peer. Consequence: `<failure/>`; the stream stays for another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginError {
    Aborted,
    EncryptionRequired,
    IncorrectEncoding,
    InvalidMechanism,
    MalformedRequest,
    NotAuthorized,
}

impl LoginError {
    const fn condition(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::NotAuthorized => "not-authorized",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::NotAuthorized => "Unable to authorize you with the authentication credentials you've sent.",
            _ => "",
        }
    }

    /// compat: clients read the reason with a pattern that wants `<text>` without attributes right after the
    /// condition (client-protocol §0.3).
    fn to_xml(self) -> String {
        let mut xml = format!(r#"<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><{}/>"#, self.condition());
        if !self.text().is_empty() {
            xml.push_str("<text>");
            escape_text(self.text(), &mut xml);
            xml.push_str("</text>");
        }
        xml.push_str("</failure>");
        xml
    }
}

impl Server {
    /// An element before the login.
    pub(super) fn login_element(&mut self, conn: ConnId, e: &Element) {
        let Some(c) = self.world.conns.get_mut(&conn) else { return };
        let Stage::Login { host, domain } = &c.stage else { return };
        let (host, domain) = (*host, domain.clone());
        match (e.name(), e.ns()) {
            ("starttls", ns::TLS) if features::offers_tls(&self.world.config, c) => {
                c.stage = Stage::Opening;
                self.world.send_raw(conn, r#"<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>"#);
                self.world.out.push_back(Output::StartTls { conn });
            }
            ("auth", ns::SASL) => {
                let outcome = if c.secure(self.world.config.require_encryption) {
                    self.authenticate(conn, host, &domain, e)
                } else {
                    Err(LoginError::EncryptionRequired)
                };
                match outcome {
                    Ok(node) => self.logged_in(conn, User { node, host, domain }),
                    Err(error) => self.login_failed(conn, error),
                }
            }
            ("abort", ns::SASL) => self.login_failed(conn, LoginError::Aborted),
            ("response", ns::SASL) => self.login_failed(conn, LoginError::MalformedRequest),
            _ => self.fail(conn, StreamError::NotAuthorized),
        }
    }

    fn authenticate(
        &mut self,
        conn: ConnId,
        host: Host,
        domain: &str,
        e: &Element,
    ) -> Result<String, LoginError> {
        let wanted = e.attr("mechanism").unwrap_or_default();
        let offered = Mechanism::offered(&self.world.config, host);
        let mechanism =
            offered.iter().find(|m| m.as_str() == wanted).copied().ok_or(LoginError::InvalidMechanism)?;
        match mechanism {
            Mechanism::Anonymous => Ok(self.anonymous_node(conn, domain)),
            Mechanism::Plain => {
                let data = BASE64.decode(e.text().trim()).map_err(|_| LoginError::IncorrectEncoding)?;
                let data = String::from_utf8(data).map_err(|_| LoginError::MalformedRequest)?;
                let mut parts = data.split('\0');
                let (Some(authzid), Some(name), Some(password), None) =
                    (parts.next(), parts.next(), parts.next(), parts.next())
                else {
                    return Err(LoginError::MalformedRequest);
                };
                let jid = BareJid::from_parts(name, domain).map_err(|_| LoginError::NotAuthorized)?;
                // RFC 4616 §2: acting for somebody else is not possible here.
                let acts_for_other =
                    !authzid.is_empty() && authzid.parse::<BareJid>().ok().as_ref() != Some(&jid);
                if acts_for_other || !self.accounts.check(&jid, password) {
                    return Err(LoginError::NotAuthorized);
                }
                Ok(jid.node().unwrap_or_default().to_owned())
            }
        }
    }

    /// A fresh UUID, or the node of the session that this client is about to resume (prosody-compat §2.8).
    fn anonymous_node(&mut self, conn: ConnId, domain: &str) -> String {
        let resumed = self
            .world
            .conns
            .get(&conn)
            .and_then(|c| c.query.previd.as_ref())
            .and_then(|id| self.world.sessions.by_resumption(id.reveal()))
            .and_then(|id| self.world.sessions.get(id))
            .filter(|s| s.bare.domain() == domain)
            .and_then(|s| s.bare.node().map(str::to_owned));
        resumed.unwrap_or_else(|| self.world.entropy.uuid())
    }

    fn logged_in(&mut self, conn: ConnId, user: User) {
        let config = &self.world.config;
        let unlimited =
            config.unlimited.iter().any(|j| j.node() == Some(&user.node) && j.domain() == user.domain);
        let max_bytes = config.limits.max_stanza_bytes_unlimited;
        let Some(c) = self.world.conns.get_mut(&conn) else { return };
        let framing = c.framing;
        c.stage = Stage::Reopening(user);
        if unlimited {
            c.max_bytes = max_bytes;
        }
        self.world.send_raw(conn, r#"<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#);
        if framing == Framing::Tcp {
            self.world.out.push_back(Output::ResetStream { conn });
        }
        if unlimited {
            self.world.out.push_back(Output::StanzaLimit { conn, max_bytes });
        }
    }

    fn login_failed(&mut self, conn: ConnId, error: LoginError) {
        self.world.counters.add(Counter::AuthFailed);
        let most = self.world.config.limits.max_auth_failures;
        let Some(c) = self.world.conns.get_mut(&conn) else { return };
        c.auth_failures += 1;
        let enough = c.auth_failures >= most;
        self.world.send_raw(conn, error.to_xml());
        if enough {
            self.fail(conn, StreamError::TooManyFailures);
        }
    }
}
