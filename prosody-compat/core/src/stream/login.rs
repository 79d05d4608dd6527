//! STARTTLS and SASL: elements before the login in; success with a user, or a failure with its reason, out. Passwords
//! that are tried too often wait for their turn.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jitsi_xmpp::sasl::{Credentials, Plain, SaslError, ScramFirst};
use jitsi_xmpp::xml::escape_text;
use jitsi_xmpp::{BareJid, Element, ns};
use prosody_token::{Claims, Need, Refusal, TokenRules, Unverified};

use super::error::StreamError;
use super::features;
use crate::auth::guesses::Attempt;
use crate::auth::{Mechanism, Secret};
use crate::connection::{Exchange, Framing, Looking, Scram, Stage, User, Waiting};
use crate::counters::Counter;
use crate::identity::Vouched;
use crate::keys::{self, Waits, Whose};
use crate::modules::visitors;
use crate::output::{AccountAnswer, AccountQuestion, ConnId, Output, Proof, QuestionId};
use crate::server::Server;
use crate::timers::Timer;

/// Why a login failed. Blame: the peer. Consequence: `<failure/>`; the stream stays for another try.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LoginError {
    Aborted,
    AccountDisabled,
    Banned,
    EncryptionRequired,
    IncorrectEncoding,
    InvalidMechanism,
    MalformedRequest,
    NotAuthorized,
    Token(Refusal),
    TemporaryAuthFailure,
}

impl LoginError {
    const fn condition(&self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::Banned => "not-allowed",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::NotAuthorized => "not-authorized",
            Self::Token(refusal) => refusal.condition().as_str(),
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }

    fn text(&self) -> Cow<'static, str> {
        match self {
            Self::NotAuthorized => {
                "Unable to authorize you with the authentication credentials you've sent.".into()
            }
            Self::Token(refusal) => refusal.text(),
            Self::Banned => "user is banned".into(),
            _ => "".into(),
        }
    }

    /// compat: clients read the reason with a pattern that wants `<text>` without attributes right after the
    /// condition (client §0.3; test: compat_a_role_logs_in_over_tcp_after_starttls).
    fn to_xml(&self) -> String {
        let mut xml = format!(r#"<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><{}/>"#, self.condition());
        if !self.text().is_empty() {
            xml.push_str("<text>");
            escape_text(&self.text(), &mut xml);
            xml.push_str("</text>");
        }
        xml.push_str("</failure>");
        xml
    }
}

impl From<SaslError> for LoginError {
    fn from(e: SaslError) -> Self {
        if e.condition() == Self::NotAuthorized.condition() {
            Self::NotAuthorized
        } else {
            Self::MalformedRequest
        }
    }
}

/// What one message of an exchange leads to.
pub(super) enum Step {
    Challenge(Vec<u8>),
    Done {
        node: String,
        data: Option<Vec<u8>>,
        vouched: Vouched,
    },
    /// The password, or the account, is looked at later.
    Wait,
}

impl Server {
    /// An element before the login.
    pub(super) fn login_element(&mut self, conn: ConnId, e: &Element) {
        let Some(c) = self.world.conns.get_mut(&conn) else { return };
        let secure = c.secure(self.world.config.require_encryption);
        let tls = features::offers_tls(&self.world.config, c);
        let Stage::Login { exchange, .. } = &mut c.stage else { return };
        let exchange = match (std::mem::take(exchange), e.name(), e.ns()) {
            (Exchange::Waiting(w), "abort", ns::SASL) => {
                self.world.timers.cancel(Timer::Turn(conn));
                self.world.guesses.unused(w.attempt);
                Exchange::None
            }
            // What was asked is looked at all the same, so that nothing is given back.
            (Exchange::Looking(_) | Exchange::Key(_) | Exchange::Access(..), "abort", ns::SASL) => {
                Exchange::None
            }
            (
                waiting @ (Exchange::Waiting(_)
                | Exchange::Looking(_)
                | Exchange::Key(_)
                | Exchange::Access(..)),
                ..,
            ) => {
                *exchange = waiting;
                return self.fail(conn, StreamError::NotAuthorized);
            }
            (other, ..) => other,
        };
        let step = match (e.name(), e.ns()) {
            ("starttls", ns::TLS) if tls => {
                c.stage = Stage::Opening;
                self.world.send_raw(conn, r#"<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>"#);
                self.world.out.push_back(Output::StartTls { conn });
                return;
            }
            ("auth", ns::SASL) if !secure => Err(LoginError::EncryptionRequired),
            ("auth", ns::SASL) => self.authenticate(conn, e, None),
            ("response", ns::SASL) => self.respond(exchange, e),
            ("abort", ns::SASL) => Err(LoginError::Aborted),
            _ => return self.fail(conn, StreamError::NotAuthorized),
        };
        self.went(conn, step);
    }

    /// It is the turn of the password that waits here.
    pub(crate) fn turn(&mut self, conn: ConnId) {
        let Some(c) = self.world.conns.get_mut(&conn) else { return };
        let Stage::Login { exchange, .. } = &mut c.stage else { return };
        if let Exchange::Waiting(w) = std::mem::take(exchange) {
            let step = self.authenticate(conn, &w.auth, Some(w.attempt));
            self.went(conn, step);
        }
    }

    pub(super) fn went(&mut self, conn: ConnId, step: Result<Step, LoginError>) {
        match step {
            Ok(Step::Challenge(data)) => {
                let data = BASE64.encode(data);
                self.world.send_raw(
                    conn,
                    format!(r#"<challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl">{data}</challenge>"#),
                );
            }
            Ok(Step::Done { node, data, vouched }) => self.logged_in(conn, node, data, vouched),
            Ok(Step::Wait) => {}
            Err(error) => self.login_failed(conn, error),
        }
    }

    /// `turn`: it has waited, and was counted then.
    fn authenticate(&mut self, conn: ConnId, e: &Element, turn: Option<Attempt>) -> Result<Step, LoginError> {
        let Some(c) = self.world.conns.get(&conn) else { return Ok(Step::Wait) };
        let Stage::Login { host, domain, .. } = &c.stage else { return Ok(Step::Wait) };
        let wanted = e.attr("mechanism").unwrap_or_default();
        let users = self.hosts.users(*host).ok_or(LoginError::InvalidMechanism)?;
        let mechanism = match users.offered(c.encrypted).find(|m| m.as_str() == wanted) {
            Some(mechanism) => mechanism,
            None if wanted == Mechanism::Plain.as_str() && !c.encrypted => {
                return Err(LoginError::EncryptionRequired);
            }
            None => return Err(LoginError::InvalidMechanism),
        };
        match mechanism {
            Mechanism::Anonymous => match users.token.clone() {
                Some(rules) => self.token(conn, &rules),
                None => Ok(self.anonymous(conn, None)),
            },
            Mechanism::Plain => {
                let said = Plain::parse(&decode(e)?)?;
                let jid = account(said.username.reveal(), &said.authzid, domain)?;
                let Some(attempt) = self.attempt(conn, &jid, e, turn) else { return Ok(Step::Wait) };
                if self.is_elsewhere(&jid) {
                    self.look(conn, jid, Proof::Password(said.password), None, attempt);
                    return Ok(Step::Wait);
                }
                let right = self.accounts.check(&jid, said.password.reveal());
                let secret = right.ok_or(LoginError::NotAuthorized)?;
                self.world.guesses.right(attempt);
                let node = jid.node().unwrap_or_default().to_owned();
                Ok(Step::Done { node, data: None, vouched: Vouched { secret, ..Vouched::default() } })
            }
            Mechanism::Scram(hash) => {
                let first = ScramFirst::parse(&decode(e)?)?;
                let jid = account(first.username(), first.authzid().unwrap_or_default(), domain)?;
                let Some(attempt) = self.attempt(conn, &jid, e, turn) else { return Ok(Step::Wait) };
                if self.is_elsewhere(&jid) {
                    self.look(conn, jid, Proof::Keys(hash), Some(first), attempt);
                    return Ok(Step::Wait);
                }
                let credentials = self
                    .accounts
                    .credentials(&jid, hash, self.world.entropy.as_mut())
                    .ok_or(LoginError::NotAuthorized)?;
                let node = jid.node().unwrap_or_default().to_owned();
                let secret = self.accounts.shared(&jid);
                Ok(self.challenge(conn, first, credentials, (node, secret), attempt))
            }
        }
    }

    /// Whoever has a name given out comes in.
    pub(super) fn anonymous(&mut self, conn: ConnId, token: Option<Arc<Claims>>) -> Step {
        let vouched = Vouched { token, ..Vouched::default() };
        Step::Done { node: self.anonymous_node(conn), data: None, vouched }
    }

    /// Somebody comes with a token, or without.
    fn token(&mut self, conn: ConnId, rules: &TokenRules) -> Result<Step, LoginError> {
        let Some(token) = self.world.conns.get(&conn).and_then(|c| c.query.token.as_ref()) else {
            return rules.without_token().map(|()| self.anonymous(conn, None)).map_err(LoginError::Token);
        };
        let token = Unverified::parse(rules, token.reveal()).map_err(LoginError::Token)?;
        self.verify(conn, rules, token)
    }

    /// What the token says, once its key is there.
    fn verify(&mut self, conn: ConnId, rules: &TokenRules, token: Unverified) -> Result<Step, LoginError> {
        let Some(c) = self.world.conns.get(&conn) else { return Ok(Step::Wait) };
        let Stage::Login { host, .. } = &c.stage else { return Ok(Step::Wait) };
        let (host, peer) = (*host, c.query.peer);
        let key = match token.key_id() {
            None => None,
            Some(id) => match keys::need(&mut self.world, Whose::Host(host), Waits::Login(conn), peer, id) {
                Some(Need::Have(key)) => Some(key),
                Some(Need::Wait) => {
                    self.exchange(conn, Exchange::Key(Box::new(token)));
                    return Ok(Step::Wait);
                }
                Some(Need::Refused(refusal)) => return Err(LoginError::Token(refusal)),
                None => return Err(LoginError::Token(Refusal::NoKey)),
            },
        };
        let unix = self.world.clock.unix(self.world.now);
        let claims = token.verify(rules, key.as_ref(), unix).map_err(LoginError::Token)?;
        self.let_in(conn, host, Arc::new(claims))
    }

    /// Keys that these waited for are there, or are not to be had.
    pub(crate) fn with_keys(&mut self, all: Vec<Waits>) {
        for waits in all {
            let conn = match waits {
                Waits::Login(conn) => conn,
                Waits::Request(id) => {
                    self.heard_again(id);
                    continue;
                }
            };
            let Some(c) = self.world.conns.get_mut(&conn) else { continue };
            let Stage::Login { host, exchange, .. } = &mut c.stage else { continue };
            let Some(rules) = self.hosts.users(*host).and_then(|users| users.token.clone()) else { continue };
            let token = match std::mem::take(exchange) {
                Exchange::Key(token) => *token,
                // Given up; what the client does now is about something else.
                other => {
                    *exchange = other;
                    continue;
                }
            };
            let step = self.verify(conn, &rules, token);
            self.went(conn, step);
        }
    }

    /// Whether only the shell knows this account, if anybody does.
    fn is_elsewhere(&self, jid: &BareJid) -> bool {
        let config = &self.world.config;
        let directory = || self.hosts.of(config, jid.domain()).and_then(|id| self.hosts.users(id));
        !self.accounts.has(jid) && (config.more_accounts || directory().is_some_and(|host| host.directory))
    }

    /// Has the shell look at the account. Until it has, the client has nothing to say.
    fn look(
        &mut self,
        conn: ConnId,
        jid: BareJid,
        proof: Proof,
        first: Option<ScramFirst>,
        attempt: Attempt,
    ) {
        let node = jid.node().unwrap_or_default().to_owned();
        let id = self.world.ask_account(conn, AccountQuestion { jid, proof });
        self.exchange(conn, Exchange::Looking(Box::new(Looking { id, first, node, attempt })));
    }

    /// The shell has looked.
    pub(crate) fn account_answer(&mut self, conn: ConnId, id: QuestionId, answer: AccountAnswer) {
        let Some(c) = self.world.conns.get_mut(&conn) else { return };
        let Stage::Login { exchange, .. } = &mut c.stage else { return };
        let looking = match std::mem::take(exchange) {
            Exchange::Looking(looking) if looking.id == id => *looking,
            // Given up; what the client does now is about something else.
            other => {
                *exchange = other;
                return;
            }
        };
        let Looking { first, node, attempt, .. } = looking;
        let step = match (answer, first) {
            (AccountAnswer::Keys(keys), Some(first)) => {
                Ok(self.challenge(conn, first, keys, (node, None), attempt))
            }
            (AccountAnswer::Right, None) => {
                self.world.guesses.right(attempt);
                Ok(Step::Done { node, data: None, vouched: Vouched::default() })
            }
            (AccountAnswer::Ranked { moderates }, None) => {
                self.world.guesses.right(attempt);
                let vouched = Vouched { moderates: Some(moderates), ..Vouched::default() };
                Ok(Step::Done { node, data: None, vouched })
            }
            (AccountAnswer::Disabled, _) => Err(LoginError::AccountDisabled),
            (AccountAnswer::Unavailable, _) => {
                self.world.guesses.unused(attempt);
                Err(LoginError::TemporaryAuthFailure)
            }
            (
                AccountAnswer::Wrong
                | AccountAnswer::Keys(_)
                | AccountAnswer::Right
                | AccountAnswer::Ranked { .. },
                _,
            ) => Err(LoginError::NotAuthorized),
        };
        self.went(conn, step);
    }

    fn challenge(
        &mut self,
        conn: ConnId,
        first: ScramFirst,
        keys: Credentials,
        (node, secret): (String, Option<Secret>),
        attempt: Attempt,
    ) -> Step {
        let nonce = self.world.entropy.hex(18);
        let (server, challenge) = first.challenge(keys, &nonce);
        self.exchange(conn, Exchange::Scram(Box::new(Scram { server, node, secret, attempt })));
        Step::Challenge(challenge)
    }

    pub(super) fn exchange(&mut self, conn: ConnId, now: Exchange) {
        if let Some(Stage::Login { exchange, .. }) = self.world.conns.get_mut(&conn).map(|c| &mut c.stage) {
            *exchange = now;
        }
    }

    /// Leave to look at a password now; `None`: it waits for its turn.
    fn attempt(
        &mut self,
        conn: ConnId,
        jid: &BareJid,
        auth: &Element,
        turn: Option<Attempt>,
    ) -> Option<Attempt> {
        if turn.is_some() {
            return turn;
        }
        let now = self.world.now;
        let c = self.world.conns.get_mut(&conn)?;
        let (attempt, wait) = self.world.guesses.ask(now, c.query.peer, self.accounts.guessed(jid));
        if wait.is_zero() {
            return Some(attempt);
        }
        self.world.counters.add(Counter::AuthDelayed);
        let waiting = Exchange::Waiting(Box::new(Waiting { auth: auth.clone(), attempt }));
        if let Stage::Login { exchange, .. } = &mut c.stage {
            *exchange = waiting;
        }
        self.world.timers.set(now + wait, Timer::Turn(conn));
        self.world.timers.set(now + wait + self.world.config.limits.login_timeout, Timer::Login(conn));
        None
    }

    /// The last message of a SCRAM exchange.
    fn respond(&mut self, exchange: Exchange, e: &Element) -> Result<Step, LoginError> {
        let Exchange::Scram(scram) = exchange else { return Err(LoginError::MalformedRequest) };
        let data = scram.server.finish(&decode(e)?)?;
        self.world.guesses.right(scram.attempt);
        let vouched = Vouched { secret: scram.secret, ..Vouched::default() };
        Ok(Step::Done { node: scram.node, data: Some(data), vouched })
    }

    /// A fresh UUID, or the node of the session that this client is about to resume (xmpp-server §2.8), or the one that was promised to
    /// a viewer.
    fn anonymous_node(&mut self, conn: ConnId) -> String {
        let kept = self.world.conns.get(&conn).and_then(|c| {
            let Stage::Login { domain, .. } = &c.stage else { return None };
            let resumed = || {
                let id = self.world.sessions.by_resumption(c.query.previd.as_ref()?.reveal())?;
                let before = self.world.sessions.get(id).filter(|s| s.bare.domain() == domain)?;
                before.bare.node().map(str::to_owned)
            };
            let promised = || {
                let name = c.query.custom_username.as_ref()?.reveal();
                visitors::redeem(&self.world, name, domain).then(|| name.clone())
            };
            resumed().or_else(promised)
        });
        kept.unwrap_or_else(|| self.world.entropy.uuid())
    }

    fn logged_in(&mut self, conn: ConnId, node: String, data: Option<Vec<u8>>, vouched: Vouched) {
        if vouched.token.is_some() {
            self.world.counters.add(Counter::TokensTaken);
        }
        let config = &self.world.config;
        let Some(c) = self.world.conns.get_mut(&conn) else { return };
        let Stage::Login { host, domain, .. } = &c.stage else { return };
        let user = User { node, host: *host, domain: domain.clone(), vouched };
        let unlimited =
            config.unlimited.iter().any(|j| j.node() == Some(&user.node) && j.domain() == user.domain);
        let limits = &config.limits;
        let max_bytes = if unlimited { limits.max_stanza_bytes_unlimited } else { limits.max_stanza_bytes };
        let framing = c.framing;
        c.stage = Stage::Reopening(user);
        c.max_bytes = max_bytes;
        let success = data.map_or_else(
            || r#"<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>"#.to_owned(),
            |d| {
                format!(r#"<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl">{}</success>"#, BASE64.encode(d))
            },
        );
        self.world.send_raw(conn, success);
        if framing == Framing::Tcp {
            self.world.out.push_back(Output::ResetStream { conn });
        }
        self.world.out.push_back(Output::StanzaLimit { conn, max_bytes });
    }

    fn login_failed(&mut self, conn: ConnId, error: LoginError) {
        self.world.counters.add(Counter::AuthFailed);
        if matches!(error, LoginError::Token(_)) {
            self.world.counters.add(Counter::TokensRefused);
        }
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

fn decode(e: &Element) -> Result<Vec<u8>, LoginError> {
    BASE64.decode(e.text().trim()).map_err(|_| LoginError::IncorrectEncoding)
}

/// The account that is meant. Acting for somebody else (RFC 4616 §2) is not possible here.
fn account(name: &str, authzid: &str, domain: &str) -> Result<BareJid, LoginError> {
    let jid = BareJid::from_parts(name, domain).map_err(|_| LoginError::NotAuthorized)?;
    if !authzid.is_empty() && authzid.parse::<BareJid>().ok().as_ref() != Some(&jid) {
        return Err(LoginError::NotAuthorized);
    }
    Ok(jid)
}
