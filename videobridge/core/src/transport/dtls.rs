//! Key agreement: DTLS records in; records to send, SRTP keys and decrypted SCTP packets out.
//!
//! Over the crate `dimpl`. Nothing is handed out before the peer's certificate matched a signalled fingerprint: no
//! keys, no data.
//!
//! Whoever can forge the peer's address can send a ClientHello in its name. So every ClientHello gets an attempt of its
//! own, a few at a time, and the first one whose certificate fits is the peer's. An attempt that has seen nothing but
//! its ClientHello answers it and repeats nothing by itself: the peer repeats its own.

use std::sync::Arc;
use std::time::Instant;

use budget::Bucket;
use dimpl::{Config, Dtls as Engine, Output, SrtpProfile};
use videobridge_srtp::{Profile, SrtpKeys};

use super::certificate::{self, Certificate, Fingerprint};
use super::crypto;
use crate::limits;

/// The DTLS side of one endpoint.
#[derive(Debug)]
pub(crate) struct Dtls {
    config: Arc<Config>,
    certificate: Certificate,
    fingerprints: Vec<Fingerprint>,
    role: Option<Role>,
    state: State,
    /// Came before we knew whom to expect.
    early: Vec<Box<[u8]>>,
    restarts: u32,
    hellos: Bucket,
    /// An attempt failed, nothing came of the others yet, and [`Dtls::poll`] has not said so.
    unsaid: bool,
    /// What the last attempt had to say when it failed: the alert, so that the peer does not wait.
    last_word: Option<Vec<u8>>,
    wake: Option<Instant>,
}

/// Who sends the ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// We do: the peer signalled `passive`.
    Client,
    /// The peer does: it signalled `active`, the normal case.
    Server,
}

#[derive(Debug)]
enum State {
    /// Role, fingerprint or a path to answer on are not known yet.
    Waiting,
    Handshake {
        /// Never empty.
        attempts: Vec<Attempt>,
        started: Instant,
    },
    Open(Box<Engine>),
    /// Over, and [`Dtls::poll`] has yet to say so: with the error, or `None` if it was open before.
    Ending(Option<DtlsError>),
    /// `again`: somebody came with a wrong certificate, which need not have been the peer.
    Failed {
        again: bool,
    },
}

/// One handshake under way.
#[derive(Debug)]
struct Attempt {
    engine: Box<Engine>,
    /// The random of the ClientHello it answers; `None` before there was one, or when we are the client.
    hello: Option<Random>,
    /// The peer has shown the signalled certificate.
    verified: bool,
}

/// What a ClientHello is known by.
type Random = [u8; 32];

/// What [`Dtls::poll`] found.
pub(crate) enum Polled<'a> {
    /// A datagram to send to the peer.
    Datagram(&'a [u8]),
    /// An SCTP packet from the peer.
    Data(&'a [u8]),
    /// The peer is who it should be: the SRTP keys.
    Keys(Box<SrtpKeys>),
    /// The handshake is complete: data can be sent.
    Connected,
    /// It is over; media keys stay valid.
    Closed,
    /// It failed before it was open.
    Failed(DtlsError),
    /// Nothing to do.
    Idle,
}

/// Why there is no secured connection. Consequence: no media for this endpoint until it expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DtlsError {
    /// The peer's fault, or an attack: the certificate is not the one that was signalled.
    #[error("certificate does not match the signalled fingerprint")]
    WrongFingerprint,
    /// The peer's fault: no SRTP profile in common.
    #[error("no SRTP profile in common")]
    NoProfile,
    /// The peer's or the network's fault.
    #[error("handshake failed")]
    Handshake,
    /// The network's fault: 30 s were not enough.
    #[error("handshake timed out")]
    Timeout,
}

impl DtlsError {
    /// Stable name for counters and logs.
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::WrongFingerprint => "dtls_wrong_fingerprint",
            Self::NoProfile => "dtls_no_srtp_profile",
            Self::Handshake => "dtls_handshake_failed",
            Self::Timeout => "dtls_timeout",
        }
    }
}

impl Dtls {
    pub(crate) fn new(config: Arc<Config>, certificate: Certificate) -> Self {
        Self {
            config,
            certificate,
            fingerprints: Vec::new(),
            role: None,
            state: State::Waiting,
            early: Vec::new(),
            restarts: 0,
            hellos: Bucket::full(),
            unsaid: false,
            last_word: None,
            wake: None,
        }
    }

    /// Of our certificate, as signalled.
    pub(crate) fn own_fingerprint(&self) -> &str {
        self.certificate.fingerprint()
    }

    /// What all handshakes of a process have in common. `None`: the crypto library does not work.
    pub(crate) fn shared_config() -> Option<Arc<Config>> {
        Config::builder()
            .with_crypto_provider(crypto::provider())
            .srtp_profiles(&SRTP_PROFILES)
            // ICE has proved the address already; the cookie would only cost a round trip.
            .use_server_cookie(false)
            .require_client_certificate(true)
            .mtu(limits::DTLS_MTU)
            .handshake_timeout(limits::DTLS_HANDSHAKE_TIMEOUT)
            .build()
            .ok()
            .map(Arc::new)
    }

    /// A fingerprint from signalling. Further ones only matter before the certificate is checked.
    pub(crate) fn add_fingerprint(&mut self, hash: &str, digest: &str) {
        let fingerprint = Fingerprint { hash: hash.to_owned(), digest: digest.to_owned() };
        if self.fingerprints.len() < limits::MAX_FINGERPRINTS && !self.fingerprints.contains(&fingerprint) {
            self.fingerprints.push(fingerprint);
        }
    }

    /// Our role, from the first `setup` that decides it.
    pub(crate) fn set_role(&mut self, role: Role) {
        if matches!(self.state, State::Waiting) && self.role.is_none() {
            self.role = Some(role);
        }
    }

    /// Our role, once it is decided.
    pub(crate) fn role(&self) -> Option<Role> {
        self.role
    }

    /// Whether role and fingerprint are known and the handshake has not begun.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.state, State::Waiting) && !self.fingerprints.is_empty() && self.role.is_some()
    }

    /// Whether what the peer began has come to nothing, and [`Dtls::poll`] has not said so. A peer that cannot agree
    /// with us leaves before its time is up, so this is asked when it does.
    pub(crate) fn failed_unsaid(&self, now: Instant) -> bool {
        let State::Handshake { attempts, started } = &self.state else { return self.unsaid };
        let slow = now.saturating_duration_since(*started) >= limits::DTLS_SLOW;
        // What the engine cannot read it takes for noise, and waits.
        self.unsaid || slow && attempts.iter().any(|a| a.hello.is_some())
    }

    /// Whether it has begun and is not over.
    pub(crate) const fn is_handshaking(&self) -> bool {
        matches!(self.state, State::Handshake { .. })
    }

    /// Starts as soon as role and fingerprint are known; the caller knows that there is a path to send on.
    pub(crate) fn start_if_ready(&mut self, now: Instant) {
        if self.is_ready() {
            self.start(now);
            for datagram in std::mem::take(&mut self.early) {
                self.handle_datagram(now, &datagram);
            }
        }
    }

    /// A DTLS datagram. Returns false when it had to be dropped.
    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> bool {
        match &mut self.state {
            State::Waiting => {
                if self.early.len() >= limits::MAX_EARLY_DTLS {
                    return false;
                }
                self.early.push(datagram.into());
                true
            }
            State::Handshake { .. } => self.handle_handshake(now, datagram),
            State::Open(engine) => {
                let taken = engine.handle_timeout(now).and_then(|()| engine.handle_packet(datagram)).is_ok();
                if !taken {
                    self.state = State::Ending(None);
                }
                taken
            }
            State::Failed { again: true } if client_hello(datagram).is_some() => {
                let may = self.restarts < limits::MAX_DTLS_RESTARTS;
                if may {
                    self.restarts += 1;
                    self.start(now);
                    self.handle_handshake(now, datagram);
                }
                may
            }
            State::Ending(_) | State::Failed { .. } => false,
        }
    }

    /// Lets retransmissions happen.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let client = self.role == Some(Role::Client);
        match &mut self.state {
            State::Handshake { attempts, .. } => {
                let before = attempts.len();
                attempts.retain_mut(|a| {
                    // Else somebody else's ClientHello would have us send to the peer again and again.
                    let silent = !client && !a.verified && a.hello.is_some();
                    silent || a.engine.handle_timeout(now).is_ok()
                });
                self.unsaid |= attempts.len() < before;
                if attempts.is_empty() {
                    self.start_afresh(now);
                }
            }
            State::Open(engine) => {
                if engine.handle_timeout(now).is_err() {
                    self.state = State::Ending(None);
                }
            }
            State::Waiting | State::Ending(_) | State::Failed { .. } => {}
        }
    }

    /// When [`Dtls::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Handshake { started, .. } => {
                let end = *started + limits::DTLS_HANDSHAKE_TIMEOUT;
                Some(self.wake.map_or(end, |wake| wake.min(end)))
            }
            State::Open(_) => self.wake,
            State::Waiting | State::Ending(_) | State::Failed { .. } => None,
        }
    }

    /// Sends an SCTP packet. Poll after each one. Returns false when it was not taken.
    pub(crate) fn send(&mut self, now: Instant, data: &[u8]) -> bool {
        let State::Open(engine) = &mut self.state else { return false };
        engine.handle_timeout(now).is_ok()
            && engine.send_application_data(data).is_ok_and(|n| n == data.len())
    }

    /// What there is to do now; poll until [`Polled::Idle`]. Grows `buf` when needed.
    pub(crate) fn poll<'a>(&mut self, now: Instant, buf: &'a mut Vec<u8>) -> Polled<'a> {
        if let Some(word) = self.last_word.take() {
            buf.clear();
            buf.extend_from_slice(&word);
            buf.resize(buf.len().max(limits::DTLS_MTU), 0);
            return buf.get(..word.len()).map_or(Polled::Idle, Polled::Datagram);
        }
        let (mut at, mut wake) = (0, None::<Instant>);
        loop {
            let (engine, verified, silent) = match &mut self.state {
                State::Handshake { started, .. } if now >= *started + limits::DTLS_HANDSHAKE_TIMEOUT => {
                    return self.fail(DtlsError::Timeout);
                }
                State::Handshake { attempts, .. } => {
                    let Some(attempt) = attempts.get_mut(at) else {
                        self.wake = wake;
                        return Polled::Idle;
                    };
                    let silent =
                        self.role == Some(Role::Server) && !attempt.verified && attempt.hello.is_some();
                    (&mut attempt.engine, Some(&mut attempt.verified), silent)
                }
                State::Open(engine) => (engine, None, false),
                State::Ending(error) => {
                    self.unsaid = false;
                    let polled = error.map_or(Polled::Closed, Polled::Failed);
                    self.state = State::Failed { again: false };
                    return polled;
                }
                State::Waiting | State::Failed { .. } => return Polled::Idle,
            };
            // The borrow checker does not see that no arm below keeps the borrow when it loops, so lengths are
            // carried instead of slices.
            let found = match engine.poll_output(buf) {
                Output::Packet(p) => Found::Datagram(p.len()),
                Output::ApplicationData(p) => Found::Data(p.len()),
                Output::BufferTooSmall { needed } => Found::TooSmall(needed),
                Output::PeerCert(der) => Found::Certificate(certificate::matches(&self.fingerprints, der)),
                Output::KeyingMaterial(material, profile) => Found::Keys(keys(&material, profile, self.role)),
                Output::Connected => Found::Connected,
                Output::CloseNotify => Found::Closed,
                Output::Timeout(at) => Found::Idle(at),
                _ => continue,
            };
            match (found, verified) {
                (Found::Datagram(len), _) => return buf.get(..len).map_or(Polled::Idle, Polled::Datagram),
                // Data that comes before the certificate was checked is not for anybody.
                (Found::Data(_), Some(_)) => {}
                (Found::Data(len), None) => return buf.get(..len).map_or(Polled::Idle, Polled::Data),
                (Found::TooSmall(needed), _) if needed <= MAX_SCRATCH => buf.resize(needed, 0),
                (Found::TooSmall(_), _) => return self.fail(DtlsError::Handshake),
                (Found::Certificate(true), Some(verified)) => *verified = true,
                (Found::Certificate(true), None) => {}
                (Found::Certificate(false), None) => return self.fail(DtlsError::WrongFingerprint),
                (Found::Certificate(false), Some(_)) | (Found::Keys(_) | Found::Connected, Some(false)) => {
                    if self.only(at) {
                        return self.fail(DtlsError::WrongFingerprint);
                    }
                }
                // Some versions export before they report the connection, some after.
                (Found::Keys(keys), Some(true) | None) => {
                    self.decide(at);
                    return match keys {
                        Some(keys) => Polled::Keys(Box::new(keys)),
                        None => self.fail(DtlsError::NoProfile),
                    };
                }
                (Found::Connected, Some(true)) => {
                    self.decide(at);
                    let decided = std::mem::replace(&mut self.state, State::Failed { again: false });
                    if let State::Handshake { attempts, .. } = decided
                        && let Some(attempt) = attempts.into_iter().next()
                    {
                        self.state = State::Open(attempt.engine);
                    }
                    return Polled::Connected;
                }
                (Found::Connected, None) => {}
                // Not encrypted yet, so anybody could have said it.
                (Found::Closed, Some(_)) => {
                    if self.only(at) {
                        self.start_afresh(now);
                        at = 0;
                    }
                }
                (Found::Closed, None) => {
                    self.state = State::Failed { again: false };
                    return Polled::Closed;
                }
                (Found::Idle(_), Some(_)) if silent => at += 1,
                (Found::Idle(next), Some(_)) => {
                    wake = Some(wake.map_or(next, |w| w.min(next)));
                    at += 1;
                }
                (Found::Idle(at), None) => {
                    self.wake = Some(at);
                    return Polled::Idle;
                }
            }
        }
    }

    /// Says goodbye, if there is anybody. Poll for the datagram.
    pub(crate) fn close(&mut self) {
        if let State::Open(engine) = &mut self.state {
            let _ = engine.close();
        }
    }

    fn start(&mut self, now: Instant) {
        let started = match self.state {
            State::Handshake { started, .. } => started,
            _ => now,
        };
        self.state = match self.attempt(now) {
            Some(attempt) => State::Handshake { attempts: vec![attempt], started },
            None => State::Ending(Some(DtlsError::Handshake)),
        };
    }

    fn attempt(&self, now: Instant) -> Option<Attempt> {
        let (config, certificate) = (self.config.clone(), self.certificate.dtls());
        let mut engine = Box::new(match self.role {
            // 1.2 alone: a ClientHello of both versions names the signatures of browsers, and who would have us begin
            // is none (decision 0027).
            Some(Role::Client) => Engine::new_12(config, certificate, now),
            _ => Engine::new_auto(config, certificate, now),
        });
        if self.role == Some(Role::Client) {
            engine.set_active(true);
        }
        engine.handle_timeout(now).ok()?;
        Some(Attempt { engine, hello: None, verified: false })
    }

    fn handle_handshake(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let hello = if self.role == Some(Role::Server) { client_hello(datagram) } else { None };
        let hello = match hello {
            Some(hello) => match self.attempt_for(now, hello) {
                Some(at) => Some(at),
                None => return false,
            },
            None => None,
        };
        let client = self.role == Some(Role::Client);
        let State::Handshake { attempts, .. } = &mut self.state else { return false };
        let (mut at, mut taken) = (0, false);
        // Else a stranger's failure would end what the peer has begun.
        let alone = attempts.len() == 1;
        let (unsaid, last_word) = (&mut self.unsaid, &mut self.last_word);
        attempts.retain_mut(|attempt| {
            let concerned = hello.is_none_or(|only| only == at);
            at += 1;
            if !concerned {
                return true;
            }
            let engine = &mut attempt.engine;
            // Before the version is settled the engine takes any other record for a fatal error, and datagrams of a
            // flight do arrive out of order. The server repeats them.
            if client && engine.protocol_version().is_none() && !starts_handshake(datagram) {
                return true;
            }
            let handled = engine.handle_timeout(now).and_then(|()| engine.handle_packet(datagram)).is_ok();
            taken |= handled;
            if !handled {
                *unsaid = true;
                let mut word = vec![0; limits::DTLS_MTU];
                if alone && let Output::Packet(alert) = engine.poll_output(&mut word) {
                    let length = alert.len();
                    word.truncate(length);
                    *last_word = Some(word);
                }
            }
            handled
        });
        if attempts.is_empty() {
            self.start_afresh(now);
        }
        taken
    }

    /// The attempt that answers this ClientHello, a new one if there is none. `None`: there may not be another one.
    fn attempt_for(&mut self, now: Instant, hello: Random) -> Option<usize> {
        let State::Handshake { attempts, .. } = &mut self.state else { return None };
        if let Some(at) = attempts.iter().position(|a| a.hello == Some(hello)) {
            return Some(at);
        }
        if let Some(at) = attempts.iter().position(|a| a.hello.is_none()) {
            attempts.get_mut(at)?.hello = Some(hello);
            return Some(at);
        }
        // The one that waits for longest without a certificate makes room.
        let room = attempts.len() < limits::MAX_DTLS_ATTEMPTS;
        let oldest = attempts.iter().position(|a| !a.verified);
        if !room && oldest.is_none() || !self.hellos.take(&limits::DTLS_HELLOS, now, 1) {
            return None;
        }
        let mut attempt = self.attempt(now)?;
        attempt.hello = Some(hello);
        let State::Handshake { attempts, .. } = &mut self.state else { return None };
        if !room && let Some(oldest) = oldest {
            attempts.remove(oldest);
        }
        attempts.push(attempt);
        Some(attempts.len() - 1)
    }

    /// Gives up the attempt at `at` if there are others. Returns whether it is the only one.
    fn only(&mut self, at: usize) -> bool {
        let State::Handshake { attempts, .. } = &mut self.state else { return true };
        self.unsaid = true;
        if attempts.len() > 1 && at < attempts.len() {
            attempts.remove(at);
            return false;
        }
        true
    }

    /// The attempt at `at` is the peer's; the others were not.
    fn decide(&mut self, at: usize) {
        self.unsaid = false;
        if let State::Handshake { attempts, .. } = &mut self.state
            && at < attempts.len()
        {
            attempts.swap(0, at);
            attempts.truncate(1);
        }
    }

    /// No attempt can go on. Before the peer is authenticated anybody who can forge an address could have done that, so
    /// the handshake starts afresh a few times.
    fn start_afresh(&mut self, now: Instant) {
        if self.restarts < limits::MAX_DTLS_RESTARTS {
            self.restarts += 1;
            self.start(now);
        } else {
            self.state = State::Ending(Some(DtlsError::Handshake));
        }
    }

    fn fail<'a>(&mut self, error: DtlsError) -> Polled<'a> {
        self.unsaid = false;
        let again = error == DtlsError::WrongFingerprint && self.role == Some(Role::Server);
        self.state = State::Failed { again };
        Polled::Failed(error)
    }
}

enum Found {
    Datagram(usize),
    Data(usize),
    TooSmall(usize),
    Certificate(bool),
    Keys(Option<SrtpKeys>),
    Connected,
    Closed,
    Idle(Instant),
}

/// The SRTP keys out of what DTLS exported.
fn keys(material: &[u8], profile: SrtpProfile, role: Option<Role>) -> Option<SrtpKeys> {
    let profile = match profile {
        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        SrtpProfile::AES128_CM_SHA1_80 => Profile::Aes128CmHmacSha1_80,
        _ => return None,
    };
    SrtpKeys::from_dtls_exporter(profile, material, role == Some(Role::Server)).ok()
}

/// The random of the ClientHello a datagram begins with; `None` for everything else, later fragments included
/// (RFC 6347 §4.2.2, RFC 5246 §7.4.1.2).
fn client_hello(datagram: &[u8]) -> Option<Random> {
    let handshake = datagram.strip_prefix(&[HANDSHAKE_RECORD])?.get(12..)?;
    let (&[CLIENT_HELLO, _, _, _, _, _, 0, 0, 0, _, _, _], body) = handshake.split_first_chunk::<12>()?
    else {
        return None;
    };
    body.get(2..)?.first_chunk().copied()
}

/// Whether a datagram begins with a ServerHello or a HelloVerifyRequest.
fn starts_handshake(datagram: &[u8]) -> bool {
    datagram.first() == Some(&HANDSHAKE_RECORD) && matches!(datagram.get(13), Some(2 | 3))
}

/// As upstream, and AES-256 where a peer knows no other AEAD.
const SRTP_PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::AEAD_AES_128_GCM, SrtpProfile::AEAD_AES_256_GCM, SrtpProfile::AES128_CM_SHA1_80];
const HANDSHAKE_RECORD: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// No record and no certificate we accept is larger.
const MAX_SCRATCH: usize = 20 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn dtls() -> Dtls {
        Dtls::new(Dtls::shared_config().unwrap(), Certificate::generate().unwrap())
    }

    #[test]
    fn early_datagrams_have_a_limit_and_are_used_later() {
        let now = Instant::now();
        let mut dtls = dtls();
        for _ in 0..limits::MAX_EARLY_DTLS {
            assert!(dtls.handle_datagram(now, &[22, 254, 253]));
        }
        assert!(!dtls.handle_datagram(now, &[22, 254, 253]));
        dtls.set_role(Role::Server);
        dtls.start_if_ready(now);
        assert!(matches!(dtls.state, State::Waiting), "whom to expect is not known");
        dtls.add_fingerprint("sha-256", "AB");
        dtls.start_if_ready(now);
        assert!(matches!(dtls.state, State::Handshake { .. }) && dtls.early.is_empty());
    }

    #[test]
    fn fingerprints_have_a_limit_and_the_first_role_stays() {
        let mut dtls = dtls();
        for n in 0..=limits::MAX_FINGERPRINTS {
            dtls.add_fingerprint("sha-256", &n.to_string());
            dtls.add_fingerprint("sha-256", &n.to_string());
        }
        assert_eq!(dtls.fingerprints.len(), limits::MAX_FINGERPRINTS);
        dtls.set_role(Role::Client);
        dtls.set_role(Role::Server);
        assert_eq!(dtls.role(), Some(Role::Client));
    }

    #[test]
    fn a_handshake_that_failed_before_anybody_was_authenticated_starts_afresh_a_few_times() {
        let now = Instant::now();
        let mut dtls = dtls();
        dtls.set_role(Role::Server);
        dtls.add_fingerprint("sha-256", "AB");
        dtls.start_if_ready(now);
        for _ in 0..limits::MAX_DTLS_RESTARTS {
            dtls.start_afresh(now);
            assert!(matches!(dtls.state, State::Handshake { .. }));
        }
        dtls.start_afresh(now);
        assert!(matches!(dtls.poll(now, &mut vec![0; 2048]), Polled::Failed(DtlsError::Handshake)));
        assert!(matches!(dtls.poll(now, &mut vec![0; 2048]), Polled::Idle));
    }

    /// Begins like a ClientHello with this random; the engine will not like the rest.
    fn hello(random: u8) -> Vec<u8> {
        let mut d = vec![HANDSHAKE_RECORD, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 46, CLIENT_HELLO, 0, 0, 60];
        d.extend([0, 0, 0, 0, 0, 0, 0, 34, 254, 253]);
        d.extend([random; 32]);
        d
    }

    #[test]
    fn attempts_side_by_side_and_further_client_hellos_have_a_limit() {
        let now = Instant::now();
        let mut dtls = dtls();
        dtls.set_role(Role::Server);
        dtls.add_fingerprint("sha-256", "AB");
        dtls.start_if_ready(now);
        let count = |dtls: &Dtls| match &dtls.state {
            State::Handshake { attempts, .. } => attempts.len(),
            _ => 0,
        };
        assert_eq!(client_hello(&hello(7)), Some([7; 32]));
        for n in 0..limits::MAX_DTLS_ATTEMPTS {
            assert_eq!(dtls.attempt_for(now, [n as u8; 32]), Some(n));
        }
        assert_eq!(dtls.attempt_for(now, [0; 32]), Some(0), "known");
        assert_eq!(dtls.attempt_for(now, [9; 32]), Some(2), "one beyond takes the place of the oldest");
        assert_eq!((count(&dtls), dtls.attempt_for(now, [1; 32])), (limits::MAX_DTLS_ATTEMPTS, Some(0)));
        let left = limits::DTLS_HELLOS.burst() - 3;
        assert!((0..left).all(|n| dtls.attempt_for(now, [100 + n as u8; 32]).is_some()));
        assert_eq!(dtls.attempt_for(now, [200; 32]), None, "one beyond");
        assert_eq!(count(&dtls), limits::MAX_DTLS_ATTEMPTS);
    }

    #[test]
    fn a_client_that_never_begins_is_given_up_after_30_seconds() {
        let now = Instant::now();
        let mut dtls = dtls();
        dtls.set_role(Role::Server);
        dtls.add_fingerprint("sha-256", "AB");
        dtls.start_if_ready(now);
        let mut buf = vec![0; 2048];
        assert!(matches!(dtls.poll(now, &mut buf), Polled::Idle));
        let end = now + limits::DTLS_HANDSHAKE_TIMEOUT;
        assert!(dtls.poll_timeout().is_some_and(|at| at <= end));
        dtls.handle_timeout(end);
        assert!(matches!(dtls.poll(end, &mut buf), Polled::Failed(DtlsError::Timeout)));
    }
}
