//! Connectivity: STUN datagrams and the peer's credentials in; answers, checks and the address to send media to out.
//!
//! A full agent over the crate `is`: one component, host candidates of the shard's sockets, peer-reflexive remote
//! candidates, no trickling needed. Credentials and tie-breaker come from our entropy, never from the crate.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use budget::Bucket;
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceConnectionState, IceCreds, Protocol};
use jitsi_xmpp::Entropy;

use super::path::{Carrier, Path};
use crate::demux::{self, Transaction};
use crate::limits;

/// The ICE side of one endpoint.
#[derive(Debug)]
pub(crate) struct Ice {
    agent: IceAgent,
    selected: Option<Path>,
    /// When something authentic last came over it.
    heard: Option<Instant>,
    /// Where a check was answered, the latest last.
    answered: VecDeque<Path>,
    /// Addresses that were given up because the peer's media came from elsewhere, the latest last. The agent ignores them.
    given_up: VecDeque<SocketAddr>,
    /// How many addresses have answered a check.
    addresses_ever: u32,
    claims: Claims,
    /// Those signalled.
    remote_candidates: Vec<SocketAddr>,
    /// Answers counted on the nominated pair, to notice new ones.
    responses: Option<u64>,
    last_consent: Option<Instant>,
    consent: Consent,
}

/// Requests from addresses that were new. They are authentic, but whoever saw one on its way can send it again from any
/// address: only an answered check proves that the peer is there.
#[derive(Debug, Default)]
struct Claims {
    allowed: Bucket,
    /// The latest, oldest first.
    seen: VecDeque<Transaction>,
    unanswered: VecDeque<Path>,
}

/// Whether the peer lets us send to it (RFC 7675).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent {
    /// It never answered.
    NotYet,
    Given,
    /// It stopped answering.
    Lost,
}

impl Ice {
    /// An agent that answers on `sockets`.
    pub(crate) fn new(
        now: Instant,
        shard: u16,
        sockets: impl Iterator<Item = (Carrier, SocketAddr)>,
        controlling: bool,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let creds = IceCreds {
            ufrag: demux::sharded_id(shard, UFRAG_LEN, entropy),
            pass: demux::random_text(PASSWORD_LEN, entropy),
        };
        let mut agent = IceAgent::new(creds);
        agent.set_control_tie_breaker(entropy.u64());
        agent.set_controlling(controlling);
        agent.set_max_candidate_pairs(limits::MAX_CANDIDATE_PAIRS);
        agent.set_timing_advance(TIMING_ADVANCE);
        agent.set_initial_stun_rto(INITIAL_RTO);
        agent.set_max_stun_rto(CONSENT_INTERVAL);
        agent.set_max_stun_retransmits(RETRANSMISSIONS);
        for (carrier, socket) in sockets {
            match Candidate::host(socket, carrier.protocol()) {
                Ok(candidate) => {
                    agent.add_local_candidate(candidate);
                }
                Err(_) => tracing::warn!("media socket has an address that can not be a candidate"),
            }
        }
        agent.handle_timeout(now);
        Self {
            agent,
            selected: None,
            heard: None,
            answered: VecDeque::new(),
            given_up: VecDeque::new(),
            addresses_ever: 0,
            claims: Claims::default(),
            remote_candidates: Vec::new(),
            responses: None,
            last_consent: None,
            consent: Consent::NotYet,
        }
    }

    /// Our side of the credentials: `ufrag` and `pwd`.
    pub(crate) fn local_credentials(&self) -> (&str, &str) {
        let creds = self.agent.local_credentials();
        (&creds.ufrag, &creds.pass)
    }

    /// The peer's credentials. Once connected others are ignored: that would be a restart, which is asked for
    /// differently. Returns whether they were taken.
    pub(crate) fn set_remote_credentials(&mut self, now: Instant, ufrag: &str, pwd: &str) -> bool {
        let fits = |s: &str| !s.is_empty() && s.len() <= limits::MAX_ICE_CREDENTIAL_LEN;
        if !fits(ufrag) || !fits(pwd) || self.consent != Consent::NotYet {
            return false;
        }
        let creds = IceCreds { ufrag: ufrag.to_owned(), pass: pwd.to_owned() };
        if self.agent.remote_credentials() != Some(&creds) {
            self.agent.set_remote_credentials(creds);
            self.agent.handle_timeout(now);
        }
        true
    }

    /// A candidate from signalling, an IP literal with a port; others are of no use to a server. Returns whether it
    /// was taken; the focus may repeat itself.
    pub(crate) fn add_remote_candidate(&mut self, now: Instant, ip: &str, port: u16) -> bool {
        let Ok(ip) = ip.parse::<IpAddr>() else { return false };
        let address = SocketAddr::new(ip, port);
        if self.remote_candidates.contains(&address) {
            return true;
        }
        if self.remote_candidates.len() >= limits::MAX_REMOTE_CANDIDATES
            || self.consent != Consent::NotYet
            || port == 0
        {
            return false;
        }
        let Ok(candidate) = Candidate::host(address, Protocol::Udp) else { return false };
        self.remote_candidates.push(address);
        self.agent.add_remote_candidate(candidate);
        self.agent.handle_timeout(now);
        true
    }

    /// A STUN message that arrived on `path`. Returns whether it was authentic and for us; only then `path` may be
    /// bound to this endpoint. `known` tells that it is bound already.
    pub(crate) fn handle_packet(&mut self, now: Instant, path: Path, datagram: &[u8], known: bool) -> bool {
        if !known && self.addresses_ever >= limits::MAX_ADDRESSES_EVER {
            return false;
        }
        let Ok(message) = StunMessage::parse(datagram) else { return false };
        let claim = demux::transaction(datagram).filter(|_| !known && message.is_binding_request());
        if claim.is_some_and(|claim| !self.claims.allows(now, &claim)) {
            return false;
        }
        let is_answer = message.is_successful_binding_response();
        if message.is_binding_request() && self.given_up.contains(&path.remote) {
            self.come_back(path, &message);
        }
        let proto = path.carrier.protocol();
        let packet = StunPacket { proto, source: path.remote, destination: path.local, message };
        if !self.agent.handle_packet(now, packet) {
            return false;
        }
        if let Some(claim) = claim {
            self.claims.note(now, claim, path);
        }
        if is_answer && (self.claims.answered(path) || !known) {
            self.addresses_ever += 1;
        }
        if is_answer && !self.answered.contains(&path) {
            bounded(&mut self.answered, limits::MAX_BOUND_ADDRESSES).push_back(path);
        }
        if self.selected == Some(path) {
            self.heard = Some(now);
        }
        if self.agent.poll_timeout().is_none_or(|at| at <= now) || self.selected.is_none() {
            self.agent.handle_timeout(now);
        }
        self.update(now);
        true
    }

    /// Media of the peer came over `path`, decrypted and no repetition. Where it no longer comes over the way that was selected, but over
    /// another on which the peer has answered a check, ours goes there, too: a NAT has given it another address, or it has another
    /// network. Returns whether that has changed.
    ///
    /// Checks alone do not say so: peers check ways that they keep in reserve. And an address from which nothing but copies of
    /// packets come cannot answer a check.
    pub(crate) fn heard(&mut self, now: Instant, path: Path) -> bool {
        let Some(selected) = self.selected.filter(|selected| *selected != path) else {
            self.heard = Some(now);
            return false;
        };
        if !self.is_silent(now) || selected.remote == path.remote || !self.answered.contains(&path) {
            return false;
        }
        // The agent goes on with the best of what is left. If that is not this one, it is as silent, and the next packet says so.
        let left: Vec<Candidate> =
            self.agent.remote_candidates().filter(|c| c.addr() == selected.remote).collect();
        for candidate in &left {
            self.agent.invalidate_candidate(candidate);
        }
        bounded(&mut self.given_up, limits::MAX_BOUND_ADDRESSES).push_back(selected.remote);
        self.answered.retain(|answered| answered.remote != selected.remote);
        self.agent.handle_timeout(now);
        self.update(now);
        self.selected != Some(selected)
    }

    /// Whether nothing authentic came over the way that is used for so long that media over another would be followed.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        self.heard.is_none_or(|at| now.saturating_duration_since(at) >= limits::PATH_SILENCE)
    }

    /// This agent's pair carries media from now on. The peer's comes over the way before for a moment; that is no silence.
    pub(crate) fn begins_to_carry(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    /// The peer is at an address again that was given up. Below all others, so that only its media brings ours there.
    fn come_back(&mut self, path: Path, request: &StunMessage<'_>) {
        let address = path.remote;
        if self.addresses_ever >= limits::MAX_ADDRESSES_EVER || !self.agent.accepts_message(request) {
            return;
        }
        if let Ok(candidate) = Candidate::server_reflexive(address, address, path.carrier.protocol()) {
            self.given_up.retain(|other| *other != address);
            self.addresses_ever += 1;
            self.agent.add_remote_candidate(candidate);
        }
    }

    /// Lets checks and consent make progress.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.agent.poll_timeout().is_none_or(|at| at <= now) {
            self.agent.handle_timeout(now);
        }
        self.update(now);
    }

    /// When [`Ice::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    /// The next STUN message to send and the way it has to go.
    pub(crate) fn poll_transmit(&mut self) -> Option<(Path, Vec<u8>)> {
        let transmit = self.agent.poll_transmit()?;
        let carrier = Carrier::of(transmit.proto);
        let path = Path { carrier, local: transmit.source, remote: transmit.destination };
        Some((path, transmit.contents.into()))
    }

    /// Where media goes: the nominated pair, checked in both directions. It stays when consent is lost; ask
    /// [`Ice::consent`] before sending.
    pub(crate) fn selected(&self) -> Option<Path> {
        self.selected
    }

    pub(crate) fn consent(&self) -> Consent {
        self.consent
    }

    /// When the peer last answered a check.
    pub(crate) fn last_consent(&self) -> Option<Instant> {
        self.last_consent
    }

    /// Round-trip time of the last answered check.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.agent.nominated_pair_rtt()
    }

    fn update(&mut self, now: Instant) {
        while let Some(event) = self.agent.poll_event() {
            if let IceAgentEvent::NominatedSend { proto, source, destination } = event {
                let carrier = Carrier::of(proto);
                self.selected = Some(Path { carrier, local: source, remote: destination });
            }
        }
        let responses = self.agent.nominated_pair_responses_received();
        if responses.is_some_and(|n| n > 0) && responses != self.responses {
            self.last_consent = Some(now);
        }
        self.responses = responses;
        self.consent = match self.last_consent {
            None => Consent::NotYet,
            Some(_) if self.agent.state() == IceConnectionState::Disconnected => Consent::Lost,
            Some(at) if now.saturating_duration_since(at) >= limits::CONSENT_TIMEOUT => Consent::Lost,
            Some(_) => Consent::Given,
        };
    }
}

impl Claims {
    fn allows(&self, now: Instant, claim: &Transaction) -> bool {
        self.allowed.has(&limits::ADDRESS_CLAIMS, now, 1) && !self.seen.contains(claim)
    }

    fn note(&mut self, now: Instant, claim: Transaction, path: Path) {
        let _ = self.allowed.take(&limits::ADDRESS_CLAIMS, now, 1);
        bounded(&mut self.seen, limits::CLAIMS_REMEMBERED).push_back(claim);
        bounded(&mut self.unanswered, limits::CLAIMS_REMEMBERED).push_back(path);
    }

    /// Whether this is the first answer from an address that was claimed.
    fn answered(&mut self, path: Path) -> bool {
        let at = self.unanswered.iter().position(|p| *p == path);
        at.is_some_and(|at| self.unanswered.remove(at).is_some())
    }
}

/// Makes room for one more.
fn bounded<T>(queue: &mut VecDeque<T>, most: usize) -> &mut VecDeque<T> {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue
}

/// 8 characters = 40 bits, after the two that name the shard; RFC 8445 §5.3 asks for 24 bits.
const UFRAG_LEN: usize = 8;
/// 26 characters = 130 bits; RFC 8445 §5.3 asks for 128.
const PASSWORD_LEN: usize = 26;
/// Upstream's `Ta`.
const TIMING_ADVANCE: Duration = Duration::from_millis(20);
/// Upstream's first retransmission.
const INITIAL_RTO: Duration = Duration::from_millis(100);
/// How often an established pair is checked. Upstream: 5 s, with quick repetitions when an answer is missing. The
/// crate has none, and a client that sends no media must survive a lost check within the 8 s of
/// [`limits::MAX_INACTIVITY`]. Browsers check this often, too.
const CONSENT_INTERVAL: Duration = Duration::from_millis(2_500);
/// With this many a silent peer is given up after 25 s.
const RETRANSMISSIONS: usize = 13;

#[cfg(test)]
mod tests {
    use jitsi_xmpp::entropy::SeededEntropy;

    use super::*;

    fn path(local: &str, remote: &str) -> Path {
        Path::udp(local.parse().unwrap(), remote.parse().unwrap())
    }

    fn ice(now: Instant, socket: &str, controlling: bool, seed: u64) -> Ice {
        let sockets = [(Carrier::Udp, socket.parse().unwrap())].into_iter();
        Ice::new(now, 3, sockets, controlling, &mut SeededEntropy::new(seed))
    }

    /// Lets both agents talk for `ms`, if `pass`. Returns how many messages were refused.
    fn exchange(now: &mut Instant, a: &mut Ice, b: &mut Ice, ms: u64, pass: bool) -> usize {
        let mut refused = 0;
        let mut deliver = |now, from: &mut Ice, to: &mut Ice| {
            while let Some((p, data)) = from.poll_transmit() {
                let back = Path::udp(p.remote, p.local);
                let known = to.agent.remote_candidates().any(|c| c.addr() == back.remote);
                if pass && !to.handle_packet(now, back, &data, known) {
                    refused += 1;
                }
            }
        };
        for _ in 0..ms / 10 {
            *now += Duration::from_millis(10);
            a.handle_timeout(*now);
            b.handle_timeout(*now);
            deliver(*now, a, b);
            deliver(*now, b, a);
        }
        refused
    }

    fn run(now: &mut Instant, a: &mut Ice, b: &mut Ice, ms: u64, pass: bool) {
        assert_eq!(exchange(now, a, b, ms, pass), 0);
    }

    fn introduce(now: Instant, a: &mut Ice, b: &mut Ice) {
        let creds = |ice: &Ice| (ice.local_credentials().0.to_owned(), ice.local_credentials().1.to_owned());
        let (creds_a, creds_b) = (creds(a), creds(b));
        assert!(a.set_remote_credentials(now, &creds_b.0, &creds_b.1));
        assert!(b.set_remote_credentials(now, &creds_a.0, &creds_a.1));
    }

    #[test]
    fn credentials_of_256_bytes_are_taken_and_longer_ones_are_not() {
        let now = Instant::now();
        let mut bridge = ice(now, "127.0.0.1:10000", true, 1);
        let long = "x".repeat(limits::MAX_ICE_CREDENTIAL_LEN);
        assert!(!bridge.set_remote_credentials(now, &format!("{long}x"), "pwd"), "one beyond");
        assert!(!bridge.set_remote_credentials(now, "ufrag", &format!("{long}x")), "one beyond");
        assert!(!bridge.set_remote_credentials(now, "", &long));
        assert!(bridge.set_remote_credentials(now, &long, &long), "at the limit");
    }

    #[test]
    fn candidates_that_were_signalled_again_used_up_the_places_of_others() {
        let now = Instant::now();
        let mut bridge = ice(now, "127.0.0.1:10000", true, 1);
        for _ in 0..3 {
            for port in 1..limits::MAX_REMOTE_CANDIDATES as u16 {
                assert!(bridge.add_remote_candidate(now, "192.0.2.1", port));
            }
        }
        assert!(bridge.add_remote_candidate(now, "192.0.2.2", 9), "at the limit");
        assert!(!bridge.add_remote_candidate(now, "192.0.2.2", 10), "one beyond");
    }

    #[test]
    fn so_many_pairs_are_tried_and_not_one_more() {
        let mut now = Instant::now();
        let sockets = (0..3).map(|n| (Carrier::Udp, SocketAddr::from(([127, 0, 0, 1 + n], 10_000))));
        let mut bridge = Ice::new(now, 3, sockets, true, &mut SeededEntropy::new(1));
        assert!(bridge.set_remote_credentials(now, "peer", "password"));
        for port in 1..=limits::MAX_REMOTE_CANDIDATES as u16 {
            assert!(bridge.add_remote_candidate(now, "192.0.2.1", port));
        }
        let mut tried = std::collections::HashSet::new();
        for _ in 0..1_000 {
            now += Duration::from_millis(10);
            bridge.handle_timeout(now);
            while let Some((path, _)) = bridge.poll_transmit() {
                tried.insert((path.local, path.remote));
            }
        }
        assert_eq!(tried.len(), limits::MAX_CANDIDATE_PAIRS);
    }

    #[test]
    fn connects_without_a_remote_candidate_and_loses_consent_when_the_peer_is_silent() {
        let mut now = Instant::now();
        let mut bridge = ice(now, "127.0.0.1:10000", true, 1);
        let mut client = ice(now, "127.0.0.1:50000", false, 2);
        introduce(now, &mut bridge, &mut client);
        assert!(client.add_remote_candidate(now, "127.0.0.1", 10000));
        run(&mut now, &mut bridge, &mut client, 500, true);
        assert_eq!(bridge.consent(), Consent::Given);
        assert_eq!(bridge.selected(), Some(path("127.0.0.1:10000", "127.0.0.1:50000")));

        run(&mut now, &mut bridge, &mut client, 60_000, true);
        assert_eq!(bridge.consent(), Consent::Given, "checks keep it alive");
        run(&mut now, &mut bridge, &mut client, limits::CONSENT_TIMEOUT.as_millis() as u64, false);
        assert_eq!(bridge.consent(), Consent::Lost);
        run(&mut now, &mut bridge, &mut client, 10_000, true);
        assert_eq!(
            bridge.consent(),
            Consent::Lost,
            "the client has given up too: only its new checks would help"
        );
    }

    #[test]
    fn two_who_both_want_to_control_or_neither_connect_all_the_same() {
        for (both, seeds) in [(true, [1, 2]), (true, [2, 1]), (false, [1, 2]), (false, [2, 1])] {
            let mut now = Instant::now();
            let mut bridge = ice(now, "127.0.0.1:10000", both, seeds[0]);
            let mut client = ice(now, "127.0.0.1:50000", both, seeds[1]);
            introduce(now, &mut bridge, &mut client);
            assert!(client.add_remote_candidate(now, "127.0.0.1", 10000));
            exchange(&mut now, &mut bridge, &mut client, 2_000, true);
            assert_ne!(bridge.agent.controlling(), client.agent.controlling());
            assert_eq!(
                (bridge.consent(), client.consent()),
                (Consent::Given, Consent::Given),
                "{both} {seeds:?}"
            );
            assert_eq!(bridge.selected(), Some(path("127.0.0.1:10000", "127.0.0.1:50000")));
        }
    }

    #[test]
    fn a_request_for_another_local_address_or_with_a_wrong_password_binds_nothing() {
        let now = Instant::now();
        let mut bridge = ice(now, "127.0.0.1:10000", true, 1);
        let mut client = ice(now, "127.0.0.1:50000", false, 2);
        let ufrag = bridge.local_credentials().0.to_owned();
        assert!(client.set_remote_credentials(now, &ufrag, "not-the-password-at-all"));
        assert!(client.add_remote_candidate(now, "127.0.0.1", 10000));
        client.handle_timeout(now + Duration::from_secs(1));
        let (p, data) = client.poll_transmit().unwrap();
        assert!(!bridge.handle_packet(now, Path::udp(p.remote, p.local), &data, false));
        assert_eq!(bridge.addresses_ever, 0);
        assert!(bridge.poll_transmit().is_none());
    }

    /// The client behind another port, answering everything there; whether the bridge sends to it then.
    fn moved(now: &mut Instant, bridge: &mut Ice, port: u16) -> bool {
        let address = format!("127.0.0.1:{port}");
        // The same seed gives the same credentials.
        let mut client = ice(*now, &address, false, 2);
        let creds = bridge.local_credentials();
        let (ufrag, pwd) = (creds.0.to_owned(), creds.1.to_owned());
        assert!(client.set_remote_credentials(*now, &ufrag, &pwd));
        assert!(client.add_remote_candidate(*now, "127.0.0.1", 10000));
        exchange(now, bridge, &mut client, 400, true);
        bridge.agent.remote_candidates().any(|c| c.addr() == address.parse().unwrap())
    }

    /// A bridge whose client has answered checks behind two ports, of which the first was selected.
    fn with_two_paths(now: &mut Instant) -> (Ice, Path, Path) {
        let mut bridge = ice(*now, "127.0.0.1:10000", true, 1);
        let mut client = ice(*now, "127.0.0.1:50000", false, 2);
        introduce(*now, &mut bridge, &mut client);
        assert!(client.add_remote_candidate(*now, "127.0.0.1", 10000));
        run(now, &mut bridge, &mut client, 500, true);
        assert!(moved(now, &mut bridge, 20_000));
        let (first, second) =
            (path("127.0.0.1:10000", "127.0.0.1:50000"), path("127.0.0.1:10000", "127.0.0.1:20000"));
        assert_eq!(bridge.selected(), Some(first));
        (bridge, first, second)
    }

    #[test]
    fn media_over_another_way_is_followed_when_the_first_has_been_silent_for_so_long_and_not_before() {
        let mut now = Instant::now();
        let (mut bridge, first, second) = with_two_paths(&mut now);
        let unproven = path("127.0.0.1:10000", "127.0.0.1:20009");
        assert!(!bridge.heard(now, first));
        assert!(!bridge.heard(now + limits::PATH_SILENCE - Duration::from_millis(1), second));
        assert!(!bridge.heard(now + limits::PATH_SILENCE, unproven), "nobody has answered there");
        assert!(bridge.heard(now + limits::PATH_SILENCE, second));
        assert_eq!(bridge.selected(), Some(second));
        assert!(
            !bridge.heard(now + 10 * limits::PATH_SILENCE, first),
            "it was given up: late packets change nothing"
        );
    }

    #[test]
    fn an_address_that_was_given_up_comes_back_as_often_as_addresses_may_be_new_and_not_once_more() {
        for (ever, comes_back) in
            [(limits::MAX_ADDRESSES_EVER - 1, true), (limits::MAX_ADDRESSES_EVER, false)]
        {
            let mut now = Instant::now();
            let (mut bridge, first, second) = with_two_paths(&mut now);
            now += limits::PATH_SILENCE;
            assert!(bridge.heard(now, second));
            bridge.addresses_ever = ever;
            now += Duration::from_secs(10);
            let _ = moved(&mut now, &mut bridge, first.remote.port());
            assert_eq!(!bridge.given_up.contains(&first.remote), comes_back);
        }
    }

    #[test]
    fn addresses_that_answered_have_a_limit() {
        let mut now = Instant::now();
        let mut bridge = ice(now, "127.0.0.1:10000", true, 1);
        let mut client = ice(now, "127.0.0.1:50000", false, 2);
        introduce(now, &mut bridge, &mut client);
        assert!(moved(&mut now, &mut bridge, 20_000));
        assert_eq!(bridge.addresses_ever, 1, "the check was answered");
        bridge.addresses_ever = limits::MAX_ADDRESSES_EVER - 1;
        now += Duration::from_secs(10);
        assert!(moved(&mut now, &mut bridge, 20_001), "at the limit");
        assert_eq!(bridge.addresses_ever, limits::MAX_ADDRESSES_EVER);
        now += Duration::from_secs(10);
        assert!(!moved(&mut now, &mut bridge, 20_002), "one beyond");
    }

    #[test]
    fn claimed_addresses_have_a_limit_that_passes_and_a_replayed_claim_brings_none() {
        let start = Instant::now();
        let mut claims = Claims::default();
        let id = |n: u32| {
            let mut t = [0; 12];
            t[..4].copy_from_slice(&n.to_be_bytes());
            t
        };
        let p = path("127.0.0.1:10000", "127.0.0.1:1");
        for n in 0..limits::ADDRESS_CLAIMS.burst() {
            assert!(claims.allows(start, &id(n)));
            claims.note(start, id(n), p);
        }
        assert!(!claims.allows(start, &id(1_000)), "one beyond");
        let later = start + Duration::from_secs(10);
        assert!(claims.allows(later, &id(1_000)) && !claims.allows(later, &id(5)), "replayed");
        claims.note(later, id(1_000), p);
        assert_eq!((claims.seen.len(), claims.unanswered.len()), (limits::CLAIMS_REMEMBERED, 64));
        let long_after = later + Duration::from_secs(10);
        assert!(claims.allows(long_after, &id(0)), "so many ago it is forgotten; the rate is what is left");
    }

    #[test]
    fn remote_candidates_have_a_limit_and_must_be_addresses() {
        let now = Instant::now();
        let mut bridge = ice(now, "127.0.0.1:10000", true, 1);
        assert!(!bridge.add_remote_candidate(now, "3f0c7c8e-0000.local", 5000));
        assert!(!bridge.add_remote_candidate(now, "0.0.0.0", 5000));
        assert!(!bridge.add_remote_candidate(now, "10.0.0.1", 0));
        for n in 0..limits::MAX_REMOTE_CANDIDATES {
            assert!(bridge.add_remote_candidate(now, "10.0.0.1", 1000 + u16::try_from(n).unwrap()));
        }
        assert!(!bridge.add_remote_candidate(now, "10.0.0.1", 5000));
    }

    #[test]
    fn credentials_are_long_enough_and_come_from_our_entropy() {
        let now = Instant::now();
        let (one, same) = (ice(now, "127.0.0.1:1", true, 1), ice(now, "127.0.0.1:1", true, 1));
        assert_eq!(one.local_credentials(), same.local_credentials());
        assert_eq!(one.local_credentials().0.len(), 10);
        assert_eq!(one.local_credentials().1.len(), 26);
    }
}
