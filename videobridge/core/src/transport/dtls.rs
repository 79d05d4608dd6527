//! Key agreement: DTLS records in; records to send, SRTP keys and decrypted SCTP packets out.
//!
//! Over the crate `dimpl`, DTLS 1.2 and 1.3. Nothing is handed out before the peer's certificate matched a
//! signalled fingerprint: no keys, no data.

use std::sync::Arc;
use std::time::Instant;

use dimpl::{Config, Dtls as Engine, Output, SrtpProfile};
use videobridge_srtp::{Profile, SrtpKeys};

use super::certificate::{self, Certificate, Fingerprint};
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
        engine: Box<Engine>,
        started: Instant,
        verified: bool,
    },
    Open(Box<Engine>),
    /// Over, and [`Dtls::poll`] has yet to say so: with the error, or `None` if it was open before.
    Ending(Option<DtlsError>),
    Failed,
}

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
            wake: None,
        }
    }

    /// What all handshakes of a process have in common. `None`: the crypto library does not work.
    pub(crate) fn shared_config() -> Option<Arc<Config>> {
        Config::builder()
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

    /// Starts as soon as role and fingerprint are known; the caller knows that there is a path to send on.
    pub(crate) fn start_if_ready(&mut self, now: Instant) {
        if matches!(self.state, State::Waiting) && !self.fingerprints.is_empty() && self.role.is_some() {
            self.start(now);
            for datagram in std::mem::take(&mut self.early) {
                self.handle_datagram(now, &datagram);
            }
        }
    }

    /// A DTLS datagram. Returns false when it had to be dropped.
    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let role = self.role;
        let result = match &mut self.state {
            State::Waiting => {
                if self.early.len() >= limits::MAX_EARLY_DTLS {
                    return false;
                }
                self.early.push(datagram.into());
                return true;
            }
            State::Handshake { engine, .. } => {
                // Before the version is settled the engine takes any other record for a fatal error, and datagrams
                // of a flight do arrive out of order. The server repeats them.
                if role == Some(Role::Client)
                    && engine.protocol_version().is_none()
                    && !starts_handshake(datagram)
                {
                    return false;
                }
                engine.handle_timeout(now).and_then(|()| engine.handle_packet(datagram))
            }
            State::Open(engine) => engine.handle_timeout(now).and_then(|()| engine.handle_packet(datagram)),
            State::Ending(_) | State::Failed => return false,
        };
        if result.is_err() {
            self.engine_failed(now);
            return false;
        }
        true
    }

    /// Lets retransmissions happen.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let result = match &mut self.state {
            State::Handshake { engine, .. } | State::Open(engine) => engine.handle_timeout(now),
            State::Waiting | State::Ending(_) | State::Failed => Ok(()),
        };
        if result.is_err() {
            self.engine_failed(now);
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
            State::Waiting | State::Ending(_) | State::Failed => None,
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
        loop {
            let (engine, verified) = match &mut self.state {
                State::Handshake { started, .. } if now >= *started + limits::DTLS_HANDSHAKE_TIMEOUT => {
                    self.state = State::Failed;
                    return Polled::Failed(DtlsError::Timeout);
                }
                State::Handshake { engine, verified, .. } => (engine, Some(verified)),
                State::Open(engine) => (engine, None),
                State::Ending(error) => {
                    let polled = error.map_or(Polled::Closed, Polled::Failed);
                    self.state = State::Failed;
                    return polled;
                }
                State::Waiting | State::Failed => return Polled::Idle,
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
                (Found::Certificate(false), _) => return self.fail(DtlsError::WrongFingerprint),
                // Some versions export before they report the connection, some after.
                (Found::Keys(keys), Some(true) | None) => {
                    return match keys {
                        Some(keys) => Polled::Keys(Box::new(keys)),
                        None => self.fail(DtlsError::NoProfile),
                    };
                }
                (Found::Keys(_) | Found::Connected, Some(false)) => {
                    return self.fail(DtlsError::WrongFingerprint);
                }
                (Found::Connected, Some(true)) => {
                    if let State::Handshake { engine, .. } = std::mem::replace(&mut self.state, State::Failed)
                    {
                        self.state = State::Open(engine);
                    }
                    return Polled::Connected;
                }
                (Found::Connected, None) => {}
                (Found::Closed, _) => {
                    self.state = State::Failed;
                    return Polled::Closed;
                }
                (Found::Idle(at), _) => {
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
        // DTLS 1.2 and not "whatever comes": with 1.3 the engine takes the client's first SRTP profile, and Chromium
        // names AES-CM with HMAC-SHA1 first, at five times the CPU of GCM (decision 0001).
        let mut engine = Box::new(Engine::new_12(self.config.clone(), self.certificate.dtls(), now));
        if self.role == Some(Role::Client) {
            engine.set_active(true);
        }
        let started = match self.state {
            State::Handshake { started, .. } => started,
            _ => now,
        };
        self.state = match engine.handle_timeout(now) {
            Ok(()) => State::Handshake { engine, started, verified: false },
            Err(_) => State::Ending(Some(DtlsError::Handshake)),
        };
    }

    /// The engine can not go on. Before the peer is authenticated anybody who can forge an address could have done
    /// that, so the handshake starts afresh a few times.
    fn engine_failed(&mut self, now: Instant) {
        match &self.state {
            State::Handshake { verified: false, .. } if self.restarts < limits::MAX_DTLS_RESTARTS => {
                self.restarts += 1;
                self.start(now);
            }
            State::Open(_) => self.state = State::Ending(None),
            _ => self.state = State::Ending(Some(DtlsError::Handshake)),
        }
    }

    fn fail<'a>(&mut self, error: DtlsError) -> Polled<'a> {
        self.state = State::Failed;
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

/// Whether a datagram begins with a ServerHello or a HelloVerifyRequest.
fn starts_handshake(datagram: &[u8]) -> bool {
    datagram.first() == Some(&HANDSHAKE_RECORD) && matches!(datagram.get(13), Some(2 | 3))
}

const HANDSHAKE_RECORD: u8 = 22;
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
            dtls.engine_failed(now);
            assert!(matches!(dtls.state, State::Handshake { .. }));
        }
        dtls.engine_failed(now);
        assert!(matches!(dtls.poll(now, &mut vec![0; 2048]), Polled::Failed(DtlsError::Handshake)));
        assert!(matches!(dtls.poll(now, &mut vec![0; 2048]), Polled::Idle));
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
